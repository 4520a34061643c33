"""The fast recipe: its crops, its computed layer, and that it is repeatable and can be interrupted."""

import os

import keras
import numpy as np
import pytest

from kerascv_course.datasets import ImageDataset, load, load_cifar10
from kerascv_course.models import build_fastnet
from kerascv_course.training import train_fast
from kerascv_course.training.recipe import Crops, whiten

REAL_DATA = os.environ.get("KERASCV_COURSE_DATA")
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 20, 22, 3)).astype("uint8")
LABELS = np.arange(60) % 3
QUICK = {"batch_size": 16, "verbose": 0}


@pytest.mark.smoke
def test_parameters_are_those_counted_by_hand():
    def convolution(inputs, filters):
        return 9 * inputs * filters + 4 * filters  # no bias; four numbers for each map in the normalisation

    small = (48 + 1) * 32 + convolution(32, 48) + convolution(48, 96) + convolution(96, 192) + 193 * 10
    assert build_fastnet().count_params() == small == 226_026
    large = (12 + 1) * 24 + convolution(24, 64) + convolution(64, 64) + convolution(64, 256) + 257 * 10
    large += 3 * convolution(256, 256)
    assert build_fastnet("large").count_params() == large == 1_975_106
    assert build_fastnet(num_classes=4, input_shape=(40, 24, 3)).output_shape == (None, 4)


@pytest.mark.smoke
def test_each_crop_is_a_part_of_its_image_and_two_epochs_show_both_sides():
    numbers = np.arange(60)  # the label says which image it was
    batches = Crops(IMAGES, numbers, 8, 5, (16, 18))
    assert len(batches) == 7  # four images are left over
    sides = {}
    for epoch in (0, 1, 2):
        batches.start_epoch(epoch)
        places = set()
        for index in range(len(batches)):
            crops, chosen = batches[index]
            assert crops.shape == (8, 16, 18, 3)
            assert crops.dtype == np.uint8
            for crop, number in zip(crops, chosen, strict=True):
                found = [
                    (mirrored, top, left)
                    for mirrored, view in ((False, crop), (True, crop[:, ::-1]))
                    for top in range(5)
                    for left in range(5)
                    if np.array_equal(view, IMAGES[number, top : top + 16, left : left + 18])
                ]
                assert len(found) == 1
                sides[epoch, number] = found[0][0]
                places.add(found[0][1:])
        assert len(places) > 15  # of 25
    twice = [number for number in numbers if (0, number) in sides and (1, number) in sides]
    assert all(sides[0, number] != sides[1, number] for number in twice)
    assert all(sides[0, n] == sides[2, n] for n in numbers if (0, n) in sides and (2, n) in sides)
    assert 10 < sum(sides[0, number] for number in twice) < len(twice) - 10


def test_crops_depend_on_seed_and_epoch_alone():
    first, second = (Crops(IMAGES, LABELS, 8, 5, (16, 18)) for _ in range(2))
    second.start_epoch(1)
    first.start_epoch(4)
    second.start_epoch(4)
    for one, other in zip(first[2], second[2], strict=True):
        np.testing.assert_array_equal(one, other)
    places = np.stack([first.tops, first.lefts])
    first.start_epoch(5)
    assert (places != [first.tops, first.lefts]).mean() > 0.5
    other_seed = Crops(IMAGES, LABELS, 8, 6, (16, 18))
    other_seed.start_epoch(4)
    assert not np.array_equal(second[2][0], other_seed[2][0])


@pytest.mark.parametrize("size", ["small", "large"])
def test_the_computed_layer_makes_patches_uncorrelated_with_a_variance_of_one(size):
    # Neighbouring pixels of photographs are alike: sums of random numbers along both axes imitate that.
    smooth = np.cumsum(np.cumsum(RNG.normal(size=(40, 32, 32, 3)), axis=1), axis=2)
    images = np.clip(120 + 8 * smooth + 6 * RNG.normal(size=smooth.shape), 0, 255).astype("uint8")
    network = build_fastnet(size, input_shape=(32, 32, 3))
    whiten(network, images)
    stem = network.get_layer("stem")
    before_gelu = keras.layers.Conv2D(stem.filters, stem.kernel_size, strides=2)  # whole patches only
    before_gelu.build((None, 32, 32, 3))
    before_gelu.set_weights(stem.get_weights())
    maps = keras.ops.convert_to_numpy(before_gelu(network.get_layer("scale")(images.astype("float32"))))
    half = stem.filters // 2
    np.testing.assert_allclose(maps[..., :half], -maps[..., half:], atol=1e-4)
    covariance = np.cov(maps[..., :half].reshape(-1, half), rowvar=False)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=0.01)
    assert 0.5 < np.diag(covariance).min() <= np.diag(covariance).max() < 1.001
    assert not stem.trainable


