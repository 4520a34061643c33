"""The exercises of the notebook 11_design_a_cnn."""

import math
from typing import Any

import numpy as np

from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import new_sheet

sheet, summary, withhold_solutions = new_sheet("11_design_a_cnn")


@sheet.exercise(
    "A filter has a weight for each place of the kernel and each input map, and one bias.",
    "5 * 5 * 64 weights and a bias, for each of 64 filters; and the same for 3x3, twice.",
)
def two_for_one(one_5x5: Any, two_3x3: Any) -> str:
    """Count the parameters of one large kernel and of two small ones."""
    one_mistakes = {
        102_400: "each of the 64 filters has a bias.",
        1_664: "each filter has a 5x5 kernel for each of the 64 input maps.",
        102_401: "there is one bias for each filter, not one for all.",
    }
    two_mistakes = {
        36_928: "that is one 3x3 convolution.",
        73_728: "each filter has a bias, in both convolutions.",
        73_792: "the second convolution has biases, too.",
        1_280: "each filter has a 3x3 kernel for each of the 64 input maps.",
    }
    otherwise = "places times input maps, plus one bias, for each filter."
    answers.expect("one_5x5", one_5x5, 102_464, one_mistakes, otherwise)
    answers.expect("two_3x3", two_3x3, 73_856, two_mistakes, otherwise)
    return "102,464 against 73,856, and one more activation in between."


@sheet.exercise(
    "The variance is 2 divided by the number of products that an output adds up.",
    "Those are kernel_size * kernel_size * channels.",
    "The deviation is the square root of the variance.",
)
def he_deviation(he_deviation: Any) -> str:
    """Compute the standard deviation of He's initialisation."""

    def solve(kernel_size: int, channels: int) -> tuple[float, dict[float, str]]:
        products = kernel_size**2 * channels
        return math.sqrt(2 / products), {
            2 / products: "that is the variance; its square root was asked for.",
            math.sqrt(1 / products): "a ReLU leaves half of the squares: it takes 2, not 1.",
            math.sqrt(2 / channels): "an output adds up over the places of the kernel as well as over the maps.",
            math.sqrt(2 / (kernel_size * channels)): "the kernel has kernel_size * kernel_size places.",
            math.sqrt(2 / kernel_size**2): "an output adds up over the input maps, too.",
        }

    answers.expect_results("he_deviation", he_deviation, [(3, 64), (5, 3), (1, 200)], solve, tolerance=1e-4)
    return "the square root of 2 over the number of products in a sum."


@sheet.exercise(
    "The gradient of a kernel is what comes in, times what comes back.",
    "What comes out of a convolution whose kernel and bias are zero? What comes back through a zero kernel?",
    "The gradient of a bias is what comes back. Where does something come back?",
    to_do='Put a set such as {"first kernel", "dense bias"} in place of None, run that cell, and then this one.',
)
def what_moves(moves: Any) -> str:
    """Tell which weights move when all start at zero."""
    reasons = {
        "first kernel": "images come in, but what comes back through the kernels behind it, which are zero?",
        "first bias": "its gradient is what comes back, and it passes through zero kernels.",
        "dense kernel": "the error comes back to it, but what comes in from before?",
        "dense bias": "the error arrives here without passing through a kernel.",
    }
    nothing = "Something moves: where does the error arrive without passing through a kernel?"
    answers.refuse((not answers.chosen("moves", moves, list(reasons)), nothing))
    answers.expect_set("moves", moves, {"dense bias"}, reasons)
    return "the dense bias alone, so the network learns how frequent each class is, and nothing of the images."


@sheet.exercise(
    "The interval is the mean of the differences, plus and minus t times their standard error.",
    "The standard error is np.std(differences, ddof=1) / np.sqrt(len(differences)).",
    'Wholly above 0: "holds". Wholly below 0: "does not hold". Otherwise "undecided".',
)
def conclude(conclude: Any) -> str:
    """Draw a conclusion from differences of pairs."""
    # Each case is decided otherwise by one mistake: no spread, no t, no root of n, n in place of n - 1.
    cases = [
        ([0.05, 0.03, 0.03], 4.303, "holds"),
        ([-0.05, -0.04, -0.06], 4.303, "does not hold"),
        ([0.09, -0.04, 0.01], 4.303, "undecided"),
        ([-0.09, 0.04, -0.01], 4.303, "undecided"),
        ([0.04, 0.02, 0.06], 4.303, "undecided"),
        ([0.05, 0.02, 0.06, 0.03, 0.04], 2.776, "holds"),
        ([0.03, -0.02, 0.05, 0.04, 0.06, 0.01], 2.571, "undecided"),
        ([0.045, 0.02, 0.05], 4.303, "undecided"),
    ]
    for differences, t, right in cases:
        result = answers.outcome("conclude", conclude, np.array(differences), t)
        given = answers.choice("the result of conclude", result, ["holds", "does not hold", "undecided"])
        if given == right:
            continue
        mean, n = float(np.mean(differences)), len(differences)
        reach = t * float(np.std(differences, ddof=1)) / np.sqrt(n)
        interval = f"the interval is {100 * (mean - reach):+.2f} to {100 * (mean + reach):+.2f} points"
        swapped, of_all = {given, right} == {"holds", "does not hold"}, t * float(np.std(differences)) / np.sqrt(n)
        answers.refuse(
            (swapped, "is the sign the right way round? Positive differences speak for A."),
            (given == "undecided", "0 is outside. Do you divide by the square root of the number of seeds?"),
            (abs(mean) > of_all, "0 is within. The deviation of a sample takes `ddof=1`."),
            (True, "0 is within. Is `t` times the standard error on both sides of the mean?"),
            start=f"For differences of {differences} you say {given!r}: {interval}, and ",
        )
    return "the interval decides, and where it holds 0 nothing is decided."


@sheet.exercise(
    "`np.linalg.norm(gradient)` is the length.",
    "A gradient that is short enough stays as it is.",
    "A longer one is multiplied by longest / length.",
)
def clip_gradient(clip: Any) -> str:
    """Shorten a gradient that is too long."""

    def solve(gradient: np.ndarray, longest: float) -> tuple[np.ndarray, list[tuple[np.ndarray, str]], str]:
        length = float(np.linalg.norm(gradient))
        if length <= longest:
            no_direction = "a gradient of length 0 has no direction; leave it."
            enough = f"a gradient of length {length:g} is short enough: it stays as it is."
            return gradient, [(np.full_like(gradient, np.nan), no_direction)], enough
        by_itself = "each number was cut by itself, as `clipvalue` does: the direction has changed."
        mistakes = [
            (np.clip(gradient, -longest, longest), by_itself),
            (gradient, f"its length is {length:g} still."),
            (gradient / length, "that has length 1; `longest` was asked for."),
        ]
        return gradient * longest / length, mistakes, "that is not the same direction, at the length asked for."

    cases = [([3.0, -4.0], 1.0), ([0.3, 0.4], 1.0), ([6.0, 8.0, 0.0], 5.0), ([0.0, 0.0], 1.0)]
    with np.errstate(invalid="ignore", divide="ignore"):
        answers.expect_results("clip", clip, cases, solve)
    return "the direction stays, the length is at most what was allowed."
