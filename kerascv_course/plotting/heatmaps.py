"""Heatmaps over the images that they explain."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from kerascv_course._validation import input_error
from kerascv_course.plotting.images import _check_columns, _check_images, _grid
from kerascv_course.plotting.style import check_texts, styled

_COLOR_MAP = "inferno"  # its lightness rises all the way: no red to be told from green
_STRENGTH = 0.7  # how much of the colour is seen where the heatmap is 1


@styled
def plot_heatmaps(
    images: Any,
    heatmaps: Any,
    *,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    caption: str | None = None,
) -> Figure:
    """Show each image with its heatmap over it, for example those of `explain.grad_cam`.

    The hotter a place, the more of the heatmap's colour covers it: the image stays as it is where the map is 0.

    Args:
        images: Array (n, h, w), (n, h, w, 1) or (n, h, w, 3), or a list of single images whose sizes may differ;
            `uint8` from 0 to 255 or floats from 0 to 1; at most 256 images.
        heatmaps: One map per image and of its height and width: array (n, h, w), or a list of arrays (h, w), of
            floats from 0 to 1.
        titles: One text per image, shown above it.
        columns: Images in a row; by default as many as there are, at most 8.
        caption: A sentence above the figure, for example the data that it shows.

    Returns:
        The figure: one axis per image, and one for the colour bar.

    Raises:
        ValueError: Where shape, range or number of images or heatmaps, or the number of titles, is not as above.
        TypeError: Where the values of the images are neither `uint8` nor floats.

    Example:
        >>> heatmaps = np.zeros((2, 8, 8))
        >>> heatmaps[:, 2:4, 2:4] = 1
        >>> figure = plot_heatmaps(np.zeros((2, 8, 8, 3), "uint8"), heatmaps, titles=["cat", "dog"])
        >>> [axis.get_title() for axis in figure.axes][:2]
        ['cat', 'dog']
    """
    function = "plot_heatmaps"
    pictures = _check_images(images, function)
    maps = _check_images(heatmaps, function, "heatmaps")
    sizes = [picture.shape[:2] for picture in pictures]
    if [heatmap.shape for heatmap in maps] != sizes:
        rule = "one map (height, width) per image and of its size"
        received = f"shapes {_shapes(maps)} for images {_shapes(pictures)}"
        raise input_error(function, "heatmaps", rule, received)
    labels = [""] * len(pictures) if titles is None else check_texts(function, "titles", titles, len(pictures))
    columns = _check_columns(function, columns)
    colors = matplotlib.colormaps[_COLOR_MAP]
    blended = []
    for picture, heatmap in zip(pictures, maps, strict=True):
        weight = _STRENGTH * heatmap[..., None]
        base = picture if picture.ndim == 3 else picture[..., None]
        blended.append((1 - weight) * base + weight * colors(heatmap)[..., :3])
    return _grid(blended, labels, columns, caption, (_COLOR_MAP, 0.0, 1.0), "heat, 1 at each maximum")


def _shapes(arrays: list[np.ndarray]) -> str:
    shapes = [array.shape for array in arrays]
    return f"{shapes[:3]}{' and so on' if len(shapes) > 3 else ''}"
