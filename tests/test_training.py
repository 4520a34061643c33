"""`fit`: what it trains, what it keeps, and that an interruption changes nothing."""

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from kerascv_course import training
from kerascv_course.datasets import ImageDataset
from kerascv_course.datasets.split import split_validation
from kerascv_course.experiment import compare

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 6)).astype("float32")
Y = (X[:, 0] + X[:, 1] > 0).astype("int64")
VALIDATION = (X[:20] + 0.1, Y[:20])


class Interruption(BaseException):
    """Stands for whatever ends a process: nothing in the package may catch it."""


def build_model(units=8, activation="relu", learning_rate=0.2, loss="sparse_categorical_crossentropy"):
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.GaussianNoise(0.1),
            layers.Dense(
                units, activation=activation, kernel_initializer=keras.initializers.GlorotUniform(seed=3)
            ),
            layers.Dropout(0.3),
            layers.Dense(2, activation="softmax", kernel_initializer=keras.initializers.GlorotUniform(seed=4)),
        ]
    )
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, decay_steps=100)
    model.compile(
        optimizer=keras.optimizers.SGD(schedule, momentum=0.9), loss=loss, metrics=["accuracy"], run_eagerly=True
    )
    return model


def run(model, folder=None, **options):
    options = {"epochs": 4, "batch_size": 60, "validation_data": VALIDATION, "seed": 1, "verbose": 0} | options
    return training.fit(model, (X, Y), folder=folder, **options)


def assert_same_run(model, history, expected_model, expected_history):
    assert history.history == expected_history.history
    assert history.epoch == expected_history.epoch
    for weight, expected in zip(model.get_weights(), expected_model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    for variable, expected in zip(model.optimizer.variables, expected_model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(variable), np.asarray(expected))


@pytest.fixture(scope="module")
def uninterrupted():
    model = build_model()
    return model, run(model, patience=3)


class RaiseAt(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.at = (epoch, batch)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise Interruption


@pytest.mark.smoke
def test_a_learnable_problem_is_learned_and_keras_own_history_returned():
    history = run(build_model(), epochs=10)
    assert isinstance(history, keras.callbacks.History)
    assert len(history.history["val_accuracy"]) == 10
    assert history.history["val_accuracy"][-1] >= 0.8
    assert history.history["val_loss"][-1] < 0.7 * history.history["val_loss"][0]


def test_two_runs_with_one_seed_are_equal_and_with_two_seeds_differ():
    first, second, third = build_model(), build_model(), build_model()
    history = run(first)
    keras.utils.set_random_seed(99)
    assert_same_run(second, run(second), first, history)
    assert run(third, seed=2).history["loss"] != history.history["loss"]


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="its `train_step` is that of TensorFlow")
def test_each_epoch_shows_every_image_once_in_an_order_of_its_own():
    seen = []

    class Watched(keras.Sequential):
        def train_step(self, data):
            seen.append(np.asarray(data[0])[:, 0])
            return super().train_step(data)

    def orders(seed):
        seen.clear()
        model = Watched([keras.Input((6,)), layers.Dense(2, activation="softmax")])
        model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy", run_eagerly=True)
        training.fit(model, (X, Y), epochs=2, batch_size=50, validation_split=0, seed=seed, verbose=0)
        return np.concatenate(seen).reshape(2, 120)

    first, second = orders(0)
    np.testing.assert_array_equal(np.sort(first), np.sort(X[:, 0]))
    np.testing.assert_array_equal(np.sort(second), np.sort(X[:, 0]))
    assert (first != second).any()
    np.testing.assert_array_equal(orders(0)[1], second)
    assert (orders(1)[0] != first).any()


@pytest.mark.smoke
@pytest.mark.parametrize(("epoch", "batch"), [(0, 0), (2, 0), (3, 1)])
def test_run_interrupted_in_an_epoch_ends_like_an_uninterrupted_one(tmp_path, uninterrupted, epoch, batch):
    expected, expected_history = uninterrupted
    with pytest.raises(Interruption):
        run(build_model(), tmp_path, patience=3, callbacks=[RaiseAt(epoch, batch)])
    resumed = build_model()
    assert_same_run(resumed, run(resumed, tmp_path, patience=3), expected, expected_history)


@pytest.mark.parametrize(
    "moment", [pytest.param(n, marks=[] if n in (3, 10, 17) else [pytest.mark.slow]) for n in range(1, 30)]
)
def test_run_interrupted_while_it_saves_ends_like_an_uninterrupted_one(
    tmp_path, monkeypatch, uninterrupted, moment
):
    expected, expected_history = uninterrupted
    steps = 0

    def interrupted(function):
        def wrapper(*args, **kwargs):
            nonlocal steps
            steps += 1
            if steps == moment:
                raise Interruption
            return function(*args, **kwargs)

        return wrapper

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted(os.replace))
        patch.setattr(Path, "unlink", interrupted(Path.unlink))
        patch.setattr(Path, "write_text", interrupted(Path.write_text))
        patch.setattr(keras.Model, "save_weights", interrupted(keras.Model.save_weights))
        try:
            run(build_model(), tmp_path, patience=3)
        except Interruption:
            pass
        else:
            pytest.skip(f"the run has fewer than {moment} steps of saving")
    resumed = build_model()
    assert_same_run(resumed, run(resumed, tmp_path, patience=3), expected, expected_history)


