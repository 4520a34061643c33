# %% [markdown]
# # 12. TinyNet, watched
#
# **The question.** Four convolutions and one dense layer: small enough to look at everything. Which rate does it
# need, and should the rate stay the same? What do the activations do while it learns? Do shortcuts or cheaper
# convolutions pay? And where does it look when it is right, and when it is wrong?
#
# *Follows Lorente (TinyNet), Manco (training) and Boracchi (Grad-CAM, ROC). The one cycle: Smith (2018); batch
# normalisation: Ioffe and Szegedy (2015), and beside dropout: Li et al. (2018); depthwise convolutions: Howard et
# al. (2017); Grad-CAM: Selvaraju et al. (2017).*

# %%
from functools import partial

import keras
import numpy as np
from IPython.display import display
from keras import layers

from kerascv_course import evaluation, plotting, runtime, training
from kerascv_course.datasets import cache_folder, load, missing, split_validation
from kerascv_course.exercises import tinynet as ex
from kerascv_course.experiment import compare, verdict
from kerascv_course.explain import ActivationStatistics, grad_cam
from kerascv_course.models import build_tinynet

device = runtime.setup(seed=0, missing=missing("cifar10"))
print(device)

# %% [markdown]
# ## Knobs
#
# The course's TinyNet sees 64 x 64 pixels. `side` enlarges the images of 32 x 32 to that in `full` and `gpu`.
# `factors` are what the rate that was found is multiplied with; `sweep` is the number of steps that look for it.
# `memory` is the share that the running averages of batch normalisation keep in each step. Keras' own 0.99 forgets
# where they started within some 500 steps; a shorter training needs a shorter memory.

# %%
knobs = runtime.by_profile(
    smoke={"per_class": 16, "test": 10, "held_out": 0.5, "side": 32, "epochs": 2, "batch": 20, "seeds": 1,
           "sweep": 12, "memory": 0.6, "factors": [1], "designs": [], "mixtures": ["dropout"]},
    lite={"per_class": 75, "test": 50, "held_out": 1 / 3, "side": 32, "epochs": 6, "batch": 50, "seeds": 3,
          "sweep": 60, "memory": 0.8, "factors": [1], "designs": ["residual", "depthwise"],
          "mixtures": ["dropout"]},
    full={"per_class": None, "test": None, "held_out": 0.1, "side": 64, "epochs": 20, "batch": 128, "seeds": 3,
          "sweep": 300, "memory": 0.99, "factors": [1, 3], "designs": ["residual", "depthwise"],
          "mixtures": ["dropout", "no batch norm", "dropout, no batch norm"]},
    gpu={"per_class": None, "test": None, "held_out": 0.1, "side": 64, "epochs": 20, "batch": 128, "seeds": 3,
          "sweep": 300, "memory": 0.99, "factors": [1, 3], "designs": ["residual", "depthwise"],
          "mixtures": ["dropout", "no batch norm", "dropout, no batch norm"]},
)  # fmt: skip
knobs

# %% [markdown]
# ## The data
#
# CIFAR-10, where it is at hand. Where it is not, the profiles `full` and `gpu` download it, and so does `lite` in
# Colab and Kaggle. Otherwise *patches* take its place: crops of ten photographs that scikit-image carries.
# Networks are compared on images that are *held out* from the training images. The test images are for the network
# at the end.

# %%
data = load("cifar10", fallback="patches", download=device.downloads)
if knobs["per_class"]:
    data = data.subset(knobs["per_class"], test_per_class=knobs["test"])
train, held_out = split_validation(data.x_train, data.y_train, knobs["held_out"])
where = f"{data.name}, {len(train[0]):,} training and {len(held_out[0]):,} held-out images"
print(f"{where}, from {data.source}")
if data.name.startswith("patches"):
    print("Training and held-out crops of one photograph may overlap: that flatters the accuracies, all alike.")

plotting.plot_images(data.examples()[0], titles=data.class_names, columns=10, caption=f"Data: {data.name}")

