"""Exact nearest neighbours: a fast search finds few candidates, the formula itself decides among them.

The fast searches round, and for each of them the largest error that rounding can cause is known. Where the
candidates are not ahead of all other points by more than that, every point within it becomes a candidate. The
answer is therefore that of the formula in `float64`, whichever search found the candidates.

l2 and cosine are searched by a matrix product, here; l1 by sums of small integers, in `codes.py`.
"""

from functools import cached_property

import numpy as np

from kerascv_course.latent.codes import Codes
from kerascv_course.latent.distances import BLOCK, SPARE, ranked


class Nearest:
    """The search among the rows of an array `float32` (n, d), which is not copied."""

    def __init__(self, features: np.ndarray, metric: str) -> None:
        self.features, self.metric = features, metric

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return indices and distances of the k nearest of each query, (q, k), `int64` and `float64`."""
        if self.metric == "l1":
            return self._codes.search(queries, k)
        step = min(1024, max(1, BLOCK // len(self.features)))
        parts = [self._search(queries[start : start + step], k) for start in range(0, len(queries), step)]
        indices, found = (np.concatenate(column) for column in zip(*parts, strict=True))
        return indices, found

    def _search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Find candidates by the score |x|² - 2 x·q, which is |x - q|² - |q|²: one matrix product.

        The smallest score in each of many groups of points is found fast; only the points of the best groups are
        then looked at one by one.
        """
        points, squares = self._points
        count, width = points.shape
        vectors = queries if self.metric == "l2" else _directions(queries, 1)
        number = min(count, k + SPARE)
        rows = max(1, min(64, count // (4 * number)))
        columns = -(-count // rows)  # a group is a column
        scores = np.full((len(queries), rows * columns), np.inf, "float32")
        np.matmul(-2 * vectors, points.T, out=scores[:, :count])
        scores[:, :count] += squares
        grid = scores.reshape(len(queries), rows, columns)
        groups = np.argpartition(grid.min(axis=1), number - 1, axis=1)[:, :number]
        members = np.take_along_axis(grid, groups[:, None], 2).reshape(len(queries), -1)
        best = np.argpartition(members, number - 1, axis=1)[:, :number]
        candidates = best // number * columns + np.take_along_axis(groups, best % number, 1)
        places, near = ranked(self.metric, self.features, queries, candidates, k)
        if number < count:
            # No other point is below the largest score of a candidate: is the farthest neighbour, with what
            # rounding can do to sums of so many terms?
            lengths, longest = np.sqrt(_squares(vectors)), np.sqrt(squares.max(initial=0), dtype="float64")
            squared = near[:, -1] ** 2 if self.metric == "l2" else 2 * near[:, -1]
            slack = 2.0**-23 * (width + 4) * longest * (lengths + longest) + 1e-12 * squared + 1e-30
            bounds = squared - lengths**2 + slack
            for row in np.flatnonzero(np.take_along_axis(members, best, 1).max(axis=1) <= bounds):
                within = np.flatnonzero(scores[row, :count] <= bounds[row])
                ours, theirs = ranked(self.metric, self.features, queries[row, None], within[None], k)
                places[row], near[row] = ours[0], theirs[0]
        return places, near

    @cached_property
    def _codes(self) -> Codes:
        return Codes(self.features)

    @cached_property
    def _points(self) -> tuple[np.ndarray, np.ndarray]:
        """The points, for cosine as unit vectors, and their squared lengths."""
        points = self.features if self.metric == "l2" else _directions(self.features, 0)
        return points, _squares(points).astype("float32")


def _squares(vectors: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", vectors, vectors, dtype="float64")


def _directions(vectors: np.ndarray, place: int) -> np.ndarray:
    """Return unit vectors, whose squared distance is twice their cosine distance.

    A zero vector becomes one at a right angle to all others, in one of two more dimensions.
    """
    from sklearn.preprocessing import normalize

    units = np.pad(normalize(vectors), ((0, 0), (0, 2)))
    units[:, place - 2] = ~vectors.any(axis=1)
    return units
