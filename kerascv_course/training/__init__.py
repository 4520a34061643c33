"""Training that can be interrupted, repeated and watched, and the learning rate that it needs."""

from kerascv_course.training.fit import fit
from kerascv_course.training.rate_finder import LearningRateCurve, find_learning_rate

__all__ = ["LearningRateCurve", "find_learning_rate", "fit"]
