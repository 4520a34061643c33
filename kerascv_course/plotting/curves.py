"""What training has given: curves over the epochs, and who is taken for whom."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from kerascv_course._validation import input_error
from kerascv_course.plotting.style import COLORS, MARKERS, WIDTH, check_texts, styled, with_caption


@styled
def plot_history(history: Any, *, metrics: Sequence[str] | None = None, caption: str | None = None) -> Figure:
    """Draw loss and accuracy over the epochs, the validation values dashed.

    Args:
        history: What `model.fit` returned, its `.history` dictionary, or a mapping from a run's name to one of
            these, to compare runs.
        metrics: Names of the metrics, one panel each; by default loss and accuracy, as far as the runs have them.
            The values under `val_` and the name are the dashed lines.
        caption: A sentence above the figure.

    Returns:
        The figure: one panel per metric, with the epochs from 1 on.

    Raises:
        ValueError: Where a run has no epoch, lists of different lengths, or none of the metrics.
        TypeError: Where `history` is none of the three.

    Example:
        >>> figure = plot_history({"loss": [2.0, 1.0], "val_loss": [2.1, 1.5]})
        >>> [line.get_label() for line in figure.axes[0].lines]
        ['training', 'validation']
    """
    runs = _check_runs(history)
    names = _check_metrics(runs, metrics)
    size = (max(4.5, min(WIDTH, 4 * len(names))), 3.6)
    figure, axes = plt.subplots(1, len(names), figsize=size, layout="constrained", squeeze=False)
    handles: dict[str, Line2D] = {}
    for axis, metric in zip(axes[0], names, strict=True):
        longest = max(len(next(iter(run.values()))) for run in runs.values())
        for index, (run, values) in enumerate(runs.items()):
            for key, part, style in ((metric, "training", "-"), (f"val_{metric}", "validation", "--")):
                if key not in values:
                    continue
                # A single run has two colours to spare; of several runs each keeps its colour in both parts.
                shade = 1 if not run and part == "validation" else index
                label = f"{run}, {part}" if run else part
                (handles[label],) = axis.plot(
                    np.arange(1, len(values[key]) + 1),
                    values[key],
                    linestyle=style,
                    color=COLORS[shade % len(COLORS)],
                    marker=MARKERS[shade % len(MARKERS)],
                    markersize=4,
                    label=label,
                )
        margin = max(0.3, 0.03 * longest)
        axis.set(xlim=(1 - margin, longest + margin), xlabel="epoch", ylabel=metric.replace("_", " "))
        axis.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
        axis.grid(alpha=0.3)
    widest = max(1, int(size[0] // 2.2))
    columns = min(widest, len(runs)) if len(runs) > 1 else widest  # a column per run, where they fit
    figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=columns)
    return with_caption(figure, caption)


@styled
def plot_confusion_matrix(
    matrix: Any, class_names: Sequence[str], *, normalize: bool = False, caption: str | None = None
) -> Figure:
    """Draw a confusion matrix with its numbers: true classes in rows, predicted classes in columns.

    Args:
        matrix: Array (classes, classes) of counts or shares, none of them negative.
        class_names: One name per class, in the order of the matrix.
        normalize: Divide each row by its sum, so that the diagonal shows the share of each class that was found.
            A class without examples shows dashes.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis with a number in each cell.

    Raises:
        ValueError: Where the matrix is not square, has negative or non-finite values, or does not fit the names.

    Example:
        >>> figure = plot_confusion_matrix([[8, 2], [0, 5]], ["cat", "dog"], normalize=True)
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['0.80', '0.20', '0.00', '1.00']
    """
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.size == 0:
        raise input_error("plot_confusion_matrix", "matrix", "a square array (classes, classes)", matrix)
    if counts.dtype.kind not in "iuf" or not np.isfinite(counts).all() or counts.min() < 0:
        raise input_error("plot_confusion_matrix", "matrix", "finite numbers, none of them negative", matrix)
    names = check_texts("plot_confusion_matrix", "class_names", class_names, len(counts))
    whole = not normalize and bool((counts == np.round(counts)).all())
    if normalize:
        sums = counts.sum(axis=1, keepdims=True)
        counts = np.divide(counts, sums, out=np.full(counts.shape, np.nan), where=sums > 0)

    side = 1.6 + max(2.0, 0.5 * len(counts))
    figure, axis = plt.subplots(figsize=(side, side), layout="constrained")
    image = axis.imshow(counts, cmap="Blues", vmin=0, vmax=1 if normalize else counts.max() or 1)
    axis.set(xlabel="predicted class", ylabel="true class")
    axis.set_xticks(range(len(names)), names)
    if max(map(len, names)) > 3:  # longer names would run into each other
        axis.tick_params(axis="x", labelrotation=45)
        for label in axis.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(names)), names)
    for row, column in np.ndindex(counts.shape):
        value = counts[row, column]
        text = "–" if np.isnan(value) else f"{value:.0f}" if whole else f"{value:.2f}"
        red, green, blue, _ = image.cmap(image.norm(value))
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 and not np.isnan(value)
        axis.text(column, row, text, ha="center", va="center", color="white" if dark else "black")
    return with_caption(figure, caption)


def _check_runs(history: Any) -> dict[str, Mapping[str, Any]]:
    """Return run -> metric -> values, or raise; a single run has the empty name."""
    rule = "what `model.fit` returned, its `.history` dictionary, or a mapping from names to these"
    runs = getattr(history, "history", history)
    if not isinstance(runs, Mapping):
        raise input_error("plot_history", "history", rule, history, error=TypeError)
    runs = {str(name): getattr(run, "history", run) for name, run in runs.items()}
    if not any(isinstance(run, Mapping) for run in runs.values()):
        runs = {"": runs}
    for name, run in runs.items():
        if not isinstance(run, Mapping) or any(np.ndim(values) != 1 for values in run.values()):
            raise input_error("plot_history", "history", rule, {name: run}, error=TypeError)
        lengths = {key: len(values) for key, values in run.items()}
        if len(set(lengths.values())) != 1 or 0 in lengths.values():
            rule = "lists of one length, with at least one epoch, in each run"
            raise input_error("plot_history", "history", rule, {name: lengths} if name else lengths)
    return runs


def _check_metrics(runs: Mapping[str, Mapping[str, Any]], metrics: Sequence[str] | None) -> list[str]:
    known = sorted({key for run in runs.values() for key in run})
    if metrics is None:
        metrics = [metric for metric in ("loss", "accuracy") if metric in known]
        if not metrics:
            way_out = "Or name the panels in `metrics`."
            raise input_error("plot_history", "history", "a history with 'loss' or 'accuracy'", known, way_out)
    if isinstance(metrics, str) or not metrics or any(metric not in known for metric in metrics):
        raise input_error("plot_history", "metrics", f"a list of names out of {known}", metrics)
    return list(metrics)
