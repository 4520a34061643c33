"""What a layer does that works on sequences, or holds other layers: attention, recurrent layers, wrappers."""

import math
from collections.abc import Sequence
from dataclasses import replace

from kerascv_course.architecture import fields
from kerascv_course.architecture.arithmetic import conv_output_size
from kerascv_course.architecture.calls import Call, Effect, Tensor
from kerascv_course.architecture.fields import Field

# Attention


def _attended(call: Call, query: Tensor, others: Sequence[Tensor], axes: Sequence[int]) -> Field:
    """Return the field where each place of the query looks at all places of the others along axes."""
    seen = [fields.contract(query.field, [len(query.shape) - 1])]
    seen += [fields.contract(tensor.field, [*axes, len(tensor.shape) - 1]) for tensor in others]
    return fields.merge(seen, [query.shape, *(tensor.shape for tensor in others)], call.output)


def attention(call: Call) -> Effect:
    """Scores of all pairs, and the values weighted with them; the layers have no projections."""
    query, value, *rest = call.given["inputs"]
    by_sum = call.config.get("score_mode", "concat") == "concat"  # scores of a sum, without a product
    width = value.shape[-1] + (0 if by_sum else query.shape[-1])
    macs = math.prod(query.shape[1:-1]) * value.shape[-2] * width
    return macs, _attended(call, query, [value, *rest], [len(value.shape) - 2])


def multi_head_attention(call: Call) -> Effect:
    """Projections of query, key and value, the two products of each head, and the output's projection."""
    config, query, value = call.config, call.given["query"], call.given["value"]
    key = call.given.get("key") or value
    heads: int = config["num_heads"] if "num_heads" in config else config["num_query_heads"]
    groups: int = config.get("num_key_value_heads", heads)
    width: int = config["key_dim"] if "key_dim" in config else config["head_dim"]
    value_width: int = config.get("value_dim") or width
    axes = [axis % len(query.shape) for axis in config.get("attention_axes") or range(1, len(query.shape) - 1)]
    asks, keys = math.prod(query.shape[1:-1]), math.prod(key.shape[1:-1])
    gate = value_width if config.get("use_gate") else 0
    projections = asks * heads * (query.shape[-1] * (width + gate) + value_width * (call.values // asks))
    projections += keys * groups * (key.shape[-1] * width + value.shape[-1] * value_width)
    pairs = asks * math.prod(key.shape[axis] for axis in axes)
    return projections + pairs * heads * (width + value_width), _attended(call, query, [value, key], axes)


# Layers that work step by step, or hold others


def cell(call: Call) -> Effect:
    """One step of a recurrent layer: the input and the state before, by the weights of each gate."""
    units, last = call.config["units"], len(call.x.shape) - 1
    gates = call.layer.kernel.shape[1] // units
    return gates * units * (call.x.shape[last] + units), fields.contract(call.x.field, [last])


def convolutional_cell(call: Call) -> Effect:
    """One step of a convolutional LSTM: both are convolved, the state at the size of the output."""
    filters, padding = call.config["filters"], call.config["padding"]
    settings = zip(*map(call.per_axis, ("kernel_size", "strides", "dilation_rate")), strict=True)
    places = [
        conv_output_size(call.x.shape[axis], size, stride=stride, padding=padding, dilation=dilation)
        for axis, (size, stride, dilation) in zip(call.image_axes, settings, strict=True)
    ]
    return math.prod(places) * 4 * filters * call.taps * (call.channels + filters), call.slid(mixed=True)


def stacked_cells(call: Call) -> Effect:
    """One step through several cells."""
    x, total = call.x, 0
    for layer in call.layer.cells:
        macs, field = call.inside(layer, x)
        if macs is None:
            return None, None
        total, x = total + macs, replace(x, shape=(*x.shape[:-1], layer.output_size), field=field)
    return total, x.field


def recurrent(call: Call) -> Effect:
    """As many steps as the sequence has; the last one has seen all of it."""
    one, cell = replace(call, args=[call.x.step()], kwargs={}), call.layer.cell
    macs, field = call.inside(cell, one.x)
    if macs is None:
        return None, None
    one, steps = replace(one, layer=cell), call.x.shape[1]
    if "kernel_size" in one.config:  # each step looks once more around what the step before has written
        sides = zip(one.image_axes, one.per_axis("kernel_size"), strict=True)
        field = fields.slide(field, {axis: ((steps - 1) * (side - 1), 1) for axis, side in sides})
    field = fields.contract(fields.shift(field, 1), [1], keep=call.config["return_sequences"])
    states = [fields.if_whole(tensor.field) for tensor in call.inputs[1:]]
    return steps * macs, fields.merge([field, *states], [call.output] * (1 + len(states)), call.output)


def bidirectional(call: Call) -> Effect:
    """There and back."""
    (there, field), (back, _) = (
        recurrent(replace(call, layer=layer)) for layer in (call.layer.forward_layer, call.layer.backward_layer)
    )
    return (None, None) if there is None or back is None else (there + back, field)


def wrapped(call: Call) -> Effect:
    """What the layer in it does."""
    return call.inside(call.layer.layer)
