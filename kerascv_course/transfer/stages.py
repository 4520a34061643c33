"""Training in stages: first the new head, then more and more of the backbone."""

import functools
import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import keras

from kerascv_course._fingerprints import array_digest, fingerprint, run_fingerprints
from kerascv_course._models import seeds_of
from kerascv_course._store import RunFolder
from kerascv_course._validation import check_list
from kerascv_course.datasets import ImageDataset
from kerascv_course.training.fit import Callbacks
from kerascv_course.transfer.freezing import first_trained, set_trainable
from kerascv_course.transfer.records import Stage, StageResult, StageResults, is_head
from kerascv_course.transfer.run import Arrays, Run

_FUNCTION = "fit_stages"


def fit_stages(
    model: keras.Model,
    stages: Sequence[Stage],
    data: ImageDataset | Arrays,
    *,
    backbone: str | keras.Model | None = None,
    batch_size: int = 32,
    validation_split: float = 0.1,
    validation_data: Arrays | None = None,
    test_data: Arrays | None = None,
    patience: int | None = None,
    callbacks: Callbacks = None,
    class_weight: Mapping[int, float] | None = None,
    batch_norm: str = "inference",
    augmentation: keras.Layer | None = None,
    views: int = 4,
    cache_features: bool = True,
    feature_dtype: str = "float32",
    folder: str | os.PathLike[str] | None = None,
    resume: bool = True,
    seed: int = 0,
    verbose: int = 1,
) -> StageResults:
    """Train a model with a pretrained backbone stage by stage.

    Each stage freezes and unfreezes, compiles with an optimizer of its rate, and trains from the best weights so
    far: those with the least validation loss, regularizers left out. What is frozen keeps its weights and
    statistics bit for bit. A model that is compiled keeps its kind of optimizer, its loss and its metrics; any
    other gets Adam and the cross-entropy that its end asks for.

    While the whole backbone is frozen its outputs for the images are computed once and the head is trained on
    them; the weights are the same, but for rounding, as those of training on the images. With `augmentation` there
    are `views` versions of each training image, one of them drawn at random in each epoch.

    Args:
        model: A `TransferModel`, or any Keras model with a backbone and a head that ends in a softmax, in sigmoid
            units (one for two classes, or one for each of several labels), or in logits, without activation.
        stages: The stages in their order.
        data: Training images, for a `TransferModel` uint8 or from 0 to 255, and labels from 0, of several labels
            rows of zeros and ones; or an `ImageDataset`, which brings its test images. The images may lie on disk
            (`np.memmap`).
        backbone: Where it is not the largest model among the layers: the name of a layer that is a model; the
            name of the last layer of a backbone whose layers stand one by one in the model, as those of
            `keras.Model(base.input, head(base.output))` do; or `base` itself.
        batch_size: Images per step, 1 or more.
        validation_split: Share of the training images that is held out, from 0 to below 1, every class in its
            proportion. With 0 and no `validation_data` a stage hands on its last weights.
        validation_data: Images and labels to hold the training against, in place of a split. An `ImageDataset`
            with a part for validation brings its own.
        test_data: Images and labels whose accuracy is measured after each stage; they decide nothing.
        patience: A stage ends after so many epochs without improvement; None trains all its epochs.
        callbacks: A Keras callback or several, in every stage. Where one may look at the model, and does not
            only watch figures, as `EarlyStopping` does, all stages train on images.
        class_weight: From a class to the weight of its images in the loss, as `model.fit` takes it.
        batch_norm: "inference" leaves the batch normalization layers of the backbone frozen in every stage, with
            their stored statistics: those of a few small batches would spoil them. "train" unfreezes them with
            the other layers.
        augmentation: A layer that changes training images at random, for example `augmentation.pipeline(...)`.
        views: Versions of each image in a stage that trains on features, 1 or more.
        cache_features: Whether to train the head on features, kept in the cache folder, as long as the backbone is
            frozen; random layers inside the backbone, such as the dropout of EfficientNet, are then left out.
            False trains on the images in every stage. So is a model whose layers before the backbone are trained
            or random, whose head is no plain chain of layers, or that is subclassed.
        feature_dtype: "float32", or "float16" for half the size.
        folder: Where the state is kept after each epoch; the same call goes on there after an interruption, or
            after a callback has stopped a stage, early stopping aside.
        resume: Whether to go on with the run in `folder`. False starts anew.
        seed: Decides the split, the order of the images, the dropout and the augmentation.
        verbose: 1 shows progress bars, 0 is silent.

    Returns:
        A row for each stage; it shows itself as a table. The model holds the best weights and is compiled.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the model has no backbone, a stage names no layer of it, images or labels do not fit, a
            number is out of range, or `folder` holds another run or damaged files.
        FloatingPointError: If the loss becomes NaN or infinite.
        OSError: If features are to be cached and the cache folder cannot be written.

    Example:
        >>> from kerascv_course.datasets import load_digits
        >>> from kerascv_course.transfer import TransferModel
        >>> model = TransferModel("MobileNetV2", num_classes=10, image_size=32, weights=None)
        >>> digits = load_digits().subset(per_class=5, test_per_class=2)
        >>> results = fit_stages(model, [Stage("head", epochs=1)], digits, verbose=0, validation_split=0.2)
        >>> results.rows[0].trainable_params, results.rows[0].frozen_params
        (12810, 2257984)

    Source: Boracchi, Di Stefano (transfer learning, stages).
    """
    run = Run(
        _FUNCTION, model, data, backbone=backbone, batch_size=batch_size, validation_split=validation_split,
        validation_data=validation_data, test_data=test_data, patience=patience, callbacks=callbacks,
        class_weight=class_weight, batch_norm=batch_norm, augmentation=augmentation, views=views,
        feature_dtype=feature_dtype, seed=seed, verbose=verbose,
    )  # fmt: skip
    parts, notes = run.parts, run.notes
    stages = _check_stages(stages, parts.backbone)
    obstacle = run.obstacle()
    use_features = cache_features and not obstacle
    if cache_features and obstacle:
        notes.append(f"Trained on images in all stages: {obstacle}.")
    if use_features and seeds_of(parts.backbone) and any(map(is_head, stages)):
        notes.append("Random layers of the backbone were left out where the head was trained on features.")
    on_features = [use_features and is_head(stage) for stage in stages]
    kept = None if folder is None else _Kept(folder, run, stages, on_features, resume)
    rows: list[StageResult] = []
    histories = {}
    for number, stage in enumerate(stages):
        done = kept.load(number) if kept else None
        set_trainable(parts.backbone, stage, batch_norm)
        run.goal.compile(model, stage.learning_rate)
        if not is_head(stage) and not parts.backbone.trainable_weights:
            notes.append(f"Stage {stage.name!r} trained the head alone: what it unfroze has no weights to train.")
        if done is None:
            place = kept.begin(number) if kept else {}
            before = rows[-1] if rows else None
            done = run.train_stage(stage, on_features=on_features[number], before=before, **place)
            if kept and run.done:
                kept.finish(number, *done)
        rows.append(done[0])
        histories[f"{number + 1} {stage.name}"] = done[1]
        if not done[0].improved:
            what = "did not lower the validation loss: the weights from before it were kept"
            notes.append(f"Stage {stage.name!r} {what}.")
        if kept and not run.done:
            notes.append(f"A callback stopped stage {stage.name!r}: the same call, made again, goes on in it.")
            break
    if not model.optimizer.built:  # the last stage trained a part or a copy; Keras loads what is saved as built
        model.optimizer.build(model.trainable_variables)
    if augmentation is not None and use_features and any(map(is_head, stages)):
        notes.append(f"With the backbone frozen, {views} augmented views of each training image were used.")
    return StageResults(tuple(rows), tuple(notes), histories)


