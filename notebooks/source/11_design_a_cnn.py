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
# `changes` lists what is tried: "all" is every change below. Two seeds are the least for an interval, three are
# few: with three, only large differences can be decided.

# %%
few = ["5x5", "twice the filters", "tanh", "He", "one block", "SGD with momentum", "half the side"]
smallest = ["5x5", "tanh", "zero", "SGD with momentum"]
knobs = runtime.by_profile(
    smoke={"per_class": 20, "test": 10, "held_out": 0.5, "filters": 4, "side": 16, "epochs": 1, "seeds": 1,
           "batch": 64, "sweep": 20, "changes": smallest},
    lite={"per_class": 150, "test": 50, "held_out": 1 / 3, "filters": 8, "side": 16, "epochs": 5, "seeds": 3,
          "batch": 100, "sweep": 100, "changes": few},
    full={"per_class": None, "test": None, "held_out": 0.1, "filters": 32, "side": 32, "epochs": 15, "seeds": 5,
          "batch": 128, "sweep": 300, "changes": "all"},
    gpu={"per_class": None, "test": None, "held_out": 0.1, "filters": 32, "side": 32, "epochs": 15, "seeds": 5,
          "batch": 128, "sweep": 300, "changes": "all"},
)  # fmt: skip
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
    data = data.subset(knobs["per_class"], test_per_class=knobs["test"])
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
    "adam": keras.optimizers.Adam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
    "sgd with momentum": partial(keras.optimizers.SGD, momentum=0.9),
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
    optimizer="adam",
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
runtime.seed_everything(0)
curve = training.find_learning_rate(design(), train, steps=knobs["sweep"], batch_size=knobs["batch"], verbose=0)
print(curve)
rate = curve.suggestion or 0.001
print(f"The baseline trains at {rate:.2g}" + ("" if curve.suggestion else ": a guess, for want of a suggestion"))
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
    tried.update(wanted)
    variants = {"baseline": partial(design, rate=rate)}
    variants |= {name: partial(design, **{"rate": rate, **change}) for name, change in wanted.items()}
    found = compare(variants, train, validation_data=held_out, epochs=knobs["epochs"], batch_size=knobs["batch"],
                    seeds=range(knobs["seeds"]), folder=folder, verbose=0)  # fmt: skip
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
# How many maps are dead? We look at the last block, after a short training at ten times the rate: a map counts
# that is positive nowhere in any held-out image.

# %%
for name in ("relu", "leaky_relu"):
    runtime.seed_everything(0)
    model = design(activation=name, rate=10 * rate)
    last = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)][-1]
    probe = keras.Model(model.inputs[0], last.output)
    counts = []
    for epochs in (0, 2):
        if epochs:
            model.fit(*train, epochs=epochs, batch_size=knobs["batch"], verbose=0)
        answers = keras.ops.convert_to_numpy(probe(held_out[0][:500].astype("float32"), training=False))
        counts.append(int(np.sum(answers.max(axis=(0, 1, 2)) <= 0)))
    back = {"relu": "none, for ever", "leaky_relu": "a fifth of the others'"}[name]
    print(f"{name:10s}  maps never positive: {counts[0]} of {last.filters}, later {counts[1]}; gradient: {back}")

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
    runtime.seed_everything(0)
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
# Look at the parameters: a shallow network is not a small one. Fewer poolings leave larger maps, and the dense
# layer pays for them.
#
# ## Optimizer and rate
#
# Lorente's search ended at SGD with momentum 0.9. To be fair each optimizer gets a rate of its own, found in the
# same way.

# %%
runtime.seed_everything(0)
sgd_curve = training.find_learning_rate(
    design(optimizer="sgd with momentum"), train, steps=knobs["sweep"], batch_size=knobs["batch"], verbose=0
)
sgd_rate = sgd_curve.suggestion or 0.01
print(f"SGD with momentum trains at {sgd_rate:.2g}" + ("" if sgd_curve.suggestion else " (a guess)"))
display(plotting.plot_learning_rate_finder(sgd_curve, caption=f"Baseline with SGD and momentum, {data.name}"))

optimizer = compared(
    {
        "a tenth of the rate": {"rate": rate / 10},
        "ten times the rate": {"rate": 10 * rate},
        "SGD with momentum": {"optimizer": "sgd with momentum", "rate": sgd_rate},
        "SGD": {"optimizer": "sgd", "rate": sgd_rate},
        "RMSprop": {"optimizer": "rmsprop", "rate": rate},
    }
)
claim("the found rate is better than ten times as much", optimizer, "baseline", "ten times the rate")
claim("the found rate is better than a tenth", optimizer, "baseline", "a tenth of the rate")
claim("SGD with momentum is better than Adam", optimizer, "SGD with momentum", "baseline")
claim("momentum helps SGD", optimizer, "SGD with momentum", "SGD")

