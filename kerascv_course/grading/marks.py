"""Points, and the tables of marks: for a spreadsheet, and as Moodle imports them."""

import csv
import html
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from kerascv_course._validation import check_choice, check_number, input_error
from kerascv_course.grading.judging import ClassResult, Judged
from kerascv_course.grading.names import Student
from kerascv_course.grading.topics import Topic, all_topics

LABELS = {"right": "right", "wrong": "wrong", "to do": "untouched", "missing": "no answer"} | {"ended": "ended"}
_MOODLE = ["Identifier", "Full name", "Grade", "Maximum grade", "Last modified (grade)", "Feedback comments"]
Points = Mapping[tuple[str, str], float]


def read_points(path: str | os.PathLike[str] | None = None) -> dict[tuple[str, str], float]:
    """Return the points of every exercise, by notebook and name; 1 where nothing else is said.

    The file has a table for each notebook: `[02_lenet_cifar10]`, and below it lines such as `lenet_rgb = 3`.

    Args:
        path: The file, in TOML; None: one point for each exercise.

    Returns:
        The points.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no TOML, names no notebook or exercise of ours, or points that are no number from 0.

    Example:
        >>> read_points()["02_lenet_cifar10", "lenet_rgb"]
        1.0
    """
    points = {(topic.name, task.name): 1.0 for topic in all_topics() for task in topic.tasks}
    if path is None:
        return points
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise input_error("grade", "points", "a file in TOML", str(path), f"It says: {error}.") from None
    for name, table in tables.items():
        check_choice("grade", "points", name, [topic.name for topic in all_topics()])
        if not isinstance(table, dict):
            way_out = f"Write [{name}], and below it lines such as lenet_rgb = 3."
            raise input_error("grade", "points", "a table for each notebook", table, way_out)
        for task, value in table.items():
            check_choice("grade", f"points, [{name}]", task, [known for topic, known in points if topic == name])
            points[name, task] = check_number("grade", f"points, {task}", value, 0)
    return points


def total_of(notebooks: Iterable[Judged], points: Points) -> tuple[float, float]:
    """Return the points that notebooks reach, and those that they could."""
    tasks = [(notebook, task.name) for notebook in notebooks for task in notebook.topic.tasks]
    worth = [points[notebook.topic.name, name] for notebook, name in tasks]
    right = [notebook.results[name]["kind"] == "right" for notebook, name in tasks]
    return sum(value for value, is_right in zip(worth, right, strict=True) if is_right), sum(worth)


def topics_of(result: ClassResult) -> list[Topic]:
    """Return those of our notebooks that were handed in, in their order."""
    names = {notebook.topic.name for notebook in result.notebooks}
    return [topic for topic in all_topics() if topic.name in names]


def remarks_of(notebook: Judged) -> list[str]:
    """Return what a teacher should know of a notebook besides right and wrong, with the exercise in front."""
    said = list(notebook.notes)
    for name, answer in notebook.answers.items():
        result = notebook.results[name]
        ended = [result["text"]] if result["kind"] == "ended" else []
        flags = [f"Look at: {flag}" for flag in answer.flags]
        said += [f"{name}: {text}" for text in (*answer.remarks, *result["errors"], *ended, *flags)]
    return said


def write_marks(result: ClassResult, folder: str | os.PathLike[str], points: Points) -> list[Path]:
    """Write `marks.csv` for a spreadsheet, and `marks-moodle.csv` where there are students of Moodle's.

    Moodle finds the columns of its grading worksheet by their English names, and wants at least Identifier, Grade
    and Last modified (grade): its `mod/assign/feedback/offline/importgradeslib.php`.

    Args:
        result: What `grade` returned.
        folder: Where to.
        points: What `read_points` returned.

    Returns:
        The files written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in write_marks(ClassResult([]), folder, read_points())]
        ['marks.csv']
    """
    columns = [(topic.name, task.name) for topic in topics_of(result) for task in topic.tasks]
    head = ["name", "id", *map(": ".join, columns), "points", "of", "right", "remarks"]
    rows, moodle = [head], [_MOODLE]
    for student, notebooks in result.students.items():
        kinds = {(n.topic.name, name): each["kind"] for n in notebooks for name, each in n.results.items()}
        marks = [f"{points[key] * (kinds[key] == 'right'):g}" if key in kinds else "" for key in columns]
        total = [f"{value:g}" for value in total_of(notebooks, points)]
        done = "; ".join(f"{notebook.topic.name}: {notebook.summary}" for notebook in notebooks)
        reasons = result.reasons.get(student, [])
        remarks = " | ".join([*reasons, *(text for notebook in notebooks for text in remarks_of(notebook))])
        rows.append([as_text(each) for each in (student.name, student.id, *marks, *total, done, remarks)])
        comment = html.escape("; ".join(filter(None, [done, *reasons])))
        if student.platform == "Moodle":
            moodle.append([f"Participant {student.id}", as_text(student.name), *total, "-", comment])
    tables = {"marks.csv": rows, "marks-moodle.csv": moodle}
    written = [Path(folder) / name for name, table in tables.items() if len(table) > 1 or table is rows]
    for path in written:
        # A mark at its beginning tells Excel that it is UTF-8.
        encoding = "utf-8-sig" if path.name == "marks.csv" else "utf-8"
        with path.open("w", encoding=encoding, errors="backslashreplace", newline="") as file:
            csv.writer(file).writerows(tables[path.name])
    return written


def as_text(value: str) -> str:
    """Return a value that no spreadsheet takes for a formula.

    Example:
        >>> as_text("=1+1"), as_text("Anna")
        ("'=1+1", 'Anna')
    """
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def page_names(students: Iterable[Student]) -> dict[Student, str]:
    """Return the name of each student's page, different for all, on every system."""
    names: dict[Student, str] = {}
    taken: Counter[str] = Counter()
    for student in students:
        name = re.sub(r"[^\w .-]", "_", "_".join(filter(None, student[:2]))).strip(" .")[:100]
        taken[name.casefold()] += 1
        count = taken[name.casefold()]
        names[student] = f"{name}{f' ({count})' if count > 1 else ''}.html"
    return names
