"""The courses' figures of the architectures: each recomputed, each erratum with the printed and the right one.

Everything comes from `layer_table` on the course's own builders, unless a row says that it is Keras' own model.
"""

import functools
import math
from fractions import Fraction

import keras
import pytest
from keras import layers

from kerascv_course import layer_table
from kerascv_course.architecture import LayerRow, LayerTable, conv_cost, conv_output_size
from kerascv_course.models import (
    build_alexnet,
    build_googlenet,
    build_lenet5,
    build_mobilenet_v2,
    build_resnet,
    build_vgg,
)

pytestmark = pytest.mark.usefixtures("zeros_as_first_weights")


def mlp(channels: int) -> keras.Model:
    inputs = keras.Input((32, 32, channels))
    x = layers.Dense(84, activation="relu")(layers.Flatten()(inputs))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def lenet_of_manco(side: int) -> keras.Model:
    """Return the maps before the classifier: tanh, average pooling, then maximum pooling."""
    inputs = keras.Input((side, side, 1))
    x = layers.AveragePooling2D(2)(layers.Conv2D(6, 5, activation="tanh")(inputs))
    return keras.Model(inputs, layers.MaxPooling2D(2)(layers.Conv2D(16, 5, activation="tanh")(x)))


def simple_cnn(with_pooling: bool) -> keras.Model:
    """Return Boracchi's simple CNN, as its code has it, or without the pooling, as its summary has it."""
    x = inputs = keras.Input((28, 28, 1))
    x = layers.Conv2D(64, 3, activation="relu")(x)
    if with_pooling:
        x = layers.MaxPooling2D(2)(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(layers.Flatten()(x)))


MODELS = {
    "lenet5": build_lenet5,
    "lenet5 rgb": lambda: build_lenet5(input_shape=(32, 32, 3)),
    "mlp": lambda: mlp(1),
    "mlp rgb": lambda: mlp(3),
    "alexnet": build_alexnet,
    "alexnet two groups": lambda: build_alexnet(groups=2),
    **{f"vgg {variant}": functools.partial(build_vgg, variant) for variant in ("A", "A-LRN", "B", "C", "D", "E")},
    "vgg D features": lambda: build_vgg("D", include_top=False),
    "googlenet": build_googlenet,
    "googlenet with heads": lambda: build_googlenet(auxiliary_heads=True),
    **{f"resnet{depth}": functools.partial(build_resnet, depth, downsample="1x1")
       for depth in (18, 34, 50, 101, 152)},
    "resnet50 3x3": lambda: build_resnet(50, downsample="3x3"),
    "mobilenet_v2": build_mobilenet_v2,
    "mobilenet_v2 features": lambda: build_mobilenet_v2(include_top=False),
    "keras inception_v3": lambda: keras.applications.InceptionV3(weights=None),
}  # fmt: skip


@functools.cache
def table(name: str) -> LayerTable:
    """Measure a model once; the records stay, the model's memory is given back."""
    return layer_table(MODELS[name]())


@functools.cache
def inception_v3() -> keras.Model:
    return keras.applications.InceptionV3(weights=None, include_top=False)


def of_type(name: str, layer_type: str) -> list[LayerRow]:
    return [row for row in table(name).rows if row.layer_type == layer_type]


def named(name: str, start: str) -> list[LayerRow]:
    return [row for row in table(name).rows if row.name.startswith(start)]


def params(rows: list[LayerRow]) -> int:
    return sum(row.params for row in rows)


def params_and_depth(name: str) -> tuple[int, int]:
    return table(name).total_params, table(name).depth


def flops(rows: list[LayerRow]) -> int:
    return sum(row.flops or 0 for row in rows)


def shown(value: float, unit: float, digits: int) -> float:
    """Round to the precision that the courses print."""
    return round(value / unit, digits)


def inception_weights(block: str) -> int:
    """Return the weights of a block of GoogLeNet without its biases, one for each map it writes."""
    rows = [row for row in named("googlenet", f"inception{block}_") if row.layer_type == "Conv2D"]
    assert len(rows) == 6
    return sum(row.params - row.output_shape[-1] for row in rows)


def rows_of_mobilenet() -> list[tuple[int, int, int, int]]:
    """Read t, c, n and s of each row of the paper's table out of the built layers."""
    found = []
    for number in range(1, 8):
        blocks = {row.name.split("_")[1] for row in named("mobilenet_v2", f"row{number}_block")}
        first = {row.name: row for row in named("mobilenet_v2", f"row{number}_block1_")}
        depthwise = first[f"row{number}_block1_depthwise"]
        project = next(row for name, row in first.items() if name.endswith("_project"))
        read = _before(first, f"row{number}_block1")
        expansion = depthwise.output_shape[-1] // read.output_shape[-1]
        stride = read.output_shape[1] // depthwise.output_shape[1]
        found.append((expansion, project.output_shape[-1], len(blocks), stride))
    return found


