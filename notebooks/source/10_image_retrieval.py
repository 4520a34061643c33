# %% [markdown]
# # 10. Image retrieval
#
# **The question.** Which of all training images does the network find most like this one? Does a class follow from
# that, without the network's last layer? And are there images that are in the training *and* in the test set?
#
# *Follows Boracchi (retrieval in the latent space; 1-NN with mean absolute differences). On near-duplicates in
# CIFAR-10: Barz and Denzler (2020).*

# %%
import math
import time

import keras
import numpy as np
from keras import layers
from scipy import stats
from sklearn.metrics import average_precision_score

from kerascv_course import plotting, runtime
from kerascv_course.datasets import colour_baseline, load, missing
from kerascv_course.exercises import image_retrieval as ex
from kerascv_course.experiment import verdict
from kerascv_course.latent import ImageIndex, feature_extractor

device = runtime.setup(seed=0, missing=missing("cifar10"))
print(device)

# %% [markdown]
# ## Knobs

# %%
choose = runtime.by_profile
knobs = {
    "per_class": choose(smoke=10, lite=200, full=None, gpu=None),
    "test_per_class": choose(smoke=10, lite=50, full=None, gpu=None),
    "filters": choose(smoke=8, lite=16, full=16, gpu=64),
    "epochs": choose(smoke=1, lite=8, full=8, gpu=30),
    "seeds": choose(smoke=1, lite=2, full=5, gpu=5),
    "slide_queries": choose(smoke=5, lite=50, full=100, gpu=100),  # for the slide's loop
    "ranked": choose(smoke=20, lite=200, full=1_000, gpu=1_000),  # queries for whose sake all images are ranked
}
knobs

# %% [markdown]
# ## The data, a network and its features
#
# CIFAR-10, where it is at hand. Where it is not, the profiles `full` and `gpu` download it, and so does `lite` in
# Colab and Kaggle. Otherwise *patches* take its place: crops of ten photographs that scikit-image carries.

# %%
data = load("cifar10", fallback="patches", download=device.downloads)
if knobs["per_class"]:
    data = data.subset(knobs["per_class"], test_per_class=knobs["test_per_class"])
mean, deviation = data.x_train.mean(), data.x_train.std()
x_train = ((data.x_train - mean) / deviation).astype("float32")
x_test = ((data.x_test - mean) / deviation).astype("float32")
y_train, y_test = data.y_train, data.y_test
print(f"{data.name}: {len(x_train):,} training and {len(x_test):,} test images, from {data.source}")
print(f"colour alone: {colour_baseline(data):.0%} of the test images")

plotting.plot_images(data.examples()[0], titles=data.class_names, columns=10, caption=f"Data: {data.name}")


# %%
def trained(seed):
    """Train three convolutional blocks and a dense layer of 84 features, in one cycle of the learning rate."""
    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input((32, 32, 3))
    x = layers.RandomFlip("horizontal")(x)
    for factor in (1, 2, 4):
        x = layers.Conv2D(factor * knobs["filters"], 3, padding="same", use_bias=False)(x)
        x = layers.MaxPooling2D(2)(layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x)))
    x = layers.Dense(84, activation="relu", name="latent")(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(x))
    steps = knobs["epochs"] * math.ceil(len(x_train) / 128)
    rising = max(1, steps // 5)
    rate = keras.optimizers.schedules.CosineDecay(
        5e-4, max(1, steps - rising), warmup_target=5e-3, warmup_steps=rising
    )
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, y_train, epochs=knobs["epochs"], batch_size=128, verbose=0)
    return model


models = [trained(seed) for seed in range(knobs["seeds"])]
model = models[0]
own_answers = model.predict(x_test, batch_size=500, verbose=0).argmax(axis=1)
print(f"{len(models)} networks, one for each seed; the first: test accuracy {np.mean(own_answers == y_test):.1%}")