class _Kept:
    """The stages of a run in a folder: for each its settings and, once it is finished, its row and its weights.

    The epochs of the stage that is being trained are kept in a folder inside, as those of `training.fit`.
    """

    def __init__(self, folder: Any, run: Run, stages: list[Stage], on_features: list[bool], resume: bool) -> None:
        self.store, self.run = RunFolder(_FUNCTION, folder), run
        self.test_data = None if run.test_data is None else array_digest(*run.test_data)
        self.plans = []
        for number, (stage, cached) in enumerate(zip(stages, on_features, strict=True), start=1):
            plan = {**asdict(stage), "cache_features": cached}
            self.plans.append({f"{name} of stage {number}": value for name, value in plan.items()})
        settings: dict[str, Any] = {
            "weights of the backbone": getattr(run.model, "weights_source", ""),
            "training data": run.train.digest(),
            "validation data": None if run.validation is None else run.validation.digest(),
            "batch_norm": run.batch_norm,
            "views": None if run.augmentation is None else run.views,
            "feature_dtype": run.feature_dtype,
            "batch_size": run.train.batch_size,
            "patience": run.patience,
            "class_weight": None if run.class_weight is None else fingerprint(dict(run.class_weight)),
            "seed": run.seed,
        }
        # Which layers are trainable is part of a configuration: a model that was trained before is the same model.
        set_trainable(run.parts.backbone, Stage("all"), "train")
        run.goal.compile(run.model, stages[0].learning_rate)  # as it is from now on, whoever compiled it before
        known = run_fingerprints(_FUNCTION, run.model, augmentation=run.augmentation)
        settings |= known
        set_trainable(run.parts.backbone, stages[0], run.batch_norm)
        fixed = run.parts.backbone.non_trainable_variables
        # At first: what has been trained since is known by `after`.
        self.frozen = [variable for variable in fixed if not variable.path.endswith("seed_generator_state")]
        found = self.store.read() if resume and known else {}
        if found:
            was, now = found["settings"], {**settings, **functools.reduce(operator.or_, self.plans)}
            differing = [name for name in {**settings, **was} if now.get(name, was.get(name)) != was.get(name)]
            if not differing and self._frozen() not in found["frozen"]:
                differing.append("weights of the backbone")
            if differing:
                raise self.store.other(differing)
            self.values = found
        else:
            self.values = {"settings": settings, "frozen": [self._frozen()], "stages": []}

    def _frozen(self) -> str:
        """Return the hash of the weights of the backbone that the first stage does not train."""
        return array_digest(*(keras.ops.convert_to_numpy(variable) for variable in self.frozen))

    def load(self, number: int) -> tuple[StageResult, dict[str, list[float]]] | None:
        """Load the weights after a finished stage and return its row; None where it is not finished."""
        stages = self.values["stages"]
        if number >= len(stages) or stages[number]["row"] is None:
            return None
        self.store.load(f"after stage {number + 1}", self.run.model)
        row = StageResult(**stages[number]["row"])
        if stages[number]["test data"] != self.test_data:  # it decides nothing, so it may be another later
            row = replace(row, test_accuracy=self.run.test_accuracy(on_features=False))
        return row, stages[number]["history"]

    def begin(self, number: int) -> dict[str, Any]:
        """Return the folder of the epochs of a stage, and whether some are there already."""
        resume = number < len(self.values["stages"])
        if not resume:
            self.values["settings"].update(self.plans[number])
            self.values["stages"].append({"row": None})
            self.store.keep(self.values, self.store.files if number else {})
        return {"store": RunFolder(_FUNCTION, self.store.folder / f"stage-{number + 1:02}"), "resume": resume}

    def finish(self, number: int, row: StageResult, history: dict[str, list[float]]) -> None:
        """Keep the row and the weights after a stage."""
        self.values["stages"][number] |= {"row": asdict(row), "history": history, "test data": self.test_data}
        self.values["frozen"].append(self._frozen())
        files = {**self.store.files, f"after stage {number + 1}": self.store.put(self.run.model)}
        self.store.keep(self.values, files)


def _check_stages(stages: Any, backbone: keras.Model) -> list[Stage]:
    checked = check_list(_FUNCTION, "stages", stages, "`Stage`", Stage)
    for stage in checked:
        first_trained(_FUNCTION, backbone, stage)
    return checked
