"""The exercises of one notebook: check, hint, solution, and what is done."""

import ast
import html
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kerascv_course import __version__
from kerascv_course.notebooks.marks import Explained, find_exercise

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_TO_DO = "Put your answer in place of None"
# Of the bar on the left alone: no colour is dark enough for text on white and light enough for text on black.
_COLOURS = {"right": "#2e8b3a", "wrong": "#c77700", "to do": "#3f7fd0", "hint": "#8a6fd0", "text": "#757575"}


class WrongAnswerError(Exception):
    """What is wrong with an answer, in words for the student."""


@dataclass(frozen=True)
class Feedback:
    """What an exercise says: coloured in a notebook, plain elsewhere.

    Args:
        kind: "right", "wrong", "to do", "hint" or "text".
        title: Its first words.
        text: The rest; parts between backticks are code.
        code: Lines of code below it.
    """

    kind: str
    title: str
    text: str
    code: str = ""

    def __repr__(self) -> str:
        return "\n".join(filter(None, [f"{self.title}: {self.text}".rstrip(": "), self.code]))

    def _repr_html_(self) -> str:
        text = re.sub(r"`([^`\n]+)`", r"<code>\1</code>", html.escape(self.text, quote=False))
        text = text.replace("\n", "<br>")
        colour = _COLOURS[self.kind]
        code = f'<pre style="margin:.5em 0 0">{html.escape(self.code, quote=False)}</pre>' if self.code else ""
        return (
            f'<div style="border-left:4px solid {colour};margin:.3em 0;padding:.2em .8em;text-align:left">'
            f"<b>{html.escape(self.title, quote=False)}</b> {text}{code}</div>"
        )


class Exercise:
    """One exercise of a notebook; `Sheet.exercise` makes it from its check."""

    def __init__(self, sheet: "Sheet", judge: Callable[..., str], to_do: str) -> None:
        self.name = judge.__name__
        self.__doc__ = judge.__doc__
        self.state = "untouched"
        self._sheet, self._judge, self._to_do = sheet, judge, to_do
        self._answers = tuple(inspect.signature(judge).parameters)
        self._call = f"ex.{self.name}.check({', '.join(self._answers)})"
        self._checks = self._hints_shown = 0
        self._solution_shown = False

    def __repr__(self) -> str:
        return f"<Exercise {self.name}: {self.state}. {self._call}, .hint() or .solution()>"

    @property
    def solved(self) -> bool:
        """Whether the last check said "right"."""
        return self.state == "right"

    def check(self, *answers: Any) -> Feedback:
        """Say whether the answer is right, or what is wrong with it; an answer of any kind raises nothing.

        Args:
            answers: What the exercise asks for; `None` where nothing has been filled in yet.

        Returns:
            The feedback, shown by the notebook where it is the last line of a cell.
        """
        if len(answers) != len(self._answers):
            return Feedback("to do", "To do", f"Hand in what the exercise asks for: `{self._call}`.")
        if any(answer is None for answer in answers):
            self.state = "untouched"
            return Feedback("to do", "To do", f"{self._to_do}, run that cell, and then this one.")
        try:
            praise = self._judge(*answers)
        except Exception as error:  # an answer of a kind that nobody foresaw must not end in a traceback
            if self._is_as_given(answers):
                self.state = "untouched"
                return Feedback("to do", "To do", str(error))
            self.state = "not yet"
            self._checks += 1
            text = f"This answer could not be judged: {said(error)}. Is it of the kind that the exercise asks for?"
            return Feedback("wrong", "Not yet", str(error) if isinstance(error, WrongAnswerError) else text)
        self.state = "right"
        self._checks += 1
        return Feedback("right", "Right", praise)

    def _is_as_given(self, answers: Sequence[Any]) -> bool:
        """Tell whether the answers are functions as the notebook gives them, still to be repaired."""
        try:
            blank = ast.parse(self._source().exercise.blank)
            given = [ast.dump(node) for node in blank.body if isinstance(node, ast.FunctionDef)]
            return all(ast.dump(ast.parse(inspect.getsource(answer)).body[0]) in given for answer in answers)
        except Exception:  # an answer of any kind, whose source may not be known
            return False

    def hint(self) -> Feedback:
        """Give the next hint: each says more than the one before; after the last one it starts again."""
        hints = self._source().hints
        number = self._hints_shown % len(hints)
        self._hints_shown += 1
        text = hints[number]
        if number == len(hints) - 1:
            left = "" if self._sheet.withheld else f" `ex.{self.name}.solution()` is left."
            text += f"\nThat was the last hint.{left}"
        return Feedback("hint", f"Hint {number + 1} of {len(hints)}", text)

    def solution(self) -> Feedback:
        """Show the solution, unless the teacher has withheld it."""
        if self._sheet.withheld:
            return Feedback("text", "Solution", "The solutions of this notebook are withheld. Ask your teacher.")
        found = self._source()
        self._solution_shown = True
        return Feedback("text", "Solution", found.remarks.replace("\n", " "), found.exercise.solved)

    def _source(self) -> Explained:
        return find_exercise(self._sheet.notebook, self.name)

    @property
    def report(self) -> str:
        """What became of it, for the text to hand in."""
        hints = min(self._hints_shown, len(self._source().hints)) if self._hints_shown else 0
        counts = _count(self._checks, "check"), _count(hints, "hint")
        parts = self.state, *counts, "solution shown" if self._solution_shown else ""
        return ", ".join(filter(None, parts))


