"""What the activations of a network do while it trains: curves, and histograms over the steps in colours."""

from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from kerascv_course._validation import input_error
from kerascv_course.plotting.style import MARKERS, WIDTH, styled, with_caption, wrap

_MAX_LAYERS = 24
_FIELDS = ("layer", "steps", "means", "standard_deviations", "zero_shares", "histogram_counts", "histogram_edges")
_DEPTHS = matplotlib.colormaps["viridis"]  # its upper end is too light for a line on white


@styled
def plot_activation_statistics(records: Any, *, caption: str | None = None) -> Figure:
    """Draw mean, standard deviation and share of zeros of the activations of each layer over the steps.

    Args:
        records: `ActivationStatistics.records`, or a list of some of its rows: 1 to 24 layers.
        caption: A sentence above the figure.

    Returns:
        The figure: three panels with a line for each layer, dark for the first and light for the last. What is not
        finite is left out.

    Raises:
        ValueError: Where nothing has been recorded, or more than 24 layers.
        TypeError: Where `records` is none of the two.

    Example:
        >>> from kerascv_course.explain import ActivationStatistics
        >>> from kerascv_course.models import build_lenet5
        >>> statistics = ActivationStatistics(np.ones((2, 32, 32, 1)))
        >>> statistics.record(build_lenet5())
        >>> [axis.get_ylabel() for axis in plot_activation_statistics(statistics.records).axes]
        ['mean', 'standard deviation', 'share of zeros']
    """
    rows = _check_records("plot_activation_statistics", records)
    panels = (
        ("mean", "means"),
        ("standard deviation", "standard_deviations"),
        ("share of zeros", "zero_shares"),
    )
    longest = min(40, max(len(row.layer) for row in rows))
    columns = int(WIDTH // (0.65 + 0.075 * longest))  # inches: a line, a marker and the letters
    height = 3.2 + 0.2 * -(-len(rows) // columns)
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, height), layout="constrained")
    for index, row in enumerate(rows):
        shade = _DEPTHS(0.8 * index / max(1, len(rows) - 1))
        for axis, (_, field) in zip(axes, panels, strict=True):
            axis.plot(
                row.steps,
                getattr(row, field),
                color=shade,
                marker=MARKERS[index % len(MARKERS)],
                markersize=5,
                # A few markers along the line, each layer's at places of its own.
                markevery=(0.04 + 0.3 * (index * 0.382 % 1), 0.3) if len(row.steps) > 8 else None,
                label=wrap(row.layer, 3.6),
            )
    for axis, (label, _) in zip(axes, panels, strict=True):
        axis.set(xlabel="step", ylabel=label)
        axis.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))
        axis.grid(alpha=0.3)
    axes[2].set_ylim(-0.03, 1.03)
    axes[2].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.legend(handles=axes[0].lines, loc="outside lower center", ncols=min(columns, len(rows)))
    return with_caption(figure, caption)


@styled
def plot_activation_histograms(records: Any, *, caption: str | None = None) -> Figure:
    """Draw the histogram of the activations of each layer over the steps, the counts in colours.

    Args:
        records: `ActivationStatistics.records`, or a list of some of its rows: 1 to 24 layers.
        caption: A sentence above the figure.

    Returns:
        The figure: a panel for each layer with the steps to the right and the activations upwards, as far as there
        are any. The colours, the same in all panels, are the logarithm of the share of activations in a bin; empty
        bins are white.

    Raises:
        ValueError: Where nothing has been recorded, or more than 24 layers.
        TypeError: Where `records` is none of the two.

    Example:
        >>> from kerascv_course.explain import ActivationStatistics
        >>> from kerascv_course.models import build_lenet5
        >>> statistics = ActivationStatistics(np.ones((2, 32, 32, 1)), layers=["conv1", "dense1"])
        >>> statistics.record(build_lenet5())
        >>> [axis.get_title() for axis in plot_activation_histograms(statistics.records).axes]
        ['conv1', 'dense1', '']

    Source: Lorente, Manco (TinyNet).
    """
    rows = _check_records("plot_activation_histograms", records)
    columns = min(3, len(rows))
    lines = -(-len(rows) // columns)
    size = (min(WIDTH, 2.5 * columns + 0.9), 2.1 * lines + 0.4)
    figure, axes = plt.subplots(lines, columns, figsize=size, layout="constrained", squeeze=False)
    totals = [np.maximum(row.histogram_counts.sum(axis=1, keepdims=True), 1) for row in rows]
    shares = [row.histogram_counts / total for row, total in zip(rows, totals, strict=True)]
    least = min((share[share > 0].min(initial=1) for share in shares), default=1)
    norm = LogNorm(min(least, 0.1), 1)
    for axis, row, share in zip(axes.flat, rows, shares, strict=False):
        occupied = np.flatnonzero(row.histogram_counts.any(axis=0))
        first, last = (occupied[0], occupied[-1] + 1) if len(occupied) else (0, share.shape[1])
        mesh = axis.pcolormesh(
            _boundaries(row.steps),
            row.histogram_edges[first : last + 1],
            np.ma.masked_equal(share.T[first:last], 0),
            norm=norm,
            cmap="viridis_r",  # dark is much, as ink is
        )
        axis.set_title(wrap(row.layer, 2.2))
        axis.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))
        axis.yaxis.set_major_locator(MaxNLocator(nbins=5))
    for axis in axes.flat[len(rows) :]:
        axis.remove()
    figure.supxlabel("step", fontsize=10)
    figure.supylabel("activation", fontsize=10)
    figure.colorbar(mesh, ax=list(axes.flat[: len(rows)]), label="share of the activations")
    return with_caption(figure, caption)


def _boundaries(steps: np.ndarray) -> np.ndarray:
    """Return the edges of columns around the steps."""
    middles = (steps[1:] + steps[:-1]) / 2
    before, after = (middles[0], middles[-1]) if len(middles) else (steps[0] - 0.5, steps[0] + 0.5)
    return np.concatenate([[2 * steps[0] - before], middles, [2 * steps[-1] - after]])


def _check_records(function: str, records: Any) -> list[Any]:
    rule = "`ActivationStatistics.records` or a list of its rows"
    rows = getattr(records, "rows", records)
    if not isinstance(rows, list | tuple) or not all(hasattr(row, field) for row in rows for field in _FIELDS):
        raise input_error(function, "records", rule, records, error=TypeError)
    if not 1 <= len(rows) <= _MAX_LAYERS:
        way_out = "Draw some: `records.rows[::2]`." if rows else "Train first, or call `record`."
        raise input_error(function, "records", f"1 to {_MAX_LAYERS} layers", f"{len(rows)} layers", way_out)
    return list(rows)
