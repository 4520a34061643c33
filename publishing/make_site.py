"""Make the site: an index, the solved notebooks as pages, the pages of notes, and the reference.

    python publishing/make_site.py build/site

Nothing is executed and nothing is fetched. A link that leads nowhere is an error, and so is an address outside of
the site, but for the badges of Colab.
"""

import argparse
import base64
import html
import io
import posixpath
import re
import shutil
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import nbformat
from PIL import Image

from kerascv_course._pages import html_page
from kerascv_course.notebooks.page import code_colours, page

ROOT = Path(__file__).parent.parent
NOTES = ("slide_code_today.md", "keras_cv_today.md", "claims.md")
BADGES = ("https://colab.research.google.com/",)
PICTURE_WIDTH = 480
STYLE = """
.cards { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); padding: 0; }
.cards li { border: 1px solid var(--line); border-radius: .4rem; list-style: none; overflow: hidden; }
.cards img { aspect-ratio: 16 / 9; background: #ffffff; display: block; object-fit: contain; width: 100%; }
.cards h2 { font-size: 1.1rem; margin: .75rem 1rem .25rem; }
.cards p { margin: 0 1rem 1rem; }
nav.site { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
"""


class Card(NamedTuple):
    """What the index shows of a notebook."""

    name: str
    title: str
    question: str
    has_picture: bool


def questions() -> dict[str, str]:
    """Return what each notebook answers, from the table in the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| \[`(\w+)`\]\(notebooks/[^|]*\| ([^|]+?) \|$", text, re.MULTILINE))


def pictures(notebook: nbformat.NotebookNode) -> Iterator[Image.Image]:
    """Yield the figures of a notebook."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            for kind in ("image/png", "image/jpeg"):
                if kind in output.get("data", {}):
                    yield Image.open(io.BytesIO(base64.b64decode(output.data[kind]))).convert("RGB")


def save_picture(notebook: nbformat.NotebookNode, path: Path) -> bool:
    """Save the figure whose form fits the index best; say whether there is one."""
    found = [picture for picture in pictures(notebook) if picture.width >= PICTURE_WIDTH]
    if not found:
        return False
    best = min(found, key=lambda picture: abs(picture.width / picture.height - 16 / 9))
    best.thumbnail((2 * PICTURE_WIDTH, 2 * PICTURE_WIDTH))
    best.save(path, quality=85)
    return True


def as_page(text: str) -> str:
    """Return a page whose links to notebooks and notes lead to their pages."""
    return re.sub(
        r'href="(?:notebooks/|solutions/|\./)?([\w-]+)\.(?:ipynb|md)(#[^"]*)?"', r'href="\1.html\2"', text
    )


def with_bar(text: str, *links: tuple[str, str]) -> str:
    """Return a page with links at its head and at its foot."""
    shown = " ".join(f'<a href="{address}">{html.escape(name)}</a>' for address, name in links)
    bar = f'<nav class="site">{shown}</nav>'
    text = text.replace("</style>", f"{STYLE}</style>", 1)
    text = re.sub(r"(<main [^>]*>)", rf"\1\n{bar}", text, count=1)
    return text.replace("</main>", f"{bar}\n</main>", 1)


def write_notebooks(target: Path) -> list[Card]:
    """Write a page for each solved notebook; return what the index shows of them."""
    answers, cards = questions(), []
    paths = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
    (target / "pictures").mkdir()
    for number, path in enumerate(paths):
        notebook = nbformat.read(path, as_version=4)
        texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        heading = next(text for text in texts if text.startswith("# ")).partition("\n")[0].removeprefix("# ")
        notebook.metadata["title"] = heading
        links = [("index.html", "All notebooks")]
        links += [
            (f"{each.stem}.html", each.stem) for each in paths[max(0, number - 1) : number + 2] if each != path
        ]
        text = with_bar(as_page(page(notebook)), *links)
        (target / f"{path.stem}.html").write_text(text, encoding="utf-8")
        has_picture = save_picture(notebook, target / "pictures" / f"{path.stem}.jpg")
        cards.append(Card(path.stem, heading, answers[path.stem], has_picture))
    return cards


