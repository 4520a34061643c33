"""Answers to the exercises of 03_architectures."""

import numpy as np
from keras import layers, ops

RIGHT = {
    "first_dense_layer": [lambda: (25_088 * 4_096 + 4_096,), lambda: (np.int64(102_764_544),)],
    "alexnet_sides": [lambda: (54, 26), lambda: (np.floor(213 / 4) + 1, 26.0)],
    "reduction": [lambda: (48,), lambda: (np.int32(48),)],
    "residual_block": [lambda: (repaired,), lambda: (written_otherwise,)],
    "for_a_phone": [lambda: ("MobileNetV2", 14.155936), lambda: ("mobilenetv2", 14.28)],
}

UNTOUCHED = {
    "first_dense_layer": (lambda: (None,), "Put your answer in place of None"),
    "alexnet_sides": (lambda: (None, None), "Put your answer in place of None"),
    "reduction": (lambda: (None,), "Put your answer in place of None"),
    "residual_block": (lambda: (of_the_slide,), "The shortcut is larger than what it is added to"),
    "for_a_phone": (lambda: (None, None), "Set `choice` to the name of a network"),
}

WRONG = {
    "first_dense_layer": [
        (lambda: (102_760_448,), "these are the weights"),
        (lambda: (2_101_248,), "that is with one value per map"),
        (lambda: (14_684_160,), "the maps are 7 x 7: 49 values each"),
        (lambda: (411_045_888,), "the last pooling halves 14 to 7"),
        (lambda: (25_088,), "these are the values that it reads"),
        (lambda: (138_357_544,), "that is the whole network"),
        (lambda: (123_642_856,), "that is all three dense layers"),
        (lambda: (4_096,), "how many values are 512 maps"),
        (lambda: (102_760_449,), "each unit has its own"),
    ],
    "alexnet_sides": [
        (lambda: (55, 27), "that is with 227 pixels"),
        (lambda: (56, 27), "that is with padding"),
        (lambda: (53, 26), "one position is missing"),
        (lambda: (54, 27), "that is rounded up, or the pooling of 55"),
        (lambda: (54, 25), "one position is missing"),
        (lambda: (54, 18), "the pooling moves by 2"),
        (lambda: (54.25, 26), "`side_conv1` is 54.25; it must be an integer"),
        (lambda: (60, 26), "use (I - K) / S"),
        (lambda: (54, 30), "the same formula with 54"),
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
        (lambda: (without_addition,), "is it added?"),
        (lambda: (without_stride,), "it returns (6, 6, 16); it must be (3, 3, 16)"),
        (lambda: (pooled_shortcut,), "the shortcut is not projected by a 1 x 1 convolution"),
        (lambda: (lambda x, filters, stride: None,), "returns nothing: does it lack a `return`?"),
        (lambda: (lambda x: x,), "stops with `TypeError"),
        (lambda: (single_convolution,), "it has two convolutions of 3 x 3 beside the shortcut"),
        (lambda: (lambda x, filters, stride: 3,), "it returns no tensor made of its input"),
    ],
    "for_a_phone": [
        (lambda: ("AlexNet", 250), "its 62 million parameters take 250 MB"),
        (lambda: ("VGG16", 553), "15 billion MACs"),
        (lambda: ("GoogLeNet", 28), "it is small enough, but needs 1.6 billion MACs"),
        (lambda: ("ResNet50", 102), "about 4 billion MACs"),
        (lambda: ("MobileNetV2", 3.5), "these are millions of parameters"),
        (lambda: ("MobileNetV2", 13.5), "that is in MiB"),
        (lambda: ("MobileNetV2", 28.3), "not 8"),
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
        x = layers.Conv2D(filters, 1, stride)(x)
    return ops.relu(x + y)


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
