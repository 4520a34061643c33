"""The spatial pyramid: where in the image a visual word was seen."""

import numpy as np


def cells(positions: np.ndarray, height: int, width: int, levels: int) -> np.ndarray:
    """Return the cell of the finest grid that each position lies in.

    Args:
        positions: Array (points, 2) of y and x in pixels, 0 at the centre of the first pixel.
        height: Of the image, pixels.
        width: Of the image, pixels.
        levels: Levels of the pyramid, 1 or more: the finest grid has `2 ** (levels - 1)` cells in each direction.

    Returns:
        Whole numbers, row by row from the top left, (points,).

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
