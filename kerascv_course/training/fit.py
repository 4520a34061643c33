"""Training that can be interrupted: `model.fit` with a reproducible order, early stopping and resume.

What makes an interrupted run end where an uninterrupted one would: the order of the images and the seeds of every
layer depend on (seed, epoch) alone, and after each epoch everything that the next one starts from is on disk.
"""

import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerascv_course import runtime
from kerascv_course._validation import check_int, check_number, describe, input_error
from kerascv_course.datasets import ImageDataset
from kerascv_course.datasets.split import split_indices
from kerascv_course.training.batches import Batches
from kerascv_course.training.resume import Arrays, Checkpoint, ResumableEarlyStopping, run_settings

BATCHES_BETWEEN_LOSS_CHECKS = 32  # reading the loss waits for the accelerator: rarely enough not to be felt


def fit(
    model: keras.Model,
    data: ImageDataset | Arrays,
    *,
    epochs: int,
    batch_size: int = 32,
    validation_split: float = 0.1,
    validation_data: Arrays | None = None,
    patience: int | None = None,
    monitor: str = "val_loss",
    folder: str | os.PathLike[str] | None = None,
    resume: bool = True,
    tensorboard: bool = False,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    seed: int = 0,
    verbose: int | str = "auto",
) -> keras.callbacks.History:
    """Train a compiled model with `model.fit`, so that an interrupted run can go on where it stopped.

    With a `folder`, weights, optimizer, history and early stopping are written there after each epoch. The same
    call, made again after an interruption of any kind, restarts at the last completed epoch. With
    `runtime.seed_everything(seed, deterministic=True)` on a CPU the final weights then equal those of an
    uninterrupted run bit for bit. A run that is complete is not repeated: its weights and history are loaded.

    Args:
        model: A compiled Keras model.
        data: The training images and labels as two arrays, or an `ImageDataset`, whose uint8 images are passed on
            as they are: give such a model a `Rescaling` layer first.
        epochs: How often the training images are seen, at least 1. A later call may ask for more.
        batch_size: Images per step, at least 1.
        validation_split: Share of the training images that is held out, from 0 to below 1; every class in its
            proportion, chosen by `seed`. Ignored where `validation_data` is given.
        validation_data: Images and labels to validate on.
        patience: Stop after so many epochs without improvement of `monitor`, and go back to the best weights.
            None trains all epochs and keeps the last weights.
        monitor: The figure that early stopping watches, as Keras names it.
        folder: Where the state of the run is kept; made if it does not exist. None keeps nothing.
        resume: Whether to go on with the run in `folder`. False starts anew and overwrites it.
        tensorboard: Whether to log to `folder`/tensorboard (needs the extra `tensorboard`).
        callbacks: Further Keras callbacks. They see every epoch that this call trains; a state that they keep
            themselves is not restored after an interruption.
        seed: Decides, with the epoch, the order of the images and the seeds of layers such as `Dropout`. A layer
            of your own that draws random numbers needs a `keras.random.SeedGenerator` to be among them.
        verbose: Keras' own: 0 silent, 1 a progress bar, 2 a line per epoch.

    Returns:
        Keras' `History`; after a resume with the earlier epochs in front.

    Raises:
        TypeError: If the model is no Keras model, or an argument is of the wrong type.
        ValueError: If the model is not compiled, images and labels do not fit together, images are not finite, a
            number is out of range, or `folder` holds a run of another model, other data or other settings, or
            damaged files.
        FloatingPointError: If the loss becomes NaN or infinite.
        ImportError: If `tensorboard` is asked for and not installed.

    Example:
        >>> from kerascv_course import build_lenet5, load_digits
        >>> digits = load_digits().subset(per_class=20)
        >>> model = build_lenet5()
        >>> model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        >>> history = fit(model, (digits.x_train / 255, digits.y_train), epochs=2, verbose=0)
        >>> sorted(history.history)
        ['accuracy', 'loss', 'val_accuracy', 'val_loss']
    """
    x, y = _check_data("data", (data.x_train, data.y_train) if isinstance(data, ImageDataset) else data)
    _check_model(model)
    epochs = check_int("fit", "epochs", epochs, 1)
    batch_size = check_int("fit", "batch_size", batch_size, 1)
    seed = check_int("fit", "seed", seed, 0, 2**32 - 1)
    validation_split = check_number("fit", "validation_split", validation_split, 0, 0.99)
    if patience is not None:
        patience = check_int("fit", "patience", patience, 0)
    training_images = None
    if validation_data is not None:
        validation = Batches(*_check_data("validation_data", validation_data), batch_size, seed=None)
    elif validation_split:
        training_images, held_out = split_indices("fit", "validation_split", y, validation_split, seed)
        validation = Batches(x, y, batch_size, None, held_out)
    else:
        validation = None
    if patience is not None and monitor.startswith("val_") and validation is None:
        way_out = "Pass `validation_data`, or a `validation_split` above 0."
        raise input_error("fit", "patience", "None where nothing is validated", patience, way_out)
    if folder is not None and Path(folder).exists() and not Path(folder).is_dir():
        raise input_error("fit", "folder", "a folder, or a name that does not exist yet", str(folder))
    if folder is None and tensorboard:
        raise input_error(
            "fit", "tensorboard", "False where no `folder` is given", tensorboard, "Name a `folder`."
        )
    if tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise ImportError('`tensorboard` of `fit` needs a package: pip install "kerascv_course[tensorboard]".')

    return fit_batches(
        model,
        Batches(x, y, batch_size, seed, training_images),
        validation,
        epochs=epochs,
        seed=seed,
        patience=patience,
        monitor=monitor,
        folder=folder,
        resume=resume,
        tensorboard=tensorboard,
        callbacks=callbacks,
        verbose=verbose,
    )


