"""The exercises of the notebook 02_lenet_cifar10."""

from itertools import product
from typing import Any

import keras
import numpy as np
from keras import ops

from kerascv_course.datasets import load_digits
from kerascv_course.exercises import answers, networks
from kerascv_course.exercises.sheet import WrongAnswerError, new_sheet, said
from kerascv_course.models import build_lenet5

sheet, summary, withhold_solutions = new_sheet("02_lenet_cifar10")

MAX_PARAMETERS = 3_000
TO_BEAT = 344  # right answers of a logistic regression on the 1,024 pixels, of 360 test digits


@sheet.exercise()
def dense1_parameters(dense1_parameters: Any) -> str:
    """Predict the parameters of LeNet-5's first dense layer for another input (Manco CNN)."""
    right = 9 * 9 * 16 * 120 + 120
    mistakes = {
        right - 120: "these are the weights. Each of the 120 units also has a bias.",
        right - 119: "there is not one bias in all: each of the 120 units has its own.",
        48_120: "that is the number for 32 x 32 pixels. How large are the maps after the second pooling now?",
        9 * 9 * 120 + 120: "there are 16 maps of 9 x 9 values.",
        9 * 9 * 3 * 120 + 120: "the second convolution has made 16 maps out of the 3 channels.",
        9 * 9 * 16: "these are the values of `flatten`. The layer has 120 units.",
        12 * 12 * 16 * 120 + 120: "LeNet's convolutions have no padding: each takes 4 pixels.",
        18 * 18 * 16 * 120 + 120: "there is a second pooling.",
        10 * 10 * 16 * 120 + 120: "the side is 9: 48, 44, 22, 18, 9.",
    }
    otherwise = "how many values does `flatten` have for 48 x 48 pixels?"
    answers.expect("dense1_parameters", dense1_parameters, right, mistakes, otherwise)
    return "9 · 9 · 16 · 120 + 120 = 155,640, three times as many as for 32 x 32 pixels."


@sheet.exercise()
def weight_sharing(uses_of_a_weight: Any) -> str:
    """Predict how often a convolution uses each of its weights (LeCun et al.)."""
    mistakes = {
        28 * 28: "that is the first convolution.",
        14 * 14: "these are the values that it reads. At how many places does a 5 x 5 kernel fit?",
        32 * 32: "the second convolution does not see the image: before it are a convolution and a pooling.",
        10: "that is one direction. The kernel moves in two.",
        10 * 10 * 16: "each weight belongs to one of the 16 filters.",
        5 * 5: "that is the number of weights in a kernel.",
        1: "that would be a dense layer.",
    }
    otherwise = "how large is a map that the second convolution makes?"
    answers.expect("uses_of_a_weight", uses_of_a_weight, 10 * 10, mistakes, otherwise)
    return "100 times, at the 10 x 10 positions: 240,000 multiply-accumulates with 2,400 weights."


@sheet.exercise("Put your model in place of None")
def lenet_rgb(lenet_rgb: Any) -> str:
    """Write LeNet-5 for CIFAR-10 (Boracchi)."""
    network = networks.model("lenet_rgb", lenet_rgb, input_shape=(32, 32, 3), output_shape=(10,))
    lenet = build_lenet5((32, 32, 3))
    count, right = network.count_params(), lenet.count_params()
    reasons = {136_886: "Its convolutions are padded: LeNet's are not.", 61_770: "The biases are missing."}
    reason = reasons.get(count, "Compare it with the table of the network above, layer by layer.")
    parameters = f"It has {count:,} parameters; LeNet-5 for colour images has {right:,}. {reason}"
    answers.refuse((count != right, parameters))
    images = np.random.default_rng(0).normal(size=(8, 32, 32, 3)).astype("float32")
    given = networks.predictions("lenet_rgb", network, images, output_shape=(10,))
    weights = [ops.convert_to_numpy(weight) for weight in network.get_weights()]
    shapes = [weight.shape for weight in lenet.get_weights()]
    elsewhere = f"The parameters are as many, but not in the layers of LeNet-5. Its weights: {shapes}."
    answers.refuse(
        ([weight.shape for weight in weights] != shapes, elsewhere),
        (np.ptp(given, axis=0).max() < 1e-6, "It answers the same to every image. Are its weights all zero?"),
    )
    pool, convolution, dense, head = _activations(images, weights, given)
    no_probabilities = f"Its outputs are no probabilities: the last layer has the activation {head}, not softmax."
    answers.refuse(
        (head != "softmax", no_probabilities),
        (pool is ops.max_pool, "It takes the maximum where LeNet-5 takes the average."),
        (convolution != "tanh", f"Its convolutions have the activation {convolution}; LeNet-5 has tanh."),
        (dense != "relu", f"Its hidden dense layers have the activation {dense}; here LeNet-5 has relu."),
    )
    return "62,006 parameters, and the answers of LeNet-5."


