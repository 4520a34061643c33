"""The notebooks in what a class handed in: a folder or archive, read without unpacking anything to the disk."""

import contextlib
import datetime
import io
import json
import os
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

MEGABYTE = 2**20
LARGEST_NOTEBOOK = 100 * MEGABYTE  # with its outputs
LARGEST_ARCHIVE = 500 * MEGABYTE  # inside another one
LARGEST_SUM = 20_000 * MEGABYTE  # of all that is read
LARGEST_RATIO = 200  # of the size to the packed size, of what is larger than a notebook
MOST_FILES = 50_000
DEEPEST = 3  # archives inside archives


class Cell(NamedTuple):
    """A cell of a notebook, without its outputs."""

    kind: str
    source: str
    id: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class HandedIn:
    """A notebook as it was handed in.

    Attributes:
        path: Where it stood, with "/" between folders and archives.
        modified: When the file was changed, in seconds; 0 where that is not known.
        cells: Its cells.
    """

    path: str
    modified: float
    cells: list[Cell]


class Problem(NamedTuple):
    """What could not be judged.

    Args:
        where: The path, or the student's name.
        why: The reason.
    """

    where: str
    why: str


@dataclass
class Found:
    """What lies in a folder or archive: notebooks, what cannot be read, and the paths of all other files."""

    notebooks: list[HandedIn] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    size: int = 0  # of all that was read


class _Member(NamedTuple):
    where: str
    size: int
    packed: int
    modified: float
    read: Callable[[], bytes]
    refused: str  # why it is not read, whatever is in it


def find_notebooks(path: Path) -> Found:
    """Return the notebooks in a folder or `.zip`, archives inside it included; nothing is written to the disk.

    Args:
        path: The folder or archive.

    Returns:
        What was found. Links are not followed, and what is too large is named and not read.
    """
    found = Found()
    if path.is_dir():
        _read(_of_folder(path), found, 0)
    else:
        _read_archive(path, path.name, "", found, 0)
    return found


def normal(text: str) -> str:
    """Return text in the one form (NFC) of letters with accents, which macOS writes in two parts."""
    return unicodedata.normalize("NFC", text)


def _read(members: Iterable[_Member], found: Found, depth: int) -> None:
    for member in members:
        parts, suffix = member.where.split("/"), Path(member.where).suffix.lower()
        if "__MACOSX" in parts or any(part.startswith(".") and part != ".." for part in parts):
            continue  # what macOS and Jupyter leave beside the files
        if suffix not in (".ipynb", ".zip"):
            found.others.append(member.where)
        else:
            try:
                if refused := member.refused or _too_large(member, suffix, found, depth):
                    raise ValueError(refused)
                content = member.read()
                found.size += len(content)
                if suffix == ".zip":
                    _read_archive(io.BytesIO(content), member.where, f"{member.where}/", found, depth + 1)
                else:
                    found.notebooks.append(HandedIn(member.where, member.modified, read_cells(content)))
            except ValueError as error:
                found.problems.append(Problem(member.where, str(error)))
            except (RuntimeError, NotImplementedError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
                found.problems.append(Problem(member.where, f"cannot be unpacked: {error}"))  # or has a password


def _too_large(member: _Member, suffix: str, found: Found, depth: int) -> str:
    """Say why a notebook or archive is not read, "" where it is."""
    most = LARGEST_NOTEBOOK if suffix == ".ipynb" else LARGEST_ARCHIVE
    size = f"{member.size / MEGABYTE:,.0f} MB"
    if member.size > max(LARGEST_NOTEBOOK, LARGEST_RATIO * member.packed):
        return f"{size} packed into {member.packed:,} bytes: a zip bomb, not read"
    if member.size > most:
        return f"{size}: more than the {most // MEGABYTE} MB that are read"
    if found.size + member.size > LARGEST_SUM:
        return f"there is more than {LARGEST_SUM // MEGABYTE:,} MB in all: not read"
    is_deep = suffix == ".zip" and depth >= DEEPEST
    return f"an archive inside archives, beyond {DEEPEST} levels deep" if is_deep else ""


def _of_folder(path: Path) -> Iterator[_Member]:
    for folder, folders, names in os.walk(path):
        folders.sort()
        for file in (Path(folder) / name for name in sorted(names)):
            where, size = normal(file.relative_to(path).as_posix()), file.lstat().st_size
            refused = "" if file.is_file() and not file.is_symlink() else "a link or no plain file: not followed"
            yield _Member(where, size, size, file.lstat().st_mtime, file.read_bytes, refused)


def _read_archive(opened: Path | io.BytesIO, where: str, prefix: str, found: Found, depth: int) -> None:
    try:
        archive = zipfile.ZipFile(opened)
    except (ValueError, OSError, zipfile.BadZipFile, NotImplementedError) as error:
        found.problems.append(Problem(where, f"no .zip that can be opened: {error}"))
        return
    with archive:
        members = archive.infolist()
        if len(members) > MOST_FILES:
            found.problems.append(Problem(where, f"more than {MOST_FILES:,} files: the rest is not read"))
        files = (_of_archive(archive, each, prefix) for each in members[:MOST_FILES] if not each.is_dir())
        _read(files, found, depth)


def _of_archive(archive: zipfile.ZipFile, member: zipfile.ZipInfo, prefix: str) -> _Member:
    name, modified = member.filename.replace("\\", "/"), 0.0
    if not member.flag_bits & 0x800:  # old archivers write UTF-8 without saying so: it is read as code page 437
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    with contextlib.suppress(ValueError):
        modified = datetime.datetime(*member.date_time, tzinfo=datetime.UTC).timestamp()
    parts, refused = name.split("/"), ""
    if ".." in parts or not parts[0] or ":" in parts[0]:
        refused = "its name leads out of the archive: not read"
    elif stat.S_ISLNK(member.external_attr >> 16):
        refused = "a link: not followed"

    def read() -> bytes:
        with archive.open(member) as stream:
            return stream.read(member.file_size + 1)  # zipfile ends there, and finds the checksum to differ

    return _Member(f"{prefix}{normal(name)}", member.file_size, member.compress_size, modified, read, refused)


def read_cells(content: bytes) -> list[Cell]:
    """Return the cells of a notebook of any version, without outputs.

    nbformat is stricter: it refuses notebooks whose metadata a tool has removed, and those are handed in, too.

    Args:
        content: The file.

    Returns:
        The cells, raw ones left out.

    Raises:
        ValueError: If it is no notebook, with the reason.
    """
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ValueError("no notebook: its text is not UTF-8") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"no notebook: broken JSON ({error})") from None
    sheets = notebook.get("worksheets") if isinstance(notebook, dict) else None  # notebooks of version 3
    holder = sheets[0] if isinstance(sheets, list) and sheets else notebook
    cells = holder.get("cells") if isinstance(holder, dict) else None
    if not isinstance(cells, list):
        raise ValueError("no notebook: JSON without a list of cells")
    return [cell for cell in map(_cell, cells) if cell.kind in ("code", "markdown")]


def _cell(cell: Any) -> Cell:
    cell = cell if isinstance(cell, dict) else {}
    source, metadata = cell.get("source", cell.get("input", "")), cell.get("metadata")
    text = "".join(map(str, source)) if isinstance(source, list) else str(source)
    metadata = metadata if isinstance(metadata, dict) else {}
    tags = metadata["tags"] if isinstance(metadata.get("tags"), list) else []
    name = cell.get("id") or metadata.get("id") or ""  # Colab keeps it in the metadata
    return Cell(str(cell.get("cell_type")), text.replace("\r\n", "\n"), str(name), tuple(map(str, tags)))
