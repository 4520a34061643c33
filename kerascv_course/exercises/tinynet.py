"""The exercises of the notebook 12_tinynet."""

import numpy as np

from kerascv_course.exercises import answers
from kerascv_course.exercises.inception_by_blocks import count_pairs
from kerascv_course.exercises.sheet import new_sheet

sheet, summary, withhold_solutions = new_sheet("12_tinynet")


@sheet.exercise()
def one_cycle_by_hand(rate_at):
    """Write the rate of one cycle (Smith, 2018)."""
    cases = [(step, 100, 0.1, 1.0, 0.25) for step in (0, 5, 25, 100, 55)] + [(30, 60, 0.02, 0.4, 0.75)]
    answers.expect_results("rate_at", rate_at, cases, _one_cycle, tolerance=1e-4)
    return "two straight lines that meet at the peak."


def _one_cycle(step, total, start, peak, rising):
    """Return the rate at a step, with what usual mistakes make of it."""
    top = rising * total
    risen, falling = start + (peak - start) * step / top, peak * (total - step) / (total - top)
    if step <= top:
        return risen, {
            peak * step / top: "the line begins at `start`, not at 0.",
            start + peak * step / top: "from `start` to `peak` it is `peak - start`.",
            start + (peak - start) * step / total: "the peak is reached after `rising * total` steps.",
            falling: "up to the peak the rate rises.",
            start: "the rate does not rise.",
            peak: "the rate does not rise, it is the peak at once.",
        }
    return falling, {
        peak * (total - step) / total: "it falls in `total - rising * total` steps.",
        peak + (start - peak) * (step - top) / (total - top): "it falls to 0, not back to `start`.",
        peak: "behind the peak the rate falls.",
        risen: "behind the peak the rate falls; it rises still.",
    }


@sheet.exercise()
def depthwise_saves(plain_weights, depthwise_weights):
    """Count what a depthwise convolution saves (Howard et al., 2017)."""
    plain_mistakes = {
        295_168: "the convolution has no biases: the normalisation would take them away again.",
        32_768: "that is a 1x1 convolution; the kernels are 3x3.",
        2_304: "each filter has a kernel for each of the 128 maps that come in.",
        98_304: "a 3x3 kernel has 9 places.",
    }
    depthwise_mistakes = {
        1_152: "that is the depthwise part alone; the 1x1 comes on top.",
        32_768: "that is the 1x1 alone; the depthwise kernels come on top.",
        35_072: "the depthwise convolution comes first: a kernel for each of 128 maps, not 256.",
        34_304: "there are no biases: the normalisation would take them away again.",
        296_064: "the second convolution is 1x1: 128 weights for each of 256 maps.",
    }
    otherwise = "places of the kernel, times maps in, times maps out."
    answers.expect("plain_weights", plain_weights, 294_912, plain_mistakes, otherwise)
    otherwise = "one 3x3 kernel for each map in, and maps in times maps out for the 1x1."
    answers.expect("depthwise_weights", depthwise_weights, 33_920, depthwise_mistakes, otherwise)
    return "33,920 in place of 294,912: less than an eighth."


@sheet.exercise()
def variance_with_dropout(variance_with_dropout):
    """Compute the variance behind a dropout in training (Li et al., 2018)."""

    def solve(x, p):
        squares, mean = float(np.mean(x**2)), float(np.mean(x))
        return squares / (1 - p) - mean**2, {
            squares - mean**2: "that is the variance of `x`: dropout adds to it.",
            squares / (1 - p): "the square of the mean is missing.",
            (squares - mean**2) / (1 - p): "the square of the mean does not grow: the mean stays as it is.",
            (1 - p) * squares - ((1 - p) * mean) ** 2: "what is kept is divided by 1 - p.",
            squares / (1 - p) ** 2 - mean**2: "only the share 1 - p of the squares is kept.",
            squares / p - mean**2 if p else np.nan: "`p` is the share that is dropped.",
        }

    cases = [([0.0, 1.0, 2.0, 6.0], 0.2), ([3.0, 3.0], 0.5), ([-1.0, 0.0, 4.0], 0.0)]
    answers.expect_results("variance_with_dropout", variance_with_dropout, cases, solve, tolerance=1e-4)
    return "the mean stays, the mean of the squares grows."


@sheet.exercise()
def area_by_counting(auc):
    """Compute the area under the ROC curve by counting pairs."""
    cases = [([0.9, 0.6], [0.5, 0.7, 0.1]), ([0.4, 0.8, 0.4], [0.4, 0.1]), ([0.2, 0.3, 0.3], [0.3, 0.9])]
    answers.expect_results("auc", auc, cases, count_pairs)
    return "the area is the share of pairs in the right order."


@sheet.exercise()
def grad_cam_by_hand(heatmap):
    """Compute Grad-CAM from maps and gradients (Selvaraju et al., 2017)."""

    def solve(maps, gradients):
        weights = gradients.mean(axis=(0, 1))
        right, cut = np.maximum(maps @ weights, 0), "the weighted maps are cut off one by one: first add them."
        unweighted = "that is the mean of the maps, without weights: what is seen, not what speaks for the class."
        each_place = "the gradients are averaged first: one weight for each map, not one for each place."
        return (right, "a weight for each map, the weighted sum, and what is above 0."), [
            (maps @ weights, "what is below 0 is not cut off."),
            (np.maximum((maps * gradients).sum(axis=2), 0), each_place),
            (np.maximum(gradients @ maps.mean(axis=(0, 1)), 0), "the maps and the gradients have changed places."),
            (np.maximum(maps * weights, 0).sum(axis=2), cut),
            (maps.mean(axis=2), unweighted),
            (right / right.max(), "it is divided by its maximum already."),
            (20 * right, "the weights are the sums of the gradients; their means were asked for."),
            (right / 3, "the weighted maps are added; you take their mean."),
        ]

    rng = np.random.default_rng(0)
    case = rng.uniform(0, 2, (4, 5, 3)), rng.normal(size=(4, 5, 3))
    answers.expect_results("heatmap", heatmap, [case], solve)
    return "the weighted sum of the maps, as far as it speaks for the class."
