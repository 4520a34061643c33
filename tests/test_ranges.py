"""Images in another range than a model or a pipeline takes: who says so, when, and what raises no false alarm."""

import os
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerascv_course import training
from kerascv_course._ranges import takes_bytes, unit_range
from kerascv_course.augmentation import pipeline, test_time_augmentation
from kerascv_course.explain import grad_cam
from kerascv_course.latent import extract_features
from kerascv_course.transfer import TransferModel

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (6, 16, 16, 3)).astype("uint8")
Y = np.arange(6) % 2
UNIT = (X / 255).astype("float32")
BLACK = np.zeros((2, 16, 16, 3), "float32")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return a model as it is made, and as it comes from a file."""
    inputs = keras.Input((16, 16, 3))
    maps = layers.Conv2D(4, 3, name="block1_conv1")(inputs)
    model = TransferModel(keras.Model(inputs, maps), 2, preprocess_input=lambda x: x / 127.5 - 1)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X, Y, verbose=0)
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model.save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {"made": model, "reloaded": keras.models.load_model(path)}


def told(call):
    """Return what was said about the range."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(warning.message) for warning in caught if "from 0 to 255" in str(warning.message)]


def in_tf_data(images, labels=Y):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(6, seed=0).batch(4).prefetch(1)


class InParts(keras.utils.PyDataset):
    def __init__(self, images):
        super().__init__()
        self.images = images

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self.images[3 * index : 3 * index + 3], Y[3 * index : 3 * index + 3]


CALLS = {
    "predict": lambda model, x: model.predict(x, verbose=0),
    "predict of a tensor": lambda model, x: model.predict(ops.convert_to_tensor(x), verbose=0),
    "evaluate": lambda model, x: model.evaluate(x, Y[: len(x)], verbose=0),
    "fit": lambda model, x: model.fit(x=x, y=Y[: len(x)], epochs=2, verbose=0),
    "fit with held-out images": lambda model, x: model.fit(
        X, Y, validation_data=(x, Y[: len(x)]), validation_freq=2, verbose=0
    ),
    "fit of tf.data": lambda model, x: model.fit(in_tf_data(x, Y[: len(x)]), epochs=2, verbose=0),
    "fit of batches": lambda model, x: model.fit(InParts(np.resize(x, X.shape)), verbose=0),
    "train_on_batch": lambda model, x: model.train_on_batch(x, Y[: len(x)]),
    "predict_on_batch": lambda model, x: model.predict_on_batch(x),
    "__call__": lambda model, x: model(x),
    "grad_cam": lambda model, x: grad_cam(model, x),
    "extract_features": lambda model, x: extract_features(model, x, verbose=0),
    "extract_features of a layer": lambda model, x: extract_features(model, x, layer="pool", verbose=0),
    "test_time_augmentation": lambda model, x: test_time_augmentation(model, x),
    "fit of this package": lambda model, x: training.fit(model, (x, Y[: len(x)]), epochs=1, verbose=0),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["made", pytest.param("reloaded", marks=pytest.mark.slow)])
def test_images_from_0_to_1_are_named_once_by_what_looks_at_them(models, kind, call):
    said = told(lambda: CALLS[call](models[kind], UNIT))
    assert len(said) == 1
    assert said[0].startswith(f"`{call.split()[0]}`: transfer_functional")
    assert "takes images from 0 to 255" in said[0]
    assert "floats from 0 to 1" in said[0]


@pytest.mark.parametrize(
    "call",
    ["predict", "grad_cam", *(pytest.param(name, marks=pytest.mark.slow) for name in ("fit", "fit of tf.data"))],
)
def test_dark_images_raise_no_alarm(models, call):
    dim = RNG.random((6, 16, 16, 3)).astype("float32") * 3  # a photograph at night, resized
    ones = RNG.integers(0, 2, (6, 16, 16, 3))
    for images in (
        X,
        X.astype("float32"),
        X.astype("float16"),
        BLACK,
        BLACK.astype("uint8"),
        dim,
        ones,
        ones * 1.0,
    ):
        assert told(lambda images=images: CALLS[call](models["made"], images)) == []


def test_images_from_minus_1_to_1_are_named_as_such(models):
    (said,) = told(lambda: models["made"].predict(UNIT * 2 - 1, verbose=0))
    assert "floats from -1 to 1" in said


def test_a_reloaded_model_says_so_too(models):
    assert len(told(lambda: models["reloaded"].predict(UNIT, verbose=0))) == 1


def test_the_order_of_a_pipeline_that_is_looked_at_stays(models):
    answers = [
        model.predict(in_tf_data(X), verbose=0)
        for model in (models["made"], keras.Model(models["made"].input, models["made"].output))
    ]
    np.testing.assert_array_equal(*answers)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (UNIT, "0 to 1"), (UNIT.astype("float16"), "0 to 1"), (UNIT[0].tolist(), "0 to 1"), ([UNIT, Y], "0 to 1"),
        ({"images": UNIT}, "0 to 1"), (UNIT * 2 - 1, "-1 to 1"), (np.array([0.5, np.nan]), ""), (UNIT * 255, ""),
        (X, ""), (X > 100, ""), (BLACK, ""), (BLACK + 1, ""), (UNIT[:0], ""), ("text", ""), (None, ""),
    ],
)  # fmt: skip
def test_the_range_is_read_of_what_has_values(values, expected):
    assert unit_range(values) == expected


