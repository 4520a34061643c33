"""What the stages of a run share: the model, the images and how they are split; and the training of one stage."""

import time
from typing import Any

import keras
import numpy as np

from kerascv_course._store import RunFolder
from kerascv_course._validation import (
    check_choice,
    check_images,
    check_int,
    check_number,
    check_pair,
    input_error,
)
from kerascv_course.datasets import ImageDataset
from kerascv_course.datasets.split import split_indices
from kerascv_course.latent.features import computed_features
from kerascv_course.training.batches import Batches
from kerascv_course.training.fit import fit_batches
from kerascv_course.transfer.heads import Parts, ViewBatches, extract_views
from kerascv_course.transfer.records import Stage, StageResult

Arrays = tuple[np.ndarray, np.ndarray]

_STEPS_IN_A_CALL = 32  # of the head on features


class Run:
    """All that the stages of a run share: what a public function was given to train with, checked, and remarks."""

    def __init__(
        self,
        function: str,
        parts: Parts,
        data: ImageDataset | Arrays,
        *,
        batch_size: int,
        validation_split: float,
        validation_data: Arrays | None,
        test_data: Arrays | None,
        augmentation: keras.Layer | None,
        seed: int,
        verbose: int,
        patience: int | None = None,
        views: int = 1,
        feature_dtype: str = "float32",
    ) -> None:
        self.function, self.parts, self.model = function, parts, parts.model
        self.augmentation, self.feature_dtype, self.verbose = augmentation, feature_dtype, int(bool(verbose))
        source = getattr(self.model, "weights_source", "")
        self.notes = [f"Weights of the backbone: {source}."] if source else []
        if isinstance(data, ImageDataset) and test_data is None:
            test_data = (data.x_test, data.y_test)
        x, y = self._check_data("data", data)
        self.test_data = None if test_data is None else self._check_data("test_data", test_data)
        if x.shape[-1] == 1 and self.model.input_shape[-1] != 1:
            self.notes.append("Grey images: the model repeats them in three channels.")
        batch_size = check_int(function, "batch_size", batch_size, 1)
        self.views = check_int(function, "views", views, 1)
        self.seed = check_int(function, "seed", seed, 0, 2**32 - 1)
        check_choice(function, "feature_dtype", feature_dtype, ("float32", "float16"))
        self.patience = None if patience is None else check_int(function, "patience", patience, 0)
        if augmentation is not None and not isinstance(augmentation, keras.Layer):
            way_out = "Put a function into `keras.layers.Lambda`."
            raise input_error(function, "augmentation", "a Keras layer or None", augmentation, way_out, TypeError)
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

    def _check_data(self, argument: str, data: Any) -> Arrays:
        """Return images and labels, or raise where they are not what the model takes."""
        model = self.model
        x, y = check_pair(self.function, argument, data, num_classes=max(model.output_shape[-1], 2))
        x = check_images(self.function, argument, x, shape=model.input_shape[1:])
        if x.shape[-1] not in (1, 3):
            way_out = "Leave out the transparency with `images[..., :3]`." if x.shape[-1] == 4 else ""
            raise input_error(self.function, argument, "images with 1 or 3 channels", x, way_out)
        if x.dtype.kind == "f" and hasattr(model, "weights_source") and 0 < (high := float(x.max())) <= 1:
            way_out = "The model scales them itself: pass uint8, or multiply by 255."
            raise input_error(self.function, argument, "images from 0 to 255", f"floats up to {high:g}", way_out)
        return x, y

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

    def _fit_on_images(self, stage: Stage, **options: Any) -> tuple[dict[str, list[float]], None]:
        model = self.model
        if self.augmentation is not None:
            inputs = keras.Input(self.train.x.shape[1:])
            model = keras.Model(inputs, self.model(self.augmentation(inputs)))
            compile_for(model, stage.learning_rate)
        return self._fit(model, self.train, self.validation, stage, **options), None

    def _fit_on_features(self, stage: Stage, **options: Any) -> tuple[dict[str, list[float]], int]:
        train, held_out, outer = self.train, self.validation, None
        features, extracted = None, 0
        if self.augmentation is None:
            features, extracted = self._features(train.x)
            inner = Batches(features, train.y, train.batch_size, self.seed, train.indices)
        else:
            many, extracted = extract_views(
                self.parts.extractor, self.augmentation, train.x, self.views, self.seed, self.feature_dtype,
                self.verbose,
            )  # fmt: skip
            inner = ViewBatches(many, train.y, train.batch_size, self.seed, train.indices)
        if held_out is not None:
            if features is None or held_out.x is not train.x:  # else they are some of the same array
                features, count = self._features(held_out.x)
                extracted += count
            outer = Batches(features, held_out.y, held_out.batch_size, None, held_out.indices)
        head = self.parts.copy_head()
        compile_for(head, stage.learning_rate, _steps_in_a_call(head))
        history = self._fit(head, inner, outer, stage, **options)
        self.parts.take_head(head)
        return history, extracted

    def _fit(
        self, model: keras.Model, train: Batches, validation: Batches | None, stage: Stage, **options: Any
    ) -> dict[str, list[float]]:
        patience = None
        if validation is not None:  # early stopping also goes back to the best weights where nothing is stopped
            patience = stage.epochs if self.patience is None else self.patience
        options |= {"epochs": stage.epochs, "patience": patience, "verbose": self.verbose}
        return fit_batches(self.function, model, train, validation, **options).history

    def _features(self, images: np.ndarray) -> tuple[np.ndarray, int]:
        model, dtype = self.parts.extractor, self.feature_dtype
        return computed_features(model, images, dtype=dtype, cache=True, verbose=self.verbose)

    def test_accuracy(self, on_features: bool) -> float | None:
        """Return the accuracy on the test images; None without any."""
        if self.test_data is None:
            return None
        images, labels = self.test_data
        model = self.parts.copy_head() if on_features else self.model
        answers, _ = computed_features(model, self._features(images)[0] if on_features else images, verbose=0)
        found = answers[:, 0] > 0.5 if answers.shape[1] == 1 else answers.argmax(axis=1)
        return float(np.mean(found == labels))


def compile_for(model: keras.Model, learning_rate: float, steps_per_execution: int = 1) -> None:
    """Compile with Adam and the loss that the end of the model asks for."""
    is_binary = model.output_shape[-1] == 1
    loss = "binary_crossentropy" if is_binary else "sparse_categorical_crossentropy"
    options = {"metrics": ["accuracy"], "steps_per_execution": steps_per_execution}
    model.compile(keras.optimizers.Adam(learning_rate), loss, **options)


def _steps_in_a_call(head: keras.Model) -> int:
    """Return how many steps of the head are done in one call; the weights are the same bits for any number.

    To call so short a step from Python takes longer than the step. TensorFlow loops over several, though not where
    several devices share a batch; JAX would compile each of them, and PyTorch knows of no such thing.
    """
    is_loop = keras.config.backend() == "tensorflow" and head.distribute_strategy.num_replicas_in_sync == 1
    return _STEPS_IN_A_CALL if is_loop else 1
