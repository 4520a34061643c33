# %% [markdown]
# # 3. Architectures as tables
#
# **The question.** VGG16 has 138 million parameters. Where are they? Where is the memory, and where goes the time?
# And what did the networks before and after it do differently?
#
# Every table here is read off a built network, and every figure of the slides is computed beside it. Where a
# slide is wrong, the computation decides.
#
# *Follows Di Stefano (Deep Learning for Computer Vision), Manco (Architectures) and Boracchi (CNNs in Keras); the
# networks are of Krizhevsky et al. (2012), Simonyan and Zisserman (2015), Szegedy et al. (2015), He et al.
# (2016) and Sandler et al. (2018).*

# %%
from keras import layers

from kerascv_course import layer_table, plotting, runtime
from kerascv_course.architecture import compare_models, conv_cost, conv_output_size, dense_cost, stage_table
from kerascv_course.exercises import architectures as ex
from kerascv_course.models import build_alexnet, build_googlenet, build_mobilenet_v2, build_resnet, build_vgg

print(runtime.setup(seed=0))

# %% [markdown]
# ## Knobs
#
# The tables are the same in all profiles. Only the number of timed runs differs.

# %%
knobs = runtime.by_profile(smoke={"runs": 1}, lite={"runs": 5}, full={"runs": 30})
knobs

# %% [markdown]
# ## VGG16
#
# Five blocks of 3 x 3 convolutions, each followed by a max pooling that halves the sides while the number of maps
# doubles; then three fully connected layers. Nothing else.

# %%
vgg16 = build_vgg("D")
vgg16_table = layer_table(vgg16)
vgg16_table

# %%
plotting.plot_architecture(vgg16_table, caption="VGG16: the volumes through the network, to scale")

# %% [markdown]
# The same table, block by block. Three different parts of the network hold the three costs: the parameters are
# in the
# **fully connected** layers, the memory is in the **first** blocks, the work is in the **middle**.


# %%
def by_block(table):
    """Add up the rows of a table by the first part of the layers' names."""
    blocks = {}
    for row in table.rows:
        block = row.name.split("_")[0] if row.name.startswith("block") else "dense"
        sums = blocks.setdefault(block, [0, 0, 0])
        for place, value in enumerate((row.params, row.flops or 0, row.activation_values)):
            sums[place] += value
    return blocks


print(f"{'':8s}{'parameters':>24s}{'GFLOPs':>16s}{'activations':>22s}")
for block, (params, flops, values) in by_block(vgg16_table).items():
    print(
        f"{block:8s}{params:15,} ({params / vgg16_table.total_params:5.1%}) "
        f"{flops / 1e9:7.2f} ({flops / vgg16_table.total_flops:5.1%}) "
        f"{values:12,} ({values / vgg16_table.total_activations:5.1%})"
    )
total_bytes = vgg16_table.activation_bytes
print(f"total   {vgg16_table.total_params:15,}         {vgg16_table.total_flops / 1e9:8.2f}", end="")
print(f"         {vgg16_table.total_activations:13,} = {total_bytes / 2**20:.0f} MiB in float32")

# %% [markdown]
# **Erratum.** Di Stefano's slide says 11.1 GFLOPs for block 5 and 39 in all. Computed: 2.77 and 30.9. The maps
# of block 5 are 14 x 14; 11.1 is what it would cost at 28 x 28:

# %%
block5 = sum((conv_cost(28, 512, 512, 3) for _ in range(2)), start=conv_cost(28, 512, 512, 3))
print(f"three 3 x 3 convolutions, 512 to 512 maps: {block5.flops / 1e9:.1f} GFLOPs at 28 x 28")
block5 = conv_cost(14, 512, 512, 3)
print(f"                                           {3 * block5.flops / 1e9:.2f} GFLOPs at 14 x 14")

# %% [markdown]
# **Erratum.** Boracchi's slide says about 100 MB of activations for a forward pass. Computed: 15.1 million
# values, 58 MiB in float32. With a copy of each convolution's output for its ReLU it is about 109 MiB, which
# the slide may count:

