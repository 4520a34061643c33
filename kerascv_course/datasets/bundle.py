"""A folder of data files, weights and their checksums, to be copied or served to a class."""

import os
import re
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kerascv_course._validation import input_error
from kerascv_course.datasets.catalogue import REMOTE_FILES, find_copies, is_right, keras_home
from kerascv_course.datasets.download import sha256_of

CHECKSUMS = "SHA256SUMS"
WEIGHT_FOLDER = "models"  # as in Keras' cache
_WEIGHT_SUFFIXES = (".h5", ".keras")
# Names that mean the same on every system, in an address and in a list of checksums.
_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*")


@dataclass(frozen=True)
class BundleFile:
    """One file of a bundle.

    Attributes:
        name: Its path in the folder, with slashes.
        path: Its path on this machine.
        size: Bytes.
        sha256: Checksum, 64 hexadecimal digits.
    """

    name: str
    path: Path
    size: int
    sha256: str


def make_bundle(folder: str | os.PathLike[str]) -> list[BundleFile]:
    """Copy the data files at hand and the weights in Keras' cache into one folder, with a list of checksums.

    Data files lie in the folder itself, so that `KERASCV_COURSE_DATA` can name it; weights lie in its sub-folder
    `models`, as in Keras' cache. `SHA256SUMS` is in the format of the program sha256sum. Data files are compared
    with the catalogue first; what is in the folder already and is right is not copied again.

    Args:
        folder: Where to; it is made if need be.

    Returns:
        The files of the bundle, by name.

    Raises:
        ValueError: If a data file at hand is damaged.
        FileNotFoundError: If there is nothing to bundle.
        OSError: If the folder cannot be written or the disk is full.
    """
    target = _folder("make_bundle", folder, must_exist=False)
    sources: dict[str, tuple[Path, str]] = {}
    for name, remote in REMOTE_FILES.items():
        copies = list(find_copies(name))
        path = next((copy for copy in copies if is_right(name, copy)), None)
        if path is not None:
            sources[remote.file_name] = path, remote.sha256
        elif copies:
            rule = f"a folder for files that are right, but {remote.file_name} at hand is damaged"
            way_out = f"Delete {', '.join(map(str, copies))}; `kerascv-course data fetch {name}` fetches it again."
            raise input_error("make_bundle", "folder", rule, str(folder), way_out)
    for path in find_weights():
        if _SAFE_NAME.fullmatch(path.name):
            sources[f"{WEIGHT_FOLDER}/{path.name}"] = path, sha256_of(path)
    if not sources:
        rule = "named once there is something to put there: neither a data file nor weights are at hand"
        way_out = "`kerascv-course data fetch cifar10` fetches a data file."
        raise input_error("make_bundle", "folder", rule, str(folder), way_out, FileNotFoundError)
    files = []
    for name in sorted(sources):
        source, sha256 = sources[name]
        path = target / name
        if not path.is_file() or path.is_symlink() or sha256_of(path) != sha256:
            _copy(source, path, sha256)
        files.append(BundleFile(name, path, path.stat().st_size, sha256))
    # The list comes last: until then the folder is no bundle.
    part = target / f"{CHECKSUMS}.{uuid.uuid4().hex}.part"
    part.write_text("".join(f"{file.sha256}  {file.name}\n" for file in files), encoding="ascii", newline="\n")
    os.replace(part, target / CHECKSUMS)
    return files


def find_weights() -> list[Path]:
    """Return the weight files in Keras' cache, by name."""
    folder = keras_home() / "models"
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in _WEIGHT_SUFFIXES and path.is_file())


def read_bundle(folder: str | os.PathLike[str]) -> list[BundleFile]:
    """Return the files of a bundle after comparing each with its checksum.

    Args:
        folder: A folder that `make_bundle` filled, or a copy of it.

    Returns:
        The files in the order of the list.

    Raises:
        FileNotFoundError: If it is no folder or holds no `SHA256SUMS`.
        ValueError: If the list is malformed or names a file outside the folder, or a file is missing, a symbolic
            link or not as its checksum says; all such files are named.

    Example:
        >>> read_bundle("no_such_folder")
        Traceback (most recent call last):
            ...
        FileNotFoundError: `folder` of `read_bundle` must be an existing folder. Received: folder='no_such_folder'.
    """
    root = _folder("read_bundle", folder, must_exist=True)
    if not (root / CHECKSUMS).is_file():
        way_out = f"It holds no {CHECKSUMS}. `kerascv-course data bundle DIR` fills a folder."
        raise input_error("read_bundle", "folder", "a bundle", str(folder), way_out, FileNotFoundError)
    files: dict[str, BundleFile] = {}
    faults = []
    for number, line in enumerate((root / CHECKSUMS).read_text("utf-8", "replace").splitlines(), start=1):
        found = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line)
        if not found or not _SAFE_NAME.fullmatch(found[2]) or found[2] in (*files, CHECKSUMS):
            faults.append(
                f"line {number} of {CHECKSUMS} is not `checksum  name` with a plain, new name: {line[:99]!r}"
            )
            continue
        path = root / found[2]
        if not is_inside(path, root):
            faults.append(f"{found[2]} is missing or a symbolic link")
        elif sha256_of(path) != found[1].lower():
            faults.append(f"{found[2]} has another checksum")
        else:
            files[found[2]] = BundleFile(found[2], path, path.stat().st_size, found[1].lower())
    if faults or not files:
        way_out = f"Not so: {'; '.join(faults) or f'{CHECKSUMS} is empty'}."
        raise input_error("read_bundle", "folder", "a bundle whose files are as listed", str(folder), way_out)
    return list(files.values())


def is_inside(path: Path, root: Path) -> bool:
    """Say whether the path is a file below the root that no symbolic link leads to."""
    return path.is_file() and path.resolve() == root.resolve() / PurePosixPath(path.relative_to(root).as_posix())


def _folder(function: str, folder: str | os.PathLike[str], must_exist: bool) -> Path:
    if not isinstance(folder, str | os.PathLike):
        raise input_error(function, "folder", "a path (text or pathlib.Path)", folder, error=TypeError)
    path = Path(folder).expanduser().absolute()
    if must_exist and (not os.fspath(folder) or not path.is_dir()):
        raise input_error(function, "folder", "an existing folder", str(folder), error=FileNotFoundError)
    if not os.fspath(folder) or (path.exists() and not path.is_dir()):
        raise input_error(function, "folder", "a folder, or the name of one that can be made", str(folder))
    return path


def _copy(source: Path, target: Path, sha256: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{uuid.uuid4().hex}.part")
    try:
        shutil.copyfile(source, part)
        if sha256_of(part) != sha256:
            raise OSError(f"The copy of {source} on {target.parent} differs from it: the disk may be damaged.")
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
