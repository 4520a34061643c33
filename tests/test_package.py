"""The package as a whole: what importing it loads, and which module may import which."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kerascv_course

REPOSITORY = Path(__file__).parent.parent
PACKAGE = REPOSITORY / "kerascv_course"
NOTEBOOK_SOURCES = REPOSITORY / "notebooks" / "source"

# Which module may import which other of this package. A new module needs a line here.
BASE = {"_engines", "_fingerprints", "_models", "_ranges", "_store", "_tables", "_validation", "runtime"}
CORE = {"datasets", "models", "architecture", "augmentation"}
MAY_IMPORT = {
    "__init__": set(),  # it fetches names when they are used
    "_configurations": set(),
    "_engines": {"_validation"},
    "_fingerprints": {"_configurations", "_models"},
    "_models": {"_ranges", "_validation"},
    "_pages": set(),
    "_ranges": set(),
    "_store": {"_fingerprints", "_validation"},
    "_tables": set(),
    "_validation": set(),
    "runtime": {"_validation"},
    "datasets": BASE,
    "models": BASE,  # and never datasets
    "architecture": BASE,
    "augmentation": BASE,
    "evaluation": BASE,
    "classic": BASE,
    "training": BASE | CORE,
    "explain": BASE,
    "latent": BASE | CORE,
    "transfer": BASE | CORE | {"training", "latent", "explain"},
    "experiment": BASE | CORE | {"training"},
    "report": BASE | {"_pages", "evaluation", "plotting"},
    "plotting": {"_validation", "architecture"},  # arrays and records in; only notebooks and report import it
    "notebooks": BASE | {"_pages"},
    "exercises": BASE | CORE | {"notebooks"},  # of the notebooks only the marks of their sources
    "grading": BASE | {"_pages", "exercises", "notebooks"},
    "cli": BASE | CORE | {"grading", "notebooks"},
}
# Libraries that one module alone may import.
# TensorFlow is imported inside functions, where its own data pipeline is read or made.
ONLY_IN = {
    "matplotlib": ["plotting"],
    "tensorflow": ["runtime", "training", "_ranges"],
    "jax": ["runtime"],
    "torch": ["runtime"],
}
NOT_PUBLIC = ("keras.src", "tensorflow.python")
MAY_PRINT = {"cli"}


def modules(package: Path) -> Iterator[tuple[str, Path]]:
    """Yield the first name below the package ("datasets" for its whole folder) and each file."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        if parts[0] != "_notebook_sources":
            yield parts[0], path


def imported_names(tree: ast.AST, path: Path, package: Path) -> Iterator[str]:
    """Yield the full dotted name of all that is imported, wherever in the file that happens."""
    parents = [package.name, *path.relative_to(package).parent.parts]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parents[: len(parents) + 1 - node.level] if node.level else []
            start = [*above, *(node.module.split(".") if node.module else [])]
            yield from (".".join([*start, alias.name]) for alias in node.names)


