"""Exercises taken out of a handed-in notebook, judged in a process of their own, kept, and given marks."""

import csv
import json
import random
import signal
import socket
import subprocess
import sys
import time

import pytest

from benchmarks import grade_class
from kerascv_course import cli
from kerascv_course.grading import contain, judging
from kerascv_course.grading.contain import Limits
from kerascv_course.grading.files import Cell, read_cells
from kerascv_course.grading.judging import ClassResult, Judged, grade
from kerascv_course.grading.marks import page_names, read_points, remarks_of, write_marks
from kerascv_course.grading.names import Student
from kerascv_course.grading.pages import write_pages
from kerascv_course.grading.topics import needed_setup, read_topic, squeezed
from kerascv_course.grading.transplant import suspicious, transplant
from kerascv_course.notebooks.marks import find_exercise

CONVOLUTION = read_topic("01_convolution")
WHY_NOT = contain.missing()
needs_container = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


def solved(name, topic=CONVOLUTION):
    return find_exercise(topic.name, name).exercise.solved


def student_cells(topic=CONVOLUTION, **answers):
    """Return the cells of a student's notebook with these answers; the other exercises are untouched."""
    cells, _ = grade_class.answered(topic.name, random.Random(0), "untouched")
    ids = {task.name: task.id for task in topic.tasks}
    for name, code in answers.items():
        next(cell for cell in cells if cell["id"] == ids[name])["source"] = code
    return cells


def hand_in(folder, **students):
    """Write a notebook for each student, in a folder of the student's name."""
    for name, cells in students.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "01_convolution.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    return folder


def taken(cells):
    return transplant(read_cells(json.dumps({"cells": cells}).encode()), CONVOLUTION)


# The transplant


