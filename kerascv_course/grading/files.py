"""The notebooks in what a class handed in: a folder or archive, read without unpacking anything to the disk."""

import contextlib
import datetime
import io
import json
import os
import stat
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

MEGABYTE = 2**20
LARGEST_NOTEBOOK = 100 * MEGABYTE  # with its outputs
LARGEST_ARCHIVE = 500 * MEGABYTE  # inside another one
LARGEST_SUM = 8_000 * MEGABYTE  # of all that is read from one archive, those inside it included
LARGEST_RATIO = (
    200  # of the size to the packed size, beyond a megabyte: JSON packs to a tenth, a bomb to a thousandth
)
MOST_FILES = 50_000
DEEPEST = 3  # archives inside archives
OTHER_ARCHIVES = (".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz")


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
    """What lies in a folder or archive: notebooks, what cannot be read, and the paths of all else."""

    notebooks: list[HandedIn] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    count: int = 0

    def refuse(self, where: str, why: str) -> None:
        """Note what is not read."""
        self.problems.append(Problem(where, why))


def find_notebooks(path: Path) -> Found:
    """Return the notebooks in a folder or `.zip`, archives inside it included; nothing is written to the disk.

    Args:
        path: The folder or archive.

    Returns:
        What was found. Links are not followed, and what is too large is named and not read.
    """
    found = Found()
    if path.is_file():
        _read_archive(lambda: path, 0, "", found, 0, [LARGEST_SUM])
        return found
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            file = Path(folder) / name
            where = normal(file.relative_to(path).as_posix())
            if file.is_symlink() or not file.is_file():
                found.refuse(where, "a link or no plain file: not followed")
                continue
            size, when = file.stat().st_size, file.stat().st_mtime
            _read_file(where, size, when, file.read_bytes, found, 0, [LARGEST_SUM])
    return found


def normal(text: str) -> str:
    """Return text in the one form (NFC) of letters with accents, which macOS writes in two parts."""
    return unicodedata.normalize("NFC", text)


def _read_file(
    where: str, size: int, when: float, read: Callable[[], bytes], found: Found, depth: int, left: list[int]
) -> None:
    """Read one file if it is a notebook or archive; `left` holds how many bytes may still be read."""
    parts, suffix = where.split("/"), Path(where).suffix.lower()
    if "__MACOSX" in parts or any(part.startswith(".") for part in parts):
        return  # what macOS and Jupyter leave beside the files
    if suffix == ".zip":
        _read_archive(lambda: io.BytesIO(read()), size, where, found, depth, left)
    elif suffix != ".ipynb":
        found.others.append(where)
        if suffix in OTHER_ARCHIVES:
            found.refuse(
                where, f"an archive of the kind {suffix}, which is not read: unpack it, or ask for a .zip"
            )
    elif size > LARGEST_NOTEBOOK:
        found.refuse(
            where, f"{size / MEGABYTE:,.0f} MB: more than the {LARGEST_NOTEBOOK // MEGABYTE} MB of a notebook"
        )
    else:
        try:
            found.notebooks.append(HandedIn(where, when, read_cells(read())))
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            found.refuse(where, str(error))


def _read_archive(
    opened: Callable[[], Path | io.BytesIO], size: int, where: str, found: Found, depth: int, left: list[int]
) -> None:
    prefix = f"{where}/" if where else ""
    if depth > DEEPEST or (depth and size > LARGEST_ARCHIVE):
        rule = f"{DEEPEST} levels deep" if depth > DEEPEST else f"{LARGEST_ARCHIVE // MEGABYTE} MB"
        found.refuse(where, f"an archive inside archives, beyond {rule}: not opened")
        return
    try:
        archive = zipfile.ZipFile(opened())
    except (ValueError, OSError, zipfile.BadZipFile, NotImplementedError) as error:
        found.refuse(where or "the archive", f"no .zip that can be opened: {error}")
        return
    with archive:
        for member in archive.infolist():
            found.count += 1
            if found.count > MOST_FILES:
                found.refuse(where or "the archive", f"more than {MOST_FILES:,} files: the rest is not read")
                return
            name = prefix + _member_name(member)
            if member.is_dir():
                continue
            if refused := _refused(member, left[0]):
                found.refuse(name, refused)
                continue

            def unpack(member: zipfile.ZipInfo = member) -> bytes:
                with archive.open(member) as stream:
                    content = stream.read(member.file_size + 1)
                left[0] -= len(content)
                if len(content) > member.file_size:
                    raise ValueError("larger than the archive says: a zip bomb, not read")
                return content

            try:
                when = float(_seconds(member))
                _read_file(name, member.file_size, when, unpack, found, depth + 1, left)
            except (RuntimeError, zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
                found.refuse(name, f"cannot be unpacked: {error}")  # locked by a password, or damaged


def _refused(member: zipfile.ZipInfo, left: int) -> str:
    """Say why a member of an archive is not read, "" where it is."""
    parts = member.filename.replace("\\", "/").split("/")
    if ".." in parts or not parts[0] or ":" in parts[0]:
        return "its name leads out of the archive: not read"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "a link: not followed"
    if member.file_size > max(LARGEST_NOTEBOOK, LARGEST_RATIO * member.compress_size):
        size = f"{member.file_size / MEGABYTE:,.0f} MB packed into {member.compress_size:,} bytes"
        return f"{size}: a zip bomb, not read"
    if member.file_size > left:
        return f"the archive holds more than {LARGEST_SUM // MEGABYTE:,} MB: not read"
    return ""


def _member_name(member: zipfile.ZipInfo) -> str:
    name = member.filename.replace("\\", "/")
    if not member.flag_bits & 0x800:  # old archivers write UTF-8 without saying so: it is read as code page 437
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return normal(name)


def _seconds(member: zipfile.ZipInfo) -> float:
    try:
        return datetime.datetime(*member.date_time, tzinfo=datetime.UTC).timestamp()
    except ValueError:
        return 0.0


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
    except json.JSONDecodeError as error:
        raise ValueError(f"no notebook: broken JSON ({error})") from None
    except RecursionError:
        raise ValueError("no notebook: JSON nested without end") from None
    sheets = notebook.get("worksheets") if isinstance(notebook, dict) else None  # notebooks of version 3
    holder = sheets[0] if isinstance(sheets, list) and sheets else notebook
    cells = holder.get("cells") if isinstance(holder, dict) else None
    if not isinstance(cells, list):
        raise ValueError("no notebook: JSON without a list of cells")
    return [cell for cell in map(_cell, cells) if cell.kind in ("code", "markdown")]


def _cell(cell: Any) -> Cell:
    if not isinstance(cell, dict):
        return Cell("raw", "")
    source = cell.get("source", cell.get("input", ""))
    text = "".join(map(str, source)) if isinstance(source, list) else str(source)
    found: Any = cell.get("metadata")
    metadata = found if isinstance(found, dict) else {}
    tags = metadata["tags"] if isinstance(metadata.get("tags"), list) else []
    name = cell.get("id") or metadata.get("id") or ""  # Colab keeps it in the metadata
    kind = {"heading": "markdown"}.get(str(cell.get("cell_type")), str(cell.get("cell_type")))
    return Cell(kind, text.replace("\r\n", "\n"), str(name), tuple(map(str, tags)))
