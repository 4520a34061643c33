"""Synthetic aerial images of a colony of animals, to be counted patch by patch."""

from dataclasses import dataclass

import numpy as np

from kerascv_course._validation import check_int, input_error
from kerascv_course.datasets.record import ImageDataset

_CLASSES = ("background", "adult male", "subadult male", "adult female", "juvenile", "pup")
# Of the classes from "adult male" on: length in pixels, width as a share of it, colour, how often each is seen.
_LENGTHS = (21, 17, 14, 10.5, 7.5)
_WIDTHS = (0.5, 0.46, 0.42, 0.42, 0.48)
_COLOURS = ((78, 54, 40), (98, 70, 50), (146, 112, 78), (124, 92, 66), (46, 40, 38))
_SHARES = (0.14, 0.16, 0.3, 0.2, 0.2)
_MARGIN = 16  # pixels between an animal and the border
_MAX_PATCH = 2 * _MARGIN


@dataclass(frozen=True, eq=False, repr=False)
class AerialImages:
    """Aerial images with a dot on each animal.

    Attributes:
        images: `uint8`, (n, side, side, 3).
        dots: One array for each image, a row per animal: class (1 to 5), x and y in pixels, whole numbers.
        class_names: Six names; class 0 is the background.
        source: Where the images came from; completes the phrase "from ...".
    """

    images: np.ndarray
    dots: tuple[np.ndarray, ...]
    class_names: tuple[str, ...]
    source: str

    def __repr__(self) -> str:
        """Return one line: how many images and animals, and where from."""
        animals = sum(map(len, self.dots))
        return f"<AerialImages: {len(self.images)} images, {animals} animals, from {self.source}>"

    @property
    def counts(self) -> np.ndarray:
        """Animals of each class in each image, (n, 6); the first column, the background, is 0."""
        return np.stack([np.bincount(dots[:, 0], minlength=len(self.class_names)) for dots in self.dots])

    def patches(
        self, size: int = 24, *, test_images: int | None = None, jitter: int = 4, seed: int = 0
    ) -> ImageDataset:
        """Cut labelled patches out: one around each animal, and as many of the background.

        A patch shows the animal of its label in the middle, give or take `jitter`, and maybe parts of others. A
        patch of the background has no dot in it. The last images are for testing: none gives patches to both.

        Args:
            size: Side of a patch in pixels, an even number from 8 to 32.
            test_images: Images that are for testing, from 1 to one less than all; by default a quarter of them.
            jitter: At most so many pixels a patch is moved to each side, drawn at random, from 0 to a quarter of
                `size`: when tiles of an image are classified, no animal is exactly in the middle either.
            seed: Decides moves and places of the background, 0 or more.

        Returns:
            Patches of shape (size, size, 3), shuffled, with labels from 0, the background, to 5.

        Raises:
            TypeError: If an argument is no whole number.
            ValueError: If an argument is out of its range.
        """
        size = check_int("patches", "size", size, 8, _MAX_PATCH)
        if size % 2:
            raise input_error("patches", "size", "even", size)
        count = len(self.images)
        if count < 2:
            raise input_error("patches", "images", "two or more, as some are for testing", self.images)
        testing = -(-count // 4) if test_images is None else test_images
        testing = check_int("patches", "test_images", testing, 1, count - 1)
        jitter = check_int("patches", "jitter", jitter, 0, size // 4)
        seed = check_int("patches", "seed", seed, 0)
        random = np.random.default_rng(seed)
        parts = []
        for chosen in (range(count - testing), range(count - testing, count)):
            cut = [self._cut(index, size, jitter, random) for index in chosen]
            images, labels = (np.concatenate(part) for part in zip(*cut, strict=True))
            order = random.permutation(len(labels))
            parts.append((images[order], labels[order]))
        (x_train, y_train), (x_test, y_test) = parts
        name = f"aerial, patches of {size} pixels"
        return ImageDataset(x_train, y_train, x_test, y_test, self.class_names, name, self.source)

    def _cut(
        self, index: int, size: int, jitter: int, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the patches of one image and their labels."""
        image, dots = self.images[index], self.dots[index]
        side, half = len(image), size // 2
        centres = dots[:, 1:] + random.integers(-jitter, jitter + 1, (len(dots), 2))
        free: list[np.ndarray] = []
        for place in random.integers(half, side - half + 1, (50 * len(dots), 2)):
            if len(free) < len(dots) and np.abs(dots[:, 1:] - place).max(axis=1).min() > half:
                free.append(place)
        corners = np.clip(np.concatenate([centres, np.reshape(free, (-1, 2))]), half, side - half) - half
        corners = corners.astype("int64")
        patches = np.stack([image[y : y + size, x : x + size] for x, y in corners])
        return patches, np.concatenate([dots[:, 0], np.zeros(len(free), "int64")])


def load_aerial(count: int = 16, *, image_size: int = 256, seed: int = 0) -> AerialImages:
    """Make synthetic aerial images of animals on a shore, with a dot on each: an exercise in counting.

    It stands for the counting of sea lions (the course's example, from a competition whose images may not be
    passed on): five kinds of animals that differ in size and colour, and a background of sand, rock and water,
    with stones that look like animals. The images are drawn by a program: *a figure reached on them says nothing
    of real ones*. Animals crowd in groups, with distance enough that none hides another; each lies 16 pixels or
    more from the border.

    Args:
        count: Number of images, 1 or more.
        image_size: Height and width in pixels, from 96 to 1024.
        seed: Decides the images, 0 or more. A larger `count` begins with the same images.

    Returns:
        Images and dots; `patches` cuts a training and a test set out of them.

    Raises:
        TypeError: If an argument is no whole number.
        ValueError: If an argument is out of its range.

    Example:
        >>> aerial = load_aerial(2, image_size=128)
        >>> aerial.images.shape, aerial.dots[0].shape[1]
        ((2, 128, 128, 3), 3)
        >>> aerial.patches(test_images=1).input_shape
        (24, 24, 3)

    Source: Boracchi (counting by patch-wise classification), for the task.
    """
    count = check_int("load_aerial", "count", count, 1)
    side = check_int("load_aerial", "image_size", image_size, 96, 1024)
    seed = check_int("load_aerial", "seed", seed, 0)
    drawn = [_draw(side, np.random.default_rng([seed, index])) for index in range(count)]
    return AerialImages(
        images=np.stack([image for image, _ in drawn]),
        dots=tuple(dots for _, dots in drawn),
        class_names=_CLASSES,
        source=f"a generator, synthetic (seed {seed})",
    )


def _draw(side: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return one image and its dots."""
    image = _shore(side, random)
    for _ in range(side * side // 3000):  # stones, some of the size and darkness of an animal
        shade = random.uniform(60, 150) * np.array([1, 0.97, 0.92])
        _blob(
            image, random.uniform(4, side - 4, 2), random.uniform(5, 18), random.uniform(0.55, 1), shade, 0, random
        )
    dots = _places(side, random)
    for kind, x, y in dots:
        length = _LENGTHS[kind - 1] * random.uniform(0.88, 1.14)
        colour = np.array(_COLOURS[kind - 1]) * random.uniform(0.82, 1.2)
        _blob(image, np.array([x, y]), length, _WIDTHS[kind - 1], colour, 0.45, random)
    light = random.uniform(0.9, 1.08)
    noisy = light * image + random.normal(0, 4, image.shape)
    return np.clip(np.rint(noisy), 0, 255).astype("uint8"), dots


def _shore(side: int, random: np.random.Generator) -> np.ndarray:
    """Return sand and rock with water at one side, float (side, side, 3)."""
    height = _smooth(side, 5, random) + 0.4 * _smooth(side, 17, random)
    direction = random.normal(size=2)
    y, x = np.indices((side, side)) / side - 0.5
    land = height + 2.6 * (direction[0] * x + direction[1] * y) / np.linalg.norm(direction) + 0.7
    rock = np.clip(2 * _smooth(side, 9, random) + 0.5, 0, 1)[..., None]
    ground = rock * np.array([128, 122, 116]) + (1 - rock) * np.array([186, 168, 138])
    ground += 14 * _smooth(side, side // 3, random)[..., None]
    water = np.array([70, 96, 106]) + 10 * _smooth(side, side // 5, random)[..., None]
    return np.where(land[..., None] > 0, ground, water)


def _smooth(side: int, cells: int, random: np.random.Generator) -> np.ndarray:
    """Return random hills, about as many as cells to a side, of mean 0 and standard deviation about 0.5."""
    from scipy.ndimage import zoom

    return zoom(random.normal(0, 0.75, (cells, cells)), side / cells, order=3, mode="nearest", grid_mode=True)


def _places(side: int, random: np.random.Generator) -> np.ndarray:
    """Return class, x and y of animals in groups, none on another."""
    low, high = _MARGIN, side - _MARGIN - 1
    groups = random.uniform(low, high, (max(2, side // 64), 2))
    wanted = random.poisson(side * side / 2600) + 3
    found: list[tuple[int, int, int]] = []
    for _ in range(20 * wanted):  # a crowded image ends with fewer
        if len(found) == wanted:
            break
        kind = int(random.choice(len(_SHARES), p=_SHARES)) + 1
        near = groups[random.integers(len(groups))] + random.normal(0, 26, 2)
        x, y = np.rint(near if random.random() < 0.75 else random.uniform(low, high, 2)).astype(int).tolist()
        apart = [
            np.hypot(x - other[1], y - other[2]) > 0.5 * (_LENGTHS[kind - 1] + _LENGTHS[other[0] - 1])
            for other in found
        ]
        if all(apart) and low <= x <= high and low <= y <= high:
            found.append((kind, x, y))
    return np.array(found, "int64").reshape(-1, 3)


def _blob(
    image: np.ndarray,
    centre: np.ndarray,
    length: float,
    width: float,
    colour: np.ndarray,
    taper: float,
    random: np.random.Generator,
) -> None:
    """Draw an ellipse into the image, thinner at one end by `taper`, brighter in its middle."""
    reach = int(length) + 2
    left, top = np.maximum(np.rint(centre).astype(int) - reach, 0)
    part = image[top : top + 2 * reach, left : left + 2 * reach]
    y, x = np.indices(part.shape[:2]) + np.array([top, left])[:, None, None] - centre[::-1, None, None]
    angle = random.uniform(0, 2 * np.pi)
    along = (x * np.cos(angle) + y * np.sin(angle)) / (length / 2)
    across = (y * np.cos(angle) - x * np.sin(angle)) / (width * length / 2)
    radius = along**2 + (across / (1 - taper * np.clip(along, -1, 1) * 0.7)) ** 2
    # The edge is a pixel or so wide.
    cover = np.clip((1.15 - radius) * length / 8, 0, 1)[..., None]
    shaded = colour * (1.12 - 0.3 * np.clip(radius, 0, 1))[..., None]
    part += cover * (shaded - part)
