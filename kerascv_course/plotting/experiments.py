"""What experiments give: accuracies with their spread over seeds, and what unfreezing more of a network brings."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from kerascv_course._validation import input_error
from kerascv_course.plotting import style
from kerascv_course.plotting.style import check_records, integer_ticks, look, panels, styled, with_caption, wrap


@styled
def plot_experiment(results: Any, *, caption: str | None = None) -> Figure:
    """Draw the accuracy of each variant: every run a dot, the mean of the seeds and its 95 % interval above them.

    Args:
        results: What `experiment.compare` returned: with `rows` and `runs`.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis, the variants from top to bottom; one whose runs all failed says so.

    Raises:
        ValueError: If no run was completed.
        TypeError: If `results` has no rows and runs.

    Example:
        >>> from kerascv_course.experiment import ExperimentResults, ExperimentRow, ExperimentRun
        >>> runs = tuple(ExperimentRun("3x3", seed, 0.7 + 0.01 * seed, 100, 1.0, {}) for seed in (0, 1, 2))
        >>> row = ExperimentRow("3x3", 3, 0.71, 0.01, 0.685, 0.735, 100, 710.0, 1.0, "")
        >>> figure = plot_experiment(ExperimentResults((row,), runs, ()))
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['3x3']
    """
    function, rule = "plot_experiment", "what `experiment.compare` returned"
    if not hasattr(results, "rows") or not hasattr(results, "runs"):
        raise input_error(function, "results", rule, results, error=TypeError)
    rows = check_records(function, "results", results, rule, "variant", "seeds", "accuracy")
    if not any(row.seeds for row in rows):
        raise input_error(function, "results", "with a completed run", f"{len(rows)} variants without any")
    figure, (axis,) = panels(size=(style.PLOT_WIDTH, 1.2 + 0.45 * len(rows)), grid="x")
    handles: list[Any] = []
    for height, row in enumerate(rows):
        accuracies = [run.accuracy for run in results.runs if run.variant == row.variant and not run.error]
        if not accuracies:
            axis.text(0.01, height, "failed", transform=axis.get_yaxis_transform(), va="center")
            continue
        spots = np.full(len(accuracies), height + 0.18)
        dots = axis.plot(accuracies, spots, "o", color=style.COLORS[1], markersize=4, alpha=0.7, label="a run")
        reach = None if row.accuracy_low is None else row.accuracy - row.accuracy_low
        bar: dict[str, Any] = {"fmt": "s", "capsize": 4, "color": style.COLORS[0], "label": "mean, 95% interval"}
        handles = [*dots, axis.errorbar(row.accuracy, height - 0.08, xerr=reach, **bar)]
    axis.set_yticks(range(len(rows)), [wrap(row.variant, 2.2) for row in rows])
    axis.set(ylim=(len(rows) - 0.5, -0.5), xlabel="accuracy")
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
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
        ValueError: If there is no row, one lacks a value, or there is no accuracy.
        TypeError: If `results` is none of the two.

    Example:
        >>> rows = [
        ...     {"unfrozen_blocks": 0, "trainable_params": 650, "val_accuracy": 0.5},
        ...     {"unfrozen_blocks": 2, "trainable_params": 9_000, "val_accuracy": 0.8},
        ... ]
        >>> accuracy, params = plot_unfreeze_sweep(rows).axes
        >>> accuracy.lines[0].get_ydata().tolist(), params.get_ylabel()
        ([0.5, 0.8], 'trainable parameters')
    """
    rows = _check_rows(results)
    parts = {part: np.array([row.get(f"{part}_accuracy") for row in rows], float) for part in ("val", "test")}
    if all(np.isnan(values).all() for values in parts.values()):  # None has become NaN
        rule = "rows with `val_accuracy` or `test_accuracy`"
        raise input_error("plot_unfreeze_sweep", "results", rule, f"{len(rows)} rows without any")
    blocks = [row["unfrozen_blocks"] for row in rows]
    start = getattr(results, "start", None)
    figure, (left, right) = panels(1, 2)
    for index, (part, values) in enumerate(parts.items()):
        if not np.isnan(values).all():
            label, line = ("test", "--") if part == "test" else ("validation", "-")
            left.plot(blocks, values, line, label=label, **look(index))
    left.set_ylabel("accuracy")
    right.plot(blocks, [row["trainable_params"] for row in rows], **look(2))
    right.yaxis.set_major_formatter(EngFormatter(sep=""))  # 20k, 3M
    right.set_ylabel("trainable parameters")
    right.set_ylim(bottom=0)
    margin = max(0.3, 0.03 * max(blocks))
    for axis in (left, right):
        axis.set(xlim=(min(blocks) - margin, max(blocks) + margin))
        axis.set_xlabel(f"unfrozen blocks, from the {start}" if start else "unfrozen blocks")
        integer_ticks(axis.xaxis, 12)
    figure.legend(loc="outside lower center", ncols=2)
    return with_caption(figure, caption)


def _check_rows(results: Any) -> list[Mapping[str, Any]]:
    """Return the rows in the order of their blocks, or raise."""
    function, rule = "plot_unfreeze_sweep", "what `transfer.unfreeze_sweep` returned, or a list of its rows"
    rows = results.to_dict() if hasattr(results, "to_dict") else results
    if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping) for row in rows):
        raise input_error(function, "results", f"{rule} as dictionaries", results, error=TypeError)
    if not rows or any(key not in row for row in rows for key in ("unfrozen_blocks", "trainable_params")):
        rule = "one or more rows with `unfrozen_blocks` and `trainable_params`"
        raise input_error(function, "results", rule, results)
    return sorted(rows, key=lambda row: row["unfrozen_blocks"])
