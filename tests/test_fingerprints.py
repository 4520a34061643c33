"""Fingerprints: what decides a result tells two apart, what a second kernel changes does not."""

import functools
import importlib
import math
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
from keras import layers

from kerascv_course._fingerprints import Unknowable, compile_fingerprint, fingerprint
from kerascv_course._models import flat_layers

RNG = np.random.default_rng(0)


def network(*inner, **options):
    model = keras.Sequential([keras.Input((6, 6, 2)), *inner, layers.Flatten(), layers.Dense(3)])
    model.compile(**{"optimizer": "adam", "loss": "mse", **options})
    return model


def typed(source, name="f", number=1, **scope):
    """Return a function as a cell of a notebook makes it, in the kernel of that number."""
    exec(compile("\n" * number + source, f"/tmp/ipykernel_{number}/{number}77.py", "exec"), scope)
    return scope[name]


TWICE = "def f(z):\n    return 2 * z - 1\n"
SCALED = "def f(z):\n    return FACTOR * z\n"
LAYER = "import keras\nclass f(keras.layers.Layer):\n    def call(self, x):\n        return {} * x\n"
HELPER = "def g(z):\n    return {} * z\ndef f(z):\n    return g(z) + 1\n"


FOCAL = """
import keras
class f(keras.losses.Loss):
    def __init__(self, gamma):
        super().__init__()
        self.gamma = gamma
    def call(self, true, predicted):
        return {} * keras.ops.mean(keras.ops.abs(true - predicted) ** self.gamma)
"""
SCHEDULE = """
import keras
class f(keras.optimizers.schedules.LearningRateSchedule):  # without `get_config`
    def __init__(self, top):
        self._top = top
    def __call__(self, step):
        return {} * self._top / (1.0 + step)
"""
OPTIMIZER = """
import keras
class f(keras.optimizers.SGD):
    def update_step(self, gradient, variable, learning_rate):
        variable.assign(variable - {} * learning_rate * gradient)
"""
SCALE = """
import keras
class f(keras.layers.Layer):  # whose configuration lacks its argument
    def __init__(self, factor, **options):
        super().__init__(**options)
        self.factor = factor
    def call(self, x):
        return x * self.factor
    def get_config(self):
        return super().get_config()
"""
FLIP = """
import keras
class f(keras.layers.RandomFlip):
    def call(self, x):
        return super().call({} * x)
"""
METRIC = """
import keras
class f(keras.metrics.Mean):
    def update_state(self, true, predicted, sample_weight=None):
        return super().update_state({} * (true - predicted))
"""
LOSS_OBJECT = """
class f:
    def __init__(self, factor):
        self.factor = factor
    def __call__(self, true, predicted):
        return self.factor * (true - predicted) ** 2
"""


def loss_of(factor):
    return lambda true, predicted: factor * keras.ops.mean(predicted - true)


def shared(activation):
    inputs = keras.Input((4,))
    dense = layers.Dense(4, activation=activation)
    return keras.Model(inputs, dense(dense(inputs)))


def frozen(trainable):
    model = network(layers.Conv2D(2, 3))
    model.layers[0].trainable = trainable
    return model


class Penalty(keras.regularizers.Regularizer):
    """One whose rule is a function of the user's."""

    def __init__(self, rule):
        self.rule = rule

    def __call__(self, weights):
        return keras.ops.sum(self.rule(weights))

    def get_config(self):
        return {"rule": self.rule}


