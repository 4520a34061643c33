"""Why a model answers as it does, and what happens in it: Grad-CAM, and activations while it trains."""

from kerascv_course.explain.grad_cam import GradCam, grad_cam
from kerascv_course.explain.statistics import ActivationRecords, ActivationStatistics, LayerStatistics

__all__ = ["ActivationRecords", "ActivationStatistics", "GradCam", "LayerStatistics", "grad_cam"]
