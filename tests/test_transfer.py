"""Transfer learning: blocks against known counts, stages against loops by hand, and what interruptions leave."""

import contextlib
import dataclasses
import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.metrics import accuracy_score

from kerascv_course import training
from kerascv_course.augmentation import pipeline
from kerascv_course.datasets import ImageDataset, find_cifar10, load_cifar10
from kerascv_course.datasets.split import split_indices
from kerascv_course.datasets.weights import BackboneWeights, find_backbone_weights
from kerascv_course.explain import grad_cam
from kerascv_course.models import build_resnet
from kerascv_course.transfer import Stage, TransferModel, blocks, fit_stages, truncate
from kerascv_course.transfer import backbones as backbones_module
from kerascv_course.transfer import run as run_module
from kerascv_course.transfer.backbones import BACKBONES, preprocessing_of

REAL_DATA = os.environ.get("KERASCV_COURSE_DATA")
ON_TENSORFLOW = keras.config.backend() == "tensorflow"
Y = np.arange(24) % 3
X = (np.random.default_rng(0).integers(0, 100, (24, 16, 16, 3)) + 60 * Y[:, None, None, None]).astype("uint8")
TEST = (X[:9, ::-1], Y[:9])
STAGES = (Stage("head", epochs=2), Stage("last", "block3", epochs=2), Stage("all", learning_rate=1e-4, epochs=2))
# 0 input; 1 to 4 block1_conv1, _norm1, _relu1, _pool; 5 to 8 the same of block2; 9 to 11 block3 without pooling
CONVOLUTIONS, NORMS = ([f"block{number}_{kind}1" for number in (1, 2, 3)] for kind in ("conv", "norm"))


pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture
def traced(eager):
    """Trace networks after all, as outside of these tests."""
    if ON_TENSORFLOW:
        import tensorflow as tf

        tf.config.run_functions_eagerly(False)


def tiny_backbone(seed=0, channels=3, names="block{}", size=16, last=16):
    keras.utils.set_random_seed(seed)
    inputs = x = keras.Input((size, size, channels))
    for number, filters in ((1, 16), (2, 16), (3, last)):
        block = names.format(number)
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{block}_conv1")(x)
        x = layers.BatchNormalization(momentum=0.5, name=f"{block}_norm1")(x)
        x = layers.ReLU(name=f"{block}_relu1")(x)
        if number < 3:
            x = layers.MaxPooling2D(name=f"{block}_pool")(x)
    return keras.Model(inputs, x, name="tiny")


def scaled(x):
    return x / 127.5 - 1


def build(seed=0, classes=3, head=0, **options):
    """Return a model; `seed` decides the weights of the backbone and `head` those of the head."""
    backbone = tiny_backbone(seed)
    keras.utils.set_random_seed(head)
    return TransferModel(backbone, classes, preprocess_input=scaled, **options)


def train(model, stages=STAGES, data=(X, Y), **options):
    return fit_stages(model, stages, data, **{"batch_size": 18, "validation_split": 0.25, "verbose": 0} | options)


def values_of(backbone):
    """Return the weights of each layer, with the statistics that batch normalization keeps."""
    return {layer.name: layer.get_weights() for layer in backbone.layers if layer.weights}


def changed(before, after):
    return [
        name
        for name in before
        if any(not np.array_equal(*pair) for pair in zip(before[name], after[name], strict=True))
    ]


def assert_same_weights(model, expected, exact=ON_TENSORFLOW):
    for weight, other in zip(model.get_weights(), expected.get_weights(), strict=True):
        if exact:
            np.testing.assert_array_equal(weight, other)
        else:  # other backends compile both ways of training differently
            np.testing.assert_allclose(weight, other, atol=1e-5)


def table(results):
    free = {"seconds", "extracted_images"}  # the second depends on what the cache held
    return [{name: value for name, value in row.items() if name not in free} for row in results.to_dict()]


@functools.cache
def network(name, side=32):
    keras.utils.set_random_seed(0)
    return getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(side, side, 3))


# Blocks


@pytest.mark.smoke
def test_inception_cut_after_each_module_has_the_parameters_of_the_course():
    inception = network("InceptionV3", 75)
    counts = [429440, 707408, 993056, 2146976, 3445920, 5138656, 6831392, 8975264, 10674848, 15722720, 21802784]
    assert [truncate(inception, f"mixed{number}").count_params() for number in range(11)] == counts
    assert np.cumsum([block.params for block in blocks(inception)]).tolist() == counts


@pytest.mark.parametrize(
    ("build_network", "names"),
    [
        (lambda: network("InceptionV3", 75), [f"mixed{number}" for number in range(11)]),
        (
            lambda: network("MobileNetV2"),
            ["stem", "expanded_conv", *(f"block_{number}" for number in range(1, 17)), "end"],
        ),
        (lambda: network("MobileNet"), ["stem", *(f"block_{number}" for number in range(1, 14))]),
        (lambda: network("VGG16"), ["stem", *(f"block{number}" for number in range(1, 6))]),
        (tiny_backbone, ["stem", "block1", "block2", "block3"]),
    ],
    ids=["inception", "mobilenet_v2", "mobilenet", "vgg", "tiny"],
)
def test_blocks_partition_the_layers_and_the_weights_in_their_order(build_network, names):
    backbone = build_network()
    found = blocks(backbone)
    assert [block.name for block in found] == names
    assert [name for block in found for name in block.layers] == [layer.name for layer in backbone.layers]
    assert sum(block.params for block in found) == backbone.count_params()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            "stem_conv block1a_dwconv block1a_bn block2a_se block2b_add block3a_bn top_conv",
            "stem block1 block2 block3 end",
        ),
        ("conv1 conv2_block1_1_conv pool2_relu conv3_block1_concat bn relu", "stem conv2 conv3 end"),
        ("conv1 conv2_block1_out conv3_block1_0_conv conv3_block2_out", "stem conv2 conv3"),
        (
            "conv expanded_conv_project expanded_conv_1_expand expanded_conv_2_add",
            "stem expanded_conv expanded_conv_1 expanded_conv_2",
        ),
        (
            "conv2d_7 mixed_5b conv2d_9 block35_1_ac conv2d_12 block35_2_ac conv_7b",
            "mixed_5b block35_1 block35_2 end",
        ),
        ("convnext_tiny_stem convnext_tiny_stage_0_block_0 convnext_tiny_stage_1_block_0", "stem stage_0 stage_1"),
        ("block1_conv1 block1_pool", "block1"),  # what is left of VGG16 cut after its first block
        ("conv2d mixed0", "mixed0"),
    ],
    ids=[
        "efficientnet",
        "densenet",
        "resnet",
        "mobilenet_v3",
        "inception_resnet",
        "convnext",
        "cut_vgg",
        "cut_inception",
    ],
)
def test_blocks_follow_the_names_of_the_layers(names, expected):
    backbone = keras.Sequential([keras.Input((2,))])
    for name in names.split():
        backbone.add(layers.Activation("relu", name=name))
    found = blocks(backbone)
    assert [block.name for block in found] == expected.split()
    assert [name for block in found for name in block.layers] == names.split()


