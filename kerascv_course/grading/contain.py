"""A student's process: started in a container, watched, and ended where it breaks a limit."""

import contextlib
import functools
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

INSTALL = "Install bubblewrap: sudo apt install bubblewrap (or dnf, pacman, zypper)."
TRUST = "`--trust` runs the students' code as you: it can read, change and send all that you can."
_SETUP_SECONDS = 900  # for our own cells, which may be all of a notebook on a busy machine
_MOST_LINES, _LONGEST_LINE = 10_000, 1_000_000  # of what the judge says
# Of Linux on two processors: what makes a process, a user namespace, or memory that no limit counts.
_FORBIDDEN = {
    "x86_64": (0xC000003E, {"fork": 57, "vfork": 58, "unshare": 272, "memfd_create": 319}, 56),
    "aarch64": (0xC00000B7, {"unshare": 97, "memfd_create": 279}, 220),
}
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
    if sys.platform != "linux":
        return f"Students' code is contained on Linux only, and this is {platform.system()}. {TRUST}"
    if shutil.which("bwrap") is None:
        return f"Students' code is contained by bubblewrap, which is not installed. {INSTALL} {TRUST}"
    with tempfile.TemporaryFile() as rules:
        rules.write(_system_calls())
        rules.seek(0)
        command = [*_container(rules.fileno(), Limits()), sys.executable, "-c", "pass"]
        tried = subprocess.run(command, capture_output=True, text=True, pass_fds=(rules.fileno(),))
    if tried.returncode:
        why = (tried.stderr.strip().splitlines() or [f"exit status {tried.returncode}"])[-1]
        return f"bubblewrap cannot make a container here: {why[:300]} {TRUST}"
    return ""


def run(job: dict[str, Any], limits: Limits, *, trust: bool) -> Iterator[dict[str, Any]]:
    """Run the judge on a job, and yield what it says.

    Args:
        job: What `judge` reads, without limits.
        limits: What the student's code may use.
        trust: Whether it runs without a container.

    Yields:
        The events; the last one is "end", "broken" (our own cells failed), or "ended" with the reason in "text".
    """
    processor_seconds = _SETUP_SECONDS + limits.seconds * (len(job["tasks"]) + 1)
    job = job | asdict(limits) | {"processor_seconds": processor_seconds}
    with contextlib.ExitStack() as stack:
        given, complaints, rules = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        scratch = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        given.write(json.dumps(job).encode())
        given.seek(0)
        rules.write(_system_calls())
        rules.seek(0)
        command = [sys.executable, "-P", "-m", f"{__package__}.judge"]
        options: dict[str, Any] = {"stdin": given, "stdout": subprocess.PIPE, "stderr": complaints}
        if trust:
            options |= {"env": _environment(scratch), "cwd": scratch, "start_new_session": True}
        else:
            command = [*_container(rules.fileno(), limits), *command]
            options |= {"env": _environment("/tmp"), "pass_fds": (rules.fileno(),), "start_new_session": True}
        process = subprocess.Popen(command, **options)
        _RUNNING.add(process)
        try:
            yield from _watched(process, limits, complaints)
        finally:
            _end(process)


def _watched(process: subprocess.Popen[bytes], limits: Limits, complaints: Any) -> Iterator[dict[str, Any]]:
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        for _ in range(_MOST_LINES):
            lines.put(process.stdout.readline(_LONGEST_LINE))

    threading.Thread(target=read, daemon=True).start()  # Windows cannot wait for a pipe and a time at once
    seconds = _SETUP_SECONDS
    while True:
        try:
            line = lines.get(timeout=seconds)
        except queue.Empty:
            yield {"event": "ended", "text": f"it took longer than {seconds} s"}
            return
        if not line:
            yield {"event": "ended", "text": _death(process, complaints)}
            return
        try:
            event = json.loads(line)
        except ValueError:
            event = {"event": "ended", "text": "it wrote into the channel of the judge"}
        yield event
        if event["event"] in ("end", "ended", "broken"):
            return
        seconds = limits.seconds


def _death(process: subprocess.Popen[bytes], complaints: Any) -> str:
    """Say how a process ended that was to say more."""
    status = process.wait()
    number = -status if status < 0 else status - 128 if status > 128 else 0  # bubblewrap adds 128 to a signal's
    if number in set(signal.Signals):
        reason = {
            signal.SIGXFSZ: "a file too large",
            signal.SIGXCPU: "too much time",
            signal.SIGABRT: "no memory left",
        }
        named = signal.Signals(number)
        return f"the process was ended by {named.name}" + (f": {reason[named]}?" if named in reason else "")
    complaints.seek(0)
    lines = complaints.read(100_000).decode("utf-8", "replace").strip().splitlines()
    last = f": {lines[-1][:300]}" if lines and status else ""
    return f"the process ended itself with the status {status}{last}"


