"""What a layer does that works on sequences, or holds other layers. Only their MACs are known, and no field."""

import math
from dataclasses import replace

from kerascv_course.architecture.arithmetic import conv_output_size
from kerascv_course.architecture.calls import Call, Effect


def attention(call: Call) -> Effect:
    """Scores of all pairs, and the values weighted with them; the layers have no projections."""
    query, value, *_ = call.given["inputs"]
    by_product = call.config.get("score_mode", "concat") == "dot"  # else of a sum
    width = value.shape[-1] + by_product * query.shape[-1]
    return math.prod(query.shape[1:-1]) * value.shape[-2] * width, None


def multi_head_attention(call: Call) -> Effect:
    """Projections of query, key and value, the two products of each head, and the output's projection."""
    config, query, value = call.config, call.given["query"], call.given["value"]
    key = call.given.get("key") or value
    heads = config["num_heads"] if "num_heads" in config else config["num_query_heads"]
    width = config["key_dim"] if "key_dim" in config else config["head_dim"]
    value_width = config.get("value_dim", width)
    axes = config.get("attention_axes") or range(1, len(query.shape) - 1)
    asks, keys = math.prod(query.shape[1:-1]), math.prod(key.shape[1:-1])
    gate = value_width * bool(config.get("use_gate"))
    macs = asks * heads * (query.shape[-1] * (width + gate) + value_width * (call.values // asks))
    shared = config.get("num_key_value_heads", heads)
    macs += keys * shared * (key.shape[-1] * width + value.shape[-1] * value_width)
    return macs + asks * math.prod(key.shape[axis] for axis in axes) * heads * (width + value_width), None


def cell(call: Call) -> Effect:
    """One step of a recurrent layer: the input and the state before, by the weights of each gate."""
    return call.layer.kernel.shape[1] * (call.x.shape[-1] + call.config["units"]), None


def convolutional_cell(call: Call) -> Effect:
    """One step of a convolutional LSTM: both are convolved, the state at the size of the output."""
    settings = zip(call.image_axes, *map(call.per_axis, ("kernel_size", "strides", "dilation_rate")), strict=True)
    filters, places = call.config["filters"], 1
    for axis, size, stride, dilation in settings:
        options = {"stride": stride, "padding": call.config["padding"], "dilation": dilation}
        places *= conv_output_size(call.x.shape[axis], size, **options)
    return places * 4 * filters * call.taps * (call.channels + filters), None


def stacked_cells(call: Call) -> Effect:
    """One step through several cells."""
    macs, x = 0, call.x
    for layer in call.layer.cells:
        macs += call.inside(layer, x)
        x = replace(x, shape=(*x.shape[:-1], layer.output_size))
    return macs, None


def recurrent(call: Call) -> Effect:
    """As many steps as the sequence has."""
    return call.x.shape[1] * call.inside(call.layer.cell, call.x.step()), None


def bidirectional(call: Call) -> Effect:
    """There and back."""
    layers = (call.layer.forward_layer, call.layer.backward_layer)
    return sum(call.inside(layer, *call.inputs) for layer in layers), None


def wrapped(call: Call) -> Effect:
    """What the layer in it does."""
    return call.effect_of(call.layer.layer)(replace(call, layer=call.layer.layer))