# %% [markdown]
# ## The network
#
# Each block is a 3x3 convolution with stride 2, batch normalisation and a ReLU. The stride does what a pooling
# would do: half the side, and twice the maps. He's variance suits the ReLU. The convolution has no bias, since the
# normalisation would take it away again.

# %%
FILTERS = (32, 64, 128, 256)


def tinynet(batch_norm=True, dropout=0.0):
    """Build TinyNet for images of 32 x 32 pixels with values from 0 to 255."""
    image = keras.Input(data.input_shape, name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)
    x = layers.UpSampling2D(knobs["side"] // 32, interpolation="bilinear", name="enlarge")(x)
    for block, filters in enumerate(FILTERS, start=1):
        x = layers.Conv2D(
            filters, 3, strides=2, padding="same", use_bias=not batch_norm, kernel_initializer="he_normal",
            name=f"block{block}_conv",
        )(x)  # fmt: skip
        if batch_norm:
            x = layers.BatchNormalization(momentum=knobs["memory"], name=f"block{block}_norm")(x)
        x = layers.ReLU(name=f"block{block}")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"block{block}_dropout")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(image, layers.Dense(10, activation="softmax", name="predictions")(x))


model = tinynet()
print(f"{model.count_params():,} parameters; `build_tinynet` has {build_tinynet('plain').count_params():,}")
for block in range(1, 5):
    layer = model.get_layer(f"block{block}_conv")
    shape = " x ".join(map(str, layer.output.shape[1:]))
    print(f"block {block}: {shape:13s} values, {layer.count_params():7,d} weights in the convolution")

# %% [markdown]
# Three quarters of the weights are in the last block.
#
# ## The rate is found
#
# Gradient descent with momentum 0.9. In a short sweep the rate grows at each step, from far too small to far too
# large; a tenth of the rate with the lowest loss is a rate to start from (`11_design_a_cnn`).

# %%
peaks = {}


