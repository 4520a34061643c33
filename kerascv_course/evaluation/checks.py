"""What every evaluation takes: the true classes, and what a model made of the images."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kerascv_course._validation import describe, input_error

_ROUNDING = 1e-5  # by which a softmax in float16 may leave 0..1


class Decisions(NamedTuple):
    """What a model decided: for each image the true class, the predicted one, and the probability of that.

    Of one column, the probability of class 1 of two, 0.5 and more means class 1.
    """

    truth: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    names: list[str]


def check_classes(
    function: str, labels: Any, probabilities: Any, class_names: Any
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return labels, probabilities as float64 (images, classes) or (images, 1), and a name per class, or raise."""
    scores = _check_probabilities(function, probabilities)
    count = max(2, scores.shape[1])
    truth = _check_labels(function, labels, len(scores), count)
    return truth, scores, _check_names(function, class_names, count)


def check_decisions(
    function: str, labels: Any, probabilities: Any, class_names: Sequence[str] | None = None
) -> Decisions:
    """Return the decisions for checked labels and probabilities, or raise."""
    truth, scores, names = check_classes(function, labels, probabilities, class_names)
    if scores.shape[1] == 1:
        scores = np.concatenate([1 - scores, scores], axis=1)
        predicted = (scores[:, 1] >= 0.5).astype("int64")
    else:
        predicted = scores.argmax(axis=1)
    confidence = np.clip(scores[np.arange(len(scores)), predicted], 0, 1)
    return Decisions(truth.astype("int64"), predicted, confidence, names)


def _check_probabilities(function: str, probabilities: Any) -> np.ndarray:
    """Return the probabilities as float64, (images, classes), or raise."""
    values = np.asarray(probabilities)
    if values.dtype.kind not in "iuf":
        raise input_error(function, "probabilities", "an array of numbers", describe(values), error=TypeError)
    if values.ndim not in (1, 2) or not values.size:
        rule = "an array (images, classes) or (images,), with at least one image"
        raise input_error(function, "probabilities", rule, describe(values))
    low, high = float(values.min()), float(values.max())  # NaN where one of the values is NaN
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
        way_out = "Pass what comes after softmax or sigmoid: `keras.ops.softmax(logits)`."
        raise input_error(
            function, "probabilities", "finite, from 0 to 1", f"values from {low:g} to {high:g}", way_out
        )
    return values.astype("float64").reshape(len(values), -1)


def _check_labels(function: str, labels: Any, images: int, count: int) -> np.ndarray:
    values = np.asarray(labels)
    if values.dtype.kind not in "iu":
        raise input_error(function, "labels", "an array of whole numbers", describe(values), error=TypeError)
    if values.shape != (images,):
        way_out = ""
        if values.shape == (images, 1):
            way_out = "`labels.reshape(-1)` drops the second axis."
        elif values.shape == (images, count):
            way_out = "`labels.argmax(axis=1)` makes whole numbers of columns of 0 and 1."
        rule = f"of shape ({images},), one label for each row of `probabilities`"
        raise input_error(function, "labels", rule, describe(values), way_out)
    if values.min() < 0 or values.max() >= count:
        rule = f"labels from 0 to {count - 1}, as `probabilities` is of {count} classes"
        raise input_error(function, "labels", rule, f"labels from {values.min()} to {values.max()}")
    return values


def _check_names(function: str, class_names: Any, count: int) -> list[str]:
    if class_names is None:
        return [f"class {index}" for index in range(count)]
    rule = f"a list of {count} texts, one for each class"
    is_list = isinstance(class_names, list | tuple | np.ndarray)
    if not is_list or not all(isinstance(name, str) for name in class_names):
        raise input_error(function, "class_names", rule, class_names, error=TypeError)
    if len(class_names) != count:
        raise input_error(function, "class_names", rule, class_names)
    return [str(name) for name in class_names]
