"""Output sizes, receptive fields and layer tables against hand counts, TensorFlow's profiler and gradients."""

import math
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kerascv_course import conv_output_size, layer_table, models, receptive_field
from kerascv_course.architecture import LayerRow, LayerTable, costs

pytestmark = pytest.mark.usefixtures("zeros_as_first_weights")


def build_lenet() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            layers.Conv2D(6, 5, activation="tanh", name="conv1"),
            layers.AveragePooling2D(2, name="pool1"),
            layers.Conv2D(16, 5, activation="tanh", name="conv2"),
            layers.AveragePooling2D(2, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(120, activation="relu", name="fc1"),
            layers.Dense(84, activation="relu", name="fc2"),
            layers.Dense(10, activation="softmax", name="fc3"),
        ],
        name="lenet5",
    )


def chain(input_shape: tuple[int, ...], *stack: keras.Layer) -> keras.Model:
    x = inputs = keras.Input(input_shape)
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, x)


def row_of(table: LayerTable, name: str) -> LayerRow:
    (row,) = [row for row in table.rows if row.name == name]
    return row


def quiet_table(model: keras.Model) -> LayerTable:
    """Measure a model, and fail if a layer in it is not known."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return layer_table(model)


# --- output size -----------------------------------------------------------------------------------------


def windows_that_fit(size: int, kernel: int, stride: int, per_side: int, dilation: int) -> int:
    """Slide a window over the padded axis, and count the places where all of its taps lie inside."""
    padded = size + 2 * per_side
    starts = range(0, padded, stride)
    return sum(all(start + tap * dilation < padded for tap in range(kernel)) for start in starts)


@pytest.mark.smoke
def test_output_size_counts_the_windows_that_fit():
    for size in range(1, 13):
        for kernel in range(1, 5):
            for stride in range(1, 4):
                for dilation in (1, 2, 3):
                    for padding, per_side in {"valid": 0, 1: 1, 3: 3, "full": dilation * (kernel - 1)}.items():
                        options = {"stride": stride, "padding": padding, "dilation": dilation}
                        expected = windows_that_fit(size, kernel, stride, per_side, dilation)
                        if expected:
                            assert conv_output_size(size, kernel, **options) == expected
                        else:
                            with pytest.raises(ValueError, match="`kernel_size` of `conv_output_size`"):
                                conv_output_size(size, kernel, **options)


def test_output_size_agrees_with_keras_for_valid_and_same_padding():
    for size, kernel, stride in [(32, 5, 1), (224, 11, 4), (227, 11, 4), (7, 2, 2), (9, 3, 2), (10, 3, 3)]:
        for padding in ("valid", "same"):
            layer = layers.Conv1D(1, kernel, strides=stride, padding=padding)
            expected = layer.compute_output_shape((None, size, 1))[1]
            assert conv_output_size(size, kernel, stride=stride, padding=padding) == expected


def test_stride_two_same_padding_rounds_up():
    assert [conv_output_size(size, 3, stride=2, padding="same") for size in (7, 8, 9)] == [4, 4, 5]


def test_output_size_is_floored_where_the_slides_print_a_ceiling():
    # (224 - 11) / 4 = 53.25: 54 windows fit; a ceiling would give 55, which is right for 227 only.
    assert conv_output_size(224, 11, stride=4) == 54
    assert conv_output_size(227, 11, stride=4) == 55


# --- receptive field by hand -----------------------------------------------------------------------------


def pixels_seen(stack: list[tuple[int, ...]]) -> int:
    """Follow the taps of one output back to the input, and count from the first pixel to the last."""
    seen = {0}
    for kernel, stride, *dilation in reversed(stack):
        seen = {place * stride + tap * (dilation or [1])[0] for place in seen for tap in range(kernel)}
    return max(seen) - min(seen) + 1


@pytest.mark.smoke
def test_receptive_field_equals_the_pixels_reached_by_following_the_taps():
    rng = np.random.default_rng(0)
    for _ in range(50):
        stack = [tuple(int(n) for n in rng.integers(1, 4, size=rng.integers(2, 4))) for _ in range(4)]
        assert receptive_field(stack) == pixels_seen(stack), stack


def test_receptive_field_of_stacked_layers_is_one_plus_layers_times_kernel_minus_one():
    for depth in range(6):
        for kernel in (1, 3, 5):
            assert receptive_field([(kernel, 1)] * depth) == 1 + depth * (kernel - 1)


# --- hand counts -----------------------------------------------------------------------------------------


@pytest.mark.smoke
def test_lenet5_has_the_numbers_of_the_course_in_every_row():
    table = quiet_table(build_lenet())
    columns = [
        (row.name, row.params, row.macs, row.activation_values, row.receptive_field_px) for row in table.rows
    ]
    assert columns == [
        ("conv1", 156, 28 * 28 * 6 * 25, 28 * 28 * 6, 5),
        ("pool1", 0, 0, 14 * 14 * 6, 6),
        ("conv2", 2_416, 10 * 10 * 16 * 25 * 6, 10 * 10 * 16, 14),
        ("pool2", 0, 0, 5 * 5 * 16, 16),
        ("flatten", 0, 0, 0, 16),
        ("fc1", 48_120, 400 * 120, 120, 32),
        ("fc2", 10_164, 120 * 84, 84, 32),
        ("fc3", 850, 84 * 10, 10, 32),
    ]
    assert table.total_params == table.trainable_params == 61_706
    assert table.total_macs == 416_520
    assert table.total_flops == 2 * 416_520
    assert table.total_activations == 8_094
    assert table.activation_bytes == 4 * 8_094
    assert table.unknown_layers == ()
    assert table.rows[0].output_shape == (None, 28, 28, 6)
    assert table.rows[0].layer_type == "Conv2D"


def test_two_5x5_filters_on_three_maps_have_152_parameters():
    assert quiet_table(chain((9, 9, 3), layers.Conv2D(2, 5))).total_params == 152


def test_8_to_16_channels_5x5_on_32x32_costs_what_the_slides_say():
    table = quiet_table(chain((32, 32, 8), layers.Conv2D(16, 5, padding="same")))
    assert (table.total_params, table.total_activations, table.total_flops) == (3_216, 16_384, 6_553_600)


def test_one_5x5_and_stacked_3x3_follow_the_formulas_of_the_slides():
    C, H, W = 4, 6, 7
    table = quiet_table(chain((H, W, C), layers.Conv2D(C, 5, padding="same")))
    assert (table.total_params, table.total_flops) == (25 * C**2 + C, 50 * C**2 * W * H)
    assert table.total_activations == C * W * H
    twice = [layers.Conv2D(C, 3, padding="same") for _ in range(2)]
    table = quiet_table(chain((H, W, C), *twice))
    assert (table.total_params, table.total_flops) == (18 * C**2 + 2 * C, 36 * C**2 * W * H)
    assert table.total_activations == 2 * C * W * H
    thrice = [layers.Conv2D(C, 3, padding="same", use_bias=False) for _ in range(3)]
    table = quiet_table(chain((H, W, C), *thrice))
    assert (table.total_params, table.rows[-1].receptive_field_px) == (27 * C**2, 7)


def test_dense_layer_in_place_of_a_convolution_has_three_times_side_to_the_fourth_weights():
    for side in (4, 8, 16):
        dense = layers.Dense(side * side, use_bias=False)
        table = quiet_table(chain((side, side, 3), layers.Flatten(), dense))
        assert table.total_params == table.total_macs == 3 * side**4
    assert pytest.approx(7.5e9, rel=0.01) == 3 * 224**4  # the slide's weights; twice that is its 15 GFLOPs
    assert pytest.approx(3.3e12, rel=0.01) == 3 * 1024**4


@pytest.mark.parametrize(("C", "saving"), [(64, 7.89), (512, 8.84)])
def test_depthwise_separable_saving_follows_the_formula(C: int, saving: float):
    plain = layers.Conv2D(C, 3, padding="same", use_bias=False)
    separable = layers.SeparableConv2D(C, 3, padding="same", use_bias=False)
    costs_ = [quiet_table(chain((4, 4, C), layer)).total_flops for layer in (plain, separable)]
    assert costs_ == [18 * C**2 * 16, (18 * C + 2 * C**2) * 16]
    assert costs_[0] / costs_[1] == pytest.approx(saving, abs=0.01)
    assert costs_[1] / costs_[0] == pytest.approx(1 / C + 1 / 9)


def test_inception_branch_is_ten_times_cheaper_with_a_1x1_reduction():
    wide = quiet_table(chain((32, 32, 200), layers.Conv2D(32, 5, padding="same")))
    narrow = quiet_table(chain((32, 32, 200), layers.Conv2D(16, 1), layers.Conv2D(32, 5, padding="same")))
    assert (wide.total_macs, narrow.total_macs) == (163_840_000, 16_384_000)


def direct_macs_transposed(size: int, kernel: int, stride: int, c_in: int, c_out: int) -> int:
    """Scatter every input value through the whole kernel, one multiplication at a time."""
    return sum(1 for _ in np.ndindex(size, size, kernel, kernel, c_in, c_out))


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_transposed_convolution_multiplies_each_input_value_with_the_kernel(padding: str):
    layer = layers.Conv2DTranspose(3, 4, strides=2, padding=padding)
    assert quiet_table(chain((5, 5, 2), layer)).total_macs == direct_macs_transposed(5, 4, 2, 2, 3)


@pytest.mark.parametrize(
    ("input_shape", "layer", "macs"),
    [
        ((9, 2), lambda: layers.Conv1D(3, 4, strides=2), 3 * 3 * 4 * 2),
        ((6, 6, 6, 2), lambda: layers.Conv3D(3, 2), 5**3 * 3 * 2**3 * 2),
        ((8, 8, 4), lambda: layers.Conv2D(6, 3, groups=2), 36 * 6 * 9 * 2),
        ((9, 9, 2), lambda: layers.Conv2D(3, 3, dilation_rate=2), 25 * 3 * 9 * 2),
        ((8, 8, 3), lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), 36 * 6 * 9),
        ((8, 3), lambda: layers.DepthwiseConv1D(3), 6 * 3 * 3),
        ((8, 3), lambda: layers.SeparableConv1D(5, 3, depth_multiplier=2), 6 * (3 * 6 + 6 * 5)),
        ((4, 4, 4, 2), lambda: layers.Conv3DTranspose(3, 2, strides=2), 4**3 * 8 * 2 * 3),
        ((4, 5, 6), lambda: layers.Dense(7), 4 * 5 * 6 * 7),
        ((8, 8, 3), lambda: layers.BatchNormalization(), 0),
        ((8, 8, 3), lambda: layers.MaxPooling2D(2), 0),
    ],
)
def test_macs_of_one_layer_equal_the_hand_count(input_shape, layer, macs):
    assert quiet_table(chain(input_shape, layer())).total_macs == macs


def test_channels_first_counts_like_channels_last():
    def build(data_format: str) -> keras.Model:
        shape = (12, 10, 3) if data_format == "channels_last" else (3, 12, 10)
        stack = [
            layers.Conv2D(4, (3, 5), strides=2, padding="same", data_format=data_format),
            layers.SeparableConv2D(4, 3, data_format=data_format),
            layers.GlobalAveragePooling2D(data_format=data_format),
        ]
        return chain(shape, *stack)

    first, last = (quiet_table(build(f"channels_{which}")) for which in ("first", "last"))
    for a, b in zip(first.rows, last.rows, strict=True):
        assert (a.macs, a.params, a.receptive_field_px) == (b.macs, b.params, b.receptive_field_px)


# --- whole architectures ---------------------------------------------------------------------------------


def test_vgg16_has_the_totals_of_the_course():
    vgg16 = keras.applications.VGG16(weights=None)
    table = quiet_table(vgg16)
    assert table.total_params == vgg16.count_params() == 138_357_544
    assert table.total_activations == 15_087_080
    assert table.total_flops == 2 * 15_470_264_320  # 30.94 G
    blocks = [sum(row.flops for row in table.rows if row.name.startswith(f"block{n}")) / 1e9 for n in range(1, 6)]
    assert [round(block, 2) for block in blocks] == [3.87, 5.55, 9.25, 9.25, 2.77]
    dense = sum(row.flops for row in table.rows if row.layer_type == "Dense")
    assert dense / 1e9 == pytest.approx(0.247, abs=5e-4)
    assert table.activation_bytes / 2**20 == pytest.approx(57.6, abs=0.1)
    assert row_of(table, "block5_pool").receptive_field_px == 212


@pytest.mark.parametrize(
    ("build", "layer", "side"),
    [
        (keras.applications.ResNet50, "conv5_block3_out", 483),
        (keras.applications.InceptionV3, "mixed10", 1311),
        (keras.applications.MobileNet, "conv_pw_13_relu", 315),
    ],
)
def test_receptive_field_of_published_networks(build, layer: str, side: int):
    # Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks", Distill 2019, table 1.
    model = build(weights=None, include_top=False, input_shape=(224, 224, 3))
    table = quiet_table(model)
    assert row_of(table, layer).receptive_field_px == side
    assert table.total_params == model.count_params()


# --- TensorFlow profiler ---------------------------------------------------------------------------------

PRODUCTS = {"Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "MatMul", "BatchMatMulV2"}


def profiled_macs(model: keras.Model) -> int:
    """Return half of the float operations of the convolution and matmul nodes in the model's own graph."""
    specs = [tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype) for tensor in model.inputs]
    function = tf.function(lambda *x: model(x[0] if len(x) == 1 else list(x), training=False))
    graph = function.get_concrete_function(*specs).graph
    builder = tf.compat.v1.profiler.ProfileOptionBuilder
    options = builder(builder.float_operation()).with_empty_output().build()
    profile = tf.compat.v1.profiler.profile(graph, cmd="op", options=options)
    flops = 0
    while profile.children:
        (profile,) = profile.children
        if profile.name in PRODUCTS:
            flops += profile.float_ops
    assert flops % 2 == 0
    return flops // 2 + sum(einsum_macs(node) for node in graph.get_operations() if node.type == "Einsum")


