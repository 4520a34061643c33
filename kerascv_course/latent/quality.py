"""How well the neighbourhoods of a map are those of the features."""

import numpy as np

_ALL_UP_TO = 2000  # points; of more, the neighbourhoods of a sample are looked at
_SAMPLE = 1000
_BLOCK = 2**22  # distances that are held at a time


def map_quality(features: np.ndarray, points: np.ndarray, neighbours: int, seed: int) -> tuple[float, float]:
    """Return the trustworthiness of a map, and the mean share of the nearest neighbours that it keeps.

    Above 2,000 points both are means over 1,000 of them; the neighbours of these are sought among all points.
    """
    from sklearn.metrics import pairwise_distances

    count = len(features)
    rows = np.arange(count)
    if count > _ALL_UP_TO:
        rows = np.sort(np.random.default_rng(seed).choice(count, _SAMPLE, replace=False))
    penalty, kept = 0, 0
    step = max(1, _BLOCK // count)
    for start in range(0, len(rows), step):
        chosen = rows[start : start + step]
        own = (np.arange(len(chosen)), chosen)
        far, near = pairwise_distances(features[chosen], features), pairwise_distances(points[chosen], points)
        far[own] = near[own] = np.inf  # a point is no neighbour of itself
        in_features = np.argpartition(far, neighbours, axis=1)[:, :neighbours]
        in_map = np.argpartition(near, neighbours, axis=1)[:, :neighbours]
        for row, distances in enumerate(far):
            ranks = 1 + (distances < distances[in_map[row], None]).sum(axis=1)
            penalty += int(np.maximum(ranks - neighbours, 0).sum())
            kept += len(np.intersect1d(in_features[row], in_map[row]))
    pairs = len(rows) * neighbours
    worst = pairs * (2 * count - 3 * neighbours - 1) / 2
    return 1 - penalty / worst, kept / pairs
