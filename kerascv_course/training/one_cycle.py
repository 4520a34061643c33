"""The one-cycle policy: the rate rises and falls once in a training, the momentum falls and rises."""

from typing import Any

import keras
from keras import ops

from kerascv_course._validation import check_above, check_int, input_error


@keras.saving.register_keras_serializable(package="kerascv_course")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises in a straight line, from a tenth of its peak to the peak, and falls in one to 0.

    A large rate in the middle of the training covers ground and regularises; small ones before and after let it
    start and settle. The momentum moves the other way, from 0.95 at the ends to 0.85 where the rate is greatest.

    It is a schedule as Keras has them: pass it as `learning_rate` to any optimizer, and the rate follows it. It
    depends on the number of the step alone, so a run that is interrupted goes on in the middle of the cycle. An
    optimizer of Keras keeps one momentum; `OneCycleSGD` takes that from the schedule as well.

    What else one may want, Keras has: a rate that falls along a cosine, with a linear rise before
    (`keras.optimizers.schedules.CosineDecay` with `warmup_target`), or in steps (`PiecewiseConstantDecay`); and
    gradients that are cut to a length (`clipnorm`, `global_clipnorm` of any optimizer).

    Args:
        max_learning_rate: The highest learning rate, above 0; `find_learning_rate` suggests one.
        total_steps: Steps of the cycle, 2 or more: epochs times batches in an epoch. After them the rate stays 0.
        pct_start: Share of the cycle in which the rate rises, above 0 and below 1.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a number is out of range.

    Example:
        >>> schedule = OneCycle(0.4, total_steps=100, pct_start=0.25)
        >>> [round(float(schedule(step)), 3) for step in (0, 25, 50, 100, 120)]
        [0.04, 0.4, 0.267, 0.0, 0.0]
        >>> [round(float(schedule.momentum_at(step)), 3) for step in (0, 25, 100)]
        [0.95, 0.85, 0.95]
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> model.compile(keras.optimizers.Adam(schedule), "mse")

    Source:
        Smith: A disciplined approach to neural network hyper-parameters, part 1 (2018), where the rate rises and
        falls for the same time and a short third part follows; here it falls in one line, as in Jordan: 94 % on
        CIFAR-10 in 3.29 seconds on a single GPU (2024).
    """

    def __init__(self, max_learning_rate: float, total_steps: int, *, pct_start: float = 0.3) -> None:
        self.max_learning_rate = check_above("OneCycle", "max_learning_rate", max_learning_rate)
        self.total_steps = check_int("OneCycle", "total_steps", total_steps, 2)
        self.pct_start = check_above("OneCycle", "pct_start", pct_start, below=1)

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of a step, counted from 0, or of an array of steps."""
        return self._line(step, self.max_learning_rate / 10, self.max_learning_rate, 0.0)

    def momentum_at(self, step: Any) -> Any:
        """Return the momentum of a step, counted from 0, or of an array of steps."""
        return self._line(step, 0.95, 0.85, 0.95)

    def _line(self, step: Any, first: float, middle: float, last: float) -> Any:
        """Return the value of the line through three points: at step 0, at the peak, and at the end."""
        step = ops.cast(step, "float32")
        top = self.pct_start * self.total_steps
        up = ops.clip(step / top, 0.0, 1.0)
        down = ops.clip((step - top) / (self.total_steps - top), 0.0, 1.0)
        return first + (middle - first) * up + (last - middle) * down

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, as Keras saves them with a model."""
        return {name: getattr(self, name) for name in ("max_learning_rate", "total_steps", "pct_start")}


@keras.saving.register_keras_serializable(package="kerascv_course")
class OneCycleSGD(keras.optimizers.SGD):
    """Gradient descent whose rate and momentum both follow a `OneCycle`.

    Keras reads the `momentum` of an optimizer once, when it builds the training step: a callback that sets it
    later changes nothing with TensorFlow and JAX. Here each step computes its momentum from its own number.

    Args:
        learning_rate: The cycle.
        nesterov: Whether to look ahead (Nesterov's momentum).
        **options: Further arguments of `keras.optimizers.SGD`, such as `weight_decay` and `global_clipnorm`; not
            `gradient_accumulation_steps`, with which steps and batches would be counted differently.

    Raises:
        TypeError: If `learning_rate` is no `OneCycle`.
        ValueError: If a momentum is given, or gradients are to be accumulated.

    Example:
        >>> optimizer = OneCycleSGD(OneCycle(0.1, total_steps=200), global_clipnorm=1.0)
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> model.compile(optimizer, "mse")

    Source:
        Smith: A disciplined approach to neural network hyper-parameters, part 1 (2018), cyclical momentum.
    """

    def __init__(self, learning_rate: OneCycle, *, nesterov: bool = False, **options: Any) -> None:
        if not isinstance(learning_rate, OneCycle):
            raise input_error("OneCycleSGD", "learning_rate", "a `OneCycle`", learning_rate, error=TypeError)
        # Any momentum but 0 will do, as Keras writes it with a model: with it Keras makes the velocities.
        for name, fixed in {"momentum": 0.9, "gradient_accumulation_steps": None}.items():
            if options.setdefault(name, fixed) != fixed:
                raise input_error("OneCycleSGD", name, "left out", options[name])
        super().__init__(learning_rate=learning_rate, nesterov=nesterov, **options)
        self.schedule = learning_rate

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable, as Keras' own SGD does, with the momentum of this step."""
        # The documentation of `keras.optimizers.Optimizer` shows this way to find a variable's velocity.
        velocity = self.momentums[self._get_variable_index(variable)]
        rate = ops.cast(learning_rate, variable.dtype)
        momentum = ops.cast(self.schedule.momentum_at(self.iterations), variable.dtype)
        step = ops.cast(gradient, variable.dtype) * rate
        self.assign(velocity, velocity * momentum - step)
        self.assign_add(variable, velocity * momentum - step if self.nesterov else velocity)