def einsum_macs(node: tf.Operation) -> int:
    """Return the multiplications of an Einsum, which the profiler does not count: the product of all its sizes."""
    subscripts = node.get_attr("equation").decode().split("->")[0].split(",")
    sizes: dict[str, int] = {}
    for subscript, tensor in zip(subscripts, node.inputs, strict=True):
        before, _, after = subscript.partition("...")
        shape = list(tensor.shape)
        rest = [f"...{place}" for place in range(len(shape) - len(before + after))]
        sizes.update(zip([*before, *rest, *after], shape, strict=True))
    return math.prod(sizes.values())


def residual_net() -> keras.Model:
    x = inputs = keras.Input((32, 32, 3))
    for filters, stride in [(8, 1), (16, 2), (32, 2)]:
        y = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
        x = layers.Conv2D(filters, 1, strides=stride)(x)
        x = keras.ops.relu(x + y)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10)(x))


def mixed_convolutions() -> keras.Model:
    return chain(
        (24, 20, 4),
        layers.SeparableConv2D(6, 5, strides=2, padding="same"),
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        # TensorFlow computes dilation on sizes padded to its multiple, and the profiler counts that padding:
        # the sizes here, 10 and 8, have none.
        layers.Conv2D(5, 3, dilation_rate=2, padding="same"),
        layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
        layers.Dense(3),
    )


