# %% [markdown]
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
import tempfile
from functools import partial
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from keras import layers

from kerascv_course import plotting, runtime
from kerascv_course.datasets import load, split_validation
from kerascv_course.exercises import random_search as ex
from kerascv_course.experiment import compare, verdict
from kerascv_course.tuning import COURSE_SPACE, make_optimizer, random_search

device = runtime.setup(seed=0)
print(device)
if importlib.util.find_spec("keras_tuner") is None:
    raise ImportError('This notebook needs KerasTuner: pip install "kerascv_course[tuning]", then start it again.')

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
)  # fmt: skip
knobs

# %% [markdown]
# ## The data
#
# CIFAR-10 where it is at hand; otherwise, except in the full profile, *patches*: crops of ten photographs that
# scikit-image carries. The search sees training images and images that are *held out* from them. The test images
# wait for the two finalists.

# %%
data = load("cifar10", fallback=None if device.profile == "full" else "patches")
if knobs["per_class"]:
    data = data.subset(knobs["per_class"], test_per_class=knobs["test"])
train, held_out = split_validation(data.x_train, data.y_train, knobs["held_out"])
test = (data.x_test, data.y_test)
where = f"{data.name}, {len(train[0]):,} training and {len(held_out[0]):,} held-out images"
print(f"{where}, from {data.source}")
if data.name.startswith("patches"):
    print("Training and held-out crops of one photograph may overlap: that flatters the accuracies, all alike.")

first_of_each = [int(np.flatnonzero(train[1] == label)[0]) for label in range(10)]
plotting.plot_images(train[0][first_of_each], titles=data.class_names, columns=10, caption=f"Data: {data.name}")

# %% [markdown]
# ## The space
#
# A space says which values each name may have. Not every optimizer has a momentum; for one that has none it is
# left out, and what would differ in the momentum alone counts once.

# %%
for name, values in COURSE_SPACE.items():
    print(f"{name:14s}", ", ".join(map(str, values)))

with_momentum = {"SGD", "RMSprop"}
pairs = sum(len(COURSE_SPACE["momentum"]) if name in with_momentum else 1 for name in COURSE_SPACE["optimizer"])
different = pairs * len(COURSE_SPACE["learning_rate"]) * len(COURSE_SPACE["activation"])
print(f"\n{pairs} optimizers with momenta, times rates, times activations: {different} different trials")

# %% [markdown]
# ## Why at random?
#
# A **grid** tries all combinations of chosen values: 16 trials are 4 values for each of two names, but only 2 for
# each of four. If one name alone matters, most of the grid's trials repeat each other. **Random** trials all
# differ in each name that has enough values.
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
# The search below is a little better than the formula: it draws no trial twice.
#
# ## What a trial builds
#
# A function takes the values that were drawn and returns a compiled model. The activation goes into every layer
# but the last; `make_optimizer` makes the optimizer.


