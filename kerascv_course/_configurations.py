"""What the configuration of a Keras object says, and what of an object of the user's own it does not say."""

import functools
import inspect
import os
import site
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import tree

_HEAP_TYPE = 1 << 9  # `Py_TPFLAGS_HEAPTYPE`


@functools.cache
def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += [*site.getsitepackages(), site.getusersitepackages(), str(Path(__file__).parent)]
    return ("<frozen ", *{os.path.join(folder, "") for folder in folders})


def is_library(file: str | None) -> bool:
    """Tell whether code comes with Python or an installed package, or is the user's own."""
    return file is None or file.startswith(_library_folders())


def is_library_class(kind: type) -> bool:
    """Tell whether a class comes with Python or an installed package, or is the user's own."""
    module = sys.modules.get(kind.__module__)
    if module is None or kind.__module__ == "__main__" or not is_library(getattr(module, "__file__", None)):
        return False
    # Code that was typed in may claim any module, but makes types of another kind than C does.
    return not kind.__flags__ & _HEAP_TYPE or hasattr(module, kind.__qualname__.split(".")[0])


def clean_config(node: Any, places: Mapping[str, str], drawn: bool) -> Any:
    """Return a configuration without what a second building of the same changes.

    `places` says in place of the names of layers where these stand; `drawn` whether a seed may have been drawn by
    Keras. Functions count by their code, elsewhere.
    """
    if isinstance(node, list | tuple):
        return [clean_config(part, places, drawn) for part in node]
    if not isinstance(node, dict):
        return node
    kind = str(node.get("class_name"))
    if kind in ("__lambda__", "function"):
        return [kind, node["config"]] if isinstance(node.get("config"), str) else [kind]
    if list(node) == ["value"] and isinstance(node["value"], list | tuple):  # a lambda as Keras marshals it
        return "lambda"
    if kind.endswith("Policy"):  # of the numbers of a layer: its name is what it is
        return node
    drawn = str(node["module"]).startswith("keras") if "module" in node else drawn
    if isinstance(node.get("layers"), list):
        names = [layer.get("name") or layer["config"].get("name") for layer in node["layers"]]
        places = {name: f"#{place}" for place, name in enumerate(names)}
    found = {}
    for key, value in node.items():
        if key in ("keras_history", "input_layers", "output_layers"):
            found[key] = tree.map_structure(lambda part: places.get(part, part), value)
        elif (key == "learning_rate" and isinstance(value, float | int)) or (key == "seed" and drawn):
            continue
        elif key not in ("name", "shared_object_id", "build_config", "registered_name"):
            found[places.get(str(key), str(key))] = clean_config(value, places, drawn)
    return found


@functools.cache
def _bare_names() -> frozenset[str]:
    """Return the names of what every compiled Keras model holds; on JAX and PyTorch it is made in the same way."""
    model = keras.Model()
    model.compile()
    return frozenset([*vars(model), "history", "stop_training"])


def draws_seed(kind: type) -> bool:
    """Tell whether Keras may have drawn an object's seed: its class, or the library's behind it, takes it."""
    behind = next(base for base in kind.__mro__ if is_library_class(base))
    return behind is kind or "seed" in inspect.signature(behind.__init__).parameters  # type: ignore[misc]


def held_values(holder: Any, has_config: bool) -> dict[str, Any]:
    """Return the plain values that an object of Keras carries and its configuration may not say.

    Of layers, metrics and optimizers Keras keeps private ones of its own, which change while training.
    """
    is_own = not is_library_class(type(holder))
    if has_config and not is_own:
        return {}
    is_public = isinstance(holder, keras.Layer) and (has_config or not is_own)
    is_public |= isinstance(holder, keras.Metric | keras.optimizers.Optimizer)
    left_out = _bare_names() | ({"seed"} if draws_seed(type(holder)) else set())
    names = [name for name in vars(holder) if name not in left_out and not (is_public and name.startswith("_"))]
    return {name: vars(holder)[name] for name in names if _is_plain(vars(holder)[name])}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple | dict):  # an empty one is filled with variables later
        return bool(value) and all(map(_is_plain, value.values() if isinstance(value, dict) else value))
    return value is None or isinstance(value, bool | int | float | str | np.ndarray | np.generic)
