"""Training in stages: first the new head, then more and more of the backbone."""

import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerascv_course._digests import config_digest
from kerascv_course._tables import as_frame, html_table, text_table
from kerascv_course._validation import check_choice, check_int, check_number, describe, input_error
from kerascv_course.datasets import ImageDataset
from kerascv_course.datasets.split import split_indices
from kerascv_course.latent.features import computed_features
from kerascv_course.training.batches import Batches
from kerascv_course.training.fit import fit_batches
from kerascv_course.transfer.blocks import blocks, layers_of
from kerascv_course.transfer.heads import Parts, ViewBatches, extract_views, split_model

Arrays = tuple[np.ndarray, np.ndarray]
_RATES = {"head": 1e-3, "all": 1e-5}
_PARTIAL_RATE = 1e-4


@dataclass(frozen=True)
class Stage:
    """A stage of training: what is trained, at which rate, for how long. The head is trained in every stage.

    Args:
        name: "head" trains the head alone and "all" everything; any other name needs `unfreeze_from`.
        unfreeze_from: From where on the backbone is trained: the name of a layer or block ("block_13"), the share
            of its layers counted from the output (0.3), or a number of blocks counted from the output (3).
        learning_rate: Of the optimizer Adam, above 0; by default 1e-3 for the head, 1e-5 for everything and 1e-4
            in between.
        epochs: How often the training images are seen, 1 or more.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If one is out of range, or name and `unfreeze_from` do not fit.

    Example:
        >>> Stage("last blocks", unfreeze_from=3).learning_rate
        0.0001
    """

    name: str
    unfreeze_from: str | float | None = None
    learning_rate: float = 0.0
    epochs: int = 5

    def __post_init__(self) -> None:
        """Check the fields and fill in the rate."""
        if not isinstance(self.name, str) or not self.name:
            raise input_error("Stage", "name", "a text that is not empty", self.name, error=TypeError)
        check_int("Stage", "epochs", self.epochs, 1)
        rate = check_number("Stage", "learning_rate", self.learning_rate, 0)
        start = self.unfreeze_from
        if (start is None) != (self.name in _RATES):
            rule = "left out for the stages 'head' and 'all', and given for any other"
            raise input_error("Stage", "unfreeze_from", rule, start, f"The name of the stage is {self.name!r}.")
        rule = "a name, a share above 0 and up to 1, or a number of blocks of at least 1"
        if start is not None and (isinstance(start, bool) or not isinstance(start, str | int | float)):
            raise input_error("Stage", "unfreeze_from", rule, start, error=TypeError)
        if isinstance(start, float) and not 0 < start <= 1:
            raise input_error("Stage", "unfreeze_from", rule, start)
        if isinstance(start, int) and start < 1:
            raise input_error("Stage", "unfreeze_from", rule, start)
        object.__setattr__(self, "learning_rate", rate or _RATES.get(self.name, _PARTIAL_RATE))


@dataclass(frozen=True)
class StageResult:
    """What a stage trained, what it cost and what it gave.

    Attributes:
        stage: Name of the stage.
        trainable_params: Weights that it trained.
        frozen_params: Weights that it left alone, statistics of batch normalization included.
        learning_rate: Of the optimizer.
        epochs: Epochs that were trained; early stopping may end them before their time.
        seconds: Time of the training, extraction of features included; of the call that finished the stage.
        val_accuracy: Accuracy on the held-out images of the weights that the stage hands on; None without any.
        val_loss: Their loss.
        test_accuracy: Accuracy on the test images; None without any.
        extracted_images: Images whose features were computed for it: 0 where they came from the cache, None where
            the stage trained on images.
        improved: Whether the validation loss fell below that of the stage before. Where it did not, the weights
            from before the stage are handed on.
    """

    stage: str
    trainable_params: int
    frozen_params: int
    learning_rate: float
    epochs: int
    seconds: float
    val_accuracy: float | None
    val_loss: float | None
    test_accuracy: float | None
    extracted_images: int | None
    improved: bool


