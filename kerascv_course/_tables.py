"""How the records of a measurement are laid out as text, as HTML for a notebook, and as a data frame."""

import html
from collections.abc import Sequence
from typing import Any

Cells = Sequence[str]


def text_table(header: Cells, rows: Sequence[Cells], *, left: int = 1, notes: Sequence[str] = ()) -> str:
    """Return a table as text: the first `left` columns flush left, numbers flush right, the notes below.

    Example:
        >>> print(text_table(("Name", "Size"), [("a", "10"), ("bee", "9")]))
        Name  Size
        ----------
        a       10
        bee      9
    """
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = "<" * left + ">" * (len(header) - left)
    text = [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True)).rstrip()
        for line in lines
    ]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([text[0], rule, *text[1:], *notes])


def html_table(header: Cells, rows: Sequence[Cells], *, left: int = 1, notes: Sequence[str] = ()) -> str:
    """Return the same table as HTML."""
    body = "".join(html_line(row, "td", left) for row in rows)
    below = "<br>".join(html.escape(note) for note in notes)
    return (
        f"<table><thead>{html_line(header, 'th', left)}</thead><tbody>{body}</tbody></table>"
        f"{f'<p><small>{below}</small></p>' if below else ''}"
    )


def html_line(cells: Cells, tag: str, left: int) -> str:
    """Return one line of a table: `tag` is "th" or "td"."""
    sides = ["left"] * left + ["right"] * (len(cells) - left)
    line = (
        f'<{tag} style="text-align: {side}; white-space: nowrap">{html.escape(cell)}</{tag}>'
        for cell, side in zip(cells, sides, strict=True)
    )
    return f"<tr>{''.join(line)}</tr>"


def as_frame(records: list[dict[str, Any]]) -> Any:
    """Return records as a `pandas.DataFrame`; pandas is imported only where somebody asks for it."""
    try:
        import pandas
    except ImportError:
        way_out = 'pip install "kerascv_course[pandas]". `to_dict` gives the same without it.'
        raise ImportError(f"`to_frame` needs a package: {way_out}") from None
    return pandas.DataFrame(records)
