"""The random search: what is drawn, what is run, what an interruption leaves, and several processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from kerascv_course import cli_search
from kerascv_course.cli import main
from kerascv_course.plotting.experiments import plot_search
from kerascv_course.training import fit
from kerascv_course.tuning import COURSE_SPACE, make_optimizer, random_search, space

pytest.importorskip("keras_tuner")

Y = np.arange(60) % 3
X = (np.random.default_rng(0).normal(size=(60, 4, 4, 1)) + Y[:, None, None, None]).astype("float32")
SMALL = {"optimizer": ["SGD", "Adam"], "learning_rate": [0.01, 0.1], "momentum": [0.0, 0.9]}


def build(values, metrics=("accuracy",)):
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(3, "softmax")])
    # Step by step: to build the programs takes longer than so short a training.
    loss = "sparse_categorical_crossentropy"
    model.compile(make_optimizer(values), loss, metrics=list(metrics), run_eagerly=True)
    return model


def search(folder, build=build, data=(X, Y), **options):
    defaults = {"space": SMALL, "max_trials": 4, "epochs": 1, "verbose": 0}
    return random_search(build, data, folder=folder, **(defaults | options))


# ------------------------------------------------------------------------------------------------ what is drawn
@pytest.mark.smoke
def test_the_course_space_holds_108_trials_and_each_is_drawn_once():
    every = space.draw(COURSE_SPACE, 108, seed=0)
    # SGD and RMSprop with 3 momenta each and three optimizers without: 9, times 4 rates, times 3 activations.
    assert space.count(COURSE_SPACE) == 108 == len({tuple(sorted(values.items())) for values in every})
    with_momentum = {values["optimizer"] for values in every if "momentum" in values}
    assert with_momentum == {"SGD", "RMSprop"}
    assert all("momentum" in values for values in every if values["optimizer"] in with_momentum)
    assert space.draw(COURSE_SPACE, 7, seed=0) == every[:7]
    assert space.draw(COURSE_SPACE, 7, seed=1) != every[:7]


def test_each_optimizer_is_drawn_about_equally_often():
    firsts = Counter(space.draw(COURSE_SPACE, 1, seed)[0]["optimizer"] for seed in range(1000))
    assert all(150 < firsts[name] < 250 for name in COURSE_SPACE["optimizer"])


def test_an_optimizer_gets_rate_and_momentum_where_it_has_one():
    for name in COURSE_SPACE["optimizer"]:
        optimizer = make_optimizer({"optimizer": name, "learning_rate": 0.2, "momentum": 0.6, "activation": "elu"})
        config = optimizer.get_config()
        assert type(optimizer).__name__ == name
        assert config["learning_rate"] == pytest.approx(0.2)
        assert config.get("momentum", 0.6) == 0.6


# ------------------------------------------------------------------------------------------------ what is run
@pytest.mark.smoke
def test_a_trial_is_what_fit_gives_and_the_table_begins_with_the_best(tmp_path):
    results = search(tmp_path, epochs=3, seed=5)
    assert len({json.dumps(row.values) for row in results.rows}) == 4
    accuracies = [row.val_accuracy for row in results.rows]
    assert accuracies == sorted(accuracies, reverse=True)
    for row in results.rows[:2]:
        keras.utils.set_random_seed(5)
        history = fit(build(row.values), (X, Y), epochs=3, seed=5, verbose=0).history
        for name, values in history.items():
            assert row.history[name] == pytest.approx(values)
        assert row.val_accuracy == max(history["val_accuracy"])
        assert row.best_epoch == 1 + int(np.argmax(history["val_accuracy"]))
    assert results.best.params == 16 * 3 + 3
    assert results.to_dict()[0]["optimizer"] == results.best.values["optimizer"]
    assert "optimizer " in str(results)
    panels = plot_search(results).axes
    assert [axis.get_xlabel() for axis in panels] == ["optimizer", "learning rate", "momentum"]
    assert [label.get_text() for label in panels[1].get_xticklabels()] == ["0.01", "0.1"]


def test_a_trial_that_becomes_nan_or_raises_is_reported_and_never_the_best(tmp_path):
    def sometimes(values):
        model = build(values)
        if values["optimizer"] == "SGD":
            model.layers[-1].kernel.assign(np.full((16, 3), np.nan, "float32"))
        elif values["learning_rate"] == 0.1:
            raise ValueError("too steep")
        return model

    results = search(tmp_path, sometimes, max_trials=6)
    errors = {(row.values["optimizer"], row.values["learning_rate"]): row.error for row in results.rows}
    assert results.best.values == {"optimizer": "Adam", "learning_rate": 0.01}
    assert errors["SGD", 0.01].startswith("FloatingPointError: `fit`: the loss became nan")
    assert errors["Adam", 0.1] == "ValueError: too steep"
    assert sum(bool(row.error) for row in results.rows) == len(results.notes) == 5
    assert plot_search(results).axes[0].lines


def test_a_nan_that_only_the_validation_shows_is_a_failed_trial(tmp_path):
    def heavy(values):
        model = build(values)
        model.layers[-1].kernel.assign(np.full((16, 3), 10, "float32"))
        return model

    held_out = (np.full((6, 4, 4, 1), 3e38, "float32"), Y[:6])  # finite images, infinite outputs
    with pytest.raises(RuntimeError, match="on the held-out images became NaN"):
        search(tmp_path, heavy, max_trials=1, validation_data=held_out)


def test_where_every_trial_fails_the_first_reason_is_given(tmp_path):
    with pytest.raises(RuntimeError, match=r"`random_search`: every trial failed\. The first: .*metrics="):
        search(tmp_path, lambda values: build(values, metrics=()), max_trials=2)


# ------------------------------------------------------------------------------------------------ interruptions
def counting(stop_at=99):
    """Return a `build` that is interrupted in that trial, and the values that it was called with."""
    trials = []

    def build_and_count(values):
        trials.append(values)
        if len(trials) - 1 == stop_at:
            raise KeyboardInterrupt
        return build(values)

    return build_and_count, trials  # the first entry is for the fingerprint


@pytest.mark.smoke
def test_an_interrupted_search_goes_on_with_the_same_trials_none_twice(tmp_path):
    whole = search(tmp_path / "whole")
    build_cut, before = counting(stop_at=3)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "cut", build_cut)
    build_again, after = counting()
    resumed = search(tmp_path / "cut", build_again)
    assert [*before[1:3], *after[1:]] == [row.values for row in sorted(whole.rows, key=lambda row: row.trial)]
    assert [(row.trial, row.history) for row in resumed.rows] == [(row.trial, row.history) for row in whole.rows]
    build_more, further = counting()
    more = search(tmp_path / "cut", build_more, max_trials=5)
    assert len(further) - 1 == 1
    assert {row.trial for row in more.rows} == set(range(5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space": {**SMALL, "momentum": [0.5]}}, "had the same space, model"),
        ({"epochs": 2}, "had the same epochs"),
        ({"seed": 1}, "had the same seed"),
        ({"data": (X + 1, Y)}, "had the same data"),
        ({"build": lambda values: build(values, metrics=("accuracy", "mse"))}, "had the same model"),
    ],
)
def test_another_search_in_the_same_folder_is_refused(tmp_path, options, message):
    search(tmp_path, max_trials=1, space={**SMALL, "optimizer": ["SGD"]})
    with pytest.raises(ValueError, match=f"`folder` of `random_search` must be .*{message}"):
        search(tmp_path, **({"max_trials": 1, "space": {**SMALL, "optimizer": ["SGD"]}} | options))


# A trial says which process runs it, and takes a while.
SCRIPT = """
import os, sys, time
from pathlib import Path
import keras, numpy as np
from kerascv_course.tuning import random_search