def _activations(images: Any, weights: Any, given: Any) -> Any:
    """Return the pooling and the activations with which LeNet-5 of these weights answers so, or refuse."""
    for pool, convolution in product((ops.average_pool, ops.max_pool), ("tanh", "relu", "sigmoid", "linear")):
        maps = ops.convert_to_tensor(images)
        for kernel, bias in (weights[0:2], weights[2:4]):
            maps = pool(keras.activations.get(convolution)(ops.conv(maps, kernel) + bias), 2, 2)
        for dense, head in product(("relu", "tanh", "sigmoid", "linear"), ("softmax", "linear", "sigmoid")):
            x = ops.reshape(maps, (len(images), -1))
            for kernel, bias, name in zip(weights[4::2], weights[5::2], (dense, dense, head), strict=True):
                x = keras.activations.get(name)(ops.matmul(x, kernel) + bias)
            if np.allclose(given, ops.convert_to_numpy(x), atol=1e-4):
                return pool, convolution, dense, head
    elsewhere = "Is a layer missing or elsewhere?"
    raise WrongAnswerError(f"The parameters are right, the answers are not those of LeNet-5. {elsewhere}")


@sheet.exercise("Put the dictionary back")
def compile_arguments(compile_arguments: Any) -> str:
    """Repair a line of the slides that Keras 3 refuses (Boracchi)."""
    answers.dictionary("compile_arguments", compile_arguments)
    network = build_lenet5()
    images = np.random.default_rng(0).normal(size=(7, 32, 32, 1)).astype("float32")
    # Three answers of seven are right, and the others would be the next guess: no other figure is 3/7.
    guesses = ops.convert_to_numpy(network(images)).argsort(axis=1)
    labels = np.concatenate([guesses[:3, -1], guesses[3:, -2]])
    try:
        network.compile(**{"run_eagerly": True, **compile_arguments})  # quicker for seven images
        figures = network.evaluate(images, labels, verbose=0, return_dict=True)
    except Exception as error:
        says = f"Keras says {said(error)}. What kind of value does it want for `metrics`?"
        raise WrongAnswerError(says) from None
    shown = {name: value for name, value in figures.items() if name != "loss"}
    is_shown = any(np.isclose(value, 3 / 7) for value in shown.values())
    answers.refuse(
        (not shown, "It compiles, but shows only the loss. Ask for the accuracy."),
        (not is_shown, f"It compiles and shows {', '.join(shown)}, but none of it is the accuracy."),
    )
    return "a list of metrics, even if it is only one."


@sheet.exercise("Write `build_small` (its cell trains for some seconds)")
def small_networks(small_networks: Any) -> str:
    """Beat a linear classifier with a third of its parameters, with each of two seeds."""
    if not isinstance(small_networks, list | tuple):
        rule = "the list of trained networks that the cell makes, one for each seed"
        raise WrongAnswerError(f"`small_networks` must be {rule}.")
    answers.refuse((len(small_networks) < 2, "One seed may have been lucky: train with two or more."))
    digits = load_digits()
    mean, deviation = digits.x_train.mean(), digits.x_train.std()
    images = ((digits.x_test - mean) / deviation).astype("float32")
    results = []
    for index, answer in enumerate(small_networks):
        name = f"small_networks[{index}]"
        network = networks.model(name, answer, input_shape=(32, 32, 1), output_shape=(10,))
        parameters = network.count_params()
        too_many = f"It has {parameters:,} parameters; {MAX_PARAMETERS:,} are allowed."
        answers.refuse((parameters > MAX_PARAMETERS, too_many))
        results.append(networks.predictions(name, network, images, output_shape=(10,)))
        if index and np.array_equal(results[-1], results[-2]):
            raise WrongAnswerError("Two networks give the same answers: train a new one with each seed.")
    counts = [int(np.sum(given.argmax(axis=1) == digits.y_test)) for given in results]
    shown = f"{' and '.join(f'{count} of {len(images)}' for count in counts)} test digits"
    guessed = ": hardly better than guessing. Has it been trained, on scaled images?"
    lucky = " One seed beats it: the other must, too." if max(counts) > TO_BEAT else ""
    answers.refuse(
        (min(counts) < len(images) // 5, guessed),
        (min(counts) <= TO_BEAT, f"; the linear classifier reads {TO_BEAT}.{lucky}"),
        start=shown,
    )
    parameters = max(network.count_params() for network in small_networks)
    return f"{shown} with {parameters:,} parameters; the linear classifier reads {TO_BEAT} with 10,250."