def small_base() -> keras.Model:
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 3, strides=2, use_bias=False, name="Conv1")(inputs)
    x = layers.BatchNormalization(name="bn_Conv1")(x)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(x)
    return keras.Model(inputs, x, name="base")


def transfer_model(base: keras.Model | None = None) -> keras.Model:
    base = base or small_base()
    base.trainable = False
    x = inputs = keras.Input((96, 96, 3))
    x = layers.RandomFlip("horizontal")(x)
    x = keras.applications.mobilenet_v2.preprocess_input(x)
    x = base(x, training=False)
    x = layers.GlobalAveragePooling2D()(x)
    head = keras.Sequential([layers.Dropout(0.5), layers.Dense(16, activation="relu"), layers.Dense(3)])
    return keras.Model(inputs, head(x))


def siamese() -> keras.Model:
    tower = chain((12, 12, 1), layers.Conv2D(4, 3, name="conv"), layers.Flatten(), layers.Dense(8))
    tower.name = "tower"
    left, right = keras.Input((12, 12, 1)), keras.Input((12, 12, 1))
    both = layers.Concatenate()([tower(left), tower(right)])
    shared = layers.Dense(16, name="shared")
    return keras.Model([left, right], layers.Dense(1)(shared(shared(both))))


def matrix_products() -> keras.Model:
    inputs = keras.Input((6, 5))
    scores = keras.ops.matmul(inputs, keras.ops.transpose(inputs, (0, 2, 1)))
    x = keras.ops.matmul(keras.ops.softmax(scores), inputs)
    return keras.Model(inputs, keras.ops.matmul(x, np.ones((5, 3), "float32")))


