"""Named variants of a model, each trained over several seeds."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import keras
import numpy as np

from kerascv_course._fingerprints import (
    Unknowable,
    array_digest,
    compile_fingerprint,
    fingerprint,
    warn_unknowable,
)
from kerascv_course._store import RunFolder
from kerascv_course._validation import check_choice, check_int, check_number, check_pair, input_error
from kerascv_course.datasets import ImageDataset
from kerascv_course.experiment.results import ExperimentResults, ExperimentRun, summary_row
from kerascv_course.runtime import seed_everything
from kerascv_course.training.fit import fit

Arrays = tuple[np.ndarray, np.ndarray]
Build = Callable[[], keras.Model]
Plans = dict[str, tuple[Build, dict[str, Any]]]

_FUNCTION = "compare"
_RULES = {"epochs": 1, "batch_size": 1, "patience": 0}  # settings that a variant may have of its own; the least


def compare(
    variants: Mapping[str, Build | tuple[Build, Mapping[str, Any]]],
    data: ImageDataset | Arrays,
    *,
    epochs: int,
    seeds: Sequence[int] = (0, 1, 2),
    batch_size: int = 32,
    patience: int | None = None,
    validation_split: float = 0.1,
    validation_data: Arrays | None = None,
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
            `metrics=["accuracy"]`; it is called without arguments after seeding. Or to a pair: the function, and
            a dictionary of the settings that this variant has of its own, out of `epochs`, `batch_size` and
            `patience`.
        data: The training images and labels as two arrays, or an `ImageDataset`, whose images are passed on as
            they are.
        epochs: How often the training images are seen, 1 or more.
        seeds: Distinct integers from 0 on, at least one. Three are few: see `verdict`.
        batch_size: Images per step, 1 or more.
        patience: As in `training.fit`.
        validation_split: Share of the training images that is held out to measure the accuracy, above 0 and below
            1. Ignored where `validation_data` is given.
        validation_data: Images and labels to measure the accuracy on.
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
    defaults = {"epochs": epochs, "batch_size": batch_size, "patience": patience}
    plans = _check_variants(variants, defaults)
    numbers = _check_seeds(seeds)
    train = check_pair(_FUNCTION, "data", data)
    held_out = None if validation_data is None else check_pair(_FUNCTION, "validation_data", validation_data)
    split = check_number(_FUNCTION, "validation_split", validation_split, 0, 0.99)
    if held_out is None and split == 0:
        way_out = "Or pass `validation_data`: the accuracy is measured on images that were held out."
        raise input_error(_FUNCTION, "validation_split", "above 0", validation_split, way_out)
    check_choice(_FUNCTION, "verbose", verbose, (0, 1))
    if folder is not None:
        _keep(folder, {})  # a folder that cannot be written to is known before any training

    validation = {"validation_split": split, "validation_data": held_out}
    data_digest = "" if folder is None else array_digest(*train, *(held_out or (np.array(split),)))
    progress = keras.utils.Progbar(len(plans) * len(numbers), unit_name="run") if verbose else None
    runs = []
    for name, (build, settings) in plans.items():
        for seed in numbers:
            runs.append(_train(name, build, train, seed, settings, validation, folder, data_digest))
            if progress is not None:
                progress.update(len(runs))
    failed = [run for run in runs if run.error]
    if len(failed) == len(runs):
        raise RuntimeError(f"`compare`: every run failed. The first, {failed[0].variant!r}: {failed[0].error}")
    notes = [f"{run.variant}, seed {run.seed}, failed: {run.error}" for run in failed]
    rows = tuple(summary_row(name, [run for run in runs if run.variant == name]) for name in plans)
    return ExperimentResults(rows, tuple(runs), tuple(notes))


def _keep(folder: str | os.PathLike[str], new: Mapping[str, Any]) -> dict[str, Any]:
    """Keep new runs with those that are there, as another process may have added some; return all."""
    store = RunFolder(_FUNCTION, folder, f"Delete {RunFolder.RECORD} to train anew")
    runs = {**store.read(), **new}
    if new or not runs:
        store.keep(runs)
    return runs


def _key(model: keras.Model, *parts: Any) -> str:
    """Return the fingerprint of all that decides what a run gives; nothing where it cannot be known."""
    try:
        return fingerprint(model, compile_fingerprint(model), *parts)
    except Unknowable as what:
        warn_unknowable(_FUNCTION, what, "Its runs are trained, and not kept.")
        return ""


def _train(
    name: str,
    build: Build,
    data: Arrays,
    seed: int,
    settings: Mapping[str, Any],
    validation: Mapping[str, Any],
    folder: str | os.PathLike[str] | None,
    data_digest: str,
) -> ExperimentRun:
    """Train one variant with one seed, or find the run; an error becomes part of the record."""
    params, key = None, ""
    try:
        seed_everything(seed)
        model = build()
        if isinstance(model, keras.Model) and model.built:
            params = model.count_params()
        if folder is not None and isinstance(model, keras.Model) and model.compiled:
            key = _key(model, seed, data_digest, dict(settings))
            if found := _keep(folder, {}).get(key):
                return ExperimentRun(**{**found, "variant": name})
        started = time.perf_counter()
        history = fit(model, data, seed=seed, verbose=0, **settings, **validation)
        seconds = time.perf_counter() - started
        loss, accuracy = _at_the_end(name, history, settings["patience"])
        if not np.isfinite([loss, accuracy]).all():
            raise FloatingPointError(f"the validation loss became {loss}, with accuracy {accuracy}")
    except Exception as error:  # whatever is wrong with one variant, the others are worth having
        return ExperimentRun(name, seed, None, params, None, {}, f"{type(error).__name__}: {error}")
    run = ExperimentRun(name, seed, accuracy, model.count_params(), seconds, history.history)
    if folder is not None and key:
        _keep(folder, {key: asdict(run)})
    return run


def _at_the_end(name: str, history: keras.callbacks.History, patience: int | None) -> tuple[float, float]:
    """Return loss and accuracy of the weights that `fit` has left: the last ones, or the best with patience."""
    figures = history.history
    metric = next((m for m in figures if m.startswith("val_") and m.split("_")[-1] in ("accuracy", "acc")), None)
    if metric is None:
        raise input_error(_FUNCTION, "variants", 'compiled with metrics=["accuracy"]', name)
    epoch = -1 if patience is None else int(np.argmin(figures["val_loss"]))
    return float(figures["val_loss"][epoch]), float(figures[metric][epoch])


def _check_variants(variants: Any, defaults: Mapping[str, Any]) -> Plans:
    """Return name -> (build, settings), or raise."""
    rule = "a dictionary from names to functions that build a compiled model, or to pairs (function, settings)"
    if not isinstance(variants, Mapping):
        raise input_error(_FUNCTION, "variants", rule, variants, error=TypeError)
    if not variants:
        raise input_error(_FUNCTION, "variants", "one or more named functions", variants)
    _check_settings(defaults, "")
    plans: Plans = {}
    for name, variant in variants.items():
        pair = variant if isinstance(variant, tuple) and len(variant) == 2 else (variant, {})
        is_builder = callable(pair[0]) and not isinstance(pair[0], keras.Model)  # which can be called as well
        if not isinstance(name, str) or not is_builder or not isinstance(pair[1], Mapping):
            way_out = "Pass the function itself, not the model: each seed needs a new one."
            raise input_error(_FUNCTION, "variants", rule, {name: variant}, way_out, TypeError)
        unknown = sorted(set(pair[1]) - set(_RULES))
        if unknown:
            rule = f"without settings other than {', '.join(_RULES)}"
            raise input_error(_FUNCTION, f"variants[{name!r}]", rule, unknown[0])
        _check_settings(pair[1], f"variants[{name!r}]")
        plans[name] = (pair[0], {**defaults, **pair[1]})
    return plans


def _check_settings(settings: Mapping[str, Any], where: str) -> None:
    for key, value in settings.items():
        if value is not None or key != "patience":
            check_int(_FUNCTION, f"{where}[{key!r}]" if where else key, value, _RULES[key])


def _check_seeds(seeds: Any) -> list[int]:
    rule = "a list of one or more distinct integers from 0 on"
    if not isinstance(seeds, list | tuple | range):
        raise input_error(_FUNCTION, "seeds", rule, seeds, error=TypeError)
    numbers = [check_int(_FUNCTION, "seeds", seed, 0, 2**32 - 1) for seed in seeds]
    if not numbers or len(set(numbers)) < len(numbers):
        raise input_error(_FUNCTION, "seeds", rule, seeds)
    return numbers
