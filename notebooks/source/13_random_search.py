# %% [markdown] needs=["keras-tuner>=1.4.8", "kt-legacy"]
# # 13. Random search
#
# **The question.** Optimizer, rate, momentum, activation: four choices, over a hundred combinations, and they
# depend on each other. Who tries them all? A search draws some at random. How many are enough, does it find what
# the course found, and how much of the winner's lead is luck?
#
# *Follows Lorente: a random search over optimizer, rate, momentum and activation, whose best was SGD at 0.001 with
# momentum 0.9 and ReLU. On random against grid: Bergstra and Bengio (2012).*

# %%
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import zlib
from functools import partial

import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from keras import layers

from kerascv_course import plotting, runtime
from kerascv_course.datasets import cache_folder, load, missing, split_validation
from kerascv_course.exercises import random_search as ex
from kerascv_course.experiment import compare, verdict

device = runtime.setup(seed=0, missing=missing("cifar10"))
print(device)
if importlib.util.find_spec("keras_tuner") is None:
    raise ImportError('This notebook needs KerasTuner: pip install "kerascv_course[tuning]", then start it again.')
import keras_tuner

# %% [markdown]
# ## Knobs
#
# `trials` are drawn, and each is trained for `epochs`. `repeated` is how many of the best are trained again, with
# `seeds` other seeds. The two finalists are trained for `final_epochs`, with `final_seeds` seeds.

# %%
knobs = runtime.by_profile(
    smoke={"per_class": 20, "test": 10, "held_out": 0.5, "filters": 4, "side": 16, "batch": 64, "epochs": 1,
           "trials": 3, "stop": 1, "repeated": 1, "seeds": 1, "final_epochs": 1, "final_seeds": 1},
    lite={"per_class": 150, "test": 50, "held_out": 1 / 3, "filters": 8, "side": 16, "batch": 50, "epochs": 4,
          "trials": 12, "stop": 5, "repeated": 2, "seeds": 2, "final_epochs": 10, "final_seeds": 3},
    full={"per_class": None, "test": None, "held_out": 0.1, "filters": 32, "side": 32, "batch": 128, "epochs": 5,
          "trials": 60, "stop": 20, "repeated": 5, "seeds": 5, "final_epochs": 20, "final_seeds": 5},
    gpu={"per_class": None, "test": None, "held_out": 0.1, "filters": 32, "side": 32, "batch": 128, "epochs": 5,
          "trials": 60, "stop": 20, "repeated": 5, "seeds": 5, "final_epochs": 20, "final_seeds": 5},
)  # fmt: skip
knobs

# %% [markdown]
# ## The data
#
# CIFAR-10, where it is at hand. Where it is not, the profiles `full` and `gpu` download it, and so does `lite` in
# Colab and Kaggle. Otherwise *patches* take its place: crops of ten photographs that scikit-image carries. The
# search sees training images and images that are *held out* from them. The test images wait for the two finalists.

# %%
data = load("cifar10", fallback="patches", download=device.downloads)
if knobs["per_class"]:
    data = data.subset(knobs["per_class"], test_per_class=knobs["test"])
train, held_out = split_validation(data.x_train, data.y_train, knobs["held_out"])
test = (data.x_test, data.y_test)
where = f"{data.name}, {len(train[0]):,} training and {len(held_out[0]):,} held-out images"
print(f"{where}, from {data.source}")
if data.name.startswith("patches"):
    print("Training and held-out crops of one photograph may overlap: that flatters the accuracies, all alike.")

plotting.plot_images(data.examples()[0], titles=data.class_names, columns=10, caption=f"Data: {data.name}")

