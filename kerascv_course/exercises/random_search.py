"""The exercises of the notebook 13_random_search."""

import math
from typing import Any

import numpy as np

from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import Sheet, WrongAnswerError

sheet = Sheet("13_random_search")
summary, withhold_solutions = sheet.summary, sheet.withhold_solutions

_DRAWS = 800


@sheet.exercise(
    to_do="Put your own line in place of `return None`, run that cell, and then this one.",
    hints=[
        "One trial misses with probability 1 - share. And n trials?",
        "All n miss with (1 - share) ** n. That may be at most 1 - confidence.",
        "Divide log(1 - confidence) by log(1 - share), and round up: `np.ceil`.",
    ],
)
def trials_needed(trials_needed: Any) -> str:
    """Count the random trials that hit the best with a given probability."""
    # In the first case each mistake gives a number of its own.
    for share, confidence in ((0.1, 0.8), (0.05, 0.95), (0.01, 0.99), (0.5, 0.5), (0.5, 0.75)):
        call = f"trials_needed({share}, {confidence})"
        given = answers.number(call, answers.outcome("trials_needed", trials_needed, share, confidence))
        exact = math.log(1 - confidence) / math.log(1 - share)
        right = math.ceil(exact)
        if given == right:
            continue
        swapped = math.log(confidence) / math.log(1 - share)
        mistakes = [
            (exact, "trials are whole: round up."),
            (right - 1, "with one trial fewer the probability is not reached: round up, not down."),
            (right + 1, "that is one more than is needed."),
            (confidence / share, "probabilities of several trials do not add up: two may hit."),
            (1 / share, "so many trials hit once on average; that is less than the confidence."),
            (swapped, "the probability that all trials *miss* is 1 - confidence."),
            (math.ceil(swapped), "the probability that all trials *miss* is 1 - confidence."),
        ]
        fitting = (said for value, said in mistakes if math.isclose(given, value, rel_tol=1e-6))
        reason = next(fitting, f"{right} are needed: (1 - {share}) ** {right} is at most {1 - confidence:.2g}.")
        raise WrongAnswerError(f"`{call}` returns {given:.6g}: {reason}")
    return "59 for the best twentieth with 95 %, whatever the number of names."


@sheet.exercise(
    to_do="Put your numbers in place of None, run that cell, and then this one.",
    hints=[
        "Count the optimizers with their momenta first: SGD has 4 variants, and Adam has one.",
        "Multiply by the number of rates, of activations and of sizes.",
        "2 minutes for each trial, 60 minutes in an hour.",
    ],
)
def size_of_space(grid_trials: Any, hours: Any) -> str:
    """Count the trials of a grid and the hours that it takes."""
    given = answers.whole_number("grid_trials", grid_trials)
    mistakes = {
        240: "Adam has no momentum: its four trials are one and the same.",
        60: "SGD with another momentum is another trial.",
        120: "SGD has 4 momenta, and Adam is one more: 5 kinds of steps, not 4.",
        180: "SGD and Adam, 4 momenta: 4 + 1 kinds of steps, not 4 + 2.",
        16: "choices that are made together multiply.",
        75: "the dense layer has two sizes.",
        30: "there are 5 rates.",
        50: "there are 3 activations.",
    }
    if given != 150:
        raise WrongAnswerError(
            f"`grid_trials` is {given:,}: {mistakes.get(given, 'count the steps first: SGD has 4, and Adam 1.')}"
        )
    time = answers.number("hours", hours)
    if not math.isclose(time, 5):
        units = {
            300: "that is in minutes.",
            18_000: "that is in seconds.",
            75: "2 minutes each, not half an hour.",
        }
        reason = units.get(round(time), "150 trials of 2 minutes each.")
        raise WrongAnswerError(f"`hours` is {time:g}: {reason}")
    return "150 trials, 5 hours; one more name with 4 values would make it 20."


