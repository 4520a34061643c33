"""Exact nearest neighbours: a fast search finds few candidates, the formula itself decides among them.

Where rounding may have hidden a nearer point from the fast search, the formula looks at all of them. The answer is
therefore that of the formula in `float64`, whichever search found the candidates.

l2 and cosine are searched by scikit-learn, here; l1 by sums of small integers, in `codes.py`.
"""

from functools import cached_property
from typing import Any

import numpy as np

from kerascv_course.latent.codes import Codes
from kerascv_course.latent.distances import SPARE, ranked


class Nearest:
    """The search among the rows of an array `float32` (n, d), which is not copied."""

    def __init__(self, features: np.ndarray, metric: str) -> None:
        self.features, self.metric = features, metric

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return indices and distances of the k nearest of each query, (q, k), `int64` and `float64`."""
        if self.metric == "l1":
            return self._codes.search(queries, k)
        count, width = self.features.shape
        number = min(count, k + SPARE)
        vectors = queries if self.metric == "l2" else _directions(queries, 1)
        far, candidates = self._brute.kneighbors(vectors, number)
        places, near = ranked(self.metric, self.features, queries, candidates, k)
        if number == count:
            return places, near
        # Below these squares no point was overlooked, but for what rounding can do to them.
        if self.metric == "l2":
            bounds = near[:, -1] ** 2 + 2.0**-50 * (width + 4) * (self._longest + _lengths(queries)) ** 2
        else:
            bounds = 2 * near[:, -1] + 1e-6
        for row in np.flatnonzero(far[:, -1] ** 2 <= bounds * (1 + 1e-6)):
            found = ranked(self.metric, self.features, queries[row, None], np.arange(count)[None], k)
            places[row], near[row] = found[0][0], found[1][0]
        return places, near

    @cached_property
    def _codes(self) -> Codes:
        return Codes(self.features)

    @cached_property
    def _longest(self) -> float:
        return float(_lengths(self.features).max())

    @cached_property
    def _brute(self) -> Any:
        from sklearn.neighbors import NearestNeighbors  # takes a second

        points = self.features if self.metric == "l2" else _directions(self.features, 0)
        return NearestNeighbors(algorithm="brute").fit(points)


def _lengths(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype="float64"))


def _directions(vectors: np.ndarray, place: int) -> np.ndarray:
    """Return unit vectors, whose distance is the root of twice their cosine distance.

    A zero vector becomes one at a right angle to all others, in one of two more dimensions.
    """
    from sklearn.preprocessing import normalize

    units = np.pad(normalize(vectors), ((0, 0), (0, 2)))
    units[:, place - 2] = ~vectors.any(axis=1)
    return units
