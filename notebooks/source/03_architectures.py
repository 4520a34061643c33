# %% [markdown]
# # 3. Architectures as tables
#
# **The question.** VGG16 has 138 million parameters. Where are they? Where is the memory, and where is the work?
# And what do the networks before and after it do differently?
#
# For each family we write its **block** in about ten lines of Keras, draw it, and then build the whole network.
# Every table is counted on a built network, and the figures of the slides stand beside it. Where a slide is wrong,
# the count decides.
#
# *Follows Di Stefano (Deep Learning for Computer Vision), Manco (Architectures) and Boracchi (CNNs in Keras). The
# networks are of Krizhevsky et al. (2012), Simonyan and Zisserman (2015), Szegedy et al. (2015), He et al.
# (2016) and Sandler et al. (2018).*

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers, ops

from kerascv_course import layer_table, plotting, runtime
from kerascv_course.architecture import compare_models, conv_cost, conv_output_size, stage_table
from kerascv_course.exercises import architectures as ex
from kerascv_course.models import (
    LocalResponseNormalization,
    build_alexnet,
    build_googlenet,
    build_mobilenet_v2,
    build_resnet,
    build_vgg,
)

print(runtime.setup(seed=0))

# %% [markdown]
# ## Knobs
#
# Only two things take time: how often a network is timed, and how many networks of `keras.applications` are built.
# All other tables are the same in every profile.

# %%
few = ("VGG16", "ResNet50", "InceptionV3", "MobileNetV2")
many = (
    *("VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "InceptionV3", "Xception"),
    *("InceptionResNetV2", "DenseNet121", "MobileNet", "MobileNetV2", "NASNetMobile", "EfficientNetB0"),
)
knobs = runtime.by_profile(
    smoke={"runs": 1, "applications": few[-1:]},
    lite={"runs": 3, "applications": few},
    full={"runs": 30, "applications": many},
    gpu={"runs": 100, "applications": many},
)
knobs

# %% [markdown]
# ## VGG16
#
# First as on the slides: load the network, and read its summary. (`weights=None` makes random weights; left out,
# it loads those of ImageNet.)

# %%
vgg16 = keras.applications.VGG16(weights=None)
vgg16.summary()

# %% [markdown]
# Before the three dense layers there are only 3 x 3 convolutions, and poolings that halve the sides: five
# **blocks** of the same kind. One of them in Keras:


# %%
def vgg_block(x, count, filters, name="block"):
    """Some 3 x 3 convolutions with ReLU, then a max pooling that halves the sides."""
    for number in range(1, count + 1):
        convolution = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"{name}_conv{number}")
        x = convolution(x)
    return layers.MaxPooling2D(2, name=f"{name}_pool")(x)


# %% [markdown]
# To see a block, we draw it. The function below reads the graph of a Keras model: a box is a convolution or a
# pooling with what follows it (batch normalization, ReLU) and the shape that it writes. The branches of a block
# stand side by side. You need not read the function.


# %%
def describe(layer):
    """Return what a layer does, in a few words."""
    kind = type(layer).__name__
    if kind in ("Conv2D", "DepthwiseConv2D"):
        words = f"{layer.kernel_size[0]} x {layer.kernel_size[1]} {'conv' if kind == 'Conv2D' else 'depthwise'}"
        words += f", stride {layer.strides[0]}" if layer.strides[0] > 1 else ""
        return words + ("\nReLU" if layer.get_config().get("activation") == "relu" else "")
    if kind == "MaxPooling2D":
        return f"{layer.pool_size[0]} x {layer.pool_size[1]} max pool"
    if kind == "ReLU" and layer.max_value:
        return "ReLU6"
    return {"BatchNormalization": "batch norm", "Concatenate": "side by side"}.get(kind, kind)


