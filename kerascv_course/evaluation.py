"""How well a classifier does: what can be said of its probabilities on images that it has not learned from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerascv_course._validation import describe, input_error

_FUNCTION = "roc_curves"
_ROUNDING = 1e-5  # by which a softmax in float16 may leave 0..1


@dataclass(frozen=True, eq=False)
class RocCurve:
    """The receiver operating characteristic of one class against the rest.

    The arrays have a value for each threshold: an image counts as one of the class where its probability is at
    least that. They are empty, and `auc` is None, where the labels hold no image of the class or no other one.

    Attributes:
        name: Name of the class.
        false_positive_rates: Share of the other images that count as ones of the class, rising from 0 to 1.
        true_positive_rates: Share of the images of the class that do, rising from 0 to 1.
        thresholds: Falling; the first one is infinite. Those at which the curve keeps its direction are left out.
        auc: Area under the curve: the probability that an image of the class gets a higher value than another
            image, ties counted half. 0.5 is guessing, 1 is perfect.
    """

    name: str
    false_positive_rates: np.ndarray
    true_positive_rates: np.ndarray
    thresholds: np.ndarray
    auc: float | None


def roc_curves(
    labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str] | None = None
) -> tuple[RocCurve, ...]:
    """Compute the ROC curve of each class against the rest, and the area under it.

    Args:
        labels: True classes, whole numbers from 0, shape (images,).
        probabilities: What `model.predict` returned: (images, classes), from 0 to 1. One column, or an array
            (images,), is the probability of class 1 of two.
        class_names: One name per class, two where there is one column; by default "class 0" and so on.

    Returns:
        A curve for each class in their order; for one column a single one, that of class 1.

    Raises:
        TypeError: If an array has the wrong dtype, or the names are no texts.
        ValueError: If shapes, labels or names do not fit each other, or a value is not from 0 to 1.

    Example:
        >>> (curve,) = roc_curves(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]), ["cat", "dog"])
        >>> curve.name, curve.auc
        ('dog', 0.75)
        >>> curve.true_positive_rates
        array([0. , 0.5, 0.5, 1. , 1. ])

    Source: Boracchi, Lorente, Manco (training).
    """
    from sklearn.metrics import auc, roc_curve

    scores = _check_probabilities(probabilities)
    count = max(2, scores.shape[1])
    truth = _check_labels(labels, len(scores), count)
    names = _check_names(class_names, count)
    found = []
    for index in range(count - scores.shape[1], count):  # of one column: class 1 alone
        is_one = truth == index
        if is_one.all() or not is_one.any():
            found.append(RocCurve(names[index], np.empty(0), np.empty(0), np.empty(0), None))
            continue
        column = scores[:, index - count]
        false_rates, true_rates, thresholds = roc_curve(is_one, column)
        found.append(
            RocCurve(names[index], false_rates, true_rates, thresholds, float(auc(false_rates, true_rates)))
        )
    return tuple(found)


def _check_probabilities(probabilities: Any) -> np.ndarray:
    """Return the probabilities as float64, (images, classes), or raise."""
    values = np.asarray(probabilities)
    if values.dtype.kind not in "iuf":
        raise input_error(_FUNCTION, "probabilities", "an array of numbers", describe(values), error=TypeError)
    if values.ndim not in (1, 2) or not values.size:
        rule = "an array (images, classes) or (images,), with at least one image"
        raise input_error(_FUNCTION, "probabilities", rule, describe(values))
    low, high = float(values.min()), float(values.max())  # NaN where one of the values is NaN
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
        way_out = "Pass what comes after softmax or sigmoid: `keras.ops.softmax(logits)`."
        raise input_error(
            _FUNCTION, "probabilities", "finite, from 0 to 1", f"values from {low:g} to {high:g}", way_out
        )
    return values.astype("float64").reshape(len(values), -1)


def _check_labels(labels: Any, images: int, count: int) -> np.ndarray:
    values = np.asarray(labels)
    if values.dtype.kind not in "iu":
        raise input_error(_FUNCTION, "labels", "an array of whole numbers", describe(values), error=TypeError)
    if values.shape != (images,):
        way_out = ""
        if values.shape == (images, 1):
            way_out = "`labels.reshape(-1)` drops the second axis."
        elif values.shape == (images, count):
            way_out = "`labels.argmax(axis=1)` makes whole numbers of columns of 0 and 1."
        rule = f"of shape ({images},), one label for each row of `probabilities`"
        raise input_error(_FUNCTION, "labels", rule, describe(values), way_out)
    if values.min() < 0 or values.max() >= count:
        rule = f"labels from 0 to {count - 1}, as `probabilities` is of {count} classes"
        raise input_error(_FUNCTION, "labels", rule, f"labels from {values.min()} to {values.max()}")
    return values


def _check_names(class_names: Any, count: int) -> list[str]:
    if class_names is None:
        return [f"class {index}" for index in range(count)]
    rule = f"a list of {count} texts, one for each class"
    is_list = isinstance(class_names, list | tuple | np.ndarray)
    if not is_list or not all(isinstance(name, str) for name in class_names):
        raise input_error(_FUNCTION, "class_names", rule, class_names, error=TypeError)
    if len(class_names) != count:
        raise input_error(_FUNCTION, "class_names", rule, class_names)
    return [str(name) for name in class_names]
