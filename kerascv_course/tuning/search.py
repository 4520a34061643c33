"""Random search: models with values drawn from a space, each trained once, the best first."""

import importlib.util
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from kerascv_course._tables import Table
from kerascv_course._validation import check_choice, check_int, input_error
from kerascv_course.datasets import ImageDataset
from kerascv_course.experiment.kept import (
    check_arrays,
    data_digest,
    is_builder,
    make_folder,
    model_digest,
    write_json,
)
from kerascv_course.runtime import seed_everything
from kerascv_course.training.fit import fit
from kerascv_course.tuning.space import COURSE_SPACE, Space, Values, as_text, check_space, count, draw

Arrays = tuple[np.ndarray, np.ndarray]

_FUNCTION = "random_search"


@dataclass(frozen=True)
class SearchTrial:
    """One trial of a search.

    Attributes:
        trial: Its number, from 0.
        values: What was drawn for it, by name.
        val_accuracy: The highest accuracy on the held-out images over the epochs; None where it failed.
        val_loss: The loss on them after that epoch.
        best_epoch: That epoch, from 1.
        params: Parameters of the model.
        seconds: Time of the training.
        history: Loss and accuracy of each epoch, by Keras' names.
        error: Why the trial failed; empty where it did not.
    """

    trial: int
    values: dict[str, Any]
    val_accuracy: float | None
    val_loss: float | None
    best_epoch: int | None
    params: int | None
    seconds: float | None
    history: dict[str, list[float]]
    error: str = ""


@dataclass(frozen=True, repr=False)
class SearchResults(Table):
    """What `random_search` returns: a record for each trial, the best first; shown as a table.

    Attributes:
        rows: The trials by falling accuracy, failed ones at the end.
        notes: Remarks, shown below the table.
    """

    rows: tuple[SearchTrial, ...]
    notes: tuple[str, ...]

    _columns: ClassVar = {
        "Values": lambda row: as_text(row.values),
        "Trial": "trial",
        "Accuracy": lambda row: "failed" if row.error else f"{row.val_accuracy:.1%}",
        "Loss": "val_loss:.3f",
        "Epoch": "best_epoch",
        "Parameters": "params:,",
        "Seconds": "seconds:,.1f",
    }

    @property
    def best(self) -> SearchTrial:
        """The trial with the highest accuracy."""
        return self.rows[0]

    def to_dict(self) -> list[dict[str, Any]]:
        """Return one dictionary per trial, with an entry for each of its values."""
        left_out = ("values", "history")
        return [
            {**row.values, **{name: value for name, value in asdict(row).items() if name not in left_out}}
            for row in self.rows
        ]


