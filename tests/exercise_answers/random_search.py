"""Answers to the exercises of 13_random_search."""

import math

import numpy as np


def by_counting(share, confidence):
    trials = 1
    while 1 - (1 - share) ** trials < confidence:
        trials += 1
    return trials


OPTIMIZERS, RATES, WITH_MOMENTUM = ["SGD", "RMSprop", "Adam", "Adagrad"], [0.003, 0.03, 0.3], ["SGD", "RMSprop"]


def drawn(hp, rates=RATES, scope=WITH_MOMENTUM, with_momentum=WITH_MOMENTUM, rate="learning_rate"):
    trial = {"optimizer": hp.Choice("optimizer", OPTIMIZERS), rate: hp.Choice(rate, rates)}
    trial["activation"] = hp.Choice("activation", ["tanh", "relu"])
    with hp.conditional_scope("optimizer", scope):
        if trial["optimizer"] in with_momentum:
            trial["momentum"] = hp.Choice("momentum", [0.95, 0.5])
    return trial


def by_parent(hp):
    trial = {"optimizer": hp.Choice("optimizer", OPTIMIZERS), "learning_rate": hp.Choice("learning_rate", RATES)}
    trial["activation"] = hp.Choice("activation", ["relu", "tanh"])
    momentum = hp.Choice("momentum", [0.5, 0.95], parent_name="optimizer", parent_values=WITH_MOMENTUM)
    return trial if momentum is None else {**trial, "momentum": momentum}


def with_named_arguments(hp):
    trial = {"activation": hp.Choice(name="activation", values=("relu", "tanh"), default="tanh")}
    trial["learning_rate"] = hp.Choice(name="learning_rate", values=[0.3, 0.03, 0.003], ordered=True)
    trial["optimizer"] = hp.Choice(name="optimizer", values=OPTIMIZERS)
    if trial["optimizer"] in {"SGD", "RMSprop"}:
        with hp.conditional_scope("optimizer", WITH_MOMENTUM):
            trial["momentum"] = hp.Choice("momentum", [0.5, 0.95])
    return trial


def in_two_scopes(hp):
    trial = {"optimizer": hp.Choice("optimizer", OPTIMIZERS), "learning_rate": hp.Choice("learning_rate", RATES)}
    for optimizer in WITH_MOMENTUM:
        with hp.conditional_scope("optimizer", [optimizer]):
            momentum = hp.Choice("momentum", [0.5, 0.95])
            if trial["optimizer"] == optimizer:
                trial["momentum"] = momentum
    return trial | {"activation": hp.Choice("activation", ["relu", "tanh"])}


def by_get(hp):
    drawn(hp)
    names = ["optimizer", "learning_rate", "activation"]
    return {name: hp.get(name) for name in names + ["momentum"] * (hp.get("optimizer") in WITH_MOMENTUM)}


def more_of_some(hp):
    """Draw Adam at 18 % in place of 25 %."""
    hp.Choice("optimizer", ["SGD"] * 4 + ["RMSprop"] * 3 + ["Adam"] * 2 + ["Adagrad"] * 2)
    return drawn(hp)


def tanh_for_adam_alone(hp):
    trial = drawn_without_activation(hp)
    for optimizer in OPTIMIZERS:
        with hp.conditional_scope("optimizer", [optimizer]):
            activation = hp.Choice("activation", ["tanh", "relu"] if optimizer == "Adagrad" else ["tanh"])
            if trial["optimizer"] == optimizer:
                trial["activation"] = activation
    return trial


def drawn_without_activation(hp):
    trial = {"optimizer": hp.Choice("optimizer", OPTIMIZERS), "learning_rate": hp.Choice("learning_rate", RATES)}
    with hp.conditional_scope("optimizer", WITH_MOMENTUM):
        if trial["optimizer"] in WITH_MOMENTUM:
            trial["momentum"] = hp.Choice("momentum", [0.95, 0.5])
    return trial


def with_any_rate(hp):
    hp.Float("learning_rate", 0.003, 0.3)
    return {**drawn(hp), "learning_rate": hp.get("learning_rate")}


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
        lambda: (lambda share, confidence: -(-math.log(1 - confidence) // math.log(1 - share)),),
        lambda: (lambda share, confidence: math.ceil(math.log2(1 - confidence) / math.log2(1 - share)),),
        lambda: (lambda share, confidence: np.argmax((1 - share) ** np.arange(999) <= 1 - confidence + 1e-12),),
    ],
    "size_of_space": [
        lambda: (150, 5),
        lambda: (np.int64(150), 5.0),
        lambda: (150.0, 150 * 2 / 60),
        lambda: (np.array([150]), np.float32(5)),
        lambda: ((4 + 1) * 5 * 3 * 2, 150 / 30),
    ],
    "draw_trial": [
        lambda: (drawn,),
        lambda: (by_parent,),
        lambda: (with_named_arguments,),
        lambda: (in_two_scopes,),
        lambda: (by_get,),
    ],
    "what_to_report": [
        lambda: (chosen,),
        lambda: (lambda searched, tested: [int(np.argsort(searched)[-1]), np.mean(tested, 1)[searched.argmax()]],),
        lambda: (lambda s, t: max((a, n, t[n].sum() / t[n].size) for n, a in enumerate(s.tolist()))[1:],),
        lambda: (lambda s, t: (np.flatnonzero(s == s.max())[0], np.average(t[s == s.max()])),),
        lambda: (lambda s, t: (float(np.argmax(s)), t.mean(axis=1, keepdims=True)[np.argmax(s)]),),
    ],
}

