"""SIFT descriptors on a grid, for many images at once."""

from collections.abc import Sequence

import numpy as np
from sklearn.base import BaseEstimator

from kerascv_course._validation import check_choice, check_int, check_number, input_error
from kerascv_course.classic.descriptions import Descriptions, from_maps, in_order, planes, read_images

_BINS, _ORIENTATIONS = 4, 8  # of SIFT: 4x4 histograms of 8 directions
_LARGEST = 0.2  # of SIFT: no value of the normalised descriptor above it, against strong edges


class DenseSift(BaseEstimator):
    """SIFT descriptors on a regular grid, upright, for all images at once.

    Each looks at 4x4 cells, in each of which it sums the gradient by direction, in eight bins; a Gaussian window
    and linear interpolation between cells and directions are those of Lowe. Because window and interpolation can
    be taken along y and x one after the other, and the grid is the same in all images, the sums are two matrix
    products: the values are exact, where fast versions such as VLFeat's replace the window by a constant per cell.
    Neither scikit-image nor OpenCV has a dense SIFT; OpenCV can describe given points, one image at a time, and
    its descriptors, of the image as it smooths it, are these rounded to bytes.

    The descriptors are RootSIFT (Arandjelovic and Zisserman 2012): square roots, after division by the sum. A
    patch without any gradient has none.

    Args:
        step: Pixels between two points, 1 or more.
        bin_sizes: Side of a cell in pixels, 1 or more; one grid for each. The patch is four cells wide and lies
            inside of the image. Above 3 pixels the image is smoothed first, as in VLFeat.
        color: "gray", or "rgb" for the three descriptors of the channels one after the other.

    Example:
        >>> images = np.random.default_rng(0).random((2, 16, 16))
        >>> DenseSift(step=4, bin_sizes=(2, 3)).describe(images)
        <Descriptions: 26 points of 128 dimensions>

    Source: Lorente; Lowe (2004), Vedaldi and Fulkerson (2010).
    """

    _prefer = "threads"  # NumPy lets other threads work meanwhile

    def __init__(self, step: int = 2, bin_sizes: Sequence[float] = (2, 3), *, color: str = "gray") -> None:
        self.step = step
        self.bin_sizes = bin_sizes
        self.color = color

    def describe(self, images: np.ndarray) -> Descriptions:
        """Describe the images.

        Args:
            images: Array (n, h, w), (n, h, w, 1) or (n, h, w, 3) of `uint8` or of floats from 0 to 1.

        Returns:
            128 dimensions for each point, 384 for RGB images and `color="rgb"`.

        Raises:
            TypeError: If `images` or an option has the wrong type.
            ValueError: If `images` or an option is not as above, or the images are smaller than a patch.
        """
        step = check_int("DenseSift", "step", self.step, 1)
        check_choice("DenseSift", "color", self.color, ("gray", "rgb"))
        sizes = self.bin_sizes
        if not isinstance(sizes, list | tuple | np.ndarray) or not len(sizes):
            raise input_error("DenseSift", "bin_sizes", "a list of one or more numbers", sizes, error=TypeError)
        bin_sizes = [check_number("DenseSift", "bin_sizes", size, 1) for size in sizes]
        images = read_images("DenseSift", images)
        count, height, width = images.shape[:3]
        if _BINS * max(bin_sizes) > min(height, width):
            rule = f"sizes whose {_BINS} cells fit into images of {height}x{width} pixels"
            raise input_error("DenseSift", "bin_sizes", rule, sizes, "Take smaller cells, or enlarge the images.")
        parts = []
        for bin_size in bin_sizes:
            rows, y = _window(height, bin_size, step)
            columns, x = _window(width, bin_size, step)
            each = [_sift(plane, rows, columns, bin_size) for plane in planes(images, self.color)]
            maps = np.concatenate([normalise(one) for one in each], axis=2)
            parts.append(from_maps(maps.reshape(count, len(y), len(x), -1), y, x, _BINS * bin_size))
        return in_order(Descriptions(*(np.concatenate(column) for column in zip(*parts, strict=True))))


def _window(side: int, bin_size: float, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of each pixel of an axis in each cell of each point, and where the points lie.

    Returns:
        `float32`, (points * 4, side): interpolation between the cells times the Gaussian window. And (points,).
    """
    reach = _BINS * bin_size / 2
    free = side - 2 * reach
    count = int(free // step) + 1
    # The grid lies in the middle of the image.
    points = reach - 0.5 + (free - (count - 1) * step) / 2 + step * np.arange(count)
    distance = (np.arange(side) - points[:, None]) / bin_size
    centres = np.arange(_BINS) - (_BINS - 1) / 2
    weights = np.maximum(0, 1 - np.abs(distance[:, None] - centres[:, None]))
    weights *= np.exp(-0.5 * (distance / (_BINS / 2)) ** 2)[:, None]
    return weights.reshape(count * _BINS, side).astype("float32"), points


def _sift(plane: np.ndarray, rows: np.ndarray, columns: np.ndarray, bin_size: float) -> np.ndarray:
    """Return the sums of the gradient, (n, points, 128), in OpenCV's order: cell row, cell column, direction."""
    if bin_size > 3:
        from scipy.ndimage import gaussian_filter

        sigma = np.sqrt((bin_size / 6) ** 2 - 0.25)
        plane = gaussian_filter(plane, (0, sigma, sigma), mode="nearest")
    along_x = _directions(plane).reshape(-1, plane.shape[2]) @ columns.T
    sums = rows @ along_x.reshape(_ORIENTATIONS, *plane.shape[:2], -1)  # (8, n, points_y * 4, points_x * 4)
    shape = (_ORIENTATIONS, len(plane), len(rows) // _BINS, _BINS, len(columns) // _BINS, _BINS)
    return sums.reshape(shape).transpose(1, 2, 4, 3, 5, 0).reshape(len(plane), -1, _BINS * _BINS * _ORIENTATIONS)


def _directions(plane: np.ndarray) -> np.ndarray:
    """Return the size of the gradient shared out between the two nearest of eight directions, (8, n, h, w)."""
    padded = np.pad(plane, ((0, 0), (1, 1), (1, 1)), mode="edge")
    up = padded[:, :-2, 1:-1] - padded[:, 2:, 1:-1]
    right = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    size = np.sqrt(up * up + right * right)
    turn = np.arctan2(up, right) * np.float32(_ORIENTATIONS / (2 * np.pi))
    lower = np.floor(turn)
    to_upper = size * (turn - lower)
    to_lower = size - to_upper
    direction = lower.astype("int8") & (_ORIENTATIONS - 1)
    shares = np.zeros((_ORIENTATIONS, *plane.shape), "float32")
    for index in range(_ORIENTATIONS):
        here = direction == index
        np.copyto(shares[index], to_lower, where=here)
        np.copyto(shares[(index + 1) % _ORIENTATIONS], to_upper, where=here)
    return shares


def normalise(descriptors: np.ndarray) -> np.ndarray:
    """Make RootSIFT of the last axis in place and return it; what is flat stays 0."""
    smallest = np.float32(1e-6)  # gradients of half a grey level in a whole patch are far above it
    descriptors /= np.maximum(np.sqrt(np.einsum("...i,...i->...", descriptors, descriptors)), smallest)[..., None]
    np.minimum(descriptors, _LARGEST, out=descriptors)
    descriptors /= np.maximum(descriptors.sum(axis=-1), smallest)[..., None]
    return np.sqrt(descriptors, out=descriptors)
