"""Where the code runs: backend, accelerator, seeds, mixed precision, and the profile of a notebook."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from kerascv_course._validation import check_choice, check_int, input_error

PROFILES = ("smoke", "lite", "full")
PROFILE_VARIABLE = "KERASCV_COURSE_PROFILE"

Value = TypeVar("Value")


@dataclass(frozen=True)
class Runtime:
    """What a notebook runs on.

    Attributes:
        backend: Name of the Keras backend: "tensorflow", "jax" or "torch".
        backend_version: Its version.
        keras_version: Version of Keras.
        gpus: One name per GPU that the backend can use; empty without one.
        cpu_cores: Number of processor cores.
        profile: "smoke", "lite" or "full".
        in_colab: Whether this is a Google Colab runtime.
        dtype_policy: Keras' global dtype policy, for example "float32" or "mixed_float16".
    """

    backend: str
    backend_version: str
    keras_version: str
    gpus: tuple[str, ...]
    cpu_cores: int
    profile: str
    in_colab: bool
    dtype_policy: str

    def __str__(self) -> str:
        device = ", ".join(self.gpus) if self.gpus else f"CPU ({self.cpu_cores} cores)"
        return (
            f"Keras {self.keras_version} on {self.backend} {self.backend_version}, {device}, "
            f"{self.dtype_policy}; profile: {self.profile} (set {PROFILE_VARIABLE} to change it)"
        )


def setup(*, seed: int = 0, mixed_precision: bool = False, deterministic: bool = False) -> Runtime:
    """Prepare a notebook: GPU memory that grows on demand, seeds, precision; and report what it runs on.

    Args:
        seed: Seed of Python, NumPy and the Keras backend, 0 to 2**32 - 1.
        mixed_precision: Whether layers compute in half precision (bfloat16 on the CPU, float16 on a GPU) while
            their weights stay float32. It pays on a GPU with tensor cores and slows most CPUs down.
        deterministic: Whether operations must give the same bits in every run; slower.

    Returns:
        The `Runtime` record; print it to show it.

    Raises:
        ValueError: If the profile variable holds an unknown name.

    Example:
        >>> runtime = setup(seed=1)
        >>> runtime.dtype_policy
        'float32'
    """
    check_int("setup", "seed", seed, 0, 2**32 - 1)
    chosen_profile = profile()
    import keras

    gpus = find_gpus(memory_growth=True)
    seed_everything(seed, deterministic=deterministic)
    half = "mixed_float16" if gpus else "mixed_bfloat16"
    keras.config.set_dtype_policy(half if mixed_precision else "float32")
    backend = keras.config.backend()
    return Runtime(
        backend=backend,
        backend_version=str(sys.modules[backend].__version__),
        keras_version=keras.__version__,
        gpus=gpus,
        cpu_cores=os.cpu_count() or 1,
        profile=chosen_profile,
        in_colab=in_colab(),
        dtype_policy=keras.config.dtype_policy().name,
    )


def seed_everything(seed: int, *, deterministic: bool = False) -> None:
    """Seed Python, NumPy and the Keras backend.

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
    if backend == "torch":
        import torch

        return tuple(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return ()


def in_colab() -> bool:
    """Tell whether this process is a Google Colab kernel.

    Example:
        >>> in_colab()
        False
    """
    return "google.colab" in sys.modules


def profile() -> str:
    """Return the profile of the notebooks: how large their experiments are.

    `KERASCV_COURSE_PROFILE` decides where it is set: "smoke" (seconds, for tests), "lite" (about a minute on a
    laptop's CPU, offline) or "full" (the course's own sizes, for a GPU). Otherwise it is "full" where the backend
    finds a GPU and "lite" elsewhere.

    Returns:
        "smoke", "lite" or "full".

    Example:
        >>> profile() in ("smoke", "lite", "full")
        True
    """
    chosen = os.environ.get(PROFILE_VARIABLE, "")
    if chosen:
        check_choice("profile", PROFILE_VARIABLE, chosen, PROFILES)
        return chosen
    return "full" if find_gpus() else "lite"


def by_profile(**choices: Value) -> Value:
    """Return the choice of the current profile.

    Args:
        **choices: One value for each of `smoke`, `lite` and `full`.

    Returns:
        The value of the current profile.

    Example:
        >>> epochs = by_profile(smoke=1, lite=15, full=40)
        >>> epochs in (1, 15, 40)
        True
    """
    if set(choices) != set(PROFILES):
        raise input_error("by_profile", "choices", "one value for each of smoke, lite and full", choices)
    return choices[profile()]


def gradient(function: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
    """Return the value of a scalar function of one tensor, and its gradient, on any backend.

    Args:
        function: Takes a tensor and returns a scalar tensor; it may call Keras layers and models.
        x: Tensor, array or number of floats: where the gradient is taken.

    Returns:
        The value and the gradient, both tensors of the backend; the gradient has the shape of `x`, and is 0 where
        the value does not depend on it.

    Example:
        >>> value, slope = gradient(lambda x: x**2, 3.0)
        >>> float(value), float(slope)
        (9.0, 6.0)
    """
    import keras

    backend = keras.config.backend()
    x = keras.ops.convert_to_tensor(x)
    if "float" not in keras.backend.standardize_dtype(x.dtype):
        raise input_error("gradient", "x", "floats", x, error=TypeError)

    def scalar(x: Any) -> Any:
        value = function(x)
        if not hasattr(value, "shape") or tuple(value.shape):
            raise input_error("gradient", "function", "one that returns a scalar tensor", value)
        return value

    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            value = scalar(x)
        return value, tape.gradient(value, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    if backend == "jax":
        import jax

        return jax.value_and_grad(scalar)(x)
    if backend == "torch":
        import torch

        x = x.detach().clone().requires_grad_()
        with torch.enable_grad():
            value = scalar(x)
        slope = torch.autograd.grad(value, x, allow_unused=True)[0] if value.requires_grad else None
        return value.detach(), torch.zeros_like(x) if slope is None else slope
    raise RuntimeError(f"`gradient` needs the TensorFlow, JAX or PyTorch backend of Keras, not {backend!r}.")


@contextmanager
def strategy() -> Iterator[tuple[str, ...]]:
    """Train on all GPUs of this machine at once; each takes its share of every batch.

    Build, compile and train inside the `with` block: a model that was built outside stays on one device. With the
    TensorFlow backend this is `tf.distribute.MirroredStrategy`, with JAX `keras.distribution.DataParallel`. Where
    there is no GPU, the devices are the logical CPUs, usually one.

    The `batch_size` stays that of all devices together, and the loss that of one device. With TensorFlow a
    `BatchNormalization` takes the statistics of its own device's share, unless it was made with
    `synchronized=True`, and a last batch that cannot be shared out evenly counts a little differently; with JAX
    such a batch is an error.

    Yields:
        The names of the devices.

    Raises:
        RuntimeError: With PyTorch; or with TensorFlow, where a `keras.distribution` is set.
        ValueError: If a batch cannot be shared out among the devices.

    Example:
        >>> import keras
        >>> with strategy() as devices:
        ...     model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        ...     model.compile("sgd", "mse")  # and `fit`, inside the block as well
        >>> len(devices) >= 1
        True
    """
    import keras

    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        if keras.distribution.distribution() is not None:
            raise RuntimeError(
                "`strategy`: a `keras.distribution` is set, which has no effect with the TensorFlow backend. "
                "Remove it: `keras.distribution.set_distribution(None)`."
            )
        found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        devices = tuple(device.name for device in found)
        scope = tf.distribute.MirroredStrategy(devices).scope()
    elif backend == "jax":
        devices = tuple(keras.distribution.list_devices())
        scope = keras.distribution.DataParallel(devices=list(devices)).scope()
    else:
        raise RuntimeError(
            f"`strategy` needs the TensorFlow or JAX backend of Keras, not {backend!r}: Keras cannot "
            "share a batch among devices there. Set KERAS_BACKEND before Keras is imported."
        )
    try:
        with scope:
            yield devices
    except Exception as error:
        # Keras for TensorFlow adds up the shares of the first batch; JAX shards each batch.
        if not any(part in str(error) for part in ("AddN must have the same size", "evenly divide the shape")):
            raise
        number = len(devices)
        raise ValueError(
            f"`strategy`: a batch cannot be shared out evenly among {number} devices. Choose a `batch_size` that "
            f"{number} divides, and with JAX numbers of training and validation images that it divides as well."
        ) from error


def torch_generator() -> Any:
    """Return `torch.random` with the PyTorch backend, from whose generator a `Dropout` without a seed draws there.

    With the other backends, where Keras has generators of its own, it is None.
    """
    import keras

    return sys.modules["torch"].random if keras.config.backend() == "torch" else None


@contextmanager
def without_tracing_notes() -> Iterator[None]:
    """Keep back TensorFlow's notes on functions that are traced again: it takes several models for one.

    Its other messages are printed as always; with the other backends there is nothing to keep back.

    Example:
        >>> with without_tracing_notes():
        ...     logging.getLogger("tensorflow").warning("5 calls triggered tf.function retracing.")
    """

    def is_another(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()

    logger = logging.getLogger("tensorflow")
    logger.addFilter(is_another)
    try:
        yield
    finally:
        logger.removeFilter(is_another)
