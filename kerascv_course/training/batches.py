"""Batches in an order that depends on the seed and the epoch alone."""

from typing import Any

import keras
import numpy as np
from keras import tree

from kerascv_course._fingerprints import array_digest, text_digest


class Batches(keras.utils.PyDataset):
    """Batches of some of the images of an array, which may lie on disk (`np.memmap`).

    Args:
        x: Images, (n, ...); or a list or dictionary of arrays, for a model with several inputs.
        y: Their labels, (n, ...); or a list or dictionary, for several outputs.
        batch_size: Images in a batch.
        seed: Decides, with the epoch, the order; None keeps the order of `indices`, for validation.
        indices: Which images; all of them by default. Nothing is copied but the batch that is asked for.
        weights: Weight of each image in the loss, (n,).
        steps: Batches in an epoch, by default all; the next epoch goes on where they end.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        batch_size: int,
        seed: int | None,
        indices: np.ndarray | None = None,
        weights: Any = None,
        steps: int | None = None,
    ) -> None:
        super().__init__()
        self.x, self.y, self.batch_size, self.seed = x, y, batch_size, seed
        self.parts = (x, y) if weights is None else (x, y, weights)
        self.indices = np.arange(len(tree.flatten(y)[0])) if indices is None else indices
        self.in_all = -(-len(self.indices) // batch_size)
        self.steps = self.in_all if steps is None else steps
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Put the images into the order of that epoch."""
        self.epoch = epoch
        self._put_in_order(epoch * self.steps // self.in_all)

    def _put_in_order(self, turn: int) -> None:
        """Put the images into the order in which they are seen for that time."""
        self.turn, self.order = turn, self.indices
        if self.seed is not None:
            self.order = self.indices[np.random.default_rng([self.seed, turn]).permutation(len(self.indices))]

    def __len__(self) -> int:
        return self.steps

    def chosen(self, index: int) -> np.ndarray:
        """Return which images the batch of that number holds."""
        turn, place = divmod(self.epoch * self.steps + index, self.in_all)
        if turn != self.turn:
            self._put_in_order(turn)
        return self.order[place * self.batch_size : (place + 1) * self.batch_size]

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return self.take(self.chosen(index))

    def take(self, chosen: Any) -> tuple[Any, ...]:
        """Return images, labels and, where there are some, weights, of those that are chosen."""
        return tree.map_structure(lambda part: np.take(part, chosen, axis=0), self.parts)

    def digest(self) -> str:
        """Return a fingerprint of the images and labels, in whatever order they come."""
        return text_digest(tree.map_structure(array_digest, self.parts), array_digest(self.indices))


def for_backend(batches: Any) -> Any:
    """Return batches as the backend trains fastest on them: with TensorFlow `tf.data` that does not tune itself.

    What it tries out, while it tunes itself, takes the cores from the training. One thread gathers the batches
    from the arrays themselves, two in advance: nothing is copied but these.
    """
    if keras.config.backend() != "tensorflow" or not isinstance(batches, Batches):
        return batches
    import tensorflow as tf

    example = tree.lists_to_tuples(batches[0])
    parts = tree.flatten(example)

    @tf.autograph.experimental.do_not_convert
    def gather(index: Any) -> Any:
        dtypes = [tf.as_dtype(part.dtype) for part in parts]
        tensors = tf.numpy_function(lambda number: tree.flatten(batches[int(number)]), [index], dtypes)
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.set_shape((None, *part.shape[1:]))
        return tree.pack_sequence_as(example, tensors)

    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1  # the threads of TensorFlow are left to the training
    data = tf.data.Dataset.range(len(batches)).map(gather)
    return data.apply(tf.data.experimental.assert_cardinality(len(batches))).prefetch(2).with_options(options)
