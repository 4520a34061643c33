# %% [markdown] needs=["keras-tuner>=1.4.8", "kt-legacy"]
# # 13. Random search
#
# **The question.** Optimizer, learning rate, momentum, activation: together 108 combinations, and they depend on
# each other. Nobody tries them all by hand. A search draws some at random. Why at random, and not from a grid? How
# many trials are enough? How much of the winner's lead is luck? And are the values that the course found the best
# here, too?
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
import warnings
import zlib

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

from kerascv_course import load_digits, plotting, runtime
from kerascv_course.datasets import cache_folder, colour_baseline, load, missing, split_validation
from kerascv_course.exercises import random_search as ex
from kerascv_course.experiment import verdict

device = runtime.setup(seed=0, missing=missing("cifar10"))
print(device)
if importlib.util.find_spec("keras_tuner") is None:
    raise ImportError('This notebook needs KerasTuner: pip install "kerascv_course[tuning]", then start it again.')
import keras_tuner

# %% [markdown]
# ## Knobs
#
# `trials` are drawn, and each is trained for `epochs`. The search is stopped after `stop` of them, to see that it
# goes on. The `repeated` best ones are trained again, with `seeds` new seeds; the two finalists also for
# `final_epochs`.

# %%
choose = runtime.by_profile
knobs = {
    "curve": choose(smoke=3, lite=5, full=25, gpu=49),  # learning rates of the measured curve
    "curve_epochs": choose(smoke=1, lite=3, full=10, gpu=10),
    "per_class": choose(smoke=20, lite=120, full=1_500, gpu=None),  # None: all
    "test": choose(smoke=10, lite=50, full=None, gpu=None),  # test images of each class
    "held_out": choose(smoke=0.5, lite=1 / 3, full=1 / 3, gpu=0.1),  # share of the training images
    "side": choose(smoke=16, lite=16, full=32, gpu=32),
    "filters": choose(smoke=4, lite=8, full=16, gpu=32),
    "batch": choose(smoke=64, lite=50, full=64, gpu=128),
    "epochs": choose(smoke=1, lite=3, full=4, gpu=5),
    "trials": choose(smoke=3, lite=6, full=60, gpu=60),
    "stop": choose(smoke=1, lite=3, full=20, gpu=20),
    "repeated": choose(smoke=2, lite=2, full=5, gpu=5),
    "seeds": choose(smoke=1, lite=2, full=5, gpu=5),
    "final_epochs": choose(smoke=1, lite=6, full=12, gpu=30),
}
margin = 0.01  # a difference of less than one point does not matter
hit = 1 - 0.95 ** knobs["trials"]
print(f"{knobs['trials']} trials find one of the best 5 % with a probability of {hit:.0%}: see below")
knobs

# %% [markdown]
# ## Grid or random? A measured example
#
# A **grid** tries all combinations of chosen values. **Random search** draws each trial anew. Nine trials for two
# settings are a grid of 3 x 3: each setting takes three values. Nine random trials take nine values of *each*. If
# only one of the settings matters, the grid tries only three different things.
#
# We measure such a case: a dense network for digits of 8 x 8 pixels, trained with Adam. Setting one is the
# learning rate. Setting two is Adam's $\varepsilon$, a small number that avoids a division by zero.

# %%
digits = load_digits(image_size=8)
digits_train, digits_val = split_validation(digits.x_train, digits.y_train, 0.3)


def digit_network(rate, epsilon=1e-7):
    """Build and compile a dense network for the digits."""
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Flatten()])
    model.add(layers.Dense(32, activation="relu"))
    model.add(layers.Dense(10, activation="softmax"))
    optimizer = keras.optimizers.Adam(rate, epsilon=epsilon)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


exponents = np.linspace(-5, 1, knobs["curve"])  # the learning rate is 10 to the power of them
curves = {}
for name, epsilon, seed in (("epsilon 1e-7", 1e-7, 0), ("epsilon 1e-9", 1e-9, 0), ("another seed", 1e-7, 1)):
    curves[name] = []
    for exponent in exponents:
        keras.utils.set_random_seed(seed)
        model = digit_network(10**exponent, epsilon)
        model.fit(*digits_train, epochs=knobs["curve_epochs"], batch_size=32, verbose=0)
        curves[name].append(model.evaluate(*digits_val, verbose=0)[1])
