"""The mistakes that a model was surest of: often a wrong label, or an image of two things."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kerascv_course._tables import Table
from kerascv_course._validation import check_int
from kerascv_course.evaluation.checks import check_decisions

_FUNCTION = "confident_mistakes"


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
        """A text for each image, as `plotting.plot_images` takes them."""
        return [f"{row.true}, taken for {row.predicted} ({row.probability:.0%})" for row in self.rows]


def confident_mistakes(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str] | None = None,
    *,
    count: int = 16,
) -> Mistakes:
    """Find the images that were taken for another class with the highest probability.

    Args:
        labels: True classes, whole numbers from 0, shape (images,).
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
    count = check_int(_FUNCTION, "count", count, 1)
    found = check_decisions(_FUNCTION, labels, probabilities, class_names)
    wrong = np.flatnonzero(found.truth != found.predicted)
    surest = wrong[np.argsort(-found.confidence[wrong], kind="stable")][:count]
    rows = tuple(
        Mistake(
            int(index),
            found.names[found.truth[index]],
            found.names[found.predicted[index]],
            float(found.confidence[index]),
        )
        for index in surest
    )
    return Mistakes(rows, (f"{len(wrong):,} of {len(found.truth):,} images were taken for another class.",))
