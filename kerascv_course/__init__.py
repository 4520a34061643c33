"""The Keras companion to university computer-vision courses.

Importing this package loads neither Keras nor TensorFlow nor matplotlib: each public name is fetched from its
module when it is first used.
"""

import importlib.util
import os

import lazy_loader

__version__ = "0.1.0"

# Colab's TPU runtime has no TensorFlow, without which Keras cannot be imported unless another backend is set.
if importlib.util.find_spec("tensorflow") is None and importlib.util.find_spec("jax") is not None:
    os.environ.setdefault("KERAS_BACKEND", "jax")

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules={
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
    },
    submod_attrs={
        "architecture": ["conv_output_size", "layer_table", "receptive_field"],
        "datasets": ["ImageDataset", "load_cifar10", "load_digits", "load_mnist"],
        "explain": ["grad_cam"],
        "models": ["build_lenet5"],
        "training": ["fit"],
        "transfer": ["Stage", "TransferModel"],
    },
)
