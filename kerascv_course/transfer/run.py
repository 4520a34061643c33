"""What the stages of a run share: the model, the images and how they are split; and the training of one stage."""

import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kerascv_course._models import check_model, flat_layers, input_shape
from kerascv_course._ranges import takes_bytes, unit_range
from kerascv_course._store import RunFolder
from kerascv_course._validation import check_choice, check_images, check_int, check_number, check_pair, input_error
from kerascv_course.datasets import ImageDataset
from kerascv_course.datasets.split import split_indices
from kerascv_course.latent.features import computed_features
from kerascv_course.training.batches import Batches
from kerascv_course.training.checkpoint import set_seeds
from kerascv_course.training.fit import Callbacks, check_callbacks, fit_batches
from kerascv_course.training.trial import accuracy_name
from kerascv_course.transfer.goal import Goal
from kerascv_course.transfer.heads import InTraining, ViewBatches, split_model
from kerascv_course.transfer.records import Stage, StageResult

Arrays = tuple[np.ndarray, np.ndarray]

_STEPS_IN_A_CALL = 32  # of the head on features
_WATCHERS = (  # of figures alone: what they do to the head is what they do to the whole model
    keras.callbacks.CSVLogger,
    keras.callbacks.EarlyStopping,
    keras.callbacks.LearningRateScheduler,
    keras.callbacks.ReduceLROnPlateau,
    keras.callbacks.TerminateOnNaN,
)
DATA_LOSS = "val_data_loss"  # the validation loss without regularizers, where there are some


