"""What all figures share: size, text, colours, and that each appears exactly once."""

import functools
import textwrap
from collections.abc import Callable
from typing import Any, ParamSpec

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from kerascv_course._validation import input_error

WIDTH = 8.0  # inches: a notebook's column
_TEXT_SIZE = 9
_STYLE: dict[Any, Any] = {
    "font.size": _TEXT_SIZE,
    "axes.titlesize": _TEXT_SIZE,
    "axes.labelsize": 10,
    "xtick.labelsize": _TEXT_SIZE,
    "ytick.labelsize": _TEXT_SIZE,
    "legend.fontsize": _TEXT_SIZE,
    "figure.titlesize": _TEXT_SIZE,
    "figure.dpi": 100,
    "figure.constrained_layout.w_pad": 0.03,
    "figure.constrained_layout.h_pad": 0.03,
}
# Okabe and Ito's colours without yellow, which is too light for a line on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX*"

_P = ParamSpec("_P")


def styled(draw: Callable[_P, Figure]) -> Callable[_P, Figure]:
    """Draw in the course's style; under the inline backend close the figure (see the text of the package)."""

    @functools.wraps(draw)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> Figure:
        with plt.rc_context(_STYLE):
            figure = draw(*args, **kwargs)
            interactive = plt.isinteractive()
        # The first figure starts the backend. In a notebook that switches interactive drawing on, and the end of
        # the context switches it off again: the student's own figures would not be shown.
        matplotlib.interactive(interactive)
        if "inline" in matplotlib.get_backend():
            plt.close(figure)
        return figure

    return wrapper


def with_caption(figure: Figure, caption: str | None) -> Figure:
    """Put a caption above a figure, where there is one, and return the figure."""
    if caption:
        figure.suptitle(wrap(caption, figure.get_figwidth()))
    return figure


def wrap(text: str, inches: float) -> str:
    """Break a text into lines that fit the width: a letter is about 0.55 times as wide as it is high."""
    letters = max(6, int(inches * 72 / (0.55 * _TEXT_SIZE)))
    # A word that is a little longer than the line fits nearly always: a break would look worse.
    is_long = any(len(word) > 1.2 * letters for word in text.split())
    return "\n".join(textwrap.fill(line, letters, break_long_words=is_long) for line in text.splitlines())


def check_texts(function: str, argument: str, texts: Any, count: int) -> list[str]:
    """Return the values as texts, or raise `ValueError` where they are not as many as they should be."""
    if isinstance(texts, str) or not hasattr(texts, "__len__") or len(texts) != count:
        raise input_error(function, argument, f"a list of {count} texts", texts)
    return [str(text) for text in texts]
