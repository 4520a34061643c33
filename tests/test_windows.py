"""What Windows does otherwise than Linux, as far as another system can tell: names of files, and paths."""

import ast
import re
import subprocess
from pathlib import Path, PureWindowsPath

import keras
import numpy as np
import pytest

from kerascv_course import Stage
from kerascv_course.experiment import compare
from kerascv_course.transfer import fit_stages

ROOT = Path(__file__).parent.parent
PACKAGE = sorted((ROOT / "kerascv_course").rglob("*.py"))


def is_legal(path: str) -> bool:
    """Tell whether Windows can have a file of this relative path."""
    parts = PureWindowsPath(path).parts
    reserved = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
    return not any(
        re.search(r'[<>:"|?*\x00-\x1f]', part) or part.endswith((".", " ")) or reserved.fullmatch(part)
        for part in parts
    )


@pytest.mark.parametrize("path", ["a:b", "what?", "aux.py", "ends.", "x/con", 'a"b', "tab\t"])
def test_the_probe_knows_what_windows_refuses(path):
    assert not is_legal(path)
    assert is_legal(f"fine/{len(path)}.txt")


def test_every_file_of_the_repository_has_a_name_that_windows_takes():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    names = [name for name in listed.stdout.split("\0") if name]
    if not names:
        pytest.skip("no clone of the repository")
    assert [name for name in names if not is_legal(name)] == []
    assert len({name.casefold() for name in names}) == len(names)
    assert max(map(len, names)) < 120  # of the 260 characters of a path


def build():
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_names_of_variants_and_stages_reach_no_file_name(tmp_path, eager):
    x, y = np.zeros((8, 4, 4, 1), "float32"), np.arange(8) % 2
    compare(
        {"a: b?": build, "con": build},
        (x, y),
        validation_data=(x, y),
        epochs=1,
        seeds=[0],
        folder=tmp_path / "compared",
        verbose=0,
    )
    base = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 3, name="conv")])
    model = keras.Sequential([base, keras.layers.Flatten(), keras.layers.Dense(2, "softmax")])
    stages = [Stage("head", epochs=1), Stage("last: 1/2?", unfreeze_from="conv", epochs=1)]
    fit_stages(model, stages, (x, y), validation_split=0, folder=tmp_path / "stages", verbose=0)
    written = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")]
    assert len(written) >= 4
    assert [name for name in written if not is_legal(name)] == []


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_is_read_or_written_in_the_encoding_of_the_machine(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    unnamed = []
    for call in calls:
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        words = [ast.unparse(each) for each in (*call.args, *call.keywords)]
        if name in {"read_text", "write_text"} or (isinstance(call.func, ast.Name) and name == "open"):
            named = any(word.startswith("encoding=") or word in {"'utf-8'", "'rb'", "'wb'"} for word in words)
            if not named and words != ["'direct_url.json'"]:  # that is importlib.metadata's
                unnamed.append(ast.unparse(call))
    assert unnamed == []
