"""Figures of the course: arrays and records in, a Matplotlib figure out.

Each function returns the `matplotlib.figure.Figure` that it drew; nothing is printed or written. The text is 9
points high or higher, the width is 9 inches or less (a confusion matrix of more than 14 classes is wider, so that
its numbers stay readable), and no figure needs red to be told from green.

Where the figure appears:

* In a notebook (IPython's inline backend) a cell whose last line is the call shows the figure exactly once: the
  function closes the figure before it returns it, because the backend would show an open figure a second time.
  In the middle of a cell write `IPython.display.display(figure)`.
* In a script the figure is one of pyplot's: call `matplotlib.pyplot.show()` after the last one.
* `figure.savefig("name.png")` works in both.

The user's global settings (`matplotlib.rcParams`) are left alone.
"""

import functools
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from kerascv_course._validation import check_int, input_error

_WIDTH = 8.0  # inches: a notebook's column
_MAX_IMAGES = 256  # each image is an axis of its own; many more take minutes to draw
_TEXT_SIZE = 9
_STYLE: dict[Any, Any] = {
    "font.size": _TEXT_SIZE,
    "axes.titlesize": _TEXT_SIZE,
    "axes.labelsize": 10,
    "xtick.labelsize": _TEXT_SIZE,
    "ytick.labelsize": _TEXT_SIZE,
    "legend.fontsize": _TEXT_SIZE,
    "figure.titlesize": _TEXT_SIZE,
    "figure.dpi": 100,
    "figure.constrained_layout.w_pad": 0.03,
    "figure.constrained_layout.h_pad": 0.03,
}
# Okabe and Ito's colours without yellow, which is too light for a line on white.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vPX*"
_DIVERGING = "PuOr_r"

_P = ParamSpec("_P")


def _styled(draw: Callable[_P, Figure]) -> Callable[_P, Figure]:
    """Draw in the course's style; under the inline backend close the figure (see the text of the module)."""

    @functools.wraps(draw)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> Figure:
        with plt.rc_context(_STYLE):
            figure = draw(*args, **kwargs)
        if "inline" in matplotlib.get_backend():
            plt.close(figure)
        return figure

    return wrapper


