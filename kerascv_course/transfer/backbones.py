"""The networks of `keras.applications` as backbones: built by name, with weights and their own preprocessing."""

import inspect
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from kerascv_course._validation import check_choice, input_error
from kerascv_course.datasets.weights import find_backbone_weights

Preprocess = Callable[[Any], Any]

BACKBONES = tuple(name for name, _ in inspect.getmembers(keras.applications, inspect.isfunction))


def build_backbone(
    function: str, name: str, image_size: tuple[int, int], weights: str | os.PathLike[str] | None
) -> tuple[keras.Model, str]:
    """Build a network of `keras.applications` without its classifier, on behalf of a public function.

    Args:
        function: Name of that function, for errors.
        name: As in "MobileNetV2".
        image_size: Height and width in pixels.
        weights: "imagenet", the path of a weights file, or None for random weights.

    Returns:
        The network, which ends in maps, and where its weights are from.

    Raises:
        ValueError: If the name is unknown, the size too small, or the file is not one of this network.
        FileNotFoundError: If there is no file at the path.
        ConnectionError: If ImageNet weights are not at hand and cannot be downloaded.
    """
    check_choice(function, "backbone", name, BACKBONES)
    build = getattr(keras.applications, name)
    try:
        network = build(include_top=False, weights=None, input_shape=(*image_size, 3))
    except ValueError as error:
        rule = f"a size that {name} can take"
        raise input_error(function, "image_size", rule, image_size, f"Keras says: {error}") from error
    if weights is None:
        return network, "none (weights=None): the features are random"
    if weights != "imagenet":
        return network, load_weights(function, network, weights)
    found = find_backbone_weights(name, image_size)
    if found is not None:
        load_weights(function, network, found.path)
        return network, f"ImageNet, {found.source}"
    try:
        return build(include_top=False, weights="imagenet", input_shape=(*image_size, 3)), "ImageNet, from Keras"
    except ValueError:
        raise
    except Exception as error:  # Keras raises a bare Exception where a download fails
        way_out = "Pass the path of a file as `weights`, or `weights=None` for random features."
        text = f"The ImageNet weights of {name} could not be downloaded: {error}. {way_out}"
        raise ConnectionError(text) from error


def load_weights(function: str, network: keras.Model, weights: str | os.PathLike[str]) -> str:
    """Load a weights file and return its name in words; raise with the reason where it does not fit."""
    rule = "'imagenet', None or the path of a weights file"
    if not isinstance(weights, str | os.PathLike):
        raise input_error(function, "weights", rule, weights, error=TypeError)
    path = Path(weights).expanduser()
    if not path.is_file():
        raise input_error(function, "weights", rule, str(weights), error=FileNotFoundError)
    kept = network.get_weights()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file that does not fit Keras warns for each of its layers
            network.load_weights(path)
    except (ValueError, OSError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        network.set_weights(kept)  # some layers may have been loaded before one did not fit
        rule = f"a weights file of {network.name} without its classifier"
        raise input_error(function, "weights", rule, str(path), f"Keras says: {error}") from error
    return f"the file {path.name}"


def preprocessing_of(name: str) -> Preprocess:
    """Return the `preprocess_input` that belongs to a network of `keras.applications`.

    Example:
        >>> preprocess = preprocessing_of("MobileNetV2")
        >>> float(preprocess(keras.ops.convert_to_tensor([[255.0]]))[0, 0])
        1.0
    """
    for _, module in inspect.getmembers(keras.applications, inspect.ismodule):
        if hasattr(module, name) and hasattr(module, "preprocess_input"):
            return module.preprocess_input
    return keras.applications.mobilenet_v3.preprocess_input  # Keras keeps these two networks in no public module
