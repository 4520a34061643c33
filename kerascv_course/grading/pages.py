"""The pages: one for the teacher, and one of feedback for each student."""

import html
import os
import re
from collections import Counter, defaultdict
from pathlib import Path
from urllib.parse import quote

from kerascv_course import __version__
from kerascv_course._pages import html_page
from kerascv_course.exercises.sheet import Feedback
from kerascv_course.grading.judging import ClassResult, Judged
from kerascv_course.grading.marks import LABELS, Points, page_names, remarks_of, topics_of, total_of
from kerascv_course.grading.names import Student
from kerascv_course.grading.topics import Task, Topic

_SIGNS = {"right": "✓", "wrong": "✗", "to do": "–", "missing": "○", "ended": "!"}
_TITLES = {"right": "Right", "wrong": "Not yet", "to do": "To do", "missing": "No answer", "ended": "Ended"}
_MOST_FREQUENT = 5
_LONGEST_CODE = 4_000  # characters of a cell that are shown
_STYLE = """
:root { --good: #1a7f37; --bad: #a84b00; }
@media screen and (prefers-color-scheme: dark) { :root { --good: #56c271; --bad: #f0a050; } }
main.class { max-width: 72rem; }
.scroll { overflow-x: auto; }
.class th, .class td { padding: .25rem .55rem; text-align: left; vertical-align: top; }
.class td.mark, .class td.number, .class th.number { text-align: center; white-space: nowrap; }
.right { color: var(--good); font-weight: 600; }
.wrong, .ended { color: var(--bad); font-weight: 600; }
.todo, .missing { color: var(--soft); }
.code { background: var(--code); border-left: 3px solid var(--mark); max-height: 24rem; overflow-y: auto;
  padding: .6rem .9rem; }
li { margin: .3rem 0; overflow-wrap: anywhere; }
summary { cursor: pointer; }
"""


def write_pages(result: ClassResult, folder: str | os.PathLike[str], points: Points) -> Path:
    """Write the teacher's page, `class.html`, and `feedback/NAME.html` for each student.

    Args:
        result: What `grade` returned.
        folder: Where to.
        points: What `read_points` returned.

    Returns:
        The teacher's page.
    """
    students = result.students
    names = page_names(students)
    target = Path(folder) / "feedback"
    target.mkdir(parents=True, exist_ok=True)
    for student, notebooks in students.items():
        _write(target / names[student], _feedback(student, notebooks, result.reasons.get(student, []), points))
    page = Path(folder) / "class.html"
    _write(page, _class_page(result, students, names, points))
    return page


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def _feedback(student: Student, notebooks: list[Judged], absent: list[str], points: Points) -> str:
    reached, possible = total_of(notebooks, points)
    parts = [_header(student.name, f"{reached:g} of {possible:g} points")]
    parts += [f"<p>{_text(reason)}</p>" for reason in absent]
    for notebook in notebooks:
        parts.append(f"<h2>{_text(notebook.topic.title)}: {_text(notebook.summary)}</h2>")
        parts.append(_list([_text(note) for note in [f"Judged: {notebook.path}", *notebook.notes]]))
        for task in notebook.topic.tasks:
            parts.append(_exercise(notebook, task, points[notebook.topic.name, task.name]))
    return html_page(f"Feedback for {student.name}", "\n".join(parts), "report", _STYLE)


def _exercise(notebook: Judged, task: Task, worth: float) -> str:
    """Return an exercise of a student's page: the verdict in the check's own words, remarks, the code."""
    answer, result = notebook.answers[task.name], notebook.results[task.name]
    kind = result["kind"]
    reached = worth if kind == "right" else 0
    shown = Feedback(
        {"missing": "wrong", "ended": "wrong"}.get(kind, kind), _TITLES[kind], result["text"]
    )._repr_html_()
    remarks = _list([_text(text) for text in [*answer.remarks, *result["errors"]]])
    code = "\n\n".join(answer.cells)
    judged = f"<details><summary>The code that was judged</summary>{_code(code)}</details>" if code else ""
    head = f"<h3>{_coded(task.title)} <small>{task.name}, {reached:g} of {worth:g}</small></h3>"
    return f"{head}\n{shown}{remarks}{judged}"


def _class_page(
    result: ClassResult, students: dict[Student, list[Judged]], names: dict[Student, str], points: Points
) -> str:
    topics = topics_of(result)
    counted = f"{len(students)} students, {len(result.notebooks)} notebooks judged"
    parts = [_header("What the class handed in", f"{counted} by kerascv_course {__version__}")]
    if result.problems:
        lines = [f"<b>{_text(problem.where)}</b>: {_text(problem.why)}" for problem in result.problems]
        parts += ["<h2>To settle by hand</h2>", _list(lines)]
    for topic in topics:
        parts.append(_topic_section(topic, [each for each in result.notebooks if each.topic == topic]))
    parts.append(_to_look_at(result, names))
    parts += ["<h2>Who is done</h2>", _students_table(topics, students, names, points)]
    return html_page("What the class handed in", "\n".join(filter(None, parts)), "report class", _STYLE)


