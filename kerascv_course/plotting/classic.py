"""Bag of visual words in pictures: where descriptors are taken, what the words look like, which an image has."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from kerascv_course._validation import input_error
from kerascv_course.plotting.images import _check_columns, _check_images, _grid
from kerascv_course.plotting.style import COLORS, WIDTH, check_texts, styled, with_caption, wrap

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
    (picture,) = _check_images([image], function, "image")
    points = np.asarray(positions, "float64").reshape(-1, 2) if not len(positions) else np.asarray(positions)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) > _MAX_POINTS or not np.isfinite(points).all():
        rule = f"an array (points, 2) of at most {_MAX_POINTS} finite positions, y and x"
        raise input_error(function, "positions", rule, positions, "Take some of them with `[::10]`.")
    sides = None if sizes is None else np.asarray(sizes)
    if sides is not None and (sides.shape != (len(points),) or not np.isfinite(sides).all()):
        raise input_error(function, "sizes", f"one finite number for each of {len(points)} points", sizes)
    height, width = picture.shape[:2]
    figure, axis = plt.subplots(figsize=(5, 5 * min(1.6, height / width) + 0.3), layout="constrained")
    axis.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    if sides is not None:
        squares = [
            Rectangle((x - side / 2, y - side / 2), side, side) for (y, x), side in zip(points, sides, strict=True)
        ]
        axis.add_collection(
            PatchCollection(squares, facecolor="none", edgecolor=COLORS[4], linewidth=0.8, alpha=0.7)
        )
    axis.scatter(points[:, 1], points[:, 0], s=14, color=COLORS[5], edgecolor="black", linewidth=0.5, zorder=3)
    axis.set(xticks=[], yticks=[], xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    return with_caption(figure, caption)


@styled
def plot_visual_words(
    patches: Sequence[Any],
    *,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    caption: str | None = None,
) -> Figure:
    """Show a vocabulary as a sheet: for each visual word a row of patches that are near to it.

    Args:
        patches: For each word an array (patches, s, s) or (patches, s, s, 3), `uint8` or floats from 0 to 1, as
            `classic.word_patches` returns them; a word may have none. At most 256 words.
        titles: One text per word; by default "word 0" and so on.
        columns: Words side by side; by default 3.
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
    strips = []
    for row in rows:
        side = rows[0].shape[1]
        gap = max(1, side // 10)
        strip = np.ones((side, longest * (side + gap) - gap, *row.shape[3:]))
        for index, picture in enumerate(_check_images(list(row), function, "patches") if len(row) else []):
            strip[:, index * (side + gap) : index * (side + gap) + picture.shape[1]] = picture
        strips.append(strip)
    pictures = _check_images(strips, function, "patches")
    return _grid(pictures, labels, _check_columns(function, 3 if columns is None else columns), caption)


@styled
def plot_word_histogram(histograms: Any, *, caption: str | None = None) -> Figure:
    """Draw how often an image has each visual word; several images one below the other.

    Args:
        histograms: Array (words,), or a mapping from names to such arrays of one length, at most 8.
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
    named = histograms if isinstance(histograms, Mapping) else {"": histograms}
    rows = {str(name): np.asarray(values) for name, values in named.items()}
    rule = f"an array (words,), or 1 to {_MAX_BARS} of one length by name, of finite numbers"
    lengths = {values.shape for values in rows.values()}
    is_right = len(lengths) == 1 and 1 <= len(rows) <= _MAX_BARS and len(next(iter(lengths))) == 1
    is_right = is_right and all(
        values.size and values.dtype.kind in "uif" and np.isfinite(values).all() for values in rows.values()
    )
    if not is_right:
        raise input_error(
            "plot_word_histogram", "histograms", rule, {name: row.shape for name, row in rows.items()}
        )
    size = (WIDTH, 1.4 * len(rows) + 0.6)
    figure, axes = plt.subplots(
        len(rows), 1, figsize=size, layout="constrained", sharex=True, sharey=True, squeeze=False
    )
    for axis, (name, values) in zip(axes[:, 0], rows.items(), strict=True):
        axis.bar(np.arange(len(values)), values, width=0.9, color=COLORS[0])
        axis.set(title=wrap(name, WIDTH), xlim=(-0.6, len(values) - 0.4))
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1, 0].set_xlabel("visual word")
    return with_caption(figure, caption)
