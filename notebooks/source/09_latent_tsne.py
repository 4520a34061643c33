# %% [markdown]
# # 9. The latent space
#
# **The question.** A network turns an image into a vector, and only its last layer turns the vector into a class.
# What lies near what in the space of these vectors? And what may a map of that space be read for?
#
# *Follows Boracchi (feature extraction network, t-SNE with the images at their places). On t-SNE: van der Maaten
# and Hinton (2008); Wattenberg, Viégas and Johnson (2016) on how to misread it.*

# %%
import math

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.manifold import trustworthiness

from kerascv_course import TransferModel, plotting, runtime
from kerascv_course.datasets import colour_baseline, find_backbone_weights, load, missing
from kerascv_course.exercises import latent_tsne as ex
from kerascv_course.latent import ImageIndex, extract_features, feature_extractor, project

device = runtime.setup(seed=0, missing=missing("cifar10", "mobilenet_v2_96"))
print(device)

# %% [markdown]
# ## Knobs

# %%
choose = runtime.by_profile
knobs = {
    "per_class": choose(smoke=10, lite=200, full=None, gpu=None),
    "test_per_class": choose(smoke=10, lite=50, full=None, gpu=None),
    "filters": choose(smoke=8, lite=16, full=32, gpu=64),
    "epochs": choose(smoke=1, lite=10, full=14, gpu=30),
    "transferred": choose(smoke=0, lite=300, full=5_000, gpu=50_000),  # images through MobileNetV2
    "mapped": choose(smoke=100, lite=400, full=4_000, gpu=10_000),  # test images in a map
    "perplexities": choose(smoke=(5, 20), lite=(2, 30, 100), full=(2, 30, 300), gpu=(2, 30, 300)),
    "steps": choose(smoke=20, lite=400, full=1_000, gpu=1_000),  # of t-SNE by hand
}
knobs

# %% [markdown]
# ## The data
#
# CIFAR-10, where it is at hand. Where it is not, the profiles `full` and `gpu` download it, and so does `lite` in
# Colab and Kaggle. Otherwise *patches* take its place: crops of ten photographs that scikit-image carries. The
# outputs and titles say which.

# %%
data = load("cifar10", fallback="patches", download=device.downloads)
if knobs["per_class"]:
    data = data.subset(knobs["per_class"], test_per_class=knobs["test_per_class"])
mean, deviation = data.x_train.mean(), data.x_train.std()
x_train = ((data.x_train - mean) / deviation).astype("float32")
x_test = ((data.x_test - mean) / deviation).astype("float32")
print(f"{data.name}: {len(x_train):,} training and {len(x_test):,} test images, from {data.source}")
print(f"colour alone: {colour_baseline(data):.0%} of the test images")

plotting.plot_images(data.examples()[0], titles=data.class_names, columns=10, caption=f"Data: {data.name}")

# %% [markdown]
# ## A network worth a map
#
# Three blocks of convolution, batch normalization, ReLU and max pooling, and a dense layer. It is trained in one
# cycle of the learning rate, with mirrored copies. Its map is worth no more than its accuracy, so that is printed
# first.


# %%
def build():
    """Build three convolutional blocks and a head."""
    x = inputs = keras.Input((32, 32, 3))
    x = layers.RandomFlip("horizontal")(x)
    for factor in (1, 2, 4):
        x = layers.Conv2D(factor * knobs["filters"], 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(128, activation="relu", name="latent")(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="predictions")(x))


keras.utils.set_random_seed(0)
model = build()
untrained = keras.models.clone_model(model)
steps = knobs["epochs"] * math.ceil(len(x_train) / 128)
rate = keras.optimizers.schedules.CosineDecay(
    5e-4, max(1, steps - steps // 5), warmup_target=5e-3, warmup_steps=max(1, steps // 5)
)
model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, data.y_train, epochs=knobs["epochs"], batch_size=128, verbose=0)
network_accuracy = model.evaluate(x_test, data.y_test, verbose=0)[1]
error = (network_accuracy * (1 - network_accuracy) / len(x_test)) ** 0.5
print(f"{model.count_params():,} parameters; test accuracy {network_accuracy:.1%}, standard error {error:.1%}")