PAIRS = {  # what makes one; what makes another
    "content of an array": (lambda: np.arange(6), lambda: np.arange(6)[::-1]),
    "shape of an array": (lambda: np.zeros(6), lambda: np.zeros((6, 1))),
    "dtype of an array": (lambda: np.zeros(6, "int32"), lambda: np.zeros(6, "float32")),
    "a tensor": (lambda: keras.ops.ones(3), lambda: keras.ops.zeros(3)),
    "a value in a dictionary": (lambda: {"a": [1, {2}]}, lambda: {"a": [1, {3}]}),
    "code": (lambda: typed(TWICE), lambda: typed(TWICE.replace("- 1", "- 2"))),
    "a default": (lambda: typed("def f(z, a=1): return z"), lambda: typed("def f(z, a=2): return z")),
    "a closure": (lambda: loss_of(1.0), lambda: loss_of(2.0)),
    "a global": (lambda: typed(SCALED, FACTOR=1), lambda: typed(SCALED, FACTOR=2)),
    "a function that is called": (lambda: typed(HELPER.format(1)), lambda: typed(HELPER.format(2))),
    "a partial": (lambda: functools.partial(np.clip, a_max=1), lambda: functools.partial(np.clip, a_max=2)),
    "a library's function": (lambda: np.sin, lambda: np.cos),
    "a class": (lambda: typed(LAYER.format(1)), lambda: typed(LAYER.format(2))),
    "an object of that class": (lambda: typed(LAYER.format(1))(), lambda: typed(LAYER.format(2))()),
    "names that are activations": (
        lambda: network(layers.Activation("relu", name="relu")),
        lambda: network(layers.Activation("tanh", name="tanh")),
    ),
    "an activation of the user's": (
        lambda: network(layers.Dense(2, activation=typed(TWICE))),
        lambda: network(layers.Dense(2, activation=typed(TWICE.replace("2", "3")))),
    ),
    "a Lambda": (
        lambda: network(layers.Lambda(typed(TWICE))),
        lambda: network(layers.Lambda(typed(TWICE.replace("- 1", "- 2")))),
    ),
    "a regularizer of the user's": (
        lambda: network(layers.Conv2D(2, 3, kernel_regularizer=Penalty(typed(TWICE)))),
        lambda: network(layers.Conv2D(2, 3, kernel_regularizer=Penalty(typed(TWICE.replace("2", "3"))))),
    ),
    "an argument that a configuration lacks": (
        lambda: network(typed(SCALE)(1.0)),
        lambda: network(typed(SCALE)(2.0)),
    ),
    "an array that a layer holds": (
        lambda: network(typed(SCALE)(np.ones(2))),
        lambda: network(typed(SCALE)(np.zeros(2))),
    ),
    "code of a layer with a seed that Keras draws": (
        lambda: network(typed(FLIP.format(1))()),
        lambda: network(typed(FLIP.format(2))()),
    ),
    "a partial in a Lambda": (
        lambda: network(layers.Lambda(functools.partial(typed("def f(z, k): return k * z"), k=1))),
        lambda: network(layers.Lambda(functools.partial(typed("def f(z, k): return k * z"), k=2))),
    ),
    "what is frozen": (lambda: frozen(True), lambda: frozen(False)),
    "an argument of a layer": (lambda: network(layers.Dropout(0.1)), lambda: network(layers.Dropout(0.2))),
    "the dtype of a layer": (
        lambda: network(layers.Conv2D(2, 3)),
        lambda: network(layers.Conv2D(2, 3, dtype="mixed_bfloat16")),
    ),
    "a layer in two places": (lambda: shared("relu"), lambda: shared("tanh")),
}


