"""The site: its index names every notebook, and a link that leads nowhere or outside is found."""

import re
from importlib import resources

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from pygments.styles import get_style_by_name
from pygments.token import Whitespace

from publishing import make_site

BADGE = "https://colab.research.google.com/github/OWNER/NAME/blob/main/x.ipynb"


def test_the_index_has_a_question_for_every_solved_notebook():
    solved = {path.stem for path in (make_site.ROOT / "notebooks" / "solutions").glob("*.ipynb")}
    assert set(make_site.questions()) == solved


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("other.html", ""),
        ("other.html#there", ""),
        ("#here", ""),
        ("folder/deep.html", ""),
        (BADGE, ""),
        ("data:image/png;base64,AAAA", ""),
        ("missing.html", "index.html: nothing at missing.html"),
        ("folder", "index.html: nothing at folder"),
        ("other.html#nowhere", "index.html: no such place: other.html#nowhere"),
        ("#nowhere", "index.html: no such place: #nowhere"),
        ("https://example.org/x.js", "index.html: outside: https://example.org/x.js"),
        ("//example.org/x.js", "index.html: outside: //example.org/x.js"),
        ("mailto:a@example.org", "index.html: outside: mailto:a@example.org"),
    ],
)
@pytest.mark.parametrize("tag", ['<a href="{}">x</a>', '<img src="{}">', "<link href='{}'>"])
def test_a_link_that_leads_nowhere_or_outside_is_found(tmp_path, tag, address, says):
    (tmp_path / "index.html").write_text(f"<p id='here'></p>{tag.format(address)}", encoding="utf-8")
    (tmp_path / "other.html").write_text("<a name='there'></a>", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "deep.html").write_text('<a href="../index.html#here">back</a>', encoding="utf-8")
    assert make_site.faults(tmp_path) == ([says] if says else [])


def test_links_to_notebooks_and_notes_lead_to_their_pages():
    before = '<a href="06_x.ipynb">a</a><a href="solutions/07_y.ipynb#End">b</a><a href="keras_cv_today.md">c</a>'
    after = '<a href="06_x.html">a</a><a href="07_y.html#End">b</a><a href="keras_cv_today.html">c</a>'
    assert make_site.as_page(before) == after


def test_inherited_links_that_lead_nowhere_become_text(tmp_path):
    file = tmp_path / "x.html"
    file.write_text('<i id="a"></i><a href="#a">in</a><a href="#b">dead</a><a href="https://x.org">out</a>')
    make_site.without_dead_links(tmp_path)
    assert file.read_text() == '<i id="a"></i><a href="#a">in</a>deadout'


def test_the_picture_is_the_figure_whose_form_fits_the_index(tmp_path):
    import base64
    import io

    def figure(width, height, colour):
        file = io.BytesIO()
        Image.new("RGB", (width, height), colour).save(file, "PNG")
        data = {"image/png": base64.b64encode(file.getvalue()).decode()}
        return new_code_cell("x", outputs=[new_output("display_data", data)])

    cells = [figure(500, 500, "red"), figure(160, 90, "green"), figure(640, 360, "blue"), figure(900, 100, "red")]
    assert make_site.save_picture(new_notebook(cells=cells), tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as found:
        assert found.size == (640, 360)
        assert found.getpixel((5, 5)) == (0, 0, 255)
    assert not make_site.save_picture(new_notebook(cells=cells[1:2]), tmp_path / "y.png")


def test_the_pages_have_the_titles_of_their_headings_and_lead_to_each_other(tmp_path, monkeypatch):
    solutions = tmp_path / "notebooks" / "solutions"
    solutions.mkdir(parents=True)
    rows = "".join(
        f"| [`{name}`](notebooks/{name}.ipynb) | What is {name} & why? |\n" for name in ("01_a", "02_b")
    )
    (tmp_path / "README.md").write_text(f"# x\n\nFor all.\n\n{rows}", encoding="utf-8")
    for name in ("01_a", "02_b"):
        cells = [new_code_cell("# installs"), new_markdown_cell(f"# The {name}\n\n[other](01_a.ipynb)")]
        nbformat.write(new_notebook(cells=cells), solutions / f"{name}.ipynb")
    monkeypatch.setattr(make_site, "ROOT", tmp_path)
    target = tmp_path / "site"
    target.mkdir()
    make_site.write_index(target, make_site.write_notebooks(target), [])
    (target / "reference").mkdir()
    (target / "reference" / "kerascv_course.html").touch()
    assert make_site.faults(target) == []
    assert "<title>The 02_b</title>" in (target / "02_b.html").read_text(encoding="utf-8")
    index = (target / "index.html").read_text(encoding="utf-8")
    assert '<a href="02_b.html">The 02_b</a></h2><p>What is 02_b &amp; why?</p>' in index
    assert "<p>For all.</p>" in index


# Colours: WCAG 2.2, success criterion 1.4.3


def luminance(colour):
    """Return the relative luminance of a colour such as "#1f2328"."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_measure_of_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the grey that just fails


@pytest.mark.parametrize(("theme", "style"), [(0, "default"), (1, "github-dark")], ids=["light", "dark"])
def test_texts_and_code_have_a_contrast_of_4_5_by_day_and_in_the_dark(theme, style):
    css = resources.files("kerascv_course").joinpath("page.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", css.split("@media screen")[theme]))
    pairs = [(text, ground) for text in ("text", "soft", "output", "link") for ground in ("ground", "code")]
    for text, ground in [*pairs, ("output", "warning")]:
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for token, look in get_style_by_name(style):
        if look["color"] and token is not Whitespace:
            ground = f"#{look['bgcolor']}" if look["bgcolor"] else colours["code"]
            assert contrast(f"#{look['color']}", ground) >= 4.5, token
