"""How much faster is `training.train_fast` than plain LeNet-5 on CIFAR-10, and how much better in the same time?

    KERASCV_COURSE_DATA=... python benchmarks/cifar10_recipe.py --seeds 3
    python benchmarks/cifar10_recipe.py --quick        # 5,000 images: does it run?
    python benchmarks/cifar10_recipe.py --causes       # what the parts of a training step cost

For each seed, one after the other: LeNet-5 as in notebook 02 (ten epochs, Adam at 0.001, batches of 128), the
recipe in one epoch of half of the images, and the recipe in ten epochs of all of them, which fit into the time of
thirty epochs of LeNet-5. Times are those of the training with everything that belongs to it, the building of the
graph as well; the ratios are within one seed. The time of the processors stands beside that of the clock: other
programs change it less.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kerascv_course import build_lenet5, load_cifar10, runtime, training
from kerascv_course.augmentation import test_time_augmentation
from kerascv_course.models import build_fastnet
from kerascv_course.training.recipe import Crops

LENET_EPOCHS, LENET_BATCH, TIMES = 10, 128, 3


def timed(train: Callable[[], Any]) -> tuple[Any, float, float]:
    clock, processors = time.perf_counter(), time.process_time()
    found = train()
    return found, time.perf_counter() - clock, time.process_time() - processors


def lenet(data: Any, seed: int) -> tuple[keras.Model, np.ndarray]:
    mean, deviation = data.x_train.mean(), data.x_train.std()
    images = ((data.x_train - mean) / deviation).astype("float32")
    runtime.seed_everything(seed)
    model = build_lenet5(input_shape=(32, 32, 3))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    options = {"batch_size": LENET_BATCH, "validation_split": 0, "seed": seed, "verbose": 0}
    training.fit(model, (images, data.y_train), epochs=LENET_EPOCHS, **options)
    return model, ((data.x_test - mean) / deviation).astype("float32")


def side_by_side(data: Any, seeds: int, epochs: int) -> None:
    labels, half = data.y_test, data.subset(per_class=len(data.x_train) // 20)
    rows: dict[str, list[tuple[float, ...]]] = {}

    def note(name: str, accuracies: tuple[float, ...], clock: float, processors: float) -> None:
        rows.setdefault(name, []).append((*accuracies, clock, processors))
        found = ", ".join(f"{accuracy:.2%}" for accuracy in accuracies)
        print(f"  {name:22s} {found:16s} {clock:6.1f} s ({processors:.1f} s of processors)", flush=True)

    for seed in range(seeds):
        print(f"seed {seed}")
        (model, images), *seconds = timed(lambda seed=seed: lenet(data, seed))
        right = model.predict(images, batch_size=500, verbose=0).argmax(axis=1) == labels
        note("LeNet-5", (right.mean(),), *seconds)
        for name, part, number in (("recipe, half an epoch", half, 1), (f"recipe, {epochs} epochs", data, epochs)):
            (model, _), *seconds = timed(
                lambda part=part, number=number, seed=seed: training.train_fast(
                    part, epochs=number, seed=seed, verbose=0
                )
            )
            plain = model.predict(data.x_test, batch_size=500, verbose=0).argmax(axis=1) == labels
            both = test_time_augmentation(model, data.x_test, views="flip", batch_size=500).classes == labels
            note(name, (plain.mean(), both.mean()), *seconds)
    print(f"\nmean over {seeds} seeds [lowest, highest]; ratios of each seed to {LENET_EPOCHS} epochs of LeNet-5")
    for name, runs in rows.items():
        columns = list(zip(*runs, strict=True))
        found = [
            f"{statistics.mean(c):.2%} [{min(c):.2%}, {max(c):.2%}]" for c in columns[:-2]
        ]  # one view, then both sides of the image
        ratios = [
            f"{statistics.mean(r):.2f} [{min(r):.2f}, {max(r):.2f}]"
            for r in (
                [run[column] / base[column] for run, base in zip(runs, rows["LeNet-5"], strict=True)]
                for column in (-2, -1)
            )
        ]
        print(f"{name:22s} {'; both sides '.join(found)}\n{'':22s} clock x {ratios[0]}, processors x {ratios[1]}")
    print(f"allowed: x 0.40 for what LeNet-5 reaches, x {TIMES:.2f} for 78 %")


def causes(data: Any, rounds: int = 7, images: int = 4096, batch_size: int = 256) -> None:
    """Print what a training step costs in several ways, in alternated rounds, against the bare loop."""
    import tensorflow as tf

    x, labels = data.head(images)
    y = np.eye(10, dtype="float32")[labels]
    loss = keras.losses.CategoricalCrossentropy()

    def compiled(network: keras.Model, **options: Any) -> keras.Model:
        network.compile("adam", loss, metrics=["accuracy"], **options)
        return network

    def with_layers(*augmentation: keras.Layer) -> keras.Model:
        inputs = tensor = keras.Input((28, 28, 3))
        for layer in augmentation:
            tensor = layer(tensor)
        return compiled(keras.Model(inputs, build_fastnet()(tensor)))

    middle = np.ascontiguousarray(x[:, 2:-2, 2:-2])
    crops = Crops(x, y, batch_size, 0, (28, 28))
    flip, shift = keras.layers.RandomFlip("horizontal"), keras.layers.RandomTranslation(0.07, 0.07)
    arrays = {"x": middle, "y": y, "batch_size": batch_size, "verbose": 0}
    loop, plain, unwatched, cropped = (compiled(build_fastnet()) for _ in range(4))
    flipped, moved = with_layers(flip), with_layers(flip, shift)
    compiled_whole = compiled(build_fastnet(), jit_compile=True)

    def bare_loop() -> None:
        for start in range(0, images, batch_size):
            loop.train_on_batch(middle[start : start + batch_size], y[start : start + batch_size])

    untuned, options = tf.data.Dataset.from_tensor_slices((middle, y)).batch(batch_size), tf.data.Options()
    options.autotune.enabled = False
    untuned = untuned.with_options(options)

    ways = {
        "a loop of train_on_batch": bare_loop,
        "fit on arrays": lambda: plain.fit(**arrays),
        "fit on tf.data that is not tuned": lambda: unwatched.fit(untuned, shuffle=False, verbose=0),
        "fit on crops cut in NumPy": lambda: cropped.fit(crops, shuffle=False, verbose=0),
        "fit, layer for flips": lambda: flipped.fit(**arrays),
        "fit, layers for flips and shifts": lambda: moved.fit(**arrays),
        "fit on arrays, jit_compile=True": lambda: compiled_whole.fit(**arrays),
    }
    for way in ways.values():
        way()  # the first run builds the graph
    seconds: dict[str, list[tuple[float, ...]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds[name].append(timed(way)[1:])
    base = seconds["a loop of train_on_batch"]
    for name, runs in seconds.items():
        clock, processors = (
            statistics.median(run[i] / first[i] for run, first in zip(runs, base, strict=True)) for i in (0, 1)
        )
        print(f"{name:34s} clock x {clock:.2f}, processors x {processors:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10, help="of the recipe's long run")
    parser.add_argument("--quick", action="store_true", help="5,000 images: figures mean nothing")
    parser.add_argument("--causes", action="store_true", help="what the parts of a training step cost")
    options = parser.parse_args()
    print(runtime.setup())
    data = load_cifar10()
    if options.quick:
        data = data.subset(per_class=500, test_per_class=100)
    print(f"{data.name}: {len(data.x_train):,} training and {len(data.x_test):,} test images, from {data.source}")
    if options.causes:
        causes(data)
    else:
        side_by_side(data, options.seeds, options.epochs)


if __name__ == "__main__":
    main()
