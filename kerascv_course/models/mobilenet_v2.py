"""MobileNetV2: bottlenecks turned inside out, with depthwise convolutions in the wide middle."""

from typing import Any

import keras
from keras import layers

from kerascv_course._validation import check_above
from kerascv_course.models.common import checked_input, checked_stem, outputs_of

SMALLEST_SIDE = 32  # five halvings leave one value

# Expansion t, channels c, blocks n, stride s of the first block (paper, table 2).
_ROWS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_FIRST, _LAST = 32, 1280


def build_mobilenet_v2(
    *,
    alpha: float = 1.0,
    stem: str = "imagenet",
    input_shape: tuple[int, int, int] | None = None,
    num_classes: int = 1000,
    include_top: bool = True,
    pooling: str | None = None,
) -> keras.Model:
    """Build MobileNetV2, with 3,538,984 parameters and 300 million MACs at 224x224x3.

    Padding, epsilon and momentum are those of `keras.applications.MobileNetV2`, whose weights fit.

    Args:
        alpha: Factor of all channels, above 0, rounded to multiples of 8; the last convolution keeps its 1,280
            channels where it is below 1.
        stem: "imagenet"; or "cifar" for 32x32 pixels, where the first convolution and the first row with stride 2
            take steps of 1.
        input_shape: Height, width and channels, sides of 32 pixels or more, with the "cifar" stem of 8; None for
            (224, 224, 3), or (32, 32, 3) with the "cifar" stem.
        num_classes: Number of classes, at least 2.
        include_top: Whether the classifier is part of the model.
        pooling: Without it: "avg" or "max" for one value of each map, None for the maps.

    Returns:
        An uncompiled functional model.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If an option is out of range.

    Example:
        >>> build_mobilenet_v2(input_shape=(32, 32, 3), include_top=False).count_params()
        2257984

    Source:
        Sandler et al.: MobileNetV2, inverted residuals and linear bottlenecks (2018). It has 53 layers with
        a kernel; Di Stefano's slide says 54.
    """
    function = "build_mobilenet_v2"
    alpha = check_above(function, "alpha", alpha)
    imagenet, input_shape = checked_stem(function, stem, input_shape)
    smallest_side = SMALLEST_SIDE if imagenet else SMALLEST_SIDE // 4
    inputs, num_classes = checked_input(function, input_shape, smallest_side, num_classes, include_top, pooling)
    x = _conv_norm(inputs, _round(_FIRST * alpha), 3, 2 if imagenet else 1, "conv1")
    for row, (expansion, channels, count, stride) in enumerate(_ROWS, start=1):
        for number in range(1, count + 1):
            step = stride if number == 1 and (imagenet or row != 2) else 1
            x = _inverted_residual(x, expansion, _round(channels * alpha), step, f"row{row}_block{number}")
    x = _conv_norm(x, _round(_LAST * alpha) if alpha > 1 else _LAST, 1, 1, "conv_last")
    name = "mobilenet_v2" if alpha == 1 else f"mobilenet_v2_{alpha:g}"
    return keras.Model(inputs, outputs_of(x, num_classes, include_top, pooling), name=name)


def _round(channels: float) -> int:
    """Return the nearest multiple of 8, at least 8, but not less than nine tenths of the channels."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.999, name=f"{name}_norm")(x)


def _conv_norm(x: Any, filters: int, kernel_size: int, stride: int, name: str, *, linear: bool = False) -> Any:
    x = layers.Conv2D(filters, kernel_size, strides=stride, padding="same", use_bias=False, name=name)(x)
    x = _norm(x, name)
    return x if linear else layers.ReLU(6.0, name=f"{name}_relu")(x)


def _inverted_residual(x: Any, expansion: int, filters: int, stride: int, name: str) -> Any:
    """Widen with 1x1, look around on each map alone, and narrow again without an activation."""
    given, channels = x, x.shape[-1]
    if expansion > 1:
        x = _conv_norm(x, expansion * channels, 1, 1, f"{name}_expand")
    padding = "same"
    if stride > 1:  # padded as Keras' weights expect it: an even side on its far end only
        sides = tuple((side % 2, 1) for side in x.shape[1:3])
        x, padding = layers.ZeroPadding2D(sides, name=f"{name}_depthwise_pad")(x), "valid"
    x = layers.DepthwiseConv2D(3, stride, padding, use_bias=False, name=f"{name}_depthwise")(x)
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(_norm(x, f"{name}_depthwise"))
    x = _conv_norm(x, filters, 1, 1, f"{name}_project", linear=True)
    # No shortcut where the shape changes.
    return layers.Add(name=f"{name}_add")([given, x]) if stride == 1 and channels == filters else x
