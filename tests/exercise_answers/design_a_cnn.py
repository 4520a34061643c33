"""Answers to the exercises of 11_design_a_cnn."""

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


RIGHT = {
    "two_for_one": [lambda: (102_464, 73_856), lambda: (np.int64(102_464), 73_856.0)],
    "he_deviation": [
        lambda: (lambda kernel_size, channels: np.sqrt(2 / (kernel_size**2 * channels)),),
        lambda: (lambda k, c: 1.00005 * (2 / k / k / c) ** 0.5,),
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
    "two_for_one": (lambda: (None, None), "Put your answer in place of None"),
    "he_deviation": (lambda: (lambda kernel_size, channels: None,), "Put your own line in place of `return None`"),
    "what_moves": (lambda: (None,), "Put a set such as"),
    "conclude": (lambda: (lambda differences, t: None,), "Put your own line in place of `return None`"),
    "clip_gradient": (lambda: (lambda gradient, longest: None,), "Put your own line in place of `return None`"),
}

WRONG = {
    "two_for_one": [
        (lambda: (102_400, 73_856), "each of the 64 filters has a bias"),
        (lambda: (1_664, 73_856), "a 5x5 kernel for each of the 64 input maps"),
        (lambda: (102_401, 73_856), "not one for all"),
        (lambda: (102_464, 36_928), "that is one 3x3 convolution"),
        (lambda: (102_464, 73_728), "in both convolutions"),
        (lambda: (102_464, 73_792), "second convolution has biases"),
        (lambda: (102_464, 1_280), "a 3x3 kernel for each"),
        (lambda: (5, 5), "places times input maps"),
        (lambda: ("102464", 73_856), "without quotes"),
        (lambda: (102_464, 5), "places times input maps"),
    ],
    "he_deviation": [
        (lambda: (lambda k, c: 2 / (k * k * c),), "that is the variance"),
        (lambda: (lambda k, c: np.sqrt(1 / (k * k * c)),), "it takes 2, not 1"),
        (lambda: (lambda k, c: np.sqrt(2 / c),), "over the places of the kernel"),
        (lambda: (lambda k, c: np.sqrt(2 / (k * c)),), "kernel_size * kernel_size places"),
        (lambda: (lambda k, c: np.sqrt(2 / (k * k)),), "over the input maps, too"),
        (lambda: (lambda k, c: 0.05,), "it must be 0.05893"),
        (lambda: (0.05,), "must be a function"),
        (lambda: (lambda k, c: 1.0002 * np.sqrt(2 / (k * k * c)),), "it must be 0.05893"),
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
