"""Colab's lists of packages: how they are written, and that the package's bounds replace nothing of theirs."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "constraints"
PUBLISHED = """\
# Do not modify this file directly; it is generated
Zope==1.0
absl-py==1.4.0
-e git+https://example.org/x#egg=x
google-colab @ file:///colabtools/dist/google-colab-1.0.0.tar.gz
torch==2.9.0+cpu
pandas==2.2.2
"""


def test_the_script_keeps_versions_and_leaves_out_what_is_installed_from_an_address(tmp_path):
    script = shutil.copy(CONSTRAINTS / "make_colab.py", tmp_path)
    (tmp_path / "pip-freeze.tpu.txt").write_text(PUBLISHED)
    command = [sys.executable, script, "--of", "2026-01-02, commit abc", tmp_path / "pip-freeze.tpu.txt"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "colab-tpu.txt: 4 packages\n"
    first, _, *lines = (tmp_path / "colab-tpu.txt").read_text().splitlines()
    assert first == "# What Google Colab's TPU runtime has: 2026-01-02, commit abc."
    assert lines == ["absl-py==1.4.0", "pandas==2.2.2", "torch==2.9.0+cpu", "Zope==1.0"]


@pytest.mark.parametrize(("kind", "lacks"), [("cpu", set()), ("gpu", set()), ("tpu", {"tensorflow"})])
def test_what_colab_has_satisfies_every_bound_of_the_package(kind, lacks):
    lines = (CONSTRAINTS / f"colab-{kind}.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    there = {canonicalize_name(name): version for name, version in pinned.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = {canonicalize_name(each.name): each.specifier for each in map(Requirement, project["dependencies"])}
    assert {name for name in bounds if name not in there} == lacks
    assert [(name, there[name]) for name in bounds if name in there and there[name] not in bounds[name]] == []


@pytest.mark.parametrize(
    ("installed", "asked_for", "expected"),
    [
        ({"jax"}, "", "jax"),
        ({"jax"}, "torch", "torch"),
        ({"jax", "tensorflow"}, "", ""),
        (set(), "", ""),
    ],
)
def test_where_tensorflow_is_not_installed_the_package_chooses_jax(monkeypatch, installed, asked_for, expected):
    monkeypatch.setenv("KERAS_BACKEND", asked_for)  # and so it is undone, whatever the code sets
    if not asked_for:
        monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: "found" if name in installed else None)
    path = ROOT / "kerascv_course" / "__init__.py"
    exec(compile(path.read_text(encoding="utf-8"), path, "exec"), {"__name__": "kerascv_course"})
    assert os.environ.get("KERAS_BACKEND", "") == expected
