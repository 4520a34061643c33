"""Write the generated notebooks, or say which of them are stale."""

import base64
import io
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.reader import NotJSONError
from PIL import Image

from kerascv_course.notebooks.figures import describe_figures
from kerascv_course.notebooks.release import NO_RELEASE, Release
from kerascv_course.notebooks.source import Source, list_sources, make_notebook, without_tool_comments


def generated_files(folder: Path, release: Release = NO_RELEASE) -> dict[Path, tuple[Source, NotebookNode]]:
    """Return every generated file of a `notebooks` folder with its source and what it should hold.

    Args:
        folder: The repository's `notebooks` folder, which holds `source`.
        release: Where the notebooks get the package from, and where their badges lead.

    Returns:
        The student's notebooks, then the solved ones (not executed), by path.

    Raises:
        FileNotFoundError: If the folder holds no source.
        ValueError: If a source breaks a rule of the format.
    """
    sources = list_sources(folder / "source")
    return {
        place / f"{source.name}.ipynb": (source, make_notebook(source, kind, release=release))
        for place, kind in ((folder, "student"), (folder / "solutions", "solved"))
        for source in sources
    }


def stale_files(folder: Path) -> list[Path]:
    """Return the generated files that are missing, differ from their source, or have none any more.

    The lesson's cells and their tags are compared, and the metadata of the students' notebooks. The badge, the
    first cell, outputs and what editors add are not.

    Args:
        folder: The repository's `notebooks` folder.

    Returns:
        Their paths, sorted.
    """
    files = generated_files(folder)
    stale = [path for path, (_, notebook) in files.items() if not _is_current(path, notebook)]
    present = [*folder.glob("*.ipynb"), *(folder / "solutions").glob("*.ipynb")]
    return sorted([*stale, *(path for path in present if path not in files)])


def write_files(folder: Path, release: Release = NO_RELEASE) -> list[Path]:
    """Write the generated notebooks; solved ones keep their outputs unless the code of the lesson has changed.

    Args:
        folder: The repository's `notebooks` folder.
        release: Where the notebooks get the package from, and where their badges lead.

    Returns:
        The solved notebooks that now lack outputs and want `kerascv-course build --execute`.
    """
    without_outputs = []
    for path, (_, notebook) in generated_files(folder, release).items():
        if path.parent.name == "solutions":
            executed = _read(path)
            if executed is not None:
                _copy_outputs(executed, notebook)
            describe_figures(notebook)
            if not any(cell.get("outputs") for cell in notebook.cells):
                without_outputs.append(path)
        write_notebook(notebook, path)
    return without_outputs


def write_set(folder: Path, target: Path, release: Release = NO_RELEASE, *, solutions: bool = True) -> list[Path]:
    """Write the students' notebooks once more, to hand out.

    Args:
        folder: The repository's `notebooks` folder.
        target: Where to; it is made if need be.
        release: Where the notebooks get the package from, and where their badges lead.
        solutions: Whether `ex.NAME.solution()` shows the solution.

    Returns:
        The notebooks written.
    """
    paths = []
    for source in list_sources(folder / "source"):
        paths.append(target / f"{source.name}.ipynb")
        write_notebook(make_notebook(source, release=release, solutions=solutions), paths[-1])
    return paths


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook with Unix line ends on every system, so that the same notebook is the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8", newline="\n")


def photographs_as_jpeg(notebook: NotebookNode) -> None:
    """Turn those figures of a notebook into JPEG that become less than half as large by it: photographs."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    for data in (output.data for output in outputs if "image/png" in output.get("data", {})):
        png = base64.b64decode(data["image/png"])
        picture = Image.open(io.BytesIO(png)).convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        jpeg = io.BytesIO()
        Image.alpha_composite(paper, picture).convert("RGB").save(jpeg, "JPEG", quality=88, subsampling=0)
        if 2 * len(jpeg.getvalue()) < len(png):
            data["image/jpeg"] = base64.b64encode(jpeg.getvalue()).decode()
            del data["image/png"]


def without_folders(notebook: NotebookNode, names: dict[str, Path | None]) -> None:
    """Write the name for each of some folders of this machine in what a notebook printed."""
    folders = {str(folder): name for name, folder in names.items() if folder}
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        place = output if "text" in output else output.get("data", {})
        for key in (key for key in place if key.startswith("text")):
            for folder in sorted(folders, key=len, reverse=True):
                place[key] = folders[folder].join(re.split(re.escape(folder) + r"(?![\w.-])", place[key]))


def _is_current(path: Path, expected: NotebookNode) -> bool:
    present = _read(path)
    if present is None:
        return False
    is_page = path.parent.name == "solutions"
    fields = () if is_page else ("accelerator", "colab", "title")
    same_metadata = all(present.metadata.get(name) == expected.metadata[name] for name in fields)
    return same_metadata and _lesson(present) == _lesson(expected)


def _read(path: Path) -> NotebookNode | None:
    """Return a generated file, None where there is none or it is no notebook, such as after a merge conflict."""
    try:
        return nbformat.read(path, as_version=4)
    except (FileNotFoundError, NotJSONError):
        return None


def _lesson(notebook: NotebookNode) -> list[tuple[str, str, list[str]]]:
    """Return the cells behind the badge and the first code cell, which installs the package."""
    cells = [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]
    kinds = [kind for kind, *_ in cells]
    return cells[kinds.index("code") + 1 :] if "code" in kinds else cells


def _copy_outputs(executed: NotebookNode, notebook: NotebookNode) -> None:
    """Take over the outputs where the code of the lesson is the same."""
    old, new = (
        [without_tool_comments(source) for kind, source, _ in _lesson(one) if kind == "code"]
        for one in (executed, notebook)
    )
    if old == new:
        ran, blank = ([cell for cell in one.cells if cell.cell_type == "code"] for one in (executed, notebook))
        for cell, other in zip(blank, ran, strict=True):
            cell.outputs, cell.execution_count = other.outputs, other.execution_count
