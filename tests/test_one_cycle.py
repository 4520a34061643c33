"""The one-cycle policy: against its closed form, against NumPy's own descent, saved, and interrupted."""

import keras
import numpy as np
import pytest

from kerascv_course import runtime, training
from kerascv_course.training import OneCycle, OneCycleSGD


def closed_form(step, points):
    """Return the line through (steps, values), flat on both sides."""
    return np.interp(step, *points)


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("options", "rates"),
    [
        ({}, ([0, 36, 120], [0.03, 0.3, 0.0])),
        ({"pct_start": 0.127}, ([0, 15.24, 120], [0.03, 0.3, 0.0])),  # the peak lies between two steps
    ],
)
def test_rate_and_momentum_equal_the_closed_form_at_every_step(options, rates):
    schedule = OneCycle(0.3, 120, **options)
    steps = np.arange(130)
    momentum = (rates[0], [0.95, 0.85, 0.95])
    np.testing.assert_allclose([float(schedule(s)) for s in steps], closed_form(steps, rates), atol=1e-7)
    found = [float(schedule.momentum_at(s)) for s in steps]
    np.testing.assert_allclose(found, closed_form(steps, momentum), atol=1e-6)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(schedule(steps)), closed_form(steps, rates), atol=1e-7)


def probe(optimizer):
    """Return a model of one weight, at 0, whose gradient is minus the mean of what it is fed."""
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")]
    )
    model.compile(optimizer, loss=lambda true, predicted: -predicted)
    return model


@pytest.mark.smoke
@pytest.mark.parametrize("nesterov", [False, True])
def test_each_step_of_a_traced_training_has_its_own_rate_and_momentum(nesterov):
    """The weight after each step is that of a descent in NumPy, with the gradients known."""
    steps = 24
    schedule = OneCycle(0.05, steps, pct_start=0.4)
    model = probe(OneCycleSGD(schedule, nesterov=nesterov))
    x = np.random.default_rng(0).normal(size=(steps, 1)).astype("float32")
    points = [0, 0.4 * steps, steps]
    weight = velocity = 0.0
    for step in range(steps):
        rate = closed_form(step, (points, [0.005, 0.05, 0]))
        momentum = closed_form(step, (points, [0.95, 0.85, 0.95]))
        gradient = -float(x[step, 0])
        velocity = momentum * velocity - rate * gradient
        weight += momentum * velocity - rate * gradient if nesterov else velocity
        model.train_on_batch(x[step : step + 1], np.zeros(1))  # `fit` does not hand out the weights in between
        assert model.get_weights()[0].item() == pytest.approx(weight, abs=2e-6), step


def test_with_one_momentum_it_is_the_sgd_of_keras():
    x = np.random.default_rng(1).normal(size=(40, 6)).astype("float32")
    y = np.random.default_rng(2).integers(0, 3, 40)

    class Constant(OneCycle):
        def momentum_at(self, step):
            return 0.9

    schedule = Constant(0.2, 20)
    found = []
    for optimizer in (
        OneCycleSGD(schedule, weight_decay=0.01, global_clipnorm=0.5),
        keras.optimizers.SGD(schedule, momentum=0.9, weight_decay=0.01, global_clipnorm=0.5),
    ):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3)])
        model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
        found.append(model.get_weights())
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_saved_with_the_model_it_goes_on_where_it_was(tmp_path, kind):
    schedule = OneCycle(0.1, 12, pct_start=0.5)
    options = {"nesterov": True, "weight_decay": 0.001, "clipnorm": 1.0}
    optimizer = keras.optimizers.Adam(schedule) if kind == "adam" else OneCycleSGD(schedule, **options)
    model = probe(optimizer)
    model.compile(optimizer, "mse")  # a loss that can be saved
    x = np.random.default_rng(0).normal(size=(6, 1))
    model.fit(x, x, batch_size=1, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.get_config() == optimizer.get_config()
    assert float(loaded.optimizer.learning_rate) == float(optimizer.learning_rate) == pytest.approx(0.1)
    for each in (model, loaded):
        each.fit(x, x, batch_size=1, shuffle=False, verbose=0)
    assert model.get_weights()[0] == loaded.get_weights()[0]
    assert float(loaded.optimizer.learning_rate) == pytest.approx(0)


def test_an_interrupted_run_resumes_in_the_middle_of_the_cycle_bit_for_bit(tmp_path):
    rng = np.random.default_rng(0)
    data = rng.normal(size=(48, 5)).astype("float32"), rng.integers(0, 3, 48)

    def run(folder, *callbacks):
        runtime.seed_everything(3)
        layers = [keras.Input((5,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(3)]
        model = keras.Sequential(layers)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(OneCycleSGD(OneCycle(0.5, 4 * 6)), loss)
        training.fit(
            model,
            data,
            epochs=4,
            batch_size=8,
            validation_split=0,
            folder=folder,
            callbacks=callbacks,
            verbose=0,
        )
        return model

    def interrupt(batch, logs):
        if batch == 3 and seen["epoch"] == 2:
            raise KeyboardInterrupt

    seen = {}
    interruption = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.update(epoch=epoch), on_train_batch_end=interrupt
    )
    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "halves", interruption)
    resumed = run(tmp_path / "halves")
    assert int(resumed.optimizer.iterations) == 24
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"max_learning_rate": 0},
            "`max_learning_rate` of `OneCycle` must be a number above 0. Received: max_learning_rate=0.",
        ),
        (
            {"max_learning_rate": "high"},
            "`max_learning_rate` of `OneCycle` must be a number above 0. Received: max_learning_rate='high'",
        ),
        ({"total_steps": 1}, "`total_steps` of `OneCycle` must be an integer of at least 2. Received: "),
        ({"total_steps": 9.5}, "`total_steps` of `OneCycle` must be an integer of at least 2. Received: "),
        (
            {"pct_start": 1},
            "`pct_start` of `OneCycle` must be a number above 0 and below 1. Received: pct_start=1.",
        ),
    ],
)
def test_arguments_out_of_range_are_refused_by_name(arguments, message):
    with pytest.raises((ValueError, TypeError)) as error:
        OneCycle(**{"max_learning_rate": 0.1, "total_steps": 10, **arguments})
    assert message in str(error.value)


def test_the_optimizer_asks_for_a_cycle_and_for_no_momentum_and_accumulation():
    with pytest.raises(TypeError, match=r"`learning_rate` of `OneCycleSGD` must be a `OneCycle`. Rec.*=0.1"):
        OneCycleSGD(0.1)
    with pytest.raises(
        ValueError, match=r"`gradient_accumulation_steps` of `OneCycleSGD` must be left out. Rec.*=4"
    ):
        OneCycleSGD(OneCycle(0.1, 10), gradient_accumulation_steps=4)
    with pytest.raises(ValueError, match=r"`momentum` of `OneCycleSGD` must be left out. Received: momentum=0.5"):
        OneCycleSGD(OneCycle(0.1, 10), momentum=0.5)
