"""The one wording of an input error, and the checks that several modules share."""

import difflib
from collections.abc import Collection
from typing import Any

import numpy as np


def input_error(
    function: str,
    argument: str,
    rule: str,
    received: Any,
    way_out: str = "",
    error: type[Exception] = ValueError,
) -> Exception:
    """Return the exception that says which argument broke which rule, and what to do.

    Args:
        function: Name of the public function that was called.
        argument: Name of the argument as the caller writes it.
        rule: What the argument must be; completes the sentence "must be ...".
        received: The value that was passed.
        way_out: One sentence on how to put it right, where the rule alone does not say it.
        error: The exception class: `ValueError`, or `TypeError` where the type is wrong.

    Returns:
        The exception, to be raised by the caller.

    Example:
        >>> print(input_error("build_resnet", "pooling", "'avg', 'max' or None", "mean"))
        `pooling` of `build_resnet` must be 'avg', 'max' or None. Received: pooling='mean'.
    """
    message = f"`{argument}` of `{function}` must be {rule}. Received: {argument}={describe(received)}."
    return error(f"{message} {way_out}".rstrip())


def describe(value: Any) -> str:
    """Return a short text for a value in an error: arrays by shape and dtype, long texts cut.

    Example:
        >>> describe(np.zeros((2, 3)))
        'array of shape (2, 3) and dtype float64'
    """
    if hasattr(value, "shape") and hasattr(value, "dtype") and getattr(value, "ndim", 0) > 0:
        return f"array of shape {tuple(value.shape)} and dtype {value.dtype}"
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


def check_choice(function: str, argument: str, value: Any, choices: Collection[Any]) -> None:
    """Raise `ValueError` unless the value is one of the choices."""
    if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in choices):
        listed = [repr(choice) for choice in choices]
        rule = " or ".join(filter(None, [", ".join(listed[:-1]), listed[-1]]))
        advice = ""
        if isinstance(value, str) and len(listed) > 1:
            names = {_letters(choice): choice for choice in choices if isinstance(choice, str)}
            close = difflib.get_close_matches(_letters(value), names, n=1, cutoff=0.75)
            advice = f"Did you mean {names[close[0]]!r}?" if close else ""
        raise input_error(function, argument, rule, value, advice)


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


def check_int(
    function: str, argument: str, value: Any, minimum: int | None = None, maximum: int | None = None
) -> int:
    """Return the value as an `int`, or raise unless it is a whole number within the bounds."""
    bounds = _bounds(minimum, maximum)
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise input_error(function, argument, f"a whole number{bounds}", value, error=TypeError)
    if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        raise input_error(function, argument, f"a whole number{bounds}", value)
    return int(value)


def check_number(
    function: str, argument: str, value: Any, minimum: float | None = None, maximum: float | None = None
) -> float:
    """Return the value as a `float`, or raise unless it is a finite number within the bounds."""
    rule = f"a number{_bounds(minimum, maximum)}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise input_error(function, argument, rule, value, error=TypeError)
    too_small = minimum is not None and value < minimum
    too_large = maximum is not None and value > maximum
    if not np.isfinite(value) or too_small or too_large:
        raise input_error(function, argument, rule, value)
    return float(value)


def check_input_shape(function: str, value: Any, minimum_side: int) -> tuple[int, int, int]:
    """Return the image shape as three `int`, or raise where it is none or too small."""
    rule = f"(height, width, channels) with sides of at least {minimum_side} pixels and at least 1 channel"
    if not isinstance(value, tuple | list) or len(value) != 3:
        raise input_error(function, "input_shape", rule, value, "Leave the batch axis out.")
    if any(isinstance(side, bool) or not isinstance(side, int | np.integer) for side in value):
        raise input_error(function, "input_shape", rule, value, "All three must be whole numbers.", TypeError)
    height, width, channels = (int(side) for side in value)
    if min(height, width) < minimum_side or channels < 1:
        raise input_error(function, "input_shape", rule, value)
    return height, width, channels


def _bounds(minimum: float | None, maximum: float | None) -> str:
    if minimum is not None and maximum is not None:
        return f" from {minimum} to {maximum}"
    if minimum is not None:
        return f" of at least {minimum}"
    return "" if maximum is None else f" of at most {maximum}"
