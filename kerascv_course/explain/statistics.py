"""What the activations of each layer do while a model trains: mean, spread, zeros and histogram over the steps."""

import difflib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import keras
import numpy as np
from keras import ops

from kerascv_course._validation import check_int, input_error
from kerascv_course.explain.activation_records import ActivationRecords, Moment, joined, measure
from kerascv_course.explain.probe import Part, parts_of, replaced, run

_FUNCTION = "ActivationStatistics"


class ActivationStatistics(keras.callbacks.Callback):
    """Record the activations of each layer while a model trains, on images that stay the same.

    A callback for `training.fit` or `model.fit`. It records before the first step and after every `every`-th one;
    the model computes as in inference. `record` does it once, without training: to compare initialisations.

    On a CPU a record of 32 images takes less than half as long as a training step on 32 (TinyNet): by default some
    3 % of an epoch, and less where the batches are larger. For more images, or on a fast GPU, raise `every`.

    The steps are those of the optimizer. Where `fit` goes on with an interrupted run, so does the counting, and
    records of steps that are made again are replaced. After a new `compile` the steps start at 0: take a new
    callback to keep what this one has.

    Args:
        images: Some tens of images in the range that the model trains on, (images, height, width, channels).
        layers: Names of the layers ("block1"), or paths where nested models share a name ("mobilenetv2/out_relu").
            By default all that apply an activation function, or else all that have weights. Of a layer that is
            called several times the last call counts.
        every: Steps between two records, 1 or more.
        bins: Bins of the histograms, a power of two from 4 to 4096.

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

    def __init__(
        self, images: np.ndarray, *, layers: Sequence[str] | None = None, every: int = 20, bins: int = 128
    ) -> None:
        super().__init__()
        if not isinstance(images, np.ndarray) or images.dtype.kind not in "uif":
            raise input_error(_FUNCTION, "images", "a NumPy array of numbers", images, error=TypeError)
        if images.ndim < 2 or images.size == 0:
            raise input_error(_FUNCTION, "images", "a batch (images, height, width, channels), not empty", images)
        if not np.isfinite(images).all():
            raise input_error(_FUNCTION, "images", "finite numbers", "NaN or infinity in it")
        if layers is not None and (
            not isinstance(layers, list | tuple) or not all(isinstance(name, str) for name in layers)
        ):
            raise input_error(_FUNCTION, "layers", "a list of names of layers, or None", layers, error=TypeError)
        if layers is not None and not layers:
            raise input_error(_FUNCTION, "layers", "one name or more, or None", layers)
        self.every = check_int(_FUNCTION, "every", every, 1)
        self.bins = check_int(_FUNCTION, "bins", bins, 4, 4096)
        if bins & (bins - 1):
            raise input_error(_FUNCTION, "bins", "a power of two", bins)
        self.images, self.layers = images.astype("float32"), layers
        self._found: dict[int, dict[str, Moment]] = {}  # by step and layer
        self._probe: _Probe | None = None
        self._parts: list[Part] = []
        self._epoch_start = self._last = 0

    @property
    def records(self) -> ActivationRecords:
        """What has been recorded so far; without rows where that is nothing."""
        steps = sorted(self._found)
        names = self._found[steps[0]] if steps else ()
        note = f"{len(self.images)} images, {len(steps)} records from step {min(steps, default=0)} to "
        note += f"{max(steps, default=0)}."
        return ActivationRecords(
            tuple(joined(name, steps, [self._found[step][name] for step in steps]) for name in names), (note,)
        )

    def record(self, model: keras.Model, step: int = 0) -> None:
        """Record the activations of a model as it is, as those of a step; what that step had is replaced.

        Args:
            model: A Keras model that takes the images.
            step: The step that is written to the record, from 0.
        """
        step = check_int("record", "step", step, 0)
        if not isinstance(model, keras.Model):
            raise input_error("record", "model", "a Keras model", model, error=TypeError)
        outputs = self._outputs(model)
        known = next(iter(self._found.values()), outputs).keys()
        if outputs.keys() != known:
            way_out = "Take a new `ActivationStatistics` for another model."
            rule = f"one with the layers that were recorded before: {_listed(list(known))}"
            raise input_error("record", "model", rule, _listed(list(outputs)), way_out)
        self._found[step] = {path: measure(output, self.bins) for path, output in outputs.items()}

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Record the untrained model, and forget the steps that are made again."""
        now = self._steps_made()
        self._found = {step: moment for step, moment in self._found.items() if step < now}
        if now % self.every == 0:
            self.record(self.model, now)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Note the step at which the epoch starts."""
        self._epoch_start = self._last = self._steps_made()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Record, where it is time."""
        # `self.model` is touched only then: with JAX it copies the weights out of the training loop.
        now = self._epoch_start + batch + 1
        if now // self.every > self._last // self.every:
            self.record(self.model, now)
        self._last = now

    def _steps_made(self) -> int:
        return int(ops.convert_to_numpy(self.model.optimizer.iterations))

    def _outputs(self, model: keras.Model) -> dict[str, np.ndarray]:
        """Return what the chosen layers write for the images, by their paths, in the order of the model."""
        if self._probe is None or self._probe.observed is not model:
            self._check_images(model)
            if not model.built:  # `model.fit` builds a subclassed one at the first step
                run(model, self.images)
            parts = parts_of(model)
            self._parts = _default(parts) if self.layers is None else _named(parts, self.layers)
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

    def _check_images(self, model: keras.Model) -> None:
        """Raise unless the model takes the images."""
        inputs = getattr(model, "inputs", None) or ()
        if len(inputs) > 1:
            raise input_error(_FUNCTION, "model", "a model with one input", f"{model.name} with {len(inputs)}")
        for shape in (tuple(tensor.shape) for tensor in inputs):
            if len(shape) != self.images.ndim or any(
                wanted not in (None, given) for wanted, given in zip(shape[1:], self.images.shape[1:], strict=True)
            ):
                rule = f"of the input shape {shape[1:]} of the model {model.name}"
                raise input_error(_FUNCTION, "images", rule, self.images)


