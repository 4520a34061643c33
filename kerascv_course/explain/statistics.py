"""What the activations of each layer do while a model trains: mean, spread, zeros and histogram over the steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from kerascv_course import _models
from kerascv_course._models import Part
from kerascv_course._tables import Layout, Table
from kerascv_course._validation import as_numbers, check_images, check_int, input_error

_FUNCTION = "ActivationStatistics"
_BINS = 128  # of a histogram, a power of two
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
        histogram_counts: Number of activations in each bin, `int64`, (records, 128). NaN and infinite ones are
            in none.
        histogram_edges: The same at all steps, `float64`, (129,): of one width, from minus to plus the
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


class ActivationStatistics(keras.callbacks.Callback):
    """Record the activations of each layer while a model trains, on images that stay the same.

    A callback for `training.fit` or `model.fit`. It records before the first step and after every `every`-th one;
    the model computes as in inference. `record` does it once, without training: to compare initialisations.

    On a CPU a record of 32 images takes less than half as long as a training step on 32 (TinyNet): by default some
    3 % of an epoch, and less where the batches are larger. For more images, or on a fast GPU, raise `every`.

    The steps are those of the optimizer, which may gather the gradients of several batches for one. Where `fit`
    goes on with an interrupted run, so does the counting, and records of steps that are made again are replaced.
    After a new `compile` the steps start at 0: take a new callback to keep what this one has.

    Args:
        images: Some tens of images in the range that the model trains on, (images, height, width, channels).
        layers: Names of the layers ("block1"), or paths where nested models share a name ("mobilenetv2/out_relu").
            By default all that apply an activation function, or else all that have weights. Of a layer that is
            called several times the last call counts.
        every: Steps between two records, 1 or more.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the images are empty or not finite or, when it records, do not fit the model, there is no
            such layer, or a number is out of range.

    Example:
        >>> from kerascv_course import build_lenet5, fit, load_digits
        >>> digits = load_digits().subset(per_class=20)
        >>> x, model = digits.x_train / 255, build_lenet5()
        >>> model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
        >>> statistics = ActivationStatistics(x[:16], every=2)
        >>> history = fit(model, (x, digits.y_train), epochs=1, callbacks=[statistics], verbose=0)
        >>> [row.layer for row in statistics.records.rows]
        ['conv1', 'conv2', 'dense1', 'dense2', 'predictions']
        >>> statistics.records.rows[0].steps
        array([0, 2, 4, 6])

    Source: Lorente, Manco (TinyNet: mean, variance and histogram of the activations while training).
    """

    def __init__(self, images: np.ndarray, *, layers: Sequence[str] | None = None, every: int = 20) -> None:
        super().__init__()
        images = as_numbers(_FUNCTION, "images", images, "a batch (images, height, width, channels)")
        if images.ndim < 2 or images.size == 0:
            raise input_error(_FUNCTION, "images", "a batch (images, height, width, channels), not empty", images)
        are_names = isinstance(layers, list | tuple) and all(isinstance(name, str) for name in layers)
        if layers is not None and not (are_names and layers):
            rule, error = "a list of names of layers, one or more, or None", ValueError if are_names else TypeError
            raise input_error(_FUNCTION, "layers", rule, layers, error=error)
        self.every = check_int(_FUNCTION, "every", every, 1)
        self.images, self.layers = images.astype("float32"), layers
        self._found: dict[int, dict[str, _Moment]] = {}  # by step and layer
        self._probe: _Probe | None = None
        self._parts: list[Part] = []
        self._epoch_start = self._last = 0
        self._per_step = 1

    @property
    def records(self) -> ActivationRecords:
        """What has been recorded so far; without rows where that is nothing."""
        steps = sorted(self._found)
        names = self._found[steps[0]] if steps else ()
        moments = {name: [self._found[step][name] for step in steps] for name in names}
        ends = f"{min(steps, default=0)} to {max(steps, default=0)}"
        note = f"{len(self.images)} images, {len(steps)} records from step {ends}."
        return ActivationRecords(tuple(_joined(name, steps, found) for name, found in moments.items()), (note,))

    def record(self, model: keras.Model, step: int = 0) -> None:
        """Record the activations of a model as it is, as those of a step; what that step had is replaced.

        Args:
            model: A Keras model that takes the images.
            step: The step that is written to the record, from 0.
        """
        step = check_int("record", "step", step, 0)
        _models.check_model("record", model)
        outputs = self._outputs(model)
        known = next(iter(self._found.values()), outputs).keys()
        if outputs.keys() != known:
            way_out = "Take a new `ActivationStatistics` for another model."
            rule = f"one with the layers that were recorded before: {_models.listed(list(known))}"
            raise input_error("record", "model", rule, _models.listed(list(outputs)), way_out)
        self._found[step] = {path: _measure(output) for path, output in outputs.items()}

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Record the untrained model, and forget the steps that are made again."""
        now, self._per_step = self._batches_made()
        now //= self._per_step
        self._found = {step: moment for step, moment in self._found.items() if step < now}
        if now % self.every == 0:
            self.record(self.model, now)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Note the batch at which the epoch starts."""
        self._epoch_start, _ = self._batches_made()
        self._last = self._epoch_start // self._per_step

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Record, where it is time."""
        # `self.model` is touched only then: with JAX it copies the weights out of the training loop.
        now = (self._epoch_start + batch + 1) // self._per_step
        if now // self.every > self._last // self.every:
            self.record(self.model, now)
        self._last = now

    def _batches_made(self) -> tuple[int, int]:
        """Return on how many batches the optimizer has worked, and how many of them make one of its steps."""
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)  # of mixed precision
        batches = next(variable for variable in optimizer.variables if variable.name == "iteration")
        return int(ops.convert_to_numpy(batches)), optimizer.gradient_accumulation_steps or 1

    def _outputs(self, model: keras.Model) -> dict[str, np.ndarray]:
        """Return what the chosen layers write for the images, by their paths, in the order of the model."""
        if self._probe is None or self._probe.observed is not model:
            shape = _models.input_shape(_FUNCTION, model)
            if shape is not None:
                check_images(_FUNCTION, "images", self.images, shape=shape)
            if not model.built:  # `model.fit` builds a subclassed one at the first step
                _models.run(model, self.images)
            parts = _models.parts_of(model)
            if self.layers is None:
                self._parts = _default(parts)
            else:
                by_path = {part.path: part for part in parts}
                self._parts = [
                    by_path[_models.path_of(_FUNCTION, "layers", name, by_path)] for name in self.layers
                ]
            self._probe = _Probe(model, self._parts)
        written = self._probe.predict_on_batch(self.images) if self._parts else {}
        paths = [part.path for part in self._parts]
        silent = [path for path in paths if path not in written]
        if silent and self.layers is not None:
            raise input_error(_FUNCTION, "layers", "names of layers that write one array of floats", silent[0])
        if not written:
            rule = "a model with layers that have an activation function or weights"
            raise input_error(_FUNCTION, "model", rule, model.name)
        return {path: written[path] for path in paths if path in written}


