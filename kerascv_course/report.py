"""The report of a project as one HTML page: summary, tables and figures in one file that needs nothing more.

It opens in any browser and prints on A4, the summary on a page of its own.
"""

import base64
import datetime
import html
import io
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerascv_course._pages import html_page, safe_html
from kerascv_course._tables import Layout, Table
from kerascv_course._validation import describe, input_error
from kerascv_course.evaluation import calibration, classification_report, confident_mistakes, roc_curves
from kerascv_course.evaluation import confusion_matrix as count_confusions
from kerascv_course.evaluation.decisions import read_decisions

_FUNCTION = "write_report"
_MOST_CLASSES = 24  # in a figure that is to be read on A4
_MISTAKES = 8
_DOTS_PER_INCH = 192


def write_report(
    path: str | os.PathLike[str],
    title: str,
    sections: Mapping[str, Any],
    *,
    authors: str | Sequence[str],
    date: str | datetime.date,
    summary: Any,
) -> Path:
    """Write the report of a project as one self-contained HTML page.

    A file of that name is replaced: made again with new results, the report is the new one.

    What the summary and the sections hold, alone or in a list:

    * a string: a paragraph; an empty line starts another one. It is shown as it is, not as HTML or Markdown.
    * a figure of Matplotlib, as the functions of `plotting` return them.
    * a table: what shows itself as one in a notebook (`classification_report(...)`, a pandas frame), a list of
      dictionaries with a row each, or one dictionary with a line for each name and value. Of the HTML of others
      nothing stays that runs or loads something: no script, no style sheet, no picture but one that it contains.
    * a pair (figure or table, caption). The captions are numbered. Describe in that of a figure what is seen: it
      is read out to those who do not see it.

    In place of what cannot be shown, whatever it is, the page says why, and a warning says so too.

    Args:
        path: Where to write, a name that ends in ".html"; its folder is made where there is none.
        title: Title of the project.
        sections: By heading, in their order, what each section holds.
        authors: Who wrote it: a name or several.
        date: The date to print on it.
        summary: The question, the answer and the figures that matter, in half a page: it comes first, and prints
            on a page of its own. For a report of one page put all into it, and pass no sections: `{}`.

    Returns:
        The path of the page.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the path is no name of an HTML file.

    Example:
        >>> import tempfile
        >>> rows = [{"network": "LeNet-5", "accuracy": 0.54}, {"network": "TinyNet", "accuracy": 0.61}]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = write_report(
        ...         f"{folder}/report.html",
        ...         "Which network tells the parcels apart?",
        ...         {"Results": ["Both saw the same images.", (rows, "Accuracy on the test images.")]},
        ...         authors="A. Student",
        ...         date="12 May 2026",
        ...         summary="TinyNet does.",
        ...     )
        ...     page.name, "Table 1. Accuracy on the test images." in page.read_text(encoding="utf-8")
        ('report.html', True)
    """
    target = _check_path(path)
    names = [authors] if isinstance(authors, str) else authors
    are_names = isinstance(names, list | tuple) and names and all(isinstance(name, str) for name in names)
    are_sections = isinstance(sections, Mapping) and all(isinstance(heading, str) for heading in sections)
    for argument, value, is_right, rule in (
        ("title", title, isinstance(title, str), "a string"),
        ("date", date, isinstance(date, str | datetime.date), "a string or a `datetime.date`"),
        ("authors", authors, are_names, "a name or a list of names"),
        ("sections", sections, are_sections, "a dictionary with what each section holds, by its heading"),
    ):
        if not is_right:
            raise input_error(_FUNCTION, argument, rule, value, error=TypeError)
    counts = {"Figure": 0, "Table": 0}
    parts = [f'<section class="summary">\n{_contents("summary", summary, counts)}</section>']
    for heading, contents in sections.items():
        body = _contents(f"sections[{heading!r}]", contents, counts)
        parts.append(f"<section>\n<h2>{html.escape(heading)}</h2>\n{body}</section>")
    byline = html.escape(f"{', '.join(names)} · {date}")
    header = f"<header>\n<h1>{html.escape(title)}</h1>\n<p>{byline}</p>\n</header>"
    text = html_page(title, "\n".join([header, *parts]), "report")
    target.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    return target


