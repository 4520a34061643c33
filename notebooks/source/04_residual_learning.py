# %% [markdown]
# # 4. Batch normalization and residual learning
#
# **The question.** A deeper network can do all that a shallower one does: its extra layers only have to pass their
# input on. Yet the deeper plain network of He et al. has a *higher training error*. They call it **degradation**.
# Is that so here, too? And does a shortcut cure it?
#
# First comes batch normalization, a part of both networks. You compute it by hand, see how training and inference
# differ, and measure what it does to the inputs of a layer. Then you train plain and residual networks,
# shallow and deep, to the end.
#
# *Follows Ioffe and Szegedy (2015): Batch normalization; He, Zhang, Ren and Sun (2016): Deep residual learning for
# image recognition; Manco (Architectures) and Di Stefano. On initialisation: Glorot and Bengio (2010), He et al.
# (2015).*

# %%
import math

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers, ops
from scipy import stats

from kerascv_course import plotting, runtime
from kerascv_course.architecture import compare_models
from kerascv_course.datasets import load, missing
from kerascv_course.exercises import residual_learning as ex

device = runtime.setup(seed=0, missing=missing("cifar10"))
print(device)

# %% [markdown]
# ## Knobs
#
# `depths` are layers with weights: one convolution at the start, pairs of convolutions, one dense layer at the
# end. The images are 16 x 16 pixels and the networks narrow, so that many of them can be trained *to the end* on
# a laptop.

# %%
choose = runtime.by_profile
knobs = {
    "images": choose(smoke=100, lite=500, full=4_000, gpu=50_000),
    "filters": choose(smoke=4, lite=8, full=8, gpu=16),
    "depths": choose(smoke=(4, 8), lite=(8, 32), full=(8, 32), gpu=(20, 56)),
    "seeds": choose(smoke=1, lite=1, full=7, gpu=5),
    "epochs": choose(smoke=1, lite=5, full=60, gpu=200),  # while the learning rate falls
    "last_epochs": choose(smoke=1, lite=1, full=10, gpu=10),  # at the lowest learning rate
    "shift_epochs": choose(smoke=1, lite=5, full=20, gpu=20),
}
learning_rate = 4e-3  # Adam, at its first step
knobs

# %% [markdown]
# ## The data
#
# CIFAR-10, reduced to 16 x 16 pixels: each pixel is the mean of 2 x 2. Where CIFAR-10 is not at hand, `lite` takes
# *patches*: crops of ten photographs that scikit-image carries. The outputs say which.

# %%
photos = load("cifar10", fallback="patches", download=device.downloads)
images, labels = photos.head(knobs["images"], seed=0)  # drawn at random, each class in its proportion
small = images.reshape(len(images), 16, 2, 16, 2, 3).mean(axis=(2, 4))
x_train = ((small - small.mean()) / small.std()).astype("float32")
print(f"{photos.name}: {len(x_train):,} training images of 16 x 16 pixels, from {photos.source}")

shown = [int(np.flatnonzero(labels == label)[0]) for label in range(10)]
plotting.plot_images(small[shown].astype("uint8"), titles=photos.class_names, columns=10, caption=photos.name)

# %% [markdown]
# ## Batch normalization by hand
#
# The layer reads a batch of $m$ values of one feature and makes their mean 0 and their variance 1. Then it scales
# by $\gamma$ and shifts by $\beta$, which it learns:
#
# $$\mu = \frac{1}{m} \sum_i x_i \qquad \sigma^2 = \frac{1}{m} \sum_i (x_i - \mu)^2 \qquad
# \hat{x}_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \varepsilon}} \qquad y_i = \gamma \hat{x}_i + \beta$$
#
# $\varepsilon$ is a small number, so that nothing is divided by 0. In a convolutional network a feature is a
# feature map: $m$ counts all images *and all places*.

# %%
rng = np.random.default_rng(0)
maps = rng.normal(loc=5, scale=3, size=(32, 16, 16, 4)).astype("float32")  # 32 images, 4 feature maps
gamma, beta, epsilon = np.array([1, 2, 1, 0.5]), np.array([0, 0, -1, 3]), 1e-3

