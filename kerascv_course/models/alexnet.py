"""AlexNet: five convolutions and three dense layers, the network of 2012."""

from typing import Any

import keras
from keras import layers

from kerascv_course._validation import check_choice
from kerascv_course.models.common import checked_input, outputs_of
from kerascv_course.models.normalization import LocalResponseNormalization

SMALLEST_SIDE = 67  # leaves one value after three poolings

# Filters, kernel size, stride, padding, whether the original split it into two groups, what follows.
_CONVOLUTIONS = (
    (96, 11, 4, "valid", False, "norm pool"),
    (256, 5, 1, "same", True, "norm pool"),
    (384, 3, 1, "same", False, ""),
    (384, 3, 1, "same", True, ""),
    (256, 3, 1, "same", True, "pool"),
)


def build_alexnet(
    *,
    groups: int = 1,
    input_shape: tuple[int, int, int] = (227, 227, 3),
    num_classes: int = 1000,
    include_top: bool = True,
    pooling: str | None = None,
) -> keras.Model:
    """Build AlexNet.

    In one tower it has 62,378,344 parameters, with the two groups of the original 60,965,224. The paper prints 224
    pixels; its 55 x 55 maps need 227.

    Args:
        groups: 1 for one tower; 2 for the original, which was trained on two GPUs: in the second, fourth and fifth
            convolution each half of the filters sees half of the maps.
        input_shape: Height, width and channels, sides of 67 pixels or more.
        num_classes: Number of classes, at least 2.
        include_top: Whether the three dense layers are part of the model.
        pooling: Without them: "avg" or "max" for one value of each map, None for the maps.

    Returns:
        An uncompiled functional model.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If an option is out of range.

    Example:
        >>> build_alexnet(input_shape=(67, 67, 3), num_classes=10, include_top=False).output_shape
        (None, 1, 1, 256)

    Source:
        Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural networks (2012); Di
        Stefano; Manco, Architectures.
    """
    function = "build_alexnet"
    check_choice(function, "groups", groups, (1, 2))
    inputs, num_classes = checked_input(function, input_shape, SMALLEST_SIDE, num_classes, include_top, pooling)
    x: Any = inputs
    for number, (filters, kernel_size, stride, padding, split, after) in enumerate(_CONVOLUTIONS, start=1):
        options = {"groups": groups if split else 1, "activation": "relu", "name": f"conv{number}"}
        x = layers.Conv2D(filters, kernel_size, stride, padding, **options)(x)
        if "norm" in after:
            x = LocalResponseNormalization(name=f"norm{number}")(x)
        if "pool" in after:
            x = layers.MaxPooling2D(3, strides=2, name=f"pool{number}")(x)
    outputs = outputs_of(x, num_classes, include_top, pooling, dense=(6, 7))
    return keras.Model(inputs, outputs, name="alexnet")
