"""The exercises of the notebook 13_random_search."""

import itertools
import math
from typing import Any

import numpy as np

from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import WrongAnswerError, new_sheet

sheet, summary, withhold_solutions = new_sheet("13_random_search")

_SPACE: dict[str, list] = {
    "optimizer": ["SGD", "RMSprop", "Adam", "Adagrad"],
    "learning_rate": [0.003, 0.03, 0.3],
    "activation": ["relu", "tanh"],
    "momentum": [0.5, 0.95],
}
_WITH_MOMENTUM = ("SGD", "RMSprop")


@sheet.exercise()
def trials_needed(trials_needed: Any) -> str:
    """Count the random trials that hit the best with a given probability."""

    def solve(share: Any, confidence: Any) -> Any:
        exact = math.log(1 - confidence) / math.log(1 - share)
        right = math.ceil(exact)
        swapped = math.log(confidence) / math.log(1 - share)
        all_miss = "the probability that all trials *miss* is 1 - confidence."
        return (right, f"{right} are needed: (1 - {share}) ** {right} is at most {1 - confidence:.2g}."), [
            (exact, "trials are whole: round up."),
            (right - 1, "with one trial fewer the probability is not reached: round up, not down."),
            (right + 1, "that is one more than is needed."),
            (confidence / share, "probabilities of several trials do not add up: two may hit."),
            (1 / share, "so many trials hit once on average; that is less than the confidence."),
            (swapped, all_miss),
            (math.ceil(swapped), all_miss),
        ]

    # In the first case each mistake gives a number of its own.
    cases = [(0.1, 0.8), (0.05, 0.95), (0.01, 0.99), (0.5, 0.5), (0.5, 0.75)]
    answers.expect_results("trials_needed", trials_needed, cases, solve, tolerance=1e-6)
    return "59 for the best twentieth with 95 %, whatever the number of names."


@sheet.exercise()
def size_of_space(grid_trials: Any, hours: Any) -> str:
    """Count the trials of a grid and the hours that it takes."""
    trials = {
        240: "Adam has no momentum: its four trials are one and the same.",
        60: "SGD with another momentum is another trial.",
        120: "SGD has 4 momenta, and Adam is one more: 5 kinds of steps, not 4.",
        180: "SGD and Adam, 4 momenta: 4 + 1 kinds of steps, not 4 + 2.",
        16: "choices that are made together multiply.",
        75: "the dense layer has two sizes.",
        30: "there are 5 rates.",
        50: "there are 3 activations.",
    }
    units = {300: "that is in minutes.", 18_000: "that is in seconds.", 75: "2 minutes each, not half an hour."}
    answers.expect("grid_trials", grid_trials, 150, trials, "count the steps first: SGD has 4, and Adam 1.")
    answers.expect("hours", hours, 5.0, units, "150 trials of 2 minutes each.")
    return "150 trials, 5 hours; one more name with 4 values would make it 20."


@sheet.exercise()
def draw_trial(draw_trial: Any) -> str:
    """Declare a space for KerasTuner and return the values of a trial."""
    import keras_tuner  # of the extra `tuning`

    for drawn in itertools.product(*_SPACE.values()):
        values, optimizer = dict(zip(_SPACE, drawn, strict=True)), drawn[0]
        if optimizer not in _WITH_MOMENTUM:
            del values["momentum"]
        hp = keras_tuner.HyperParameters()
        hp.values = dict(values)
        _check_trial(answers.outcome("draw_trial", draw_trial, hp), values)
        _check_declared(hp, optimizer)
    return "each name by itself, and the momentum only where there is one."


def _check_trial(trial: Any, values: Any) -> Any:
    """Raise where a trial is not the dictionary of what has been drawn."""
    answers.dictionary("the result of draw_trial", trial)
    optimizer, missing, unknown = values["optimizer"], values.keys() - trial.keys(), trial.keys() - values.keys()
    answers.refuse(
        ("momentum" in unknown, f"{optimizer} has no momentum, but the trial has one: leave it out."),
        ("momentum" in missing, f"{optimizer} has a momentum, but the trial has none."),
        (missing, f"The trial has no {min(missing, default='')}: draw a value for each name."),
        (unknown, "The trial has a name that the task does not have."),
    )
    for name, value in values.items():
        rule = f"it must be what `hp.Choice` returns for it, which is {value!r} here"
        answers.refuse((trial[name] != value, f"{name} is {trial[name]!r}: {rule}."))


def _check_declared(hp: Any, optimizer: Any) -> Any:
    """Raise where KerasTuner would draw something else than the task says."""
    if unknown := {entry.name for entry in hp.space} - _SPACE.keys():
        raise WrongAnswerError(f"There is no {min(unknown)!r}: the names are {', '.join(_SPACE)}.")
    for name, choices in _SPACE.items():
        # A name may be declared in several places: KerasTuner draws from the first that is active.
        declared = [sorted(map(repr, getattr(entry, "values", ()))) for entry in hp.space if entry.name == name]
        if not declared and (name != "momentum" or optimizer in _WITH_MOMENTUM):
            raise WrongAnswerError(f"KerasTuner does not know {name}: draw it with `hp.Choice`.")
        if any(values != sorted(map(repr, choices)) for values in declared):
            raise WrongAnswerError(f"{name} must be a choice of {', '.join(map(str, choices))}, each once.")
    for other in _SPACE["optimizer"]:
        hp.values = {"optimizer": other}
        if other not in _WITH_MOMENTUM and any(one.name == "momentum" and hp.is_active(one) for one in hp.space):
            rule = 'put `with hp.conditional_scope("optimizer", ["SGD", "RMSprop"]):` around its line'
            raise WrongAnswerError(f"KerasTuner would draw a momentum for {other}, too: {rule}.")


@sheet.exercise()
def what_to_report(report: Any) -> str:
    """Choose a trial and report its accuracy."""
    first = np.array([0.61, 0.70, 0.66]), np.array([[0.60, 0.62], [0.63, 0.66], [0.68, 0.65]])
    second = np.array([0.55, 0.40, 0.52, 0.54]), np.array([[0.50], [0.41], [0.53], [0.49]])
    for searched, tested in (first, second):
        result = answers.outcome("report", report, searched.copy(), tested.copy())
        place, accuracy = answers.parts("report", result, ["the place", "the accuracy"])
        right, means = int(np.argmax(searched)), tested.mean(axis=1)
        spent = "chosen by the test images, whose figure would then be a winner's, too."
        by_test = {int(np.argmax(means)): spent}
        answers.expect("the place", place, right, by_test, f"the search's first is {right}.")
        mistakes = [
            (searched[right], "that is the search's own figure, which has had the winner's luck."),
            (tested[right].max(), "the best seed is luck: take the mean of all."),
            (tested.mean(), "that is the mean of all trials; take the row of the chosen one."),
            (means.max(), "that is another trial's mean."),
            ((searched[right] + means[right]) / 2, "leave the search's own figure out."),
        ]
        it_is = f"the mean of `tested[{right}]` is {means[right]:g}."
        answers.expect("the accuracy", accuracy, float(means[right]), mistakes, it_is)
    return "held-out images choose, test images report."
