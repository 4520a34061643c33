"""A student's process: started in a container, watched, and ended where it breaks a limit."""

import contextlib
import json
import os
import platform
import queue
import shutil
import signal
import site
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import kerascv_course
from kerascv_course.notebooks.marks import source_folder

TRUST = "`--trust` runs the students' code as you: it can read, change and send all that you can."
_SETUP_SECONDS = 900  # for our own cells, which may be all of a notebook on a busy machine
_MOST_LINES, _LONGEST_LINE = 10_000, 1_000_000  # of what the judge says
# System calls that make a process, a user namespace, or memory that no limit counts.
# By processor: its number, fork, vfork, unshare and memfd_create (ARM has no first two), and clone.
_FORBIDDEN = {"x86_64": (0xC000003E, (57, 58, 272, 319), 56), "aarch64": (0xC00000B7, (97, 279), 220)}
KINDS = ("right", "wrong", "to do", "missing")
RESULT = ("kind", "text", "errors", "answer")
_FIELDS = {"start": ("name",), "judged": ("name", *RESULT), "end": ("summary",), "broken": ("text",)}
_RUNNING: set[subprocess.Popen[bytes]] = set()
_CLONE3, _CLONE_THREAD, _X32 = 435, 0x10000, 0x40000000


@dataclass(frozen=True)
class Limits:
    """What a student's code may use.

    Attributes:
        seconds: Of one exercise, its check included.
        memory: Bytes of the process.
        file_size: Bytes of a file, and of all files together.
    """

    seconds: int = 120
    memory: int = 5 * 2**30
    file_size: int = 2**28


def missing() -> str:
    """Say why no container can be made here, "" where it can."""
    if sys.platform != "linux" or platform.machine() not in _FORBIDDEN:
        here = f"{platform.system()} on {platform.machine()}"
        return f"Students' code is contained on Linux with x86_64 or aarch64 only, and this is {here}. {TRUST}"
    if shutil.which("bwrap") is None:
        install = "sudo apt install bubblewrap (or dnf, pacman, zypper)"
        return f"Students' code is contained by bubblewrap, which is not installed: {install}. {TRUST}"
    with _file(_system_calls()) as rules:
        command = [*_container(rules.fileno(), Limits()), sys.executable, "-c", "pass"]
        tried = subprocess.run(command, capture_output=True, text=True, pass_fds=(rules.fileno(),))
    why = (tried.stderr.strip().splitlines() or [f"exit status {tried.returncode}"])[-1]
    return f"bubblewrap cannot make a container here: {why[:300]} {TRUST}" if tried.returncode else ""


def _file(content: bytes = b"") -> Any:
    """Return an open file without a name that holds some bytes."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the caller closes it
    file.write(content)
    file.seek(0)
    return file


def run(job: dict[str, Any], limits: Limits, *, trust: bool) -> Iterator[dict[str, Any]]:
    """Run the judge on a job, and yield what it says.

    Args:
        job: What `judge` reads, without limits.
        limits: What the student's code may use.
        trust: Whether it runs without a container.

    Yields:
        The events; the last one is "end", "broken" (our own cells failed), or "ended" with the reason in "text".
    """
    seconds = _SETUP_SECONDS + limits.seconds * (len(job["tasks"]) + 1)
    given = json.dumps(job | asdict(limits) | {"processor_seconds": seconds}).encode()
    command = [sys.executable, "-P", "-m", f"{__package__}.judge"]
    with (
        _file(given) as stdin,
        _file() as stderr,
        _file(b"" if trust else _system_calls()) as rules,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
    ):
        options: dict[str, Any] = {"env": _environment(scratch), "cwd": scratch}
        if not trust:
            command = [*_container(rules.fileno(), limits), *command]
            options = {"env": _environment("/tmp"), "pass_fds": (rules.fileno(),)}
        streams = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": stderr}
        process = subprocess.Popen(command, start_new_session=True, **streams, **options)
        _RUNNING.add(process)
        try:
            yield from _watched(process, limits.seconds, stderr)
        finally:
            _end(process)


def _watched(process: subprocess.Popen[bytes], seconds: int, stderr: Any) -> Iterator[dict[str, Any]]:
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        for _ in range(_MOST_LINES):
            lines.put(process.stdout.readline(_LONGEST_LINE))

    threading.Thread(target=read, daemon=True).start()  # Windows cannot wait for a pipe and a time at once
    allowed = _SETUP_SECONDS
    while True:
        try:
            line = lines.get(timeout=allowed)
            event = _event(line) if line else {"event": "ended", "text": _death(process, stderr)}
        except queue.Empty:
            event = {"event": "ended", "text": f"it took longer than {allowed} s"}
        yield event
        if event["event"] in ("end", "ended", "broken"):
            return
        allowed = seconds


def _event(line: bytes) -> dict[str, Any]:
    """Return what the judge says, if it is the judge: a student's code may write into its channel."""
    try:
        event = json.loads(line)
        texts = [*(event.get("errors") or []), *(value for key, value in event.items() if key != "errors")]
        is_known = event.keys() == {"event", *_FIELDS[event["event"]]} and event.get("kind", "right") in KINDS
        if is_known and all(isinstance(text, str) for text in texts):
            return dict(event)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        pass
    return {"event": "ended", "text": "it wrote into the channel of the judge"}