# %% [markdown]
# ## Why at random?
#
# A **grid** tries all combinations of chosen values: 16 trials are 4 values for each of two names, but only 2 for
# each of four. If one name alone matters, most trials of the grid repeat each other. **Random** trials all differ
# in each name that has enough values.
#
# And it is known what they promise. One trial misses the best 5 % of all draws with probability 0.95. So $n$
# trials hit them at least once with
#
# $$P = 1 - (1 - 0.05)^n \ge 0.95 \quad \text{for} \quad n \ge \frac{\ln 0.05}{\ln 0.95} = 58.4$$
#
# 59 trials, for four names as for forty. The formula does not say how good the best 5 % are; and it takes for
# granted that we see which trial was the best.

# %%
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained", width_ratios=(1, 1, 1.5))
ticks = (np.arange(4) + 0.5) / 4
grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
random = np.random.default_rng(3).random((16, 2))
for axis, points, kind in ((axes[0], grid, "grid"), (axes[1], random, "random")):
    axis.plot(*points.T, "o", color="#0072B2", markersize=5)
    axis.plot(points[:, 0], np.full(16, -0.06), "|", color="#D55E00", markersize=10)
    axis.set(
        xlim=(-0.05, 1.05), ylim=(-0.12, 1.05), xticks=[], yticks=[], xlabel="what matters", ylabel="what does not"
    )
    axis.set_title(f"{kind}: {len(np.unique(points[:, 0]))} values tried", fontsize=10)
numbers = np.arange(1, 121)
for share, style in ((0.1, ":"), (0.05, "-"), (0.01, "--")):
    axes[2].plot(numbers, 1 - (1 - share) ** numbers, style, color="#0072B2", label=f"best {share:.0%}")
hit = 1 - 0.95 ** knobs["trials"]
axes[2].plot(knobs["trials"], hit, "*", color="#D55E00", markersize=13, label="our search")
axes[2].plot(59, 1 - 0.95**59, "o", color="#D55E00", label="59 trials")
axes[2].set(xlabel="trials", ylabel="P(at least one hit)", ylim=(0, 1.03))
axes[2].legend(fontsize=9)
axes[2].grid(alpha=0.3)
print(f"{knobs['trials']} trials hit the best 5 % with probability {hit:.0%}")
plt.show()

# %% [markdown]
# ## What a trial builds
#
# A plain function makes a small CNN with the chosen values. The activation goes into every layer but the last. Not
# every optimizer has a momentum: for one that has none, `momentum` is not given.


