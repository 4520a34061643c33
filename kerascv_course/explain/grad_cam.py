"""Grad-CAM: a heatmap of the places that raise the score of a class, for any Keras model of images."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from kerascv_course import _models, runtime
from kerascv_course._models import Call, Part
from kerascv_course._validation import check_int, check_labels, input_error

Change = Callable[[Any], Any]

# Layers that find nothing in an image, by a part of the name of their class. They are used only when named.
_FIND_NOTHING = re.compile(
    "Pool|Dropout|Flatten|Reshape|Resiz|Pad|Crop|Rescaling|Random|GetItem|Permute|Transpose|^Normalization$"
)
_WRITES_MAPS = "that writes maps (images, height, width, channels) of more than one place"


@dataclass(frozen=True, eq=False)
class GradCam:
    """What `grad_cam` found.

    Attributes:
        heatmaps: For each image its map at the size of the image, divided by its own maximum: `float32` from 0 to
            1, (images, height, width). Where no place speaks for the class it is 0 everywhere.
        maps: The same at the resolution of the layer, not divided: comparable between images.
        scores: The score that is explained, before softmax or sigmoid, `float32`, (images,).
        classes: The class that is explained, `int64`, (images,).
        layer: Path of the layer whose maps were weighted, for example "mobilenetv2/out_relu".
    """

    heatmaps: np.ndarray
    maps: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    layer: str


def grad_cam(
    model: keras.Model,
    images: np.ndarray,
    *,
    class_index: int | Sequence[int] | np.ndarray | None = None,
    layer: str | None = None,
    output: str | int | None = None,
    batch_size: int = 32,
) -> GradCam:
    """Show which places of each image raise the score of a class.

    The maps of a convolutional layer are added, each weighted with the mean gradient of the score with respect to
    it, and what is below 0 is cut off. The score is the one before the softmax or sigmoid that ends the model:
    after it the gradient vanishes where the model is sure. The model computes as in inference and stays as it was.

    Args:
        model: A model of one image, channels last, whose output is (images, classes): functional, `Sequential` or
            subclassed, with or without nested models. One sigmoid unit counts as two classes: class 1 has its
            logit as score, class 0 the negated one. One unit without sigmoid is class 0, its value the score.
        images: Array (images, height, width, channels) in the range that the model was trained on.
        class_index: The class to explain: one for all images, or one per image; by default the predicted one.
        layer: Name of the layer whose maps are used ("block5_conv3"), or its path where nested models share a name
            ("mobilenetv2/Conv_1"). By default the last one that writes maps of more than one place, that nothing
            goes around (no branch of a block, no layer beside a shortcut), and that is no pooling, dropout,
            resizing, padding or augmentation. Where tokens are worked at behind it, it must be named. Of a layer
            that is called several times the last call counts. A custom layer is not opened: only its own output
            can be used.
        output: Name or number of the output to explain, for a model of several.
        batch_size: Images in a batch, 1 or more.

    Returns:
        The heatmaps, the maps before resizing, the scores and classes that they explain, and the layer used.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If model or images are not as above, a class is out of range, or the layer does not fit.

    Example:
        >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, name="conv")])
        >>> model.add(keras.layers.GlobalAveragePooling2D())
        >>> model.add(keras.layers.Dense(2, activation="softmax"))
        >>> found = grad_cam(model, np.ones((3, 8, 8, 1), "float32"), class_index=1)
        >>> found.heatmaps.shape, found.maps.shape, found.layer
        ((3, 8, 8), (3, 6, 6), 'conv')

    Source: Selvaraju et al. (2017).
    """
    _models.check_model("grad_cam", model)
    model, output = _with_one_output(model, output)
    images = _models.check_model_and_images("grad_cam", model, images)
    batch_size = check_int("grad_cam", "batch_size", batch_size, 1)
    if layer is not None and not isinstance(layer, str):
        raise input_error("grad_cam", "layer", "the name of a layer", layer, error=TypeError)
    _check_images_last(model, images)
    pick = partial(_pick, output)
    calls, answer = _models.record(model, images[:1], pick)
    if len(answer.shape) != 2:
        raise _unfit("a model with one output (images, classes)", f"an output of shape {tuple(answer.shape)}")
    units = int(answer.shape[1])
    with _models.without_squashing(calls) as squashing:
        binary = units == 1 and squashing == "sigmoid"
        classes = _check_classes(class_index, len(images), 2 if binary else units)

        def scores_with(part: Part, batch: np.ndarray, change: Change) -> Any:
            """Return the scores of all classes, where what the part writes at last goes through `change`."""
            count, last = 0, sum(call.part.operation is part.operation for call in calls)

            def changed(_: Part, output: Any) -> Any:
                nonlocal count
                count += 1
                return change(output) if count == last else output

            with _models.listening([part], changed):
                scores = ops.cast(pick(_models.run(model, batch)), "float32")
            return ops.concatenate([-scores, scores], axis=1) if binary else scores

        target = _choose_layer(model, calls, layer, images[:1], scores_with)
        scores_of = partial(scores_with, target)
        batches = [slice(start, start + batch_size) for start in range(0, len(images), batch_size)]
        found = [_explain(scores_of, images[b], None if classes is None else classes[b]) for b in batches]
        maps, scores, explained, slopes = (np.concatenate(column) for column in zip(*found, strict=True))
        if not squashing:
            _check_scores(scores)
        if not slopes.any() and not _has_influence(scores_of, images[:1]):
            raise input_error("grad_cam", "layer", "one on which the output depends", target.path)
    heatmaps = np.concatenate([_to_size(maps[batch], images.shape[1:3]) for batch in batches])
    return GradCam(heatmaps, maps, scores[np.arange(len(images)), explained], explained, target.path)


# The computation


def _explain(
    scores_of: Callable[[np.ndarray, Change], Any], batch: np.ndarray, classes: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return of each image its map, the scores of all classes, the explained class and the steepest slope."""
    kept = []

    def keep(features: Any) -> Any:
        kept.append(features)
        return features

    scores = ops.convert_to_numpy(scores_of(batch, keep))
    classes = scores.argmax(axis=1) if classes is None else classes
    wanted = ops.convert_to_tensor(classes[:, None], "int32")

    def score(features: Any) -> Any:
        # Images do not meet in inference: the gradient of the sum holds the gradient of each image.
        return ops.sum(ops.take_along_axis(scores_of(batch, lambda _: features), wanted, axis=1))

    _, slope = runtime.gradient(score, kept[0])
    slope = ops.convert_to_numpy(ops.cast(slope, "float32"))
    features = ops.convert_to_numpy(ops.cast(kept[0], "float32"))
    maps = np.maximum(np.einsum("nhwc,nc->nhw", features, slope.mean(axis=(1, 2))), 0)
    return maps, scores, classes.astype("int64"), np.abs(slope).max(axis=(1, 2, 3))


