"""Execute a notebook cell by cell, save it after each, and turn it into one self-contained page."""

import asyncio
import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from kerascv_course.notebooks.build import write_notebook
from kerascv_course.notebooks.page import page

ANSI_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Execution:
    """What became of a notebook that was executed.

    Attributes:
        notebook: The notebook with its outputs.
        notebook_path: The `.ipynb` file.
        page_path: The `.html` file.
        seconds: Wall time, the start and the end of the kernel included.
        summary: What the cell tagged `summary` printed; empty where it did not run.
        error: Where and why it stopped, for a person to read; None if every cell ran.
    """

    notebook: nbformat.NotebookNode
    notebook_path: Path
    page_path: Path
    seconds: float = 0.0
    summary: str = ""
    error: str | None = None


@dataclass(frozen=True)
class Progress:
    """One step to show: a cell that starts, a line of training, or a cell that is done.

    Attributes:
        kind: "start", "epoch" or "done".
        number: The cell's number among the code cells, from 1.
        total: How many code cells there are.
        text: The cell's first line, or the line that a training epoch printed.
        seconds: Time since the cell started.
    """

    kind: str
    number: int
    total: int
    text: str
    seconds: float


def execute_notebook(
    notebook: nbformat.NotebookNode,
    folder: Path,
    name: str,
    *,
    show: Callable[[Progress], None] = lambda step: None,
    environment: dict[str, str] | None = None,
) -> Execution:
    """Execute a notebook in a fresh kernel of this Python and write what came out into a folder.

    The files are written after each cell, so that an interruption leaves what was done so far.

    Args:
        notebook: The notebook; its cells are filled in place.
        folder: Where `<name>.ipynb` and `<name>.html` are written; also the kernel's working folder.
        name: File name of both, without ending.
        show: Called with each `Progress` step.
        environment: Variables that the kernel gets besides those of this process.

    Returns:
        The `Execution`. A cell that raised ends it, and is described in its `error`.

    Raises:
        KeyboardInterrupt: If the user interrupts; the files hold the cells that ran.
    """
    folder.mkdir(parents=True, exist_ok=True)
    result = Execution(notebook, folder / f"{name}.ipynb", folder / f"{name}.html")
    code_cells = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    for _, cell in code_cells:
        cell.outputs, cell.execution_count = [], None
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="kerascv_course_", ignore_cleanup_errors=True) as scratch:
        client = _Client(
            notebook,
            timeout=None,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(folder)}},
            extra_arguments=["--IPKernelApp.capture_fd_output=False"],  # see _quiet
        )
        # No kernel folders: the kernel is then this Python's own, whatever kernels a user has registered.
        kernels, connection = KernelSpecManager(kernel_dirs=[]), str(Path(scratch) / "kernel.json")
        manager = AsyncKernelManager(
            kernel_name="python3", kernel_spec_manager=kernels, connection_file=connection
        )
        client.km = manager
        client.reset_execution_trackers()
        kernel_environment = {**os.environ, **_quiet(scratch), **(environment or {})}
        log = open(Path(scratch) / "kernel.log", "w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        try:
            with client.setup_kernel(env=kernel_environment, stdout=log, stderr=log, cleanup_kc=True):
                for number, (index, cell) in enumerate(code_cells, start=1):
                    cell_started = time.perf_counter()

                    def step(kind: str, text: str, number: int = number, since: float = cell_started) -> None:
                        show(Progress(kind, number, len(code_cells), text, time.perf_counter() - since))

                    step("start", _first_line(cell.source))
                    client.step, client.epoch, client.rest = step, "", ""
                    _execute_cell(client, cell, index)
                    if "summary" in cell.metadata.get("tags", []):
                        printed = (output.text for output in cell.outputs if output.output_type == "stream")
                        result.summary = "".join(printed).strip()
                    step("done", _first_line(cell.source))
                    write_notebook(notebook, result.notebook_path)
        except CellExecutionError as error:
            result.error = _failure(error, cell, number, len(code_cells))
        except DeadKernelError:
            log.seek(0)
            last_words = "".join(log.readlines()[-10:])
            result.error = f"The kernel died in cell {number} of {len(code_cells)}.\n{last_words}"
        finally:
            log.close()
            result.seconds = time.perf_counter() - started
            write_notebook(notebook, result.notebook_path)
            result.page_path.write_text(page(notebook), encoding="utf-8")
    return result


def _execute_cell(client: "_Client", cell: nbformat.NotebookNode, index: int) -> None:
    try:
        client.execute_cell(cell, index)
    except KeyboardInterrupt:
        # The cell's tasks still wait for the kernel, and would complain on the screen once it is shut down.
        loop = ensure_event_loop()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        raise


class _Client(NotebookClient):
    """Gives the lines that Keras prints at the end of an epoch (`verbose=2`) to `step` as they arrive."""

    step: Callable[[str, str], None]
    epoch = rest = ""

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        processed = super().process_message(msg, cell, cell_index)
        if msg["msg_type"] == "stream":
            *lines, self.rest = (self.rest + msg["content"]["text"]).split("\n")
            for line in lines:
                if match := re.match(r"Epoch (\d+/\d+)", line):
                    self.epoch = match.group(1)
                elif match := re.match(r"\d+/\d+ - (.*loss: .*)", line):
                    self.step("epoch", f"epoch {self.epoch} - {match.group(1)}")
        return processed


def _quiet(scratch: str) -> dict[str, str]:
    """Keep the kernel out of the user's IPython profile and TensorFlow's start-up notes out of the notebook.

    No variable silences the notes that TensorFlow's C++ code writes before its log is set up: they go into the
    kernel's log, because the kernel captures Python's output only.
    """
    return {
        "IPYTHONDIR": scratch,
        "JUPYTER_RUNTIME_DIR": scratch,
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # figures, whatever the user's shell has set
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def _first_line(source: str) -> str:
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    return lines[0].lstrip("# ") if lines else ""


def _failure(error: CellExecutionError, cell: nbformat.NotebookNode, number: int, total: int) -> str:
    """Return where a cell failed, in the cell's own lines, and why."""
    where = f"Cell {number} of {total}"
    lines = [line.strip() for line in cell.source.splitlines()]
    line = _failing_line(ANSI_COLOUR.sub("", error.traceback), lines)
    if line is not None:
        where += f", line {line}: {lines[line - 1]}"
    return f"{where}\n{error.ename}: {error.evalue}"


def _failing_line(trace: str, lines: list[str]) -> int | None:
    """Return the number of the cell's line at which IPython's trace points, None if it points at none."""
    arrows = re.findall(r"^-+> *(\d+)(.*)$", trace, flags=re.MULTILINE)
    for number, text in arrows:  # those in libraries can come first: the cause of an exception stands above it
        if int(number) <= len(lines) and lines[int(number) - 1] == text.strip():
            return int(number)
    syntax_error = None if arrows else re.search(r"\bline (\d+)", trace)
    return int(syntax_error[1]) if syntax_error and int(syntax_error[1]) <= len(lines) else None
