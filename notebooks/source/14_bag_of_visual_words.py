# %% [markdown]
# # 14. Before CNNs: bag of visual words
#
# **The question.** How did a computer tell a cat from a ship before networks learned their own features? How far
# does that get on the same images as a CNN, in which time, and which of its many choices matter?
#
# *Follows Lorente (classic and deep image classification). On its parts: Lowe (2004), SIFT; Csurka et al. (2004),
# visual words; Lazebnik, Schmid and Ponce (2006), the pyramid; Jégou et al. (2010), VLAD; Perronnin, Sánchez and
# Mensink (2010), Fisher vectors; Arandjelović and Zisserman (2012), RootSIFT.*

# %%
import importlib.util
import time
from copy import copy

import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from keras import layers
from skimage import data as photographs
from skimage.transform import resize
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics.pairwise import linear_kernel
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from kerascv_course import TransferModel, build_lenet5, plotting, runtime, training
from kerascv_course.classic import (
    BagOfVisualWords,
    Daisy,
    DenseSift,
    Sift,
    histogram_intersection,
    word_patches,
)
from kerascv_course.datasets import colour_baseline, find_backbone_weights, load, missing
from kerascv_course.exercises import bag_of_visual_words as ex
from kerascv_course.latent import extract_features, feature_extractor
from kerascv_course.models import build_tinynet

device = runtime.setup(seed=0, missing=missing("cifar10", "mobilenet_v2_96"))
full = device.profile in ("full", "gpu")
print(device)

# %% [markdown]
# ## Knobs

# %%
knobs = runtime.by_profile(
    smoke={"per_class": 10, "test": 5, "cv_per_class": 5, "folds": 2, "words": 16, "step": 4, "seeds": 1},
    lite={"per_class": 100, "test": 50, "cv_per_class": 30, "folds": 4, "words": 64, "step": 3, "seeds": 1},
    full={"per_class": 500, "test": 200, "cv_per_class": 200, "folds": 8, "words": 256, "step": 2, "seeds": 3},
    gpu={"per_class": 500, "test": 200, "cv_per_class": 200, "folds": 8, "words": 256, "step": 2, "seeds": 3},
)
knobs |= runtime.by_profile(
    smoke={"max_descriptors": 1000, "epochs": 1, "patch_epochs": 1},
    lite={"max_descriptors": 6000, "epochs": 10, "patch_epochs": 4},
    full={"max_descriptors": 60_000, "epochs": 30, "patch_epochs": 10},
    gpu={"max_descriptors": 60_000, "epochs": 30, "patch_epochs": 10},
)
knobs

# %% [markdown]
# ## The data
#
# CIFAR-10, where it is at hand. Where it is not, the profiles `full` and `gpu` download it, and so does `lite` in
# Colab and Kaggle. Otherwise *patches* take its place: crops of ten photographs that scikit-image carries. The
# outputs and titles say which.

# %%
data = load("cifar10", fallback="patches", download=device.downloads).subset(
    knobs["per_class"], test_per_class=knobs["test"]
)
x_train, y_train, x_test, y_test = data.x_train, data.y_train, data.x_test, data.y_test
print(f"{data.name}: {len(x_train):,} training and {len(x_test):,} test images, from {data.source}")
print(f"colour alone names {colour_baseline(data):.0%} of the test images")

short = f"{data.name.split(' (')[0]}, {len(x_train):,} training images"
examples, _ = data.examples()
plotting.plot_images(examples, titles=data.class_names, columns=10, caption=f"Data: {data.name}")

# %% [markdown]
# ## Step 1: where to look
#
# A *keypoint* is a place that is found again when the image is turned, enlarged or lit otherwise: a blob or a
# corner. SIFT looks for them at all scales; the square shows how much each one looks at.

# %%
photo = (255 * resize(photographs.astronaut()[:400, 60:460], (160, 160), anti_aliasing=True)).astype("uint8")
found = Sift().describe(photo[None])
caption = f"{len(found.positions)} SIFT keypoints; NASA's portrait of Eileen Collins, by scikit-image"
display(plotting.plot_keypoints(photo, found.positions, found.sizes, caption=caption))

few, _ = data.head(100)
counts = np.bincount(Sift().describe(few).images, minlength=len(few))
print(
    f"in {len(few)} images of {data.name}: median {np.median(counts):.0f} keypoints, none in {np.sum(counts == 0)}"
)

