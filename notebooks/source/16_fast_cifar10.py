# %% [markdown]
# # 16. Fast training on CIFAR-10
#
# **The question.** Ten epochs on two cores of a laptop: how far does a network come? And which tricks bring it
# there? The whole recipe stands in this notebook, from top to bottom, each trick in its own cell. At the end each
# trick is left out once: what is it worth?
#
# *Follows Jordan: 94 % on CIFAR-10 in 3.29 seconds on a single GPU (2024). On smaller crops in training: Touvron
# et al. (2019); on soft labels: Szegedy et al. (2016); on one cycle: Smith (2018).*

# %%
import time

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

from kerascv_course import build_lenet5, plotting, runtime
from kerascv_course.datasets import load, missing
from kerascv_course.exercises import fast_cifar10 as ex
from kerascv_course.experiment import verdict

device = runtime.setup(seed=0, missing=missing("cifar10"))
print(device)

# %% [markdown]
# ## Knobs

# %%
choose = runtime.by_profile
knobs = {
    "per_class": choose(smoke=20, lite=200, full=None, gpu=None),
    "test_per_class": choose(smoke=10, lite=50, full=None, gpu=None),
    "stem": choose(smoke=(4, 2, 8), lite=(4, 2, 32), full=(4, 2, 32), gpu=(2, 1, 24)),  # kernel, stride, filters
    "blocks": choose(  # filters and number of convolutions
        smoke=((8, 1), (16, 1)),
        lite=((48, 1), (96, 1), (192, 1)),
        full=((48, 1), (96, 1), (192, 1)),
        gpu=((64, 2), (256, 2), (256, 2)),
    ),
    "epochs": choose(smoke=1, lite=4, full=10, gpu=40),
    "seeds": choose(smoke=1, lite=1, full=3, gpu=3),
    "short_epochs": choose(smoke=1, lite=2, full=3, gpu=13),  # where a trick is left out
    "short_seeds": choose(smoke=1, lite=1, full=5, gpu=5),
    "batch": choose(smoke=32, lite=128, full=256, gpu=512),
    "side": choose(smoke=28, lite=28, full=28, gpu=32),  # of the crops
    "padding": choose(smoke=0, lite=0, full=0, gpu=4),  # reflected pixels around each image, before it is cropped
    "hidden": choose(smoke=0, lite=0, full=0, gpu=8),  # side of a square that is hidden in each crop
    "weight_decay": choose(smoke=0.0, lite=0.0, full=0.0, gpu=0.3),
    "peak_learning_rate": choose(smoke=0.01, lite=0.01, full=0.01, gpu=0.005),
}
knobs

# %% [markdown]
# ## The data
#
# CIFAR-10, where it is at hand. Where it is not, the profiles `full` and `gpu` download it, and so does `lite` in
# Colab and Kaggle. Otherwise *patches* take its place: crops of ten photographs that scikit-image carries. The
# recipe was found with other images held out; here the test images are looked at once for each network.

# %%
data = load("cifar10", fallback="patches", download=device.downloads)
if knobs["per_class"]:
    data = data.subset(knobs["per_class"], test_per_class=knobs["test_per_class"])
(x_train, y_train), (x_test, y_test) = data
print(f"{data.name}: {len(x_train):,} training and {len(x_test):,} test images, from {data.source}")

plotting.plot_images(data.examples()[0], titles=data.class_names, columns=10, caption=f"Data: {data.name}")

# %% [markdown]
# ## Trick 1: a network that keeps the cores busy
#
# Nearly all of its work is in convolutions of *small* maps with many filters. The stem halves the sides at once.
# Each block pools *before* it normalizes, so that normalization and activation work on a quarter of the values. At
# the end stands the maximum of each map.


