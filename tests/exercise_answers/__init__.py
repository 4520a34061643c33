"""Answers to the exercises, right and wrong, one module for each notebook; see `tests/test_exercise_answers.py`.

Each answer is made by a function, so that models are built only where they are checked. A wrong one stands beside
the words that the student must read.
"""

import importlib
from pathlib import Path
from types import ModuleType

from kerascv_course.exercises.sheet import Sheet
from kerascv_course.notebooks.source import list_sources

SOURCES = Path(__file__).parent.parent.parent / "notebooks" / "source"


def sheets() -> list[tuple[Sheet, ModuleType]]:
    """Return the sheet of each notebook, in their order, with the answers to it."""
    topics = [source.name.split("_", 1)[1] for source in list_sources(SOURCES)]
    return [
        (
            importlib.import_module(f"kerascv_course.exercises.{topic}").sheet,
            importlib.import_module(f"exercise_answers.{topic}"),
        )
        for topic in topics
    ]
