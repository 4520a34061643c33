"""A student's project: what `new-project` writes, what it refuses, and how `run` takes a notebook file."""

from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from kerascv_course import cli, plotting
from kerascv_course.cli.run import own_notebook
from kerascv_course.datasets import duplicates_across, load_image_folder
from kerascv_course.notebooks.source import find_source, make_notebook

WRITTEN = ["data/README.txt", "project.ipynb"]


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# new-project


@pytest.mark.smoke
@pytest.mark.parametrize("folder", ["mine", "made/on/the way", "empty"])
def test_a_new_project_is_the_template_alone_and_a_folder_for_data(tmp_path, monkeypatch, capsys, folder):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    assert cli.main(["new-project", folder]) == 0
    assert files_below(Path(folder)) == WRITTEN
    assert sorted(path.name for path in Path(folder).iterdir()) == ["data", "project.ipynb"]
    written = nbformat.read(Path(folder) / "project.ipynb", as_version=4)
    nbformat.validate(written)
    course = [cell.source for cell in make_notebook(find_source("15_project_template")).cells]
    course[1] = course[1].partition("\n\n- **You will be able to**")[0]  # the head is the course's
    *template, summary = [cell.source for cell in written.cells]
    assert template == course[: len(template)]
    assert course[len(template)].startswith("## Appendix")
    assert "Report:" in summary
    assert written.cells[-1].metadata.tags == ["summary"]
    assert not any(word in cell for cell in [*template, summary] for word in ("sea lion", "xercise", "ex."))
    assert not any(cell.get("outputs") for cell in written.cells)
    readme = (Path(folder) / "data" / "README.txt").read_text(encoding="utf-8")
    assert "data/train/cat/one.jpg" in readme
    assert "synthetic" in readme
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        ("mine", f"    kerascv-course run {Path('mine', 'project.ipynb')}"),
        ("my project", f'    kerascv-course run "{Path("my project", "project.ipynb")}"'),
    ],
)
def test_the_last_line_is_the_command_that_runs_it(tmp_path, monkeypatch, capsys, folder, command):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["new-project", folder]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == command


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("held", "said"),
    [
        (["notes.txt"], "It holds notes.txt: nothing was written."),
        ([".hidden"], "It holds .hidden: nothing was written."),
        (list("cba"), "It holds a, b, c: nothing was written."),
        (list("dcba"), "It holds a, b, c and 1 more: nothing was written."),
        (["project.ipynb"], "It holds project.ipynb: nothing was written."),
    ],
)
def test_a_folder_that_is_not_empty_is_refused_and_left_alone(tmp_path, monkeypatch, capsys, held, said):
    monkeypatch.chdir(tmp_path)
    Path("full").mkdir()
    for name in held:
        Path("full", name).write_text("mine")
    assert cli.main(["new-project", "full"]) == 2
    message = f"`DIR` of `new-project` must be a new or an empty folder. Received: DIR='full'. {said}\n"
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", message)
    assert files_below(Path("full")) == sorted(held)
    assert {path.read_text() for path in Path("full").iterdir()} == {"mine"}


def test_a_file_is_no_folder_for_a_project_nor_is_what_lies_below_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("taken").write_text("mine")
    assert cli.main(["new-project", "taken"]) == 2
    assert "Received: DIR='taken'. That is a file." in capsys.readouterr().err
    assert cli.main(["new-project", "taken/project"]) == 1
    assert "The project cannot be written: " in capsys.readouterr().err
    assert Path("taken").read_text() == "mine"


# run, with a file


def write_notebook(path: Path, *cells: str, **metadata) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=metadata)
    notebook.cells[-1].metadata["tags"] = ["summary"]
    nbformat.write(notebook, path)


