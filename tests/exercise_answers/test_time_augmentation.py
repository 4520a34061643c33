"""Answers to the exercises of 06_test_time_augmentation."""

import numpy as np

RIGHT = {
    "predictions": [lambda: (3_700,), lambda: (np.float64(3.7) * 1000,)],
    "averaged": [
        lambda: (lambda posteriors: posteriors.mean(axis=0).argmax(axis=1),),
        lambda: (lambda p: [int(np.argmax(column)) for column in np.sum(p, axis=0)],),
    ],
    "veto": [lambda: (0, 1), lambda: (np.int64(0), 1.0)],
}

UNTOUCHED = {
    "predictions": (lambda: (None,), "Put your answer in place of None"),
    "averaged": (lambda: (lambda posteriors: None,), "Put your own line in place of `return None`"),
    "veto": (lambda: (None, None), "Put a class, 0 or 1"),
}

WRONG = {
    "predictions": [
        (lambda: (10_000,), "without `sure_from`"),
        (lambda: (4_000,), "not eleven"),
        (lambda: (3_000,), "are looked at, too"),
        (lambda: (12,), "count 700 and 300 images apart"),
        (lambda: (7_300,), "sure of 30 %"),
        (lambda: (1_000,), "one view for each image"),
        (lambda: (3_007,), "not 7 of them"),
    ],
    "averaged": [
        (lambda: (lambda p: p.mean(axis=0),), "returns probabilities"),
        (lambda: (lambda p: p.mean(axis=1).argmax(axis=1),), "the mean goes over the views"),
        (lambda: (lambda p: p[0].argmax(axis=1),), "the first view alone"),
        (lambda: (lambda p: p.max(axis=0).argmax(axis=1),), "surest of"),
        (
            lambda: (lambda p: np.array([np.bincount(c, minlength=p.shape[2]).argmax() for c in p.argmax(2).T]),),
            "vote",
        ),
        (lambda: (lambda p: np.zeros(p.shape[1]),), "some classes are not"),
        (lambda: (lambda p: p.mean(axis=1),), "the mean goes over the views"),
        (lambda: (lambda p: p.mean(axis=(0, 1)),), "the mean goes over the views"),
        (lambda: (lambda p: p.prod(axis=0).argmax(axis=1),), "the geometric mean"),
        (lambda: (lambda p: p.mean(axis=0).argmin(axis=1),), "the least probable classes"),
    ],
    "veto": [
        (lambda: (1, 1), "the sums are"),
        (lambda: (0, 0), "the products are"),
        (lambda: (2, 1), "there are the classes 0 and 1"),
        (lambda: (0, 0.5), "must be an integer"),
        (lambda: (0, 2), "there are the classes 0 and 1"),
    ],
}