def test_blocks_of_the_networks_of_this_package_are_found():
    backbone = build_resnet(18, input_shape=(32, 32, 3), num_classes=10)
    found = blocks(backbone)
    assert len(found) > 3
    assert sum(block.params for block in found) == backbone.count_params()


def test_a_cut_model_shares_its_layers_and_ends_after_the_block_or_layer():
    backbone = tiny_backbone()
    cut = truncate(backbone, "block2")
    assert cut.get_layer("block1_conv1") is backbone.get_layer("block1_conv1")
    inner = keras.Model(backbone.input, backbone.get_layer("block2_pool").output)
    np.testing.assert_array_equal(cut.predict(X[:2], verbose=0), inner.predict(X[:2], verbose=0))
    assert truncate(backbone, "block2_conv1").layers[-1].name == "block2_conv1"


# Stages: what is frozen and what is trained


@pytest.fixture(scope="module")
def trained_before():
    """A model that one test after another trains: what an earlier stage froze must not stay so."""
    return build()


@pytest.mark.parametrize(
    ("stage", "batch_norm", "trained"),
    [
        (Stage("head", epochs=1), "train", []),
        (Stage("from a layer", "block3_conv1", epochs=1), "inference", CONVOLUTIONS[2:]),
        (Stage("behind a convolution", "block2_norm1", epochs=1), "train", [NORMS[1], CONVOLUTIONS[2], NORMS[2]]),
        (Stage("from a block", "block2", epochs=1), "inference", CONVOLUTIONS[1:]),
        (Stage("share", 0.3, epochs=1), "inference", CONVOLUTIONS[2:]),  # the last 4 of 12 layers
        (Stage("a layer at least", 0.01, epochs=1), "train", []),  # the last one, without weights
        (Stage("blocks", 2, epochs=1), "inference", CONVOLUTIONS[1:]),
        (Stage("blocks", 1, epochs=1), "train", [CONVOLUTIONS[2], NORMS[2]]),
        (Stage("all", epochs=1), "inference", CONVOLUTIONS),
        (Stage("all", epochs=1), "train", CONVOLUTIONS + NORMS),
    ],
)
def test_a_stage_changes_what_it_unfreezes_and_nothing_else(trained_before, stage, batch_norm, trained):
    model = trained_before
    before, head = values_of(model.backbone), model.layers[-1].get_weights()
    results = train(model, [stage], batch_norm=batch_norm)
    after = values_of(model.backbone)
    assert sorted(changed(before, after)) == sorted(trained)
    for name in set(trained) & set(NORMS):  # gamma, beta, mean, variance
        assert all(not np.array_equal(*pair) for pair in zip(before[name], after[name], strict=True))
    assert not np.array_equal(head[0], model.layers[-1].get_weights()[0])
    weights = [model.backbone.get_layer(name).trainable_weights for name in trained]
    count = 16 * 3 + 3 + sum(int(np.prod(weight.shape)) for group in weights for weight in group)
    assert results.rows[0].trainable_params == count
    assert results.rows[0].frozen_params == model.count_params() - count
    only_head = any("trained the head alone" in note for note in results.notes)
    assert only_head == (not trained and stage.name != "head")


@pytest.mark.parametrize("name", ["MobileNetV2", "InceptionV3"])
def test_frozen_layers_of_large_networks_stay_bit_for_bit(name):
    if name == "MobileNetV2":
        model, last = TransferModel(network("MobileNetV2"), 3), {"block_16", "end"}
    else:
        model, last = TransferModel(truncate(network("InceptionV3", 75), "mixed1"), 3), {"mixed1"}
        assert model.backbone.count_params() == 707408
    owner = {layer: block.name for block in blocks(model.backbone) for layer in block.layers}
    for stage, expected in (
        (Stage("head", epochs=1), set()),
        (Stage("last", min(last), learning_rate=0.1, epochs=1), last),
    ):
        before = values_of(model.backbone)
        train(model, [stage], (X[:6], Y[:6]), validation_split=0)
        done = changed(before, values_of(model.backbone))
        assert {owner[layer] for layer in done} == expected
        assert not any(isinstance(model.backbone.get_layer(layer), layers.BatchNormalization) for layer in done)


def test_batch_normalization_inside_another_layer_stays_frozen_too():
    inputs = keras.Input((16, 16, 3))
    norm = layers.TimeDistributed(layers.BatchNormalization(momentum=0.5), name="norm")
    maps = norm(layers.Conv2D(4, 3, name="convolution")(inputs))
    model = TransferModel(keras.Model(inputs, layers.Flatten()(maps)), 3, preprocess_input=scaled)
    before = values_of(model.backbone)
    train(model, [Stage("all", epochs=1)])
    assert changed(before, values_of(model.backbone)) == ["convolution"]


def test_training_false_does_not_freeze_batch_normalization_in_fit():
    """A trap of Keras 3 (issue 20285) that `fit_stages` avoids; where this fails, Keras has changed it."""
    base = tiny_backbone()
    inputs = keras.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(base(inputs, training=False))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    before = values_of(base)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X[:8], Y[:8], verbose=0)
    mean, variance = (
        not np.array_equal(before["block1_norm1"][at], values_of(base)["block1_norm1"][at]) for at in (2, 3)
    )
    assert mean
    assert variance


# Stages: the weights


def by_hand(model, backbone, first, rate, epochs):
    """Train as a notebook does without this package's stages: loops over `trainable`, then `training.fit`."""
    unfrozen = False
    for layer in backbone.layers:
        unfrozen = unfrozen or layer.name == first
        layer.trainable = unfrozen and not isinstance(layer, layers.BatchNormalization)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    options = {"validation_split": 0.25, "patience": epochs, "seed": 7, "verbose": 0}
    return training.fit(model, (X, Y), epochs=epochs, batch_size=18, **options).history


@pytest.mark.smoke
def test_all_stages_give_bit_for_bit_the_weights_of_loops_by_hand():
    helped, looped = build(), build()
    results = train(helped, seed=7)
    firsts = (None, "block3_conv1", looped.backbone.layers[0].name)
    for number, (first, stage) in enumerate(zip(firsts, STAGES, strict=True)):
        history = by_hand(looped, looped.backbone, first, stage.learning_rate, stage.epochs)
        theirs = results.histories[f"{number + 1} {stage.name}"]
        np.testing.assert_allclose(theirs["val_loss"], history["val_loss"], rtol=1e-4)
    assert all(row.improved for row in results.rows)
    assert_same_weights(helped, looped)


@pytest.mark.skipif(not ON_TENSORFLOW, reason="only there a call does several steps")
def test_several_steps_in_a_call_give_the_bits_of_single_ones(monkeypatch, traced):
    found = []
    for steps in (1, 3, 32):  # of six in an epoch
        monkeypatch.setattr(run_module, "_STEPS_IN_A_CALL", steps)
        model = build()
        found.append((model, train(model, STAGES[:1], batch_size=3)))
    for model, results in found[1:]:
        assert_same_weights(model, found[0][0], exact=True)
        assert results.histories == found[0][1].histories


@pytest.mark.slow
def test_the_head_on_features_is_that_of_training_on_images_when_traced(traced):
    models = build(), build()
    for model, cache_features in zip(models, (True, False), strict=True):
        train(model, [Stage("head", epochs=2)], cache_features=cache_features, batch_size=9)
    assert_same_weights(*models)


