"""The process that runs one student's cells in our notebook, and says what the checks say.

It reads a job from standard input, as JSON, and writes a line of JSON for each thing that happens to what was
standard output: the student's own output goes nowhere. `contain` starts it, in a container or not.
"""

import importlib
import io
import json
import os
import sys
import threading
import traceback
import types
from typing import Any

MOST_PRINTED = 5_000_000  # characters of one exercise


class TooMuchOutputError(Exception):
    """Raised in the student's code that prints without end."""


class _Output(io.TextIOBase):
    """Counts what is printed, and keeps nothing of it."""

    count = 0

    def write(self, text: str) -> int:
        self.count += len(text)
        if self.count > MOST_PRINTED:
            raise TooMuchOutputError(f"more than {MOST_PRINTED:,} characters printed")
        return len(text)


def limit_resources(memory: int, file_size: int, seconds: int) -> None:
    """Limit this process for good, where the system can: memory, the size of a file, seconds of processor.

    Args:
        memory: Bytes of its own; twice as much with what it shares. TensorFlow reserves 3 GB that it never
            touches: the address space alone (RLIMIT_AS) would be no measure of what is used.
        file_size: Bytes of one file.
        seconds: After which the system ends it, should nobody else.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = {"DATA": memory, "AS": 2 * memory, "FSIZE": file_size, "CPU": seconds, "NOFILE": 256, "CORE": 0}
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (bound, bound))


def main() -> None:
    """Judge the job of standard input."""
    job = json.load(sys.stdin)
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(nowhere, stream)
    limit_resources(job["memory"], job["file_size"], job["processor_seconds"])

    def say(event: str, **values: Any) -> None:
        channel.write(json.dumps({"event": event, **values}) + "\n")
        channel.flush()

    from IPython.core.interactiveshell import InteractiveShell

    from kerascv_course.exercises import sheet as sheets

    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    shell: Any = InteractiveShell.instance(user_module=module, user_ns=module.__dict__)
    shell.history_manager.enabled = False
    shell.display_formatter.active_types = ["text/plain"]
    shell.enable_gui = lambda *names: None  # for `%matplotlib inline`
    shell.system = shell.getoutput = lambda *commands, **options: None  # `!pip install`: there is no network
    shell.showtraceback = shell.showsyntaxerror = lambda *args, **options: None  # `run` returns the error
    sys.stdout = sys.stderr = output = _Output()
    sheet = importlib.import_module(f"kerascv_course.exercises.{job['module']}").sheet
    for code in job["setup"]:
        output.count = 0
        if error := _run(shell, code):
            say("broken", text=f"{sheets.said(error)} in our own cell: {code[:200]}")
            return
    os.dup2(nowhere, 2)
    for task in job["tasks"]:
        say("start", name=task["name"])
        output.count, threads = 0, set(threading.enumerate())
        raised = [error for code in task["cells"] if (error := _run(shell, code))]
        errors = [_where(error, sheets.said(error)) for error in raised]
        answers = {name: module.__dict__[name] for name in task["answers"] if name in module.__dict__}
        if missing := [name for name in task["answers"] if name not in answers]:
            kind, text = "missing", f"Not set: `{'`, `'.join(missing)}`."
        else:
            kind, text = _check(sheet.exercises[task["name"]], list(answers.values()), sheets)
        if left := [thread.name for thread in threading.enumerate() if thread not in threads]:
            errors.append(f"{len(left)} of its threads still ran after the cell: {left[0][:80]}")
        answer = _shown(list(answers.values()))
        say("judged", name=task["name"], kind=kind, text=text, errors=errors, answer=answer)
    say("end", summary=sheet.summary().title)


def _run(shell: Any, code: str) -> BaseException | None:
    """Run a cell as a notebook does, and return what it raised."""
    try:
        result = shell.run_cell(code, store_history=False)
        error = result.error_before_exec or result.error_in_exec
    except BaseException as raised:  # what IPython lets pass
        error = raised
    return error if isinstance(error, BaseException) else None


def _where(error: BaseException, said: str) -> str:
    """Return what an error says, with the last line of the cell that it went through."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f"Line {error.lineno}: `SyntaxError: {error.msg}`"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename.startswith("<ipython-input")]
    return f"Line {lines[-1]}: {said}" if lines else said


def _check(exercise: Any, answers: list[Any], sheets: Any) -> tuple[str, str]:
    try:
        feedback = exercise.check(*answers)
        return str(feedback.kind), str(feedback.text)
    except BaseException as error:  # `sys.exit()` inside a function of the student's
        return "wrong", f"The check was ended by {sheets.said(error)}."


def _shown(answers: list[Any]) -> str:
    """Return the answers as text where they are plain values, for the list of frequent ones."""
    try:
        text = json.dumps(answers)[1:-1]
    except BaseException:  # no plain value
        return ""
    return text if len(text) <= 200 else f"{text[:197]}..."


if __name__ == "__main__":
    main()
    os._exit(0)  # whatever thread still runs
