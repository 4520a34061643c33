"""`runtime`: the profile, the seeds, the report of what a notebook runs on."""

import logging
import os
import random
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascv_course import runtime

PROFILE = runtime.PROFILE_VARIABLE


@pytest.fixture(autouse=True)
def no_profile_and_no_gpu(monkeypatch):
    """Start each test from what the machine at hand may not have: no variable set, no GPU, float32."""
    monkeypatch.delenv(PROFILE, raising=False)
    monkeypatch.setattr(runtime, "find_gpus", lambda *, memory_growth=False: ())
    yield
    keras.config.set_dtype_policy("float32")


def draw():
    of_layers = keras.random.normal((3,), seed=keras.random.SeedGenerator())  # as a `Dropout` makes it
    return random.random(), float(np.random.rand()), keras.ops.convert_to_numpy(of_layers).tolist()  # noqa: NPY002


@pytest.fixture
def with_gpu(monkeypatch):
    monkeypatch.setattr(runtime, "find_gpus", lambda *, memory_growth=False: ("NVIDIA T4",))


# The profile


@pytest.mark.smoke
@pytest.mark.parametrize("name", ["smoke", "lite", "full", "gpu"])
def test_the_variable_decides_the_profile_whatever_the_device(monkeypatch, with_gpu, name):
    monkeypatch.setenv(PROFILE, name)
    assert runtime.profile() == name
    assert runtime.by_profile(smoke="smoke", lite="lite", full="full", gpu="gpu") == name
    assert runtime.setup().profile == name


def test_without_the_variable_a_gpu_means_gpu_and_none_means_lite(monkeypatch):
    assert runtime.profile() == "lite"
    monkeypatch.setenv(PROFILE, "")  # set, but empty: as good as not set
    assert runtime.profile() == "lite"
    monkeypatch.setattr(runtime, "find_gpus", lambda *, memory_growth=False: ("NVIDIA T4",))
    assert runtime.profile() == "gpu"
    assert runtime.by_profile(smoke=1, lite=2, full=None) is None  # without a `gpu` it is the value of `full`


# Seeds


@pytest.mark.smoke
@pytest.mark.parametrize("seeded", [runtime.seed_everything, lambda seed: runtime.setup(seed=seed)])
def test_the_same_seed_gives_the_same_numbers_in_python_numpy_and_keras(seeded):
    seeded(5)
    first = draw()
    seeded(5)
    assert draw() == first
    seeded(6)
    other = draw()
    assert all(a != b for a, b in zip(first, other, strict=True))


@pytest.mark.skipif(keras.__version__.startswith("3.10."), reason="this Keras has no way to seed it")
def test_the_same_seed_gives_the_same_numbers_of_keras_random_without_a_seed():
    drawn = []
    for seed in (5, 5, 6):
        runtime.seed_everything(seed)
        drawn.append(keras.ops.convert_to_numpy(keras.random.normal((3,))).tolist())
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_smallest_and_the_largest_seed_and_numpy_ints_are_accepted():
    for seed in (0, 2**32 - 1, np.int64(3)):
        runtime.seed_everything(seed)


def test_deterministic_operations_are_switched_on_only_when_asked_for(monkeypatch):
    calls = []
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: calls.append(True))
    runtime.seed_everything(1)
    assert calls == []
    runtime.seed_everything(1, deterministic=True)
    assert calls == [True]


# The report


