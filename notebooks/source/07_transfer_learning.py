# %% [markdown]
# # 7. Transfer learning
#
# **The question.** A network that has learned from a million photographs is at hand; your own set has a hundred
# images of each class. What of the network can you keep, what has to be trained, in which order, and what does
# each step cost and give?
#
# *Follows Boracchi and Di Stefano (transfer learning: `include_top`, `pooling`, freezing, stages). On the network:
# Sandler et al. (2018), MobileNetV2. On heatmaps: Selvaraju et al. (2017), Grad-CAM.*

# %%
import keras
import numpy as np
from IPython.display import display
from keras import layers
from sklearn.metrics import confusion_matrix

from kerascv_course import Stage, TransferModel, grad_cam, plotting, runtime, training, transfer
from kerascv_course.datasets import find_backbone_weights, load, missing
from kerascv_course.exercises import transfer_learning as ex

device = runtime.setup(seed=0, missing=missing("cifar10", "mobilenet_v2_96"))
print(device)

# %% [markdown]
# ## Which transfer is possible here?
#
# The ImageNet weights of MobileNetV2 are used where they are at hand (in Keras' cache, or in
# `KERASCV_COURSE_DATA`). Where they are not, the profiles `full` and `gpu` download them, and so does `lite` in
# Colab and Kaggle. Otherwise the transfer is a small one, and just as real: a small network learns the digits 0 to
# 4 here and now, and what it has learned is put to use on the digits 5 to 9, of which it sees ten images each.

# %%
found = None
if device.profile != "smoke":
    found = find_backbone_weights("MobileNetV2", (96, 96), download=device.downloads)
on_photographs = found is not None
if on_photographs:
    knobs = runtime.by_profile(
        smoke=None,
        lite={"side": 96, "per_class": 50, "seeds": 2, "epochs": (15, 3, 2), "scratch_epochs": 0},
        full={"side": 160, "per_class": None, "seeds": 3, "epochs": (10, 5, 5), "scratch_epochs": 10},
        gpu={"side": 160, "per_class": None, "seeds": 3, "epochs": (10, 5, 5), "scratch_epochs": 10},
    )
    knobs |= {"batch_size": 32, "rates": (1e-3, 1e-4, 1e-5), "block": "block_14", "pooling": "avg"}
else:
    knobs = runtime.by_profile(
        smoke={"per_class": 10, "seeds": 1, "epochs": (2, 1, 1), "scratch_epochs": 1},
        lite={"per_class": 10, "seeds": 3, "epochs": (40, 15, 15), "scratch_epochs": 40},
        full=None,
        gpu=None,
    )
    # In a digit it matters where a stroke is: no mean of each map, but its values one by one.
    knobs |= {"batch_size": 8, "rates": (1e-3, 1e-3, 1e-4), "block": "block3", "pooling": None}
print(knobs)

# %% [markdown]
# ## The data

# %%
if on_photographs:
    data = load("cifar10", fallback="patches", download=device.downloads)
    if knobs["per_class"]:
        data = data.subset(knobs["per_class"], test_per_class=50)
    pretrained_on = f"ImageNet ({found.source})"
else:
    digits = load("digits")


def some_digits(wanted, name):
    """Return a record of the digits that are wanted, labelled from 0."""
    train, test = np.isin(digits.y_train, wanted), np.isin(digits.y_test, wanted)
    return type(digits)(
        digits.x_train[train],
        digits.y_train[train] - wanted[0],
        digits.x_test[test],
        digits.y_test[test] - wanted[0],
        tuple(map(str, wanted)),
        name,
        digits.source,
    )


if not on_photographs:
    earlier = some_digits(range(5), "digits 0 to 4")
    data = some_digits(range(5, 10), "digits 5 to 9").subset(knobs["per_class"])
    pretrained_on = earlier.name
num_classes = data.num_classes
print(f"To learn: {data.name}, {len(data.x_train):,} training and {len(data.x_test):,} test images, {data.source}")
print(f"Learned before: {pretrained_on}")

plotting.plot_images(
    data.examples()[0], titles=data.class_names, columns=num_classes, caption=f"Data: {data.name}"
)

