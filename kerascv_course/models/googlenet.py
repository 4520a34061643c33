"""GoogLeNet: nine inception blocks, each of which looks with kernels of several sizes at once."""

from typing import Any

import keras
from keras import layers

from kerascv_course._validation import check_bool, input_error
from kerascv_course.models.common import checked_input, outputs_of
from kerascv_course.models.normalization import LocalResponseNormalization

SMALLEST_SIDE = 32  # five halvings leave one value
SMALLEST_SIDE_WITH_HEADS = 80  # the heads average windows of 5x5 where the side is a sixteenth

# Filters: 1x1, reduction before 3x3, 3x3, reduction before 5x5, 5x5, projection after pooling (paper, table 1).
INCEPTION_BLOCKS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
_POOL_BEFORE = ("4a", "5a")
_HEAD_AFTER = {"4a": "aux1", "4d": "aux2"}


def build_googlenet(
    *,
    auxiliary_heads: bool = False,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    num_classes: int = 1000,
    include_top: bool = True,
    pooling: str | None = None,
) -> keras.Model:
    """Build GoogLeNet, also called Inception v1.

    It has 6,998,552 parameters, with both auxiliary heads 13,378,280. The heads are classifiers in the middle,
    which brought the gradient closer to the first layers before batch normalisation was known; they are used in
    training only, with a weight of 0.3 in the loss.

    Args:
        auxiliary_heads: Whether the model has three outputs, `predictions`, `aux1` and `aux2`.
        input_shape: Height, width and channels, sides of 32 pixels or more, with the heads of 80.
        num_classes: Number of classes, at least 2.
        include_top: Whether the classifier is part of the model.
        pooling: Without it: "avg" or "max" for one value of each map, None for the maps.

    Returns:
        An uncompiled functional model.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If an option is out of range, or heads are asked for without the classifier.

    Example:
        >>> build_googlenet(input_shape=(64, 64, 3), include_top=False, pooling="avg").output_shape
        (None, 1024)

    Source:
        Szegedy et al.: Going deeper with convolutions (2015); Manco, Architectures.
    """
    function = "build_googlenet"
    auxiliary_heads = check_bool(function, "auxiliary_heads", auxiliary_heads)
    if auxiliary_heads and not include_top:
        raise input_error(function, "auxiliary_heads", "False where `include_top` is False", auxiliary_heads)
    smallest_side = SMALLEST_SIDE_WITH_HEADS if auxiliary_heads else SMALLEST_SIDE
    inputs, num_classes = checked_input(function, input_shape, smallest_side, num_classes, include_top, pooling)
    x: Any = _convolution(inputs, 64, 7, "conv1", strides=2)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="pool1")(x)
    x = LocalResponseNormalization(name="norm1")(x)
    x = _convolution(x, 64, 1, "conv2_reduce")
    x = _convolution(x, 192, 3, "conv2")
    x = LocalResponseNormalization(name="norm2")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="pool2")(x)
    heads = []
    for block, filters in INCEPTION_BLOCKS.items():
        if block in _POOL_BEFORE:
            x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"pool{int(block[0]) - 1}")(x)
        x = _inception(x, filters, f"inception{block}")
        if auxiliary_heads and block in _HEAD_AFTER:
            heads.append(_head(x, num_classes, _HEAD_AFTER[block]))
    outputs = outputs_of(x, num_classes, include_top, pooling, dropout=0.4)
    return keras.Model(inputs, [outputs, *heads] if heads else outputs, name="googlenet")


def _convolution(x: Any, filters: int, kernel_size: int, name: str, strides: int = 1) -> Any:
    return layers.Conv2D(filters, kernel_size, strides=strides, padding="same", activation="relu", name=name)(x)


def _inception(x: Any, filters: tuple[int, ...], name: str) -> Any:
    """Return what four branches make of the same maps, side by side."""
    f1, reduce3, f3, reduce5, f5, project = filters
    surroundings = layers.MaxPooling2D(3, strides=1, padding="same", name=f"{name}_pool")(x)
    branches = [
        _convolution(x, f1, 1, f"{name}_1x1"),
        _convolution(_convolution(x, reduce3, 1, f"{name}_3x3_reduce"), f3, 3, f"{name}_3x3"),
        _convolution(_convolution(x, reduce5, 1, f"{name}_5x5_reduce"), f5, 5, f"{name}_5x5"),
        _convolution(surroundings, project, 1, f"{name}_project"),
    ]
    return layers.Concatenate(name=name)(branches)


def _head(x: Any, num_classes: int, name: str) -> Any:
    x = layers.AveragePooling2D(5, strides=3, name=f"{name}_pool")(x)
    x = layers.Flatten(name=f"{name}_flatten")(_convolution(x, 128, 1, f"{name}_conv"))
    x = layers.Dropout(0.7, name=f"{name}_dropout")(layers.Dense(1024, activation="relu", name=f"{name}_fc")(x))
    return layers.Dense(num_classes, activation="softmax", dtype="float32", name=name)(x)
