"""What experiments give: accuracies with their spread over seeds."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kerascv_course._validation import input_error
from kerascv_course.plotting import style
from kerascv_course.plotting.style import check_records, panels, styled, with_caption, wrap


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
        >>> row = ExperimentRow("3x3", 3, 0.71, 0.01, 0.685, 0.735, 100, 710.0, 1.0)
        >>> figure = plot_experiment(ExperimentResults((row,), runs, ()))
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['3x3']
    """
    function, rule = "plot_experiment", "what `experiment.compare` returned"
    rows = check_records(function, "results", results, rule, "variant", "seeds", "accuracy", beside="runs")
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
