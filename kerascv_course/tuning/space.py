"""What a search chooses from: named lists of values, and the draws from them."""

import inspect
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras
import numpy as np

from kerascv_course._validation import check_number, input_error

Values = dict[str, Any]
Space = Mapping[str, Sequence[Any]]

# Lorente's search. An entry "momentum" counts only for optimizers that have one.
COURSE_SPACE: Space = MappingProxyType(
    {
        "optimizer": ("SGD", "RMSprop", "Adam", "Adadelta", "Adagrad"),
        "learning_rate": (0.001, 0.01, 0.1, 0.2),
        "momentum": (0.6, 0.8, 0.9),
        "activation": ("elu", "relu", "tanh"),
    }
)
_FUNCTION = "random_search"


def make_optimizer(values: Mapping[str, Any]) -> keras.optimizers.Optimizer:
    """Return the Keras optimizer that the values of a trial describe.

    Args:
        values: With "optimizer" (the name of its class in Keras), "learning_rate", and "momentum" where the
            optimizer has one and the space names it; other entries are left alone.

    Returns:
        The optimizer.

    Raises:
        ValueError: If "optimizer" or "learning_rate" is missing, or names no optimizer of Keras.

    Example:
        >>> optimizer = make_optimizer({"optimizer": "SGD", "learning_rate": 0.001, "momentum": 0.9})
        >>> optimizer.momentum
        0.9
    """
    if "optimizer" not in values or "learning_rate" not in values:
        rule = "a dictionary with 'optimizer' and 'learning_rate'"
        raise input_error("make_optimizer", "values", rule, dict(values))
    kind = _optimizer_class("make_optimizer", "values['optimizer']", values["optimizer"])
    momentum = {"momentum": values["momentum"]} if "momentum" in values and _has_momentum(kind) else {}
    return kind(learning_rate=values["learning_rate"], **momentum)


def check_space(space: Any) -> dict[str, tuple[Any, ...]]:
    """Return the space as names with tuples of values, or raise."""
    rule = "a dictionary from names to lists of values"
    if not isinstance(space, Mapping):
        raise input_error(_FUNCTION, "space", rule, space, error=TypeError)
    if not space:
        raise input_error(_FUNCTION, "space", "not empty: one or more names with their values", dict(space))
    checked = {}
    for name, values in space.items():
        where = f"space[{name!r}]"
        if not isinstance(name, str) or not isinstance(values, list | tuple):
            raise input_error(_FUNCTION, "space", rule, {name: values}, error=TypeError)
        if not all(isinstance(value, str | int | float) for value in values):
            rule = "a list of texts, numbers and truth values"
            raise input_error(_FUNCTION, where, rule, values, error=TypeError)
        if not values or len(set(values)) < len(values):
            raise input_error(_FUNCTION, where, "one or more distinct values", values)
        checked[name] = tuple(values)
    for name in checked.get("optimizer", ()):
        _optimizer_class(_FUNCTION, "space['optimizer']", name)
    for name in ("learning_rate", "momentum"):
        for value in checked.get(name, ()):
            number = check_number(_FUNCTION, f"space[{name!r}]", value, 0, 1)
            if (name == "learning_rate" and number == 0) or (name == "momentum" and number == 1):
                rule = "above 0 and at most 1" if name == "learning_rate" else "from 0 to below 1"
                raise input_error(_FUNCTION, f"space[{name!r}]", rule, value)
    return checked


def count(space: Mapping[str, tuple[Any, ...]]) -> int:
    """Return how many different trials a space has."""
    others = math.prod(len(values) for name, values in space.items() if name not in ("optimizer", "momentum"))
    momenta = len(space.get("momentum", (None,)))
    if "optimizer" not in space:
        return others * momenta
    return others * sum(momenta if _with_momentum(space, name) else 1 for name in space["optimizer"])


def draw(space: Mapping[str, tuple[Any, ...]], trials: int, seed: int) -> list[Values]:
    """Return the values of each trial: drawn at random, none twice; more trials begin with the same ones.

    Trial number n depends on the space, the seed and n alone, and so neither on what has been run before nor on
    which worker asks first.
    """
    drawn: list[Values] = []
    for trial in range(trials):
        generator = np.random.default_rng([seed, trial])
        while True:
            values = {name: choices[generator.integers(len(choices))] for name, choices in space.items()}
            if "momentum" in values and "optimizer" in values and not _with_momentum(space, values["optimizer"]):
                del values["momentum"]
            if values not in drawn:
                break
        drawn.append(values)
    return drawn


def as_text(values: Mapping[str, Any]) -> str:
    """Return the values of a trial in one line.

    Example:
        >>> as_text({"optimizer": "SGD", "learning_rate": 0.001})
        'optimizer SGD, learning_rate 0.001'
    """
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _with_momentum(space: Mapping[str, tuple[Any, ...]], optimizer: str) -> bool:
    return "momentum" in space and _has_momentum(_optimizer_class(_FUNCTION, "space['optimizer']", optimizer))


def _has_momentum(kind: type[keras.optimizers.Optimizer]) -> bool:
    return "momentum" in inspect.signature(kind).parameters


def _optimizer_class(function: str, argument: str, name: Any) -> type[keras.optimizers.Optimizer]:
    kind = getattr(keras.optimizers, name, None) if isinstance(name, str) else None
    if not isinstance(kind, type) or not issubclass(kind, keras.optimizers.Optimizer):
        raise input_error(function, argument, "an optimizer class of Keras, such as 'SGD' or 'Adam'", name)
    return kind