CHILD = """
import sys
import keras, numpy as np
from keras import layers
from kerascv_course import runtime, training

folder, hang_epoch = sys.argv[1], int(sys.argv[2])
runtime.seed_everything(0, deterministic=True)
rng = np.random.default_rng(0)
x, y = rng.random((64, 12, 12, 3)).astype("float32"), rng.integers(0, 3, 64)

class Hang(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == hang_epoch and batch == 1:
            print("hanging", flush=True)
            sys.stdin.read()

model = keras.Sequential([keras.Input((12, 12, 3)), layers.RandomFlip(), layers.Conv2D(8, 3, activation="relu"),
    layers.BatchNormalization(), layers.MaxPooling2D(2), layers.Flatten(),
    layers.Dropout(0.5), layers.Dense(3, activation="softmax")])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
training.fit(model, (x, y), epochs=3, batch_size=16, folder=folder, callbacks=[Hang()], verbose=0)
np.savez(sys.argv[3], *model.get_weights())
"""


@pytest.mark.slow
def test_killed_process_resumes_to_bit_equal_weights(tmp_path):
    def start(folder, hang_epoch, output):
        arguments = [sys.executable, "-c", CHILD, str(folder), str(hang_epoch), str(tmp_path / output)]
        return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    whole = start(tmp_path / "whole", -1, "whole.npz")
    for epoch in (0, 2):
        child = start(tmp_path / "killed", epoch, "never.npz")
        assert child.stdout.readline().strip() == "hanging"
        child.kill()
        child.communicate()
    last = start(tmp_path / "killed", -1, "killed.npz")
    for process in (whole, last):
        process.communicate()
        assert process.returncode == 0
    assert not (tmp_path / "never.npz").exists()
    with np.load(tmp_path / "whole.npz") as expected, np.load(tmp_path / "killed.npz") as resumed:
        assert len(expected.files) == 8
        for name in expected.files:
            np.testing.assert_array_equal(resumed[name], expected[name])


def test_finished_run_is_loaded_and_not_repeated(tmp_path):
    model, again = build_model(), build_model()
    history = run(model, tmp_path, patience=4)
    assert_same_run(again, run(again, tmp_path, patience=4, callbacks=[RaiseAt(0, 0)]), model, history)


def test_more_epochs_may_be_asked_for_later(tmp_path):
    expected, model = build_model(), build_model()
    expected_history = run(expected, epochs=5)
    run(build_model(), tmp_path, epochs=3)
    assert_same_run(model, run(model, tmp_path, epochs=5), expected, expected_history)


def test_early_stopping_goes_back_to_the_best_weights_and_stays_stopped(tmp_path):
    model, again = build_model(learning_rate=3.0), build_model(learning_rate=3.0)
    history = run(model, tmp_path, epochs=30, patience=2)
    losses = history.history["val_loss"]
    best = int(np.argmin(losses))
    assert len(losses) == best + 3 < 30
    assert model.evaluate(*VALIDATION, verbose=0)[0] == pytest.approx(losses[best], rel=1e-5)
    assert_same_run(again, run(again, tmp_path, epochs=30, patience=2), model, history)


