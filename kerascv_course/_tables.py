"""How the records of a measurement are laid out as text, as HTML for a notebook, and as a data frame."""

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, NamedTuple

Cells = Sequence[str]
Column = str | Callable[[Any], str]
"""A field of the row, with a format after a colon: "params:,", "accuracy:.1%"; or a function of the row."""


class Layout(NamedTuple):
    """A table as it is shown: the first `left` columns flush left, the others flush right, the notes below.

    Example:
        >>> print(Layout(("Name", "Size"), [("a", "10"), ("bee", "9")]).text())
        Name  Size
        ----------
        a       10
        bee      9
    """

    header: Cells
    body: Sequence[Cells]
    notes: Sequence[str] = ()
    left: int = 1
    title: str = ""
    total: Cells = ()

    def text(self) -> str:
        """Return the table as text."""
        lines = [self.header, *self.body, *([self.total] if self.total else [])]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        sides = "<" * self.left + ">" * (len(self.header) - self.left)
        head, *text = (
            "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True))
            for line in lines
        )
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        if self.total:
            text.insert(-1, rule)
        title = [self.title] if self.title else []
        return "\n".join(line.rstrip() for line in (*title, head, rule, *text, *self.notes))

    def html(self) -> str:
        """Return the table as HTML."""
        caption = f"<caption>{html.escape(self.title)}</caption>" if self.title else ""
        foot = f"<tfoot>{self._line(self.total, 'th')}</tfoot>" if self.total else ""
        body = "".join(self._line(row, "td") for row in self.body)
        below = "<br>".join(html.escape(note) for note in self.notes)
        return (
            f"<table>{caption}<thead>{self._line(self.header, 'th')}</thead><tbody>{body}</tbody>{foot}</table>"
            f"{f'<p><small>{below}</small></p>' if below else ''}"
        )

    def _line(self, cells: Cells, tag: str) -> str:
        line = (
            f'<{tag} style="text-align: {"left" if place < self.left else "right"}; white-space: nowrap">'
            f"{html.escape(cell)}</{tag}>"
            for place, cell in enumerate(cells)
        )
        return f"<tr>{''.join(line)}</tr>"


class Table:
    """Records of a measurement that show themselves as a table, with remarks below it.

    The base of a frozen dataclass that has the fields `rows`, a tuple of dataclasses, and `notes`, and that says
    in `_columns` what stands in which column. The dataclass is made with `repr=False`, so that the table itself is
    shown wherever an object is. What is laid out in another way has its own `_layout`.
    """

    rows: tuple[Any, ...]
    notes: tuple[str, ...]
    _columns: ClassVar[Mapping[str, Column]]

    def _layout(self) -> Layout:
        body = [[_cell(row, column) for column in self._columns.values()] for row in self.rows]
        return Layout(tuple(self._columns), body, self.notes)

    def to_dict(self) -> list[dict[str, Any]]:
        """Return one dictionary per row, as `pandas.DataFrame` takes them."""
        return [asdict(row) for row in self.rows]

    def to_frame(self) -> Any:
        """Return a `pandas.DataFrame` with one line per row, or raise `ImportError` where pandas is missing."""
        try:
            import pandas
        except ImportError:
            way_out = 'pip install "kerascv_course[pandas]". `to_dict` gives the same without it.'
            raise ImportError(f"`to_frame` needs a package: {way_out}") from None
        return pandas.DataFrame(self.to_dict())

    def __repr__(self) -> str:
        return self._layout().text()

    def _repr_html_(self) -> str:
        return self._layout().html()


def _cell(row: Any, column: Column) -> str:
    """Return what a row has in a column; "-" stands for None."""
    if not isinstance(column, str):
        return column(row)
    name, _, form = column.partition(":")
    value = getattr(row, name)
    return "-" if value is None else format(value, form)
