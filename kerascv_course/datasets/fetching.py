"""Files from the network: fetched once, resumed where a transfer broke off, placed if their checksum is right."""

import base64
import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote, urljoin, urlsplit

from kerascv_course._validation import input_error
from kerascv_course.datasets.cache import cache_folder, data_folder

if TYPE_CHECKING:
    import requests

CHECKSUMS = "SHA256SUMS"  # beside the files of a mirror, in the format of the program sha256sum
_TIMEOUT = 20.0  # seconds without a connection or a byte
_SECONDS, _LEAST_BYTES = 20.0, 100_000  # an address that brings less in this time is left for the next one
_TRIES = 5  # of the last address in a row that bring nothing new
_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds before another try, doubled each time
_WEB_FOLDER = re.compile(r"https?://([\w.-]+|\[[\da-f:.]+\])(:\d{1,5})?(/[^?#@]*)?", re.ASCII | re.IGNORECASE)

Result = TypeVar("Result")


class RemoteFile(NamedTuple):
    """A file that can be fetched.

    Args:
        title: What it is.
        path: Its path in the downloads folder and on a mirror, with slashes.
        addresses: Where it is published, the official address last.
        in_keras_cache: The paths below `KERAS_HOME` under which Keras keeps the same file.
        checksum: Kind and digits, such as "md5:bcbd..."; empty where none is published.
        size: Bytes; None where they are not known for sure.
    """

    title: str
    path: str
    addresses: tuple[str, ...]
    in_keras_cache: tuple[str, ...]
    checksum: str = ""
    size: int | None = None


class Fetched(NamedTuple):
    """A file in the downloads folder.

    Args:
        path: The file.
        source: Where it is from; completes "from ...".
        checked: What it was compared with; empty where nobody states a checksum.
        is_new: Whether this call brought it.
    """

    path: Path
    source: str
    checked: str
    is_new: bool = True


def downloads_folder() -> Path:
    """Return the folder into which `fetch` puts files: `downloads` in the cache folder; it need not exist yet."""
    return cache_folder() / "downloads"


def keras_home() -> Path:
    """Return Keras' cache folder: the one in `KERAS_HOME`, or else `.keras` in the home folder."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser().absolute()


def mirror_addresses() -> list[str]:
    """Return the base addresses in `KERASCV_COURSE_MIRRORS`, each with a slash at its end.

    Example:
        >>> os.environ["KERASCV_COURSE_MIRRORS"] = "http://192.168.1.20:8000, https://data.example.org/course/"
        >>> mirror_addresses()
        ['http://192.168.1.20:8000/', 'https://data.example.org/course/']
        >>> del os.environ["KERASCV_COURSE_MIRRORS"]
    """
    setting = os.environ.get("KERASCV_COURSE_MIRRORS", "")
    addresses = [address for address in re.split(r"[\s,]+", setting) if address]
    for address in addresses:
        if not _WEB_FOLDER.fullmatch(address):
            rule = "addresses of folders that begin with http:// or https://, with spaces or commas between them"
            way_out = f"{address!r} is none; correct this environment variable, or unset it."
            raise input_error("fetch", "KERASCV_COURSE_MIRRORS", rule, setting, way_out)
    return [address if address.endswith("/") else f"{address}/" for address in addresses]


def search_places() -> dict[str, Path]:
    """Return the folders in which files are looked for, by their names, in that order."""
    data = data_folder()
    named = {"KERASCV_COURSE_DATA": data} if data else {}
    return {**named, "Keras' cache": keras_home(), "the downloads folder": downloads_folder()}


def find_copies(file: RemoteFile) -> list[Path]:
    """Return where the file lies, by its name: in `KERASCV_COURSE_DATA`, Keras' cache and the downloads folder."""
    names = (file.path, Path(file.path).name, *file.in_keras_cache)
    places = dict.fromkeys(folder / name for folder in search_places().values() for name in names)
    return [place for place in places if place.is_file()]


def is_right(path: Path, checksum: str) -> bool:
    """Say whether the file at the path has the checksum, such as "md5:bcbd..."."""
    import pooch

    kind, _, digits = checksum.partition(":")
    return bool(pooch.file_hash(str(path), alg=kind) == digits)


def listed_checksum(listed: str, file: RemoteFile) -> str:
    """Return kind and digits of a file's checksum in the text of a `SHA256SUMS`; empty where there is none."""
    found = re.search(rf"^([0-9a-f]{{64}}) [ *]{re.escape(file.path)}\r?$", listed, re.MULTILINE)
    return f"sha256:{found[1]}" if found else ""