@sheet.exercise(
    to_do="Put your own lines in place of `return None`, run that cell, and then this one.",
    hints=[
        "`rng.integers(len(choices))` is a place in a list of choices, each as likely as the others.",
        "Make a dictionary of all names, and delete the momentum where it does not belong.",
        'It does not belong where `trial["optimizer"]` is not in ("SGD", "RMSprop").',
    ],
)
def draw_trial(draw_trial: Any) -> str:
    """Draw the values of a trial."""
    space: dict[str, list[Any]] = {
        "optimizer": ["SGD", "RMSprop", "Adam", "Adagrad"],
        "learning_rate": [0.003, 0.03, 0.3],
        "momentum": [0.5, 0.95],
        "activation": ["relu", "tanh"],
    }
    rng = np.random.default_rng(0)
    trials = [_drawn(draw_trial, space, rng) for _ in range(_DRAWS)]
    if [_drawn(draw_trial, space, np.random.default_rng(7)) for _ in range(3)] != [
        _drawn(draw_trial, space, np.random.default_rng(7)) for _ in range(3)
    ]:
        raise WrongAnswerError("Two generators with the same seed give different trials: draw from `rng` alone.")
    if all(trial == trials[0] for trial in trials):
        raise WrongAnswerError(f"All of {_DRAWS} calls return the same trial: draw with `rng`.")
    seen = [{trial[name] for trial in trials} for name in ("learning_rate", "activation")]
    pairs = {(trial["learning_rate"], trial["activation"]) for trial in trials}
    if len(pairs) < len(seen[0]) * len(seen[1]):
        raise WrongAnswerError("Rate and activation always come in the same pairs: draw anew for each name.")
    for name, choices in space.items():
        values = [trial[name] for trial in trials if name in trial]
        counts = [values.count(choice) for choice in choices]
        for choice, count in zip(choices, counts, strict=True):
            if not count:
                raise WrongAnswerError(
                    f"In {_DRAWS} trials {name} is never {choice!r}. Does a range end too early?"
                )
            share = count / len(values)
            if abs(share - 1 / len(choices)) > 0.13:
                rule = f"each of {len(choices)} values should be as likely as the others"
                raise WrongAnswerError(f"{name} is {choice!r} in {share:.0%} of the trials: {rule}.")
    return "each name by itself, and the seed decides them all."


def _drawn(draw: Any, space: dict[str, list[Any]], rng: np.random.Generator) -> dict[str, Any]:
    """Return a trial that a student's function has drawn, in Python's own values."""
    copy = {name: list(choices) for name, choices in space.items()}
    trial = answers.outcome("draw_trial", draw, copy, rng)
    if copy != space:
        raise WrongAnswerError("`draw_trial` changes the space itself: the next trial would lack something.")
    if not isinstance(trial, dict):
        raise WrongAnswerError(f"`draw_trial` must return a dictionary; it returned {answers.kind(trial)}.")
    unknown = [name for name in trial if not isinstance(name, str) or name not in space]
    if unknown:
        raise WrongAnswerError("The trial has a name that is not in the space.")
    missing = [name for name in space if name not in trial and name != "momentum"]
    if missing:
        raise WrongAnswerError(f"The trial has no {missing[0]}: draw a value for each name.")
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in trial.items()}
    for name, value in plain.items():
        if not isinstance(value, str | int | float) or value not in space[name]:
            raise WrongAnswerError(f"{name} must be one of {space[name]}; it is {answers.kind(value)}.")
    has_momentum = plain["optimizer"] in ("SGD", "RMSprop")
    if has_momentum and "momentum" not in plain:
        raise WrongAnswerError(f"{plain['optimizer']} has a momentum, but the trial has none.")
    if not has_momentum and "momentum" in plain:
        raise WrongAnswerError(f"{plain['optimizer']} has no momentum, but the trial has one: leave it out.")
    return plain


@sheet.exercise(
    to_do="Put your own lines in place of `return None`, run that cell, and then this one.",
    hints=[
        "What has been used to choose can no longer report.",
        "Choose with `np.argmax(searched)`; report from `tested`.",
        "The figure is the mean of the row of `tested` that was chosen.",
    ],
)
def what_to_report(report: Any) -> str:
    """Choose a trial and report its accuracy."""
    first = np.array([0.61, 0.70, 0.66]), np.array([[0.60, 0.62], [0.63, 0.66], [0.68, 0.65]])
    second = np.array([0.55, 0.40, 0.52, 0.54]), np.array([[0.50], [0.41], [0.53], [0.49]])
    for searched, tested in (first, second):
        result = answers.outcome("report", report, searched.copy(), tested.copy())
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise WrongAnswerError(
                f"`report` must return a place and an accuracy; it returned {answers.kind(result)}."
            )
        place = answers.whole_number("the place", result[0])
        right = int(np.argmax(searched))
        if place != right:
            by_test = {int(np.argmax(tested.mean(axis=1))), int(np.argmax(tested.max(axis=1)))}
            reason = (
                "chosen by the test images, whose figure would then be a winner's, too."
                if place in by_test
                else "the search's first is chosen."
            )
            raise WrongAnswerError(f"The place is {place}, not {right}: {reason}")
        given = answers.number("the accuracy", result[1])
        if not math.isclose(given, float(tested[right].mean()), rel_tol=1e-6):
            mistakes = [
                (searched[right], "that is the search's own figure, which has had the winner's luck."),
                (tested[right].max(), "the best seed is luck: take the mean of all."),
                (tested.mean(), "that is the mean of all trials; take the row of the chosen one."),
                (tested.mean(axis=1).max(), "that is another trial's mean."),
                ((searched[right] + tested[right].mean()) / 2, "leave the search's own figure out."),
            ]
            fitting = (said for value, said in mistakes if math.isclose(given, value, rel_tol=1e-6))
            reason = next(fitting, f"the mean of `tested[{right}]` is {tested[right].mean():g}.")
            raise WrongAnswerError(f"The accuracy is {given:g}: {reason}")
    return "held-out images choose, test images report."
