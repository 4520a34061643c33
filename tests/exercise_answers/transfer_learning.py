"""Answers to the exercises of 07_transfer_learning."""

import numpy as np
from keras import layers


def freeze(backbone, first_trained):
    trained = False
    for layer in backbone.layers:
        trained = trained or layer.name == first_trained
        layer.trainable = trained and not isinstance(layer, layers.BatchNormalization)
    return backbone


def freeze_by_index(backbone, first_trained):
    place = [layer.name for layer in backbone.layers].index(first_trained)
    for layer in backbone.layers[:place]:
        layer.trainable = False
    for layer in backbone.layers[place:]:
        layer.trainable = not layer.name.endswith("bn")
    return backbone


def batch_norm_trained(backbone, first_trained):
    place = [layer.name for layer in backbone.layers].index(first_trained)
    for number, layer in enumerate(backbone.layers):
        layer.trainable = number >= place
    return backbone


def one_too_many(backbone, first_trained):
    place = [layer.name for layer in backbone.layers].index(first_trained)
    for number, layer in enumerate(backbone.layers):
        layer.trainable = number > place and not isinstance(layer, layers.BatchNormalization)
    return backbone


def the_wrong_way_round(backbone, first_trained):
    place = [layer.name for layer in backbone.layers].index(first_trained)
    for number, layer in enumerate(backbone.layers):
        layer.trainable = number <= place and not isinstance(layer, layers.BatchNormalization)
    return backbone


def all_frozen(backbone, first_trained):
    backbone.trainable = False
    return backbone


def only_that_layer(backbone, first_trained):
    for layer in backbone.layers:
        layer.trainable = layer.name == first_trained
    return backbone


def by_text(backbone, first_trained):
    for layer in backbone.layers:
        layer.trainable = layer.name >= first_trained and not layer.name.endswith("bn")
    return backbone


def convolutions_alone(backbone, first_trained):
    trained = False
    for layer in backbone.layers:
        trained = trained or layer.name == first_trained
        layer.trainable = trained and type(layer) is layers.Conv2D
    return backbone


def five(backbone, first_trained):
    freeze(backbone, first_trained)
    return 5


def whole_first(backbone, first_trained):
    """Unfreeze all, then freeze what comes before, and the batch normalization."""
    backbone.trainable = True
    names = [layer.name for layer in backbone.layers]
    for layer in backbone.layers[: names.index(first_trained)]:
        layer.trainable = False
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    return backbone


ARGUMENTS = {"input_shape": (96, 96, 3), "include_top": False, "weights": None, "pooling": "avg"}

RIGHT = {
    "head_size": [lambda: (12_810, 1_281), lambda: (np.int64(12_810), 1281.0)],
    "freezing": [lambda: (freeze,), lambda: (freeze_by_index,), lambda: (whole_first,)],
    "backbone_arguments": [lambda: (ARGUMENTS,), lambda: ({**ARGUMENTS, "alpha": 0.35},)],
    "binary_head": [lambda: ("sigmoid", "binary_crossentropy"), lambda: (" Sigmoid", "BINARY_CROSSENTROPY")],
}

UNTOUCHED = {
    "head_size": (lambda: (None, None), "Put your answer in place of None"),
    "freezing": (lambda: (lambda backbone, first_trained: None,), "Put your own line in place of `return None`"),
    "backbone_arguments": (lambda: (None,), "Put a dictionary of arguments in place of None"),
    "binary_head": (lambda: (None, None), "Put your answer in place of None"),
}

WRONG = {
    "head_size": [
        (lambda: (12_800, 1_281), "the biases are missing"),
        (lambda: (12_801, 1_281), "a bias of its own"),
        (lambda: (1_290, 1_281), "multiply"),
        (lambda: (12_810, 2_562), "two units"),
        (lambda: (12_810, 1_280), "the biases are missing"),
        (lambda: (5, 1_281), "count weights and biases"),
    ],
    "freezing": [
        (lambda: (batch_norm_trained,), "the batch normalization depthwise_bn, conv10_bn is trained"),
        (lambda: (one_too_many,), "depthwise itself is frozen"),
        (lambda: (the_wrong_way_round,), "layers before it are trained"),
        (lambda: (all_frozen,), "nothing is trained any more"),
        (lambda: (lambda backbone, first_trained: backbone,), "All layers are trained still"),
        (lambda: (only_that_layer,), "With `first_trained='depthwise'`: conv10, features should be trained"),
        (lambda: (by_text,), "conv10 should be trained and is not"),
        (lambda: (convolutions_alone,), "depthwise itself is frozen"),
        (lambda: (five,), "return the backbone itself"),
    ],
    "backbone_arguments": [
        (lambda: ({**ARGUMENTS, "include_top": True},), "without the classifier it is False"),
        (lambda: ({**ARGUMENTS, "weights": "imagenet"},), "for random ones it is None"),
        (lambda: ({**ARGUMENTS, "pooling": "none"},), "refused by Keras"),
        (lambda: ({**ARGUMENTS, "pooling": "max"},), "the mean was asked for"),
        (lambda: ({**ARGUMENTS, "pooling": "mean"},), "Keras knows"),
        (lambda: ({**ARGUMENTS, "input_shape": (128, 128, 3)},), "leave `input_shape` as it was"),
        (lambda: ({"include_top": False, "pooling": "avg"},), "that is not random"),
        (lambda: ({"input_shape": (96, 96, 3)},), "1,000 classes stays"),
        (lambda: ("avg",), "must be a dictionary"),
        (lambda: ({"include_top": False, "weights": None},), "would end in maps, not in a vector"),
        (lambda: ({**ARGUMENTS, "pooling": None},), "Without pooling the model ends in maps"),
    ],
    "binary_head": [
        (lambda: ("softmax", "binary_crossentropy"), "always 1"),
        (lambda: ("tanh", "binary_crossentropy"), "from -1 to 1"),
        (lambda: ("sigmoid", "sparse_categorical_crossentropy"), "one output for each class"),
        (lambda: ("sigmoid", "mse"), "that is for numbers"),
        (lambda: ("relu", "binary_crossentropy"), "no upper bound"),
        (lambda: ("linear", "binary_crossentropy"), "no bounds"),
        (lambda: ("sigmoid", "categorical_crossentropy"), "one output for each class"),
        (lambda: ("sigmoid", "mae"), "that is for numbers"),
    ],
}
