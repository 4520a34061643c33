"""The exercises of the notebook 16_fast_cifar10."""

from typing import Any

import numpy as np

from kerascv_course.exercises import answers
from kerascv_course.exercises.sheet import new_sheet

sheet, summary, withhold_solutions = new_sheet("16_fast_cifar10")


@sheet.exercise()
def steps(steps: Any) -> str:
    """Count the steps of a training."""
    mistakes = {
        1_960: "the last 80 images of an epoch are skipped: they make no step.",
        1_953: "the last 80 images of *each* epoch are skipped.",
        195: "that is one epoch.",
        196: "that is one epoch, and its last 80 images are skipped.",
        500_000: "that is the number of images that are seen.",
        2_560: "divide the images by the size of a batch.",
    }
    answers.expect("steps", steps, 1_950, mistakes, "whole batches in an epoch, times the epochs.")
    return "195 steps in each of 10 epochs."


@sheet.exercise()
def soft_labels(soften: Any) -> str:
    """Write label smoothing (Szegedy et al., 2016)."""

    def solve(one_hot: Any, smoothing: Any) -> Any:
        classes = one_hot.shape[1]
        kept = (1 - smoothing) * one_hot
        return kept + smoothing / classes, [
            (kept, "what is taken away must be spread: each row adds up to 1."),
            (one_hot + smoothing / classes, "the label itself must give something away: each row adds up to 1."),
            (kept + smoothing / (classes - 1) * (1 - one_hot), "the share goes to the right class, too."),
            (kept + smoothing, "the share is divided by the number of classes."),
            (kept + smoothing / len(one_hot), "divide by the number of classes, not of images."),
            (one_hot, "these are the hard labels."),
        ]

    cases = [(np.eye(4)[[0, 2, 3]], 0.2), (np.eye(10)[[7]], 0.1)]
    answers.expect_results("soften", soften, cases, solve)
    return "each row adds up to 1 still."


@sheet.exercise()
def mirrored_in_turn(mirrored_in: Any) -> str:
    """Say which images are mirrored in an epoch (Jordan, 2024)."""

    def solve(first: Any, epoch: Any) -> Any:
        right, other = (~first, first) if epoch % 2 else (first, ~first)
        return (right, "some images are on the wrong side."), [
            (other, "in an even epoch it is as in epoch 0, in an odd one the other way round."),
            (np.full_like(first, True), "not all images at once: those of `first` begin mirrored."),
            (np.full_like(first, False), "not all images at once: those of `first` begin mirrored."),
        ]

    first = np.array([True, False, False, True, False])
    answers.expect_results("mirrored_in", mirrored_in, [(first, epoch) for epoch in (1, 0, 2, 3, 6)], solve)
    return "two epochs show each image once from both sides."


@sheet.exercise()
def whitening(whitening_matrix: Any) -> str:
    """Compute filters that make patches uncorrelated, with variance 1."""
    rng = np.random.default_rng(0)
    for size in (3, 5):
        patches = rng.normal(size=(200, size)) @ rng.normal(size=(size, size)) + 4
        result = answers.outcome("whitening_matrix", whitening_matrix, patches.copy())
        w = answers.array("whitening_matrix(patches)", result, (size, size))
        covariance, turned = (np.cov(patches @ matrix, rowvar=False) for matrix in (w, w.T))
        variances, identity = np.diag(covariance), np.eye(size)
        if np.allclose(covariance, identity, atol=1e-5):
            continue
        correlated = not np.allclose(covariance, np.diag(variances), atol=1e-6 * np.abs(covariance).max())
        shown = ", ".join(f"{variance:.3g}" for variance in variances)
        answers.refuse(
            (np.allclose(turned, identity, atol=1e-5), "the vectors are in the rows: they are wanted as columns."),
            (correlated, "the columns of `patches @ w` are correlated still."),
            (True, f"the columns are uncorrelated, but their variances are {shown}, not 1."),
        )
    return "uncorrelated, with variance 1."
