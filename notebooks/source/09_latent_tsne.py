# %% [markdown]
# # 9. The latent space
#
# **The question.** A network turns an image into a vector, and only its last layer turns the vector into a class.
# What lies near what in the space of these vectors? Is it ordered before any training? And how much of that order
# survives in a map of two dimensions?
#
# *Follows Boracchi (feature extraction network, t-SNE with the images at their places). On t-SNE: van der Maaten
# and Hinton (2008); Wattenberg, Viégas and Johnson (2016) on how to misread it.*

# %%
import keras
import numpy as np
from IPython.display import display

from kerascv_course import TransferModel, plotting, runtime, training
from kerascv_course.datasets import colour_baseline, find_backbone_weights, load, missing
from kerascv_course.exercises import latent_tsne as ex
from kerascv_course.latent import ImageIndex, extract_features, feature_extractor, project
from kerascv_course.models import build_tinynet

device = runtime.setup(seed=0, missing=missing("cifar10", "mobilenet_v2_96"))
print(device)

# %% [markdown]
# ## Knobs

# %%
knobs = runtime.by_profile(
    smoke={"per_class": 10, "test": 10, "epochs": 1, "mapped": 100, "perplexities": (5, 20)},
    lite={"per_class": 200, "test": 50, "epochs": 15, "mapped": 500, "perplexities": (2, 30, 150)},
    full={"per_class": None, "test": None, "epochs": 30, "mapped": 10_000, "perplexities": (5, 30, 300)},
    gpu={"per_class": None, "test": None, "epochs": 30, "mapped": 10_000, "perplexities": (5, 30, 300)},
)
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
    data = data.subset(knobs["per_class"], test_per_class=knobs["test"])
mean, deviation = data.x_train.mean(), data.x_train.std()
x_train = ((data.x_train - mean) / deviation).astype("float32")
x_test = ((data.x_test - mean) / deviation).astype("float32")
print(f"{data.name}: {len(x_train):,} training and {len(x_test):,} test images, from {data.source}")
print(f"colour alone names {colour_baseline(data):.0%} of the test images")

plotting.plot_images(data.examples()[0], titles=data.class_names, columns=10, caption=f"Data: {data.name}")

# %% [markdown]
# ## A network, trained, and its copy that is not
#
# TinyNet: four convolutions with stride 2, the mean of each of the 256 last maps, one dense layer.

# %%
runtime.seed_everything(0)
model = build_tinynet("plain", input_shape=(32, 32, 3))
untrained = keras.models.clone_model(model)
untrained.set_weights(model.get_weights())
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
training.fit(model, (x_train, data.y_train), epochs=knobs["epochs"], batch_size=64, validation_split=0, verbose=0)
probabilities = extract_features(model, x_test, verbose=0)
network_accuracy = float(np.mean(probabilities.argmax(axis=1) == data.y_test))
print(f"the network's own test accuracy: {network_accuracy:.1%}")

# %% [markdown]
# ## The feature extraction network
#
# The model up to the layer *before* the head. Its output is the **latent vector** of an image.

# %%
spaces = {"pixels": (x_train.reshape(len(x_train), -1), x_test.reshape(len(x_test), -1))}
for name, network in {"random network": untrained, "trained network": model}.items():
    extractor = feature_extractor(network)
    spaces[name] = tuple(extract_features(extractor, images, verbose=0) for images in (x_train, x_test))
found = None
if device.profile != "smoke":
    found = find_backbone_weights("MobileNetV2", (96, 96), download=device.downloads)
if found is not None:
    transferred = feature_extractor(TransferModel("MobileNetV2", 10, image_size=96, weights=found.path))
    spaces["MobileNetV2, ImageNet"] = tuple(
        extract_features(transferred, images, verbose=0, cache=True) for images in (data.x_train, data.x_test)
    )
else:
    print("ImageNet weights of MobileNetV2 are not at hand: no transferred features.")
for name, (vectors, _) in spaces.items():
    print(f"{name:24s} {vectors.shape[1]:5d} numbers for an image")

# %% [markdown]
# ## Is a class a neighbourhood?
#
# A test image gets the class of its nearest training image (1-NN). If that works, images of a class lie together.
# The distance is Euclidean:
#
# $$d(u, v) = \sqrt{\sum_i (u_i - v_i)^2}$$

# %%
neighbour_accuracy = {}
for name, (vectors, queries) in spaces.items():
    index = ImageIndex(vectors, labels=data.y_train, metric="l2")
    neighbour_accuracy[name] = float(np.mean(index.classify(queries, k=1) == data.y_test))
    print(f"1-NN on {name:24s} {neighbour_accuracy[name]:6.1%}")
