"""Looks into a model while it runs: which layers wrote what, and what follows if one writes something else.

For the time of a call the `call` of a layer is shadowed on the object. That needs no graph, so it works for nested
and for subclassed models on every backend, where linking a new model from the old one's tensors does not.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import keras
from keras import ops

_PASS_ON = ("Flatten", "Reshape", "Dropout", "Identity")  # a softmax before these is still the last that computes


class Part(NamedTuple):
    """A layer, or an operation of a functional model, with its path through the nested models."""

    path: str
    operation: Any


class Call(NamedTuple):
    """A part that ran, and the shape of the floats that it wrote; () where it wrote none."""

    part: Part
    shape: tuple[int, ...]


def parts_of(model: Any, prefix: str = "") -> list[Part]:
    """Return what a model computes with, each part once, nested models opened."""
    found: dict[int, Part] = {}
    for operation in getattr(model, "operations", None) or model.layers:
        is_model = isinstance(operation, keras.Model)
        path = prefix + operation.name
        for part in parts_of(operation, f"{path}/") if is_model else [Part(path, operation)]:
            if not isinstance(part.operation, keras.layers.InputLayer):
                found.setdefault(id(part.operation), part)
    return list(found.values())


@contextmanager
def replaced(operation: Any, name: str, value: Any) -> Iterator[None]:
    """Shadow an attribute of one object, unnoticed by what Keras keeps about its attributes."""
    attributes = vars(operation)
    before = {name: attributes[name]} if name in attributes else {}
    attributes[name] = value
    try:
        yield
    finally:
        del attributes[name]
        attributes.update(before)


def run(model: keras.Model, images: Any) -> Any:
    """Return the model's answer in inference."""
    return model(ops.convert_to_tensor(images, "float32"), training=False)


def record(model: keras.Model, parts: list[Part], images: Any) -> tuple[list[Call], Any]:
    """Return the calls of the parts in their order, and the model's answer."""
    calls: list[Call] = []

    def recording(part: Part) -> Callable[..., Any]:
        usual = part.operation.call

        def call(*args: Any, **kwargs: Any) -> Any:
            output = usual(*args, **kwargs)
            is_float = hasattr(output, "shape") and "float" in keras.backend.standardize_dtype(output.dtype)
            calls.append(Call(part, tuple(output.shape) if is_float else ()))
            return output

        return call

    with ExitStack() as stack:
        for part in parts:
            stack.enter_context(replaced(part.operation, "call", recording(part)))
        return calls, run(model, images)


def run_changed(model: keras.Model, images: Any, layer: Any, number: int, change: Callable[[Any], Any]) -> Any:
    """Return the model's answer where the output of a layer's n-th call goes through a function."""
    usual, count = layer.call, 0

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        output = usual(*args, **kwargs)
        return change(output) if count == number else output

    with replaced(layer, "call", call):
        return run(model, images)


@contextmanager
def without_squashing(calls: list[Call]) -> Iterator[str]:
    """Switch a softmax or sigmoid at the end of the model off, and give its name, or "" where there is none."""
    for (_, operation), _ in reversed(calls):
        has_activation = callable(getattr(operation, "activation", None))
        function = operation.activation if has_activation else operation
        name = getattr(function, "__name__", type(function).__name__).lower().replace("_", "")
        if name in ("softmax", "logsoftmax", "sigmoid"):
            if has_activation:
                passing = replaced(operation, "activation", keras.activations.linear)
            else:
                passing = replaced(operation, "call", lambda inputs, *args, **kwargs: inputs)
            with passing:
                yield name
            return
        is_linear = isinstance(operation, keras.layers.Activation) and name == "linear"
        if not is_linear and type(operation).__name__ not in _PASS_ON:
            break
    yield ""
