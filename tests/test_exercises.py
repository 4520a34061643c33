"""The exercises: what a sheet says and counts, and that the notebooks and the checks belong together."""

import html
import linecache
import math
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from exercise_answers import sheets
from keras import layers

from kerascv_course import __version__
from kerascv_course.exercises import answers, convolution, lenet_cifar10, networks
from kerascv_course.exercises.sheet import Feedback, Sheet, WrongAnswerError, said
from kerascv_course.notebooks.marks import find_exercise, read_exercise
from kerascv_course.notebooks.source import list_sources, make_notebook

REPOSITORY = Path(__file__).parent.parent
SHEETS = [sheet for sheet, _ in sheets()]
EXERCISES = [exercise for sheet in SHEETS for exercise in sheet.exercises.values()]


def small_sheet() -> Sheet:
    sheet = Sheet("00_small")

    @sheet.exercise("Fill in both")
    def double(first, second):
        if second != 2 * first:
            raise WrongAnswerError(f"2 x `{first}` is not {second}.")
        return f"{second}."

    @sheet.exercise()
    def one(one):
        return "1." if 1 / one == 1 else 1 / 0

    return sheet


# What a sheet says


@pytest.mark.smoke
def test_a_check_says_to_do_wrong_or_right_and_remembers_it():
    exercise = small_sheet().exercises["double"]
    assert (exercise.solved, exercise.state) == (False, "untouched")
    assert exercise.check(None, 4) == Feedback("to do", "To do", "Fill in both, run that cell, and then this one.")
    assert exercise.check(2, 5) == Feedback("wrong", "Not yet", "2 x `2` is not 5.")
    assert (exercise.solved, exercise.state) == (False, "not yet")
    assert exercise.check(2, 4) == Feedback("right", "Right", "4.")
    assert exercise.solved
    exercise.check(2, 5)  # what was right and is changed is not right any more
    assert not exercise.solved


def ceiling_as_given():
    text = find_exercise("01_convolution", "output_size").exercise.blank
    path = Path(__file__).with_name("not_a_file.py")
    linecache.cache[str(path)] = (len(text), None, text.splitlines(keepends=True), str(path))  # as IPython does
    names = {"math": math}
    exec(compile(text, str(path), "exec"), names)
    return names["output_size"]


def test_a_repair_that_nobody_has_begun_counts_as_no_check():
    exercise = convolution.output_size
    checks = exercise._checks
    feedback = exercise.check(ceiling_as_given())
    assert (feedback.kind, feedback.title, exercise.state) == ("to do", "To do", "untouched")
    assert "it rounds up still" in feedback.text
    assert exercise._checks == checks
    assert exercise.check(lambda *sizes, **options: 1).kind == "wrong"
    assert exercise._checks == checks + 1


@pytest.mark.parametrize("kind", ["right", "wrong", "to do", "hint", "text"])
def test_what_an_exercise_says_is_readable_on_white_and_on_black(kind):
    page = Feedback(kind, "Title", "text")._repr_html_()
    colours = re.findall(r"#[0-9a-f]{6}", page)
    assert len(colours) == 1  # the bar: the words have the colour of the page's own text
    light = [int(colours[0][place : place + 2], 16) / 255 for place in (1, 3, 5)]
    light = [value / 12.92 if value <= 0.04 else ((value + 0.055) / 1.055) ** 2.4 for value in light]
    luminance = 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]
    for paper in (1.0, 0.0056):  # white, and the #111 of a dark notebook
        lighter, darker = max(luminance, paper), min(luminance, paper)
        assert (lighter + 0.05) / (darker + 0.05) > 3  # what WCAG asks of a graphic


def test_a_check_without_its_answers_says_how_it_is_called():
    feedback = small_sheet().exercises["double"].check(2)
    assert feedback.kind == "to do"
    assert "`ex.double.check(first, second)`" in feedback.text


