"""All architectures: parameters of the courses, agreement with Keras' own, training, saving, options."""

import functools

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerascv_course.architecture import layer_table
from kerascv_course.models import (
    build_alexnet,
    build_googlenet,
    build_lenet5,
    build_mobilenet_v2,
    build_resnet,
    build_tinynet,
    build_vgg,
)


def answer(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return what a model answers, without the program that `predict` would build first."""
    return ops.convert_to_numpy(model(images, training=False))


# Every architecture at its smallest input, with few classes.
SMALLEST = {
    "lenet5": (build_lenet5, {"input_shape": (16, 16, 1)}),
    "alexnet": (build_alexnet, {"input_shape": (67, 67, 3)}),
    "alexnet, groups": (build_alexnet, {"input_shape": (67, 67, 3), "groups": 2}),
    "vgg A-LRN": (functools.partial(build_vgg, "A-LRN"), {"input_shape": (32, 32, 3)}),
    "vgg C, cifar, norm": (functools.partial(build_vgg, "C"), {"stem": "cifar", "batch_norm": True}),
    "googlenet": (build_googlenet, {"input_shape": (32, 32, 3)}),
    "resnet18": (functools.partial(build_resnet, 18), {"input_shape": (32, 32, 3)}),
    "resnet18, cifar": (functools.partial(build_resnet, 18), {"input_shape": (8, 8, 1), "stem": "cifar"}),
    "resnet50": (build_resnet, {"input_shape": (32, 32, 3)}),
    "mobilenet_v2": (build_mobilenet_v2, {"input_shape": (32, 32, 3), "alpha": 0.35}),
    "mobilenet_v2, cifar": (build_mobilenet_v2, {"input_shape": (8, 8, 3), "stem": "cifar", "alpha": 0.35}),
    "tinynet": (build_tinynet, {"input_shape": (16, 16, 3)}),
    "tinynet, residual": (functools.partial(build_tinynet, "residual"), {"input_shape": (16, 16, 3)}),
    "tinynet, depthwise": (functools.partial(build_tinynet, "depthwise"), {"input_shape": (16, 16, 3)}),
    "tinynet, no norm": (build_tinynet, {"input_shape": (16, 16, 3), "batch_norm": False}),
}


# Not for every day: each differs in its stem, groups, norm or depth alone from one that is, or is large.
VARIANTS = ("alexnet, groups", "resnet18, cifar", "mobilenet_v2, cifar", "resnet50", "googlenet", "vgg A-LRN")
KINDS = [pytest.param(kind, marks=[pytest.mark.slow] if kind in VARIANTS else []) for kind in SMALLEST]


@pytest.mark.parametrize("kind", KINDS)
def test_it_trains_a_step_at_its_smallest_input_and_survives_saving(kind, tmp_path):
    build, options = SMALLEST[kind]
    keras.utils.set_random_seed(0)
    model = build(num_classes=3, **options)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, *model.input_shape[1:])).astype("float32")
    first = next(weight for weight in model.trainable_weights if len(weight.shape) == 4)
    before = ops.convert_to_numpy(first).copy()
    # Eager: to trace a graph for one step takes longer than the step.
    model.compile(keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy", run_eagerly=True)
    assert np.isfinite(model.train_on_batch(images, np.array([0, 2])))
    assert np.abs(ops.convert_to_numpy(first) - before).max() > 0
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    expected = answer(model, images)
    assert expected.shape == (2, 3)
    np.testing.assert_allclose(expected.sum(axis=1), 1, rtol=1e-4)
    np.testing.assert_array_equal(answer(loaded, images), expected)


@pytest.mark.parametrize("kind", [kind for kind in SMALLEST if kind != "lenet5"])
def test_one_pixel_less_is_refused(kind):
    build, options = SMALLEST[kind]
    height, width, channels = options.get("input_shape", (32, 32, 3))
    with pytest.raises(ValueError, match=f"sides of at least {height} pixels"):
        build(**{**options, "input_shape": (height, width - 1, channels)})


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.values != ("lenet5",)])
def test_features_are_maps_or_their_mean_or_maximum(kind):
    build, options = SMALLEST[kind]
    shape = options.get("input_shape", (32, 32, 3))
    options = {**options, "input_shape": (2 * shape[0], 2 * shape[1], shape[2]), "include_top": False}
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).normal(size=(2, *options["input_shape"])).astype("float32")
    maps_of = build(**options)
    maps = answer(maps_of, images)
    assert maps.ndim == 4
    assert maps.shape[1] > 1
    for pooling, reduce in (("avg", np.mean), ("max", np.max)):
        model = build(**options, pooling=pooling)
        model.set_weights(maps_of.get_weights())
        np.testing.assert_allclose(
            answer(model, images), reduce(maps, axis=(1, 2)), rtol=1e-3, atol=1e-5 * np.abs(maps).max()
        )


# What the figures of the courses (tests/test_course_facts.py) do not say


@pytest.mark.smoke
def test_alexnet_in_two_groups_splits_the_second_fourth_and_fifth_convolution():
    features = build_alexnet(groups=2, include_top=False)
    grouped = [layer.name for layer in features.layers if getattr(layer, "groups", 1) == 2]
    assert grouped == ["conv2", "conv4", "conv5"]
    assert layer_table(features).unknown_layers == ()  # the normalisation is known, too


def test_googlenet_with_heads_has_three_outputs():
    model = build_googlenet(auxiliary_heads=True, input_shape=(80, 80, 3), num_classes=5)
    assert model.output_names == ["predictions", "aux1", "aux2"]


@pytest.mark.parametrize(("alpha", "maps"), [(0.35, 1280), (1.4, 1792)])
def test_the_last_convolution_of_mobilenet_v2_grows_but_does_not_shrink(alpha, maps):
    assert build_mobilenet_v2(alpha=alpha, input_shape=(32, 32, 3)).get_layer("conv_last").filters == maps


def test_tinynet_has_the_parameters_counted_by_hand():
    steps = ((3, 32), (32, 64), (64, 128), (128, 256))
    head = 256 * 10 + 10
    plain = sum(9 * i * o + 4 * o for i, o in steps)
    assert build_tinynet().count_params() == plain + head
    residual = plain + sum(9 * o * o + 4 * o + i * o + 4 * o for i, o in steps)
    assert build_tinynet("residual").count_params() == residual + head
    depthwise = sum(9 * i + i * o + 4 * o for i, o in steps)
    assert build_tinynet("depthwise").count_params() == depthwise + head
    assert build_tinynet(batch_norm=False).count_params() == sum(9 * i * o + o for i, o in steps) + head


@pytest.mark.parametrize(
    ("build", "sides"),
    [
        (functools.partial(build_resnet, 18), [32, 16, 8, 4]),
        (build_mobilenet_v2, [32, 16, 8, 4]),
        (functools.partial(build_vgg, "A"), [32, 16, 8, 4, 2]),
    ],
)
def test_the_cifar_stem_keeps_the_maps_of_32_pixels_large(build, sides):
    model = build(stem="cifar", num_classes=10)
    assert model.input_shape == (None, 32, 32, 3)
    rows = [row for row in layer_table(model).rows if row.macs and len(row.output_shape) == 4]
    assert list(dict.fromkeys(row.output_shape[1] for row in rows)) == sides


# Agreement with keras.applications


def randomise(model: keras.Model) -> None:
    """Give a model He-initialised kernels and batch normalisation that does something."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            size = layer.gamma.shape
            low, high = rng.uniform(0.5, 1.5, size), rng.uniform(0.5, 2, size)
            layer.set_weights([low, rng.normal(0, 0.2, size), rng.normal(0, 0.2, size), high])
        elif layer.weights:
            fresh = []
            for weight in layer.get_weights():
                depthwise = isinstance(layer, layers.DepthwiseConv2D)
                inputs = weight.shape[0] * weight.shape[1] if depthwise else int(np.prod(weight.shape[:-1]))
                fresh.append(rng.normal(0, np.sqrt(2 / max(inputs, 1)) if weight.ndim > 1 else 0.1, weight.shape))
            layer.set_weights(fresh)


def outputs_of(model: keras.Model, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what the last dense layer reads, and its answers before the softmax."""
    last = model.layers[-1]
    features = answer(keras.Model(model.input, last.input), images).astype("float64")
    kernel, bias = (weight.astype("float64") for weight in last.get_weights())
    return features, features @ kernel + bias


def relative_error(ours: keras.Model, theirs: keras.Model) -> float:
    images = np.random.default_rng(1).normal(size=(2, *theirs.input_shape[1:])).astype("float32")
    pairs = zip(outputs_of(ours, images), outputs_of(theirs, images), strict=True)
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)


def weighted(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if layer.weights]


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copy the weights layer by layer; where only the source has a bias, it must be 0."""
    remaining = weighted(source)
    for layer in weighted(target):
        shapes = [weight.shape for weight in layer.get_weights()]
        match = next(
            other
            for other in remaining
            if type(other) is type(layer) and [w.shape for w in other.get_weights()][: len(shapes)] == shapes
        )
        remaining.remove(match)
        given = match.get_weights()
        assert all(not extra.any() for extra in given[len(shapes) :])
        layer.set_weights(given[: len(shapes)])
    assert remaining == []


@functools.cache
def mobilenet_pair(alpha, side):
    """Return our MobileNetV2 and Keras' own with the same random weights."""
    theirs = keras.applications.MobileNetV2(weights=None, alpha=alpha, input_shape=(side, side, 3), classes=7)
    ours = build_mobilenet_v2(alpha=alpha, input_shape=(side, side, 3), num_classes=7)
    randomise(theirs)
    copy_weights(theirs, ours)
    return ours, theirs


@pytest.mark.parametrize(("variant", "name"), [("D", "VGG16"), ("E", "VGG19")])
def test_vgg_answers_as_keras_does(variant, name):
    theirs = getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3), classes=7)
    ours = build_vgg(variant, input_shape=(32, 32, 3), num_classes=7)
    randomise(theirs)
    copy_weights(theirs, ours)
    assert [layer.name for layer in weighted(ours)] == [layer.name for layer in weighted(theirs)]
    assert relative_error(ours, theirs) < 1e-5


