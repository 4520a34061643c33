"""Local descriptors: what the surroundings of a point look like, as a vector."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from kerascv_course._engines import choose_engine
from kerascv_course._validation import check_int, input_error
from kerascv_course.classic.dense_sift import DenseSift, normalise
from kerascv_course.classic.descriptions import Descriptions, from_maps, in_order, planes, read_images

_RADIUS = 7  # of the outer ring of DAISY, pixels; points keep so far from the border


class Sift(BaseEstimator):
    """SIFT keypoints, where an image has blobs and corners, with their descriptors, turned to their direction.

    Small images have few: 32x32 pixels about ten. An image may have none.

    Args:
        engine: "opencv" (extra `fast`), "skimage" (about fifteen times slower), or None for the first of these
            that is installed. Their keypoints are not the same.

    Example:
        >>> Sift(engine="skimage").describe(np.zeros((1, 16, 16)))
        <Descriptions: 0 points of 128 dimensions>

    Source: Lorente; Lowe (2004).
    """

    _prefer = "processes"  # one image after the other, in Python

    def __init__(self, *, engine: str | None = None) -> None:
        self.engine = engine

    def describe(self, images: np.ndarray) -> Descriptions:
        """Find and describe the keypoints of the images; the arguments and errors are those of `DenseSift`.

        Args:
            images: Array (n, h, w), (n, h, w, 1) or (n, h, w, 3) of `uint8` or of floats from 0 to 1.

        Returns:
            128 dimensions for each keypoint.

        Raises:
            ImportError: If OpenCV is asked for and not installed.
        """
        engine = choose_engine("Sift", self.engine, "opencv", "skimage")
        find = _by_opencv() if engine == "opencv" else _by_skimage
        grey = planes(read_images("Sift", images), "gray")[0]
        each = [find(plane) for plane in grey]
        descriptors, places, sizes = (np.concatenate(column) for column in zip(*each, strict=True))
        images = np.repeat(np.arange(len(each)), [len(found[0]) for found in each])
        words = normalise(descriptors.astype("float32"))
        return in_order(Descriptions(words, places.astype("float64"), sizes.astype("float64"), images))


class Daisy(BaseEstimator):
    """DAISY descriptors of scikit-image on a regular grid: gradient histograms on rings around each point.

    The outer ring has a radius of 7 pixels, so that images are larger than 14.

    Args:
        step: Pixels between two points, 1 or more.

    Example:
        >>> Daisy(step=4).describe(np.random.default_rng(0).random((2, 16, 16)))
        <Descriptions: 2 points of 200 dimensions>

    Source: Lorente; Tola, Lepetit and Fua (2010).
    """

    _prefer = "processes"  # many short steps in Python, which threads take by turns

    def __init__(self, *, step: int = 4) -> None:
        self.step = step

    def describe(self, images: np.ndarray) -> Descriptions:
        """Describe the images; the arguments and errors are those of `DenseSift`.

        Args:
            images: Array (n, h, w), (n, h, w, 1) or (n, h, w, 3) of `uint8` or of floats from 0 to 1.

        Returns:
            200 dimensions for each point: 8 directions in the centre and in 8 places on each of 3 rings.
        """
        from skimage.feature import daisy

        step = check_int("Daisy", "step", self.step, 1)
        images = read_images("Daisy", images)
        if min(images.shape[1:3]) <= 2 * _RADIUS:
            raise input_error("Daisy", "images", f"larger than {2 * _RADIUS} pixels in height and width", images)
        maps = np.stack([daisy(plane, step=step, radius=_RADIUS) for plane in planes(images, "gray")[0]])
        y, x = (_RADIUS + step * np.arange(side) for side in maps.shape[1:3])
        return in_order(from_maps(maps, y, x, 2 * _RADIUS + 1))


DESCRIPTORS: dict[str, Callable[[], Any]] = {"dense_sift": DenseSift, "sift": Sift, "daisy": Daisy}


def _by_opencv() -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    import cv2

    module: Any = cv2  # its types do not know of SIFT
    sift = module.SIFT_create()

    def find(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        points, descriptors = sift.detectAndCompute(np.rint(plane * 255).astype("uint8"), None)
        if descriptors is None:
            return _NONE
        places = np.array([point.pt[::-1] for point in points])
        return descriptors, places, 6.0 * np.array([point.size for point in points])

    return find


def _by_skimage(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from skimage.feature import SIFT

    sift = SIFT()
    try:
        sift.detect_and_extract(plane)
    except RuntimeError as error:
        if "no features" not in str(error):
            raise
        return _NONE
    return sift.descriptors, sift.positions, 12.0 * sift.sigmas


_NONE = (np.zeros((0, 128)), np.zeros((0, 2)), np.zeros(0))
