"""Answers to the exercises of 12_tinynet."""

import numpy as np


def rate_at(step, total, start, peak, rising):
    top = rising * total
    return start + (peak - start) * step / top if step <= top else peak * (total - step) / (total - top)


def back_to_start(step, total, start, peak, rising):
    top = rising * total
    if step <= top:
        return start + (peak - start) * step / top
    return peak + (start - peak) * (step - top) / (total - top)


def from_zero(step, total, start, peak, rising):
    return peak * min(step / (rising * total), (total - step) / (total - rising * total))


def by_ranks(inside, outside):
    everything = np.concatenate([inside, outside])
    ranks = np.array([np.sum(everything < one) + (np.sum(everything == one) + 1) / 2 for one in inside])
    return (ranks.sum() - len(inside) * (len(inside) + 1) / 2) / (len(inside) * len(outside))


def pairs(inside, outside):
    return inside[:, None] - outside[None, :]


def weighted(maps, gradients):
    return maps * gradients.mean(axis=(0, 1))


def grad_cam(maps, gradients):
    return np.maximum(weighted(maps, gradients).sum(axis=2), 0)


RIGHT = {
    "one_cycle_by_hand": [
        lambda: (rate_at,),
        lambda: (lambda s, n, a, b, r: np.interp(s, [0, r * n, n], [a, b, 0]),),
    ],
    "depthwise_saves": [lambda: (294_912, 33_920), lambda: (np.int64(9 * 128 * 256), 9.0 * 128 + 128 * 256)],
    "variance_with_dropout": [
        lambda: (lambda x, p: np.mean(x**2) / (1 - p) - np.mean(x) ** 2,),
        lambda: (lambda x, p: np.var(x) + p / (1 - p) * np.mean(x * x),),
    ],
    "area_by_counting": [
        lambda: (lambda a, b: np.mean(pairs(a, b) > 0) + np.mean(pairs(a, b) == 0) / 2,),
        lambda: (by_ranks,),
    ],
    "grad_cam_by_hand": [
        lambda: (lambda maps, gradients: np.maximum(maps @ gradients.mean(axis=(0, 1)), 0),),
        lambda: (lambda maps, gradients: weighted(maps, gradients).sum(axis=-1).clip(0).tolist(),),
    ],
}

UNTOUCHED = {
    "one_cycle_by_hand": (lambda: (lambda *a: None,), "Put your own line in place of `return None`"),
    "depthwise_saves": (lambda: (None, None), "Put your answer in place of None"),
    "variance_with_dropout": (lambda: (lambda x, p: None,), "Put your own line in place of `return None`"),
    "area_by_counting": (lambda: (lambda a, b: None,), "Put your own line in place of `return None`"),
    "grad_cam_by_hand": (lambda: (lambda a, b: None,), "Put your own line in place of `return None`"),
}

