# %% [markdown]
# # 6. Test-time augmentation
#
# **The question.** We show a trained model several views of the same image and average its answers. Are more
# images classified correctly? Which views help, on which images, and what does it cost?
#
# *Follows Boracchi; the ten crops are those of Krizhevsky, Sutskever and Hinton (AlexNet, 2012).*

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

from kerascv_course import plotting, runtime
from kerascv_course.augmentation import RandomAffine, pipeline, test_time_augmentation
from kerascv_course.datasets import colour_baseline, load, missing
from kerascv_course.exercises import test_time_augmentation as ex
from kerascv_course.experiment import verdict

device = runtime.setup(seed=0, missing=missing("cifar10"))
print(device)

# %% [markdown]
# ## Knobs

# %%
choose = runtime.by_profile
knobs = {
    "per_class": choose(smoke=20, lite=150, full=1_000, gpu=5_000),
    "test_per_class": choose(smoke=4, lite=50, full=500, gpu=500),
    "epochs": choose(smoke=1, lite=12, full=20, gpu=40),
    "filters": choose(smoke=8, lite=16, full=32, gpu=64),
    "seeds": choose(smoke=1, lite=2, full=7, gpu=5),
    "random_views": choose(smoke=2, lite=8, full=16, gpu=16),
}
knobs

# %% [markdown]
# ## The data
#
# CIFAR-10 where it is at hand. Without it `lite` takes *patches*: crops of ten photographs that scikit-image
# carries.

# %%
photos = load("cifar10", fallback="patches", download=device.downloads)
photos = photos.subset(knobs["per_class"], test_per_class=knobs["test_per_class"])
x_test, y_test = photos.x_test, photos.y_test
print(f"{photos.name}: {len(photos.x_train):,} training images, {len(x_test):,} test images, {photos.source}")
print(f"colour alone: {colour_baseline(photos):.0%} of the test images")

# %% [markdown]
# ## Ten views
#
# AlexNet reads 224 of 256 pixels; our network reads 28 of 32. In training it gets a random part of the image,
# mirrored or not. At test time the plain answer is the answer to the centre. The **ten crops** are the centre and
# the four corners, and their mirror images.

# %%
side = 28
corners = {
    "centre": (2, 2),
    "top left": (0, 0),
    "top right": (0, 4),
    "bottom left": (4, 0),
    "bottom right": (4, 4),
}
image = photos.examples(split="test")[0][1]
crops = [image[top : top + side, left : left + side] for top, left in corners.values()]
plotting.plot_image_table(
    {"as it is": crops, "mirrored": [crop[:, ::-1] for crop in crops]},
    list(corners),
    caption=f"Ten views of one image ({photos.class_names[1]}). Data: {photos.name}",
)


