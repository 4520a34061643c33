"""Answers to the exercises of 10_image_retrieval."""

from collections import Counter

import numpy as np
from sklearn.metrics import average_precision_score


def vote(labels):
    counts = [list(labels).count(label) for label in labels]
    return labels[int(np.argmax(counts))]


def ap(relevant):
    hits, total = 0, 0.0
    for place, is_relevant in enumerate(relevant, start=1):
        if is_relevant:
            hits += 1
            total += hits / place
    return total / hits if hits else 0


def by_places(relevant):
    places = np.flatnonzero(relevant) + 1
    return np.mean(np.arange(1, len(places) + 1) / places) if len(places) else 0.0


def by_library(relevant):
    return average_precision_score(relevant, -np.arange(len(relevant))) if relevant.any() else 0.0


def precisions(relevant):
    return np.cumsum(relevant) / np.arange(1, len(relevant) + 1)


RIGHT = {
    "precision": [lambda: (1, 2 / 3, 3 / 5), lambda: (1.0, 0.664, np.float64(0.6))],
    "average_precision": [
        lambda: (ap,),
        lambda: (by_places,),
        lambda: (by_library,),
        lambda: (lambda r: float(np.sum(precisions(r) * r) / max(1, r.sum())),),
        lambda: (lambda r: np.nan_to_num(np.float32(ap(r))),),
    ],
    "voting": [lambda: (vote,), lambda: (lambda labels: Counter(labels.tolist()).most_common(1)[0][0],)],
    "cost": [lambda: (120, 4_200_000), lambda: (121.0, 50_000 * 84)],
}

UNTOUCHED = {
    "precision": (lambda: (None, None, None), "Put your answer in place of None"),
    "average_precision": (lambda: (lambda relevant: None,), "Put your own line in place of `return None`"),
    "voting": (lambda: (lambda labels: None,), "Put your own line in place of `return None`"),
    "cost": (lambda: (None, None), "Put your answer in place of None"),
}

WRONG = {
    "precision": [
        (lambda: (1, 2, 3), "those are the hits"),
        (lambda: (1, 66.667, 60), "in percent"),
        (lambda: (1, 1 / 3, 3 / 5), "share of misses"),
        (lambda: (1, 2 / 5, 3 / 5), "only the first 3 count"),
        (lambda: (0.9, 2 / 3, 3 / 5), "count the cats among the first 1"),
        (lambda: (1, 2 / 3, 3), "`at_5` is 3: those are the hits; divide by 5"),
        (lambda: (1, 2 / 3, 0.4), "share of misses"),
        (lambda: (1, 0.66, 3 / 5), "among the first 3, and divide by 3"),
    ],
    "average_precision": [
        (lambda: (lambda r: precisions(r).mean(),), "the mean over all places"),
        (lambda: (lambda r: np.sum(precisions(r) * r),), "that is the sum"),
        (lambda: (lambda r: np.sum(precisions(r) * r) / len(r),), "not of all"),
        (lambda: (lambda r: r.mean(),), "at the end of the ranking"),
        (lambda: (lambda r: np.mean(1 / (np.flatnonzero(r) + 1)),), "not only that one"),
        (lambda: (lambda r: 1 / (np.flatnonzero(r)[0] + 1),), "the first relevant image alone"),
        (lambda: (lambda r: np.sum(precisions(r) * r) / r.sum() if r.any() else 1.0,), "is 1: it must be 0"),
        (lambda: (lambda r: np.median(precisions(r)[r == 1]),), "it must be 0.8056"),
        (lambda: (0.8,), "must be a function"),
    ],
    "voting": [
        (lambda: (lambda labels: labels[0],), "of the nearest image alone"),
        (lambda: (lambda labels: np.bincount(labels).argmax(),), "is nearer"),
        (lambda: (lambda labels: np.bincount(labels).max(),), "how many votes"),
        (lambda: (lambda labels: 77,), "most have class"),
    ],
    "cost": [
        (lambda: (120_000, 4_200_000), "milliseconds"),
        (lambda: (600, 4_200_000), "not for each of the 50,000"),
        (lambda: (2, 4_200_000), "minutes"),
        (lambda: (120, 50_000), "84 of them"),
        (lambda: (120, 840_000), "not the 10,000 queries"),
        (lambda: (120, 42_000_000_000), "for all 10,000 queries"),
        (lambda: (122, 4_200_000), "10,000 queries of 0.012 s"),
        (lambda: (120, 84), "that is one image"),
        (lambda: (120, 7), "50,000 images with 84 numbers"),
    ],
}