@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_a_plain_model_is_trained_as_well(kind):
    base = tiny_backbone()
    inputs, flat, last = keras.Input((16, 16, 3)), layers.Flatten(), layers.Dense(3, "softmax")
    if kind == "functional":
        model = keras.Model(inputs, last(flat(base(inputs))))
    else:
        model = keras.Sequential([inputs, base, flat, last])
    before = values_of(base)
    results = train(model, STAGES[:2], (X / 255, Y), test_data=(TEST[0] / 255, TEST[1]))
    assert [row.extracted_images for row in results.rows] == [24, None]
    assert changed(before, values_of(base)) == ["block3_conv1"]


@pytest.mark.parametrize("way", ["random flips", "a convolution", "two ways to the head"])
def test_where_features_would_be_others_the_head_is_trained_on_images(way):
    base = tiny_backbone()
    inputs = x = keras.Input((16, 16, 3))
    if way == "random flips":
        x = keras.Sequential([layers.RandomFlip(), layers.ReLU()])(x)
    if way == "a convolution":
        x = layers.Conv2D(3, 1, name="adapter")(x)
    x = layers.GlobalAveragePooling2D()(base(x))
    if way == "two ways to the head":
        x = layers.add([layers.Dense(4, "relu")(x), layers.Dense(4)(x)])
    model = keras.Model(inputs, layers.Dense(3, "softmax")(x))
    adapter = [layer.get_weights() for layer in model.layers if layer.name == "adapter"]
    results = train(model, STAGES[:1], (X / 255, Y))
    reason = {
        "random flips": "change the images at random",
        "a convolution": "layers before the backbone are trained",
        "two ways to the head": "no plain chain",
    }[way]
    assert any("Trained on images in all stages" in note and reason in note for note in results.notes)
    assert results.rows[0].extracted_images is None
    if adapter:
        assert not np.array_equal(adapter[0][0], model.get_layer("adapter").get_weights()[0])


def test_random_layers_of_the_backbone_are_left_out_of_features_and_named():
    inputs = keras.Input((16, 16, 3))
    x = layers.Dropout(0.5)(layers.Conv2D(4, 3, name="block1_conv1")(inputs))
    results = train(TransferModel(keras.Model(inputs, x), 3), STAGES[:1])
    assert "Random layers of the backbone were left out where the head was trained on features." in results.notes


def test_the_weights_after_a_stage_are_those_of_its_least_validation_loss():
    """Held out are images with wrong labels: the longer the training, the greater their loss."""
    model, wrong = build(dropout=0), (X[:9], (Y[:9] + 1) % 3)
    options = {"validation_data": wrong, "test_data": TEST}
    results = train(model, [Stage("head", learning_rate=0.1, epochs=3)], **options)
    losses = results.histories["1 head"]["val_loss"]
    assert int(np.argmin(losses)) < 2
    loss, accuracy = model.evaluate(*wrong, verbose=0)
    row = results.rows[0]
    assert loss == pytest.approx(min(losses), rel=1e-4) == pytest.approx(row.val_loss, rel=1e-4)
    assert accuracy == pytest.approx(row.val_accuracy)
    assert row.test_accuracy == accuracy_score(TEST[1], model.predict_on_batch(TEST[0]).argmax(axis=1))


def test_held_out_are_the_images_of_the_split_that_the_seed_decides():
    model = build()
    row = train(model, STAGES[:1], seed=3).rows[0]
    _, held_out = split_indices("test", "share", Y, 0.25, 3)
    assert model.evaluate(X[held_out], Y[held_out], verbose=0)[0] == pytest.approx(row.val_loss, rel=1e-4)


def test_a_stage_that_does_not_help_hands_on_the_weights_from_before_it():
    model = build()
    first = train(model, STAGES[:1], test_data=TEST)
    before = model.get_weights()
    model_again = build()
    results = train(model_again, [*STAGES[:1], Stage("all", learning_rate=100.0, epochs=1)], test_data=TEST)
    assert [row.improved for row in results.rows] == [True, False]
    assert results.notes[-1] == (
        "Stage 'all' did not lower the validation loss: the weights from before it were kept."
    )
    for weight, expected in zip(model_again.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)
    kept, expected = results.rows[1], first.rows[0]
    assert (kept.val_loss, kept.val_accuracy, kept.test_accuracy) == (
        expected.val_loss, expected.val_accuracy, expected.test_accuracy,
    )  # fmt: skip
    assert results.histories["2 all"]["val_loss"][0] > expected.val_loss


def test_every_stage_is_held_against_the_best_weights_so_far(monkeypatch):
    losses = iter([1.0, 3.0, 2.0, 0.5])

    def fake_fit(model, *args, **options):
        history = keras.callbacks.History()
        loss = next(losses)
        history.history = {"loss": [1.0], "val_loss": [loss], "val_accuracy": [1 / loss]}
        return history

    monkeypatch.setattr(keras.Model, "fit", fake_fit)
    results = train(build(), [*STAGES, Stage("again", 1)], cache_features=False)
    assert [row.improved for row in results.rows] == [True, False, False, True]
    assert [row.val_loss for row in results.rows] == [1.0, 1.0, 1.0, 0.5]


def test_without_held_out_images_the_last_weights_are_handed_on_and_it_is_said():
    results = train(build(weights=None), STAGES[:1], validation_split=0)
    row = results.rows[0]
    assert (row.val_loss, row.val_accuracy, row.improved) == (None, None, True)
    assert "Nothing was held out: the last weights are taken." in results.notes


def test_patience_ends_a_stage_early():
    wrong = (X[:9], (Y[:9] + 1) % 3)  # the longer the training, the greater their loss
    results = train(build(), [Stage("head", learning_rate=0.1, epochs=30)], patience=1, validation_data=wrong)
    losses = results.histories["1 head"]["val_loss"]
    assert results.rows[0].epochs == len(losses) == int(np.argmin(losses)) + 2 < 30


def test_an_image_dataset_brings_its_other_images_and_results_are_tables():
    pandas = pytest.importorskip("pandas")
    held_out = X[9:18, ::-1], Y[9:18]
    data = ImageDataset(X, Y, *TEST, ("a", "b", "c"), "toy", "a test", (), *held_out)
    one, two = build(), build()
    results = train(one, STAGES[:1], data)
    second = train(two, STAGES[:1], test_data=TEST, validation_data=held_out)
    assert table(results) == table(second)
    assert_same_weights(one, two, exact=True)
    frame = results.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["stage"].tolist() == ["head"]
    assert "0.001" in str(results)
    assert f"{results.rows[0].test_accuracy:.1%}" in results._repr_html_()


def test_images_on_disk_give_what_the_array_gives(tmp_path):
    on_disk = np.memmap(tmp_path / "images", "uint8", "w+", shape=X.shape)
    on_disk[:] = X
    models = build(), build()
    stages = [Stage("head", epochs=1), Stage("last", "block3", epochs=1)]
    first, second = (train(model, stages, (x, Y)) for model, x in zip(models, (X, on_disk), strict=True))
    assert second.rows[0].extracted_images == 0  # the same images, so the same features
    assert table(first) == table(second)
    assert_same_weights(*models, exact=True)


