"""Images and what is drawn like them: grids, tables, kernels, feature maps, heatmaps."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from kerascv_course._validation import as_numbers, check_int, input_error
from kerascv_course.plotting import style
from kerascv_course.plotting.grid import MOST, check_images, draw_grid
from kerascv_course.plotting.style import check_texts, styled

_STRENGTH = 0.7  # how much of the colour is seen where a heatmap is 1


@styled
def plot_images(
    images: Any, *, titles: Sequence[str] | None = None, columns: int = 8, caption: str | None = None
) -> Figure:
    """Show images side by side, row by row.

    Args:
        images: Array (n, h, w), (n, h, w, 1) or (n, h, w, 3), or a list of single images whose sizes may differ;
            `uint8` from 0 to 255 or floats from 0 to 1; at most 256 images.
        titles: One string per image, shown above it.
        columns: Images in a row; by default as many as there are, at most 8.
        caption: A sentence above the figure, for example the data that it shows.

    Returns:
        The figure: one axis per image.

    Raises:
        ValueError: If images or titles are not as above.
        TypeError: If the values are neither `uint8` nor floats.

    Example:
        >>> figure = plot_images(np.zeros((3, 8, 8), "uint8"), titles=["zero", "one", "two"])
        >>> [axis.get_title() for axis in figure.axes]
        ['zero', 'one', 'two']
    """
    function = "plot_images"
    pictures = check_images(function, "images", images)
    labels = check_texts(function, "titles", titles, len(pictures))
    return draw_grid(pictures, labels, check_int(function, "columns", columns, 1), caption)


@styled
def plot_image_table(rows: Mapping[str, Any], columns: Sequence[str], *, caption: str | None = None) -> Figure:
    """Show images in a table with named rows and columns, for example transformations and their strengths.

    Args:
        rows: By the name of each row its images, as `plot_images` takes them, as many as there are columns.
        columns: One string per column, shown above the first row; at most 12.
        caption: A sentence above the figure, for example the data that it shows.

    Returns:
        The figure: one axis per image, row by row.

    Raises:
        ValueError: If rows and columns do not fit, or images are not as `plot_images` wants them.
        TypeError: If `rows` is no mapping, or values are neither `uint8` nor floats.

    Example:
        >>> dark, bright = np.zeros((2, 8, 8), "uint8"), np.full((2, 8, 8), 255, "uint8")
        >>> figure = plot_image_table({"dark": dark, "bright": bright}, ["first", "second"])
        >>> len(figure.axes), [text.get_text() for text in figure.texts]
        (4, ['dark', 'bright'])
    """
    function = "plot_image_table"
    if not isinstance(rows, Mapping):
        raise input_error(function, "rows", "a mapping from names of rows to images", rows, error=TypeError)
    if isinstance(columns, str) or not 1 <= len(columns) <= 12:
        raise input_error(function, "columns", "a list of 1 to 12 strings", columns)
    pictures = {str(name): check_images(function, "rows", images) for name, images in rows.items()}
    counts = {name: len(row) for name, row in pictures.items()}
    if not rows or set(counts.values()) != {len(columns)}:
        rule = f"one or more rows of {len(columns)} images, one for each of `columns`"
        raise input_error(function, "rows", rule, counts)
    flat = [picture for row in pictures.values() for picture in row]
    titles = [*map(str, columns), *[""] * (len(flat) - len(columns))]
    return draw_grid(flat, titles, len(columns), caption, row_names=list(pictures))


@styled
def plot_heatmaps(
    images: Any,
    heatmaps: Any,
    *,
    titles: Sequence[str] | None = None,
    columns: int = 8,
    caption: str | None = None,
) -> Figure:
    """Show each image with its heatmap over it, for example those of `explain.grad_cam`.

    The hotter a place, the more of the heatmap's colour covers it: the image stays as it is where the map is 0.

    Args:
        images: As in `plot_images`.
        heatmaps: One map per image and of its height and width: array (n, h, w), or a list of arrays (h, w), of
            floats from 0 to 1.
        titles: One string per image, shown above it.
        columns: Images in a row; by default as many as there are, at most 8.
        caption: A sentence above the figure, for example the data that it shows.

    Returns:
        The figure: one axis per image, and one for the colour bar.

    Raises:
        ValueError: If images, heatmaps or titles are not as above.
        TypeError: If the values of the images are neither `uint8` nor floats.

    Example:
        >>> heatmaps = np.zeros((2, 8, 8))
        >>> heatmaps[:, 2:4, 2:4] = 1
        >>> figure = plot_heatmaps(np.zeros((2, 8, 8, 3), "uint8"), heatmaps, titles=["cat", "dog"])
        >>> [axis.get_title() for axis in figure.axes][:2]
        ['cat', 'dog']
    """
    function = "plot_heatmaps"
    pictures = check_images(function, "images", images)
    maps = check_images(function, "heatmaps", heatmaps)
    shapes, sizes = [heatmap.shape for heatmap in maps], [picture.shape[:2] for picture in pictures]
    if shapes != sizes:
        rule = "one map (height, width) per image and of its size"
        raise input_error(function, "heatmaps", rule, f"shapes {shapes[:3]} for images {sizes[:3]}")
    labels = check_texts(function, "titles", titles, len(pictures))
    colors = matplotlib.colormaps[style.COLOR_MAP]
    blended = []
    for picture, heatmap in zip(pictures, maps, strict=True):
        weight = _STRENGTH * heatmap[..., None]
        base = picture if picture.ndim == 3 else picture[..., None]
        blended.append((1 - weight) * base + weight * colors(heatmap)[..., :3])
    scale = (style.COLOR_MAP, 0.0, 1.0)
    return draw_grid(
        blended, labels, check_int(function, "columns", columns, 1), caption, scale=scale, bar_label="heat"
    )


@styled
def plot_filters(model_or_weights: Any, *, caption: str | None = None) -> Figure:
    """Draw the kernels of a model's first convolution.

    Kernels of grey images share one colour scale with 0 in its middle, shown by a colour bar. Kernels of RGB
    images are shown as colours: mid-grey is 0 in all three channels, and all kernels share one scale.

    Args:
        model_or_weights: A built Keras model (nested models are searched too), or the kernels as an array
            (height, width, 1 or 3, filters) with at most 256 filters.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis per filter, and one for the colour bar of grey kernels.

    Raises:
        ValueError: If there is no convolution, or its kernels are not as above.

    Example:
        >>> figure = plot_filters(np.ones((5, 5, 1, 6)))
        >>> len(figure.axes)
        7
    """
    function, argument = "plot_filters", "model_or_weights"
    weights = model_or_weights
    if hasattr(model_or_weights, "get_weights"):
        weights = next((each for each in model_or_weights.get_weights() if each.ndim == 4), None)
        if weights is None:
            rule = "a built model with a 2-D convolution"
            raise input_error(function, argument, rule, model_or_weights, "A model with an input shape is built.")
    rule = f"kernels (height, width, 1 or 3, 1 to {MOST} filters)"
    weights = as_numbers(function, argument, weights, rule)
    if weights.ndim != 4 or weights.size == 0 or weights.shape[2] not in (1, 3) or weights.shape[3] > MOST:
        way_out = "Take one of many input channels with `[:, :, :1]`, and some of many filters with `[..., :64]`."
        raise input_error(function, argument, rule, weights, way_out)
    kernels = np.moveaxis(weights.astype("float64"), 3, 0)
    largest = np.abs(kernels).max() or 1.0
    titles = [f"filter {index}" for index in range(len(kernels))]
    if kernels.shape[3] == 3:
        return draw_grid(list(0.5 + kernels / (2 * largest)), titles, 8, caption)
    scale = (style.DIVERGING_COLOR_MAP, -largest, largest)
    return draw_grid(list(kernels[..., 0]), titles, 8, caption, scale=scale, bar_label="weight")


@styled
def plot_feature_maps(
    feature_maps: Any, *, titles: Sequence[str] | None = None, caption: str | None = None
) -> Figure:
    """Draw the feature maps of one image with one common colour scale.

    Args:
        feature_maps: Array (h, w, maps) of finite numbers, at most 256 maps. If all values are 0 or more, as
            after a ReLU, the scale starts at 0; otherwise 0 is its middle and the signs have different colours.
        titles: One string per map; by default its number.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis per map, and one for the colour bar.

    Raises:
        ValueError: If maps or titles are not as above.

    Example:
        >>> figure = plot_feature_maps(np.ones((8, 8, 4)))
        >>> [axis.get_title() for axis in figure.axes][:2]
        ['map 0', 'map 1']
    """
    function, rule = "plot_feature_maps", f"an array (height, width, maps) with 1 to {MOST} maps"
    maps = as_numbers(function, "feature_maps", feature_maps, rule)
    if maps.ndim != 3 or maps.size == 0 or maps.shape[2] > MOST:
        way_out = "Take one image of a batch with `[0]`, and some of many maps with `[..., :64]`."
        raise input_error(function, "feature_maps", rule, feature_maps, way_out)
    pictures = list(np.moveaxis(maps.astype("float64"), 2, 0))
    titles = [f"map {index}" for index in range(len(pictures))] if titles is None else titles
    labels = check_texts(function, "titles", titles, len(pictures))
    largest = max(np.abs(picture).max() for picture in pictures) or 1.0
    is_signed = maps.min() < 0
    scale = (style.DIVERGING_COLOR_MAP, -largest, largest) if is_signed else (style.COLOR_MAP, 0.0, largest)
    return draw_grid(pictures, labels, 8, caption, scale=scale, bar_label="value")
