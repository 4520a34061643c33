"""The files that can be fetched: what they are, where they come from, and where they lie."""

import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from urllib.parse import quote, urlsplit

from kerascv_course._validation import check_choice, input_error
from kerascv_course.datasets.cache import cache_folder
from kerascv_course.datasets.download import Show, download, is_web_address, sha256_of


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be fetched.

    Attributes:
        name: Short name, as in `kerascv-course data fetch NAME`.
        title: What it is.
        file_name: Its name at the official address, on mirrors and in our folders.
        address: The official address.
        size: Bytes.
        sha256: Checksum, 64 hexadecimal digits.
        other_names: Names under which other programs keep the same file.
    """

    name: str
    title: str
    file_name: str
    address: str
    size: int
    sha256: str
    other_names: tuple[str, ...] = ()

    @property
    def by_hand(self) -> str:
        """How to do without the download."""
        return (
            f"By hand: get {self.file_name} on another network or from a colleague and put it into "
            f"{downloads_folder()}, or into any folder that the environment variable KERASCV_COURSE_DATA names."
        )


_CIFAR10 = RemoteFile(
    name="cifar10",
    title="CIFAR-10, 60,000 photographs of 32x32 pixels in ten classes",
    file_name="cifar-10-python.tar.gz",
    address="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    size=170_498_071,
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",  # as in keras.datasets.cifar10
    other_names=("cifar-10-batches-py-target_archive", "cifar-10-batches-py.tar.gz"),  # Keras 3 and 2
)
REMOTE_FILES = {file.name: file for file in (_CIFAR10,)}


def downloads_folder() -> Path:
    """Return the folder into which `fetch` puts files: `downloads` in the cache folder; it need not exist yet."""
    return cache_folder() / "downloads"


def mirror_addresses() -> list[str]:
    """Return the base addresses in `KERASCV_COURSE_MIRRORS`, each with a slash at its end.

    Raises:
        ValueError: If one of them is no http or https address.

    Example:
        >>> os.environ["KERASCV_COURSE_MIRRORS"] = "http://192.168.1.20:8000, https://data.example.org/course/"
        >>> mirror_addresses()
        ['http://192.168.1.20:8000/', 'https://data.example.org/course/']
        >>> del os.environ["KERASCV_COURSE_MIRRORS"]
    """
    setting = os.environ.get("KERASCV_COURSE_MIRRORS", "")
    addresses = [address for address in re.split(r"[\s,]+", setting) if address]
    for address in addresses:
        if not is_web_address(address) or urlsplit(address).query or urlsplit(address).fragment:
            rule = "addresses of folders that begin with http:// or https://, with spaces or commas between them"
            way_out = f"{address!r} is none; correct this environment variable, or unset it."
            raise input_error("fetch", "KERASCV_COURSE_MIRRORS", rule, setting, way_out)
    return [address if address.endswith("/") else f"{address}/" for address in addresses]


def find_copies(name: str) -> Iterator[Path]:
    """Yield where the file lies on this machine, by its name and size; the content is not read.

    Looked into are the folder in `KERASCV_COURSE_DATA`, Keras' cache and the downloads folder, in this order.

    Args:
        name: Name of the file in the catalogue, for example "cifar10".

    Yields:
        The path of each copy.

    Raises:
        ValueError: If there is no such name.
    """
    check_choice("find_copies", "name", name, REMOTE_FILES)
    remote = REMOTE_FILES[name]
    folders = [keras_home() / "datasets", downloads_folder()]
    setting = os.environ.get("KERASCV_COURSE_DATA")
    if setting:
        folders.insert(0, Path(setting).expanduser().absolute())
    for folder in folders:
        for file_name in (remote.file_name, *remote.other_names):
            path = folder / file_name
            if path.is_file() and path.stat().st_size == remote.size:
                yield path


def keras_home() -> Path:
    """Return Keras' cache folder: the one in `KERAS_HOME`, or else `.keras` in the home folder."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser().absolute()


def fetch(name: str, *, show: Show | None = None) -> Path:
    """Download a file of the catalogue into the downloads folder, unless it is there.

    It is asked for at its official address and then at the mirrors that the environment variable
    `KERASCV_COURSE_MIRRORS` names; see `download` for what happens where a transfer breaks off or is slow.

    Args:
        name: Name of the file in the catalogue, for example "cifar10".
        show: Called with the bytes that have arrived and those of the whole file; for example a `ProgressBar`.

    Returns:
        The path of the file; its checksum is right.

    Raises:
        ValueError: If there is no such name, a mirror is no web address, or a damaged file lies at its place.
        ConnectionError: If it cannot be downloaded; says why, and how to place the file by hand.
        OSError: If the disk is full or the cache folder cannot be written.

    Example:
        >>> archive = fetch("cifar10")  # doctest: +SKIP
        >>> fetch("cifar11")
        Traceback (most recent call last):
            ...
        ValueError: `name` of `fetch` must be 'cifar10'. Received: name='cifar11'.
    """
    check_choice("fetch", "name", name, REMOTE_FILES)
    remote = REMOTE_FILES[name]
    addresses = [remote.address, *(base + quote(remote.file_name) for base in mirror_addresses())]
    target = downloads_folder() / remote.file_name
    try:
        return download(addresses, target, size=remote.size, sha256=remote.sha256, show=show)
    except ConnectionError as error:
        raise ConnectionError(f"{error} {remote.by_hand}") from error


def is_right(name: str, path: Path) -> bool:
    """Say whether the file at the path has size and checksum of the one in the catalogue."""
    remote = REMOTE_FILES[name]
    return path.stat().st_size == remote.size and sha256_of(path) == remote.sha256


class ProgressBar:
    """A line on the standard error stream that renews itself while bytes arrive.

    Use it in a `with` block, so that the line ends where the transfer does, and pass it as `show`.

    Args:
        title: What is being transferred.
        stream: Where it is written; the standard error stream by default.

    Example:
        >>> with ProgressBar("a.zip", sys.stdout) as bar:
        ...     bar(2_000_000, 2_000_000)
        a.zip: 100% of 2.0 MB
    """

    def __init__(self, title: str, stream: TextIO | None = None) -> None:
        self._title = title
        self._stream = stream or sys.stderr
        self._shown: tuple[int, int] | None = None  # percent and second of the last line
        self._length = 0
        self._since, self._before = 0.0, 0

    def __call__(self, done: int, total: int) -> None:
        """Show that so many bytes of so many are done."""
        now = time.monotonic()
        if self._shown is None or done < self._before:
            self._since, self._before = now, done
        # In a file, unlike on a screen, each renewal is a line that stays: there, one for each percent.
        shown = (100 * done // total, int(now) if self._stream.isatty() else 0)
        if shown == self._shown:
            return
        self._shown = shown
        text = f"{self._title}: {shown[0]:3}% of {total / 1e6:,.1f} MB"
        if done < total and now - self._since > 2 and done > self._before:
            rate = (done - self._before) / (now - self._since)
            minutes, seconds = divmod(round((total - done) / rate), 60)
            text += f", {rate / 1e6:.2f} MB/s, {minutes}:{seconds:02} to go"
        self._stream.write(f"\r{text:<{self._length}}")
        self._stream.flush()
        self._length = len(text)

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *error: object) -> None:
        if self._shown is not None:
            self._stream.write("\n")
