"""Features thought out by hand, for depth maps of parcels."""

import numpy as np

from kerascv_course._validation import check_images, input_error

_LOW, _HIGH, _SHARES = 8, 255, 8  # millimetres, and ranges of heights between them
PARCEL_FEATURES = (
    *("area", "perimeter", "longest_diagonal", "other_diagonal", "mean_height", "height_std"),
    *(f"height_share_{index}" for index in range(_SHARES)),
)


def parcel_features(images: np.ndarray) -> np.ndarray:
    """Measure the parcel in each depth map.

    The parcel is all that is higher than 8 mm, be it one piece or two; what is lower is belt or noise. A map
    without a parcel gives zeros. `sklearn.preprocessing.FunctionTransformer(parcel_features)` goes before a
    classifier. `PARCEL_FEATURES` has the names:

    * `area`: its pixels. `perimeter`: the length of its outline through the centres of the pixels at its border.
    * `longest_diagonal`: the largest distance between two of its corners. `other_diagonal`: the distance between
      the corners that lie farthest from that line, one on each side. A rectangle has both alike, whichever way it
      is turned; an envelope with a bent corner, or two parcels side by side, have not. In pixels.
    * `mean_height` and `height_std`: of its pixels. `height_share_0` to `height_share_7`: the share of its pixels
      in each of eight equal ranges from 8 to 255 mm; what is above is in the last.

    Args:
        images: Depth maps, (n, height, width, 1), finite.

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
    maps = check_images("parcel_features", "images", images)
    if maps.shape[3] != 1:
        raise input_error("parcel_features", "images", "depth maps, (n, height, width, 1)", maps)
    return np.stack([_measure(depth) for depth in maps[..., 0]])


def _measure(depth: np.ndarray) -> np.ndarray:
    from skimage.measure import perimeter

    mask = depth > _LOW
    heights = depth[mask].astype("float64")
    if not heights.size:
        return np.zeros(len(PARCEL_FEATURES))
    shares = np.histogram(np.minimum(heights, _HIGH), _SHARES, (_LOW, _HIGH))[0] / heights.size
    longest, other = _diagonals(mask)
    return np.array([heights.size, perimeter(mask), longest, other, heights.mean(), heights.std(), *shares])


def _diagonals(mask: np.ndarray) -> tuple[float, float]:
    """Return both diagonals of what the mask shows, between corners of pixels."""
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import cdist

    pixels = np.argwhere(mask)
    corners = np.concatenate([pixels + corner for corner in ((0, 0), (0, 1), (1, 0), (1, 1))])
    hull = corners[ConvexHull(corners).vertices].astype("float64")
    distances = cdist(hull, hull)
    first, second = np.unravel_index(distances.argmax(), distances.shape)
    along = hull[second] - hull[first]
    offset = hull - hull[first]
    side = along[0] * offset[:, 1] - along[1] * offset[:, 0]
    return float(distances.max()), float(distances[side.argmin(), side.argmax()])
