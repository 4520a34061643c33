"""What an answer must be before it is judged; what it is not is said to the student, never raised as a traceback.

Keras models are looked at through their public interface only: shapes, counts and predictions.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np

from kerascv_course.exercises.sheet import WrongAnswerError, first_line

_MAX_VALUES = 2**27  # values that a model may compute for what it is asked here: 512 MiB in float32


def number(name: str, answer: Any) -> float:
    """Return a number of any kind (of Python, NumPy or a tensor) as a float.

    Args:
        name: The variable, as the student wrote it.
        answer: What it is.

    Returns:
        The number.

    Raises:
        WrongAnswerError: If it is no finite number.

    Example:
        >>> number("sum", np.int64(3))
        3.0
    """
    if isinstance(answer, str):
        raise WrongAnswerError(f"`{name}` is the text {answer!r}: write the number without quotes.")
    if isinstance(answer, tuple) and len(answer) > 1 and all(isinstance(part, int) for part in answer):
        plain = "".join([str(answer[0]), *(f"{part:03d}" for part in answer[1:])])
        raise WrongAnswerError(
            f"Python reads a comma between digits as a tuple, `{answer}`: write {plain} without it."
        )
    if callable(answer):
        raise WrongAnswerError(f"`{name}` is {kind(answer)}, not a number. Does it lack its parentheses?")
    try:
        value = np.asarray(_to_numpy(answer))
    except Exception:  # anything at all may be handed in
        value = np.empty(0)
    if value.size != 1 or value.dtype.kind not in "iuf":
        raise WrongAnswerError(f"`{name}` must be a number; it is {kind(answer)}.")
    if not np.isfinite(value).all():
        raise WrongAnswerError(f"`{name}` is {value.item()}, which is no number to count with.")
    return float(value.item())


def whole_number(name: str, answer: Any) -> int:
    """Return an integer of any kind as an int; as `number` otherwise.

    Example:
        >>> whole_number("pixels", 19.0)
        19
    """
    value = number(name, answer)
    if value != int(value):
        raise WrongAnswerError(f"`{name}` is {value:g}; it must be an integer.")
    return int(value)


def choice(name: str, answer: Any, options: Sequence[str]) -> str:
    """Return one of several texts, whatever its capitals and spaces around it.

    Example:
        >>> choice("padding", "Same ", ["same", "valid"])
        'same'
    """
    wanted = answer.strip().lower() if isinstance(answer, str) else None
    for option in options:
        if wanted == option.lower():
            return option
    listed = " or ".join(f'`"{option}"`' for option in options)
    received = f"it is {_short(answer)}" if isinstance(answer, str | int | float) else f"it is {kind(answer)}"
    raise WrongAnswerError(f"`{name}` must be {listed}; {received}.")


def letters(name: str, answer: Any, options: str) -> set[str]:
    """Return letters of a multiple choice as a set, in lower case.

    Args:
        name: The variable, as the student wrote it.
        answer: What it is: a set, a list or a tuple of letters, or a text such as "a, b".
        options: The letters that there are, such as "abcd".

    Returns:
        The letters.

    Raises:
        WrongAnswerError: If it is something else, or a letter is none of those.

    Example:
        >>> sorted(letters("kept", "A, b", "abcd"))
        ['a', 'b']
    """
    if isinstance(answer, str):
        answer = answer.replace(",", " ").split()
    if not isinstance(answer, set | frozenset | list | tuple) or not all(isinstance(one, str) for one in answer):
        raise WrongAnswerError(f'`{name}` must be a set of letters, as {{"a", "b"}}; it is {kind(answer)}.')
    given = {one.strip().lower() for one in answer}
    if unknown := given - set(options):
        listed = f"{', '.join(options[:-1])} and {options[-1]}"
        raise WrongAnswerError(f"There is no {', '.join(sorted(unknown))}: the letters are {listed}.")
    return given


def array(name: str, answer: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array, a tensor or nested lists as a float array of the shape.

    Example:
        >>> array("kernel", [[1, 2], [3, 4]], (2, 2)).dtype
        dtype('float64')
    """
    try:
        if isinstance(answer, str) or callable(answer):
            raise TypeError
        value = np.asarray(_to_numpy(answer)).astype("float64")
    except Exception:  # anything at all may be handed in
        raise WrongAnswerError(f"`{name}` must be an array of shape {shape}; it is {kind(answer)}.") from None
    if value.shape != shape:
        raise WrongAnswerError(f"`{name}` has shape {value.shape}; it must have {shape}.")
    if not np.isfinite(value).all():
        raise WrongAnswerError(f"`{name}` holds NaN or infinity.")
    return value


def outcome(name: str, function: Any, *arguments: Any, **options: Any) -> Any:
    """Call a student's function and return what it returns.

    Raises:
        WrongAnswerError: If it is none, raises, or returns nothing.

    Example:
        >>> outcome("double", lambda x: 2 * x, 4)
        8
    """
    if not callable(function) or isinstance(function, keras.layers.Layer):  # a layer may build itself, at any size
        raise WrongAnswerError(f"`{name}` must be a function; it is {kind(function)}. Hand it in without ( ).")
    call = ", ".join([*map(_short, arguments), *(f"{key}={_short(value)}" for key, value in options.items())])
    try:
        result = function(*arguments, **options)
    except Exception as error:
        what = f"`{type(error).__name__}: {first_line(error)}`"
        raise WrongAnswerError(f"`{name}({call})` stops with {what}.") from None
    if result is None:
        way_out = "Put your own line in place of `return None`."
        raise WrongAnswerError(f"`{name}({call})` returns nothing: does it lack a `return`? {way_out}")
    return result


