"""The report: one file, nothing from outside, every text as it was written, every figure with its words."""

import base64
import datetime
import io
import re
import warnings
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from kerascv_course.evaluation import classification_report
from kerascv_course.report import evaluation_section, write_report

RNG = np.random.default_rng(0)
LABELS = np.arange(30) % 3
SCORES = RNG.dirichlet(np.ones(3), 30)
NAMES = ["cat", "dog", "<emu>"]
HOSTILE = '<script>alert("1 & 2")</script>'


class Page(HTMLParser):
    """What a browser would make of a page: its elements, their texts, and whether all are closed in order."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self.open[-1], data.strip()))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def said(self, *tags):
        return [text for tag, text in self.texts if tag in tags]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def page(tmp_path, sections, **options):
    given = {"title": "A title", "authors": "A. Student", "date": "12 May 2026", "summary": "In short."}
    options = {**given, **options}
    title = options.pop("title")
    path = write_report(tmp_path / "report.html", title, sections, **options)
    return Page(path.read_text(encoding="utf-8"))


def figure():
    drawn, axis = plt.subplots(figsize=(3, 2))
    axis.plot([1, 2])
    axis.set(xlabel="epoch", ylabel="loss", title="one & two")
    return drawn


@pytest.mark.smoke
def test_the_page_reads_title_authors_date_summary_and_then_the_sections(tmp_path):
    found = page(
        tmp_path,
        {"Data": "Ten images.", "Results": ["First.\n\nSecond.", "Third."]},
        authors=["A. Student", "B. Student"],
        date=datetime.date(2026, 5, 12),
    )
    assert found.said("title", "h1", "h2", "p") == [
        "A title",
        "A title",
        "A. Student, B. Student · 2026-05-12",
        "In short.",
        "Data",
        "Ten images.",
        "Results",
        "First.",
        "Second.",
        "Third.",
    ]


def test_a_report_of_one_page_is_a_summary_without_sections(tmp_path):
    found = page(tmp_path, {}, summary=["In short.", {"accuracy": 0.5}, (figure(), "Loss falls.")])
    assert len(found.all("section")) == len(found.all("img")) == len(found.all("table")) == 1


def test_no_text_becomes_html(tmp_path):
    rows = [{HOSTILE: HOSTILE}]
    found = page(
        tmp_path,
        {HOSTILE: [HOSTILE, (rows, HOSTILE), {HOSTILE: HOSTILE}, (figure(), HOSTILE)]},
        title=HOSTILE,
        authors=HOSTILE,
        date=HOSTILE,
        summary=HOSTILE,
    )
    assert found.all("script") == []
    assert sum(HOSTILE in text for _, text in found.texts) == 12
    assert HOSTILE in found.all("img")[0]["alt"]


def test_a_figure_is_embedded_at_its_size_with_its_words(tmp_path):
    found = page(tmp_path, {"Results": [(figure(), "Loss falls."), figure(), (figure(), "Again.")]})
    first, second, _ = found.all("img")
    assert first["alt"] == "Loss falls. one & two: loss over epoch."
    assert second["alt"] == "one & two: loss over epoch."
    assert "width: 3.00in" in first["style"]
    kind, data = first["src"].split(",")
    assert kind == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (576, 384)
    assert found.said("figcaption") == ["Figure 1. Loss falls.", "Figure 2. Again."]


def test_tables_come_from_records_rows_and_pairs_of_name_and_value(tmp_path):
    report = classification_report(LABELS, SCORES, NAMES)
    rows = [{"network": "LeNet", "weights": 61706, "accuracy": 0.512345, "norm": False, "note": None}]
    found = page(tmp_path, {"A": (report, "Classes."), "B": rows, "C": {"images": 1234}, "D": [rows, rows]})
    assert len(found.all("table")) == 5
    assert "<emu>" in found.said("td")
    assert found.said("td").count("61,706") == 3
    assert {"0.5123", "no", "–", "1,234"} <= set(found.said("td"))
    assert found.said("figcaption") == ["Table 1. Classes."]


def test_a_pandas_frame_is_a_table(tmp_path):
    pandas = pytest.importorskip("pandas")
    found = page(tmp_path, {"A": pandas.DataFrame({"accuracy": [0.5], "name": [HOSTILE]})})
    assert "accuracy" in found.said("th")
    assert HOSTILE in found.said("td")


def test_a_page_needs_nothing_from_outside(tmp_path):
    path = write_report(
        tmp_path / "report.html",
        "A title",
        {"Evaluation": evaluation_section(LABELS, SCORES, NAMES, images=np.zeros((30, 8, 8), "uint8"))},
        authors="A. Student",
        date="today",
        summary={"accuracy": 0.5},
    )
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"https?:|<link|<script|<iframe|@import|url\(", text) == []
    for image in Page(text).all("img"):
        assert image["src"].startswith("data:image/png;base64,")
        assert b"http" not in base64.b64decode(image["src"].split(",")[1])


def test_the_same_results_give_the_same_page_and_a_new_one_replaces_the_old(tmp_path):
    path = tmp_path / "report.html"
    texts = []
    for summary in ("One.", "One.", "Two."):
        options = {"authors": "A", "date": "today", "summary": summary}
        assert write_report(str(path), "A title", {"A": figure()}, **options) == path
        texts.append(path.read_bytes())
    assert texts[0] == texts[1]
    assert b"Two." in texts[2]
    assert b"One." not in texts[2]


# ------------------------------------------------------------------------------------- the evaluation section
@pytest.mark.smoke
def test_the_section_has_a_sentence_a_table_matrix_curves_calibration_and_mistakes():
    section = evaluation_section(LABELS, SCORES, NAMES, images=np.zeros((30, 8, 8, 3), "uint8"))
    predicted = SCORES.argmax(axis=1)
    assert section[0].startswith(f"Of 30 images {(predicted == LABELS).sum()} were classified correctly")
    assert [caption.split()[0].rstrip(":") for _, caption in section[1:]] == [
        "Precision,",
        "Confusion",
        "ROC",
        "Calibration",
        "The",
    ]
    assert len(section[-1][0].axes) == 8
    assert len({axis.get_position().x0 for axis in section[-1][0].axes}) == 4  # in two rows
    sure, right = SCORES.max(axis=1).mean(), (predicted == LABELS).mean()
    assert section[4][1].endswith(f"On average the model was {sure:.1%} sure and {right:.1%} right.")
    assert section[0].startswith(
        f"Of 30 images {(predicted == LABELS).sum()} were classified correctly ({right:.1%})"
    )
    wrong = np.flatnonzero(predicted != LABELS)
    surest = wrong[SCORES[wrong].max(axis=1).argmax()]
    title = section[-1][0].axes[0].get_title().replace("\n", " ")
    assert title.startswith(f"{NAMES[LABELS[surest]]}, taken for {NAMES[predicted[surest]]}")


def test_without_images_or_mistakes_none_are_shown():
    assert len(evaluation_section(LABELS, SCORES)) == 5
    right = evaluation_section(LABELS, np.eye(3)[LABELS], images=np.zeros((30, 8, 8), "uint8"))
    assert len(right) == 5
    assert right[0] == "Of 30 images 30 were classified correctly (100.0%)."


def test_the_most_frequent_confusion_is_named():
    section = evaluation_section(np.array([0, 0, 0, 1, 2]), np.eye(3)[[1, 1, 0, 0, 2]], NAMES)
    assert section[0].endswith("The most frequent confusion: cat taken for dog, 2 of 3.")


def test_of_many_classes_there_is_the_table_alone_and_the_calibration():
    section = evaluation_section(np.arange(25), np.eye(25))
    assert len(section[1][0].rows) == 25
    assert len(section) == 3


def test_one_column_of_two_classes_is_taken():
    assert len(evaluation_section(np.array([0, 1]), np.array([[0.2], [0.4]]), ["cat", "dog"])) == 5


# ------------------------------------------------------------------------------------------------- bad input
class Foreign:
    """A table that is not the package's own."""

    def __init__(self, text):
        self.text = text

    def _repr_html_(self):
        return self.text


