"""The exercises of the notebook 05_augmentation."""

import math
from typing import Any

import numpy as np

from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import new_sheet

sheet, summary, withhold_solutions = new_sheet("05_augmentation")

_REASONS = {
    "half a turn": "half a turn makes a 9 out of a 6.",
    "mirror": "a mirrored 2 is no 2, and 3, 5 and 7 are none either.",
    "small shift": "a digit that stands a little further to the left is the same digit.",
    "brightness": "a digit on darker paper is the same digit.",
    "small rotation": "handwriting leans one way or the other.",
}


@sheet.exercise('Put the names into a set, as {"mirror", "brightness"}')
def harmless(harmless: Any) -> str:
    """Name the augmentations that keep the label of every digit."""
    answers.expect_set("harmless", harmless, {"small shift", "brightness", "small rotation"}, _REASONS)
    return "turned by half and mirrored digits are other digits, or none."


@sheet.exercise()
def mix_two(mix_two: Any) -> str:
    """Write mixup's formula for two images (Zhang et al., 2018)."""
    rng = np.random.default_rng(0)
    images, labels = rng.uniform(0, 255, (2, 4, 4, 3)), np.eye(3)[[0, 2]]
    for share in (0.7, 1.0, 0.25):
        result = answers.outcome("mix_two", mix_two, images[0], labels[0], images[1], labels[1], share)
        image, label = answers.parts("mix_two", result, ["image", "label"])
        for name, mixed, (first, second) in (("image", image, images), ("label", label, labels)):
            mistakes = [
                ((1 - share) * first + share * second, f"the shares are swapped: `share` belongs to {name} i."),
                (share * (first + second), f"both {name}s get `share`; the second one gets what is left of 1."),
                ((first + second) / 2, "that is the mean, whatever the share is."),
                (first, f"that is {name} i alone: mix image and label, both in the same way."),
                (first + second, f"the {name}s are added whole, which is twice as much."),
            ]
            right, otherwise = share * first + (1 - share) * second, f"with share {share} it is not the formula's."
            answers.expect(f"the {name} of mix_two", mixed, right, mistakes, otherwise, tolerance=1e-5)
    return "images and labels are mixed with the same share."


@sheet.exercise("Repair the line that returns: the label stays where it was")
def mirror_with_label(mirror_with_label: Any) -> str:
    """Move the label of a regression with the mirrored image."""
    for width, column, row in ((10, 2, 5), (7, 0, 1), (12, 11, 3)):
        image = np.zeros((8, width))
        image[row, column] = 1  # the eye
        result = answers.outcome("mirror_with_label", mirror_with_label, image, column, row)
        mirrored, to_column, to_row = answers.parts("mirror_with_label", result, ["image", "column", "row"])
        right = width - 1 - column
        mistakes = {
            width - column: f"column {column} of {width} went one too far: columns are counted from 0.",
            column: "the column stays where it was: in the mirrored image the eye is elsewhere.",
        }
        not_mirrored = "the image is not mirrored from left to right: `image[:, ::-1]` is."
        elsewhere = f"in an image of {width} columns the eye moved from column {column} to {right}."
        answers.expect("image", mirrored, image[:, ::-1], [], not_mirrored)
        answers.expect("row", to_row, row, {}, f"the row was {row}; mirroring from left to right leaves it.")
        answers.expect("column", to_column, right, mistakes, elsewhere)
    return "in the mirrored image the eye is where the label says."


@sheet.exercise()
def old_units(rotation: Any, translation: Any) -> str:
    """Translate the strengths of `ImageDataGenerator` (Boracchi)."""
    turns = {
        30: "those are degrees. `pipeline` counts shares of a full turn.",
        30 / 180: "that is a share of half a turn.",
        math.radians(30): "those are radians. `pipeline` counts shares of a full turn.",
        30 / 100: "that is a hundredth of the degrees. A full turn has 360.",
    }
    answers.expect("rotation", rotation, 30 / 360, turns, "that is not 30 of 360 degrees.", tolerance=0.02)
    shifts = {
        0.4: "the range goes to both sides in both.",
        0.1: "the number is not halved.",
        20: "write a share, not a percentage.",
    }
    answers.expect("translation", translation, 0.2, shifts, "a share of the side is a share of the side in both.")
    return "30 degrees are a twelfth of a turn; shares of the side stay as they are."
