"""The record in which local descriptors arrive, and what makes one of the answer of a user's callable."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerascv_course._validation import input_error


@dataclass(frozen=True, eq=False)
class Descriptions:
    """The local descriptors of several images.

    Attributes:
        descriptors: One vector per point, `float32`, (points, dimensions); the points of the first image first.
        positions: Where the points lie, y and x in pixels, 0 at the centre of the first pixel, (points, 2).
        sizes: Side of the square that each descriptor looks at, pixels, (points,).
        images: Index of the image that each point belongs to, (points,).
    """

    descriptors: np.ndarray
    positions: np.ndarray
    sizes: np.ndarray
    images: np.ndarray

    def __repr__(self) -> str:
        """Return how many there are."""
        return f"<Descriptions: {len(self.descriptors):,} points of {self.descriptors.shape[1]} dimensions>"


def without_flat(found: Descriptions) -> Descriptions:
    """Leave out what has no gradient at all: it has no direction, and would be a word of its own."""
    keep = found.descriptors.any(axis=1)
    if keep.all():
        return found
    return Descriptions(found.descriptors[keep], found.positions[keep], found.sizes[keep], found.images[keep])


def from_maps(maps: np.ndarray, y: np.ndarray, x: np.ndarray, size: float) -> Descriptions:
    """Return maps of descriptors (n, rows, columns, dimensions), whose points lie at all pairs of `y` and `x`."""
    positions = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2).astype("float64")
    count, points = len(maps), len(positions)
    return Descriptions(
        np.ascontiguousarray(maps, "float32").reshape(count * points, -1),
        np.tile(positions, (count, 1)),
        np.full(count * points, float(size)),
        np.repeat(np.arange(count), points),
    )


def describe_with(function: str, call: Callable[[np.ndarray], Any], images: np.ndarray) -> Descriptions:
    """Return what a user's callable says of images (n, h, w, c), or raise where it is of the wrong shape."""
    answer = call(images)
    if isinstance(answer, Descriptions):
        return answer
    count, height, width = images.shape[:3]
    rule = (
        f"a callable that returns a map of descriptors ({count}, rows, columns, dimensions) for {count} images, "
        "or a list with a pair for each: positions (points, 2) and descriptors (points, dimensions)"
    )
    if isinstance(answer, list | tuple):
        return _from_pairs(function, rule, answer, images)
    maps = np.asarray(answer)
    if maps.ndim != 4 or len(maps) != count or maps.dtype.kind not in "uif" or not maps.size:
        raise input_error(function, "descriptor", rule, maps if maps.ndim else answer)
    if not np.isfinite(maps).all():
        raise input_error(function, "descriptor", "a callable that returns finite numbers", maps)
    y, x = (
        (np.arange(n) + 0.5) * side / n - 0.5 for n, side in zip(maps.shape[1:3], (height, width), strict=True)
    )
    return from_maps(maps, y, x, height / maps.shape[1])


def _from_pairs(function: str, rule: str, answer: Sequence[Any], images: np.ndarray) -> Descriptions:
    if len(answer) != len(images):
        raise input_error(function, "descriptor", rule, f"a list of {len(answer)}")
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for pair in answer:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise input_error(function, "descriptor", rule, pair)
        positions, descriptors = map(np.asarray, pair)
        width = pairs[0][1].shape[1] if pairs else None
        fits = descriptors.ndim == 2 and descriptors.dtype.kind in "uif" and width in (None, descriptors.shape[1])
        if not fits or positions.shape != (len(descriptors), 2):
            received = f"positions {positions.shape} and descriptors {descriptors.shape}"
            raise input_error(function, "descriptor", rule, received)
        if not (np.isfinite(positions).all() and np.isfinite(descriptors).all()):
            raise input_error(function, "descriptor", "a callable that returns finite numbers", descriptors)
        pairs.append((positions, descriptors))
    counts = [len(positions) for positions, _ in pairs]
    return Descriptions(
        np.concatenate([descriptors for _, descriptors in pairs]).astype("float32"),
        np.concatenate([positions for positions, _ in pairs]).astype("float64"),
        np.full(sum(counts), min(images.shape[1:3]) / 4),  # it did not say how much it looks at
        np.repeat(np.arange(len(images)), counts),
    )
