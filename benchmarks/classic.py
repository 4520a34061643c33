"""Bag of visual words on CIFAR-10: accuracy and time of several settings, and what a second core gives.

    python benchmarks/classic.py accuracy --seeds 0 1 2
    python benchmarks/classic.py accuracy --settings "VLAD, quarters" --seeds 0
    python benchmarks/classic.py parallel

500 images per class for training, 2,000 for testing, drawn by the seed. CIFAR-10 must be at hand (see
`datasets.load_cifar10`). Times are those on the clock, which other programs on the same machine change, and
processor time, summed over the threads, which they change less: on two free cores the clock shows between a half
and all of it.
"""

import argparse
import statistics
import time

from sklearn.metrics.pairwise import linear_kernel
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from kerascv_course.classic import BagOfVisualWords, DenseSift, histogram_intersection
from kerascv_course.datasets import load_cifar10

# `kernel=linear_kernel` is `kernel="linear"` by one matrix product instead of one row at a time.
SETTINGS = {
    "histogram": ({"vocabulary": 256, "norm": "power"}, {"kernel": linear_kernel}),
    "histogram, quarters, intersection": (
        {"vocabulary": 256, "pyramid_levels": 2, "norm": "l1"},
        {"kernel": histogram_intersection, "C": 10},
    ),
    "VLAD": ({"vocabulary": 16, "encoding": "vlad", "norm": "power"}, {"kernel": linear_kernel}),
    "VLAD, quarters": (
        {"vocabulary": 16, "encoding": "vlad", "pyramid_levels": 2, "norm": "power"},
        {"kernel": linear_kernel},
    ),
    "Fisher, quarters": (
        {"vocabulary": 32, "encoding": "fisher", "pyramid_levels": 2, "norm": "power", "pca": 64},
        {"kernel": linear_kernel},
    ),
}


class Clock:
    """Seconds on the clock and of the processor since it was made."""

    def __init__(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def passed(self):
        """Return both."""
        return time.perf_counter() - self.wall, time.process_time() - self.cpu


def one(options, svm, data, seed, n_jobs):
    bag = BagOfVisualWords(DenseSift(2, (2, 3)), **{"pca": 48, **options}, random_state=seed, n_jobs=n_jobs)
    clock = Clock()
    vectors = bag.fit(data.x_train).transform(data.x_train)
    classifier = SVC(**svm).fit(vectors, data.y_train)
    fitted = clock.passed()
    clock = Clock()
    right = classifier.score(bag.transform(data.x_test), data.y_test)
    return right, fitted, clock.passed(), vectors.shape[1]


def accuracy(seeds, names, n_jobs):
    cifar10 = load_cifar10()
    sets = {seed: cifar10.subset(per_class=500, test_per_class=200, seed=seed) for seed in seeds}
    print(f"2,000 test images, seeds {seeds}: mean accuracy (least to most); median seconds: clock (processor)")
    print(f"{'setting':36s}{'features':>9s}{'accuracy':>25s}{'fit':>14s}{'predict':>14s}{'together':>14s}")
    for name in names:
        found = [one(*SETTINGS[name], sets[seed], seed, n_jobs) for seed in seeds]
        right = [row[0] for row in found]
        spread = f"{statistics.mean(right):.1%} ({min(right):.1%} to {max(right):.1%})"
        times = [[row[1] for row in found], [row[2] for row in found]]
        times.append([tuple(map(sum, zip(*both, strict=True))) for both in zip(*times, strict=True)])
        shown = ""
        for column in times:
            wall, cpu = (statistics.median(row[i] for row in column) for i in (0, 1))
            shown += f"{f'{wall:.1f} ({cpu:.1f})':>14s}"
        print(f"{name:36s}{found[0][3]:9,d}{spread:>25s}{shown}", flush=True)


def parallel(rounds):
    images = load_cifar10().subset(per_class=300, test_per_class=1).x_train
    print(f"{len(images):,} images described and encoded, median of {rounds} rounds in turn: clock (processor)")
    for name, (options, _) in SETTINGS.items():
        bag = BagOfVisualWords(DenseSift(2, (2, 3)), **{"pca": 48, **options}).fit(images[:500])
        took = {"one": [], "one, one thread": [], "two": []}
        for _ in range(rounds):
            for way, found in took.items():
                bag.set_params(n_jobs=2 if way == "two" else None)
                with threadpool_limits(1 if way == "one, one thread" else None):
                    clock = Clock()
                    bag.transform(images)
                    found.append(clock.passed())
        medians = {
            way: [statistics.median(row[i] for row in found) for i in (0, 1)] for way, found in took.items()
        }
        text = "; ".join(f"{way} {wall:.1f} s ({cpu:.1f})" for way, (wall, cpu) in medians.items())
        ratios = [
            statistics.median(one[0] / two[0] for one, two in zip(took[way], took["two"], strict=True))
            for way in ("one", "one, one thread")
        ]
        print(f"{name:36s}{text}: two is {ratios[0]:.2f} and {ratios[1]:.2f} times as fast", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["accuracy", "parallel"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--settings", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.what == "parallel":
        return parallel(options.rounds)
    return accuracy(options.seeds, options.settings, options.jobs)


if __name__ == "__main__":
    main()
