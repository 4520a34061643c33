"""What a class hands in: who is who, which attempt is the newest, and what is not read."""

import io
import json
import os
import random
import unicodedata
import zipfile

import pytest

from kerascv_course.grading import files
from kerascv_course.grading.files import Cell, HandedIn, find_notebooks, read_cells
from kerascv_course.grading.judging import sort_out
from kerascv_course.grading.names import Student, attempt_of, name_students, newest

REPORT = "Bob_2_assignsubmission_file_/report.pdf"
TOPICS = ["01_convolution", "02_lenet_cifar10"]
LENET = {
    "cells": [
        {"cell_type": "code", "source": "from kerascv_course.exercises import lenet_cifar10 as ex"},
        {"cell_type": "markdown", "source": "### Exercise 1: Predict"},
        {"cell_type": "code", "source": "dense1_parameters = 48_120"},
    ]
}


def archive_of(members, path=None):
    """Return an archive, as bytes or written to a path."""
    target = io.BytesIO() if path is None else path
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content if isinstance(content, bytes | str) else json.dumps(content))
    return target.getvalue() if path is None else path


def problems_of(found):
    return {problem.where: problem.why for problem in found.problems}


# Names


@pytest.mark.parametrize(
    ("paths", "students"),
    [
        (["Anna Rossi_12345_assignsubmission_file_/02_lenet.ipynb"], [("Anna Rossi", "12345")]),
        (["all/Anna Rossi_12345_assignsubmission_file_02_lenet.ipynb"], [("Anna Rossi", "12345")]),
        (["G1-Bob_7_assignsubmission_file_/hw.zip/hw/x.ipynb"], [("G1-Bob", "7")]),
        (["rossianna_1234_5678_02_lenet-1.ipynb"], [("rossianna", "1234")]),
        (["rossianna_LATE_1234_5678_02_lenet.ipynb"], [("rossianna", "1234")]),
        (["w/Anna/02.ipynb", "w/Bob/02.ipynb"], [("Anna", ""), ("Bob", "")]),
        (["w/Anna 123456/02.ipynb", "w/Bob/a/b/02.ipynb"], [("Anna", "123456"), ("Bob", "")]),
        (
            ["G1/Anna/02.ipynb", "G1/Bob/02.ipynb", "G2/Cem/02.ipynb"],
            [("G1 / Anna", ""), ("G1 / Bob", ""), ("G2", "")],
        ),
        (["Anna - 02_lenet_cifar10.ipynb", "02_lenet_cifar10_Bob (1).ipynb"], [("Anna", ""), ("Bob", "")]),
        (["Copy of Copy of 02_lenet_cifar10 Zoë.ipynb"], [("Zoë", "")]),
        (
            ["c/02_lenet_cifar10.ipynb", "c/02_lenet_cifar10 (1).ipynb"],
            [("02_lenet_cifar10", ""), ("02_lenet_cifar10 (1)", "")],
        ),
        (["anna/02_lenet_cifar10.ipynb"], [("anna", "")]),
        (
            ["Rossi_11_assignsubmission_file_/a.ipynb", "Rossi_12_assignsubmission_file_/a.ipynb"],
            [("Rossi", "11"), ("Rossi", "12")],
        ),
    ],
)
def test_students_are_known_by_what_platforms_and_people_write_into_paths(paths, students):
    found = name_students(dict.fromkeys(paths, "02_lenet_cifar10"), TOPICS)
    assert [(found[path].name, found[path].id) for path in paths] == students


@pytest.mark.parametrize(
    ("places", "judged"),
    [
        ([("a.ipynb", 0), ("a (1).ipynb", 0)], "a (1).ipynb"),
        ([("a (2).ipynb", 0), ("a (10).ipynb", 30)], "a (10).ipynb"),
        ([("a-1.ipynb", 0), ("a-2.ipynb", 0)], "a-2.ipynb"),
        ([("a (1).ipynb", 0), ("a.ipynb", 3600)], "a.ipynb"),  # an hour later, whatever the name says
        ([("old/a.ipynb", 0), ("new/a.ipynb", 20)], "new/a.ipynb"),
    ],
)
def test_of_several_attempts_the_newest_is_judged(places, judged):
    assert newest([HandedIn(path, when, []) for path, when in places]).path == judged
    assert attempt_of("x/a (3).ipynb") == 3


