"""Images per second of flip + translation + rotation on uint8 arrays, by engine, side by side.

    pip install "kerascv_course[fast]" albumentations keras-cv
    python benchmarks/augmentation.py

Batches of 64, the last one included, at 32 and at 224 pixels; rounds in turn, the median of each and its ratio
to the chain of Keras' layers in `tf.data`. What is not installed is left out, and said. The parallelism of
`tf.data` is fixed and its autotuner is off, which sometimes stalls at the end of an iteration.
"""

import argparse
import importlib.util
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from kerascv_course.augmentation import AffineBatches, RandomAffine

BATCH = 64
COUNT = {32: 20_000 + 7, 224: 1_280 + 7}


def in_tf_data(images, change):
    options = tf.data.Options()
    options.autotune.enabled = False
    data = tf.data.Dataset.from_tensor_slices(images).batch(BATCH).map(change, num_parallel_calls=2)
    return data.prefetch(2).with_options(options)


def keras_chain(images):
    stack = [
        keras.layers.RandomFlip("horizontal"),
        keras.layers.RandomTranslation(0.1, 0.1),
        keras.layers.RandomRotation(0.05),
    ]

    def change(batch):
        for layer in stack:
            batch = layer(batch)
        return batch

    return in_tf_data(images, change)


def one_keras_warp(images):
    return in_tf_data(images, RandomAffine(flip="horizontal", translation=0.1, rotation=0.05))


def opencv_warp(images):
    layer = RandomAffine(flip="horizontal", translation=0.1, rotation=0.05)
    return AffineBatches(images, None, layer, batch_size=BATCH)


def keras_cv_chain(images):
    import keras_cv

    stack = [
        keras_cv.layers.RandomFlip("horizontal"),
        keras_cv.layers.RandomTranslation(0.1, 0.1),
        keras_cv.layers.RandomRotation(0.05),
    ]

    def change(batch):
        for layer in stack:
            batch = layer(batch, training=True)
        return batch

    return in_tf_data(images, change)


def albumentations_chain(images):
    import albumentations

    change = albumentations.Compose(
        [
            albumentations.HorizontalFlip(p=0.5),
            albumentations.Affine(translate_percent=(-0.1, 0.1), rotate=(-18, 18), p=1, border_mode=2),
        ]
    )

    def batches():
        for start in range(0, len(images), BATCH):
            yield np.stack([change(image=image)["image"] for image in images[start : start + BATCH]])

    return batches()


ENGINES = {
    "chain of keras.layers": (keras_chain, None),
    "RandomAffine in tf.data": (one_keras_warp, None),
    "AffineBatches (OpenCV)": (opencv_warp, "cv2"),
    "keras-cv": (keras_cv_chain, "keras_cv"),
    "albumentations": (albumentations_chain, "albumentations"),
}


def images_per_second(make, images):
    batches = make(images)
    next(iter(make(images[: 2 * BATCH])))  # builds what is built once
    started = time.perf_counter()
    count = sum(len(batch) for batch in batches)
    seconds = time.perf_counter() - started
    assert count == len(images)
    return count / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    rng = np.random.default_rng(0)
    missing = [
        name for name, (_, module) in ENGINES.items() if module and importlib.util.find_spec(module) is None
    ]
    for name in missing:
        print(f"{name}: not installed")
    for side, count in COUNT.items():
        images = rng.integers(0, 256, (count, side, side, 3), dtype="uint8")
        speeds = {name: [] for name in ENGINES if name not in missing}
        for _ in range(rounds):
            for name, found in speeds.items():
                found.append(images_per_second(ENGINES[name][0], images))
        chain = speeds["chain of keras.layers"]
        print(f"\n{side} x {side} pixels, {count:,} images, {rounds} rounds")
        for name, found in speeds.items():
            ratios = [mine / theirs for mine, theirs in zip(found, chain, strict=True)]
            print(
                f"{name:26s}{statistics.median(found):10,.0f} images/s"
                f"{statistics.median(ratios):8.1f} times the chain ({min(ratios):.1f} to {max(ratios):.1f})"
            )


if __name__ == "__main__":
    main()
