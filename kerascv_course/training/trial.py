"""A model is asked before its training: what comes out, and whether its loss and metrics take the labels."""

import re
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from kerascv_course._models import check_model
from kerascv_course._ranges import told
from kerascv_course._validation import check_labels, input_error

_ACCURACIES = (
    *(keras.metrics.Accuracy, keras.metrics.BinaryAccuracy),
    *(keras.metrics.CategoricalAccuracy, keras.metrics.SparseCategoricalAccuracy),
)


def check_compiled(function: str, model: Any) -> None:
    """Raise unless it is a compiled Keras model."""
    check_model(function, model)
    if not model.compiled:
        way_out = 'For example: model.compile(optimizer="adam", loss="sparse_categorical_crossentropy").'
        raise input_error(function, "model", "compiled", model, way_out)


def current_rate(model: keras.Model) -> float:
    """Return the learning rate of a compiled model, as it is now."""
    return float(ops.convert_to_numpy(model.optimizer.learning_rate))


def call_once(function: str, model: keras.Model, argument: str, x: Any) -> Any:
    """Return what a model answers, and make its weights; None where it trains without a `call`."""
    try:
        with told():
            return model(x, training=False)
    except Exception as error:
        if isinstance(error, NotImplementedError) or not _is_usual(model, "train_step"):
            return None
        raise _not_taken(function, argument, "images that the model can be called on", x, error) from error


def ask(function: str, argument: str, model: keras.Model, x: Any, y: Any, weights: Any) -> tuple[Any, Any]:
    """Return the labels as the losses of the model take them, and the dimensions of its figures by name; or raise.

    None in place of the figures stands for a model of which nobody knows them before its training: with a training
    step of its own, without a loss, or on several devices.
    """
    first = {name: _start(part) for name, part in {"x": x, "y": y, "sample_weight": weights}.items()}
    answer = call_once(function, model, argument, first["x"])
    if answer is None or not _is_usual(model, "train_step", "compute_loss", "compute_metrics"):
        return y, None
    y = _check_targets(function, f"{argument}[1]", y, model, answer)
    replicas = getattr(getattr(model, "distribute_strategy", None), "num_replicas_in_sync", 1)
    if model.loss is None or replicas > 1:
        return y, None
    first |= {"y": _start(y), "y_pred": answer}
    try:
        model.compute_loss(**first, training=False)
        figures = model.compute_metrics(**first)
    except Exception as error:
        rule = "labels that the loss and the metrics of the model take"
        raise _not_taken(function, f"{argument}[1]", rule, first["y"], error) from error
    finally:
        model.reset_metrics()
    return y, {name: np.ndim(value) for name, value in figures.items()}


def _check_targets(function: str, argument: str, y: Any, model: keras.Model, answer: Any) -> Any:
    """Return labels of one or several outputs as the losses take them, or raise."""
    parts, losses, labels = map(tree.flatten, (answer, model.loss, y))
    if len(parts) > 1 and not isinstance(y, dict | list):
        way_out = "Or train one of them: compile `keras.Model(model.inputs, model.outputs[0])`."
        raise input_error(function, argument, f"a list of labels, for {len(parts)} outputs", y, way_out)
    losses *= len(parts) if len(losses) == 1 else 1
    several = [value for value in (answer, y, model.loss) if isinstance(value, dict | list | tuple)]
    if len({isinstance(value, dict) for value in several}) > 1 or not len(parts) == len(losses) == len(labels):
        return y  # Keras says what does not fit
    checked = [_check_target(function, argument, *each) for each in zip(labels, losses, parts, strict=True)]
    return tree.pack_sequence_as(y, checked)


def _check_target(function: str, argument: str, y: Any, loss: Any, answer: Any) -> Any:
    """Return the labels of one output as its loss takes them, or raise."""
    if not hasattr(y, "ndim") or not hasattr(answer, "shape"):
        return y
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    name, shape = name.lower().replace("_", ""), tuple(answer.shape)
    if name == "sparsecategoricalcrossentropy":
        y = y[..., 0] if y.ndim == len(shape) > 2 and y.shape[-1] == 1 else y  # masks
        ignored = getattr(loss, "ignore_class", None)
        counted = y if ignored is None else y[y != ignored]
        counted = counted.reshape(-1) if len(shape) > 2 else counted
        found = check_labels(function, argument, counted, num_classes=shape[-1]) if counted.size else counted
        return found if len(found) == len(y) and len(shape) == 2 else y
    if name in ("categoricalcrossentropy", "categoricalfocalcrossentropy") and y.shape[1:] != shape[1:]:
        way_out = "Class numbers go with the loss 'sparse_categorical_crossentropy'."
        raise input_error(function, argument, f"one-hot, (images, {shape[-1]})", y, way_out)
    if name in ("binarycrossentropy", "binaryfocalcrossentropy") and (y.min() < 0 or y.max() > 1):
        way_out = f"Pass `{argument} - 1`." if (y.min(), y.max()) == (1, 2) else ""
        raise input_error(function, argument, "labels from 0 to 1", f"labels from {y.min()} to {y.max()}", way_out)
    return y


def accuracy_name(model: keras.Model, figures: Any) -> str | None:
    """Return which of the figures of a model that has been evaluated is the accuracy; None where none is."""
    metrics = [inner for metric in model.metrics for inner in getattr(metric, "metrics", [metric])]
    names = [metric.name for metric in metrics if isinstance(metric, _ACCURACIES)]
    found = [figure for name in names for figure in figures if figure == name or figure.endswith(f"_{name}")]
    found += [name for name in figures if name.split("_")[-1] in ("accuracy", "acc") and "top_k" not in name]
    return next(iter(found), None)


def _is_usual(model: keras.Model, *methods: str) -> bool:
    """Tell whether a model does that as Keras does."""
    return all(getattr(type(model), method) is getattr(keras.Model, method) for method in methods)


def _start(values: Any) -> Any:
    """Return the first two of each array as tensors."""
    return None if values is None else tree.map_structure(lambda part: ops.convert_to_tensor(part[:2]), values)


def _not_taken(function: str, argument: str, rule: str, values: Any, error: Exception) -> Exception:
    shapes = tree.map_structure(lambda part: f"{tuple(part.shape)} of {part.dtype}", values)
    said = re.sub(r"\x1b\[\d+m", "", " ".join(str(error).split()))  # Keras prints parts in bold
    way_out = f"{type(error).__name__}: {said[:300]}"
    return input_error(function, argument, rule, shapes, way_out)
