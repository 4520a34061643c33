"""Training that can be interrupted: `model.fit` with a reproducible order, early stopping and resume.

What makes an interrupted run end where an uninterrupted one would: the order of the images and the seeds of every
layer depend on (seed, epoch) alone, and after each epoch everything that the next one starts from is on disk.
"""

import contextlib
import importlib.util
import os
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from kerascv_course import runtime
from kerascv_course._fingerprints import Unknowable, compile_fingerprint, fingerprint, warn_unknowable
from kerascv_course._models import check_model
from kerascv_course._store import RunFolder
from kerascv_course._validation import check_int, check_number, check_pair, input_error
from kerascv_course.datasets import ImageDataset
from kerascv_course.datasets.split import split_indices
from kerascv_course.training.batches import Batches
from kerascv_course.training.checkpoint import Checkpoint, Watch

Arrays = tuple[np.ndarray, np.ndarray]


def fit(
    model: keras.Model,
    data: ImageDataset | Arrays,
    *,
    epochs: int,
    batch_size: int = 32,
    validation_split: float = 0.0,
    validation_data: Arrays | None = None,
    patience: int | None = None,
    monitor: str = "val_loss",
    folder: str | os.PathLike[str] | None = None,
    resume: bool = True,
    tensorboard: bool = False,
    callbacks: keras.callbacks.Callback | Iterable[keras.callbacks.Callback] = (),
    class_weight: Mapping[int, float] | None = None,
    seed: int = 0,
    verbose: int | str = "auto",
) -> keras.callbacks.History:
    """Train a compiled model with `model.fit`, so that an interrupted run can go on where it stopped.

    With a `folder`, weights, optimizer, history and early stopping are written there after each epoch. The same
    call, made again after an interruption of any kind, restarts at the last completed epoch. With
    `runtime.seed_everything(seed, deterministic=True)` on a CPU the final weights then equal those of an
    uninterrupted run bit for bit. A run that is complete is not repeated: its weights and history are loaded. It
    is complete when its epochs are done, or a `keras.callbacks.EarlyStopping` has stopped it.

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
        resume: Whether to go on with the run in `folder`. False starts anew and overwrites it; no other file in
            the folder is touched.
        tensorboard: Whether to log to `folder`/tensorboard (needs the extra `tensorboard`).
        callbacks: A Keras callback or several. They see every epoch that this call trains. After an interruption
            the state of `EarlyStopping` is restored, that of others is not.
        class_weight: From a class to the weight of its images in the loss, as `model.fit` takes it.
        seed: Decides, with the epoch, the order of the images and the seeds of layers such as `Dropout`. A layer
            of your own that draws random numbers needs a `keras.random.SeedGenerator` to be among them.
        verbose: Keras' own: 0 silent, 1 a progress bar, 2 a line per epoch.

    Returns:
        Keras' `History`; after a resume with the earlier epochs in front.

    Raises:
        ValueError: If the model is not compiled, images and labels do not fit together, a number is out of range,
            or `folder` holds a run of another model, other data or other settings, or damaged files.
        FloatingPointError: If the loss becomes NaN or infinite.
        ImportError: If `tensorboard` is asked for and not installed.

    Example:
        >>> from kerascv_course import build_lenet5, load_digits
        >>> digits = load_digits().subset(per_class=20)
        >>> model = build_lenet5()
        >>> model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        >>> history = fit(model, (digits.x_train / 255, digits.y_train), epochs=2, verbose=0)
        >>> sorted(history.history)
        ['accuracy', 'loss']
    """
    x, y = check_pair("fit", "data", data)
    check_compiled("fit", model)
    epochs = check_int("fit", "epochs", epochs, 1)
    batch_size = check_int("fit", "batch_size", batch_size, 1)
    seed = check_int("fit", "seed", seed, 0, 2**32 - 1)
    validation_split = check_number("fit", "validation_split", validation_split, 0, 0.99)
    if patience is not None:
        patience = check_int("fit", "patience", patience, 0)
    training_images, validation = None, None
    if validation_data is not None:
        validation = Batches(*check_pair("fit", "validation_data", validation_data), batch_size, seed=None)
    elif validation_split:
        training_images, held_out = split_indices("fit", "validation_split", y, validation_split, seed)
        validation = Batches(x, y, batch_size, None, held_out)
    if patience is not None and monitor.startswith("val_") and validation is None:
        way_out = "Pass `validation_data`, or a `validation_split` above 0."
        raise input_error("fit", "patience", "None where nothing is validated", patience, way_out)
    store = None if folder is None else RunFolder("fit", folder)
    callbacks = [callbacks] if isinstance(callbacks, keras.callbacks.Callback) else list(callbacks)
    if tensorboard:
        if store is None:
            rule = "False where no `folder` is given"
            raise input_error("fit", "tensorboard", rule, tensorboard, "Name a `folder`.")
        if importlib.util.find_spec("tensorboard") is None:
            raise ImportError('`tensorboard` of `fit` needs a package: pip install "kerascv_course[tensorboard]".')
        callbacks.append(keras.callbacks.TensorBoard(log_dir=str(store.folder / "tensorboard")))
    batches = Batches(x, y, batch_size, seed, training_images)
    return fit_batches(
        "fit", model, batches, validation, epochs=epochs, store=store, resume=resume, patience=patience,
        monitor=monitor, callbacks=callbacks, class_weight=class_weight, verbose=verbose,
    )  # fmt: skip