def record_of(folder):
    return json.loads((folder / "kerascv_run.json").read_text(encoding="utf-8"))["record"]


def test_folder_holds_no_more_than_the_last_and_the_best_weights_and_those_that_were_given(tmp_path):
    run(build_model(learning_rate=1.0), tmp_path, epochs=8, patience=6)
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"kerascv_run.json"} | {file["name"] for file in record_of(tmp_path)["files"].values()}
    assert len(files) <= 4


def test_files_of_others_survive_also_where_a_run_is_overwritten(tmp_path):
    others = {name: name.encode() for name in ("mine.weights.h5", "run-1.weights.h5", "state.json", "best.keras")}
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
    run(build_model(), tmp_path, epochs=2)
    run(build_model(units=9), tmp_path, epochs=1, resume=False)
    assert {name: (tmp_path / name).read_bytes() for name in others} == others
    ours = {file["name"] for file in record_of(tmp_path)["files"].values()}
    assert {path.name for path in tmp_path.iterdir()} == {*others, *ours, "kerascv_run.json"}


class StopAfter(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.last = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.last:
            self.model.stop_training = True


def test_a_run_that_another_callback_stopped_goes_on(tmp_path, uninterrupted):
    assert len(run(build_model(), tmp_path, patience=3, callbacks=StopAfter(1)).epoch) == 2
    model = build_model()
    assert_same_run(model, run(model, tmp_path, patience=3), *uninterrupted)


def test_early_stopping_of_the_caller_is_gone_on_with_ends_the_run_and_gives_the_same_weights(tmp_path):
    def stopping():
        return keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)

    expected, model, again = (build_model(learning_rate=3.0) for _ in range(3))
    history = run(expected, epochs=30, callbacks=[stopping()])
    assert 2 < len(history.epoch) < 30
    with pytest.raises(Interruption):
        run(model, tmp_path, epochs=30, callbacks=[stopping(), RaiseAt(len(history.epoch) - 1, 0)])
    for each in (model, again):
        assert_same_run(each, run(each, tmp_path, epochs=30, callbacks=[stopping()]), expected, history)


class Halve(keras.callbacks.Callback):
    """Stands for all that changes weights when a training ends: averages, pruning, rounding."""

    def on_train_end(self, logs=None):
        self.model.set_weights([weight / 2 for weight in self.model.get_weights()])


def test_a_finished_run_gives_what_the_caller_got_and_goes_on_from_where_the_training_was(tmp_path):
    model, again, more, expected = (build_model() for _ in range(4))
    history = run(model, tmp_path, epochs=2, callbacks=[Halve()])
    assert_same_run(again, run(again, tmp_path, epochs=2), model, history)
    expected_history = run(expected, epochs=4)
    assert_same_run(more, run(more, tmp_path, epochs=4), expected, expected_history)


@pytest.mark.parametrize(
    "callbacks", [[Halve()], [keras.callbacks.EarlyStopping(patience=1, restore_best_weights=True)]]
)
def test_a_run_that_is_cut_off_after_its_last_epoch_is_ended_by_its_callbacks(tmp_path, callbacks):
    class Kill(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            raise Interruption

    expected, model, again = (build_model(learning_rate=3.0) for _ in range(3))
    history = run(expected, callbacks=callbacks)
    with pytest.raises(Interruption):
        run(build_model(learning_rate=3.0), tmp_path, callbacks=[Kill(), *callbacks])
    for each in (model, again):
        assert_same_run(each, run(each, tmp_path, callbacks=callbacks), expected, history)


@pytest.mark.parametrize(
    "callback",
    [
        lambda: keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=1, min_delta=10, factor=0.5),
        lambda: keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
    ],
)
def test_what_callbacks_of_keras_have_counted_is_gone_on_with(tmp_path, callback):
    def model():
        return plain_model(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))

    whole, cut = model(), model()
    history = run(whole, epochs=5, callbacks=callback())
    with pytest.raises(Interruption):
        run(model(), tmp_path, epochs=5, callbacks=[callback(), RaiseAt(3, 0)])
    assert_same_run(cut, run(cut, tmp_path, epochs=5, callbacks=callback()), whole, history)


def plain_model(optimizer="sgd"):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(2, "softmax", kernel_initializer="zeros")])
    model.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=True)
    return model


