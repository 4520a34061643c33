"""Images and what is drawn like them: grids, kernels, feature maps."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from kerascv_course._validation import check_int, input_error
from kerascv_course.plotting.style import WIDTH, check_texts, styled, wrap

_MAX_IMAGES = 256  # each image is an axis of its own; many more take minutes to draw
_DIVERGING = "PuOr_r"


@styled
def plot_images(
    images: Any,
    *,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    caption: str | None = None,
) -> Figure:
    """Show images side by side, row by row.

    Args:
        images: Array (n, h, w), (n, h, w, 1) or (n, h, w, 3), or a list of single images whose sizes may differ;
            `uint8` from 0 to 255 or floats from 0 to 1; at most 256 images.
        titles: One text per image, shown above it.
        columns: Images in a row; by default as many as there are, at most 8.
        caption: A sentence above the figure, for example the data that it shows.

    Returns:
        The figure: one axis per image.

    Raises:
        ValueError: Where shape, range or number of the images, or the number of titles, is not as above.
        TypeError: Where the values are neither `uint8` nor floats.

    Example:
        >>> figure = plot_images(np.zeros((3, 8, 8), "uint8"), titles=["zero", "one", "two"])
        >>> [axis.get_title() for axis in figure.axes]
        ['zero', 'one', 'two']
    """
    pictures = _check_images(images)
    labels = (
        [""] * len(pictures) if titles is None else check_texts("plot_images", "titles", titles, len(pictures))
    )
    return _grid(pictures, labels, _check_columns("plot_images", columns), caption)


@styled
def plot_image_table(rows: Mapping[str, Any], columns: Sequence[str], *, caption: str | None = None) -> Figure:
    """Show images in a table with named rows and columns, for example transformations and their strengths.

    Args:
        rows: By the name of each row its images, as `plot_images` takes them, as many as there are columns.
        columns: One text per column, shown above the first row; at most 12.
        caption: A sentence above the figure, for example the data that it shows.

    Returns:
        The figure: one axis per image, row by row.

    Raises:
        ValueError: Where rows and columns do not fit, or images are not as `plot_images` wants them.
        TypeError: Where `rows` is no mapping, or values are neither `uint8` nor floats.

    Example:
        >>> dark, bright = np.zeros((2, 8, 8), "uint8"), np.full((2, 8, 8), 255, "uint8")
        >>> figure = plot_image_table({"dark": dark, "bright": bright}, ["first", "second"])
        >>> len(figure.axes), [text.get_text() for text in figure.texts]
        (4, ['dark', 'bright'])
    """
    if not isinstance(rows, Mapping):
        rule = "a mapping from names of rows to images"
        raise input_error("plot_image_table", "rows", rule, rows, error=TypeError)
    if isinstance(columns, str) or not 1 <= len(columns) <= 12:
        raise input_error("plot_image_table", "columns", "a list of 1 to 12 texts", columns)
    pictures = [_check_images(images, "plot_image_table", "rows") for images in rows.values()]
    if not rows or any(len(row) != len(columns) for row in pictures):
        rule = f"one or more rows of {len(columns)} images, one for each of `columns`"
        raise input_error(
            "plot_image_table", "rows", rule, {name: len(row) for name, row in zip(rows, pictures, strict=True)}
        )
    titles = [*map(str, columns), *[""] * (len(columns) * (len(rows) - 1))]
    flat = [picture for row in pictures for picture in row]
    return _grid(flat, titles, len(columns), caption, row_names=list(map(str, rows)))


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
        ValueError: Where there is no convolution, or its kernels are not as above.

    Example:
        >>> figure = plot_filters(np.ones((5, 5, 1, 6)))
        >>> len(figure.axes)
        7
    """
    kernels = _check_kernels(model_or_weights)
    largest = np.abs(kernels).max() or 1.0
    titles = [f"filter {index}" for index in range(kernels.shape[3])]
    filters = np.moveaxis(kernels, 3, 0)
    if kernels.shape[2] == 3:
        return _grid(list(0.5 + filters / (2 * largest)), titles, None, caption)
    return _grid(list(filters[..., 0]), titles, None, caption, (_DIVERGING, -largest, largest), "weight")


