"""Walks the graph of a Keras model, through its public configuration, and measures each call of each layer."""

import math
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from kerascv_course._models import check_linked
from kerascv_course._validation import input_error
from kerascv_course.architecture import fields
from kerascv_course.architecture.costs import LAYERS, OPERATIONS, PASSIVE, Call, Tensor
from kerascv_course.architecture.fields import Field, Reach
from kerascv_course.architecture.table import LayerRow, LayerTable


def layer_table(model: keras.Model) -> LayerTable:
    """Measure a built model layer by layer: parameters, MACs, activations, memory and receptive field.

    The numbers come from the graph of the model: no image is computed, and the model stays as it was. Nested
    models are opened (`"base/conv1"`), and a layer that is called several times has one row per call, with its
    parameters in the first. Only convolutions and matrix products count as MACs.

    Args:
        model: Any functional or `Sequential` Keras model with fixed image sizes, whether or not it is compiled.

    Returns:
        The rows with their totals; it shows itself as a table in a notebook and with `print`.

    Raises:
        TypeError: If `model` is no Keras model, or a subclassed one, whose layers are not linked in a graph.
        ValueError: If the model is not built, its image size is open, or a layer has no configuration.

    Warns:
        UserWarning: If the MACs of a layer are not known: a custom layer, a subclass with its own `call`, or a
            type that is not in the list of known layers. Its row has `macs=None`, and the totals leave it out.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((32, 32, 1)), keras.layers.Conv2D(6, 5, name="conv1")])
        >>> row = layer_table(model).rows[0]
        >>> row.name, row.params, row.macs, row.activation_values, row.receptive_field_px
        ('conv1', 156, 117600, 4704, 5)

    Source: the counting rules are those of Boracchi and Di Stefano.
    """
    if isinstance(model, keras.Sequential | keras.Function) and not _known_class(model):
        way_out = "Its `call` is its own: move what it does into layers."
        raise _unfit(model, "a functional or Sequential model", way_out, TypeError)
    check_linked("layer_table", model)
    if any(None in tensor.shape[1:] for tensor in model.inputs):
        fixed = "`inputs = keras.Input((224, 224, 3)); layer_table(keras.Model(inputs, model(inputs)))`"
        way_out = f"Its input leaves sizes open, and without them nothing can be counted. Fix them: {fixed}."
        raise _unfit(model, "a model with fixed image sizes", way_out)
    channels_first = (_data_format(model) or keras.config.image_data_format()) == "channels_first"
    inputs = []
    for tensor in model.inputs:
        rank = len(tensor.shape)
        axes = range(2, rank) if channels_first else range(1, rank - 1)
        field = tuple(Reach(1, 1, tensor.shape[axis], axis) for axis in axes)  # each pixel sees itself
        inputs.append(Tensor(tuple(tensor.shape), tensor.dtype, field))
    walk = _Walk(model)
    walk.open(model, inputs, "")
    table = LayerTable(model.name, tuple(walk.rows))
    if table.unknown_layers:
        names = ", ".join(f"{name!r}" for name in table.unknown_layers)
        unknown = f"`layer_table` does not know the MACs of {names}"
        warnings.warn(f"{unknown}: the totals of {model.name!r} are lower bounds.", stacklevel=2)
    return table


def _unfit(model: Any, rule: str, way_out: str, error: type[Exception] = ValueError) -> Exception:
    return input_error("layer_table", "model", rule, model, way_out, error)


def _known_class(operation: Any) -> str:
    """Return the Keras class that an object is of, or "" where it computes something of its own.

    A layer that is not Keras' is known by the name under which it is registered for saving.
    """
    kind: Any = type(operation)
    if (registered := keras.saving.get_registered_name(kind)) in LAYERS:
        return registered
    own = next((cls for cls in kind.__mro__ if cls.__module__.split(".")[0] == "keras"), None)
    return own.__name__ if own is not None and kind.call is own.call else ""


def _data_format(model: keras.Model) -> str | None:
    """Return the data format of the first layer that has one."""
    for layer in model.layers:
        found = _data_format(layer) if isinstance(layer, keras.Model) else getattr(layer, "data_format", None)
        if found:
            return found
    return None