# %%
def build(values):
    """Build and compile a small CNN with the values of a trial."""
    activation = values["activation"]
    model = keras.Sequential([keras.Input(data.input_shape), layers.Rescaling(1 / 127.5, offset=-1)])
    model.add(layers.AveragePooling2D(32 // knobs["side"]))
    for factor in (1, 2):
        model.add(layers.Conv2D(factor * knobs["filters"], 3, padding="same", activation=activation))
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(8 * knobs["filters"], activation=activation))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(make_optimizer(values), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


COURSE_BEST = {"optimizer": "SGD", "learning_rate": 0.001, "momentum": 0.9, "activation": "relu"}
build(COURSE_BEST).summary()

# %% [markdown]
# ## A search that may be stopped
#
# A search takes hours; a notebook is closed, a computer restarts. Each trial's result is therefore written to a
# folder as soon as it is there. We press "stop" ourselves, in the middle: `build` raises what the stop button
# raises.

# %%
folder = Path(tempfile.mkdtemp())  # name a folder of your own: then the search survives this notebook
built = []


def build_and_stop(values, at=None):
    """Build a model and note it; interrupt where `at` models have been built."""
    built.append(values)
    if len(built) == at:
        raise KeyboardInterrupt
    return build(values)


def search(build):
    """Run what is missing of the search, and return all of it."""
    return random_search(build, train, validation_data=held_out, folder=folder, space=COURSE_SPACE,
                         max_trials=knobs["trials"], epochs=knobs["epochs"], batch_size=knobs["batch"],
                         seed=0, verbose=0)  # fmt: skip


def finished():
    """Return for each trial that has a result when it was written."""
    return {path.name: path.stat().st_mtime_ns for path in sorted(folder.glob("trial-*.json"))}


try:
    # One model more than trials: the first is built only to see whether the folder holds this very search.
    search(partial(build_and_stop, at=knobs["stop"] + 2))
except KeyboardInterrupt:
    before = finished()
    print(f"stopped in trial number {knobs['stop']}, counted from 0; finished by then: {len(before)}")

# %% [markdown]
# The same call again. The trial that was interrupted starts anew, and no finished one is trained twice.

# %%
built.clear()
results = search(build_and_stop)
after = finished()
untouched = sum(after[name] == written for name, written in before.items())
print(f"trained now: {len(built) - 1}; taken from the folder: {untouched}; together: {len(after)} trials")
values = [json.dumps(row.values, sort_keys=True) for row in results.rows]
print(f"different trials: {len(set(values))} of {len(values)}")

# %% [markdown]
# Trial number $n$ depends on the space, the seed and $n$ alone. So more trials may be asked for later, too: the
# first ones stay what they are.
#
# ## What the search found

# %%
display(results)
done = [row for row in results.rows if not row.error]
best = results.best.values
chance = max(np.mean(held_out[1] == label) for label in range(10))
print(f"{where}; one seed, epochs: {knobs['epochs']}, of which the best counts. {device}")
print(f"At the level of chance ({chance:.0%} and 5 points more): "
      f"{sum(row.val_accuracy < chance + 0.05 for row in done)} of {len(done)} trials")  # fmt: skip
plotting.plot_search(results, caption=f"{where}; {len(results.rows)} trials, one seed")

# %% [markdown]
# Which name matters? For each name we take the share of the spread among the trials that goes with its values,
# and beside it the share that values without any effect would have by chance: with few trials that is not little.

# %%
accuracies = np.array([row.val_accuracy for row in done])
spread = max(np.sum((accuracies - accuracies.mean()) ** 2), 1e-12)
for name in COURSE_SPACE:
    values = np.array([str(row.values.get(name, "none")) for row in done])
    groups = [accuracies[values == value] for value in np.unique(values)]
    between = sum(len(group) * (group.mean() - accuracies.mean()) ** 2 for group in groups)
    by_chance = (len(groups) - 1) / max(len(done) - 1, 1)
    print(f"{name:14s} goes with {between / spread:4.0%} of the spread; by chance {by_chance:4.0%}")

# %% [markdown]
# The values do not act alone. A rate that is right for Adam is far too small for Adadelta, and 0.2 that suits
# Adagrad may ruin RMSprop. To draw all names together is how a search sees such pairs.
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


top = done[: knobs["repeated"]]
seeds = range(1, 1 + knobs["seeds"])
again = compare({named(row.values): partial(build, row.values) for row in top}, train, validation_data=held_out,
                epochs=knobs["epochs"], batch_size=knobs["batch"], seeds=seeds, verbose=0)  # fmt: skip

repeated = {
    row.trial: [max(run.history["val_accuracy"]) for run in again.runs
                if run.variant == named(row.values) and not run.error]
    for row in top
}  # fmt: skip
print(f"{'place in the search':42s}search   again   change   seeds")
for place, row in enumerate(top, start=1):
    mean = np.mean(repeated[row.trial]) if repeated[row.trial] else np.nan
    shown = ", ".join(f"{value:.1%}" for value in repeated[row.trial])
    change = 100 * (mean - row.val_accuracy)
    print(f"{place}. {named(row.values):39s}{row.val_accuracy:6.1%}  {mean:6.1%}   {change:+6.1f}   {shown}")

# %%
figure, axis = plt.subplots(figsize=(7.5, 1.4 + 0.5 * len(top)), layout="constrained")
for place, row in enumerate(top):
    label = (None, None, None) if place else ("in the search", "other seeds", "their mean")
    found = repeated[row.trial]
    axis.plot(row.val_accuracy, place, "*", color="#D55E00", markersize=14, label=label[0])
    axis.plot(found, [place + 0.15] * len(found), "o", color="#0072B2", alpha=0.7, label=label[1])
    axis.plot(np.mean(found) if found else np.nan, place + 0.15, "|", color="#0072B2", markersize=20,
              markeredgewidth=2, label=label[2])  # fmt: skip
axis.set_yticks(range(len(top)), [f"{place}. {named(row.values)}" for place, row in enumerate(top, start=1)])
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
luck = np.random.default_rng(0).normal(size=(10_000, len(done))).max(axis=1).mean()
first = results.best.val_accuracy
sampling = np.sqrt(first * (1 - first) / len(held_out[0]))
variances = [np.var(found, ddof=1) for found in repeated.values() if len(found) > 1]
if variances:
    sigma = np.sqrt(np.mean(variances))
    print(f"one trial varies with the seed by {100 * sigma:.1f} points (deviation)")
    print(f"the first of {len(done)} equally good trials would look {luck * 100 * sigma:.1f} points too good")
    lead = 100 * (top[0].val_accuracy - top[1].val_accuracy) if len(top) > 1 else 0
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
print("the course's best:", named(COURSE_BEST))
print("our search's best:", named(best) + (" (the same)" if best == COURSE_BEST else ""))
finalists = {"the course's": partial(build, COURSE_BEST), "our search's": partial(build, best)}
final_seeds = range(10, 10 + knobs["final_seeds"])
final = compare(finalists, train, validation_data=test, epochs=knobs["final_epochs"], batch_size=knobs["batch"],
                seeds=final_seeds, verbose=0)  # fmt: skip
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
# trials, and *workers* that run them. The search becomes a script, `my_search.py`:
#
# ```python
# import keras
# from keras import layers
#
# from kerascv_course import load_digits
# from kerascv_course.tuning import make_optimizer, random_search
#
#
# def build(values):
#     model = keras.Sequential([keras.Input((32, 32, 1)), layers.Rescaling(1 / 255), layers.Flatten()])
#     model.add(layers.Dense(32, values["activation"]))
#     model.add(layers.Dense(10, "softmax"))
#     model.compile(make_optimizer(values), "sparse_categorical_crossentropy", metrics=["accuracy"])
#     return model
#
#
# results = random_search(build, load_digits(), folder="my_search", max_trials=20, epochs=5)
# print(results)
# ```
#
# One command, in a terminal, starts the chief and two workers on this machine:
#
# ```
# kerascv-course search my_search.py --workers 2
# ```
#
# Every process runs the script up to the search; what follows it is done once, by the chief. A worker that dies is
# started again and repeats its interrupted trial; the results of all others stay. The values of each trial are the
# same as in one process. Two workers on two processor cores gain less than one would hope, since one training
# already uses both; two machines or two GPUs are what it is made for. There you start the script yourself, on
# each, with KerasTuner's settings in the environment, and a folder that all of them see:
#
# | setting | chief | workers |
# |---|---|---|
# | `KERASTUNER_TUNER_ID` | `chief` | `tuner0`, `tuner1`, ... |
# | `KERASTUNER_ORACLE_IP` | its own address | the chief's address |
# | `KERASTUNER_ORACLE_PORT` | a free port, such as 8000 | the same |
#
# ## What we saw
#
# - Few random trials find *something good*: how many are needed does not depend on how many names there are.
# - A search can be stopped at any time, and goes on without doing anything twice.
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

# %% [markdown] tags=["solution"]
# SGD comes with 4 momenta and Adam alone: 5 kinds of steps. Times 5 rates, 3 activations and 2 sizes that is 150
# trials, 5 hours. 59 random ones take two.

# %% tags=["exercise"]
# ### Draw a trial
#
# `space` is a dictionary from names to lists of values, and `rng` a generator of NumPy. Return a dictionary with a
# value for each name, each value as likely as the others. For an optimizer other than "SGD" and "RMSprop" leave
# "momentum" out.


def draw_trial(space, rng):
    # student: return None
    # solution
    trial = {name: choices[rng.integers(len(choices))] for name, choices in space.items()}
    if trial["optimizer"] not in ("SGD", "RMSprop"):
        del trial["momentum"]
    return trial
    # end solution


ex.draw_trial.check(draw_trial)

# %% [markdown] tags=["solution"]
# The generator's upper end is excluded, so the length of the list is the right one. Draw from `rng` alone: then
# the seed decides the trials, and a search can be repeated.

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
print(f"Data: {where} ({data.source}); trials: {len(results.rows)}, epochs: {knobs['epochs']}")
print(f"Found: {named(best)}, {first:.1%} in the search (held-out images, one seed)")
for row in final.rows:
    deviation = "" if row.accuracy_std is None else f" ± {100 * row.accuracy_std:.1f}"
    text = "failed" if row.accuracy is None else f"{100 * row.accuracy:.1f}{deviation} %"
    print(f"On {len(test[0]):,} test images, {row.variant} best: {text} ({row.seeds} seeds)")
print(f"The course's best is better than what we found: {conclusion.conclusion}")
print(device)
ex.summary()
