# %% [markdown]
# # 8. Block by block
#
# **The question.** How much of a network does one need? A deep network is a row of blocks. How many of them have
# to be trained for a new task? How many can be left out altogether? And which augmentations help when there are 50
# images of each class?
#
# *Follows Lorente (InceptionV3: unfreezing block by block, removing blocks, a tiny set, augmentations one by one
# and combined); curves: Manco and Lorente (ROC and AUC per class). On the networks: Szegedy et al. (2015),
# InceptionV3; Sandler et al. (2018), MobileNetV2.*

# %%
import dataclasses
import os
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers
from scipy import stats

from kerascv_course import Stage, TransferModel, evaluation, plotting, runtime, transfer
from kerascv_course.augmentation import pipeline
from kerascv_course.datasets import find_backbone_weights, load, load_scenes, missing
from kerascv_course.exercises import inception_by_blocks as ex
from kerascv_course.experiment import verdict

device = runtime.setup(seed=0, missing=missing("cifar10", "mobilenet_v2_96"))
print(device)

# %% [markdown]
# ## Knobs

# %%
choose = runtime.by_profile
knobs = {
    "per_class": choose(smoke=5, lite=10, full=50, gpu=50),  # the tiny set
    "test_images": choose(smoke=50, lite=100, full=1_000, gpu=5_000),
    "seeds": choose(smoke=1, lite=1, full=5, gpu=5),
    "head_epochs": choose(smoke=1, lite=20, full=40, gpu=40),
    "sweep_epochs": choose(smoke=1, lite=1, full=2, gpu=10),
    "every": choose(smoke=20, lite=10, full=3, gpu=1),  # each so many blocks are a step of unfreezing
    "views": choose(smoke=2, lite=2, full=3, gpu=5),  # of each image, where augmentation is tried
}
knobs

# %% [markdown]
# ## The network
#
# Lorente takes InceptionV3. We take it, too, where its ImageNet weights are at hand or can be downloaded, as in
# Colab. Otherwise we ask the same questions of MobileNetV2. Where no ImageNet weights are at hand at all, the
# first blocks of InceptionV3 learn five classes of *patches* here and now: real blocks, but **not ImageNet**.
# Every output and title says which network it is.

# %%
side = choose(smoke=75, lite=96, full=96, gpu=150)
if_possible = "never" if device.downloads == "never" else "if possible"
found = None
for name in () if device.profile == "smoke" else ("InceptionV3", "MobileNetV2"):
    found = find_backbone_weights(name, (side, side), download=if_possible)
    if found is not None:
        break
untrained = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(side, side, 3))


def some_classes(data, names, name):
    """Return a record of some classes, labelled from 0 in the order of their names."""
    labels = [data.class_names.index(each) for each in names]
    parts = {}
    for part in ("train", "test"):
        x, y = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
        wanted = np.isin(y, labels)
        parts |= {f"x_{part}": x[wanted], f"y_{part}": np.searchsorted(labels, y[wanted])}
    return dataclasses.replace(data, **parts, class_names=tuple(names), name=name)


preprocess_input = keras.applications.inception_v3.preprocess_input
if found is None:
    patches = load("patches")
    earlier = some_classes(patches, patches.class_names[:5], "five classes of patches")
    network = keras.models.clone_model(transfer.truncate(untrained, after="mixed2"))
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.9  # so that its statistics keep up with a short training
    images, epochs = choose(smoke=(10, 1), lite=(200, 4), full=(200, 4), gpu=(200, 4))
    transfer.pretrain(network, earlier.subset(images), epochs=epochs, preprocess_input=preprocess_input, verbose=0)
    network_name, learned = "InceptionV3 up to mixed2", "five classes of patches, not ImageNet"
else:
    network_name, learned = name, f"ImageNet ({found.source})"
    build = getattr(keras.applications, name)
    network = build(include_top=False, weights=found.path, input_shape=(side, side, 3))
    if name == "MobileNetV2":
        preprocess_input = keras.applications.mobilenet_v2.preprocess_input

blocks = [block for block in transfer.blocks(network) if block.params]
print(f"{network_name}, {network.count_params():,} weights in {len(blocks)} blocks; learned before: {learned}")
print(", ".join(block.name for block in blocks))

