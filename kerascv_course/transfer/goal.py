"""What a classifier is trained for: its loss and metrics, how its labels are read, and what its answers mean."""

from typing import Any

import keras
import numpy as np

from kerascv_course._models import ending, ending_of, parts_of, record, run, squashing
from kerascv_course._validation import as_numbers, check_labels, input_error, is_one_hot

_HALF = float(np.nextafter(np.float32(0.5), np.float32(0)))  # what is greater is 0.5 or more
_ZERO = float(np.finfo("float32").tiny)  # the least threshold that Keras takes
_ENDS = "a classifier that ends in a softmax, in sigmoid units, or in their logits, without activation"


class Goal:
    """One class of several, one of two, or several labels at once; trained as its caller compiled the model.

    Attributes:
        kind: "classes", "binary" or "labels".
        from_logits: Whether the model ends without softmax or sigmoid.
        units: Numbers in its answer.
    """

    def __init__(self, function: str, model: keras.Model, image: np.ndarray, labels: np.ndarray) -> None:
        """Ask a built model what it ends in, or raise where it is no classifier."""
        self.function, self.model = function, model
        is_linked = bool(getattr(model, "inputs", None))
        calls, answer = ([], model.outputs[0]) if is_linked else record(model, image)
        if len(answer.shape) != 2:
            raise input_error(function, "model", "a classifier that ends in a vector", tuple(answer.shape))
        self.units = int(answer.shape[1])
        end = (ending_of(model) if is_linked else ending(calls))[0]
        if not end:
            last = calls[-1].part if calls else parts_of(model)[-1]
            activation = getattr(last.operation, "activation", None)
            is_linear = callable(activation) and squashing(activation, self.units) == "linear"
            end = "linear" if is_linear else self._seen(run(model, image))
        if end == "softmax" and self.units == 1:
            way_out = 'Its answer is always 1. For two classes: `Dense(1, "sigmoid")` or `Dense(2, "softmax")`.'
            raise input_error(function, "model", _ENDS, f"{model.name}, a softmax over one unit", way_out)
        self.from_logits = end in ("linear", "log_softmax")
        is_several = end == "linear" and labels.ndim == 2 and labels.shape[1] > 1 and not is_one_hot(labels)
        self.kind = "binary" if self.units == 1 else "labels" if end == "sigmoid" or is_several else "classes"
        self.loss = model.loss if model.compiled else None
        self.optimizer = model.optimizer if model.compiled else keras.optimizers.Adam()
        self.options = _options(model) if model.compiled else {"steps_per_execution": 1}

    @property
    def is_copied(self) -> bool:
        """Whether another model can be compiled in the same way: its caller's metrics are known."""
        return not self.loss or "metrics" in self.options

    def _seen(self, answer: Any) -> str:
        """Return what the end of a model does by its answer, where the code of the end does not say it."""
        found = keras.ops.convert_to_numpy(answer).astype("float32")
        if found.min() >= 0 and found.max() <= 1:
            if self.units == 1:
                return "sigmoid"
            if np.allclose(found.sum(axis=1), 1, atol=1e-2):
                return "softmax"
        raise input_error(self.function, "model", _ENDS, f"{self.model.name}, which ends otherwise")

    def read(self, argument: str, labels: np.ndarray) -> np.ndarray:
        """Return labels in the form that the loss takes, or raise."""
        function, name = self.function, f"{argument}[1]"
        if self.kind == "labels":
            rule = f"rows of {self.units} zeros and ones, one for each label that the model has a sigmoid unit for"
            found = as_numbers(function, name, labels, rule)
            if found.shape[1:] != (self.units,) or found.min() < 0 or found.max() > 1:
                way_out = "Where each image has one class, end the model in a softmax."
                raise input_error(function, name, rule, labels, way_out)
            return found.astype("float32")
        loss = str(getattr(self.loss, "name", None) or getattr(self.loss, "__name__", self.loss)).lower()
        is_shares = labels.ndim == 2 and labels.shape[1] == self.units > 1 and not is_one_hot(labels)
        if is_shares and self.loss and "sparse" not in loss:  # as label smoothing and mixup make them
            return as_numbers(function, name, labels, "numbers").astype("float32")
        found = check_labels(function, name, labels, count=len(labels), num_classes=max(self.units, 2))
        takes_rows = "categorical" in loss and "sparse" not in loss
        return np.eye(self.units, dtype="float32")[found] if takes_rows else found

    def compile(self, model: keras.Model, learning_rate: float, steps_per_execution: int | None = None) -> None:
        """Compile the model, or a part of it that ends as it does, with a new optimizer of that rate."""
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)  # of mixed precision, put on anew
        optimizer = type(optimizer).from_config({**optimizer.get_config(), "learning_rate": learning_rate})
        options = self.options | ({"loss": self.loss} if self.loss else self._default())
        if steps_per_execution:
            options["steps_per_execution"] = steps_per_execution
        model.compile(optimizer, **options)

    def _default(self) -> dict[str, Any]:
        """Return the loss and the metrics that the end of the model asks for."""
        if self.kind == "classes":
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=self.from_logits)
            return {"loss": loss, "metrics": ["accuracy"]}
        threshold = _ZERO if self.from_logits else _HALF
        accuracy = keras.metrics.BinaryAccuracy(name="accuracy", threshold=threshold)
        return {"loss": keras.losses.BinaryCrossentropy(from_logits=self.from_logits), "metrics": [accuracy]}

    def accuracy(self, answers: np.ndarray, labels: np.ndarray) -> float:
        """Return the share of right answers, of several labels the share of right labels."""
        if self.kind == "classes":
            return float(np.mean(answers.argmax(axis=1) == (labels.argmax(axis=1) if labels.ndim > 1 else labels)))
        found = answers >= (0 if self.from_logits else 0.5)
        return float(np.mean(found == (labels.reshape(answers.shape) >= 0.5)))


def _options(model: keras.Model) -> dict[str, Any]:
    """Return what a model was compiled with beside optimizer and loss; its metrics where Keras can write them."""
    options = {name: getattr(model, name) for name in ("run_eagerly", "jit_compile", "steps_per_execution")}
    try:
        config = model.get_compile_config()
        metrics = {name: config[name] for name in ("loss_weights", "metrics", "weighted_metrics")}
        is_written = any(metrics.values()) or all(part.name != "compile_metrics" for part in model.metrics)
        return options | (keras.saving.deserialize_keras_object(metrics) if is_written else {})
    except Exception:  # of a function of the caller's own; `compile` without metrics leaves them as they are
        return options
