"""Unfreezing block by block, and weights from another task: what is trained, what stays, what is kept."""

import random
import shutil

import keras
import numpy as np
import pytest
from keras import layers

from kerascv_course.datasets import ImageDataset
from kerascv_course.transfer import TransferModel, pretrain, unfreeze_sweep

RNG = np.random.default_rng(0)
LABELS = np.arange(48) % 3
IMAGES = RNG.integers(0, 90, (48, 16, 16, 1)).astype("uint8") + (LABELS * 80).astype("uint8")[:, None, None, None]
TRAIN, HELD_OUT, TEST = ((IMAGES[part], LABELS[part]) for part in (slice(24), slice(24, 36), slice(36, 48)))
DATA = ImageDataset(*TRAIN, *TEST, ("dark", "grey", "light"), "shades", "a generator")
PARAMS = {"block1": 1 * 9 * 4, "block2": 4 * 9 * 4, "block3": 4 * 9 * 4}  # of the convolutions
HEAD = 4 * 3 + 3


def scale(images):
    return images / 255


def build_backbone(size=16):
    x = inputs = keras.Input((size, size, 1))
    for name in ("block1_conv1", "block2_conv1", "block3_conv1"):
        x = layers.Conv2D(4, 3, padding="same", use_bias=False, name=name)(x)
        x = layers.BatchNormalization(momentum=0.5, name=name.replace("conv", "bn"))(x)
        x = layers.ReLU(name=name.replace("conv", "relu"))(x)
    x = layers.MaxPooling2D(name="block4_pool")(x)  # a block without weights
    return keras.Model(inputs, x, name="toy")


def build_model(dropout=0.0):
    keras.utils.set_random_seed(5)
    return TransferModel(build_backbone(), 3, preprocess_input=scale, dropout=dropout)


def sweep(model, data=TRAIN, **options):
    defaults = {"epochs": 2, "batch_size": 12, "learning_rate": 0.01, "validation_data": HELD_OUT, "verbose": 0}
    return unfreeze_sweep(model, data, **(defaults | options))


def named_weights(model):
    """Return copies of all weights by layer and name."""
    everything = {**{layer.name: layer for layer in model.backbone.layers}, "head": model.layers[-1]}
    return {
        f"{name}/{weight.name}": value
        for name, layer in everything.items()
        for weight, value in zip(layer.weights, layer.get_weights(), strict=True)
    }


@pytest.fixture
def after_steps(monkeypatch):
    """Collect the weights at the end of each training, before the sweep puts the old ones back."""
    found, fit = [], keras.Model.fit

    def recorded(model, *args, **options):
        history = fit(model, *args, **options)
        inner = [layer for layer in model.layers if isinstance(layer, TransferModel)]  # behind an augmentation
        found.append(named_weights([*inner, model][0]))
        return history

    monkeypatch.setattr(keras.Model, "fit", recorded)
    return found


def trained_by_hand(model, prefixes, epochs, seed):
    """Freeze with a loop, train batch by batch, and keep the weights with the least validation loss."""
    model.backbone.trainable = True
    for layer in model.backbone.layers:
        if isinstance(layer, layers.BatchNormalization) or not layer.name.startswith(prefixes):
            layer.trainable = False
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", run_eagerly=True)
    x, y = TRAIN
    losses, kept = [], []
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(y))
        for start in range(0, len(y), 12):
            batch = order[start : start + 12]
            model.train_on_batch(x[batch], y[batch])
        losses.append(model.evaluate(*HELD_OUT, verbose=0))
        kept.append(model.get_weights())
    model.set_weights(kept[int(np.argmin(losses))])
    return model


# ------------------------------------------------------------------------------------------------ the sweep
@pytest.mark.smoke
@pytest.mark.parametrize(
    ("start", "step", "prefixes"), [("input", 1, ("block1",)), ("head", 2, ("block2", "block3"))]
)
def test_a_step_gives_bit_for_bit_what_loops_over_layer_trainable_give(eager, after_steps, start, step, prefixes):
    results = sweep(build_model(), start=start, steps=[step], epochs=2, seed=4, test_data=TEST)
    by_hand = trained_by_hand(build_model(), prefixes, 2, seed=4)
    for name, weight in named_weights(by_hand).items():
        np.testing.assert_array_equal(after_steps[0][name], weight, err_msg=name)
    (row,) = results.rows
    for accuracy, (x, y) in ((row.val_accuracy, HELD_OUT), (row.test_accuracy, TEST)):
        assert accuracy == pytest.approx(np.mean(by_hand.predict(x, verbose=0).argmax(axis=1) == y))


