"""How well a classifier does: what can be said of its probabilities on images that it has not learned from."""

from kerascv_course.evaluation.classes import (
    ClassificationReport,
    ClassResult,
    Mistake,
    Mistakes,
    classification_report,
    confident_mistakes,
    confusion_matrix,
)
from kerascv_course.evaluation.curves import Calibration, CalibrationBin, RocCurve, calibration, roc_curves

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
