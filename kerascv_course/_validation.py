"""The one wording of an input error, and the one reading of what is passed: numbers, images, labels, features.

A check takes the names of the public function and of its argument, and returns the value as one type, or raises.
Arrays may come as NumPy arrays, lists, tensors of any backend, or columns of pandas; in half precision too.
"""

import difflib
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

_NUMBER = int | float | np.integer | np.floating
_ROUNDING = 1e-5  # by which a softmax in float16 may leave 0..1


def input_error(
    function: str, argument: str, rule: str, received: Any, way_out: str = "", error: type[Exception] = ValueError
) -> Exception:
    """Return the exception that says which argument broke which rule, and what to do.

    Args:
        function: Name of the public function that was called.
        argument: Name of the argument as the caller writes it.
        rule: What the argument must be; completes the sentence "must be ...".
        received: The value that was passed.
        way_out: One sentence on how to put it right, where the rule alone does not say it.
        error: The exception class: `ValueError`, or `TypeError` where the type is wrong.

    Example:
        >>> print(input_error("build_resnet", "pooling", "'avg', 'max' or None", "mean"))
        `pooling` of `build_resnet` must be 'avg', 'max' or None. Received: pooling='mean'.
    """
    message = f"`{argument}` of `{function}` must be {rule}. Received: {argument}={describe(received)}."
    return error(f"{message} {way_out}".rstrip())


def describe(value: Any) -> str:
    """Return a value in short for an error: arrays by shape and dtype, long strings cut."""
    if hasattr(value, "shape") and hasattr(value, "dtype") and getattr(value, "ndim", 0) > 0:
        return f"array of shape {tuple(value.shape)} and dtype {value.dtype}"
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


def check_choice(function: str, argument: str, value: Any, choices: Collection[Any]) -> Any:
    """Return the value, or raise `ValueError` unless it is one of the choices."""
    if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in choices):
        listed = [repr(choice) for choice in choices]
        rule = " or ".join(filter(None, [", ".join(listed[:-1]), listed[-1]]))
        names = {choice.lower(): choice for choice in choices if isinstance(choice, str)}
        close = difflib.get_close_matches(str(value).lower(), names, n=1, cutoff=0.75)
        advice = f"Did you mean {names[close[0]]!r}?" if close and len(listed) > 1 else ""
        raise input_error(function, argument, rule, value, advice)
    return value


def check_int(
    function: str, argument: str, value: Any, minimum: int | None = None, maximum: int | None = None
) -> int:
    """Return the value as an `int`, or raise unless it is an integer within the bounds."""
    return int(_within(function, argument, value, "an integer", int | np.integer, minimum, maximum))


def check_number(
    function: str, argument: str, value: Any, minimum: float | None = None, maximum: float | None = None
) -> float:
    """Return the value as a `float`, or raise unless it is a finite number within the bounds."""
    return float(_within(function, argument, value, "a number", _NUMBER, minimum, maximum))


def _within(function: str, argument: str, value: Any, what: str, kind: Any, low: Any, high: Any) -> Any:
    is_kind = isinstance(value, kind) and not isinstance(value, bool)
    is_within = is_kind and (low is None or value >= low) and (high is None or value <= high)
    if not is_within or not abs(value) < np.inf:
        bounds = [["", f" of at most {high}"], [f" of at least {low}", f" from {low} to {high}"]]
        rule = f"{what}{bounds[low is not None][high is not None]}"
        raise input_error(function, argument, rule, value, error=ValueError if is_kind else TypeError)
    return value


def check_above(function: str, argument: str, value: Any, above: float = 0, below: float = np.inf) -> float:
    """Return the value as a `float`, or raise unless it is a number between the two, without being one of them."""
    is_number = isinstance(value, _NUMBER) and not isinstance(value, bool)
    if not is_number or not above < value < below:
        rule = f"a number above {above:g}" + (f" and below {below:g}" if below < np.inf else "")
        raise input_error(function, argument, rule, value, error=ValueError if is_number else TypeError)
    return float(value)


