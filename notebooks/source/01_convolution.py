# %% [markdown]
# # 1. Convolution arithmetic
#
# **The question.** A convolution layer is a few small kernels that move over an image. What exactly does it
# compute, how large is its output, how many numbers does it learn, what does it cost, and how much of the
# image does one of its outputs see?
#
# Every answer is given twice: as a formula, and as a measurement in plain NumPy or Keras. Where a formula of
# the course slides is wrong, the measurement decides.
#
# *Follows the lectures of Boracchi (Image Analysis and Computer Vision: CNNs in Keras), Di Stefano (Deep
# Learning for Computer Vision) and Manco (Analisi di Immagini e Video).*

# %%
import math

import keras
import numpy as np
from IPython.display import display
from keras import ops
from skimage import data
from skimage.transform import resize

from kerascv_course import plotting, runtime
from kerascv_course.architecture import conv_output_size, layer_table, receptive_field
from kerascv_course.exercises import convolution as ex

print(runtime.setup(seed=0))

# %% [markdown]
# ## Knobs
#
# All sizes of this notebook in one place. The profile chooses a column; change a number and run again.

# %%
knobs = runtime.by_profile(
    smoke={"side": 64, "size_cases": 40, "epochs": 2},
    lite={"side": 128, "size_cases": 150, "epochs": 10},
    full={"side": 256, "size_cases": 400, "epochs": 20},
)
knobs

# %% [markdown]
# ## The data
#
# Two photographs that are part of scikit-image, made smaller: *camera* (grey) and *astronaut* (colour).

# %%
side = knobs["side"]
grey = resize(data.camera() / 255, (side, side), anti_aliasing=True).astype("float32")
colour = resize(data.astronaut() / 255, (side, side), anti_aliasing=True).astype("float32")
data_shown = f"photographs of scikit-image, {side} x {side} pixels"

plotting.plot_images(
    [grey, colour],
    titles=[f"camera {grey.shape}", f"astronaut {colour.shape}"],
    caption=f"The {data_shown}",
)

# %% [markdown]
# ## Correlation and convolution
#
# A CNN layer computes a **correlation**: put the kernel $w$ on the image $x$, multiply number by number, add
# up, move on by one pixel:
#
# $$y(i, j) = \sum_{m} \sum_{l} w(m, l) \, x(i + m, j + l)$$
#
# In NumPy it is one line inside two loops.


# %%
def correlate(image, kernel):
    """Slide the kernel over the image without padding."""
    height, width = kernel.shape
    output = np.zeros((image.shape[0] - height + 1, image.shape[1] - width + 1), image.dtype)
    for i in range(output.shape[0]):
        for j in range(output.shape[1]):
            output[i, j] = np.sum(kernel * image[i : i + height, j : j + width])
    return output


def keras_conv(image, kernel, **options):
    """Do the same with Keras, which wants images (n, h, w, channels) and kernels (h, w, in, out)."""
    output = ops.conv(image[None, :, :, None], kernel[:, :, None, None], **options)
    return ops.convert_to_numpy(output)[0, :, :, 0]


# A Sobel kernel: large where it is dark on the left and bright on the right.
edge = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], "float32")
ours = correlate(grey, edge)
theirs = keras_conv(grey, edge)
print(f"shapes {ours.shape} and {theirs.shape}, largest difference {np.abs(ours - theirs).max():.1e}")

# %% [markdown]
# Keras and our loops agree: what every library calls "convolution" is correlation.
#
# **Convolution** in the sense of mathematics has minus signs, $x(i - m, j - l)$. It is the correlation with
# the kernel flipped on both axes. The simplest test image is a single bright pixel: convolution stamps the
# kernel on it, correlation stamps the flipped kernel.

# %%
pixel = np.zeros((7, 7), "float32")
pixel[3, 3] = 1
kernel = np.arange(1, 10, dtype="float32").reshape(3, 3)

correlated = correlate(pixel, kernel)
convolved = correlate(pixel, kernel[::-1, ::-1])
display(
    plotting.plot_feature_maps(
        np.stack([np.pad(kernel, 1), correlated, convolved], axis=-1),
        titles=["kernel, 1 to 9", "correlation with one bright pixel", "convolution with it"],
        caption="Convolution shows the kernel, correlation shows it flipped",
    )
)

