# %% [markdown]
# # 14. Before CNNs: bag of visual words
#
# **The question.** How did a computer tell a cat from a ship before networks learned their own features? On the
# same images, how far does that get, in which time? And how many images does a network need to be better?
#
# *Follows Lorente (classic and deep image classification). On its parts: Lowe (2004), SIFT; Csurka et al. (2004),
# visual words; Lazebnik, Schmid and Ponce (2006), the pyramid; Jégou et al. (2010), VLAD; Perronnin, Sánchez and
# Mensink (2010), Fisher vectors; Arandjelović and Zisserman (2012), RootSIFT.*

# %%
import importlib.util
import math
import time
from copy import copy

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers
from matplotlib.patches import Rectangle
from scipy import stats
from skimage import data as photographs
from skimage.transform import resize
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler
from sklearn.svm import SVC, LinearSVC

from kerascv_course import TransferModel, build_lenet5, layer_table, plotting, runtime
from kerascv_course.classic import BagOfVisualWords, Daisy, DenseSift, Sift, histogram_intersection
from kerascv_course.datasets import colour_baseline, find_backbone_weights, load, missing
from kerascv_course.exercises import bag_of_visual_words as ex
from kerascv_course.experiment import verdict
from kerascv_course.latent import extract_features, feature_extractor
from kerascv_course.models import build_tinynet

device = runtime.setup(seed=0, missing=missing("cifar10", "mobilenet_v2_96"))
print(device)

# %% [markdown]
# ## Knobs
#
# All sizes are in this cell. `lite` takes about a minute and shows how everything works. Its numbers of images
# are too small for a conclusion: read the results on the solved page, which ran in `full`.

# %%
choose = runtime.by_profile
knobs = {
    "pool_per_class": choose(smoke=12, lite=60, full=2_500, gpu=None),  # training images; None: all
    "test_per_class": choose(smoke=5, lite=30, full=500, gpu=None),
    "per_class": choose(smoke=(5, 10), lite=(10, 50), full=(50, 500, 2_000), gpu=(50, 500, 2_000, 5_000)),
    "seeds": choose(smoke=1, lite=1, full=5, gpu=5),
    "step": choose(smoke=4, lite=3, full=2, gpu=2),  # pixels between two descriptors
    "pca": choose(smoke=8, lite=32, full=32, gpu=48),  # numbers that are kept of a descriptor
    "words": choose(smoke=16, lite=64, full=256, gpu=256),
    "components": choose(smoke=4, lite=8, full=16, gpu=16),  # words of VLAD, Gaussians of the Fisher vector
    "max_descriptors": choose(smoke=1_000, lite=4_000, full=40_000, gpu=100_000),
    "chosen_per_class": choose(smoke=5, lite=20, full=500, gpu=500),  # for cross-validation
    "folds": choose(smoke=2, lite=3, full=8, gpu=8),
    "epochs": choose(smoke=1, lite=5, full=20, gpu=50),
    "least_steps": choose(smoke=1, lite=100, full=1_500, gpu=3_000),  # more epochs where there are few images
    "patch_epochs": choose(smoke=1, lite=2, full=10, gpu=10),
}
knobs

# %% [markdown]
# ## The data
#
# CIFAR-10, where it is at hand. Where it is not, the profiles `full` and `gpu` download it, and so does `lite` in
# Colab and Kaggle. Otherwise *patches* take its place: crops of ten photographs that scikit-image carries.
#
# The training images are a **pool**. Each seed draws its own images from it. The choices are made on training
# images; the test images are looked at once, at the end.

# %%
data = load("cifar10", fallback="patches", download=device.downloads)
if knobs["pool_per_class"]:
    data = data.subset(knobs["pool_per_class"], test_per_class=knobs["test_per_class"])
x_pool, y_pool, x_test, y_test = data.x_train, data.y_train, data.x_test, data.y_test
print(f"{data.name}: a pool of {len(x_pool):,} training images, {len(x_test):,} test images, from {data.source}")
print(f"colour alone names {colour_baseline(data):.0%} of the test images")

examples, _ = data.examples()
plotting.plot_images(examples, titles=data.class_names, columns=10, caption=f"Data: {data.name}")

# %% [markdown]
# ## Step 1: where to look
#
# A *keypoint* is a place that is found again when the image is turned, enlarged or lit otherwise: a blob or a
# corner. SIFT looks for keypoints at all scales. Every dot is a keypoint; the squares show what the five largest
# ones look at.

# %%
photo = (255 * resize(photographs.astronaut()[:400, 60:460], (160, 160), anti_aliasing=True)).astype("uint8")
example = examples[3]


