"""A notebook as one HTML file that needs nothing from outside: no script, no font, no picture, no style sheet."""

import re

import latex2mathml.converter
import nbformat
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter

from kerascv_course._pages import html_page
from kerascv_course.notebooks.figures import describe_figures

FORMULA = re.compile(
    r"(?P<code>```.*?```|`[^`\n]*`)|\$\$(?P<block>.+?)\$\$|\$(?P<inline>(?:[^$\n]|\n(?!\s*\n))+?)\$", re.DOTALL
)
LINE_GAP = re.compile(r"\\\\\[[^]]*\]")  # of `\\[2ex]` the converter would show the brackets
PLACEHOLDER = re.compile(r"formula\d+formula")


def page(notebook: nbformat.NotebookNode) -> str:
    """Return a notebook with its outputs as one self-contained HTML page.

    Args:
        notebook: The notebook; it is not changed.

    Returns:
        The page. Figures are embedded, formulas are MathML.
    """
    formulas: list[str] = []
    cells = [nbformat.from_dict(cell) for cell in notebook.cells]
    for cell in cells:
        if cell.cell_type == "markdown":
            cell.source = _take_formulas(cell.source, formulas)
    copy = nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)
    describe_figures(copy)
    body, _ = HTMLExporter(template_name="basic", embed_images=True).from_notebook_node(copy)
    body = re.sub(r"<[^<>]+>", lambda tag: PLACEHOLDER.sub("", tag[0]), body)  # in the address of a heading
    body = re.sub(r'<a class="anchor-link" [^>]*>[^<]*</a>', "", body)  # a sign beside each heading
    for number, formula in enumerate(formulas):
        body = body.replace(_placeholder(number), formula)
    title = str(notebook.metadata.get("title", "Notebook"))
    return html_page(
        title, body, "notebook", f"{code_colours('.highlight')}\ndiv.highlight {{ background: none; }}"
    )


def code_colours(selector: str) -> str:
    """Return a style sheet for code, by day and in the dark."""
    light, dark = (HtmlFormatter(style=name).get_style_defs(selector) for name in ("default", "github-dark"))
    return f"{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}"


def _take_formulas(markdown: str, formulas: list[str]) -> str:
    """Return Markdown with placeholders for its formulas, which are added to the list as MathML.

    The formulas go in after the export, which would take MathML apart. Dollar signs in code stay as they are.
    """

    def take(match: re.Match[str]) -> str:
        if match["code"]:
            return match["code"]
        display = "block" if match["block"] else "inline"
        formula = LINE_GAP.sub(r"\\\\", (match["block"] or match["inline"]).strip())
        formulas.append(latex2mathml.converter.convert(formula, display=display))
        return _placeholder(len(formulas) - 1)

    return FORMULA.sub(take, markdown)


def _placeholder(number: int) -> str:
    return f"formula{number:04d}formula"