def dotted(node: ast.AST) -> str:
    """Return "a.b.c" for such an expression, otherwise what of it can be read."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def not_public(tree: ast.AST, names: list[str]) -> list[str]:
    names = [*names, *(dotted(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute))]
    return sorted({name for name in names if any(f"{name}.".startswith(f"{inner}.") for inner in NOT_PUBLIC)})


def violations(package: Path) -> list[str]:
    """Return one sentence for each place where a module breaks a rule above."""
    found = []
    for module, path in modules(package):
        where = path.relative_to(package).as_posix()
        if module not in MAY_IMPORT:
            found.append(
                f"{where}: add `{module}` to MAY_IMPORT in tests/test_package.py, in its layer of the design"
            )
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = list(imported_names(tree, path, package))
        for name in names:
            top, _, rest = name.partition(".")
            if top == package.name:
                other = rest.split(".")[0]
                if other not in {"", "__version__", module} | MAY_IMPORT[module]:
                    found.append(f"{where}: {module} must not import {other}")
            elif module not in ONLY_IN.get(top, [module]):
                found.append(f"{where}: only {' and '.join(ONLY_IN[top])} may import {top}")
        found += [f"{where}: {name} is not public" for name in not_public(tree, names)]
        if module not in MAY_PRINT and any(
            isinstance(node, ast.Call) and dotted(node.func) == "print" for node in ast.walk(tree)
        ):
            found.append(f"{where}: library code must not print")
    return found


@pytest.mark.smoke
def test_modules_import_only_what_their_layer_may():
    assert violations(PACKAGE) == []
    assert {module for module, _ in modules(PACKAGE)} == set(MAY_IMPORT)  # no line for a module that is gone


@pytest.mark.parametrize(
    ("file", "code", "sentence"),
    [
        ("models/lenet.py", "from kerascv_course.datasets import load_digits", "models must not import datasets"),
        ("models/lenet.py", "from kerascv_course import datasets", "models must not import datasets"),
        ("models/lenet.py", "from kerascv_course import load_digits", "models must not import load_digits"),
        ("models/lenet.py", "from .. import datasets", "models must not import datasets"),
        ("models/lenet.py", "from ..datasets.embedded import load_digits", "models must not import datasets"),
        ("datasets/split.py", "def f():\n    import kerascv_course.training", "datasets must not import training"),
        ("runtime.py", "from . import plotting", "runtime must not import plotting"),
        (
            "training/fit.py",
            "if True:\n    import matplotlib.pyplot as plt",
            "only plotting may import matplotlib",
        ),
        ("datasets/split.py", "from tensorflow import data", "only runtime and training and _ranges may import"),
        ("models/lenet.py", "from keras.src.layers import Dense", "keras.src.layers.Dense is not public"),
        ("models/lenet.py", "import keras\nkeras.src.layers.Dense(1)", "keras.src is not public"),
        ("runtime.py", "from tensorflow.python import eager", "tensorflow.python.eager is not public"),
        ("training/fit.py", "def f():\n    print(1)", "library code must not print"),
        ("gallery.py", "", "add `gallery` to MAY_IMPORT in tests/test_package.py"),
    ],
)
def test_a_planted_violation_is_found(tmp_path, file, code, sentence):
    path = tmp_path / "kerascv_course" / file
    path.parent.mkdir(parents=True)
    path.write_text(code)
    assert any(sentence in violation for violation in violations(tmp_path / "kerascv_course"))


def test_allowed_imports_are_no_violations(tmp_path):
    package = tmp_path / "kerascv_course"
    (package / "training").mkdir(parents=True)
    (package / "training" / "fit.py").write_text(
        "import keras\nfrom kerascv_course import __version__, runtime\nfrom ..datasets import load_digits\n"
        "from . import resume\nfrom .resume import Checkpoint\nfrom kerascv_course.training import resume\n"
        "def f():\n    '''\n    >>> print(1)\n    '''\n"
    )
    (package / "cli").mkdir()
    (package / "cli" / "data.py").write_text("print(1)")
    assert violations(package) == []


OLD_INTERFACE = "tf.keras.preprocessing.image.ImageDataGenerator"


def test_notebook_sources_use_public_keras_only():
    paths = sorted(NOTEBOOK_SOURCES.glob("*.py"))
    assert paths
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = list(imported_names(tree, path, NOTEBOOK_SOURCES))
        assert not_public(tree, names) == []
        assert {name for name in names if name.split(".")[0] == "tensorflow"} <= {"tensorflow"}, path.name
        used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        of_tensorflow = {name for name in used if name.startswith("tf.") and name.count(".") == 1}
        if path.name == "05_augmentation.py":  # it shows an old interface, which only TensorFlow has
            of_keras = [name for name in used if name.startswith("tf.keras") and name.count(".") == 4]
            assert of_keras == [OLD_INTERFACE]
            of_tensorflow -= {"tf.keras"}
        assert of_tensorflow <= {"tf.data"}, path.name  # the input pipeline; all else runs on any backend


def loaded_after(code: str, *libraries: str) -> set[str]:
    """Return which of the libraries a fresh Python has loaded after the code."""
    script = f"import sys\n{code}\nprint(*sorted(set(sys.modules) & set({libraries!r})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.smoke
def test_importing_the_package_loads_no_library():
    libraries = (
        "keras",
        "tensorflow",
        "jax",
        "torch",
        "matplotlib",
        "sklearn",
        "skimage",
        "numpy",
        "PIL",
        "jupytext",
    )
    assert loaded_after("import kerascv_course", *libraries) == set()
    assert loaded_after("import kerascv_course, numpy", *libraries) == {"numpy"}  # the probe can see one


def test_one_name_loads_its_own_module_and_nothing_beside_it():
    others = [f"kerascv_course.{name}" for name in MAY_IMPORT if name != "__init__"]
    loaded = loaded_after("from kerascv_course import layer_table", *others, "kerascv_course.architecture.graph")
    assert loaded == {
        f"kerascv_course.{name}"
        for name in ("_models", "_ranges", "_tables", "_validation", "architecture", "architecture.graph")
    }


def test_the_help_of_the_command_line_loads_no_library():
    code = "from kerascv_course.cli import main\ntry:\n    main(['--version'])\nexcept SystemExit:\n    pass"
    assert loaded_after(code, "keras", "tensorflow", "matplotlib", "sklearn", "jupytext", "nbclient") == set()


@pytest.mark.smoke
@pytest.mark.parametrize("name", kerascv_course.__all__)
def test_every_public_name_is_there(name):
    value = getattr(kerascv_course, name)
    assert name in dir(kerascv_course)
    assert value.__doc__
    assert value.__name__.split(".")[-1] == name


def test_public_names_are_those_of_their_modules():
    from kerascv_course.architecture import layer_table
    from kerascv_course.datasets import ImageDataset

    assert kerascv_course.layer_table is layer_table
    assert kerascv_course.ImageDataset is ImageDataset
    assert kerascv_course.training is importlib.import_module("kerascv_course.training")
    assert len(set(kerascv_course.__all__)) == len(kerascv_course.__all__)


def test_an_unknown_name_is_an_attribute_error_as_in_any_module():
    with pytest.raises(AttributeError, match=r"kerascv_course .*build_lenet"):
        kerascv_course.build_lenet  # noqa: B018
    with pytest.raises(ImportError, match="build_lenet"):
        from kerascv_course import build_lenet  # noqa: F401


def test_the_package_says_that_it_is_typed():
    assert Path(kerascv_course.__file__).with_name("py.typed").is_file()
