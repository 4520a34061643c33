"""What experiments have given: accuracies with their spread over seeds, and the trials of a search."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from kerascv_course._validation import input_error
from kerascv_course.plotting.style import COLORS, MARKERS, WIDTH, styled, with_caption, wrap


@styled
def plot_experiment(results: Any, *, caption: str | None = None) -> Figure:
    """Draw the accuracy of each variant: every run a dot, the mean of the seeds and its 95 % interval above them.

    Args:
        results: What `experiment.compare` returned: with `rows` and `runs`.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis, the variants from top to bottom; one whose runs all failed says so.

    Raises:
        ValueError: Where no run was completed.
        TypeError: Where `results` has no rows and runs.

    Example:
        >>> from kerascv_course.experiment import ExperimentResults, ExperimentRow, ExperimentRun
        >>> runs = tuple(ExperimentRun("3x3", seed, 0.7 + 0.01 * seed, 100, 1.0, {}) for seed in (0, 1, 2))
        >>> row = ExperimentRow("3x3", 3, 0.71, 0.01, 0.685, 0.735, 100, 710.0, 1.0, "")
        >>> figure = plot_experiment(ExperimentResults((row,), runs, ()))
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['3x3']
    """
    if not hasattr(results, "rows") or not hasattr(results, "runs"):
        rule = "what `experiment.compare` returned"
        raise input_error("plot_experiment", "results", rule, results, error=TypeError)
    rows = results.rows
    if not any(row.seeds for row in rows):
        raise input_error(
            "plot_experiment", "results", "with a completed run", f"{len(rows)} variants without any"
        )
    figure, axis = plt.subplots(figsize=(WIDTH, 1.2 + 0.45 * len(rows)), layout="constrained")
    for height, row in enumerate(rows):
        accuracies = [run.accuracy for run in results.runs if run.variant == row.variant and not run.error]
        label = {"runs": "a run", "mean": "mean, 95% interval"} if height == _first_done(rows) else {}
        if not accuracies:
            axis.text(0.01, height, "failed", transform=axis.get_yaxis_transform(), va="center")
            continue
        spots = np.full(len(accuracies), height + 0.18)
        axis.plot(accuracies, spots, "o", color=COLORS[1], markersize=4, alpha=0.7, label=label.get("runs"))
        reach = None if row.accuracy_low is None else [[row.accuracy - row.accuracy_low]] * 2
        axis.errorbar(
            row.accuracy,
            height - 0.08,
            xerr=reach,
            fmt="s",
            color=COLORS[0],
            markersize=6,
            capsize=4,
            label=label.get("mean"),
        )
    axis.set_yticks(range(len(rows)), [wrap(row.variant, 2.2) for row in rows])
    axis.set(ylim=(len(rows) - 0.5, -0.5), xlabel="accuracy")
    axis.grid(alpha=0.3, axis="x")
    figure.legend(loc="outside lower center", ncols=2)
    return with_caption(figure, caption)


def _first_done(rows: Any) -> int:
    return next(index for index, row in enumerate(rows) if row.seeds)


@styled
def plot_search(results: Any, *, caption: str | None = None) -> Figure:
    """Draw the accuracy of the trials of a search over each of the values that were drawn.

    Args:
        results: What `tuning.random_search` returned: with `rows`.
        caption: A sentence above the figure.

    Returns:
        The figure: one panel per name of the space, a dot per trial, the best one a star. Failed trials are
        crosses at the bottom. Dots of one value stand a little apart from each other.

    Raises:
        ValueError: Where every trial failed.
        TypeError: Where `results` has no trials.

    Example:
        >>> from kerascv_course.tuning import SearchResults, SearchTrial
        >>> rows = [SearchTrial(trial, {"learning_rate": rate}, accuracy, 1.0, 1, 100, 1.0, {})
        ...         for trial, (rate, accuracy) in enumerate([(0.01, 0.7), (0.1, 0.4)])]
        >>> figure = plot_search(SearchResults(tuple(rows), ()))
        >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
        ['0.01', '0.1']
    """
    rows = getattr(results, "rows", None)
    if not rows or not all(isinstance(getattr(row, "values", None), Mapping) for row in rows):
        rule = "what `tuning.random_search` returned"
        raise input_error("plot_search", "results", rule, results, error=TypeError)
    done = [row.val_accuracy for row in rows if not row.error]
    if not done:
        raise input_error("plot_search", "results", "with a trial that did not fail", f"{len(rows)} failed trials")
    best = next(row for row in rows if row.val_accuracy == max(done))
    floor = min(done) - 0.1 * max(max(done) - min(done), 0.05)
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    columns = min(len(names), 4)
    lines = -(-len(names) // columns)
    size = (max(3.0, WIDTH * columns / 4), 0.6 + 2.6 * lines)
    figure, axes = plt.subplots(lines, columns, figsize=size, layout="constrained", squeeze=False, sharey=True)
    for axis, name in zip(axes.flat, names, strict=False):
        choices = {row.values[name] for row in rows if name in row.values}
        numeric = all(isinstance(choice, int | float) for choice in choices)
        order = sorted(choices) if numeric else sorted(choices, key=str)
        spread = np.linspace(-0.2, 0.2, len(rows))
        for kind, marker, size_, color in (
            ("trial", MARKERS[0], 5, COLORS[0]),
            ("failed", "x", 6, COLORS[-1]),
            ("best", "*", 13, COLORS[1]),
        ):
            shown = [row for row in rows if name in row.values and kind == _kind(row, best)]
            places = [order.index(row.values[name]) + spread[rows.index(row)] for row in shown]
            heights = [floor if row.error else row.val_accuracy for row in shown]
            axis.plot(places, heights, marker, color=color, markersize=size_, label=kind)
        axis.set_xticks(range(len(order)), [wrap(str(choice), 1.0) for choice in order])
        if max(len(str(choice)) for choice in order) * len(order) > 16:
            axis.tick_params(axis="x", labelrotation=60)
        axis.set(xlim=(-0.5, len(order) - 0.5), xlabel=name.replace("_", " "))
        axis.grid(alpha=0.3, axis="y")
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    for axis in axes[:, 0]:
        axis.set_ylabel("accuracy on held-out images")
    present = {_kind(row, best) for row in rows}
    pairs = zip(*axes.flat[0].get_legend_handles_labels(), strict=True)
    handles, labels = zip(*((handle, label) for handle, label in pairs if label in present), strict=True)
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return with_caption(figure, caption)


def _kind(row: Any, best: Any) -> str:
    return "failed" if row.error else "best" if row is best else "trial"
