"""Our notebooks as the judge needs them: exercises, and which other cells an exercise cannot do without."""

import ast
import builtins
import re
import symtable
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from kerascv_course.grading.files import Cell
from kerascv_course.notebooks.source import find_source, list_sources, make_notebook

_HEADING = re.compile(r"^#{1,6}\s+(.+)$", re.MULTILINE)
_IMPORT = re.compile(r"^\s*from\s+kerascv_course\.exercises\s+import\s+(\w+)", re.MULTILINE)
# Where code reaches names without writing them, nobody can say which cells it needs.
_REACH_ALL = {"eval", "exec", "globals", "locals", "vars", "get_ipython", "__import__"}


@dataclass(frozen=True)
class Task:
    """An exercise of our notebook.

    Attributes:
        name: As in `ex.NAME.check(...)`.
        title: Its heading without "Exercise N: ".
        answers: The names that its check takes.
        id: The id of its cell.
        blank: The code of that cell as the student gets it.
    """

    name: str
    title: str
    answers: tuple[str, ...]
    id: str
    blank: str


@dataclass(frozen=True)
class Topic:
    """One of our notebooks.

    Attributes:
        name: For example "02_lenet_cifar10".
        title: Its first heading.
        tasks: Its exercises in their order.
        setup: The statements of its other cells, without the first, which installs, and the summary. The second
            cell, which imports the checks and sets seeds and precision, is one of them.
        texts: The code of all its cells, blanks included, by which a student's own cells are told from ours.
    """

    name: str
    title: str
    tasks: tuple[Task, ...]
    setup: tuple[str, ...]
    texts: frozenset[str] = field(repr=False)


@cache
def all_topics() -> tuple[Topic, ...]:
    """Return our notebooks that have exercises."""
    return tuple(topic for source in list_sources() if (topic := read_topic(source.name)).tasks)


def read_topic(name: str) -> Topic:
    """Return one of our notebooks.

    Args:
        name: Its name, for example "02_lenet_cifar10".

    Returns:
        Its exercises and its other cells.
    """
    source = find_source(name)
    tasks, setup, texts, heading = [], [], set(), ""
    cells = make_notebook(source).cells
    for number, cell in enumerate(cells):
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown":
            heading = cell.source
            continue
        texts.add(squeezed(cell.source))
        if "exercise" in tags:
            call = ast.parse(cells[number + 1].source).body[0].value  # type: ignore[attr-defined]
            answers = tuple(argument.id for argument in call.args)
            title = heading_of(heading).partition(": ")[2]
            tasks.append(Task(call.func.value.attr, title, answers, cell.id, cell.source))
        elif not {"check", "summary"} & set(tags) and cell.id != "cell-00":
            tree = parsed(cell.source)
            setup += [ast.unparse(node) for node in tree.body] if tree and setup else [cell.source]
    return Topic(source.name, source.title, tuple(tasks), tuple(setup), frozenset(texts))


def heading_of(markdown: str) -> str:
    """Return the first heading of a Markdown cell, "" where it has none."""
    match = _HEADING.search(markdown)
    return match[1].strip() if match else ""


def squeezed(code: str) -> str:
    """Return code without what an editor changes: white space at the ends and empty lines."""
    return "\n".join(line.rstrip() for line in code.splitlines() if line.strip())


def topic_of(cells: Iterable[Cell], topics: Iterable[Topic]) -> Topic | None:
    """Return which of our notebooks one is: by its import of the checks, then by headings and checks.

    Args:
        cells: Its cells.
        topics: Our notebooks.

    Returns:
        The notebook, or None where it is of another course.
    """
    cells = list(cells)
    by_module = {topic.name.partition("_")[2]: topic for topic in topics}
    code = "\n".join(cell.source for cell in cells if cell.kind == "code")
    for module in _IMPORT.findall(code):
        if module in by_module:
            return by_module[module]
    headings = " ".join(plain(heading_of(cell.source)) for cell in cells if cell.kind == "markdown")
    scores = {
        topic: sum(f"ex.{task.name}." in code or plain(task.title) in headings for task in topic.tasks)
        for topic in by_module.values()
    }
    best = max(scores, key=lambda topic: scores[topic], default=None)
    return best if best and scores[best] else None


def plain(text: str) -> str:
    """Return the letters and digits of a text in lower case, with single spaces."""
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def parsed(code: str) -> ast.Module | None:
    """Return the tree of a piece of code, None where it is no Python."""
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def names_of(code: str) -> tuple[set[str], set[str], set[str]]:
    """Return the names that a cell needs from outside, those that it sets, and those of them that stay as they are.

    What stays are imports, functions and classes; any other value may be changed by whoever uses it.

    Args:
        code: The cell. Where it is no plain Python, such as a magic, it needs every word in it and sets nothing.

    Returns:
        The three sets; names inside functions count where they are those of the notebook.
    """
    tree = parsed(code)
    if tree is None:
        return set(re.findall(r"[^\W\d]\w*", code)), set(), set()
    needs: set[str] = set()
    sets: set[str] = set()
    fixed: set[str] = set()
    for statement in tree.body:
        table = symtable.symtable(ast.unparse(statement), "<cell>", "exec")
        inner = [symbol for scope in _scopes(table) for symbol in scope.get_symbols() if symbol.is_global()]
        used = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
        given = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
        needs |= (used | {symbol.get_name() for symbol in inner}) - sets - (given & _targets(statement))
        sets |= given | {symbol.get_name() for symbol in inner if symbol.is_assigned()}
        if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
            fixed |= given
    return needs, sets, fixed


def _scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for scope in table.get_children():
        yield scope
        yield from _scopes(scope)


def _targets(statement: ast.stmt) -> set[str]:
    """Return the names that the loops of a statement set before anything in them can use one."""
    loops = [node for node in ast.walk(statement) if isinstance(node, ast.For)]
    own = {name.id for loop in loops for name in ast.walk(loop.target) if isinstance(name, ast.Name)}
    return own - {name.id for loop in loops for name in ast.walk(loop.iter) if isinstance(name, ast.Name)}


def needed_setup(topic: Topic, code: Iterable[str]) -> list[str]:
    """Return the statements of our notebook that code needs, in their order.

    A statement is needed where it sets a name that is needed. Where that name is no import, function or class, what
    only uses it may also change it, and is needed too. Code that reaches names unwritten needs all.

    Args:
        topic: Our notebook.
        code: The cells that are to run after it.

    Returns:
        Their code; the first is always the cell that imports the checks and sets seeds and precision.
    """
    wanted = set().union(*(names_of(text)[0] for text in code))
    if wanted & _REACH_ALL:
        return list(topic.setup)
    names = [names_of(text) for text in topic.setup]
    fixed = set(dir(builtins)).union(*(of for _, _, of in names))
    chosen: set[int] = set()
    more = {0}
    while more:
        chosen |= more
        wanted |= set().union(*(names[number][0] for number in more))
        more = {
            number
            for number, (needs, sets, _) in enumerate(names)
            if number not in chosen and (sets & wanted or needs & (wanted - fixed))
        }
    return [topic.setup[number] for number in sorted(chosen)]