def test_setup_reports_versions_device_and_profile(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    record = runtime.setup()
    machine = f"Keras {keras.__version__} on tensorflow {tf.__version__}, CPU (6 cores), float32"
    assert record == runtime.Runtime(machine, profile="lite", host="")
    assert str(record) == f"{machine}\nprofile: lite (set {PROFILE} to change it)"


def test_the_report_names_the_gpu(with_gpu):
    record = runtime.setup()
    assert record.profile == "gpu"
    assert "NVIDIA T4" in str(record)
    assert "CPU" not in str(record)


def test_mixed_precision_is_bfloat16_on_a_cpu_and_float16_on_a_gpu(monkeypatch):
    assert runtime.setup(mixed_precision=True).machine.endswith(", mixed_bfloat16")
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    assert (layer.compute_dtype, layer.kernel.dtype) == ("bfloat16", "float32")
    monkeypatch.setattr(runtime, "find_gpus", lambda *, memory_growth=False: ("NVIDIA T4",))
    assert runtime.setup(mixed_precision=True).machine.endswith(", mixed_float16")


def test_setup_sets_the_precision_back_that_an_earlier_setup_changed():
    runtime.setup(mixed_precision=True)
    assert runtime.setup().machine.endswith(", float32")
    assert keras.config.dtype_policy().name == "float32"


def test_colab_and_kaggle_are_recognised_by_their_variables_in_a_command_too(monkeypatch):
    assert runtime.host() == ""
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab_20260819-060051_RC00")
    assert runtime.setup().host == "Colab"
    command = [sys.executable, "-c", "from kerascv_course import runtime; print(runtime.host())"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "Colab\n"
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")  # Kaggle's machines are made from Colab's
    assert runtime.host() == "Kaggle"


CIFAR10 = {"cifar10": "CIFAR-10 (170 MB)"}


@pytest.mark.parametrize(
    ("profile", "host", "downloads", "said"),
    [
        ("smoke", "", "never", "Not at hand: CIFAR-10 (170 MB). To get it: kerascv-course data fetch cifar10"),
        (
            "smoke",
            "Colab",
            "never",
            "Not at hand: CIFAR-10 (170 MB). To get it: kerascv-course data fetch cifar10",
        ),
        ("lite", "", "never", "Not at hand: CIFAR-10 (170 MB). To get it: kerascv-course data fetch cifar10"),
        ("lite", "Colab", "if possible", "To be downloaded if there is a network: CIFAR-10 (170 MB)"),
        ("lite", "Kaggle", "if possible", "To be downloaded if there is a network: CIFAR-10 (170 MB)"),
        ("full", "", "always", "To be downloaded: CIFAR-10 (170 MB)"),
        ("gpu", "Colab", "always", "To be downloaded: CIFAR-10 (170 MB)"),
    ],
)
def test_the_report_says_beforehand_what_will_be_downloaded(monkeypatch, profile, host, downloads, said):
    monkeypatch.setenv(PROFILE, profile)
    monkeypatch.setattr(runtime, "host", lambda: host)
    record = runtime.setup(missing=CIFAR10)
    assert record.downloads == downloads
    assert str(record).splitlines()[2:] == [said]
    assert len(str(runtime.setup()).splitlines()) == 2  # nothing is missing


# GPUs: a machine with two is imitated


@pytest.fixture
def two_gpus(monkeypatch):
    """Undo the imitation above and imitate TensorFlow's own answers instead; return who got memory growth."""
    monkeypatch.undo()
    devices = [SimpleNamespace(name=f"/physical_device:GPU:{number}") for number in range(2)]
    grown = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: devices if kind == "GPU" else [])
    monkeypatch.setattr(
        tf.config.experimental,
        "get_device_details",
        lambda device: {"device_name": "NVIDIA T4"} if device is devices[0] else {},
    )
    monkeypatch.setattr(
        tf.config.experimental, "set_memory_growth", lambda device, enable: grown.append((device.name, enable))
    )
    return grown


def test_gpus_are_named_and_left_as_they_are_unless_memory_growth_is_asked_for(two_gpus):
    assert runtime.find_gpus() == ("NVIDIA T4", "/physical_device:GPU:1")
    assert two_gpus == []
    assert runtime.find_gpus(memory_growth=True) == ("NVIDIA T4", "/physical_device:GPU:1")
    assert two_gpus == [("/physical_device:GPU:0", True), ("/physical_device:GPU:1", True)]


def test_setup_asks_for_memory_growth(two_gpus, monkeypatch):
    monkeypatch.setenv(PROFILE, "smoke")
    assert ", NVIDIA T4, /physical_device:GPU:1, " in runtime.setup().machine
    assert [enable for _, enable in two_gpus] == [True, True]


def test_gpus_that_tensorflow_already_uses_are_still_reported(two_gpus, monkeypatch):
    def refuse(device, enable):
        raise RuntimeError("Physical devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", refuse)
    assert len(runtime.find_gpus(memory_growth=True)) == 2


def test_other_backends_are_asked_for_their_gpus(monkeypatch):
    monkeypatch.undo()
    gpu, cpu = SimpleNamespace(platform="gpu", device_kind="NVIDIA T4"), SimpleNamespace(platform="cpu")
    cuda = SimpleNamespace(device_count=lambda: 1, get_device_name=lambda number: f"NVIDIA {number}")
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(devices=lambda: [cpu, gpu]))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    for backend, expected in (("jax", ("NVIDIA T4",)), ("torch", ("NVIDIA 0",)), ("numpy", ())):
        monkeypatch.setattr(keras.config, "backend", lambda backend=backend: backend)
        assert runtime.find_gpus() == expected


# Gradients


@pytest.mark.smoke
def test_the_gradient_is_the_one_of_the_calculus_and_has_the_shape_of_its_argument():
    x = np.array([[1.0, -2.0, 3.0], [0.0, 0.5, 4.0]], "float32")
    value, slope = runtime.gradient(lambda x: keras.ops.sum(x**3), x)
    assert float(value) == pytest.approx((x**3).sum())
    np.testing.assert_allclose(keras.ops.convert_to_numpy(slope), 3 * x**2, rtol=1e-6)


