"""The distances of a latent space, by their formulas, and the order of the nearest."""

import numpy as np

METRICS = ("l1", "l2", "cosine")
BLOCK = 2**23  # numbers that are held at a time
SPARE = 8  # candidates beyond the neighbours that are asked for


def distances(metric: str, features: np.ndarray, queries: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the distances of queries (q, d) to their candidates, indices (q, c), by the formula in `float64`.

    l1: mean absolute difference. l2: root of the summed squares. cosine: 1 minus the cosine, and not below 0 where
    that rounds; 1 where a vector is zero.
    """
    flat, width = places.ravel(), places.shape[1]
    found = np.empty(len(flat))
    step = max(1, BLOCK // (4 * features.shape[1]))
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
            cosines = (ours * theirs).sum(axis=1) / np.where(lengths > 0, lengths, 1)
            found[pairs] = np.maximum(1 - cosines, 0)
    return found.reshape(places.shape)


def ranked(
    metric: str, features: np.ndarray, queries: np.ndarray, places: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest of the candidates (q, c) and their distances; of equal ones the smaller index first."""
    exact = distances(metric, features, queries, places)
    order = np.lexsort((places, exact))[:, :k]
    return np.take_along_axis(places, order, 1), np.take_along_axis(exact, order, 1)
