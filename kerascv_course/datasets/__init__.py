"""The data layer: records of images, where they come from, and what is done about a network that fails."""

from kerascv_course.datasets.cache import cache_folder
from kerascv_course.datasets.catalogue import ProgressBar, downloads_folder, fetch
from kerascv_course.datasets.cifar10 import find_cifar10, load_cifar10
from kerascv_course.datasets.digits import load_digits
from kerascv_course.datasets.folders import ImagePipeline, image_folder_pipeline, load_image_folder
from kerascv_course.datasets.record import ImageDataset
from kerascv_course.datasets.scenes import load_scenes
from kerascv_course.datasets.split import split_validation

__all__ = [
    "ImageDataset",
    "ImagePipeline",
    "ProgressBar",
    "cache_folder",
    "downloads_folder",
    "fetch",
    "find_cifar10",
    "image_folder_pipeline",
    "load_cifar10",
    "load_digits",
    "load_image_folder",
    "load_scenes",
    "split_validation",
]
