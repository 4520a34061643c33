# %% [markdown]
# # 10. Image retrieval
#
# **The question.** Which of all training images does the network find most like this one? Does a class follow from
# that, without the network's last layer? And are there images that are in the training and in the test set?
#
# *Follows Boracchi (retrieval in the latent space; 1-NN with mean absolute differences). On near-duplicates in
# CIFAR-10: Barz and Denzler (2020).*

# %%
import time

import keras
import numpy as np

from kerascv_course import plotting, runtime, training
from kerascv_course.datasets import colour_baseline, load, missing
from kerascv_course.exercises import image_retrieval as ex
from kerascv_course.latent import ImageIndex, extract_features, feature_extractor
from kerascv_course.models import build_tinynet

device = runtime.setup(seed=0, missing=missing("cifar10"))
print(device)

# %% [markdown]
# ## Knobs

# %%
knobs = runtime.by_profile(
    smoke={"per_class": 10, "test": 10, "epochs": 1, "slide_queries": 5},
    lite={"per_class": 500, "test": 50, "epochs": 10, "slide_queries": 100},
    full={"per_class": None, "test": None, "epochs": 30, "slide_queries": 200},
    gpu={"per_class": None, "test": None, "epochs": 30, "slide_queries": 200},
)
knobs

# %% [markdown]
# ## The data, a network and its features
#
# CIFAR-10, where it is at hand. Where it is not, the profiles `full` and `gpu` download it, and so does `lite` in
# Colab and Kaggle. Otherwise *patches* take its place: crops of ten photographs that scikit-image carries (200 of
# each).

# %%
data = load("cifar10", fallback="patches", download=device.downloads)
if knobs["per_class"]:
    fewest = min(data.class_counts.values())
    data = data.subset(min(knobs["per_class"], fewest), test_per_class=knobs["test"])
mean, deviation = data.x_train.mean(), data.x_train.std()
x_train = ((data.x_train - mean) / deviation).astype("float32")
x_test = ((data.x_test - mean) / deviation).astype("float32")
print(f"{data.name}: {len(x_train):,} training and {len(x_test):,} test images, from {data.source}")
print(f"colour alone names {colour_baseline(data):.0%} of the test images")

plotting.plot_images(data.examples()[0], titles=data.class_names, columns=10, caption=f"Data: {data.name}")

# %%
runtime.seed_everything(0)
model = build_tinynet("plain", input_shape=(32, 32, 3))
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
training.fit(model, (x_train, data.y_train), epochs=knobs["epochs"], batch_size=64, validation_split=0, verbose=0)
network_accuracy = float(np.mean(extract_features(model, x_test, verbose=0).argmax(axis=1) == data.y_test))
print(f"the network's own test accuracy: {network_accuracy:.1%}")

extractor = feature_extractor(model)
features = extract_features(extractor, x_train, verbose=0)
queries = extract_features(extractor, x_test, verbose=0)
print(f"{features.shape[1]} features of each of {len(features):,} training images")

# %% [markdown]
# ## The slide's loop
#
# For each query the mean of absolute differences to *all* training images, then `argsort`:
#
# $$d(u, v) = \frac{1}{n} \sum_{i=1}^{n} |u_i - v_i|$$
#
# `ImageIndex` finds the same images without sorting all of them.

# %%
some = queries[: knobs["slide_queries"]]
started = time.perf_counter()
by_slide = np.array([np.argsort(np.mean(np.abs(features - query), axis=1), kind="stable")[:5] for query in some])
slide_seconds = time.perf_counter() - started

index = ImageIndex(features, data.x_train, data.y_train, metric="l1")
index.query(some[:1])  # the first search prepares the index
started = time.perf_counter()
found = index.query(some, k=5)
index_seconds = time.perf_counter() - started
print(f"{len(some)} queries: the slide's loop {slide_seconds:.2f} s, ImageIndex {index_seconds:.2f} s")
# Where two distances agree to the last digits, rounding decides in the loop.
print(f"the same five neighbours in the same order: {np.mean(found.indices == by_slide):.1%} of them")

# %% [markdown]
# ## What it finds
#
# At the left the query. A solid frame and a tick: the same class; a dashed one and a cross: another.


# %%
def rows(index, queries, wanted, caption):
    """Draw what an index finds for some test images."""
    found = index.query(queries[wanted], k=6)
    return plotting.plot_retrieval(
        data.x_test[wanted],
        data.x_train[found.indices],
        labels=data.y_test[wanted],
        neighbour_labels=data.y_train[found.indices],
        class_names=data.class_names,
        distances=found.distances,
        caption=f"{caption}; {data.name}",
    )


wanted = [int(np.flatnonzero(data.y_test == label)[0]) for label in range(5)]
rows(index, queries, wanted, "Nearest in the latent space, l1")