# %% [markdown]
# ## The data
#
# Lorente uses the eight outdoor scenes of Oliva and Torralba. Unpack them beside this notebook, or in the folder
# that `KERASCV_COURSE_DATA` names, and they are used; otherwise CIFAR-10 is. Each seed draws another **tiny set**;
# the test images stay. They are drawn from all classes.

# %%
unpacked = "spatial_envelope_256x256_static_8outdoorcategories"
places = [Path(unpacked), Path(os.environ.get("KERASCV_COURSE_DATA") or ".", unpacked)]
scenes = next((place for place in places if place.is_dir()), None)
if found is None:
    pool = some_classes(patches, patches.class_names[5:], "the other five classes of patches")
else:
    pool = load_scenes(scenes) if scenes else load("cifar10", fallback="patches", download=device.downloads)
some_images, some_labels = pool.head(knobs["test_images"], split="test")
pool = dataclasses.replace(pool, x_test=some_images, y_test=some_labels)
tiny_sets = [pool.subset(knobs["per_class"], seed=seed) for seed in range(knobs["seeds"])]
tiny, num_classes = tiny_sets[0], pool.num_classes
about = f"{network_name}, {pool.name}"
print(f"To learn: {pool.name}, {len(tiny.x_train)} training images for each seed, from {pool.source}")
print(f"{len(pool.x_test):,} test images; of each class:", np.bincount(pool.y_test).tolist())

examples, _ = tiny.examples()
plotting.plot_images(examples, titles=tiny.class_names, columns=min(5, num_classes), caption=f"Data: {pool.name}")

# %% [markdown]
# ## Eleven places to cut InceptionV3
#
# Each block of InceptionV3 ends with a layer named `mixed0` to `mixed10`, where its branches are put together.
# `truncate` cuts a network after one of them. To count, no weights have to be downloaded: these are the numbers of
# the real network.

# %%
cuts = [transfer.truncate(untrained, after=f"mixed{number}") for number in range(11)]
for number, cut in enumerate(cuts):
    maps = " x ".join(map(str, cut.output_shape[1:]))
    share = cut.count_params() / untrained.count_params()
    print(f"after mixed{number:<2d} {cut.count_params():10,} weights {share:7.1%}   maps {maps}")
print(f"Input: {side} x {side} pixels")

figure, axis = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
millions = [cut.count_params() / 1e6 for cut in cuts]
axis.bar(range(11), millions, color=["C1" if number == 5 else "C0" for number in range(11)])
for number, height in enumerate(millions):
    axis.text(number, height + 0.3, f"{height:.1f}", ha="center", fontsize=9)
axis.set_xticks(range(11), [f"mixed{number}" for number in range(11)], rotation=30)
axis.set(ylabel="weights without head, millions", ylim=(0, 24), xlabel="last block that is kept")
axis.set_title("InceptionV3, cut after each block; the other colour: Lorente's cut", fontsize=10)
axis.grid(axis="y", alpha=0.3)

# %% [markdown]
# ## Unfreezing block by block
#
# First the head alone is trained. From there `unfreeze_sweep` starts anew at each step: the head and the first
# blocks are trained, then the head and more blocks, and so on. Lorente begins **at the input**. The other way is
# to begin at the head: what was learned last is the most particular to the old task.
#
# Every step is made for each seed, on the tiny set of that seed. The accuracy is that on the test images; nothing
# is chosen by it.


# %%
def with_head(cut, outputs=num_classes):
    """Return a transfer model: preprocessing, the cut network, the mean of each map, dropout, a new head."""
    return TransferModel(cut, outputs, preprocess_input=preprocess_input)


head = Stage("head", epochs=knobs["head_epochs"])
options = {"batch_size": 16, "validation_split": 0, "verbose": 0}
steps = sorted({*range(0, len(blocks), knobs["every"]), len(blocks)})
sweeps = {"input": {step: [] for step in steps}, "head": {step: [] for step in steps}}
trained = {"input": {}, "head": {}}
for seed, few in enumerate(tiny_sets):
    runtime.seed_everything(seed)
    model = with_head(network)
    model.fit_stages([head], few, seed=seed, **options)
    for start, by_step in sweeps.items():
        wanted = steps if start == "input" else steps[1:-1]  # none and all are the same from both ends
        if not wanted:
            continue
        found_out = transfer.unfreeze_sweep(
            model, few, start=start, steps=wanted, epochs=knobs["sweep_epochs"], seed=seed, **options
        )
        for row in found_out.rows:
            by_step[row.unfrozen_blocks].append(row.test_accuracy)
            trained[start][row.unfrozen_blocks] = row.trainable_params