def _topic_section(topic: Topic, notebooks: list[Judged]) -> str:
    """Return how the class did in one notebook: counts of each exercise, and its most frequent wrong answers."""
    rows, frequent = [], []
    for number, task in enumerate(topic.tasks, start=1):
        results = [notebook.results[task.name] for notebook in notebooks]
        counts = Counter(each["kind"] for each in results)
        cells = "".join(f'<td class="number">{counts[kind] or ""}</td>' for kind in LABELS)
        share = f"{counts['right'] / len(results):.0%}"
        rows.append(f'<tr><td>{number}. {_coded(task.title)}</td>{cells}<td class="number">{share}</td></tr>')
        said: dict[str, list[str]] = defaultdict(list)
        for each in results:
            if each["kind"] not in ("right", "to do"):
                said[each["errors"][0] if each["errors"] and each["kind"] == "missing" else each["text"]].append(
                    each["answer"]
                )
        lines = []
        for text, answers in sorted(said.items(), key=lambda item: -len(item[1]))[:_MOST_FREQUENT]:
            given = Counter(filter(None, answers)).most_common(3)
            examples = ", ".join(f"<code>{_text(answer, 80)}</code>" for answer, _ in given)
            lines.append(f"{len(answers)} × {_coded(text)}{f' Answered: {examples}' if examples else ''}")
        if lines:
            frequent.append(f"<h3>{number}. {_coded(task.title)}</h3>{_list(lines)}")
    heads = "".join(f'<th class="number">{label}</th>' for label in LABELS.values())
    table = f'<table><tr><th>Exercise</th>{heads}<th class="number">share right</th></tr>{"".join(rows)}</table>'
    title = f"<h2>{_text(topic.title)}: {len(notebooks)} handed in</h2>"
    wrong = f"<h3>The most frequent wrong answers</h3>{''.join(frequent)}".replace("h3>", "h4>")
    return f'{title}<div class="scroll">{table}</div>{wrong if frequent else ""}'


def _to_look_at(result: ClassResult, names: dict[Student, str]) -> str:
    """Return the list of notebooks with remarks, with the code that was left out."""
    parts = []
    for notebook in result.notebooks:
        remarks = remarks_of(notebook)
        code = {number: text for answer in notebook.answers.values() for number, text in answer.elsewhere.items()}
        if remarks:
            cells = "".join(f"<p>Cell {number}:</p>{_code(text)}" for number, text in sorted(code.items()))
            title = f"{_link(notebook.student, names)}, {notebook.topic.name}: {len(remarks)} remarks"
            parts.append(
                f"<details><summary>{title}</summary>{_list([_coded(text) for text in remarks])}{cells}</details>"
            )
    return "\n".join(["<h2>To look at</h2>", *parts]) if parts else ""


def _students_table(
    topics: list[Topic], students: dict[Student, list[Judged]], names: dict[Student, str], points: Points
) -> str:
    groups = "".join(f'<th colspan="{len(topic.tasks)}">{topic.name}</th>' for topic in topics)
    numbers = "".join(
        f'<th class="number" title="{_text(task.title)}">{number}</th>'
        for topic in topics
        for number, task in enumerate(topic.tasks, start=1)
    )
    rows = []
    for student, notebooks in students.items():
        of_topic = {notebook.topic.name: notebook for notebook in notebooks}
        marks = [
            _mark(of_topic[topic.name].results[task.name]["kind"]) if topic.name in of_topic else "<td></td>"
            for topic in topics
            for task in topic.tasks
        ]
        reached, possible = total_of(notebooks, points)
        score = f'<td class="number">{reached:g} of {possible:g}</td>'
        rows.append(f"<tr><td>{_link(student, names)} {_text(student.id)}</td>{score}{''.join(marks)}</tr>")
    head = f"<tr><th></th><th></th>{groups}</tr><tr><th>Student</th><th>Points</th>{numbers}</tr>"
    legend = ", ".join(f"{sign} {LABELS[kind]}" for kind, sign in _SIGNS.items())
    return f'<p><small>{legend}</small></p><div class="scroll"><table>{head}{"".join(rows)}</table></div>'


def _mark(kind: str) -> str:
    return f'<td class="mark {kind.replace(" ", "")}" title="{LABELS[kind]}">{_SIGNS[kind]}</td>'


def _link(student: Student, names: dict[Student, str]) -> str:
    return f'<a href="feedback/{quote(names[student])}">{_text(student.name)}</a>'


def _header(title: str, line: str) -> str:
    return f"<header><h1>{_text(title)}</h1><p>{_text(line)}</p></header>"


def _list(lines: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>" if lines else ""


def _code(text: str) -> str:
    return f'<pre class="code">{_text(text, _LONGEST_CODE)}</pre>'


def _coded(text: str) -> str:
    """Return text as HTML, with what stands between backticks as code."""
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", _text(text))


def _text(text: str, most: int = 1_000) -> str:
    """Return text as HTML, cut where it is long."""
    return html.escape(text if len(text) <= most else f"{text[:most]}...")
