"""Every layer of Keras in a layer table: known, with exact MACs, or named with the reason why it is not."""

import warnings
from typing import Any

import keras
import pytest
from keras import layers
from test_architecture import profiled_macs

from kerascv_course import layer_table, transfer
from kerascv_course.architecture import LayerTable, compare_models, costs, stage_table

IMAGE, SEQUENCE, CUBE = (8, 8, 3), (6, 4), (4, 4, 4, 2)


def net(layer: keras.Layer, *shapes: tuple[int, ...], as_list: bool = False, **options: Any) -> keras.Model:
    """Return a model of one layer, called on inputs of these shapes."""
    inputs = [keras.Input(shape) for shape in shapes]
    return keras.Model(inputs, layer(inputs, **options) if as_list else layer(*inputs, **options))


def quiet_table(model: keras.Model, **options: Any) -> LayerTable:
    """Measure a model, and fail if a layer in it is not known."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return layer_table(model, **options)


# Every layer of Keras: what it is called on and made with; an image and nothing where it is not named here

EXAMPLES: list[tuple[list[tuple[int, ...]], dict[str, Any], str]] = [
    ([IMAGE], {"filters": 2, "kernel_size": 2}, "Conv2D Conv2DTranspose SeparableConv2D"),
    ([SEQUENCE], {"filters": 2, "kernel_size": 2}, "Conv1D Conv1DTranspose SeparableConv1D"),
    ([CUBE], {"filters": 2, "kernel_size": 2}, "Conv3D Conv3DTranspose"),
    ([(3, 8, 2)], {"filters": 2, "kernel_size": 2}, "ConvLSTM1D"),
    ([(3, 8, 8, 2)], {"filters": 2, "kernel_size": 2}, "ConvLSTM2D"),
    ([(2, 4, 4, 4, 1)], {"filters": 2, "kernel_size": 2}, "ConvLSTM3D"),
    ([IMAGE], {"kernel_size": 2}, "DepthwiseConv2D"),
    ([SEQUENCE], {"kernel_size": 2}, "DepthwiseConv1D"),
    ([IMAGE], {"pool_size": 2}, "AveragePooling2D MaxPooling2D"),
    ([SEQUENCE], {"pool_size": 2}, "AveragePooling1D MaxPooling1D"),
    ([CUBE], {"pool_size": 2}, "AveragePooling3D MaxPooling3D"),
    ([IMAGE], {"output_size": 2}, "AdaptiveAveragePooling2D AdaptiveMaxPooling2D"),
    ([SEQUENCE], {"output_size": 2}, "AdaptiveAveragePooling1D AdaptiveMaxPooling1D"),
    ([CUBE], {"output_size": 2}, "AdaptiveAveragePooling3D AdaptiveMaxPooling3D"),
    ([SEQUENCE], {}, "GlobalAveragePooling1D GlobalMaxPooling1D Cropping1D UpSampling1D ZeroPadding1D Masking"),
    ([CUBE], {}, "GlobalAveragePooling3D GlobalMaxPooling3D Cropping3D UpSampling3D ZeroPadding3D"),
    ([SEQUENCE], {"rate": 0.5}, "SpatialDropout1D"),
    ([CUBE], {"rate": 0.5}, "SpatialDropout3D"),
    ([IMAGE], {"rate": 0.5}, "Dropout AlphaDropout GaussianDropout SpatialDropout2D"),
    ([IMAGE] * 2, {}, "Add Average Concatenate Maximum Minimum Multiply Subtract"),
    ([SEQUENCE], {"units": 2}, "Dense GRU LSTM SimpleRNN"),
    ([(4,)], {"units": 2}, "GRUCell LSTMCell SimpleRNNCell"),
    ([(4,)], {"cells": [layers.LSTMCell(2), layers.GRUCell(3)]}, "StackedRNNCells"),
    ([SEQUENCE], {"cell": layers.LSTMCell(2)}, "RNN"),
    ([SEQUENCE], {"layer": layers.LSTM(2)}, "Bidirectional"),
    ([SEQUENCE], {"layer": layers.Dense(2)}, "TimeDistributed"),
    ([IMAGE], {"layer": layers.Conv2D(2, 3)}, "SpectralNormalization"),
    ([IMAGE], {"layers": [layers.RandomFlip(), layers.Rescaling(2.0)]}, "Pipeline"),
    ([SEQUENCE] * 2, {}, "Attention AdditiveAttention"),
    ([SEQUENCE] * 2, {"axes": 2}, "Dot"),
    ([SEQUENCE] * 2, {"num_heads": 2, "key_dim": 3}, "MultiHeadAttention"),
    ([SEQUENCE] * 2, {"head_dim": 2, "num_query_heads": 4, "num_key_value_heads": 2}, "GroupQueryAttention"),
    ([SEQUENCE], {"equation": "abc,cd->abd", "output_shape": (None, 3)}, "EinsumDense"),
    ([SEQUENCE], {"frame_length": 4, "frame_step": 2}, "STFTSpectrogram"),
    ([(64,)], {"num_mel_bins": 4, "fft_length": 16, "sequence_stride": 4}, "MelSpectrogram"),
    ([(4,)], {"input_dim": 5, "output_dim": 2}, "Embedding ReversibleEmbedding"),
    ([(4,)], {"n": 3}, "RepeatVector"),
    ([(4,)], {"num_tokens": 5}, "CategoryEncoding"),
    ([(1,)] * 2, {"num_bins": 4}, "HashedCrossing"),
    ([(1,)], {"num_bins": 4}, "Hashing"),
    ([(1,)], {"vocabulary": [1, 2, 3]}, "IntegerLookup"),
    ([(1,)], {"vocabulary": ["a", "b"]}, "StringLookup"),
    ([(1,)], {"vocabulary": ["a", "b"], "output_sequence_length": 4}, "TextVectorization"),
    ([IMAGE], {"bin_boundaries": [0.0, 1.0]}, "Discretization"),
    ([IMAGE], {"height": 4, "width": 4}, "CenterCrop RandomCrop Resizing"),
    (
        [IMAGE],
        {"factor": 0.5},
        "RandomBrightness RandomColorDegeneration RandomContrast RandomGrayscale RandomHue",
    ),
    ([IMAGE], {"factor": 0.5}, "RandomRotation RandomSaturation RandomSharpness"),
    ([IMAGE], {"factor": 4}, "RandomPosterization"),
    ([IMAGE], {"height_factor": 0.5, "width_factor": 0.5}, "RandomTranslation RandomZoom"),
    ([IMAGE], {"activation": "relu"}, "Activation"),
    ([IMAGE], {"function": abs, "output_shape": IMAGE}, "Lambda"),
    ([IMAGE], {"groups": 1}, "GroupNormalization"),
    ([IMAGE], {"max_number": 3}, "MaxNumBoundingBoxes"),
    ([IMAGE], {"mean": 0.0, "variance": 1.0}, "Normalization"),
    ([IMAGE], {"dims": (2, 1, 3)}, "Permute"),
    ([IMAGE], {"scale": 2.0}, "Rescaling"),
    ([IMAGE], {"stddev": 0.5}, "GaussianNoise"),
    ([IMAGE], {"target_shape": (64, 3)}, "Reshape"),
]
BY_NAME = {name: (shapes, options) for shapes, options, names in EXAMPLES for name in names.split()}
DTYPES = dict.fromkeys(("HashedCrossing", "StringLookup", "TextVectorization"), "string")
DTYPES |= dict.fromkeys(
    ("CategoryEncoding", "Hashing", "IntegerLookup", "Embedding", "ReversibleEmbedding"), "int32"
)


def every_layer() -> list[str]:
    """Return the layers of the installed Keras, each once."""
    found = {name: getattr(layers, name) for name in dir(layers)}
    kinds = {one: name for name, one in found.items() if isinstance(one, type) and issubclass(one, layers.Layer)}
    return [kind.__name__ if hasattr(layers, kind.__name__) else name for kind, name in kinds.items()]


def states_of(sizes: Any) -> Any:
    """Return an input for each state of a recurrent cell, in lists where it has several."""
    return [states_of(size) for size in sizes] if isinstance(sizes, list | tuple) else keras.Input((sizes,))


def model_of(name: str) -> keras.Model:
    """Return a model of one layer."""
    shapes, options = BY_NAME.get(name, ([IMAGE], {}))
    inputs = [keras.Input(shape, dtype=DTYPES.get(name, "float32")) for shape in shapes]
    if name == "InputLayer":
        return keras.Model(inputs, layers.Identity()(inputs[0]))
    layer = getattr(layers, name)(**options)
    if hasattr(layer, "state_size") and not hasattr(layer, "cell"):
        states = states_of(layer.state_size)
        return keras.Model([inputs, states], layer(*inputs, states if isinstance(states, list) else [states]))
    apart = name in ("MultiHeadAttention", "GroupQueryAttention") or len(inputs) == 1
    return keras.Model(inputs, layer(*inputs) if apart else layer(inputs))


@pytest.mark.parametrize("name", every_layer())
def test_every_layer_of_keras_is_known_or_named_with_the_reason(name):
    if name in ("Layer", "Wrapper", "FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"):
        assert costs.NOT_COUNTED[name]
    elif name in ("Equalization", "RandomGrayscale"):
        assert name in costs.LAYERS  # versions of Keras cannot link them in a graph
    elif name in ("Lambda", "MelSpectrogram", "STFTSpectrogram"):
        with pytest.warns(UserWarning, match=rf"\({costs.NOT_COUNTED[name]}\)"):
            table = layer_table(model_of(name))
        assert (table.rows[-1].macs, table.rows[-1].reason) == (None, costs.NOT_COUNTED[name])
    else:
        assert quiet_table(model_of(name)).unknown_layers == ()


# MACs

IMAGES_2, STEPS, OTHER = (5, 6, 3), (7, 4), (9, 4)
PROFILED = {
    "attention of itself": lambda: net(layers.MultiHeadAttention(4, 8), (16, 32), (16, 32)),
    "attention to others": lambda: net(layers.MultiHeadAttention(3, 5, value_dim=2), STEPS, OTHER),
    "attention with a key": lambda: net(layers.MultiHeadAttention(2, 3), STEPS, OTHER, (9, 6)),
    "attention, other output": lambda: net(layers.MultiHeadAttention(2, 3, output_shape=(5,)), STEPS, OTHER),
    "attention of rows": lambda: net(layers.MultiHeadAttention(2, 3, attention_axes=(2,)), (5, 6, 4), (5, 6, 4)),
    "attention of places": lambda: net(
        layers.MultiHeadAttention(2, 3, attention_axes=(1, 2)), (5, 6, 4), (5, 6, 4)
    ),
    "attention with dropout": lambda: net(layers.MultiHeadAttention(2, 3, dropout=0.5), STEPS, STEPS),
    "grouped queries": lambda: net(layers.GroupQueryAttention(3, 4, 2), STEPS, OTHER),
    "dot-product attention": lambda: net(layers.Attention(), STEPS, OTHER, as_list=True),
    "attention with keys": lambda: net(layers.Attention(), STEPS, (9, 3), OTHER, as_list=True),
    "attention by sums": lambda: net(layers.Attention(score_mode="concat"), STEPS, OTHER, as_list=True),
    "additive attention": lambda: net(layers.AdditiveAttention(), STEPS, OTHER, as_list=True),
    "LSTM": lambda: net(layers.LSTM(5, unroll=True), STEPS),
    "LSTM, all steps": lambda: net(layers.LSTM(5, unroll=True, return_sequences=True, return_state=True), STEPS),
    "GRU": lambda: net(layers.GRU(5, unroll=True), STEPS),
    "GRU, reset before": lambda: net(layers.GRU(5, unroll=True, reset_after=False), STEPS),
    "simple": lambda: net(layers.SimpleRNN(5, unroll=True), STEPS),
    "both ways": lambda: net(layers.Bidirectional(layers.GRU(5, unroll=True)), STEPS),
    "dense, each step": lambda: net(layers.TimeDistributed(layers.Dense(5)), STEPS),
    "convolution, each step": lambda: net(layers.TimeDistributed(layers.Conv2D(5, 3)), (4, *IMAGES_2)),
    "separable, each step": lambda: net(layers.TimeDistributed(layers.SeparableConv2D(5, 3)), (4, *IMAGES_2)),
    "each step of each": lambda: net(
        layers.TimeDistributed(layers.TimeDistributed(layers.Conv1D(5, 3))), (2, 3, *STEPS)
    ),
    "einsum": lambda: net(layers.EinsumDense("abc,cd->abd", output_shape=(None, 8)), STEPS),
    "einsum into heads": lambda: net(layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3)), STEPS),
    "einsum of heads": lambda: net(layers.EinsumDense("abde,dec->abc", output_shape=(None, 6)), (5, 2, 3)),
    "einsum, ellipsis": lambda: net(layers.EinsumDense("...x,xy->...y", output_shape=5), (5, 6, 4)),
    "separable, 1D": lambda: net(layers.SeparableConv1D(5, 3, depth_multiplier=2), STEPS),
    "convolution, 1D": lambda: net(layers.Conv1D(5, 3, strides=2), STEPS),
    "convolution, 3D": lambda: net(layers.Conv3D(5, (2, 3, 1), strides=(1, 2, 1), padding="same"), (4, 5, 6, 3)),
    "dot": lambda: net(layers.Dot(axes=2), STEPS, OTHER, as_list=True),
    "dot of other axes": lambda: net(layers.Dot(axes=(1, 2)), (4, 7), OTHER, as_list=True),
    "normalized kernel": lambda: net(layers.SpectralNormalization(layers.Conv2D(5, 3)), IMAGES_2),
}


EVERY_DAY = (
    "attention of itself",
    "attention to others",
    "grouped queries",
    "dot-product attention",
    "LSTM",
    "GRU",
)
EVERY_DAY += (
    "convolution, each step",
    "einsum into heads",
    "separable, 1D",
    "convolution, 3D",
    "dot of other axes",
)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in EVERY_DAY else [pytest.mark.slow]) for name in PROFILED]
)
def test_macs_are_half_of_what_the_profiler_counts(name):
    model = PROFILED[name]()
    table = quiet_table(model)
    assert table.total_macs == profiled_macs(model) > 0
    assert table.total_params == model.count_params()


H, W, T = 5, 6, 7
BY_HAND = {  # the profiler takes the size of the output for that of the input, or looks into no loop
    "transposed, 1D": (layers.Conv1DTranspose(5, 3, strides=2), [(T, 4)], T * 3 * 4 * 5),
    "transposed, 3D": (layers.Conv3DTranspose(5, 2, strides=2), [(3, H, W, 4)], 3 * H * W * 2**3 * 4 * 5),
    "embedding": (layers.Embedding(9, 4), [(T,)], 0),
    "one cell": (layers.RNN(layers.SimpleRNNCell(5)), [STEPS], T * (4 + 5) * 5),
    "stacked cells": (
        layers.RNN([layers.LSTMCell(5), layers.GRUCell(3)]),
        [STEPS],
        T * (4 * (4 + 5) * 5 + 3 * (5 + 3) * 3),
    ),
    "both ways": (layers.Bidirectional(layers.LSTM(5), merge_mode="sum"), [STEPS], 2 * T * 4 * (4 + 5) * 5),
    "another way back": (
        layers.Bidirectional(layers.GRU(5), backward_layer=layers.SimpleRNN(5, go_backwards=True)),
        [STEPS],
        T * (3 + 1) * (4 + 5) * 5,
    ),
    # The input is convolved without padding, 3x3; the state at the size of what comes out, 3 x 4 places.
    "convolutional LSTM": (
        layers.ConvLSTM2D(3, 3, return_sequences=True),
        [(4, H, W, 2)],
        4 * (3 * 4) * 4 * 3 * (9 * 2 + 9 * 3),
    ),
    "with a stride": (layers.ConvLSTM2D(3, 3, strides=2), [(4, H, W, 2)], 4 * (2 * 2) * 4 * 3 * (9 * 2 + 9 * 3)),
    "in one dimension": (layers.ConvLSTM1D(3, 2, padding="same"), [(4, W, 2)], 4 * W * 4 * 3 * (2 * 2 + 2 * 3)),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_macs_are_those_of_pencil_and_paper(name):
    layer, shapes, macs = BY_HAND[name]
    assert quiet_table(net(layer, *shapes)).total_macs == macs


@pytest.mark.skipif(not hasattr(layers, "ReversibleEmbedding"), reason="this version of Keras has none")
def test_an_embedding_in_reverse_is_a_matrix_product():
    words, found = keras.Input((4,), dtype="int32"), keras.Input((4, 3))
    layer = layers.ReversibleEmbedding(9, 3)
    model = keras.Model([words, found], [layer(words), layer(found, reverse=True)])
    assert [row.macs for row in quiet_table(model).rows[2:]] == [0, 4 * 3 * 9]


# Layers that hold others


def test_what_is_in_a_time_distributed_model_has_rows_of_its_own():
    frame = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(2, 3, name="conv"), layers.Flatten()], name="net"
    )
    table = quiet_table(net(layers.TimeDistributed(frame, name="each"), (5, 8, 8, 1)))
    conv, flat = table.rows[1:]
    assert (conv.name, conv.layer_type, conv.output_shape) == ("each/net/conv", "Conv2D", (None, 5, 6, 6, 2))
    assert (conv.params, conv.macs, conv.activation_values) == (20, 5 * 36 * 2 * 9, 5 * 36 * 2)
    assert (flat.output_shape, flat.depth) == ((None, 5, 72), 1)


@keras.saving.register_keras_serializable("tests")
class Unlike(layers.Layer):
    """A recurrent cell of one's own."""

    state_size = output_size = 2

    def call(self, inputs, states):
        return states[0], states


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.RNN(Unlike()),
        lambda: layers.RNN([layers.LSTMCell(2), Unlike()]),
        lambda: layers.Bidirectional(layers.RNN(Unlike())),
    ],
)
def test_a_layer_that_holds_one_of_your_own_is_not_counted_and_says_why(layer):
    reason = "of a layer in it, its `call` is its own"
    with pytest.warns(UserWarning, match=rf"\({reason}\)"):
        table = layer_table(net(layer(), (4, 2)))
    assert (table.rows[-1].macs, table.rows[-1].reason) == (None, reason)
    assert f"({reason})" in str(table)


