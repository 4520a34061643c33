"""The exercises of the notebook 10_image_retrieval."""

from typing import Any

import numpy as np

from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import new_sheet

sheet, summary, withhold_solutions = new_sheet("10_image_retrieval")


@sheet.exercise()
def precision(at_1: Any, at_3: Any, at_5: Any) -> str:
    """Compute precision at k by hand."""
    for k, answer, hits in ((1, at_1, 1), (3, at_3, 2), (5, at_5, 3)):
        mistakes = {
            float(hits): f"those are the hits; divide by {k}.",
            100 * hits / k: "that is in percent; write it as a share of 1.",
            (k - hits) / k: "that is the share of misses.",
            hits / 5: f"only the first {k} count, not all five.",
        }
        otherwise = f"count the cats among the first {k}, and divide by {k}."
        answers.expect(f"at_{k}", answer, hits / k, mistakes, otherwise, tolerance=0.005)
    return "1, two thirds, three fifths."


@sheet.exercise()
def average_precision(ranking_precision: Any) -> str:
    """Write the average precision of a ranking."""
    cases = [([1, 0, 1, 1, 0],), ([0, 0, 1],), ([1, 1, 0, 0],), ([0, 0, 0, 0],), ([0, 1, 0, 0, 1, 1, 0],)]

    def solve(relevant: Any) -> Any:
        count, places = relevant.sum(), np.arange(1, len(relevant) + 1)
        if not count:
            return 0.0, []
        precisions = np.cumsum(relevant) / places
        hits, from_0 = precisions[relevant == 1], np.cumsum(relevant) / np.maximum(places - 1, 1)
        return float(hits.mean()), [
            (precisions.mean(), "that is the mean over all places: only those of relevant images count."),
            (hits.sum(), "that is the sum: divide by the number of relevant images."),
            (hits.sum() / len(relevant), "divide by the number of relevant images, not of all."),
            (relevant.mean(), "that is the precision at the end of the ranking."),
            (np.mean(1 / places[relevant == 1]), "count the relevant images up to each place, not only that one."),
            (1 / places[relevant == 1][0], "that looks at the first relevant image alone."),
            (from_0[relevant == 1].mean(), "places are counted from 1."),
        ]

    answers.expect_results("ranking_precision", ranking_precision, cases, solve)
    return "the mean of the precisions at the relevant places."


@sheet.exercise()
def voting(vote: Any) -> str:
    """Let the nearest images vote, ties to the nearest."""

    def solve(array: Any) -> Any:
        labels = array.tolist()
        counts = [labels.count(label) for label in labels]
        right = labels[int(np.argmax(counts))]
        best = sorted({label for label, count in zip(labels, counts, strict=True) if count == max(counts)})
        tied = f"{' and '.join(map(str, best))} have equally many votes: {right} is nearer."
        mistakes = {
            max(counts): "that is how many votes the winner has, not its class.",
            labels[0]: "that is the class of the nearest image alone.",
        }
        return (right, f"most have class {right}."), {**mistakes, **dict.fromkeys(best, tied)}

    cases = [[7], [2, 5, 5], [3, 1, 1, 3], [4, 0, 0, 9, 4, 0], [8, 6, 2], [1, 9, 9, 1, 3]]
    answers.expect_results("vote", vote, [[labels] for labels in cases], solve)
    return "the most frequent class, and of equal ones the nearest."


@sheet.exercise()
def cost(seconds: Any, numbers: Any) -> str:
    """Estimate what the slide's loop costs."""
    times = {
        120_000: "those are milliseconds.",
        600: "there is one query for each of the 10,000 test images, not for each of the 50,000.",
        2: "those are minutes.",
    }
    answers.expect("seconds", seconds, 120.0, times, "10,000 queries of 0.012 s each.", tolerance=0.01)
    mistakes = {
        50_000: "each image has 84 of them.",
        84: "that is one image; it is compared with 50,000.",
        42_000_000_000: "that is for all 10,000 queries.",
        840_000: "the 50,000 training images are read, not the 10,000 queries.",
    }
    answers.expect("numbers", numbers, 4_200_000, mistakes, "50,000 images with 84 numbers each.")
    return "two minutes, and 4.2 million numbers for each query."