def test_a_rate_that_a_callback_changes_makes_no_other_run_and_another_rate_at_the_start_does(tmp_path):
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 * 0.5**epoch)
    run(plain_model(), tmp_path, epochs=2, callbacks=schedule)
    assert len(run(plain_model(), tmp_path, epochs=3, callbacks=schedule).epoch) == 3
    run(plain_model(keras.optimizers.SGD(0.1)), tmp_path / "other", epochs=1)
    with pytest.raises(ValueError, match=r"`folder` of `fit` .* same learning rate\."):
        run(plain_model(keras.optimizers.SGD(0.2)), tmp_path / "other", epochs=1)


def frozen_model(value):
    frozen = layers.Dense(4, trainable=False)
    model = keras.Sequential([keras.Input((6,)), frozen, layers.BatchNormalization(), layers.Dense(2, "softmax")])
    frozen.set_weights([np.full((6, 4), value), np.zeros(4)])
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    return model


def test_starting_weights_are_no_mark_of_a_run_and_those_that_are_not_trained_are(tmp_path):
    first = frozen_model(0.1)
    run(first, tmp_path, epochs=1)
    assert len(run(first, tmp_path, epochs=2).epoch) == 2  # its statistics have changed since
    assert len(run(frozen_model(0.1), tmp_path, epochs=3).epoch) == 3
    with pytest.raises(ValueError, match=r"`folder` of `fit` .* same weights that are not trained\."):
        run(frozen_model(0.2), tmp_path, epochs=3)


def test_what_cannot_be_compared_is_said_and_trained_anew(tmp_path):
    stream = iter(range(1000))

    def loss(true, predicted):
        return next(stream) * keras.losses.sparse_categorical_crossentropy(true, predicted)

    for _ in range(2):
        with pytest.warns(UserWarning, match=r"`fit`: an object of type .*iterator.* cannot be compared"):
            assert len(run(build_model(loss=loss), tmp_path, epochs=1).epoch) == 1
    assert next(stream) > 3  # both calls have trained


def test_class_weights_are_those_of_keras_and_a_mark_of_the_run(tmp_path):
    model, plain = plain_model(), plain_model()
    weights = {0: 3.0, 1: 0.5}
    run(model, tmp_path, epochs=1, batch_size=120, class_weight=weights, validation_data=None)
    plain.fit(X, Y, epochs=1, batch_size=120, class_weight=weights, shuffle=False, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], plain.get_weights()[0], atol=1e-6)
    with pytest.raises(ValueError, match=r"same class_weight\."):
        run(plain_model(), tmp_path, epochs=1, batch_size=120, validation_data=None)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2, activation="softmax")

    def call(self, x):
        return self.dense(x)


