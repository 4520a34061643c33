"""The exercises of the notebook 03_architectures."""

import itertools
from typing import Any

import keras
import numpy as np
from keras import ops

from kerascv_course._models import flat_layers
from kerascv_course.exercises import answers, networks
from kerascv_course.exercises.sheet import WrongAnswerError, new_sheet, said

sheet, summary, withhold_solutions = new_sheet("03_architectures")

_MACS_PER_MAP = 32 * 32 * (200 + 25 * 32)  # of the reduction and the 5 x 5 behind it, for each map in between
_BLOCK = {"middle": ops.relu, "last": ops.copy, "join": ops.add, "end": ops.relu}
_MISTAKES_OF_THE_BLOCK = (
    ({"join": lambda y, shortcut: y}, "the input is not added: where is the shortcut?"),
    ({"join": ops.maximum}, "of both the larger value is kept; `Add` adds them."),
    ({"join": ops.multiply}, "both are multiplied; `Add` adds them."),
    ({"join": lambda y, shortcut: (y + shortcut) / 2}, "their mean is taken; `Add` adds them."),
    ({"join": ops.subtract}, "one is taken from the other; `Add` adds them."),
    ({"join": lambda y, shortcut: shortcut - y}, "one is taken from the other; `Add` adds them."),
    ({"end": ops.copy}, "a ReLU follows the addition."),
    ({"last": ops.relu}, "the ReLU of the second convolution comes after the addition, not before."),
    ({"middle": ops.copy}, "a ReLU is missing between the two convolutions."),
)
_TOO_MUCH = {
    "AlexNet": "its 62 million parameters take 250 MB, and it needs more than a billion MACs.",
    "VGG16": "its 138 million parameters take 553 MB, and it needs 15 billion MACs.",
    "GoogLeNet": "it is small enough, but needs 1.6 billion MACs.",
    "ResNet50": "its 26 million parameters take 102 MB, and it needs about 4 billion MACs.",
}


@sheet.exercise('Put a list such as `[64, "M", 128, "M"]` in place of None')
def vgg_row(row_b: Any) -> str:
    """Write a row of the slides' table of VGG that lacks a convolution there (erratum of Manco)."""
    words = row_b.replace(",", " ").split() if isinstance(row_b, str) else row_b
    if not isinstance(words, list | tuple | np.ndarray):
        raise WrongAnswerError(f"`row_b` must be a list; it is {answers.kind(row_b)}.")
    words = [str(word).strip().removesuffix(".0") for word in words]
    row = " ".join(word if word.isdecimal() else "M" for word in words)
    *blocks, behind = [[int(maps) for maps in block.split()] for block in row.split("M")]
    counts, weighted = [len(block) for block in blocks], sum(map(len, blocks)) + 3
    maps = [block[-1] for block in blocks if block]
    answers.refuse(
        (behind, "the row ends with a pooling."),
        (len(blocks) != 5, f"poolings: {len(blocks)}; VGG halves the sides five times."),
        (counts == [2, 2, 2, 2, 1], "that is the slide's row: with three dense layers it has 12 layers, not 13."),
        (weighted != 13, f"with the three dense layers that is VGG{weighted}, not VGG13."),
        (counts != [2] * 5, f"the blocks have {counts} convolutions. In column B all blocks have as many."),
        (maps == [64, 128, 256, 512, 1024], "the maps do not double in block 5: 512 stay 512."),
        (blocks != [[n, n] for n in (64, 128, 256, 512, 512)], f"the blocks have {blocks} maps."),
        start="`row_b`: ",
    )
    return "ten convolutions and three dense layers: 13 layers, 133,047,848 parameters."


@sheet.exercise()
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


@sheet.exercise("Put the function back")
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
        layers = flat_layers(model)
        convolutions = [layer for layer in layers if isinstance(layer, keras.layers.Conv2D)]
        norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
        shapes = sorted(tuple(layer.kernel.shape) for layer in convolutions)
        large, small = sorted([(3, 3, 8, filters), (3, 3, filters, filters)]), (1, 1, 8, filters)
        answers.refuse(
            (returned != expected, f" it returns {returned}; it must be {expected}."),
            (shapes[-2:] != large or len(shapes) > 3, ": it has two convolutions of 3 x 3 beside the shortcut."),
            (changes and shapes[0] != small, ": the shortcut is not projected by a 1 x 1 convolution."),
            (not changes and len(shapes) > 2, ": nothing has to be projected."),
            (len(norms) != len(shapes), f": {len(shapes)} convolutions, {len(norms)} batch normalizations."),
            start=where,
        )
        rng = np.random.default_rng(0)
        for layer in (*convolutions, *norms):  # biases of 0, so that it is the same with and without them
            drawn = [rng.uniform(0.5, 2, weight.shape) for weight in layer.get_weights()]
            kernel = [rng.normal(0, 0.3, drawn[0].shape), *(0 * bias for bias in drawn[1:])]
            layer.set_weights(drawn if layer in norms else kernel)
        images = rng.normal(size=(2, 6, 6, 8)).astype("float32")
        given = networks.predictions("the block", model, images, output_shape=expected)
        if not _computes(given, images, convolutions, norms, _BLOCK):
            mistakes = ((_BLOCK | mistake, sentence) for mistake, sentence in _MISTAKES_OF_THE_BLOCK)
            reasons = ((_computes(given, images, convolutions, norms, how), what) for how, what in mistakes)
            another = "it computes something else than ReLU(shortcut + two convolutions)."
            answers.refuse(*reasons, (True, another), start=f"{where}: ")
    return "the shortcut has the shape of the sum in all four cases, and is the plain input where that fits."


def _computes(given: Any, images: Any, convolutions: Any, norms: Any, how: Any) -> Any:
    """Tell whether a block computes what is given, in whatever order its layers come."""

    def convolve(layer: Any, x: Any) -> Any:
        padded = layer.padding == "valid" and layer.kernel_size == (3, 3)  # by a layer of its own
        return layer(ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]) if padded else x)

    for first, second, *third in itertools.permutations(convolutions):
        if first.kernel.shape[:3] != (3, 3, 8) or second.kernel.shape[0] != 3:
            continue
        for norm_1, norm_2, *norm_3 in itertools.permutations(norms):
            y = norm_2(convolve(second, how["middle"](norm_1(convolve(first, images)))))
            shortcut = norm_3[0](third[0](images)) if third else ops.convert_to_tensor(images)
            block = ops.convert_to_numpy(how["end"](how["join"](how["last"](y), shortcut)))
            if block.shape == given.shape and np.allclose(block, given, atol=1e-3 * np.abs(given).max()):
                return True
    return False


@sheet.exercise("Set `choice` to the name of a network and `megabytes` to a number")
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
    answers.expect("megabytes", megabytes, right, mistakes, "multiply its parameters by 4 bytes.", tolerance=0.015)
    return "MobileNetV2, 14.2 MB and 0.3 billion MACs."
