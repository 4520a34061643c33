"""Kernels for a support vector machine on histograms."""

from typing import Any

import numpy as np


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
        ValueError: If the shapes do not fit, or an array does not hold finite numbers of 0 or more: VLAD and
            Fisher vectors do not.

    Example:
        >>> histogram_intersection(np.array([[0.2, 0.8], [1.0, 0.0]]), np.array([[0.5, 0.5]]))
        array([[0.7],
               [0.5]])

    Source: Lorente; Swain and Ballard (1991), Lazebnik, Schmid and Ponce (2006).
    """
    from scipy.spatial.distance import cdist
    from sklearn.metrics.pairwise import check_pairwise_arrays
    from sklearn.utils.validation import check_non_negative

    first, second = check_pairwise_arrays(x, y, dtype="float64")
    for histograms in (first, second):
        check_non_negative(histograms, "histogram_intersection")
    # min(a, b) = (a + b - |a - b|) / 2, and SciPy has the sum of the last part as a loop in C.
    shared = first.sum(axis=1)[:, None] + second.sum(axis=1) - cdist(first, second, "cityblock")
    return np.maximum(shared / 2, 0)  # rounding may leave -1e-17
