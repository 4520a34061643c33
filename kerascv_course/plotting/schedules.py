"""Learning rates: which one to take, and how it moves during the training."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from kerascv_course._validation import check_int, input_error
from kerascv_course.plotting.style import COLORS, WIDTH, styled, with_caption


@styled
def plot_learning_rate_finder(curve: Any, *, caption: str | None = None) -> Figure:
    """Draw the loss over the learning rate, and the rate that it suggests.

    Args:
        curve: What `training.find_learning_rate` returned.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis with the losses of the steps, their moving average, and, where there is one, a dashed
        line at the suggestion.

    Raises:
        TypeError: Where `curve` is no such record.

    Example:
        >>> from types import SimpleNamespace
        >>> curve = SimpleNamespace(
        ...     rates=(0.01, 0.1, 1), losses=(3, 1, 2), smoothed_losses=(3, 2, 2), suggestion=0.01
        ... )
        >>> [line.get_label() for line in plot_learning_rate_finder(curve).axes[0].lines]
        ['each step', 'moving average', 'suggestion: 0.01']
    """
    if not all(hasattr(curve, field) for field in ("rates", "losses", "smoothed_losses", "suggestion")):
        rule = "what `find_learning_rate` returned"
        raise input_error("plot_learning_rate_finder", "curve", rule, curve, error=TypeError)
    figure, axis = plt.subplots(figsize=(0.75 * WIDTH, 3.6), layout="constrained")
    axis.plot(curve.rates, curve.losses, color="0.7", linewidth=1, label="each step")
    axis.plot(curve.rates, curve.smoothed_losses, color=COLORS[0], linewidth=2, label="moving average")
    if curve.suggestion is not None:
        label = f"suggestion: {curve.suggestion:.2g}"
        axis.axvline(curve.suggestion, color=COLORS[1], linestyle="--", label=label)
    # A loss that diverges would press the part that matters into a line.
    averages = np.asarray(curve.smoothed_losses, dtype=float)
    low, first = min(averages.min(), min(curve.losses)), averages[0]
    axis.set(xscale="log", xlabel="learning rate", ylabel="loss")
    if max(curve.losses) > first + 2 * (first - low) > low:
        axis.set_ylim(low - 0.1 * (first - low), first + (first - low))
    axis.grid(alpha=0.3)
    axis.legend()
    return with_caption(figure, caption)


@styled
def plot_schedule(schedules: Any, *, steps: int, caption: str | None = None) -> Figure:
    """Draw how learning rates move over the steps of a training, and the momentum where a schedule has one.

    Args:
        schedules: A Keras schedule, such as `training.OneCycle` or `keras.optimizers.schedules.CosineDecay`, or a
            mapping from names to some.
        steps: Number of steps to draw, 2 or more.
        caption: A sentence above the figure.

    Returns:
        The figure: an axis with the rates, and a second one with the momentum of schedules with `momentum_at`.

    Raises:
        TypeError: Where `schedules` holds something that cannot be called with a step.
        ValueError: Where there is no schedule, or too few steps.

    Example:
        >>> from kerascv_course.training import OneCycle
        >>> rate, momentum = plot_schedule(OneCycle(0.1, total_steps=200), steps=200).axes
        >>> rate.get_ylabel(), momentum.get_ylabel()
        ('learning rate', 'momentum')
    """
    steps = check_int("plot_schedule", "steps", steps, 2)
    named = dict(schedules) if isinstance(schedules, Mapping) else {"": schedules}
    rule = "a Keras schedule or a mapping from names to some"
    if not named:
        raise input_error("plot_schedule", "schedules", rule, schedules)
    if not all(callable(schedule) for schedule in named.values()):
        raise input_error("plot_schedule", "schedules", rule, schedules, error=TypeError)
    with_momentum = {name: schedule for name, schedule in named.items() if hasattr(schedule, "momentum_at")}
    panels = [("learning rate", named)] + ([("momentum", with_momentum)] if with_momentum else [])
    size = (WIDTH if with_momentum else 0.6 * WIDTH, 3.2)
    figure, axes = plt.subplots(1, len(panels), figsize=size, layout="constrained", squeeze=False)
    for axis, (label, shown) in zip(axes[0], panels, strict=True):
        for index, (name, schedule) in enumerate(named.items()):
            if name in shown:
                at = schedule if label == "learning rate" else schedule.momentum_at
                values = [float(at(step)) for step in range(steps)]
                style = ("-", "--", ":", "-.")[index % 4]
                axis.plot(range(steps), values, style, color=COLORS[index % len(COLORS)], label=name)
        axis.set(xlabel="step", ylabel=label)
        axis.grid(alpha=0.3)
        if any(named):
            axis.legend()
    return with_caption(figure, caption)