@pytest.mark.parametrize(("alpha", "side"), [(1.0, 64), (0.5, 96), (1.4, 32)])
def test_mobilenet_v2_answers_as_keras_does(alpha, side):
    ours, theirs = mobilenet_pair(alpha, side)
    assert ours.count_params() == theirs.count_params()
    assert relative_error(ours, theirs) < 1e-5


@functools.cache
def resnet_pair():
    """Return our ResNet-50 in the paper's form and Keras' own with the same function."""
    theirs = keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3), classes=7)
    ours = build_resnet(50, downsample="1x1", input_shape=(64, 64, 3), num_classes=7)
    randomise(theirs)
    for layer in theirs.layers:
        if isinstance(layer, layers.Conv2D):  # ours have no bias, which the normalisation would take away
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, np.zeros_like(bias)])
    # Names tell the order of the layers: Keras lists the projection of a block elsewhere.
    names = {}
    for stage, count in zip((2, 3, 4, 5), (3, 4, 6, 3), strict=True):
        for block in range(1, count + 1):
            for number, part in enumerate(("shortcut", "1", "2", "3")):
                if part == "shortcut" and block > 1:
                    continue
                for theirs_end, ours_end in (("conv", "conv"), ("bn", "norm")):
                    their_name = f"conv{stage}_block{block}_{number}_{theirs_end}"
                    names[their_name] = f"stage{stage}_block{block}_{part}_{ours_end}"
    names |= {"conv1_conv": "conv1", "conv1_bn": "conv1_norm", "predictions": "predictions"}
    assert set(names) == {layer.name for layer in weighted(theirs)}
    assert set(names.values()) == {layer.name for layer in weighted(ours)}
    for their_name, our_name in names.items():
        source, target = theirs.get_layer(their_name), ours.get_layer(our_name)
        given = source.get_weights()[: len(target.weights)]
        if isinstance(
            source, layers.BatchNormalization
        ):  # the only other difference: what is added to the variance
            given[3] = given[3] + source.epsilon - target.epsilon
        target.set_weights(given)
    return ours, theirs


