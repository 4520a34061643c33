"""How well a classifier does: what can be said of its probabilities on images that it has not learned from."""

from kerascv_course.evaluation.classes import classification_report, confident_mistakes, confusion_matrix
from kerascv_course.evaluation.curves import calibration, roc_curves

__all__ = ["calibration", "classification_report", "confident_mistakes", "confusion_matrix", "roc_curves"]
