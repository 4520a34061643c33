"""What lies in a folder of images: classes, files, and what is amiss; nothing is decoded here."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerascv_course._validation import input_error
from kerascv_course.datasets.decode import FORMATS

_OTHER_FORMATS = (".heic", ".heif", ".avif", ".jp2", ".svg", ".psd", ".dng")
_MAX_FILE_BYTES = 200 * 2**20
_FAULTS_SHOWN = 20


class Listing(NamedTuple):
    """The image files below a folder and their labels, training before testing, and what is at fault there.

    Args:
        function: The public function on whose behalf the folder was listed.
        shown: The folder as the user named it.
        root: The folder without links in its path.
        class_names: One name per label.
        files: The image files, relative to the folder, in order.
        labels: One label per file.
        train_count: How many of the files, from the first, are for training; `None` where there is no test folder.
        train_folder: Where the class folders for training are, relative to the folder.
        stamps: Size and time of change of each file.
        faults: What was found amiss in names and kinds, by file.
    """

    function: str
    shown: str
    root: str
    class_names: tuple[str, ...]
    files: list[str]
    labels: np.ndarray
    train_count: int | None
    train_folder: str
    stamps: list[str]
    faults: dict[str, str]

    @property
    def name(self) -> str:
        """The folder's own name."""
        return os.path.basename(self.root) or "images"

    def fault_error(self, faults: dict[str, str], way_out: str) -> Exception:
        """Return the one error that lists the files at fault."""
        rule = "a folder whose images can all be used"
        count = f"{len(faults)} {'file' if len(faults) == 1 else 'files'} at fault"
        return input_error(self.function, "path", rule, self.shown, f"{count}: {list_faults(faults)}. {way_out}")


class Entry(NamedTuple):
    """An image file: its name relative to the folder, and its size and time of change."""

    file: str
    stamp: str


def open_folder(function: str, path: str | os.PathLike[str]) -> tuple[str, str]:
    """Return the folder as the user named it and its real path, or raise where there is none."""
    if not isinstance(path, str | os.PathLike) or isinstance(os.fspath(path), bytes):
        raise input_error(function, "path", "a path (text or pathlib.Path)", path, error=TypeError)
    shown = os.fspath(path)
    place = Path(path).expanduser()
    if not shown or not place.exists():
        raise input_error(function, "path", "an existing folder", shown, error=FileNotFoundError)
    if not place.is_dir():
        way_out = "Unpack it first, if it is an archive."
        raise input_error(function, "path", "a folder", shown, way_out, NotADirectoryError)
    return shown, os.path.realpath(place)


def look_into(root: str, folder: str, faults: dict[str, str]) -> tuple[list[str], list[Entry]]:
    """Return names of sub-folders and image files in a folder, sorted; add to the faults."""
    folders, images = [], []
    prefix = f"{folder}/" if folder else ""
    with os.scandir(os.path.join(root, folder)) as scanned:
        entries = {entry.name: entry for entry in scanned}
    for name in sorted(entries):
        entry = entries[name]
        file = prefix + name
        suffix = f".{name.rpartition('.')[2].lower()}"
        # Hidden are .ipynb_checkpoints, and the ._cat.png that macOS puts beside cat.png or into __MACOSX.
        if name.startswith(".") or name == "__MACOSX":
            continue
        if entry.is_symlink() or (entry.is_dir() and _is_elsewhere(root, file)):
            if entry.is_dir() or suffix in FORMATS or suffix in _OTHER_FORMATS:
                faults[file] = "a link, which is not followed"
        elif entry.is_dir():
            folders.append(name)
        elif suffix in _OTHER_FORMATS:
            faults[file] = "a format that is not read"
        elif suffix in FORMATS:
            status = entry.stat(follow_symlinks=False)
            if not entry.is_file():
                faults[file] = "no ordinary file"
            elif status.st_size > _MAX_FILE_BYTES:
                faults[file] = f"huge: more than {_MAX_FILE_BYTES // 2**20} MB"
            else:
                images.append(Entry(file, f"{status.st_size}\0{status.st_mtime_ns}"))
    return folders, images


