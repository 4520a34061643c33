"""The profile `gpu`, with its sizes cut so that it runs anywhere; and what only a GPU can show."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from nbformat.v4 import new_code_cell

from kerascv_course import runtime
from kerascv_course.datasets import load

REAL_DATA = os.environ.get("KERASCV_COURSE_DATA")

# The courses' own sizes, cut

# The first pattern that stands in the name of a knob says to what each of its numbers is cut; None means "all".
CUT = """\
LEAST = {
    **{"epochs": 1, "stages": 1, "seeds": 1, "repeated": 1, "per_class": 20, "test": 20, "images": 20},
    **{"trials": 3, "stop": 1, "sweep": 20, "folds": 2, "runs": 1, "cuts": 1, "mapped": 100, "perplexities": 5},
    **{"words": 16, "descriptors": 2000, "parcels": 80, "slide_queries": 5},
    **{"steps": 5, "views": 2, "looks": 4, "blocks": 3, "normalized": 1, "curve": 3},
    **{"variants": 2, "designs": 1, "mixtures": 1, "factors": 1, "side": 96},
}

INSTEAD = {
    **{"every": 8, "depths": (8, 14), "curve": (3, 5)},  # each so many blocks are a step; ResNets; sizes
    **{"applications": ("MobileNet", "MobileNetV2"), "compared": ("no batch norm", "residual")},
}


def cut(name, value):
    if name in INSTEAD and isinstance(value, type(INSTEAD[name])):
        return INSTEAD[name]
    least = next((least for pattern, least in LEAST.items() if pattern in name), None)
    if least is None or isinstance(value, (str, float)):
        return value
    if isinstance(value, (list, range)):
        return value[:least]
    if isinstance(value, tuple):
        return tuple(each if isinstance(each, tuple) else min(each, least) for each in value)
    return least if value is None else min(value, least)


def cut_all(*tables):
    for table in tables:
        table.update({name: cut(name, value) for name, value in table.items()})
"""


def knobs_of(text):
    """Return the names of the tables of sizes that a cell makes."""
    calls = "by_profile" in text
    statements = (
        [one for one in ast.parse(text).body if isinstance(one, ast.Assign | ast.AugAssign)] if calls else []
    )
    targets = [one.targets[0] if isinstance(one, ast.Assign) else one.target for one in statements]
    names = dict.fromkeys(ast.unparse(target) for target in targets)
    return [name for name in names if name.endswith("knobs") or name == "counting"]


def in_profile_gpu(source, folder, behind_knobs, *, data, cells=None):
    """Execute a solved notebook, or its first cells, with another cell behind each that makes tables of sizes."""
    from kerascv_course.notebooks.execute import execute_notebook
    from kerascv_course.notebooks.source import make_notebook

    notebook = make_notebook(source, "solved")
    changed = [new_code_cell(CUT)]
    for cell in notebook.cells[:cells]:
        changed.append(cell)
        if cell.cell_type == "code" and (names := knobs_of(cell.source)):
            changed.append(new_code_cell(behind_knobs.format(", ".join(names))))
    for number, cell in enumerate(changed):
        cell["id"] = f"cell-{number}"
    notebook.cells = changed
    environment = {"KERASCV_COURSE_PROFILE": "gpu", "KERASCV_COURSE_DATA": str(data)}
    return execute_notebook(notebook, folder, source.name, environment=environment)


@pytest.fixture(scope="module")
def data_of_the_courses(tmp_path_factory):
    """Return a folder with class folders of CIFAR-10's names, and weights of both backbones, all made here."""
    import keras
    from PIL import Image

    from kerascv_course.datasets.cifar10 import _CLASS_NAMES

    folder = tmp_path_factory.mktemp("data")
    patches = load("patches")
    for split in ("train", "test"):
        images, labels = getattr(patches, f"x_{split}"), getattr(patches, f"y_{split}")
        for label, name in enumerate(_CLASS_NAMES):
            place = folder / "cifar10" / split / name
            place.mkdir(parents=True)
            for number, image in enumerate(images[labels == label][:50]):
                Image.fromarray(image).save(place / f"{number}.png")
    (folder / "models").mkdir()
    for build in (keras.applications.MobileNetV2, keras.applications.InceptionV3):
        backbone = build(include_top=False, weights=None)
        backbone.save_weights(folder / "models" / f"{build.__name__}_untrained_notop.weights.h5")
    return folder


def sources():
    from kerascv_course.notebooks.source import list_sources

    return list_sources(Path(__file__).parent.parent / "notebooks" / "source")