folder = Path(sys.argv[0]).parent
x, y = np.ones((12, 2), "float32"), np.arange(12) % 2
built = 0

def build(values):
    global built
    built += 1
    if built > 1:  # the first is built for the fingerprint
        (folder / f"{values['number']}-{os.getpid()}-{time.time_ns()}.started").touch()
        time.sleep(SECONDS)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    return model

space = {"number": list(range(20))}
results = random_search(build, (x, y), folder=folder / "search", space=space, max_trials=6, epochs=1, verbose=0)
print("numbers", *(row.values["number"] for row in sorted(results.rows, key=lambda row: row.trial)))
"""
EXPECTED = [values["number"] for values in space.draw({"number": tuple(range(20))}, 6, 0)]


def starts(folder):
    """Return number and process of each trial that was started, in order."""
    names = (path.stem.split("-") for path in folder.glob("*.started"))
    return [(int(number), int(process)) for number, process, _ in sorted(names, key=lambda parts: int(parts[2]))]


def wait_for(condition, process, seconds=600):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "it has ended too early"
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_search_is_resumed_with_the_same_trials(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("SECONDS", "1"))
    process = subprocess.Popen([sys.executable, script])
    wait_for(lambda: len(starts(tmp_path)) == 3, process)
    process.kill()
    process.wait()
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].split() == ["numbers", *map(str, EXPECTED)]
    assert [number for number, _ in starts(tmp_path)] == [*EXPECTED[:3], *EXPECTED[2:]]  # the third is repeated


@pytest.mark.slow
@pytest.mark.parametrize("kill", [False, True])
def test_two_workers_do_all_trials_and_a_killed_one_loses_none(tmp_path, kill):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("SECONDS", "2"))
    code = "import sys; from kerascv_course.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", code, "search", script, "--workers", "2"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    killed = None
    if kill:
        wait_for(lambda: len(starts(tmp_path)) == 2, process)
        killed = starts(tmp_path)[1]
        os.kill(killed[1], signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    out, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors
    assert [line for line in out.splitlines() if line.startswith("numbers")] == [
        " ".join(["numbers", *map(str, EXPECTED)])
    ]
    run = Counter(number for number, _ in starts(tmp_path))
    assert run == Counter(EXPECTED) + Counter([killed[0]] if killed else [])
    assert len({pid for _, pid in starts(tmp_path)}) == (3 if kill else 2)
    assert ("has died" in errors) == kill


def test_a_worker_that_dies_again_and_again_is_given_up(tmp_path, capfd, monkeypatch):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys, time\n"
        "if os.environ['KERASTUNER_TUNER_ID'] == 'chief': time.sleep(60)\n"
        "if os.environ['KERASTUNER_TUNER_ID'] == 'tuner1': sys.exit('no memory')\n"
    )
    assert main(["search", str(script), "--workers", "2"]) == 1
    errors = capfd.readouterr().err
    assert errors.count("Worker tuner1 has died (exit status 1); it starts again. Its last lines:\nno memory") == 2
    assert errors.count("is given up: the same command goes on from here") == 1
    assert "tuner0" not in errors


def test_the_script_gets_the_documented_settings_and_its_exit_status_is_returned(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, pathlib, sys\n"
        "names = ('TUNER_ID', 'ORACLE_IP', 'ORACLE_PORT')\n"
        "values = [os.environ[f'KERASTUNER_{name}'] for name in names]\n"
        "pathlib.Path(__file__).with_name(values[0]).write_text(' '.join(values[1:]))\n"
        "folder = pathlib.Path(__file__).parent\n"
        "while values[0] == 'chief' and len(list(folder.iterdir())) < 4: pass\n"
        "sys.exit(7 if values[0] == 'chief' else 0)\n"
    )
    assert cli_search.run_workers(Path(script), 2) == 7
    addresses = {name: (tmp_path / name).read_text() for name in ("chief", "tuner0", "tuner1")}
    assert len(set(addresses.values())) == 1
    assert addresses["chief"].startswith("127.0.0.1 ")


# ------------------------------------------------------------------------------------------------ bad input
@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"space": {}}, ValueError, "`space` of `random_search` must be not empty"),
        (
            {"space": {"optimizer": []}},
            ValueError,
            r"`space\['optimizer'\]` of `random_search` must be one or more",
        ),
        ({"space": ["SGD"]}, TypeError, "`space` of `random_search` must be a dictionary"),
        ({"space": {"units": 4}}, TypeError, "`space` of `random_search` must be a dictionary"),
        (
            {"space": {"units": [None]}},
            TypeError,
            r"`space\['units'\]` of `random_search` must be a list of texts",
        ),
        ({"space": {"optimizer": ["Sgd"]}}, ValueError, "must be an optimizer class of Keras.*Received: .*'Sgd'"),
        ({"space": {"learning_rate": [0.0]}}, ValueError, r"`space\['learning_rate'\]` .* must be above 0"),
        ({"space": {"learning_rate": [-0.1]}}, ValueError, r"`space\['learning_rate'\]` .* from 0 to 1"),
        ({"space": {"learning_rate": [2.0]}}, ValueError, r"`space\['learning_rate'\]` .* from 0 to 1"),
        ({"space": {"learning_rate": [float("nan")]}}, ValueError, r"`space\['learning_rate'\]` .* from 0 to 1"),
        ({"space": {"momentum": [1.0]}}, ValueError, r"`space\['momentum'\]` .* must be from 0 to below 1"),
        ({"max_trials": 0}, ValueError, "`max_trials` of `random_search` must be an integer of at least 1"),
        ({"max_trials": 7}, ValueError, "`max_trials` of `random_search` must be at most 6"),
        ({"epochs": 0}, ValueError, "`epochs` of `random_search` must be"),
        ({"folder": __file__}, ValueError, "`folder` of `random_search` must be a folder that can be made"),
        ({"build": None}, TypeError, "`build` of `random_search` must be a function"),
        (
            {"build": build(SMALL | {"optimizer": "SGD", "learning_rate": 0.1, "momentum": 0.0})},
            TypeError,
            "`build`",
        ),
        ({"data": X}, TypeError, "`data` of `random_search` must be a pair"),
        ({"validation_split": 0}, ValueError, "`validation_split` of `random_search` must be above 0"),
    ],
)
def test_bad_input_is_refused_by_name_before_any_trial(tmp_path, options, kind, message):
    with pytest.raises(kind, match=message):
        search(**({"folder": tmp_path / "search"} | options))
    assert not (tmp_path / "search").exists()


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch):
    def refuse(path, *args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(ValueError, match=r"`folder` of `random_search` must be a folder.*\(PermissionError\)"):
        search(tmp_path / "search")


def test_without_keras_tuner_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "kerascv_course\[tuning\]"'):
        search(tmp_path)


def test_the_command_refuses_a_missing_script_and_no_workers(tmp_path, capsys):
    assert main(["search", str(tmp_path / "none.py")]) == 2
    assert main(["search", __file__, "--workers", "0"]) == 2
    assert "There is no script" in capsys.readouterr().err