def model(name: str, answer: Any, *, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> keras.Model:
    """Return a built Keras model that maps one shape to another; nothing is computed with it.

    Args:
        name: The variable, as the student wrote it.
        answer: What it is.
        input_shape: Shape of one input, without the batch axis.
        output_shape: Shape of one output.

    Returns:
        The model. Of one whose class hides its shapes, only the kind and that it is built are known.

    Raises:
        WrongAnswerError: With what it is instead.
    """
    if inspect.isclass(answer):
        raise WrongAnswerError(f"`{name}` is the class {answer.__name__} itself: make a model of it with ( ).")
    if isinstance(answer, list | tuple):
        raise WrongAnswerError(f"`{name}` is a {kind(answer)}: `keras.Sequential(...)` makes a model of layers.")
    if not isinstance(answer, keras.Model):
        call = " Call it, and hand in what it returns." if inspect.isroutine(answer) else ""
        raise WrongAnswerError(f"`{name}` must be a Keras model; it is {kind(answer)}.{call}")
    if not answer.built:
        raise WrongAnswerError(f"`{name}` does not know its input yet: begin with `keras.Input({input_shape})`.")
    received, returned = _shape(answer, "input_shape"), _shape(answer, "output_shape")
    if received is not None and len(received) == len(input_shape) and received[-1] not in (None, input_shape[-1]):
        channels = f"{received[-1]} channel{'' if received[-1] == 1 else 's'}"
        raise WrongAnswerError(f"The first layer sees {channels}: the images have {input_shape[-1]}.")
    if received is not None and not _fits(received, input_shape):
        raise WrongAnswerError(f"`{name}` reads images of shape {received}; it must read {input_shape}.")
    if returned is not None and not _fits(returned, output_shape):
        raise WrongAnswerError(f"`{name}` returns shape {returned} for an image; it must be {output_shape}.")
    return answer


def predictions(
    name: str, network: keras.Model, images: np.ndarray, *, output_shape: tuple[int, ...]
) -> np.ndarray:
    """Return what a model answers to images.

    Raises:
        WrongAnswerError: If that would take too much memory, the model stops with an error, or its answers have
            another shape or are no numbers.
    """
    values = len(images) * _values_per_image(network)
    if values > _MAX_VALUES:
        size = f"{4 * values / 2**30:.0f} GiB" if values >= 2**28 else f"{4 * values / 2**20:.0f} MiB"
        raise WrongAnswerError(f"`{name}` is too large to be tried here: its layers would fill {size} of memory.")
    try:
        answers = keras.ops.convert_to_numpy(network(images, training=False))
    except Exception as error:
        what = f"`{type(error).__name__}: {first_line(error)}`"
        raise WrongAnswerError(f"`{name}` stops with {what} when it is called on images {images.shape}.") from None
    if answers.shape != (len(images), *output_shape):
        expected = (len(images), *output_shape)
        raise WrongAnswerError(f"`{name}` returns shape {answers.shape} for {len(images)} images, not {expected}.")
    if not np.isfinite(answers).all():
        raise WrongAnswerError(f"`{name}` answers with NaN or infinity. Are its weights numbers still?")
    return np.asarray(answers)


def first_mistake(cases: Iterable[tuple[Any, ...]], is_right: Callable[..., bool]) -> tuple[Any, ...] | None:
    """Return the first case that is not right, or `None`.

    Example:
        >>> first_mistake([(1, 1), (2, 4), (3, 9)], lambda x, y: y == 2 * x - 1)
        (2, 4)
    """
    return next((case for case in cases if not is_right(*case)), None)


def kind(answer: Any) -> str:
    """Return what an answer is, in a few words, without looking into it.

    Example:
        >>> kind([1, 2]), kind(np.zeros((2, 3)))
        ('list of 2', 'an array of shape (2, 3)')
    """
    if inspect.isclass(answer):
        return f"the class {answer.__name__}"
    if isinstance(answer, list | tuple):
        return f"{type(answer).__name__} of {len(answer)}"
    if hasattr(answer, "shape") and hasattr(answer, "dtype"):
        return f"an array of shape {tuple(answer.shape)}"
    return f"of the type {type(answer).__name__}"


def _values_per_image(network: keras.Model) -> int:
    """Return how many values the layers of a model compute for one image, as far as their shapes are known."""
    total = 0
    for layer in getattr(network, "layers", []):
        if isinstance(layer, keras.Model):
            total += _values_per_image(layer)
        try:
            shape = layer.output.shape
        except (AttributeError, ValueError):  # called several times, or not yet: not known
            continue
        if all(shape[1:]):
            total += math.prod(shape[1:])
    return total


def _shape(network: keras.Model, which: str) -> tuple[int | None, ...] | None:
    """Return a shape without its batch axis, or `None` where the class of the model does not tell it."""
    try:
        shape = getattr(network, which)
    except Exception:  # Keras raises different errors for different classes of models
        return None
    return tuple(shape[1:]) if isinstance(shape, tuple) else None


def _fits(shape: tuple[int | None, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(a in (None, b) for a, b in zip(shape, wanted, strict=True))


def _to_numpy(answer: Any) -> Any:
    return keras.ops.convert_to_numpy(answer) if keras.ops.is_tensor(answer) else answer


def _short(value: Any) -> str:
    if hasattr(value, "shape") and hasattr(value, "dtype") and len(value.shape):
        return f"array{tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
