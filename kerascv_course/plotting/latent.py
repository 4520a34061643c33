"""The latent space: its map as points or as images, and what retrieval finds in it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kerascv_course._validation import as_array, as_numbers, check_class_names, check_labels, input_error
from kerascv_course.plotting import style
from kerascv_course.plotting.grid import check_images, check_points, draw_grid, thumbnails
from kerascv_course.plotting.style import look, panels, styled, with_caption

MOST_CLASSES = 20
_TURNS = 8
_MOST_POINTS = 200_000
_MOST_IMAGES = 5000  # the assignment takes seconds there, and minutes soon after
_MOST_ROWS, _MOST_COLUMNS = 20, 10
_THUMBNAIL = 40  # pixels of an image's longer side


@styled
def plot_latent_map(
    points: np.ndarray,
    labels: Any,
    class_names: Sequence[str],
    *,
    caption: str | None = None,
) -> Figure:
    """Draw a map of the latent space: a point per image, colour and marker by class, its name at their median.

    Args:
        points: Array (images, 2) of finite numbers, as in `Projection.points`; at most 200,000.
        labels: The class of each image, (images,), integers from 0.
        class_names: One string per class; at most 20.
        caption: A sentence above the figure, for example `Projection.caption`.

    Returns:
        The figure: one axis, without ticks, because the coordinates of a t-SNE map mean nothing.

    Raises:
        ValueError: If points, labels and names do not fit, or there are too many.

    Example:
        >>> figure = plot_latent_map(np.array([[0.0, 0], [1, 1], [1, 2]]), [0, 1, 1], ["cat", "dog"])
        >>> [text.get_text() for text in figure.legends[0].get_texts()]
        ['cat', 'dog']
    """
    places = check_points("plot_latent_map", points, _MOST_POINTS)
    classes, names = check_classes("plot_latent_map", labels, class_names, len(places))
    figure, (axis,) = panels(size=(style.WIDTH, 0.72 * style.WIDTH), grid=None)
    size = float(np.clip(24_000 / len(places), 3, 40))
    colors = [style.CLASS_COLORS[number % len(style.CLASS_COLORS)] for number in range(len(names))]
    looks = [look(number) | {"color": color} for number, color in enumerate(colors)]
    # Drawn by turns, so that no class hides another that was drawn before it.
    for part in np.array_split(np.random.default_rng(0).permutation(len(places)), _TURNS):
        for number in np.unique(classes[part]):
            own = places[part[classes[part] == number]]
            axis.scatter(own[:, 0], own[:, 1], s=size, alpha=0.7, linewidths=0, **looks[number])
    outline = [patheffects.withStroke(linewidth=3, foreground=style.PAPER)]
    for number in np.unique(classes):
        place = np.median(places[classes == number], axis=0)
        text: dict[str, Any] = {"ha": "center", "va": "center", "weight": "bold", "path_effects": outline}
        axis.annotate(names[number], place, **text)
    axis.set(xticks=[], yticks=[], aspect="equal")
    axis.spines[:].set_color(style.PALE)
    shown = [axis.plot([], [], linestyle="", label=name, **way)[0] for name, way in zip(names, looks, strict=True)]
    figure.legend(handles=shown, loc="outside right center", frameon=False)
    return with_caption(figure, caption)


@styled
def plot_image_mosaic(images: Any, points: np.ndarray, *, caption: str | None = None) -> Figure:
    """Draw a map of the latent space as a mosaic: each image on a grid, near its place in the map, none hidden.

    Images and cells of the grid are matched so that the squared ways from the map to the grid are least in sum.

    Args:
        images: Array (n, h, w), (n, h, w, 1) or (n, h, w, 3), `uint8` from 0 to 255 or floats from 0 to 1; at most
            5,000 images.
        points: Their places in the map, (n, 2), as in `Projection.points`.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis with one picture, of at most 40 pixels for each image.

    Raises:
        ValueError: If images and points do not fit, or there are too many.
        TypeError: If the values of the images are neither `uint8` nor floats.

    Example:
        >>> figure = plot_image_mosaic(np.zeros((9, 8, 8), "uint8"), np.random.default_rng(0).normal(size=(9, 2)))
        >>> figure.axes[0].images[0].get_array().shape
        (24, 24, 3)

    Source: Boracchi (images at their place in the t-SNE map).
    """
    places = check_points("plot_image_mosaic", points, _MOST_IMAGES)
    pictures = thumbnails("plot_image_mosaic", images, places, _THUMBNAIL)
    columns = int(np.ceil(np.sqrt(len(places))))
    cells = _grid_cells(places, columns)
    height, width = pictures.shape[1:3]
    rows = -(-len(places) // columns)
    mosaic = np.full((rows, height, columns, width, 3), 255, "uint8")
    mosaic[cells[:, 0], :, cells[:, 1]] = pictures
    size = (style.WIDTH, style.WIDTH * rows * height / (columns * width))
    # Up to twice the usual resolution: in a notebook, too, 2,000 images can be told apart.
    dpi = float(np.clip(columns * width / style.WIDTH, 100, 200))
    figure, (axis,) = panels(size=size, grid=None, dpi=dpi)
    axis.imshow(mosaic.reshape(rows * height, columns * width, 3), interpolation="auto")
    axis.set_axis_off()
    return with_caption(figure, caption)


def _grid_cells(points: np.ndarray, columns: int) -> np.ndarray:
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
    labels: Any,
    neighbour_labels: Any,
    class_names: Sequence[str],
    distances: np.ndarray | None = None,
    caption: str | None = None,
) -> Figure:
    """Draw queries and what was found for each, the nearest first; a hit has a tick, a miss a cross.

    Args:
        queries: Images (q, h, w), (q, h, w, 1) or (q, h, w, 3), `uint8` from 0 to 255 or floats from 0 to 1; at
            most 20.
        neighbours: The images found, (q, k, ...), as in `index.images[found.indices]`; at most 10 for each query.
        labels: The classes of the queries, (q,), integers from 0.
        neighbour_labels: Those of the neighbours, (q, k).
        class_names: One string per class, written above each image.
        distances: How far the neighbours are, (q, k), written above them; or None.
        caption: A sentence above the figure.

    Returns:
        The figure: a row per query, one axis per image. A hit has a solid frame, a miss a dashed one.

    Raises:
        ValueError: If the arguments do not fit each other, or there are too many images.
        TypeError: If the values of the images are neither `uint8` nor floats.

    Example:
        >>> queries, found = np.zeros((2, 8, 8), "uint8"), np.zeros((2, 3, 8, 8), "uint8")
        >>> labels = {"labels": [0, 1], "neighbour_labels": [[0, 0, 1], [1, 1, 1]]}
        >>> figure = plot_retrieval(queries, found, **labels, class_names=["cat", "dog"])
        >>> [axis.texts[0].get_text() for axis in figure.axes if axis.texts].count("✓")
        5
    """
    function = "plot_retrieval"
    shown = check_images(function, "queries", queries, _MOST_ROWS)
    count = len(shown)
    rule = f"images (queries, neighbours, ...) for {count} queries, with 1 to {_MOST_COLUMNS} neighbours each"
    found = as_array(function, "neighbours", neighbours, rule)
    if found.ndim not in (4, 5) or len(found) != count or not 1 <= found.shape[1] <= _MOST_COLUMNS:
        raise input_error(function, "neighbours", rule, neighbours)
    shape = found.shape[:2]
    pictures = check_images(function, "neighbours", found.reshape(-1, *found.shape[2:]))
    rule = f"an array of shape {shape}"
    theirs = as_array(function, "neighbour_labels", neighbour_labels, rule)
    if theirs.shape != shape:
        raise input_error(function, "neighbour_labels", rule, neighbour_labels)
    names = check_class_names(function, class_names, len(class_names))
    known: dict[str, Any] = {"num_classes": len(names), "class_names": names}
    own = check_labels(function, "labels", labels, count=count, **known)
    theirs = check_labels(function, "neighbour_labels", theirs.reshape(-1), **known).reshape(shape)
    titles = np.array(names, dtype=object)[np.column_stack([own, theirs])]
    titles[:, 0] = [f"query: {name}" for name in titles[:, 0]]
    if distances is not None:
        numbers = as_numbers(function, "distances", distances, rule)
        if numbers.shape != shape:
            raise input_error(function, "distances", rule, distances)
        for place in np.ndindex(shape):
            row, column = place[0], place[1] + 1
            titles[row, column] = f"{titles[row, column]}\n{numbers[place]:#.3g}".strip().rstrip(".")
    for row in range(count):  # each query before what was found for it
        pictures.insert(row * (1 + shape[1]), shown[row])
    figure = draw_grid(pictures, list(titles.flat), 1 + shape[1], caption)
    for (row, column), is_hit in np.ndenumerate(own[:, None] == theirs):
        _mark(figure.axes[row * (1 + shape[1]) + column + 1], bool(is_hit))
    return figure


def check_classes(
    function: str, labels: Any, class_names: Sequence[str], count: int
) -> tuple[np.ndarray, list[str]]:
    """Return labels as integers (count,), and the names of at most 20 classes, or raise."""
    if not hasattr(class_names, "__len__") or not 1 <= len(class_names) <= MOST_CLASSES:
        raise input_error(function, "class_names", f"1 to {MOST_CLASSES} strings", class_names)
    names = check_class_names(function, class_names, len(class_names))
    options: dict[str, Any] = {"count": count, "num_classes": len(names), "class_names": names}
    return check_labels(function, "labels", labels, **options), names


def _mark(axis: Axes, is_hit: bool) -> None:
    color = style.COLORS[0] if is_hit else style.COLORS[1]
    axis.spines[:].set(color=color, linewidth=2.5, linestyle="-" if is_hit else (0, (2, 1.2)))
    box = {"boxstyle": "square,pad=0.15", "facecolor": color, "edgecolor": "none"}
    sign: dict[str, Any] = {"ha": "right", "va": "top", "color": style.PAPER, "weight": "bold", "bbox": box}
    axis.text(1, 1, "✓" if is_hit else "✗", transform=axis.transAxes, **sign)