def check_bool(function: str, argument: str, value: Any) -> bool:
    """Return the value as a `bool`, or raise unless it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise input_error(function, argument, "True or False", value, error=TypeError)
    return bool(value)


def check_seed(function: str, argument: str, value: Any) -> int | None:
    """Return a seed of 0 or more as an `int`, or None; raise for anything else."""
    return None if value is None else check_int(function, argument, value, 0)


def check_size(function: str, argument: str, value: Any, maximum: int | None = None) -> tuple[int, int]:
    """Return height and width in pixels, 1 or more; one integer stands for both."""
    sides = value if isinstance(value, tuple | list) else [value] * 2
    if len(sides) != 2:
        raise input_error(function, argument, "an integer, or (height, width), in pixels", value)
    height, width = (check_int(function, argument, side, 1, maximum) for side in sides)
    return height, width


def check_list(function: str, argument: str, value: Any, parts: str, kind: type = object) -> list[Any]:
    """Return a list of one or more parts of that kind, or raise; `parts` names them."""
    is_list = isinstance(value, list | tuple) and all(isinstance(part, kind) for part in value)
    if not is_list or not value:
        way_out = "" if isinstance(value, list | tuple) else "Put a single one into [ ]."
        error = ValueError if is_list else TypeError
        raise input_error(function, argument, f"a list of one or more {parts}", value, way_out, error)
    return list(value)


def check_distinct(function: str, argument: str, value: Any, maximum: int, meaning: str = "") -> list[int]:
    """Return a list of one or more distinct integers from 0 to `maximum`, or raise; `meaning` is what they are."""
    parts = f"distinct integers from 0 to {maximum}{meaning}"
    value = check_list(function, argument, list(value) if isinstance(value, range) else value, parts)
    numbers = [check_int(function, argument, number, 0, maximum) for number in value]
    if len(set(numbers)) < len(numbers):
        raise input_error(function, argument, f"a list of one or more {parts}", value)
    return numbers


def as_array(function: str, argument: str, value: Any, rule: str) -> np.ndarray:
    """Return numbers, bools or strings as a NumPy array, not copied where they are one; raise for anything else.

    `value` is an array, list, tensor, or column or index of pandas; `rule` is what it must be, for the error.
    `bfloat16`, which NumPy cannot compute with, becomes `float32`. Another byte order (MNIST's own files, FITS),
    which JAX and PyTorch refuse, becomes that of this machine.
    """
    way_out, found = "", None
    try:
        found = np.asarray(_readable(value))
        if found.dtype == object and found.ndim:  # as pandas holds strings, and integers that may be missing
            is_text = all(isinstance(item, str) for item in found.flat)
            plain = found.astype(str) if is_text else np.array(found.tolist())
            found = plain if is_text or plain.dtype.kind != "U" else found
        if found.dtype.kind == "S":  # as TensorFlow holds strings
            found = np.char.decode(found, "utf-8")
        if found.dtype == object and found.ndim:
            way_out = "It holds what is neither a number nor a string (None, for example), or both kinds."
    except (ValueError, TypeError, RuntimeError):
        found, way_out = None, "All its parts must have the same shape." * isinstance(value, list | tuple)
    if found is not None and found.dtype.name.startswith(("bfloat16", "float8", "String")):
        found = found.astype(str if found.dtype.kind == "T" else "float32")
    if found is None or found.dtype.kind not in "biufU" or not found.ndim:
        received = value if hasattr(value, "shape") or not way_out else f"a {type(value).__name__}"
        raise input_error(function, argument, rule, received, way_out, TypeError)
    return found.astype(found.dtype.newbyteorder("="), copy=False)


def _readable(value: Any) -> Any:
    """Return what NumPy reads as it is meant, for tensors of PyTorch, masked arrays and sparse matrices."""
    if isinstance(value, list | tuple) and value and hasattr(value[0], "detach"):
        return [_readable(part) for part in value]
    if hasattr(value, "detach"):  # NumPy reads no tensor with a gradient or on a GPU
        value = value.detach().cpu()
        return value.float() if "bfloat16" in str(value.dtype) else value
    if np.ma.is_masked(value):
        return value.astype("float64").filled(np.nan)
    return value.toarray() if hasattr(value, "nnz") else value


def as_numbers(function: str, argument: str, value: Any, rule: str, *, largest: float = np.inf) -> np.ndarray:
    """Return what `as_array` does where it holds finite numbers, at most `largest` in size; bools as 0 and 1."""
    found = as_array(function, argument, value, rule)
    if found.dtype.kind == "U":
        raise input_error(function, argument, rule, value, "Strings are no numbers.", TypeError)
    if found.dtype.kind == "b":
        found = found.astype("uint8")
    if found.dtype.kind == "f" and found.size:
        low, high = float(found.min()), float(found.max())  # NaN where one of the values is NaN
        if not (np.isfinite(low + high) and -largest <= low and high <= largest):
            bound = f" of at most {largest:g} in size" if largest < np.inf else ", without NaN and infinite ones"
            raise input_error(function, argument, f"finite numbers{bound}", f"values from {low:g} to {high:g}")
    return found


def check_images(
    function: str, argument: str, images: Any, *, shape: Sequence[int | None] | None = None
) -> np.ndarray:
    """Return images as an array (images, height, width, channels), not copied where they are one, or raise.

    `shape` is what a model takes, without the axis of the images and with None for open sides; what goes into it
    need then not have three axes. What is not finite is refused.
    """
    rule = "a batch of images (images, height, width, channels)"
    found = as_numbers(function, argument, images, rule)
    wanted = (None, None, None) if shape is None else tuple(shape)
    if found.size and found.ndim == len(wanted) + 1:
        if all(side in (None, given) for side, given in zip(wanted, found.shape[1:], strict=True)):
            return found
    elif found.ndim == 3 and len(wanted) == 3:
        is_one = found.shape[2] in (1, 3, 4)
        way_out = "A single image becomes one with `[None]`." if is_one else "Give grey images `[..., None]`."
        raise input_error(function, argument, rule, found, way_out)
    rule = f"{rule}, not empty" if shape is None else f"one or more images of the model's input shape {wanted}"
    raise input_error(function, argument, rule, found)


def check_pixels(function: str, argument: str, images: Any) -> np.ndarray:
    """Return images as `uint8` (images, height, width, channels), not copied where they are that, or raise.

    Integers from 0 to 255 become it, and whole floats of which one is above 1: others may have been scaled.
    """
    found = check_images(function, argument, images)
    if found.dtype == np.uint8:
        return found
    low, high = float(found.min()), float(found.max())
    if low < 0 or high > 255 or (found.dtype.kind == "f" and (high <= 1 or (found % 1).any())):
        rule, received = "images of whole numbers from 0 to 255", f"{found.dtype} from {low:g} to {high:g}"
        way_out = f"Pass `(255 * {argument}).round().astype('uint8')`." if low >= 0 and high <= 1 else ""
        raise input_error(function, argument, rule, received, way_out)
    return found.astype("uint8")


def check_labels(
    function: str,
    argument: str,
    labels: Any,
    *,
    count: int | None = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    strings: bool = False,
) -> np.ndarray:
    """Return one label for each image as `int64` (images,), or raise.

    Labels are integers, whole floats or bools, (images,) or (images, 1), or one-hot rows; with `num_classes`
    from 0 to one less. Strings stay as they are with `strings`, or become their places in `class_names`.
    """
    rule = "one label for each image" if count is None else f"one label for each of the {count} images"
    found = as_array(function, argument, labels, rule)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    elif is_one_hot(found) and num_classes in (None, found.shape[1]):
        found = found.argmax(axis=1)
    if found.ndim != 1 or not found.size or count not in (None, len(found)):
        way_out = "Labels have the shape (images,), (images, 1), or are one-hot."
        raise input_error(function, argument, rule, found, way_out)
    rule = "labels that are integers from 0"
    if found.dtype.kind == "U":
        if strings:
            return found
        places = {name: place for place, name in enumerate(class_names or ())}
        unknown = [name for name in found.tolist() if name not in places]
        if unknown:
            rule += " or names of `class_names`" if places else ", the numbers of classes"
            way_out = f"`np.unique({argument}, return_inverse=True)[1]` numbers them."
            if all(name.isdecimal() for name in unknown):
                way_out = f"`np.asarray({argument}).astype(int)` reads the numbers."
            raise input_error(function, argument, rule, f"strings as {unknown[0]!r}", way_out, TypeError)
        return np.array([places[name] for name in found.tolist()], "int64")
    if found.dtype.kind == "f" and not (np.isfinite(found).all() and (found % 1 == 0).all()):
        raise input_error(function, argument, f"{rule}, the numbers of classes", found, error=TypeError)
    if num_classes is not None and (found.min() < 0 or found.max() >= num_classes):
        rule = f"labels from 0 to {num_classes - 1}, for {num_classes} classes"
        from_one = found.min() == 1 and found.max() == num_classes
        way_out = f"Classes are counted from 0: pass `{argument} - 1`." if from_one else ""
        raise input_error(function, argument, rule, f"labels from {found.min()} to {found.max()}", way_out)
    return found.astype("int64", copy=False)


def is_one_hot(labels: np.ndarray) -> bool:
    """Tell whether an array has a row for each image, with a single 1 in it and 0 elsewhere."""
    is_rows = labels.ndim == 2 and labels.dtype.kind in "biuf" and labels.shape[1] > 1 and len(labels) > 0
    return is_rows and bool(((labels == 0) | (labels == 1)).all() and ((labels == 1).sum(axis=1) == 1).all())


def check_pair(
    function: str, argument: str, data: Any, *, num_classes: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets of a pair, or the training part of an `ImageDataset`, as arrays; or raise.

    The labels keep their form: class numbers, one-hot rows, several labels, targets of a regression. With
    `num_classes`, of a model whose loss takes class numbers, they are checked as such, and `int64` (images,).

    Example:
        >>> x, y = check_pair("fit", "data", ([[1.0], [2.0]], [True, False]))
        >>> x.shape, y
        ((2, 1), array([1, 0], dtype=uint8))
    """
    if hasattr(data, "x_train") and hasattr(data, "y_train"):
        data = data.x_train, data.y_train
    if not isinstance(data, tuple | list) or len(data) != 2:
        rule = "a pair of arrays (images, labels) or an ImageDataset"
        raise input_error(function, argument, rule, type(data).__name__, error=TypeError)
    if all(isinstance(part, tuple | list) and len(part) == 2 and hasattr(part[0], "shape") for part in data):
        rule, way_out = "one pair (images, labels)", "For the training part of two pairs pass the first."
        raise input_error(function, argument, rule, "a pair of pairs", way_out)
    x = as_numbers(function, argument, data[0], "a pair (images, labels) whose images are numbers")
    y = as_array(function, argument, data[1], "a pair (images, labels) with a label for each image")
    if x.ndim < 2 or len(x) != len(y) or not x.size:
        rule = "as many images as labels, and at least one"
        raise input_error(function, argument, rule, f"({describe(x)}, {describe(y)})")
    if num_classes is not None or y.dtype.kind == "U":
        return x, check_labels(function, f"{argument}[1]", y, count=len(x), num_classes=num_classes)
    return x, as_numbers(function, f"{argument}[1]", y, "numbers")


def check_probabilities(function: str, argument: str, probabilities: Any) -> np.ndarray:
    """Return what a classifier answered as `float64` (images, classes), or (images, 1) for one unit; or raise."""
    rule = "an array (images, classes) or (images,), with at least one image"
    found = as_array(function, argument, probabilities, rule)
    if found.dtype.kind in "bU":
        raise input_error(function, argument, "an array of numbers", found, error=TypeError)
    if found.ndim not in (1, 2) or not found.size:
        raise input_error(function, argument, rule, found)
    low, high = float(found.min()), float(found.max())  # NaN where one of the values is NaN
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
        way_out = "Pass what comes after softmax or sigmoid: `keras.ops.softmax(logits)`."
        raise input_error(function, argument, "finite, from 0 to 1", f"values from {low:g} to {high:g}", way_out)
    return found.astype("float64").reshape(len(found), -1)


def check_features(
    function: str, argument: str, features: Any, *, width: int | None = None, largest: float = 1e15
) -> np.ndarray:
    """Return features as contiguous `float32` (images, features), not copied where they are that, or raise.

    They are finite and at most `largest` in size: sums of squares of 1e15 fit into `float32`. `width` is how many
    there must be of each image.
    """
    rule = f"an array (images, {'features' if width is None else width}), not empty"
    found = as_numbers(function, argument, features, rule, largest=largest)
    if found.ndim != 2 or not found.size or width not in (None, found.shape[1]):
        ways_out = {1: "Give a single one an axis with `[None]`.", 2: ""}
        flatten = "Flatten maps and images with `.reshape(len(features), -1)`."
        raise input_error(function, argument, rule, found, ways_out.get(found.ndim, flatten))
    return np.ascontiguousarray(found, dtype="float32")


def check_class_names(function: str, class_names: Any, count: int) -> list[str]:
    """Return a name for each class, by default "class 0" and so on, or raise."""
    if class_names is None:
        return [f"class {index}" for index in range(count)]
    rule = f"a list of {count} strings, one for each class"
    names = as_array(function, "class_names", class_names, rule)
    if names.dtype.kind != "U" or names.shape != (count,):
        error = ValueError if names.dtype.kind == "U" else TypeError
        raise input_error(function, "class_names", rule, class_names, error=error)
    return [str(name) for name in names]
