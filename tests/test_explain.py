"""Grad-CAM against closed forms, finite differences, a planted patch, and the same network written differently."""

import re

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerascv_course.explain import GradCam, grad_cam


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pictures(count: int = 3, side: int = 12, channels: int = 1, seed: int = 0) -> np.ndarray:
    return rng(seed).random((count, side, side, channels)).astype("float32")


def sequential(
    *parts: keras.layers.Layer, shape: tuple[int, ...] = (12, 12, 1), name: str = "flat"
) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *parts], name=name)


def with_random_weights(model: keras.Model, seed: int = 1) -> keras.Model:
    """Give every weight a value that no initializer would: biases and batch statistics too."""
    numbers = rng(seed)
    model.set_weights([numbers.uniform(0.1, 0.9, weight.shape) - 0.4 for weight in model.get_weights()])
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_variance.assign(np.full(layer.moving_variance.shape, 0.5))
    return model


def backbone() -> list[keras.layers.Layer]:
    return [
        layers.Conv2D(4, 3, activation="relu", name="conv1"),
        layers.BatchNormalization(name="norm"),
        layers.MaxPooling2D(name="pool"),
        layers.Conv2D(5, 2, activation="relu", name="conv2"),
    ]


def head(units: int = 3, activation: str = "softmax") -> list[keras.layers.Layer]:
    dense = layers.Dense(units, activation=activation, name="answer")
    return [layers.GlobalAveragePooling2D(name="mean"), layers.Dropout(0.5, name="drop"), dense]


def small_net(units: int = 3, activation: str = "softmax") -> keras.Model:
    return with_random_weights(sequential(*backbone(), *head(units, activation)))


def same(first: GradCam, second: GradCam, *, tolerance: float = 1e-5) -> None:
    for field in ("heatmaps", "maps", "scores", "classes"):
        np.testing.assert_allclose(getattr(first, field), getattr(second, field), atol=tolerance, err_msg=field)


def resized(maps: np.ndarray, side: int) -> np.ndarray:
    large = ops.convert_to_numpy(ops.image.resize(maps[..., None], (side, side)))[..., 0]
    return large / large.max(axis=(1, 2), keepdims=True)


# Closed forms: maps and gradients known by hand


def one_by_one(units: int, activation: str) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """Return a 1x1 convolution, mean and dense layer, with kernel (2 maps) and weights (2, units)."""
    kernel, weights = np.array([1.0, -2.0]), rng(3).normal(size=(2, units))
    parts = [layers.Conv2D(2, 1, name="conv"), layers.GlobalAveragePooling2D()]
    model = sequential(*parts, layers.Dense(units, activation=activation))
    model.set_weights([kernel.reshape(1, 1, 1, 2), np.array([0.0, 1.0]), weights, np.arange(units) / 10])
    return model, kernel, weights


@pytest.mark.smoke
@pytest.mark.parametrize("activation", ["softmax", "linear", "sigmoid", "log_softmax"])
def test_the_map_is_the_weighted_sum_that_pencil_and_paper_give(activation):
    model, kernel, weights = one_by_one(4, activation)
    images = pictures(4) * 3 - 1
    found = grad_cam(model, images, class_index=[0, 1, 2, 3])
    features = images * kernel + [0, 1]  # (4, 12, 12, 2)
    for index in range(4):
        expected = np.maximum(features[index] @ weights[:, index] / 144, 0)  # each place has 1/144 of the mean
        np.testing.assert_allclose(found.maps[index], expected, atol=1e-6)
        np.testing.assert_allclose(found.heatmaps[index], expected / (expected.max() or 1), atol=1e-5)
        logit = features[index].mean(axis=(0, 1)) @ weights[:, index] + index / 10
        assert found.scores[index] == pytest.approx(logit, abs=1e-5)
    assert found.layer == "conv"
    assert found.heatmaps.dtype == found.maps.dtype == found.scores.dtype == np.float32
    assert (found.classes.dtype, found.classes.tolist()) == (np.int64, [0, 1, 2, 3])


def test_one_sigmoid_unit_explains_class_one_with_its_logit_and_class_zero_with_the_negated_one():
    model, kernel, weights = one_by_one(1, "sigmoid")
    images = pictures(4) * 3 - 1
    raised = (images * kernel + [0, 1]) @ weights[:, 0] / 144
    logits = raised.sum(axis=(1, 2))
    for index, sign in ((0, -1), (1, 1)):
        found = grad_cam(model, images, class_index=index)
        np.testing.assert_allclose(found.maps, np.maximum(sign * raised, 0), atol=1e-6)
        np.testing.assert_allclose(found.scores, sign * logits, atol=1e-5)
    predicted = grad_cam(model, images)
    assert predicted.classes.tolist() == (logits > 0).astype(int).tolist()
    np.testing.assert_allclose(predicted.scores, np.abs(logits), atol=1e-5)


