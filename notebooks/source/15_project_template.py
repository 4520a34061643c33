# %% [markdown]
# # 15. A project, from images to a report
#
# **The question.** Which classifier tells your images apart: one whose features were thought out by hand, a
# network of your own, or one that has learned before? All learn from the same images and are asked about the same
# others. The result is a report of one page that a reader can trust.
#
# *Follows Boracchi (the parcel project: hand-crafted features against a CNN on the same split, one-page report).*
#
# This notebook is a template. It runs as it is, on synthetic depth maps of parcels; with a folder `data` beside it
# that holds your images, each class in a folder of its own, it runs on these. Then change what you like.

# %%
import datetime
import math
import time
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from keras import layers
from scipy import stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from kerascv_course import Stage, TransferModel, plotting, runtime, transfer
from kerascv_course.classic import PARCEL_FEATURES, BagOfVisualWords, parcel_features
from kerascv_course.datasets import (
    duplicates_across,
    find_backbone_weights,
    load,
    load_image_folder,
    load_parcels,
    missing,
    split_validation,
)
from kerascv_course.experiment import verdict
from kerascv_course.report import evaluation_section, write_report

device = runtime.setup(seed=0, missing=missing("mobilenet_v2_96"))
print(device)

# %% [markdown]
# ## Knobs
#
# The first five are yours. Of depth maps in files the values are heights, and the belt is 0: with
# `color_mode = "grayscale"` the features of parcels apply to them. The profile decides the sizes: `lite` takes
# about a minute, `full` trains each classifier with five seeds.

# %%
authors = "Your name"
title = "Which classifier tells them apart?"
data_folder = Path("data")  # with a folder for each class, or with `train`, `test` and perhaps `val`
color_mode = "rgb"  # of your images; "grayscale" for depth maps
same_in_both = []  # numbers of training images that you found to be in the test set as well, see below

choose = runtime.by_profile
knobs = {
    "parcels": choose(smoke=80, lite=600, full=4_000, gpu=4_000),
    "side": choose(smoke=64, lite=96, full=160, gpu=160),  # of your images, in pixels
    "seeds": choose(smoke=1, lite=2, full=5, gpu=5),
    "epochs": choose(smoke=2, lite=12, full=40, gpu=60),
    "head_epochs": choose(smoke=1, lite=10, full=15, gpu=15),  # of transfer, stage 1
    "last_epochs": choose(smoke=1, lite=1, full=6, gpu=10),  # of transfer, stage 2
}
knobs

# %% [markdown]
# ## The data
#
# What cannot be read, or is no image, is left out and named here; folders that are not as they should be stop the
# notebook with what is wrong with them.

# %%
own = data_folder.is_dir() and any(
    entry.name != "README.txt" and not entry.name.startswith(".") for entry in data_folder.iterdir()
)
if own:
    data = load_image_folder(data_folder, image_size=knobs["side"], color_mode=color_mode, on_error="skip")
else:
    data = load_parcels(knobs["parcels"])
    title += " Synthetic depth maps of parcels"
left_out = [file for file in data.skipped if not file.startswith("README.txt ")]  # that one says what goes here
for file in left_out:
    print(f"left out: {file}")
are_depth_maps = data.input_shape[-1] == 1
names, num_classes = data.class_names, data.num_classes
origin = f"images of {data.source}" if own else f"{data.name}, from {data.source}"
print(origin)
print(f"{len(data.x_train):,} training and {len(data.x_test):,} test images of {data.input_shape}")
print(
    "training images of each class:", ", ".join(f"{name} {count:,}" for name, count in data.class_counts.items())
)


def view(images):
    """Return images to be looked at: low parcels would be black, so the root of the heights is shown."""
    return np.sqrt(images / 255) if are_depth_maps else images


shown = min(8, *data.class_counts.values())
plotting.plot_image_table(
    dict(zip(names[:8], np.split(view(data.examples(shown)[0]), num_classes), strict=False)),
    [""] * shown,
    caption=f"Training images: {origin}",
)

# %% [markdown]
# ## Do training and test set stay apart?
#
# An image that is in both sets makes the test accuracy too good: the classifier may have learned it by heart.
#
# - **Exact copies**, equal in every byte, are taken out of the *training* set.
# - **Near pairs** (shifted, mirrored, brighter) are only *shown*, nearest first. You alone can tell whether they
#   are the same photograph, or two of one kind. Put the numbers of those that are to be left out into
#   `same_in_both`, and run the notebook again.

# %%
pairs = duplicates_across(data.x_train, data.x_test)
exact = sorted({pair.train for pair in pairs if pair.kind == "exact"})
copies = sorted({*exact, *same_in_both})
near = sorted((pair for pair in pairs if pair.train not in copies), key=lambda pair: pair.distance)
print(f"exact copies: {len(exact)}; near pairs: {len(near)}" + (", of which 6 are shown" if len(near) > 6 else ""))
for pair in near[:6]:
    both = [view(data.x_train[pair.train]), view(data.x_test[pair.test])]
    titles = [
        f"training image {pair.train}\n{names[data.y_train[pair.train]]}",
        f"test image {pair.test}\n{names[data.y_test[pair.test]]}",
    ]
    display(plotting.plot_images(both, titles=titles, caption=f"The same? Distance {pair.distance:.3f}"))
