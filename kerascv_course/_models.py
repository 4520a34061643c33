"""The one place that asks a Keras model: what goes in and out, its layers, its backbone, what squashes its end.

A model is asked by calling it. To see inside, the `call` of a layer is shadowed on the object for the time of a
call. That needs no graph, so it works for nested and for subclassed models on every backend, where linking a new
model from the old one's tensors does not.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops, tree

from kerascv_course._ranges import told, warn_range
from kerascv_course._validation import as_numbers, check_images, input_error


class Part(NamedTuple):
    """A layer, or an operation of a functional model, with its path through the nested models."""

    path: str
    operation: Any


class Call(NamedTuple):
    """A part that ran, the shape of the floats that it wrote, () where it wrote none, and what it wrote."""

    part: Part
    shape: tuple[int, ...]
    output: Any = None


# What goes in and out


def check_model(function: str, model: Any, argument: str = "model") -> None:
    """Raise unless it is a Keras model."""
    if not isinstance(model, keras.Model):
        raise input_error(function, argument, "a Keras model", model, error=TypeError)


def check_linked(function: str, model: Any, argument: str = "model") -> None:
    """Raise unless it is a Keras model whose layers are linked: functional or `Sequential`, and built."""
    check_model(function, model, argument)
    if not isinstance(model, keras.Sequential | keras.Function):
        graph = "`inputs = keras.Input((32, 32, 3)); keras.Model(inputs, model.call(inputs))`"
        way_out = f"A subclassed model does not say how its layers are linked. Give it a graph: {graph}."
        raise input_error(function, argument, "a functional or Sequential model", model, way_out, TypeError)
    if not getattr(model, "inputs", None):
        way_out = "Put `keras.Input((32, 32, 3))` first, or call `model.build((None, 32, 32, 3))`."
        raise input_error(function, argument, "built", model.name, way_out)


def input_shape(function: str, model: keras.Model, argument: str = "model") -> tuple[int | None, ...] | None:
    """Return the shape that one image must have, or None where the model does not say it; raise for two."""
    inputs = getattr(model, "inputs", None) or ()
    if len(inputs) > 1:
        raise input_error(function, argument, "a model with one input", f"{model.name}, with {len(inputs)} inputs")
    return tuple(inputs[0].shape[1:]) if inputs else None


def one_output(function: str, model: keras.Model, answer: Any, argument: str = "model") -> Any:
    """Return the answer of a model, or raise where it is several."""
    parts = tree.flatten(answer)
    if len(parts) > 1:
        link = "keras.Model(model.inputs, model.outputs[0])"
        if not isinstance(model, keras.Function):
            which = next(iter(answer)) if isinstance(answer, dict) else 0
            link = f"inputs = keras.Input((32, 32, 3)); keras.Model(inputs, model(inputs)[{which!r}])"
        rule, received = "a model with one output", f"{model.name}, with {len(parts)} outputs"
        raise input_error(function, argument, rule, received, f"Take one of them: `{link}`.")
    return parts[0] if parts else answer


def check_model_and_images(function: str, model: Any, images: Any, *, several: bool = False) -> Any:
    """Return images that the model takes as an array; build the model by calling it once; or raise.

    With `several`, of a model with several inputs they are a list or dictionary of arrays, as it takes them.
    """
    check_model(function, model)
    inputs = getattr(model, "inputs", None) or ()
    one_output(function, model, getattr(model, "outputs", None) or ())
    is_list = isinstance(images, list | tuple)
    is_each = len(inputs) > 1 if inputs else is_list and any(getattr(part, "ndim", 0) > 3 for part in images)
    if several and (isinstance(images, dict) or (is_list and is_each)):
        images, shape = _read_each(function, images), None
    else:
        shape = input_shape(function, model)
        images = as_numbers(function, "images", images, "a batch of images (images, height, width, channels)")
        images = check_images(function, "images", images, shape=images.shape[1:] if shape is None else shape)
    if shape is None:
        try:
            run(model, tree.map_structure(lambda part: part[:1], images))
        except Exception as error:
            rule, way_out = "one that can be called on the images", f"{type(error).__name__}: {error}"
            raise input_error(function, "model", rule, model.name, way_out) from error
    warn_range(function, model, images)
    return images


def _read_each(function: str, images: Any) -> Any:
    """Return a list or dictionary of arrays, each with a row for each image, or raise."""
    parts = dict(images if isinstance(images, dict) else enumerate(images))
    read = {key: as_numbers(function, f"images[{key!r}]", part, "an array") for key, part in parts.items()}
    if len(set(map(len, read.values()))) != 1 or not all(part.size for part in read.values()):
        rule = "a list or dictionary with an array for each input of the model, all of one length and not empty"
        raise input_error(function, "images", rule, [part.shape for part in read.values()])
    return read if isinstance(images, dict) else list(read.values())


def run(model: keras.Model, images: Any) -> Any:
    """Return the model's answer in inference."""

    def tensor(part: Any) -> Any:
        part = np.ascontiguousarray(part) if isinstance(part, np.ndarray) else part  # for PyTorch, where mirrored
        return ops.convert_to_tensor(part, "float32")

    with told():
        return model(tree.map_structure(tensor, images), training=False)