def test_of_a_regression_the_value_itself_is_explained():
    model, kernel, weights = one_by_one(1, "linear")
    images = pictures(4) * 3 - 1
    raised = (images * kernel + [0, 1]) @ weights[:, 0] / 144
    for index in (None, 0):
        found = grad_cam(model, images, class_index=index)
        np.testing.assert_allclose(found.maps, np.maximum(raised, 0), atol=1e-6)
        np.testing.assert_allclose(found.scores, raised.sum(axis=(1, 2)), atol=1e-5)
        assert found.classes.tolist() == [0] * 4


def test_where_nothing_speaks_for_the_class_the_map_stays_zero():
    model, _, _ = one_by_one(2, "softmax")
    model.layers[-1].kernel.assign([[1, -1], [0, 0]])  # only the first map counts, and it is the image itself
    found = grad_cam(model, pictures(2), class_index=[0, 1])
    assert found.heatmaps[0].max() == 1
    assert found.heatmaps[1].max() == found.maps[1].max() == 0


def test_a_model_that_is_sure_still_has_a_gradient():
    model, _, _ = one_by_one(2, "softmax")
    model.layers[-1].bias.assign([0, 200])  # the softmax is exactly 0 and 1: its gradient is 0
    assert ops.convert_to_numpy(model(pictures(1))).tolist() == [[0, 1]]
    assert grad_cam(model, pictures(1) * 3 - 1, class_index=1).maps.max() > 1e-4


# Finite differences: no gradient of any library


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_the_weights_of_the_maps_are_the_slopes_that_finite_differences_measure(layer):
    full = small_net(activation="linear")
    position = [part.name for part in full.layers].index(layer) + 1
    images = pictures(2, seed=5)
    features = ops.convert_to_numpy(keras.Sequential(full.layers[:position])(images)).astype("float64")

    largest = 0.0

    def scores(values: np.ndarray) -> np.ndarray:
        after = ops.convert_to_tensor(values, "float32")
        for part in full.layers[position:]:
            after = part(after, training=False) if part.name in ("norm", "drop") else part(after)
        return ops.convert_to_numpy(after).astype("float64")

    places = features[0, ..., 0].size
    slopes = np.zeros((2, features.shape[3], 3))  # of images, maps and classes
    for channel in range(features.shape[3]):  # all places of a map at once: the sum of their slopes
        step = np.zeros(features.shape)
        step[..., channel] = 1e-3
        slopes[:, channel] = (scores(features + step) - scores(features - step)) / 2e-3 / places
    for index in range(3):
        expected = np.maximum(np.einsum("nhwc,nc->nhw", features, slopes[..., index]), 0)
        found = grad_cam(full, images, class_index=index, layer=layer)
        np.testing.assert_allclose(found.maps, expected, atol=5e-5)
        largest = max(largest, expected.max())
    assert largest > 5e-3  # the tolerance above is small


# A planted patch


@pytest.mark.parametrize("place", [(2, 3), (9, 15)])
def test_the_heatmap_is_hottest_on_the_bright_patch_that_decides_the_class(place):
    blur = layers.Conv2D(2, 3, padding="same", activation="relu", name="bright")
    model = sequential(
        blur, layers.MaxPooling2D(), layers.Flatten(), layers.Dense(2, activation="softmax"), shape=(20, 20, 1)
    )
    kernel = np.stack([np.full((3, 3, 1), 1 / 9), np.full((3, 3, 1), -1 / 9)], axis=-1)
    weights = np.tile([[-1.0, 1.0], [1.0, -1.0]], (100, 1))  # bright places speak for class 1, dark for class 0
    model.set_weights([kernel, np.array([-0.5, 0.1]), weights, np.array([0.5, 0.0])])
    image = 0.3 * pictures(1, 20)
    row, column = place
    image[0, row : row + 4, column : column + 4] = 1
    found = grad_cam(model, image)
    hottest = np.unravel_index(found.heatmaps[0].argmax(), (20, 20))
    assert found.classes.tolist() == [1]
    assert row <= hottest[0] < row + 4
    assert column <= hottest[1] < column + 4
    outside = np.delete(np.delete(found.heatmaps[0], range(row - 1, row + 5), 0), range(column - 1, column + 5), 1)
    assert outside.max() < 0.2


