# %% [markdown]
# # 12. TinyNet, watched
#
# **The question.** TinyNet has four convolutions and one dense layer. It is small enough to look at everything.
# Does a learning rate that rises and falls train it better than a constant one? What do its activations do while
# it learns, and what do they do in a network that does not learn? Do shortcuts, cheaper convolutions, dropout and
# batch normalization pay? And which part of a photograph decides the answer?
#
# *Follows Lorente (TinyNet), Manco (training) and Boracchi (Grad-CAM, ROC). One cycle: Smith (2018); batch
# normalization: Ioffe and Szegedy (2015), together with dropout: Li et al. (2018); depthwise convolutions: Howard
# et al. (2017); Grad-CAM: Selvaraju et al. (2017).*

# %%
import math
from functools import partial

import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from keras import layers, ops
from sklearn import metrics

from kerascv_course import evaluation, layer_table, plotting, runtime
from kerascv_course.datasets import colour_baseline, load, missing, split_validation
from kerascv_course.exercises import tinynet as ex
from kerascv_course.experiment import verdict
from kerascv_course.explain import ActivationStatistics, grad_cam
from kerascv_course.models import build_tinynet

device = runtime.setup(seed=0, missing=missing("cifar10"))
print(device)

# %% [markdown]
# ## Knobs
#
# All sizes and learning rates of this notebook. TinyNet sees 64 x 64 pixels in the course. The photographs of
# CIFAR-10 have 32 x 32: to enlarge them adds no detail and makes four times the work. So only `gpu` enlarges them.

# %%
choose = runtime.by_profile
knobs = {
    "per_class": choose(smoke=20, lite=90, full=1_500, gpu=None),  # None: all
    "test_per_class": choose(smoke=10, lite=50, full=None, gpu=None),
    "validation": choose(smoke=0.5, lite=1 / 3, full=1 / 3, gpu=0.1),  # share of the training images
    "side": choose(smoke=32, lite=32, full=32, gpu=64),  # of what the first convolution sees
    "epochs": choose(smoke=1, lite=5, full=7, gpu=20),
    "batch": choose(smoke=50, lite=50, full=128, gpu=128),
    "seeds": choose(smoke=1, lite=2, full=5, gpu=5),
    "sweep": choose(smoke=12, lite=40, full=150, gpu=300),  # steps of the range test
    "looks": choose(smoke=4, lite=20, full=40, gpu=60),  # histograms in a training
    "compared": choose(
        smoke=("dropout",),
        lite=("no batch norm",),
        full=("no batch norm", "residual", "depthwise", "dropout", "dropout, no batch norm"),
        gpu=("no batch norm", "residual", "depthwise", "dropout", "dropout, no batch norm"),
    ),
    "blocks": choose(smoke=3, lite=5, full=20, gpu=20),  # random blocks that hide a part of an image
}
rates_tried = choose(smoke=(0.1,), lite=(0.03, 0.1), full=(0.01, 0.03, 0.1, 0.3), gpu=(0.01, 0.03, 0.1, 0.3, 1.0))
margin = 0.01  # a difference of less than one point does not matter
knobs

# %% [markdown]
# ## The data
#
# CIFAR-10, where it is at hand. Where it is not, the profiles `full` and `gpu` download it, and so does `lite` in
# Colab and Kaggle. Otherwise *patches* take its place: crops of ten photographs that scikit-image carries. The
# profile `lite` is small: it shows how things are done. What comes out is on the solved page, with five seeds.
#
# The networks learn from the **training** images. Rates are chosen, and networks are compared, on the
# **validation** images. The **test** images wait for the end.

# %%
data = load("cifar10", fallback="patches", download=device.downloads)
if knobs["per_class"]:
    data = data.subset(knobs["per_class"], test_per_class=knobs["test_per_class"])
(x_train, y_train), (x_val, y_val) = split_validation(data.x_train, data.y_train, knobs["validation"])
where = f"{data.name}, {len(x_train):,} training and {len(x_val):,} validation images"
print(f"{where}, from {data.source}")
print(f"colour alone (logistic regression on six numbers): {colour_baseline(data):.1%} of the test images")

plotting.plot_images(data.examples()[0], titles=data.class_names, columns=10, caption=f"Data: {data.name}")

# %% [markdown]
# ## The network
#
# These are the lines of the course. Each of the four blocks is a 3 x 3 convolution with stride 2, batch
# normalization and a ReLU. The stride halves the sides, so no pooling is needed. He's initialisation fits the
# ReLU. The convolutions have no bias: batch normalization subtracts the mean, and any bias with it.

# %%
course = keras.Sequential(
    [
        keras.Input((64, 64, 3)),
        layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, kernel_initializer="he_normal"),
        layers.BatchNormalization(),
        layers.ReLU(),  # 32 x 32, 32 feature maps
        layers.Conv2D(64, 3, strides=2, padding="same", use_bias=False, kernel_initializer="he_normal"),
        layers.BatchNormalization(),
        layers.ReLU(),  # 16 x 16, 64 feature maps
        layers.Conv2D(128, 3, strides=2, padding="same", use_bias=False, kernel_initializer="he_normal"),
        layers.BatchNormalization(),
        layers.ReLU(),  # 8 x 8, 128 feature maps
        layers.Conv2D(256, 3, strides=2, padding="same", use_bias=False, kernel_initializer="he_normal"),
        layers.BatchNormalization(),
        layers.ReLU(),  # 4 x 4, 256 feature maps
        layers.GlobalAveragePooling2D(),  # one number for each map
        layers.Dense(10, activation="softmax"),
    ],
    name="tinynet",
)
course.summary()

