"""The student's exercise cells, taken out of a handed-in notebook, and what a teacher should know of them."""

import ast
import builtins
import re
from collections import defaultdict
from dataclasses import dataclass, field

from kerascv_course.grading.files import Cell
from kerascv_course.grading.topics import (
    Task,
    Topic,
    bound_by,
    heading_of,
    names_of,
    parsed,
    plain,
    squeezed,
)

_CALL = re.compile(r"\bex\.(\w+)\.check\(")
_OWN_CALL = re.compile(r"^ex\.(\w+\.(check|hint|solution)|summary|withhold_solutions)\([^)]*\).*$", re.MULTILINE)
# What in a student's code a teacher should look at: inside its own process a student can reach the checks.
_MODULES = (
    "builtins|ctypes|gc|importlib|inspect|multiprocessing|os|pickle|requests|shutil|signal|socket|subprocess"
)
_SUSPECT = re.compile(
    rf"^\s*(import|from)\s[\w\s,.]*\b({_MODULES}|sys|threading|urllib|kerascv_course\.(exercises|notebooks))\b"
    r"|\b(eval|exec|compile|globals|locals|setattr|delattr|open)\s*\(|_getframe|\b(f_back|f_globals|tb_frame)\b"
    r"|\b__(?!(init|call|len|getitem|repr|name|main)__)\w+__\b|\bex\s*=(?!=)|^\s*!"
    r"|\bex\.(\w+\.)*(_|solution|exercises|state|solved|check\b)"
    r"|^\s*(np|keras|layers|ops|math|plotting)\.[\w.]+\s*=(?!=)",
    re.MULTILINE,
)
# How much each sign counts that a cell is of an exercise. Ids of an older release may have moved: a heading and a
# check that agree count more. Names of the answers count most: a cell may have been moved to anywhere.
_BY_NAMES, _BY_ID, _BY_CHECK, _BY_HEADING = 3.0, 2.0, 1.5, 1.0


@dataclass
class Answer:
    """What a student handed in for an exercise.

    Attributes:
        cells: The code of its cells in their order; none where nothing was handed in.
        remarks: What the student and the teacher should know of it.
        flags: What the teacher should look at: code that reaches for the checks or the system.
        elsewhere: Code of the student's that the exercise needs and that is not judged, by the cell's number.
    """

    cells: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    elsewhere: dict[int, str] = field(default_factory=dict)


def transplant(cells: list[Cell], topic: Topic) -> dict[str, Answer]:
    """Return the student's code for each exercise of a notebook, however it was moved, split or renamed.

    Args:
        cells: The cells of the handed-in notebook.
        topic: Our notebook of that topic.

    Returns:
        An answer for each exercise, in our order.
    """
    owners = _owners(cells, topic)
    answers = {task.name: Answer() for task in topic.tasks}
    for number, name in owners.items():
        if (code := _without_checks(cells[number].source)).strip():
            answers[name].cells.append(code)
    theirs = set().union(*(bound_by(code) for answer in answers.values() for code in answer.cells))
    for task in topic.tasks:
        answer = answers[task.name]
        checks = [cell.source for cell in cells if cell.kind == "code" and f"ex.{task.name}.check(" in cell.source]
        if not answer.cells:
            is_there = set(task.answers) <= theirs
            missing = "Not handed in: the notebook has no cell of this exercise."
            answer.remarks.append("Its answer is in the cell of another exercise." if is_there else missing)
        elif not checks:
            answer.remarks.append("Its check was deleted; ours is used.")
        changed = [call for check in checks if (call := _changed_check(check, task))]
        answer.flags += [f"The check was changed; ours is used. Handed in: `{call[:120]}`" for call in changed]
        answer.flags += suspicious("\n".join(answer.cells))
    _find_elsewhere(cells, topic, owners, answers, theirs)
    return answers


