"""Training on several devices: the same loss curve as on one, and refusals where Keras would only pretend."""

import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from kerascv_course import runtime

# A Python of its own: the number of devices is fixed when the backend starts.
TRAIN = """
import contextlib, json, os
if os.environ["KERAS_BACKEND"] == "tensorflow":
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
import numpy as np
from kerascv_course import runtime
from kerascv_course.training import fit

x = np.random.default_rng(0).normal(size=(48, 6, 6, 1)).astype("float32")
y = np.arange(48) % 3

def train(scope, batch_size):
    keras.utils.set_random_seed(0)
    with scope as devices:
        layers = [keras.layers.Flatten(), keras.layers.Dense(8, "relu"), keras.layers.Dense(3, "softmax")]
        model = keras.Sequential([keras.Input((6, 6, 1)), *layers])
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
        data = {"validation_data": (x[:8], y[:8]), "batch_size": batch_size}
        history = fit(model, (x, y), epochs=3, verbose=0, **data).history
    value = model.trainable_variables[0].value
    copies = len(value.sharding.device_set) if hasattr(value, "sharding") else len(getattr(value, "values", [0]))
    return {"devices": devices, "copies": copies, "history": history}

found = {"one": train(contextlib.nullcontext(), 16), "two": train(runtime.strategy(), 16)}
try:
    train(runtime.strategy(), 17)
except ValueError as error:
    found["error"] = str(error)
print(json.dumps(found))
"""
needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", pytest.param("jax", marks=needs_jax)])
def test_two_devices_give_the_loss_curve_of_one_and_an_uneven_batch_says_so(backend):
    settings = {"KERAS_BACKEND": backend, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    words = [sys.executable, "-c", TRAIN]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | settings)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    one, two = found["one"], found["two"]
    assert (len(two["devices"]), one["copies"], two["copies"]) == (2, 1, 2)
    assert one["history"]["loss"][0] > 1.01 * one["history"]["loss"][-1]  # it learns: the curves could differ
    for name, values in one["history"].items():
        np.testing.assert_allclose(two["history"][name], values, atol=1e-4, rtol=0, err_msg=name)
    assert found["error"].startswith("`strategy`: a batch cannot be shared out evenly among 2 devices.")


def test_a_keras_distribution_is_refused_on_tensorflow_with_the_reason():
    if keras.config.backend() != "tensorflow":
        pytest.skip("the refusal of the TensorFlow backend")
    before = keras.distribution.DataParallel(devices=["cpu:0"])
    with (
        before.scope(),
        pytest.raises(RuntimeError, match="has no effect with TensorFlow"),
        runtime.strategy(),
    ):
        pytest.fail("it has been entered")


def test_a_backend_without_it_is_refused(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    with (
        pytest.raises(RuntimeError, match="needs the TensorFlow or JAX backend of Keras, not 'torch'"),
        runtime.strategy(),
    ):
        pytest.fail("it has been entered")


def test_other_errors_of_the_block_pass_through():
    if keras.config.backend() == "torch":
        pytest.skip("refused there")
    with pytest.raises(KeyError, match="mine"), runtime.strategy():
        raise KeyError("mine")
