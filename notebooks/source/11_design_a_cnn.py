# %% [markdown]
# # 11. Designing a CNN
#
# **The question.** Larger kernels or more filters? ReLU or tanh? Which first weights, which optimizer, which rate?
# The courses answer such questions in a sentence. An engineer asks the network: one change at a time, with several
# seeds, so that a difference can be told from chance. Which of the sentences hold here?
#
# *Follows Manco (CNN), Boracchi and Lorente: kernel size, filters, activation, initialisation, depth, optimizer,
# rate, input size, and the ratio of accuracy to parameters. On initialisation: Glorot and Bengio (2010), He et al.
# (2015); on the rate: Smith (2015).*

# %%
from functools import partial

import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from keras import layers

from kerascv_course import plotting, runtime, training
from kerascv_course.datasets import cache_folder, load, missing, split_validation
from kerascv_course.exercises import design_a_cnn as ex
from kerascv_course.experiment import compare, verdict

device = runtime.setup(seed=0, missing=missing("cifar10"))
print(device)

# %% [markdown]
# ## Knobs
#
# `changes` lists what is tried: "all" is every change below. Two seeds are the least for an interval, and few:
# only large differences can be decided. The solved page has five, and every change.

# %%
choose = runtime.by_profile
few = ["5x5", "twice the filters", "tanh", "He", "one block", "SGD with momentum", "half the side"]
knobs = {
    "per_class": choose(smoke=30, lite=150, full=1_200, gpu=None),
    "test_per_class": choose(smoke=10, lite=50, full=500, gpu=None),
    "held_out": choose(smoke=0.5, lite=1 / 3, full=1 / 6, gpu=0.1),  # of the training images
    "filters": choose(smoke=4, lite=8, full=16, gpu=32),  # of the first block
    "side": choose(smoke=16, lite=16, full=32, gpu=32),
    "epochs": choose(smoke=1, lite=5, full=8, gpu=20),
    "batch": choose(smoke=64, lite=100, full=128, gpu=128),
    "seeds": choose(smoke=1, lite=2, full=5, gpu=5),
    "sweep": choose(smoke=20, lite=100, full=200, gpu=300),  # steps, to find a learning rate
    "changes": choose(smoke=["5x5", "tanh", "zero", "SGD with momentum"], lite=few, full="all", gpu="all"),
}
knobs

# %% [markdown]
# ## The data
#
# CIFAR-10, where it is at hand. Where it is not, the profiles `full` and `gpu` download it, and so does `lite` in
# Colab and Kaggle. Otherwise *patches* take its place: crops of ten photographs that scikit-image carries. Designs
# are chosen on images that are *held out* from the training images. The test images stay locked away until the
# choice is made.

# %%
data = load("cifar10", fallback="patches", download=device.downloads)
if knobs["per_class"]:
    data = data.subset(knobs["per_class"], test_per_class=knobs["test_per_class"])
train, held_out = split_validation(data.x_train, data.y_train, knobs["held_out"])
where = f"{data.name}, {len(train[0]):,} training and {len(held_out[0]):,} held-out images"
print(f"{where}, from {data.source}")
if data.name.startswith("patches"):
    print("Training and held-out crops of one photograph may overlap: that flatters the accuracies, all alike.")

examples, _ = data.examples()
plotting.plot_images(examples, titles=data.class_names, columns=10, caption=f"Data: {data.name}")

# %% [markdown]
# ## The design
#
# Every decision is an argument of one function, and the baseline is what its defaults say: blocks of a 3x3
# convolution and a max pooling, the filters doubled in each, and one dense layer.

# %%
OPTIMIZERS = {
    "Adam": keras.optimizers.Adam,
    "RMSprop": keras.optimizers.RMSprop,
    "SGD": keras.optimizers.SGD,
    "SGD with momentum": partial(keras.optimizers.SGD, momentum=0.9),
}


