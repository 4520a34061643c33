"""ROC curves: areas by counting pairs, rates by counting images, and what has no curve."""

import numpy as np
import pytest

from kerascv_course.evaluation import roc_curves

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 4, 60)
SCORES = RNG.integers(0, 12, (60, 4)) + 4.0 * np.eye(4)[LABELS]  # whole numbers: many ties
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


@pytest.mark.parametrize(
    ("labels", "probabilities", "names", "error", "words"),
    [
        ([0.0, 1.0], [0.1, 0.2], None, TypeError, "`labels` of `roc_curves` must be an array of whole numbers"),
        (["a", "b"], [0.1, 0.2], None, TypeError, "`labels` of `roc_curves` must be an array of whole numbers"),
        ([0, 1, 1], [0.1, 0.2], None, ValueError, r"`labels` of `roc_curves` must be of shape \(2,\)"),
        ([[0], [1]], [0.1, 0.2], None, ValueError, r"`labels.reshape\(-1\)` drops the second axis"),
        ([[1, 0], [0, 1]], [[0.9, 0.1]] * 2, None, ValueError, r"`labels.argmax\(axis=1\)`"),
        ([0, 2], [0.1, 0.2], None, ValueError, "labels from 0 to 1, as `probabilities` is of 2 classes"),
        ([-1, 1], [0.1, 0.2], None, ValueError, "labels from -1 to 1"),
        ([0, 1], ["a", "b"], None, TypeError, "`probabilities` of `roc_curves` must be an array of numbers"),
        ([0, 1], [[[0.1]], [[0.2]]], None, ValueError, "`probabilities` of `roc_curves` must be an array"),
        ([], [], None, ValueError, "at least one image"),
        ([0, 1], [0.1, 1.2], None, ValueError, "finite, from 0 to 1. .* softmax or sigmoid"),
        ([0, 1], [-3.0, 0.2], None, ValueError, "finite, from 0 to 1"),
        ([0, 1], [0.1, np.nan], None, ValueError, "finite, from 0 to 1"),
        ([0, 1], [0.1, np.inf], None, ValueError, "finite, from 0 to 1"),
        ([0, 1], [0.1, 0.2], ["dog"], ValueError, "`class_names` of `roc_curves` must be a list of 2 texts"),
        ([0, 1], [0.1, 0.2], "ab", TypeError, "`class_names` of `roc_curves` must be a list of 2 texts"),
        ([0, 1], [0.1, 0.2], [0, 1], TypeError, "`class_names` of `roc_curves` must be a list of 2 texts"),
    ],
)
def test_what_does_not_fit_is_refused(labels, probabilities, names, error, words):
    with pytest.raises(error, match=words):
        roc_curves(np.array(labels), np.array(probabilities), names)
