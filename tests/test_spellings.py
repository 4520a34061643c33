"""The same labels and images, however they are spelled, give the same result in every public function."""

import dataclasses

import keras
import matplotlib.pyplot as plt
import ml_dtypes
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers, ops

from kerascv_course import augmentation, datasets, evaluation, explain, latent, plotting

COUNT, NAMES = 12, ["cat", "dog", "owl"]
LABELS = np.arange(COUNT) % 3
rng = np.random.default_rng(0)
PROBABILITIES = rng.dirichlet(np.ones(3), COUNT)
FEATURES = rng.normal(size=(COUNT, 4)).astype("float32")
IMAGES = rng.integers(2, 256, (COUNT, 8, 8, 3), dtype="uint8")
MOVE = augmentation.RandomAffine(translation=0.2)
MATRICES = MOVE.matrices(COUNT, (8, 8))


@pytest.fixture(scope="module", autouse=True)
def model(in_advance):
    keras.utils.set_random_seed(0)
    with in_advance():
        first = [keras.Input((8, 8, 3)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3, activation="relu")]
        yield keras.Sequential([*first, layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")])


def dim(batch):
    return batch * 0.5


def data_set(images=IMAGES, labels=LABELS):
    return datasets.ImageDataset(images, labels, images, labels, tuple(NAMES), "pets", "a test")


def colours_of(figure):
    plt.close(figure)
    return [face for axis in figure.axes for part in axis.collections for face in part.get_facecolor().tolist()]


OF_LABELS = {
    "confusion_matrix": lambda model, labels: evaluation.confusion_matrix(labels, PROBABILITIES),
    "classification_report": lambda model, labels: evaluation.classification_report(labels, PROBABILITIES).rows,
    "confident_mistakes": lambda model, labels: evaluation.confident_mistakes(labels, PROBABILITIES).indices,
    "roc_curves": lambda model, labels: [one.auc for one in evaluation.roc_curves(labels, PROBABILITIES)],
    "calibration": lambda model, labels: evaluation.calibration(labels, PROBABILITIES).rows,
    "balanced_indices": lambda model, labels: augmentation.balanced_indices(labels),
    "label_preserved": lambda model, labels: augmentation.label_preserved(
        model, IMAGES, {"dim": dim}, labels=labels, repeats=1
    ),
    "augment_by_class": lambda model, labels: augmentation.augment_by_class({1: dim})(IMAGES, labels)[0],
    "ImageIndex": lambda model, labels: latent.ImageIndex(FEATURES, labels=labels).classify(FEATURES, 3),
    "precision_at_k": lambda model, labels: latent.ImageIndex(FEATURES, labels=LABELS).precision_at_k(
        FEATURES, labels, 2
    ),
    "ImageDataset": lambda model, labels: data_set(labels=labels).y_train,
    "split_validation": lambda model, labels: datasets.split_validation(IMAGES, labels, 0.25)[1][0],
    "grad_cam": lambda model, labels: explain.grad_cam(model, IMAGES, class_index=labels).heatmaps,
    "plot_latent_map": lambda model, labels: colours_of(plotting.plot_latent_map(FEATURES[:, :2], labels, NAMES)),
}
ONE_HOT = np.eye(3)[LABELS]
SPELLINGS = {
    "list": LABELS.tolist(),
    "tuple of NumPy integers": tuple(LABELS),
    "column": LABELS[:, None],
    "nested list": LABELS[:, None].tolist(),
    "uint8": LABELS.astype("uint8"),
    "bfloat16": LABELS.astype(ml_dtypes.bfloat16),
    "objects": LABELS.astype(object),
    "tensor": ops.convert_to_tensor(LABELS),
    "tensor of TensorFlow": tf.cast(LABELS, "bfloat16"),
    "one-hot": ONE_HOT,
    "one-hot bools": ONE_HOT.astype(bool).tolist(),
    "series": pd.Series(LABELS, index=range(50, 50 + COUNT)),
    "nullable series": pd.Series(LABELS, dtype="Int64"),
    "index": pd.Index(LABELS),
    "categories": pd.Categorical(LABELS),
    "frame": pd.DataFrame({"class": LABELS}),
    "dummies": pd.get_dummies(pd.Series(LABELS)),
}
OF_IMAGES = {
    "extract_features": lambda model, images: latent.extract_features(model, images, verbose=0),
    "test_time_augmentation": lambda model, images: (
        augmentation.test_time_augmentation(model, images).probabilities
    ),
    "label_preserved": lambda model, images: augmentation.label_preserved(model, images, {"dim": dim}),
    "grad_cam": lambda model, images: explain.grad_cam(model, images).heatmaps,
    "AffineBatches": lambda model, images: augmentation.AffineBatches(images, LABELS, MOVE)[0][0],
    "warp": lambda model, images: augmentation.warp(images, MATRICES),
    "mixup": lambda model, images: augmentation.mixup(seed=1)(images, ONE_HOT)[0],
    "cutmix": lambda model, images: augmentation.cutmix(seed=1)(images, ONE_HOT)[0],
    "augment_by_class": lambda model, images: augmentation.augment_by_class({1: dim})(images, LABELS)[0],
    "ImageIndex": lambda model, images: latent.ImageIndex(FEATURES, images).images,
    "split_validation": lambda model, images: datasets.split_validation(images, LABELS, 0.25)[1][0],
    "ImageDataset": lambda model, images: data_set(images).x_train,
    "duplicates_across": lambda model, images: datasets.duplicates_across(images, IMAGES[:2]),
}
PICTURES = {
    "list of arrays": list(IMAGES),
    "tuple of tensors": tuple(map(tf.constant, IMAGES)),
    "tensor": ops.convert_to_tensor(IMAGES),
    "Fortran's order": np.asfortranarray(IMAGES),
    "mirrored twice": IMAGES[:, :, ::-1].copy()[:, :, ::-1],
    "objects": np.array([*IMAGES, None], dtype=object)[:-1],
}


def plain(result):
    """Return a result as arrays, numbers and strings in lists."""
    if dataclasses.is_dataclass(result):
        return plain(list(vars(result).values()))
    if isinstance(result, list | tuple):
        return [plain(part) for part in result]
    return result if isinstance(result, str | float | int | None) else ops.convert_to_numpy(result)


def assert_same(found, expected):
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for part, other in zip(found, expected, strict=True):
            assert_same(part, other)
    elif isinstance(expected, str | None):
        assert found == expected
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


KNOWN = {}  # what a function makes of the plain spelling


def assert_as_plain(functions, model, spelled, value):
    for name, function in functions.items():
        try:
            if function not in KNOWN:
                KNOWN[function] = plain(function(model, value))
            assert_same(plain(function(model, spelled)), KNOWN[function])
        except Exception as error:
            error.add_note(f"of {name}")
            raise


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_labels_mean_the_same_however_they_are_spelled(model, spelling):
    assert_as_plain(OF_LABELS, model, SPELLINGS[spelling], LABELS)


@pytest.mark.parametrize("spelling", PICTURES)
def test_images_mean_the_same_however_they_are_spelled(model, spelling):
    assert_as_plain(OF_IMAGES, model, PICTURES[spelling], IMAGES)


@pytest.mark.parametrize("kind", [list, lambda names: names.astype("S"), pd.Series, pd.Categorical, tf.constant])
def test_where_the_names_of_classes_are_given_they_are_labels(model, kind):
    functions = {name: OF_LABELS[name] for name in ("ImageDataset", "plot_latent_map")}
    functions["confident_mistakes"] = lambda model, labels: (
        evaluation.confident_mistakes(labels, PROBABILITIES, NAMES).titles
    )
    assert_as_plain(functions, model, kind(np.array(NAMES)[LABELS]), LABELS)


WRONG = {
    "from 1": (LABELS + 1, "- 1`"),
    "negative": (LABELS - 1, "from 0 to 2"),
    "halves": (LABELS / 2, "integers from 0"),
    "NaN": (np.where(LABELS == 2, np.nan, LABELS), "integers from 0"),
    "one missing": ([None, *LABELS[1:]], "neither a number nor a string"),
    "digits": (LABELS.astype(str), ".astype(int)` reads the numbers"),
    "too few": (LABELS[:-1], "one label for each of the 12 images"),
    "lists of several lengths": ([[0], [0, 1]] * 6, "must have the same shape"),
}
KNOWS_CLASSES = [
    name
    for name in OF_LABELS
    if name not in ("balanced_indices", "augment_by_class", "ImageIndex", "precision_at_k", "split_validation")
]


@pytest.mark.parametrize("labels", WRONG)
def test_labels_without_a_plain_meaning_are_refused_with_the_way_out(model, labels):
    wrong, words = WRONG[labels]
    for function in KNOWS_CLASSES:
        with pytest.raises((ValueError, TypeError), match=rf"^`\w+` of `{function}` must be") as caught:
            OF_LABELS[function](model, wrong)
        assert words in str(caught.value), function


@pytest.mark.parametrize("labels", [np.array(NAMES)[LABELS], LABELS + 7])
def test_labels_of_queries_that_no_image_of_the_index_has_are_refused(labels):
    with pytest.raises(ValueError, match="must be classes of the index, such as 0"):
        latent.ImageIndex(FEATURES, labels=LABELS).precision_at_k(FEATURES, labels, 2)


def test_a_target_of_a_regression_is_split_at_random_and_not_by_value():
    ages = np.arange(20, 80)
    _, (x, y) = datasets.split_validation(ages[:, None], ages, 0.2)
    assert (len(y), x[:, 0].tolist()) == (12, y.tolist())