def test_an_answer_that_nobody_foresaw_is_no_traceback_and_is_not_right():
    exercise = small_sheet().exercises["one"]
    feedback = exercise.check("one")
    assert feedback.kind == "wrong"
    assert "could not be judged: `TypeError: unsupported operand" in feedback.text
    assert "ZeroDivisionError" in exercise.check(2).text


def test_an_interruption_is_not_taken_for_an_answer():
    sheet = Sheet("00_interrupted")

    @sheet.exercise()
    def long(long):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sheet.exercises["long"].check(1)


def lenet_sheet() -> Sheet:
    """Return a sheet whose exercise has the hints and the solution of one of notebook 2."""
    sheet = Sheet("02_lenet_cifar10")

    @sheet.exercise()
    def compile_arguments(compile_arguments):
        return "-"

    return sheet


@pytest.mark.smoke
def test_each_hint_says_more_and_the_last_one_leads_to_the_solution():
    sheet = lenet_sheet()
    exercise = sheet.exercises["compile_arguments"]
    said = [exercise.hint() for _ in range(3)]
    assert [feedback.title for feedback in said] == ["Hint 1 of 2", "Hint 2 of 2", "Hint 1 of 2"]
    assert said[0].text == said[2].text == ("Read what Keras says: what kind of thing does it want for `metrics`?")
    assert said[1].text == (
        "Several metrics can be shown, so even a single one stands in a list.\n"
        "That was the last hint. `ex.compile_arguments.solution()` is left."
    )
    assert sheet.summary().code.endswith("compile_arguments  untouched, 2 hints")


@pytest.mark.smoke
def test_the_summary_counts_what_was_done():
    sheet = small_sheet()
    double, one = sheet.exercises.values()
    double.check(1, 1), double.check(1, 2), one.check(None)
    feedback = sheet.summary()
    assert feedback.title == "1 of 2 right"
    assert feedback.code.splitlines() == [
        f"00_small, kerascv_course {__version__}: 1 of 2 right",
        "double  right, 2 checks",
        "one     untouched",
    ]
    one.check(1)
    assert sheet.summary().kind == "right"


def test_withheld_solutions_are_not_shown_and_not_mentioned():
    sheet = lenet_sheet()
    exercise = sheet.exercises["compile_arguments"]
    assert "metrics" in exercise.solution().code
    sheet.withhold_solutions()
    assert exercise.solution() == Feedback(
        "text", "Solution", "The solutions of this notebook are withheld. Ask your teacher."
    )
    assert "solution()" not in "".join(exercise.hint().text for _ in range(2))


def test_feedback_is_plain_in_a_terminal_and_escaped_in_a_notebook():
    feedback = Feedback("wrong", "Not yet", "`a < b` & <script>", "x = '<b>'")
    assert repr(feedback) == "Not yet: `a < b` & <script>\nx = '<b>'"
    page = feedback._repr_html_()
    assert "<code>a &lt; b</code> &amp; &lt;script&gt;" in page
    assert "x = '&lt;b&gt;'" in html.unescape(page).replace("<b>", "&lt;b&gt;")
    assert "<script>" not in page


def test_the_name_of_an_exercise_tells_how_it_is_used():
    assert repr(lenet_cifar10.lenet_rgb).startswith("<Exercise lenet_rgb: ")
    assert "ex.lenet_rgb.check(lenet_rgb), .hint() or .solution()" in repr(lenet_cifar10.lenet_rgb)


# What an answer must be


@pytest.mark.parametrize(
    "answer",
    [7, 7.0, np.int64(7), np.float32(7), np.array(7), np.array([7]), keras.ops.convert_to_tensor(7)],
    ids=lambda answer: type(answer).__name__,
)
def test_a_number_of_any_kind_is_a_number(answer):
    assert answers.whole_number("n", answer) == 7


def test_an_integer_that_was_calculated_may_be_off_by_a_rounding_error():
    assert answers.whole_number("n", 0.9 * 0.1 / 0.01**2) == 900
    answers.expect("n", 0.9 * 0.1 / 0.01**2, 900, {}, "-")