def test_the_gradient_goes_through_a_model_and_changes_no_weight():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    weights = model.get_weights()
    _, slope = runtime.gradient(lambda x: keras.ops.sum(model(x)[:, 1]), np.ones((4, 3), "float32"))
    np.testing.assert_allclose(slope, np.tile(weights[0][:, 1], (4, 1)), rtol=1e-6)
    np.testing.assert_equal(model.get_weights(), weights)


def test_where_the_value_does_not_depend_on_the_argument_the_gradient_is_zero():
    value, slope = runtime.gradient(lambda x: keras.ops.convert_to_tensor(7.0), np.ones(3, "float32"))
    assert (float(value), slope.numpy().tolist()) == (7, [0, 0, 0])


# Bad input


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: runtime.setup(seed=-1),
            ValueError,
            "`seed` of `setup` must be an integer from 0 to 4294967295",
        ),
        (lambda: runtime.setup(seed=2**32), ValueError, "Received: seed=4294967296."),
        (lambda: runtime.setup(seed="1"), TypeError, "`seed` of `setup` must be an integer"),
        (lambda: runtime.setup(seed=None), TypeError, "Received: seed=None."),
        (lambda: runtime.seed_everything(1.5), TypeError, "`seed` of `seed_everything` must be an integer"),
        (lambda: runtime.seed_everything(True), TypeError, "Received: seed=True."),
        (
            lambda: runtime.by_profile(smoke=1, lite=2),
            ValueError,
            "`choices` of `by_profile` must be one value for each of smoke, lite, full and gpu. "
            "Received: choices={'smoke': 1, 'lite': 2}.",
        ),
        (lambda: runtime.by_profile(), ValueError, "Received: choices={}."),
        (lambda: runtime.by_profile(smoke=1, lite=2, full=3, huge=4), ValueError, "'huge': 4}."),
        (lambda: runtime.by_profile(smoke=1, light=2, full=3), ValueError, "'light': 2"),
        (lambda: runtime.gradient(lambda x: x, np.ones(2, int)), TypeError, "`x` of `gradient` must be floats"),
        (
            lambda: runtime.gradient(lambda x: x, np.ones(2, "float32")),
            ValueError,
            "`function` of `gradient` must be one that returns a scalar tensor",
        ),
    ],
)
def test_bad_input_is_refused_with_a_specific_error(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_a_backend_without_gradients_is_named(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "numpy")
    with pytest.raises(RuntimeError, match="not 'numpy'"):
        runtime.gradient(lambda x: x**2, 3.0)


@pytest.mark.parametrize("name", ["huge", "LITE", "lite "])
@pytest.mark.parametrize(
    "call", [runtime.profile, runtime.setup, lambda: runtime.by_profile(smoke=1, lite=2, full=3)]
)
def test_a_bad_profile_is_refused_and_the_variable_named(monkeypatch, call, name):
    monkeypatch.setenv(PROFILE, name)
    message = f"`{PROFILE}` of `profile` must be 'smoke', 'lite', 'full' or 'gpu'. Received: {PROFILE}={name!r}."
    with pytest.raises(ValueError, match="must be") as caught:
        call()
    assert str(caught.value) == message + ("" if name == "huge" else " Did you mean 'lite'?")


def test_bad_input_changes_no_seed_and_no_precision(monkeypatch):
    runtime.setup(seed=1, mixed_precision=True)
    expected = draw()
    runtime.setup(seed=1, mixed_precision=True)
    with pytest.raises(ValueError, match="seed"):
        runtime.setup(seed=-1)
    monkeypatch.setenv(PROFILE, "huge")
    with pytest.raises(ValueError, match="huge"):
        runtime.setup(seed=2)
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert draw() == expected


def test_after_the_setup_of_a_notebook_no_notes_on_tracing_are_shown(caplog, monkeypatch):
    logger = logging.getLogger("tensorflow")
    monkeypatch.setattr(logger, "filters", [])
    logger.addHandler(caplog.handler)
    try:
        runtime.setup()
        with runtime.without_tracing_notes():
            pass
        logger.warning("5 out of the last 9 calls triggered tf.function retracing")
        logger.warning("another message")
    finally:
        logger.removeHandler(caplog.handler)
    assert {record.getMessage() for record in caplog.records} == {"another message"}


def test_notes_on_tracing_are_kept_back_within_the_block_alone(caplog, monkeypatch):
    logger = logging.getLogger("tensorflow")
    monkeypatch.setattr(logger, "filters", [])
    logger.addHandler(caplog.handler)
    try:
        with runtime.without_tracing_notes():
            with runtime.without_tracing_notes():
                logger.warning("1 triggered tf.function retracing")
            logger.warning("2 triggered tf.function retracing")
            logger.warning("3 is another message")
        with pytest.raises(KeyError), runtime.without_tracing_notes():
            raise KeyError
        logger.warning("4 triggered tf.function retracing")
    finally:
        logger.removeHandler(caplog.handler)
    assert sorted({record.getMessage()[0] for record in caplog.records}) == ["3", "4"]
