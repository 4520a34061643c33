"""Receptive fields as size and step, carried along the graph of a model.

A field has one `Reach` per axis of the image. Pixels outside the image count, as they do in the formula of the
course. Where paths meet, the largest counts: that one of them may be shifted against the other does not.
"""

import math
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple


class Reach(NamedTuple):
    """What one value of a tensor sees along one axis of the image.

    Args:
        size: Pixels from the first to the last one that it sees.
        step: Pixels from what a value sees to what its neighbour sees; 0 where all values see the whole axis.
        extent: Pixels of the image along the axis.
        axis: The axis of the tensor along which the neighbours lie; None where the step is 0.
    """

    size: int
    step: int
    extent: int
    axis: int | None

    def whole(self) -> "Reach":
        """Return the reach of a value that depends on every position."""
        return Reach(self.extent, 0, self.extent, None)


Field = tuple[Reach, ...] | None
"""One reach per axis of the image; empty for inputs without image axes; None where it is not known."""


def slide(field: Field, windows: Mapping[int, tuple[int, int]]) -> Field:
    """Return the field after windows slide along axes of the tensor.

    Args:
        field: The field before.
        windows: By axis, the positions from the first to the last tap of the window, and its stride.
    """
    if field is None:
        return None
    axes = [reach.axis for reach in field]
    if any(axes.count(axis) > 1 and window != (0, 1) for axis, window in windows.items()):
        return None  # rows and columns are folded into one axis
    result = []
    for reach in field:
        length, stride = (0, 1) if reach.axis is None else windows.get(reach.axis, (0, 1))
        result.append(reach._replace(size=reach.size + length * reach.step, step=reach.step * stride))
    return tuple(result)


def contract(field: Field, axes: Collection[int], keep: bool = True) -> Field:
    """Return the field of values that depend on every position along these axes of the tensor.

    Args:
        field: The field before.
        axes: Axes that are summed over, pooled, or mixed by a matrix product.
        keep: Whether the axes stay in the tensor (with another size), or the later ones move down.
    """
    below = (lambda axis: 0) if keep else (lambda axis: sum(other < axis for other in axes))
    return move_axes(field, lambda axis: None if axis in axes else axis - below(axis))


def move_axes(field: Field, new_axis: Callable[[int], int | None]) -> Field:
    """Return the field with the axes of the tensor renamed; None stands for a value that sees the whole axis."""
    if field is None:
        return None
    targets = [None if reach.axis is None else new_axis(reach.axis) for reach in field]
    pairs = zip(field, targets, strict=True)
    return tuple(reach.whole() if axis is None else reach._replace(axis=axis) for reach, axis in pairs)


def if_whole(field: Field) -> Field:
    """Return the field where every value sees the whole image, which no change of the positions alters."""
    return field if field is not None and not any(reach.step for reach in field) else None


def reshape(field: Field, shape: Sequence[int], new_shape: Sequence[int]) -> Field:
    """Return the field after a reshape that keeps the batch axis first.

    The sizes that differ stand between those that stay, at both ends: such axes may be folded into one, not split.
    """
    if math.prod(shape[1:]) != math.prod(new_shape[1:]):
        return if_whole(field)
    first = _equal(shape, new_shape)
    behind = _equal(shape[: first - 1 : -1], new_shape[: first - 1 : -1])
    end, moved = len(shape) - behind, len(new_shape) - len(shape)
    folds_into = end + moved - first  # so many axes
    if folds_into > 1 and any(reach.axis is not None and first <= reach.axis < end for reach in field or ()):
        return None
    inside = first if folds_into else None
    return move_axes(field, lambda axis: axis if axis < first else axis + moved if axis >= end else inside)


def _equal(sizes: Sequence[int], others: Sequence[int]) -> int:
    """Return how many sizes are the same, from the first on."""
    return [*map(operator.eq, sizes, others), False].index(False)


def merge(fields: Sequence[Field], shapes: Sequence[Sequence[int]], out_shape: Sequence[int]) -> Field:
    """Return the field of values computed from several tensors at the same position, with broadcasting.

    It is not known where the tensors step through the image differently.
    """
    aligned: list[tuple[Reach, ...]] = []
    for field, shape in zip(fields, shapes, strict=True):
        lead = len(out_shape) - len(shape)
        repeated = {axis for axis, size in enumerate(shape) if size == 1 != out_shape[axis + lead]}
        moved = move_axes(contract(field, repeated), lambda axis, lead=lead: axis + lead)  # type: ignore[misc]
        if moved is None:
            return None
        aligned.extend([moved] if moved else [])
    if len({len(reaches) for reaches in aligned}) > 1:
        return None
    result = []
    for reaches in zip(*aligned, strict=True):
        largest = max(reaches)
        if any(reach.step == 0 for reach in reaches):
            largest = max(reaches, key=lambda reach: reach.extent).whole()
        elif len({(reach.step, reach.axis) for reach in reaches}) > 1:
            return None
        result.append(largest)
    return tuple(result)


def size_px(field: Field) -> int | tuple[int, ...] | None:
    """Return the size in pixels, once where it is the same along all axes."""
    sizes = tuple(reach.size for reach in field or ())
    return sizes[0] if len(set(sizes)) == 1 else sizes or None