# %% [markdown]
# ## The feature extraction network
#
# The model up to the layer *before* the head. Its output is the **latent vector** of an image. In Keras that is
# one line; `feature_extractor` finds the layer by itself.

# %%
by_hand = keras.Model(model.input, model.get_layer("latent").output)
both = [network.predict(x_test[:100], verbose=0) for network in (by_hand, feature_extractor(model))]
difference = np.abs(both[0] - both[1])
print(f"latent vectors of {by_hand.output_shape[1]} numbers; difference of the two ways: {difference.max():.0e}")

# %% [markdown]
# Four spaces, for the same images: the pixels, a network with random weights, the trained network, and
# MobileNetV2, which has learned ImageNet and none of these images.

# %%
spaces = {"pixels": (x_train.reshape(len(x_train), -1), x_test.reshape(len(x_test), -1))}
for name, network in {"random network": untrained, "trained network": model}.items():
    extractor = feature_extractor(network)
    spaces[name] = tuple(extractor.predict(images, batch_size=500, verbose=0) for images in (x_train, x_test))
labels_of = dict.fromkeys(spaces, data.y_train)
found = None
if knobs["transferred"]:
    found = find_backbone_weights("MobileNetV2", (96, 96), download=device.downloads)
few = np.random.default_rng(0).permutation(len(x_train))[: knobs["transferred"]]
mapped = np.random.default_rng(1).permutation(len(x_test))[: knobs["mapped"]]
if found is not None:
    transferred = feature_extractor(TransferModel("MobileNetV2", 10, image_size=96, weights=found.path))
    name = "MobileNetV2, ImageNet"
    parts = (data.x_train[few], data.x_test[mapped])
    spaces[name] = tuple(extract_features(transferred, images, verbose=0, cache=True) for images in parts)
    labels_of[name] = data.y_train[few]
else:
    print("ImageNet weights of MobileNetV2 are not at hand: no transferred features.")
for name, (vectors, _) in spaces.items():
    print(f"{name:22} {vectors.shape[1]:5,} numbers for each of {len(vectors):,} training images")

# %% [markdown]
# ## Is a class a neighbourhood?
#
# A test image gets the class of its nearest training image (**1-NN**). If that works, images of a class lie
# together. Near is what points in the same direction: the **cosine distance** does not ask how long a vector is.
#
# $$d(u, v) = 1 - \frac{u \cdot v}{|u| \, |v|}$$
#
# All spaces are asked with the same training images, as many as MobileNetV2 has seen, and the same test images.
# The last line has all training images, as many as the head has learned from.

# %%
neighbour_accuracy = {}
for name, (vectors, queries) in spaces.items():
    if len(vectors) > len(few) > 0:
        vectors, known = vectors[few], data.y_train[few]
    else:
        known = labels_of[name]
    asked = queries if len(queries) == len(mapped) else queries[mapped]
    index = ImageIndex(vectors, labels=known, metric="cosine")
    neighbour_accuracy[name] = float(np.mean(index.classify(asked, k=1) == data.y_test[mapped]))
    print(f"1-NN on {name:22}{neighbour_accuracy[name]:6.1%}   ({len(vectors):,} training images)")
print(f"{len(mapped):,} test images, standard error at most {0.5 / len(mapped) ** 0.5:.1%}")

vectors, queries = spaces["trained network"]
answers = ImageIndex(vectors, labels=data.y_train, metric="cosine").classify(queries, k=1)
print(f"1-NN on the trained network with all {len(vectors):,} training images:", end=" ")
print(f"{np.mean(answers == data.y_test):.1%}; its head: {network_accuracy:.1%} of {len(queries):,} test images")

