"""The wording of an input error, and the shared checks."""

import keras
import ml_dtypes
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from scipy import sparse

from kerascv_course._validation import (
    check_above,
    check_bool,
    check_choice,
    check_class_names,
    check_features,
    check_images,
    check_int,
    check_labels,
    check_number,
    check_pair,
    check_pixels,
    check_probabilities,
    check_seed,
    check_size,
    describe,
    input_error,
)
from kerascv_course.datasets import load_digits
from kerascv_course.datasets.split import classes_of
from kerascv_course.models.common import check_input_shape


@pytest.mark.smoke
def test_an_input_error_names_argument_function_rule_value_and_way_out():
    error = input_error("fit", "epochs", "an integer of at least 1", 0, "Leave it out for 10.")
    assert type(error) is ValueError
    assert str(error) == (
        "`epochs` of `fit` must be an integer of at least 1. Received: epochs=0. Leave it out for 10."
    )


def test_an_input_error_without_way_out_ends_with_the_value():
    error = input_error("fit", "epochs", "an integer", "ten", error=TypeError)
    assert type(error) is TypeError
    assert str(error) == "`epochs` of `fit` must be an integer. Received: epochs='ten'."


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


def test_above_and_below_leave_their_bounds_out_and_a_size_is_two_sides():
    assert type(check_above("f", "x", np.float32(0.5), below=1)) is float
    assert check_above("f", "x", 1e-300) == 1e-300
    assert (check_size("f", "size", 1), check_size("f", "size", [2, np.int64(3)])) == ((1, 1), (2, 3))
    assert (check_seed("f", "seed", 0), check_seed("f", "seed", None)) == (0, None)


@pytest.mark.parametrize(("value", "choices"), [("same", ("valid", "same")), (None, ("avg", None)), (2, (1, 2))])
def test_check_choice_accepts_each_choice(value, choices):
    check_choice("f", "mode", value, choices)


INT = "`n` of `f` must be an integer"
NUMBER = "`x` of `f` must be a number"
SHAPE = (
    "`input_shape` of `f` must be (height, width, channels) with sides of at least 20 pixels "
    "and at least 1 channel"
)


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("check", "error", "message"),
    [
        (lambda: check_bool("f", "b", 1), TypeError, "`b` of `f` must be True or False. Received: b=1."),
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
        (lambda: check_above("f", "x", 0), ValueError, f"{NUMBER} above 0. Received: x=0."),
        (lambda: check_above("f", "x", 1, below=1), ValueError, f"{NUMBER} above 0 and below 1. Received: x=1."),
        (lambda: check_above("f", "x", 2.0, above=2), ValueError, f"{NUMBER} above 2. Received: x=2.0."),
        (lambda: check_above("f", "x", np.inf), ValueError, f"{NUMBER} above 0. Received: x=inf."),
        (lambda: check_above("f", "x", True), TypeError, f"{NUMBER} above 0. Received: x=True."),
        (lambda: check_size("f", "size", (1, 0)), ValueError, "`size` of `f` must be an integer of at least 1."),
        (lambda: check_size("f", "size", (1, 2, 3)), ValueError, "an integer, or (height, width), in pixels."),
        (lambda: check_seed("f", "seed", -1), ValueError, "`seed` of `f` must be an integer of at least 0."),
        (lambda: check_choice("f", "n", True, (1, 2)), ValueError, "`n` of `f` must be 1 or 2. Received: n=True."),
        (lambda: check_choice("f", "n", 1.0, (1,)), ValueError, "`n` of `f` must be 1. Received: n=1.0."),
        (lambda: check_choice("f", "mode", ["avg"], ("avg",)), ValueError, "Received: mode=['avg']."),
        (lambda: check_input_shape("f", 32, 20), ValueError, f"{SHAPE}. Received: input_shape=32."),
        (lambda: check_input_shape("f", (None, 32, 32, 3), 20), ValueError, "Leave the batch axis out."),
        (lambda: check_input_shape("f", (32, 32, None), 20), TypeError, "All three must be integers."),
        (lambda: check_input_shape("f", (32, 32, True), 20), TypeError, "All three must be integers."),
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


# Arrays

CLASSES = np.array([2, 0, 1, 2])
NAMES = ["cat", "dog", "owl"]
PIXELS = np.arange(24).reshape(2, 2, 2, 3)


@pytest.mark.parametrize(
    "labels",
    [
        CLASSES,
        CLASSES.tolist(),
        CLASSES.astype("uint8"),
        CLASSES.astype("float32"),
        CLASSES.astype(object),
        CLASSES.astype(ml_dtypes.bfloat16),
        CLASSES.astype(">i4"),
        CLASSES[:, None],
        np.eye(3)[CLASSES],
        np.eye(3, dtype=bool)[CLASSES].tolist(),
        [np.int64(label) for label in CLASSES],
        tf.constant(CLASSES),
        keras.ops.convert_to_tensor(CLASSES),
        pd.Series(CLASSES),
        pd.Series(CLASSES, dtype="Int64"),
        pd.Index(CLASSES),
        pd.DataFrame({"class": CLASSES}),
        pd.Categorical(CLASSES),
        sparse.csr_matrix(np.eye(3)[CLASSES]),
        np.ma.masked_array(CLASSES),
        pd.get_dummies(pd.Series(CLASSES)),
    ],
    ids=lambda labels: f"{type(labels).__name__}-{getattr(labels, 'dtype', '')}{np.shape(labels)}",
)
def test_labels_of_every_plain_kind_are_read_as_the_same_integers(labels):
    found = check_labels("f", "labels", labels, count=4, num_classes=3)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, CLASSES)