@pytest.mark.parametrize(
    "build",
    [
        build_lenet,
        residual_net,
        mixed_convolutions,
        transfer_model,
        siamese,
        matrix_products,
        lambda: chain((20, 3), layers.Conv1D(4, 3), layers.SeparableConv1D(5, 3), layers.Dense(2)),
    ],
    ids=["lenet", "residual", "mixed", "transfer", "siamese", "matmul", "one_dimensional"],
)
def test_total_macs_are_half_of_the_profiled_convolutions_and_matrix_products(build):
    model = build()
    table = quiet_table(model)
    assert table.total_macs == profiled_macs(model) > 0
    assert table.total_params == model.count_params()
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    assert table.trainable_params == trainable


PUBLISHED = {
    "lenet5": models.build_lenet5,
    "alexnet": models.build_alexnet,
    "vgg11": lambda: models.build_vgg("A", input_shape=(64, 64, 3)),
    "vgg16": models.build_vgg,
    "vgg19, normalised": lambda: models.build_vgg("E", batch_norm=True, input_shape=(64, 64, 3)),
    "googlenet": lambda: models.build_googlenet(auxiliary_heads=True),
    "resnet18": lambda: models.build_resnet(18),
    "resnet50": models.build_resnet,
    "resnet50, stride in the 1x1": lambda: models.build_resnet(50, downsample="1x1"),
    "mobilenet_v2": models.build_mobilenet_v2,
    "tinynet, depthwise": lambda: models.build_tinynet("depthwise"),
    "inception_v3": lambda: keras.applications.InceptionV3(weights=None),
}


EVERY_DAY = ("googlenet", "resnet18", "tinynet, depthwise")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in EVERY_DAY else [pytest.mark.slow]) for name in PUBLISHED]
)
def test_macs_of_every_architecture_are_half_of_the_profiled_ones(name):
    model = PUBLISHED[name]()
    assert quiet_table(model).total_macs == profiled_macs(model) > 0


def test_grouped_convolution_costs_as_much_as_its_groups_apart():
    grouped = quiet_table(chain((8, 10, 6), layers.Conv2D(9, 3, groups=3)))
    inputs = keras.Input((8, 10, 6))
    parts = keras.ops.split(inputs, 3, axis=-1)
    apart = layers.Concatenate()([layers.Conv2D(3, 3)(part) for part in parts])
    assert grouped.total_macs == profiled_macs(keras.Model(inputs, apart))


# --- receptive field by gradients ------------------------------------------------------------------------


def probed_sides(model: keras.Model, images: int = 6) -> tuple[int, ...]:
    """Return, per image axis, the widest region of the input with a gradient to one position of the output."""
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.5, 1.0, weight.shape) for weight in model.get_weights()])
    x = tf.constant(rng.uniform(0.5, 1.5, (images, *model.input_shape[1:])), tf.float32)
    image_axes = range(1, len(x.shape) - 1)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = model(x, training=False)
        per_axis = []
        for axis in image_axes:
            y = y if len(y.shape) == len(x.shape) else tf.reshape(y, (images, *[1] * len(image_axes), -1))
            others = [other for other in range(len(y.shape)) if other != axis]
            per_axis.append(tf.unstack(tf.reduce_sum(y, others)))
    sides = []
    for axis, values in zip(image_axes, per_axis, strict=True):
        widest = 0
        middle = len(values) // 2
        for value in values[max(middle - 5, 0) : middle + 5]:  # away from the border, and every phase of the grid
            gradient = tape.gradient(value, x, unconnected_gradients="zero").numpy()
            others = tuple(other for other in range(gradient.ndim) if other != axis)
            (seen,) = np.nonzero(np.abs(gradient).sum(others))
            widest = max(widest, int(seen.max() - seen.min() + 1) if seen.size else 0)
        sides.append(widest)
    return tuple(sides)


def conv(kernel=3, **options) -> keras.Layer:
    return layers.Conv2D(2, kernel, **options)


def branches(*stacks: list[keras.Layer], merge: keras.Layer, after: list[keras.Layer] = ()) -> keras.Model:  # type: ignore[assignment]
    inputs = keras.Input((40, 36, 1))
    ends = []
    for stack in stacks:
        x = inputs
        for layer in stack:
            x = layer(x)
        ends.append(x)
    x = merge(ends)
    for layer in after:
        x = layer(x)
    return keras.Model(inputs, x)