curve = np.mean(list(curves.values()), axis=0)
print(f"mean accuracy on {len(digits_val[0])} digits: {curve.min():.0%} to {curve.max():.0%}, by learning rate")
for name in ("epsilon 1e-9", "another seed"):
    change = np.mean(np.abs(np.subtract(curves["epsilon 1e-7"], curves[name])))
    print(f"{name}: differs by {100 * change:.1f} points, in the mean over the learning rates")

# %% [markdown]
# The figure has nine trials of both kinds. The lines at the bottom are the learning rates that are tried. Where
# the grid lies is a choice, too: here it lies as evenly as possible.

# %%
PLACES = (np.arange(3) + 0.5) / 3
grid = np.array([(rate, other) for rate in PLACES for other in PLACES])
random = np.random.default_rng(3).random((9, 2))
figure, axes = plt.subplots(2, 2, figsize=(8, 5), sharex=True, height_ratios=(1, 1.2), layout="constrained")
for column, (kind, points) in enumerate({"grid": grid, "random": random}.items()):
    tried = exponents[0] + np.ptp(exponents) * points[:, 0]
    top, bottom = axes[:, column]
    top.plot(exponents, curve, color="C0")
    top.plot(tried, np.interp(tried, exponents, curve), "o", color="C1")
    top.set(title=f"{kind}: {len(np.unique(tried))} learning rates", ylim=(0, 1.05), ylabel="validation accuracy")
    bottom.plot(tried, -9 + 2 * points[:, 1], "o", color="C1")
    bottom.plot(tried, np.full(9, -9.35), "|", color="C1", markersize=12)
    bottom.set(xlabel="learning rate: exponent of 10", ylabel="epsilon: exponent of 10", ylim=(-9.5, -6.9))
for axis in axes.flat:
    axis.grid(alpha=0.3)
plt.show()

# %% [markdown]
# One picture proves nothing: another grid, or other random numbers, could win. So we repeat it 10,000 times on the
# measured curve. A grid starts at a random place; its distances stay.

# %%
rng = np.random.default_rng(0)
grids = (np.arange(3) + rng.random((10_000, 1))) / 3  # three rates, three times each
draws = rng.random((10_000, 9))
print("nine trials; the best accuracy in the mean, and how often it is within one point of the maximum")
for kind, places in {"grid": grids, "random": draws}.items():
    best = np.interp(exponents[0] + np.ptp(exponents) * places, exponents, curve).max(axis=1)
    print(f"{kind:8} {best.mean():.1%}   {np.mean(best > curve.max() - 0.01):.0%}")

# %% [markdown]
# The grid spends two thirds of its trials on repeating a learning rate. Usually nobody knows beforehand which
# setting matters. Random search does not need to know. (The curve is interpolated between measured points, and
# $\varepsilon$ is taken to have no effect at all.)
#
# ## How many trials?
#
# One trial misses the best 5 % of all draws with probability 0.95. All of $n$ trials miss them with
# $0.95^n$. At least one hits them with
#
# $$P = 1 - (1 - 0.05)^n \ge 0.95 \quad \text{for} \quad n \ge \frac{\ln 0.05}{\ln 0.95} = 58.4$$
#
# So **59** trials, for four settings as for forty. We also count: a draw gets a random rank between 0 (the best)
# and 1, and 10,000 searches look for a rank below 0.05.

# %%
numbers = np.arange(1, 121)
ranks = rng.random((10_000, 120))
simulated = (np.minimum.accumulate(ranks, axis=1) < 0.05).mean(axis=0)
for n in sorted({12, 58, 59, knobs["trials"]}):
    print(f"{n:3} trials: formula {1 - 0.95**n:.1%}, counted {simulated[n - 1]:.1%}")

figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
for share, style in ((0.1, ":"), (0.05, "-"), (0.01, "--")):
    axis.plot(numbers, 1 - (1 - share) ** numbers, style, color="C0", label=f"best {share:.0%}, formula")
axis.plot(numbers[::6], simulated[::6], "x", color="C1", label="best 5%, counted")
axis.axhline(0.95, color="gray", linewidth=0.8)
axis.plot(59, 1 - 0.95**59, "o", color="C2", label="59 trials")
axis.set(xlabel="trials", ylabel="P(at least one hit)", ylim=(0, 1.03))
axis.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
axis.grid(alpha=0.3)
plt.show()

