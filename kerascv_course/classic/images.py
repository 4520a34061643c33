"""What the descriptors ask of images."""

from typing import Any

import numpy as np

from kerascv_course._validation import input_error

_LUMA = (0.299, 0.587, 0.114)  # red, green and blue in grey: ITU-R BT.601


def check_images(function: str, images: Any, *, channels: tuple[int, ...] | None = (1, 3)) -> np.ndarray:
    """Return images as an array (n, h, w, c), not copied, or raise.

    Args:
        function: Name of the public function that was called.
        images: Array (n, h, w) or (n, h, w, c) of `uint8` or of finite floats.
        channels: Which numbers of channels may be; None for any. With them, floats must be from 0 to 1.

    Raises:
        TypeError: If it is no array of `uint8` or floats.
        ValueError: If shape or values are not as above.
    """
    if not isinstance(images, np.ndarray) or (images.dtype != np.uint8 and images.dtype.kind != "f"):
        rule = "a NumPy array of uint8 or floats"
        raise input_error(function, "images", rule, images, error=TypeError)
    rule = "images of one size, shape (n, height, width) or (n, height, width, channels)"
    if images.ndim not in (3, 4) or not images.size:
        way_out = "Give a single image an axis with `[None]`." if images.ndim == 2 else ""
        raise input_error(function, "images", rule, images, way_out)
    if images.ndim == 3 and images.shape[2] in (1, 3) and images.shape[1] > 3:  # (h, w, 3) is one colour image
        raise input_error(function, "images", rule, images, "Give a single image an axis with `[None]`.")
    found = images[..., None] if images.ndim == 3 else images
    if channels and found.shape[3] not in channels:
        raise input_error(function, "images", f"images with {' or '.join(map(str, channels))} channels", images)
    if found.dtype != np.uint8:
        low, high = float(found.min()), float(found.max())  # NaN where one of the values is NaN
        received = f"values from {low:g} to {high:g}"
        if not np.isfinite(low + high):
            raise input_error(function, "images", "finite", received)
        if channels and not (low >= -1e-5 and high <= 1 + 1e-5):
            way_out = "Convert values from 0 to 255 with `images.astype('uint8')`."
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