mean = maps.mean(axis=(0, 1, 2))
variance = ((maps - mean) ** 2).mean(axis=(0, 1, 2))
normalized = (maps - mean) / np.sqrt(variance + epsilon)
by_hand = gamma * normalized + beta

layer = layers.BatchNormalization(epsilon=epsilon)
layer.build(maps.shape)
layer.gamma.assign(gamma)
layer.beta.assign(beta)
by_keras = ops.convert_to_numpy(layer(maps, training=True))
print(f"largest difference from Keras: {np.abs(by_hand - by_keras).max():.0e}")
print("mean of each map:              ", by_keras.mean(axis=(0, 1, 2)).round(2))
print("standard deviation of each map:", by_keras.std(axis=(0, 1, 2)).round(2))

# %% [markdown]
# The means are $\beta$ and the standard deviations $\gamma$: whatever comes in, the layer decides what goes out.
#
# ## Training and inference
#
# With one image to classify there is no batch. So the layer keeps **moving averages** of $\mu$ and $\sigma^2$
# while it trains, and uses these in inference:
#
# $$\mu_{moving} \leftarrow 0.99\ \mu_{moving} + 0.01\ \mu$$
#
# They start at 0 and 1. Keras' momentum of 0.99 makes them slow: the next cell counts how slow.

# %%
layer = layers.BatchNormalization()
layer.build(maps.shape)
moving = np.zeros(4)
for step in range(1, 301):
    layer(maps, training=True)  # the same batch again and again
    moving = 0.99 * moving + 0.01 * mean
    if step in (1, 10, 100, 300):
        kept = ops.convert_to_numpy(layer.moving_mean)
        assert np.allclose(kept, moving, rtol=1e-3)
        print(f"after {step:3} steps the moving mean is {kept[0] / mean[0]:4.0%} of the mean of the batch")

# %% [markdown]
# Three things go wrong in practice. Each has its reason in the formulas:
#
# 1. **Too few steps.** The moving averages are not there yet: the network is good in training and bad in
#    inference.
# 2. **Too small a batch.** A batch of one image and one place has $\sigma = 0$: the output is $\beta$, whatever
#    the image shows.
# 3. **The wrong mode.** `model(x, training=True)` gives one image another answer in each batch.
#
# The next cell trains a small network for few steps and shows the first and the third.


# %%
def accuracy(model, images, labels, training):
    """Return the share of right answers, with batch normalization in its training or inference form."""
    return float(np.mean(ops.convert_to_numpy(model(images, training=training)).argmax(axis=1) == labels))


def build_small(momentum=0.99, batch_norm=True):
    """Build four convolutions, with or without batch normalization."""
    x = inputs = keras.Input((16, 16, 3))
    for number in range(1, 5):
        x = layers.Conv2D(16, 3, strides=2 if number == 1 else 1, padding="same", name=f"conv{number}")(x)
        if batch_norm:
            x = layers.BatchNormalization(momentum=momentum)(x)
        x = layers.ReLU()(x)
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, outputs)


def compiled(model, rate=learning_rate):
    """Compile a model as all in this notebook."""
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


some, their_labels = x_train[:500], labels[:500]
for momentum in (0.99, 0.9):
    keras.utils.set_random_seed(0)
    model = compiled(build_small(momentum))
    model.fit(some, their_labels, batch_size=50, epochs=3, verbose=0)
    steps = int(model.optimizer.iterations)
    both = [accuracy(model, some, their_labels, training) for training in (True, False)]
    print(f"momentum {momentum}, {steps} steps: {both[0]:.1%} in training mode, {both[1]:.1%} in inference mode")

answers = [
    ops.convert_to_numpy(model(np.concatenate([some[:1], some[start : start + 9]]), training=True))[0]
    for start in (1, 10)
]
largest = np.abs(answers[0] - answers[1]).max()
print(f"one image in two batches, training mode: its answers differ by up to {largest:.2f}")

