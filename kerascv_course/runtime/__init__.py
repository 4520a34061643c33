"""Where the code runs: backend, accelerator, seeds, mixed precision, and the profile of a notebook."""

import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from kerascv_course._validation import check_choice, check_int, input_error
from kerascv_course.runtime.backends import gradient as gradient
from kerascv_course.runtime.backends import is_no_tracing_note
from kerascv_course.runtime.backends import strategy as strategy
from kerascv_course.runtime.backends import torch_generator as torch_generator
from kerascv_course.runtime.backends import without_tracing_notes as without_tracing_notes

PROFILES = ("smoke", "lite", "full", "gpu")
PROFILE_VARIABLE = "KERASCV_COURSE_PROFILE"
# Kaggle's machines are made from Colab's, and may have its variable too.
_HOSTS = {"KAGGLE_KERNEL_RUN_TYPE": "Kaggle", "COLAB_RELEASE_TAG": "Colab"}

Value = TypeVar("Value")


@dataclass(frozen=True)
class Runtime:
    """What a notebook runs on.

    Attributes:
        machine: Keras, its backend, their versions, the device and Keras' global dtype policy, as text.
        profile: "smoke", "lite", "full" or "gpu".
        host: "Colab" or "Kaggle"; empty elsewhere.
        missing: What the notebook needs and is not at hand: names and titles of data files.
    """

    machine: str
    profile: str
    host: str
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def downloads(self) -> str:
        """What a notebook does about data that is not at hand, as `download` of `datasets.load` takes it.

        "always" in the profiles `full` and `gpu`, which want the data of the courses; "if possible" in `lite` in
        Colab and Kaggle, where a download takes seconds; otherwise "never".
        """
        if self.profile in ("full", "gpu"):
            return "always"
        return "if possible" if self.profile == "lite" and self.host else "never"

    def __str__(self) -> str:
        text = f"{self.machine}\nprofile: {self.profile} (set {PROFILE_VARIABLE} to change it)"
        if not self.missing:
            return text
        titles = "; ".join(self.missing.values())
        if self.downloads == "never":
            return f"{text}\nNot at hand: {titles}. To get it: kerascv-course data fetch {' '.join(self.missing)}"
        return f"{text}\nTo be downloaded{' if there is a network' * (self.profile == 'lite')}: {titles}"


def setup(*, seed: int = 0, mixed_precision: bool = False, missing: Mapping[str, str] | None = None) -> Runtime:
    """Prepare a notebook: GPU memory that grows on demand, seeds, precision; and report what it runs on.

    Args:
        seed: Seed of Python, NumPy and the Keras backend, 0 to 2**32 - 1.
        mixed_precision: Whether layers compute in half precision (bfloat16 on the CPU, float16 on a GPU) while
            their weights stay float32. It pays on a GPU with tensor cores and slows most CPUs down.
        missing: What `datasets.missing` returned for the data that the notebook uses.

    Returns:
        The `Runtime` record; print it to show it, and what will be downloaded.

    Raises:
        ValueError: If the profile variable holds an unknown name.

    Example:
        >>> setup(seed=1).machine.endswith("float32")
        True
    """
    check_int("setup", "seed", seed, 0, 2**32 - 1)
    chosen_profile = profile()
    import keras

    logging.getLogger("tensorflow").addFilter(is_no_tracing_note)  # a notebook builds many models
    gpus = find_gpus(memory_growth=True)
    seed_everything(seed)
    half = "mixed_float16" if gpus else "mixed_bfloat16"
    keras.config.set_dtype_policy(half if mixed_precision else "float32")
    backend = keras.config.backend()
    versions = f"Keras {keras.__version__} on {backend} {sys.modules[backend].__version__}"
    device = ", ".join(gpus) or f"CPU ({os.cpu_count() or 1} cores)"
    machine = f"{versions}, {device}, {keras.config.dtype_policy().name}"
    return Runtime(machine, chosen_profile, host(), dict(missing or {}))


def seed_everything(seed: int, *, deterministic: bool = False) -> None:
    """Seed Python, NumPy and the Keras backend.

    Keras 3.10 leaves out one generator: that of the functions in `keras.random` which are called without a `seed`.

    Args:
        seed: From 0 to 2**32 - 1.
        deterministic: Whether TensorFlow must also choose operations that give the same bits in every run.
            That lasts until the process ends and costs speed; the other backends have no such switch here.

    Example:
        >>> import numpy as np
        >>> seed_everything(7)
        >>> first = np.random.rand()
        >>> seed_everything(7)
        >>> first == np.random.rand()
        True
    """
    seed = check_int("seed_everything", "seed", seed, 0, 2**32 - 1)
    import keras

    keras.utils.set_random_seed(seed)
    if deterministic and keras.config.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def find_gpus(*, memory_growth: bool = False) -> tuple[str, ...]:
    """Return one name per GPU that the Keras backend can use.

    Args:
        memory_growth: Whether TensorFlow should take GPU memory as it needs it instead of all at once. It has an
            effect only before TensorFlow first uses the GPU.

    Returns:
        Names such as "NVIDIA H100"; an empty tuple without a GPU.

    Example:
        >>> isinstance(find_gpus(), tuple)
        True
    """
    import keras

    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        devices = tf.config.list_physical_devices("GPU")
        for device in devices if memory_growth else []:
            try:
                tf.config.experimental.set_memory_growth(device, True)
            except RuntimeError:  # TensorFlow uses the GPU already: its memory plan is fixed, and that is no fault
                break
        return tuple(tf.config.experimental.get_device_details(d).get("device_name", d.name) for d in devices)
    if backend == "jax":
        import jax

        return tuple(device.device_kind for device in jax.devices() if device.platform == "gpu")
    if backend != "torch":
        return ()
    import torch

    return tuple(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))


def host() -> str:
    """Name the service on whose machine this process runs: "Colab", "Kaggle", or "" for any other.

    Their environment variables tell it, which a command has too that a notebook starts with `!`.

    Example:
        >>> host()
        ''
    """
    return next((name for variable, name in _HOSTS.items() if os.environ.get(variable)), "")


def profile() -> str:
    """Return the profile of the notebooks: how large their experiments are.

    `KERASCV_COURSE_PROFILE` decides where it is set: "smoke" (seconds, for tests), "lite" (about a minute on a
    laptop's CPU, offline), "full" (what the solved notebooks show, on a CPU) or "gpu" (the courses' own sizes).
    Otherwise it is "gpu" where the backend finds a GPU and "lite" elsewhere.

    Returns:
        One of these four names.

    Example:
        >>> profile() in PROFILES
        True
    """
    chosen = os.environ.get(PROFILE_VARIABLE, "")
    if chosen:
        check_choice("profile", PROFILE_VARIABLE, chosen, PROFILES)
        return chosen
    return "gpu" if find_gpus() else "lite"


def by_profile(**choices: Value) -> Value:
    """Return the choice of the current profile.

    Args:
        **choices: One value for each of `smoke`, `lite`, `full` and `gpu`. `gpu` may be left out where it is the
            value of `full`.

    Returns:
        The value of the current profile.

    Example:
        >>> epochs = by_profile(smoke=1, lite=15, full=40, gpu=160)
        >>> epochs in (1, 15, 40, 160)
        True
    """
    if {*choices, "gpu"} != set(PROFILES):
        raise input_error("by_profile", "choices", "one value for each of smoke, lite, full and gpu", choices)
    return choices.get(profile(), choices["full"])
