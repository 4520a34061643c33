"""t-SNE by the engine that is installed; its neighbours are exact, and both engines start at the same points."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Place = Callable[[np.ndarray], np.ndarray]
_FFT_FROM = 3000  # points; below it the grid of the FFT costs more than it saves
# Width of a cell of the FFT's grid, 1 by default. With 2 a map of 10,000 points takes half the time; its
# trustworthiness is the same to the third digit, its divergence 3 % larger.
_GRID = 2
_THREADS_FROM = 1000  # points; of fewer, threads wait for each other longer than they compute
_PLACED_BY = 5  # nearest points between which scikit-learn's map takes a new one


class Map(NamedTuple):
    """What an engine returns: the points, its name, and how new features are placed."""

    points: np.ndarray
    engine: str
    place: Place


def by_opentsne(features: np.ndarray, start: np.ndarray, perplexity: float, seed: int) -> Map:
    """Run openTSNE on features (n, d), of which `start` are the first two principal components."""
    from openTSNE import TSNE

    features = np.ascontiguousarray(features, "float32")
    gradient = "fft" if len(features) >= _FFT_FROM else "bh"
    settings = TSNE(
        perplexity=perplexity,
        initialization=_small(start),
        negative_gradient_method=gradient,
        ints_in_interval=_GRID,
        neighbors="exact",  # by itself openTSNE takes approximate ones
        n_jobs=-1 if len(features) >= _THREADS_FROM else 1,
        random_state=seed,
    )
    found = settings.fit(features)
    engine = f"openTSNE ({'FFT' if gradient == 'fft' else 'Barnes-Hut'})"
    return Map(np.asarray(found), engine, _Placing(found))


class _Placing:
    """Places new features into a map of openTSNE, which stays as it is, so that copies share it.

    It is an array, whose own deep copy would have the numbers alone.
    """

    def __init__(self, embedding: Any) -> None:
        self.embedding = embedding

    def __call__(self, features: np.ndarray) -> np.ndarray:
        return np.asarray(self.embedding.transform(np.ascontiguousarray(features, "float32")))

    def __deepcopy__(self, memo: Any) -> "_Placing":
        return self


def by_sklearn(features: np.ndarray, start: np.ndarray, perplexity: float, seed: int) -> Map:
    """Run scikit-learn's t-SNE on features (n, d), of which `start` are the first two principal components."""
    from sklearn.manifold import TSNE
    from sklearn.neighbors import KNeighborsRegressor
    from threadpoolctl import threadpool_limits

    features = np.ascontiguousarray(features, "float32")
    settings = TSNE(perplexity=perplexity, init=_small(start).astype("float32"), random_state=seed, n_jobs=-1)
    threads = None if len(features) >= _THREADS_FROM else 1
    with threadpool_limits(threads, user_api="openmp"):
        points = settings.fit_transform(features)
    between = KNeighborsRegressor(min(_PLACED_BY, len(features)), weights="distance").fit(features, points)
    return Map(points, "scikit-learn", between.predict)


def _small(start: np.ndarray) -> np.ndarray:
    """Return the points so close together that t-SNE can still move them past each other."""
    return start * (1e-4 / start[:, 0].std())