# %% [markdown]
# We compare several kinds of this network, so we write it once more as a loop over a *block*. The block is what
# differs. `tinynet()` is the network above; the first layers scale the pixels to -1 to 1.

# %%
FILTERS = (32, 64, 128, 256)


def plain_block(x, filters, batch_norm=True, initializer="he_normal"):
    """One convolution with stride 2, and batch normalization."""
    x = layers.Conv2D(
        filters, 3, strides=2, padding="same", use_bias=not batch_norm, kernel_initializer=initializer
    )(x)
    return layers.BatchNormalization(momentum=0.9)(x) if batch_norm else x


def tinynet(block=plain_block, dropout=0.0, **options):
    """Build TinyNet for images of 32 x 32 pixels with values from 0 to 255."""
    image = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    if knobs["side"] > 32:
        x = layers.UpSampling2D(knobs["side"] // 32, interpolation="bilinear")(x)
    for number, filters in enumerate(FILTERS, start=1):
        x = layers.ReLU(name=f"block{number}")(block(x, filters, **options))
        if dropout:
            x = layers.Dropout(dropout)(x)
    scores = layers.Dense(10, name="scores")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Softmax()(scores))


def macs(model):
    """Return the multiply-accumulates for one image."""
    return layer_table(model).total_macs


assert tinynet().count_params() == course.count_params() == build_tinynet("plain").count_params()
last = course.layers[9]
print(f"{last.count_params() / course.count_params():.0%} of the parameters are in the last convolution")
print(f"for one image of 64 x 64 pixels: {macs(course) / 1e6:.1f} million multiply-accumulates (MACs)", end="; ")
print(f"of {knobs['side']} x {knobs['side']}: {macs(tinynet()) / 1e6:.1f} million")

# %% [markdown]
# ## A range test for the learning rate
#
# Which rates are worth a try? Smith's **range test** is one short training. The rate grows with every step, from
# far too small to far too large. The loss first falls, then rises. Good rates are below the lowest point of the
# curve. `training.find_learning_rate`, in `11_design_a_cnn`, contains these lines.

# %%
keras.utils.set_random_seed(0)
model = tinynet()
model.compile(keras.optimizers.SGD(0.0, momentum=0.9), "sparse_categorical_crossentropy")
rates, losses = np.geomspace(1e-4, 10, knobs["sweep"]), []
for rate in rates:
    model.optimizer.learning_rate = rate
    model.reset_metrics()
    batch = np.random.default_rng(len(losses)).choice(len(x_train), knobs["batch"])
    losses.append(float(model.train_on_batch(x_train[batch], y_train[batch])))
    if not losses[-1] < 3 * losses[0]:  # it diverges
        break
