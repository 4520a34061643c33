"""One process at a time for one file."""

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from kerascv_course._validation import input_error

_LOOKS = 50  # at a lock that does not change, before its owner is taken for dead


@contextlib.contextmanager
def alone(target: Path, abandoned: float, waiting: Callable[[], None], variable: str) -> Iterator[None]:
    """Wait until no other process transfers this file, or until it is placed.

    The lock is a file beside the target that its owner touches again and again, which works on every system and on
    mounted drives. It saves a second transfer and no more: two owners at once do no harm where each writes a file
    of its own and replaces the target with it.

    Args:
        target: The file that is wanted. Where it is there already nothing is locked.
        abandoned: An owner that gave no sign of life for so long is taken for dead, in seconds.
        waiting: Called again and again meanwhile.
        variable: The environment variable that decides the folder of the target, for errors.

    Yields:
        Nothing; the target may be there by then.

    Raises:
        OSError: If the folder of the target cannot be made or written.
    """
    lock, owner = target.with_name(f"{target.name}.lock"), uuid.uuid4().hex
    seen, looks = -1, 0
    while not target.is_file():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with lock.open("x") as file:
                file.write(owner)
            break
        except FileExistsError as error:
            if target.parent.is_file():
                raise _not_writable(target, variable, error) from error
        except OSError as error:
            # Windows also refuses while the lock of another process is just being deleted.
            if not isinstance(error, PermissionError) or os.name != "nt" or seen == 0:
                raise _not_writable(target, variable, error) from error
        try:
            sign = lock.stat().st_mtime_ns
        except OSError:
            sign = 0
        if sign != seen:
            seen, looks = sign, 0
        elif looks >= _LOOKS:
            lock.unlink(missing_ok=True)
        looks += 1  # counted, and not timed: a computer that was asleep for hours looks once after it
        waiting()
        time.sleep(abandoned / _LOOKS)
    else:
        yield
        return
    finished = threading.Event()

    def touch() -> None:
        while not finished.wait(abandoned / 10):
            with contextlib.suppress(OSError):
                os.utime(lock)

    thread = threading.Thread(target=touch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
        with contextlib.suppress(OSError):
            if lock.read_text() == owner:
                lock.unlink()


def _not_writable(target: Path, variable: str, error: OSError) -> Exception:
    rule = "in a folder that can be written, or the name of one that can be made"
    way_out = f"({error}) Name such a folder in {variable}."
    return input_error("download", "target", rule, str(target), way_out, OSError)
