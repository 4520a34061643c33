"""What the activations of a network do while it trains: curves, and histograms over the steps in colours."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from kerascv_course.plotting import style
from kerascv_course.plotting.style import check_records, integer_ticks, look, panels, styled, with_caption, wrap

_MAX_LAYERS = 24
_FIELDS = ("layer", "steps", "means", "standard_deviations", "zero_shares", "histogram_counts", "histogram_edges")
_RULE = "`ActivationStatistics.records` or some of its rows, after a training or `record`"


@styled
def plot_activation_statistics(records: Any, *, caption: str | None = None) -> Figure:
    """Draw mean, standard deviation and share of zeros of the activations of each layer over the steps.

    Args:
        records: `ActivationStatistics.records`, or a list of some of its rows: 1 to 24 layers.
        caption: A sentence above the figure.

    Returns:
        The figure: three panels with a line for each layer, from the first to the last along the colour map. What
        is not finite is left out.

    Raises:
        ValueError: If nothing has been recorded, or more than 24 layers.
        TypeError: If `records` is none of the two.

    Example:
        >>> from kerascv_course.explain import ActivationStatistics
        >>> from kerascv_course.models import build_lenet5
        >>> statistics = ActivationStatistics(np.ones((2, 32, 32, 1)))
        >>> statistics.record(build_lenet5())
        >>> [axis.get_ylabel() for axis in plot_activation_statistics(statistics.records).axes]
        ['mean', 'standard deviation', 'share of zeros']
    """
    rows = check_records("plot_activation_statistics", "records", records, _RULE, *_FIELDS, most=_MAX_LAYERS)
    longest = min(40, max(len(row.layer) for row in rows))
    columns = int(style.WIDTH // (0.65 + 0.085 * longest))  # inches: a line, a marker and the letters
    height = 3.0 + 0.2 * -(-len(rows) // columns)
    figure, axes = panels(1, 3, size=(style.WIDTH, height))
    depths = matplotlib.colormaps[style.COLOR_MAP]
    for axis, field in zip(axes, ("means", "standard_deviations", "zero_shares"), strict=True):
        for index, row in enumerate(rows):
            color = depths(0.8 * index / max(1, len(rows) - 1))  # the upper end is too light for a line
            # A few markers along the line, each layer's at places of its own.
            every = (0.04 + 0.3 * (index * 0.382 % 1), 0.3) if len(row.steps) > 8 else None
            way: dict[str, Any] = look(index) | {"color": color, "markevery": every}
            axis.plot(row.steps, getattr(row, field), label=wrap(row.layer, 3.6), **way)
        label = {"means": "mean", "zero_shares": "share of zeros"}.get(field, "standard deviation")
        axis.set(xlabel="step", ylabel=label)
        integer_ticks(axis.xaxis, 4)
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
        ValueError: If nothing has been recorded, or more than 24 layers.
        TypeError: If `records` is none of the two.

    Example:
        >>> from kerascv_course.explain import ActivationStatistics
        >>> from kerascv_course.models import build_lenet5
        >>> statistics = ActivationStatistics(np.ones((2, 32, 32, 1)), layers=["conv1", "dense1"])
        >>> statistics.record(build_lenet5())
        >>> [axis.get_title() for axis in plot_activation_histograms(statistics.records).axes]
        ['conv1', 'dense1', '']

    Source: Lorente, Manco (TinyNet).
    """
    rows = check_records("plot_activation_histograms", "records", records, _RULE, *_FIELDS, most=_MAX_LAYERS)
    columns = min(3, len(rows))
    lines = -(-len(rows) // columns)
    size = (min(style.WIDTH, 2.5 * columns + 0.9), 2.1 * lines + 0.5)
    figure, axes = panels(lines, columns, size=size, grid=None)
    counts = [row.histogram_counts for row in rows]
    shares = [count / np.maximum(count.sum(axis=1, keepdims=True), 1) for count in counts]
    least = min((share[share > 0].min(initial=1) for share in shares), default=1)
    norm = LogNorm(min(least, 0.1), 1)
    dark_is_much = matplotlib.colormaps[style.COLOR_MAP].reversed()  # as ink is
    for axis, row, share in zip(axes, rows, shares, strict=False):
        occupied = np.flatnonzero(row.histogram_counts.any(axis=0))
        first, last = (occupied[0], occupied[-1] + 1) if len(occupied) else (0, share.shape[1])
        values, edges = np.ma.masked_equal(share.T[first:last], 0), row.histogram_edges[first : last + 1]
        mesh = axis.pcolormesh(_boundaries(row.steps), edges, values, norm=norm, cmap=dark_is_much)
        axis.set_title(wrap(row.layer, 2.2))
        integer_ticks(axis.xaxis, 4)
    for axis in axes[len(rows) :]:
        axis.remove()
    figure.supxlabel("step", fontsize=style.TEXT_SIZE)
    figure.supylabel("activation", fontsize=style.TEXT_SIZE)
    figure.colorbar(mesh, ax=axes[: len(rows)], label="share of the activations")
    return with_caption(figure, caption)


def _boundaries(steps: np.ndarray) -> np.ndarray:
    """Return the edges of columns around the steps."""
    middles = (steps[1:] + steps[:-1]) / 2
    before, after = (middles[0], middles[-1]) if len(middles) else (steps[0] - 0.5, steps[0] + 0.5)
    return np.concatenate([[2 * steps[0] - before], middles, [2 * steps[-1] - after]])