def test_the_attempts_that_are_not_judged_are_named(tmp_path):
    names = ["02_lenet_cifar10.ipynb", "02_lenet_cifar10 (1).ipynb"]
    members = {f"Anna_1_assignsubmission_file_/{name}": LENET for name in names}
    result = sort_out(find_notebooks(archive_of(members, tmp_path / "class.zip")))
    assert [notebook.path.rsplit("/", 1)[-1] for notebook in result.notebooks] == [names[1]]
    assert result.notebooks[0].notes == [f"2 attempts: judged is the newest, {names[1]}, not {names[0]}."]
    assert result.problems == []


def test_two_students_of_one_name_stay_two_and_are_named(tmp_path):
    members = {f"Anna Rossi_{number}_assignsubmission_file_/x.ipynb": LENET for number in (11, 12)}
    result = sort_out(find_notebooks(archive_of(members, tmp_path / "class.zip")))
    assert [notebook.student.id for notebook in result.notebooks] == ["11", "12"]
    assert [problem.why for problem in result.problems] == [
        f"2 students have this name: this one is {n}" for n in (11, 12)
    ]


def test_a_name_in_two_forms_of_unicode_is_one_student(tmp_path):
    for form, name in (("NFC", "x.ipynb"), ("NFD", "x (1).ipynb")):
        folder = tmp_path / "class" / unicodedata.normalize(form, "Zoë")
        folder.mkdir(parents=True)
        (folder / name).write_text(json.dumps(LENET))
    (tmp_path / "class" / "Bob").mkdir()
    (tmp_path / "class" / "Bob" / "x.ipynb").write_text(json.dumps(LENET))
    notebooks = sort_out(find_notebooks(tmp_path / "class")).notebooks
    assert [notebook.student.name for notebook in notebooks] == ["Bob", unicodedata.normalize("NFC", "Zoë")]


def test_a_student_without_a_notebook_is_not_lost(tmp_path):
    members = {"Anna_1_assignsubmission_file_/x.ipynb": LENET, REPORT: b"%PDF"}
    result = sort_out(find_notebooks(archive_of(members, tmp_path / "class.zip")))
    assert result.problems == [
        (REPORT, "no notebook and no .zip, and nothing else of this student's can be judged")
    ]
    assert [student.name for student in result.students] == ["Anna", "Bob"]


# Reading


def test_archives_in_archives_are_read_as_platforms_make_them(tmp_path):
    inner = archive_of(
        {"hw/02.ipynb": LENET, "__MACOSX/hw/._02.ipynb": b"\0", "hw/.ipynb_checkpoints/02.ipynb": LENET}
    )
    outer = archive_of({"Anna_1_assignsubmission_file_/hw.zip": inner}, tmp_path / "class.zip")
    found = find_notebooks(outer)
    assert [notebook.path for notebook in found.notebooks] == ["Anna_1_assignsubmission_file_/hw.zip/hw/02.ipynb"]
    assert not found.problems


