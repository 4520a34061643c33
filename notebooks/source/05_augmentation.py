# %% [markdown]
# # 5. Augmentation
#
# **The question.** A small training set can be made larger with changed copies of its images. Which changes leave
# the label alone? Do they help, one by one and all together? And what do they cost?
#
# *Follows Boracchi (augmentation layers), Manco (Architectures) and Lorente, who finds on a tiny set that each
# change alone helps, that all together are no better, and that mirroring is enough. On mixing: Zhang et al. (2018)
# and Yun et al. (2019).*

# %%
import importlib.util
import time

import keras
import numpy as np
from IPython.display import display
from keras import layers
from skimage import data as photographs
from skimage.draw import line
from skimage.transform import resize

from kerascv_course import plotting, runtime
from kerascv_course.augmentation import (
    AffineBatches,
    RandomAffine,
    augment_by_class,
    balanced_indices,
    cutmix,
    label_preserved,
    mixup,
    pipeline,
    warp,
)
from kerascv_course.datasets import colour_baseline, load, load_digits, missing
from kerascv_course.exercises import augmentation as ex
from kerascv_course.experiment import verdict

device = runtime.setup(seed=0, missing=missing("cifar10"))
print(device)

# %% [markdown]
# ## Knobs

# %%
choose = runtime.by_profile
few = ["none", "flip", "translation", "mixup", "all together"]
every = [*few, "rotation", "zoom", "contrast", "flip + mixup"]
knobs = {
    "per_class": choose(smoke=10, lite=50, full=50, gpu=50),  # few: that is where augmentation is needed
    "filters": choose(smoke=8, lite=8, full=32, gpu=64),
    "epochs": choose(smoke=2, lite=10, full=40, gpu=100),
    "seeds": choose(smoke=1, lite=2, full=6, gpu=6),
    "variants": choose(smoke=few[:2], lite=few, full=every, gpu=every),
    "reader_epochs": choose(smoke=2, lite=15, full=30, gpu=30),  # networks that read clocks and digits
    "rare": choose(smoke=3, lite=10, full=25, gpu=25),  # images of the rare class
    "common": choose(smoke=10, lite=100, full=250, gpu=250),  # images of each other class
    "rare_epochs": choose(smoke=1, lite=6, full=30, gpu=50),
}
knobs

# %% [markdown]
# ## The data, and a photograph to look at
#
# For training CIFAR-10, where it is at hand. Where it is not, the profiles `full` and `gpu` download it, and so
# does `lite` in Colab and Kaggle. Otherwise *patches* take its place: crops of ten photographs that scikit-image
# carries.

# %%
small = load("cifar10", fallback="patches", download=device.downloads)
everything = small  # all images, for the section on a rare class
small = small.subset(per_class=knobs["per_class"])
print(f"{small.name}: {len(small.x_train):,} training and {len(small.x_test):,} test images, from {small.source}")
print(f"colour alone: {colour_baseline(small):.0%} of the test images")

photo = resize(photographs.astronaut()[:300, 130:430], (160, 160), anti_aliasing=True)
photo = (255 * photo).astype("uint8")
plotting.plot_images(
    [photo], titles=["the photograph"], caption="NASA's portrait of Eileen Collins, by scikit-image"
)

# %% [markdown]
# ## Every transformation, at several strengths
#
# `pipeline` puts Keras' own layers in a row. A number s stands for the range from -s to s; a pair such as
# `(0.1, 0.1)` for itself, and so for a fixed strength.


# %%
def seen(augment, image=photo):
    """Return what a pipeline makes of one image, as bytes."""
    return keras.ops.convert_to_numpy(augment(image[None], training=True))[0].round().clip(0, 255).astype("uint8")


