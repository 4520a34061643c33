"""Activation statistics: equal to NumPy on activations captured another way, at the right steps, and harmless."""

import keras
import numpy as np
import pytest

from kerascv_course import runtime
from kerascv_course.explain import ActivationStatistics
from kerascv_course.models import build_tinynet
from kerascv_course.training import fit

RNG = np.random.default_rng(0)
X = RNG.random((48, 16, 16, 3), dtype="float32")
Y = RNG.integers(0, 3, 48)
PROBE = X[:7]


class Weights(keras.callbacks.Callback):
    """Keeps the weights after each step, by the number of steps made."""

    def __init__(self):
        super().__init__()
        self.kept, self.steps = {}, 0

    def on_train_begin(self, logs=None):
        self.kept[self.steps] = self.model.get_weights()

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        self.kept[self.steps] = self.model.get_weights()


def compiled(model):
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model


def small(seed=0, name="small"):
    """Return a network of two blocks; its layers hold the names of both."""
    keras.utils.set_random_seed(seed)
    kinds = keras.layers
    inputs = keras.Input((16, 16, 3))
    x = kinds.Conv2D(6, 3, strides=2, activation="relu", name="block1")(inputs)
    x = kinds.Conv2D(8, 3, strides=2, use_bias=False, name="block2_conv")(x)
    x = kinds.BatchNormalization(name="block2_norm")(x)
    x = kinds.ReLU(name="block2")(x)
    outputs = kinds.Dense(3, activation="softmax", name="head")(kinds.Flatten()(x))
    return compiled(keras.Model(inputs, outputs, name=name))


def nested():
    """Return a model inside a model, and dropout."""
    keras.utils.set_random_seed(1)
    whole = small()
    base = keras.Model(whole.input, whole.get_layer("block2").output, name="base")
    inputs = keras.Input((16, 16, 3))
    x = base(keras.layers.Rescaling(2.0, offset=-1.0)(inputs))
    x = keras.layers.Dropout(0.5)(keras.layers.GlobalAveragePooling2D()(x))
    return compiled(keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="head")(x)))


def agree(row, at, activations):
    """Compare one record with NumPy on the activations."""
    exact = activations.astype("float64")
    assert row.means[at] == pytest.approx(exact.mean(), rel=1e-5, abs=1e-6)
    assert row.standard_deviations[at] == pytest.approx(np.sqrt(((exact - exact.mean()) ** 2).mean()), rel=1e-5)
    assert row.zero_shares[at] == pytest.approx((activations == 0).mean(), abs=1e-5)
    # The way to the activations differs in its last bits: a few may change bins.
    counts, _ = np.histogram(exact, row.histogram_edges)
    assert np.abs(counts - row.histogram_counts[at]).sum() <= 2e-3 * exact.size + 2
    assert row.histogram_counts[at].sum() == exact.size


@pytest.mark.smoke
def test_records_equal_numpy_on_activations_captured_by_a_model_of_the_layers():
    model = compiled(build_tinynet(input_shape=(16, 16, 3), num_classes=3))
    statistics, weights = ActivationStatistics(PROBE, every=2), Weights()
    model.fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=[statistics, weights])
    rows = statistics.records.rows
    assert [row.layer for row in rows] == ["block1", "block2", "block3", "block4", "predictions"]
    captured = keras.Model(model.input, [model.get_layer(row.layer).output for row in rows])
    for at, step in enumerate([0, 2, 4, 6]):
        model.set_weights(weights.kept[step])
        for row, activations in zip(rows, captured.predict(PROBE, verbose=0), strict=True):
            assert row.steps.tolist() == [0, 2, 4, 6]
            agree(row, at, np.asarray(activations))


def test_layers_of_a_nested_model_are_recorded_under_their_paths():
    model, weights = nested(), Weights()
    statistics = ActivationStatistics(PROBE, layers=["block2", "base/block2_conv", "head"], every=3)
    model.fit(X, Y, batch_size=16, epochs=1, verbose=0, callbacks=[statistics, weights])
    rows = statistics.records.rows
    assert [row.layer for row in rows] == ["base/block2", "base/block2_conv", "head"]
    base = model.get_layer("base")
    captured = keras.Model(base.input, [base.get_layer(name).output for name in ("block2", "block2_conv")])
    for at, step in enumerate([0, 3]):
        model.set_weights(weights.kept[step])
        inner = captured.predict(2 * PROBE - 1, verbose=0)
        for row, activations in zip(rows, [*inner, model.predict(PROBE, verbose=0)], strict=True):
            agree(row, at, np.asarray(activations))


