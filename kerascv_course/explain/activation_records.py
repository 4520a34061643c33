"""What is kept of the activations of a layer: mean, spread, zeros and histogram, at some steps of the training."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from kerascv_course._tables import Layout, Table

_SMALLEST_LIMIT = 2.0**-20  # of a histogram, where all activations are zero


@dataclass(frozen=True, eq=False)
class LayerStatistics:
    """What the activations of one layer did, a value for each recorded step; all images and places together.

    Attributes:
        layer: Path of the layer, for example "tinynet_plain/block1".
        steps: Steps of the optimizer that had been made, rising, `int64`, (records,).
        means: Mean, `float64`, (records,). NaN where an activation is NaN or infinite, as the next.
        standard_deviations: Standard deviation, divisor n, `float64`, (records,).
        zero_shares: Share of activations that are exactly zero, from 0 to 1, `float64`, (records,).
        histogram_counts: Number of activations in each bin, `int64`, (records, bins). NaN and infinite ones are
            in none.
        histogram_edges: The same at all steps, `float64`, (bins + 1,): of one width, from minus to plus the
            smallest power of two above all magnitudes. A bin holds its lower edge and not its upper one.
    """

    layer: str
    steps: np.ndarray
    means: np.ndarray
    standard_deviations: np.ndarray
    zero_shares: np.ndarray
    histogram_counts: np.ndarray
    histogram_edges: np.ndarray


@dataclass(frozen=True, repr=False, eq=False)
class ActivationRecords(Table):
    """What `ActivationStatistics` has recorded: a row for each layer; as a table its first and last values.

    Attributes:
        rows: The layers in the order of the model.
        notes: Remarks, shown below the table.
    """

    rows: tuple[LayerStatistics, ...]
    notes: tuple[str, ...]

    def _layout(self) -> Layout:
        names = ("Layer", "Mean, first", "last", "Standard deviation, first", "last", "Zeros, first", "last")
        return Layout(names, [_cells(row) for row in self.rows], self.notes)

    def to_dict(self) -> list[dict[str, Any]]:
        """Return a dictionary for each layer and step, without the histograms."""
        return [
            {
                "layer": row.layer,
                "step": int(step),
                "mean": float(mean),
                "standard_deviation": float(deviation),
                "zero_share": float(zeros),
            }
            for row in self.rows
            for step, mean, deviation, zeros in zip(
                row.steps, row.means, row.standard_deviations, row.zero_shares, strict=True
            )
        ]


def _cells(row: LayerStatistics) -> list[str]:
    numbers = [f"{values[at]:.3g}" for values in (row.means, row.standard_deviations) for at in (0, -1)]
    return [row.layer, *numbers, *(f"{row.zero_shares[at]:.1%}" for at in (0, -1))]


class Moment(NamedTuple):
    """One layer at one step. The histogram goes from -limit to limit."""

    mean: float
    deviation: float
    zeros: float
    counts: np.ndarray
    limit: float


def measure(output: np.ndarray, bins: int) -> Moment:
    """Return what is kept of the activations, `float32`; `bins` is a power of two."""
    values = output.reshape(-1)
    zeros = 1 - np.count_nonzero(values) / values.size
    mean = deviation = np.nan
    if np.isfinite([values.min(), values.max()]).all():
        exact = values.astype("float64")
        mean, deviation = float(exact.mean()), float(exact.std())
    else:
        values = values[np.isfinite(values)]
    largest = max(abs(float(values.min(initial=0))), abs(float(values.max(initial=0))))
    limit = max(2.0 ** int(np.frexp(largest)[1]) if largest else 0.0, _SMALLEST_LIMIT)
    # Powers of two: nothing is rounded, so this equals `np.histogram`, in a third of its time.
    places = np.floor(values * np.float32(bins / 2 / limit)).astype("int64") + bins // 2
    return Moment(mean, deviation, zeros, np.bincount(places, minlength=bins), limit)


def joined(layer: str, steps: list[int], moments: list[Moment]) -> LayerStatistics:
    """Return a layer with all its steps, the histograms in bins of the widest of them."""
    limit = max(moment.limit for moment in moments)
    counts = np.stack([_widened(moment, limit) for moment in moments])
    means, deviations, zeros = (np.array(column) for column in list(zip(*moments, strict=True))[:3])
    edges = np.linspace(-limit, limit, counts.shape[1] + 1)
    return LayerStatistics(layer, np.array(steps), means, deviations, zeros, counts, edges)


def _widened(moment: Moment, limit: float) -> np.ndarray:
    """Return the counts in bins from -limit to limit, a power of two times the own one.

    Twice the range means bins of twice the width. Zero is an edge and stays one, so the new bins are pairs of the
    old ones: nothing is lost, and no activation has to be kept.
    """
    counts, own = moment.counts, moment.limit
    while own < limit:
        counts = np.pad(counts.reshape(-1, 2).sum(axis=1), counts.size // 4)
        own *= 2
    return counts
