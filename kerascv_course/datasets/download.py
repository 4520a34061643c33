"""Files from the network: resumed where they broke off, checked, and placed whole or not at all."""

import contextlib
import functools
import hashlib
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from glob import escape
from pathlib import Path
from typing import BinaryIO

from kerascv_course._validation import check_int, input_error
from kerascv_course.datasets.lock import alone
from kerascv_course.datasets.web import (
    AGENT,
    LONGEST_PAUSE,
    Patience,
    TryError,
    is_web_address,
    network_failure,
    open_address,
)

Show = Callable[[int, int], None]

_CHUNK = 1 << 18
_CHECKSUMS = {"sha256": ("SHA-256", 64), "md5": ("MD5", 32)}  # name for people, hexadecimal digits


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file, in 64 lower-case digits."""
    return checksum_of(file, "sha256")


def checksum_of(file: Path, kind: str) -> str:
    """Return the checksum of a file, "sha256" or "md5", in lower-case hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, functools.partial(hashlib.new, kind, usedforsecurity=False)).hexdigest()


def download(
    addresses: Sequence[str],
    target: str | os.PathLike[str],
    *,
    size: int,
    sha256: str | None = None,
    md5: str | None = None,
    show: Show | None = None,
    patience: Patience | None = None,
    variable: str = "KERASCV_COURSE_CACHE",
) -> Path:
    """Fetch one file from the first address that delivers it, and place it once its checksum is right.

    A transfer that breaks off goes on where it was: after a pause, at the next address, or in the next call, also
    after the process was killed. What has arrived is kept beside the target in a file that ends in `.part`. Of two
    processes that want the same file at once, one transfers it and the other waits. With several addresses each
    gets one try in turn; where none of them was fast enough, the fastest is asked first for as long as it takes.

    Certificates are always checked, and an https address never leads to an http one. What an address delivers is
    trusted because of its checksum alone.

    Args:
        addresses: Where the file is, http or https, the preferred one first.
        target: Where it goes; its folder is made if need be. If it is there already it is only checked.
        size: Its size in bytes.
        sha256: Its SHA-256, 64 hexadecimal digits.
        md5: Its MD5, 32 hexadecimal digits, where no SHA-256 is known: exactly one of the two is needed.
        show: Called with the bytes that have arrived and `size`, often; for a progress bar.
        patience: Time-outs and rates; those of `Patience` by default.
        variable: The environment variable that decides the folder of the target, for errors.

    Returns:
        The target.

    Raises:
        ValueError: If an argument is out of range, or another file lies at the target.
        ConnectionError: If no address delivered the file; says for each why.
        OSError: If the disk is full, or the folder of the target cannot be written.

    Example:
        >>> download(["ftp://example.org/a.zip"], "a.zip", size=10, sha256="0" * 64)
        Traceback (most recent call last):
            ...
        ValueError: `addresses` of `download` must be one or more http or https addresses. Received: ...
    """
    if isinstance(addresses, str) or not addresses or not all(map(is_web_address, addresses)):
        raise input_error("download", "addresses", "one or more http or https addresses", addresses)
    size = check_int("download", "size", size, minimum=1)
    kind, checksum = _the_checksum(sha256, md5)
    if show is not None and not callable(show):
        raise input_error("download", "show", "a function of two whole numbers, or None", show, error=TypeError)
    target = Path(target).expanduser().absolute()
    if target.exists():
        if target.is_file() and target.stat().st_size == size and checksum_of(target, kind) == checksum:
            return target
        rule = f"a free place, or the file of {size:,} bytes with {_CHECKSUMS[kind][0]} {checksum}"
        raise input_error("download", "target", rule, str(target), "What lies there is not it: delete it.")
    patience = patience or Patience()
    transfer = _Transfer(target, size, kind, checksum, show or (lambda done, total: None), patience, variable)
    with alone(target, patience.abandoned, transfer.show_others, variable):
        if not target.is_file():  # another process may have placed it meanwhile
            transfer.run(addresses)
    return target


