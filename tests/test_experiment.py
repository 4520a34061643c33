"""Variants over seeds: what is trained, what the table says, what is kept, and when a conclusion holds."""

import json

import keras
import numpy as np
import pytest
from keras import layers
from scipy import stats

from kerascv_course.experiment import ExperimentResults, ExperimentRun, compare, verdict
from kerascv_course.experiment.results import summary_row
from kerascv_course.plotting import style
from kerascv_course.plotting.experiments import plot_experiment
from kerascv_course.training import fit

RNG = np.random.default_rng(0)
Y = np.arange(60) % 3
X = (RNG.normal(size=(60, 4, 4, 1)) + Y[:, None, None, None]).astype("float32")
HELD_OUT = (X[:15], Y[:15])


LOSS = "sparse_categorical_crossentropy"


def build(units=4, metrics=("accuracy",), initializer="glorot_uniform", loss=LOSS, optimizer="adam"):
    dense = layers.Dense(3, "softmax", kernel_initializer=initializer)
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(units, "relu"), dense])
    # Step by step: to build the programs takes longer than so short a training.
    model.compile(optimizer, loss, metrics=list(metrics), run_eagerly=True)
    return model


def build_nan():
    model = build()
    model.layers[-1].kernel.assign(np.full((4, 3), np.nan))
    return model


def run(variants, data=(X, Y), **options):
    return compare(variants, data, **({"epochs": 2, "seeds": (0, 1), "verbose": 0} | options))