def _before(first: dict[str, LayerRow], start: str) -> LayerRow:
    rows = table("mobilenet_v2").rows
    index = next(index for index, row in enumerate(rows) if row.name.startswith(start))
    return rows[index - 1]


# What the courses teach, and what comes out of running code: a name, the computation, the figure.
FACTS = [
    # LeNet-5 and its comparison
    ("LeNet-5", lambda: table("lenet5").total_params, 61_706),
    ("LeNet-5, layer by layer", lambda: [row.params for row in table("lenet5").rows if row.params],
     [156, 2_416, 48_120, 10_164, 850]),
    ("LeNet-5, RGB", lambda: table("lenet5 rgb").total_params, 62_006),
    ("LeNet-5, RGB, first convolution", lambda: of_type("lenet5 rgb", "Conv2D")[0].params, 456),
    ("MLP", lambda: table("mlp").total_params, 86_950),
    ("MLP, RGB", lambda: table("mlp rgb").total_params, 258_982),
    *[(f"LeNet of Manco, side {side}", lambda side=side: lenet_of_manco(side).output_shape[1],
       ((side - 6) // 2 - 5) // 2 + 1) for side in (16, 28, 29, 31, 32, 64)],
    # AlexNet
    ("AlexNet", lambda: table("alexnet").total_params, 62_378_344),
    ("AlexNet, convolutions", lambda: params(of_type("alexnet", "Conv2D")), 3_747_200),
    ("AlexNet, dense", lambda: params(of_type("alexnet", "Dense")), 58_631_144),
    ("AlexNet, sides", lambda: [row.output_shape[1] for row in table("alexnet").rows
                                if row.layer_type in ("Conv2D", "MaxPooling2D")], [55, 27, 27, 13, 13, 13, 13, 6]),
    ("AlexNet, two groups", lambda: table("alexnet two groups").total_params, 60_965_224),
    ("AlexNet, GFLOPs", lambda: shown(table("alexnet").total_flops, 1e9, 2), 2.27),
    ("AlexNet, MFLOPs of convolutions", lambda: [shown(row.flops, 1e6, 0) for row in of_type("alexnet", "Conv2D")],
     [211, 896, 299, 449, 299]),
    ("AlexNet, MFLOPs of dense layers", lambda: [shown(row.flops, 1e6, 1) for row in of_type("alexnet", "Dense")],
     [75.5, 33.6, 8.2]),
    # VGG
    *[(f"VGG {variant}", lambda variant=variant: params_and_depth(f"vgg {variant}"), figures)
      for variant, figures in {
           "A": (132_863_336, 11), "A-LRN": (132_863_336, 11), "B": (133_047_848, 13), "C": (133_638_952, 16),
           "D": (138_357_544, 16), "E": (143_667_240, 19)}.items()],
    ("VGG16 without top", lambda: table("vgg D features").total_params, 14_714_688),
    ("VGG16, dense", lambda: params(of_type("vgg D", "Dense")), 123_642_856),
    ("VGG16, GFLOPs", lambda: shown(table("vgg D").total_flops, 1e9, 2), 30.94),
    ("VGG16, GFLOPs of the blocks",
     lambda: [shown(flops(named("vgg D", f"block{block}_")), 1e9, 2) for block in range(1, 6)],
     [3.87, 5.55, 9.25, 9.25, 2.77]),
    ("VGG16, GFLOPs of the dense layers", lambda: shown(flops(of_type("vgg D", "Dense")), 1e9, 3), 0.247),
    # GoogLeNet
    ("GoogLeNet", lambda: table("googlenet").total_params, 6_998_552),
    ("GoogLeNet with both heads", lambda: table("googlenet with heads").total_params, 13_378_280),
    *[(f"GoogLeNet, weights of {block}", lambda block=block: inception_weights(block), weights)
      for block, weights in {
          "3a": 163_328, "3b": 388_096, "4a": 375_552, "4b": 448_512, "4c": 509_440, "4d": 604_672, "4e": 867_328,
          "5a": 1_042_432, "5b": 1_442_816}.items()],
    ("Inception, 5x5 on 32x32x200", lambda: shown(conv_cost(32, 200, 32, 5).macs, 1e6, 1), 163.8),
    ("Inception, reduced to 16 first",
     lambda: shown((conv_cost(32, 200, 16, 1) + conv_cost(32, 16, 32, 5)).macs, 1e6, 1), 16.4),
    # ResNet
    *[(f"ResNet-{depth}, trainable", lambda depth=depth: table(f"resnet{depth}").trainable_params, trainable)
      for depth, trainable in {
           18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}.items()],
    ("ResNet, depths", lambda: [table(f"resnet{depth}").depth for depth in (18, 34, 50, 101, 152)],
     [18, 34, 50, 101, 152]),
    ("ResNet-50, stride in the first 1x1, GMACs", lambda: shown(table("resnet50").total_macs, 1e9, 2), 3.86),
    ("ResNet-50, stride in the 3x3, GMACs", lambda: shown(table("resnet50 3x3").total_macs, 1e9, 2), 4.09),
    # The paper truncates the first three and rounds the last two.
    ("ResNet-18, 34, 50, GMACs as printed",
     lambda: [int(table(f"resnet{depth}").total_macs / 1e8) / 10 for depth in (18, 34, 50)], [1.8, 3.6, 3.8]),
    ("ResNet-101, 152, GMACs as printed",
     lambda: [shown(table(f"resnet{depth}").total_macs, 1e9, 1) for depth in (101, 152)], [7.6, 11.3]),
    # MobileNetV2
    ("MobileNetV2", lambda: (table("mobilenet_v2").total_params, table("mobilenet_v2").trainable_params),
     (3_538_984, 3_504_872)),
    ("MobileNetV2 without top", lambda: table("mobilenet_v2 features").total_params, 2_257_984),
    ("MobileNetV2, MMACs", lambda: int(table("mobilenet_v2").total_macs / 1e6), 300),
    ("MobileNetV2, rows", rows_of_mobilenet,
     [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]),
    ("MobileNetV2, last convolution", lambda: of_type("mobilenet_v2", "Conv2D")[-1].output_shape[-1], 1280),
    # InceptionV3 of Keras
    ("InceptionV3", lambda: table("keras inception_v3").total_params, 23_851_784),
    ("InceptionV3 without top", lambda: inception_v3().count_params(), 21_802_784),
    ("InceptionV3, layers without top", lambda: len(inception_v3().layers), 311),
    ("InceptionV3, blocks", lambda: [layer.name for layer in inception_v3().layers
                                     if layer.name in {f"mixed{number}" for number in range(20)}],
     [f"mixed{number}" for number in range(11)]),
    *[(f"InceptionV3, cut after mixed{block}",
       lambda block=block: keras.Model(
           inception_v3().input, inception_v3().get_layer(f"mixed{block}").output).count_params(), figure)
      for block, figure in enumerate([
          429_440, 707_408, 993_056, 2_146_976, 3_445_920, 5_138_656, 6_831_392, 8_975_264, 10_674_848, 15_722_720,
          21_802_784])],
]  # fmt: skip


@pytest.mark.parametrize(("compute", "figure"), [fact[1:] for fact in FACTS], ids=[fact[0] for fact in FACTS])
def test_the_figure_of_the_course_comes_out_of_running_code(compute, figure):
    assert compute() == figure


# What a course prints by mistake: how that figure comes about, and the right one.
VGG_CONVOLUTION = conv_cost(14, 512, 512, 3)  # the one that rows B and E of the slides lack
RELU_COPIES = 13  # convolutions of VGG16; besides, its first two dense layers have one


def activations_with_relu_copies() -> int:
    rows = [*of_type("vgg D", "Conv2D"), *of_type("vgg D", "Dense")[:2]]
    assert len(rows) == RELU_COPIES + 2
    return table("vgg D").total_activations + sum(row.activation_values for row in rows)


ERRATA = [
    ("VGG16, GFLOPs of block 5: at 28x28 it would be the printed 11.1",
     lambda: shown(3 * conv_cost(28, 512, 512, 3).flops, 1e9, 1), 11.1,
     lambda: shown(flops(named("vgg D", "block5_")), 1e9, 2), 2.77),
    ("VGG16, GFLOPs in all: with that block 5 it would be the printed 39",
     lambda: int((table("vgg D").total_flops + 9 * conv_cost(14, 512, 512, 3).flops) / 1e9), 39,
     lambda: shown(table("vgg D").total_flops, 1e9, 1), 30.9),
    ("VGG16, activations: 'about 100 MB' fits where the copies of ReLU are kept",
     lambda: shown(4 * activations_with_relu_copies(), 2**20, 0), 109,
     lambda: (table("vgg D").total_activations, shown(table("vgg D").activation_bytes, 2**20, 0)),
     (15_087_080, 58)),
    ("VGG B as printed lacks a convolution",
     lambda: (table("vgg B").total_params - VGG_CONVOLUTION.params, table("vgg B").depth - 1), (130_688_040, 12),
     lambda: params_and_depth("vgg B"), (133_047_848, 13)),
    ("VGG E as printed lacks a convolution",
     lambda: (table("vgg E").total_params - VGG_CONVOLUTION.params, table("vgg E").depth - 1), (141_307_432, 18),
     lambda: params_and_depth("vgg E"), (143_667_240, 19)),
    ("AlexNet: 224 pixels do not give 55 maps, 227 do",
     lambda: conv_output_size(224, 11, stride=4), 54,
     lambda: conv_output_size(227, 11, stride=4), 55),
    ("MobileNetV2: with the average pooling there are 54 layers",
     lambda: table("mobilenet_v2").depth + len(of_type("mobilenet_v2", "GlobalAveragePooling2D")), 54,
     lambda: (table("mobilenet_v2").depth, sum(bool(row.macs) for row in table("mobilenet_v2").rows)), (53, 53)),
    ("Simple CNN: the printed summary has no pooling",
     lambda: simple_cnn(with_pooling=False).count_params(), 433_290,
     lambda: simple_cnn(with_pooling=True).count_params(), 108_810),
    ("Output size: a ceiling counts a window that does not fit",
     lambda: math.ceil(Fraction(224 + 2 * 3 - 7, 2)) + 1, 113,
     lambda: conv_output_size(224, 7, stride=2, padding=3), 112),
    ("FC in place of a convolution at 1,024 pixels: 3.2e12 weights are cut, not rounded",
     lambda: (math.floor(3 * 1024**4 / 1e11) / 10, 2 * math.floor(3 * 1024**4 / 1e11) / 10), (3.2, 6.4),
     lambda: (shown(conv_cost(1, 3 * 1024**2, 1024**2, 1, use_bias=False).params, 1e12, 1),
              shown(conv_cost(1, 3 * 1024**2, 1024**2, 1).flops, 1e12, 1)), (3.3, 6.6)),
    ("ResNet without global average pooling: the dense layer reads 7x7 maps",
     lambda: conv_cost(1, 7 * 7 * 512, 1000, 1).params, 25_089_000,
     lambda: of_type("resnet18", "Dense")[0].params, 513_000),
]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "printed", "right", "computed"), [row[1:] for row in ERRATA], ids=[row[0] for row in ERRATA]
)
def test_the_erratum_has_its_printed_and_its_right_figure(wrong, printed, right, computed):
    assert wrong() == printed
    assert right() == computed


# Printed figures that no reading explains: (printed, computed) at the printed precision.
@pytest.mark.parametrize(
    ("printed", "compute", "computed"),
    [
        (37.5, lambda: of_type("alexnet", "Dense")[0].params - 4096, 37_748_736),
        (2.7e-3, lambda: of_type("googlenet", "Conv2D")[0].params - 64, 9_408),
    ],
    ids=["AlexNet, millions of weights in fc6", "GoogLeNet, 2.7K weights in the first convolution"],
)
def test_the_printed_figure_is_wrong_at_its_own_precision(printed, compute, computed):
    assert compute() == computed
    digits = 4 if printed < 1 else 1
    assert shown(computed, 1e6, digits) != printed
    assert shown(computed, 2**20, digits) != printed


# Table 1 of the GoogLeNet paper, which the slides repeat.
PRINTED_K = {"3a": 159, "3b": 380, "4a": 364, "4b": 437, "4c": 463, "4d": 580, "4e": 840, "5a": 1_072, "5b": 1_388}


def test_of_the_printed_inception_blocks_one_is_exact_six_are_near_and_two_are_wrong():
    off = {block: inception_weights(block) / 1024 / printed - 1 for block, printed in PRINTED_K.items()}
    assert int(inception_weights("3a") / 1024) == PRINTED_K["3a"]
    assert [block for block in off if int(inception_weights(block) / 1024) == PRINTED_K[block]] == ["3a"]
    assert {block: round(100 * share) for block, share in off.items() if abs(share) > 0.02} == {"4c": 7, "5a": -5}


def test_the_columns_of_vgg_that_the_slides_print_have_twelve_and_eighteen_layers_when_built():
    for variant, lacking, printed in (("B", "block5_conv2", 130_688_040), ("E", "block5_conv4", 141_307_432)):
        full = build_vgg(variant, input_shape=(32, 32, 3), include_top=False)
        x = inputs = keras.Input((32, 32, 3))
        for layer in full.layers[1:]:
            if layer.name != lacking:
                x = type(layer).from_config(layer.get_config())(x)
        dense = params(of_type(f"vgg {variant}", "Dense"))
        assert keras.Model(inputs, x).count_params() + dense == printed
