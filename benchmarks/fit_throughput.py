"""Does `training.fit` train as fast as plain `model.fit` on the same arrays?

Prints images per second of both in alternated runs, and the median and the least of the ratios.
Run: python benchmarks/fit_throughput.py
"""

import time
from collections.abc import Callable

import keras
import numpy as np

from kerascv_course import build_lenet5, runtime, training

IMAGES, BATCH_SIZE, RUNS = 20_000, 128, 7


def compiled() -> keras.Model:
    model = build_lenet5(input_shape=(32, 32, 3))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def images_per_second(train: Callable[[], object]) -> float:
    started = time.perf_counter()
    train()
    return IMAGES / (time.perf_counter() - started)


def main() -> None:
    print(runtime.setup(seed=0))
    rng = np.random.default_rng(0)
    x = rng.random((IMAGES, 32, 32, 3), dtype="float32")
    y = rng.integers(0, 10, IMAGES)
    plain, ours = compiled(), compiled()

    def run_plain() -> object:
        return plain.fit(x, y, batch_size=BATCH_SIZE, epochs=1, verbose=0)

    def run_ours() -> object:
        return training.fit(ours, (x, y), batch_size=BATCH_SIZE, epochs=1, validation_split=0, verbose=0)

    run_plain(), run_ours()  # the first run of each builds its graph
    ratios = []
    for run in range(RUNS):
        order = (run_plain, run_ours) if run % 2 == 0 else (run_ours, run_plain)
        speed = {train: images_per_second(train) for train in order}
        ratios.append(speed[run_ours] / speed[run_plain])
        print(
            f"images/s: plain {speed[run_plain]:6.0f}, training.fit {speed[run_ours]:6.0f}, ratio {ratios[-1]:.3f}"
        )
    print(f"ratio in {RUNS} runs: median {np.median(ratios):.3f}, least {min(ratios):.3f}")


if __name__ == "__main__":
    main()