# Features and views


def test_a_second_run_takes_all_features_from_the_cache():
    counts = [train(build(), STAGES[:1], validation_data=TEST).rows[0].extracted_images for _ in range(2)]
    assert counts == [24 + 9, 0]


def test_views_are_computed_once_and_drawn_anew_in_each_epoch():
    augment = pipeline(flip="horizontal", brightness=0.4, seed=5)
    options = {"augmentation": augment, "views": 3}
    one, two, other_seed = build(), build(), build()
    first, second = train(one, STAGES[:1], **options), train(two, STAGES[:1], **options)
    assert first.rows[0].extracted_images == 24 + 3 * 24  # the held-out images are among the 24, as they are
    assert second.rows[0].extracted_images == 0
    assert any("3 augmented views" in note for note in first.notes)
    assert table(first) == table(second)
    assert_same_weights(one, two, exact=True)
    assert train(other_seed, STAGES[:1], **options, seed=1).rows[0].extracted_images == 3 * 24


def test_views_differ_and_no_other_features_are_computed_where_nothing_needs_them():
    model = build()
    seen, fit = [], run_module.fit_batches

    def watched(function, model, batches, *args, **options):
        seen.append(batches)
        return fit(function, model, batches, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "fit_batches", watched)
        options = {"augmentation": pipeline(brightness=0.4, seed=5), "views": 3, "validation_data": TEST}
        assert train(model, STAGES[:1], **options).rows[0].extracted_images == 3 * 24 + 9
    views = seen[0].x
    assert views.shape == (3, 24, 16)
    assert not any(np.array_equal(views[one], views[two]) for one, two in ((0, 1), (0, 2), (1, 2)))
    drawn = []
    for epoch in (0, 1, 0):
        seen[0].start_epoch(epoch)
        drawn.append(seen[0][0][0])
        np.testing.assert_array_equal(seen[0][0][1], Y[seen[0].chosen(0)])
    assert not np.array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[0], drawn[2])


def test_augmentation_acts_on_training_images_alone():
    """An augmentation that makes every image black, and a network whose answer depends on nothing else."""

    class Black(keras.layers.Layer):
        def call(self, images, training=False):
            return images * 0 if training else images

    for stage in (Stage("head", epochs=1), Stage("last", "block3", epochs=1)):
        models = build(), build()
        options = {"validation_data": TEST, "views": 1}
        black = train(models[0], [stage], **options, augmentation=Black(), test_data=TEST)
        train(models[1], [stage], (X * 0, Y), **options)
        assert_same_weights(*models, exact=False)
        answers = models[1].predict_on_batch(TEST[0]).argmax(axis=1)
        assert black.rows[-1].test_accuracy == accuracy_score(TEST[1], answers)


# Interruption


@pytest.fixture(scope="module")
def shared():
    """A model for calls that end before training."""
    return build()


class Interruption(BaseException):
    """Stands for whatever ends a process: nothing in the package may catch it."""


