"""Settings of every test: quiet TensorFlow, no screen, and a cache folder of its own."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "agg")

import pytest


@pytest.fixture(autouse=True)
def own_cache_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the package's cache at an empty folder, so that no test reads or writes the user's."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("KERASCV_COURSE_CACHE", str(folder))
    return folder


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