# The sum with x(i - m, j - l), written out at the position where the whole kernel fits.
as_printed = np.zeros((5, 5), "float32")
for i in range(5):
    for j in range(5):
        for m in range(3):
            for n in range(3):
                as_printed[i, j] += kernel[m, n] * pixel[i + 2 - m, j + 2 - n]
print("The sum with x(i - m, j - l) is the correlation:", np.array_equal(as_printed, correlated))
print("The sum with x(i - m, j - l) is the convolution:", np.array_equal(as_printed, convolved))

# %% [markdown]
# **Erratum.** Di Stefano's slides print the index $x(i - m, j - l)$ and call it correlation. Computed: that
# index is convolution; correlation has $x(i + m, j + l)$. A network does not care, because it learns the
# kernel: flipped or not, it finds the same function. You care when you copy a kernel from a book.
#
# On a photograph the flip of the Sobel kernel changes the sign of the answer.

# %%
plotting.plot_feature_maps(
    np.stack([correlate(grey, edge), correlate(grey, edge[::-1, ::-1])], axis=-1),
    titles=["correlation: > 0 is brighter to the right", "convolution: the opposite sign"],
    caption="The vertical edges of camera",
)

# %% [markdown]
# ## Padding
#
# At the border the kernel leaves the image. For an image of $I$ pixels and a kernel of $K$ pixels per side:
#
# | Padding | Meaning | Output size |
# |---|---|---|
# | valid | only positions where the kernel fits | $I - K + 1$ |
# | same | zeros around, as many as keep the size | $I$ |
# | full | every position where kernel and image touch | $I + K - 1$ |
# | symmetric | the size of "same", with mirrored pixels instead of zeros | $I$ |
#
# Keras layers know `"valid"` and `"same"`. The other two are a padding of the image before a valid
# convolution.

# %%
size = 15
mean_kernel = np.full((size, size), 1 / size**2, "float32")
around = size // 2
padded = {
    "valid": grey,
    "same": np.pad(grey, around),
    "full": np.pad(grey, size - 1),
    "symmetric": np.pad(grey, around, mode="symmetric"),
}
blurred = {name: keras_conv(image, mean_kernel) for name, image in padded.items()}
keras_same = keras_conv(grey, mean_kernel, padding="same")
print(f"zeros by hand against Keras: at most {np.abs(blurred['same'] - keras_same).max():.1e}")


def on_white(image, target):
    """Put an image in the middle of a white square, so that sizes can be compared by eye."""
    before = (target - image.shape[0]) // 2
    return np.pad(image, (before, target - image.shape[0] - before), constant_values=1)


largest = len(blurred["full"])
plotting.plot_images(
    [on_white(image, largest) for image in blurred.values()],
    titles=[f"{name}: {len(image)} x {len(image)}" for name, image in blurred.items()],
    caption=f"camera, {side} x {side}, blurred with a {size} x {size} mean: all on one scale",
)

# %% [markdown]
# The zeros are not neutral: to the kernel they are a black frame. Here is how dark it makes the border.

# %%
border = np.ones_like(grey, dtype=bool)
border[around:-around, around:-around] = False
print(f"mean brightness of the border, {around} pixels wide: photograph {grey[border].mean():.3f}")
for name in ("same", "symmetric"):
    print(f"  blurred, {name:9s} padding: {blurred[name][border].mean():.3f}")

# %% [markdown]
# ## Stride and dilation
#
# **Stride** $S$: move the kernel by $S$ pixels. The result is every $S$-th value of the result with stride 1,
# but the values in between are never computed. **Dilation** $D$: leave gaps of $D - 1$ pixels between the
# taps of the kernel. A $K \times K$ kernel then reaches over $D(K - 1) + 1$ pixels, and still has $K^2$
# weights.

# %%
stepped = keras_conv(grey, edge, strides=3)
print(f"stride 3 against every third value: {np.abs(stepped - theirs[::3, ::3]).max():.1e}")


def dilate(kernel, dilation):
    """Put zeros between the taps of a kernel."""
    reach = dilation * (len(kernel) - 1) + 1
    wide = np.zeros((reach, reach), kernel.dtype)
    wide[::dilation, ::dilation] = kernel
    return wide


