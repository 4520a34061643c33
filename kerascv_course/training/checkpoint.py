"""The callbacks of a run: order and seeds, the watch over its loss, and what is kept after each epoch."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kerascv_course._fingerprints import array_digest
from kerascv_course._models import seeds_of
from kerascv_course._store import RunFolder
from kerascv_course._validation import input_error
from kerascv_course.runtime import torch_generator
from kerascv_course.training.trial import current_rate

_COUNTING = (  # what these callbacks of Keras count belongs to the run
    *(keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau),
    *(keras.callbacks.ModelCheckpoint, keras.callbacks.SwapEMAWeights),
)
_COUNTED = ("best", "best_epoch", "wait", "cooldown_counter", "epochs_since_last_save", "_ema_weights_in_model")
NO_NUMBER = "images not scaled, labels outside 0..num_classes - 1, or a loss that does not fit the last layer"
BATCHES_BETWEEN_LOSS_CHECKS = 32  # reading the loss waits for the accelerator: rarely enough not to be felt


def set_seeds(model: keras.Model, *numbers: int) -> int:
    """Set what draws random numbers in the layers of a model by some numbers; return one more for the rest."""
    states = seeds_of(model)
    drawn = np.random.SeedSequence(numbers).generate_state(len(states) + 1) >> 1
    for state, number in zip(states, drawn, strict=False):
        state.assign(np.array([number, 0]))
    return int(drawn[-1])


class Watch(keras.callbacks.Callback):
    """Sets the order of the data and the seeds of the layers; raises where the loss is no number any more."""

    def __init__(
        self, function: str, start_epoch: Callable[[int], None] | None, seed: int | None, monitor: str | None
    ) -> None:
        super().__init__()
        self.function, self.start_epoch, self.seed, self.monitor = function, start_epoch, seed, monitor

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Set the order of the images and the seeds of the layers."""
        self.epoch, self.next_check = epoch, 0
        if self.start_epoch is not None:
            self.start_epoch(epoch)
        number = set_seeds(self.model, self.seed or 0, epoch)
        if generator := torch_generator():
            generator.manual_seed(number)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the loss of some batches."""
        if batch >= self.next_check:  # not every batch ends a call where several steps are done in one
            self.next_check = batch + BATCHES_BETWEEN_LOSS_CHECKS
            self.check((logs or {}).get("loss"), f"at batch {batch + 1} of epoch {self.epoch + 1}")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Look at the loss of the epoch, and for the figure that early stopping watches."""
        self.check((logs or {}).get("loss"), f"in epoch {epoch + 1}")
        figures = sorted(logs or {})
        is_late = str(self.monitor).startswith("val_") and not any(name.startswith("val_") for name in figures)
        if self.monitor not in {None, *figures} and not is_late:  # Keras would only warn, and never stop
            rule = f"one of the figures of the epoch ({', '.join(figures)})"
            raise input_error(self.function, "monitor", rule, self.monitor)

    def check(self, loss: Any, when: str) -> None:
        """Raise where the loss is NaN or infinite."""
        if loss is not None and not np.isfinite(float(loss)):
            text = f"`{self.function}`: the loss became {float(loss)} {when}, with a learning rate of "
            text += f"{current_rate(self.model):g}. "
            text += "Training has been stopped. Usual causes: too high a learning rate (try a tenth of it), "
            raise FloatingPointError(f"{text}{NO_NUMBER}.")


