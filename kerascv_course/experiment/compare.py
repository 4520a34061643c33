"""Named variants of a model, each trained over several seeds."""

import copy
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import keras
import numpy as np

from kerascv_course._fingerprints import Unknowable, compile_fingerprint, fingerprint, warn_unknowable
from kerascv_course._store import RunFolder
from kerascv_course._validation import check_choice, check_distinct, check_int, check_number, input_error
from kerascv_course.datasets import ImageDataset
from kerascv_course.experiment.results import ExperimentResults, ExperimentRun, summary_row
from kerascv_course.runtime import seed_everything
from kerascv_course.training.batches import for_backend
from kerascv_course.training.fit import Arrays, Callbacks, check_callbacks, fit_batches
from kerascv_course.training.inputs import come_in_batches, read_arrays, read_training
from kerascv_course.training.trial import accuracy_name, check_compiled, current_rate

Build = Callable[[], keras.Model]

_FUNCTION = "compare"


def compare(
    variants: Mapping[str, Build],
    data: ImageDataset | Arrays | Any,
    *,
    epochs: int,
    seeds: Sequence[int] = (0, 1, 2),
    batch_size: int | None = None,
    patience: int | None = None,
    callbacks: "Callbacks | Callable[[], Callbacks]" = None,
    class_weight: Mapping[int, float] | None = None,
    validation_split: float = 0.1,
    validation_data: Any = None,
    folder: str | os.PathLike[str] | None = None,
    verbose: int = 1,
) -> ExperimentResults:
    """Train each variant of a model once per seed, and report accuracy with spread, parameters and time.

    A seed decides the first weights, the images that are held out and the order of the others, so that the runs of
    two variants with the same seed are a pair. A run that fails, for example because its loss became NaN, is
    reported in the table with its error, and the others go on.

    With a `folder`, each completed run is kept there, and the same call, made again after an interruption, does
    only what is missing. More seeds or more variants may be asked for later; failed runs are tried again, and so
    is a variant whose model, loss, data or settings have changed.

    Args:
        variants: From a variant's name to the function that builds and compiles its model, with
            `metrics=["accuracy"]` or another accuracy of Keras; it is called without arguments after seeding.
        data: The training images and labels as two arrays, an `ImageDataset`, whose images are passed on as they
            are, or batches, as for `training.fit`. Runs on batches are not kept.
        epochs: How often the training images are seen, 1 or more.
        seeds: Distinct integers from 0 on, at least one. Three are few: see `verdict`.
        batch_size: Images per step, 1 or more; 32 by default. Left out where the data come in batches.
        patience: As in `training.fit`.
        callbacks: A Keras callback or several, of which each run gets copies, so that none starts with what
            another has counted; or a function that makes them for a run, where they cannot be copied or write
            to a file of their own.
        class_weight: As in `training.fit`.
        validation_split: Share of the training images that is held out to measure the accuracy, above 0 and below
            1. Ignored where `validation_data` is given.
        validation_data: Images and labels to measure the accuracy on, or batches of them. An `ImageDataset` with a
            part for validation brings its own.
        folder: Where completed runs are kept; made if it does not exist. None keeps nothing.
        verbose: 1 shows a progress bar over the runs, 0 is silent.

    Returns:
        A row for each variant, which shows itself as a table, and all runs with their histories.

    Raises:
        ValueError: If there is no variant or seed, a number is out of range, or a file in `folder` is damaged.
        RuntimeError: If every run failed.

    Example:
        >>> from kerascv_course.datasets import load_digits
        >>> def build(units):
        ...     hidden = keras.layers.Dense(units, "relu")
        ...     layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), hidden]
        ...     model = keras.Sequential([keras.Input((8, 8, 1)), *layers, keras.layers.Dense(10, "softmax")])
        ...     model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        ...     return model
        >>> variants = {"narrow": lambda: build(4), "wide": lambda: build(32)}
        >>> digits = load_digits(image_size=8).subset(per_class=20)
        >>> results = compare(variants, digits, epochs=1, seeds=(0, 1), verbose=0)
        >>> [(row.variant, row.seeds, row.params) for row in results.rows]
        [('narrow', 2, 310), ('wide', 2, 2410)]

    Source: Manco (designing a CNN: one change at a time, and the ratio accuracy * 1e5 / parameters).
    """
    _check_variants(variants)
    check_int(_FUNCTION, "epochs", epochs, 1)
    for argument, value, least in (("batch_size", batch_size, 1), ("patience", patience, 0)):
        if value is not None:
            check_int(_FUNCTION, argument, value, least)
    if not callable(callbacks):
        check_callbacks(_FUNCTION, callbacks)
    settings: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "patience": patience}
    settings |= {"callbacks": callbacks, "class_weight": class_weight}
    numbers = check_distinct(_FUNCTION, "seeds", seeds, 2**32 - 1)
    split = check_number(_FUNCTION, "validation_split", validation_split, 0, 0.99)
    if validation_data is None and isinstance(data, ImageDataset):
        validation_data = data.validation
    if validation_data is None and split == 0:
        way_out = "Or pass `validation_data`: the accuracy is measured on images that were held out."
        raise input_error(_FUNCTION, "validation_split", "above 0", validation_split, way_out)
    parts = {"data": data} if validation_data is None else {"data": data, "validation_data": validation_data}
    for name, part in parts.items():
        if not come_in_batches(part):
            parts[name] = tuple(array for array in read_arrays(_FUNCTION, name, part) if array is not None)
    check_choice(_FUNCTION, "verbose", verbose, (0, 1))
    if folder is not None:
        _keep(folder, {})  # a folder that cannot be written to is known before any training

    parts["validation_split"] = 0 if come_in_batches(data) else split
    parts["digest"] = None if folder is None else _digest(parts)
    progress = keras.utils.Progbar(len(variants) * len(numbers), unit_name="run") if verbose else None
    runs = []
    for name, build in variants.items():
        for seed in numbers:
            runs.append(_train(name, build, parts, seed, settings, folder))
            if progress is not None:
                progress.update(len(runs))
    failed = [run for run in runs if run.error]
    if len(failed) == len(runs):
        raise RuntimeError(f"`compare`: every run failed. The first, {failed[0].variant!r}: {failed[0].error}")
    notes = [f"{run.variant}, seed {run.seed}, failed: {run.error}" for run in failed]
    figures = {run.variant: run.figure for run in runs if run.figure not in ("", "acc", "accuracy")}
    notes += [f"The accuracy of {name} is the figure {figure!r}." for name, figure in figures.items()]
    rows = tuple(summary_row(name, [run for run in runs if run.variant == name]) for name in variants)
    return ExperimentResults(rows, tuple(runs), tuple(notes))