class Run:
    """All that the stages of a run share: what a public function was given to train with, checked, and remarks."""

    def __init__(
        self,
        function: str,
        model: keras.Model,
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
        seed: int = 0,
        verbose: int = 1,
        views: int = 1,
        feature_dtype: str = "float32",
    ) -> None:
        self.function, self.model = function, model
        self.augmentation, self.feature_dtype, self.verbose = augmentation, feature_dtype, int(bool(verbose))
        check_model(function, model)
        images, labels = check_pair(function, "data", data)
        self.parts = split_model(function, model, images[:1], backbone)
        self.goal = Goal(function, model, images[:1], labels)
        source = getattr(model, "weights_source", "")
        self.notes = [f"Weights of the backbone: {source}."] if source else []
        if isinstance(data, ImageDataset):
            test_data = (data.x_test, data.y_test) if test_data is None else test_data
            validation_data = data.validation if validation_data is None else validation_data
        x, y = self._check_data("data", (images, labels))
        self.test_data = None if test_data is None else self._check_data("test_data", test_data)
        if x.shape[-1] == 1 and (input_shape(function, model) or x.shape[1:])[-1] != 1:
            self.notes.append("Grey images: the model repeats them in three channels.")
        self.callbacks = check_callbacks(function, callbacks)
        self.class_weight, self.done = class_weight, True
        batch_size = check_int(function, "batch_size", batch_size, 1)
        self.views = check_int(function, "views", views, 1)
        self.seed = check_int(function, "seed", seed, 0, 2**32 - 1)
        check_choice(function, "feature_dtype", feature_dtype, ("float32", "float16"))
        self.batch_norm = check_choice(function, "batch_norm", batch_norm, ("inference", "train"))
        self.patience = None if patience is None else check_int(function, "patience", patience, 0)
        if augmentation is not None and not isinstance(augmentation, keras.Layer):
            way_out = "Put a function into `keras.layers.Lambda`."
            raise input_error(function, "augmentation", "a Keras layer or None", augmentation, way_out, TypeError)
        if augmentation is not None and not self.goal.is_copied:
            rule = "compiled with metrics that Keras can write, where `augmentation` is given"
            way_out = "Put `@keras.saving.register_keras_serializable()` above your own."
            raise input_error(function, "model", rule, model.name, way_out)
        train, self.validation = None, None
        share = check_number(function, "validation_split", validation_split, 0, 0.99)
        if validation_data is not None:
            held_out = self._check_data("validation_data", validation_data)
            if augmentation is not None and held_out[0].shape[1:] != x.shape[1:]:
                rule = f"images of shape {x.shape[1:]}, as the training images, where `augmentation` is given"
                raise input_error(function, "validation_data", rule, held_out[0])
            self.validation = Batches(*held_out, batch_size, None)
        elif share:
            train, part = split_indices(function, "validation_split", y, share, self.seed)
            self.validation = Batches(x, y, batch_size, None, part)
        self.train = Batches(x, y, batch_size, self.seed, train)
        if self.validation is None:
            self.notes.append("Nothing was held out: the last weights are taken.")
        if any(isinstance(layer, keras.layers.BatchNormalization) for layer in flat_layers(self.parts.backbone)):
            fixed, moving = "stays frozen, with its stored statistics", "is trained where it is unfrozen"
            way = fixed if batch_norm == "inference" else moving
            self.notes.append(f"Batch normalization of the backbone {way}.")

    def _check_data(self, argument: str, data: Any) -> Arrays:
        """Return images and labels, or raise where they are not what the model takes."""
        x, y = check_pair(self.function, argument, data)
        wanted = input_shape(self.function, self.model)
        x = check_images(self.function, argument, x, shape=wanted)
        if (wanted is None or wanted[-1] is None) and x.shape[-1] not in (1, 3):
            way_out = "Leave out the transparency with `images[..., :3]`." if x.shape[-1] == 4 else ""
            raise input_error(self.function, argument, "images with 1 or 3 channels", x, way_out)
        found = unit_range(x) if takes_bytes(self.model) else ""
        if found:
            way_out = "The model scales them itself: pass uint8, or multiply by 255."
            raise input_error(self.function, argument, "images from 0 to 255", f"floats from {found}", way_out)
        return x, self.goal.read(argument, y)

    def obstacle(self) -> str:
        """Return why the head cannot be trained on features that are computed once; nothing where it can."""
        strangers = [type(callback).__name__ for callback in self.callbacks if not isinstance(callback, _WATCHERS)]
        if strangers:
            return f"{strangers[0]} may look at the whole model"
        return self.parts.obstacle if self.goal.is_copied else "its metrics are no ones that Keras can write"

    def train_stage(
        self,
        stage: Stage,
        *,
        on_features: bool = False,
        before: StageResult | None = None,
        store: RunFolder | None = None,
        resume: bool = False,
    ) -> tuple[StageResult, dict[str, list[float]]]:
        """Train a stage; return its row and its history. `before` is the row of the stage before it.

        `done` then says whether it has trained its epochs or early stopping has ended it.

        With a `store`, where the epochs are kept, an interruption leaves the weights from before the stage.
        """
        kept = self.model.get_weights()
        started = time.perf_counter()
        fit = self._fit_on_features if on_features else self._fit_on_images
        try:
            history, extracted = fit(stage, store=store, resume=resume)
        except BaseException:
            if store is not None:
                self.model.set_weights(kept)
            raise
        seconds = time.perf_counter() - started
        val_loss = val_accuracy = None
        improved = True
        if self.validation is not None:
            losses = history.get(DATA_LOSS, history["val_loss"])
            best = int(np.argmin(losses))
            held_out = [name.removeprefix("val_") for name in history if name.startswith("val_")]
            accuracy = accuracy_name(self.model, held_out)
            val_loss, val_accuracy = losses[best], history[f"val_{accuracy}"][best] if accuracy else None
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

    def _fit_on_images(self, stage: Stage, **options: Any) -> tuple[dict[str, list[float]], None]:
        model = self.model
        if self.augmentation is not None:
            inputs = keras.Input(self.train.x.shape[1:])
            model = keras.Model(inputs, self.model(self.augmentation(inputs)))
            self.goal.compile(model, stage.learning_rate)
        return self._fit(model, self.train, self.validation, stage, **options), None

    def _fit_on_features(self, stage: Stage, **options: Any) -> tuple[dict[str, list[float]], int]:
        train, held_out, outer = self.train, self.validation, None
        features, extracted = None, 0
        if self.augmentation is None:
            features, extracted = self._features(train.x)
            inner = Batches(features, train.y, train.batch_size, self.seed, train.indices)
        else:
            many, extracted = self._views(train.x)
            inner = ViewBatches(many, train.y, train.batch_size, self.seed, train.indices)
        if held_out is not None:
            if features is None or held_out.x is not train.x:  # else they are some of the same array
                features, count = self._features(held_out.x)
                extracted += count
            outer = Batches(features, held_out.y, held_out.batch_size, None, held_out.indices)
        head = self.parts.copy_head()
        self.goal.compile(head, stage.learning_rate, _steps_in_a_call(head))
        history = self._fit(head, inner, outer, stage, **options)
        self.parts.take_head(head)
        return history, extracted

    def _fit(
        self, model: keras.Model, train: Batches, validation: Batches | None, stage: Stage, **options: Any
    ) -> dict[str, list[float]]:
        callbacks: list[keras.callbacks.Callback] = [_DataLoss(), *self.callbacks]
        if validation is not None:  # early stopping also goes back to the best weights where nothing is stopped
            monitor = DATA_LOSS if _regularized(model) else "val_loss"
            patience = stage.epochs if self.patience is None else self.patience
            stop = keras.callbacks.EarlyStopping(monitor, patience=patience, mode="min", restore_best_weights=True)
            callbacks.append(stop)
        options |= {"epochs": stage.epochs, "callbacks": callbacks, "class_weight": self.class_weight}
        history = fit_batches(self.function, model, train, validation, verbose=self.verbose, **options).history
        stoppers = [callback for callback in callbacks if isinstance(callback, keras.callbacks.EarlyStopping)]
        is_stopped = model.stop_training and not any(stop.stopped_epoch for stop in stoppers)
        self.done = len(history["loss"]) >= stage.epochs or not is_stopped
        return history

    def _features(self, images: np.ndarray, model: Any = None, key: str = "") -> tuple[np.ndarray, int]:
        model, dtype = model or self.parts.extractor, self.feature_dtype
        return computed_features(model, images, dtype=dtype, cache=True, verbose=self.verbose, key=key)

    def _views(self, images: np.ndarray) -> tuple[np.ndarray, int]:
        """Return the features of several augmented views, (views, images, ...), and how many are new."""
        inputs = keras.Input(images.shape[1:])
        model = keras.Model(inputs, self.parts.extractor(InTraining(self.augmentation)(inputs)))
        found, computed = [], 0
        for view in range(self.views):
            set_seeds(model, self.seed, view)
            features, count = self._features(images, model, f"{self.seed} {view}")
            found.append(features)
            computed += count
        return np.stack(found), computed

    def test_accuracy(self, on_features: bool) -> float | None:
        """Return the accuracy on the test images; None without any."""
        if self.test_data is None:
            return None
        images, labels = self.test_data
        model = self.parts.copy_head() if on_features else self.model
        answers, _ = computed_features(model, self._features(images)[0] if on_features else images, verbose=0)
        return self.goal.accuracy(answers, labels)


class _DataLoss(keras.callbacks.Callback):
    """Adds the validation loss without what the regularizers of the trained weights add to it.

    Which weights these are differs from stage to stage, so that the whole loss cannot be compared between stages.
    """

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Subtract it, at the weights after the epoch."""
        added = [weight.regularizer(weight) for weight in _regularized(self.model)]
        if logs and "val_loss" in logs and added:
            logs[DATA_LOSS] = logs["val_loss"] - sum(float(keras.ops.convert_to_numpy(value)) for value in added)


def _regularized(model: keras.Model) -> list[keras.Variable]:
    return [weight for weight in model.trainable_weights if getattr(weight, "regularizer", None) is not None]


def _steps_in_a_call(head: keras.Model) -> int:
    """Return how many steps of the head are done in one call; the weights are the same bits for any number.

    To call so short a step from Python takes longer than the step. TensorFlow loops over several, though not where
    several devices share a batch; JAX would compile each of them, and PyTorch knows of no such thing.
    """
    is_loop = keras.config.backend() == "tensorflow" and head.distribute_strategy.num_replicas_in_sync == 1
    return _STEPS_IN_A_CALL if is_loop else 1
