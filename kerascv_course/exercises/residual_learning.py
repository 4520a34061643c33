"""The exercises of the notebook 04_residual_learning."""

import math
from typing import Any

import numpy as np

from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import new_sheet

sheet, summary, withhold_solutions = new_sheet("04_residual_learning")


@sheet.exercise()
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


@sheet.exercise()
def normalize(normalize: Any) -> str:
    """Write batch normalization in training mode (Ioffe and Szegedy)."""

    def solve(batch: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        def formula(axis: Any = 0, scale: Any = gamma, shift: Any = beta, ddof: Any = 0) -> Any:
            mean, variance = batch.mean(axis, keepdims=True), batch.var(axis, keepdims=True, ddof=ddof)
            return scale * (batch - mean) / np.sqrt(variance + epsilon) + shift

        centred, variance = batch - batch.mean(axis=0), batch.var(axis=0)
        return (formula(), "compare it with the four formulas, one after the other."), [
            (formula(scale=1, shift=0), "scale by gamma and add beta."),
            (formula(shift=0), "beta is missing."),
            (formula(scale=1), "gamma is missing."),
            (formula(scale=beta, shift=gamma), "gamma is the scale, and beta is added."),
            (formula(axis=1), "mean and variance belong to a feature: take them over the images, axis 0."),
            (formula(axis=None), "each feature has its own mean and variance: axis 0."),
            (formula(ddof=1), "the variance is divided by the number of images, not by one less."),
            (gamma * centred / np.sqrt(variance) + beta, "epsilon is missing under the root."),
            (gamma * centred / (np.sqrt(variance) + epsilon) + beta, "epsilon is added under the root."),
            (gamma * centred / (variance + epsilon) + beta, "divide by the root of the variance."),
            (gamma * batch / np.sqrt(variance + epsilon) + beta, "the mean is not subtracted."),
            (gamma * (centred / np.sqrt(variance + epsilon) + beta), "beta is added after the scaling."),
        ]

    rng = np.random.default_rng(0)
    gamma, beta = np.array([1.5, 0.5, 2.0]), np.array([0.3, -1.0, 0.7])
    batches = rng.normal(size=(2, 4, 3)) * [1, 3, 0.5] + [0, 5, -2]
    cases = [(batches[0], gamma, beta, 0.1), (batches[1], gamma, beta, 0.001)]
    answers.expect_results("normalize", normalize, cases, solve, tolerance=1e-5)
    return "mean and variance over the images, epsilon under the root, then gamma and beta."


@sheet.exercise()
def steps_to_half(steps_to_half: Any) -> str:
    """Count the steps until a moving average is at half of what it follows (Ioffe and Szegedy)."""
    mistakes = {
        68: "after 68 steps the moving mean is 1.98: one step is missing.",
        70: "it is there one step before.",
        50: "each step takes 1 % of what is *still missing*, not 1 % of all.",
        100: "that is the number of steps for 63 %.",
        51: "each step takes 1 % of what is *still missing*, not 1 % of all.",
        7: "that is a momentum of 0.9.",
    }
    answers.expect("steps_to_half", steps_to_half, 69, mistakes, "let a loop do the formula of the moving mean.")
    return "log 0.5 / log 0.99 = 68.97: 69 steps. A short training ends before the moving averages are there."


@sheet.exercise()
def he_deviation(deviation: Any) -> str:
    """Write He's standard deviation of the weights (He et al., 2015)."""

    def solve(inputs: Any) -> Any:
        return math.sqrt(2 / inputs), {
            2 / inputs: "that is the variance. The standard deviation is its root.",
            math.sqrt(1 / inputs): "that is without the ReLU, which halves the mean square.",
            math.sqrt(inputs / 2): "the more values are added, the smaller each weight must be.",
            1 / inputs: "that is a variance, and without the ReLU.",
            math.sqrt(2) / inputs: "the root goes over the whole fraction.",
        }

    answers.expect_results("deviation", deviation, [(9,), (144,), (27,)], solve)
    return "the root of 2 / n."


@sheet.exercise('Set `residual_value` to a number and `plain_nonzero` to "1", "C", "C²" or "9C²"')
def identity(residual_value: Any, plain_nonzero: Any) -> str:
    """Say what weights pass the input on, with and without a shortcut (He et al.)."""
    mistakes = {1: "then the block adds a normalized value to its input."}
    otherwise = "the block adds something to its input then. What must it add?"
    answers.expect("residual_value", residual_value, 0.0, mistakes, otherwise)
    reasons = {
        "1": "one weight other than zero passes on one map. There are C of them.",
        "C²": "C² ones would add all maps to each other.",
        "9C²": "with all of them each output would be a sum over neighbours and maps.",
    }
    answers.expect_choice("plain_nonzero", plain_nonzero, "C", reasons)
    return "a residual block starts near the identity, a plain one has to find it."
