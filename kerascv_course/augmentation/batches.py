"""Batches of moved images from arrays in memory: the fastest way to augment on a CPU."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import joblib
import keras
import numpy as np

from kerascv_course._engines import choose_engine
from kerascv_course._validation import as_array, check_bool, check_images, check_int, input_error
from kerascv_course.augmentation.affine import FILL_MODES, RandomAffine, warp

_FUNCTION = "AffineBatches"


class AffineBatches(keras.utils.PyDataset):
    """Batches of an array of images, each image moved anew in each epoch, for `model.fit`.

    Args:
        images: Array (images, height, width, channels). Batches of `uint8` are `uint8`, of others `float32`.
        labels: Array (images, ...); None for batches of images alone.
        layer: A `RandomAffine`, which says how the images are moved.
        batch_size: Images in a batch, 1 or more; the last one may be smaller.
        shuffle: Whether the images come in another order in each epoch.
        engine: "opencv" (extra `fast`, at most 4 channels), "keras", or None for the first of these that can be
            used. OpenCV 4 looks places up to 1/32 of a pixel: at edges it may be some grey levels off, OpenCV 5 is
            not.
        seed: Order and maps follow from this seed, the number of the epoch and nothing else.

    Attributes:
        engine: What moves the images: "opencv" or "keras".

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the arrays do not fit each other, or an argument is out of range.
        ImportError: If OpenCV is asked for and not installed.

    Example:
        >>> from kerascv_course import load_digits
        >>> digits = load_digits()
        >>> layer = RandomAffine(translation=0.1, rotation=0.05, fill_mode="constant")
        >>> images, labels = AffineBatches(digits.x_train, digits.y_train, layer)[0]
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
        engine: str | None = None,
        seed: int = 0,
    ) -> None:
        images = check_images(_FUNCTION, "images", images)
        if labels is not None:
            rule = f"None or an array of {len(images)} labels"
            labels = as_array(_FUNCTION, "labels", labels, rule)
            if len(labels) != len(images):
                raise input_error(_FUNCTION, "labels", rule, labels)
        if not isinstance(layer, RandomAffine):
            raise input_error(_FUNCTION, "layer", "a `RandomAffine`", layer, error=TypeError)
        self._shuffle = check_bool(_FUNCTION, "shuffle", shuffle)
        self._batch_size = check_int(_FUNCTION, "batch_size", batch_size, 1)
        self._seed = check_int(_FUNCTION, "seed", seed, 0)
        self.engine = choose_engine(_FUNCTION, engine, "opencv", "keras")
        if images.shape[3] > 4 and self.engine == "opencv":
            if engine is not None:
                raise input_error(_FUNCTION, "engine", "'keras' for images of more than 4 channels", engine)
            self.engine = "keras"
        super().__init__()
        self._images = images if images.dtype == np.uint8 else images.astype("float32", copy=False)
        self._labels, self._layer = labels, layer
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Draw the order and the maps of that epoch; `training.fit` calls it before each one."""
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
        images, matrices = np.ascontiguousarray(self._images[picked]), self._matrices[places]
        fill_mode = self._layer.fill_mode
        if self.engine == "opencv":
            moved = np.empty_like(images)
            _warp_with_opencv(images, matrices, moved, fill_mode)
        else:
            values = keras.ops.convert_to_numpy(warp(images, matrices, fill_mode=fill_mode))
            moved = (np.rint(values) if images.dtype == np.uint8 else values).astype(images.dtype)
        return moved if self._labels is None else (moved, self._labels[picked])

    def on_epoch_end(self) -> None:
        """Draw another order and other maps; `model.fit` calls it after each epoch."""
        self.start_epoch(self._epoch + 1)


def _warp_with_opencv(images: np.ndarray, matrices: np.ndarray, moved: np.ndarray, fill_mode: str) -> None:
    """Write into `moved` what `warp` returns: OpenCV moves one image at a time, each thread its part of them."""
    import cv2

    borders = (cv2.BORDER_REFLECT, cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE)
    border = dict(zip(FILL_MODES, borders, strict=True))[fill_mode]
    maps = np.ascontiguousarray(matrices[:, :6], "float64").reshape(-1, 2, 3)
    size = (images.shape[2], images.shape[1])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

    def move(first: int, end: int) -> None:
        for image, matrix, result in zip(images[first:end], maps[first:end], moved[first:end], strict=True):
            cv2.warpAffine(image, matrix, size, result, flags, border)

    cores = joblib.cpu_count()
    cuts = np.linspace(0, len(images), cores + 1).astype(int).tolist()
    list(_threads(cores).map(move, cuts[:-1], cuts[1:]))


@cache
def _threads(cores: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores, thread_name_prefix="kerascv_course_warp")
