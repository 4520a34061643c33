"""Answers to the exercises of 12_tinynet."""

import math

import keras
import numpy as np
from keras import layers


def rate_at(step, total, start, peak, rising):
    top = rising * total
    return start + (peak - start) * step / top if step <= top else peak * half_cosine(step, total, top)


def half_cosine(step, total, top):
    return (1 + np.cos(np.pi * (step - top) / (total - top))) / 2


def by_interpolation(step, total, start, peak, rising):
    angle = np.interp(step, [rising * total, total], [0, math.pi])
    return np.interp(step, [0, rising * total], [start, peak]) * (0.5 + 0.5 * math.cos(angle))


def by_keras(step, total, start, peak, rising):
    top = int(rising * total)
    return keras.optimizers.schedules.CosineDecay(start, total - top, warmup_target=peak, warmup_steps=top)(step)


def by_square(step, total, start, peak, rising):
    top = rising * total
    return (
        start + (peak - start) * step / top
        if step < top
        else peak * math.cos(math.pi / 2 * (step - top) / (total - top)) ** 2
    )


def in_two_parts(step, total, start, peak, rising):
    if step > total * rising:
        return np.float32(peak * (0.5 - 0.5 * np.cos(np.pi * (total - step) / (total * (1 - rising)))))
    return start * (1 - step / (total * rising)) + peak * step / (total * rising)


def falling_line(step, total, start, peak, rising):
    top = rising * total
    return start + (peak - start) * step / top if step <= top else peak * (total - step) / (total - top)


def fall(function):
    """Return the right rise, and another fall."""
    return lambda s, n, a, b, r: (
        rate_at(s, n, a, b, r) if s <= r * n else function((s - r * n) / (n - r * n), a, b)
    )


def back_to_start(step, total, start, peak, rising):
    top = rising * total
    if step <= top:
        return start + (peak - start) * step / top
    return start + (peak - start) * half_cosine(step, total, top)


def from_zero(step, total, start, peak, rising):
    return peak * min(step / (rising * total), (total - step) / (total - rising * total))


def sums_of(heat, side):
    return np.lib.stride_tricks.sliding_window_view(heat, (side, side)).sum(axis=(2, 3))


def by_loops(heat, side):
    best = None
    for row in range(len(heat) - side + 1):
        for column in range(len(heat[0]) - side + 1):
            total = heat[row : row + side, column : column + side].sum()
            if best is None or total > best[0]:
                best = total, row, column
    return [best[1], best[2]]


def by_convolution(heat, side):
    sums = layers.AveragePooling2D(side, strides=1)(heat[None, :, :, None].astype("float32"))
    return np.argwhere(np.array(sums[0, :, :, 0]) == np.max(np.array(sums)))[0]


