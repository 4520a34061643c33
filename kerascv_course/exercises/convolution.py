"""The exercises of the notebook 01_convolution."""

import math
from typing import Any

import numpy as np

from kerascv_course.architecture import conv_output_size, receptive_field
from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import new_sheet

sheet, summary, withhold_solutions = new_sheet("01_convolution")

LOPSIDED = np.array([[1, 2, 0], [0, 3, 0], [0, 0, 4]], "float32")


@sheet.exercise()
def count_parameters(parameters_first: Any, parameters_second: Any) -> str:
    """Predict the parameters of two convolution layers (Di Stefano)."""
    first, second = (parameters_first, 3, 2, 5), (parameters_second, 8, 16, 3)
    for name, (answer, maps, filters, side) in (("parameters_first", first), ("parameters_second", second)):
        weights = side * side * maps * filters
        mistakes = {
            weights: f"these are the weights. Each of the {filters} filters also has a bias.",
            weights + 1: f"there is not one bias in all: each of the {filters} filters has its own.",
            side * side * filters + filters: f"each filter has a kernel for each of the {maps} input maps.",
            side * side * maps + 1: f"that is one filter. There are {filters}.",
            side * maps * filters + filters: f"a kernel of {side} x {side} has {side * side} weights.",
            weights + maps * filters: "a filter has one bias, not one for each input map.",
        }
        otherwise = "count kernel height x kernel width x input maps for each filter, and its bias."
        answers.expect(name, answer, weights + filters, mistakes, otherwise)
    return "152 and 1,168. The size of the image does not matter."


@sheet.exercise("Put the function back")
def output_size(output_size: Any) -> str:
    """Repair the formula of the output size, which the slides round up (Manco CNN)."""

    def solve(size: Any, kernel: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> Any:
        right = conv_output_size(size, kernel, stride=stride, padding=padding, dilation=dilation)
        free = size + 2 * padding - dilation * (kernel - 1) - 1
        return (right, f"Keras gives {right}. Which positions can the kernel take?"), {
            math.ceil(free / stride) + 1: "it rounds up still: may the last step leave the image?",
            free / stride + 1: "it does not round.",
            free // stride: "one position is missing: the first one, before any step.",
            (free - padding) // stride + 1: "the padding is on both sides.",
            (size + 2 * padding - kernel) // stride + 1: "the kernel reaches over D(K - 1) + 1 pixels.",
        }

    # Size, kernel, stride, padding, dilation
    cases = [(6, 3, 2), (32, 5), (227, 11, 4), (224, 7, 2, 3), (10, 3, 3, 1), (20, 3, 2, 1, 2)]
    answers.expect_results("output_size", output_size, cases, solve)
    return f"the function agrees with Keras in all {len(cases)} cases."


@sheet.exercise("Put your own lines in place of `return None`")
def same_padding(same_padding: Any) -> str:
    """Compute the pixels that `same` adds on each side, with a stride."""

    def solve(size: Any, kernel: Any, stride: Any) -> Any:
        missing = (size - 1) // stride * stride + kernel - size
        added = max(missing, 0)
        right = np.array([added // 2, added - added // 2])
        of_stride_1 = "that is what stride 1 needs. Where does the last kernel end here?"
        fits = "the last kernel fits: nothing is added, and nothing taken off."
        return right, [
            (right[::-1], "the pixel that is left over comes behind, not before."),
            ([(kernel - 1) // 2, kernel // 2], of_stride_1),
            ([kernel // 2] * 2, of_stride_1),
            ([added, added], "that is all of it on each side."),
            ([0, added], "as much as possible comes before: half of it, rounded down."),
            ([missing // 2, missing - missing // 2], fits),
            (added, "return two numbers: the pixels before and the pixels behind."),
        ]

    cases = [(224, 7, 2), (6, 3, 2), (7, 3, 2), (6, 1, 2), (32, 5, 1), (10, 4, 1), (9, 2, 4), (12, 5, 3)]
    answers.expect_results("same_padding", same_padding, cases, solve)
    return "an even side and a stride of 2 have the zeros on one side only."


@sheet.exercise("Put an array made from `lopsided` in place of None")
def flipped_kernel(flipped: Any) -> str:
    """Find the kernel with which correlation is convolution (Boracchi; erratum of Di Stefano)."""
    mistakes = [
        (LOPSIDED, "that is the kernel as it was: this is correlation."),
        (LOPSIDED[::-1], "the rows are flipped, the columns not yet. Convolution flips both axes."),
        (LOPSIDED[:, ::-1], "the columns are flipped, the rows not yet. Convolution flips both axes."),
        (LOPSIDED.T, "that is the transposed kernel. Turn it by 180 degrees instead."),
        (np.rot90(LOPSIDED), "that is a turn by 90 degrees. Turn it by 180."),
        (np.rot90(LOPSIDED, 3), "that is a turn by 90 degrees. Turn it by 180."),
        (-LOPSIDED, "the sign belongs to the index, not to the weights."),
    ]
    otherwise = "correlation of one bright pixel with `flipped` must show `lopsided` itself."
    answers.expect("flipped", flipped, LOPSIDED[::-1, ::-1], mistakes, otherwise)
    return "correlation of one bright pixel with it shows the kernel itself."


@sheet.exercise('Set `cheaper` to "one 5 x 5" or "two 3 x 3" and `saved` to a number')
def cheaper_design(cheaper: Any, saved: Any) -> str:
    """Choose between one 5x5 and two 3x3 layers, and say what the choice saves (Di Stefano)."""
    one_5x5 = "one 5 x 5 has 25 weights for each pair of maps; two 3 x 3 have 2 · 9 = 18."
    answers.expect_choice("cheaper", cheaper, "two 3 x 3", {"one 5 x 5": one_5x5})
    right = 7 * 64 * 64 - 64
    mistakes = {
        7 * 64 * 64: "these are the weights. The two layers have 64 biases more than the one.",
        7 * 64 * 64 + 64: "the biases count the other way: two layers have more of them, so less is saved.",
        -right: "it is the number that is saved: positive.",
        18 * 64 * 64 + 2 * 64: "that is what two 3 x 3 have. How many fewer is that?",
        25 * 64 * 64 + 64: "that is what one 5 x 5 has. How many fewer have two 3 x 3?",
        16 * 64 * 64: "that compares with one 3 x 3. Two of them are needed to see 5 x 5 pixels.",
        7 * 64 - 64: "each of the 64 filters has a kernel for each of 64 maps: 64 · 64 kernels.",
    }
    answers.expect("saved", saved, right, mistakes, "use the table with C = 64.")
    return "28,608 parameters, 28 %. The price: twice as many activations to store."


@sheet.exercise()
def stem_field(field: Any) -> str:
    """Predict the receptive field of the first layers of ResNet (Di Stefano)."""
    right = receptive_field([(7, 2), (3, 2), (3, 1)])
    mistakes = {
        11: "that is the field after the pooling. The last layer adds 2 steps of 4 pixels.",
        29: "a stride does not widen the layer's own steps, only those of the layers after it.",
        15: "pooling has a stride, too: after it a step is 4 pixels wide.",
        right - 1: "start with 1: the pixel itself.",
        7 * 3 * 3: "sizes of kernels are not multiplied: each layer adds (K - 1) steps.",
        7 + 3 + 3: "a layer adds (K - 1) steps, and they become wider with the strides.",
        right**2: "that is the area. How many pixels wide is it?",
    }
    otherwise = "start with 1; each layer adds (K - 1) times the strides before it."
    answers.expect("field", field, right, mistakes, otherwise)
    return f"{right} pixels."