def test_a_subclassed_model_is_trained_and_its_run_gone_on_with(tmp_path):
    def subclassed():
        model = Subclassed()
        model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
        return model

    run(subclassed(), tmp_path, epochs=1)
    assert len(run(subclassed(), tmp_path, epochs=2).epoch) == 2


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished run, for calls that are refused."""
    folder = tmp_path_factory.mktemp("finished")
    run(build_model(), folder, epochs=2)
    return folder


@pytest.mark.parametrize(
    ("model_options", "fit_options", "named"),
    [
        ({"units": 9}, {}, "model"),
        ({"activation": "tanh"}, {}, "model"),
        ({"learning_rate": 0.01}, {}, "compile arguments"),
        ({}, {"batch_size": 20}, "batch_size"),
        ({}, {"seed": 5}, "seed"),
        ({}, {"patience": 3}, "patience"),
        ({}, {"validation_data": (X[:20], Y[:20])}, "validation data"),
    ],
)
def test_folder_of_another_run_is_refused_and_the_difference_named(finished, model_options, fit_options, named):
    with pytest.raises(ValueError, match=rf"`folder` of `fit` .* same .*{named}.*resume=False"):
        run(build_model(**model_options), finished, **fit_options)


@pytest.fixture(scope="module")
def half_a_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("half")
    run(build_model(learning_rate=0.05), folder, epochs=2, patience=3)
    return folder


@pytest.fixture(scope="module")
def fresh_run():
    fresh = build_model(learning_rate=0.05)
    return fresh, run(fresh, patience=3)


RECORD = "kerascv_run.json"


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        (RECORD, lambda content: content[:-20]),
        (RECORD, lambda content: b"\xff\xfe\x00"),
        (RECORD, lambda content: b"[1]"),
        (RECORD, lambda content: b"[" * 100_000),
        (RECORD, lambda content: content.replace(b'"epochs_done": 2', b'"epochs_done": 1')),
        ("state", lambda content: content[:-100]),
        ("state", lambda content: content[:2000] + b"\xff" + content[2001:]),
        ("best 0", lambda content: None),
    ],
)
def test_a_damaged_folder_is_named_and_the_model_left_as_it_was(tmp_path, half_a_run, fresh_run, kind, damage):
    shutil.copytree(half_a_run, tmp_path, dirs_exist_ok=True)
    name = kind if kind == RECORD else record_of(tmp_path)["files"][kind]["name"]
    content = damage((tmp_path / name).read_bytes())
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
    model = build_model(learning_rate=0.05)
    with pytest.raises(ValueError, match="`folder` of `fit` must be a folder whose files are whole") as caught:
        run(model, tmp_path, patience=3)
    for words in (str(tmp_path), f"{name} is damaged", "Pass `resume=False` to train anew, or name another"):
        assert words in str(caught.value)
    history = run(model, tmp_path, patience=3, resume=False)  # from the weights that it had before the damage
    assert_same_run(model, history, *fresh_run)


def test_the_folder_of_another_function_is_refused(tmp_path, finished):
    with pytest.raises(ValueError, match="whose run is one of `compare`, not of `fit`"):
        compare({"one": build_model}, (X, Y), epochs=1, seeds=(0,), folder=finished, verbose=0)


def test_resume_false_overwrites_the_run_of_the_folder(tmp_path):
    run(build_model(), tmp_path)
    model, expected = build_model(units=9), build_model(units=9)
    history = run(model, tmp_path, resume=False)
    assert_same_run(model, history, expected, run(expected))


def test_validation_split_holds_out_its_share_and_keeps_the_proportion_of_the_classes():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    images = np.arange(100.0).reshape(100, 1)
    (train, train_labels), (held_out, held_out_labels) = split_validation(images, labels, 0.2, seed=0)
    assert np.bincount(held_out_labels).tolist() == [12, 6, 2]
    assert np.bincount(train_labels).tolist() == [48, 24, 8]
    assert sorted([*train[:, 0], *held_out[:, 0]]) == list(range(100))
    np.testing.assert_array_equal(labels[held_out[:, 0].astype(int)], held_out_labels)


class LogANoteOnTracing(keras.callbacks.Callback):
    """Says what TensorFlow says of several short runs; in the process of the tests it says so twice at most."""

    def on_train_batch_end(self, batch, logs=None):
        logger = logging.getLogger("tensorflow")
        logger.warning("5 out of the last 5 calls to <function> triggered tf.function retracing. Tracing is")
        logger.warning("another message")


def test_notes_on_tracing_are_not_printed_and_other_messages_are(monkeypatch):
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = logging.getLogger("tensorflow")
    monkeypatch.setattr(logger, "filters", [])  # `runtime.setup` keeps these notes back for a whole session
    logger.addHandler(handler)
    try:
        run(build_model(), epochs=1, callbacks=[LogANoteOnTracing()])
        assert [record.getMessage() for record in records] == ["another message"] * 2
        logger.warning("triggered tf.function retracing")
    finally:
        logger.removeHandler(handler)
    assert len(records) == 3  # nothing stays filtered


def test_image_dataset_trains_as_its_arrays_do():
    images = RNG.integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(40) % 2
    names, held_out = ("even", "odd"), (images[:6], labels[:6])
    data = ImageDataset(images, labels, images[:4], labels[:4], names, "toy", "drawn", (), *held_out)

    def small():
        model = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                layers.Rescaling(1 / 255),
                layers.Flatten(),
                layers.Dense(2, "softmax", kernel_initializer="zeros"),
            ]
        )
        model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
        return model

    first, second = small(), small()
    history = training.fit(first, data, epochs=2, verbose=0)
    expected = training.fit(second, (images, labels), epochs=2, validation_data=held_out, verbose=0)
    assert history.history["val_loss"] == expected.history["val_loss"]
    np.testing.assert_array_equal(first.get_weights()[0], second.get_weights()[0])
    assert np.abs(first.get_weights()[0]).max() > 0


def test_nan_loss_stops_with_the_epoch_and_the_rate_and_is_not_saved(tmp_path):
    run(build_model(learning_rate=0.1), tmp_path, epochs=1)

    class Poison(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 1:
                self.model.layers[-1].set_weights([w * np.nan for w in self.model.layers[-1].get_weights()])

    with pytest.raises(
        FloatingPointError, match=r"loss became nan in epoch 2, with a learning rate of 0\.0"
    ) as caught:
        run(build_model(learning_rate=0.1), tmp_path, epochs=3, callbacks=[Poison()])
    assert "try a tenth of it" in str(caught.value)
    assert record_of(tmp_path)["values"]["epochs_done"] == 1


def test_nan_loss_stops_within_the_epoch():
    model = build_model()
    model.layers[-1].set_weights([w * np.nan for w in model.layers[-1].get_weights()])
    with pytest.raises(FloatingPointError, match="loss became nan at batch 1 of epoch 1"):
        run(model)


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="only there a call does several")
def test_nan_loss_stops_within_the_epoch_where_a_call_does_several_steps():
    model = build_model()
    compiled = {"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", "run_eagerly": False}
    model.compile(**compiled, steps_per_execution=3)
    model.layers[-1].set_weights([w * np.nan for w in model.layers[-1].get_weights()])
    with pytest.raises(FloatingPointError, match="loss became nan at batch 3 of epoch 1"):
        run(model, batch_size=10)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"model": "lenet"}, TypeError, ["`model` of `fit`", "a Keras model", "'lenet'"]),
        ({"model": keras.Sequential([layers.Dense(1)])}, ValueError, ["`model` of `fit`", "compiled", "compile("]),
        ({"data": X}, TypeError, ["`data` of `fit`", "(images, labels)", "ImageDataset", "ndarray"]),
        ({"data": (X, Y[:-1])}, ValueError, ["`data` of `fit`", "as many images as labels", "(119,)"]),
        ({"data": (X[:0], Y[:0])}, ValueError, ["`data` of `fit`", "at least one"]),
        ({"data": (X * np.inf, Y)}, ValueError, ["`data` of `fit`", "NaN"]),
        ({"validation_data": (X, None)}, TypeError, ["`validation_data` of `fit`"]),
        ({"epochs": 0}, ValueError, ["`epochs` of `fit`", "at least 1", "epochs=0"]),
        ({"epochs": 2.5}, TypeError, ["`epochs` of `fit`", "integer", "2.5"]),
        ({"batch_size": -8}, ValueError, ["`batch_size` of `fit`", "-8"]),
        ({"validation_data": None, "validation_split": 1.5}, ValueError, ["`validation_split` of `fit`", "1.5"]),
        (
            {"validation_data": None, "validation_split": 0.001},
            ValueError,
            ["`validation_split` of `fit`", "every class"],
        ),
        ({"patience": -1}, ValueError, ["`patience` of `fit`", "-1"]),
        (
            {"patience": 2, "validation_data": None, "validation_split": 0},
            ValueError,
            ["`patience` of `fit`", "nothing is validated", "`validation_split`"],
        ),
        ({"patience": 2, "monitor": "val_acc"}, ValueError, ["`monitor` of `fit`", "val_accuracy", "'val_acc'"]),
        ({"seed": -1}, ValueError, ["`seed` of `fit`", "-1"]),
    ],
)
def test_bad_input_is_refused_by_name(arguments, error, words):
    arguments = {"model": None, "data": (X, Y), "validation_data": VALIDATION, "epochs": 1} | arguments
    model = build_model() if arguments["model"] is None else arguments["model"]
    del arguments["model"]
    with pytest.raises(error) as caught:
        training.fit(model, arguments.pop("data"), verbose=0, **arguments)
    for word in words:
        assert word in str(caught.value)


def test_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "run").write_text("x")
    with pytest.raises(ValueError, match="`folder` of `fit` must be a folder"):
        run(build_model(), tmp_path / "run")


def test_fewer_epochs_than_the_folder_holds_are_refused(finished):
    with pytest.raises(ValueError, match="`epochs` of `fit` must be at least the 2"):
        run(build_model(), finished, epochs=1)
