"""What a comparison has measured: single runs, and what the runs of one variant have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import stats

from kerascv_course._tables import Table

CONFIDENCE = 0.95


@dataclass(frozen=True)
class ExperimentRun:
    """One variant, trained with one seed.

    Attributes:
        variant: Its name.
        seed: The seed.
        accuracy: On the held-out images, with the weights at the end of the training; None where it failed.
        params: Parameters of the model.
        seconds: Time of the training, without that of building the model.
        history: Loss and accuracy of each epoch, by Keras' names.
        error: Why the run failed; empty where it did not.
    """

    variant: str
    seed: int
    accuracy: float | None
    params: int | None
    seconds: float | None
    history: dict[str, list[float]]
    error: str = ""


@dataclass(frozen=True)
class ExperimentRow:
    """What the runs of one variant have in common.

    Attributes:
        variant: Its name.
        seeds: Number of runs that were completed; the figures are theirs.
        accuracy: Mean of their accuracies on the held-out images.
        accuracy_std: Their standard deviation, with n - 1; None for fewer than two.
        accuracy_low: Lower end of the 95 % interval of the mean (Student's t); None for fewer than two.
        accuracy_high: Its upper end.
        params: Parameters of the model.
        ratio: The course's measure of what the parameters bring: accuracy * 1e5 / parameters.
        seconds: Mean time of a training.
        error: The first error among its runs; empty where all went through.
    """

    variant: str
    seeds: int
    accuracy: float | None
    accuracy_std: float | None
    accuracy_low: float | None
    accuracy_high: float | None
    params: int | None
    ratio: float | None
    seconds: float | None
    error: str


@dataclass(frozen=True, repr=False)
class ExperimentResults(Table):
    """What `compare` returns: a record for each variant; shown as a table.

    Attributes:
        rows: The variants, in the order in which they were given.
        runs: Each single run, failed ones included.
        notes: Remarks, shown below the table.
    """

    rows: tuple[ExperimentRow, ...]
    runs: tuple[ExperimentRun, ...]
    notes: tuple[str, ...]

    _columns: ClassVar = {
        "Variant": "variant",
        "Seeds": "seeds",
        "Accuracy": lambda row: f"{row.accuracy:.1%}" if row.seeds else "failed",
        "Deviation": "accuracy_std:.1%",
        "95% interval": lambda row: (
            "-" if row.accuracy_low is None else f"{row.accuracy_low:.1%} to {row.accuracy_high:.1%}"
        ),
        "Parameters": "params:,",
        "Ratio": "ratio:,.2f",
        "Seconds": "seconds:,.1f",
    }


def summary_row(name: str, runs: Sequence[ExperimentRun]) -> ExperimentRow:
    """Return what the runs of one variant have in common."""
    done = [run for run in runs if not run.error]
    accuracies = [run.accuracy for run in done if run.accuracy is not None]
    mean = float(np.mean(accuracies)) if accuracies else None
    low, high = t_interval(accuracies, CONFIDENCE)
    params = next((run.params for run in runs if run.params is not None), None)
    return ExperimentRow(
        variant=name,
        seeds=len(done),
        accuracy=mean,
        accuracy_std=float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None,
        accuracy_low=low,
        accuracy_high=high,
        params=params,
        ratio=mean * 1e5 / params if mean is not None and params else None,
        seconds=float(np.mean([run.seconds for run in done])) if done else None,
        error=next((run.error for run in runs if run.error), ""),
    )


def t_interval(values: Sequence[float], confidence: float) -> tuple[float | None, float | None]:
    """Return the interval of the mean, or two None for fewer than two values."""
    if len(values) < 2:
        return None, None
    reach = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values) - reach), float(np.mean(values) + reach)