def _is_elsewhere(root: str, folder: str) -> bool:
    """Tell whether a folder is a junction: a link that Windows does not call one."""
    place = os.path.join(root, folder)
    return os.path.normcase(os.path.realpath(place)) != os.path.normcase(os.path.normpath(place))


def list_class_folders(function: str, path: str | os.PathLike[str]) -> Listing:
    """List class folders, or `train` and `test` with class folders in them; decode nothing.

    Raises:
        TypeError: If `path` is no path.
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If it is a file.
        ValueError: If the folders are not of one of these forms, or a class has no image.
    """
    shown, root = open_folder(function, path)
    faults: dict[str, str] = {}

    def error(rule: str, way_out: str) -> Exception:
        also = f" At fault: {list_faults(faults)}." if faults else ""
        return input_error(function, "path", rule, shown, way_out + also)

    names, loose = look_into(root, "", faults)
    # A set of vehicles may have a class "train": the split of that name holds folders, the class holds images.
    splits: list[str] = [name for name in ("train", "test") if name in names and look_into(root, name, {})[0]]
    if names == ["test", "train"]:  # never two classes, also where images lie side by side in them
        splits = ["train", "test"]
    others = [name for name in names if name not in splits]
    if splits == ["test"] or (splits == ["train"] and others):
        way_out = f"It holds {', '.join(names)}. Rename the folders, or move the others out of it."
        raise error("a folder with train and test, with train alone, or with class folders", way_out)
    if splits:
        faults.update(dict.fromkeys(others, "a folder beside train and test"))
    folders: dict[str, dict[str, list[Entry]]] = {}
    for split in splits or [""]:
        class_names = names
        if split:
            class_names, beside = look_into(root, split, faults)
            loose = loose + beside
        folders[split] = {}
        for name in class_names:
            where = f"{split}/{name}" if split else name
            inner, folders[split][name] = look_into(root, where, faults)
            faults.update({f"{where}/{folder}": "a folder within a class folder" for folder in inner})
    faults.update({entry.file: "beside the class folders" for entry in loose})
    train, test = folders[splits[0] if splits else ""], folders.get("test")
    known = f"Images are files with one of the suffixes {', '.join(FORMATS)}."
    if not any(images for part in folders.values() for images in part.values()):
        raise error("a folder with images in one sub-folder per class", f"There is none. {known}")
    if test is not None and list(test) != list(train):
        only_train, only_test = (sorted(a.keys() - b.keys()) for a, b in ((train, test), (test, train)))
        way_out = f"Only in train: {', '.join(only_train) or 'none'}; in test: {', '.join(only_test) or 'none'}."
        raise error("a folder whose train and test hold the same classes", way_out)
    if len(train) < 2:
        way_out = f"It has one, {next(iter(train))}. Do the classes lie deeper? Then pass that folder."
        raise error("a folder with two classes or more", way_out)
    empty = [f"{split}/{name}".lstrip("/") for split, part in folders.items() for name in part if not part[name]]
    if empty:
        raise error("a folder with an image in each class", f"Empty: {', '.join(empty)}. {known}")
    parts = [
        [(label, entry) for label, images in enumerate(part.values()) for entry in images]
        for part in folders.values()
    ]
    flat = [pair for part in parts for pair in part]
    return Listing(
        function=function,
        shown=shown,
        root=root,
        class_names=tuple(train),
        files=[entry.file for _, entry in flat],
        labels=np.array([label for label, _ in flat], "int64"),
        train_count=None if test is None else len(parts[0]),
        train_folder=splits[0] if splits else "",
        stamps=[entry.stamp for _, entry in flat],
        faults=faults,
    )


def list_faults(faults: dict[str, str]) -> str:
    """Return the first faults as one text, with the number of the others.

    Example:
        >>> list_faults({"cat/1.jpg": "unreadable", "cat/2.jpg": "a link, which is not followed"})
        'cat/1.jpg (unreadable); cat/2.jpg (a link, which is not followed)'
    """
    listed = [f"{file} ({fault})" for file, fault in list(faults.items())[:_FAULTS_SHOWN]]
    more = f" and {len(faults) - _FAULTS_SHOWN} more" if len(faults) > _FAULTS_SHOWN else ""
    return "; ".join(listed) + more
