# %% [markdown]
# # 7. Transfer learning
#
# **The question.** A network has learned from a million photographs. Your own set has a hundred images of each
# class. What of the network can you keep? What has to be trained, and in which order? From how many images on
# would you do as well without it?
#
# *Follows Boracchi and Di Stefano (transfer learning: `include_top`, `pooling`, freezing, stages). On the network:
# Sandler et al. (2018), MobileNetV2. On heatmaps: Selvaraju et al. (2017), Grad-CAM.*

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from keras import layers
from scipy import stats
from skimage import data as photographs
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerascv_course import Stage, TransferModel, grad_cam, plotting, runtime, training, transfer
from kerascv_course.datasets import ImageDataset, find_backbone_weights, load, missing
from kerascv_course.exercises import transfer_learning as ex
from kerascv_course.experiment import verdict

device = runtime.setup(seed=0, missing=missing("cifar10", "mobilenet_v2_96"))
print(device)

# %% [markdown]
# ## Knobs

# %%
choose = runtime.by_profile
knobs = {
    "per_class": choose(smoke=10, lite=10, full=500, gpu=5_000),
    "test_per_class": choose(smoke=5, lite=5, full=200, gpu=1_000),
    "recipe_per_class": choose(smoke=4, lite=5, full=50, gpu=500),  # for the recipe in plain Keras
    "curve": choose(
        smoke=(5,), lite=(10,), full=(10, 20, 50, 100, 200, 500), gpu=(10, 50, 100, 500, 1_000, 5_000)
    ),
    "steps": choose(smoke=5, lite=50, full=1_200, gpu=5_000),  # of the optimizer, for every size
    "tuned_per_class": choose(smoke=10, lite=10, full=100, gpu=500),  # for fine-tuning
    "epochs": choose(smoke=(1, 1, 1), lite=(5, 1, 1), full=(15, 3, 2), gpu=(15, 5, 5)),  # head, last blocks, all
    "seeds": choose(smoke=1, lite=1, full=5, gpu=5),
    "normalized": choose(smoke=(1, 1), lite=(1, 2), full=(20, 10), gpu=(20, 10)),  # seeds and epochs: batch norm
}
rates = (1e-3, 1e-4, 1e-5)  # of the three stages: Adam
shown = choose(smoke=(1, 100), lite=(100,), full=(1, 100), gpu=(1, 100))  # times the last rate, in one figure
knobs

# %% [markdown]
# ## What is at hand
#
# The ImageNet weights of MobileNetV2 are taken where they are at hand: in `KERASCV_COURSE_DATA`, or in Keras'
# cache. The profiles `full` and `gpu` download them otherwise. Without weights and without network the transfer is
# a small one, and just as real: a small network learns the digits 0 to 4 here and now, and its knowledge is used
# on the digits 5 to 9. Only this cell differs; all that follows is the same code.


# %%
def small_cnn(input_shape=(32, 32, 3), momentum=0.9):
    """Build three blocks with batch normalization, without a classifier."""
    x = inputs = keras.Input(input_shape)
    for block, filters in enumerate((16, 32, 64), start=1):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"block{block}_conv")(x)
        x = layers.BatchNormalization(momentum=momentum, name=f"block{block}_bn")(x)
        x = layers.ReLU(name=f"block{block}_relu")(x)
        x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return keras.Model(inputs, x, name="small_cnn")


def scale(images):
    """Bring values from 0 to 255 into the range from 0 to 1."""
    return images / 255


def some_classes(data, wanted):
    """Return a record of some classes alone, labelled from 0."""
    parts = []
    for images, labels in data:
        chosen = np.isin(labels, wanted)
        parts += [images[chosen], np.searchsorted(wanted, labels[chosen])]
    names = tuple(data.class_names[label] for label in wanted)
    return ImageDataset(*parts, names, f"{data.name} ({names[0]} to {names[-1]})", data.source)


found = None
if device.profile != "smoke":
    found = find_backbone_weights("MobileNetV2", (96, 96), download=device.downloads)
