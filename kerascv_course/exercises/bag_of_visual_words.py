"""The exercises of the notebook 14_bag_of_visual_words."""

from typing import Any

import numpy as np

from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import new_sheet

sheet, summary, withhold_solutions = new_sheet("14_bag_of_visual_words")


@sheet.exercise()
def counting(count_words: Any) -> str:
    """Count the visual words of an image."""
    # The last word is nearest to none of them.
    words = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 5.0], [-9.0, -9.0]])
    descriptors = np.array([[0.5, 0.2], [1.0, -0.5], [3.0, 1.0], [2.2, 1.0], [5.0, 0.5], [0.5, 4.0], [0.3, -0.4]])

    def solve(given: Any, vocabulary: Any) -> Any:
        distances = np.linalg.norm(given[:, None] - vocabulary[None], axis=2)
        nearest, k = distances.argmin(axis=1), len(vocabulary)
        right = np.bincount(nearest, minlength=k)
        normalised = "your histogram is normalised; here the counts themselves were asked for."
        farthest = np.bincount(distances.argmax(axis=1), minlength=k)
        by_l1 = np.abs(given[:, None] - vocabulary[None]).sum(axis=2).argmin(axis=1)
        return (right, f"of {len(given)} descriptors {right.tolist()} are nearest to the words."), [
            (np.bincount(nearest), f"there are {k} words: a word that is not used counts 0."),
            (nearest, "you have one number for each descriptor: its word. Count how often each occurs."),
            (right / right.sum(), normalised),
            (right / np.linalg.norm(right), normalised),
            (farthest, "that counts the word that is farthest: `argmin`, not `argmax`."),
            (np.bincount(by_l1, minlength=k), "that is the l1 distance; the l2 distance was asked for."),
        ]

    apart = [[2.9, 0], [2, 2], [22.5, 0], [22, 2]]  # by l2, l1 and the largest difference other words are nearest
    cases = [
        (descriptors, words),
        (descriptors + 3, words + 3),
        (descriptors[:3], words),
        ([[0, 0], [20, 0]], apart),
    ]
    answers.expect_results("count_words", count_words, cases, solve)
    return "the histogram is all that a bag keeps of an image."


@sheet.exercise()
def sharing(intersection: Any) -> str:
    """Write the intersection kernel."""

    def solve(a: Any, b: Any) -> Any:
        smaller = np.minimum(a, b)
        return (float(smaller.sum()), f"they share {smaller.sum():g}: compare bin by bin."), [
            (smaller, "that is a number for each bin: add them up."),
            (np.maximum(a, b).sum(), "that is the sum of the larger counts: the union."),
            (a @ b, "that is the linear kernel, the sum of products."),
            (np.abs(a - b).sum(), "that is what they do not share, the l1 distance."),
            (min(a.sum(), b.sum()), "that is the smaller of the two sums. Compare bin by bin first."),
            (smaller.min(), "that is the smallest bin. Add them up."),
            (smaller.mean(), "that is the mean over the bins, not the sum."),
        ]

    cases = [([0.5, 0.3, 0.2], [0.1, 0.6, 0.3]), ([4, 0, 3, 2], [1, 2, 0, 5]), ([2, 7], [2, 7])]
    answers.expect_results("intersection", intersection, cases, solve)
    return "what two histograms share is the sum of the smaller counts."


@sheet.exercise()
def lengths(histogram: Any, vlad: Any, fisher: Any) -> str:
    """Tell how long the vectors of the encodings are."""
    without = "that is without the pyramid: each of its cells has a vector of its own."
    one_cell = "a level is not one cell: the second has 4, the third 16."
    finest = "that is the finest level alone. The coarser ones belong to it, too."
    levels = "that is a pyramid of another number of levels."
    counts = "a histogram counts; a word has one number, however long a descriptor is."
    histogram_mistakes = {128: without, 128 * 3: one_cell, 128 * 16: finest, 128 * 5: levels, 128 * 1008: counts}
    of_word = "each word has as many numbers as a descriptor."
    vlad_mistakes = {768: without, 768 * 2: one_cell, 768 * 4: finest, 768 * 21: levels, 16 * 5: of_word}
    fisher_mistakes = {
        16 * 48: "that is half of it: the means. The deviations follow.",
        16 * 48 * 10: "there is no pyramid here.",
        16: of_word,
        2 * 16 * 48 + 16: "the gradient of the weights is left out here: means and deviations only.",
    }
    otherwise = "cells of the pyramid, times words, times numbers of each."
    answers.expect("histogram", histogram, 128 * 21, histogram_mistakes, otherwise)
    answers.expect("vlad", vlad, 16 * 48 * 5, vlad_mistakes, otherwise)
    answers.expect("fisher", fisher, 2 * 16 * 48, fisher_mistakes, otherwise)
    return "cells of the pyramid, times words, times the numbers of each word."


@sheet.exercise('Put a set such as {"a", "b"} in place of None')
def leaks(spoiling: Any) -> str:
    """Tell what makes a test accuracy worth less."""
    reasons = {
        "a": "the words would fit the test images better than any new ones.",
        "b": "cross-validation on the training images never looks at a test image.",
        "c": "the length of a vector is known from its own image; nothing is learned from it.",
        "d": "the best of five is partly luck with these test images.",
    }
    answers.expect_set("spoiling", spoiling, "ad", reasons)
    return "what is learned or chosen must not have seen the test images."
