"""Several models side by side, and the cost of layers that nobody has built."""

import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers

from kerascv_course._tables import Layout
from kerascv_course.architecture import Cost, compare_models, conv_cost, layer_table, stage_table
from kerascv_course.architecture.comparison import ModelComparison, ModelRecord
from kerascv_course.models import build_googlenet, build_lenet5, build_mobilenet_v2, build_resnet, build_vgg

pytestmark = pytest.mark.usefixtures("zeros_as_first_weights")


def branching():
    """Return a network with two branches of different depth, a norm, and three resolutions."""
    x = inputs = keras.Input((16, 16, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same", use_bias=False)(x))
    long = layers.Conv2D(4, 3, padding="same")(layers.Conv2D(4, 1)(x))
    x = layers.Add()([x, long])
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(8, 3, strides=2)(x)
    x = layers.MaxPooling2D(2)(x)
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)), name="branching")


@pytest.mark.smoke
def test_a_record_adds_up_the_table_and_its_memory():
    model = branching()
    (record,) = compare_models([model], batch_size=4).rows
    table = layer_table(model)
    assert record.params == model.count_params() == table.total_params
    assert record.macs == table.total_macs
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert record.trainable_params == trainable
    by_hand = 2 * 4 * record.activation_bytes + 4 * (record.params + 3 * trainable)
    assert record.training_bytes == by_hand
    assert record.step_ms is None


def test_depth_is_that_of_the_longest_path_and_weight_layers_are_all():
    (record,) = compare_models([branching()]).rows
    assert record.depth == 5  # 3x3, 1x1, 3x3, 3x3, dense; the short branch does not count
    assert record.weight_layers == 6  # and the norm


@pytest.mark.parametrize(
    ("name", "depth", "weight_layers"),
    [
        ("ResNet50", 50, 107),
        pytest.param("MobileNetV2", 53, 105, marks=pytest.mark.slow),
        pytest.param("InceptionV3", 48, 189, marks=pytest.mark.slow),
    ],
)
def test_depth_and_weight_layers_are_those_of_the_names_and_of_the_table_of_keras(name, depth, weight_layers):
    model = getattr(keras.applications, name)(weights=None)
    (record,) = compare_models([model]).rows
    assert (record.depth, record.weight_layers) == (depth, weight_layers)


def test_the_field_is_that_of_the_last_convolution():
    (record,) = compare_models([build_lenet5()]).rows
    assert record.receptive_field_px == 14  # 5x5, pooling, 5x5
    (flat,) = compare_models([keras.Sequential([keras.Input((4,)), layers.Dense(2)])]).rows
    assert flat.receptive_field_px is None


def test_a_row_shows_millions_mebibytes_and_milliseconds():
    record = ModelRecord("net", 1234, 1000, 2_560_000, 3 * 2**19, 1500 * 2**20, 5, 6, (7, 9), 1.25)
    cells = str(ModelComparison((record, replace(record, step_ms=None)), ())).splitlines()
    assert " ".join(cells[-2].split()) == "net 1,234 2.6 M 1.5 MiB 1,500 MiB 5 6 7 x 9 1.2"
    assert cells[-1].split()[-4:] == ["7", "x", "9", "-"]


def test_time_is_measured_only_where_it_is_asked_for():
    (record,) = compare_models([branching()], runs=1).rows
    assert record.step_ms > 0


def test_a_comparison_is_a_table_in_text_and_html_and_rows_for_pandas():
    comparison = compare_models([build_lenet5(), branching()])
    assert [row["name"] for row in comparison.to_dict()] == ["lenet5", "branching"]
    text = str(comparison).splitlines()
    assert text[0].split()[:3] == ["Model", "Parameters", "MACs"]
    assert text[2].split()[:3] == ["lenet5", "61,706", "0.4"]
    assert "32 images" in text[-1]
    assert '<td style="text-align: right; white-space: nowrap">61,706</td>' in comparison._repr_html_()


TABLE = Layout(
    ("Layer", "Kind", "Size", "MACs"),
    [("conv1", "Conv2D", "28", "1,000"), ("out", "Dense", "<10>", "7")],
    ["First note.", "Second & last."],
    left=2,
    title="A network",
    total=("All", "", "", "1,007"),
)


def test_a_table_in_text_has_a_rule_as_wide_as_its_columns_below_the_header_and_above_the_total():
    assert str(TABLE.text()).splitlines() == [
        "A network",
        "Layer  Kind    Size   MACs",
        "--------------------------",
        "conv1  Conv2D    28  1,000",
        "out    Dense   <10>      7",
        "--------------------------",
        "All                  1,007",
        "First note.",
        "Second & last.",
    ]


