"""The exercises of the notebook 12_tinynet."""

from typing import Any

import numpy as np

from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import Sheet, WrongAnswerError

sheet = Sheet("12_tinynet")
summary, withhold_solutions = sheet.summary, sheet.withhold_solutions


@sheet.exercise(
    to_do="Put your own lines in place of `return None`, run that cell, and then this one.",
    hints=[
        "The peak is reached at step `top = rising * total`.",
        "Up to there the share `step / top` of the way from `start` to `peak` is done.",
        "After it, (total - step) of (total - top) steps are left, and the rate is that share of the peak.",
    ],
)
def one_cycle_by_hand(rate_at: Any) -> str:
    """Write the rate of one cycle (Smith, 2018)."""
    for step, total, start, peak, rising in (
        (0, 100, 0.1, 1.0, 0.25),
        (5, 100, 0.1, 1.0, 0.25),
        (25, 100, 0.1, 1.0, 0.25),
        (100, 100, 0.1, 1.0, 0.25),
        (55, 100, 0.1, 1.0, 0.25),
        (30, 60, 0.02, 0.4, 0.75),
    ):
        result = answers.outcome("rate_at", rate_at, step, total, start, peak, rising)
        given = answers.number("the result of rate_at", result)
        top = rising * total
        if step <= top:
            right = start + (peak - start) * step / top
            mistakes = {
                peak * step / top: "the line begins at `start`, not at 0.",
                start + peak * step / top: "from `start` to `peak` it is `peak - start`.",
                start + (peak - start) * step / total: "the peak is reached after `rising * total` steps.",
                peak * (total - step) / (total - top): "up to the peak the rate rises.",
                start: "the rate does not rise.",
                peak: "the rate does not rise, it is the peak at once.",
            }
        else:
            right = peak * (total - step) / (total - top)
            mistakes = {
                peak * (total - step) / total: "it falls in `total - rising * total` steps.",
                peak + (start - peak) * (step - top) / (total - top): "it falls to 0, not back to `start`.",
                peak: "behind the peak the rate falls.",
                start + (peak - start) * step / top: "behind the peak the rate falls; it rises still.",
            }
        if not np.isclose(given, right, rtol=1e-4, atol=1e-9):
            fitting = (said for value, said in mistakes.items() if np.isclose(given, value, rtol=1e-4, atol=1e-9))
            reason = next(fitting, f"it is {right:.4g}.")
            call = f"rate_at({step}, {total}, {start}, {peak}, {rising})"
            raise WrongAnswerError(f"`{call}` returns {given:.4g}: {reason}")
    return "two straight lines that meet at the peak."


@sheet.exercise(
    to_do="Put your numbers in place of None, run that cell, and then this one.",
    hints=[
        "A plain filter has a 3x3 kernel for each map that comes in, and there are 256 filters.",
        "A depthwise convolution has one 3x3 kernel for each map that comes in, and no more.",
        "The 1x1 behind it has 128 weights for each of 256 maps.",
    ],
)
def depthwise_saves(plain_weights: Any, depthwise_weights: Any) -> str:
    """Count what a depthwise convolution saves (Howard et al., 2017)."""
    mistakes = {
        "plain_weights": {
            295_168: "the convolution has no biases: the normalisation would take them away again.",
            32_768: "that is a 1x1 convolution; the kernels are 3x3.",
            2_304: "each filter has a kernel for each of the 128 maps that come in.",
            98_304: "a 3x3 kernel has 9 places.",
        },
        "depthwise_weights": {
            1_152: "that is the depthwise part alone; the 1x1 comes on top.",
            32_768: "that is the 1x1 alone; the depthwise kernels come on top.",
            35_072: "the depthwise convolution comes first: a kernel for each of 128 maps, not 256.",
            34_304: "there are no biases: the normalisation would take them away again.",
            296_064: "the second convolution is 1x1: 128 weights for each of 256 maps.",
        },
    }
    given_and_right = (("plain_weights", plain_weights, 294_912), ("depthwise_weights", depthwise_weights, 33_920))
    for name, answer, right in given_and_right:
        given = answers.whole_number(name, answer)
        if given != right:
            general = {
                "plain_weights": "places of the kernel, times maps in, times maps out.",
                "depthwise_weights": "one 3x3 kernel for each map in, and maps in times maps out for the 1x1.",
            }
            raise WrongAnswerError(f"`{name}` is {given:,}: {mistakes[name].get(given, general[name])}")
    return "33,920 in place of 294,912: less than an eighth."


