"""Mixed images with mixed labels, and changes and numbers of images by class."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from kerascv_course._validation import check_above, check_int, check_labels, check_number, check_seed, input_error
from kerascv_course.augmentation.affine import as_float32

Mix = Callable[[Any, Any], tuple[Any, Any]]
_BATCH = "a batch (images, height, width, channels), not empty"
_ONE_HOT = "one-hot, (images, classes), as `keras.utils.to_categorical` makes them of numbers of classes"


def mixup(alpha: float = 0.2, *, seed: int | None = None) -> Mix:
    """Make a function that mixes each image of a batch with another one, and their labels in the same way.

    `x = l * x_i + (1 - l) * x_j`, and the same for the one-hot labels; l is drawn for each image from the
    distribution Beta(alpha, alpha). Train on the mixed labels with "categorical_crossentropy".

    Args:
        alpha: How far images are mixed, above 0: near 0 hardly, at 1 with all shares alike.
        seed: Seed, 0 or more; None for another result in each run.

    Returns:
        A function of a batch (images, height, width, channels) and of one-hot labels (images, classes) that
        returns both mixed, `float32`; for `tf.data` too: `batches.map(mixup(0.2))`. It raises `ValueError` where
        the labels are not one-hot by their shape, or images and labels are not equally many.

    Raises:
        TypeError: If `alpha` is no number.
        ValueError: If it is not above 0.

    Example:
        >>> images, labels = np.zeros((4, 8, 8, 3), "float32"), np.eye(4, dtype="float32")
        >>> mixed, shares = mixup(0.2, seed=0)(images, labels)
        >>> [round(float(total), 4) for total in ops.sum(shares, axis=1)]
        [1.0, 1.0, 1.0, 1.0]

    Source: Zhang et al.: mixup: beyond empirical risk minimization (2018); Manco, Architectures.
    """
    alpha, seed = check_above("mixup", "alpha", alpha), check_seed("mixup", "seed", seed)
    return partial(_mix, "mixup", layers.MixUp(alpha=alpha, seed=seed, dtype="float32"))


def cutmix(alpha: float = 1.0, *, seed: int | None = None) -> Mix:
    """Make a function that pastes a rectangle of another image into each image, and mixes labels by its area.

    Args:
        alpha: Of the distribution Beta(alpha, alpha) of the share that is kept, above 0 and up to 1.
        seed: Seed, 0 or more; None for another result in each run.

    Returns:
        A function as that of `mixup`. Labels follow the area of Keras' rectangle, whose borders need not lie
        between pixels: they may differ from the pixels' share by a row and a column.

    Raises:
        TypeError: If `alpha` is no number.
        ValueError: If it is out of range.

    Example:
        >>> images, labels = np.zeros((4, 8, 8, 3), "float32"), np.eye(4, dtype="float32")
        >>> tuple(cutmix(seed=0)(images, labels)[1].shape)
        (4, 4)

    Source: Yun et al.: CutMix: regularization strategy to train strong classifiers (2019).
    """
    alpha = check_above("cutmix", "alpha", check_number("cutmix", "alpha", alpha, 0, 1))
    seed = check_seed("cutmix", "seed", seed)
    return partial(_mix, "cutmix", layers.CutMix(factor=(alpha, alpha), seed=seed, dtype="float32"))


def _mix(function: str, layer: keras.Layer, images: Any, labels: Any) -> tuple[Any, Any]:
    images = as_float32(function, "images", images, _BATCH, 4)
    labels = as_float32(function, "labels", labels, _ONE_HOT, 2)
    if labels.shape[1] == 1:
        raise input_error(function, "labels", _ONE_HOT, labels)
    if len({images.shape[0], labels.shape[0]} - {None}) > 1:
        raise input_error(function, "labels", f"as many as the {images.shape[0]} images", labels)
    mixed = layer({"images": images, "labels": labels}, training=True)
    return mixed["images"], mixed["labels"]


def augment_by_class(changes: Mapping[int, Callable[[Any], Any]]) -> Mix:
    """Make a function that changes images by their class, each class with its own augmentation.

    For a class that is not named images stay as they are: digits 6 and 9 may not be turned, where 0 may be.

    Args:
        changes: For the number of a class a layer or function of a batch of images.

    Returns:
        A function of a batch of images and of labels, integers (images,) or (images, 1) or one-hot, that returns
        the changed images, `float32`, and the labels as they are; for `tf.data` too.

    Raises:
        TypeError: If a class is no integer of 0 or more, or a change cannot be called.

    Example:
        >>> images, labels = np.ones((2, 4, 4, 1), "float32"), np.array([0, 1])
        >>> changed, _ = augment_by_class({1: lambda batch: 5 * batch})(images, labels)
        >>> [float(value) for value in changed[:, 0, 0, 0]]
        [1.0, 5.0]

    Source: Manco, Architectures (class-specific augmentation).
    """
    if not isinstance(changes, Mapping) or not all(callable(change) for change in changes.values()):
        rule = "a mapping from numbers of classes to layers or functions"
        raise input_error("augment_by_class", "changes", rule, changes, error=TypeError)
    for label in changes:
        check_int("augment_by_class", "changes", label, 0)
    return partial(_augment, dict(changes))


def _augment(changes: dict[int, Callable[[Any], Any]], images: Any, labels: Any) -> tuple[Any, Any]:
    changed = images = as_float32("augment_by_class", "images", images, _BATCH, 4)
    classes = labels
    if not ops.is_tensor(labels):
        classes = ops.convert_to_tensor(check_labels("augment_by_class", "labels", labels, count=len(images)))
    elif len(labels.shape) == 2:
        classes = ops.argmax(labels, axis=1) if labels.shape[1] > 1 else ops.reshape(labels, (-1,))
    if len(classes.shape) != 1 or len({classes.shape[0], images.shape[0]} - {None}) > 1:
        rule = "numbers of classes, of shape (images,), or one-hot, one for each image"
        raise input_error("augment_by_class", "labels", rule, labels)
    for label, change in changes.items():
        is_of_class = ops.reshape(ops.equal(classes, ops.cast(label, classes.dtype)), (-1, 1, 1, 1))
        changed = ops.where(is_of_class, ops.cast(change(images), "float32"), changed)
    return changed, labels


def balanced_indices(labels: Any, *, per_class: int | None = None, seed: int = 0) -> np.ndarray:
    """Choose images so that each class has the same number, in a shuffled order.

    Images of a small class are taken several times, each of them as often as the others, give or take one; with
    augmentation they differ each time. Balance the training images only.

    Args:
        labels: The classes, integers or strings, (images,), or one-hot.
        per_class: Images of each class, 1 or more; None for as many as the largest class has.
        seed: The same seed gives the same choice.

    Returns:
        Indices into the images and labels, `int64`, (classes * per_class,).

    Raises:
        TypeError: If labels or numbers are no integers.
        ValueError: If there are no labels, or a number is too small.

    Example:
        >>> labels = np.array([0, 0, 0, 1])
        >>> np.bincount(labels[balanced_indices(labels)]).tolist()
        [3, 3]

    Source: Manco, Architectures (class balancing).
    """
    labels = check_labels("balanced_indices", "labels", labels, strings=True)
    found, counts = np.unique(labels, return_counts=True)
    count = int(counts.max()) if per_class is None else check_int("balanced_indices", "per_class", per_class, 1)
    rng = np.random.default_rng(check_int("balanced_indices", "seed", seed, 0))
    chosen = []
    for label in found:
        members = np.flatnonzero(labels == label)
        rounds = -(-count // len(members))
        chosen.append(np.concatenate([rng.permutation(members) for _ in range(rounds)])[:count])
    return rng.permutation(np.concatenate(chosen))
