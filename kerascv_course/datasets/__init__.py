"""The data layer: records of images, where they come from, and what is done about a network that fails.

Each public name is fetched from its module when it is first used: the processes that decode images import no more
than they need.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerascv_course.datasets.record import ImageDataset as ImageDataset

_MODULES = {
    "BackboneWeights": "weights",
    "Duplicate": "near_duplicates",
    "ImageDataset": "record",
    "cache_folder": "cache",
    "colour_baseline": "patches",
    "duplicates_across": "near_duplicates",
    "find_backbone_weights": "weights",
    "find_cifar10": "cifar10",
    "load": "registry",
    "load_cifar10": "cifar10",
    "load_digits": "embedded",
    "load_faces": "embedded",
    "load_image_folder": "folders",
    "load_mnist": "embedded",
    "load_parcels": "parcels",
    "load_patches": "patches",
    "load_scenes": "scenes",
    "missing": "registry",
    "split_validation": "split",
}

__all__ = [*_MODULES]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_MODULES)
