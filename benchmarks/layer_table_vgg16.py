"""How long does `layer_table` take for a built VGG16, beside one forward pass of it?

Run: python benchmarks/layer_table_vgg16.py
"""

import statistics
import time
from collections.abc import Callable

import keras
import numpy as np

from kerascv_course import layer_table

RUNS = 7


def seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def main() -> None:
    model = keras.applications.VGG16(weights=None)
    image = np.zeros((1, 224, 224, 3), "float32")
    model.predict(image, verbose=0)  # builds the graph of the pass
    table = statistics.median(seconds(lambda: layer_table(model)) for _ in range(RUNS))
    forward = statistics.median(seconds(lambda: model.predict(image, verbose=0)) for _ in range(RUNS))
    print(f"layer_table {table:.3f} s, one forward pass {forward:.3f} s: ratio {table / forward:.3f}")


if __name__ == "__main__":
    main()
