"""What each backend of Keras has a way of its own for: gradients, several GPUs, generators, notes on tracing."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kerascv_course._validation import input_error


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
    if backend != "torch":
        raise RuntimeError(f"`gradient` needs the TensorFlow, JAX or PyTorch backend of Keras, not {backend!r}.")
    import torch

    x = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        value = scalar(x)
    slope = torch.autograd.grad(value, x, allow_unused=True)[0] if value.requires_grad else None
    return value.detach(), torch.zeros_like(x) if slope is None else slope


@contextmanager
def strategy() -> Iterator[tuple[str, ...]]:
    """Train on all GPUs of this machine at once; each takes its share of every batch.

    Build, compile and train inside the `with` block: a model that was built outside stays on one device. With the
    TensorFlow backend this is `tf.distribute.MirroredStrategy`, with JAX `keras.distribution.DataParallel`. Where
    there is no GPU, the devices are the logical CPUs, usually one.

    The `batch_size` stays that of all devices together, and their number must divide it; the loss is that of one
    device. With TensorFlow a `BatchNormalization` takes the statistics of its own device's share, unless it was
    made with `synchronized=True`, and a last batch that cannot be shared out evenly counts a little differently;
    with JAX such a batch is an error.

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
            way_out = "Remove it: `keras.distribution.set_distribution(None)`."
            raise RuntimeError(f"`strategy`: a `keras.distribution` has no effect with TensorFlow. {way_out}")
        found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        devices = tuple(device.name for device in found)
        scope = tf.distribute.MirroredStrategy(devices).scope()
    elif backend == "jax":
        devices = tuple(keras.distribution.list_devices())
        scope = keras.distribution.DataParallel(devices=list(devices)).scope()
    else:
        way_out = "Set KERAS_BACKEND before Keras is imported."
        raise RuntimeError(f"`strategy` needs the TensorFlow or JAX backend of Keras, not {backend!r}. {way_out}")
    try:
        with scope:
            yield devices
    except Exception as error:
        # Keras for TensorFlow adds up the shares of the first batch; JAX shards each batch.
        if not any(part in str(error) for part in ("AddN must have the same size", "evenly divide the shape")):
            raise
        way_out = f"Choose a `batch_size` that {len(devices)} divides, and with JAX such numbers of images, too."
        text = f"`strategy`: a batch cannot be shared out evenly among {len(devices)} devices. {way_out}"
        raise ValueError(text) from error


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
    logger = logging.getLogger("tensorflow")
    is_kept_back = is_no_tracing_note in logger.filters  # by `setup`, for good
    logger.addFilter(is_no_tracing_note)
    try:
        yield
    finally:
        if not is_kept_back:
            logger.removeFilter(is_no_tracing_note)


def is_no_tracing_note(record: logging.LogRecord) -> bool:
    """Tell whether a message of TensorFlow is another than that of a function that is traced again."""
    return "triggered tf.function retracing" not in record.getMessage()