# %% [markdown]
# The formula does not say how good the best 5 % are. And it assumes that we *see* which trial is the best: more
# about that below.
#
# ## KerasTuner
#
# KerasTuner does the drawing and the bookkeeping. You write a function that takes `hp`, draws values with it and
# returns a compiled model. This is a whole search, for the digits:


# %%
def build(hp):
    """Draw a learning rate, and build the network."""
    keras.utils.set_random_seed(0)
    return digit_network(hp.Float("rate", 1e-5, 10.0, sampling="log"))


tuner = keras_tuner.RandomSearch(
    build,
    objective="val_accuracy",
    max_trials=3,
    seed=0,
    directory=cache_folder() / "runs" / "13_random_search-first",
    overwrite=True,
)
tuner.search(*digits_train, validation_data=digits_val, epochs=2, batch_size=32, verbose=0)
for trial in tuner.oracle.get_best_trials(3):
    print(f"rate {trial.hyperparameters.get('rate'):.1e}: validation accuracy {trial.score:.1%}")

# %% [markdown]
# ## The data of the large search
#
# CIFAR-10, where it is at hand. Where it is not, the profiles `full` and `gpu` download it, and so does `lite` in
# Colab and Kaggle. Otherwise *patches* take its place: crops of ten photographs that scikit-image carries. The
# profile `lite` is small: it shows how things are done. What comes out is on the solved page, with five seeds.
#
# Trials learn from the **training** images and are compared on **held-out** images, the validation images. The
# **test** images wait for the two finalists.

# %%
data = load("cifar10", fallback="patches", download=device.downloads)
if knobs["per_class"]:
    data = data.subset(knobs["per_class"], test_per_class=knobs["test"])
train, held_out = split_validation(data.x_train, data.y_train, knobs["held_out"])
where = f"{data.name}, {len(train[0]):,} training and {len(held_out[0]):,} held-out images"
print(f"{where}, from {data.source}")
print(f"colour alone (logistic regression on six numbers): {colour_baseline(data):.1%} of the test images")

plotting.plot_images(data.examples()[0], titles=data.class_names, columns=10, caption=f"Data: {data.name}")

# %% [markdown]
# A plain function builds a small CNN with the chosen values. The activation goes into every layer but the last.
# Not every optimizer has a momentum: for one that has none, `momentum` is not given.


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
# ## The space of the course
#
# If the training is to be part of the search, KerasTuner takes a `HyperModel`: `build(hp)` draws the values and
# builds the model, `fit` trains it. `hp.Choice` draws one of a list, each with the same probability. All trials
# have the same seed, the same images, the same epochs and the same batch size: only the drawn values differ.
#
# Only SGD and RMSprop have a momentum. `hp.conditional_scope` says so: for the other three optimizers none is
# drawn. Without it, Adam with momentum 0.6 and Adam with momentum 0.9 would be two trials.

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
print(
    f"\n(2 optimizers x 3 momenta + 3 optimizers) x 4 rates x 3 activations = {(2 * 3 + 3) * 4 * 3} combinations"
)

# %% [markdown]
# The space is finite, and KerasTuner draws no combination twice. So the chance to hit the best 5 % is a little
# higher than the formula says, never lower.
#
# ## A search that may be stopped
#
# A search takes hours. Notebooks are closed, computers restart. So KerasTuner writes its state into a folder after
# each trial. With `overwrite=False` a search with the same folder goes on from there.
#
# One weak point remains: it overwrites its own files. If the process is killed in that moment, half a file is
# left, and the search does not start again. This is rare, but it can cost a night's work. So we keep a copy of the
# records after each trial. The copy gets its name only when it is complete.

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
    warnings.filterwarnings("ignore", "All-NaN")  # a trial's loss may be NaN in every epoch
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
    tuner.search(*train, validation_data=held_out, verbose=0)
    return tuner


# %% [markdown]
# We stop the search ourselves, in the middle of a trial, as the stop button does.


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
# KerasTuner draws one trial after the other from the seed. So you may ask for more trials later: the first ones
# stay what they are. If you change the network, use another folder.
#
# ## What the search found

# %%
trials = [trial for trial in tuner.oracle.get_best_trials(knobs["trials"]) if trial.status == "COMPLETED"]
best = trials[0]
accuracies = np.array([trial.score for trial in trials])