def fetch(file: RemoteFile, *, tries: int | None = None) -> Fetched:
    """Download a file into the downloads folder, unless it is there; a progress bar shows how far it is.

    It is asked for at the mirrors in `KERASCV_COURSE_MIRRORS`, then at its own addresses. One that is gone, has
    another file, is silent or brings less than 100 kB in 20 seconds is left for the next; the last never is. A
    transfer that breaks off goes on where it was, in the next call too, or anew where the server has no ranges.
    The checksum is the published one, else the one in the `SHA256SUMS` of the mirror, else the one that the host
    states. Of two processes that want the same file one fetches it and the other waits.

    Args:
        file: The file.
        tries: How often the last address is tried in a row without anything new coming from it.

    Returns:
        Where it is, where it is from, and what it was compared with.

    Raises:
        ValueError: If a mirror is no web address, or a damaged file lies at the place of this one.
        ConnectionError: If it cannot be downloaded; says why, and how to place the file by hand.
        OSError: If the disk is full or the folder cannot be written.
    """
    from tqdm import tqdm

    target = downloads_folder() / file.path
    places = [(base + quote(file.path), base) for base in mirror_addresses()]
    places += [(address, "") for address in file.addresses]
    at_hand = Fetched(target, "the downloads folder", file.checksum, is_new=False)
    if target.is_file():
        if file.checksum and not is_right(target, file.checksum):
            raise ValueError(f"{target} is damaged: its checksum is not {file.checksum}. Delete it.")
        return at_hand
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tqdm(desc=target.name, total=file.size, unit="B", unit_scale=True, mininterval=0.5) as bar:
            transfer = _Transfer(file, target, bar, tries or _TRIES)
            try:
                with transfer.alone():
                    return at_hand if target.is_file() else transfer.fetch_from_first(places)
            finally:
                bar.leave = bar.n > 0  # where nothing comes nothing is to be seen
    except ConnectionError:
        raise
    except OSError as error:
        way_out = "Free some space, or name another folder in KERASCV_COURSE_CACHE. What has arrived is kept."
        raise OSError(error.errno, f"{target} cannot be written: {error.strerror or error}. {way_out}") from error


class _TryError(Exception):
    """Why a try at an address failed, and whether another one there may do better."""

    def __init__(self, reason: str, again: bool = True) -> None:
        super().__init__(reason)
        self.again = again


class _Transfer:
    """One file on its way; what has arrived is kept in a part beside the target."""

    def __init__(self, file: RemoteFile, target: Path, bar: Any, tries: int) -> None:
        self.file, self.target, self.bar, self.tries = file, target, bar, tries
        self.part = target.with_name(f"{target.name}.part")
        self.is_last = False  # no other address is left

    @property
    def done(self) -> int:
        """The bytes that have arrived."""
        return self.part.stat().st_size if self.part.is_file() else 0

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other process fetches the same file, and show how far that one is."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.target.with_name(f".{self.target.name}.lock"))
        while not lock.is_locked:
            try:
                lock.acquire(timeout=_PAUSE)
            except Timeout:
                self.bar.set_description(f"{self.target.name} (another process fetches it)")
                self.bar.update(self.done - self.bar.n)
            except NotImplementedError:  # a disk that knows no locks: the checksum notices where two write at once
                break
        try:
            yield
        finally:
            lock.release()

    def fetch_from_first(self, places: list[tuple[str, str]]) -> Fetched:
        """Fetch the file from the first place, an address and its mirror, that delivers it."""
        faults = []
        for address, base in places:
            self.is_last = (address, base) == places[-1]
            try:
                checksum, checked = self.insist(lambda: _find_checksum(self.file, address, base))  # noqa: B023
                self.place_from(address, checksum)
            except _TryError as failure:
                faults.append(f"{address}: {failure}")
            else:
                return Fetched(self.target, f"the mirror {base}" if base else urlsplit(address).netloc, checked)
        kept = f" The {self.done:,} bytes that arrived are kept." if self.done else ""
        place = f"{self.target.parent}, or into a folder that the environment variable KERASCV_COURSE_DATA names"
        by_hand = f"By hand: get this file on another network or from a colleague and put it into {place}."
        raise ConnectionError(f"{self.target.name} could not be downloaded. {'; '.join(faults)}.{kept} {by_hand}")

    def insist(self, attempt: Callable[[], Result]) -> Result:
        """Return what an attempt returns; it is made again as long as that brings the file further."""
        fruitless, furthest = 0, self.done
        while True:
            try:
                return attempt()
            except _TryError as failure:
                gain = self.done - furthest
                furthest += max(0, gain)
                fruitless = 0 if gain >= (1 if self.is_last else _LEAST_BYTES) else fruitless + 1
                if not failure.again or fruitless == (self.tries if self.is_last else 1):
                    raise
            time.sleep(min(_PAUSE * 2**fruitless, _LONGEST_PAUSE))

    def place_from(self, address: str, checksum: str) -> None:
        """Fetch the file from one address; `pooch` compares the checksum and places the file."""
        import pooch

        def hand_over(address: str, output_file: str, _: object) -> None:
            os.replace(self.part, output_file)

        if not checksum:  # of an unchecked file no pieces of two calls may be put together
            self.part.unlink(missing_ok=True)
        pooch.get_logger().setLevel("WARNING")  # it would write to the screen
        folder, name = self.target.parent, self.target.name
        for may_be_repeated in (self.done > 0, False):  # an earlier piece may be at fault
            try:
                self.insist(lambda: self.receive(address))
                pooch.retrieve(address, checksum or None, name, folder, downloader=hand_over)
                return
            except ValueError as error:
                if not may_be_repeated:
                    raise _TryError(f"wrong checksum, not {checksum}, so what came was deleted", False) from error
            finally:
                if not self.done:
                    self.part.unlink(missing_ok=True)

    def receive(self, address: str) -> None:
        """Write what an address sends behind what has arrived, or anew where the server cannot go on."""
        done = self.done
        with _answer(address, start=done) as response:
            status, content_range = response.status_code, response.headers.get("Content-Range", "")
            if status != 416 and response.headers.get("Content-Type", "").startswith("text/html"):
                raise _TryError("a web page came in place of the file, perhaps the network's log-in page", False)
            length = response.headers.get("Content-Length", "")
            total = length if status == 200 else content_range.rpartition("/")[2]
            size = int(total) if total.isdecimal() else self.file.size
            if self.file.size not in (None, size):
                raise _TryError(f"it has another file, of {size} bytes in place of {self.file.size}", False)
            if status == 416:
                return  # nothing is missing, or the part is of another file: the checksum will tell
            if status == 200:
                done = 0
            elif not content_range.startswith(f"bytes {done}-"):
                self.part.unlink(missing_ok=True)
                raise _TryError("another part of the file came than was asked for")
            self.bar.reset(size)
            self.bar.update(done)
            with self.part.open("ab" if done else "wb") as stream:
                since, before = time.monotonic(), done
                # `read1` returns what is there, `read` would wait for the whole chunk.
                while data := response.raw.read1(1 << 18 if size is None else max(0, min(1 << 18, size - done))):
                    stream.write(data)
                    done += len(data)
                    self.bar.update(len(data))
                    if not self.is_last and time.monotonic() - since >= _SECONDS:
                        if done - before < _LEAST_BYTES:
                            raise _TryError(f"too slow, {done - before:,} bytes in {_SECONDS:g} s")
                        since, before = time.monotonic(), done
        if size is not None and done < size:
            raise _TryError(f"cut off after {done:,} of {size:,} bytes")


