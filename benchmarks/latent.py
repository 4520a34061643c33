"""Retrieval and t-SNE in a latent space, side by side with the slide's loop and with scikit-learn.

    pip install "kerascv_course[latent]"
    python benchmarks/latent.py search
    python benchmarks/latent.py memory
    python benchmarks/latent.py tsne --points 10000 50000

The features are made up: ten classes in a space of 20 dimensions, seen through a layer of 84 ReLU. With
`--features FILE`, an `.npz` with an array `train`, they are those of a network. Rounds in turn, the median of each
and of the ratios of each round. `--one-core` counts processor time with one thread, which other programs on the
same machine do not change as they change the time on the clock.
"""

import argparse
import statistics
import subprocess
import sys
import time

import numpy as np
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from kerascv_course.latent import ImageIndex, project
from kerascv_course.latent.distances import METRICS
from kerascv_course.latent.quality import map_quality

clock = time.perf_counter  # `--one-core`: the time of the processor

MEMORY = """
import re
import numpy as np
from pathlib import Path
from kerascv_course.latent import ImageIndex
data = np.random.default_rng(0).random((50_000, 1280), "float32")
def peak():  # `ru_maxrss` would count the process that starts this one, too
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
ImageIndex(data, metric={metric!r}).query(data[:{queries}] + 0.01, k=5)
print((peak() - before) / 1024)
"""


def made_up(count, seed=0):
    rng = np.random.default_rng(seed)
    mixing, classes = (
        np.random.default_rng(1).normal(size=(20, 84)),
        np.random.default_rng(2).normal(size=(10, 20)),
    )
    inner = 1.5 * classes[rng.integers(0, 10, count)] + rng.normal(size=(count, 20))
    return np.maximum(inner @ mixing / 4, 0).astype("float32")


def slide(features, queries):
    return np.stack([np.argsort(np.mean(np.abs(features - query), axis=1))[:1] for query in queries])


def seconds(call):
    started = clock()
    found = call()
    return clock() - started, found


def ratios(ours, theirs):
    each = [their / our for our, their in zip(ours, theirs, strict=True)]
    return f"{statistics.median(each):6.1f} times ({min(each):.1f} to {max(each):.1f})"


def search(features, rounds):
    features = np.ascontiguousarray(features[:50_000])
    queries = features[:1000] + np.random.default_rng(3).normal(scale=0.05, size=(1000, 84)).astype("float32")
    few = queries[:50]  # the slide's loop is timed on these
    index = {metric: ImageIndex(features, metric=metric) for metric in METRICS}
    took = {name: [] for name in ("slide", *index)}
    for number in range(rounds + 1):  # the first round makes what is kept between searches
        for name, found in took.items():
            if name == "slide":
                passed, wanted = seconds(lambda: slide(features, few))
                passed /= len(few)
            else:
                passed, neighbours = seconds(lambda name=name: index[name].query(queries, k=1))
                passed /= len(queries)
                if name == "l1":
                    assert (neighbours.indices[: len(few)] == wanted).all()
            if number:
                found.append(passed)
    print(f"1-NN of 1,000 queries among {features.shape[0]:,} x {features.shape[1]}, {rounds} rounds")
    for name, found in took.items():
        print(f"{name:10s}{statistics.median(found) * 1e3:8.3f} ms/query {ratios(found, took['slide'])}")


def memory():
    print("MB above the data, search over 50,000 x 1,280")
    for metric in METRICS:
        for queries in (1, 500):
            script = MEMORY.format(metric=metric, queries=queries)
            done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
            print(f"{metric:8s}{queries:4d} queries {float(done.stdout.splitlines()[-1]):8.0f}")


def tsne(features, counts, rounds):
    first = None
    for count in counts:
        data = np.ascontiguousarray(features[:count])
        took, trust = {"sklearn.TSNE": [], "project": []}, {}
        if count > 20_000:
            del took["sklearn.TSNE"]
        for _ in range(rounds):
            for name, found in took.items():
                if name == "project":
                    passed, map_ = seconds(lambda data=data: project(data).points)
                else:
                    passed, map_ = seconds(lambda data=data: TSNE(random_state=0, n_jobs=-1).fit_transform(data))
                found.append(passed)
                trust[name] = map_quality(data, map_, 10, 0)[0]
        print(f"t-SNE of {count:,} x {data.shape[1]}, {rounds} rounds; `project` measures the quality too")
        for name, found in took.items():
            ratio = ratios(found, took["sklearn.TSNE"]) if "sklearn.TSNE" in took else ""
            print(f"{name:14s}{statistics.median(found):8.1f} s  trustworthiness {trust[name]:.4f} {ratio}")
        if first is None:
            first = took["project"]
        else:
            print(
                f"{statistics.median(took['project']) / statistics.median(first):.1f} times as long as the first"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["search", "memory", "tsne"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--points", type=int, nargs="+", default=[10_000])
    parser.add_argument("--features")
    parser.add_argument("--one-core", action="store_true")
    options = parser.parse_args()
    if options.one_core:
        global clock
        clock = time.process_time
        threadpool_limits(1)
    if options.what == "memory":
        return memory()
    if options.features:
        with np.load(options.features) as content:
            features = content["train"]
    else:
        features = made_up(max(50_000, *options.points))
    if options.what == "search":
        return search(features, options.rounds)
    return tsne(features, options.points, options.rounds)


if __name__ == "__main__":
    main()