geometric = {
    "translation": [0.05, 0.1, 0.2, 0.4],
    "rotation": [0.02, 0.05, 0.1, 0.25],
    "zoom": [-0.5, -0.2, 0.2, 0.5],
    "shear": [0.1, 0.2, 0.4, 0.8],
}
rows = {
    f"{name} {', '.join(map(str, strengths))}": [
        seen(pipeline(**{name: (value, value)}, seed=1)) for value in strengths
    ]
    for name, strengths in geometric.items()
}
rows["perspective 0.2, 0.4, 0.6, 0.8"] = [seen(pipeline(perspective=s, seed=1)) for s in (0.2, 0.4, 0.6, 0.8)]
rows["flip; crop to 2/3"] = [
    photo,
    seen(pipeline(flip="horizontal", seed=0)),
    *(resize(seen(pipeline(crop=(107, 107), seed=s)), (160, 160)) for s in (1, 2)),
]
plotting.plot_image_table(rows, ["", "", "", ""], caption="Geometric: where the pixels are")

# %%
photometric = {
    "brightness": [-0.4, -0.2, 0.2, 0.4],
    "saturation": [-1.0, -0.5, 0.3, 0.6],
    "hue": [0.1, 0.2, 0.5, 1.0],
}
rows = {
    f"{name} {', '.join(map(str, strengths))}": [
        seen(pipeline(**{name: (value, value)}, seed=1)) for value in strengths
    ]
    for name, strengths in photometric.items()
}
for name in ("contrast", "noise"):
    strengths = (0.1, 0.2, 0.4, 0.8) if name == "contrast" else (0.02, 0.05, 0.1, 0.2)
    rows[f"{name} {', '.join(map(str, strengths))}"] = [seen(pipeline(**{name: s}, seed=2)) for s in strengths]
rows["erasing"] = [seen(pipeline(erasing=1.0, seed=s)) for s in range(4)]
plotting.plot_image_table(rows, ["", "", "", ""], caption="Photometric: what values the pixels have")

# %% [markdown]
# ## Where it acts
#
# The same `pipeline` is a function on a batch, a step of `tf.data`, and a layer of a model. In a model
# augmentation layers act **in training alone**, while preprocessing layers (`Rescaling`, `Resizing`,
# `CenterCrop`) always act: the model then takes raw images, at inference too.

# %%
augment = pipeline("flip", rotation=0.1, seed=0)
batch = np.repeat(photo[None], 4, axis=0)

model = keras.Sequential([keras.Input(photo.shape), layers.Resizing(40, 40), augment])
in_training = np.asarray(model(batch, training=True))
at_inference = np.asarray(model(batch, training=False))
rows = {
    "in a model, training": in_training.clip(0, 255).astype("uint8"),
    "in a model, inference": at_inference.astype("uint8"),
}
has_tensorflow = importlib.util.find_spec("tensorflow") is not None  # Colab's TPU runtime has none
if has_tensorflow:
    import tensorflow as tf

    (mapped,) = tf.data.Dataset.from_tensor_slices(batch).batch(4).map(lambda x: augment(x, training=True))
    rows["in tf.data"] = np.asarray(mapped).clip(0, 255).astype("uint8")
plotting.plot_image_table(
    rows,
    ["copy 1", "copy 2", "copy 3", "copy 4"],
    caption="Resized in any case; mirrored and turned in training alone",
)

# %% [markdown]
# In the model the GPU does the work, and it is saved with the model; in `tf.data` the CPU does it beside the
# training. Each layer of a chain computes all pixels anew, by interpolation. Mirroring, shifting, turning, zooming
# and shearing are **affine**: their matrices can be multiplied first, and the pixels computed once. `RandomAffine`
# does that; `AffineBatches` does it on bytes with OpenCV, where that is installed.
#
# Interpolation blurs. The next cell measures sharpness, the mean size of the step from a pixel to the next, and
# the time.

# %%
chain = pipeline(flip="horizontal", translation=0.1, rotation=0.05)
one_warp = RandomAffine(flip="horizontal", translation=0.1, rotation=0.05)


def sharpness(images):
    """Return the mean difference of neighbouring pixels, in grey levels."""
    return float(np.abs(np.diff(np.asarray(images, "float64"), axis=2)).mean())


portraits = np.repeat(photo[None], 32, axis=0)
chained, warped = chain(portraits, training=True), one_warp(portraits, training=True)
kinds = {"the photograph": portraits, "after a chain of three layers": chained, "after one affine change": warped}
print("sharpness:", ", ".join(f"{name} {sharpness(each):.2f}" for name, each in kinds.items()))

