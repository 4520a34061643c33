"""`kerascv-course list | run`: the notebooks of the course, and one of them or a student's own executed."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kerascv_course._validation import input_error
from kerascv_course.cli.status import FAILED, INTERRUPTED, OK, USAGE
from kerascv_course.runtime import PROFILE_VARIABLE, PROFILES

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from kerascv_course.notebooks.execute import Execution, Progress


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `list` and `run`.

    Args:
        commands: What `add_subparsers` of the main parser returned.
    """
    list_ = commands.add_parser("list", help="the notebooks")
    list_.set_defaults(command=_list)

    run = commands.add_parser("run", help="execute a notebook; leaves a notebook and an HTML page")
    named = "of the course: its name, its number or a part of its name, for example: lenet; your own: its file"
    run.add_argument("notebook", help=named)
    written = "where to write (default: kerascv-course-runs/NOTEBOOK)"
    run.add_argument("--output", type=Path, metavar="DIR", help=written)
    run.add_argument("--profile", choices=PROFILES, help="size of the experiments (default: by the device)")
    run.set_defaults(command=_run)


def _list(options: argparse.Namespace) -> int:
    from kerascv_course.notebooks.source import list_sources

    sources = list_sources()
    width = max(len(source.name) for source in sources)
    for source in sources:
        print(f"{source.name:<{width}}  {source.title}")
    print("\nRun one with: kerascv-course run NAME")
    return OK


def _run(options: argparse.Namespace) -> int:
    try:
        notebook, title, name, folder = _chosen(options)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return USAGE
    if folder.exists() and not folder.is_dir():
        print(input_error("run", "--output", "a folder; it is made if need be", str(folder)), file=sys.stderr)
        return USAGE
    print(f"{name}: {title}\nInto {folder.resolve()}\n")
    try:
        done = execute(notebook, folder, name, options.profile)
    except KeyboardInterrupt:
        print(f"\nInterrupted. What was done so far: {folder / name}.html", file=sys.stderr)
        return INTERRUPTED
    print(f"\nNotebook: {done.notebook_path}\nPage:     {done.page_path}")
    if done.error:
        print(f"\n{done.error}", file=sys.stderr)
        return FAILED
    print(f"\n{done.summary}\nTime: {done.seconds:.0f} s")
    return OK


def _chosen(options: argparse.Namespace) -> "tuple[NotebookNode, str, str, Path]":
    """Return the notebook to run, its title, the name of the files that come out, and their folder.

    A student's own runs where it lies, beside its data; what comes out has another name: the file stays as it is.
    """
    from kerascv_course.notebooks.source import find_source, make_notebook

    path = own_notebook(options.notebook)
    if path is None:
        source = find_source(options.notebook)
        folder = options.output or Path("kerascv-course-runs") / source.name
        return make_notebook(source, "solved"), source.title, source.name, folder
    if options.output:
        rule = "left out for a notebook of your own, which runs in its folder"
        raise input_error("run", "--output", rule, str(options.output))
    notebook = _read_own(path)
    return notebook, notebook.metadata.get("title", path.stem), f"{path.stem}_executed", path.parent


def own_notebook(name: str) -> Path | None:
    """Return the file where `run` is given a notebook file and not the name of a notebook of the course.

    A file that is there, or a path with a folder in it, such as "my_project/project.ipynb", is one.

    Args:
        name: What `run` was given.

    Returns:
        The path; None for the name of a notebook of the course.
    """
    path = Path(name)
    is_file = path.suffix == ".ipynb" and (path.is_file() or len(path.parts) > 1)
    return path if is_file else None


def _read_own(path: Path) -> "NotebookNode":
    import nbformat

    if not path.is_file():
        raise input_error("run", "notebook", "a file that exists", str(path), error=FileNotFoundError)
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except (ValueError, TypeError, LookupError, AttributeError, nbformat.ValidationError) as error:
        raise input_error("run", "notebook", "a Jupyter notebook that can be read", str(path)) from error
    return notebook


def execute(notebook: "NotebookNode", folder: Path, name: str, profile: str | None) -> "Execution":
    """Execute a notebook, and show how far it is.

    Args:
        notebook: What is executed; its outputs come into it.
        folder: Where the executed notebook and the page are written.
        name: Their name, without suffix.
        profile: "smoke", "lite", "full" or "gpu"; None: by the device.

    Returns:
        What came out.
    """
    from kerascv_course.notebooks.execute import execute_notebook

    environment = {PROFILE_VARIABLE: profile} if profile else {}
    return execute_notebook(notebook, folder, name, show=_show, environment=environment)


def _show(step: "Progress") -> None:
    if step.kind == "start":
        print(f"cell {step.number:>2}/{step.total}  {step.text[:90]}", flush=True)
    elif step.kind == "epoch":
        print(f"            {step.text}", flush=True)
    elif step.seconds >= 1:
        print(f"            done in {step.seconds:.1f} s", flush=True)