def squeeze_and_excitation() -> keras.Model:
    inputs = keras.Input((20, 16, 1))
    x = conv()(inputs)
    gate = layers.Dense(2)(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return keras.Model(inputs, conv()(x * gate))


def mean_of_columns() -> keras.Model:
    inputs = keras.Input((20, 16, 1))
    x = keras.ops.mean(conv()(inputs), axis=2, keepdims=True)
    return keras.Model(inputs, keras.ops.transpose(x, (0, 1, 2, 3)))


def probe_chain(*stack: keras.Layer) -> keras.Model:
    return chain((40, 36, 1), *stack)


PROBES = {
    "lenet": lambda: probe_chain(conv(5), layers.AveragePooling2D(2), conv(5), layers.AveragePooling2D(2)),
    "same_stride_2": lambda: probe_chain(*[conv(strides=2, padding="same") for _ in range(3)]),
    "same_even_kernel": lambda: probe_chain(*[conv(4, strides=3, padding="same") for _ in range(2)]),
    "dilation": lambda: probe_chain(conv(dilation_rate=2), conv(dilation_rate=(1, 3), padding="same")),
    "two_kernels": lambda: probe_chain(conv((3, 5)), conv((1, 4), strides=(1, 2))),
    "max_pool": lambda: probe_chain(conv(), layers.MaxPooling2D(3, 2, padding="same"), conv()),
    "depthwise": lambda: probe_chain(layers.DepthwiseConv2D(3, strides=2), layers.SeparableConv2D(2, 5)),
    "branch_kernels": lambda: branches(
        [conv(3, strides=2, padding="same")],
        [conv(7, strides=2, padding="same")],
        merge=layers.Add(),
        after=[conv()],
    ),
    "transposed_dilated": lambda: probe_chain(layers.Conv2DTranspose(2, 3, dilation_rate=2)),
    "permuted": lambda: probe_chain(
        conv((3, 5)), layers.Permute((2, 1, 3)), conv((1, 7)), layers.Permute((2, 1, 3))
    ),
    "squeeze_and_excitation": squeeze_and_excitation,
    "mean_of_columns": mean_of_columns,
    "flatten_dense": lambda: chain((12, 12, 1), conv(), layers.Flatten(), layers.Dense(3)),
    "dense_on_maps": lambda: probe_chain(conv(), layers.Dense(2), layers.PReLU(shared_axes=[1, 2]), conv()),
    "causal": lambda: chain((30, 1), *[layers.Conv1D(2, 3, dilation_rate=d, padding="causal") for d in (1, 2, 4)]),
}


@pytest.mark.parametrize("name", PROBES)
def test_receptive_field_is_where_the_gradient_reaches(name: str):
    model = PROBES[name]()
    expected = quiet_table(model).rows[-1].receptive_field_px
    images = 60 if name == "max_pool" else 6  # max pooling shows one tap per image
    sides = probed_sides(model, images)
    assert expected == (sides[0] if len(set(sides)) == 1 else sides)


@pytest.mark.parametrize(
    "enlarge",
    [
        lambda: layers.Conv2DTranspose(2, 3, strides=2, padding="same"),
        lambda: layers.UpSampling2D((1, 2)),
        lambda: layers.UpSampling2D(2, interpolation="bilinear"),
        lambda: layers.Resizing(30, 24),
        lambda: layers.CenterCrop(60, 60),
        lambda: layers.Reshape((20, 2, 36, 2)),
    ],
)
def test_behind_a_layer_that_moves_positions_apart_the_field_is_not_known(enlarge):
    table = quiet_table(probe_chain(conv(padding="same"), enlarge(), layers.ReLU()))
    assert [row.receptive_field_px for row in table.rows[1:]] == [3, None, None]


def test_after_global_pooling_and_flattened_maps_the_whole_image_is_seen():
    pooled = layers.GlobalAveragePooling2D(keepdims=True)
    stack = [conv(5, padding="same"), pooled, conv(3, padding="same"), layers.UpSampling2D(4), layers.Flatten()]
    table = quiet_table(chain((8, 7, 3), *stack, layers.Dense(2)))
    assert [row.receptive_field_px for row in table.rows[1:]] == [5, *[(8, 7)] * 5]
    deep = chain((12, 12, 1), *[conv(5, padding="same") for _ in range(4)], layers.GlobalMaxPooling2D())
    assert [row.receptive_field_px for row in quiet_table(deep).rows[-2:]] == [17, 12]


def test_a_step_of_a_slice_is_a_stride_and_padding_and_cropping_change_nothing():
    inputs = keras.Input((40, 36, 1))
    x = keras.ops.pad(conv()(inputs)[:, 1::2, :-3], [[0, 0], [2, 1], [0, 1], [0, 0]])
    x = layers.Cropping2D(1)(layers.ZeroPadding2D(2)(x))
    assert quiet_table(keras.Model(inputs, conv()(x))).rows[-1].receptive_field_px == (3 + 2 * 2, 3 + 2)


def test_channels_that_change_places_keep_their_field_and_a_single_row_has_no_neighbours():
    inputs = keras.Input((40, 36, 3))
    swapped = keras.ops.stack([inputs[..., 2], inputs[..., 1], inputs[..., 0]], axis=-1)
    table = quiet_table(keras.Model(inputs, conv((3, 5))(swapped)))
    assert table.rows[-1].receptive_field_px == (3, 5)
    row = layers.Conv1D(2, 3)(conv()(inputs)[:, 4])
    assert quiet_table(keras.Model(inputs, row)).rows[-1].receptive_field_px is None


def test_reshaped_maps_keep_their_field_until_positions_are_mixed():
    stack = [conv(), layers.Reshape((80, 2)), layers.Reshape((80, 1, 2)), layers.Flatten(), layers.Dense(3)]
    table = quiet_table(chain((12, 10, 1), *stack))
    assert [row.receptive_field_px for row in table.rows[1:]] == [3, 3, 3, 3, (12, 10)]


def test_convolution_over_folded_rows_and_columns_has_no_known_field():
    folded = [layers.Reshape((30, 1)), layers.Conv1D(2, 1), layers.Conv1D(2, 3)]
    table = quiet_table(chain((6, 5, 1), *folded))
    assert [row.receptive_field_px for row in table.rows[1:]] == [1, 1, None]


def test_convolution_over_an_image_axis_moved_to_the_channels_sees_all_of_it():
    table = quiet_table(chain((12, 10, 1), layers.Permute((3, 2, 1)), conv((1, 3))))
    assert table.rows[-1].receptive_field_px == (12, 3)


def test_paths_that_step_through_the_image_differently_have_no_known_field():
    one, two = [conv(strides=2, padding="same")], [layers.Cropping2D(((0, 20), (0, 18)))]
    table = quiet_table(branches(one, two, merge=layers.Add()))
    assert [row.receptive_field_px for row in table.rows[1:]] == [3, 1, None]


def test_row_added_to_all_rows_is_seen_by_all_of_them():
    inputs = keras.Input((20, 16, 1))
    x = conv()(inputs)
    table = quiet_table(keras.Model(inputs, x + x[:, :1]))
    assert table.rows[-1].receptive_field_px == (20, 3)


def test_unknown_layers_and_vectors_have_no_receptive_field():
    model = chain((8, 8, 1), layers.Lambda(lambda x: x, output_shape=(8, 8, 1)), conv())
    with pytest.warns(UserWarning, match="lambda"):
        fields = [row.receptive_field_px for row in layer_table(model).rows]
    assert fields == [1, None, None]
    assert [row.receptive_field_px for row in quiet_table(chain((10,), layers.Dense(3))).rows] == [None, None]


# --- graphs ----------------------------------------------------------------------------------------------


@pytest.mark.smoke
def test_rows_of_nested_models_carry_the_path_and_the_frozen_weights():
    model = transfer_model()
    table = quiet_table(model)
    row = row_of(table, "base/Conv1")
    assert row.output_shape == (None, 47, 47, 8)  # the base itself leaves height and width open
    assert row.params > row.trainable_params == 0
    assert [r.layer_type for r in table.rows[:4]] == ["InputLayer", "RandomFlip", "ops.TrueDivide", "ops.Subtract"]


def test_models_nested_three_deep_are_opened():
    inner = chain((8, 8, 1), layers.Conv2D(2, 3, name="c"))
    inner.name = "inner"
    middle = keras.Sequential([keras.Input((8, 8, 1)), inner, layers.ReLU(name="r")], name="middle")
    outer = chain((8, 8, 1), middle, layers.Flatten(name="f"))
    table = quiet_table(outer)
    assert [row.name for row in table.rows[1:]] == ["middle/inner/c", "middle/r", "f"]
    assert table.rows[-1].receptive_field_px == 3


def test_shared_layers_count_weights_once_and_macs_per_call():
    table = quiet_table(siamese())
    first, second = [row for row in table.rows if row.name == "tower/conv"]
    assert (first.call, first.params, first.macs) == (1, 40, 10 * 10 * 4 * 9)
    assert (second.call, second.params, second.macs) == (2, 0, 10 * 10 * 4 * 9)
    assert [(row.call, row.params) for row in table.rows if row.name == "shared"] == [(1, 272), (2, 0)]
    assert "tower/conv (call 2)" in str(table)


def test_nested_model_as_the_output_and_called_in_another_model_before():
    base = chain((8, 8, 1), layers.Conv2D(2, 3, name="c"))
    base.name = "base"
    base(keras.Input((8, 8, 1)))  # a call that belongs to no model
    keras.Model(base.input, layers.Flatten()(base.layers[-1].output))  # the same layers in a second model
    table = quiet_table(chain((8, 8, 1), base))
    assert [(row.name, row.output_shape) for row in table.rows[1:]] == [("base/c", (None, 6, 6, 2))]


def test_outputs_that_nobody_uses_do_not_confuse_the_graph():
    inputs = keras.Input((8, 8, 4))
    _, second = keras.ops.split(inputs, 2, axis=-1)
    first, _, third = keras.ops.split(inputs, [1, 2], axis=-1)
    x = layers.Conv2D(3, 3)(keras.ops.concatenate([second, first, third], axis=-1))
    assert quiet_table(keras.Model(inputs, x)).total_macs == 36 * 3 * 9 * 5


def test_two_inputs_and_two_outputs_are_measured():
    image, vector = keras.Input((8, 8, 1), name="image"), keras.Input((5,), name="vector")
    x = layers.Flatten()(layers.Conv2D(2, 3, name="c")(image))
    joined = layers.Concatenate(name="join")([x, layers.Dense(4)(vector)])
    outputs = {"label": layers.Dense(3, name="label")(joined), "side": layers.Dense(1)(vector)}
    table = quiet_table(keras.Model({"image": image, "vector": vector}, outputs))
    assert table.total_macs == 36 * 2 * 9 + 5 * 4 + 76 * 3 + 5
    assert row_of(table, "c").receptive_field_px == 3
    assert row_of(table, "label").receptive_field_px == 8
    assert table.total_params == 20 + 24 + 231 + 6


def test_functional_subclass_with_its_own_constructor_is_measured():
    class Classifier(keras.Model):
        def __init__(self, classes: int) -> None:
            inputs = keras.Input((8, 8, 1))
            x = layers.Flatten()(layers.Conv2D(2, 3)(inputs))
            super().__init__(inputs=inputs, outputs=layers.Dense(classes)(x))

    assert quiet_table(Classifier(4)).total_macs == 36 * 2 * 9 + 72 * 4


def test_activation_bytes_follow_the_compute_dtype():
    half = quiet_table(chain((8, 8, 1), layers.Conv2D(2, 3, dtype="mixed_float16"), layers.Conv2D(2, 3)))
    assert [(row.activation_values, row.activation_bytes) for row in half.rows[1:]] == [(72, 144), (32, 128)]
    brain = quiet_table(chain((8, 8, 1), layers.Conv2D(2, 3, dtype="bfloat16")))
    assert brain.activation_bytes == 144


PASSIVE = sorted(name for name, effect in costs.LAYERS.items() if effect is costs.LAYERS["Dropout"])
ONE_FACTOR = [f"Random{effect}" for effect in ["Brightness", "ColorDegeneration", "Contrast", "Grayscale", "Hue"]]
ONE_FACTOR += [f"Random{effect}" for effect in ["Rotation", "Saturation", "Sharpness"]]
OPTIONS = {
    "GaussianNoise": {"stddev": 0.5},
    "MaxNumBoundingBoxes": {"max_number": 3},
    "RandomPosterization": {"factor": 4},
    "RandomTranslation": {"height_factor": 0.5, "width_factor": 0.5},
    "RandomZoom": {"height_factor": 0.5},
}


UNLINKED = ("InputLayer", "Equalization")  # the second cannot stand in a graph of Keras 3


@pytest.mark.parametrize("name", [name for name in PASSIVE if name not in UNLINKED])
def test_layer_that_writes_no_values_returns_its_input_at_inference(name: str):
    kind = getattr(keras.layers, name, None)
    if kind is None:
        pytest.skip(f"this version of Keras has no {name}")
    default = {"rate": 0.5} if "Dropout" in name else {"factor": 0.5} if name in ONE_FACTOR else {}
    shape = (1, 6, 3) if name.endswith("1D") else (1, 4, 4, 4, 3) if name.endswith("3D") else (1, 6, 6, 3)
    x = np.random.default_rng(0).uniform(0, 1, shape).astype("float32")
    layer = kind(**OPTIONS.get(name, default))
    np.testing.assert_array_equal(np.asarray(layer(x, training=False)), x)
    # Keras before 3.11 cannot end a model in `RandomGrayscale`, whose symbolic output is its input.
    table = quiet_table(chain(shape[1:], kind(**OPTIONS.get(name, default)), layers.Flatten()))
    assert (table.total_activations, table.total_macs) == (0, 0)


# --- unknown layers --------------------------------------------------------------------------------------


class Scaled(layers.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],))

    def call(self, x):
        return x * self.scale