class _Probe(keras.Model):
    """A model that answers with what parts of another one write, by their paths.

    As a model it is compiled by Keras, whatever the backend: that takes a third of the time that the layers take
    one by one.
    """

    def __init__(self, observed: keras.Model, parts: list[Part]) -> None:
        super().__init__(name="probe")
        self.observed, self._parts = observed, lambda: parts  # Keras would track the parts themselves

    def call(self, images: Any) -> dict[str, Any]:
        written: dict[str, Any] = {}

        def keep(part: Part, output: Any) -> Any:
            if _models.is_float(output):
                written[part.path] = ops.cast(output, "float32")
            return output

        with _models.listening(self._parts(), keep):
            _models.run(self.observed, images)
        return written


def _default(parts: list[Part]) -> list[Part]:
    layers = [part for part in parts if isinstance(part.operation, keras.layers.Layer)]
    fit = [part for part in layers if _activates(part.operation)]
    return fit or [part for part in layers if part.operation.weights]


def _activates(layer: Any) -> bool:
    kinds = ("ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax")
    if isinstance(layer, tuple(getattr(keras.layers, kind) for kind in kinds)):
        return True
    function = getattr(layer, "activation", None)
    return callable(function) and _models.squashing(function) != "linear"


# What is kept of a layer


class _Moment(NamedTuple):
    """One layer at one step. The histogram goes from -limit to limit."""

    mean: float
    deviation: float
    zeros: float
    counts: np.ndarray
    limit: float


def _measure(output: np.ndarray) -> _Moment:
    """Return what is kept of the activations, `float32`."""
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
    places = np.floor(values * np.float32(_BINS / 2 / limit)).astype("int64") + _BINS // 2
    return _Moment(mean, deviation, zeros, np.bincount(places, minlength=_BINS), limit)


def _joined(layer: str, steps: list[int], moments: list[_Moment]) -> LayerStatistics:
    """Return a layer with all its steps, the histograms in bins of the widest of them."""
    limit = max(moment.limit for moment in moments)
    counts = np.stack([_widened(moment, limit) for moment in moments])
    means, deviations, zeros = (np.array(column) for column in list(zip(*moments, strict=True))[:3])
    edges = np.linspace(-limit, limit, counts.shape[1] + 1)
    return LayerStatistics(layer, np.array(steps), means, deviations, zeros, counts, edges)


def _widened(moment: _Moment, limit: float) -> np.ndarray:
    """Return the counts in bins from -limit to limit, a power of two times the own one.

    Twice the range means bins of twice the width. Zero is an edge and stays one, so the new bins are pairs of the
    old ones: nothing is lost, and no activation has to be kept.
    """
    counts, own = moment.counts, moment.limit
    while own < limit:
        counts = np.pad(counts.reshape(-1, 2).sum(axis=1), counts.size // 4)
        own *= 2
    return counts
