"""The exercises of the notebook 15_project_template."""

from typing import Any

import numpy as np

from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import WrongAnswerError, new_sheet

sheet, summary, withhold_solutions = new_sheet("15_project_template")


@sheet.exercise()
def split_by_scene(for_testing: Any) -> str:
    """Set whole scenes aside for testing."""
    # So many scenes that a fifth, a third, and a quarter drawn scene by scene are told apart.
    in_order, mixed = np.repeat(np.arange(1000), 2), np.repeat(10 * np.arange(1100) + 3, 2)
    for scenes in (in_order, np.random.default_rng(0).permutation(mixed)):
        result = answers.outcome("for_testing", for_testing, scenes.copy())
        if np.ndim(result) != 1 or len(result) != len(scenes):
            received = f"it returned {answers.kind(result)}. `np.isin(scenes, ...)` gives them."
            rule = f"{len(scenes)} bools, one for each image"
            raise WrongAnswerError(f"`for_testing` must return {rule}; {received}")
        is_test = answers.array("the result of for_testing", result, (len(scenes),))
        no_bools = not np.isin(is_test, (0, 1)).all()
        test, train = set(scenes[is_test == 1].tolist()), set(scenes[is_test == 0].tolist())
        both, count = len(test & train), len(np.unique(scenes))
        for_testing_are = f"{len(test)} of {count} scenes are for testing:"
        answers.refuse(
            (no_bools, "`for_testing` must return bools: True or False for each image."),
            (not test, "No scene is for testing."),
            (not train, "No scene is for training."),
            (both, f"{both} of {count} scenes are in both sets: draw scenes, not images."),
            (len(test) > count / 2, f"{for_testing_are} is False and True the wrong way round?"),
            (not 0.205 <= len(test) / count <= 0.3, f"{for_testing_are} draw a quarter."),
        )
    return "each scene is in one of the sets only."


@sheet.exercise('Put a set such as {"a", "b"} in place of None')
def label_kept(kept: Any) -> str:
    """Tell which changes leave the class of a depth map alone."""
    reasons = {
        "a": "a mirrored envelope is an envelope, of the same heights.",
        "b": "parcels lie on the belt at any angle.",
        "c": "brighter is higher. 40 mm more make a box of an envelope, and lift the belt.",
        "d": "two parcels side by side are a class of their own, `double`.",
    }
    answers.expect_set("kept", kept, {"a", "b"}, reasons)
    return "mirrored and turned parcels keep their heights and their class."


@sheet.exercise()
def false_animals(places: Any, false: Any) -> str:
    """Expect the false animals of a good network."""
    mistakes = {
        59: "that is one row of places.",
        58: "count the first place, too, and all rows.",
        58**2: "from 0 to 232 in steps of 4: count the first place, too.",
        64**2: "a patch must fit into the image: its corner ends at 256 - 24.",
        10**2: "patches overlap here: they move by 4 pixels, not by 24.",
        233**2: "that is with steps of 1 pixel.",
    }
    answers.expect("places", places, 59**2, mistakes, "places in a row, times rows.")
    expected = 0.01 * (59**2 - 30)
    of_all = abs(answers.number("false", false) - 0.01 * 59**2) < 0.02
    answers.refuse((of_all, "That is 1 % of all places: an animal is at 30 of them."))
    shares = {
        0.3: "that is 1 % of the animals; how many places show none?",
        100 * expected: "only one place in a hundred is taken for an animal.",
        expected / 100: "1 % is 0.01, not 0.0001.",
    }
    rule = "take 1 % of the places without an animal."
    answers.expect("false", false, expected, shares, rule, tolerance=0.015)  # whoever rounds is right, too
    return "about 35 false animals beside 30 true ones, from a network that is right in 99 of 100 such places."


@sheet.exercise()
def images_needed(error: Any, images: Any) -> str:
    """Say how far an accuracy can be trusted, and how many test images it takes."""
    shares = {
        3: "write it as a share, as p is one: 3 % is 0.03.",
        0.0009: "that is the variance: take the root.",
        0.3: "that is for one image: divide by n under the root.",
    }
    root = "0.9 times 0.1, divided by the images, and the root of that."
    answers.expect("error_of_100", error, 0.03, shares, root, tolerance=0.015)
    counts = {
        300: "the images stand under the root: a third of the error takes more than three times as many.",
        9: "square the error before you divide.",
        90: "square the error: 0.09 / 0.01 ** 2.",
        100: "those have an error of 0.03.",
        30: "more images are needed, not fewer.",
    }
    answers.expect("images", images, 900.0, counts, "solve the formula for n.", tolerance=0.0012)
    return "900: for a third of the error it takes nine times as many."
