"""Test-time augmentation: the mean answer of a model to several views of each image."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from kerascv_course._models import check_model_and_images, ending, input_shape, one_output, record, run
from kerascv_course._validation import check_choice, check_images, check_int, check_number, input_error

Views = str | Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class AveragedAnswer:
    """What `test_time_augmentation` found.

    Attributes:
        probabilities: Mean probabilities, `float32`, (images, classes); (images, 1) of one sigmoid unit, (images,
            labels) of several.
        classes: The most probable class of each image, `int64`, (images,). Of sigmoid units 0.5 and more means 1;
            several have an answer each, (images, labels).
        spread: Standard deviation over the views of the probability of what is answered, (images,); 0 for images
            that were seen once. A large one says that the answer depends on the view. Of several labels it is that
            of the label where it is largest.
        views: How many views each image got, `int64`, (images,).
    """

    probabilities: np.ndarray
    classes: np.ndarray
    spread: np.ndarray
    views: np.ndarray


def test_time_augmentation(
    model: keras.Model,
    images: Any,
    *,
    views: Views = "flip",
    count: int = 8,
    mean: str = "arithmetic",
    sure_from: float | None = None,
    batch_size: int = 64,
) -> AveragedAnswer:
    """Average a model's answers over several views of each image.

    Args:
        model: A classifier with one output that ends in probabilities, of a softmax or of sigmoid units.
        images: Array (images, height, width, channels) in the range that the model was trained on; with
            "ten_crops" at least as large as the model's input. Of a model with several inputs a list or dictionary
            of arrays, as it takes them: the views are of those with four axes.
        views: "flip": the image and its mirror image. "ten_crops", as for AlexNet: the centre and the four corners
            of the model's input size, and their mirror images. A layer or function, such as a `pipeline`: the
            image itself and random versions of it, `count` views in all.
        count: Views for a layer or function, 2 or more.
        mean: "arithmetic", or "geometric" (the mean of the logarithms, so that one view can veto a class).
        sure_from: Images whose first view gives one class at least this probability, from 0 to 1,
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
        >>> answer.probabilities.shape, answer.views.tolist()
        ((3, 2), [2, 2, 2])

    Source: Boracchi; Krizhevsky, Sutskever, Hinton (2012) for the ten crops.
    """
    function = "test_time_augmentation"
    if not callable(views):
        check_choice(function, "views", views, ("flip", "ten_crops"))
    count = check_int(function, "count", count, 2)
    check_choice(function, "mean", mean, ("arithmetic", "geometric"))
    sure_from = np.inf if sure_from is None else check_number(function, "sure_from", sure_from, 0, 1)
    batch_size = check_int(function, "batch_size", batch_size, 1)
    images, size = check_batch(function, model, images, crops=views == "ten_crops")
    read = OutcomeReader(function, model, next(_views(chosen(images, slice(16)), views, count, size)))
    parts = []
    for start in range(0, len(tree.flatten(images)[0]), batch_size):
        batch = chosen(images, slice(start, start + batch_size))
        first = read(next(_views(batch, views, count, size)))
        found, spread, used = first.copy(), np.zeros(len(first)), np.ones(len(first), "int64")
        surest = first.max(axis=2).min(axis=1)
        unsure = np.flatnonzero(surest < sure_from)
        if len(unsure):
            rest = _views(chosen(batch, unsure), views, count, size)
            next(rest)  # the first view has been seen
            seen = np.stack([first[unsure], *map(read, rest)]).astype("float64")
            average = seen.mean(axis=0)
            if mean == "geometric":
                average = np.exp(np.log(np.maximum(seen, 1e-30)).mean(axis=0))
                average /= average.sum(axis=2, keepdims=True)
            answered = average.argmax(axis=2)[..., None]
            spread[unsure] = np.take_along_axis(seen.std(axis=0), answered, 2)[..., 0].max(axis=1)
            found[unsure], used[unsure] = average, len(seen)
        parts.append((found, spread, used))
    found, spread, used = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    classes = read.classes(found)
    probabilities = found[:, 0] if read.is_softmax else found[:, :, 1]
    return AveragedAnswer(probabilities, classes[:, 0] if classes.shape[1] == 1 else classes, spread, used)


test_time_augmentation.__test__ = False  # type: ignore[attr-defined]  # by its name pytest takes it for a test


def chosen(images: Any, rows: Any) -> Any:
    """Return some of the images, of all inputs of a model."""
    return tree.map_structure(lambda part: part[rows], images)


def changed(images: Any, change: Callable[[Any], Any]) -> Any:
    """Return images changed, with what else the model takes as it is."""
    return tree.map_structure(lambda part: change(part) if part.ndim == 4 else part, images)


def _views(images: Any, views: Views, count: int, size: tuple[int, int]) -> Iterator[Any]:
    """Yield each view of a batch, the plainest first."""
    if callable(views):
        yield images
        for _ in range(count - 1):
            yield changed(images, views)
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
        yield changed(crop, lambda part: part[:, :, ::-1])


class OutcomeReader:
    """Reads what a model takes images for, whether it ends in a softmax or in sigmoid units.

    The outcomes are (images, 1, classes) of a softmax, and (images, units, 2) of sigmoid units, `float32`.
    """

    def __init__(self, function: str, model: keras.Model, images: Any) -> None:
        """Ask the model about a few images, or raise where it ends otherwise."""
        self.function, self.model = function, model
        calls, answer = record(model, images, partial(one_output, function, model))
        found = self._numbers(answer)
        self.units = found.shape[-1]
        # Of an end outside of the layers, in the `call` of a subclassed model, only the answers are known.
        is_sigmoid = ending(calls)[0] == "sigmoid" or (calls[-1].part.operation is None and not _sum_to_one(found))
        self.is_softmax = self.units > 1 and not is_sigmoid
        self(images)

    def _numbers(self, answer: Any) -> np.ndarray:
        """Return the answer of a model as `float32`, of one unit also where it is (images,) as (images, 1)."""
        answer = ops.cast(one_output(self.function, self.model, answer), "float32")
        found = ops.convert_to_numpy(answer)
        return found[:, None] if found.ndim == 1 else found

    def __call__(self, images: Any) -> np.ndarray:
        """Return the probabilities of the outcomes, or raise where the answers are none."""
        found = self._numbers(run(self.model, images))
        is_share = found.ndim == 2 and found.min() >= -1e-6 and found.max() <= 1 + 1e-6
        if not is_share or (self.is_softmax and not _sum_to_one(found)):
            rule = "a classifier that ends in probabilities, as softmax or sigmoid gives them"
            raise input_error(self.function, "model", rule, f"answers of shape {found.shape}")
        return found[:, None] if self.is_softmax else np.stack([1 - found, found], axis=2)

    def classes(self, outcomes: np.ndarray) -> np.ndarray:
        """Return the most probable outcomes, (images, 1) or (images, units); of a unit 0.5 and more means 1."""
        return outcomes.argmax(axis=2) if self.is_softmax else (outcomes[:, :, 1] >= 0.5).astype("int64")


def _sum_to_one(answers: np.ndarray) -> bool:
    return np.allclose(answers.sum(axis=-1), 1, atol=1e-2)


def check_batch(function: str, model: Any, images: Any, *, crops: bool = False) -> tuple[Any, tuple[int, int]]:
    """Return images that the model takes, and the size of crops; or raise. Crops may be of larger images."""
    if not crops:
        images = check_model_and_images(function, model, images, several=True)
        if all(part.ndim != 4 for part in tree.flatten(images)):
            raise input_error(function, "model", "a model of images (height, width, channels)", model.name)
        return images, (0, 0)
    shape = input_shape(function, model)
    if shape is None or len(shape) != 3 or shape[0] is None or shape[1] is None:
        raise input_error(function, "model", "of a fixed input size, for crops", shape)
    images = check_images(function, "images", images)
    height, width, channels = images.shape[1:]
    if height < shape[0] or width < shape[1] or shape[2] not in (None, channels):
        raise input_error(function, "images", f"at least of the model's input shape {shape}", images)
    return images, (shape[0], shape[1])
