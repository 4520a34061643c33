"""The exercises of the notebook 07_transfer_learning."""

from typing import Any

import keras
from keras import layers

from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import new_sheet

sheet, summary, withhold_solutions = new_sheet("07_transfer_learning")

_FEATURES = 1280


@sheet.exercise()
def head_size(ten_classes: Any, one_unit: Any) -> str:
    """Count the weights of two heads."""
    for name, answer, units in (("ten_classes", ten_classes, 10), ("one_unit", one_unit, 1)):
        mistakes = {
            _FEATURES * units: "the biases are missing, one for each unit.",
            _FEATURES * units + 1: "each unit has a bias of its own.",
            _FEATURES + units: "each unit has a weight for each feature: multiply.",
            (_FEATURES + 1) * 2: "that are two units.",
        }
        answers.expect(name, answer, (_FEATURES + 1) * units, mistakes, "count weights and biases.")
    return "12,810 weights and 1,281: the backbone has more than two million."


@sheet.exercise()
def freezing(freeze: Any) -> str:
    """Freeze a backbone up to a layer, and its batch normalization everywhere."""
    for first in ("depthwise", "conv9", "conv10", "features"):
        backbone = _small_backbone()
        result = answers.outcome("freeze", freeze, backbone, first)
        own = [layer.name for layer in backbone.layers if layer.weights]
        after = [name for name in own[own.index(first) :] if not name.endswith("bn")]
        trained = [layer.name for layer in backbone.layers if layer.trainable and layer.weights]
        normalizing = ", ".join(name for name in trained if name.endswith("bn"))
        earlier = ", ".join(name for name in trained if name in own[: own.index(first)])
        loop = "Set `layer.trainable` in a loop over `backbone.layers`."
        answers.refuse((trained == own, f"All layers are trained still. {loop}"))
        answers.refuse(
            (not trained, "nothing is trained any more."),
            (normalizing, f"the batch normalization {normalizing} is trained."),
            (first not in trained, f"{first} itself is frozen: it is the first one that is trained."),
            (earlier, f"layers before it are trained: {earlier}."),
            (trained != after, f"{', '.join(sorted(set(after) - set(trained)))} should be trained and is not."),
            start=f"With `first_trained={first!r}`: ",
        )
        answers.refuse((result is not backbone, "The layers are right. Now return the backbone itself."))
    return "what comes before is frozen, and batch normalization everywhere."


def _small_backbone() -> Any:
    """Return a backbone in whose names the order of letters is not the order of the layers."""
    x = inputs = keras.Input((8, 8, 3))
    for layer in (
        layers.Conv2D(2, 3, padding="same", name="conv9"),
        layers.DepthwiseConv2D(3, padding="same", name="depthwise"),
        layers.Conv2D(2, 3, padding="same", name="conv10"),
    ):
        x = layers.BatchNormalization(name=f"{layer.name}_bn")(layer(x))
        x = layers.ReLU(name=f"{layer.name}_relu")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(4, name="features")(x))


@sheet.exercise("Put a dictionary of arguments in place of None")
def backbone_arguments(arguments: Any) -> str:
    """Choose the arguments of a network of keras.applications."""
    answers.dictionary("arguments", arguments)
    left_out = {
        "include_top": "Left out, `include_top` is True: the classifier of ImageNet's 1,000 classes stays.",
        "weights": "Left out, `weights` is 'imagenet': that is not random, and a download.",
        "pooling": "Left out, `pooling` is None: the model would end in maps, not in a vector.",
    }
    answers.refuse(*((name not in arguments, reason) for name, reason in left_out.items()))
    top, weights, pooling = (arguments[name] for name in left_out)
    in_maps = "Without pooling the model ends in maps. (And `'none'` in quotes is refused by Keras.)"
    answers.refuse(
        (top is not False, f"`include_top` is {top!r}: without the classifier it is False."),
        (weights is not None, f"`weights` is {weights!r}: for random ones it is None, without quotes."),
        (pooling in (None, "none"), in_maps),
        (pooling == "max", "`'max'` keeps the largest value of each map; the mean was asked for."),
        (pooling != "avg", f"`pooling` is {pooling!r}; Keras knows 'avg', 'max' and None."),
    )
    model = answers.outcome("keras.applications.MobileNetV2", keras.applications.MobileNetV2, **arguments)
    received, features = model.input_shape[1:], model.output_shape[1]
    answers.refuse((received != (96, 96, 3), f"The model takes {received}: leave `input_shape` as it was."))
    return f"it makes {features:,} features of an image, with {model.count_params():,} random weights."


@sheet.exercise()
def binary_head(activation: Any, loss: Any) -> str:
    """Choose activation and loss of a single unit."""
    activations = {
        "softmax": "a softmax of one unit is always 1.",
        "relu": "it has no upper bound, so it is no probability.",
        "linear": "it has no bounds, so it is no probability.",
        "tanh": "it goes from -1 to 1; a probability goes from 0 to 1.",
    }
    losses = {
        "categorical_crossentropy": "it wants one output for each class.",
        "sparse_categorical_crossentropy": "it wants one output for each class.",
        "mse": "that is for numbers, not for probabilities.",
        "mae": "that is for numbers, not for probabilities.",
    }
    answers.expect_choice("activation", activation, "sigmoid", activations)
    answers.expect_choice("loss", loss, "binary_crossentropy", losses)
    return "a sigmoid, and the cross-entropy of two classes."
