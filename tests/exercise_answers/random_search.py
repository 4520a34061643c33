"""Answers to the exercises of 13_random_search."""

import math
import random

import numpy as np


def by_counting(share, confidence):
    trials = 1
    while 1 - (1 - share) ** trials < confidence:
        trials += 1
    return trials


def drawn(space, rng, place=lambda rng, choices: rng.integers(len(choices)), with_momentum=("SGD", "RMSprop")):
    trial = {name: choices[place(rng, choices)] for name, choices in space.items()}
    if trial["optimizer"] not in with_momentum:
        del trial["momentum"]
    return trial


def by_choice(space, rng):
    trial = {}
    for name in ("activation", "optimizer", "learning_rate"):
        trial[name] = rng.choice(space[name])
    if trial["optimizer"] in ("SGD", "RMSprop"):
        trial["momentum"] = rng.choice(space["momentum"])
    return trial


def from_one_number(space, rng):
    number = rng.random()
    return drawn(space, rng, lambda rng, choices: int(number * len(choices)))


def impoverished(space, rng):
    trial = drawn(space, rng)
    space.pop("momentum")
    return trial


def uneven(rng, choices):
    return int(rng.random() ** 2 * len(choices))


def chosen(searched, tested):
    place = np.argmax(searched)
    return place, tested[place].mean()


def by_test(searched, tested):
    means = tested.mean(axis=1)
    return np.argmax(means), means.max()


RIGHT = {
    "trials_needed": [
        lambda: (lambda share, confidence: np.ceil(np.log(1 - confidence) / np.log(1 - share)),),
        lambda: (by_counting,),
    ],
    "size_of_space": [lambda: (150, 5), lambda: (np.int64(150), 5.0)],
    "draw_trial": [lambda: (drawn,), lambda: (by_choice,)],
    "what_to_report": [
        lambda: (chosen,),
        lambda: (lambda searched, tested: [int(np.argsort(searched)[-1]), np.mean(tested, 1)[searched.argmax()]],),
    ],
}

UNTOUCHED = {
    "trials_needed": (lambda: (lambda share, confidence: None,), "Put your own line in place of `return None`"),
    "size_of_space": (lambda: (None, None), "Put your numbers in place of None"),
    "draw_trial": (lambda: (lambda space, rng: None,), "Put your own line in place of `return None`"),
    "what_to_report": (lambda: (lambda searched, tested: None,), "Put your own line in place of `return None`"),
}

WRONG = {
    "trials_needed": [
        (lambda: (lambda share, confidence: math.log(1 - confidence) / math.log(1 - share),), "trials are whole"),
        (lambda: (lambda share, confidence: by_counting(share, confidence) - 1,), "one trial fewer"),
        (lambda: (lambda share, confidence: by_counting(share, confidence) + 1,), "one more than is needed"),
        (lambda: (lambda share, confidence: math.ceil(confidence / share),), "do not add up"),
        (lambda: (lambda share, confidence: math.ceil(1 / share),), "once on average"),
        (lambda: (lambda share, confidence: by_counting(share, 1 - confidence),), "all trials *miss*"),
        (lambda: (lambda share, confidence: 59,), "16 are needed"),
        (lambda: (59,), "must be a function"),
    ],
    "size_of_space": [
        (lambda: (240, 8), "one and the same"),
        (lambda: (60, 2), "another trial"),
        (lambda: (16, 1), "multiply"),
        (lambda: (75, 2.5), "two sizes"),
        (lambda: (7, 1), "count the steps first"),
        (lambda: (150, 300), "in minutes"),
        (lambda: (150, 2), "150 trials of 2 minutes"),
    ],
    "draw_trial": [
        (lambda: (lambda space, rng: by_choice(space, np.random.default_rng(0)),), "return the same trial"),
        (lambda: (lambda space, rng: by_choice(space, np.random.default_rng()),), "from `rng` alone"),
        (lambda: (lambda space, rng: drawn(space, rng, lambda rng, choices: random.randrange(len(choices))),),
         "from `rng` alone"),
        (lambda: (lambda space, rng: drawn(space, rng, with_momentum=["SGD", "RMSprop", "Adam", "Adagrad"]),),
         "has no momentum"),
        (lambda: (lambda space, rng: drawn(space, rng, with_momentum=[]),), "has a momentum"),
        (lambda: (lambda space, rng: drawn(space, rng, lambda rng, c: rng.integers(len(c) - 1)),), "is never"),
        (lambda: (lambda space, rng: drawn(space, rng, uneven),), "as likely as the others"),
        (lambda: (from_one_number,), "in the same pairs"),
        (lambda: (lambda space, rng: {"optimizer": "SGD", "momentum": 0.5},), "has no learning_rate"),
        (lambda: (lambda space, rng: {"rate": 0.1},), "not in the space"),
        (lambda: (lambda space, rng: {**drawn(space, rng), "learning_rate": 0.1},), "must be one of"),
        (lambda: (lambda space, rng: list(drawn(space, rng).values()),), "must return a dictionary"),
        (lambda: (impoverished,), "changes the space itself"),
        (lambda: (lambda space, rng: drawn(space, rng)["rate"],), "stops with `KeyError"),
    ],
    "what_to_report": [
        (lambda: (lambda searched, tested: (np.argmax(searched), np.max(searched)),), "the winner's luck"),
        (lambda: (by_test,), "chosen by the test images"),
        (lambda: (lambda searched, tested: (searched.argmax(), tested[searched.argmax()].max()),), "best seed"),
        (lambda: (lambda searched, tested: (np.argmax(searched), tested.mean()),), "mean of all trials"),
        (lambda: (lambda searched, tested: (np.argmin(searched), 0.6),), "the search's first is chosen"),
        (lambda: (lambda searched, tested: np.argmax(searched),), "must return a place and an accuracy"),
        (lambda: (lambda searched, tested: (1, 0.5),), "the mean of `tested[1]`"),
    ],
}  # fmt: skip