keep = np.setdiff1d(np.arange(len(data.x_train)), copies)
x_train, y_train = data.x_train[keep], data.y_train[keep]
if np.bincount(y_train, minlength=num_classes).min() < 2:
    raise ValueError(f"{len(copies)} training images are in the test set: a class has fewer than 2 left.")
apart = "No training image equals one of the test set."
if copies:
    apart = f"Training images that are also in the test set were taken out: {len(copies)}."
if near:
    apart += f" Like a test image, and kept: {len({pair.train for pair in near})}."
print(apart)

# %% [markdown]
# Three sets, then: the **training** images, from which all classifiers learn; the **validation** images, on which
# we choose between them (a fifth of the training images, where the folders bring no such part); the **test**
# images, which decide nothing.

# %%
if data.validation:
    x_val, y_val = data.validation
else:
    share = max(0.2, num_classes / len(x_train))
    (x_train, y_train), (x_val, y_val) = split_validation(x_train, y_train, share)
x_test, y_test = data.x_test, data.y_test
print(f"{len(x_train):,} training, {len(x_val):,} validation and {len(x_test):,} test images")

# Of each classifier a row for each seed: accuracy on the validation images, probabilities for the test images, and
# seconds of training.
runs = {}


def try_classifier(name, fit):
    """Train a classifier once with each seed; `fit` returns the function that answers with probabilities."""
    runs[name] = []
    for seed in range(knobs["seeds"]):
        runtime.seed_everything(seed)
        started = time.perf_counter()
        answer = fit(seed)
        seconds = time.perf_counter() - started
        validation = float(np.mean(answer(x_val).argmax(axis=1) == y_val))
        runs[name].append((validation, answer(x_test), seconds))
    each = ", ".join(f"{run[0]:.1%}" for run in runs[name])
    print(f"{name}: on the validation images {each}; {np.mean([run[2] for run in runs[name]]):.1f} s a training")


# %% [markdown]
# ## 1. By hand
#
# What tells a parcel from another? Its area, its height, the distribution of its heights, its perimeter, its
# diagonals. Most of that are two lines of NumPy. `parcel_features` measures all of it.

# %%
if are_depth_maps:
    figure, axes = plt.subplots(2, num_classes, figsize=(8, 4), layout="constrained", sharey="row")
    for label, (name, column) in enumerate(zip(names, axes.T, strict=True)):
        depth = x_train[np.flatnonzero(y_train == label)[0], ..., 0]  # heights in millimetres
        parcel = depth > 8  # what is higher than the belt and its noise
        heights = depth[parcel]
        shares, edges = np.histogram(heights, bins=np.linspace(8, 255, 9))
        by_hand = [parcel.sum(), heights.mean(), heights.std(), *shares / parcel.sum()]
        measured = dict(zip(PARCEL_FEATURES, parcel_features(depth[None, ..., None])[0], strict=True))
        library = [measured[key] for key in ("area", "mean_height", "height_std")]
        assert np.allclose(by_hand, [*library, *list(measured.values())[-8:]])
        print(f"{name:10s} area {by_hand[0]:5,.0f} pixels, mean height {by_hand[1]:5.1f} mm,", end=" ")
        print(f"deviation {by_hand[2]:4.1f} mm, perimeter {measured['perimeter']:5.1f},", end=" ")
        print(f"diagonals {measured['longest_diagonal']:.1f} and {measured['other_diagonal']:.1f} pixels")
        column[0].imshow(view(depth), cmap="gray", vmin=0, vmax=1)
        column[0].contour(parcel, [0.5], colors="#E69F00", linewidths=1)
        column[0].set(title=name, xticks=[], yticks=[])
        column[1].bar(edges[:-1], 100 * shares / parcel.sum(), width=edges[1] - edges[0], align="edge")
        column[1].set_xlabel("height in mm")
    axes[1, 0].set_ylabel("% of the parcel")
    plt.show()

# %% [markdown]
# Behind the features stands a random forest. They mean nothing in a photograph; there a **bag of visual words**
# takes their place, with a logistic regression behind it.


