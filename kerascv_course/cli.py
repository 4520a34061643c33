"""The command line: `kerascv-course list | run | new-project | build | data | search | doctor`."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kerascv_course import __version__
from kerascv_course.cli_data import FAILED, OK, USAGE, add_data_command
from kerascv_course.cli_project import add_project_command, own_notebook, read_own
from kerascv_course.cli_search import add_search_command

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from kerascv_course.notebooks.execute import Execution, Progress

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The words after `kerascv-course`; None: those of this process.

    Returns:
        The exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in _notebook_packages():
            raise
        print(f'This needs {package}: pip install "kerascv_course[notebooks]"', file=sys.stderr)
        return USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kerascv-course", description="The Keras companion to university computer-vision courses."
    )
    parser.add_argument("--version", action="version", version=f"kerascv_course {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    list_ = commands.add_parser("list", help="the notebooks")
    list_.set_defaults(command=_list)

    run = commands.add_parser("run", help="execute a notebook; leaves a notebook and an HTML page")
    run.add_argument(
        "notebook",
        help="of the course: its name, its number or a part of its name, for example: lenet; your own: its file",
    )
    run.add_argument(
        "--output", type=Path, metavar="DIR", help="where to write (default: kerascv-course-runs/NOTEBOOK)"
    )
    run.add_argument(
        "--profile", choices=("smoke", "lite", "full"), help="size of the experiments (default: by the device)"
    )
    run.set_defaults(command=_run)

    build = commands.add_parser("build", help="generate the notebooks from their sources (in the repository)")
    build.add_argument("--check", action="store_true", help="change nothing; say which generated files are stale")
    build.add_argument("--execute", action="store_true", help="run the solved notebooks and keep their outputs")
    build.add_argument(
        "--no-solutions", type=Path, metavar="DIR", help="write only a set to hand out, with .solution() withheld"
    )
    build.add_argument("--profile", choices=("smoke", "lite", "full"), help="the profile of --execute")
    build.add_argument(
        "--folder",
        type=Path,
        default=Path("notebooks"),
        metavar="DIR",
        help="the notebooks folder (default: notebooks)",
    )
    build.set_defaults(command=_build)

    add_data_command(commands)
    add_search_command(commands)
    add_project_command(commands)

    doctor = commands.add_parser("doctor", help="what this machine has, what it lacks, and what to do about it")
    doctor.set_defaults(command=_doctor)
    return parser


def _notebook_packages() -> frozenset[str]:
    from kerascv_course.doctor import EXTRAS

    return frozenset({*EXTRAS["notebooks"], "nbformat", "jupyter_client", "pygments"})


def _list(options: argparse.Namespace) -> int:
    from kerascv_course.notebooks.source import list_sources

    sources = list_sources()
    width = max(len(source.name) for source in sources)
    for source in sources:
        print(f"{source.name:<{width}}  {source.title}")
    print("\nRun one with: kerascv-course run NAME")
    return OK


def _run(options: argparse.Namespace) -> int:
    from kerascv_course._validation import input_error

    try:
        notebook, title, name, folder = _chosen(options)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return USAGE
    if folder.exists() and not folder.is_dir():
        print(input_error("run", "--output", "a folder; it is made if need be", str(folder)), file=sys.stderr)
        return USAGE
    print(f"{name}: {title}\nInto {folder.resolve()}\n")
    started = time.perf_counter()
    try:
        done = _execute(notebook, folder, name, options.profile)
    except KeyboardInterrupt:
        print(f"\nInterrupted. What was done so far: {folder / name}.html", file=sys.stderr)
        return INTERRUPTED
    print(f"\nNotebook: {done.notebook_path}\nPage:     {done.page_path}")
    if done.error:
        print(f"\n{done.error}", file=sys.stderr)
        return FAILED
    print(f"\n{done.summary}\nTime: {time.perf_counter() - started:.0f} s")
    return OK


def _chosen(options: argparse.Namespace) -> "tuple[NotebookNode, str, str, Path]":
    """Return the notebook to run, its title, the name of the files that come out, and their folder.

    A student's own runs where it lies, beside its data; what comes out has another name: the file stays as it is.
    """
    from kerascv_course._validation import input_error
    from kerascv_course.notebooks.source import find_source, solved_notebook

    path = own_notebook(options.notebook)
    if path is None:
        source = find_source(options.notebook)
        folder = options.output or Path("kerascv-course-runs") / source.name
        return solved_notebook(source), source.title, source.name, folder
    if options.output:
        rule = "left out for a notebook of your own, which runs in its folder"
        raise input_error("run", "--output", rule, str(options.output))
    notebook = read_own(path)
    return notebook, notebook.metadata.get("title", path.stem), f"{path.stem}_executed", path.parent


def _build(options: argparse.Namespace) -> int:
    from kerascv_course.notebooks.build import (
        generated_files,
        stale_files,
        write_files,
        write_notebook,
        write_without_solutions,
    )

    if options.no_solutions and (options.check or options.execute):
        print("`--no-solutions` cannot be combined with `--check` or `--execute`.", file=sys.stderr)
        return USAGE
    try:
        if options.no_solutions:
            for path in write_without_solutions(options.folder, options.no_solutions):
                print(path)
            return OK
        files = generated_files(options.folder)
    except (OSError, ValueError) as error:  # no source, one that breaks a rule of the format, or no place to write
        print(error, file=sys.stderr)
        return FAILED
    if options.check:
        stale = stale_files(options.folder)
        for path in stale:
            print(f"stale: {path}")
        advice = "Run `kerascv-course build`, and delete those that have no source any more."
        print(advice if stale else "All generated notebooks are up to date.")
        return FAILED if stale else OK
    without_outputs = write_files(options.folder)
    if not options.execute:
        for path in without_outputs:
            print(f"{path} has no outputs now: `kerascv-course build --execute` runs it.")
        return OK
    for path, (source, notebook) in files.items():
        if path.parent.name == "solutions":
            print(f"\n{source.name}")
            done = _execute(notebook, Path("kerascv-course-runs") / "build", source.name, options.profile)
            if done.error:
                print(done.error, file=sys.stderr)
                return FAILED
            write_notebook(notebook, path)
    return OK


def _execute(notebook: "NotebookNode", folder: Path, name: str, profile: str | None) -> "Execution":
    from kerascv_course.notebooks.execute import execute_notebook
    from kerascv_course.runtime import PROFILE_VARIABLE

    environment = {PROFILE_VARIABLE: profile} if profile else {}
    return execute_notebook(notebook, folder, name, show=_show, environment=environment)


def _show(step: "Progress") -> None:
    if step.kind == "start":
        print(f"cell {step.number:>2}/{step.total}  {step.text[:90]}", flush=True)
    elif step.kind == "epoch":
        print(f"            {step.text}", flush=True)
    elif step.seconds >= 1:
        print(f"            done in {step.seconds:.1f} s", flush=True)


def _doctor(options: argparse.Namespace) -> int:
    from kerascv_course.doctor import examine

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    findings = examine()
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        print(f"{finding.subject:<{width}}  {finding.found}")
        if finding.advice:
            print(f"{'':<{width}}  -> {finding.advice}")
    return OK