@pytest.mark.smoke
@pytest.mark.parametrize("name", PAIRS)
def test_what_decides_the_result_tells_two_apart_and_the_same_made_again_is_the_same(name):
    one, other = PAIRS[name]
    assert fingerprint(one(), weights=False) == fingerprint(one(), weights=False)
    assert fingerprint(one(), weights=False) != fingerprint(other(), weights=False)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"loss": loss_of(1.0)}, {"loss": loss_of(9.0)}),
        ({"loss": "mse"}, {"loss": "mae"}),
        ({"optimizer": "sgd"}, {"optimizer": keras.optimizers.SGD(momentum=0.5)}),
        ({"metrics": [loss_of(1.0)]}, {"metrics": [loss_of(2.0)]}),
        (
            {"optimizer": keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 9))},
            {"optimizer": keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 8))},
        ),
        ({"loss": typed(FOCAL.format(1))(2.0)}, {"loss": typed(FOCAL.format(1))(5.0)}),
        ({"loss": typed(FOCAL.format(1))(2.0)}, {"loss": typed(FOCAL.format(2))(2.0)}),
        ({"loss": typed(LOSS_OBJECT)(2.0)}, {"loss": typed(LOSS_OBJECT)(5.0)}),
        (
            {"loss": typed(LOSS_OBJECT)(2.0), "optimizer": keras.optimizers.SGD(0.1, momentum=0.5)},
            {"loss": typed(LOSS_OBJECT)(2.0), "optimizer": keras.optimizers.SGD(0.1, momentum=0.9)},
        ),
        ({"metrics": [typed(METRIC.format(1))()]}, {"metrics": [typed(METRIC.format(2))()]}),
        *(
            tuple(
                {"optimizer": keras.optimizers.SGD(typed(SCHEDULE.format(f))(top), momentum=m)}
                for f, top, m in two
            )
            for two in (
                ((1, 0.1, 0.5), (1, 0.2, 0.5)),
                ((1, 0.1, 0.5), (2, 0.1, 0.5)),
                ((1, 0.1, 0.5), (1, 0.1, 0.9)),
            )
        ),
        ({"optimizer": typed(OPTIMIZER.format(1))(0.1)}, {"optimizer": typed(OPTIMIZER.format(2))(0.1)}),
    ],
)
def test_what_a_model_is_compiled_with_tells_two_apart(one, other):
    first, second, again = (compile_fingerprint(network(**options)) for options in (one, other, one))
    assert first == again != second


def test_weights_count_unless_they_are_left_out():
    one, other = network(layers.Conv2D(2, 3)), network(layers.Conv2D(2, 3))
    assert fingerprint(one, weights=False) == fingerprint(other, weights=False)
    assert fingerprint(one) != fingerprint(other)
    other.set_weights(one.get_weights())
    assert fingerprint(one) == fingerprint(other)


def test_a_module_of_the_users_counts_with_its_text_and_one_of_a_library_by_name(tmp_path, monkeypatch):
    module = types.ModuleType("own")
    module.__file__ = str(tmp_path / "own.py")
    found = []
    for text in ("A = 1", "A = 2", "A = 1"):
        (tmp_path / "own.py").write_text(text)
        found.append(fingerprint(module))
    assert found[0] == found[2] != found[1]
    before = fingerprint(np, math)
    monkeypatch.setattr(np, "__file__", np.linalg.__file__)
    assert fingerprint(np, math) == before != fingerprint(np, sys)


def test_of_a_module_of_the_users_what_is_used_counts_through_other_modules_too(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_one.py").write_text(
        "import own_two\nFACTOR = 1\ndef g(z):\n    return own_two.h(z) * FACTOR\n"
    )
    found = []
    for factor, text in ((1, "return z"), (1, "return -z"), (2, "return z"), (1, "return z")):
        (tmp_path / "own_two.py").write_text(f"import own_one\ndef h(z):\n    {text}\n")
        for name in ("own_one", "own_two"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()
        module = importlib.import_module("own_one")
        module.FACTOR = factor
        found.append(fingerprint(typed("def f(z):\n    return own_one.g(z)\n", own_one=module)))
    assert found[0] == found[3]
    assert len(set(found)) == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True), (1, 1.0), ("1", 1), ([1, 2], [2, 1]), ([1, 2], {1, 2}), ([[1], 2], [1, [2]]),
        ({"a": 1}, {"b": 1}), (property(typed(TWICE)), property(typed(SCALED, FACTOR=2))), (str.upper, str.lower),
        (np.dtype("int8"), np.dtype("int16")), (np.array([1, "a"], object), np.array([1, "b"], object)),
    ],
)  # fmt: skip
def test_plain_values_are_told_apart_by_type_content_and_order(one, other):
    assert fingerprint(one) == fingerprint(one) != fingerprint(other)
    assert fingerprint(one, other) != fingerprint(other, one)