# %%
relu_copies = sum(row.activation_bytes for row in vgg16_table.rows if row.macs and row.name != "predictions")
print(f"{total_bytes / 2**20:.0f} MiB, with copies for the ReLUs {(total_bytes + relu_copies) / 2**20:.0f} MiB")

# %% [markdown]
# ### Why 3 x 3?
#
# Two 3 x 3 convolutions see as much as one 5 x 5, three as much as one 7 x 7, for fewer parameters and less
# work. The price is memory: there are more activations to keep.

# %%
for name, kernel_sizes in {"5 x 5": (5,), "two 3 x 3": (3, 3), "7 x 7": (7,), "three 3 x 3": (3, 3, 3)}.items():
    costs = [conv_cost(56, 256, 256, kernel_size) for kernel_size in kernel_sizes]
    cost = sum(costs[1:], start=costs[0])
    print(
        f"{name:12s} {cost.params:10,} parameters {cost.flops / 1e9:6.2f} GFLOPs {cost.activations:9,} activations"
    )

# %% [markdown]
# ### The family
#
# The paper's table has six columns, A to E. Their parameters follow from the table alone, without building a
# network:


# %%
def vgg_parameters(blocks, kernel_of_last=3):
    """Count the parameters of a VGG from its numbers of convolutions in the five blocks."""
    channels, total, weighted = 3, 0, 0
    for count, filters in zip(blocks, (64, 128, 256, 512, 512), strict=True):
        for place in range(count):
            kernel_size = kernel_of_last if place == 2 else 3
            total += conv_cost(1, channels, filters, kernel_size).params
            channels = filters
            weighted += 1
    for inputs, units in ((7 * 7 * 512, 4096), (4096, 4096), (4096, 1000)):
        total += dense_cost(inputs, units).params
    return total, weighted + 3


family = {
    "A": ((1, 1, 2, 2, 2), 3),
    "B": ((2, 2, 2, 2, 2), 3),
    "C": ((2, 2, 3, 3, 3), 1),  # the third convolution of a block is 1 x 1
    "D": ((2, 2, 3, 3, 3), 3),
    "E": ((2, 2, 4, 4, 4), 3),
    "B as printed": ((2, 2, 2, 2, 1), 3),
    "E as printed": ((2, 2, 4, 4, 3), 3),
}
for name, (blocks, kernel_size) in family.items():
    parameters, weighted = vgg_parameters(blocks, kernel_size)
    print(f"{name:13s} {weighted:2d} weight layers, {parameters:11,} parameters")
print("column D is what build_vgg builds:", vgg_parameters(*family["D"])[0] == vgg16.count_params())

# %% [markdown]
# **Erratum.** In Manco's code the rows B and E each lack one convolution: as printed they have 12 and 18 weight
# layers with 130,688,040 and 141,307,432 parameters, complete 13 and 19 with 133,047,848 and 143,667,240.

# %% [markdown]
# ## AlexNet
#
# The network that started it, in 2012. Its first convolution is 11 x 11 with stride 4: one step from 227 to 55
# pixels.

# %%
alexnet = build_alexnet()
plotting.plot_architecture(layer_table(alexnet), caption="AlexNet in one tower: the volumes, to scale")

# %%
print("side after the first convolution:")
for side in (224, 227):
    print(f"  from {side} pixels: {conv_output_size(side, 11, stride=4)}")
two_groups = build_alexnet(groups=2)
for network in (alexnet, two_groups):
    table = layer_table(network)
    convolutions = [row for row in table.rows if row.layer_type == "Conv2D"]
    in_convolutions = sum(row.params for row in convolutions)
    print(f"{table.total_params:,} parameters, {in_convolutions:,} of them in convolutions; ", end="")
    print(f"{table.total_flops / 1e9:.2f} GFLOPs, of which in convolutions ", end="")
    print(", ".join(f"{row.flops / 1e6:.0f} M" for row in convolutions))