def named(values):
    """Return the values of a trial as a short name."""
    return " ".join(str(value) for value in values.values())


print(f"{'place':>5s}  {'accuracy':8s}  {'epoch':5s}  values")
for place, trial in enumerate(trials, start=1):
    is_course = trial.hyperparameters.values == COURSE_BEST
    if place <= 10 or place > len(trials) - 3 or is_course:
        note = "   <- the course's best" if is_course else ""
        values = named(trial.hyperparameters.values) + note
        print(f"{place:5d}  {trial.score:8.1%}  {trial.best_step + 1:5d}  {values}")
if all(trial.hyperparameters.values != COURSE_BEST for trial in trials):
    print("The course's best was not drawn.")
lost, failed = np.sum(accuracies < 0.15), knobs["trials"] - len(trials)
print(f"below 15 %, where guessing gives 10 %: {lost} of {len(trials)} trials; failed: {failed}")
print(f"{where}; one seed; {knobs['epochs']} epochs, of which the best counts")

# %%
figure, axes = plt.subplots(1, 4, figsize=(9, 3.6), layout="constrained", sharey=True)
names = ["optimizer", "learning_rate", "momentum", "activation"]
for axis, name in zip(axes, names, strict=True):
    drawn = [trial.hyperparameters.values.get(name) for trial in trials]
    choices = sorted({value for value in drawn if value is not None})
    shifts = np.linspace(-0.25, 0.25, len(trials))  # dots of one value stand beside each other
    for trial, value, shift in reversed(list(zip(trials, drawn, shifts, strict=True))):
        if value is not None:
            marker, color, size = ("*", "C1", 14) if trial is best else ("o", "C0", 5)
            axis.plot(choices.index(value) + shift, trial.score, marker, color=color, markersize=size)
    axis.set_xticks(range(len(choices)), choices, rotation=60 if name == "optimizer" else 0)
    axis.set(xlabel=name.replace("_", " "), xlim=(-0.5, len(choices) - 0.5))
    axis.grid(alpha=0.3, axis="y")
axes[0].set_ylabel("accuracy on held-out images")
figure.suptitle(f"{data.name}; {len(trials)} trials, one seed; star: the best trial", fontsize=10)
plt.show()

# %% [markdown]
# Which setting matters? For each setting: the share of the variance between the trials that goes with its values.
# Beside it the share that values without any effect would have by chance: with few trials it is not small.

# %%
total = max(np.sum((accuracies - accuracies.mean()) ** 2), 1e-12)
for name in names:
    drawn = np.array([str(trial.hyperparameters.values.get(name, "none")) for trial in trials])
    groups = [accuracies[drawn == value] for value in np.unique(drawn)]
    between = sum(len(group) * (group.mean() - accuracies.mean()) ** 2 for group in groups)
    by_chance = (len(groups) - 1) / max(len(trials) - 1, 1)
    print(f"{name:14s} {between / total:4.0%} of the variance; by chance {by_chance:4.0%}")

# %% [markdown]
# The values do not act alone. Each optimizer scales its steps in its own way, so each needs another learning rate:

# %%
rates = [0.001, 0.01, 0.1, 0.2]
print("best trial of each pair" + "".join(f"{rate:>10g}" for rate in rates))
for optimizer in OPTIMIZERS:
    print(f"{optimizer:23}", end="")
    for rate in rates:
        pair = {"optimizer": optimizer, "learning_rate": rate}
        scores = [trial.score for trial in trials if pair.items() <= trial.hyperparameters.values.items()]
        print(f"{max(scores):>10.1%}" if scores else f"{'-':>10}", end="")
    print()

# %% [markdown]
# ## The winner's curse
#
# Each trial was trained once. Another seed gives another accuracy. Who is first of many has often had luck: the
# **winner's curse**. How much luck is to be expected? Say all $n$ trials were equally good, and differed only by
# chance, with standard deviation $\sigma$. Then the first looks too good by
#
# $$\mathrm{E}\Big[\max_i x_i\Big] - \mu = c_n\, \sigma$$
#
# and $c_n$ grows with the number of trials. We count it:

# %%
noise = rng.normal(size=(20_000, 120))
highest = np.maximum.accumulate(noise, axis=1).mean(axis=0)
for n in sorted({2, 5, 12, len(trials), 120}):
    print(f"the first of {n:3} equally good trials looks {highest[n - 1]:.2f} standard deviations too good")

