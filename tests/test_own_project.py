"""What a student writes in a project of their own: the patterns of the README, and a whole script."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
SECTION = (ROOT / "README.md").read_text(encoding="utf-8").split("### In your own project")[1].split("\n## ")[0]
BLOCKS = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)


@pytest.mark.slow
def test_the_patterns_of_the_readme_run_one_after_the_other(tmp_path, monkeypatch, eager):
    """Without network: the weights of MobileNetV2 are random, and its images small."""
    rng = np.random.default_rng(0)
    for name, level, count in (("cat", 40, 20), ("dog", 160, 10)):
        (tmp_path / "photographs" / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(level, level + 60, (40, 48, 3), dtype="uint8")
            Image.fromarray(pixels).save(tmp_path / "photographs" / name / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    scope = {}
    assert len(BLOCKS) == 5
    for block in BLOCKS:
        small = block.replace("96, 3)", "32, 3), weights=None").replace("(96, ", "(32, ")
        small = small.replace("num_classes, image_size=96", "num_classes, image_size=32, weights=None")
        exec(compile(small.replace("image_size=96", "image_size=32"), "README.md", "exec"), scope)
    assert scope["brighter"].shape == (8, 32, 32, 3)
    assert [row.trainable_params > 0 for row in scope["results"].rows] == [True]
    assert scope["nearest"].shape == (4, 3)
    assert (tmp_path / "report.html").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_students_script_runs_on_every_backend(backend, tmp_path):
    pytest.importorskip(backend)
    command = [sys.executable, str(ROOT / "tests" / "students" / "own_project.py"), str(tmp_path)]
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # what is compiled runs for a second
        "KERASCV_COURSE_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": str(ROOT),
    }
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert (tmp_path / "report.html").stat().st_size > 10_000
    told = [line for line in ran.stderr.splitlines() if "kerascv_course" in line and "Warning" in line]
    assert told == []
