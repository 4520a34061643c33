"""The exercises of the notebook 08_inception_by_blocks."""

from typing import Any

import numpy as np

from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import WrongAnswerError, new_sheet

sheet, summary, withhold_solutions = new_sheet("08_inception_by_blocks")

_WHOLE, _AFTER_MIXED5 = 21_802_784, 5_138_656


@sheet.exercise()
def five_blocks_less(last_block: Any, share_left: Any) -> str:
    """Find the cut that removes five blocks, and what it leaves."""
    blocks = {f"mixed{number}": f"after it come {10 - number} blocks." for number in range(11) if number != 5} | {
        "mixed6": "after mixed6 come four blocks: mixed7 to mixed10.",
        "mixed4": "after mixed4 come six blocks: mixed5 to mixed10.",
        "mixed10": "that is the whole network.",
    }
    answers.expect_choice("last_block", last_block, "mixed5", blocks)
    left = _AFTER_MIXED5 / _WHOLE
    mistakes = {
        100 * left: "that are per cent. Write a share, from 0 to 1.",
        1 - left: "that is the share that is gone.",
        1 / left: "divide the other way round.",
        6 / 11: "that is the share of the blocks. The later blocks are the larger ones: count weights.",
    }
    otherwise = "divide the weights up to the end of that block by those of the whole network."
    answers.expect("share_left", share_left, left, mistakes, otherwise, tolerance=0.02)
    return f"{_AFTER_MIXED5:,} of {_WHOLE:,} weights, {left:.1%}, in six of eleven blocks."


@sheet.exercise()
def trained_blocks(unfrozen: Any) -> str:
    """Name the blocks that a step of a sweep trains."""
    names = ["mixed0", "mixed1", "mixed2", "mixed3"]
    cases = [(1, "input"), (1, "head"), (2, "input"), (3, "head"), (4, "head"), (0, "input"), (0, "head")]
    for count, start in cases:
        given = answers.outcome("unfrozen", unfrozen, list(names), count, start)
        call = f"`unfrozen(names, {count}, {start!r})`"
        if not isinstance(given, list | tuple) or not all(isinstance(name, str) for name in given):
            raise WrongAnswerError(f"{call} returns {answers.kind(given)}: return a list of names.")
        given, from_input, from_head = list(given), names[:count], names[len(names) - count :]
        right, other = (from_input, from_head) if start == "input" else (from_head, from_input)
        if given == right:
            continue
        answers.refuse(
            (not count and given == names, "all blocks: `names[-0:]` is the same as `names[0:]`."),
            (given == right[::-1], "the blocks in reverse; keep their order."),
            (given in (names[count:], names[: len(names) - count]), "the blocks that stay frozen."),
            (given == other, f"those at the other end; `start` is {start!r}."),
            (len(given) != count, f"{len(given)} blocks, not {count}."),
            (True, f"{', '.join(given)}; it must be {', '.join(right)}."),
            start=f"{call} returns ",
        )
    return "from either end, and none where none is wanted."


@sheet.exercise()
def passes(plain: Any, cached: Any, views: Any) -> str:
    """Count how many images go through a frozen backbone."""
    images, epochs, per_image = 400, 50, 4
    plain_mistakes = {images: "in each of the 50 epochs they go through it."}
    cached_mistakes = {
        images * epochs: "that is so without a cache. Features that were kept are not computed again.",
        epochs: "count images, not epochs.",
        0: "once they have to be computed.",
    }
    views_mistakes = {
        images: "each of the 4 views of an image has features of its own.",
        images * epochs: "that would be a new view in each epoch. There are 4, and they are kept.",
        images * epochs * per_image: "the 4 views are computed once, not in each epoch.",
        images * (per_image + 1): "training images themselves are none of the 4 views.",
    }
    otherwise = "multiply what is computed by how often it is."
    answers.expect("plain", plain, images * epochs, plain_mistakes, otherwise)
    answers.expect("cached", cached, images, cached_mistakes, otherwise)
    answers.expect("views", views, images * per_image, views_mistakes, otherwise)
    return "20,000, 400 and 1,600: the cache pays where there are more epochs than views."


@sheet.exercise()
def area_by_pairs(area: Any) -> str:
    """Compute the area under a ROC curve from pairs of images."""
    cases = [([0.8, 0.35], [0.1, 0.4]), ([0.9, 0.6, 0.2], [0.5, 0.1]), ([0.5, 0.5], [0.5, 0.2])]
    answers.expect_results("area", area, cases, count_pairs)
    return "the same as the area under the curve, without a curve."


def count_pairs(positives: Any, negatives: Any) -> Any:
    """Return the area under the ROC curve, with what usual mistakes make of it."""
    difference = positives[:, None] - negatives
    above, ties = np.mean(difference > 0), np.mean(difference == 0)
    right = float(above + ties / 2)
    accuracy = (np.sum(positives > 0.5) + np.sum(negatives <= 0.5)) / (len(positives) + len(negatives))
    return (right, f"it should be {right:.3f}; an area is from 0 to 1."), [
        (above, "ties are missing: a tie counts one half; yours count nothing."),
        (above + ties, "ties count one half, not 1; yours count whole."),
        (1 - right, "the wrong way round: that is the share of the pairs in the wrong order."),
        (right * difference.size, "that is the number of pairs. Divide by how many there are."),
        (accuracy, "that is an accuracy with the threshold 0.5. The area needs no threshold."),
        (np.mean(difference), "that is the mean difference. Only the order of two values counts."),
    ]
