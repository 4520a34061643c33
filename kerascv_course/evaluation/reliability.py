"""Whether probabilities mean what they say: of the images with 80 % confidence, are 80 % right?"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from kerascv_course._tables import Table
from kerascv_course._validation import check_choice, check_int
from kerascv_course.evaluation.checks import check_decisions

_FUNCTION = "calibration"


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


def calibration(
    labels: np.ndarray, probabilities: np.ndarray, *, bins: int = 15, strategy: str = "uniform"
) -> Calibration:
    """Compare how sure a model is with how often it is right.

    The confidence of an image is the probability of its predicted class. A model that is right less often than it
    is sure is overconfident: its accuracy lies below its confidence.

    Args:
        labels: True classes, whole numbers from 0, shape (images,).
        probabilities: What `model.predict` returned: (images, classes), from 0 to 1. One column, or an array
            (images,), is the probability of class 1 of two.
        bins: Number of bins, 1 or more.
        strategy: "uniform" for bins of the same width from 0 to 1, as in the paper; "quantile" for bins of as
            equal a number of images as equal confidences allow.

    Returns:
        A row for each bin, and the expected calibration error. It depends on the bins: compare models with the
        same ones, on the same images.

    Raises:
        TypeError: If an array or `bins` has the wrong type.
        ValueError: If shapes or labels do not fit each other, a value is not from 0 to 1, or an option is not
            known.

    Example:
        >>> probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]])
        >>> found = calibration(np.array([0, 1, 1]), probabilities, bins=2)
        >>> (round(found.confidence, 3), round(found.accuracy, 3), round(found.expected_calibration_error, 3))
        (0.8, 0.667, 0.133)

    Source: Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks (2017).
    """
    check_choice(_FUNCTION, "strategy", strategy, ("uniform", "quantile"))
    bins = check_int(_FUNCTION, "bins", bins, 1)
    found = check_decisions(_FUNCTION, labels, probabilities)
    right, confidence = found.truth == found.predicted, found.confidence
    edges = np.linspace(0, 1, bins + 1)
    if strategy == "quantile":
        edges = np.unique(np.quantile(confidence, edges))
        edges = edges if len(edges) > 1 else np.repeat(edges, 2)
    places = np.searchsorted(edges[1:-1], confidence, side="left")
    rows = []
    for index, (lower, upper) in enumerate(pairwise(edges)):
        inside = places == index
        means = (float(confidence[inside].mean()), float(right[inside].mean())) if inside.any() else (None, None)
        rows.append(CalibrationBin(float(lower), float(upper), int(inside.sum()), *means))
    error = sum(
        row.images * abs(row.accuracy - row.confidence)
        for row in rows
        if row.accuracy is not None and row.confidence is not None
    ) / len(right)
    sure, share = float(confidence.mean()), float(right.mean())
    note = f"Expected calibration error {error:.3f}, {len(right):,} images: mean confidence {sure:.1%}, "
    return Calibration(tuple(rows), error, sure, share, (f"{note}accuracy {share:.1%}.",))