class InTheSecondEpoch(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise Interruption


def interrupt(patch):
    """End the process in the second epoch of a stage."""
    fit = keras.Model.fit

    def interrupted(*args, callbacks, **options):
        return fit(*args, callbacks=[*callbacks, InTheSecondEpoch()], **options)

    patch.setattr(keras.Model, "fit", interrupted)


def interrupt_placing(patch, number):
    """End the process at its fourth file that is put into its place: before it, or every other time after it."""
    replace, placed = os.replace, []

    def interrupted(*args):
        placed.append(args)
        if len(placed) < 4 or number % 2:
            replace(*args)
        if len(placed) == 4:
            raise Interruption

    patch.setattr(os, "replace", interrupted)


@pytest.fixture(scope="module")
def uninterrupted(in_advance):
    with in_advance():
        model = build()
        return model, train(model, test_data=TEST)


@pytest.mark.slow
@pytest.mark.smoke
def test_a_run_that_is_interrupted_again_and_again_ends_like_an_uninterrupted_one(tmp_path, uninterrupted):
    expected, expected_results = uninterrupted
    for number in range(30):
        model = build(head=number if number > 2 else 0)  # the first weights are on disk by then
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Interruption):
            interrupt_placing(patch, number)
            results = train(model, test_data=TEST, folder=tmp_path)
            break
    assert number > 5
    assert table(results) == table(expected_results)
    assert results.histories == expected_results.histories
    assert results.notes == expected_results.notes
    assert_same_weights(model, expected, exact=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, in_advance):
    """The folder of a finished run; tests work on copies."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    with in_advance():
        model = build()
        return folder, model, train(model, STAGES[:2], folder=folder)


@pytest.fixture
def run_folder(finished, tmp_path):
    return Path(shutil.copytree(finished[0], tmp_path / "run"))


def no_training(*args, **options):
    raise AssertionError("trained")


def test_finished_run_is_loaded_and_not_repeated(run_folder, finished, monkeypatch):
    monkeypatch.setattr(keras.Model, "fit", no_training)
    model = build()
    results = train(model, STAGES[:2], folder=run_folder)
    assert results == finished[2]
    assert_same_weights(model, finished[1], exact=True)
    assert train(model, STAGES[:2], folder=run_folder) == results  # the same model once more: it was trained since
    assert_same_weights(model, finished[1], exact=True)


def test_other_test_images_are_measured_without_training(run_folder, finished, monkeypatch):
    monkeypatch.setattr(keras.Model, "fit", no_training)
    model = build()
    results = train(model, STAGES[:2], folder=run_folder, test_data=TEST)
    right = accuracy_score(TEST[1], finished[1].predict(TEST[0], verbose=0).argmax(axis=1))
    assert results.rows[1].test_accuracy == right
    assert results.rows[0].test_accuracy is not None


def test_further_stages_may_be_asked_for_later(run_folder, uninterrupted):
    model = build()
    train(model, STAGES, folder=run_folder)
    assert_same_weights(model, uninterrupted[0], exact=True)


def other_images():
    images = X.copy()
    images[5, 3, 3, 1] ^= 1
    return images


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model": lambda: TransferModel(tiny_backbone(last=24), 3, preprocess_input=scaled)}, "model"),
        ({"model": lambda: build(dropout=0.4)}, "model"),
        ({"model": lambda: build(pooling="max")}, "model"),
        ({"model": lambda: with_source(build())}, "weights of the backbone"),
        ({"data": (other_images(), Y)}, "training data, validation data"),
        ({"data": (X, np.roll(Y, 1))}, "training data, validation data"),
        ({"validation_data": TEST}, "training data, validation data"),
        ({"stages": [Stage("head", epochs=3), STAGES[1]]}, "epochs of stage 1"),
        ({"stages": [Stage("head", learning_rate=0.1, epochs=2)]}, "learning_rate of stage 1"),
        ({"stages": [Stage("first", "block3", epochs=2), STAGES[1]]}, "name of stage 1, unfreeze_from of stage 1"),
        ({"stages": [STAGES[0], Stage("last", "block2", epochs=2)]}, "unfreeze_from of stage 2"),
        ({"stages": [STAGES[1]]}, "name of stage 1"),
        ({"cache_features": False}, "cache_features"),
        ({"augmentation": pipeline(flip="horizontal", seed=0)}, "views, augmentation"),
        ({"batch_norm": "train"}, "batch_norm"),
        ({"feature_dtype": "float16"}, "feature_dtype"),
        ({"batch_size": 4}, "batch_size"),
        ({"patience": 2}, "patience"),
        ({"seed": 1}, "training data, validation data, seed"),
    ],
)
def test_the_folder_of_another_run_is_refused_and_the_difference_named(
    run_folder, monkeypatch, shared, changes, named
):
    monkeypatch.setattr(keras.Model, "fit", no_training)
    changes = {"stages": STAGES[:2], "folder": run_folder} | changes
    model = changes.pop("model", lambda: shared)()
    with pytest.raises(
        ValueError, match="`folder` of `fit_stages` must be a folder whose run has the same"
    ) as caught:
        train(model, changes.pop("stages"), changes.pop("data", (X, Y)), **changes)
    assert f"same {named}" in str(caught.value)
    assert "resume=False" in str(caught.value)


def with_source(model):
    model.weights_source = "another file"
    return model


def test_another_random_backbone_is_refused_in_the_middle_of_a_head_stage(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch)
        with pytest.raises(Interruption):
            train(build(), folder=tmp_path)
    with pytest.raises(ValueError, match=r"`folder` of `fit_stages` .* the same weights of the backbone\."):
        train(build(1), folder=tmp_path)


def test_resume_false_starts_anew_and_leaves_nothing_of_the_earlier_run(run_folder):
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch)
        with pytest.raises(Interruption):
            train(build(2), STAGES[:2], folder=run_folder, resume=False)
    model, expected = build(2), build(2)
    results = train(model, STAGES[:1], folder=run_folder)
    assert table(results) == table(train(expected, STAGES[:1]))
    assert_same_weights(model, expected, exact=True)


RECORD = "kerascv_run.json"


@pytest.mark.parametrize(
    ("damaged", "damage"),
    [
        (RECORD, lambda content: content[:-20]),
        (RECORD, lambda content: content.replace(b'"epochs": 2', b'"epochs": 3')),
        ("after stage 2", lambda content: None),
        ("after stage 2", lambda content: content[:-500]),
        ("after stage 1", lambda content: content[:3000] + bytes([content[3000] ^ 1]) + content[3001:]),
    ],
)
def test_a_damaged_folder_is_named_and_the_model_left_as_it_was(run_folder, shared, damaged, damage):
    record = json.loads((run_folder / RECORD).read_text(encoding="utf-8"))["record"]
    name = RECORD if damaged == RECORD else record["files"][damaged]["name"]
    content = damage((run_folder / name).read_bytes())
    (run_folder / name).unlink() if content is None else (run_folder / name).write_bytes(content)
    before = shared.get_weights()
    with pytest.raises(
        ValueError, match="`folder` of `fit_stages` must be a folder whose files are whole"
    ) as caught:
        train(shared, STAGES[:2], folder=run_folder)
    assert f"{name} is damaged" in str(caught.value)
    assert "Pass `resume=False` to train anew, or name another `folder`." in str(caught.value)
    for weight, value in zip(shared.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_a_damaged_state_within_a_stage_is_named_and_an_interruption_leaves_the_weights_before_it(tmp_path):
    model = build()
    before = model.get_weights()
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch)
        with pytest.raises(Interruption):
            train(model, STAGES[:1], folder=tmp_path, cache_features=False)
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)
    (tmp_path / "stage-01" / RECORD).write_text('{"record": {')
    with pytest.raises(ValueError, match=rf"`folder` of `fit_stages` .*stage-01.* {RECORD} is damaged"):
        train(model, STAGES[:1], folder=tmp_path, cache_features=False)


# The model


PREPROCESSING = {
    "tf": "InceptionResNetV2 InceptionV3 MobileNet MobileNetV2 NASNetLarge NASNetMobile ResNet50V2 ResNet101V2 "
    "ResNet152V2 Xception",
    "caffe": "ResNet50 ResNet101 ResNet152 VGG16 VGG19",
    "torch": "DenseNet121 DenseNet169 DenseNet201",
}
RED = np.array([[[[255.0, 0.0, 0.0]]]], "float32")
RED_SEEN = {
    "tf": [1, -1, -1],
    "caffe": [-103.939, -116.779, 255 - 123.68],
    "torch": [(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225],
    "none": [255, 0, 0],
}


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_has_the_preprocessing_that_its_weights_were_trained_with(name):
    mode = next((mode for mode, names in PREPROCESSING.items() if name in names.split()), "none")
    seen = keras.ops.convert_to_numpy(preprocessing_of(name)(RED.copy()))
    np.testing.assert_allclose(seen[0, 0, 0], RED_SEEN[mode], rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "module"), [("MobileNetV2", "mobilenet_v2"), ("VGG16", "vgg16"), ("DenseNet121", "densenet")]
)
def test_raw_images_are_resized_and_preprocessed_as_by_hand_also_after_a_reload(
    tmp_path, monkeypatch, name, module
):
    base = tiny_backbone(size=32)
    monkeypatch.setattr(backbones_module.keras.applications, name, lambda **options: base)
    model = TransferModel(name, 4, image_size=32, weights=None, dropout=0)
    images = np.random.default_rng(1).integers(0, 256, (2, 40, 28, 3), dtype="uint8")
    resized = keras.ops.convert_to_numpy(keras.ops.image.resize(images.astype("float32"), (32, 32)))
    ready = getattr(keras.applications, module).preprocess_input(resized.copy())
    kernel, _ = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel / 100, np.arange(4.0)])  # small scores, so that no answer is quite 0 or 1

    def answers(inputs):
        features = base.predict_on_batch(inputs).mean(axis=(1, 2))
        scores = np.exp(features @ kernel / 100 + np.arange(4.0))
        return scores / scores.sum(axis=1, keepdims=True)

    expected = answers(ready)
    assert np.abs(answers(resized) - expected).max() > 0.002
    np.testing.assert_allclose(model.predict_on_batch(images), expected, rtol=1e-4)
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(reloaded.predict_on_batch(images), expected, rtol=1e-4)
    assert model.weights_source == "none (weights=None): the features are random"


def test_grey_images_of_any_size_are_taken_as_if_repeated_to_rgb():
    model = build()
    for height, width in ((16, 16), (9, 30)):
        grey = np.random.default_rng(2).integers(0, 256, (3, height, width, 1), dtype="uint8")
        expected = model.predict_on_batch(np.repeat(grey, 3, axis=-1))
        np.testing.assert_allclose(model.predict_on_batch(grey), expected, rtol=1e-6)
        np.testing.assert_allclose(model.predict_on_batch(grey.astype("float32")), expected, rtol=1e-6)
    results = train(model, STAGES[1:2], (X[..., :1], Y), augmentation=pipeline(flip="horizontal"), test_data=TEST)
    assert "Grey images: the model repeats them in three channels." in results.notes


def test_a_backbone_for_grey_images_takes_them_as_they_are():
    model = TransferModel(tiny_backbone(channels=1), 3, preprocess_input=scaled)
    assert model.input_shape == (None, None, None, 1)
    train(model, STAGES[:1], (X[..., :1], Y))


@pytest.mark.parametrize(("pooling", "reduce"), [("avg", np.mean), ("max", np.max), (None, None)])
def test_pooling_is_the_mean_the_maximum_or_all_values_of_the_maps(pooling, reduce):
    model = build(pooling=pooling, dropout=0)
    maps = model.backbone.predict_on_batch(scaled(X[:3].astype("float32")))
    features = maps.reshape(3, -1) if reduce is None else reduce(maps, axis=(1, 2))
    kernel, bias = model.layers[-1].get_weights()
    scores = np.exp(features @ kernel + bias)
    np.testing.assert_allclose(model.predict_on_batch(X[:3]), scores / scores.sum(1, keepdims=True), rtol=1e-4)


def test_a_backbone_that_ends_in_a_vector_and_one_of_any_size_are_taken():
    inputs = keras.Input((None, None, 3))
    vector = layers.GlobalMaxPooling2D()(layers.Conv2D(5, 3)(inputs))
    model = TransferModel(keras.Model(inputs, vector), 2, image_size=(12, 20))
    assert model.get_layer("resize").output.shape[1:3] == (12, 20)
    assert [layer.name for layer in model.layers[-2:]] == ["dropout", "predictions"]
    results = train(model, STAGES[:1], (X, Y % 2))
    assert results.rows[0].trainable_params == 5 * 2 + 2


TWO_CLASSES = (X, Y // 2)


def test_two_classes_with_one_sigmoid_unit():
    model = build(classes=1)
    assert model.layers[-1].activation is keras.activations.sigmoid
    kernel, bias = model.layers[-1].get_weights()
    first = np.median(model.predict_on_batch(X))
    model.layers[-1].set_weights([kernel, bias - np.log(first / (1 - first))])  # now it gives both answers
    results = train(model, [Stage("head", epochs=1)], TWO_CLASSES, test_data=TWO_CLASSES)
    assert model.loss.name == "binary_crossentropy"
    answers = (model.predict_on_batch(TWO_CLASSES[0])[:, 0] > 0.5).astype(int)
    assert 0 < answers.sum() < 24
    assert results.rows[0].test_accuracy == accuracy_score(TWO_CLASSES[1], answers)


def test_grad_cam_explains_the_model():
    model = build()
    found = grad_cam(model, X[:2])
    assert found.layer == "tiny/block3_relu1"
    assert found.heatmaps.shape == (2, 16, 16)
    np.testing.assert_allclose(found.heatmaps.max(axis=(1, 2)), 1, rtol=1e-5)


@pytest.mark.smoke
def test_a_custom_loss_and_a_later_freeze_do_not_hinder_saving(tmp_path):
    def own_loss(labels, answers):
        return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(labels, answers))

    model = build()
    model.compile("adam", own_loss)
    model.fit(X[:8], Y[:8], verbose=0)
    model.backbone.trainable = False
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_allclose(reloaded.predict_on_batch(X[:2]), model.predict_on_batch(X[:2]), rtol=1e-5)


LOAD = """
import sys
sys.modules["kerascv_course"] = None
import keras, numpy as np
model = keras.models.load_model(sys.argv[1])
np.save(sys.argv[3], model.predict_on_batch(np.load(sys.argv[2])))
"""


@pytest.mark.slow
def test_a_saved_file_loads_without_this_package_and_predicts_the_same(tmp_path):
    model = build()
    train(model, STAGES[:1])
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", X)
    paths = [str(tmp_path / name) for name in ("model.keras", "images.npy", "answers.npy")]
    done = subprocess.run([sys.executable, "-c", LOAD, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(paths[2]), model.predict_on_batch(X), rtol=1e-4)


def test_the_optimizer_survives_and_the_reloaded_model_is_trained_further(tmp_path):
    model = build()
    train(model, STAGES[2:])
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(reloaded).__module__.startswith("keras")
    assert len(reloaded.optimizer.variables) == len(model.optimizer.variables) > 10
    for variable, expected in zip(reloaded.optimizer.variables, model.optimizer.variables, strict=True):
        value, wanted = map(keras.ops.convert_to_numpy, (variable, expected))
        np.testing.assert_array_equal(value, wanted)
    models = (model, reloaded)
    for one in models:
        fit_stages(one, [Stage("last", "block3", epochs=1)], (X, Y), validation_split=0.25, verbose=0)
    assert_same_weights(*models, exact=True)


def test_weights_of_a_backbone_come_from_a_file(tmp_path):
    source = tiny_backbone(5)
    source.save_weights(tmp_path / "own.weights.h5")
    model = build(weights=tmp_path / "own.weights.h5")
    assert changed(values_of(source), values_of(model.backbone)) == []
    results = train(model, STAGES[:1])
    assert results.notes[0] == "Weights of the backbone: the file own.weights.h5."


def test_random_features_are_called_random(monkeypatch):
    monkeypatch.setattr(backbones_module.keras.applications, "MobileNetV2", lambda **options: tiny_backbone())
    results = train(TransferModel("MobileNetV2", 3, image_size=16, weights=None), STAGES[:1])
    assert results.notes[0] == "Weights of the backbone: none (weights=None): the features are random."


def test_imagenet_weights_are_found_or_asked_of_keras_or_their_lack_explained(tmp_path, monkeypatch):
    source = tiny_backbone(5)
    source.save_weights(tmp_path / "found.weights.h5")

    def application(*, include_top, weights, input_shape):
        if weights == "imagenet":
            raise Exception("URL fetch failure on https://example.com: None -- unreachable")
        return tiny_backbone()

    monkeypatch.setattr(backbones_module.keras.applications, "VGG16", application)
    answers = iter([BackboneWeights(tmp_path / "found.weights.h5", "found.weights.h5, in a folder"), None])
    monkeypatch.setattr(backbones_module, "find_backbone_weights", lambda *args: next(answers))
    model = TransferModel("VGG16", 3, image_size=16)
    assert model.weights_source == "ImageNet, found.weights.h5, in a folder"
    assert changed(values_of(source), values_of(model.backbone)) == []
    with pytest.raises(ConnectionError, match=r"ImageNet weights of VGG16 .*URL fetch failure.*`weights=None`"):
        TransferModel("VGG16", 3, image_size=16)


# Bad input


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    keras.Sequential([keras.Input((4,)), layers.Dense(3)]).save_weights(folder / "other.weights.h5")
    for name in ("text.weights.h5", "text.keras", "text.h5", "text.txt"):
        (folder / name).write_text("no weights")
    return folder


@pytest.mark.parametrize("name", ["other.weights.h5", "text.weights.h5", "text.keras", "text.h5", "text.txt"])
def test_a_file_with_other_weights_is_refused_and_the_backbone_left_as_it_was(files, name, recwarn):
    backbone = tiny_backbone()
    before = values_of(backbone)
    with pytest.raises(
        ValueError, match=r"`weights` of `TransferModel` must be a weights file of tiny .* Keras says"
    ):
        TransferModel(backbone, 3, weights=files / name)
    assert changed(before, values_of(backbone)) == []
    assert not [warning for warning in recwarn if "Skipping" in str(warning.message)]


class Subclassed(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"backbone": "ResNet18"}, ValueError, ["`backbone`", "'ResNet50'", "'ResNet18'"]),
        ({"backbone": 18}, TypeError, ["`backbone`", "`keras.applications`", "18"]),
        ({"backbone": Subclassed()}, TypeError, ["`backbone`", "a functional or Sequential model"]),
        ({"backbone": keras.Sequential([layers.Dense(1)])}, ValueError, ["`backbone`", "built"]),
        (
            {"backbone": keras.Sequential([keras.Input((5,)), layers.Dense(1)])},
            ValueError,
            ["`backbone`", "one image"],
        ),
        (
            {"backbone": "InceptionV3", "image_size": 32},
            ValueError,
            ["`image_size`", "InceptionV3", "75", "(32, 32)"],
        ),
        ({"image_size": 32}, ValueError, ["`image_size`", "(16, 16)", "32"]),
        ({"image_size": 0}, ValueError, ["`image_size`", "at least 1", "0"]),
        ({"image_size": (1, 2, 3)}, ValueError, ["`image_size`", "(height, width)", "(1, 2, 3)"]),
        ({"image_size": "small"}, TypeError, ["`image_size`", "'small'"]),
        ({"num_classes": 0}, ValueError, ["`num_classes`", "at least 1", "num_classes=0"]),
        ({"num_classes": 2.0}, TypeError, ["`num_classes`", "an integer", "2.0"]),
        ({"pooling": "mean"}, ValueError, ["`pooling`", "'avg', 'max' or None", "'mean'"]),
        ({"dropout": 1}, ValueError, ["`dropout`", "0.99", "dropout=1"]),
        ({"dropout": "half"}, TypeError, ["`dropout`", "'half'"]),
        ({"preprocess_input": 255}, TypeError, ["`preprocess_input`", "a function or None", "255"]),
        (
            {"weights": "nowhere.h5"},
            FileNotFoundError,
            ["`weights`", "'imagenet', None or the path", "nowhere.h5"],
        ),
        ({"weights": 5}, TypeError, ["`weights`", "'imagenet', None or the path", "5"]),
    ],
)
def test_bad_arguments_of_the_model_are_refused_by_name(shared, arguments, error, words):
    arguments = {"backbone": None, "num_classes": 3, "weights": None} | arguments
    backbone = arguments.pop("backbone")
    with pytest.raises(error) as caught:
        TransferModel(shared.backbone if backbone is None else backbone, **arguments)
    for word in ["of `TransferModel`", "Received: ", *words]:
        assert word in str(caught.value)


def test_a_backbone_of_any_size_needs_the_size():
    inputs = keras.Input((None, None, 3))
    with pytest.raises(ValueError, match="`image_size` of `TransferModel` must be given"):
        TransferModel(keras.Model(inputs, layers.Conv2D(2, 3)(inputs)))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((3,), TypeError, ["`name`", "3"]),
        (("",), ValueError, ["`name`", "not empty"]),
        (("last",), ValueError, ["`unfreeze_from`", "'head' and 'all'", "None", "'last'"]),
        (("head", 2), ValueError, ["`unfreeze_from`", "left out", "2"]),
        (("last", 0), ValueError, ["`unfreeze_from`", "at least 1", "0"]),
        (("last", 1.5), ValueError, ["`unfreeze_from`", "up to 1", "1.5"]),
        (("last", float("nan")), ValueError, ["`unfreeze_from`", "nan"]),
        (("last", True), TypeError, ["`unfreeze_from`", "True"]),
        (("last", ["block3"]), TypeError, ["`unfreeze_from`", "['block3']"]),
        (("head", None, 0), ValueError, ["`learning_rate`", "above 0", "0"]),
        (("head", None, -1.0), ValueError, ["`learning_rate`", "-1.0"]),
        (("head", None, "fast"), TypeError, ["`learning_rate`", "'fast'"]),
        (("head", None, 0.1, 0), ValueError, ["`epochs`", "at least 1", "0"]),
        (("head", None, 0.1, 1.5), TypeError, ["`epochs`", "1.5"]),
    ],
)
def test_bad_stages_are_refused_by_name(arguments, error, words):
    with pytest.raises(error) as caught:
        Stage(*arguments)
    for word in ["of `Stage`", "Received: ", *words]:
        assert word in str(caught.value)


def test_numbers_of_numpy_are_those_of_python_in_a_stage():
    stage = Stage("last", np.int64(3), np.float32(0.5), np.int64(2))
    assert json.loads(json.dumps(dataclasses.asdict(stage))) == {
        "name": "last", "unfreeze_from": 3, "learning_rate": 0.5, "epochs": 2,
    }  # fmt: skip
    assert [Stage(name, start).learning_rate for name, start in (("head", None), ("x", 1), ("all", None))] == [
        1e-3, 1e-4, 1e-5,
    ]  # fmt: skip


NAN = np.full(X.shape, np.nan, "float32")
RGBA = np.concatenate([X, X[..., :1]], axis=-1)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"stages": []}, ValueError, ["`stages`", "one or more"]),
        ({"stages": Stage("head")}, TypeError, ["`stages`", "Put a single one into [ ]."]),
        ({"stages": ["head"]}, TypeError, ["`stages`", "a list of one or more `Stage`", "['head']"]),
        ({"stages": None}, TypeError, ["`stages`", "None"]),
        ({"stages": [Stage("x", "block9")]}, ValueError, ["`unfreeze_from`", "block1, block2", "'block9'"]),
        ({"stages": [Stage("x", "block9_conv1")]}, ValueError, ["`unfreeze_from`", "'block9_conv1'"]),
        ({"stages": [Stage("x", 9)]}, ValueError, ["`unfreeze_from`", "at most 4", "9"]),
        ({"data": X}, TypeError, ["`data`", "a pair of arrays", "ndarray"]),
        ({"data": (X[..., 0], Y)}, ValueError, ["`data`", "(images, height, width, channels)", "(24, 16, 16)"]),
        ({"data": (X[:0], Y[:0])}, ValueError, ["`data`", "at least one"]),
        ({"data": (RGBA, Y)}, ValueError, ["`data`", "1 or 3 channels", "(24, 16, 16, 4)", "`images[..., :3]`"]),
        ({"data": (NAN, Y)}, ValueError, ["`data`", "without NaN"]),
        ({"data": (NAN * 0 + np.inf, Y)}, ValueError, ["`data`", "without NaN and infinite"]),
        ({"data": (X / 255, Y)}, ValueError, ["`data`", "from 0 to 255", "floats from 0 to 1", "multiply by 255"]),
        ({"data": (X, Y[:-1])}, ValueError, ["`data`", "as many images as labels", "(23,)"]),
        ({"data": (X, Y * 0.5)}, TypeError, ["`data[1]`", "integers", "float64"]),
        ({"data": (X, Y + 1)}, ValueError, ["`data[1]`", "labels from 0 to 2", "labels from 1 to 3"]),
        ({"data": (X, Y - 1)}, ValueError, ["`data[1]`", "labels from -1 to 1"]),
        ({"validation_data": (X, Y + 1)}, ValueError, ["`validation_data[1]`", "labels from 0 to 2"]),
        ({"validation_data": X}, TypeError, ["`validation_data`", "a pair of arrays"]),
        (
            {"validation_data": (X[:, :8], Y), "augmentation": layers.RandomFlip()},
            ValueError,
            ["`validation_data`", "(16, 16, 3)", "(24, 8, 16, 3)"],
        ),
        ({"test_data": (NAN, Y)}, ValueError, ["`test_data`", "without NaN"]),
        ({"validation_split": 1}, ValueError, ["`validation_split`", "0.99", "=1"]),
        ({"validation_split": -0.1}, ValueError, ["`validation_split`", "-0.1"]),
        ({"validation_split": 0.01}, ValueError, ["`validation_split`", "every class", "0.01"]),
        ({"batch_size": 0}, ValueError, ["`batch_size`", "at least 1", "0"]),
        ({"views": 0}, ValueError, ["`views`", "at least 1", "0"]),
        ({"patience": -1}, ValueError, ["`patience`", "-1"]),
        ({"seed": -1}, ValueError, ["`seed`", "-1"]),
        ({"batch_norm": "frozen"}, ValueError, ["`batch_norm`", "'inference' or 'train'", "'frozen'"]),
        ({"feature_dtype": "float64"}, ValueError, ["`feature_dtype`", "'float64'"]),
        ({"augmentation": np.flip}, TypeError, ["`augmentation`", "Lambda"]),
        ({"callbacks": keras.callbacks.EarlyStopping}, TypeError, ["`callbacks`", "a Keras callback"]),
        ({"folder": 3}, TypeError, ["`folder`", "3"]),
        ({"folder": __file__}, ValueError, ["`folder`", "a name that does not exist yet", "test_transfer.py"]),
    ],
)
def test_bad_arguments_of_fit_stages_are_refused_by_name(shared, arguments, error, words):
    arguments = {"stages": STAGES, "data": (X, Y)} | arguments
    with pytest.raises(error) as caught:
        train(shared, **arguments)
    for word in ["of `fit_stages`", "Received: ", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize("cache_features", [True, False])
def test_the_head_may_be_a_model_of_its_own_and_the_largest_model_is_the_backbone(cache_features):
    # From zeros: random features give answers of exactly 0 or 1, which have no gradient on JAX and PyTorch.
    dense = layers.Dense(3, "softmax", kernel_initializer="zeros")
    head = keras.Sequential([layers.GlobalAveragePooling2D(), dense])
    model = keras.Sequential([keras.Input((16, 16, 3)), tiny_backbone(), head])
    # Copies: on JAX and PyTorch these arrays may be the memory in which the weights are trained.
    before = [[weight.copy() for weight in part.get_weights()] for part in (model.layers[0], head.layers[-1])]
    row = train(model, [Stage("head", epochs=1)], cache_features=cache_features).rows[0]
    assert row.trainable_params == head.count_params()
    assert (row.extracted_images is None) is not cache_features
    for old, new in zip(before[0], model.layers[0].get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not np.array_equal(before[1][0], head.layers[-1].get_weights()[0])


def test_preprocessing_that_is_a_model_is_not_the_backbone():
    preprocessing = keras.Sequential([layers.Rescaling(1 / 127.5, -1)], name="preprocessing")
    backbone = tiny_backbone()
    assert TransferModel(backbone, 2, preprocess_input=preprocessing).backbone is backbone


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: "MobileNetV2", TypeError, ["a Keras model", "'MobileNetV2'"]),
        (lambda: Subclassed(), ValueError, ["with the backbone as one of its layers", "without a model"]),
        (lambda: tiny_backbone(), ValueError, ["with the backbone as one of its layers", "tiny, without a model"]),
        (lambda: keras.Sequential([keras.Input((16, 16, 3)), tiny_backbone()]), ValueError, ["a head", "Dense"]),
        (
            lambda: keras.Sequential([keras.Input((16, 16, 3)), tiny_backbone(), layers.Flatten()]),
            ValueError,
            ["a head", "Dense"],
        ),
    ],
)
def test_a_model_without_backbone_or_classifier_is_refused(make, error, words):
    with pytest.raises(error) as caught:
        train(make())
    for word in ["`model` of `fit_stages`", *words]:
        assert word in str(caught.value)


def test_images_of_another_size_than_a_plain_model_takes_are_refused():
    inputs = keras.Input((16, 16, 3))
    model = keras.Model(inputs, layers.Dense(3, "softmax")(layers.Flatten()(tiny_backbone()(inputs))))
    with pytest.raises(ValueError, match=r"`data` of `fit_stages` .*input shape \(16, 16, 3\).*\(24, 8, 16, 3\)"):
        train(model, data=(X[:, :8], Y))


def test_a_number_of_blocks_needs_layers_named_by_blocks():
    model = TransferModel(tiny_backbone(names="part_{}x"), 3)
    with pytest.raises(ValueError, match="`unfreeze_from` of `fit_stages` must be the name of a layer or a share"):
        train(model, [Stage("last", 2)])
    assert train(model, [Stage("last", "part_3x_conv1", epochs=1)]).rows[0].epochs == 1


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: blocks("VGG16"), TypeError, ["`backbone` of `blocks`", "'VGG16'"]),
        (lambda: blocks(tiny_backbone(names="part_{}x")), ValueError, ["`backbone` of `blocks`", "0.3"]),
        (lambda: truncate(3, "block1"), TypeError, ["`backbone` of `truncate`", "3"]),
        (
            lambda: truncate(keras.Sequential([layers.Dense(1)]), "x"),
            ValueError,
            ["`backbone` of `truncate`", "built"],
        ),
        (lambda: truncate(tiny_backbone(), 2), TypeError, ["`after` of `truncate`", "2"]),
        (lambda: truncate(tiny_backbone(), "mixed5"), ValueError, ["`after` of `truncate`", "block1", "'mixed5'"]),
        (
            lambda: truncate(tiny_backbone(names="part_{}x"), "mixed5"),
            ValueError,
            ["`after` of `truncate`", "`layers` of the model"],
        ),
    ],
)
def test_bad_arguments_of_blocks_and_truncate_are_refused_by_name(call, error, words):
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_a_loss_that_is_no_number_stops_the_stage():
    model = build()
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel * np.nan, bias])
    with pytest.raises(FloatingPointError, match="the loss became nan"):
        train(model, [Stage("all", epochs=1)], validation_split=0)


# Real weights


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.skipif(not REAL_DATA, reason="KERASCV_COURSE_DATA is not set: no real CIFAR-10 to read")
def test_real_features_beat_random_ones_on_real_images(monkeypatch, traced):
    monkeypatch.setenv("KERASCV_COURSE_DATA", REAL_DATA)
    weights = find_backbone_weights("MobileNetV2", (96, 96), download="never")
    if find_cifar10() is None or weights is None:
        pytest.skip("KERASCV_COURSE_DATA holds no CIFAR-10 or no weights of MobileNetV2")
    data = load_cifar10().subset(per_class=20, test_per_class=20)
    accuracies = []
    for source in (weights.path, None):
        keras.utils.set_random_seed(0)
        model = TransferModel("MobileNetV2", 10, image_size=96, weights=source)
        results = fit_stages(model, [Stage("head", epochs=20)], data, validation_split=0, verbose=0)
        accuracies.append(results.rows[0].test_accuracy)
    assert accuracies[0] >= accuracies[1] + 0.2
