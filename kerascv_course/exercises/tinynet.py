"""The exercises of the notebook 12_tinynet."""

from typing import Any

import numpy as np

from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import new_sheet

sheet, summary, withhold_solutions = new_sheet("12_tinynet")


@sheet.exercise()
def one_cycle_by_hand(rate_at: Any) -> str:
    """Write the rate of one cycle (Smith, 2018)."""
    cases = [(n, 100, 0.1, 1.0, 0.25) for n in (0, 5, 25, 100, 55)] + [(n, 60, 0.02, 0.4, 0.75) for n in (30, 50)]
    answers.expect_results("rate_at", rate_at, cases, _one_cycle, tolerance=1e-4)
    return "a straight line and half a cosine, which meet at the peak."


def _one_cycle(step: Any, total: Any, start: Any, peak: Any, rising: Any) -> Any:
    """Return the rate at a step, with what usual mistakes make of it."""
    top = rising * total
    done = (step - top) / (total - top)
    risen, falling = start + (peak - start) * step / top, peak * (1 + np.cos(np.pi * done)) / 2
    if step <= top:
        return risen, {
            peak * step / top: "the line begins at `start`, not at 0.",
            start + peak * step / top: "from `start` to `peak` it is `peak - start`.",
            start + (peak - start) * step / total: "the peak is reached after `rising * total` steps.",
            falling: "up to the peak the rate rises.",
            start: "the rate does not rise.",
            peak: "the rate does not rise, it is the peak at once.",
            peak - (peak - start) * (1 + np.cos(np.pi * step / top)) / 2: "it rises in a straight line.",
        }
    return falling, {
        peak * (1 - done): "it falls along half a cosine, not in a straight line.",
        peak * np.cos(np.pi * done / 2): "that is a quarter of a cosine; half of one goes from 1 to -1.",
        peak * np.cos(np.pi * done): "half a cosine goes from 1 to -1: add 1, and divide by 2.",
        peak * (1 + np.cos(np.pi * step / total)) / 2: "it falls in `total - rising * total` steps.",
        peak * (1 + np.cos(180 * done)) / 2: "`np.cos` takes radians: half a turn is `np.pi`.",
        start + (peak - start) * (1 + np.cos(np.pi * done)) / 2: "it falls to 0, not back to `start`.",
        peak: "behind the peak the rate falls.",
        risen: "behind the peak the rate falls; it rises still.",
    }


@sheet.exercise()
def depthwise_saves(plain_weights: Any, depthwise_weights: Any) -> str:
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
def variance_with_dropout(variance_with_dropout: Any) -> str:
    """Compute the variance behind a dropout in training (Li et al., 2018)."""

    def solve(x: Any, p: Any) -> Any:
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
def grad_cam_by_hand(heatmap: Any) -> str:
    """Compute Grad-CAM from maps and gradients (Selvaraju et al., 2017)."""

    def solve(maps: Any, gradients: Any) -> Any:
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


@sheet.exercise()
def hottest_block(hottest: Any) -> str:
    """Find the block of a heatmap with the largest sum."""

    def solve(heat: Any, side: Any) -> Any:
        sums = np.lib.stride_tricks.sliding_window_view(heat, (side, side)).sum(axis=(2, 3))
        right, place = (np.array(np.unravel_index(a.argmax(), a.shape)) for a in (sums, heat))
        return right, [
            (right[::-1], "row and column have changed places."),
            (place, "that is the hottest place; the sum of its block is not the largest."),
            (place - side // 2, "that is a block around the hottest place; its sum is not the largest."),
            (right + 1, "counting starts at 0."),
            (right + side // 2, "that is the middle of the block; its upper left corner was asked for."),
            (np.array(np.unravel_index(sums.argmin(), sums.shape)), "that block is the coldest."),
            (right - right % side, "the block can start anywhere, not only at multiples of `side`."),
            (np.array(sums.argmax()), "that counts the blocks one by one; return row and column."),
        ]

    rng, cases = np.random.default_rng(4), []
    for height, width, row, column, side in ((9, 12, 4, 7, 5), (8, 6, 1, 2, 4), (7, 9, 4, 7, 2), (6, 8, 0, 0, 3)):
        heat = rng.uniform(0, 0.1, (height, width))
        heat[row : row + side, column : column + side] += 0.5
        heat[(row + 2 * side) % height, (column + 2 * side) % width] = 0.95  # one hot place among cold ones
        cases.append((heat, side))
    answers.expect_results("hottest", hottest, cases, solve)
    return "the block with the largest sum, wherever it starts."
