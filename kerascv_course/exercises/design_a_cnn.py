"""The exercises of the notebook 11_design_a_cnn."""

from typing import Any

import numpy as np

from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import new_sheet

sheet, summary, withhold_solutions = new_sheet("11_design_a_cnn")


@sheet.exercise()
def dense_parameters(dense_parameters: Any) -> str:
    """Count the parameters of the dense layer behind some blocks."""

    def solve(side: Any, depth: Any, filters: Any) -> Any:
        small, maps = side // 2**depth, filters * 2 ** (depth - 1)
        right = small**2 * maps * 10 + 10
        halved = side / 2**depth
        return (right, "count the values after Flatten, then the weights and biases of 10 units."), {
            side**2 * maps * 10 + 10: "each block halves the side.",
            small * maps * 10 + 10: "the maps have two sides.",
            small**2 * filters * 10 + 10: "each block has twice the filters of the one before.",
            small**2 * 2 * maps * 10 + 10: "that is the number of maps after one more block.",
            (side // 2 ** (depth - 1)) ** 2 * maps * 10 + 10: "the last block has a pooling, too.",
            int(halved**2 * maps * 10 + 10): "half a pixel is no pixel: a pooling rounds down.",
            small**2 * maps + 10: "there are 10 units.",
            right - 10: "these are the weights. Each unit has a bias, too.",
            right - 9: "each of the 10 units has a bias of its own.",
        }

    answers.expect_results("dense_parameters", dense_parameters, [(32, 2, 16), (32, 1, 8), (30, 3, 4)], solve)
    return "each pooling divides the values by four, each block doubles the maps."


@sheet.exercise('Put a set such as {"first kernel", "dense bias"} in place of None')
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


@sheet.exercise()
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


@sheet.exercise()
def clip_gradient(clip: Any) -> str:
    """Shorten a gradient that is too long."""

    def solve(gradient: Any, longest: Any) -> Any:
        length = float(np.linalg.norm(gradient))
        if length <= longest:
            no_direction = "a gradient of length 0 has no direction; leave it."
            enough = f"a gradient of length {length:g} is short enough: it stays as it is."
            return (gradient, enough), [(np.full_like(gradient, np.nan), no_direction)]
        by_itself = "each number was cut by itself, as `clipvalue` does: the direction has changed."
        return (gradient * longest / length, "that is not the same direction, at the length asked for."), [
            (np.clip(gradient, -longest, longest), by_itself),
            (gradient, f"its length is {length:g} still."),
            (gradient / length, "that has length 1; `longest` was asked for."),
        ]

    cases = [([3.0, -4.0], 1.0), ([0.3, 0.4], 1.0), ([6.0, 8.0, 0.0], 5.0), ([0.0, 0.0], 1.0)]
    with np.errstate(invalid="ignore", divide="ignore"):
        answers.expect_results("clip", clip, cases, solve)
    return "the direction stays, the length is at most what was allowed."
