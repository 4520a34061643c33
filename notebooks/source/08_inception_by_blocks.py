# %% [markdown]
# # 8. InceptionV3, block by block
#
# **The question.** How much of a network does one need? Eleven blocks follow each other in InceptionV3. How
# many of them have to be trained for a new task, how many can be left out altogether, and which augmentations
# help when there are 50 images of each class?
#
# *Follows Lorente (unfreezing block by block, removing blocks, a tiny set, augmentations one by one and combined);
# curves: Manco and Lorente (ROC and AUC per class). On the network: Szegedy et al. (2015), InceptionV3.*

# %%
import dataclasses
import os
import time
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import t as student_t

from kerascv_course import Stage, TransferModel, evaluation, latent, plotting, runtime, transfer
from kerascv_course.augmentation import pipeline
from kerascv_course.datasets import find_backbone_weights, load, load_scenes, missing
from kerascv_course.exercises import inception_by_blocks as ex

device = runtime.setup(seed=0, missing=missing("cifar10", "inception_v3"))
print(device)

# %% [markdown]
# ## Knobs
#
# The profiles `full` and `gpu` take the whole network with its ImageNet weights, and 50 images of each class. In
# the others the network ends after an early block. Where no ImageNet weights are at hand (`lite` downloads them in
# Colab and Kaggle), that part of the network learns five of the ten classes of *patches* here and now: real
# InceptionV3 blocks, but **not ImageNet**, and a smaller tiny set.

# %%
found = None
if device.profile != "smoke":
    found = find_backbone_weights("InceptionV3", (75, 75), download=device.downloads)
on_photographs = found is not None
knobs = runtime.by_profile(
    smoke={"per_class": 5, "test_images": 50, "seeds": 1, "epochs": (1, 1), "pretraining": (10, 1)},
    lite={"per_class": 25, "test_images": 500, "seeds": 3, "epochs": (15, 3), "pretraining": (200, 4)},
    full={"per_class": 50, "test_images": 1000, "seeds": 5, "epochs": (40, 10), "pretraining": None},
    gpu={"per_class": 50, "test_images": 1000, "seeds": 5, "epochs": (40, 10), "pretraining": None},
)
knobs |= runtime.by_profile(
    smoke={"last_block": "mixed0", "cuts": range(1), "cut": "mixed0", "augmentations": ["flip"]},
    lite={"last_block": "mixed2", "cuts": range(3), "cut": "mixed0", "augmentations": None},
    full={"last_block": "mixed10", "cuts": range(4, 11), "cut": "mixed5", "augmentations": None},
    gpu={"last_block": "mixed10", "cuts": range(4, 11), "cut": "mixed5", "augmentations": None},
)
# The weights of the short pretraining are further from their goal than ImageNet's: a higher rate.
knobs |= {"batch_size": 16, "views": 3, "rates": (1e-3, 1e-4) if on_photographs else (5e-3, 5e-4)}
knobs

# %% [markdown]
# ## The data
#
# The course uses the eight outdoor scenes of Oliva and Torralba. Unpack them beside this notebook, or in the
# folder that `KERASCV_COURSE_DATA` names, and they are used together with ImageNet weights; otherwise CIFAR-10
# is. `subset` draws the **tiny set**. Each seed draws another one; the test images stay.

# %%
unpacked = "spatial_envelope_256x256_static_8outdoorcategories"
places = [Path(unpacked), Path(os.environ.get("KERASCV_COURSE_DATA") or ".", unpacked)]
scenes = next((place for place in places if place.is_dir()), None)


def some_classes(data, names, name):
    """Return a record of some classes, labelled from 0 in the order of their names."""
    labels = [data.class_names.index(each) for each in names]
    parts = {}
    for part in ("train", "test"):
        x, y = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
        wanted = np.isin(y, labels)
        parts |= {f"x_{part}": x[wanted], f"y_{part}": np.searchsorted(labels, y[wanted])}
    return dataclasses.replace(data, **parts, class_names=tuple(names), name=name)


if on_photographs:
    pool = load_scenes(scenes) if scenes else load("cifar10", fallback="patches", download=device.downloads)
    pretrained_on = "ImageNet"
else:
    patches = load("patches")
    earlier = some_classes(patches, patches.class_names[:5], "five classes of patches")
    pool = some_classes(patches, patches.class_names[5:], "the other five classes of patches")
    pretrained_on = "five classes of patches, not ImageNet"
