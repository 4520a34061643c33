"""Alternative texts of a notebook's figures, for readers who do not see them."""

import ast
import re

from nbformat import NotebookNode

from kerascv_course.notebooks.source import without_tool_comments

_TITLES = {"caption", "title", "suptitle", "set_title"}  # arguments and methods that name a figure
_KINDS = ("image/png", "image/jpeg")


def describe_figures(notebook: NotebookNode) -> None:
    """Give each figure of a notebook a text: the heading above it, and its captions as the code writes them."""
    heading = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = (re.findall(r"^#+ (.+)$", cell.source, re.MULTILINE) or [heading])[-1]
        for output in cell.get("outputs", ()):
            for kind in _KINDS:
                if kind in output.get("data", {}):
                    text = ": ".join(filter(None, [heading.replace("`", ""), captions(cell.source)]))
                    output.metadata.setdefault(kind, {})["alt"] = text or "a figure"


def captions(source: str) -> str:
    """Return the captions and titles in a cell's code; what is computed in them is left open: "…"."""
    try:
        tree = ast.parse(without_tool_comments(source))
    except SyntaxError:  # a magic command
        return ""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in _TITLES:
            found.append(node.value)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in _TITLES:
            found += node.args[:1]
    texts = [re.sub(r"\s+", " ", _text(value)).strip(" ….,;:") for value in found]
    return "; ".join(dict.fromkeys(filter(None, texts)))


def _text(value: ast.expr) -> str:
    """Return the text of a string in code."""
    if isinstance(value, ast.JoinedStr):
        return "".join(map(_text, value.values))
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else "…"