if found is not None:
    data = load("cifar10", fallback="patches", download=device.downloads)
    side, learned, pooling, first_trained = 96, f"ImageNet ({found.source})", "avg", "block_14_expand"
    preprocess_input = keras.applications.mobilenet_v2.preprocess_input

    def build_base(weights=found.path):
        """Build MobileNetV2 without its last layer."""
        return keras.applications.MobileNetV2(include_top=False, weights=weights, input_shape=(side, side, 3))
else:
    digits = load("digits")
    data, earlier = some_classes(digits, range(5, 10)), some_classes(digits, range(5))
    side, learned, pooling, first_trained = 32, earlier.name, "max", "block3_conv"
    preprocess_input = scale
    teacher = small_cnn((32, 32, 1))
    transfer.pretrain(teacher, earlier, epochs=knobs["epochs"][0], preprocess_input=scale, verbose=0)

    def build_base(weights="learned"):
        """Build the small network, with what it has learned or with random weights."""
        base = small_cnn((32, 32, 1))
        if weights:
            base.set_weights(teacher.get_weights())
        return base


data = data.subset(knobs["per_class"], test_per_class=knobs["test_per_class"])
(x_train, y_train), (x_test, y_test) = data
num_classes = data.num_classes
print(f"To learn: {data.name}, {len(x_train):,} training and {len(x_test):,} test images, {data.source}")
print(f"Learned before: {learned}")

examples, their_labels = data.examples(2)
plotting.plot_images(
    examples, titles=[data.class_names[label] for label in their_labels], columns=num_classes, caption=data.name
)

# %% [markdown]
# ## A new head on an old network
#
# We keep what the network *sees*, and replace what it *says*:
#
# 1. load the network without its last layer (`include_top=False`);
# 2. freeze it: its weights do not change;
# 3. put a new layer on top, with an output for each class, and train only that one.
#
# This is the recipe of the slides, complete. `base` ends in feature maps; the pooling makes one number of each
# map.


# %%
def recipe():
    """Build base, pooling, dropout and the new head; the base is frozen."""
    base = build_base()
    base.trainable = False  # freeze: before compile
    inputs = keras.Input(data.input_shape)  # raw images, 0 to 255
    x = layers.Resizing(side, side)(inputs)
    x = preprocess_input(x)  # as in the base's own training
    x = base(x)
    x = layers.GlobalAveragePooling2D()(x) if pooling == "avg" else layers.GlobalMaxPooling2D()(x)
    x = layers.Dropout(0.5, seed=0)(x)
    outputs = layers.Dense(num_classes, activation="softmax")(x)  # the new head
    return keras.Model(inputs, outputs), base


keras.utils.set_random_seed(0)
model, base = recipe()
model.compile(keras.optimizers.Adam(rates[0]), "sparse_categorical_crossentropy", metrics=["accuracy"])
trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
print(f"{base.name}: {base.count_params():,} weights, frozen; the head: {trained:,} weights, trained")

few = data.subset(knobs["recipe_per_class"], test_per_class=knobs["test_per_class"])
history = model.fit(few.x_train, few.y_train, epochs=knobs["epochs"][0], validation_split=0.0, verbose=0)
print(f"{len(few.x_train):,} training images: test accuracy {model.evaluate(x_test, y_test, verbose=0)[1]:.1%}")

# %% [markdown]
# The second stage **unfreezes** the last layers of the base. Three things belong to it: a small learning rate,
# **compile again** after each change of `trainable`, and **batch normalization stays frozen**.

# %%
base.trainable = True
before = True
for layer in base.layers:
    before = before and layer.name != first_trained
    layer.trainable = not before and not isinstance(layer, layers.BatchNormalization)
model.compile(keras.optimizers.Adam(rates[1]), "sparse_categorical_crossentropy", metrics=["accuracy"])
trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
model.fit(few.x_train, few.y_train, epochs=1, verbose=0)
print(f"from {first_trained} on: {trained:,} weights trained, after one epoch", end=" ")
print(f"test accuracy {model.evaluate(x_test, y_test, verbose=0)[1]:.1%}")