@dataclass(frozen=True)
class StageResults:
    """What `fit_stages` returns: a record and a history for each stage, and remarks; shown as a table."""

    rows: tuple[StageResult, ...]
    notes: tuple[str, ...]
    histories: dict[str, dict[str, list[float]]]

    def to_dict(self) -> list[dict[str, Any]]:
        """Return one dictionary per stage, as `pandas.DataFrame` takes them."""
        return [asdict(row) for row in self.rows]

    def to_frame(self) -> Any:
        """Return a `pandas.DataFrame` with one line per stage, or raise `ImportError` where pandas is missing."""
        return as_frame(self.to_dict())

    def __str__(self) -> str:
        return text_table(_HEADER, [_cells(row) for row in self.rows], notes=self.notes)

    def _repr_html_(self) -> str:
        return html_table(_HEADER, [_cells(row) for row in self.rows], notes=self.notes)


_HEADER = ("Stage", "Trained", "Frozen", "Rate", "Epochs", "Seconds", "Validation", "Test")


def _cells(row: StageResult) -> tuple[str, ...]:
    return (
        row.stage,
        f"{row.trainable_params:,}",
        f"{row.frozen_params:,}",
        f"{row.learning_rate:g}",
        str(row.epochs),
        f"{row.seconds:,.1f}",
        *("-" if share is None else f"{share:.1%}" for share in (row.val_accuracy, row.test_accuracy)),
    )