side = runtime.by_profile(smoke=75, lite=75, full=299 if scenes else 150)
some_images, some_labels = pool.head(knobs["test_images"], split="test")
pool = dataclasses.replace(pool, x_test=some_images, y_test=some_labels)
tiny = pool.subset(knobs["per_class"])
num_classes = tiny.num_classes
about = f"{tiny.name}; learned before: {pretrained_on}"
print(f"To learn: {tiny.name}, {len(tiny.x_train)} training and {len(tiny.x_test)} test images, {tiny.source}")
print(f"Learned before: {pretrained_on}{f' ({found.source})' if found else f': {earlier.class_names}'}")

examples, _ = tiny.examples()
plotting.plot_images(examples, titles=tiny.class_names, columns=min(5, num_classes), caption=f"Data: {tiny.name}")

# %% [markdown]
# ## Eleven places to cut
#
# Each block ends with a layer named `mixed0` to `mixed10`, where its branches are put together. `truncate` cuts a
# backbone after one of them. With random weights nothing has to be downloaded to count.

# %%
untrained = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(side, side, 3))
cuts = [transfer.truncate(untrained, after=f"mixed{number}") for number in range(11)]
for number, cut in enumerate(cuts):
    maps = " x ".join(map(str, cut.output_shape[1:]))
    share = cut.count_params() / untrained.count_params()
    print(f"after mixed{number:<2d} {cut.count_params():10,} weights {share:7.1%}   maps {maps}")

figure, axis = plt.subplots(figsize=(7.5, 3.2), layout="constrained")
millions = [cut.count_params() / 1e6 for cut in cuts]
axis.bar(range(11), millions, color=["#D55E00" if number == 5 else "#0072B2" for number in range(11)])
for number, height in enumerate(millions):
    axis.text(number, height + 0.3, f"{height:.1f}", ha="center", fontsize=9)
axis.set_xticks(range(11), [f"mixed{number}" for number in range(11)], rotation=30)
axis.set(ylabel="weights without head, millions", ylim=(0, 24), xlabel="last block that is kept")
axis.set_title("InceptionV3, cut after each block; orange: the course's cut", fontsize=9)
axis.set_axisbelow(True)
axis.grid(axis="y", alpha=0.3)

# %% [markdown]
# The last blocks are the heavy ones: without five of eleven, 21.8 million weights
# become 5.1 million.
#
# ## A network that has learned something
#
# `pretrain` trains the blocks on the other classes and keeps the result in the cache folder: a minute the first
# time, nothing after that. With ImageNet weights there is nothing to do but to load them.

# %%
preprocess = keras.applications.inception_v3.preprocess_input
if on_photographs:
    network = keras.applications.InceptionV3(include_top=False, weights=found.path, input_shape=(side, side, 3))
else:
    network = keras.models.clone_model(transfer.truncate(untrained, after=knobs["last_block"]))
backbone = transfer.truncate(network, after=knobs["last_block"])
if not on_photographs:
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # so that its statistics keep up with a short training
    images, epochs = knobs["pretraining"]
    started = time.perf_counter()
    transfer.pretrain(backbone, earlier.subset(images), epochs=epochs, preprocess_input=preprocess, verbose=0)
    print(f"pretrained, or its result loaded, in {time.perf_counter() - started:.0f} s")
print(f"InceptionV3 up to {knobs['last_block']}: {backbone.count_params():,} weights; {pretrained_on}")


def with_head(cut, outputs=num_classes):
    """Return a transfer model: preprocessing, the cut network, the mean of each map, dropout, a new head."""
    return TransferModel(cut, outputs, preprocess_input=preprocess)


head = Stage("head", epochs=knobs["epochs"][0], learning_rate=knobs["rates"][0])
options = {"batch_size": knobs["batch_size"], "verbose": 0}

# %% [markdown]
# ## Unfreezing block by block
#
# First the head alone is trained. From there `unfreeze_sweep` starts anew at each step: the head and the first
# block are trained, the head and the first two, and so on. The course begins **at the input**.

# %%
runtime.seed_everything(0)
model = with_head(backbone)
model.fit_stages([head], tiny, validation_split=0.25, **options)
sweep_options = options | {"validation_split": 0.25}
sweep_options |= {"epochs": knobs["epochs"][1], "learning_rate": knobs["rates"][1]}
from_input = transfer.unfreeze_sweep(model, tiny, start="input", **sweep_options)
from_input

# %%
plotting.plot_unfreeze_sweep(from_input, caption=f"Unfrozen from the input; {about}")

# %% [markdown]
# The other way round, **from the head**: what was learned last is the most particular to the old task. None and
# all are the same steps as before; they are taken over.