dense = layers.BatchNormalization()
alone = ops.convert_to_numpy(dense(np.array([[3.0, -8.0, 100.0]], "float32"), training=True))
print("a batch of one vector, training mode:", alone[0] + 0.0)

# %% [markdown]
# ## Covariate shift
#
# While a network trains, the inputs of a layer change, because the layers before it change. Ioffe and Szegedy call
# this **internal covariate shift**, and made batch normalization against it. Is it there? The next cell trains the
# small network with and without batch normalization. After every epoch it asks: what are mean and standard
# deviation of the values that the last convolution reads?


# %%
class InputsOfLayer(keras.callbacks.Callback):
    """Keep mean and standard deviation of what a layer reads, before the training and after each epoch."""

    def __init__(self, reader, images):
        super().__init__()
        self.reader, self.images, self.seen = reader, images, []

    def look(self):
        values = ops.convert_to_numpy(self.reader(self.images, training=True))
        self.seen.append((values.mean(), values.std()))

    def on_train_begin(self, logs=None):
        self.look()

    def on_epoch_end(self, epoch, logs=None):
        self.look()


figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
for axis, batch_norm in zip(axes, (False, True), strict=True):
    keras.utils.set_random_seed(0)
    model = compiled(build_small(batch_norm=batch_norm))
    read = keras.Model(model.input, model.get_layer("conv4").input)
    looker = InputsOfLayer(read, x_train[:200])
    model.fit(x_train, labels, batch_size=50, epochs=knobs["shift_epochs"], callbacks=[looker], verbose=0)
    means, deviations = np.array(looker.seen).T
    name = "with batch normalization" if batch_norm else "without batch normalization"
    print(f"{name}: mean from {means[0]:.2f} to {means[-1]:.2f}, deviation from {deviations[0]:.2f}", end=" ")
    print(f"to {deviations[-1]:.2f}")
    epochs = range(len(means))
    axis.fill_between(epochs, means - deviations, means + deviations, alpha=0.3, label="± 1 standard deviation")
    axis.plot(epochs, means, label="mean")
    axis.set(title=name, xlabel="epoch", ylabel="inputs of the last convolution")
axes[1].legend()
axes[0].grid(alpha=0.3)
axes[1].grid(alpha=0.3)

# %% [markdown]
# The figure shows one network and one layer. Whether less shift is the *reason* why batch normalization helps is
# disputed: Santurkar et al. (2018) add shift on purpose and still train well.
#
# ## Two networks that differ in one line
#
# Pairs of 3 x 3 convolutions, each with batch normalization and ReLU, and He's initialisation. The residual
# network adds the input of each pair to its output. A pair then learns only what must *change*. The addition has
# no weights: both networks have the same parameters.


# %%
def build(depth, residual, *, batch_norm=True, initializer="he_normal"):
    """Build a network of `depth` layers with weights, with or without shortcuts."""

    def convolution(x, **options):
        x = layers.Conv2D(
            knobs["filters"], 3, padding="same", use_bias=False, kernel_initializer=initializer, **options
        )(x)
        return layers.BatchNormalization(momentum=0.9)(x) if batch_norm else x

    inputs = keras.Input((16, 16, 3))
    x = layers.ReLU(name="relu0")(convolution(inputs, strides=2))
    for block in range(1, (depth - 2) // 2 + 1):
        y = layers.ReLU()(convolution(x))
        y = convolution(y)
        x = layers.Add()([x, y]) if residual else y  # the one line
        x = layers.ReLU(name=f"relu{block}")(x)
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, outputs, name=f"{'residual' if residual else 'plain'}_{depth}")


shallow, deep = knobs["depths"]
compare_models([build(depth, residual) for depth in (shallow, deep) for residual in (False, True)])

# %% [markdown]
# ## Is the deeper network harder to train?
#
# All are trained in the same way, on the same images, for the same number of epochs: the learning rate falls
# along a half cosine, and the last epochs are at its lowest value. On the solved page (profile `full`) they are
# trained **to the end**: the cell prints by how little the loss still falls in the last five epochs. A run of a
# few epochs (`lite`) shows the mechanics only. We look at the *training* error, as Keras reports it while it
# trains, in the mean of the last five epochs. A test error would mix two questions: the deeper network could
# also overfit.