# %% [markdown]
# ## What t-SNE does
#
# A map has a point $y_i$ in the plane for each vector $x_i$. t-SNE writes down who is near whom, once for the
# vectors and once for the points, and moves the points until both agree.
#
# * **P**, of the vectors: $p_{j|i}$ is large where $x_j$ is near $x_i$. A normal distribution around $x_i$; its
#   width $\sigma_i$ is chosen so that about as many points count as the *perplexity* says. Then $p_{ij} = (p_{j|i}
#   + p_{i|j}) / 2n$.
# * **Q**, of the points: $q_{ij} \propto (1 + |y_i - y_j|^2)^{-1}$.
# * The objective is the **Kullback-Leibler divergence**, and its gradient pulls where $p > q$ and pushes where $p
#   < q$:
#
# $$KL(P \| Q) = \sum_{ij} p_{ij} \log \frac{p_{ij}}{q_{ij}} \qquad
# \frac{\partial KL}{\partial y_i} = 4 \sum_j (p_{ij} - q_{ij}) \frac{y_i - y_j}{1 + |y_i - y_j|^2}$$


# %%
def squared_distances(vectors):
    """Return the squared distance of each pair."""
    squares = (vectors**2).sum(axis=1)
    return np.maximum(squares[:, None] + squares - 2 * vectors @ vectors.T, 0)


def joint_probabilities(vectors, perplexity):
    """Return P: for each vector the width is found by halving intervals."""
    distances = squared_distances(vectors)
    p = np.zeros_like(distances)
    for i, row in enumerate(distances):
        others = np.delete(row, i)
        low, high = 0.0, np.inf  # of the precision, 1 / (2 sigma^2)
        precision = 1 / others.mean()
        for _ in range(60):
            near = np.exp(-precision * (others - others.min()))
            near /= near.sum()
            entropy = -(near * np.log2(np.maximum(near, 1e-300))).sum()
            if entropy > np.log2(perplexity):
                low, precision = precision, precision * 2 if high == np.inf else (precision + high) / 2
            else:
                high, precision = precision, (precision + low) / 2
        p[i] = np.insert(near, i, 0)
    return (p + p.T) / (2 * len(p))


