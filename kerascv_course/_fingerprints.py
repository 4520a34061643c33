"""Fingerprints: are two runs, or a cache and a question, about the same?"""

import dis
import functools
import hashlib
import io
import json
import random
import types
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerascv_course._configurations import clean_config, draws_seed, held_values, is_library, is_library_class
from kerascv_course._models import flat_layers

_ROWS = 256  # of an array at a time: it may lie on disk and be larger than the memory
_BUILTINS: tuple[type, ...] = (
    *(types.BuiltinFunctionType, types.WrapperDescriptorType, types.MethodDescriptorType, np.ufunc),
    *(types.MemberDescriptorType, types.GetSetDescriptorType, types.MethodWrapperType),
)
_MOVING = (np.random.Generator, np.random.RandomState, random.Random, Iterator, io.IOBase)


class Unknowable(Exception):  # noqa: N818  # it is no error of the caller
    """Raised for a value of which nobody can say whether it does the same again."""


def fingerprint(*values: Any, weights: bool = True) -> str:
    """Return a hash of all that decides what values do, the same in every process.

    Arrays and tensors count by content; functions by their code, defaults, closures and the globals that they use,
    wherever they were typed in; objects and classes of the user's own by their code and state; those of libraries
    by name and configuration. Names of layers, which Keras counts up, seeds and the current learning rate do not
    count. Models and layers count with their weights, or without them where `weights` is False.

    What changes by itself, such as a generator, or cannot be taken apart raises `Unknowable`.

    Example:
        >>> first, second = (keras.layers.Dense(3, activation=name) for name in ("relu", "tanh"))
        >>> fingerprint(first) == fingerprint(keras.layers.Dense(3, activation="relu")) != fingerprint(second)
        True
    """
    inner = [layer for value in values if isinstance(value, keras.Layer) for layer in flat_layers(value)]
    walk = _Walk(set() if weights else set(map(id, inner)))
    return text_digest(*map(walk.of, values))


def compile_fingerprint(model: keras.Model) -> str:
    """Return a hash of what a model was compiled with, the learning rate aside where it is a number."""
    walk = _Walk(set(map(id, flat_layers(model))))
    places = {name: str(place) for place, name in enumerate(getattr(model, "output_names", None) or ())}
    loss = model.loss
    if isinstance(loss, Mapping):
        loss = {places.get(name, name): value for name, value in loss.items()}
    holders = [model.optimizer, *(value for value in vars(model).values() if isinstance(value, keras.Metric))]
    own = sorted({part for holder in holders for part in walk.own_parts(holder)})
    return text_digest(walk.config(model.get_compile_config, places), walk.of([loss, model.optimizer]), *own)


def array_digest(*arrays: np.ndarray) -> str:
    """Return a hash of shape, dtype and content of arrays, read in parts.

    Example:
        >>> array_digest(np.zeros(3)) == array_digest(np.zeros((3, 1)))
        False
    """
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype};".encode())
        for start in range(0, len(array) if array.ndim else 0, _ROWS):
            digest.update(np.ascontiguousarray(array[start : start + _ROWS]).view("uint8").data)
        if not array.ndim:
            digest.update(array.tobytes())
    return digest.hexdigest()[:32]


