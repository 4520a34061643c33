"""Short fingerprints of configurations and arrays: are two runs, or a cache and a question, about the same?"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import numpy as np

_ROWS = 256  # of an array at a time: it may lie on disk and be larger than the memory


def config_digest(config: Any) -> str:
    """Return a hash of a Keras configuration that ignores names: Keras counts them up with each model built.

    Example:
        >>> first, second = {"name": "dense", "units": 3}, {"name": "dense_1", "units": 3}
        >>> config_digest(first) == config_digest(second) != config_digest({"name": "dense", "units": 4})
        True
    """
    names: dict[str, str] = {}

    def collect(node: Any) -> None:
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if key == "name" and isinstance(value, str):
                names.setdefault(value, f"#{len(names)}")
            elif isinstance(value, dict | list | tuple):
                collect(value)

    def rename(node: Any) -> Any:
        if isinstance(node, dict):
            return {str(key): rename(value) for key, value in node.items() if key != "shared_object_id"}
        if isinstance(node, list | tuple):
            return [rename(value) for value in node]
        return names.get(node, node) if isinstance(node, str) else node

    collect(config if isinstance(config, dict | list | tuple) else [config])
    text = json.dumps(rename(config), sort_keys=True, default=lambda value: type(value).__name__)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def array_digest(arrays: Iterable[np.ndarray]) -> str:
    """Return a hash of shape, dtype and content of arrays, read in parts.

    Example:
        >>> array_digest([np.zeros(3)]) == array_digest([np.zeros((3, 1))])
        False
    """
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype};".encode())
        for start in range(0, len(array) if array.ndim else 0, _ROWS):
            digest.update(np.ascontiguousarray(array[start : start + _ROWS]).data)
        if not array.ndim:
            digest.update(array.tobytes())
    return digest.hexdigest()[:32]