def results_of(**accuracies):
    runs = [
        ExperimentRun(name, seed, value, 10, 1.0, {}, "" if value is not None else "ValueError: no")
        for name, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    return ExperimentResults((), tuple(runs), ())


@pytest.mark.smoke
def test_a_row_is_what_fits_by_hand_give():
    (row,) = run({"a": build}, seeds=(3, 5), epochs=3).rows
    accuracies = []
    for seed in (3, 5):
        keras.utils.set_random_seed(seed)
        options = {"validation_split": 0.1, "seed": seed, "verbose": 0}
        accuracies.append(fit(build(), (X, Y), epochs=3, **options).history["val_accuracy"][-1])
    interval = stats.t.interval(0.95, 1, np.mean(accuracies), stats.sem(accuracies))
    assert row.accuracy == pytest.approx(np.mean(accuracies))
    assert row.accuracy_std == pytest.approx(np.std(accuracies, ddof=1))
    assert (row.accuracy_low, row.accuracy_high) == pytest.approx(interval)
    assert row.params == (16 + 1) * 4 + (4 + 1) * 3 == 83
    assert row.ratio == pytest.approx(row.accuracy * 1e5 / 83)
    assert row.seeds == 2


def test_with_patience_the_accuracy_is_that_of_the_epoch_with_the_lowest_validation_loss():
    noise = np.random.default_rng(1).normal(size=(50, 4, 4, 1)), np.arange(50) % 3  # nothing of it can be learned

    def fast():
        model = build()
        model.compile(keras.optimizers.Adam(0.05), model.loss, metrics=["accuracy"], run_eagerly=True)
        return model

    (best,) = run({"a": fast}, seeds=[0], epochs=12, patience=2, validation_data=noise).runs
    losses, accuracies = best.history["val_loss"], best.history["val_accuracy"]
    assert np.argmin(losses) == len(losses) - 3 < 9  # it was stopped, two epochs after the best one
    assert best.accuracy == accuracies[-3] != accuracies[-1]


def test_a_failed_variant_is_reported_and_loses_no_other():
    def broken():
        raise ValueError("kernel larger than the image")

    variants = {"broken": broken, "nan": build_nan, "fine": build, "no metric": lambda: build(metrics=())}
    results = run(variants)
    assert {row.variant: row.seeds for row in results.rows} == {"broken": 0, "nan": 0, "fine": 2, "no metric": 0}
    found = {run.variant: run.error.split(":")[0] for run in results.runs}
    errors = {"broken": "ValueError", "nan": "FloatingPointError", "fine": "", "no metric": "ValueError"}
    assert found == errors
    assert "broken, seed 0, failed: ValueError: kernel larger than the image" in str(results)
    assert 'compiled with metrics=["accuracy"]' in results.runs[-1].error
    texts = [text.get_text() for text in plot_experiment(results).axes[0].texts]
    assert texts == ["failed"] * 3
    with pytest.raises(RuntimeError, match=r"`compare`: every run failed\. The first, 'nan': FloatingPointError"):
        run({"nan": build_nan})


def test_a_failure_of_one_seed_leaves_the_figures_of_the_others():
    calls = []

    def sometimes():
        calls.append(1)
        return build_nan() if len(calls) == 2 else build()

    results = run({"a": sometimes}, seeds=(0, 1, 2))
    assert results.rows[0].seeds == 2
    assert results.runs[1].error.startswith("FloatingPointError")


def kept(folder):
    return json.loads((folder / "kerascv_run.json").read_text(encoding="utf-8"))["record"]["values"].values()


def test_finished_runs_are_not_repeated_and_an_interruption_keeps_them(tmp_path):
    whole = run({"a": build, "b": lambda: build(5)}, folder=tmp_path / "whole")
    built = []

    def interrupted():
        built.append(1)
        if len(built) == 2:
            raise KeyboardInterrupt
        return build(5)

    with pytest.raises(KeyboardInterrupt):
        run({"a": build, "b": interrupted}, folder=tmp_path / "cut")
    assert [(record["variant"], record["seed"]) for record in kept(tmp_path / "cut")] == [
        ("a", 0),
        ("a", 1),
        ("b", 0),
    ]
    resumed = run({"a": build, "b": lambda: build(5)}, folder=tmp_path / "cut")
    assert [single.history for single in resumed.runs] == [single.history for single in whole.runs]
    more = run({"a": build, "b": lambda: build(5)}, folder=tmp_path / "cut", seeds=(0, 1, 2))
    assert [single for single in more.runs if single.seed < 2] == list(resumed.runs)  # with the seconds of then


@pytest.mark.smoke
def test_failed_runs_are_tried_again(tmp_path):
    run({"a": build, "b": build_nan}, folder=tmp_path)
    assert {record["variant"] for record in kept(tmp_path)} == {"a"}


def focal(factor):
    return lambda true, predicted: factor * keras.losses.sparse_categorical_crossentropy(true, predicted)


def falling(rate):
    return keras.optimizers.schedules.ExponentialDecay(rate, 1, 0.9)


@pytest.mark.parametrize(
    ("variants", "options"),
    [
        ({"a": lambda: build(5)}, {}),
        ({"a": lambda: build(initializer="zeros")}, {}),
        ({"a": lambda: build(loss=focal(9.0))}, {}),
        ({"a": lambda: build(optimizer=keras.optimizers.Adam(0.01))}, {}),  # by default it is 0.001
        ({"a": lambda: build(optimizer=keras.optimizers.Adam(weight_decay=0.1))}, {}),
        ({"a": lambda: build(optimizer=keras.optimizers.Adam(falling(1e-3)))}, {}),
        ({"a": build}, {"batch_size": 7}),
        ({"a": build}, {"epochs": 2}),
        ({"a": build}, {"data": (X + 1, Y)}),
        ({"a": build}, {"validation_split": 0.2}),
    ],
)
def test_what_has_changed_is_trained_anew_and_what_has_not_is_found(tmp_path, variants, options):
    options = {"seeds": [0], "epochs": 1} | options
    (before,) = run({"a": build}, folder=tmp_path, seeds=[0], epochs=1).runs
    (changed,) = run(variants, folder=tmp_path, **options).runs
    (expected,) = run(variants, **options).runs
    assert changed.history == expected.history != before.history
    assert run({"renamed": build}, folder=tmp_path, seeds=[0], epochs=1).runs[0].seconds == before.seconds


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "kerascv_run.json").write_text('{"record": {')
    with pytest.raises(ValueError, match=r"`folder` of `compare` .* kerascv_run.json is damaged .* Delete"):
        run({"a": build}, folder=tmp_path)


def test_a_random_layer_is_no_changed_variant(tmp_path):
    def flipping():
        model = keras.Sequential([keras.Input((4, 4, 1)), layers.RandomFlip(), layers.Dropout(0.1), build()])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
        return model

    (first,) = run({"a": flipping}, folder=tmp_path, seeds=[0], epochs=1).runs
    assert run({"a": flipping}, folder=tmp_path, seeds=[7, 0], epochs=1).runs[1] == first


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("better", "than", "conclusion"),
    [
        ((0.71, 0.70, 0.73), (0.65, 0.66, 0.68), "holds"),
        ((0.65, 0.66, 0.68), (0.71, 0.70, 0.73), "does not hold"),
        ((0.71, 0.60, 0.73), (0.65, 0.66, 0.68), "undecided"),
        # Far apart from seed to seed, yet the difference is steady: only the pairs show it.
        ((0.50, 0.70, 0.90), (0.47, 0.68, 0.87), "holds"),
    ],
)
def test_the_verdict_is_that_of_the_paired_t_test(better, than, conclusion):
    found = verdict(results_of(a=better, b=than), "a", "b")
    test = stats.ttest_rel(better, than)
    interval = test.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.difference == pytest.approx(np.mean(better) - np.mean(than))
    assert found.conclusion == conclusion
    assert (found.conclusion != "undecided") == (test.pvalue < 0.05)