# Open sizes


def open_net(shape: tuple[int | None, ...]) -> keras.Model:
    inputs = keras.Input(shape)
    return keras.Model(
        inputs, layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, padding="same", name="conv")(inputs))
    )


@pytest.mark.parametrize("given", [(20, 16, 3), [20, 16, 3]])
def test_open_sizes_are_named(given):
    open_one, closed = open_net((None, None, 3)), open_net((20, 16, 3))
    found, same, usual = (
        quiet_table(open_one, input_shape=given),
        quiet_table(closed, input_shape=given),
        quiet_table(closed),
    )
    assert found.rows[1:-1] == same.rows[1:-1] == usual.rows[1:-1] != ()
    assert found.rows[0].output_shape == (None, 20, 16, 3)
    assert compare_models([open_one], input_shape=given, runs=1).rows[0].macs == 20 * 16 * 4 * 27
    assert stage_table([open_one], input_shape=given).rows[0].size_px == (20, 16)


def test_of_several_inputs_those_that_leave_sizes_open_have_them():
    images, vector = keras.Input((None, None, 3)), keras.Input((5,))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(5, 3, padding="same")(images))
    model = keras.Model([images, vector], layers.Add()([pooled, vector]))
    assert quiet_table(model, input_shape=(20, 16, 3)).total_macs == 20 * 16 * 5 * 27


