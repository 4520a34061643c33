"""The suite on Python 3.11, the smoke set on 3.12, and on 3.13 as Colab has it; models on other backends."""

import datetime
import re
import shutil
import subprocess
from pathlib import Path

import nox

nox.options.sessions = ["suite", "smoke", "colab"]

# What of Colab's list is not installed: PyTorch and CUDA are gigabytes, and the tests here use neither.
LEFT_OUT = ("torch", "nvidia-", "cuda-", "cupy", "triton")


@nox.session(python="3.11")
def suite(session: nox.Session) -> None:
    session.install(".[test]", "-c", "constraints/python311.txt")
    session.run("pytest", *session.posargs)


@nox.session(python="3.12")
def smoke(session: nox.Session) -> None:
    session.install(".[test]")
    session.run("pytest", "-m", "smoke", *session.posargs)


@nox.session(python="3.13")
def colab(session: nox.Session) -> None:
    """Run the smoke set and all notebooks, students' and solved, beside what Colab's CPU runtime has."""
    lines = Path("constraints/colab-cpu.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if not line.startswith("#")]
    wanted = [line for line in pinned if not line.startswith(LEFT_OUT)]
    session.log(f"Left out: {', '.join(line for line in pinned if line not in wanted)}")
    session.log(f"Left out, as there is no wheel: {', '.join(_install_wheels(session, wanted)) or 'nothing'}")
    # The package and what its first cells add are installed as in Colab, then the tools that run the tests.
    session.install("--no-deps", ".", "keras-tuner>=1.4.8")
    session.install("latex2mathml", "pytest-xdist", "-c", "constraints/colab-cpu.txt")
    session.run("pytest", "-m", "smoke", *session.posargs)
    session.run("pytest", "-m", "", "-k", "each_notebook_runs_untouched_and_solved", *session.posargs)


def _install_wheels(session: nox.Session, pinned: list[str]) -> list[str]:
    """Install the pinned packages that have wheels here, without what they depend on; return the others."""
    pip = [
        f"{session.bin}/python",
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--only-binary=:all:",
        "--no-compile",
        "-q",
    ]
    left_out = []
    for start in range(0, len(pinned), 50):
        wanted = pinned[start : start + 50]
        while (done := subprocess.run([*pip, *wanted], capture_output=True, text=True)).returncode:
            missing = re.search(r"No matching distribution found for (\S+)", done.stderr)
            if missing is None:
                session.error(done.stderr)
            wanted.remove(missing[1])
            left_out.append(missing[1])
    return left_out


@nox.session(python="3.11")
@nox.parametrize("backend", ["jax", "torch"])
def backends(session: nox.Session, backend: str) -> None:
    session.install(".[test]", backend, "-c", "constraints/python311.txt")
    names = ("models", "lenet", "normalization", "augmentation", "transfer", "explain")
    tests = [f"tests/test_{name}.py" for name in names]
    session.run("pytest", *tests, *session.posargs, env={"KERAS_BACKEND": backend})


@nox.session
def readme(session: nox.Session) -> None:
    """Run the two commands of the README in a new environment, with the interpreter that runs nox."""
    session.install(".[notebooks]")
    session.run("kerascv-course", "run", "lenet", "--output", session.create_tmp())
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session(python="3.11")
def style(session: nox.Session) -> None:
    """Check style, types, and that the notebooks are those of their sources."""
    session.install(".[test]", "-c", "constraints/python311.txt")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("kerascv-course", "build", "--check")


@nox.session(python="3.11")
def package(session: nox.Session) -> None:
    """Build wheel and sdist into `dist/` and check them; of a tag, that it is the version's."""
    session.install("build", "twine")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", "dist")
    built = sorted(map(str, Path("dist").iterdir()))
    session.run("twine", "check", "--strict", *built)
    version = next(match[1] for name in built if (match := re.fullmatch(r".*-(.+)\.tar\.gz", name)))
    if session.posargs and session.posargs[0] != f"v{version}":
        session.error(f"The tag {session.posargs[0]} is not v{version}, the version of the package.")


@nox.session(python="3.13")
def newest(session: nox.Session) -> None:
    """Run the smoke set beside the newest versions of everything."""
    session.install("--upgrade", "--upgrade-strategy", "eager", ".[test]")
    session.run("pytest", "-m", "smoke", *session.posargs)


@nox.session(python=False)
def lists(session: nox.Session) -> None:
    """Take over what Colab has today, from a folder with its lists, or from where Google publishes them."""
    folder = Path(session.posargs[0]) if session.posargs else Path(session.create_tmp(), "backend-info")
    if not session.posargs:
        session.run("git", "clone", "--depth", "1", "https://github.com/googlecolab/backend-info", str(folder))
    found = sorted(map(str, folder.glob("pip-freeze*.txt")))
    session.run("python", "constraints/make_colab.py", "--of", datetime.date.today().isoformat(), *found)


@nox.session(python="3.11")
def site(session: nox.Session) -> None:
    """Make the site from the executed notebooks, into `build/site`."""
    session.install(".[notebooks]", "pdoc", "-c", "constraints/python311.txt")
    session.run("python", "publishing/make_site.py", "build/site")