# %% [markdown]
# ## The same in one call
#
# `TransferModel` is these lines. `fit_stages` freezes, compiles and trains. While the base is frozen, the features
# of an image never change: `fit_stages` computes them once and trains the head on them. Are the weights the same?
# The next cell trains both with the same seed and the same batches in the same order.

# %%
runtime.seed_everything(1)
by_hand, _ = recipe()
by_hand.compile(keras.optimizers.Adam(rates[0]), "sparse_categorical_crossentropy", metrics=["accuracy"])
training.fit(by_hand, (few.x_train, few.y_train), epochs=2, seed=1, verbose=0)  # `model.fit`, in a fixed order

runtime.seed_everything(1)
helper = TransferModel(build_base(), num_classes, pooling=pooling, preprocess_input=preprocess_input)
helper.fit_stages([Stage("head", epochs=2)], (few.x_train, few.y_train), validation_split=0, seed=1, verbose=0)

differences = [
    float(np.abs(one - two).max())
    for one, two in zip(by_hand.layers[-1].get_weights(), helper.layers[-1].get_weights(), strict=True)
]
print(f"largest difference between the weights of the two heads: {max(differences):.1e}")

# %% [markdown]
# ## Is it what the base has learned?
#
# Perhaps any features would do. Three opponents: the pixels themselves; the mean and standard deviation of each
# colour; the same network with *random* weights (`weights=None`). Its features are tiny numbers that hardly differ
# from image to image, so each feature is **standardised** first: mean 0, standard deviation 1. Then a logistic
# regression learns the classes. All four get the same.
#
# **Erratum.** For a network "without weights" Boracchi's slide leaves `weights` out. Left out, it loads
# ImageNet's; `weights=None` makes random ones.


# %%
def feature_model(base):
    """Return the model from raw images to features."""
    inputs = keras.Input(data.input_shape)
    x = base(preprocess_input(layers.Resizing(side, side)(inputs)))
    outputs = layers.GlobalAveragePooling2D()(x) if pooling == "avg" else layers.GlobalMaxPooling2D()(x)
    return keras.Model(inputs, outputs)


def colours(images):
    """Return mean and standard deviation of each channel."""
    return np.concatenate([images.mean(axis=(1, 2)), images.std(axis=(1, 2))], axis=1)


keras.utils.set_random_seed(0)
both = (x_train, x_test)
extractors = {"learned base": feature_model(build_base()), "random base": feature_model(build_base(None))}
features = {
    name: [extractor.predict(x, batch_size=100, verbose=0) for x in both] for name, extractor in extractors.items()
}
features |= {"pixels": [x.reshape(len(x), -1) for x in both], "colours": [colours(x) for x in both]}
fair = {}
for name, (train, test) in features.items():
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    fair[name] = classifier.fit(train.astype("float64"), y_train).score(test.astype("float64"), y_test)
    spread = train.std(axis=0).mean()
    print(f"{name:13}{train.shape[1]:6,} features, deviation {spread:8.1e}: test accuracy {fair[name]:.1%}")
error = np.sqrt(0.25 / len(x_test))
print(f"{len(x_train):,} training and {len(x_test):,} test images; standard error at most {error:.1%}")

# %% [markdown]
# ## Where does transfer pay?
#
# A learning curve: 10, 20, 50 ... images of each class. Two ways with the same images:
#
# * **transfer**: the head on the features of the frozen base;
# * **from scratch**: a network of three convolutions, all of it trained, with mirrored copies of the images.
#
# Both make the same number of steps for every size. They are not equal in cost: the base is far larger than the
# small network, but it is not trained.


# %%
def draw(per_class, seed):
    """Return the indices of training images, drawn from each class."""
    rng = np.random.default_rng(seed)
    by_class = [rng.permutation(np.flatnonzero(y_train == label))[:per_class] for label in range(num_classes)]
    return rng.permutation(np.concatenate(by_class))