def write_notes(target: Path) -> list[tuple[str, str]]:
    """Write the pages of notes; return their addresses and titles."""
    links = []
    for name in NOTES:
        path = ROOT / "notebooks" / name
        if path.exists():
            text = path.read_text(encoding="utf-8")
            title = text.partition("\n")[0].lstrip("# ")
            notebook = nbformat.v4.new_notebook(
                cells=[nbformat.v4.new_markdown_cell(text)], metadata={"title": title}
            )
            done = with_bar(as_page(page(notebook)), ("index.html", "All notebooks"))
            (target / f"{path.stem}.html").write_text(done, encoding="utf-8")
            links.append((f"{path.stem}.html", title))
    return links


def write_index(target: Path, cards: list[Card], notes: list[tuple[str, str]]) -> None:
    """Write the first page."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    about = " ".join(readme.split("\n\n")[1].split())
    items = []
    for card in cards:
        picture = f'<img src="pictures/{card.name}.jpg" alt="A figure of the notebook" loading="lazy">'
        title = f'<h2><a href="{card.name}.html">{html.escape(card.title)}</a></h2>'
        items.append(f"<li>{picture * card.has_picture}{title}<p>{html.escape(card.question)}</p></li>")
    shown = "\n".join(items)
    body = f"<h1>kerascv_course</h1>\n<p>{html.escape(about)}</p>\n<ul class='cards'>\n{shown}\n</ul>"
    links = [*notes, ("reference/kerascv_course.html", "Reference of the package")]
    done = with_bar(html_page("kerascv_course", body, "notebook"), *links)
    (target / "index.html").write_text(done, encoding="utf-8")


def write_reference(target: Path) -> None:
    """Write the reference of the package, in the colours of the pages."""
    import pdoc  # what is tested does not need it

    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(Path(__file__).with_name("theme.css"), folder)
        Path(folder, "syntax-highlighting.css").write_text(code_colours(".pdoc-code"), encoding="utf-8")
        pdoc.render.configure(docformat="google", show_source=False, template_directory=Path(folder))
        pdoc.pdoc("kerascv_course", "!kerascv_course._notebook_sources", output_directory=target)
    without_dead_links(target)


class Links(HTMLParser):
    """Collects where a page leads to and what can be led to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note links and places."""
        for name, value in attrs:
            if name in {"href", "src"} and value:
                self.links.append((tag, value))
            elif name in {"id", "name"} and value:
                self.places.add(value)


def without_dead_links(folder: Path) -> None:
    """Take out of the reference the links of inherited texts: to places that are not in it, and to outside."""
    logo = re.compile(r'<a title="pdoc: [^>]*>.*?</a>', re.DOTALL)
    link = re.compile(r'<a [^>]*?href="([^"]*)"[^>]*>(.*?)</a>', re.DOTALL)
    for path in folder.rglob("*.html"):
        text = logo.sub("", path.read_text(encoding="utf-8"))
        places = Links(text).places

        def text_alone(match: re.Match[str], places: set[str] = places) -> str:
            address = html.unescape(match[1])
            is_dead = address.startswith("#") and address[1:] not in places
            return match[2] if is_dead or urlsplit(address).scheme else match[0]

        path.write_text(link.sub(text_alone, text), encoding="utf-8")


def faults(folder: Path) -> list[str]:
    """Return the dead links and the addresses outside of a site."""
    pages = {
        path.relative_to(folder).as_posix(): Links(path.read_text(encoding="utf-8"))
        for path in folder.rglob("*.html")
    }
    found = []
    for name, content in pages.items():
        for _, address in content.links:
            parts = urlsplit(address)
            if parts.scheme == "data" or address.startswith(BADGES):
                continue
            if parts.scheme or parts.netloc:
                found.append(f"{name}: outside: {address[:100]}")
                continue
            place = (
                posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path)))
                if parts.path
                else name
            )
            if not (folder / place).is_file():
                found.append(f"{name}: nothing at {address}")
            elif parts.fragment and place in pages and unquote(parts.fragment) not in pages[place].places:
                found.append(f"{name}: no such place: {address}")
    return found


def main() -> None:
    """Make the site and check it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="a folder; what is there is replaced")
    target = parser.parse_args().target
    if target.exists():
        if not (target / "index.html").exists():
            parser.error(f"{target} is no site: name a new folder.")
        shutil.rmtree(target)
    target.mkdir(parents=True)
    cards = write_notebooks(target)
    write_index(target, cards, write_notes(target))
    write_reference(target / "reference")
    if found := faults(target):
        raise SystemExit("\n".join(sorted(set(found))))
    print(f"{len(cards)} notebooks, {sum(1 for _ in target.rglob('*.html'))} pages in {target}")


if __name__ == "__main__":
    main()