@pytest.mark.slow
@pytest.mark.parametrize("source", [pytest.param(source, id=source.name) for source in sources()])
def test_each_notebook_runs_in_the_profile_gpu_with_its_sizes_cut(
    source, tmp_path, data_of_the_courses, monkeypatch
):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # kernels that see it capture less
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    done = in_profile_gpu(source, tmp_path / "out", "cut_all({})", data=data_of_the_courses)
    error = done.error
    assert error is None
    assert done.summary
    assert "in place of" not in done.summary


def test_every_notebook_names_its_sizes_for_a_gpu_in_a_table_that_the_test_above_cuts():
    for source in sources():
        texts = source.path.read_text(encoding="utf-8").split("# %%")
        tables = [text for text in texts if knobs_of(text.partition("\n")[2])]
        assert tables, source.name
        assert all("gpu=" in text for text in tables), source.name


# A GPU


@pytest.fixture
def gpu():
    """Skip a test where the backend finds no GPU."""
    found = runtime.find_gpus()
    if not found:
        pytest.skip("the backend of Keras finds no GPU here")
    return found


@pytest.mark.gpu
def test_memory_grows_on_demand(gpu):
    script = """
import keras, tensorflow as tf
from kerascv_course import runtime
record = runtime.setup()
keras.ops.sum(keras.ops.ones((1000, 1000)))
print([tf.config.experimental.get_memory_growth(each) for each in tf.config.list_physical_devices("GPU")])
"""
    if "on tensorflow" not in runtime.setup().machine:
        pytest.skip("the other backends plan their memory themselves")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == str([True] * len(gpu))


@pytest.mark.gpu
def test_mixed_precision_computes_in_float16_and_keeps_its_weights_in_float32(gpu):
    import keras

    try:
        assert runtime.setup(mixed_precision=True).machine.endswith(", mixed_float16")
        layer = keras.layers.Dense(2)
        assert keras.backend.standardize_dtype(layer(np.ones((1, 3), "float32")).dtype) == "float16"
        assert keras.backend.standardize_dtype(layer.kernel.dtype) == "float32"
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.gpu
def test_two_steps_of_training_change_the_weights_as_on_the_processor(gpu, tmp_path):
    script = """
import sys
import keras, numpy as np
images = np.random.default_rng(0).normal(size=(16, 8, 8, 3)).astype("float32")
keras.utils.set_random_seed(1)
convolution = keras.layers.Conv2D(4, 3, activation="relu")
layers = [convolution, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4, "softmax")]
model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
values = np.random.default_rng(1)
before = [values.normal(0, 0.3, weight.shape) for weight in model.get_weights()]
model.set_weights(before)
model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
model.fit(images, np.arange(16) % 4, batch_size=8, epochs=1, shuffle=False, verbose=0)
np.savez(sys.argv[1], *[new - old for new, old in zip(model.get_weights(), before)])
"""
    changes = []
    for place, hidden in {"gpu": {}, "processor": {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}}.items():
        file = tmp_path / f"{place}.npz"
        subprocess.run([sys.executable, "-c", script, str(file)], env=os.environ | hidden, check=True)
        changes.append(list(np.load(file).values()))
    for on_gpu, on_processor in zip(*changes, strict=True):
        np.testing.assert_allclose(on_gpu, on_processor, rtol=0.02, atol=1e-4)  # a GPU may round to TF32
        assert np.abs(on_gpu).max() > 1e-3


@pytest.mark.gpu
@pytest.mark.real_data
@pytest.mark.skipif(not REAL_DATA, reason="KERASCV_COURSE_DATA is not set: no real CIFAR-10")
def test_the_first_epoch_of_the_recipe_for_94_percent_learns(gpu, tmp_path, monkeypatch):
    from kerascv_course.notebooks.source import make_notebook

    (source,) = [one for one in sources() if one.name.endswith("fast_cifar10")]
    texts = [cell.source for cell in make_notebook(source, "solved").cells]
    (last,) = [number for number, text in enumerate(texts) if "def accuracies" in text]
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    once = "for table in ({},): table.update(epochs=1, seeds=1)"
    done = in_profile_gpu(source, tmp_path, once, data=REAL_DATA, cells=last + 1)
    assert done.error is None
    printed = "".join(output.get("text", "") for output in done.notebook.cells[-1].outputs)
    assert float(re.search(r"mean ([\d.]+)%", printed)[1]) > 30  # three times what guessing gives
