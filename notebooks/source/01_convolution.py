# %% [markdown]
# # 1. Convolution arithmetic
#
# **The question.** A convolution layer is a few small kernels that move over an image. What exactly does it
# compute? How large is its output? How many numbers does it learn, and what does it cost? How much of the image
# does one of its outputs see?
#
# Every answer is given twice: as a formula, and as a measurement in plain NumPy or Keras. Where a formula on a
# slide is wrong, the measurement decides.
#
# *Follows the lectures of Boracchi (Image Analysis and Computer Vision: CNNs in Keras), Di Stefano (Deep
# Learning for Computer Vision) and Manco (Analisi di Immagini e Video).*

# %%
import math

import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from keras import layers, ops
from matplotlib.patches import Rectangle
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
    full={"side": 256, "size_cases": 400, "epochs": 40},
    gpu={"side": 256, "size_cases": 400, "epochs": 40},
)
knobs

# %% [markdown]
# ## The data
#
# Five photographs that come with scikit-image, made smaller. Most of the notebook looks at *camera* (grey) and
# *astronaut* (colour).

# %%
side = knobs["side"]


def photograph(image):
    """Return the middle square of a photograph as numbers from 0 to 1, `side` pixels high and wide."""
    height, width = image.shape[:2]
    top, left = max(0, height - width) // 2, max(0, width - height) // 2
    square = image[top : height - top, left : width - left]
    return resize(square / 255, (side, side), anti_aliasing=True).astype("float32")


names = ("camera", "astronaut", "chelsea", "coffee", "rocket")
photographs = {name: photograph(getattr(data, name)()) for name in names}
grey, colour = photographs["camera"], photographs["astronaut"]
data_shown = f"photographs of scikit-image, {side} x {side} pixels"

plotting.plot_images(
    [grey, colour],
    titles=[f"camera {grey.shape}", f"astronaut {colour.shape}"],
    caption=f"Two {data_shown}",
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
    """Move the kernel over the image, without padding."""
    height, width = kernel.shape
    output = np.zeros((image.shape[0] - height + 1, image.shape[1] - width + 1), image.dtype)
    for i in range(output.shape[0]):
        for j in range(output.shape[1]):
            output[i, j] = np.sum(kernel * image[i : i + height, j : j + width])
    return output


def keras_conv(image, kernel, **options):
    """Do the same with Keras: images are (n, h, w, channels), kernels are (h, w, in, out)."""
    output = ops.conv(image[None, :, :, None], kernel[:, :, None, None], **options)
    return ops.convert_to_numpy(output)[0, :, :, 0]


# A Sobel kernel: its answer is large where it is dark on the left and bright on the right.
edge = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], "float32")
ours = correlate(grey, edge)
theirs = keras_conv(grey, edge)
print(f"shapes {ours.shape} and {theirs.shape}, largest difference {np.abs(ours - theirs).max():.1e}")

# %% [markdown]
# Keras and our loops agree: what every library calls "convolution" is correlation.
#
# **Convolution** in the sense of mathematics has minus signs, $x(i - m, j - l)$. It is the correlation with
# the kernel flipped on both axes. The simplest test image is a single bright pixel: convolution copies the
# kernel to it, correlation copies the flipped kernel.

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

# The sum with x(i - m, j - l), written out where the whole kernel fits.
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
# kernel. You care when you copy a kernel from a book: on a photograph the flip of the Sobel kernel changes the
# sign of the answer.

# %%
flip = correlate(grey, edge[::-1, ::-1])
print(f"correlation + convolution: at most {np.abs(ours + flip).max():.1e}")
plotting.plot_feature_maps(
    np.stack([ours, flip], axis=-1),
    titles=["correlation: > 0 is brighter to the right", "convolution: the opposite sign"],
    caption="The vertical edges of camera",
)

# %% [markdown]
# ## Output size
#
# How many outputs does a line of $I$ pixels give? As many as there are places where the kernel can start. We
# draw them. The first line of each drawing is the image; its letters stand for the values of the pixels. Each
# line below is one output: the blue squares are the pixels that the kernel reads for it.