def _the_checksum(sha256: str | None, md5: str | None) -> tuple[str, str]:
    """Return the kind of the checksum that was given, and the checksum in lower case."""
    if (sha256 is None) == (md5 is None):
        rule = "64 hexadecimal digits, or `md5` 32, exactly one of the two"
        raise input_error("download", "sha256", rule, sha256, f"And md5={md5!r}.")
    kind, value = ("md5", md5) if sha256 is None else ("sha256", sha256)
    digits = _CHECKSUMS[kind][1]
    if not isinstance(value, str) or not re.fullmatch(rf"[0-9a-fA-F]{{{digits}}}", value):
        raise input_error("download", kind, f"{digits} hexadecimal digits", value)
    return kind, value.lower()


class _Transfer:
    """One file on its way, in a `.part` file that no other process writes."""

    def __init__(
        self,
        target: Path,
        size: int,
        kind: str,
        checksum: str,
        show: Show,
        patience: Patience,
        variable: str,
    ) -> None:
        self.target = target
        self.part = target.with_name(f"{target.name}.{uuid.uuid4().hex}.part")
        self.size = size
        self.kind = kind  # of checksum
        self.checksum = checksum
        self.show = show
        self.patience = patience
        self.variable = variable
        self.done = 0  # bytes in the part
        self.furthest = 0
        self.received = 0  # bytes that came over the network
        self.is_of_one_piece = True  # nothing in the part came from an earlier try

    def run(self, addresses: Sequence[str]) -> None:
        try:
            self._adopt()
            self._try_all(addresses)
        finally:
            if self.part.is_file() and not self.done:
                self.part.unlink()

    def show_others(self) -> None:
        """Show how far the process is for which this one waits."""
        self.show(min(self.size, max((size for size, _ in self._others()), default=0)), self.size)

    def _others(self) -> list[tuple[int, Path]]:
        found = []
        for path in self.target.parent.glob(f"{escape(self.target.name)}.*.part"):
            with contextlib.suppress(OSError):  # deleted meanwhile
                found.append((path.stat().st_size, path))
        return sorted(found)

    def _adopt(self) -> None:
        """Go on with the longest part of earlier runs.

        It is copied: a process that was taken for dead may wake up, and must not write into a placed file.
        """
        others = self._others()
        usable = [path for size, path in others if 0 < size <= self.size]
        with self._writing():
            self.part.touch()
            if usable:
                shutil.copyfile(usable[-1], self.part)
        self.done = self.furthest = self.part.stat().st_size
        self.is_of_one_piece = not self.done
        for _, path in others:
            with contextlib.suppress(OSError):  # Windows does not delete a file that another process has open
                path.unlink()

    def _try_all(self, addresses: Sequence[str]) -> None:
        failures: dict[str, TryError] = {}
        rates = dict.fromkeys(addresses, 0.0)
        if len(rates) > 1:
            for address in rates:
                started, before = time.monotonic(), self.received
                failure = self._try(address, self.patience.good_rate)
                if failure is None:
                    return
                failures[address] = failure
                rates[address] = (self.received - before) / (time.monotonic() - started)
        for address in sorted(rates, key=lambda address: -rates[address]):
            if address not in failures or failures[address].again:
                last_failure = self._insist(address)
                if last_failure is None:
                    return
                failures[address] = last_failure
        reasons = "; ".join(f"{address}: {failures[address]}" for address in rates)
        kept = f" The {self.done:,} bytes that arrived are kept for the next try." if self.done else ""
        raise ConnectionError(f"{self.target.name} could not be downloaded. {reasons}.{kept}")

    def _insist(self, address: str) -> TryError | None:
        tries, pause = 0, self.patience.pause
        while True:
            furthest = self.furthest
            failure = self._try(address, self.patience.least_rate)
            if failure is None or not failure.again:
                return failure
            if self.furthest - furthest > self.size // 100:
                tries, pause = 0, self.patience.pause
            tries += 1
            if tries >= self.patience.tries:
                return failure
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _try(self, address: str, least_rate: float) -> TryError | None:
        try:
            if self.done < self.size:
                self._receive(address, least_rate)
            self._place()
        except TryError as failure:
            return failure
        return None

    def _receive(self, address: str, least_rate: float) -> None:
        request = urllib.request.Request(address, headers=AGENT)
        if self.done:
            request.add_header("Range", f"bytes={self.done}-")
        with self._open(request) as response, self._writing(), self.part.open("r+b", buffering=0) as file:
            self._find_start(response, file)
            since, before = time.monotonic(), self.done
            while self.done < self.size:
                data = self._read(response)
                if not data:
                    raise TryError(f"cut off after {self.done:,} of {self.size:,} bytes")
                self._write(file, memoryview(data)[: self.size - self.done])
                seconds = time.monotonic() - since
                if seconds >= self.patience.window:
                    rate = (self.done - before) / seconds
                    if rate < least_rate:
                        raise TryError(f"too slow, {rate:,.0f} bytes per second")
                    since, before = time.monotonic(), self.done
            os.fsync(file.fileno())

    def _open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        try:
            return open_address(request, self.patience.timeout, self.done)
        except TryError as failure:
            error = failure.__cause__
            if not isinstance(error, urllib.error.HTTPError) or error.code != 416:
                raise
            total = str(error.headers.get("Content-Range", "")).rpartition("/")[2]
            if total.isdecimal() and int(total) != self.size:
                raise self._other_size(total) from error
            self._forget()
            raise TryError("HTTP 416: it would not go on with the file") from error

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        try:
            return response.read1(_CHUNK)  # whatever has arrived; `read` would wait for all of it
        except (OSError, http.client.HTTPException) as error:
            raise network_failure(error, self.patience.timeout, self.done) from error

    def _find_start(self, response: http.client.HTTPResponse, file: BinaryIO) -> None:
        """Put the file where the answer begins: at its end, or at 0 where the server cannot go on there."""
        if response.headers.get_content_type() == "text/html":
            raise TryError("a web page came in place of the file, perhaps the network's log-in page", again=False)
        if response.status == 206:
            found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
            if found and found[2] not in ("*", str(self.size)):
                raise self._other_size(found[2])
            if not found or int(found[1]) != self.done:
                self._forget()
                raise TryError("another part of the file came than was asked for")
            file.seek(self.done)
            self.is_of_one_piece = not self.done
            return
        if response.status != 200:
            raise TryError(f"HTTP {response.status}", again=False)
        length = response.headers.get("Content-Length", str(self.size))
        if length != str(self.size):
            raise self._other_size(length)
        self._forget()
        file.truncate(0)

    def _other_size(self, received: str) -> TryError:
        return TryError(f"it has another file, of {received} bytes in place of {self.size}", again=False)

    def _write(self, file: BinaryIO, data: memoryview) -> None:
        self.received += len(data)
        while data:
            written = file.write(data)
            data = data[written:]
            self.done += written
        self.furthest = max(self.furthest, self.done)
        self.show(self.done, self.size)

    def _forget(self) -> None:
        self.done = 0
        self.is_of_one_piece = True

    def _place(self) -> None:
        with self._writing():
            try:
                found = checksum_of(self.part, self.kind)
                if found == self.checksum:
                    os.replace(self.part, self.target)
            except (FileNotFoundError, PermissionError):
                # Another process took this one for dead and placed the file; Windows does not replace one in use.
                if not self.target.is_file():
                    raise
                self.part.unlink(missing_ok=True)
                return
        if found != self.checksum:
            again = not self.is_of_one_piece  # the earlier piece may be at fault
            os.truncate(self.part, 0)
            self._forget()
            kind = _CHECKSUMS[self.kind][0]
            reason = f"wrong checksum, so what came was deleted ({kind} {found} in place of {self.checksum})"
            raise TryError(reason, again)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            message = f"Another process took over the download of {self.target}. Try again once that one is done."
            raise ConnectionError(message) from error
        except OSError as error:
            needed = f"{self.size / 1e6:,.1f} MB are needed"
            way_out = f"{needed}. Free some, or name another folder in {self.variable}."
            message = f"{error.strerror or error}: writing {self.target} failed at {self.done:,} bytes. {way_out}"
            raise OSError(error.errno, message) from error