def planted(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return noise with a red or green square of 8 pixels anywhere, which it is, and the corners."""
    numbers = rng(seed)
    images = numbers.uniform(0, 0.5, (count, 32, 32, 3)).astype("float32")
    labels, corners = numbers.integers(0, 2, count), numbers.integers(0, 24, (count, 2))
    for image, label, (row, column) in zip(images, labels, corners, strict=True):
        image[row : row + 8, column : column + 8, label] = 1
    return images, labels, corners


def conv(filters: int, kernel: int = 3, **options) -> layers.Conv2D:
    return layers.Conv2D(filters, kernel, padding="same", **options)


def normed(x):
    return layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))


def resnet_v2(x):
    for filters in (12, 16):
        y = normed(x)
        shortcut = conv(filters, 1, strides=2)(y)
        x = shortcut + conv(filters)(normed(conv(filters, strides=2, use_bias=False)(y)))
        x = x + conv(filters)(normed(x))
    return x


def densenet(x):
    for _ in range(2):
        for _ in range(2):
            x = layers.Concatenate()([x, conv(8)(normed(x))])
        x = layers.AveragePooling2D(2)(conv(12, 1)(normed(x)))
    return layers.Concatenate()([x, conv(8)(normed(x))])


def inception(x):
    for filters in (8, 12):
        parts = [
            conv(filters, 1)(x),
            conv(filters)(conv(6, 1)(x)),
            conv(filters, 1)(layers.MaxPooling2D(3, 1, "same")(x)),
        ]
        x = normed(layers.Concatenate()(parts))
        x = layers.Concatenate()([conv(filters, strides=2)(x), layers.MaxPooling2D()(x)])
    parts = [conv(8, 8, strides=8)(conv(6, 1)(x)), layers.GlobalAveragePooling2D(keepdims=True)(x)]
    return layers.Concatenate()(parts)  # a last block of one place


def convnext(x):
    x = layers.LayerNormalization()(conv(12, 2, strides=2)(x))
    y = layers.LayerNormalization()(layers.DepthwiseConv2D(7, padding="same")(x))
    return x + layers.Dense(12)(layers.Activation("gelu")(layers.Dense(24)(y)))


@pytest.mark.slow
@pytest.mark.parametrize("body", [resnet_v2, densenet, inception, convnext])
def test_a_trained_network_of_any_kind_looks_at_the_planted_square(body):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((32, 32, 3))
    maps = body(conv(8)(inputs))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(maps)))
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(*planted(384, seed=1)[:2], epochs=10, batch_size=32, verbose=0)
    images, labels, corners = planted(40, seed=2)
    found = grad_cam(model, images)
    assert (found.classes == labels).mean() > 0.9
    hottest = np.stack(np.unravel_index(found.heatmaps.reshape(40, -1).argmax(axis=1), (32, 32)), axis=1)
    distance = np.abs(hottest - corners - 3.5).max(axis=1)
    assert (distance <= 8).mean() >= 0.9, (
        distance
    )  # pixels from its centre; its maps have 8 x 8 places of 4 pixels


# One network, written in different ways


def nested(flat: keras.Model) -> keras.Model:
    """Return the flat network's weights in a model of the transfer pattern, with its backbone two models deep."""
    inner = keras.Sequential([keras.Input((12, 12, 1)), *backbone()], name="inner")
    middle_input = keras.Input((12, 12, 1))
    middle = keras.Model(middle_input, inner(middle_input), name="middle")
    inputs = keras.Input((12, 12, 1))
    outputs = middle(inputs, training=False)
    for layer in head():
        outputs = layer(outputs)
    model = keras.Model(inputs, outputs)
    model.set_weights(flat.get_weights())
    return model


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    """The same network without a graph."""

    def __init__(self, activation="softmax", **kwargs):
        super().__init__(**kwargs)
        self.first = backbone()
        self.last = head(activation=activation)

    def call(self, images, training=False):
        for layer in [*self.first, *self.last]:
            takes_training = isinstance(layer, layers.BatchNormalization | layers.Dropout)
            images = layer(images, training=training) if takes_training else layer(images)
        return images


def functional(flat: keras.Model) -> keras.Model:
    inputs = keras.Input((12, 12, 1))
    outputs = inputs
    for layer in [*backbone(), *head()]:
        outputs = layer(outputs)
    model = keras.Model(inputs, outputs)
    model.set_weights(flat.get_weights())
    return model


def subclassed(flat: keras.Model) -> keras.Model:
    model = Subclassed()
    model(pictures(1))
    model.set_weights(flat.get_weights())
    return model


@pytest.mark.parametrize(
    ("write", "path"), [(functional, "conv2"), (nested, "middle/inner/conv2"), (subclassed, "conv2")]
)
def test_nested_functional_and_subclassed_models_are_explained_as_the_sequential_one(write, path):
    flat = small_net()
    images = pictures(5)
    expected = grad_cam(flat, images)
    other = write(flat)
    found = grad_cam(other, images)
    assert (expected.layer, found.layer) == ("conv2", path)
    same(found, expected)
    for name in ("conv1", path.replace("conv2", "conv1")):
        same(grad_cam(other, images, layer=name), grad_cam(flat, images, layer="conv1"))


@pytest.mark.parametrize("write", [nested, subclassed])
def test_a_reloaded_model_is_explained_as_the_saved_one(tmp_path, write):
    model = write(small_net())
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    first, second = grad_cam(model, pictures()), grad_cam(reloaded, pictures())
    assert first.layer == second.layer
    same(first, second)


@pytest.mark.parametrize(
    "end",
    [
        lambda: [layers.Dense(3), layers.Softmax()],
        lambda: [layers.Dense(3), layers.Activation("softmax")],
        lambda: [layers.Dense(3), layers.Activation("softmax"), layers.Activation("linear")],
        lambda: [layers.Dense(3, activation="sigmoid"), layers.Reshape((3,))],
        lambda: [layers.Dense(3)],
        lambda: [layers.Dense(3, activation=lambda x: ops.exp(x) / ops.sum(ops.exp(x), -1, keepdims=True))],
        lambda: [layers.Dense(3, activation=layers.Softmax())],
        lambda: [layers.Dense(3), layers.Lambda(lambda x: ops.softmax(x))],
    ],
)
def test_a_softmax_or_sigmoid_in_any_last_layer_is_left_out(end):
    flat = small_net()
    model = sequential(*backbone(), *head()[:-1], *end())
    model.set_weights(flat.get_weights())
    same(grad_cam(model, pictures()), grad_cam(flat, pictures()))


def test_a_softmax_that_is_an_operation_of_the_graph_is_left_out():
    flat = small_net(activation="linear")
    inputs = keras.Input((12, 12, 1))
    model = keras.Model(inputs, ops.softmax(flat(inputs)))
    same(grad_cam(model, pictures()), grad_cam(flat, pictures()))


def test_a_call_inside_the_model_resizes_and_the_heatmap_has_the_size_of_the_image():
    flat = small_net()
    inputs = keras.Input((30, 20, 1))
    model = keras.Model(inputs, flat(layers.Resizing(12, 12)(inputs)))
    images = rng().random((2, 30, 20, 1))
    found = grad_cam(model, images)
    small = ops.convert_to_numpy(ops.image.resize(images.astype("float32"), (12, 12)))
    expected = grad_cam(flat, small)
    np.testing.assert_allclose(found.maps, expected.maps, atol=1e-5)
    assert (found.heatmaps.shape, found.maps.shape[1:]) == ((2, 30, 20), expected.maps.shape[1:])
    assert found.heatmaps.max(axis=(1, 2)) == pytest.approx(1)


def test_of_a_layer_that_is_called_twice_the_last_call_counts():
    shared = layers.Conv2D(2, 3, padding="same", activation="relu", name="shared")
    inputs = keras.Input((12, 12, 2))
    dense = layers.Dense(3, activation="softmax")
    twice = keras.Model(inputs, dense(layers.GlobalAveragePooling2D()(shared(shared(inputs)))))
    after = keras.Sequential([keras.Input((12, 12, 2)), shared, layers.GlobalAveragePooling2D(), dense])
    with_random_weights(twice)
    images = pictures(2, channels=2)
    between = ops.convert_to_numpy(shared(images))
    same(grad_cam(twice, images), grad_cam(after, between))


# Images and classes


def test_the_same_values_of_any_kind_are_explained_alike():
    images = rng().integers(0, 256, (3, 12, 12, 1)).astype("uint8")
    for model in (small_net(), subclassed(small_net())):
        same(grad_cam(model, images), grad_cam(model, images.astype("float64").tolist()))


def test_a_subclassed_model_that_was_never_called_is_built():
    assert grad_cam(Subclassed(), pictures()).layer == "conv2"


def test_the_size_of_the_batch_changes_nothing_and_the_heatmap_is_the_resized_map():
    model, images = small_net(), pictures(7)
    found = grad_cam(model, images)
    same(grad_cam(model, images, batch_size=3), found)
    np.testing.assert_allclose(found.heatmaps, resized(found.maps, 12), atol=1e-5)
    assert found.heatmaps.min() >= 0
    assert found.heatmaps.max(axis=(1, 2)) == pytest.approx(1)


def test_by_default_the_predicted_class_is_explained_and_any_class_can_be():
    model, images = small_net(), pictures(6) * 4
    predicted = ops.convert_to_numpy(model(images)).argmax(axis=1)
    found = grad_cam(model, images)
    assert found.classes.tolist() == predicted.tolist()
    same(grad_cam(model, images, class_index=predicted), found)
    same(grad_cam(model, images, class_index=np.int32(1)), grad_cam(model, images, class_index=[1] * 6))


def test_half_precision_gives_nearly_the_same_map():
    usual = small_net()
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = sequential(*backbone(), *head())
    finally:
        keras.config.set_dtype_policy(policy)
    mixed.set_weights(usual.get_weights())
    found = grad_cam(mixed, pictures(), class_index=1)
    assert found.maps.dtype == np.float32
    np.testing.assert_allclose(found.heatmaps, grad_cam(usual, pictures(), class_index=1).heatmaps, atol=0.1)


# The layer that is chosen


def test_in_a_nested_mobilenet_it_is_the_last_activation_of_the_base():
    base = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(96, 96, 3), alpha=0.35)
    inputs = keras.Input((64, 64, 3))
    outputs = base(layers.Resizing(96, 96)(layers.RandomFlip()(inputs)), training=False)
    outputs = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(outputs))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(outputs))
    found = grad_cam(model, rng().integers(0, 256, (2, 64, 64, 3)))
    assert found.layer == f"{base.name}/out_relu"
    assert (found.maps.shape, found.heatmaps.shape) == ((2, 3, 3), (2, 64, 64))


