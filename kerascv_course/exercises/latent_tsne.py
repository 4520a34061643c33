"""The exercises of the notebook 09_latent_tsne."""

from typing import Any

import numpy as np

from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import new_sheet

sheet, summary, withhold_solutions = new_sheet("09_latent_tsne")


@sheet.exercise()
def nearest_by_hand(nearest: Any) -> str:
    """Find the nearest of several vectors."""
    # One vector for each mistake: each of them finds another one.
    vectors = np.array([[0.0, 0, 3, 0], [1, 1, 1, 1], [9, 9, 9, 9], [-9, 2, 2, 3], [2.5, 0.5, 0, -0.5]])
    cases = [(vectors, np.zeros(4)), (vectors, np.array([8.0, 9, 9, 9])), (vectors + 5, np.full(4, 5.0))]

    def solve(given: Any, query: Any) -> Any:
        differences = given - query
        l1 = np.abs(differences).mean(axis=1)
        return int(l1.argmin()), [
            (l1, "that is a number for each vector: return the place of the smallest."),
            (l1.min(), "that is the smallest distance. Its place was asked for: `np.argmin`."),
            (l1.argmax(), "that is the farthest vector."),
            (differences.mean(axis=1).argmin(), "without `np.abs` differences cancel out, and -9 is small."),
            ((differences**2).mean(axis=1).argmin(), "that is the nearest by squares (l2); l1 was asked for."),
        ]

    answers.expect_results("nearest", nearest, cases, solve)
    return "the smallest mean of absolute differences."


@sheet.exercise()
def perplexity(perplexity_of: Any) -> str:
    """Write the perplexity of a distribution (van der Maaten and Hinton)."""
    cases = [([0.25, 0.25, 0.25, 0.25],), ([0.5, 0.3, 0.2],), ([0.7, 0.0, 0.2, 0.1],), ([0.0, 1.0],)]

    def solve(p: Any) -> Any:
        some = p[p > 0]
        bits, nats = -np.sum(some * np.log2(some)), -np.sum(some * np.log(some))
        return float(2**bits), [
            (bits, "that is the entropy. The perplexity is 2 to its power."),
            (nats, "that is the entropy in natural logarithms. The formula has log2, and 2 to its power."),
            (2**nats, "2 to the power goes with log2, and e with the natural logarithm."),
            (2**-bits, "the sign of the entropy is wrong: it is a sum of -p * log2(p)."),
            (2 ** (bits / len(p)), "that is with the mean. The entropy is a sum."),
            (float(len(some)), "that is the number of probabilities above 0: right only where all are equal."),
            (float(len(p)), "that is the number of probabilities: right only where all are equal."),
        ]

    answers.expect_results("perplexity_of", perplexity_of, cases, solve)
    return "2 to the power of the entropy: the number of neighbours that count."


@sheet.exercise()
def latent_layer(layer: Any, length: Any) -> str:
    """Name the layer before the head."""
    reasons = {
        "predictions": "that is the head itself: its outputs are the classes' probabilities.",
        "dense1": "there is one more layer between it and the head.",
        "flatten": "the dense layers after it belong to the features, too.",
    }
    answers.expect_choice("layer", layer, "dense2", reasons)
    mistakes = {
        400: "that is the output of flatten.",
        120: "that is the output of dense1.",
        10: "that is the output of predictions.",
    }
    answers.expect("length", length, 84, mistakes, "it is the number of outputs of dense2.")
    return "dense2 is the last layer before the head; its 84 outputs are the latent vector."


@sheet.exercise('Put a set such as {"a", "b"} in place of None')
def reading(readable: Any) -> str:
    """Tell what a map of t-SNE may be read for."""
    reasons = {
        "a": "neighbours are what t-SNE keeps, and trustworthiness says how well.",
        "b": "the third planted group was ten times as far. How far is it in the map?",
        "c": "the third planted group was five times as wide. How wide is it in the map?",
        "d": "that images of a class lie together is a matter of neighbours, too.",
    }
    answers.expect_set("readable", readable, "ad", reasons)
    return "neighbours can be read; distances between groups and their widths cannot."
