"""Batches in an order that depends on the seed and the epoch alone."""

import mmap
from collections.abc import Callable
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
        self.told: Callable[[], object] = bool  # called when the order is another
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Put the images into the order of that epoch."""
        self.epoch = epoch
        self._put_in_order(epoch * self.steps // self.in_all)
        self.told()

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


def for_backend(batches: Any, tensors: dict[int, Any]) -> Any:
    """Return batches as the backend trains fastest on them: with TensorFlow `tf.data` that does not tune itself.

    What it tries out, while it tunes itself, takes the cores from the training. One thread gathers the batches,
    two in advance, from tensors that `tensors` keeps by the `id` of their array: each is copied once. The order is
    a variable, as every call of Python costs the training time. An array on disk is read batch by batch.
    """
    if keras.config.backend() != "tensorflow" or not isinstance(batches, Batches):
        return batches
    import tensorflow as tf

    in_memory = type(batches) is Batches and not any(map(_is_on_disk, tree.flatten(batches.parts)))
    if not in_memory or tf.distribute.has_strategy():

        def one(index: int) -> Any:
            return tree.lists_to_tuples(batches[index])

        spec = tree.map_structure(lambda part: tf.TensorSpec((None, *part.shape[1:]), part.dtype), one(0))
        data = tf.data.Dataset.from_generator(lambda: map(one, range(len(batches))), output_signature=spec)
    else:
        with tf.device("CPU"):
            for part in tree.flatten(batches.parts):
                if id(part) not in tensors:
                    tensors[id(part)] = _tensor(part)
            order = tf.Variable([0], dtype="int64", shape=(None,))
            ends = tf.Variable([0], dtype="int64", shape=(None,))
        held = tree.map_structure(lambda part: tensors[id(part)], tree.lists_to_tuples(batches.parts))

        def tell() -> None:
            chosen = [batches.chosen(index) for index in range(len(batches))]
            order.assign(np.concatenate(chosen))
            ends.assign(np.cumsum([0, *map(len, chosen)]))

        @tf.autograph.experimental.do_not_convert
        def gather(index: Any) -> Any:
            chosen = order[ends[index] : ends[index + 1]]
            return tree.map_structure(lambda part: tf.gather(part, chosen), held)

        tell()
        batches.told = tell
        data = tf.data.Dataset.range(len(batches)).map(gather)
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False  # they would copy the images
    options.threading.private_threadpool_size = 1  # the threads of TensorFlow are left to the training
    return data.apply(tf.data.experimental.assert_cardinality(len(batches))).prefetch(2).with_options(options)


def _is_on_disk(array: Any) -> bool:
    """Tell whether an array, or what it is a view of, is a file."""
    while array is not None and not isinstance(array, np.memmap | mmap.mmap):
        array = getattr(array, "base", None)
    return array is not None


def _tensor(array: np.ndarray) -> Any:
    """Return a tensor of TensorFlow with a copy of an array: `tf.convert_to_tensor` copies it twice."""
    import tensorflow as tf

    if array.dtype.kind not in "fiu" or not array.size:
        return tf.convert_to_tensor(array)
    memory = np.empty(array.nbytes + 64, "uint8")
    start = -memory.ctypes.data % 64  # where TensorFlow wants it to begin
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return tf.experimental.dlpack.from_dlpack(copy.__dlpack__())
