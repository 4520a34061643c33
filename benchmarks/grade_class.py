"""A class of made-up students: their marks are known beforehand, and the notebooks damaged in every usual way.

    python benchmarks/grade_class.py FOLDER [--students 150] [--trust]

writes `class.zip` into FOLDER, judges it into FOLDER/marks, and compares each mark. The figure: the wall time.
"""

import argparse
import copy
import csv
import json
import random
import sys
import time
import zipfile
from pathlib import Path

from kerascv_course.cli import main
from kerascv_course.grading.topics import read_topic
from kerascv_course.notebooks.marks import find_exercise
from kerascv_course.notebooks.source import find_source, make_notebook

TOPICS = ("01_convolution", "02_lenet_cifar10", "10_image_retrieval")
# Usual mistakes; where none is listed, a wrong answer is -1.
MISTAKES = {
    "count_parameters": ["parameters_first = 150\nparameters_second = 1152"],
    "same_padding": [
        "def same_padding(size, kernel_size, stride):\n    return kernel_size // 2, kernel_size // 2"
    ],
    "flipped_kernel": ["flipped = lopsided.T", "flipped = lopsided"],
    "dense1_parameters": ["dense1_parameters = 48_000", "dense1_parameters = 400 * 84 + 84"],
    "weight_sharing": ["uses_of_a_weight = 1", "uses_of_a_weight = 32 * 32"],
    "lenet_rgb": ["lenet_rgb = keras.Sequential([keras.Input((32, 32, 3)), layers.Conv2D(6, 5)])"],
    "precision": ["at_1, at_3, at_5 = 1, 1, 1"],
    "voting": ["def vote(labels):\n    return labels[0]"],
}
NAMES = (
    "Anna Rossi",
    "Zoë Müller",
    "José Ñúñez",
    "李雷",
    "O'Neill Siân",
    "Bob Smith",
    "Çağla Şahin",
    "Ana-Maria Pop",
)


def answered(topic, rng, way):
    """Return a student's cells, and for each exercise whether its answer is right."""
    cells = json.loads(json.dumps(make_notebook(find_source(topic)).cells))
    known = {}
    for task in read_topic(topic).tasks:
        kind = rng.choice(["right", "wrong", "untouched"]) if way == "partly" else way
        known[task.name] = kind == "right"
        cell = next(cell for cell in cells if cell["id"] == task.id)
        if kind == "right":
            cell["source"] = find_exercise(topic, task.name).exercise.solved
        elif kind == "wrong":
            usual = MISTAKES.get(task.name, ["\n".join(f"{name} = -1" for name in task.answers)])
            cell["source"] = rng.choice(usual)
    return cells, known


def places(cells, tag):
    """Return the numbers of the cells with a tag."""
    return [number for number, cell in enumerate(cells) if tag in cell["metadata"].get("tags", [])]


def unchanged(cells, known, rng):
    return cells


def of_colab(cells, known, rng):
    for number, cell in enumerate(cells):
        del cell["id"]
        cell["metadata"] = {
            "id": f"x{rng.randrange(10**9)}{number}",
            "colab": {"base_uri": "https://localhost:8080/"},
        }
    return cells


def ids_renamed(cells, known, rng):
    for cell in cells:
        cell["id"] = f"{rng.randrange(16**8):08x}"
    return cells


def metadata_gone(cells, known, rng):
    return [{"cell_type": cell["cell_type"], "source": cell["source"]} for cell in cells]


def huge_outputs(cells, known, rng):
    output = {"output_type": "stream", "name": "stdout", "text": "x" * 3_000_000}
    for number in places(cells, "exercise"):
        cells[number]["outputs"] = [output]
    return cells


def checks_deleted(cells, known, rng):
    return [cell for cell in cells if "check" not in cell["metadata"].get("tags", [])]


def checks_changed(cells, known, rng):
    for number in places(cells, "check"):
        name = cells[number]["source"].split(".")[1]
        cells[number]["source"] = f"ex.{name}.check(42)\nprint('Right')"
    return cells


def headings_deleted(cells, known, rng):
    return [cell for cell in cells if not cell["source"].startswith("### Exercise")]


def headings_and_ids_gone(cells, known, rng):
    return headings_deleted(ids_renamed(cells, known, rng), known, rng)


def headings_and_checks_deleted(cells, known, rng):
    return checks_deleted(headings_deleted(cells, known, rng), known, rng)


def reordered(cells, known, rng):
    numbers = places(cells, "exercise")
    blocks = [cells[number - 1 : number + 2] for number in numbers]
    rng.shuffle(blocks)
    taken = {place for number in numbers for place in (number - 1, number, number + 1)}
    return [
        *(cell for place, cell in enumerate(cells) if place not in taken),
        *(cell for block in blocks for cell in block),
    ]


def split(cells, known, rng):
    for number in reversed(places(cells, "exercise")):
        lines = cells[number]["source"].split("\n")
        if (
            all(line and not line.startswith((" ", ")", "]", "}", "else", "#")) for line in lines)
            and len(lines) > 1
        ):
            half = {"cell_type": "code", "metadata": {}, "source": "\n".join(lines[1:]), "id": f"half{number}"}
            cells[number]["source"] = lines[0]
            cells.insert(number + 1, half)
    return cells


def helper_elsewhere(cells, known, rng):
    number = places(cells, "exercise")[0]
    cells[number]["source"] = "\n".join(f"{name} = secret_helper()" for name in first_task(cells, number).answers)
    cells.insert(
        5, {"cell_type": "code", "metadata": {}, "id": "own", "source": "def secret_helper():\n    return 152"}
    )
    known[first_task(cells, number + 1).name] = False
    return cells


