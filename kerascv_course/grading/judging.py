"""A class's hand-in judged: each notebook once, in processes of their own, and kept as soon as it is done."""

import hashlib
import json
import os
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import joblib

from kerascv_course import __version__
from kerascv_course._validation import input_error
from kerascv_course.exercises import sheet
from kerascv_course.grading import contain
from kerascv_course.grading.contain import Limits
from kerascv_course.grading.files import Found, HandedIn, Problem, find_notebooks
from kerascv_course.grading.names import Student, name_students, newest
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
        text = json.dumps([_checks_digest(self.topic.name), cells], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def job(self) -> dict[str, Any]:
        """What the judge's process is given."""
        cells = [code for answer in self.answers.values() for code in answer.cells]
        pairs = zip(self.topic.tasks, self.answers.values(), strict=True)
        tasks = [{"name": task.name, "answers": task.answers, "cells": own.cells} for task, own in pairs]
        module = self.topic.name.partition("_")[2]
        return {"module": module, "setup": needed_setup(self.topic, cells), "tasks": tasks}


@dataclass
class ClassResult:
    """A class's hand-in.

    Attributes:
        notebooks: Those that were judged, by student and topic.
        problems: What could not be judged, and why.
        reasons: The same by student.
        judged_now: How many were judged in this run; the others were known.
    """

    notebooks: list[Judged]
    problems: list[Problem] = field(default_factory=list)
    reasons: dict[Student, list[str]] = field(default_factory=dict)
    judged_now: int = 0

    def refuse(self, student: Student, where: str, why: str) -> None:
        """Note what of a student's cannot be judged."""
        self.problems.append(Problem(where, why))
        self.reasons.setdefault(student, []).append(f"{_file_name(where)}: {why}")

    @property
    def students(self) -> dict[Student, list[Judged]]:
        """Each student's notebooks, none where nothing could be judged, in alphabetical order."""
        found: dict[Student, list[Judged]] = {student: [] for student in self.reasons}
        for notebook in self.notebooks:
            found.setdefault(notebook.student, []).append(notebook)
        return dict(sorted(found.items(), key=lambda item: (item[0].name.casefold(), item[0].id)))


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
        ValueError: If the submissions hold no file, or `folder` holds something else or lies inside them.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     student = Path(folder) / "class" / "Anna Rossi"
        ...     student.mkdir(parents=True)
        ...     _ = (student / "homework.ipynb").write_text('{"cells": []}')
        ...     result = grade(student.parent, Path(folder) / "marks", trust=True)
        >>> result.problems[0].why
        'a notebook of another course: it imports no checks of ours and has none of our exercises'
    """
    source, target = Path(submissions), Path(folder)
    _check_paths(source, target)
    if not trust and (why := contain.missing()):
        raise OSError(why)
    result = sort_out(find_notebooks(source))
    if not result.notebooks and not result.problems:
        raise input_error("grade", "submissions", "a folder or a .zip with notebooks in it", str(source))
    (target / KEPT).mkdir(parents=True, exist_ok=True)
    waiting: dict[str, list[Judged]] = defaultdict(list)
    for notebook in result.notebooks:
        known = _kept(target / KEPT / f"{notebook.key}.json", limits)
        if known:
            notebook.results, notebook.summary = known["results"], known["summary"]
        else:
            waiting[notebook.key].append(notebook)
    total = len(result.notebooks)
    show(total - sum(map(len, waiting.values())), total)
    tasks = [joblib.delayed(judge)(key, same[0].job, limits, trust) for key, same in waiting.items()]
    parallel = joblib.Parallel(n_jobs=jobs, prefer="threads", return_as="generator_unordered")
    try:
        for key, found in parallel(tasks):
            same = waiting.pop(key)
            if not found["broken"]:
                _keep(target / KEPT / f"{key}.json", found)
            for notebook in same:
                notebook.results, notebook.summary = found["results"], found["summary"]
                if found["broken"]:
                    result.refuse(notebook.student, notebook.path, found["broken"])
            result.judged_now += len(same)
            show(total - sum(map(len, waiting.values())), total)
    finally:
        contain.end_all()
    result.notebooks = [notebook for notebook in result.notebooks if notebook.summary]
    return result


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
    left = {task["name"]: task for task in job["tasks"]}
    results: dict[str, dict[str, Any]] = {}
    names, running, summary, broken = set(left), "", "", ""
    while not summary and not broken:
        for event in contain.run(job | {"tasks": list(left.values())}, limits, trust=trust):
            if event["event"] == "start":
                running = event["name"]
            elif event["event"] == "judged":
                results.setdefault(event["name"], {name: event[name] for name in contain.RESULT})
            elif event["event"] == "end":
                summary = event["summary"]
            elif event["event"] == "ended" and left.pop(running, None):
                results[running] = {"kind": "ended", "text": f"{event['text']}.", "errors": [], "answer": ""}
            else:
                broken = f"our own cells did not run, which is no fault of the student's: {event['text']}"
    if not broken and results.keys() != names:
        broken = "its code wrote into the channel of the judge: nothing of it can be believed"
    return key, {"results": results, "summary": summary, "seconds": limits.seconds, "broken": broken}


def sort_out(found: Found) -> ClassResult:
    """Return the newest notebook of each student and topic, ready to be judged, and what cannot be.

    Args:
        found: What was handed in.

    Returns:
        The notebooks, without results.
    """
    topics = {topic.name: topic for topic in all_topics()}
    of = {each.path: topic_of(each.cells, topics.values()) for each in found.notebooks}
    others = dict.fromkeys([*found.others, *(problem.where for problem in found.problems)], "")
    students = name_students({path: topic.name if topic else "" for path, topic in of.items()} | others, topics)
    attempts: dict[tuple[str, str, str], list[HandedIn]] = defaultdict(list)
    result = ClassResult([])
    for each in found.notebooks:
        student, topic = students[each.path], of[each.path]
        if topic is None:
            why = "a notebook of another course: it imports no checks of ours and has none of our exercises"
            result.refuse(student, each.path, why)
        else:
            attempts[student.name.casefold(), student.id, topic.name].append(each)
    for (*_, name), same in sorted(attempts.items()):
        judged = newest(same)
        notebook = Judged(students[judged.path], topics[name], judged.path, transplant(judged.cells, topics[name]))
        if len(same) > 1:
            older = ", ".join(sorted(_file_name(each.path) for each in same if each is not judged))
            newer = f"judged is the newest, {_file_name(judged.path)}, not {older}"
            notebook.notes.append(f"{len(same)} attempts: {newer}.")
        result.notebooks.append(notebook)
    for problem in found.problems:
        result.refuse(students[problem.where], *problem)
    done = set(result.students)
    for path in found.others:
        if students[path] not in done:
            result.refuse(
                students[path], path, "no notebook and no .zip, and nothing else of this student's can be judged"
            )
    names = Counter(student.name.casefold() for student in result.students)
    for student in result.students:
        if (count := names[student.name.casefold()]) > 1:
            why = f"{count} students have this name: this one is {student.id or 'without a number'}"
            result.problems.append(Problem(student.name, why))
    return result


def _file_name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _check_paths(source: Path, target: Path) -> None:
    if not source.is_dir() and not zipfile.is_zipfile(source):
        error = ValueError if source.exists() else FileNotFoundError
        raise input_error("grade", "submissions", "a folder or a .zip", str(source), error=error)
    rule = "a folder; it is made if need be" if target.exists() and not target.is_dir() else ""
    if source.is_dir() and target.resolve().is_relative_to(source.resolve()):
        rule = "a folder outside the submissions"
    elif target.is_dir() and not (target / KEPT).is_dir() and any(target.iterdir()):
        rule = "a new or empty folder, or one that `grade` has written"
    if rule:
        raise input_error("grade", "out", rule, str(target))


@cache
def _checks_digest(topic: str) -> str:
    """Return what stands for our notebook and its checks."""
    checks = sorted(Path(sheet.__file__).parent.glob("*.py"))
    contents = [file.read_bytes() for file in (source_folder() / f"{topic}.py", *checks)]
    return hashlib.sha256(__version__.encode() + b"".join(contents)).hexdigest()


def _kept(path: Path, limits: Limits) -> dict[str, Any] | None:
    """Return a result that is known, unless the exercise that ran too long may now take longer."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        late = any("took longer" in each["text"] for each in result["results"].values() if each["kind"] == "ended")
        return None if late and limits.seconds > result["seconds"] else dict(result)
    except (OSError, ValueError, KeyError, TypeError):  # none, or one that somebody has damaged: judged again
        return None


def _keep(path: Path, result: dict[str, Any]) -> None:
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(result, indent=1), encoding="utf-8", newline="\n")
    os.replace(partial, path)