class OwnCall(layers.Conv2D):
    def call(self, inputs):
        return super().call(super().call(inputs))


class NoConfig(layers.Layer):
    def __init__(self, function):
        super().__init__(name="odd")
        self.function = function

    def call(self, x):
        return x


class OwnInit(layers.Conv2D):
    def __init__(self, **options):
        super().__init__(4, 3, **options)


@pytest.mark.smoke
def test_unknown_layer_is_reported_and_never_counted_as_zero():
    model = chain((8, 8, 2), Scaled(name="scaled"), layers.Conv2D(2, 3, name="known"))
    with pytest.warns(UserWarning, match="'scaled'"):
        table = layer_table(model)
    row = row_of(table, "scaled")
    assert (row.macs, row.flops, row.params, row.activation_values) == (None, None, 2, 128)
    assert table.unknown_layers == ("scaled",)
    assert table.total_macs == 36 * 2 * 9 * 2
    for text in (str(table), table._repr_html_()):
        assert "unknown" in text
        assert "at least 1,296" in text
        assert "not in the totals: scaled (its `call` is its own)" in text


@pytest.mark.parametrize(
    "layer",
    [
        OwnCall(2, 3, name="odd"),
        layers.TimeDistributed(OwnCall(2, 3, name="odd"), name="each"),
        NoConfig(object()),
    ],
)
def test_subclass_with_its_own_call_is_unknown_in_a_wrapper_too(layer):
    with pytest.warns(UserWarning, match=r"odd' \(its `call` is its own\)"):
        (name,) = layer_table(chain((6, 8, 8, 2) if layer.name == "each" else (8, 8, 2), layer)).unknown_layers
    assert name.split("/")[-1] == "odd"


