"""What lies in a folder of images: classes, files, and what is amiss; nothing is decoded here."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerascv_course._validation import input_error
from kerascv_course.datasets.decode import is_image

# A file of such a name claims to be an image: where it cannot be read, that is said. Others are asked quietly.
_SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"),
    *(".heic", ".heif", ".avif", ".jp2", ".svg", ".psd", ".dng"),
)
_FAULTS_SHOWN = 20


class Listing(NamedTuple):
    """The image files below a folder and their labels, training before testing, and what is at fault there.

    Args:
        function: The public function on whose behalf the folder was listed.
        argument: Its argument, or the setting, that names the folder.
        shown: The folder as the user named it.
        root: The folder without links in its path.
        class_names: One name per label.
        files: The image files, relative to the folder, in order, each with its size and times of change.
        labels: One label per file.
        train_count: How many of the files, from the first, are for training; `None` where there is no test folder.
        faults: What was found amiss in names and kinds, by file.
    """

    function: str
    argument: str
    shown: str
    root: str
    class_names: tuple[str, ...]
    files: dict[str, str]
    labels: np.ndarray
    train_count: int | None
    faults: dict[str, str]

    def error(self, rule: str, way_out: str, faults: Mapping[str, str] | None = None) -> Exception:
        """Return the error that says what is wrong with the folder, and lists files at fault."""
        if faults:
            listed = [f"{file} ({fault})" for file, fault in list(faults.items())[:_FAULTS_SHOWN]]
            more = f" and {len(faults) - _FAULTS_SHOWN} more" if len(faults) > _FAULTS_SHOWN else ""
            count = f"{len(faults)} {'file' if len(faults) == 1 else 'files'} at fault"
            way_out = f"{way_out} {count}: {'; '.join(listed)}{more}.".lstrip()
        return input_error(self.function, self.argument, rule, self.shown, way_out)


def differing_classes(found: Collection[str], expected: Collection[str]) -> str:
    """Return the sentence that says which classes are missing and which are unknown."""
    missing, unknown = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    return f"Missing classes: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}."


def open_folder(function: str, path: str | os.PathLike[str], argument: str = "path") -> Listing:
    """Return an empty listing of a folder, or raise where there is none."""
    if not isinstance(path, str | os.PathLike) or isinstance(os.fspath(path), bytes):
        raise input_error(function, argument, "a path (string or pathlib.Path)", path, error=TypeError)
    shown = os.fspath(path)
    place = Path(path).expanduser()
    if not shown or not place.exists():
        raise input_error(function, argument, "an existing folder", shown, error=FileNotFoundError)
    if not place.is_dir():
        way_out = "Unpack it first, if it is an archive."
        raise input_error(function, argument, "a folder", shown, way_out, NotADirectoryError)
    return Listing(function, argument, shown, os.path.realpath(place), (), {}, np.zeros(0, int), None, {})


def look_into(root: str, folder: str, faults: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return names of sub-folders, and image files with their stamps, both sorted; add to the faults."""
    folders, images = [], {}
    prefix = f"{folder}/" if folder else ""
    with os.scandir(os.path.join(root, folder)) as scanned:
        entries = sorted(scanned, key=lambda entry: entry.name)
    for entry in entries:
        file = prefix + entry.name
        # Hidden are .ipynb_checkpoints, and the ._cat.png that macOS puts beside cat.png or into __MACOSX.
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if entry.is_symlink() or (entry.is_dir() and _is_elsewhere(root, file)):
            faults[file] = "a link, which is not followed"
        elif entry.is_dir():
            folders.append(entry.name)
        elif not entry.is_file():
            faults[file] = "no ordinary file"
        elif file.lower().endswith(_SUFFIXES) or is_image(entry.path):
            status = entry.stat(follow_symlinks=False)
            images[file] = f"{status.st_size}\0{status.st_mtime_ns}\0{status.st_ctime_ns}"
    return folders, images


def _is_elsewhere(root: str, folder: str) -> bool:
    """Tell whether a folder is a junction: a link that Windows does not call one."""
    place = os.path.join(root, folder)
    return os.path.normcase(os.path.realpath(place)) != os.path.normcase(os.path.normpath(place))


def list_class_folders(function: str, path: str | os.PathLike[str], argument: str = "path") -> Listing:
    """List class folders, or `train` and `test` with class folders in them; decode nothing.

    Raises:
        TypeError: If `path` is no path.
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If it is a file.
        ValueError: If the folders are not of one of these forms, or a class has no image.
    """
    listing = open_folder(function, path, argument)
    root, faults = listing.root, listing.faults
    names, loose = look_into(root, "", faults)
    # A set of vehicles may have a class "train": the split of that name holds folders, the class holds images.
    splits: list[str] = [name for name in ("train", "test") if name in names and look_into(root, name, {})[0]]
    if names == ["test", "train"]:  # never two classes, also where images lie side by side in them
        splits = ["train", "test"]
    others = [name for name in names if name not in splits]
    if splits == ["test"] or (splits == ["train"] and others):
        way_out = f"It holds {', '.join(names)}. Rename the folders, or move the others out of it."
        raise listing.error("a folder with train and test, with train alone, or with class folders", way_out)
    if splits:
        faults.update(dict.fromkeys(others, "a folder beside train and test"))
    folders: dict[str, dict[str, dict[str, str]]] = {}
    for split in splits or [""]:
        class_names = names
        if split:
            class_names, beside = look_into(root, split, faults)
            loose |= beside
        folders[split] = {}
        for name in class_names:
            where = f"{split}/{name}" if split else name
            inner, folders[split][name] = look_into(root, where, faults)
            faults.update({f"{where}/{folder}": "a folder within a class folder" for folder in inner})
    faults.update(dict.fromkeys(loose, "beside the class folders"))
    train, test = folders[splits[0] if splits else ""], folders.get("test")
    if not any(images for part in folders.values() for images in part.values()):
        raise listing.error("a folder with images in one sub-folder per class", "There is none.", faults)
    if test is not None and list(test) != list(train):
        only_train, only_test = (sorted(a.keys() - b.keys()) for a, b in ((train, test), (test, train)))
        way_out = f"Only in train: {', '.join(only_train) or 'none'}; in test: {', '.join(only_test) or 'none'}."
        raise listing.error("a folder whose train and test hold the same classes", way_out, faults)
    if len(train) < 2:
        way_out = f"It has one, {next(iter(train))}. Do the classes lie deeper? Then pass that folder."
        raise listing.error("a folder with two classes or more", way_out, faults)
    empty = [f"{split}/{name}".lstrip("/") for split, part in folders.items() for name in part if not part[name]]
    if empty:
        raise listing.error("a folder with an image in each class", f"Empty: {', '.join(empty)}.", faults)
    of_each = [(label, images) for part in folders.values() for label, images in enumerate(part.values())]
    return listing._replace(
        class_names=tuple(train),
        files={file: stamp for _, images in of_each for file, stamp in images.items()},
        labels=np.array([label for label, images in of_each for _ in images], "int64"),
        train_count=None if test is None else sum(map(len, train.values())),
    )