@pytest.mark.parametrize("answer", [(19, 19), (1, 2, 3), (150, 2)])
def test_several_numbers_are_not_read_as_one(answer):
    with pytest.raises(WrongAnswerError, match=re.escape(f"must be one number; it is {answer}.")):
        answers.whole_number("n", answer)


class Grumpy:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("7", "is the string '7': write the number without quotes"),
        ((155, 640), "write 155640 without it"),
        ((1, 0), "write 1000 without it"),  # Python reads 1,064 as no number at all
        (True, "`n` must be a number; it is of the type bool"),
        ([1, 2], "`n` must be a number; it is list of 2"),
        (max, "Does it lack its parentheses?"),
        (float("nan"), "`n` is nan, which is no number to count with"),
        (float("inf"), "`n` is inf"),
        (7.5, "`n` is 7.5; it must be an integer"),
        (1 + 1j, "`n` must be a number; it is of the type complex"),
        (Grumpy(), "`n` must be a number; it is of the type Grumpy"),
        ({}, "`n` must be a number; it is of the type dict"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_whole_number_is_named(answer, message):
    with pytest.raises(WrongAnswerError) as caught:
        answers.whole_number("n", answer)
    assert message in str(caught.value)


@pytest.mark.parametrize("answer", ["same", " Same", "SAME ", "s-a_m e"])
def test_a_choice_is_read_whatever_its_capitals(answer):
    assert answers.choice("padding", answer, ["same", "valid"]) == "same"


@pytest.mark.parametrize("answer", ["two 3x3", "Two 3 x 3", "two 3×3", "two_3x3", "TWO-3-x-3", "2 3x3"])
def test_a_choice_is_read_whatever_the_spaces_and_the_sign_for_times(answer):
    assert answers.choice("design", answer, ["one 5 x 5", "two 3 x 3"]) == "two 3 x 3"


@pytest.mark.parametrize("answer", ["9C²", "9C^2", "9 c**2"])
def test_a_square_may_be_written_in_three_ways(answer):
    assert answers.choice("weights", answer, ["C²", "9C²"]) == "9C²"


@pytest.mark.parametrize(
    ("answer", "message"),
    [("full", "it is 'full'"), (1, "it is 1"), (["same"], "it is list of 1"), (str, "it is the class str")],
)
def test_another_choice_is_named_beside_the_options(answer, message):
    with pytest.raises(WrongAnswerError) as caught:
        answers.choice("padding", answer, ["same", "valid"])
    assert str(caught.value) == f'`padding` must be `"same"` or `"valid"`; {message}.'


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([1, 2], "has shape (2,); it must have (2, 2)"),
        ([[1, 2], [3]], "must be an array of shape (2, 2); it is list of 2"),
        ("kernel", "must be an array of shape (2, 2); it is of the type str"),
        (np.array, "must be an array"),
        ([[1, 2], [3, np.nan]], "holds NaN or infinity"),
    ],
)
def test_what_is_no_array_of_the_shape_is_named(answer, message):
    with pytest.raises(WrongAnswerError) as caught:
        answers.array("kernel", answer, (2, 2))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (3, "`f` must be a function; it is of the type int. Hand it in without ( )."),
        (lambda x, scale: None, "`f(4, scale=2)` returns nothing: does it lack a `return`?"),
        (lambda x, scale: 1 / 0, "`f(4, scale=2)` stops with `ZeroDivisionError: division by zero`"),
        (lambda x: x, "`f(4, scale=2)` stops with `TypeError:"),
    ],
)
def test_a_function_that_does_not_work_is_described_by_its_call(function, message):
    with pytest.raises(WrongAnswerError) as caught:
        answers.outcome("f", function, 4, scale=2)
    assert message in str(caught.value)


