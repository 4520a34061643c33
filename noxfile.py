"""The suite on Python 3.11, the smoke set on 3.12, and on 3.13 as Colab has it; models on other backends."""

import nox

nox.options.sessions = ["suite", "smoke", "colab"]


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
    session.install(".[test]", "-c", "constraints/colab.txt")
    session.run("pytest", "-m", "smoke", *session.posargs)


@nox.session(python="3.11")
@nox.parametrize("backend", ["jax", "torch"])
def backends(session: nox.Session, backend: str) -> None:
    session.install(".[test]", backend, "-c", "constraints/python311.txt")
    names = ("models", "lenet", "normalization", "augmentation", "transfer", "explain")
    tests = [f"tests/test_{name}.py" for name in names]
    session.run("pytest", *tests, *session.posargs, env={"KERAS_BACKEND": backend})
