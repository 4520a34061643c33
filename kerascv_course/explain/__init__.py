"""Why a model answers as it does: the places of an image that speak for a class."""

from kerascv_course.explain.grad_cam import GradCam, grad_cam

__all__ = ["GradCam", "grad_cam"]
