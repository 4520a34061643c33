"""Answers to the exercises of 11_design_a_cnn."""

import keras
import numpy as np


def conclude(differences, t, ddof=1, root=True, sign=1):
    """Conclude as the notebook does, or with a mistake."""
    reach = t * np.std(differences, ddof=ddof) / (np.sqrt(len(differences)) if root else 1)
    mean = sign * np.mean(differences)
    return "holds" if mean > reach else "does not hold" if mean < -reach else "undecided"


def clip(gradient, longest):
    """Clip as the notebook does."""
    length = np.linalg.norm(gradient)
    return gradient if length <= longest else longest * gradient / length


def dense_parameters(side, depth, filters):
    return (side // 2**depth) ** 2 * filters * 2 ** (depth - 1) * 10 + 10


def by_keras(side, depth, filters):
    x = keras.KerasTensor((None, side, side, filters * 2 ** (depth - 1)))
    for _ in range(depth):
        x = keras.layers.MaxPooling2D()(x)
    dense = keras.layers.Dense(10)
    dense(keras.layers.Flatten()(x))
    return dense.count_params()


RIGHT = {
    "dense_parameters": [
        lambda: (dense_parameters,),
        lambda: (lambda s, d, f: dense_parameters(s, d, f) * 1.0,),
        lambda: (lambda s, d, f: 10 * (np.floor(s / 2**d) ** 2 * f * 2**d / 2 + 1),),
        lambda: (lambda s, d, f: np.int64((s >> d) ** 2 * (f << d - 1) * 10 + 10),),
        lambda: (by_keras,),
    ],
    "what_moves": [lambda: ({"dense bias"},), lambda: (["Dense bias"],), lambda: ("dense bias",)],
    "conclude": [
        lambda: (conclude,),
        lambda: (lambda differences, t: str(np.array(conclude(list(differences), t))).upper(),),
    ],
    "clip_gradient": [
        lambda: (clip,),
        lambda: (lambda g, c: g * min(1.0, c / max(np.sqrt(np.sum(g**2)), 1e-12)),),
    ],
}

UNTOUCHED = {
    "dense_parameters": (lambda: (lambda side, depth, filters: None,), "Put your own line in place"),
    "what_moves": (lambda: (None,), "Put a set such as"),
    "conclude": (lambda: (lambda differences, t: None,), "Put your own line in place of `return None`"),
    "clip_gradient": (lambda: (lambda gradient, longest: None,), "Put your own line in place of `return None`"),
}

WRONG = {
    "dense_parameters": [
        (lambda: (lambda s, d, f: s**2 * f * 2 ** (d - 1) * 10 + 10,), "each block halves the side"),
        (lambda: (lambda s, d, f: s // 2**d * f * 2 ** (d - 1) * 10 + 10,), "the maps have two sides"),
        (lambda: (lambda s, d, f: (s // 2**d) ** 2 * f * 10 + 10,), "twice the filters of the one before"),
        (lambda: (lambda s, d, f: (s // 2**d) ** 2 * f * 2**d * 10 + 10,), "after one more block"),
        (lambda: (lambda s, d, f: dense_parameters(s, d, f) - 10,), "these are the weights"),
        (lambda: (lambda s, d, f: dense_parameters(s, d, f) - 9,), "a bias of its own"),
        (lambda: (lambda s, d, f: (dense_parameters(s, d, f) - 10) // 10 + 10,), "there are 10 units"),
        (lambda: (lambda s, d, f: int((s / 2**d) ** 2 * f * 2 ** (d - 1) * 10 + 10),), "a pooling rounds down"),
        (
            lambda: (lambda s, d, f: 2 * dense_parameters(s // 2 * 2, d, f) // 2 * 4,),
            "count the values after Flatten",
        ),
        (lambda: (10_250,), "must be a function"),
    ],
    "what_moves": [
        (lambda: ({"first kernel", "dense bias"},), "images come in"),
        (lambda: ({"first bias", "dense bias"},), "it passes through zero kernels"),
        (lambda: ({"dense kernel", "dense bias"},), "what comes in from before"),
        (lambda: (set(),), "Something moves"),
        (lambda: ({"bias"},), "There is no bias: the names are first kernel"),
        (lambda: (3,), "must be a set of names"),
    ],
    "conclude": [
        (lambda: (lambda d, t: conclude(d, t, sign=-1),), "the right way round"),
        (lambda: (lambda d, t: "holds" if np.mean(d) > 0 else "does not hold",), "0 is within"),
        (lambda: (lambda d, t: conclude(d, t, root=False),), "square root of the number of seeds"),
        (lambda: (lambda d, t: conclude(d, t, ddof=0),), "takes `ddof=1`"),
        (
            lambda: (lambda d, t: conclude(d, 1),),
            "the interval is -0.97 to +8.97 points, and 0 is within. Is `t`",
        ),
        (lambda: (lambda d, t: "yes",), "must be"),
        (lambda: ("holds",), "must be a function"),
    ],
    "clip_gradient": [
        (lambda: (lambda g, c: np.clip(g, -c, c),), "as `clipvalue` does"),
        (lambda: (lambda g, c: g * c / np.linalg.norm(g),), "short enough"),
        (lambda: (lambda g, c: g,), "still"),
        (lambda: (lambda g, c: g if np.linalg.norm(g) <= c else g / np.linalg.norm(g),), "that has length 1"),
        (
            lambda: (lambda g, c: g / np.linalg.norm(g) * min(c, np.linalg.norm(g)),),
            "a gradient of length 0 has no direction",
        ),
        (lambda: (lambda g, c: g if np.linalg.norm(g) <= c else 0 * g,), "not the same direction"),
        (lambda: (lambda g, c: 1.0,), "must have"),
    ],
}
