"""How the records of a measurement are laid out as text, as HTML for a notebook, and as a data frame."""

import html
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, ClassVar

Cells = Sequence[str]


class Table:
    """Records of a measurement that show themselves as a table, with remarks below it.

    The base of a frozen dataclass that has the fields `rows`, a tuple of dataclasses, and `notes`, and that says
    what the columns are called and how the cells of a row are written. The dataclass is made with `repr=False`, so
    that the table itself is shown wherever an object is.
    """

    rows: tuple[Any, ...]
    notes: tuple[str, ...]
    _header: ClassVar[Cells]

    @staticmethod
    def _cells(row: Any) -> Cells:
        raise NotImplementedError

    def to_dict(self) -> list[dict[str, Any]]:
        """Return one dictionary per row, as `pandas.DataFrame` takes them."""
        return [asdict(row) for row in self.rows]

    def to_frame(self) -> Any:
        """Return a `pandas.DataFrame` with one line per row, or raise `ImportError` where pandas is missing."""
        return as_frame(self.to_dict())

    def __str__(self) -> str:
        return text_table(self._header, [self._cells(row) for row in self.rows], notes=self.notes)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return html_table(self._header, [self._cells(row) for row in self.rows], notes=self.notes)


def percent(share: float | None) -> str:
    """Return a share from 0 to 1 as it stands in a table: "12.3%", or "-" for None."""
    return "-" if share is None else f"{share:.1%}"


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