# %%
def draw_starts(*cases):
    """Draw a line of pixels and the places of the kernel; a case is (title, I, K, S, D, (before, behind))."""
    places = []
    for _, size, kernel_size, stride, dilation, (before, behind) in cases:
        reach = dilation * (kernel_size - 1) + 1
        places.append(range(0, before + size + behind - reach + 1, stride))
    heights = [len(starts) + 1 for starts in places]
    inches = (4.8, 0.21 * sum(heights) + 0.45 * len(cases))
    most = max(before for *_, (before, _) in cases)
    figure, axes = plt.subplots(len(cases), 1, figsize=inches, height_ratios=heights, squeeze=False)
    for axis, starts, case in zip(axes.flat, places, cases, strict=True):
        title, size, kernel_size, _, dilation, (before, behind) = case
        pixels = list("abcdefghij"[:size])
        mirrored = title.startswith("symmetric")
        front = pixels[:before][::-1] if mirrored else ["0"] * before
        back = pixels[size - behind :][::-1] if mirrored else ["0"] * behind
        for place, letter in enumerate(front + pixels + back, start=most - before):
            color = "gainsboro" if most <= place < most + size else "white"
            axis.add_patch(Rectangle((place, 0), 0.94, 0.94, facecolor=color, edgecolor="grey"))
            axis.text(place + 0.47, 0.44, letter, ha="center", va="center")
        for line, start in enumerate(starts, start=1):
            for tap in range(kernel_size):
                spot = (most - before + start + tap * dilation, 0.12 - line)
                axis.add_patch(Rectangle(spot, 0.94, 0.76, facecolor="#0072B2"))
        axis.set(xlim=(-0.1, 16), ylim=(-len(starts), 1), aspect="equal", anchor="W")
        axis.set_title(f"{title}: {len(starts)} outputs", loc="left", fontsize=10)
        axis.axis("off")
    figure.tight_layout()
    plt.show()


none = (0, 0)
draw_starts(("I = 6, K = 3", 6, 3, 1, 1, none), ("I = 6, K = 4", 6, 4, 1, 1, none))

# %% [markdown]
# The kernel starts at the first pixel and moves on until it ends at the last one: $I - K + 1$ outputs. This is
# the padding `"valid"`: none.
#
# ### Padding
#
# | Padding | What is added | Output size |
# |---|---|---|
# | valid | nothing | $I - K + 1$ |
# | same | zeros, as many as keep the size | $I$ |
# | full | zeros, until kernel and image only just touch | $I + K - 1$ |
# | symmetric | as many as *same*, but mirrored pixels | $I$ |

# %%
draw_starts(
    ("valid", 6, 3, 1, 1, none),
    ("same", 6, 3, 1, 1, (1, 1)),
    ("full", 6, 3, 1, 1, (2, 2)),
    ("symmetric", 6, 3, 1, 1, (1, 1)),
)

# %% [markdown]
# Keras layers know `"valid"` and `"same"`. The other two are a padding of the image before a valid convolution.

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
    columns=2,
    caption=f"camera, {side} x {side}, blurred with a {size} x {size} mean: all on one scale",
)

# %% [markdown]
# The zeros are not neutral: to the kernel they are a black frame. How dark does it make the border?

# %%
border = np.ones_like(grey, dtype=bool)
border[around:-around, around:-around] = False
print(f"mean brightness of the border, {around} pixels wide")
print(f"  photograph                 {grey[border].mean():.3f}")
for name in ("same", "symmetric"):
    print(f"  blurred, {name:9s} padding {blurred[name][border].mean():.3f}")

# %% [markdown]
# ### Stride and dilation
#
# **Stride** $S$: the kernel moves on by $S$ pixels. A step that would lead out of the image is not made.
#
# **Dilation** $D$: the kernel reads every $D$-th pixel. A kernel of $K$ weights then reaches over
# $D(K - 1) + 1$ pixels.

# %%
draw_starts(
    ("I = 7, K = 3, S = 2", 7, 3, 2, 1, none),
    ("I = 6, K = 3, S = 2", 6, 3, 2, 1, none),
    ("I = 7, K = 3, D = 2", 7, 3, 1, 2, none),
    ("I = 7, K = 3, S = 2, one zero on each side", 7, 3, 2, 1, (1, 1)),
)

# %% [markdown]
# In the second drawing no output reads the pixel f: the third step would lead out of the image.
#
# The result with stride $S$ is every $S$-th value of the result with stride 1; the values in between are never
# computed. The result with dilation is that of a larger kernel with zeros in its gaps.