UNTOUCHED = {
    "trials_needed": (lambda: (lambda share, confidence: None,), "Put your own line in place of `return None`"),
    "size_of_space": (lambda: (None, None), "Put your answer in place of None"),
    "draw_trial": (lambda: (lambda hp: None,), "Put your own line in place of `return None`"),
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
        (lambda: (lambda share, confidence: 59,), "16 are needed: (1 - 0.1) ** 16 is at most 0.2."),
        (lambda: (59,), "must be a function"),
        (lambda: (lambda share, confidence: math.log(confidence) / math.log(1 - share),), "all trials *miss*"),
    ],
    "size_of_space": [
        (lambda: (240, 8), "one and the same"),
        (lambda: (60, 2), "another trial"),
        (lambda: (16, 1), "multiply"),
        (lambda: (75, 2.5), "two sizes"),
        (lambda: (7, 1), "count the steps first"),
        (lambda: (150, 300), "in minutes"),
        (lambda: (150, 2), "150 trials of 2 minutes"),
        (lambda: (120, 4), "5 kinds of steps, not 4"),
        (lambda: (180, 6), "not 4 + 2"),
        (lambda: (30, 1), "there are 5 rates"),
        (lambda: (50, 2), "there are 3 activations"),
        (lambda: (150, 18_000), "in seconds"),
        (lambda: (150, 75), "not half an hour"),
    ],
    "draw_trial": [
        (lambda: (lambda hp: drawn(hp, scope=OPTIMIZERS),), "KerasTuner would draw a momentum for Adam, too"),
        (lambda: (lambda hp: drawn(hp, with_momentum=OPTIMIZERS),), "Adam has no momentum"),
        (lambda: (lambda hp: drawn(hp, scope=["SGD"], with_momentum=["SGD"]),), "RMSprop has a momentum"),
        (lambda: (lambda hp: drawn(hp, rates=RATES[:2]),), "must be a choice of 0.003, 0.03, 0.3, each once"),
        (lambda: (lambda hp: drawn(hp, rates=[*RATES, 0.3]),), "must be a choice of 0.003, 0.03, 0.3, each once"),
        (lambda: (lambda hp: {**drawn(hp), "activation": "relu"},), "activation is 'relu'"),
        (lambda: (lambda hp: {**hp.values},), "KerasTuner does not know optimizer"),
        (lambda: (lambda hp: drawn(hp, rate="rate"),), "has no learning_rate"),
        (lambda: (lambda hp: {**drawn(hp), "units": 3},), "a name that the task does not have"),
        (lambda: (lambda hp: drawn(hp) if hp.Choice("units", [1, 2]) else None,), "There is no 'units'"),
        (lambda: (more_of_some,), "optimizer must be a choice of SGD, RMSprop, Adam, Adagrad, each once"),
        (lambda: (tanh_for_adam_alone,), "activation must be a choice of relu, tanh, each once"),
        (lambda: (lambda hp: drawn(hp, rates=["0.003", "0.03", "0.3"]),), "must be a choice of 0.003, 0.03, 0.3"),
        (lambda: (with_any_rate,), "must be a choice of 0.003, 0.03, 0.3"),
        (lambda: (lambda hp: list(drawn(hp).values()),), "must be a dictionary"),
        (lambda: (lambda hp: drawn(hp)["rate"],), "`draw_trial(...)` stops with `KeyError"),
        (lambda: (3,), "must be a function"),
    ],
    "what_to_report": [
        (lambda: (lambda searched, tested: (np.argmax(searched), np.max(searched)),), "the winner's luck"),
        (lambda: (by_test,), "chosen by the test images"),
        (lambda: (lambda searched, tested: (searched.argmax(), tested[searched.argmax()].max()),), "best seed"),
        (lambda: (lambda searched, tested: (np.argmax(searched), tested.mean()),), "mean of all trials"),
        (lambda: (lambda searched, tested: (np.argmin(searched), 0.6),), "the search's first is 1"),
        (lambda: (lambda searched, tested: np.argmax(searched),), "must return two things: the place"),
        (lambda: (lambda searched, tested: (1, 0.5),), "the mean of `tested[1]`"),
        (lambda: (lambda searched, tested: (1, tested.mean(axis=1).max()),), "another trial's mean"),
        (lambda: (lambda searched, tested: (1, (searched[1] + tested[1].mean()) / 2),), "search's own figure out"),
    ],
}  # fmt: skip