# Its parts


def flat_layers(layer: keras.Layer) -> list[keras.Layer]:
    """Return a layer and those inside it, each once: the layers of a model, and those that a layer holds."""
    found: dict[int, keras.Layer] = {}

    def collect(inner: Any) -> None:
        if isinstance(inner, dict | list | tuple):
            for part in inner.values() if isinstance(inner, dict) else inner:
                collect(part)
        elif isinstance(inner, keras.Layer) and id(inner) not in found:
            found[id(inner)] = inner
            held = [] if type(inner) is keras.Sequential else vars(inner).values()  # it holds a second model
            collect([getattr(inner, "layers", None), *held])

    collect(layer)
    return list(found.values())


def seeds_of(layer: keras.Layer) -> list[keras.Variable]:
    """Return the states of what draws random numbers in a layer, or inside it."""
    return [variable for variable in layer.variables if variable.path.endswith("seed_generator_state")]


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


def path_of(function: str, argument: str, name: str, paths: Iterable[str], offered: Iterable[str] = ()) -> str:
    """Return the path of the layer that a name or path means; raise where it is none or several.

    The error names those of `offered`, by default `paths`, that are inside a nested model of that name or similar.
    """
    paths = list(dict.fromkeys(paths))
    meant = [path for path in paths if path == name] or [path for path in paths if path.endswith(f"/{name}")]
    if len(meant) == 1:
        return meant[0]
    rule, way_out = "the name of one layer, not of several", f"Give the path: {listed(meant)}."
    if not meant:
        offered = list(dict.fromkeys(offered)) or paths
        short = {path.split("/")[-1].lower(): path for path in offered}
        close = difflib.get_close_matches(name.split("/")[-1].lower(), short)
        fit = [path for path in offered if name in path.split("/")] or [short[match] for match in close] or offered
        rule, way_out = "the name or path of a layer of the model", f"Fit layers: {listed(fit)}."
    raise input_error(function, argument, rule, name, way_out)


def listed(paths: list[str]) -> str:
    """Return the last paths in quotation marks, for an error."""
    return ", ".join(repr(path) for path in paths[-8:]) or "none"


def find_backbone(function: str, model: keras.Model, backbone: str | keras.Model | None = None) -> keras.Model:
    """Return the part of a model that is its backbone, or raise.

    It is the largest model among the layers that makes maps and has weights after it; or what is named: a layer
    that is a model, or the last layer of a backbone whose layers stand one by one in the model, as those of
    `keras.Model(base.input, head(base.output))` do. `base` itself names either.
    """
    if backbone is not None:
        return _named_backbone(function, model, backbone)
    last = max((place for place, layer in enumerate(model.layers) if layer.weights), default=0)
    # A `Sequential` of random flips has no weights, and a head that is a model none after it, or no maps in it.
    nested = [layer for layer in model.layers if isinstance(layer, keras.Model) and layer.weights]
    fit = [layer for layer in nested if layer is not model.layers[last]] or nested
    with_maps = [layer for layer in fit if not hasattr(layer, "inputs") or any(map(_writes_maps, layer.layers))]
    if fit:
        return max(with_maps or fit, key=lambda layer: layer.count_params())
    rule = "a model with the backbone as one of its layers, as `TransferModel` and `base(x)` make them"
    maps = [layer.name for layer in model.layers[:last] if _writes_maps(layer)]
    way_out = f"Name the last layer of the backbone: `backbone={maps[-1]!r}`." if maps else ""
    raise input_error(function, "model", rule, f"{model.name}, without a model as layer", way_out)


def _writes_maps(layer: keras.Layer) -> bool:
    """Tell whether a layer of a graph writes maps and is no pooling or dropout, which belong to a head."""
    try:
        is_map = len(layer.output.shape) == 4
    except AttributeError:  # it is in no graph, is called several times, or has several outputs
        return False
    return is_map and not any(word in type(layer).__name__ for word in ("Pooling", "Dropout", "InputLayer"))


