"""Batches of moved images from arrays in memory: the fastest way to augment on a CPU."""

from typing import Any

import keras
import numpy as np

from kerascv_course._validation import check_choice, check_int, input_error
from kerascv_course.augmentation.affine import (
    RandomAffine,
    check_bytes_or_floats,
    check_opencv,
    warp,
    warp_with_opencv,
)


class AffineBatches(keras.utils.PyDataset):
    """Batches of an array of images, each image moved anew in each epoch, for `model.fit`.

    Args:
        images: Array (images, height, width, channels) of `uint8` or `float32`.
        labels: Array (images, ...); None for batches of images alone.
        layer: A `RandomAffine`, which says how the images are moved.
        batch_size: Images in a batch, 1 or more; the last one may be smaller.
        shuffle: Whether the images come in another order in each epoch.
        engine: "opencv", or "keras" where OpenCV is not installed.
        seed: Order and maps follow from this seed, the number of the epoch and nothing else.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the arrays do not fit each other, or an argument is out of range.
        ImportError: If OpenCV is asked for and not installed.

    Example:
        >>> from kerascv_course import load_digits
        >>> digits = load_digits()
        >>> layer = RandomAffine(translation=0.1, rotation=0.05, fill_mode="constant")
        >>> batches = AffineBatches(digits.x_train, digits.y_train, layer, engine="keras")
        >>> images, labels = batches[0]
        >>> images.shape, images.dtype, labels.shape
        ((64, 32, 32, 1), dtype('uint8'), (64,))

    Source: Boracchi (augmentation), with OpenCV's `warpAffine`.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray | None,
        layer: RandomAffine,
        *,
        batch_size: int = 64,
        shuffle: bool = True,
        engine: str = "opencv",
        seed: int = 0,
    ) -> None:
        function = "AffineBatches"
        check_choice(function, "engine", engine, ("opencv", "keras"))
        if not isinstance(images, np.ndarray) or images.ndim != 4 or len(images) == 0:
            raise input_error(function, "images", "a NumPy array (images, height, width, channels)", images)
        check_bytes_or_floats(function, images)
        if labels is not None and (not isinstance(labels, np.ndarray) or labels.shape[:1] != images.shape[:1]):
            raise input_error(function, "labels", f"None or an array of {len(images)} labels", labels)
        if not isinstance(layer, RandomAffine):
            raise input_error(function, "layer", "a `RandomAffine`", layer, error=TypeError)
        if not isinstance(shuffle, bool):
            raise input_error(function, "shuffle", "True or False", shuffle, error=TypeError)
        self._batch_size = check_int(function, "batch_size", batch_size, 1)
        self._seed = check_int(function, "seed", seed, 0)
        if engine == "opencv":
            check_opencv(function)
        super().__init__()
        self._images, self._labels, self._layer = images, labels, layer
        self._engine, self._shuffle = engine, shuffle
        self._start(epoch=0)

    def _start(self, epoch: int) -> None:
        self._epoch = epoch
        count, height, width, _ = self._images.shape
        rng = np.random.default_rng((self._seed, epoch))
        self._order = rng.permutation(count) if self._shuffle else np.arange(count)
        self._matrices = self._layer.matrices(count, (height, width), seed=int(rng.integers(2**63)))

    def __len__(self) -> int:
        return -(-len(self._images) // self._batch_size)

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)  # ends a loop over the batches
        places = slice(index * self._batch_size, (index + 1) * self._batch_size)
        picked = self._order[places]
        images, matrices = self._images[picked], self._matrices[places]
        fill_mode, fill_value = self._layer.fill_mode, self._layer.fill_value
        if self._engine == "opencv":
            moved = np.empty_like(images)
            warp_with_opencv(images, matrices, moved, fill_mode, fill_value)
        else:
            values = keras.ops.convert_to_numpy(warp(images, matrices, fill_mode=fill_mode, fill_value=fill_value))
            moved = (np.rint(values) if images.dtype == np.uint8 else values).astype(images.dtype)
        return moved if self._labels is None else (moved, self._labels[picked])

    def on_epoch_end(self) -> None:
        """Draw another order and other maps; `model.fit` calls it after each epoch."""
        self._start(self._epoch + 1)
