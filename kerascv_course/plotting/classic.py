"""Bag of visual words in pictures: where descriptors are taken, what the words look like, which an image has."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from kerascv_course._validation import as_numbers, input_error
from kerascv_course.plotting import style
from kerascv_course.plotting.grid import check_images, check_points, draw_grid
from kerascv_course.plotting.style import check_texts, panels, styled, with_caption, wrap

_MAX_POINTS = 5000
_MAX_BARS = 8


@styled
def plot_keypoints(image: Any, positions: Any, sizes: Any = None, *, caption: str | None = None) -> Figure:
    """Show an image with the points that are described, and the square that each descriptor looks at.

    Args:
        image: Array (h, w), (h, w, 1) or (h, w, 3), `uint8` from 0 to 255 or floats from 0 to 1.
        positions: Array (points, 2) of y and x in pixels, as in `classic.Descriptions`; at most 5,000.
        sizes: Sides of the squares in pixels, (points,); by default points only.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis, with the image, the points and one collection of squares.

    Raises:
        ValueError: Where image, positions or sizes are not as above.
        TypeError: Where the values of the image are neither `uint8` nor floats.

    Example:
        >>> figure = plot_keypoints(np.zeros((8, 8)), [[2.0, 2.0], [5.0, 4.0]], [4.0, 4.0])
        >>> len(figure.axes[0].collections)
        2
    """
    function = "plot_keypoints"
    (picture,) = check_images(function, "image", [image])
    points = check_points(function, positions, _MAX_POINTS, "positions", least=0)
    height, width = picture.shape[:2]
    squares: list[Rectangle] = []
    if sizes is not None:
        rule = f"one finite number for each of {len(points)} points"
        sides = as_numbers(function, "sizes", sizes, rule)
        if sides.shape != (len(points),):
            raise input_error(function, "sizes", rule, sizes)
        corners = points[:, ::-1] - sides[:, None] / 2
        squares = [Rectangle(corner, side, side) for corner, side in zip(corners, sides, strict=True)]
    figure, (axis,) = panels(size=(5, 5 * min(1.6, height / width) + 0.3), grid=None)
    axis.imshow(picture, cmap=style.IMAGE_COLOR_MAP, vmin=0, vmax=1, interpolation="nearest")
    look: dict[str, Any] = {"facecolor": "none", "edgecolor": style.COLORS[4], "linewidth": 0.8, "alpha": 0.7}
    axis.add_collection(PatchCollection(squares, **look))
    dot: dict[str, Any] = {"color": style.COLORS[5], "edgecolor": style.INK, "linewidth": 0.5, "zorder": 3}
    axis.scatter(points[:, 1], points[:, 0], s=14, **dot)
    axis.set(xticks=[], yticks=[], xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    return with_caption(figure, caption)


@styled
def plot_visual_words(
    patches: Sequence[Any], *, titles: Sequence[str] | None = None, caption: str | None = None
) -> Figure:
    """Show a vocabulary as a sheet: for each visual word a row of patches that are near to it.

    Args:
        patches: For each word an array (patches, s, s) or (patches, s, s, 3), `uint8` or floats from 0 to 1, as
            `classic.word_patches` returns them; a word may have none. At most 256 words.
        titles: One text per word; by default "word 0" and so on.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis per word.

    Raises:
        ValueError: Where patches or titles are not as above.
        TypeError: Where the values are neither `uint8` nor floats.

    Example:
        >>> figure = plot_visual_words([np.zeros((4, 8, 8), "uint8"), np.zeros((2, 8, 8), "uint8")])
        >>> [axis.get_title() for axis in figure.axes]
        ['word 0', 'word 1']
    """
    function = "plot_visual_words"
    rows = [np.asarray(row) for row in patches]
    rule = "one or more arrays (patches, s, s) or (patches, s, s, 3), one per word, of one size"
    if not rows or any(row.ndim not in (3, 4) or row.shape[1:] != rows[0].shape[1:] for row in rows):
        raise input_error(function, "patches", rule, [row.shape for row in rows[:3]])
    longest = max(map(len, rows))
    if not longest:
        raise input_error(function, "patches", rule, "words without any patch")
    labels = [f"word {index}" for index in range(len(rows))]
    labels = labels if titles is None else check_texts(function, "titles", titles, len(rows))
    side = rows[0].shape[1]
    step = side + max(1, side // 10)  # with the gap
    strips = []
    for row in rows:
        strip = np.ones((side, longest * step - (step - side), *row.shape[3:]))
        for index, picture in enumerate(check_images(function, "patches", list(row)) if len(row) else []):
            strip[:, index * step : index * step + side] = picture.reshape(strip[:, :side].shape)
        strips.append(strip)
    return draw_grid(check_images(function, "patches", strips), labels, 3, caption)


@styled
def plot_word_histogram(histograms: Any, *, caption: str | None = None) -> Figure:
    """Draw how often an image has each visual word; several images one below the other.

    Args:
        histograms: A mapping from names to arrays (words,) of one length, at most 8.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis for each, on one scale.

    Raises:
        ValueError: Where the histograms are not as above, not finite or empty.

    Example:
        >>> figure = plot_word_histogram({"cat": [3, 0, 1], "dog": [0, 2, 2]})
        >>> [axis.get_title() for axis in figure.axes]
        ['cat', 'dog']
    """
    function = "plot_word_histogram"
    rule = f"a mapping from 1 to {_MAX_BARS} names to arrays (words,) of one length"
    if not isinstance(histograms, Mapping):
        raise input_error(function, "histograms", rule, histograms, error=TypeError)
    rows = {str(name): as_numbers(function, "histograms", values, rule) for name, values in histograms.items()}
    shapes = {values.shape for values in rows.values()}
    shape = next(iter(shapes), ())
    if not 1 <= len(rows) <= _MAX_BARS or len(shapes) > 1 or len(shape) != 1 or 0 in shape:
        raise input_error(function, "histograms", rule, {name: row.shape for name, row in rows.items()})
    size = (style.PLOT_WIDTH, 1.4 * len(rows) + 0.6)
    figure, axes = panels(len(rows), size=size, grid="y", sharex=True, sharey=True)
    for axis, (name, values) in zip(axes, rows.items(), strict=True):
        axis.bar(np.arange(len(values)), values, width=0.9, color=style.COLORS[0])
        axis.set(title=wrap(name, style.PLOT_WIDTH), xlim=(-0.6, len(values) - 0.4))
    axes[-1].set_xlabel("visual word")
    return with_caption(figure, caption)
