"""The data layer: records of images, where they come from, and what is done about a network that fails."""

from kerascv_course.datasets.cache import cache_folder
from kerascv_course.datasets.cifar10 import find_cifar10, load_cifar10
from kerascv_course.datasets.embedded import load_digits, load_faces
from kerascv_course.datasets.folders import load_image_folder
from kerascv_course.datasets.near_duplicates import Duplicate, duplicates_across
from kerascv_course.datasets.parcels import load_parcels
from kerascv_course.datasets.patches import colour_baseline, load_patches
from kerascv_course.datasets.record import ImageDataset
from kerascv_course.datasets.registry import load
from kerascv_course.datasets.scenes import load_scenes
from kerascv_course.datasets.split import split_validation
from kerascv_course.datasets.weights import BackboneWeights, find_backbone_weights

__all__ = [
    "BackboneWeights",
    "Duplicate",
    "ImageDataset",
    "cache_folder",
    "colour_baseline",
    "duplicates_across",
    "find_backbone_weights",
    "find_cifar10",
    "load",
    "load_cifar10",
    "load_digits",
    "load_faces",
    "load_image_folder",
    "load_parcels",
    "load_patches",
    "load_scenes",
    "split_validation",
]
