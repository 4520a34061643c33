"""From the local descriptors of an image to one vector: histogram of visual words, VLAD, Fisher vector.

All three are sums over the descriptors. They are computed for many groups of descriptors at once, where a group
is an image or a cell of one: a descriptor belongs to the group whose number stands in `groups`.
"""

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import logsumexp


def nearest_words(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Return the index of the nearest visual word (l2 distance) of each descriptor.

    Args:
        descriptors: Array (points, dimensions).
        words: Array (words, dimensions).

    Returns:
        Integers from 0, (points,).

    Example:
        >>> nearest_words(np.array([[0.1, 0.0], [0.9, 1.2]]), np.array([[0.0, 0.0], [1.0, 1.0]]))
        array([0, 1])
    """
    # |x - c|^2 without |x|^2, which is the same for all words.
    return np.argmin(0.5 * (words * words).sum(axis=1) - descriptors @ words.T, axis=1)


def histogram(descriptors: np.ndarray, groups: np.ndarray, count: int, words: np.ndarray) -> np.ndarray:
    """Count the descriptors of each visual word in each group.

    Args:
        descriptors: Array (points, dimensions).
        groups: The group of each descriptor, from 0 to `count - 1`, (points,).
        count: Number of groups.
        words: Array (words, dimensions).

    Returns:
        Array (count, words).

    Example:
        >>> words = np.array([[0.0], [10.0]])
        >>> histogram(np.array([[1.0], [2.0], [9.0]]), np.array([0, 0, 1]), 3, words)
        array([[2., 0.],
               [0., 1.],
               [0., 0.]])
    """
    pairs = groups * len(words) + nearest_words(descriptors, words)
    counts = np.bincount(pairs, minlength=count * len(words)).reshape(count, len(words))
    return counts.astype(descriptors.dtype)


def vlad(descriptors: np.ndarray, groups: np.ndarray, count: int, words: np.ndarray) -> np.ndarray:
    """Sum, for each visual word, how the descriptors nearest to it differ from it.

    Args:
        descriptors: Array (points, dimensions).
        groups: The group of each descriptor, from 0 to `count - 1`, (points,).
        count: Number of groups.
        words: Array (words, dimensions).

    Returns:
        Array (count, words * dimensions), word by word.

    Example:
        >>> vlad(np.array([[1.0], [2.0], [9.0]]), np.array([0, 0, 0]), 1, np.array([[0.0], [10.0]]))
        array([[ 3., -1.]])

    Source: Jegou, Douze, Schmid and Perez (2010).
    """
    nearest = nearest_words(descriptors, words)
    pairs = groups * len(words) + nearest
    points = np.arange(len(pairs))
    ones = np.ones(len(pairs), descriptors.dtype)
    gather = csr_matrix((ones, (pairs, points)), shape=(count * len(words), len(pairs)))
    return (gather @ (descriptors - words[nearest])).reshape(count, -1)


def fisher(descriptors: np.ndarray, groups: np.ndarray, count: int, mixture: Any) -> np.ndarray:
    """Sum the gradients of the mixture's log likelihood with respect to its means and standard deviations.

    With the posteriors g_k(x), weights w_k, means m_k and standard deviations s_k, the first half is the sum of
    g_k(x) (x - m_k) / s_k / sqrt(w_k) and the second that of g_k(x) ((x - m_k)^2 / s_k^2 - 1) / sqrt(2 w_k). The
    usual division by the number of descriptors is left to the caller, who may add groups before. The gradient of
    the weights, which adds little (Perronnin et al.), is left out.

    scikit-image's `fisher_vector` does one image per call, and has the second half with the other sign.

    Args:
        descriptors: Array (points, dimensions).
        groups: The group of each descriptor, from 0 to `count - 1`, (points,).
        count: Number of groups.
        mixture: A fitted `sklearn.mixture.GaussianMixture` with `covariance_type="diag"`.

    Returns:
        Array (count, 2 * components * dimensions), `float64`.

    Example:
        >>> from sklearn.mixture import GaussianMixture
        >>> mixture = GaussianMixture(1, covariance_type="diag").fit(np.array([[0.0], [2.0]]))
        >>> fisher(np.array([[1.0], [3.0]]), np.array([0, 0]), 1, mixture).round(2)
        array([[2.  , 1.41]])

    Source: Perronnin, Sanchez and Mensink (2010).
    """
    weights, means, variances = mixture.weights_, mixture.means_, mixture.covariances_
    # Posteriors of single precision would be wrong in their third digit.
    x = descriptors.astype("float64")
    squares = x * x
    log_density = x @ (means / variances).T - 0.5 * (squares @ (1 / variances).T)
    log_density += np.log(weights) - 0.5 * (np.log(variances) + means**2 / variances).sum(axis=1)
    posteriors = np.exp(log_density - logsumexp(log_density, axis=1, keepdims=True))
    order = np.argsort(groups, kind="stable")
    both = np.hstack([x, squares])[order]
    posteriors = posteriors[order]
    ends = np.cumsum(np.bincount(groups, minlength=count))
    mass = np.zeros((count, len(weights), 1))
    moments = np.zeros((count, len(weights), both.shape[1]))
    for group, (begin, end) in enumerate(zip(np.append(0, ends[:-1]), ends, strict=True)):
        mass[group, :, 0] = posteriors[begin:end].sum(axis=0)
        moments[group] = posteriors[begin:end].T @ both[begin:end]
    first, second = np.split(moments, 2, axis=2)
    by_mean = (first - mass * means) / np.sqrt(variances) / np.sqrt(weights)[:, None]
    by_deviation = (second - 2 * first * means + mass * means**2) / variances - mass
    by_deviation /= np.sqrt(2 * weights)[:, None]
    return np.hstack([by_mean.reshape(count, -1), by_deviation.reshape(count, -1)])


# The spatial pyramid: where in the image a visual word was seen


def cells(positions: np.ndarray, height: int, width: int, levels: int) -> np.ndarray:
    """Return the cell of the finest grid that each position lies in.

    Args:
        positions: Array (points, 2) of y and x in pixels, 0 at the centre of the first pixel.
        height: Of the image, pixels.
        width: Of the image, pixels.
        levels: Levels of the pyramid, 1 or more: the finest grid has `2 ** (levels - 1)` cells in each direction.

    Returns:
        Integers, row by row from the top left, (points,).

    Example:
        >>> cells(np.array([[0.0, 0.0], [7.0, 0.0], [0.0, 7.0]]), 8, 8, 2)
        array([0, 2, 1])
    """
    side = 2 ** (levels - 1)
    places = (positions + 0.5) * side / np.array([height, width])
    row, column = np.clip(places.astype("int64"), 0, side - 1).T
    return row * side + column


def pool(finest: np.ndarray, levels: int) -> list[np.ndarray]:
    """Return the sums of each level, the whole image first.

    What is summed over the points of an image (counts, residuals, gradients) need be computed for the finest cells
    only: a cell of the level above is the sum of its four.

    Args:
        finest: Array (images, cells, ...) of the finest level.
        levels: Levels of the pyramid.

    Returns:
        One array (images, cells, ...) for each level, with 1, 4, 16, ... cells.

    Example:
        >>> [level.tolist() for level in pool(np.arange(4).reshape(1, 4), 2)]
        [[[6]], [[0, 1, 2, 3]]]
    """
    found = [finest]
    for level in range(levels - 1, 0, -1):
        side = 2**level
        split = found[0].reshape(len(finest), side // 2, 2, side // 2, 2, *finest.shape[2:])
        found.insert(0, split.sum(axis=(2, 4)).reshape(len(finest), side * side // 4, *finest.shape[2:]))
    return found


def level_weights(levels: int) -> list[float]:
    """Return the weights of the levels of Lazebnik, Schmid and Ponce (2006); they favour the finer ones.

    Example:
        >>> level_weights(3)
        [0.25, 0.25, 0.5]
    """
    return [0.5 ** (levels - max(level, 1)) for level in range(levels)]
