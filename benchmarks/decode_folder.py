"""How much faster than one Pillow loop are class folders of small images read, and how fast the second time?

Prints, for each round, the times of a plain Pillow loop and of `load_image_folder` with an empty cache folder and
with a filled one; in the end the medians of the ratios. Two Pillow loops at once, each over half of the files,
show how much a second core of this machine can give.
Run: python benchmarks/decode_folder.py FOLDER    (with class folders of RGB images of 32x32 pixels)
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from kerascv_course.datasets import load_image_folder

ROUNDS = 5
SUFFIXES = (".png", ".jpg", ".jpeg")


def pillow_loop(files: list[str]) -> float:
    started = time.perf_counter()
    images = np.empty((len(files), 32, 32, 3), "uint8")
    for index, file in enumerate(files):
        with Image.open(file) as image:
            images[index] = image
    return time.perf_counter() - started


def two_pillow_loops(folder: str) -> float:
    command = [sys.executable, __file__, folder]
    loops = [subprocess.Popen([*command, str(half)], stdout=subprocess.PIPE) for half in (0, 1)]
    return max(float(loop.communicate()[0]) for loop in loops)


def ours(folder: str) -> float:
    started = time.perf_counter()
    load_image_folder(folder, image_size=32)
    return time.perf_counter() - started


def main(folder: str, half: str | None = None) -> None:
    files = sorted(str(file) for file in Path(folder).rglob("*") if file.suffix in SUFFIXES)
    if half is not None:
        print(pillow_loop(files[int(half) :: 2]))
        return
    print(f"{len(files)} files")
    pillow_loop(files)  # so that the system has all files in memory for every run that counts
    ratios, ceilings, seconds = [], [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as cache:
            os.environ["KERASCV_COURSE_CACHE"] = cache
            one, first, two, second = pillow_loop(files), ours(folder), two_pillow_loops(folder), ours(folder)
        ratios.append(one / first)
        ceilings.append(one / two)
        seconds.append(second)
        print(
            f"Pillow {one:5.2f} s, two at once {two:5.2f} s; load_image_folder {first:5.2f} s, ratio "
            f"{ratios[-1]:.2f}, again {second:4.2f} s"
        )
    print(
        f"medians: ratio {np.median(ratios):.2f}, of two Pillow loops {np.median(ceilings):.2f}, "
        f"again {np.median(seconds):.2f} s"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
