"""A model is asked before its training: what comes out, and whether its loss and metrics take the labels."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from kerascv_course._models import check_model
from kerascv_course._validation import check_labels, input_error
from kerascv_course.training.batches import Batches

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


def call_once(function: str, model: keras.Model, argument: str, x: Any) -> Any:
    """Return what a model answers, which makes its weights; None where it trains without a `call`."""
    try:
        return model(tree.map_structure(ops.convert_to_tensor, x), training=False)
    except Exception as error:
        if isinstance(error, NotImplementedError) or not _is_usual(model, "train_step"):
            return None
        rule = "images that the model can be called on"
        raise input_error(function, argument, rule, _shapes(x), _said(error)) from error


def check_targets(function: str, argument: str, y: Any, model: keras.Model, answer: Any) -> Any:
    """Return the labels as the losses of the model take them, or raise."""
    if answer is None or not _is_usual(model, "train_step", "compute_loss"):
        return y
    is_named, parts = isinstance(answer, Mapping), tree.flatten(answer)
    names = list(answer) if is_named else getattr(model, "output_names", None) or range(len(parts))
    if len(parts) > 1 and not isinstance(y, dict | list):
        way_out = (
            f"Or train one of them: `keras.Model(model.inputs, model.outputs[0])`, compiled. It has {list(names)}."
        )
        raise input_error(function, argument, f"a list of labels, for {len(parts)} outputs", y, way_out)
    y = dict(y) if isinstance(y, dict) else list(y) if isinstance(y, list) else y
    for place, name in enumerate(names):
        found, loss = (_of_output(value, name, place) for value in (y, model.loss))
        if found is None or loss is None or place >= len(parts):
            continue
        part = answer[name] if is_named else parts[place]
        found = _check_target(function, argument, found, loss, tuple(part.shape))
        if isinstance(y, dict | list):
            y[name if isinstance(y, dict) else place] = found
        else:
            y = found
    return y


def _of_output(value: Any, name: Any, place: int) -> Any:
    if isinstance(value, Mapping):
        return value.get(name)
    if isinstance(value, tuple | list):
        return value[place] if place < len(value) else None
    return value


def _check_target(function: str, argument: str, y: np.ndarray, loss: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return the labels of one output, of that shape, as its loss takes them, or raise."""
    kinds = [loss] if isinstance(loss, str) else [kind.__name__ for kind in type(loss).__mro__]
    names = {str(name).lower().replace("_", "") for name in [*kinds, getattr(loss, "__name__", "")]}
    one_each = y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1)
    if names & {"ce", "crossentropy"}:
        names = {"binarycrossentropy" if shape[-1] == 1 else f"{'sparse' * one_each}categoricalcrossentropy"}
    if "sparsecategoricalcrossentropy" in names:
        y = y[..., 0] if y.ndim == len(shape) > 2 and y.shape[-1] == 1 else y  # masks
        ignored = getattr(loss, "ignore_class", None)
        counted = y.reshape(-1) if len(shape) > 2 else y
        counted = counted if ignored is None else counted[counted != ignored]
        found = check_labels(function, argument, counted, num_classes=shape[-1]) if counted.size else counted
        return found if len(found) == len(y) and len(shape) == 2 else y
    if names & {"categoricalcrossentropy", "categoricalfocalcrossentropy"} and len(shape) == 2:
        if y.shape[1:] != shape[1:]:
            rule = f"one-hot labels (images, {shape[1]}), as 'categorical_crossentropy' takes them"
            way_out = "Class numbers go with the loss 'sparse_categorical_crossentropy'."
            raise input_error(function, argument, rule, y, way_out)
    elif names & {"binarycrossentropy", "binaryfocalcrossentropy"} and (y.min() < 0 or y.max() > 1):
        way_out = f"Pass `{argument} - 1`." if (y.min(), y.max()) == (1, 2) else ""
        rule = "labels from 0 to 1, as 'binary_crossentropy' takes them"
        raise input_error(function, argument, rule, f"labels from {y.min()} to {y.max()}", way_out)
    return y


def try_out(function: str, model: keras.Model, batches: Any) -> dict[str, tuple[int, ...]] | None:
    """Return the figures of the model by name, with their shapes, from two images; raise where there are none.

    None stands for a model whose figures nobody knows before its training: with a training step of its own, on
    several devices, or where `batches` are no arrays.
    """
    replicas = getattr(getattr(model, "distribute_strategy", None), "num_replicas_in_sync", 1)
    usual = _is_usual(model, "train_step", "compute_loss", "compute_metrics")
    if not isinstance(batches, Batches) or not usual or model.loss is None or replicas > 1:
        return None
    batch = tree.map_structure(ops.convert_to_tensor, batches.take(batches.indices[:2]))
    x, y, weights = keras.utils.unpack_x_y_sample_weight(batch)
    try:
        answer = model(x, training=False)
        model.compute_loss(x=x, y=y, y_pred=answer, sample_weight=weights, training=False)
        figures = model.compute_metrics(x=x, y=y, y_pred=answer, sample_weight=weights)
    except Exception as error:
        rule = "labels that the loss and the metrics of the model take"
        raise input_error(function, "data", rule, _shapes(y), _said(error)) from error
    finally:
        model.reset_metrics()
    return {name: tuple(np.shape(value)) for name, value in figures.items()}


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


def _shapes(values: Any) -> Any:
    return tree.map_structure(lambda part: f"{tuple(part.shape)} of {part.dtype}", values)


def _said(error: Exception) -> str:
    """Return the first words of an error."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
