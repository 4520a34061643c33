"""Answers to the exercises of 04_residual_learning."""

import math

import numpy as np

RIGHT = {
    "blocks_per_stage": [lambda: (9,), lambda: (np.int64((56 - 2) / 6),)],
    "he_deviation": [
        lambda: (lambda inputs: (2 / inputs) ** 0.5,),
        lambda: (lambda n: math.sqrt(2.0) / math.sqrt(n),),
        lambda: (lambda n: np.sqrt(np.float32(2) / n),),
    ],
    "identity": [lambda: (0, "C"), lambda: (0.0, "c ")],
}

UNTOUCHED = {
    "blocks_per_stage": (lambda: (None,), "Put your answer in place of None"),
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
        (lambda: (1, "C"), "the block adds a sum over all its neighbours"),
        (lambda: (0.5, "C"), "What must it add?"),
        (lambda: (0, "1"), "one weight other than zero passes on one map"),
        (lambda: (0, "9C²"), "a sum over neighbours and maps"),
        (lambda: (0, "C²"), "add all maps to each other"),
        (lambda: (0, 3), "`plain_nonzero` must be"),
    ],
}
