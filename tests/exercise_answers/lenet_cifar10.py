"""Answers to the exercises of 02_lenet_cifar10."""

import functools

import keras
import numpy as np
from keras import layers

from kerascv_course import build_lenet5, load_digits


def lenet(
    shape=(32, 32, 3), pool=layers.AveragePooling2D, activation="tanh", dense="relu", head="softmax", **options
):
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(6, 5, activation=activation, **options),
            pool(2),
            layers.Conv2D(16, 5, activation=activation, **options),
            pool(2),
            layers.Flatten(),
            layers.Dense(120, activation=dense),
            layers.Dense(84, activation=dense),
            layers.Dense(10, activation=head),
        ]
    )


def functional_lenet():
    x = inputs = keras.Input((32, 32, 3))
    for filters in (6, 16):
        x = layers.Conv2D(filters, (5, 5))(x)
        x = layers.AveragePooling2D(2)(layers.Activation("tanh")(x))
    x = layers.Reshape((400,))(x)
    for units in (120, 84):
        x = layers.ReLU()(layers.Dense(units)(layers.Dropout(0.5)(x)))
    return keras.Model(inputs, layers.Softmax()(layers.Dense(10)(x)))


def nested_lenet():
    return keras.Sequential([keras.Input((32, 32, 3)), lenet()])


class OwnLenet(keras.Model):
    """LeNet-5 as a class, which does not tell its shapes."""

    def __init__(self):
        super().__init__()
        self.inner = build_lenet5((32, 32, 3))

    def call(self, images):
        return self.inner(images)


def own_lenet():
    net = OwnLenet()
    net(np.zeros((1, 32, 32, 3), "float32"))
    return net


def with_weights(net, value):
    net.set_weights([np.full_like(weight, value) for weight in net.get_weights()])
    return net


def moved_parameters():
    """Return a model that has as many parameters as LeNet-5, in other layers."""
    return keras.Sequential(
        [keras.Input((32, 32, 3)), layers.GlobalAveragePooling2D(), layers.Dense(4428), layers.Dense(10)]
    )


@functools.cache
def small_networks(width=8):
    """Return two small networks that read digits: random filters, and a dense layer solved by least squares."""
    digits = load_digits()
    images = ((digits.x_train - digits.x_train.mean()) / digits.x_train.std()).astype("float32")
    targets = np.eye(10)[digits.y_train] - 0.1
    networks = []
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        filters = [rng.normal(size=(3, 3, 1, width)), rng.uniform(-1, 1, width)]
        net = untrained(width)
        net.set_weights([*filters, *net.get_weights()[2:]])
        features = keras.ops.convert_to_numpy(keras.Sequential(net.layers[:-1])(images))
        inputs = np.c_[features, np.ones(len(features))]
        ridge = 0.003 * len(inputs) * np.eye(inputs.shape[1])
        solved = 5 * np.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ targets)
        net.set_weights([*filters, solved[:-1], solved[-1]])
        networks.append(net)
    return networks


def untrained(width=8):
    return keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            layers.AveragePooling2D(4),
            layers.Conv2D(width, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def with_parameters(count):
    """Return a model of 3,000 parameters, or of one more."""
    one_more = [layers.Dense(1, use_bias=False)] * (count - 3_000)
    mean = [keras.Input((32, 32, 1)), layers.GlobalAveragePooling2D(), *one_more]
    return keras.Sequential([*mean, layers.RepeatVector(299), layers.Flatten(), layers.Dense(10)])


GOOD = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}

