"""Answers to the exercises of 16_fast_cifar10."""

import math

import keras
import numpy as np


def soften(one_hot, smoothing):
    return (1 - smoothing) * one_hot + smoothing / one_hot.shape[1]


def by_rows(one_hot, smoothing):
    rest = smoothing / len(one_hot[0])
    return [[value * (1 - smoothing) + rest for value in row] for row in one_hot]


def eigen(patches):
    return np.linalg.eigh(np.cov(patches, rowvar=False))


def pca(patches):
    values, vectors = eigen(patches)
    return vectors / np.sqrt(values)


def zca(patches):
    values, vectors = eigen(patches)
    return vectors @ np.diag(values**-0.5) @ vectors.T


def cholesky(patches):
    return np.linalg.inv(np.linalg.cholesky(np.cov(patches, rowvar=False))).T


def by_svd(patches):
    _, scales, rows = np.linalg.svd(patches - patches.mean(axis=0), full_matrices=False)
    return rows.T / scales * math.sqrt(len(patches) - 1)


RIGHT = {
    "steps": [
        lambda: (1_950,),
        lambda: (1950.0,),
        lambda: (int(50_000 / 256) * 10,),
        lambda: (np.int64(1950),),
        lambda: ((50_000 - 50_000 % 256) / 256 * 10,),
    ],
    "soft_labels": [
        lambda: (soften,),
        lambda: (by_rows,),
        lambda: (lambda y, s: y + s * (1 / y.shape[1] - y),),
        lambda: (lambda y, s: np.where(y == 1, 1 - s + s / y.shape[-1], s / y.shape[-1]),),
        lambda: (lambda y, s: keras.ops.convert_to_tensor(soften(y, s)),),
    ],
    "mirrored_in_turn": [
        lambda: (lambda first, epoch: first ^ (epoch % 2 == 1),),
        lambda: (lambda first, epoch: (first + epoch) % 2 == 1,),
        lambda: (lambda first, epoch: [bool(one) != bool(epoch & 1) for one in first],),
        lambda: (lambda first, epoch: np.logical_xor(first, epoch % 2),),
        lambda: (lambda first, epoch: (np.array(first, int) + epoch) % 2,),
    ],
    "whitening": [
        lambda: (pca,),
        lambda: (zca,),
        lambda: (cholesky,),
        lambda: (by_svd,),
        lambda: (lambda p: -pca(p)[:, ::-1],),
    ],
}

UNTOUCHED = {
    "steps": (lambda: (None,), "Put your answer in place of None"),
    "soft_labels": (lambda: (lambda one_hot, smoothing: None,), "Put your own line in place of `return None`"),
    "mirrored_in_turn": (lambda: (lambda first, epoch: None,), "Put your own line in place of `return None`"),
    "whitening": (lambda: (lambda patches: None,), "Put your own line in place of `return None`"),
}

WRONG = {
    "steps": [
        (lambda: (1_960,), "the last 80 images of an epoch"),
        (lambda: (1_953,), "of *each* epoch"),
        (lambda: (195,), "that is one epoch."),
        (lambda: (196,), "its last 80 images are skipped"),
        (lambda: (500_000,), "the number of images"),
        (lambda: (2_560,), "by the size of a batch"),
        (lambda: (1953.125,), "must be an integer"),
        (lambda: (7,), "whole batches in an epoch"),
    ],
    "soft_labels": [
        (lambda: (lambda y, s: (1 - s) * y,), "must be spread"),
        (lambda: (lambda y, s: y + s / y.shape[1],), "must give something away"),
        (lambda: (lambda y, s: (1 - s) * y + s / (y.shape[1] - 1) * (1 - y),), "to the right class, too"),
        (lambda: (lambda y, s: (1 - s) * y + s,), "divided by the number of classes"),
        (lambda: (lambda y, s: (1 - s) * y + s / len(y),), "not of images"),
        (lambda: (lambda y, s: y,), "the hard labels"),
        (lambda: (lambda y, s: s * y + (1 - s) / y.shape[1],), "It must be"),
        (lambda: (0.1,), "must be a function"),
    ],
    "mirrored_in_turn": [
        (lambda: (lambda first, epoch: first,), "the other way round"),
        (lambda: (lambda first, epoch: first if epoch % 2 else ~first,), "the other way round"),
        (lambda: (lambda first, epoch: ~first if epoch else first,), "the other way round"),
        (lambda: (lambda first, epoch: ~first if epoch // 2 % 2 else first,), "the other way round"),
        (lambda: (lambda first, epoch: np.full_like(first, epoch % 2 == 1),), "not all images at once"),
        (lambda: (lambda first, epoch: np.random.default_rng(3).random(len(first)) < 0.5,), "wrong side"),
        (lambda: (lambda first, epoch: True,), "must"),
    ],
    "whitening": [
        (lambda: (lambda p: eigen(p)[1],), "their variances are"),
        (lambda: (lambda p: eigen(p)[1] / eigen(p)[0],), "their variances are"),
        (lambda: (lambda p: pca(p).T,), "they are wanted as columns"),
        (lambda: (lambda p: eigen(p)[1] / np.sqrt(eigen(p)[0])[:, None],), "correlated still"),
        (lambda: (lambda p: np.diag(1 / p.std(axis=0)),), "correlated still"),
        (lambda: (lambda p: 2 * pca(p),), "their variances are 4, 4, 4, not 1"),
        (lambda: (lambda p: pca(p)[:, :2],), "has shape (3, 2); it must have (3, 3)"),
        (lambda: (np.eye(3),), "must be a function"),
    ],
}
