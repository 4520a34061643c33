"""The exercises of the notebook 05_augmentation."""

import math
from typing import Any

import numpy as np

from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import Sheet, WrongAnswerError

sheet = Sheet("05_augmentation")
summary, withhold_solutions = sheet.summary, sheet.withhold_solutions

_HARMLESS = {"small shift", "brightness", "small rotation"}
_REASONS = {
    "half a turn": "half a turn makes a 9 out of a 6.",
    "mirror": "a mirrored 2 is no 2, and 3, 5 and 7 are none either.",
    "small shift": "a digit that stands a little further to the left is the same digit.",
    "brightness": "a digit on darker paper is the same digit.",
    "small rotation": "handwriting leans one way or the other.",
}


@sheet.exercise(
    to_do='Put the names into a set, as {"mirror", "brightness"}, run that cell, and then this one.',
    hints=[
        "Go through the ten digits with each of them: is there one that becomes another digit, or none?",
        "Turn a 6 upside down. Hold a 2 before a mirror.",
        "Three of the five are harmless.",
    ],
)
def harmless(harmless: Any) -> str:
    """Name the augmentations that keep the label of every digit."""
    if isinstance(harmless, str) or not isinstance(harmless, set | frozenset | list | tuple):
        raise WrongAnswerError(
            f'`harmless` must be a set of names, as {{"mirror"}}; it is {answers.kind(harmless)}.'
        )
    given = {answers.choice("a name in harmless", name, list(_REASONS)) for name in harmless}
    for name in given - _HARMLESS:
        raise WrongAnswerError(f'"{name}" does not belong there: {_REASONS[name]}')
    for name in sorted(_HARMLESS - given):
        raise WrongAnswerError(f'"{name}" is missing: {_REASONS[name]}')
    return "turned by half and mirrored digits are other digits, or none."


@sheet.exercise(
    to_do="Replace the line with `return None` by your own, run that cell, and then this one.",
    hints=[
        "Both the image and the label are mixed, with the same share.",
        "The second image gets what is left of 1.",
        "image = share * image_i + (1 - share) * image_j, and the same for the labels.",
    ],
)
def mix_two(mix_two: Any) -> str:
    """Write mixup's formula for two images (Zhang et al., 2018)."""
    rng = np.random.default_rng(0)
    images, labels = rng.uniform(0, 255, (2, 4, 4, 3)), np.eye(3)[[0, 2]]
    for share in (0.7, 1.0, 0.25):
        result = answers.outcome("mix_two", mix_two, images[0], labels[0], images[1], labels[1], share)
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise WrongAnswerError(
                f"`mix_two` must return two things, image and label; it returned {answers.kind(result)}."
            )
        image = answers.array("the image of mix_two", result[0], (4, 4, 3))
        label = answers.array("the label of mix_two", result[1], (3,))
        right = share * images[0] + (1 - share) * images[1]
        mistakes = {
            "The shares are swapped: `share` belongs to image i.": (1 - share) * images[0] + share * images[1],
            "Both images get `share`; the second one gets what is left of 1.": share * (images[0] + images[1]),
            "That is the mean, whatever the share is.": (images[0] + images[1]) / 2,
            "That is image i alone.": images[0],
            "The images are added whole, which is twice as bright.": images[0] + images[1],
        }
        if not np.allclose(image, right, atol=1e-3):
            close = (text for text, wrong in mistakes.items() if np.allclose(image, wrong, atol=1e-3))
            raise WrongAnswerError(next(close, f"With share {share} the image is not the formula's."))
        if not np.allclose(label, share * labels[0] + (1 - share) * labels[1], atol=1e-6):
            if np.allclose(label, labels[0]):
                raise WrongAnswerError("The label is that of image i alone: it must be mixed as the image is.")
            if np.allclose(label, (1 - share) * labels[0] + share * labels[1]):
                raise WrongAnswerError("The shares of the labels are swapped: `share` belongs to label i.")
            raise WrongAnswerError(f"With share {share} the label is not the formula's: mix it as the image.")
    return "images and labels are mixed with the same share."


@sheet.exercise(
    to_do="Repair the line that returns: the label stays where it was. Run that cell, and then this one.",
    hints=[
        "Mirroring from left to right changes columns, not rows.",
        "In an image of 10 columns column 0 becomes column 9.",
        "The new column is width - 1 - column.",
    ],
)
def mirror_with_label(mirror_with_label: Any) -> str:
    """Move the label of a regression with the mirrored image."""
    for width, column, row in ((10, 2, 5), (7, 0, 1), (12, 11, 3)):
        image = np.zeros((8, width))
        image[row, column] = 1  # the eye
        result = answers.outcome("mirror_with_label", mirror_with_label, image, column, row)
        if not isinstance(result, tuple | list) or len(result) != 3:
            raise WrongAnswerError("`mirror_with_label` must return three things: image, column, row.")
        mirrored = answers.array("the image of mirror_with_label", result[0], image.shape)
        given = answers.number("the column", result[1]), answers.number("the row", result[2])
        if not np.array_equal(mirrored, image[:, ::-1]):
            raise WrongAnswerError("The image is not mirrored from left to right: `image[:, ::-1]` is.")
        if given[1] != row:
            raise WrongAnswerError(
                f"The row was {row} and is {given[1]:g}: mirroring from left to right leaves it."
            )
        if given[0] == width - column:
            raise WrongAnswerError(
                f"Column {column} of {width} went to {given[0]:g}, one too far: columns are counted from 0."
            )
        if given[0] == column and column != width - 1 - column:
            raise WrongAnswerError("The column stays where it was: in the mirrored image the eye is elsewhere.")
        if given[0] != width - 1 - column:
            raise WrongAnswerError(
                f"In an image of {width} columns the eye moved from column {column} to {width - 1 - column}, "
                f"not to {given[0]:g}."
            )
    return "in the mirrored image the eye is where the label says."


@sheet.exercise(
    to_do="Put your numbers in place of None, run that cell, and then this one.",
    hints=[
        "`pipeline` counts rotation in turns: what share of a full turn are 30 degrees?",
        "A shift range below 1 is a share of the side in both.",
    ],
)
def old_units(rotation: Any, translation: Any) -> str:
    """Translate the strengths of `ImageDataGenerator` (Boracchi)."""
    turn = answers.number("rotation", rotation)
    mistakes = {
        30: "those are degrees. `pipeline` counts shares of a full turn.",
        30 / 180: "that is a share of half a turn.",
        math.radians(30): "those are radians. `pipeline` counts shares of a full turn.",
        30 / 100: "that is a hundredth of the degrees. A full turn has 360.",
    }
    if not math.isclose(turn, 30 / 360, abs_tol=2e-3):
        reason = next((text for value, text in mistakes.items() if math.isclose(turn, value, rel_tol=0.01)), None)
        raise WrongAnswerError(f"`rotation` is {turn:.3g}: {reason or 'that is not 30 of 360 degrees.'}")
    shift = answers.number("translation", translation)
    if not math.isclose(shift, 0.2, abs_tol=1e-9):
        mistakes = {
            0.4: "the range goes to both sides in both.",
            0.1: "the number is not halved.",
            20: "write a share, not a percentage.",
        }
        reason = mistakes.get(shift, "a share of the side is a share of the side in both.")
        raise WrongAnswerError(f"`translation` is {shift:g}: {reason}")
    return "30 degrees are a twelfth of a turn; shares of the side stay as they are."
