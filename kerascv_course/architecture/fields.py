"""Receptive fields as exact intervals of input pixels, carried along the graph.

A field has one `Span` per axis of the image. A span says which pixels each position along one axis of a tensor
sees. Positions repeat with a period: after a transposed convolution of stride 2 the even and the odd positions
see differently many pixels, and a following layer with stride 2 keeps only one of the two kinds. Pixels outside
the image count, as they do in the formula of the course.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Span:
    """Which input pixels the positions along one axis of a tensor see.

    Attributes:
        lows: First pixel that positions 0 ... P-1 see (infinity where a position sees nothing).
        highs: Last pixel that they see.
        advance: Pixels by which the interval moves from position i to position i + P.
        axis: The axis of the tensor along which the positions run; None where all values see the same pixels.
        count: Number of positions.
    """

    lows: tuple[float, ...]
    highs: tuple[float, ...]
    advance: int
    axis: int | None
    count: int

    def low(self, position: int) -> float:
        """Return the first pixel that a position sees."""
        return self.lows[position % len(self.lows)] + position // len(self.lows) * self.advance

    def high(self, position: int) -> float:
        """Return the last pixel that a position sees."""
        return self.highs[position % len(self.lows)] + position // len(self.lows) * self.advance

    @property
    def size_px(self) -> int:
        """The largest number of pixels that one position sees."""
        seen = min(len(self.lows), self.count)
        return int(max(high - low for low, high in zip(self.lows[:seen], self.highs[:seen], strict=True))) + 1

    def union(self) -> "Span":
        """Return the span of a value that depends on every position."""
        period = min(len(self.lows), self.count)
        low = min(self.low(position) for position in range(period))
        high = max(self.high(position) for position in range(self.count - period, self.count))
        return Span((low,), (high,), 0, None, 1)


Field = tuple[Span, ...] | None
"""One span per axis of the image; empty for inputs without image axes; None where it is not known."""


@dataclass(frozen=True)
class Window:
    """Which input positions an output position reads, along one axis.

    Attributes:
        taps: The input positions for an output position.
        outputs: The pattern of taps repeats after this many output positions,
        inputs: moved on by this many input positions.
        count: Number of output positions.
    """

    taps: Callable[[int], Iterable[int]]
    outputs: int
    inputs: int
    count: int


def conv_window(size: int, count: int, kernel: int, stride: int, dilation: int, padding: str) -> Window:
    """Return the window of a convolution or pooling layer; padding as in Keras."""
    before = 0
    if padding == "same":
        before = max((count - 1) * stride + dilation * (kernel - 1) + 1 - size, 0) // 2
    elif padding == "causal":
        before = dilation * (kernel - 1)
    return Window(lambda o: (o * stride - before + tap * dilation for tap in range(kernel)), 1, stride, count)


def transposed_window(size: int, count: int, kernel: int, stride: int, dilation: int, padding: str) -> Window:
    """Return the window of a transposed convolution: the convolution from output to input, read backwards."""
    before = 0
    if padding == "same":
        before = max((size - 1) * stride + dilation * (kernel - 1) + 1 - count, 0) // 2

    def taps(o: int) -> list[int]:
        places = [o + before - tap * dilation for tap in range(kernel)]
        return [place // stride for place in places if place % stride == 0]

    return Window(taps, stride, 1, count)


def slice_window(start: int, step: int, count: int) -> Window:
    """Return the window of cropping (positive start), padding (negative start) or a slice with a step."""
    return Window(lambda o: [start + o * step], 1, step, count)


def resize_window(size: int, count: int, interpolation: str) -> Window:
    """Return the window of nearest or bilinear resizing with pixel centres at one half."""
    factor = math.gcd(size, count)
    inputs, outputs = size // factor, count // factor
    if interpolation == "nearest":
        return Window(lambda o: [(2 * o + 1) * inputs // (2 * outputs)], outputs, inputs, count)

    def taps(o: int) -> list[int]:
        place = (2 * o + 1) * inputs - outputs  # in units of 1 / (2 * outputs) of an input position
        return [place // (2 * outputs), -(-place // (2 * outputs))]

    return Window(taps, outputs, inputs, count)


def image_field(shape: Sequence[int], axes: Iterable[int]) -> Field:
    """Return the field of an input: each pixel sees itself."""
    return tuple(Span((0,), (0,), 1, axis, shape[axis]) for axis in axes)


def slide(field: Field, windows: dict[int, Window]) -> Field:
    """Return the field after windows slide along the given axes of the tensor."""
    if field is None:
        return None
    axes = [span.axis for span in field]
    result = []
    for span in field:
        if span.axis is None or span.axis not in windows:
            result.append(span)
        elif axes.count(span.axis) > 1:  # rows and columns folded into one axis: neighbours differ in both
            result.append(span.union())
        else:
            result.append(_slide_span(span, windows[span.axis]))
    return tuple(result)


def _slide_span(span: Span, window: Window) -> Span:
    period = len(span.lows)
    repeats = period // math.gcd(period, window.inputs)
    lows, highs = [], []
    for position in range(window.outputs * repeats):
        taps = list(window.taps(position))
        lows.append(min((span.low(tap) for tap in taps), default=math.inf))
        highs.append(max((span.high(tap) for tap in taps), default=-math.inf))
    advance = span.advance * (window.inputs * repeats // period)
    return Span(tuple(lows), tuple(highs), advance, span.axis, window.count)


def contract(field: Field, axes: Iterable[int], keep: bool = True) -> Field:
    """Return the field of values that depend on every position along these axes of the tensor.

    Args:
        field: The field before.
        axes: Axes that are summed over, pooled, or mixed by a matrix product.
        keep: Whether the axes stay in the tensor (with another size), or the later ones move down.
    """
    if field is None:
        return None
    gone = set(axes)
    spans = (span.union() if span.axis in gone else span for span in field)
    if keep:
        return tuple(spans)
    return move_axes(tuple(spans), lambda axis: axis - sum(other < axis for other in gone))


def move_axes(field: Field, new_axis: Callable[[int], int | None]) -> Field:
    """Return the field with the axes of the tensor renamed; where the new axis is None, by the union."""
    if field is None:
        return None
    result = []
    for span in field:
        axis = None if span.axis is None else new_axis(span.axis)
        result.append(span.union() if axis is None else replace(span, axis=axis))
    return tuple(result)


def reshape(field: Field, shape: Sequence[int], new_shape: Sequence[int]) -> Field:
    """Return the field after a reshape that keeps the batch axis first.

    Axes that are folded into one keep their spans; an axis that is split, or mixed with the batch, counts with
    the union of its positions.
    """
    targets: dict[int, int | None] = {}
    if math.prod(shape[1:]) == math.prod(new_shape[1:]):
        old, new = 1, 1
        while old < len(shape):
            olds, news = [old], []
            have, want = shape[old], 1
            while have != want:  # grow the smaller side until both hold the same number of positions
                if want < have:
                    news.append(new)
                    want *= new_shape[new]
                    new += 1
                else:
                    olds.append(olds[-1] + 1)
                    have *= shape[olds[-1]]
            large = [axis for axis in news if new_shape[axis] > 1]
            targets.update(dict.fromkeys(olds, large[0] if len(large) == 1 else None))
            old = olds[-1] + 1
    return move_axes(field, targets.get)


def merge(fields: Sequence[Field], shapes: Sequence[Sequence[int]], out_shape: Sequence[int]) -> Field:
    """Return the field of values computed from several tensors at the same position, with broadcasting.

    Where the branches step through the image at different rates (or one of them sees a fixed region, as in
    squeeze-and-excitation), the union over all positions is taken.
    """
    aligned: list[tuple[Span, ...]] = []
    for field, shape in zip(fields, shapes, strict=True):
        if field is None:
            return None
        lead, sizes = len(out_shape) - len(shape), shape

        def target(axis: int, lead: int = lead, sizes: Sequence[int] = sizes) -> int | None:
            broadcast = sizes[axis] == 1 and out_shape[axis + lead] != 1
            return None if broadcast else axis + lead

        moved = move_axes(field, target)
        if moved:
            aligned.append(moved)
    if not aligned:
        return ()
    if len({len(spans) for spans in aligned}) > 1:
        return None
    return tuple(_merge_spans(spans) for spans in zip(*aligned, strict=True))


def _merge_spans(spans: Sequence[Span]) -> Span:
    rates = {(span.axis, span.advance / len(span.lows)) for span in spans}
    if len(rates) > 1:
        spans = [span.union() for span in spans]
    period = math.lcm(*(len(span.lows) for span in spans))
    lows = tuple(min(span.low(position) for span in spans) for position in range(period))
    highs = tuple(max(span.high(position) for span in spans) for position in range(period))
    advance = spans[0].advance * (period // len(spans[0].lows))
    return Span(lows, highs, advance, spans[0].axis, spans[0].count)