# %%
def by_hand(seed):
    """Train the hand-crafted classifier."""
    if are_depth_maps:
        features = FunctionTransformer(parcel_features)
        classifier = make_pipeline(features, RandomForestClassifier(300, random_state=seed))
    else:
        words = BagOfVisualWords(vocabulary=100, pyramid_levels=2, random_state=seed)
        classifier = make_pipeline(words, StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    fitted.append(classifier.fit(x_train, y_train)[-1])
    return classifier.predict_proba


fitted = []
hand_name = "By hand: features of parcels" if are_depth_maps else "By hand: bag of visual words"
try_classifier(hand_name, by_hand)
if are_depth_maps:
    used = np.mean([forest.feature_importances_ for forest in fitted], axis=0)
    ranked = sorted(zip(used, PARCEL_FEATURES, strict=True), reverse=True)
    print("what the forest uses most:", ", ".join(f"{name} ({share:.0%})" for share, name in ranked[:5]))

# %% [markdown]
# ## 2a. A network of your own, without and with augmentation
#
# Four convolutions, batch normalization, the mean of each feature map, a dense layer. The learning rate falls
# along a cosine to 0.
#
# **Augmentation must keep the label.** A parcel may lie either way round: mirrored on both axes it is the same
# parcel. Its *values* are heights: brighter means higher, and that may be another class. Of photographs mirroring
# left to right is nearly always right; a little shift and light does no harm.


# %%
def augmentation():
    """Return layers that change images at random while the network is trained, and let them pass afterwards."""
    if are_depth_maps:
        return [layers.RandomFlip("horizontal_and_vertical")]
    return [
        layers.RandomFlip("horizontal"),
        layers.RandomTranslation(0.1, 0.1, fill_mode="nearest"),
        layers.RandomBrightness(0.1, value_range=(0, 255)),
    ]


def build_cnn(augmented):
    """Return a small network, not compiled."""
    x = inputs = keras.Input(data.input_shape)
    for layer in augmentation() if augmented else []:
        x = layer(x)
    x = layers.Rescaling(1 / 255)(x)
    for filters, size, stride in ((8, 5, 2), (16, 3, 1), (32, 3, 1), (64, 3, 1)):
        x = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
        x = layers.MaxPooling2D()(x) if stride == 1 else x
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.3)(x)
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(x))


histories = {}


def cnn(augmented):
    """Return what trains the network."""

    def fit(seed):
        model = build_cnn(augmented)
        rate = keras.optimizers.schedules.CosineDecay(3e-3, knobs["epochs"] * math.ceil(len(x_train) / 32))
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(
            x_train, y_train, validation_data=(x_val, y_val), epochs=knobs["epochs"], batch_size=32, verbose=0
        )
        histories["CNN, augmented" if augmented else "CNN"] = history
        return lambda images: model.predict(images, batch_size=100, verbose=0)

    return fit


one = x_train[:1].astype("float32")
changed = [keras.ops.convert_to_numpy(layer(one, training=True)) for layer in 2 * augmentation() for _ in range(2)]
seen = np.concatenate([one, *changed]).clip(0, 255)
seen = view(seen) if are_depth_maps else seen / 255
display(plotting.plot_images(seen, columns=7, caption="An image, and what augmentation makes of it"))

try_classifier("CNN", cnn(augmented=False))
try_classifier("CNN, augmented", cnn(augmented=True))
print(f"{build_cnn(False).count_params():,} parameters; {knobs['epochs']} epochs")
curves = plotting.plot_history(histories, caption=f"The network, seed {knobs['seeds'] - 1}: {origin}")
curves

# %% [markdown]
# ## 2b. A network that has learned before
#
# Where ImageNet's weights of MobileNetV2 are at hand (the profiles `full` and `gpu` download them, and so does
# `lite` in Colab and Kaggle), a new head is trained on its features, then its last blocks. Elsewhere a small
# network learns ten textures and objects first (the embedded set *patches*), keeps what it has learned, and goes
# on with your images. Depth maps are no photographs: the table below says what the knowledge is worth there.

# %%
weights = None
if device.profile != "smoke":
    weights = find_backbone_weights("MobileNetV2", (96, 96), download=device.downloads)


def small_network():
    """Return a backbone for images of any size."""
    x = inputs = keras.Input((None, None, 3))
    for block, (filters, stride) in enumerate(((8, 2), (16, 1), (32, 1), (64, 1)), start=1):
        x = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False, name=f"block{block}_conv")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"block{block}_bn")(x)
        x = layers.ReLU(name=f"block{block}_relu")(x)
        x = layers.MaxPooling2D(name=f"block{block}_pool")(x) if stride == 1 else x
    return keras.Model(inputs, x, name="small_network")


def scale(images):
    """Bring values from 0 to 255 into the range from 0 to 1."""
    return images / 255


def transferred(seed):
    """Train a new head on a pretrained backbone, then what lies below it."""
    if weights is not None:
        model = TransferModel("MobileNetV2", num_classes, image_size=96, weights=weights.path)
        stages = [
            Stage("head", epochs=knobs["head_epochs"], learning_rate=1e-3),
            Stage("last blocks", unfreeze_from="block_14", epochs=knobs["last_epochs"], learning_rate=1e-4),
        ]
        batch_norm = "inference"
    else:
        backbone = small_network()
        epochs = 1 if device.profile == "smoke" else 10
        transfer.pretrain(backbone, load("patches").subset(100), epochs=epochs, preprocess_input=scale, verbose=0)
        model = TransferModel(backbone, num_classes, image_size=data.input_shape[:2], preprocess_input=scale)
        # So small a network is trained as a whole, and with the statistics of the new images.
        stages, batch_norm = [Stage("all", epochs=knobs["head_epochs"], learning_rate=2e-3)], "train"
    records.append(
        model.fit_stages(
            stages, (x_train, y_train), validation_data=(x_val, y_val), batch_norm=batch_norm, seed=seed, verbose=0
        )
    )
    return lambda images: model.predict(images, batch_size=100, verbose=0)