def test_a_table_in_html_has_caption_header_rows_total_and_notes():
    def line(tag, *cells):
        sides = ("left", "left", "right", "right")
        texts = zip(sides, cells, strict=True)
        inner = (f'<{tag} style="text-align: {side}; white-space: nowrap">{cell}</{tag}>' for side, cell in texts)
        return f"<tr>{''.join(inner)}</tr>"

    assert TABLE.html() == (
        f"<table><caption>A network</caption><thead>{line('th', 'Layer', 'Kind', 'Size', 'MACs')}</thead>"
        f"<tbody>{line('td', 'conv1', 'Conv2D', '28', '1,000')}{line('td', 'out', 'Dense', '&lt;10&gt;', '7')}"
        f"</tbody><tfoot>{line('th', 'All', '', '', '1,007')}</tfoot></table>"
        "<p><small>First note.<br>Second &amp; last.</small></p>"
    )


@pytest.mark.parametrize(
    "measure", [layer_table, lambda model: compare_models([model]), lambda model: stage_table([model])]
)
def test_a_data_frame_holds_what_the_dictionaries_hold(measure, monkeypatch):
    table = measure(branching())
    frame = table.to_frame()
    assert len(frame) == len(table.to_dict()) > 0
    assert list(frame.columns) == list(table.to_dict()[0])
    count = frame.columns[-1] if "layers" in frame else "params"
    assert frame[count].sum() == sum(row[count] for row in table.to_dict()) > 0
    monkeypatch.setitem(sys.modules, "pandas", None)  # not installed
    with pytest.raises(ImportError, match=r'"kerascv_course\[pandas\]"'):
        table.to_frame()


def test_stages_are_where_the_resolution_changes():
    (stages,) = stage_table([branching()]).stages
    assert [(stage.size_px, stage.channels, stage.layers) for stage in stages] == [
        ((16, 16), 4, 3),
        ((8, 8), 8, 1),
        ((4, 4), 8, 0),
    ]


PAPERS = {  # side of the maps: how many there are and from how many convolutions, shortcuts' projections included
    "ResNet-50": (
        lambda: build_resnet(50),
        {112: (64, 1), 56: (256, 10), 28: (512, 13), 14: (1024, 19), 7: (2048, 10)},
    ),
    "MobileNetV2": (build_mobilenet_v2, {112: (16, 3), 56: (24, 6), 28: (32, 9), 14: (96, 21), 7: (1280, 13)}),
    "ResNet-18": (lambda: build_resnet(18), {112: (64, 1), 56: (64, 4), 28: (128, 5), 14: (256, 5), 7: (512, 5)}),
    "ResNet-34": (lambda: build_resnet(34), {112: (64, 1), 56: (64, 6), 28: (128, 9), 14: (256, 13), 7: (512, 7)}),
    "ResNet-101": (
        lambda: build_resnet(101),
        {112: (64, 1), 56: (256, 10), 28: (512, 13), 14: (1024, 70), 7: (2048, 10)},
    ),
    "ResNet-50, stride in the 1x1": (
        lambda: build_resnet(50, downsample="1x1"),
        {112: (64, 1), 56: (256, 10), 28: (512, 13), 14: (1024, 19), 7: (2048, 10)},
    ),
    "VGG16": (build_vgg, {224: (64, 2), 112: (128, 2), 56: (256, 3), 28: (512, 3), 14: (512, 3), 7: (512, 0)}),
    "GoogLeNet": (build_googlenet, {112: (64, 1), 56: (192, 2), 28: (480, 12), 14: (832, 30), 7: (1024, 12)}),
    "GoogLeNet, training": (
        lambda: build_googlenet(auxiliary_heads=True),
        {112: (64, 1), 56: (192, 2), 28: (480, 12), 14: (832, 30), 7: (1024, 12), 4: (128, 2)},
    ),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (place > 1)) for place, name in enumerate(PAPERS)]
)
def test_the_stages_are_those_of_the_paper(name):
    build, expected = PAPERS[name]
    (stages,) = stage_table([build()]).stages
    assert {stage.size_px[0]: (stage.channels, stage.layers) for stage in stages} == expected


def test_maps_that_skip_to_the_other_end_of_a_network_keep_their_size():
    inputs = keras.Input((16, 16, 1))
    first = layers.Conv2D(2, 3, padding="same")(inputs)
    x = layers.Conv2D(4, 3, padding="same", strides=2)(first)
    x = layers.Conv2DTranspose(3, 2, strides=2)(layers.Conv2D(6, 3, padding="same")(x))
    model = keras.Model(inputs, layers.Conv2D(1, 1)(layers.Concatenate()([first, x])))
    (stages,) = stage_table([model]).stages
    found = [(stage.size_px[0], stage.channels, stage.layers) for stage in stages]
    assert found == [(16, 1, 3), (8, 6, 2)]


