"""Who handed a notebook in: names and numbers that learning platforms write into paths, and the newest attempt."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

# Moodle: "Anna Rossi_12345_assignsubmission_file_" as a folder, or in front of the file's name.
_MOODLE = re.compile(r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)_?")
# Canvas: "rossianna_12345_67890_file.ipynb", with "_LATE" behind the name of one who was late.
_CANVAS = re.compile(r"(?P<name>[^_/]+)(?:_LATE)?_(?P<id>\d+)_\d+_.+")
_NUMBERED = re.compile(r"(?P<name>.+?)[ _-]+(?P<id>[a-z]?\d{4,})", re.IGNORECASE)
_COPY = re.compile(r"^(copy of|copia de|copia di|copie de|c[óo]pia de|kopie von|kopie van)\s+", re.IGNORECASE)
_ATTEMPT = re.compile(r"(?:\s*\((\d+)\)|-(\d{1,2}))$")


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


class Place(NamedTuple):
    """A notebook's path, its topic ("" for a file of another kind) and when it was changed."""

    path: str
    topic: str
    modified: float = 0.0


def name_students(places: Sequence[Place], topics: Iterable[str]) -> dict[str, Student]:
    """Return for each path the student who handed it in.

    The platforms' own marks come first. Otherwise the first folder is the student's, where there is one below the
    folder that all share, and without any the name of the file without the notebook's.

    Args:
        places: All that was handed in.
        topics: The names of our notebooks, which students' names are told from.

    Returns:
        A student for each path.
    """
    found: dict[str, Student] = {}
    plain: list[Place] = []
    for place in places:
        marked = _of_platform(place.path)
        if marked:
            found[place.path] = marked
        else:
            plain.append(place)
    folders = {place.path: place.path.split("/")[:-1] for place in plain}
    above = [folders[place.path] for place in plain if place.topic] or [[]]
    shared = next(
        (n for n, same in enumerate(zip(*above, strict=False)) if len(set(same)) > 1), min(map(len, above))
    )
    by_folder: dict[str, list[Place]] = defaultdict(list)
    for place in plain:
        below = folders[place.path][shared:]
        if below:
            by_folder[below[0]].append(place)
        else:
            name = _name_of_file(place.path, topics)
            alone = shared and sum(other.topic == place.topic for other in plain) == 1
            around = folders[place.path][-1] if alone and folders[place.path] else ""
            found[place.path] = Student(name or around or _stem(place.path))
    for folder, inside in by_folder.items():
        # Two of one topic in different folders further down are those of two students in a group's folder.
        places_of: dict[str, set[str]] = defaultdict(set)
        for place in inside:
            places_of[place.topic].add("/".join(folders[place.path]))
        is_group = any(topic and len(below) > 1 for topic, below in places_of.items())
        for place in inside:
            below = folders[place.path][shared:]
            name = " / ".join(below[:2]) if is_group else folder.removesuffix(".zip")
            numbered = _NUMBERED.fullmatch(name)
            found[place.path] = Student(numbered["name"], numbered["id"]) if numbered else Student(name)
    return found


def _of_platform(path: str) -> Student | None:
    parts = path.split("/")
    for part in parts:
        if match := _MOODLE.match(part):
            return Student(match["name"].strip(), match["id"], "Moodle")
    for part in parts:
        if match := _CANVAS.fullmatch(part):
            return Student(match["name"], match["id"], "Canvas")
    return None


def _stem(path: str) -> str:
    return path.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _without_attempt(stem: str) -> str:
    before = None
    while before != stem:
        before, stem = stem, _COPY.sub("", _ATTEMPT.sub("", stem)).strip()
    return stem


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
    match = _ATTEMPT.search(_stem(path))
    return int(match[1] or match[2]) if match else 0


def newest(places: Sequence[Place]) -> Place:
    """Return the newest of several attempts: by the time of the file, and within a minute by the attempt's number.

    Args:
        places: Notebooks of one student and topic.

    Returns:
        The one to judge.
    """
    latest = max(place.modified for place in places)
    late = [place for place in places if latest - place.modified <= 60]
    return max(late, key=lambda place: (attempt_of(place.path), place.modified, place.path))