count = 64 * (2 if device.profile == "smoke" else 40)
images = np.resize(small.x_train, (count, *small.input_shape))


def images_per_second(batches):
    """Return how many images come out in a second, the last batch included."""
    started = time.perf_counter()
    total = sum(len(batch) for batch in batches)
    return total / (time.perf_counter() - started)


def in_tf_data(change):
    """Return batches that `tf.data` changes, with its parallelism fixed."""
    return tf.data.Dataset.from_tensor_slices(images).batch(64).map(change, num_parallel_calls=2)


fast = AffineBatches(images, None, one_warp)
speeds = {f"AffineBatches ({fast.engine})": images_per_second(fast)}
if has_tensorflow:
    speeds |= {
        "RandomAffine in tf.data": images_per_second(in_tf_data(one_warp)),
        "a chain of three layers in tf.data": images_per_second(in_tf_data(lambda x: chain(x, training=True))),
    }
for name, speed in speeds.items():
    print(f"{name:36s}{speed:9,.0f} images/s")
print(f"{len(images):,} images of {small.input_shape}, one run each, start included. {device}")

# %% [markdown]
# ## Mixed images, mixed labels
#
# **Mixup** adds two images and their labels: $x = l \, x_i + (1 - l) \, x_j$, $y = l \, y_i + (1 - l) \, y_j$.
# **CutMix** pastes a rectangle of one image into the other and mixes the labels by its area. Both need one-hot
# labels.

# %%
pick = balanced_indices(small.y_train, per_class=1, seed=3)[:6]
some, their_labels = small.x_train[pick], keras.utils.to_categorical(small.y_train[pick], 10)


def described(share):
    """Name the two largest shares of a mixed label."""
    first, second = np.argsort(share)[::-1][:2]
    return f"{share[first]:.2f} {small.class_names[first]}, {share[second]:.2f} {small.class_names[second]}"


shown, titles = [], []
for mix in (mixup(1.0, seed=1), cutmix(seed=2)):
    both, shares = (np.asarray(part) for part in mix(some, their_labels))
    shown.extend(both.round().astype("uint8"))
    titles.extend(map(described, shares))
plotting.plot_images(shown, titles=titles, columns=6, caption=f"Above mixup, below CutMix. Data: {small.name}")

# %% [markdown]
# ## Does it keep the label?
#
# A clock without digits: the hand says the hour, so turning the picture changes the label. Shifting does not. We
# draw clocks, train a small network to read them and ask `label_preserved` how often it changes its mind.


# %%
def clock(hour, rng):
    """Draw a clock of 32 x 32 pixels with one hand, not quite in the middle, in grey noise."""
    image = rng.normal(200, 8, (32, 32))
    row, column = rng.integers(14, 18, 2)
    for turn in np.arange(12) * np.pi / 6:  # marks
        image[int(row - 13 * np.cos(turn)), int(column + 13 * np.sin(turn))] = 60
    angle = hour * np.pi / 6 + rng.normal(0, 0.08)
    rows, columns = line(row, column, round(row - 11 * np.cos(angle)), round(column + 11 * np.sin(angle)))
    for shift in (0, 1):
        image[np.clip(rows + shift, 0, 31), columns] = 20
    return image.clip(0, 255).astype("uint8")[..., None]


rng = np.random.default_rng(0)
hours = rng.integers(0, 12, 1200)
clocks = np.stack([clock(hour, rng) for hour in hours])
reader = keras.Sequential(
    [
        keras.Input((32, 32, 1)),
        layers.Rescaling(1 / 127.5, offset=-1),
        layers.Conv2D(16, 5, strides=2, activation="relu"),
        layers.Conv2D(32, 3, strides=2, activation="relu"),
        layers.Flatten(),
        layers.Dense(12, activation="softmax"),
    ]
)
reader.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
reader.fit(clocks[:1000], hours[:1000], epochs=knobs["reader_epochs"], batch_size=50, verbose=0)
print(f"reads {reader.evaluate(clocks[1000:], hours[1000:], verbose=0)[1]:.0%} of 200 further clocks")