# %%
def build(side):
    """Build the network for images of so many pixels, with values from 0 to 255."""
    kernel, stride, filters = knobs["stem"]
    x = inputs = keras.Input((side, side, 3))
    x = layers.Rescaling(1 / 64, offset=-1.9, name="scale")(x)  # CIFAR-10: mean 121, standard deviation 64
    x = layers.Conv2D(filters, kernel, stride, padding="same", activation="gelu", name="stem")(x)
    for filters, convolutions in knobs["blocks"]:
        for number in range(convolutions):
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
            if number == 0:
                x = layers.MaxPooling2D(2, padding="same")(x)
            x = layers.BatchNormalization(momentum=0.9)(x)  # a short training: statistics that are as fresh
            x = layers.Activation("gelu")(x)
    x = layers.GlobalMaxPooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


print(f"{build(28).count_params():,} parameters")

# %% [markdown]
# ## Trick 2: a first layer that is computed
#
# The first layer of a trained network takes apart what neighbouring pixels have in common. That can be computed:
# the **eigenvectors** $v_k$ of the covariance of small patches are uncorrelated, and divided by the root of their
# eigenvalue $\lambda_k$ each has variance 1. This is called whitening. Half of the filters are these vectors, the
# other half their negatives: the GELU behind them keeps little but one sign. Then the layer is frozen.
#
# $$w_k = \frac{v_k}{\sqrt{\lambda_k + \varepsilon}}$$


# %%
def whiten(network, images):
    """Set the stem to filters that make the patches of images uncorrelated, and freeze it."""
    stem, scale = network.get_layer("stem"), network.get_layer("scale")
    size = stem.kernel_size[0]
    scaled = images.astype("float32") * scale.scale + scale.offset
    patches = np.lib.stride_tricks.sliding_window_view(scaled, (size, size), axis=(1, 2))[:, ::2, ::2]
    patches = np.moveaxis(patches, 3, -1).reshape(-1, size * size * 3)
    values, vectors = np.linalg.eigh(np.cov(patches, rowvar=False))
    half = stem.filters // 2
    filters = (vectors / np.sqrt(values + 1e-2))[:, ::-1][:, :half].reshape(size, size, 3, half)
    stem.set_weights([np.concatenate([filters, -filters], axis=-1), np.zeros(2 * half)])
    stem.trainable = False
    return patches, filters


network = build(28)
patches, filters = whiten(network, x_train[:5000])
answers = patches @ filters.reshape(-1, filters.shape[-1])
covariance = np.cov(answers, rowvar=False)
off = np.abs(covariance - np.diag(np.diag(covariance))).max()
print(
    f"variances of the filters' answers: {np.diag(covariance).min():.2f} to {np.diag(covariance).max():.2f}",
    end=", ",
)
print(f"largest covariance of two: {off:.3f}")
plotting.plot_filters(network.get_layer("stem").get_weights()[0], caption=f"The computed filters, {data.name}")

# %% [markdown]
# ## Trick 3: crops, and mirror images in turn
#
# Random crops of 28 of 32 pixels are fewer pixels to compute, and they show the object at another place each time.
# On a GPU pixels cost little: the profile `gpu` pads the image first, and its crops have all 32. And each image is
# mirrored in every *other* epoch, not by chance: two epochs then show each image once from both sides.


