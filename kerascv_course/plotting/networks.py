"""Networks as pictures: the volumes through which an image goes."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from kerascv_course._validation import input_error
from kerascv_course.plotting import style
from kerascv_course.plotting.style import check_records, panels, styled, with_caption

if TYPE_CHECKING:
    from kerascv_course.architecture import LayerTable

_SLANT = 0.35  # how much of a side is seen in the oblique projection
_MAX_BOXES = 16  # of more, those of one size of maps are drawn as one


@styled
def plot_architecture(table: "LayerTable", *, caption: str | None = None) -> Figure:
    """Draw the volumes through a network, from the image to the classes.

    A box is the output of a convolution or pooling: height and slanted depth are the sides of its maps, its width
    is the number of maps, on a scale of its own. Layers in a row that write the same shape are one box with their
    number; if that makes more than 16 boxes, all layers of one size of maps are one box, as wide as the last of
    them. Vectors are thin bars on a scale of their own.

    Args:
        table: What `architecture.layer_table` measured. Branches are not drawn as such: the volumes come in the
            order of the rows.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis without ticks.

    Raises:
        TypeError: If `table` is no `LayerTable`.
        ValueError: If the network writes no maps.

    Example:
        >>> import keras
        >>> from kerascv_course.architecture import layer_table
        >>> from kerascv_course.models import build_lenet5
        >>> figure = plot_architecture(layer_table(build_lenet5()))
        >>> len(figure.axes)
        1
    """
    function, rule = "plot_architecture", "what `architecture.layer_table` returns"
    fields = ("output_shape", "layer_type", "macs")
    boxes = _boxes(check_records(function, "table", table, rule, *fields, beside="model_name"))
    maps = [box["shape"] for box in boxes if len(box["shape"]) == 3]
    if not maps:
        raise input_error(function, "table", "the table of a network that writes maps", table.model_name)
    tallest, _, thickest = np.max(maps, axis=0)
    longest = max((box["shape"][0] for box in boxes if len(box["shape"]) == 1), default=1)
    colors = dict(zip(("convolution", "pooling", "dense", "image"), (*style.COLORS[:3], style.GREY), strict=True))
    figure, (axis,) = panels(size=(6.0, 3.6), grid=None)
    x = 0.0
    seen: dict[str, Polygon] = {}
    for number, box in enumerate(boxes):
        shape = box["shape"]
        if len(shape) == 3:
            height, side, width = shape[0] / tallest, shape[1] / tallest, max(0.02, 0.5 * shape[2] / thickest)
        else:
            height, side, width = max(0.04, shape[0] / longest), 0.0, 0.02
        front = _draw_box(axis, x, height, side * _SLANT, width, colors[box["kind"]], number + 2)
        seen.setdefault(box["kind"], front)
        times = f"\n{box['count']} layers" if box["count"] > 1 else ""
        text = " x ".join(map(str, shape)) + times
        axis.text(x + width / 2, -height / 2 - 0.03, text, rotation=90, ha="center", va="top")
        x += max(width + side * _SLANT * 0.75 + 0.09, 0.34)  # no narrower than two lines of text
    axis.set(xlim=(-0.08, x), ylim=(-1.15, 0.5 + _SLANT), aspect="equal")
    axis.axis("off")
    legend = {"ncols": len(seen), "frameon": False, "title": "sides, maps and vectors: one scale each"}
    figure.legend(seen.values(), list(seen), loc="outside lower center", **legend)
    return with_caption(figure, caption)


def _boxes(rows: list[Any]) -> list[dict[str, Any]]:
    """Return the volumes in the order of the rows: shape, the kind of layer that wrote it, and how many did."""
    boxes: list[dict[str, Any]] = []
    for row in rows:
        if isinstance(row.output_shape[0], tuple) or len(row.output_shape) not in (2, 4):
            continue
        shape = tuple(row.output_shape[1:])
        if row.macs:
            kind = "convolution" if len(shape) == 3 else "dense"
        elif "Pool" in row.layer_type:
            kind = "pooling"
        elif row.layer_type == "Concatenate" and len(shape) == 3:
            kind = "convolution"  # what the branches of an inception block have made together
        elif not boxes:
            kind = "image"
        else:
            continue  # normalisation, activation and the like change no shape that is worth a box
        if boxes and boxes[-1]["shape"] == shape and boxes[-1]["kind"] == kind:
            boxes[-1]["count"] += 1
        else:
            boxes.append({"shape": shape, "kind": kind, "count": int(row.layer_type != "Concatenate")})
    return boxes if len(boxes) <= _MAX_BOXES else _merged(boxes)


def _merged(boxes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one box for each size of maps, with the number of its convolutions; other boxes as they are."""
    merged: list[dict[str, Any]] = []
    for box in boxes:
        before = merged[-1] if merged else box
        is_map = len(box["shape"]) == 3 and before["kind"] != "image"
        if merged and is_map and before["shape"][:2] == box["shape"][:2]:
            convolutions = sum(part["count"] for part in (before, box) if part["kind"] == "convolution")
            kind = "convolution" if convolutions else "pooling"
            merged[-1] = {"shape": box["shape"], "kind": kind, "count": convolutions or 1}
        else:
            merged.append(box)
    return merged


def _draw_box(axis: Axes, x: float, height: float, slant: float, width: float, color: str, order: int) -> Polygon:
    """Draw a box in oblique projection, its front centred on the horizontal axis; return its front."""
    low, high, end = -height / 2, height / 2, x + width
    back = np.array((0.7 * slant, slant))  # from the front to the back
    front = np.array([(x, low), (end, low), (end, high), (x, high)])
    right = np.array([front[1], front[2], front[2] + back, front[1] + back])
    top = np.array([front[3], front[2], front[2] + back, front[3] + back])
    for corners, alpha in ((right, 0.45), (top, 0.25), (front, 0.8)):
        # Paper below it: what is behind must not shine through.
        axis.add_patch(Polygon(corners, facecolor=style.PAPER, edgecolor="none", zorder=order))
        patch = Polygon(corners, facecolor=color, alpha=alpha, edgecolor=style.INK, linewidth=0.6, zorder=order)
        axis.add_patch(patch)
    return patch
