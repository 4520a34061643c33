# %% [markdown]
# # 4. Residual learning
#
# **The question.** A deeper network can do all that a shallower one does: its extra layers only have to pass
# their input on. Yet the deeper plain network of He et al. had a *higher training error*. Is that so here, too,
# and does a shortcut cure it?
#
# It is a question about training, so look at the training error: a test error could always be overfitting.
#
# *Follows He, Zhang, Ren and Sun: Deep residual learning for image recognition (2016); Manco (Architectures)
# and Di Stefano. On initialisation: Glorot and Bengio (2010), He et al. (2015).*

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

from kerascv_course import plotting, runtime, training
from kerascv_course.architecture import compare_models
from kerascv_course.datasets import colour_baseline, load, missing
from kerascv_course.exercises import residual_learning as ex

device = runtime.setup(seed=0, missing=missing("cifar10"))
print(device)

# %% [markdown]
# ## Knobs
#
# `depths` are layers with weights: one convolution at the start, pairs of convolutions, one dense layer at the
# end. The profiles `full` and `gpu` have the paper's depths for small images, 20 and 56.

# %%
knobs = runtime.by_profile(
    smoke={"depths": (4, 8), "seeds": 1, "per_class": 20, "epochs": 1, "filters": 8},
    lite={"depths": (6, 20), "seeds": 2, "per_class": 100, "epochs": 6, "filters": 16},
    full={"depths": (20, 56), "seeds": 3, "per_class": None, "epochs": 30, "filters": 16},
    gpu={"depths": (20, 56), "seeds": 3, "per_class": None, "epochs": 30, "filters": 16},
)
knobs

# %% [markdown]
# ## The data
#
# CIFAR-10, where it is at hand. Where it is not, the profiles `full` and `gpu` download it, and so does `lite` in
# Colab and Kaggle. Otherwise *patches* take its place: crops of ten photographs that scikit-image carries. The
# outputs and titles say which.

# %%
photos = load("cifar10", fallback="patches", download=device.downloads)
if knobs["per_class"]:
    photos = photos.subset(knobs["per_class"], test_per_class=20)
x_train = ((photos.x_train - photos.x_train.mean()) / photos.x_train.std()).astype("float32")
y_train = photos.y_train
print(f"{photos.name}: {len(x_train):,} training images, from {photos.source}")
print(f"colour alone names {colour_baseline(photos):.0%} of the test images")

plotting.plot_images(photos.examples()[0], titles=photos.class_names, columns=10, caption=f"Data: {photos.name}")

# %% [markdown]
# ## Two networks that differ in one line
#
# Pairs of 3 x 3 convolutions. The residual network adds the input of each pair to its output: the pair has to
# learn only what must *change*. The addition has no weights, so that both networks have the same parameters.
#
# To keep the question clean everything happens at one size of maps; the first convolution takes steps of 4 pixels.


