"""Training in stages: first the new head, then more and more of the backbone."""

import json
import os
import time
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerascv_course._digests import array_digest, config_digest
from kerascv_course._tables import Table, percent
from kerascv_course._validation import check_choice, check_int, check_number, input_error
from kerascv_course.datasets import ImageDataset
from kerascv_course.datasets.split import split_indices
from kerascv_course.latent.features import computed_features
from kerascv_course.training.batches import Batches
from kerascv_course.training.fit import fit_batches
from kerascv_course.transfer.blocks import blocks, layers_of
from kerascv_course.transfer.heads import Parts, ViewBatches, extract_views, is_random, split_model

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
    learning_rate: float = None  # type: ignore[assignment]  # filled in below, by the name
    epochs: int = 5

    def __post_init__(self) -> None:
        """Check the fields and fill in the rate."""
        if not isinstance(self.name, str) or not self.name:
            error = ValueError if self.name == "" else TypeError
            raise input_error("Stage", "name", "a text that is not empty", self.name, error=error)
        epochs = check_int("Stage", "epochs", self.epochs, 1)
        rate = _RATES.get(self.name, _PARTIAL_RATE)
        if self.learning_rate is not None:
            rate = check_number("Stage", "learning_rate", self.learning_rate, 0)
        if rate == 0:
            raise input_error("Stage", "learning_rate", "a number above 0", self.learning_rate)
        start = self.unfreeze_from
        if isinstance(start, np.integer | np.floating):
            start = start.item()
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
        for field, value in (("unfreeze_from", start), ("learning_rate", rate), ("epochs", epochs)):
            object.__setattr__(self, field, value)


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
        val_loss: Loss of the same weights on them.
        test_accuracy: Accuracy on the test images; None without any.
        extracted_images: Images whose features were computed for it: 0 where they came from the cache, None where
            the stage trained on images.
        improved: Whether the validation loss fell below that of the weights from before the stage. Where it did
            not, those are handed on. True for the first stage, and where nothing is held out.
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
class StageResults(Table):
    """What `fit_stages` returns: a record and a history for each stage, and remarks; shown as a table."""

    rows: tuple[StageResult, ...]
    notes: tuple[str, ...]
    histories: dict[str, dict[str, list[float]]]

    _header = ("Stage", "Trained", "Frozen", "Rate", "Epochs", "Seconds", "Validation", "Test")

    @staticmethod
    def _cells(row: StageResult) -> tuple[str, ...]:
        return (
            row.stage,
            f"{row.trainable_params:,}",
            f"{row.frozen_params:,}",
            f"{row.learning_rate:g}",
            str(row.epochs),
            f"{row.seconds:,.1f}",
            percent(row.val_accuracy),
            percent(row.test_accuracy),
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
    them; the weights are the same, but for rounding, as those of training on the images. With `augmentation` there
    are `views` versions of each training image, one of them drawn at random in each epoch.

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
            frozen; random layers inside the backbone, such as the dropout of EfficientNet, are then left out.
            False trains on the images in every stage. So is a model whose layers before the backbone are trained
            or random, or whose head is no plain chain of layers.
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
    function = "fit_stages"
    parts = split_model(function, model)
    stages = _check_stages(stages, parts.backbone)
    check_choice(function, "batch_norm", batch_norm, ("inference", "train"))
    run, notes = prepare_run(
        function,
        parts,
        data,
        batch_size=batch_size,
        validation_split=validation_split,
        validation_data=validation_data,
        test_data=test_data,
        patience=patience,
        augmentation=augmentation,
        views=views,
        feature_dtype=feature_dtype,
        resume=resume,
        seed=seed,
        verbose=verbose,
    )
    if run.validation is None:
        notes.append("Nothing was held out: each stage hands on its last weights.")
    use_features = cache_features and parts.cut is not None
    if cache_features and parts.cut is None:
        notes.append(f"Trained on images in all stages: {parts.obstacle}.")
    if use_features and is_random(parts.backbone) and any(map(_is_head, stages)):
        notes.append("Random layers of the backbone were left out where the head was trained on features.")
    notes += _batch_norm_note(parts.backbone, batch_norm)
    state = None if folder is None else _State(folder, run, batch_norm)
    rows: list[StageResult] = []
    histories = {}
    for number, stage in enumerate(stages, start=1):
        before = rows[-1] if rows else None
        on_features = use_features and _is_head(stage)
        done = state.load(number, stage, on_features) if state else None
        set_trainable(parts.backbone, stage, batch_norm)
        compile_for(model, stage.learning_rate)
        if not _is_head(stage) and not parts.backbone.trainable_weights:
            notes.append(f"Stage {stage.name!r} trained the head alone: what it unfroze has no weights to train.")
        if done is None:
            place = state.start(number, stage, on_features) if state else None
            done = run.train_stage(stage, place, on_features, before)
            if state:
                state.finish(number, stage, *done)
        rows.append(done[0])
        histories[f"{number} {stage.name}"] = done[1]
        if not done[0].improved:
            notes.append(
                f"Stage {stage.name!r} did not lower the validation loss: the weights from before it were kept."
            )
    if augmentation is not None and use_features and any(map(_is_head, stages)):
        notes.append(f"With the backbone frozen, {views} augmented views of each training image were used.")
    return StageResults(tuple(rows), tuple(notes), histories)


def prepare_run(
    function: str,
    parts: Parts,
    data: ImageDataset | Arrays,
    *,
    batch_size: int,
    validation_split: float,
    validation_data: Arrays | None,
    test_data: Arrays | None,
    patience: int | None = None,
    augmentation: keras.Layer | None,
    views: int = 1,
    feature_dtype: str = "float32",
    resume: bool = False,
    seed: int,
    verbose: int,
) -> tuple["Run", list[str]]:
    """Check what a public function was given to train with; return it with the images split, and remarks."""
    model = parts.model
    notes = [f"Weights of the backbone: {model.weights_source}."] if hasattr(model, "weights_source") else []
    x, y, test_data = _check_all_data(function, model, data, test_data, notes)
    batch_size = check_int(function, "batch_size", batch_size, 1)
    views = check_int(function, "views", views, 1)
    seed = check_int(function, "seed", seed, 0, 2**32 - 1)
    check_choice(function, "feature_dtype", feature_dtype, ("float32", "float16"))
    if patience is not None:
        patience = check_int(function, "patience", patience, 0)
    if augmentation is not None and not isinstance(augmentation, keras.Layer):
        way_out = "Put a function into `keras.layers.Lambda`."
        raise input_error(function, "augmentation", "a Keras layer or None", augmentation, way_out, TypeError)
    train, validation = np.arange(len(y)), None
    share = check_number(function, "validation_split", validation_split, 0, 0.99)
    if validation_data is not None:
        held_out = _check_data(function, "validation_data", model, validation_data)
        if augmentation is not None and held_out[0].shape[1:] != x.shape[1:]:
            rule = f"images of shape {x.shape[1:]}, as the training images, where `augmentation` is given"
            raise input_error(function, "validation_data", rule, held_out[0])
        validation = Batches(*held_out, batch_size, None)
    elif share:
        train, part = split_indices(function, "validation_split", y, share, seed)
        validation = Batches(x, y, batch_size, None, part)
    run = Run(
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
    return run, notes


def set_trainable(backbone: keras.Model, stage: Stage, batch_norm: str = "inference") -> None:
    """Freeze and unfreeze the layers of a backbone for a stage, as `layer.trainable` loops by hand do.

    A frozen batch normalization layer uses its stored statistics. `base(x, training=False)` does not see to that:
    `fit` of a functional model calls all layers with `training=True` (Keras 3, issue 20285).
    """
    frozen = len(backbone.layers) if _is_head(stage) else first_trained("fit_stages", backbone, stage)
    train_only(backbone, {layer.name for layer in backbone.layers[frozen:]}, batch_norm)


def train_only(backbone: keras.Model, names: Collection[str], batch_norm: str = "inference") -> None:
    """Freeze all layers of a backbone but those of these names."""
    unfreeze(backbone)
    for layer in backbone.layers:
        layer.trainable = layer.name in names
        if batch_norm == "inference":
            for inner in flat_layers(layer):
                if isinstance(inner, keras.layers.BatchNormalization):
                    inner.trainable = False


def unfreeze(layer: keras.Layer) -> None:
    """Set a layer and all layers inside it to trainable.

    With TensorFlow `layer.trainable = True` alone changes nothing inside a layer that is trainable already: an
    assignment of the value that is there is skipped.
    """
    for inner in flat_layers(layer):
        inner.trainable = True


def flat_layers(layer: keras.Layer, seen: set[int] | None = None) -> Iterator[keras.Layer]:
    """Yield a layer and those inside it, each once: the layers of a model, and those that a layer holds."""
    seen = set() if seen is None else seen
    if id(layer) in seen:
        return
    seen.add(id(layer))
    yield layer
    for value in [getattr(layer, "layers", None), *vars(layer).values()]:
        parts = (
            value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
        )
        for part in parts:
            if isinstance(part, keras.Layer):
                yield from flat_layers(part, seen)


def first_trained(function: str, backbone: keras.Model, stage: Stage) -> int:
    """Return the number of the first layer of the backbone that a stage trains."""
    start, names = stage.unfreeze_from, [layer.name for layer in backbone.layers]
    if start is None:
        return 0
    if isinstance(start, str):
        return names.index(layers_of(function, "unfreeze_from", backbone, start)[0])
    if isinstance(start, float):
        return min(round(len(names) * (1 - start)), len(names) - 1)
    try:
        named = [block for block in blocks(backbone) if block.name != "end"]
    except ValueError:
        rule = f"the name of a layer or a share, as the layers of {backbone.name} are not named by blocks"
        raise input_error(function, "unfreeze_from", rule, start) from None
    if start > len(named):
        raise input_error(function, "unfreeze_from", f"at most {len(named)}, the blocks of the backbone", start)
    return names.index(named[-start].layers[0])


def compile_for(model: keras.Model, learning_rate: float) -> None:
    """Compile with Adam and the loss that the end of the model asks for."""
    is_binary = model.output_shape[-1] == 1
    loss = "binary_crossentropy" if is_binary else "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"])


