"""A map of the latent space that shows the image under the mouse: one piece of HTML, without outside addresses."""

import base64
import io
import json
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from PIL import Image

from kerascv_course._validation import input_error
from kerascv_course.plotting import style
from kerascv_course.plotting.grid import check_images, check_points
from kerascv_course.plotting.latent import check_classes

_MAX_IMAGES = 5000
_THUMBNAIL = 32  # pixels of an image's longer side


class InteractiveMap:
    """A map of images for a notebook (`_repr_html_`), or for a file of its own (`save`)."""

    def __init__(self, data: dict[str, Any], title: str) -> None:
        self._data, self._title = data, title

    def _repr_html_(self) -> str:
        """Return the map as HTML; its id is another each time, so that several on one page do not meet."""
        # "</script>" in the name of a class must not end the script.
        data = json.dumps(self._data, separators=(",", ":")).replace("<", "\\u003c")
        template = Template(Path(__file__).with_name("interactive_map.html").read_text(encoding="utf-8"))
        return template.substitute(id=f"map{uuid.uuid4().hex}", data=data)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the map as one HTML file that needs no network.

        Raises:
            OSError: If the file cannot be written.
        """
        head = f'<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{self._title}</title>\n'
        Path(path).write_text(head + self._repr_html_(), encoding="utf-8")


def plot_interactive_map(
    points: np.ndarray, images: np.ndarray, labels: Any, class_names: Sequence[str]
) -> InteractiveMap:
    """Make a map in which the mouse shows the image and class of a point.

    The wheel zooms, dragging moves the map, a double click shows all of it again; a class is hidden by a click on
    its name; a tick box draws the images themselves instead of points.

    Args:
        points: Array (images, 2) of finite numbers, as in `Projection.points`; at most 5,000.
        images: Array (n, h, w), (n, h, w, 1) or (n, h, w, 3), `uint8` from 0 to 255 or floats from 0 to 1. Larger
            ones are reduced to 32 pixels; each takes about 3 KB of the page.
        labels: The class of each image, (images,), integers from 0.
        class_names: One string per class; at most 20.

    Returns:
        The map. The last line of a notebook's cell shows it; `save("map.html")` writes a page of its own.

    Raises:
        ValueError: Where the arguments do not fit each other, or there are too many.
        TypeError: Where the values of the images are neither `uint8` nor floats.

    Example:
        >>> shown = plot_interactive_map(np.eye(2), np.zeros((2, 8, 8), "uint8"), [0, 1], ["cat", "dog"])
        >>> "http" in shown._repr_html_()
        False
    """
    function = "plot_interactive_map"
    places = check_points(function, points, _MAX_IMAGES)
    pictures = check_images(function, "images", images, max(len(places), len(images)))
    if len(pictures) != len(places) or len({picture.shape[:2] for picture in pictures}) > 1:
        rule = f"one image for each of the {len(places)} points, all of one size"
        raise input_error(function, "images", rule, images)
    classes, names = check_classes(function, labels, class_names, len(places))
    sides = pictures[0].shape[:2]
    height, width = (max(1, round(side * min(1.0, _THUMBNAIL / max(sides)))) for side in sides)
    columns = int(np.ceil(np.sqrt(len(places))))
    # One file for all images: a browser decodes it once, and a hundred small ones compress worse.
    mode = "RGB" if any(picture.ndim == 3 for picture in pictures) else "L"
    sheet = Image.new(mode, (columns * width, -(-len(places) // columns) * height))
    for index, picture in enumerate(pictures):
        image = Image.fromarray((255 * picture).round().astype("uint8"))
        place = (index % columns * width, index // columns * height)
        sheet.paste(image.resize((width, height), Image.Resampling.BOX), place)
    file = io.BytesIO()
    sheet.save(file, "png", optimize=True)
    span = max(float(np.ptp(places, axis=0).max()), 1e-12)
    # From 0 to 1 with the shape kept, y downwards as on a screen.
    scaled = (places - places.min(axis=0)) / span
    scaled[:, 1] = float(np.ptp(places[:, 1])) / span - scaled[:, 1]
    data = {
        "x": scaled[:, 0].round(4).tolist(),
        "y": scaled[:, 1].round(4).tolist(),
        "label": classes.tolist(),
        "names": names,
        "colors": [style.CLASS_COLORS[number % len(style.CLASS_COLORS)] for number in range(len(names))],
        "columns": columns,
        "size": [width, height],
        "sheet": "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii"),
    }
    return InteractiveMap(data, f"Map of {len(places)} images")