def test_a_row_is_mean_deviation_interval_and_ratio_by_hand_and_shows_them():
    runs = [ExperimentRun("a", seed, share, 50_000, 2.0 + seed, {}) for seed, share in enumerate((0.3, 0.5))]
    row = summary_row("a", [*runs, ExperimentRun("a", 2, None, 50_000, None, {}, "KeyError: 'x'")])
    # Mean 0.4, deviation sqrt(0.02), and t(0.975, 1) * 0.1 = 1.27062.
    assert (row.accuracy, row.accuracy_std) == pytest.approx((0.4, 0.02**0.5))
    assert (row.accuracy_low, row.accuracy_high) == pytest.approx((0.4 - 1.27062, 0.4 + 1.27062), abs=1e-5)
    assert (row.ratio, row.seconds, row.seeds) == (pytest.approx(0.8), 2.5, 2)
    shown = str(ExperimentResults((row, summary_row("b", runs[:1])), (), ())).splitlines()
    assert " ".join(shown[-2].split()) == "a 2 40.0% 14.1% -87.1% to 167.1% 50,000 0.80"
    assert " ".join(shown[-1].split()) == "b 1 30.0% - - 50,000 0.60"


def test_the_interval_of_a_hand_computed_case():
    found = verdict(results_of(a=(0.3, 0.5), b=(0.2, 0.2)), "a", "b")
    # Differences 0.1 and 0.3: mean 0.2, deviation sqrt(0.02), and t(0.975, 1) = 12.7062.
    assert (found.low, found.high) == pytest.approx((0.2 - 1.27062, 0.2 + 1.27062), abs=1e-5)
    found_by_hand = "difference +20.0 points over 2 seeds, 95% interval -107.1 to +147.1, half-width 127.1"
    few = "; fewer than five seeds: no verdict to rely on"
    assert str(found) == f"a is better than b: undecided ({found_by_hand}{few})"
    five = verdict({"a": (0.3, 0.5, 0.4, 0.3, 0.4), "b": (0.2,) * 5}, "a", "b")
    assert "fewer than five" not in str(five)


@pytest.mark.parametrize(
    ("differences", "margin", "conclusion"),
    [
        ((0.001, -0.002, 0.000, 0.001), 0.01, "practically equal"),
        ((0.004, 0.005, 0.004, 0.005), 0.01, "practically equal"),  # surely above 0, and too little to matter
        ((0.004, 0.005, 0.004, 0.005), 0.0, "holds"),
        ((0.004, 0.005, 0.004, 0.005), 0.005, "holds"),  # the interval passes the margin
        ((-0.004, -0.005, -0.004, -0.005), 0.005, "does not hold"),
        ((0.05, -0.06, 0.01, -0.02), 0.01, "undecided"),
    ],
)
def test_two_are_practically_equal_only_where_the_whole_interval_is_within_the_margin(
    differences, margin, conclusion
):
    accuracies = {"a": [0.7 + difference for difference in differences], "b": np.full(4, 0.7)}
    assert verdict(accuracies, "a", "b", margin=margin).conclusion == conclusion


def test_plain_accuracies_are_judged_as_runs_are():
    better, than = (0.71, 0.70, 0.73), (0.65, 0.66, 0.68)
    assert verdict({"a": better, "b": list(than)}, "a", "b") == verdict(results_of(a=better, b=than), "a", "b")


def test_one_seed_or_none_in_common_is_undecided_and_only_pairs_count():
    assert verdict(results_of(a=(0.9,), b=(0.1,)), "a", "b").conclusion == "undecided"
    none = verdict(results_of(a=(0.9, None), b=(None, 0.1)), "a", "b")
    assert (none.conclusion, none.seeds, none.difference) == ("undecided", 0, None)
    some = verdict(results_of(a=(0.9, 0.8, 0.9), b=(0.1, None, 0.2)), "a", "b")
    assert (some.seeds, some.difference) == (2, pytest.approx(0.75))