def by_sums(heat, side):
    whole = np.pad(heat, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    sums = whole[side:, side:] - whole[:-side, side:] - whole[side:, :-side] + whole[:-side, :-side]
    return divmod(int(sums.argmax()), sums.shape[1])


def by_max(heat, side):
    places = [(r, c) for r in range(heat.shape[0] - side + 1) for c in range(heat.shape[1] - side + 1)]
    return max(places, key=lambda place: heat[place[0] :, place[1] :][:side, :side].mean())


def unravelled(sums):
    return np.unravel_index(sums.argmax(), sums.shape)


def weighted(maps, gradients):
    return maps * gradients.mean(axis=(0, 1))


def grad_cam(maps, gradients):
    return np.maximum(weighted(maps, gradients).sum(axis=2), 0)


RIGHT = {
    "one_cycle_by_hand": [
        lambda: (rate_at,),
        lambda: (by_interpolation,),
        lambda: (by_keras,),
        lambda: (by_square,),
        lambda: (in_two_parts,),
    ],
    "depthwise_saves": [
        lambda: (294_912, 33_920),
        lambda: (np.int64(9 * 128 * 256), 9.0 * 128 + 128 * 256),
        lambda: (294_912.0, np.array([33_920])),
        lambda: (keras.ops.convert_to_tensor(294_912), 3 * 3 * 128 * 1 + 1 * 1 * 128 * 256),
        lambda: (np.prod([3, 3, 128, 256]), np.prod([3, 3, 128]) + np.prod([128, 256])),
    ],
    "variance_with_dropout": [
        lambda: (lambda x, p: np.mean(x**2) / (1 - p) - np.mean(x) ** 2,),
        lambda: (lambda x, p: np.var(x) + p / (1 - p) * np.mean(x * x),),
        lambda: (lambda x, p: float(((x / (1 - p)) ** 2).mean() * (1 - p) - x.mean() ** 2),),
        lambda: (lambda x, p: np.array([np.square(x).sum() / len(x) / (1 - p) - np.average(x) ** 2]),),
        lambda: (lambda x, p: (1 - p) * np.mean((x / (1 - p) - np.mean(x)) ** 2) + p * np.mean(x) ** 2,),
    ],
    "grad_cam_by_hand": [
        lambda: (lambda maps, gradients: np.maximum(maps @ gradients.mean(axis=(0, 1)), 0),),
        lambda: (lambda maps, gradients: weighted(maps, gradients).sum(axis=-1).clip(0).tolist(),),
        lambda: (lambda maps, gradients: np.einsum("hwk,k->hw", maps, gradients.mean((0, 1))).clip(min=0),),
        lambda: (lambda maps, gradients: keras.ops.relu(np.sum(weighted(maps, gradients), 2)),),
        lambda: (lambda maps, gradients: np.where((w := weighted(maps, gradients).sum(2)) > 0, w, 0),),
    ],
    "hottest_block": [
        lambda: (lambda heat, side: unravelled(sums_of(heat, side)),),
        lambda: (by_loops,),
        lambda: (by_convolution,),
        lambda: (by_sums,),
        lambda: (by_max,),
    ],
}

UNTOUCHED = {
    "one_cycle_by_hand": (lambda: (lambda *a: None,), "Put your own line in place of `return None`"),
    "depthwise_saves": (lambda: (None, None), "Put your answer in place of None"),
    "variance_with_dropout": (lambda: (lambda x, p: None,), "Put your own line in place of `return None`"),
    "grad_cam_by_hand": (lambda: (lambda a, b: None,), "Put your own line in place of `return None`"),
    "hottest_block": (lambda: (lambda heat, side: None,), "Put your own line in place of `return None`"),
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
        (lambda: (lambda s, n, a, b, r: b * half_cosine(s, n, r * n),), "up to the peak the rate rises"),
        (lambda: (falling_line,), "not in a straight line"),
        (lambda: (fall(lambda done, a, b: b * np.cos(np.pi * done / 2)),), "a quarter of a cosine"),
        (lambda: (fall(lambda done, a, b: b * np.cos(np.pi * done)),), "add 1, and divide by 2"),
        (lambda: (fall(lambda done, a, b: b * (1 + np.cos(180 * done)) / 2),), "takes radians"),
        (
            lambda: (lambda s, n, a, b, r: b - (b - a) * half_cosine(s, r * n, 0) if s <= r * n else 0,),
            "it rises in a straight line",
        ),
        (lambda: (lambda s, n, a, b, r: 7,), "it must be 0.1"),
        (lambda: (0.1,), "must be a function"),
        (lambda: (lambda s, n, a, b, r: b,), "it is the peak at once"),
        (
            lambda: (lambda s, n, a, b, r: rate_at(s, n, a, b, r) if s <= r * n else b * half_cosine(s, n, 0),),
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
    "hottest_block": [
        (lambda: (lambda heat, side: unravelled(sums_of(heat, side))[::-1],), "have changed places"),
        (lambda: (lambda heat, side: unravelled(heat),), "that is the hottest place"),
        (lambda: (lambda heat, side: np.array(unravelled(heat)) - side // 2,), "around the hottest place"),
        (lambda: (lambda heat, side: np.array(by_loops(heat, side)) + 1,), "counting starts at 0"),
        (lambda: (lambda heat, side: [n + side // 2 for n in by_loops(heat, side)],), "the middle of the block"),
        (lambda: (lambda heat, side: [n + side - 1 for n in by_loops(heat, side)],), "it must be ["),
        (lambda: (lambda heat, side: unravelled(-sums_of(heat, side)),), "the coldest"),
        (lambda: (lambda heat, side: [n - n % side for n in by_loops(heat, side)],), "can start anywhere"),
        (lambda: (lambda heat, side: sums_of(heat, side).argmax(),), "one by one"),
        (lambda: (lambda heat, side: sums_of(heat, side).max(),), "it must have (2,)"),
        (lambda: (lambda heat, side: unravelled(sums_of(heat, side)[:-1]),), "it must be ["),
        (lambda: (lambda heat, side: unravelled(sums_of(heat, side)[:, :-1]),), "it must be ["),
        (lambda: (lambda heat, side: (1, 1),), "it must be ["),
        (lambda: (lambda heat, side: unravelled(sums_of(heat, 3)),), "it must be ["),
    ],
}
