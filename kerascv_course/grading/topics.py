"""Our notebooks as the judge needs them: exercises, and which other cells an exercise cannot do without."""

import ast
import builtins
import re
import symtable
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import NamedTuple

from kerascv_course.grading.files import Cell
from kerascv_course.notebooks.source import find_source, list_sources, make_notebook

MAGIC = re.compile(r"^([ \t]*)[%!].*$", re.MULTILINE)  # a line for IPython: `%time`, `!pip install`
_HEADING = re.compile(r"^#{1,6}\s+(.+)$", re.MULTILINE)
_IMPORT = re.compile(r"^\s*from\s+kerascv_course\.exercises\s+import\s+(\w+)", re.MULTILINE)
# Our notebooks only show with these, and change nothing.
_READ_ONLY = {
    "display", "enumerate", "len", "list", "max", "min", "plotting", "print", "range", "round", "sorted",
    "sum", "zip",
}  # fmt: skip
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


@cache
def read_topic(name: str) -> Topic:
    """Return one of our notebooks.

    Args:
        name: Its name, for example "02_lenet_cifar10".

    Returns:
        Its exercises and its other cells.
    """
    source = find_source(name)
    tasks: list[Task] = []
    setup: list[str] = []
    texts: set[str] = set()
    heading = ""
    cells = make_notebook(source).cells
    for number, cell in enumerate(cells):
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown":
            heading = cell.source
            continue
        texts.add(squeezed(cell.source))
        if "exercise" in tags:
            call = ast.parse(cells[number + 1].source.partition("\n#")[0], mode="eval").body
            assert isinstance(call, ast.Call)
            answers = tuple(map(ast.unparse, call.args))
            title = heading_of(heading).partition(": ")[2]
            tasks.append(Task(ast.unparse(call.func).split(".")[1], title, answers, cell.id, cell.source))
        elif not {"check", "summary"} & set(tags) and cell.id != "cell-00":
            tree = None if MAGIC.search(cell.source) else parsed(cell.source)
            setup += [ast.unparse(node) for node in tree.body] if tree and setup else [cell.source]
    return Topic(source.name, source.title, tuple(tasks), tuple(setup), frozenset(texts))


def heading_of(markdown: str) -> str:
    """Return the first heading of a Markdown cell, "" where it has none."""
    return next(iter(_HEADING.findall(markdown)), "").strip()


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

    def score(topic: Topic) -> int:
        return sum(f"ex.{task.name}." in code or plain(task.title) in headings for task in topic.tasks)

    best = max(by_module.values(), key=score)
    return best if score(best) else None


def plain(text: str) -> str:
    """Return the letters and digits of a text in lower case, with single spaces."""
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def parsed(code: str) -> ast.Module | None:
    """Return the tree of a piece of code without its magics, None where it is no Python."""
    for text in (code, MAGIC.sub(r"\1pass", code)):
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


class Names(NamedTuple):
    """What a piece of code does with names of the notebook.

    Args:
        needs: Those it takes from before.
        later: Those that its functions take when they are called.
        sets: Those it sets.
        fixed: Those of them that are imports, functions and classes, which nobody changes.
        touches: Those whose value it may change: it calls a method, sets a part, or gives it to a function.
    """

    needs: set[str]
    later: set[str]
    sets: set[str]
    fixed: set[str]
    touches: set[str]


@lru_cache(maxsize=10_000)
def names_of(code: str) -> Names:
    """Return what code does with names; where it is no plain Python, such as a magic, it needs every word in it.

    Args:
        code: A cell.

    Example:
        >>> names_of("y = f(x)").needs == {"f", "x"}
        True
    """
    tree = parsed(code)
    if tree is None:
        words = set(re.findall(r"[^\W\d]\w*", code))
        return Names(words, set(), set(), set(), words)
    found = Names(*(set() for _ in range(5)))
    for statement in tree.body:
        table = symtable.symtable(ast.unparse(statement), "<cell>", "exec")
        inner = {each for scope in _scopes(table) for each in scope.get_symbols() if each.is_global()}
        outer = table.get_symbols()
        given = {each.get_name() for each in outer if each.is_assigned() or each.is_imported()}
        known = found.sets | (given & _targets(statement))
        is_definition = isinstance(statement, ast.FunctionDef | ast.ClassDef)
        (found.later if is_definition else found.needs).update({each.get_name() for each in inner} - known)
        found.needs.update({each.get_name() for each in outer if each.is_referenced()} - known)
        found.sets.update(given, {each.get_name() for each in inner if each.is_assigned()})
        found.fixed.update(given if is_definition or isinstance(statement, ast.Import | ast.ImportFrom) else ())
        found.touches.update(_touched(statement))
    return found


def _touched(statement: ast.stmt) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Attribute | ast.Subscript | ast.Name) and not isinstance(node.ctx, ast.Load):
            yield _root_of(node)
        elif isinstance(node, ast.Call) and _root_of(node.func) not in _READ_ONLY:
            yield _root_of(node.func)
            for value in [*node.args, *(keyword.value for keyword in node.keywords)]:
                is_holder = isinstance(value, ast.List | ast.Tuple | ast.Dict | ast.Starred)
                yield from map(_root_of, ast.walk(value) if is_holder else [value])


def _root_of(node: ast.AST) -> str:
    """Return the name that an expression such as `a.b[0].c()` begins with, "" where it begins otherwise."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def bound_by(code: str) -> set[str]:
    """Return the names that a cell sets, where it is plain Python."""
    return names_of(code).sets


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

    From the last statement back to the first, one is needed where it sets a name that is needed, or may change its
    value. What changes a value by another name for it is not seen; code that reaches names unwritten gets all.

    Args:
        topic: Our notebook.
        code: The cells that are to run after it.

    Returns:
        Their code; the first is always the cell that imports the checks and sets seeds and precision.
    """
    after = [names_of(text) for text in code]
    wanted, whenever = (set().union(*(getattr(each, kind) for each in after)) for kind in ("needs", "later"))
    if (wanted | whenever) & _REACH_ALL:
        return list(topic.setup)
    names = [names_of(text) for text in topic.setup]
    fixed = set(dir(builtins)).union(*(each.fixed for each in names))
    chosen: set[int] = set()
    while True:
        before, now = len(whenever), wanted | whenever
        chosen = set()
        for number in reversed(range(len(names))):
            each = names[number]
            if number == 0 or each.sets & now or each.touches & (now - fixed):
                chosen.add(number)
                tree = parsed(topic.setup[number])
                is_plain = tree and isinstance(tree.body[-1], ast.Assign | ast.FunctionDef | ast.ClassDef)
                now = (now - (each.sets if is_plain else set())) | each.needs | whenever
                whenever |= each.later
        if len(whenever) == before:  # no function was found that needs something set after it
            return [topic.setup[number] for number in sorted(chosen)]
