"""Local response normalisation against plain loops."""

import keras
import numpy as np
import pytest

from kerascv_course.models import LocalResponseNormalization


def by_loops(x, size, alpha, beta, bias, mode):
    result = np.empty_like(x)
    around = size // 2
    for n, i, j, c in np.ndindex(x.shape):
        if mode == "across":
            near = x[n, i, j, max(0, c - around) : c + around + 1]
        else:
            near = x[n, max(0, i - around) : i + around + 1, max(0, j - around) : j + around + 1, c]
        result[n, i, j, c] = x[n, i, j, c] / (bias + alpha * (near**2).sum()) ** beta
    return result


@pytest.mark.smoke
@pytest.mark.parametrize("mode", ["across", "within"])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_it_divides_by_the_squares_around_as_plain_loops_do(mode, size):
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 6)).astype("float32")
    layer = LocalResponseNormalization(size, alpha=0.3, beta=0.75, bias=1.5, mode=mode)
    ours = keras.ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(ours, by_loops(x, size, 0.3, 0.75, 1.5, mode), rtol=1e-5)


def test_the_defaults_are_those_of_the_paper():
    x = np.full((1, 1, 1, 9), 10, "float32")
    ours = keras.ops.convert_to_numpy(LocalResponseNormalization()(x))[0, 0, 0]
    assert ours[4] == pytest.approx(10 / (2 + 1e-4 * 5 * 100) ** 0.75, rel=1e-5)
    assert ours[0] == pytest.approx(10 / (2 + 1e-4 * 3 * 100) ** 0.75, rel=1e-5)  # two neighbours are missing


def test_across_agrees_with_tensorflow():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the second library is TensorFlow")
    tf = pytest.importorskip("tensorflow")
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 8)).astype("float32")
    theirs = tf.nn.local_response_normalization(x, depth_radius=2, bias=2.0, alpha=0.5, beta=0.75).numpy()
    ours = keras.ops.convert_to_numpy(LocalResponseNormalization(alpha=0.5)(x))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("mode", ["across", "within"])
def test_it_can_be_saved(mode, tmp_path):
    inputs = keras.Input((6, 6, 4))
    layer = LocalResponseNormalization(3, alpha=0.5, beta=0.5, bias=1.0, mode=mode, name="lrn")
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("lrn").get_config() == layer.get_config()
    x = np.random.default_rng(0).normal(size=(1, 6, 6, 4)).astype("float32")
    np.testing.assert_array_equal(loaded.predict_on_batch(x), model.predict_on_batch(x))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"size": 4}, ValueError, ["`size` of `LocalResponseNormalization`", "odd", "size=4"]),
        ({"size": 0}, ValueError, ["`size`", "at least 1"]),
        ({"size": 2.5}, TypeError, ["`size`", "2.5"]),
        ({"alpha": -1}, ValueError, ["`alpha`", "-1"]),
        ({"beta": "0.75"}, TypeError, ["`beta`", "'0.75'"]),
        ({"bias": 0}, ValueError, ["`bias`", "above 0"]),
        ({"mode": "both"}, ValueError, ["`mode`", "'across' or 'within'", "'both'"]),
    ],
)
def test_bad_input_is_refused_by_name(options, error, words):
    with pytest.raises(error) as caught:
        LocalResponseNormalization(**options)
    for word in words:
        assert word in str(caught.value)