# %%
def train_to_the_end(model):
    """Train while the learning rate falls, and some epochs at its lowest value; return Keras' history."""
    steps = math.ceil(len(x_train) / 64)
    falling = keras.optimizers.schedules.CosineDecay(learning_rate, knobs["epochs"] * steps, alpha=0.002)
    epochs = knobs["epochs"] + knobs["last_epochs"]
    return compiled(model, falling).fit(x_train, labels, batch_size=64, epochs=epochs, verbose=0).history


kinds = [("plain", False), ("residual", True)]
errors = {(kind, depth): [] for kind, _ in kinds for depth in (shallow, deep)}
last_losses = {}
for kind, residual in kinds:
    for depth in (shallow, deep):
        falls = []
        for seed in range(knobs["seeds"]):
            keras.utils.set_random_seed(seed)
            history = train_to_the_end(build(depth, residual))
            errors[kind, depth].append(1 - float(np.mean(history["accuracy"][-5:])))
            falls.append(1 - sum(history["loss"][-5:]) / sum(history["loss"][-10:-5] or [np.nan]))
        last_losses[f"{kind}, {depth} layers"] = history["loss"]
        values = ", ".join(f"{value:.1%}" for value in errors[kind, depth])
        print(f"{kind:8} {depth:2} layers: training error {np.mean(errors[kind, depth]):5.1%}  (seeds: {values})")
        if knobs["epochs"] > 10:
            print(f"{'':19}the loss of the last five epochs is at most {max(falls):.1%} below the five before")

# %%
figure, axis = plt.subplots(figsize=(8, 3.6), layout="constrained")
for number, (name, losses) in enumerate(last_losses.items()):
    style = "-" if name.startswith("residual") else "--"
    axis.plot(range(1, len(losses) + 1), losses, style, color=f"C{number % 2}", label=name)
axis.set(xlabel="epoch", ylabel="training loss", title=f"{photos.name}, last seed")
axis.legend()
axis.grid(alpha=0.3)

# %% [markdown]
# **The verdict.** What does depth cost? For each seed: the error of the deep network minus that of the shallow
# one. If the shortcut is a cure, this cost is smaller with it. So we look at the difference of the two
# differences:
#
# $$d = (deep - shallow)_{plain} - (deep - shallow)_{residual}$$


# %%
def interval(values):
    """Return mean and 95 % interval of some numbers, in points."""
    values = 100 * np.array(values)
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    return values.mean(), low, high


costs = {kind: np.subtract(errors[kind, deep], errors[kind, shallow]) for kind, _ in kinds}
costs["plain minus residual"] = costs["plain"] - costs["residual"]
verdicts = []
for name, values in costs.items():
    if len(values) < 2:
        verdicts.append(f"{name}: {100 * values[0]:+.1f} points, one seed: no interval, no conclusion")
        continue
    mean, low, high = interval(values)
    sign = "more error" if low > 0 else "less error" if high < 0 else "undecided"
    figures = f"{mean:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}, half-width {(high - low) / 2:.1f}"
    verdicts.append(f"{name}: {figures}: {sign}")
print(f"Training error, {deep} layers minus {shallow}; {photos.name}, {len(labels):,} images, {len(values)} seeds")
print("\n".join(verdicts))
print(device)

# %% [markdown]
# Three intervals are printed. If no difference were real, about one page in seven would show a false "more" or
# "less" ($1 - 0.95^3 = 14\ \%$).
#
# The first line is *degradation* in the strict sense: "more error" means that the plain network gets worse with
# depth. Where it says "less error", depth still helps the plain network. The last line then says how much of the
# help is lost without the shortcut. He et al. compare 20 and 56 layers, on all images; those are the depths of
# the profile `gpu`.
#
# ## The gradient, layer by layer
#
# Why would a deep plain network be hard to train? The gradient of the loss must pass through all layers. The next
# cell measures its norm for each convolution before any training. One step of plain gradient descent with a
# learning rate of 1 subtracts the gradient itself: so the gradient is the difference of the weights before and
# after.