@pytest.mark.smoke
def test_a_file_is_run_in_its_folder_and_stays_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = Path("mine") / "project.ipynb"
    cells = ["from pathlib import Path\nPath('report.html').write_text('here')", "print('All done.')"]
    write_notebook(path, *cells, title="My project")
    before = path.read_bytes()
    assert cli.main(["run", str(path)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[:2] == ["project_executed: My project", f"Into {tmp_path / 'mine'}"]
    assert "\nAll done.\n" in out
    assert path.read_bytes() == before
    names = ["project.ipynb", "project_executed.html", "project_executed.ipynb", "report.html"]
    assert files_below(tmp_path) == [f"mine/{name}" for name in names]
    executed = nbformat.read(Path("mine") / "project_executed.ipynb", as_version=4)
    assert executed.cells[1].outputs[0].text == "All done.\n"


def test_a_cell_of_ones_own_that_fails_is_told_as_any_other(tmp_path, capsys):
    write_notebook(tmp_path / "project.ipynb", "print('first')", "x = nothing", "print('last')")
    assert cli.main(["run", str(tmp_path / "project.ipynb")]) == 1
    assert "Cell 2 of 3, line 1: x = nothing\nNameError: " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["here/none.ipynb", "text.ipynb", "empty.ipynb", "list.ipynb", "dict.ipynb"])
def test_what_is_no_notebook_is_refused_with_its_name(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    for file, text in {"text": "x = 1", "empty": "", "list": "[]", "dict": '{"cells": 3}'}.items():
        Path(f"{file}.ipynb").write_text(text)
    assert cli.main(["run", str(Path(name))]) == 2
    rule = "a file that exists" if "none" in name else "a Jupyter notebook that can be read"
    assert (
        capsys.readouterr().err == f"`notebook` of `run` must be {rule}. Received: notebook={str(Path(name))!r}.\n"
    )
    assert len(files_below(tmp_path)) == 4


def test_a_notebook_of_ones_own_runs_in_its_folder_and_no_other(tmp_path, capsys):
    write_notebook(tmp_path / "project.ipynb", "x = 1")
    assert cli.main(["run", str(tmp_path / "project.ipynb"), "--output", str(tmp_path / "there")]) == 2
    assert "`--output` of `run` must be left out for a notebook of your own" in capsys.readouterr().err
    assert files_below(tmp_path) == ["project.ipynb"]


@pytest.mark.parametrize(
    ("name", "is_own"),
    [
        ("lenet", False),
        ("15", False),
        ("15_project_template.ipynb", False),  # as it is called in the repository, but not here
        ("there.ipynb", True),
        ("folder/none.ipynb", True),  # to be told that it is missing
        ("folder/15_project_template", False),
    ],
)
def test_a_name_of_the_course_is_told_from_a_file(tmp_path, monkeypatch, name, is_own):
    monkeypatch.chdir(tmp_path)
    Path("there.ipynb").write_text("{}")
    assert own_notebook(name) == (Path(name) if is_own else None)


# The project, run


def make_photographs(folder: Path) -> None:
    """Write striped and dotted pictures, one of which is in both sets, and a file that is no picture."""
    random = np.random.default_rng(0)
    for part, count in {"train": 10, "test": 4}.items():
        for kind in ("dots", "stripes"):
            (folder / part / kind).mkdir(parents=True)
            for number in range(count):
                picture = random.integers(60, 200, (48, 64, 3), dtype="uint8")
                if kind == "stripes":
                    picture[:: random.integers(4, 9)] = random.integers(0, 255, 3)
                Image.fromarray(picture).save(folder / part / kind / f"{number}.png")
    (folder / "test" / "dots" / "0.png").write_bytes((folder / "train" / "dots" / "3.png").read_bytes())
    (folder / "train" / "dots" / "broken.jpg").write_bytes(b"no picture")


def make_plain_objects(folder: Path, planted: int) -> None:
    """Write 240 photographs of balls and boxes for training, 60 for testing, and copies of the former there."""
    random, (y, x) = np.random.default_rng(0), np.mgrid[:72, :96]
    for part, count in {"train": 120, "test": 30}.items():
        for kind in ("ball", "box"):
            (folder / part / kind).mkdir(parents=True)
            for number in range(count):
                right, down, size = random.integers(30, 66), random.integers(28, 44), random.integers(12, 24)
                across = abs(np.stack([y - down, x - right]))
                apart = np.hypot(*across) if kind == "ball" else across.max(axis=0)
                picture = np.where((apart < size)[..., None], random.integers(20, 190, 3), [226, 224, 220])
                picture = picture * random.uniform(0.9, 1.05) + random.normal(0, 3, picture.shape)
                Image.fromarray(picture.clip(0, 255).astype("uint8")).save(folder / part / kind / f"{number}.jpg")
    for number in range(planted):
        copied = (folder / "train" / "ball" / f"{7 * number}.jpg").read_bytes()
        (folder / "test" / "ball" / f"copy{number}.jpg").write_bytes(copied)


@pytest.mark.parametrize("planted", [0, 5])
def test_of_plain_objects_the_copies_are_taken_out_and_nothing_else(tmp_path, planted):
    make_plain_objects(tmp_path, planted)
    data = load_image_folder(tmp_path, image_size=64)
    cells = make_notebook(find_source("15_project_template"), "project").cells
    code = next(cell.source for cell in cells if cell.cell_type == "code" and "duplicates_across(" in cell.source)
    scope = {"data": data, "names": data.class_names, "num_classes": 2, "same_in_both": [], "np": np}
    scope |= {"view": lambda images: images, "display": plt.close, "plotting": plotting}
    scope["duplicates_across"] = duplicates_across
    exec(code, scope)
    assert len(scope["exact"]) == planted
    assert len(scope["x_train"]) == len(scope["y_train"]) == 240 - planted
    for_testing = {image.tobytes() for image in data.x_test}
    assert all(image.tobytes() in for_testing for image in data.x_train[scope["exact"]])
    end = f"were taken out: {planted}." if planted else "No training image equals one of the test set."
    assert end in scope["apart"]


@pytest.fixture
def smoke_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("KERASCV_COURSE_DATA", raising=False)
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # kernels that see it capture less

    def run() -> str:
        assert cli.main(["run", "mine/project.ipynb", "--profile", "smoke"]) == 0
        return Path("mine/report.html").read_text(encoding="utf-8")

    assert cli.main(["new-project", "mine"]) == 0
    return run


@pytest.mark.slow
def test_a_project_with_photographs_ends_in_a_report_of_them(smoke_run, capsys):
    make_photographs(Path("mine/data"))
    report = smoke_run()
    assert capsys.readouterr().err == ""
    assert "images of the folder data" in report
    assert "synthetic" not in report
    assert "15 training, 4 validation and 8 test images" in report  # 19 of 20, as one is in the test set as well
    assert "Training images that are also in the test set were taken out: 1." in report
    assert "Files that were left out: 1." in report
    assert "train/dots/broken.jpg" in Path("mine/details.html").read_text(encoding="utf-8")
    assert "By hand: bag of visual words" in report
    assert "Report: " in nbformat.read("mine/project_executed.ipynb", as_version=4).cells[-1].outputs[0].text


@pytest.mark.slow
def test_a_project_without_images_ends_in_a_report_that_says_that_they_are_synthetic(smoke_run, capsys):
    report = smoke_run()
    assert capsys.readouterr().err == ""
    assert "Synthetic depth maps of parcels" in report
    assert "By hand: features of parcels" in report