def fit_batches(
    function: str,
    model: keras.Model,
    batches: Batches,
    validation: Batches | None,
    *,
    epochs: int,
    store: RunFolder | None = None,
    resume: bool = True,
    patience: int | None = None,
    monitor: str = "val_loss",
    callbacks: Iterable[keras.callbacks.Callback] = (),
    class_weight: Mapping[int, float] | None = None,
    verbose: int | str = "auto",
) -> keras.callbacks.History:
    """Do what `fit` does, with arguments that have been checked, on behalf of a public function."""
    build(model, batches)
    monitored = None if patience is None else monitor
    run = [Watch(function, batches, monitored), *callbacks]
    if patience is not None:
        run.append(keras.callbacks.EarlyStopping(monitor=monitor, patience=patience, restore_best_weights=True))
    checkpoint, done = None, 0
    if store is not None:
        settings: dict[str, Any] = {
            "seed": batches.seed,
            "patience": patience,
            "monitor": monitored,
            "batch_size": batches.batch_size,
            "training data": batches.digest(),
            "validation data": None if validation is None else validation.digest(),
            "class_weight": None if class_weight is None else fingerprint(dict(class_weight)),
        }
        try:
            settings["model"] = fingerprint(model, weights=False)
            settings["compile arguments"] = compile_fingerprint(model)
        except Unknowable as what:
            warn_unknowable(
                function, what, "What `folder` holds cannot be gone on with: the training starts anew."
            )
            resume = False
        checkpoint = Checkpoint(store, settings, model, run)
        done = checkpoint.restore(epochs) if resume else 0
        if done == 0:
            checkpoint.start()
        run.append(checkpoint)
        if done == epochs or checkpoint.values["stopped"]:
            return checkpoint.give()
    generator = runtime.torch_generator()  # set for each epoch by `Watch`, and put back in the end
    with runtime.without_tracing_notes(), generator.fork_rng() if generator else contextlib.nullcontext():
        history = model.fit(
            batches,
            initial_epoch=done,
            epochs=epochs,
            validation_data=validation,
            callbacks=run,
            class_weight=class_weight,
            shuffle=False,  # the batches shuffle themselves; Keras would mix them again, each time differently
            verbose=verbose,
        )
    return history if checkpoint is None else checkpoint.finish(epochs)


def build(model: keras.Model, batches: Batches) -> None:
    """Make the weights of a compiled model and the state of its optimizer, where they are not there."""
    if not (model.built and getattr(model, "inputs", None)):  # a subclassed one may have layers that are not
        model(batches[0][0][:1])
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def check_compiled(function: str, model: Any) -> None:
    """Raise unless it is a compiled Keras model."""
    check_model(function, model)
    if not model.compiled:
        way_out = 'For example: model.compile(optimizer="adam", loss="sparse_categorical_crossentropy").'
        raise input_error(function, "model", "compiled", model, way_out)
