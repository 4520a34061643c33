"""What one layer does: its multiply-accumulates, and how it moves the receptive field.

Only convolutions and matrix products count as multiply-accumulates (MACs). A layer or operation that no table
below names is unknown; it is never taken to be free.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kerascv_course.architecture import fields
from kerascv_course.architecture.fields import Field, Window


@dataclass(frozen=True)
class Tensor:
    """What is known about a tensor of the graph: shape (batch axis first), dtype, receptive field, depth."""

    shape: tuple[int, ...]
    dtype: str
    field: Field
    depth: int = 0


@dataclass(frozen=True)
class Call:
    """One call of a layer or an operation.

    Attributes:
        config: The public configuration of the layer.
        args: Positional arguments with a `Tensor` for each tensor of the graph.
        inputs: All tensors among the arguments.
        output: Shape of the (first) output.
    """

    config: dict[str, Any]
    args: Sequence[Any]
    inputs: Sequence[Tensor]
    output: tuple[int, ...]

    @property
    def x(self) -> Tensor:
        """The first input."""
        return self.inputs[0]

    @property
    def channel_axis(self) -> int:
        """The axis of the input that holds the channels."""
        return 1 if self.config.get("data_format") == "channels_first" else len(self.x.shape) - 1

    @property
    def channels(self) -> int:
        """Channels of the input."""
        return self.x.shape[self.channel_axis]

    @property
    def image_axes(self) -> list[int]:
        """The axes of the input other than batch and channels."""
        return [axis for axis in range(1, len(self.x.shape)) if axis != self.channel_axis]

    def per_axis(self, key: str) -> list[Any]:
        """Return a setting once per image axis, whether the layer holds one number or a tuple."""
        value = self.config[key]
        return [value] * len(self.image_axes) if isinstance(value, int) else list(value)

    def sizes(self) -> list[tuple[int, int, int]]:
        """Return (axis, input size, output size) for each image axis."""
        return [(axis, self.x.shape[axis], self.output[axis]) for axis in self.image_axes]


Effect = tuple[int, Field]
"""MACs for one image, and the field of the outputs."""


def _windows(call: Call, kernel: str, dilation: str | None, make: Callable[..., Window]) -> dict[int, Window]:
    dilations = call.per_axis(dilation) if dilation else [1] * len(call.image_axes)
    settings = zip(call.sizes(), call.per_axis(kernel), call.per_axis("strides"), dilations, strict=True)
    padding = call.config["padding"]
    return {axis: make(n_in, n_out, k, s, d, padding) for (axis, n_in, n_out), k, s, d in settings}


def _convolved(call: Call, make: Callable[..., Window] = fields.conv_window) -> Field:
    mixed = fields.contract(call.x.field, [call.channel_axis])
    return fields.slide(mixed, _windows(call, "kernel_size", "dilation_rate", make))


def _convolution(call: Call) -> Effect:
    per_value = math.prod(call.per_axis("kernel_size")) * (call.channels // call.config["groups"])
    return per_value * math.prod(call.output[1:]), _convolved(call)


def _depthwise(call: Call) -> Effect:
    field = fields.slide(call.x.field, _windows(call, "kernel_size", "dilation_rate", fields.conv_window))
    return math.prod(call.per_axis("kernel_size")) * math.prod(call.output[1:]), field


def _separable(call: Call) -> Effect:
    middle = call.channels * call.config["depth_multiplier"]
    per_position = middle * (math.prod(call.per_axis("kernel_size")) + call.config["filters"])
    return per_position * math.prod(n_out for _, _, n_out in call.sizes()), _convolved(call)


def _transposed(call: Call) -> Effect:
    per_position = math.prod(call.per_axis("kernel_size")) * call.config["filters"]
    return per_position * math.prod(call.x.shape[1:]), _convolved(call, fields.transposed_window)


def _dense(call: Call) -> Effect:
    last = len(call.x.shape) - 1
    return call.x.shape[last] * math.prod(call.output[1:]), fields.contract(call.x.field, [last])


def _matmul(call: Call) -> Effect:
    left, right = (*call.args, None, None)[:2]
    if isinstance(left, Tensor):
        inner, field = left.shape[-1], fields.contract(left.field, [len(left.shape) - 1])
    else:
        axis = max(len(right.shape) - 2, 0)
        inner, field = right.shape[axis], fields.contract(right.field, [axis])
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        field = None  # attention: what a value sees depends on both factors
    return inner * math.prod(call.output[1:]), field


def _pooling(call: Call) -> Effect:
    return 0, fields.slide(call.x.field, _windows(call, "pool_size", None, fields.conv_window))


def _global_pooling(call: Call) -> Effect:
    return 0, fields.contract(call.x.field, call.image_axes, keep=call.config["keepdims"])


def _reduction(call: Call) -> Effect:
    axes, rank = call.config["axis"], len(call.x.shape)
    axes = range(rank) if axes is None else [axes] if isinstance(axes, int) else axes
    return 0, fields.contract(call.x.field, [axis % rank for axis in axes], keep=call.config["keepdims"])


def _elementwise(call: Call) -> Effect:
    shapes = [tensor.shape for tensor in call.inputs]
    return 0, fields.merge([tensor.field for tensor in call.inputs], shapes, call.output)


def _concatenation(call: Call) -> Effect:
    axis = call.config["axis"] % len(call.output)
    joined = [fields.contract(tensor.field, [axis]) for tensor in call.inputs]
    # Sizes along the joined axis differ by design: only the other axes have to agree.
    return 0, fields.merge(joined, [call.output] * len(joined), call.output)


def _reshaped(call: Call) -> Effect:
    return 0, fields.reshape(call.x.field, call.x.shape, call.output)


def _permuted(call: Call) -> Effect:
    order = (0, *call.config["dims"]) if "dims" in call.config else call.config["axes"]
    order = list(order or reversed(range(len(call.x.shape))))
    return 0, fields.move_axes(call.x.field, order.index)


def _padded(call: Call) -> Effect:
    return _shifted(call, call.config["padding"], -1)


def _cropped(call: Call) -> Effect:
    return _shifted(call, call.config["cropping"], 1)


def _shifted(call: Call, amounts: Any, sign: int) -> Effect:
    first = amounts[0]
    starts = [first] if isinstance(first, int) else [pair[0] for pair in amounts]
    windows = {
        axis: fields.slice_window(sign * start, 1, n_out)
        for (axis, _, n_out), start in zip(call.sizes(), starts, strict=True)
    }
    return 0, fields.slide(call.x.field, windows)


def _padded_all_axes(call: Call) -> Effect:
    width = call.config["pad_width"]
    windows = {
        axis: fields.slice_window(-int(width[axis][0]), 1, size)
        for axis, size in enumerate(call.output)
        if axis > 0
    }
    return 0, fields.slide(call.x.field, windows)


def _center_cropped(call: Call) -> Effect:
    if any(n_out > n_in for _, n_in, n_out in call.sizes()):
        return 0, None  # an image that is too small is enlarged instead
    windows = {axis: fields.slice_window((n_in - n_out) // 2, 1, n_out) for axis, n_in, n_out in call.sizes()}
    return 0, fields.slide(call.x.field, windows)


def _resized(call: Call) -> Effect:
    interpolation = call.config.get("interpolation", "nearest")
    special = ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias")
    if interpolation not in ("nearest", "bilinear") or any(call.config.get(option) for option in special):
        return 0, None
    windows = {axis: fields.resize_window(n_in, n_out, interpolation) for axis, n_in, n_out in call.sizes()}
    return 0, fields.slide(call.x.field, windows)


def _sliced(call: Call) -> Effect:
    keys = call.args[1] if isinstance(call.args[1], list | tuple) else [call.args[1]]
    if not all(isinstance(key, slice) for key in keys):
        return 0, None  # an index, a new axis, an ellipsis: the axes no longer correspond
    windows = {}
    for axis, key in enumerate(keys[1:], start=1):
        start, _, step = key.indices(call.x.shape[axis])
        windows[axis] = fields.slice_window(start, step, call.output[axis])
    return 0, fields.slide(call.x.field, windows)


def _split(call: Call) -> Effect:
    return 0, fields.contract(call.x.field, [call.config["axis"] % len(call.x.shape)])


def _pointwise(call: Call) -> Effect:
    return 0, call.x.field  # the statistics of a normalisation are not counted as seen


def _passed(call: Call) -> Effect:
    return 0, call.x.field


def _table(*entries: tuple[Callable[[Call], Effect], str]) -> dict[str, Callable[[Call], Effect]]:
    return {name: effect for effect, names in entries for name in names.split()}


LAYERS = _table(
    (_convolution, "Conv1D Conv2D Conv3D"),
    (_depthwise, "DepthwiseConv1D DepthwiseConv2D"),
    (_separable, "SeparableConv1D SeparableConv2D"),
    (_transposed, "Conv1DTranspose Conv2DTranspose Conv3DTranspose"),
    (_dense, "Dense"),
    (_pooling, "MaxPooling1D MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D"),
    (_global_pooling, "GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D"),
    (_global_pooling, "GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D"),
    (_elementwise, "Add Average Maximum Minimum Multiply Subtract"),
    (_concatenation, "Concatenate"),
    (_padded, "ZeroPadding1D ZeroPadding2D ZeroPadding3D"),
    (_cropped, "Cropping1D Cropping2D Cropping3D"),
    (_center_cropped, "CenterCrop"),
    (_resized, "UpSampling1D UpSampling2D UpSampling3D Resizing"),
    (_reshaped, "Flatten Reshape"),
    (_permuted, "Permute"),
    (_pointwise, "BatchNormalization GroupNormalization LayerNormalization RMSNormalization UnitNormalization"),
    (_pointwise, "kerascv_course>LocalResponseNormalization"),  # the name under which it is saved
    (_pointwise, "Normalization Rescaling Activation ELU LeakyReLU PReLU ReLU Softmax"),
    (_passed, "InputLayer Identity ActivityRegularization Dropout AlphaDropout GaussianDropout GaussianNoise"),
    (_passed, "SpatialDropout1D SpatialDropout2D SpatialDropout3D AugMix CutMix MixUp RandAugment Solarization"),
    (_passed, "RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomElasticTransform"),
    (_passed, "RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert"),
    (_passed, "RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness"),
    (_passed, "RandomShear RandomTranslation RandomZoom"),
)
"""Keras layers by the name of their class."""

OPERATIONS = _table(
    (_matmul, "Matmul"),
    (_elementwise, "Absolute Abs Add Subtract Multiply Divide TrueDivide FloorDivide Mod Power Maximum Minimum"),
    (_elementwise, "Negative Reciprocal Square Sqrt Rsqrt Exp Expm1 Log Log1p Sign Clip Round Floor Ceil"),
    (_elementwise, "Sin Cos Tanh Where Equal NotEqual Greater GreaterEqual Less LessEqual LogicalAnd"),
    (_elementwise, "LogicalOr LogicalNot Cast Relu Relu6 LeakyRelu Elu Selu Celu Gelu Silu Sigmoid Softplus"),
    (_elementwise, "Softsign LogSigmoid HardSigmoid HardSilu HardTanh Softmax LogSoftmax"),
    (_reduction, "Mean Sum Max Min Amax Amin Prod Var Std Any All"),
    (_concatenation, "Concatenate"),
    (_padded_all_axes, "Pad"),
    (_reshaped, "Reshape ExpandDims Squeeze"),
    (_permuted, "Transpose"),
    (_sliced, "GetItem"),
    (_split, "Split"),
    (_passed, "StopGradient"),
)
"""Operations of `keras.ops` by the name of their class."""

PASSIVE = frozenset({_passed, _reshaped, _permuted, _sliced, _split})
"""Effects that write no values at inference: the layer passes on its input, or looks at it in another shape."""