def verdict(judge, *arguments, **options):
    """Return what the student reads of an answer; nothing where it is right."""
    try:
        return judge(*arguments, **options)
    except WrongAnswerError as wrong:
        return str(wrong)


SIDES = {3: "that is one side.", 7.5: "that is half of it."}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (15, None),
        (np.array([15.0]), None),
        (3, "`area` is 3: that is one side."),
        (7.5, "`area` is 7.5: that is half of it."),
        (7.4, "`area` is 7.4; it must be an integer."),
        (16_000, "`area` is 16,000: multiply the sides."),
        (15.0001, "`area` is 15.0001; it must be an integer."),
        ("15", "`area` is the string '15': write the number without quotes."),
        (True, "`area` must be a number; it is of the type bool."),
        ([15, 15], "`area` must be a number; it is list of 2."),
        ([3, 5], "`area` is [3, 5]: those are the sides."),
        (float("nan"), "`area` is nan, which is no number to count with."),
    ],
)
def test_a_whole_number_is_right_or_has_the_sentence_of_its_mistake(answer, message):
    mistakes = [*SIDES.items(), (np.array([3, 5]), "those are the sides.")]
    assert verdict(answers.expect, "area", answer, 15, mistakes, "multiply the sides.") == message


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (0.25, None),
        (0.2524, None),
        (0.2526, "`share` is 0.2526: divide."),
        (25.2, "`share` is 25.2: that is in percent."),
        (0, "`share` is 0: divide."),
    ],
)
def test_a_number_and_its_mistakes_have_the_tolerance_that_the_exercise_allows(answer, message):
    mistakes = {25: "that is in percent.", 0.25: "what is right is no mistake."}
    assert verdict(answers.expect, "share", answer, 0.25, mistakes, "divide.", tolerance=0.01) == message


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([[0, 1], [2, 3]], None),
        (np.array([[0, 2], [1, 3]]), "`m` is [[0, 2], [1, 3]]: that is transposed."),
        ([0, 1, 2, 3], "`m` is [0, 1, 2, 3]: that is flat."),
        ([0, 1, 2, 4], "`m` has shape (4,); it must have (2, 2)."),
        ([[0, 1], [2, np.nan]], "`m` holds NaN or infinity."),
        (np.full((2, 2), np.nan), "`m` is [[nan, nan], [nan, nan]]: 0 / 0 is no number."),
        ("m", "`m` must be an array of shape (2, 2); it is of the type str."),
        ([[0, 1], [2, 4]], "`m` is [[0, 1], [2, 4]]: look again."),
    ],
)
def test_an_array_is_right_or_has_the_sentence_of_its_mistake(answer, message):
    right = np.array([[0.0, 1.0], [2.0, 3.0]])
    mistakes = [
        (right.T, "that is transposed."),
        (right.ravel(), "that is flat."),
        (np.full((2, 2), np.nan), "0 / 0 is no number."),
    ]
    assert verdict(answers.expect, "m", answer, right, mistakes, "look again.") == message


@pytest.mark.parametrize(
    ("size", "said"), [(8, "`m` is [1, 1, 1, 1, 1, 1, 1, 1]: look again."), (9, "Look again.")]
)
def test_of_a_large_array_the_sentence_alone_is_said(size, said):
    assert verdict(answers.expect, "m", np.ones(size), np.zeros(size), [], "look again.") == said


@pytest.mark.parametrize(
    ("answer", "right", "is_right"),
    [
        (2 + 1.9e-6, 2.0, True),
        (2 + 2.1e-6, 2.0, False),
        (9e-10, 0.0, True),
        (1.1e-9, 0.0, False),
        ([1.9e-6, 2], np.array([0.0, 2]), True),
        ([2.1e-6, 2], np.array([0.0, 2]), False),
        ([2, np.nan], np.array([2, np.nan]), True),
    ],
)
def test_an_answer_may_differ_by_a_millionth_of_the_largest_right_value(answer, right, is_right):
    assert (verdict(answers.expect, "x", answer, right, {}, "look again.") is None) == is_right