records = []
pretrained_on = f"ImageNet ({weights.source})" if weights else "patches (no ImageNet weights are at hand)"
print(f"learned before: {pretrained_on}")
try_classifier("Transfer", transferred)
records[-1]

# %% [markdown]
# ## 3. The same test images for all
#
# An accuracy $p$ that was measured on $n$ images is not exact: on other images of the same kind it would be
# another one. **Wilson's interval** holds the true accuracy in 95 of 100 cases ($z = 1.96$):
#
# $$\frac{p + \frac{z^2}{2n} \pm z \sqrt{\frac{p (1 - p)}{n} + \frac{z^2}{4 n^2}}}{1 + \frac{z^2}{n}}$$
#
# The usual standard error $\sqrt{p (1 - p) / n}$ says "no error at all" where all images are right. Wilson does
# not:


# %%
def wilson(p, n, z=1.96):
    """Return the ends of Wilson's interval for an accuracy p on n images."""
    middle = p + z**2 / (2 * n)
    reach = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return (middle - reach) / (1 + z**2 / n), (middle + reach) / (1 + z**2 / n)


low, high = wilson(1, 24)
theirs = stats.binomtest(24, 24).proportion_ci(method="wilson")
print(f"24 of 24 right: standard error 0.0 %; Wilson {low:.1%} to {high:.1%}; SciPy {theirs.low:.1%}")

# %% [markdown]
# Which classifiers go into the report is decided by the *validation* images: who picks the best on the test images
# has learned from them.

# %%
accuracies, rows = {}, []
for name, each in runs.items():
    accuracies[name] = [float(np.mean(answers.argmax(axis=1) == y_test)) for _, answers, _ in each]
    mean = float(np.mean(accuracies[name]))
    low, high = wilson(mean, len(y_test))
    rows.append(
        {
            "Classifier": name,
            "Validation": f"{np.mean([validation for validation, _, _ in each]):.1%}",
            "Test": f"{mean:.1%}",
            "95% interval (Wilson)": f"{low:.1%} to {high:.1%}",
            "Seeds": ", ".join(f"{100 * value:.1f}" for value in accuracies[name]),
            "Training": f"{np.mean([seconds for _, _, seconds in each]):.1f} s",
        }
    )
    print(f"{name:30s}{mean:7.1%} ({low:.1%} to {high:.1%}); seeds: {rows[-1]['Seeds']}")
by_validation = {name: np.mean([run[0] for run in each]) for name, each in runs.items() if name != hand_name}
best = max(by_validation, key=by_validation.get)
print(f"on {len(y_test):,} test images: {origin}. Best network on the validation images: {best}")

# %% [markdown]
# Wilson's interval belongs to *one* accuracy. Two classifiers answer the same images, so their difference is known
# better: over the seeds in pairs; and over the images, where only those count that one of the two gets right and
# the other does not (McNemar).

# %%
conclusions = []
for better, than in ((best, hand_name), ("CNN, augmented", "CNN"), ("Transfer", "CNN")):
    conclusions.append(str(verdict(accuracies, better, than, margin=0.01)))
    print(conclusions[-1])

network_right, hand_right = (runs[name][-1][1].argmax(axis=1) == y_test for name in (best, hand_name))
network_alone, hand_alone = np.sum(network_right & ~hand_right), np.sum(hand_right & ~network_right)
difference = (network_alone - hand_alone) / len(y_test)
reach = 1.96 * math.sqrt(network_alone + hand_alone) / len(y_test)
over_images = (
    f"On the {len(y_test):,} test images, in the last run, {best} alone is right {network_alone} times, "
    f"the one by hand {hand_alone} times: {100 * difference:+.1f} points, ± {100 * reach:.1f} (95 %)."
)
print(over_images)

# %% [markdown]
# ## 4. Asked about chosen images
#
# The first test image of some classes; put the places of your own choice in place of None. Then some images about
# which the two disagree.

# %%
chosen = None  # for example [0, 5, 17]
if chosen is None:
    chosen = [int(np.flatnonzero(y_test == label)[0]) for label in range(min(4, num_classes))]
of_hand, of_network = (runs[name][-1][1] for name in (hand_name, best))


def said(answers):
    """Return the class that is answered, and how surely."""
    return f"{names[answers.argmax()]} {answers.max():.0%}"


def show(places, caption):
    """Show test images with their class and both answers."""
    titles = [f"{names[y_test[k]]}\nby hand: {said(of_hand[k])}\nnetwork: {said(of_network[k])}" for k in places]
    return plotting.plot_images(view(x_test[places]), titles=titles, columns=4, caption=caption)


