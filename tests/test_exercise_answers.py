"""What each exercise says to right, wrong, untouched and odd answers."""

import keras
import numpy as np
import pytest
from exercise_answers import sheets
from keras import layers
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerascv_course import load_digits
from kerascv_course.exercises import answers, lenet_cifar10, networks
from kerascv_course.exercises.sheet import WrongAnswerError

SHEETS = sheets()
EXERCISES = [(exercise, table) for sheet, table in SHEETS for exercise in sheet.exercises.values()]


def cases(kind):
    """Return each answer of a kind beside its exercise."""
    return [
        pytest.param(exercise, case, id=f"{exercise.name}-{number}")
        for exercise, table in EXERCISES
        for number, case in enumerate(getattr(table, kind)[exercise.name])
    ]


@pytest.mark.parametrize(("sheet", "table"), SHEETS, ids=[sheet.notebook for sheet, _ in SHEETS])
def test_every_exercise_is_tried_with_enough_answers(sheet, table):
    names = list(sheet.exercises)
    assert list(table.RIGHT) == list(table.WRONG) == list(table.UNTOUCHED) == names
    assert all(len(table.RIGHT[name]) >= 2 for name in names)
    assert all(len({message for _, message in table.WRONG[name]}) >= 3 for name in names)


@pytest.mark.parametrize(("exercise", "make"), cases("RIGHT"))
def test_a_right_answer_passes_however_it_is_written(exercise, make):
    feedback = exercise.check(*make())
    assert feedback.kind == "right", feedback
    assert feedback.text


@pytest.mark.parametrize(("exercise", "case"), cases("WRONG"))
def test_a_wrong_answer_is_told_its_own_mistake(exercise, case):
    make, message = case
    feedback = exercise.check(*make())
    assert message in feedback.text
    assert feedback.kind in ("wrong", "to do")
    assert "could not be judged" not in feedback.text


@pytest.mark.parametrize(("exercise", "table"), EXERCISES, ids=lambda value: getattr(value, "name", ""))
def test_an_untouched_exercise_says_what_to_do(exercise, table):
    make, message = table.UNTOUCHED[exercise.name]
    feedback = exercise.check(*make())
    assert message in feedback.text
    assert not exercise.solved


class Grumpy:
    """An object with which nothing can be done, not even show it."""

    def __repr__(self):
        raise RuntimeError("no")

    def __eq__(self, other):
        raise RuntimeError("no")

    __hash__ = None


class Broken(keras.Model):
    """A model that works on symbols and stops on numbers."""

    def call(self, images):
        raise RuntimeError("out of order")


def built_but_broken():
    net = Broken()
    net.built = True
    return net


def huge(shape):
    return keras.Sequential(
        [keras.Input(shape), layers.UpSampling2D(2000), layers.GlobalAveragePooling2D(), layers.Dense(10)]
    )


def nan_model(shape):
    net = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(10)])
    net.set_weights([np.full_like(weight, np.nan) for weight in net.get_weights()])
    return net


ODD = {
    "text": lambda: "?",
    "number": lambda: 0.5,
    "truth value": lambda: True,
    "list": list,
    "dictionary": dict,
    "object": object,
    "grumpy object": Grumpy,
    "class": lambda: keras.Sequential,
    "layer": lambda: layers.Dense(3),
    "function that raises": lambda: lambda *a, **k: 1 / 0,
    "NaN": lambda: float("nan"),
    "array of NaN": lambda: np.full((3, 3), np.nan),
    "array of objects": lambda: np.array([None, {}], dtype=object),
    "unbuilt model": lambda: keras.Sequential([layers.Dense(50_000), layers.Dense(50_000)]),
    "model of an own class": Broken,
    "broken model": built_but_broken,
    "NaN model": lambda: nan_model((32, 32, 3)),
    "NaN models": lambda: [nan_model((32, 32, 1)), nan_model((32, 32, 1))],
    "model of 100 GB": lambda: huge((32, 32, 3)),
    "models of 100 GB": lambda: [huge((32, 32, 1)), huge((32, 32, 1))],
}


READERS = {
    "number": lambda answer: answers.expect("x", answer, 4, {5: "-"}, "-"),
    "array": lambda answer: answers.expect("x", answer, np.eye(2), [(np.ones(3), "-")], "-"),
    "choice": lambda answer: answers.expect_choice("x", answer, "same", {"valid": "-"}),
    "set of letters": lambda answer: answers.expect_set("x", answer, "a", {"a": "-", "b": "-"}),
    "set of names": lambda answer: answers.expect_set("x", answer, {"one"}, {"one": "-", "two": "-"}),
    "function": lambda answer: answers.expect_results("x", answer, [(1,), ([1, 2],)], lambda x: (4, {})),
    "result": lambda answer: answers.expect_results("x", lambda x: answer, [(1,), ([1, 2],)], lambda x: (4, {})),
    "parts": lambda answer: answers.parts("x", answer, ["a", "b", "c"]),
    "model": lambda answer: networks.predictions(
        "x",
        networks.model("x", answer, input_shape=(32, 32, 3), output_shape=(10,)),
        np.zeros((2, 32, 32, 3)),
        output_shape=(10,),
    ),
}


@pytest.mark.parametrize("reader", READERS)
def test_an_odd_answer_of_any_kind_is_met_with_a_friendly_line(reader):
    for kind, make in ODD.items():
        with pytest.raises(WrongAnswerError) as caught:
            READERS[reader](make())
        assert "\n" not in str(caught.value), kind
        assert len(str(caught.value)) < 400, kind


FEW = ["text", "number", "grumpy object", "array of objects", "function that raises"]
ALSO = {
    "lenet_rgb": ["unbuilt model", "broken model", "NaN model", "model of 100 GB"],
    "small_networks": ["list", "NaN models", "models of 100 GB"],
    "residual_block": ["layer", "class"],
    "compile_arguments": ["dictionary"],
    "backbone_arguments": ["dictionary"],
}


@pytest.mark.parametrize(("exercise", "table"), EXERCISES, ids=lambda value: getattr(value, "name", ""))
def test_each_exercise_meets_odd_answers_with_a_friendly_line(exercise, table):
    right = table.RIGHT[exercise.name][0]()
    for kind in FEW + ALSO.get(exercise.name, []):
        for place in range(len(right)):
            feedback = exercise.check(*right[:place], ODD[kind](), *right[place + 1 :])
            assert feedback.kind == "wrong", kind
            assert "could not be judged" not in feedback.text, kind
            assert "\n" not in feedback.text, kind
            assert len(feedback.text) < 400, kind


@pytest.mark.slow
def test_the_classifier_to_beat_reads_as_many_digits_as_the_exercise_says():
    digits = load_digits()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(digits.x_train.reshape(1437, -1), digits.y_train)
    right = int(np.sum(model.predict(digits.x_test.reshape(360, -1)) == digits.y_test))
    assert right == lenet_cifar10.TO_BEAT
    assert model[-1].coef_.size + model[-1].intercept_.size == 10_250
