"""The exercises of the notebook 06_test_time_augmentation."""

from typing import Any

import numpy as np

from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import new_sheet

sheet, summary, withhold_solutions = new_sheet("06_test_time_augmentation")


@sheet.exercise()
def predictions(predictions: Any) -> str:
    """Count the predictions where only unsure images get all views."""
    mistakes = {
        10_000: "that is without `sure_from`: all images get all views.",
        4_000: "the first of the ten views has been seen already: an unsure image gets ten in all, not eleven.",
        3_000: "the images for which the model is sure are looked at, too: once.",
        7_300: "those are the views if the model were sure of 30 %.",
        1_000: "that is one view for each image.",
        3_007: "700 images get one view each, not 7 of them.",
    }
    answers.expect("predictions", predictions, 3_700, mistakes, "count 700 and 300 images apart.")
    return "700 images once, 300 images ten times: 3.7 predictions an image."


@sheet.exercise()
def ten_crops(ten_crops: Any) -> str:
    """Cut AlexNet's ten crops (Krizhevsky, Sutskever and Hinton)."""
    rng = np.random.default_rng(0)
    for height, width, side in ((8, 10, 4), (9, 7, 6)):
        image = rng.integers(0, 256, (height, width, 3), "uint8")
        down, right = height - side, width - side
        starts = {
            "centre": (down // 2, right // 2),
            "top left": (0, 0),
            "top right": (0, right),
            "bottom left": (down, 0),
            "bottom right": (down, right),
        }
        crops = {name: image[top : top + side, left : left + side] for name, (top, left) in starts.items()}
        crops |= {f"{name}, mirrored": crop[:, ::-1] for name, crop in crops.items()}
        result = answers.outcome("ten_crops", ten_crops, image.copy(), side)
        call = answers.called("ten_crops", image, side)
        given = answers.array(call, result, np.shape(result))
        upside_down = any(np.array_equal(view, crop[::-1]) for view in given for crop in crops.values())
        answers.refuse(
            (given.shape == (5, side, side, 3), "It returns five crops: the mirror images are missing."),
            (given.shape[1:] == (height, width, 3), "It returns whole images: cut out `side` x `side` pixels."),
            (upside_down, "It turns crops upside down: a mirror image is `crop[:, ::-1]`."),
        )
        given = answers.array(call, result, (10, side, side, 3))
        for name, crop in crops.items():
            is_there = any(np.array_equal(view, crop) for view in given)
            answers.refuse((not is_there, f"One of the ten is missing: {name}."))
    return "five places, and their mirror images."


@sheet.exercise()
def averaged(averaged: Any) -> str:
    """Average the posteriors of several views."""
    rng = np.random.default_rng(1)
    for views, images, classes in ((3, 5, 4), (7, 40, 3)):
        posteriors = rng.dirichlet(np.full(classes, 0.5), (views, images))
        result = answers.outcome("averaged", averaged, posteriors.copy())
        shape = np.shape(result)
        wrong_axis = shape in ((views,), (views, classes), (classes,))
        of_what = f"the shape {shape} for {views} views of {images} images"
        answers.refuse(
            (shape == (images, classes), "probabilities: name the class of each image with `argmax`."),
            (wrong_axis, f"{of_what}: the mean goes over the views, the first axis."),
            start="`averaged` returns ",
        )
        mean, votes = posteriors.mean(axis=0), np.eye(classes)[posteriors.argmax(axis=2)].sum(axis=0)
        a_vote = "that is a vote: each view names a class, and how sure it is gets lost. Average first."
        mistakes = [
            (votes.argmax(1), a_vote),
            (posteriors[0].argmax(axis=1), "that is the class of the first view alone."),
            (posteriors.max(0).argmax(1), "that is the class that any one view is surest of, not the mean."),
            (np.log(posteriors).mean(0).argmax(1), "that is the geometric mean; the arithmetic one is asked for."),
            (mean.argmin(axis=1), "those are the least probable classes."),
        ]
        otherwise = "some classes are not those of the largest mean probability."
        answers.expect(answers.called("averaged", posteriors), result, mean.argmax(axis=1), mistakes, otherwise)
    return "the mean over the views, then the largest class."


@sheet.exercise("Put a class, 0 or 1, in place of each None")
def veto(arithmetic: Any, geometric: Any) -> str:
    """Compare the arithmetic and the geometric mean of three views."""
    neither = "there are the classes 0 and 1."
    sums = "the sums are 0.9 + 0.9 + 0.001 = 1.801 and 0.1 + 0.1 + 0.999 = 1.199."
    products = "the products are 0.9 · 0.9 · 0.001 = 0.0008 and 0.1 · 0.1 · 0.999 = 0.01."
    answers.expect("arithmetic", arithmetic, 0, {1: sums}, neither)
    answers.expect("geometric", geometric, 1, {0: products}, neither)
    return "in a product one view can veto a class, in a sum it cannot."
