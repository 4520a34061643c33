"""What the feature cache of `transfer.fit_stages` saves, side by side with training on the images; and its memory.

    python benchmarks/transfer.py [speed | memory | accuracy]

`speed`: MobileNetV2 at 96x96 pixels on 2,000 images (CIFAR-10 where it is at hand), ten epochs of the head at one
batch size, without the cache and with an empty one, in alternated order, then with the warm one. The ratio is that
of the whole call. `memory`: 20,000 images of 224x224 pixels in a file (3 GB): the peak of its own memory,
on Linux.
`accuracy`: 1,000 training, 500 validation and 2,000 test images of CIFAR-10, three stages and three seeds; and the
head alone on random weights.
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROUNDS, EPOCHS, IMAGES = 2, 10, 2000


def speed() -> None:
    import numpy as np

    from kerascv_course import runtime
    from kerascv_course.datasets import find_cifar10, load
    from kerascv_course.datasets.weights import find_backbone_weights
    from kerascv_course.transfer import Stage, TransferModel, fit_stages

    data = load("cifar10", fallback="patches").subset(IMAGES // 10)
    data_name = "CIFAR-10" if find_cifar10() else "patches"
    found = find_backbone_weights("MobileNetV2", (96, 96), download="never")
    weights = found.path if found else None
    print(f"{IMAGES} images of {data_name}, {EPOCHS} epochs, weights: {found.source if found else 'random'}")

    def run(cache_features: bool) -> tuple[float, list[np.ndarray], int | None]:
        runtime.seed_everything(0)
        model = TransferModel("MobileNetV2", 10, image_size=96, weights=weights)
        started = time.perf_counter()
        results = fit_stages(
            model,
            [Stage("head", epochs=EPOCHS)],
            (data.x_train, data.y_train),
            validation_split=0,
            cache_features=cache_features,
            verbose=0,
        )
        return time.perf_counter() - started, model.layers[-1].get_weights(), results.rows[0].extracted_images

    seconds: dict[str, list[float]] = {"plain": [], "cold": [], "warm": []}
    for turn in range(ROUNDS):
        with tempfile.TemporaryDirectory() as cache:
            os.environ["KERASCV_COURSE_CACHE"] = cache
            for way in ("plain", "cold") if turn % 2 == 0 else ("cold", "plain"):
                taken, head, _ = run(way != "plain")
                seconds[way].append(taken)
                if way == "plain":
                    plain_head = head
                else:
                    cached_head = head
            taken, head, extracted = run(True)
            seconds["warm"].append(taken)
        same = all(map(np.array_equal, plain_head, cached_head)) and all(map(np.array_equal, head, cached_head))
        print(
            f"plain {seconds['plain'][-1]:6.1f} s, cold {seconds['cold'][-1]:5.1f} s, warm {taken:5.1f} s; "
            f"same weights of the head: {same}; extracted in the warm run: {extracted}"
        )
    middle = {way: statistics.median(values) for way, values in seconds.items()}
    cold = middle["cold"]
    print(f"plain / cold: {middle['plain'] / cold:.1f}    warm / cold: {middle['warm'] / cold:.2f}")


def memory() -> None:
    import keras
    import numpy as np
    from keras import layers

    from kerascv_course.transfer import Stage, TransferModel, fit_stages

    with tempfile.TemporaryDirectory() as folder:
        os.environ["KERASCV_COURSE_CACHE"] = folder
        images = np.lib.format.open_memmap(
            Path(folder) / "images.npy", "w+", dtype="uint8", shape=(20_000, 224, 224, 3)
        )
        rng = np.random.default_rng(0)
        for start in range(0, len(images), 500):
            images[start : start + 500] = rng.integers(0, 256, (500, 224, 224, 3), "uint8")
        images.flush()
        images = np.load(Path(folder) / "images.npy", mmap_mode="r")
        backbone = keras.Sequential([keras.Input((224, 224, 3)), layers.Conv2D(64, 16, 16), layers.ReLU()])
        model = TransferModel(backbone, 10)
        stages = [Stage("head", epochs=2), Stage("all", epochs=1)]
        done = threading.Event()
        peaks: list[float] = []

        def watch() -> None:
            """Keep the largest value of the process's own memory; pages of the file can be dropped at any time."""
            while not done.wait(0.05):
                status = Path("/proc/self/status").read_text()
                peaks[:] = [max(*peaks, int(status.split("RssAnon:")[1].split()[0]) / 2**20, 0)]

        watcher = threading.Thread(target=watch)
        watcher.start()
        fit_stages(model, stages, (images, np.arange(len(images)) % 10), verbose=0)
        done.set()
        watcher.join()
        (peak,) = peaks
    print(f"{images.nbytes / 2**30:.1f} GiB of images in a file; own memory at its peak {peak:.2f} GiB")


def accuracy() -> None:
    import numpy as np

    from kerascv_course import load_cifar10, runtime
    from kerascv_course.datasets import find_backbone_weights
    from kerascv_course.transfer import Stage, TransferModel, fit_stages

    print(runtime.setup())
    data = load_cifar10().subset(150, test_per_class=200)
    of_each = [np.flatnonzero(data.y_train == label) for label in range(10)]
    train = np.concatenate([places[:100] for places in of_each])
    held_out = np.concatenate([places[100:] for places in of_each])
    found = find_backbone_weights("MobileNetV2", (96, 96))
    stages = [Stage("head", epochs=30), Stage("last blocks", unfreeze_from="block_13", epochs=3)]
    stages.append(Stage("all", epochs=2))
    reached: dict[str, list[float]] = {}
    for weights in (found.path, None):
        for seed in range(3):
            runtime.seed_everything(seed)
            model = TransferModel("MobileNetV2", 10, image_size=96, weights=weights)
            results = fit_stages(
                model,
                stages if weights else stages[:1],
                (data.x_train[train], data.y_train[train]),
                validation_data=(data.x_train[held_out], data.y_train[held_out]),
                test_data=(data.x_test, data.y_test),
                seed=seed,
                verbose=0,
            )
            print(results, flush=True)
            for row in results.rows:
                name = row.stage if weights else f"{row.stage}, random weights"
                reached.setdefault(name, []).append(row.test_accuracy)
    print(f"{data}; {found.source}")
    for name, values in reached.items():
        print(f"{name:22s} {np.mean(values):.3f} +- {np.std(values, ddof=1):.3f} ({len(values)} seeds)")


if __name__ == "__main__":
    {"speed": speed, "memory": memory, "accuracy": accuracy}[sys.argv[1] if len(sys.argv) > 1 else "speed"]()
