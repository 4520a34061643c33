"""What a Keras model must be before it is judged.

Models are looked at through their public interface only: shapes, counts and predictions.
"""

import inspect
import warnings
from typing import Any

import keras
import numpy as np

from kerascv_course.architecture import layer_table
from kerascv_course.exercises.answers import kind, refuse
from kerascv_course.exercises.sheet import WrongAnswerError, said

_MAX_VALUES = 2**27  # values that a model may compute for what it is asked here: 512 MiB in float32


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
    what, is_list = kind(answer), isinstance(answer, list | tuple)
    call = " Call it, and hand in what it returns." if inspect.isroutine(answer) else ""
    refuse(
        (inspect.isclass(answer), f"`{name}` is {what} itself: make a model of it with ( )."),
        (is_list, f"`{name}` is a {what}: `keras.Sequential(...)` makes a model of layers."),
        (not isinstance(answer, keras.Model), f"`{name}` must be a Keras model; it is {what}.{call}"),
    )
    received, returned = _shape(answer, "input_shape", input_shape), _shape(answer, "output_shape", output_shape)
    seen = received[-1] if len(received) == len(input_shape) else None
    channels, is_other = f"{seen} channel{'' if seen == 1 else 's'}", seen not in (None, input_shape[-1])
    no_input, no_output = not _fits(received, input_shape), not _fits(returned, output_shape)
    refuse(
        (not answer.built, f"`{name}` does not know its input yet: begin with `keras.Input({input_shape})`."),
        (is_other, f"The first layer sees {channels}: the images have {input_shape[-1]}."),
        (no_input, f"`{name}` reads images of shape {received}; it must read {input_shape}."),
        (no_output, f"`{name}` returns shape {returned} for an image; it must be {output_shape}."),
    )
    return answer


def predictions(
    name: str, network: keras.Model, images: np.ndarray, *, output_shape: tuple[int, ...]
) -> np.ndarray:
    """Return what a model answers to images.

    Raises:
        WrongAnswerError: If that would take too much memory, the model stops with an error, or its answers have
            another shape or are no numbers.
    """
    values = len(images) * _values_per_image(network, images.shape[1:])
    if values > _MAX_VALUES:
        size = f"{4 * values / 2**30:.0f} GiB" if values >= 2**28 else f"{4 * values / 2**20:.0f} MiB"
        raise WrongAnswerError(f"`{name}` is too large to be tried here: its layers would fill {size} of memory.")
    try:
        answers = np.asarray(keras.ops.convert_to_numpy(network(images, training=False)))
    except Exception as error:
        stops = f"`{name}` stops with {said(error)} when it is called on images {images.shape}."
        raise WrongAnswerError(stops) from None
    shape, expected = answers.shape, (len(images), *output_shape)
    refuse(
        (shape != expected, f"`{name}` returns shape {shape} for {len(images)} images, not {expected}."),
        (not np.isfinite(answers).all(), f"`{name}` answers with NaN or infinity. Are its weights numbers still?"),
    )
    return answers


def _values_per_image(network: keras.Model, shape: tuple[int, ...]) -> int:
    """Return how many values the layers of a model compute for one image; 0 where no graph says it."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return layer_table(network, input_shape=shape).total_activations
    except Exception:  # of a class of the student's own anything may come
        return 0


def _shape(network: keras.Model, which: str, wanted: tuple[int, ...]) -> tuple[int | None, ...]:
    """Return a shape without its batch axis; what is wanted where the class of the model does not tell it."""
    try:
        shape = getattr(network, which)
    except Exception:  # Keras raises different errors for different classes of models
        return wanted
    return tuple(shape[1:]) if isinstance(shape, tuple) else wanted


def _fits(shape: tuple[int | None, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(a in (None, b) for a, b in zip(shape, wanted, strict=True))