def convolving(*before):
    return keras.Sequential([keras.Input((16, 16, 3)), *before, layers.Conv2D(2, 3), layers.Flatten()])


class OwnNetwork(keras.Model):
    def __init__(self, scale):
        super().__init__()
        self.scale, self.convolution = layers.Rescaling(scale), layers.Conv2D(2, 3)

    def call(self, images):
        return self.convolution(self.scale(images))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: convolving(layers.Rescaling(1 / 255)), True),
        (lambda: convolving(layers.Resizing(8, 8), layers.RandomFlip(), layers.Rescaling(1 / 127.5, -1)), True),
        (lambda: convolving(keras.Sequential([layers.Rescaling([1 / 255] * 3)])), True),
        (lambda: convolving(layers.Normalization(mean=[124.0, 116.0, 104.0], variance=[3364.0] * 3)), True),
        (lambda: convolving(layers.Normalization(mean=[0.48, 0.46, 0.41], variance=[0.05] * 3)), False),
        (lambda: convolving(), False),
        (lambda: convolving(layers.Rescaling(255.0), layers.Rescaling(1 / 255)), False),
        (lambda: convolving(layers.Rescaling(2.0, -1)), False),
        (lambda: convolving(layers.BatchNormalization(), layers.Rescaling(1 / 255)), False),
        (lambda: OwnNetwork(1 / 255), True),
        (lambda: OwnNetwork(1.0), False),
        pytest.param(
            lambda: keras.applications.MobileNetV3Small(weights=None, input_shape=(32, 32, 3)),
            True,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_model_that_scales_images_is_known_by_its_first_layers(make, expected):
    assert takes_bytes(make()) is expected


def test_any_model_that_scales_its_images_is_looked_after_by_the_helpers():
    model = convolving(layers.Rescaling(1 / 255))
    model.add(layers.Dense(2, activation="softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy")
    for call in ("grad_cam", "extract_features", "fit of this package"):
        assert len(told(lambda call=call: CALLS[call](model, UNIT))) == 1
        assert told(lambda call=call: CALLS[call](model, X)) == []
    assert len(told(lambda: training.fit(model, in_tf_data(UNIT), epochs=2, verbose=0))) == 1


@pytest.mark.slow
def test_a_file_loads_as_an_ordinary_model_where_the_package_is_not_imported(models, tmp_path):
    models["made"].save(tmp_path / "model.keras")
    code = "import keras, sys; model = keras.models.load_model(sys.argv[1]); print(type(model).__name__)"
    command = [sys.executable, "-c", code, str(tmp_path / "model.keras")]
    ran = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": ""}, check=True)
    assert ran.stdout.split()[-1] == "Functional"


# Pipelines


@pytest.mark.parametrize("step", ["brightness", "contrast", "saturation", "hue", "noise", "erasing"])
def test_a_pipeline_that_counts_in_the_value_range_refuses_images_of_another(step):
    from_bytes, from_units = pipeline(**{step: 0.1}, seed=0), pipeline(**{step: 0.1}, value_range=(0, 1), seed=0)
    for images, augment in (
        (UNIT, from_bytes),
        (UNIT * 2 - 1, from_bytes),
        (X, from_units),
        (UNIT * 255, from_units),
    ):
        with pytest.raises(ValueError, match=r"`value_range` of `pipeline` must be that of the images") as caught:
            augment(images, training=True)
        assert "255" in str(caught.value)
    for images, augment in ((X, from_bytes), (BLACK, from_bytes), (BLACK + 1, from_bytes), (UNIT, from_units)):
        assert augment(ops.convert_to_tensor(images), training=True).shape == images.shape


def test_a_pipeline_looks_at_every_call_at_tensors_and_at_single_images():
    augment = pipeline("photometric", seed=0)
    augment(X)
    for images in (ops.convert_to_tensor(UNIT), UNIT[0], UNIT.astype("float16")):
        with pytest.raises(ValueError, match="which are from 0 to 1"):
            augment(images)


def test_geometry_is_the_same_in_any_range():
    np.testing.assert_allclose(
        ops.convert_to_numpy(pipeline("geometric", seed=1)(UNIT)) * 255,
        ops.convert_to_numpy(pipeline("geometric", seed=1)(UNIT * 255)),
        atol=1e-3,
    )


def test_a_traced_pipeline_has_no_values_to_look_at():
    tf = pytest.importorskip("tensorflow")
    if keras.config.backend() != "tensorflow":
        pytest.skip("Keras' layers run in tf.data on TensorFlow alone")
    images = tf.data.Dataset.from_tensor_slices(UNIT).batch(3).map(pipeline(brightness=0.1))
    assert sum(len(batch) for batch in images) == 6