extractor = feature_extractor(model)
features = extractor.predict(x_train, batch_size=500, verbose=0)
queries = extractor.predict(x_test, batch_size=500, verbose=0)
print(f"{features.shape[1]} features of each of {len(features):,} training images")

# %% [markdown]
# ## The slide's code
#
# The distance of a query to each training image is the mean of the absolute differences (**l1**). `argsort` gives
# the nearest first:
#
# $$d(u, v) = \frac{1}{n} \sum_{i=1}^{n} |u_i - v_i|$$

# %%
query = queries[0]
distances = np.mean(np.abs(features - query), axis=1)
nearest = np.argsort(distances)[:5]
print(f"query: {data.class_names[y_test[0]]}; nearest:", ", ".join(data.class_names[y_train[i]] for i in nearest))

# %% [markdown]
# `ImageIndex` finds the same images without sorting all of them. Same answer? And which one is faster?

# %%
some = queries[: knobs["slide_queries"]]
index = ImageIndex(features, data.x_train, y_train, metric="l1")
index.query(some[:1])  # the first search prepares the index

started = time.perf_counter()
by_slide = np.array([np.argsort(np.mean(np.abs(features - query), axis=1), kind="stable")[:5] for query in some])
slide_seconds = time.perf_counter() - started
started = time.perf_counter()
found = index.query(some, k=5)
index_seconds = time.perf_counter() - started

same = np.mean(found.indices == by_slide)
print(f"{len(some)} queries among {len(features):,} images: the same neighbours in the same places: {same:.1%}")
print(f"the slide's loop {slide_seconds:.2f} s, ImageIndex {index_seconds:.2f} s (one run each)")

# %% [markdown]
# ## How good is a retrieval?
#
# An image is *relevant* if it has the class of the query. Of the first $k$ images found:
#
# * **precision at k**: which share of them is relevant;
# * **recall at k**: which share of all relevant images is among them;
# * **average precision** (AP): the precision at each relevant image, averaged over the relevant images. It looks
#   at the whole ranking, and is 1 where all relevant images come first;
# * **mAP**: the mean of AP over the queries.


# %%
def average_precision(relevant):
    """Return the average precision of a ranking: an array of 0 and 1, the nearest image first."""
    hits = np.cumsum(relevant)
    ranks = np.arange(1, len(relevant) + 1)
    return float((hits / ranks)[relevant > 0].mean())


chosen = np.random.default_rng(0).permutation(len(queries))[: knobs["ranked"]]
by_query = []
for i in chosen:
    distances = np.mean(np.abs(features - queries[i]), axis=1)
    relevant = (y_train[np.argsort(distances, kind="stable")] == y_test[i]).astype(int)
    first = relevant[:100]
    by_query.append((average_precision(relevant), first[:10].mean(), first.mean(), first.sum() / relevant.sum()))
by_query = np.array(by_query)
theirs = average_precision_score(y_train == y_test[chosen[-1]], -distances)
print(f"AP of the last query: by hand {by_query[-1, 0]:.4f}, scikit-learn {theirs:.4f}")

print(f"\n{len(chosen):,} queries among {len(features):,} images of {data.name}")
print(f"{'class':14}{'queries':>8}{'mAP':>8}{'P@10':>8}{'P@100':>8}{'recall@100':>12}")
for label, name in enumerate(data.class_names):
    rows = by_query[y_test[chosen] == label]
    if len(rows):
        print(f"{name:14}{len(rows):8}" + "".join(f"{value:8.1%}" for value in rows.mean(axis=0)[:3]), end="")
        print(f"{rows.mean(axis=0)[3]:12.2%}")
print(f"{'all':14}{len(by_query):8}" + "".join(f"{value:8.1%}" for value in by_query.mean(axis=0)[:3]), end="")
print(f"{by_query.mean(axis=0)[3]:12.2%}")
reach = 1.96 * by_query.std(axis=0, ddof=1) / len(by_query) ** 0.5
print(f"{'± 95 %':22}" + "".join(f"{value:8.1%}" for value in reach[:3]) + f"{reach[3]:12.2%}   over the queries")
print(f"At random: mAP about {np.mean([np.mean(y_train == label) for label in range(10)]):.0%}")