def test_an_integer_must_be_met_exactly():
    assert verdict(answers.expect, "x", 10**9 + 1, 10**9, {}, "count.") == "`x` is 1,000,000,001: count."


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        (np.arange(8), "[0, 1, 2, 3, 4, 5, 6, 7]"),
        (np.arange(9), "array(9,)"),
        (np.eye(2), "array(2, 2)"),
        ("a" * 58, f"'{'a' * 58}'"),
        ("a" * 59, f"'{'a' * 56}..."),
        (max, "..."),
        (np.float64(2.5), "np.float64(2.5)"),
    ],
)
def test_a_call_is_written_with_short_arguments(argument, text):
    assert answers.called("f", argument, scale=2) == f"f({text}, scale=2)"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("`a` differs"), "`ValueError: 'a' differs`"),
        (ValueError("x" * 201), f"`ValueError: {'x' * 200}`"),
        (
            ValueError("Exception encountered when calling Dense.\n\n\x1b[1mToo long.\x1b[0m"),
            "`ValueError: Too long.`",
        ),
        (
            ValueError("Exception encountered when calling it."),
            "`ValueError: Exception encountered when calling it.`",
        ),
        (ValueError(), "`ValueError: `"),
    ],
)
def test_of_an_error_the_line_is_shown_that_says_what_is_wrong(error, text):
    assert said(error) == text


def doubled(values, by):
    return by * values, [(values, "that is not multiplied.")]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda values, by: by * values, None),
        (lambda values, by: values, "`f([2.0], 2)` is [2]: that is not multiplied."),
        (lambda values, by: by + values, "`f([1.0, 2.0], 3)` is [4, 5]: it must be [3, 6]."),
        (lambda values, by: values.sum(), "`f([2.0], 2)` has shape (); it must have (1,)."),
        (lambda values: values, "`f([2.0], 2)` stops with `TypeError: <lambda>() takes 1 positional"),
        (3, "`f` must be a function; it is of the type int. Hand it in without ( )."),
    ],
)
def test_a_function_is_judged_in_its_cases(function, message):
    said = verdict(answers.expect_results, "f", function, [([2.0], 2), ([1.0, 2.0], 3)], doubled)
    assert said == message if message is None else said.startswith(message)


def test_a_function_that_changes_its_arguments_spoils_no_case():
    def careless(values, by):
        values *= by
        return values

    case = ([1.0, 2.0], 3)
    assert verdict(answers.expect_results, "f", careless, [case, case], doubled) is None


def test_a_choice_has_the_sentence_of_its_mistake():
    reasons = {"valid": "it pads nothing.", "causal": "it looks back alone."}
    said = [verdict(answers.expect_choice, "padding", one, "same", reasons) for one in ("SAME", "causal", "full")]
    assert said[:2] == [None, "`padding` is 'causal': it looks back alone."]
    assert said[2] == """`padding` must be `"causal"` or `"same"` or `"valid"`; it is 'full'."""


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"a", "c"}, None),
        (["C", " a", "a"], None),
        ("a c", None),
        ("a, c", None),
        ({"c", "b"}, "b: it is odd."),
        ("c", "a is missing: it is even."),
        (set(), "a is missing: it is even."),
        ("ac", None),
        ("A and C", None),
        ({"ac"}, None),
        ("ad", "There is no d: the letters are a, b, c."),
        ([1], '`even` must be a set of letters, as {"a", "b"}; it is list of 1.'),
    ],
)
def test_a_set_of_letters_is_right_or_names_one_letter(answer, message):
    reasons = {"a": "it is even.", "b": "it is odd.", "c": "it is even, too."}
    assert verdict(answers.expect_set, "even", answer, "ac", reasons) == message


def test_a_set_of_names_may_be_written_with_commas():
    assert answers.chosen("moves", "Dense bias, first kernel", ["dense bias", "first kernel"]) == {
        "dense bias",
        "first kernel",
    }


