"""Answers to the exercises of 05_augmentation."""

import numpy as np


def mix(image_i, label_i, image_j, label_j, share):
    rest = 1 - share
    return [rest * image_j + share * image_i, np.add(share * label_i, rest * label_j)]


RIGHT = {
    "harmless": [
        lambda: ({"small shift", "brightness", "small rotation"},),
        lambda: (["Small rotation ", "small shift", "brightness", "brightness"],),
    ],
    "mix_two": [
        lambda: (lambda a, x, b, y, s: (s * a + (1 - s) * b, s * x + (1 - s) * y),),
        lambda: (mix,),
    ],
    "mirror_with_label": [
        lambda: (lambda image, column, row: (image[:, ::-1], image.shape[1] - 1 - column, row),),
        lambda: (lambda image, column, row: (np.fliplr(image), len(image[0]) - column - 1.0, row),),
    ],
    "old_units": [lambda: (30 / 360, 0.2), lambda: (0.082, 0.2)],
}

UNTOUCHED = {
    "harmless": (lambda: (None,), "Put the names into a set"),
    "mix_two": (lambda: (lambda *parts: None,), "Put your own line in place of `return None`"),
    "mirror_with_label": (lambda: (lambda image, c, r: (image[:, ::-1], c, r),), "the column stays where it was"),
    "old_units": (lambda: (None, None), "Put your answer in place of None"),
}

WRONG = {
    "harmless": [
        (lambda: ({"small shift", "brightness", "small rotation", "mirror"},), "a mirrored 2 is no 2"),
        (lambda: ({"small shift", "brightness", "small rotation", "half a turn"},), "makes a 9 out of a 6"),
        (lambda: ({"small shift", "small rotation"},), "brightness is missing"),
        (lambda: ({"brightness", "small rotation"},), "small shift is missing"),
        (lambda: ("brightness",), "small shift is missing"),
        (lambda: ([1],), "must be a set of names"),
        (lambda: ({"shift"},), "There is no shift: the names are half a turn, mirror"),
        (lambda: ({"small shift", "brightness"},), "small rotation is missing"),
    ],
    "mix_two": [
        (
            lambda: (lambda a, x, b, y, s: ((1 - s) * a + s * b, s * x + (1 - s) * y),),
            "The shares are swapped: `share` belongs to image i",
        ),
        (lambda: (lambda a, x, b, y, s: (s * a + (1 - s) * b, x),), "that is label i alone"),
        (lambda: (lambda a, x, b, y, s: (s * a + s * b, s * x + s * y),), "Both images get `share`"),
        (lambda: (lambda a, x, b, y, s: ((a + b) / 2, (x + y) / 2),), "That is the mean"),
        (
            lambda: (lambda a, x, b, y, s: (s * a + (1 - s) * b, (1 - s) * x + s * y),),
            "the shares are swapped: `share` belongs to label i",
        ),
        (lambda: (lambda a, x, b, y, s: s * a + (1 - s) * b,), "must return two things"),
        (lambda: (lambda a, x, b, y, s: (s * a + (1 - s) * b, 2),), "it must have (3,)"),
        (lambda: (lambda a, x, b, y, s: (a + b, x + y),), "twice as much"),
        (lambda: (lambda a, x, b, y, s: (mix(a, x, b, y, s)[0] + 0.01, x),), "With share 0.7 it is not"),
    ],
    "mirror_with_label": [
        (lambda: (lambda i, c, r: (i[:, ::-1], i.shape[1] - c, r),), "one too far"),
        (lambda: (lambda i, c, r: (i[:, ::-1], c, i.shape[0] - 1 - r),), "the row was 5"),
        (lambda: (lambda i, c, r: (i, i.shape[1] - 1 - c, r),), "not mirrored from left to right"),
        (
            lambda: (lambda i, c, r: (i[:, ::-1], i.shape[0] - 1 - c, r),),
            "`column` is 5: in an image of 10 columns the eye moved from column 2 to 7",
        ),
        (lambda: (lambda i, c, r: i[:, ::-1],), "must return three things"),
    ],
    "old_units": [
        (lambda: (30, 0.2), "those are degrees"),
        (lambda: (30 / 180, 0.2), "half a turn"),
        (lambda: (np.radians(30), 0.2), "those are radians"),
        (lambda: (0.3, 0.2), "that is a hundredth of the degrees"),
        (lambda: (1 / 12, 0.4), "to both sides"),
        (lambda: (1 / 12, 20), "not a percentage"),
        (lambda: (0.081, 0.2), "not 30 of 360 degrees"),
        (lambda: (1 / 12, 0.1), "the number is not halved"),
        (lambda: (1 / 12, 0.5), "a share of the side in both"),
    ],
}