def tsne_by_hand(vectors, perplexity, steps, seed=0):
    """Return the points, and the divergence after each step."""
    p = joint_probabilities(vectors.astype("float64"), perplexity)
    y = np.random.default_rng(seed).normal(scale=1e-2, size=(len(p), 2))
    velocity, divergences = np.zeros_like(y), []
    for step in range(steps):
        weights = 1 / (1 + squared_distances(y))
        np.fill_diagonal(weights, 0)
        q = weights / weights.sum()
        divergences.append((p * np.log(np.maximum(p, 1e-12) / np.maximum(q, 1e-12))).sum())
        pull = ((12 if step < steps // 4 else 1) * p - q) * weights  # at first all pulls are twelvefold
        gradient = 4 * (pull.sum(axis=1)[:, None] * y - pull @ y)
        velocity = (0.5 if step < steps // 4 else 0.8) * velocity - len(p) / 12 * gradient
        y = y + velocity
    return y, divergences


two_hundred = mapped[:200]
vectors, classes = spaces["trained network"][1][two_hundred], data.y_test[two_hundred]
perplexity = min(20, (len(vectors) - 1) // 3)
points, divergences = tsne_by_hand(vectors, perplexity, knobs["steps"])
library = project(vectors, perplexity=perplexity, pca_components=None)
for name, found_points in {"by hand": points, "the library": library.points}.items():
    print(f"{name:12} trustworthiness {trustworthiness(vectors, found_points, n_neighbors=10):.3f}")
print(f"divergence by hand: {divergences[0]:.2f} at first, {divergences[-1]:.2f} after {len(divergences):,} steps")

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
axes[0].plot(divergences)
axes[0].set(xlabel="step", ylabel="KL divergence", title="the objective")
axes[0].axvline(knobs["steps"] // 4, color="gray", linestyle=":", label="pulls twelvefold until here")
axes[0].legend(fontsize=8)
figure.suptitle(f"{len(vectors)} test images of {data.name}, colours: classes", fontsize=10)
both_maps = {"by hand": points, "the library": library.points}
for axis, (name, found_points) in zip(axes[1:], both_maps.items(), strict=True):
    axis.scatter(*found_points.T, c=classes, cmap="tab10", s=14)
    axis.set(title=name, xticks=[], yticks=[])

# %% [markdown]
# In the first quarter the pulls are twelvefold, so that groups form early; that lowers another sum than the
# divergence. Then the divergence itself falls.
#
# The two maps look different: a map may be turned, mirrored, and its groups may change places. What agrees is who
# is near whom. **Trustworthiness** measures it: it is 1 where no two points are neighbours in the map that were
# none in the space.
#
# ## Four spaces, four maps

# %%
maps = {}
for name, (_, queries) in spaces.items():
    asked = queries if len(queries) == len(mapped) else queries[mapped]
    maps[name] = project(asked, perplexity=min(30, (len(mapped) - 1) // 3))
labels = data.y_test[mapped]
drawn = slice(0, 1500)  # of the points: more hide each other
figure, axes = plt.subplots(2, 2, figsize=(10, 9), layout="constrained")
for axis, (name, found_map) in zip(axes.flat, maps.items(), strict=False):
    for label, class_name in enumerate(data.class_names):
        own = found_map.points[drawn][labels[drawn] == label]
        axis.scatter(*own.T, s=5, color=f"C{label}", label=class_name)
    kept = f"trustworthiness {found_map.trustworthiness:.3f}, 1-NN {neighbour_accuracy[name]:.0%}"
    axis.set(title=f"{name}\n{kept}", xticks=[], yticks=[])
for axis in axes.flat[len(maps) :]:
    axis.axis("off")
handles, class_names = axes.flat[0].get_legend_handles_labels()
_ = figure.legend(handles, class_names, loc="outside lower center", ncols=5, markerscale=3)

# %%
for name, found_map in maps.items():
    kept = found_map.neighbours_kept
    print(f"{name:22} {kept:.0%} of the {found_map.neighbours} nearest neighbours are kept in the map")
print(project(spaces["trained network"][1][mapped], method="pca").caption)

# %% [markdown]
# Not all neighbours are kept. A neighbour in the map is a *hint* that must be checked in the space itself.
#
# ## The images at their places
#
# Every image on a grid, as near to its place in the map as is possible without hiding another: of all ways to put
# the images into cells the one with the smallest sum of squared distances. Before that the map is stretched
# halfway to a square full of points, as a dense group would push its images far away. Then the same map to
# explore: the mouse shows the image, the wheel zooms.

# %%
shown = slice(0, 625)
points = maps["trained network"].points[shown]
pictures = data.x_test[mapped][shown]
side = math.ceil(math.sqrt(len(points)))
rows, columns = np.divmod(np.arange(side**2), side)
cells = np.column_stack([columns, side - 1 - rows]) / (side - 1)  # as points: to the right and upwards, 0 to 1
even = (points - points.min(axis=0)) / np.ptp(points, axis=0)
ranks = points.argsort(axis=0).argsort(axis=0) / (len(points) - 1)
_, chosen = linear_sum_assignment(cdist((even + ranks) / 2, cells, "sqeuclidean"))
mosaic = np.full((side**2, *data.input_shape), 255, "uint8")
mosaic[chosen] = pictures
height, width, channels = data.input_shape
mosaic = mosaic.reshape(side, side, height, width, channels).swapaxes(1, 2).reshape(side * height, -1, channels)
figure, axis = plt.subplots(figsize=(7, 7), dpi=120, layout="constrained")
axis.imshow(mosaic)
axis.set_title(f"Test images in the space of the trained network, {data.name}", fontsize=10)
_ = axis.axis("off")

# %%
plotting.plot_interactive_map(points[:150], pictures[:150], labels[:150], data.class_names)

# %% [markdown]
# ## What the perplexity does
#
# It says about how many neighbours each point attends to.

# %%
vectors = spaces["trained network"][1][mapped]
figure, axes = plt.subplots(1, len(knobs["perplexities"]), figsize=(11, 4), layout="constrained")
for axis, perplexity in zip(axes, knobs["perplexities"], strict=True):
    found_map = project(vectors, perplexity=perplexity)
    axis.scatter(*found_map.points[drawn].T, c=labels[drawn], cmap="tab10", s=4)
    title = f"perplexity {perplexity}\ntrustworthiness {found_map.trustworthiness:.3f}"
    axis.set(title=title, xticks=[], yticks=[])

# %% [markdown]
# ## What a map may not be read for
#
# Three groups are planted: two of them near each other, one ten times as far; and that one five times as wide as
# the others. What is left of that in the map? The first picture shows the two directions in which they were
# planted.

# %%
rng = np.random.default_rng(0)
count = 30 if device.profile == "smoke" else 100
centres = np.zeros((3, 50))
centres[1, 0], centres[2, 0] = 15, 150
widths = np.array([1.0, 1.0, 5.0])
group = np.repeat(np.arange(3), count)
planted = centres[group] + rng.normal(size=(3 * count, 50)) * widths[group, None]
planted_map = project(planted, perplexity=min(30, count // 2)).points
noise = rng.normal(size=(3 * count, 50))
noise_map = project(noise, perplexity=3).points


def measures(vectors):
    """Return how far the third group is, in distances of the first two, and how wide, in widths of the first."""
    middles = np.stack([vectors[group == number].mean(axis=0) for number in range(3)])
    spreads = [vectors[group == number].std(axis=0).mean() for number in range(3)]
    near, far = (np.linalg.norm(middles[0] - middles[number]) for number in (1, 2))
    return far / near, spreads[2] / spreads[0]


for name, vectors_of in {"planted": planted, "in the map": planted_map}.items():
    distance, width = measures(vectors_of)
    print(f"{name:10s}: the third group is {distance:4.1f} times as far and {width:3.1f} times as wide")

figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
for number in range(3):
    axes[0].scatter(*planted[group == number, :2].T, s=8, label=f"group {number + 1}")
    axes[1].scatter(*planted_map[group == number].T, s=8)
axes[2].scatter(*noise_map.T, s=8, color="gray")
for axis in axes:
    axis.set_aspect("equal", adjustable="datalim")
axes[0].legend(fontsize=8)
for axis, title in zip(axes, ("as planted", "t-SNE of it", "t-SNE of pure noise, perplexity 3"), strict=True):
    axis.set(title=title, xticks=[], yticks=[])

# %% [markdown]
# Neither the distance between groups nor their width can be read from the map. With a small perplexity even noise,
# in which nothing was planted, falls into little groups.
#
# ## New images in an old map
#
# A teacher has drawn the map of some test images. Where do *other* test images belong? `place` puts them there,
# and nothing else moves. Neither the network nor the map has seen them.

# %%
half = len(mapped) // 2
first, second = spaces["trained network"][1][mapped[:half]], spaces["trained network"][1][mapped[half:]]
half_map = project(first, perplexity=min(30, (half - 1) // 3))
placed = half_map.place(second)
in_map = ImageIndex(half_map.points, labels=labels[:half], metric="l2").classify(placed, k=5)
in_space = ImageIndex(first, labels=labels[:half], metric="l2").classify(second, k=5)
print(f"of {len(placed):,} test images that the map does not have:")
print(f"  {np.mean(in_map == labels[half:]):.1%} get their class from the 5 nearest points of the map,")
print(f"  {np.mean(in_space == labels[half:]):.1%} from the 5 nearest vectors in the space")

figure, axis = plt.subplots(figsize=(7, 5), layout="constrained")
axis.scatter(*half_map.points.T, s=6, color="lightgray", label="in the map from the start")
for label in (0, 3):
    own = labels[half:] == label
    axis.scatter(*placed[own].T, s=14, label=f"placed: {data.class_names[label]}")
axis.legend()
axis.set(xticks=[], yticks=[])
axis.set_title(f"Trained network, {data.name}", fontsize=10)
axis.grid(False)

# %% [markdown]
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### Nearest neighbour by hand
#
# Return the place of the vector in `vectors`, (n, d), that is nearest to `query`, (d,): the one with the smallest
# mean of absolute differences (l1), as on the slide.


def nearest(vectors, query):
    # student: return None
    # solution
    return np.argmin(np.mean(np.abs(vectors - query), axis=1))
    # end solution


ex.nearest_by_hand.check(nearest)

# %% [markdown] tags=["hints"]
# - `vectors - query` subtracts the query from each row.
# - Take the absolute values, and their mean along each row: `axis=1`.
# - `np.argmin` gives the place of the smallest value; `np.min` gives the value.

# %% tags=["exercise"]
# ### Perplexity
#
# The perplexity of a distribution is $2^H$ with the entropy $H = -\sum_j p_j \log_2 p_j$: with $k$ equal
# probabilities it is $k$. Write it. A probability of 0 adds nothing.


def perplexity_of(p):
    # student: return None
    # solution
    p = p[p > 0]
    return 2 ** -np.sum(p * np.log2(p))
    # end solution


ex.perplexity.check(perplexity_of)

# %% [markdown] tags=["hints"]
# - First the entropy: the sum of -p * log2(p). Then 2 to its power.
# - `np.log2(0)` is minus infinity, and 0 times that is NaN: leave zeros out.
# - `p = p[p > 0]`, and then `2 ** -np.sum(p * np.log2(p))`

# %% tags=["exercise"]
# ### Which layer?
#
# A model ends in: `flatten` (400 values), `dense1` (120), `dense2` (84), `predictions` (10). Its feature
# extraction network ends in which layer, and how long is the latent vector?

# student: layer = None
# student: length = None
# solution
layer = "dense2"
length = 84
# end solution

ex.latent_layer.check(layer, length)

# %% [markdown] tags=["hints"]
# - The head is the layer that gives the classes.
# - The latent vector is what the head takes.

# %% tags=["exercise"]
# ### Reading a map
#
# Which of these may be read from a t-SNE map? Make a set of the letters.
#
# - **a**: these two images, side by side in the map, are likely to be neighbours in the latent space
# - **b**: this group is twice as far from the second as from the third, so it differs twice as much
# - **c**: this group is wider than that one, so its images differ more
# - **d**: most images of this class lie together, away from the others

# student: readable = None
# solution
readable = {"a", "d"}
# end solution

ex.reading.check(readable)

# %% [markdown] tags=["hints"]
# - t-SNE keeps one thing: who is whose neighbour.
# - Look at the three planted groups: what came out wrong?

# %% [markdown] tags=["solution"]
# t-SNE keeps neighbours, so that *a* and *d* can be read, as far as the trustworthiness is high. Distances between
# groups (*b*) and their widths (*c*) come out of how it was computed: see the three planted groups.

# %% [markdown]
# ## Where to go on
#
# - `10_image_retrieval`: the same space, asked for the images that the network finds most alike.
# - Take another layer: `feature_extractor(model, "block2")`. From which block on do classes lie together?
# - `plot_interactive_map(...).save("map.html")` writes the map as one file that needs no network.

# %% tags=["summary"]
print(f"Data: {data.name}, {len(x_train):,} training images ({data.source})")
print(f"The network's test accuracy: {network_accuracy:.1%}")
for name, value in neighbour_accuracy.items():
    print(f"1-NN on {name}: {value:.1%}; map: trustworthiness {maps[name].trustworthiness:.3f}")
print(device)
ex.summary()
