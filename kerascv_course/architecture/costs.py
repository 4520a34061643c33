"""What one layer does: its multiply-accumulates, and how it changes the receptive field.

Only convolutions and matrix products count as multiply-accumulates (MACs). A layer or operation that no table
below names is unknown; it is never taken to be free. To teach a layer, write a function from its `Call` to both.
Layers are known by the name of their class: older versions of Keras lack some.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import keras

from kerascv_course.architecture import fields, sequences
from kerascv_course.architecture.calls import Call, Effect, Tensor, UnknownError


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


def _adaptive_pooling(call: Call) -> Effect:
    is_global = set(call.per_axis("output_size")) == {1}
    return 0, fields.contract(call.x.field, call.image_axes) if is_global else fields.if_whole(call.x.field)


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


def _moved(call: Call) -> Effect:
    return 0, fields.if_whole(call.x.field)


def _resized(call: Call) -> Effect:
    return 0, call.x.field if call.output == call.x.shape else fields.if_whole(call.x.field)


def _center_cropped(call: Call) -> Effect:
    if any(call.output[axis] > call.x.shape[axis] for axis in call.image_axes):
        return _resized(call)  # an image that is too small is enlarged instead
    return 0, call.x.field


def _sliced(call: Call) -> Effect:
    keys = list(call.args[1]) if isinstance(call.args[1], list | tuple) else [call.args[1]]
    if Ellipsis in keys:
        place = keys.index(Ellipsis)
        keys[place : place + 1] = [slice(None)] * (len(call.x.shape) - len(keys) + 1)
    single = [axis for axis, key in enumerate(keys) if not isinstance(key, slice)]
    if None in keys or any(reach.axis in single for reach in call.x.field or ()):
        return _moved(call)  # a new axis, or a place without neighbours
    steps = {axis: (0, abs(key.step or 1)) for axis, key in enumerate(keys) if axis not in (0, *single)}
    return 0, fields.contract(fields.slide(call.x.field, steps), single, keep=False)


def _stacked(call: Call) -> Effect:
    axis = call.config["axis"] % len(call.output)
    merged = fields.merge([one.field for one in call.inputs], [call.x.shape] * len(call.inputs), call.x.shape)
    return 0, fields.move_axes(merged, lambda place: place + (place >= axis))


def _pointwise(call: Call) -> Effect:
    return 0, call.x.field  # the statistics of a normalisation are not counted as seen


def _passed(call: Call) -> Effect:
    return 0, call.x.field


def _einsum_dense(call: Call) -> Effect:
    read, kernel, written = re.split(",|->", call.config["equation"].replace(" ", ""))
    rest = "0123456789"[: len(call.x.shape) - len(read.replace("...", ""))]  # stands for the ellipsis
    sizes = zip(read.replace("...", rest), call.x.shape, strict=True)
    summed = [size for letter, size in sizes if letter in kernel and letter not in written]
    return call.values * math.prod(summed), fields.if_whole(call.x.field)


def _dot(call: Call) -> Effect:
    axes = call.config["axes"]
    return call.values * call.x.shape[axes if isinstance(axes, int) else axes[0]], None


def _embedding(call: Call) -> Effect:
    # Rows are looked up, which multiplies nothing.
    return call.values * call.x.shape[-1] if call.given.get("reverse") else 0, fields.if_whole(call.x.field)


def _table(*entries: tuple[Callable[[Call], Effect], str]) -> dict[str, Callable[[Call], Effect]]:
    """Return effects by the name of a class; "*D" in a name stands for 1D, 2D and 3D."""
    named = [(effect, name) for effect, names in entries for name in names.split()]
    return {name.replace("*", axes): effect for effect, name in named for axes in ("123" if "*" in name else "1")}


LAYERS = _table(
    (_convolution, "Conv*D"),
    (_depthwise, "DepthwiseConv*D"),
    (_separable, "SeparableConv*D"),
    (_transposed, "Conv*DTranspose"),
    (_dense, "Dense"),
    (_einsum_dense, "EinsumDense"),
    (_dot, "Dot"),
    (_embedding, "Embedding ReversibleEmbedding"),
    (sequences.attention, "Attention AdditiveAttention"),
    (sequences.multi_head_attention, "MultiHeadAttention GroupedQueryAttention"),
    (sequences.cell, "LSTMCell GRUCell SimpleRNNCell"),
    (sequences.convolutional_cell, "ConvLSTMCell"),
    (sequences.stacked_cells, "StackedRNNCells"),
    (sequences.recurrent, "RNN LSTM GRU SimpleRNN ConvLSTM*D"),
    (sequences.bidirectional, "Bidirectional"),
    (sequences.wrapped, "SpectralNormalization"),
    (_pooling, "MaxPooling*D AveragePooling*D"),
    (_adaptive_pooling, "AdaptiveAveragePooling*D AdaptiveMaxPooling*D"),
    (_global_pooling, "GlobalAveragePooling*D GlobalMaxPooling*D"),
    (_elementwise, "Add Average Maximum Minimum Multiply Subtract CustomScaleLayer"),  # of InceptionResNetV2
    (_concatenation, "Concatenate"),
    (_center_cropped, "CenterCrop"),
    (_resized, "UpSampling*D Resizing RandomCrop"),  # which resizes at inference
    (_moved, "RepeatVector CategoryEncoding Discretization Hashing HashedCrossing"),
    (_moved, "IntegerLookup StringLookup TextVectorization"),
    (_reshaped, "Flatten Reshape"),
    (_permuted, "Permute"),
    (_pointwise, "BatchNormalization GroupNormalization LayerNormalization RMSNormalization UnitNormalization"),
    (_pointwise, "kerascv_course>LocalResponseNormalization"),  # the name under which it is saved
    (_pointwise, "Activation AutoContrast ContrastLimitedAdaptiveHistogramEqualization Cropping*D ELU LayerScale"),
    (_pointwise, "LeakyReLU Masking Normalization PReLU ReLU Rescaling Softmax ZeroPadding*D"),
    (_passed, "ActivityRegularization AlphaDropout AugMix CutMix Dropout Equalization GaussianDropout"),
    (_passed, "GaussianNoise Identity InputLayer MaxNumBoundingBoxes MixUp RandAugment RandomBrightness"),
    (_passed, "RandomColorDegeneration RandomColorJitter RandomContrast RandomElasticTransform RandomErasing"),
    (_passed, "RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective"),
    (_passed, "RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear"),
    (_passed, "RandomTranslation RandomZoom Solarization SpatialDropout*D StochasticDepth"),  # the last: ConvNeXt
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
    (_stacked, "Stack"),
    (_moved, "Flip Moveaxis OneHot Repeat Resize Roll Swapaxes Take Tile"),
    (_pointwise, "Pad"),
    (_reshaped, "Reshape ExpandDims Squeeze"),
    (_permuted, "Transpose"),
    (_sliced, "GetItem"),
    (_passed, "Split StopGradient"),
)
"""Operations of `keras.ops` by the name of their class."""

NOT_COUNTED = {
    **dict.fromkeys(["FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"], "it computes outside of Keras"),
    **dict.fromkeys(["MelSpectrogram", "STFTSpectrogram"], "it is a Fourier transform"),
    **dict.fromkeys(["Layer", "Wrapper"], "it is a base class"),
    "Lambda": "its function is not made of layers",
}
"""Layers whose MACs are not counted, and why."""

PASSIVE = frozenset({_passed, _reshaped, _permuted, _sliced})
"""Effects that write no values at inference: the layer passes on its input, or looks at it in another shape."""


def known_class(operation: Any) -> str:
    """Return the Keras class that an object is of, or "" where it computes something of its own.

    A layer that is not Keras' is known by the name under which it is registered for saving.
    """
    kind: Any = type(operation)
    if (registered := keras.saving.get_registered_name(kind)) in LAYERS:
        return registered
    own = next((cls for cls in kind.__mro__ if cls.__module__.split(".")[0] == "keras"), None)
    return own.__name__ if own is not None and kind.call is own.call else ""


def effect_of(operation: Any) -> Callable[[Call], Effect]:
    """Return what computes the effect of a layer or operation, or raise `UnknownError` with the reason."""
    name = known_class(operation)
    known = LAYERS if isinstance(operation, keras.Layer) else OPERATIONS
    if name not in known:
        default = "it is not in the list of known ones" if name else "its `call` is its own"
        raise UnknownError(NOT_COUNTED.get(name, default))
    return known[name]