print(f"the network itself {'':13s} {network_accuracy:6.1%}   (one seed)")

# %% [markdown]
# ## Maps
#
# PCA draws the two directions of the largest variance. t-SNE moves points in the plane until near ones are near
# again. Each map says how far it can be trusted: *trustworthiness* falls where points are neighbours in the map
# that were none before.

# %%
chosen = np.random.default_rng(0).permutation(len(x_test))[: knobs["mapped"]]
labels = data.y_test[chosen]
print(project(spaces["trained network"][1][chosen], method="pca").caption)
maps = {name: project(queries[chosen]) for name, (_, queries) in spaces.items()}
for name, found_map in maps.items():
    caption = f"{name}, {data.name}. {found_map.caption}"
    display(plotting.plot_latent_map(found_map.points, labels, data.class_names, caption=caption))

# %% [markdown]
# ## The images at their places
#
# Every image on a grid, as near to its place in the map as is possible without hiding another.

# %%
shown = slice(0, 2000)
points = maps["trained network"].points[shown]
plotting.plot_image_mosaic(
    data.x_test[chosen][shown], points, caption=f"Test images in the latent space, {data.name}"
)

# %% [markdown]
# The same map to explore: the mouse shows the image, the wheel zooms.

# %%
plotting.plot_interactive_map(points, data.x_test[chosen][shown], labels[shown], data.class_names)

# %% [markdown]
# ## What the perplexity does
#
# It says about how many neighbours each point attends to.

# %%
vectors = spaces["trained network"][1][chosen]
for perplexity in knobs["perplexities"]:
    found_map = project(vectors, perplexity=perplexity)
    print(found_map.caption)
    if perplexity != 30:
        caption = f"Trained network, {data.name}. {found_map.caption}"
        display(plotting.plot_latent_map(found_map.points, labels, data.class_names, caption=caption))

# %% [markdown]
# ## What a map may not be read for
#
# Three groups are planted: two of them near each other, one ten times as far; and one of them five times as wide
# as the others. What is left of that in the map?

# %%
rng = np.random.default_rng(0)
count = 30 if device.profile == "smoke" else 100
centres = np.zeros((3, 50))
centres[1, 0], centres[2, 0] = 15, 150
widths = np.array([1.0, 1.0, 5.0])
group = np.repeat(np.arange(3), count)
planted = centres[group] + rng.normal(size=(3 * count, 50)) * widths[group, None]
planted_map = project(planted, perplexity=min(30, count / 2)).points


def measures(vectors):
    """Return how far the third group is, in distances of the first two, and how wide, in widths of the first."""
    middles = np.stack([vectors[group == number].mean(axis=0) for number in range(3)])
    spreads = [vectors[group == number].std(axis=0).mean() for number in range(3)]
    near, far = (np.linalg.norm(middles[0] - middles[number]) for number in (1, 2))
    return far / near, spreads[2] / spreads[0]


for name, vectors_of in {"planted": planted, "in the map": planted_map}.items():
    distance, width = measures(vectors_of)
    print(f"{name:10s}: the third group is {distance:4.1f} times as far and {width:3.1f} times as wide")

# %%
noise_map = project(rng.normal(size=(3 * count, 50)), perplexity=3)
plotting.plot_latent_map(
    noise_map.points, np.zeros(3 * count, int), ["noise"], centroids=False,
    caption=f"Pure noise, without any group. {noise_map.caption}",
)  # fmt: skip

# %% [markdown]
# ## New images in an old map
#
# A teacher has drawn the map of the test images. Where do images belong that come later? `place` puts them there,
# and nothing else moves.

# %%
later = slice(0, 200)
placed = maps["trained network"].place(spaces["trained network"][0][later])
map_index = ImageIndex(maps["trained network"].points, labels=labels, metric="l2")
agreement = float(np.mean(map_index.classify(placed, k=5) == data.y_train[later]))
print(f"of {len(placed)} training images {agreement:.0%} are placed among test images of their class (5 nearest)")

# %% [markdown]
# ## What we saw
#
# - In the latent space of the trained network a class is a neighbourhood; in pixels or a random network hardly.
# - A nearest neighbour in the latent space comes near to what the network's own last layer does.
# - In a t-SNE map neighbours can be read. Distances between groups and their sizes cannot: both were planted, and
#   the map levelled them. With a small perplexity even noise falls into groups.
#
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