def compiled(model):
    """Compile with the rate of the first stage."""
    model.compile(keras.optimizers.Adam(rates[0]), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def build_head():
    """Build the new head for features."""
    size = features["learned base"][0].shape[1]
    return keras.Sequential(
        [keras.Input((size,)), layers.Dropout(0.5), layers.Dense(num_classes, activation="softmax")]
    )


def build_scratch():
    """Build the small network with a head, for raw images."""
    flip = [layers.RandomFlip("horizontal")] if found is not None else []  # a mirrored digit is no digit
    body = [layers.Rescaling(1 / 255), small_cnn(data.input_shape), layers.GlobalAveragePooling2D()]
    return keras.Sequential(
        [keras.Input(data.input_shape), *flip, *body, layers.Dense(num_classes, activation="softmax")]
    )


curve = {}
for per_class in knobs["curve"]:
    curve[per_class] = {"transfer": [], "from scratch": []}
    epochs = max(1, round(knobs["steps"] * 32 / (per_class * num_classes)))
    for seed in range(knobs["seeds"]):
        rows = draw(per_class, seed)
        ways = {
            "transfer": (build_head, *features["learned base"]),
            "from scratch": (build_scratch, x_train, x_test),
        }
        for name, (build, train, test) in ways.items():
            keras.utils.set_random_seed(seed)
            network = compiled(build())
            network.fit(train[rows], y_train[rows], epochs=epochs, batch_size=32, verbose=0)
            curve[per_class][name].append(network.evaluate(test, y_test, verbose=0)[1])

judged = {per_class: verdict(pair, "transfer", "from scratch") for per_class, pair in curve.items()}
print(f"{data.name}, {len(x_test):,} test images, {knobs['seeds']} seeds; the images are drawn anew for each seed")
print("images of each class   transfer   from scratch   transfer minus from scratch, in points")
for per_class, pair in curve.items():
    one, two = (f"{np.mean(values):.1%}" for values in pair.values())
    step = judged[per_class]
    interval = "one seed" if step.low is None else f"{100 * step.low:+.1f} to {100 * step.high:+.1f}"
    print(f"{per_class:>20}   {one:>8}   {two:>12}   {100 * step.difference:+.1f} ({interval}): {step.conclusion}")

# %%
pays = [per_class for per_class, found_out in judged.items() if found_out.conclusion == "holds"]
not_any_more = [per_class for per_class in judged if pays and per_class > max(pays)]
if not pays:
    print("At no size is the gain of transfer sure.")
elif not_any_more:
    print(f"Transfer pays up to {max(pays)} images of each class; at {min(not_any_more)} it is not sure any more.")
else:
    print(f"Transfer pays at every size tried, up to {max(pays)} images of each class.")

figure, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
for name in ("transfer", "from scratch"):
    values = 100 * np.array([pair[name] for pair in curve.values()])  # (sizes, seeds)
    reach = None
    if knobs["seeds"] > 1:  # 95 % interval of the mean
        reach = stats.t.ppf(0.975, knobs["seeds"] - 1) * stats.sem(values, axis=1)
    axis.errorbar(list(curve), values.mean(axis=1), yerr=reach, marker="o", capsize=3, label=name)
axis.set_xscale("log")
axis.set_xticks(list(curve), [str(size) for size in curve], minor=False)
axis.minorticks_off()
axis.set(xlabel="training images of each class", ylabel="test accuracy in %", title=data.name)
axis.legend()
axis.grid(alpha=0.3)

# %% [markdown]
# ## In stages: does fine-tuning help?
#
# 1. **head**: the new layer alone. Its first steps are large and blind; they must not reach the base.
# 2. **last blocks**: at a tenth of the rate.
# 3. **all**: at a rate so small that the old weights are adjusted and not forgotten.
#
# Each stage starts from the best weights so far, those with the least validation loss. A stage that does not lower
# it leaves no trace. One row of the table is one stage of the first seed.

# %%
tuned = data.subset(knobs["tuned_per_class"], test_per_class=min(100, knobs["test_per_class"]))
stages = [
    Stage("head", epochs=knobs["epochs"][0], learning_rate=rates[0]),
    Stage("last blocks", unfreeze_from=first_trained, epochs=knobs["epochs"][1], learning_rate=rates[1]),
    Stage("all", epochs=knobs["epochs"][2], learning_rate=rates[2]),
]
options = {"batch_size": 32, "validation_split": 0.2, "verbose": 0}


def build():
    """Return a new `TransferModel`."""
    return TransferModel(build_base(), num_classes, pooling=pooling, preprocess_input=preprocess_input)


by_stage = {stage.name: [] for stage in stages}
for seed in range(knobs["seeds"]):
    runtime.seed_everything(seed)
    model = build()
    results = model.fit_stages(stages, tuned, seed=seed, **options)
    for row in results.rows:
        by_stage[row.stage].append(row.test_accuracy)
    if seed == 0:
        first_results = results
display(first_results)
fine_tuning = [verdict(by_stage, name, "head", margin=0.01) for name in ("last blocks", "all")]
print("\n".join(map(str, fine_tuning)))
print(f"{len(tuned.x_train):,} training and {len(tuned.x_test):,} test images, margin 1 point")

# %%
plotting.plot_history(first_results.histories, caption=f"Stages on {data.name}, first seed")

# %% [markdown]
# ## Batch normalization while fine-tuning
#
# A batch normalization layer that is trained uses mean and variance of the *batch*, and mixes them into its stored
# statistics. With batches of a few images these are far from what the base was trained with. So it stays frozen.
#
# Many programs write `base(x, training=False)` for that. In Keras 3 it does not help: `fit` calls all layers of a
# functional model with `training=True`, and that overrides what was written. `layer.trainable = False` helps.

# %%
x = inputs = keras.Input((4,))
probe_base = keras.Sequential([keras.Input((4,)), layers.BatchNormalization()])
probe = keras.Model(inputs, probe_base(x, training=False))
values = np.random.default_rng(0).normal(5, 2, (32, 4)).astype("float32")
for trainable in (True, False):
    probe_base.layers[0].trainable = trainable
    as_in_fit = keras.ops.convert_to_numpy(probe(values, training=True))
    print(f"trainable={trainable!s:5}: in fit the outputs have mean {as_in_fit.mean():5.2f} (of values around 5)")

# %% [markdown]
# How much does it matter? Our MobileNetV2 cannot tell, as the next cell shows: where its weights have batch
# normalization folded into the convolutions, there are no statistics to spoil. So we take a small network of our
# own that has them, with Keras' default momentum of 0.99. It learns one half of the classes, and then, from 20
# images of each class in batches of four, the other half. Single runs differ much here, so there are more seeds.

# %%
normalizations = [layer for layer in base.layers if isinstance(layer, layers.BatchNormalization)]
folded = not any(keras.ops.convert_to_numpy(layer.moving_mean).any() for layer in normalizations)
print(f"{base.name}: {len(normalizations)} batch normalizations;", end=" ")
print("all stored means are 0: folded into the convolutions" if folded else "with statistics of their own")

half = num_classes // 2
first_half, second_half = some_classes(data, range(half)), some_classes(data, range(half, num_classes))
own = small_cnn(data.input_shape, momentum=0.99)
keras.utils.set_random_seed(0)
transfer.pretrain(own, first_half, epochs=knobs["epochs"][0], preprocess_input=scale, verbose=0)
learned_weights = own.get_weights()
small_set = second_half.subset(min(20, knobs["per_class"]))
by_choice = {"inference": [], "train": []}
bn_seeds, bn_epochs = knobs["normalized"]
for choice, accuracies in by_choice.items():
    for seed in range(bn_seeds):
        runtime.seed_everything(seed)
        own.set_weights(learned_weights)
        network = TransferModel(own, small_set.num_classes, preprocess_input=scale)
        plan = [Stage("head", epochs=knobs["epochs"][0]), Stage("all", epochs=bn_epochs, learning_rate=1e-4)]
        rows = network.fit_stages(
            plan, small_set, batch_norm=choice, batch_size=4, validation_split=0, seed=seed, verbose=0
        ).rows
        accuracies.append(rows[-1].test_accuracy)
    print(f'batch_norm="{choice}": test accuracy {np.mean(accuracies):.1%} ({len(accuracies)} seeds)')
print(verdict(by_choice, "inference", "train"))

# %% [markdown]
# ## The rate of the last stage
#
# The same stage "all" after the same head, at its rate and at a hundred times as much; in `lite` at the second
# alone. One run each: a picture, not a verdict.

# %%
histories = {}
for rate in (factor * rates[2] for factor in shown):
    runtime.seed_everything(0)
    network = build()
    plan = [stages[0], Stage("all", epochs=knobs["epochs"][2], learning_rate=rate)]
    rows = network.fit_stages(plan, tuned, seed=0, **options)
    histories[f"rate {rate:g}"] = rows.histories["2 all"]
plotting.plot_history(histories, caption=f"The stage `all`, from the same head; {data.name}")

# %% [markdown]
# ## What is confused

# %%
predicted = model.predict(tuned.x_test, verbose=0).argmax(axis=1)
matrix = confusion_matrix(tuned.y_test, predicted, labels=range(num_classes))
share = f"{1 - np.trace(matrix) / matrix.sum():.1%} of {matrix.sum()} test images wrong"
plotting.plot_confusion_matrix(matrix, data.class_names, caption=f"After all stages: {share}; {data.name}")

# %% [markdown]
# ## What it looks at
#
# **Grad-CAM** weighs the last feature maps $A_k$ of the base by how much each of them speaks for the class:
#
# $$heat = \max\left(0, \sum_k a_k A_k\right) \qquad
# a_k = mean_{i,j}\ \frac{\partial y}{\partial A_k(i,j)}$$
#
# $y$ is the score of the class before the softmax. The maps of an image of 96 x 96 pixels are 3 x 3: the heat is
# coarse. First a photograph that is large enough to see, then images of the set: the true class, and the answer.

# %%
if found is not None:
    cat = photographs.chelsea()
    explained = grad_cam(model, cat[None])
    answer = data.class_names[int(explained.classes[0])]
    display(plotting.plot_heatmaps(cat[None], explained.heatmaps, titles=[f"a cat; answer: {answer}"]))

images, truth = data.examples(split="test")
images, truth = images[:8], truth[:8]
explained = grad_cam(model, images)
print(f"maps of the layer {explained.layer}")
names = np.array(data.class_names)
plotting.plot_heatmaps(
    images,
    explained.heatmaps,
    titles=[f"true: {names[a]}\nanswer: {names[b]}" for a, b in zip(truth, explained.classes, strict=True)],
    columns=4,
    caption=f"Grad-CAM of the class that is answered; {data.name}",
)

# %% [markdown]
# A heatmap says where the maps speak for the answer. It does not say that the answer is right, nor that the
# network would need this place.
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

# %% [markdown] tags=["hints"]
# - A dense layer has a weight for each pair of input and output, and a bias for each output.
# - 1,280 features and one output: 1,280 weights and one bias.

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

# %% [markdown] tags=["hints"]
# - Go through `backbone.layers` and set `layer.trainable` of each.
# - Remember whether the layer of that name has come by.
# - `isinstance(layer, layers.BatchNormalization)` finds the layers that stay frozen.

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

# %% [markdown] tags=["hints"]
# - `include_top` says whether the classifier is part of it.
# - `weights` left out loads ImageNet's; None makes random ones.
# - `pooling="avg"` takes the mean of each map.

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

# %% [markdown] tags=["hints"]
# - One number must say how probable class 1 is: from 0 to 1.
# - The softmax of a single number is 1, whatever it is.
# - The loss has the number of classes in its name.

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
print(f"Data: {data.name}, {len(x_train):,} training images ({data.source}); learned before: {learned}")
print("Logistic regression on " + ", ".join(f"{name} {share:.1%}" for name, share in fair.items()))
for per_class, found_out in judged.items():
    print(f"{per_class} images of each class: {found_out}")
print("\n".join(map(str, fine_tuning)))
print(device)
ex.summary()
