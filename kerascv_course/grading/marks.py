"""Points, and the tables of marks: for a spreadsheet, and as Moodle imports them."""

import csv
import html
import os
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kerascv_course._validation import check_choice, check_number, input_error
from kerascv_course.grading.judging import ClassResult, Judged
from kerascv_course.grading.names import Student
from kerascv_course.grading.topics import Topic, all_topics

LABELS = {"right": "right", "wrong": "wrong", "to do": "untouched", "missing": "no answer"} | {"ended": "ended"}
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
    reached = possible = 0.0
    for notebook in notebooks:
        for task in notebook.topic.tasks:
            value = points[notebook.topic.name, task.name]
            possible += value
            reached += value * (notebook.results[task.name]["kind"] == "right")
    return reached, possible


def topics_of(result: ClassResult) -> list[Topic]:
    """Return those of our notebooks that were handed in, in their order."""
    names = {notebook.topic.name for notebook in result.notebooks}
    return [topic for topic in all_topics() if topic.name in names]


def remarks_of(notebook: Judged, *, for_teacher: bool = True) -> list[str]:
    """Return what is to be said of a notebook besides right and wrong, with the exercise in front.

    Args:
        notebook: The notebook.
        for_teacher: Whether to tell of code that should be looked at.
    """
    said = list(notebook.notes)
    for task in notebook.topic.tasks:
        answer, result = notebook.answers[task.name], notebook.results[task.name]
        found = [*answer.remarks, *result["errors"], *([result["text"]] if result["kind"] == "ended" else [])]
        found += [f"Look at: {flag}" for flag in answer.flags] if for_teacher else []
        said += [f"{task.name}: {text}" for text in found]
    return said


def write_marks(result: ClassResult, folder: str | os.PathLike[str], points: Points) -> list[Path]:
    """Write `marks.csv` for a spreadsheet, and `marks-moodle.csv` where there are students of Moodle's.

    Args:
        result: What `grade` returned.
        folder: Where to.
        points: What `read_points` returned.

    Returns:
        The files written.
    """
    topics = topics_of(result)
    columns = [(topic.name, task.name) for topic in topics for task in topic.tasks]
    rows: list[list[Any]] = []
    moodle: list[list[Any]] = []
    for student, notebooks in result.students.items():
        kinds = {(n.topic.name, name): each["kind"] for n in notebooks for name, each in n.results.items()}
        reached, possible = total_of(notebooks, points)
        marks = [(f"{points[key]:g}" if kinds[key] == "right" else "0") if key in kinds else "" for key in columns]
        remarks = [*result.reasons.get(student, []), *(text for n in notebooks for text in remarks_of(n))]
        done = "; ".join(f"{notebook.topic.name}: {notebook.summary}" for notebook in notebooks)
        row = [student.name, student.id, *marks, f"{reached:g}", f"{possible:g}", done, " | ".join(remarks)]
        rows.append([as_text(value) for value in row])
        if student.platform == "Moodle":
            comment = html.escape("; ".join([done or "not judged", *result.reasons.get(student, [])]))
            moodle.append(
                [f"Participant {student.id}", as_text(student.name), f"{reached:g}", f"{possible:g}", "-", comment]
            )
    head = ["name", "id", *(f"{topic}: {task}" for topic, task in columns), "points", "of", "right", "remarks"]
    written = [
        _write(Path(folder) / "marks.csv", [head, *rows], "utf-8-sig")
    ]  # the mark by which Excel knows UTF-8
    if moodle:
        names = ["Identifier", "Full name", "Grade", "Maximum grade", "Last modified (grade)", "Feedback comments"]
        written.append(_write(Path(folder) / "marks-moodle.csv", [names, *moodle], "utf-8"))
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
    taken: dict[str, int] = defaultdict(int)
    names = {}
    for student in students:
        plain = re.sub(r"[^\w .-]", "_", f"{student.name}_{student.id}".rstrip("_")).strip(" .") or "student"
        taken[plain.casefold()] += 1
        count = taken[plain.casefold()]
        names[student] = f"{plain[:100]}{f' ({count})' if count > 1 else ''}.html"
    return names


def _write(path: Path, rows: list[list[Any]], encoding: str) -> Path:
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding=encoding, errors="backslashreplace", newline="") as file:
        csv.writer(file).writerows(rows)
    os.replace(partial, path)
    return path