class _Probe(keras.Model):
    """A model that answers with what parts of another one write, by their paths.

    As a model it is compiled by Keras, whatever the backend: that takes a third of the time that the layers take
    one by one.
    """

    def __init__(self, observed: keras.Model, parts: list[Part]) -> None:
        super().__init__(name="probe")
        self.observed = observed
        self._listen = lambda images: _listen(observed, parts, images)  # Keras would track the parts themselves

    def call(self, images: Any) -> dict[str, Any]:
        return self._listen(images)


def _listen(model: keras.Model, parts: list[Part], images: Any) -> dict[str, Any]:
    written: dict[str, Any] = {}

    def keeping(part: Part) -> Callable[..., Any]:
        usual = part.operation.call

        def call(*args: Any, **kwargs: Any) -> Any:
            output = usual(*args, **kwargs)
            if hasattr(output, "shape") and "float" in keras.backend.standardize_dtype(output.dtype):
                written[part.path] = ops.cast(output, "float32")
            return output

        return call

    with ExitStack() as stack:
        for part in parts:
            stack.enter_context(replaced(part.operation, "call", keeping(part)))
        run(model, images)
    return written


# The layers


def _default(parts: list[Part]) -> list[Part]:
    layers = [part for part in parts if isinstance(part.operation, keras.layers.Layer)]
    return [part for part in layers if _activates(part.operation)] or [
        part for part in layers if part.operation.weights
    ]


def _activates(layer: Any) -> bool:
    kinds = ("ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax")
    if isinstance(layer, tuple(getattr(keras.layers, kind) for kind in kinds)):
        return True
    function = getattr(layer, "activation", None)
    return callable(function) and function is not keras.activations.linear


def _named(parts: list[Part], names: Sequence[str]) -> list[Part]:
    """Return the parts with these names or paths, or raise."""
    paths = [part.path for part in parts]
    found = []
    for name in names:
        named = [part for part in parts if part.path == name]
        named = named or [part for part in parts if part.path.endswith(f"/{name}")]
        if not named:
            short = {path.split("/")[-1]: path for path in paths}
            close = [short[match] for match in difflib.get_close_matches(name.split("/")[-1], short)]
            way_out = f"Layers of the model: {_listed(close or paths)}."
            raise input_error(_FUNCTION, "layers", "names or paths of layers of the model", name, way_out)
        if len(named) > 1:
            way_out = f"Give the path: {_listed([part.path for part in named])}."
            raise input_error(_FUNCTION, "layers", "names of one layer each, not of several", name, way_out)
        found += named
    return found


def _listed(paths: list[str]) -> str:
    return ", ".join(repr(path) for path in paths[:8]) + (", ..." if len(paths) > 8 else "")
