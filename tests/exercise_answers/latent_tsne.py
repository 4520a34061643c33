"""Answers to the exercises of 09_latent_tsne."""

import math

import numpy as np


def perplexity_of(p):
    return 2 ** -sum(share * math.log2(share) for share in p if share)


RIGHT = {
    "nearest_by_hand": [
        lambda: (lambda vectors, query: np.argmin(np.mean(np.abs(vectors - query), axis=1)),),
        lambda: (lambda vectors, query: int(np.argsort(np.abs(vectors - query).sum(axis=1))[0]),),
    ],
    "perplexity": [
        lambda: (perplexity_of,),
        lambda: (lambda p: np.exp(-np.sum(p[p > 0] * np.log(p[p > 0]))),),
        lambda: (lambda p: np.exp2(-np.nansum(p * np.log2(np.where(p > 0, p, 1)))),),
        lambda: (lambda p: 1 / np.prod(p**p),),
        lambda: (lambda p: np.float32(perplexity_of(p)),),
    ],
    "latent_layer": [lambda: ("dense2", 84), lambda: (" Dense2 ", np.int64(84))],
    "reading": [lambda: ({"a", "d"},), lambda: (["D", "a"],), lambda: ("a, d",)],
}

UNTOUCHED = {
    "nearest_by_hand": (lambda: (lambda vectors, query: None,), "Put your own line in place of `return None`"),
    "perplexity": (lambda: (lambda p: None,), "Put your own line in place of `return None`"),
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
    "perplexity": [
        (lambda: (lambda p: 2 ** -np.nansum(p * np.log(np.maximum(p, 1e-300))),), "goes with log2"),
        (lambda: (lambda p: -np.sum(p * np.log2(np.maximum(p, 1e-300))),), "that is the entropy."),
        (lambda: (lambda p: -np.sum(p * np.log(np.maximum(p, 1e-300))),), "in natural logarithms"),
        (lambda: (lambda p: 2 ** np.sum(p * np.log2(np.maximum(p, 1e-300))),), "the sign of the entropy"),
        (lambda: (lambda p: 2 ** -np.mean(p * np.log2(np.maximum(p, 1e-300))),), "with the mean"),
        (lambda: (lambda p: 2 ** -np.sum(p * np.log2(p)),), "no number to count with"),
        (lambda: (len,), "the number of probabilities"),
        (lambda: (lambda p: np.sum(p > 0),), "right only where all are equal"),
        (lambda: (0.5,), "must be a function"),
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