# %% [markdown]
# ## What it finds: the best, the median and the worst query
#
# Rows that were picked by hand show what one wants to show. So a rule picks them: of the class with the lowest mAP
# the query with the highest, the median and the lowest average precision. A solid frame and a tick: the class of
# the query; a dashed one and a cross: another class.


# %%
def rows_of(index, queries, wanted, caption):
    """Draw what an index finds for some test images."""
    found = index.query(queries[wanted], k=6)
    pictures, titles, hits = [], [], []
    for query, neighbours, distances in zip(wanted, found.indices, found.distances, strict=True):
        pictures += [data.x_test[query], *data.x_train[neighbours]]
        hits += [None, *(y_train[neighbours] == y_test[query])]
        signs = ["✓" if hit else "✗" for hit in hits[-6:]]
        names = [data.class_names[label] for label in y_train[neighbours]]
        titles.append(f"query: {data.class_names[y_test[query]]}")
        titles += [f"{s} {name}\n{far:.3g}" for s, name, far in zip(signs, names, distances, strict=True)]
    figure = plotting.plot_images(pictures, titles=titles, columns=7, caption=f"{caption}; {data.name}")
    for axis, hit in zip(figure.axes, hits, strict=True):
        if hit is not None:
            axis.spines[:].set(color="C0" if hit else "C1", linewidth=2.5, linestyle="-" if hit else "--")
    return figure


