"""A folder of data files, weights and their checksums, to be copied or served to a class."""

import os
import re
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from kerascv_course._validation import input_error
from kerascv_course.datasets.catalogue import REMOTE_FILES, find_copies, is_right, keras_home, mirror_addresses
from kerascv_course.datasets.download import Show, download, sha256_of
from kerascv_course.datasets.web import ask

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
    folder = keras_home() / WEIGHT_FOLDER
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in _WEIGHT_SUFFIXES and path.is_file())


@dataclass(frozen=True)
class MirroredWeights:
    """A weight file that a mirror offers.

    Attributes:
        file_name: Its name in Keras' cache.
        address: Where the mirror has it.
        size: Bytes.
        sha256: Checksum as the mirror's list says it, 64 hexadecimal digits.
    """

    file_name: str
    address: str
    size: int
    sha256: str


def list_mirrored_weights() -> list[MirroredWeights]:
    """Return the weight files of the first mirror that has any, for example of `kerascv-course data serve`.

    Their checksums come from the mirror itself: unlike with the files of the catalogue, it is trusted.

    Returns:
        The files in the order of the mirror's list.

    Raises:
        ValueError: If `KERASCV_COURSE_MIRRORS` names no mirror, or one that is no web address.
        ConnectionError: If no mirror offers weights; says for each why.
    """
    setting, faults = os.environ.get("KERASCV_COURSE_MIRRORS", ""), []
    if not (mirrors := mirror_addresses()):
        rule = "the address of a mirror with weights, for example one that `kerascv-course data serve` prints"
        raise input_error("fetch", "KERASCV_COURSE_MIRRORS", rule, setting, "Set this environment variable.")
    for mirror in mirrors:
        try:
            found = weights_of(mirror)
        except ConnectionError as error:
            faults.append(str(error))
        else:
            if found:
                return found
            faults.append(f"{mirror}: its {CHECKSUMS} lists no weights")
    raise ConnectionError(
        f"No weights could be fetched. {'; '.join(faults)}. By hand: get the files of the bundle's folder "
        f"{WEIGHT_FOLDER} from a colleague and put them into {keras_home() / WEIGHT_FOLDER}."
    )


def weights_of(mirror: str) -> list[MirroredWeights]:
    """Return the weight files of one mirror, or raise `ConnectionError` where it cannot be asked."""
    found = []
    for line in ask(mirror + CHECKSUMS)[1].decode("utf-8", "replace").splitlines():
        checksum, name = _read_line(line)
        folder, _, file_name = name.rpartition("/")
        if folder == WEIGHT_FOLDER and file_name.endswith(_WEIGHT_SUFFIXES):
            address = mirror + quote(name)
            size = ask(address, "HEAD")[0]
            if not size:
                raise ConnectionError(f"{address}: its size is not said")
            found.append(MirroredWeights(file_name, address, size, checksum))
    return found


def fetch_weights(weights: MirroredWeights, *, show: Show | None = None) -> Path:
    """Download a weight file into Keras' cache, unless it is there.

    Args:
        weights: One of those of `list_mirrored_weights`.
        show: Called with the bytes that have arrived and those of the whole file; for example a `ProgressBar`.

    Returns:
        The path of the file; its checksum is the one of the mirror's list.

    Raises:
        ValueError: If another file lies at its place; it is left alone.
        ConnectionError: If it cannot be downloaded; says why.
        OSError: If the disk is full or Keras' cache cannot be written.
    """
    target = keras_home() / WEIGHT_FOLDER / weights.file_name
    return download(
        [weights.address], target, size=weights.size, sha256=weights.sha256, show=show, variable="KERAS_HOME"
    )


def _read_line(line: str) -> tuple[str, str]:
    """Return checksum and name of a line of a list of checksums; both are empty where it is malformed."""
    found = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line)
    return (found[1].lower(), found[2]) if found and _SAFE_NAME.fullmatch(found[2]) else ("", "")


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
        checksum, name = _read_line(line)
        if not name or name in (*files, CHECKSUMS):
            faults.append(
                f"line {number} of {CHECKSUMS} is not `checksum  name` with a plain, new name: {line[:99]!r}"
            )
            continue
        path = root / name
        if not is_inside(path, root):
            faults.append(f"{name} is missing or a symbolic link")
        elif sha256_of(path) != checksum:
            faults.append(f"{name} has another checksum")
        else:
            files[name] = BundleFile(name, path, path.stat().st_size, checksum)
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