def test_what_is_frozen_keeps_every_bit_and_what_is_not_changes(eager, after_steps):
    model = build_model(dropout=0.5)
    before = named_weights(model)
    sweep(model, steps=[0, 2], epochs=1)
    for after, unfrozen in zip(after_steps, ([], ["block1", "block2"]), strict=True):
        changed = {name for name in before if not np.array_equal(before[name], after[name])}
        assert changed == {"head/kernel", "head/bias", *(f"{name}_conv1/kernel" for name in unfrozen)}


def test_every_step_starts_from_the_same_weights_and_seed(eager, after_steps):
    model = build_model(dropout=0.5)
    sweep(model, steps=[3, 1], epochs=1)
    sweep(model, steps=[1], epochs=1)
    for name, weight in after_steps[1].items():
        np.testing.assert_array_equal(after_steps[2][name], weight, err_msg=name)


def test_afterwards_the_model_has_its_weights_again_is_trainable_and_compiled(eager):
    model = build_model()
    model.backbone.layers[1].trainable = False  # as an earlier training may have left it
    before = model.get_weights()
    sweep(model, steps=[1], epochs=1)
    for weight, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert all(layer.trainable for layer in [*model.layers, *model.backbone.layers])
    frozen = 2 * 4 * 3  # mean and variance of three batch normalizations
    assert sum(np.prod(weight.shape) for weight in model.trainable_weights) == model.count_params() - frozen
    model.train_on_batch(*TRAIN)
    assert any(not np.array_equal(*pair) for pair in zip(model.get_weights(), before, strict=True))


def test_after_a_training_that_fails_the_model_has_its_weights_again_too(eager):
    model = build_model()
    before = model.get_weights()
    with pytest.raises(FloatingPointError, match="the loss became"):
        sweep(model, steps=[3], learning_rate=1e30)
    for weight, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert model.backbone.trainable


def no_training(*args, **options):
    history = keras.callbacks.History()
    history.history = {name: [0.5] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
    return history


@pytest.mark.parametrize("start", ["input", "head"])
def test_by_default_every_number_of_blocks_with_weights_is_a_step(monkeypatch, start):
    monkeypatch.setattr(keras.Model, "fit", no_training)
    model = build_model()
    results = sweep(model, DATA, start=start)
    names = ["block1", "block2", "block3"] if start == "input" else ["block3", "block2", "block1"]
    assert [row.unfrozen_blocks for row in results.rows] == [0, 1, 2, 3]
    more = ["block1..block2", "block1..block3"] if start == "input" else ["block2..block3", "block1..block3"]
    assert [row.stage for row in results.rows] == list(results.histories) == ["none", names[0], *more]
    assert more[0] in str(results)
    trained = [HEAD + sum(PARAMS[name] for name in names[:number]) for number in range(4)]
    assert [row.trainable_params for row in results.rows] == trained
    assert {row.trainable_params + row.frozen_params for row in results.rows} == {model.count_params()}


def test_a_data_set_brings_its_test_images_and_nothing_needs_to_be_held_out(eager, capsys):
    results = sweep(build_model(), DATA, steps=range(1), epochs=1, validation_data=None, validation_split=0)
    assert capsys.readouterr().out == ""  # with verbose=0
    (row,) = results.rows
    assert row.val_accuracy is None
    assert row.test_accuracy in {count / len(TEST[1]) for count in range(len(TEST[1]) + 1)}
    assert "Nothing was held out: the last weights are taken." in results.notes


def test_augmentation_changes_the_training_images(eager, after_steps):
    model = build_model()
    before = named_weights(model)["block1_conv1/kernel"]
    black = layers.Rescaling(0.0)  # a kernel that sees only zeros has no gradient
    sweep(model, steps=[1], epochs=1, augmentation=black)
    np.testing.assert_array_equal(after_steps[0]["block1_conv1/kernel"], before)


def test_any_functional_model_with_a_backbone_will_do(eager):
    inputs = keras.Input((16, 16, 1))
    x = layers.GlobalMaxPooling2D()(build_backbone()(scale(inputs)))
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))
    pair = (TRAIN[0], (TRAIN[1] > 0).astype("int64"))
    (row,) = sweep(model, pair, steps=[1], epochs=1, validation_data=None, validation_split=0.25).rows
    assert row.trainable_params == 4 + 1 + PARAMS["block1"]
    assert 0 <= row.val_accuracy <= 1


def test_notes_name_the_weights_the_start_and_the_batch_normalization(monkeypatch):
    monkeypatch.setattr(keras.Model, "fit", no_training)
    text = " ".join(sweep(build_model(), steps=[0], start="head").notes)
    for part in ("Weights of the backbone: the model that was given", "from the head on", "stays frozen"):
        assert part in text


