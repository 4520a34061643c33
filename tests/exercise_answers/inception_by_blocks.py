"""Answers to the exercises of 08_inception_by_blocks."""

import numpy as np
from sklearn.metrics import roc_auc_score


def unfrozen(names, count, start):
    return names[:count] if start == "input" else names[len(names) - count :]


def unfrozen_by_index(names, count, start):
    first = 0 if start == "input" else len(names) - count
    return tuple(name for place, name in enumerate(names) if first <= place < first + count)


def all_for_none(names, count, start):
    return names[:count] if start == "input" else names[-count:]


def in_reverse(names, count, start):
    return names[:count] if start == "input" else names[::-1][:count]


def the_frozen_ones(names, count, start):
    return names[count:] if start == "input" else names[: len(names) - count]


def always_from_the_input(names, count, start):
    return names[:count]


def one_too_many(names, count, start):
    return names[: count + 1] if start == "input" else names[len(names) - count - 1 :]


def area(positives, negatives):
    difference = positives[:, None] - negatives
    return np.mean((difference > 0) + 0.5 * (difference == 0))


def area_by_loops(positives, negatives):
    total = 0
    for one in positives:
        for other in negatives:
            total += 1 if one > other else 0.5 if one == other else 0
    return total / (len(positives) * len(negatives))


def area_by_scikit_learn(positives, negatives):
    labels = [1] * len(positives) + [0] * len(negatives)
    return roc_auc_score(labels, np.concatenate([positives, negatives]))


def accuracy(positives, negatives):
    right = np.sum(positives > 0.5) + np.sum(negatives <= 0.5)
    return right / (len(positives) + len(negatives))


RIGHT = {
    "five_blocks_less": [lambda: ("mixed5", 5_138_656 / 21_802_784), lambda: (" Mixed5", np.float32(0.24))],
    "trained_blocks": [lambda: (unfrozen,), lambda: (unfrozen_by_index,)],
    "passes": [lambda: (20_000, 400, 1_600), lambda: (np.int64(20_000), 400.0, 1_600)],
    "area_by_pairs": [lambda: (area,), lambda: (area_by_loops,), lambda: (area_by_scikit_learn,)],
}

UNTOUCHED = {
    "five_blocks_less": (lambda: (None, None), "Put your answer in place of None"),
    "trained_blocks": (lambda: (lambda names, count, start: None,), "Put your own line in place of `return None`"),
    "passes": (lambda: (None, None, None), "Put your answer in place of None"),
    "area_by_pairs": (lambda: (lambda positives, negatives: None,), "Put your own line in place of `return None`"),
}

WRONG = {
    "five_blocks_less": [
        (lambda: ("mixed6", 0.2357), "after mixed6 come four blocks"),
        (lambda: ("mixed4", 0.2357), "after mixed4 come six blocks"),
        (lambda: ("mixed10", 0.2357), "the whole network"),
        (lambda: ("mixed2", 0.2357), "after it come 8 blocks"),
        (lambda: (5, 0.2357), "`last_block` must be"),
        (lambda: ("mixed5", 23.57), "per cent"),
        (lambda: ("mixed5", 0.7643), "the share that is gone"),
        (lambda: ("mixed5", 4.243), "the other way round"),
        (lambda: ("mixed5", 6 / 11), "The later blocks are the larger ones"),
        (lambda: ("mixed5", 0.5), "divide the weights"),
        (lambda: ("mixed11", 0.2357), "`last_block` must be"),
        (lambda: ("mixed0", 0.2357), "after it come 10 blocks"),
        (lambda: ("mixed5", 0.241), "divide the weights"),
    ],
    "trained_blocks": [
        (lambda: (all_for_none,), "`names[-0:]` is the same as `names[0:]`"),
        (lambda: (in_reverse,), "in reverse"),
        (lambda: (always_from_the_input,), "those at the other end"),
        (lambda: (one_too_many,), "returns 2 blocks, not 1"),
        (lambda: (the_frozen_ones,), "that stay frozen"),
        (
            lambda: (lambda names, count, start: names[: count if start == "input" else -count],),
            "that stay frozen",
        ),
        (lambda: (lambda names, count, start: names,), "returns 4 blocks, not 1"),
        (lambda: (lambda names, count, start: unfrozen(names, max(count, 1), start),), "returns 1 blocks, not 0"),
        (lambda: (lambda names, count, start: count,), "return a list of names"),
        (lambda: (lambda names, count, start: names[-count - 1 : -1],), "returns mixed2; it must be mixed0"),
    ],
    "passes": [
        (lambda: (400, 400, 1_600), "in each of the 50 epochs"),
        (lambda: (20_000, 20_000, 1_600), "that is so without a cache"),
        (lambda: (20_000, 0, 1_600), "once they have to be computed"),
        (lambda: (20_000, 400, 400), "has features of its own"),
        (lambda: (20_000, 400, 80_000), "computed once"),
        (lambda: (20_000, 400, 2_000), "none of the 4 views"),
        (lambda: (20_000, 50, 1_600), "count images"),
        (lambda: (450, 400, 1_600), "multiply"),
        (lambda: (20_000, 400, 20_000), "a new view in each epoch"),
        (lambda: (20_000, 7, 1_600), "multiply"),
        (lambda: (20_000, 400, 7), "multiply"),
    ],
    "area_by_pairs": [
        (lambda: (lambda p, n: np.mean(p[:, None] > n),), "ties are missing"),
        (lambda: (lambda p, n: np.mean(p[:, None] >= n),), "one half, not 1"),
        (lambda: (lambda p, n: 1 - area(p, n),), "the wrong way round"),
        (lambda: (lambda p, n: area(p, n) * len(p) * len(n),), "that is the number of pairs"),
        (lambda: (accuracy,), "needs no threshold"),
        (lambda: (lambda p, n: np.mean(p) - np.mean(n),), "the mean difference"),
        (lambda: (lambda p, n: 0.5,), "it should be 0.750"),
        (lambda: (lambda p, n: -2.0,), "from 0 to 1"),
    ],
}
