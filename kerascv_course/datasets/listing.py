"""What lies in a folder of images: parts, classes, files, and what is amiss; nothing is decoded here."""

import functools
import os
import re
import unicodedata
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
_HIDDEN, _NO_IMAGE, _NONE_IN_IT = "hidden", "no image", "a folder without images"
_NO_CLASSES = "images without classes"  # as Kaggle's to predict
_HARMLESS = (_HIDDEN, _NO_IMAGE, _NONE_IN_IT, _NO_CLASSES)  # what lies beside the images, and hinders nothing
# The parts of a set by the words in the names of their folders, as in seg_train, Testing or ValidationData.
_PARTS = {
    "train": r"train(ing)?|trn",
    "val": r"val(id(ation)?)?|dev(el(opment)?)?",
    "test": r"test(ing)?|tst",
    "eval": r"eval(uation)?",  # validation, or the test beside one
}
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_FAULTS_SHOWN = 20


class Listing(NamedTuple):
    """The image files below a folder and their labels, part by part, and what else lies there.

    Args:
        function: The public function on whose behalf the folder was listed.
        argument: Its argument, or the setting, that names the folder.
        shown: The folder as the user named it.
        root: The folder without links in its path.
        class_names: One name per label.
        files: The image files, relative to the folder, in order, each with its size and times of change.
        labels: One label per file.
        counts: How many of the files, in order, are for "train", "val" and "test"; parts without a folder are left
            out.
        left_out: Why something that lies there is not used, by its name.
    """

    function: str
    argument: str
    shown: str
    root: str
    class_names: tuple[str, ...]
    files: dict[str, str]
    labels: np.ndarray
    counts: dict[str, int]
    left_out: dict[str, str]

    def error(self, rule: str, way_out: str, left_out: Mapping[str, str] | None = None) -> Exception:
        """Return the error that says what is wrong with the folder, and lists what is at fault."""
        faults = faults_of(self.left_out if left_out is None else left_out)
        if faults:
            listed = [f"{file} ({fault})" for file, fault in list(faults.items())[:_FAULTS_SHOWN]]
            more = f" and {len(faults) - _FAULTS_SHOWN} more" if len(faults) > _FAULTS_SHOWN else ""
            count = f"{len(faults)} {'file' if len(faults) == 1 else 'files'} at fault"
            way_out = f"{way_out} {count}: {'; '.join(listed)}{more}.".lstrip()
        return input_error(self.function, self.argument, rule, self.shown, way_out)

    def differing(self, rule: str, found: Collection[str], expected: Collection[str]) -> Exception:
        """Return the error that says which classes are missing and which are unknown."""
        missing, unknown = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
        way_out = f"Missing classes: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}."
        return self.error(rule, way_out)


def faults_of(left_out: Mapping[str, str]) -> dict[str, str]:
    """Return what was left out although it seems to belong to the set."""
    return {file: reason for file, reason in left_out.items() if reason not in _HARMLESS}


def readable(name: str) -> str:
    r"""Return a name that can be printed: letters composed, and what is none spelled out.

    Example:
        >>> print(readable("caf\udce9"), readable("cafe\u0301") == "caf\u00e9")
        caf\udce9 True
    """
    composed = unicodedata.normalize("NFC", name)
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in composed)


def open_folder(function: str, path: str | os.PathLike[str], argument: str = "path") -> Listing:
    """Return an empty listing of a folder, or raise where there is none."""
    if not isinstance(path, str | os.PathLike) or isinstance(os.fspath(path), bytes):
        raise input_error(function, argument, "a path (string or pathlib.Path)", path, error=TypeError)
    shown = readable(os.fspath(path))
    place = Path(path).expanduser()
    if not shown or not place.exists():
        raise input_error(function, argument, "an existing folder", shown, error=FileNotFoundError)
    if not place.is_dir():
        way_out = "Unpack it first, if it is an archive."
        raise input_error(function, argument, "a folder", shown, way_out, NotADirectoryError)
    return Listing(function, argument, shown, os.path.realpath(place), (), {}, np.zeros(0, int), {}, {})