for step in (steps[0], steps[-1]):
    sweeps["head"][step], trained["head"][step] = sweeps["input"][step], trained["input"][step]


def mean_and_interval(values):
    """Write a mean and its 95 % interval, in per cent."""
    values = 100 * np.array(values)
    if len(values) < 2:
        return f"{values[0]:5.1f} (one seed)"
    reach = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{values.mean():5.1f} ({values.mean() - reach:.1f} to {values.mean() + reach:.1f})"


for start, by_step in sweeps.items():
    print(f"{network_name}, unfrozen from the {start}: accuracy in %, 95 % interval, {knobs['seeds']} seeds")
    for step, values in by_step.items():
        weights, found_out = trained[start][step], mean_and_interval(values)
        print(f"  {step:2} of {len(blocks)} blocks, {weights:10,} weights trained: {found_out}")

# %%
figure, axis = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
for start, by_step in sweeps.items():
    values = 100 * np.array(list(by_step.values()))
    reach = stats.t.ppf(0.975, knobs["seeds"] - 1) * stats.sem(values, axis=1) if knobs["seeds"] > 1 else None
    axis.errorbar(steps, values.mean(axis=1), yerr=reach, marker="o", capsize=3, label=f"from the {start}")
axis.set(xlabel="unfrozen blocks", ylabel="test accuracy in %", title=about)
axis.legend()
axis.grid(alpha=0.3)

# %%
for start, by_step in sweeps.items():
    best = max(steps[1:], key=lambda step, by_step=by_step: np.mean(by_step[step]))
    named = {f"{best} blocks from the {start}": by_step[best], "the head alone": by_step[0]}
    print(verdict(named, *named, margin=0.01))
print("The best of several steps was chosen by the same figures: its lead is a little too large.")

# %% [markdown]
# ## Removing blocks
#
# Now the network is *cut* after a block: the mean of each of its maps and a softmax follow. Nothing but the head
# is trained. Nothing is held out, since each image is needed: the epochs are fixed.


# %%
def over_seeds(cut, **more):
    """Train a head on the tiny set of each seed; return the accuracies on the test images."""
    accuracies = []
    for seed, few in enumerate(tiny_sets):
        runtime.seed_everything(seed)
        results = with_head(cut).fit_stages([head], few, seed=seed, **options, **more)
        accuracies.append(results.rows[0].test_accuracy)
    return accuracies


places = [block.name for block in blocks][knobs["every"] - 1 :: knobs["every"]]
last, five_less = blocks[-1].name, blocks[max(0, len(blocks) - 6)].name  # all blocks, and five less
by_cut, sizes = {}, {}
for block in dict.fromkeys([*places, five_less, last]):
    cut = transfer.truncate(network, after=block)
    by_cut[block], sizes[block] = over_seeds(cut), cut.count_params()
order = sorted(by_cut, key=sizes.get)
print(f"{network_name}, cut: accuracy in %, 95 % interval, {knobs['seeds']} seeds")
for block in order:
    print(f"  up to {block:14}{sizes[block]:11,} weights: {mean_and_interval(by_cut[block])}")

figure, axis = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
values = 100 * np.array([by_cut[block] for block in order])
reach = stats.t.ppf(0.975, knobs["seeds"] - 1) * stats.sem(values, axis=1) if knobs["seeds"] > 1 else None
axis.errorbar(range(len(order)), values.mean(axis=1), yerr=reach, marker="o", capsize=3)
ticks = [f"{block}\n{sizes[block] / 1e6:.2f} M" for block in order]
axis.set_xticks(range(len(order)), ticks, rotation=45, fontsize=8)
axis.axhline(100 / num_classes, color="gray", linestyle="--", label="guessing")
axis.set(xlabel="last block that is kept, and weights up to it", ylabel="test accuracy in %", title=about)
axis.legend()
axis.grid(alpha=0.3)

# %% [markdown]
# ## Augmentations, one by one and together
#
# With the network frozen, the features of a few changed *views* of each image are computed once; each epoch draws
# one of them. So the head sees changed images, and no image goes through the network again. The network is the one
# without its last five blocks.