# %%
class Crops(keras.utils.PyDataset):
    """Batches of random crops, mirrored in every other epoch."""

    def __init__(self, images, labels, batch_size, seed, *, side=28, padding=0, hidden=0, in_turn=True):
        super().__init__()
        self.labels, self.batch_size, self.seed, self.in_turn = labels, batch_size, seed, in_turn
        self.side, self.hidden = side, hidden
        if padding:
            images = np.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)), mode="reflect")
        # A view, which copies nothing: of each image all windows, (n, tops, lefts, channels, side, side).
        self.windows = np.lib.stride_tricks.sliding_window_view(images, (side, side), axis=(1, 2))
        self.mirrored_first = np.random.default_rng(seed).random(len(images)) < 0.5
        self.epoch = 0
        self.draw()

    def draw(self):
        """Choose the order, the places and the sides of an epoch."""
        rng = np.random.default_rng([self.seed, self.epoch])
        count = len(self.labels)
        self.order = rng.permutation(count)
        self.tops, self.lefts = rng.integers(0, self.windows.shape[1], (2, count))
        self.corners = rng.integers(0, self.side - self.hidden + 1, (2, count, 1))  # of the hidden squares
        by_chance = rng.random(count) < 0.5
        self.mirrored = self.mirrored_first ^ (self.epoch % 2 == 1) if self.in_turn else by_chance

    def on_epoch_end(self):
        """Go on to the next epoch."""
        self.epoch += 1
        self.draw()

    def __len__(self):
        return max(1, len(self.labels) // self.batch_size)  # the few that are left over are skipped

    def __getitem__(self, index):
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        crops = np.moveaxis(self.windows[chosen, self.tops[chosen], self.lefts[chosen]], 1, -1)
        mirrored = self.mirrored[chosen, None, None, None]
        crops = np.where(mirrored, crops[:, :, ::-1], crops)
        if self.hidden:
            places = np.arange(self.side) - self.corners[:, chosen]  # counted from the corner of the square
            rows, columns = (places >= 0) & (places < self.hidden)
            crops[rows[:, :, None] & columns[:, None]] = 121  # CIFAR-10's mean
        return crops, self.labels[chosen]


cropping = {name: knobs[name] for name in ("side", "padding", "hidden")}
batches = Crops(x_train[:4], np.arange(4), 4, seed=0, **cropping)
shown, titles = [], []
for epoch in range(3):
    images, which = batches[0]
    for number in range(4):
        shown.append(images[list(which).index(number)])
        titles.append(f"image {number}, epoch {epoch + 1}")
    batches.on_epoch_end()
plotting.plot_images(shown, titles=titles, columns=4, caption=f"Crops, mirrored in turn; {data.name}")

# %% [markdown]
# ## Trick 4: one cycle
#
# The learning rate rises during the first quarter of the steps and falls along a cosine to 0.
#
# ## Trick 5: soft labels
#
# A label is 0.91 for the class and 0.01 for each other one, in place of 1 and 0: the network need not become ever
# more certain of images that it has learned already. Keras calls it `label_smoothing=0.1`.
#
# ## Trick 6: against overfitting
#
# In a long training the network learns its images by heart. Two things make that hard: a square of each crop is
# hidden, so that no single part of the object is enough; and **weight decay** takes a little from each weight at
# each step. They are on in the profile `gpu`, with its 40 epochs; a training of ten epochs is short.
#
# ## All of it


# %%
def train(epochs, seed, leave_out=""):
    """Train with all tricks but one; return the model for whole images."""
    keras.utils.set_random_seed(seed)
    crop = dict(cropping)
    if leave_out == "crops":
        crop |= {"side": 32, "padding": 0}
    if leave_out == "against overfitting":
        crop["hidden"] = 0
    side = crop["side"]
    network = build(side)
    if leave_out != "the computed layer":
        whiten(network, x_train[:5000])
    one_hot = np.eye(10, dtype="float32")[y_train]
    batches = Crops(x_train, one_hot, knobs["batch"], seed, in_turn=leave_out != "mirrored in turn", **crop)
    steps = epochs * len(batches)
    rising, peak = max(1, steps // 4), knobs["peak_learning_rate"]
    rate = keras.optimizers.schedules.CosineDecay(
        peak / 5,
        max(1, steps - rising),
        warmup_target=peak,
        warmup_steps=rising,
    )
    if leave_out == "one cycle":
        rate = peak / 5
    smoothing = 0.0 if leave_out == "soft labels" else 0.1
    decay = 0.0 if leave_out == "against overfitting" else knobs["weight_decay"]
    network.compile(
        keras.optimizers.AdamW(rate, weight_decay=decay),
        keras.losses.CategoricalCrossentropy(label_smoothing=smoothing),
        metrics=["accuracy"],
    )
    network.fit(batches, epochs=epochs, shuffle=False, verbose=0)  # the batches shuffle themselves
    whole = keras.Input((32, 32, 3))
    return keras.Model(whole, network(layers.CenterCrop(side, side)(whole)))


def accuracies(model):
    """Return the test accuracy of one view, and of the mean of the image and its mirror image."""
    one, mirrored = (model.predict(x, batch_size=500, verbose=0) for x in (x_test, x_test[:, :, ::-1]))
    return [float(np.mean(answer.argmax(axis=1) == y_test)) for answer in (one, one + mirrored)]


runs, seconds = [], []
for seed in range(knobs["seeds"]):
    started = time.perf_counter()
    model = train(knobs["epochs"], seed)
    seconds.append(time.perf_counter() - started)
    runs.append(accuracies(model))
    print(f"seed {seed}: {runs[-1][0]:.2%}, with the mirror image {runs[-1][1]:.2%}, {seconds[-1]:.0f} s")
one_view, both_views = np.mean(runs, axis=0)
print(f"{data.name}, {len(x_test):,} test images, {knobs['epochs']} epochs: mean {one_view:.2%},", end=" ")
print(f"with the mirror image {both_views:.2%}")

# %% [markdown]
# ## How long is that?
#
# Seconds belong to one machine. So we count in epochs of LeNet-5, trained by plain `model.fit` on the same images,
# in the same run.

# %%
keras.utils.set_random_seed(0)
lenet = build_lenet5((32, 32, 3))
lenet.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
scaled = ((x_train - x_train.mean()) / x_train.std()).astype("float32")
lenet.fit(scaled, y_train, batch_size=128, epochs=1, verbose=0)  # the first epoch builds the graph
started = time.perf_counter()
lenet.fit(scaled, y_train, batch_size=128, epochs=2, verbose=0)
epoch_seconds = (time.perf_counter() - started) / 2
in_epochs = np.mean(seconds) / epoch_seconds
print(
    f"One epoch of LeNet-5 takes {epoch_seconds:.1f} s: the recipe takes the time of {in_epochs:.0f} such epochs."
)
print(device)

# %% [markdown]
# ## Each trick left out once
#
# The same training with a third of the epochs, without one trick at a time, over the same seeds. A trick that
# gains nothing in a short training may still gain in a long one, and the other way round. "Without one cycle"
# keeps the rate where the cycle begins. Where the crops have 28 pixels, "without crops" has 1.3 times the pixels
# to compute: the comparison does not count that time.

# %%
tricks = ["the computed layer", "crops", "mirrored in turn", "one cycle", "soft labels"]
if knobs["weight_decay"]:
    tricks.append("against overfitting")
short = {}
for trick in ["", *tricks]:
    name = f"without {trick}" if trick else "all tricks"
    short[name] = [accuracies(train(knobs["short_epochs"], s, trick))[0] for s in range(knobs["short_seeds"])]
    print(f"{name:28}{np.mean(short[name]):6.1%}")
verdicts = {trick: verdict(short, "all tricks", f"without {trick}", margin=0.005) for trick in tricks}
print(f"\n{len(x_test):,} test images, {knobs['short_epochs']} epochs; margin: half a point")
for found in verdicts.values():
    print(found)
false = 1 - 0.95 ** len(verdicts)
print(f"{len(verdicts)} intervals: if no trick had an effect, {false:.0%} of such lists would show a false one.")

# %%
judged = {trick: found for trick, found in verdicts.items() if found.low is not None}
if judged:
    figure, axis = plt.subplots(figsize=(7, 2.8), layout="constrained")
    for place, found in enumerate(judged.values()):
        reach = 50 * (found.high - found.low)
        axis.errorbar(100 * found.difference, place, xerr=reach, fmt="o", capsize=4, color="C0")
    axis.axvline(0, color="gray", linewidth=0.8)
    axis.set_yticks(range(len(judged)), list(judged))
    axis.set(xlabel="points of accuracy that the trick gains, 95 % interval", ylim=(len(judged) - 0.5, -0.5))
    axis.set_title(f"{knobs['short_epochs']} epochs, {knobs['short_seeds']} seeds, {data.name}", fontsize=10)
    axis.grid(axis="x", alpha=0.3)

# %% [markdown]
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### Steps
#
# 50,000 images, batches of 256; the images that are left over at the end of an epoch are skipped. How many steps
# does the optimizer make in 10 epochs?

# student: steps = None
# solution
steps = 10 * (50_000 // 256)
# end solution

ex.steps.check(steps)

# %% [markdown] tags=["hints"]
# - How many whole batches of 256 are in 50,000 images? What is left over is skipped.
# - 195 steps in each epoch.

# %% [markdown] tags=["solution"]
# 50,000 images are 195 whole batches of 256, and 80 images more. They are skipped, and other ones in the next
# epoch, since each epoch has an order of its own.

# %% tags=["exercise"]
# ### Soft labels
#
# `one_hot` is an array (images, classes), `smoothing` a number from 0 to 1. Return the soft labels as Keras makes
# them: a share `smoothing` of each label is spread evenly over *all* classes.


def soften(one_hot, smoothing):
    # student: return None
    # solution
    return (1 - smoothing) * one_hot + smoothing / one_hot.shape[1]
    # end solution


ex.soft_labels.check(soften)

# %% [markdown] tags=["hints"]
# - Each label keeps the share 1 - smoothing.
# - Each class gets smoothing / number of classes, the right one, too.
# - `(1 - smoothing) * one_hot + smoothing / one_hot.shape[1]`

# %% tags=["exercise"]
# ### Mirrored in turn
#
# `first` is an array of bools: which images are mirrored in epoch 0. Return which are mirrored in epoch `epoch`,
# so that each image is mirrored in every other epoch.


def mirrored_in(first, epoch):
    # student: return None
    # solution
    return ~first if epoch % 2 else first
    # end solution


ex.mirrored_in_turn.check(mirrored_in)

# %% [markdown] tags=["hints"]
# - In an even epoch it is as in epoch 0, in an odd one the other way round.
# - `~first` turns an array of bools around.

# %% tags=["exercise"]
# ### Whiten
#
# `patches` is an array (n, d). Return a matrix `w` (d, d) so that the columns of `patches @ w` are uncorrelated
# and have variance 1. `np.linalg.eigh(np.cov(patches, rowvar=False))` gives eigenvalues and eigenvectors; the
# vectors are the columns.


def whitening_matrix(patches):
    # student: return None
    # solution
    values, vectors = np.linalg.eigh(np.cov(patches, rowvar=False))
    return vectors / np.sqrt(values)
    # end solution


ex.whitening.check(whitening_matrix)

# %% [markdown] tags=["hints"]
# - The eigenvectors make the columns uncorrelated; their variances are the eigenvalues.
# - Divide each vector, a column, by the root of its eigenvalue.

# %% [markdown]
# ## Where to go on
#
# - On a GPU the profile is `gpu`: a larger network of the same form, with its own crops, weight decay and epochs.
#   How many epochs does it need for 94 %? (Of CIFAR-10's own files: copies in JPEG have lost something.)
# - Average the answers to more views (notebook 6). What do they gain here?

# %% tags=["summary"]
print(f"Data: {data.name}, {len(x_train):,} training and {len(x_test):,} test images ({data.source})")
print(f"{knobs['epochs']} epochs, {knobs['seeds']} seeds: {one_view:.2%}, with the mirror image {both_views:.2%}")
for found in verdicts.values():
    print(found)
print(device)
ex.summary()