def evaluation_section(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str] | None = None,
    *,
    images: np.ndarray | None = None,
) -> list[Any]:
    """Make a section of `write_report` from what a model said of images with known classes.

    Args:
        labels: True classes, integers from 0, shape (images,).
        probabilities: What `model.predict` returned: (images, classes), from 0 to 1. One column, or an array
            (images,), is the probability of class 1 of two.
        class_names: One name per class, two where there is one column; by default "class 0" and so on.
        images: The images in the same order, as `plotting.plot_images` takes them. With them the section shows the
            8 mistakes for which the model gave the highest probability.

    Returns:
        What the section holds: a sentence, the table of the classes, confusion matrix, ROC curves, calibration and
        mistakes. Of more than 24 classes there are neither matrix nor curves.

    Raises:
        TypeError: If an array has the wrong dtype, or the names are no strings.
        ValueError: If labels, probabilities, names or images do not fit each other.

    Example:
        >>> probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
        >>> section = evaluation_section(np.array([0, 0, 1]), probabilities, ["cat", "dog"])
        >>> section[0]
        'Of 3 images 2 were classified correctly (66.7%). The most frequent confusion: cat taken for dog, 1 of 2.'
    """
    from kerascv_course import plotting

    found = read_decisions("evaluation_section", labels, probabilities, class_names)
    if images is not None and (not hasattr(images, "__len__") or len(images) != len(found.truth)):
        rule = f"{len(found.truth)} images, one for each label"
        raise input_error("evaluation_section", "images", rule, images)
    report = classification_report(labels, probabilities, class_names)
    matrix = count_confusions(labels, probabilities)
    contents: list[Any] = [_in_words(matrix, found.names), (report, "Precision, recall and F1 of each class.")]
    if len(found.names) <= _MOST_CLASSES:
        counted = "how many images of each class (rows) were taken for which class (columns)"
        contents.append((plotting.plot_confusion_matrix(matrix, found.names), f"Confusion matrix: {counted}."))
        curves = plotting.plot_roc_curves(roc_curves(labels, probabilities, found.names))
        contents.append((curves, "ROC curves: each class against the rest, with the area under the curve."))
    measured = calibration(labels, probabilities)
    mean = f"On average the model was {measured.confidence:.1%} sure and {measured.accuracy:.1%} right."
    contents.append((plotting.plot_calibration_curve(measured), f"Calibration: accuracy over confidence. {mean}"))
    mistakes = confident_mistakes(labels, probabilities, class_names, count=_MISTAKES)
    if images is not None and mistakes.rows:
        wrong = [images[index] for index in mistakes.indices]
        shown = plotting.plot_images(wrong, titles=mistakes.titles, columns=4)
        contents.append((shown, "The mistakes for which the model gave the highest probability."))
    return contents


def _in_words(matrix: np.ndarray, names: list[str]) -> str:
    images, right = int(matrix.sum()), int(np.trace(matrix))
    sentence = f"Of {images:,} images {right:,} were classified correctly ({right / images:.1%})."
    wrong = matrix - np.diag(np.diag(matrix))
    if not wrong.any():
        return sentence
    true, taken = np.unravel_index(wrong.argmax(), wrong.shape)
    counts = f"{wrong[true, taken]:,} of {matrix[true].sum():,}"
    return f"{sentence} The most frequent confusion: {names[true]} taken for {names[taken]}, {counts}."


# From contents to HTML


def _contents(argument: str, contents: Any, counts: dict[str, int]) -> str:
    """Return what a section holds as HTML; a list of rows is one table."""
    is_list = isinstance(contents, list | tuple) and not _is_rows(contents) and not _is_pair(contents)
    return "".join(_shown(argument, item, counts) for item in (contents if is_list else [contents]))


def _shown(argument: str, item: Any, counts: dict[str, int]) -> str:
    """Return an item as HTML, or the reason why it cannot be shown: the others are worth having."""
    try:
        return _item(item, counts)
    except Exception as error:  # whatever the objects of others do
        try:
            reason = f"{type(error).__name__}: {error}"
        except Exception:  # not even that
            reason = type(error).__name__
    note = f"{type(item[0] if _is_pair(item) else item).__name__} cannot be shown. {reason[:300]}"
    warnings.warn(f"`{_FUNCTION}`, `{argument}`: {note}", stacklevel=4)
    return f"<p>{html.escape(note)}</p>\n"


