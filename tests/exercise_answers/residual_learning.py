"""Answers to the exercises of 04_residual_learning."""

import math

import keras
import numpy as np


def normalized(batch, gamma, beta, epsilon, *, axis=0, ddof=0):
    mean, variance = batch.mean(axis=axis, keepdims=True), batch.var(axis=axis, keepdims=True, ddof=ddof)
    return gamma * (batch - mean) / np.sqrt(variance + epsilon) + beta


def by_keras(batch, gamma, beta, epsilon):
    layer = keras.layers.BatchNormalization(epsilon=epsilon)
    layer.build(batch.shape)
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    return layer(batch, training=True)


def by_loops(batch, gamma, beta, epsilon):
    columns = []
    for column, scale, shift in zip(batch.T, gamma, beta, strict=True):
        mean = sum(column) / len(column)
        variance = sum((value - mean) ** 2 for value in column) / len(column)
        columns.append([scale * (value - mean) / math.sqrt(variance + epsilon) + shift for value in column])
    return [list(row) for row in zip(*columns, strict=True)]


RIGHT = {
    "blocks_per_stage": [lambda: (9,), lambda: (np.int64((56 - 2) / 6),)],
    "normalize": [
        lambda: (normalized,),
        lambda: (by_keras,),
        lambda: (by_loops,),
        lambda: (lambda b, g, o, e: g * (b - np.mean(b, 0)) * (np.var(b, 0) + e) ** -0.5 + o,),
        lambda: (lambda b, g, o, e: g * (b - b.mean(0)) / np.sqrt((b**2).mean(0) - b.mean(0) ** 2 + e) + o,),
    ],
    "steps_to_half": [
        lambda: (69,),
        lambda: (69.0,),
        lambda: (math.ceil(math.log(0.5) / math.log(0.99)),),
        lambda: (np.argmax(4 * (1 - 0.99 ** np.arange(100)) >= 2),),
        lambda: (np.float32(69),),
    ],
    "he_deviation": [
        lambda: (lambda inputs: (2 / inputs) ** 0.5,),
        lambda: (lambda n: math.sqrt(2.0) / math.sqrt(n),),
        lambda: (lambda n: np.sqrt(np.float32(2) / n),),
    ],
    "identity": [lambda: (0, "C"), lambda: (0.0, "c ")],
}

UNTOUCHED = {
    "blocks_per_stage": (lambda: (None,), "Put your answer in place of None"),
    "normalize": (
        lambda: (lambda batch, gamma, beta, epsilon: None,),
        "Put your own line in place of `return None`",
    ),
    "steps_to_half": (lambda: (None,), "Put your answer in place of None"),
    "he_deviation": (lambda: (lambda inputs: None,), "Put your own line in place of `return None`"),
    "identity": (lambda: (None, None), "Set `residual_value` to a number"),
}

WRONG = {
    "blocks_per_stage": [
        (lambda: (18,), "each block has two of them"),
        (lambda: (27,), "that is the number of all blocks"),
        (lambda: (3,), "that is the network with 20 layers"),
        (lambda: (7,), "with so many blocks it would have 44 layers"),
        (lambda: (54,), "the number of convolutions in all blocks"),
        (lambda: (8,), "the network with 50 layers"),
        (lambda: (10,), "it would have 62 layers"),
    ],
    "normalize": [
        (lambda: (lambda b, g, o, e: normalized(b, 1, 0, e),), "by gamma and add beta"),
        (lambda: (lambda b, g, o, e: normalized(b, g, 0, e),), "Beta is missing"),
        (lambda: (lambda b, g, o, e: normalized(b, 1, o, e),), "Gamma is missing"),
        (lambda: (lambda b, g, o, e: normalized(b, o, g, e),), "is the scale, and beta is added"),
        (lambda: (lambda b, g, o, e: normalized(b, g, o, e, axis=1),), "belong to a feature"),
        (lambda: (lambda b, g, o, e: normalized(b, g, o, e, axis=None),), "feature has its own mean"),
        (lambda: (lambda b, g, o, e: normalized(b, g, o, e, ddof=1),), "not by one less"),
        (lambda: (lambda b, g, o, e: normalized(b, g, o, 0),), "is missing under the root"),
        (
            lambda: (lambda b, g, o, e: g * (b - b.mean(0)) / (b.std(0) + e) + o,),
            "is added under the root",
        ),
        (lambda: (lambda b, g, o, e: g * (b - b.mean(0)) / (b.var(0) + e) + o,), "the root of the variance"),
        (lambda: (lambda b, g, o, e: g * b / np.sqrt(b.var(0) + e) + o,), "mean is not subtracted"),
        (lambda: (lambda b, g, o, e: normalized(b, g, g * o, e),), "is added after the scaling"),
        (lambda: (lambda b, g, o, e: g * (b - np.median(b, 0)) / np.sqrt(b.var(0) + e) + o,), "the four formulas"),
        (lambda: (lambda b, g, o, e: b.mean(0),), "has shape (3,); it must have (4, 3)"),
        (lambda: (lambda b: b,), "stops with `TypeError"),
    ],
    "steps_to_half": [
        (lambda: (68,), "one step is missing"),
        (lambda: (70,), "it is there one step before"),
        (lambda: (50,), "of what is *still missing*"),
        (lambda: (51,), "of what is *still missing*"),
        (lambda: (100,), "the number of steps for 63 %"),
        (lambda: (7,), "a momentum of 0.9"),
        (lambda: (2,), "let a loop do the formula"),
        (lambda: (68.97,), "it must be an integer"),
    ],
    "he_deviation": [
        (lambda: (lambda n: 2 / n,), "that is the variance"),
        (lambda: (lambda n: n**-0.5,), "that is without the ReLU"),
        (lambda: (lambda n: (n / 2) ** 0.5,), "the more values are added"),
        (lambda: (lambda n: math.sqrt(2) / n,), "the root goes over the whole fraction"),
        (lambda: (0.1,), "must be a function"),
        (lambda: (lambda n: "0.1",), "is the string '0.1'"),
        (lambda: (lambda: 1,), "stops with `TypeError"),
        (lambda: (lambda n: 7.0,), "`deviation(9)` is 7: it must be 0.4714"),
        (lambda: (lambda n: 1 / n,), "that is a variance, and without the ReLU"),
    ],
    "identity": [
        (lambda: (1, "C"), "the block adds a normalized value to its input"),
        (lambda: (0.5, "C"), "What must it add?"),
        (lambda: (0, "1"), "one weight other than zero passes on one map"),
        (lambda: (0, "9C²"), "a sum over neighbours and maps"),
        (lambda: (0, "C²"), "add all maps to each other"),
        (lambda: (0, 3), "`plain_nonzero` must be"),
    ],
}
