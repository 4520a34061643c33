"""One source per notebook, and the notebooks generated from it.

A source is a Python file in the percent format. Beside ordinary cells it has cells tagged

* `exercise`: becomes three cells: the question, the code with or without the solution, and the check; `marks`
  describes it;
* `hints`: after an exercise, a list of what `ex.NAME.hint()` says; it is in no notebook;
* `solution`: a whole cell for the solved notebook alone; after an exercise it is its explanation;
* `summary`: the last code cell, whose output `kerascv-course run` repeats;
* `appendix`: a cell that `kerascv-course new-project` leaves out, as it does exercises, solutions and the summary;
* `template`: a cell that it alone writes, in place of the summary.

The header of a cell may name packages that the notebook needs and Colab lacks, for the cell that installs them
there: `# %% [markdown] needs=["keras-tuner>=1.4.8"]`.

`heads.toml` beside the sources says of each notebook what a reader can do after it, what to know before, its data
and its minutes; that stands below the title.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat

from kerascv_course._validation import input_error
from kerascv_course.notebooks.marks import SOLUTION_BEGIN, STUDENT_MARK, is_mark, read_exercise, source_folder
from kerascv_course.notebooks.release import NO_RELEASE, Release

TAGS = frozenset({"exercise", "hints", "solution", "summary", "appendix", "template"})
_TOOL_COMMENT = re.compile(r"  # (?:fmt: skip|noqa\b.*)$", flags=re.MULTILINE)
_EXERCISES = re.compile(r"^from kerascv_course\.exercises import \w+ as ex$", flags=re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """A notebook's source file.

    Attributes:
        name: File name without ending, for example "02_lenet_cifar10".
        path: The `.py` file.
        title: The first heading of the notebook.
    """

    name: str
    path: Path
    title: str


def list_sources(folder: Path | None = None) -> list[Source]:
    """Return the sources in a folder in the order of their numbers.

    Args:
        folder: Where they lie; None: those of this installation.

    Returns:
        One record per source.

    Raises:
        FileNotFoundError: If the folder holds no source.

    Example:
        >>> [source.name for source in list_sources()][:2]
        ['01_convolution', '02_lenet_cifar10']
    """
    folder = source_folder() if folder is None else folder
    paths = sorted(folder.glob("[0-9][0-9]_*.py"))
    if not paths:
        raise FileNotFoundError(f"No notebook source (NN_topic.py) in {folder}.")
    sources = []
    for path in paths:
        heading = re.search(r"^# # (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        sources.append(Source(path.stem, path, heading.group(1) if heading else path.stem))
    return sources


def find_source(name: str, folder: Path | None = None) -> Source:
    """Return the source that a name, a number or a part of a name stands for.

    Args:
        name: For example "02_lenet_cifar10", "02", "2" or "lenet".
        folder: Where the sources lie; None: those of this installation.

    Returns:
        The source.

    Raises:
        ValueError: If no source or more than one fits.

    Example:
        >>> find_source("lenet").name
        '02_lenet_cifar10'
    """
    sources = list_sources(folder)
    wanted = name.lower().removesuffix(".py").removesuffix(".ipynb")
    exact = [s for s in sources if s.name == wanted or (wanted.isdecimal() and int(s.name[:2]) == int(wanted))]
    found = exact or [s for s in sources if wanted and wanted in s.name and not wanted.isdecimal()]
    if len(found) != 1:
        candidates = ", ".join(s.name for s in (found or sources))
        raise input_error("run", "notebook", f"the name of one notebook: {candidates}", name)
    return found[0]


def make_notebook(
    source: Source, kind: str = "student", *, release: Release = NO_RELEASE, solutions: bool = True
) -> nbformat.NotebookNode:
    """Return a notebook that is generated from a source, without outputs.

    Args:
        source: The notebook's source.
        kind: "student" with the exercises blank, "solved", or "project": a student's own, without the appendix,
            the exercises and the words about them.
        release: Where the first cell gets the package from in Colab, and where the badge leads.
        solutions: Whether `ex.NAME.solution()` shows the solution.

    Returns:
        The notebook, the same for the same arguments.

    Raises:
        ValueError: If the source breaks a rule of the format.
    """
    solved = kind == "solved"
    written = jupytext.reads(without_tool_comments(source.path.read_text(encoding="utf-8")), fmt="py:percent")
    path = f"solutions/{source.name}.ipynb" if solved else f"{source.name}.ipynb"
    front = release.cells(path, [need for cell in written.cells for need in cell.metadata.get("needs", [])])
    cells: list[nbformat.NotebookNode] = []
    exercises = 0
    for number, cell in enumerate(written.cells, start=1):
        tags = cell.metadata.get("tags", [])
        where = f"cell {number} of {source.path.name}"
        if unknown := set(tags) - TAGS:
            raise ValueError(f"Unknown tag {sorted(unknown)} in {where}. Known: {', '.join(sorted(TAGS))}.")
        if "hints" in tags or ("solution" in tags and not solved):
            continue
        if ({"exercise", "appendix", "summary"} if kind == "project" else {"template"}) & set(tags):
            continue
        tags = ["summary" if tag == "template" else tag for tag in tags]
        if "exercise" in tags:
            exercises += 1
            cells += _exercise(cell.source, where, exercises, solved=solved, solutions=solutions)
            continue
        if cell.cell_type == "code" and any(is_mark(line) for line in cell.source.splitlines()):
            marks = f"`{SOLUTION_BEGIN}` or `{STUDENT_MARK}` mark"
            raise ValueError(f"A {marks} without the tag `exercise` in {where}.")
        text = cell.source if solutions else _EXERCISES.sub(r"\g<0>\n\nex.withhold_solutions()", cell.source)
        new = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
        cells.append(new(text, metadata={"tags": tags} if tags else {}))
    if kind != "project" and cells and cells[0].cell_type == "markdown":
        cells[0].source += _head(source)
    for number, cell in enumerate(cells, start=1):
        cell["id"] = f"cell-{number:02d}"
    metadata = {
        "accelerator": "GPU",
        "colab": {"gpuType": "T4", "provenance": []},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "title": source.title,
    }
    return nbformat.v4.new_notebook(cells=[*front, *cells], metadata=metadata)


def without_tool_comments(code: str) -> str:
    """Return code without what speaks to a formatter or linter, not to a student.

    Example:
        >>> without_tool_comments("x = [1,2]  # fmt: skip")
        'x = [1,2]'
    """
    return _TOOL_COMMENT.sub("", code)


def _head(source: Source) -> str:
    """Return the lines below the title, none where `heads.toml` does not know the notebook."""
    heads = source.path.with_name("heads.toml")
    head = tomllib.loads(heads.read_text(encoding="utf-8")).get(source.name) if heads.exists() else None
    if head is None:
        return ""
    lite, full = (f"{head['minutes'][profile]:g}" for profile in ("lite", "full"))
    return (
        f"\n\n- **You will be able to** {head['able']}.\n- **You need** {head['need']}.\n"
        f"- **Data:** {head['data']}.\n"
        f"- **Minutes** of a laptop's processor: {lite} in the profile `lite`, {full} in `full`."
    )


def _exercise(text: str, where: str, number: int, *, solved: bool, solutions: bool) -> list[nbformat.NotebookNode]:
    """Return the question, the code and the check."""
    exercise = read_exercise(text, where)
    question = exercise.question.replace("### ", f"### Exercise {number}: ", 1)
    stuck = f"# Stuck? ex.{exercise.name}.hint() says more each time"
    stuck += f"; ex.{exercise.name}.solution() shows the solution." if solutions else "."
    return [
        nbformat.v4.new_markdown_cell(question),
        nbformat.v4.new_code_cell(exercise.solved if solved else exercise.blank, metadata={"tags": ["exercise"]}),
        nbformat.v4.new_code_cell(f"{exercise.check}\n{stuck}", metadata={"tags": ["check"]}),
    ]