def _has_influence(scores_of: Callable[[np.ndarray, Change], Any], batch: np.ndarray) -> bool:
    """Tell whether other values of the layer, large ones of both signs, change the scores."""

    def disturb(features: Any) -> Any:
        noise = np.random.default_rng(0).normal(0, 1000, features.shape)
        return features + ops.convert_to_tensor(noise, features.dtype)

    usual, disturbed = scores_of(batch, lambda features: features), scores_of(batch, disturb)
    return not np.array_equal(ops.convert_to_numpy(usual), ops.convert_to_numpy(disturbed))


def _to_size(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the maps at the size of the images, each divided by its maximum."""
    tensor = ops.convert_to_tensor(maps[..., None])
    tensor = ops.image.resize(tensor, size, interpolation="bilinear", data_format="channels_last")
    large = ops.convert_to_numpy(tensor)[..., 0]
    highest = large.max(axis=(1, 2), keepdims=True)
    return np.divide(large, highest, out=np.zeros_like(large), where=highest > 0)


# The layer


def _choose_layer(
    model: keras.Model,
    calls: list[Call],
    wanted: str | None,
    image: np.ndarray,
    scores_with: Callable[..., Any],
) -> Part:
    """Return the named layer, or the last one that finds something and that nothing goes around; or raise."""
    parts = _models.parts_of(model)
    maps = [call for call in calls if len(call.shape) == 4 and call.shape[1] * call.shape[2] > 1]
    paths = list(dict.fromkeys(call.part.path for call in maps))
    fit = f"Fit layers: {_models.listed(paths)}."
    if wanted is not None:
        path = _models.path_of("grad_cam", "layer", wanted, [part.path for part in parts], paths)
        if path not in paths:
            raise input_error("grad_cam", "layer", f"a layer {_WRITES_MAPS}", wanted, fit)
        return next(call.part for call in maps if call.part.path == path)
    suitable, has_learned = [], False
    for call in maps:
        # An operation before all that learns is preprocessing.
        operation = call.part.operation
        has_learned = has_learned or bool(getattr(operation, "weights", ()))
        if (has_learned or isinstance(operation, keras.Layer)) and not _finds_nothing(operation):
            suitable.append(call)
    if not suitable:
        received = f"layers {_models.listed([part.path for part in parts])}"
        raise _unfit(f"a model with a layer {_WRITES_MAPS}", received)
    noise = np.random.default_rng(0).uniform(image.min(), image.max() + 1e-3, image.shape).astype("float32")
    last = suitable[-1].part
    usual, other = (ops.stop_gradient(scores_with(last, batch, lambda maps: maps)) for batch in (image, noise))
    last_calls = {call.part.path: call for call in suitable}
    for call in reversed(suitable):
        if last_calls[call.part.path] is not call:
            continue
        # Nothing goes around the maps if with them another image gets the scores of this one.
        scores = ops.stop_gradient(scores_with(call.part, noise, lambda _, maps=call.output: maps))
        if float(ops.max(ops.abs(scores - usual))) <= 1e-4 * float(ops.max(ops.abs(other - usual))):
            break
    else:
        raise input_error("grad_cam", "layer", "named, as other paths go around the maps of each", None, fit)
    behind = calls[next(place for place, other in enumerate(calls) if other is call) :]
    tokens = [later.part.operation for later in behind if len(later.shape) == 3 and later.shape[1] > 1]
    if any(getattr(operation, "weights", ()) for operation in tokens):
        rule = f"named, as behind {call.part.path!r}, the last maps, layers work on tokens"
        raise input_error("grad_cam", "layer", rule, None, fit)
    return call.part


def _finds_nothing(operation: Any) -> bool:
    return any(_FIND_NOTHING.search(kind.__name__) for kind in type(operation).__mro__)


# The checks


def _unfit(rule: str, received: Any, way_out: str = "") -> Exception:
    return input_error("grad_cam", "model", rule, received, way_out)


def _with_one_output(model: keras.Model, output: Any) -> tuple[keras.Model, Any]:
    """Return a functional model with one output, and which output of a subclassed one is meant; or raise."""
    tensors = getattr(model, "outputs", None) or ()
    if len(tensors) < 2:
        return model, output
    answer = model.compute_output_spec(model.inputs if len(model.inputs) > 1 else model.inputs[0])
    if isinstance(answer, dict):
        named = dict(zip(keras.tree.flatten({name: name for name in answer}), tensors, strict=True))
    else:
        named = {**dict(enumerate(tensors)), **dict(zip(model.output_names, tensors, strict=True))}
    return keras.Model(model.inputs, _pick(output, named), name=model.name), None


def _pick(output: Any, answer: Any) -> Any:
    """Return one of several answers, by its name or number, or raise where it is none of them."""
    several = enumerate(answer) if isinstance(answer, list | tuple) else [(None, answer)]
    named = answer if isinstance(answer, dict) else dict(several)
    if output is None and len(named) == 1:
        return next(iter(named.values()))
    if output not in list(named):
        raise input_error("grad_cam", "output", f"one of {list(named)}, the outputs of the model", output)
    return named[output]


def _check_images_last(model: keras.Model, images: np.ndarray) -> None:
    """Raise where the model takes no images, or has its channels first."""
    if images.ndim != 4:
        raise _unfit("a model of images (height, width, channels)", f"an input of shape {images.shape[1:]}")
    if any(getattr(part.operation, "data_format", None) == "channels_first" for part in _models.parts_of(model)):
        raise _unfit("channels last: maps (images, height, width, channels)", "a channels_first model")


def _check_classes(class_index: Any, count: int, classes: int) -> np.ndarray | None:
    """Return one class per image, or None for the predicted ones."""
    if class_index is None:
        return None
    if not hasattr(class_index, "__len__") or getattr(class_index, "ndim", 1) == 0:
        return np.full(count, check_int("grad_cam", "class_index", class_index, 0, classes - 1))
    return check_labels("grad_cam", "class_index", class_index, count=count, num_classes=classes)


def _check_scores(scores: np.ndarray) -> None:
    """Raise where a softmax is computed somewhere else than in the last layer."""
    sums, inside = scores.sum(axis=1), (scores > 0) & (scores < 1)
    if scores.shape[1] > 1 and scores.min() >= 0 and inside.any() and np.allclose(sums, 1, atol=1e-5):
        way_out = "End the model in a `Dense`, `Activation` or `Softmax` layer, or leave the softmax out."
        rule = "a model whose softmax is its last layer, or that ends in scores"
        raise _unfit(rule, "probabilities from elsewhere", way_out)