chosen_images = show(chosen, f"True class, and both answers (network: {best}); {origin}")
display(chosen_images)
disagree = np.flatnonzero(of_hand.argmax(axis=1) != of_network.argmax(axis=1))
print(f"they disagree about {len(disagree)} of {len(y_test)} test images")
disputed_images = show(disagree[:8], f"Disputed test images; {origin}") if len(disagree) else None
disputed_images

# %% [markdown]
# ## The report
#
# `report.html` is one page, to hand in: the question, the data, the results, some images. `details.html` shows
# both classifiers in full. Both open in any browser.

# %%
test_of = {row["Classifier"]: row["Test"] for row in rows}
summary = [
    f"{num_classes} classes ({', '.join(names)}) are told apart by a classifier whose features were thought out "
    "by hand, by a convolutional network of our own, with augmentation and without it, and by one that has "
    "learned before. All learned from the same images and are tested on the same others.",
    f"Data: {origin}. {len(x_train):,} training, {len(x_val):,} validation and {len(x_test):,} test images of "
    f"{' x '.join(map(str, data.input_shape))}. {apart}"
    + (f" Files that were left out: {len(left_out)}." if left_out else ""),
    (
        rows,
        "Accuracy: mean of the seeds, its interval on so many test images, each seed in %; time of a training.",
    ),
    f"By hand {test_of[hand_name]} are right; of the networks the best on the validation images ({best}) reaches "
    f"{test_of[best]}. The claim, over the seeds: {conclusions[0]}. {over_images}",
    (chosen_images, "What both say of chosen test images."),
]
report = write_report("report.html", title, {}, authors=authors, date=datetime.date.today(), summary=summary)

both = {hand_name: of_hand, f"Network: {best}": of_network}
sections = {
    name: [
        f"Figures of seed {knobs['seeds'] - 1}.",
        *evaluation_section(y_test, answers, names, images=view(x_test)),
    ]
    for name, answers in both.items()
}
sections["All comparisons"] = "\n\n".join(conclusions)
sections["How it was made"] = [
    (curves, "Loss and accuracy while the network of our own was trained."),
    f"Transfer: the backbone has learned before from {pretrained_on}. {device}",
]
if disputed_images:
    sections["Where they disagree"] = (disputed_images, "Test images about which the two disagree.")
if left_out:
    sections["Files that were left out"] = "\n\n".join(left_out)
details = write_report(
    "details.html",
    title,
    sections,
    authors=authors,
    date=datetime.date.today(),
    summary="More than the report says.",
)
print(f"{report}: {report.stat().st_size / 1e6:.1f} MB; {details}: {details.stat().st_size / 1e6:.1f} MB")

# %% tags=["template"]
print(f"{origin}; {len(x_train):,} training and {len(x_test):,} test images")
for row in rows:
    print(f"{row['Classifier']}: {row['Test']} ({row['95% interval (Wilson)']}; seeds: {row['Seeds']})")
print(f"Report: {report}; more: {details}")

# %% [markdown] tags=["appendix"]
# ## Appendix: counting, patch by patch
#
# How many sea lions of each kind lie on a shore? A classifier of *patches* can count: it is asked at each place of
# the image, and each animal that it finds counts once. Most places show none, so there is one more class, the
# **background**. *Follows Boracchi (counting by patch-wise classification).*
#
# The photographs of the course may not be passed on, so a few lines draw a shore: sand, water, stones, and five
# kinds of animals that differ in size and colour. A figure that is reached here says nothing of real photographs.

# %% tags=["appendix"]
from scipy.ndimage import gaussian_filter
from skimage.draw import ellipse

from kerascv_course.exercises import project_template as ex

side, patch, stride = 256, 24, 4  # pixels
animals = ["background", "adult male", "subadult male", "adult female", "juvenile", "pup"]
lengths = [21, 17, 14, 10.5, 7.5]
colours = [(78, 54, 40), (98, 70, 50), (146, 112, 78), (124, 92, 66), (46, 40, 38)]
counting = {
    "images": runtime.by_profile(smoke=3, lite=12, full=64, gpu=64),
    "epochs": runtime.by_profile(smoke=1, lite=8, full=20, gpu=30),
    "seeds": runtime.by_profile(smoke=1, lite=1, full=5, gpu=5),
}


