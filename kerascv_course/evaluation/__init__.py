"""How well a classifier does: what can be said of its probabilities on images that it has not learned from."""

from kerascv_course.evaluation.classes import (
    ClassificationReport,
    ClassResult,
    classification_report,
    confusion_matrix,
)
from kerascv_course.evaluation.mistakes import Mistake, Mistakes, confident_mistakes
from kerascv_course.evaluation.reliability import Calibration, CalibrationBin, calibration
from kerascv_course.evaluation.roc import RocCurve, roc_curves

__all__ = [
    "Calibration",
    "CalibrationBin",
    "ClassResult",
    "ClassificationReport",
    "Mistake",
    "Mistakes",
    "RocCurve",
    "calibration",
    "classification_report",
    "confident_mistakes",
    "confusion_matrix",
    "roc_curves",
]