def random_search(
    build: Callable[[Values], keras.Model],
    data: ImageDataset | Arrays,
    *,
    folder: str | os.PathLike[str],
    space: Space = COURSE_SPACE,
    max_trials: int = 10,
    epochs: int = 5,
    batch_size: int = 32,
    validation_split: float = 0.1,
    validation_data: Arrays | None = None,
    seed: int = 0,
    verbose: int = 1,
) -> SearchResults:
    """Train models with values drawn at random from a space, and report them, the best first.

    Each trial starts from the same seed and holds out the same images. Its result is written to `folder` as soon
    as it is there: the same call, made again after an interruption of any kind, does only what is missing, and
    repeats the trial that was interrupted. More trials may be asked for later. A trial that fails, for example
    because its loss became NaN, is reported with its error and not repeated.

    Several processes share a search where KerasTuner's settings are in the environment: one process with
    `KERASTUNER_TUNER_ID=chief` hands out the trials and returns the results; each worker (`tuner0`, `tuner1`, ...)
    runs them, and its process ends with the search, inside this call. All have `KERASTUNER_ORACLE_IP` and
    `KERASTUNER_ORACLE_PORT`, address and port of the chief, and see the same `folder`. A worker that died, started
    again with the same `KERASTUNER_TUNER_ID`, gets the interrupted trial again; until then the chief waits for it.
    On one machine `kerascv-course search SCRIPT --workers 2` does all of that.

    Args:
        build: Takes the values of a trial, such as {"optimizer": "Adam", "learning_rate": 0.01, "activation":
            "relu"}, and returns a model compiled with `metrics=["accuracy"]`; `make_optimizer` takes the same
            values. Called after seeding.
        data: The training images and labels as two arrays, or an `ImageDataset`, whose images are passed on as
            they are.
        folder: Where the results are kept; made if it does not exist.
        space: From a name to the values to choose from. "optimizer" holds names of Keras' classes, rates lie above
            0 and up to 1, and "momentum", from 0 to below 1, is left out for optimizers that have none.
        max_trials: Number of trials, from 1 to the number of different ones in the space.
        epochs: How often a trial sees the training images, 1 or more.
        batch_size: Images per step, 1 or more.
        validation_split: Share of the training images that is held out to measure the accuracy, above 0 and below
            1. Ignored where `validation_data` is given.
        validation_data: Images and labels to measure the accuracy on.
        seed: Decides the trials, the first weights, the split and the order of the images.
        verbose: 1 shows a progress bar over the trials, 0 is silent.

    Returns:
        A row for each trial; it shows itself as a table.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the space is empty, a number is out of range, or `folder` cannot be written to or holds
            another search.
        RuntimeError: If every trial failed.
        ImportError: If KerasTuner is not installed.
        SystemExit: In a worker, when the search is over.

    Example:
        >>> import tempfile
        >>> from kerascv_course.datasets import load_digits
        >>> from kerascv_course.tuning import make_optimizer
        >>> def build(values):
        ...     hidden = keras.layers.Dense(16, values["activation"])
        ...     layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), hidden]
        ...     model = keras.Sequential([keras.Input((8, 8, 1)), *layers, keras.layers.Dense(10, "softmax")])
        ...     model.compile(make_optimizer(values), "sparse_categorical_crossentropy", metrics=["accuracy"])
        ...     return model
        >>> digits = load_digits(image_size=8).subset(per_class=10)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     results = random_search(build, digits, folder=folder, max_trials=2, epochs=1, verbose=0)
        >>> [row.params for row in results.rows]
        [1210, 1210]

    Source: Lorente (random search over optimizer, rate, momentum and activation).
    """
    if importlib.util.find_spec("keras_tuner") is None:
        raise ImportError('`random_search` needs a package: pip install "kerascv_course[tuning]".')
    if not is_builder(build):
        raise input_error(_FUNCTION, "build", "a function that builds a compiled model", build, error=TypeError)
    checked = check_space(space)
    max_trials = check_int(_FUNCTION, "max_trials", max_trials, 1)
    if max_trials > count(checked):
        rule = f"at most {count(checked)}, the number of different trials of `space`"
        raise input_error(_FUNCTION, "max_trials", rule, max_trials)
    settings = {
        "epochs": check_int(_FUNCTION, "epochs", epochs, 1),
        "batch_size": check_int(_FUNCTION, "batch_size", batch_size, 1),
        "seed": check_int(_FUNCTION, "seed", seed, 0, 2**32 - 1),
    }
    train, held_out = check_arrays(_FUNCTION, data, validation_split, validation_data)
    check_choice(_FUNCTION, "verbose", verbose, (0, 1))
    plan = draw(checked, max_trials, seed)
    results = _Results(Path(folder), plan)
    results.check(
        {
            "data": data_digest(train, validation_split, held_out),
            "space": {name: list(values) for name, values in checked.items()},
            **settings,
            "model": model_digest(lambda: build(dict(plan[0]))),
        }
    )

    def run(trial: int) -> tuple[float | None, str]:
        result = results.load(trial)
        if result is None:
            validation = {"validation_split": validation_split, "validation_data": held_out}
            result = _train(trial, plan[trial], build, train, {**settings, **validation})
            results.save(result)
        return result.val_accuracy, result.error

    if not results.all_done():
        from kerascv_course.tuning import engine  # it imports KerasTuner

        progress = keras.utils.Progbar(max_trials, unit_name="trial") if verbose and not _is_worker() else None
        on_end = (lambda: progress.add(1)) if progress is not None else (lambda: None)
        engine.search(plan, run, results.folder, on_end=on_end, all_done=results.all_done)
    if _is_worker():
        raise SystemExit(0)  # what the script does with the results is done once, by the chief
    return results.summary()


