"""Training that can be interrupted: `model.fit` with a reproducible order, early stopping and resume.

What makes an interrupted run end where an uninterrupted one would: the order of the images and the seeds of every
layer depend on (seed, epoch) alone, and after each epoch everything that the next one starts from is on disk.
"""

import contextlib
import os
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import tree

from kerascv_course import runtime
from kerascv_course._fingerprints import fingerprint, run_fingerprints
from kerascv_course._ranges import told
from kerascv_course._store import RunFolder
from kerascv_course._validation import check_choice, check_int, input_error
from kerascv_course.datasets import ImageDataset
from kerascv_course.training.batches import Batches, for_backend
from kerascv_course.training.checkpoint import Checkpoint, Watch
from kerascv_course.training.inputs import check_class_weight, first_batch, read_training
from kerascv_course.training.trial import call_once, check_compiled

Arrays = tuple[np.ndarray, np.ndarray]
Callbacks: TypeAlias = "keras.callbacks.Callback | Iterable[keras.callbacks.Callback] | None"

# What `fit` passes on without an argument of its own.
_OPTIONS = ["initial_epoch", "shuffle", "steps_per_epoch"]
_OPTIONS += ["validation_batch_size", "validation_freq", "validation_steps"]


def fit(
    model: keras.Model,
    data: ImageDataset | Arrays | Any,
    *,
    epochs: int,
    batch_size: int | None = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    patience: int | None = None,
    monitor: str = "val_loss",
    folder: str | os.PathLike[str] | None = None,
    resume: bool = True,
    callbacks: Callbacks = None,
    class_weight: Mapping[int, float] | None = None,
    sample_weight: Any = None,
    seed: int = 0,
    verbose: int | str = "auto",
    **options: Any,
) -> keras.callbacks.History:
    """Train a compiled model with `model.fit`, so that an interrupted run can go on where it stopped.

    With a `folder`, weights, optimizer, history and early stopping are written there after each epoch. The same
    call, made again after an interruption of any kind, restarts at the last completed epoch. With
    `runtime.seed_everything(seed, deterministic=True)` on a CPU the final weights then equal those of an
    uninterrupted run bit for bit. A run that is complete is not repeated: its weights and history are loaded. It
    is complete when its epochs are done, or a `keras.callbacks.EarlyStopping` has stopped it.

    Args:
        model: A compiled Keras model of any kind.
        data: The training images and labels as two arrays, and weights as a third; or an `ImageDataset`, whose
            uint8 images are passed on as they are: give such a model a `Rescaling` layer first. A model with
            several inputs or outputs takes a list or a dictionary of arrays in place of one. Or batches as
            `model.fit` takes them: a `tf.data.Dataset`, a `keras.utils.PyDataset`, a `DataLoader`, a generator.
            Then their order is their own: a run goes on at its last epoch, with the batches that come. A
            `PyDataset` with a method `start_epoch` is told the number of each epoch.
        epochs: How often the training images are seen, at least 1. A later call may ask for more.
        batch_size: Images per step, at least 1; 32 by default. Left out where the data come in batches.
        validation_split: Share of the training images that is held out, from 0 to below 1; every class in its
            proportion, chosen by `seed`. Ignored where `validation_data` is given.
        validation_data: Images and labels to validate on, or batches of them. An `ImageDataset` with a part for
            validation brings its own.
        patience: Stop after so many epochs without improvement of `monitor`, and go back to the best weights.
            None trains all epochs and keeps the last weights.
        monitor: The figure that early stopping watches, as Keras names it.
        folder: Where the state of the run is kept; made if it does not exist. None keeps nothing. Batches are
            compared by their form, not by their content: name another folder for others.
        resume: Whether to go on with the run in `folder`. False starts anew and overwrites it; no other file in
            the folder is touched.
        callbacks: A Keras callback or several. They see every epoch that this call trains. After an interruption
            what Keras' own callbacks have counted is restored; the state of others is not.
        class_weight: From a class to the weight of its images in the loss, as `model.fit` takes it.
        sample_weight: Weight of each image in the loss, (n,), not with `class_weight`.
        seed: Decides, with the epoch, the order of the images and the seeds of layers such as `Dropout`. A layer
            of your own that draws random numbers needs a `keras.random.SeedGenerator` to be among them.
        verbose: Keras' own: 0 silent, 1 a progress bar, 2 a line per epoch.
        **options: Further arguments of `model.fit`: `shuffle`, `steps_per_epoch`, `validation_steps`,
            `validation_batch_size`, `validation_freq`, and `initial_epoch` where there is no `folder`.

    Returns:
        Keras' `History`; after a resume with the earlier epochs in front.

    Raises:
        TypeError: If an argument has the wrong type, or none of that name is known.
        ValueError: If the model is not compiled, images and labels do not fit together or the model, its loss or
            its metrics, a number is out of range, or `folder` holds another run or damaged files.
        FloatingPointError: If the loss becomes NaN or infinite.

    Example:
        >>> from kerascv_course import build_lenet5, load_digits
        >>> digits = load_digits().subset(per_class=20)
        >>> model = build_lenet5()
        >>> model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        >>> history = fit(model, (digits.x_train / 255, digits.y_train), epochs=2, verbose=0)
        >>> sorted(history.history)
        ['accuracy', 'loss']
    """
    check_compiled("fit", model)
    epochs = check_int("fit", "epochs", epochs, 1)
    seed = check_int("fit", "seed", seed, 0, 2**32 - 1)
    for name in options:
        check_choice("fit", "options", name, _OPTIONS)
    if options.get("initial_epoch") and folder is not None:
        rule = "left out where `folder` is given, which holds the epochs that are done"
        raise input_error("fit", "initial_epoch", rule, options["initial_epoch"])
    if patience is not None:
        patience = check_int("fit", "patience", patience, 0)
    batches, validation, figures = read_training(
        "fit", model, data, options, batch_size=batch_size, seed=seed, validation_split=validation_split,
        validation_data=validation_data, sample_weight=sample_weight,
    )  # fmt: skip
    if patience is not None and monitor.startswith("val_") and validation is None:
        way_out = "Pass `validation_data`, or a `validation_split` above 0."
        raise input_error("fit", "patience", "None where nothing is validated", patience, way_out)
    store = None if folder is None else RunFolder("fit", folder)
    if patience is not None and (figures or {}).get(monitor.removeprefix("val_")):
        raise input_error("fit", "monitor", "a figure that is one number", monitor)
    return fit_batches(
        "fit", model, batches, validation, epochs=epochs, store=store, resume=resume, patience=patience,
        monitor=monitor, callbacks=callbacks, class_weight=class_weight, verbose=verbose, seed=seed, **options,
    )  # fmt: skip


