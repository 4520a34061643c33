"""What an evaluation has given: how well classes are told apart, and what it brings to train more of a network."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerascv_course._validation import input_error
from kerascv_course.plotting.style import COLORS, MARKERS, WIDTH, styled, with_caption, wrap

_LINES = ("-", ":", "-.")  # the diagonal is dashed
_MAX_CURVES = len(_LINES) * len(MARKERS)


@styled
def plot_roc_curves(curves: Sequence[Any], *, caption: str | None = None) -> Figure:
    """Draw ROC curves into one axis, with the area under each in the legend.

    Args:
        curves: What `evaluation.roc_curves` returned, or some of it: 1 to 24 records with `name`,
            `false_positive_rates`, `true_positive_rates` and `auc`. One without an area has an entry in the
            legend, with a dash, and no line.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis. No two curves share marker and line style; the dashed diagonal is guessing.

    Raises:
        ValueError: Where there is no curve or more than 24.
        TypeError: Where `curves` is no list of such records.

    Example:
        >>> from kerascv_course.evaluation import roc_curves
        >>> curves = roc_curves(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]), ["cat", "dog"])
        >>> figure = plot_roc_curves(curves)
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['dog  0.750', 'guessing  0.500']
    """
    rule = f"a list of 1 to {_MAX_CURVES} curves, as `evaluation.roc_curves` returns them"
    fields = ("name", "false_positive_rates", "true_positive_rates", "auc")
    is_list = isinstance(curves, list | tuple)
    if not is_list or not all(hasattr(curve, field) for curve in curves for field in fields):
        raise input_error("plot_roc_curves", "curves", rule, curves, error=TypeError)
    if not 1 <= len(curves) <= _MAX_CURVES:
        raise input_error("plot_roc_curves", "curves", rule, f"{len(curves)} curves", "Draw some of them.")
    labels = [wrap(f"{curve.name}  {'–' if curve.auc is None else f'{curve.auc:.3f}'}", 2.6) for curve in curves]
    lines = [line for label in labels for line in label.splitlines()]
    beside = max(1.95, 0.6 + 0.072 * max(map(len, lines)))  # inches: what the legend takes
    size = (
        min(WIDTH, 4.9 + beside),
        max(4.8, 0.2 * (len(lines) + 2) + 0.6),
    )  # the diagonal and the title are lines
    figure, axis = plt.subplots(figsize=size, layout="constrained")
    for index, (curve, label) in enumerate(zip(curves, labels, strict=True)):
        axis.plot(
            curve.false_positive_rates,
            curve.true_positive_rates,
            color=COLORS[index % len(COLORS)],
            linestyle=_LINES[index % len(_LINES)],
            marker=MARKERS[index % len(MARKERS)],
            markersize=5,
            # A few markers along the line, each curve's at places of its own.
            markevery=(0.04 + 0.2 * (index * 0.382 % 1), 0.2),
            label=label,
        )
    axis.plot([0, 1], [0, 1], color="0.5", linestyle="--", label="guessing  0.500", zorder=1)
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), box_aspect=1, anchor="NE")
    axis.set(xlabel="false positive rate", ylabel="true positive rate")
    axis.grid(alpha=0.3)
    axis.legend(
        loc="upper left",
        bbox_to_anchor=(1.02, 1),
        borderaxespad=0,
        title="class, area under the curve",
        title_fontsize=9,
        alignment="left",
    )
    return with_caption(figure, caption)


@styled
def plot_calibration_curve(result: Any, *, caption: str | None = None) -> Figure:
    """Draw a reliability diagram: how often a model is right, over how sure it is, and how many images that are.

    Args:
        result: What `evaluation.calibration` returned: `rows` with `lower`, `upper`, `images`, `confidence` and
            `accuracy`, and `expected_calibration_error`.
        caption: A sentence above the figure.

    Returns:
        The figure: above a bar and a point for each bin with images, the dashed diagonal where both agree and the
        hatched distance to it; below the number of images in each bin.

    Raises:
        TypeError: Where `result` is no such record.

    Example:
        >>> from kerascv_course.evaluation import calibration
        >>> found = calibration(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]]), bins=2)
        >>> upper, lower = plot_calibration_curve(found).axes
        >>> [int(bar.get_height()) for bar in lower.patches]
        [0, 3]
    """
    rows = getattr(result, "rows", ())
    fields = ("lower", "upper", "images", "confidence", "accuracy")
    has_fields = rows and all(hasattr(row, field) for row in rows for field in fields)
    if not has_fields or not hasattr(result, "expected_calibration_error"):
        raise input_error(
            "plot_calibration_curve", "result", "what `evaluation.calibration` returned", result, error=TypeError
        )
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(5.2, 5.6), layout="constrained", sharex=True, height_ratios=(3, 1)
    )
    for row in rows:
        # Bins of one value, as among equal confidences, would have no width.
        left, width = row.lower, max(row.upper - row.lower, 0.004)
        lower.bar(left, row.images, width, align="edge", color=COLORS[0], edgecolor="white", linewidth=0.5)
        if row.accuracy is None:
            continue
        upper.bar(left, row.accuracy, width, align="edge", color=COLORS[5], edgecolor="white", linewidth=0.5)
        upper.bar(
            left,
            row.confidence - row.accuracy,
            width,
            bottom=row.accuracy,
            align="edge",
            color="none",
            edgecolor=COLORS[1],
            hatch="////",
            linewidth=0,
        )
    used = [row for row in rows if row.accuracy is not None]
    upper.plot([0, 1], [0, 1], color="0.3", linestyle="--", label="as often right as sure")
    upper.plot(
        [row.confidence for row in used],
        [row.accuracy for row in used],
        color=COLORS[0],
        marker=MARKERS[0],
        markersize=5,
        label="mean of the bin",
    )
    upper.bar(0, 0, color="none", edgecolor=COLORS[1], hatch="////", linewidth=0, label="distance")
    upper.set(ylim=(0, 1.02), xlim=(0, 1), ylabel="accuracy")
    upper.set_title(f"expected calibration error {result.expected_calibration_error:.3f}")
    upper.legend(loc="upper left")
    lower.set(xlabel="confidence", ylabel="images")
    lower.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    for axis in (upper, lower):
        axis.grid(alpha=0.3)
        axis.set_axisbelow(True)
    return with_caption(figure, caption)


@styled
def plot_unfreeze_sweep(results: Any, *, caption: str | None = None) -> Figure:
    """Draw the accuracy and the trainable parameters over the number of unfrozen blocks.

    Args:
        results: What `transfer.unfreeze_sweep` returned, or its rows as dictionaries: each with `unfrozen_blocks`,
            `trainable_params`, and `val_accuracy`, `test_accuracy` or both.
        caption: A sentence above the figure.

    Returns:
        The figure: one panel with the accuracies, test dashed, and one with the trainable parameters.

    Raises:
        ValueError: Where there is no row, one lacks a value, or there is no accuracy.
        TypeError: Where `results` is none of the two.

    Example:
        >>> rows = [
        ...     {"unfrozen_blocks": 0, "trainable_params": 650, "val_accuracy": 0.5},
        ...     {"unfrozen_blocks": 2, "trainable_params": 9_000, "val_accuracy": 0.8},
        ... ]
        >>> accuracy, params = plot_unfreeze_sweep(rows).axes
        >>> accuracy.lines[0].get_ydata().tolist(), params.get_ylabel()
        ([0.5, 0.8], 'trainable parameters, thousands')
    """
    rows = _check_rows(results)
    parts = {
        label: (style, [np.nan if row.get(key) is None else row[key] for row in rows])
        for key, label, style in (("val_accuracy", "validation", "-"), ("test_accuracy", "test", "--"))
        if any(row.get(key) is not None for row in rows)
    }
    if not parts:
        rule = "rows with `val_accuracy` or `test_accuracy`"
        raise input_error("plot_unfreeze_sweep", "results", rule, f"{len(rows)} rows without any")
    numbers = [row["unfrozen_blocks"] for row in rows]
    start = getattr(results, "start", None)
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.6), layout="constrained")
    for index, (label, (style, values)) in enumerate(parts.items()):
        left.plot(
            numbers,
            values,
            linestyle=style,
            color=COLORS[index],
            marker=MARKERS[index],
            markersize=5,
            label=label,
        )
    left.set_ylabel("accuracy")
    largest = max(row["trainable_params"] for row in rows)
    units = ((1e6, ", millions"), (1e3, ", thousands"), (1, ""))
    unit, word = next(pair for pair in units if largest >= pair[0] or pair[0] == 1)
    heights = [row["trainable_params"] / unit for row in rows]
    right.plot(numbers, heights, color=COLORS[2], marker=MARKERS[2], markersize=5)
    right.set(ylabel=f"trainable parameters{word}", ylim=(0, 1.05 * max(heights) or 1))
    margin = max(0.3, 0.03 * max(numbers))
    for axis in (left, right):
        axis.set(xlim=(min(numbers) - margin, max(numbers) + margin))
        axis.set_xlabel(f"unfrozen blocks, from the {start}" if start else "unfrozen blocks")
        axis.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True, min_n_ticks=1))
        axis.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2)
    return with_caption(figure, caption)


def _check_rows(results: Any) -> list[Mapping[str, Any]]:
    """Return the rows in the order of their blocks, or raise."""
    rule = "what `transfer.unfreeze_sweep` returned, or a list of its rows as dictionaries"
    rows = results.to_dict() if hasattr(results, "to_dict") else results
    if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping) for row in rows):
        raise input_error("plot_unfreeze_sweep", "results", rule, results, error=TypeError)
    if not rows:
        raise input_error("plot_unfreeze_sweep", "results", "one or more rows", results)
    for row in rows:
        missing = [key for key in ("unfrozen_blocks", "trainable_params") if key not in row]
        if missing:
            raise input_error("plot_unfreeze_sweep", "results", f"rows with `{missing[0]}`", row)
    return sorted(rows, key=lambda row: row["unfrozen_blocks"])
