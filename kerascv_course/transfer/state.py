"""The state of training in stages on disk: which stages are finished, and with which weights."""

import json
import os
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_type_hints

from kerascv_course._digests import array_digest, config_digest
from kerascv_course._validation import input_error
from kerascv_course.training.resume import LOADING_FAULTS, check_fields, damaged
from kerascv_course.transfer.freezing import set_trainable
from kerascv_course.transfer.records import Stage, StageResult
from kerascv_course.transfer.run import Run

_STARTED = {"settings": dict, "row": dict | None, "backbone": str | None}
_FINISHED = {"history": dict, "weights": str, "test data": str | None}
_ROW = get_type_hints(StageResult)


class State:
    """The stages of a run in a folder: for each its settings, and once it is finished a row and its weights."""

    def __init__(self, folder: Any, run: Run, batch_norm: str) -> None:
        rule = "a folder, or a name that does not exist yet"
        if not isinstance(folder, str | os.PathLike):
            raise input_error("fit_stages", "folder", rule, folder, error=TypeError)
        self.folder, self.run = Path(folder), run
        self.at_start = run.model.get_weights()
        if self.folder.exists() and not self.folder.is_dir():
            raise input_error("fit_stages", "folder", rule, str(folder))
        # Which layers are trainable is part of a configuration: a model that was trained before is the same model.
        set_trainable(run.parts.backbone, Stage("all"), "train")
        self.settings = {
            "model": config_digest(run.model.get_config()),
            "weights of the backbone": getattr(run.model, "weights_source", ""),
            "training data": run.train.digest(),
            "validation data": None if run.validation is None else run.validation.digest(),
            "augmentation": None if run.augmentation is None else config_digest(run.augmentation.get_config()),
            "batch_norm": batch_norm,
            "views": None if run.augmentation is None else run.views,
            "feature_dtype": run.feature_dtype,
            "batch_size": run.train.batch_size,
            "patience": run.patience,
            "seed": run.seed,
        }
        self.test_data = None if run.test_data is None else array_digest(run.test_data)
        if not run.resume:  # what is left of a later stage must not be taken for one of the new run
            for name in ("stage.json", "state.json"):
                for path in self.folder.glob(f"stage-[0-9][0-9]/{name}"):
                    path.unlink()

    def load(
        self, number: int, stage: Stage, on_features: bool
    ) -> tuple[StageResult, dict[str, list[float]]] | None:
        """Load the weights after a finished stage and return its row; None where it is not finished.

        Where that fails the model gets the weights back that it had before any stage was loaded.
        """
        try:
            return self._load(number, stage, on_features)
        except Exception:
            self.run.model.set_weights(self.at_start)
            raise

    def _load(
        self, number: int, stage: Stage, on_features: bool
    ) -> tuple[StageResult, dict[str, list[float]]] | None:
        path = self._place(number) / "stage.json"
        if not path.exists():
            return None
        state = self._read(path)
        wanted = {**self.settings, **self._settings_of(number, stage, on_features)}
        differing = [name for name, value in wanted.items() if state["settings"].get(name) != value]
        if state["row"] is None and state["backbone"] != self._backbone(on_features):
            differing.append("weights of the backbone")
        if differing:
            rule = f"a folder whose run has the same {', '.join(dict.fromkeys(differing))}"
            way_out = "Name another `folder`, or pass `resume=False` to overwrite the run."
            raise input_error("fit_stages", "folder", rule, str(self.folder), way_out)
        if state["row"] is None:
            return None
        model, weights = self.run.model, path.with_name("after.weights.h5")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the file holds the state of an optimizer that is not wanted here
                model.load_weights(weights)
        except LOADING_FAULTS as error:
            raise damaged("fit_stages", self.folder, weights, error) from error
        if array_digest(model.get_weights()) != state["weights"]:
            raise damaged("fit_stages", self.folder, weights, "its checksum differs")
        row = StageResult(**{name: state["row"][name] for name in _ROW})
        if state["test data"] != self.test_data:  # it decides nothing, so it may be another in a later call
            row = replace(row, test_accuracy=self.run.test_accuracy(on_features=False))
        return row, state["history"]

    def _read(self, path: Path) -> dict[str, Any]:
        """Return what the file holds, or raise where it is not what `start` and `finish` write."""
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            check_fields(state, _STARTED)
            if state["row"] is not None:
                check_fields(state, _FINISHED)
                check_fields(state["row"], _ROW)
                check_fields(state["history"], dict.fromkeys(state["history"], list))
        except ValueError as error:
            raise damaged("fit_stages", self.folder, path, error) from error
        return state

    def start(self, number: int, stage: Stage, on_features: bool) -> Path:
        """Keep the settings of a stage and return its folder."""
        settings = {**self.settings, **self._settings_of(number, stage, on_features)}
        self._place(number).mkdir(parents=True, exist_ok=True)
        self._write(number, {"settings": settings, "row": None, "backbone": self._backbone(on_features)})
        return self._place(number)

    def finish(self, number: int, stage: Stage, row: StageResult, history: dict[str, list[float]]) -> None:
        """Keep the weights and then, in one step, the row."""
        path = self._place(number) / "stage.json"
        self.run.model.save_weights(path.with_name("after.weights.h5"))
        state = json.loads(path.read_text(encoding="utf-8"))
        state |= {"row": asdict(row), "history": history, "test data": self.test_data}
        self._write(number, {**state, "weights": array_digest(self.run.model.get_weights())})

    def _place(self, number: int) -> Path:
        return self.folder / f"stage-{number:02}"

    def _settings_of(self, number: int, stage: Stage, on_features: bool) -> dict[str, Any]:
        fields = {f"{name} of stage {number}": value for name, value in asdict(stage).items()}
        return {**fields, "cache_features": on_features}

    def _backbone(self, on_features: bool) -> str | None:
        """Return the hash of the weights that make the features; None where there are none."""
        return array_digest(self.run.parts.backbone.get_weights()) if on_features else None

    def _write(self, number: int, state: dict[str, Any]) -> None:
        path = self._place(number) / "stage.json"
        partial = path.with_name("stage.json.partial")
        partial.write_text(json.dumps(state, indent=1), encoding="utf-8")
        os.replace(partial, path)
