"""Batches in an order that depends on the seed and the epoch alone."""

import keras
import numpy as np

from kerascv_course._fingerprints import array_digest


class Batches(keras.utils.PyDataset):
    """Batches of some of the images of an array, which may lie on disk (`np.memmap`).

    Args:
        x: Images, (n, ...).
        y: Their labels, (n, ...).
        batch_size: Images in a batch.
        seed: Decides, with the epoch, the order; None keeps the order of `indices`, for validation.
        indices: Which images; all of them by default. Nothing is copied but the batch that is asked for.
    """

    def __init__(
        self, x: np.ndarray, y: np.ndarray, batch_size: int, seed: int | None, indices: np.ndarray | None = None
    ) -> None:
        super().__init__()
        self.x, self.y, self.batch_size, self.seed = x, y, batch_size, seed
        self.indices = np.arange(len(y)) if indices is None else indices
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Put the images into the order of that epoch."""
        self.order = self.indices
        if self.seed is not None:
            self.order = self.indices[np.random.default_rng([self.seed, epoch]).permutation(len(self.indices))]

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    def chosen(self, index: int) -> np.ndarray:
        """Return which images the batch of that number holds."""
        return self.order[index * self.batch_size : (index + 1) * self.batch_size]

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.chosen(index)
        return self.x[chosen], self.y[chosen]

    def digest(self) -> str:
        """Return a fingerprint of the images and labels, in whatever order they come."""
        return array_digest(self.x, self.y, self.indices)