def test_the_model_answers_to_the_middle_of_whole_images_and_keeps_its_computed_layer():
    model, history = train_fast((IMAGES, LABELS), epochs=2, **QUICK)
    assert len(history.history["loss"]) == 2
    network = model.get_layer("fastnet_small")
    answers = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(answers, network.predict(IMAGES[:, 2:-2, 2:-2], verbose=0), atol=1e-5)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    expected = build_fastnet(input_shape=(16, 18, 3), num_classes=3)
    whiten(expected, IMAGES)
    np.testing.assert_array_equal(
        network.get_layer("stem").get_weights()[0], expected.get_layer("stem").get_weights()[0]
    )


def test_the_rate_goes_through_one_cycle():
    rates = []
    model, _ = train_fast(
        (IMAGES, LABELS),
        epochs=4,
        learning_rate=0.02,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda epoch, logs: rates.append(float(watch.model.optimizer.learning_rate))
            ),
            watch := keras.callbacks.Callback(),
        ],
        **QUICK,
    )
    steps = [0, 3, 6, 9]  # three batches of 16 in 60 images
    np.testing.assert_allclose(rates, np.interp(steps, [0, 3, 12], [0.004, 0.02, 0]), rtol=1e-5)
    assert model.predict(IMAGES[:1], verbose=0).shape == (1, 3)


def test_an_interrupted_run_ends_like_an_uninterrupted_one_and_a_seed_repeats_it(tmp_path):
    def interrupt(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    interruption = keras.callbacks.LambdaCallback(on_epoch_begin=interrupt)
    options = {"epochs": 3, "seed": 4, **QUICK}
    whole, _ = train_fast((IMAGES, LABELS), **options)
    with pytest.raises(KeyboardInterrupt):
        train_fast((IMAGES, LABELS), folder=tmp_path / "run", callbacks=[interruption], **options)
    resumed, history = train_fast((IMAGES, LABELS), folder=tmp_path / "run", **options)
    assert len(history.history["loss"]) == 3
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="`folder` of `train_fast` must be a folder whose run has the same"):
        train_fast((IMAGES, LABELS), folder=tmp_path / "run", **{**options, "learning_rate": 0.1})


def test_it_tells_photographs_apart_that_it_has_not_seen():
    patches = load("patches").subset(per_class=64)
    model, _ = train_fast(patches, epochs=4, batch_size=64, verbose=0)
    right = model.predict(patches.x_test, verbose=0).argmax(axis=1) == patches.y_test
    assert right.mean() > 0.5  # of ten classes


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.skipif(not REAL_DATA, reason="KERASCV_COURSE_DATA is not set: no real CIFAR-10 to read")
def test_one_epoch_of_real_cifar10_is_better_than_ten_of_lenet():
    cifar10 = load_cifar10()
    model, _ = train_fast(cifar10, epochs=1, verbose=0)
    right = model.predict(cifar10.x_test, batch_size=500, verbose=0).argmax(axis=1) == cifar10.y_test
    assert right.mean() > 0.58


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": "huge"}, "`size` of `train_fast` must be 'small' or 'large'. Received: size='huge'."),
        ({"epochs": 0}, "`epochs` of `train_fast` must be an integer of at least 1. Received: epochs=0."),
        ({"batch_size": 0}, "`batch_size` of `train_fast` must be an integer of at least 1. Received: "),
        ({"learning_rate": 0}, "`learning_rate` of `train_fast` must be a number above 0. Received: learning_r"),
        ({"seed": -1}, "`seed` of `train_fast` must be an integer from 0 to 4294967295. Received: seed=-1."),
        ({"data": IMAGES}, "`data` of `train_fast` must be a pair of arrays (images, labels) or an ImageData"),
        ({"data": (IMAGES[:0], LABELS[:0])}, "`data` of `train_fast` must be as many images as labels, and"),
        ({"data": (IMAGES[:, :12], LABELS)}, "`data` of `train_fast` must be colour images (n, height, width, 3)"),
        ({"data": (IMAGES[..., :1], LABELS)}, "`data` of `train_fast` must be colour images (n, height, width, "),
        ({"data": (IMAGES, LABELS - 1)}, "`data` of `train_fast` must be labels (n,) that are integers from 0"),
        ({"data": (IMAGES, LABELS / 2)}, "`data` of `train_fast` must be labels (n,) that are integers from 0"),
    ],
)
def test_bad_arguments_are_refused_by_name(change, message):
    with pytest.raises((ValueError, TypeError)) as error:
        train_fast(**{"data": (IMAGES, LABELS), **change})
    assert message in str(error.value)


def test_a_data_set_says_how_many_classes_there_are():
    data = ImageDataset(IMAGES, LABELS, IMAGES, LABELS, class_names=tuple("abcde"), name="tiny", source="made up")
    model, _ = train_fast(data, epochs=1, **QUICK)
    assert model.output_shape == (None, 5)
