"""Evaluation: each figure against a count by hand or by the definition, and what has none."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from kerascv_course.evaluation import (
    calibration,
    classification_report,
    confident_mistakes,
    confusion_matrix,
    roc_curves,
)

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 4, 60)
SCORES = RNG.integers(0, 12, (60, 4)) + 4.0 * np.eye(4)[LABELS]  # integers: many ties
SCORES /= SCORES.sum(axis=1, keepdims=True)


def area_by_pairs(is_one, scores):
    """Return the share of pairs (one of the class, another) in which the first has more; a tie counts half."""
    wins = [
        1.0 if mine > other else 0.5 if mine == other else 0.0
        for mine in scores[is_one]
        for other in scores[~is_one]
    ]
    return sum(wins) / len(wins)


@pytest.mark.smoke
def test_the_area_is_the_share_of_pairs_in_the_right_order():
    curves = roc_curves(LABELS, SCORES, ["a", "b", "c", "d"])
    assert [curve.name for curve in curves] == ["a", "b", "c", "d"]
    for index, curve in enumerate(curves):
        assert curve.auc == pytest.approx(area_by_pairs(index == LABELS, SCORES[:, index]), abs=1e-12)
        assert curve.auc == pytest.approx(np.trapezoid(curve.true_positive_rates, curve.false_positive_rates))


def test_each_point_counts_the_images_at_or_above_its_threshold():
    for index, curve in enumerate(roc_curves(LABELS, SCORES)):
        is_one = index == LABELS
        for false_rate, true_rate, threshold in zip(
            curve.false_positive_rates, curve.true_positive_rates, curve.thresholds, strict=True
        ):
            above = SCORES[:, index] >= threshold
            assert true_rate == pytest.approx(above[is_one].mean())
            assert false_rate == pytest.approx(above[~is_one].mean())
        assert curve.thresholds[0] == np.inf
        assert (curve.false_positive_rates[[0, -1]].tolist(), curve.true_positive_rates[[0, -1]].tolist()) == (
            [0, 1],
            [0, 1],
        )


def test_perfect_reversed_and_equal_probabilities_have_the_areas_one_zero_and_a_half():
    labels, right = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.7, 0.9])
    areas = [roc_curves(labels, scores)[0].auc for scores in (right, 1 - right, np.full(4, 0.3))]
    assert areas == [1.0, 0.0, 0.5]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_one_column_is_the_probability_of_class_one_of_two(dtype):
    labels = np.arange(20) % 2
    column = RNG.random(20).astype(dtype)
    both = roc_curves(labels, np.stack([1 - column.astype("float64"), column], axis=1), ["cat", "dog"])
    for form in (column, column[:, None]):
        (curve,) = roc_curves(labels, form, ["cat", "dog"])
        assert curve.name == "dog"
        assert curve.auc == both[1].auc == pytest.approx(area_by_pairs(labels == 1, column))
    assert both[0].auc == pytest.approx(both[1].auc)


def test_a_class_without_images_or_with_nothing_else_has_no_area_and_no_points():
    absent = roc_curves(np.array([0, 2, 0]), np.full((3, 3), 1 / 3))
    assert [curve.auc for curve in absent] == [0.5, None, 0.5]
    assert [len(curve.thresholds) for curve in absent] == [2, 0, 2]
    assert len(absent[1].true_positive_rates) == len(absent[1].false_positive_rates) == 0
    assert [curve.auc for curve in roc_curves(np.array([1, 1]), np.array([[0.2, 0.8]] * 2))] == [None, None]
    assert roc_curves(np.array([1, 1]), np.array([0.2, 0.8]))[0].auc is None


def test_classes_without_names_are_numbered_and_nothing_is_warned_of(recwarn):
    curves = roc_curves(np.array([0, 0]), np.array([[0.5, 0.5, 0.0]] * 2))
    assert [curve.name for curve in curves] == ["class 0", "class 1", "class 2"]
    assert not recwarn.list


def test_rounding_beyond_zero_and_one_is_taken():
    assert roc_curves(np.array([0, 1]), np.array([-1e-7, 1 + 1e-7]))[0].auc == 1.0


@pytest.mark.smoke
@pytest.mark.parametrize("function", [confusion_matrix, classification_report, calibration, confident_mistakes])
@pytest.mark.parametrize("kind", ["bfloat16", "float16", "list", "frame"])
def test_labels_and_probabilities_of_other_kinds_give_the_same(function, kind):
    scores = np.round(SCORES * 64) / 64  # exact in half precision too
    kinds = {
        "bfloat16": (LABELS[:, None], tf.cast(scores, "bfloat16")),
        "float16": (np.eye(4)[LABELS], scores.astype("float16")),
        "list": (LABELS.tolist(), scores.tolist()),
        "frame": (pd.Series(LABELS), pd.DataFrame(scores)),
    }
    assert str(function(*kinds[kind])) == str(function(LABELS, scores))


def test_labels_may_be_names_of_the_classes():
    named = np.array(["ant", "bee", "cat", "dog"])
    report = classification_report(named[LABELS], SCORES, named)
    assert str(report) == str(classification_report(LABELS, SCORES, named.tolist()))


@pytest.mark.parametrize(
    "function", [roc_curves, confusion_matrix, classification_report, calibration, confident_mistakes]
)
def test_each_function_refuses_what_does_not_fit_under_its_own_name(function):
    name = function.__name__
    with pytest.raises(ValueError, match=f"`labels` of `{name}` must be labels from 0 to 1, for 2 classes"):
        function([0, 2], [0.1, 0.2])
    with pytest.raises(ValueError, match=f"`probabilities` of `{name}` must be finite, from 0 to 1"):
        function([0, 1], [0.1, 7.0])


# ------------------------------------------------------------------------------------ who is taken for whom
@pytest.mark.smoke
def test_the_matrix_counts_true_classes_in_rows_and_predicted_ones_in_columns():
    predicted = SCORES.argmax(axis=1)
    matrix = confusion_matrix(LABELS, SCORES)
    for true, taken in np.ndindex(4, 4):
        assert matrix[true, taken] == sum((true == LABELS) & (predicted == taken))
    assert confusion_matrix(np.array([0, 0]), np.eye(3)[[2, 0]]).tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]


def test_one_column_from_one_half_on_is_class_one():
    labels, column = np.array([0, 1, 1, 0]), np.array([0.2, 0.5, 0.4, 0.9])
    for form in (column, column[:, None], np.stack([1 - column, column + 1e-9], axis=1)):
        assert confusion_matrix(labels, form).tolist() == [[1, 1], [1, 1]]


def test_precision_recall_and_f1_equal_those_of_scikit_learn():
    from sklearn.metrics import precision_recall_fscore_support

    report = classification_report(LABELS, SCORES, ["a", "b", "c", "d"])
    predicted = SCORES.argmax(axis=1)
    expected = precision_recall_fscore_support(LABELS, predicted)
    for row, precision, recall, f1, images in zip(report.rows, *expected, strict=True):
        assert (row.precision, row.recall, row.f1) == (
            pytest.approx(precision),
            pytest.approx(recall),
            pytest.approx(f1),
        )
        assert row.images == images
    assert report.accuracy == pytest.approx((predicted == LABELS).mean())
    assert report.macro_f1 == pytest.approx(expected[2].mean())


def test_what_divides_by_zero_is_none_and_a_dash():
    report = classification_report(np.array([0, 1, 1]), np.eye(4)[[0, 0, 2]], ["a", "b", "c", "d"])
    assert [row.precision for row in report.rows] == [0.5, None, 0, None]
    assert [row.recall for row in report.rows] == [1, 0, None, None]
    assert [row.f1 for row in report.rows] == [pytest.approx(2 / 3), 0, 0, None]
    assert report.macro_f1 == pytest.approx(2 / 9)
    assert str(report).splitlines()[5].split() == ["d", "0", "0", "-", "-", "-"]
    assert report.to_dict()[0]["name"] == "a"


# ------------------------------------------------------------------------------------------------ calibration
def error_by_definition(right, confidence, edges):
    """Return the sum over bins (lower, upper] of n_bin / n * |accuracy - confidence|, as Guo et al. write it."""
    total = 0.0
    for index, (lower, upper) in enumerate(pairwise(edges)):
        inside = (confidence > lower) & (confidence <= upper) | ((index == 0) & (confidence == lower))
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


@pytest.mark.smoke
@pytest.mark.parametrize("bins", [1, 5, 15])
def test_the_calibration_error_is_the_mean_distance_of_accuracy_and_confidence(bins):
    found = calibration(LABELS, SCORES, bins=bins)
    right, confidence = SCORES.argmax(axis=1) == LABELS, SCORES.max(axis=1)
    expected = error_by_definition(right, confidence, np.linspace(0, 1, bins + 1))
    assert found.expected_calibration_error == pytest.approx(expected, abs=1e-12)
    assert (found.accuracy, found.confidence) == (pytest.approx(right.mean()), pytest.approx(confidence.mean()))
    assert [row.upper for row in found.rows] == pytest.approx(np.linspace(0, 1, bins + 1)[1:])
    assert sum(row.images for row in found.rows) == 60


def test_bins_equal_those_of_scikit_learn():
    from sklearn.calibration import calibration_curve

    scores = RNG.dirichlet(np.ones(3), 200)
    labels = RNG.integers(0, 3, 200)
    right, confidence = labels == scores.argmax(axis=1), scores.max(axis=1)
    rows = [row for row in calibration(labels, scores, bins=8).rows if row.images]
    shares, means = calibration_curve(right, confidence, n_bins=8)
    assert [row.accuracy for row in rows] == pytest.approx(shares)
    assert [row.confidence for row in rows] == pytest.approx(means)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below_it():
    found = calibration(np.array([0, 0]), np.array([[0.5, 0.5], [0.75, 0.25]]), bins=4)
    assert [row.images for row in found.rows] == [0, 1, 1, 0]


def test_an_empty_bin_has_dashes():
    empty = calibration(np.array([0]), np.array([[1.0, 0.0]]), bins=2)
    assert [(row.images, row.accuracy) for row in empty.rows] == [(0, None), (1, 1.0)]
    assert str(empty).splitlines()[2].split()[-2:] == ["-", "-"]


def test_a_model_that_is_right_as_often_as_it_is_sure_has_almost_no_error():
    rng = np.random.default_rng(1)
    column = rng.random(40_000)
    truth = (rng.random(40_000) < column).astype(int)
    assert calibration(truth, column).expected_calibration_error < 0.012
    assert calibration(truth, column**0.2).expected_calibration_error > 0.2


# --------------------------------------------------------------------------------------------------- mistakes
@pytest.mark.smoke
def test_the_surest_mistakes_come_first_and_equals_in_their_order():
    scores = np.array([[0.9, 0.1], [0.1, 0.9], [0.3, 0.7], [0.9, 0.1], [0.0, 1.0]])
    mistakes = confident_mistakes(np.array([1, 0, 0, 1, 1]), scores, ["cat", "dog"])
    assert mistakes.indices.tolist() == [0, 1, 3, 2]
    assert mistakes.titles[3] == "cat, taken for dog (70%)"
    assert [row.probability for row in mistakes.rows] == [0.9, 0.9, 0.9, 0.7]
    assert confident_mistakes(np.array([1, 0, 0, 1, 1]), scores, count=2).indices.tolist() == [0, 1]
    assert "4 of 5 images" in str(mistakes)


def test_of_one_column_the_probability_is_that_of_the_predicted_class():
    mistakes = confident_mistakes(np.array([1, 0, 1]), np.array([0.2, 0.9, 0.8]), ["cat", "dog"])
    assert [(row.index, row.predicted) for row in mistakes.rows] == [(1, "dog"), (0, "cat")]
    assert [row.probability for row in mistakes.rows] == pytest.approx([0.9, 0.8])


def test_without_mistakes_there_are_no_rows():
    mistakes = confident_mistakes(np.array([0, 1]), np.array([0.1, 0.9]))
    assert (mistakes.rows, mistakes.titles, mistakes.indices.shape) == ((), [], (0,))
    assert "0 of 2 images" in mistakes._repr_html_()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: calibration(LABELS, SCORES, bins=0), ValueError, "`bins` of `calibration` .* at least 1"),
        (lambda: calibration(LABELS, SCORES, bins="auto"), TypeError, "`bins` of `calibration`"),
        (lambda: confident_mistakes(LABELS, SCORES, count=0), ValueError, "`count` of `confident_mistakes`"),
        (lambda: confident_mistakes(LABELS, SCORES, ["a"]), ValueError, "`class_names` of `confident_mistakes`"),
        (lambda: classification_report(LABELS, SCORES, "abcd"), TypeError, "`class_names` of `classification_r"),
    ],
)
def test_an_option_out_of_range_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
