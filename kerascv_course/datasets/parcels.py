"""Synthetic depth maps of parcels on a belt, in place of the course's own, which are not public."""

import numpy as np

from kerascv_course._validation import check_int
from kerascv_course.datasets.record import ImageDataset

_CLASSES = ("envelope", "box", "bag", "double")
_SIDE = 64  # pixels, of about a centimetre
_TEST_EVERY = 4
_NOISE = 1.5  # standard deviation of a reading, millimetres


def load_parcels(count: int = 800, *, seed: int = 0) -> ImageDataset:
    """Make synthetic depth maps of parcels: envelopes, boxes, bags, and two parcels that came together.

    The course's project has depth maps from a sorting plant, which are not public. These are drawn by a program,
    with its own idea of a parcel: *they stand for the task, not for the plant*, and a figure reached on them says
    nothing of real parcels.

    A pixel is a height above the belt in millimetres, 0 to 255, with noise and missing readings (0), more of them
    at edges. An envelope is thin and a little bulged, a box is flat on top and often lies askew, a bag is round
    and lumpy, "double" is two of these side by side or one on the other. Thick envelopes, flat boxes, angular bags
    and well stacked doubles are alike: with `classic.parcel_features` a random forest is right in 88 of 100.

    Args:
        count: Images in all, 16 or more; the classes come by turns, and one in four of each is for testing.
        seed: Decides the images, 0 or more. A larger `count` begins with the same parcels.

    Returns:
        Images of shape (64, 64, 1); the record's `source` says that they are synthetic.

    Raises:
        TypeError: If an argument is no integer.
        ValueError: If an argument is out of its range.

    Example:
        >>> load_parcels(80)
        <ImageDataset parcels: 60 training and 20 test images of (64, 64, 1), 4 classes (envelope, box, bag,
        double), from a generator, synthetic (seed 0)>

    Source: Boracchi (the parcel project), for the task.
    """
    count = check_int("load_parcels", "count", count, minimum=4 * len(_CLASSES))
    seed = check_int("load_parcels", "seed", seed, minimum=0)
    labels = np.arange(count) % len(_CLASSES)
    images = np.stack([_draw(_CLASSES[label], seed, index) for index, label in enumerate(labels)])[..., None]
    is_test = (np.arange(count) // len(_CLASSES)) % _TEST_EVERY == _TEST_EVERY - 1
    train, test = (images[~is_test], labels[~is_test]), (images[is_test], labels[is_test])
    return ImageDataset(*train, *test, _CLASSES, "parcels", f"a generator, synthetic (seed {seed})")


def _draw(kind: str, seed: int, index: int) -> np.ndarray:
    """Return one depth map, (side, side) of `uint8`."""
    random = np.random.default_rng([seed, index])
    centre = _SIDE / 2 - 0.5 + random.uniform(-5, 5, 2)
    if kind == "double":
        heights = _double(centre, random)
    else:
        heights = _parcel(kind, centre, random.uniform(0, np.pi), random)
    return _read(heights, random)


def _double(centre: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return two parcels that touch, overlap or lie one on the other."""
    first, second = random.choice(_CLASSES[:3], 2, p=[0.25, 0.45, 0.3])
    angle = random.uniform(0, np.pi)
    turned = angle + random.normal(0, 0.25)
    # From one on the other to side by side.
    distance = random.choice([random.uniform(4, 10), random.uniform(12, 24)])
    shift = distance / 2 * np.array([np.sin(angle + np.pi / 2), np.cos(angle + np.pi / 2)])
    below = _parcel(first, centre - shift, angle, random, scale=0.9)
    above = _parcel(second, centre + shift, turned, random, scale=0.8)
    # What lies on another is lifted by it, the more the larger the part of it that does.
    lift = below.max() * below[above > 0].astype(bool).mean()
    return np.maximum(below, np.where(above > 0, above + lift, 0))


def _parcel(
    kind: str, centre: np.ndarray, angle: float, random: np.random.Generator, scale: float = 1.0
) -> np.ndarray:
    """Return the heights of one parcel, 0 beside it."""
    y, x = np.indices((_SIDE, _SIDE)) - centre[:, None, None]
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    length = scale * random.uniform(18, 42)
    width = length * random.uniform(0.5, 0.95)
    u, v = 2 * along / length, 2 * across / width  # -1 to 1 inside of a rectangle
    if kind == "envelope":
        bulge = random.uniform(0, 0.7)
        heights = random.uniform(9, 31) * (1 - bulge + bulge * (1 - u**2) * (1 - v**2))
        inside = np.maximum(np.abs(u), np.abs(v)) <= 1
        if random.random() < 0.3:  # a bent corner
            inside &= u + v <= random.uniform(1.2, 1.8)
    elif kind == "box":
        tilt = random.normal(0, 0.12, 2)
        heights = random.gamma(2.2, 32) + 18 + length / 2 * (tilt[0] * u + tilt[1] * v)
        inside = np.maximum(np.abs(u), np.abs(v)) <= 1
    else:
        power = random.uniform(2.2, 7)
        radius = np.abs(u) ** power + np.abs(v) ** power
        waves = np.sin(u * random.uniform(2, 6) + 3) * np.cos(v * random.uniform(2, 6))
        lumps = 1 + random.uniform(0, 0.25) * waves
        inside = radius <= 1
        flatness = random.uniform(0.15, 0.6)
        heights = random.uniform(22, 110) * np.clip(1 - radius, 0, 1) ** flatness * lumps
    return np.where(inside, np.maximum(heights, 1), 0)


def _read(heights: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return what a sensor makes of heights: noise, and missing readings, most of them beside steps."""
    slope_y, slope_x = np.gradient(heights)
    missing = random.random(heights.shape) < 0.004 + 0.25 * (np.hypot(slope_y, slope_x) > 12)
    seen = heights + random.normal(0, _NOISE, heights.shape)
    return np.where(missing, 0, np.clip(np.rint(seen), 0, 255)).astype("uint8")
