"""A notebook as one HTML file that needs nothing from outside: no script, no font, no picture, no style sheet."""

import html
import re

import latex2mathml.converter
import nbformat
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter

FORMULA = re.compile(
    r"(?P<code>```.*?```|`[^`\n]*`)|\$\$(?P<block>.+?)\$\$|\$(?P<inline>(?:[^$\n]|\n(?!\s*\n))+?)\$", re.DOTALL
)
PLACEHOLDER = re.compile(r"formula\d+formula")

STYLE = """
body { color: #1f2328; font: 16px/1.55 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; margin: 0; }
main { margin: 2rem auto 4rem; max-width: 60rem; padding: 0 1.25rem; }
h1, h2, h3 { line-height: 1.25; margin: 2rem 0 .75rem; }
a { color: #0b57d0; }
a.anchor-link { display: none; }
code, pre { font: .86rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { background: #f3f4f6; border-radius: .25rem; padding: .1rem .3rem; }
pre { margin: 0; overflow-x: auto; white-space: pre-wrap; }
pre code { background: none; padding: 0; }
div.prompt { display: none; }
div.input_area { background: #f6f8fa; border-left: 3px solid #0072b2; border-radius: .25rem; margin: 1rem 0 .5rem;
  padding: .6rem .9rem; }
div.output_area { margin: .4rem 0; overflow-x: auto; }
div.output_area pre { color: #3d444d; padding: 0 .9rem; }
div.output_stream pre { max-height: 24rem; overflow-y: auto; }
div.output_stderr pre { background: #fff4e5; }
img, svg { height: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: .88rem; margin: .75rem 0; }
th, td { border-bottom: 1px solid #d9dde3; padding: .25rem .7rem; text-align: left; }
div.output_area table { font-size: .75rem; }
div.output_area th, div.output_area td { padding: .2rem .3rem; }
blockquote { border-left: 3px solid #d9dde3; color: #50565e; margin-left: 0; padding-left: 1rem; }
"""


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
    body, _ = HTMLExporter(template_name="basic", embed_images=True).from_notebook_node(copy)
    body = re.sub(r"<[^<>]+>", lambda tag: PLACEHOLDER.sub("", tag[0]), body)  # in the address of a heading
    for number, formula in enumerate(formulas):
        body = body.replace(_placeholder(number), formula)
    title = html.escape(str(notebook.metadata.get("title", "Notebook")))
    colours = HtmlFormatter(style="default").get_style_defs(".highlight")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{STYLE}\n{colours}\ndiv.highlight {{ background: none; }}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _take_formulas(markdown: str, formulas: list[str]) -> str:
    """Return Markdown with placeholders for its formulas, which are added to the list as MathML.

    The formulas go in after the export, which would take MathML apart. Dollar signs in code stay as they are.
    """

    def take(match: re.Match[str]) -> str:
        if match["code"]:
            return match["code"]
        display = "block" if match["block"] else "inline"
        formula = (match["block"] or match["inline"]).strip()
        formulas.append(latex2mathml.converter.convert(formula, display=display))
        return _placeholder(len(formulas) - 1)

    return FORMULA.sub(take, markdown)


def _placeholder(number: int) -> str:
    return f"formula{number:04d}formula"
