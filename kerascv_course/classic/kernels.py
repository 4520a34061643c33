"""Kernels for a support vector machine on histograms."""

from typing import Any

import numpy as np

from kerascv_course._validation import as_numbers, input_error

_FUNCTION = "histogram_intersection"


def histogram_intersection(x: Any, y: Any = None) -> np.ndarray:
    """Compute how much of each histogram of `x` each of `y` covers: the sum over the bins of the smaller count.

    Pass it to scikit-learn as it is: `SVC(kernel=histogram_intersection)`. For histograms of sum 1 it is 1 where
    two are equal and 0 where no bin is shared.

    Args:
        x: Histograms, (n, bins), finite, 0 or more.
        y: Histograms, (m, bins); by default those of `x`.

    Returns:
        Array (n, m) of `float64`.

    Raises:
        TypeError: If an array does not hold numbers.
        ValueError: If shapes do not fit, or a value is negative or not finite.

    Example:
        >>> histogram_intersection(np.array([[0.2, 0.8], [1.0, 0.0]]), np.array([[0.5, 0.5]]))
        array([[0.7],
               [0.5]])

    Source: Lorente; Swain and Ballard (1991), Lazebnik, Schmid and Ponce (2006).
    """
    from scipy.spatial.distance import cdist

    first = _check_histograms("x", x, None)
    second = first if y is None else _check_histograms("y", y, first.shape[1])
    # min(a, b) = (a + b - |a - b|) / 2, and SciPy has the sum of the last part as a loop in C.
    shared = first.sum(axis=1)[:, None] + second.sum(axis=1) - cdist(first, second, "cityblock")
    return np.maximum(shared / 2, 0)  # rounding may leave -1e-17


def _check_histograms(argument: str, values: Any, bins: int | None) -> np.ndarray:
    rule = f"an array (n, {bins or 'bins'}), not empty"
    found = as_numbers(_FUNCTION, argument, values, rule)
    if found.ndim != 2 or not found.size or bins not in (None, found.shape[1]):
        raise input_error(_FUNCTION, argument, rule, found)
    low, high = float(found.min()), float(found.max())
    if low < 0:
        way_out = "VLAD and Fisher vectors have negative values: take a linear or RBF kernel for them."
        raise input_error(
            _FUNCTION, argument, "finite counts of 0 or more", f"values from {low:g} to {high:g}", way_out
        )
    return found.astype("float64")
