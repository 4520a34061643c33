"""The notebooks: the format of their sources, the generated files, their execution and the page."""

import ast
import base64
import copy
import functools
import io
import os
import re
import signal
import subprocess
import sys
import tomllib
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from skimage import data

from kerascv_course.notebooks import build, marks
from kerascv_course.notebooks.execute import execute_notebook
from kerascv_course.notebooks.figures import describe_figures
from kerascv_course.notebooks.page import page
from kerascv_course.notebooks.source import (
    Source,
    find_source,
    list_sources,
    make_notebook,
)

REAL_SOURCES = list_sources()
PIXEL = base64.b64encode(b"no real picture").decode()

LESSON = """\
# %% [markdown]
# # A lesson
#
# Of two exercises.

# %%
start = 1

# %% tags=["exercise"]
# ### Add
#
# The sum of both:

# student: answer = None
# solution
answer = start + 41
# end solution
print(answer)

ex.add.check(answer)


# %% tags=["exercise"]
# ### Double

def double(number):
    # student: return number  # repair me
    # solution
    return 2 * number
    # end solution


ex.double.check(double)

# %% [markdown] tags=["hints"]
# - A sum of `number` and `number`
#   is its double.
# - It is `2 * number`.

# %% [markdown] tags=["solution"]
# Forty-two, of course.

# %% tags=["solution"]
proof = 6 * 7

# %% tags=["summary"]
print(f"The answer: {answer}.")
"""


def write_source(folder: Path, text: str = LESSON, name: str = "01_lesson") -> Source:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return find_source(name, folder)


def sources_of(notebook) -> list[str]:
    return [cell.source for cell in notebook.cells]


def text_of(notebook) -> str:
    return "\n".join(sources_of(notebook))


# The sources


@pytest.mark.smoke
def test_a_source_is_found_by_name_number_part_or_file_name(tmp_path):
    for name in ("01_convolution", "02_lenet_cifar10", "03_lenet_again"):
        write_source(tmp_path, name=name)
    (tmp_path / "notes.py").write_text("")  # no number: no notebook
    assert [source.name for source in list_sources(tmp_path)] == [
        "01_convolution",
        "02_lenet_cifar10",
        "03_lenet_again",
    ]
    for name in (
        "02_lenet_cifar10",
        "02",
        "2",
        "cifar10",
        "CIFAR",
        "02_lenet_cifar10.py",
        "02_lenet_cifar10.ipynb",
    ):
        assert find_source(name, tmp_path).name == "02_lenet_cifar10"


def test_the_title_is_the_first_heading_and_else_the_name(tmp_path):
    assert write_source(tmp_path).title == "A lesson"
    assert write_source(tmp_path, "# %%\nx = 1\n", "02_bare").title == "02_bare"


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("resnet", "01_convolution, 02_lenet, 03_lenet_again"),
        ("lenet", "02_lenet, 03_lenet_again"),  # ambiguous: those that fit
        ("", "01_convolution, 02_lenet, 03_lenet_again"),
        ("9", "01_convolution, 02_lenet, 03_lenet_again"),
        ("0", "01_convolution, 02_lenet, 03_lenet_again"),  # a number, not a part of one
        ("²", "01_convolution, 02_lenet, 03_lenet_again"),
        ("../01_convolution", "01_convolution, 02_lenet, 03_lenet_again"),
    ],
)
def test_a_name_that_is_not_one_source_is_refused_with_the_candidates(tmp_path, name, listed):
    for known in ("01_convolution", "02_lenet", "03_lenet_again"):
        write_source(tmp_path, name=known)
    with pytest.raises(ValueError, match="must be") as caught:
        find_source(name, tmp_path)
    message = f"`notebook` of `run` must be the name of one notebook: {listed}. Received: notebook={name!r}."
    assert str(caught.value) == message


def test_a_folder_without_sources_is_refused_and_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(f"NN_topic.py) in {tmp_path}")):
        list_sources(tmp_path)


# The format


def stuck(name: str) -> str:
    return f"# Stuck? ex.{name}.hint() says more each time; ex.{name}.solution() shows the solution."


@pytest.mark.smoke
def test_the_student_gets_the_students_lines_and_no_solution(tmp_path):
    assert sources_of(make_notebook(write_source(tmp_path)))[1:] == [
        "# A lesson\n\nOf two exercises.",
        "start = 1",
        "### Exercise 1: Add\n\nThe sum of both:",
        "answer = None\nprint(answer)",
        f"ex.add.check(answer)\n{stuck('add')}",
        "### Exercise 2: Double",
        "def double(number):\n    return number  # repair me",
        f"ex.double.check(double)\n{stuck('double')}",
        'print(f"The answer: {answer}.")',
    ]


@pytest.mark.smoke
def test_the_solved_notebook_has_the_solutions_and_no_students_line(tmp_path):
    assert sources_of(make_notebook(write_source(tmp_path), "solved"))[1:] == [
        "# A lesson\n\nOf two exercises.",
        "start = 1",
        "### Exercise 1: Add\n\nThe sum of both:",
        "answer = start + 41\nprint(answer)",
        f"ex.add.check(answer)\n{stuck('add')}",
        "### Exercise 2: Double",
        "def double(number):\n    return 2 * number",
        f"ex.double.check(double)\n{stuck('double')}",
        "Forty-two, of course.",
        "proof = 6 * 7",
        'print(f"The answer: {answer}.")',
    ]


def test_cells_keep_their_kind_and_tags(tmp_path):
    cells = make_notebook(write_source(tmp_path), "solved").cells[1:]
    assert [(cell.cell_type, cell.metadata.get("tags", [])) for cell in cells] == [
        ("markdown", []),
        ("code", []),
        *[("markdown", []), ("code", ["exercise"]), ("code", ["check"])] * 2,
        ("markdown", ["solution"]),
        ("code", ["solution"]),
        ("code", ["summary"]),
    ]