class _Walk:
    """Takes values apart. `bare` holds the ids of the layers whose weights do not count."""

    def __init__(self, bare: set[int]) -> None:
        self.bare = bare
        self.known: dict[int, tuple[Any, str]] = {}  # with the value, so that no other takes its id
        self.inside: list[types.ModuleType] = []

    def of(self, value: Any) -> str:
        """Return the hash of a value."""
        if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic):
            return text_digest(type(value).__name__, repr(value))
        if id(value) not in self.known:
            self.known[id(value)] = (value, "a circle")
            self.known[id(value)] = (value, self._of(value))
        return self.known[id(value)][1]

    def _of(self, value: Any) -> str:
        if isinstance(value, dict):
            pairs = (text_digest(self.of(key), self.of(part)) for key, part in value.items())
            return text_digest("dict", *sorted(pairs))
        if isinstance(value, list | tuple):
            return text_digest("list", *map(self.of, value))
        if isinstance(value, set | frozenset):
            return text_digest("set", *sorted(map(self.of, value)))
        if isinstance(value, keras.Variable):
            return text_digest("variable", value.shape, value.dtype)
        if keras.ops.is_tensor(value):
            value = keras.ops.convert_to_numpy(value)
        if isinstance(value, np.ndarray):
            return self.of(value.tolist()) if value.dtype.hasobject else array_digest(value)
        if isinstance(value, types.CodeType):
            return self._code(value)
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, types.MethodType):
            return text_digest("method", self.of(value.__func__), self.of(value.__self__))
        if isinstance(value, functools.partial):
            return text_digest("partial", *map(self.of, (value.func, value.args, value.keywords)))
        if isinstance(value, property):
            return text_digest("property", self.of([value.fget, value.fset]))
        if isinstance(value, types.ModuleType):
            return self._module(value, [])
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, _BUILTINS) or value is Ellipsis:
            owner = getattr(value, "__self__", None)  # of `table.get` the table; of `len` its module
            is_free = owner is None or isinstance(owner, types.ModuleType | type)
            is_bound = not (is_free or type(owner).__name__ == "PyCapsule")
            names = getattr(value, "__module__", ""), getattr(value, "__qualname__", repr(value))
            return text_digest(*names, *([self.of(owner)] if is_bound else []))
        if isinstance(value, keras.Layer):
            return text_digest(*map(self._layer, flat_layers(value)))
        # What `tf.function`, `jax.jit`, `staticmethod` and decorators make of a function.
        inner = getattr(value, "python_function", None) or getattr(value, "__wrapped__", None)
        if inner is not None:
            return text_digest("wrapped", self.of(inner))
        if hasattr(value, "get_config"):
            config = self.config(value.get_config)
            held = self.of(held_values(value, bool(config)))
            return text_digest(self.of(type(value)), config, held, *self.own_parts(value))
        try:
            parts = None if isinstance(value, _MOVING) else value.__reduce_ex__(2)
        except Exception:  # whatever it is that cannot be taken apart
            parts = None
        if parts is None:
            raise Unknowable(f"an object of type {type(value).__qualname__!r}")
        if isinstance(parts, str):
            return text_digest("global", type(value).__module__, parts)
        return text_digest(*(self.of(list(part) if isinstance(part, Iterator) else part) for part in parts))

    def _code(self, code: types.CodeType) -> str:
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        return text_digest("code", code.co_code.hex(), names, counts, *map(self.of, code.co_consts))

    def _function(self, function: types.FunctionType) -> str:
        cells = []
        for cell in function.__closure__ or ():
            try:
                cells.append(cell.cell_contents)
            except ValueError:  # it is filled later
                cells.append(None)
        if is_library(function.__code__.co_filename):
            inner = [cell for cell in cells if isinstance(cell, types.FunctionType | functools.partial)]
            return text_digest(function.__module__, function.__qualname__, *map(self.of, inner))
        names = _names(function.__code__)
        used = _globals(function.__code__, function.__globals__)
        scope = [(name, self._used(function.__globals__[name], names)) for name in used]
        parts = (function.__code__, function.__defaults__, function.__kwdefaults__, cells)
        return text_digest("function", scope, *map(self.of, parts))

    def _used(self, value: Any, names: list[str]) -> str:
        return self._module(value, names) if isinstance(value, types.ModuleType) else self.of(value)

    def _module(self, module: types.ModuleType, names: list[str]) -> str:
        """Return the hash of a module: the name of a library's, the text of one's own and what is used of it."""
        file = getattr(module, "__file__", None)
        if not file or is_library(file) or module in self.inside:
            return text_digest(module.__name__)
        self.inside.append(module)
        parts = [self._used(vars(module)[name], names) for name in names if name in vars(module)]
        self.inside.pop()
        return text_digest(module.__name__, file_digest(Path(file)), *parts)

    def _class(self, kind: type) -> str:
        if is_library_class(kind):
            return text_digest("class", kind.__module__, kind.__qualname__)
        members = {n: v for n, v in vars(kind).items() if callable(v) or not n.startswith(("__", "_abc_"))}
        return text_digest("own class", self.of(list(kind.__bases__)), self.of(members))

    def _layer(self, layer: keras.Layer) -> str:
        shapes = [(tuple(weight.shape), str(weight.dtype)) for weight in layer.weights]
        content = [] if id(layer) in self.bare else [array_digest(*layer.get_weights())]
        config, kind = self.config(layer.get_config), type(layer)
        held = self.of(held_values(layer, bool(config)))
        is_library_model = isinstance(layer, keras.Model) and is_library_class(kind)
        if not config and is_library_model and kind is not keras.Sequential:
            raise Unknowable(f"the model {layer.name!r}, whose configuration Keras cannot write,")
        return text_digest(self.of(kind), config, held, shapes, *content, *self.own_parts(layer))

    def config(self, get_config: Any, places: Mapping[str, str] | None = None) -> str:
        """Return the hash of a configuration; nothing where Keras cannot write one."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a lambda in it, for example
                config = get_config()
            drawn = draws_seed(type(get_config.__self__))
        except Exception:  # of a layer whose arguments Keras cannot write, and `get_config` is the user's own code
            return ""
        return text_digest(json.dumps(clean_config(config, places or {}, drawn), sort_keys=True, default=self.of))

    def own_parts(self, holder: Any) -> list[str]:
        """Return the hashes of all functions and objects of the user's own that a Keras object holds."""
        found: set[str] = set()
        seen: set[int] = set()

        def collect(value: Any) -> None:
            if id(value) in seen or isinstance(value, keras.Layer | keras.Variable | np.ndarray):
                return
            seen.add(id(value))
            if isinstance(value, dict | list | tuple | set):
                for part in value.values() if isinstance(value, dict) else value:
                    collect(part)
            elif isinstance(value, types.FunctionType):
                if not is_library(value.__code__.co_filename):
                    found.add(self.of(value))
            elif isinstance(value, functools.partial):
                found.add(self.of(value))
            elif isinstance(value, types.MethodType):
                collect([value.__func__, value.__self__])
            elif not isinstance(value, type) and not is_library_class(type(value)):
                found.add(self.of(value))
            elif hasattr(value, "get_config") and hasattr(value, "__dict__") and not isinstance(value, type):
                collect(vars(value))

        collect(vars(holder))
        return sorted(found)