def test_in_vgg16_it_is_the_last_convolution():
    model = keras.applications.VGG16(weights=None, input_shape=(64, 64, 3), include_top=False, pooling="max")
    assert grad_cam(model, pictures(1, 64, 3)).layer == "block5_conv3"


def maps_of(*, side: int = 12) -> tuple:
    inputs = keras.Input((side, side, 1))
    return inputs, layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="stem")(inputs)


def classifier(inputs, maps, activation: str = "softmax") -> keras.Model:
    pooled = layers.GlobalAveragePooling2D()(maps)
    return with_random_weights(keras.Model(inputs, layers.Dense(3, activation=activation)(pooled)))


def ends_in_branches() -> keras.Model:
    """Return an inception network whose last block, of branches, writes maps of one place."""
    inputs, x = maps_of()
    x = layers.Concatenate(name="mixed0")(
        [layers.Conv2D(2, 1, name="a")(x), layers.Conv2D(3, 3, padding="same")(x)]
    )
    long = layers.Conv2D(3, 6, name="valid")(
        layers.Conv2D(2, 3, padding="same", activation="relu", name="branch")(x)
    )
    return classifier(inputs, layers.Concatenate(name="mixed1")([long, layers.MaxPooling2D(6)(x)]))


def ends_beside_a_shortcut() -> keras.Model:
    """Return a residual network without an activation at its end; the sum is an operation, no layer."""
    inputs, x = maps_of()
    y = layers.Activation("relu", name="first")(layers.BatchNormalization()(x))
    return classifier(inputs, x + layers.Conv2D(4, 3, padding="same", name="beside")(y))


