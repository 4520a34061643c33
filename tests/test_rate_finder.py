"""The learning-rate finder: what it measures, what it suggests, and that it leaves no trace in the model."""

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from keras import layers

from kerascv_course.datasets import ImageDataset
from kerascv_course.plotting import style
from kerascv_course.plotting.curves import plot_learning_rate_finder
from kerascv_course.training import LearningRateCurve, find_learning_rate, fit
from kerascv_course.training.rate_finder import _moving_average, _suggest

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 8)).astype("float32")
Y = (X @ RNG.normal(size=(8, 3))).argmax(axis=1)


def build_model(optimizer="sgd", loss="sparse_categorical_crossentropy"):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.1, seed=1),  # without a seed PyTorch draws from its global generator
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def state(model):
    variables = [*model.variables, *model.optimizer.variables]
    return {variable.path: np.copy(keras.ops.convert_to_numpy(variable)) for variable in variables}


def assert_same_state(found, expected):
    assert set(found) >= set(expected)
    for path, value in expected.items():
        np.testing.assert_array_equal(found[path], value, err_msg=path)


def quadratic(rate):
    """Return a model whose weight w has the loss w² on every batch: each step multiplies w by 1 - 2 rate."""
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(rate), loss=lambda true, predicted: keras.ops.square(predicted))
    return model


@pytest.mark.smoke
def test_losses_rates_and_averages_are_those_of_the_closed_form():
    curve = find_learning_rate(
        quadratic(0.1), (np.ones((4, 1)), np.ones(4)), lowest=1e-4, highest=100, steps=80, verbose=0
    )
    rates = 10 ** np.linspace(-4, 2, 80)
    weights = np.cumprod(np.concatenate([[1], 1 - 2 * rates]))[: len(curve.losses)]
    np.testing.assert_allclose(curve.rates, rates[: len(curve.rates)], rtol=1e-12)
    np.testing.assert_allclose(curve.losses, weights**2, rtol=1e-4, atol=1e-12)
    weighted = [
        np.average(curve.losses[: n + 1], weights=0.9 ** np.arange(n, -1, -1)) for n in range(len(curve.losses))
    ]
    np.testing.assert_allclose(curve.smoothed_losses, weighted, rtol=1e-9)
    assert (
        1 < curve.rates[-1] < 100
    )  # a rate above 1 multiplies by less than -1: the loss rises and the sweep ends
    assert len(curve.rates) < 80
    assert curve.suggestion == pytest.approx(curve.rates[int(np.argmin(weighted))] / 10)
    assert curve.notes[0].startswith("The loss diverged at a rate of ")


def test_the_moving_average_of_a_constant_is_that_constant():
    np.testing.assert_allclose(_moving_average([2.5] * 20), 2.5, rtol=1e-12)


def test_a_training_at_the_suggestion_learns_and_one_at_a_hundred_times_it_does_not():
    model = build_model()
    curve = find_learning_rate(model, (X, Y), batch_size=16, verbose=0)
    model.optimizer.learning_rate = curve.suggestion
    weights = model.get_weights()
    learned = model.fit(X, Y, batch_size=16, epochs=10, verbose=0).history["loss"]
    model.set_weights(weights)
    model.optimizer.learning_rate = 100 * curve.suggestion
    lost = model.fit(X, Y, batch_size=16, epochs=10, verbose=0).history["loss"]
    assert learned[-1] < 0.5 * learned[0]
    assert not lost[-1] < 2 * learned[-1]


@pytest.mark.smoke
@pytest.mark.parametrize("trained_before", [False, True])
def test_the_model_and_its_optimizer_are_as_they_were(trained_before):
    model = build_model(keras.optimizers.Adam(0.0123))
    if trained_before:
        model.fit(X, Y, epochs=1, verbose=0)
    else:
        model.optimizer.build(model.trainable_variables)
    before = state(model)
    curve = find_learning_rate(model, (X, Y), batch_size=16, steps=20, verbose=0)
    assert len(set(curve.losses)) > 10  # the weights did move
    assert_same_state(state(model), before)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.0123)


