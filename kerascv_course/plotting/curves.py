"""What training gives: its history, and the search for a learning rate."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kerascv_course._validation import input_error
from kerascv_course.plotting import style
from kerascv_course.plotting.style import integer_ticks, look, panels, styled, with_caption

_ACCURACY = re.compile("(?<![a-z])acc(uracy)?(?![a-z])", re.IGNORECASE)
_HISTORY = "what `model.fit` returned, its `.history` dictionary, or a mapping from names to these"


@styled
def plot_history(history: Any, *, metrics: Sequence[str] | None = None, caption: str | None = None) -> Figure:
    """Draw loss and accuracy over the epochs, the validation values dashed.

    Args:
        history: What `model.fit` returned, its `.history` dictionary, or a mapping from a run's name to one of
            these, to compare runs.
        metrics: Names of the metrics, one panel each; by default the loss and every accuracy. The values
            under `val_` and the name are the dashed lines. Of a metric with a number for each class, such as
            `F1Score`, the mean is drawn.
        caption: A sentence above the figure.

    Returns:
        The figure: one panel per metric, with the epochs from 1 on.

    Raises:
        ValueError: If a run has no epoch, lists of different lengths, or none of the metrics.
        TypeError: If `history` is none of the three.

    Example:
        >>> figure = plot_history({"loss": [2.0, 1.0], "val_loss": [2.1, 1.5]})
        >>> [line.get_label() for line in figure.axes[0].lines]
        ['training', 'validation']
    """
    runs = _check_runs(history)
    names = _check_metrics(runs, metrics)
    width = style.PLOT_WIDTH if len(names) > 1 else 0.65 * style.PLOT_WIDTH
    figure, axes = panels(1, len(names), size=(width, style.PLOT_HEIGHT))
    handles: dict[str, Line2D] = {}
    longest = max(len(next(iter(run.values()))) for run in runs.values())
    margin = max(0.3, 0.03 * longest)
    for axis, metric in zip(axes, names, strict=True):
        for index, (run, values) in enumerate(runs.items()):
            for key, part, line in ((metric, "training", "-"), (f"val_{metric}", "validation", "--")):
                if key in values:
                    # A single run has two colours to spare; of several runs each keeps its colour in both parts.
                    place = index + (not run and part == "validation")
                    label = f"{run}, {part}" if run else part
                    epochs = np.arange(1, len(values[key]) + 1)
                    means = np.reshape(values[key], (len(epochs), -1)).mean(axis=1)
                    (handles[label],) = axis.plot(epochs, means, line, label=label, **look(place))
        is_vector = any(np.ndim(values.get(metric, ())) > 1 for values in runs.values())
        ylabel = metric.replace("_", " ") + ", mean of the classes" * is_vector
        axis.set(xlim=(1 - margin, longest + margin), xlabel="epoch", ylabel=ylabel)
        integer_ticks(axis.xaxis, 8)
    fitting = max(1, int(width // (0.7 + 0.08 * max(map(len, handles)))))
    columns = min(fitting, len(runs)) if len(runs) > 1 else fitting  # a column per run, if they fit
    figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=columns)
    figure.set_figheight(style.PLOT_HEIGHT + style.LINE * (len(handles) // columns - 1))
    return with_caption(figure, caption)


@styled
def plot_learning_rate_finder(curve: Any, *, caption: str | None = None) -> Figure:
    """Draw the loss over the learning rate, and the rate that it suggests.

    Args:
        curve: What `training.find_learning_rate` returned.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis with the losses of the steps, their moving average, and a dashed line at the
        suggestion, if there is one.

    Raises:
        TypeError: If `curve` is no such record.

    Example:
        >>> from types import SimpleNamespace
        >>> curve = SimpleNamespace(
        ...     rates=(0.01, 0.1, 1), losses=(3, 1, 2), smoothed_losses=(3, 2, 2), suggestion=0.01
        ... )
        >>> [line.get_label() for line in plot_learning_rate_finder(curve).axes[0].lines]
        ['each step', 'moving average', 'suggestion: 0.01']
    """
    if not all(hasattr(curve, field) for field in ("rates", "losses", "smoothed_losses", "suggestion")):
        rule = "what `find_learning_rate` returned"
        raise input_error("plot_learning_rate_finder", "curve", rule, curve, error=TypeError)
    figure, (axis,) = panels()
    axis.plot(curve.rates, curve.losses, color=style.PALE, linewidth=1, label="each step")
    axis.plot(curve.rates, curve.smoothed_losses, color=style.COLORS[0], linewidth=2, label="moving average")
    if curve.suggestion is not None:
        label = f"suggestion: {curve.suggestion:.2g}"
        axis.axvline(curve.suggestion, color=style.COLORS[1], linestyle="--", label=label)
    # A loss that diverges would press the part that matters into a line.
    low, first = min(*curve.smoothed_losses, *curve.losses), curve.smoothed_losses[0]
    axis.set(xscale="log", xlabel="learning rate", ylabel="loss")
    if max(curve.losses) > first + 2 * (first - low) > low:
        axis.set_ylim(low - 0.1 * (first - low), first + (first - low))
    figure.legend(loc="outside lower center", ncols=3)
    return with_caption(figure, caption)


def _check_runs(history: Any) -> dict[str, Mapping[str, Any]]:
    """Return run -> metric -> values, or raise; a single run has the empty name."""
    given: Any = getattr(history, "history", history)
    items = given.items() if isinstance(given, Mapping) else ()
    runs: dict[str, Any] = {str(name): getattr(run, "history", run) for name, run in items}
    if not any(isinstance(run, Mapping) for run in runs.values()):
        runs = {"": given}
    for name, run in runs.items():
        if not isinstance(run, Mapping) or any(np.ndim(values) not in (1, 2) for values in run.values()):
            raise input_error("plot_history", "history", _HISTORY, {name: run} if name else run, error=TypeError)
        lengths = {key: len(values) for key, values in run.items()}
        if len(set(lengths.values())) != 1 or 0 in lengths.values():
            rule = "lists of one length, with at least one epoch, in each run"
            raise input_error("plot_history", "history", rule, {name: lengths} if name else lengths)
    return runs


def _check_metrics(runs: Mapping[str, Mapping[str, Any]], metrics: Sequence[str] | None) -> list[str]:
    known = list(dict.fromkeys(key for run in runs.values() for key in run))
    if metrics is None:
        metrics = [key for key in known if key == "loss" or _ACCURACY.search(key)]
        metrics = sorted((key for key in metrics if not key.startswith("val_")), key=lambda key: key != "loss")
        if not metrics:
            way_out = "Or name the panels in `metrics`."
            raise input_error("plot_history", "history", "a history with 'loss' or 'accuracy'", known, way_out)
    if isinstance(metrics, str) or not metrics or any(metric not in known for metric in metrics):
        raise input_error("plot_history", "metrics", f"a list of names out of {known}", metrics)
    return list(metrics)