def ends_dense() -> keras.Model:
    """Return a network whose every layer reads all maps before it, the last ones joined."""
    inputs, x = maps_of()
    for place in range(3):
        y = layers.Conv2D(2, 3, padding="same", activation="relu", name=f"growth{place}")(x)
        x = layers.Concatenate(name=f"joined{place}")([x, y])
    return classifier(inputs, x)


def gated() -> keras.Model:
    """Return a block whose maps are multiplied with a gate that reads them."""
    inputs, x = maps_of()
    gate = layers.Conv2D(4, 1, activation="sigmoid", name="gate")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return classifier(inputs, layers.Multiply(name="scaled")([x, gate]))


class Residual(keras.Model):
    """A network without a graph, whose shortcut is an addition inside of `call`."""

    def __init__(self):
        super().__init__()
        self.stem, self.beside = (
            layers.Conv2D(4, 3, name="stem"),
            layers.Conv2D(4, 3, padding="same", name="beside"),
        )
        self.last = head()

    def call(self, images, training=False):
        x = self.stem(images)
        x = x + self.beside(ops.relu(x))
        for layer in self.last[:1] + self.last[2:]:
            x = layer(x)
        return x


@pytest.mark.parametrize(
    ("build", "layer"),
    [
        (ends_in_branches, "mixed0"),
        (ends_beside_a_shortcut, "add"),
        (ends_dense, "joined2"),
        (gated, "scaled"),
        (Residual, "stem"),
    ],
)
def test_nothing_goes_around_the_layer_that_is_chosen(build, layer):
    found = grad_cam(build(), pictures())
    assert re.fullmatch(rf"{layer}(_\d+)?", found.layer)
    assert found.maps.shape[1] > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "side", "layer"), [("InceptionV3", 96, "mixed7"), ("ResNet50V2", 32, "conv4_block5_out")]
)
def test_in_a_family_of_keras_applications_it_is_the_end_of_a_block(family, side, layer):
    build = getattr(keras.applications, family)
    model = build(weights=None, input_shape=(side, side, 3), include_top=False, pooling="avg")
    assert grad_cam(model, pictures(1, side, 3)).layer == layer