def test_what_is_not_of_as_many_parts_or_no_dictionary_is_named():
    assert answers.parts("f(x)", [1, 2], ["image", "label"]) == [1, 2]
    assert (
        verdict(answers.parts, "f(x)", 3, ["image", "label"])
        == "`f(x)` must return two things: image, label; it returned of the type int."
    )
    assert verdict(answers.dictionary, "space", [1]) == "`space` must be a dictionary; it is list of 1."


def sequential(*inner, shape=(8, 8, 3)):
    return keras.Sequential([keras.Input(shape), *inner])


class Failing(keras.layers.Layer):
    """Works on symbols, which is how Keras asks for its shape, and stops on numbers."""

    def call(self, inputs):
        if isinstance(inputs, keras.KerasTensor):
            return inputs
        raise RuntimeError("out of order\nand more")

    def compute_output_shape(self, input_shape):
        return input_shape


def head(units=10):
    return layers.Flatten(), layers.Dense(units)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: keras.Sequential, "`net` is the class Sequential itself: make a model of it with ( )"),
        (lambda: [layers.Dense(3)], "`net` is a list of 1: `keras.Sequential(...)` makes a model of layers"),
        (lambda: "net", "`net` must be a Keras model; it is of the type str"),
        (lambda: sequential, "it is of the type function. Call it, and hand in what it returns"),
        (lambda: layers.Dense(3), "`net` must be a Keras model; it is of the type Dense"),
        (lambda: keras.Sequential([*head()]), "does not know its input yet: begin with `keras.Input((8, 8, 3))`"),
        (lambda: sequential(*head(), shape=(8, 8, 1)), "The first layer sees 1 channel: the images have 3"),
        (lambda: sequential(*head(), shape=(8, 8, 4)), "The first layer sees 4 channels: the images have 3"),
        (lambda: sequential(*head(), shape=(9, 8, 3)), "reads images of shape (9, 8, 3); it must read (8, 8, 3)"),
        (lambda: sequential(*head(9)), "returns shape (9,) for an image; it must be (10,)"),
        (lambda: sequential(layers.Dense(10)), "returns shape (8, 8, 10) for an image; it must be (10,)"),
    ],
)
def test_what_is_no_model_of_the_shapes_is_named(make, message):
    with pytest.raises(WrongAnswerError) as caught:
        networks.model("net", make(), input_shape=(8, 8, 3), output_shape=(10,))
    assert message in str(caught.value)


class Hidden(keras.Model):
    """A model whose class does not tell its shapes."""

    def __init__(self, units=10):
        super().__init__()
        self.inner = keras.Sequential([layers.Flatten(), layers.Dense(units)])

    def call(self, inputs):
        return self.inner(inputs)


def test_a_model_of_an_own_class_is_accepted_once_it_is_built():
    net = Hidden()
    with pytest.raises(WrongAnswerError, match="does not know its input"):
        networks.model("net", net, input_shape=(8, 8, 3), output_shape=(10,))
    net(np.zeros((1, 8, 8, 3), "float32"))
    assert networks.model("net", net, input_shape=(8, 8, 3), output_shape=(10,)) is net
    given = networks.predictions("net", net, np.ones((2, 8, 8, 3), "float32"), output_shape=(10,))
    assert given.shape == (2, 10)


def test_a_model_that_reads_images_of_any_height_is_accepted():
    net = sequential(layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(), layers.Dense(10), shape=(None, 8, 3))
    assert networks.model("net", net, input_shape=(8, 8, 3), output_shape=(10,)) is net
    assert networks.predictions("net", net, np.ones((2, 8, 8, 3)), output_shape=(10,)).shape == (2, 10)


def nan_model():
    net = sequential(*head())
    net.set_weights([np.full_like(weight, np.nan) for weight in net.get_weights()])
    return net


