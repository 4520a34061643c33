# %% [markdown]
# # 6. Test-time augmentation
#
# **The question.** A trained model is asked about several views of the same image, and its answers are averaged.
# Does that name more images correctly? Which views help, and is it worth the time?
#
# *Follows Boracchi; the ten crops are those of Krizhevsky, Sutskever and Hinton (AlexNet, 2012).*

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers

from kerascv_course import plotting, runtime
from kerascv_course.augmentation import RandomAffine, pipeline, test_time_augmentation
from kerascv_course.datasets import colour_baseline, load, missing
from kerascv_course.exercises import test_time_augmentation as ex

device = runtime.setup(seed=0, missing=missing("cifar10"))
print(device)

# %% [markdown]
# ## Knobs

# %%
knobs = runtime.by_profile(
    smoke={"per_class": 20, "test_per_class": 4, "epochs": 1, "seeds": 1, "filters": 8},
    lite={"per_class": 150, "test_per_class": 50, "epochs": 15, "seeds": 2, "filters": 16},
    full={"per_class": 1000, "test_per_class": 500, "epochs": 20, "seeds": 3, "filters": 32},
    gpu={"per_class": 1000, "test_per_class": 500, "epochs": 20, "seeds": 3, "filters": 32},
)
knobs

# %% [markdown]
# ## The data
#
# CIFAR-10, where it is at hand. Where it is not, the profiles `full` and `gpu` download it, and so does `lite` in
# Colab and Kaggle. Otherwise *patches* take its place: crops of ten photographs that scikit-image carries.

# %%
photos = load("cifar10", fallback="patches", download=device.downloads)
photos = photos.subset(knobs["per_class"], test_per_class=knobs["test_per_class"])
print(
    f"{photos.name}: {len(photos.x_train):,} training images, {len(photos.x_test):,} test images, {photos.source}"
)
print(f"colour alone names {colour_baseline(photos):.0%} of the test images")

# %% [markdown]
# ## Ten views
#
# AlexNet reads 224 of 256 pixels, ours 28 of 32: in training a random part, mirrored or not. At test time the
# plain answer is that to the centre. The ten crops are the centre and the four corners, and their mirror
# images.

# %%
side = 28
image = photos.x_test[3]
corners = {
    "centre": (2, 2),
    "top left": (0, 0),
    "top right": (0, 4),
    "bottom left": (4, 0),
    "bottom right": (4, 4),
}
crops = [image[top : top + side, left : left + side] for top, left in corners.values()]
plotting.plot_image_table(
    {"as it is": crops, "mirrored": [crop[:, ::-1] for crop in crops]},
    list(corners),
    caption=f"Ten views of one image. Data: {photos.name}",
)


# %%
def trained(seed):
    """Train a network of three convolutions on random, mirrored crops."""
    runtime.seed_everything(seed)
    model = keras.Sequential([keras.Input((side, side, 3)), layers.Rescaling(1 / 127.5, offset=-1)])
    for factor in (1, 2, 4):
        model.add(layers.Conv2D(factor * knobs["filters"], 3, strides=2, padding="same", use_bias=False))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    change = pipeline(crop=(side, side), flip="horizontal", seed=seed)
    images = tf.data.Dataset.from_tensor_slices((photos.x_train, photos.y_train))
    batches = (
        images.shuffle(10_000, seed=seed).batch(50).map(lambda x, y: (change(x, training=True), y)).prefetch(2)
    )
    model.fit(batches, epochs=knobs["epochs"], shuffle=False, verbose=0)
    return model


models = [trained(seed) for seed in range(knobs["seeds"])]
models[0].name, models[0].count_params()

# %% [markdown]
# ## Does it help?
#
# The answers $p_v$ of $n$ views are averaged: arithmetic, $\bar{p} = \frac{1}{n} \sum_v p_v$, or geometric,
# $\bar{p} \propto \prod_v p_v^{1/n}$, where a single view that is certain against a class can veto it.
#
# Each of the models is asked in five ways. What counts is the difference on the *same* model, so the spread is
# that of the differences.

# %%
centres = photos.x_test[:, 2:30, 2:30]
ways = {
    "one view": {"sure_from": 0.0},  # every image is sure enough at first sight
    "mirrored": {"views": "flip"},
    "8 random views": {
        "views": RandomAffine(flip="horizontal", translation=0.07, rotation=0.02, seed=0),
        "count": 8,
    },
    "ten crops": {"views": "ten_crops"},
    "ten crops, geometric": {"views": "ten_crops", "mean": "geometric"},
}
answers, accuracies = {}, {}
for name, options in ways.items():
    images = photos.x_test if options.get("views") == "ten_crops" else centres
    answers[name] = [test_time_augmentation(model, images, **options) for model in models]
    accuracies[name] = [float(np.mean(answer.classes == photos.y_test)) for answer in answers[name]]