def draw_shore(random):
    """Return an image, and a row for each animal: its kind (1 to 5), x and y."""
    hills = gaussian_filter(random.normal(size=(side, side)), 14, mode="wrap")
    hills = (hills / hills.std())[..., None]
    image = np.where(hills > -1, np.array([165, 150, 128]) + 15 * hills, np.array([70, 96, 106]))

    def lay(x, y, length, width, colour):
        """Lay an animal or a stone on the shore."""
        turned = random.uniform(0, np.pi)
        image[ellipse(y, x, length / 2, width * length / 2, (side, side), rotation=turned)] = colour

    for _ in range(25):  # stones, some of the size and darkness of an animal
        grey = random.uniform(60, 150) * np.array([1, 0.97, 0.92])
        lay(*random.uniform(0, side, 2), random.uniform(5, 18), random.uniform(0.55, 1), grey)
    dots = []
    while len(dots) < 22:
        kind = random.choice(5, p=[0.14, 0.16, 0.3, 0.2, 0.2])
        x, y = random.integers(16, side - 16, 2)
        if all(np.hypot(x - a, y - b) > (lengths[kind] + lengths[k - 1]) / 2 for k, a, b in dots):
            dots.append((kind + 1, x, y))
            colour = np.array(colours[kind]) * random.uniform(0.82, 1.2)
            lay(x, y, lengths[kind] * random.uniform(0.88, 1.14), 0.45, colour)
    image = gaussian_filter(image, (0.7, 0.7, 0)) + random.normal(0, 4, image.shape)
    return image.clip(0, 255).astype("uint8"), np.array(dots)