@pytest.mark.parametrize(
    "given",
    [(20, 16, 1), (20, 16), (20, 16, 3, 1), (0, 16, 3), (20.0, 16, 3), (None,) * 3, 20, "20", [(20, 16, 3)], None],
)
def test_sizes_that_do_not_fit_are_refused(given):
    for measure in (layer_table, lambda model, **options: stage_table([model], **options)):
        with pytest.raises(
            ValueError, match=r"`input_shape` of `layer_table` must be sizes for .*\(None, None, 3\)"
        ):
            measure(open_net((None, None, 3)), input_shape=given)
    with pytest.raises(ValueError, match=r"for the input \(8, 8, 3\)"):
        layer_table(open_net((8, 8, 3)), input_shape=(20, 16, 3))


# Whole models

FAMILIES = {  # billions of multiply-accumulates, as their papers or the lists that go by them print them
    "ConvNeXtTiny": 4.5, "DenseNet121": 2.83, "EfficientNetB0": 0.39, "EfficientNetV2B0": 0.72,
    "InceptionResNetV2": 13.2, "InceptionV3": 5.7, "MobileNet": 0.569, "MobileNetV2": 0.3,
    "MobileNetV3Large": 0.219, "NASNetMobile": 0.564, "ResNet50": 3.86, "ResNet50V2": 3.48, "VGG16": 15.47,
    "Xception": 8.4,
}  # fmt: skip
STAGES = {  # side of the maps: how many there are and from how many convolutions
    "InceptionV3": {
        149: (32, 1),
        147: (64, 2),
        73: (80, 1),
        71: (192, 1),
        35: (288, 21),
        17: (768, 44),
        8: (2048, 24),
    },
    "MobileNet": {112: (64, 3), 56: (128, 4), 28: (256, 4), 14: (512, 12), 7: (1024, 4)},
    "MobileNetV2": {112: (16, 3), 56: (24, 6), 28: (32, 9), 14: (96, 21), 7: (1280, 13)},
    "MobileNetV3Large": {112: (16, 3), 56: (24, 6), 28: (40, 15), 14: (112, 22), 7: (960, 16)},
    "DenseNet121": {112: (64, 1), 56: (128, 13), 28: (256, 25), 14: (512, 49), 7: (1024, 32)},
    "ResNet50": {112: (64, 1), 56: (256, 10), 28: (512, 13), 14: (1024, 19), 7: (2048, 10)},
}