transformations = {
    "translation 0.06": pipeline(translation=0.06, fill_mode="nearest", seed=0),
    "brightness 0.1": pipeline(brightness=0.1, seed=0),
    "rotation 0.01": pipeline(rotation=0.01, fill_mode="nearest", seed=0),
    "rotation 0.1": pipeline(rotation=0.1, fill_mode="nearest", seed=0),
    "flip": pipeline("flip", seed=0),
}
for record in label_preserved(reader, clocks[1000:], transformations, labels=hours[1000:]):
    print(f"{record.name:20s} answer kept for {record.preserved:4.0%}, true hour read on {record.accuracy:4.0%}")

three = clock(3, rng)
shown = [three, seen(pipeline(translation=(0.06, 0.06)), three), np.rot90(three), three[:, ::-1]]
plotting.plot_images(
    shown,
    titles=["3 o'clock", "shifted: still 3", "turned: 12", "mirrored: 9"],
    caption="What does the label say?",
)

# %% [markdown]
# `flip` mirrors every second clock, and of those only the hands that point up or down keep their hour. Note
# what such a check can and cannot say: where the answer is not kept, either the label has changed, or the model
# has never seen such images.
#
# ### A 6 that becomes a 9
#
# Half a turn is another case: a 0 and an 8 stay what they are, a 6 becomes a 9, and a 4 becomes no digit at all.
# Does a network that reads digits say so? We turn test digits by half and look at what it reads.