# %%
strengths = {
    "flip": {"flip": "horizontal"},
    "translation": {"translation": 0.2},
    "rotation": {"rotation": 0.1},
    "zoom": {"zoom": 0.2},
}
chosen = strengths | {"together": {name: value for each in strengths.values() for name, value in each.items()}}
looks = {}
for name, arguments in chosen.items():
    augment = pipeline(**arguments, seed=1)
    batch = np.repeat(examples[:1], 5, axis=0)
    looks[name] = keras.ops.convert_to_numpy(augment(batch, training=True)).round().clip(0, 255).astype("uint8")
plotting.plot_image_table(looks, [f"view {number}" for number in range(1, 6)], caption=f"One image of {pool.name}")

# %%
cut = transfer.truncate(network, after=five_less)
by_augmentation = {"none": by_cut[five_less]}
for name, arguments in chosen.items():
    by_augmentation[name] = over_seeds(cut, augmentation=pipeline(**arguments, seed=0), views=knobs["views"])
print(f"{network_name} up to {five_less}: accuracy in %, 95 % interval, {knobs['seeds']} seeds")
for name, values in by_augmentation.items():
    print(f"  {name:12}{mean_and_interval(values)}")

figure, axis = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
for number, values in enumerate(by_augmentation.values()):
    points, mean = 100 * np.array(values), 100 * np.mean(values)
    axis.plot([number] * len(points), points, "o", color="C0", alpha=0.6, label="" if number else "a seed")
    axis.plot([number - 0.2, number + 0.2], [mean, mean], color="C1", label="" if number else "mean")
axis.set_xticks(range(len(by_augmentation)), list(by_augmentation))
axis.margins(x=0.08, y=0.15)
axis.set(ylabel="test accuracy in %", title=f"{about}, up to {five_less}")
axis.legend()
axis.grid(axis="y", alpha=0.3)

# %% [markdown]
# ## Lorente's four claims
#
# 1. Without the last five blocks the network is nearly as good.
# 2. Each augmentation alone helps.
# 3. All together are no better than the best one.
# 4. Mirroring is enough.
#
# Each is judged by paired differences over the seeds. "Nearly as good" and "no better" allow for two points, named
# before we look. A claim about several comparisons holds only where each of them does.

# %%
margin = 0.02
singles = {name: verdict(by_augmentation, name, "none") for name in strengths}
best = max(strengths, key=lambda name: np.mean(by_augmentation[name]))
both = {"five blocks less": by_cut[five_less], "the whole network": by_cut[last]}
less = verdict(both, "five blocks less", "the whole network", margin=margin)
together = verdict(by_augmentation, "together", best, margin=margin)
flip = verdict(by_augmentation, "together", "flip", margin=margin) if best != "flip" else together
for judged in dict.fromkeys(map(str, (less, *singles.values(), together, flip))):  # each once
    print(judged)

NOT_WORSE, NOT_BETTER = ("holds", "practically equal"), ("does not hold", "practically equal")


def word(holds, fails):
    """Say what is known of a claim."""
    return "holds" if holds else "does not hold" if fails else "undecided"


found_words = [judged.conclusion for judged in singles.values()]
claims = {
    "five blocks less are nearly as good": word(less.conclusion in NOT_WORSE, less.conclusion == "does not hold"),
    "each augmentation alone helps": word(
        all(said == "holds" for said in found_words), any(said == "does not hold" for said in found_words)
    ),
    "together no better than the best": word(together.conclusion in NOT_BETTER, together.conclusion == "holds"),
    "mirroring is enough": word(
        singles["flip"].conclusion == "holds" and flip.conclusion in NOT_BETTER,
        singles["flip"].conclusion == "does not hold" or flip.conclusion == "holds",
    ),
}
print()
for claim, said in claims.items():
    print(f"{claim}: {said} ({about}, {knobs['seeds']} seeds)")

# %% [markdown]
# Up to seven comparisons at 95 %: if nothing made a difference, one page in three would still show a false one
# ($1 - 0.95^7 = 30\ \%$).
#
# ## ROC and AUC, class by class
#
# Accuracy asks for the most probable class. A **ROC curve** asks how well the probability of one class sorts the
# images: at each threshold the share of its own images that pass it, against the share of the others that do. The
# area under it is the share of pairs, one image of the class and one other, that are in the right order:
#
# $$\mathrm{AUC} = P(p_i > p_j) + \frac{1}{2} P(p_i = p_j), \quad i \text{ of the class}, j \text{ not}$$