def test_unknown_operation_of_keras_ops_is_reported():
    inputs = keras.Input((8, 8, 2))
    model = keras.Model(inputs, keras.ops.einsum("bhwc,cd->bhwd", inputs, np.ones((2, 3), "float32")))
    with pytest.warns(UserWarning, match="einsum"):
        assert layer_table(model).rows[-1].macs is None


def test_subclass_that_only_sets_options_is_known():
    row = quiet_table(chain((8, 8, 2), OwnInit(name="own"))).rows[-1]
    assert (row.layer_type, row.macs) == ("OwnInit", 36 * 4 * 9 * 2)


def test_nested_subclassed_model_is_one_unknown_row_with_its_weights():
    class Head(keras.Model):
        def __init__(self):
            super().__init__(name="head")
            self.dense = layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    model = chain((5,), Head())
    with pytest.warns(UserWarning, match="'head'"):
        table = layer_table(model)
    assert (table.unknown_layers, table.total_params) == (("head",), 18)


# --- the model is left alone -----------------------------------------------------------------------------


@pytest.mark.parametrize("build", [build_lenet, transfer_model, siamese, residual_net])
def test_model_is_untouched(build):
    model = build()
    config, weights = model.get_config(), model.get_weights()

    def tensors() -> list[int]:  # `output` of a layer that was called twice is ambiguous
        called_once = [layer for layer in model.layers if layer.name != "shared"]
        return [id(tensor) for tensor in [*model.inputs, *model.outputs, *(one.output for one in called_once)]]

    before = tensors()
    layer_table(model)
    assert model.get_config() == config  # holds the calls of every layer
    assert tensors() == before
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_no_layer_runs(monkeypatch: pytest.MonkeyPatch):
    model = residual_net()
    base = keras.Sequential([keras.Input((32, 32, 3)), model, layers.Dense(2)])

    def fail(self, *args, **kwargs):
        raise AssertionError(f"{self.name} was called")

    monkeypatch.setattr(keras.Operation, "__call__", fail)
    monkeypatch.setattr(keras.Layer, "__call__", fail)
    for kind in (layers.Conv2D, layers.Dense, layers.BatchNormalization):
        monkeypatch.setattr(kind, "__call__", fail)
    with pytest.raises(AssertionError, match="was called"):
        base(np.zeros((1, 32, 32, 3)))
    assert quiet_table(base).total_macs > 0


