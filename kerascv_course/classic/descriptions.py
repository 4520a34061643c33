"""What descriptors take and give: images, and the record in which local descriptors arrive."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from kerascv_course._validation import as_numbers, input_error

_LUMA = (0.299, 0.587, 0.114)  # red, green and blue in grey: ITU-R BT.601


class Descriptions(NamedTuple):
    """The local descriptors of several images.

    Args:
        descriptors: One vector per point, `float32`, (points, dimensions); the points of the first image first.
        positions: Where the points lie, y and x in pixels, 0 at the centre of the first pixel, (points, 2).
        sizes: Side of the square that each descriptor looks at, pixels, (points,).
        images: Index of the image that each point belongs to, (points,).
    """

    descriptors: np.ndarray
    positions: np.ndarray
    sizes: np.ndarray
    images: np.ndarray

    def __repr__(self) -> str:
        """Return how many there are."""
        return f"<Descriptions: {len(self.descriptors):,} points of {self.descriptors.shape[1]} dimensions>"


def in_order(found: Descriptions) -> Descriptions:
    """Return the points image by image, without those that have no gradient at all.

    What has none has no direction, and would be a word of its own.
    """
    keep = np.flatnonzero(found.descriptors.any(axis=1))
    keep = keep[np.argsort(found.images[keep], kind="stable")]
    return Descriptions(*(part[keep] for part in found))


def from_maps(maps: np.ndarray, y: np.ndarray, x: np.ndarray, size: float) -> Descriptions:
    """Return maps of descriptors (n, rows, columns, dimensions), whose points lie at all pairs of `y` and `x`."""
    positions = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2).astype("float64")
    count, points = len(maps), len(positions)
    return Descriptions(
        np.ascontiguousarray(maps, "float32").reshape(count * points, -1),
        np.tile(positions, (count, 1)),
        np.full(count * points, float(size)),
        np.repeat(np.arange(count), points),
    )


def describe_with(function: str, call: Callable[[np.ndarray], Any], images: np.ndarray) -> Descriptions:
    """Return what a user's callable says of images (n, h, w, c), or raise where it is of the wrong shape."""
    answer = call(images)
    if isinstance(answer, Descriptions):
        return answer
    count, height, width = images.shape[:3]
    rule = f"a callable that returns finite numbers ({count}, rows, columns, dimensions) for {count} images"
    maps = as_numbers(function, "descriptor", answer, rule)
    if maps.ndim != 4 or len(maps) != count or not maps.size:
        raise input_error(function, "descriptor", rule, maps)
    sides = zip(maps.shape[1:3], (height, width), strict=True)
    y, x = ((np.arange(n) + 0.5) * side / n - 0.5 for n, side in sides)
    return from_maps(maps, y, x, height / maps.shape[1])


# Images


def read_images(function: str, images: Any, *, channels: tuple[int, ...] | None = (1, 3)) -> np.ndarray:
    """Return images as an array (n, h, w, c) of `uint8` or floats, not copied where they are one, or raise.

    Images are (n, h, w) or (n, h, w, c). `channels` says how many there may be, None any number. With them, floats
    must be from 0 to 1, and integers from 0 to 255.
    """
    rule = "images of one size, shape (n, height, width) or (n, height, width, channels)"
    found = as_numbers(function, "images", images, rule)
    is_grey = found.ndim == 3 and not (found.shape[2] in (1, 3) and found.shape[1] > 3)  # one colour image
    if not found.size or not (is_grey or found.ndim == 4):
        way_out = "Give a single image an axis with `[None]`." if found.ndim in (2, 3) else ""
        raise input_error(function, "images", rule, found, way_out)
    found = found[..., None] if is_grey else found
    if channels and found.shape[3] not in channels:
        raise input_error(function, "images", f"images with {' or '.join(map(str, channels))} channels", found)
    low, high = (0, 255) if found.dtype == np.uint8 else (float(found.min()), float(found.max()))
    if found.dtype.kind in "iu" and low >= 0 and high <= 255:
        return found.astype("uint8", copy=False)
    if found.dtype.kind in "iu" or (channels and not (low >= -1e-5 and high <= 1 + 1e-5)):
        way_out = "Convert values from 0 to 255 with `images.astype('uint8')`."
        received = f"values from {low:g} to {high:g}"
        raise input_error(function, "images", "uint8, or floats from 0 to 1", received, way_out)
    return found


def planes(images: np.ndarray, color: str) -> list[np.ndarray]:
    """Return the planes (n, h, w) that are described: one of grey, or one per channel; `float32` from 0 to 1."""
    scaled = images.astype("float32", order="C")
    if images.dtype == np.uint8:
        scaled /= 255
    if images.shape[3] == 1:
        return [scaled[..., 0]]
    if color == "gray":
        # Not a matrix product, whose last digit depends on how many images there are.
        red, green, blue = (np.float32(_LUMA[index]) * scaled[..., index] for index in range(3))
        return [red + green + blue]
    return [np.ascontiguousarray(scaled[..., channel]) for channel in range(3)]