def fit_batches(
    model: keras.Model,
    batches: Batches,
    validation: Batches | None,
    *,
    epochs: int,
    seed: int,
    patience: int | None = None,
    monitor: str = "val_loss",
    folder: str | os.PathLike[str] | None = None,
    resume: bool = True,
    tensorboard: bool = False,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
    function: str = "fit",
) -> keras.callbacks.History:
    """Do what `fit` does, with batches and arguments that have been checked, on behalf of a public function."""
    if not model.built:
        model.build((None, *batches.x.shape[1:]))
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    early_stopping = None
    if patience is not None:
        early_stopping = ResumableEarlyStopping(monitor=monitor, patience=patience, restore_best_weights=True)
    run: list[keras.callbacks.Callback] = [_EpochSeeds(batches, seed), *callbacks]
    run += [_StopAtNaN(), *([early_stopping] if early_stopping else [])]

    def train(from_epoch: int) -> keras.callbacks.History:
        with runtime.without_tracing_notes():
            return model.fit(
                batches,
                initial_epoch=from_epoch,
                epochs=epochs,
                validation_data=validation,
                callbacks=run,
                shuffle=False,  # the batches shuffle themselves; Keras would mix them again, each time differently
                verbose=verbose,
            )

    if folder is None:
        return train(0)

    settings = run_settings(model, batches, validation, seed, patience, monitor)
    checkpoint = Checkpoint(Path(folder), settings, early_stopping, function)
    done = checkpoint.restore(model, epochs) if resume else 0
    if done == 0:
        checkpoint.start(model)
    if tensorboard:
        run.append(keras.callbacks.TensorBoard(log_dir=str(Path(folder) / "tensorboard")))
    run.append(checkpoint)

    if checkpoint.stopped or done >= epochs:
        if early_stopping is not None and early_stopping.restored:
            model.set_weights(early_stopping.restored["best_weights"])
        history = keras.callbacks.History()
        history.set_model(model)
    else:
        history = train(done)
    history.history = {name: list(values) for name, values in checkpoint.history.items()}
    history.epoch = list(range(checkpoint.epochs_done))
    return history


class _EpochSeeds(keras.callbacks.Callback):
    """Sets the order of the data and the seeds of the layers at the start of each epoch."""

    def __init__(self, batches: Batches, seed: int) -> None:
        super().__init__()
        self.batches, self.seed = batches, seed

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.batches.start_epoch(epoch)
        states = [v for v in self.model.variables if v.path.endswith("seed_generator_state")]
        numbers = np.random.SeedSequence([self.seed, epoch]).generate_state(len(states)) >> 1
        for state, number in zip(states, numbers, strict=True):
            state.assign(np.array([number, 0]))


class _StopAtNaN(keras.callbacks.Callback):
    """Raises as soon as the loss is no number any more, before that epoch is saved."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epoch, self.next_check = epoch, 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if batch >= self.next_check:  # not every batch ends a call where several steps are done in one
            self.next_check = batch + BATCHES_BETWEEN_LOSS_CHECKS
            self.check((logs or {}).get("loss"), f"at batch {batch + 1} of epoch {self.epoch + 1}")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.check((logs or {}).get("loss"), f"in epoch {epoch + 1}")

    def check(self, loss: Any, when: str) -> None:
        if loss is not None and not np.isfinite(float(loss)):
            rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
            raise FloatingPointError(
                f"`fit`: the loss became {float(loss)} {when}, with a learning rate of {rate:g}. Training has "
                "been stopped. Usual causes: too high a learning rate (try a tenth of it), images that are not "
                "scaled, labels outside 0..num_classes - 1, or a loss that does not fit the last layer."
            )


def _check_model(model: Any) -> None:
    if not isinstance(model, keras.Model):
        raise input_error("fit", "model", "a Keras model", model, error=TypeError)
    if not model.compiled:
        way_out = 'For example: model.compile(optimizer="adam", loss="sparse_categorical_crossentropy").'
        raise input_error("fit", "model", "compiled", model, way_out)


def _check_data(argument: str, data: Any) -> Arrays:
    if not isinstance(data, tuple | list) or len(data) != 2:
        way_out = "For a `tf.data` pipeline call `model.fit`: its order cannot be repeated from outside."
        rule = "a pair of arrays (images, labels)" + (" or an ImageDataset" if argument == "data" else "")
        raise input_error("fit", argument, rule, type(data).__name__, way_out, TypeError)
    x, y = np.asarray(data[0]), np.asarray(data[1])
    if x.ndim < 2 or y.ndim < 1 or len(x) != len(y) or len(x) == 0:
        rule = "as many images as labels, and at least one"
        raise input_error("fit", argument, rule, f"({describe(x)}, {describe(y)})")
    if np.issubdtype(x.dtype, np.floating) and not np.isfinite([x.min(), x.max()]).all():
        raise input_error("fit", argument, "images without NaN and infinite values", describe(x))
    return x, y
