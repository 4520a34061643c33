"""What a comparison has measured: single runs, the runs of one variant, and whether a conclusion holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import stats

from kerascv_course._tables import Table
from kerascv_course._validation import as_numbers, check_choice, check_number, input_error


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
        figure: Keras' name of the accuracy.
    """

    variant: str
    seed: int
    accuracy: float | None
    params: int | None
    seconds: float | None
    history: dict[str, list[float]]
    error: str = ""
    figure: str = ""


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
        seconds: Mean time of a training; not shown, since other work on the machine changes it.
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
    }


def summary_row(name: str, runs: Sequence[ExperimentRun]) -> ExperimentRow:
    """Return what the runs of one variant have in common."""
    done = [run for run in runs if not run.error]
    accuracies = [run.accuracy for run in done if run.accuracy is not None]
    mean = float(np.mean(accuracies)) if accuracies else None
    low, high = t_interval(accuracies)
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
    )


def t_interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the 95 % interval of the mean, or two None for fewer than two values."""
    if len(values) < 2:
        return None, None
    reach = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values) - reach), float(np.mean(values) + reach)


@dataclass(frozen=True)
class Verdict:
    """Whether the runs bear out the claim that one variant is better than another.

    Attributes:
        better: The variant that is claimed to be the better one.
        than: The other one.
        conclusion: "holds", "does not hold", "undecided", or "practically equal" where a margin was named.
        difference: Mean over the seeds of accuracy(better) - accuracy(than); None where no seed has both.
        low: Lower end of its 95 % interval; None for fewer than two seeds.
        high: Upper end.
        seeds: Number of seeds that both variants completed.
    """

    better: str
    than: str
    conclusion: str
    difference: float | None
    low: float | None
    high: float | None
    seeds: int

    def __str__(self) -> str:
        claim = f"{self.better} is better than {self.than}: {self.conclusion}"
        if self.difference is None:
            return f"{claim} (no seed has both)"
        found = f"difference {100 * self.difference:+.1f} points over {self.seeds} seed{'s' * (self.seeds != 1)}"
        if self.low is None or self.high is None:
            return f"{claim} ({found}; an interval needs two seeds)"
        interval = f"{100 * self.low:+.1f} to {100 * self.high:+.1f}"
        half_width = f"half-width {50 * (self.high - self.low):.1f}"
        few = "; fewer than five seeds: no verdict to rely on" if self.seeds < 5 else ""
        return f"{claim} ({found}, 95% interval {interval}, {half_width}{few})"


def verdict(
    results: ExperimentResults | Mapping[str, Sequence[float]], better: str, than: str, *, margin: float = 0.0
) -> Verdict:
    """Say whether the runs bear out the claim that one variant has a higher accuracy than another.

    The test is the paired t-test, in the form of its interval: the runs of both variants with the same seed were
    held against the same images, so it takes the difference of each pair, and the two-sided 95 % interval of the
    mean of these differences (Student's t, n - 1 degrees of freedom). Wholly above 0 the claim *holds*; wholly
    below 0 it *does not hold*: the other variant is the better one. Otherwise, and with fewer than two seeds, it
    is *undecided*: that is no proof that the two are equally good. Of twenty claims without any truth, about one
    is decided all the same.

    Args:
        results: What `compare` returned; or a dictionary from names to accuracies, one for each seed, the seeds of
            all names in the same order.
        better: Name of the variant that is claimed to be the better one.
        than: Name of the other one.
        margin: A difference that does not matter, as a share: 0.01 is one point. Where the whole interval lies
            within plus and minus it, the two are *practically equal*. Name it before you look. 0: no such answer.

    Returns:
        The `Verdict`, which shows itself as a sentence.

    Raises:
        TypeError: If `results` is none of the two, or a number is none.
        ValueError: If a name is not among the variants, both are the same, two lists differ in length, or a number
            is out of range.

    Example:
        >>> accuracies = {"3x3": [0.71, 0.70, 0.73], "5x5": [0.65, 0.66, 0.68]}
        >>> print(verdict(accuracies, "3x3", "5x5"))
        3x3 is better than 5x5: holds (difference +5.0 points over 3 seeds,
        95% interval +2.5 to +7.5, half-width 2.5; fewer than five seeds: no verdict to rely on)
    """
    rule = "what `compare` returned, or a dictionary from names to accuracies, one for each seed"
    if isinstance(results, ExperimentResults):
        figures: dict[str, dict[int, float | None]] = {run.variant: {} for run in results.runs}
        for run in results.runs:
            figures[run.variant][run.seed] = run.accuracy
    elif isinstance(results, Mapping):
        numbers = {name: as_numbers("verdict", "results", given, rule) for name, given in results.items()}
        figures = {name: dict(enumerate(given.ravel().tolist())) for name, given in numbers.items()}
    else:
        raise input_error("verdict", "results", rule, results, error=TypeError)
    check_choice("verdict", "better", better, list(figures))
    check_choice("verdict", "than", than, [name for name in figures if name != better])
    margin = check_number("verdict", "margin", margin, 0)
    first, second = figures[better], figures[than]
    if isinstance(results, Mapping) and len(first) != len(second):
        rule = f"with as many accuracies of {than!r} as of {better!r}, a pair for each seed"
        raise input_error("verdict", "results", rule, f"{len(first)} and {len(second)}")
    pairs = [(first[seed], second[seed]) for seed in first if seed in second]
    differences = [a - b for a, b in pairs if a is not None and b is not None]
    low, high = t_interval(differences)
    conclusion = "undecided"
    if low is not None and high is not None:
        if -margin < low and high < margin:
            conclusion = "practically equal"
        elif low > 0 or high < 0:
            conclusion = "holds" if low > 0 else "does not hold"
    mean = float(np.mean(differences)) if differences else None
    return Verdict(better, than, conclusion, mean, low, high, len(differences))
