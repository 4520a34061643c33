"""ROC curves: each class against the rest, at every threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerascv_course.evaluation.checks import check_classes

_FUNCTION = "roc_curves"


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

    truth, scores, names = check_classes(_FUNCTION, labels, probabilities, class_names)
    count = len(names)
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
