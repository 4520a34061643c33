"""Whether probabilities order the images (ROC), and whether they mean what they say (calibration)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from kerascv_course._tables import Table
from kerascv_course._validation import check_int
from kerascv_course.evaluation.decisions import read_classes, read_decisions


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
        labels: True classes: integers from 0, (images,) or (images, 1), or one-hot.
        probabilities: What `model.predict` returned: (images, classes), from 0 to 1. One column, or an array
            (images,), is the probability of class 1 of two.
        class_names: One name per class, two where there is one column; by default "class 0" and so on.

    Returns:
        A curve for each class in their order; for one column a single one, that of class 1.

    Raises:
        TypeError: If an argument has the wrong type.
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

    truth, scores, names = read_classes("roc_curves", labels, probabilities, class_names)
    count = len(names)
    found = []
    for index in range(count - scores.shape[1], count):  # of one column: class 1 alone
        is_one = truth == index
        if is_one.all() or not is_one.any():
            found.append(RocCurve(names[index], np.empty(0), np.empty(0), np.empty(0), None))
            continue
        false_rates, true_rates, thresholds = roc_curve(is_one, scores[:, index - count])
        area = float(auc(false_rates, true_rates))
        found.append(RocCurve(names[index], false_rates, true_rates, thresholds, area))
    return tuple(found)


@dataclass(frozen=True)
class CalibrationBin:
    """The images whose confidence lies above `lower` and at most at `upper`; the first bin has its lower edge too.

    Attributes:
        lower: Lower edge, from 0 to 1.
        upper: Upper edge, from 0 to 1.
        images: Number of images.
        confidence: Mean probability of the predicted classes; None where there is no image.
        accuracy: Share of the images whose class was found; None where there is no image.
    """

    lower: float
    upper: float
    images: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, repr=False)
class Calibration(Table):
    """What `calibration` returns: a row for each bin; shown as a table.

    Attributes:
        rows: The bins, confidence rising.
        expected_calibration_error: Mean distance of accuracy and confidence, from 0 to 1: the sum over the bins of
            images / all images * |accuracy - confidence|.
        confidence: Mean probability of the predicted classes, over all images.
        accuracy: Share of the images whose class was found.
        notes: Remarks, shown below the table.
    """

    rows: tuple[CalibrationBin, ...]
    expected_calibration_error: float
    confidence: float
    accuracy: float
    notes: tuple[str, ...]

    _columns: ClassVar = {
        "Confidence": lambda row: f"{row.lower:.3f} to {row.upper:.3f}",
        "Images": "images:,",
        "Mean confidence": "confidence:.1%",
        "Accuracy": "accuracy:.1%",
    }


def calibration(labels: np.ndarray, probabilities: np.ndarray, *, bins: int = 15) -> Calibration:
    """Compare how sure a model is with how often it is right.

    The confidence of an image is the probability of its predicted class. A model that is right less often than it
    is sure is overconfident: its accuracy lies below its confidence.

    Args:
        labels: True classes: integers from 0, (images,) or (images, 1), or one-hot.
        probabilities: What `model.predict` returned: (images, classes), from 0 to 1. One column, or an array
            (images,), is the probability of class 1 of two.
        bins: Number of bins of the same width from 0 to 1, 1 or more.

    Returns:
        A row for each bin, and the expected calibration error. It depends on the bins: compare models with the
        same ones, on the same images.

    Raises:
        TypeError: If an array or `bins` has the wrong type.
        ValueError: If shapes or labels do not fit each other, or a value is not from 0 to 1.

    Example:
        >>> probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]])
        >>> found = calibration(np.array([0, 1, 1]), probabilities, bins=2)
        >>> (round(found.confidence, 3), round(found.accuracy, 3), round(found.expected_calibration_error, 3))
        (0.8, 0.667, 0.133)

    Source: Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks (2017).
    """
    bins = check_int("calibration", "bins", bins, 1)
    found = read_decisions("calibration", labels, probabilities)
    right, confidence = found.truth == found.predicted, found.confidence
    edges = np.linspace(0, 1, bins + 1)
    places = np.searchsorted(edges[1:-1], confidence, side="left")
    rows = []
    for index, (lower, upper) in enumerate(pairwise(edges)):
        inside = places == index
        means = (float(confidence[inside].mean()), float(right[inside].mean())) if inside.any() else (None, None)
        rows.append(CalibrationBin(float(lower), float(upper), int(inside.sum()), *means))
    error = float(np.abs(np.bincount(places, right - confidence)).sum() / len(right))
    sure, share = float(confidence.mean()), float(right.mean())
    note = f"Expected calibration error {error:.3f}, {len(right):,} images: mean confidence {sure:.1%}, "
    return Calibration(tuple(rows), error, sure, share, (f"{note}accuracy {share:.1%}.",))
