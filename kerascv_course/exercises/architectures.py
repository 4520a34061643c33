"""The exercises of the notebook 03_architectures."""

from typing import Any

import keras
import numpy as np

from kerascv_course.exercises import answers, networks
from kerascv_course.exercises.sheet import WrongAnswerError, new_sheet, said

sheet, summary, withhold_solutions = new_sheet("03_architectures")

_MACS_PER_MAP = 32 * 32 * (200 + 25 * 32)  # of the reduction and the 5 x 5 behind it, for each map in between
_TOO_MUCH = {
    "AlexNet": "its 62 million parameters take 250 MB, and it needs more than a billion MACs.",
    "VGG16": "its 138 million parameters take 553 MB, and it needs 15 billion MACs.",
    "GoogLeNet": "it is small enough, but needs 1.6 billion MACs.",
    "ResNet50": "its 26 million parameters take 102 MB, and it needs about 4 billion MACs.",
}


@sheet.exercise(
    "The pooling leaves 512 maps of 7 x 7 values, one after the other in a vector.",
    "Each of the 4,096 units has a weight for each of the 7 · 7 · 512 values, and a bias.",
)
def first_dense_layer(fc1_parameters: Any) -> str:
    """Predict the parameters of VGG16's first fully connected layer (Di Stefano)."""
    right = 7 * 7 * 512 * 4096 + 4096
    mistakes = {
        right - 4096: "these are the weights. Each of the 4,096 units also has a bias.",
        right - 4095: "there is not one bias in all: each unit has its own.",
        512 * 4096 + 4096: "that is with one value per map. There are 7 x 7.",
        7 * 512 * 4096 + 4096: "the maps are 7 x 7: 49 values each.",
        14 * 14 * 512 * 4096 + 4096: "the last pooling halves 14 to 7.",
        7 * 7 * 512: "these are the values that it reads. Each unit has a weight for each of them.",
        138_357_544: "that is the whole network.",
        123_642_856: "that is all three dense layers.",
    }
    answers.expect("fc1_parameters", fc1_parameters, right, mistakes, "how many values are 512 maps of 7 x 7?")
    return "102,764,544: three quarters of the whole network in one layer."


@sheet.exercise(
    "Output size without padding: (I - K) / S, rounded down, plus 1.",
    "(224 - 11) / 4 = 53.25: the kernel starts at 0, 4, ..., 212.",
)
def alexnet_sides(side_conv1: Any, side_pool1: Any) -> str:
    """Compute what AlexNet's first layers would make of 224 pixels (erratum of the paper)."""
    one_missing = "one position is missing: the first, before any step."
    conv_mistakes = {
        55: "that is with 227 pixels. These are 224.",
        56: "that is with padding: 224 / 4.",
        53: one_missing,
    }
    pool_mistakes = {
        27: "that is rounded up, or the pooling of 55. From 54: (54 - 3) / 2 = 25.5.",
        25: one_missing,
        18: "the pooling moves by 2, its window is 3.",
    }
    answers.expect("side_conv1", side_conv1, 54, conv_mistakes, "use (I - K) / S, rounded down, plus 1.")
    answers.expect("side_pool1", side_pool1, 26, pool_mistakes, "use the same formula with 54.")
    return "54 and 26. The paper's 55 and 27 need 227 pixels."


