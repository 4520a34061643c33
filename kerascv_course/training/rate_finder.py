"""Which learning rate to try: one short training in which the rate grows at each step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops, tree
from scipy import signal

from kerascv_course import runtime
from kerascv_course._tables import Layout, Table
from kerascv_course._validation import check_above, check_int, input_error
from kerascv_course.datasets import ImageDataset
from kerascv_course.training.checkpoint import NO_NUMBER
from kerascv_course.training.fit import Arrays, build
from kerascv_course.training.inputs import read_training
from kerascv_course.training.trial import check_compiled

SMOOTHING = 0.9  # weight of the losses before, in the moving average of the losses
DIVERGED = 3.0  # times the first loss above the lowest: the sweep ends there
CLEAR_FALL = 0.02  # of the first losses: a smaller fall is none
BY_CHANCE = 6  # standard deviations that the average of pure chance wanders in a sweep, at most
_FUNCTION = "find_learning_rate"


@dataclass(frozen=True, repr=False)
class LearningRateCurve(Table):
    """What `find_learning_rate` measured.

    Attributes:
        rates: Learning rate of each step, rising.
        losses: Loss of each step's batch, before the step changed the weights.
        smoothed_losses: Their moving average.
        suggestion: A rate to start from; None where the curve supports none.
        notes: Remarks: why the sweep ended, and why there is no suggestion.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed_losses: tuple[float, ...]
    suggestion: float | None
    notes: tuple[str, ...]

    def to_dict(self) -> list[dict[str, float]]:
        """Return one dictionary per step, as `pandas.DataFrame` takes them."""
        steps = zip(self.rates, self.losses, self.smoothed_losses, strict=True)
        return [{"rate": rate, "loss": loss, "smoothed_loss": smoothed} for rate, loss, smoothed in steps]

    def _layout(self) -> Layout:
        best = int(np.argmin(self.smoothed_losses))
        lines = [
            ("Suggestion", "none" if self.suggestion is None else f"{self.suggestion:.2g}"),
            ("Lowest loss", f"{self.smoothed_losses[best]:.3g} at a rate of {self.rates[best]:.2g}"),
            ("Tried", f"{self.rates[0]:.2g} to {self.rates[-1]:.2g} in {len(self.rates)} steps"),
        ]
        return Layout(("Learning rates", ""), lines, self.notes, left=2)


def find_learning_rate(
    model: keras.Model,
    data: ImageDataset | Arrays | Any,
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    batch_size: int | None = None,
    seed: int = 0,
    verbose: int = 1,
) -> LearningRateCurve:
    """Train a model for a few steps with a rate that grows exponentially, and suggest a rate from its losses.

    The suggestion is a tenth of the rate at which the smoothed loss is lowest: there the loss is about to rise,
    and a decade below it falls steeply. It suits a training at that rate as well as the peak of one cycle.

    The sweep ends early where the loss diverges: where it is no finite number any more, or its average is three
    times the first loss above its lowest. Afterwards, and after an error or Ctrl-C, the model has the weights, the
    statistics, the state of the optimizer and the learning rate that it had before.

    Args:
        model: A compiled Keras model, whose optimizer has a number as learning rate.
        data: The training images and labels as two arrays, an `ImageDataset`, or batches, as for `fit`.
        lowest: The rate of the first step, above 0.
        highest: The rate of the last step, above `lowest`.
        steps: Number of steps, 10 or more. A step takes a batch; after the last image the first comes again.
        batch_size: Images per step, 1 or more: that of the training to come; 32 by default. Left out where the
            data come in batches.
        seed: Decides the order of the images.
        verbose: 1 shows a progress bar, 0 is silent.

    Returns:
        Rates, losses, and the suggestion; `plotting.plot_learning_rate_finder` draws them.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the model is not compiled or follows a schedule, there is no image, images and labels do
            not fit, or a number is out of range.
        FloatingPointError: If the loss of the first batch, on unchanged weights, is NaN or infinite.

    Example:
        >>> from kerascv_course import build_lenet5, load_digits
        >>> digits = load_digits().subset(per_class=50)
        >>> keras.utils.set_random_seed(0)
        >>> model = build_lenet5()
        >>> model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
        >>> curve = find_learning_rate(model, (digits.x_train / 255, digits.y_train), steps=60, verbose=0)
        >>> 0.0005 < curve.suggestion < 0.05
        True
        >>> round(float(model.optimizer.learning_rate), 4)  # as before
        0.001

    Source:
        Smith: Cyclical learning rates for training neural networks (2015), "LR range test", and A disciplined
        approach to neural network hyper-parameters, part 1 (2018). He reads the rate from the curve; the moving
        average, the end at divergence and the tenth of the minimum are Gugger's (How do you find a good learning
        rate, 2018).
    """
    check_compiled(_FUNCTION, model)
    lowest = check_above(_FUNCTION, "lowest", lowest)
    highest = check_above(_FUNCTION, "highest", highest, above=lowest)
    steps = check_int(_FUNCTION, "steps", steps, 10)
    seed = check_int(_FUNCTION, "seed", seed, 0, 2**32 - 1)
    options = {"steps_per_epoch": steps}
    batches, _, _ = read_training(_FUNCTION, model, data, options, batch_size=batch_size, seed=seed)
    batches, _ = build(_FUNCTION, model, batches)
    optimizer = model.optimizer
    if not any(variable is optimizer.learning_rate for variable in optimizer.variables):
        way_out = "Compile it with a number, find the rate, then compile it with the schedule."
        received = f"an optimizer that follows {optimizer.get_config()['learning_rate']}"
        raise input_error(_FUNCTION, "model", "compiled with a number as learning rate", received, way_out)

    rates = np.geomspace(lowest, highest, steps)
    variables = [*model.variables, *optimizer.variables, *model.metrics_variables]
    before = [np.copy(ops.convert_to_numpy(variable)) for variable in variables]
    try:
        with runtime.without_tracing_notes():
            losses = _sweep(model, batches, rates, verbose)
    finally:
        model.reset_metrics()  # those that the first step has made
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
    smoothed = _moving_average(losses)
    suggestion, notes = _suggest(rates[: len(losses)], losses, smoothed)
    if len(losses) < steps:
        notes.insert(0, f"The loss diverged at a rate of {rates[len(losses) - 1]:.2g}: the sweep ended there.")
    return LearningRateCurve(
        tuple(rates[: len(losses)].tolist()), tuple(losses), tuple(smoothed), suggestion, tuple(notes)
    )