def peak_of(name, build):
    """Find the rate of a network, once."""
    if name not in peaks:
        runtime.seed_everything(0)
        network = build()
        network.compile(keras.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy")
        curve = training.find_learning_rate(
            network, train, lowest=1e-4, highest=3.0, steps=knobs["sweep"], batch_size=knobs["batch"], verbose=0
        )
        peaks[name] = curve.suggestion or 0.02
        display(plotting.plot_learning_rate_finder(curve, caption=f"{name}, {data.name}"))
        print(f"{name}: {peaks[name]:.2g}" + ("" if curve.suggestion else " (a guess). " + curve.notes[-1]))
    return peaks[name]


peak = peak_of("plain", tinynet)

# %% [markdown]
# ## One cycle
#
# Smith lets the rate rise and fall once in the whole training: large steps in the middle cover ground, small ones
# at the end settle. With $T$ steps, of which the share $r$ rises from $\eta_0$ to the peak $\hat\eta$:
#
# $$\eta(t) = \begin{cases} \eta_0 + (\hat\eta - \eta_0) \, \dfrac{t}{rT} & t \le rT \\[2ex]
# \hat\eta \, \dfrac{T - t}{T - rT} & t > rT \end{cases}$$
#
# The momentum goes the other way: little of it where the steps are large.

# %%
steps = knobs["epochs"] * -(-len(train[0]) // knobs["batch"])
cycle = training.OneCycle(peak, steps)
plotting.plot_schedule(cycle, steps=steps, caption=f"One cycle of {steps:,} steps, peak {peak:.2g}")

# %% [markdown]
# **Claim (Smith): one cycle is better than a constant rate.** Both get the rate that was found, one
# as its peak, the other all the time. Each is trained with the same seeds, which makes pairs, and the verdict is
# read from the interval of the differences.

# %%
folder = cache_folder() / "runs" / "12_tinynet"  # an interrupted run goes on where it was
verdicts, results = [], {}


def one_cycle(build, peak):
    """Build a network that follows one cycle."""
    network = build()
    optimizer = training.OneCycleSGD(training.OneCycle(peak, steps))
    network.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return network


def constant(build, rate):
    """Build a network that keeps its rate."""
    network = build()
    optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    network.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return network


def compared(variants):
    """Train each variant with each seed; what the folder holds is not trained again."""
    found = compare(variants, train, validation_data=held_out, epochs=knobs["epochs"], batch_size=knobs["batch"],
                    seeds=range(knobs["seeds"]), folder=folder, verbose=0)  # fmt: skip
    results.update({row.variant: row for row in found.rows})
    display(found)
    display(plotting.plot_experiment(found, caption=f"{where}; epochs: {knobs['epochs']}"))
    return found


def accuracy_of(row):
    """Write the mean and the deviation of the seeds."""
    if not row.seeds:
        return "failed"
    return f"{row.accuracy:.1%}" + (f" ± {100 * row.accuracy_std:.1f}" if row.seeds > 1 else "")


def points(share):
    """Write a difference in percentage points."""
    return "-" if share is None else f"{100 * share:+.1f}"


def claim(text, found, better, than):
    """Judge a claim, and keep the verdict for the table at the end."""
    if {better, than} <= {run.variant for run in found.runs}:
        judged = verdict(found, better, than)
        verdicts.append((text, judged))
        print(f"{text}: {judged.conclusion.upper()}\n  {judged}")


plain = {"plain": partial(one_cycle, tinynet, peak)}
schedules = {}
for factor in knobs["factors"]:
    times = "" if factor == 1 else f", rate x{factor}"
    schedules[f"plain{times}"] = partial(one_cycle, tinynet, factor * peak)
    schedules[f"constant rate{times}"] = partial(constant, tinynet, factor * peak)
cycles = compared(schedules)
claim("one cycle is better than a constant rate", cycles, "plain", "constant rate")
claim("the same, at three times the rate", cycles, "plain, rate x3", "constant rate, rate x3")

# %% [markdown]
# From here on *plain* is this network with one cycle.
#
# ## The activations while it learns
#
# A callback looks at the same 32 held-out images again and again, and keeps mean, standard deviation, share of
# zeros and histogram of what each block writes. We train the plain network once more, seed 0, and beside it one
# without batch normalisation, at a rate of its own.

# %%
without = partial(tinynet, batch_norm=False)
watched = {}
for name, build in {"plain": tinynet, "no batch norm": without}.items():
    rate = peak_of(name, build)
    runtime.seed_everything(0)
    network = one_cycle(build, rate)
    statistics = ActivationStatistics(held_out[0][:32], every=max(1, steps // 60))
    training.fit(network, train, epochs=knobs["epochs"], batch_size=knobs["batch"], validation_split=0,
                 callbacks=[statistics], verbose=0)  # fmt: skip
    watched[name] = network, statistics.records
model, _ = watched["plain"]

# %%
for name, (_, seen) in watched.items():
    display(plotting.plot_activation_statistics(seen, caption=f"{name}, 32 held-out images of {data.name}"))

# %% [markdown]
# The histograms, in colours: each column is a histogram, the steps go to the right.

# %%
for name, (_, seen) in watched.items():
    display(plotting.plot_activation_histograms(seen, caption=f"{name}, 32 held-out images of {data.name}"))

# %% [markdown]
# How strong is the signal that each block passes on? Without normalisation each block hands what it makes of the
# strength to the next one. With it each block starts from variance 1 again, *once the running averages are there*:
# in inference the layer takes averages. They start at mean 0 and variance 1, and each step keeps a share of them,
# the `memory` $m$: after $t$ steps $m^t$ of the start is left.

# %%
for name, (_, seen) in watched.items():
    for moment, at in (("first", 0), ("last", -1)):
        deviations = [row.standard_deviations[at] for row in seen.rows if row.layer.startswith("block")]
        print(f"{name:14s} {moment:5s} record: deviation " + ", ".join(f"{value:.2f}" for value in deviations))
for count in (1, steps // 10, steps):
    print(f"after {count:,} steps {knobs['memory']**count:.1%} of the start is left in the running averages; "
          f"with a memory of 0.99 it is {0.99**count:.1%}")  # fmt: skip

# %% [markdown]
# ## Shortcuts, and cheaper convolutions
#
# The *residual* block has a second convolution and adds a projection of its input: more depth, and a way around
# it. The *depthwise* block first filters each map by itself and then mixes them with a 1x1 convolution. From $C$
# to $F$ maps it costs
#
# $$9\,C + C\,F \quad\text{in place of}\quad 9\,C\,F$$
#
# weights. Each network gets a rate of its own.

# %%


def variant_of(kind):
    """Build a variant of TinyNet behind the same first layers."""
    side = knobs["side"]
    image = keras.Input(data.input_shape, name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)
    x = layers.UpSampling2D(side // 32, interpolation="bilinear", name="enlarge")(x)
    network = build_tinynet(kind, input_shape=(side, side, 3))
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = knobs["memory"]
    return keras.Model(image, network(x))


for kind in ("residual", "depthwise"):
    print(f"{kind:10s}{variant_of(kind).count_params():10,d} parameters")
print(f"{'plain':10s}{model.count_params():10,d} parameters")

designs = dict(plain)
for kind in knobs["designs"]:
    build = partial(variant_of, kind)
    designs[kind] = partial(one_cycle, build, peak_of(kind, build))
variants = compared(designs)
claim("residual is better than plain", variants, "residual", "plain")
claim("plain is better than depthwise", variants, "plain", "depthwise")

# %% [markdown]
# The column *Ratio* is the course's accuracy * 1e5 / parameters. It says what a parameter brings, and with so few
# parameters depthwise is hard to beat in it. Look at the seconds, too: fewer weights need not be less time.

# %%
base = results["plain"]
for row in variants.rows:
    if row.seeds and base.seeds:
        print(f"{row.variant:10s} {accuracy_of(row)}: {row.params / base.params:.2f} times the parameters and "
              f"{row.seconds / base.seconds:.1f} times the seconds of plain")  # fmt: skip

# %% [markdown]
# ## Dropout and batch normalisation together
#
# Both are said to regularise. **Claim: with batch normalisation, dropout helps still.** Against it stands the
# variance. In training, dropout sets a share $p$ of the values to 0 and divides the others by $1 - p$. The mean
# stays; the variance does not:
#
# $$\mathrm{Var}[\tilde x] = \frac{\mathrm{E}[x^2]}{1 - p} - \mathrm{E}[x]^2 \;\ge\; \mathrm{Var}[x]$$
#
# In inference nothing is dropped. The normalisation behind it has learnt the variance of the training, and meets
# another one. How much of that survives the convolution in between? We drop values of the first block.

# %%
first_block = keras.Model(model.inputs[0], model.get_layer("block1").output)
second_convolution = model.get_layer("block2_conv")
x = first_block(held_out[0][:128].astype("float32"), training=False)
values = keras.ops.convert_to_numpy(x).astype("float64")


def variance_of_maps(x):
    """Return the variance of each map of the second convolution, the mean over the maps."""
    return float(keras.ops.mean(keras.ops.var(second_convolution(x), axis=(0, 1, 2))))


print("p     Var by the formula   counted   Var behind the convolution, in times of p = 0")
for p in (0.0, 0.1, 0.3, 0.5):
    dropped = layers.Dropout(p, seed=0)(x, training=True)
    counted = keras.ops.convert_to_numpy(dropped).astype("float64").var()
    formula = np.mean(values**2) / (1 - p) - np.mean(values) ** 2
    print(f"{p:.1f}   {formula:18.3f}   {counted:7.3f}   {variance_of_maps(dropped) / variance_of_maps(x):.2f}")

# %%
mixtures = {
    "dropout": partial(tinynet, dropout=0.2),
    "no batch norm": without,
    "dropout, no batch norm": partial(tinynet, batch_norm=False, dropout=0.2),
}
tried = dict(plain)
for name in knobs["mixtures"]:
    # With dropout a network keeps the rate that was found without it.
    rate = peak_of("no batch norm" if "no batch norm" in name else "plain", mixtures[name])
    tried[name] = partial(one_cycle, mixtures[name], rate)
together = compared(tried)
claim("with batch norm, dropout helps", together, "dropout", "plain")
claim("without batch norm, dropout helps", together, "dropout, no batch norm", "no batch norm")
claim("batch norm helps", together, "plain", "no batch norm")

# %% [markdown]
# A short training is hard on dropout: it slows learning down, and helps against learning by heart, which takes
# time. The verdict is about *these* epochs.
#
# ## Who is taken for whom?
#
# Now the test images, for the plain network that was watched (one seed).

# %%
probabilities = model.predict(data.x_test, verbose=0)
report = evaluation.classification_report(data.y_test, probabilities, data.class_names)
tested = f"{len(data.x_test):,} test images, {data.name}"
display(report)
plotting.plot_confusion_matrix(
    evaluation.confusion_matrix(data.y_test, probabilities), data.class_names, normalize=True, caption=tested
)

# %% [markdown]
# ## ROC, and the area under it
#
# Take one class against the rest, and call an image one of it where its probability is above a threshold. A low
# threshold finds all of them, and many others with them. The curve shows both shares at all thresholds. The area
# under it has a plain meaning: for an image of the class and another image, drawn by chance,
#
# $$\mathrm{AUC} = P(s_{\text{class}} > s_{\text{other}}) + \tfrac12 \, P(s_{\text{class}} = s_{\text{other}})$$

# %%
curves = evaluation.roc_curves(data.y_test, probabilities, data.class_names)
hardest, *_, easiest = sorted(curves, key=lambda curve: curve.auc)
print(f"AUC from {hardest.auc:.3f} ({hardest.name}) to {easiest.auc:.3f} ({easiest.name})")
plotting.plot_roc_curves(curves, caption=tested)

# %% [markdown]
# The AUC asks only for the order of the probabilities. Do they mean what they say? Of the images with 80 %
# confidence, are 80 % right?

# %%
calibrated = evaluation.calibration(data.y_test, probabilities, bins=10)
print(f"mean confidence {calibrated.confidence:.1%}, accuracy {calibrated.accuracy:.1%}")
plotting.plot_calibration_curve(calibrated, caption=tested)

# %% [markdown]
# ## Where does it look?
#
# **Grad-CAM** takes the maps $A_k$ of a convolutional layer, and of the score $y_c$ of a class the gradient with
# respect to each of their places. Its mean over the places is the weight of the map:
#
# $$\alpha_k = \frac1{hw} \sum_{i,j} \frac{\partial y_c}{\partial A_k^{ij}}, \qquad
# L = \mathrm{ReLU}\Big(\sum_k \alpha_k A_k\Big)$$
#
# The last block sees the whole image in four places or so, which is too coarse to point at anything. We take the
# one before.

# %%
LAYER = "block3"
predicted = probabilities.argmax(axis=1)
names = np.array(data.class_names)
right = np.flatnonzero(predicted == data.y_test)
surest = right[np.argsort(-probabilities[right, predicted[right]])][:8]


def look(places, classes, caption, titles):
    """Show where the score of a class comes from, in some test images."""
    if len(places):
        found = grad_cam(model, data.x_test[places], class_index=classes, layer=LAYER)
        caption = f"{caption}. {data.name}; maps of {found.maps.shape[1]} x {found.maps.shape[2]} places"
        display(
            plotting.plot_heatmaps(data.x_test[places], found.heatmaps, titles=titles, columns=4, caption=caption)
        )


look(surest, predicted[surest], "Right, and the surest", list(names[predicted[surest]]))

# %% [markdown]
# And the mistakes that it was surest of: first what speaks for the class that it named, then, in the same images,
# what speaks for the true one. Where an image stays without heat, no place of it speaks for that class.

# %%
mistakes = evaluation.confident_mistakes(data.y_test, probabilities, data.class_names, count=4)
wrong = mistakes.indices
look(wrong, predicted[wrong], "Wrong: for the class that was named", list(names[predicted[wrong]]))
look(wrong, data.y_test[wrong], "The same images: for the true class", list(names[data.y_test[wrong]]))
mistakes

# %% [markdown]
# A heatmap convinces easily. Is it true? We grey out the hottest quarter of each image that was named rightly, and
# in its place the coldest quarter, or one by chance. If the map is right, the first hurts most.

# %%
shown = right[:200]
hot = grad_cam(model, data.x_test[shown], class_index=predicted[shown], layer=LAYER).heatmaps
chance = np.random.default_rng(0).random(hot.shape)
orders = {"hottest": -hot + 1e-6 * chance, "coldest": hot + 1e-6 * chance, "any": chance}
grey = data.x_test.mean(axis=(0, 1, 2)).astype("uint8")
before = probabilities[shown, predicted[shown]]
covered_drop = {}
for name, order in orders.items():
    ranks = order.reshape(len(shown), -1).argsort(axis=1).argsort(axis=1).reshape(hot.shape)
    covered = np.where((ranks < hot[0].size // 4)[..., None], grey, data.x_test[shown])
    after = model.predict(covered, verbose=0)[np.arange(len(shown)), predicted[shown]]
    covered_drop[name] = drop = before - after
    error = drop.std() / np.sqrt(len(drop))
    print(f"{name:8s} quarter covered: probability lower by {100 * drop.mean():.1f} ± {100 * error:.1f} points")
gap = covered_drop["hottest"] - covered_drop["coldest"]
sure = gap.mean() > 2 * gap.std() / np.sqrt(len(gap))
print("the hottest places matter more than the coldest: " + ("yes" if sure else "not shown by these images"))

# %% [markdown]
# Grey pixels here and there break every pattern of an image, which a grey block does not. So chance is no fair
# opponent; the coldest quarter is one.
#
# ## The verdicts

# %%
print(f"{'claim':44s}{'verdict':15s}points   95% interval")
for text, found in verdicts:
    interval = "-" if found.low is None else f"{points(found.low)} to {points(found.high)}"
    print(f"{text:44s}{found.conclusion:15s}{points(found.difference):>6s}   {interval}")
print(f"\n{where}; seeds: {knobs['seeds']}, epochs: {knobs['epochs']}")

# %% [markdown]
# ## What we saw
#
# - The rate was found in one short sweep for each network, and the cycle was built on it. Whether the cycle beats
#   a constant rate here is in the table above. *Undecided* asks for more seeds, not for more belief.
# - Batch normalisation sets the strength of the signal anew in each block. Without it the blocks pass on what they
#   were given.
# - Fewer parameters need not mean less time, and a good ratio need not mean a good accuracy.
# - Dropout before a normalisation makes the variance of training another one than that of inference.
# - AUC, accuracy and calibration are three questions. A heatmap is a claim, and can be put to the test.
#
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### One cycle by hand
#
# Return the rate at a step: from `start` in a straight line to `peak`, reached after the share `rising` of the
# `total` steps, and from there in a straight line to 0, reached at step `total`.


def rate_at(step, total, start, peak, rising):
    # student: return None
    # solution
    top = rising * total
    if step <= top:
        return start + (peak - start) * step / top
    return peak * (total - step) / (total - top)
    # end solution


ex.one_cycle_by_hand.check(rate_at)

# %% [markdown] tags=["hints"]
# - The peak is reached at step `top = rising * total`.
# - Up to there the share `step / top` of the way from `start` to `peak` is done.
# - After it, (total - step) of (total - top) steps are left, and the rate is that share of the peak.

# %% tags=["exercise"]
# ### What depthwise saves
#
# The last block goes from 128 to 256 maps with 3x3 kernels, without biases. How many weights has its convolution
# in the plain network, and how many have the depthwise one and the 1x1 behind it, together?

# student: plain_weights = None
# student: depthwise_weights = None
# solution
plain_weights = 3 * 3 * 128 * 256
depthwise_weights = 3 * 3 * 128 + 128 * 256
# end solution

ex.depthwise_saves.check(plain_weights, depthwise_weights)

# %% [markdown] tags=["hints"]
# - A plain filter has a 3x3 kernel for each map that comes in, and there are 256 filters.
# - A depthwise convolution has one 3x3 kernel for each map that comes in, and no more.
# - The 1x1 behind it has 128 weights for each of 256 maps.

# %% [markdown] tags=["solution"]
# The depthwise convolution has one 3x3 kernel for each map that comes in, 1,152 weights; the 1x1 mixes 128 maps
# into each of 256, 32,768 weights. Together 33,920 in place of 294,912, less than an eighth. Nearly all that is
# left is in the 1x1.

# %% tags=["exercise"]
# ### The variance that dropout makes
#
# Return the variance that the values `x`, an array, have on average behind a dropout of the share `p` in training,
# as Keras does it: what is kept is divided by 1 - p. Compute it; draw nothing by chance.


def variance_with_dropout(x, p):
    # student: return None
    # solution
    return np.mean(x**2) / (1 - p) - np.mean(x) ** 2
    # end solution


ex.variance_with_dropout.check(variance_with_dropout)

# %% [markdown] tags=["hints"]
# - Variance is the mean of the squares less the square of the mean.
# - The mean stays. How large is a square that is kept, and how often is one kept?
# - The mean of the squares becomes np.mean(x**2) / (1 - p).

# %% [markdown] tags=["solution"]
# A value is kept with probability 1 - p and is then 1 / (1 - p) times as large. Its mean stays. Its mean square is
# (1 - p) / (1 - p) ** 2 = 1 / (1 - p) times what it was. The variance is the mean square less the square of the
# mean: even values that are all alike get a variance.

# %% tags=["exercise"]
# ### The area by counting
#
# `inside` holds the scores of images of a class, `outside` those of other images. Return the AUC: the share of the
# pairs, one of each, where the image of the class has the higher score; a tie counts half.


def auc(inside, outside):
    # student: return None
    # solution
    difference = inside[:, None] - outside[None, :]
    return np.mean(difference > 0) + np.mean(difference == 0) / 2
    # end solution


ex.area_by_counting.check(auc)

# %% [markdown] tags=["hints"]
# - `inside[:, None] - outside[None, :]` holds the difference of each pair.
# - Count the pairs above 0, and half of those at 0.
# - The mean of a comparison is the share of pairs for which it is true.

# %% tags=["exercise"]
# ### Grad-CAM by hand
#
# `maps` and `gradients` have the shape (height, width, maps). Return the heatmap (height, width), not yet divided
# by its maximum.


def heatmap(maps, gradients):
    # student: return None
    # solution
    weights = gradients.mean(axis=(0, 1))
    return np.maximum(maps @ weights, 0)
    # end solution


ex.grad_cam_by_hand.check(heatmap)

# %% [markdown] tags=["hints"]
# - Each map has one weight: the mean of its gradient over height and width.
# - `maps @ weights` adds the weighted maps at each place.
# - What is below 0 is cut off: `np.maximum(..., 0)`.

# %% [markdown] tags=["solution"]
# Each map has one weight: the mean of its gradient over all places. The weighted maps are added place by place,
# and what is below zero, which speaks against the class, is cut off.

# %% [markdown]
# ## Where to go on
#
# - Give `OneCycle` three times the peak. Where does the training break, and does a constant rate break earlier?
# - Put the dropout behind the last block only. Is there a shift of variance still?
# - Watch the residual network: `ActivationStatistics` takes the names of the layers that you want to see.
# - `13_random_search` changes everything at once.

# %% tags=["summary"]
print(f"Data: {where} ({data.source}); seeds: {knobs['seeds']}, epochs: {knobs['epochs']}")
for name, row in results.items():
    print(f"Held-out accuracy, {name}: {accuracy_of(row)}, {row.params:,} parameters")
print(f"Test accuracy of plain, one seed: {report.accuracy:.1%} of {len(data.x_test):,} images")
for text, found in verdicts:
    print(f"{text}: {found.conclusion} ({points(found.difference)} points)")
print(device)
ex.summary()