def look_into(root: str, folder: str, left_out: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return the sub-folders, and the image files with their stamps, both sorted; add what is neither."""
    folders, images = [], {}
    try:
        with os.scandir(os.path.join(root, folder)) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
    except OSError as error:
        left_out[readable(folder) or "."] = f"unreadable: {error.strerror}"
        return [], {}
    for entry in entries:
        file = f"{folder}/{entry.name}" if folder else entry.name
        is_named = entry.name.lower().endswith(_SUFFIXES)
        reason = ""
        # Hidden are .ipynb_checkpoints, and the ._cat.png that macOS puts beside cat.png or into __MACOSX.
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            reason = _HIDDEN
        elif entry.is_symlink() or (entry.is_dir() and _is_elsewhere(root, file)):
            reason = "a link, which is not followed"
        elif entry.is_dir():
            folders.append(file)
        elif not entry.is_file():
            reason = "no ordinary file"
        elif is_named or is_image(entry.path):
            status = entry.stat(follow_symlinks=False)
            images[file] = f"{status.st_size}\0{status.st_mtime_ns}\0{status.st_ctime_ns}"
        else:
            reason = _NO_IMAGE
        if reason:
            left_out[readable(file)] = reason
    return folders, images


def _is_elsewhere(root: str, folder: str) -> bool:
    """Tell whether a folder is a junction: a link that Windows does not call one."""
    place = os.path.join(root, folder)
    return os.path.normcase(os.path.realpath(place)) != os.path.normcase(os.path.normpath(place))


class _Tree:
    """The folders of a set; each is looked into once."""

    def __init__(self, root: str, left_out: dict[str, str]) -> None:
        self.left_out = left_out
        self.look = functools.cache(lambda folder: look_into(root, folder, left_out))  # sub-folders and images

    def holds_images(self, folder: str) -> bool:
        """Tell whether images lie in a folder, however deep."""
        folders, images = self.look(folder)
        return bool(images) or any(map(self.holds_images, folders))

    def descend(self, folder: str) -> str:
        """Return the folder in which parts or classes lie: archives wrap them, as in archive/archive/train."""
        while True:
            folders, images = self.look(folder)
            inner = [name for name in folders if self.holds_images(name)]
            others = {*map(part_of, folders)} - {"", part_of(folder)}  # test/test is one part
            are_parts = (len(folders) > 1 and others) or others - {"train"}
            if images or are_parts or len(inner) != 1 or self.look(inner[0])[1]:
                return folder
            self.left_out.update({readable(name): _NONE_IN_IT for name in folders if name != inner[0]})
            folder = inner[0]

    def parts(self, top: str) -> dict[str, str]:
        """Return the folders of training, validation and test by their part; nothing where there are classes."""
        named = {folder: part_of(folder) for folder in self.look(top)[0]}
        # A set of vehicles may have a class "train": the part of that name holds folders, the class holds images.
        # But "test" and "train" are never two classes, also where images lie side by side in them.
        are_all = set(named.values()) == {"test", "train"}
        found: dict[str, str] = {}
        for folder, part in sorted(named.items(), key=lambda item: (item[1] == "eval", item[0])):
            if part == "eval":
                part = next((free for free in ("val", "test") if free not in found), part)
            if part and (are_all or self.look(folder)[0]):
                if part in found:
                    self.left_out[readable(folder)] = f"a second folder for {part}"
                found.setdefault(part, folder)
        return {part: found[part] for part in ("train", "val", "test") if part in found}

    def classes(self, folder: str) -> dict[str, dict[str, str]]:
        """Return the images of each class in a folder."""
        folders, loose = self.look(folder)
        self.left_out.update({readable(file): "beside the class folders" for file in loose})
        found: dict[str, dict[str, str]] = {}
        for place in folders:
            name = readable(os.path.basename(place))
            inner, images = self.look(place)
            while len(inner) == 1 and not images:  # cat/images/1.jpg, cat/cat/1.jpg
                inner, images = self.look(inner[0])
            self.left_out.update({readable(deeper): "a folder within a class folder" for deeper in inner})
            if name in found:
                self.left_out[readable(place)] = "a second folder of this name"
            found.setdefault(name, images)
        return found


def part_of(folder: str) -> str:
    """Return the part of a set that a folder is named after; nothing for other names.

    Example:
        >>> part_of("seg_train"), part_of("archive/Testing"), part_of("VALID"), part_of("trainer")
        ('train', 'test', 'val', '')
    """
    words = [word.lower() for word in _WORDS.findall(os.path.basename(folder))]
    words = [re.sub(r"(?<=.)(set|data|images|imgs)$", "", word) for word in words]
    found = {part for part, rule in _PARTS.items() for word in words if re.fullmatch(rule, word)}
    return found.pop() if len(found) == 1 else ""


def list_class_folders(function: str, path: str | os.PathLike[str], argument: str = "path") -> Listing:
    """List class folders, or `train`, `val` and `test` with class folders in them; decode nothing.

    Raises:
        TypeError: If `path` is no path.
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If it is a file.
        ValueError: If the folders are not of one of these forms, or a class has no image.
    """
    listing = open_folder(function, path, argument)
    left_out = listing.left_out
    tree = _Tree(listing.root, left_out)
    top = tree.descend("")
    folders, loose = tree.look(top)
    parts = tree.parts(top)
    others = [each for each in folders if each not in parts.values() and readable(each) not in left_out]
    if parts and ("train" not in parts or (len(parts) == 1 and others)):
        held = ", ".join(readable(os.path.basename(folder)) for folder in folders)
        way_out = f"It holds {held}. Rename the folders, or move the others out of it."
        raise listing.error("a folder with train and test, with train alone, or with class folders", way_out)
    if parts:
        beside = f"a folder beside {' and '.join(parts)}"
        for folder in others:
            has_classes = len(tree.look(tree.descend(folder))[0]) > 1
            reason = beside if has_classes else _NO_CLASSES
            left_out[readable(folder)] = reason if tree.holds_images(folder) else _NONE_IN_IT
        left_out.update({readable(file): "beside the class folders" for file in loose})
    classes = {part: tree.classes(tree.descend(folder)) for part, folder in (parts or {"train": top}).items()}
    if not any(images for part in classes.values() for images in part.values()):
        raise listing.error("a folder with images in one sub-folder per class", "There is none.")
    names = list(classes["train"])
    for part, found in classes.items():
        if found.keys() != set(names):
            raise listing.differing(f"a folder whose train and {part} hold the same classes", found, names)
    empty = [name for name in names if not any(found[name] for found in classes.values())]
    left_out.update(dict.fromkeys(empty, "a class without an image"))
    names = [name for name in names if name not in empty]
    if len(names) < 2:
        way_out = f"It has one, {names[0]}. Do the classes lie deeper? Then pass that folder."
        raise listing.error("a folder with two classes or more", way_out)
    if missing := [f"{part}/{name}" for part, found in classes.items() for name in names if not found[name]]:
        raise listing.error("a folder with an image in each class", f"Empty: {', '.join(missing)}.")
    of_each = [(label, found[name]) for found in classes.values() for label, name in enumerate(names)]
    return listing._replace(
        class_names=tuple(names),
        files={file: stamp for _, images in of_each for file, stamp in images.items()},
        labels=np.array([label for label, images in of_each for _ in images], "int64"),
        counts={part: sum(len(found[name]) for name in names) for part, found in classes.items()},
    )
