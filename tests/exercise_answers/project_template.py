"""Answers to the exercises of 15_project_template."""

import numpy as np


def drawn(scenes, share=0.25):
    numbers = np.random.default_rng(1).permutation(np.unique(scenes))
    return np.isin(scenes, numbers[: int(share * len(numbers))])


def scene_by_scene(scenes):
    numbers, places = np.unique(scenes, return_inverse=True)
    return (np.random.default_rng(1).random(len(numbers)) < 0.25)[places]


def image_by_image(scenes):
    return np.random.default_rng(1).random(len(scenes)) < 0.25


RIGHT = {
    "split_by_scene": [
        lambda: (drawn,),
        lambda: (lambda scenes: (scenes <= np.quantile(np.unique(scenes), 0.25)).tolist(),),
        lambda: (scene_by_scene,),
        lambda: (lambda scenes: drawn(scenes, 0.206),),
        lambda: (lambda scenes: drawn(scenes, 0.3),),
    ],
    "label_kept": [
        lambda: ({"a", "b"},),
        lambda: (["B", " a"],),
        lambda: ("a, b",),
        lambda: ("ab",),
        lambda: ("B and A",),
        lambda: (("a", "b"),),
    ],
    "false_animals": [
        lambda: (3481, 34.51),
        lambda: (np.int64(59**2), 35),
        lambda: (59**2, 34),
        lambda: (((256 - 24) / 4 + 1) ** 2, 0.01 * 3451),
        lambda: (np.array([3481]), np.float32(34.5)),
    ],
    "images_needed": [
        lambda: (0.03, 900),
        lambda: (0.0304, 901),
        lambda: (np.sqrt(0.9 * 0.1 / 100), 0.9 * 0.1 / 0.01**2),
        lambda: (np.float32(0.03), np.int64(900)),
        lambda: ((0.9 * 0.1 / 100) ** 0.5, 0.09 / 1e-4),
        lambda: (3 / 100, 100 * (0.03 / 0.01) ** 2),
    ],
}

UNTOUCHED = {
    "split_by_scene": (lambda: (lambda scenes: None,), "Put your own line in place of `return None`"),
    "label_kept": (lambda: (None,), "Put a set such as"),
    "false_animals": (lambda: (None, None), "Put your answer in place of None"),
    "images_needed": (lambda: (None, None), "Put your answer in place of None"),
}

WRONG = {
    "split_by_scene": [
        (lambda: (image_by_image,), "draw scenes, not images"),
        (lambda: (lambda scenes: np.flatnonzero(drawn(scenes)),), "one for each image"),
        (lambda: (lambda scenes: scenes,), "True or False for each image"),
        (lambda: (lambda scenes: ~drawn(scenes),), "the wrong way round"),
        (lambda: (lambda scenes: drawn(scenes, 0.1),), "draw a quarter"),
        (lambda: (lambda scenes: drawn(scenes, 1 / 5),), "200 of 1000 scenes are for testing: draw a quarter"),
        (lambda: (lambda scenes: drawn(scenes, 1 / 3),), "draw a quarter"),
        (lambda: (lambda scenes: np.zeros(len(scenes), bool),), "No scene is for testing"),
        (lambda: (lambda scenes: np.ones(len(scenes), bool),), "No scene is for training"),
        (lambda: (lambda scenes: drawn(scenes, 0.204),), "draw a quarter"),
        (lambda: (lambda scenes: drawn(scenes, 0.301),), "draw a quarter"),
        (lambda: (lambda scenes: drawn(scenes, 0.5),), "500 of 1000 scenes are for testing: draw a quarter"),
        (lambda: (lambda scenes: drawn(scenes, 0.501),), "the wrong way round"),
    ],
    "label_kept": [
        (lambda: ({"a", "b", "c"},), "brighter is higher"),
        (lambda: ({"a", "b", "d"},), "a class of their own"),
        (lambda: ({"b"},), "a is missing"),
        (lambda: ({"a"},), "b is missing"),
        (lambda: ({"e"},), "the letters are"),
        (lambda: (3,), "must be a set of letters"),
        (lambda: ("abd",), "a class of their own"),
        (lambda: ("abcd",), "brighter is higher"),
        (lambda: ("cd",), "brighter is higher"),
    ],
    "false_animals": [
        (lambda: (59, 34.5), "one row of places"),
        (lambda: (58**2, 33), "from 0 to 232"),
        (lambda: (64**2, 41), "must fit into the image"),
        (lambda: (100, 1), "patches overlap"),
        (lambda: (3481, 0.3), "1 % of the animals"),
        (lambda: (3481, 3451), "one place in a hundred"),
        (lambda: (58, 34.5), "and all rows"),
        (lambda: (233**2, 34.5), "steps of 1 pixel"),
        (lambda: (7, 34.5), "places in a row, times rows"),
        (lambda: (3481, 0.345), "not 0.0001"),
        (lambda: (3481, 36), "take 1 % of the places"),
        (lambda: (3481, 0.01 * 3481), "an animal is at 30 of them"),
    ],
    "images_needed": [
        (lambda: (3, 900), "write it as a share"),
        (lambda: (0.0009, 900), "take the root"),
        (lambda: (0.3, 900), "divide by n"),
        (lambda: (0.03, 300), "under the root"),
        (lambda: (0.03, 9), "square the error"),
        (lambda: (0.03, 30), "not fewer"),
        (lambda: (0.0306, 900), "0.9 times 0.1"),
        (lambda: (0.03, 90), "0.09 / 0.01 ** 2"),
        (lambda: (0.03, 100), "those have an error of 0.03"),
        (lambda: (0.03, 902), "solve the formula"),
    ],
}
