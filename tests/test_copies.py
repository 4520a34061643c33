"""Copies and pickles equal their original: transfer models, indices, maps, bags of words, augmentations."""

import copy
import pickle

import joblib
import keras
import numpy as np
import pytest
from keras import layers, ops

from kerascv_course import augmentation, latent
from kerascv_course.classic import BagOfVisualWords
from kerascv_course.models import LocalResponseNormalization
from kerascv_course.transfer import Stage, TransferModel

rng = np.random.default_rng(0)
PHOTOGRAPHS = rng.integers(0, 256, (12, 16, 16, 3), dtype="uint8")
LABELS = np.arange(12) % 3
FEATURES = rng.normal(size=(40, 6)).astype("float32")


@pytest.fixture(autouse=True)
def eagerly(eager):
    """Train without tracing."""


def backbone():
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, name="conv1")(inputs)
    x = layers.BatchNormalization(name="norm1")(x)
    return keras.Model(inputs, layers.Conv2D(4, 3, name="conv2")(x), name="tiny")


def new(dropout=0.0):
    keras.utils.set_random_seed(0)
    return TransferModel(backbone(), 3, preprocess_input=lambda x: x / 127.5 - 1, dropout=dropout)


def frozen(model):
    model.backbone.trainable = False
    return model


def partly_frozen(model):
    model.backbone.trainable = True
    model.backbone.get_layer("conv1").trainable = False
    model.backbone.get_layer("norm1").trainable = False
    return model


def trained(model):
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(PHOTOGRAPHS, LABELS, batch_size=4, verbose=0)
    return model


def distance(true, answers):
    return ops.mean((ops.one_hot(true, 3) - answers) ** 2)


def trained_with_own_loss(model):
    model.compile("sgd", distance)
    model.fit(PHOTOGRAPHS, LABELS, verbose=0)
    return model


def trained_in_stages(model):
    stages = [Stage("head", epochs=1), Stage("top", "conv2", epochs=1)]
    model.fit_stages(stages, (PHOTOGRAPHS, LABELS), validation_split=0.0, verbose=0)
    return model


def by_pickle(value, folder):
    return pickle.loads(pickle.dumps(value))


def by_joblib(value, folder):
    joblib.dump(value, folder / "copy.joblib")
    return joblib.load(folder / "copy.joblib")


def by_deepcopy(value, folder):
    return copy.deepcopy(value)


def by_file(model, folder):
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras", custom_objects={"distance": distance})


def by_keras(model, folder):
    keras.saving.save_model(model, folder / "model.keras")
    return keras.models.load_model(folder / "model.keras", custom_objects={"distance": distance})


def numbers(variables):
    return [ops.convert_to_numpy(variable) for variable in variables]