@pytest.fixture(scope="module")
def frozen():
    model = build_model()
    model.backbone.trainable = False
    return model


def unnamed():
    return TransferModel(keras.Sequential([keras.Input((16, 16, 1)), layers.Conv2D(2, 3, name="first")]), 3)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"model": "toy"}, TypeError, "`model` of `unfreeze_sweep` must be a Keras model"),
        ({"model": build_backbone()}, ValueError, "`model` of `unfreeze_sweep` must be a model with the backbone"),
        ({"model": unnamed()}, ValueError, "`model` of `unfreeze_sweep` must be .* named by blocks"),
        ({"start": "output"}, ValueError, "`start` of `unfreeze_sweep` must be 'input' or 'head'"),
        ({"steps": 2}, TypeError, "`steps` of `unfreeze_sweep` must be a list"),
        ({"steps": []}, ValueError, "`steps` of `unfreeze_sweep` must be a list of one or more distinct"),
        ({"steps": [1, 1]}, ValueError, "distinct integers from 0 to 3"),
        ({"steps": [0.5]}, TypeError, "`steps` of `unfreeze_sweep` must be an integer"),
        ({"steps": [4]}, ValueError, "an integer from 0 to 3"),
        ({"steps": [-1]}, ValueError, "an integer from 0 to 3"),
        ({"epochs": 0}, ValueError, "`epochs` of `unfreeze_sweep`"),
        ({"views": 2}, ValueError, "`options` of `unfreeze_sweep` must be 'backbone' or|, 'seed' or 'verbose'"),
        ({"learning_rate": 0}, ValueError, "`learning_rate` of `unfreeze_sweep` must be a number above 0"),
        ({"learning_rate": "fast"}, TypeError, "`learning_rate` of `unfreeze_sweep`"),
        ({"batch_size": 0}, ValueError, "`batch_size` of `unfreeze_sweep`"),
        ({"seed": -1}, ValueError, "`seed` of `unfreeze_sweep`"),
        ({"validation_data": None, "validation_split": 1.0}, ValueError, "`validation_split` of `unfreeze_sweep`"),
        ({"validation_data": 3}, TypeError, "`validation_data` of `unfreeze_sweep` must be a pair"),
        ({"test_data": TRAIN[0]}, TypeError, "`test_data` of `unfreeze_sweep` must be a pair"),
        ({"augmentation": scale}, TypeError, "`augmentation` of `unfreeze_sweep` must be a Keras layer"),
        (
            {"data": (TRAIN[0], TRAIN[1] + 1)},
            ValueError,
            r"`data\[1\]` of `unfreeze_sweep` must be labels from 0 to 2",
        ),
        ({"data": (scale(TRAIN[0]), TRAIN[1])}, ValueError, "`data` of `unfreeze_sweep` .* from 0 to 255"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_the_model_alone(frozen, options, error, words):
    with pytest.raises(error, match=words):
        sweep(**({"model": frozen, "data": TRAIN} | options))
    assert not any(layer.trainable for layer in frozen.backbone.layers)


# ------------------------------------------------------------------------------- weights from another task
def files(folder):
    return sorted(path.name for path in folder.iterdir())


def trained(backbone=None, data=DATA, **options):
    options = {"epochs": 1, "batch_size": 12, "preprocess_input": scale, "verbose": 0} | options
    return pretrain(backbone or build_backbone(), data, **options)


@pytest.mark.smoke
def test_the_second_call_loads_the_same_bits_whatever_the_backbone_held(eager, own_cache_folder, monkeypatch):
    first = trained(data=DATA).get_weights()
    assert len(files(own_cache_folder)) == 1

    def forbidden(*args, **options):
        raise AssertionError("trained again")

    monkeypatch.setattr(keras.Model, "fit", forbidden)
    keras.utils.set_random_seed(99)
    backbone = build_backbone()
    backbone.layers[1].trainable = False
    assert trained(backbone) is backbone
    for weight, expected in zip(backbone.get_weights(), first, strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert not backbone.layers[1].trainable
    assert backbone.layers[4].trainable


def test_training_again_gives_the_same_weights_and_takes_no_random_numbers(eager, own_cache_folder):
    found = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        backbone = build_backbone()
        state = random.getstate()
        found.append(trained(backbone).get_weights())
        assert random.getstate() == state
        shutil.rmtree(own_cache_folder)
    for first, second in zip(*found, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_damaged_file_is_named(eager, own_cache_folder):
    trained()
    (file,) = own_cache_folder.glob("*/*.weights.h5")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match=rf"{file.name} is damaged .* Delete that folder to train anew"):
        trained()


def test_an_interrupted_call_goes_on_and_ends_like_an_uninterrupted_one(eager, own_cache_folder, monkeypatch):
    expected = trained(epochs=3).get_weights()
    shutil.rmtree(own_cache_folder)
    fit = keras.Model.fit

    def stopped(*args, callbacks, **options):
        return fit(*args, callbacks=[*callbacks, keras.callbacks.LambdaCallback(on_epoch_end=stop)], **options)

    def stop(epoch, logs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "fit", stopped)
        with pytest.raises(KeyboardInterrupt):
            trained(epochs=3)
    for weight, other in zip(trained(epochs=3).get_weights(), expected, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_the_weights_have_learned_the_other_task_statistics_included(eager):
    backbone = trained(epochs=15, batch_size=24, learning_rate=0.02)

    def features(images):
        return keras.ops.convert_to_numpy(backbone(scale(images.astype("float32")))).mean(axis=(1, 2))

    centres = np.stack([features(TRAIN[0][TRAIN[1] == label]).mean(axis=0) for label in range(3)])
    distances = np.linalg.norm(features(TEST[0])[:, None] - centres, axis=2)
    assert np.mean(distances.argmin(axis=1) == TEST[1]) > 0.9
    moving = backbone.get_layer("block1_bn1").get_weights()[3]
    maps = keras.ops.convert_to_numpy(backbone.get_layer("block1_conv1")(scale(TRAIN[0].astype("float32"))))
    np.testing.assert_allclose(moving, maps.var(axis=(0, 1, 2)), rtol=0.2)


def other_images():
    return ImageDataset(255 - TRAIN[0], TRAIN[1], *TEST, DATA.class_names, "inverted", "a generator")


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 2},
        {"batch_size": 6},
        {"learning_rate": 0.01},
        {"seed": 1},
        {"preprocess_input": None},
        {"preprocess_input": lambda images: images / 127.5},
        {"data": other_images()},
        {"backbone": build_backbone(size=20)},
    ],
)
def test_another_setting_is_another_folder(eager, own_cache_folder, options):
    trained()
    trained(**options)
    assert len(files(own_cache_folder)) == 2