def test_bools_are_the_classes_0_and_1():
    assert check_labels("f", "labels", [True, False]).tolist() == [1, 0]


@pytest.mark.parametrize("kind", [list, np.array, tf.constant, pd.Series, pd.Index, pd.Categorical])
def test_strings_are_places_among_the_class_names_or_stay_where_that_is_asked_for(kind):
    labels = kind(["owl", "cat", "owl"])
    assert check_labels("f", "labels", labels, class_names=NAMES).tolist() == [2, 0, 2]
    assert check_labels("f", "labels", labels, strings=True).tolist() == ["owl", "cat", "owl"]


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (
            [1, 2, 3],
            {"num_classes": 3},
            "from 0 to 2, for 3 classes. Received: labels='labels from 1 to 3'. Classes",
        ),
        ([1, 2, 3], {"num_classes": 3}, "pass `labels - 1`"),
        ([0, 3], {"num_classes": 3}, "labels from 0 to 2"),
        ([-1, 1], {"num_classes": 3}, "labels from 0 to 2"),
        ([0.5, 1], {}, "integers from 0"),
        ([0.0, np.nan], {}, "integers from 0"),
        (["cat", "dog"], {}, "`np.unique(labels, return_inverse=True)[1]` numbers them"),
        (["cat", "cow"], {"class_names": NAMES}, "Received: labels=\"strings as 'cow'\""),
        ([0, 1], {"count": 3}, "one label for each of the 3 images"),
        ([[1, 1], [0, 1]], {}, "(images, 1), or are one-hot"),
        (np.eye(4), {"num_classes": 3}, "(images, 1), or are one-hot"),
        ([], {}, "one label for each image"),
        (5, {}, "one label for each image"),
        ("cat", {}, "one label for each image"),
        (None, {}, "one label for each image"),
        ([0, "cat"], {}, "integers from 0"),
        ([0, None], {}, "neither a number nor a string"),
        (["2", "0"], {}, "`np.asarray(labels).astype(int)` reads the numbers"),
        (np.ma.masked_array([0, 1], [False, True]), {}, "integers from 0"),
        (pd.Series([0, None], dtype="Int64"), {}, "integers from 0"),
        ([[0], [0, 1]], {}, "All its parts must have the same shape"),
    ],
)
def test_labels_without_a_plain_meaning_are_refused_with_the_way_out(labels, options, message):
    with pytest.raises((ValueError, TypeError), match=r"^`labels` of `f` must be") as caught:
        check_labels("f", "labels", labels, **options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("images", "dtype"),
    [
        (PIXELS.astype("uint8"), "uint8"),
        (PIXELS.tolist(), "int64"),
        (list(PIXELS.astype("float16")), "float16"),
        (PIXELS.astype(ml_dtypes.bfloat16), "float32"),
        (PIXELS.astype(">f4"), "=f4"),
        (PIXELS.astype(">u2"), "=u2"),
        (tf.cast(PIXELS, "bfloat16"), "float32"),
        (PIXELS > 11, "uint8"),
    ],
)
def test_images_of_every_plain_kind_are_read(images, dtype):
    found = check_images("f", "images", images)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, PIXELS > 11 if np.asarray(images).dtype == bool else PIXELS)


