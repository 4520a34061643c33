"""Training in stages of models that a student brings: built in any way, compiled or not, with any usual end."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerascv_course import training
from kerascv_course.datasets.split import split_indices
from kerascv_course.transfer import Stage, fit_stages, unfreeze_sweep

pytestmark = pytest.mark.usefixtures("eager")

SIDE = 12
Y = np.arange(24) % 2
X = (np.random.default_rng(0).integers(0, 60, (24, SIDE, SIDE, 3)) + 120 * Y[:, None, None, None]).astype("uint8")
LABELS = np.stack([Y, 1 - Y, np.arange(24) // 2 % 2], axis=1)
HEAD, LAST = Stage("head", learning_rate=0.05, epochs=1), Stage("last", "block2_conv1", 0.01, epochs=1)
ON_TENSORFLOW = keras.config.backend() == "tensorflow"


def make_base(name="base", regularizer=None, before=()):
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((SIDE, SIDE, 3))
    for layer in before:
        x = layer(x)
    for block in ("block1", "block2"):
        x = layers.Conv2D(4, 3, activation="relu", kernel_regularizer=regularizer, name=f"{block}_conv1")(x)
        x = layers.MaxPooling2D(name=f"{block}_pool")(x)
    return keras.Model(inputs, x, name=name)


def make_head(end=None):
    keras.utils.set_random_seed(1)
    return [layers.GlobalAveragePooling2D(), end or layers.Dense(2, "softmax", name="out")]


class Subclassed(keras.Model):
    def __init__(self, base, head):
        super().__init__()
        self.scale, self.base = layers.Rescaling(1 / 127.5, -1), base
        self.pool, self.out = head

    def call(self, images):
        return self.out(self.pool(self.base(self.scale(images))))


def scaled(*parts):
    return keras.Sequential([layers.Rescaling(1 / 127.5, -1), *parts])


def linked(base, head):
    model = scaled(base, *head)
    model.build((None, SIDE, SIDE, 3))
    return model


def flat(base, head):
    """Return a model of the layers of the backbone and of the head, as the guides of Keras make it."""
    x = base.output
    for layer in head:
        x = layer(x)
    return keras.Model(base.input, x)


def train(model, stages=(HEAD, LAST), data=(X, Y), **options):
    return fit_stages(model, stages, data, **{"batch_size": 9, "validation_split": 0.25, "verbose": 0} | options)


def held_out(seed=0):
    return split_indices("test", "share", Y, 0.25, seed)[1]


def cross_entropy(probabilities, labels):
    return -np.log(probabilities[np.arange(len(labels)), labels]).mean()


BUILDS = {
    "not built": (lambda base, head: scaled(base, *head), {}),
    "nothing of it built": (
        lambda base, head: keras.Sequential([scaled(), base, keras.Sequential(head)]),
        {},
    ),
    "head of its own": (lambda base, head: linked(base, [keras.Sequential(head)]), {}),
    "named": (linked, {"backbone": "base"}),
    "given": (linked, {"backbone": None}),
    "subclassed": (Subclassed, {}),
    "subclassed, named": (Subclassed, {"backbone": "base"}),
    "flat, by its last layer": (flat, {"backbone": "block2_pool"}),
    "flat, by the model": (flat, {"backbone": None}),
    "normalized before": (
        lambda base, head: keras.Sequential(
            [keras.Sequential([layers.Normalization(mean=127.5, variance=127.5**2)], name="first"), base, *head]
        ),
        {},
    ),
}


@pytest.fixture(scope="module")
def expected(in_advance):
    """Return the weights of a plain model of linked layers, after both stages on images."""
    with in_advance():
        model = linked(make_base(), make_head())
        train(model, cache_features=False)
        return model.get_layer("base").get_weights(), model.layers[-1].get_weights()


SLOW = ("nothing of it built", "named", "given", "subclassed, named", "normalized before")


@pytest.mark.parametrize("kind", [pytest.param(k, marks=[pytest.mark.slow] * (k in SLOW)) for k in BUILDS])
def test_however_a_model_is_put_together_the_same_weights_are_trained(kind, expected):
    build, options = BUILDS[kind]
    before = [layers.Rescaling(1 / 127.5, -1)] if build is flat else ()
    base, head = make_base(before=before), make_head()
    options = {name: base if value is None else value for name, value in options.items()}
    rows = train(build(base, head), **options).rows
    assert [row.trainable_params for row in rows] == [10, 10 + 148]
    assert (rows[0].extracted_images is None) == ("subclassed" in kind)
    for found, wanted in zip(
        [*base.get_weights(), *head[1].get_weights()], [*expected[0], *expected[1]], strict=True
    ):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_pattern_of_the_guides_is_told_what_to_write_and_then_works():
    model = flat(make_base(), make_head())
    with pytest.raises(ValueError, match="Name the last layer of the backbone: `backbone='block2_conv1'`"):
        train(model)
    before = model.get_layer("block2_conv1").get_weights()[0]
    assert train(model, [HEAD], backbone="block2_conv1").rows[0].trainable_params == 10
    np.testing.assert_array_equal(model.get_layer("block2_conv1").get_weights()[0], before)


@pytest.mark.slow
def test_a_head_with_more_weights_than_the_backbone_is_no_backbone():
    head = keras.Sequential([layers.Flatten(), layers.Dense(400, "relu")])
    model = linked(make_base(), [head, layers.Dense(2, "softmax")])
    assert head.count_params() > model.get_layer("base").count_params()
    assert train(model, [HEAD]).rows[0].frozen_params == model.get_layer("base").count_params()


@pytest.mark.parametrize(
    ("backbone", "error", "words"),
    [
        ("block9", ValueError, ["'block9'", "Such are: 'base'"]),
        (make_base("other"), ValueError, ["'other'", "It is no part of"]),
        (3, TypeError, ["the name of a layer", "backbone=3"]),
    ],
)
def test_a_backbone_that_is_none_is_refused(backbone, error, words):
    with pytest.raises(error) as caught:
        train(linked(make_base(), make_head()), backbone=backbone)
    for word in ["`backbone` of `fit_stages`", *words]:
        assert word in str(caught.value)


@pytest.mark.slow
def test_a_sweep_takes_the_flat_pattern_too():
    model = flat(make_base(), make_head())
    rows = unfreeze_sweep(model, (X, Y), backbone="block2_pool", epochs=1, validation_split=0.25, verbose=0).rows
    assert [row.trainable_params for row in rows] == [10, 10 + 112, 10 + 112 + 148]


# Ends


@pytest.mark.parametrize("kind", ["sequential", "subclassed"])
@pytest.mark.parametrize("units", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_logits_are_trained_with_their_cross_entropy(kind, units):
    build = linked if kind == "sequential" else Subclassed
    model = build(make_base(), make_head(layers.Dense(units)))
    row = train(model, test_data=(X, Y)).rows[-1]
    logits = model.predict_on_batch(X)
    logits = np.concatenate([0 * logits, logits], axis=1) if units == 1 else logits
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert row.val_loss == pytest.approx(cross_entropy(shares[held_out()], Y[held_out()]), rel=1e-3)
    assert row.test_accuracy == np.mean(shares.argmax(axis=1) == Y)


@pytest.mark.parametrize("activation", ["sigmoid", pytest.param(None, marks=pytest.mark.slow)])
def test_several_labels_are_trained_with_binary_cross_entropy(activation):
    model = linked(make_base(), make_head(layers.Dense(3, activation)))
    row = train(model, data=(X, LABELS), validation_data=(X[:6], LABELS[:6]), test_data=(X, LABELS)).rows[-1]
    answers = model.predict_on_batch(X)
    answers = answers if activation else 1 / (1 + np.exp(-answers))
    right = np.where(LABELS == 1, answers, 1 - answers)
    assert row.val_loss == pytest.approx(-np.log(right[:6]).mean(), rel=1e-3)
    assert (row.val_accuracy, row.test_accuracy) == pytest.approx(((right[:6] > 0.5).mean(), (right > 0.5).mean()))


@pytest.mark.parametrize(
    "labels", [Y, Y[:, None], LABELS[:, :2], LABELS + 1], ids=["classes", "column", "two", "2"]
)
def test_labels_that_do_not_fit_several_sigmoid_units_are_refused_before_training(labels):
    model = linked(make_base(), make_head(layers.Dense(3, "sigmoid")))
    with pytest.raises(ValueError, match=r"`data\[1\]` of `fit_stages` must be rows of 3 zeros and ones"):
        train(model, data=(X, labels))


@pytest.mark.slow
@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_one_half_is_yes_on_held_out_and_test_images_alike(activation):
    model = linked(make_base(), make_head(layers.Dense(1, activation, kernel_initializer="zeros")))
    stage = Stage("head", learning_rate=1e-30, epochs=1)
    yes = (X, np.ones_like(Y))
    row = train(model, [stage], yes, validation_data=yes, test_data=yes).rows[0]
    assert row.test_accuracy == 1
    if activation:  # Keras takes no threshold of 0 for logits
        assert row.val_accuracy == 1


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (layers.Dense(1, "softmax"), ["a softmax over one unit", 'Dense(1, "sigmoid")']),
        (layers.Dense(2, "relu"), ["softmax", "sigmoid units", "logits", "ends otherwise"]),
    ],
)
@pytest.mark.filterwarnings("ignore:You are using a softmax")
def test_an_end_that_no_classifier_has_is_refused(end, words):
    with pytest.raises(ValueError, match="`model` of `fit_stages`") as caught:
        train(linked(make_base(), make_head(end)))
    for word in words:
        assert word in str(caught.value)


# What is compared


def test_stages_are_compared_without_what_regularizers_add():
    """The backbone's regularizer counts in the loss of the second stage alone, and is larger than its gain."""
    base = make_base(regularizer=keras.regularizers.L2(1.0))
    model = linked(base, make_head())
    results = train(model, [HEAD, Stage("all", learning_rate=0.01, epochs=3)])
    first, second = results.rows
    losses = results.histories["2 all"]
    answers = model.predict_on_batch(X)[held_out()]
    assert losses["val_loss"][-1] > first.val_loss > second.val_loss
    assert second.improved
    assert second.val_loss == pytest.approx(cross_entropy(answers, Y[held_out()]), rel=1e-3)
    assert second.val_loss == min(losses["val_data_loss"])