def draw_points(axis, image, points, squares):
    """Draw an image, the points where it is described, and the largest of the squares that they look at."""
    axis.imshow(image)
    y, x = points.positions.T
    axis.scatter(x, y, s=10, color="#56B4E9", edgecolor="black", linewidth=0.4)
    for place in np.argsort(-points.sizes, kind="stable")[:squares]:
        side = points.sizes[place]
        corner = x[place] - side / 2, y[place] - side / 2
        axis.add_patch(Rectangle(corner, side, side, fill=False, edgecolor="#E69F00", linewidth=1.2))
    height, width = image.shape[:2]
    axis.set(xticks=[], yticks=[], xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


figure, axes = plt.subplots(1, 3, figsize=(8, 3.1), layout="constrained")
grid = DenseSift(step=knobs["step"], bin_sizes=(2,))
for axis, image, points, title in (
    (axes[0], photo, Sift().describe(photo[None]), "keypoints of a photograph"),
    (axes[1], example, Sift().describe(example[None]), f"keypoints, {data.class_names[3]}"),
    (axes[2], example, grid.describe(example[None]), f"a grid, every {knobs['step']} pixels"),
):
    draw_points(axis, image, points, squares=1 if axis is axes[2] else 5)
    axis.set_title(f"{title}: {len(points.positions)}", fontsize=9)
figure.suptitle(f"Photograph: Eileen Collins (NASA, by scikit-image); {data.name}", fontsize=9)

few, _ = data.head(100)
counts = np.bincount(Sift().describe(few).images, minlength=len(few))
print(f"in {len(few)} images: median {np.median(counts):.0f} keypoints; in {np.sum(counts == 0)} images none")

# %% [markdown]
# Small images have few keypoints. A smooth area, such as the sky, has none at all, although it says something
# about the class. Therefore a **dense grid**: a descriptor every few pixels, wherever that is.
#
# ## Step 2: what it looks like there
#
# SIFT cuts the patch around a point into $4 \times 4$ cells. In each cell it adds up the gradient by its
# direction, in eight directions: $4 \cdot 4 \cdot 8 = 128$ numbers. A pixel at $(x, y)$ with gradient size $m$ and
# direction $\theta$ counts for the cell at $(c_x, c_y)$ and the direction $o$ by
#
# $$m \cdot \Lambda(x - c_x) \, \Lambda(y - c_y) \cdot \Lambda(\theta - o) \cdot e^{-(x^2 + y^2) / 8}
# \qquad \Lambda(t) = \max(0, 1 - |t|)$$
#
# where $x$, $y$ are in cells from the point, and $\theta$ in eighths of a turn. So a small shift changes the
# numbers only a little. Then the 128 numbers are divided by their length, cut at 0.2 (against single strong
# edges), and divided by their sum. **RootSIFT** takes the root: $\hat d_i = \sqrt{d_i / \sum_j d_j}$.
#
# We do this for one patch of $12 \times 12$ pixels: cells of 3 pixels.

# %%
cell, centre = 3, (15.5, 15.5)  # pixels; the point lies in the middle of the image

grey = example @ np.array([0.299, 0.587, 0.114]) / 255
d_y, d_x = np.gradient(grey)  # differences between the neighbours
size = np.hypot(d_x, d_y)
turn = np.arctan2(-d_y, d_x) * 8 / (2 * np.pi)  # in eighths of a turn; y goes down in an image, up in an angle


def hat(distance):
    """Return 1 at distance 0, falling to 0 at distance 1."""
    return np.maximum(0, 1 - np.abs(distance))


def along(axis_centre):
    """Return how much each of 32 pixels counts for each of four cells: (4, 32)."""
    distance = (np.arange(32) - axis_centre) / cell
    return hat(distance - np.array([-1.5, -0.5, 0.5, 1.5])[:, None]) * np.exp(-(distance**2) / 8)


directions = np.arange(8)[:, None, None]
by_direction = size * hat((turn - directions + 4) % 8 - 4)  # (8, 32, 32); direction 8 is direction 0 again
by_hand = np.einsum("ry,cx,oyx->rco", along(centre[0]), along(centre[1]), by_direction).ravel()
by_hand = np.minimum(by_hand / np.linalg.norm(by_hand), 0.2)
by_hand = np.sqrt(by_hand / by_hand.sum())

library = DenseSift(step=1, bin_sizes=(cell,)).describe(example[None])
same_place = np.flatnonzero((library.positions == centre).all(axis=1))[0]
difference = np.abs(by_hand - library.descriptors[same_place]).max()
print(f"{by_hand.size} numbers, sum of squares {np.sum(by_hand**2):.3f}")
print(f"largest difference between the descriptor by hand and DenseSift: {difference:.1e}")

# %% [markdown]
# The picture of it: left the patch in the image, in the middle the gradient of each pixel, right the descriptor,
# a star of eight arrows in each cell.

# %%
figure, axes = plt.subplots(1, 3, figsize=(8, 2.9), layout="constrained")
axes[0].imshow(example)
axes[0].add_patch(Rectangle((9.5, 9.5), 12, 12, fill=False, edgecolor="#E69F00", linewidth=1.5))
axes[0].set_title(f"{data.class_names[3]}, 32 x 32 pixels", fontsize=9)
for axis in axes[1:]:
    axis.imshow(grey, cmap="gray", alpha=0.4)
    axis.set(xlim=(9.5, 21.5), ylim=(21.5, 9.5))
    for line in (12.5, 15.5, 18.5):
        axis.axhline(line, color="#D55E00", linewidth=0.8)
        axis.axvline(line, color="#D55E00", linewidth=0.8)
places = np.arange(10, 22)
inside = np.ix_(places, places)
axes[1].quiver(places, places, d_x[inside], -d_y[inside], color="#0072B2", width=0.008)
axes[1].set_title("gradient: from dark to light", fontsize=9)
for row, column, direction in np.ndindex(4, 4, 8):
    angle = direction * np.pi / 4
    length = 5 * by_hand.reshape(4, 4, 8)[row, column, direction]
    x, y = 11 + 3 * column, 11 + 3 * row
    axes[2].plot([x, x + length * np.cos(angle)], [y, y - length * np.sin(angle)], color="#0072B2", linewidth=1.5)
axes[2].set_title("descriptor: 4 x 4 cells, 8 directions", fontsize=9)
for axis in axes:
    axis.set(xticks=[], yticks=[])

# %% [markdown]
# **Predict before you run:** what becomes of the descriptor when the image gets brighter, when it gets more
# contrast, when it is mirrored?

# %%
changed = {
    "brighter": np.clip(example / 255 * 0.7 + 20 / 255, 0, 1),
    "contrast halved": example / 255 * 0.5,
    "mirrored": example[:, ::-1] / 255,
}
reference = DenseSift(step=1, bin_sizes=(cell,)).describe(example[None] / 255 * 0.7).descriptors[same_place]
for name, image in changed.items():
    described = DenseSift(step=1, bin_sizes=(cell,)).describe(image[None]).descriptors[same_place]
    print(f"{name:16s} distance to the descriptor of the image: {np.linalg.norm(described - reference):.3f}")

# %% [markdown]
# ## Step 3: a vocabulary
#
# No two patches are equal, so we cannot count them as they are. **k-means** groups the descriptors of many
# training images. It repeats two steps: each descriptor goes to the nearest centre; each centre moves to the mean
# of its descriptors. The centres are the **visual words**. Before that, PCA reduces the 128 numbers of a
# descriptor.
#
# `BagOfVisualWords` does this: it draws descriptors, fits PCA and k-means, and later encodes images.

# %%
dense = DenseSift(step=knobs["step"], bin_sizes=(2, 3))
settings = {"pca": knobs["pca"], "max_descriptors": knobs["max_descriptors"], "n_jobs": -1}
bag = BagOfVisualWords(dense, vocabulary=knobs["words"], norm="l2", **settings).fit(x_pool)
print(f"one image, patches of 8 and of 12 pixels: {dense.describe(example[None])}")
print(f"{len(bag.words_)} words of {bag.words_.shape[1]} numbers")

# %% [markdown]
# What does a word look like? A row shows the patches that lie nearest to one word, each from another image.

# %%
looked_at, _ = data.head(300)
found = bag.describe(looked_at)
word_of = bag.nearest_words(found.descriptors)
distance = np.linalg.norm(bag.reduce(found.descriptors) - bag.words_[word_of], axis=1)
used = np.bincount(word_of[found.sizes == 8], minlength=knobs["words"])

figure, axes = plt.subplots(4, 3, figsize=(8, 2.9), layout="constrained")
for axis, word in zip(axes.flat, np.argsort(-used), strict=False):
    own = np.flatnonzero((word_of == word) & (found.sizes == 8))
    own = own[np.argsort(distance[own])]
    _, first = np.unique(found.images[own], return_index=True)  # one patch of each image
    strip = np.full((8, 8 * 9, 3), 255, "uint8")
    for number, place in enumerate(own[np.sort(first)[:8]]):
        top, left = np.rint(found.positions[place] + 0.5 - 4).astype(int)
        strip[:, 9 * number : 9 * number + 8] = looked_at[found.images[place], top : top + 8, left : left + 8]
    axis.imshow(strip)
    axis.set_title(f"word {word}: {used[word]:,} times", fontsize=9)
    axis.set_axis_off()
figure.suptitle(f"The most used words, patches of 8 x 8 pixels; {data.name}", fontsize=9)
plt.show()

# %% [markdown]
# Look for edges of one direction, corners and stripes. Many words have no name: a word is no object, it is a
# pattern of light and dark in a small patch.
#
# ## Step 4: count the words
#
# Every descriptor $x$ counts for the word $c_k$ that is nearest to it:
#
# $$h_k = \left|\left\{ x : k = \operatorname{argmin}_j \lVert x - c_j \rVert \right\}\right|$$


# %%
def words_by_hand(image):
    """Return the places of the descriptors of one image, and which word is nearest to each."""
    points = bag.describe(image[None])
    distances = np.linalg.norm(bag.reduce(points.descriptors)[:, None] - bag.words_[None], axis=2)
    return points, distances.argmin(axis=1)


histograms = []
figure, axes = plt.subplots(3, 4, figsize=(8, 5), layout="constrained", sharey="row")
for column, (image, name) in enumerate(zip(examples[:4], data.class_names, strict=False)):
    points, words = words_by_hand(image)
    histograms.append(np.bincount(words, minlength=knobs["words"]))
    axes[0, column].imshow(image)
    axes[0, column].set_title(name, fontsize=9)
    small = points.sizes == 8
    y, x = points.positions[small].T
    axes[1, column].imshow(image.mean(axis=2), cmap="gray", alpha=0.3)
    axes[1, column].scatter(x, y, c=words[small], cmap="turbo", s=16, vmin=0, vmax=knobs["words"] - 1)
    axes[2, column].bar(np.arange(knobs["words"]), histograms[-1], width=1, color="#0072B2")
    axes[2, column].set_xlabel("visual word", fontsize=9)
    for axis in axes[:2, column]:
        axis.set(xticks=[], yticks=[], xlim=(-0.5, 31.5), ylim=(31.5, -0.5))
axes[2, 0].set_ylabel("how often", fontsize=9)
figure.suptitle(f"The image; each point in the colour of its word; the histogram. {data.name}", fontsize=9)

by_hand = np.stack([each / np.linalg.norm(each) for each in histograms])
print(f"largest difference to `transform`: {np.abs(by_hand - bag.transform(examples[:4])).max():.1e}")

# %% [markdown]
# This is all that is left of the image: the *bag*. `transform` does the same, and divides by the length.
#
# ## Step 5: the pyramid
#
# A bag does not know where its words were. The **spatial pyramid** counts in the whole image, in its quarters, in
# its sixteenths. Each level has a weight: of $L$ levels $2^{1-L}$ for the whole and $2^{l-1-L}$ for level
# $l = 2, ..., L$.
#
# **Predict before you run:** we swap the quarters of a photograph. What does the histogram of the whole say about
# it, what do those of the quarters say?

# %%
swapped = np.roll(photo, (80, 80), axis=(0, 1))
other = (255 * resize(photographs.chelsea()[:, 60:360], (160, 160), anti_aliasing=True)).astype("uint8")
three = {"the photograph": photo, "its quarters swapped": swapped, "another: Chelsea": other}
quarters = copy(bag).set_params(pyramid_levels=2, norm=None)
counted = {name: quarters.transform(image[None]).reshape(5, -1) for name, image in three.items()}
summed = counted["the photograph"][1:].sum(axis=0)
print("the quarters add up to the whole:", np.allclose(summed, counted["the photograph"][0]))

most = np.argsort(-counted["the photograph"][0])[:24]  # the words that the photograph uses most
figure, axes = plt.subplots(3, 3, figsize=(8, 5.4), layout="constrained", sharey="row")
for column, (name, image) in enumerate(three.items()):
    axes[0, column].imshow(image)
    axes[0, column].axhline(79.5, color="#E69F00")
    axes[0, column].axvline(79.5, color="#E69F00")
    axes[0, column].set_title(name, fontsize=9)
    axes[0, column].set(xticks=[], yticks=[])
    for row, (cell_number, where) in enumerate(((0, "whole"), (1, "top left")), start=1):
        axes[row, column].bar(np.arange(len(most)), counted[name][cell_number][most], color="#0072B2")
        axes[row, column].set_title(f"{where}", fontsize=9)
        axes[row, column].set_xticks([])
axes[1, 0].set_ylabel("count x weight", fontsize=9)
axes[2, 0].set_ylabel("count x weight", fontsize=9)
figure.supxlabel(f"the {len(most)} words that the first photograph uses most", fontsize=9)
plt.show()

# %% [markdown]
# How much of one histogram is in another? The **intersection kernel** says it. It is 1 for two equal histograms of
# sum 1:
#
# $$k(a, b) = \sum_i \min(a_i, b_i)$$

# %%
for levels in (1, 2, 3):
    vectors = copy(bag).set_params(pyramid_levels=levels, norm="l1").transform(np.stack(list(three.values())))
    swapped_share, other_share = (np.minimum(vectors[0], vectors[k]).sum() for k in (1, 2))
    assert np.isclose(swapped_share, histogram_intersection(vectors[:1], vectors[1:2])[0, 0])
    print(f"{levels} level{'s' * (levels > 1)}, {vectors.shape[1]:,} numbers:", end=" ")
    print(f"{swapped_share:.0%} shared with its swapped quarters, {other_share:.0%} with the other photograph")

# %% [markdown]
# ## More than counting: VLAD
#
# A histogram says only *which* word is nearest. **VLAD** adds up *how* the descriptors differ from it. So it needs
# fewer words:
#
# $$v_k = \sum_{x:\ c_k \text{ nearest}} (x - c_k)$$
#
# Words that fill an image (sky, grass) would dominate. The **power norm** takes roots,
# $v \leftarrow \operatorname{sign}(v) \sqrt{|v|}$, and divides by the length.

# %%
vlad = BagOfVisualWords(dense, vocabulary=knobs["components"], encoding="vlad", norm="power", **settings)
vlad.fit(x_pool)
reduced = vlad.reduce(vlad.describe(example[None]).descriptors)  # (descriptors, numbers)
nearest = np.linalg.norm(reduced[:, None] - vlad.words_[None], axis=2).argmin(axis=1)
sums = np.stack([(reduced[nearest == k] - word).sum(axis=0) for k, word in enumerate(vlad.words_)])


def power_norm(vector):
    """Return signed roots, divided by their length."""
    rooted = np.sign(vector) * np.sqrt(np.abs(vector))
    return rooted / np.linalg.norm(rooted)


difference = np.abs(power_norm(sums.ravel()) - vlad.transform(example[None])[0]).max()
print(f"{sums.size:,} numbers; largest difference between VLAD by hand and `transform`: {difference:.1e}")

figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
for k, word in enumerate(vlad.words_):
    color = plotting.style.CLASS_COLORS[k % 10]
    own = reduced[nearest == k]
    axes[0].plot(*own[:, :2].T, ".", color=color, markersize=3, alpha=0.6)
    axes[0].plot(*word[:2], "*", color=color, markersize=9, markeredgecolor="black", markeredgewidth=0.5)
    if len(own):
        axes[0].annotate("", own.mean(axis=0)[:2], word[:2], arrowprops={"arrowstyle": "->", "lw": 1.2})
axes[0].set(xlabel="first component of PCA", ylabel="second component of PCA")
axes[0].set_title("dots: descriptors; stars: words;\narrows: mean difference", fontsize=9)
largest = np.abs(sums).max()
shown = axes[1].imshow(sums, cmap="PuOr_r", vmin=-largest, vmax=largest, aspect="auto")
axes[1].set(xlabel="number of the descriptor", ylabel="word")
axes[1].set_title("$v$: a row for each word", fontsize=9)
axes[1].locator_params(integer=True)
figure.colorbar(shown, label="sum of differences")
plt.show()

# %% [markdown]
# ## Fisher vectors
#
# A **Fisher vector** has a mixture of Gaussians in place of the words (weights $w_k$, means $\mu_k$, standard
# deviations $\sigma_k$). Each of the $N$ descriptors belongs to each Gaussian by the share $\gamma_k(x)$. The
# vector says how the mixture must change to fit this image better: its means and its deviations.
#
# $$g_{\mu_k} = \frac{1}{N \sqrt{w_k}} \sum_x \gamma_k(x) \frac{x - \mu_k}{\sigma_k}
# \qquad g_{\sigma_k} = \frac{1}{N \sqrt{2 w_k}} \sum_x \gamma_k(x)
# \left[\frac{(x - \mu_k)^2}{\sigma_k^2} - 1\right]$$

# %%
fisher = copy(vlad).set_params(encoding="fisher").fit(x_pool)
mixture = fisher.mixture_  # of scikit-learn
x = fisher.reduce(fisher.describe(example[None]).descriptors).astype("float64")
gamma = mixture.predict_proba(x)  # (descriptors, Gaussians)
scaled_differences = (x[:, None] - mixture.means_) / np.sqrt(mixture.covariances_)
weights = mixture.weights_[:, None]
g_mean = np.einsum("nk,nkd->kd", gamma, scaled_differences) / (len(x) * np.sqrt(weights))
g_deviation = np.einsum("nk,nkd->kd", gamma, scaled_differences**2 - 1) / (len(x) * np.sqrt(2 * weights))

by_hand = power_norm(np.concatenate([g_mean.ravel(), g_deviation.ravel()]))
difference = np.abs(by_hand - fisher.transform(example[None])[0]).max()
print(f"{by_hand.size:,} numbers; largest difference between Fisher by hand and `transform`: {difference:.1e}")

figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained", sharey=True)
for axis, values, name in (
    (axes[0], g_mean, r"$g_\mu$: means"),
    (axes[1], g_deviation, r"$g_\sigma$: deviations"),
):
    largest = np.abs(values).max()
    shown = axis.imshow(values, cmap="PuOr_r", vmin=-largest, vmax=largest, aspect="auto")
    axis.set_title(name, fontsize=9)
    axis.set_xlabel("number of the descriptor")
    figure.colorbar(shown, ax=axis)
axes[0].set_ylabel("Gaussian")
axes[0].locator_params(integer=True)
plt.show()

# %% [markdown]
# ## Step 6: the choices, cross-validated
#
# Which descriptor, how many words, which encoding? Each choice is judged on training images alone. They are cut
# into *folds*, with all classes in their proportion (the course takes 8 folds). Each fold is classified by what
# was learned from the others, *vocabulary included*. Behind every vector stands the same classifier, a linear SVM.

# %%
choosing = data.subset(knobs["chosen_per_class"], test_per_class=1)
folds = StratifiedKFold(knobs["folds"], shuffle=True, random_state=0)
where = f"{len(choosing.x_train):,} images in {knobs['folds']} folds, {data.name.split(' (')[0]}"
few, many, components = knobs["words"] // 4, 4 * knobs["words"], knobs["components"]


def bag_of(vocabulary, encoding="histogram", descriptor=dense, levels=1, seed=0):
    """Return a bag of visual words with the settings of this notebook, not fitted."""
    options = {"encoding": encoding, "pyramid_levels": levels, "norm": "power", "random_state": seed, **settings}
    return BagOfVisualWords(descriptor, vocabulary=vocabulary, **options)


def linear_svm(seed=0):
    """Return a linear SVM; its dual form is the quicker one for vectors of this length."""
    return LinearSVC(dual=True, tol=1e-2, random_state=seed)


bags = {
    "words": bag_of(knobs["words"]),
    "few words": bag_of(few),
    "many words": bag_of(many),
    "words, 2 levels": bag_of(knobs["words"], levels=2),
    "VLAD": bag_of(components, "vlad"),
    "VLAD, 2 levels": bag_of(components, "vlad", levels=2),
    "Fisher": bag_of(components, "fisher"),
    "Fisher, 2 levels": bag_of(components, "fisher", levels=2),
}
if device.profile in ("full", "gpu"):
    colour = DenseSift(step=knobs["step"], bin_sizes=(2, 3), color="rgb")
    bags |= {
        "words, keypoints": bag_of(knobs["words"], descriptor="sift"),
        "words, DAISY": bag_of(knobs["words"], descriptor=Daisy(step=2)),
        "words, 3 levels": bag_of(knobs["words"], levels=3),
        "VLAD, 2 levels, colour": bag_of(components, "vlad", colour, levels=2),
    }
    if importlib.util.find_spec("cv2") is None:
        print("Without OpenCV the keypoints take minutes: pip install opencv-python-headless")

# %%
scores, seconds = {}, {}
for name, words_of in bags.items():
    started = time.perf_counter()
    way = make_pipeline(words_of, linear_svm())
    scores[name] = cross_val_score(way, choosing.x_train, choosing.y_train, cv=folds)
    seconds[name] = (time.perf_counter() - started) / knobs["folds"]


def show_scores(scores, title):
    """Draw the accuracy in each fold, and their mean."""
    _, axis = plt.subplots(figsize=(8, 1 + 0.3 * len(scores)), layout="constrained")
    for row, values in enumerate(scores.values()):
        axis.plot(100 * values, np.full(len(values), row), "o", color="#D55E00", markersize=4, alpha=0.7)
        axis.plot(100 * np.mean(values), row, "s", color="#0072B2", markersize=7)
    axis.set_yticks(range(len(scores)), list(scores))
    axis.set_title(title, fontsize=9)
    axis.set(ylim=(len(scores) - 0.5, -0.5), xlabel="accuracy in % (dot: a fold; square: their mean)")
    axis.grid(alpha=0.3, axis="x")


print(f"{where}; {few}, {knobs['words']} and {many} words, {components} of VLAD and Fisher")
print(f"{'':24s}{'accuracy':>9s}{'deviation':>11s}{'seconds a fold':>16s}")
for name, values in scores.items():
    print(f"{name:24s}{values.mean():9.1%}{values.std(ddof=1):11.1%}{seconds[name]:16.1f}")
show_scores(scores, f"Bags with a linear SVM; {where}")

# %% [markdown]
# What Lorente says about the choices, tried: each line compares two rows of the table in the same folds. The folds
# share training images, so the intervals are somewhat too narrow.


# %%
def judge(scores, claims):
    """Compare two rows of a table in the same folds, for each claim whose rows were tried; say how many."""
    tried = [pair for pair in claims if scores.keys() >= set(pair)]
    for better, than in tried:
        print(str(verdict(scores, better, than, margin=0.01)).replace("seed", "fold"))
    print(
        f"{len(tried)} claims: {0.05 * len(tried):.1f} of them would be decided if there were no difference at all"
    )


claims = (
    ("words", "words, keypoints"),
    ("words, DAISY", "words"),
    ("many words", "few words"),
    ("words, 2 levels", "words"),
    ("words, 3 levels", "words, 2 levels"),
    ("VLAD", "words"),
    ("Fisher", "VLAD"),
    ("VLAD, 2 levels, colour", "VLAD, 2 levels"),
)
judge(scores, claims)

# %% [markdown]
# **And the classifier behind it?** The words know no classes. To save time they are learned here once, from all
# these images; only the classifiers are cross-validated. The same counts are normalised in three ways: by their
# sum (l1), by their length (l2), and by the power norm.
#
# A **kernel** compares two vectors: linear $a \cdot b$, RBF $e^{-\gamma \lVert a - b \rVert^2}$, intersection
# $\sum_i \min(a_i, b_i)$. The picture shows the third one for two images.

# %%
counts = copy(bags["words"]).set_params(norm=None).fit_transform(choosing.x_train)
shares = Normalizer("l1").transform(counts)
a, b = shares[0], shares[1]
shown = np.argsort(-(a + b))[:40]
figure, axis = plt.subplots(figsize=(8, 2.4), layout="constrained")
axis.bar(np.arange(40)[: len(shown)], a[shown], width=0.9, color="#56B4E9", label="image a")
axis.step(np.arange(40)[: len(shown)], b[shown], where="mid", color="#D55E00", label="image b")
overlap = np.minimum(a, b)[shown]
axis.bar(np.arange(40)[: len(shown)], overlap, width=0.9, color="#0072B2", label="min(a, b)")
axis.set(xlabel="visual words, the most used first", ylabel="share of the image", xticks=[])
axis.legend()
names = [data.class_names[label] for label in choosing.y_train[:2]]
axis.set_title(f"a: {names[0]}, b: {names[1]}; they share {np.minimum(a, b).sum():.0%}", fontsize=9)
plt.show()

# %%
reduce_to = min(30, len(choosing.x_train) // 3, knobs["words"])
power = make_pipeline(FunctionTransformer(np.sqrt), Normalizer())
classifiers = {
    "linear, l1": make_pipeline(Normalizer("l1"), SVC(kernel="linear", C=100)),
    "linear, l2": make_pipeline(Normalizer(), SVC(kernel="linear")),
    "linear, power": make_pipeline(power, SVC(kernel="linear")),
    "RBF, power": make_pipeline(power, SVC(kernel="rbf", gamma="scale")),
    "intersection, l1": make_pipeline(Normalizer("l1"), SVC(kernel=histogram_intersection, C=10)),
    "5 neighbours, power": make_pipeline(power, KNeighborsClassifier(5)),
    "PCA, linear": make_pipeline(power, PCA(reduce_to), SVC(kernel="linear")),
    "PCA, LDA": make_pipeline(power, PCA(reduce_to), LinearDiscriminantAnalysis()),
    "PCA, LDA, 5 neighbours": make_pipeline(
        power, PCA(reduce_to), LinearDiscriminantAnalysis(n_components=9), KNeighborsClassifier(5)
    ),
}
by_classifier = {
    name: cross_val_score(classifier, counts, choosing.y_train, cv=folds)
    for name, classifier in classifiers.items()
}
print(f"{where}; PCA to {reduce_to} numbers")
for name, values in by_classifier.items():
    print(f"{name:24s}{values.mean():7.1%}, deviation {values.std(ddof=1):.1%}")
claims = (
    ("linear, power", "linear, l2"),
    ("linear, l2", "linear, l1"),
    ("intersection, l1", "linear, l1"),
    ("intersection, l1", "linear, power"),
    ("RBF, power", "linear, power"),
    ("linear, power", "5 neighbours, power"),
    ("PCA, LDA, 5 neighbours", "5 neighbours, power"),
)
judge(by_classifier, claims)
show_scores(by_classifier, f"Classifiers behind {knobs['words']} words; {where}")

# %% [markdown]
# Why no kernel in the great comparison below? A kernel needs the values of all pairs of training images:

# %%
for images in (500, 5_000, 20_000, 50_000):
    print(f"{images:6,} images: {images**2:>13,} pairs, {8 * images**2 / 1e9:6.2f} GB in float64")

# %% [markdown]
# `LinearSVC` needs no pairs: it learns one weight for each number of the vector and each class. Whether it loses
# against the other kernels is said in the lines above.
#
# ## Against networks: who wins with how many images?
#
# Every way gets the same training images and is asked about the same test images. Seed by seed everything is drawn
# anew: the images, the vocabulary or the first weights. Nobody gets mirrored copies or other augmentation. The
# clock counts all of the training and all of the prediction on this machine. A GPU would help the networks alone.
#
# First the networks, with their cost. Adam trains all of them in batches of 64 images; the learning rate falls
# along a cosine from 0.001 to 0. With few images an epoch has few steps, so there are more epochs.

# %%
networks = {
    "LeNet-5": lambda: build_lenet5((32, 32, 3)),
    "TinyNet": lambda: build_tinynet("plain", input_shape=(32, 32, 3)),
}
for name, build in networks.items():
    table = layer_table(build())
    print(f"{name:10s}{table.total_params:9,} parameters, {table.total_macs:10,} MACs for an image")


def epochs_of(images):
    """Return for how many epochs a network is trained with so many images."""
    return max(knobs["epochs"], math.ceil(knobs["least_steps"] / math.ceil(images / 64)))


for per_class in knobs["per_class"]:
    print(f"{per_class:5,} images of each class: {epochs_of(10 * per_class):3} epochs")

# %%
sizes = [size for size in knobs["per_class"] if size <= np.bincount(y_pool).min()]
runs = {}  # by number of images and way: a row for each seed, with accuracy, seconds, milliseconds and numbers


def drawn(seed, per_class):
    """Return the places of so many images of each class, drawn from the pool."""
    random = np.random.default_rng(seed)
    return np.concatenate([random.permutation(np.flatnonzero(y_pool == k))[:per_class] for k in range(10)])


def try_way(way, fit, sizes=sizes, after=None):
    """Train a way with each number of images and each seed, and look at the test images."""
    for per_class in sizes:
        rows = []
        for seed in range(knobs["seeds"]):
            keras.utils.set_random_seed(seed)
            places = drawn(seed, per_class)
            started = time.perf_counter()
            predict, numbers = fit(x_pool[places], y_pool[places], seed)
            trained = time.perf_counter() - started + (runs[per_class, after][seed, 1] if after else 0)
            predict(x_test[:64])  # the first batch also builds a network's graph
            started = time.perf_counter()
            right = np.mean(predict(x_test) == y_test)
            asked = 1000 * (time.perf_counter() - started) / len(x_test)
            rows.append((right, trained, asked, numbers))
        runs[per_class, way] = np.array(rows)


def bagged(*options, **more):
    """Return what trains a bag with a linear SVM behind it."""

    def fit(images, labels, seed):
        words_of = bag_of(*options, **more, seed=seed)
        way = make_pipeline(words_of, linear_svm(seed)).fit(images, labels)
        learned = words_of.words_, words_of.components_, way[-1].coef_  # of a mixture: also deviations and weights
        numbers = sum(array.size for array in learned)
        if words_of.mixture_ is not None:
            numbers += words_of.mixture_.covariances_.size + words_of.mixture_.weights_.size
        return way.predict, numbers

    return fit


classic = {
    "bag of words, 2 levels": bagged(knobs["words"], levels=2),
    "VLAD, 2 levels": bagged(components, "vlad", levels=2),
    "Fisher, 2 levels": bagged(components, "fisher", levels=2),
}
for name, fit in classic.items():
    try_way(name, fit)

# %%
mean, deviation = x_pool.mean(), x_pool.std()


def scaled(images):
    """Return images as the networks take them."""
    return ((images - mean) / deviation).astype("float32")


def train(model, images, labels, epochs, batch_size=64):
    """Compile and train a network."""
    steps = epochs * math.ceil(len(images) / batch_size)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images, labels, epochs=epochs, batch_size=batch_size, verbose=0)


def network(build):
    """Return what trains a network."""

    def fit(images, labels, seed):
        model = build()
        train(model, scaled(images), labels, epochs_of(len(images)))

        def predict(asked):
            return model.predict(scaled(asked), batch_size=256, verbose=0).argmax(axis=1)

        return predict, model.count_params()

    return fit


for name, build in networks.items():
    try_way(name, network(build))

# %% [markdown]
# **Transfer.** MobileNetV2 has learned its features from a million other photographs; the same linear SVM stands
# behind them. The features of the whole pool are computed once. The time of a training is that of the features of
# its images and of the SVM.

# %%
weights = None
if device.profile != "smoke":
    weights = find_backbone_weights("MobileNetV2", (96, 96), download=device.downloads)
if weights is None:
    print("ImageNet weights of MobileNetV2 are not at hand: no transfer in this comparison.")
else:
    backbone = feature_extractor(TransferModel("MobileNetV2", 10, image_size=96, weights=weights.path))
    transferred = extract_features(backbone, x_pool, verbose=0, cache=True)
    extract_features(backbone, x_test[:128], verbose=0)
    started = time.perf_counter()
    asked = extract_features(backbone, x_test, verbose=0)
    each = (time.perf_counter() - started) / len(x_test)
    for per_class in sizes:
        rows = []
        for seed in range(knobs["seeds"]):
            places = drawn(seed, per_class)
            started = time.perf_counter()
            svm = make_pipeline(Normalizer(), linear_svm(seed)).fit(transferred[places], y_pool[places])
            trained = each * len(places) + time.perf_counter() - started
            numbers = backbone.count_params() + svm[-1].coef_.size
            rows.append((svm.score(asked, y_test), trained, 1000 * each, numbers))
        runs[per_class, "MobileNetV2, ImageNet"] = np.array(rows)
    print(f"weights: {weights.source}")

# %% [markdown]
# ## The result


# %%
def half_width(values):
    """Return the half-width of the 95 % interval of a mean (Student's t)."""
    return stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))