# --- formats ---------------------------------------------------------------------------------------------


def test_text_is_aligned_and_says_what_counts():
    text = str(quiet_table(build_lenet()))
    lines = text.splitlines()
    assert [len(line) for line in lines if line.startswith("-")] == [len(lines[1])] * 2
    assert "Only convolutions and matrix products count as MACs" in text
    assert "FLOPs = 2 × MACs" in text
    assert "61,706" in lines[-4]
    assert "at least" not in text


def test_html_escapes_names_and_aligns_numbers():
    model = chain((8, 8, 1), layers.Conv2D(2, 3, name="a<b"))
    page = quiet_table(model)._repr_html_()
    assert "a&lt;b" in page
    assert "a<b" not in page
    assert '<td style="text-align: right; white-space: nowrap">648</td>' in page
    assert "6 × 6 × 2" in page  # the output shape, without the batch axis
    assert "Only convolutions and matrix products count as MACs" in page


def test_to_dict_holds_one_plain_dictionary_per_row():
    rows = quiet_table(build_lenet()).to_dict()
    assert [row["params"] for row in rows] == [156, 0, 2_416, 0, 0, 48_120, 10_164, 850]
    assert set(rows[0]) == set(LayerRow.__dataclass_fields__)


def test_records_cannot_be_changed():
    table = quiet_table(build_lenet())
    with pytest.raises(AttributeError):
        table.rows[0].macs = 0  # type: ignore[misc]


# --- bad input -------------------------------------------------------------------------------------------


class Subclassed(keras.Model):
    def call(self, x):
        return x


class OwnSequential(keras.Sequential):
    def call(self, x):
        return 2 * super().call(x)


@pytest.mark.parametrize(
    ("function", "arguments", "options", "error", "words"),
    [
        (conv_output_size, (0, 3), {}, ValueError, ["`input_size`", "at least 1", "input_size=0"]),
        (conv_output_size, (3.5, 3), {}, TypeError, ["`input_size`", "input_size=3.5"]),
        (conv_output_size, (8, 0), {}, ValueError, ["`kernel_size`", "kernel_size=0"]),
        (conv_output_size, (8, True), {}, TypeError, ["`kernel_size`", "kernel_size=True"]),
        (conv_output_size, (8, 3), {"stride": 0}, ValueError, ["`stride`", "stride=0"]),
        (conv_output_size, (8, 3), {"dilation": -1}, ValueError, ["`dilation`", "dilation=-1"]),
        (conv_output_size, (8, 3), {"padding": "reflect"}, ValueError, ["`padding`", "'same'", "'reflect'"]),
        (conv_output_size, (8, 3), {"padding": -1}, ValueError, ["`padding`", "padding=-1"]),
        (conv_output_size, (8, 3), {"padding": (1, 1)}, TypeError, ["`padding`", "padding=(1, 1)"]),
        (conv_output_size, (4, 3), {"dilation": 2}, ValueError, ["`kernel_size`", "kernel_size=3", "5 pixels"]),
        (receptive_field, (3,), {}, TypeError, ["`layers`", "layers=3"]),
        (receptive_field, ([3, 1],), {}, TypeError, ["`layers`", "Entry 0 is 3"]),
        (receptive_field, ([(3, 1), (3,)],), {}, ValueError, ["`layers`", "Entry 1 is (3,)"]),
        (receptive_field, ([(3, 0)],), {}, ValueError, ["`layers[0][1]`", "layers[0][1]=0"]),
        (receptive_field, ([(3.0, 1)],), {}, TypeError, ["`layers[0][0]`", "3.0"]),
        (layer_table, ("vgg16",), {}, TypeError, ["`model`", "a Keras model", "model='vgg16'"]),
        (layer_table, (layers.Dense(3),), {}, TypeError, ["`model`", "Dense"]),
        (layer_table, (Subclassed(),), {}, TypeError, ["functional or Sequential", "Subclassed", "model.call"]),
        (layer_table, (OwnSequential([keras.Input((2,))]),), {}, TypeError, ["`model`", "OwnSequential"]),
        (layer_table, (keras.Sequential([layers.Dense(3)]),), {}, ValueError, ["`model`", "model.build("]),
        (layer_table, (keras.Sequential(),), {}, ValueError, ["`model`", "built", "keras.Input"]),
        (layer_table, (small_base(),), {}, ValueError, ["`input_shape`", "as (224, 224, 3)", "input_shape=None"]),
    ],
)
def test_bad_input_is_named_before_any_work(function, arguments, options, error, words):
    with pytest.raises(error) as caught:
        function(*arguments, **options)
    for word in [f"`{function.__name__}`", "Received: ", *words]:
        assert word in str(caught.value)
