"""Networks as pictures: what they cost, and the volumes through which an image goes."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from kerascv_course._validation import input_error
from kerascv_course.architecture import LayerTable, ModelRecord
from kerascv_course.plotting.style import COLORS, MARKERS, WIDTH, styled, with_caption

_SLANT = 0.35  # how much of a side is seen in the oblique projection
_KINDS = {"convolution": COLORS[0], "pooling": COLORS[1], "dense": COLORS[2], "other": "#9a9a9a"}
_MAX_VOLUMES = 60


@styled
def model_costs(records: Sequence[ModelRecord], *, caption: str | None = None) -> Figure:
    """Draw models by their parameters and multiply-accumulates, both on logarithmic axes.

    Args:
        records: What `architecture.compare` measured, its `records`.
        caption: A sentence above the figure.

    Returns:
        The figure: one point with a name for each model.

    Raises:
        TypeError: If `records` is no list of `ModelRecord`.
        ValueError: If there is none, or a model has no parameters or MACs.

    Example:
        >>> record = ModelRecord("small", 20, 20, 648, 1296, 288, 20_000, 1, 1, 3, None)
        >>> figure = model_costs([record])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['small']
    """
    function, rule = "model_costs", "a list of the records of `architecture.compare`"
    given = getattr(records, "records", records)
    if not isinstance(given, list | tuple) or not all(isinstance(record, ModelRecord) for record in given):
        raise input_error(function, "records", rule, records, error=TypeError)
    if not given or any(record.params < 1 or record.macs < 1 for record in given):
        raise input_error(function, "records", f"{rule}, one or more, with parameters and MACs", records)
    figure, axis = plt.subplots(figsize=(WIDTH, 4.6), layout="constrained")
    # Names go where the fewest other points are: to the right, or to the left of a point that has one at its right.
    for index, record in enumerate(given):
        x, y = record.params / 1e6, record.macs / 1e9
        color, marker = COLORS[index % len(COLORS)], MARKERS[index % len(MARKERS)]
        axis.plot(x, y, linestyle="", color=color, marker=marker, markersize=9)
    axis.set(
        xscale="log", yscale="log", xlabel="parameters, millions", ylabel="MACs for one image, thousand millions"
    )
    axis.margins(0.18, 0.12)
    axis.grid(which="both", alpha=0.25)
    _name_points(axis, [(record.params / 1e6, record.macs / 1e9, record.name) for record in given])
    return with_caption(figure, caption)


@styled
def volumes(table: LayerTable, *, caption: str | None = None) -> Figure:
    """Draw the volumes through a network to scale, from the image to the classes.

    A box is the output of a convolution or pooling: height and slanted depth are the sides of its maps, its width
    is the number of maps, on a scale of its own. Layers in a row that write the same shape are one box with their
    number; vectors are thin bars on a scale of their own.

    Args:
        table: What `architecture.layer_table` measured. Of networks with branches the volumes after each change
            of shape along the rows are drawn, not the branches.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis without ticks.

    Raises:
        TypeError: If `table` is no `LayerTable`.
        ValueError: If the network writes no maps, or more than 60 different volumes one after the other.

    Example:
        >>> import keras
        >>> from kerascv_course.architecture import layer_table
        >>> from kerascv_course.models import build_lenet5
        >>> figure = volumes(layer_table(build_lenet5()))
        >>> len(figure.axes)
        1
    """
    if not isinstance(table, LayerTable):
        raise input_error("volumes", "table", "what `architecture.layer_table` returns", table, error=TypeError)
    boxes = _boxes(table)
    maps = [box for box in boxes if len(box["shape"]) == 3]
    if not maps or len(boxes) > _MAX_VOLUMES:
        rule = f"the table of a network that writes maps of images, in at most {_MAX_VOLUMES} different volumes"
        raise input_error("volumes", "table", rule, table.model_name, f"It has {len(boxes)}.")
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
        axis.text(
            x + width / 2, -height / 2 - 0.03, f"{text}{times}", rotation=90, ha="center", va="top", fontsize=8
        )
        x += width + side * _SLANT * 0.75 + gap
    axis.set(xlim=(-0.08, x), ylim=(-1.15, 0.5 + _SLANT))
    axis.set_aspect("equal")
    axis.axis("off")
    figure.legend(
        seen.values(),
        [f"after {kind}" for kind in seen],
        loc="outside lower center",
        ncols=len(seen),
        frameon=False,
    )
    return with_caption(figure, caption)
