"""Features thought out by hand, for depth maps of parcels."""

import numpy as np

from kerascv_course._validation import check_images, check_number, input_error

_SHARES = 8  # ranges of heights
PARCEL_FEATURES = (
    "area",
    "perimeter",
    "longest_diagonal",
    "other_diagonal",
    "mean_height",
    "height_std",
    *(f"height_share_{index}" for index in range(_SHARES)),
)


def parcel_features(images: np.ndarray, *, min_height: float = 8, max_height: float = 255) -> np.ndarray:
    """Measure the parcel in each depth map.

    The parcel is all that is higher than `min_height`, be it one piece or two. A map without one gives zeros.
    `sklearn.preprocessing.FunctionTransformer(parcel_features)` goes before a classifier. `PARCEL_FEATURES` has
    the names:

    * `area`: its pixels. `perimeter`: the length of its outline through the centres of the pixels at its border.
    * `longest_diagonal`: the largest distance between two of its corners. `other_diagonal`: the distance between
      the corners that lie farthest from that line, one on each side. A rectangle has both alike, whichever way it
      is turned; an envelope with a bent corner, or two parcels side by side, have not. In pixels.
    * `mean_height` and `height_std`: of its pixels. `height_share_0` to `height_share_7`: the share of its pixels
      in each of eight equal ranges from `min_height` to `max_height`; what is above is in the last.

    Args:
        images: Depth maps, (n, height, width, 1), finite.
        min_height: What is higher than this is parcel and not belt or noise, in the unit of the maps; 0 or more.
        max_height: End of the last range of heights; above `min_height`.

    Returns:
        `float64`, (n, 14), in the order of `PARCEL_FEATURES`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is not as above.

    Example:
        >>> depth = np.zeros((1, 20, 20, 1), "uint8")
        >>> depth[0, 4:10, 4:12] = 100  # 6x8 pixels
        >>> parcel_features(depth).round(1)[0, :6].tolist()
        [48.0, 24.0, 10.0, 10.0, 100.0, 0.0]

    Source: Boracchi (the parcel project).
    """
    low = check_number("parcel_features", "min_height", min_height, 0)
    high = check_number("parcel_features", "max_height", max_height, 0)
    if high <= low:
        raise input_error("parcel_features", "max_height", f"above `min_height`, {low:g}", max_height)
    maps = check_images("parcel_features", "images", images)
    if maps.shape[3] != 1:
        raise input_error("parcel_features", "images", "depth maps, (n, height, width, 1)", maps)
    edges = np.linspace(low, high, _SHARES + 1)[1:-1]
    return np.stack([_measure(depth, low, edges) for depth in maps[..., 0]])


def _measure(depth: np.ndarray, low: float, edges: np.ndarray) -> np.ndarray:
    from skimage.measure import perimeter

    mask = depth > low
    heights = depth[mask].astype("float64")
    if not heights.size:
        return np.zeros(len(PARCEL_FEATURES))
    shares = np.bincount(np.digitize(heights, edges), minlength=_SHARES) / heights.size
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
