"""Features thought out by hand, for depth maps of parcels."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from kerascv_course._validation import as_numbers, check_int, check_number, input_error

_FUNCTION = "ParcelFeatures"
_FIRST = ("area", "perimeter", "longest_diagonal", "other_diagonal", "mean_height", "height_std")


class ParcelFeatures(TransformerMixin, BaseEstimator):
    """Measure parcels in depth maps: a transformer of scikit-learn, (n, height, width) in and a table out.

    The parcel is all that is higher than `min_height`, be it one piece or two. A map without one gives zeros.

    * `area`: its pixels. `perimeter`: the length of its outline through the centres of the pixels at its border.
    * `longest_diagonal`: the largest distance between two of its corners. `other_diagonal`: the distance between
      the corners that lie farthest from that line, one on each side. A rectangle has both alike, whichever way it
      is turned; an envelope with a bent corner, or two parcels side by side, have not. In pixels.
    * `mean_height` and `height_std`: of its pixels. `height_share_0` and so on: the share of its pixels in each of
      `height_bins` equal ranges from `min_height` to `max_height`; what is above is in the last.

    Args:
        min_height: What is higher than this is parcel and not belt or noise, in the unit of the maps; 0 or more.
        max_height: End of the last range of heights; above `min_height`.
        height_bins: Number of ranges, 1 or more.

    Example:
        >>> depth = np.zeros((1, 20, 20), "uint8")
        >>> depth[0, 4:10, 4:12] = 100  # 6x8 pixels
        >>> ParcelFeatures(height_bins=2).fit_transform(depth).round(1).tolist()
        [[48.0, 24.0, 10.0, 10.0, 100.0, 0.0, 1.0, 0.0]]

    Source: Boracchi (the parcel project).
    """

    def __init__(self, *, min_height: float = 8, max_height: float = 255, height_bins: int = 8) -> None:
        self.min_height = min_height
        self.max_height = max_height
        self.height_bins = height_bins

    def fit(self, images: np.ndarray, y: Any = None) -> "ParcelFeatures":
        """Check options and maps: there is nothing to learn.

        Args:
            images: Depth maps, (n, height, width) or (n, height, width, 1), `uint8` or finite floats of 0 or more.
            y: Not used.

        Returns:
            The estimator itself.

        Raises:
            TypeError: If `images` or an option has the wrong type.
            ValueError: If `images` or an option is not as above.
        """
        self._check_options()
        self._check_maps(images)
        return self

    def transform(self, images: np.ndarray) -> np.ndarray:
        """Return the features of each map.

        Args:
            images: As for `fit`.

        Returns:
            `float64`, (n, features), in the order of `get_feature_names_out`.

        Raises:
            TypeError: If `images` or an option has the wrong type.
            ValueError: If `images` or an option is not as above.
        """
        low, high, bins = self._check_options()
        edges = np.linspace(low, high, bins + 1)[1:-1]
        return np.stack([_measure(depth, low, edges) for depth in self._check_maps(images)])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the features, as strings in an array of objects.

        Args:
            input_features: Not used: images have no names of features.
        """
        shares = [f"height_share_{index}" for index in range(self._check_options()[2])]
        return np.array([*_FIRST, *shares], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn that `fit` may be left out."""
        return True

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that this takes images, not a table, and learns nothing."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.requires_fit = False
        return tags

    def _check_options(self) -> tuple[float, float, int]:
        low = check_number(_FUNCTION, "min_height", self.min_height, 0)
        high = check_number(_FUNCTION, "max_height", self.max_height, 0)
        if high <= low:
            raise input_error(_FUNCTION, "max_height", f"above `min_height`, {low:g}", self.max_height)
        return low, high, check_int(_FUNCTION, "height_bins", self.height_bins, 1)

    @staticmethod
    def _check_maps(images: Any) -> np.ndarray:
        rule = "depth maps, shape (n, height, width) or (n, height, width, 1)"
        found = as_numbers(_FUNCTION, "images", images, rule)
        maps = found[..., 0] if found.ndim == 4 and found.shape[3] == 1 else found
        if maps.ndim != 3 or not maps.size:
            way_out = "Give a single map an axis with `[None]`." if found.ndim == 2 else ""
            raise input_error(_FUNCTION, "images", rule, found, way_out)
        if maps.min() < 0:
            received = f"values from {maps.min():g} to {maps.max():g}"
            raise input_error(_FUNCTION, "images", "finite heights of 0 or more", received)
        return maps


def _measure(depth: np.ndarray, low: float, edges: np.ndarray) -> np.ndarray:
    from skimage.measure import perimeter

    mask = depth > low
    heights = depth[mask].astype("float64")
    if not heights.size:
        return np.zeros(len(_FIRST) + len(edges) + 1)
    shares = np.bincount(np.digitize(heights, edges), minlength=len(edges) + 1) / heights.size
    longest, other = _diagonals(mask)
    return np.array([heights.size, perimeter(mask), longest, other, heights.mean(), heights.std(), *shares])


def _diagonals(mask: np.ndarray) -> tuple[float, float]:
    """Return both diagonals of what the mask shows, between corners of pixels."""
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import cdist

    # The outermost pixels of each row have all corners of the hull.
    rows = np.flatnonzero(mask.any(axis=1))
    left = mask[rows].argmax(axis=1)
    right = mask.shape[1] - mask[rows, ::-1].argmax(axis=1)
    ends = [(rows, left), (rows + 1, left), (rows, right), (rows + 1, right)]
    corners = np.concatenate([np.stack(end, axis=1) for end in ends])
    hull = corners[ConvexHull(corners).vertices].astype("float64")
    distances = cdist(hull, hull)
    first, second = np.unravel_index(distances.argmax(), distances.shape)
    along = hull[second] - hull[first]
    offset = hull - hull[first]
    side = along[0] * offset[:, 1] - along[1] * offset[:, 0]
    return float(distances.max()), float(distances[side.argmin(), side.argmax()])