class Checkpoint(keras.callbacks.Callback):
    """Keeps the state of a run in its folder: after each epoch what the next one starts from, and what was given.

    The weights that the caller got at the end, after early stopping or averaging, are the file "given"; those to
    go on from are "state"; "best 0" and so on are those that a callback would go back to.
    """

    def __init__(
        self, store: RunFolder, settings: dict[str, Any], model: keras.Model, run: list[keras.callbacks.Callback]
    ) -> None:
        super().__init__()
        self.store, self.settings, self.network = store, settings, model
        self.counting = [callback for callback in run if isinstance(callback, _COUNTING)]
        self.states: list[dict[str, Any]] = []  # of these callbacks, from an earlier call
        self.values: dict[str, Any] = {}

    def restore(self, epochs: int) -> int:
        """Load the run in the folder into the model; return the number of its complete epochs, 0 without a run."""
        found = self.store.read()
        differing = self._differing(found) if found else []
        if not found or not found["epochs_done"]:
            if found and not differing:  # killed in its first epoch: it starts from the same weights
                self.store.load("state", self.network)
            return 0
        if differing:
            raise self.store.other(differing)
        if found["epochs_done"] > epochs:
            rule = f"at least the {found['epochs_done']} that `folder` holds"
            raise input_error(self.store.function, "epochs", rule, epochs)
        self.values = found
        if [kind for kind, _ in found["callbacks"]] == [type(callback).__name__ for callback in self.counting]:
            for number, (_, state) in enumerate(found["callbacks"]):
                self.states.append(dict(state))
                if f"best {number}" in self.store.files:
                    self.store.load(f"best {number}", self.network)
                    self.states[-1]["best_weights"] = self.network.get_weights()
        self.store.load("state", self.network)
        return int(found["epochs_done"])

    def _differing(self, found: dict[str, Any]) -> list[str]:
        """Return what differs between the run in the folder and this one, by name."""
        differing = [name for name, value in self.settings.items() if found["settings"].get(name) != value]
        for name, values in _steady(self.network).items():
            pairs = zip(found["steady"].get(name, ()), values, strict=False)
            if any(before is not None and before != now for before, now in pairs):
                differing.append(name)
        return differing

    def start(self) -> None:
        """Save the untrained model."""
        values = {"settings": self.settings, "steady": _steady(self.network), "epochs_done": 0, "stopped": False}
        self.values = values | {"history": {}, "callbacks": []}
        self.store.keep(self.values, {"state": self.store.put(self.network)})

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Give the callbacks of Keras what they had counted in the earlier call."""
        for callback, state in zip(self.counting, self.states, strict=False):
            for name, value in state.items():
                setattr(callback, name, value)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Save everything that the next epoch starts from."""
        for name, value in (logs or {}).items():
            self.values["history"].setdefault(name, []).append(np.asarray(value).tolist())
        was, now = self.values["steady"], _steady(self.network)
        # What changes while training, such as the statistics of batch normalization, is no mark of a run.
        steady = {name: [a if a == b else None for a, b in zip(was[name], now[name], strict=True)] for name in now}
        counted = []
        for callback in self.counting:
            state = {name: np.asarray(v).tolist() for name, v in vars(callback).items() if name in _COUNTED}
            counted.append((type(callback).__name__, state))
        stopped = any(getattr(callback, "stopped_epoch", 0) > 0 for callback in self.counting)
        files = {name: file for name, file in self.store.files.items() if name.startswith("best ")}
        files["state"] = self.store.put(self.network)
        for number, callback in enumerate(self.counting):
            if getattr(callback, "best_weights", None) is not None and callback.best_epoch == epoch:
                files[f"best {number}"] = files["state"]
        self.values |= {"epochs_done": epoch + 1, "stopped": stopped, "steady": steady, "callbacks": counted}
        self.store.keep(self.values, files)

    def finish(self, epochs: int) -> keras.callbacks.History:
        """Save the weights that the caller gets, once the run is complete; after any other stop it goes on."""
        if self.values["stopped"] or self.values["epochs_done"] >= epochs:
            given, state = self.store.put(self.network), self.store.files["state"]
            same = given["sha256"] == state["sha256"]
            self.store.keep(self.values, {**self.store.files, "given": state if same else given})
        return self._history()

    def give(self) -> keras.callbacks.History:
        """Load the weights that the caller got when the run was completed."""
        self.store.load("given", self.network)
        return self._history()

    def _history(self) -> keras.callbacks.History:
        """Return the figures of all epochs, those of earlier calls in front."""
        history = keras.callbacks.History()
        history.set_model(self.network)
        history.history = {name: list(values) for name, values in self.values["history"].items()}
        history.epoch = list(range(self.values["epochs_done"]))
        return history


def _steady(model: keras.Model) -> dict[str, list[Any]]:
    """Return what makes another run where it differs, unless it is seen to change while training."""
    arrays = map(keras.ops.convert_to_numpy, model.non_trainable_variables)
    fixed = [array_digest(array)[:16] for array in arrays]
    return {"learning rate": [current_rate(model)], "weights that are not trained": fixed}
