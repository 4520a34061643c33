"""Architectures against the courses' own numbers."""

import keras
import numpy as np
import pytest

from kerascv_course.models import build_lenet5


@pytest.mark.smoke
def test_lenet5_has_the_parameters_of_the_slide_layer_by_layer():
    model = build_lenet5()
    counts = [layer.count_params() for layer in model.layers if layer.count_params()]
    assert counts == [156, 2416, 48120, 10164, 850]
    assert model.count_params() == 61706


def test_rgb_input_changes_the_first_convolution_alone():
    model = build_lenet5(input_shape=(32, 32, 3))
    assert model.get_layer("conv1").count_params() == 456
    assert model.count_params() == 62006


@pytest.mark.parametrize("side", [16, 17, 18, 19, 28, 31, 32, 45, 64])
def test_manco_variant_flattens_the_side_of_the_course_formula(side):
    model = build_lenet5(input_shape=(side, side, 1), variant="manco")
    flatten_side = ((side - 6) // 2 - 5) // 2 + 1
    assert model.get_layer("flatten").output.shape == (None, 16 * flatten_side**2)


def test_manco_head_returns_logarithms_of_probabilities():
    model = build_lenet5(variant="manco")
    outputs = model.predict(np.random.default_rng(0).random((3, 32, 32, 1)), verbose=0)
    assert (outputs < 0).all()
    np.testing.assert_allclose(np.exp(outputs).sum(axis=1), 1, rtol=1e-5)


def test_cross_entropy_from_logits_leaves_log_probabilities_as_they_are():
    log_probabilities = np.log(np.array([[0.2, 0.5, 0.3]], "float32"))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(np.array([1]), log_probabilities)
    assert float(loss) == pytest.approx(-np.log(0.5), rel=1e-5)


def test_sixteen_pixels_are_the_smallest_side_that_leaves_a_pixel():
    assert build_lenet5(input_shape=(16, 24, 1)).get_layer("pool2").output.shape == (None, 1, 3, 16)


@pytest.mark.parametrize("variant", ["keras", "manco"])
def test_saved_model_loads_with_equal_outputs(variant, tmp_path):
    model = build_lenet5(input_shape=(20, 20, 3), num_classes=4, variant=variant)
    images = np.random.default_rng(0).random((2, 20, 20, 3)).astype("float32")
    model.save(tmp_path / "lenet.keras")
    loaded = keras.saving.load_model(tmp_path / "lenet.keras")
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), model.predict(images, verbose=0))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (
            {"input_shape": (15, 32, 1)},
            ValueError,
            ["`input_shape` of `build_lenet5`", "at least 16", "(15, 32, 1)"],
        ),
        ({"input_shape": (32, 32)}, ValueError, ["`input_shape`", "(height, width, channels)", "(32, 32)"]),
        ({"input_shape": (None, None, 3)}, TypeError, ["`input_shape`", "integers"]),
        ({"input_shape": (32, 32, 0)}, ValueError, ["`input_shape`", "channel"]),
        ({"input_shape": (8, 32, 32, 1)}, ValueError, ["`input_shape`", "Leave the batch axis out"]),
        ({"num_classes": 0}, ValueError, ["`num_classes` of `build_lenet5`", "at least 2", "num_classes=0"]),
        ({"num_classes": 10.0}, TypeError, ["`num_classes`", "integer", "10.0"]),
        ({"num_classes": True}, TypeError, ["`num_classes`", "True"]),
        ({"variant": "torch"}, ValueError, ["`variant` of `build_lenet5`", "'keras' or 'manco'", "'torch'"]),
    ],
)
def test_bad_input_is_refused_by_name(arguments, error, words):
    with pytest.raises(error) as caught:
        build_lenet5(**arguments)
    for word in words:
        assert word in str(caught.value)
