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
    "moment", [pytest.param(n, marks=[] if n % 6 == 1 else [pytest.mark.slow]) for n in range(1, 27, 2)]
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


def test_folder_holds_no_more_than_the_last_and_the_best_weights(tmp_path):
    run(build_model(learning_rate=1.0), tmp_path, epochs=8, patience=6)
    state = json.loads((tmp_path / "state.json").read_text(encoding="utf-8"))
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"state.json", state["last_file"], state["best_file"]}


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
def test_folder_of_another_run_is_refused_and_the_difference_named(tmp_path, model_options, fit_options, named):
    run(build_model(), tmp_path)
    with pytest.raises(ValueError, match=rf"`folder` of `fit` .* same .*{named}.*resume=False"):
        run(build_model(**model_options), tmp_path, **fit_options)


@pytest.fixture(scope="module")
def half_a_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("half")
    run(build_model(learning_rate=0.05), folder, epochs=2, patience=3)
    return folder


@pytest.fixture(scope="module")
def fresh_run():
    fresh = build_model(learning_rate=0.05)
    return fresh, run(fresh, patience=3)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("state.json", lambda content: content[:-20]),
        ("state.json", lambda content: b""),
        ("state.json", lambda content: b"\xff\xfe\x00"),
        ("state.json", lambda content: b"[1]"),
        ("state.json", lambda content: changed(content, settings=3)),
        ("state.json", lambda content: changed(content, history={"loss": 0.5})),
        ("state.json", lambda content: changed(content, epochs_done="2")),
        ("state.json", lambda content: changed(content, last_file=None)),
        ("state.json", lambda content: changed(content, early_stopping=None)),
        ("state.json", lambda content: changed(content, early_stopping={"best": 0.5, "wait": 0})),
        *(
            ("state.json", lambda content, name=name: without(content, name))
            for name in ("settings", "epochs_done", "stopped", "history", "last_file", "best_file")
        ),
        ("last-0002.weights.h5", lambda content: content[:-100]),
        ("last-0002.weights.h5", lambda content: content[:2000] + b"\xff" * (len(content) - 2000)),
        ("last-0002.weights.h5", lambda content: None),
        ("best-0002.weights.h5", lambda content: content[:100]),
    ],
)
def test_a_damaged_folder_is_named_and_the_model_left_as_it_was(tmp_path, half_a_run, fresh_run, name, damage):
    shutil.copytree(half_a_run, tmp_path, dirs_exist_ok=True)
    content = damage((tmp_path / name).read_bytes())
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
    model = build_model(learning_rate=0.05)
    with pytest.raises(ValueError, match="`folder` of `fit` must be a folder whose files are whole") as caught:
        run(model, tmp_path, patience=3)
    for words in (str(tmp_path), f"{name} is damaged", "Pass `resume=False` to train anew, or delete the folder."):
        assert words in str(caught.value)
    history = run(model, tmp_path, patience=3, resume=False)  # from the weights that it had before the damage
    assert_same_run(model, history, *fresh_run)


def changed(content, **values):
    return json.dumps({**json.loads(content), **values}).encode()


def without(content, name):
    state = json.loads(content)
    del state[name]
    return json.dumps(state).encode()


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


def test_notes_on_tracing_are_not_printed_and_other_messages_are():
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = logging.getLogger("tensorflow")
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
    data = ImageDataset(images, labels, images[:4], labels[:4], ("even", "odd"), "toy", "drawn")

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
    training.fit(first, data, epochs=2, verbose=0)
    training.fit(second, (images, labels), epochs=2, verbose=0)
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
    assert json.loads((tmp_path / "state.json").read_text(encoding="utf-8"))["epochs_done"] == 1


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


def test_tensorboard_log_is_written_into_the_folder(tmp_path):
    pytest.importorskip("tensorboard")
    run(build_model(), tmp_path, epochs=1, tensorboard=True)
    assert list((tmp_path / "tensorboard").rglob("events.out.tfevents*"))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"model": "lenet"}, TypeError, ["`model` of `fit`", "a Keras model", "'lenet'"]),
        ({"model": keras.Sequential([layers.Dense(1)])}, ValueError, ["`model` of `fit`", "compiled", "compile("]),
        ({"data": X}, TypeError, ["`data` of `fit`", "(images, labels)", "ImageDataset", "ndarray"]),
        ({"data": (X, Y[:-1])}, ValueError, ["`data` of `fit`", "as many images as labels", "(119,)"]),
        ({"data": (X[:0], Y[:0])}, ValueError, ["`data` of `fit`", "at least one"]),
        ({"data": (X * np.inf, Y)}, ValueError, ["`data` of `fit`", "NaN"]),
        ({"validation_data": (X, None)}, ValueError, ["`validation_data` of `fit`"]),
        ({"epochs": 0}, ValueError, ["`epochs` of `fit`", "at least 1", "epochs=0"]),
        ({"epochs": 2.5}, TypeError, ["`epochs` of `fit`", "an integer", "2.5"]),
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
        ({"tensorboard": True}, ValueError, ["`tensorboard` of `fit`", "`folder`"]),
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


def test_fewer_epochs_than_the_folder_holds_are_refused(tmp_path):
    run(build_model(), tmp_path, epochs=3)
    with pytest.raises(ValueError, match="`epochs` of `fit` must be at least the 3"):
        run(build_model(), tmp_path, epochs=2)