def test_names_of_layers_and_test_images_are_no_other_setting(eager, own_cache_folder):
    trained()
    trained(keras.models.clone_model(build_backbone()))
    trained(data=ImageDataset(*TRAIN, *HELD_OUT, DATA.class_names, "renamed", "elsewhere"))
    assert len(files(own_cache_folder)) == 1


@pytest.mark.parametrize("shape", [(24, 24, 1), (None, None, 3)])
def test_images_are_resized_and_grey_ones_repeated_as_the_backbone_wants_them(eager, shape):
    inputs = keras.Input(shape)
    backbone = keras.Model(inputs, layers.Conv2D(2, 3, strides=8, name="block1_conv")(inputs))
    before = backbone.get_weights()
    trained(backbone)
    assert not np.array_equal(backbone.get_weights()[0], before[0])


def colours():
    images = np.repeat(TRAIN[0], 3, axis=-1)
    return ImageDataset(images, TRAIN[1], images, TRAIN[1], DATA.class_names, "colours", "a generator")


def single_class():
    return ImageDataset(TRAIN[0], TRAIN[1] * 0, TEST[0], TEST[1] * 0, ("dark",), "one", "a generator")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"backbone": "MobileNetV2"}, TypeError, "`backbone` of `pretrain` must be a Keras model"),
        (
            {"backbone": keras.Sequential([layers.Dense(2)])},
            ValueError,
            "`backbone` of `pretrain` must be built",
        ),
        (
            {"backbone": keras.Sequential([keras.Input((4,)), layers.Dense(2)])},
            ValueError,
            "`backbone` of `pretrain` must be a model of one image",
        ),
        ({"data": TRAIN}, TypeError, "`data` of `pretrain` must be an `ImageDataset`"),
        ({"data": colours()}, ValueError, "`data` of `pretrain` must be images with 1 channels"),
        ({"data": single_class()}, ValueError, "`data` of `pretrain` must be a data set of two or more classes"),
        ({"epochs": 0}, ValueError, "`epochs` of `pretrain`"),
        ({"batch_size": 1.5}, TypeError, "`batch_size` of `pretrain`"),
        ({"learning_rate": 0}, ValueError, "`learning_rate` of `pretrain` must be a number above 0"),
        ({"preprocess_input": "scale"}, TypeError, "`preprocess_input` of `pretrain` must be a function or None"),
        ({"seed": -1}, ValueError, "`seed` of `pretrain`"),
    ],
)
def test_pretraining_refuses_what_does_not_fit(own_cache_folder, options, error, words):
    with pytest.raises(error, match=words):
        trained(**options)
    assert files(own_cache_folder) == []