smooth = np.convolve(losses, np.ones(9) / 9, mode="valid") if len(losses) > 20 else np.array(losses)
lowest = rates[(len(losses) - len(smooth)) // 2 + int(np.argmin(smooth))]
print(f"lowest loss, mean of {len(losses) - len(smooth) + 1} steps, at a rate of {lowest:.2g};", end=" ")
print(f"a tenth of it: {lowest / 10:.2g}")

figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
axis.semilogx(rates[: len(losses)], losses, color="C0", alpha=0.35, label="loss of one batch")
axis.semilogx(rates[(len(losses) - len(smooth)) // 2 :][: len(smooth)], smooth, color="C0", label="mean of 9")
axis.axvline(lowest / 10, color="C1", linestyle="--", label="a tenth of the lowest point")
axis.set(xlabel="learning rate", ylabel="loss", title=f"Range test of TinyNet, {data.name}")
axis.set_ylim(0, 2 * losses[0])
axis.grid(alpha=0.3)
axis.legend()
plt.show()

# %% [markdown]
# ## One cycle
#
# Smith lets the rate rise and fall once in the whole training. Large steps in the middle cover ground; small steps
# at the end settle. In the first $rT$ of $T$ steps it rises from $\eta_0$ to the peak $\hat\eta$:
#
# $$\eta(t) = \eta_0 + (\hat\eta - \eta_0)\, \frac{t}{rT} \quad \text{for } t \le rT, \qquad
# \eta(t) = \frac{\hat\eta}{2} \left(1 + \cos \frac{\pi\,(t - rT)}{T - rT}\right) \quad \text{for } t > rT$$
#
# Keras has it: `CosineDecay` with a warm-up. As in the other notebooks a fifth of the steps rises, from a tenth of
# the peak. (Smith lets the rate fall in a straight line, and the momentum fall while the rate rises. Here the
# momentum stays at 0.9, so that only the rate differs.)

# %%
steps = knobs["epochs"] * math.ceil(len(x_train) / knobs["batch"])
rising = max(1, steps // 5)


def one_cycle(peak):
    """Return a schedule: up in a straight line from a tenth of the peak, and down to 0 along half a cosine."""
    return keras.optimizers.schedules.CosineDecay(
        peak / 10, decay_steps=max(1, steps - rising), warmup_target=peak, warmup_steps=rising
    )


def formula(t, peak):
    """Return the rate of a step as the formula has it."""
    if t <= rising:
        return peak / 10 + (peak - peak / 10) * t / rising
    return peak / 2 * (1 + math.cos(math.pi * (t - rising) / (steps - rising)))


by_keras = [float(one_cycle(0.1)(t)) for t in range(steps + 1)]
by_formula = [formula(t, 0.1) for t in range(steps + 1)]
difference = np.abs(np.subtract(by_keras, by_formula)).max()
print(f"{steps:,} steps; largest difference between Keras and the formula: {difference:.0e}")

figure, axis = plt.subplots(figsize=(7, 2.6), layout="constrained")
axis.plot(by_keras, label="one cycle, peak 0.1")
axis.axhline(0.1, color="C1", linestyle="--", label="constant rate")
axis.set(xlabel="step", ylabel="learning rate", ylim=(0, 0.12))
axis.grid(alpha=0.3)
axis.legend(loc="lower center")
plt.show()

# %% [markdown]
# ## Two more blocks
#
# The **residual** block has a second convolution, and adds its input to its output. The input has other sides and
# other maps; so it takes every second pixel of it, and a 1 x 1 convolution.
#
# The **depthwise separable** block first filters each map by itself with a 3 x 3 kernel, and then mixes the maps
# with a 1 x 1 convolution. From $C$ to $F$ maps it has $9\,C + C\,F$ weights in place of $9\,C\,F$.

# %%
convolution = partial(layers.Conv2D, padding="same", use_bias=False, kernel_initializer="he_normal")
norm = partial(layers.BatchNormalization, momentum=0.9)


def residual_block(x, filters):
    """Two convolutions, and the input beside them."""
    y = layers.ReLU()(norm()(convolution(filters, 3, strides=2)(x)))
    y = norm()(convolution(filters, 3)(y))
    every_second = layers.MaxPooling2D(1, strides=2)(x)  # a "maximum" of one pixel
    return layers.Add()([y, norm()(convolution(filters, 1)(every_second))])


def depthwise_block(x, filters):
    """Each map by itself, then a mixture of them."""
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False, depthwise_initializer="he_normal")(x)
    return norm()(convolution(filters, 1)(x))


kinds = {
    "plain": tinynet,
    "no batch norm": partial(tinynet, batch_norm=False),
    "residual": partial(tinynet, residual_block),
    "depthwise": partial(tinynet, depthwise_block),
    "dropout": partial(tinynet, dropout=0.2),
    "dropout, no batch norm": partial(tinynet, batch_norm=False, dropout=0.2),
}
for kind in ("residual", "depthwise"):
    assert kinds[kind]().count_params() == build_tinynet(kind).count_params()
print(f"{'':24}{'parameters':>11}{'MACs':>13}")
for name, build in kinds.items():
    print(f"{name:24}{build().count_params():11,}{macs(build()):13,}")

# %% [markdown]
# ## Each network gets its own rate
#
# A comparison at one common rate favours the network that happens to like it. So each network, and each of the two
# schedules, is trained once with each of some rates (seed 0). The best on the validation images is kept. With
# dropout a network keeps the rate that was chosen without it: so only the dropout differs.


# %%
def train(build, rate, seed, callbacks=()):
    """Build a network, train it at a rate or along a schedule, and return it."""
    keras.utils.set_random_seed(seed)
    model = build()
    optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    options = {"epochs": knobs["epochs"], "batch_size": knobs["batch"], "callbacks": list(callbacks)}
    model.fit(x_train, y_train, **options, verbose=0)
    return model


def accuracy(model, images, labels):
    """Return the share of images whose most probable class is the right one."""
    return float(np.mean(model.predict(images, batch_size=500, verbose=0).argmax(axis=1) == labels))


compared = ("plain", *knobs["compared"])
best_rate = {}
print(f"{'':24}" + "".join(f"{rate:>9g}" for rate in rates_tried) + "   chosen")
for name in ("constant rate", *compared):
    if name.startswith("dropout"):
        best_rate[name] = best_rate["no batch norm" if "no batch norm" in name else "plain"]
        continue
    build = kinds.get(name, tinynet)
    schedule = float if name == "constant rate" else one_cycle
    found = {rate: accuracy(train(build, schedule(rate), seed=0), x_val, y_val) for rate in rates_tried}
    best_rate[name] = max(found, key=found.get)
    at_the_end = len(found) > 1 and best_rate[name] in (rates_tried[0], rates_tried[-1])
    print(f"{name:24}" + "".join(f"{value:>9.1%}" for value in found.values()), end="   ")
    print(f"{best_rate[name]:g}" + (" (at the end of the list)" if at_the_end else ""))
print(f"validation accuracy, one seed; {where}; {knobs['epochs']} epochs")

# %% [markdown]
# ## What pays?
#
# Now each network is trained with its rate and with new seeds. A seed decides the first weights and the order of
# the images. Two networks with the same seed are a pair; the verdict looks at the differences of the pairs, and at
# the 95 % interval of their mean:
#
# * wholly between -1 and +1 point: the two are **practically equal**. We choose this margin now, before we look;
# * otherwise, wholly above 0: the claim **holds**; wholly below 0: it **does not hold**;
# * all else is **undecided**.

# %%
trained, shares = {}, {}
print(f"{'':24}{'parameters':>11}{'MACs':>13}{'epochs':>8}   validation accuracy")
for name in ("constant rate", *compared):
    build, rate = kinds.get(name, tinynet), best_rate[name]
    schedule = float if name == "constant rate" else one_cycle
    trained[name] = [train(build, schedule(rate), seed) for seed in range(1, knobs["seeds"] + 1)]
    shares[name] = [accuracy(model, x_val, y_val) for model in trained[name]]
    spread = f" ± {100 * np.std(shares[name], ddof=1):.1f}" if knobs["seeds"] > 1 else ""
    size = f"{trained[name][0].count_params():11,}{macs(trained[name][0]):13,}{knobs['epochs']:8}"
    print(f"{name:24}{size}   {100 * np.mean(shares[name]):.1f}{spread} %")
print(f"mean ± standard deviation of {knobs['seeds']} seeds; {where}")

# %%
verdicts = []


def claim(text, better, than):
    """Judge a claim where both networks were trained, and keep the verdict."""
    if better not in shares or than not in shares:
        print(f"{text}: not tried in the profile {device.profile}, see the solved page")
        return
    found = verdict(shares, better, than, margin=margin)
    verdicts.append((text, found))
    print(f"{text.upper()}\n  {found}")


claim("one cycle is better than a constant rate, both tuned", "plain", "constant rate")
claim("batch normalization helps", "plain", "no batch norm")
claim("residual blocks are better than plain ones", "residual", "plain")
claim("plain blocks are better than depthwise ones", "plain", "depthwise")
claim("with batch normalization, dropout helps", "dropout", "plain")
claim("without batch normalization, dropout helps", "dropout, no batch norm", "no batch norm")
by_chance = 1 - 0.95 ** len(verdicts)
print(f"\n{len(verdicts)} intervals. If no difference were real, {by_chance:.0%} of such pages", end=" ")
print("would show a false one.")

# %%
figure, axis = plt.subplots(figsize=(8, 1.2 + 0.4 * len(verdicts)), layout="constrained")
for place, (_, found) in enumerate(verdicts):
    reach = 0 if found.low is None else 50 * (found.high - found.low)
    axis.errorbar(100 * found.difference, place, xerr=reach, fmt="o", color="C0", capsize=3)
axis.axvspan(-100 * margin, 100 * margin, color="gray", alpha=0.2, label="practically equal")
axis.axvline(0, color="gray", linewidth=0.8)
axis.set_yticks(range(len(verdicts)), [text.replace(", ", ",\n") for text, _ in verdicts], fontsize=9)
axis.set_ylim(len(verdicts) - 0.5, -0.5)
axis.set_xlabel("points of validation accuracy, 95 % interval over the seeds")
axis.grid(axis="x", alpha=0.3)
figure.legend(loc="outside lower right")
plt.show()

# %% [markdown]
# The networks of one line have other sizes: read the columns of parameters and MACs together with the accuracy. A
# residual network that is better is also a larger one; a depthwise network that is worse is also a smaller one.
# And the verdicts are about *this* number of images and epochs: dropout works against overfitting, which needs
# time.
#
# The course divides: accuracy · 100,000 / parameters. What does a parameter bring?

# %%
for name in compared:
    parameters, work = trained[name][0].count_params(), macs(trained[name][0])
    ratio = 1e5 * np.mean(shares[name]) / parameters
    print(f"{name:24}{ratio:5.2f}   {np.mean(shares[name]) / work * 1e8:6.1f} points for a million MACs")

# %% [markdown]
# The ratio nearly always prefers the smallest network, since parameters differ by factors and accuracies do not.
#
# ## The activations while a network learns
#
# A callback looks at the same 32 training images again and again. It keeps mean and standard deviation of what
# each block writes, the share of zeros, and a histogram of the other values.


# %%
class Watch(keras.callbacks.Callback):
    """Keep mean, standard deviation, share of zeros and histogram of each block's activations."""

    edges = np.geomspace(1e-6, 1e2, 65)  # of the histogram, logarithmic

    def __init__(self, images):
        super().__init__()
        self.images = images.astype("float32")
        self.steps, self.figures, self.histograms = [], [], []

    def on_train_begin(self, logs=None):
        names = [f"block{number}" for number in range(1, 5)]
        self.probe = keras.Model(self.model.input, [self.model.get_layer(name).output for name in names])
        self.look(0)

    def on_train_batch_end(self, batch, logs=None):
        step = int(self.model.optimizer.iterations)
        if step % max(1, steps // knobs["looks"]) == 0 or step == steps:
            self.look(step)

    def look(self, step):
        values = [ops.convert_to_numpy(x).ravel() for x in self.probe(self.images, training=True)]
        self.steps.append(step)
        self.figures.append([(x.mean(), x.std(), np.mean(x == 0)) for x in values])
        self.histograms.append([np.histogram(x, self.edges)[0] / x.size for x in values])


# %% [markdown]
# We watch four networks. They differ in two things: batch normalization, and the first weights. He's rule draws
# them with a variance of $2 / n_{in}$; the bad rule draws all with a standard deviation of 0.01. All four follow
# the same cycle, which suits the network without batch normalization.


# %%
def small(shape, dtype=None):
    """Draw weights with a standard deviation of 0.01, whatever the layer."""
    return 0.01 * keras.random.normal(shape, dtype=dtype)


watched, watched_rate = {}, best_rate.get("no batch norm", rates_tried[0])
for batch_norm in (True, False):
    for rule, initializer in {"He": "he_normal", "deviation 0.01": small}.items():
        name = f"{rule}, {'with' if batch_norm else 'no'} batch norm"
        build = partial(tinynet, batch_norm=batch_norm, initializer=initializer)
        watch = watched[name] = Watch(x_train[:32])
        loss, share = train(build, one_cycle(watched_rate), 0, [watch]).evaluate(x_train, y_train, verbose=0)
        print(f"{name:30} training loss {loss:.2f}, training accuracy {share:.1%}")
        for when, at in (("first", 0), ("last", -1)):
            means, deviations, zeros = np.array(watch.figures[at]).T
            print(f"   {when:5} step: deviation", ", ".join(f"{value:.1e}" for value in deviations), end="; ")
            print("zeros", ", ".join(f"{value:.0%}" for value in zeros))
print(f"One seed; blocks 1 to 4; peak of the rate {watched_rate:g}.", end=" ")
print(f"To guess: loss {math.log(10):.2f}, accuracy 10 %")

# %%
pair = {name: watched[name] for name in ("He, with batch norm", "deviation 0.01, no batch norm")}
figure, axes = plt.subplots(2, 4, figsize=(9, 4.8), sharex=True, sharey=True, layout="constrained")
for row, (name, watch) in zip(axes, pair.items(), strict=True):
    for number, axis in enumerate(row):
        counts = np.array([histogram[number] for histogram in watch.histograms]).T
        ends = np.append(watch.steps, 2 * watch.steps[-1] - watch.steps[-2])
        filled = np.ma.masked_equal(counts, 0)
        mesh = axis.pcolormesh(ends, Watch.edges, filled, vmin=0, vmax=0.12, cmap="viridis_r")
        axis.set_yscale("log")
        axis.set_title(f"block {number + 1}", fontsize=10)
    row[0].set_ylabel(name.replace(", ", ",\n") + "\nactivation", fontsize=9)
figure.supxlabel("step", fontsize=10)
figure.colorbar(mesh, ax=axes, label="share of the activations")
figure.suptitle(f"Activations above 0 while two networks learn, {data.name}", fontsize=10)
plt.show()

# %% [markdown]
# Each column of a panel is one histogram. In the upper row all blocks start at the same strength: batch
# normalization sets it anew in each block. In the lower row each block makes the signal weaker, before the
# training begins. The gradient passes the same small weights on its way back: it **vanishes**, too.
#
# With weights of variance $\sigma^2$, one block multiplies the mean square of the signal by about
# $\sigma^2\, n_{in} / 2$, where $n_{in} = 9\,C$. With He's rule that is 1.

# %%
first = np.array(watched["deviation 0.01, no batch norm"].figures[0])
squares = first[:, 0] ** 2 + first[:, 1] ** 2  # the mean squares
for number, maps in enumerate(FILTERS[:-1], start=2):
    expected, measured = 0.01**2 * 9 * maps / 2, squares[number - 1] / squares[number - 2]
    print(f"block {number}: formula {expected:.3f}, measured {measured:.3f}")

# %% [markdown]
# (They differ a little: at the border a kernel also reads zeros, and the weights are few.)
#
# The figure has two differences at once, to show the extremes. The table above has all four networks: compare the
# lines that differ in one thing.
#
# `ActivationStatistics` keeps the same figures for any Keras model. It looks at the network as it is *used*, with
# the moving averages of batch normalization. Does it agree with ours?

# %%
model = trained["plain"][0]
names = [f"block{number}" for number in range(1, 5)]
helper = ActivationStatistics(x_train[:32], layers=names)
helper.record(model)
probe = keras.Model(model.input, [model.get_layer(name).output for name in names])
by_hand = [ops.convert_to_numpy(x).std() for x in probe(x_train[:32].astype("float32"), training=False)]
by_helper = [row.standard_deviations[0] for row in helper.records.rows]
print("standard deviations by hand: ", ", ".join(f"{value:.4f}" for value in by_hand))
print("by `ActivationStatistics`:   ", ", ".join(f"{value:.4f}" for value in by_helper))
assert np.allclose(by_hand, by_helper, rtol=1e-3)

# %% [markdown]
# ## What dropout does to batch normalization
#
# In training, dropout sets a share $p$ of the values to 0 and divides the others by $1 - p$. The mean stays; the
# variance does not:
#
# $$\mathrm{Var}[\tilde x] = \frac{\mathrm{E}[x^2]}{1 - p} - \mathrm{E}[x]^2 \;\ge\; \mathrm{Var}[x]$$
#
# When the network is used, nothing is dropped. But the batch normalization behind it has kept the variance of the
# training. How much of that shift is left behind the next convolution? We drop values of the first block.

# %%
first_block = keras.Model(model.input, model.get_layer("block1").output)
second_convolution = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)][1]
x = first_block(x_val[:128].astype("float32"), training=False)
values = ops.convert_to_numpy(x).astype("float64")


def variance_of_maps(x):
    """Return the variance of each map of the second convolution, the mean over the maps."""
    return float(ops.mean(ops.var(second_convolution(x), axis=(0, 1, 2))))


print("p     Var by the formula   counted   behind the next convolution, times that of p = 0")
for p in (0.0, 0.1, 0.2, 0.5):
    dropped = layers.Dropout(p, seed=0)(x, training=True)
    counted = ops.convert_to_numpy(dropped).astype("float64").var()
    expected = np.mean(values**2) / (1 - p) - np.mean(values) ** 2
    print(f"{p:.1f}   {expected:18.3f}   {counted:7.3f}   {variance_of_maps(dropped) / variance_of_maps(x):.2f}")

# %% [markdown]
# ## The test images
#
# Until now nobody has looked at them. The plain network with one cycle, once for each seed:

# %%
test_shares = [accuracy(model, data.x_test, data.y_test) for model in trained["plain"]]
tested = f"{len(data.x_test):,} test images, {data.name}"
spread = f" ± {100 * np.std(test_shares, ddof=1):.1f}" if len(test_shares) > 1 else ""
print(f"{100 * np.mean(test_shares):.1f}{spread} % of {tested}; seeds: {len(test_shares)}")

probabilities = model.predict(data.x_test, batch_size=500, verbose=0)
predicted = probabilities.argmax(axis=1)
matrix = metrics.confusion_matrix(data.y_test, predicted, labels=range(10))
mistakes = [(matrix[i, j], i, j) for i in range(10) for j in range(10) if i != j]
count, i, j = max(mistakes)
print(
    f"most frequent mistake of the first network: {data.class_names[i]} taken for {data.class_names[j]}, {count}"
)
plotting.plot_confusion_matrix(matrix, data.class_names, normalize=True, caption=f"{tested}; one network")

# %% [markdown]
# ## ROC, and the area under it
#
# Take one class against the rest, and call an image one of it if its probability is above a **threshold**. A low
# threshold finds all images of the class, and many others with them. The **ROC curve** shows both shares at all
# thresholds: found images of the class (recall) against false alarms among the others. The area under the curve is
# a probability. For a random image of the class and a random other one:
#
# $$\mathrm{AUC} = P(s_{\text{class}} > s_{\text{other}}) + \tfrac12 \, P(s_{\text{class}} = s_{\text{other}})$$

# %%
curves = evaluation.roc_curves(data.y_test, probabilities, data.class_names)
hardest, *_, easiest = sorted(curves, key=lambda curve: curve.auc)
print(f"AUC from {hardest.auc:.3f} ({hardest.name}) to {easiest.auc:.3f} ({easiest.name})")
plotting.plot_roc_curves(curves, caption=f"{tested}; one network")

# %% [markdown]
# The AUC asks only for the order of the probabilities. Do they mean what they say? A network is **calibrated** if
# 80 % of the images with a confidence of 80 % are right.

# %%
calibrated = evaluation.calibration(data.y_test, probabilities, bins=10)
gap = 100 * (calibrated.confidence - calibrated.accuracy)
print(f"mean confidence {calibrated.confidence:.1%}, accuracy {calibrated.accuracy:.1%}:", end=" ")
print(f"{abs(gap):.1f} points {'too sure' if gap > 0 else 'too careful'}, in the mean")

# %% [markdown]
# ## Grad-CAM
#
# Which part of an image speaks for a class? **Grad-CAM** takes the feature maps $A_k$ of a convolutional layer.
# The gradient of the score $y_c$ (before the softmax) says how each place of each map changes the score. Its mean
# over the $h \cdot w$ places is the weight of the map:
#
# $$\alpha_k = \frac1{hw} \sum_{i,j} \frac{\partial y_c}{\partial A_k^{ij}}, \qquad
# L = \mathrm{ReLU}\Big(\sum_k \alpha_k A_k\Big)$$
#
# The maps of the last block have few places, so we take the block before. First by hand, for one image:

# %%
LAYER = "block3"
image, label = data.x_test[:1].astype("float32"), int(predicted[0])
maps = keras.Model(model.input, model.get_layer(LAYER).output)(image)  # the feature maps A
behind = keras.Model(model.get_layer(LAYER).output, model.get_layer("scores").output)  # from A to the scores
_, slopes = runtime.gradient(lambda maps: behind(maps)[0, label], maps)
alpha = ops.mean(slopes, axis=(1, 2), keepdims=True)  # one weight for each map
by_hand = ops.convert_to_numpy(ops.relu(ops.sum(alpha * maps, axis=-1)))[0]

found = grad_cam(model, image, class_index=label, layer=LAYER)
difference = np.abs(found.maps[0] - by_hand).max() / max(by_hand.max(), 1e-9)
print(f"{LAYER}: {by_hand.shape[0]} x {by_hand.shape[1]} places, {maps.shape[-1]} maps;", end=" ")
print(f"largest difference between by hand and `grad_cam`: {difference:.0e} of the maximum")

# %% [markdown]
# The same for images of four classes. Each class has two: the right answer with the highest probability, and the
# wrong one with the highest probability.

# %%
names, confidence = np.array(data.class_names), probabilities.max(axis=1)


def surest(is_right):
    """Return the surest right, or wrong, answer for images of each of some classes."""
    places = []
    for label in range(10):
        fit = np.flatnonzero((data.y_test == label) & ((predicted == label) == is_right))
        if len(fit):
            places.append(fit[confidence[fit].argmax()])
    return np.array(places[:4], dtype=int)


for is_right, caption in ((True, "Right answers"), (False, "Wrong answers, what speaks for them")):
    places = surest(is_right)
    if len(places):
        heat = grad_cam(model, data.x_test[places], class_index=predicted[places], layer=LAYER).heatmaps
        titles = [f"{names[data.y_test[i]]}, read as\n{names[predicted[i]]} ({confidence[i]:.0%})" for i in places]
        figure = plotting.plot_heatmaps(
            data.x_test[places], heat, titles=titles, columns=4, caption=f"{caption}. {data.name}"
        )
        display(figure)

# %% [markdown]
# ## Is the heatmap true?
#
# A heatmap convinces easily. So we test it. We hide a block of 12 x 12 pixels behind the mean colour, and ask
# the network again. How many of its right answers change? Three ways to place the block:
#
# * where the sum of the heat is largest: the **hottest** block;
# * at **random**: the control. A grey block breaks an image wherever it stands;
# * in the **centre**: a second control. In photographs the object is often there, with or without a heatmap.

# %%
SIDE = 12
STARTS = 32 - SIDE + 1
grey = x_train.mean(axis=(0, 1, 2)).astype("uint8")


def changed(model, images, answers, rows, columns):
    """Return the share of answers that change behind a block with this upper left corner."""
    hidden = images.copy()
    for image, row, column in zip(hidden, rows, columns, strict=True):
        image[row : row + SIDE, column : column + SIDE] = grey
    return float(np.mean(model.predict(hidden, batch_size=500, verbose=0).argmax(axis=1) != answers))


rng = np.random.default_rng(0)
hiding = {"hottest block": [], "random block": [], "centre": []}
for model in trained["plain"]:
    answers = model.predict(data.x_test, batch_size=500, verbose=0).argmax(axis=1)
    right = rng.permutation(np.flatnonzero(answers == data.y_test))[:1_000]
    images, answers = data.x_test[right], answers[right]
    heat = grad_cam(model, images, class_index=answers, layer=LAYER).heatmaps
    windows = np.lib.stride_tricks.sliding_window_view(heat, (SIDE, SIDE), axis=(1, 2))
    sums = windows.sum(axis=(3, 4)).reshape(len(heat), -1)  # of every block
    rows, columns = np.unravel_index(sums.argmax(axis=1), (STARTS, STARTS))
    centre = np.full(len(images), (32 - SIDE) // 2)
    hiding["hottest block"].append(changed(model, images, answers, rows, columns))
    hiding["centre"].append(changed(model, images, answers, centre, centre))
    anywhere = [
        changed(model, images, answers, *rng.integers(0, STARTS, (2, len(images)))) for _ in range(knobs["blocks"])
    ]
    hiding["random block"].append(float(np.mean(anywhere)))

for name, values in hiding.items():
    print(f"{name:14} hidden: {np.mean(values):.1%} of the right answers change")
heat_verdicts = [verdict(hiding, "hottest block", than, margin=margin) for than in ("random block", "centre")]
print("More answers change:")
for found in heat_verdicts:
    print(f"  {found}")
print(f"up to 1,000 test images for each of {knobs['seeds']} networks, {data.name}")

# %% [markdown]
# The comparison with the random block tells whether the heatmap knows where the evidence is. The comparison with
# the centre tells whether it knows more than the habit of photographers.
#
# ## The verdicts

# %%
print(f"{'claim':54}{'verdict':18}{'points':>7}   95 % interval   half-width")
judged = [*verdicts, *((f"{one.better} changes more than {one.than}", one) for one in heat_verdicts)]
for text, found in judged:
    interval = "-" if found.low is None else f"{100 * found.low:+.1f} to {100 * found.high:+.1f}"
    half_width = "" if found.low is None else f"{50 * (found.high - found.low):.1f}"
    print(f"{text:54}{found.conclusion:18}{100 * found.difference:+7.1f}   {interval:15} {half_width}")
print(f"\n{where}; seeds: {knobs['seeds']}, epochs: {knobs['epochs']}; the last two lines: test images")
if knobs["seeds"] < 5:
    print("Fewer than five seeds: read the verdicts on the solved page.")

# %% [markdown]
# ## What we saw
#
# - A range test gives a first learning rate in one short training. Each network gets its own rate before it is
#   compared.
# - Without batch normalization, the first weights decide how strong the signal is. Small ones weaken it in every
#   block.
# - Dropout in front of batch normalization makes the variance of training larger than that of use.
# - Accuracy, AUC and calibration are three different questions.
# - A heatmap is a claim. Hide what it points to, and hide something else for comparison.
# - What pays, and by how much, is in the table above. *Undecided* does not mean equal.
#
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### One cycle by hand
#
# Return the rate at a step: from `start` in a straight line to `peak`, reached after the share `rising` of the
# `total` steps, and from there along half a cosine to 0, reached at step `total`. `np.cos` takes radians; half a
# turn is `np.pi`.


def rate_at(step, total, start, peak, rising):
    # student: return None
    # solution
    top = rising * total
    if step <= top:
        return start + (peak - start) * step / top
    return peak * (1 + np.cos(np.pi * (step - top) / (total - top))) / 2
    # end solution


ex.one_cycle_by_hand.check(rate_at)

# %% [markdown] tags=["hints"]
# - The peak is reached at step `top = rising * total`.
# - Up to there the share `step / top` of the way from `start` to `peak` is done.
# - After it, `(1 + np.cos(np.pi * done)) / 2` goes from 1 to 0 while `done` goes from 0 to 1.

# %% tags=["exercise"]
# ### What depthwise saves
#
# The last block goes from 128 to 256 maps with 3 x 3 kernels, without biases. How many weights has its convolution
# in the plain network, and how many have the depthwise one and the 1 x 1 convolution behind it, together?

# student: plain_weights = None
# student: depthwise_weights = None
# solution
plain_weights = 3 * 3 * 128 * 256
depthwise_weights = 3 * 3 * 128 + 128 * 256
# end solution

ex.depthwise_saves.check(plain_weights, depthwise_weights)

# %% [markdown] tags=["hints"]
# - A plain filter has a 3x3 kernel for each map that comes in, and there are 256 filters.
# - A depthwise convolution has one 3x3 kernel for each map that comes in, and no more.
# - The 1x1 behind it has 128 weights for each of 256 maps.

# %% [markdown] tags=["solution"]
# The depthwise convolution has one 3 x 3 kernel for each map that comes in, 1,152 weights; the 1 x 1 mixes 128
# maps into each of 256, 32,768 weights. Together 33,920 in place of 294,912, less than an eighth. Nearly all that
# is left is in the 1 x 1.

# %% tags=["exercise"]
# ### The variance that dropout makes
#
# Return the variance that the values `x`, an array, have on average behind a dropout of the share `p` in training,
# as Keras does it: what is kept is divided by 1 - p. Compute it; draw nothing by chance.


def variance_with_dropout(x, p):
    # student: return None
    # solution
    return np.mean(x**2) / (1 - p) - np.mean(x) ** 2
    # end solution


ex.variance_with_dropout.check(variance_with_dropout)

# %% [markdown] tags=["hints"]
# - Variance is the mean of the squares less the square of the mean.
# - The mean stays. How large is a square that is kept, and how often is one kept?
# - The mean of the squares becomes np.mean(x**2) / (1 - p).

# %% [markdown] tags=["solution"]
# A value is kept with probability 1 - p and is then 1 / (1 - p) times as large. Its mean stays. Its mean square is
# (1 - p) / (1 - p) ** 2 = 1 / (1 - p) times what it was. The variance is the mean square minus the square of the
# mean: even values that are all alike get a variance.

# %% tags=["exercise"]
# ### Grad-CAM by hand
#
# `maps` and `gradients` have the shape (height, width, maps). Return the heatmap (height, width), not yet divided
# by its maximum.


def heatmap(maps, gradients):
    # student: return None
    # solution
    weights = gradients.mean(axis=(0, 1))
    return np.maximum(maps @ weights, 0)
    # end solution


ex.grad_cam_by_hand.check(heatmap)

# %% [markdown] tags=["hints"]
# - Each map has one weight: the mean of its gradient over height and width.
# - `maps @ weights` adds the weighted maps at each place.
# - What is below 0 is cut off: `np.maximum(..., 0)`.

# %% [markdown] tags=["solution"]
# Each map has one weight: the mean of its gradient over all places. The weighted maps are added place by place,
# and what is below zero, which speaks against the class, is cut off.

# %% tags=["exercise"]
# ### The hottest block
#
# `heat` is an array (height, width). Return row and column of the upper left corner of the block of `side` x
# `side` places with the largest sum. The block lies wholly inside. Counting starts at 0; no two blocks have
# the same sum.


def hottest(heat, side):
    # student: return None
    # solution
    sums = np.lib.stride_tricks.sliding_window_view(heat, (side, side)).sum(axis=(2, 3))
    return np.unravel_index(sums.argmax(), sums.shape)
    # end solution


ex.hottest_block.check(hottest)

# %% [markdown] tags=["hints"]
# - A block of `side` places can start in height - side + 1 rows and width - side + 1 columns.
# - `heat[row : row + side, column : column + side].sum()` is the sum of one block: try them all.
# - `np.unravel_index(sums.argmax(), sums.shape)` turns a place in an array of sums into row and column.

# %% [markdown] tags=["solution"]
# `sums` has the sum of the block that starts at each place; two loops do as well. There are height - side + 1 rows
# and width - side + 1 columns to start from. The hottest *place* need not be in
# the hottest block: one hot place among cold ones has a small sum.

# %% [markdown]
# ## Where to go on
#
# - Give both schedules three times their rate. Which training breaks first?
# - Draw the first weights with a deviation of 0.3 in place of 0.01. What do the histograms show?
# - Put the dropout behind the last block only. Does the verdict change?
# - `13_random_search` changes everything at once.

# %% tags=["summary"]
print(f"Data: {where} ({data.source}); seeds: {knobs['seeds']}, epochs: {knobs['epochs']}")
for name, values in shares.items():
    print(f"Validation accuracy, {name}: {np.mean(values):.1%}, {trained[name][0].count_params():,} parameters")
print(f"Test accuracy of plain: {np.mean(test_shares):.1%} of {len(data.x_test):,} images")
for text, found in judged:
    print(f"{text}: {found.conclusion} ({100 * found.difference:+.1f} points)")
print(device)
ex.summary()