@_styled
def image_grid(
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
        >>> figure = image_grid(np.zeros((3, 8, 8), "uint8"), titles=["zero", "one", "two"])
        >>> [axis.get_title() for axis in figure.axes]
        ['zero', 'one', 'two']
    """
    pictures = _check_images(images)
    labels = (
        [""] * len(pictures) if titles is None else _check_texts("image_grid", "titles", titles, len(pictures))
    )
    return _grid(pictures, labels, _check_columns("image_grid", columns), caption)


@_styled
def history_curves(history: Any, *, metrics: Sequence[str] | None = None, caption: str | None = None) -> Figure:
    """Draw loss and accuracy over the epochs, the validation values dashed.

    Args:
        history: What `model.fit` returned, its `.history` dictionary, or a mapping from a run's name to one of
            these, to compare runs.
        metrics: Names of the metrics, one panel each; by default loss and accuracy, as far as the runs have them.
            The values under `val_` and the name are the dashed lines.
        caption: A sentence above the figure.

    Returns:
        The figure: one panel per metric, with the epochs from 1 on.

    Raises:
        ValueError: Where a run has no epoch, lists of different lengths, or none of the metrics.
        TypeError: Where `history` is none of the three.

    Example:
        >>> figure = history_curves({"loss": [2.0, 1.0], "val_loss": [2.1, 1.5]})
        >>> [line.get_label() for line in figure.axes[0].lines]
        ['training', 'validation']
    """
    runs = _check_runs(history)
    names = _check_metrics(runs, metrics)
    size = (max(4.5, min(_WIDTH, 4 * len(names))), 3.6)
    figure, axes = plt.subplots(1, len(names), figsize=size, layout="constrained", squeeze=False)
    handles: dict[str, Line2D] = {}
    for axis, metric in zip(axes[0], names, strict=True):
        longest = max(len(next(iter(run.values()))) for run in runs.values())
        for index, (run, values) in enumerate(runs.items()):
            for key, part, style in ((metric, "training", "-"), (f"val_{metric}", "validation", "--")):
                if key not in values:
                    continue
                # A single run has two colours to spare; of several runs each keeps its colour in both parts.
                shade = 1 if not run and part == "validation" else index
                label = f"{run}, {part}" if run else part
                (handles[label],) = axis.plot(
                    np.arange(1, len(values[key]) + 1),
                    values[key],
                    linestyle=style,
                    color=_COLORS[shade % len(_COLORS)],
                    marker=_MARKERS[shade % len(_MARKERS)],
                    markersize=4,
                    label=label,
                )
        margin = max(0.3, 0.03 * longest)
        axis.set(xlim=(1 - margin, longest + margin), xlabel="epoch", ylabel=metric.replace("_", " "))
        axis.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
        axis.grid(alpha=0.3)
    widest = max(1, int(size[0] // 2.2))
    columns = min(widest, len(runs)) if len(runs) > 1 else widest  # a column per run, where they fit
    figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=columns)
    return _with_caption(figure, caption)


@_styled
def confusion_matrix(
    matrix: Any, class_names: Sequence[str], *, normalize: bool = False, caption: str | None = None
) -> Figure:
    """Draw a confusion matrix with its numbers: true classes in rows, predicted classes in columns.

    Args:
        matrix: Array (classes, classes) of counts or shares, none of them negative.
        class_names: One name per class, in the order of the matrix.
        normalize: Divide each row by its sum, so that the diagonal shows the share of each class that was found.
            A class without examples shows dashes.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis with a number in each cell.

    Raises:
        ValueError: Where the matrix is not square, has negative or non-finite values, or does not fit the names.

    Example:
        >>> figure = confusion_matrix([[8, 2], [0, 5]], ["cat", "dog"], normalize=True)
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['0.80', '0.20', '0.00', '1.00']
    """
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.size == 0:
        raise input_error("confusion_matrix", "matrix", "a square array (classes, classes)", matrix)
    if counts.dtype.kind not in "iuf" or not np.isfinite(counts).all() or counts.min() < 0:
        raise input_error("confusion_matrix", "matrix", "finite numbers, none of them negative", matrix)
    names = _check_texts("confusion_matrix", "class_names", class_names, len(counts))
    whole = not normalize and bool((counts == np.round(counts)).all())
    if normalize:
        sums = counts.sum(axis=1, keepdims=True)
        counts = np.divide(counts, sums, out=np.full(counts.shape, np.nan), where=sums > 0)

    side = 1.6 + max(2.0, 0.5 * len(counts))
    figure, axis = plt.subplots(figsize=(side, side), layout="constrained")
    image = axis.imshow(counts, cmap="Blues", vmin=0, vmax=1 if normalize else counts.max() or 1)
    axis.set(xlabel="predicted class", ylabel="true class")
    axis.set_xticks(range(len(names)), names)
    if max(map(len, names)) > 3:  # longer names would run into each other
        axis.tick_params(axis="x", labelrotation=45)
        for label in axis.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(names)), names)
    for row, column in np.ndindex(counts.shape):
        value = counts[row, column]
        text = "–" if np.isnan(value) else f"{value:.0f}" if whole else f"{value:.2f}"
        red, green, blue, _ = image.cmap(image.norm(value))
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 and not np.isnan(value)
        axis.text(column, row, text, ha="center", va="center", color="white" if dark else "black")
    return _with_caption(figure, caption)


@_styled
def first_layer_filters(model_or_weights: Any, *, caption: str | None = None) -> Figure:
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
        >>> figure = first_layer_filters(np.ones((5, 5, 1, 6)))
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


@_styled
def activations(
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
        >>> figure = activations(np.ones((8, 8, 4)))
        >>> [axis.get_title() for axis in figure.axes][:2]
        ['map 0', 'map 1']
    """
    maps = np.asarray(feature_maps)
    if maps.ndim != 3 or maps.size == 0 or maps.shape[2] > _MAX_IMAGES:
        way_out = "Take one image of a batch with `[0]`, and some of many maps with `[..., :64]`."
        rule = f"an array (height, width, maps) with 1 to {_MAX_IMAGES} maps"
        raise input_error("activations", "feature_maps", rule, feature_maps, way_out)
    if maps.dtype.kind not in "iufb" or not np.isfinite(maps).all():
        raise input_error("activations", "feature_maps", "finite numbers", feature_maps)
    count = maps.shape[2]
    titles = [f"map {index}" for index in range(count)] if titles is None else titles
    labels = _check_texts("activations", "titles", titles, count)
    columns = _check_columns("activations", columns)
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
) -> Figure:
    """Draw pictures of any size in rows, grey ones on the scale (colour map, lowest, highest value)."""
    color_map, low, high = scale
    columns = min(columns or 8, len(pictures))
    rows = -(-len(pictures) // columns)
    gap, line = 0.08, 0.17  # inches: between two images, and the height of a line of text
    cell = min(_WIDTH / columns, 3.6)
    labels = [_wrap(title, cell - gap) for title in titles]
    text_height = line * max(label.count("\n") + bool(label) for label in labels)
    image_height = (cell - gap) * min(3, max(picture.shape[0] / picture.shape[1] for picture in pictures))
    row_height = image_height + text_height + gap
    width = cell * columns + (1.0 if bar_label else 0)
    caption_height = line * (_wrap(caption, width).count("\n") + 1.5) if caption else 0
    height = rows * row_height + caption_height
    # The places are computed here: Matplotlib's own layout takes seconds for 64 images.
    figure = plt.figure(figsize=(width, height))
    for index, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        row, column = divmod(index, columns)
        bottom = (rows - 1 - row) * row_height + gap / 2
        place = ((column * cell + gap / 2) / width, bottom / height, (cell - gap) / width, image_height / height)
        axis = figure.add_axes(place, xticks=[], yticks=[], title=label, anchor="N")
        axis.spines[:].set_color("0.7")
        # Small images show their pixels; large ones are averaged down, so that no false pattern appears.
        smoothing = "nearest" if max(picture.shape[:2]) <= 64 else "auto"
        image = axis.imshow(picture, cmap=color_map, vmin=low, vmax=high, interpolation=smoothing)
    if bar_label:
        bar_height = min(rows * row_height - text_height - 2 * gap, 3.0)
        bottom = (rows * row_height - text_height - gap - bar_height) / height
        axis = figure.add_axes(((width - 0.92) / width, bottom, 0.12 / width, bar_height / height))
        figure.colorbar(image, cax=axis, label=bar_label)
    if caption:
        figure.suptitle(_wrap(caption, width), y=1 - 0.06 / height, verticalalignment="top")
    return figure


def _with_caption(figure: Figure, caption: str | None) -> Figure:
    if caption:
        figure.suptitle(_wrap(caption, figure.get_figwidth()))
    return figure


def _wrap(text: str, inches: float) -> str:
    """Break a text into lines that fit the width: a letter is about 0.55 times as wide as it is high."""
    letters = max(6, int(inches * 72 / (0.55 * _TEXT_SIZE)))
    # A word that is a little longer than the line fits nearly always: a break would look worse.
    is_long = any(len(word) > 1.2 * letters for word in text.split())
    return "\n".join(textwrap.fill(line, letters, break_long_words=is_long) for line in text.splitlines())


def _check_images(images: Any) -> list[np.ndarray]:
    """Return the images as float arrays (h, w) and (h, w, 3) from 0 to 1, or raise."""
    rule = "an array (n, h, w), (n, h, w, 1) or (n, h, w, 3), or a list of single images"
    if not isinstance(images, list | tuple):
        images = np.asarray(images)
        # An array (h, w, 3) is one colour image, not h images that are 3 pixels wide.
        single = images.ndim == 3 and images.shape[2] == 3 and images.shape[1] > 3
        if single or images.ndim not in (3, 4):
            raise input_error("image_grid", "images", rule, images, "Show a single image with `images[None]`.")
    if not 1 <= len(images) <= _MAX_IMAGES:
        way_out = "Take some of them, for example `images[:64]`."
        raise input_error("image_grid", "images", f"1 to {_MAX_IMAGES} images", f"{len(images)} images", way_out)
    pictures = []
    for image in map(np.asarray, images):
        if image.ndim not in (2, 3) or image.size == 0 or (image.ndim == 3 and image.shape[2] not in (1, 3)):
            raise input_error("image_grid", "images", rule, image)
        if image.dtype != np.uint8 and image.dtype.kind != "f":
            way_out = "Convert values from 0 to 255 with `images.astype('uint8')`."
            raise input_error("image_grid", "images", "`uint8` or floats", image, way_out, TypeError)
        low, high = float(image.min()), float(image.max())  # NaN where one of the values is NaN
        tolerance = 1e-5  # resizing may leave 0..1 by a rounding error
        if image.dtype.kind == "f" and not (low >= -tolerance and high <= 1 + tolerance):
            way_out = "Divide pixel values by 255; draw the output of a layer with `activations`."
            received = f"floats from {low:.6g} to {high:.6g}"
            raise input_error("image_grid", "images", "finite floats from 0 to 1", received, way_out)
        scaled = image / 255 if image.dtype == np.uint8 else np.clip(image.astype("float64"), 0, 1)
        pictures.append(scaled[..., 0] if image.ndim == 3 and image.shape[2] == 1 else scaled)
    return pictures


def _check_texts(function: str, argument: str, texts: Any, count: int) -> list[str]:
    if isinstance(texts, str) or not hasattr(texts, "__len__") or len(texts) != count:
        raise input_error(function, argument, f"a list of {count} texts", texts)
    return [str(text) for text in texts]


def _check_columns(function: str, columns: int | None) -> int | None:
    return None if columns is None else check_int(function, "columns", columns, minimum=1)


def _check_runs(history: Any) -> dict[str, Mapping[str, Any]]:
    """Return run -> metric -> values, or raise; a single run has the empty name."""
    rule = "what `model.fit` returned, its `.history` dictionary, or a mapping from names to these"
    runs = getattr(history, "history", history)
    if not isinstance(runs, Mapping):
        raise input_error("history_curves", "history", rule, history, error=TypeError)
    runs = {str(name): getattr(run, "history", run) for name, run in runs.items()}
    if not any(isinstance(run, Mapping) for run in runs.values()):
        runs = {"": runs}
    for name, run in runs.items():
        if not isinstance(run, Mapping) or any(np.ndim(values) != 1 for values in run.values()):
            raise input_error("history_curves", "history", rule, {name: run}, error=TypeError)
        lengths = {key: len(values) for key, values in run.items()}
        if len(set(lengths.values())) != 1 or 0 in lengths.values():
            rule = "lists of one length, with at least one epoch, in each run"
            raise input_error("history_curves", "history", rule, {name: lengths} if name else lengths)
    return runs


def _check_metrics(runs: Mapping[str, Mapping[str, Any]], metrics: Sequence[str] | None) -> list[str]:
    known = sorted({key for run in runs.values() for key in run})
    if metrics is None:
        metrics = [metric for metric in ("loss", "accuracy") if metric in known]
        if not metrics:
            way_out = "Or name the panels in `metrics`."
            raise input_error("history_curves", "history", "a history with 'loss' or 'accuracy'", known, way_out)
    if isinstance(metrics, str) or not metrics or any(metric not in known for metric in metrics):
        raise input_error("history_curves", "metrics", f"a list of names out of {known}", metrics)
    return list(metrics)


def _check_kernels(model_or_weights: Any) -> np.ndarray:
    """Return the kernels of an array or of a model's first convolution, or raise."""
    function, argument = "first_layer_filters", "model_or_weights"
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
