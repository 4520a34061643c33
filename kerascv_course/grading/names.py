"""Who handed a notebook in: names and numbers that learning platforms write into paths, and the newest attempt."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kerascv_course.grading.files import HandedIn

# Moodle: "Anna Rossi_12345_assignsubmission_file_" as a folder, or in front of the file's name.
_MOODLE = re.compile(r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)_?")
# Canvas: "rossianna_12345_67890_file.ipynb", with "_LATE" behind the name of one who was late.
_CANVAS = re.compile(r"(?P<name>[^_/]+)(?:_LATE)?_(?P<id>\d+)_\d+_.+\.\w+$")
_NUMBERED = re.compile(r"(?P<name>.+?)[ _-]+(?P<id>[a-z]?\d{4,})", re.IGNORECASE)
_COPY = r"(?:copy of|copia de|copia di|copie de|c[óo]pia de|kopie von|kopie van)\s+"
_ATTEMPT = r"\s*\(\d+\)|-\d{1,2}"


class Student(NamedTuple):
    """Who handed in.

    Args:
        name: As the path has it.
        id: The number that the platform gave; "" where the path has none.
        platform: "Moodle", "Canvas" or "".
    """

    name: str
    id: str = ""
    platform: str = ""


def name_students(topic_of: Mapping[str, str], topics: Iterable[str]) -> dict[str, Student]:
    """Return for each path the student who handed it in.

    The platforms' own marks come first. Otherwise the first folder is the student's, where there is one below the
    folder that all share, and without any the name of the file without the notebook's.

    Args:
        topic_of: The name of our notebook for each path that was handed in, "" for a file of another kind.
        topics: The names of our notebooks, which students' names are told from.

    Returns:
        A student for each path.
    """
    found = {path: student for path in topic_of if (student := _of_platform(path))}
    folders = {path: path.split("/")[:-1] for path in topic_of if path not in found}
    above = [folder for path, folder in folders.items() if topic_of[path]] or [[]]
    differing = [len(set(same)) > 1 for same in zip(*above, strict=False)]
    shared = differing.index(True) if True in differing else len(differing)
    by_folder: dict[str, list[str]] = defaultdict(list)
    for path, folder in folders.items():
        if folder[shared:]:
            by_folder[folder[shared]].append(path)
        else:
            alone = shared and sum(topic_of[other] == topic_of[path] for other in folders) == 1
            found[path] = Student(_name_of_file(path, topics) or (folder[-1] if alone else _stem(path)))
    for name, paths in by_folder.items():
        # Two of one topic in different folders further down are those of two students in a group's folder.
        below: dict[str, set[str]] = defaultdict(set)
        for path in paths:
            below[topic_of[path]].add(path.rsplit("/", 1)[0])
        is_group = any(topic and len(places) > 1 for topic, places in below.items())
        for path in paths:
            whole = " / ".join(folders[path][shared : shared + 2]) if is_group else name.removesuffix(".zip")
            numbered = _NUMBERED.fullmatch(whole)
            found[path] = Student(numbered["name"], numbered["id"]) if numbered else Student(whole)
    return found


def _of_platform(path: str) -> Student | None:
    for platform, pattern in (("Moodle", _MOODLE), ("Canvas", _CANVAS)):
        for part in path.split("/"):
            if match := pattern.match(part):
                return Student(match["name"].strip(), match["id"], platform)
    return None


def _stem(path: str) -> str:
    return path.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _without_attempt(stem: str) -> str:
    return re.sub(rf"^({_COPY})+|({_ATTEMPT})+$", "", stem, flags=re.IGNORECASE).strip()


def _name_of_file(path: str, topics: Iterable[str]) -> str:
    """Return what stands in the name of a file besides the name of the notebook."""
    stem = _without_attempt(_stem(path))
    for topic in topics:
        words = r"[\s_-]*".join(map(re.escape, topic.split("_")))
        stem = re.sub(rf"\b{words}(?![a-z0-9])|_{words}(?![a-z0-9])", "", stem, flags=re.IGNORECASE)
    return _without_attempt(stem).strip(" _-.,")


def attempt_of(path: str) -> int:
    """Return the number of an attempt that stands in the name of a file, 0 for none.

    Example:
        >>> attempt_of("anna/02_lenet_cifar10 (2).ipynb"), attempt_of("anna/02_lenet_cifar10.ipynb")
        (2, 0)
    """
    match = re.search(rf"({_ATTEMPT})$", _stem(path))
    return int(re.sub(r"\D", "", match[1])) if match else 0


def newest(attempts: Sequence[HandedIn]) -> HandedIn:
    """Return the newest of several attempts: by the time of the file, and within a minute by the attempt's number.

    Args:
        attempts: Notebooks of one student and topic.

    Returns:
        The one to judge.
    """
    latest = max(each.modified for each in attempts)
    late = [each for each in attempts if latest - each.modified <= 60]
    return max(late, key=lambda each: (attempt_of(each.path), each.modified, each.path))