# %%
def build(depth, residual, *, batch_norm=True, initializer="he_normal", input_shape=(32, 32, 3)):
    """Build a network of `depth` layers with weights, with or without shortcuts."""
    filters = knobs["filters"]

    def convolution(x, **options):
        x = layers.Conv2D(filters, 3, padding="same", kernel_initializer=initializer, **options)(x)
        # Few steps are taken in `lite`: the moving averages must follow in that time.
        return layers.BatchNormalization(momentum=0.9)(x) if batch_norm else x

    inputs = keras.Input(input_shape)
    x = layers.ReLU(name="relu0")(convolution(inputs, strides=4))
    for block in range(1, (depth - 2) // 2 + 1):
        y = layers.ReLU()(convolution(x))
        y = convolution(y)
        x = layers.Add()([x, y]) if residual else y  # the one line
        x = layers.ReLU(name=f"relu{block}")(x)
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    kind = "residual" if residual else "plain"
    return keras.Model(inputs, outputs, name=f"{kind}_{depth}")


shallow, deep = knobs["depths"]
networks = [build(depth, residual) for depth in (shallow, deep) for residual in (False, True)]
compare_models(networks)

# %% [markdown]
# ## Is the deeper one harder to train?
#
# All four are trained on the same images in the same order, with the same rate. The error is measured on the
# training images after the last epoch, with the network as it is used (batch normalization in its inference
# form).


# %%
def training_error(model, seed):
    """Train a network; return its history and its error on the training images afterwards."""
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = training.fit(
        model, (x_train, y_train), epochs=knobs["epochs"], batch_size=64, validation_split=0, seed=seed, verbose=0
    )
    parts = np.array_split(np.arange(len(x_train)), max(1, len(x_train) // 1000))
    wrong = sum(int(np.sum(classes(model(x_train[part], training=False)) != y_train[part])) for part in parts)
    return history, wrong / len(x_train)


def classes(probabilities):
    """Return the most probable class of each image."""
    return keras.ops.convert_to_numpy(probabilities).argmax(axis=1)


histories, errors = {}, {}
for depth in (shallow, deep):
    for residual in (False, True):
        name = f"{'residual' if residual else 'plain'}, {depth} layers"
        errors[name] = []
        for seed in range(knobs["seeds"]):
            runtime.seed_everything(seed)
            histories[name], error = training_error(build(depth, residual), seed)
            errors[name].append(error)
        shown = ", ".join(f"{error:.1%}" for error in errors[name])
        print(f"{name:20s} training error {np.mean(errors[name]):6.1%}  (seeds: {shown})")

# %%
plotting.plot_history(histories, caption=f"Training on {photos.name}, last seed")

# %% [markdown]
# The verdict is computed, not written: a difference counts where *every* seed of one network is worse than
# every seed of the other.


# %%
def verdict(worse, better):
    """Say whether all seeds of one network have a larger error than all of another."""
    if min(errors[worse]) > max(errors[better]):
        return f"{worse}: worse than {better} with every seed"
    if max(errors[worse]) < min(errors[better]):
        return f"{worse}: better than {better} with every seed"
    return f"{worse} and {better}: the seeds overlap, no verdict"


verdicts = [
    verdict(f"plain, {deep} layers", f"plain, {shallow} layers"),
    verdict(f"plain, {deep} layers", f"residual, {deep} layers"),
    verdict(f"residual, {deep} layers", f"residual, {shallow} layers"),
]
print("\n".join(verdicts))
print(f"Training errors on {photos.name}, {knobs['epochs']} epochs, {knobs['seeds']} seeds. {device}")

# %% [markdown]
# ## Without batch normalization
#
# Batch normalization already cures much of what made deep networks hard to train. Take it away, and in the few
# epochs of the lite profile neither network learns much: with shortcuts, too, since adding unscaled branches
# makes the activations grow from block to block.

# %%
if deep <= 8:
    print("Too shallow in this profile to show it: the smoke profile runs the cell only.")
for residual in (False, True):
    runtime.seed_everything(0)
    model = build(deep, residual, batch_norm=False)
    history, error = training_error(model, 0)
    loss = history.history["loss"][-1]
    print(f"{model.name:12s} without batch normalization: training error {error:6.1%}, loss {loss:.2f} (one seed)")

# %% [markdown]
# ## What the initialisation does to the activations
#
# Before any training: how large are the activations after each block of the deep plain network, without batch
# normalization? With **He**'s variance of $2 / n_{in}$ they keep their size, with **Glorot**'s, which does not
# know of the ReLU, they fade; with too small or too large random numbers they vanish or explode. With **zeros**
# nothing ever moves: all gradients are zero as well.

# %%
initializers = {
    "He": "he_normal",
    "Glorot": "glorot_normal",
    "random, deviation 0.01": keras.initializers.RandomNormal(stddev=0.01, seed=0),
    "random, deviation 0.2": keras.initializers.RandomNormal(stddev=0.2, seed=0),
    "zeros": "zeros",
}
names = [f"relu{block}" for block in range((deep - 2) // 2 + 1)]
figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
for name, initializer in initializers.items():
    runtime.seed_everything(0)
    model = build(deep, residual=False, batch_norm=False, initializer=initializer)
    outputs = keras.Model(model.input, [model.get_layer(layer).output for layer in names])(x_train[:200])
    deviations = [float(keras.ops.std(output)) for output in outputs]
    print(f"{name:24s} after the first layer {deviations[0]:.1e}, after the last block {deviations[-1]:.1e}")
    if any(deviations):  # a logarithm has no place for zeros
        axis.semilogy(deviations, marker="o", markersize=4, label=name)
axis.set(xlabel="block", ylabel="standard deviation", title=f"Activations, untrained {model.name}; {photos.name}")
axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
axis.grid(alpha=0.3)

# %% [markdown]
# ## What we saw
#
# - The two networks have the same parameters and the same MACs; the shortcut costs nothing but an addition.
# - Whether the deeper plain network trains worse is printed above, with its seeds. In the paper, at full size and
#   trained to the end, it does.
# - Without shortcuts and without batch normalization, a deep network depends on its initialisation: He's keeps the
#   activations' size, others lose it.
#
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### Count layers
#
# The paper's networks for small images have one convolution, then three stages of n blocks with two
# convolutions each, and a dense layer. How many blocks n in each stage has the network with 56 layers?

# student: blocks_per_stage = None
# solution
blocks_per_stage = (56 - 2) // 6
# end solution

ex.blocks_per_stage.check(blocks_per_stage)

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

# %% tags=["exercise"]
# ### An identity
#
# The argument of the paper: extra layers could pass their input on. In a residual block that is easy. Which
# value must all weights of the two convolutions and of the batch normalizations' scale have, so that a block of
# `build` with shortcut returns what it got from the ReLU before it? And how many of a plain block's 3 x 3 x C x
# C weights of *one* convolution must be other than zero to pass on C maps?

# student: residual_value = None
# student: plain_nonzero = None
# solution
residual_value = 0
plain_nonzero = "C"
# end solution

ex.identity.check(residual_value, plain_nonzero)

# %% [markdown] tags=["solution"]
# With weights 0 the block adds 0. A plain convolution passes its maps on with a 1 in the middle of the kernel
# from each map to itself: C ones, and zeros elsewhere. Training finds zeros more easily than that.

# %% [markdown]
# ## Where to go on
#
# - Put the addition after the last ReLU instead of before it. Does the verdict change?
# - Run this notebook on a GPU: the profile is then `gpu`.

# %% tags=["summary"]
print(f"Data: {photos.name}, {len(x_train):,} training images ({photos.source})")
for name, values in errors.items():
    print(f"Training error of {name}: {np.mean(values):.1%} ({len(values)} seed{'s' if len(values) > 1 else ''})")
print("\n".join(verdicts))
print(device)
ex.summary()
