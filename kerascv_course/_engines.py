"""The choice between an engine that an optional package brings, and one that is always there."""

import importlib

from kerascv_course._validation import check_choice

# The fast engines: the module that each needs, and the extra of this package that installs it.
_NEEDS = {"opencv": ("cv2", "fast"), "opentsne": ("openTSNE", "latent")}


def choose_engine(function: str, engine: str | None, fast: str, plain: str) -> str:
    """Return the engine that is asked for, or for None the fast one where it is installed, else the plain one.

    Raises:
        ValueError: If the engine is neither of the two.
        ImportError: If the fast one is asked for and not installed.
    """
    check_choice(function, "engine", engine, (None, fast, plain))
    module, extra = _NEEDS[fast]
    if engine == plain:
        return plain
    try:
        importlib.import_module(module)
    except ImportError:
        if engine == fast:
            way_out = f'pip install "kerascv_course[{extra}]". engine="{plain}" does without it.'
            raise ImportError(f'engine="{fast}" of `{function}` needs a package: {way_out}') from None
        return plain
    return fast
