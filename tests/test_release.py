"""Where notebooks get the package from: the first cell in Colab and Kaggle, addresses, badges, handed-out sets."""

import ast
import base64
import functools
import http.server
import importlib.metadata
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_output

from kerascv_course import __version__, cli
from kerascv_course.notebooks import release
from kerascv_course.notebooks.release import Release, build_wheel, find_release, installed_from, web_address
from kerascv_course.notebooks.source import find_source, list_sources, make_notebook

WHEEL = f"kerascv_course-{__version__}-py3-none-any.whl"
GITHUB = "https://github.com/OWNER/NAME"
RELEASE = f"{GITHUB}/releases/download/v{__version__}/{WHEEL}"
BADGE = f"https://colab.research.google.com/github/OWNER/NAME/blob/v{__version__}/notebooks"
LESSON = """\
# %% [markdown]
# # A lesson

# %%
from kerascv_course.exercises import convolution as ex

start = 1
"""


@pytest.fixture(autouse=True)
def of_no_repository(monkeypatch):
    """Take away what a workflow at GitHub sets."""
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    """Return a `notebooks` folder with one small source, in the current folder."""
    folder = tmp_path / "notebooks"
    (folder / "source").mkdir(parents=True)
    (folder / "source" / "01_lesson.py").write_text(LESSON, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return folder


def lesson(folder: Path, needs: str = "[]", **of_release) -> nbformat.NotebookNode:
    """Return a small notebook that needs these packages besides the course's."""
    text = LESSON.replace("[markdown]", f"[markdown] needs={needs}")
    (folder / "07_lesson.py").write_text(text, encoding="utf-8")
    return make_notebook(find_source("07_lesson", folder), release=Release(**of_release))


def first_cells(notebook, **replaced: str) -> str:
    """Return the code before the lesson, with other folders or addresses in place of those that it knows."""
    ids = [cell.id for cell in notebook.cells]
    before = notebook.cells[: ids.index("cell-00") + 1]
    text = "\n".join(cell.source for cell in before if cell.cell_type == "code")
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    return text


@functools.cache
def real_first_cells() -> dict[str, str]:
    return {source.name: first_cells(make_notebook(source)) for source in list_sources()}


def needs_of(name: str) -> dict[str, str]:
    """Return what the first cell of a real notebook installs besides the package: requirements by name."""
    return json.loads(re.search(r"ALSO_NEEDED = (.*)", real_first_cells()[name])[1])


def badges(notebook) -> list[str]:
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return [address for text in texts for address in re.findall(r"colab-badge\.svg\)\]\((.*)\)", text)]


# The first cell, with a pip of which only the answers are made up


class Session:
    """A Python that has one folder of packages, and a pip that knows what is offered."""

    def __init__(self, site: Path) -> None:
        self.site, self.asked, self.offered = site, [], []

    def put(self, package: str, version: str) -> None:
        name = package.replace("-", "_")
        for other in self.site.glob(f"{name}-*.dist-info"):
            shutil.rmtree(other)
        (self.site / f"{name}-{version}.dist-info").mkdir()
        text = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
        (self.site / f"{name}-{version}.dist-info" / "METADATA").write_text(text)

    def pip(self, command, **options):
        assert command[:4] == [sys.executable, "-m", "pip", "install"]
        assert "--no-deps" in command  # so that nothing of Colab's own is replaced
        self.asked.append(command[-1])
        if command[-1] not in self.offered:
            return SimpleNamespace(returncode=1, stderr=f"WARNING: retrying\nERROR: no {command[-1]}\n")
        package = re.match(r"[\w-]+?(?=-\d|[^\w-]|$)", command[-1].rsplit("/", 1)[-1])[0]
        self.put(package, __version__ if package == "kerascv_course" else "9.9")
        return SimpleNamespace(returncode=0, stderr="")

    def run(self, code: str) -> list[str]:
        exec(code, {})
        return self.asked


@pytest.fixture
def session(tmp_path, monkeypatch):
    """Return a session of Colab with TensorFlow and nothing else."""
    (tmp_path / "site" / "tensorflow").mkdir(parents=True)
    (tmp_path / "site" / "tensorflow" / "__init__.py").write_text("")
    session = Session(tmp_path / "site")
    monkeypatch.setattr(sys, "path", [str(session.site)])
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setattr(subprocess, "run", session.pip)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.delenv("KAGGLE_KERNEL_RUN_TYPE", raising=False)
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab_20260819")
    return session


@pytest.mark.smoke
@pytest.mark.parametrize("place", ["COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE"])
def test_the_first_cell_installs_the_wheel_of_the_release(session, tmp_path, monkeypatch, capsys, place):
    monkeypatch.delenv("COLAB_RELEASE_TAG")
    monkeypatch.setenv(place, "Interactive")
    session.offered = [RELEASE]
    assert session.run(first_cells(lesson(tmp_path, repository=GITHUB))) == [RELEASE]
    assert capsys.readouterr().out == f"Installed: {RELEASE}\n"


@pytest.mark.smoke
def test_the_first_cell_does_nothing_elsewhere(session, tmp_path, monkeypatch):
    monkeypatch.delenv("COLAB_RELEASE_TAG")
    (session.site / "tensorflow").rename(tmp_path / "away")
    assert session.run(first_cells(lesson(tmp_path, '["keras-tuner"]', repository=GITHUB))) == []
    assert "KERAS_BACKEND" not in os.environ


def test_the_first_cell_does_nothing_where_all_is_there(session, tmp_path):
    session.put("kerascv_course", __version__)
    session.put("keras-tuner", "1.0")  # an older one than asked for: it is Colab's own, and stays
    assert session.run(first_cells(lesson(tmp_path, '["keras-tuner>=1.4.8"]', repository=GITHUB))) == []


def test_another_version_of_the_package_is_replaced(session, tmp_path):
    session.put("kerascv_course", "0.0.1")
    session.offered = [RELEASE]
    assert session.run(first_cells(lesson(tmp_path, repository=GITHUB))) == [RELEASE]


def test_a_folder_named_like_the_package_is_not_taken_for_it(session, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kerascv_course").mkdir()
    (tmp_path / "kerascv_course" / "__init__.py").write_text("")
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    session.offered = [RELEASE]
    assert session.run(first_cells(lesson(tmp_path, repository=GITHUB))) == [RELEASE]


def test_the_release_is_tried_before_the_index_and_that_before_a_file(session, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / WHEEL).write_bytes(b"")
    session.offered = [f"./{WHEEL}"]
    asked = session.run(first_cells(lesson(tmp_path, repository=GITHUB, on_index=True)))
    assert asked == [RELEASE, f"kerascv_course=={__version__}", f"./{WHEEL}"]


@pytest.mark.parametrize(
    "folder",
    [
        "/content",
        "/content/drive/MyDrive",
        "/content/drive/MyDrive/Colab Notebooks",
        "/content/drive/Shareddrives/course",
        "/kaggle/input/course",
        "/kaggle/input/datasets/teacher/course",
    ],
)
def test_a_wheel_is_found_where_a_student_puts_it(session, tmp_path, folder):
    place = tmp_path / folder[1:]
    place.mkdir(parents=True)
    (place / WHEEL).write_bytes(b"")
    session.offered = [str(place / WHEEL)]
    code = first_cells(
        lesson(tmp_path), **{'"/content': f'"{tmp_path}/content', '"/kaggle': f'"{tmp_path}/kaggle'}
    )
    assert session.run(code) == session.offered


def test_what_the_notebook_needs_besides_is_installed_where_it_is_missing(session, tmp_path):
    session.offered = [RELEASE, "keras-tuner>=1.4.8", "kt-legacy"]
    notebook = lesson(tmp_path, '["keras-tuner>=1.4.8", "mlxtend==0.23.4", "kt-legacy"]', repository=GITHUB)
    session.put("mlxtend", "0.23.1")
    assert session.run(first_cells(notebook)) == session.offered


def test_where_nothing_can_be_reached_one_error_says_what_was_tried_and_what_to_do(session, tmp_path):
    with pytest.raises(RuntimeError) as caught:
        session.run(first_cells(lesson(tmp_path, '["keras-tuner"]', repository=GITHUB)))
    assert session.asked == [RELEASE]
    lines = str(caught.value).splitlines()
    assert lines[:2] == ["kerascv_course could not be installed. Tried:", f"- {RELEASE}: ERROR: no {RELEASE}"]
    assert lines[2].startswith(f"- {WHEEL} in /tmp, ., /content, ")
    assert lines[2].endswith(": 0 found")
    assert "Is the internet on" in lines[3]
    assert "upload it beside the notebook" in lines[3]
    assert len(lines) == 4


def test_a_missing_further_package_is_an_error_too(session, tmp_path):
    session.put("kerascv_course", __version__)
    with pytest.raises(RuntimeError, match=r"^keras-tuner could not be .*\n- keras-tuner>=1: ERROR"):
        session.run(first_cells(lesson(tmp_path, '["keras-tuner>=1", "kt-legacy"]')))
    assert session.asked == ["keras-tuner>=1"]


@pytest.mark.parametrize(("chosen", "backend"), [({}, "jax"), ({"KERAS_BACKEND": "torch"}, "torch")])
def test_without_tensorflow_keras_runs_on_jax_unless_it_is_told(session, tmp_path, monkeypatch, chosen, backend):
    (session.site / "tensorflow").rename(tmp_path / "away")
    session.put("kerascv_course", __version__)
    monkeypatch.setattr(os, "environ", {"COLAB_RELEASE_TAG": "tag"} | chosen)
    session.run(first_cells(lesson(tmp_path)))
    assert os.environ["KERAS_BACKEND"] == backend


def test_with_tensorflow_keras_keeps_its_backend(session, tmp_path):
    session.put("kerascv_course", __version__)
    session.run(first_cells(lesson(tmp_path)))
    assert "KERAS_BACKEND" not in os.environ


def test_a_notebook_that_carries_the_wheel_asks_no_address(session, tmp_path):
    notebook = lesson(tmp_path, repository=GITHUB, on_index=True, wheel=bytes(range(256)) * 20)
    session.offered = [f"{tmp_path}/{WHEEL}"]
    assert session.run(first_cells(notebook, **{'"/tmp': f'"{tmp_path}'})) == session.offered
    assert (tmp_path / WHEEL).read_bytes() == bytes(range(256)) * 20
    nbformat.validate(notebook)


def test_a_notebook_that_carries_the_wheel_unpacks_nothing_elsewhere(session, tmp_path, monkeypatch):
    monkeypatch.delenv("COLAB_RELEASE_TAG")
    session.run(first_cells(lesson(tmp_path, wheel=b"wheel"), **{'"/tmp': f'"{tmp_path}'}))
    assert not (tmp_path / WHEEL).exists()


@pytest.mark.smoke
def test_the_first_cell_is_the_same_in_all_notebooks_but_for_what_they_need():
    assert len({re.sub(r"ALSO_NEEDED = .*", "", text) for text in real_first_cells().values()}) == 1
    assert needs_of("13_random_search") == {"keras-tuner": "keras-tuner>=1.4.8", "kt-legacy": "kt-legacy"}
    assert needs_of("01_convolution") == {}


# The same, with pip itself and a small wheel


def small_wheel() -> bytes:
    """Return a wheel of this name and version that holds one module."""
    about = f"kerascv_course-{__version__}.dist-info"
    files = {
        "kerascv_course/__init__.py": "answer = 42\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: kerascv_course\nVersion: {__version__}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return stream.getvalue()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Return the address of a server of releases and of an index, with the small wheel in both."""
    folder = tmp_path_factory.mktemp("served")
    for path in (f"NAME/releases/download/v{__version__}", "simple/kerascv-course"):
        (folder / path).mkdir(parents=True)
        (folder / path / WHEEL).write_bytes(small_wheel())
    (folder / "simple" / "kerascv-course" / "index.html").write_text(f'<a href="{WHEEL}">{WHEEL}</a>')

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def run_in_colab(tmp_path):
    """Return a function that runs code in an environment with pip and a `google.colab` alone."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "colab")], check=True)
    (python,) = [path for path in tmp_path.glob("colab/*/python*") if path.stem == "python"]
    (tmp_path / "of_colab" / "google" / "colab").mkdir(parents=True)
    (tmp_path / "of_colab" / "google" / "colab" / "__init__.py").write_text("")
    shutil.copytree(Path(importlib.util.find_spec("pip").origin).parent, tmp_path / "of_colab" / "pip")

    def run(code: str, **variables: str) -> subprocess.CompletedProcess:
        code = f"import google.colab\n{code}\nimport kerascv_course\nprint(kerascv_course.answer)\n"
        (tmp_path / "work").mkdir(exist_ok=True)
        return subprocess.run(
            [python, "-c", code],
            capture_output=True,
            text=True,
            cwd=tmp_path / "work",
            env=environment
            | {"COLAB_RELEASE_TAG": "tag", "PYTHONPATH": str(tmp_path / "of_colab"), "PIP_CONFIG_FILE": os.devnull}
            | variables,
        )

    return run


@pytest.mark.slow
@pytest.mark.parametrize("source", ["release", "index", "upload", "carried"])
def test_pip_installs_from_each_source_and_a_second_time_does_nothing(run_in_colab, server, tmp_path, source):
    no_index = {"PIP_NO_INDEX": "1"}
    uploaded = {'"/content"': f'"{tmp_path}/content"'}
    (tmp_path / "content").mkdir()
    (tmp_path / "content" / WHEEL).write_bytes(small_wheel())
    of_release, replaced, variables = {
        "release": ({"repository": f"{server}/NAME"}, {}, no_index),
        "index": ({"on_index": True}, {}, {"PIP_INDEX_URL": f"{server}/simple"}),
        "upload": ({}, uploaded, no_index),
        "carried": ({"wheel": small_wheel()}, {'"/tmp': f'"{tmp_path}'}, no_index),
    }[source]
    code = first_cells(lesson(tmp_path, **of_release), **replaced)
    first, second = run_in_colab(code, **variables), run_in_colab(code, **variables)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith("Installed: ")
    assert first.stdout.endswith("\n42\n")
    assert second.stdout == "42\n"


@pytest.mark.slow
def test_where_pip_reaches_nothing_its_reason_is_told_and_nothing_else_runs(run_in_colab, server, tmp_path):
    code = first_cells(lesson(tmp_path, repository=f"{server}/OTHER", on_index=True))
    done = run_in_colab(code, PIP_INDEX_URL=f"{server}/nothing")
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr[done.stderr.index("RuntimeError: ") :].splitlines()
    assert lines[0] == "RuntimeError: kerascv_course could not be installed. Tried:"
    assert lines[1].startswith(f"- {server}/OTHER/")
    assert "404" in lines[1]
    assert "No matching distribution found" in lines[2]
    assert len(lines) == 5


# The address


@pytest.mark.smoke
@pytest.mark.parametrize(
    "address",
    [
        GITHUB,
        f"{GITHUB}/",
        f"{GITHUB}.git",
        f"{GITHUB}.git/",
        "git@github.com:OWNER/NAME.git",
        "ssh://git@github.com/OWNER/NAME.git",
        "ssh://git@ssh.github.com:443/OWNER/NAME.git",
        "https://ghp_secret@github.com/OWNER/NAME.git",
        "https://x-access-token:ghp_secret@github.com/OWNER/NAME",
        "https://user:p@ghp_secret@github.com/OWNER/NAME",
        "https://github.com/OWNER/NAME?token=ghp_secret",
        "git+https://github.com/OWNER/NAME.git",
        "git://github.com/OWNER/NAME",
        "http://www.github.com/OWNER/NAME",
        "HTTPS://GitHub.com/OWNER/NAME",
        "https://github.com/OWNER/NAME/tree/main/notebooks",
        "github.com/OWNER/NAME",
        "OWNER/NAME",
        " https://github.com/OWNER/NAME\n",
    ],
)
def test_every_form_of_an_address_gives_the_same_badge_and_release(notebooks, address):
    assert cli.main(["build", "--repository", address]) == 0
    student, solved = (
        nbformat.read(notebooks / path / "01_lesson.ipynb", as_version=4) for path in ("", "solutions")
    )
    assert badges(student) == [f"{BADGE}/01_lesson.ipynb"]
    assert badges(solved) == [f"{BADGE}/solutions/01_lesson.ipynb"]
    for notebook in (student, solved):
        assert f'ADDRESSES = ["{RELEASE}"]\n' in first_cells(notebook)
        assert "ghp_secret" not in nbformat.writes(notebook)


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("https://gitlab.com/group/sub/name.git", "https://gitlab.com/group/sub/name"),
        ("git@gitlab.com:group/name.git", "https://gitlab.com/group/name"),
        ("https://oauth2:secret@gitlab.com/group/name/-/tree/main", "https://gitlab.com/group/name"),
        ("https://git.school.example:8443/a/b.git", "https://git.school.example:8443/a/b"),
        ("ssh://git@git.school.example:2222/a/b.git", "https://git.school.example/a/b"),
        ("https://github.com@school.example/a/b", "https://school.example/a/b"),
    ],
)
def test_another_host_gets_no_badge_of_colab(notebooks, address, found):
    assert cli.main(["build", "--repository", address]) == 0
    notebook = nbformat.read(notebooks / "01_lesson.ipynb", as_version=4)
    assert badges(notebook) == []
    assert f'"{found}/releases/download/' in first_cells(notebook)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://github.com/OWNER",
        "https://github.com/OWNER/NA ME",
        'https://github.com/OWNER/"+x+"',
        "file:///srv/course.git",
        "/srv/course.git",
        "../course.git",
        r"C:\course\name",
        "git@work:OWNER/NAME.git",
        "localhost:8000/a/b",
        "https://[::1/a/b",
    ],
)
def test_what_is_no_public_address_is_none(text):
    assert web_address(text) == ""


def test_an_address_that_is_none_is_refused_without_its_password(notebooks, capsys):
    assert cli.main(["build", "--repository", "https://me:secret@github.com"]) == 1
    rule = "must be the address of a repository, for example https://github.com/OWNER/NAME"
    error = f"`repository` of `build` {rule}. Received: repository='https://github.com'.\n"
    assert capsys.readouterr().err == error
    assert not list(notebooks.glob("*.ipynb"))


@pytest.fixture
def origin(notebooks):
    """Return a function that makes the folder of the notebooks a repository with this remote."""
    root = notebooks.parent

    def make(address: str) -> None:
        git = ["git", "-C", str(root)]
        subprocess.run([*git, "init", "--quiet"], check=True)
        subprocess.run([*git, "remote", "add", "origin", address], check=True)

    return make


def test_the_address_is_that_given_or_of_pyproject_or_the_workflow_or_the_remote(notebooks, origin, monkeypatch):
    root = notebooks.parent
    assert find_release(root) == Release()
    origin("git@github.com:of/origin.git")
    assert find_release(root).repository == "https://github.com/of/origin"
    monkeypatch.setenv("GITHUB_REPOSITORY", "of/workflow")
    assert find_release(root).repository == "https://github.com/of/workflow"
    settings = '[tool.kerascv_course]\nrepository = "https://github.com/of/pyproject/"\non_index = true\n'
    (root / "pyproject.toml").write_text(settings)
    assert find_release(root).repository == "https://github.com/of/pyproject"
    assert find_release(root).on_index
    assert find_release(root, "given/here").repository == "https://github.com/given/here"
    assert find_release(root, "").repository == find_release(root, "").badge == ""


@pytest.mark.parametrize("address", ["/srv/git/course.git", "../course.git", "backup/course.git"])
def test_a_remote_on_this_machine_is_no_address(notebooks, origin, address):
    origin(address)
    assert find_release(notebooks.parent).repository == ""


def test_the_repository_around_the_course_is_not_taken_for_its_own(notebooks, origin):
    origin("git@github.com:of/origin.git")
    (notebooks.parent / "course").mkdir()
    assert find_release(notebooks.parent / "course").repository == ""


def test_without_git_there_is_no_remote(notebooks, origin, monkeypatch):
    origin("git@github.com:of/origin.git")
    monkeypatch.setenv("PATH", "")
    assert find_release(notebooks.parent).repository == ""


def test_a_new_address_changes_the_badge_and_the_first_cell_alone(notebooks):
    page = notebooks / "solutions" / "01_lesson.ipynb"
    assert cli.main(["build", "--repository", ""]) == 0
    executed = nbformat.read(page, as_version=4)
    executed.cells[2].update(execution_count=2, outputs=[new_output("stream", name="stdout", text="42\n")])
    nbformat.write(executed, page)
    before = nbformat.read(page, as_version=4).cells
    for address in (GITHUB, "https://gitlab.com/a/b", ""):
        assert cli.main(["build", "--repository", address]) == 0
        after = [cell for cell in nbformat.read(page, as_version=4).cells if cell.id != "badge"]
        assert json.dumps(after[1:]) == json.dumps(before[1:])  # ids, counts and outputs too
        for other in ("", "https://github.com/some/other", "https://codeberg.org/a/b"):
            assert cli.main(["build", "--check", "--repository", other]) == 0


@pytest.mark.parametrize(("url", "found"), [(RELEASE, GITHUB), ("file:///home/me/kerascv_course", ""), (None, "")])
def test_a_project_is_installed_from_where_the_package_came(tmp_path, monkeypatch, url, found):
    about = tmp_path / "site" / f"kerascv_course-{__version__}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Name: kerascv_course\nVersion: {__version__}\n")
    if url:
        (about / "direct_url.json").write_text(json.dumps({"url": url, "archive_info": {}}))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    monkeypatch.chdir(tmp_path)
    assert installed_from() == found
    assert cli.main(["new-project", "mine"]) == 0
    assert (RELEASE in Path("mine/project.ipynb").read_text(encoding="utf-8")) == bool(found)


# Sets to hand out


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("https://github.com/me/course/blob/main/week1", "/github/me/course/blob/main/week1"),
        ("https://github.com/me/course/tree/main/", "/github/me/course/blob/main"),
        ("https://me:secret@github.com/me/course/tree/main/my week", "/github/me/course/blob/main/my%20week"),
        ("https://colab.research.google.com/github/me/course/blob/main", "/github/me/course/blob/main"),
    ],
)
@pytest.mark.parametrize("option", ["--no-solutions", "--embed-wheel"])
def test_a_set_has_a_badge_only_to_the_folder_that_is_named(notebooks, monkeypatch, option, base, expected):
    monkeypatch.setattr(release, "build_wheel", lambda root: b"wheel")
    assert cli.main(["build", option, "set", "--repository", GITHUB]) == 0
    assert badges(nbformat.read("set/01_lesson.ipynb", as_version=4)) == []
    assert cli.main(["build", option, "set", "--repository", GITHUB, "--badge-base", base]) == 0
    address = f"https://colab.research.google.com{expected}/01_lesson.ipynb"
    assert badges(nbformat.read("set/01_lesson.ipynb", as_version=4)) == [address]


@pytest.mark.parametrize("base", ["https://github.com/me/course", "week1", "ftp://school.example/a"])
def test_a_badge_that_could_lead_nowhere_is_refused(notebooks, capsys, base):
    assert cli.main(["build", "--no-solutions", "set", "--badge-base", base]) == 1
    assert "for example https://github.com/OWNER/NAME/blob/main/FOLDER" in capsys.readouterr().err
    assert not Path("set").exists()


@pytest.mark.parametrize(
    "arguments",
    [["--badge-base", "x"], ["--embed-wheel", "set", "--check"], ["--embed-wheel", "set", "--execute"]],
)
def test_options_that_do_not_go_together_are_refused(notebooks, capsys, arguments):
    assert cli.main(["build", *arguments]) == 2
    assert capsys.readouterr().err.startswith("`--")
    assert not Path("set").exists()


def test_a_set_can_carry_the_wheel_and_withhold_the_solutions(notebooks, monkeypatch, capsys):
    monkeypatch.setattr(release, "build_wheel", lambda root: b"wheel of " + root.name.encode())
    assert cli.main(["build", "--embed-wheel", "carry", "--no-solutions", "withhold"]) == 0
    assert cli.main(["build", "--embed-wheel", "both", "--no-solutions", "both"]) == 0
    shown = [str(Path(name, "01_lesson.ipynb")) for name in ("carry", "withhold", "both")]
    assert capsys.readouterr().out.splitlines() == shown
    wheel = base64.encodebytes(b"wheel of " + notebooks.parent.name.encode()).decode()
    texts = [json.loads(Path(path).read_text(encoding="utf-8"))["cells"] for path in shown]
    found = [[" ".join(cell["source"]) for cell in cells] for cells in texts]
    assert [any(wheel in text.replace("\n ", "\n") for text in cells) for cells in found] == [True, False, True]
    assert [any("withhold_solutions" in text for text in cells) for cells in found] == [False, True, True]


BACKEND = f"""
import pathlib

def build_wheel(folder, config_settings=None, metadata_directory=None):
    pathlib.Path(folder, "{WHEEL}").write_bytes(bytes.fromhex("{small_wheel().hex()}"))
    return "{WHEEL}"
"""


@pytest.mark.slow
@pytest.mark.parametrize("works", [True, False])
def test_the_wheel_is_built_from_the_repository_as_it_is(tmp_path, works):
    text = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (tmp_path / "pyproject.toml").write_text(text)
    (tmp_path / "backend.py").write_text(BACKEND if works else "raise OSError('no disk')")
    if works:
        assert build_wheel(tmp_path) == small_wheel()
    else:
        with pytest.raises(OSError, match=f"{WHEEL} cannot be built in (?s:.*)no disk"):
            build_wheel(tmp_path)


# What is published


def test_the_addresses_of_the_package_are_those_of_its_repository():
    pyproject = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    repository = pyproject["tool"]["kerascv_course"]["repository"]
    assert pyproject["project"].get("urls", {}).get("Repository", "") == repository


# What a notebook needs

CONSTRAINTS = Path(__file__).parent.parent / "constraints"
DISTRIBUTIONS = {"sklearn": "scikit-learn", "skimage": "scikit-image", "PIL": "pillow", "IPython": "ipython"}
ASKED_BEFORE = {"keras-cv", "cv2"}  # a notebook looks whether they are there, and goes on without
NOT_ON_TPU = {"tensorflow"}  # the package and the notebooks import it where they use it


def names(requirements: Iterable[str]) -> set[str]:
    """Return the names of requirements as the index compares them, without those of extras."""
    plain = (requirement for requirement in requirements if "extra ==" not in requirement)
    return {re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-") for requirement in plain}


def imported(path: Path) -> set[str]:
    """Return the packages that a source imports, anywhere in it, by the names of the index."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    tops = {module.split(".")[0] for module in modules} - sys.stdlib_module_names - {"kerascv_course"}
    return names(DISTRIBUTIONS.get(top, top) for top in tops)


@pytest.mark.parametrize("kind", ["cpu", "gpu", "tpu"])
def test_a_first_cell_brings_all_that_colab_lacks_and_nothing_else(kind):
    lines = (CONSTRAINTS / f"colab-{kind}.txt").read_text(encoding="utf-8").splitlines()
    there = names(line for line in lines if not line.startswith("#"))
    assert "numpy" in there
    absent = NOT_ON_TPU if kind == "tpu" else set()
    pyproject = tomllib.loads((CONSTRAINTS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert names(pyproject["project"]["dependencies"]) - there == absent
    for source in list_sources():
        brought = set(needs_of(source.name))
        of_theirs = names(part for package in brought for part in importlib.metadata.requires(package) or ())
        needed = imported(source.path) | of_theirs
        assert needed - there - brought - ASKED_BEFORE <= absent, source.name
