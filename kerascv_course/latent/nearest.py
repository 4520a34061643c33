"""Exact nearest neighbours: a fast search finds few candidates, the formula itself decides among them.

The fast searches round, and for each of them the largest error that rounding can cause is known. Where the
candidates are not ahead of all other points by more than that, every point within it becomes a candidate. The
answer is therefore that of the formula in `float64`, whichever search found the candidates.

l2 and cosine are searched by a matrix product, here; l1 by sums of small integers, in `codes.py`.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial

import numpy as np

from kerascv_course.latent.codes import Codes
from kerascv_course.latent.distances import BLOCK, SPARE, ranked, unit_vectors

_EPSILON = 2.0**-24  # the relative error of one rounding to float32


class Nearest:
    """The search among the rows of an array `float32` (n, d), which is not copied."""

    def __init__(self, features: np.ndarray, metric: str) -> None:
        self.features, self.metric = features, metric
        # How much a sum of d rounded terms can be off, relative to the sum of their sizes.
        self.rounding = _EPSILON * (features.shape[1] + 4)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return indices and distances of the k nearest of each query, (q, k), `int64` and `float64`."""
        if self.metric == "l1":
            return self._codes.search(queries, k)
        count = len(self.features)
        number = min(count, k + SPARE)
        step = min(1024, max(1, BLOCK // count))
        indices, found = np.empty((len(queries), k), "int64"), np.empty((len(queries), k))
        for start in range(0, len(queries), step):
            block = queries[start : start + step]
            candidates, beyond, scores = self._candidates(block, number)
            places, near = ranked(self.metric, self.features, block, candidates, k)
            if number < count:
                bounds = self._bounds(block, near[:, -1])
                rows = np.flatnonzero(beyond <= bounds)
                widen = partial(self._widened, block, scores, bounds, k)
                with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # NumPy computes in parallel
                    for row, (ours, theirs) in zip(rows, pool.map(widen, rows), strict=True):
                        places[row], near[row] = ours[0], theirs[0]
            indices[start : start + step], found[start : start + step] = places, near
        return indices, found

    def _widened(
        self, queries: np.ndarray, scores: np.ndarray, bounds: np.ndarray, k: int, row: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the k nearest of one query among all points whose score is within its bound."""
        within = np.flatnonzero(scores[row] <= bounds[row])
        return ranked(self.metric, self.features, queries[row : row + 1], within[None], k)

    @cached_property
    def _codes(self) -> Codes:
        return Codes(self.features)

    def _bounds(self, queries: np.ndarray, near: np.ndarray) -> np.ndarray:
        """Return the largest score that a point at the distance `near` can have."""
        if self.metric == "cosine":  # of unit vectors; the last term is for their own rounding
            return 2 * near - 1 + 2 * self.rounding + 8 * _EPSILON
        lengths, longest = np.sqrt((queries.astype("float64") ** 2).sum(axis=1)), np.sqrt(self._product[1].max())
        slack = 2 * self.rounding * longest * lengths + 2 * _EPSILON * float(longest) ** 2 + 1e-12 * near**2
        return near**2 - lengths**2 + slack + 1e-30

    @cached_property
    def _product(self) -> tuple[np.ndarray, np.ndarray]:
        """The points, for cosine as unit vectors, and their squared lengths."""
        points, count = self.features, len(self.features)
        squares = np.ones(count, "float32")  # for cosine that of zero vectors too: at distance 1 from all
        if self.metric == "cosine":
            points = np.empty_like(self.features)
        step = max(1, BLOCK // (4 * points.shape[1]))
        for start in range(0, count, step):
            part = self.features[start : start + step]
            if self.metric == "cosine":
                points[start : start + step] = unit_vectors(part)
            else:
                squares[start : start + step] = (part.astype("float64") ** 2).sum(axis=1)
        return points, squares

    def _candidates(self, queries: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Find candidates by the score |x|² - 2 x·q, which is |x - q|² - |q|²: one matrix product.

        Returns the indices of points, (q, c); for each query a score that no other point is below; and the scores
        of all points, (q, n).

        The smallest score in each of many groups of points is found fast; only the points of the best groups are
        then looked at one by one.
        """
        points, squares = self._product
        count = len(points)
        rows = max(1, min(64, count // (4 * number)))
        columns = -(-count // rows)  # a group is a column
        scores = np.empty((len(queries), rows * columns), "float32")
        scores[:, count:] = np.inf
        doubled = -2 * (unit_vectors(queries).astype("float32") if self.metric == "cosine" else queries)
        np.matmul(doubled, points.T, out=scores[:, :count])
        scores[:, :count] += squares
        grid = scores.reshape(len(queries), rows, columns)
        groups = np.argpartition(grid.min(axis=1), number - 1, axis=1)[:, :number]
        members = np.take_along_axis(grid, groups[:, None], 2).reshape(len(queries), -1)
        best = np.argpartition(members, number - 1, axis=1)[:, :number]
        places = best // number * columns + np.take_along_axis(groups, best % number, 1)
        beyond = np.take_along_axis(members, best, 1).max(axis=1)
        return places, beyond, scores[:, :count]
