"""What `fit` takes to train on: arrays, one or several for each image; or batches that come from elsewhere."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
from keras import tree

from kerascv_course._validation import as_numbers, check_bool, check_int, check_number, check_pair, input_error
from kerascv_course.datasets.split import split_indices
from kerascv_course.training.batches import Batches
from kerascv_course.training.trial import call_once, check_targets


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
) -> tuple[Any, Any]:
    """Return the batches to train on and those to validate on, or None, on behalf of a public function; or raise.

    Arrays become `Batches`, and what these do themselves is taken out of the `options` of `model.fit`.
    """
    share = check_number(function, "validation_split", validation_split, 0, 0.99)
    size = 32 if batch_size is None else check_int(function, "batch_size", batch_size, 1)
    shuffle = check_bool(function, "shuffle", options.get("shuffle", True))
    for name in ("steps_per_epoch", "validation_steps", "validation_batch_size"):
        if options.get(name) is not None:
            options[name] = check_int(function, name, options[name], 1)
    held_out = None
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
        x, y, weights = _for_model(function, "data", model, data, sample_weight)
        if validation_data is None and share:
            chosen, held_out = split_indices(function, "validation_split", tree.flatten(y)[0], share, seed)
        else:
            chosen = None
        steps, options["shuffle"] = options.pop("steps_per_epoch", None), False
        train = Batches(x, y, size, seed if shuffle else None, chosen, weights, steps)
    if validation_data is None and held_out is None:
        return train, None
    if validation_data is not None and come_in_batches(validation_data):
        _check_batches(function, "validation_data", validation_data, "validation_steps", options)
        return train, validation_data
    if validation_data is not None:
        x, y, weights = _for_model(function, "validation_data", model, validation_data)
    validation = Batches(x, y, options.pop("validation_batch_size", None) or size, None, held_out, weights)
    validation.steps = min(options.pop("validation_steps", None) or validation.steps, validation.steps)
    return train, validation


def _check_batches(function: str, argument: str, data: Any, steps: str, options: Mapping[str, Any]) -> None:
    """Raise for a `tf.data.Dataset` of single images, or without an end."""
    parts = tree.flatten(getattr(data, "element_spec", ()))
    if any(getattr(getattr(part, "shape", None), "rank", None) == 0 for part in parts):
        received, way_out = "a data set of single images", f"Pass `{argument}.batch(32)`."
        raise input_error(function, argument, "batches of images and labels", received, way_out)
    if parts and options.get(steps) is None and int(data.cardinality()) == -1:
        way_out = f"Pass `{steps}` as well."
        raise input_error(function, argument, "batches with an end", "a data set that repeats for ever", way_out)


def _for_model(function: str, argument: str, model: keras.Model, data: Any, sample_weight: Any = None) -> Any:
    """Return images, labels and weights as the model and its losses take them, or raise."""
    several = tuple(len(getattr(model, ends, None) or ()) > 1 for ends in ("inputs", "outputs"))
    x, y, weights = read_arrays(function, argument, data, sample_weight, several)
    answer = call_once(function, model, argument, tree.map_structure(lambda part: part[:2], x))
    return x, check_targets(function, f"{argument}[1]", y, model, answer), weights


def read_arrays(
    function: str,
    argument: str,
    data: Any,
    sample_weight: Any = None,
    several: tuple[bool, ...] = (False, False),
) -> tuple[Any, Any, Any]:
    """Return images, labels and weights or None, each an array, or a list or dictionary of some; or raise.

    `several` says whether the model has more than one input, and output, where it tells; else the lengths do.
    """
    if hasattr(data, "x_train") and argument != "data":
        rule, way_out = "a pair of arrays (images, labels)", "For example `(data.x_test, data.y_test)`."
        raise input_error(function, argument, rule, data, way_out)
    name = f"{argument}[2]" if sample_weight is None else "sample_weight"
    if isinstance(data, tuple | list) and len(data) == 3:
        if sample_weight is not None:
            raise input_error(function, name, "left out where `data` holds weights as well", sample_weight)
        *data, sample_weight = data
    count = None
    if isinstance(data, tuple | list) and len(data) == 2:
        counts = [list(_possible_counts(part, many)) for part, many in zip(data, several, strict=True)]
        count = next((number for number in counts[0] if number in counts[1]), *counts[0][:1])
    if count is not None and any(map(_is_several, data, several, [count] * 2)):
        x, y = (
            _read_each(function, f"{argument}[{place}]", part, many, count)
            for place, (part, many) in enumerate(zip(data, several, strict=True))
        )
    else:
        x, y = check_pair(function, argument, data)
        count = len(x)
    if sample_weight is not None:
        sample_weight = _read_each(function, name, sample_weight, False, count)
    return x, y, sample_weight


def _possible_counts(value: Any, is_several: bool) -> Iterator[int]:
    """Say how many images an array, or a list or dictionary of some, may be about: the likelier number first."""
    parts = list(value.values()) if isinstance(value, Mapping) else value
    inner = [parts[0]] if isinstance(parts, tuple | list) and parts else []
    found: list[Any] = [*inner, parts] if is_several or isinstance(value, Mapping) else [parts, *inner]
    for part in found:
        if hasattr(part, "__len__") and not isinstance(part, str) and getattr(part, "ndim", True):
            yield len(part)


def _is_several(value: Any, is_several: bool, count: int) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, tuple | list) and (is_several or len(value) != count))


def _read_each(function: str, name: str, value: Any, is_several: bool, count: int) -> Any:
    """Return an array, or the list or dictionary of arrays, each with a row for each image; or raise."""
    if _is_several(value, is_several, count):
        if isinstance(value, Mapping):
            return {
                key: _read_each(function, f"{name}[{key!r}]", part, False, count) for key, part in value.items()
            }
        return [_read_each(function, f"{name}[{n}]", part, False, count) for n, part in enumerate(value)]
    rule = f"numbers, with a row for each of the {count} images"
    found = as_numbers(function, name, value, rule)
    if len(found) != count:
        raise input_error(function, name, rule, found)
    return found


def first_batch(data: Any) -> tuple[Any, Any]:
    """Return the inputs of the first batch, and the data, from which it is not gone."""
    if isinstance(data, keras.utils.PyDataset):
        batch = data[0]
    else:
        batch = next(iter(data))
        if iter(data) is data:
            data = _with_first(batch, data)
    return batch[0] if isinstance(batch, tuple | list) else batch, data


def _with_first(batch: Any, others: Iterator[Any]) -> Iterator[Any]:
    yield batch
    yield from others


def describe(data: Any) -> str:
    """Return what identifies the data of a run: their content where it is known, else their form."""
    if hasattr(data, "digest"):
        return str(data.digest())
    try:
        length = len(data)
    except TypeError:
        length = None
    spec = getattr(data, "element_spec", None)
    return f"{'tf.data' if spec is not None else type(data).__name__}, {length} batches, {spec}"


def check_class_weight(function: str, class_weight: Any, answer: Any) -> dict[int, float] | None:
    """Return the weight of each class, 1 for those that are not named, or raise; `answer` is the model's."""
    if class_weight is None:
        return None
    rule = "a dictionary from the numbers of classes to weights of 0 or more"
    if not isinstance(class_weight, Mapping):
        way_out = "`dict(enumerate(weights))` makes one of a list."
        raise input_error(function, "class_weight", rule, class_weight, way_out, TypeError)
    shapes = [tuple(part.shape) for part in tree.flatten(answer) if part is not None]
    if len(shapes) > 1 or (shapes and len(shapes[0]) != 2):
        rule, way_out = "None where there is more than one label for an image", "Pass `sample_weight`."
        raise input_error(function, "class_weight", rule, class_weight, way_out)
    last = max(shapes[0][-1], 2) - 1 if shapes else None
    for key, value in class_weight.items():
        check_int(function, "class_weight", key, 0, last)
        check_number(function, f"class_weight[{key!r}]", value, 0)
    weights = {int(key): float(value) for key, value in class_weight.items()}
    return {number: weights.get(number, 1.0) for number in range((max(weights) if last is None else last) + 1)}
