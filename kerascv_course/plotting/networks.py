"""Networks as pictures: what they cost, and the volumes through which an image goes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from kerascv_course._validation import input_error
from kerascv_course.plotting.style import COLORS, MARKERS, WIDTH, styled, with_caption

if TYPE_CHECKING:
    from kerascv_course.architecture import LayerTable, ModelRecord

_SLANT = 0.35  # how much of a side is seen in the oblique projection
_KINDS = {"convolution": COLORS[0], "pooling": COLORS[1], "dense": COLORS[2], "image": "#9a9a9a"}
_MAX_BOXES = 16  # of more, those of one size of maps are drawn as one


@styled
def plot_model_costs(records: "Sequence[ModelRecord]", *, caption: str | None = None) -> Figure:
    """Draw models by their parameters and multiply-accumulates, both on logarithmic axes.

    Args:
        records: What `architecture.compare_models` measured, its `rows`.
        caption: A sentence above the figure.

    Returns:
        The figure: one point with a name for each model.

    Raises:
        TypeError: If `records` is no list of `ModelRecord`.
        ValueError: If there is none, or a model has no parameters or MACs.

    Example:
        >>> from kerascv_course.architecture import ModelRecord
        >>> record = ModelRecord("small", 20, 20, 648, 1296, 288, 20_000, 1, 1, 3, None)
        >>> figure = plot_model_costs([record])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['small']
    """
    from kerascv_course.architecture import ModelRecord  # here: it loads Keras, which other figures do not need

    function, rule = "plot_model_costs", "the `rows` of `architecture.compare_models`"
    given = getattr(records, "rows", records)
    if not isinstance(given, list | tuple) or not all(isinstance(record, ModelRecord) for record in given):
        raise input_error(function, "records", rule, records, error=TypeError)
    if not given or any(record.params < 1 or record.macs < 1 for record in given):
        raise input_error(function, "records", f"{rule}, one or more, with parameters and MACs", records)
    figure, axis = plt.subplots(figsize=(WIDTH, 4.6), layout="constrained")
    for index, record in enumerate(given):
        x, y = record.params / 1e6, record.macs / 1e9
        color, marker = COLORS[index % len(COLORS)], MARKERS[index % len(MARKERS)]
        axis.plot(x, y, linestyle="", color=color, marker=marker, markersize=9)
    axis.set(
        xscale="log", yscale="log", xlabel="parameters, millions", ylabel="MACs for one image, billions (10⁹)"
    )
    axis.margins(0.18, 0.12)
    axis.grid(which="both", alpha=0.25)
    _name_points(axis, [(record.params / 1e6, record.macs / 1e9, record.name) for record in given])
    return with_caption(figure, caption)


@styled
def plot_architecture(table: "LayerTable", *, caption: str | None = None) -> Figure:
    """Draw the volumes through a network to scale, from the image to the classes.

    A box is the output of a convolution or pooling: height and slanted depth are the sides of its maps, its width
    is the number of maps, on a scale of its own. Layers in a row that write the same shape are one box with their
    number; where that makes more than 16 boxes, all layers of one size of maps are one box, as wide as the last of
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
    from kerascv_course.architecture import LayerTable  # as above

    if not isinstance(table, LayerTable):
        raise input_error(
            "plot_architecture", "table", "what `architecture.layer_table` returns", table, error=TypeError
        )
    boxes = _boxes(table)
    maps = [box for box in boxes if len(box["shape"]) == 3]
    if not maps:
        raise input_error(
            "plot_architecture", "table", "the table of a network that writes maps", table.model_name
        )
    tallest = max(box["shape"][0] for box in maps)
    thickest = max(box["shape"][2] for box in maps)
    longest = max((box["shape"][0] for box in boxes if len(box["shape"]) == 1), default=1)
    figure, axis = plt.subplots(figsize=(WIDTH, 3.9), layout="constrained")
    gap = 0.09
    x = 0.0
    seen: dict[str, Any] = {}
    for number, box in enumerate(boxes):
        shape, color = box["shape"], _KINDS[box["kind"]]
        if len(shape) == 3:
            height, side, width = shape[0] / tallest, shape[1] / tallest, max(0.02, 0.5 * shape[2] / thickest)
        else:
            height, side, width = max(0.04, shape[0] / longest), 0.0, 0.02
        seen.setdefault(box["kind"], _draw_box(axis, x, height, side * _SLANT, width, color, number))
        text = " x ".join(map(str, shape))
        times = f"\n{box['count']} layers" if box["count"] > 1 else ""
        axis.text(x + width / 2, -height / 2 - 0.03, f"{text}{times}", rotation=90, ha="center", va="top")
        x += width + side * _SLANT * 0.75 + gap
    axis.set(xlim=(-0.08, x), ylim=(-1.15, 0.5 + _SLANT))
    axis.set_aspect("equal")
    axis.axis("off")
    figure.legend(
        seen.values(),
        list(seen),
        loc="outside lower center",
        ncols=len(seen),
        frameon=False,
    )
    return with_caption(figure, caption)


