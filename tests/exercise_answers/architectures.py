"""Answers to the exercises of 03_architectures."""

import keras
import numpy as np
from keras import layers, ops

RIGHT = {
    "vgg_row": [
        lambda: ([64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],),
        lambda: ((64, 64, "m", 128, 128, "m", 256, 256, "m", 512, 512, "m", 512, 512, "m"),),
        lambda: ("64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",),
        lambda: (np.array([64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"]),),
        lambda: ("64, 64, max, 128, 128, max, 256, 256, max, 512, 512, max, 512, 512, max",),
        lambda: (
            [maps for block in (64, 128, 256, 512, 512) for maps in (float(block), np.int64(block), "pool")],
        ),
    ],
    "reduction": [
        lambda: (48,),
        lambda: (np.int32(48),),
        lambda: (48.0,),
        lambda: (5e7 // 1_024_000,),
        lambda: (np.floor(5e7 / 1_024_000),),
    ],
    "residual_block": [
        lambda: (repaired,),
        lambda: (written_otherwise,),
        lambda: (with_nested_branch,),
        lambda: (padded_by_a_layer,),
        lambda: (by_shape,),
        lambda: (with_other_names,),
    ],
    "for_a_phone": [
        lambda: ("MobileNetV2", 14.155936),
        lambda: ("mobilenetv2", 14.28),
        lambda: ("MobileNet-V2", 14.2),
        lambda: ("mobilenet_v2", 14),
        lambda: ("MobileNet V2", np.float32(3_538_984 * 4 / 1e6)),
    ],
}

UNTOUCHED = {
    "vgg_row": (lambda: (None,), "Put a list such as"),
    "reduction": (lambda: (None,), "Put your answer in place of None"),
    "residual_block": (lambda: (of_the_slide,), "The shortcut is larger than what it is added to"),
    "for_a_phone": (lambda: (None, None), "Set `choice` to the name of a network"),
}

WRONG = {
    "vgg_row": [
        (
            lambda: ([64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, "M"],),
            "the slide's row",
        ),
        (lambda: ([64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512],), "ends with a pooling"),
        (lambda: ([64, 64, 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],), "poolings: 4;"),
        (lambda: ([64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],), "VGG11, not VGG13"),
        (lambda: ("64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",), "VGG16, not VGG13"),
        (lambda: ("64 64 M 128 128 M 256 256 M 512 512 512 M 512 M",), "the blocks have [2, 2, 2, 3, 1]"),
        (lambda: ("64 64 M 128 128 M 256 256 M 512 512 M 1024 1024 M",), "512 stay 512"),
        (lambda: ("32 32 M 64 64 M 128 128 M 256 256 M 512 512 M",), "the blocks have [[32, 32]"),
        (lambda: ("64 64 M 128 128 M 256 256 M 512 256 M 512 512 M",), "[512, 256]"),
        (lambda: (13,), "`row_b` must be a list; it is of the type int"),
        (lambda: ([64, "M"],), "poolings: 1;"),
    ],
    "reduction": [
        (lambda: (16,), "that is the slide's reduction"),
        (lambda: (61,), "that is the 5 x 5 alone"),
        (lambda: (244,), "that is the 1 x 1 alone"),
        (lambda: (49,), "both cost 50.2 million MACs"),
        (lambda: (40,), "there is room for more"),
        (lambda: (0,), "at least one map must be left"),
        (lambda: (50_000,), "at 32 · 32 positions"),
        (lambda: (47,), "48.1 million MACs: there is room for more"),
        (lambda: (1,), "both cost 1.0 million MACs: there is room"),
    ],
    "residual_block": [
        (lambda: (always_projected,), "nothing has to be projected"),
        (lambda: (without_addition,), "the input is not added"),
        (lambda: (without_stride,), "it returns (6, 6, 16); it must be (3, 3, 16)"),
        (lambda: (pooled_shortcut,), "the shortcut is not projected by a 1 x 1 convolution"),
        (lambda: (lambda x, filters, stride: None,), "returns nothing: does it lack a `return`?"),
        (lambda: (lambda x: x,), "stops with `TypeError"),
        (lambda: (single_convolution,), "it has two convolutions of 3 x 3 beside the shortcut"),
        (lambda: (lambda x, filters, stride: 3,), "it returns no tensor made of its input"),
        (lambda: (lambda x, filters, stride: layers.ReLU()(shortcut_of(x, filters, stride)),), "two convolutions"),
        (lambda: (joined_by(layers.Maximum),), "of both the larger value is kept"),
        (lambda: (joined_by(layers.Average),), "their mean is taken"),
        (lambda: (joined_by(layers.Multiply),), "both are multiplied"),
        (lambda: (joined_by(layers.Subtract),), "one is taken from the other"),
        (lambda: (joined_by(layers.Add, last_relu=False),), "a ReLU follows the addition"),
        (lambda: (without_one("norm_1"),), "2 convolutions, 1 batch normalizations"),
        (lambda: (without_one("norm_2"),), "2 convolutions, 1 batch normalizations"),
        (lambda: (without_one("projection_norm"),), "3 convolutions, 2 batch normalizations"),
        (lambda: (without_one("relu"),), "a ReLU is missing between the two convolutions"),
        (lambda: (relu_before_addition,), "comes after the addition, not before"),
        (lambda: (joined_by(layers.Concatenate),), "it returns (6, 6, 16); it must be (6, 6, 8)"),
        (lambda: (norm_before_convolution,), "it computes something else"),
    ],
    "for_a_phone": [
        (lambda: ("AlexNet", 250), "its 62 million parameters take 250 MB"),
        (lambda: ("VGG16", 553), "15 billion MACs"),
        (lambda: ("GoogLeNet", 28), "it is small enough, but needs 1.6 billion MACs"),
        (lambda: ("ResNet50", 102), "about 4 billion MACs"),
        (lambda: ("MobileNetV2", 3.5), "these are millions of parameters"),
        (lambda: ("MobileNetV2", 13.5), "that is in MiB"),
        (lambda: ("MobileNetV2", 28.3), "not 8"),
        (lambda: ("MobileNet", 14.2), "`choice` must be"),
        (lambda: ("LeNet", 14.2), "`choice` must be"),
        (lambda: ("MobileNetV2", 7.08), "not 2"),
        (lambda: ("MobileNetV2", 9.03), "without the classifier"),
        (lambda: ("MobileNetV2", 14.4), "multiply its parameters by 4"),
    ],
}


def branch(x, filters, stride):
    y = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    return layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(y))


def projection(x, filters, stride):
    return layers.BatchNormalization()(layers.Conv2D(filters, 1, strides=stride, use_bias=False)(x))


def of_the_slide(x, filters, stride):
    shortcut = projection(x, filters, stride) if x.shape[-1] != filters else x
    return layers.ReLU()(layers.Add()([shortcut, branch(x, filters, stride)]))


def repaired(x, filters, stride):
    shortcut = projection(x, filters, stride) if x.shape[-1] != filters or stride != 1 else x
    return layers.ReLU()(layers.Add()([shortcut, branch(x, filters, stride)]))


def written_otherwise(x, filters, stride):
    y = branch(x, filters, stride)
    if y.shape != x.shape:
        x = layers.BatchNormalization()(layers.Conv2D(filters, 1, stride)(x))
    return ops.relu(x + y)


def with_nested_branch(x, filters, stride):
    y = keras.Sequential([
        layers.Conv2D(filters, 3, stride, padding="same"),
        layers.BatchNormalization(epsilon=1e-5),
        layers.Activation("relu"),
        layers.Conv2D(filters, 3, padding="same"),
        layers.BatchNormalization(epsilon=1e-5),
    ])(x)  # fmt: skip
    return layers.Activation("relu")(layers.add([y, shortcut_of(x, filters, stride)]))


def padded_by_a_layer(x, filters, stride):
    y = layers.Conv2D(filters, 3, stride, use_bias=False)(layers.ZeroPadding2D(1)(x))
    y = layers.ReLU()(layers.BatchNormalization()(y))
    y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(y))
    return layers.ReLU()(y + shortcut_of(x, filters, stride))


def by_shape(x, filters, stride):
    projected = projection(x, filters, stride)
    return layers.ReLU()(branch(x, filters, stride) + (x if x.shape == projected.shape else projected))


def with_other_names(inputs, kernels, strides):
    needs_projection = strides > 1 or inputs.shape[3] != kernels
    skip = projection(inputs, kernels, strides) if needs_projection else inputs
    return keras.activations.relu(layers.Add()([branch(inputs, kernels, strides), skip]))


def shortcut_of(x, filters, stride):
    return projection(x, filters, stride) if x.shape[-1] != filters or stride != 1 else x


def joined_by(layer, last_relu=True):
    def block(x, filters, stride):
        y = layer()([branch(x, filters, stride), shortcut_of(x, filters, stride)])
        return layers.ReLU()(y) if last_relu else y

    return block


def without_one(forgotten):
    def norm(y, name):
        return y if forgotten == name else layers.BatchNormalization()(y)

    def block(x, filters, stride):
        y = norm(layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x), "norm_1")
        y = y if forgotten == "relu" else layers.ReLU()(y)
        y = norm(layers.Conv2D(filters, 3, padding="same", use_bias=False)(y), "norm_2")
        if x.shape[-1] != filters or stride != 1:
            x = norm(layers.Conv2D(filters, 1, strides=stride, use_bias=False)(x), "projection_norm")
        return layers.ReLU()(layers.Add()([x, y]))

    return block


def relu_before_addition(x, filters, stride):
    y = layers.ReLU()(branch(x, filters, stride))
    return layers.ReLU()(layers.Add()([shortcut_of(x, filters, stride), y]))


def norm_before_convolution(x, filters, stride):
    y = layers.Conv2D(filters, 3, strides=stride, padding="same")(layers.BatchNormalization()(x))
    y = layers.Conv2D(filters, 3, padding="same")(layers.BatchNormalization()(layers.ReLU()(y)))
    return layers.ReLU()(layers.Add()([shortcut_of(x, filters, stride), y]))


def always_projected(x, filters, stride):
    return layers.ReLU()(layers.Add()([projection(x, filters, stride), branch(x, filters, stride)]))


def without_addition(x, filters, stride):
    if x.shape[-1] != filters or stride != 1:
        return repaired(x, filters, stride)
    return layers.ReLU()(branch(x, filters, stride))


def single_convolution(x, filters, stride):
    shortcut = projection(x, filters, stride) if x.shape[-1] != filters or stride != 1 else x
    return layers.ReLU()(layers.Add()([shortcut, layers.Conv2D(filters, 3, stride, padding="same")(x)]))


def without_stride(x, filters, stride):
    return repaired(x, filters, 1)


def pooled_shortcut(x, filters, stride):
    if x.shape[-1] != filters:
        return repaired(x, filters, stride)
    shortcut = layers.AveragePooling2D(stride)(x) if stride != 1 else x
    return layers.ReLU()(layers.Add()([shortcut, branch(x, filters, stride)]))
