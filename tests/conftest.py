"""Settings of every test: quiet TensorFlow, no screen, and a cache folder of its own."""

import contextlib
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "agg")

import pytest

collect_ignore = ["students"]  # a program, which a test runs


@pytest.fixture(autouse=True)
def own_cache_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the package's cache at an empty folder, so that no test reads or writes the user's."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("KERASCV_COURSE_CACHE", str(folder))
    return folder


PEAK = """
import re
from pathlib import Path

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

"""


@pytest.fixture
def measured():
    """Return a function that runs a program, in which `peak()` is the most memory that it has held so far, in MiB.

    `ru_maxrss` is no measure of it: a new process inherits that of the one which starts it.
    """
    if not Path("/proc/self/status").is_file():
        pytest.skip("reads the memory where Linux writes it")

    def run(program: str, *arguments: str) -> list[str]:
        command = [sys.executable, "-c", PEAK + program, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()

    return run


@contextlib.contextmanager
def running_eagerly() -> Iterator[None]:
    """Call tiny networks directly on TensorFlow: to trace each of them would take longer than to train it."""
    import keras

    if keras.config.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Even though the `tf.config.experimental_run_functions_eagerly`")
            yield
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.fixture
def eager() -> Iterator[None]:
    """Run a test without tracing."""
    with running_eagerly():
        yield


@pytest.fixture(scope="session")
def in_advance(tmp_path_factory: pytest.TempPathFactory):
    """Return a context for what several tests share: without tracing, and with a cache folder of its own."""

    @contextlib.contextmanager
    def context() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch, running_eagerly():
            patch.setenv("KERASCV_COURSE_CACHE", str(tmp_path_factory.mktemp("cache")))
            yield

    return context


@pytest.fixture(scope="module")
def zeros_as_first_weights():
    """Build large models in no time, where only the shapes of their weights count."""
    import keras

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            keras.initializers.VarianceScaling,
            "__call__",
            lambda self, shape, dtype=None, **_: keras.ops.zeros(shape, dtype),
        )
        yield
