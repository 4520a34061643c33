"""The exercises of the notebook 04_residual_learning."""

import math
from typing import Any

from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import new_sheet

sheet, summary, withhold_solutions = new_sheet("04_residual_learning")


@sheet.exercise(
    "Take away the first convolution and the dense layer. What is left is shared by three stages.",
    "Each block has two layers: 56 = 2 + 3 · 2 · n.",
)
def blocks_per_stage(blocks_per_stage: Any) -> str:
    """Count the blocks of the paper's network with 56 layers (He et al.)."""
    given = answers.whole_number("blocks_per_stage", blocks_per_stage)
    mistakes = {
        18: "that is the number of layers of a stage, or each block has two of them.",
        27: "that is the number of all blocks. There are three stages.",
        54: "that is the number of convolutions in all blocks.",
        3: "that is the network with 20 layers.",
        8: "that is the network with 50 layers: 2 + 6 · 8.",
    }
    otherwise = f"with so many blocks it would have {2 + 6 * given} layers."
    answers.expect("blocks_per_stage", given, 9, mistakes, otherwise)
    return "9 blocks of two layers in three stages, and two layers more: 56."


@sheet.exercise(
    "A sum of n products has n times the variance of one of them.",
    "The ReLU halves the mean square, so the variance of the weights must be 2 / n.",
    "The standard deviation is the root of the variance.",
)
def he_deviation(deviation: Any) -> str:
    """Write He's standard deviation of the weights (He et al., 2015)."""

    def solve(inputs: int) -> tuple[float, dict[float, str]]:
        return math.sqrt(2 / inputs), {
            2 / inputs: "that is the variance. The standard deviation is its root.",
            math.sqrt(1 / inputs): "that is without the ReLU, which halves the mean square.",
            math.sqrt(inputs / 2): "the more values are added, the smaller each weight must be.",
            1 / inputs: "that is a variance, and without the ReLU.",
            math.sqrt(2) / inputs: "the root goes over the whole fraction.",
        }

    answers.expect_results("deviation", deviation, [(9,), (144,), (27,)], solve)
    return "the root of 2 / n."


@sheet.exercise(
    "The output is x + y. What must y be, so that this is x?",
    "A convolution that copies: map i of the output is map i of the input, each pixel on its own.",
    to_do='Set `residual_value` to a number and `plain_nonzero` to "1", "C", "C²" or "9C²", and run that cell.',
)
def identity(residual_value: Any, plain_nonzero: Any) -> str:
    """Say what weights pass the input on, with and without a shortcut (He et al.)."""
    mistakes = {1: "then the block adds a sum over all its neighbours to the input."}
    otherwise = "the block adds something to its input then. What must it add?"
    answers.expect("residual_value", residual_value, 0.0, mistakes, otherwise)
    reasons = {
        "1": "one weight other than zero passes on one map. There are C of them.",
        "C²": "C² ones would add all maps to each other.",
        "9C²": "with all of them each output would be a sum over neighbours and maps.",
    }
    answers.expect_choice("plain_nonzero", plain_nonzero, "C", reasons)
    return "a residual block starts near the identity, a plain one has to find it."
