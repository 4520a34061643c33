"""The state of a training run on disk: what is kept after each epoch, and when two runs are the same."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerascv_course._digests import config_digest
from kerascv_course._validation import describe, input_error
from kerascv_course.training.batches import Batches

Arrays = tuple[np.ndarray, np.ndarray]

LOADING_FAULTS = (ValueError, KeyError, OSError, RuntimeError)
"""What Keras and h5py raise for a weights file that is damaged, missing or of another model."""

_STATE = {
    "settings": dict,
    "epochs_done": int,
    "stopped": bool,
    "history": dict,
    "last_file": str,
    "best_file": str | None,
}
_EARLY_STOPPING = {"best": float, "wait": int, "best_epoch": int}


class ResumableEarlyStopping(keras.callbacks.EarlyStopping):
    """Keras' early stopping, which can start from the state of an earlier run."""

    restored: dict[str, Any] | None = None

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Start from the restored state, where there is one."""
        super().on_train_begin(logs)
        if self.restored is not None:
            self.best, self.wait = self.restored["best"], self.restored["wait"]
            self.best_epoch, self.best_weights = self.restored["best_epoch"], self.restored["best_weights"]

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Watch the figure; raise where it does not exist: Keras would only warn, and never stop."""
        if self.monitor not in (logs or {}):
            rule = f"one of the figures of the epoch ({', '.join(sorted(logs or {}))})"
            raise input_error("fit", "monitor", rule, self.monitor)
        super().on_epoch_end(epoch, logs)


class Checkpoint(keras.callbacks.Callback):
    """Keeps the state of a run in a folder: `state.json`, and the weight files that it names.

    `state.json` is replaced in one step after the files that it names are complete, and files that it no longer
    names are removed after that: a run killed at any moment leaves a state that can be loaded.

    Args:
        folder: Where the files lie.
        settings: What `run_settings` returns.
        early_stopping: The callback whose state belongs to the run.
        function: Name of the public function that was called, for errors.
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any],
        early_stopping: ResumableEarlyStopping | None,
        function: str = "fit",
    ) -> None:
        super().__init__()
        self.folder, self.settings, self.early_stopping = folder, settings, early_stopping
        self.function = function
        self.history: dict[str, list[float]] = {}
        self.epochs_done = 0
        self.stopped = False
        self.best_file: str | None = None

    def start(self, model: keras.Model) -> None:
        """Save the untrained model: a run killed in its first epoch starts from the same weights."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.set_model(model)
        self._save()

    def restore(self, model: keras.Model, epochs: int) -> int:
        """Load the run in the folder into the model; return the number of its complete epochs, 0 without a run."""
        path = self.folder / "state.json"
        if not path.exists():
            return 0
        state = self._read(path)
        differing = [name for name, value in self.settings.items() if state["settings"].get(name) != value]
        if differing:
            way_out = "Name another `folder`, or pass `resume=False` to overwrite the run."
            rule = f"a folder whose run has the same {', '.join(differing)}"
            raise input_error(self.function, "folder", rule, str(self.folder), way_out)
        self.epochs_done, self.stopped, self.history = state["epochs_done"], state["stopped"], state["history"]
        if self.epochs_done > epochs:
            rule = f"at least the {self.epochs_done} that `folder` holds"
            raise input_error(self.function, "epochs", rule, epochs)
        self.best_file = state["best_file"]
        variables = [*model.variables, *model.optimizer.variables]
        before = [np.copy(keras.ops.convert_to_numpy(variable)) for variable in variables]
        file = self.folder
        try:
            if self.early_stopping is not None and self.best_file is not None:
                model.load_weights(file := self.folder / self.best_file)
                best = {"best_weights": model.get_weights(), **state["early_stopping"]}
                self.early_stopping.restored = best
            model.load_weights(file := self.folder / state["last_file"])
        except LOADING_FAULTS as error:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)  # some may have been loaded before the fault
            raise damaged(self.function, self.folder, file, error) from error
        return self.epochs_done

    def _read(self, path: Path) -> dict[str, Any]:
        """Return what the file holds, or raise where it is not what `_save` writes."""
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            check_fields(state, _STATE)
            check_fields(state["history"], dict.fromkeys(state["history"], list))
            if self.early_stopping is not None and state["best_file"] is not None:
                check_fields(state.get("early_stopping"), _EARLY_STOPPING)
        except ValueError as error:
            raise damaged(self.function, self.folder, path, error) from error
        return state

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Save everything that the next epoch starts from."""
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        self.epochs_done = epoch + 1
        self.stopped = bool(self.model.stop_training)
        self._save()

    def _save(self) -> None:
        last_file = self._save_weights("last")
        early = self.early_stopping
        if early is not None and self.epochs_done and early.best_epoch == self.epochs_done - 1:
            self.best_file = self._save_weights("best")
        state: dict[str, Any] = {
            "settings": self.settings,
            "epochs_done": self.epochs_done,
            "stopped": self.stopped,
            "history": self.history,
            "last_file": last_file,
            "best_file": self.best_file,
        }
        if early is not None and self.best_file is not None:
            state["early_stopping"] = {
                "best": float(early.best),
                "wait": early.wait,
                "best_epoch": early.best_epoch,
            }
        partial = self.folder / "state.json.partial"
        partial.write_text(json.dumps(state, indent=1), encoding="utf-8")
        os.replace(partial, self.folder / "state.json")
        for path in self.folder.glob("*.weights.h5"):
            if path.name not in (last_file, self.best_file):
                path.unlink()

    def _save_weights(self, kind: str) -> str:
        name = f"{kind}-{self.epochs_done:04d}.weights.h5"
        partial = self.folder / f"partial-{name}"
        self.model.save_weights(partial)
        os.replace(partial, self.folder / name)
        return name


def check_fields(record: Any, kinds: Mapping[str, Any]) -> None:
    """Raise `ValueError` unless a record that was read from a file has values of these types by these names."""
    if not isinstance(record, dict):
        raise ValueError(f"a record was expected in place of {describe(record)}")
    for name, kind in kinds.items():
        if name not in record:
            raise ValueError(f"{name!r} is missing")
        if not isinstance(record[name], kind):
            raise ValueError(f"{name!r} cannot be {describe(record[name])}")


def damaged(function: str, folder: Path, file: Path, reason: Any) -> Exception:
    """Return the error for a file in the folder of a run that cannot be used, on behalf of a public function."""
    name = file.relative_to(folder).as_posix()
    way_out = f"{name} is damaged ({reason}). Pass `resume=False` to train anew, or delete the folder."
    return input_error(function, "folder", "a folder whose files are whole", str(folder), way_out)


def run_settings(
    model: keras.Model,
    batches: Batches,
    validation: Batches | None,
    seed: int,
    patience: int | None,
    monitor: str,
) -> dict[str, Any]:
    """Return what two runs must have in common for one to go on with the other, by name."""
    return {
        "model": config_digest(_model_config(model)),
        "compile arguments": config_digest(model.get_compile_config()),
        "training data": batches.digest(),
        "validation data": None if validation is None else validation.digest(),
        "batch_size": batches.batch_size,
        "seed": seed,
        "patience": patience,
        "monitor": monitor if patience is not None else None,
    }


def _model_config(model: keras.Model) -> Any:
    try:
        return model.get_config()
    except NotImplementedError:  # a subclassed model without `get_config`: its weights must do
        return [type(model).__name__, [list(weight.shape) for weight in model.weights]]
