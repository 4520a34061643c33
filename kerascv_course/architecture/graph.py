"""Walks the graph of a Keras model, as Keras does where it infers shapes, and measures each call of each layer."""

import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import keras

from kerascv_course._models import check_linked, flat_layers, replaced
from kerascv_course._validation import input_error
from kerascv_course.architecture import fields
from kerascv_course.architecture.calls import Call, Tensor, UnknownError
from kerascv_course.architecture.costs import PASSIVE, effect_of, known_class
from kerascv_course.architecture.fields import Reach
from kerascv_course.architecture.table import LayerRow, LayerTable


def layer_table(model: keras.Model, *, input_shape: Sequence[Any] | None = None) -> LayerTable:
    """Measure a built model layer by layer: parameters, MACs, activations, memory and receptive field.

    The numbers come from the graph of the model: no image is computed, and the model stays as it was. Nested
    models are opened (`"base/conv1"`), `TimeDistributed` too, and a layer that is called several times has one row
    per call, with its parameters in the first. Only convolutions and matrix products count as MACs: those of a
    forward pass as Keras' layers describe it, whatever tricks a backend knows.

    Args:
        model: Any functional or `Sequential` Keras model, whether or not it is compiled.
        input_shape: Shape of an image without the batch axis, (height, width, channels), for the inputs that leave
            sizes open.

    Returns:
        The rows with their totals; it shows itself as a table in a notebook and with `print`.

    Raises:
        TypeError: If `model` is no Keras model, or a subclassed one, whose layers are not linked in a graph.
        ValueError: If the model is not built, a size is open, or `input_shape` does not fit.

    Warns:
        UserWarning: If the MACs of a layer are not known: a custom layer, a subclass with its own `call`, or a
            type that is not in the list of known layers. Its row has `macs=None` and says why, and the totals
            leave it out.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((32, 32, 1)), keras.layers.Conv2D(6, 5, name="conv1")])
        >>> row = layer_table(model).rows[0]
        >>> row.name, row.params, row.macs, row.activation_values, row.receptive_field_px
        ('conv1', 156, 117600, 4704, 5)

    Source: the counting rules are those of Boracchi and Di Stefano.
    """
    if isinstance(model, keras.Sequential | keras.Function) and not known_class(model):
        way_out = "Its `call` is its own: move what it does into layers."
        raise input_error("layer_table", "model", "a functional or Sequential model", model, way_out, TypeError)
    check_linked("layer_table", model)
    formats = [found for layer in flat_layers(model) if (found := getattr(layer, "data_format", None))]
    channels_first = [*formats, keras.config.image_data_format()][0] == "channels_first"
    walk, inputs = _Walk(model), []
    layers = {id(layer.output): layer for layer in model.layers if isinstance(layer, keras.layers.InputLayer)}
    for tensor, shape in zip(model.inputs, input_shapes("layer_table", model, input_shape), strict=True):
        axes = range(2, 1 + len(shape)) if channels_first else range(1, len(shape))
        field = tuple(Reach(1, 1, shape[axis - 1], axis) for axis in axes)  # each pixel sees itself
        # A batch of another size than the model was built for: of that Keras knows the outputs without its layers.
        given = Tensor((1 if tensor.shape[0] != 1 else 2, *shape), tensor.dtype, field)
        inputs += walk.visit(layers[id(tensor)], [given], {}, "", (-1,)) if id(tensor) in layers else [given]
    walk.open(model, inputs)
    table = LayerTable(model.name, tuple(walk.in_order()))
    if table.unknown_layers:
        names = ", ".join(f"{name!r} ({why})" for name, why in table.reasons.items())
        unknown = f"`layer_table` does not know the MACs of {names}"
        warnings.warn(f"{unknown}: the totals of {model.name!r} are lower bounds.", stacklevel=2)
    return table


def input_shapes(function: str, model: keras.Model, given: Any) -> list[tuple[int, ...]]:
    """Return the shape of each input without the batch axis, with what is given where sizes are open; or raise."""
    shapes = []
    for tensor in model.inputs:
        own, named = tuple(tensor.shape[1:]), tuple(given) if isinstance(given, list | tuple) else ()
        shape = named if None in own or (given is not None and len(model.inputs) == 1) else own
        sizes = zip_longest(shape, own, fillvalue=0)
        if not all(isinstance(size, int) and size > 0 and fixed in (None, size) for size, fixed in sizes):
            raise input_error(function, "input_shape", f"sizes for the input {own}, as (224, 224, 3)", given)
        shapes.append(shape)
    return shapes