def _boxes(table: "LayerTable") -> list[dict[str, Any]]:
    """Return the volumes in the order of the rows: shape, the kind of layer that wrote it, and how many did."""
    boxes: list[dict[str, Any]] = []
    for row in table.rows:
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
    low, high = -height / 2, height / 2
    front = [(x, low), (x + width, low), (x + width, high), (x, high)]
    top = [(x, high), (x + width, high), (x + width + slant * 0.7, high + slant), (x + slant * 0.7, high + slant)]
    right = [
        (x + width, low),
        (x + width, high),
        (x + width + slant * 0.7, high + slant),
        (x + width + slant * 0.7, low + slant),
    ]
    patches = []
    for corners, alpha in ((right, 0.45), (top, 0.25), (front, 0.8)):
        # White below it: what is behind must not shine through.
        axis.add_patch(Polygon(corners, facecolor="white", edgecolor="none", zorder=order + 2))
        patches.append(Polygon(corners, facecolor=color, alpha=alpha, edgecolor="black", linewidth=0.6))
        patches[-1].set_zorder(order + 2)
        axis.add_patch(patches[-1])
    return patches[-1]


def _name_points(axis: Axes, points: list[tuple[float, float, str]]) -> None:
    """Write names beside points, on the side where the next point is further away."""
    figure = axis.figure
    figure.canvas.draw()  # so that the positions on paper are known
    paper = axis.transData.transform([(x, y) for x, y, _ in points])
    taken: list[tuple[float, float, float, float]] = []
    order = sorted(range(len(points)), key=lambda index: -paper[index][1])
    for index in order:
        x, y = paper[index]
        width, height = 6.2 * len(points[index][2]) + 10, 15
        spots = [
            (9, 0, "left"),
            (-9, 0, "right"),
            (9, 13, "left"),
            (9, -13, "left"),
            (-9, 13, "right"),
            (-9, -13, "right"),
        ]
        boxes = [
            (x + dx - (width if side == "right" else 0), y + dy - height / 2, width, height)
            for dx, dy, side in spots
        ]
        free = [_overlaps(box, taken, paper, index) for box in boxes]
        best = min(range(len(spots)), key=free.__getitem__)
        dx, dy, side = spots[best]
        taken.append(boxes[best])
        axis.annotate(
            points[index][2],
            points[index][:2],
            (dx * 0.72, dy * 0.72),
            textcoords="offset points",
            ha=side,
            va="center",
        )


def _overlaps(box: tuple[float, ...], taken: list[tuple[float, float, float, float]], paper: Any, own: int) -> int:
    left, low, width, height = box
    names = sum(
        left < other[0] + other[2]
        and other[0] < left + width
        and low < other[1] + other[3]
        and other[1] < low + height
        for other in taken
    )
    return names + sum(
        left < x < left + width and low < y < low + height for place, (x, y) in enumerate(paper) if place != own
    )