# %% [markdown]
# **Erratum.** The paper writes 224 pixels, Boracchi's slide has 224 and 227 the wrong way round. Only 227 leads
# to the 55 that both print: (227 - 11) / 4 + 1.
#
# The original was trained on two GPUs: in conv2, conv4 and conv5 each half of the filters sees half of the
# maps. That is a convolution in two groups, and saves 1.4 million parameters and a third of the work.
#
# ## GoogLeNet
#
# An inception block looks with 1 x 1, 3 x 3 and 5 x 5 kernels at once and puts the answers side by side. The
# trick that makes it affordable is the 1 x 1 convolution before the large kernels: it reduces the maps first.

# %%
direct = conv_cost(32, 200, 32, 5)
reduced = conv_cost(32, 200, 16, 1) + conv_cost(32, 16, 32, 5)
print(f"5 x 5, 200 to 32 maps at 32 x 32: {direct.macs / 1e6:5.1f} M MACs")
print(f"with 1 x 1 to 16 maps before it:  {reduced.macs / 1e6:5.1f} M MACs")

# %%
googlenet = build_googlenet()
with_heads = build_googlenet(auxiliary_heads=True)
print(
    f"GoogLeNet: {googlenet.count_params():,} parameters, with both auxiliary heads {with_heads.count_params():,}"
)

# 1x1, 3x3 reduction, 3x3, 5x5 reduction, 5x5, projection after the pooling; the last column as printed in the
# paper
inception = {
    "3a": (192, (64, 96, 128, 16, 32, 32), "159K"),
    "3b": (256, (128, 128, 192, 32, 96, 64), "380K"),
    "4a": (480, (192, 96, 208, 16, 48, 64), "364K"),
    "4b": (512, (160, 112, 224, 24, 64, 64), "437K"),
    "4c": (512, (128, 128, 256, 24, 64, 64), "463K"),
    "4d": (512, (112, 144, 288, 32, 64, 64), "580K"),
    "4e": (528, (256, 160, 320, 32, 128, 128), "840K"),
    "5a": (832, (256, 160, 320, 32, 128, 128), "1072K"),
    "5b": (832, (384, 192, 384, 48, 128, 128), "1388K"),
}
print("weights without biases   computed    in K   printed")
for name, (maps, (c1, r3, c3, r5, c5, pool), printed) in inception.items():
    weights = maps * (c1 + r3 + r5 + pool) + 9 * r3 * c3 + 25 * r5 * c5
    print(f"  {name:20s} {weights:10,} {weights / 1024:7.0f} {printed:>9s}")

# %% [markdown]
# **Erratum.** Only the first row of the paper's column agrees exactly with its own filter counts (when K is
# 1,024). Five more are within 2 %; 4c, 5a and 5b are not: 509,440, 1,042,432 and 1,442,816 follow from the
# counts. And the first convolution is printed with 2.7K: one 7 x 7 x 3 x 64 has 9,408 weights.
#
# ## ResNet
#
# A block computes what is to be *added* to its input. If nothing is to be added, the weights can be zero, and more
# blocks cannot make the network worse: that is how 152 layers can be trained. `04_residual_learning` tries it.

# %%
print("depth   parameters   trainable      MACs")
for depth in (18, 34, 50, 101, 152):
    table = layer_table(build_resnet(depth))
    print(f"{depth:5d} {table.total_params:12,} {table.trainable_params:11,} {table.total_macs / 1e9:7.2f} G")

# %% [markdown]
# **Erratum.** Manco's code ends in a dense layer on 7 x 7 maps and projects the shortcut only where the number
# of maps changes. The paper averages the maps first, and a block with stride needs the projection too (exercise
# 4).
#
# ## MobileNetV2
#
# A convolution does two things at once: it looks around, and it mixes maps. Done one after the other,
# **depthwise** 3 x 3 on each map alone and then 1 x 1 across the maps, the cost falls to $1/N + 1/K^2$ of it
# for $N$ output maps.

