"""Validation sets, held out of a training set."""

import numpy as np
from sklearn.model_selection import train_test_split

from kerascv_course._validation import check_number, input_error

Arrays = tuple[np.ndarray, np.ndarray]


def split_validation(x: np.ndarray, y: np.ndarray, share: float = 0.1, *, seed: int = 0) -> tuple[Arrays, Arrays]:
    """Hold a share of the images out for validation, every class in its proportion.

    Args:
        x: Images, (n, ...).
        y: Labels, (n, ...). Whole-number labels of shape (n,) are stratified; others are split at random.
        share: Share that is held out, above 0 and below 1.
        seed: Decides which images are held out.

    Returns:
        (x_train, y_train), (x_validation, y_validation).

    Raises:
        TypeError: If `share` is not a number.
        ValueError: If `share` is out of range, or leaves a class without an image in one of the parts.

    Example:
        >>> labels = np.repeat([0, 1], [80, 20])
        >>> (_, y_train), (_, y_validation) = split_validation(np.zeros((100, 4)), labels, 0.2)
        >>> np.bincount(y_validation).tolist()
        [16, 4]
    """
    share = check_number("split_validation", "share", share, 0, 1)
    labels = y if y.ndim == 1 and np.issubdtype(y.dtype, np.integer) else None
    try:
        train, held_out = train_test_split(np.arange(len(x)), test_size=share, stratify=labels, random_state=seed)
    except ValueError as error:
        rule = f"a share that leaves every class in both parts of {len(x)} images"
        raise input_error("split_validation", "share", rule, share, f"scikit-learn says: {error}") from error
    return (x[train], y[train]), (x[held_out], y[held_out])