class Sheet:
    """The exercises of one notebook, in their order.

    Args:
        notebook: Name of the notebook, for example "02_lenet_cifar10".

    Example:
        >>> sheet = Sheet("00_example")
        >>> @sheet.exercise("Put a number")
        ... def answer(answer):
        ...     if answer != 42:
        ...         raise WrongAnswerError(f"{answer} is not the answer.")
        ...     return "42."
        >>> answer.check(None), answer.check(7), answer.check(42)
        (To do: Put a number, run that cell, and then this one., Not yet: 7 is not the answer., Right: 42.)
    """

    def __init__(self, notebook: str) -> None:
        self.notebook = notebook
        self.exercises: dict[str, Exercise] = {}
        self.withheld = False

    def exercise(self, to_do: str = _TO_DO) -> Callable[[Callable[..., str]], Exercise]:
        """Make an exercise of a function that judges an answer.

        The function is named as the exercise. It takes the answers, returns what is said after "Right", and raises
        `WrongAnswerError` with what is wrong.

        Args:
            to_do: What is to be done while an answer is `None`, if it needs its own words.

        Returns:
            The decorator.
        """

        def register(judge: Callable[..., str]) -> Exercise:
            exercise = Exercise(self, judge, to_do)
            self.exercises[exercise.name] = exercise
            return exercise

        return register

    def summary(self) -> Feedback:
        """Say what is done, as a short text to hand in."""
        done = sum(exercise.solved for exercise in self.exercises.values())
        width = max(map(len, self.exercises))
        lines = [f"{name:<{width}}  {exercise.report}" for name, exercise in self.exercises.items()]
        title = f"{done} of {len(lines)} right"
        head = f"{self.notebook}, kerascv_course {__version__}: {title}"
        return Feedback("right" if done == len(lines) else "text", title, "To hand in:", "\n".join([head, *lines]))

    def withhold_solutions(self) -> None:
        """Make `solution()` say that the teacher has withheld it, for as long as this Python runs.

        This removes the temptation, not the text: the solutions are part of the package.
        """
        self.withheld = True


def new_sheet(notebook: str) -> tuple[Sheet, Callable[[], Feedback], Callable[[], None]]:
    """Return the sheet of a notebook, with the two functions of it that the notebook calls.

    Args:
        notebook: Name of the notebook, for example "02_lenet_cifar10".

    Returns:
        The sheet, its `summary` and its `withhold_solutions`.
    """
    sheet = Sheet(notebook)
    return sheet, sheet.summary, sheet.withhold_solutions


def said(error: BaseException) -> str:
    r"""Return the type of an error and the line of its text that says what is wrong, as code.

    Example:
        >>> said(ValueError("The sides differ.\nArguments received: ..."))
        '`ValueError: The sides differ.`'
    """
    lines = [line.strip() for line in _ANSI.sub("", str(error)).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("Exception encountered when calling"):
        lines.pop(0)  # Keras names the layer first and says in the next line what happened there
    text = lines[0][:200].replace("`", "'") if lines else ""
    return f"`{type(error).__name__}: {text}`"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""
