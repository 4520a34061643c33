"""What is known about the tensors of a graph, and about one call of a layer."""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import keras

from kerascv_course.architecture import fields
from kerascv_course.architecture.fields import Field


@dataclass(frozen=True)
class Tensor:
    """What is known about a tensor of the graph.

    Attributes:
        shape: Its shape, batch axis first.
        dtype: Its dtype.
        field: Its receptive field.
        depth: Convolutions and dense layers on the longest path to it.
        row: Place of the row of the layer that wrote it; None for what goes into the model.
    """

    shape: tuple[int, ...]
    dtype: str
    field: Field
    depth: int = 0
    row: int | None = None

    def step(self) -> "Tensor":
        """Return one step of a sequence."""
        return replace(self, shape=(self.shape[0], *self.shape[2:]), field=fields.if_whole(self.field))

    def sequence(self, steps: int) -> "Tensor":
        """Return the sequence of such steps."""
        return replace(self, shape=(self.shape[0], steps, *self.shape[1:]))


class UnknownError(LookupError):
    """The MACs of a layer are not known; the message says why."""


@dataclass(frozen=True)
class Call:
    """One call of a layer or an operation.

    Attributes:
        layer: The layer or operation.
        args: Positional arguments with a `Tensor` for each tensor of the graph.
        kwargs: Named arguments, likewise.
        output: Shape of the (first) output.
        effect_of: Returns the function that computes the effect of a layer, or raises `UnknownError`.
    """

    layer: Any
    args: Sequence[Any]
    kwargs: dict[str, Any]
    output: tuple[int, ...]
    effect_of: Callable[[Any], "Callable[[Call], Effect]"]

    @cached_property
    def config(self) -> dict[str, Any]:
        """The public configuration of the layer."""
        return self.layer.get_config()

    @cached_property
    def inputs(self) -> list[Tensor]:
        """All tensors among the arguments."""
        return [leaf for leaf in keras.tree.flatten([self.args, self.kwargs]) if isinstance(leaf, Tensor)]

    @property
    def given(self) -> dict[str, Any]:
        """The arguments by their names."""
        return inspect.signature(self.layer.call).bind(*self.args, **self.kwargs).arguments

    def inside(self, layer: Any, *inputs: Tensor) -> int:
        """Return the MACs of a layer inside this one, or raise `UnknownError`."""
        return self.effect_of(layer)(replace(self, layer=layer, args=inputs, kwargs={}))[0]

    @property
    def x(self) -> Tensor:
        """The first input."""
        return self.inputs[0]

    @property
    def channel_axis(self) -> int:
        """The axis of the input that holds the channels."""
        return 1 if self.config.get("data_format") == "channels_first" else len(self.x.shape) - 1

    @property
    def channels(self) -> int:
        """Channels of the input."""
        return self.x.shape[self.channel_axis]

    @property
    def image_axes(self) -> list[int]:
        """The axes of the input other than batch and channels."""
        return [axis for axis in range(1, len(self.x.shape)) if axis != self.channel_axis]

    @property
    def values(self) -> int:
        """Values that it writes for one image."""
        return math.prod(self.output[1:])

    @property
    def taps(self) -> int:
        """Positions that its kernel covers."""
        return math.prod(self.per_axis("kernel_size"))

    def per_axis(self, key: str) -> list[int]:
        """Return a setting once per image axis, whether the layer holds one number, a tuple or none (1)."""
        value = self.config.get(key, 1)
        return [value] * len(self.image_axes) if isinstance(value, int) else list(value)

    def slid(self, kernel: str = "kernel_size", *, mixed: bool = False) -> Field:
        """Return the field of its outputs where its window slides over the image; `mixed`: over all channels."""
        settings = map(self.per_axis, (kernel, "dilation_rate", "strides"))
        each = zip(self.image_axes, *settings, strict=True)
        windows = {axis: (dilation * (size - 1), stride) for axis, size, dilation, stride in each}
        return fields.slide(fields.contract(self.x.field, [self.channel_axis] if mixed else []), windows)


Effect = tuple[int, Field]
"""MACs for one image, and the field of the outputs."""