def show_runs(sizes, ways):
    """Print a row for each way and number of images."""
    print(f"{len(x_test):,} test images of {data.name}; seeds: {knobs['seeds']}")
    print(f"{'':26s}{'images':>7s}{'test accuracy':>17s}{'training':>11s}{'prediction':>12s}{'numbers':>11s}")
    for per_class in sizes:
        for way in ways:
            right, trained, asked, numbers = runs[per_class, way].T
            interval = f" ± {100 * half_width(right):.1f}" if len(right) > 1 else ""
            accuracy = f"{100 * right.mean():.1f}{interval} %"
            print(f"{way:26s}{10 * per_class:7,}{accuracy:>17s}{trained.mean():9.1f} s", end="")
            print(f"{asked.mean():9.2f} ms{numbers.mean():11,.0f}")


ways = list(dict.fromkeys(way for _, way in runs))
show_runs(sizes, ways)

# %% [markdown]
# *Images*: all of the ten classes together. *±*: half of the 95 % interval of the mean over the seeds. *Training*:
# seconds of one training. *Prediction*: for one image. *Numbers*: what must be stored, words, weights and SVM; one
# takes 4 bytes in float32.

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
for number, way in enumerate(ways):
    style = plotting.style.look(number, line=True)
    accuracy = [runs[size, way][:, 0] for size in sizes]
    middle = [100 * np.mean(values) for values in accuracy]
    bars = [100 * half_width(values) if len(values) > 1 else 0 for values in accuracy]
    axes[0].errorbar([10 * size for size in sizes], middle, yerr=bars, capsize=3, label=way, **style)
    trained = [runs[size, way][:, 1].mean() for size in sizes]
    axes[1].plot(trained, middle, label=way, **style)
