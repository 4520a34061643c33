"""Exercises that check themselves: one module for each notebook, with the checks of its exercises.

In a notebook: `from kerascv_course.exercises import lenet_cifar10 as ex`, then `ex.lenet_rgb.check(model)`,
`ex.lenet_rgb.hint()`, `ex.lenet_rgb.solution()` and `ex.summary()`.
"""
