"""Completed runs in a folder, with fingerprints of what they were made from: what is there is not done again."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerascv_course._digests import array_digest, config_digest
from kerascv_course._validation import check_number, describe, input_error
from kerascv_course.datasets import ImageDataset
from kerascv_course.experiment.records import ExperimentRun
from kerascv_course.runtime import seed_everything

Arrays = tuple[np.ndarray, np.ndarray]
Build = Callable[[], keras.Model]

_FUNCTION = "compare"


class KeptRuns:
    """Completed runs in a folder: a JSON file for each, with fingerprints of what it was made from."""

    def __init__(self, folder: str | os.PathLike[str], data_digest: str) -> None:
        self.folder, self.data_digest = Path(folder), data_digest
        self.records: dict[tuple[str, int], dict[str, Any]] = {}
        self.digests: dict[str, str | None] = {}
        make_folder(_FUNCTION, self.folder)
        for path in sorted(self.folder.glob("run-*.json")):
            record = json.loads(path.read_text(encoding="utf-8"))
            self.records[record["run"]["variant"], record["run"]["seed"]] = record

    def check(self, plans: Mapping[str, tuple[Build, dict[str, Any]]]) -> None:
        """Raise where the folder holds runs of other data, or of variants that are not those of the plans."""
        way_out = "Name another `folder`, or another name for what has changed."
        for record in self.records.values():
            if record["data"] != self.data_digest:
                rule = "a folder whose runs had the same training and validation images"
                raise input_error(_FUNCTION, "folder", rule, str(self.folder), "Name another `folder`.")
        for name, (build, settings) in plans.items():
            self.digests[name] = model_digest(build)
            for record in (record for (variant, _), record in self.records.items() if variant == name):
                differing = [key for key, value in settings.items() if record["settings"].get(key) != value]
                differing += ["model or compile arguments"] if record["model"] != self.digests[name] else []
                if differing:
                    rule = f"a folder whose runs of {name!r} had the same {', '.join(differing)}"
                    raise input_error(_FUNCTION, "folder", rule, str(self.folder), way_out)

    def load(self, variant: str, seed: int) -> ExperimentRun | None:
        """Return a completed run, or None."""
        record = self.records.get((variant, seed))
        return ExperimentRun(**record["run"]) if record else None

    def save(self, run: ExperimentRun, settings: Mapping[str, Any]) -> None:
        """Keep a completed run."""
        record = {"run": asdict(run), "settings": settings, "data": self.data_digest}
        # A variant's name may hold what no file name may.
        name = f"run-{config_digest([run.variant])}-{run.seed}.json"
        write_json(self.folder / name, {**record, "model": self.digests[run.variant]})


def make_folder(function: str, folder: Path) -> None:
    """Make a folder that can be written to, or raise `ValueError`."""
    probe = folder / f".probe-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        rule = "a folder that can be made and written to"
        raise input_error(function, "folder", rule, str(folder), f"({type(error).__name__})") from None


def write_json(path: Path, content: Any) -> None:
    """Write a file in one step: a process that is killed leaves the whole file or none."""
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
    os.replace(partial, path)


def data_digest(train: Arrays, validation_split: float, held_out: Arrays | None) -> str:
    """Return a fingerprint of the images and labels of training and validation, and of how they are split."""
    return array_digest([*train, *((np.array(validation_split),) if held_out is None else held_out)])


def model_digest(build: Callable[[], keras.Model]) -> str | None:
    """Return a fingerprint of a compiled model, or None where it cannot be built."""
    try:
        seed_everything(0)  # some layers draw the seed in their configuration
        model = build()
        config, compiled = model.get_config(), model.get_compile_config()
    except Exception:  # a model that cannot be built fails again in its run, and is reported there
        return None
    return config_digest([config, compiled])


def is_builder(build: Any) -> bool:
    """Tell whether a value can build models: a function, and not a model itself, which can be called as well."""
    return callable(build) and not isinstance(build, keras.Model)


def check_arrays(
    function: str, data: Any, validation_split: Any, validation_data: Any
) -> tuple[Arrays, Arrays | None]:
    """Return the arrays for training and, where they are given, for validation; or raise."""
    train = _pair(function, "data", (data.x_train, data.y_train) if isinstance(data, ImageDataset) else data)
    if validation_data is not None:
        return train, _pair(function, "validation_data", validation_data)
    split = check_number(function, "validation_split", validation_split, 0, 0.99)
    if split == 0:
        way_out = "Or pass `validation_data`: the accuracy is measured on images that were held out."
        raise input_error(function, "validation_split", "above 0", validation_split, way_out)
    return train, None


def _pair(function: str, argument: str, data: Any) -> Arrays:
    rule = "a pair of arrays (images, labels)" + (" or an ImageDataset" if argument == "data" else "")
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise input_error(function, argument, rule, type(data).__name__, error=TypeError)
    x, y = np.asarray(data[0]), np.asarray(data[1])
    if x.ndim < 2 or y.ndim < 1 or len(x) != len(y) or len(x) == 0:
        rule = "as many images as labels, and at least one"
        raise input_error(function, argument, rule, f"({describe(x)}, {describe(y)})")
    return x, y
