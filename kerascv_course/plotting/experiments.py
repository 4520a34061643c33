"""What experiments have given: accuracies with their spread over seeds."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from kerascv_course._validation import input_error
from kerascv_course.plotting.style import COLORS, WIDTH, styled, with_caption, wrap


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