def test_the_layers_of_a_subclassed_model_are_recorded():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = keras.layers.Dense(5, activation="relu", name="hidden")
            self.flat, self.last = keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax", name="last")

        def call(self, images):
            return self.last(self.hidden(self.flat(images)))

    model, statistics = compiled(Net()), ActivationStatistics(PROBE, every=5)
    model.fit(X, Y, verbose=0, callbacks=[statistics])
    assert [row.layer for row in statistics.records.rows] == ["hidden", "last"]
    hidden = np.maximum(PROBE.reshape(7, -1) @ model.hidden.get_weights()[0] + model.hidden.get_weights()[1], 0)
    statistics.record(model, 2)
    agree(statistics.records.rows[0], -1, hidden)


def test_training_is_the_same_with_and_without():
    runtime.seed_everything(3, deterministic=True)
    results = []
    for callbacks in ([], [ActivationStatistics(PROBE, every=1)]):
        model = nested()
        keras.utils.set_random_seed(5)
        model.fit(X, Y, batch_size=16, epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
        results.append(model.get_weights())
    for without, with_it in zip(*results, strict=True):
        np.testing.assert_array_equal(without, with_it)


class Stop(keras.callbacks.Callback):
    """Ends a run as a crash would, in the middle of an epoch."""

    def on_train_batch_begin(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == 5:
            raise KeyboardInterrupt


def test_after_an_interruption_the_records_go_on_as_if_there_had_been_none(tmp_path):
    def train(folder, *callbacks):
        runtime.seed_everything(0, deterministic=True)
        fit(small(), (X, Y), epochs=3, batch_size=16, verbose=0, folder=tmp_path / folder, callbacks=callbacks)

    whole, kept, new = (ActivationStatistics(PROBE, every=2) for _ in range(3))
    train("whole", whole)
    with pytest.raises(KeyboardInterrupt):
        train("cut", kept, Stop())
    assert kept.records.rows[0].steps.tolist() == [0, 2, 4]
    (tmp_path / "again").mkdir()
    for file in (tmp_path / "cut").iterdir():
        (tmp_path / "again" / file.name).write_bytes(file.read_bytes())
    train("cut", kept)  # the same object, from step 3 on
    train("again", new)  # another one, as after a restart of Python
    expected = whole.records.rows
    assert expected[0].steps.tolist() == [0, 2, 4, 6, 8]
    for row, same, late in zip(expected, kept.records.rows, new.records.rows, strict=True):
        assert same.steps.tolist() == row.steps.tolist()
        assert late.steps.tolist() == [4, 6, 8]
        np.testing.assert_array_equal(same.means, row.means)
        np.testing.assert_array_equal(late.means, row.means[2:])
        np.testing.assert_array_equal(same.histogram_counts, row.histogram_counts)


def test_a_run_from_the_start_forgets_the_one_before():
    statistics, again = ActivationStatistics(PROBE, every=2), ActivationStatistics(PROBE)
    for seed, images in ((0, 48), (1, 16)):
        model = small(seed)
        model.fit(X[:images], Y[:images], batch_size=16, verbose=0, callbacks=[statistics])
    again.record(small(1))
    assert statistics.records.rows[0].steps.tolist() == [0]
    assert statistics.records.rows[0].means[0] == pytest.approx(again.records.rows[0].means[0], rel=1e-6)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras refuses several steps per call there")
def test_several_steps_per_call_are_counted_one_by_one():
    model, statistics = small(), ActivationStatistics(PROBE, every=2)
    model.compile("sgd", "sparse_categorical_crossentropy", steps_per_execution=3)
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0, callbacks=[statistics])
    assert statistics.records.rows[0].steps.tolist() == [0, 3, 6, 9, 12]


def test_where_gradients_of_several_batches_are_gathered_a_step_is_one_of_the_optimizer():
    model = small()
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    statistics, weights = ActivationStatistics(PROBE, layers=["head"], every=2), Weights()
    for _ in range(2):  # the second epoch begins in the middle of a step
        model.fit(X[:40], Y[:40], batch_size=8, epochs=1, verbose=0, callbacks=[statistics, weights])
    (row,) = statistics.records.rows
    assert row.steps.tolist() == [0, 2, 4]
    assert int(optimizer.iterations) == 5
    for at, batches in enumerate([0, 4, 8]):
        model.set_weights(weights.kept[batches])
        answer = np.asarray(model.predict(PROBE, verbose=0), "float64")
        assert row.means[at] == pytest.approx(answer.mean(), abs=1e-3)
        assert row.standard_deviations[at] == pytest.approx(answer.std(), abs=1e-3)


# ------------------------------------------------------------------------------------------------ the histogram
def writing(*batches):
    """Return the records of a layer that writes these numbers, one array for each step."""
    scale = keras.layers.Dense(1, use_bias=False, activation="relu", name="numbers")
    model = keras.Sequential([keras.Input((1,)), scale])
    scale.activation = keras.activations.linear
    statistics = ActivationStatistics(np.ones((1, 1)), layers=["numbers"])
    for step, numbers in enumerate(batches):
        statistics.images = np.asarray(numbers, "float32")[:, None]
        scale.set_weights([np.ones((1, 1))])
        statistics.record(model, step)
    return statistics.records.rows[0]


def test_a_histogram_that_grows_equals_one_in_the_final_bins():
    batches = [
        np.zeros(50),
        RNG.normal(size=500) / 300,
        RNG.normal(size=500),
        40 * RNG.normal(size=500),
        [-0.5, 64],
    ]
    row = writing(*batches)
    assert row.histogram_edges.tolist() == np.linspace(-256, 256, 129).tolist() or row.histogram_edges[-1] == 128
    for counts, numbers in zip(row.histogram_counts, batches, strict=True):
        expected, _ = np.histogram(np.asarray(numbers, "float32"), row.histogram_edges)
        assert counts.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("largest", "limit"), [(0.0, 2.0**-20), (0.3, 0.5), (1.0, 2.0), (1.01, 2.0), (3e38, 2.0**128)]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_range_is_the_power_of_two_above_every_number(largest, limit, sign):
    row = writing([0.0, sign * largest])
    assert row.histogram_edges[[0, -1]].tolist() == [-limit, limit]
    assert row.histogram_counts.sum() == 2


def test_what_is_not_finite_is_in_no_bin_and_makes_the_mean_nan():
    row = writing([1.0, 2.0, 3.0, 0.0], [1.0, np.nan, 0.0, np.inf])
    assert np.isnan(row.means).tolist() == np.isnan(row.standard_deviations).tolist() == [False, True]
    assert row.histogram_counts.sum(axis=1).tolist() == [4, 2]
    assert row.zero_shares.tolist() == [0.25, 0.25]


def test_with_zero_weights_nothing_passes_the_first_layer():
    model = small()
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    statistics = ActivationStatistics(PROBE)
    statistics.record(model)
    *hidden, last = statistics.records.rows
    assert [row.zero_shares[0] for row in hidden] == [1.0] * 2
    assert (last.means[0], last.standard_deviations[0]) == (pytest.approx(1 / 3), 0)


# ------------------------------------------------------------------------------------------------- the layers
def test_by_default_layers_with_an_activation_are_recorded_else_those_with_weights():
    def recorded(*layers):
        statistics = ActivationStatistics(PROBE)
        statistics.record(keras.Sequential([keras.Input((16, 16, 3)), *layers]))
        return [row.layer for row in statistics.records.rows]

    kinds = keras.layers
    assert recorded(
        kinds.Conv2D(2, 3, name="plain"),
        kinds.LeakyReLU(name="leaky"),
        kinds.Conv2D(2, 3, activation="tanh", name="fused"),
        kinds.Activation("linear", name="nothing"),
        kinds.Activation("gelu", name="gelu"),
    ) == ["leaky", "fused", "gelu"]
    assert recorded(kinds.Conv2D(2, 3, name="plain"), kinds.Flatten(), kinds.Dense(2, name="dense")) == [
        "plain",
        "dense",
    ]


def test_of_a_layer_that_is_called_twice_the_last_call_counts():
    inputs = keras.Input((2,))
    shared = keras.layers.Dense(2, activation="relu", use_bias=False, name="shared")
    model = keras.Model(inputs, shared(shared(inputs)))
    shared.set_weights([3 * np.eye(2)])
    statistics = ActivationStatistics(np.ones((4, 2)))
    statistics.record(model)
    assert statistics.records.rows[0].means.tolist() == [9]


def test_numbers_of_half_precision_are_recorded_in_full_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = small()
    finally:
        keras.config.set_dtype_policy("float32")
    statistics = ActivationStatistics(PROBE)
    statistics.record(model)
    captured = keras.Model(model.input, model.get_layer("block2").output).predict(PROBE, verbose=0)
    agree(statistics.records.rows[1], 0, np.asarray(captured).astype("float32"))


def test_the_table_shows_the_first_and_the_last_record_and_the_rows_all():
    model, statistics = small(), ActivationStatistics(PROBE, every=1)
    assert statistics.records.rows == ()
    model.fit(X, Y, batch_size=16, epochs=1, verbose=0, callbacks=[statistics])
    records = statistics.records
    assert str(records).splitlines()[-1] == "7 images, 4 records from step 0 to 3."
    assert f"{records.rows[0].means[-1]:.3g}" in str(records).splitlines()[2]
    rows = records.to_dict()
    assert len(rows) == 4 * 3
    assert rows[1] == {
        "layer": "block1",
        "step": 1,
        "mean": records.rows[0].means[1],
        "standard_deviation": records.rows[0].standard_deviations[1],
        "zero_share": records.rows[0].zero_shares[1],
    }
    assert "block1" in records._repr_html_()


# -------------------------------------------------------------------------------------------------- bad input
def recording(model=None, images=PROBE, **options):
    ActivationStatistics(images, **options).record(small() if model is None else model)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: recording(images="a"), TypeError, "`images` of `ActivationStatistics` must be a batch"),
        (lambda: recording(images=PROBE[:0]), ValueError, "`images` of `ActivationStatistics` .* not empty"),
        (lambda: recording(images=PROBE * np.nan), ValueError, "finite numbers"),
        (lambda: recording(images=PROBE[..., :1]), ValueError, r"input shape \(16, 16, 3\).*\(7, 16, 16, 1\)"),
        (lambda: recording(images=PROBE[0]), ValueError, r"A single image becomes one with `\[None\]`"),
        (
            lambda: recording(every=0),
            ValueError,
            "`every` of `ActivationStatistics` .* at least 1",
        ),
        (lambda: recording(every=2.5), TypeError, "`every` of `ActivationStatistics` must be an integer"),
        (lambda: recording(layers="block1"), TypeError, "`layers` of `ActivationStatistics` must be a list"),
        (lambda: recording(layers=[]), ValueError, "one or more"),
        (lambda: recording(layers=["blok1"]), ValueError, "'blok1'. Fit layers: 'block1'"),
        (lambda: recording(model=3), TypeError, "`model` of `record` must be a Keras model"),
        (lambda: ActivationStatistics(PROBE).record(small(), -1), ValueError, "`step` of `record`"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_name_that_two_nested_models_share_is_refused_with_both_paths():
    inputs = keras.Input((16, 16, 3))
    towers = [small(name=name)(inputs) for name in ("one", "two")]
    model = keras.Model(inputs, keras.layers.Add()(towers))
    with pytest.raises(ValueError, match="Give the path: 'one/block1', 'two/block1'"):
        recording(model, layers=["block1"])


def test_another_network_under_the_same_records_is_refused():
    statistics = ActivationStatistics(PROBE)
    statistics.record(small())
    with pytest.raises(ValueError, match=r"`model` of `record` .* Take a new `ActivationStatistics`"):
        statistics.record(nested(), 1)


def test_models_without_such_layers_or_with_two_inputs_are_refused():
    with pytest.raises(ValueError, match=r"`model` of `ActivationStatistics` .* activation function or weights"):
        recording(keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Flatten()]))
    pair = [keras.Input((16, 16, 3)), keras.Input((16, 16, 3))]
    with pytest.raises(ValueError, match="one input"):
        recording(keras.Model(pair, keras.layers.Add()(pair)))
