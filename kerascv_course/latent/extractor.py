"""The feature extraction network: a model cut after one of its layers."""

from collections.abc import Iterator
from typing import Any

import keras

from kerascv_course._models import check_linked, one_output, parts_of, path_of
from kerascv_course._validation import check_int, input_error

_FUNCTION = "feature_extractor"


def feature_extractor(model: keras.Model, layer: str | int | None = None) -> keras.Model:
    """Cut a model after one of its layers; by default before its classifier.

    Args:
        model: A built functional or `Sequential` Keras model, with or without nested models; it stays as it was.
            Of several outputs none is taken by itself: name the layer.
        layer: The last layer that is kept. Its name ("conv3"); where nested models share a name its path
            ("base/block_13_project"); or its place in `model.layers`, also from the end (-2). None: what the last
            `Dense` layer takes, which is the classifier, if nothing after it has weights.

    Returns:
        An ordinary functional model from the same inputs to the output of that layer. It shares its layers, and
        with them the weights, with `model`. Of a layer that is called several times it is the last output.

    Raises:
        TypeError: If an argument has the wrong type, or the model's layers are not linked in a graph.
        ValueError: If the model is not built, there is no such layer or more than one, or, with None, the model
            does not end in a classifier.

    Example:
        >>> model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()])
        >>> model.add(keras.layers.Dense(84, activation="relu", name="features"))
        >>> model.add(keras.layers.Dense(10, activation="softmax"))
        >>> feature_extractor(model).output_shape, feature_extractor(model, 0).output_shape
        ((None, 84), (None, 3072))

    Source: Boracchi (feature extraction network).
    """
    check_linked(_FUNCTION, model)
    if layer is None:
        one_output(_FUNCTION, model, model.outputs)
        return cut_model(model, _classifier(model), before=True)
    if not isinstance(layer, str):
        count = len(model.layers)
        return cut_model(model, (model.layers[check_int(_FUNCTION, "layer", layer, -count, count - 1)].name,))
    paths = {"/".join(path): path for path, _ in _paths(model)}
    return cut_model(model, paths[path_of(_FUNCTION, "layer", layer, paths)])


def cut_model(model: keras.Model, path: tuple[str, ...], *, before: bool = False) -> keras.Model:
    """Return the model up to what the operation at the path writes, or takes."""
    target, inputs, output = path[0], None, None

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal inputs, output
        written = operation(*args, **kwargs)
        if operation.name == target:
            inputs, output = (args, kwargs), written
        return written

    # Sequential models become functional, and subclasses of either plain ones: what they compute is the same.
    plain = keras.Model(model.inputs, model.outputs, name=model.name)
    starts = {
        operation.name: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=operation.name)
        for tensor in plain.inputs
        for operation in plain.operations
        if isinstance(operation, keras.layers.InputLayer) and operation.output is tensor
    }
    keras.models.clone_model(
        plain, input_tensors=list(starts.values()), clone_function=lambda layer: layer, call_function=call
    )
    if inputs is None:  # an input layer is not called
        output = starts[target]
    elif len(path) > 1:
        nested = next(operation for operation in plain.operations if operation.name == target)
        args, kwargs = inputs
        output = cut_model(nested, path[1:], before=before)(*args, **kwargs)
    elif before:
        output = inputs[0][0]
    taken = list(starts.values())
    # A list of one input would make Keras warn wherever the model is called on an array.
    return keras.Model(
        taken if len(taken) > 1 else taken[0], output, name=f"{model.name}_to_{'before_' * before}{'_'.join(path)}"
    )


def _paths(model: Any, prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the path of each layer and operation, nested models before what they hold."""
    for operation in getattr(model, "operations", None) or model.layers:
        path = (*prefix, operation.name)
        yield path, operation
        if isinstance(operation, keras.Sequential | keras.Function):
            yield from _paths(operation, path)


def _classifier(model: keras.Model) -> tuple[str, ...]:
    """Return the path of the last layer that has weights, if it is a classifier."""
    with_weights = [part for part in parts_of(model) if getattr(part.operation, "weights", ())]
    if not with_weights or not isinstance(with_weights[-1].operation, keras.layers.Dense):
        rule = "named: the last layer of this model that has weights is no `Dense` layer, so it has no classifier"
        raise input_error(_FUNCTION, "layer", rule, None, "Its own output is `layer=-1`.")
    return tuple(with_weights[-1].path.split("/"))