# %%
for maps in (64, 128, 256, 512):
    standard = conv_cost(56, maps, maps, 3, use_bias=False)
    separable = conv_cost(56, maps, maps, 3, groups=maps, use_bias=False) + conv_cost(
        56, maps, maps, 1, use_bias=False
    )
    print(f"{maps:3d} maps: {standard.macs / separable.macs:.2f} times fewer MACs")

# %% [markdown]
# Its block is a bottleneck turned inside out: narrow outside, where the shortcut is, and six times as wide
# inside, where the cheap depthwise convolution works. A bottleneck of ResNet against it, with 56 x 56 maps:

# %%
bottleneck = conv_cost(56, 256, 64, 1) + conv_cost(56, 64, 64, 3) + conv_cost(56, 64, 256, 1)
inverted = conv_cost(56, 24, 144, 1) + conv_cost(56, 144, 144, 3, groups=144) + conv_cost(56, 144, 24, 1)
for name, cost in {"bottleneck 256-64-64-256": bottleneck, "inverted 24-144-144-24": inverted}.items():
    print(
        f"{name:25s} {cost.params:7,} parameters {cost.macs / 1e6:6.1f} M MACs {cost.activations:9,} activations"
    )

# %%
mobilenet = build_mobilenet_v2()
plotting.plot_architecture(layer_table(mobilenet), caption="MobileNetV2: one box for each size of maps")

# %% [markdown]
# ## Side by side
#
# All networks halve the resolution five times or so. What differs is how soon, and how many layers work at each
# size.

# %%
networks = [alexnet, vgg16, googlenet, build_resnet(50), mobilenet]
stage_table(networks)

# %% [markdown]
# And what they cost. The time is that of one image on this machine, the median of some runs: it follows neither
# the parameters nor the MACs alone. "Weight layers" is the depth in Boracchi's table of the Keras applications.

# %%
comparison = compare_models(networks, runs=knobs["runs"])
comparison

# %%
plotting.plot_model_costs(comparison.rows, caption="Five networks: parameters against multiply-accumulates")

# %% [markdown]
# ## What we saw
#
# - VGG16: 89 % of the parameters are in three dense layers, 85 % of the activations in the first three blocks, and
#   60 % of the work in blocks 3 and 4. "Large" has three meanings.
# - Averaging the maps instead of flattening them removes most of the parameters: GoogLeNet has 7 million.
# - 1 x 1 convolutions reduce the maps before the expensive kernels: ten times fewer MACs in the slide's example.
# - Shortcuts make depth trainable, depthwise convolutions make it cheap.
# - Small and fast are not the same: count, and then measure.
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

# %% tags=["exercise"]
# ### The cheaper design
#
# A 5 x 5 convolution from 200 to 32 maps at 32 x 32 pixels costs 163.8 million MACs. With a 1 x 1 reduction
# before it, how many maps may be left in between at most, so that both together cost no more than 50 million?

# student: maps_between = None
# solution
maps_between = 50_000_000 // (32 * 32 * (200 + 25 * 32))
# end solution

ex.reduction.check(maps_between)

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

# %% tags=["exercise"]
# ### Choose and defend
#
# A phone needs a network of less than 100 MB in float32 that reads an image with less than half a billion MACs.
# Which of the five of the comparison do you choose, and how many megabytes (of 1,000,000 bytes) do its
# parameters take?

# student: choice = None
# student: megabytes = None
# solution
choice = "MobileNetV2"
megabytes = mobilenet.count_params() * 4 / 1e6
# end solution

ex.for_a_phone.check(choice, megabytes)

# %% [markdown]
# ## Where to go on
#
# - `04_residual_learning` asks whether the shortcut is worth it.
# - Give `build_vgg` another `input_shape`: which of the three costs changes, and which does not?
# - `layer_table(keras.applications.EfficientNetB0(weights=None))` reads any network. Where is its memory?

# %% tags=["summary"]
for record in comparison.rows:
    print(f"{record.name}: {record.params:,} parameters, {record.macs / 1e9:.2f} G MACs, {record.step_ms:.0f} ms")
ex.summary()
