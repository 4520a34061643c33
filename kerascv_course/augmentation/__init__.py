"""Augmentation: random changes to images, to labels where they belong together, and to what a model is asked."""

from kerascv_course.augmentation.affine import RandomAffine, warp
from kerascv_course.augmentation.batches import AffineBatches
from kerascv_course.augmentation.mixing import augment_by_class, balanced_indices, cutmix, mixup
from kerascv_course.augmentation.pipeline import pipeline
from kerascv_course.augmentation.preservation import PreservationRecord, label_preserved
from kerascv_course.augmentation.tta import AveragedAnswer, test_time_augmentation

__all__ = [
    "AffineBatches",
    "AveragedAnswer",
    "PreservationRecord",
    "RandomAffine",
    "augment_by_class",
    "balanced_indices",
    "cutmix",
    "label_preserved",
    "mixup",
    "pipeline",
    "test_time_augmentation",
    "warp",
]