# %% [markdown]
# Now the real ones. We train the first trials again, with seeds that the search has not used, and count as the
# search does: the best epoch, on the same held-out images. The course's best values are trained in the same way,
# with the same budget.


# %%
def train_again(values, seed, epochs):
    """Build a model with some values, train it, and return it with its best accuracy on the held-out images."""
    keras.utils.set_random_seed(seed)
    model = make_model(**values)
    options = {"epochs": epochs, "batch_size": knobs["batch"], "verbose": 0}
    history = model.fit(*train, validation_data=held_out, **options).history
    return model, max(history["val_accuracy"])


top = trials[: knobs["repeated"]]
tried = {f"{place}. {named(trial.hyperparameters.values)}": trial for place, trial in enumerate(top, start=1)}
seeds = range(101, 101 + knobs["seeds"])
again = {
    name: [train_again(trial.hyperparameters.values, seed, knobs["epochs"])[1] for seed in seeds]
    for name, trial in tried.items()
}
again["the course's best"] = [train_again(COURSE_BEST, seed, knobs["epochs"])[1] for seed in seeds]

print(f"{'place in the search':34s}search   again   change   seeds")
for name, found in again.items():
    shown = ", ".join(f"{value:.1%}" for value in found)
    before, change = "-", "-"  # the search did not try the course's best
    if name in tried:
        before, change = f"{tried[name].score:.1%}", f"{100 * (np.mean(found) - tried[name].score):+.1f}"
    print(f"{name:34s}{before:>6}  {np.mean(found):6.1%}   {change:>6}   {shown}")
changes = [np.mean(again[name]) - trial.score for name, trial in tried.items()]
print(f"mean change of the first {len(top)}: {100 * np.mean(changes):+.1f} points")
winner, *others = tried
print(f"\nIs the search's first ({named(best.hyperparameters.values)}) better than the next ones? Margin: 1 point")
for other in others:
    print(" ", verdict(again, winner, other, margin=margin))
print(f"{len(others)} intervals: if no difference were real, {1 - 0.95 ** len(others):.0%} of such lists", end=" ")
print("would show a false one.")

# %%
figure, axis = plt.subplots(figsize=(8, 1.4 + 0.5 * len(top)), layout="constrained")
for place, (name, trial) in enumerate(tried.items()):
    label = (None, None, None) if place else ("in the search", "other seeds", "their mean")
    axis.plot(trial.score, place, "*", color="C1", markersize=14, label=label[0])
    axis.plot(again[name], [place + 0.15] * len(seeds), "o", color="C0", alpha=0.7, label=label[1])
    mark = {"color": "C0", "markersize": 20, "markeredgewidth": 2}
    axis.plot(np.mean(again[name]), place + 0.15, "|", **mark, label=label[2])
axis.set_yticks(range(len(top)), tried)
axis.set(ylim=(len(top) - 0.4, -0.6), xlabel="accuracy on held-out images")
axis.set_title(f"{data.name}; epochs: {knobs['epochs']}", fontsize=10)
axis.grid(alpha=0.3, axis="x")
figure.legend(loc="outside lower center", ncols=3, markerscale=0.6)
plt.show()

# %%
score = best.score
sampling = np.sqrt(score * (1 - score) / len(held_out[0]))
if knobs["seeds"] > 1:
    sigma = 100 * np.sqrt(np.mean([np.var(again[name], ddof=1) for name in tried]))
    lead = 100 * (trials[0].score - trials[1].score)
    luck = highest[len(trials) - 1] * sigma
    print(f"one trial varies with the seed by {sigma:.1f} points (standard deviation)")
    print(f"the first of {len(trials)} equally good trials would look {luck:.1f} points too good")
    print(f"the winner's lead over the second, in the search: {lead:.1f} points")
else:
    print("One seed says nothing about the spread.")
print(f"{len(held_out[0]):,} held-out images measure {score:.1%} to {100 * sampling:.1f} points (standard error)")

# %% [markdown]
# The trials are not equally good, so the curse is smaller than for equal ones. The table says how much of its lead
# the first keeps with other seeds. To put the first few in order, a search needs more seeds than one.
#
# ## The course's best against ours
#
# Lorente's search ended at SGD, 0.001, momentum 0.9, ReLU. Is that better here than what our search found? Twice
# with the same budget for both: with the epochs of the search (above), and with more epochs. The second time we
# look at the **test** images, once, after the last epoch. They have decided nothing so far.