def design(
    kernel_size=3,
    convolutions=1,  # in a block
    filters=knobs["filters"],  # of the first block
    activation="relu",
    initializer="glorot_uniform",
    depth=3,  # blocks
    side=knobs["side"],  # of the image that the first convolution sees
    dropout=0.0,
    penalty=0.0,  # on the squares of the weights
    optimizer="Adam",
    rate=0.001,
    clip=None,  # longest gradient, all weights together
):
    """Build and compile a CNN for images of 32 x 32 pixels."""
    options = {"kernel_initializer": initializer, "kernel_regularizer": keras.regularizers.L2(penalty)}
    network = [keras.Input(data.input_shape), layers.Rescaling(1 / 127.5, offset=-1)]
    network += [layers.AveragePooling2D(32 // side)]
    for block in range(depth):
        for _ in range(convolutions):
            shape = (filters * 2**block, kernel_size)
            network += [layers.Conv2D(*shape, padding="same", activation=activation, **options)]
        network += [layers.MaxPooling2D()]
    network += [layers.Flatten(), layers.Dropout(dropout)]
    network += [layers.Dense(10, activation="softmax", name="dense", **options)]
    model = keras.Sequential(network)
    rule = OPTIMIZERS[optimizer](learning_rate=rate, global_clipnorm=clip)
    model.compile(rule, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


design().summary()

# %% [markdown]
# ## The rate comes first
#
# With a bad rate every design looks bad. It need not be guessed: in one short sweep the rate grows at each step,
# from far too small to far too large. The loss falls, and then it rises. A tenth of the rate at the lowest loss is
# a rate to start from.

# %%
keras.utils.set_random_seed(0)
curve = training.find_learning_rate(design(), train, steps=knobs["sweep"], batch_size=knobs["batch"], verbose=0)
print(curve)
rate = curve.suggestion or 0.001
print(f"The baseline trains at {rate:.2g}" + ("" if curve.suggestion else ": a guess (no clear minimum)"))
plotting.plot_learning_rate_finder(curve, caption=f"Baseline with Adam, {data.name}")

# %% [markdown]
# ## One change at a time
#
# `compare` trains each variant once per seed. A seed decides the first weights and the order of the images, so
# two variants make *pairs*: one pair for each seed. With the differences $d_s$ of the $n$ pairs, `verdict` asks
# for the interval of their mean:
#
# $$\bar d \pm t_{n-1} \, \frac{s_d}{\sqrt n}$$
#
# Wholly above 0, the claim **holds**; wholly below, it **does not hold**: the other is the better one; otherwise
# it is **undecided**, which does not say that both are equal. Finished runs are kept in a folder, so that the
# baseline is trained only once.

# %%
folder = cache_folder() / "runs" / "11_design_a_cnn"  # an interrupted run goes on where it was
tried, verdicts = {}, []


def compared(changes):
    """Train the baseline and each change of it."""
    chosen = changes if knobs["changes"] == "all" else knobs["changes"]
    wanted = {name: change for name, change in changes.items() if name in chosen}
    left_out = ", ".join(name for name in changes if name not in wanted)
    if left_out:
        print(f"Not tried in the profile {device.profile}, see the solved page: {left_out}")
    tried.update(wanted)
    variants = {"baseline": partial(design, rate=rate)}
    variants |= {name: partial(design, **{"rate": rate, **change}) for name, change in wanted.items()}
    found = compare(
        variants,
        train,
        validation_data=held_out,
        epochs=knobs["epochs"],
        batch_size=knobs["batch"],
        seeds=range(knobs["seeds"]),
        folder=folder,
        verbose=0,
    )
    display(found)
    display(plotting.plot_experiment(found, caption=f"{where}; epochs: {knobs['epochs']}"))
    return found


def claim(text, results, better, than):
    """Judge a claim of the courses, and keep the verdict for the table at the end."""
    if {better, than} <= {run.variant for run in results.runs}:
        found = verdict(results, better, than)
        verdicts.append((text, found))
        print(f"{text}: {found.conclusion.upper()}\n  {found}")


# %% [markdown]
# ## Kernel size
#
# Two 3x3 convolutions see as much as one 5x5, and cost $18 C^2$ weights in place of $25 C^2$, with one more
# activation between them (Di Stefano). Are they better?

# %%
kernel = compared(
    {
        "1x1": {"kernel_size": 1},
        "5x5": {"kernel_size": 5},
        "7x7": {"kernel_size": 7},
        "two 3x3": {"convolutions": 2},
    }
)
claim("two 3x3 are better than a 5x5", kernel, "two 3x3", "5x5")
claim("3x3 is better than 5x5", kernel, "baseline", "5x5")
claim("a kernel must see neighbours", kernel, "baseline", "1x1")

# %% [markdown]
# ## Number of filters
#
# More filters, more patterns that a block can answer to; twice the filters are about four times the weights. The
# course therefore looks at a second figure, too: accuracy * 1e5 / parameters. It is the column *Ratio*.

# %%
filters = compared(
    {
        "half the filters": {"filters": knobs["filters"] // 2},
        "twice the filters": {"filters": 2 * knobs["filters"]},
    }
)
claim("more filters are better", filters, "twice the filters", "baseline")
claim("fewer filters are worse", filters, "baseline", "half the filters")
best = {
    "accuracy": max(filters.rows, key=lambda row: row.accuracy or 0),
    "ratio": max(filters.rows, key=lambda row: row.ratio or 0),
}
print("best " + "; best ".join(f"{figure}: {row.variant}" for figure, row in best.items()))

# %% [markdown]
# The ratio divides by something that grows fourfold, so it nearly always prefers the smallest network. It answers
# "what does a parameter bring?", not "which network do I want?".
#
# ## Activation
#
# tanh is flat for large values: hardly any gradient comes back through it. A ReLU passes all of it on, or nothing.
# A unit that answers 0 to *every* image gets no gradient ever again: it is **dead**. The leaky ReLU lets a little
# through on that side.

# %%
activation = compared(
    {
        "sigmoid": {"activation": "sigmoid"},
        "tanh": {"activation": "tanh"},
        "ELU": {"activation": "elu"},
        "leaky ReLU": {"activation": "leaky_relu"},
    }
)
claim("ReLU is better than tanh", activation, "baseline", "tanh")
claim("ReLU is better than sigmoid", activation, "baseline", "sigmoid")
claim("leaky ReLU is better than ReLU", activation, "leaky ReLU", "baseline")

# %% [markdown]
# How many maps are dead? We train for two epochs at ten times the rate, and look at the last block. A map is dead
# if it is 0 everywhere in every held-out image. And does it get a gradient? One step of plain gradient descent
# with a rate of 1 subtracts the gradient itself: a map whose kernel does not move got none.

# %%
for name in ("relu", "leaky_relu"):
    keras.utils.set_random_seed(0)
    model = design(activation=name, rate=10 * rate)
    last = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)][-1]
    probe = keras.Model(model.inputs[0], last.output)
    model.fit(*train, epochs=min(2, knobs["epochs"]), batch_size=knobs["batch"], verbose=0)
    answers = probe.predict(held_out[0][:500].astype("float32"), verbose=0)
    dead = answers.max(axis=(0, 1, 2)) <= 0
    before = keras.ops.convert_to_numpy(last.kernel)
    model.compile(keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy")
    model.train_on_batch(held_out[0][:500], held_out[1][:500])
    moved = np.abs(keras.ops.convert_to_numpy(last.kernel) - before).max(axis=(0, 1, 2)) > 0
    print(f"{name:10s} {dead.sum()} of {last.filters} maps are positive nowhere;", end=" ")
    print(
        f"of these {np.sum(dead & moved)} get a gradient, of the others {np.sum(~dead & moved)} of {np.sum(~dead)}"
    )

# %% [markdown]
# ## Initialisation
#
# In a layer where each output adds up $n$ products, $\mathrm{Var}[z] = n \, \mathrm{Var}[w] \, \mathrm{E}[x^2]$.
# A ReLU leaves half of the squares. To keep the signal as strong as it came, **He** draws weights with variance
# $2/n_{in}$; **Glorot**, made for tanh and for both directions, with $2/(n_{in} + n_{out})$. Keras' *random
# normal* takes a deviation of 0.05, whatever the layer. Through ten untrained layers of 32 maps:

# %%
INITIALIZERS = {"Glorot": "glorot_uniform", "He": "he_normal", "random normal": "random_normal", "zero": "zeros"}
signal = np.random.default_rng(0).normal(size=(8, 12, 12, 32)).astype("float32")
for name, initializer in INITIALIZERS.items():
    keras.utils.set_random_seed(0)
    x, deviations = signal, []
    for _ in range(10):
        x = layers.Conv2D(32, 3, activation="relu", padding="same", kernel_initializer=initializer)(x)
        deviations.append(float(keras.ops.std(x)))
    shown = ", ".join(f"{deviations[layer - 1]:.2g} after {layer}" for layer in (1, 5, 10))
    print(f"{name:14s}deviation {shown}")

# %%
initialisation = compared(
    {
        "He": {"initializer": "he_normal"},
        "random normal": {"initializer": "random_normal"},
        "zero": {"initializer": "zeros"},
    }
)
claim("with ReLU, He is better than Glorot", initialisation, "He", "baseline")
claim("Glorot is better than random normal", initialisation, "baseline", "random normal")
claim("with zero weights nothing is learnt", initialisation, "baseline", "zero")

# %% [markdown]
# Why does zero not learn? A gradient is a product. For the weights of a layer it is what comes in times what comes
# back: with all weights zero, nothing comes in from the layer before, and nothing comes back through the layer
# behind. One step shows it:

# %%
for name in ("Glorot", "zero"):
    model = design(initializer=INITIALIZERS[name], rate=rate)
    before = model.get_weights()
    model.train_on_batch(train[0][:64], train[1][:64])
    moved = [
        variable.path.split("/", 1)[1]
        for variable, old, new in zip(model.weights, before, model.get_weights(), strict=True)
        if np.any(old != new)
    ]
    print(f"{name}: {len(moved)} of {len(before)} arrays moved" + (f": {moved}" if len(moved) < 3 else ""))

# %% [markdown]
# The one bias vector left learns how frequent each class is. Other equal values are hardly better: units that
# start alike get equal gradients and stay copies of each other. Chance is what makes them differ.
#
# ## Depth

# %%
depth = compared({"one block": {"depth": 1}, "two blocks": {"depth": 2}, "four blocks": {"depth": 4}})
claim("three blocks are better than one", depth, "baseline", "one block")
claim("three blocks are better than two", depth, "baseline", "two blocks")
claim("four blocks are better than three", depth, "four blocks", "baseline")

# %% [markdown]
# What does depth do to the parameters? Each pooling divides the values that are flattened by four, each block
# doubles the maps. So the dense layer of a shallow network is large.

# %%
for blocks in (1, 2, 3, 4):
    model = design(depth=blocks)
    dense, total = model.get_layer("dense").count_params(), model.count_params()
    print(f"{blocks} block{'s' * (blocks > 1)}: {total:8,} parameters, {dense / total:.0%} in the dense layer")

# %% [markdown]
# ## Optimizer and rate
#
# Lorente's search ended at SGD with momentum 0.9. To be fair each optimizer gets a rate of its own, found in the
# same way.

# %%
rates = {"Adam": rate}
for name in ("RMSprop", "SGD", "SGD with momentum"):
    keras.utils.set_random_seed(0)
    options = {"steps": knobs["sweep"], "batch_size": knobs["batch"], "verbose": 0}
    curve = training.find_learning_rate(design(optimizer=name), train, **options)
    rates[name] = curve.suggestion or 0.01
    print(f"{name} trains at {rates[name]:.2g}" + ("" if curve.suggestion else " (a guess)"))
display(plotting.plot_learning_rate_finder(curve, caption=f"Baseline with {name}, {data.name}"))

changes = {"a tenth of the rate": {"rate": rate / 10}, "ten times the rate": {"rate": 10 * rate}}
changes |= {name: {"optimizer": name, "rate": found} for name, found in rates.items() if name != "Adam"}
optimizer = compared(changes)
claim("the found rate is better than ten times as much", optimizer, "baseline", "ten times the rate")
claim("the found rate is better than a tenth", optimizer, "baseline", "a tenth of the rate")
claim("SGD with momentum is better than Adam", optimizer, "SGD with momentum", "baseline")
claim("momentum helps SGD", optimizer, "SGD with momentum", "SGD")

# %% [markdown]
# These verdicts are about the optimizer *and* the rule that gave its rate: a tenth of the rate at the lowest loss
# need not be the best rate of each. In notebook 13, where rates are searched, RMSprop and SGD come close to Adam.
#
# ## Input size
#
# Half the side is a quarter of the work. What does it cost in accuracy?

# %%
sides = {f"{side} pixels": side for side in (8, 16, 32)}
shown = {
    name: [
        photo.reshape(side, 32 // side, side, 32 // side, -1).mean(axis=(1, 3)).astype("uint8")
        for photo in examples[:8]
    ]
    for name, side in sides.items()
}
names = [data.class_names[label] for label in range(8)]
display(plotting.plot_image_table(shown, names, caption=f"What the network sees. Data: {data.name}"))

size = compared(
    {
        "half the side": {"side": knobs["side"] // 2},
        "a quarter of the side": {"side": knobs["side"] // 4},
    }
)
claim("a larger input is better", size, "baseline", "half the side")
claim("a much larger input is better", size, "baseline", "a quarter of the side")

# %% [markdown]
# ## Regularisation and clipping, as Keras has them
#
# - `kernel_regularizer=keras.regularizers.L2(1e-3)` adds the squared weights to the loss;
# - `layers.Dropout(0.3)` silences units at random, in training alone;
# - `Adam(..., global_clipnorm=1.0)` shortens a gradient that is longer than 1, $g \leftarrow g \min(1, c / |g|)$,
#   and keeps its direction; `clipnorm` does that to each array by itself, `clipvalue` to each number, which turns
#   the direction.

# %%
regular = compared({"dropout": {"dropout": 0.3}, "weight penalty": {"penalty": 1e-3}, "clipping": {"clip": 1.0}})
claim("dropout is better than none", regular, "dropout", "baseline")
claim("a weight penalty is better than none", regular, "weight penalty", "baseline")
claim("clipping is better than none", regular, "clipping", "baseline")

# %% [markdown]
# ## All verdicts
#
# This is what to take home: each sentence of the courses, and what was found here.


# %%
def points(value):
    """Return a share in percentage points, with its sign."""
    return "-" if value is None else f"{100 * value:+.1f}"


print(f"{'claim':48s}{'verdict':15s}points   95% interval")
for text, found in verdicts:
    interval = "-" if found.low is None else f"{points(found.low)} to {points(found.high)}"
    print(f"{text:48s}{found.conclusion:15s}{points(found.difference):>6s}   {interval}")
tally = {
    word: sum(found.conclusion == word for _, found in verdicts)
    for word in ("holds", "does not hold", "undecided")
}
print(f"\n{where}; seeds: {knobs['seeds']}, epochs: {knobs['epochs']}. {device}")
print("; ".join(f"{word}: {count}" for word, count in tally.items()))

# %%
judged = [(text, found) for text, found in verdicts if found.low is not None]
if judged:
    figure, axis = plt.subplots(figsize=(8, 0.8 + 0.32 * len(judged)), layout="constrained")
    colors = {"holds": "C0", "does not hold": "C1", "undecided": "gray"}
    for place, (_, found) in enumerate(judged):
        look = {"color": colors[found.conclusion], "capsize": 3, "fmt": "o", "markersize": 4}
        axis.errorbar(100 * found.difference, place, xerr=50 * (found.high - found.low), **look)
    axis.axvline(0, color="gray", linewidth=0.8)
    axis.set_yticks(range(len(judged)), [text for text, _ in judged], fontsize=8)
    axis.set_xscale("symlog", linthresh=5)
    marks = [-50, -20, -5, -2, 0, 2, 5, 20, 50]
    axis.set_xticks(marks, [str(mark) for mark in marks])
    axis.invert_yaxis()
    axis.set_xlabel("points of accuracy, 95 % interval (beyond 5 points the axis is shortened)")
    axis.grid(axis="x", alpha=0.3)

# %% [markdown]
# Read it with care. Of twenty claims without any truth about one is decided by chance. The intervals tell of first
# weights and order alone, not of other images. And a verdict is about *this* baseline, at *this* rate, after
# *these* epochs: a deep network may need longer, a wide one another rate.
#
# ## All that helped, at once
#
# Changes that help alone need not help together. We put into one network each change that has been decided to be
# better than the baseline; of two that set the same argument, the one that gained more. Then, for the first time,
# the test images.

# %%
gains = {}
for _, found in verdicts:
    if found.than == "baseline" and found.conclusion == "holds":
        gains[found.better] = found.difference
    if found.better == "baseline" and found.conclusion == "does not hold":
        gains[found.than] = -found.difference
helped = sorted(gains, key=gains.get, reverse=True)
print("helped alone:", ", ".join(helped) or "nothing that these seeds can decide")

together = {}
for name in reversed(helped):  # the one that gained most has the last word
    together |= tried[name]
final = {"baseline": partial(design, rate=rate)}
if together:
    final["all that helped"] = partial(design, **{"rate": rate, **together})
result = compare(
    final,
    train,
    validation_data=(data.x_test, data.y_test),
    epochs=knobs["epochs"],
    batch_size=knobs["batch"],
    seeds=range(knobs["seeds"]),
    folder=folder,
    verbose=0,
)
display(result)
claim("all that helped alone helps together", result, "all that helped", "baseline")
plotting.plot_experiment(result, caption=f"On {len(data.x_test):,} test images, {data.name}")

# %% [markdown]
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### The dense layer pays
#
# The design of this notebook has `depth` blocks. The first has `filters` filters, each next one twice as many;
# each block ends with a pooling that halves the side (rounded down). Then come `Flatten` and a dense layer of 10
# units. Return the number of parameters of that dense layer, biases included, for images of `side` x `side`
# pixels.


def dense_parameters(side, depth, filters):
    # student: return None
    # solution
    for _ in range(depth):
        side = side // 2
    maps = filters * 2 ** (depth - 1)
    return side * side * maps * 10 + 10
    # end solution


ex.dense_parameters.check(dense_parameters)

# %% [markdown] tags=["hints"]
# - Follow the side: it is halved, and rounded down, once for each block.
# - The last block has filters * 2 ** (depth - 1) filters.
# - Flatten gives side * side * maps values. Each of the 10 units has a weight for each, and a bias.

# %% [markdown] tags=["solution"]
# For 32 pixels and 16 filters: one block leaves 16 x 16 x 16 values, 40,970 parameters; three blocks leave
# 4 x 4 x 64 values, 10,250 parameters.

# %% tags=["exercise"]
# ### What moves?
#
# All kernels *and* all biases of the baseline start at zero. Which arrays does the first step change? Put their
# names into a set: "first kernel", "first bias", "dense kernel", "dense bias".

# student: moves = None
# solution
moves = {"dense bias"}
# end solution

ex.what_moves.check(moves)

# %% [markdown] tags=["hints"]
# - The gradient of a kernel is what comes in, times what comes back.
# - What comes out of a convolution whose kernel and bias are zero? What comes back through a zero kernel?
# - The gradient of a bias is what comes back. Where does something come back?

# %% [markdown] tags=["solution"]
# The images come into the first convolution, but nothing comes back to it: the way leads through kernels that are
# zero. The dense kernel's gradient is what comes in times the error, and zeros come in. The dense bias alone has
# the error as its gradient, times one.

# %% tags=["exercise"]
# ### The verdict
#
# `differences` holds accuracy(A) - accuracy(B) for each seed, at least two. Return "holds", "does not hold" or
# "undecided" for the claim that A is better than B. `t` is the number for the 95 % interval of so many seeds.


def conclude(differences, t):
    # student: return None
    # solution
    reach = t * np.std(differences, ddof=1) / np.sqrt(len(differences))
    mean = np.mean(differences)
    if mean - reach > 0:
        return "holds"
    return "does not hold" if mean + reach < 0 else "undecided"
    # end solution


ex.conclude.check(conclude)

# %% [markdown] tags=["hints"]
# - The interval is the mean of the differences, plus and minus t times their standard error.
# - The standard error is np.std(differences, ddof=1) / np.sqrt(len(differences)).
# - Wholly above 0: "holds". Wholly below 0: "does not hold". Otherwise "undecided".

# %% tags=["exercise"]
# ### Clip a gradient
#
# Return `gradient`, an array, shortened to the length `longest` where it is longer, as `clipnorm` does; the
# direction stays.


def clip(gradient, longest):
    # student: return None
    # solution
    length = np.linalg.norm(gradient)
    return gradient * min(1.0, longest / length) if length else gradient
    # end solution


ex.clip_gradient.check(clip)

# %% [markdown] tags=["hints"]
# - `np.linalg.norm(gradient)` is the length.
# - A gradient that is short enough stays as it is.
# - A longer one is multiplied by longest / length.

# %% [markdown]
# ## Where to go on
#
# - Take a verdict that is undecided, and more seeds: `compare` with the same `folder` trains only what is new.
# - Find a rate for "twice the filters". Is it the baseline's?
# - `12_tinynet` watches the activations of one network while it trains; `13_random_search` changes everything at
#   once.

# %% tags=["summary"]
print(f"Data: {where} ({data.source}); seeds: {knobs['seeds']}, epochs: {knobs['epochs']}")
print("Rates found:", ", ".join(f"{name} {found:.2g}" for name, found in rates.items()))
for text, found in verdicts:
    print(f"{text}: {found.conclusion} ({points(found.difference)} points)")
print(device)
ex.summary()
