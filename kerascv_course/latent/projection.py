"""Maps of the latent space: many features drawn as points in a plane, and how far the map can be trusted."""

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from kerascv_course._engines import choose_engine
from kerascv_course._validation import check_choice, check_features, check_int, check_number, describe, input_error
from kerascv_course.latent.quality import map_quality
from kerascv_course.latent.tsne import Place, by_opentsne, by_sklearn

_FUNCTION = "project"


@dataclass(frozen=True, eq=False)
class Projection:
    """A map, and what is known of its quality.

    Attributes:
        points: One point for each row of the features, `float32`, (images, 2).
        method: "tsne" or "pca".
        engine: What computed it: "scikit-learn", "openTSNE (Barnes-Hut)" or "openTSNE (FFT)".
        perplexity: That of t-SNE, or None.
        trustworthiness: From 0 to 1. It falls for every point that is a neighbour in the map but not in the
            features, the more the farther it is there.
        neighbours_kept: Mean share of a point's nearest neighbours that are its neighbours in the map too, from 0
            to 1.
        neighbours: How many nearest neighbours the last two look at.
        kl_divergence: What t-SNE minimizes, at its end; comparable only for the same features and perplexity; or
            None.
    """

    points: np.ndarray = field(repr=False)
    method: str
    engine: str
    perplexity: float | None
    trustworthiness: float
    neighbours_kept: float
    neighbours: int
    kl_divergence: float | None
    _dimension: int = field(repr=False)
    _place: Place = field(repr=False)

    @property
    def caption(self) -> str:
        """One sentence on the map, for a figure."""
        name = f"t-SNE, perplexity {self.perplexity:g}" if self.method == "tsne" else "PCA"
        return (
            f"{name}, {len(self.points):,} points, {self.engine}: trustworthiness {self.trustworthiness:.3f}, "
            f"{self.neighbours_kept:.0%} of the {self.neighbours} nearest neighbours kept."
        )

    def place(self, features: np.ndarray) -> np.ndarray:
        """Place new features into the map, which stays as it is.

        PCA: by the same two directions. openTSNE: where t-SNE would have each new point, all others held. t-SNE of
        scikit-learn, which cannot do that: the mean position of the 5 points with the nearest features, weighted
        by the inverse of their distance.

        Args:
            features: Array (new images, features), of the features that the map was made of.

        Returns:
            Their points, `float32`, (new images, 2).

        Raises:
            TypeError: If `features` is no array of numbers.
            ValueError: If they do not fit the map or are not finite.
        """
        new = check_features("Projection.place", "features", features, width=self._dimension)
        return self._place(new).astype("float32")