@pytest.mark.parametrize("kind", ["student", "solved", "project"])
def test_hints_are_in_no_notebook(tmp_path, kind):
    assert "its double" not in text_of(make_notebook(write_source(tmp_path), kind))


def test_the_hints_of_an_exercise_are_the_lines_of_its_list(tmp_path, monkeypatch):
    write_source(tmp_path)
    monkeypatch.setattr(marks, "source_folder", lambda: tmp_path)
    found = marks.find_exercise("01_lesson", "double")
    assert found.hints == ["A sum of `number` and `number` is its double.", "It is `2 * number`."]
    assert found.remarks == "Forty-two, of course."
    assert marks.find_exercise("01_lesson", "add")[1:] == ([], "")


EXERCISE = '# %% [markdown]\n# # Title\n\n# %% tags=["exercise"]\n# ### One\n\n'
CHECK = "\nex.one.check(x)\n"
NO_PAIRS = "without pairs of `# solution` and `# end solution` in cell 2 of 07_bad.py"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('# %% tags=["excercise"]\nx = 1\n', "Unknown tag ['excercise'] in cell 1 of 07_bad.py. Known: appendix,"),
        (f"{EXERCISE}# solution\nx = 1\n{CHECK}", NO_PAIRS),
        (f"{EXERCISE}# solution\nx = 1\n# solution\ny = 1\n# end solution\n{CHECK}", NO_PAIRS),
        (f"{EXERCISE}# solution\nx = 1\n# end solution\ny = 1\n# end solution\n{CHECK}", NO_PAIRS),
        (f"{EXERCISE}# end solution\nx = 1\n# solution\n{CHECK}", NO_PAIRS),
        (f"{EXERCISE}x = 1\n{CHECK}", NO_PAIRS),
        (f"{EXERCISE}#solution\nx = 1\n#end solution\n{CHECK}", NO_PAIRS),
        (
            f"{EXERCISE}# solution\nx = 1\n# end solution\n",
            "does not end with a call `ex.NAME.check(...)` in cell 2 of 07_bad.py",
        ),
        (
            f"{EXERCISE.replace('# ### One', '# One')}# solution\nx = 1\n# end solution\n{CHECK}",
            "does not begin with a comment `# ### Title` in cell 2 of 07_bad.py",
        ),
        ('# %% tags=["check"]\nx = 1\n', "Unknown tag ['check'] in cell 1 of 07_bad.py"),
        ("# %%\n# solution\nx = 1\n# end solution\n", "mark without the tag `exercise` in cell 1 of 07_bad.py"),
        ("# %%\n# student: x = 1\n", "mark without the tag `exercise` in cell 1 of 07_bad.py"),
    ],
)
@pytest.mark.parametrize("kind", ["student", "solved"])
def test_a_source_that_breaks_a_rule_is_refused_with_its_cell_and_file(tmp_path, kind, text, message):
    source = write_source(tmp_path, text, "07_bad")
    with pytest.raises(ValueError, match="07_bad") as caught:
        make_notebook(source, kind)
    assert message in str(caught.value)


# The real sources


@functools.cache
def built(source: Source, kind):
    """Return a real notebook, built once for all tests that only read it."""
    return make_notebook(source, kind)


every_source = pytest.mark.parametrize("source", REAL_SOURCES, ids=lambda source: source.name)


def solution_lines(source: Source) -> tuple[set[str], set[str]]:
    """Return a source's lines between solution marks or in solution cells, and all of its others.

    Reads the file by itself, line by line, without the package.
    """
    secret, public = set(), set()
    in_cell = in_marks = False
    for line in source.path.read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if line.startswith("# %%"):
            in_cell = '"solution"' in line
        elif line in ("# solution", "# end solution"):
            in_marks = line == "# solution"
        else:
            text = line.removeprefix("# student: ").removeprefix("# ")
            (secret if in_cell or in_marks else public).add(text)
    return secret, public


@every_source
def test_no_line_of_a_solution_is_in_the_students_notebook(source):
    secret, public = solution_lines(source)
    secret = {line for line in secret - public if len(line) >= 4}
    assert secret
    student = text_of(built(source, "student"))
    assert [line for line in secret if line in student] == []
    solved = text_of(built(source, "solved"))
    assert [line for line in secret if line not in solved] == []


@pytest.mark.parametrize("kind", ["student", "solved"])
@every_source
def test_every_code_cell_parses_and_nothing_of_the_format_is_left(source, kind):
    notebook = built(source, kind)
    manager = TransformerManager()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            ast.parse(manager.transform_cell(cell.source))
            assert not re.search(r"^\s*# (solution|end solution|student: .*)$", cell.source, flags=re.MULTILINE)
            assert (cell.outputs, cell.execution_count) == ([], None)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    nbformat.validate(notebook)


@every_source
def test_each_exercise_is_followed_by_its_check_and_the_last_code_cell_is_the_summary(source):
    code = [cell for cell in built(source, "student").cells if cell.cell_type == "code"]
    tags = [cell.metadata.get("tags", []) for cell in code]
    assert tags.count(["exercise"]) == tags.count(["check"]) >= 3
    for this, following in pairwise(tags):
        assert (this == ["exercise"]) == (following == ["check"])
    assert tags[-1] == ["summary"]
    assert tags.count(["summary"]) == 1