@styled
def plot_feature_maps(
    feature_maps: Any,
    *,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    caption: str | None = None,
) -> Figure:
    """Draw the feature maps of one image with one common colour scale.

    Args:
        feature_maps: Array (h, w, maps) of finite numbers, at most 256 maps. Where all values are 0 or more, as
            after a ReLU, the scale starts at 0; otherwise 0 is its middle and the signs have different colours.
        titles: One text per map; by default its number.
        columns: Maps in a row; by default as many as there are, at most 8.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis per map, and one for the colour bar.

    Raises:
        ValueError: Where shape, values or number of the maps, or the number of titles, is not as above.

    Example:
        >>> figure = plot_feature_maps(np.ones((8, 8, 4)))
        >>> [axis.get_title() for axis in figure.axes][:2]
        ['map 0', 'map 1']
    """
    maps = np.asarray(feature_maps)
    if maps.ndim != 3 or maps.size == 0 or maps.shape[2] > _MAX_IMAGES:
        way_out = "Take one image of a batch with `[0]`, and some of many maps with `[..., :64]`."
        rule = f"an array (height, width, maps) with 1 to {_MAX_IMAGES} maps"
        raise input_error("plot_feature_maps", "feature_maps", rule, feature_maps, way_out)
    if maps.dtype.kind not in "iufb" or not np.isfinite(maps).all():
        raise input_error("plot_feature_maps", "feature_maps", "finite numbers", feature_maps)
    count = maps.shape[2]
    titles = [f"map {index}" for index in range(count)] if titles is None else titles
    labels = check_texts("plot_feature_maps", "titles", titles, count)
    columns = _check_columns("plot_feature_maps", columns)
    pictures = list(np.moveaxis(maps.astype("float64"), 2, 0))
    largest = max(np.abs(picture).max() for picture in pictures) or 1.0
    scale = (_DIVERGING, -largest, largest) if maps.min() < 0 else ("cividis", 0.0, largest)
    return _grid(pictures, labels, columns, caption, scale, "value")