def test_resnet50_answers_as_keras_does_once_biases_and_epsilon_agree():
    ours, theirs = resnet_pair()
    biases = sum(layer.bias.shape[0] for layer in theirs.layers if isinstance(layer, layers.Conv2D))
    assert theirs.count_params() - ours.count_params() == biases == 26_560
    assert relative_error(ours, theirs) < 1e-5


# A comparison that every network passes would prove nothing: it must see one wrong number.


def mutated(model: keras.Model, name: str, **change) -> keras.Model:
    """Return a copy with the same weights and one layer's configuration changed."""

    def clone(layer):
        config = layer.get_config()
        if layer.name == name:
            assert all(config[key] != value for key, value in change.items())
            config.update(change)
        return type(layer).from_config(config)

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("row3_block2_depthwise_norm", {"epsilon": 1e-5}),
        ("row4_block1_depthwise_pad", {"padding": ((1, 0), (1, 0))}),
        ("row2_block2_expand_relu", {"max_value": None}),
        ("row6_block1_depthwise", {"strides": (1, 1)}),
    ],
)
def test_the_comparison_sees_one_wrong_number_in_mobilenet_v2(name, change):
    ours, theirs = mobilenet_pair(0.5, 96)
    assert relative_error(mutated(ours, name, **change), theirs) > 1e-5


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("stage3_block1_2_norm", {"epsilon": 1e-3}),
        ("conv1_pad", {"padding": ((2, 4), (2, 4))}),
        ("stage4_block3_2_conv", {"dilation_rate": (2, 2)}),
    ],
)
def test_the_comparison_sees_one_wrong_number_in_resnet50(name, change):
    ours, theirs = resnet_pair()
    assert relative_error(mutated(ours, name, **change), theirs) > 1e-5