def text_digest(*parts: Any) -> str:
    """Return a hash of the texts of values."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]


def file_digest(path: Path) -> str:
    """Return a hash of the content of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def _globals(code: types.CodeType, scope: Mapping[str, Any]) -> list[str]:
    """Return the names of the globals that code uses, that of functions inside it included."""
    steps = (step for part in _codes(code) for step in dis.get_instructions(part))
    return sorted({step.argval for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")} & set(scope))


def _names(code: types.CodeType) -> list[str]:
    """Return the names that code uses, also as attributes, those of functions inside it included."""
    return sorted({name for part in _codes(code) for name in part.co_names})


def _codes(code: types.CodeType) -> list[types.CodeType]:
    """Return code and that of the functions inside it."""
    inner = (part for part in code.co_consts if isinstance(part, types.CodeType))
    return [code, *(found for part in inner for found in _codes(part))]


def run_fingerprints(function: str, model: keras.Model, **others: Any) -> dict[str, str]:
    """Return what decides how a compiled model is trained, and other values; {}, with a warning, if unknowable."""
    try:
        found = {"model": fingerprint(model, weights=False), "compile arguments": compile_fingerprint(model)}
        return found | {name: fingerprint(value) for name, value in others.items()}
    except Unknowable as what:
        consequence = "What `folder` holds cannot be gone on with: the training starts anew."
        warn_unknowable(function, what, consequence, stacklevel=5)
        return {}


def warn_unknowable(function: str, what: Unknowable, consequence: str, stacklevel: int = 4) -> None:
    """Warn that a value cannot be compared from one call to the next."""
    text = f"`{function}`: {what} cannot be compared from one call to the next. {consequence}"
    warnings.warn(text, stacklevel=stacklevel)