RUNS = "alert(1)"
ELSEWHERE = "//example.org/a"


@pytest.mark.parametrize(
    "text",
    [
        f"<script>{RUNS}</script>",
        f"<SCRIPT SRC={ELSEWHERE}></SCRIPT>",
        f'<img src=x onerror="{RUNS}">',
        f'<img src="https:{ELSEWHERE}" srcset="https:{ELSEWHERE} 2x">',
        f"<img src={ELSEWHERE}>",
        '<img src="data:text/html;base64,AAAA">',
        f'<a href="javascript:{RUNS}">a</a>',
        f'<a href=" java\nscript:{RUNS}">a</a>',
        f'<a href="data:text/html,<script>{RUNS}</script>">a</a>',
        f'<iframe srcdoc="<script>{RUNS}</script>"></iframe>',
        f"<style>@import '{ELSEWHERE}'; td {{ background: url({ELSEWHERE}) }}</style>",
        f'<p style="background: url({ELSEWHERE})">p</p><p style="cursor: u\\72l({ELSEWHERE})">p</p>',
        f"<link rel=stylesheet href={ELSEWHERE}><base href={ELSEWHERE}>",
        f'<meta http-equiv=refresh content="0;url={ELSEWHERE}">',
        f"<svg onload={RUNS}><script>{RUNS}</script><image href={ELSEWHERE}></svg>",
        f'<math><mi xlink:href="javascript:{RUNS}">x</mi></math>',
        f"<object data={ELSEWHERE}></object><embed src={ELSEWHERE}><video poster={ELSEWHERE}></video>",
        f'<form action={ELSEWHERE}><button formaction="javascript:{RUNS}">k</button></form>',
        f"<table background={ELSEWHERE}><tr><td>l</td></tr></table>",
        f"<style><img src=x onerror={RUNS}></style><!-- {RUNS} -->",
        f'<a href="&#106;&#x61;vascript&colon;{RUNS}">a</a><A HREF="JaVaScRiPt:{RUNS}">a</A>',
        f'<a href="java&Tab;script:{RUNS}">a</a><a href="\x01javascript:{RUNS}">a</a>',
        f'<p style="cursor: image-set(\'{ELSEWHERE}\' 1x)">p</p><p style="cursor: u/**/rl({ELSEWHERE})">p</p>',
        f'<p style="color: red; @import \'{ELSEWHERE}\'">p</p><p style="width: expression({RUNS})">p</p>',
        f"<picture><source srcset={ELSEWHERE}><img/src={ELSEWHERE}></picture><audio src={ELSEWHERE}></audio>",
        f"<img src='data:image/svg+xml,<svg onload={RUNS}>'><input type=image src={ELSEWHERE} onfocus={RUNS}>",
        f'<details open ontoggle="{RUNS}"><summary>s</summary></details><frameset onload={RUNS}></frameset>',
        f"<noscript><p title='</noscript><img src=x onerror={RUNS}>'></noscript>",
        f"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror={RUNS}&gt;'>",
    ],
)
def test_of_the_html_of_others_nothing_runs_and_nothing_is_loaded(tmp_path, text):
    found = page(tmp_path, {"A": Foreign(f"<table><tr><td>kept</td></tr></table>{text}")})
    assert "kept" in found.said("td")
    tags = {tag for tag, _ in found.elements}
    assert tags.isdisjoint({"script", "iframe", "svg", "math", "object", "embed", "video", "form", "link", "base"})
    assert len(found.all("style")) == 1
    for _, attributes in found.elements:
        assert not any(name.startswith("on") or name == "srcdoc" for name in attributes)
        values = [str(value) for name, value in attributes.items() if name not in ("content", "class")]
        assert not any(ELSEWHERE in value or RUNS in value or "data:text" in value for value in values)
    assert not any(RUNS in said or "@import" in said for said in found.said("td", "p", "figure", "div"))