def _digest(parts: Mapping[str, Any]) -> str | None:
    """Return the fingerprint of the data; None where they are batches, whose content nobody knows."""
    if not any(map(come_in_batches, parts.values())):
        return fingerprint(*parts.items())
    warn_unknowable(_FUNCTION, Unknowable("the content of batches"), "The runs are trained, and not kept.")
    return None


def _keep(folder: str | os.PathLike[str], new: Mapping[str, Any]) -> dict[str, Any]:
    """Keep new runs with those that are there, as another process may have added some; return all."""
    store = RunFolder(_FUNCTION, folder, f"Delete {RunFolder.RECORD} to train anew")
    runs = {**store.read(), **new}
    if new or not runs:
        store.keep(runs)
    return runs


def _key(model: keras.Model, *parts: Any) -> str:
    """Return the fingerprint of all that decides what a run of a new model gives; nothing where nobody knows."""
    try:
        return fingerprint(model, compile_fingerprint(model), current_rate(model), *parts)
    except Unknowable as what:
        warn_unknowable(_FUNCTION, what, "Its runs are trained, and not kept.")
        return ""


def _train(
    name: str, build: Build, data: Mapping[str, Any], seed: int, settings: Mapping[str, Any], folder: Any
) -> ExperimentRun:
    """Train one variant with one seed, or find the run; an error becomes part of the record."""
    params, key = None, ""
    parts, settings = dict(data), dict(settings)
    digest, size = parts.pop("digest"), settings.pop("batch_size")
    try:
        seed_everything(seed)
        model = build()
        check_compiled(_FUNCTION, model)
        if model.built:
            params = model.count_params()
        settings["callbacks"] = _new(settings["callbacks"])
        if folder is not None and digest is not None:
            key = _key(model, seed, digest, size, settings)
            if key and (found := _keep(folder, {}).get(key)):
                return ExperimentRun(**{**found, "variant": name})
        options = {"options": {}, "batch_size": size, "seed": seed}
        batches, held_out, figures = read_training(_FUNCTION, model, **options, **parts)
        if figures is not None:
            _accuracy(name, model, figures)
        started = time.perf_counter()
        history = fit_batches(_FUNCTION, model, batches, held_out, seed=seed, verbose=0, **settings).history
        seconds = time.perf_counter() - started
        # The weights may not be those of the last epoch: early stopping, averages.
        figures = model.evaluate(for_backend(held_out), return_dict=True, verbose=0)
        figure = _accuracy(name, model, figures)
        accuracy = float(figures[figure])
        if not np.isfinite([figures["loss"], accuracy]).all():
            raise FloatingPointError(f"the validation loss became {figures['loss']}, with accuracy {accuracy}")
    except Exception as error:  # whatever is wrong with one variant, the others are worth having
        return ExperimentRun(name, seed, None, params, None, {}, f"{type(error).__name__}: {error}")
    history = {figure: np.asarray(values).tolist() for figure, values in history.items()}
    run = ExperimentRun(name, seed, accuracy, model.count_params(), seconds, history, figure=figure)
    if folder is not None and key:
        _keep(folder, {key: asdict(run)})
    return run


def _accuracy(name: str, model: keras.Model, figures: Mapping[str, Any]) -> str:
    """Return which figure of a variant is its accuracy, or raise."""
    found = accuracy_name(model, figures)
    if found is None:
        raise input_error(_FUNCTION, "variants", 'compiled with metrics=["accuracy"]', name)
    return found


def _new(callbacks: Any) -> list[keras.callbacks.Callback]:
    """Return the callbacks of a run: new ones, or copies."""
    try:
        found = callbacks() if callable(callbacks) else copy.deepcopy(callbacks)
    except TypeError as error:  # what cannot be copied, such as an open file
        rule, way_out = "callbacks that can be copied", f"Pass a function that makes them. ({error})"
        raise input_error(_FUNCTION, "callbacks", rule, callbacks, way_out, TypeError) from error
    return check_callbacks(_FUNCTION, found)


def _check_variants(variants: Any) -> None:
    rule = "a dictionary from names to functions that build a compiled model"
    if not isinstance(variants, Mapping):
        raise input_error(_FUNCTION, "variants", rule, variants, error=TypeError)
    if not variants:
        raise input_error(_FUNCTION, "variants", "one or more named functions", variants)
    for name, build in variants.items():
        is_builder = callable(build) and not isinstance(build, keras.Model)  # which can be called as well
        if not isinstance(name, str) or not is_builder:
            way_out = "Pass the function itself, not the model: each seed needs a new one."
            raise input_error(_FUNCTION, "variants", rule, {name: build}, way_out, TypeError)
