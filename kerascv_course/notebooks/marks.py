"""The marks of an exercise in a notebook's source, read without any other library.

An exercise is a cell tagged `exercise`, and one with its hints:

    # %% tags=["exercise"]
    # ### Title
    #
    # The question, in Markdown.

    # student: answer = None
    # solution
    answer = 42
    # end solution

    ex.name.check(answer)

    # %% [markdown] tags=["hints"]
    # - What helps a little.
    # - What helps more.

Lines between `# solution` and `# end solution` are for the solved notebook alone; a line `# student: code` becomes
`code` in the student's notebook and is not in the solved one.
"""

import re
from pathlib import Path
from typing import NamedTuple

STUDENT_MARK = "# student: "
SOLUTION_BEGIN, SOLUTION_END = "# solution", "# end solution"
_CHECK = re.compile(r"^ex\.(?P<name>\w+)\.check\(.*\)\Z", flags=re.MULTILINE | re.DOTALL)
_CELL = re.compile(r"^# %%(.*)$", flags=re.MULTILINE)


class Exercise(NamedTuple):
    """An exercise cell, taken apart.

    Args:
        name: Name of the exercise, as in the call of its check.
        question: The leading comment as Markdown; its first line is a heading of the third level.
        blank: The code that the student gets.
        solved: The code with the solution.
        check: The call of the check.
    """

    name: str
    question: str
    blank: str
    solved: str
    check: str


def source_folder() -> Path:
    """Return the folder of the notebook sources: beside the installed package, or in the repository."""
    package = Path(__file__).parent.parent
    installed = package / "_notebook_sources"
    return installed if installed.is_dir() else package.parent / "notebooks" / "source"


def is_mark(line: str) -> bool:
    """Tell whether a line is a mark."""
    return line.strip() in (SOLUTION_BEGIN, SOLUTION_END) or line.strip().startswith(STUDENT_MARK)


def read_exercise(text: str, where: str) -> Exercise:
    """Take an exercise cell apart.

    Args:
        text: The cell without its first line.
        where: Which cell it is, for errors.

    Returns:
        Its parts.

    Raises:
        ValueError: If a part is missing, or a mark has no counterpart.
    """
    check = _CHECK.search(text.strip())
    if not check:
        raise ValueError(f"An exercise that does not end with a call `ex.NAME.check(...)` in {where}.")
    lines = text.strip()[: check.start()].splitlines()
    question = []
    while lines and lines[0].startswith("#") and not is_mark(lines[0]):
        question.append(lines.pop(0).removeprefix("#").removeprefix(" "))
    if not question or not question[0].startswith("### "):
        raise ValueError(f"An exercise that does not begin with a comment `# ### Title` in {where}.")
    marks = [line.strip() for line in lines if line.strip() in (SOLUTION_BEGIN, SOLUTION_END)]
    if not marks or marks != [SOLUTION_BEGIN, SOLUTION_END] * (len(marks) // 2):
        pairs = f"pairs of `{SOLUTION_BEGIN}` and `{SOLUTION_END}`"
        raise ValueError(
            f"An exercise without {pairs} in {where}: the student would see all of it, or too little."
        )
    blank, solved, in_solution = [], [], False
    for line in lines:
        if line.strip() in (SOLUTION_BEGIN, SOLUTION_END):
            in_solution = line.strip() == SOLUTION_BEGIN
        elif line.strip().startswith(STUDENT_MARK):
            blank.append(line.replace(STUDENT_MARK, "", 1))
        else:
            solved.append(line)
            if not in_solution:
                blank.append(line)
    asked, given, answered = ("\n".join(part).strip("\n") for part in (question, blank, solved))
    return Exercise(check["name"], asked, given, answered, check[0])


class Explained(NamedTuple):
    """An exercise of a notebook with the Markdown cells that follow it.

    Args:
        exercise: Its parts.
        hints: The lines of the list in the cell tagged `hints`, from the vague to the plain.
        remarks: The cell tagged `solution`, which may be missing: "".
    """

    exercise: Exercise
    hints: list[str]
    remarks: str


def find_exercise(notebook: str, name: str) -> Explained:
    """Return an exercise of a notebook, with its hints and the remarks on its solution.

    Args:
        notebook: Name of the notebook, for example "02_lenet_cifar10".
        name: Name of the exercise.

    Returns:
        What stands in the source.

    Raises:
        LookupError: If the notebook has no such exercise.
    """
    path = source_folder() / f"{notebook}.py"
    _, *parts = _CELL.split(path.read_text(encoding="utf-8"))
    found, texts = None, {"hints": "", "solution": ""}
    for header, text in zip(parts[::2], parts[1::2], strict=True):
        if found:
            tag = next((tag for tag in texts if f'"{tag}"' in header), None)
            if tag is None or texts[tag]:
                break
            texts[tag] = re.sub(r"^# ?", "", text.strip(), flags=re.MULTILINE)
        elif '"exercise"' in header:
            exercise = read_exercise(text, path.name)
            found = exercise if exercise.name == name else None
    if found is None:
        raise LookupError(f"{path.name} has no exercise {name!r}.")
    hints = texts["hints"].replace("\n  ", " ").splitlines()
    return Explained(found, [hint.removeprefix("- ") for hint in hints], texts["solution"])
