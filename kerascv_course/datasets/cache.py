"""The cache folder, and arrays that are kept in it because making them takes long."""

import contextlib
import os
import re
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import platformdirs

from kerascv_course._validation import input_error

DOWNLOADS = ("always", "if possible", "never")  # what may be done about a file that is not at hand
_KEPT = 4 * 2**30  # bytes of arrays in the cache folder, beside those of the last call
# The names that callers give: in a folder that is the user's own, other files are left alone.
_OURS = re.compile(r"[a-z0-9]+-[0-9a-f]{32}\.(npz|[0-9a-f]{32}\.part)")
_ABANDONED = 24 * 3600  # a `.part` file so old belongs to a process that was killed, seconds


def cache_folder() -> Path:
    """Return the folder in which this package keeps what is slow to make; it need not exist yet.

    It is the folder in the environment variable `KERASCV_COURSE_CACHE`, or else the one that the operating system
    has for such files. Everything in it can be deleted: it is made again when it is needed.

    Returns:
        The absolute path of the folder.

    Example:
        >>> cache_folder().is_absolute()
        True
    """
    setting = os.environ.get("KERASCV_COURSE_CACHE")
    if setting:
        return Path(setting).expanduser().absolute()
    return platformdirs.user_cache_path("kerascv_course", appauthor=False)


def data_folder(function: str = "") -> Path | None:
    """Return the folder in the environment variable `KERASCV_COURSE_DATA`; `None` where it is not set.

    Args:
        function: The public function on whose behalf it is asked for, which needs a folder that exists.

    Returns:
        The absolute path of the folder.

    Raises:
        FileNotFoundError: If a function is named and there is no such folder.
    """
    setting = os.environ.get("KERASCV_COURSE_DATA")
    if not setting:
        return None
    folder = Path(setting).expanduser().absolute()
    if function and not folder.is_dir():
        rule, way_out = "an existing folder", "Correct this environment variable, or unset it."
        raise input_error(function, "KERASCV_COURSE_DATA", rule, setting, way_out, FileNotFoundError)
    return folder


def cached_arrays(
    name: str,
    shapes: Mapping[str, tuple[int, ...]],
    build: Callable[[], dict[str, np.ndarray]],
    dtype: str = "uint8",
) -> dict[str, np.ndarray]:
    """Return arrays from the cache folder, or build them and keep them there.

    Whenever a file is added, those that were not used for longest are deleted, as far as all together are larger
    than 4 GiB: nobody asks again for the arrays of a class folder that has changed since.

    Args:
        name: Name of the cached file, without suffix: a word, a hyphen and 32 hexadecimal digits that change
            whenever the content would. Files of other names are never deleted.
        shapes: Name and shape of each array. A cached file that does not hold exactly these is built again.
        build: Makes the arrays where the cache has none.
        dtype: That of all arrays.

    Returns:
        The arrays by name.

    Raises:
        OSError: If the arrays must be built and the cache folder cannot be written; raised before building.
    """
    target = cache_folder() / f"{name}.npz"
    arrays = _read(target, shapes, dtype)
    if arrays is not None:
        with contextlib.suppress(OSError):  # of a cache that can only be read nothing is deleted either
            os.utime(target)
        return arrays
    # Written beside its place and moved there whole, so that no reader ever meets half a file.
    part = target.with_name(f"{name}.{uuid.uuid4().hex}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = part.open("xb")
    except OSError as error:
        rule = "a folder that can be written, or the name of one that can be made"
        way_out = f"({error}) Set this environment variable to such a folder."
        setting, folder = "KERASCV_COURSE_CACHE", str(target.parent)
        raise input_error("cache_folder", setting, rule, folder, way_out, OSError) from error
    try:
        with file:
            arrays = build()
            # No `allow_pickle=`: NumPy 2.1, which Colab has, writes it as an array.
            np.savez(file, **arrays)  # type: ignore[arg-type]
        _place(part, target)
    finally:
        part.unlink(missing_ok=True)
    _tidy(target)
    return arrays


def _read(file: Path, shapes: Mapping[str, tuple[int, ...]], dtype: str) -> dict[str, np.ndarray] | None:
    """Return the arrays of a cached file, or `None` where it is absent, damaged or not what is expected."""
    if not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as content:
            arrays = {name: content[name] for name in shapes}  # zipfile compares the checksums here
    except Exception:  # whatever is wrong with it: it can be made again, and any byte may be damaged
        return None
    if any(arrays[name].shape != shape or arrays[name].dtype != dtype for name, shape in shapes.items()):
        return None
    return arrays


def _place(part: Path, target: Path) -> None:
    try:
        os.replace(part, target)
    except PermissionError:
        # Windows does not replace a file that another process reads: that one was placed a moment ago.
        if not target.is_file():
            raise


def _tidy(newest: Path) -> None:
    """Delete what killed processes left, and the arrays that were not used for longest beyond the size to keep."""
    now, arrays = time.time(), []
    for path in newest.parent.iterdir():
        if not _OURS.fullmatch(path.name):
            continue
        try:
            state = path.stat()
        except OSError:  # another process deleted it
            continue
        if path.suffix == ".part" and now - state.st_mtime > _ABANDONED:
            _delete(path)
        elif path.suffix == ".npz" and path != newest:
            arrays.append((state.st_mtime, state.st_size, path))
    total = 0
    for _, size, path in sorted(arrays, reverse=True):
        total += size
        if total > _KEPT:
            _delete(path)


def _delete(path: Path) -> None:
    # Windows does not delete a file that another process reads: it stays until the next time.
    with contextlib.suppress(FileNotFoundError, PermissionError):
        path.unlink()