def fit_batches(
    function: str,
    model: keras.Model,
    batches: Any,
    validation: Any,
    *,
    epochs: int,
    store: RunFolder | None = None,
    resume: bool = True,
    patience: int | None = None,
    monitor: str = "val_loss",
    callbacks: Callbacks = None,
    class_weight: Mapping[int, float] | None = None,
    seed: int | None = None,
    verbose: int | str = "auto",
    **options: Any,
) -> keras.callbacks.History:
    """Do what `fit` does, with arguments that have been checked, on behalf of a public function.

    `batches` and `validation` are `Batches`, which have a seed, or others that `model.fit` takes.
    """
    batches, answer = build(function, model, batches)
    class_weight = check_class_weight(function, class_weight, answer)
    seed = batches.seed if seed is None else seed
    monitored = None if patience is None else monitor
    run = [Watch(function, getattr(batches, "start_epoch", None), seed, monitored)]
    run += check_callbacks(function, callbacks)
    if patience is not None:
        run.append(keras.callbacks.EarlyStopping(monitor=monitor, patience=patience, restore_best_weights=True))
    checkpoint, done = None, options.pop("initial_epoch", 0)
    if store is not None:
        settings: dict[str, Any] = {
            "seed": seed,
            "patience": patience,
            "monitor": monitored,
            "batch_size": getattr(batches, "batch_size", None),
            "training data": _describe(batches),
            "validation data": _describe(validation),
            "class_weight": None if class_weight is None else fingerprint(class_weight),
        }
        settings |= options
        if isinstance(batches, Batches):
            settings |= {"shuffle": batches.seed is not None, "steps_per_epoch": len(batches)}
        known = run_fingerprints(function, model)
        checkpoint = Checkpoint(store, settings | known, model, run)
        done = checkpoint.restore(epochs) if resume and known else 0
        if done == 0:
            checkpoint.start()
        elif checkpoint.values["stopped"]:
            epochs = done
        if done == epochs and "given" in store.files:
            return checkpoint.give()
        # Else it was cut off after its last epoch: the callbacks end it once more.
        run.append(checkpoint)
    generator = runtime.torch_generator()  # set for each epoch by `Watch`, and put back in the end
    with contextlib.ExitStack() as stack:
        stack.enter_context(runtime.without_tracing_notes())
        if generator:
            stack.enter_context(generator.fork_rng())
        batches = stack.enter_context(told(function, model, batches))
        history = model.fit(
            for_backend(batches),
            initial_epoch=done,
            epochs=epochs,
            validation_data=for_backend(validation),
            callbacks=run,
            class_weight=class_weight,
            verbose=verbose,
            # `Batches` shuffle themselves; Keras would mix them again, each time differently.
            **{"shuffle": False, **options},
        )
    return history if checkpoint is None else checkpoint.finish(epochs)


def build(function: str, model: keras.Model, batches: Any) -> tuple[Any, Any]:
    """Make the weights of a compiled model and the state of its optimizer, where they are not there.

    Return the batches, and what the model answers to one image, or an image that it takes.
    """
    answer = getattr(model, "outputs", None)
    if not (model.built and getattr(model, "inputs", None)):  # a subclassed one may have layers that are not
        is_ours = isinstance(batches, Batches)
        x, batches = (batches.take(batches.indices[:1])[0], batches) if is_ours else first_batch(batches)
        answer = call_once(function, model, "data", tree.map_structure(lambda part: part[:1], x))
    if model.optimizer is not None and not model.optimizer.built and model.built:
        model.optimizer.build(model.trainable_variables)
    return batches, answer


def check_callbacks(function: str, callbacks: Any) -> list[keras.callbacks.Callback]:
    """Return a list of callbacks, or raise."""
    found = [callbacks] if isinstance(callbacks, keras.callbacks.Callback | type) else list(callbacks or ())
    if not all(isinstance(callback, keras.callbacks.Callback) for callback in found):
        raise input_error(function, "callbacks", "a Keras callback or a list of some", callbacks, error=TypeError)
    return found


def _describe(data: Any) -> str:
    """Return what identifies the data of a run: their content where it is known, else their form."""
    return data.digest() if hasattr(data, "digest") else str(getattr(data, "element_spec", type(data).__name__))
