"""What all architectures share: their options, and the end that `include_top` and `pooling` choose."""

from typing import Any

from keras import layers

from kerascv_course._validation import check_choice, check_input_shape, check_int, input_error


def check_options(
    function: str,
    *,
    input_shape: Any,
    smallest_side: int,
    num_classes: Any,
    include_top: Any,
    pooling: Any,
) -> tuple[tuple[int, int, int], int]:
    """Check the options that all builders have, before anything is built.

    Args:
        function: Name of the builder, for errors.
        input_shape: Height, width and channels.
        smallest_side: Smallest side in pixels that leaves one value per map in the end.
        num_classes: Number of classes, at least 2.
        include_top: Whether the classifier is part of the model.
        pooling: How the maps become a vector where `include_top` is False: "avg", "max", or None for the maps.

    Returns:
        `input_shape` and `num_classes` as plain integers.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If an option is out of range, or `pooling` is set although `include_top` is True.
    """
    shape = check_input_shape(function, input_shape, smallest_side)
    num_classes = check_int(function, "num_classes", num_classes, minimum=2)
    if not isinstance(include_top, bool):
        raise input_error(function, "include_top", "True or False", include_top, error=TypeError)
    check_choice(function, "pooling", pooling, ("avg", "max", None))
    if include_top and pooling is not None:
        rule = "None where `include_top` is True, since the classifier has its own way to read the maps"
        raise input_error(function, "pooling", rule, pooling, "Pass include_top=False for pooled features.")
    return shape, num_classes


def pooled(x: Any, pooling: str | None) -> Any:
    """Return the maps as they are, or one value of each map: its mean ("avg") or its maximum ("max")."""
    if pooling == "avg":
        return layers.GlobalAveragePooling2D(name="avg_pool")(x)
    if pooling == "max":
        return layers.GlobalMaxPooling2D(name="max_pool")(x)
    return x


def averaging_classifier(x: Any, num_classes: int, *, dropout: float = 0.0) -> Any:
    """Return class probabilities of maps by global average pooling, dropout if wanted, and one dense layer."""
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    return layers.Dense(num_classes, activation="softmax", name="predictions")(x)
