"""Answers to the exercises of 06_test_time_augmentation."""

import keras
import numpy as np


def crops(image, side, *, mirror=1, offset=0, corners=4, first=0):
    down, right = image.shape[0] - side - offset, image.shape[1] - side - offset
    starts = [(down // 2, right // 2), (first, first), (first, right), (down, first), (down, right)][: 1 + corners]
    views = [image[top : top + side, left : left + side] for top, left in starts]
    return np.stack(views + [view[:, ::-1] if mirror else view[::-1] for view in views])


def crops_by_tensor(image, side):
    """Cut by slices from both ends, in another order, as a tensor."""
    down, right = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    five = [image[:side, :side], image[-side:, :side], image[:side, -side:], image[-side:, -side:]]
    five.append(image[down:, right:][:side, :side])
    return keras.ops.stack([keras.ops.convert_to_tensor(view) for one in five for view in (one[:, ::-1], one)])


RIGHT = {
    "predictions": [lambda: (3_700,), lambda: (np.float64(3.7) * 1000,)],
    "ten_crops": [
        lambda: (crops,),
        lambda: (crops_by_tensor,),
        lambda: (lambda image, side: list(crops(image, side)),),
        lambda: (lambda image, side: crops(image, side).astype("float32"),),
        lambda: (lambda image, side: crops(image, side)[::-1],),
    ],
    "averaged": [
        lambda: (lambda p: np.mean(p, 0).argmax(-1),),
        lambda: (lambda p: keras.ops.argmax(keras.ops.mean(p, axis=0), axis=1),),
        lambda: (lambda p: (p.sum(0) / len(p)).argmax(1).tolist(),),
        lambda: (lambda posteriors: posteriors.mean(axis=0).argmax(axis=1),),
        lambda: (lambda p: [int(np.argmax(column)) for column in np.sum(p, axis=0)],),
    ],
    "veto": [lambda: (0, 1), lambda: (np.int64(0), 1.0)],
}

UNTOUCHED = {
    "predictions": (lambda: (None,), "Put your answer in place of None"),
    "ten_crops": (lambda: (lambda image, side: None,), "Put your own line in place of `return None`"),
    "averaged": (lambda: (lambda posteriors: None,), "Put your own line in place of `return None`"),
    "veto": (lambda: (None, None), "Put a class, 0 or 1"),
}

WRONG = {
    "predictions": [
        (lambda: (10_000,), "without `sure_from`"),
        (lambda: (4_000,), "not eleven"),
        (lambda: (3_000,), "are looked at, too"),
        (lambda: (12,), "count 700 and 300 images apart"),
        (lambda: (7_300,), "sure of 30 %"),
        (lambda: (1_000,), "one view for each image"),
        (lambda: (3_007,), "not 7 of them"),
    ],
    "ten_crops": [
        (lambda: (lambda image, side: crops(image, side)[:5],), "the mirror images are missing"),
        (lambda: (lambda image, side: crops(image, side, mirror=0),), "upside down"),
        (lambda: (lambda image, side: crops(image, side, offset=1),), "One of the ten is missing: "),
        (lambda: (lambda image, side: crops(image, side, first=1),), "One of the ten is missing: top left"),
        (lambda: (lambda image, side: crops(image, side, corners=3),), "has shape (8, 4, 4, 3)"),
        (lambda: (lambda image, side: np.stack([image, image[:, ::-1]] * 5),), "It returns whole images"),
        (lambda: (lambda image, side: crops(image, side)[[0] * 10],), "One of the ten is missing: top left"),
        (lambda: (lambda image, side: crops(image, side) / 255,), "One of the ten is missing: centre"),
        (lambda: (lambda image, side: "ten",), "must be an array"),
    ],
    "averaged": [
        (lambda: (lambda p: p.mean(axis=0),), "returns probabilities"),
        (lambda: (lambda p: p.mean(axis=1).argmax(axis=1),), "the mean goes over the views"),
        (lambda: (lambda p: p[0].argmax(axis=1),), "the first view alone"),
        (lambda: (lambda p: p.max(axis=0).argmax(axis=1),), "surest of"),
        (
            lambda: (lambda p: np.array([np.bincount(c, minlength=p.shape[2]).argmax() for c in p.argmax(2).T]),),
            "vote",
        ),
        (lambda: (lambda p: np.zeros(p.shape[1]),), "some classes are not"),
        (lambda: (lambda p: p.mean(axis=1),), "the mean goes over the views"),
        (lambda: (lambda p: p.mean(axis=(0, 1)),), "the mean goes over the views"),
        (lambda: (lambda p: p.prod(axis=0).argmax(axis=1),), "the geometric mean"),
        (lambda: (lambda p: p.mean(axis=0).argmin(axis=1),), "the least probable classes"),
    ],
    "veto": [
        (lambda: (1, 1), "the sums are"),
        (lambda: (0, 0), "the products are"),
        (lambda: (2, 1), "there are the classes 0 and 1"),
        (lambda: (0, 0.5), "must be an integer"),
        (lambda: (0, 2), "there are the classes 0 and 1"),
    ],
}