def _find_checksum(file: RemoteFile, address: str, base: str) -> tuple[str, str]:
    """Return kind and digits of the checksum, and who states it; both are empty where nobody does."""
    if file.checksum:
        return file.checksum, "the published checksum"
    if base and (listed := listed_checksum(_ask(base + CHECKSUMS)[1], file)):
        return listed, f"the {CHECKSUMS} of the mirror"
    stated = _ask(address, "HEAD")[0]  # Google's storage states its checksums
    if found := re.search(r"(?:^|[,\s])md5=([A-Za-z0-9+/]{22}==)", stated):
        return f"md5:{base64.b64decode(found[1]).hex()}", "the checksum that the host states"
    return "", ""


def _ask(address: str, method: str = "GET") -> tuple[str, str]:
    """Return the header with checksums and up to 1 MiB of text; both are empty where the server refuses."""
    try:
        with _answer(address, method) as response:
            return response.headers.get("x-goog-hash", ""), response.raw.read(1 << 20).decode("utf-8", "replace")
    except _TryError as failure:
        if failure.again:
            raise
        return "", ""


@contextlib.contextmanager
def _answer(address: str, method: str = "GET", start: int = 0) -> "Iterator[requests.Response]":
    """Open an address; what fails in the network, also while the answer is read, becomes a `_TryError`."""
    import requests
    import urllib3

    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
    options: dict[str, Any] = {"hooks": {"response": _refuse_unsafe_redirect}, "timeout": _TIMEOUT, "stream": True}
    errors = requests.exceptions
    try:
        with requests.request(method, address, headers=headers, **options) as response:
            status = response.status_code
            if status not in (200, 206, 416):
                raise _TryError(f"HTTP {status} {response.reason}", status in (408, 425, 429) or status >= 500)
            yield response
    except (errors.RequestException, urllib3.exceptions.HTTPError) as error:
        reason = re.sub(r"[\"']\)+$", "", str(error).rpartition(": ")[2])
        if isinstance(error, errors.Timeout | urllib3.exceptions.TimeoutError):
            reason = f"stalled: nothing came for {_TIMEOUT:g} s"
        hopeless = (errors.SSLError, errors.InvalidSchema, errors.InvalidURL, errors.TooManyRedirects)
        raise _TryError(reason, again=not isinstance(error, hopeless)) from error


def _refuse_unsafe_redirect(response: "requests.Response", **options: object) -> None:
    target = urljoin(response.url, response.headers.get("Location", ""))
    if response.is_redirect and response.url.startswith("https:") and not target.startswith("https:"):
        raise _TryError(f"it leads to {target}, which is not followed", False)