# %% [markdown]
# Small images have few keypoints, and a smooth place, such as the sky behind a ship, has none. But its being
# smooth tells something, too. Therefore a **dense grid**: a descriptor every few pixels, wherever that is.

# %%
example = examples[3]
sparse, coarse = Sift().describe(example[None]), DenseSift(step=8, bin_sizes=(2,)).describe(example[None])
for name, points in {"Keypoints": sparse, "Points of a grid, every 8 pixels": coarse}.items():
    caption = f"{name}: {len(points.positions)}; {short}"
    display(plotting.plot_keypoints(example, points.positions, points.sizes, caption=caption))
dense = DenseSift(step=knobs["step"], bin_sizes=(2, 3))
print(f"every {knobs['step']} pixels, patches of 8 and of 12 pixels: {dense.describe(example[None])}")

# %% [markdown]
# ## Step 2: what it looks like there
#
# SIFT cuts the patch into 4x4 cells. In each cell it adds up the gradient, how steeply the light rises, in eight
# directions: $4 \cdot 4 \cdot 8 = 128$ numbers. A brighter image has the same gradients; one of more contrast has
# them after the division by their sum. **RootSIFT** takes a root as well:
#
# $$\hat d_i = \sqrt{\frac{d_i}{\sum_j d_j}}$$
#
# Below, one descriptor that looks at a whole image: each cell has a star of eight arrows.

# %%
one = DenseSift(bin_sizes=(8,)).describe(example[None]).descriptors
stars = one.reshape(4, 4, 8)
print(f"{one.size} numbers, sum of squares {np.sum(one**2):.3f}")

figure, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
axes[0].imshow(example)
axes[0].set_title(f"{data.class_names[3]}, 32x32 pixels")
axes[1].imshow(example.mean(axis=2), cmap="gray", alpha=0.4)
axes[1].set_title("its descriptor: 4x4 cells, 8 directions")
for row in range(4):
    for column in range(4):
        for direction in range(8):
            angle, length = direction * np.pi / 4, 14 * stars[row, column, direction]
            start = 8 * column + 3.5, 8 * row + 3.5
            end = start[0] + length * np.cos(angle), start[1] - length * np.sin(angle)  # y goes down
            axes[1].plot(*zip(start, end, strict=True), color="#0072B2", linewidth=1.5)
for axis in axes:
    axis.set(xticks=[7.5, 15.5, 23.5], yticks=[7.5, 15.5, 23.5], xlim=(-0.5, 31.5), ylim=(31.5, -0.5))
    axis.tick_params(length=0, labelbottom=False, labelleft=False)
    axis.grid(color="#D55E00", linewidth=0.8)

# %% [markdown]
# ## Step 3: a vocabulary
#
# No two patches are equal, so that they can't be counted as they are. k-means groups the descriptors of many
# training images; the middles of the groups are the **visual words**. What does a word look like? Here are the
# patches that lie nearest to it, each from another image.

# %%
bag = BagOfVisualWords(
    dense,
    vocabulary=knobs["words"],
    norm="l2",
    pca=None if device.profile == "smoke" else 48,
    max_descriptors=knobs["max_descriptors"],
    n_jobs=-1,
).fit(x_train)
print(f"{len(bag.words_)} words of {bag.words_.shape[1]} numbers")

looked_at, _ = data.head(300)
used = np.bincount(bag.nearest_words(bag.describe(looked_at).descriptors), minlength=knobs["words"])
most_used = np.argsort(-used)[:18]
patches = word_patches(bag, looked_at, per_word=8)
plotting.plot_visual_words(
    [patches[word] for word in most_used],
    titles=[f"word {word}: {used[word]:,} times" for word in most_used],
    caption=f"The most used words; {short}",
)

# %% [markdown]
# Edges of one direction, corners, spots, stripes, and much that has no name: no word is a thing.
#
# ## Step 4: count the words
#
# Every descriptor counts for the word $c_k$ that is nearest to it:
#
# $$h_k = \left|\left\{ x : k = \operatorname{argmin}_j \lVert x - c_j \rVert \right\}\right|$$