def test_tensors_of_pytorch_are_read_with_gradient_and_in_half_precision():
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(PIXELS, dtype=torch.bfloat16, requires_grad=True)
    for images in (tensor, list(tensor)):
        np.testing.assert_array_equal(check_images("f", "images", images), PIXELS)


@pytest.mark.parametrize("kind", ["int64", "uint16", "float32", "float16", list])
def test_whole_numbers_from_0_to_255_are_pixels(kind):
    pixels = PIXELS.tolist() if kind is list else PIXELS.astype(kind)
    found = check_pixels("f", "x", pixels)
    assert (found.dtype, found.tolist()) == ("uint8", PIXELS.tolist())


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (PIXELS / 23, "`(255 * x).round().astype('uint8')`"),
        (np.zeros(PIXELS.shape), "`(255 * x).round().astype('uint8')`"),  # black, or scaled
        (PIXELS + 0.5, "float64 from 0.5 to 23.5"),
        (PIXELS - 1, "int64 from -1 to 22"),
        (PIXELS + 250, "int64 from 250 to 273"),
    ],
)
def test_other_numbers_are_no_pixels(pixels, message):
    with pytest.raises(ValueError, match="`x` of `f` must be images of whole numbers from 0 to 255") as caught:
        check_pixels("f", "x", pixels)
    assert message in str(caught.value)


def test_arrays_are_not_copied(tmp_path):
    images = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", "uint8", PIXELS.shape)
    features = np.ones((3, 2), "float32")
    assert np.shares_memory(check_images("f", "images", images), images)
    assert check_features("f", "features", features) is features
    assert check_features("f", "features", [[1e15, -1e15]]).tolist() == np.float32([[1e15, -1e15]]).tolist()


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (PIXELS[0], {}, "A single image becomes one with `[None]`."),
        (np.zeros((5, 8, 8)), {}, "Give grey images `[..., None]`."),
        (PIXELS[:0], {}, "not empty"),
        (PIXELS, {"shape": (2, 3, 3)}, "of the model's input shape (2, 3, 3)"),
        (PIXELS[0], {"shape": (None, None, 3)}, "A single image becomes one with `[None]`."),
        (np.full(PIXELS.shape, np.inf), {}, "finite numbers, without NaN and infinite ones"),
        ([[["a"]]], {}, "Strings are no numbers."),
        ([np.zeros((2, 2, 3)), np.zeros((3, 2, 3))], {}, "All its parts must have the same shape."),
        ({"x": PIXELS}, {}, "a batch of images"),
        (PIXELS * 1j, {}, "a batch of images"),
    ],
)
def test_what_are_no_images_is_refused_with_the_way_out(images, options, message):
    with pytest.raises((ValueError, TypeError), match=r"^`images` of `f` must be") as caught:
        check_images("f", "images", images, **options)
    assert message in str(caught.value)


def test_what_goes_into_a_model_of_vectors_needs_no_three_axes():
    assert check_images("f", "images", [[1, 2], [3, 4]], shape=(2,)).shape == (2, 2)


def test_a_pair_is_read_from_arrays_lists_and_a_data_set():
    digits = load_digits()
    x, y = check_pair("f", "data", digits)
    assert x is digits.x_train
    assert y is digits.y_train
    x, y = check_pair("f", "data", (PIXELS.tolist(), [1, 0]))
    assert (x.shape, y.tolist()) == ((2, 2, 2, 3), [1, 0])