def project(
    features: np.ndarray,
    *,
    method: str = "tsne",
    perplexity: float | None = None,
    pca_components: int | None = 50,
    neighbours: int | None = None,
    seed: int = 0,
    engine: str | None = None,
) -> Projection:
    """Draw features as points in a plane.

    Args:
        features: Array (images, features) of finite numbers, at most 1e15 in size.
        method: "tsne", which keeps neighbours together and does not keep distances between groups, sizes of groups
            or directions; or "pca", the two directions of the largest variance.
        perplexity: About how many neighbours each point of t-SNE attends to: from 1 to a third of the other
            images; by default 30, or that third where there are few.
        pca_components: Features are first reduced to so many by PCA, which t-SNE gets faster by; None leaves them.
        neighbours: How many nearest neighbours the measures of quality look at: fewer than half of the images; by
            default 10, or as many as there can be.
        seed: Of what is random: the points whose neighbourhoods are compared. Both engines start from PCA; the
            same features give the same map on the same machine.
        engine: "opentsne" (extra `latent`), by Barnes-Hut below 3,000 images and by FFT from there; "sklearn"; or
            None for the first of these that is installed.

    Returns:
        The map with its quality. Above 2,000 images that is estimated from the neighbourhoods, among all images,
        of 1,000 that `seed` draws.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the features are not as above or all alike, an option is not known, or there are too few
            images for `perplexity` or `neighbours`.
        ImportError: If openTSNE is asked for and not installed.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> two_groups = rng.normal(size=(60, 8)) + 9 * np.repeat([[0], [1]], 30, axis=0)
        >>> found = project(two_groups, method="pca")
        >>> found.points.shape, found.place(two_groups[:1]).shape, found.trustworthiness > 0.8
        ((60, 2), (1, 2), True)

    Source: Boracchi (t-SNE of the latent space); van der Maaten and Hinton (2008); Venna and Kaski (2001) for the
    trustworthiness.
    """
    if check_choice(_FUNCTION, "method", method, ("tsne", "pca")) == "pca":
        check_choice(_FUNCTION, "engine", engine, (None, "sklearn"))
    else:
        engine = choose_engine(_FUNCTION, engine, "opentsne", "sklearn")
    if pca_components is not None:
        pca_components = check_int(_FUNCTION, "pca_components", pca_components, 2)
    seed = check_int(_FUNCTION, "seed", seed, 0, 2**32 - 1)
    points = check_features(_FUNCTION, "features", features)
    count, dimension = points.shape
    least = 4 if method == "tsne" else 3
    if count < least:
        raise input_error(_FUNCTION, "features", f"those of {least} images or more", features)
    if np.ptp(points, axis=0).max() == 0:
        raise input_error(_FUNCTION, "features", "features that differ between images", describe(features))
    way_out = f"There are {count} images."
    neighbours = check_int(
        _FUNCTION, "neighbours", min(10, (count - 1) // 2) if neighbours is None else neighbours, 1
    )
    if 2 * neighbours >= count:
        raise input_error(_FUNCTION, "neighbours", "fewer than half of the images", neighbours, way_out)
    reduce: Place = np.asarray
    if method == "pca":
        reduce = _principal_components(points, 2, seed)
        place, placed, name, divergence = reduce, reduce(points), "scikit-learn", None
    else:
        most = (count - 1) / 3
        perplexity = check_number(_FUNCTION, "perplexity", min(30, most) if perplexity is None else perplexity, 1)
        if perplexity > most:
            rule = f"at most {most:.4g}, a third of the other images"
            raise input_error(_FUNCTION, "perplexity", rule, perplexity, way_out)
        start = _principal_components(points, 2, seed)(points)
        if pca_components is not None and pca_components < min(count, dimension):
            reduce = _principal_components(points, pca_components, seed)
        found = (by_opentsne if engine == "opentsne" else by_sklearn)(reduce(points), start, perplexity, seed)
        placed, name, divergence = found.points, found.engine, found.kl_divergence
        place = partial(_chained, reduce, found.place)
    trust, kept = map_quality(points, placed, neighbours, seed)
    used = perplexity if method == "tsne" else None
    placed = placed.astype("float32")
    return Projection(placed, method, name, used, trust, kept, neighbours, divergence, dimension, place)


def _principal_components(features: np.ndarray, count: int, seed: int) -> Place:
    """Return the function that gives the coordinates of features in the directions of the largest variance.

    The sign of a direction is free: here the largest of its numbers is positive.
    """
    from sklearn.decomposition import PCA

    found = PCA(min(count, *features.shape), random_state=seed).fit(features)
    directions = found.components_
    largest = np.abs(directions).argmax(axis=1)
    directions = directions * np.sign(directions[np.arange(len(directions)), largest])[:, None]
    # Of a single feature there is one direction; a map has two coordinates.
    directions = np.pad(directions, ((0, max(0, 2 - len(directions))), (0, 0)))

    return partial(_coordinates, found.mean_, directions)


# Functions that can be pickled, for `Projection.place`.


def _coordinates(mean: np.ndarray, directions: np.ndarray, features: np.ndarray) -> np.ndarray:
    return (features - mean) @ directions.T


def _chained(first: Place, then: Place, features: np.ndarray) -> np.ndarray:
    return then(first(features))