@pytest.mark.parametrize("kind", ["student", "solved"])
def test_two_builds_of_a_notebook_are_the_same_bytes(kind, tmp_path):
    for number in (1, 2):
        build.write_notebook(make_notebook(REAL_SOURCES[0], kind), tmp_path / f"{number}.ipynb")
    first, second = ((tmp_path / f"{number}.ipynb").read_bytes() for number in (1, 2))
    assert first == second
    assert b"\r" not in first


@every_source
def test_every_formula_of_a_real_notebook_becomes_mathml(source):
    cells = [cell for cell in built(source, "solved").cells if cell.cell_type == "markdown"]
    html = page(new_notebook(cells=cells))
    text = re.sub(r"<(pre|code)\b.*?</\1>", "", html[html.index("<main") :], flags=re.DOTALL)
    assert "$" not in text
    assert not re.search(r"formula\d", text)
    assert "<math" in text
    assert not re.search(r"\\|\[\d+e[mx]\]", re.sub(r"<[^>]*>", "", text))  # no TeX command is left as text


# Colab


HEAD = """[01_lesson]
able = "add"
need = "to count"
data = "none"
minutes = { lite = 0.5, full = 30 }
"""


def test_the_head_stands_below_the_title_but_in_no_project(tmp_path):
    source = write_source(tmp_path)
    (tmp_path / "heads.toml").write_text(HEAD, encoding="utf-8")
    head = [
        "- **You will be able to** add.",
        "- **You need** to count.",
        "- **Data:** none.",
        "- **Minutes** of a laptop's processor: 0.5 in the profile `lite`, 30 in `full`.",
    ]
    for kind in ("student", "solved"):
        assert sources_of(make_notebook(source, kind))[1].splitlines()[-5:] == ["", *head]
    assert "You need" not in text_of(make_notebook(source, "project"))


@pytest.mark.parametrize("source", REAL_SOURCES, ids=lambda source: source.name)
def test_the_readme_gives_a_teacher_the_minutes_of_each_head(source):
    head = tomllib.loads(source.path.with_name("heads.toml").read_text(encoding="utf-8"))[source.name]
    assert all(head[key] for key in ("able", "need", "data"))
    assert 0 < head["minutes"]["lite"] <= 1.5
    assert head["minutes"]["lite"] < head["minutes"]["full"]
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| \d+ \| `{source.name}` \| ([\d.]+) \| ([\d.]+) \|$", readme, re.MULTILINE)
    assert [float(number) for number in row] == [head["minutes"]["lite"], head["minutes"]["full"]]


def test_the_metadata_asks_colab_for_a_gpu(tmp_path):
    source = write_source(tmp_path)
    for kind in ("student", "solved"):
        metadata = make_notebook(source, kind).metadata
        assert metadata.accelerator == "GPU"
        assert metadata.colab.gpuType == "T4"
        assert metadata.kernelspec.name == "python3"
        assert metadata.title == "A lesson"


# The generated files


@pytest.fixture
def folder(tmp_path):
    """Return a `notebooks` folder with one source and its two generated files, the solved one with an output."""
    notebooks = tmp_path / "notebooks"
    write_source(notebooks / "source")
    assert build.write_files(notebooks) == [notebooks / "solutions" / "01_lesson.ipynb"]
    edit(notebooks / "solutions" / "01_lesson.ipynb", add_outputs)
    return notebooks


def edit(path, change):
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    build.write_notebook(notebook, path)


def add_outputs(notebook):
    for number, cell in enumerate(cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.execution_count = number + 1
        cell.outputs = [new_output("stream", name="stdout", text=f"output {number}\n")]


def outputs_of(path):
    cells = nbformat.read(path, as_version=4).cells
    return [output.text for cell in cells for output in cell.get("outputs", [])]


@pytest.mark.smoke
def test_build_writes_the_students_and_the_solved_notebook(folder):
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.ipynb")) == [
        "01_lesson.ipynb",
        "solutions/01_lesson.ipynb",
    ]
    source = find_source("1", folder / "source")
    assert sources_of(nbformat.read(folder / "01_lesson.ipynb", 4)) == sources_of(make_notebook(source))
    solved = nbformat.read(folder / "solutions" / "01_lesson.ipynb", 4)
    assert sources_of(solved) == sources_of(make_notebook(source, "solved"))
    assert build.stale_files(folder) == []


def test_outputs_survive_a_change_of_text(folder):
    solved = folder / "solutions" / "01_lesson.ipynb"
    before = outputs_of(solved)
    assert len(before) == 8
    write_source(
        folder / "source", LESSON.replace("Of two exercises.", "Of two short exercises.\n#\n# And a check.")
    )
    assert build.write_files(folder) == []
    assert outputs_of(solved) == before
    counts = [cell.execution_count for cell in nbformat.read(solved, 4).cells if cell.cell_type == "code"]
    assert counts == [1, 2, 3, 4, 5, 6, 7, 8]
    assert "two short exercises" in text_of(nbformat.read(solved, 4))
    assert outputs_of(folder / "01_lesson.ipynb") == []


def test_a_metadata_field_of_a_page_is_not_stale_and_leaves_the_outputs(folder):
    solved = folder / "solutions" / "01_lesson.ipynb"
    before = outputs_of(solved)
    edit(solved, lambda notebook: notebook.metadata.pop("accelerator"))
    assert build.stale_files(folder) == []
    assert build.write_files(folder) == []
    assert outputs_of(solved) == before
    assert nbformat.read(solved, 4).metadata.accelerator == "GPU"


def test_outputs_are_dropped_when_code_changes(folder):
    solved = folder / "solutions" / "01_lesson.ipynb"
    write_source(folder / "source", LESSON.replace("proof = 6 * 7", "proof = 7 * 6"))
    assert build.write_files(folder) == [solved]
    assert outputs_of(solved) == []