@sheet.exercise(
    "Write the MACs of both layers with n maps in between.",
    "32 · 32 · 200 · n for the 1 x 1, and 32 · 32 · 25 · n · 32 for the 5 x 5.",
    "One map in between costs 1,024 · (200 + 800) = 1,024,000 MACs.",
)
def reduction(maps_between: Any) -> str:
    """Choose the reduction of an inception branch for a budget (Di Stefano)."""
    given = answers.whole_number("maps_between", maps_between)
    mistakes = {
        16: "that is the slide's reduction, for 16.4 million. The budget is 50 million.",
        61: "that is the 5 x 5 alone. Making the maps costs something, too.",
        244: "that is the 1 x 1 alone. Using the maps costs four times as much.",
        50_000: "each map is computed at 32 · 32 positions.",
    }
    costs = f"both cost {given * _MACS_PER_MAP / 1e6:,.1f} million MACs"
    otherwise = f"{costs}: there is room for more." if given < 48 else f"{costs}."
    if given < 1:
        otherwise = "at least one map must be left."
    answers.expect("maps_between", given, 50_000_000 // _MACS_PER_MAP, mistakes, otherwise)
    return f"48 maps, {48 * _MACS_PER_MAP / 1e6:.1f} million MACs instead of 163.8 million."


@sheet.exercise(
    "`Add` needs two tensors of one shape. Which shape has the shortcut when the stride is 2?",
    "The projection is needed where the number of maps changes, or the stride is not 1.",
    to_do="Put the function back, and run that cell.",
)
def residual_block(residual_block: Any) -> str:
    """Repair a residual block whose shortcut is not projected where it must be (erratum of Manco)."""
    for filters, stride in ((8, 1), (16, 1), (16, 2), (8, 2)):
        where = f"With {filters} filters and stride {stride} on 8 maps of 6 x 6"
        inputs = keras.Input((6, 6, 8))
        try:
            outputs = answers.outcome("residual_block", residual_block, inputs, filters, stride)
            model = keras.Model(inputs, outputs)
        except WrongAnswerError as error:
            needs = " The shortcut is larger than what it is added to." if stride == 2 else ""
            raise WrongAnswerError(f"{where}: {str(error).split(')` ', 1)[-1]}{needs}") from None
        except Exception as error:
            raise WrongAnswerError(f"{where}: it returns no tensor made of its input ({said(error)}).") from None
        returned, expected = model.output_shape[1:], (6 // stride, 6 // stride, filters)
        changes = filters != 8 or stride != 1
        kernels = [tuple(weight.shape[:2]) for weight in model.weights if len(weight.shape) == 4]
        answers.refuse(
            (returned != expected, f" it returns {returned}; it must be {expected}."),
            (kernels.count((3, 3)) != 2, ": it has two convolutions of 3 x 3 beside the shortcut."),
            (changes and (1, 1) not in kernels, ": the shortcut is not projected by a 1 x 1 convolution."),
            (not changes and (1, 1) in kernels, ": nothing has to be projected."),
            start=where,
        )
        images = np.random.default_rng(0).normal(size=(2, 6, 6, 8)).astype("float32")
        model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
        given = networks.predictions("the block", model, images, output_shape=expected)
        not_added = f"{where} and all weights zero it must return its input after a ReLU: is it added?"
        answers.refuse((not changes and not np.allclose(given, np.maximum(images, 0), atol=1e-5), not_added))
    return "the shortcut has the shape of the sum in all four cases, and is the plain input where that fits."


@sheet.exercise(
    "The comparison above has parameters and MACs of each. A parameter takes 4 bytes.",
    "Two of them have less than 25 million parameters. Which of the two has less than 500 million MACs?",
    to_do="Set `choice` to the name of a network and `megabytes` to a number, run that cell, and then this one.",
)
def for_a_phone(choice: Any, megabytes: Any) -> str:
    """Choose a network by its size and its work."""
    answers.expect_choice("choice", choice, "MobileNetV2", _TOO_MUCH)
    mistakes = {
        3.52: "these are millions of parameters. Each takes 4 bytes.",
        13.5: "that is in MiB, of 1,048,576 bytes.",
        28.3: "float32 has 4 bytes, not 8.",
        7.08: "float32 has 4 bytes, not 2.",
        9.03: "that is without the classifier.",
    }
    right = 3_538_984 * 4 / 1e6
    answers.expect("megabytes", megabytes, right, mistakes, "multiply its parameters by 4 bytes.", tolerance=0.01)
    return "MobileNetV2, 14.2 MB and 0.3 billion MACs."
