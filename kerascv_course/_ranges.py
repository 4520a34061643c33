"""The one place that looks at the range of images on their way into a model that scales them itself.

Such a model, asked about images from 0 to 1, answers at chance, without an error. Only floats are doubted, and
only where some are no whole numbers: a black image, also as floats, is in the right range.
"""

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
import numpy as np
from keras import ops

BYTES = "images_0_to_255"  # the name of an input: it outlives `save`, also where this package is not installed
_SAMPLE = 64  # images that are looked at, from all over the array
_is_told: ContextVar[bool] = ContextVar("is_told", default=False)


def unit_range(images: Any) -> str:
    """Return "0 to 1" or "-1 to 1" where images are floats of that range, and "" otherwise.

    Example:
        >>> unit_range(np.array([[0.2, 0.9]])), unit_range(np.zeros((1, 2))), unit_range(np.array([[0.5, 128.0]]))
        ('0 to 1', '', '')
    """
    values = _values(images)
    if values is None or values.dtype.kind != "f" or not values.size:
        return ""
    low, high = float(values.min()), float(values.max())
    if not (low >= -1.001 and high <= 1.001) or not (values % 1).any():
        return ""
    return "0 to 1" if low >= -0.001 else "-1 to 1"


def other_range(images: Any, low: float, high: float) -> str:
    """Return the range of images, in words, where it is clearly not from `low` to `high`, and "" otherwise.

    They are floats of the range of `unit_range` where more is meant, or leave the range by half of it.
    """
    found = unit_range(images) if high > 2 else ""
    values = None if found else _values(images)
    if values is not None and values.size and values.dtype.kind in "biuf":
        least, most, beyond = float(values.min()), float(values.max()), (high - low) / 2
        found = f"{least:g} to {most:g}" if least < low - beyond or most > high + beyond else ""
    return found


def takes_bytes(model: keras.Model) -> bool:
    """Tell whether a model scales images from 0 to 255 itself: so its input says, or the layer that does it.

    Layers before that one may resize images or change them at random; what has other weights ends the search.
    """
    return bool(_decided(model))


def _decided(model: keras.Model) -> bool | None:
    """Return whether the first layer that decides takes images from 0 to 255; None where none decides."""
    for layer in model.layers:
        found: bool | None = None
        if isinstance(layer, keras.Model):
            found = _decided(layer)
        elif isinstance(layer, keras.layers.Rescaling):
            found = 1 / 300 < float(np.max(layer.scale)) < 1 / 60
        elif isinstance(layer, keras.layers.Normalization):
            found = layer.built and float(np.max(ops.convert_to_numpy(layer.mean))) > 2
        elif layer.name == BYTES or layer.weights:
            found = layer.name == BYTES
        if found is not None:
            return found
    return None


def warn_range(function: str, model: keras.Model, images: Any, stacklevel: int = 4) -> bool:
    """Warn where images are not in the range that the model takes, unless `told` sees to it; say whether so."""
    found = "" if _is_told.get() or not takes_bytes(model) else unit_range(images)
    if found:
        _warn(function, model.name, found, stacklevel + 1)
    return bool(found)


def _warn(function: str, name: str, found: str, stacklevel: int) -> None:
    text = (
        f"`{function}`: {name} takes images from 0 to 255 and scales them itself; these are floats from {found}."
    )
    warnings.warn(f"{text} Pass them as uint8, or multiply by 255.", stacklevel=stacklevel)


@contextmanager
def told(function: str = "", model: keras.Model | None = None, *data: Any) -> Iterator[Any]:
    """Warn once about the range of data where a model is given, and no more about all that is called inside.

    Yields what is to be used in place of the first data: a pipeline of TensorFlow is looked at as it starts.
    """
    given, is_seen = data[0] if data else None, True
    if model is not None and not _is_told.get() and takes_bytes(model):
        if any(kind.__name__ == "DatasetV2" for kind in type(given).__mro__):
            given = _looked_at(given, functools.partial(_warn, function, model.name, stacklevel=2))
        else:  # a generator may be used up by a look
            looks = [part[0] if isinstance(part, keras.utils.PyDataset) else part for part in data]
            is_seen = _values(looks[0]) is not None
            any(warn_range(function, model, part, stacklevel=6) for part in looks)
    token = _is_told.set(_is_told.get() or is_seen)
    try:
        yield given
    finally:
        _is_told.reset(token)


def _looked_at(data: Any, warn: Callable[[str], None]) -> Any:
    """Return a pipeline of TensorFlow that warns as its first batch passes, where that is in another range."""
    import tensorflow as tf

    is_new = True

    def look(images: Any) -> bool:
        nonlocal is_new
        found, is_new = unit_range(images) if is_new else "", False
        if found:
            warn(found)
        return True

    def passed(place: Any, batch: Any) -> Any:
        first = tf.nest.flatten(batch)[0]
        tf.cond(place == 0, lambda: tf.py_function(look, [first], tf.bool), lambda: True)
        return batch

    return data.enumerate().map(passed)


def _watched(name: str) -> Callable[..., Any]:
    @functools.wraps(getattr(keras.Model, name))
    def method(self: keras.Model, x: Any = None, *args: Any, **options: Any) -> Any:
        held_out = options.get("validation_data")
        with told(name, self, x, *(held_out[:1] if isinstance(held_out, tuple) else ())) as x:
            return getattr(keras.Model, name)(self, x, *args, **options)

    return method


class RawImageModel(keras.Model):
    """A model that takes images from 0 to 255, and warns about others on their way in."""

    __call__, fit, evaluate, predict = map(_watched, ("__call__", "fit", "evaluate", "predict"))
    train_on_batch, test_on_batch, predict_on_batch = (
        _watched(f"{name}_on_batch") for name in ("train", "test", "predict")
    )


def _values(images: Any) -> np.ndarray | None:
    """Return some of the images as an array, or None where they cannot be looked at, as in a traced function."""
    try:
        if isinstance(images, dict):
            images = next(iter(images.values()))
        elif isinstance(images, list | tuple) and hasattr(images[0], "shape"):
            images = images[0]
        if len(images) > _SAMPLE:
            images = images[:: -(-len(images) // _SAMPLE)]
        found = ops.convert_to_numpy(images) if ops.is_tensor(images) else np.asarray(images)
        return found.astype("float32") if found.dtype.name == "bfloat16" else found
    except Exception:  # a traced function holds no values, and what no array can be made of raises elsewhere
        return None
