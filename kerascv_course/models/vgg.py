"""The VGG networks: nothing but 3x3 convolutions and poolings, in six columns of one table."""

from typing import Any

import keras
from keras import layers

from kerascv_course._validation import check_bool, check_choice
from kerascv_course.models.common import checked_input, checked_stem, outputs_of
from kerascv_course.models.normalization import LocalResponseNormalization

SMALLEST_SIDE = 32  # five halvings leave one value

# The columns of table 1 of the paper: the kernel sizes of the convolutions, block by block.
_BLOCKS: dict[str, tuple[tuple[int, ...], ...]] = {
    "A": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "A-LRN": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "B": ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3)),
    "C": ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1)),
    "D": ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    "E": ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),
}
_FILTERS = (64, 128, 256, 512, 512)
_NAMES = {"A": "vgg11", "A-LRN": "vgg11_lrn", "B": "vgg13", "C": "vgg16_1x1", "D": "vgg16", "E": "vgg19"}


def build_vgg(
    variant: str = "D",
    *,
    batch_norm: bool = False,
    stem: str = "imagenet",
    input_shape: tuple[int, int, int] | None = None,
    num_classes: int = 1000,
    include_top: bool = True,
    pooling: str | None = None,
) -> keras.Model:
    """Build a VGG network: column A to E of the paper's table; D is VGG16, E is VGG19.

    The layers are named as in `keras.applications`. Parameters at 224x224x3 with 1,000 classes: A 132,863,336,
    B 133,047,848, C 133,638,952, D 138,357,544, E 143,667,240.

    Args:
        variant: "A", "A-LRN", "B", "C", "D" or "E".
        batch_norm: Whether batch normalisation stands between each convolution and its ReLU; not in the paper.
        stem: "imagenet"; or "cifar" for 32x32 pixels, with one dense layer on averaged maps in place of the three,
            which would hold nearly all parameters.
        input_shape: Height, width and channels, sides of 32 pixels or more; None for (224, 224, 3), or
            (32, 32, 3) with the "cifar" stem.
        num_classes: Number of classes, at least 2.
        include_top: Whether the classifier is part of the model.
        pooling: Without it: "avg" or "max" for one value of each map, None for the maps.

    Returns:
        An uncompiled functional model.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If an option is out of range.

    Example:
        >>> build_vgg("D", input_shape=(32, 32, 3), include_top=False).count_params()
        14714688

    Source:
        Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition (2015). Manco's
        `cfg` rows B and E each lack one convolution.
    """
    function = "build_vgg"
    check_choice(function, "variant", variant, _BLOCKS)
    batch_norm = check_bool(function, "batch_norm", batch_norm)
    imagenet, input_shape = checked_stem(function, stem, input_shape)
    inputs, num_classes = checked_input(function, input_shape, SMALLEST_SIDE, num_classes, include_top, pooling)
    x: Any = inputs
    for block, (kernel_sizes, filters) in enumerate(zip(_BLOCKS[variant], _FILTERS, strict=True), start=1):
        for number, kernel_size in enumerate(kernel_sizes, start=1):
            layer = f"block{block}_conv{number}"
            activation = None if batch_norm else "relu"
            x = layers.Conv2D(filters, kernel_size, padding="same", activation=activation, name=layer)(x)
            if batch_norm:
                x = layers.BatchNormalization(name=f"{layer}_bn")(x)
                x = layers.ReLU(name=f"{layer}_relu")(x)
        if variant == "A-LRN" and block == 1:
            x = LocalResponseNormalization(name="block1_norm")(x)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    outputs = outputs_of(x, num_classes, include_top, pooling, dense=(1, 2) if imagenet else ())
    return keras.Model(inputs, outputs, name=_NAMES[variant] + "_bn" * batch_norm)