verdicts = []
for name, values in accuracies.items():
    gains = 100 * (np.array(values) - accuracies["one view"])
    cost = answers[name][0].views.mean()
    spread = f"± {np.std(gains, ddof=1):.1f}" if len(gains) > 1 else "(one seed)"
    print(
        f"{name:22s}{np.mean(values):6.1%}   gain {gains.mean():+.1f} {spread} points for {cost:.0f} predictions"
    )
    verdicts.append(f"Gain of {name}: {gains.mean():+.1f} {spread} points for {cost:.0f} predictions")
print(f"{photos.name}, {knobs['seeds']} seeds, {len(photos.x_test):,} test images. {device}")

# %% [markdown]
# ## Spend views where the model is unsure
#
# Most images need no second look. `sure_from` stops at the first view where the model gives one class at least
# that probability. How many predictions buy how much accuracy?

# %%
bounds = [0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0]
costs, scores = [], []
for bound in bounds:
    answer = test_time_augmentation(models[0], photos.x_test, views="ten_crops", sure_from=bound)
    costs.append(answer.views.mean())
    scores.append(100 * np.mean(answer.classes == photos.y_test))

figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
axis.plot(costs, scores, marker="o", markersize=4)
for bound, cost, score in zip(bounds, costs, scores, strict=True):
    axis.annotate(f"{bound:g}", (cost, score), xytext=(4, -10), textcoords="offset points", fontsize=8)
axis.set(xlabel="predictions per image", ylabel="accuracy in %", title=f"sure from ... One model, {photos.name}")
axis.grid(alpha=0.3)

# %% [markdown]
# ## Where the views disagree
#
# The record has a spread for each image: the standard deviation, over the views, of the probability of the
# class that is answered. A large one says that the answer hangs on the view.

# %%
answer = answers["ten crops"][0]
disputed, agreed = np.argsort(answer.spread)[::-1][:8], np.argsort(answer.spread)[:8]
names = np.array(photos.class_names)


def titles(chosen):
    """Say of images what they show, and what the model says."""
    return [
        f"{names[photos.y_test[place]]}: {names[answer.classes[place]]}, {answer.spread[place]:.2f}"
        for place in chosen
    ]


right = answer.classes == photos.y_test
wide = answer.spread > np.median(answer.spread)
print(f"right where the spread is small: {right[~wide].mean():.0%}, where it is large: {right[wide].mean():.0%}")
plotting.plot_images(
    photos.x_test[[*disputed, *agreed]],
    titles=[*titles(disputed), *titles(agreed)],
    columns=8,
    caption=f"Most and least disputed images: the class, the answer, its spread. Data: {photos.name}",
)

# %% [markdown]
# ## What we saw
#
# - Averaging over views costs one prediction for each view; what it gains is printed above. On CIFAR-10 (10,000
# JPEG-compressed photographs to train, 5,000 to test, 3 seeds, Keras 3.15.1 on TensorFlow 2.21, CPU) one view
# named 61.9 % correctly; the mirror image added 0.8 ± 0.1 points, ten crops 2.1 ± 0.4. Eight random views added
#   nothing (-0.6 ± 1.4).
# - The views must keep the label, as in training: the clock of notebook 5 must not be mirrored here either.
# - A model that gives one class a high probability needs no second view. Where views disagree, doubt the answer.
#
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### What it costs
#
# With ten crops and `sure_from=0.9` the model is sure of 70 % of the images at first sight. How many
# predictions does it make for 1,000 images?

# student: predictions = None
# solution
predictions = 700 * 1 + 300 * 10
# end solution

ex.predictions.check(predictions)

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

# %% tags=["exercise"]
# ### A veto
#
# Three views give the two classes the probabilities (0.9, 0.1), (0.9, 0.1) and (0.001, 0.999). Which class, 0
# or 1, does the arithmetic mean name, and which one the geometric mean?

# student: arithmetic = None
# student: geometric = None
# solution
arithmetic = 0  # 1.801 against 1.199
geometric = 1  # 0.9 * 0.9 * 0.001 is less than 0.1 * 0.1 * 0.999
# end solution

ex.veto.check(arithmetic, geometric)

# %% [markdown] tags=["solution"]
# A sum is hardly changed by one small number, a product is: the geometric mean lets a view that is certain
# against a class have its way. That helps where views are right when they are certain, and hurts where one of
# them is spoilt.

# %% [markdown]
# ## Where to go on
#
# - Train without mirroring, then average over mirror images. Does it still help?
# - Average the answers of the models of all seeds (an ensemble) and compare its gain and its cost.

# %% tags=["summary"]
print(f"Data: {photos.name}, {len(photos.x_train):,} training images ({photos.source})")
for name, values in accuracies.items():
    print(f"Accuracy with {name}: {np.mean(values):.1%} ({len(values)} seed{'s' if len(values) > 1 else ''})")
print("\n".join(verdicts[1:]))
print(device)
ex.summary()
