"""The random search of the notebook, run by its own cells: killed, damaged, and shared by processes."""

import contextlib
import io
import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time

import pytest

from kerascv_course.notebooks.source import find_source, make_notebook

pytest.importorskip("keras_tuner")
CELLS = [
    cell.source for cell in make_notebook(find_source("random_search"), "solved").cells if cell.cell_type == "code"
]

# What the notebook's cell needs, small: each trial notes that it is trained, and takes a moment.
SMALL = """
import json, sys, time, warnings, zlib
from pathlib import Path
from types import SimpleNamespace
import keras, keras_tuner

knobs = dict.fromkeys(("per_class", "held_out", "filters", "side", "batch", "epochs"), 1)
knobs["trials"], train, held_out, data = int(sys.argv[1]), ((), ()), (), SimpleNamespace(name="small")

class Small(keras_tuner.HyperModel):
    def build(self, hp):
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(hp.Int("units", 1, 1000))])

    def fit(self, hp, model, *args, **kwargs):
        with (folder / "trained.txt").open("a") as log:
            print(hp.get("units"), file=log)
        time.sleep(0.05)
        return {"val_accuracy": hp.get("units") / 1000}
"""


def cell(part):
    """Return the notebook's only code cell that has these words."""
    (found,) = [source for source in CELLS if part in source]
    return found


def small_search(folder):
    """Return a script that runs the notebook's search on the small space in a folder."""
    line = re.compile("^folder = .*$", flags=re.MULTILINE)
    own_folder, changes = line.subn(lambda _: f"folder = Path({str(folder)!r})", cell("class KeptSearch"))
    assert changes == 1
    return f"{SMALL}\n{own_folder}\ntuner = search(Small())\n"


def run_here(script, trials, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["script", str(trials)])
    names = {}
    exec(script, names)
    return names["tuner"]


def trained(folder):
    """Return what was trained, in order."""
    path = folder / "trained.txt"
    return path.read_text().split() if path.exists() else []


def units(tuner):
    """Return what was drawn, in order; each trial is done."""
    trials = [tuner.oracle.trials[name] for name in sorted(tuner.oracle.trials)]
    assert {trial.status for trial in trials} == {"COMPLETED"}
    return [str(trial.hyperparameters.get("units")) for trial in trials]


DAMAGED = [pytest.param(name, marks=pytest.mark.slow) for name in ("tuner0.json", "trial_1/trial.json")]


@pytest.mark.parametrize("damaged", ["oracle.json", *DAMAGED])
def test_half_a_file_of_keras_tuner_costs_no_finished_trial(tmp_path, monkeypatch, damaged):
    run_here(small_search(tmp_path), 2, monkeypatch)
    path = tmp_path / "search" / damaged
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    drawn = units(run_here(small_search(tmp_path), 3, monkeypatch))
    assert trained(tmp_path) == drawn
    assert len(set(drawn)) == 3


def test_a_trial_that_was_begun_but_not_written_down_is_drawn_again(tmp_path, monkeypatch):
    run_here(small_search(tmp_path), 2, monkeypatch)
    begun = tmp_path / "search" / "trial_2" / "trial.json"  # the process died after this file, before oracle.json
    begun.parent.mkdir()
    begun.write_text((tmp_path / "search/trial_1/trial.json").read_text().replace("COMPLETED", "RUNNING"))
    drawn = units(run_here(small_search(tmp_path), 3, monkeypatch))
    assert trained(tmp_path) == drawn
    assert len(set(drawn)) == 3


@pytest.mark.slow
def test_a_search_that_is_killed_ten_times_goes_on_with_the_same_trials(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(small_search(tmp_path))
    chance = random.Random(0)
    for _ in range(10):
        process = subprocess.Popen([sys.executable, script, "60"], stdout=subprocess.DEVNULL)
        end, before = time.monotonic() + 300, trained(tmp_path)
        while trained(tmp_path) == before:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.4))
        process.kill()
        process.wait()
    killed = trained(tmp_path)
    subprocess.run([sys.executable, script, "60"], check=True)
    states = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("search/trial_*/trial.json"))]
    assert [state["status"] for state in states] == ["COMPLETED"] * 60
    drawn = [str(state["hyperparameters"]["values"]["units"]) for state in states]
    assert list(dict.fromkeys(trained(tmp_path))) == drawn  # in this order, as without a kill ...
    assert len(set(drawn)) == 60
    assert len(killed) - len(set(killed)) <= 10  # ... and a kill costs one trial at most


def share(folder, on_start=lambda processes: None):
    """Run the two cells that share a search between processes; return what the second prints."""
    script = cell("%%writefile").partition("\n")[2]
    (folder / "my_search.py").write_text(script)
    names = {module.__name__: module for module in (json, os, socket, subprocess, sys, time)}
    names |= {"folder": folder}
    watcher = threading.Thread(target=on_start, args=(names,))
    watcher.start()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(cell("KERASTUNER_ORACLE_IP"), names)
    watcher.join()
    assert all(process.poll() is not None for process in names["processes"].values())
    return printed.getvalue()


@pytest.mark.slow
def test_two_workers_share_the_trials_and_one_that_dies_is_made_up_for(tmp_path):
    def kill_in_its_first_trial(names):
        log = tmp_path / "tuner1.log"
        while not (log.exists() and "trial:" in log.read_text()):
            time.sleep(0.02)
        names["processes"]["tuner1"].kill()

    first = share(tmp_path, kill_in_its_first_trial)
    assert "Only 5 of 6 trials are done. Run this cell again" in first
    second = share(tmp_path)
    assert second.count("%") == 6
    assert "Only" not in second
    assert len({line.partition("{")[2] for line in second.splitlines() if line.startswith("trial")}) == 6
