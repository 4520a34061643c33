"""How many epochs and seconds does `training.train_fast(size="large")` need for 94 % on CIFAR-10, on a GPU?

    python benchmarks/cifar10_gpu.py
    KERAS_BACKEND=jax python benchmarks/cifar10_gpu.py

The published figure of cifar10-airbench is 94.01 % in 3.29 s and 9.9 epochs on an A100, with the images on the GPU
and both sides of each test image averaged, as here. Each number of epochs is a training of its own, since the rate
falls to 0 at its end. The first training of all also builds the graph; its time says so.
"""

import argparse
import time

from kerascv_course import load_cifar10, runtime, training
from kerascv_course.augmentation import test_time_augmentation

GOAL = 0.94


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, nargs="+", default=[10, 15, 20, 30, 40])
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    device = runtime.setup(mixed_precision=True)
    print(device)
    if not device.gpus:
        raise SystemExit("No GPU: on a processor this takes hours. benchmarks/cifar10_recipe.py is for those.")
    data = load_cifar10()
    print(f"{data.name}: {len(data.x_train):,} training and {len(data.x_test):,} test images, from {data.source}")
    for epochs in (1, *options.epochs):
        started = time.perf_counter()
        model, _ = training.train_fast(
            data, size="large", epochs=epochs, batch_size=options.batch_size, seed=options.seed, verbose=0
        )
        seconds = time.perf_counter() - started
        answer = test_time_augmentation(model, data.x_test, views="flip", batch_size=500)
        accuracy = (answer.classes == data.y_test).mean()
        remark = ", with the building of the graph" if epochs == 1 else ""
        print(f"{epochs:3d} epochs, {seconds:6.1f} s{remark}: {accuracy:.2%}", flush=True)
        if accuracy >= GOAL:
            print(f"{GOAL:.0%} reached")
            return
    print(f"{GOAL:.0%} not reached in {options.epochs[-1]} epochs")


if __name__ == "__main__":
    main()