def fit_stages(
    model: keras.Model,
    stages: Sequence[Stage],
    data: ImageDataset | Arrays,
    *,
    batch_size: int = 32,
    validation_split: float = 0.1,
    validation_data: Arrays | None = None,
    test_data: Arrays | None = None,
    patience: int | None = None,
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

    Each stage freezes and unfreezes, compiles with Adam at its rate, and trains from the best weights so far:
    those with the least validation loss. What is frozen keeps its weights and statistics bit for bit.

    While the whole backbone is frozen its outputs for the images are computed once and the head is trained on
    them; the weights are the same as those of training on the images. With `augmentation` there are `views`
    versions of each training image, one of them drawn at random in each epoch.

    Args:
        model: A `TransferModel`, or any functional Keras model with the backbone as one of its layers (`base(x)`)
            and a softmax, or one sigmoid unit, at its end.
        stages: The stages in their order.
        data: Training images, uint8 or from 0 to 255, and labels from 0; or an `ImageDataset`, which brings its
            test images. The images may lie on disk (`np.memmap`).
        batch_size: Images per step, 1 or more.
        validation_split: Share of the training images that is held out, from 0 to below 1, every class in its
            proportion. With 0 and no `validation_data` a stage hands on its last weights.
        validation_data: Images and labels to hold the training against, in place of a split.
        test_data: Images and labels whose accuracy is measured after each stage; they decide nothing.
        patience: A stage ends after so many epochs without improvement; None trains all its epochs.
        batch_norm: "inference" leaves the batch normalization layers of the backbone frozen in every stage, with
            their stored statistics: those of a few small batches would spoil them. "train" unfreezes them with
            the other layers.
        augmentation: A layer that changes training images at random, for example `augmentation.pipeline(...)`.
        views: Versions of each image in a stage that trains on features, 1 or more.
        cache_features: Whether to train the head on features, kept in the cache folder, as long as the backbone is
            frozen. False trains on the images in every stage.
        feature_dtype: "float32", or "float16" for half the size.
        folder: Where the state is kept after each epoch; the same call goes on there after an interruption.
        resume: Whether to go on with the run in `folder`. False starts anew.
        seed: Decides the split, the order of the images, the dropout and the augmentation.
        verbose: 1 shows progress bars, 0 is silent.

    Returns:
        A row for each stage; it shows itself as a table. The model holds the best weights and is compiled.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the model has no backbone, a stage names no layer of it, images or labels do not fit, a
            number is out of range, or `folder` holds another run.
        FloatingPointError: If the loss becomes NaN or infinite.

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
    function = "fit_stages"
    parts = split_model(function, model)
    stages = _check_stages(stages, parts.backbone)
    notes = [f"Weights of the backbone: {model.weights_source}."] if hasattr(model, "weights_source") else []
    x, y, test_data = _check_all_data(function, model, data, test_data, notes)
    batch_size = check_int(function, "batch_size", batch_size, 1)
    views = check_int(function, "views", views, 1)
    seed = check_int(function, "seed", seed, 0, 2**32 - 1)
    check_choice(function, "batch_norm", batch_norm, ("inference", "train"))
    check_choice(function, "feature_dtype", feature_dtype, ("float32", "float16"))
    if patience is not None:
        patience = check_int(function, "patience", patience, 0)
    if augmentation is not None and not isinstance(augmentation, keras.Layer):
        way_out = "Put a function into `keras.layers.Lambda`."
        raise input_error(function, "augmentation", "a Keras layer or None", augmentation, way_out, TypeError)
    train, held_out = np.arange(len(y)), None
    share = check_number(function, "validation_split", validation_split, 0, 0.99)
    if validation_data is not None:
        held_out = _check_data(function, "validation_data", model, validation_data)
    elif share:
        train, part = split_indices(function, "validation_split", y, share, seed)
    else:
        part = None
        notes.append("Nothing was held out: each stage hands on its last weights.")
    if held_out is None and validation_data is None and part is not None:
        validation: Batches | None = Batches(x, y, batch_size, None, part)
    else:
        validation = None if held_out is None else Batches(*held_out, batch_size, None)
    run = _Run(
        model=model,
        parts=parts,
        train=Batches(x, y, batch_size, seed, train),
        validation=validation,
        test_data=test_data,
        patience=patience,
        augmentation=augmentation,
        views=views,
        feature_dtype=feature_dtype,
        seed=seed,
        verbose=int(bool(verbose)),
        resume=resume,
    )
    use_features = cache_features and parts.cut is not None
    if cache_features and parts.cut is None:
        notes.append("Trained on images in all stages: the layers after the backbone are no plain chain.")
    notes += _batch_norm_note(parts.backbone, batch_norm)
    state = None if folder is None else _State(Path(folder), run, batch_norm)
    rows: list[StageResult] = []
    histories = {}
    for number, stage in enumerate(stages, start=1):
        before = rows[-1].val_loss if rows else None
        done = state.load(number, stage) if state else None
        set_trainable(parts.backbone, stage, batch_norm)
        compile_for(model, stage.learning_rate)
        if done is None:
            place = state.place(number, stage) if state else None
            done = run.train_stage(stage, place, use_features and _is_head(stage), before)
            if state:
                state.save(number, stage, *done)
        rows.append(done[0])
        histories[f"{number} {stage.name}"] = done[1]
        if not done[0].improved:
            notes.append(
                f"Stage {stage.name!r} did not lower the validation loss: the weights from before it were kept."
            )
    if augmentation is not None and use_features and any(map(_is_head, stages)):
        notes.append(f"With the backbone frozen, {views} augmented views of each training image were used.")
    return StageResults(tuple(rows), tuple(notes), histories)


def set_trainable(backbone: keras.Model, stage: Stage, batch_norm: str = "inference") -> None:
    """Freeze and unfreeze the layers of a backbone for a stage, as `layer.trainable` loops by hand do.

    A frozen batch normalization layer uses its stored statistics. `base(x, training=False)` does not see to that:
    `fit` of a functional model calls all layers with `training=True` (Keras 3, issue 20285).
    """
    frozen = len(backbone.layers) if _is_head(stage) else first_trained("fit_stages", backbone, stage)
    backbone.trainable = True
    for number, layer in enumerate(backbone.layers):
        layer.trainable = number >= frozen
        if batch_norm == "inference":
            for inner in _flat(layer):
                if isinstance(inner, keras.layers.BatchNormalization):
                    inner.trainable = False


def _flat(layer: keras.Layer) -> Iterator[keras.Layer]:
    """Yield a layer, or the layers of a model at any depth."""
    if isinstance(layer, keras.Model):
        for inner in layer.layers:
            yield from _flat(inner)
    else:
        yield layer


def first_trained(function: str, backbone: keras.Model, stage: Stage) -> int:
    """Return the number of the first layer of the backbone that a stage trains."""
    start, names = stage.unfreeze_from, [layer.name for layer in backbone.layers]
    if start is None:
        return 0
    if isinstance(start, str):
        return names.index(layers_of(function, "unfreeze_from", backbone, start)[0])
    if isinstance(start, float):
        return round(len(names) * (1 - start))
    named = [block for block in blocks(backbone) if block.name != "end"]
    if start > len(named):
        raise input_error(function, "unfreeze_from", f"at most {len(named)}, the blocks of the backbone", start)
    return names.index(named[-start].layers[0])


def compile_for(model: keras.Model, learning_rate: float) -> None:
    """Compile with Adam and the loss that the end of the model asks for."""
    is_binary = model.output_shape[-1] == 1
    loss = "binary_crossentropy" if is_binary else "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"])