def test_a_set_without_solutions_withholds_them_and_differs_in_nothing_else(folder, tmp_path):
    text = LESSON.replace("start = 1", "from kerascv_course.exercises import convolution as ex\n\nstart = 1")
    source = write_source(folder / "source", text)
    assert build.write_set(folder, tmp_path / "set", solutions=False) == [tmp_path / "set" / "01_lesson.ipynb"]
    handed_out = sources_of(nbformat.read(tmp_path / "set" / "01_lesson.ipynb", 4))
    usual = sources_of(make_notebook(source))
    changed = [(new, old) for new, old in zip(handed_out, usual, strict=True) if new != old]
    assert changed == [
        (old.replace(" as ex\n", " as ex\n\nex.withhold_solutions()\n"), old)
        if "import" in old
        else (old.replace(f"; ex.{name}.solution() shows the solution.", "."), old)
        for (_, old), name in zip(changed, ("", "add", "double"), strict=True)
    ]


@every_source
def test_every_real_notebook_can_withhold_its_solutions(source):
    text = text_of(make_notebook(source, solutions=False))
    assert "ex.withhold_solutions()" in text
    assert ".solution()" not in text


def picture(pixels) -> str:
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "PNG")
    return base64.b64encode(png.getvalue()).decode()


def test_a_photograph_becomes_a_jpeg_that_looks_the_same_and_a_chart_stays_as_it_is():
    photograph, chart = data.astronaut(), np.full((200, 300, 4), 255, "uint8")
    chart[50:60, 20:280] = (0, 114, 178, 255)
    outputs = [new_output("display_data", {"image/png": picture(pixels)}) for pixels in (photograph, chart)]
    notebook = new_notebook(cells=[new_markdown_cell("# Two"), new_code_cell("", outputs=outputs)])
    before = copy.deepcopy(notebook)
    build.photographs_as_jpeg(notebook)
    small, same = notebook.cells[1].outputs
    assert same == before.cells[1].outputs[1]
    assert list(small.data) == ["image/jpeg"]
    assert len(small.data["image/jpeg"]) < 0.5 * len(before.cells[1].outputs[0].data["image/png"])
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(small.data["image/jpeg"]))), "float64")
    assert np.abs(seen - photograph).mean() < 3  # of 255


def test_a_folder_in_what_a_page_printed_becomes_its_name_the_innermost_first():
    names = {"~": Path("/h"), "$CACHE": Path("/h/cache"), "$DATA": None}
    shown = {"text/plain": "/h", "text/html": "<p>/h/cache</p>", "image/png": "/h/cache"}
    outputs = [
        new_output("stream", text="/h/cache/runs /h/a /hless None"),
        new_output("display_data", shown),
    ]
    notebook = new_notebook(cells=[new_markdown_cell("# One"), new_code_cell("", outputs=outputs)])
    build.without_folders(notebook, names)
    stream, displayed = notebook.cells[1].outputs
    assert stream.text == "$CACHE/runs ~/a /hless None"
    assert displayed.data == {"text/plain": "~", "text/html": "<p>$CACHE</p>", "image/png": "/h/cache"}


@pytest.mark.parametrize("comment", ["# fmt: skip", "# noqa", "# noqa: F821", "# noqa: E501, F821"])
def test_a_comment_for_a_tool_is_not_shown_to_a_student_and_changes_no_output(folder, comment):
    solved = folder / "solutions" / "01_lesson.ipynb"
    before = outputs_of(solved)
    edit(solved, lambda notebook: notebook.cells[2].update(source=f"start = 1  {comment}"))
    write_source(folder / "source", LESSON.replace("start = 1", f"start = 1  {comment}"))
    assert build.write_files(folder) == []
    assert outputs_of(solved) == before
    for path in (solved, folder / "01_lesson.ipynb"):
        assert "start = 1" in text_of(nbformat.read(path, 4)).splitlines()


def test_a_students_notebook_that_was_run_is_blank_again_after_a_build(folder):
    edit(folder / "01_lesson.ipynb", add_outputs)
    build.write_files(folder)
    assert outputs_of(folder / "01_lesson.ipynb") == []


def delete_solved(folder):
    (folder / "solutions" / "01_lesson.ipynb").unlink()
    return ["solutions/01_lesson.ipynb"]


def change_code(folder):
    write_source(folder / "source", LESSON.replace("start = 1", "start = 2"))
    return ["01_lesson.ipynb", "solutions/01_lesson.ipynb"]


def change_a_solution(folder):
    write_source(folder / "source", LESSON.replace("start + 41", "41 + start"))
    return ["solutions/01_lesson.ipynb"]


def change_text(folder):
    write_source(folder / "source", LESSON.replace("Of two", "Of 2"))
    return ["01_lesson.ipynb", "solutions/01_lesson.ipynb"]


def change_a_tag(folder):
    edit(folder / "01_lesson.ipynb", lambda notebook: notebook.cells[-1].metadata.update(tags=[]))
    return ["01_lesson.ipynb"]


def edit_a_generated_cell(folder):
    edit(folder / "01_lesson.ipynb", lambda notebook: notebook.cells[2].update(source="start = 3"))
    return ["01_lesson.ipynb"]


def ask_for_no_gpu(folder):
    for path in folder.rglob("*.ipynb"):
        edit(path, lambda notebook: notebook.metadata.pop("accelerator"))
    return ["01_lesson.ipynb"]  # a page has its outputs, whatever it asks Colab for