# %%
pixels = x_train.reshape(len(x_train), -1), x_test.reshape(len(x_test), -1)
pixel_index = ImageIndex(pixels[0], data.x_train, data.y_train, metric="l1")
rows(pixel_index, pixels[1], wanted, "Nearest in pixels, l1")

# %% [markdown]
# Pixels find images of the same *colours in the same places*, whatever they show.
#
# ## A classifier without a last layer
#
# k-NN: the most frequent class among the k nearest. With three distances, against the network itself.

# %%
accuracies = {}
for metric in ("l1", "l2", "cosine"):
    latent_index = ImageIndex(features, labels=data.y_train, metric=metric)
    for k in (1, 5, 15):
        accuracies[metric, k] = float(np.mean(latent_index.classify(queries, k=k) == data.y_test))
    shown = "  ".join(f"k={k}: {accuracies[metric, k]:.1%}" for k in (1, 5, 15))
    print(f"{metric:8s} {shown}   precision at 5: {latent_index.precision_at_k(queries, data.y_test, k=5):.1%}")
pixel_accuracy = float(np.mean(pixel_index.classify(pixels[1], k=1) == data.y_test))
print(f"pixels, l1, k=1: {pixel_accuracy:.1%}; the network itself: {network_accuracy:.1%}   (one seed)")
half_width = 1.96 * np.sqrt(network_accuracy * (1 - network_accuracy) / len(x_test))
print(f"with {len(x_test):,} test images differences below about {half_width:.1%} are no differences")

# %% [markdown]
# ## Near-duplicates between training and test set
#
# A test image that is also in the training set, or nearly, tests memory. Retrieval finds such pairs: the nearest
# training image of each test image, in pixels, sorted by distance. Into the patches, which have none, one is
# planted: a brighter copy.

# %%
test_pixels = data.x_test.reshape(len(x_test), -1).astype("float32")
if "cifar10" not in data.name.split()[0]:
    source = data.x_train[7].astype("float32")
    test_pixels[0] = np.clip(1.03 * source + 4, 0, 255).reshape(-1)
    print("planted: test image 0 is training image 7, made brighter")
train_pixels = data.x_train.reshape(len(x_train), -1).astype("float32")


def without_light(images):
    """Take mean and contrast out of each image, so that a brighter copy is a copy still."""
    images = images - images.mean(axis=1, keepdims=True)
    return images / np.maximum(images.std(axis=1, keepdims=True), 1)


nearest = ImageIndex(without_light(train_pixels), metric="l1").query(without_light(test_pixels), k=5)
order = np.argsort(nearest.distances[:, 0], kind="stable")[:5]
for place in order:
    partner = nearest.indices[place, 0]
    print(
        f"test image {place:5d} and training image {partner:5d}: distance {nearest.distances[place, 0]:.3f}, "
        f"classes {data.class_names[data.y_test[place]]} and {data.class_names[data.y_train[partner]]}"
    )
print(f"median distance to the nearest training image: {np.median(nearest.distances[:, 0]):.3f}")
candidates = test_pixels[order].reshape(-1, 32, 32, 3).astype("uint8")
plotting.plot_retrieval(
    candidates,
    data.x_train[nearest.indices[order]],
    distances=nearest.distances[order],
    caption=f"The test images that are nearest to a training image; {data.name}",
)

# %% [markdown]
# ## What we saw
#
# - `ImageIndex` finds what the slide's loop finds, in a fraction of the time.
# - The nearest images in the latent space show the same thing, those in pixels the same colours.
# - 1-NN in the latent space comes near to the network's own answer; which distance is used matters little here.
# - Retrieval is also a check of the data: look at the nearest pairs of test and training images before you trust
#   an accuracy. `duplicates_across` does that for folders of photographs.
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

# %% [markdown] tags=["solution"]
# Two minutes for one pass over the test set. A matrix product computes l2 distances for many queries at once and
# reads the images once for all of them: that is where most of the time goes.

# %% [markdown]
# ## Where to go on
#
# - Your own photographs: `load_image_folder`, features of `TransferModel`, and an `ImageIndex` that you save.
# - With all of CIFAR-10 (`full` and `gpu`): are the nearest pairs in truth the same photograph?

# %% tags=["summary"]
print(f"Data: {data.name}, {len(x_train):,} training images ({data.source})")
print(f"The network {network_accuracy:.1%}; 1-NN in its latent space: l1 {accuracies['l1', 1]:.1%}, ", end="")
print(f"l2 {accuracies['l2', 1]:.1%}, cosine {accuracies['cosine', 1]:.1%}; in pixels {pixel_accuracy:.1%}")
print(device)
ex.summary()