def test_stages_stand_side_by_side():
    table = stage_table([build_lenet5(), branching()])
    lines = str(table).splitlines()
    assert lines[0].split() == ["lenet5", "branching"]
    assert lines[2].startswith("28 x 28, 6 maps, 1 layer ")
    assert lines[2].endswith("16 x 16, 4 maps, 3 layers")
    assert len(lines) == 2 + 4  # LeNet-5 has four sizes, the other three
    assert table._repr_html_().count("<tr>") == 5
    assert {row["model"] for row in table.to_dict()} == {"lenet5", "branching"}


# Calculators


@pytest.mark.parametrize(
    ("kernel_size", "stride", "groups", "use_bias"),
    [(3, 1, 1, True), (5, 2, 1, False), ((1, 3), 1, 2, True), (3, 3, 4, True)],
)
def test_the_cost_of_a_convolution_is_that_of_keras(kernel_size, stride, groups, use_bias):
    layer = layers.Conv2D(12, kernel_size, strides=stride, padding="same", groups=groups, use_bias=use_bias)
    row = layer_table(keras.Sequential([keras.Input((14, 10, 8)), layer])).rows[0]
    cost = conv_cost((14, 10), 8, 12, kernel_size, stride=stride, groups=groups, use_bias=use_bias)
    assert (cost.params, cost.macs, cost.activations) == (row.params, row.macs, row.activation_values)


def test_the_arguments_of_the_lectures_come_out():
    def same(kernel_size, channels=64, side=32, **options):
        return conv_cost(side, channels, channels, kernel_size, **options)

    c, w = 64, 32
    assert same(5) == Cost(25 * c * c + c, 25 * c * c * w * w, c * w * w)
    assert same(3) + same(3) == Cost(18 * c * c + 2 * c, 18 * c * c * w * w, 2 * c * w * w)
    assert (same(3) + same(3)).flops == 36 * c * c * w * w
    # The 5x5 branch of an inception block, with and without a reduction to 16 maps (Di Stefano).
    assert round(conv_cost(32, 200, 32, 5).macs / 1e6, 1) == 163.8
    reduced = conv_cost(32, 200, 16, 1) + conv_cost(32, 16, 32, 5)
    assert round(reduced.macs / 1e6, 1) == 16.4
    # 3 input maps, two filters of 5x5.
    assert conv_cost(32, 3, 2, 5).params == 152
    assert conv_cost(32, 8, 16, 5) == Cost(3_216, 3_276_800, 16_384)
    # Fully connected instead of a convolution: 224x224x3 to 224x224.
    assert conv_cost(1, 224 * 224 * 3, 224 * 224, 1, use_bias=False).params == pytest.approx(7.5e9, rel=0.01)
    for channels in (64, 128, 256, 512):
        separable = same(3, channels, groups=channels, use_bias=False) + same(1, channels, use_bias=False)
        ratio = same(3, channels, use_bias=False).macs / separable.macs
        assert ratio == pytest.approx(1 / (1 / channels + 1 / 9))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: compare_models(build_lenet5()), TypeError, ["`models` of `compare_models`", "[ ]"]),
        (lambda: compare_models([]), ValueError, ["`models` of `compare_models`", "one or more"]),
        (
            lambda: compare_models([keras.Sequential([layers.Dense(2)])]),
            ValueError,
            ["`models` of `compare_models`", "built"],
        ),
        (
            lambda: compare_models([build_lenet5()], batch_size=0),
            ValueError,
            ["`batch_size` of `compare_models`", "at least 1"],
        ),
        (lambda: compare_models([build_lenet5()], runs=2.5), TypeError, ["`runs` of `compare_models`", "2.5"]),
        (lambda: stage_table(["vgg16"]), TypeError, ["`models` of `stage_table`", "vgg16"]),
        (
            lambda: stage_table([keras.Sequential([keras.Input((4,)), layers.Dense(2)], name="flat")]),
            ValueError,
            ["`models` of `stage_table`", "compute maps", "flat"],
        ),
        (lambda: conv_cost(0, 3, 8, 3), ValueError, ["`size` of `conv_cost`", "size=0"]),
        (lambda: conv_cost((32, 32, 3), 3, 8, 3), ValueError, ["`size` of `conv_cost`", "(32, 32, 3)"]),
        (lambda: conv_cost(32, 3, 8, 3.0), TypeError, ["`kernel_size` of `conv_cost`", "3.0"]),
        (lambda: conv_cost(32, 3, 8, 3, groups=3), ValueError, ["`groups` of `conv_cost`", "divisor", "(8)"]),
        (lambda: conv_cost(32, 3, 8, 3, use_bias=1), TypeError, ["`use_bias` of `conv_cost`", "use_bias=1"]),
    ],
)
def test_bad_input_is_refused_by_name(call, error, words):
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)