def leave_a_merge_conflict(folder):
    path = folder / "solutions" / "01_lesson.ipynb"
    path.write_text("<<<<<<< HEAD\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    return ["solutions/01_lesson.ipynb"]


@pytest.mark.parametrize(
    "change",
    [
        delete_solved,
        change_code,
        change_a_solution,
        change_text,
        change_a_tag,
        edit_a_generated_cell,
        ask_for_no_gpu,
        leave_a_merge_conflict,
    ],
)
def test_stale_files_are_found_and_a_build_makes_them_current(folder, change):
    expected = change(folder)
    assert [path.relative_to(folder).as_posix() for path in build.stale_files(folder)] == expected
    build.write_files(folder)
    assert build.stale_files(folder) == []


def test_a_notebook_that_lost_its_source_is_stale(folder):
    write_source(folder / "source", name="02_new")
    (folder / "source" / "01_lesson.py").unlink()
    build.write_files(folder)
    orphans = [folder / "01_lesson.ipynb", folder / "solutions" / "01_lesson.ipynb"]
    assert build.stale_files(folder) == orphans
    assert all(path.exists() for path in orphans)  # it may be someone's work: nothing is deleted


def test_what_editors_and_runs_add_is_not_stale(folder):
    def as_an_editor_would(notebook):
        add_outputs(notebook)
        notebook.metadata["widgets"] = {"state": {}}
        notebook.metadata["kernelspec"] = {"display_name": "venv", "language": "python", "name": "venv"}
        notebook.metadata["language_info"] = {"name": "python", "version": "3.13.1"}
        for number, cell in enumerate(notebook.cells):
            cell["id"] = f"other-{number}"
            cell.metadata["collapsed"] = False
            cell.metadata["execution"] = {"iopub.execute_input": "2026-01-01T00:00:00"}

    for path in (folder / "01_lesson.ipynb", folder / "solutions" / "01_lesson.ipynb"):
        edit(path, as_an_editor_would)
    assert build.stale_files(folder) == []


# The page


class Addresses(HTMLParser):
    """Collects what a browser would fetch by itself: not the targets of `<a>`, which need a click."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "data", "poster", "background") or (name == "href" and tag != "a"):
                self.found.append(value or "")
            if name == "style":
                self.found += re.findall(r"url\(([^)]*)\)", value or "")


def outside_addresses(html: str) -> list[str]:
    """Return every address that the page would load from elsewhere, and every script."""
    parser = Addresses()
    parser.feed(html)
    styles = "".join(re.findall(r"<style.*?</style>", html, flags=re.DOTALL))
    found = parser.found + re.findall(r"url\(([^)]*)\)|@import", styles)
    return [a for a in found if not a.startswith("data:")] + [t for t in parser.tags if t in ("script", "iframe")]


def test_the_probe_for_outside_addresses_sees_each_kind():
    for html in (
        '<script src="https://x/y.js"></script>',
        "<script>1</script>",
        '<link rel="stylesheet" href="https://x/y.css">',
        '<img src="picture.png">',
        "<style>@import 'x.css';</style>",
        "<style>a { background: url(https://x/y.png) }</style>",
        '<p style="background: url(y.png)">',
    ):
        assert outside_addresses(html), html
    assert outside_addresses('<a href="https://x"><img src="data:image/png;base64,AA"></a>') == []


@pytest.fixture
def rich_notebook():
    code = new_code_cell("price = '$5 and $6'\nprint(1 < 2)", execution_count=1)
    code.outputs = [
        new_output("stream", name="stdout", text="True, <b>$x$</b>\n"),
        new_output("display_data", {"image/png": PIXEL, "text/plain": "<Figure>"}),
        new_output("execute_result", {"text/html": "<table><tr><td>61,706</td></tr></table>", "text/plain": "t"}),
        new_output("error", ename="ValueError", evalue="no", traceback=["\x1b[31mValueError\x1b[39m: no"]),
    ]
    text = (
        "## Size $n^2$\n\nInline $a < b$ and over\ntwo lines $a +\nb$, see <https://keras.io>:\n\n"
        "$$\\sum_{i} \\frac{x_i}{2}$$\n\n| a | b |\n|---|---|\n| $|x|$ | `$HOME` |\n\n"
        "```python\ncost = '$7' + '$8'\n```"
    )
    cells = [new_markdown_cell(text), code]
    return new_notebook(cells=cells, metadata={"title": "Cats & <dogs>"})


@pytest.mark.smoke
def test_the_page_loads_nothing_from_outside(rich_notebook):
    html = page(rich_notebook)
    assert outside_addresses(html) == []
    assert f'src="data:image/png;base64,{PIXEL}"' in re.sub(r"\s+", " ", html)
    assert "61,706" in html
    assert "True, &lt;b&gt;$x$&lt;/b&gt;" in html
    assert "ValueError" in html
    assert "<title>Cats &amp; &lt;dogs&gt;</title>" in html


def luminance(colour: str) -> float:
    light = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04 else ((value + 0.055) / 1.055) ** 2.4 for value in light]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("dark", [False, True])
def test_text_and_code_are_readable_by_day_and_in_the_dark(rich_notebook, dark):
    by_day, in_the_dark = page(rich_notebook).split("prefers-color-scheme: dark", 1)
    rules = dict(re.findall(r"--(\w+): (#\w{6})", in_the_dark if dark else by_day))
    code = page(rich_notebook).split("prefers-color-scheme: dark")[2 if dark else 1].split("</style>")[0]
    # Keywords, names that Python brings, operators, numbers, strings, comments
    kinds = "k|kn|kc|nb|ow|o|mi|mf|s1|s2|si|c1"
    of_code = re.findall(rf"^\.highlight \.(?:{kinds}) \{{ color: (#\w{{6}})", code, flags=re.MULTILINE)
    assert len(of_code) >= 8
    pairs = [(rules[name], rules["ground"]) for name in ("text", "soft", "output", "link")]
    for colour, ground in pairs + [(colour, rules["code"]) for colour in of_code]:
        lighter, darker = sorted((luminance(colour), luminance(ground)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (colour, ground)


def test_formulas_become_mathml_and_dollars_in_code_stay(rich_notebook):
    html = page(rich_notebook)
    assert html.count("<math") == 5
    assert html.count('display="block"') == 1
    assert "<mfrac>" in html
    assert "$HOME" in html
    text = unescape(re.sub(r"<[^>]*>", "", html))
    assert "price = '$5 and $6'" in text
    assert "cost = '$7' + '$8'" in text


def test_a_formula_in_a_heading_leaves_the_headings_address_whole(rich_notebook):
    parser = Addresses()
    parser.feed(page(rich_notebook))
    heading = re.search(r"<h2[^>]*>", page(rich_notebook)).group()
    assert heading.count('"') == 2
    assert "math" not in heading
    assert parser.tags.count("math") == 5


def test_making_a_page_changes_no_notebook(rich_notebook):
    before = nbformat.writes(rich_notebook)
    first = page(rich_notebook)
    assert nbformat.writes(rich_notebook) == before
    assert page(rich_notebook) == first


# Execution


EPOCHS = """\
import sys, time
print("Epoch 1/2")
sys.stdout.write("4/4 - 1s - 130ms/step - accuracy: 0.5000 - ")
sys.stdout.flush()
time.sleep(0.3)  # the line arrives in two parts
print("loss: 0.7000")
print("Epoch 2/2\\n4/4 - 0s - 10ms/step - accuracy: 0.7500 - loss: 0.5000")
print("10/20 - no epoch")
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Execute one notebook from an empty folder, with a user's own IPython profile and an empty home at hand."""
    home, here = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("here")
    startup = home / "ipython" / "profile_default" / "startup" / "00.py"
    startup.parent.mkdir(parents=True)
    startup.write_text("started_by_the_user = True")
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# Tiny"),
            new_code_cell("start = 20  # first\nassert 'started_by_the_user' not in globals()"),
            new_code_cell(EPOCHS),
            new_code_cell("import os\nos.write(2, b'a note of a C++ library')\nos.write(1, b'another')\nNone"),
            new_code_cell(
                "# Where am I?\nfrom pathlib import Path\nPath('written.txt').write_text(os.environ['FOR_US'])"
            ),
            new_code_cell(
                "import matplotlib\nfrom matplotlib.figure import Figure\nimport matplotlib.pyplot as plt\n"
                "_ = plt.figure().add_subplot().plot([1, 2])"
            ),
            new_code_cell("print('The answer:', start + 22)\nprint('All done.')", metadata={"tags": ["summary"]}),
        ],
        metadata={"title": "Tiny"},
    )
    steps = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "APPDATA"):
            patch.setenv(name, str(home))
        patch.delenv("PYTEST_CURRENT_TEST")  # kernels that see it capture less
        patch.setenv("IPYTHONDIR", str(home / "ipython"))
        patch.setenv("MPLBACKEND", "agg")  # a user's choice for scripts: the notebook has figures all the same
        patch.setenv("MPLCONFIGDIR", str(tmp_path_factory.mktemp("matplotlib")))
        patch.chdir(here)
        before = sorted(home.rglob("*"))
        done = execute_notebook(
            notebook, Path("out") / "tiny", "tiny", show=steps.append, environment={"FOR_US": "a variable"}
        )
        folder = here / "out" / "tiny"
        after = sorted(home.rglob("*"))
    return SimpleNamespace(done=done, steps=steps, here=here, folder=folder, home=(before, after))


