"""How the records of a measurement are laid out as text, as HTML and as a data frame; and the HTML of others."""

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, NamedTuple

Cells = Sequence[str]
Column = str | Callable[[Any], str]
"""A field of the row, with a format after a colon: "params:,", "accuracy:.1%"; or a function of the row."""

# What of the HTML of others gets into a page, besides what bleach lets pass by itself.
_TAGS = {
    "br", "caption", "col", "colgroup", "div", "hr", "img", "p", "pre", "small", "span", "sub", "sup",
    "table", "tbody", "td", "tfoot", "th", "thead", "tr",
}  # fmt: skip
_ATTRIBUTES = {
    "align", "alt", "class", "colspan", "height", "rowspan", "scope", "style", "title", "valign", "width",
}  # fmt: skip
_CSS = {"border", "margin", "max-width", "padding"}
# What goes with all that is in it.
_DROPPED = {
    "iframe", "math", "noscript", "object", "script", "style", "svg", "template", "textarea", "title",
}  # fmt: skip
_LOADS = re.compile(r"url\s*\(|\\", re.IGNORECASE)  # in a style: an address, or a letter that is spelled out
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[\w+/=\s]*\Z")
_LINK = re.compile(r"(https?://|mailto:|#)", re.IGNORECASE)


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
            "  ".join(
                f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True)
            ).rstrip()
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

    def __str__(self) -> str:
        return self._layout().text()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self._layout().html()


def _cell(row: Any, column: Column) -> str:
    """Return what a row has in a column; "-" stands for None."""
    if not isinstance(column, str):
        return column(row)
    name, _, form = column.partition(":")
    value = getattr(row, name)
    return "-" if value is None else format(value, form)


def safe_html(text: str) -> str:
    """Return the HTML of others without what runs or loads something; `ImportError` where bleach is missing."""
    try:
        from bleach.css_sanitizer import ALLOWED_CSS_PROPERTIES, CSSSanitizer
        from bleach.html5lib_shim import Filter
        from bleach.sanitizer import ALLOWED_TAGS, Cleaner
    except ImportError:
        way_out = 'pip install "kerascv_course[notebooks]".'
        raise ImportError(f"Tables of other libraries need a package to be cleaned: {way_out}") from None

    class WithoutContent(Filter):
        """Leaves out elements with all that is in them, of which bleach would keep the text."""

        def __iter__(self) -> Iterator[dict[str, Any]]:
            depth = 0
            for token in super().__iter__():
                opens, closes = (token["type"] == kind for kind in ("StartTag", "EndTag"))
                dropped = token.get("name") in _DROPPED
                depth += dropped and opens
                if not depth and not dropped:
                    yield token
                depth -= dropped and closes

    cleaner = Cleaner(
        tags=ALLOWED_TAGS | _TAGS | _DROPPED,
        attributes=_may_stay,
        protocols={"http", "https", "mailto", "data"},
        strip=True,
        filters=[WithoutContent],
        css_sanitizer=CSSSanitizer(ALLOWED_CSS_PROPERTIES | _CSS),
    )
    return str(cleaner.clean(text))


def _may_stay(tag: str, name: str, value: str) -> bool:
    """Say whether an attribute of the HTML of others gets into a page."""
    if (tag, name) == ("img", "src"):
        return bool(_PICTURE.match(value))
    if (tag, name) == ("a", "href"):
        return bool(_LINK.match(value))
    return name in _ATTRIBUTES and not (name == "style" and _LOADS.search(value))