class _Walk:
    """The rows collected so far, and what must not be counted twice."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.rows: list[LayerRow] = []
        self.of: list[tuple[tuple[int, ...], Any]] = []  # their places in the models and in time, and operations
        self.trainable = {id(weight) for weight in model.trainable_weights}
        self.counted: set[int] = set()
        self.calls: dict[int, int] = {}
        self.steps: tuple[int, ...] = ()  # of the sequences whose steps are looked at one by one

    def open(
        self, model: keras.Model, inputs: list[Tensor], prefix: str = "", places: tuple[int, ...] = ()
    ) -> list[Tensor]:
        """Measure all layers of a model for the given inputs, and return its outputs.

        Keras asks each operation of a graph for its outputs by `compute_output_spec`: here `visit` gives them.
        """

        def shadow(operation: Any, place: int) -> Callable[..., list[Tensor]]:
            # Of several calls at one height of the graph Keras makes the last one first, most often: where two
            # branches share a layer, its calls may be numbered the other way round than they were written.
            return lambda *args, **kwargs: self.visit(
                operation, args, kwargs, prefix, (*places, place, -len(self.rows))
            )

        with ExitStack() as stack:
            for place, operation in enumerate(getattr(model, "operations", None) or model.layers):
                stack.enter_context(replaced(operation, "compute_output_spec", shadow(operation, place)))
            return keras.tree.flatten(type(model).compute_output_spec(model, inputs))

    def in_order(self) -> Iterator[LayerRow]:
        """Yield the rows in the order of the layers of the model, each after those that it reads."""
        waiting = sorted(range(len(self.rows)), key=lambda row: self.of[row][0])
        order: dict[int, int] = {}
        while waiting:
            place = next(place for place in waiting if order.keys() >= set(self.rows[place].reads))
            waiting.remove(place)
            order[place] = len(order)
            row, operation = self.rows[place], self.of[place][1]
            params, trainable = self.count_weights(operation)
            call = self.calls[id(operation)] = self.calls.get(id(operation), 0) + 1
            reads = tuple(order[read] for read in row.reads)
            yield replace(row, params=params, trainable_params=trainable, call=call, reads=reads)

    def visit(
        self, operation: Any, args: Sequence[Any], kwargs: dict[str, Any], prefix: str, places: tuple[int, ...]
    ) -> list[Tensor]:
        """Measure one call, and return its outputs."""
        inputs = [leaf for leaf in keras.tree.flatten([args, kwargs]) if isinstance(leaf, Tensor)]
        kind, name = known_class(operation), prefix + operation.name
        if isinstance(operation, keras.Sequential | keras.Function) and kind:
            return self.open(operation, inputs, f"{name}/", places)
        if kind == "TimeDistributed":  # each step goes through its layer as an image does
            self.steps = (*self.steps, inputs[0].shape[1])
            results = self.visit(operation.layer, [inputs[0].step()], {}, f"{name}/", places)
            *before, steps = self.steps
            self.steps = tuple(before)
            return [tensor.sequence(steps) for tensor in results]
        if kind == "Pipeline":
            for layer in operation.layers:
                inputs = self.visit(layer, inputs, {}, f"{name}/", places)
            return inputs
        outputs = inputs if isinstance(operation, keras.layers.InputLayer) else _infer(operation, args, kwargs)
        if any(None in output.shape[1:] for output in outputs):
            way_out = f"{name!r} has the output shape {outputs[0].shape}."
            raise input_error("layer_table", "model", "a model with fixed sizes", self.model, way_out)
        macs: int | None = None
        effect, field, reason = None, None, ""
        try:
            effect = effect_of(operation)
            macs, field = effect(Call(operation, args, kwargs, outputs[0].shape, effect_of))
        except UnknownError as error:
            reason = str(error) if effect is None else f"of a layer in it, {error}"
        times = math.prod(self.steps)
        macs = None if macs is None else times * macs
        depth = max((tensor.depth for tensor in inputs), default=0)
        depth += isinstance(operation, keras.Layer) and bool(macs)
        place = len(self.rows)
        results = [Tensor(tuple(output.shape), output.dtype, field, depth, place) for output in outputs]
        written = [] if effect in PASSIVE else [(times * math.prod(one.shape[1:]), one.dtype) for one in results]
        shapes = tuple((self.model.inputs[0].shape[0], *self.steps, *one.shape[1:]) for one in results)
        row = LayerRow(
            name=name,
            layer_type=("" if isinstance(operation, keras.Layer) else "ops.") + type(operation).__name__,
            output_shape=shapes[0] if len(shapes) == 1 else shapes,
            params=0,
            trainable_params=0,
            macs=macs,
            flops=None if macs is None else 2 * macs,
            activation_values=sum(count for count, _ in written),
            activation_bytes=sum(count * _bytes_per_value(dtype) for count, dtype in written),
            receptive_field_px=fields.size_px(field),
            depth=depth,
            reads=tuple(dict.fromkeys(tensor.row for tensor in inputs if tensor.row is not None)),
            reason=reason,
        )
        self.rows.append(row)
        self.of.append((places, operation))
        return results

    def count_weights(self, operation: Any) -> tuple[int, int]:
        """Return the size of the weights that no earlier row has counted, and of those that are trained."""
        weights = {id(weight): math.prod(weight.shape) for weight in getattr(operation, "weights", ())}
        fresh = {key: size for key, size in weights.items() if key not in self.counted}
        self.counted.update(fresh)
        return sum(fresh.values()), sum(size for key, size in fresh.items() if key in self.trainable)


def _infer(operation: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> list[keras.KerasTensor]:
    """Return the outputs of a call by symbolic shape inference."""
    args, kwargs = keras.tree.map_structure(
        lambda leaf: keras.KerasTensor(leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else leaf,
        (tuple(args), kwargs),
    )
    outputs = keras.tree.flatten(type(operation).compute_output_spec(operation, *args, **kwargs))
    if any(None in output.shape[1:] for output in outputs):  # the layer does not know it, what it computes does
        outputs = keras.tree.flatten(keras.Operation.compute_output_spec(operation, *args, **kwargs))
    return outputs


def _bytes_per_value(dtype: str) -> int:
    bits = re.search(r"\d+", dtype)  # float32, bfloat16, float8_e4m3fn; bool has no number
    return max(int(bits.group()) // 8, 1) if bits else 1
