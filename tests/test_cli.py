"""The command line: what it prints, where it writes, and its exit statuses."""

import io
import os
import re
import sys
from pathlib import Path

import nbformat
import pytest

from kerascv_course import __version__, cli, notebooks
from kerascv_course.cli import run
from kerascv_course.notebooks import execute, source

LESSON = """\
# %% [markdown]
# # A lesson

# %%
from types import SimpleNamespace

ex = SimpleNamespace(one=SimpleNamespace(check=print))

# %% tags=["exercise"]
# ### One

# student: answer = None
# solution
answer = 42
# end solution

ex.one.check(answer)

# %% tags=["summary"]
import os
print(f"The answer is {answer}, profile {os.environ.get('KERASCV_COURSE_PROFILE')}.")
"""


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Give the command line three small notebooks in place of its own, and an empty working folder."""
    folder = tmp_path / "notebooks" / "source"
    folder.mkdir(parents=True)
    for name in ("01_lesson", "02_lenet", "03_lenet_again"):
        (folder / f"{name}.py").write_text(LESSON, encoding="utf-8")
    monkeypatch.setattr(source, "source_folder", lambda: folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KERASCV_COURSE_PROFILE", raising=False)
    return folder


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# list


@pytest.mark.smoke
def test_list_shows_name_and_title_of_each_notebook(sources, capsys):
    assert cli.main(["list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "01_lesson       A lesson",
        "02_lenet        A lesson",
        "03_lenet_again  A lesson",
        "",
        "Run one with: kerascv-course run NAME",
    ]


def test_list_shows_the_notebooks_of_the_course(capsys):
    assert cli.main(["list"]) == 0
    out = capsys.readouterr().out
    assert "01_convolution" in out
    assert "02_lenet_cifar10" in out


# run


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("name", "candidates"),
    [
        ("resnet", "01_lesson, 02_lenet, 03_lenet_again"),
        ("lenet", "02_lenet, 03_lenet_again"),
        ("7", "01_lesson, 02_lenet, 03_lenet_again"),
        ("", "01_lesson, 02_lenet, 03_lenet_again"),
    ],
)
def test_run_of_a_name_that_is_not_one_notebook_lists_the_candidates(sources, capsys, name, candidates):
    assert cli.main(["run", name]) == 2
    captured = capsys.readouterr()
    message = f"`notebook` of `run` must be the name of one notebook: {candidates}. Received: notebook={name!r}.\n"
    assert captured.err == message
    assert captured.out == ""
    assert not Path("kerascv-course-runs").exists()


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_what_the_encoding_of_a_file_lacks_is_replaced(sources, monkeypatch, encoding):
    path = next(sources.glob("*.py"))
    path.write_text(
        re.sub("(?m)^# # .*$", "# # 1 \u2192 2", path.read_text(encoding="utf-8"), count=1), encoding="utf-8"
    )
    file = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(file, encoding=encoding))
    assert cli.main(["list"]) == 0
    sys.stdout.flush()
    assert b"1 ? 2" in file.getvalue()


def test_run_refuses_an_output_that_is_a_file(sources, capsys):
    Path("taken").write_text("mine")
    assert cli.main(["run", "lesson", "--output", "taken"]) == 2
    error = capsys.readouterr().err
    assert error == "`--output` of `run` must be a folder; it is made if need be. Received: --output='taken'.\n"
    assert Path("taken").read_text() == "mine"


def test_run_executes_the_solved_notebook_and_says_what_came_out(sources, capsys, tmp_path):
    assert cli.main(["run", "1", "--profile", "smoke"]) == 0
    captured = capsys.readouterr()
    folder = tmp_path / "kerascv-course-runs" / "01_lesson"
    lines = captured.out.splitlines()
    assert lines[:4] == ["01_lesson: A lesson", f"Into {folder}", "", f"cell  1/5  {first_line(sources)}"]
    assert "cell  3/5  answer = 42" in lines
    assert "cell  5/5  import os" in lines
    assert "The answer is 42, profile smoke." in lines
    assert lines[-1].startswith("Time: ")
    assert "Notebook: kerascv-course-runs" in captured.out
    assert "01_lesson.html" in captured.out
    assert captured.err == ""
    assert files_below(folder) == ["01_lesson.html", "01_lesson.ipynb"]


def first_line(sources):
    notebook = source.make_notebook(source.find_source("1", sources), "solved")
    return next(cell for cell in notebook.cells if cell.cell_type == "code").source.splitlines()[0].lstrip("# ")


def test_run_ends_with_1_and_the_place_where_a_cell_fails(sources, capsys):
    (sources / "01_lesson.py").write_text(LESSON.replace("answer = 42", "answer = nothing"), encoding="utf-8")
    assert cli.main(["run", "lesson", "--output", "here"]) == 1
    captured = capsys.readouterr()
    assert captured.err.strip().splitlines() == [
        "Cell 3 of 5, line 1: answer = nothing",
        "NameError: name 'nothing' is not defined",
    ]
    assert "The answer" not in captured.out
    assert "Time:" not in captured.out
    assert files_below(Path("here")) == ["01_lesson.html", "01_lesson.ipynb"]


def test_epochs_and_long_cells_are_shown(capsys):
    run._show(execute.Progress("start", 3, 12, "history = fit()" + "x" * 100, 0.0))
    run._show(execute.Progress("epoch", 3, 12, "epoch 1/2 - 1s - loss: 0.7", 0.9))
    run._show(execute.Progress("done", 3, 12, "history", 0.99))  # short: not worth a line
    run._show(execute.Progress("done", 3, 12, "history", 1.0))
    run._show(execute.Progress("done", 3, 12, "history", 61.24))
    assert capsys.readouterr().out.splitlines() == [
        f"cell  3/12  history = fit(){'x' * 75}",
        "            epoch 1/2 - 1s - loss: 0.7",
        "            done in 1.0 s",
        "            done in 61.2 s",
    ]


def test_ctrl_c_outside_of_a_run_ends_with_130(monkeypatch, capsys):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(source, "list_sources", interrupt)
    assert cli.main(["list"]) == 130
    assert "Interrupted." in capsys.readouterr().err


# build


@pytest.mark.smoke
def test_build_check_is_1_while_files_are_stale_and_0_after_a_build(sources, capsys):
    assert cli.main(["build", "--check"]) == 1
    out = capsys.readouterr().out
    assert out.count("stale: ") == 6
    assert f"stale: {Path('notebooks') / '01_lesson.ipynb'}" in out
    assert "Run `kerascv-course build`" in out
    assert files_below(Path("notebooks")) == [
        f"source/{name}.py" for name in ("01_lesson", "02_lenet", "03_lenet_again")
    ]

    assert cli.main(["build"]) == 0
    assert capsys.readouterr().out.count("has no outputs now: `kerascv-course build --execute` runs it.") == 3
    assert len(files_below(Path("notebooks"))) == 9

    assert cli.main(["build", "--check"]) == 0
    assert capsys.readouterr().out == "All generated notebooks are up to date.\n"


def test_build_writes_a_set_without_solutions_and_nothing_else(sources, tmp_path, capsys):
    assert cli.main(["build", "--no-solutions", "set"]) == 0
    names = [f"{name}.ipynb" for name in ("01_lesson", "02_lenet", "03_lenet_again")]
    assert capsys.readouterr().out.splitlines() == [str(Path("set", name)) for name in names]
    assert files_below(Path("set")) == names
    assert len(files_below(Path("notebooks"))) == 3


@pytest.mark.parametrize("option", ["--check", "--execute"])
def test_a_set_without_solutions_is_neither_checked_nor_executed(sources, capsys, option):
    assert cli.main(["build", "--no-solutions", "set", option]) == 2
    assert "`--no-solutions` cannot be combined" in capsys.readouterr().err
    assert not Path("set").exists()


def test_a_set_without_solutions_needs_a_folder(sources, capsys):
    Path("set").write_text("a file")
    assert cli.main(["build", "--no-solutions", "set"]) == 1
    assert "set" in capsys.readouterr().err


def test_build_check_changes_nothing(sources):
    cli.main(["build"])
    (sources / "01_lesson.py").write_text(LESSON + "\n# %%\nmore = 1\n", encoding="utf-8")
    before = {path: Path("notebooks", path).read_bytes() for path in files_below(Path("notebooks"))}
    assert cli.main(["build", "--check"]) == 1
    assert {path: Path("notebooks", path).read_bytes() for path in files_below(Path("notebooks"))} == before


def test_build_works_on_the_folder_that_is_named(sources, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    assert cli.main(["build", "--check", "--folder", str(tmp_path / "notebooks")]) == 1
    assert cli.main(["build", "--folder", str(tmp_path / "notebooks")]) == 0
    assert cli.main(["build", "--check", "--folder", str(tmp_path / "notebooks")]) == 0


def test_build_execute_keeps_the_outputs_of_the_solved_notebooks_only(sources, capsys):
    assert cli.main(["build", "--execute", "lesson", "--profile", "smoke"]) == 0  # that one alone
    solved = nbformat.read(Path("notebooks/solutions/01_lesson.ipynb"), as_version=4)
    assert solved.cells[-1].outputs[0].text == "The answer is 42, profile smoke.\n"
    student = nbformat.read(Path("notebooks/01_lesson.ipynb"), as_version=4)
    assert not any(cell.get("outputs") for cell in student.cells)
    assert cli.main(["build", "--check"]) == 0
    capsys.readouterr()
    assert cli.main(["build"]) == 0  # no code has changed: the outputs stay
    without = re.findall(r"(\w+)\.ipynb has no outputs", capsys.readouterr().out)
    assert without == ["02_lenet", "03_lenet_again"]


def test_build_execute_of_a_notebook_that_does_not_exist_names_those_that_do(sources, capsys):
    assert cli.main(["build", "--execute", "resnet"]) == 1
    assert "01_lesson, 02_lenet, 03_lenet_again" in capsys.readouterr().err
    assert not Path("notebooks/solutions").exists()


def test_build_execute_that_fails_is_told_and_keeps_no_half_run_notebook(sources, capsys):
    for extra in ("02_lenet", "03_lenet_again"):
        (sources / f"{extra}.py").unlink()
    (sources / "01_lesson.py").write_text(LESSON.replace("answer = 42", "answer = nothing"), encoding="utf-8")
    assert cli.main(["build", "--execute"]) == 1
    assert "Cell 3 of 5, line 1: answer = nothing" in capsys.readouterr().err
    solved = nbformat.read(Path("notebooks/solutions/01_lesson.ipynb"), as_version=4)
    assert not any(cell.get("outputs") for cell in solved.cells)


@pytest.mark.parametrize("arguments", [["build"], ["build", "--check"], ["build", "--execute"]])
def test_build_where_there_is_no_source_says_so(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 1
    assert capsys.readouterr().err == f"No notebook source (NN_topic.py) in {Path('notebooks', 'source')}.\n"
    assert list(tmp_path.iterdir()) == []


def test_build_of_a_source_that_breaks_a_rule_names_it_and_writes_nothing(sources, capsys):
    (sources / "02_lenet.py").write_text('# %% tags=["solved"]\nx = 1\n', encoding="utf-8")
    assert cli.main(["build"]) == 1
    assert "Unknown tag ['solved'] in cell 1 of 02_lenet.py" in capsys.readouterr().err
    assert list(Path("notebooks").glob("*.ipynb")) == []


# doctor


def test_doctor_prints_a_line_per_subject_and_an_arrow_per_advice(monkeypatch, capsys):
    monkeypatch.delenv("KERASCV_COURSE_DATA", raising=False)
    monkeypatch.setenv("KERASCV_COURSE_PROFILE", "huge")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"))
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"kerascv_course       {__version__}" in lines
    assert any(line.startswith("Keras                3.") for line in lines)
    (profile,) = [number for number, line in enumerate(lines) if line.startswith("Profile ")]
    assert lines[profile].split() == ["Profile", "not", "valid"]
    assert lines[profile + 1].startswith(" " * 21 + "-> `KERASCV_COURSE_PROFILE` of `profile` must be")


# The rest


@pytest.mark.smoke
def test_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"kerascv_course {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["train"], "invalid choice: 'train'"),
        (["run"], "notebook"),
        (["run", "lenet", "--profile", "huge"], "invalid choice: 'huge'"),
        (["list", "--all"], "unrecognized arguments: --all"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def without(monkeypatch):
    """Return a function that makes a package look as if it were not installed."""
    ours = {
        name: sys.modules[f"kerascv_course.notebooks.{name}"] for name in ("source", "build", "execute", "page")
    }

    def hide(package):
        hidden = [name for name in sys.modules if name.split(".")[0] == package]
        for name in [*hidden, *(f"kerascv_course.notebooks.{name}" for name in ours)]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, package, None)

    yield hide
    for name, module in ours.items():  # what was imported anew is also an attribute of its package
        setattr(notebooks, name, module)


@pytest.mark.parametrize(
    "package", ["jupytext", "nbformat", "nbclient", "nbconvert", "jupyter_client", "latex2mathml"]
)
def test_a_missing_notebook_package_is_answered_with_the_command_that_installs_it(
    without, capsys, tmp_path, package
):
    without(package)
    assert cli.main(["run", "lenet", "--output", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f'This needs {package}: pip install "kerascv_course[notebooks]"\n'
    assert not (tmp_path / "out").exists()


def test_any_other_missing_package_is_not_hidden_behind_that_advice(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ModuleNotFoundError, match="keras"):
        cli.main(["doctor"])