def vision_transformer() -> keras.Model:
    inputs = keras.Input((12, 12, 1))
    tokens = layers.Reshape((16, 4))(layers.Conv2D(4, 3, strides=3, name="patches")(inputs))
    tokens = layers.LayerNormalization()(tokens + layers.MultiHeadAttention(1, 4)(tokens, tokens))
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(tokens)))


def twins() -> keras.Model:
    """Return a model that compares an image with its mirror image, by one tower."""
    tower = sequential(*backbone(), name="tower")
    inputs = keras.Input((12, 12, 1))
    both = [layers.GlobalAveragePooling2D()(tower(image)) for image in (inputs, ops.flip(inputs, axis=2))]
    return keras.Model(inputs, layers.Dense(2)(layers.Concatenate()(both)))


@pytest.mark.parametrize(
    ("build", "rule", "fit"),
    [(vision_transformer, "layers work on tokens", "patches"), (twins, "other paths go around", "tower/conv2")],
)
def test_where_no_layer_stands_for_the_whole_one_must_be_named(build, rule, fit):
    model = build()
    with pytest.raises(ValueError, match=rf"`layer` of `grad_cam` must be named, .*{rule}.*Fit layers: .*'{fit}'"):
        grad_cam(model, pictures())
    assert grad_cam(model, pictures(), layer=fit).layer == fit


def test_a_sequence_of_rows_that_is_read_to_one_vector_is_no_work_on_tokens():
    inputs, x = maps_of()
    rows = layers.LSTM(4)(layers.Reshape((6, 24))(x))
    assert grad_cam(keras.Model(inputs, layers.Dense(2)(rows)), pictures()).layer == "stem"


# One of several outputs


def two_tasks(kind: type) -> keras.Model:
    """Return a model of two tasks, each with a convolution of its own; its outputs are a dictionary or a list."""
    inputs, x = maps_of()
    own = [layers.Conv2D(3, 3, activation="relu", name=f"maps_of_{name}")(x) for name in ("kind", "colour")]
    pooled = [layers.GlobalAveragePooling2D()(maps) for maps in own]
    answers = [
        layers.Dense(2, activation="softmax", name="kind")(pooled[0]),
        layers.Dense(1, name="colour")(pooled[1]),
    ]
    answers[1] = layers.Activation("sigmoid")(answers[1])
    outputs = dict(zip(("kind", "colour"), answers, strict=True)) if kind is dict else answers
    return with_random_weights(keras.Model(inputs, outputs))


class TwoTasks(keras.Model):
    """The same without a graph."""

    def __init__(self, graph):
        super().__init__()
        self.graph = graph

    def call(self, images):
        answers = self.graph(images)
        return {"kind": answers["kind"], "colour": answers["colour"]}


@pytest.mark.parametrize(("name", "place", "units"), [("kind", 0, 2), ("colour", 1, 1)])
def test_of_several_outputs_the_named_one_is_explained_as_if_it_were_alone(name, place, units):
    model = two_tasks(list)
    alone = keras.Model(model.inputs, model.outputs[place])
    expected = grad_cam(alone, pictures(), class_index=1)
    assert expected.layer == f"maps_of_{name}"
    same(grad_cam(model, pictures(), output=place, class_index=1), expected)
    named = two_tasks(dict)
    for other in (named, TwoTasks(named)):
        found = grad_cam(other, pictures(), output=name, class_index=1)
        assert found.layer.split("/")[-1] == f"maps_of_{name}"
        same(found, expected)


@pytest.mark.parametrize("output", [None, "size", 2, -1, 0.5, ["kind"]])
def test_an_output_that_is_not_there_is_refused_with_the_names_of_those_that_are(output):
    for model in (two_tasks(dict), called(TwoTasks(two_tasks(dict)))):
        with pytest.raises(ValueError, match=r"`output` of `grad_cam` must be one of .*'colour'"):
            grad_cam(model, pictures(), output=output)
    with pytest.raises(ValueError, match=r"one of \[None\]"):
        grad_cam(small_net(), pictures(), output="kind")