axes[0].set(xscale="log", xlabel="training images", ylabel="test accuracy in %")
axes[1].set(xscale="log", xlabel="seconds of training", ylabel="test accuracy in %")
axes[0].set_xticks([10 * size for size in sizes], [f"{10 * size:,}" for size in sizes])
axes[0].minorticks_off()
for axis in axes:
    axis.grid(alpha=0.3)
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
figure.suptitle(f"{data.name}; seeds: {knobs['seeds']}", fontsize=9)
plt.show()

# %% [markdown]
# **Who wins, and from where on?** For each number of images the best classic way is compared with each network, in
# pairs of the same seed. *Practically equal* means: the whole interval lies within one point.

# %%
accuracies = {size: {way: runs[size, way][:, 0] for way in ways} for size in sizes}
passes = {}
for size in sizes:
    best_classic = max(classic, key=lambda way: accuracies[size][way].mean())
    print(f"{size:,} images of each class; the best classic way is {best_classic}")
    for way in ways:
        if way not in classic:
            found = verdict(accuracies[size], way, best_classic, margin=0.01)
            passes[size, way] = found.conclusion == "holds"
            print(f"  {found}")
comparisons = len(passes)
print(f"{comparisons} comparisons: {0.05 * comparisons:.1f} would be decided if there were no difference at all")