# %% [markdown]
# ## The model: preprocessing, backbone, head
#
# `TransferModel` puts in a row what the slides write by hand: resizing, the backbone's own `preprocess_input`,
# the backbone without its classifier (`include_top=False`), the mean of each map (`pooling="avg"`), dropout and
# a new dense layer. It takes raw images, so that nobody can forget the preprocessing, and `save` writes an
# ordinary Keras model.
#
# The head turns $D$ features into $C$ classes with $D \cdot C + C$ weights: next to the backbone that is nothing.


# %%
def small_cnn():
    """Return a backbone for digits: three blocks, batch normalization, no classifier."""
    x = inputs = keras.Input((32, 32, 1))
    for block, filters in enumerate((16, 32, 64), start=1):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"block{block}_conv")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"block{block}_bn")(x)
        x = layers.ReLU(name=f"block{block}_relu")(x)
        x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return keras.Model(inputs, x, name="small_cnn")


def scale(images):
    """Bring values from 0 to 255 into the range from 0 to 1."""
    return images / 255


def build(pretrained=True):
    """Return a model whose backbone has learned before, or one with random weights."""
    if on_photographs:
        weights = found.path if pretrained else None
        return TransferModel("MobileNetV2", num_classes, image_size=knobs["side"], weights=weights)
    backbone = small_cnn()
    if pretrained:
        transfer.pretrain(
            backbone, earlier, epochs=1 if device.profile == "smoke" else 10, preprocess_input=scale, verbose=0
        )
    return TransferModel(backbone, num_classes, pooling=knobs["pooling"], preprocess_input=scale)


runtime.seed_everything(0)
model = build()
print(f"{model.name}: {model.count_params():,} weights, {model.backbone.count_params():,} of them in the backbone")
for block in transfer.blocks(model.backbone):
    print(f"  {block.name:14s} {len(block.layers):3d} layers {block.params:9,} weights")

# %% [markdown]
# ## Does it matter what the backbone has learned?
#
# The same network with the weights it has learned before, and with random ones; all of it is frozen but the head.
# (`weights=None` gives random weights. The slides leave `weights` out for that, which loads ImageNet's.)
#
# While the backbone is frozen, the features of an image never change. `fit_stages` computes them once, keeps them
# in the cache folder, and trains the head on them.

# %%
head, last_blocks, everything = (
    Stage(name, unfreeze_from=start, epochs=epochs, learning_rate=rate)
    for name, start, epochs, rate in zip(
        ("head", "last blocks", "all"), (None, knobs["block"], None), knobs["epochs"], knobs["rates"], strict=True
    )
)
options = {"batch_size": knobs["batch_size"], "validation_split": 0.2, "verbose": 0}

test_accuracies = {"pretrained": [], "random": []}
head_only = {}
for seed in range(knobs["seeds"]):
    for name, accuracies in test_accuracies.items():
        runtime.seed_everything(seed)
        head_only[name] = build(pretrained=name == "pretrained")
        results = head_only[name].fit_stages([head], data, seed=seed, **options)
        accuracies.append(results.rows[0].test_accuracy)
for name, values in test_accuracies.items():
    shown = ", ".join(f"{value:.1%}" for value in values)
    print(f"{name:10s} backbone, frozen: test accuracy {np.mean(values):.1%} (seeds: {shown})")

# %% [markdown]
# ## Freezing by hand
#
# The slides freeze with a loop over the layers. Two rules belong to it: **compile again** after each change of
# `trainable`, and **leave batch normalization alone**. `fit_stages` does just this, and it saves the passes
# through the frozen backbone; the weights come out the same, bit for bit.

# %%
few = data.head(100)

runtime.seed_everything(1)
by_hand = build()
for layer in by_hand.backbone.layers:
    layer.trainable = False
by_hand.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
training.fit(by_hand, few, epochs=3, validation_split=0, seed=1, verbose=0)

runtime.seed_everything(1)
by_helper = build()
by_helper.fit_stages([Stage("head", epochs=3)], few, validation_split=0, seed=1, verbose=0)

pairs = zip(by_hand.get_weights(), by_helper.get_weights(), strict=True)
print("loops by hand and fit_stages give the same weights:", all(np.array_equal(one, two) for one, two in pairs))

# %% [markdown]
# ## In stages
#
# 1. **head**: the new layer alone, at a usual rate. Its first steps are large and blind; they must not reach the
#    backbone.
# 2. **last blocks**: what is most particular to the old task, at a tenth of the rate.
# 3. **all**, at a rate so small that the old weights are adjusted and not forgotten.
#
# Each stage starts from the best weights so far, those with the least validation loss.