# %% [markdown]
# ## Input size
#
# Half the side is a quarter of the work. What does it cost in accuracy?

# %%
sides = {f"{side} pixels": side for side in (8, 16, 32)}
shown = {
    name: [photo.reshape(side, 32 // side, side, 32 // side, -1).mean(axis=(1, 3)).astype("uint8")
           for photo in examples[:8]]
    for name, side in sides.items()
}  # fmt: skip
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


# %%
def points(value):
    """Return a share in percentage points, with its sign."""
    return "-" if value is None else f"{100 * value:+.1f}"


print(f"{'claim':48s}{'verdict':15s}points   95% interval")
for text, found in verdicts:
    interval = "-" if found.low is None else f"{points(found.low)} to {points(found.high)}"
    print(f"{text:48s}{found.conclusion:15s}{points(found.difference):>6s}   {interval}")
tally = {word: sum(found.conclusion == word for _, found in verdicts) for word in
         ("holds", "does not hold", "undecided")}  # fmt: skip
print(f"\n{where}; seeds: {knobs['seeds']}, epochs: {knobs['epochs']}. {device}")
print("; ".join(f"{word}: {count}" for word, count in tally.items()))

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
result = compare(final, train, validation_data=(data.x_test, data.y_test), epochs=knobs["epochs"],
                 batch_size=knobs["batch"], seeds=range(knobs["seeds"]), verbose=0)  # fmt: skip
display(result)
claim("all that helped alone helps together", result, "all that helped", "baseline")
plotting.plot_experiment(result, caption=f"On {len(data.x_test):,} test images, {data.name}")

# %% [markdown]
# ## What we saw
#
# - A claim without a spread is an anecdote. The table above says which of the courses' sentences this data and
#   these seeds bear out, and which they leave open: an open one needs more seeds, not more belief.
# - A rate can be found in a hundred steps or so. It is the first thing to look for, and to look for again after a
#   change of the optimizer.
# - Weights that start at zero stay there: a gradient is a product, and one factor is zero.
# - Parameters follow from the design in ways that are easily overlooked: the dense layer of a shallow network.
#
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### Two for one
#
# From 64 maps to 64 maps, biases included: how many parameters has one 5x5 convolution, and how many have two 3x3
# convolutions in a row?

# student: one_5x5 = None
# student: two_3x3 = None
# solution
one_5x5 = 5 * 5 * 64 * 64 + 64
two_3x3 = 2 * (3 * 3 * 64 * 64 + 64)
# end solution

ex.two_for_one.check(one_5x5, two_3x3)

# %% [markdown] tags=["solution"]
# Each filter has a weight for each place of the kernel and each input map, and one bias: 102,464 parameters
# against 73,856. Both see 5x5 pixels: the second 3x3 reaches one pixel further than the first, on each side.

# %% tags=["exercise"]
# ### He's deviation
#
# Return the standard deviation with which He draws the weights of a convolution of `kernel_size` x `kernel_size`
# on `channels` maps, for a ReLU behind it.


def he_deviation(kernel_size, channels):
    # student: return None
    # solution
    products = kernel_size * kernel_size * channels
    return np.sqrt(2 / products)
    # end solution


ex.he_deviation.check(he_deviation)

# %% [markdown] tags=["solution"]
# Each output adds up as many products as the kernel has weights for it: places times input maps. The number of
# filters does not enter; Glorot's rule takes the mean of both numbers. The variance is 2 divided by that number,
# and the deviation its square root.

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

# %% [markdown]
# ## Where to go on
#
# - Take a verdict that is undecided, and more seeds: `compare` with the same `folder` trains only what is new.
# - Find a rate for "twice the filters". Is it the baseline's?
# - `12_tinynet` watches the activations of one network while it trains; `13_random_search` changes everything at
#   once.

# %% tags=["summary"]
print(f"Data: {where} ({data.source}); seeds: {knobs['seeds']}, epochs: {knobs['epochs']}")
print(f"Rate found for Adam: {rate:.2g}; for SGD with momentum: {sgd_rate:.2g}")
for text, found in verdicts:
    print(f"{text}: {found.conclusion} ({points(found.difference)} points)")
print(device)
ex.summary()