shores = [draw_shore(np.random.default_rng([0, number])) for number in range(counting["images"])]
images, dots = np.stack([image for image, _ in shores]), [each for _, each in shores]
testing = -(-counting["images"] // 4)  # the last quarter of the images
print(f"{len(images)} synthetic images, {sum(map(len, dots))} animals; {testing} images are for testing")

# %% [markdown] tags=["appendix"]
# The patches: one around each animal, a little aside, and as many of the background, where no dot is.

# %% tags=["appendix"]
half = patch // 2


def cut_patches(random):
    """Return patches of the training images around animals and of the background, and their labels."""
    patches, labels = [], []
    for image, each in zip(images[:-testing], dots[:-testing], strict=True):
        places = random.integers(half, side - half, (500, 2))
        is_free = np.abs(places[:, None] - each[:, 1:]).max(axis=2).min(axis=1) > half
        background = places[is_free][: len(each)]
        for x, y in [*(each[:, 1:] + random.integers(-2, 3, (len(each), 2))), *background]:
            patches.append(image[y - half : y + half, x - half : x + half])
        labels += [*each[:, 0], *np.zeros(len(background), int)]
    return np.stack(patches), np.array(labels)


patches, labels = cut_patches(np.random.default_rng(0))
print(f"{len(patches):,} training patches, {np.mean(labels == 0):.0%} of them background")
here = [int(np.flatnonzero(labels == kind)[k]) for k in range(2) for kind in np.unique(labels)]
plotting.plot_images(
    patches[here],
    titles=[animals[kind] for kind in labels[here]],
    columns=len(here) // 2,
    caption="Synthetic patches",
)

# %% [markdown] tags=["appendix"]
# All convolutions are without padding: of a patch of 24 x 24 pixels one place is left, with one answer. Given a
# whole image, the same network gives one answer for every fourth pixel: as if each patch had been cut out, at a
# fraction of the work.


# %% tags=["appendix"]
def build_patch_classifier():
    """Return the network for images of any size, and the same network for one patch, compiled."""
    x = inputs = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 255)(x)
    for filters, size, step in ((16, 4, 2), (32, 3, 2), (64, 5, 1)):
        x = layers.Conv2D(filters, size, strides=step, use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    x = layers.Dropout(0.2)(x)
    everywhere = keras.Model(inputs, layers.Conv2D(len(animals), 1, activation="softmax")(x))

    x = inputs = keras.Input((patch, patch, 3))
    x = everywhere(layers.RandomFlip("horizontal_and_vertical")(x))
    one_patch = keras.Model(inputs, layers.Flatten()(x))
    one_patch.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return everywhere, one_patch


build_patch_classifier()[0].summary()

# %% [markdown] tags=["appendix"]
# To count, take the place where an animal is most probable, and forget the places that are less than 9 pixels
# away; then the next one, and so on until background is more probable everywhere.
#
# The error is that of the sea lion competition: for each kind $c$ the root of the mean square over the images $i$,
# and the mean of these,
#
# $$E = \frac{1}{5} \sum_c \sqrt{\frac{1}{n} \sum_i (\hat{k}_{ic} - k_{ic})^2}$$


# %% tags=["appendix"]
def find_animals(answers, radius=9):
    """Return class, x and y of the animals in one image, from the answers (rows, columns, classes)."""
    animal = 1 - answers[..., 0]
    rows, columns = np.indices(animal.shape)
    found = []
    while animal.max() > 0.5:
        row, column = np.unravel_index(animal.argmax(), animal.shape)
        kind = 1 + answers[row, column, 1:].argmax()
        found.append((kind, stride * column + patch // 2, stride * row + patch // 2))
        animal[stride * np.hypot(rows - row, columns - column) < radius] = 0
    return np.array(found, int).reshape(-1, 3)


def by_kind(found):
    """Return the animals of each kind, (images, kinds)."""
    return np.stack([np.bincount(each[:, 0], minlength=len(animals))[1:] for each in found])


def error(counts):
    """Return the mean over the kinds of the root of the mean square."""
    return float(np.sqrt(((counts - truth) ** 2).mean(axis=0)).mean())


truth = by_kind(dots[-testing:])
average = np.tile(by_kind(dots[:-testing]).mean(axis=0), (testing, 1))
totals, errors = {"truth": truth, "as many as on average": average}, {}


def note(name, found):
    """Keep the counts on the test images, and the error of each seed."""
    totals[name] = by_kind(found)
    errors.setdefault(name, []).append(error(totals[name]))


for seed in range(counting["seeds"]):
    keras.utils.set_random_seed(seed)
    patches, labels = cut_patches(np.random.default_rng(seed))
    everywhere, one_patch = build_patch_classifier()
    for number, name in enumerate(("as many of background", "+ its false alarms", "+ its false alarms again")):
        one_patch.optimizer.learning_rate = 2e-3 / 3**number
        one_patch.fit(patches, labels, epochs=counting["epochs"], batch_size=32, verbose=0)
        answers = everywhere.predict(images, batch_size=8, verbose=0)
        note(name, [find_animals(each) for each in answers[-testing:]])
        # Where it sees animals on the training images, and none is near: that is background, too.
        false_alarms = []
        for image, each, seen in zip(images[:-testing], dots[:-testing], answers[:-testing], strict=True):
            for _, x, y in find_animals(seen):
                if np.hypot(each[:, 1] - x, each[:, 2] - y).min() > 7:
                    false_alarms.append(image[y - half : y + half, x - half : x + half])
        if false_alarms and number < 2:
            patches = np.concatenate([patches, false_alarms])
            labels = np.concatenate([labels, np.zeros(len(false_alarms), int)])
    without = answers[-testing:].copy()
    without[..., 0] = 0  # the same network, but it may not say "background"
    note("the last, no background", [find_animals(each) for each in without])

heads = [name.rpartition(" ")[::2] for name in animals[1:]]
print("\n" + " " * 30 + "".join(f"{first:>10s}" for first, _ in heads))
print(f"{'animals, last seed':30s}" + "".join(f"{last:>10s}" for _, last in heads) + "   error (mean)")
for name, each in totals.items():
    numbers = "".join(f"{total:10.0f}" for total in each.sum(axis=0))
    print(f"{name:30s}{numbers}{np.mean(errors.get(name, error(each))):8.2f}")

# %% tags=["appendix"]
first, last = np.array(errors["as many of background"]), np.array(errors["+ its false alarms again"])
gain, no_background = first - last, np.array(errors["the last, no background"]) - last
for what, each in (
    ("its own false alarms as background take away", gain),
    ("without a background class the error grows by", no_background),
):
    text = f"{what} {each.mean():.2f} animals"
    if len(each) < 5:
        print(f"{text} ({len(each)} seed{'s' * (len(each) > 1)}: no interval)")
    else:
        reach = stats.t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / math.sqrt(len(each))
        decided = "decided" if abs(each.mean()) > reach else "undecided"
        print(f"{text} (95% interval {each.mean() - reach:.2f} to {each.mean() + reach:.2f}: {decided})")

# %% [markdown] tags=["appendix"]
# With no background class, every place is an animal. With one, it matters *which* background the network has seen:
# as many patches of background as of animals say little about the thousands of places where nothing is.

# %% tags=["appendix"]
image, seen = images[-1], answers[-1]
same = one_patch.predict(image[None, 40 : 40 + patch, 80 : 80 + patch], verbose=0)[0]
print(f"patch cut out, or looked at in place: largest difference {np.abs(same - seen[10, 20]).max():.1e}")

figure, axes = plt.subplots(1, 2, figsize=(8, 4.2), layout="constrained")
edge = half - stride / 2 - 0.5  # the first answer belongs to the pixels from here on
reach = edge + stride * seen.shape[0]
for axis in axes:
    axis.imshow(image)
    axis.set(xticks=[], yticks=[])
found = find_animals(seen)
axes[0].plot(*dots[-1][:, 1:].T, "o", color="#56B4E9", markersize=11, markerfacecolor="none", label="the dots")
axes[0].plot(*found[:, 1:].T, "+", color="#E69F00", markersize=9, markeredgewidth=2, label="found")
axes[0].set_title(f"{len(dots[-1])} animals, {len(found)} found", fontsize=9)
axes[0].legend(loc="upper left", fontsize=8)
heat = axes[1].imshow(1 - seen[..., 0], extent=(edge, reach, reach, edge), vmin=0, vmax=1, alpha=0.75)
axes[1].set(xlim=(-0.5, side - 0.5), ylim=(side - 0.5, -0.5))
axes[1].set_title("how probable an animal is", fontsize=9)
figure.colorbar(heat, label="probability", shrink=0.8)
figure.suptitle("Synthetic test image", fontsize=9)
plt.show()

# %% [markdown] tags=["appendix"]
# ## What to take home

# %% tags=["appendix"]
for name in sorted(accuracies, key=lambda name: -np.mean(accuracies[name])):
    low, high = wilson(np.mean(accuracies[name]), len(y_test))
    print(f"{name}: {np.mean(accuracies[name]):.1%}, on other images perhaps {low:.1%} to {high:.1%}")
for conclusion in conclusions:
    print(conclusion)
if knobs["seeds"] < 5:
    print("So few seeds decide nothing: the solved page has five.")

# %% [markdown] tags=["appendix"]
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### Split by scene
#
# Photographs of one scene look alike: all of them belong to the training set, or all of them to the test set.
# `scenes` holds the number of the scene of each image, as in `np.array([0, 0, 0, 1, 1, 2, ...])`. Return a bool
# for each image: True if it is for testing. Take a quarter of the scenes for testing.


def for_testing(scenes):
    # student: return None
    # solution
    numbers = np.random.default_rng(0).permutation(np.unique(scenes))
    return np.isin(scenes, numbers[: len(numbers) // 4])
    # end solution


ex.split_by_scene.check(for_testing)

# %% [markdown] tags=["hints"]
# - `np.unique(scenes)` gives each scene once: draw a quarter of *these*.
# - `np.isin(scenes, drawn)` is True for the images whose scene was drawn.

# %% [markdown] tags=["solution"]
# A random split of the *images* puts nearly each scene into both sets, and the test then asks whether the network
# recognises the scene. Draw scenes, and let the images follow.

# %% tags=["exercise"]
# ### Which changes keep the class of a parcel?
#
# Write the letters, for example `"ab"` or `{"a", "b"}`.
#
# - **a**: the depth map is mirrored
# - **b**: it is turned by a random angle
# - **c**: it becomes brighter: 40 is added to all pixels
# - **d**: half of another parcel is pasted in

# student: kept = None
# solution
kept = {"a", "b"}
# end solution

ex.label_kept.check(kept)

# %% [markdown] tags=["hints"]
# - A pixel is a height above the belt: what does a change of the values mean?
# - What is class `double`?

# %% [markdown] tags=["solution"]
# Geometry is free on a belt: parcels come at any angle. The values are millimetres, though, and two parcels in
# a map have a class of their own.

# %% tags=["exercise"]
# ### Why 99 % is too little
#
# A network looks at an image of 256 x 256 pixels in patches of 24 x 24 pixels, moved by 4 pixels at a time: at
# how many places? At 30 of them is an animal. Of the other places it takes 1 % for one: how many false animals are
# to be expected?

# student: places = None
# student: false = None
# solution
places = ((256 - 24) // 4 + 1) ** 2
false = 0.01 * (places - 30)
# end solution

ex.false_animals.check(places, false)

# %% [markdown] tags=["hints"]
# - From the first place to the last a patch moves by 256 - 24 pixels, 4 at a time.
# - The number of places in a row is one more than the number of moves; there are as many rows.
# - Take 1 % of the places without an animal.

# %% [markdown] tags=["solution"]
# The background is a hundred times as frequent as animals, and so are the occasions to take it for one. What a
# patch classifier is worth for counting is decided there, not by its accuracy on a balanced set of patches.

# %% tags=["exercise"]
# ### How many test images?
#
# A classifier is right in 90 % of 100 test images. What is the standard error $\sqrt{p (1 - p) / n}$ of that
# accuracy, as a share? And how many test images would it take for a standard error of 0.01?

# student: error_of_100 = None
# student: images_for_1_percent = None
# solution
error_of_100 = np.sqrt(0.9 * 0.1 / 100)
images_for_1_percent = 0.9 * 0.1 / 0.01**2
# end solution

ex.images_needed.check(error_of_100, images_for_1_percent)

# %% [markdown] tags=["hints"]
# - Put p = 0.9 and n = 100 into the formula.
# - Half the error wants how many times the images?

# %% [markdown] tags=["solution"]
# The images stand under the root: a third of the error takes nine times as many of them. With 100 test images a
# difference of 3 points between two classifiers says next to nothing.

# %% [markdown] tags=["appendix"]
# ## Where to go on
#
# - `kerascv-course new-project my_project` writes a copy of this notebook with a folder for your images, without
#   the appendix and the exercises.
# - `14_bag_of_visual_words` tries the choices behind the bag of words; `05_augmentation` and
#   `07_transfer_learning` those of the networks.
# - A figure or a table of yours in the report: put it into `summary` or into `sections`, with a caption.

# %% tags=["summary"]
print(f"{origin}; {len(x_train):,} training and {len(x_test):,} test images")
for row in rows:
    print(f"{row['Classifier']}: {row['Test']} ({row['95% interval (Wilson)']}; seeds: {row['Seeds']})")
print(f"Report: {report}; more: {details}")
shares = [f"{name} {np.mean(each):.2f}" for name, each in errors.items()]
print(f"Counting, error on {testing} test images: {'; '.join(shares)}")
print(device)
ex.summary()