def _owners(cells: list[Cell], topic: Topic) -> dict[int, str]:
    """Return the exercise of each code cell that is of one, by number."""
    by_title = {plain(task.title): task.name for task in topic.tasks}
    by_id = {task.id: task.name for task in topic.tasks}
    names = {task.name for task in topic.tasks}
    votes: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    heading = ""
    since_boundary: list[int] = []
    for number, cell in enumerate(cells):
        if cell.kind == "markdown":
            if text := heading_of(cell.source):  # a section may have the title of an exercise
                titled = re.fullmatch(r"exercise \d+ (.+)", plain(text))
                heading, since_boundary = by_title.get(titled[1], "") if titled else "", []
            continue
        checked = [name for name in _CALL.findall(cell.source) if name in names]
        if squeezed(cell.source) not in topic.texts - {squeezed(task.blank) for task in topic.tasks} or checked:
            since_boundary.append(number)
            if heading:
                votes[number][heading] += _BY_HEADING
            if cell.id in by_id and "exercise" in cell.tags:
                votes[number][by_id[cell.id]] += _BY_ID
        if checked:
            for earlier in since_boundary:
                votes[earlier][checked[0]] += _BY_CHECK
            heading, since_boundary = "", []
    sets = {number: bound_by(cells[number].source) for number, cell in enumerate(cells) if cell.kind == "code"}
    for number, found in votes.items():
        for task in topic.tasks:
            if set(task.answers) <= sets[number]:
                found[task.name] += _BY_NAMES
    owners = {number: max(found, key=lambda name: found[name]) for number, found in sorted(votes.items()) if found}
    filled = {owners[number] for number in owners if _without_checks(cells[number].source).strip()}
    for task in topic.tasks:  # where neither heading nor id nor check is left, the names of the answers are
        if task.name not in filled:
            setting = [n for n, names_set in sets.items() if set(task.answers) <= names_set]
            owners |= {number: task.name for number in setting[-1:] if number not in owners}
    return dict(sorted(owners.items()))


def _without_checks(code: str) -> str:
    """Return a cell without its own calls of the checks, hints and solutions, "" where no other code is left."""
    kept = _OWN_CALL.sub("", code)
    tree = parsed(kept)
    return kept if tree is None or tree.body else ""


def _changed_check(code: str, task: Task) -> str:
    """Return the call of an exercise's check with anything but the answers, "" where there is none."""
    nodes = ast.walk(parsed(code) or ast.Module([], []))
    calls = [ast.unparse(node) for node in nodes if isinstance(node, ast.Call)]
    own, given = f"ex.{task.name}.check(", f"ex.{task.name}.check({', '.join(task.answers)})"
    return next((call for call in calls if call.startswith(own) and call != given), "")


def _find_elsewhere(
    cells: list[Cell], topic: Topic, owners: dict[int, str], answers: dict[str, Answer], theirs: set[str]
) -> None:
    """Note what an exercise needs, or answers, in cells of the student's that are not judged."""
    codes = {number: cell.source for number, cell in enumerate(cells) if cell.kind == "code"}
    outside = {n: code for n, code in codes.items() if n not in owners and squeezed(code) not in topic.texts}
    sets = {number: bound_by(code) for number, code in outside.items()}
    ours = set().union(*(bound_by(code) for code in topic.setup))
    known = {*dir(builtins), *bound_by(topic.setup[0]), *theirs}
    for task in topic.tasks:
        answer = answers[task.name]
        names = [names_of(code) for code in answer.cells]
        needed = set().union(*(each.needs | each.later for each in names)) - known
        for number, names_set in sets.items():
            if found := sorted(names_set & (needed | set(task.answers))):
                verb = "Needs" if names_set & needed else "Has also"
                why = (
                    "which was changed: ours is used."
                    if set(found) <= ours
                    else "which is not of an exercise: not run."
                )
                answer.remarks.append(f"{verb} `{'`, `'.join(found)}` of cell {number + 1}, {why}")
                answer.elsewhere[number + 1] = outside[number]


def suspicious(code: str) -> list[str]:
    r"""Return a sentence for each line of code that reaches for the checks, the system or the interpreter.

    Honest code may do some of it; and this finds what is written plainly, not what is hidden.

    Args:
        code: The student's cells of an exercise.

    Returns:
        The sentences.

    Example:
        >>> suspicious("import sys\nx = 1")
        ['Line 1: `import sys`']
    """
    lines = [
        (number, line.strip()) for number, line in enumerate(code.splitlines(), start=1) if _SUSPECT.search(line)
    ]
    return [f"Line {number}: `{line[:100]}`" for number, line in lines]