# %%
def make_model(optimizer, learning_rate, activation, momentum=None):
    """Build and compile a small CNN."""
    model = keras.Sequential([keras.Input(data.input_shape), layers.Rescaling(1 / 127.5, offset=-1)])
    model.add(layers.AveragePooling2D(32 // knobs["side"]))
    for factor in (1, 2):
        model.add(layers.Conv2D(factor * knobs["filters"], 3, padding="same", activation=activation))
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(8 * knobs["filters"], activation=activation))
    model.add(layers.Dense(10, activation="softmax"))
    options = {} if momentum is None else {"momentum": momentum}
    optimizer = getattr(keras.optimizers, optimizer)(learning_rate=learning_rate, **options)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


COURSE_BEST = {"optimizer": "SGD", "learning_rate": 0.001, "momentum": 0.9, "activation": "relu"}
make_model(**COURSE_BEST).summary()

# %% [markdown]
# ## The space, and one trial
#
# KerasTuner asks a `HyperModel` for two things. `build(hp)` draws the values and builds the model: `hp.Choice`
# takes one of a list, each as likely as the others. `fit` trains it. All trials have the same seed, the same
# training images, the same held-out images, the same epochs and the same batch size: only the drawn values differ.
#
# The momentum belongs to SGD and RMSprop alone. `hp.conditional_scope` says so: for the other three optimizers it
# is not drawn, and trials that would differ in the momentum alone count once.

# %%
OPTIMIZERS = ["SGD", "RMSprop", "Adam", "Adadelta", "Adagrad"]
WITH_MOMENTUM = ["SGD", "RMSprop"]


class CourseSearch(keras_tuner.HyperModel):
    """The space of the course, and the training of a trial."""

    def build(self, hp):
        """Draw the values, and build the model."""
        keras.utils.set_random_seed(1)  # the same start for the weights of each trial
        values = {
            "optimizer": hp.Choice("optimizer", OPTIMIZERS),
            "learning_rate": hp.Choice("learning_rate", [0.001, 0.01, 0.1, 0.2]),
            "activation": hp.Choice("activation", ["elu", "relu", "tanh"]),
        }
        with hp.conditional_scope("optimizer", WITH_MOMENTUM):
            if values["optimizer"] in WITH_MOMENTUM:
                values["momentum"] = hp.Choice("momentum", [0.6, 0.8, 0.9])
        return make_model(**values)

    def fit(self, hp, model, *args, **kwargs):
        """Train the model; what `search` was given arrives here."""
        keras.utils.set_random_seed(1)  # the same order of the images
        options = kwargs | {"epochs": knobs["epochs"], "batch_size": knobs["batch"], "verbose": 0}
        return model.fit(*args, **options)


hp = keras_tuner.HyperParameters()
CourseSearch().build(hp)  # now `hp` knows the space
for entry in hp.space:
    print(f"{entry.name:14s}", ", ".join(map(str, entry.values)))
print(f"\n(2 optimizers x 3 momenta + 3 optimizers) x 4 rates x 3 activations = {(2 * 3 + 3) * 4 * 3} trials")

# %% [markdown]
# ## A search that may be stopped
#
# A search takes hours. A notebook is closed, a computer restarts. So KerasTuner writes its state into a folder
# after each trial. With `overwrite=False` a search with the same folder goes on from there.
#
# One thing it does not protect: it writes over its own files. Whoever kills it in that moment leaves half a file
# behind, and then it does not start again. That is rare, but a night's work hangs on it. So we keep a copy of its
# records after each trial. The copy gets its name only when it is complete, so it is never half written.

# %%
# The name of the folder holds what decides a trial: the same search goes on there, another one has its own folder.
decisive = {name: knobs[name] for name in ("per_class", "held_out", "filters", "side", "batch", "epochs")}
digest = zlib.crc32(f"{data.name} {decisive}".encode())
folder = cache_folder() / "runs" / f"13_random_search-{digest:08x}"
folder.mkdir(parents=True, exist_ok=True)
project, kept = folder / "search", folder / "kept.json"


class KeptSearch(keras_tuner.RandomSearch):
    """KerasTuner's random search, and a copy of its records after each trial."""

    def on_trial_end(self, trial):
        super().on_trial_end(trial)
        records = {str(path.relative_to(project)): path.read_text() for path in project.rglob("*.json")}
        new = kept.with_suffix(".new")
        new.write_text(json.dumps(records))
        new.replace(kept)  # in one step


def go_back():
    """Go back to the end of the last trial: what was written after it may be half a file."""
    for path in project.rglob("*.json"):
        path.unlink()
    records = json.loads(kept.read_text()) if kept.exists() else {}
    for name, text in records.items():
        (project / name).write_text(text)


def search(hypermodel):
    """Run what is missing of the search, and return KerasTuner's tuner."""
    go_back()
    tuner = KeptSearch(
        hypermodel,
        objective="val_accuracy",
        max_trials=knobs["trials"],
        seed=1,
        max_consecutive_failed_trials=knobs["trials"],
        directory=folder,
        project_name="search",
        overwrite=False,
    )
    tuner.search(*train, validation_data=held_out)
    return tuner


# %% [markdown]
# We press "stop" ourselves, in the middle of a trial.


# %%
class StoppedSearch(CourseSearch):
    """The same search, but it is stopped."""

    trained = 0

    def fit(self, hp, model, *args, **kwargs):
        """Train the model, or raise what the stop button raises."""
        if self.trained == knobs["stop"]:
            raise KeyboardInterrupt
        self.trained += 1
        return super().fit(hp, model, *args, **kwargs)


def trained_at():
    """Return when the weights of each trial were written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in project.glob("trial_*/checkpoint.weights.h5")}


try:
    search(StoppedSearch())
except KeyboardInterrupt:
    print("stopped")
before = trained_at()
print(f"finished trials: {len(before)}")

# %% [markdown]
# The same search again. The trial that was interrupted starts anew, with the same values. The finished ones are
# not trained again: the files of their weights are the old ones.

# %%
tuner = search(CourseSearch())
after = trained_at()
untouched = sum(after[name] == written for name, written in before.items())
print(f"\ntrained now: {len(after) - untouched}; trained before: {untouched}; together: {len(after)} trials")

# %% [markdown]
# KerasTuner draws one trial after the other from the seed, and none twice. So you may ask for more trials later:
# the first ones stay what they are. If you change the network, name another folder.
#
# ## What the search found

# %%
trials = [trial for trial in tuner.oracle.get_best_trials(knobs["trials"]) if trial.status == "COMPLETED"]
best = trials[0]
accuracies = np.array([trial.score for trial in trials])
print(f"{where}; one seed; epochs: {knobs['epochs']}, of which the best counts")
print(f"{'place':>5s}  {'accuracy':8s}  {'epoch':5s}  values")
for place, trial in enumerate(trials, start=1):
    if place <= 10 or place > len(trials) - 3:
        values = ", ".join(f"{name} {value}" for name, value in trial.hyperparameters.values.items())
        print(f"{place:5d}  {trial.score:8.1%}  {trial.best_step + 1:5d}  {values}")
chance = max(np.mean(held_out[1] == label) for label in range(10))
lost = np.sum(accuracies < chance + 0.05)
print(f"at the level of chance ({chance:.0%} and 5 points more): {lost} of {len(trials)} trials")
print(f"failed: {knobs['trials'] - len(trials)}")

# %%
figure, axes = plt.subplots(1, 4, figsize=(9, 3.4), layout="constrained", sharey=True)
names = ["optimizer", "learning_rate", "momentum", "activation"]
for axis, name in zip(axes, names, strict=True):
    drawn = [trial.hyperparameters.values.get(name) for trial in trials]
    choices = sorted({value for value in drawn if value is not None})
    shifts = np.linspace(-0.25, 0.25, len(trials))  # dots of one value stand beside each other
    for trial, value, shift in reversed(list(zip(trials, drawn, shifts, strict=True))):
        if value is not None:
            marker, color, size = ("*", "#D55E00", 14) if trial is best else ("o", "#0072B2", 5)
            axis.plot(choices.index(value) + shift, trial.score, marker, color=color, markersize=size)
    axis.set_xticks(range(len(choices)), choices, rotation=60 if name == "optimizer" else 0)
    axis.set(xlabel=name.replace("_", " "), xlim=(-0.5, len(choices) - 0.5))
    axis.grid(alpha=0.3, axis="y")
axes[0].set_ylabel("accuracy on held-out images")
figure.suptitle(f"{data.name}; {len(trials)} trials, one seed; star: the best trial", fontsize=9)
plt.show()

# %% [markdown]
# Which name matters? For each name we take the share of the spread among the trials that goes with its values,
# and beside it the share that values without any effect would have by chance: with few trials that is not little.

# %%
spread = max(np.sum((accuracies - accuracies.mean()) ** 2), 1e-12)
for name in names:
    drawn = np.array([str(trial.hyperparameters.values.get(name, "none")) for trial in trials])
    groups = [accuracies[drawn == value] for value in np.unique(drawn)]
    between = sum(len(group) * (group.mean() - accuracies.mean()) ** 2 for group in groups)
    by_chance = (len(groups) - 1) / max(len(trials) - 1, 1)
    print(f"{name:14s} goes with {between / spread:4.0%} of the spread; by chance {by_chance:4.0%}")

# %% [markdown]
# The values do not act alone. Optimizers scale their steps in different ways, so each has a range of rates of its
# own. A search that draws all names together sees such pairs.
#
# ## The winner's curse
#
# Each trial was trained once. Another seed gives another accuracy; and whoever is first among many is likely to
# have had luck. We train the first ones again, with seeds that the search has not used, and count as the search
# does: the best epoch, on the same held-out images.


# %%
def named(values):
    """Return the values of a trial as a short name."""
    return " ".join(str(value) for value in values.values())


top = trials[: knobs["repeated"]]
drawn = [trial.hyperparameters.values for trial in top]
variants = {named(values): partial(make_model, **values) for values in drawn}
seeds = range(101, 101 + knobs["seeds"])
again = compare(
    variants,
    train,
    validation_data=held_out,
    epochs=knobs["epochs"],
    batch_size=knobs["batch"],
    seeds=seeds,
    verbose=0,
)

repeated = [
    [max(run.history["val_accuracy"]) for run in again.runs if run.variant == variant and not run.error]
    for variant in variants
]
print(f"{'place in the search':34s}search   again   change   seeds")
for place, (variant, trial, found) in enumerate(zip(variants, top, repeated, strict=True), start=1):
    mean = np.mean(found) if found else np.nan
    shown = ", ".join(f"{value:.1%}" for value in found)
    print(f"{place}. {variant:31s}{trial.score:6.1%}  {mean:6.1%}   {100 * (mean - trial.score):+6.1f}   {shown}")

# %%
figure, axis = plt.subplots(figsize=(7.5, 1.4 + 0.5 * len(top)), layout="constrained")
for place, (trial, found) in enumerate(zip(top, repeated, strict=True)):
    label = (None, None, None) if place else ("in the search", "other seeds", "their mean")
    axis.plot(trial.score, place, "*", color="#D55E00", markersize=14, label=label[0])
    axis.plot(found, [place + 0.15] * len(found), "o", color="#0072B2", alpha=0.7, label=label[1])
    axis.plot(
        np.mean(found) if found else np.nan,
        place + 0.15,
        "|",
        color="#0072B2",
        markersize=20,
        markeredgewidth=2,
        label=label[2],
    )
axis.set_yticks(range(len(top)), [f"{place}. {variant}" for place, variant in enumerate(variants, start=1)])
axis.set(ylim=(len(top) - 0.4, -0.6), xlabel="accuracy on held-out images")
axis.set_title(f"{data.name}; epochs: {knobs['epochs']}", fontsize=9)
axis.grid(alpha=0.3, axis="x")
figure.legend(loc="outside lower center", ncols=3, markerscale=0.6)
plt.show()

# %% [markdown]
# How much luck is there to expect? Say $n$ trials were equally good and differed by chance alone, with deviation
# $\sigma$. The first of them would still look better than it is, by a multiple of $\sigma$ that grows with $n$:
#
# $$\mathrm{E}\left[\max_i x_i\right] - \mu \approx c_n \, \sigma, \qquad c_n \le \sqrt{2 \ln n}$$
#
# There is a second source of chance: $m$ held-out images measure an accuracy $p$ to about $\sqrt{p(1-p)/m}$. All
# trials are measured on the same images, so part of that cancels between them, but not from the figure itself.

# %%
luck = np.random.default_rng(0).normal(size=(10_000, len(accuracies))).max(axis=1).mean()
first = best.score
sampling = np.sqrt(first * (1 - first) / len(held_out[0]))
variances = [np.var(found, ddof=1) for found in repeated if len(found) > 1]
if variances:
    sigma = np.sqrt(np.mean(variances))
    print(f"one trial varies with the seed by {100 * sigma:.1f} points (deviation)")
    print(f"the first of {len(trials)} equally good trials would look {luck * 100 * sigma:.1f} points too good")
    lead = 100 * (trials[0].score - trials[1].score)
    print(f"the winner's lead over the second: {lead:.1f} points")
else:
    print("One seed says nothing about the spread.")
print(f"{len(held_out[0]):,} held-out images measure {first:.1%} to about {100 * sampling:.1f} points")

# %% [markdown]
# A search is good at leaving out what is bad: most of its spread is that between values that learn and values that
# do not. It is a poor judge between the first few, and a single winner may have been lucky or
# unlucky: the curse is an average over searches. Train the first few again, with seeds, before you believe in an
# order.
#
# ## The course's best against ours
#
# Lorente's search ended at SGD, 0.001, momentum 0.9, ReLU. Is that better here than what our search found? Both
# are trained for longer now, with new seeds, and measured on the test images, which have decided nothing so far:
# the accuracy of the last epoch, since to pick the best one would be another choice by luck.

# %%
ours = best.hyperparameters.values
print("the course's best:", named(COURSE_BEST))
print("our search's best:", named(ours) + (" (the same)" if ours == COURSE_BEST else ""))
finalists = {"the course's": partial(make_model, **COURSE_BEST), "our search's": partial(make_model, **ours)}
final_seeds = range(201, 201 + knobs["final_seeds"])
final = compare(
    finalists,
    train,
    validation_data=test,
    epochs=knobs["final_epochs"],
    batch_size=knobs["batch"],
    seeds=final_seeds,
    verbose=0,
)
display(final)
about = f"On {len(test[0]):,} test images, {data.name}; epochs: {knobs['final_epochs']}, seeds: {len(final_seeds)}"
display(plotting.plot_experiment(final, caption=about))
conclusion = verdict(final, "the course's", "our search's")
print(f"the course's best is better than what we found: {conclusion.conclusion.upper()}\n  {conclusion}")

# %% [markdown]
# The verdict is about *this* network on *this* data, for so many epochs. Lorente searched for the head of a
# network that had been trained before, on other images: there a small step is right, since good features are
# easily ruined. A network that starts from random weights and is trained for few steps needs larger ones. What a
# search finds belongs to its network, its data and its number of epochs; the space can be taken along, the winner
# can not. And short trials favour what learns fast.
#
# ## The same search in two processes, or on two machines
#
# Trials do not need each other, so several processes can share them. KerasTuner has a *chief* that hands out the
# trials, and *workers* that run them. All of them run the same script, and three variables of the environment say
# who is who.
#
# | variable | chief | workers |
# |---|---|---|
# | `KERASTUNER_TUNER_ID` | `chief` | `tuner0`, `tuner1`, ... |
# | `KERASTUNER_ORACLE_IP` | its own address | the chief's address |
# | `KERASTUNER_ORACLE_PORT` | a free port | the same |
#
# The script is complete: it loads its data and knows its space. Started without the variables, it is a search in
# one process. It goes into the folder of the search.

# %%
# %cd -q {folder}

# %%
# %%writefile my_search.py
import keras
import keras_tuner

from kerascv_course.datasets import load_digits, split_validation

digits = load_digits(image_size=8)
train, held_out = split_validation(digits.x_train, digits.y_train, 0.2)


class MySearch(keras_tuner.HyperModel):
    def build(self, hp):
        keras.utils.set_random_seed(1)
        units = hp.Choice("units", [8, 16, 32, 64])
        rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
        model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()])
        model.add(keras.layers.Dense(units, activation="relu"))
        model.add(keras.layers.Dense(10, activation="softmax"))
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, *args, **kwargs):
        print("trial:", hp.values, flush=True)
        return model.fit(*args, epochs=5, batch_size=32, **kwargs)


where = {"directory": "my_search", "project_name": "digits"}
tuner = keras_tuner.RandomSearch(MySearch(), "val_accuracy", max_trials=6, seed=1, overwrite=False, **where)
tuner.search(*train, validation_data=held_out, verbose=0)

# %%
# %cd -q -

# %% [markdown]
# The next cell starts the chief and two workers on this machine, and waits for the workers. What a process prints
# goes into a file of its own.


# %%
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))  # port 0: the system names a free one
    port = probe.getsockname()[1]
settings = {
    "KERASTUNER_ORACLE_IP": "127.0.0.1",
    "KERASTUNER_ORACLE_PORT": str(port),
    "no_grpc_proxy": "127.0.0.1",  # a proxy for the web must not take the requests to the chief
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # the processes share one GPU
}


def start(name):
    """Start the script as the chief or as a worker."""
    environment = {**os.environ, **settings, "KERASTUNER_TUNER_ID": name}
    with open(folder / f"{name}.log", "w") as log:
        return subprocess.Popen(
            [sys.executable, "my_search.py"], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )


workers = ["tuner0", "tuner1"]
processes = {name: start(name) for name in ["chief", *workers]}
try:
    while processes["chief"].poll() is None and any(processes[name].poll() is None for name in workers):
        time.sleep(0.5)
finally:  # also after the stop button
    for process in processes.values():
        process.terminate()
        process.wait()

done = 0
for path in sorted(folder.glob("my_search/digits/trial_*/trial.json")):
    trial = json.loads(path.read_text())
    if trial["status"] == "COMPLETED":
        done += 1
        print(f"trial {trial['trial_id']}: {trial['score']:.1%}", trial["hyperparameters"]["values"])
for name in workers:
    print(f"{name} ran", (folder / f"{name}.log").read_text().count("trial:"), "trials")
if done < 6:
    print(f"Only {done} of 6 trials are done. Run this cell again: it goes on. The processes said:")
    for name in processes:
        print(f"--- {name}", *(folder / f"{name}.log").read_text().splitlines()[-5:], sep="\n")

# %% [markdown]
# A worker that dies takes one trial with it; the next start of the same search repeats it. This script keeps no
# copy of its records. If the chief stops with a `JSONDecodeError`, it found half a file: delete `my_search`, and
# start again.
#
# Two workers on two processor cores gain less than one would hope, since one training already uses both. Two
# machines or two GPUs are what it is made for: there you start the script on each, with the three variables and a
# folder that all of them see.
#
# ## What we saw
#
# - Few random trials find *something good*: how many are needed does not depend on how many names there are.
# - A search can be stopped at any time: it goes on from its folder, and trains no finished trial twice.
# - The winner's own figure is too good, on average. What is reported comes from new seeds and images that have
#   decided nothing.
# - Whether the course's best is the best here is printed above, with its interval.
#
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### How many trials?
#
# Return the smallest number of random trials that hit the best `share` of all draws at least once with probability
# `confidence` or more. Both are between 0 and 1.


def trials_needed(share, confidence):
    # student: return None
    # solution
    return int(np.ceil(np.log(1 - confidence) / np.log(1 - share)))
    # end solution


ex.trials_needed.check(trials_needed)

# %% [markdown] tags=["hints"]
# - One trial misses with probability 1 - share. And n trials?
# - All n miss with (1 - share) ** n. That may be at most 1 - confidence.
# - Divide log(1 - confidence) by log(1 - share), and round up: `np.ceil`.

# %% [markdown] tags=["solution"]
# All trials miss with probability (1 - share) to the power of n. That may be at most 1 - confidence; take the
# logarithm of both, and round up, since trials are whole. For the best hundredth with 99 % it is 459.

# %% tags=["exercise"]
# ### The size of a space
#
# A space has the optimizers SGD (with momentum) and Adam (without), 5 rates, 4 momenta, 3 activations and 2 sizes
# of the dense layer. How many different trials are there? How many hours does the whole grid take, at 2 minutes
# for each?

# student: grid_trials = None
# student: hours = None
# solution
grid_trials = (4 + 1) * 5 * 3 * 2
hours = grid_trials * 2 / 60
# end solution

ex.size_of_space.check(grid_trials, hours)

# %% [markdown] tags=["hints"]
# - Count the optimizers with their momenta first: SGD has 4 variants, and Adam has one.
# - Multiply by the number of rates, of activations and of sizes.
# - 2 minutes for each trial, 60 minutes in an hour.

# %% [markdown] tags=["solution"]
# SGD comes with 4 momenta and Adam alone: 5 kinds of steps. Times 5 rates, 3 activations and 2 sizes that is 150
# trials, 5 hours. 59 random ones take two.

# %% tags=["exercise"]
# ### A space for KerasTuner
#
# Return a dictionary with a value for each name, drawn with `hp.Choice`: "optimizer" ("SGD", "RMSprop", "Adam" or
# "Adagrad"), "learning_rate" (0.003, 0.03 or 0.3), "activation" ("relu" or "tanh") and "momentum" (0.5 or 0.95).
# For an optimizer other than SGD and RMSprop the dictionary has no momentum, and KerasTuner draws none.


def draw_trial(hp):
    # student: return None
    # solution
    trial = {
        "optimizer": hp.Choice("optimizer", ["SGD", "RMSprop", "Adam", "Adagrad"]),
        "learning_rate": hp.Choice("learning_rate", [0.003, 0.03, 0.3]),
        "activation": hp.Choice("activation", ["relu", "tanh"]),
    }
    with hp.conditional_scope("optimizer", ["SGD", "RMSprop"]):
        if trial["optimizer"] in ("SGD", "RMSprop"):
            trial["momentum"] = hp.Choice("momentum", [0.5, 0.95])
    return trial
    # end solution


ex.draw_trial.check(draw_trial)

# %% [markdown] tags=["hints"]
# - `hp.Choice("activation", ["relu", "tanh"])` draws one of the two and gives it a name.
# - The momentum is drawn where `trial["optimizer"] in ("SGD", "RMSprop")`, and only there.
# - KerasTuner learns that from `with hp.conditional_scope("optimizer", ["SGD", "RMSprop"]):` around it.

# %% [markdown] tags=["solution"]
# The `if` leaves the momentum out of the dictionary. The scope tells KerasTuner that it does not belong to Adam or
# Adagrad: without it, Adam with momentum 0.5 and Adam with 0.95 would be two trials, and one of them is wasted.

# %% tags=["exercise"]
# ### What to report
#
# `searched`, (n,), holds the accuracy of each trial of a search on held-out images. Afterwards each was trained
# again with new seeds and measured on test images: `tested`, (n, seeds). Return the place of the trial that you
# choose, and the accuracy that you report for it.


def report(searched, tested):
    # student: return None
    # solution
    place = int(np.argmax(searched))
    return place, tested[place].mean()
    # end solution


ex.what_to_report.check(report)

# %% [markdown] tags=["hints"]
# - What has been used to choose can no longer report.
# - Choose with `np.argmax(searched)`; report from `tested`.
# - The figure is the mean of the row of `tested` that was chosen.

# %% [markdown] tags=["solution"]
# The held-out images choose, and the test images report, as the mean of all seeds. Who chooses by the test images
# has spent them: their figure is then a winner's, too.

# %% [markdown]
# ## Where to go on
#
# - Ask for twice the trials with the same `folder`. Is there a better one? How much better, with seeds?
# - Give the rate ten values, evenly spaced in its logarithm. `11_design_a_cnn` finds one in a single sweep.
# - Take the features of `07_transfer_learning` as the images and a dense layer as the network: Lorente's own task.
#   Does the course's best hold there?

# %% tags=["summary"]
print(f"Data: {where} ({data.source}); trials: {len(trials)}, epochs: {knobs['epochs']}")
print(f"Found: {named(ours)}, {first:.1%} in the search (held-out images, one seed)")
for row in final.rows:
    deviation = "" if row.accuracy_std is None else f" ± {100 * row.accuracy_std:.1f}"
    text = "failed" if row.accuracy is None else f"{100 * row.accuracy:.1f}{deviation} %"
    print(f"On {len(test[0]):,} test images, {row.variant} best: {text} ({row.seeds} seeds)")
print(f"The course's best is better than what we found: {conclusion.conclusion}")
print(device)
ex.summary()
