"""Training that can be interrupted, repeated and watched."""

from kerascv_course.training.fit import fit

__all__ = ["fit"]