def test_maps_of_one_place_are_passed_over():
    model = sequential(layers.Conv2D(2, 3, name="maps"), layers.Conv2D(2, 10, name="place"), layers.Flatten())
    assert grad_cam(model, pictures()).layer == "maps"


def test_a_name_that_two_nested_models_share_needs_its_path():
    bases = [sequential(*backbone(), name=name) for name in ("left", "right")]
    inputs = keras.Input((12, 12, 1))
    joined = layers.Concatenate(name="joined")([base(inputs) for base in bases])
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(joined)))
    assert grad_cam(model, pictures()).layer == "joined"
    assert grad_cam(model, pictures(), layer="right/conv2").layer == "right/conv2"
    with pytest.raises(ValueError, match="not of several") as caught:
        grad_cam(model, pictures(), layer="conv2")
    assert "'left/conv2', 'right/conv2'" in str(caught.value)


# The model afterwards


def state(model: keras.Model) -> list:
    parts = [model, *model.layers]
    return [
        *[getattr(part, "activation", None) for part in parts],
        *["call" in vars(part) for part in parts],
        [sorted(vars(part)) for part in parts],
    ]


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "linear"])
def test_the_model_is_left_as_it_was(activation):
    model = small_net(activation=activation)
    before, weights, answers = state(model), model.get_weights(), ops.convert_to_numpy(model(pictures()))
    grad_cam(model, pictures())
    assert state(model) == before
    assert not any("call" in vars(part) for part in model.layers)
    np.testing.assert_equal(model.get_weights(), weights)
    np.testing.assert_equal(ops.convert_to_numpy(model(pictures())), answers)


class Fails(keras.layers.Layer):
    """Passes its input on until it is told to fail, at a given call."""

    calls_left = -1

    def call(self, inputs):
        self.calls_left -= 1
        if self.calls_left == 0:
            raise RuntimeError("planted")
        return inputs


@pytest.mark.parametrize("call", [1, 2, 3])  # while it records, computes the scores, computes the gradient
def test_the_model_is_left_as_it_was_by_an_exception_too(call):
    failing = Fails()
    model = sequential(*backbone(), failing, *head())
    failing.calls_left = 10
    before = state(model)
    failing.calls_left = call
    with pytest.raises(RuntimeError, match="planted"):
        grad_cam(model, pictures())
    assert state(model) == before
    failing.calls_left = -1
    assert grad_cam(model, pictures()).layer == failing.name


def test_a_call_that_was_set_on_the_layer_itself_is_set_again():
    model = small_net()
    conv = model.get_layer("conv2")
    own = conv.call
    vars(conv)["call"] = own
    grad_cam(model, pictures())
    assert vars(conv)["call"] is own


# Errors


def two_inputs() -> keras.Model:
    inputs = [keras.Input((12, 12, 1)), keras.Input((12, 12, 1))]
    return keras.Model(inputs, layers.Flatten()(layers.Add()(inputs)))


def two_outputs() -> keras.Model:
    inputs = keras.Input((12, 12, 1))
    return keras.Model(inputs, [layers.Flatten()(inputs), inputs])


def without_influence() -> keras.Model:
    """Return a model of which one layer runs and changes nothing."""
    inputs = keras.Input((12, 12, 1))
    idle = layers.Lambda(lambda pair: pair[0], output_shape=(12, 12, 1), name="select")(
        [inputs, layers.Conv2D(1, 1, name="idle")(inputs)]
    )
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(idle))))


class HiddenSoftmax(Subclassed):
    def call(self, images, training=False):
        return ops.softmax(super().call(images, training=training))


class PairOfAnswers(Subclassed):
    def call(self, images, training=False):
        return [super().call(images, training=training)] * 2


def called(model: keras.Model) -> keras.Model:
    model(pictures(1))
    return model


IMAGES = pictures()


