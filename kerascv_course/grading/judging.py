"""A class's hand-in judged: each notebook once, in processes of their own, and kept as soon as it is done."""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib

from kerascv_course import __version__
from kerascv_course._validation import input_error
from kerascv_course.grading import contain
from kerascv_course.grading.contain import Limits
from kerascv_course.grading.files import Found, HandedIn, Problem, find_notebooks
from kerascv_course.grading.names import Place, Student, name_students, newest
from kerascv_course.grading.topics import Topic, all_topics, needed_setup, topic_of
from kerascv_course.grading.transplant import Answer, transplant
from kerascv_course.notebooks.marks import source_folder

KEPT = "judged"  # the folder of results inside the one that is written


@dataclass
class Judged:
    """A notebook that was handed in, and what the checks say of it.

    Attributes:
        student: Who handed it in.
        topic: Our notebook.
        path: Where it stood.
        answers: The student's code of each exercise.
        notes: What was decided on the way, for example which attempt is the newest.
        results: Of each exercise "kind", "text", "errors" and "answer"; empty until it is judged.
        summary: What `ex.summary()` says: "3 of 5 right".
    """

    student: Student
    topic: Topic
    path: str
    answers: dict[str, Answer]
    notes: list[str] = field(default_factory=list)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    summary: str = ""

    @property
    def key(self) -> str:
        """What decides the result: the student's cells, our notebook and its checks; not the points."""
        cells = {name: answer.cells for name, answer in self.answers.items()}
        text = json.dumps([self.topic.name, _checks_digest(self.topic.name), cells], sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    @property
    def job(self) -> dict[str, Any]:
        """What the judge's process is given."""
        cells = [code for answer in self.answers.values() for code in answer.cells]
        tasks = [
            {"name": task.name, "answers": task.answers, "cells": self.answers[task.name].cells}
            for task in self.topic.tasks
        ]
        module = self.topic.name.partition("_")[2]
        return {"module": module, "setup": needed_setup(self.topic, cells), "tasks": tasks}


@dataclass
class ClassResult:
    """A class's hand-in.

    Attributes:
        notebooks: Those that were judged, by student and topic.
        problems: What could not be judged, and why.
        absent: Students of whom nothing could be judged, each with the reasons.
        judged_now: How many were judged in this run; the others were known.
    """

    notebooks: list[Judged]
    problems: list[Problem]
    absent: dict[Student, list[str]]
    judged_now: int = 0


def grade(
    submissions: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    jobs: int = -1,
    limits: Limits = Limits(),  # noqa: B008  # it cannot be changed
    trust: bool = False,
    show: Callable[[int, int], None] = lambda done, total: None,
) -> ClassResult:
    """Judge the notebooks of a class with our checks, each in a process of its own.

    Each result is kept in the folder as soon as it is there: a run that was interrupted goes on where it was, and
    what is known is not judged again.

    Args:
        submissions: The folder or `.zip` that a learning platform made.
        folder: Where results are kept; made if need be.
        jobs: How many at a time, as joblib takes it: -1 for all processors. Inside `joblib.parallel_config(...)`
            the backend named there runs them, for example a Dask cluster.
        limits: What the code of a student may use.
        trust: Whether to run the code without a container, as yourself.
        show: Called with how many are done, and of how many.

    Returns:
        What was judged and what could not be.

    Raises:
        FileNotFoundError: If there are no such submissions.
        OSError: If there is no container here and `trust` is False.
        ValueError: If `folder` holds something else, or lies inside the submissions.
    """
    source, target = Path(submissions), Path(folder)
    _check_paths(source, target)
    if not trust and (why := contain.missing()):
        raise OSError(why)
    found = find_notebooks(source)
    notebooks, problems, absent = sort_out(found)
    (target / KEPT).mkdir(parents=True, exist_ok=True)
    waiting: dict[str, list[Judged]] = defaultdict(list)
    for notebook in notebooks:
        if not _take(notebook, _kept(target, notebook.key, limits)):
            waiting[notebook.key].append(notebook)
    show(len(notebooks) - sum(map(len, waiting.values())), len(notebooks))
    run = joblib.delayed(judge)
    parallel = joblib.Parallel(n_jobs=jobs, prefer="threads", return_as="generator_unordered")
    done = 0
    try:
        for key, result in parallel([run(key, same[0].job, limits, trust) for key, same in waiting.items()]):
            if result["broken"]:
                problems += [Problem(notebook.path, result["broken"]) for notebook in waiting[key]]
                for notebook in waiting[key]:
                    absent.setdefault(notebook.student, []).append(f"{notebook.topic.name}: {result['broken']}")
            else:
                _keep(target / KEPT / f"{key}.json", result)
            for notebook in waiting.pop(key):
                _take(notebook, result)
                done += 1
            show(len(notebooks) - sum(map(len, waiting.values())), len(notebooks))
    finally:
        contain.end_all()
    return ClassResult([notebook for notebook in notebooks if notebook.results], problems, absent, done)


def judge(key: str, job: dict[str, Any], limits: Limits, trust: bool) -> tuple[str, dict[str, Any]]:
    """Run one notebook, again without an exercise that ended the process, until the others are judged.

    Args:
        key: What the result is called.
        job: What the judge's process is given.
        limits: What the student's code may use.
        trust: Whether to run it without a container.

    Returns:
        The key and the results: "results" by exercise, "summary", "seconds" that it was given, and "broken" with
        the reason where our own cells failed.
    """
    results: dict[str, dict[str, Any]] = {}
    ended: set[str] = set()
    summary = broken = running = ""
    while not summary and not broken:
        tasks = [task for task in job["tasks"] if task["name"] not in ended]
        running = ""
        for event in contain.run(job | {"tasks": tasks}, limits, trust=trust):
            if event["event"] == "start":
                running = event["name"]
            elif event["event"] == "judged":
                running = ""
                results.setdefault(event["name"], {k: event[k] for k in ("kind", "text", "errors", "answer")})
            elif event["event"] == "end":
                summary = event["summary"]
            elif event["event"] == "broken" or not running:
                broken = f"our own cells did not run, which is no fault of the student's: {event['text']}"
            else:
                results[running] = {"kind": "ended", "text": f"{event['text']}.", "errors": [], "answer": ""}
                ended.add(running)
    return key, {"results": results, "summary": summary, "seconds": limits.seconds, "broken": broken}


def sort_out(found: Found) -> tuple[list[Judged], list[Problem], dict[Student, list[str]]]:
    """Return the newest notebook of each student and topic, and what cannot be judged.

    Args:
        found: What was handed in.

    Returns:
        The notebooks by student and topic, ready to be judged; the problems; and who has handed in nothing else.
    """
    topics = all_topics()
    by_name = {topic.name: topic for topic in topics}
    problems, places = list(found.problems), []
    contents: dict[str, HandedIn] = {}
    for handed_in in found.notebooks:
        topic = topic_of(handed_in.cells, topics)
        if topic is None:
            why = "a notebook of another course: it imports no checks of ours and has none of our exercises"
            problems.append(Problem(handed_in.path, why))
        contents[handed_in.path] = handed_in
        places.append(Place(handed_in.path, topic.name if topic else "", handed_in.modified))
    others = [Place(path, "") for path in [*found.others, *(problem.where for problem in found.problems)]]
    students = name_students([*places, *others], [topic.name for topic in topics])
    attempts: dict[tuple[str, str, str], list[Place]] = defaultdict(list)
    for place in places:
        if place.topic:
            student = students[place.path]
            attempts[student.name.casefold(), student.id, place.topic].append(place)
    judged = []
    for same in attempts.values():
        place = newest(same)
        notebook = Judged(students[place.path], by_name[place.topic], place.path, {})
        notebook.answers = transplant(contents[place.path].cells, notebook.topic)
        older = sorted(other.path.rsplit("/", 1)[-1] for other in same if other != place)
        if older:
            name = place.path.rsplit("/", 1)[-1]
            notebook.notes.append(f"{len(same)} attempts: judged is the newest, {name}, not {', '.join(older)}.")
        if not any(answer.cells for answer in notebook.answers.values()):
            notebook.notes.append("None of the exercises' cells was found in the notebook.")
        judged.append(notebook)
    done = {notebook.student for notebook in judged}
    absent: dict[Student, list[str]] = defaultdict(list)
    for problem in problems:
        if students[problem.where] not in done:
            absent[students[problem.where]].append(f"{problem.where.rsplit('/', 1)[-1]}: {problem.why}")
    files: dict[Student, list[str]] = defaultdict(list)
    for path in found.others:
        files[students[path]].append(path.rsplit("/", 1)[-1])
    for student in files.keys() - done - absent.keys():
        why = f"no notebook inside. Handed in: {', '.join(files[student][:5])}"
        absent[student].append(why)
        problems.append(Problem(student.name, why))
    problems += _of_one_name(done | absent.keys())
    order = sorted(judged, key=lambda each: (each.student.name.casefold(), each.student.id, each.topic.name))
    return order, problems, dict(absent)


def _of_one_name(students: Iterable[Student]) -> Iterator[Problem]:
    by_name: dict[str, list[Student]] = defaultdict(list)
    for student in students:
        by_name[student.name.casefold()].append(student)
    for same in by_name.values():
        if len(same) > 1:
            ids = ", ".join(sorted(student.id or "none" for student in same))
            yield Problem(same[0].name, f"{len(same)} students of this name, told apart by their numbers: {ids}")


def _check_paths(source: Path, target: Path) -> None:
    if not source.exists():
        raise input_error("grade", "submissions", "a folder or a .zip", str(source), error=FileNotFoundError)
    if target.exists() and not target.is_dir():
        raise input_error("grade", "out", "a folder; it is made if need be", str(target))
    if source.is_dir() and target.resolve().is_relative_to(source.resolve()):
        raise input_error("grade", "out", "a folder outside the submissions", str(target))
    if target.is_dir() and not (target / KEPT).is_dir() and any(target.iterdir()):
        way_out = "Name a new one."
        raise input_error("grade", "out", "empty, or a folder that `grade` has written", str(target), way_out)


def _checks_digest(topic: str) -> str:
    """Return what stands for our notebook and its checks."""
    checks = Path(contain.__file__).parent.parent / "exercises"
    files = [source_folder() / f"{topic}.py", *sorted(checks.glob("*.py"))]
    text = __version__.encode() + b"".join(file.read_bytes() for file in files)
    return hashlib.sha256(text).hexdigest()


def _take(notebook: Judged, result: dict[str, Any] | None) -> bool:
    if result is None or result["broken"]:
        return False
    notebook.results, notebook.summary = result["results"], result["summary"]
    return True


def _kept(target: Path, key: str, limits: Limits) -> dict[str, Any] | None:
    """Return a result that is known, unless the exercise that ran too long may now take longer."""
    try:
        result = json.loads((target / KEPT / f"{key}.json").read_text(encoding="utf-8"))
        late = any("took longer" in each["text"] for each in result["results"].values() if each["kind"] == "ended")
        return None if late and limits.seconds > result["seconds"] else dict(result)
    except (OSError, ValueError, KeyError, TypeError):  # none, or one that somebody has damaged: judged again
        return None


def _keep(path: Path, result: dict[str, Any]) -> None:
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(result, indent=1), encoding="utf-8", newline="\n")
    os.replace(partial, path)