def repeating(times):
    """Return a model that computes 192 values and then so many times 192 for an image of 8 x 8."""
    return sequential(
        layers.Flatten(), layers.RepeatVector(times), layers.GlobalAveragePooling1D(), layers.Dense(10)
    )


def hidden_model(units):
    net = Hidden(units)
    net(np.zeros((1, 8, 8, 3), "float32"))
    return net


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (nan_model, "answers with NaN or infinity"),
        (lambda: sequential(Failing(), *head()), "when it is called on images (2, 8, 8, 3)"),
        (lambda: sequential(Failing(), *head()), "out of order"),
        (lambda: hidden_model(9), "returns shape (2, 9) for 2 images, not (2, 10)"),
        (
            lambda: sequential(layers.UpSampling2D(2500), layers.GlobalAveragePooling2D(), layers.Dense(10)),
            "is too large to be tried here: its layers would fill 9 GiB of memory",
        ),
        (lambda: repeating(349_526), "its layers would fill 512 MiB of memory"),
        (lambda: repeating(699_047), "its layers would fill 1024 MiB of memory"),
        (lambda: repeating(699_050), "its layers would fill 1 GiB of memory"),
        (
            lambda: sequential(
                sequential(layers.UpSampling2D(2500)), layers.GlobalAveragePooling2D(), layers.Dense(10)
            ),
            "is too large to be tried here",
        ),
    ],
)
def test_a_model_that_cannot_answer_is_described(make, message):
    with pytest.raises(WrongAnswerError) as caught:
        networks.predictions("net", make(), np.ones((2, 8, 8, 3), "float32"), output_shape=(10,))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# Notebooks and checks belong together


@pytest.mark.smoke
def test_every_notebook_has_the_exercises_of_its_sheet_in_their_order():
    sources = list_sources()
    assert [source.name for source in sources] == [sheet.notebook for sheet in SHEETS]
    for source, sheet in zip(sources, SHEETS, strict=True):
        checks = [cell.source for cell in make_notebook(source).cells if cell.metadata.get("tags") == ["check"]]
        assert [re.match(r"ex\.(\w+)\.check\(", check)[1] for check in checks] == list(sheet.exercises)
        assert 3 <= len(checks) <= 6


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_every_exercise_has_a_text_and_hints_that_differ(exercise):
    assert exercise.__doc__
    said = [exercise.hint() for _ in range(20)]
    number = int(re.search(r"Hint 1 of (\d+)", "".join(feedback.title for feedback in said))[1])
    assert len({feedback.text for feedback in said}) == number >= 2


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.notebook)
def test_every_solution_is_that_of_the_solved_notebook(sheet):
    source = next(source for source in list_sources() if source.name == sheet.notebook)
    cells = make_notebook(source, "solved").cells
    solved = [cell.source for cell in cells if cell.metadata.get("tags") == ["exercise"]]
    shown = [find_exercise(sheet.notebook, name) for name in sheet.exercises]
    assert [found.exercise.solved for found in shown] == solved
    # Shown as plain text, where no formula is set.
    assert not any("$" in text for found in shown for text in (*found.hints, found.remarks))
    assert any(found.remarks for found in shown)
    with pytest.raises(LookupError, match="has no exercise 'nothing'"):
        find_exercise(sheet.notebook, "nothing")


def test_an_exercise_cell_comes_apart_into_its_parts():
    exercise = read_exercise(
        "# ### Title\n#\n# Is $x$ two?\n\n# of the code\nx = 1\n# student: y = None\n"
        "# solution\ny = 2\n# end solution\nz = 3\n\n\nex.one.check(x, y)\n",
        "here",
    )
    assert exercise.name == "one"
    assert exercise.question == "### Title\n\nIs $x$ two?"
    assert exercise.blank == "# of the code\nx = 1\ny = None\nz = 3"
    assert exercise.solved == "# of the code\nx = 1\ny = 2\nz = 3"
    assert exercise.check == "ex.one.check(x, y)"
