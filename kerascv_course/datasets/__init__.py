"""The data layer: records of images, where they come from, and what is done about a network that fails.

Each public name is fetched from its module when it is first used: the processes that decode images import no more
than they need.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from kerascv_course.datasets.record import ImageDataset as ImageDataset

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "cache": ["cache_folder"],
        "cifar10": ["find_cifar10", "load_cifar10"],
        "embedded": ["load_digits", "load_faces", "load_mnist"],
        "folders": ["load_image_folder"],
        "near_duplicates": ["Duplicate", "duplicates_across"],
        "parcels": ["load_parcels"],
        "patches": ["colour_baseline", "load_patches"],
        "record": ["ImageDataset"],
        "registry": ["load", "missing"],
        "scenes": ["load_scenes"],
        "split": ["split_validation"],
        "weights": ["BackboneWeights", "find_backbone_weights"],
    },
)