# %%
num_blocks = len(transfer.blocks(backbone))
rows, notes = [row for row in from_input.rows if row.unfrozen_blocks in (0, num_blocks)], from_input.notes
if num_blocks > 1:
    between = list(range(1, num_blocks))
    measured = transfer.unfreeze_sweep(model, tiny, start="head", steps=between, **sweep_options)
    rows, notes = sorted([*rows, *measured.rows], key=lambda row: row.unfrozen_blocks), measured.notes
from_head = transfer.SweepResults(tuple(rows), "head", notes)
from_head

# %%
plotting.plot_unfreeze_sweep(from_head, caption=f"Unfrozen from the head; {about}")

# %% [markdown]
# ## Removing blocks
#
# The cut network, the mean of each map and a softmax: nothing but the head is trained, on the tiny set of each
# seed. Nothing is held out, since each image is needed: the epochs are fixed, and no choice is made by the test
# images. The error bar is the standard deviation over the seeds.


# %%
def over_seeds(cut, **more):
    """Train a head on the tiny set of each seed; return the accuracies on the test images."""
    accuracies = []
    for seed in range(knobs["seeds"]):
        runtime.seed_everything(seed)
        few = pool.subset(knobs["per_class"], seed=seed)
        results = with_head(cut).fit_stages([head], few, validation_split=0, seed=seed, **options, **more)
        accuracies.append(results.rows[0].test_accuracy)
    return accuracies


