"""Does a transformation keep the label? How often a trained model changes its mind under it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from kerascv_course._validation import check_int, check_labels, input_error
from kerascv_course.augmentation.tta import OutcomeReader, changed, check_batch, chosen


@dataclass(frozen=True)
class PreservationRecord:
    """What a transformation does to a model's answers.

    Attributes:
        name: Name of the transformation.
        preserved: Share of the images that the model gives the same class before and after.
        accuracy: Share of the transformed images of which it names the true class; None without labels.
    """

    name: str
    preserved: float
    accuracy: float | None


def label_preserved(
    model: keras.Model,
    images: Any,
    transformations: Mapping[str, Callable[[Any], Any]],
    *,
    labels: np.ndarray | None = None,
    repeats: int = 4,
    batch_size: int = 64,
) -> list[PreservationRecord]:
    """Measure how often a trained model keeps its answer under each transformation.

    The courses' criterion made measurable: an augmentation must not change the label. A model that was trained
    without it may also be surprised by a harmless one: look at the pictures, too.

    Args:
        model: A trained classifier that ends in probabilities, of a softmax or of one sigmoid unit.
        images: Array (images, height, width, channels) in the range that the model was trained on; of a model with
            several inputs a list or dictionary of arrays.
        transformations: By name a layer or function of a batch, such as a `pipeline`.
        labels: True classes, (images,), (images, 1) or one-hot, for the accuracy; None to do without.
        repeats: How often each image is transformed, 1 or more.
        batch_size: Images in a batch, 1 or more.

    Returns:
        One record per transformation, in their order.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If shapes do not fit, or a number is out of range.

    Example:
        >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.GlobalAveragePooling2D()])
        >>> model.add(keras.layers.Dense(2, activation="softmax"))
        >>> mirrored = {"mirrored": lambda batch: batch[:, :, ::-1]}
        >>> (record,) = label_preserved(model, np.ones((3, 8, 8, 1), "float32"), mirrored)
        >>> record.name, record.preserved
        ('mirrored', 1.0)

    Source: Manco, Architectures (label-preserving transformations).
    """
    function = "label_preserved"
    if not isinstance(transformations, Mapping) or not all(map(callable, transformations.values())):
        rule = "a mapping from names to layers or functions"
        raise input_error(function, "transformations", rule, transformations, error=TypeError)
    repeats = check_int(function, "repeats", repeats, 1)
    batch_size = check_int(function, "batch_size", batch_size, 1)
    images, _ = check_batch(function, model, images)
    read = OutcomeReader(function, model, chosen(images, slice(16)))
    total = len(tree.flatten(images)[0])
    if labels is not None:
        if read.units > 1 and not read.is_softmax:
            raise input_error(function, "labels", "None for a model of several labels", labels)
        labels = check_labels(function, "labels", labels, count=total, num_classes=max(2, read.units))
    batches = [chosen(images, slice(start, start + batch_size)) for start in range(0, total, batch_size)]

    def answers(change: Callable[[Any], Any], name: str) -> np.ndarray:
        def checked(batch: np.ndarray) -> Any:
            result = change(batch)
            if tuple(ops.shape(result)) != batch.shape:
                rule = f"functions that keep the shape of the images, as {name!r} does not"
                raise input_error(function, "transformations", rule, tuple(ops.shape(result)))
            return result

        return np.concatenate([read.classes(read(changed(batch, checked))) for batch in batches])

    plain = answers(np.asarray, "")
    records = []
    for name, change in transformations.items():
        seen = np.stack([answers(change, name) for _ in range(repeats)])
        accuracy = None if labels is None else float((seen[..., 0] == labels).mean())
        preserved = float((seen == plain).all(axis=2).mean())
        records.append(PreservationRecord(name, preserved, accuracy))
    return records