def accuracy(answers: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of right answers; of one column, 1 is meant above 0.5."""
    found = answers[:, 0] > 0.5 if answers.shape[1] == 1 else answers.argmax(axis=1)
    return float(np.mean(found == labels))


def _is_head(stage: Stage) -> bool:
    return stage.name == "head"


@dataclass
class Run:
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
        self, stage: Stage, folder: Path | None, on_features: bool, before: StageResult | None
    ) -> tuple[StageResult, dict[str, list[float]]]:
        """Train a stage; return its row and its history. `before` is the row of the stage before it."""
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
            if before is not None and before.val_loss is not None and not val_loss < before.val_loss:
                improved, val_loss, val_accuracy = False, before.val_loss, before.val_accuracy
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
            test_accuracy=self.test_accuracy(on_features),
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
        known: dict[int, np.ndarray] = {}  # the held-out images may be some of the same array
        extracted = 0

        def features_of(batches: Batches) -> np.ndarray:
            nonlocal extracted
            if id(batches.x) not in known:
                known[id(batches.x)], count = self._features(batches.x)
                extracted += count
            return known[id(batches.x)]

        if self.augmentation is None:
            inner = Batches(features_of(train), train.y, train.batch_size, self.seed, train.indices)
        else:
            many, extracted = extract_views(
                self.parts.extractor, self.augmentation, train.x, self.views, self.seed, self.feature_dtype,
                self.verbose,
            )  # fmt: skip
            inner = ViewBatches(many, train.y, train.batch_size, self.seed, train.indices)
        outer = None
        if validation is not None:
            held_out = features_of(validation)
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

    def test_accuracy(self, on_features: bool) -> float | None:
        """Return the accuracy on the test images; None without any."""
        if self.test_data is None:
            return None
        images, labels = self.test_data
        if on_features:
            answers, _ = computed_features(self.parts.copy_head(), self._features(images)[0], verbose=0)
        else:
            answers, _ = computed_features(self.model, images, verbose=0)
        return accuracy(answers, labels)


class _State:
    """The stages of a run in a folder: for each its settings, and once it is finished a row and its weights."""

    def __init__(self, folder: Any, run: Run, batch_norm: str) -> None:
        rule = "a folder, or a name that does not exist yet"
        if not isinstance(folder, str | os.PathLike):
            raise input_error("fit_stages", "folder", rule, folder, error=TypeError)
        self.folder, self.run = Path(folder), run
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
        """Load the weights after a finished stage and return its row; None where it is not finished."""
        path = self._place(number) / "stage.json"
        if not path.exists():
            return None
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            wanted = {**self.settings, **self._settings_of(number, stage, on_features)}
            differing = [name for name, value in wanted.items() if state["settings"][name] != value]
            if state["row"] is None and state["backbone"] != self._backbone(on_features):
                differing.append("weights of the backbone")
            if state["row"] is not None:
                row, history = StageResult(**state["row"]), state["history"]
                digest, test_data = state["weights"], state["test data"]
        except (ValueError, KeyError, TypeError) as error:
            raise self._damage(path, error) from error
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
        except (ValueError, KeyError, OSError) as error:
            raise self._damage(weights, error) from error
        if array_digest(model.get_weights()) != digest:
            raise self._damage(weights, "its checksum differs")
        if test_data != self.test_data:  # it decides nothing, so it may be another in a later call
            row = replace(row, test_accuracy=self.run.test_accuracy(on_features=False))
        return row, history

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

    def _damage(self, path: Path, reason: Any) -> Exception:
        way_out = (
            f"{path.relative_to(self.folder)} is damaged ({reason}). Name another `folder`, or pass "
            "`resume=False` to train all stages anew."
        )
        return input_error("fit_stages", "folder", "a folder whose files are whole", str(self.folder), way_out)


def _batch_norm_note(backbone: keras.Model, batch_norm: str) -> list[str]:
    if not any(isinstance(layer, keras.layers.BatchNormalization) for layer in flat_layers(backbone)):
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
        raise input_error(function, argument, rule, x, way_out)
    wanted = model.input_shape[1:]
    if any(side not in (None, given) for side, given in zip(wanted, x.shape[1:], strict=True)):
        raise input_error(function, argument, f"images of the model's input shape {wanted}", x)
    y = np.asarray(y)
    if y.shape != (len(x),) or y.dtype.kind not in "iu":
        way_out = "`labels.reshape(-1)` drops the second axis." if y.shape == (len(x), 1) else ""
        rule = f"labels as whole numbers of shape ({len(x)},), one for each image"
        raise input_error(function, argument, rule, y, way_out)
    largest = max(model.output_shape[-1], 2) - 1
    if y.min() < 0 or y.max() > largest:
        rule = f"labels from 0 to {largest}, as the model has {model.output_shape[-1]} output(s)"
        raise input_error(function, argument, rule, f"labels from {y.min()} to {y.max()}")
    if x.dtype.kind == "f":
        low, high = float(x.min()), float(x.max())
        if not np.isfinite([low, high]).all():
            raise input_error(function, argument, "images without NaN and infinite values", x)
        if hasattr(model, "weights_source") and 0 < high <= 1:
            way_out = "The model scales them itself: pass uint8, or multiply by 255."
            raise input_error(
                function, argument, "images from 0 to 255", f"floats from {low:g} to {high:g}", way_out
            )
    return x, y