# %%
some = examples[:4]
figure, axes = plt.subplots(2, 4, figsize=(8, 4.2), layout="constrained")
histograms = {}
for column, image in enumerate(some):
    points = bag.describe(image[None])
    words = bag.nearest_words(points.descriptors)
    name = data.class_names[column]
    histograms[name] = np.bincount(words, minlength=knobs["words"])
    small = points.sizes == 8
    axes[0, column].imshow(image)
    axes[0, column].set_title(name)
    axes[1, column].imshow(image.mean(axis=2), cmap="gray", alpha=0.3)
    y, x = points.positions[small].T
    axes[1, column].scatter(x, y, c=words[small], cmap="turbo", s=24, vmin=0, vmax=knobs["words"] - 1)
for axis in axes.flat:
    axis.set(xticks=[], yticks=[], xlim=(-0.5, 31.5), ylim=(31.5, -0.5))
figure.suptitle(f"Each point in the colour of its word (patches of 8 pixels); {short}", fontsize=9)
plt.show()
plotting.plot_word_histogram(histograms, caption=f"How often each image has each word; {short}")

# %% [markdown]
# That is all that is left of the image: the *bag*. `transform` does the same, and divides by the length.

# %%
by_hand = np.stack([counts / np.linalg.norm(counts) for counts in histograms.values()])
difference = np.abs(by_hand - bag.transform(some)).max()
print(f"largest difference between the histograms by hand and `transform`: {difference:.1e}")

# %% [markdown]
# ## Step 5: the pyramid
#
# A bag does not know where its words were. Swap the quarters of an image, and the histogram hardly changes. The
# **spatial pyramid** counts in the whole image, in its quarters, in its sixteenths, each with a weight:
# for $L$ levels $2^{1-L}$ for the whole and $2^{l-1-L}$ for level $l = 2, ..., L$.
#
# How much of one histogram is in another says the **intersection kernel**, which is 1 for two equal ones of sum 1:
#
# $$k(a, b) = \sum_i \min(a_i, b_i)$$

# %%
swapped = np.roll(photo, (80, 80), axis=(0, 1))
other = (255 * resize(photographs.chelsea()[:, 60:360], (160, 160), anti_aliasing=True)).astype("uint8")
three = np.stack([photo, swapped, other])
for levels in (1, 2, 3):
    vectors = copy(bag).set_params(pyramid_levels=levels, norm="l1").transform(three)  # the words stay the same
    shared = histogram_intersection(vectors[:1], vectors[1:])[0]
    shown = f"shares {shared[0]:.0%} with its swapped quarters, {shared[1]:.0%} with the other one"
    print(f"{levels} level{'s' if levels > 1 else ' '} ({vectors.shape[1]:5,} numbers): the photograph {shown}")
titles = ["the photograph", "its quarters swapped", "another: Chelsea"]
plotting.plot_images(three, titles=titles, columns=3, caption=f"Photographs of scikit-image; words of {short}")

# %%
rows = copy(bag).set_params(pyramid_levels=2, norm=None).transform(photo[None]).reshape(5, -1)
print("the counts of the quarters add up to those of the whole:", np.allclose(rows[1:].sum(axis=0), rows[0]))
names = ["the photograph as a whole", "top left", "top right", "bottom left", "bottom right"]
plotting.plot_word_histogram(
    dict(zip(names, rows, strict=True)), caption=f"A pyramid of two levels; words of {short}"
)

# %% [markdown]
# ## More than counting: VLAD and Fisher vectors
#
# **VLAD** adds up *how* the descriptors differ from their word; that needs fewer words:
#
# $$v_k = \sum_{x:\ c_k \text{ nearest}} (x - c_k)$$
#
# A **Fisher vector** has a mixture of Gaussians in place of the words (weights $w_k$, means $\mu_k$, deviations
# $\sigma_k$). Each of the $N$ descriptors belongs to each component by the share $\gamma_k(x)$. It asks how the
# mixture should change to fit this image better, its means and its deviations:
#
# $$g_{\mu_k} = \frac{1}{N \sqrt{w_k}} \sum_x \gamma_k(x) \frac{x - \mu_k}{\sigma_k}
# \qquad g_{\sigma_k} = \frac{1}{N \sqrt{2 w_k}} \sum_x \gamma_k(x)
# \left[\frac{(x - \mu_k)^2}{\sigma_k^2} - 1\right]$$
#
# Words that fill an image (sky, grass) would drown the others. The **power norm** takes roots,
# $v \leftarrow \operatorname{sign}(v) \sqrt{|v|}$, and divides by the length.