by_class = {label: by_query[y_test[chosen] == label, 0].mean() for label in np.unique(y_test[chosen]).tolist()}
weakest = min(by_class, key=by_class.get)
own = np.flatnonzero(y_test[chosen] == weakest)
by_precision = own[np.argsort(by_query[own, 0])]
three = [int(chosen[by_precision[place]]) for place in (-1, len(by_precision) // 2, 0)]
rows_of(
    index, queries, three, f"{data.class_names[weakest]}: best, median and worst query in the latent space, l1"
)

# %%
pixels = x_train.reshape(len(x_train), -1), x_test.reshape(len(x_test), -1)
pixel_index = ImageIndex(pixels[0], data.x_train, y_train, metric="l1")
rows_of(pixel_index, pixels[1], three, "The same queries in pixels, l1")

# %%
asked = chosen[:200]
colour = data.x_test[asked].mean(axis=(1, 2))[:, None]  # mean red, green and blue
for name, which, vectors in (("latent space", index, queries), ("pixels", pixel_index, pixels[1])):
    ten = which.query(vectors[asked], k=10).indices
    share = np.mean(y_train[ten] == y_test[asked][:, None])
    off = np.abs(data.x_train[ten].mean(axis=(2, 3)) - colour).mean()
    print(
        f"{name:13}of the ten nearest {share:.0%} have the class; their mean colour is {off:.0f} grey levels off"
    )

# %% [markdown]
# ## A classifier without a last layer
#
# **k-NN**: the most frequent class among the k nearest. Is 1-NN as good as the network's own head? Both answer the
# same test images, so the comparison is paired: for each of the networks, over the seeds; and for the first
# network over the images, where only those count that one of the two gets right and the other does not (McNemar).

# %%
accuracies = {"the head": [], "1-NN, l1": [], "1-NN, l2": [], "1-NN, cosine": [], "15-NN, l2": []}
for number, network in enumerate(models):
    vectors, asked = features, queries
    if number:
        extractor = feature_extractor(network)
        vectors, asked = (extractor.predict(x, batch_size=500, verbose=0) for x in (x_train, x_test))
    answers = {"the head": network.predict(x_test, batch_size=500, verbose=0).argmax(axis=1)}
    for metric in ("l1", "l2", "cosine"):
        answers[f"1-NN, {metric}"] = ImageIndex(vectors, labels=y_train, metric=metric).classify(asked, k=1)
    answers["15-NN, l2"] = ImageIndex(vectors, labels=y_train, metric="l2").classify(asked, k=15)
    for name, said in answers.items():
        accuracies[name].append(float(np.mean(said == y_test)))
    if number == 0:
        head_alone = np.sum((answers["the head"] == y_test) & (answers["1-NN, l1"] != y_test))
        neighbour_alone = np.sum((answers["the head"] != y_test) & (answers["1-NN, l1"] == y_test))
for name, values in accuracies.items():
    print(f"{name:14}{np.mean(values):6.1%}")
print(
    "\n".join(str(verdict(accuracies, name, "the head", margin=0.01)) for name in accuracies if name != "the head")
)

difference = (neighbour_alone - head_alone) / len(y_test)
reach = 1.96 * math.sqrt(neighbour_alone + head_alone) / len(y_test)
print(f"\nFirst network: the head alone is right on {head_alone}, 1-NN alone on {neighbour_alone} test images")
print(f"1-NN minus head: {100 * difference:+.1f} points, 95 % interval over the images ± {100 * reach:.1f}")

# %% [markdown]
# ## Near-duplicates between training and test set
#
# A test image that is also in the training set, or nearly, tests memory. Retrieval finds such pairs: the nearest
# training image of each test image, in pixels, without mean and contrast, so that a brighter copy is a copy still.
# Into the patches, which have none, one is planted: a brighter copy.

# %%
test_pixels = data.x_test.reshape(len(x_test), -1).astype("float32")
if not data.name.startswith("cifar10"):
    test_pixels[0] = np.clip(1.03 * data.x_train[7].astype("float32").reshape(-1) + 4, 0, 255)
    print("planted: test image 0 is training image 7, made brighter")
train_pixels = data.x_train.reshape(len(x_train), -1).astype("float32")


def without_light(images):
    """Take mean and contrast out of each image."""
    images = images - images.mean(axis=1, keepdims=True)
    return images / np.maximum(images.std(axis=1, keepdims=True), 1)


near = ImageIndex(without_light(train_pixels), metric="l1").query(without_light(test_pixels), k=1)
gaps, partners = near.distances[:, 0], near.indices[:, 0]
order = np.argsort(gaps, kind="stable")
shown = order[:12]
pairs, titles = [], []
for i in shown:
    pairs += [test_pixels[i].reshape(32, 32, 3).astype("uint8"), data.x_train[partners[i]]]
    titles += [f"test: {data.class_names[y_test[i]]}", f"training: {data.class_names[y_train[partners[i]]]}"]
print("distances of the pairs:", ", ".join(f"{gaps[i]:.2f}" for i in shown))
plotting.plot_images(pairs, titles=titles, columns=6, caption=f"The nearest pairs, row by row; {data.name}")

# %% [markdown]
# **You are the judge.** Which of these pairs are the same photograph? A number cannot decide it: a plain sky is
# near to another plain sky. What do the pairs do to the accuracy? The next cell leaves out the test images that
# are nearer to a training image than a bound, and says by how much they raise the accuracy.

# %%
right = own_answers == y_test
print(f"all {len(right):,} test images: accuracy {right.mean():.2%}")
for count in (10, 30, 100, 300):
    if count < len(order) // 2:
        few, rest = right[order[:count]], right[order[count:]]
        interval = stats.binomtest(int(few.sum()), len(few)).proportion_ci(method="wilson")
        print(f"without the {count:3} nearest (below {gaps[order[count]]:.2f}): {rest.mean():.2%};", end=" ")
        print(f"on these {count} alone {few.mean():.0%} ({interval.low:.0%} to {interval.high:.0%})")
        share = 100 * count / len(right)  # the effect: their share of the images, times the difference of both
        effects = [share * (value - rest.mean()) for value in (few.mean(), interval.low, interval.high)]
        print("   they raise the accuracy by {:+.2f} points, 95 % interval {:+.2f} to {:+.2f}".format(*effects))

# %% [markdown]
# A test image that is near to a training image is often an easy one, too: a plain sky, a car from the front. So
# this is the most that the pairs can have done.
#
# `datasets.duplicates_across` does this for folders of photographs: it names exact copies, which code may remove,
# and near pairs, which a person must look at.
#
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### Precision at k
#
# For a query of class "cat" the five nearest images are: cat, dog, cat, cat, frog. What is its precision at 1, at
# 3 and at 5?

# student: at_1, at_3, at_5 = None, None, None
# solution
at_1, at_3, at_5 = 1, 2 / 3, 3 / 5
# end solution

ex.precision.check(at_1, at_3, at_5)

# %% [markdown] tags=["hints"]
# - Precision at k is the share of the first k images that have the class of the query.
# - Among the first three there are two cats.

# %% tags=["exercise"]
# ### Average precision
#
# `relevant` is an array of 0 and 1: which images of a ranking are relevant, the nearest first. Return the average
# precision: the mean, over the relevant images, of the precision at their place. Where none is relevant return 0.


def ranking_precision(relevant):
    # student: return None
    # solution
    if not relevant.any():
        return 0.0
    precisions = np.cumsum(relevant) / np.arange(1, len(relevant) + 1)
    return np.sum(precisions * relevant) / np.sum(relevant)
    # end solution


ex.average_precision.check(ranking_precision)

# %% [markdown] tags=["hints"]
# - The precision at place i is the number of relevant images up to i, divided by i: `np.cumsum` counts them.
# - Take these precisions at the relevant places alone, and their mean.
# - `np.sum(precisions * relevant) / np.sum(relevant)`, and 0 where nothing is relevant.

# %% tags=["exercise"]
# ### Vote
#
# Write k-NN's vote: `labels` are the classes (whole numbers) of the nearest images, the nearest first. Return the
# class that most of them have; where two have equally many, the one whose image is nearest.


def vote(labels):
    # student: return None
    # solution
    counts = [list(labels).count(label) for label in labels]
    return labels[int(np.argmax(counts))]
    # end solution


ex.voting.check(vote)

# %% [markdown] tags=["hints"]
# - Count how often each class occurs.
# - Of the classes with the most votes take the one that occurs first in `labels`.
# - `np.argmax` returns the first of several equal ones.

# %% tags=["exercise"]
# ### How long would it take?
#
# The slide's loop needs 12 milliseconds for one query against 50,000 images. How many seconds does it need for the
# 10,000 test images? And how many *numbers* does one query read, with 84 features for each image?

# student: seconds = None
# student: numbers = None
# solution
seconds = 10_000 * 0.012
numbers = 50_000 * 84
# end solution

ex.cost.check(seconds, numbers)

# %% [markdown] tags=["hints"]
# - A millisecond is a thousandth of a second.
# - Each image is read whole, for every query.

# %% [markdown] tags=["solution"]
# Two minutes for one pass over the test set. A matrix product computes l2 distances for many queries at once and
# reads the images once for all of them: that is where most of the time goes.

# %% [markdown]
# ## Where to go on
#
# - Your own photographs: `load_image_folder`, features of `TransferModel`, and an `ImageIndex` that you save.
# - Retrieve with the features of MobileNetV2 (notebook 9). What is the mAP?

# %% tags=["summary"]
print(f"Data: {data.name}, {len(x_train):,} training and {len(x_test):,} test images ({data.source})")
for name, values in accuracies.items():
    print(f"Test accuracy of {name}: {np.mean(values):.1%} (seeds: {len(values)})")
print(f"mAP {by_query[:, 0].mean():.1%} over {len(by_query):,} queries")
print(device)
ex.summary()