class _Results:
    """The results of a search in a folder: `search.json` says what it is about, then a file for each trial."""

    def __init__(self, folder: Path, plan: list[Values]) -> None:
        self.folder, self.plan = folder, plan

    def check(self, settings: Mapping[str, Any]) -> None:
        """Make the folder, or raise where it cannot be made or holds another search."""
        make_folder(_FUNCTION, self.folder)
        path = self.folder / "search.json"
        if not path.exists():
            write_json(path, settings)
            return
        kept = json.loads(path.read_text(encoding="utf-8"))
        differing = [name for name, value in settings.items() if kept.get(name) != value]
        if differing:
            rule = f"a folder whose search had the same {', '.join(differing)}"
            raise input_error(_FUNCTION, "folder", rule, str(self.folder), "Name another `folder`.")

    def load(self, trial: int) -> SearchTrial | None:
        """Return the result of a trial, or None."""
        path = self._path(trial)
        return SearchTrial(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None

    def save(self, result: SearchTrial) -> None:
        """Keep the result of a trial."""
        write_json(self._path(result.trial), asdict(result))

    def all_done(self) -> bool:
        """Tell whether every trial has a result."""
        return all(self._path(trial).exists() for trial in range(len(self.plan)))

    def summary(self) -> SearchResults:
        """Return all results, the best first; raise where there is none that can be used."""
        found = [self.load(trial) for trial in range(len(self.plan))]
        rows = [row for row in found if row is not None]
        if len(rows) < len(self.plan):
            raise RuntimeError(
                f"`random_search`: {len(self.plan) - len(rows)} trials have left no result in {self.folder}. "
                "Chief and workers must see the same folder."
            )
        failed = [row for row in rows if row.error]
        if len(failed) == len(rows):
            raise RuntimeError(f"`random_search`: every trial failed. The first: {failed[0].error}")
        rows.sort(key=lambda row: (bool(row.error), -(row.val_accuracy or 0), row.trial))
        return SearchResults(tuple(rows), tuple(f"Trial {row.trial} failed: {row.error}" for row in failed))

    def _path(self, trial: int) -> Path:
        return self.folder / f"trial-{trial:04d}.json"


def _train(
    trial: int, values: Values, build: Callable[[Values], keras.Model], data: Arrays, settings: Mapping[str, Any]
) -> SearchTrial:
    """Run one trial; an error becomes part of the record."""
    try:
        seed_everything(settings["seed"])
        model = build(dict(values))
        started = time.perf_counter()
        history = fit(model, data, verbose=0, **settings).history
        seconds = time.perf_counter() - started
        if "val_accuracy" not in history:
            raise input_error(_FUNCTION, "build", 'a function that compiles with metrics=["accuracy"]', build)
        if not np.isfinite(history["val_accuracy"] + history["val_loss"]).all():
            raise FloatingPointError("accuracy or loss on the held-out images became NaN or infinite")
    except Exception as error:  # other values may well do
        message = f"{type(error).__name__}: {error}"
        return SearchTrial(trial, values, None, None, None, None, None, {}, message)
    best = int(np.argmax(history["val_accuracy"]))
    return SearchTrial(
        trial=trial,
        values=values,
        val_accuracy=history["val_accuracy"][best],
        val_loss=history["val_loss"][best],
        best_epoch=best + 1,
        params=model.count_params(),
        seconds=seconds,
        history=history,
    )


def _is_worker() -> bool:
    return "KERASTUNER_ORACLE_IP" in os.environ and "chief" not in os.environ.get("KERASTUNER_TUNER_ID", "chief")
