"""What every evaluation takes: the true classes, and what a model made of the images."""

from typing import Any, NamedTuple

import numpy as np

from kerascv_course._validation import check_class_names, check_labels, check_probabilities


class Decisions(NamedTuple):
    """What a model decided: for each image the true class, the predicted one, and the probability of that.

    Of one column, the probability of class 1 of two, 0.5 and more means class 1.
    """

    truth: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    names: list[str]


def read_classes(
    function: str, labels: Any, probabilities: Any, class_names: Any
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return labels, probabilities as float64 (images, classes) or (images, 1), and a name per class, or raise."""
    scores = check_probabilities(function, "probabilities", probabilities)
    names = check_class_names(function, class_names, max(2, scores.shape[1]))
    known = None if class_names is None else names
    truth = check_labels(function, "labels", labels, count=len(scores), num_classes=len(names), class_names=known)
    return truth, scores, names


def read_decisions(function: str, labels: Any, probabilities: Any, class_names: Any = None) -> Decisions:
    """Return the decisions for checked labels and probabilities, or raise."""
    truth, scores, names = read_classes(function, labels, probabilities, class_names)
    if scores.shape[1] == 1:
        scores = np.concatenate([1 - scores, scores], axis=1)
        predicted = (scores[:, 1] >= 0.5).astype("int64")
    else:
        predicted = scores.argmax(axis=1)
    confidence = np.clip(scores[np.arange(len(scores)), predicted], 0, 1)
    return Decisions(truth, predicted, confidence, names)