def test_names_in_utf8_that_an_archiver_has_not_marked_are_read(tmp_path):
    path = archive_of({"Zoe_1_assignsubmission_file_/x.ipynb": LENET}, tmp_path / "class.zip")
    path.write_bytes(path.read_bytes().replace(b"Zoe_1_", "Zoë_".encode() + b"1_"[1:]))  # of the same length
    assert find_notebooks(path).notebooks[0].path.startswith("Zoë_")


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("../../evil.ipynb", LENET, "its name leads out of the archive"),
        ("/etc/evil.ipynb", LENET, "its name leads out of the archive"),
        ("C:\\evil.ipynb", LENET, "its name leads out of the archive"),
        ("a/bomb.ipynb", b"0" * 2_000_000, "a zip bomb, not read"),
        ("a/bomb.zip", archive_of({"x.ipynb": b"0" * 2_000_000}), "a zip bomb, not read"),
        ("a/large.ipynb", random.Random(0).randbytes(1_000_001), "1 MB: more than the 0 MB that are read"),
        ("a/broken.ipynb", b'{"cells": [', "broken JSON (Expecting value: line 1 column 12"),
        ("a/empty.ipynb", b"", "broken JSON (Expecting value: line 1 column 1"),
        ("a/list.ipynb", b"[1, 2]", "JSON without a list of cells"),
        ("a/picture.ipynb", b"\xff\xd8\xff", "its text is not UTF-8"),
        ("a/deep.ipynb", b"[" * 200_000, "broken JSON (maximum recursion depth exceeded"),
        ("a/fake.zip", b"no archive", "no .zip that can be opened"),
        (
            "a/4/deep.zip",
            archive_of({"b.zip": archive_of({"c.zip": archive_of({"d.zip": archive_of({})})})}),
            "beyond 3 levels deep",
        ),
    ],
)
def test_what_cannot_be_read_gets_a_line_of_its_own_and_the_rest_is_read(
    tmp_path, monkeypatch, name, content, why
):
    monkeypatch.setattr(files, "LARGEST_NOTEBOOK", 1_000_000)
    path = archive_of({name: content, "Bob_1_assignsubmission_file_/x.ipynb": LENET}, tmp_path / "class.zip")
    found = find_notebooks(path)
    assert [notebook.path[:5] for notebook in found.notebooks] == ["Bob_1"]
    ((where, said),) = problems_of(found).items()
    assert why in said
    assert where.startswith(name.replace("\\", "/"))
    assert sorted(tmp_path.iterdir()) == [path]  # nothing was unpacked, here or above


def test_links_are_not_followed(tmp_path):
    secret = tmp_path / "secret.ipynb"
    secret.write_text(json.dumps(LENET))
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "x.ipynb").symlink_to(secret)
    assert problems_of(find_notebooks(tmp_path / "class")) == {"x.ipynb": "a link or no plain file: not followed"}
    link = zipfile.ZipInfo("x.ipynb")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "class.zip", "w") as archive:
        archive.writestr(link, str(secret))
    assert problems_of(find_notebooks(tmp_path / "class.zip")) == {"x.ipynb": "a link: not followed"}


def test_a_member_that_is_larger_than_it_says_is_not_read(tmp_path):
    path = archive_of({"a/x.ipynb": LENET}, tmp_path / "class.zip")
    size = len(json.dumps(LENET))
    path.write_bytes(path.read_bytes().replace(size.to_bytes(4, "little"), (size - 9).to_bytes(4, "little")))
    found = find_notebooks(path)
    assert not found.notebooks
    assert "cannot be unpacked" in problems_of(found)["a/x.ipynb"]


def test_an_archive_of_more_than_is_read_in_all_ends_with_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_SUM", 1_000)
    found = find_notebooks(archive_of({f"{number}/x.ipynb": LENET for number in range(9)}, tmp_path / "class.zip"))
    assert 0 < len(found.notebooks) < 9
    assert len(found.notebooks) + len(found.problems) == 9


@pytest.mark.parametrize(
    "notebook",
    [
        {
            "cells": [
                {
                    "cell_type": "code",
                    "source": ["x = 1\r\n", "y = 2"],
                    "metadata": {"id": "abc", "tags": ["exercise"]},
                }
            ]
        },
        {
            "worksheets": [
                {
                    "cells": [
                        {
                            "cell_type": "code",
                            "input": "x = 1\ny = 2",
                            "metadata": {"id": "abc", "tags": ["exercise"]},
                        }
                    ]
                }
            ]
        },
        {
            "cells": [
                7,
                {"cell_type": "raw", "source": ""},
                {"cell_type": "code", "source": "x = 1\ny = 2", "id": "abc", "metadata": {"tags": ["exercise"]}},
            ]
        },
    ],
)
def test_notebooks_of_every_version_give_the_same_cells(notebook):
    assert read_cells(b"\xef\xbb\xbf" + json.dumps(notebook).encode()) == [
        Cell("code", "x = 1\ny = 2", "abc", ("exercise",))
    ]


def test_a_notebook_of_another_course_is_named(tmp_path):
    other = {"cells": [{"cell_type": "code", "source": "import torch"}]}
    os.makedirs(tmp_path / "class" / "Anna")
    (tmp_path / "class" / "Anna" / "x.ipynb").write_text(json.dumps(other))
    result = sort_out(find_notebooks(tmp_path / "class"))
    assert result.notebooks == []
    assert "a notebook of another course" in result.problems[0].why
    assert result.students == {Student("Anna"): []}
