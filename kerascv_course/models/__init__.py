"""The architectures of the courses, one per file."""

from kerascv_course.models.lenet import build_lenet5

__all__ = ["build_lenet5"]
