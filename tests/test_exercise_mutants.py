"""No mutant passes: each function that solves an exercise is changed in one place, and its check must notice.

A mutant that is as right as the original stands in `AS_RIGHT`, by the line that it makes.
"""

import ast
import copy

import numpy as np
import pytest
from exercise_answers import sheets
from keras import layers

from kerascv_course.notebooks.marks import find_exercise

OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Pow: ast.Mult,
    ast.Lt: ast.GtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
NAMES = {
    "mean": "sum",
    "sum": "mean",
    "argmax": "argmin",
    "argmin": "argmax",
    "max": "min",
    "min": "max",
    "maximum": "minimum",
    "minimum": "maximum",
    "abs": "square",
    "sqrt": "square",
    "ceil": "floor",
}
AS_RIGHT = {
    "residual_block": {
        "    y = layers.Conv2D(filters, 3, strides=stride, padding='same')(x)",
        "    y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding='same')(y))",
        "        x = layers.Conv2D(filters, 1, strides=stride)(x)",
    },
    "averaged": {"    return posteriors.sum(axis=0).argmax(axis=1)"},
    "nearest_by_hand": {"    return np.argmin(np.sum(np.abs(vectors - query), axis=1))"},
    "conclude": {"    if mean - reach >= 0:"},
    "one_cycle_by_hand": {"    if step < top:"},
    "hottest_block": {
        "    sums = np.lib.stride_tricks.sliding_window_view(heat, (side, side)).mean(axis=(2, 3))",
    },
    "split_by_scene": {"    numbers = np.random.default_rng(1).permutation(np.unique(scenes))"},
}


def functions():
    """Return each exercise that asks for a function, beside the solution's."""
    for sheet, _ in sheets():
        for exercise in sheet.exercises.values():
            tree = ast.parse(find_exercise(sheet.notebook, exercise.name).exercise.solved)
            if exercise.name != "small_networks" and any(isinstance(node, ast.FunctionDef) for node in tree.body):
                slow = [pytest.mark.slow] if exercise.name == "residual_block" else []
                yield pytest.param(exercise, tree, id=exercise.name, marks=slow)


def changes(node):
    """Return functions that change a copy of the node, each in one place."""
    if isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in OPERATORS:
        yield lambda one: setattr(one, "op", OPERATORS[type(one.op)]())
    if isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
        yield lambda one: setattr(one, "ops", [OPERATORS[type(one.ops[0])](), *one.ops[1:]])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield lambda one: setattr(one, "op", ast.UAdd())
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        yield lambda one: setattr(one, "value", one.value + 1)
        yield lambda one: setattr(one, "value", one.value - 1)
    if isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield lambda one: setattr(one, "attr", NAMES[one.attr])
    if isinstance(node, ast.Call):
        for place in range(len(node.keywords)):
            yield lambda one, place=place: one.keywords.pop(place)


def mutants(tree):
    for place, node in enumerate(ast.walk(tree)):
        for change in changes(node):
            mutant = copy.deepcopy(tree)
            change(list(ast.walk(mutant))[place])
            yield mutant


def solution(tree):
    """Return the last function that the code defines."""
    kept = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.Import | ast.ImportFrom)]
    names = {"np": np, "layers": layers}
    exec(compile(ast.Module(kept, []), "solution", "exec"), names)
    return names[[node.name for node in kept if isinstance(node, ast.FunctionDef)][-1]]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("exercise", "tree"), list(functions()))
def test_a_solution_that_is_changed_in_one_place_is_wrong(exercise, tree):
    assert exercise.check(solution(tree)).kind == "right"
    original = ast.unparse(tree).splitlines()
    passed, tried = set(), 0
    for mutant in mutants(tree):
        tried += 1
        if exercise.check(solution(mutant)).kind == "right":
            passed |= set(ast.unparse(mutant).splitlines()) - set(original)
    assert tried
    assert passed == AS_RIGHT.get(exercise.name, set())
