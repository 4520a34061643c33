"""What all figures share. To change a colour map, a colour or a size in all of them, change its line here."""

import functools
import textwrap
from collections.abc import Callable
from typing import Any, Literal, ParamSpec

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerascv_course._validation import input_error

# Colour maps, by their names in Matplotlib. Lightness rises through the first: no red to be told from green.
COLOR_MAP = "viridis"  # values from little to much: feature maps, heatmaps, confusion matrices, histograms
DIVERGING_COLOR_MAP = "PuOr_r"  # values around 0: kernels, and feature maps with both signs
IMAGE_COLOR_MAP = "gray"  # images with one channel

# Okabe and Ito's colours without yellow, which is too light for a line on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Of the classes in a map: Paul Tol's muted colours and black, told apart without red and green, also in print.
CLASS_COLORS = (
    *("#332288", "#CC6677", "#117733", "#DDAA33", "#88CCEE"),
    *("#882255", "#44AA99", "#000000", "#AA4499", "#999933"),
)
INK, GREY, PALE, PAPER = "black", "0.5", "0.7", "white"
MARKERS = "osD^vPX*"
LINES = ("-", ":", "-.")

# Sizes in inches and points.
WIDTH = 8.0  # of grids of images, maps and networks: a notebook's column
PLOT_WIDTH, PLOT_HEIGHT = 7.0, 3.4  # of curves and bars
GAP = 0.08  # between two images
LINE = 0.18  # a line of text
TEXT_SIZE = 10
TITLE_SIZE = 9  # above a small image

_P = ParamSpec("_P")


def styled(draw: Callable[_P, Figure]) -> Callable[_P, Figure]:
    """Draw in the course's style; under the inline backend close the figure (see the text of the package)."""

    @functools.wraps(draw)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> Figure:
        texts = ("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize")
        settings: dict[Any, Any] = dict.fromkeys((*texts, "legend.fontsize", "figure.titlesize"), TEXT_SIZE)
        settings |= {"image.cmap": COLOR_MAP, "lines.markersize": 5, "figure.dpi": 100}
        with plt.rc_context(settings):
            figure = draw(*args, **kwargs)
            interactive = plt.isinteractive()
        # The first figure starts the backend. In a notebook that switches interactive drawing on, and the end of
        # the context switches it off again: the student's own figures would not be shown.
        matplotlib.interactive(interactive)
        if "inline" in matplotlib.get_backend():
            plt.close(figure)
        return figure

    return wrapper


def panels(
    rows: int = 1,
    columns: int = 1,
    *,
    size: tuple[float, float] = (PLOT_WIDTH, PLOT_HEIGHT),
    grid: Literal["both", "x", "y"] | None = "both",
    **options: Any,
) -> tuple[Figure, list[Axes]]:
    """Return a figure of a size in inches, and its axes row by row, with a faint grid in the named directions."""
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False, **options)
    for axis in axes.flat:
        axis.set_axisbelow(True)
        if grid:
            axis.grid(axis=grid, alpha=0.3)
    return figure, list(axes.flat)


def look(index: int, *, line: bool = False) -> dict[str, Any]:
    """Return colour and marker of a series, and with `line` its line; 24 of these differ without their colour."""
    style = {"color": COLORS[index % len(COLORS)], "marker": MARKERS[index % len(MARKERS)]}
    return style | ({"linestyle": LINES[index % len(LINES)]} if line else {})


def integer_ticks(axis: Any, most: int) -> None:
    """Let an x or y axis have ticks at integers alone, and at most so many."""
    axis.set_major_locator(MaxNLocator(nbins=most, integer=True, min_n_ticks=1))


def with_caption(figure: Figure, caption: str | None) -> Figure:
    """Put a caption above a figure, where there is one, and return the figure."""
    if caption:
        figure.suptitle(wrap(caption, figure.get_figwidth()))
    return figure


def wrap(text: str, inches: float) -> str:
    """Break a text into lines that fit the width: a letter is about 0.55 times as wide as it is high."""
    letters = max(6, int(inches * 72 / (0.55 * TEXT_SIZE)))
    # A word that is a little longer than the line fits nearly always: a break would look worse.
    is_long = any(len(word) > 1.2 * letters for word in text.split())
    return "\n".join(textwrap.fill(line, letters, break_long_words=is_long) for line in text.splitlines())


def check_texts(function: str, argument: str, texts: Any, count: int) -> list[str]:
    """Return the values as strings, empty ones for None, or raise where they are not as many as they should be."""
    if texts is None:
        return [""] * count
    if isinstance(texts, str) or not hasattr(texts, "__len__") or len(texts) != count:
        raise input_error(function, argument, f"a list of {count} strings", texts)
    return [str(text) for text in texts]


def check_records(
    function: str, argument: str, value: Any, rule: str, *fields: str, most: int = 10**9, beside: str = ""
) -> list[Any]:
    """Return a table's rows, or a list of them, or raise where one lacks a field or they are none or too many.

    With `beside` it must be a table that has that attribute too.
    """
    rows = getattr(value, "rows", value)
    is_table = not beside or (hasattr(value, "rows") and hasattr(value, beside))
    has_fields = isinstance(rows, list | tuple) and all(hasattr(row, field) for row in rows for field in fields)
    if not is_table or not has_fields:
        raise input_error(function, argument, rule, value, error=TypeError)
    if not 1 <= len(rows) <= most:
        way_out = "Draw some of them, as `rows[::2]`." if rows else ""
        raise input_error(function, argument, f"{rule}, 1 to {most} of them", f"{len(rows)} of them", way_out)
    return list(rows)