# %%
def gradient_norms(model, images, labels):
    """Return the norm of the gradient of each convolution's weights."""
    kernels = [layer.kernel for layer in model.layers if isinstance(layer, layers.Conv2D)]
    before = [ops.convert_to_numpy(kernel).astype("float64") for kernel in kernels]
    model.compile(keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy")
    model.train_on_batch(images, labels)
    after = [ops.convert_to_numpy(kernel).astype("float64") for kernel in kernels]
    return [float(np.linalg.norm(b - a)) for b, a in zip(before, after, strict=True)]


figure, axis = plt.subplots(figsize=(8, 3.6), layout="constrained")
for batch_norm in (True, False):
    for kind, residual in kinds:
        keras.utils.set_random_seed(0)
        norms = gradient_norms(build(deep, residual, batch_norm=batch_norm), x_train[:64], labels[:64])
        name = f"{kind}, {'with' if batch_norm else 'without'} batch norm"
        print(f"{name:27}: first convolution {norms[0]:.1e}, last {norms[-1]:.1e}", end=", ")
        print(f"first / last {norms[0] / norms[-1]:.1e}")
        line = "-" if batch_norm else "--"
        axis.semilogy(range(1, len(norms) + 1), norms, line, color=f"C{int(residual)}", label=name)
axis.set(xlabel="convolution", ylabel="norm of the gradient", title=f"Untrained networks of {deep} layers")
figure.legend(loc="outside lower center", ncols=2, fontsize=8)
axis.grid(alpha=0.3)

# %% [markdown]
# A gradient that fades on its way to the first layers is a **vanishing gradient**; one that grows is an
# **exploding** one. Read from the right to the left: that is the way of the gradient.
#
# ## What the initialisation does to the activations
#
# How large are the activations of the untrained deep plain network, without batch normalization? He's rule draws
# the weights with a variance of $2 / n_{in}$: the 2 makes up for the ReLU, which sets half of the values to 0.
# Glorot's rule does not know of the ReLU. With zeros nothing passes, and no gradient either.

# %%
initializers = {
    "He": "he_normal",
    "Glorot": "glorot_normal",
    "deviation 0.01": keras.initializers.RandomNormal(stddev=0.01, seed=0),
    "deviation 0.3": keras.initializers.RandomNormal(stddev=0.3, seed=0),
    "zeros": "zeros",
}
names = [f"relu{block}" for block in range((deep - 2) // 2 + 1)]
figure, axis = plt.subplots(figsize=(8, 3.6), layout="constrained")
for name, initializer in initializers.items():
    keras.utils.set_random_seed(0)
    model = build(deep, residual=False, batch_norm=False, initializer=initializer)
    outputs = keras.Model(model.input, [model.get_layer(layer).output for layer in names])(x_train[:200])
    deviations = [float(ops.convert_to_numpy(output).astype("float64").std()) for output in outputs]
    if not any(deviations):
        print(f"{name:15}: all activations are 0")
        continue
    first, last = deviations[0], deviations[-1]
    print(f"{name:15}: {first:.1e} after the first layer, {last:.1e} after the last, factor {last / first:.1e}")
    axis.semilogy([value or np.nan for value in deviations], marker="o", markersize=3, label=name)
axis.set(xlabel="block", ylabel="standard deviation", title=f"Untrained plain network of {deep} layers")
axis.legend()
axis.grid(alpha=0.3)

# %% [markdown]
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### Count layers
#
# The paper's networks for small images have one convolution, then three stages of n blocks with two convolutions
# each, and a dense layer. How many blocks n in each stage has the network with 56 layers?

# student: blocks_per_stage = None
# solution
blocks_per_stage = (56 - 2) // 6
# end solution

ex.blocks_per_stage.check(blocks_per_stage)

# %% [markdown] tags=["hints"]
# - Take away the first convolution and the dense layer. What is left is shared by three stages.
# - Each block has two layers: 56 = 2 + 3 · 2 · n.

# %% tags=["exercise"]
# ### Normalize a batch
#
# Write batch normalization in training mode. `batch` is an array of shape (images, features); `gamma` and `beta`
# have one number for each feature; `epsilon` is a number. Return an array of the shape of `batch`.


def normalize(batch, gamma, beta, epsilon):
    # student: return None
    # solution
    mean = batch.mean(axis=0)
    variance = ((batch - mean) ** 2).mean(axis=0)
    return gamma * (batch - mean) / np.sqrt(variance + epsilon) + beta
    # end solution


ex.normalize.check(normalize)

# %% [markdown] tags=["hints"]
# - Mean and variance of each feature are taken over the images: `axis=0`.
# - Divide by the root of variance plus epsilon. Then scale by gamma and add beta.
# - `gamma * (batch - mean) / np.sqrt(variance + epsilon) + beta`

# %% tags=["exercise"]
# ### Moving averages
#
# A moving mean starts at 0, with Keras' momentum of 0.99. Each batch has the mean 4. After how many steps is the
# moving mean *for the first time* at 2 or more?

# student: steps_to_half = None
# solution
steps_to_half, moving = 0, 0.0
while moving < 2:
    moving = 0.99 * moving + 0.01 * 4
    steps_to_half += 1
# end solution

ex.steps_to_half.check(steps_to_half)

# %% [markdown] tags=["hints"]
# - After k steps the moving mean is 4 (1 - 0.99^k).
# - Half of it is there when 0.99^k is 0.5 or less. Take the logarithm, or let a loop count.

# %% [markdown] tags=["solution"]
# After k steps the moving mean is 4 (1 - 0.99^k). It is half of 4 where 0.99^k is 0.5 or less: k is at least
# log 0.5 / log 0.99 = 68.97, so 69 steps.

# %% tags=["exercise"]
# ### Keep the size
#
# A layer reads `inputs` values and is followed by a ReLU, which halves the mean square. Write the standard
# deviation of the weights that keeps the activations' size (He).


def deviation(inputs):
    # student: return None
    # solution
    return (2 / inputs) ** 0.5
    # end solution


ex.he_deviation.check(deviation)

# %% [markdown] tags=["hints"]
# - A sum of n products has n times the variance of one of them.
# - The ReLU halves the mean square, so the variance of the weights must be 2 / n.
# - The standard deviation is the root of the variance.

# %% tags=["exercise"]
# ### An identity
#
# The argument of the paper: extra layers could pass their input on. In a residual block that is easy. Which value
# must the scale of its last batch normalization have (with an offset of 0), so that a block of `build` with
# shortcut returns what it read? Write a number. And how many of the 3 x 3 x C x C weights of *one* plain
# convolution must be other than zero to pass on C feature maps? Write "1", "C", "C²" or "9C²".

# student: residual_value = None
# student: plain_nonzero = None
# solution
residual_value = 0
plain_nonzero = "C"
# end solution

ex.identity.check(residual_value, plain_nonzero)

# %% [markdown] tags=["hints"]
# - The output is x + y. What must y be, so that this is x?
# - A convolution that copies: map i of the output is map i of the input, each pixel on its own.

# %% [markdown] tags=["solution"]
# With a scale of 0 the block adds 0. A plain convolution passes its maps on with a 1 in the middle of the kernel
# from each map to itself: C ones, and zeros elsewhere.

# %% [markdown]
# ## Where to go on
#
# - Put the addition after the last ReLU instead of before it. Does the verdict change?
# - Train the networks without batch normalization. Which of the four still learns?
# - Run this notebook with `KERASCV_COURSE_PROFILE=gpu` on a GPU: the paper's depths, 20 and 56.

# %% tags=["summary"]
print(f"Data: {photos.name}, {len(x_train):,} training images ({photos.source})")
for (kind, depth), values in errors.items():
    print(f"Training error, {kind}, {depth} layers: {np.mean(values):.1%} (seeds: {len(values)})")
print("\n".join(verdicts))
print(device)
ex.summary()