# %%
ours = best.hyperparameters.values
finalists = {"the course's best": COURSE_BEST, "our search's best": ours}
test_shares = {
    name: [
        train_again(values, seed, knobs["final_epochs"])[0].evaluate(data.x_test, data.y_test, verbose=0)[1]
        for seed in range(201, 201 + knobs["seeds"])
    ]
    for name, values in finalists.items()
}
parameters = make_model(**COURSE_BEST).count_params()
print(f"both have {parameters:,} parameters and see the same {len(train[0]):,} images in each epoch\n")
for name, values in finalists.items():
    found = test_shares[name]
    spread = f" ± {100 * np.std(found, ddof=1):.1f}" if len(found) > 1 else ""
    print(f"{name} ({named(values)}): {100 * np.mean(found):.1f}{spread} % of {len(data.x_test):,} test images")
again["our search's best"] = again[winner]
short = verdict(again, "the course's best", "our search's best", margin=margin)
long = verdict(test_shares, "the course's best", "our search's best", margin=margin)
if ours == COURSE_BEST:
    print("The search found the course's best itself.")
print(f"\n{knobs['epochs']} epochs, held-out images, best epoch:\n  {short}")
print(f"{knobs['final_epochs']} epochs, test images, last epoch:\n  {long}")
if short.conclusion != long.conclusion:
    print("The verdict depends on the number of epochs.")
else:
    print("Both budgets give the same verdict.")

# %% [markdown]
# Both verdicts are about *this* network on *this* data. The first is measured on the held-out images, on which our
# values were chosen: a small advantage for ours. Lorente searched for a head on a network that had been trained
# before, on other images. There small steps are usual, because a large one can destroy good features. Take the
# *space* of a search along to the next task. Its *winner* belongs to its network, its data and its number of
# epochs: short trials favour what learns fast.
#
# ## The same search in two processes, or on two machines
#
# Trials do not need each other, so several processes can share them. KerasTuner has a *chief* that hands out the
# trials, and *workers* that run them. All of them run the same script. Three environment variables say who is who:
#
# | variable | chief | workers |
# |---|---|---|
# | `KERASTUNER_TUNER_ID` | `chief` | `tuner0`, `tuner1`, ... |
# | `KERASTUNER_ORACLE_IP` | its own address | the chief's address |
# | `KERASTUNER_ORACLE_PORT` | a free port | the same |
#
# The script is complete: it loads its data and knows its space. Without the variables it is a search in one
# process. The next cells write it into the folder of the search.

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
# If a worker dies, one trial is lost, and the next start of the same search repeats it. This script keeps no copy
# of its records. If the chief stops with a `JSONDecodeError`, it found half a file: delete `my_search`, and start
# again.
#
# On two processor cores two workers gain little, since one training already uses both. They are made for two
# machines or two GPUs: start the script on each, with the three variables and a folder that all of them see.
#
# ## What we saw
#
# - Where only one setting matters, random search tries more values of it than a grid.
# - 59 random trials hit the best 5 % with 95 %, however many settings there are.
# - A search can be stopped at any time: it goes on from its folder.
# - The winner's own figure is too good, on average. Report one from new seeds, on images that have decided
#   nothing.
# - Whether the course's best is the best here is printed above, with its interval, for two budgets.
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
# - Ask for twice the trials with the same `folder`. Is there a better one? How much better, with new seeds?
# - Give the rate ten values, evenly spaced in its logarithm. `11_design_a_cnn` finds one in a single sweep.
# - Take the features of `07_transfer_learning` as the images and a dense layer as the network: Lorente's own task.
#   Does the course's best hold there?

# %% tags=["summary"]
print(f"Data: {where} ({data.source}); trials: {len(trials)}, epochs: {knobs['epochs']}")
print(f"Found: {named(ours)}, {best.score:.1%} in the search (held-out images, one seed)")
for name, found in test_shares.items():
    print(f"On {len(data.x_test):,} test images, {name}: {np.mean(found):.1%} ({len(found)} seeds)")
print(f"The course's best is better than what we found: {short.conclusion}, {long.conclusion} with more epochs")
print(device)
ex.summary()