def test_the_training_after_a_sweep_is_the_training_without_one():
    histories = []
    for sweep in (False, True):
        model = build_model()
        if sweep:
            find_learning_rate(model, (X, Y), steps=10, verbose=0)
        histories.append(fit(model, (X, Y), epochs=2, verbose=0).history)
    assert histories[0] == histories[1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_the_model_as_it_was(monkeypatch, error):
    model = build_model(keras.optimizers.SGD(0.05, momentum=0.9))
    model.optimizer.build(model.trainable_variables)
    before, train, calls = state(model), model.train_on_batch, []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == 7:
            raise error
        return train(*arguments, **options)

    monkeypatch.setattr(model, "train_on_batch", interrupted)
    with pytest.raises(error):
        find_learning_rate(model, (X, Y), verbose=0)
    assert_same_state(state(model), before)


def test_an_image_data_set_is_taken_as_it_is_and_one_batch_serves_all_steps():
    images = RNG.integers(0, 256, (6, 8, 8, 1)).astype("uint8")
    labels = np.array([0, 1] * 3)
    data = ImageDataset(images, labels, images, labels, class_names=("a", "b"), name="tiny", source="made up")
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(2, "softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert len(find_learning_rate(model, data, highest=0.1, steps=12, verbose=0).rates) == 12


def test_a_flat_curve_gives_no_suggestion():
    model = build_model()
    flat = find_learning_rate(model, (X, Y), batch_size=16, lowest=1e-12, highest=1e-9, verbose=0)
    assert flat.suggestion is None
    assert "falls nowhere by more than chance" in flat.notes[0]
    still_falling = find_learning_rate(model, (X, Y), lowest=1e-3, highest=0.1, verbose=0)
    assert still_falling.suggestion is None
    assert "Raise `highest`" in still_falling.notes[0]


def test_labels_that_mean_nothing_give_a_suggestion_only_by_a_real_fall():
    """Pure chance wanders: over 20 flat sweeps on random batches there is none with a suggestion."""
    model = keras.Sequential([keras.Input((8,)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    for seed in range(20):
        curve = find_learning_rate(model, (X, Y), batch_size=4, lowest=1e-9, highest=1e-7, seed=seed, verbose=0)
        assert curve.suggestion is None, seed


@pytest.mark.parametrize(("fall", "is_clear"), [(0.95, False), (1.05, True)])
@pytest.mark.parametrize("scatter", [0.0, 0.1])
def test_a_fall_is_clear_from_two_percent_and_from_six_deviations_of_the_average(scatter, fall, is_clear):
    """The average of independent numbers with weights 0.1 · 0.9ⁿ has the variance 0.1² / (1 - 0.9²) of one."""
    deviation = 1.48 * scatter * 0.1 / (1 - 0.9**2) ** 0.5
    smoothed = np.full(40, 5.0)
    smoothed[20] -= fall * max(0.02 * 5, 6 * deviation)
    losses = smoothed + scatter * (-1.0) ** np.arange(40)
    rates = np.geomspace(1e-4, 1, 40)
    suggestion, (note,) = _suggest(rates, losses, smoothed)
    assert suggestion == (pytest.approx(rates[20] / 10) if is_clear else None)
    assert ("a tenth of the rate" in note) == is_clear


@pytest.mark.parametrize(("lowest", "has_one"), [(3, False), (4, True), (38, True), (39, False)])
def test_the_lowest_loss_counts_neither_among_the_first_tenth_nor_at_the_last_rate(lowest, has_one):
    losses = np.where(np.arange(40) == lowest, 1.0, 5.0)
    suggestion, (note,) = _suggest(np.geomspace(1e-4, 1, 40), losses, losses)
    assert (suggestion is not None) == has_one
    assert lowest != 39 or "the loss still falls at the last rate" in note


def test_a_loss_that_is_nan_from_the_start_is_an_error_and_later_the_end():
    model = build_model()
    weights = model.get_weights()
    model.set_weights([np.full_like(weights[0], np.nan), *weights[1:]])
    message = "`find_learning_rate`: the loss of the first batch is nan, before any step"
    with pytest.raises(FloatingPointError, match=message):
        find_learning_rate(model, (X, Y), verbose=0)
    model = quadratic(0.1)
    curve = find_learning_rate(model, (np.ones((4, 1)), np.ones(4)), lowest=1, highest=1e38, steps=10, verbose=0)
    assert len(curve.losses) < 10
    assert np.isfinite(curve.losses).all()
    assert model.get_weights()[0].item() == 1


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lowest": 0}, "`lowest` of `find_learning_rate` must be a number above 0. Received: lowest=0"),
        ({"lowest": -1e-3}, "`lowest` of `find_learning_rate` must be a number above 0. Received: low"),
        ({"highest": float("inf")}, "`highest` of `find_learning_rate` must be a number above 1e-06. Rec"),
        ({"highest": 1e-7}, "`highest` of `find_learning_rate` must be a number above 1e-06. Rec"),
        ({"steps": 3}, "`steps` of `find_learning_rate` must be an integer of at least 10. Received: s"),
        ({"batch_size": 0}, "`batch_size` of `find_learning_rate` must be an integer of at least 1. Re"),
        ({"data": (X[:0], Y[:0])}, "`data` of `find_learning_rate` must be as many images as labels, and at le"),
        ({"data": X}, "`data` of `find_learning_rate` must be a pair of arrays (images, labels) or an Im"),
        ({"data": (X * np.nan, Y)}, "`data` of `find_learning_rate` must be finite numbers, without NaN and"),
        ({"model": "lenet"}, "`model` of `find_learning_rate` must be a Keras model. Received: model='lenet'."),
        ({"model": keras.Sequential()}, "`model` of `find_learning_rate` must be compiled. Received: model=<Seq"),
    ],
)
def test_bad_arguments_are_refused_by_name(change, message):
    arguments = {"model": build_model(), "data": (X, Y), "verbose": 0, **change}
    with pytest.raises((ValueError, TypeError)) as error:
        find_learning_rate(**arguments)
    assert message in str(error.value)


def test_a_schedule_is_refused_because_it_would_overrule_the_sweep():
    model = build_model(keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 10)))
    with pytest.raises(
        ValueError, match="`model` of `find_learning_rate` must be compiled with a number"
    ) as error:
        find_learning_rate(model, (X, Y), verbose=0)
    assert "CosineDecay" in str(error.value)


def test_the_record_reads_as_text_as_html_and_as_rows():
    curve = LearningRateCurve((0.1, 1.0), (2.0, 1.0), (2.0, 1.5), 0.1, ("A <note>.",))
    assert curve.to_dict()[1] == {"rate": 1.0, "loss": 1.0, "smoothed_loss": 1.5}
    words = " ".join(str(curve).split())
    assert words.endswith("Suggestion 0.1 Lowest loss 1.5 at a rate of 1 Tried 0.1 to 1 in 2 steps A <note>.")
    assert "A &lt;note&gt;." in curve._repr_html_()
    with pytest.raises(AttributeError):
        curve.suggestion = 1.0


def test_figures_show_the_values_of_their_records():
    losses = (2.0, 1.0, 90.0)
    curve = LearningRateCurve((0.1, 1.0, 10.0), losses, (2.0, 1.5, 30.0), 0.1, ())
    axis = plot_learning_rate_finder(curve, caption="LeNet").axes[0]
    assert axis.get_xscale() == "log"
    assert tuple(axis.lines[0].get_ydata()) == losses
    assert axis.lines[2].get_xdata()[0] == 0.1
    assert [line.get_color() for line in axis.lines] == [style.PALE, *style.COLORS[:2]]
    assert axis.get_ylim() == pytest.approx((0.9, 3))  # what diverges is cut off, where it rises twice as far
    for highest, is_cut in ((4.0, False), (4.01, True)):
        curve = LearningRateCurve((0.1, 1.0, 10.0), (2.0, 1.0, highest), (2.0, 1.5, 2.0), None, ())
        assert (plot_learning_rate_finder(curve).axes[0].get_ylim()[1] < highest) == is_cut
    flat = LearningRateCurve((0.1, 1.0), (2.0, 2.0), (2.0, 2.0), None, ())
    assert len(plot_learning_rate_finder(flat).axes[0].lines) == 2
    with pytest.raises(TypeError, match=r"of `plot_learning_rate_finder` must be"):
        plot_learning_rate_finder([1, 2])
    plt.close("all")