def end_all() -> None:
    """End every process that still runs."""
    for process in list(_RUNNING):
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    _RUNNING.discard(process)
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)  # it leads a session of its own
        else:
            process.kill()
    except ProcessLookupError:
        pass
    process.wait()


def _environment(home: str) -> dict[str, str]:
    """Return the variables of a student's process: nothing of the teacher's that it does not need."""
    kept = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "KERAS_BACKEND", "LANG", "SYSTEMROOT")
    homes = dict.fromkeys(("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR", "KERASCV_COURSE_CACHE"), home)
    threads = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    ours = {
        "KERASCV_COURSE_PROFILE": "smoke",
        "MPLBACKEND": "agg",
        "CUDA_VISIBLE_DEVICES": "-1",
        "PYTHONUTF8": "1",
    }
    more = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONDONTWRITEBYTECODE": "1", "MALLOC_ARENA_MAX": "4"}
    known = {name: os.environ[name] for name in kept if name in os.environ}
    return known | homes | dict.fromkeys(threads, "1") | ours | more


@functools.cache
def _visible() -> tuple[str, ...]:
    """Return the folders that a student's process may read: the system's libraries, Python, this package."""
    libraries = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"]
    system = [*libraries, "/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts"]
    sites = [*site.getsitepackages(), site.getusersitepackages()]
    python = [sys.prefix, sys.base_prefix, sys.exec_prefix, *sites]
    package = [str(Path(kerascv_course.__file__).parent), str(source_folder())]
    others = [path for each in [*python, *package] for path in (each, os.path.realpath(each))]
    return tuple(dict.fromkeys(path for path in [*system, *others] if os.path.exists(path)))


def _container(rules: int, limits: Limits) -> list[str]:
    """Return bubblewrap's command: no network, no other process, a passing home, fewer system calls."""
    words = ["bwrap", "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    words += ["--uid", "1000", "--gid", "1000", "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    words += [
        "--size",
        str(limits.file_size),
        "--tmpfs",
        "/dev/shm",
        "--size",
        str(limits.file_size),
        "--tmpfs",
        "/tmp",
    ]
    for path in _visible():
        words += (
            ["--symlink", os.readlink(path), path]
            if path.count("/") == 1 and os.path.islink(path)
            else ["--ro-bind", path, path]
        )
    return [*words, "--remount-ro", "/", "--chdir", "/tmp", "--seccomp", str(rules)]


def _system_calls() -> bytes:
    """Return the rules of seccomp, as the kernel's filter language: threads may be made, processes may not.

    A limit on processes (RLIMIT_NPROC) counts those of the teacher's, and does not bind root.
    """
    machine = platform.machine()
    if machine not in _FORBIDDEN:
        raise OSError(f"No rules for system calls of {machine} are known: {', '.join(_FORBIDDEN)}. {TRUST}")
    architecture, forbidden, clone = _FORBIDDEN[machine]
    kill, refuse, unknown, allow = 0x80000000, 0x00050001, 0x00050026, 0x7FFF0000  # EPERM is 1, ENOSYS 38

    def rule(code: int, true: int, false: int, value: int) -> bytes:
        return struct.pack("=HBBI", code, true, false, value)

    load, equal, at_least, any_bit, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    rules = [rule(load, 0, 0, 4), rule(equal, 1, 0, architecture), rule(answer, 0, 0, kill)]
    rules += [rule(load, 0, 0, 0)]
    if machine == "x86_64":
        rules += [rule(at_least, 0, 1, _X32), rule(answer, 0, 0, refuse)]
    for number in forbidden.values():
        rules += [rule(equal, 0, 1, number), rule(answer, 0, 0, refuse)]
    rules += [
        rule(equal, 0, 1, _CLONE3),
        rule(answer, 0, 0, unknown),
    ]  # glibc then takes clone, whose flags are seen
    rules += [
        rule(equal, 0, 3, clone),
        rule(load, 0, 0, 16),
        rule(any_bit, 1, 0, _CLONE_THREAD),
        rule(answer, 0, 0, refuse),
    ]
    return b"".join([*rules, rule(answer, 0, 0, allow)])