def spread(values):
    """Return the standard deviation over the seeds, 0 of a single one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


seeds_used = "1 seed" if knobs["seeds"] == 1 else f"{knobs['seeds']} seeds"
by_cut, sizes = {}, {}
for block in [f"mixed{number}" for number in knobs["cuts"]]:
    cut = transfer.truncate(network, after=block)
    by_cut[block], sizes[block] = over_seeds(cut), cut.count_params()
    shown = ", ".join(f"{value:.1%}" for value in by_cut[block])
    print(f"up to {block:8s}{sizes[block]:11,} weights: {np.mean(by_cut[block]):.1%} (seeds: {shown})")

figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
axis.errorbar(
    [sizes[block] / 1e6 for block in by_cut],
    [np.mean(values) for values in by_cut.values()],
    yerr=[spread(values) for values in by_cut.values()],
    marker="o",
    capsize=3,
)
for block, values in by_cut.items():
    place = (sizes[block] / 1e6, np.mean(values))
    axis.annotate(block, place, xytext=(6, 6), textcoords="offset points", fontsize=9)
axis.axhline(1 / num_classes, color="0.5", linestyle="--", label="guessing")
axis.set(xlabel="weights of the backbone, millions", ylabel="test accuracy", ylim=(0, 1.02))
axis.margins(x=0.12)
axis.set_title(f"Head on the cut network, {seeds_used}\n{about}", fontsize=9)
axis.legend(loc="lower right", fontsize=9)
axis.grid(alpha=0.3)

# %% [markdown]
# ## Augmentations, one by one and together
#
# The course tries them on the tiny set. With the backbone frozen, the features of a few changed *views* of each
# image are computed once; each epoch draws one of them. So the head sees changed images, and no image goes through
# the network again. The network is a cut one: in `full` and `gpu` the course's, up to mixed5.

# %%
strengths = {
    "flip": {"flip": "horizontal"},
    "translation": {"translation": 0.2},
    "rotation": {"rotation": 0.1},
    "zoom": {"zoom": 0.2},
}
single = knobs["augmentations"] or list(strengths)
chosen = {name: strengths[name] for name in single}
if len(single) > 1:
    chosen["together"] = {name: value for each in strengths.values() for name, value in each.items()}

looks = {}
for name, arguments in chosen.items():
    augment = pipeline(**arguments, seed=1)
    batch = np.repeat(examples[:1], 5, axis=0)
    looks[name] = keras.ops.convert_to_numpy(augment(batch, training=True)).round().clip(0, 255).astype("uint8")
plotting.plot_image_table(looks, [f"view {number}" for number in range(1, 6)], caption=f"One image of {tiny.name}")

# %%
started = time.perf_counter()
cut = transfer.truncate(network, after=knobs["cut"])
by_augmentation = {"none": by_cut[knobs["cut"]]}
for name, arguments in chosen.items():
    by_augmentation[name] = over_seeds(cut, augmentation=pipeline(**arguments, seed=0), views=knobs["views"])
for name, values in by_augmentation.items():
    shown = ", ".join(f"{value:.1%}" for value in values)
    print(f"{name:12s}{np.mean(values):7.1%} ± {100 * spread(values):.1f}  (seeds: {shown})")
print(f"{knobs['views']} views of each image; {time.perf_counter() - started:.0f} s. {device}")

figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
for number, values in enumerate(by_augmentation.values()):
    axis.plot([number] * len(values), values, "o", color="#0072B2", alpha=0.6, label="" if number else "a seed")
    axis.plot([number - 0.2, number + 0.2], [np.mean(values)] * 2, color="#D55E00", label="" if number else "mean")
axis.set_xticks(range(len(by_augmentation)), list(by_augmentation))
axis.margins(x=0.08, y=0.15)
axis.set_ylabel("test accuracy")
axis.set_title(f"Head on InceptionV3 up to {knobs['cut']}, augmented views\n{about}", fontsize=9)
axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
axis.grid(axis="y", alpha=0.3)

# %% [markdown]
# ### Does the course's finding hold here?
#
# *Each alone helps; together they are no better; mirroring is enough.* Each seed has given a difference $d$
# between two variants on the same tiny set. The mean of $n$ such differences is known up to an interval that
# covers the true one in 95 of 100 such experiments, if the differences are about normal ($s$ is their standard
# deviation):
#
# $$\bar d \pm t_{n-1} \frac{s}{\sqrt{n}}$$
#
# A claim *holds* or *does not hold* only where the whole interval says so. "No better" allows for two points. Each
# interval is one of a comparison by itself: of many, some miss by chance.

# %%
margin = 0.02


def interval(name, other):
    """Return the lowest and the highest credible difference of two variants."""
    differences = np.subtract(by_augmentation[name], by_augmentation[other])
    if len(differences) < 2:
        return -np.inf, np.inf
    half = student_t.ppf(0.975, len(differences) - 1) * spread(differences) / np.sqrt(len(differences))
    return differences.mean() - half, differences.mean() + half


def verdict(holds, fails):
    """Put two conditions that exclude each other into words."""
    return "holds" if holds else "does not hold" if fails else "undecided"


for name in chosen:
    low, high = interval(name, "none")
    print(f"{name} against none: {100 * low:+.2f} to {100 * high:+.2f} points")
to_none = [interval(name, "none") for name in single]
verdicts = {"each alone helps": verdict(all(low > 0 for low, _ in to_none), any(high <= 0 for _, high in to_none))}
if "together" in chosen:
    to_single = [interval("together", name) for name in single]
    verdicts["together no better than the best alone"] = verdict(
        any(high < margin for _, high in to_single), all(low > margin for low, _ in to_single)
    )
    to_flip = [interval(name, "flip") for name in chosen if name != "flip"]
    verdicts["flip is enough"] = verdict(
        interval("flip", "none")[0] > 0 and all(high < margin for _, high in to_flip),
        interval("flip", "none")[1] <= 0 or any(low > margin for low, _ in to_flip),
    )
for claim, word in verdicts.items():
    print(f"{claim}: {word} ({seeds_used})")

# %% [markdown]
# ## ROC and AUC, class by class
#
# Accuracy asks for the most probable class. A **ROC curve** asks how well the probability of one class sorts the
# images: at each threshold the share of its own images that pass it, against the share of the others that do. The
# area under it is the share of pairs, one image of the class and one other, that are in the right order:
#
# $$\mathrm{AUC} = P(p_i > p_j) + \frac{1}{2} P(p_i = p_j), \quad i \text{ of the class}, j \text{ not}$$

# %%
probabilities = latent.extract_features(model, tiny.x_test, verbose=0)
curves = evaluation.roc_curves(tiny.y_test, probabilities, tiny.class_names)
areas = [curve.auc for curve in curves if curve.auc is not None]
print(f"accuracy {np.mean(probabilities.argmax(axis=1) == tiny.y_test):.1%}, mean AUC {np.mean(areas):.3f}")
plotting.plot_roc_curves(curves, caption=f"Head on InceptionV3 up to {knobs['last_block']}; {about}")

# %% [markdown]
# ## Two classes, one sigmoid
#
# Now only the first two classes. For two classes one number is enough: the probability of the second one.
# `num_classes=1` makes that head, and the loss becomes the binary cross-entropy. For comparison the same head on
# the same blocks with random weights.

# %%
pair = tiny.class_names[:2]
two = some_classes(tiny, pair, f"{pair[0]} or {pair[1]}, {tiny.name}")

binary_curves = []
for name, blocks in {"pretrained": network, "random weights": untrained}.items():
    runtime.seed_everything(0)
    binary = with_head(transfer.truncate(blocks, after=knobs["last_block"]), outputs=1)
    binary.fit_stages([head], two, validation_split=0, **options)
    of_second = latent.extract_features(binary, two.x_test, verbose=0)
    (curve,) = evaluation.roc_curves(two.y_test, of_second, two.class_names)
    binary_curves.append(dataclasses.replace(curve, name=name))
    right = np.mean((of_second[:, 0] > 0.5) == two.y_test)
    print(f"{name}: AUC {curve.auc:.3f}, accuracy at the threshold 0.5 {right:.1%}")
    enough = int(np.argmax(curve.true_positive_rates >= 0.9))
    passed, threshold = curve.false_positive_rates[enough], curve.thresholds[enough]
    print(f"  to find 90% of {pair[1]}: threshold {threshold:.2f}, and {passed:.0%} of {pair[0]} pass as well")
plotting.plot_roc_curves(binary_curves, caption=f"Is it {pair[1]}, not {pair[0]}? {about}")

# %% [markdown]
# ## What we saw
#
# - The weights are not spread evenly: the last five blocks hold three quarters of them. To cut there costs least
#   and saves most.
# - A cut network is a network: its early blocks give features that a head of a few thousand weights can use.
# - Unfreezing trains hundreds of times as many weights as the head alone has. What that gave is in the tables;
#   from the input and from the head both ends are the same steps, and only the way between them differs. Of one
#   seed and so few held-out images a few points mean nothing.
# - Whether an augmentation helps is a question of many seeds. With few images and few seeds the honest answer is
#   often *undecided*; the verdicts above are computed and may be others on your machine.
# - The area under a ROC curve needs no threshold, a decision does: which error costs more? A model may sort the
#   images well and yet answer badly at the threshold 0.5.
#
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### Five blocks less
#
# The course removes the last five of the eleven blocks. What is the name of the last block that is left, and which
# share of the weights is left (from 0 to 1)? The numbers are in the table of the cuts.

# student: last_block = None
# student: share_left = None
# solution
last_block = "mixed5"
share_left = 5_138_656 / 21_802_784
# end solution

ex.five_blocks_less.check(last_block, share_left)

# %% tags=["exercise"]
# ### Which blocks are trained?
#
# `names` holds the names of all blocks from input to output. Return a list of those that are trained when `count`
# of them are unfrozen, from the `"input"` or from the `"head"`. With 0 there is none.


def unfrozen(names, count, start):
    # student: return None
    # solution
    if start == "input":
        return names[:count]
    return names[len(names) - count :]
    # end solution


ex.trained_blocks.check(unfrozen)

# %% [markdown] tags=["solution"]
# `names[-count:]` works for every count but 0: `names[-0:]` is `names[0:]`, which is all of them. The step "none"
# would train the whole network, and nobody would be told.

# %% tags=["exercise"]
# ### How many images go through the backbone?
#
# Its weights are frozen; a head is trained for 50 epochs on 400 training images (nothing is held out). How many
# images go through the backbone in all: in a plain `fit`, with the features kept, and with augmentation and 4 kept
# views of each image?

# student: plain = None
# student: cached = None
# student: views = None
# solution
plain = 50 * 400
cached = 400
views = 4 * 400
# end solution

ex.passes.check(plain, cached, views)

# %% tags=["exercise"]
# ### The area from pairs
#
# `positives` and `negatives` are arrays: the probabilities of the images that are of the class, and of those that
# are not. Return the area under the ROC curve as the share of pairs in the right order. Equal values count one
# half.


def area(positives, negatives):
    # student: return None
    # solution
    difference = positives[:, None] - negatives
    return np.mean((difference > 0) + 0.5 * (difference == 0))
    # end solution


ex.area_by_pairs.check(area)

# %% [markdown]
# ## Where to go on
#
# - Unfreeze the blocks of the network that you have cut: is it the cut or the training that matters?
# - `07_transfer_learning` has the stages that a real training would go through after the head.
# - Your own photographs: `load_image_folder("photos")` in place of `pool`.

# %% tags=["summary"]
print(f"Data: {tiny.name}, {len(tiny.x_train)} training images ({tiny.source}); learned before: {pretrained_on}")
for block, values in by_cut.items():
    print(f"Up to {block}: {np.mean(values):.1%} with {sizes[block]:,} weights ({seeds_used})")
for claim, word in verdicts.items():
    print(f"{claim}: {word}")
print(f"Mean AUC {np.mean(areas):.3f}; {pair[0]} or {pair[1]}: {binary_curves[0].auc:.3f}")
print(device)
ex.summary()