@pytest.mark.slow
@pytest.mark.usefixtures("zeros_as_first_weights")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_of_keras_applications_is_known_with_its_fields(family):
    model = getattr(keras.applications, family)(weights=None)
    input_shape = (224, 224, 3) if None in model.input_shape[1:] else None
    table = quiet_table(model, input_shape=input_shape)
    assert [row.name for row in table.rows if row.receptive_field_px is None] == []
    assert table.total_params == model.count_params()
    assert table.total_macs == pytest.approx(FAMILIES[family] * 1e9, rel=0.02)
    (stages,) = stage_table([model], input_shape=input_shape).stages
    found = {stage.size_px[0]: (stage.channels, stage.layers) for stage in stages}
    assert found.items() >= STAGES.get(family, {}).items()


@pytest.mark.usefixtures("zeros_as_first_weights")
def test_a_transfer_model_of_vgg16_in_another_model_is_opened():
    inner = transfer.TransferModel("VGG16", 2, image_size=32, weights=None)
    table = quiet_table(keras.Sequential([keras.Input((32, 32, 3)), layers.RandomFlip(), inner]))
    assert [row.name for row in table.rows if row.name.endswith("block5_conv3")] == [
        f"{inner.name}/vgg16/block5_conv3"
    ]
    assert table.total_params == inner.count_params()
    assert table.rows[-1].macs == 512 * 2
    assert (
        next(row for row in table.rows if "block5_pool" in row.name).receptive_field_px == 212
    )  # colours are swapped
