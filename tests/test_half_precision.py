"""Half precision: heads in float32, and all that takes a model's answers works, on every backend."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerascv_course import augmentation, evaluation, explain, latent, models, runtime
from kerascv_course.transfer import TransferModel

rng = np.random.default_rng(0)
PHOTOGRAPHS = rng.integers(0, 256, (30, 16, 16, 3), dtype="uint8")
LABELS = np.arange(30) % 3


@pytest.fixture(params=["mixed_float16", "bfloat16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)])
def policy(request, eager):
    """Make models in a policy of half precision."""
    keras.config.set_dtype_policy(request.param)
    try:
        yield request.param
    finally:
        keras.config.set_dtype_policy("float32")


def classifier(units=3, activation="softmax"):
    """Return a network whose last layer is in the policy's own dtype, as a student writes it."""
    keras.utils.set_random_seed(0)
    first = [keras.Input((16, 16, 3)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3), layers.ReLU()]
    return keras.Sequential([*first, layers.GlobalAveragePooling2D(), layers.Dense(units, activation=activation)])


def raw(model):
    """Return the answers as they come, tensors in half precision."""
    return model(ops.convert_to_tensor(PHOTOGRAPHS), training=False)


def backbone():
    return keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(4, 3)], name="tiny")


BUILDERS = {
    "lenet5": lambda: models.build_lenet5((16, 16, 3)),
    "lenet5, manco": lambda: models.build_lenet5((16, 16, 3), variant="manco"),
    "tinynet": lambda: models.build_tinynet(input_shape=(16, 16, 3)),
    "TransferModel": lambda: TransferModel(backbone(), 3),
    "TransferModel, two classes": lambda: TransferModel(backbone(), 1, pooling=None),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_a_head_is_in_float32_and_what_is_before_it_in_the_policy(name, policy):
    model = BUILDERS[name]()
    assert keras.backend.standardize_dtype(model.outputs[0].dtype) == "float32"
    with_weights = [layer for layer in model.layers if layer.weights]
    assert with_weights[0].compute_dtype == policy.removeprefix("mixed_")


def test_all_three_heads_of_googlenet_are_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = models.build_googlenet(auxiliary_heads=True, input_shape=(80, 80, 3), num_classes=3)
    finally:
        keras.config.set_dtype_policy("float32")
    assert {keras.backend.standardize_dtype(output.dtype) for output in model.outputs} == {"float32"}


@pytest.mark.parametrize("units", [1, 3])
def test_an_evaluation_takes_answers_in_half_precision(policy, units):
    model = classifier(units, "softmax" if units > 1 else "sigmoid")
    labels = LABELS if units > 1 else LABELS > 0
    exact = ops.convert_to_numpy(ops.cast(raw(model), "float32")).astype("float64")
    for answers in (raw(model), model.predict(PHOTOGRAPHS, verbose=0)):
        counts = evaluation.confusion_matrix(labels, answers)
        np.testing.assert_array_equal(counts, evaluation.confusion_matrix(labels, exact))
        assert evaluation.classification_report(labels, answers).accuracy == np.trace(counts) / 30
        found, expected = (evaluation.calibration(labels, values).confidence for values in (answers, exact))
        assert found == pytest.approx(expected, abs=1e-6)
        assert evaluation.roc_curves(labels, answers)[0].auc == evaluation.roc_curves(labels, exact)[0].auc


def test_features_in_half_precision_are_found_again_in_an_index_and_drawn(policy):
    extractor = latent.feature_extractor(classifier())
    features = latent.extract_features(extractor, PHOTOGRAPHS, verbose=0)
    np.testing.assert_allclose(features, ops.convert_to_numpy(ops.cast(raw(extractor), "float32")), rtol=2e-2)
    index = latent.ImageIndex(raw(extractor), labels=LABELS, metric="l2")
    assert index.query(raw(extractor), 1).indices[:, 0].tolist() == list(range(30))
    assert latent.project(raw(extractor), method="pca").points.shape == (30, 2)


def test_views_changes_and_explanations_of_a_network_in_half_precision(policy):
    model, transfer = classifier(), TransferModel(backbone(), 1)
    answer = augmentation.test_time_augmentation(model, PHOTOGRAPHS)
    np.testing.assert_allclose(answer.probabilities.sum(axis=1), 1, atol=1e-2)
    assert augmentation.test_time_augmentation(transfer, PHOTOGRAPHS).probabilities.shape == (30, 1)
    assert augmentation.label_preserved(model, PHOTOGRAPHS, {"same": lambda x: x}, repeats=1)[0].preserved == 1
    assert np.isfinite(explain.grad_cam(model, PHOTOGRAPHS[:4]).heatmaps).all()


@pytest.mark.parametrize("mix", [augmentation.mixup, augmentation.cutmix])
def test_mixed_images_and_labels_are_in_float32(policy, mix):
    halves = ops.cast(PHOTOGRAPHS / 255, "bfloat16"), ops.cast(np.eye(3)[LABELS], "float16")
    for images, labels in (halves, (PHOTOGRAPHS, np.eye(3)[LABELS])):
        found = mix(seed=0)(images, labels)
        assert {keras.backend.standardize_dtype(part.dtype) for part in found} == {"float32"}
        np.testing.assert_allclose(ops.convert_to_numpy(ops.sum(found[1], axis=1)), 1, atol=1e-2)


@pytest.mark.parametrize("mode", ["across", "within"])
def test_large_maps_are_normalised_in_float16_as_in_float32(mode):
    maps = (400 * rng.normal(size=(2, 6, 6, 8))).astype("float32")  # the squares are beyond float16
    half, full = (
        models.LocalResponseNormalization(mode=mode, dtype=dtype)(maps) for dtype in ("float16", "float32")
    )
    assert keras.backend.standardize_dtype(half.dtype) == "float16"
    found, expected = (ops.convert_to_numpy(ops.cast(values, "float32")) for values in (half, full))
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_a_runtime_of_mixed_precision_trains_a_network_of_the_package():
    try:
        runtime.setup(mixed_precision=True)
        model = models.build_tinynet(input_shape=(16, 16, 3), num_classes=3)
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=keras.config.backend() == "tensorflow")
    assert np.isfinite(model.fit(PHOTOGRAPHS / 255, LABELS, verbose=0).history["loss"][0])


OF_EACH_KIND = (
    "(mixed_float16 and (evaluation or index or views or mixed_images))"
    " or (trained and by_pickle) or (mixup and by_deepcopy)"
)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_part_of_it_and_the_copies_of_models_work_on_the_other_backends(backend):
    pytest.importorskip(backend)
    here = Path(__file__).parent
    files = [str(here / name) for name in ("test_half_precision.py", "test_copies.py")]
    options = ["-n", "0", "-q", "-m", "not slow", "-k", OF_EACH_KIND]
    command = [sys.executable, "-m", "pytest", *options, *files]
    settings = os.environ | {"KERAS_BACKEND": backend}
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