def first_task(cells, number):
    return next(
        task
        for topic in map(read_topic, TOPICS)
        for task in topic.tasks
        if f"ex.{task.name}." in cells[number + 1]["source"]
    )


def helper_beside(cells, known, rng):
    number = places(cells, "exercise")[0]
    cells[number]["source"] = "own_helper()\n" + cells[number]["source"]
    cells.insert(
        number, {"cell_type": "code", "metadata": {}, "id": "own", "source": "def own_helper():\n    pass"}
    )
    return cells


def answer_in_check(cells, known, rng):
    for number in reversed(places(cells, "exercise")):
        cells[number + 1]["source"] = cells[number]["source"] + "\n\n" + cells[number + 1]["source"]
        del cells[number]
    return cells


def all_in_one(cells, known, rng):
    numbers = places(cells, "exercise")
    whole = "\n\n".join(f"{cells[n]['source']}\n{cells[n + 1]['source']}" for n in numbers)
    return [*cells[: numbers[0]], {"cell_type": "code", "metadata": {}, "id": "all", "source": whole}]


def one_deleted(cells, known, rng):
    number = places(cells, "exercise")[-1]
    known[list(known)[-1]] = False
    return cells[: number - 1] + cells[number + 2 :]


def windows_lines(cells, known, rng):
    for cell in cells:
        cell["source"] = [line + "\r\n" for line in cell["source"].split("\n")]
    return cells


def ours_changed(cells, known, rng):
    for cell in cells:
        if cell["cell_type"] == "code" and not cell["metadata"].get("tags") and "import" not in cell["source"]:
            cell["source"] = "raise RuntimeError('changed by the student')"
    return cells


def magics(cells, known, rng):
    for number in places(cells, "exercise"):
        cells[number]["source"] = "%matplotlib inline\n!pip install something\n" + cells[number]["source"]
    return cells


def syntax_error(cells, known, rng):
    number = places(cells, "exercise")[1]
    cells[number]["source"] = "x = = 3"
    known[list(known)[1]] = False
    return cells


def scratch_cells(cells, known, rng):
    for number in reversed(places(cells, "check")):
        cells.insert(
            number + 1, {"cell_type": "code", "metadata": {}, "id": f"s{number}", "source": "1 / 0\nprint('?')"}
        )
    return cells


def version_3(cells, known, rng):
    for cell in cells:
        if cell["cell_type"] == "code":
            cell["input"] = cell.pop("source")
    return cells


def blank_before(cells, known, rng):
    for number in reversed(places(cells, "exercise")):
        blank = copy.deepcopy(cells[number])
        blank["source"] = "# my first try\nx = None"
        cells.insert(number, blank)
    return cells


DAMAGES = (
    unchanged,
    of_colab,
    ids_renamed,
    metadata_gone,
    huge_outputs,
    checks_deleted,
    checks_changed,
    headings_deleted,
    headings_and_ids_gone,
    headings_and_checks_deleted,
    reordered,
    split,
    helper_elsewhere,
    helper_beside,
    answer_in_check,
    all_in_one,
    one_deleted,
    windows_lines,
    ours_changed,
    magics,
    syntax_error,
    scratch_cells,
    version_3,
    blank_before,
)


def make_class(path, count, seed=0, topics=TOPICS):
    """Write the archive of a class, as Moodle makes it.

    Args:
        path: The archive.
        count: How many students.
        seed: Of the draws.
        topics: What they hand in, in turn.

    Returns:
        By the student's number, the name of the damage and whether each exercise is right.
    """
    rng = random.Random(seed)
    known = {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(count):
            topic = topics[number % len(topics)]
            damage = DAMAGES[number % len(DAMAGES)]
            cells, right = answered(topic, rng, ("right", "partly", "wrong", "partly", "untouched")[number % 5])
            cells = damage(cells, right, rng)
            notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
            if damage is version_3:
                notebook = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": cells}]}
            folder = f"{NAMES[number % len(NAMES)]} {number}_{10_000 + number}_assignsubmission_file_"
            archive.writestr(f"{folder}/{topic}.ipynb", json.dumps(notebook))
            known[str(10_000 + number)] = (
                damage.__name__,
                {(topic, name): value for name, value in right.items()},
            )
    return known


def wrong_marks(table, known):
    """Return a line for each mark in `marks.csv` that is not the known one, and each student who is lost."""
    rows = {row["id"]: row for row in csv.DictReader(Path(table).read_text(encoding="utf-8-sig").splitlines())}
    wrong = [f"{number} is lost" for number in known.keys() - rows.keys()]
    for number, (damage, right) in known.items():
        for (topic, name), value in right.items():
            mark = rows[number][f"{topic}: {name}"] if number in rows else ""
            if mark != str(int(value)):
                wrong.append(f"{number}, {damage}, {topic}, {name}: {mark!r} in place of {int(value)}")
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--students", type=int, default=150)
    parser.add_argument("--trust", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    expected = make_class(options.folder / "class.zip", options.students)
    started = time.perf_counter()
    words = ["grade", str(options.folder / "class.zip"), "--out", str(options.folder / "marks"), "--jobs", "2"]
    status = main([*words, *(["--trust"] if options.trust else [])])
    minutes = (time.perf_counter() - started) / 60
    wrong = wrong_marks(options.folder / "marks" / "marks.csv", expected)
    print(*wrong, sep="\n")
    print(f"{options.students} students, {minutes:.1f} minutes, status {status}, {len(wrong)} wrong marks")
    sys.exit(bool(wrong))
