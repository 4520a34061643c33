"""A real InceptionV3, fine-tuned by others: stages, cached head, cut, Grad-CAM, memory, and what its blocks know.

`KERASCV_COURSE_TEST_INCEPTION` names a file with its weights, without top, for images from 0 to 1.
"""

import os

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerascv_course import Stage, TransferModel, grad_cam
from kerascv_course.datasets import find_cifar10, load_cifar10
from kerascv_course.transfer import fit_stages, truncate

WEIGHTS = os.environ.get("KERASCV_COURSE_TEST_INCEPTION")
REAL_DATA = os.environ.get("KERASCV_COURSE_DATA")
SIDE = 139

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real_data,
    pytest.mark.skipif(not WEIGHTS, reason="KERASCV_COURSE_TEST_INCEPTION names no weights of InceptionV3"),
    pytest.mark.skipif(not REAL_DATA, reason="KERASCV_COURSE_DATA is not set: no real CIFAR-10 to read"),
]


def scale(images):
    return images / 255


@pytest.fixture(scope="module")
def network():
    return keras.applications.InceptionV3(include_top=False, weights=WEIGHTS, input_shape=(SIDE, SIDE, 3))


@pytest.fixture(scope="module")
def photographs():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERASCV_COURSE_DATA", REAL_DATA)
        if find_cifar10() is None:
            pytest.skip("KERASCV_COURSE_DATA holds no CIFAR-10")
        return load_cifar10().subset(per_class=100, test_per_class=100)


@pytest.fixture(scope="module")
def trained(network, photographs, tmp_path_factory):
    """Return a model with a trained head, and what its two trainings gave."""
    some = photographs.subset(per_class=30, test_per_class=30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERASCV_COURSE_CACHE", str(tmp_path_factory.mktemp("features")))
        results = []
        for _ in range(2):
            keras.utils.set_random_seed(0)
            model = TransferModel(network, 10, preprocess_input=scale)
            plan = [Stage("head", epochs=100)]
            results.append(fit_stages(model, plan, some, validation_split=0, seed=0, verbose=0).rows[0])
    return model, results, some


def test_the_head_is_trained_on_features_that_the_second_call_finds_in_the_cache(trained):
    _, (first, second), some = trained
    assert (first.extracted_images, second.extracted_images) == (len(some.x_train), 0)
    assert first.test_accuracy == second.test_accuracy
    assert first.test_accuracy > 0.2  # of ten classes; its last blocks belong to another task
    assert (first.trainable_params, first.frozen_params) == (2048 * 10 + 10, 21_802_784)


def test_a_cut_after_mixed5_has_the_maps_of_the_whole_network_there(network, photographs):
    cut = truncate(network, after="mixed5")
    assert cut.count_params() == 5_138_656
    images = keras.ops.image.resize(scale(photographs.x_test[:8].astype("float32")), (SIDE, SIDE))
    whole = keras.Model(network.input, network.get_layer("mixed5").output)
    expected = whole.predict(images, verbose=0)
    np.testing.assert_allclose(cut.predict(images, verbose=0), expected, rtol=1e-4, atol=1e-5)


def test_grad_cam_of_mean_and_dense_layer_are_the_maps_weighted_by_its_weights(trained):
    model, _, some = trained
    images = some.x_test[:4]
    found = grad_cam(model, images)
    assert found.layer.endswith("mixed10")
    resized = keras.ops.image.resize(scale(images.astype("float32")), (SIDE, SIDE))
    (network,) = [layer for layer in model.layers if layer.name.startswith("inception_v3")]
    maps = keras.ops.convert_to_numpy(network(resized, training=False))
    weights = keras.ops.convert_to_numpy(model.layers[-1].kernel)[:, found.classes]
    expected = np.einsum("nhwk,kn->nhw", maps, weights) / maps[0, ..., 0].size
    np.testing.assert_allclose(found.maps, np.maximum(expected, 0), rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_a_stage_trains_the_last_blocks_alone(trained):
    model, _, some = trained
    (network,) = [layer for layer in model.layers if layer.name.startswith("inception_v3")]
    before = {layer.name: layer.get_weights() for layer in network.layers}
    few = some.subset(per_class=2, test_per_class=1)
    plan = [Stage("last blocks", unfreeze_from="mixed10", epochs=1)]
    fit_stages(model, plan, few, validation_split=0, batch_size=10, verbose=0)
    changed = {
        layer.name
        for layer in network.layers
        if any(np.any(one != two) for one, two in zip(before[layer.name], layer.get_weights(), strict=True))
    }
    names = [layer.name for layer in network.layers]
    assert changed
    assert all(names.index(name) > names.index("mixed9") for name in changed)
    assert not any("batch_normalization" in name for name in changed)


def test_what_a_linear_probe_reads_rises_to_mixed5_and_falls_behind_it(network, photographs):
    """The last blocks belong to the task that the network was fine-tuned for."""
    places = ["mixed2", "mixed5", "mixed7", "mixed10"]
    images = keras.Input(photographs.input_shape)
    resized = keras.layers.Resizing(SIDE, SIDE)(keras.layers.Rescaling(1 / 255)(images))
    maps = keras.Model(network.input, [network.get_layer(place).output for place in places])(resized)
    means = keras.Model(images, [keras.layers.GlobalAveragePooling2D()(each) for each in maps])
    train, test = (means.predict(x, verbose=0) for x in (photographs.x_train, photographs.x_test))
    shares = []
    for one, other in zip(train, test, strict=True):
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        shares.append(probe.fit(one, photographs.y_train).score(other, photographs.y_test))
    second, fifth, seventh, last = shares
    assert second < fifth > seventh > last


MEMORY = """
import sys
import keras, numpy as np
from kerascv_course import Stage, TransferModel, grad_cam
from kerascv_course.transfer import fit_stages

network = keras.applications.InceptionV3(include_top=False, weights=sys.argv[1], input_shape=(139, 139, 3))
model = TransferModel(network, 10, preprocess_input=lambda images: images / 255)
rng = np.random.default_rng(0)
images, labels = rng.integers(0, 256, (64, 32, 32, 3), "uint8"), np.arange(64) % 10
plan = [Stage("head", epochs=1), Stage("last blocks", unfreeze_from="mixed9", epochs=1)]
fit_stages(model, plan, (images, labels), validation_split=0, batch_size=32, verbose=0)
grad_cam(model, images[:8])
print(peak())
"""


def test_two_stages_and_grad_cam_take_less_than_three_gigabytes(measured):
    assert float(measured(MEMORY, WEIGHTS)[-1]) < 3 * 1024
