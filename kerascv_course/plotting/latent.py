"""The map of a latent space."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.figure import Figure

from kerascv_course._validation import check_class_names, check_labels, input_error
from kerascv_course.plotting import style
from kerascv_course.plotting.grid import check_points
from kerascv_course.plotting.style import look, panels, styled, with_caption

MOST_CLASSES = 20
_TURNS = 8
_MOST_POINTS = 200_000


@styled
def plot_latent_map(
    points: np.ndarray, labels: Any, class_names: Sequence[str], *, caption: str | None = None
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


def check_classes(function: str, labels: Any, class_names: Any, count: int) -> tuple[np.ndarray, list[str]]:
    """Return labels as integers (count,), and the names of at most 20 classes, or raise."""
    if not hasattr(class_names, "__len__") or not 1 <= len(class_names) <= MOST_CLASSES:
        raise input_error(function, "class_names", f"1 to {MOST_CLASSES} strings", class_names)
    names = check_class_names(function, class_names, len(class_names))
    options: dict[str, Any] = {"count": count, "num_classes": len(names), "class_names": names}
    return check_labels(function, "labels", labels, **options), names
