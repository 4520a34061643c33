"""Test-time augmentation: the mean answer of a model to several views of each image."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from kerascv_course._validation import check_choice, check_int, check_number, input_error

Views = str | Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class AveragedAnswer:
    """What `test_time_augmentation` found.

    Attributes:
        posterior: Mean probabilities, `float32`, (images, classes).
        spread: Standard deviation over the views of the probability of the class that is answered, (images,); 0
            for images that were seen once. A large one says that the answer depends on the view.
        views: How many views each image got, `int64`, (images,).
    """

    posterior: np.ndarray
    spread: np.ndarray
    views: np.ndarray

    @property
    def classes(self) -> np.ndarray:
        """The most probable class of each image, (images,)."""
        return self.posterior.argmax(axis=1)


def test_time_augmentation(
    model: keras.Model,
    images: np.ndarray,
    *,
    views: Views = "flip",
    count: int = 8,
    mean: str = "arithmetic",
    sure_from: float | None = None,
    batch_size: int = 64,
) -> AveragedAnswer:
    """Average a model's answers over several views of each image.

    Args:
        model: A built classifier that ends in probabilities, with one input and one output.
        images: Array (images, height, width, channels) in the range that the model was trained on; with
            "ten_crops" at least as large as the model's input.
        views: "flip": the image and its mirror image. "ten_crops", as for AlexNet: the centre and the four corners
            of the model's input size, and their mirror images. A layer or function, such as a `pipeline`: the
            image itself and random versions of it, `count` views in all.
        count: Views for a layer or function, 2 or more.
        mean: "arithmetic", or "geometric" (the mean of the logarithms, so that one view can veto a class).
        sure_from: Images of which the model gives one class at least this probability at first sight, from 0 to 1,
            get no further view; None shows all of them all views.
        batch_size: Images in a batch, 1 or more.

    Returns:
        The mean probabilities, their spread and the number of views of each image. It costs a prediction for each
        view: `views.mean()` times a plain one.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If shapes do not fit, a value is not finite, an option is out of range or not known, or the
            model's answers are no probabilities.

    Example:
        >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
        >>> model.add(keras.layers.Dense(2, activation="softmax"))
        >>> answer = test_time_augmentation(model, np.zeros((3, 8, 8, 1), "float32"))
        >>> answer.posterior.shape, answer.views.tolist()
        ((3, 2), [2, 2, 2])

    Source: Boracchi; Krizhevsky, Sutskever, Hinton (2012) for the ten crops.
    """
    function = "test_time_augmentation"
    if not callable(views):
        check_choice(function, "views", views, ("flip", "ten_crops"))
    count = check_int(function, "count", count, 2)
    check_choice(function, "mean", mean, ("arithmetic", "geometric"))
    if sure_from is not None:
        sure_from = check_number(function, "sure_from", sure_from, 0, 1)
    batch_size = check_int(function, "batch_size", batch_size, 1)
    check_model_and_images(function, model, images, crops=views == "ten_crops")
    parts = [
        _answer(model, images[start : start + batch_size], views, count, mean, sure_from)
        for start in range(0, len(images), batch_size)
    ]
    return AveragedAnswer(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


test_time_augmentation.__test__ = False  # type: ignore[attr-defined]  # by its name pytest takes it for a test


def _answer(
    model: keras.Model, images: np.ndarray, views: Views, count: int, mean: str, sure_from: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    size = model.input_shape[1:3]
    first = probabilities("test_time_augmentation", model, next(_views(images, views, count, size)))
    posterior, spread = first.copy(), np.zeros(len(images))
    used = np.ones(len(images), "int64")
    unsure = np.arange(len(images)) if sure_from is None else np.flatnonzero(first.max(axis=1) < sure_from)
    if len(unsure):
        rest = _views(images[unsure], views, count, size)
        next(rest)  # the first view has been seen
        seen = np.stack(
            [first[unsure], *(probabilities("test_time_augmentation", model, view) for view in rest)]
        ).astype("float64")
        if mean == "arithmetic":
            average = seen.mean(axis=0)
        else:
            average = np.exp(np.log(np.maximum(seen, 1e-30)).mean(axis=0))
            average /= average.sum(axis=1, keepdims=True)
        posterior[unsure] = average
        answered = average.argmax(axis=1)
        spread[unsure] = seen[:, np.arange(len(unsure)), answered].std(axis=0)
        used[unsure] = len(seen)
    return posterior, spread, used


def _views(images: np.ndarray, views: Views, count: int, size: tuple[int, int]) -> Iterator[Any]:
    """Yield each view of a batch, the plainest first."""
    if callable(views):
        yield images
        for _ in range(count - 1):
            yield views(images)
        return
    if views == "flip":
        crops = [images]
    else:
        height, width = size
        down, right = images.shape[1] - height, images.shape[2] - width
        corners = [(down // 2, right // 2), (0, 0), (0, right), (down, 0), (down, right)]
        crops = [images[:, top : top + height, left : left + width] for top, left in corners]
    for crop in crops:
        yield crop
        yield crop[:, :, ::-1]


def probabilities(function: str, model: keras.Model, images: Any) -> np.ndarray:
    """Return a model's probabilities for a batch, `float32`, without the notes that `predict` prints.

    Raises:
        ValueError: If they are none.
    """
    if isinstance(images, np.ndarray):
        images = np.ascontiguousarray(images)
    answers = ops.convert_to_numpy(model(ops.convert_to_tensor(images, "float32"), training=False)).astype(
        "float32"
    )
    sums = answers.sum(axis=-1)
    if answers.ndim != 2 or answers.min() < -1e-6 or not np.allclose(sums, 1, atol=1e-3):
        rule = "a classifier that ends in probabilities, as softmax gives them"
        raise input_error(function, "model", rule, f"answers of shape {answers.shape}")
    return answers


def check_model_and_images(function: str, model: Any, images: Any, *, crops: bool = False) -> None:
    """Raise unless the model is a built classifier and the images are what it takes."""
    if not isinstance(model, keras.Model):
        raise input_error(function, "model", "a Keras model", model, error=TypeError)
    shape = model.input_shape if model.built and len(model.inputs) == 1 else None
    if shape is None or len(shape) != 4 or len(model.outputs) != 1:
        raise input_error(function, "model", "a built model of one image and one output", model.name)
    if not isinstance(images, np.ndarray) or images.dtype.kind not in "uif":
        raise input_error(function, "images", "a NumPy array of numbers", images, error=TypeError)
    if images.ndim != 4 or len(images) == 0:
        rule = "a batch (images, height, width, channels), not empty"
        raise input_error(function, "images", rule, images)
    if crops and None in shape[1:3]:
        raise input_error(function, "model", "of a fixed input size, for crops", shape)
    fits = [
        wanted is None or (given >= wanted if crops and axis < 2 else given == wanted)
        for axis, (wanted, given) in enumerate(zip(shape[1:], images.shape[1:], strict=True))
    ]
    if not all(fits):
        rule = f"{'at least ' if crops else ''}of the model's input shape {shape[1:]}"
        raise input_error(function, "images", rule, images)
    if not np.isfinite(images).all():
        raise input_error(function, "images", "finite numbers", "NaN or infinity in it")