RIGHT = {
    "dense1_parameters": [
        lambda: (9 * 9 * 16 * 120 + 120,),
        lambda: (np.int32(155_640),),
        lambda: (build_lenet5((48, 48, 3)).get_layer("dense1").count_params(),),
    ],
    "weight_sharing": [
        lambda: (100,),
        lambda: (((14 - 5) // 1 + 1) ** 2.0,),
    ],
    "lenet_rgb": [
        lambda: (lenet(),),
        lambda: (functional_lenet(),),
        lambda: (nested_lenet(),),
        lambda: (own_lenet(),),
        lambda: (build_lenet5((32, 32, 3)),),
    ],
    "compile_arguments": [
        lambda: (GOOD,),
        lambda: ({**GOOD, "metrics": [keras.metrics.SparseCategoricalAccuracy(name="right")]},),
        lambda: ({**GOOD, "metrics": ["acc", "sparse_top_k_categorical_accuracy"]},),
    ],
    "small_networks": [
        lambda: (small_networks(),),
        lambda: (tuple(keras.Sequential([keras.Input((32, 32, 1)), net]) for net in small_networks()),),
    ],
}

UNTOUCHED = {
    "dense1_parameters": (lambda: (None,), "Put your answer in place of None"),
    "weight_sharing": (lambda: (None,), "Put your answer in place of None"),
    "lenet_rgb": (lambda: (None,), "Put your model in place of None"),
    "compile_arguments": (
        lambda: ({**GOOD, "metrics": "accuracy"},),
        "What kind of value does it want for `metrics`?",
    ),
    "small_networks": (lambda: (None,), "Write `build_small`"),
}

WRONG = {
    "dense1_parameters": [
        (lambda: (155_520,), "these are the weights. Each of the 120 units also has a bias"),
        (lambda: (155_521,), "there is not one bias in all"),
        (lambda: (48_120,), "that is the number for 32 x 32 pixels"),
        (lambda: (9_840,), "there are 16 maps of 9 x 9 values"),
        (lambda: (29_280,), "has made 16 maps out of the 3 channels"),
        (lambda: (1_296,), "these are the values of `flatten`"),
        (lambda: (276_600,), "LeNet's convolutions have no padding"),
        (lambda: (622_200,), "there is a second pooling"),
        (lambda: (192_120,), "the side is 9"),
        (lambda: (1,), "how many values does `flatten` have"),
        (lambda: ((155, 640),), "write 155640 without it"),
    ],
    "weight_sharing": [
        (lambda: (784,), "that is the first convolution"),
        (lambda: (196,), "these are the values that it reads"),
        (lambda: (1_024,), "the second convolution does not see the image"),
        (lambda: (10,), "that is one direction"),
        (lambda: (1_600,), "each weight belongs to one of the 16 filters"),
        (lambda: (2_400,), "how large is a map"),
        (lambda: (25,), "the number of weights in a kernel"),
        (lambda: (1,), "a dense layer"),
    ],
    "lenet_rgb": [
        (lambda: (lenet((32, 32, 1)),), "The first layer sees 1 channel: the images have 3"),
        (lambda: (lenet((28, 28, 3)),), "reads images of shape (28, 28, 3); it must read (32, 32, 3)"),
        (lambda: (lenet(padding="same"),), "Its convolutions are padded: LeNet's are not"),
        (lambda: (lenet(pool=layers.MaxPooling2D),), "It takes the maximum where LeNet-5 takes the average"),
        (lambda: (lenet(activation="relu"),), "Its convolutions have the activation relu; LeNet-5 has tanh"),
        (lambda: (lenet(dense="tanh"),), "Its hidden dense layers have the activation tanh"),
        (lambda: (lenet(dense=None),), "Its hidden dense layers have the activation linear"),
        (
            lambda: (lenet(head=None),),
            "Its outputs are no probabilities: the last layer has the activation linear",
        ),
        (lambda: (lenet(use_bias=False),), "It has 61,984 parameters; LeNet-5 for colour images has 62,006"),
        (
            lambda: (keras.Sequential([keras.Input((32, 32, 3)), *lenet().layers[:-1]]),),
            "returns shape (84,) for an image; it must be (10,)",
        ),
        (lambda: (keras.Sequential([layers.Conv2D(6, 5), layers.Flatten()]),), "does not know its input yet"),
        (lambda: (lenet,), "Call it, and hand in what it returns"),
        (lambda: (lenet().layers,), "is a list of 8: `keras.Sequential(...)` makes a model of layers"),
        (lambda: (with_weights(lenet(), np.nan),), "answers with NaN or infinity"),
        (lambda: (with_weights(lenet(), 0),), "It answers the same to every image"),
        (lambda: (moved_parameters(),), "LeNet-5 for colour images has 62,006"),
        (lambda: (lenet(activation="elu"),), "the answers are not those of LeNet-5"),
    ],
    "compile_arguments": [
        (lambda: ({**GOOD, "metrics": []},), "shows only the loss"),
        (lambda: ({**GOOD, "metrics": None},), "shows only the loss"),
        (lambda: ({"optimizer": "adam", "loss": GOOD["loss"]},), "shows only the loss"),
        (lambda: ({**GOOD, "metrics": ["sparse_top_k_categorical_accuracy"]},), "none of it is the accuracy"),
        (lambda: ({**GOOD, "metrics": ["acuracy"]},), "Keras says `ValueError"),
        (lambda: ({**GOOD, "loss": "categorical_crossentropy"},), "Keras says `"),
        (lambda: ({**GOOD, "metric": ["accuracy"]},), "Keras says `TypeError"),
        (lambda: (["accuracy"],), "must be a dictionary; it is list of 1"),
    ],
    "small_networks": [
        (lambda: (small_networks()[0],), "must be the list of trained networks"),
        (lambda: (small_networks()[:1],), "One seed may have been lucky"),
        (lambda: ([small_networks()[0]] * 2,), "Two networks give the same answers"),
        (lambda: ([untrained(), untrained()],), "hardly better than guessing"),
        (lambda: (small_networks(width=2),), "the linear classifier reads 344."),
        (
            lambda: ([small_networks()[0], small_networks(width=2)[0]],),
            "One seed beats it: the other must, too",
        ),
        (lambda: ([untrained(9)] * 2,), "It has 3,340 parameters; 3,000 are allowed"),
        (lambda: ([lenet(), lenet()],), "The first layer sees 3 channels: the images have 1"),
        (lambda: ([untrained] * 2,), "`small_networks[0]` must be a Keras model"),
        (lambda: ([with_parameters(3_000)] * 2,), "Two networks give the same answers"),
        (lambda: ([with_parameters(3_001)] * 2,), "It has 3,001 parameters; 3,000 are allowed"),
    ],
}
