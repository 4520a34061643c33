"""The command line: `kerascv-course list | run | new-project | build | data | grade | doctor`."""

import argparse
import io
import sys
from collections.abc import Sequence

from kerascv_course import __version__
from kerascv_course.cli import build, data, doctor, grade, new_project, run
from kerascv_course.cli.status import INTERRUPTED, USAGE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The words after `kerascv-course`; None: those of this process.

    Returns:
        The exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """
    for stream in (sys.stdout, sys.stderr):  # a file on Windows may have no sign for what a notebook prints
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in (*doctor.EXTRAS["notebooks"], "nbformat", "jinja2", "jupyter_client", "pygments"):
            raise
        print(f'This needs {package}: pip install "kerascv_course[notebooks]"', file=sys.stderr)
        return USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kerascv-course", description="The Keras companion to university computer-vision courses."
    )
    parser.add_argument("--version", action="version", version=f"kerascv_course {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (run, build, data, new_project, grade, doctor):
        module.add_command(commands)
    return parser