def _grid(
    pictures: list[np.ndarray],
    titles: list[str],
    columns: int | None,
    caption: str | None,
    scale: tuple[str, float, float] = ("gray", 0.0, 1.0),
    bar_label: str = "",
    row_names: Sequence[str] = (),
) -> Figure:
    """Draw pictures of any size in rows, grey ones on the scale (colour map, lowest, highest value)."""
    color_map, low, high = scale
    columns = min(columns or 8, len(pictures))
    rows = -(-len(pictures) // columns)
    gap, line = 0.08, 0.17  # inches: between two images, and the height of a line of text
    margin = 1.15 if row_names else 0.0  # inches for the names of the rows
    cell = min((WIDTH - margin) / columns, 3.6)
    labels = [wrap(title, cell - gap) for title in titles]
    text_height = line * max(label.count("\n") + bool(label) for label in labels)
    image_height = (cell - gap) * min(3, max(picture.shape[0] / picture.shape[1] for picture in pictures))
    row_height = image_height + text_height + gap
    width = margin + cell * columns + (1.0 if bar_label else 0)
    caption_height = line * (wrap(caption, width).count("\n") + 1.5) if caption else 0
    height = rows * row_height + caption_height
    # The places are computed here: Matplotlib's own layout takes seconds for 64 images.
    figure = plt.figure(figsize=(width, height))
    for index, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        row, column = divmod(index, columns)
        bottom = (rows - 1 - row) * row_height + gap / 2
        left = margin + column * cell + gap / 2
        place = (left / width, bottom / height, (cell - gap) / width, image_height / height)
        axis = figure.add_axes(place, xticks=[], yticks=[], title=label, anchor="N")
        axis.spines[:].set_color("0.7")
        # Small images show their pixels; large ones are averaged down, so that no false pattern appears.
        smoothing = "nearest" if max(picture.shape[:2]) <= 64 else "auto"
        image = axis.imshow(picture, cmap=color_map, vmin=low, vmax=high, interpolation=smoothing)
    for row, name in enumerate(row_names):
        middle = (rows - 1 - row) * row_height + gap / 2 + image_height / 2
        figure.text((margin - gap) / width, middle / height, wrap(name, margin), ha="right", va="center")
    if bar_label:
        bar_height = min(rows * row_height - text_height - 2 * gap, 3.0)
        bottom = (rows * row_height - text_height - gap - bar_height) / height
        axis = figure.add_axes(((width - 0.92) / width, bottom, 0.12 / width, bar_height / height))
        figure.colorbar(image, cax=axis, label=bar_label)
    if caption:
        figure.suptitle(wrap(caption, width), y=1 - 0.06 / height, verticalalignment="top")
    return figure


def _check_images(images: Any, function: str = "plot_images", argument: str = "images") -> list[np.ndarray]:
    """Return the images as float arrays (h, w) and (h, w, 3) from 0 to 1, or raise."""
    rule = "an array (n, h, w), (n, h, w, 1) or (n, h, w, 3), or a list of single images"
    if not isinstance(images, list | tuple):
        images = np.asarray(images)
        # An array (h, w, 3) is one colour image, not h images that are 3 pixels wide.
        single = images.ndim == 3 and images.shape[2] == 3 and images.shape[1] > 3
        if single or images.ndim not in (3, 4):
            raise input_error(function, argument, rule, images, "Show a single image with `images[None]`.")
    if not 1 <= len(images) <= _MAX_IMAGES:
        way_out = "Take some of them, for example `images[:64]`."
        raise input_error(function, argument, f"1 to {_MAX_IMAGES} images", f"{len(images)} images", way_out)
    pictures = []
    for image in map(np.asarray, images):
        if image.ndim not in (2, 3) or image.size == 0 or (image.ndim == 3 and image.shape[2] not in (1, 3)):
            raise input_error(function, argument, rule, image)
        if image.dtype != np.uint8 and image.dtype.kind != "f":
            way_out = "Convert values from 0 to 255 with `images.astype('uint8')`."
            raise input_error(function, argument, "`uint8` or floats", image, way_out, TypeError)
        low, high = float(image.min()), float(image.max())  # NaN where one of the values is NaN
        tolerance = 1e-5  # resizing may leave 0..1 by a rounding error
        if image.dtype.kind == "f" and not (low >= -tolerance and high <= 1 + tolerance):
            way_out = "Divide pixel values by 255; draw the output of a layer with `plot_feature_maps`."
            received = f"floats from {low:.6g} to {high:.6g}"
            raise input_error(function, argument, "finite floats from 0 to 1", received, way_out)
        scaled = image / 255 if image.dtype == np.uint8 else np.clip(image.astype("float64"), 0, 1)
        pictures.append(scaled[..., 0] if image.ndim == 3 and image.shape[2] == 1 else scaled)
    return pictures


def _check_columns(function: str, columns: int | None) -> int | None:
    return None if columns is None else check_int(function, "columns", columns, minimum=1)


def _check_kernels(model_or_weights: Any) -> np.ndarray:
    """Return the kernels of an array or of a model's first convolution, or raise."""
    function, argument = "plot_filters", "model_or_weights"
    weights = model_or_weights
    if hasattr(model_or_weights, "get_weights"):
        weights = _first_convolution(model_or_weights)
        if weights is None:
            rule = "a built model with a 2-D convolution"
            raise input_error(function, argument, rule, model_or_weights, "A model with an input shape is built.")
    weights = np.asarray(weights)
    if weights.ndim != 4 or weights.size == 0 or weights.shape[2] not in (1, 3) or weights.shape[3] > _MAX_IMAGES:
        rule = f"kernels (height, width, 1 or 3, 1 to {_MAX_IMAGES} filters)"
        way_out = "Take one of many input channels with `[:, :, :1]`, and some of many filters with `[..., :64]`."
        raise input_error(function, argument, rule, weights, way_out)
    if weights.dtype.kind != "f" or not np.isfinite(weights).all():
        raise input_error(function, argument, "finite floats", weights)
    return weights.astype("float64")


def _first_convolution(layer: Any) -> np.ndarray | None:
    """Return the first weights with four axes, in the order of the layers, nested models included."""
    if getattr(layer, "layers", None):
        found = (_first_convolution(inner) for inner in layer.layers)
        return next((weights for weights in found if weights is not None), None)
    return next((weights for weights in layer.get_weights() if weights.ndim == 4), None)