# What is kept of the caller's


def doubled(truth, answers):
    return 2 * keras.losses.sparse_categorical_crossentropy(truth, answers)


@pytest.mark.parametrize(
    "metrics",
    [
        ["acc"],
        *(pytest.param(m, marks=pytest.mark.slow) for m in ([keras.metrics.SparseCategoricalAccuracy()], None)),
    ],
)
def test_a_compiled_model_keeps_its_optimizer_loss_and_metrics(metrics):
    model = linked(make_base(), make_head())
    model.compile(keras.optimizers.SGD(momentum=0.5, clipnorm=1.0), doubled, metrics=metrics)
    results = train(model)
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    assert (model.optimizer.momentum, model.optimizer.clipnorm) == (0.5, 1.0)
    assert float(ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(LAST.learning_rate)
    answers = model.predict_on_batch(X)[held_out()]
    row = results.rows[-1]
    assert row.val_loss == pytest.approx(2 * cross_entropy(answers, Y[held_out()]), rel=1e-3)
    right = np.mean(answers.argmax(axis=1) == Y[held_out()])
    assert row.val_accuracy == (pytest.approx(right) if metrics else None)


@pytest.mark.slow
@pytest.mark.parametrize("labels", [Y, np.eye(2)[Y]])
@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", keras.losses.CategoricalCrossentropy()])
def test_class_numbers_and_one_hot_labels_fit_either_loss(labels, loss):
    model = linked(make_base(), make_head())
    model.compile("sgd", loss, metrics=["accuracy"])
    row = train(model, [HEAD], (X, labels), test_data=(X, labels)).rows[0]
    assert row.test_accuracy == np.mean(model.predict_on_batch(X).argmax(axis=1) == Y)


def mean_answer(truth, answers):
    return ops.mean(answers)


@pytest.mark.slow
def test_metrics_that_keras_cannot_write_are_kept_and_need_images():
    model = linked(make_base(), make_head())
    model.compile("adam", "sparse_categorical_crossentropy", metrics=[mean_answer])
    results = train(model, [HEAD])
    assert "val_mean_answer" in results.histories["1 head"]
    assert results.notes[0] == "Trained on images in all stages: its metrics are no ones that Keras can write."
    with pytest.raises(
        ValueError, match="`model` of `fit_stages` must be compiled with metrics that Keras can write"
    ):
        train(model, [HEAD], augmentation=layers.RandomFlip())


@pytest.mark.slow
def test_class_weights_and_callbacks_reach_every_stage():
    """By hand: one stage on images is `training.fit` of a model whose backbone is frozen."""
    weights, model, other = {0: 1.0, 1: 7.0}, linked(make_base(), make_head()), linked(make_base(), make_head())
    seen = []
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    results = train(model, [HEAD, LAST], class_weight=weights, callbacks=note)
    assert seen == [0, 0]
    assert results.notes[0] == "Trained on images in all stages: LambdaCallback may look at the whole model."
    for trainable, rate in (((False, False), 0.05), ((False, True), 0.01)):
        for layer, is_trained in zip(other.get_layer("base").layers[1::2], trainable, strict=True):
            layer.trainable = is_trained
        other.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        training.fit(
            other,
            (X, Y),
            epochs=1,
            batch_size=9,
            validation_split=0.25,
            patience=1,
            class_weight=weights,
            verbose=0,
        )
    for found, wanted in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(found, wanted, atol=0 if ON_TENSORFLOW else 1e-5)


@pytest.mark.slow
def test_figures_may_be_watched_while_the_head_is_trained_on_features():
    stop = keras.callbacks.EarlyStopping(monitor="loss", min_delta=100, patience=1)
    row = train(linked(make_base(), make_head()), [Stage("head", epochs=5)], callbacks=[stop]).rows[0]
    assert (row.epochs, row.extracted_images) == (2, 24)


class TimeLimit(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


@pytest.mark.slow
def test_a_stage_that_a_callback_stops_is_gone_on_with(tmp_path):
    stages = [Stage("head", epochs=3), Stage("all", epochs=1)]
    model, whole = linked(make_base(), make_head()), linked(make_base(), make_head())
    stopped = train(model, stages, callbacks=TimeLimit(), folder=tmp_path)
    assert [row.epochs for row in stopped.rows] == [1]
    assert stopped.notes[-1] == "A callback stopped stage 'head': the same call, made again, goes on in it."
    again = train(linked(make_base(), make_head()), stages, cache_features=False, folder=tmp_path)
    assert [row.epochs for row in again.rows] == [3, 1]
    expected = train(whole, stages, cache_features=False)
    assert again.histories["2 all"]["val_loss"] == pytest.approx(expected.histories["2 all"]["val_loss"], rel=1e-4)


@pytest.mark.slow
def test_without_a_folder_the_next_stage_follows_one_that_a_callback_stops():
    results = train(linked(make_base(), make_head()), [Stage("head", epochs=3), LAST], callbacks=TimeLimit())
    assert [row.epochs for row in results.rows] == [1, 1]


@pytest.mark.slow
def test_other_compile_arguments_are_another_run(tmp_path):
    for rate in (0.5, 0.9):
        model = linked(make_base(), make_head())
        model.compile(keras.optimizers.SGD(momentum=rate), "sparse_categorical_crossentropy")
        if rate == 0.5:
            train(model, [HEAD], folder=tmp_path)
        else:
            with pytest.raises(ValueError, match=r"same compile arguments"):
                train(model, [HEAD], folder=tmp_path)
