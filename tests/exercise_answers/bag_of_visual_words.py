"""Answers to the exercises of 14_bag_of_visual_words."""

import numpy as np


def distances(descriptors, words):
    return np.linalg.norm(descriptors[:, None] - words[None], axis=2)


def counted(descriptors, words):
    return np.bincount(distances(descriptors, words).argmin(axis=1), minlength=len(words))


def nearest(distances):
    return np.bincount(distances.argmin(axis=1), minlength=distances.shape[1])


def counted_in_a_loop(descriptors, words):
    counts = [0] * len(words)
    for descriptor in descriptors:
        counts[int(np.argmin([np.sum((descriptor - word) ** 2) for word in words]))] += 1
    return counts


def share_of_each(descriptors, words):
    return counted(descriptors, words) / len(descriptors)


RIGHT = {
    "counting": [
        lambda: (counted,),
        lambda: (counted_in_a_loop,),
        lambda: (lambda d, w: [int(np.sum(distances(d, w).argmin(axis=1) == k)) for k in range(len(w))],),
        lambda: (lambda d, w: (distances(d, w).argmin(axis=1)[:, None] == np.arange(len(w))).sum(axis=0),),
        lambda: (lambda d, w: np.histogram((distances(d, w) ** 2).argmin(axis=1), np.arange(len(w) + 1))[0],),
    ],
    "sharing": [
        lambda: (lambda a, b: np.minimum(a, b).sum(),),
        lambda: (lambda a, b: sum(map(min, zip(a, b, strict=True))),),
        lambda: (lambda a, b: (a.sum() + b.sum() - np.abs(a - b).sum()) / 2,),
        lambda: (lambda a, b: np.where(a < b, a, b).sum(),),
        lambda: (lambda a, b: float(np.stack([a, b]).min(axis=0).sum()),),
    ],
    "lengths": [
        lambda: (2688, 3840, 1536),
        lambda: (np.int64(2688), 3840.0, 1536),
        lambda: (128 * (1 + 4 + 16), 16 * 48 * (1 + 4), 2 * 16 * 48),
        lambda: (np.float32(2688), np.array(3840), np.array([1536])),
        lambda: (128 * (4**3 - 1) / 3, 16 * 48 * 5.0, 1536),
    ],
    "leaks": [
        lambda: ({"a", "d"},),
        lambda: (["D", "a"],),
        lambda: ("a, d",),
        lambda: ("ad",),
        lambda: ("DA",),
        lambda: ("a and d",),
        lambda: (("a", "d"),),
        lambda: ({"ad"},),
        lambda: ("{a; d}",),
    ],
}

UNTOUCHED = {
    "counting": (lambda: (lambda descriptors, words: None,), "Put your own line in place of `return None`"),
    "sharing": (lambda: (lambda a, b: None,), "Put your own line in place of `return None`"),
    "lengths": (lambda: (None, None, None), "Put your answer in place of None"),
    "leaks": (lambda: (None,), "Put a set such as"),
}

WRONG = {
    "counting": [
        (lambda: (lambda d, w: distances(d, w).argmin(axis=1),), "Count how often each occurs"),
        (lambda: (lambda d, w: np.bincount(distances(d, w).argmin(axis=1)),), "that is not used counts 0"),
        (lambda: (share_of_each,), "normalised"),
        (lambda: (lambda d, w: np.bincount(distances(d, w).argmax(axis=1), minlength=len(w)),), "farthest"),
        (lambda: (lambda d, w: np.array([7, 0, 0, 0]),), "are nearest to the words"),
        (lambda: (lambda d, w: 3.0,), "it must have (4,)"),
        (lambda: (7,), "must be a function"),
        (lambda: (lambda d, w: counted(d, w) / np.linalg.norm(counted(d, w)),), "normalised"),
        (lambda: (lambda d, w: nearest(np.abs(d[:, None] - w).sum(axis=2)),), "that is the l1 distance"),
        (lambda: (lambda d, w: nearest(np.abs(d[:, None] - w).max(axis=2)),), "are nearest to the words"),
        (lambda: (lambda d, w: nearest(-d @ w.T),), "are nearest to the words"),
        (lambda: (lambda d, w: (counted(d, w) > 0).astype(int),), "are nearest to the words"),
        (lambda: (lambda d, w: np.bincount(distances(d, w).argmin(axis=0), minlength=len(w)),), "must have (4,)"),
    ],
    "sharing": [
        (lambda: (np.minimum,), "add them up"),
        (lambda: (lambda a, b: np.maximum(a, b).sum(),), "the union"),
        (lambda: (lambda a, b: a @ b,), "the linear kernel"),
        (lambda: (lambda a, b: np.abs(a - b).sum(),), "the l1 distance"),
        (lambda: (lambda a, b: min(a.sum(), b.sum()),), "Compare bin by bin first"),
        (lambda: (lambda a, b: np.minimum(a, b).mean(),), "not the sum"),
        (lambda: (lambda a, b: "much",), "without quotes"),
        (lambda: (lambda a, b: np.minimum(a, b).min(),), "the smallest bin"),
        (lambda: (lambda a, b: 7,), "they share 0.6: compare"),
        (lambda: (lambda a, b: np.median(np.minimum(a, b)),), "not the sum"),
        (lambda: (lambda a, b: np.minimum(a, b).sum() / a.sum(),), "they share 3: compare"),
        (lambda: (lambda a, b: np.minimum(a, b).sum() / np.maximum(a, b).sum(),), "they share 0.6: compare"),
        (lambda: (lambda a, b: np.sum((a > 0) & (b > 0)),), "they share 0.6: compare"),
    ],
    "lengths": [
        (lambda: (128, 3840, 1536), "without the pyramid"),
        (lambda: (384, 3840, 1536), "a level is not one cell"),
        (lambda: (2048, 3840, 1536), "the finest level alone"),
        (lambda: (2688, 80, 1536), "as many numbers as a descriptor"),
        (lambda: (2688, 3840, 768), "that is half of it"),
        (lambda: (2688, 3840, 7680), "no pyramid here"),
        (lambda: (1, 3840, 1536), "cells of the pyramid, times words"),
        (lambda: (640, 3840, 1536), "another number of levels"),
        (lambda: (129_024, 3840, 1536), "a histogram counts"),
        (lambda: (2688, 768, 1536), "without the pyramid"),
        (lambda: (2688, 1536, 1536), "a level is not one cell"),
        (lambda: (2688, 3072, 1536), "the finest level alone"),
        (lambda: (2688, 16_128, 1536), "another number of levels"),
        (lambda: (2688, 1, 1536), "cells of the pyramid, times words"),
        (lambda: (2688, 3840, 16), "as many numbers as a descriptor"),
        (lambda: (2688, 3840, 1552), "the gradient of the weights is left out"),
        (lambda: (2688, 3840, 1), "cells of the pyramid, times words"),
    ],
    "leaks": [
        (lambda: ({"a", "b", "d"},), "never looks at a test image"),
        (lambda: ({"a", "c"},), "known from its own image"),
        (lambda: ({"d"},), "a is missing"),
        (lambda: ({"a"},), "d is missing"),
        (lambda: ({"e"},), "the letters are"),
        (lambda: (3,), "must be a set of letters"),
        (lambda: ("abcd",), "never looks at a test image"),
        (lambda: ("",), "a is missing"),
        (lambda: ("bc",), "never looks at a test image"),
        (lambda: ("ae",), "There is no e"),
    ],
}
