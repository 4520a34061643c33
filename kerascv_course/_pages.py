"""HTML pages that need nothing from outside: their frame, their style, and the HTML of others."""

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
# In a style: a function, as of an address, but those of colours and lengths; or a letter that is spelled out.
_LOADS = re.compile(r"(?<![\w-])(?!(rgba?|hsla?|calc)\()[\w-]*\s*\(|\\", re.IGNORECASE)
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[\w+/=\s]*\Z")
_LINK = re.compile(r"(https?://|mailto:|#)", re.IGNORECASE)


def html_page(title: str, body: str, kind: str, more_style: str = "") -> str:
    """Return a whole page.

    Args:
        title: Title of the page, as text.
        body: What it shows, as HTML.
        kind: "notebook" or "report"; `page.css` has rules for both.
        more_style: Rules besides those of `page.css`.
    """
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{style}{more_style}</style>\n</head>\n"
        f'<body>\n<main class="{kind}">\n{body}\n</main>\n</body>\n</html>\n'
    )


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
