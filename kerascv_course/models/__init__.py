"""Architectures of the courses, one per file; each builder returns an uncompiled Keras model."""

from kerascv_course.models.alexnet import build_alexnet
from kerascv_course.models.googlenet import build_googlenet
from kerascv_course.models.lenet import build_lenet5
from kerascv_course.models.mobilenet_v2 import build_mobilenet_v2
from kerascv_course.models.normalization import LocalResponseNormalization
from kerascv_course.models.resnet import build_resnet
from kerascv_course.models.tinynet import build_tinynet
from kerascv_course.models.vgg import build_vgg

__all__ = [
    "LocalResponseNormalization",
    "build_alexnet",
    "build_googlenet",
    "build_lenet5",
    "build_mobilenet_v2",
    "build_resnet",
    "build_tinynet",
    "build_vgg",
]
