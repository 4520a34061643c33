"""Many small images, points and classes: what the figures of the latent space take."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from kerascv_course._validation import input_error
from kerascv_course.plotting.style import check_texts

# Paul Tol's muted colours and black: told apart without red and green, also in print.
CLASS_COLORS = (
    "#332288",
    "#CC6677",
    "#117733",
    "#DDAA33",
    "#88CCEE",
    "#882255",
    "#44AA99",
    "#000000",
    "#AA4499",
    "#999933",
)


def thumbnails(function: str, argument: str, images: Any, side: int) -> np.ndarray:
    """Return images as RGB, `uint8` (n, h, w, 3), larger ones reduced so that no side is longer, or raise."""
    rule = "an array (n, h, w), (n, h, w, 1) or (n, h, w, 3), not empty"
    if not isinstance(images, np.ndarray) or images.ndim not in (3, 4) or images.size == 0:
        raise input_error(function, argument, rule, images)
    if images.ndim == 4 and images.shape[3] not in (1, 3):
        raise input_error(function, argument, rule, images)
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8:
        if images.dtype.kind != "f":
            way_out = "Convert values from 0 to 255 with `images.astype('uint8')`."
            raise input_error(function, argument, "`uint8` or floats", images, way_out, TypeError)
        low, high = float(images.min()), float(images.max())  # NaN where one of the values is NaN
        if not (low >= -1e-5 and high <= 1 + 1e-5):
            received = f"floats from {low:.6g} to {high:.6g}"
            way_out = "Divide pixel values by 255."
            raise input_error(function, argument, "finite floats from 0 to 1", received, way_out)
    height, width = images.shape[1:3]
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.empty((len(images), size[1], size[0], 3), "uint8")
    for number, image in enumerate(images):
        pixels = image if image.dtype == np.uint8 else (np.clip(image, 0, 1) * 255).round().astype("uint8")
        if scale < 1:
            plain = pixels[..., 0] if pixels.shape[2] == 1 else pixels
            pixels = np.asarray(Image.fromarray(plain).resize(size, Image.Resampling.BOX))
            pixels = pixels.reshape(size[1], size[0], -1)
        small[number] = pixels
    return small


def check_points(function: str, points: Any, largest: int) -> np.ndarray:
    """Return the points of a map as floats (n, 2), or raise."""
    places = np.asarray(points)
    if places.ndim != 2 or places.shape[1] != 2 or not 1 <= len(places) <= largest:
        rule = f"an array (n, 2) of 1 to {largest:,} points"
        raise input_error(function, "points", rule, points)
    if places.dtype.kind not in "iuf" or not np.isfinite(places).all():
        raise input_error(function, "points", "finite numbers", points)
    return places.astype("float64")


def check_classes(
    function: str, labels: Any, class_names: Sequence[str], count: int, largest: int
) -> tuple[np.ndarray, list[str]]:
    """Return labels as whole numbers (count,), and the names of the classes, or raise."""
    classes = np.asarray(labels)
    if classes.ndim == 2 and classes.shape[1] == 1:
        classes = classes[:, 0]  # as Keras' own data sets give them
    if classes.shape != (count,) or classes.dtype.kind not in "iu":
        raise input_error(function, "labels", f"{count} whole numbers, one for each image", labels)
    names = check_texts(function, "class_names", class_names, max(1, len(class_names)))
    if len(names) > largest:
        raise input_error(function, "class_names", f"1 to {largest} texts", f"{len(names)} texts")
    if classes.min() < 0 or classes.max() >= len(names):
        received = f"numbers from {classes.min()} to {classes.max()} for {len(names)} names"
        raise input_error(function, "labels", "places in `class_names`", received)
    return classes, names


def check_as_many(function: str, argument: str, images: np.ndarray, points: np.ndarray) -> None:
    """Raise unless there is one image for each point."""
    if len(images) != len(points):
        raise input_error(function, argument, f"one image for each of the {len(points)} points", images)