def test_the_weights_of_a_network_inside_a_loss_count():
    judges = [
        keras.Sequential([keras.Input((3,)), layers.Dense(1, kernel_initializer=k)]) for k in ("zeros", "ones")
    ]
    losses = [lambda true, predicted, judge=judge: judge(predicted) for judge in judges]
    assert fingerprint(losses[0]) != fingerprint(losses[1])


class Holder(layers.Layer):
    def __init__(self, **held):
        super().__init__()
        for name, value in held.items():
            setattr(self, name, value)


def test_layers_are_found_in_models_attributes_lists_and_dictionaries_each_once():
    first, second, third, fourth = (layers.Dense(1) for _ in range(4))
    inner = keras.Sequential([second])
    holder = Holder(one=first, many=[inner, first], named={"a": third}, wrapped=layers.TimeDistributed(fourth))
    found = [layer for layer in flat_layers(holder) if not isinstance(layer, keras.layers.InputLayer)]
    assert found[0] is holder
    assert len(found) == 7
    assert set(map(id, found)) == set(map(id, [holder, first, second, third, fourth, inner, holder.wrapped]))


@pytest.mark.parametrize(
    "compiled",
    [
        {"metrics": ["mae"], "loss": loss_of(1.0)},
        {
            "optimizer": typed(OPTIMIZER.format(1))(0.1),
            "loss": typed(FOCAL.format(1))(2.0),
            "metrics": [typed(METRIC.format(1))()],
        },
    ],
)
def test_training_changes_nothing(compiled):
    own = [typed(SCALE)(2.0), layers.Lambda(functools.partial(typed("def f(z, k): return k * z"), k=1))]
    model = network(layers.RandomFlip(), layers.BatchNormalization(), *own, **compiled)
    before = fingerprint(model, weights=False), compile_fingerprint(model)
    model.fit(RNG.random((8, 6, 6, 2)), RNG.random((8, 3)), verbose=0)
    model.optimizer.learning_rate = 0.5
    assert (fingerprint(model, weights=False), compile_fingerprint(model)) == before


AGAIN = """
import keras
from kerascv_course._fingerprints import compile_fingerprint, fingerprint
[keras.layers.Dense(1) for _ in range(number)]  # Keras counts its names up
scope = {"FACTOR": {"b", "a", "c"}}
source = "def f(z):\\n    return 2 * z if z.ndim in {3, 'x'} else z, FACTOR\\n"
exec(compile("\\n" * number + source, f"/tmp/ipykernel_{number}/{number}.py", "exec"), scope)
act = keras.layers.Dense(2, activation=lambda x: x)
layers = [keras.layers.RandomFlip(), keras.layers.Lambda(scope["f"]), act]
model = keras.Sequential([keras.Input((4, 4, 1)), *layers[:1], keras.layers.Flatten(), layers[2]])
model.compile("adam", lambda a, b: a - b)
found = [fingerprint(model, scope["f"], layers[1], weights=False), compile_fingerprint(model)]
"""


@pytest.mark.slow
def test_another_kernel_changes_nothing():
    here = {"number": 1}
    exec(AGAIN, here)
    again = f"there = {{'number': 7}}; exec({AGAIN!r}, there); print(*there['found'])"
    words = [sys.executable, "-c", again]
    there = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert here["found"] == there[-2:]


@pytest.mark.parametrize("value", [np.random.default_rng(0), iter([1]), (n for n in range(3)), open(__file__)])  # noqa: SIM115
def test_what_changes_by_itself_cannot_be_known(value):
    with pytest.raises(Unknowable, match="an object of type"):
        fingerprint(lambda: value)