# Bad input


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: build_resnet(20),
            ValueError,
            ["`depth` of `build_resnet`", "18, 34, 50, 101 or 152", "depth=20"],
        ),
        (lambda: build_resnet("50"), ValueError, ["`depth` of `build_resnet`", "'50'"]),
        (lambda: build_resnet(50, stem="small"), ValueError, ["`stem` of `build_resnet`", "'small'"]),
        (lambda: build_resnet(50, downsample="2x2"), ValueError, ["`downsample` of `build_resnet`", "'2x2'"]),
        (
            lambda: build_resnet(pooling="mean"),
            ValueError,
            ["`pooling` of `build_resnet`", "'avg', 'max' or None"],
        ),
        (lambda: build_resnet(pooling="avg"), ValueError, ["`pooling` of `build_resnet`", "include_top=False"]),
        (lambda: build_vgg("F"), ValueError, ["`variant` of `build_vgg`", "'A-LRN'", "'F'"]),
        (lambda: build_vgg(16), ValueError, ["`variant` of `build_vgg`", "variant=16"]),
        (lambda: build_vgg(input_shape=(31, 224, 3)), ValueError, ["`input_shape` of `build_vgg`", "32 pixels"]),
        (lambda: build_vgg(input_shape=(224, 224)), ValueError, ["`input_shape`", "(height, width, channels)"]),
        (lambda: build_vgg(input_shape=(224, 224, 0)), ValueError, ["`input_shape`", "channel"]),
        (lambda: build_vgg(num_classes=0), ValueError, ["`num_classes` of `build_vgg`", "num_classes=0"]),
        (lambda: build_vgg(batch_norm=1), TypeError, ["`batch_norm` of `build_vgg`", "batch_norm=1"]),
        (lambda: build_vgg(include_top="no"), TypeError, ["`include_top` of `build_vgg`", "'no'"]),
        (lambda: build_alexnet(groups=3), ValueError, ["`groups` of `build_alexnet`", "1 or 2", "groups=3"]),
        (lambda: build_alexnet(num_classes=2.5), TypeError, ["`num_classes` of `build_alexnet`", "2.5"]),
        (lambda: build_googlenet(auxiliary_heads=2), TypeError, ["`auxiliary_heads` of `build_googlenet`"]),
        (
            lambda: build_googlenet(auxiliary_heads=True, include_top=False),
            ValueError,
            ["`auxiliary_heads` of `build_googlenet`", "`include_top` is False"],
        ),
        (
            lambda: build_googlenet(auxiliary_heads=True, input_shape=(64, 64, 3)),
            ValueError,
            ["`input_shape` of `build_googlenet`", "80 pixels"],
        ),
        (lambda: build_mobilenet_v2(alpha=0), ValueError, ["`alpha` of `build_mobilenet_v2`", "above 0"]),
        (lambda: build_mobilenet_v2(alpha="1"), TypeError, ["`alpha` of `build_mobilenet_v2`", "'1'"]),
        (lambda: build_mobilenet_v2(stem=None), ValueError, ["`stem` of `build_mobilenet_v2`", "None"]),
        (lambda: build_tinynet("deep"), ValueError, ["`variant` of `build_tinynet`", "'plain'", "'deep'"]),
        (lambda: build_tinynet(batch_norm=None), TypeError, ["`batch_norm` of `build_tinynet`", "None"]),
    ],
)
def test_bad_input_is_refused_by_name_before_anything_is_built(call, error, words, monkeypatch):
    monkeypatch.setattr(keras, "Input", None)  # nothing can be built
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_residual_tinynet_trains_on_a_batch_that_a_strided_shortcut_did_not_survive():
    model = build_tinynet("residual", input_shape=(32, 32, 3))
    model.compile("sgd", "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (25, 32, 32, 3)).astype("uint8"), rng.integers(0, 10, 25)
    losses = [float(model.train_on_batch(images, labels)) for _ in range(20)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