# %%
vlad = copy(bag).set_params(encoding="vlad", norm="power")
descriptors = vlad.describe(example[None]).descriptors
nearest, reduced = vlad.nearest_words(descriptors), vlad.reduce(descriptors)
sums = np.stack([(reduced[nearest == k] - vlad.words_[k]).sum(axis=0) for k in range(knobs["words"])])
rooted = np.sign(sums) * np.sqrt(np.abs(sums))
by_hand = rooted.ravel() / np.linalg.norm(rooted)
difference = np.abs(by_hand - vlad.transform(example[None])[0]).max()
print(f"{by_hand.size:,} numbers; largest difference between VLAD by hand and `transform`: {difference:.1e}")

# %% [markdown]
# ## Step 6: the choices, cross-validated
#
# Which descriptor, how many words, which encoding? Each choice is a pipeline, and is judged without the test
# images: the training images are cut into folds with all classes in their proportion; each fold is classified by
# what was learned from the others, *vocabulary included*. In the figure a dot is a fold.

# %%
choosing = data.subset(knobs["cv_per_class"], test_per_class=1)
cut_into = f"{short}, {len(choosing.x_train):,} of them in {knobs['folds']} folds"
folds = StratifiedKFold(knobs["folds"], shuffle=True, random_state=0)
common = {"pca": bag.pca, "norm": "power", "max_descriptors": knobs["max_descriptors"], "n_jobs": -1}
words = knobs["words"]
few_words = max(8, words // 4)


def linear_svm(penalty=1.0):
    """Return an SVM with a linear kernel; as a function it is one matrix product, quicker than "linear"."""
    return SVC(kernel=linear_kernel, C=penalty)


bags = {
    f"{few_words} words": BagOfVisualWords(dense, vocabulary=few_words, **common),
    f"{words} words": BagOfVisualWords(dense, vocabulary=words, **common),
    f"{4 * words} words": BagOfVisualWords(dense, vocabulary=4 * words, **common),
    f"{words} words, keypoints": BagOfVisualWords("sift", vocabulary=words, **common),
    f"{words} words, 2 levels": BagOfVisualWords(dense, vocabulary=words, pyramid_levels=2, **common),
    "VLAD, 16 words": BagOfVisualWords(dense, vocabulary=16, encoding="vlad", **common),
    "VLAD, 2 levels": BagOfVisualWords(dense, vocabulary=16, encoding="vlad", pyramid_levels=2, **common),
    "Fisher, 16 components": BagOfVisualWords(dense, vocabulary=16, encoding="fisher", **common),
}
if full:
    colour = DenseSift(step=knobs["step"], bin_sizes=(2, 3), color="rgb")
    bags |= {
        f"{words} words, DAISY": BagOfVisualWords(Daisy(step=2), vocabulary=words, **common),
        f"{words} words, 3 levels": BagOfVisualWords(dense, vocabulary=words, pyramid_levels=3, **common),
        "VLAD, 2 levels, colour": BagOfVisualWords(
            colour, vocabulary=16, encoding="vlad", pyramid_levels=2, **common
        ),
    }
elif importlib.util.find_spec("cv2") is None and device.profile != "smoke":
    del bags[f"{words} words, keypoints"]
    print("Keypoints are left out: without OpenCV they take minutes (pip install opencv-python-headless).")

# %%
scores, seconds = {}, {}
for name, words_of in bags.items():
    started = time.perf_counter()
    scores[name] = cross_val_score(
        make_pipeline(words_of, linear_svm()), choosing.x_train, choosing.y_train, cv=folds
    )
    seconds[name] = (time.perf_counter() - started) / knobs["folds"]


def show_scores(scores, title):
    """Draw the accuracy of each fold, and their mean."""
    _, axis = plt.subplots(figsize=(8, 1 + 0.32 * len(scores)), layout="constrained")
    for row, values in enumerate(scores.values()):
        axis.plot(100 * values, np.full(len(values), row), "o", color="#D55E00", markersize=4, alpha=0.7)
        axis.plot(100 * np.mean(values), row, "s", color="#0072B2", markersize=7)
    axis.set_yticks(range(len(scores)), list(scores))
    axis.set_title(title, fontsize=9)
    axis.set(ylim=(len(scores) - 0.5, -0.5), xlabel="accuracy in %; square: mean of the folds")
    axis.grid(alpha=0.3, axis="x")


print(f"{cut_into}; linear SVM")
print(f"{'':24s}{'accuracy':>9s}{'deviation':>11s}{'seconds a fold':>16s}")
for name, values in scores.items():
    print(f"{name:24s}{values.mean():9.1%}{values.std(ddof=1):11.1%}{seconds[name]:16.1f}")
show_scores(scores, f"Bags, linear SVM; {cut_into}")

# %% [markdown]
# **And the classifier behind it?** The words know no classes. To save time they are learned here once, from all
# these images; only the classifiers are cross-validated. Compare the first row with that of the same bag above.
#
# The vectors are roots of shares; the intersection kernel takes the shares themselves, their squares. LDA asks for
# fewer numbers than images: PCA comes first. RBF is $k(a, b) = e^{-\gamma \lVert a - b \rVert^2}$.

# %%
vectors = bags[f"{words} words"].fit_transform(choosing.x_train)
directions = min(30, len(choosing.x_train) // 3)
classifiers = {
    "SVM, linear": linear_svm(),
    "SVM, RBF": SVC(kernel="rbf", gamma="scale"),
    "SVM, intersection": make_pipeline(FunctionTransformer(np.square), SVC(kernel=histogram_intersection)),
    "5 nearest neighbours": KNeighborsClassifier(5),
    f"PCA to {min(directions, words)}, SVM, linear": make_pipeline(PCA(min(directions, words)), linear_svm()),
    f"PCA to {min(directions, words)}, LDA": make_pipeline(
        PCA(min(directions, words)), LinearDiscriminantAnalysis()
    ),
    "PCA, LDA, 5 neighbours": make_pipeline(
        PCA(min(directions, words)), LinearDiscriminantAnalysis(n_components=9), KNeighborsClassifier(5)
    ),
}
by_classifier = {
    name: cross_val_score(classifier, vectors, choosing.y_train, cv=folds)
    for name, classifier in classifiers.items()
}
for name, values in by_classifier.items():
    print(f"{name:28s}{values.mean():7.1%}, deviation {values.std(ddof=1):.1%}")
show_scores(by_classifier, f"Classifiers, {words} words; {cut_into}")

# %%
for table, best_of in {"bag": scores, "classifier": by_classifier}.items():
    ranked = sorted(best_of, key=lambda name: -best_of[name].mean())
    first, second = ranked[:2]
    gaps = best_of[first] - best_of[second]
    wins = int(np.sum(gaps > 0))
    print(f"best {table}: {first}, ahead of {second} by {gaps.mean():.1%}, in {wins} of {len(gaps)} folds")

# %% [markdown]
# ## Against networks, on the same images
#
# Every way gets the same training images and is asked for the same test images; the seed decides the vocabulary
# or the first weights. The clock runs on this machine: networks gain from a GPU, bags do not.

# %%
results = []


def compare(name, fit, on_top_of=None):
    """Train with each seed; note accuracy on the test images, seconds of training, milliseconds per prediction."""
    before = [row[2] for row in results if row[0] == on_top_of] or [0] * knobs["seeds"]
    for seed in range(knobs["seeds"]):
        runtime.seed_everything(seed)
        started = time.perf_counter()
        predict = fit(seed)
        trained = before[seed] + time.perf_counter() - started
        predict(x_test[:128])  # the first batch also builds the network's graph
        started = time.perf_counter()
        right = np.mean(predict(x_test) == y_test)
        results.append((name, right, trained, 1000 * (time.perf_counter() - started) / len(x_test)))
        print(f"{name:34s} {right:6.1%}  trained {trained:5.1f} s, {results[-1][3]:6.2f} ms for an image")


def bagged(classifier, **options):
    """Return what trains a bag with a classifier behind it."""

    def fit(seed):
        words_of = BagOfVisualWords(dense, **{**common, **options, "random_state": seed})
        return make_pipeline(words_of, classifier).fit(x_train, y_train).predict

    return fit


intersection_svm = SVC(kernel=histogram_intersection)
compare(
    f"{words} words, 2 levels, intersection",
    bagged(intersection_svm, vocabulary=words, pyramid_levels=2, norm="l1"),
)
compare("VLAD, 2 levels, linear", bagged(linear_svm(), vocabulary=16, encoding="vlad", pyramid_levels=2))

# %%
mean, deviation = x_train.mean(), x_train.std()


def scaled(images):
    """Return images as the networks take them."""
    return ((images - mean) / deviation).astype("float32")


def trained_network(model, images, labels, epochs, seed, batch_size=32):
    """Compile and train a network, and return it."""
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    training.fit(
        model, (images, labels), epochs=epochs, batch_size=batch_size, validation_split=0, seed=seed, verbose=0
    )
    return model


def network(build):
    """Return what trains a network on whole images."""

    def fit(seed):
        model = trained_network(build(), scaled(x_train), y_train, knobs["epochs"], seed)
        return lambda images: extract_features(model, scaled(images), verbose=0).argmax(axis=1)

    return fit


compare("LeNet-5", network(lambda: build_lenet5((32, 32, 3))))
compare("TinyNet", network(lambda: build_tinynet("plain", input_shape=(32, 32, 3))))

# %% [markdown]
# **Transfer**: MobileNetV2 has learned its features from a million photographs; a linear SVM does the rest. The
# features of the training images are kept in the cache; their time is that of the test images, times their number.

# %%
found = None
if device.profile != "smoke":
    found = find_backbone_weights("MobileNetV2", (96, 96), download=device.downloads)
if found is None:
    print("ImageNet weights of MobileNetV2 are not at hand: no transfer in this comparison.")
else:
    backbone = feature_extractor(TransferModel("MobileNetV2", 10, image_size=96, weights=found.path))
    transferred = extract_features(backbone, x_train, verbose=0, cache=True)
    extract_features(backbone, x_test[:128], verbose=0)
    started = time.perf_counter()
    asked = extract_features(backbone, x_test, verbose=0)
    each = (time.perf_counter() - started) / len(x_test)
    started = time.perf_counter()
    on_top = make_pipeline(StandardScaler(), linear_svm(0.001)).fit(transferred, y_train)
    spent = each * len(x_train) + time.perf_counter() - started
    results.append(("MobileNetV2, ImageNet, SVM", on_top.score(asked, y_test), spent, 1000 * each))
    print(f"{found.source}: {results[-1][1]:.1%}, {spent:.1f} s, {1000 * each:.1f} ms for an image")

# %% [markdown]
# ## Between the two
#
# Between words made by hand and convolutions lie four ideas of Lorente. **An MLP on the pixels**; and **its last
# hidden layer as features of an SVM**. What is put on top of a trained network has the time of both.


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


mlps = {}


def mlp_alone(seed):
    """Train an MLP on the pixels."""
    mlps[seed] = trained_network(mlp(3072), flat(x_train), y_train, knobs["epochs"], seed)
    return lambda images: extract_features(mlps[seed], flat(images), verbose=0).argmax(axis=1)


def svm_on_mlp(seed):
    """Train an SVM on what the last hidden layer says."""
    hidden = feature_extractor(mlps[seed])
    svm = make_pipeline(StandardScaler(), SVC()).fit(extract_features(hidden, flat(x_train), verbose=0), y_train)
    return lambda images: svm.predict(extract_features(hidden, flat(images), verbose=0))


compare("MLP on pixels", mlp_alone)
compare("MLP features, SVM", svm_on_mlp, on_top_of="MLP on pixels")

# %% [markdown]
# **Patch aggregation**: the MLP sees patches of 16x16 pixels, each with the label of its image. An image is what
# its patches say together, by the sum of their log probabilities:
#
# $$\hat y = \operatorname{argmax}_c \sum_p \log P(c \mid \text{patch}_p)$$


# %%
def cut(images):
    """Return patches of 16x16 pixels, every 8 pixels, as rows: (n, 3, 3, 768)."""
    windows = np.lib.stride_tricks.sliding_window_view(scaled(images), (16, 16), axis=(1, 2))[:, ::8, ::8]
    return windows.reshape(*windows.shape[:3], -1)


patch_mlps = {}


def aggregated(seed):
    """Train an MLP on patches, and let those of an image decide together."""
    patches = cut(x_train)
    labels = np.repeat(y_train, patches.shape[1] * patches.shape[2])
    patch_mlps[seed] = trained_network(
        mlp(768), patches.reshape(-1, 768), labels, knobs["patch_epochs"], seed, batch_size=128
    )

    def predict(images):
        probabilities = extract_features(patch_mlps[seed], cut(images).reshape(-1, 768), verbose=0)
        return np.log(probabilities + 1e-9).reshape(len(images), -1, 10).sum(axis=1).argmax(axis=1)

    return predict


compare("MLP on patches, together", aggregated)

# %% [markdown]
# **Deep features as descriptors**: what the hidden layer says of each patch takes the place of SIFT. A descriptor
# may be any function from images to a map of vectors, here $3 \times 3 \times 128$.


# %%
def bag_of_deep_features(seed):
    """Make VLAD of what the MLP's hidden layer says of each patch."""
    hidden = feature_extractor(patch_mlps[seed])
    deep = BagOfVisualWords(
        lambda images: extract_features(hidden, cut(images).reshape(-1, 768), verbose=0).reshape(-1, 3, 3, 128),
        vocabulary=4 if device.profile == "smoke" else 16,
        encoding="vlad",
        norm="power",
        max_descriptors=knobs["max_descriptors"],
        random_state=seed,
    )
    return make_pipeline(deep, linear_svm()).fit(x_train, y_train).predict


compare("VLAD of MLP features", bag_of_deep_features, on_top_of="MLP on patches, together")

# %% [markdown]
# ## Accuracy, training, prediction

# %%
ways = list(dict.fromkeys(row[0] for row in results))
runs = {way: np.array([row[1:] for row in results if row[0] == way]) for way in ways}
figure, axes = plt.subplots(1, 3, figsize=(8, 0.9 + 0.3 * len(ways)), sharey=True, layout="constrained")
titles = ("test accuracy in %", "training, seconds", "prediction, ms per image")
for panel, (axis, title) in enumerate(zip(axes, titles, strict=True)):
    for row, way in enumerate(ways):
        values = runs[way][:, panel] * (100 if panel == 0 else 1)
        axis.plot(values, np.full(len(values), row), "o", color="#D55E00", markersize=4)
        axis.plot(values.mean(), row, "s", color="#0072B2", markersize=8, markerfacecolor="none")
    axis.grid(alpha=0.3, axis="x")
    axis.set_xlabel(title, fontsize=9)
    if panel:
        every = np.log10([row[panel + 1] for row in results])
        axis.set(xscale="log", xlim=(0.6 * 10 ** np.floor(every.min()), 1.6 * 10 ** np.ceil(every.max())))
        axis.minorticks_off()
axes[0].set_yticks(range(len(ways)), ways)
axes[0].set_ylim(len(ways) - 0.5, -0.5)
figure.suptitle(f"Dot: a seed; square: their mean. {short}, {len(x_test):,} test images", fontsize=9)
plt.show()

accuracy = {way: float(values[:, 0].mean()) for way, values in runs.items()}
best = max(accuracy, key=accuracy.get)
half_width = 1.96 * np.sqrt(accuracy[best] * (1 - accuracy[best]) / len(x_test))
print(f"the best here: {best}, {accuracy[best]:.1%}")
print(f"with {len(x_test):,} test images differences below about {half_width:.1%} are no differences")
classic = max(ways[:2], key=accuracy.get)
learned = max(("LeNet-5", "TinyNet"), key=accuracy.get)
print(f"{classic} {accuracy[classic]:.1%}; the better network from scratch, {learned}, {accuracy[learned]:.1%}")

# %% [markdown]
# ## What we saw
#
# - An image became a vector in four steps that were thought out by people; only the vocabulary and the classifier
#   are learned. A network learns all of it together.
# - A bag forgets where things are: an image with swapped quarters is nearly the same to it. The pyramid brings
#   that back, for more numbers.
# - The tables say which choice matters *here*. Folds vary; a difference smaller than that is none.
# - In the last figure look at all three panels: a bag has no epochs, and each image costs it the same again.
#
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
# The test accuracy should tell how well *new* images are classified. Which of these make it worth less? Make a
# set of the letters.
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
# In *a* the words have seen the test images, which new images can't have been; in *d* the test images have chosen
# among five. In *b* and *c* nothing is learned from the test images: the length is that of the image alone.

# %% [markdown]
# ## Where to go on
#
# - How many images does it take? Run the comparison with `per_class` 20, and with 500. Which of the ways gains?
# - A network's maps as descriptors: a callable that returns `extract_features(model, images, layer="block2")`.
# - `07_transfer_learning`: what is done with MobileNetV2 today.

# %% tags=["summary"]
print(f"Data: {data.name}, {len(x_train):,} training and {len(x_test):,} test images ({data.source})")
for way, values in runs.items():
    spread = ", ".join(f"{value:.1%}" for value in values[:, 0])
    print(f"{way:34s} {spread}; {values[:, 1].mean():.1f} s; {values[:, 2].mean():.2f} ms for an image")
print(device)
ex.summary()
