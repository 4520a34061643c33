"""The residual networks: blocks that compute what is to be added to their input."""

from typing import Any

import keras
from keras import layers

from kerascv_course._validation import check_choice
from kerascv_course.models.common import checked_input, checked_stem, outputs_of

SMALLEST_SIDE = 32  # five halvings leave one value

# Blocks in each of the four stages, and whether a block is a bottleneck (paper, table 1).
_STAGES = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
}
_FILTERS = (64, 128, 256, 512)
_EXPANSION = 4  # a bottleneck ends with so many times its filters


def build_resnet(
    depth: int = 50,
    *,
    stem: str = "imagenet",
    downsample: str = "3x3",
    input_shape: tuple[int, int, int] | None = None,
    num_classes: int = 1000,
    include_top: bool = True,
    pooling: str | None = None,
) -> keras.Model:
    """Build a residual network with 18, 34, 50, 101 or 152 layers.

    Convolutions have no bias: the batch normalisation after each has one. Trainable parameters at 1,000 classes:
    11,689,512 / 21,797,672 / 25,557,032 / 44,549,160 / 60,192,808. `keras.applications.ResNet50` is this network
    with `downsample="1x1"`, but its convolutions have biases (26,560 weights more), and its batch normalisation
    has an epsilon of 1.001e-5, here 1e-5, and a momentum of 0.99, here 0.9.

    Args:
        depth: 18, 34, 50, 101 or 152.
        stem: "imagenet": a 7x7 convolution with stride 2 and a pooling. "cifar" for 32x32 pixels: a 3x3
            convolution with stride 1.
        downsample: Which convolution of a bottleneck takes the step of two pixels: "3x3", as in Manco's code,
            loses no value unseen and costs 6 % more (4.09 G MACs with 50 layers); "1x1", as in the paper (3.86 G).
            Without meaning for 18 and 34.
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
        >>> build_resnet(18, stem="cifar", num_classes=10).output_shape
        (None, 10)

    Source:
        He, Zhang, Ren, Sun: Deep residual learning for image recognition (2016). Manco's code lacks the global
        average pooling, and projects the shortcut only where the channels change: with a stride it must, too.
    """
    function = "build_resnet"
    check_choice(function, "depth", depth, _STAGES)
    check_choice(function, "downsample", downsample, ("3x3", "1x1"))
    imagenet, input_shape = checked_stem(function, stem, input_shape)
    smallest_side = SMALLEST_SIDE if imagenet else SMALLEST_SIDE // 4
    inputs, num_classes = checked_input(function, input_shape, smallest_side, num_classes, include_top, pooling)
    x = layers.ReLU(name="conv1_relu")(_conv_norm(inputs, 64, *((7, 2) if imagenet else (3, 1)), "conv1"))
    if imagenet:
        x = layers.ZeroPadding2D(1, name="pool1_pad")(x)  # after a ReLU zeros do not change a maximum
        x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    blocks, bottleneck = _STAGES[depth]
    for stage, (count, filters) in enumerate(zip(blocks, _FILTERS, strict=True), start=2):
        for number in range(1, count + 1):
            stride = 2 if stage > 2 and number == 1 else 1
            x = _block(x, filters, stride, bottleneck, downsample, f"stage{stage}_block{number}")
    outputs = outputs_of(x, num_classes, include_top, pooling)
    return keras.Model(inputs, outputs, name=f"resnet{depth}")


def _conv_norm(x: Any, filters: int, kernel_size: int, stride: int, name: str) -> Any:
    """Return a convolution without bias and its batch normalisation, padded alike on both sides."""
    if kernel_size > 1 and stride > 1:
        # Keras' "same" pads an even side on one side only where the stride is 2; the paper pads both.
        x = layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
    padding = "valid" if stride > 1 else "same"
    options = {"use_bias": False, "kernel_initializer": "he_normal"}
    layer = f"{name}_conv" if name != "conv1" else name
    x = layers.Conv2D(filters, kernel_size, stride, padding, name=layer, **options)(x)
    return layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"{name}_norm")(x)


def _block(x: Any, filters: int, stride: int, bottleneck: bool, downsample: str, name: str) -> Any:
    outputs = filters * (_EXPANSION if bottleneck else 1)
    shortcut = x
    if stride != 1 or x.shape[-1] != outputs:
        shortcut = _conv_norm(x, outputs, 1, stride, f"{name}_shortcut")
    steps = [(filters, 3, stride), (filters, 3, 1)]
    if bottleneck:
        first, second = (stride, 1) if downsample == "1x1" else (1, stride)
        steps = [(filters, 1, first), (filters, 3, second), (outputs, 1, 1)]
    for number, (maps, kernel_size, step) in enumerate(steps, start=1):
        x = _conv_norm(x, maps, kernel_size, step, f"{name}_{number}")
        if number < len(steps):
            x = layers.ReLU(name=f"{name}_{number}_relu")(x)
    return layers.ReLU(name=name)(layers.Add(name=f"{name}_add")([shortcut, x]))
