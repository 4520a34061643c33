"""`kerascv-course new-project`: a student's project, with the notebook and a folder for the images."""

import argparse
import shutil
import sys
from pathlib import Path

from kerascv_course._validation import input_error
from kerascv_course.cli.status import FAILED, OK, USAGE

_TEMPLATE = "15_project_template"
_NOTEBOOK = "project.ipynb"


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `new-project`.

    Args:
        commands: What `add_subparsers` of the main parser returned.
    """
    new = commands.add_parser("new-project", help="begin a project: a notebook, and a folder for your images")
    new.add_argument("folder", type=Path, metavar="DIR", help="a new or empty folder; it is made if need be")
    new.set_defaults(command=_new_project)


def _new_project(options: argparse.Namespace) -> int:
    from kerascv_course.notebooks.build import write_notebook
    from kerascv_course.notebooks.release import Release, installed_from
    from kerascv_course.notebooks.source import find_source, make_notebook

    folder: Path = options.folder
    notebook = make_notebook(find_source(_TEMPLATE), "project", release=Release(installed_from()))
    try:
        _check_empty(folder)
        (folder / "data").mkdir(parents=True)
        shutil.copyfile(Path(__file__).with_name("new_project_data.txt"), folder / "data" / "README.txt")
        write_notebook(notebook, folder / _NOTEBOOK)
    except ValueError as error:
        print(error, file=sys.stderr)
        return USAGE
    except OSError as error:
        print(f"The project cannot be written: {error}", file=sys.stderr)
        return FAILED
    path = str(folder / _NOTEBOOK)
    quoted = f'"{path}"' if " " in path else path
    print(
        f"In {folder.absolute()}:\n"
        f"  {_NOTEBOOK}  the notebook: open it in Jupyter, and change what you like\n"
        f"  {'data':{len(_NOTEBOOK)}}  for your images; its README.txt says how\n\n"
        "This command runs it, and writes report.html beside it:\n\n"
        f"    kerascv-course run {quoted}"
    )
    return OK


def _check_empty(folder: Path) -> None:
    """Raise `ValueError` unless the folder is empty or does not exist yet."""
    rule = "a new or an empty folder"
    if folder.exists() and not folder.is_dir():
        raise input_error("new-project", "DIR", rule, str(folder), "That is a file.")
    held = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if held:
        more = f" and {len(held) - 3} more" if len(held) > 3 else ""
        way_out = f"It holds {', '.join(held[:3])}{more}: nothing was written."
        raise input_error("new-project", "DIR", rule, str(folder), way_out)
