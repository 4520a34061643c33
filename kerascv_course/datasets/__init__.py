"""The data layer: records of images, and where they come from."""

from kerascv_course.datasets.cache import cache_folder
from kerascv_course.datasets.cifar10 import find_cifar10, load_cifar10
from kerascv_course.datasets.digits import load_digits
from kerascv_course.datasets.record import ImageDataset

__all__ = ["ImageDataset", "cache_folder", "find_cifar10", "load_cifar10", "load_digits"]