def test_what_only_looks_like_an_address_embedded_pictures_and_colours_stay(tmp_path):
    harmless = "src=https://example.org"
    picture = "data:image/svg+xml;base64,PHN2Zy8+"
    cell = f'<td style="color: rgb(9, 8, 7)">{harmless} &lt;script&gt;</td>'
    text = f'<table><tr>{cell}</tr></table><img src="{picture}">'
    found = page(tmp_path, {"A": Foreign(text), "B": Foreign('<a href="https://keras.io">Keras</a>')})
    assert f"{harmless} <script>" in found.said("td")
    assert found.all("td")[0]["style"] == "color: rgb(9, 8, 7);"
    assert found.all("img")[0]["src"] == picture
    assert found.all("a")[0]["href"] == "https://keras.io"


def test_an_object_of_which_nothing_is_left_is_named(tmp_path):
    found = page(tmp_path, {"A": Foreign("<script>1</script><div></div>")})
    assert "Foreign: nothing of it is left without scripts and addresses from outside." in found.said("p")


class Raises:
    def _repr_html_(self):
        raise RuntimeError("the file is closed")


class Closed:
    def savefig(self, file, **options):
        raise ValueError("the figure is closed")


class Silent:
    def _repr_html_(self):
        raise Silence


class Silence(Exception):  # noqa: N818
    def __str__(self):
        raise self


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (Raises(), "Raises cannot be shown. RuntimeError: the file is closed"),
        ((Raises(), "A caption."), "Raises cannot be shown. RuntimeError: the file is closed"),
        (Silent(), "Silent cannot be shown. Silence"),
        (Foreign(None), "Foreign cannot be shown. TypeError: Its `_repr_html_` returned None, no string."),
        (Foreign(b"<p>"), "Foreign cannot be shown. TypeError: Its `_repr_html_` returned b'<p>', no string."),
        ((Closed(), "A caption."), "Closed cannot be shown. ValueError: the figure is closed"),
        (3, "int cannot be shown. TypeError: A report is made of strings, figures, tables and pairs"),
        (None, "NoneType cannot be shown. TypeError: A report is made of"),
        (classification_report, "function cannot be shown. TypeError: A report is made of"),
        ([{"a": 1}, {"b": 1}], "list cannot be shown. ValueError: The columns are ['a'] in one row, ['b'] in"),
        ({"b": type("Odd", (), {"__str__": lambda self: 1})()}, "dict cannot be shown. TypeError"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_loses_itself_alone_and_says_why(tmp_path, item, words):
    with pytest.warns(UserWarning, match=r"`write_report`, `sections\['A'\]`: .* cannot be shown"):
        found = page(tmp_path, {"A": ["Before.", item, (figure(), "After.")], "B": "End."})
    texts = found.said("p", "figcaption")
    assert texts[texts.index("Before.") + 1].startswith(words)
    assert texts[-2:] == ["Figure 1. After.", "End."]


def test_letters_that_are_no_text_are_spelled_out(tmp_path):
    name = "caf\udce9"
    section = evaluation_section(LABELS, SCORES, ["cat", "dog", name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of figures that Matplotlib cannot draw with it
        found = page(tmp_path, {name: [name, {name: name}, Foreign(f"<p>{name}</p>"), *section]}, title=name)
    assert found.said("title", "h1", "h2") == [r"caf\udce9"] * 3
    assert r"caf\udce9" in found.said("td")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"title": 3}, TypeError, "`title` of `write_report` must be a string"),
        ({"date": 2026}, TypeError, "`date` of `write_report` must be a string or a `datetime.date`"),
        ({"authors": []}, TypeError, "`authors` of `write_report`"),
        ({"sections": ["A"]}, TypeError, "`sections` of `write_report` must be a dictionary"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(tmp_path, options, error, words):
    with pytest.raises(error, match=words):
        page(tmp_path, **{"sections": {"A": "b"}, **options})
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_no_page_is_refused(tmp_path):
    options = {"authors": "A", "date": "today", "summary": "S"}
    for path, error, words in (
        (3, TypeError, "`path` of `write_report` must be the name of a file"),
        (tmp_path / "report.pdf", ValueError, "ends in '.html'"),
    ):
        with pytest.raises(error, match=words):
            write_report(path, "T", {"A": "b"}, **options)
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(ValueError, match="name of a file"):
        write_report(tmp_path / "folder.html", "T", {"A": "b"}, **options)


def test_images_that_are_not_as_many_as_labels_are_refused():
    with pytest.raises(ValueError, match="`images` of `evaluation_section` must be 30 images"):
        evaluation_section(LABELS, SCORES, images=np.zeros((3, 8, 8), "uint8"))
    with pytest.raises(ValueError, match="`labels` of `evaluation_section`"):
        evaluation_section(LABELS + 1, SCORES)