def draw_block(x, y, title):
    """Draw what leads from the tensor x to the tensor y."""
    model = keras.Model(x, y)
    maker = {id(layer.output): layer for layer in model.layers}

    def before(layer):
        is_input = isinstance(layer, layers.InputLayer)
        return [] if is_input else [maker[id(tensor)] for tensor in keras.tree.flatten(layer.input)]

    def walk_up(layer):
        """Return where the walk ends (the input, or where branches meet), the boxes, and what follows that end."""
        boxes, group = [], []
        while len(before(layer)) == 1:
            group.insert(0, layer)
            if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.MaxPooling2D):
                boxes.insert(0, group)
                group = []
            (layer,) = before(layer)
        return layer, boxes, group

    def text(group):
        return "\n".join([*map(describe, group), " x ".join(map(str, group[-1].output.shape[1:]))])

    meeting, boxes, rest = walk_up(maker[id(y)])
    columns = [walk_up(branch)[1] for branch in before(meeting)] or [boxes]
    last, middle = max(map(len, columns)) + bool(before(meeting)), (len(columns) - 1) / 2
    lines = max(text(group).count("\n") + 1 for boxes in columns for group in boxes)
    figure, axis = plt.subplots(figsize=(4.8, (0.17 * lines + 0.3) * (last + 0.9)))
    look = {"ha": "center", "va": "center", "fontsize": 9, "linespacing": 1.1}
    look["bbox"] = {"boxstyle": "round", "facecolor": "#E8F1F8", "edgecolor": "#0072B2"}
    for column, boxes in enumerate(columns):
        axis.plot([middle, column, column, middle], [0, -0.55, 0.55 - last, -last], "grey", zorder=0)
        for row, group in enumerate(boxes, start=1):
            axis.text(column, -row, text(group), **look)
    axis.text(middle, 0, "input\n" + " x ".join(map(str, x.shape[1:])), **look)
    if before(meeting):
        axis.text(middle, -last, text([meeting, *rest]), **look)
    side = {1: 1.6, 2: 0.9}.get(len(columns), 0.55)
    axis.set(xlim=(-side, len(columns) - 1 + side), ylim=(-last - 0.4, 0.4))
    axis.set_title(title, fontsize=10)
    axis.axis("off")
    figure.tight_layout()
    plt.show()


x = keras.Input((56, 56, 128))
draw_block(x, vgg_block(x, 3, 256), "The third block of VGG16")

# %% [markdown]
# Manco's slides write a whole VGG as one row: a number is a 3 x 3 convolution with so many filters, `"M"` is a
# pooling. The network is then one loop over the row.


# %%
def vgg_from(row):
    """Build a VGG from a row; a pair in it is (filters, kernel size)."""
    x = inputs = keras.Input((224, 224, 3))
    for entry in row:
        if entry == "M":
            x = layers.MaxPooling2D(2)(x)
        else:
            filters, kernel_size = entry if isinstance(entry, tuple) else (entry, 3)
            x = layers.Conv2D(filters, kernel_size, padding="same", activation="relu")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(4096, activation="relu")(x)
    x = layers.Dense(4096, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(1000, activation="softmax")(x))


row_d = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"]
ours = vgg_from(row_d)
shapes = [[weight.shape for weight in model.weights] for model in (ours, vgg16)]
print(f"{ours.count_params():,} parameters; the same shapes as Keras' VGG16: {shapes[0] == shapes[1]}")

# %% [markdown]
# ### Where the costs are
#
# The summary counts parameters only. `layer_table` counts the work and the memory, too: MACs
# (multiply-accumulates, 2 FLOPs each), the activations that each layer writes, and the receptive field.

# %%
vgg16_table = layer_table(vgg16)
vgg16_table

# %%
plotting.plot_architecture(vgg16_table, caption="VGG16: the maps become smaller and more")

# %% [markdown]
# From block to block the sides halve, and the maps double up to 512; in block 5 they stay 512. Added up by block:


# %%
def by_block(table):
    """Add up parameters, FLOPs and activations by the first part of the layers' names."""
    sums = {}
    for row in table.rows:
        block = row.name.split("_")[0] if row.name.startswith("block") else "dense"
        total = sums.setdefault(block, [0, 0, 0])
        for place, value in enumerate((row.params, row.flops, row.activation_values)):
            total[place] += value
    return sums


totals = (vgg16_table.total_params, vgg16_table.total_flops, vgg16_table.total_activations)
print("         parameters          GFLOPs         activations")
for block, sums in by_block(vgg16_table).items():
    shares = [value / total for value, total in zip(sums, totals, strict=True)]
    print(f"{block:7s}{sums[0]:12,} {shares[0]:4.0%} {sums[1] / 1e9:9.3f} {shares[1]:4.0%} ", end="")
    print(f"{sums[2]:12,} {shares[2]:4.0%}")
print(f"total  {totals[0]:12,} {totals[1] / 1e9:14.2f} {totals[2]:17,}")
for place, cost in enumerate(("parameters", "GFLOPs", "activations")):
    most = max(sums[place] for sums in by_block(vgg16_table).values())
    blocks = [block for block, sums in by_block(vgg16_table).items() if sums[place] == most]
    print(f"most {cost}: {' and '.join(blocks)}")

# %% [markdown]
# Three parts of the network hold the three costs: the parameters are in the **dense** layers, the memory in the
# **first** blocks, the work in the **middle**. So "large" has three meanings. The first dense layer alone has
# 7 · 7 · 512 · 4,096 weights and 4,096 biases: 102,764,544.
#
# **Erratum.** Di Stefano's slide says 11.1 GFLOPs for block 5 and 39 in all. Computed: 2.77 and 30.9. The maps
# of block 5 are 14 x 14; 11.1 is what it would cost at 28 x 28.

