"""The wording of an input error, and the shared checks."""

import numpy as np
import pytest

from kerascv_course._validation import (
    check_choice,
    check_input_shape,
    check_int,
    check_number,
    describe,
    input_error,
)


@pytest.mark.smoke
def test_an_input_error_names_argument_function_rule_value_and_way_out():
    error = input_error("fit", "epochs", "a whole number of at least 1", 0, "Leave it out for 10.")
    assert type(error) is ValueError
    assert str(error) == (
        "`epochs` of `fit` must be a whole number of at least 1. Received: epochs=0. Leave it out for 10."
    )


def test_an_input_error_without_way_out_ends_with_the_value():
    error = input_error("fit", "epochs", "a whole number", "ten", error=TypeError)
    assert type(error) is TypeError
    assert str(error) == "`epochs` of `fit` must be a whole number. Received: epochs='ten'."


def test_long_values_are_cut_to_200_characters_and_short_ones_are_not():
    assert describe("x" * 198) == repr("x" * 198)  # 200 characters with its quotation marks
    cut = describe("x" * 199)
    assert len(cut) == 200
    assert cut == "'" + "x" * 196 + "..."


def test_arrays_are_described_by_shape_and_dtype_and_numpy_numbers_by_value():
    assert describe(np.zeros((50000, 32), "uint8")) == "array of shape (50000, 32) and dtype uint8"
    assert "3" in describe(np.int64(3))
    assert "array of shape" not in describe(np.float32(0.5))


def test_check_int_returns_a_plain_int_for_numpy_ints():
    for value in (3, np.int64(3), np.uint8(3)):
        returned = check_int("f", "n", value, 3, 3)  # both bounds are allowed values
        assert type(returned) is int
        assert returned == 3


def test_check_number_returns_a_plain_float_for_every_kind_of_number():
    for value in (2, 2.0, np.float32(2), np.int8(2)):
        returned = check_number("f", "x", value, 2, 2)
        assert type(returned) is float
        assert returned == 2.0


def test_check_input_shape_returns_plain_ints():
    returned = check_input_shape("f", [np.int64(32), 28, 1], minimum_side=28)
    assert returned == (32, 28, 1)
    assert all(type(side) is int for side in returned)


@pytest.mark.parametrize(("value", "choices"), [("same", ("valid", "same")), (None, ("avg", None)), (2, (1, 2))])
def test_check_choice_accepts_each_choice(value, choices):
    check_choice("f", "mode", value, choices)


INT = "`n` of `f` must be a whole number"
NUMBER = "`x` of `f` must be a number"
SHAPE = (
    "`input_shape` of `f` must be (height, width, channels) with sides of at least 20 pixels "
    "and at least 1 channel"
)


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("check", "error", "message"),
    [
        (lambda: check_int("f", "n", True), TypeError, f"{INT}. Received: n=True."),
        (lambda: check_int("f", "n", np.True_), TypeError, f"{INT}. Received: n="),
        (lambda: check_int("f", "n", 3.0), TypeError, f"{INT}. Received: n=3.0."),
        (lambda: check_int("f", "n", "3"), TypeError, f"{INT}. Received: n='3'."),
        (lambda: check_int("f", "n", None, 1), TypeError, f"{INT} of at least 1. Received: n=None."),
        (lambda: check_int("f", "n", np.array([3])), TypeError, f"{INT}. Received: n=array of shape (1,)"),
        (lambda: check_int("f", "n", 0, 1), ValueError, f"{INT} of at least 1. Received: n=0."),
        (lambda: check_int("f", "n", 6, maximum=5), ValueError, f"{INT} of at most 5. Received: n=6."),
        (lambda: check_int("f", "n", 6, 1, 5), ValueError, f"{INT} from 1 to 5. Received: n=6."),
        (lambda: check_number("f", "x", False), TypeError, f"{NUMBER}. Received: x=False."),
        (lambda: check_number("f", "x", "0.1"), TypeError, f"{NUMBER}. Received: x='0.1'."),
        (lambda: check_number("f", "x", float("nan")), ValueError, f"{NUMBER}. Received: x=nan."),
        (lambda: check_number("f", "x", float("inf"), 0), ValueError, f"{NUMBER} of at least 0. Received: x=inf."),
        (lambda: check_number("f", "x", -0.1, 0, 1), ValueError, f"{NUMBER} from 0 to 1. Received: x=-0.1."),
        (lambda: check_number("f", "x", 1.1, maximum=1), ValueError, f"{NUMBER} of at most 1. Received: x=1.1."),
        (
            lambda: check_choice("f", "mode", "mean", ("avg", "max", None)),
            ValueError,
            "`mode` of `f` must be 'avg', 'max' or None. Received: mode='mean'.",
        ),
        (
            lambda: check_choice("f", "net", "mobilenet_v2", ("MobileNet", "MobileNetV2", None)),
            ValueError,
            "`net` of `f` must be 'MobileNet', 'MobileNetV2' or None. Received: net='mobilenet_v2'. "
            "Did you mean 'MobileNetV2'?",
        ),
        (lambda: check_choice("f", "n", True, (1, 2)), ValueError, "`n` of `f` must be 1 or 2. Received: n=True."),
        (lambda: check_choice("f", "n", 1.0, (1,)), ValueError, "`n` of `f` must be 1. Received: n=1.0."),
        (lambda: check_choice("f", "mode", ["avg"], ("avg",)), ValueError, "Received: mode=['avg']."),
        (lambda: check_input_shape("f", 32, 20), ValueError, f"{SHAPE}. Received: input_shape=32."),
        (lambda: check_input_shape("f", (None, 32, 32, 3), 20), ValueError, "Leave the batch axis out."),
        (lambda: check_input_shape("f", (32, 32, None), 20), TypeError, "All three must be whole numbers."),
        (lambda: check_input_shape("f", (32, 32, True), 20), TypeError, "All three must be whole numbers."),
        (
            lambda: check_input_shape("f", (32.0, 32, 3), 20),
            TypeError,
            f"{SHAPE}. Received: input_shape=(32.0, 32, 3).",
        ),
        (
            lambda: check_input_shape("f", (19, 32, 3), 20),
            ValueError,
            f"{SHAPE}. Received: input_shape=(19, 32, 3).",
        ),
        (
            lambda: check_input_shape("f", (32, 32, 0), 20),
            ValueError,
            f"{SHAPE}. Received: input_shape=(32, 32, 0).",
        ),
    ],
)
def test_bad_values_are_refused_with_a_specific_error(check, error, message):
    with pytest.raises(error) as caught:
        check()
    assert type(caught.value) is error
    assert message in str(caught.value)
