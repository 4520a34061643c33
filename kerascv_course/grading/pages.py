"""The pages: one for the teacher, and one of feedback for each student, from the templates beside this file."""

import html
import os
import re
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from kerascv_course import __version__
from kerascv_course._pages import html_page
from kerascv_course.exercises.sheet import Feedback
from kerascv_course.grading.judging import ClassResult, Judged
from kerascv_course.grading.marks import LABELS, Points, page_names, remarks_of, topics_of, total_of
from kerascv_course.grading.topics import Task

_SIGNS = {"right": "✓", "wrong": "✗", "to do": "–", "missing": "○", "ended": "!"}
_TITLES = {"right": "Right", "wrong": "Not yet", "to do": "To do", "missing": "No answer", "ended": "Ended"}
_MOST_FREQUENT = 5


def write_pages(result: ClassResult, folder: str | os.PathLike[str], points: Points) -> Path:
    """Write the teacher's page, `class.html`, and `feedback/NAME.html` for each student.

    Args:
        result: What `grade` returned.
        folder: Where to.
        points: What `read_points` returned.

    Returns:
        The teacher's page.

    Example:
        >>> import tempfile
        >>> from kerascv_course.grading.marks import read_points
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_pages(ClassResult([]), folder, read_points()).name
        'class.html'
    """
    here = Path(__file__).parent
    pages = jinja2.Environment(loader=jinja2.FileSystemLoader(here), autoescape=True, trim_blocks=True)
    pages.filters |= {"coded": _coded, "quote": quote, "cut": lambda text, most: text[:most]}
    names = page_names(result.students)
    known: dict[str, Any] = {"labels": LABELS, "signs": _SIGNS, "total_of": partial(total_of, points=points)}
    known |= {"points": points, "remarks_of": remarks_of, "verdict": _verdict, "version": __version__}
    known |= {"names": names, "result": result, "frequent": _frequent, "counts": _counts}
    style = (here / "grading.css").read_text(encoding="utf-8")

    def write(path: Path, title: str, template: str, kind: str, **values: Any) -> None:
        body = pages.get_template(template).render(known | values)
        text = html_page(title, body, kind, style)
        path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")

    urgent = {
        id(n): sum(bool(each.flags or each.elsewhere) for each in n.answers.values()) for n in result.notebooks
    }
    known["to_look_at"] = sorted(result.notebooks, key=lambda notebook: -urgent[id(notebook)])
    page = Path(folder) / "class.html"
    (page.parent / "feedback").mkdir(parents=True, exist_ok=True)
    for student, notebooks in result.students.items():
        path, title = page.parent / "feedback" / known["names"][student], f"Feedback for {student.name}"
        write(path, title, "feedback.html", "report", student=student, notebooks=notebooks)
    write(page, "What the class handed in", "class.html", "report class", topics=topics_of(result))
    return page


def _verdict(result: dict[str, Any]) -> Markup:
    """Return what a check said, as the notebook shows it."""
    kind = result["kind"] if result["kind"] in ("right", "to do") else "wrong"
    return Markup(Feedback(kind, _TITLES[result["kind"]], result["text"])._repr_html_())


def _counts(notebooks: list[Judged], task: Task) -> Counter[str]:
    return Counter(notebook.results[task.name]["kind"] for notebook in notebooks)


def _frequent(notebooks: list[Judged], task: Task) -> list[tuple[int, str, list[str]]]:
    """Return what is wrong most often: how often, in whose words, and some answers."""
    answers: dict[str, list[str]] = defaultdict(list)
    for result in (notebook.results[task.name] for notebook in notebooks):
        if result["kind"] not in ("right", "to do"):
            said = [*result["errors"], result["text"]] if result["kind"] == "missing" else [result["text"]]
            answers[said[0]].append(result["answer"])
    most = sorted(answers.items(), key=lambda item: -len(item[1]))[:_MOST_FREQUENT]
    return [(len(each), said, list(dict(Counter(filter(None, each)).most_common(3)))) for said, each in most]


def _coded(text: str) -> Markup:
    """Return text as HTML, cut where it is long, with what stands between backticks as code."""
    shown = html.escape(text if len(text) <= 1_000 else f"{text[:1_000]}...")
    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", shown))