# %%
for side in (28, 14):
    flops = 3 * conv_cost(side, 512, 512, 3).flops
    print(f"three 3 x 3, 512 to 512 maps, at {side} x {side}: {flops / 1e9:.2f} GFLOPs")

# %% [markdown]
# **Erratum.** Boracchi's slide says about 100 MB of activations for a forward pass. Computed: 15,087,080 values,
# 58 MiB in float32. The slide may count a copy of each convolution's output for its ReLU:

# %%
mib = vgg16_table.activation_bytes / 2**20
with_relu = [row for row in vgg16_table.rows if row.macs and row.name != "predictions"]
copies = sum(row.activation_bytes for row in with_relu) / 2**20
print(f"{vgg16_table.total_activations:,} values: {mib:.0f} MiB; with copies for ReLU {mib + copies:.0f} MiB")

# %% [markdown]
# Why 3 x 3? Two of them see as much as one 5 x 5, three as much as one 7 x 7, for fewer parameters and less work:
# `01_convolution` counts it.
#
# ### The family
#
# The paper's table has the columns A to E; D is VGG16 and E is VGG19. Their parameters follow from the rows alone.


# %%
def count(row):
    """Count weight layers and parameters of a row, with the three dense layers."""
    maps, weighted, parameters = 3, 3, 0
    for entry in row:
        if entry != "M":
            filters, side = entry if isinstance(entry, tuple) else (entry, 3)
            parameters += side * side * maps * filters + filters
            maps, weighted = filters, weighted + 1
    for inputs, units in ((7 * 7 * 512, 4096), (4096, 4096), (4096, 1000)):
        parameters += inputs * units + units
    return weighted, parameters


