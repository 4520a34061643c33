"""What a layer would cost, from its numbers alone: the arithmetic behind the lecture's arguments."""

from dataclasses import dataclass

from kerascv_course._validation import check_int, input_error


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
        TypeError: If a number is not whole.
        ValueError: If a number is below 1, or `groups` does not divide `channels` and `filters`.

    Example:
        >>> one_5x5 = conv_cost(32, 64, 64, 5)
        >>> two_3x3 = conv_cost(32, 64, 64, 3) + conv_cost(32, 64, 64, 3)
        >>> one_5x5.params - two_3x3.params
        28608
        >>> depthwise_separable = conv_cost(32, 64, 64, 3, groups=64) + conv_cost(32, 64, 64, 1)

    Source: Di Stefano; Manco Architectures.
    """
    function = "conv_cost"
    height, width = _pair(function, "size", size)
    kernel_height, kernel_width = _pair(function, "kernel_size", kernel_size)
    channels = check_int(function, "channels", channels, 1)
    filters = check_int(function, "filters", filters, 1)
    stride = check_int(function, "stride", stride, 1)
    groups = check_int(function, "groups", groups, 1)
    if channels % groups or filters % groups:
        rule = f"a divisor of `channels` ({channels}) and of `filters` ({filters})"
        raise input_error(function, "groups", rule, groups)
    if not isinstance(use_bias, bool):
        raise input_error(function, "use_bias", "True or False", use_bias, error=TypeError)
    weights = kernel_height * kernel_width * (channels // groups) * filters
    positions = -(-height // stride) * -(-width // stride)
    return Cost(weights + filters * use_bias, weights * positions, positions * filters)


def dense_cost(inputs: int, units: int, *, use_bias: bool = True) -> Cost:
    """Calculate what a fully connected layer costs.

    Args:
        inputs: Values that it reads.
        units: Values that it writes.
        use_bias: Whether each unit has a bias.

    Returns:
        The cost for one image.

    Raises:
        TypeError: If a number is not whole.
        ValueError: If a number is below 1.

    Example:
        >>> dense_cost(7 * 7 * 512, 4096).params  # the first one of VGG16
        102764544

    Source: Di Stefano.
    """
    inputs = check_int("dense_cost", "inputs", inputs, 1)
    units = check_int("dense_cost", "units", units, 1)
    if not isinstance(use_bias, bool):
        raise input_error("dense_cost", "use_bias", "True or False", use_bias, error=TypeError)
    return Cost(inputs * units + units * use_bias, inputs * units, units)


def _pair(function: str, argument: str, value: int | tuple[int, int]) -> tuple[int, int]:
    sides = value if isinstance(value, tuple | list) else (value, value)
    if len(sides) != 2:
        raise input_error(function, argument, "one whole number or two", value)
    first, second = (check_int(function, argument, side, 1) for side in sides)
    return first, second
