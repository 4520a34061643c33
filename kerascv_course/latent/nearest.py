"""Exact nearest neighbours: a fast search finds few candidates, the formula itself decides among them.

The fast searches round, and for each of them the largest error that rounding can cause is known. Where the
candidates are not ahead of all other points by more than that, every point within it becomes a candidate. The
answer is therefore that of the formula in `float64`, whichever search found the candidates.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import NamedTuple

import numpy as np

METRICS = ("l1", "l2", "cosine")
LARGEST = 1e15  # of a feature: sums of squares then fit into float32
_EPSILON = 2.0**-24  # the relative error of one rounding to float32
_SPARE = 8  # candidates beyond the neighbours that are asked for
_BLOCK = 2**23  # numbers that are held at a time
_TOGETHER = 4  # queries that look at each point in l1
_LARGEST_CODE = 63  # of a feature in l1: four of them fit into a byte


def distances(metric: str, features: np.ndarray, queries: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the distances of queries (q, d) to their candidates, indices (q, c), by the formula in `float64`.

    l1: mean absolute difference. l2: root of the summed squares. cosine: 1 minus the cosine, and not below 0 where
    that rounds; 1 where a vector is zero.
    """
    flat, width = places.ravel(), places.shape[1]
    found = np.empty(len(flat))
    step = max(1, _BLOCK // (4 * features.shape[1]))
    for start in range(0, len(flat), step):
        pairs = np.arange(start, min(start + step, len(flat)))
        ours = features[flat[pairs]].astype("float64")
        theirs = queries[pairs // width].astype("float64")
        if metric == "l1":
            found[pairs] = np.abs(ours - theirs).mean(axis=1)
        elif metric == "l2":
            found[pairs] = np.sqrt(((ours - theirs) ** 2).sum(axis=1))
        else:
            lengths = np.sqrt((ours**2).sum(axis=1)) * np.sqrt((theirs**2).sum(axis=1))
            cosines = np.zeros(len(pairs))
            np.divide((ours * theirs).sum(axis=1), lengths, out=cosines, where=lengths > 0)
            found[pairs] = np.maximum(1 - cosines, 0)
    return found.reshape(places.shape)


def unit_vectors(features: np.ndarray) -> np.ndarray:
    """Return vectors (n, d) of length 1, in `float64`; zero ones stay zero."""
    vectors = features.astype("float64")
    lengths = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


class Candidates(NamedTuple):
    """What a fast search found.

    Attributes:
        places: Indices of points, (q, c).
        beyond: For each query a score that no other point is below.
        scores: The scores of all points, (q, n); None where the search does not tell.
    """

    places: np.ndarray
    beyond: np.ndarray
    scores: np.ndarray | None = None


class Nearest:
    """The search among the rows of an array `float32` (n, d), which is not copied."""

    def __init__(self, features: np.ndarray, metric: str) -> None:
        self.features, self.metric = features, metric
        # How much a sum of d rounded terms can be off, relative to the sum of their sizes.
        self.rounding = _EPSILON * (features.shape[1] + 4)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return indices and distances of the k nearest of each query, (q, k), `int64` and `float64`."""
        count = len(self.features)
        number = min(count, k + _SPARE)
        step = min(1024, max(1, _BLOCK // count))
        indices, found = np.empty((len(queries), k), "int64"), np.empty((len(queries), k))
        for start in range(0, len(queries), step):
            block = queries[start : start + step]
            candidates = self._candidates(block, number)
            places, near = self._ranked(block, candidates.places, k)
            if number < count:
                bounds = self._bounds(block, near[:, -1])
                rows = np.flatnonzero(candidates.beyond <= bounds)
                parts = [rows[first : first + _TOGETHER] for first in range(0, len(rows), _TOGETHER)]

                def widen(
                    part: np.ndarray,
                    block: np.ndarray = block,
                    found: Candidates = candidates,
                    bounds: np.ndarray = bounds,
                ) -> list[tuple[np.ndarray, np.ndarray]]:
                    if found.scores is None:
                        within = self._within(block[part], bounds[part])
                    else:
                        within = [np.flatnonzero(found.scores[row] <= bounds[row]) for row in part]
                    return [
                        self._ranked(block[row : row + 1], few[None], k)
                        for row, few in zip(part, within, strict=True)
                    ]

                with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # NumPy computes in parallel
                    for part, wider in zip(parts, pool.map(widen, parts), strict=True):
                        for row, (ours, theirs) in zip(part, wider, strict=True):
                            places[row], near[row] = ours, theirs
            indices[start : start + step], found[start : start + step] = places, near
        return indices, found

    def _ranked(self, queries: np.ndarray, places: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the k nearest of the candidates and their distances; of equal ones the smaller index first."""
        exact = distances(self.metric, self.features, queries, places)
        order = np.lexsort((places, exact))[:, :k]
        return np.take_along_axis(places, order, 1), np.take_along_axis(exact, order, 1)

    def _candidates(self, queries: np.ndarray, number: int) -> Candidates:
        if self.metric != "l1":
            return self._by_product(queries, number)
        # The nearest in l2 are near in l1: `_within` need not look far.
        return Candidates(self._by_product(queries, number).places, np.full(len(queries), -np.inf))

    def _bounds(self, queries: np.ndarray, near: np.ndarray) -> np.ndarray:
        """Return the largest score that a point at the distance `near` can have."""
        if self.metric == "l1":  # the score is the sum
            return near * self.features.shape[1] * (1 + self.rounding) + 1e-30
        if self.metric == "cosine":  # of unit vectors; the last term is for their own rounding
            return 2 * near - 1 + 2 * self.rounding + 8 * _EPSILON
        lengths, longest = np.sqrt((queries.astype("float64") ** 2).sum(axis=1)), np.sqrt(self._product[1].max())
        slack = 2 * self.rounding * longest * lengths + 2 * _EPSILON * float(longest) ** 2 + 1e-12 * near**2
        return near**2 - lengths**2 + slack + 1e-30

    # ------------------------------------------------------------------------------- l2 and cosine
    @cached_property
    def _product(self) -> tuple[np.ndarray, np.ndarray]:
        """The points, for cosine as unit vectors, and their squared lengths."""
        points, count = self.features, len(self.features)
        squares = np.ones(count, "float32")  # for cosine that of zero vectors too: at distance 1 from all
        if self.metric == "cosine":
            points = np.empty_like(self.features)
        step = max(1, _BLOCK // (4 * points.shape[1]))
        for start in range(0, count, step):
            part = self.features[start : start + step]
            if self.metric == "cosine":
                points[start : start + step] = unit_vectors(part)
            else:
                squares[start : start + step] = (part.astype("float64") ** 2).sum(axis=1)
        return points, squares

    def _by_product(self, queries: np.ndarray, number: int) -> Candidates:
        """Find candidates by the score |x|² - 2 x·q, which is |x - q|² - |q|²: one matrix product.

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
        return Candidates(places, beyond, scores[:, :count])

    # ------------------------------------------------------------------------------- l1
    @cached_property
    def _codes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """The features as whole numbers from 0 to 63, and how those are made.

        Returns the codes (d, n), with one more point where n is odd, those features first that differ most among
        the points; that order; the value of code 0 of each feature; and the width of a code, one for all.
        """
        order = np.argsort(-self.features.std(axis=0), kind="stable")
        lows = self.features.min(axis=0).astype("float64")[order]
        sample = self.features[:: max(1, len(self.features) // 4096), order]
        width = float(np.quantile(sample - lows, 0.999)) / _LARGEST_CODE or 1.0
        codes = np.zeros((len(order), len(self.features) + len(self.features) % 2), "int8")
        for row, feature in enumerate(order):
            codes[row, : len(self.features)] = _coded(self.features[:, feature], lows[row], width)
        return codes, order, lows, width

    def _within(self, queries: np.ndarray, bounds: np.ndarray) -> list[np.ndarray]:
        """Return for each query the points whose summed differences are at most its bound, and few others.

        The difference of two codes is less than 1 above that of what they stand for. Those of four features fit
        into one byte; the sums of the points of even and of odd index are kept apart, two bytes each. As a sum
        only grows, points beyond the bound after some of the features need no further look.
        """
        codes, order, lows, width = self._codes
        features, points = codes.shape
        ours = _coded(queries[:, order], lows, width)
        terms, four = np.empty((len(queries), points), "int8"), np.empty((len(queries), points), "uint8")
        pairs = four.view("<u2")
        one_byte = np.empty_like(pairs)
        total = "uint16" if features * _LARGEST_CODE < 2**16 else "uint32"
        even, odd = np.zeros(pairs.shape, total), np.zeros(pairs.shape, total)
        few, look = points // 1000 + 16, max(4, features // 24 * 4)
        for start in range(0, features, 4):
            end = min(start + 4, features)
            four[:] = 0
            for row in range(start, end):
                np.subtract(codes[row], ours[:, row, None], out=terms)
                np.abs(terms, out=terms)
                np.add(four, terms.view("uint8"), out=four)
            even += np.bitwise_and(pairs, 255, out=one_byte)
            odd += np.right_shift(pairs, 8, out=one_byte)
            if end % look == 0 or end == features:
                largest = bounds / width * (1 + 1e-9) + end + 1e-6
                limits = np.minimum(largest, np.iinfo(total).max).astype(total)[:, None]
                inside = np.stack([even <= limits, odd <= limits], axis=2).reshape(len(queries), -1)
                if np.count_nonzero(inside) <= few * len(queries):
                    break
        return [np.flatnonzero(row[: len(self.features)]) for row in inside]


def _coded(values: np.ndarray, lows: np.ndarray, width: float) -> np.ndarray:
    """Return codes `int8` from 0 to 63; what is beyond the last one gets it too, which only lowers differences."""
    return np.clip((values - lows) / width, 0, _LARGEST_CODE).astype("int8")
