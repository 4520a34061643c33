"""The hand formulas of the course: output size, receptive field, and what a layer that nobody has built costs."""

from collections.abc import Sequence
from dataclasses import dataclass

from kerascv_course._validation import check_bool, check_int, check_size, input_error


def conv_output_size(
    input_size: int, kernel_size: int, *, stride: int = 1, padding: str | int = "valid", dilation: int = 1
) -> int:
    """Return the number of positions at which a convolution or pooling window is evaluated along one axis.

    The formula is `floor((I + 2P - D(K - 1) - 1) / S) + 1`: a window that does not fit completely is left out, so
    the quotient is rounded down (Manco CNN prints a ceiling). With `"same"` it is `floor((I - 1) / S) + 1`, which
    does not depend on the kernel.

    Args:
        input_size: Pixels along the axis, at least 1.
        kernel_size: Side of the kernel or of the pooling window in pixels, at least 1.
        stride: Step of the window in pixels, at least 1.
        padding: `"valid"` (none), `"same"` (the size of the input, divided by the stride), `"full"` (every
            position in which window and input overlap), or an integer of pixels added on each side.
        dilation: Distance in pixels between neighbouring taps of the kernel, at least 1.

    Returns:
        The output size in pixels, at least 1.

    Raises:
        TypeError: If a number is no integer.
        ValueError: If a number is below its minimum, the padding is unknown, or the window is larger than the
            padded input.

    Example:
        >>> conv_output_size(227, 11, stride=4)  # the first layer of AlexNet
        55
        >>> conv_output_size(32, 5), conv_output_size(32, 5, padding="same"), conv_output_size(32, 5, padding=1)
        (28, 32, 30)

    Source: Boracchi; Manco CNN.
    """
    name = "conv_output_size"
    size = check_int(name, "input_size", input_size, 1)
    kernel = check_int(name, "kernel_size", kernel_size, 1)
    step = check_int(name, "stride", stride, 1)
    reach = check_int(name, "dilation", dilation, 1) * (kernel - 1)
    if padding == "same":
        return (size - 1) // step + 1
    by_name = {"valid": 0, "full": reach}
    if isinstance(padding, str) and padding not in by_name:
        raise input_error(name, "padding", "'valid', 'same', 'full' or an integer of pixels per side", padding)
    per_side = by_name[padding] if isinstance(padding, str) else check_int(name, "padding", padding, 0)
    room = size + 2 * per_side - reach - 1
    if room < 0:
        rule = f"small enough for the padded input ({size + 2 * per_side} pixels)"
        way_out = f"With this dilation the kernel covers {reach + 1} pixels: use a larger input or more padding."
        raise input_error(name, "kernel_size", rule, kernel_size, way_out)
    return room // step + 1


def receptive_field(layers: Sequence[tuple[int, int] | tuple[int, int, int]]) -> int:
    """Return how many input pixels, along one axis, one value sees after a chain of layers.

    Each layer adds `D(K - 1)` steps, and a step is as many input pixels as the product of the strides before it:
    L layers of KxK with stride 1 see `1 + L(K - 1)` pixels.

    Args:
        layers: One `(kernel_size, stride)` or `(kernel_size, stride, dilation)` per convolution or pooling layer,
            from the input on, all integers of at least 1.

    Returns:
        The side of the receptive field in pixels; it may be larger than the image. 1 for no layers.

    Raises:
        TypeError: If `layers` is no list of tuples, or a number is not whole.
        ValueError: If a tuple does not have two or three numbers, or a number is below 1.

    Example:
        >>> receptive_field([(3, 1), (3, 1), (3, 1)])  # three 3x3 see as much as one 7x7
        7
        >>> receptive_field([(5, 1), (2, 2), (5, 1), (2, 2)])  # LeNet-5 before its dense layers
        16

    Source: Boracchi; Di Stefano.
    """
    name = "receptive_field"
    rule = "a list of (kernel_size, stride) or (kernel_size, stride, dilation)"
    if not isinstance(layers, list | tuple):
        raise input_error(name, "layers", rule, layers, error=TypeError)
    field, step = 1, 1
    for index, layer in enumerate(layers):
        is_list = isinstance(layer, list | tuple)
        if not is_list or len(layer) not in (2, 3):
            error = ValueError if is_list else TypeError
            raise input_error(name, "layers", rule, layers, f"Entry {index} is {layer!r}.", error)
        numbers = enumerate((*layer, 1)[:3])
        kernel, stride, dilation = (check_int(name, f"layers[{index}][{i}]", number, 1) for i, number in numbers)
        field += dilation * (kernel - 1) * step
        step *= stride
    return field


@dataclass(frozen=True)
class Cost:
    """What one layer or several cost for one image; costs can be added.

    Attributes:
        params: Weights and biases.
        macs: Multiply-accumulates.
        activations: Values that are written.
    """

    params: int
    macs: int
    activations: int

    @property
    def flops(self) -> int:
        """Twice the MACs."""
        return 2 * self.macs

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.params + other.params, self.macs + other.macs, self.activations + other.activations)


def conv_cost(
    size: int | tuple[int, int],
    channels: int,
    filters: int,
    kernel_size: int | tuple[int, int],
    *,
    stride: int = 1,
    groups: int = 1,
    use_bias: bool = True,
) -> Cost:
    """Calculate what a convolution with `"same"` padding costs.

    Args:
        size: Height and width of the maps that it reads, in pixels; one number for both.
        channels: Maps that it reads.
        filters: Maps that it writes.
        kernel_size: Height and width of its kernels; one number for both.
        stride: Step in both directions.
        groups: Groups of maps that do not see each other; `groups=channels` is depthwise.
        use_bias: Whether each filter has a bias. Biases are parameters and no MACs.

    Returns:
        The cost for one image.

    Raises:
        TypeError: If a number is no integer.
        ValueError: If a number is below 1, or `groups` does not divide `channels` and `filters`.

    Example:
        >>> one_5x5 = conv_cost(32, 64, 64, 5)
        >>> two_3x3 = conv_cost(32, 64, 64, 3) + conv_cost(32, 64, 64, 3)
        >>> one_5x5.params - two_3x3.params
        28608
        >>> depthwise_separable = conv_cost(32, 64, 64, 3, groups=64) + conv_cost(32, 64, 64, 1)
        >>> conv_cost(1, 7 * 7 * 512, 4096, 1).params  # a dense layer has one position: the first one of VGG16
        102764544

    Source: Di Stefano; Manco Architectures.
    """
    function = "conv_cost"
    height, width = check_size(function, "size", size)
    kernel_height, kernel_width = check_size(function, "kernel_size", kernel_size)
    channels = check_int(function, "channels", channels, 1)
    filters = check_int(function, "filters", filters, 1)
    stride = check_int(function, "stride", stride, 1)
    groups = check_int(function, "groups", groups, 1)
    if channels % groups or filters % groups:
        rule = f"a divisor of `channels` ({channels}) and of `filters` ({filters})"
        raise input_error(function, "groups", rule, groups)
    biases = filters * check_bool(function, "use_bias", use_bias)
    weights = kernel_height * kernel_width * (channels // groups) * filters
    positions = -(-height // stride) * -(-width // stride)
    return Cost(weights + biases, weights * positions, positions * filters)