print()
for way in dict.fromkeys(way for _, way in passes):
    won = [size for size in sizes if all(passes[larger, way] for larger in sizes if larger >= size)]
    if knobs["seeds"] < 5:
        print(f"{way}: too few seeds to say so; see the solved page")
    elif won:
        print(f"{way} passes the best classic way from {won[0]:,} images of each class on")
    else:
        print(f"{way} passes the best classic way: not within {sizes[-1]:,} images of each class")

# %% [markdown]
# The best classic way is picked by its test accuracy, which flatters it a little: a network that passes it has
# earned it.
#
# ## Between the two
#
# Between words made by hand and convolutions lie four ideas of Lorente. The first two: **an MLP on the pixels**,
# and **its last hidden layer as features of an SVM**. What stands on top of a trained network has the time of
# both.


# %%
def mlp(inputs, hidden=(256, 128)):
    """Return a multilayer perceptron with dropout."""
    model = keras.Sequential([keras.Input((inputs,))])
    for units in hidden:
        model.add(layers.Dense(units, "relu"))
        model.add(layers.Dropout(0.3))
    model.add(layers.Dense(10, "softmax"))
    return model


def flat(images):
    """Return each image as one row of scaled values."""
    return scaled(images).reshape(len(images), -1)


def hidden_values(model, rows):
    """Return what the last hidden layer says of each row."""
    return feature_extractor(model).predict(rows, batch_size=1024, verbose=0)


