"""What `fit`, the rate finder and `compare` take: Keras' own `fit` on the same data is the measure."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers, losses, metrics

from kerascv_course import augmentation, training
from kerascv_course.experiment import compare
from kerascv_course.plotting import plot_history
from kerascv_course.training.batches import Batches

RNG = np.random.default_rng(0)
Y = np.arange(24) % 3
X = (RNG.random((24, 4, 4, 1)) + Y[:, None, None, None]).astype("float32")
EXTRA = RNG.random((24, 3)).astype("float32")
ONE_HOT = np.eye(3, dtype="float32")[Y]
SPARSE = "sparse_categorical_crossentropy"
ON_TENSORFLOW = keras.config.backend() == "tensorflow"


def compiled(model, loss=SPARSE, metrics=None, optimizer="sgd", **options):
    model.compile(optimizer, loss, metrics=metrics, run_eagerly=True, **options)
    return model


def simple(units=3, activation="softmax", **options):
    zeros = layers.Dense(units, activation, kernel_initializer="zeros")
    return compiled(keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), zeros]), **options)


def dense(units=3, **options):
    return layers.Dense(units, **{"activation": "softmax", "kernel_initializer": "zeros", **options})


def two_inputs(**options):
    image, extra = keras.Input((4, 4, 1), name="image"), keras.Input((3,), name="extra")
    joined = layers.Concatenate()([layers.Flatten()(image), extra])
    return compiled(keras.Model([image, extra], dense()(joined)), **options)


def two_outputs(as_dict=False, **options):
    image = keras.Input((4, 4, 1))
    flat = layers.Flatten()(image)
    outputs = {"kind": dense(name="kind")(flat), "size": dense(1, activation=None, name="size")(flat)}
    options = {"loss": [SPARSE, "mse"]} | options
    return compiled(keras.Model(image, outputs if as_dict else list(outputs.values())), **options)


class Subclassed(keras.Model):
    def __init__(self, keys):
        super().__init__()
        self.keys, self.flat, self.dense = keys, layers.Flatten(), dense()

    def call(self, inputs):
        parts = [self.flat(inputs[key]) for key in self.keys] if self.keys else [self.flat(inputs)]
        return self.dense(keras.ops.concatenate(parts, axis=-1))


def subclassed(keys=(), **options):
    return compiled(Subclassed(keys), **options)


def fit(model, data, **options):
    return training.fit(model, data, **{"epochs": 1, "verbose": 0, **options})


def assert_equal_weights(model, expected):
    for weight, other in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(weight, other, atol=1e-6)


class Listed(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return X[index * 6 : index * 6 + 6], Y[index * 6 : index * 6 + 6]


def endless():
    for index in itertools.cycle(range(4)):
        yield Listed()[index]


def tf_data():
    return pytest.importorskip("tensorflow").data.Dataset.from_tensor_slices((X, Y)).batch(6)


def loader():
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    return torch.utils.data.DataLoader(data, batch_size=6)


# What comes as arrays


@pytest.mark.parametrize(
    ("build", "x", "y"),
    [
        (simple, X, Y),
        (simple, X, Y[:, None].astype("float64")),
        (simple, X.tolist(), list(Y)),
        (simple, list(X), Y.tolist()),
        (two_inputs, [X, EXTRA], Y),
        (two_inputs, (X, EXTRA.tolist()), Y),
        (two_inputs, {"image": X, "extra": EXTRA}, Y),
        (subclassed, X, Y),
        (lambda: subclassed((1, 0)), [X, EXTRA], Y),
        (lambda: subclassed(("b", "a")), {"a": X, "b": EXTRA}, Y),
        (two_outputs, X, [Y, EXTRA[:, 0]]),
        (lambda: two_outputs(True, loss={"kind": SPARSE, "size": "mse"}), X, {"kind": Y, "size": EXTRA[:, 0]}),
        (lambda: simple(loss="mse"), X, ONE_HOT),
    ],
)
def test_arrays_in_any_structure_are_trained_on_as_keras_does(tmp_path, build, x, y):
    def as_keras_takes_it(value):
        if isinstance(value, list | tuple):  # of two arrays, or of 24 images
            return [np.array(part) for part in value] if len(value) == 2 else np.array(value)
        return value

    model, expected = build(), build()
    fit(model, (x, y), batch_size=24, folder=tmp_path)
    expected.fit(as_keras_takes_it(x), as_keras_takes_it(y), batch_size=24, shuffle=False, verbose=0)
    assert_equal_weights(model, expected)
    assert len(fit(build(), (x, y), batch_size=24, folder=tmp_path, epochs=2).epoch) == 2


def test_weights_of_images_are_those_of_keras():
    weights = RNG.random(24)
    model, triple, expected = simple(), simple(), simple()
    fit(model, (X, Y), batch_size=24, sample_weight=list(weights))
    history = fit(triple, (X, Y, weights), batch_size=24, validation_data=(X, Y, weights))
    other = expected.fit(
        X, Y, sample_weight=weights, batch_size=24, validation_data=(X, Y, weights), shuffle=False, verbose=0
    )
    assert_equal_weights(model, expected)
    assert_equal_weights(triple, expected)
    assert history.history["val_loss"] == pytest.approx(other.history["val_loss"])


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (lambda: (X, Y), {"batch_size": 24}),
        (lambda: (X, ONE_HOT), {"batch_size": 24}),
        (Listed, {"shuffle": False}),
        (tf_data, {}),
    ],
)
def test_weights_of_classes_are_those_of_keras_and_1_where_none_is_given(data, options):
    given = data()
    is_one_hot = isinstance(given, tuple) and given[1] is ONE_HOT
    loss = "categorical_crossentropy" if is_one_hot else SPARSE
    model, expected = simple(loss=loss), simple(loss=loss)
    fit(model, given, class_weight={0: 3}, **options)
    size, y = options.get("batch_size", 6), ONE_HOT if is_one_hot else Y
    expected.fit(X, y, batch_size=size, class_weight={0: 3, 1: 1, 2: 1}, shuffle=False, verbose=0)
    assert_equal_weights(model, expected)


def test_fewer_steps_than_batches_go_on_where_they_ended_and_a_later_epoch_knows_its_place():
    batches = Batches(np.arange(7), np.arange(7), 2, seed=0, steps=3)  # 4 batches hold all
    seen = []
    for epoch in range(4):
        batches.start_epoch(epoch)
        seen += [batches[index][0].tolist() for index in range(len(batches))]
    for start in (0, 4, 8):
        assert sorted(itertools.chain(*seen[start : start + 4])) == list(range(7))
    batches.start_epoch(2)
    assert [batches[index][0].tolist() for index in range(3)] == seen[6:9]


def test_an_array_on_disk_is_trained_on_as_one_in_memory(tmp_path):
    np.save(tmp_path / "x.npy", X)
    first, second = simple(), simple()
    one = fit(first, (np.load(tmp_path / "x.npy", mmap_mode="r"), Y), batch_size=6, validation_split=0.25)
    assert one.history == fit(second, (X, Y), batch_size=6, validation_split=0.25).history


def test_the_order_of_the_arrays_is_kept_where_they_are_not_to_be_shuffled():
    model, expected = simple(), simple()
    fit(model, (X, Y), batch_size=6, shuffle=False)
    expected.fit(X, Y, batch_size=6, shuffle=False, verbose=0)
    assert_equal_weights(model, expected)


# What comes in batches


@pytest.mark.parametrize(
    ("build", "data"),
    [(subclassed, Listed), (simple, tf_data), (subclassed, tf_data), (simple, loader), (subclassed, endless)],
)
def test_batches_are_trained_on_as_keras_does_and_the_run_goes_on_by_epoch(tmp_path, data, build):
    steps = {"steps_per_epoch": 4} if data is endless else {}
    model, expected = build(), build()
    fit(model, data(), folder=tmp_path, shuffle=False, validation_data=data(), validation_steps=2, **steps)
    expected.fit(data(), epochs=1, shuffle=False, verbose=0, **steps)
    assert_equal_weights(model, expected)
    again = fit(
        build(),
        data(),
        folder=tmp_path,
        epochs=3,
        shuffle=False,
        validation_data=data(),
        validation_steps=2,
        **steps,
    )
    assert again.epoch == [0, 1, 2]
    assert len(again.history["val_loss"]) == 3


def test_affine_batches_go_on_with_the_images_of_the_next_epoch(tmp_path):
    def batches():
        layer = augmentation.RandomAffine(translation=0.2, fill_mode="constant")
        return augmentation.AffineBatches(X, Y, layer, batch_size=6, engine="keras")

    whole, cut = simple(), simple()
    history = fit(whole, batches(), epochs=3)
    fit(simple(), batches(), epochs=1, folder=tmp_path)
    assert fit(cut, batches(), epochs=3, folder=tmp_path).history == history.history
    assert_equal_weights(cut, whole)


def test_batches_and_arrays_give_the_same_curve_of_rates():
    class Whole(Listed):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return X, Y

    options = {"steps": 10, "highest": 1.0, "verbose": 0}
    whole = training.find_learning_rate(simple(), Whole(), **options)
    arrays = training.find_learning_rate(simple(), (X, Y), batch_size=24, **options)
    np.testing.assert_allclose(whole.losses, arrays.losses, rtol=1e-5)
    for build, data in ((simple, endless()), (two_inputs, ([X, EXTRA], Y)), (two_outputs, (X, [Y, EXTRA[:, 0]]))):
        assert len(training.find_learning_rate(build(), data, **options).losses) == 10


# What is refused, before any training


class NoCall(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        raise AssertionError("trained")


def binary(**options):
    return simple(1, "sigmoid", loss="binary_crossentropy", **options)


def one_hot_wanted():
    return simple(loss="categorical_crossentropy")


REFUSED = {
    r"`data\[1\]` of `fit` .* from 0 to 2.* from 1 to 3.* pass `data\[1\] - 1`": (simple, (X, Y + 1)),
    r"`data\[1\]` of `fit` must be labels from 0 to 2": (subclassed, (X, Y - 1)),
    "must be labels from 0 to 2, for 3": (lambda: simple(loss=losses.SparseCategoricalCrossentropy()), (X, Y + 1)),
    r"`validation_data\[1\]` of `fit` .* from 0 to 2": (simple, (X, Y), {"validation_data": (X, Y + 1)}),
    r"`data\[1\]` .* labels from 0 to 2": (two_outputs, (X, [Y + 1, EXTRA[:, 0]])),
    r"labels from 0 to 1.* Pass `data\[1\] - 1`": (binary, (X, Y % 2 + 1)),
    r"one-hot, \(images, 3\).*'sparse_categorical_crossentropy'": (one_hot_wanted, (X, Y)),
    r"a list of labels, for 2 outputs.*`keras.Model\(model.inputs, model.outputs\[0\]\)`": (two_outputs, (X, Y)),
    r"`data` of `fit` must be images that the model can be called on.*\(2, 3, 4, 1\)": (simple, (X[:, 1:], Y)),
    r"`data\[0\]\[1\]` of `fit` .* row for each of the 24": (two_inputs, ([X, EXTRA[1:]], Y)),
    "labels that the loss and the metrics .*FBetaScore": (lambda: simple(metrics=[metrics.F1Score()]), (X, Y)),
    r"`class_weight` .* dictionary .*`dict\(enumerate": (simple, (X, Y), {"class_weight": [1, 2, 3]}),
    "`class_weight` .* classes, 0 to 2, to weights": (simple, (X, Y), {"class_weight": {1: 1, 2: 1, 3: 9}}),
    "`class_weight` .* more than one label": (two_outputs, (X, [Y, Y]), {"class_weight": {0: 2}}),
    "`sample_weight` .* row for each of the 24 images": (simple, (X, Y), {"sample_weight": Y[1:]}),
    "`callbacks` of `fit` must be a Keras callback or a list": (simple, (X, Y), {"callbacks": [NoCall]}),
    "Did you mean 'steps_per_epoch'": (simple, (X, Y), {"step_per_epoch": 3}),
    "`batch_size` of `fit` must be left out where `data` comes in": (simple, Listed(), {"batch_size": 3}),
    "`validation_split` of `fit` must be left out": (simple, Listed(), {"validation_split": 0.2}),
    r"not single ones.* Pass `data.batch\(32\)`": (simple, lambda: tf_data().unbatch()),
    "batches with an end.* Pass `steps_per_epoch`": (simple, lambda: tf_data().repeat()),
    "`initial_epoch` of `fit` must be left out": (simple, (X, Y), {"initial_epoch": 1, "folder": "unused"}),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_trained_is_said_before_any_training(words):
    build, data, *options = REFUSED[words]
    data = data() if callable(data) and not isinstance(data, keras.utils.PyDataset) else data
    with pytest.raises((ValueError, TypeError), match=f"(?s){words}"):
        fit(build(), data, **{"callbacks": NoCall(), **dict(*options)})


def test_labels_that_a_loss_ignores_are_none_that_are_out_of_range():
    model = simple(loss=losses.SparseCategoricalCrossentropy(ignore_class=-1))
    assert np.isfinite(fit(model, (X, np.where(Y == 2, -1, Y))).history["loss"]).all()


def test_masks_may_have_an_axis_for_their_class():
    def segmenting():
        return compiled(keras.Sequential([keras.Input((4, 4, 1)), layers.Dense(3, "softmax")]))

    masks = RNG.integers(0, 3, (24, 4, 4))
    model, expected = segmenting(), segmenting()
    expected.set_weights(model.get_weights())
    fit(model, (X, masks[..., None]))
    fit(expected, (X, masks))
    assert_equal_weights(model, expected)
    with pytest.raises(ValueError, match="labels from 0 to 2"):
        fit(model, (X, masks + 1))


# Metrics


@pytest.mark.parametrize(
    ("given", "loss", "name"),
    [
        (["acc"], SPARSE, "acc"),
        ([metrics.SparseCategoricalAccuracy], SPARSE, "sparse_categorical_accuracy"),
        ([lambda: metrics.SparseCategoricalAccuracy(name="top1")], SPARSE, "top1"),
        ([lambda: metrics.SparseTopKCategoricalAccuracy(k=2), "accuracy"], SPARSE, "accuracy"),
        ([lambda: metrics.CategoricalAccuracy("hits")], "categorical_crossentropy", "hits"),
        ([metrics.F1Score, "accuracy"], "categorical_crossentropy", "accuracy"),
    ],
)
def test_the_accuracy_is_found_under_any_name(given, loss, name):
    built = []

    def build():
        built.append(simple(loss=loss, metrics=[part() if callable(part) else part for part in given]))
        return built[-1]

    y = Y if loss == SPARSE else ONE_HOT
    (run,) = compare({"a": build}, (X, y), epochs=2, seeds=[0], validation_data=(X[:9], y[:9]), verbose=0).runs
    assert run.figure == name
    answers = keras.ops.convert_to_numpy(built[-1](X[:9])).argmax(axis=1)
    assert run.accuracy == pytest.approx(np.mean(answers == Y[:9]))


def test_a_metric_for_each_class_is_kept_and_its_mean_drawn_by_name(tmp_path):
    def build():
        return simple(loss="categorical_crossentropy", metrics=[metrics.F1Score()])

    fit(build(), (X, ONE_HOT), folder=tmp_path)
    history = fit(build(), (X, ONE_HOT), folder=tmp_path, epochs=2)
    assert np.shape(history.history["f1_score"]) == (2, 3)
    assert [axis.get_ylabel() for axis in plot_history(history).axes] == ["loss"]
    (axis,) = plot_history(history, metrics=["f1_score"]).axes
    np.testing.assert_allclose(axis.lines[0].get_ydata(), np.mean(history.history["f1_score"], axis=1))
    assert axis.get_ylabel() == "f1 score, mean of the classes"
    with pytest.raises(ValueError, match="`monitor` of `fit` must be a figure that is one number"):
        fit(build(), (X, ONE_HOT), patience=1, monitor="val_f1_score", validation_split=0.25)


# Comparisons


class Zeros(keras.callbacks.Callback):
    """Leaves weights at the end that no epoch had, and counts the runs that it has seen."""

    runs = 0

    def on_train_end(self, logs=None):
        self.runs += 1
        assert self.runs == 1
        self.model.set_weights([np.zeros_like(weight) for weight in self.model.get_weights()])


@pytest.mark.parametrize("callbacks", [[Zeros()], Zeros])
def test_each_run_has_callbacks_of_its_own_and_the_accuracy_is_that_of_the_weights_at_the_end(callbacks):
    results = compare(
        {"a": lambda: simple(metrics=["accuracy"])}, (X, Y), epochs=1, seeds=(0, 1), callbacks=callbacks,
        validation_data=(X, Y), verbose=0,
    )  # fmt: skip
    assert [run.accuracy for run in results.runs] == pytest.approx([1 / 3, 1 / 3])  # of equal answers the first


def test_weights_of_classes_and_callbacks_are_marks_of_the_runs_of_a_comparison(tmp_path):
    def build():
        return simple(metrics=["accuracy"])

    stop = keras.callbacks.EarlyStopping(monitor="loss", patience=0, min_delta=100)
    options = {"epochs": 3, "seeds": [0], "folder": tmp_path, "verbose": 0}
    plain, weighted, stopped = (
        compare({"a": build}, (X, Y), **options, **more).runs[0]
        for more in ({}, {"class_weight": {0: 9}}, {"callbacks": stop})
    )
    assert weighted.history["loss"][0] > 2 * plain.history["loss"][0]
    assert len(stopped.history["loss"]) == 2
    assert compare({"a": build}, (X, Y), class_weight={0: 9}, **options).runs[0].seconds == weighted.seconds


def test_a_comparison_takes_what_a_training_takes_and_names_itself(tmp_path):
    options = {"epochs": 1, "seeds": [0], "verbose": 0}
    extra = {"validation_split": 0.25, **options}
    assert compare({"a": lambda: two_inputs(metrics=["accuracy"])}, ([X, EXTRA], Y), **extra).rows[0].seeds == 1
    results = compare({"a": lambda: two_outputs(metrics=[["accuracy"], ["mae"]])}, (X, [Y, EXTRA[:, 0]]), **extra)
    assert results.notes == ("The accuracy of a is the figure 'kind_accuracy'.",)
    with pytest.warns(UserWarning, match="`compare`: the content of batches cannot be compared"):
        compare(
            {"a": lambda: simple(metrics=["accuracy"])},
            Listed(),
            validation_data=(X, Y),
            folder=tmp_path,
            **options,
        )
    with pytest.raises(RuntimeError, match=r"`data\[1\]` of `compare` must be labels from 0 to 2"):
        compare({"a": lambda: simple(metrics=["accuracy"])}, (X, Y + 1), **extra)


# Memory, and what is imported

MEMORY = """
import sys
import keras, numpy as np
from kerascv_course import training

model = keras.Sequential([keras.Input((64, 64, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])
model.compile("sgd", "mse")
y = np.zeros((8000, 2), "float32")
training.fit(model, (np.zeros((64, 64, 64, 3), "float32"), y[:64]), epochs=1, validation_split=0.1, verbose=0)
x = np.ones((8000, 64, 64, 3), "float32")
before = peak()
training.fit(model, (x, y), epochs=2, validation_split=0.1, verbose=0)
print((peak() - before) * 2**20 / x.nbytes, "tensorflow" in sys.modules)
"""


@pytest.mark.slow
def test_the_images_are_not_copied_and_tensorflow_is_its_own_backends_alone(measured):
    share, has_tensorflow = measured(MEMORY)[-2:]
    assert float(share) < 0.2
    assert (has_tensorflow == "True") == ON_TENSORFLOW
