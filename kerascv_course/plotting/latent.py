"""The latent space: its map as points or as images, and what retrieval finds in it."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import patheffects
from matplotlib.figure import Figure

from kerascv_course._validation import check_int, input_error
from kerascv_course.plotting.style import COLORS, MARKERS, WIDTH, styled, with_caption, wrap
from kerascv_course.plotting.thumbnails import (
    CLASS_COLORS,
    check_as_many,
    check_classes,
    check_points,
    thumbnails,
)

_MAX_CLASSES = 20
_TURNS = 8
_MAX_POINTS = 200_000
_MAX_MOSAIC = 5000  # the assignment takes seconds there, and minutes soon after
_MAX_ROWS, _MAX_COLUMNS = 20, 10
_THUMBNAIL, _LARGE = 40, 160  # pixels of an image's longer side


@styled
def plot_latent_map(
    points: np.ndarray,
    labels: Any,
    class_names: Sequence[str],
    *,
    centroids: bool = True,
    caption: str | None = None,
) -> Figure:
    """Draw a map of the latent space: one point per image, colour and marker by class.

    Args:
        points: Array (images, 2) of finite numbers, as in `Projection.points`; at most 200,000.
        labels: The class of each image, (images,), whole numbers from 0.
        class_names: One text per class; at most 20.
        centroids: Whether the name of each class is written at the median of its points.
        caption: A sentence above the figure, for example `Projection.caption`.

    Returns:
        The figure: one axis, without ticks, because the coordinates of a t-SNE map mean nothing.

    Raises:
        ValueError: Where points, labels and names do not fit, or there are too many.

    Example:
        >>> figure = plot_latent_map(np.array([[0.0, 0], [1, 1], [1, 2]]), [0, 1, 1], ["cat", "dog"])
        >>> [text.get_text() for text in figure.legends[0].get_texts()]
        ['cat', 'dog']
    """
    function = "plot_latent_map"
    places = check_points(function, points, _MAX_POINTS)
    classes, names = check_classes(function, labels, class_names, len(places), _MAX_CLASSES)
    figure, axis = plt.subplots(figsize=(WIDTH, 0.72 * WIDTH), layout="constrained")
    size = float(np.clip(24_000 / len(places), 3, 40))
    looks: list[dict[str, Any]] = [
        {"color": CLASS_COLORS[number % len(CLASS_COLORS)], "marker": MARKERS[number % len(MARKERS)]}
        for number in range(len(names))
    ]
    # Drawn by turns, so that no class hides another that was drawn before it.
    for part in np.array_split(np.random.default_rng(0).permutation(len(places)), _TURNS):
        for number, look in enumerate(looks):
            own = part[classes[part] == number]
            if len(own):
                axis.scatter(places[own, 0], places[own, 1], s=size, alpha=0.7, linewidths=0, **look)
    if centroids:
        outline = [patheffects.withStroke(linewidth=3, foreground="white")]
        for number in np.unique(classes):
            place = np.median(places[classes == number], axis=0)
            text: dict[str, Any] = {"ha": "center", "va": "center", "weight": "bold", "path_effects": outline}
            axis.annotate(names[number], place, **text)
    handles = [
        plt.Line2D([], [], linestyle="", label=name, **look) for name, look in zip(names, looks, strict=True)
    ]
    axis.set(xticks=[], yticks=[], aspect="equal")
    axis.margins(0.03)
    axis.spines[:].set_color("0.7")
    figure.legend(handles=handles, loc="outside right center", frameon=False)
    return with_caption(figure, caption)


@styled
def plot_image_mosaic(
    images: Any, points: np.ndarray, *, columns: int | None = None, caption: str | None = None
) -> Figure:
    """Draw a map of the latent space as a mosaic: each image on a grid, near its place in the map, none hidden.

    Images and cells of the grid are matched so that the squared ways from the map to the grid are least in sum.

    Args:
        images: Array (n, h, w), (n, h, w, 1) or (n, h, w, 3), `uint8` from 0 to 255 or floats from 0 to 1; at most
            5,000 images.
        points: Their places in the map, (n, 2), as in `Projection.points`.
        columns: Cells in a row of the grid; by default so many that the grid is about square.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis with one picture, of at most 40 pixels for each image.

    Raises:
        ValueError: Where images and points do not fit, or there are too many.
        TypeError: Where the values of the images are neither `uint8` nor floats.

    Example:
        >>> figure = plot_image_mosaic(np.zeros((9, 8, 8), "uint8"), np.random.default_rng(0).normal(size=(9, 2)))
        >>> figure.axes[0].images[0].get_array().shape
        (24, 24, 3)

    Source: Boracchi (images at their place in the t-SNE map).
    """
    function = "plot_image_mosaic"
    places = check_points(function, points, _MAX_MOSAIC)
    pictures = thumbnails(function, "images", images, _THUMBNAIL)
    check_as_many(function, "images", pictures, places)
    if columns is None:
        columns = int(np.ceil(np.sqrt(len(places))))
    columns = check_int(function, "columns", columns, 1)
    cells = grid_cells(places, columns)
    height, width = pictures.shape[1:3]
    rows = -(-len(places) // columns)
    mosaic = np.full((rows, height, columns, width, 3), 255, "uint8")
    mosaic[cells[:, 0], :, cells[:, 1]] = pictures
    # Up to twice the usual resolution: in a notebook, too, 2,000 images can be told apart.
    dpi = float(np.clip(columns * width / WIDTH, 100, 200))
    figure = plt.figure(figsize=(WIDTH, WIDTH * rows * height / (columns * width)), dpi=dpi, layout="constrained")
    axis = figure.add_subplot(aspect="equal")
    axis.imshow(mosaic.reshape(rows * height, columns * width, 3), interpolation="auto")
    axis.set_axis_off()
    return with_caption(figure, caption)


def grid_cells(points: np.ndarray, columns: int) -> np.ndarray:
    """Return row and column of each point, (n, 2): another cell for each, the upper row for the largest y."""
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics import pairwise_distances

    count = len(points)
    rows = -(-count // columns)
    cells = np.indices((rows, columns)).reshape(2, -1).T
    # The map is stretched halfway to a square full of points: a dense group else pushes its images far away.
    spread = np.ptp(points, axis=0)
    even = (points - points.min(axis=0)) / np.where(spread > 0, spread, 1)
    ranks = (points.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable") + 0.5) / count
    wanted = (even + ranks) / 2
    targets = np.stack([1 - (cells[:, 0] + 0.5) / rows, (cells[:, 1] + 0.5) / columns])[::-1].T
    _, chosen = linear_sum_assignment(pairwise_distances(wanted, targets, "sqeuclidean"))
    return cells[chosen]


@styled
def plot_retrieval(
    queries: np.ndarray,
    neighbours: np.ndarray,
    *,
    labels: Any = None,
    neighbour_labels: Any = None,
    class_names: Sequence[str] | None = None,
    distances: np.ndarray | None = None,
    caption: str | None = None,
) -> Figure:
    """Draw queries and what was found for each, the nearest first; a hit has a tick, a miss a cross.

    Args:
        queries: Images (q, h, w), (q, h, w, 1) or (q, h, w, 3), `uint8` from 0 to 255 or floats from 0 to 1; at
            most 20.
        neighbours: The images found, (q, k, ...), as in `index.images[found.indices]`; at most 10 for each query.
        labels: The classes of the queries, (q,), whole numbers from 0; or None, then nothing is marked.
        neighbour_labels: Those of the neighbours, (q, k); given together with `labels`.
        class_names: One text per class, written above each image; or None.
        distances: How far the neighbours are, (q, k), written below them; or None.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis, a row per query. A hit has a solid frame, a miss a dashed one.

    Raises:
        ValueError: Where the arguments do not fit each other, or there are too many images.
        TypeError: Where the values of the images are neither `uint8` nor floats.

    Example:
        >>> queries, found = np.zeros((2, 8, 8), "uint8"), np.zeros((2, 3, 8, 8), "uint8")
        >>> figure = plot_retrieval(queries, found, labels=[0, 1], neighbour_labels=[[0, 0, 1], [1, 1, 1]])
        >>> [text.get_text() for text in figure.axes[0].texts].count("✓")
        5
    """
    function = "plot_retrieval"
    shown = thumbnails(function, "queries", queries, _LARGE)
    found = np.asarray(neighbours)
    rule = f"images (queries, neighbours, ...) for {len(shown)} queries, with 1 to {_MAX_COLUMNS} neighbours each"
    fits = found.ndim in (4, 5) and len(found) == len(shown) and 1 <= found.shape[1] <= _MAX_COLUMNS
    if not fits or found.shape[2:] != np.shape(queries)[1:]:
        raise input_error(function, "neighbours", rule, neighbours, "They have the size of the queries.")
    if len(shown) > _MAX_ROWS:
        raise input_error(function, "queries", f"at most {_MAX_ROWS} images", queries)
    count, k = found.shape[:2]
    pictures = thumbnails(function, "neighbours", found.reshape(-1, *found.shape[2:]), _LARGE)
    pictures = pictures.reshape(count, k, *pictures.shape[1:])
    texts, hits = _texts_and_hits(function, (count, k), labels, neighbour_labels, class_names)
    if distances is not None and np.shape(distances) != (count, k):
        raise input_error(function, "distances", f"an array of shape {(count, k)}", distances)
    side, gap = 1.0, 0.12
    inch = WIDTH / ((k + 1) * (side + gap) + 0.35)  # inches of a cell's side
    line = 0.16 / inch
    tall = shown.shape[1] / shown.shape[2]
    texts = [[wrap(text, inch) for text in row] for row in texts]
    above = line * max((text.count("\n") + 1 for row in texts for text in row if text), default=0.4)
    below = line * (0.3 if distances is None else 1.5)
    step = tall + above + below
    size = (WIDTH, count * step * inch + (0.35 if caption else 0.05))
    figure = plt.figure(figsize=size)
    axis = figure.add_axes((0, 0, 1, count * step * inch / size[1]))
    axis.set(xlim=(0, WIDTH / inch), ylim=(count * step, 0))
    axis.set_axis_off()
    for row in range(count):
        top = row * step + above
        for column in range(k + 1):
            left = gap + column * (side + gap) + (0.3 if column else 0)
            image = shown[row] if column == 0 else pictures[row, column - 1]
            axis.imshow(image, extent=(left, left + side, top + tall, top), interpolation="auto", aspect="auto")
            axis.text(left + side / 2, top - 0.25 * line, texts[row][column], ha="center", va="bottom")
            if column and hits is not None:
                _mark(axis, (left, top), (side, tall), bool(hits[row, column - 1]))
            if column and distances is not None:
                number = f"{distances[row][column - 1]:#.3g}".rstrip(".")
                axis.text(left + side / 2, top + tall + 0.3 * line, number, ha="center", va="top")
    if caption:
        figure.suptitle(wrap(caption, WIDTH), y=1 - 0.05 / size[1], va="top")
    return figure


def _texts_and_hits(
    function: str, shape: tuple[int, int], labels: Any, neighbour_labels: Any, class_names: Sequence[str] | None
) -> tuple[list[list[str]], np.ndarray | None]:
    """Return the text above each image, the query first, and which neighbours are of its class."""
    count, k = shape
    if labels is None or neighbour_labels is None:
        if not (labels is None and neighbour_labels is None and class_names is None):
            rule = "given together with `neighbour_labels`, and both where `class_names` are given"
            raise input_error(function, "labels", rule, labels)
        return [["query"] + [""] * k for _ in range(count)], None
    if np.shape(neighbour_labels) != shape:
        raise input_error(function, "neighbour_labels", f"an array of shape {shape}", neighbour_labels)
    both = np.concatenate([np.asarray(labels).reshape(-1), np.asarray(neighbour_labels).reshape(-1)])
    names = [""] * (int(both.max()) + 1) if class_names is None else class_names
    classes, words = check_classes(function, both, names, count * (k + 1), len(names))
    own, found = classes[:count], classes[count:].reshape(shape)
    texts = [[words[own[row]] or "query", *(words[place] for place in found[row])] for row in range(count)]
    return texts, own[:, None] == found


def _mark(axis: plt.Axes, corner: tuple[float, float], size: tuple[float, float], is_hit: bool) -> None:
    color = COLORS[0] if is_hit else COLORS[1]
    style: Any = "-" if is_hit else (0, (2, 1.2))
    axis.add_patch(plt.Rectangle(corner, *size, fill=False, edgecolor=color, linewidth=2.5, linestyle=style))
    sign: dict[str, Any] = {"ha": "right", "va": "top", "color": "white", "weight": "bold"}
    box = {"boxstyle": "square,pad=0.15", "facecolor": color, "edgecolor": "none"}
    axis.text(corner[0] + size[0], corner[1], "✓" if is_hit else "✗", bbox=box, **sign)