@pytest.mark.parametrize("y", [np.eye(2), np.ones((2, 3)), np.array([0.5, 7]), np.array([[1], [0]])])
def test_the_labels_of_a_pair_keep_their_form_unless_the_number_of_classes_is_known(y):
    assert check_pair("f", "data", (PIXELS, y))[1] is y
    assert check_pair("f", "data", (PIXELS, np.array([[1], [0]])), num_classes=2)[1].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (PIXELS, {}, "`data` of `f` must be a pair of arrays (images, labels) or an ImageDataset"),
        ((PIXELS, [0, 1], [1]), {}, "a pair of arrays"),
        ((PIXELS, [0, 1, 1]), {}, "`data` of `f` must be as many images as labels, and at least one"),
        ((PIXELS[:0], []), {}, "as many images as labels, and at least one"),
        (((PIXELS, CLASSES), (PIXELS, CLASSES)), {}, "For the training part of two pairs pass the first."),
        ((PIXELS, ["a", "b"]), {}, "`data[1]` of `f` must be labels that are integers from 0"),
        ((PIXELS, [1, 2]), {"num_classes": 2}, "pass `data[1] - 1`"),
        ((np.full((2, 3), np.nan), [0, 1]), {}, "without NaN"),
    ],
)
def test_what_is_no_pair_is_refused_with_the_way_out(data, options, message):
    with pytest.raises((ValueError, TypeError)) as caught:
        check_pair("f", "data", data, **options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array([3, 1]), [3, 1]),
        (np.array([[3], [1]]), [3, 1]),
        (np.eye(3)[[2, 0]], [2, 0]),
        (np.array(["b", "a"]), ["b", "a"]),
        (np.array([1.0, 0.0, 0.0, 1.0]), [1, 0, 0, 1]),
        (np.array([1.0, 0.0, 2.0]), None),  # how many things are in an image
        (np.arange(20, 80), None),  # ages
        (np.array([20.0, 35.0]), None),
        (np.array([0.3, 0.1]), None),
        (np.array([[1, 1], [0, 1]]), None),
    ],
)
def test_classes_are_told_from_targets_of_a_regression_and_several_labels(labels, classes):
    found = classes_of(labels)
    assert classes is None if found is None else found.tolist() == classes


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        ([0.25, 1.0], (2, 1)),
        (np.full((4, 3), 0.25, "float16"), (4, 3)),
        (tf.fill((4, 3), tf.constant(0.25, "bfloat16")), (4, 3)),
        (tf.fill((4, 3), tf.constant(0.25, "bfloat16")).numpy(), (4, 3)),
        (pd.DataFrame(np.full((4, 3), 0.25)), (4, 3)),
        ([0.25, 1 + 9e-6, -9e-6], (3, 1)),  # a softmax rounds
    ],
)
def test_probabilities_of_every_kind_become_float64_in_columns(values, shape):
    found = check_probabilities("f", "probabilities", values)
    assert (found.dtype, found.shape, found.flat[0]) == ("float64", shape, 0.25)


@pytest.mark.parametrize(
    "values", [[0.5, 1.00002], [0.5, -2e-5], [-0.1], [np.nan], [], 0.5, [True], ["a"], np.zeros((2, 2, 2))]
)
def test_what_are_no_probabilities_is_refused(values):
    with pytest.raises((ValueError, TypeError), match=r"^`probabilities` of `f` must be"):
        check_probabilities("f", "probabilities", values)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.ones(3), "`[None]`"),
        (np.ones((2, 2, 2)), "`.reshape(len(features), -1)`"),
        (np.ones((2, 4)), "(images, 3)"),
        ([[1.001e15, 0, 0]], "at most 1e+15 in size"),
        ([[0, 0, -1.001e15]], "at most 1e+15 in size"),
        ([[np.nan, 0, 0]], "finite numbers"),
        ([["a", "b", "c"]], "Strings are no numbers"),
    ],
)
def test_what_are_no_features_is_refused_with_the_way_out(features, message):
    with pytest.raises((ValueError, TypeError), match=r"^`features` of `f` must be") as caught:
        check_features("f", "features", features, width=3)
    assert message in str(caught.value)


def test_class_names_are_strings_of_any_list_or_numbered():
    assert check_class_names("f", pd.Index(NAMES), 3) == NAMES
    assert check_class_names("f", None, 2) == ["class 0", "class 1"]
    for wrong in (NAMES[:2], [1, 2, 3], "cat"):
        with pytest.raises((ValueError, TypeError), match="a list of 3 strings, one for each class"):
            check_class_names("f", wrong, 3)