def _item(item: Any, counts: dict[str, int]) -> str:
    if isinstance(item, str):
        paragraphs = [part.strip() for part in re.split(r"\n\s*\n", item) if part.strip()]
        return "".join(f"<p>{html.escape(paragraph)}</p>\n" for paragraph in paragraphs)
    item, caption = item if _is_pair(item) else (item, "")
    is_figure = hasattr(item, "savefig")
    body = _picture(item, caption) if is_figure else _table(item)
    if not caption:
        return f"<figure>\n{body}\n</figure>\n"
    kind = "Figure" if is_figure else "Table"
    counts[kind] += 1
    text = f"<figcaption>{kind} {counts[kind]}. {html.escape(caption)}</figcaption>"
    return f"<figure>\n{body}\n{text}\n</figure>\n" if is_figure else f"<figure>\n{text}\n{body}\n</figure>\n"


def _is_pair(item: Any) -> bool:
    """Tell whether this is something with its caption."""
    is_two = isinstance(item, tuple) and len(item) == 2
    return is_two and isinstance(item[1], str) and not isinstance(item[0], str)


def _is_rows(item: Any) -> bool:
    return isinstance(item, list | tuple) and bool(item) and all(isinstance(row, Mapping) for row in item)


def _picture(figure: Any, caption: str) -> str:
    file = io.BytesIO()
    # Without the name of the program, which is an address, the same figure gives the same page.
    figure.savefig(file, format="png", dpi=_DOTS_PER_INCH, facecolor="white", metadata={"Software": None})
    data = base64.b64encode(file.getvalue()).decode("ascii")
    alt = html.escape(" ".join(filter(None, [caption, _described(figure)])))
    width = f"{figure.get_figwidth():.2f}in"
    return f'<img alt="{alt}" src="data:image/png;base64,{data}" style="width: {width}">'


def _described(figure: Any) -> str:
    """Return in words what a figure is headed with and what its axes show."""
    words = [figure.get_suptitle()]
    for axis in figure.axes:
        labels = " over ".join(filter(None, [axis.get_ylabel(), axis.get_xlabel()]))
        words.append(": ".join(filter(None, [axis.get_title(), labels])))
    texts = [" ".join(text.split()) for text in dict.fromkeys(words) if text]
    return f"{'; '.join(texts)}." if texts else ""


def _table(item: Any) -> str:
    if isinstance(item, Mapping):
        lines = "".join(
            f'<tr><th scope="row" style="text-align: left">{html.escape(str(name))}</th>'
            f"<td>{html.escape(_written(value))}</td></tr>"
            for name, value in item.items()
        )
        return f"<table><tbody>{lines}</tbody></table>"
    if _is_rows(item):
        header = list(item[0])
        for row in item:
            if list(row) != header:
                raise ValueError(f"The columns are {header} in one row, {list(row)} in another.")
        body = [[_written(row[name]) for name in header] for row in item]
        return Layout([str(name) for name in header], body).html()
    if isinstance(item, Table):
        return item._repr_html_()
    if callable(getattr(item, "_repr_html_", None)) and not isinstance(item, type):
        text = item._repr_html_()
        if not isinstance(text, str):
            raise TypeError(f"Its `_repr_html_` returned {describe(text)}, no string.")
        text = safe_html(text)
        if "<img" in text or re.sub(r"<[^>]*>", "", text).strip():
            return text
        return f"<p>{type(item).__name__}: nothing of it is left without scripts and addresses from outside.</p>"
    raise TypeError("A report is made of strings, figures, tables and pairs of one of these with a caption.")


def _written(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def _check_path(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise input_error(_FUNCTION, "path", "the name of a file", path, error=TypeError)
    target = Path(path)
    if target.suffix.lower() not in (".html", ".htm") or target.is_dir():
        raise input_error(_FUNCTION, "path", "the name of a file that ends in '.html'", str(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    return target
