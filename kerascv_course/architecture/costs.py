"""What one layer does: its multiply-accumulates, and how it changes the receptive field.

Only convolutions and matrix products count as multiply-accumulates (MACs). A layer or operation that no table
below names is unknown; it is never taken to be free. To teach a layer, write a function from its `Call` to both.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kerascv_course.architecture import fields
from kerascv_course.architecture.fields import Field


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

    @property
    def values(self) -> int:
        """Values that it writes for one image."""
        return math.prod(self.output[1:])

    @property
    def taps(self) -> int:
        """Positions that its kernel covers."""
        return math.prod(self.per_axis("kernel_size"))

    def per_axis(self, key: str) -> list[int]:
        """Return a setting once per image axis, whether the layer holds one number, a tuple or none (1)."""
        value = self.config.get(key, 1)
        return [value] * len(self.image_axes) if isinstance(value, int) else list(value)

    def slid(self, kernel: str = "kernel_size", *, mixed: bool = False) -> Field:
        """Return the field of its outputs where its window slides over the image; `mixed`: over all channels."""
        settings = zip(*map(self.per_axis, (kernel, "dilation_rate", "strides")), strict=True)
        windows = {
            axis: (dilation * (size - 1), stride)
            for axis, (size, dilation, stride) in zip(self.image_axes, settings, strict=True)
        }
        return fields.slide(fields.contract(self.x.field, [self.channel_axis] if mixed else []), windows)


Effect = tuple[int, Field]
"""MACs for one image, and the field of the outputs."""


def _convolution(call: Call) -> Effect:
    return call.taps * (call.channels // call.config["groups"]) * call.values, call.slid(mixed=True)


def _depthwise(call: Call) -> Effect:
    return call.taps * call.values, call.slid()


def _separable(call: Call) -> Effect:
    filters, middle = call.config["filters"], call.channels * call.config["depth_multiplier"]
    return middle * (call.taps + filters) * (call.values // filters), call.slid(mixed=True)


def _transposed(call: Call) -> Effect:
    macs = call.taps * call.config["filters"] * math.prod(call.x.shape[1:])
    strided = any(stride > 1 for stride in call.per_axis("strides"))
    return macs, fields.if_whole(call.x.field) if strided else call.slid(mixed=True)


def _dense(call: Call) -> Effect:
    last = len(call.x.shape) - 1
    return call.x.shape[last] * call.values, fields.contract(call.x.field, [last])


def _matmul(call: Call) -> Effect:
    left, right = (*call.args, None, None)[:2]
    if isinstance(left, Tensor):
        inner, field = left.shape[-1], fields.contract(left.field, [len(left.shape) - 1])
    else:
        axis = max(len(right.shape) - 2, 0)
        inner, field = right.shape[axis], fields.contract(right.field, [axis])
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        field = None  # attention: what a value sees depends on both factors
    return inner * call.values, field


def _pooling(call: Call) -> Effect:
    return 0, call.slid("pool_size")


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
    return 0, fields.move_axes(call.x.field, list(order or reversed(range(len(call.x.shape)))).index)


def _resized(call: Call) -> Effect:
    return 0, call.x.field if call.output == call.x.shape else fields.if_whole(call.x.field)


def _center_cropped(call: Call) -> Effect:
    if any(call.output[axis] > call.x.shape[axis] for axis in call.image_axes):
        return _resized(call)  # an image that is too small is enlarged instead
    return 0, call.x.field


def _sliced(call: Call) -> Effect:
    keys = call.args[1] if isinstance(call.args[1], list | tuple) else [call.args[1]]
    if not all(isinstance(key, slice) for key in keys):
        return 0, fields.if_whole(call.x.field)  # an index, a new axis, an ellipsis: the axes no longer correspond
    steps = {axis: (0, key.indices(call.x.shape[axis])[2]) for axis, key in enumerate(keys) if axis > 0}
    return 0, fields.slide(call.x.field, steps)


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
    (_elementwise, "Add Average Maximum Minimum Multiply Subtract CustomScaleLayer"),  # of InceptionResNetV2
    (_concatenation, "Concatenate"),
    (_pointwise, "ZeroPadding1D ZeroPadding2D ZeroPadding3D Cropping1D Cropping2D Cropping3D"),
    (_center_cropped, "CenterCrop"),
    (_resized, "UpSampling1D UpSampling2D UpSampling3D Resizing"),
    (_reshaped, "Flatten Reshape"),
    (_permuted, "Permute"),
    (_pointwise, "BatchNormalization GroupNormalization LayerNormalization RMSNormalization UnitNormalization"),
    (_pointwise, "kerascv_course>LocalResponseNormalization"),  # the name under which it is saved
    (_pointwise, "Normalization Rescaling Activation ELU LeakyReLU PReLU ReLU Softmax LayerScale"),
    (_passed, "InputLayer Identity ActivityRegularization Dropout AlphaDropout GaussianDropout GaussianNoise"),
    (_passed, "StochasticDepth"),  # with LayerScale, of ConvNeXt
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
    (_pointwise, "Pad"),
    (_reshaped, "Reshape ExpandDims Squeeze"),
    (_permuted, "Transpose"),
    (_sliced, "GetItem"),
    (_passed, "Split StopGradient"),
)
"""Operations of `keras.ops` by the name of their class."""

PASSIVE = frozenset({_passed, _reshaped, _permuted, _sliced})
"""Effects that write no values at inference: the layer passes on its input, or looks at it in another shape."""
