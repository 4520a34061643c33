"""What the functions that train ask of a model and of its data."""

from typing import Any

import keras
import numpy as np

from kerascv_course._validation import describe, input_error
from kerascv_course.datasets import ImageDataset

Arrays = tuple[np.ndarray, np.ndarray]


def check_model(function: str, model: Any) -> None:
    """Raise unless the model is a compiled Keras model."""
    if not isinstance(model, keras.Model):
        raise input_error(function, "model", "a Keras model", model, error=TypeError)
    if not model.compiled:
        way_out = 'For example: model.compile(optimizer="adam", loss="sparse_categorical_crossentropy").'
        raise input_error(function, "model", "compiled", model, way_out)


def check_arrays(function: str, argument: str, data: Any) -> Arrays:
    """Return images and labels of a pair, or the training part of an `ImageDataset`, or raise."""
    if isinstance(data, ImageDataset):
        data = data.x_train, data.y_train
    if not isinstance(data, tuple | list) or len(data) != 2:
        rule = "a pair of arrays (images, labels) or an ImageDataset"
        raise input_error(function, argument, rule, type(data).__name__, error=TypeError)
    x, y = np.asarray(data[0]), np.asarray(data[1])
    if x.ndim < 2 or y.ndim < 1 or len(x) != len(y) or len(x) == 0:
        rule = "as many images as labels, and at least one"
        raise input_error(function, argument, rule, f"({describe(x)}, {describe(y)})")
    if np.issubdtype(x.dtype, np.floating) and not np.isfinite([x.min(), x.max()]).all():
        raise input_error(function, argument, "images without NaN and infinite values", describe(x))
    return x, y