middle = sizes[len(sizes) // 2]
mlps = {}


def mlp_alone(images, labels, seed):
    """Train an MLP on the pixels."""
    model = mlps[seed] = mlp(3072)
    train(model, flat(images), labels, epochs_of(len(images)))
    return lambda asked: model.predict(flat(asked), verbose=0).argmax(axis=1), model.count_params()


def svm_on_mlp(images, labels, seed):
    """Train an SVM on what the last hidden layer says."""
    model = mlps[seed]
    svm = make_pipeline(StandardScaler(), SVC()).fit(hidden_values(model, flat(images)), labels)
    numbers = model.count_params() + svm[-1].support_vectors_.size
    return lambda asked: svm.predict(hidden_values(model, flat(asked))), numbers


try_way("MLP on pixels", mlp_alone, [middle])
try_way("MLP features, SVM", svm_on_mlp, [middle], after="MLP on pixels")

# %% [markdown]
# **Patch aggregation**: the MLP sees patches of $16 \times 16$ pixels, each with the label of its image. The
# patches of an image decide together, by the sum of their log probabilities:
#
# $$\hat y = \operatorname{argmax}_c \sum_p \log P(c \mid \text{patch}_p)$$
#
# **Deep features as descriptors**: what the hidden layer says of each patch takes the place of SIFT. A descriptor
# may be any function from images to a map of vectors, here $3 \times 3 \times 128$.


# %%
def cut(images):
    """Return patches of 16x16 pixels, every 8 pixels, as rows: nine for each image."""
    windows = np.lib.stride_tricks.sliding_window_view(scaled(images), (16, 16), axis=(1, 2))[:, ::8, ::8]
    return windows.reshape(-1, 768)


patch_mlps = {}


def aggregated(images, labels, seed):
    """Train an MLP on patches, and let those of an image decide together."""
    model = patch_mlps[seed] = mlp(768)
    train(model, cut(images), np.repeat(labels, 9), knobs["patch_epochs"], batch_size=128)

    def predict(asked):
        probabilities = model.predict(cut(asked), batch_size=1024, verbose=0)
        return np.log(probabilities + 1e-9).reshape(len(asked), 9, 10).sum(axis=1).argmax(axis=1)

    return predict, model.count_params()


def bag_of_deep_features(images, labels, seed):
    """Make VLAD of what the MLP's hidden layer says of each patch."""
    model = patch_mlps[seed]
    deep = bag_of(
        components,
        "vlad",
        lambda asked: hidden_values(model, cut(asked)).reshape(-1, 3, 3, 128),
        seed=seed,
    ).set_params(pca=None, n_jobs=None)
    way = make_pipeline(deep, linear_svm(seed)).fit(images, labels)
    return way.predict, model.count_params() + deep.words_.size + way[-1].coef_.size


try_way("MLP on patches, together", aggregated, [middle])
try_way("VLAD of MLP features", bag_of_deep_features, [middle], after="MLP on patches, together")

between = list(dict.fromkeys(way for _, way in runs if way not in ways))
show_runs([middle], [*between, "LeNet-5", *classic])
right = {way: runs[middle, way][:, 0] for _, way in runs}
for better, than in (
    ("MLP features, SVM", "MLP on pixels"),
    ("MLP on patches, together", "MLP on pixels"),
    ("VLAD of MLP features", "MLP on patches, together"),
    ("LeNet-5", "MLP on pixels"),
    ("VLAD, 2 levels", "VLAD of MLP features"),
):
    print(verdict(right, better, than, margin=0.01))

# %% [markdown]
# ## What to take home
#
# - In a bag people think out four steps: where to look, how to describe it, a vocabulary, a histogram. Only the
#   vocabulary and the classifier are learned. A network learns all of it together.
# - A bag forgets where things are. The pyramid brings that back, for more numbers.
# - A bag has no epochs; but each image costs it the same again when it is asked.

# %%
for size in sizes:
    order = sorted(ways, key=lambda way: -accuracies[size][way].mean())
    print(f"{size:5,} images of each class:", ", ".join(f"{w} {accuracies[size][w].mean():.1%}" for w in order))

# %% [markdown]
# In 2011 Fisher vectors won ImageNet's challenge with a top-5 error of 25.8 %. In 2012 AlexNet won it with 15.3 %.
#
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### Count by hand
#
# `descriptors` has shape (n, d), `words` (k, d). Return the histogram: for each of the k words the number of
# descriptors that are nearest to it, by the l2 distance. A word that no descriptor is near to counts 0.


def count_words(descriptors, words):
    # student: return None
    # solution
    distances = np.linalg.norm(descriptors[:, None] - words[None], axis=2)
    return np.bincount(distances.argmin(axis=1), minlength=len(words))
    # end solution


ex.counting.check(count_words)

# %% [markdown] tags=["hints"]
# - `descriptors[:, None] - words[None]` subtracts every word from every descriptor: shape (n, k, d).
# - The length of the differences, `np.linalg.norm(..., axis=2)`, and `argmin(axis=1)` of that: the words.
# - `np.bincount` counts them; `minlength=len(words)` gives the words that were not used their 0.

# %% [markdown] tags=["solution"]
# The distances form a table with a row for each descriptor and a column for each word; `argmin` along the columns
# gives the word. Without `minlength` the histogram ends at the last word that was used.

# %% tags=["exercise"]
# ### What two images share
#
# Write the intersection kernel for two histograms of the same length. Return one number.


def intersection(a, b):
    # student: return None
    # solution
    return np.minimum(a, b).sum()
    # end solution


ex.sharing.check(intersection)

# %% [markdown] tags=["hints"]
# - For each bin the smaller of the two counts is what both have.
# - `np.minimum(a, b)` takes the smaller one of each pair.
# - Then the sum over all bins.

# %% [markdown] tags=["solution"]
# `np.minimum` compares bin by bin; the built-in `min` would compare the two histograms as wholes.

# %% tags=["exercise"]
# ### How long is the vector?
#
# A descriptor has 48 numbers (after PCA). How many numbers has an image
#
# - as a histogram of 128 words, in a pyramid of 3 levels (the whole, quarters, sixteenths);
# - as VLAD with 16 words, in a pyramid of 2 levels;
# - as a Fisher vector of 16 components, without a pyramid?

# student: histogram, vlad, fisher = None, None, None
# solution
histogram = 128 * (1 + 4 + 16)
vlad = 16 * 48 * (1 + 4)
fisher = 2 * 16 * 48
# end solution

ex.lengths.check(histogram, vlad, fisher)

# %% [markdown] tags=["hints"]
# - A pyramid of 3 levels has 1 + 4 + 16 cells, one of 2 levels 1 + 4; each cell has its own vector.
# - In a cell: a histogram has a number for each word, VLAD as many as a descriptor for each word.
# - A Fisher vector has for each component as many numbers as a descriptor, twice: means and deviations.

# %% [markdown] tags=["solution"]
# A histogram has a number for each word, VLAD a descriptor's worth of numbers, a Fisher vector two: for the means
# and for the deviations. Each cell of the pyramid has all of them again.

# %% tags=["exercise"]
# ### Which of these spoil the result?
#
# The test accuracy should tell how well *new* images are classified. Which of these make it worth less? Write the
# letters, for example `"ab"` or `{"a", "b"}`.
#
# - **a**: the vocabulary is learned from training and test images together
# - **b**: C of the SVM is chosen by cross-validation on the training images
# - **c**: each test vector is divided by its own length
# - **d**: of five numbers of words, the one with the best test accuracy is reported

# student: spoiling = None
# solution
spoiling = {"a", "d"}
# end solution

ex.leaks.check(spoiling)

# %% [markdown] tags=["hints"]
# - Ask of each: could it be done the same way for an image that is taken only tomorrow?
# - Two of the four use what the test images are like, or what their labels say.

# %% [markdown] tags=["solution"]
# In *a* the words have seen the test images, and they cannot have seen new ones; in *d* the test images have
# chosen among five. In *b* and *c* nothing is learned from the test images: the length is that of the image alone.

# %% [markdown]
# ## Where to go on
#
# - Give the networks mirrored copies (`layers.RandomFlip`). Does the number of images change from which they win?
# - Mirror the images of a bag, too: is that the same for it?
# - A network's maps as descriptors: a callable that returns `extract_features(model, images, layer="block2")`.
# - `07_transfer_learning`: what is done with MobileNetV2 today.

# %% tags=["summary"]
print(f"Data: {data.name} ({data.source})")
show_runs(sizes, ways)
print(device)
ex.summary()