# %%
stepped = keras_conv(grey, edge, strides=3)
print(f"stride 3 against every third value: at most {np.abs(stepped - theirs[::3, ::3]).max():.1e}")


def dilate(kernel, dilation):
    """Put zeros between the weights of a kernel."""
    reach = dilation * (len(kernel) - 1) + 1
    wide = np.zeros((reach, reach), kernel.dtype)
    wide[::dilation, ::dilation] = kernel
    return wide


dilated = keras_conv(grey, edge, dilation_rate=3)
widened = keras_conv(grey, dilate(edge, 3))
print(f"dilation 3 against zeros in the gaps: at most {np.abs(dilated - widened).max():.1e}")

wide_kernels = {dilation: dilate(np.ones((3, 3), "float32"), dilation) for dilation in (1, 2, 3)}
plotting.plot_images(
    [np.pad(wide, (9 - len(wide)) // 2) for wide in wide_kernels.values()],
    titles=[f"D = {gap}: {len(wide)} pixels" for gap, wide in wide_kernels.items()],
    caption="The nine weights of a 3 x 3 kernel on a field of 9 x 9 pixels, with dilation D",
)

# %% [markdown]
# ### The formula
#
# All this in one line, with $P$ pixels of padding on each side:
#
# $$O = \left\lfloor \frac{I + 2P - D(K - 1) - 1}{S} \right\rfloor + 1$$
#
# The brackets mean: round down.
#
# ### `"same"` with a stride
#
# With a stride, `"same"` does not keep the size. Keras takes $O = \lfloor (I - 1) / S \rfloor + 1$ outputs,
# whatever the kernel, and adds only the zeros that the last of them needs. With $D = 1$ these are
#
# $$\max(0, \; (O - 1) S + K - I)$$
#
# zeros: half of them before, rounded down, and the rest behind.

# %%
draw_starts(
    ("same, I = 7, K = 3, S = 2", 7, 3, 2, 1, (1, 1)),
    ("same, I = 6, K = 3, S = 2", 6, 3, 2, 1, (0, 1)),
    ("one zero on each side, I = 6, K = 3, S = 2", 6, 3, 2, 1, (1, 1)),
)

# %% [markdown]
# Look at the second drawing. One zero is enough, so it stands behind, and none before: the padding is
# **asymmetric**. It is so whenever the number of zeros is odd. The original networks and PyTorch add $P = 1$ on
# each side (third drawing). That gives three outputs, too, but they read other pixels:

# %%
line = np.arange(1, 7, dtype="float32")[None, :, None]  # six pixels with the values 1 to 6
middle = np.array([0, 1, 0], "float32")[:, None, None]  # a kernel that copies the pixel in its middle


def middles(image, padding):
    return ops.convert_to_numpy(ops.conv(image, middle, strides=2, padding=padding))[0, :, 0]


print("same                   ", middles(line, "same"))
print("one zero behind        ", middles(np.pad(line, ((0, 0), (0, 1), (0, 0))), "valid"))
print("one zero on each side  ", middles(np.pad(line, ((0, 0), (1, 1), (0, 0))), "valid"))

# %% [markdown]
# So one padding sees the image of the other, moved by one pixel. To use weights that were trained with PyTorch,
# write `ZeroPadding2D(1)` and a valid convolution. How much do the two differ on the photograph?

# %%
as_keras = keras_conv(grey, edge, strides=2, padding="same")
as_pytorch = keras_conv(np.pad(grey, 1), edge, strides=2)
change = np.abs(as_keras - as_pytorch).mean() / np.abs(as_keras).mean()
print(f"sizes {as_keras.shape} and {as_pytorch.shape}")
print(f"mean difference: {change:.0%} of the mean size of a value")

without_first = keras_conv(grey[1:, 1:], edge, strides=2)  # the photograph moved by one pixel
print(f"after moving by one pixel: at most {np.abs(without_first - as_pytorch[1:, 1:]).max():.1e}")

# %% [markdown]
# ### The formula against Keras
#
# Random cases, each computed with the formula and measured with Keras. The last column is the same formula,
# rounded up.


# %%
def formula(size, kernel_size, stride, padding, dilation, rounding=math.floor):
    """Compute the output size; padding is "same" or the pixels on each side, so that 0 is "valid"."""
    if padding == "same":
        return (size - 1) // stride + 1
    return rounding((size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride) + 1


def measure(size, kernel_size, stride, padding, dilation):
    """Let Keras convolve a line of zeros and read the length of the result."""
    mode = "same" if padding == "same" else "valid"
    line = np.zeros((1, size + (0 if padding == "same" else 2 * padding), 1), "float32")
    kernel = np.zeros((kernel_size, 1, 1), "float32")
    return ops.conv(line, kernel, strides=stride, padding=mode, dilation_rate=dilation).shape[1]


rng = np.random.default_rng(0)
cases = []
while len(cases) < knobs["size_cases"]:
    size, kernel_size, stride, dilation = (int(n) for n in rng.integers((5, 1, 1, 1), (65, 8, 5, 4)))
    padding = [0, 1, 2, 3, "same"][rng.integers(5)]
    fits = dilation * (kernel_size - 1) < size
    if fits and (stride == 1 or dilation == 1):  # Keras refuses to combine stride and dilation
        cases.append((size, kernel_size, stride, padding, dilation))

print("  I  K  S    P  D  formula  Keras  rounded up")
size_errors = rounding_errors = 0
for number, case in enumerate(cases):
    by_formula, by_keras = formula(*case), measure(*case)
    rounded_up = formula(*case, rounding=math.ceil)
    size_errors += by_formula != by_keras
    rounding_errors += rounded_up != by_keras
    if number < 8:
        size, kernel_size, stride, padding, dilation = case
        numbers = f"{size:3d} {kernel_size:2d} {stride:2d} {padding!s:>4s} {dilation:2d}"
        print(f"{numbers} {by_formula:8d} {by_keras:6d} {rounded_up:11d}")
print(f"{len(cases)} cases: {size_errors} differ from Keras, rounded up {rounding_errors}")

# The package has the formula, too, with checks of its arguments:
print("AlexNet's first layer, 227 pixels:", conv_output_size(227, 11, stride=4))

# %% [markdown]
# **Erratum.** Manco's slides (CNN) print the formula with a ceiling: rounded up. Computed: it is rounded down.
# The two differ whenever the stride does not divide the numerator.
#
# ## Channels and parameters
#
# A colour image has three channels. A filter has one kernel **per input channel**; their answers are added,
# then one bias. The layer has as many filters as it has output maps (feature maps):
#
# $$y_n(i, j) = b_n + \sum_{c} \sum_{m} \sum_{l} w_n(m, l, c) \, x(i + m, j + l, c)$$
#
# So it learns $K \cdot K \cdot C_{in} \cdot C_{out}$ weights and $C_{out}$ biases. The size of the image does
# not occur. The example of the lectures: 3 input maps, two $5 \times 5$ filters.

# %%
two_filters = layers.Conv2D(2, 5)
maps = ops.convert_to_numpy(two_filters(colour[None]))[0]
weights, biases = two_filters.get_weights()
print("weights", weights.shape, "and biases", biases.shape)
print(f"by hand {5 * 5 * 3 * 2} + {2} = {5 * 5 * 3 * 2 + 2}, Keras {two_filters.count_params()}")

by_hand = biases[1] + sum(correlate(colour[:, :, c], weights[:, :, c, 1]) for c in range(3))
print(f"map 1 by hand against Keras: at most {np.abs(by_hand - maps[:, :, 1]).max():.1e}")

plotting.plot_feature_maps(maps, caption="astronaut, seen by two random 5 x 5 filters without training")

# %% [markdown]
# Parameters are one price. Two others are the values that a layer has to store (its *activations*) and the
# multiplications that it does. Each output value costs $K \cdot K \cdot C_{in}$ multiply-accumulates (MACs). A
# FLOP is one multiplication or one addition, so one MAC counts as two. The example of the lectures: 8 maps to
# 16 maps, $5 \times 5$, an output of $32 \times 32$.

# %%
example = keras.Sequential([keras.Input((32, 32, 8)), layers.Conv2D(16, 5, padding="same")], name="example")
parameters = 5 * 5 * 8 * 16 + 16
values = 32 * 32 * 16
flops = 2 * 5 * 5 * 8 * values
print(f"by hand: {parameters:,} parameters, {values:,} values, {flops / 1e6:.2f} M FLOPs")

# %% [markdown]
# `layer_table` counts all this for any Keras model:

# %%
layer_table(example)

# %% [markdown]
# ## A convolution is a matrix product (im2col)
#
# Processors are fast at multiplying matrices. So write each window of the image as one row of a matrix (*im2col*:
# image to columns, Manco), and each filter as one column of another. All outputs are then a single product.
# First the rows of a tiny image:

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
    sides = (kernel_size, kernel_size)
    windows = np.lib.stride_tricks.sliding_window_view(image, sides, axis=(0, 1))
    windows = windows.transpose(0, 1, 3, 4, 2)  # the weights in Keras have the order (m, l, channel)
    return windows.reshape(windows.shape[0] * windows.shape[1], -1)


im2col_difference = {}
for dtype in ("float32", "float64"):
    image, kernels = colour.astype(dtype), weights.astype(dtype)
    columns, filters = im2col(image, 5), kernels.reshape(-1, 2)
    product = columns @ filters
    reference = ops.convert_to_numpy(ops.conv(image[None], kernels))[0]
    im2col_difference[dtype] = np.abs(product.reshape(reference.shape) - reference).max()
    print(f"{dtype}: {columns.shape} @ {filters.shape} -> {product.shape}")
    print(f"         at most {im2col_difference[dtype]:.1e} from Keras")
print(f"the matrix holds {columns.size / colour.size:.1f} times the values of the image")

# %% [markdown]
# Where there is a difference it is rounding: the same products, added in another order. (A GPU may round `float32`
# products more coarsely, to be faster.)
#
# ## Fully connected instead of convolution
#
# A convolution is also a fully connected layer of a special form. Give it every image of $5 \times 5$ pixels that
# has a single pixel of 1. The answers of a $3 \times 3$ kernel are the columns of its matrix: mostly zeros, and
# the same nine weights in every row.

# %%
one_pixel = np.eye(25, dtype="float32").reshape(25, 5, 5, 1)
answers = ops.convert_to_numpy(ops.conv(one_pixel, kernel[:, :, None, None]))
matrix = answers.reshape(25, 9).T
nonzero = matrix[matrix != 0]
print(f"{matrix.size} entries, {nonzero.size} not zero, {len(np.unique(nonzero))} different weights")

plotting.plot_feature_maps(
    matrix[:, :, None],
    titles=["9 outputs (rows), 25 pixels (columns)"],
    caption="A 3 x 3 convolution as a matrix",
)

# %% [markdown]
# Without these zeros, and without sharing, every output has a weight of its own for every input value. Di
# Stefano's example is a layer from a colour image to one map of the same size:

# %%
for pixels in (224, 1024):
    fc_weights = (pixels * pixels * 3) * (pixels * pixels)
    conv_weights = 3 * 3 * 3
    print(f"{pixels} x {pixels}")
    print(f"  fully connected  {fc_weights:.2e} weights, {2 * fc_weights / 1e9:7,.1f} GFLOPs")
    print(f"  3 x 3            {conv_weights} weights, {2 * conv_weights * pixels**2 / 1e9:.4f} GFLOPs")

# %% [markdown]
# **Erratum.** For $1024 \times 1024$ Di Stefano's slides print $3.2 \cdot 10^{12}$ weights and 6.4 TFLOPs: cut
# off, not rounded. Computed: $3.3 \cdot 10^{12}$ and 6.6 TFLOPs.
#
# ## Receptive field
#
# The **receptive field** is the part of the input that can change one output. A layer with kernel $K$ widens it
# by $K - 1$ steps, and one step is as many pixels as the product of the strides before it. For $L$ layers with
# stride 1:
#
# $$R = 1 + L (K - 1)$$
#
# To measure it, we change one input pixel after the other and see whether the output in the middle changes.
# The layers are linear, so the size of the change is the gradient. The weights are positive, so that nothing
# cancels.


# %%
def probe(stack, side):
    """Return the change of the middle output when each pixel of a black image is set to 1 in turn."""
    model = keras.Sequential([keras.Input((side, side, 1))])
    for kernel_size, stride, dilation in stack:
        positive = keras.initializers.RandomUniform(0.5, 1.0, seed=len(model.layers))
        options = {"strides": stride, "dilation_rate": dilation, "kernel_initializer": positive}
        model.add(layers.Conv2D(1, kernel_size, use_bias=False, **options))
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
for name, stack in stacks.items():
    change = probe(stack, side=23)
    rows = np.flatnonzero(change.any(axis=1))
    measured = rows[-1] - rows[0] + 1
    print(f"{name:22s} formula {receptive_field(stack):2d}, measured {measured:2d}")
    fields.append(np.sqrt(change / change.max()))
    titles.append(f"{name}: {measured}")

plotting.plot_images(
    fields,
    titles=titles,
    columns=4,
    caption="How strongly each input pixel changes the middle output (square root of the gradient)",
)

# %% [markdown]
# Three $3 \times 3$ see as much as one $7 \times 7$, but not evenly: many paths lead to the middle, and only one
# to each corner. Of these stacks, the one with two strides of 2 sees most.
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
# The small kernels save parameters and work. They pay with memory for activations. They can also have a
# non-linearity after each layer. We count on Keras models instead of trusting the table:

# %%
C, map_side = 64, 32


def stack_of(number, kernel_size):
    """Return so many convolutions in a row, with C maps in and out."""
    convolutions = [layers.Conv2D(C, kernel_size, padding="same") for _ in range(number)]
    return keras.Sequential([keras.Input((map_side, map_side, C)), *convolutions])


print(f"C = {C}, maps of {map_side} x {map_side}")
print("            parameters MFLOPs activations  as the formula")
for name, number, kernel_size in (
    ("one 5 x 5", 1, 5),
    ("two 3 x 3", 2, 3),
    ("one 7 x 7", 1, 7),
    ("three 3 x 3", 3, 3),
):
    table = layer_table(stack_of(number, kernel_size))
    by_formula = number * (kernel_size**2 * C**2 + C)
    by_table = number * 2 * kernel_size**2 * C**2 * map_side**2
    agree = (table.total_params, table.total_flops) == (by_formula, by_table)
    print(f"{name:12s}{table.total_params:10,} {table.total_flops / 1e6:6.1f} ", end="")
    print(f"{table.total_activations:11,}  {agree}")

# %% [markdown]
# **Depthwise separable** convolution (MobileNet) goes further: one $3 \times 3$ kernel per map, without
# mixing the maps, then a $1 \times 1$ convolution that mixes them. For $C$ maps in and out the FLOPs per
# position are $18C^2$ for the standard layer and $18C + 2C^2$ for the separable one. In general its share of
# the cost is $1/N + 1/K^2$ with $N$ output maps.

# %%
print("times fewer FLOPs   18C² / (18C + 2C²)  counted  1 / (1/N + 1/9)")
for channels in (64, 128, 256, 512):
    inputs = keras.Input((8, 8, channels))
    options = {"padding": "same", "use_bias": False}
    standard = keras.Model(inputs, layers.Conv2D(channels, 3, **options)(inputs))
    separable = keras.Model(inputs, layers.SeparableConv2D(channels, 3, **options)(inputs))
    expected = 18 * channels**2 / (18 * channels + 2 * channels**2)
    counted = layer_table(standard).total_flops / layer_table(separable).total_flops
    share = 1 / (1 / channels + 1 / 9)
    print(f"  C = N = {channels:3d} {expected:19.2f} {counted:11.2f} {share:13.2f}")

# %% [markdown]
# ## ReLU, and units that die
#
# After a convolution comes a non-linearity, mostly $\mathrm{ReLU}(z) = \max(0, z)$. Where $z$ is negative,
# ReLU is flat: no gradient. A unit with $z < 0$ for **every** example gets no gradient at all and cannot come
# back: it is *dead*. One step that is too large is enough. A *leaky* ReLU keeps a small slope for $z < 0$.
#
# The experiment: a network with 64 hidden units makes two steps with a learning rate that is far too large.
# Then two copies of it train on with a good learning rate, one with ReLU, one with leaky ReLU. (Dense layers,
# because they are small; the filter of a convolution dies in the same way.)


# %%
def build_small(slope):
    hidden = layers.Dense(64, name="hidden")
    activation = layers.LeakyReLU(negative_slope=slope)  # with a slope of 0 it is ReLU
    return keras.Sequential([keras.Input((2,)), hidden, activation, layers.Dense(1)])


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

unmoved = {}
for name, slope in (("ReLU", 0.0), ("leaky ReLU", 0.1)):
    model = build_small(slope)
    model.set_weights(start.get_weights())
    model.compile(keras.optimizers.Adam(0.01), "mse")
    history = model.fit(points, targets, epochs=knobs["epochs"], batch_size=128, verbose=0)
    first, last = history.history["loss"][0], history.history["loss"][-1]
    before, after = (m.get_layer("hidden").get_weights()[0] for m in (start, model))
    unmoved[name] = int(np.all(before == after, axis=0).sum())
    print(f"{name} after {knobs['epochs']} epochs: loss {first:.3f} -> {last:.3f}")
    print(f"  {unmoved[name]} units have not moved by a single bit")

# %% [markdown]
# A unit that is silent on every point gets the gradient 0 with ReLU, so its weights stay as they are. With the
# slope of the leaky ReLU it gets a small one. (Whether dead units hurt depends on the task: the loss tells.)
#
# ## Max pooling and small shifts
#
# Pooling makes maps smaller, and it is said to make a network indifferent to small shifts. How much? We move
# each of the five photographs by **one** pixel, compute edge maps before and after, and compare the pooled maps
# at the same places. The *change* is the sum of all differences, divided by the sum of the map.

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
changes = {name: [] for name in poolings}
unchanged = {name: [] for name in poolings}
shown = []
for image in photographs.values():
    image = image if image.ndim == 2 else image.mean(axis=2)
    here, moved_by_one = edge_maps(image[:, 1:]), edge_maps(image[:, :-1])
    for name, pool in poolings.items():
        before, after = (ops.convert_to_numpy(pool(maps))[0] for maps in (here, moved_by_one))
        changes[name].append(np.abs(after - before).sum() / before.sum())
        active = (before > 0) | (after > 0)
        unchanged[name].append(np.mean((before == after)[active]))
        if len(shown) < len(poolings):  # those of the first photograph
            shown.append(np.abs(after - before)[:, :, 0] / before[:, :, 0].max())

print("                            change of the map    values")
print("                            (least to most)   unchanged")
for name in poolings:
    least, most = min(changes[name]), max(changes[name])
    print(f"{name:28s}{least:6.0%} to {most:4.0%} {np.mean(unchanged[name]):12.0%}")

calmer = sum(a < b for a, b in zip(changes["max 2 x 2"], changes["average 2 x 2"], strict=True))
print(f"max 2 x 2 changes less than average 2 x 2: {calmer} of {len(photographs)}")

# %%
plotting.plot_images(
    [np.clip(2 * change, 0, 1) for change in shown],
    titles=list(poolings),
    columns=3,
    caption="camera moved by one pixel: change of one edge map (white: half of its largest value)",
)

# %% [markdown]
# The last column looks at the values that are above zero before the shift, after it, or both times. With the
# maximum a part of them stays *exactly* as it was: the largest value is still in its window. But "invariant" is
# too strong a word: the first column tells by how much the map still changes.
#
# ## What we saw
#
# - A "convolution" layer computes a correlation. Convolution is the same with the kernel flipped on both axes.
# - The output size is $(I + 2P - D(K - 1) - 1) / S$, rounded down, plus 1. Zero padding darkens the border.
# - `"same"` with a stride pads asymmetrically where the number of zeros is odd.
# - A layer has $K \cdot K \cdot C_{in} \cdot C_{out} + C_{out}$ parameters; the image size does not matter.
# - im2col turns the layer into one matrix product.
# - Small kernels in a row see as much as a large one, for fewer parameters and more activations. Strides widen
#   the view.
# - A ReLU unit can die. Max pooling softens a small shift; it does not remove it.
#
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### Count parameters
#
# Calculate by hand: how many parameters has a layer with **3 input maps** and **two 5 x 5 filters**, with biases?
# And one with 8 input maps and sixteen 3 x 3 filters?

# student: parameters_first = None
# student: parameters_second = None
# solution
parameters_first = 5 * 5 * 3 * 2 + 2
parameters_second = 3 * 3 * 8 * 16 + 16
# end solution

ex.count_parameters.check(parameters_first, parameters_second)

# %% [markdown] tags=["hints"]
# - A filter has one kernel for each input map, and one bias.
# - Weights: kernel height x kernel width x input maps x filters. Biases: as many as filters.
# - The first layer: 5 · 5 · 3 weights in each of 2 filters, and 2 biases.

# %% [markdown] tags=["solution"]
# Each filter has a 5 x 5 kernel for each of the 3 maps, so two filters have 5 · 5 · 3 · 2 = 150 weights, and 2
# biases: 152. The second layer has 3 · 3 · 8 · 16 = 1,152 weights and 16 biases: 1,168.


# %% tags=["exercise"]
# ### Repair the output size
#
# The function below rounds up, as printed on the slides. Repair it.


def output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    free = size + 2 * padding - dilation * (kernel_size - 1) - 1
    # student: return math.ceil(free / stride) + 1
    # solution
    return free // stride + 1
    # end solution


ex.output_size.check(output_size)

# %% [markdown] tags=["hints"]
# - Which positions may the kernel take when the stride does not divide the free pixels?
# - A step that leads out of the image is not made: round down.
# - In Python `//` divides and rounds down.

# %% [markdown] tags=["solution"]
# The division must be rounded down, in Python `//`: a step that leads out of the image is not made. With I = 6,
# K = 3, S = 2 the kernel starts at pixel 0 and at pixel 2; at pixel 4 it would need pixel 6, which does not exist.
# That makes two positions; rounded up it would be three.

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

# %% [markdown] tags=["hints"]
# - How many times does the kernel start, and where does its last start end?
# - There are (size - 1) // stride + 1 outputs; the last ends at (outputs - 1) * stride + kernel_size.
# - What that is more than `size` is added: half of it before, rounded down, and the rest behind.

# %% [markdown] tags=["solution"]
# The last of the outputs starts (outputs - 1) · stride pixels on and covers kernel_size pixels. What lies behind
# the image is added, half of it before. Of an odd number the pixel that is left over comes behind.

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

# %% [markdown] tags=["hints"]
# - Convolution has x(i - m, j - l) where correlation has x(i + m, j + l).
# - Both indices change their sign: both axes of the kernel are flipped.
# - `kernel[::-1]` flips the first axis. A second slice flips the other.

# %% [markdown] tags=["solution"]
# Convolution has minus signs at both indices, so both axes are flipped: a turn by 180 degrees. On one bright pixel
# the result then shows the kernel itself.

# %% tags=["exercise"]
# ### Choose the cheaper design
#
# A layer has 64 maps in and out and must see $5 \times 5$ pixels. Which design of the table above has fewer
# parameters, `"one 5 x 5"` or `"two 3 x 3"`? And how many parameters does it save, biases included (an integer)?

# student: cheaper = None
# student: saved = None
# solution
cheaper = "two 3 x 3"
saved = (5 * 5 * 64 * 64 + 64) - 2 * (3 * 3 * 64 * 64 + 64)
# end solution

ex.cheaper_design.check(cheaper, saved)

# %% [markdown] tags=["hints"]
# - The table above has both for C maps. Here C is 64.
# - One 5 x 5 has 25 C² weights and C biases; two 3 x 3 have 2 · 9 C² weights and 2 C biases.
# - The difference is 7 C² - C.

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

# %% [markdown] tags=["hints"]
# - Start with 1 pixel. Each layer adds (K - 1) steps.
# - A step is as wide as the product of the strides of the layers before it.
# - The steps are 1, then 2, then 4 pixels wide: 1 + 6 · 1 + 2 · 2 + ...

# %% [markdown] tags=["solution"]
# Start with 1. The 7 x 7 adds 6 steps of 1 pixel: 7. The pooling adds 2 steps of 2 pixels: 11. The last layer adds
# 2 steps of 4 pixels: 19.

# %% [markdown]
# ## Where to go on
#
# - `02_lenet_cifar10` puts these layers together: LeNet-5, its table of parameters, and its training.
# - Change a stack in the receptive field cell: how many $3 \times 3$ layers does it take to see $15 \times 15$
#   pixels?
# - Replace the Sobel kernels of the pooling experiment by random ones. Does the maximum still change less than
#   the average?

# %% tags=["summary"]
print(f"Data: {data_shown}.")
print(f"Output size: {len(cases)} cases against Keras, {size_errors} differ.")
print(f"im2col against Keras: largest difference {max(im2col_difference.values()):.1e}.")
ex.summary()