def accuracy(answers: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of right answers; of one column, 1 is meant from 0.5 on."""
    found = answers[:, 0] > 0.5 if answers.shape[1] == 1 else answers.argmax(axis=1)
    return float(np.mean(found == labels))


def _is_head(stage: Stage) -> bool:
    return stage.name == "head"


@dataclass
class _Run:
    """All that the stages of a run share."""

    model: keras.Model
    parts: Parts
    train: Batches
    validation: Batches | None
    test_data: Arrays | None
    patience: int | None
    augmentation: keras.Layer | None
    views: int
    feature_dtype: str
    seed: int
    verbose: int
    resume: bool

    def train_stage(
        self, stage: Stage, folder: Path | None, on_features: bool, before: float | None
    ) -> tuple[StageResult, dict[str, list[float]]]:
        """Train a stage; return its row and its history. `before` is the validation loss so far."""
        kept = self.model.get_weights()
        started = time.perf_counter()
        fit = self._fit_on_features if on_features else self._fit_on_images
        history, extracted = fit(stage, folder)
        seconds = time.perf_counter() - started
        val_loss = val_accuracy = None
        improved = True
        if self.validation is not None:
            best = int(np.argmin(history["val_loss"]))
            val_loss, val_accuracy = history["val_loss"][best], history["val_accuracy"][best]
            improved = before is None or val_loss < before
        if not improved:
            self.model.set_weights(kept)
        trainable = sum(int(np.prod(weight.shape)) for weight in self.model.trainable_weights)
        row = StageResult(
            stage=stage.name,
            trainable_params=trainable,
            frozen_params=self.model.count_params() - trainable,
            learning_rate=stage.learning_rate,
            epochs=len(history["loss"]),
            seconds=seconds,
            val_accuracy=val_accuracy,
            val_loss=val_loss,
            test_accuracy=None if self.test_data is None else self._test_accuracy(on_features),
            extracted_images=extracted,
            improved=improved,
        )
        return row, history

    def _fit_on_images(self, stage: Stage, folder: Path | None) -> tuple[dict[str, list[float]], None]:
        model = self.model
        if self.augmentation is not None:
            inputs = keras.Input(self.train.x.shape[1:])
            model = keras.Model(inputs, self.model(self.augmentation(inputs)))
            compile_for(model, stage.learning_rate)
        return self._fit(model, self.train, self.validation, stage, folder), None

    def _fit_on_features(self, stage: Stage, folder: Path | None) -> tuple[dict[str, list[float]], int]:
        train, validation = self.train, self.validation
        features, extracted = self._features(train.x)
        inner = Batches(features, train.y, train.batch_size, self.seed, train.indices)
        if self.augmentation is not None:
            many, more = extract_views(
                self.parts.extractor, self.augmentation, train.x, self.views, self.seed, self.feature_dtype,
                self.verbose,
            )  # fmt: skip
            inner = ViewBatches(many, train.y, train.batch_size, self.seed, train.indices)
            extracted += more
        outer = None
        if validation is not None:
            held_out = features
            if validation.x is not train.x:
                held_out, more = self._features(validation.x)
                extracted += more
            outer = Batches(held_out, validation.y, validation.batch_size, None, validation.indices)
        head = self.parts.copy_head()
        compile_for(head, stage.learning_rate)
        history = self._fit(head, inner, outer, stage, folder)
        self.parts.take_head(head)
        return history, extracted

    def _fit(
        self, model: keras.Model, train: Batches, validation: Batches | None, stage: Stage, folder: Path | None
    ) -> dict[str, list[float]]:
        patience = None
        if validation is not None:  # early stopping also goes back to the best weights where nothing is stopped
            patience = stage.epochs if self.patience is None else self.patience
        history = fit_batches(
            model,
            train,
            validation,
            epochs=stage.epochs,
            seed=self.seed,
            patience=patience,
            folder=folder,
            resume=self.resume,
            verbose=self.verbose,
        )
        return history.history

    def _features(self, images: np.ndarray) -> tuple[np.ndarray, int]:
        return computed_features(
            self.parts.extractor, images, dtype=self.feature_dtype, cache=True, verbose=self.verbose
        )

    def _test_accuracy(self, on_features: bool) -> float:
        images, labels = self.test_data or self.train[0]
        if on_features:
            answers, _ = computed_features(self.parts.copy_head(), self._features(images)[0], verbose=0)
        else:
            answers, _ = computed_features(self.model, images, verbose=0)
        return accuracy(answers, labels)


class _State:
    """The finished stages of a run in a folder: for each a row and the weights that it hands on."""

    def __init__(self, folder: Path, run: _Run, batch_norm: str) -> None:
        if folder.exists() and not folder.is_dir():
            raise input_error("fit_stages", "folder", "a folder, or a name that does not exist yet", str(folder))
        self.folder, self.model, self.resume = folder, run.model, run.resume
        set_trainable(
            run.parts.backbone, Stage("all"), "train"
        )  # a model that was trained before is the same model
        self.settings = {
            "model": config_digest(run.model.get_config()),
            "weights of the backbone": getattr(run.model, "weights_source", ""),
            "training data": run.train.digest(),
            "validation data": None if run.validation is None else run.validation.digest(),
            "augmentation": run.augmentation and config_digest(run.augmentation.get_config()),
            "batch_norm": batch_norm,
            "views": run.views if run.augmentation else None,
            "feature_dtype": run.feature_dtype,
            "batch_size": run.train.batch_size,
            "patience": run.patience,
            "seed": run.seed,
        }

    def place(self, number: int, stage: Stage) -> Path:
        """Return the folder of a stage."""
        return self.folder / f"{number:02}-{re.sub(r'[^a-z0-9]+', '-', stage.name.lower()).strip('-') or 'stage'}"

    def load(self, number: int, stage: Stage) -> tuple[StageResult, dict[str, list[float]]] | None:
        """Load the weights after a finished stage and return its row; None where it is not finished."""
        path = self.place(number, stage) / "stage.json"
        if not self.resume or not path.exists():
            return None
        state = json.loads(path.read_text(encoding="utf-8"))
        wanted = {**self.settings, "stage": asdict(stage)}
        differing = [name for name, value in wanted.items() if state["settings"].get(name) != value]
        if differing:
            rule = f"a folder whose run has the same {', '.join(differing)}"
            way_out = "Name another `folder`, or pass `resume=False` to overwrite the run."
            raise input_error("fit_stages", "folder", rule, str(self.folder), way_out)
        self.model.load_weights(path.with_name("after.weights.h5"))
        return StageResult(**state["row"]), state["history"]

    def save(self, number: int, stage: Stage, row: StageResult, history: dict[str, list[float]]) -> None:
        """Keep the weights and then, in one step, the row."""
        folder = self.place(number, stage)
        self.model.save_weights(folder / "after.weights.h5")
        settings = {**self.settings, "stage": asdict(stage)}
        state = {"settings": settings, "row": asdict(row), "history": history}
        (folder / "stage.json.partial").write_text(json.dumps(state, indent=1), encoding="utf-8")
        os.replace(folder / "stage.json.partial", folder / "stage.json")


def _batch_norm_note(backbone: keras.Model, batch_norm: str) -> list[str]:
    if not any(isinstance(layer, keras.layers.BatchNormalization) for layer in _flat(backbone)):
        return []
    if batch_norm == "inference":
        return ["Batch normalization of the backbone stays as it is in every stage: stored statistics, frozen."]
    return ["Batch normalization of the backbone, where unfrozen, is trained and uses the batches' statistics."]


def _check_stages(stages: Any, backbone: keras.Model) -> list[Stage]:
    if isinstance(stages, Stage):
        raise input_error("fit_stages", "stages", "a list of `Stage`", stages, "Put it into [ ].", TypeError)
    if not isinstance(stages, list | tuple) or not all(isinstance(stage, Stage) for stage in stages):
        raise input_error("fit_stages", "stages", "a list of `Stage`", stages, error=TypeError)
    if not stages:
        raise input_error("fit_stages", "stages", "one or more of `Stage`", stages)
    for stage in stages:
        first_trained("fit_stages", backbone, stage)
    return [replace(stage) for stage in stages]


def _check_all_data(
    function: str, model: keras.Model, data: Any, test_data: Any, notes: list[str]
) -> tuple[np.ndarray, np.ndarray, Arrays | None]:
    if isinstance(data, ImageDataset):
        if test_data is None:
            test_data = (data.x_test, data.y_test)
        data = (data.x_train, data.y_train)
    x, y = _check_data(function, "data", model, data)
    if test_data is not None:
        test_data = _check_data(function, "test_data", model, test_data)
    if x.shape[-1] == 1 and model.input_shape[-1] != 1:
        notes.append("Grey images: the model repeats them in three channels.")
    return x, y, test_data


def _check_data(function: str, argument: str, model: keras.Model, data: Any) -> Arrays:
    """Return images and labels, or raise where they are not what the model takes."""
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise input_error(
            function, argument, "a pair of arrays (images, labels)", type(data).__name__, error=TypeError
        )
    x, y = data
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "uif":
        raise input_error(function, argument, "images as a NumPy array of numbers", x, error=TypeError)
    rule = "images (images, height, width, channels) with 1 or 3 channels, and at least one"
    if x.ndim != 4 or not len(x) or x.shape[-1] not in (1, 3):
        way_out = "Leave out the transparency with `images[..., :3]`." if x.ndim == 4 and x.shape[-1] == 4 else ""
        raise input_error(function, argument, rule, describe(x), way_out)
    wanted = model.input_shape[1:]
    if any(side not in (None, given) for side, given in zip(wanted, x.shape[1:], strict=True)):
        raise input_error(function, argument, f"images of the model's input shape {wanted}", describe(x))
    y = np.asarray(y)
    if y.shape != (len(x),) or y.dtype.kind not in "iu":
        way_out = "`labels.reshape(-1)` drops the second axis." if y.shape == (len(x), 1) else ""
        rule = f"labels as whole numbers of shape ({len(x)},), one for each image"
        raise input_error(function, argument, rule, describe(y), way_out)
    largest = max(model.output_shape[-1], 2) - 1
    if y.min() < 0 or y.max() > largest:
        rule = f"labels from 0 to {largest}, as the model has {model.output_shape[-1]} output(s)"
        raise input_error(function, argument, rule, f"labels from {y.min()} to {y.max()}")
    if x.dtype.kind == "f":
        low, high = float(x.min()), float(x.max())
        if not np.isfinite([low, high]).all():
            raise input_error(function, argument, "images without NaN and infinite values", describe(x))
        if hasattr(model, "weights_source") and 0 < high <= 1:
            way_out = "The model scales them itself: pass uint8, or multiply by 255."
            raise input_error(
                function, argument, "images from 0 to 255", f"floats from {low:g} to {high:g}", way_out
            )
    return x, y