wide_kernels = {dilation: dilate(np.ones((3, 3), "float32"), dilation) for dilation in (1, 2, 3)}
dilated = keras_conv(grey, edge, dilation_rate=3)
widened = keras_conv(grey, dilate(edge, 3))
print(f"dilation 3 against the kernel with zeros in the gaps: {np.abs(dilated - widened).max():.1e}")

plotting.plot_images(
    [np.pad(wide, (9 - len(wide)) // 2) for wide in wide_kernels.values()],
    titles=[f"D = {gap}: reaches over {len(wide)} pixels" for gap, wide in wide_kernels.items()],
    caption="The nine taps of a 3 x 3 kernel on a field of 9 x 9 pixels, with dilation D",
)

# %% [markdown]
# ## Output size
#
# With $P$ pixels of padding on each side, the kernel that reaches over $D(K - 1) + 1$ pixels can start at
#
# $$O = \lfloor (I + 2P - D(K - 1) - 1) / S \rfloor + 1$$
#
# positions. The brackets round down: a step that would lead out of the image is not made. With `"same"` Keras
# gives $\lfloor (I - 1) / S \rfloor + 1$, whatever the kernel. We compare the formula with Keras in random
# cases.


# %%
def formula(size, kernel_size, stride, padding, dilation, rounding=math.floor):
    """Compute the output size; padding is "same" or the pixels on each side, so that 0 is "valid"."""
    if padding == "same":
        return (size - 1) // stride + 1
    return rounding((size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride) + 1


def measure(size, kernel_size, stride, padding, dilation):
    """Let Keras convolve an empty image, one pixel high, and read the width of the result."""
    pixels = 0 if padding == "same" else padding
    image = np.zeros((1, 1, size + 2 * pixels, 1), "float32")
    mode = "same" if padding == "same" else "valid"
    weights = np.zeros((1, kernel_size, 1, 1), "float32")
    output = ops.conv(image, weights, strides=(1, stride), padding=mode, dilation_rate=(1, dilation))
    return output.shape[2]


rng = np.random.default_rng(0)
cases = []
while len(cases) < knobs["size_cases"]:
    size, kernel_size, stride, dilation = (int(n) for n in rng.integers((5, 1, 1, 1), (65, 8, 5, 4)))
    padding = [0, 1, 2, 3, "same"][rng.integers(5)]
    fits = dilation * (kernel_size - 1) < size
    if fits and (stride == 1 or dilation == 1):  # Keras refuses to combine stride and dilation
        cases.append((size, kernel_size, stride, padding, dilation))

print("  I  K  S   P   D   formula  Keras  ceiling")
size_errors = ceiling_errors = 0
for number, case in enumerate(cases):
    by_formula, by_keras = formula(*case), measure(*case)
    rounded_up = formula(*case, rounding=math.ceil)
    size_errors += by_formula != by_keras
    ceiling_errors += rounded_up != by_keras
    if number < 10:
        size, kernel_size, stride, padding, dilation = case
        print(
            f"{size:3d} {kernel_size:2d} {stride:2d} {padding!s:>4s} {dilation:2d} "
            f"{by_formula:8d} {by_keras:6d} {rounded_up:8d}"
        )
print(f"{len(cases)} cases: {size_errors} errors of the formula, {ceiling_errors} with the ceiling")

# The package has the formula, too, with checks of its arguments:
conv_output_size(227, 11, stride=4)

# %% [markdown]
# **Erratum.** Manco's slides (CNN) print the formula with a ceiling. Computed: it is the floor. The two
# differ whenever the stride does not divide the numerator.
#
# ## Channels and parameters
#
# A colour image has three channels. A filter has one kernel **per input channel**; their answers are added,
# then one bias. The layer has as many filters as it has output maps:
#
# $$y_n(i, j) = b_n + \sum_{c} \sum_{m} \sum_{l} w_n(m, l, c) \, x(i + m, j + l, c)$$
#
# So it learns $K \cdot K \cdot C_{in} \cdot C_{out}$ weights and $C_{out}$ biases, and the image size does
# not occur.

# %%
layer = keras.layers.Conv2D(4, 5)
maps = ops.convert_to_numpy(layer(colour[None]))[0]
weights, biases = layer.get_weights()

by_hand = biases[2] + sum(correlate(colour[:, :, c], weights[:, :, c, 2]) for c in range(3))
print("weights", weights.shape, "biases", biases.shape, "maps", maps.shape)
print(f"map 2 by hand against Keras: largest difference {np.abs(by_hand - maps[:, :, 2]).max():.1e}")

plotting.plot_feature_maps(maps, caption="astronaut, seen by four random 5 x 5 filters without training")

# %% [markdown]
# Parameters are one price; the others are the values a layer has to store and the multiplications it does.
# Each output value costs $K \cdot K \cdot C_{in}$ multiply-accumulates (MACs). A FLOP is one multiplication
# or one addition, so one MAC counts as two. The example of the lectures: 8 maps to 16 maps, $5 \times 5$, an
# output of $32 \times 32$.

# %%
example = keras.Sequential([keras.Input((32, 32, 8)), keras.layers.Conv2D(16, 5, padding="same")])
parameters = 5 * 5 * 8 * 16 + 16
values = 32 * 32 * 16
flops = 2 * 5 * 5 * 8 * values
print(f"by hand: {parameters:,} parameters, {values:,} output values, {flops / 1e6:.2f} M FLOPs")

layer_table(example)

# %% [markdown]
# ## A convolution is a matrix product (im2col)
#
# GPUs multiply matrices. So write each window of the image as one row of a matrix (*im2col*: image to
# columns, Manco) and each filter as one column of another; all outputs are then a single product. First the
# rows of a tiny image:

# %%
tiny = np.arange(16).reshape(4, 4)
windows = np.lib.stride_tricks.sliding_window_view(tiny, (3, 3))
print(f"the image:\n{tiny}\n\none row for each of the 2 x 2 windows:")
print(windows.reshape(-1, 9))

# %% [markdown]
# And the layer from above, computed in this way:


# %%
def im2col(image, kernel_size):
    """Return one row for each window, with kernel_size * kernel_size * channels values."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (kernel_size, kernel_size), axis=(0, 1))
    windows = windows.transpose(0, 1, 3, 4, 2)  # the weights in Keras have the order (m, l, channel)
    return windows.reshape(windows.shape[0] * windows.shape[1], -1)


im2col_difference = {}
for dtype in ("float32", "float64"):
    image, kernels = colour.astype(dtype), weights.astype(dtype)
    columns = im2col(image, 5)
    product = columns @ kernels.reshape(-1, 4)
    reference = ops.convert_to_numpy(ops.conv(image[None], kernels))[0]
    im2col_difference[dtype] = np.abs(product.reshape(reference.shape) - reference).max()
    print(
        f"{dtype}: {columns.shape} @ {kernels.reshape(-1, 4).shape} -> {product.shape}, "
        f"largest difference to Keras {im2col_difference[dtype]:.1e}"
    )
print(f"the price: the matrix holds {columns.size / colour.size:.1f} times the values of the image")

# %% [markdown]
# A difference is rounding: the same products, added in another order. Exactly 0 means that the library
# happened to add in our order. (A GPU may round `float32` products more coarsely, to be faster.)
#
# ## Fully connected instead of convolution
#
# A convolution is also a fully connected layer of a special form. Feed every single-pixel image of
# $5 \times 5$ pixels through a $3 \times 3$ kernel, and the answers are the columns of its matrix: mostly
# zeros, and the same nine weights in each row.

# %%
unit_images = np.eye(25, dtype="float32").reshape(25, 5, 5, 1)
kernel = np.array([[1, 2, 3], [4, 5, -4], [-3, -2, -1]], "float32")  # nine different weights
matrix = ops.convert_to_numpy(ops.conv(unit_images, kernel[:, :, None, None])).reshape(25, 9).T
nonzero = matrix[matrix != 0]
print(f"{matrix.size} entries, {nonzero.size} not zero, {len(np.unique(nonzero))} different weights")

plotting.plot_feature_maps(
    matrix[:, :, None],
    titles=["9 outputs (rows), 25 pixels (columns)"],
    caption="A 3 x 3 convolution as a matrix",
)

# %% [markdown]
# Without these zeros and without sharing, every output has a weight of its own for every input value. Di
# Stefano's example, a layer from a colour image to one map of the same size:

# %%
print("image        fully connected                  3 x 3 convolution")
for pixels in (224, 1024):
    fc_weights = (pixels * pixels * 3) * (pixels * pixels)
    conv_weights = 3 * 3 * 3
    fc_gflops, conv_gflops = 2 * fc_weights / 1e9, 2 * conv_weights * pixels * pixels / 1e9
    print(
        f"{pixels:4d} x {pixels:4d}  {fc_weights:.2e} weights, {fc_gflops:7,.1f} GFLOPs  "
        f"{conv_weights} weights, {conv_gflops:.4f} GFLOPs"
    )

# %% [markdown]
# **Erratum.** For $1024 \times 1024$ Di Stefano's slides print $3.2 \cdot 10^{12}$ weights and 6.4 TFLOPs.
# Computed: $3.3 \cdot 10^{12}$ and 6.6 TFLOPs.
#
# ## Receptive field
#
# How many input pixels can change one output? A layer with kernel $K$ widens the field by $K - 1$ steps, and
# one step is as many pixels as the product of the strides before it. For $L$ layers with stride 1:
#
# $$R = 1 + L (K - 1)$$
#
# To measure it, we change one input pixel after the other and see whether the output in the middle changes.
# The layers are linear, so the size of the change is the gradient. The weights are positive, so that nothing
# cancels.


# %%
def probe(layers, side):
    """Return the change of the middle output when each pixel of an empty image is set to 1 in turn."""
    model = keras.Sequential([keras.Input((side, side, 1))])
    for kernel_size, stride, dilation in layers:
        positive = keras.initializers.RandomUniform(0.5, 1.0, seed=len(model.layers))
        options = {"strides": stride, "dilation_rate": dilation, "kernel_initializer": positive}
        model.add(keras.layers.Conv2D(1, kernel_size, use_bias=False, **options))
    one_pixel_each = np.eye(side * side, dtype="float32").reshape(-1, side, side, 1)
    outputs = ops.convert_to_numpy(model(one_pixel_each))[..., 0]
    middle = outputs.shape[1] // 2
    return outputs[:, middle, middle].reshape(side, side)


stacks = {
    "one 3 x 3": [(3, 1, 1)],
    "two 3 x 3": [(3, 1, 1)] * 2,
    "three 3 x 3": [(3, 1, 1)] * 3,
    "one 7 x 7": [(7, 1, 1)],
    "stride 2, then 3 x 3": [(3, 2, 1), (3, 1, 1)],
    "twice stride 2, 3 x 3": [(3, 2, 1), (3, 2, 1), (3, 1, 1)],
    "3 x 3, then dilation 2": [(3, 1, 1), (3, 1, 2)],
    "dilation 4 alone": [(3, 1, 4)],
}
fields, titles = [], []
for name, layers in stacks.items():
    change = probe(layers, side=23)
    rows = np.flatnonzero(change.any(axis=1))
    measured = rows[-1] - rows[0] + 1
    print(f"{name:22s} formula {receptive_field(layers):2d}, measured {measured:2d}")
    fields.append(np.sqrt(change / change.max()))
    titles.append(f"{name}: {measured}")

plotting.plot_images(
    fields,
    titles=titles,
    columns=4,
    caption="How strongly each input pixel changes the middle output (square root of the gradient)",
)

# %% [markdown]
# Three $3 \times 3$ see as much as one $7 \times 7$, but not evenly: many paths lead from the middle, one
# from a corner. Strides widen the field fastest.
#
# ## Cheaper designs with the same view
#
# With $C$ maps in and out, per layer, on maps of $W \times H$:
#
# | Design | Sees | Parameters | FLOPs | Activations |
# |---|--:|--:|--:|--:|
# | one $5 \times 5$ | 5 | $25C^2 + C$ | $50C^2WH$ | $CWH$ |
# | two $3 \times 3$ | 5 | $18C^2 + 2C$ | $36C^2WH$ | $2CWH$ |
# | one $7 \times 7$ | 7 | $49C^2 + C$ | $98C^2WH$ | $CWH$ |
# | three $3 \times 3$ | 7 | $27C^2 + 3C$ | $54C^2WH$ | $3CWH$ |
#
# The small kernels save parameters and time, and pay with memory for activations. They also have a
# non-linearity after each layer. We count on Keras models instead of trusting the table:

# %%
C, map_side = 64, 32


def stack(*layers):
    return keras.Sequential([keras.Input((map_side, map_side, C)), *layers])


def conv(kernel_size):
    return keras.layers.Conv2D(C, kernel_size, padding="same")


designs = {
    "one 5 x 5": stack(conv(5)),
    "two 3 x 3": stack(conv(3), conv(3)),
    "one 7 x 7": stack(conv(7)),
    "three 3 x 3": stack(conv(3), conv(3), conv(3)),
}
print(f"C = {C}, maps of {map_side} x {map_side}")
for name, model in designs.items():
    table = layer_table(model)
    print(
        f"  {name:12s} {table.total_params:8,} parameters {2 * table.total_macs / 1e6:7.1f} MFLOPs "
        f"{table.total_activations:8,} activations"
    )

# %% [markdown]
# **Depthwise separable** convolution (MobileNet) goes further: one $3 \times 3$ kernel per map, without
# mixing the maps, then a $1 \times 1$ convolution that mixes them. For $C$ maps in and out the FLOPs per
# position are $18C^2$ for the standard layer and $18C + 2C^2$ for the separable one; in general the cost
# ratio is $1/N + 1/K^2$ with $N$ output maps.

# %%
for channels in (64, 128, 256, 512):
    inputs = keras.Input((8, 8, channels))
    options = {"padding": "same", "use_bias": False}
    standard = keras.Model(inputs, keras.layers.Conv2D(channels, 3, **options)(inputs))
    separable = keras.Model(inputs, keras.layers.SeparableConv2D(channels, 3, **options)(inputs))
    expected = 18 * channels**2 / (18 * channels + 2 * channels**2)
    counted = standard.count_params() / separable.count_params()
    print(f"C = {channels:3d}: {expected:.2f} times cheaper by the formula, {counted:.2f} counted")

# %% [markdown]
# ## ReLU, and units that die
#
# After a convolution comes a non-linearity, mostly $\mathrm{ReLU}(z) = \max(0, z)$. Where $z$ is negative,
# ReLU is flat: no gradient. A unit with $z < 0$ for **every** example gets no gradient at all and cannot come
# back: it is dead. One step that is too large is enough. A *leaky* ReLU keeps a small slope for $z < 0$.
#
# The experiment: a network with 64 hidden units makes two steps with a learning rate that is far too large.
# Then two copies of it train on with a good learning rate, one with ReLU, one with leaky ReLU. (Dense layers,
# because they are small; a convolution filter dies in the same way.)


# %%
def build_small(slope):
    hidden = keras.layers.Dense(64, name="hidden")
    activation = keras.layers.LeakyReLU(negative_slope=slope)
    return keras.Sequential([keras.Input((2,)), hidden, activation, keras.layers.Dense(1)])


points = np.random.default_rng(1).uniform(-1, 1, (512, 2)).astype("float32")
targets = 1 + np.sin(3 * points[:, :1]) * points[:, 1:]


def count_silent(model):
    """Count the hidden units that are not positive for any of the points."""
    before_activation = ops.convert_to_numpy(model.get_layer("hidden")(points))
    return int(np.all(before_activation <= 0, axis=0).sum())


start = build_small(slope=0.0)
start.compile(keras.optimizers.SGD(0.5), "mse")
print(f"new network: {count_silent(start)} of 64 units silent on all {len(points)} points")
for _ in range(2):
    start.train_on_batch(points, targets)
print(f"after two steps that were too large: {count_silent(start)} silent")

for name, slope in (("ReLU", 0.0), ("leaky ReLU", 0.1)):
    model = build_small(slope)
    model.set_weights(start.get_weights())
    model.compile(keras.optimizers.Adam(0.01), "mse")
    history = model.fit(points, targets, epochs=knobs["epochs"], batch_size=128, verbose=0)
    first, last = history.history["loss"][0], history.history["loss"][-1]
    before, after = (m.get_layer("hidden").get_weights()[0] for m in (start, model))
    unmoved = np.all(before == after, axis=0).sum()
    print(f"{name:10s}: {unmoved:2d} units never moved again; loss {first:.3f} -> {last:.3f}")

# %% [markdown]
# The dead units of the ReLU network did not move by a single bit in all these epochs; with the leaky ReLU
# every unit still learns. The loss hardly suffers in this tiny task, because the living units are enough; in
# a deep network each dead unit is lost capacity.
#
# ## Max pooling and small shifts
#
# Pooling makes maps smaller, and it is said to make a network indifferent to small shifts. How much? We move
# the photograph by **one** pixel, compute edge maps before and after, and compare the pooled maps at the same
# places.

# %%
sobels = np.stack([edge, -edge, edge.T, -edge.T], axis=-1)[:, :, None, :]


def edge_maps(image):
    return ops.relu(ops.conv(image[None, :, :, None], sobels))


poolings = {
    "no pooling": lambda maps: maps,
    "every 2nd value (stride 2)": lambda maps: maps[:, ::2, ::2],
    "average 2 x 2": lambda maps: ops.average_pool(maps, 2, 2),
    "max 2 x 2": lambda maps: ops.max_pool(maps, 2, 2),
    "average 4 x 4": lambda maps: ops.average_pool(maps, 4, 4),
    "max 4 x 4": lambda maps: ops.max_pool(maps, 4, 4),
}
here, moved_by_one = edge_maps(grey[:, 1:]), edge_maps(grey[:, :-1])
changes, shown = {}, []
print("                            change of the map   values exactly as before")
for name, pool in poolings.items():
    before, after = (ops.convert_to_numpy(pool(maps))[0] for maps in (here, moved_by_one))
    changes[name] = np.abs(after - before).sum() / before.sum()
    active = (before > 0) | (after > 0)
    print(f"{name:28s} {changes[name]:10.0%} {np.mean((before == after)[active]):20.0%}")
    shown.append(np.abs(after - before)[:, :, 0] / before[:, :, 0].max())

plotting.plot_images(
    [np.clip(2 * change, 0, 1) for change in shown],
    titles=list(poolings),
    columns=3,
    caption="camera moved by one pixel: change of one edge map (white: half of its largest value)",
)

# %% [markdown]
# The change is the sum of all differences, divided by the sum of the map; the last column looks at the values
# that are not zero both times. Taking every second value changes next to nothing. Averaging helps; the
# maximum helps more, and only with the maximum a good part of the values stays *exactly* the same, because
# the largest value is still in its window. But "invariant" is too strong a word: after $2 \times 2$ max
# pooling the map still changes a lot.
#
# ## What we saw
#
# - A "convolution" layer computes a correlation. Convolution is the same with the kernel flipped on both
#   axes.
# - Output size: the floor of $(I + 2P - D(K - 1) - 1) / S$, plus 1. Zero padding darkens the border.
# - $K \cdot K \cdot C_{in} \cdot C_{out} + C_{out}$ parameters; the image size does not matter. A fully
#   connected layer would need billions.
# - im2col turns the layer into one matrix product, and gives the same numbers.
# - Small kernels in a row see as much as a large one, for fewer parameters; strides widen the view.
# - A ReLU unit can die; a leaky one cannot. Max pooling softens a small shift, it does not remove it.
#
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### Count parameters
#
# A layer takes **3 input maps** and has **two 5 x 5 filters**, with biases. How many parameters does it
# learn? And what is the number for 8 input maps and sixteen 3 x 3 filters? Calculate by hand.

# student: parameters_first = None
# student: parameters_second = None
# solution
parameters_first = 5 * 5 * 3 * 2 + 2
parameters_second = 3 * 3 * 8 * 16 + 16
# end solution

ex.count_parameters.check(parameters_first, parameters_second)

# %% [markdown] tags=["solution"]
# Each filter has a 5 x 5 kernel for each of the 3 maps, so two filters have 5 · 5 · 3 · 2 = 150 weights, and 2
# biases: 152. The second layer has 3 · 3 · 8 · 16 = 1,152 weights and 16 biases: 1,168.


# %% tags=["exercise"]
# ### Repair the output size
#
# The function below uses the ceiling, as printed on the slides. Repair it.


def output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    free = size + 2 * padding - dilation * (kernel_size - 1) - 1
    # student: return math.ceil(free / stride) + 1
    # solution
    return free // stride + 1
    # end solution


ex.output_size.check(output_size)

# %% [markdown] tags=["solution"]
# The division must be rounded down, in Python `//`: a step that leads out of the image is not made. With I = 6,
# K = 3, S = 2 the kernel starts at pixel 0 and at pixel 2; at pixel 4 it would need pixel 6, which does not exist.
# That makes two positions; the ceiling counts three.

# %% tags=["exercise"]
# ### The padding of `same`
#
# Write the function that returns how many pixels `"same"` adds **before** and **behind** a line of `size` pixels,
# as two numbers. There are `(size - 1) // stride + 1` outputs, and the last kernel must end at the last pixel, or
# behind it. A kernel that is smaller than the stride needs nothing.


def same_padding(size, kernel_size, stride):
    outputs = (size - 1) // stride + 1
    # student: return None
    # solution
    added = max((outputs - 1) * stride + kernel_size - size, 0)
    return added // 2, added - added // 2
    # end solution


ex.same_padding.check(same_padding)

# %% [markdown] tags=["solution"]
# The last of the outputs starts (outputs - 1) · stride pixels on and covers kernel_size pixels. What lies behind
# the image is added, half of it before. An odd number cannot be halved: Keras puts the pixel that is left over
# behind.

# %% tags=["exercise"]
# ### From correlation to convolution
#
# `correlate(image, kernel)` is given. Find the `flipped` kernel so that `correlate(image, flipped)` is the
# convolution.

lopsided = np.array([[1, 2, 0], [0, 3, 0], [0, 0, 4]], "float32")
# student: flipped = None
# solution
flipped = lopsided[::-1, ::-1]
# end solution

ex.flipped_kernel.check(flipped)

# %% [markdown] tags=["solution"]
# Convolution has minus signs at both indices, so both axes are flipped: a turn by 180 degrees. On one bright pixel
# the result then shows the kernel itself.

# %% tags=["exercise"]
# ### Choose the cheaper design
#
# A layer has 64 maps in and out and must see $5 \times 5$ pixels. Which design of the table above has fewer
# parameters, `"one 5 x 5"` or `"two 3 x 3"`? And how many parameters does it save, biases included?

# student: cheaper = None
# student: saved = None
# solution
cheaper = "two 3 x 3"
saved = (5 * 5 * 64 * 64 + 64) - 2 * (3 * 3 * 64 * 64 + 64)
# end solution

ex.cheaper_design.check(cheaper, saved)

# %% [markdown] tags=["solution"]
# 25 C² + C - (18 C² + 2 C) = 7 C² - C, which is 28,608 for C = 64: 28 % of the parameters. The price is that twice
# as many activations must be stored for training.

# %% tags=["exercise"]
# ### Receptive field
#
# A network starts as ResNet does: a $7 \times 7$ convolution with stride 2, a $3 \times 3$ max pooling with
# stride 2, then a $3 \times 3$ convolution with stride 1. How many pixels wide is the receptive field of one
# output? Calculate by hand.

# student: field = None
# solution
field = 1 + (7 - 1) * 1 + (3 - 1) * 2 + (3 - 1) * 4
# end solution

ex.stem_field.check(field)

# %% [markdown] tags=["solution"]
# Start with 1. The 7 x 7 adds 6 steps of 1 pixel: 7. The pooling adds 2 steps of 2 pixels: 11. The last layer adds
# 2 steps of 4 pixels: 19.

# %% [markdown]
# ## Where to go on
#
# - `02_lenet_cifar10` puts these layers together: LeNet-5, its table of parameters, and its training.
# - Change a stack in the receptive field cell: how many $3 \times 3$ layers do you need to see $15 \times 15$
#   pixels?
# - Replace the Sobel kernels of the pooling experiment by random ones: is the maximum still better than the
#   mean?

# %% tags=["summary"]
print(f"Data: {data_shown}.")
print(f"Output size: {len(cases)} cases against Keras, {size_errors} differ.")
print(f"im2col against Keras: largest difference {max(im2col_difference.values()):.1e}.")
ex.summary()