def _death(process: subprocess.Popen[bytes], stderr: Any) -> str:
    """Say how a process ended that was to say more."""
    status = process.wait()
    number = -status if status < 0 else status - 128  # bubblewrap adds 128 to a signal's
    if number in set(signal.Signals):
        return f"the process was ended by {signal.Signals(number).name}"
    stderr.seek(0)
    last = stderr.read(100_000).decode("utf-8", "replace").strip().splitlines()[-1:]
    return f"the process ended itself with the status {status}{f': {last[0][:300]}' if last and status else ''}"


def end_all() -> None:
    """End every process that still runs."""
    for process in list(_RUNNING):
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    _RUNNING.discard(process)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()  # it leads a session
    process.wait()


def _environment(home: str) -> dict[str, str]:
    """Return the variables of a student's process: nothing of the teacher's that it does not need."""
    kept = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "KERAS_BACKEND", "LANG", "SYSTEMROOT")
    homes = ("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR", "KERASCV_COURSE_CACHE")
    ones = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    known = {name: os.environ[name] for name in kept if name in os.environ} | dict.fromkeys(homes, home)
    known |= dict.fromkeys((*ones, "PYTHONDONTWRITEBYTECODE", "PYTHONUTF8"), "1") | {"MALLOC_ARENA_MAX": "4"}
    known["PYTHONPATH"] = os.pathsep.join(filter(None, [_root(), known.get("PYTHONPATH")]))
    known |= {"KERASCV_COURSE_PROFILE": "smoke", "MPLBACKEND": "agg", "CUDA_VISIBLE_DEVICES": "-1"}
    return known | {"TF_CPP_MIN_LOG_LEVEL": "3"}


def _root() -> str:
    """Return the folder from which this package was imported, "" where Python finds it by itself."""
    root = str(Path(kerascv_course.__file__).parent.parent)
    return "" if root in (*site.getsitepackages(), site.getusersitepackages()) else root


def _visible() -> dict[str, None]:
    """Return the folders that a student's process may read: the system's libraries, Python, this package."""
    system = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/alternatives"]
    sites = [*site.getsitepackages(), site.getusersitepackages()]
    others = [sys.prefix, sys.base_prefix, *sites, str(Path(kerascv_course.__file__).parent), str(source_folder())]
    return dict.fromkeys(filter(os.path.exists, [*system, *others, *map(os.path.realpath, others)]))


def _container(rules: int, limits: Limits) -> list[str]:
    """Return bubblewrap's command: no network, no other process, a passing home, fewer system calls."""
    words = ["bwrap", "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    words += ["--uid", "1000", "--gid", "1000", "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    for folder in ("/dev/shm", "/tmp"):
        words += ["--size", str(limits.file_size), "--tmpfs", folder]
    for path in _visible():
        is_link = path.count("/") == 1 and os.path.islink(path)  # /lib is one, to usr/lib
        words += ["--symlink", os.readlink(path), path] if is_link else ["--ro-bind", path, path]
    return [*words, "--remount-ro", "/", "--chdir", "/tmp", "--seccomp", str(rules)]


def _system_calls() -> bytes:
    """Return the rules of seccomp, as the kernel's filter language: threads may be made, processes may not.

    A limit on processes (RLIMIT_NPROC) counts those of the teacher's, and does not bind root.
    """
    architecture, forbidden, clone = _FORBIDDEN[platform.machine()]
    kill, refuse, unknown, allow = 0x80000000, 0x00050001, 0x00050026, 0x7FFF0000  # EPERM is 1, ENOSYS 38
    load, equal, at_least, any_bit, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    rules = [(load, 0, 0, 4), (equal, 1, 0, architecture), (answer, 0, 0, kill), (load, 0, 0, 0)]
    rules += [(at_least, 0, 1, _X32), (answer, 0, 0, refuse)]
    for number in forbidden:
        rules += [(equal, 0, 1, number), (answer, 0, 0, refuse)]
    rules += [(equal, 0, 1, _CLONE3), (answer, 0, 0, unknown)]  # glibc then takes clone, whose flags are seen
    rules += [(equal, 0, 3, clone), (load, 0, 0, 16), (any_bit, 1, 0, _CLONE_THREAD), (answer, 0, 0, refuse)]
    return b"".join(struct.pack("=HBBI", *rule) for rule in [*rules, (answer, 0, 0, allow)])