row_c = [64, 64, "M", 128, 128, "M", 256, 256, (256, 1), "M", 512, 512, (512, 1), "M", 512, 512, (512, 1), "M"]
row_e = [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"]
rows = {
    "A": [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "B as printed": [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, "M"],
    "C": row_c,
    "D": row_d,
    "E": row_e,
    "E as printed": [*row_e[:-2], "M"],
}
for name, row in rows.items():
    weighted, parameters = count(row)
    print(f"{name:17s}  {weighted} weight layers, {parameters:,} parameters")
print(f"D as built: {count(row_d)[1] == vgg16.count_params()}")


def complete(variant, **options):
    """Count weight layers and parameters of a VGG of the package: its convolutions, and three dense layers."""
    convolutions = build_vgg(variant, include_top=False, **options)
    weighted = 3 + sum(isinstance(layer, layers.Conv2D) for layer in convolutions.layers)
    return weighted, convolutions.count_params() + by_block(vgg16_table)["dense"][0]


for name, (weighted, parameters) in {
    "B, complete": complete("B"),
    "A with LRN": complete("A-LRN"),
    "D with batch norm": complete("D", batch_norm=True),
}.items():
    print(f"{name:17s}  {weighted} weight layers, {parameters:,} parameters")
print(f"D without the dense layers: {build_vgg('D', include_top=False).count_params():,} parameters")

# %% [markdown]
# **Erratum.** In Manco's code the rows B and E each lack one convolution: as printed they have 12 and 18 weight
# layers with 130,688,040 and 141,307,432 parameters, complete 13 and 19 with 133,047,848 and 143,667,240.
# (Exercise 1 asks for the complete row B.)
#
# ## AlexNet
#
# AlexNet won the ImageNet competition of 2012. Its first convolution is 11 x 11 with stride 4: one step from 227
# to 55 pixels.

# %%
alexnet = build_alexnet()
alexnet_table = layer_table(alexnet)
plotting.plot_architecture(alexnet_table, caption="AlexNet in one tower")

# %%
maps = [row for row in alexnet_table.rows if row.layer_type in ("Conv2D", "MaxPooling2D")]
print("sides:", *(row.output_shape[1] for row in maps))
for kind in ("Conv2D", "Dense"):
    found = [row for row in alexnet_table.rows if row.layer_type == kind]
    flops = ", ".join(f"{row.flops / 1e6:.1f}" for row in found)
    print(f"{kind:7s} {sum(row.params for row in found):11,} parameters")
    print(f"        MFLOPs: {flops}")
print(f"total   {alexnet_table.total_params:11,} parameters; {alexnet_table.total_flops / 1e9:.2f} GFLOPs")
(fc6,) = (row for row in alexnet_table.rows if row.name == "fc6")
print(f"the first dense layer, fc6: {fc6.params - 4096:,} weights")
for side in (224, 227):
    print(f"the first convolution makes of {side} pixels: {conv_output_size(side, 11, stride=4)}")

two_groups = layer_table(build_alexnet(groups=2))
print(f"in two groups: {two_groups.total_params:,} parameters, {two_groups.total_flops / 1e9:.2f} GFLOPs")

# %% [markdown]
# The original was trained on two GPUs: in conv2, conv4 and conv5 each half of the filters sees half of the maps.
# That is a convolution in two groups.
#
# **Errata.**
#
# - The paper writes 224 pixels, and Boracchi has 224 and 227 the wrong way round. Only 227 leads to the 55 that
#   both print.
# - Di Stefano prints 37.5 M for fc6. Computed: 37.75 M.
# - Manco's `forward` nests the layers the wrong way round: 5 to 1, and 8, 7, 6. They are applied first to last.
#   As printed, conv5 would have to read the image: it expects 384 maps, and an image has 3.
# - Manco's code has the groups in conv2 only, and normalizes after the pooling. In the paper they are in conv2,
#   conv4 and conv5, and the normalization comes before the pooling.

# %%
print("conv5 expects", alexnet.get_layer("conv5").input.shape[-1], "maps")
print("order:", *(row.name for row in alexnet_table.rows[1:7]))

# %% [markdown]
# ### Local response normalization
#
# After conv1 and conv2 AlexNet divides each value $a_c$ by a power of the squares around it, $n = 5$ neighbouring
# maps at the same place:
#
# $$b_c = \frac{a_c}{\left(k + \alpha \sum_{j = c - 2}^{c + 2} a_j^2\right)^\beta}$$
#
# with $k = 2$, $\alpha = 10^{-4}$ and $\beta = 0.75$.
# This is the *inter-channel* form. The *intra-channel* form adds up a window of $n \times n$ places in the same
# map. Batch normalization has replaced both (`04_residual_learning`).

# %%
a = np.random.default_rng(0).normal(0, 100, (1, 6, 6, 8)).astype("float32")
squares = np.pad(a**2, ((0, 0), (0, 0), (0, 0), (2, 2)))
inter = a / (2 + 1e-4 * sum(squares[..., shift : shift + 8] for shift in range(5))) ** 0.75
squares = np.pad(a**2, ((0, 0), (2, 2), (2, 2), (0, 0)))
window = sum(squares[:, i : i + 6, j : j + 6] for i in range(5) for j in range(5))
intra = a / (2 + 1e-4 * window) ** 0.75
for mode, by_hand in (("across", inter), ("within", intra)):
    by_layer = ops.convert_to_numpy(LocalResponseNormalization(mode=mode)(a))
    print(f"{mode}: by hand against the layer at most {np.abs(by_hand - by_layer).max():.1e}")
without = a / (2 + 1e-4 * window)
print(f"without the exponent, within: {np.abs(intra / without).mean():.1f} times too small")

# %% [markdown]
# **Erratum.** Manco's slide prints the formula without the exponent $\beta$. (And as in the paper, $\alpha$ is not
# divided by $n$. Some libraries divide it.)
#
# ## GoogLeNet
#
# An **inception block** looks with 1 x 1, 3 x 3 and 5 x 5 kernels at once, takes a max pooling too, and puts the
# maps side by side. In this plain form it is expensive, and the number of maps grows from block to block, because
# the pooling keeps all of them. So GoogLeNet has a 1 x 1 convolution, the **reduction**, before each large kernel
# and after the pooling. Both as Keras code, with the filters of block 3a:


# %%
def conv(x, filters, kernel_size):
    return layers.Conv2D(filters, kernel_size, padding="same", activation="relu")(x)


def naive_inception(x, f1, f3, f5):
    pooled = layers.MaxPooling2D(3, strides=1, padding="same")(x)
    return layers.Concatenate()([conv(x, f1, 1), conv(x, f3, 3), conv(x, f5, 5), pooled])


def inception(x, f1, r3, f3, r5, f5, project):
    """Reduce to r3 and r5 maps before the large kernels, and the pooled maps to `project`."""
    small = conv(x, f1, 1)
    middle = conv(conv(x, r3, 1), f3, 3)
    large = conv(conv(x, r5, 1), f5, 5)
    pooled = conv(layers.MaxPooling2D(3, strides=1, padding="same")(x), project, 1)
    return layers.Concatenate()([small, middle, large, pooled])


x = keras.Input((28, 28, 192))
without_reduction = naive_inception(x, 64, 128, 32)
with_reduction = inception(x, 64, 96, 128, 16, 32, 32)
draw_block(x, without_reduction, "Inception block, without reduction")
draw_block(x, with_reduction, "Inception block 3a of GoogLeNet, with reduction")

for name, y in (("without reduction", without_reduction), ("with reduction", with_reduction)):
    table = layer_table(keras.Model(x, y))
    print(f"{name:17s} {table.total_params:7,} parameters {table.total_macs / 1e6:5.1f} M MACs ", end="")
    print(f"{y.shape[-1]} maps")

# %% [markdown]
# The lectures' example for one branch: 5 x 5, from 200 to 32 maps, at 32 x 32 pixels.

# %%
direct = conv_cost(32, 200, 32, 5)
reduced = conv_cost(32, 200, 16, 1) + conv_cost(32, 16, 32, 5)
print(f"5 x 5 alone:                 {direct.macs / 1e6:5.1f} M MACs")
print(f"with 1 x 1 to 16 maps first: {reduced.macs / 1e6:5.1f} M MACs")

# %% [markdown]
# GoogLeNet is nine of these blocks, and two small classifiers in the middle that help to train it (*auxiliary
# heads*). It averages the maps in the end instead of flattening them, so it has no large dense layer.

# %%
googlenet = build_googlenet()
googlenet_table = layer_table(googlenet)
with_heads = build_googlenet(auxiliary_heads=True)
print(f"{googlenet.count_params():,} parameters, with both auxiliary heads {with_heads.count_params():,}")

block_3a = [row.params for row in googlenet_table.rows if row.name.startswith("inception3a_")]
print(f"block 3a: {sum(block_3a):,} parameters, our block {keras.Model(x, with_reduction).count_params():,}")
(first,) = (row for row in googlenet_table.rows if row.name == "conv1")
print(f"weights of the first convolution: {first.params - 64:,}")

printed = {  # the paper's table 1
    **{"3a": 159, "3b": 380, "4a": 364, "4b": 437, "4c": 463},
    **{"4d": 580, "4e": 840, "5a": 1072, "5b": 1388},
}
print("weights without biases   in K  printed  off by")
for name, in_paper in printed.items():
    convolutions = [row for row in googlenet_table.rows if row.name.startswith(f"inception{name}_") and row.params]
    weights = sum(row.params - row.output_shape[-1] for row in convolutions)
    print(f"  {name}  {weights:14,} {weights / 1024:8.1f} {in_paper:8} {in_paper * 1024 / weights - 1:+7.1%}")

# %% [markdown]
# **Erratum.** In the paper's column block 3a agrees with its own filter counts when K is 1,024 and the rest is cut
# off. All others but 4c and 5a are within 2 %. From the counts follow 509,440 for 4c, 1,042,432 for 5a and
# 1,442,816 for 5b. The first convolution is printed with 2.7K; one 7 x 7 x 3 x 64 has 9,408 weights.
#
# ## ResNet
#
# A **residual block** computes what is to be *added* to its input. If nothing is to be added, its weights can be
# zero, so more blocks need not make the network worse. `04_residual_learning` tries it. ResNet-18 and 34 have two
# 3 x 3 convolutions in a block. The deeper ones have a *bottleneck*: reduce the maps with 1 x 1, look around with
# 3 x 3, widen again with 1 x 1.


# %%
def conv_norm(x, filters, kernel_size, stride=1):
    """A convolution without biases (batch normalization has one), and its batch normalization."""
    x = layers.Conv2D(filters, kernel_size, stride, padding="same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def basic_block(x, filters):
    y = layers.ReLU()(conv_norm(x, filters, 3))
    y = conv_norm(y, filters, 3)
    return layers.ReLU()(layers.Add()([x, y]))


def bottleneck(x, filters, stride=1, project=False):
    y = layers.ReLU()(conv_norm(x, filters, 1))
    y = layers.ReLU()(conv_norm(y, filters, 3, stride))
    y = conv_norm(y, 4 * filters, 1)
    shortcut = conv_norm(x, 4 * filters, 1, stride) if project else x
    return layers.ReLU()(layers.Add()([shortcut, y]))


x = keras.Input((56, 56, 64))
draw_block(x, basic_block(x, 64), "Residual block of ResNet-18 and 34")

x = keras.Input((56, 56, 256))
draw_block(x, bottleneck(x, 64), "Bottleneck of ResNet-50")
draw_block(x, bottleneck(x, 128, stride=2, project=True), "Its first bottleneck at 28 x 28 pixels")

# %% [markdown]
# The sum needs two tensors of one shape. Where the block changes the shape, a 1 x 1 convolution in the shortcut
# changes it, too: the *projection*. (Exercise 3 asks when.) The whole networks have four stages of such blocks; in
# each stage after the first the sides are halved and the maps doubled.

# %%
resnet50 = build_resnet(50)
in_network = [row.params for row in layer_table(resnet50).rows if row.name.startswith("stage2_block2")]
print(f"a bottleneck of ResNet-50: {sum(in_network):,} parameters, ", end="")
print(f"ours {keras.Model(x, bottleneck(x, 64)).count_params():,}")

print("depth  parameters  trainable   GMACs, stride in the  paper")
print("                               3 x 3   first 1 x 1")
in_paper = {18: 1.8, 34: 3.6, 50: 3.8, 101: 7.6, 152: 11.3}
for depth, of_paper in in_paper.items():
    table = layer_table(build_resnet(depth, downsample="3x3"))
    early = layer_table(build_resnet(depth, downsample="1x1"))
    print(f"{depth:5d} {table.total_params:11,} {table.trainable_params:10,} ", end="")
    print(f"{table.total_macs / 1e9:7.2f} {early.total_macs / 1e9:13.2f} {of_paper:6.1f}")
pooled, flat = 512 * 1000 + 1000, 7 * 7 * 512 * 1000 + 1000
print(f"the last layer of ResNet-18: {pooled:,} parameters")
print(f"on 7 x 7 maps it would have  {flat:,}")

# %% [markdown]
# The paper has the stride of a bottleneck in its first 1 x 1, Manco's code has it in the 3 x 3. The first three
# figures of the paper are cut off, not rounded.
#
# **Erratum.** Manco's code ends in a dense layer on 7 x 7 maps, and projects the shortcut only where the number
# of maps changes. The paper averages the maps first (global average pooling), and a block with a stride needs
# the projection too.
#
# ## MobileNetV2
#
# A convolution does two things at once: it looks around, and it mixes maps. Done one after the other, a
# **depthwise** 3 x 3 on each map alone and then a 1 x 1 across the maps, it costs the share $1/N + 1/9$ with $N$
# output maps: about eight to nine times less (`01_convolution`).
#
# The **inverted residual** block is a bottleneck turned inside out: narrow outside, where the shortcut is, and six
# times as wide inside, where the cheap depthwise convolution works. There is no ReLU after the last convolution.


# %%
def inverted_residual(x, expansion, filters, stride=1):
    maps = x.shape[-1]
    y = x
    if expansion > 1:
        y = layers.ReLU(6.0)(conv_norm(y, expansion * maps, 1))
    y = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False)(y)
    y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
    y = conv_norm(y, filters, 1)
    return layers.Add()([x, y]) if stride == 1 and maps == filters else y


x = keras.Input((56, 56, 24))
draw_block(x, inverted_residual(x, 6, 24), "Inverted residual block")
draw_block(x, inverted_residual(x, 6, 32, stride=2), "With a stride: no shortcut")

wide = keras.Input((56, 56, 256))
for name, table in {
    "bottleneck 256-64-64-256": layer_table(keras.Model(wide, bottleneck(wide, 64))),
    "inverted 24-144-144-24": layer_table(keras.Model(x, inverted_residual(x, 6, 24))),
}.items():
    print(f"{name:25s} {table.total_params:7,} parameters {table.total_macs / 1e6:6.1f} M MACs")

# %% [markdown]
# The whole network is the paper's table, and a loop over its rows: expansion $t$, filters $c$, number of blocks
# $n$, stride $s$ of the first of them.

# %%
table_of_paper = [
    *[(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)],
    *[(6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)],
]
inputs = keras.Input((224, 224, 3))
x = layers.ReLU(6.0)(conv_norm(inputs, 32, 3, stride=2))
for t, c, n, s in table_of_paper:
    for number in range(n):
        x = inverted_residual(x, t, c, s if number == 0 else 1)
x = layers.ReLU(6.0)(conv_norm(x, 1280, 1))
features = keras.Model(inputs, x)
x = layers.GlobalAveragePooling2D()(x)
ours = keras.Model(inputs, layers.Dense(1000, activation="softmax")(x))

mobilenet = build_mobilenet_v2()
mobilenet_table = layer_table(mobilenet)
for name, model in (("our loop", ours), ("build_mobilenet_v2", mobilenet)):
    table = layer_table(model)
    print(f"{name}: {table.total_params:,} parameters")
    print(f"  {table.trainable_params:,} trainable, {table.total_macs / 1e6:.1f} M MACs")
print(f"without the classifier {features.count_params():,} parameters")
with_weights = sum(bool(row.macs) for row in mobilenet_table.rows)
print(f"{with_weights} convolutions and dense layers; the longest path has {mobilenet_table.depth}")
plotting.plot_architecture(mobilenet_table, caption="MobileNetV2: one box for each size of maps")

# %% [markdown]
# **Erratum.** Di Stefano prints 54 layers for MobileNetV2. Computed: 53 have weights (the 54th would be the
# average pooling).
#
# ## Side by side
#
# All five networks halve the sides again and again. What differs is how soon, and how many layers work at each
# size.

# %%
networks = [alexnet, vgg16, googlenet, resnet50, mobilenet]
stage_table(networks)

# %% [markdown]
# And what they cost. *Depth* counts the convolutions and dense layers on the longest path; *weight layers* are all
# layers with weights, batch normalization included. The time is that of one image on the machine that ran this
# page, the fastest of some runs.

# %%
comparison = compare_models(networks, runs=knobs["runs"])
comparison

# %%
figure, axis = plt.subplots(figsize=(4.8, 3.6))
for row in comparison.rows:
    point = (row.params / 1e6, row.macs / 1e9)
    axis.scatter(*point, color="#0072B2")
    axis.annotate(row.name, point, xytext=(7, 0), textcoords="offset points", va="center")
axis.set(xscale="log", xlabel="parameters, millions", xlim=(2, 1000))
axis.set(yscale="log", ylabel="MACs for one image, billions", ylim=(0.2, 30))
axis.grid(alpha=0.3)
figure.tight_layout()
plt.show()

by_name = {row.name: row for row in comparison.rows}
large, small = by_name["alexnet"], by_name["googlenet"]
print(f"AlexNet has {large.params / small.params:.1f} times the parameters of GoogLeNet")
print(f"and         {large.macs / small.macs:.2f} times its MACs")

# %% [markdown]
# ## The networks of `keras.applications`
#
# Boracchi shows the table of Keras' own page: size, accuracy on ImageNet's validation images, parameters, depth.
# Size, parameters and depth follow from the network, so we build each and count. (The accuracies cannot be
# recomputed here; they are those of the page.) The last column is new: the size of what is left without the
# classifier, `include_top=False`, which is what transfer learning loads.
#
# The columns: top-1 and top-5 accuracy in %; size in MB, as printed, and in MiB, counted; parameters; depth as
# printed and counted; size without the classifier in MiB.

# %%
printed = {  # size in MB, top-1 and top-5 accuracy in %, parameters in millions, depth
    "Xception": (88, 79.0, 94.5, 22.9, 81),
    "VGG16": (528, 71.3, 90.1, 138.4, 16),
    "VGG19": (549, 71.3, 90.0, 143.7, 19),
    "ResNet50": (98, 74.9, 92.1, 25.6, 107),
    "ResNet101": (171, 76.4, 92.8, 44.7, 209),
    "ResNet152": (232, 76.6, 93.1, 60.4, 311),
    "ResNet50V2": (98, 76.0, 93.0, 25.6, 103),
    "InceptionV3": (92, 77.9, 93.7, 23.9, 189),
    "InceptionResNetV2": (215, 80.3, 95.3, 55.9, 449),
    "MobileNet": (16, 70.4, 89.5, 4.3, 55),
    "MobileNetV2": (14, 71.3, 90.1, 3.5, 105),
    "DenseNet121": (33, 75.0, 92.3, 8.1, 242),
    "NASNetMobile": (23, 74.4, 91.9, 5.3, 389),
    "EfficientNetB0": (29, 77.1, 93.3, 5.3, 132),
}
print(f"{'':17s} top1 top5  MB MiB  parameters   depth top")
agree = 0
for name in knobs["applications"]:
    build = getattr(keras.applications, name)
    size, top1, top5, millions, depth = printed[name]
    model = build(weights=None)
    parameters = model.count_params()
    counted = sum(bool(layer.weights) for layer in model.layers)
    left = build(weights=None, include_top=False, input_shape=model.input_shape[1:]).count_params()
    print(f"{name:17s} {top1:4.1f} {top5:4.1f} {size:3d} {4 * parameters / 2**20:3.0f} ", end="")
    print(f"{parameters:11,} {depth:3d} {counted:3d} {4 * left / 2**20:3.0f}")
    agree += (round(parameters / 1e6, 1), counted) == (millions, depth)
print(f"parameters and depth as on the page: {agree} of {len(knobs['applications'])}")

# %% [markdown]
# So the "MB" of that page are MiB, 1,048,576 bytes, of float32 parameters; a few networks are printed larger than
# that. Its "depth" counts the layers that hold weights, batch normalization included: 107 for ResNet50.
#
# ## What we saw
#
# - VGG16 has its parameters in the dense layers, its activations in the first blocks and its work in the middle.
# - Averaging the maps instead of flattening them removes most of the parameters: GoogLeNet has 7 million.
# - 1 x 1 convolutions reduce the maps before the large kernels: ten times fewer MACs in the lectures' example.
# - A residual block adds to its input; an inverted residual block does so where it is narrow.
# - Parameters and MACs are two things: AlexNet has many of the first and few of the second.
#
# ## Exercises
#
# Fill in a cell, run it, then run the check below it: it says "Right", or what is wrong.

# %% tags=["exercise"]
# ### A row that lacks a convolution
#
# Write the row of VGG13, column B of the paper's table, so that `vgg_from(row_b)` has 133,047,848 parameters: a
# list in which a number is a 3 x 3 convolution with so many filters and `"M"` a pooling. The slide's row has one
# convolution less: `[64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, "M"]`.

# student: row_b = None
# solution
row_b = [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"]
# end solution

ex.vgg_row.check(row_b)

# %% [markdown] tags=["hints"]
# - Column B of the paper's table has the same number of convolutions in each of its five blocks.
# - 13 layers have weights, and three of them are dense: how many convolutions are left for five blocks?

# %% [markdown] tags=["solution"]
# Column B has two convolutions in each of its five blocks; the slide's row has one in the last.

# %% tags=["exercise"]
# ### A reduction for a budget
#
# A 5 x 5 convolution from 200 to 32 maps at 32 x 32 pixels costs 163.8 million MACs. With a 1 x 1 reduction
# before it, how many maps may be left in between at most, so that both together cost no more than 50 million?

# student: maps_between = None
# solution
maps_between = 50_000_000 // (32 * 32 * (200 + 25 * 32))
# end solution

ex.reduction.check(maps_between)

# %% [markdown] tags=["hints"]
# - Write the MACs of both layers with n maps in between.
# - 32 · 32 · 200 · n for the 1 x 1, and 32 · 32 · 25 · n · 32 for the 5 x 5.
# - One map in between costs 1,024 · (200 + 800) = 1,024,000 MACs.

# %% [markdown] tags=["solution"]
# At each of the 1,024 positions a map in between costs 200 MACs to make and 25 · 32 = 800 to use: 1,024,000 in
# all. 50 million allow for 48.

# %% tags=["exercise"]
# ### Repair a residual block
#
# This is the block of a slide, translated. It works until a block has stride 2 and as many maps as its input.
# Repair it.


def residual_block(x, filters, stride):
    """Add what two convolutions compute to their input."""
    y = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(y))
    # student: if x.shape[-1] != filters:
    # solution
    if x.shape[-1] != filters or stride != 1:
        # end solution
        x = layers.Conv2D(filters, 1, strides=stride, use_bias=False)(x)
        x = layers.BatchNormalization()(x)
    return layers.ReLU()(layers.Add()([x, y]))


ex.residual_block.check(residual_block)

# %% [markdown] tags=["hints"]
# - `Add` needs two tensors of one shape. Which shape has the shortcut when the stride is 2?
# - The projection is needed where the number of maps changes, or the stride is not 1.

# %% [markdown] tags=["solution"]
# A stride of 2 halves the sides even where the number of maps stays. Then the input does not fit to what it is
# added to, and must be halved, too.

# %% tags=["exercise"]
# ### Choose and defend
#
# A phone needs a network of less than 100 MB in float32 that reads an image with less than half a billion MACs.
# Which of the five of the comparison do you choose: `"AlexNet"`, `"VGG16"`, `"GoogLeNet"`, `"ResNet50"` or
# `"MobileNetV2"`? And how many megabytes (of 1,000,000 bytes) do its parameters take?

# student: choice = None
# student: megabytes = None
# solution
choice = "MobileNetV2"
megabytes = mobilenet.count_params() * 4 / 1e6
# end solution

ex.for_a_phone.check(choice, megabytes)

# %% [markdown] tags=["hints"]
# - The comparison above has parameters and MACs of each. A parameter takes 4 bytes.
# - Two of them have less than 25 million parameters. Which of the two has less than 500 million MACs?

# %% [markdown] tags=["solution"]
# GoogLeNet is small enough, but needs 1.6 billion MACs. MobileNetV2 needs 0.3 billion, and its 3,538,984
# parameters of 4 bytes take 14.2 MB.

# %% [markdown]
# ## Where to go on
#
# - `04_residual_learning` asks whether the shortcut is worth it.
# - Give `build_vgg` another `input_shape`: which of the three costs changes, and which does not?
# - `layer_table(keras.applications.EfficientNetB0(weights=None))` reads any network. Where is its memory?

# %% tags=["summary"]
for record in comparison.rows:
    print(f"{record.name}: {record.params:,} parameters, {record.macs / 1e9:.2f} G MACs")
ex.summary()