@sheet.exercise(
    to_do="Put your own line in place of `return None`, run that cell, and then this one.",
    hints=[
        "Variance is the mean of the squares less the square of the mean.",
        "The mean stays. How large is a square that is kept, and how often is one kept?",
        "The mean of the squares becomes np.mean(x**2) / (1 - p).",
    ],
)
def variance_with_dropout(variance_with_dropout: Any) -> str:
    """Compute the variance behind a dropout in training (Li et al., 2018)."""
    for x, p in (([0.0, 1.0, 2.0, 5.0], 0.5), ([3.0, 3.0], 0.2), ([-1.0, 0.0, 4.0], 0.0)):
        values = np.array(x)
        result = answers.outcome("variance_with_dropout", variance_with_dropout, values.copy(), p)
        given = answers.number("the result of variance_with_dropout", result)
        squares, mean = float(np.mean(values**2)), float(np.mean(values))
        right = squares / (1 - p) - mean**2
        mistakes = {
            squares - mean**2: "that is the variance of `x`: dropout adds to it.",
            squares / (1 - p): "the square of the mean is missing.",
            (squares - mean**2) / (1 - p): "the square of the mean does not grow: the mean stays as it is.",
            (1 - p) * squares - ((1 - p) * mean) ** 2: "what is kept is divided by 1 - p.",
            squares / (1 - p) ** 2 - mean**2: "only the share 1 - p of the squares is kept.",
            squares / p - mean**2 if p else np.nan: "`p` is the share that is dropped.",
        }
        if not np.isclose(given, right, rtol=1e-4, atol=1e-9):
            fitting = (said for value, said in mistakes.items() if np.isclose(given, value, rtol=1e-4, atol=1e-9))
            reason = next(fitting, f"it is {right:.4g}.")
            raise WrongAnswerError(f"For x = {x} and p = {p:g} you have {given:.4g}: {reason}")
    return "the mean stays, the mean of the squares grows."


@sheet.exercise(
    to_do="Put your own lines in place of `return None`, run that cell, and then this one.",
    hints=[
        "`inside[:, None] - outside[None, :]` holds the difference of each pair.",
        "Count the pairs above 0, and half of those at 0.",
        "The mean of a comparison is the share of pairs for which it is true.",
    ],
)
def area_by_counting(auc: Any) -> str:
    """Compute the area under the ROC curve by counting pairs."""
    cases = [([0.9, 0.6], [0.5, 0.7, 0.1]), ([0.4, 0.8, 0.4], [0.4, 0.1]), ([0.2, 0.3, 0.3], [0.3, 0.9])]
    for first, second in cases:
        inside, outside = np.array(first), np.array(second)
        given = answers.number("the result of auc", answers.outcome("auc", auc, inside.copy(), outside.copy()))
        difference = inside[:, None] - outside
        above, ties = float(np.mean(difference > 0)), float(np.mean(difference == 0))
        mistakes = {
            1 - above - ties / 2: "that is the share of the pairs in the wrong order.",
            above: "a tie counts half; yours count nothing.",
            above + ties: "a tie counts half; yours count whole.",
            float(np.sum(difference > 0) + np.sum(difference == 0) / 2): "divide by the number of pairs.",
            float(np.mean(difference)): "count the pairs in the right order; how far they are apart is nothing.",
        }
        right = above + ties / 2
        if not np.isclose(given, right, atol=1e-6):
            fitting = (said for value, said in mistakes.items() if np.isclose(given, value, atol=1e-6))
            reason = next(fitting, f"it is {right:.4g}.")
            raise WrongAnswerError(f"For {first} and {second} you have {given:.4g}: {reason}")
    return "the area is the share of pairs in the right order."


@sheet.exercise(
    to_do="Put your own lines in place of `return None`, run that cell, and then this one.",
    hints=[
        "Each map has one weight: the mean of its gradient over height and width.",
        "`maps @ weights` adds the weighted maps at each place.",
        "What is below 0 is cut off: `np.maximum(..., 0)`.",
    ],
)
def grad_cam_by_hand(heatmap: Any) -> str:
    """Compute Grad-CAM from maps and gradients (Selvaraju et al., 2017)."""
    rng = np.random.default_rng(0)
    maps, gradients = rng.uniform(0, 2, (4, 5, 3)), rng.normal(size=(4, 5, 3))
    result = answers.outcome("heatmap", heatmap, maps.copy(), gradients.copy())
    given = answers.array("the result of heatmap", result, (4, 5))
    raw = maps @ gradients.mean(axis=(0, 1))
    right = np.maximum(raw, 0)
    mistakes = {
        "What is below 0 is not cut off.": raw,
        "The gradients are averaged first: one weight for each map, not one for each place.": np.maximum(
            (maps * gradients).sum(axis=2), 0
        ),
        "The maps and the gradients have changed places.": np.maximum(gradients @ maps.mean(axis=(0, 1)), 0),
        "The weighted maps are cut off one by one: first add them, then cut off.": np.maximum(
            maps * gradients.mean(axis=(0, 1)), 0
        ).sum(axis=2),
        "That is the mean of the maps, without weights: whatever is seen, not what speaks for the class.": (
            maps.mean(axis=2)
        ),
        "It is divided by its maximum already.": right / right.max(),
        "The weights are the sums of the gradients; their means were asked for.": 20 * right,
        "The weighted maps are added; you take their mean.": right / 3,
    }
    if not np.allclose(given, right, atol=1e-6):
        fitting = (said for said, value in mistakes.items() if np.allclose(given, value, atol=1e-6))
        raise WrongAnswerError(next(fitting, "A weight for each map, the weighted sum, and what is above 0."))
    return "the weighted sum of the maps, as far as it speaks for the class."