def _named_backbone(function: str, model: keras.Model, backbone: Any) -> keras.Model:
    rule = "the name of a layer of the model, or the model that is its backbone"
    if isinstance(backbone, keras.Model):
        own = {id(layer) for layer in backbone.layers if layer.variables}
        if any(layer is backbone for layer in model.layers) or (own and own <= set(map(id, model.layers))):
            return backbone
        raise input_error(function, "backbone", rule, backbone.name, f"It is no part of {model.name}.")
    if not isinstance(backbone, str):
        raise input_error(function, "backbone", rule, backbone, error=TypeError)
    named = next((layer for layer in model.layers if layer.name == backbone), None)
    if named is None:
        nested = [layer.name for layer in model.layers if isinstance(layer, keras.Model)]
        names = nested or [layer.name for layer in model.layers if _writes_maps(layer)]
        raise input_error(function, "backbone", rule, backbone, f"Such are: {listed(names)}.")
    if isinstance(named, keras.Model):
        return named
    check_linked(function, model)
    try:
        return keras.Model(model.inputs, named.output, name=f"{model.name}_to_{backbone}")
    except (AttributeError, ValueError) as error:
        raise input_error(function, "backbone", "a layer that is called once", backbone) from error


# Looking inside


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


@contextmanager
def listening(parts: list[Part], heard: Callable[[Part, Any], Any]) -> Iterator[None]:
    """Call `heard(part, output)` whenever a part has written something, and take what it returns in its place."""

    def shadow(part: Part) -> Callable[..., Any]:
        usual = part.operation.call
        return lambda *args, **kwargs: heard(part, usual(*args, **kwargs))

    with ExitStack() as stack:
        for part in parts:
            stack.enter_context(replaced(part.operation, "call", shadow(part)))
        yield


def is_float(output: Any) -> bool:
    """Tell whether something is one tensor of floats."""
    return hasattr(output, "shape") and "float" in keras.backend.standardize_dtype(output.dtype)


def record(
    model: keras.Model, images: Any, pick: Callable[[Any], Any] = lambda answer: answer
) -> tuple[list[Call], Any]:
    """Return the calls of the model's parts in their order, up to the one that wrote what is picked, and that."""
    calls: list[Call] = []

    def note(part: Part, output: Any) -> Any:
        calls.append(Call(part, tuple(output.shape) if is_float(output) else (), output))
        return output

    with listening(parts_of(model), note):
        answer = pick(run(model, images))
    ends = [place for place, call in enumerate(calls, 1) if call.output is answer]
    if not ends and is_float(answer):  # what no part wrote, but the `call` of a subclassed model
        calls.append(Call(Part("", None), tuple(answer.shape), answer))
    return calls[: ends[-1]] if ends else calls, answer


# What squashes its end


def squashing(function: Callable[[Any], Any], units: int = 3) -> str:
    """Return "softmax", "log_softmax", "sigmoid", "linear" or "": what a function makes of rows of numbers.

    Example:
        >>> squashing(keras.activations.softmax), squashing(lambda x: 1 / (1 + ops.exp(-x)))
        ('softmax', 'sigmoid')
    """
    logits = np.random.default_rng(0).normal(0, 2, (4, units)).astype("float32")
    powers = np.exp(logits)
    shares = powers / powers.sum(axis=1, keepdims=True)
    known = {"softmax": shares, "log_softmax": np.log(shares), "sigmoid": powers / (1 + powers), "linear": logits}
    try:
        found = ops.convert_to_numpy(function(ops.convert_to_tensor(logits))).astype("float32")
    except Exception:  # what takes no rows of numbers squashes none
        return ""
    for name, values in known.items():
        if found.shape == values.shape and np.allclose(found, values, 1e-2, 5e-3):
            return name
    return ""


def ending(calls: list[Call]) -> tuple[str, Any]:
    """Return what squashes the last numbers of a model ("softmax", "log_softmax", "sigmoid" or ""), and where."""
    for (_, operation), shape, _ in reversed(calls):
        activation = getattr(operation, "activation", None)
        weights = getattr(operation, "weights", ())
        if callable(activation):
            name = squashing(activation, shape[-1] if shape else 3)
        else:
            name = "" if weights else squashing(operation, shape[-1] if shape else 3)
        if name in ("softmax", "log_softmax", "sigmoid"):
            return name, operation
        if weights or name != "linear":
            break
    return "", None


def ending_of(model: keras.Model) -> tuple[str, Any]:
    """Return what `ending` does for a model whose layers are linked in a graph, without calling all of it."""
    units = model.output_shape[-1]
    return ending([Call(part, (1, units)) for part in parts_of(model)])


@contextmanager
def without_squashing(calls: list[Call]) -> Iterator[str]:
    """Switch a softmax or sigmoid at the end of the model off, and give its name, or "" where there is none."""
    name, operation = ending(calls)
    if not name:
        yield ""
    elif callable(getattr(operation, "activation", None)):
        with replaced(operation, "activation", keras.activations.linear):
            yield name
    else:
        with replaced(operation, "call", lambda inputs, *args, **kwargs: inputs):
            yield name
