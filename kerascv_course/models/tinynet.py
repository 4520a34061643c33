"""TinyNet: four blocks with stride 2, small enough to be designed and tuned in a lesson."""

from typing import Any

import keras
from keras import layers

from kerascv_course._validation import check_bool, check_choice
from kerascv_course.models.common import checked_input, outputs_of

SMALLEST_SIDE = 16  # four halvings leave one value
_FILTERS = (32, 64, 128, 256)


def build_tinynet(
    variant: str = "plain",
    *,
    batch_norm: bool = True,
    input_shape: tuple[int, int, int] = (64, 64, 3),
    num_classes: int = 10,
    include_top: bool = True,
    pooling: str | None = None,
) -> keras.Model:
    """Build TinyNet: four 3x3 convolutions with stride 2, of 32, 64, 128 and 256 filters.

    Each is followed by batch normalisation and a ReLU; the kernels start with He's variance. Parameters with ten
    classes: plain 392,426, residual 1,222,730, depthwise 49,637.

    Args:
        variant: "plain": one convolution in a block. "residual": a second one follows, and a 1x1 projection of
            the block's input is added before the last ReLU. "depthwise": each convolution is a depthwise one and
            a 1x1.
        batch_norm: Whether there is batch normalisation; without it the convolutions have biases.
        input_shape: Height, width and channels, sides of 16 pixels or more.
        num_classes: Number of classes, at least 2.
        include_top: Whether the classifier is part of the model.
        pooling: Without it: "avg" or "max" for one value of each map, None for the maps.

    Returns:
        An uncompiled functional model.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If an option is out of range.

    Example:
        >>> build_tinynet("depthwise").count_params()
        49637

    Source:
        Lorente, Image Classification with Classic and Deep Learning Techniques (arXiv 2105.04895).
    """
    function = "build_tinynet"
    check_choice(function, "variant", variant, ("plain", "residual", "depthwise"))
    batch_norm = check_bool(function, "batch_norm", batch_norm)
    inputs, num_classes = checked_input(function, input_shape, SMALLEST_SIDE, num_classes, include_top, pooling)

    def convolution(x: Any, filters: int, kernel_size: int, stride: int, layer: str) -> Any:
        options: dict[str, Any] = {"padding": "same", "use_bias": not batch_norm}
        he = "he_normal"
        if variant == "depthwise":
            name_of = f"{layer}_depthwise"
            x = layers.DepthwiseConv2D(kernel_size, stride, depthwise_initializer=he, name=name_of, **options)(x)
            kernel_size, stride = 1, 1
        x = layers.Conv2D(filters, kernel_size, stride, kernel_initializer=he, name=layer, **options)(x)
        return layers.BatchNormalization(name=f"{layer}_norm")(x) if batch_norm else x

    x: Any = inputs
    for block, filters in enumerate(_FILTERS, start=1):
        given = x
        x = convolution(x, filters, 3, 2, f"block{block}_conv1")
        if variant == "residual":
            x = layers.ReLU(name=f"block{block}_relu1")(x)
            x = convolution(x, filters, 3, 1, f"block{block}_conv2")
            # Equal to a 1x1 convolution with stride 2, for which TensorFlow 2.21 on x86 processors writes beyond
            # its memory where there are three channels and, for example, 25 images.
            every_second = layers.MaxPooling2D(1, strides=2, name=f"block{block}_every_second")(given)
            shortcut = convolution(every_second, filters, 1, 1, f"block{block}_shortcut")
            x = layers.Add(name=f"block{block}_add")([shortcut, x])
        x = layers.ReLU(name=f"block{block}")(x)
    outputs = outputs_of(x, num_classes, include_top, pooling)
    return keras.Model(inputs, outputs, name=f"tinynet_{variant}")
