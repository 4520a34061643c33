"""The Keras companion to university computer-vision courses.

Importing this package loads neither Keras nor TensorFlow nor matplotlib: each public name is fetched from its
module when it is first used.
"""

import importlib
import importlib.util
import os
from typing import Any

__version__ = "0.1.0"

# Colab's TPU runtime has no TensorFlow, without which Keras cannot be imported unless another backend is set.
if importlib.util.find_spec("tensorflow") is None and importlib.util.find_spec("jax") is not None:
    os.environ.setdefault("KERAS_BACKEND", "jax")

_MODULES = (
    "architecture",
    "augmentation",
    "classic",
    "datasets",
    "evaluation",
    "experiment",
    "explain",
    "latent",
    "models",
    "plotting",
    "report",
    "runtime",
    "training",
    "transfer",
)

_NAMES = {
    "conv_output_size": "architecture",
    "layer_table": "architecture",
    "receptive_field": "architecture",
    "ImageDataset": "datasets",
    "load_cifar10": "datasets",
    "load_digits": "datasets",
    "load_mnist": "datasets",
    "grad_cam": "explain",
    "build_lenet5": "models",
    "fit": "training",
    "Stage": "transfer",
    "TransferModel": "transfer",
}

__all__ = ["__version__", *_MODULES, *_NAMES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
