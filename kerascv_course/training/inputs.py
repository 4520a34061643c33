"""What `fit` takes to train on: arrays, one or several for each image; or batches that come from elsewhere."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import keras
from keras import tree

from kerascv_course._validation import as_numbers, check_bool, check_int, check_number, check_pair, input_error
from kerascv_course.datasets.split import split_indices
from kerascv_course.training.batches import Batches
from kerascv_course.training.trial import ask


def come_in_batches(data: Any) -> bool:
    """Tell whether data are batches, as `model.fit` takes them, and no arrays."""
    is_other = isinstance(data, tuple | list | dict | str) or hasattr(data, "shape") or hasattr(data, "x_train")
    return isinstance(data, keras.utils.PyDataset) or (hasattr(data, "__iter__") and not is_other)


def read_training(
    function: str,
    model: keras.Model,
    data: Any,
    options: dict[str, Any],
    *,
    batch_size: int | None,
    seed: int,
    validation_split: float = 0.0,
    validation_data: Any = None,
    sample_weight: Any = None,
) -> tuple[Any, Any, dict[str, int] | None]:
    """Return batches to train on, batches to validate on or None, and what `ask` says of the figures; or raise.

    Arrays become `Batches`, and what these do themselves is taken out of the `options` of `model.fit`.
    """
    share = check_number(function, "validation_split", validation_split, 0, 0.99)
    size = 32 if batch_size is None else check_int(function, "batch_size", batch_size, 1)
    shuffle = check_bool(function, "shuffle", options.get("shuffle", True))
    held_out = figures = None
    if validation_data is None:
        validation_data = getattr(data, "validation", None)  # of an `ImageDataset`
    if come_in_batches(data):
        refused = {"batch_size": batch_size, "validation_split": share or None, "sample_weight": sample_weight}
        for name, value in refused.items():
            if value is not None:
                raise input_error(function, name, "left out where `data` comes in batches", value)
        _check_batches(function, "data", data, "steps_per_epoch", options)
        # Keras mixes the batches of a `PyDataset`, unless it mixes the images itself; of others it only warns.
        if not isinstance(data, keras.utils.PyDataset) or hasattr(data, "start_epoch"):
            options["shuffle"] = False
        train = data
    else:
        x, y, weights = read_arrays(function, "data", data, sample_weight)
        y, figures = ask(function, "data", model, x, y, weights)
        chosen = None
        if validation_data is None and share:
            chosen, held_out = split_indices(function, "validation_split", tree.flatten(y)[0], share, seed)
        steps, options["shuffle"] = options.pop("steps_per_epoch", None), False
        train = Batches(x, y, size, seed if shuffle else None, chosen, weights, steps)
    if validation_data is not None and come_in_batches(validation_data):
        _check_batches(function, "validation_data", validation_data, "validation_steps", options)
        return train, validation_data, figures
    if validation_data is not None:
        x, y, weights = read_arrays(function, "validation_data", validation_data)
        y, _ = ask(function, "validation_data", model, x, y, weights)
    elif held_out is None:
        return train, None, figures
    validation = Batches(x, y, options.pop("validation_batch_size", None) or size, None, held_out, weights)
    validation.steps = min(options.pop("validation_steps", None) or validation.steps, validation.steps)
    return train, validation, figures


def _check_batches(function: str, argument: str, data: Any, steps: str, options: Mapping[str, Any]) -> None:
    """Raise for a `tf.data.Dataset` of single images, or without an end."""
    parts = tree.flatten(getattr(data, "element_spec", ()))
    if any(getattr(getattr(part, "shape", None), "rank", None) == 0 for part in parts):
        rule, way_out = "batches of images and labels, not single ones", f"Pass `{argument}.batch(32)`."
        raise input_error(function, argument, rule, data, way_out)
    if parts and options.get(steps) is None and int(data.cardinality()) == -1:
        raise input_error(function, argument, "batches with an end", data, f"Pass `{steps}` as well.")


def read_arrays(function: str, argument: str, data: Any, sample_weight: Any = None) -> tuple[Any, Any, Any]:
    """Return images, labels and weights or None, each an array, or a list or dictionary of some; or raise."""
    if hasattr(data, "x_train") and argument != "data":
        way_out = "For example `(data.x_test, data.y_test)`."
        raise input_error(function, argument, "a pair of arrays (images, labels)", data, way_out)
    weights_of = "sample_weight"
    if isinstance(data, tuple | list) and len(data) == 3 and sample_weight is None:
        *data, sample_weight = data
        weights_of = f"{argument}[2]"
    counts = [list(_counts(part)) for part in data] if isinstance(data, tuple | list) else []
    count = next((n for n in counts[0] if n in counts[1]), *counts[0][:1]) if len(counts) == 2 and counts[0] else 0
    if count and any(_is_several(part, count) for part in data):
        x, y = (_read_each(function, f"{argument}[{n}]", part, count) for n, part in enumerate(data))
    else:
        x, y = check_pair(function, argument, data)
        count = len(x)
    if sample_weight is not None:
        sample_weight = _read_each(function, weights_of, sample_weight, count)
    return x, y, sample_weight


def _counts(value: Any) -> Iterator[int]:
    """Say how many images an array is about, or a list or dictionary of some may be."""
    parts = list(value.values()) if isinstance(value, Mapping) else value
    inner = parts[:1] if isinstance(parts, tuple | list) else ()
    for part in inner if isinstance(value, Mapping) else [value, *inner]:
        if hasattr(part, "__len__") and getattr(part, "ndim", True):
            yield len(part)


def _is_several(value: Any, count: int) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, tuple | list) and len(value) != count)


def _read_each(function: str, name: str, value: Any, count: int) -> Any:
    """Return an array, or the list or dictionary of arrays, each with a row for each image; or raise."""
    if _is_several(value, count):
        parts = value.items() if isinstance(value, Mapping) else enumerate(value)
        found = {key: _read_each(function, f"{name}[{key!r}]", part, count) for key, part in parts}
        return found if isinstance(value, Mapping) else list(found.values())
    rule = f"numbers, with a row for each of the {count} images"
    array = as_numbers(function, name, value, rule)
    if len(array) != count:
        raise input_error(function, name, rule, array)
    return array


def first_batch(data: Any) -> tuple[Any, Any]:
    """Return the inputs of the first batch, and the data, from which it is not gone."""
    batch = data[0] if isinstance(data, keras.utils.PyDataset) else next(iter(data))
    if hasattr(data, "__next__"):
        data = (each for each in itertools.chain([batch], data))
    return batch[0] if isinstance(batch, tuple | list) else batch, data


def check_class_weight(function: str, class_weight: Any, answer: Any) -> dict[int, float] | None:
    """Return the weight of each class, 1 for those that are not named, or raise; `answer` is the model's."""
    if class_weight is None:
        return None
    parts = [part for part in tree.flatten(answer) if part is not None]
    if len(parts) > 1 or any(len(part.shape) != 2 for part in parts):
        rule, way_out = "None where there is more than one label for an image", "Pass `sample_weight`."
        raise input_error(function, "class_weight", rule, class_weight, way_out)
    classes = range(max(parts[0].shape[-1], 2) if parts else len(class_weight))
    if not isinstance(class_weight, Mapping) or not set(class_weight) <= set(classes):
        way_out = "`dict(enumerate(weights))` makes one of a list."
        rule = f"a dictionary from classes, 0 to {len(classes) - 1}, to weights"
        raise input_error(function, "class_weight", rule, class_weight, way_out)
    return {number: float(class_weight.get(number, 1)) for number in classes}
