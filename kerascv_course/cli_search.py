"""The command line of a search over several processes: KerasTuner's chief and workers, started together."""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from kerascv_course.cli.status import FAILED, USAGE

STARTS = 3  # of a worker, before it is given up
_POLL_SECONDS = 0.2
_LAST_LINES = 15


def add_search_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `search`.

    Args:
        commands: What `add_subparsers` of the main parser returned.
    """
    search = commands.add_parser("search", help="run a script with a random search in several processes")
    search.add_argument("script", type=Path, help="a Python script that calls kerascv_course.tuning.random_search")
    search.add_argument("--workers", type=int, default=2, help="processes that share the trials (default: 2)")
    search.set_defaults(command=_search)


def _search(options: argparse.Namespace) -> int:
    if not options.script.is_file():
        print(f"There is no script {options.script}.", file=sys.stderr)
        return USAGE
    if options.workers < 1:
        print(f"--workers must be at least 1, not {options.workers}.", file=sys.stderr)
        return USAGE
    return run_workers(options.script, options.workers)


def run_workers(script: Path, workers: int) -> int:
    """Run a script that calls `random_search` in several processes, which share its trials.

    One process more, the chief, hands out the trials; what the script does after the search is done once, by the
    chief, whose output is this process' own. A worker that dies is started again, and gets the interrupted trial
    again; after its third death it is given up, the others do what is left, and the same command does the
    interrupted trial later. The chief may notice the end of the search up to 20 seconds late.

    Args:
        script: Up to its call of `random_search` every process runs it.
        workers: Number of processes that train, 1 or more. They share the processor cores and the GPU.

    Returns:
        The exit status of the script; 1 where a worker was given up.
    """
    settings = {
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": str(_free_port()),
        "no_grpc_proxy": "127.0.0.1",  # a proxy for the web would swallow the requests to the chief
    }
    chief = _start(script, "chief", settings, None)
    team = [_Worker(script, f"tuner{number}", settings) for number in range(workers)]
    try:
        while chief.poll() is None:
            for worker in team:
                worker.look_after()
            # Without a given-up worker the chief ends by itself, after the script's last line.
            if all(worker.is_over for worker in team) and any(worker.is_given_up for worker in team):
                return FAILED
            time.sleep(_POLL_SECONDS)
        return int(chief.returncode)
    finally:
        for process in (chief, *(worker.process for worker in team)):
            _stop(process)
        for worker in team:
            worker.output.close()


class _Worker:
    """A worker process, its output, and how often it was started."""

    def __init__(self, script: Path, name: str, settings: Mapping[str, str]) -> None:
        self.script, self.name, self.settings = script, name, settings
        self.output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self.starts = 1
        self.is_over = self.is_given_up = False
        self.process = _start(script, name, settings, self.output)

    def look_after(self) -> None:
        """Start the process again where it has died."""
        status = self.process.poll()
        if self.is_over or status is None:
            return
        self.is_given_up = status != 0 and self.starts == STARTS
        self.is_over = status == 0 or self.is_given_up
        if status == 0:
            return
        self.output.seek(0)
        lines = self.output.read().decode(errors="replace").splitlines()[-_LAST_LINES:]
        what = "is given up: the same command goes on from here" if self.is_given_up else "starts again"
        said = [f"Worker {self.name} has died (exit status {status}); it {what}. Its last lines:", *lines]
        print("\n".join(said), file=sys.stderr, flush=True)
        if not self.is_given_up:
            self.starts += 1
            self.output.seek(0)
            self.output.truncate()
            self.process = _start(self.script, self.name, self.settings, self.output)


def _start(
    script: Path, name: str, settings: Mapping[str, str], output: IO[bytes] | None
) -> subprocess.Popen[bytes]:
    environment = {**os.environ, **settings, "KERASTUNER_TUNER_ID": name}
    errors = None if output is None else subprocess.STDOUT
    return subprocess.Popen([sys.executable, str(script)], env=environment, stdout=output, stderr=errors)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