# %%
def trained(seed):
    """Train a network of three convolutions on random, mirrored crops."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((side, side, 3)), layers.Rescaling(1 / 127.5, offset=-1)])
    for factor in (1, 2, 4):
        model.add(layers.Conv2D(factor * knobs["filters"], 3, strides=2, padding="same", use_bias=False))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(10, activation="softmax"))
    change = pipeline(crop=(side, side), flip="horizontal", seed=seed)  # acts in training alone
    in_training = keras.Sequential([keras.Input((32, 32, 3)), change, model])
    in_training.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    in_training.fit(photos.x_train, photos.y_train, batch_size=50, epochs=knobs["epochs"], verbose=0)
    return model


models = [trained(seed) for seed in range(knobs["seeds"])]
print(f"{len(models)} networks of {models[0].count_params():,} parameters, one for each seed")

# %% [markdown]
# ## The mean of the answers
#
# View $v$ of an image gives the probabilities $p_v$, one for each class. The answer to $n$ views is their mean:
#
# $$\bar{p} = \frac{1}{n} \sum_{v=1}^{n} p_v$$
#
# In code: predict each view, take the mean over the views, and then the most probable class.

# %%
model = models[0]
views = []
for top, left in corners.values():
    crop = x_test[:, top : top + side, left : left + side]
    views += [crop, crop[:, :, ::-1]]
probabilities = np.stack([model.predict(view, verbose=0) for view in views])  # (views, images, classes)
mean_probabilities = probabilities.mean(axis=0)  # (images, classes)
classes = mean_probabilities.argmax(axis=1)  # (images,)

answer = test_time_augmentation(model, x_test, views="ten_crops")
print("shape of all answers:", probabilities.shape)
largest = np.abs(mean_probabilities - answer.probabilities).max()
print(f"largest difference from `test_time_augmentation`: {largest:.0e}")

first = probabilities[0].argmax(axis=1)
mended = np.flatnonzero((first != y_test) & (classes == y_test))  # wrong at first sight, right in the mean
one = int(mended[0]) if len(mended) else 0
print(f"\nOne test image: {photos.class_names[y_test[one]]}. Its most probable classes, view by view:")
for number, view in enumerate(probabilities[:, one]):
    best = int(view.argmax())
    name = f"{list(corners)[number // 2]}{', mirrored' if number % 2 else ''}"
    print(f"  {name:23}{photos.class_names[best]:12}{view[best]:.2f}")
print(f"  {'mean of all':23}{photos.class_names[classes[one]]:12}{mean_probabilities[one].max():.2f}")

# %% [markdown]
# ## Does it help?
#
# Each network is asked in several ways. The geometric mean, $\bar{p} \propto \prod_v p_v^{1/n}$, multiplies: a
# view that is sure *against* a class can veto it. Two kinds of random views are tried: shifts and mirror images,
# as in the training, and rotations, which the network has never seen.
#
# What counts is the difference on the *same* network and the same images: the comparison is paired over the seeds.

# %%
centres = x_test[:, 2 : 2 + side, 2 : 2 + side]
count = knobs["random_views"]
shifts = RandomAffine(flip="horizontal", translation=2 / side, seed=0)
rotations = RandomAffine(flip="horizontal", rotation=0.05, seed=0)  # 0.05 of a full turn: up to 18 degrees
ways = {
    "one view": {"sure_from": 0.0},  # every image is sure enough at first sight
    "mirrored": {"views": "flip"},
    "ten crops": {"views": "ten_crops"},
    "ten crops, geometric": {"views": "ten_crops", "mean": "geometric"},
    "random shifts": {"views": shifts, "count": count},
    "random rotations": {"views": rotations, "count": count},
}
answers, accuracies = {}, {}
for name, options in ways.items():
    images = x_test if options.get("views") == "ten_crops" else centres
    answers[name] = [test_time_augmentation(model, images, **options) for model in models]
    accuracies[name] = [float(np.mean(answer.classes == y_test)) for answer in answers[name]]

verdicts = []
for name, values in accuracies.items():
    cost = answers[name][0].views.mean()
    print(f"{name:22}{np.mean(values):6.1%}   {cost:4.0f} predictions an image")
    if name != "one view":
        verdicts.append(str(verdict(accuracies, name, "one view", margin=0.005)))
print("\n" + "\n".join(verdicts))
print(f"{photos.name}, {len(x_test):,} test images, margin 0.5 points. {device}")

# %% [markdown]
# Five comparisons at 95 %: if nothing made a difference, about one page in four would still show a false "holds"
# or "does not hold" ($1 - 0.95^5 = 23\ \%$).
#
# ## Why random views can lose
#
# Averaging has two sides. Each single random view may be *worse* than the centre: part of the object is cut off,
# or pixels are interpolated, as they never were in the training. The mean of several views is *better* than one of
# them. Which side wins? The next cell counts both: the accuracy of the mean of 1, 2, 4 ... random views.

# %%
counts = [n for n in (1, 2, 4, 8, 16) if n <= count]
kinds = {"random shifts": shifts, "random rotations": rotations}
curves = {}
for name, change in kinds.items():
    curves[name] = []
    for model in models:
        seen = np.stack([model.predict(np.asarray(change(centres)), verbose=0) for _ in range(count)])
        curves[name].append([float(np.mean(seen[:n].mean(0).argmax(1) == y_test)) for n in counts])
    by_count = np.mean(curves[name], axis=0)
    shown = ", ".join(f"{n}: {share:.1%}" for n, share in zip(counts, by_count, strict=True))
    print(f"{name}, mean of so many views: {shown}")
print(f"the centre alone: {np.mean(accuracies['one view']):.1%}")

figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
for name, values in curves.items():
    axis.plot(counts, 100 * np.mean(values, axis=0), marker="o", label=name)
axis.axhline(100 * np.mean(accuracies["one view"]), linestyle="--", color="gray", label="the centre alone")
axis.set_xscale("log", base=2)
axis.set_xticks(counts, counts)
axis.set(xlabel="random views in the mean", ylabel="accuracy in %", title=f"{len(models)} networks, {photos.name}")
axis.legend()
axis.grid(alpha=0.3)

# %% [markdown]
# The left end of a curve is the price of a random view, its slope is what averaging wins back.
#
# ## Where it helps: on images for which the model is unsure
#
# So say the slides. We sort the test images by the probability that one view gives its class, cut them into four
# equal groups, and look at the gain of the ten crops in each.

# %%
groups = ["least sure", "less sure", "more sure", "most sure"]
gains = {group: {"one view": [], "ten crops": []} for group in groups}
for plain, ten in zip(answers["one view"], answers["ten crops"], strict=True):
    order = np.argsort(plain.probabilities.max(axis=1))
    for group, members in zip(groups, np.array_split(order, 4), strict=True):
        gains[group]["one view"].append(float(np.mean(plain.classes[members] == y_test[members])))
        gains[group]["ten crops"].append(float(np.mean(ten.classes[members] == y_test[members])))

for group, pair in gains.items():
    before, after = np.mean(pair["one view"]), np.mean(pair["ten crops"])
    print(f"{group:11} {before:6.1%} -> {after:6.1%}   {verdict(pair, 'ten crops', 'one view')}")
claim = {
    "least sure": np.subtract(gains["least sure"]["ten crops"], gains["least sure"]["one view"]),
    "most sure": np.subtract(gains["most sure"]["ten crops"], gains["most sure"]["one view"]),
}
print(f"\nThe slides' claim, as gains: {verdict(claim, 'least sure', 'most sure')}")

# %% [markdown]
# ## Spend views where the model is unsure
#
# Most images need no second look. `sure_from` stops at the first view where the model gives one class at least
# that probability. How much accuracy do how many predictions buy?

# %%
bounds = [0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
costs, scores = [], []
for bound in bounds:
    found = [test_time_augmentation(model, x_test, views="ten_crops", sure_from=bound) for model in models]
    costs.append(np.mean([answer.views.mean() for answer in found]))
    scores.append(100 * np.mean([np.mean(answer.classes == y_test) for answer in found]))

figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
axis.plot(costs, scores, marker="o", markersize=4)
for bound, cost, score in zip(bounds, costs, scores, strict=True):
    axis.annotate(f"{bound:g}", (cost, score), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=8)
axis.margins(y=0.2)
axis.set(xlabel="predictions an image", ylabel="accuracy in %")
axis.set_title(f"Ten crops where no class has the probability at the point. {photos.name}", fontsize=10)
axis.grid(alpha=0.3)

# %%
whole, half = scores[-1] - scores[0], (scores[-1] + scores[0]) / 2
enough = next((n for n, score in enumerate(scores) if score >= half), len(scores) - 1)
print(f"All views for all images: {whole:+.1f} points for {costs[-1]:.1f} predictions an image.")
if whole > 0:
    print(
        f"`sure_from={bounds[enough]:g}` keeps half of the gain or more: {scores[enough] - scores[0]:+.1f} points",
        end="",
    )
    print(f" for {costs[enough]:.1f} predictions an image.")

# %% [markdown]
# ## Where the views disagree
#
# The record has a **spread** for each image: the standard deviation, over the views, of the probability of the
# class that is answered. A large one says that the answer depends on the view.

# %%
answer = answers["ten crops"][0]
by_spread = np.argsort(answer.spread)
chosen = [*by_spread[::-1][:4], *by_spread[:4]]
names = np.array(photos.class_names)
right = answer.classes == y_test
wide = answer.spread > np.median(answer.spread)
print(f"right where the spread is small: {right[~wide].mean():.0%}, where it is large: {right[wide].mean():.0%}")
plotting.plot_images(
    x_test[chosen],
    titles=[
        f"{names[y_test[i]]}\nread as {names[answer.classes[i]]}\nspread {answer.spread[i]:.2f}" for i in chosen
    ],
    columns=4,
    caption=f"Largest spread above, smallest below. Data: {photos.name}",
)

# %% [markdown]
# The views must keep the label, as in training: where a mirror image is another class, as with the clock of
# notebook 5, mirrored views do harm here, too.
#
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### What it costs
#
# With ten crops and `sure_from=0.9` the model is sure of 70 % of the images at first sight. How many predictions
# does it make for 1,000 images?

# student: predictions = None
# solution
predictions = 700 * 1 + 300 * 10
# end solution

ex.predictions.check(predictions)

# %% [markdown] tags=["hints"]
# - Every image gets the first view. How many get the others?
# - 700 images get one view, 300 get ten.

# %% tags=["exercise"]
# ### Cut ten crops
#
# `image` is an array (height, width, channels). Return its ten crops of `side` x `side` pixels as one array (10,
# side, side, channels): the centre, the four corners, and their mirror images, in any order. The centre starts at
# `(height - side) // 2` and `(width - side) // 2`.


def ten_crops(image, side):
    # student: return None
    # solution
    down, right = image.shape[0] - side, image.shape[1] - side
    starts = [(down // 2, right // 2), (0, 0), (0, right), (down, 0), (down, right)]
    crops = [image[top : top + side, left : left + side] for top, left in starts]
    return np.stack(crops + [crop[:, ::-1] for crop in crops])
    # end solution


ex.ten_crops.check(ten_crops)

# %% [markdown] tags=["hints"]
# - A crop is `image[top : top + side, left : left + side]`. Where do the five begin?
# - The last possible row is `height - side`, the last possible column `width - side`.
# - The mirror image of a crop is `crop[:, ::-1]`. `np.stack` makes one array of ten.

# %% tags=["exercise"]
# ### Average the posteriors
#
# `posteriors` has the shape (views, images, classes). Return for each image the class with the largest mean
# probability.


def averaged(posteriors):
    # student: return None
    # solution
    return posteriors.mean(axis=0).argmax(axis=1)
    # end solution


ex.averaged.check(averaged)

# %% [markdown] tags=["hints"]
# - First the mean over the views, then the largest of the classes.
# - The views are the first axis, number 0. After the mean the shape is (images, classes).
# - posteriors.mean(axis=0).argmax(axis=1)

# %% tags=["exercise"]
# ### A veto
#
# Three views give the two classes the probabilities (0.9, 0.1), (0.9, 0.1) and (0.001, 0.999). Which class, 0 or
# 1, does the arithmetic mean choose, and which one the geometric mean?

# student: arithmetic = None
# student: geometric = None
# solution
arithmetic = 0  # 1.801 against 1.199
geometric = 1  # 0.9 * 0.9 * 0.001 is less than 0.1 * 0.1 * 0.999
# end solution

ex.veto.check(arithmetic, geometric)

# %% [markdown] tags=["hints"]
# - Arithmetic: add the three probabilities of each class.
# - Geometric: multiply them. What does a factor of 0.001 do?

# %% [markdown] tags=["solution"]
# A sum is hardly changed by one small number, a product is. With the geometric mean one view that is sure against
# a class decides.

# %% [markdown]
# ## Where to go on
#
# - Train without mirroring, then average over mirror images. Does it still help?
# - Average the answers of the networks of all seeds (an **ensemble**), and compare its gain and its cost.

# %% tags=["summary"]
print(f"Data: {photos.name}, {len(photos.x_train):,} training and {len(x_test):,} test images ({photos.source})")
for name, values in accuracies.items():
    print(f"Accuracy with {name}: {np.mean(values):.1%} (seeds: {len(values)})")
print("\n".join(verdicts))
print(device)
ex.summary()
