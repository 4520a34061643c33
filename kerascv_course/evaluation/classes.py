"""Who is taken for whom, how well each class is found, and the mistakes that a model was surest of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kerascv_course._tables import Table
from kerascv_course._validation import check_int
from kerascv_course.evaluation.decisions import read_decisions


@dataclass(frozen=True)
class ClassResult:
    """How well one class is found.

    Attributes:
        name: Name of the class.
        images: Images of the class.
        predicted: Images that the model took for ones of the class.
        precision: Share of these that are of the class; None where there is none.
        recall: Share of the images of the class that the model took for such; None where there is none.
        f1: Harmonic mean of the two, 2 * hits / (images + predicted); None where both are None.
    """

    name: str
    images: int
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, repr=False)
class ClassificationReport(Table):
    """What `classification_report` returns: a row for each class; shown as a table.

    Attributes:
        rows: The classes in their order.
        accuracy: Share of the images whose class was found.
        macro_f1: Mean of the F1 of the classes that have one: each class counts the same.
        notes: Remarks, shown below the table.
    """

    rows: tuple[ClassResult, ...]
    accuracy: float
    macro_f1: float
    notes: tuple[str, ...]

    _columns: ClassVar = {
        "Class": "name",
        "Images": "images:,",
        "Predicted": "predicted:,",
        "Precision": "precision:.1%",
        "Recall": "recall:.1%",
        "F1": "f1:.3f",
    }


def confusion_matrix(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Count for each true class how often each class was predicted.

    Args:
        labels: True classes: integers from 0, (images,) or (images, 1), or one-hot.
        probabilities: What `model.predict` returned: (images, classes), from 0 to 1. One column, or an array
            (images,), is the probability of class 1 of two; from 0.5 on that is the predicted one.

    Returns:
        Counts, `int64`, (classes, classes): true classes in rows, predicted ones in columns, as
        `plotting.plot_confusion_matrix` draws them.

    Raises:
        TypeError: If an array has the wrong dtype.
        ValueError: If shapes or labels do not fit each other, or a value is not from 0 to 1.

    Example:
        >>> probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
        >>> confusion_matrix(np.array([0, 0, 1]), probabilities)
        array([[1, 1],
               [0, 1]])

    Source: Boracchi, Lorente.
    """
    found = read_decisions("confusion_matrix", labels, probabilities)
    return _count(found.truth, found.predicted, len(found.names))


def classification_report(
    labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str] | None = None
) -> ClassificationReport:
    """Compute precision, recall and F1 of each class.

    Args:
        labels: True classes: integers from 0, (images,) or (images, 1), or one-hot.
        probabilities: As in `confusion_matrix`.
        class_names: One name per class, two where there is one column; by default "class 0" and so on.

    Returns:
        A row for each class, and the accuracy.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If shapes, labels or names do not fit each other, or a value is not from 0 to 1.

    Example:
        >>> probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
        >>> print(classification_report(np.array([0, 0, 1]), probabilities, ["cat", "dog"]))
        Class  Images  Predicted  Precision  Recall     F1
        --------------------------------------------------
        cat         2          1     100.0%   50.0%  0.667
        dog         1          2      50.0%  100.0%  0.667
        Accuracy 66.7% of 3 images; mean F1 of the classes 0.667.

    Source: Lorente.
    """
    found = read_decisions("classification_report", labels, probabilities, class_names)
    counts = _count(found.truth, found.predicted, len(found.names))
    rows = []
    for index, name in enumerate(found.names):
        hits, images, predicted = int(counts[index, index]), int(counts[index].sum()), int(counts[:, index].sum())
        precision, recall = _share(hits, predicted), _share(hits, images)
        rows.append(ClassResult(name, images, predicted, precision, recall, _share(2 * hits, images + predicted)))
    accuracy = float(np.trace(counts) / counts.sum())
    macro = float(np.mean([row.f1 for row in rows if row.f1 is not None]))
    note = f"Accuracy {accuracy:.1%} of {len(found.truth):,} images; mean F1 of the classes {macro:.3f}."
    return ClassificationReport(tuple(rows), accuracy, macro, (note,))


def _count(truth: np.ndarray, predicted: np.ndarray, count: int) -> np.ndarray:
    from sklearn import metrics

    return metrics.confusion_matrix(truth, predicted, labels=np.arange(count))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


# The surest mistakes: often a wrong label, or an image of two things


@dataclass(frozen=True)
class Mistake:
    """An image whose class was not found.

    Attributes:
        index: Its place among the images, from 0.
        true: Name of its class.
        predicted: Name of the class that it was taken for.
        probability: What the model gave to the predicted class, from 0 to 1.
    """

    index: int
    true: str
    predicted: str
    probability: float


@dataclass(frozen=True, repr=False)
class Mistakes(Table):
    """What `confident_mistakes` returns: a row for each mistake, the surest first; shown as a table.

    Attributes:
        rows: The mistakes.
        notes: Remarks, shown below the table.
    """

    rows: tuple[Mistake, ...]
    notes: tuple[str, ...]

    _columns: ClassVar = {
        "True": "true",
        "Predicted": "predicted",
        "Probability": "probability:.1%",
        "Image": "index",
    }

    @property
    def indices(self) -> np.ndarray:
        """Places of the images: `images[mistakes.indices]` are those of the rows."""
        return np.array([row.index for row in self.rows], "int64")

    @property
    def titles(self) -> list[str]:
        """A string for each image, as `plotting.plot_images` takes them."""
        return [f"{row.true}, taken for {row.predicted} ({row.probability:.0%})" for row in self.rows]


def confident_mistakes(
    labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str] | None = None, *, count: int = 16
) -> Mistakes:
    """Find the images that were taken for another class with the highest probability.

    Args:
        labels: True classes: integers from 0, (images,) or (images, 1), or one-hot.
        probabilities: What `model.predict` returned: (images, classes), from 0 to 1. One column, or an array
            (images,), is the probability of class 1 of two; from 0.5 on that is the predicted one.
        class_names: One name per class, two where there is one column; by default "class 0" and so on.
        count: How many, 1 or more. Where the model makes fewer mistakes there are fewer.

    Returns:
        The mistakes, the surest first; equally sure ones in the order of the images.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If shapes, labels or names do not fit each other, or a number is out of range.

    Example:
        >>> probabilities = np.array([[0.6, 0.4], [0.1, 0.9], [0.2, 0.8]])
        >>> mistakes = confident_mistakes(np.array([1, 0, 1]), probabilities, ["cat", "dog"])
        >>> mistakes.indices, mistakes.titles[0]
        (array([1, 0]), 'cat, taken for dog (90%)')

    Show them: `plotting.plot_images(images[mistakes.indices], titles=mistakes.titles, columns=4)`.
    """
    count = check_int("confident_mistakes", "count", count, 1)
    found = read_decisions("confident_mistakes", labels, probabilities, class_names)
    wrong = np.flatnonzero(found.truth != found.predicted)
    surest = wrong[np.argsort(-found.confidence[wrong], kind="stable")][:count]
    names = np.array(found.names)
    true, predicted = names[found.truth[surest]].tolist(), names[found.predicted[surest]].tolist()
    rows = tuple(map(Mistake, surest.tolist(), true, predicted, found.confidence[surest].tolist()))
    return Mistakes(rows, (f"{len(wrong):,} of {len(found.truth):,} images were taken for another class.",))