# %%
seed = knobs["seeds"] - 1  # that of the last model with a trained head: its first stage is the same
runtime.seed_everything(seed)
model = build()
results = model.fit_stages([head, last_blocks, everything], data, seed=seed, **options)
results

# %%
plotting.plot_history(results.histories, caption=f"Stages on {data.name}; learned before: {pretrained_on}")

# %% [markdown]
# ## Batch normalization while fine-tuning
#
# A batch normalization layer that is trained uses mean and variance of the *batch*, and mixes them into its stored
# statistics. With batches of a few, similar images these are far from what the backbone was trained with.
#
# Many programs write `base(x, training=False)` against that. In Keras 3 it does not help: `fit` calls all
# layers of a functional model with `training=True`, and that overrides what was written. `layer.trainable =
# False` helps.

# %%
x = inputs = keras.Input((4,))
base = keras.Sequential([keras.Input((4,)), layers.BatchNormalization()])
probe = keras.Model(inputs, base(x, training=False))
values = np.random.default_rng(0).normal(5, 2, (32, 4)).astype("float32")
for trainable in (True, False):
    base.layers[0].trainable = trainable
    as_in_fit = keras.ops.convert_to_numpy(probe(values, training=True))
    print(f"trainable={trainable!s:5}: in fit the outputs have mean {as_in_fit.mean():5.2f} (of values around 5)")

# %%
runtime.seed_everything(seed)
other = build()
with_batches = other.fit_stages([head, last_blocks], data, batch_norm="train", seed=seed, **options)
for choice, each in {"inference": results, "train": with_batches}.items():
    history = each.histories["2 last blocks"]
    print(
        f"last blocks with batch_norm={choice!r:11}: validation loss {min(history['val_loss']):.3f}, "
        f"accuracy {max(history['val_accuracy']):.1%} at best"
    )

normalizations = [each for each in model.backbone.layers if isinstance(each, layers.BatchNormalization)]
if not any(keras.ops.convert_to_numpy(each.moving_mean).any() for each in normalizations):
    print("In these weights the statistics have been folded into the convolutions: stored are 0 and 1.")
    print('With `batch_norm="train"` the batches replace them, and everything after them was made for others.')

# %% [markdown]
# ## The rate of the last stage
#
# The same stage "all" after the same head, at its rate and at a hundred times as much.

# %%
rates = {}
for rate in (knobs["rates"][2], 100 * knobs["rates"][2]):
    runtime.seed_everything(seed)
    other = build()
    all_at_rate = Stage("all", epochs=everything.epochs, learning_rate=rate)
    rows = other.fit_stages([head, all_at_rate], data, seed=seed, **options)
    rates[f"rate {rate:g}"] = rows.histories["2 all"]
plotting.plot_history(rates, caption=f"The stage `all`, from the same head; {data.name}")

# %% [markdown]
# ## Against training from scratch
#
# The same network with random weights, all of it trained on the same images.

# %%
scratch_accuracy = None
if knobs["scratch_epochs"]:
    runtime.seed_everything(seed)
    scratch = build(pretrained=False)
    from_nothing = Stage("all", epochs=knobs["scratch_epochs"], learning_rate=1e-3)
    rows = scratch.fit_stages([from_nothing], data, batch_norm="train", seed=seed, **options)
    scratch_accuracy = f"{rows.rows[0].test_accuracy:.1%} after {rows.rows[0].epochs} epochs"
print("from scratch:", scratch_accuracy or "left out in this profile, where it would take minutes")

# %% [markdown]
# ## Who is taken for whom, before and after fine-tuning


# %%
def answers(network, images):
    """Return the probabilities of images, in parts."""
    parts = [network(images[start : start + 100], training=False) for start in range(0, len(images), 100)]
    return np.concatenate([keras.ops.convert_to_numpy(part) for part in parts])


some_images, truth = data.head(1000, split="test")
for title, network in {"Head alone": head_only["pretrained"], "After all stages": model}.items():
    predicted = answers(network, some_images).argmax(axis=1)
    matrix = confusion_matrix(truth, predicted, labels=range(num_classes))
    share = f"{1 - np.trace(matrix) / matrix.sum():.1%} of {matrix.sum()} test images wrong"
    display(plotting.plot_confusion_matrix(matrix, data.class_names, caption=f"{title}: {share}; {data.name}"))