@pytest.mark.parametrize("damage", grade_class.DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("topic", ["01_convolution", "10_image_retrieval"])
def test_the_students_code_is_found_whatever_happened_to_the_notebook(topic, damage):
    cells, known = grade_class.answered(topic, random.Random(0), "right")
    cells = damage(cells, known, random.Random(0))
    notebook = {"worksheets": [{"cells": cells}]} if damage is grade_class.version_3 else {"cells": cells}
    found = transplant(read_cells(json.dumps(notebook).encode()), read_topic(topic))
    whole = squeezed("\n".join(code for answer in found.values() for code in answer.cells))
    for name, is_right in known.items():
        own = squeezed("\n".join(found[name].cells))
        if is_right and damage is not grade_class.all_in_one:
            assert squeezed(solved(name, read_topic(topic))) in own
        elif is_right:
            assert squeezed(solved(name, read_topic(topic))) in whole
    assert "changed by the student" not in whole


def test_code_that_an_exercise_needs_and_that_stands_elsewhere_is_reported_with_its_cell():
    cells = student_cells(count_parameters="parameters_first = half(304)\nparameters_second = 1168")
    cells.insert(3, {"cell_type": "code", "source": "def half(x):\n    return x // 2"})
    answer = taken(cells)["count_parameters"]
    assert answer.remarks == ["Needs `half` of cell 4, which is not of an exercise: not run."]
    assert answer.elsewhere == {4: "def half(x):\n    return x // 2"}


def test_a_function_of_ours_that_the_student_has_changed_and_uses_is_reported():
    lenet = read_topic("02_lenet_cifar10")
    cells = student_cells(lenet)
    number = next(n for n, cell in enumerate(cells) if "def train(" in cell["source"])
    cells[number]["source"] = cells[number]["source"].replace('"accuracy"', '"mae"')
    found = transplant(read_cells(json.dumps({"cells": cells}).encode()), lenet)
    assert found["small_networks"].remarks == [
        f"Needs `train` of cell {number + 1}, which was changed: ours is used."
    ]
    assert not any(answer.remarks for name, answer in found.items() if name != "small_networks")


def test_an_answer_in_a_cell_that_is_not_of_the_exercise_is_reported():
    cells = [
        *student_cells(),
        {"cell_type": "markdown", "source": "# Mine"},
        {"cell_type": "code", "source": "field = 19"},
    ]
    assert taken(cells)["stem_field"].remarks == [
        f"Has also `field` of cell {len(cells)}, which is not of an exercise: not run."
    ]


def test_a_changed_check_and_a_missing_exercise_are_named():
    cells = student_cells()
    place = next(n for n, cell in enumerate(cells) if cell["source"].startswith("ex.stem_field"))
    cells[place]["source"] = "ex.stem_field.check(19)"
    del cells[place - 2 : place]
    answer = taken(cells)["stem_field"]
    assert answer.remarks == ["Not handed in: the notebook has no cell of this exercise."]
    assert answer.flags == ["The check was changed; ours is used. Handed in: `ex.stem_field.check(19)`"]


@pytest.mark.parametrize(
    "code",
    [
        "import sys\nsys.modules['x'] = 1",
        "from kerascv_course.exercises import answers",
        "import gc",
        "import inspect",
        "ex = None",
        "ex.stem_field._judge = print",
        "x = ex.stem_field.solution().code",
        "np.abs = max",
        "f.__globals__",
        "class A:\n    def __eq__(self, other):\n        return True",
        "exec('x = 1')",
        "open('/etc/passwd')",
        "x = 1\n!rm -rf x",
    ],
)
def test_code_that_reaches_for_the_checks_or_the_system_is_flagged(code):
    assert suspicious(code)


@pytest.mark.parametrize("topic", [f"{number:02}" for number in range(1, 17)])
def test_no_solution_of_ours_is_flagged(topic):
    topic = read_topic(topic)
    assert [flag for task in topic.tasks for flag in suspicious(solved(task.name, topic))] == []


def test_an_exercise_gets_those_statements_of_our_notebook_that_it_needs():
    lenet = read_topic("02_lenet_cifar10")
    first, *others = needed_setup(lenet, [task.blank for task in lenet.tasks])
    assert "from kerascv_course.exercises import lenet_cifar10 as ex" in first
    assert [code.partition("(")[0] for code in others] == ["def scaled", "def train"]
    assert needed_setup(lenet, ["globals()"]) == list(lenet.setup)
    trained = needed_setup(lenet, ["photo_lenet.predict(photos_test[0])"])
    assert any(code.startswith("history = photo_lenet.fit") for code in trained)  # it changes what the answer uses
    assert len(trained) < len(lenet.setup) / 2


# Judging


def test_an_exercise_gets_what_its_check_says_and_one_that_fails_or_ends_the_process_leaves_the_others(tmp_path):
    good = student_cells(**{task.name: solved(task.name) for task in CONVOLUTION.tasks})
    first = "%matplotlib inline\n!pip install x\nparameters_first = 151\nprint('Right: 6 of 6 right')\n1 / 0"
    odd = student_cells(
        count_parameters=first,
        output_size="import os\nos._exit(0)",
        same_padding=solved("same_padding"),
        flipped_kernel="lopsided = = 3",
        cheaper_design="while True:\n    print('x' * 100_000)",
    )
    steps = []
    options = {"trust": True, "limits": Limits(seconds=60), "show": lambda *step: steps.append(step)}
    result = grade(hand_in(tmp_path / "in", Good=good, Odd=odd), tmp_path / "out", **options)
    assert [steps[0], steps[-1]] == [(0, 2), (2, 2)]
    good, odd = result.notebooks
    assert {each["kind"] for each in good.results.values()} == {"right"}
    kinds = {name: each["kind"] for name, each in odd.results.items()}
    missing = dict.fromkeys(["count_parameters", "flipped_kernel", "cheaper_design"], "missing")
    assert kinds == {"output_size": "ended", "same_padding": "right", "stem_field": "to do", **missing}
    assert odd.results["count_parameters"]["errors"] == ["Line 5: `ZeroDivisionError: division by zero`"]
    assert odd.results["output_size"]["text"] == "the process ended itself with the status 0."
    assert "SyntaxError" in odd.results["flipped_kernel"]["errors"][0]
    assert "TooMuchOutputError" in odd.results["cheaper_design"]["errors"][0]
    assert (good.summary, odd.summary) == ("6 of 6 right", "1 of 6 right")  # what `ex.summary()` says


@pytest.fixture
def asked(monkeypatch):
    """Put a judge in place of ours that takes no time, and return the keys that it was asked for."""
    asked = []

    def judge(key, job, limits, trust):
        asked.append(key)
        late = {"kind": "ended", "text": f"it took longer than {limits.seconds} s.", "errors": [], "answer": ""}
        results = {task["name"]: late for task in job["tasks"]}
        return key, {"results": results, "summary": "0 of 6 right", "seconds": limits.seconds, "broken": ""}

    monkeypatch.setattr(judging, "judge", judge)
    return asked


def test_what_is_known_is_not_judged_again_but_damaged_or_with_more_time(tmp_path, asked):
    source = hand_in(tmp_path / "in", Anna=student_cells(), Bob=student_cells(stem_field="field = 19"))
    options = {"trust": True, "jobs": 1}
    grade(source, tmp_path / "out", **options)
    first, second = sorted(asked)
    (tmp_path / "out" / "judged" / f"{first}.json").write_text("{")
    for seconds, again in ((120, [first]), (120, []), (30, []), (150, sorted([first, second])), (150, [])):
        asked.clear()
        result = grade(source, tmp_path / "out", limits=Limits(seconds=seconds), **options)
        assert sorted(asked) == again
        assert result.judged_now == len(again)
        assert len(result.notebooks) == 2


def test_equal_notebooks_are_judged_once_and_what_was_done_survives_an_interruption(tmp_path, asked):
    alike = {f"S{number}": student_cells() for number in range(3)}
    source = hand_in(tmp_path / "in", Other=student_cells(stem_field="field = 19"), **alike)

    def stop(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade(source, tmp_path / "out", trust=True, jobs=1, show=stop)
    kept = {path.stem for path in (tmp_path / "out" / "judged").iterdir()}
    assert len(kept) >= 1
    asked.clear()
    assert len(grade(source, tmp_path / "out", trust=True, jobs=1).notebooks) == 4
    assert len(asked) == 2 - len(kept)
    assert not kept & set(asked)


@pytest.mark.parametrize(
    "line",
    [
        b"x",
        b"[]",
        b'{"event": "end"}',
        b'{"event": "judged", "name": "x", "kind": "perfect", "text": "", "errors": [], "answer": ""}',
        b'{"event": "judged", "name": 1, "kind": 2, "text": 3, "errors": 4, "answer": 5}',
    ],
)
def test_what_a_student_writes_into_the_channel_of_the_judge_ends_the_exercise(monkeypatch, line):
    monkeypatch.setattr(contain, "_MOST_LINES", 1)
    process = subprocess.Popen([sys.executable, "-c", f"print({line.decode()!r})"], stdout=subprocess.PIPE)
    (event,) = contain._watched(process, 60, None)
    assert event == {"event": "ended", "text": "it wrote into the channel of the judge"}
    process.wait()


# The container


@needs_container
def test_the_container_shows_no_file_network_or_process_of_the_teachers(tmp_path):
    secret = tmp_path / "in" / "Bob" / "secret.txt"
    secret.parent.mkdir(parents=True)
    secret.write_text("solutions")
    server = socket.create_server(("127.0.0.1", 0))  # on this machine anybody could connect
    try_all = (
        "import os, socket, subprocess, pathlib\n"
        "def said(do):\n"
        "    try:\n"
        "        return repr(do())\n"
        "    except BaseException as error:\n"
        "        return type(error).__name__\n"
    )
    attempts = {
        "count_parameters": [f"open({str(secret)!r}).read()", "open('/etc/passwd').read()"],
        "output_size": ["os.fork()", "subprocess.run(['true'])", "os.kill(1, 0) or os.getpid()"],
        "same_padding": [
            "socket.create_connection(('1.1.1.1', 80), 5)",
            f"socket.create_connection({server.getsockname()}, 5)",
        ],
        "flipped_kernel": [
            "open('/x', 'w')",
            "open('/dev/x', 'w')",
            "open('/usr/x', 'w')",
            "open('/tmp/x', 'w').close()",
        ],
        "cheaper_design": [
            "[pathlib.Path(f'{n}').write_bytes(bytes(10**7)) for n in range(99)]",
            "len(bytearray(10 * 2**30))",
        ],
        "stem_field": [
            "os.memfd_create('x')",
            f"os.path.exists({str(tmp_path)!r})",
            "sorted(p for p in os.listdir('/proc') if p.isdecimal())",
        ],
    }
    answers = {
        name: try_all + "raise OSError(' '.join([" + ", ".join(f"said(lambda: {code})" for code in codes) + "]))"
        for name, codes in attempts.items()
    }
    result = grade(hand_in(tmp_path / "in", Eve=student_cells(**answers)), tmp_path / "out")
    said = {name: each["errors"][0] for name, each in result.notebooks[0].results.items()}
    assert "FileNotFoundError FileNotFoundError" in said["count_parameters"]
    assert "PermissionError PermissionError" in said["output_size"]
    assert "OSError ConnectionRefusedError" in said["same_padding"]
    assert "OSError OSError OSError None" in said["flipped_kernel"]
    assert "OSError MemoryError" in said["cheaper_design"]
    assert "PermissionError False ['1', '2']" in said["stem_field"]  # bubblewrap's process and its own


def test_without_a_container_the_command_says_what_to_install_and_what_the_way_out_means(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(contain.sys, "platform", "linux")
    monkeypatch.setattr(contain.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(contain.shutil, "which", lambda name: None)
    (tmp_path / "in").mkdir()
    assert cli.main(["grade", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "sudo apt install bubblewrap" in said
    assert "`--trust` runs the students' code as you: it can read, change and send all that you can." in said
    assert not (tmp_path / "out").exists()


# Marks and pages


@pytest.fixture
def result():
    """Return a class of two, one of them with a name that a spreadsheet would compute."""
    notebooks = []
    for student, kinds in (
        (Student("=1+1 <b>", "7", "Moodle"), ["right", "wrong"] * 3),
        (Student("Zoë"), ["ended"] * 6),
    ):
        cells = [
            Cell("code", cell["source"], cell["id"], tuple(cell["metadata"].get("tags", [])))
            for cell in student_cells()
            if cell["cell_type"] == "code"
        ]
        notebook = Judged(student, CONVOLUTION, "x.ipynb", transplant(cells, CONVOLUTION))
        notebook.results = {
            task.name: {"kind": kind, "text": "<script>alert(1)</script> `x`", "errors": [], "answer": "<i>"}
            for task, kind in zip(CONVOLUTION.tasks, kinds, strict=True)
        }
        notebook.summary = f"{kinds.count('right')} of 6 right"
        notebooks.append(notebook)
    made = ClassResult(notebooks)
    made.refuse(Student("Bob", "8", "Moodle"), "Bob/x.ipynb", "no notebook: broken JSON")
    return made


def table(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))


def test_marks_have_a_row_for_each_student_and_count_points(result, tmp_path):
    (tmp_path / "points.toml").write_text("[01_convolution]\ncount_parameters = 2.5\noutput_size = 4\n")
    marks, moodle = write_marks(result, tmp_path, read_points(tmp_path / "points.toml"))
    rows = {row["name"]: row for row in table(marks)}
    assert list(rows) == ["'=1+1 <b>", "Bob", "Zoë"]
    assert [row["points"] for row in rows.values()] == ["4.5", "0", "0"]
    assert rows["Zoë"]["of"] == "10.5"
    assert rows["'=1+1 <b>"]["01_convolution: count_parameters"] == "2.5"
    assert rows["Bob"]["remarks"] == "x.ipynb: no notebook: broken JSON"
    assert rows["Bob"]["01_convolution: count_parameters"] == ""
    assert [(row["Identifier"], row["Grade"]) for row in table(moodle)] == [
        ("Participant 7", "4.5"),
        ("Participant 8", "0"),
    ]
    # The columns without which Moodle's importgradeslib.php refuses a file.
    assert {"Identifier", "Grade", "Last modified (grade)"} <= table(moodle)[0].keys()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1_convolution]", "Did you mean '01_convolution'?"),
        ("[01_convolution]\noutput_sizes = 1", "Did you mean 'output_size'?"),
        ("[01_convolution]\noutput_size = -1", "must be a number of at least 0"),
        ("[01_convolution]\noutput_size = 'two'", "must be a number"),
        ("output_size = 1", "'01_convolution'"),
        ("01_convolution = 3", "must be a table for each notebook"),
        ("[", "a file in TOML"),
    ],
)
def test_points_that_fit_no_exercise_are_named(tmp_path, text, says, capsys):
    (tmp_path / "points.toml").write_text(text)
    words = ["grade", str(tmp_path), "--out", str(tmp_path / "out"), "--points", str(tmp_path / "points.toml")]
    assert cli.main(words) == 2
    assert says in capsys.readouterr().err


def test_pages_show_what_students_wrote_as_text_and_link_to_the_feedback_of_each(result, tmp_path):
    result.notebooks[1].answers["stem_field"].cells = ["</pre><script>alert(2)</script>"]
    page = write_pages(result, tmp_path, read_points())
    pages = {path.name: path.read_text(encoding="utf-8") for path in [page, *(tmp_path / "feedback").iterdir()]}
    assert sorted(pages) == ["Bob_8.html", "Zoë.html", "_1_1 _b__7.html", "class.html"]
    assert not any("<script" in text or "<i>" in text for text in pages.values())
    assert "2 × &lt;script&gt;" in pages["class.html"]
    assert "feedback/Zo%C3%AB.html" in pages["class.html"]
    assert "no notebook: broken JSON" in pages["class.html"]
    assert "3 of 6 points" in pages["_1_1 _b__7.html"]


@pytest.mark.parametrize(
    ("names", "pages"),
    [(["Anna", "anna"], ["Anna.html", "anna (2).html"]), (["../x", "…"], [".._x.html", "_.html"])],
)
def test_pages_of_students_have_names_of_their_own(names, pages):
    assert [name.lstrip("_.") for name in page_names(map(Student, names)).values()] == [
        page.lstrip("_.") for page in pages
    ]


@pytest.mark.parametrize(
    ("source", "out", "says"),
    [
        ("nothing", "out", "must be a folder or a .zip"),
        ("file", "out", "must be a folder or a .zip"),
        ("empty", "out", "must be a folder or a .zip with notebooks in it"),
        ("in", "in/out", "must be a folder outside the submissions"),
        ("in", "file", "must be a folder; it is made if need be"),
        ("in", "other", "must be a new or empty folder, or one that `grade` has written"),
    ],
)
def test_folders_that_cannot_be_are_named_and_nothing_is_written(tmp_path, capsys, source, out, says):
    hand_in(tmp_path / "in", Anna=[])
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(["grade", str(tmp_path / source), "--out", str(tmp_path / out), "--trust"]) == 2
    assert says in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_the_command_names_what_could_not_be_judged(tmp_path, capsys):
    hand_in(tmp_path / "in", Anna=[{"cell_type": "code", "source": "import torch"}])
    assert cli.main(["grade", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--trust"]) == 0
    said = capsys.readouterr().out
    assert "Anna/01_convolution.ipynb: a notebook of another course" in said
    assert "0 notebooks judged" in said
    assert table(tmp_path / "out" / "marks.csv")[0]["name"] == "Anna"


# Slow


@pytest.mark.slow
def test_a_class_with_every_damage_gets_the_marks_that_are_known(tmp_path):
    known = grade_class.make_class(tmp_path / "class.zip", 24)
    words = [
        "grade",
        str(tmp_path / "class.zip"),
        "--out",
        str(tmp_path / "out"),
        *(["--trust"] if WHY_NOT else []),
    ]
    assert cli.main(words) == 0
    assert grade_class.wrong_marks(tmp_path / "out" / "marks.csv", known) == []


@pytest.mark.slow
def test_our_own_solutions_of_every_notebook_are_right_with_the_statements_that_they_need(tmp_path):
    for topic in map(read_topic, [f"{number:02}" for number in range(1, 17)]):
        (tmp_path / "in" / topic.name).mkdir(parents=True)
        cells = student_cells(topic, **{task.name: solved(task.name, topic) for task in topic.tasks})
        (tmp_path / "in" / topic.name / "x.ipynb").write_text(json.dumps({"cells": cells}))
    result = grade(tmp_path / "in", tmp_path / "out", trust=bool(WHY_NOT))
    assert not result.problems
    assert {notebook.topic.name: notebook.summary for notebook in result.notebooks} == {
        notebook.topic.name: f"{len(notebook.answers)} of {len(notebook.answers)} right"
        for notebook in result.notebooks
    }
    assert len(result.notebooks) == 16
    remarks = [text for notebook in result.notebooks for text in remarks_of(notebook)]
    assert remarks == []


HOSTILE = {
    "endless loop": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "memory": "x = []\nwhile True: x.append(bytearray(50_000_000))",
    "shared memory": "import mmap\nm = mmap.mmap(-1, 20 * 2**30)\nfor i in range(0, len(m), 4096): m[i] = 1",
    "forks": "import os\nwhile True: os.fork()",
    "disk": "f = open('/tmp/x', 'wb')\nwhile True: f.write(bytes(10_000_000))",
    "passwd": "open('/etc/passwd').read()",
    "network": "import urllib.request\nurllib.request.urlopen('http://1.1.1.1', timeout=5)",
    "parent": "import os, signal\nos.kill(os.getppid(), 9)\nos.kill(-1, 9)",
    "output": "while True: print('x' * 10_000)",
    "channel": "import contextlib, os\nwhile True:\n  with contextlib.suppress(OSError): os.write(5, b'x')",
    "model": "m = keras.Sequential([keras.Input((50_000,)), layers.Dense(50_000)])",
    "recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef f(x): return f(x)\nf(1)",
    "exit": "import os\nos._exit(0)",
    "thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(10_000,)).start()",
    "crash": "import ctypes\nctypes.string_at(0)",
}


@pytest.mark.slow
@needs_container
def test_hostile_submissions_among_good_ones_are_named_and_all_others_are_judged(tmp_path):
    hostile = {
        f"Evil {name}": student_cells(count_parameters=code, stem_field=solved("stem_field"))
        for name, code in HOSTILE.items()
    }
    good = {f"Good {number}": student_cells(stem_field=solved("stem_field")) for number in range(3)}
    (tmp_path / "in" / "Good 0").mkdir(parents=True)
    (tmp_path / "in" / "Good 0" / "notes.txt").write_text("a neighbour's file")
    for name, cells in (hostile | good).items():
        (tmp_path / "in" / name).mkdir(exist_ok=True)
        (tmp_path / "in" / name / "01_convolution.ipynb").write_text(json.dumps({"cells": cells}))
    result = grade(tmp_path / "in", tmp_path / "out", limits=Limits(seconds=20))
    assert not result.problems
    for notebook in result.notebooks:
        assert notebook.results["stem_field"]["kind"] == "right", notebook.student
        first = notebook.results["count_parameters"]
        if notebook.student.name.startswith("Evil"):
            assert first["kind"] == "ended" or first["errors"], notebook.student


def parents():
    """Return the parent of every process."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True).stdout.split()
    return dict(zip(map(int, listed[::2]), map(int, listed[1::2]), strict=True))


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_with_the_same_marks_and_judges_nothing_twice(tmp_path):
    grade_class.make_class(tmp_path / "class.zip", 8, topics=("01_convolution",))
    words = [str(tmp_path / "class.zip"), "--jobs", "2", *(["--trust"] if WHY_NOT else [])]
    program = "import sys\nfrom kerascv_course import cli\nsys.exit(cli.main(['grade', *sys.argv[1:]]))"
    killed = subprocess.Popen([sys.executable, "-c", program, *words, "--out", str(tmp_path / "killed")])
    kept = tmp_path / "killed" / "judged"
    while len(list(kept.glob("*.json"))) < 2:
        time.sleep(0.1)
        assert killed.poll() is None
    started = [pid for pid, parent in parents().items() if parent == killed.pid]
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    if not WHY_NOT:
        time.sleep(5)
        assert started
        assert not parents().keys() & set(started)  # nobody is left
    before = {path: path.stat().st_mtime_ns for path in kept.glob("*.json")}
    for name in ("killed", "whole"):
        assert (
            subprocess.run([sys.executable, "-c", program, *words, "--out", str(tmp_path / name)]).returncode == 0
        )
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (tmp_path / "killed" / "marks.csv").read_text() == (tmp_path / "whole" / "marks.csv").read_text()