@pytest.mark.smoke
def test_execution_fills_the_notebook_and_writes_both_files(executed):
    done, folder = executed.done, executed.folder
    assert done.error is None
    assert done.summary == "The answer: 42\nAll done."
    assert done.seconds > 0
    written = nbformat.read(folder / "tiny.ipynb", as_version=4)
    nbformat.validate(written)
    assert written.cells[-1].outputs[0].text == "The answer: 42\nAll done.\n"
    assert [cell.execution_count for cell in written.cells[1:]] == [1, 2, 3, 4, 5, 6]
    html = (folder / "tiny.html").read_text(encoding="utf-8")
    assert "The answer: 42" in html
    assert outside_addresses(html) == []


def test_figures_are_in_notebook_and_page_whatever_backend_the_user_has_set(executed):
    outputs = [output for cell in executed.done.notebook.cells[1:] for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1
    assert "data:image/png;base64," in (executed.folder / "tiny.html").read_text(encoding="utf-8")


def test_execution_writes_into_its_folder_alone_and_leaves_the_users_settings_be(executed):
    files = sorted(path.relative_to(executed.here).as_posix() for path in executed.here.rglob("*"))
    assert files == ["out", "out/tiny", "out/tiny/tiny.html", "out/tiny/tiny.ipynb", "out/tiny/written.txt"]
    assert (executed.folder / "written.txt").read_text() == "a variable"  # the folder is the working folder
    before, after = executed.home
    assert after == before


def test_what_libraries_write_below_python_is_not_in_the_notebook(executed):
    assert executed.done.notebook.cells[3].outputs == []


def test_progress_names_each_cell_and_each_epoch(executed):
    assert [(step.kind, step.number, step.text) for step in executed.steps] == [
        ("start", 1, "start = 20  # first"),
        ("done", 1, "start = 20  # first"),
        ("start", 2, "import sys, time"),
        ("epoch", 2, "epoch 1/2 - 1s - 130ms/step - accuracy: 0.5000 - loss: 0.7000"),
        ("epoch", 2, "epoch 2/2 - 0s - 10ms/step - accuracy: 0.7500 - loss: 0.5000"),
        ("done", 2, "import sys, time"),
        ("start", 3, "import os"),
        ("done", 3, "import os"),
        ("start", 4, "Where am I?"),
        ("done", 4, "Where am I?"),
        ("start", 5, "import matplotlib"),
        ("done", 5, "import matplotlib"),
        ("start", 6, "print('The answer:', start + 22)"),
        ("done", 6, "print('The answer:', start + 22)"),
    ]
    assert {step.total for step in executed.steps} == {6}
    assert all(step.seconds >= 0 for step in executed.steps)


def code_notebook(*sources: str):
    return new_notebook(cells=[new_code_cell(source) for source in sources])


FAILING = {
    "with a cause in a library": (  # IPython shows the trace of the cause first, and that starts in the library
        "#\n" * 3000 + "from importlib.metadata import version\nversion('no-such-package')",
        "Cell 2 of 3, line 3002: version('no-such-package')\nPackageNotFoundError: ",
    ),
    "syntax": ("x = 1\ny = = 2", "Cell 2 of 3, line 2: y = = 2\nSyntaxError: "),
}


@pytest.mark.parametrize("kind", FAILING)
def test_a_failing_cell_is_named_by_number_line_and_text_and_ends_the_run(tmp_path, kind):
    source, message = FAILING[kind]
    notebook = code_notebook("print('before')", source, "print('after')")
    add_outputs(notebook)  # of an earlier run: they must not survive
    done = execute_notebook(notebook, tmp_path, "bad")
    assert done.error.startswith(message)
    assert done.summary == ""
    written = nbformat.read(tmp_path / "bad.ipynb", as_version=4)
    assert written.cells[0].outputs[0].text == "before\n"
    assert written.cells[1].outputs[-1].output_type == "error"
    assert written.cells[2].outputs == []
    html = (tmp_path / "bad.html").read_text(encoding="utf-8")
    assert message.split("\n")[1].split(":")[0] in html


def test_a_kernel_that_dies_is_told_with_the_cell_and_its_last_words(tmp_path):
    deadly = "import os\nos.write(2, b'out of memory')\nos._exit(1)"
    notebook = code_notebook("print('before')", deadly, "print('after')")
    done = execute_notebook(notebook, tmp_path, "dead")
    assert done.error.startswith("The kernel died in cell 2 of 3.")
    assert "out of memory" in done.error
    assert nbformat.read(done.notebook_path, as_version=4).cells[0].outputs[0].text == "before\n"
    assert "before" in done.page_path.read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send one process the signal of Ctrl-C")
def test_ctrl_c_leaves_the_cells_that_ran_and_says_where(tmp_path):
    hanging = """\
# %%
print("first cell ran")

# %%
import time
print("Epoch 1/2\\n1/1 - 1s - loss: 0.5", flush=True)
time.sleep(600)
"""
    write_source(tmp_path / "source", hanging, "01_hang")
    script = (
        # Where the tests run in the background, their children are born deaf to Ctrl-C.
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import sys\nfrom pathlib import Path\nfrom kerascv_course import cli\n"
        "from kerascv_course.notebooks import source\n"
        f"source.source_folder = lambda: Path({str(tmp_path / 'source')!r})\n"
        f"sys.exit(cli.main(['run', 'hang', '--output', {str(tmp_path / 'out')!r}]))"
    )
    command = [sys.executable, "-u", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout:
                if line.strip().startswith("epoch 1/2"):  # what the second cell printed has arrived
                    break
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert errors.strip().endswith(f"Interrupted. What was done so far: {tmp_path / 'out' / '01_hang.html'}")
    assert not re.search("traceback|exception|never", errors, flags=re.IGNORECASE)
    assert "first cell ran" in (tmp_path / "out" / "01_hang.html").read_text(encoding="utf-8")
    written = nbformat.read(tmp_path / "out" / "01_hang.ipynb", as_version=4)
    outputs = [output for cell in written.cells for output in cell.outputs]
    printed = [output.text for output in outputs if output.output_type == "stream"]
    assert printed == ["first cell ran\n", "Epoch 1/2\n1/1 - 1s - loss: 0.5\n"]


# The real notebooks, with the network cut


GUARD = '''\
"""Cuts the network for this Python: every connection and every look-up of a name but those to this machine."""

import ipaddress
import socket


def _refuse_outside(host):
    host = host.decode() if isinstance(host, bytes) else host
    if host in (None, "", "localhost", "0.0.0.0", "::"):
        return
    try:
        inside = ipaddress.ip_address(host).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise OSError(f"the network is cut: {host}")


def _guarded(connect):
    def guarded(self, address):
        if isinstance(address, tuple):  # others are sockets of this machine
            _refuse_outside(address[0])
        return connect(self, address)

    return guarded


def _guarded_look_up(look_up):
    def guarded(host, *arguments, **options):
        _refuse_outside(host)
        return look_up(host, *arguments, **options)

    return guarded


socket.socket.connect = _guarded(socket.socket.connect)
socket.socket.connect_ex = _guarded(socket.socket.connect_ex)
socket.getaddrinfo = _guarded_look_up(socket.getaddrinfo)
'''


@pytest.fixture
def without_network(tmp_path, monkeypatch):
    """Return the variables of a kernel without network; no CIFAR-10, and an empty Keras folder."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    monkeypatch.delenv("KERASCV_COURSE_DATA", raising=False)
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # kernels that see it capture less
    paths = [str(tmp_path / "guard"), os.environ.get("PYTHONPATH", "")]
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "KERAS_HOME": str(tmp_path / "keras"),
        "KERASCV_COURSE_PROFILE": "smoke",
    }


PROBE = """\
import socket, urllib.request
def attempt(what):
    try:
        what()
    except OSError as error:
        print(error)
    else:
        print("no error")
attempt(lambda: socket.socket().connect(("192.0.2.1", 80)))  # an address that belongs to nobody
attempt(lambda: socket.socket().connect_ex(("192.0.2.1", 80)))
attempt(lambda: socket.create_connection(("192.0.2.1", 80), timeout=5))
attempt(lambda: urllib.request.urlopen("http://example.invalid", timeout=5))
with socket.create_server(("127.0.0.1", 0)) as server:
    attempt(lambda: socket.create_connection(server.getsockname(), timeout=5).close())
"""


def test_the_network_guard_refuses_all_but_this_machine(tmp_path, without_network):
    done = execute_notebook(code_notebook(PROBE), tmp_path / "out", "guard", environment=without_network)
    assert done.error is None
    assert done.notebook.cells[0].outputs[0].text.splitlines() == [
        "the network is cut: 192.0.2.1",
        "the network is cut: 192.0.2.1",
        "the network is cut: 192.0.2.1",
        "<urlopen error the network is cut: example.invalid>",
        "no error",
    ]


def assert_ran_clean(done):
    assert done.error is None
    assert done.summary
    outputs = [output for cell in done.notebook.cells for output in cell.get("outputs", [])]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    page = done.page_path.read_text(encoding="utf-8")
    # The interactive map is a script within the page; one that fetches anything would not be.
    own = re.compile(r"<script>((?:(?!</script>).)*)</script>", flags=re.DOTALL)
    assert not any(re.search(r"https?://|fetch\(|import\(|XMLHttp|WebSocket", text) for text in own.findall(page))
    assert outside_addresses(own.sub("", page)) == []


# Each loads Keras and trains, and takes half a minute or more: one for every day, for what the others import has
# tests of its own. All: `pytest -m slow -k each_notebook`.
EVERY_DAY = ("01_convolution",)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(source, id=source.name, marks=[] if source.name in EVERY_DAY else [pytest.mark.slow])
        for source in REAL_SOURCES
    ],
)
def test_each_notebook_runs_untouched_and_solved_without_network(source, tmp_path, without_network):
    untouched, solved = (built(source, kind).cells for kind in ("student", "solved"))
    first = next(number for number, cell in enumerate(solved) if "exercise" in cell.metadata.get("tags", []))
    assert [cell.source for cell in untouched[:first]] == [cell.source for cell in solved[:first]]
    cells = copy.deepcopy([*untouched, *solved[first:]])  # what stands before the exercises runs once for both
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    both = new_notebook(cells=cells)
    done = execute_notebook(both, tmp_path / "out", source.name, environment=without_network)
    assert_ran_clean(done)
    for cells, is_solved in ((both.cells[: len(untouched)], False), (both.cells[len(untouched) :], True)):
        said = [shown(cell) for cell in cells if cell.metadata.get("tags") == ["check"]]
        assert [text for text in said if text.startswith("Right: ") != is_solved] == []
        assert shown(cells[-1]).startswith(f"{len(said) if is_solved else 0} of {len(said)} right")
    outputs = [output for cell in both.cells[: len(untouched)] for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3


def shown(cell) -> str:
    """Return the text of the one object that a cell shows."""
    (text,) = (output.data["text/plain"] for output in cell.outputs if "data" in output)
    return text


def test_no_notebook_names_a_folder_of_the_machine_that_ran_it():
    repository = Path(__file__).parent.parent
    for path in [*repository.glob("notebooks/*.ipynb"), *repository.glob("notebooks/solutions/*.ipynb")]:
        text = re.sub(r'"image/(png|jpeg)": "[^"]*"', "", path.read_text(encoding="utf-8"))
        found = re.findall(r"(?<![\w.$])/(?:tmp|home|root|Users|work|mnt|var)/[\w./-]+", text)
        assert found == [], path.name


# Alternative texts of figures

DRAWN = {
    'plot_images([x], caption="Two edges")': "Two edges",
    'plot_images([x], caption=f"First of {n} images, {name}")': "First of … images",
    'axis.set_title("left"); figure.suptitle("both")': "both; left",
    'axis.set(xlabel="epoch", title="loss")': "loss",
    'plot(x, titles=["a", "b"], caption=made(x))': "",
    "%matplotlib inline\nplot(x)": "",
}


@pytest.mark.parametrize("code", DRAWN)
def test_the_text_of_a_figure_is_its_heading_and_what_the_code_calls_it(code):
    drawn = nbformat.v4.new_output("display_data", {"image/png": "AAAA", "text/plain": "<Figure>"})
    cells = [
        nbformat.v4.new_markdown_cell("# First\n\ntext\n\n## The `edges`\n\nmore"),
        nbformat.v4.new_code_cell(code, outputs=[drawn]),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    describe_figures(notebook)
    found = notebook.cells[1].outputs[0].metadata["image/png"]["alt"].removeprefix("The edges").removeprefix(": ")
    assert sorted(found.split("; ")) == sorted(DRAWN[code].split("; "))
    assert f'alt="{notebook.cells[1].outputs[0].metadata["image/png"]["alt"]}"' in page(notebook)


def test_every_figure_of_a_solved_page_has_a_text():
    for path in sorted((Path(__file__).parent.parent / "notebooks" / "solutions").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", ()):
                for kind in {"image/png", "image/jpeg"} & set(output.get("data", {})):
                    assert output.metadata[kind]["alt"], path.name