def assert_equal(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(numbers(found), numbers(expected), strict=True):
        np.testing.assert_array_equal(one, other)


SLOW = pytest.mark.slow
STATES = {
    "new": new,
    "frozen": lambda: frozen(new()),
    "trained, partly frozen": lambda: trained(partly_frozen(new())),
    "own loss": lambda: trained_with_own_loss(new()),
    "stages": lambda: trained_in_stages(new()),
}


@pytest.mark.parametrize(
    "make",
    [by_pickle, by_deepcopy, by_file, pytest.param(by_joblib, marks=SLOW), pytest.param(by_keras, marks=SLOW)],
)
@pytest.mark.parametrize(
    "state",
    [
        "new",
        "trained, partly frozen",
        *(pytest.param(name, marks=SLOW) for name in ("frozen", "own loss", "stages")),
    ],
)
def test_a_copy_of_a_transfer_model_answers_is_frozen_and_trains_on_as_the_original(state, make, tmp_path):
    model = STATES[state]()
    made = make(model, tmp_path)
    assert not set(map(id, made.weights)) & set(map(id, model.weights))
    assert_equal(made.weights, model.weights)
    assert_equal(made.trainable_weights, model.trainable_weights)
    assert_equal([made(PHOTOGRAPHS)], [model(PHOTOGRAPHS)])
    assert made.compiled == model.compiled
    if model.compiled:
        assert_equal(made.optimizer.variables, model.optimizer.variables)
        for one in (made, model):
            keras.utils.set_random_seed(1)
            one.fit(PHOTOGRAPHS, LABELS, batch_size=4, shuffle=False, verbose=0)
        assert_equal(made.trainable_weights, model.trainable_weights)


def test_a_copy_in_memory_is_a_transfer_model_with_backbone_and_source():
    model = new()
    made = copy.deepcopy(model)
    assert type(made) is TransferModel
    assert (made.backbone.name, made.weights_source) == ("tiny", model.weights_source)
    results = made.fit_stages([Stage("head", epochs=1)], (PHOTOGRAPHS, LABELS), validation_split=0.0, verbose=0)
    assert results.rows[0].stage == "head"


@pytest.mark.parametrize("make", [pytest.param(by_pickle, marks=SLOW), by_deepcopy])
def test_a_copy_in_memory_draws_the_numbers_of_dropout_that_the_original_draws_next(make, tmp_path):
    model = trained(new(dropout=0.5))
    made = make(model, tmp_path)
    for one in (made, model):
        one.fit(PHOTOGRAPHS, LABELS, batch_size=4, shuffle=False, verbose=0)
    assert_equal(made.weights, model.weights)


def test_a_transfer_model_inside_another_model_is_saved_with_it(tmp_path):
    whole = keras.Sequential([keras.Input((16, 16, 3)), new()])
    assert_equal([by_file(whole, tmp_path)(PHOTOGRAPHS)], [whole(PHOTOGRAPHS)])


@pytest.mark.parametrize(
    "name", ["model.h5", "model.hdf5", "model", "model.tf", "model.weights.h5", "model.KERAS"]
)
def test_other_files_than_keras_are_refused_before_anything_is_written(name, tmp_path):
    with pytest.raises(
        ValueError, match=r"`filepath` of `TransferModel.save` must be .* ends in '.keras'.*weights"
    ):
        new().save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def mixed(mix):
    return mix(PHOTOGRAPHS, np.eye(3)[LABELS])


def answers(index):
    found = index.query(FEATURES[:3] + 0.1, 4)
    return [found.indices, found.distances]


def bag():
    patches = rng.random((6, 16, 16, 1))
    return BagOfVisualWords(vocabulary=4, pca=3, encoding="fisher").fit(patches)


OTHERS = {
    "ImageIndex": (lambda: latent.ImageIndex(FEATURES, labels=["cat", "dog"] * 20, metric="cosine"), answers),
    "map by PCA": (lambda: latent.project(FEATURES, method="pca"), lambda found: [found.place(FEATURES[:3])]),
    "map by openTSNE": (
        lambda: latent.project(FEATURES, perplexity=5, pca_components=3, engine="opentsne"),
        lambda found: [found.points, found.place(FEATURES[:3])],
    ),
    "map by scikit-learn": (
        lambda: latent.project(FEATURES, perplexity=5, engine="sklearn"),
        lambda found: [found.points, found.place(FEATURES[:3])],
    ),
    "BagOfVisualWords": (bag, lambda words: [words.transform(np.ones((2, 16, 16, 1)) / 2)]),
    "mixup": (lambda: augmentation.mixup(seed=1), mixed),
    "cutmix": (lambda: augmentation.cutmix(seed=1), mixed),
    "augment_by_class": (
        lambda: augmentation.augment_by_class({1: augmentation.RandomAffine(rotation=0.1, seed=3)}),
        lambda change: change(PHOTOGRAPHS, LABELS)[:1],
    ),
    "RandomAffine": (lambda: augmentation.RandomAffine(zoom=0.2, seed=3), lambda layer: [layer(PHOTOGRAPHS)]),
    "noise": (lambda: augmentation.pipeline(noise=0.1, seed=3), lambda layer: [layer(PHOTOGRAPHS, training=True)]),
    "pipeline": (
        lambda: augmentation.pipeline("lorente", seed=3),
        lambda layer: [layer(PHOTOGRAPHS, training=True)],
    ),
    "AffineBatches": (
        lambda: augmentation.AffineBatches(PHOTOGRAPHS, LABELS, augmentation.RandomAffine(rotation=0.1)),
        lambda batches: batches[0],
    ),
    "LocalResponseNormalization": (
        lambda: LocalResponseNormalization(3, mode="within"),
        lambda layer: [layer(PHOTOGRAPHS)],
    ),
}


@pytest.mark.parametrize("make", [by_pickle, by_deepcopy, pytest.param(by_joblib, marks=SLOW)])
@pytest.mark.parametrize("name", OTHERS)
def test_a_copy_gives_what_the_original_gives(name, make, tmp_path):
    build, read = OTHERS[name]
    original = build()
    made = make(original, tmp_path)
    assert_equal(read(made), read(original))