@pytest.mark.parametrize(
    ("build", "images", "options", "error", "parts"),
    [
        (lambda: np.mean, IMAGES, {}, TypeError, ["`model` of `grad_cam` must be a Keras model", "mean"]),
        (
            lambda: keras.Sequential([layers.Dense(2)], name="new"),
            IMAGES,
            {},
            ValueError,
            ["one output (images, classes)", "(1, 12, 12, 2)"],
        ),
        (two_inputs, IMAGES, {}, ValueError, ["a model with one input", "2 inputs"]),
        (
            two_outputs,
            IMAGES,
            {},
            ValueError,
            ["`output`", "one of [0, 1, 'flatten", "output=None"],
        ),
        (lambda: called(PairOfAnswers()), IMAGES, {}, ValueError, ["`output`", "one of [0, 1]", "output=None"]),
        (
            lambda: sequential(layers.Conv2D(2, 3)),
            IMAGES,
            {},
            ValueError,
            ["one output (images, classes)", "(1, 10, 10, 2)"],
        ),
        (lambda: sequential(layers.Dense(2), shape=(4,)), IMAGES, {}, ValueError, ["input shape (4,)"]),
        (
            lambda: sequential(layers.Conv2D(2, (3, 1), data_format="channels_first"), layers.Flatten()),
            IMAGES,
            {},
            ValueError,
            ["`model` of `grad_cam` must be channels last", "channels_first"],
        ),
        (
            lambda: sequential(layers.Flatten(), layers.Dense(2)),
            IMAGES,
            {},
            ValueError,
            ["`model`", "writes maps", "'flat"],
        ),
        (
            lambda: sequential(layers.Rescaling(2), layers.Normalization(mean=0, variance=1), layers.Flatten()),
            IMAGES,
            {},
            ValueError,
            ["`model`", "writes maps"],
        ),
        (
            lambda: called(HiddenSoftmax("linear")),
            IMAGES,
            {},
            ValueError,
            ["`model`", "softmax is its last layer", "Dense"],
        ),
        (small_net, "a picture", {}, TypeError, ["`images` of `grad_cam` must be a batch of images"]),
        (small_net, IMAGES[0], {}, ValueError, ["`images`", "(12, 12, 1)", "`[None]`"]),
        (small_net, IMAGES[:0], {}, ValueError, ["`images`", "one or more"]),
        (small_net, IMAGES[:, :11], {}, ValueError, ["`images`", "input shape (12, 12, 1)", "(3, 11, 12, 1)"]),
        (small_net, IMAGES * np.nan, {}, ValueError, ["`images`", "finite numbers"]),
        (small_net, IMAGES, {"class_index": 3}, ValueError, ["`class_index` of `grad_cam`", "from 0 to 2", "=3"]),
        (small_net, IMAGES, {"class_index": -1}, ValueError, ["`class_index`", "from 0 to 2", "-1"]),
        (
            small_net,
            IMAGES,
            {"class_index": [0, 1, 3]},
            ValueError,
            ["`class_index`", "from 0 to 2", "labels from 0 to 3"],
        ),
        (
            small_net,
            IMAGES,
            {"class_index": [0, 1]},
            ValueError,
            ["`class_index`", "each of the 3 images", "(2,)"],
        ),
        (small_net, IMAGES, {"class_index": 1.0}, TypeError, ["`class_index`", "an integer", "1.0"]),
        (small_net, IMAGES, {"class_index": [0.5, 1.0, 2.0]}, TypeError, ["`class_index`", "integers"]),
        (small_net, IMAGES, {"class_index": "1"}, TypeError, ["`class_index`", "'1'"]),
        (
            lambda: small_net(1, "sigmoid"),
            IMAGES,
            {"class_index": 2},
            ValueError,
            ["`class_index`", "from 0 to 1"],
        ),
        (lambda: small_net(1, "linear"), IMAGES, {"class_index": 1}, ValueError, ["`class_index`", "from 0 to 0"]),
        (small_net, IMAGES, {"batch_size": 0}, ValueError, ["`batch_size` of `grad_cam`"]),
        (small_net, IMAGES, {"layer": layers.ReLU()}, TypeError, ["`layer`", "the name of a layer"]),
        (small_net, IMAGES, {"layer": "conv3"}, ValueError, ["`layer`", "'conv3'", "'conv2'", "'conv1'"]),
        (small_net, IMAGES, {"layer": "x"}, ValueError, ["'conv1', 'norm', 'pool', 'conv2'."]),
        (
            lambda: nested(small_net()),
            IMAGES,
            {"layer": "inner"},
            ValueError,
            ["'middle/inner/conv1'", "'middle/inner/conv2'"],
        ),
        (small_net, IMAGES, {"layer": "answer"}, ValueError, ["`layer`", "writes maps", "'answer'", "'conv2'"]),
        (without_influence, IMAGES, {"layer": "idle"}, ValueError, ["`layer`", "output depends", "'idle'"]),
    ],
)
def test_what_cannot_be_explained_is_refused_by_name(build, images, options, error, parts):
    model = build()
    with pytest.raises(error) as caught:
        grad_cam(model, images, **options)
    assert all(part in str(caught.value) for part in ["`grad_cam`", *parts]), caught.value
