"""One source per notebook, and the notebooks generated from it.

A source is a Python file in the percent format. Beside ordinary cells it has cells tagged

* `exercise`: the lines between `# solution` and `# end solution` are for the solved notebook alone; a line
  `# student: code` becomes `code` in the student's notebook and is not in the solved one;
* `check`: says whether the exercise above is right; in both notebooks;
* `solution`: a whole cell for the solved notebook alone;
* `summary`: the last code cell, whose output `kerascv-course run` repeats.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext
import nbformat

from kerascv_course import __version__
from kerascv_course._validation import input_error

STUDENT_MARK = "# student: "
SOLUTION_BEGIN, SOLUTION_END = "# solution", "# end solution"
TAGS = frozenset({"exercise", "check", "solution", "summary"})


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


def source_folder() -> Path:
    """Return the folder of the notebook sources: beside the installed package, or in the repository."""
    package = Path(__file__).parent.parent
    installed = package / "_notebook_sources"
    return installed if installed.is_dir() else package.parent / "notebooks" / "source"


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


def student_notebook(source: Source, *, repository: str = "") -> nbformat.NotebookNode:
    """Return the student's notebook: exercises blank, no outputs.

    Args:
        source: The notebook's source.
        repository: The public address of the repository, for the Colab badge; without it there is no badge.

    Returns:
        The notebook, the same for the same source and address.

    Raises:
        ValueError: If the source breaks a rule of the format.
    """
    return _notebook(source, repository, solved=False)


def solved_notebook(source: Source, *, repository: str = "") -> nbformat.NotebookNode:
    """Return the solved notebook, not executed.

    Args:
        source: The notebook's source.
        repository: As for `student_notebook`.

    Returns:
        The notebook, the same for the same source and address.

    Raises:
        ValueError: If the source breaks a rule of the format.
    """
    return _notebook(source, repository, solved=True)


def repository_address(pyproject: Path) -> str:
    """Return the public address that `pyproject.toml` sets, without a final slash; empty where it sets none."""
    settings = tomllib.loads(pyproject.read_text(encoding="utf-8")).get("tool", {}).get("kerascv_course", {})
    return str(settings.get("repository", "")).rstrip("/")


def _notebook(source: Source, repository: str, *, solved: bool) -> nbformat.NotebookNode:
    written = jupytext.reads(source.path.read_text(encoding="utf-8"), fmt="py:percent")
    folder = "notebooks/solutions" if solved else "notebooks"
    cells = [*_badge(source, repository, folder), nbformat.v4.new_code_cell(_installation(repository))]
    for number, cell in enumerate(written.cells, start=1):
        tags = cell.metadata.get("tags", [])
        where = f"cell {number} of {source.path.name}"
        if unknown := set(tags) - TAGS:
            raise ValueError(f"Unknown tag {sorted(unknown)} in {where}. Known: {', '.join(sorted(TAGS))}.")
        if "solution" in tags and not solved:
            continue
        text = cell.source
        if "exercise" in tags:
            text = _exercise(text, where, solved=solved)
        elif cell.cell_type == "code" and any(_is_mark(line) for line in text.splitlines()):
            raise ValueError(
                f"A `{SOLUTION_BEGIN}` or `{STUDENT_MARK}` mark without the tag `exercise` in {where}."
            )
        new = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
        cells.append(new(text, metadata={"tags": tags} if tags else {}))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number:02d}"
    return nbformat.v4.new_notebook(cells=cells, metadata=_metadata(source))


def _is_mark(line: str) -> bool:
    return line.strip() in (SOLUTION_BEGIN, SOLUTION_END) or line.strip().startswith(STUDENT_MARK)


def _exercise(text: str, where: str, *, solved: bool) -> str:
    if not any(line.strip() == SOLUTION_BEGIN for line in text.splitlines()):
        raise ValueError(f"An exercise without `{SOLUTION_BEGIN}` in {where}: the student would see all of it.")
    lines = []
    in_solution = False
    for line in text.splitlines():
        stripped = line.strip()
        if stripped in (SOLUTION_BEGIN, SOLUTION_END):
            if in_solution == (stripped == SOLUTION_BEGIN):
                raise ValueError(f"`{stripped}` without its counterpart in {where}.")
            in_solution = not in_solution
        elif stripped.startswith(STUDENT_MARK):
            if not solved:
                lines.append(line.replace(STUDENT_MARK, "", 1))
        elif solved or not in_solution:
            lines.append(line)
    if in_solution:
        raise ValueError(f"`{SOLUTION_BEGIN}` without its counterpart in {where}.")
    return "\n".join(lines)


def _badge(source: Source, repository: str, folder: str) -> list[nbformat.NotebookNode]:
    if not repository:
        return []
    path = repository.removeprefix("https://github.com/")
    address = f"https://colab.research.google.com/github/{path}/blob/v{__version__}/{folder}/{source.name}.ipynb"
    image = "https://colab.research.google.com/assets/colab-badge.svg"
    return [nbformat.v4.new_markdown_cell(f"[![Open in Colab]({image})]({address})")]


def _installation(repository: str) -> str:
    requirement = f"kerascv_course=={__version__}"
    if repository:
        requirement = f"kerascv_course @ git+{repository}@v{__version__}"
    return (
        f"# In Colab, this installs the package at version {__version__}; elsewhere it does nothing.\n"
        "import importlib.util\n"
        "import sys\n"
        "\n"
        'if "google.colab" in sys.modules and importlib.util.find_spec("kerascv_course") is None:\n'
        f'    %pip install --quiet "{requirement}"'
    )


def _metadata(source: Source) -> dict[str, Any]:
    return {
        "accelerator": "GPU",
        "colab": {"gpuType": "T4", "provenance": []},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "title": source.title,
    }
