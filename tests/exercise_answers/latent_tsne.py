"""Answers to the exercises of 09_latent_tsne."""

import numpy as np

RIGHT = {
    "nearest_by_hand": [
        lambda: (lambda vectors, query: np.argmin(np.mean(np.abs(vectors - query), axis=1)),),
        lambda: (lambda vectors, query: int(np.argsort(np.abs(vectors - query).sum(axis=1))[0]),),
    ],
    "latent_layer": [lambda: ("dense2", 84), lambda: (" Dense2 ", np.int64(84))],
    "reading": [lambda: ({"a", "d"},), lambda: (["D", "a"],), lambda: ("a, d",)],
}

UNTOUCHED = {
    "nearest_by_hand": (lambda: (lambda vectors, query: None,), "Put your own line in place of `return None`"),
    "latent_layer": (lambda: (None, None), "Put your answer in place of None"),
    "reading": (lambda: (None,), "Put a set such as"),
}

WRONG = {
    "nearest_by_hand": [
        (lambda: (lambda vectors, query: np.abs(vectors - query).mean(axis=1),), "a number for each vector"),
        (lambda: (lambda vectors, query: np.abs(vectors - query).mean(axis=1).min(),), "Its place was asked for"),
        (lambda: (lambda vectors, query: np.abs(vectors - query).mean(axis=1).argmax(),), "the farthest vector"),
        (lambda: (lambda vectors, query: (vectors - query).mean(axis=1).argmin(),), "differences cancel out"),
        (lambda: (lambda vectors, query: ((vectors - query) ** 2).mean(axis=1).argmin(),), "by squares"),
        (lambda: (7,), "must be a function"),
        (lambda: (lambda vectors, query: 77,), "it must be 0"),
    ],
    "latent_layer": [
        (lambda: ("predictions", 10), "the head itself"),
        (lambda: ("dense1", 120), "one more layer"),
        (lambda: ("flatten", 400), "belong to the features"),
        (lambda: ("dense2", 120), "the output of dense1"),
        (lambda: ("dense2", 7), "number of outputs of dense2"),
        (lambda: ("dense2", 400), "the output of flatten"),
        (lambda: ("dense2", 10), "the output of predictions"),
    ],
    "reading": [
        (lambda: ({"a", "b", "d"},), "ten times as far"),
        (lambda: ({"a", "c"},), "five times as wide"),
        (lambda: ({"d"},), "a is missing"),
        (lambda: ({"a"},), "d is missing"),
        (lambda: ({"e"},), "the letters are"),
        (lambda: (3,), "must be a set of letters"),
    ],
}
