"""What all architectures share: their options, and the end that `include_top` and `pooling` choose."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from kerascv_course._validation import check_bool, check_choice, check_int, input_error


def checked_stem(function: str, stem: Any, input_shape: Any) -> tuple[bool, Any]:
    """Return whether the stem is the one for large images, and the input shape, by default that of the stem."""
    check_choice(function, "stem", stem, ("imagenet", "cifar"))
    default = (224, 224, 3) if stem == "imagenet" else (32, 32, 3)
    return stem == "imagenet", default if input_shape is None else input_shape


def checked_input(
    function: str, input_shape: Any, smallest: int, num_classes: Any, include_top: Any = True, pooling: Any = None
) -> tuple[Any, int]:
    """Check the options that all builders have, before anything is built.

    Args:
        function: Name of the builder, for errors.
        input_shape: Height, width and channels.
        smallest: Smallest side in pixels that leaves one value per map in the end.
        num_classes: Number of classes, at least 2.
        include_top: Whether the classifier is part of the model.
        pooling: How the maps become a vector where `include_top` is False: "avg", "max", or None for the maps.

    Returns:
        The input of the model, and `num_classes` as a plain integer.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If an option is out of range, or `pooling` is set although `include_top` is True.
    """
    shape = check_input_shape(function, input_shape, smallest)
    num_classes = check_int(function, "num_classes", num_classes, minimum=2)
    check_choice(function, "pooling", pooling, ("avg", "max", None))
    if check_bool(function, "include_top", include_top) and pooling is not None:
        rule = "None where `include_top` is True, since the classifier has its own way to read the maps"
        raise input_error(function, "pooling", rule, pooling, "Pass include_top=False for pooled features.")
    return keras.Input(shape, name="image"), num_classes


def check_input_shape(function: str, value: Any, minimum_side: int) -> tuple[int, int, int]:
    """Return the image shape as three `int`, or raise where it is none or too small."""
    rule = f"(height, width, channels) with sides of at least {minimum_side} pixels and at least 1 channel"
    if not isinstance(value, tuple | list) or len(value) != 3:
        raise input_error(function, "input_shape", rule, value, "Leave the batch axis out.")
    if any(isinstance(side, bool) or not isinstance(side, int | np.integer) for side in value):
        raise input_error(function, "input_shape", rule, value, "All three must be integers.", TypeError)
    height, width, channels = (int(side) for side in value)
    if min(height, width) < minimum_side or channels < 1:
        raise input_error(function, "input_shape", rule, value)
    return height, width, channels


def outputs_of(
    x: Any, num_classes: int, include_top: bool, pooling: str | None, dense: Sequence[int] = (), dropout: float = 0
) -> Any:
    """Return what a model makes of its last maps.

    Args:
        x: The maps.
        num_classes: Number of classes.
        include_top: Whether these are class probabilities.
        pooling: Without: "avg" or "max" for the mean or the maximum of each map, None for the maps.
        dense: The numbers of the dense layers of 4,096 values, each with dropout, that read the maps; without them
            the classifier reads the mean of each map.
        dropout: Share of these means that is dropped.
    """
    if not include_top and pooling is None:
        return x
    if pooling == "max":
        return layers.GlobalMaxPooling2D(name="max_pool")(x)
    if pooling == "avg" or not dense:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    else:
        x = layers.Flatten(name="flatten")(x)
    if not include_top:
        return x
    for number in dense:
        x = layers.Dense(4096, activation="relu", name=f"fc{number}")(x)
        x = layers.Dropout(0.5, name=f"dropout{number}")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    return layers.Dense(num_classes, activation="softmax", dtype="float32", name="predictions")(x)
