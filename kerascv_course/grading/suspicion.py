"""What in a student's code a teacher should look at: inside its own process a student can reach the checks."""

import ast
import re

from kerascv_course.grading.topics import parsed, root_of

_MODULES = {
    "builtins", "ctypes", "gc", "importlib", "inspect", "multiprocessing", "os", "pickle", "requests", "shutil",
    "signal", "socket", "subprocess", "sys", "threading", "urllib",
}  # fmt: skip
_CALLS = {"eval", "exec", "compile", "globals", "locals", "setattr", "delattr", "__import__", "open"}
_ATTRIBUTES = {"solution", "exercises", "state", "solved", "modules", "check"}
_SHARED = {
    "ex",
    "np",
    "numpy",
    "keras",
    "tf",
    "tensorflow",
    "layers",
    "ops",
    "math",
    "random",
    "runtime",
    "plotting",
}
_COMMAND = re.compile(r"^[ \t]*!.+$", re.MULTILINE)
_USUAL = {"__init__", "__call__", "__len__", "__getitem__", "__repr__", "__name__", "__main__"}


def suspicious(code: str) -> list[str]:
    r"""Return a sentence for each thing in code that reaches for the checks, the system or the interpreter.

    Honest code may do some of it; and this finds what is written plainly, not what is hidden.

    Args:
        code: The student's cells of an exercise.

    Returns:
        The sentences, each once.

    Example:
        >>> suspicious("import sys\nx = 1")
        ['Line 1 imports `sys`.']
    """
    tree = parsed(code)
    if tree is None:
        return []
    found = [
        f"`{match[0].strip()[:80]}` is a command of the system: left out." for match in _COMMAND.finditer(code)
    ]
    found += [sentence for node in ast.walk(tree) if (sentence := _of_node(node))]
    return list(dict.fromkeys(found))


def _of_node(node: ast.AST) -> str:
    line, text = f"Line {getattr(node, 'lineno', 0)}", ""
    if isinstance(node, ast.Import | ast.ImportFrom):
        modules = [each.name for each in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        ours = ("kerascv_course.exercises", "kerascv_course.notebooks")
        text = next((name for name in modules if name.split(".")[0] in _MODULES or name.startswith(ours)), "")
        return f"{line} imports `{text}`." if text else ""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CALLS:
        return f"{line} calls `{node.func.id}`."
    if isinstance(node, ast.Attribute):
        is_inner = (
            node.attr.startswith(("__", "_getframe", "f_back", "f_globals", "tb_")) and node.attr not in _USUAL
        )
        is_changed = not isinstance(node.ctx, ast.Load) and root_of(node) in _SHARED
        is_check = root_of(node) == "ex" and (node.attr in _ATTRIBUTES or node.attr.startswith("_"))
        return f"{line} uses or changes `{ast.unparse(node)[:80]}`." if is_inner or is_changed or is_check else ""
    if isinstance(node, ast.FunctionDef) and node.name.startswith("__") and node.name not in _USUAL:
        return f"{line} defines `{node.name}`."
    is_replaced = isinstance(node, ast.Name) and node.id == "ex" and not isinstance(node.ctx, ast.Load)
    return f"{line} replaces `ex`, the checks." if is_replaced else ""
