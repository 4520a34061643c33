"""Validation sets, held out of a training set."""

from collections.abc import Sequence

import numpy as np

from kerascv_course._validation import as_array, check_int, check_number, input_error, is_one_hot

Arrays = tuple[np.ndarray, np.ndarray]


def split_validation(
    x: np.ndarray, y: np.ndarray, validation_split: float = 0.1, *, seed: int = 0
) -> tuple[Arrays, Arrays]:
    """Hold a share of the images out for validation, every class in its proportion.

    Args:
        x: Images, (n, ...).
        y: Labels, (n, ...). Classes are stratified: (n,), (n, 1) or one-hot; other targets are split at random.
        validation_split: Share that is held out, above 0 and below 1.
        seed: Decides which images are held out, 0 to 2**32 - 1.

    Returns:
        (x_train, y_train), (x_validation, y_validation).

    Raises:
        TypeError: If `x` or `y` is no array, `validation_split` no number or `seed` no integer.
        ValueError: If `x` and `y` differ in length, a number is out of range, or a class is left without an image
            in one of the parts.

    Example:
        >>> labels = np.repeat([0, 1], [80, 20])
        >>> (_, y_train), (_, y_validation) = split_validation(np.zeros((100, 4)), labels, 0.2)
        >>> np.bincount(y_validation).tolist()
        [16, 4]
    """
    x, y = (as_array("split_validation", name, part, "an array") for name, part in (("x", x), ("y", y)))
    if len(x) != len(y):
        raise input_error("split_validation", "y", f"as long as `x`, which holds {len(x)} images", y)
    train, held_out = split_indices("split_validation", "validation_split", y, validation_split, seed)
    return (x[train], y[train]), (x[held_out], y[held_out])


def split_indices(
    function: str,
    argument: str,
    labels: np.ndarray,
    share: float,
    seed: int,
    class_names: Sequence[str] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the shuffled indices of both parts, on behalf of a public function and its argument."""
    share = check_number(function, argument, share, 0, 1)
    seed = check_int(function, "seed", seed, 0, 2**32 - 1)
    from sklearn.model_selection import train_test_split  # takes a second

    classes = classes_of(labels)
    rule = f"a share that leaves every class in both parts of {len(labels)} images"
    found, counts = np.unique([] if classes is None else classes, return_counts=True)
    lacking = found[counts < 2].tolist() if len(found) > 1 else []
    if not lacking:
        try:
            train, held_out = train_test_split(
                np.arange(len(labels)), test_size=share, stratify=classes, random_state=seed
            )
        except ValueError as error:
            way_out = f"scikit-learn says: {error} Numbers that are no classes are passed as floats."
            raise input_error(function, argument, rule, share, way_out) from error
        if classes is not None:
            missing = [np.setdiff1d(classes, classes[part]) for part in (train, held_out)]
            lacking = np.concatenate(missing).tolist()
    if not lacking:
        return train, held_out
    name = f"Label {lacking[0]}" if class_names is None else f"Class {class_names[lacking[0]]!r}"
    count = counts[found == lacking[0]][0]
    images, advice = ("1 image", "or leave it out") if count < 2 else (f"{count} images", "or change the share")
    raise input_error(function, argument, rule, share, f"{name} has {images}: give it more, {advice}.")


def classes_of(labels: np.ndarray) -> np.ndarray | None:
    """Return the class of each image for a stratified split, (images,), or None where the labels are no classes.

    Classes are integers, bools and strings, one for each image, one-hot rows, and floats that count from 0 without
    a gap, each of them at least twice. Other floats, and more than ten integers, most of them different, are the
    target of a regression; rows of several ones are several labels at once.

    Example:
        >>> classes_of(np.eye(2)).tolist(), classes_of(np.array([0.5, 2.0]))
        ([0, 1], None)
    """
    if is_one_hot(labels):
        return labels.argmax(axis=1)
    column = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if column.ndim != 1 or not column.size:
        return None
    found, counts = np.unique(column, return_counts=True)
    if column.dtype.kind == "f":
        is_class = counts.min() > 1 and np.array_equal(found, np.arange(len(found)))
        return column.astype("int64") if is_class else None
    is_target = column.dtype.kind in "iu" and len(found) > max(10, len(column) / 2)
    return None if is_target else column