# %%
probabilities = model.predict(tiny.x_test, verbose=0)  # the last model of the sweep: its head alone is trained
curves = evaluation.roc_curves(tiny.y_test, probabilities, tiny.class_names)
areas = [curve.auc for curve in curves if curve.auc is not None]
print(f"accuracy {np.mean(probabilities.argmax(axis=1) == tiny.y_test):.1%}, mean AUC {np.mean(areas):.3f}")
plotting.plot_roc_curves(curves, caption=f"Head on {about}")

# %% [markdown]
# ## Two classes, one sigmoid
#
# Now only the first two classes. For two classes one number is enough: the probability of the second one.
# `num_classes=1` makes that head, and the loss becomes the binary cross-entropy. For comparison the same head on
# the same network with random weights. Its maps hold tiny numbers (notebook 7), so they are first scaled to mean 0
# and standard deviation 1.

# %%
pair = tiny.class_names[:2]
two = some_classes(tiny, pair, f"{pair[0]} or {pair[1]}, {pool.name}")
blank = keras.models.clone_model(network)  # the same layers, random weights
pixels = keras.ops.image.resize(two.x_train.astype("float32"), (side, side))
maps = blank.predict(preprocess_input(pixels), verbose=0)
blank = keras.Model(blank.input, layers.Rescaling(1 / maps.std(), -maps.mean() / maps.std())(blank.output))

binary_curves = []
for name, base in {"pretrained": network, "random weights": blank}.items():
    runtime.seed_everything(0)
    binary = with_head(base, outputs=1)
    binary.fit_stages([head], two, **options)
    of_second = binary.predict(two.x_test, verbose=0)
    (curve,) = evaluation.roc_curves(two.y_test, of_second, two.class_names)
    binary_curves.append(dataclasses.replace(curve, name=name))
    right = np.mean((of_second[:, 0] >= 0.5) == two.y_test)
    print(f"{name}: AUC {curve.auc:.3f}, accuracy at the threshold 0.5 {right:.1%}")
    enough = int(np.argmax(curve.true_positive_rates >= 0.9))
    passed, threshold = curve.false_positive_rates[enough], curve.thresholds[enough]
    print(f"  to find 90% of {pair[1]}: threshold {threshold:.2f}, and {passed:.0%} of {pair[0]} pass as well")
plotting.plot_roc_curves(binary_curves, caption=f"Is it {pair[1]}, not {pair[0]}? {about}")

# %% [markdown]
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

# %% [markdown] tags=["hints"]
# - The blocks are counted from mixed0, so the last of the eleven is mixed10.
# - Without the last one mixed9 is the end, without the last two mixed8.
# - Both numbers of weights are in the table of the cuts. Divide what is left by the whole.

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

# %% [markdown] tags=["hints"]
# - A list is cut with `names[:3]` and `names[3:]`.
# - What is `names[-3:]`? And what is `names[-0:]`?
# - `names[len(names) - count :]` is right for every count.

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

# %% [markdown] tags=["hints"]
# - Without a cache every image goes through the whole network in every epoch.
# - The features of an image that is not changed are the same in every epoch.
# - Four views of an image are four images.

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

# %% [markdown] tags=["hints"]
# - Compare each value of `positives` with each value of `negatives`.
# - `positives[:, None] - negatives` holds the differences of all pairs.
# - A pair counts 1 where the difference is above 0, and one half where it is 0. Then the mean.

# %% [markdown]
# ## Where to go on
#
# - Unfreeze the blocks of the network that you have cut: is it the cut or the training that matters?
# - `07_transfer_learning` has the stages that a real training would go through after the head.
# - Your own photographs: `load_image_folder("photos")` in place of `pool`.

# %% tags=["summary"]
print(f"{network_name}; learned before: {learned}")
print(f"Data: {pool.name}, {len(tiny.x_train)} training images ({pool.source})")
for claim, said in claims.items():
    print(f"{claim}: {said}")
print(f"Mean AUC {np.mean(areas):.3f}; {pair[0]} or {pair[1]}: {binary_curves[0].auc:.3f}")
print(device)
ex.summary()
