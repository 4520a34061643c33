"""What `projection` and `index` ask of features and labels."""

from typing import Any

import numpy as np

from kerascv_course._validation import input_error


def check_features(
    function: str, argument: str, features: Any, *, width: int | None = None, largest: float = 1e15
) -> np.ndarray:
    """Return features as contiguous `float32` (n, d), not copied where they are that, or raise."""
    if not isinstance(features, np.ndarray) or features.dtype.kind not in "uif":
        raise input_error(function, argument, "a NumPy array of numbers", features, error=TypeError)
    if features.ndim != 2 or features.size == 0 or width not in (None, features.shape[1]):
        rule = f"an array (images, {'features' if width is None else width}), not empty"
        way_out = "Give a single one an axis with `[None]`." if features.ndim == 1 else ""
        if features.ndim > 2:
            way_out = "Flatten maps and images with `.reshape(len(features), -1)`."
        raise input_error(function, argument, rule, features, way_out)
    low, high = float(features.min()), float(features.max())  # NaN where one of the values is NaN
    if not (low >= -largest and high <= largest):
        received = f"values from {low:g} to {high:g}"
        raise input_error(function, argument, f"finite numbers of at most {largest:g} in size", received)
    return np.ascontiguousarray(features, dtype="float32")


def check_labels(function: str, labels: Any, count: int) -> np.ndarray:
    """Return labels as an array (n,) of whole numbers or texts, or raise."""
    found = np.asarray(labels)
    if found.dtype.kind not in "buiU":
        raise input_error(function, "labels", "whole numbers or texts", labels, error=TypeError)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]  # as Keras' own data sets give them
    if found.shape != (count,):
        raise input_error(function, "labels", f"one for each of the {count} rows of `features`", found)
    return found