WRONG = {
    "one_cycle_by_hand": [
        (lambda: (from_zero,), "begins at `start`, not at 0"),
        (lambda: (back_to_start,), "falls to 0, not back to `start`"),
        (lambda: (lambda s, n, a, b, r: a,), "the rate does not rise."),
        (lambda: (lambda s, n, a, b, r: min(b, a + (b - a) * s / (r * n)),), "behind the peak the rate falls."),
        (lambda: (lambda s, n, a, b, r: a + (b - a) * s / (r * n),), "it rises still"),
        (lambda: (lambda s, n, a, b, r: a + (b - a) * s / n,), "after `rising * total` steps"),
        (lambda: (lambda s, n, a, b, r: a + b * s / (r * n),), "it is `peak - start`"),
        (lambda: (lambda s, n, a, b, r: b * (n - s) / (n - r * n),), "up to the peak the rate rises"),
        (lambda: (lambda s, n, a, b, r: 7,), "it must be 0.1"),
        (lambda: (0.1,), "must be a function"),
        (lambda: (lambda s, n, a, b, r: b,), "it is the peak at once"),
        (
            lambda: (lambda s, n, a, b, r: rate_at(s, n, a, b, r) if s <= r * n else b * (n - s) / n,),
            "it falls in `total",
        ),
        (lambda: (lambda *a: 1.0002 * rate_at(*a),), "it must be 0.1"),
    ],
    "depthwise_saves": [
        (lambda: (295_168, 33_920), "no biases"),
        (lambda: (32_768, 33_920), "that is a 1x1"),
        (lambda: (5, 33_920), "times maps in, times maps out"),
        (lambda: (294_912, 1_152), "the depthwise part alone"),
        (lambda: (294_912, 32_768), "the 1x1 alone"),
        (lambda: (294_912, 35_072), "not 256"),
        (lambda: (294_912, 7), "one 3x3 kernel for each map in"),
        (lambda: (2_304, 33_920), "each of the 128 maps"),
        (lambda: (98_304, 33_920), "has 9 places"),
        (lambda: (294_912, 34_304), "there are no biases"),
        (lambda: (294_912, 296_064), "the second convolution is 1x1"),
    ],
    "variance_with_dropout": [
        (lambda: (lambda x, p: np.var(x),), "dropout adds to it"),
        (lambda: (lambda x, p: np.mean(x**2) / (1 - p),), "square of the mean is missing"),
        (lambda: (lambda x, p: np.var(x) / (1 - p),), "the mean stays as it is"),
        (
            lambda: (lambda x, p: (1 - p) * np.mean(x**2) - ((1 - p) * np.mean(x)) ** 2,),
            "is divided by 1 - p",
        ),
        (lambda: (lambda x, p: np.mean(x**2) / (1 - p) ** 2 - np.mean(x) ** 2,), "only the share 1 - p"),
        (lambda: (lambda x, p: np.mean(x**2) / p - np.mean(x) ** 2,), "the share that is dropped"),
        (lambda: (lambda x, p: x / (1 - p),), "must be a number"),
        (lambda: (lambda x, p: -1,), "it must be 7.75"),
    ],
    "area_by_counting": [
        (lambda: (lambda a, b: np.mean(pairs(a, b) > 0),), "yours count nothing"),
        (lambda: (lambda a, b: np.mean(pairs(a, b) >= 0),), "yours count whole"),
        (lambda: (lambda a, b: np.mean(pairs(b, a) > 0),), "in the wrong order"),
        (lambda: (lambda a, b: np.sum(pairs(a, b) > 0),), "that is the number of pairs"),
        (lambda: (lambda a, b: np.mean(pairs(a, b)),), "Only the order of two values counts"),
        (lambda: (lambda a, b: a > b[: len(a)].max(),), "must be a number"),
    ],
    "grad_cam_by_hand": [
        (lambda: (lambda maps, gradients: weighted(maps, gradients).sum(axis=2),), "not cut off"),
        (
            lambda: (lambda maps, gradients: np.maximum((maps * gradients).sum(axis=2), 0),),
            "averaged first",
        ),
        (
            lambda: (lambda maps, gradients: np.maximum(gradients @ maps.mean(axis=(0, 1)), 0),),
            "have changed places",
        ),
        (lambda: (lambda maps, gradients: np.maximum(weighted(maps, gradients), 0).sum(axis=2),), "one by one"),
        (lambda: (lambda maps, gradients: maps.mean(axis=2),), "without weights"),
        (
            lambda: (lambda maps, gradients: np.maximum(maps @ gradients.sum(axis=(0, 1)), 0),),
            "sums of the gradients",
        ),
        (lambda: (lambda maps, gradients: np.maximum(weighted(maps, gradients), 0),), "it must have (4, 5)"),
        (lambda: (lambda maps, gradients: np.ones((4, 5)),), "A weight for each map"),
        (
            lambda: (lambda maps, gradients: grad_cam(maps, gradients) / grad_cam(maps, gradients).max(),),
            "by its maximum",
        ),
        (lambda: (lambda maps, gradients: grad_cam(maps, gradients) / 3,), "you take their mean"),
    ],
}
