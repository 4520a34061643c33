"""The page on slide code: what it says fails does fail, and what it says runs does run."""

import builtins
import re
from pathlib import Path

import keras
import numpy as np
import pytest

PAGE = Path(__file__).parent.parent / "notebooks" / "slide_code_today.md"
BLOCKS = re.findall(r"```python (\w+) ?(\w*)\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


def names() -> dict:
    return {"keras": keras, "images": np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")}


def identifier(block) -> str:
    return block[2].splitlines()[-1][:60]


@pytest.mark.smoke
@pytest.mark.parametrize("block", [block for block in BLOCKS if block[0] == "slide"], ids=identifier)
def test_the_line_of_the_slide_fails_as_the_page_says(block):
    _, error, code = block
    with pytest.raises(getattr(builtins, error)):
        exec(code, names())


@pytest.mark.smoke
@pytest.mark.parametrize("block", [block for block in BLOCKS if block[0] == "today"], ids=identifier)
def test_what_replaces_it_runs(block):
    exec(block[2], names())


def test_the_page_has_every_line_of_the_courses():
    text = " ".join(code for kind, _, code in BLOCKS if kind == "slide")
    for word in ("RandomHeight", "RandomWidth", "period=1", 'metrics="accuracy"', "ImageDataGenerator",
                 "layers[:-2]", "Adam(le-5)", 'pooling="none"'):  # fmt: skip
        assert word in text
    assert len(BLOCKS) == PAGE.read_text(encoding="utf-8").count("```python")