def _again_and_again(data: Any) -> Iterator[Any]:
    """Give the batches of data, from the first one again after the last."""
    is_listed = isinstance(data, keras.utils.PyDataset)
    while True:
        batch = None
        for batch in (data[n] for n in range(len(data))) if is_listed else data:
            yield tree.map_structure(np.asarray, tuple(batch))
        if batch is None:
            raise input_error(_FUNCTION, "data", "batches for all steps", data, "Take fewer `steps`.")


def _sweep(model: keras.Model, batches: Any, rates: np.ndarray, verbose: int) -> list[float]:
    """Return the finite losses, one for each rate until the loss diverges."""
    progress = keras.utils.Progbar(len(rates), unit_name="step") if verbose else None
    losses: list[float] = []
    for step, (rate, batch) in enumerate(zip(rates, _again_and_again(batches), strict=False)):
        model.optimizer.learning_rate = float(rate)
        model.reset_metrics()  # in Keras before 3.15 `train_on_batch` returns the mean since the last reset
        loss = float(model.train_on_batch(*batch, return_dict=True)["loss"])
        if not np.isfinite(loss):
            if not losses:
                text = f"`{_FUNCTION}`: the loss of the first batch is {loss}, before any step"
                cause = f"The rate is not the cause: look for weights that are NaN, {NO_NUMBER}"
                raise FloatingPointError(f"{text}. {cause}.")
            break
        losses.append(loss)
        if progress:
            progress.update(step + 1, [("loss", loss)])
        smoothed = _moving_average(losses)
        if smoothed[-1] > min(smoothed) + DIVERGED * abs(losses[0]):
            break
    if progress and len(losses) < len(rates):
        progress.update(len(losses), finalize=True)
    return losses


def _moving_average(losses: Sequence[float]) -> list[float]:
    """Return the exponential moving average, without its pull towards 0 at the start."""
    averages = signal.lfilter([1 - SMOOTHING], [1, -SMOOTHING], losses)
    return (averages / (1 - SMOOTHING ** np.arange(1, len(losses) + 1))).tolist()


def _suggest(
    rates: np.ndarray, losses: Sequence[float], smoothed: Sequence[float]
) -> tuple[float | None, list[str]]:
    """Return a tenth of the rate of the lowest average, or None and the reason."""
    best = int(np.argmin(smoothed))
    beginning = max(1, len(losses) // 10)
    start = float(np.mean(losses[:beginning]))
    # The average of pure chance wanders as well: by how much follows from how far the losses lie beside it. The
    # median, and the 1.48 that makes a standard deviation of it, leave out the few losses of the divergence.
    scatter = 1.48 * np.median(np.abs(np.subtract(losses, smoothed)))
    chance = scatter * np.sqrt((1 - SMOOTHING) / (1 + SMOOTHING))
    if best < beginning or start - smoothed[best] < max(CLEAR_FALL * abs(start), BY_CHANCE * chance):
        return None, ["No suggestion: the loss falls nowhere by more than chance. Try higher rates or more steps."]
    if best == len(smoothed) - 1:
        return None, ["No suggestion: the loss still falls at the last rate. Raise `highest`."]
    return float(rates[best]) / 10, ["Suggestion: a tenth of the rate at which the smoothed loss is lowest."]
