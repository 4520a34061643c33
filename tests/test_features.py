"""Features of images: computed in batches, kept, found again; and the batches that are trained on."""

import keras
import numpy as np
import pytest
from keras import layers

from kerascv_course.datasets import cache_folder
from kerascv_course.latent import extract_features
from kerascv_course.latent.features import computed_features
from kerascv_course.training.batches import Batches

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype="uint8")


def build_model(seed=0, scale=1 / 255, filters=4, normalize=True):
    """Return convolution, batch normalization and dropout: what behaves in its own way in training."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(scale),
            layers.Conv2D(filters, 3, kernel_initializer=keras.initializers.GlorotUniform(seed)),
            layers.BatchNormalization() if normalize else layers.ReLU(),
            layers.Dropout(0.5),
            layers.GlobalAveragePooling2D(),
        ]
    )
    if normalize:
        gamma, beta, mean, variance = model.layers[2].get_weights()
        model.layers[2].set_weights([gamma * 3, beta + 1, mean + 0.5, variance * 4])
    return model


def by_hand(model, images):
    """Compute the features from the definition: correlation, normalization with stored statistics, mean."""
    kernel, bias = model.layers[1].get_weights()
    patches = np.lib.stride_tricks.sliding_window_view(images.astype("float64") / 255, (3, 3), axis=(1, 2))
    maps = np.einsum("nyxcij,ijco->nyxo", patches, kernel) + bias
    gamma, beta, mean, variance = model.layers[2].get_weights()
    return (gamma * (maps - mean) / np.sqrt(variance + 1e-3) + beta).mean(axis=(1, 2))


def cached(model, images=IMAGES, **options):
    return computed_features(model, images, cache=True, verbose=0, **options)


@pytest.fixture(scope="module")
def model():
    return build_model()


@pytest.fixture(scope="module")
def expected(model):
    return by_hand(model, IMAGES)


@pytest.mark.smoke
@pytest.mark.parametrize("batch_size", [1, 7, 128])
def test_features_are_those_of_the_definition_for_any_size_of_the_batch(model, expected, batch_size):
    features = extract_features(model, IMAGES, batch_size=batch_size, verbose=0)
    assert features.dtype == "float32"
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


def test_maps_keep_their_shape_and_any_number_type_is_taken(model):
    maps = keras.Model(model.inputs[0], model.layers[1].output)
    assert extract_features(maps, IMAGES[:3], verbose=0).shape == (3, 6, 6, 4)
    for images in (IMAGES.astype("int32"), IMAGES.astype("float16"), IMAGES.tolist()):
        features = extract_features(model, images, verbose=0)
        np.testing.assert_allclose(features, extract_features(model, IMAGES, verbose=0), rtol=1e-4, atol=1e-5)


VECTORS = np.random.default_rng(1).random((20, 4)).astype("float32")


class TwoInputs(keras.Model):
    """A network of images and vectors that says nothing about its inputs."""

    def __init__(self):
        super().__init__()
        self.inner = build_model()

    def call(self, inputs):
        images, vectors = inputs["image"], inputs["vector"]
        return {"features": keras.ops.concatenate([self.inner(images), vectors], axis=1)}


def two_inputs(named):
    image, vector = keras.Input((8, 8, 3), name="image"), keras.Input((4,), name="vector")
    output = layers.Concatenate()([build_model()(image), vector])
    return keras.Model({"image": image, "vector": vector} if named else [image, vector], output)


@pytest.mark.parametrize(
    ("build", "images"),
    [
        (lambda: two_inputs(named=False), [IMAGES, VECTORS]),
        (lambda: two_inputs(named=False), (IMAGES.tolist(), VECTORS.astype("float16"))),
        (lambda: two_inputs(named=True), {"vector": VECTORS, "image": IMAGES}),
        (TwoInputs, {"image": IMAGES, "vector": VECTORS}),
    ],
)
def test_inputs_of_any_structure_pass_through(build, images, expected):
    features = extract_features(build(), images, batch_size=7, verbose=0)
    np.testing.assert_allclose(features[:, :4], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(features[:, 4:], VECTORS, rtol=1e-3)


def test_features_of_several_inputs_are_kept_by_the_content_of_each():
    model = two_inputs(named=False)
    counts = [
        cached(model, images)[1]
        for images in ([IMAGES, VECTORS], [IMAGES, VECTORS], [IMAGES, VECTORS + 1], [IMAGES[::-1], VECTORS])
    ]
    assert counts == [20, 0, 20, 20]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES, "a model with one input"),
        ([IMAGES, VECTORS[:3]], "all of one length"),
        ([IMAGES, None], r"`images\[1\]` of `extract_features`"),
        ([IMAGES, IMAGES], "one that can be called on the images"),
    ],
)
def test_what_does_not_fit_several_inputs_is_refused(images, message):
    with pytest.raises((ValueError, TypeError), match=message):
        extract_features(two_inputs(named=False), images, verbose=0)


class TwoOutputs(keras.Model):
    """A network whose answer is a dictionary."""

    def call(self, images):
        return {"mean": keras.ops.mean(images, axis=(1, 2)), "largest": keras.ops.max(images, axis=(1, 2))}


def test_of_several_outputs_the_error_says_how_to_take_one():
    with pytest.raises(ValueError, match=r"keras.Model\(inputs, model\(inputs\)\['mean'\]\)"):
        extract_features(TwoOutputs(), IMAGES, verbose=0)
    inputs = keras.Input((8, 8, 3))
    one = keras.Model(inputs, TwoOutputs()(inputs)["mean"])
    np.testing.assert_allclose(extract_features(one, IMAGES, verbose=0), IMAGES.mean(axis=(1, 2)), rtol=1e-5)


def test_images_on_disk_give_what_the_array_gives(model, tmp_path):
    on_disk = np.memmap(tmp_path / "images", "uint8", "w+", shape=IMAGES.shape)
    on_disk[:] = IMAGES
    features, computed = cached(model, on_disk)
    assert computed == 20
    again, computed = cached(model)
    assert computed == 0
    np.testing.assert_array_equal(features, again)


def test_half_precision_is_close(model, expected):
    features = extract_features(model, IMAGES, dtype="float16", verbose=0)
    assert features.dtype == "float16"
    np.testing.assert_allclose(features, expected, rtol=2e-3, atol=1e-3)


@pytest.mark.smoke
def test_the_second_call_computes_nothing_and_gives_the_same(model, expected):
    first, computed = cached(model)
    assert computed == 20
    second, computed = cached(model)
    assert computed == 0
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(second, expected, rtol=1e-4, atol=1e-5)
    assert cached(build_model())[1] == 0  # another object with the same weights
    assert cached(model, batch_size=3)[1] == 0


def test_without_cache_nothing_is_kept(model):
    extract_features(model, IMAGES, verbose=0)
    assert not cache_folder().exists() or not list(cache_folder().iterdir())


def other_pixel():
    images = IMAGES.copy()
    images[7, 2, 3, 1] ^= 1
    return images


def other_weight():
    model = build_model()
    kernel, bias = model.layers[1].get_weights()
    bias[0] += 0.001
    model.layers[1].set_weights([kernel, bias])
    return model


def other_statistic():
    model = build_model()
    values = model.layers[2].get_weights()
    values[3] = values[3] * 1.5
    model.layers[2].set_weights(values)
    return model


@pytest.mark.parametrize(
    ("make", "images", "options"),
    [
        (build_model, other_pixel, {}),
        (build_model, lambda: IMAGES[::-1], {}),
        (build_model, lambda: IMAGES[:-1], {}),
        (build_model, lambda: IMAGES.astype("float32"), {}),
        (other_weight, lambda: IMAGES, {}),
        (other_statistic, lambda: IMAGES, {}),
        (lambda: build_model(seed=1), lambda: IMAGES, {}),
        (lambda: build_model(scale=1 / 127.5), lambda: IMAGES, {}),
        (build_model, lambda: IMAGES, {"dtype": "float16"}),
        (build_model, lambda: IMAGES, {"key": "seed 1"}),
    ],
    ids=["pixel", "order", "fewer", "type", "weight", "statistic", "weights", "scale", "dtype", "seed"],
)
def test_after_any_change_features_are_computed_again(model, make, images, options):
    before, _ = cached(model)
    features, computed = cached(make(), images(), **options)
    assert computed == len(images())
    if make is not build_model:
        assert not np.array_equal(features, before)


@pytest.mark.parametrize("change", [("__version__", "0.0"), ("config.backend", lambda: "another")])
def test_features_of_another_version_or_backend_of_keras_are_not_taken(model, monkeypatch, change):
    assert cached(model)[1] == len(IMAGES)
    assert cached(model)[1] == 0
    monkeypatch.setattr(f"keras.{change[0]}", change[1])
    assert cached(model)[1] == len(IMAGES)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-30],
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:],
    ],
    ids=["end", "half", "empty", "bit"],
)
def test_a_damaged_file_is_made_anew_with_the_right_values(model, damage):
    features, _ = cached(model)
    (file,) = cache_folder().glob("features-*.npz")
    file.write_bytes(damage(file.read_bytes()))
    again, computed = cached(model)
    assert computed == 20
    np.testing.assert_array_equal(again, features)
    assert cached(model)[1] == 0


class Subclassed(keras.Model):
    """A network without a graph, never called yet."""

    def __init__(self):
        super().__init__()
        self.mean = layers.GlobalAveragePooling2D()

    def call(self, x):
        return self.mean(x)


class PairOfAnswers(Subclassed):
    def call(self, x):
        return [super().call(x)] * 2


def test_a_subclassed_model_gives_features_that_are_not_kept():
    expected = IMAGES.mean(axis=(1, 2), dtype="float64")
    for _ in range(2):
        features, computed = cached(Subclassed())
        assert computed == 20
        np.testing.assert_allclose(features, expected, rtol=1e-5)


def test_an_unbuilt_model_and_one_of_half_precision_give_features():
    assert extract_features(keras.Sequential([layers.Flatten()]), IMAGES, verbose=0).shape == (20, 192)
    half = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(dtype="mixed_bfloat16")])
    np.testing.assert_allclose(extract_features(half, IMAGES, verbose=0), IMAGES.reshape(20, -1), rtol=1e-2)


def two_outputs():
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, [layers.ReLU()(inputs), inputs])


def nan_model():
    model = build_model()
    kernel, bias = model.layers[1].get_weights()
    model.layers[1].set_weights([kernel, bias * np.nan])
    return model


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"model": lambda: "VGG16"}, TypeError, ["`model`", "a Keras model", "'VGG16'"]),
        (
            {"model": two_outputs},
            ValueError,
            ["`model`", "one output", "`keras.Model(model.inputs, model.outputs[0])`"],
        ),
        ({"model": PairOfAnswers}, ValueError, ["`model`", "one output", "2 outputs"]),
        ({"model": lambda: keras.Sequential([layers.Conv2D(1, 99)])}, ValueError, ["can be called on the images"]),
        ({"model": nan_model}, ValueError, ["`model`", "finite float32 features", "NaN"]),
        (
            {"model": lambda: build_model(scale=1e4, normalize=False), "dtype": "float16"},
            ValueError,
            ["`model`", "finite float16 features", "Use float32."],
        ),
        ({"images": "photographs"}, TypeError, ["`images`", "a batch of images"]),
        ({"images": IMAGES[0]}, ValueError, ["`images`", "`[None]`", "=array of shape (8, 8, 3)"]),
        ({"images": IMAGES[:0]}, ValueError, ["`images`", "one or more", "(0, 8, 8, 3)"]),
        ({"images": IMAGES[:, :4]}, ValueError, ["`images`", "(8, 8, 3)", "(20, 4, 8, 3)"]),
        ({"images": IMAGES[..., :1]}, ValueError, ["`images`", "(8, 8, 3)", "(20, 8, 8, 1)"]),
        ({"images": IMAGES * np.float32("nan")}, ValueError, ["`images`", "finite numbers"]),
        ({"dtype": "float64"}, ValueError, ["`dtype`", "'float32' or 'float16'", "'float64'"]),
        ({"batch_size": 0}, ValueError, ["`batch_size`", "at least 1", "0"]),
        ({"batch_size": 2.5}, TypeError, ["`batch_size`", "an integer", "2.5"]),
    ],
)
def test_bad_input_is_refused_by_name(model, arguments, error, words):
    arguments = {"images": IMAGES, "verbose": 0} | arguments
    network = arguments.pop("model")() if "model" in arguments else model
    with pytest.raises(error) as caught:
        extract_features(network, arguments.pop("images"), **arguments)
    for word in ["of `extract_features`", "Received: ", *words]:
        assert word in str(caught.value)


# Batches


def batches(seed=3, count=10, batch_size=4, indices=None):
    return Batches(np.arange(count) * 10, np.arange(count), batch_size, seed, indices)


def labels_of(data):
    return np.concatenate([data[index][1] for index in range(len(data))]).tolist()


@pytest.mark.smoke
def test_the_order_depends_on_the_seed_and_the_epoch_alone():
    first, second = batches(), batches()
    orders = []
    for epoch in (0, 1, 2):
        first.start_epoch(epoch)
        orders.append(labels_of(first))
        assert sorted(orders[-1]) == list(range(10))
    assert len({tuple(order) for order in orders}) == 3
    second.start_epoch(2)  # without the epochs before it
    assert labels_of(second) == orders[2]
    second.start_epoch(0)
    assert labels_of(second) == orders[0] == labels_of(batches())
    assert labels_of(batches(seed=4)) != orders[0]


def test_images_and_labels_stay_together_in_batches_of_the_size():
    data = batches()
    assert len(data) == 3
    assert [len(data[index][0]) for index in range(3)] == [4, 4, 2]
    for index in range(3):
        np.testing.assert_array_equal(data[index][0], data[index][1] * 10)


def test_without_a_seed_the_order_is_that_of_the_indices_in_every_epoch():
    data = batches(seed=None, indices=np.array([7, 2, 5, 1, 0]))
    for epoch in (0, 1):
        data.start_epoch(epoch)
        assert labels_of(data) == [7, 2, 5, 1, 0]
    chosen = batches(indices=np.array([7, 2, 5, 1, 0]))
    assert sorted(labels_of(chosen)) == [0, 1, 2, 5, 7]


def test_the_digest_tells_data_apart_and_not_orders(tmp_path):
    x, y = IMAGES, np.arange(20)
    on_disk = np.memmap(tmp_path / "images", "uint8", "w+", shape=x.shape)
    on_disk[:] = x
    data = Batches(x, y, 4, 0)
    data.start_epoch(5)
    assert data.digest() == Batches(x, y, 8, 1).digest() == Batches(on_disk, y, 4, None).digest()
    others = [
        Batches(other_pixel(), y, 4, 0),
        Batches(x, y[::-1], 4, 0),
        Batches(x, y, 4, 0, np.arange(19)),
        Batches(x.astype("float32"), y, 4, 0),
        Batches(x.reshape(20, 64, 3), y, 4, 0),
    ]
    assert len({data.digest(), *(other.digest() for other in others)}) == 6