def test_claims_without_any_truth_are_decided_about_once_in_twenty():
    draws = np.random.default_rng(1).normal(0.7, 0.02, size=(400, 2, 3))
    decided = [verdict(results_of(a=a, b=b), "a", "b").conclusion != "undecided" for a, b in draws]
    assert 0.02 < np.mean(decided) < 0.09


def test_the_figure_shows_each_run_the_mean_and_the_interval():
    results = run({"narrow": build, "wide": lambda: build(9)}, seeds=(0, 1, 2))
    (axis,) = plot_experiment(results, caption="two widths").axes
    dots = [line.get_xdata().tolist() for line in axis.lines if line.get_marker() == "o"]
    assert dots == [
        [single.accuracy for single in results.runs if single.variant == n] for n in ("narrow", "wide")
    ]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["narrow", "wide"]
    low, high = axis.collections[0].get_segments()[0][:, 0]
    assert (low, high) == pytest.approx((results.rows[0].accuracy_low, results.rows[0].accuracy_high))
    means = [line for line in axis.lines if line.get_marker() == "s"]
    assert [line.get_xdata()[0] for line in means] == [row.accuracy for row in results.rows]
    runs = [line for line in axis.lines if line.get_marker() == "o"]
    assert axis.get_ylim() == (1.5, -0.5)  # from top to bottom
    for place, (single, mean) in enumerate(zip(runs, means, strict=True)):
        assert place - 0.5 < mean.get_ydata()[0] < place
        assert all(place < y < place + 0.5 for y in single.get_ydata())
        assert (single.get_color(), mean.get_color()) == (style.COLORS[1], style.COLORS[0])


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: run([build]), TypeError, "`variants` of `compare` must be a dictionary"),
        (lambda: run({}), ValueError, "`variants` of `compare` must be one or more named functions"),
        (lambda: run({"a": build()}), TypeError, "Pass the function itself, not the model"),
        (lambda: run({"a": (build, {})}), TypeError, "Pass the function itself, not the model"),
        (lambda: run({"a": build}, patience=-1), ValueError, "`patience` of `compare` must be an integer of at"),
        (
            lambda: run({"a": build}, epochs=0),
            ValueError,
            "`epochs` of `compare` must be an integer of at least",
        ),
        (lambda: run({"a": build}, seeds=[]), ValueError, "`seeds` of `compare` must be a list of one or more"),
        (lambda: run({"a": build}, seeds=[1, 1]), ValueError, "`seeds` of `compare` must be .* distinct"),
        (lambda: run({"a": build}, seeds=3), TypeError, "`seeds` of `compare` must be a list"),
        (lambda: run({"a": build}, data=X), TypeError, "`data` of `compare` must be a pair of arrays"),
        (lambda: run({"a": build}, data=(X, Y[:3])), ValueError, "`data` of `compare` must be as many images"),
        (
            lambda: run({"a": build}, validation_split=0),
            ValueError,
            "`validation_split` of `compare` must be above 0",
        ),
        (
            lambda: run({"a": build}, folder=__file__),
            ValueError,
            "`folder` of `compare` must be a folder, or a name",
        ),
        (lambda: run({"a": build}, verbose=2), ValueError, "`verbose` of `compare` must be 0 or 1"),
        (lambda: verdict([], "a", "b"), TypeError, "`results` of `verdict` must be what `compare` returned"),
        (lambda: verdict(results_of(a=(1,), b=(0,)), "a", "c"), ValueError, "`than` of `verdict` must be 'b'"),
        (lambda: verdict(results_of(a=(1,), b=(0,)), "a", "a"), ValueError, "`than` of `verdict` must be 'b'"),
        (lambda: verdict({"a": (1, 0), "b": (1,)}, "a", "b"), ValueError, "as many accuracies of 'b' as of 'a'"),
        (lambda: verdict({"a": "high", "b": "low"}, "a", "b"), TypeError, "a dictionary from names to accuracies"),
        (lambda: verdict({"a": (1,), "b": (0,)}, "a", "b", margin=-1), ValueError, "`margin` of `verdict`"),
        (
            lambda: plot_experiment([]),
            TypeError,
            "`results` of `plot_experiment` must be what `experiment.compare`",
        ),
    ],
)
def test_bad_input_is_refused_by_name(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
