"""The exercises of the notebook 14_bag_of_visual_words."""

from typing import Any

import numpy as np

from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import Sheet, WrongAnswerError

sheet = Sheet("14_bag_of_visual_words")
summary, withhold_solutions = sheet.summary, sheet.withhold_solutions


@sheet.exercise(
    to_do="Put your own lines in place of `return None`, run that cell, and then this one.",
    hints=[
        "`descriptors[:, None] - words[None]` subtracts every word from every descriptor: shape (n, k, d).",
        "The length of the differences, `np.linalg.norm(..., axis=2)`, and `argmin(axis=1)` of that: the words.",
        "`np.bincount` counts them; `minlength=len(words)` gives the words that were not used their 0.",
    ],
)
def counting(count_words: Any) -> str:
    """Count the visual words of an image."""
    # The last word is nearest to none of them.
    words = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 5.0], [-9.0, -9.0]])
    descriptors = np.array([[0.5, 0.2], [1.0, -0.5], [3.0, 1.0], [2.2, 1.0], [5.0, 0.5], [0.5, 4.0], [0.3, -0.4]])
    for given, vocabulary in [(descriptors, words), (descriptors + 3, words + 3), (descriptors[:3], words)]:
        result = answers.outcome("count_words", count_words, given.copy(), vocabulary.copy())
        distances = np.linalg.norm(given[:, None] - vocabulary[None], axis=2)
        nearest = distances.argmin(axis=1)
        right = np.bincount(nearest, minlength=len(vocabulary))
        used = np.bincount(nearest)
        size = np.size(result)
        if size == len(used) and size != len(right):
            raise WrongAnswerError(
                f"There are {len(right)} words, you have {size} numbers: a word that is not used counts 0."
            )
        if size == len(given) and np.array_equal(np.ravel(result), nearest):
            raise WrongAnswerError(
                "You have one number for each descriptor: its word. Count how often each occurs."
            )
        counts = answers.array("the result of count_words", result, (len(vocabulary),))
        if np.array_equal(counts, right):
            continue
        if np.isclose(counts.sum(), 1) or np.isclose(np.linalg.norm(counts), 1):
            raise WrongAnswerError("Your histogram is normalised; here the counts themselves were asked for.")
        if np.array_equal(counts, np.bincount(distances.argmax(axis=1), minlength=len(vocabulary))):
            raise WrongAnswerError("That counts the word that is farthest: `argmin`, not `argmax`.")
        raise WrongAnswerError(
            f"Of {len(given)} descriptors {right.tolist()} are nearest to the words; you have {counts.tolist()}."
        )
    return "the histogram is all that a bag keeps of an image."


@sheet.exercise(
    to_do="Put your own line in place of `return None`, run that cell, and then this one.",
    hints=[
        "For each bin the smaller of the two counts is what both have.",
        "`np.minimum(a, b)` takes the smaller one of each pair.",
        "Then the sum over all bins.",
    ],
)
def sharing(intersection: Any) -> str:
    """Write the intersection kernel."""
    cases = [([0.5, 0.3, 0.2], [0.1, 0.6, 0.3]), ([4, 0, 3, 2], [1, 2, 0, 5]), ([2, 7], [2, 7])]
    for first, second in cases:
        a, b = np.array(first), np.array(second)
        result = answers.outcome("intersection", intersection, a.copy(), b.copy())
        smaller = np.minimum(a, b)
        if np.size(result) == len(a) and not isinstance(result, str):
            raise WrongAnswerError("`intersection` returns a number for each bin: add them up.")
        value = answers.number("the result of intersection", result)
        if np.isclose(value, smaller.sum()):
            continue
        mistakes = [
            (np.maximum(a, b).sum(), "that is the sum of the larger counts: the union."),
            (a @ b, "that is the linear kernel, the sum of products."),
            (np.abs(a - b).sum(), "that is what they do not share, the l1 distance."),
            (min(a.sum(), b.sum()), "that is the smaller of the two sums. Compare bin by bin first."),
            (smaller.min(), "that is the smallest bin. Add them up."),
            (smaller.mean(), "that is the mean over the bins, not the sum."),
        ]
        reason = next((text for wrong, text in mistakes if np.isclose(value, wrong)), "compare bin by bin.")
        raise WrongAnswerError(f"{first} and {second} share {smaller.sum():g}; you have {value:g}: {reason}")
    return "what two histograms share is the sum of the smaller counts."


@sheet.exercise(
    to_do="Put your numbers in place of None, run that cell, and then this one.",
    hints=[
        "A pyramid of 3 levels has 1 + 4 + 16 cells, one of 2 levels 1 + 4; each cell has its own vector.",
        "In a cell: a histogram has a number for each word, VLAD as many as a descriptor for each word.",
        "A Fisher vector has for each component as many numbers as a descriptor, twice: means and deviations.",
    ],
)
def lengths(histogram: Any, vlad: Any, fisher: Any) -> str:
    """Tell how long the vectors of the encodings are."""
    expected = {
        "histogram": (histogram, 128 * 21, {128: 1, 128 * 3: 2, 128 * 16: 3, 128 * 5: 4, 128 * 21 * 48: 5}),
        "vlad": (vlad, 16 * 48 * 5, {16 * 48: 1, 16 * 48 * 2: 2, 16 * 48 * 4: 3, 16 * 48 * 21: 4, 16 * 5: 6}),
        "fisher": (fisher, 2 * 16 * 48, {16 * 48: 7, 16 * 48 * 10: 8, 16: 6, 2 * 16 * 48 + 16: 9}),
    }
    reasons = {
        1: "that is without the pyramid: each of its cells has a vector of its own.",
        2: "a level is not one cell: the second has 4, the third 16.",
        3: "that is the finest level alone. The coarser ones belong to it, too.",
        4: "that is a pyramid of another number of levels.",
        5: "a histogram counts; a word has one number, however long a descriptor is.",
        6: "each word has as many numbers as a descriptor.",
        7: "that is half of it: the means. The deviations follow.",
        8: "there is no pyramid here.",
        9: "the gradient of the weights is left out here: means and deviations only.",
    }
    for name, (answer, right, mistakes) in expected.items():
        given = answers.whole_number(name, answer)
        if given != right:
            reason = reasons.get(
                mistakes.get(given, 0), "cells of the pyramid, times words, times numbers of each."
            )
            raise WrongAnswerError(f"`{name}` is {given}: {reason}")
    return "cells of the pyramid, times words, times the numbers of each word."


@sheet.exercise(
    to_do='Put a set such as {"a", "b"} in place of None, run that cell, and then this one.',
    hints=[
        "Ask of each: could it be done the same way for an image that is taken only tomorrow?",
        "Two of the four use what the test images are like, or what their labels say.",
    ],
)
def leaks(spoiling: Any) -> str:
    """Tell what makes a test accuracy worth less."""
    given = answers.chosen("spoiling", spoiling, "abcd")
    if "b" in given:
        raise WrongAnswerError("b: cross-validation on the training images never looks at a test image.")
    if "c" in given:
        raise WrongAnswerError(
            "c: the length of a vector is known from its own image; nothing is learned from it."
        )
    if "a" not in given:
        raise WrongAnswerError("a is missing: the words would fit the test images better than any new ones.")
    if "d" not in given:
        raise WrongAnswerError("d is missing: the best of five is partly luck with these test images.")
    return "what is learned or chosen must not have seen the test images."