# %% [markdown]
# ## What it looks at, before and after
#
# Grad-CAM weighs the last maps of the backbone by how much each of them speaks for the class:
#
# $$\mathrm{heat} = \max\left(0, \sum_k a_k A_k\right), \quad
# a_k = \mathrm{mean}_{i,j} \frac{\partial y}{\partial A_k(i,j)}$$
#
# $y$ is the score of the class before the softmax. The layer is found inside the nested backbone.

# %%
shown = data.examples(split="test")[0][:5]
heats, titles = [], []
for title, network in {"head alone": head_only["pretrained"], "all stages": model}.items():
    explained = grad_cam(network, shown)
    heats.append(explained.heatmaps)
    titles += [f"{title}: {data.class_names[label]}" for label in explained.classes]
print(f"maps of the layer {explained.layer}")
plotting.plot_heatmaps(
    np.concatenate([shown] * 2),
    np.concatenate(heats),
    titles=titles,
    columns=len(shown),
    caption=f"Grad-CAM of the class that is answered; {data.name}",
)

# %% [markdown]
# ## What we saw
#
# - With the backbone frozen, what it has learned before decides. The features of a *deep* network with random
#   weights hardly differ from image to image: the head has nothing to tell classes by.
# - The head has a few thousand weights and is trained in seconds, because the features are computed only once.
# - More stages cost far more time. Whether they gave more is in the table; a stage that did not lower the
#   validation loss left no trace.
# - The digits are so easy that training from scratch keeps up with ten of each; photographs want far more.
# - Batch normalization stays frozen, or a few batches undo what the backbone knew. In Keras 3 only
#   `trainable = False` sees to that.
#
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### Count the head
#
# MobileNetV2 gives 1,280 features. How many weights has a head for 10 classes, and how many has one for two
# classes with a single sigmoid unit?

# student: ten_classes = None
# student: one_unit = None
# solution
ten_classes = 1280 * 10 + 10
one_unit = 1280 * 1 + 1
# end solution

ex.head_size.check(ten_classes, one_unit)

# %% tags=["exercise"]
# ### Freeze
#
# Write the loop of the slides: of `backbone` all layers *before* the one named `first_trained` are frozen, that
# layer and those after it are trained, and batch normalization is frozen everywhere. Return the backbone.


def freeze(backbone, first_trained):
    # student: return None
    # solution
    trained = False
    for layer in backbone.layers:
        trained = trained or layer.name == first_trained
        layer.trainable = trained and not isinstance(layer, layers.BatchNormalization)
    return backbone
    # end solution


ex.freezing.check(freeze)

# %% tags=["exercise"]
# ### The right arguments
#
# You want MobileNetV2 for images of 96 x 96 pixels *without* its classifier, with *random* weights, and one vector
# per image that holds the mean of each map. Write the arguments of `keras.applications.MobileNetV2` as a
# dictionary, as in `{"alpha": 1.0, ...}`.

# student: arguments = None
# solution
arguments = {"input_shape": (96, 96, 3), "include_top": False, "weights": None, "pooling": "avg"}
# end solution

ex.backbone_arguments.check(arguments)

# %% tags=["exercise"]
# ### A binary head
#
# Two classes, labelled 0 and 1, and a last layer with a single unit. Which activation and which loss go with it?
# Write their names as Keras does.

# student: activation = None
# student: loss = None
# solution
activation = "sigmoid"
loss = "binary_crossentropy"
# end solution

ex.binary_head.check(activation, loss)

# %% [markdown] tags=["solution"]
# A softmax of a single unit is always 1, whatever the image: nothing could be learned. With a sigmoid the one
# number is the probability of class 1, and that of class 0 is the rest.

# %% [markdown]
# ## Where to go on
#
# - `08_inception_by_blocks`: how much of a network does one need, block by block?
# - Your own photographs: `load_image_folder("photos")` in place of the data above, and the same stages.
# - `fit_stages(..., folder="my_run")` goes on where it was interrupted.

# %% tags=["summary"]
print(f"Data: {data.name}, {len(data.x_train):,} training images ({data.source}); learned before: {pretrained_on}")
for name, accuracies in test_accuracies.items():
    print(f"Head on a {name} backbone: {np.mean(accuracies):.1%} ({len(accuracies)} seeds)")
print(f"After all stages: {results.rows[-1].test_accuracy:.1%}; from scratch: {scratch_accuracy or 'not run'}")
print(device)
ex.summary()