class _Walk:
    """The rows collected so far, and what must not be counted twice."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.rows: list[LayerRow] = []
        self.trainable = {id(weight) for weight in model.trainable_weights}
        self.counted: set[int] = set()
        self.calls: dict[int, int] = {}

    def open(self, model: keras.Model, inputs: Sequence[Tensor], prefix: str) -> list[Tensor]:
        """Measure all layers of a model for the given inputs, and return its outputs."""
        if isinstance(model, keras.Sequential):
            tensors = list(inputs)
            for layer in model.layers:
                tensors = self.visit(layer, tensors, {}, prefix)
            return tensors
        config = self.config_of(model)
        operations = {operation.name: operation for operation in model.operations}
        tensors_at: dict[History, Tensor] = {}
        for history, tensor in zip(_histories(config["input_layers"], operations), inputs, strict=True):
            tensors_at[history] = tensor
            if not prefix:  # inside a nested model the input is what the layer before has written
                self.visit(operations[history[0]], [tensor], {}, prefix)
        waiting = [
            (layer["name"], *call) for layer in config["layers"] for call in enumerate(layer["inbound_nodes"])
        ]
        while waiting:
            later = []
            for name, index, node in waiting:
                if any(history not in tensors_at for history in _references(node)):
                    later.append((name, index, node))  # a second call, listed with the first
                    continue
                args, kwargs = _bind(node["args"], tensors_at), _bind(node["kwargs"], tensors_at)
                results = self.visit(operations[name], args, kwargs, prefix)
                tensors_at.update({(name, index, place): tensor for place, tensor in enumerate(results)})
            if len(later) == len(waiting):
                raise _unfit(self.model, "a model with a complete graph", f"{later[0][0]!r} has a loose end.")
            waiting = later
        return [tensors_at[history] for history in _histories(config["output_layers"], operations)]

    def config_of(self, model: keras.Model) -> dict[str, Any]:
        """Return the public configuration of a functional model, which holds its graph."""
        try:
            config = model.get_config()
            if "layers" not in config:
                # A subclass with a constructor of its own hides its graph: look at the same tensors from outside.
                config = keras.Model(model.inputs, model.outputs, name=model.name).get_config()
        except NotImplementedError as error:
            way_out = f"Saving it needs that too. Keras says: {error}"
            raise _unfit(self.model, "a model whose layers all have a `get_config`", way_out) from error
        return config

    def visit(self, operation: Any, args: Sequence[Any], kwargs: dict[str, Any], prefix: str) -> list[Tensor]:
        """Measure one call, and return its outputs."""
        inputs = [leaf for leaf in keras.tree.flatten([args, kwargs]) if isinstance(leaf, Tensor)]
        if isinstance(operation, keras.Sequential | keras.Function) and _known_class(operation):
            return self.open(operation, inputs, f"{prefix}{operation.name}/")
        outputs = inputs if isinstance(operation, keras.layers.InputLayer) else _infer(operation, args, kwargs)
        name = prefix + operation.name
        if any(None in output.shape[1:] for output in outputs):
            way_out = f"{name!r} has the output shape {outputs[0].shape}."
            raise _unfit(self.model, "a model with fixed sizes", way_out)
        known = LAYERS if isinstance(operation, keras.Layer) else OPERATIONS
        effect = known.get(_known_class(operation))
        macs: int | None = None
        field: Field = None
        if effect is not None:
            macs, field = effect(Call(operation.get_config(), args, inputs, outputs[0].shape))
        depth = max((tensor.depth for tensor in inputs), default=0)
        depth += isinstance(operation, keras.Layer) and bool(macs)
        results = [Tensor(tuple(output.shape), output.dtype, field, depth) for output in outputs]
        written = [] if effect in PASSIVE else [(math.prod(one.shape[1:]), one.dtype) for one in results]
        params, trainable_params = self.count_weights(operation)
        self.calls[id(operation)] = self.calls.get(id(operation), 0) + 1
        row = LayerRow(
            name=name,
            layer_type=("" if isinstance(operation, keras.Layer) else "ops.") + type(operation).__name__,
            output_shape=results[0].shape if len(results) == 1 else tuple(one.shape for one in results),
            params=params,
            trainable_params=trainable_params,
            macs=macs,
            flops=None if macs is None else 2 * macs,
            activation_values=sum(count for count, _ in written),
            activation_bytes=sum(count * _bytes_per_value(dtype) for count, dtype in written),
            receptive_field_px=fields.size_px(field),
            call=self.calls[id(operation)],
            depth=depth,
        )
        self.rows.append(row)
        return results

    def count_weights(self, operation: Any) -> tuple[int, int]:
        """Return the size of the weights that no earlier row has counted, and of those that are trained."""
        weights = {id(weight): math.prod(weight.shape) for weight in getattr(operation, "weights", ())}
        fresh = {key: size for key, size in weights.items() if key not in self.counted}
        self.counted.update(fresh)
        return sum(fresh.values()), sum(size for key, size in fresh.items() if key in self.trainable)


History = tuple[str, int, int]
"""Where a tensor comes from: name of the layer, index of its call, index of the output."""


def _histories(struct: Any, operations: dict[str, Any]) -> list[History]:
    """Return the origins of a model's inputs or outputs from the configuration."""
    flat = keras.tree.flatten(struct)
    origins = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
    # Here, and only here, Keras numbers the calls of a nested functional model from 1.
    return [(name, index - isinstance(operations[name], keras.Function), place) for name, index, place in origins]


def _references(value: Any) -> Iterator[History]:
    """Yield the origin of each tensor in the serialised arguments of a call."""
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        name, index, place = value["config"]["keras_history"]
        yield name, index, place
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _references(item)


def _bind(value: Any, tensors: dict[History, Tensor]) -> Any:
    """Return the arguments of a call with our records in the place of serialised tensors."""
    if isinstance(value, list | tuple):
        return type(value)(_bind(item, tensors) for item in value)
    if not isinstance(value, dict):
        return value
    kind = str(value.get("class_name", ""))
    if kind == "__keras_tensor__":
        return tensors[next(_references(value))]
    if kind.startswith("__"):  # slices and constant arrays
        return keras.saving.deserialize_keras_object(value)
    return {key: _bind(item, tensors) for key, item in value.items()}


def _infer(operation: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> list[keras.KerasTensor]:
    """Return the outputs of a call by symbolic shape inference."""
    args, kwargs = keras.tree.map_structure(
        lambda leaf: keras.KerasTensor(leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else leaf,
        (tuple(args), kwargs),
    )
    return keras.tree.flatten(operation.compute_output_spec(*args, **kwargs))


def _bytes_per_value(dtype: str) -> int:
    bits = re.search(r"\d+", dtype)  # float32, bfloat16, float8_e4m3fn; bool has no number
    return max(int(bits.group()) // 8, 1) if bits else 1
