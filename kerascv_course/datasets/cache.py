"""The cache folder, and arrays that are kept in it because making them takes long."""

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import platformdirs

from kerascv_course._validation import input_error

DOWNLOADS = ("always", "if possible", "never")  # what may be done about a file that is not at hand


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

    Args:
        name: Name of the cached file, without suffix, which changes whenever the content would.
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
        return arrays
    with contextlib.ExitStack() as stack:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(placed_whole(target, may_stay=True))
        except OSError as error:
            rule = "a folder that can be written, or the name of one that can be made"
            way_out = f"({error}) Set this environment variable to such a folder."
            setting, folder = "KERASCV_COURSE_CACHE", str(target.parent)
            raise input_error("cache_folder", setting, rule, folder, way_out, OSError) from error
        arrays = build()
        # No `allow_pickle=`: NumPy 2.1, which Colab has, writes it as an array.
        np.savez(file, **arrays)  # type: ignore[arg-type]
    return arrays


@contextlib.contextmanager
def placed_whole(target: Path, *, may_stay: bool = False) -> Iterator[BinaryIO]:
    """Give a file to write beside the place of another, and move it there in the end.

    So no reader ever meets half a file, and what fails leaves the old one as it was. With `may_stay` a file that
    another process holds open, which Windows does not replace, will do as well.
    """
    part = target.with_name(f"{target.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            yield file
        try:
            os.replace(part, target)
        except PermissionError:
            if not (may_stay and target.is_file()):
                raise
    finally:
        part.unlink(missing_ok=True)


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