# %%
digits = load_digits()
digit_reader = keras.Sequential(
    [
        keras.Input((32, 32, 1)),
        layers.Rescaling(1 / 127.5, offset=-1),
        layers.Conv2D(16, 5, strides=2, activation="relu"),
        layers.Conv2D(32, 3, strides=2, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
)
digit_reader.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
digit_reader.fit(digits.x_train, digits.y_train, epochs=knobs["reader_epochs"], batch_size=50, verbose=0)
print(f"reads {digit_reader.evaluate(digits.x_test, digits.y_test, verbose=0)[1]:.0%} of the test digits")
turned = digits.x_test[:, ::-1, ::-1]
read = digit_reader.predict(turned, verbose=0).argmax(axis=1)
for digit, other in ((6, 9), (9, 6), (0, 0), (8, 8), (4, 4)):
    its_own = digits.y_test == digit
    share = np.mean(read[its_own] == other)
    print(f"a {digit}, turned by half: read as {other} in {share:.0%} of {its_own.sum()}")

places = [int(np.flatnonzero(digits.y_test == digit)[0]) for digit in (6, 9, 0, 8, 4)]
plotting.plot_images(
    np.concatenate([digits.x_test[places], turned[places]]),
    titles=[*(f"label {digits.y_test[i]}" for i in places), *(f"read as {read[i]}" for i in places)],
    columns=5,
    caption="Above as they are, below turned by half",
)

# %% [markdown]
# The network cannot say "no digit": it has ten answers and always gives one of them. So an answer that is kept
# does not prove that the picture still shows its class. Look at the pictures, too.
#
# ### The label must move, too
#
# In regression (where is the eye?) each geometric transformation changes the label. The matrix says how: it leads
# from a pixel of the result back to the image, so the label moves with its inverse.

# %%
eye = np.array([63.0, 54.0])  # column and row
layer = RandomAffine(flip="horizontal", translation=0.15, rotation=0.08, zoom=0.2)
matrices = layer.matrices(4, photo.shape[:2], seed=5)
moved = warp(np.repeat(photo[None], 4, axis=0), matrices)
points = []
for a0, a1, a2, b0, b1, b2, _, _ in matrices:
    points.append(np.linalg.solve([[a0, a1], [b0, b1]], eye - [a2, b2]))


def marked(image, point):
    """Draw a cross at (column, row)."""
    image = np.array(image).round().clip(0, 255).astype("uint8")
    column, row = np.round(point).astype(int)
    if 4 <= column < 156 and 4 <= row < 156:
        image[row - 4 : row + 5, column - 1 : column + 2] = (255, 40, 40)
        image[row - 1 : row + 2, column - 4 : column + 5] = (255, 40, 40)
    return image


plotting.plot_images(
    [marked(photo, eye), *map(marked, np.asarray(moved), points)],
    titles=[f"label ({eye[0]:.0f}, {eye[1]:.0f})", *(f"({column:.0f}, {row:.0f})" for column, row in points)],
    caption="The label moves with the image",
)

# %% [markdown]
# ### What happens in front of a camera
#
# Other backgrounds, bad exposure, lost focus, something in front of the target: what the model will meet should be
# among the augmentations, and what it will not meet need not be.

# %%
scene = resize(photographs.coffee()[:400, 100:500], (160, 160), anti_aliasing=True)
mask = np.linalg.norm(np.mgrid[:160, :160] - np.array([70, 80])[:, None, None], axis=0) < 62
over = photo.copy()
over[100:150, 20:140] = (255 * scene[60:110, 20:140]).astype("uint8")
blurred = keras.ops.image.gaussian_blur(photo[None].astype("float32"), kernel_size=(13, 13), sigma=(3.0, 3.0))
plotting.plot_images(
    [
        np.where(mask[..., None], photo / 255, scene),
        seen(pipeline(brightness=(0.5, 0.5))),
        seen(pipeline(brightness=(-0.6, -0.6))),
        np.asarray(blurred)[0].clip(0, 255).astype("uint8"),
        over,
        (0.5 * photo / 255 + 0.5 * scene),
    ],
    titles=["background", "over-exposed", "under-exposed", "out of focus", "covered", "superimposed"],
    columns=6,
)

# %% [markdown]
# ### By class
#
# `augment_by_class` gives each class its own augmentation: turn the 0, not the 6.

# %%
turn_zeros = augment_by_class({0: RandomAffine(rotation=(0.5, 0.5))})
pair = digits.x_train[[np.flatnonzero(digits.y_train == 0)[0], np.flatnonzero(digits.y_train == 6)[0]]]
changed, kept_labels = turn_zeros(pair, np.array([0, 6]))
for before, after, label in zip(pair, np.asarray(changed), np.asarray(kept_labels), strict=True):
    print(f"the {label} was {'turned' if np.any(after != before) else 'left as it was'}")

# %% [markdown]
# ## A rare class
#
# In a real set the classes are seldom equal. We take ten times fewer images of one class and ask for its
# **recall**: the share of its test images that are found. The accuracy hardly shows it, since nine of ten test
# images are of other classes. Four ways with the same images:
#
# * nothing;
# * **class weights**: an image of the rare class counts more in the loss;
# * **balancing**: `balanced_indices` takes the rare images several times;
# * **balancing and augmentation**: the copies differ.

# %%
rare = 3  # a cat, in CIFAR-10
rng = np.random.default_rng(0)
amounts = np.where(np.arange(10) == rare, knobs["rare"], knobs["common"])
chosen = np.concatenate(
    [rng.permutation(np.flatnonzero(everything.y_train == label))[: amounts[label]] for label in range(10)]
)
x_uneven, y_uneven = everything.x_train[chosen], everything.y_train[chosen]
print(f"{everything.class_names[rare]}: {amounts[rare]} images; each other class: {amounts[0]}")


class Changed(keras.utils.PyDataset):
    """Batches in a new order in each epoch, each batch changed by a function of images and labels."""

    def __init__(self, images, labels, change, seed):
        super().__init__()
        self.images, self.labels, self.change = images, labels, change
        self.rng = np.random.default_rng(seed)
        self.on_epoch_end()

    def on_epoch_end(self):
        self.order = self.rng.permutation(len(self.images))

    def __len__(self):
        return -(-len(self.images) // 50)

    def __getitem__(self, index):
        chosen = self.order[50 * index : 50 * (index + 1)]
        images, labels = self.images[chosen], self.labels[chosen]
        if isinstance(self.change, keras.Layer):
            images = self.change(images, training=True)
        elif self.change is not None:
            images, labels = self.change(images, labels)
        return keras.ops.convert_to_numpy(images), keras.ops.convert_to_numpy(labels)


def network():
    """Build three convolutions that halve the image, for raw pixels."""
    model = keras.Sequential([keras.Input(small.input_shape), layers.Rescaling(1 / 127.5, offset=-1)])
    for factor in (1, 2, 4):
        model.add(layers.Conv2D(factor * knobs["filters"], 3, strides=2, padding="same", use_bias=False))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(10, activation="softmax"))
    return model


def answers_of(way, seed):
    """Train on the uneven set in one of the four ways; return the answers to the test images."""
    keras.utils.set_random_seed(seed)
    rows = balanced_indices(y_uneven, seed=seed) if "balancing" in way else np.arange(len(y_uneven))
    change = RandomAffine(flip="horizontal", translation=0.1) if "augmentation" in way else None
    batches = Changed(x_uneven[rows], y_uneven[rows], change, seed)
    weights = {label: float(amounts.mean() / amounts[label]) for label in range(10)}
    # The same number of steps for all: a balanced set is longer, and so has fewer epochs.
    epochs = max(1, round(knobs["rare_epochs"] * len(y_uneven) / len(rows)))
    model = network()
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    model.fit(
        batches,
        epochs=epochs,
        shuffle=False,
        class_weight=weights if way == "class weights" else None,
        verbose=0,
    )
    return model.predict(everything.x_test, batch_size=500, verbose=0).argmax(axis=1)


ways = ["nothing", "class weights", "balancing", "balancing and augmentation"]
recalls, accuracies = {way: [] for way in ways}, {way: [] for way in ways}
is_rare = everything.y_test == rare
for way in ways:
    for seed in range(knobs["seeds"]):
        said = answers_of(way, seed)
        recalls[way].append(float(np.mean(said[is_rare] == rare)))
        accuracies[way].append(float(np.mean(said == everything.y_test)))
    recall, accuracy_of_all = np.mean(recalls[way]), np.mean(accuracies[way])
    print(f"{way:28}recall of the rare class {recall:6.1%}, accuracy {accuracy_of_all:6.1%}")
print(f"\nrecall, {is_rare.sum():,} test images of the class:")
rare_verdicts = [verdict(recalls, way, "nothing") for way in ways[1:]]
print("\n".join(map(str, rare_verdicts)))

# %% [markdown]
# Where weights and copies of the same images change little, one reason can be that the network knows its training
# images by heart: then it has hardly any loss on them, and a small loss times ten is still small. Changed copies
# are images that it does not know yet.
#
# ## Does it help? 50 images of each class
#
# The same small network, the same number of epochs, with each augmentation alone, with all together and with
# mixup. The learning rate falls to 0 in all of them. The accuracy is measured on the untouched test images.


# %%
one_hot = keras.utils.to_categorical(small.y_train, 10)
mirrored, mixed = RandomAffine(flip="horizontal"), mixup(0.2)
variants = {
    "none": None,
    "flip": mirrored,
    "translation": RandomAffine(translation=0.1),
    "rotation": RandomAffine(rotation=0.05),
    "zoom": RandomAffine(zoom=0.15),
    "contrast": pipeline(contrast=0.3),
    "all together": keras.Sequential(
        [
            RandomAffine(flip="horizontal", translation=0.1, rotation=0.05, zoom=0.15),
            *pipeline(contrast=0.3).layers,
        ]
    ),
    "mixup": mixed,
    "flip + mixup": lambda x, y: mixed(mirrored(x), y),
}


def accuracy(change, seed):
    """Train a network with an augmentation; return its accuracy on the test images."""
    runtime.seed_everything(seed)
    model = network()
    batches = Changed(small.x_train, one_hot, change, seed)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, knobs["epochs"] * len(batches))  # falls to 0: a quiet end
    model.compile(keras.optimizers.Adam(rate), "categorical_crossentropy", metrics=["accuracy"])
    model.fit(batches, epochs=knobs["epochs"], shuffle=False, verbose=0)  # the batches shuffle themselves
    answers = model.predict(small.x_test, batch_size=500, verbose=0).argmax(axis=1)
    return float(np.mean(answers == small.y_test))


results = {}
for name in knobs["variants"]:
    results[name] = [accuracy(variants[name], seed) for seed in range(knobs["seeds"])]
    spread = np.std(results[name], ddof=1) if knobs["seeds"] > 1 else float("nan")
    shown = ", ".join(f"{value:.1%}" for value in results[name])
    print(f"{name:14s}{np.mean(results[name]):7.1%} ± {100 * spread:.1f}  (seeds: {shown})")
print(f"{small.name}, {knobs['epochs']} epochs; colour alone {colour_baseline(small):.1%}. {device}")

# %% [markdown]
# Each line below is a paired comparison over the seeds. *Undecided* is no proof that two are equal. Of twenty
# claims without any truth about one would still be decided.

# %%
verdicts = [verdict(results, name, "none") for name in results if name != "none"]
if "all together" in results:
    singles = [name for name in results if name not in ("none", "all together", "flip + mixup")]
    best = max(singles, key=lambda name: np.mean(results[name]))
    verdicts += [verdict(results, "all together", name) for name in dict.fromkeys(["flip", best])]
print("\n".join(map(str, verdicts)))

# %% [markdown]
# The best single change is chosen by the same figures that judge it: its lead is a little too large.
#
# ## Layers that only keras-cv has
#
# The development of keras-cv ended in 2024; most of its layers are in Keras itself now, under the same names.
# Four are not. The extra `kerascv` installs it: `pip install "kerascv_course[kerascv]"`. In `tf.data` it wants
# tensors in a dictionary. Which of its layers still work where, and what replaces them, is in
# `keras_cv_today.md` beside this notebook.

# %%
if not has_tensorflow or importlib.util.find_spec("keras_cv") is None:
    print('keras-cv is not installed: pip install "kerascv_course[kerascv]" shows this section.')
else:
    import keras_cv

    only_there = {
        "GridMask": keras_cv.layers.GridMask(rotation_factor=0.1),
        "Mosaic": keras_cv.layers.Mosaic(),
        "FourierMix": keras_cv.layers.FourierMix(alpha=0.8),
        "ChannelShuffle": keras_cv.layers.ChannelShuffle(groups=3),
    }
    shown = {}
    source = {"images": some[:4].astype("float32"), "labels": their_labels[:4].astype("float32")}
    for name, layer in only_there.items():
        (made,) = (
            tf.data.Dataset.from_tensor_slices(source).batch(4).map(lambda x, layer=layer: layer(x, training=True))
        )
        shown[name] = made["images"].numpy().clip(0, 255).astype("uint8")
    caption = f"keras-cv {keras_cv.__version__}. Data: {small.name}"
    display(plotting.plot_image_table(shown, [""] * 4, caption=caption))

# %% [markdown]
# ## The old interface
#
# Books and slides use `ImageDataGenerator`; Keras 3 has dropped it (`tf.keras` still carries it). The strengths
# are in other units: degrees and pixels or shares there, shares of a turn and of the side here.
#
# | `ImageDataGenerator(...)` | today |
# |---|---|
# | `rotation_range=36` (degrees) | `pipeline(rotation=0.1)` (of a turn) |
# | `width_shift_range=0.1, height_shift_range=0.1` | `pipeline(translation=0.1)` |
# | `zoom_range=0.2` (each side by its own factor) | `pipeline(zoom=0.2)` (both sides alike) |
# | `shear_range=10` (degrees) | `pipeline(shear=0.18)` (tangent) |
# | `horizontal_flip=True` | `pipeline("flip")` |
# | `brightness_range=(0.8, 1.2)` (factor) | `pipeline(brightness=0.2)` (added) |
# | `channel_shift_range=20` | `pipeline(brightness=0.08)` |
# | `fill_mode="nearest"` | `pipeline(..., fill_mode="nearest")` |
# | `rescale=1/255` | `keras.layers.Rescaling(1/255)` |
# | `featurewise_center`, `featurewise_std_normalization` | `keras.layers.Normalization` |
# | `samplewise_center`, `samplewise_std_normalization`, `zca_whitening` | none in Keras |
# | `preprocessing_function=f` | `dataset.map(f)` |
# | `validation_split=0.2` | `kerascv_course.datasets.split_validation` |
# | `flow(x, y, batch_size=32)` | `tf.data.Dataset.from_tensor_slices((x, y)).batch(32)` |
# | `flow_from_directory("photos")` | `keras.utils.image_dataset_from_directory("photos")` |
# | its `target_size=`, `class_mode=` | its `image_size=`, `label_mode=` |
#
# Further lines of the courses that Keras 3 refuses are in `slide_code_today.md` beside this notebook. Both
# interfaces on the same photograph:

# %%
if has_tensorflow:
    old = tf.keras.preprocessing.image.ImageDataGenerator(
        rotation_range=36, width_shift_range=0.1, height_shift_range=0.1, fill_mode="nearest"
    )
    old_batches = old.flow(portraits[:4].astype("float32"), batch_size=4, seed=0)
    today = pipeline(rotation=0.1, translation=0.1, fill_mode="nearest", seed=0)
    both = {
        "ImageDataGenerator": list(next(old_batches).round().astype("uint8")),
        "pipeline": list(np.asarray(today(portraits[:4], training=True)).round().astype("uint8")),
    }
    caption = "The old interface and its replacement: random copies, drawn with other random numbers"
    display(plotting.plot_image_table(both, [""] * 4, caption=caption))

# %% [markdown]
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### Which keep the label?
#
# A network must read handwritten digits. Put into the set the names of the augmentations that leave the label of
# *every* digit alone: "small shift", "half a turn", "mirror", "brightness", "small rotation".

# student: harmless = None
# solution
harmless = {"small shift", "brightness", "small rotation"}
# end solution

ex.harmless.check(harmless)

# %% [markdown] tags=["hints"]
# - Go through the ten digits with each of them: is there one that becomes another digit, or none?
# - Turn a 6 upside down. Hold a 2 before a mirror.
# - Three of the five are harmless.

# %% tags=["exercise"]
# ### Mixup by hand
#
# Write the formula of mixup for two images and two one-hot labels.


def mix_two(image_i, label_i, image_j, label_j, share):
    # student: return None
    # solution
    image = share * image_i + (1 - share) * image_j
    label = share * label_i + (1 - share) * label_j
    return image, label
    # end solution


ex.mix_two.check(mix_two)

# %% [markdown] tags=["hints"]
# - Both the image and the label are mixed, with the same share.
# - The second image gets what is left of 1.
# - image = share * image_i + (1 - share) * image_j, and the same for the labels.

# %% tags=["exercise"]
# ### Mirror the label, too
#
# The label is the place (column, row) of an eye, in pixels, counted from 0. Complete the function: it returns the
# mirrored image and the label that fits it.


def mirror_with_label(image, column, row):
    mirrored = image[:, ::-1]
    # student: return mirrored, column, row  # repair me
    # solution
    width = image.shape[1]
    return mirrored, width - 1 - column, row
    # end solution


ex.mirror_with_label.check(mirror_with_label)

# %% [markdown] tags=["hints"]
# - Mirroring from left to right changes columns, not rows.
# - In an image of 10 columns column 0 becomes column 9.
# - The new column is width - 1 - column.

# %% [markdown] tags=["solution"]
# Columns are counted from 0: in an image of 10 columns the first one, 0, becomes the last one, 9. The row stays. A
# label that is forgotten is no error that anybody reports: the network merely learns a mixture of both places.

# %% tags=["exercise"]
# ### The old units
#
# A slide has `ImageDataGenerator(rotation_range=30, height_shift_range=0.2, width_shift_range=0.2)`. Which
# arguments of `pipeline` are the same?

# student: rotation = None
# student: translation = None
# solution
rotation = 30 / 360
translation = 0.2
# end solution

ex.old_units.check(rotation, translation)

# %% [markdown] tags=["hints"]
# - `pipeline` counts rotation in turns: what share of a full turn are 30 degrees?
# - A shift range below 1 is a share of the side in both.

# %% [markdown]
# ## Where to go on
#
# - Train with 10 or with 500 images of each class. Where does augmentation matter more?
# - `06_test_time_augmentation` asks a trained model about several views of an image.

# %% tags=["summary"]
print(f"Data: {small.name}, {len(small.x_train):,} training images ({small.source})")
for name, values in results.items():
    print(f"Accuracy with {name}: {np.mean(values):.1%} ({len(values)} seed{'s' if len(values) > 1 else ''})")
print("\n".join(map(str, [*verdicts, *rare_verdicts])))
print(device)
ex.summary()
