"""The search in l1: sums of small integers first, the formula for the few points that they leave over.

There is no matrix product for l1: each query meets each point, feature by feature. What makes that fast is to make
the numbers small (a byte instead of four) and to stop early: a sum only grows, so that a point whose sum over some
of the features is too large already needs no further look.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kerascv_course.latent.distances import SPARE, ranked

LARGEST_CODE = 63  # of a feature: four of them fit into a byte
_TOGETHER = 4  # queries that look at each point


class Codes:
    """The rows of an array `float32` (n, d) with each feature as an integer from 0 to 63, a byte.

    The code of a value is how many widths it lies above the smallest value of its feature, rounded down. The
    difference of two codes is then less than 1 above the difference of the values, in widths.

    Attributes:
        features: The array.
        codes: (d, n), with one more point where n is odd; first the features that differ most among the points.
        order: The order of the features.
        lows: The smallest value of each feature, in that order.
        width: One for all features.
    """

    def __init__(self, features: np.ndarray) -> None:
        count = len(features)
        self.features = features
        self.order = np.argsort(-features.std(axis=0), kind="stable")
        self.lows = features.min(axis=0).astype("float64")[self.order]
        sample = features[:: max(1, count // 4096), self.order]
        self.width = float(np.quantile(sample - self.lows, 0.999)) / LARGEST_CODE or 1.0
        self.codes = np.zeros((len(self.order), count + count % 2), "int8")
        for row, feature in enumerate(self.order):
            self.codes[row, :count] = self._coded(features[:, feature], self.lows[row])

    def _coded(self, values: np.ndarray, lows: np.ndarray) -> np.ndarray:
        """Return codes; what lies beyond the last one gets it too, which only lowers differences."""
        return np.clip((values - lows) / self.width, 0, LARGEST_CODE).astype("int8")

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return indices and distances of the k nearest of each query, (q, k), `int64` and `float64`."""
        parts = [queries[start : start + _TOGETHER] for start in range(0, len(queries), _TOGETHER)]
        places, near = np.empty((len(queries), k), "int64"), np.empty((len(queries), k))
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # NumPy computes in parallel
            rows = (row for found in pool.map(lambda part: self._search_part(part, k), parts) for row in found)
            for row, (ours, theirs) in enumerate(rows):
                places[row], near[row] = ours, theirs
        return places, near

    def _search_part(self, queries: np.ndarray, k: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the k nearest of few queries.

        Differences of four features are summed in one byte. Points are looked at in pairs, an even and an odd one,
        whose bytes make one number of two; their sums over all features are kept apart, and the smaller one
        decides whether both stay.
        """
        features, points = self.codes.shape
        ours = self._coded(queries[:, self.order], self.lows)
        terms, four = np.empty((len(queries), points), "int8"), np.empty((len(queries), points), "uint8")
        pairs = four.view("<u2")
        one_byte = np.empty_like(pairs)
        total = "uint16" if features * LARGEST_CODE < 2**16 else "uint32"
        even, odd = np.zeros(pairs.shape, total), np.zeros(pairs.shape, total)
        smaller = np.empty_like(even)
        few, look = points // 200 + 16, max(4, features // 12 * 4)
        bounds = np.full(len(queries), np.inf)
        for start in range(0, features, 4):
            end = min(start + 4, features)
            four[:] = 0
            for row in range(start, end):
                np.subtract(self.codes[row], ours[:, row, None], out=terms)
                np.abs(terms, out=terms)
                np.add(four, terms.view("uint8"), out=four)
            even += np.bitwise_and(pairs, 255, out=one_byte)
            odd += np.right_shift(pairs, 8, out=one_byte)
            if end % look == 0 or end == features:
                np.minimum(even, odd, out=smaller)
                bounds = np.minimum(bounds, self._reached(queries, smaller, k))
                largest = bounds / self.width * (1 + 1e-9) + end + 1e-6
                limits = np.minimum(largest, np.iinfo(total).max).astype(total)[:, None]
                inside = smaller <= limits
                if np.count_nonzero(inside) <= few * len(queries):
                    break
        return [
            self._nearest_of(query, np.flatnonzero(row), k) for query, row in zip(queries, inside, strict=True)
        ]

    def _reached(self, queries: np.ndarray, sums: np.ndarray, k: int) -> np.ndarray:
        """Return for each query a sum of differences within which there are k points.

        They are looked for among the pairs with the smallest sums so far: those that are at most what some groups
        of pairs, `columns` of a grid, have as their smallest one.
        """
        number, pairs = k + SPARE, sums.shape[1]
        rows = max(1, min(32, pairs // (4 * number)))
        columns = pairs // rows
        if columns < number:  # hardly more points than are asked for
            return np.full(len(queries), np.inf)
        smallest = sums[:, : rows * columns].reshape(len(sums), rows, columns).min(axis=1)
        enough = np.partition(smallest, number - 1, axis=1)[:, number - 1, None]
        near = [
            self._nearest_of(query, np.flatnonzero(row)[: 2 * number], k)[1][-1]
            for query, row in zip(queries, sums <= enough, strict=True)
        ]
        return np.array(near) * self.features.shape[1] * (1 + 1e-9) + 1e-30

    def _nearest_of(self, query: np.ndarray, pairs: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the k nearest points of the pairs and their distances, by the formula."""
        places = np.stack([2 * pairs, 2 * pairs + 1], axis=1).ravel()
        places = places[places < len(self.features)]
        found, near = ranked("l1", self.features, query[None], places[None], k)
        return found[0], near[0]
