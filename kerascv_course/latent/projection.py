"""Maps of the latent space: many features drawn as points in a plane, and how far the map can be trusted."""

from dataclasses import dataclass, field

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
        neighbours: How many nearest neighbours the last two look at: 10, or as many as are fewer than half of the
            images.
    """

    points: np.ndarray = field(repr=False)
    method: str
    engine: str
    perplexity: float | None
    trustworthiness: float
    neighbours_kept: float
    neighbours: int
    _dimension: int = field(repr=False)
    _steps: tuple[Place, ...] = field(repr=False)

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
        for step in self._steps:
            new = step(new)
        return new.astype("float32")


def project(
    features: np.ndarray,
    *,
    method: str = "tsne",
    perplexity: float | None = None,
    pca_components: int | None = 50,
    seed: int = 0,
    engine: str | None = None,
) -> Projection:
    """Draw features as points in a plane.

    Args:
        features: Array (images, features) of finite numbers, at most 1e15 in size, two or more for each image.
        method: "tsne", which keeps neighbours together and does not keep distances between groups, sizes of groups
            or directions; or "pca", the two directions of the largest variance.
        perplexity: About how many neighbours each point of t-SNE attends to: from 1 to a third of the other
            images; by default 30, or that third where there are few.
        pca_components: Features are first reduced to so many by PCA, which t-SNE gets faster by; None leaves them.
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
            images for `perplexity`.
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
    from sklearn.decomposition import PCA  # takes a second

    if pca_components is not None:
        pca_components = check_int(_FUNCTION, "pca_components", pca_components, 2)
    seed = check_int(_FUNCTION, "seed", seed, 0, 2**32 - 1)
    points = check_features(_FUNCTION, "features", features)
    count, dimension = points.shape
    least = 4 if method == "tsne" else 3
    if count < least or dimension < 2:
        raise input_error(_FUNCTION, "features", f"two features or more, of {least} images or more", features)
    if np.ptp(points, axis=0).max() == 0:
        raise input_error(_FUNCTION, "features", "features that differ between images", describe(features))
    plane = PCA(2, random_state=seed).fit(points)
    steps: tuple[Place, ...] = (plane.transform,)
    if method == "pca":
        placed, engine, perplexity = plane.transform(points), "scikit-learn", None
    else:
        most = (count - 1) / 3
        perplexity = check_number(_FUNCTION, "perplexity", min(30, most) if perplexity is None else perplexity, 1)
        if perplexity > most:
            rule = f"at most {most:.4g}, a third of the other images"
            raise input_error(_FUNCTION, "perplexity", rule, perplexity, f"There are {count} images.")
        reduce: Place = np.asarray
        if pca_components is not None and pca_components < min(count, dimension):
            reduce = PCA(pca_components, random_state=seed).fit(points).transform
        draw = by_opentsne if engine == "opentsne" else by_sklearn
        placed, engine, place = draw(reduce(points), plane.transform(points), perplexity, seed)
        steps = (reduce, place)
    neighbours = min(10, (count - 1) // 2)
    quality = map_quality(points, placed, neighbours, seed)
    placed = placed.astype("float32")
    return Projection(placed, method, engine, perplexity, *quality, neighbours, dimension, steps)
