"""What the visual words look like: the patches that lie nearest to each."""

import numpy as np
from PIL import Image

from kerascv_course._validation import check_int, input_error
from kerascv_course.classic.bag_of_visual_words import BagOfVisualWords
from kerascv_course.classic.descriptions import read_images

_FUNCTION = "word_patches"
_SIDE = 16  # pixels that patches of all sizes are scaled to


def word_patches(bag: BagOfVisualWords, images: np.ndarray, *, per_word: int = 8) -> list[np.ndarray]:
    """Cut out, for each visual word, the patches whose descriptors are nearest to it, at most one of each image.

    Args:
        bag: A fitted `BagOfVisualWords`.
        images: Array (n, h, w), (n, h, w, 1) or (n, h, w, 3) of `uint8` or of floats from 0 to 1.
        per_word: Patches of each word, 1 or more; fewer where fewer images have it.

    Returns:
        For each word an array `uint8`, (patches, 16, 16) or (patches, 16, 16, 3), the nearest first.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is not as above.
        NotFittedError: If the bag is not fitted.

    Example:
        >>> from kerascv_course.datasets import load_digits
        >>> images, _ = load_digits().head(50)
        >>> patches = word_patches(BagOfVisualWords(vocabulary=10).fit(images), images, per_word=4)
        >>> len(patches), patches[0].shape
        (10, (4, 16, 16))
    """
    if not isinstance(bag, BagOfVisualWords):
        raise input_error(_FUNCTION, "bag", "a fitted BagOfVisualWords", bag, error=TypeError)
    per_word = check_int(_FUNCTION, "per_word", per_word, 1)
    found = bag.describe(images)
    nearest = bag.nearest_words(found.descriptors)
    distances = np.linalg.norm(bag.reduce(found.descriptors) - bag.words_[nearest], axis=1)
    pictures = read_images(_FUNCTION, images)
    if pictures.dtype != np.uint8:
        pictures = np.rint(np.clip(pictures, 0, 1) * 255).astype("uint8")
    pictures = pictures[..., 0] if pictures.shape[3] == 1 else pictures
    patches = []
    for word in range(len(bag.words_)):
        points = np.flatnonzero(nearest == word)
        points = points[np.argsort(distances[points], kind="stable")]
        _, first = np.unique(found.images[points], return_index=True)
        chosen = points[np.sort(first)[:per_word]]
        cut = [_cut(pictures[found.images[point]], found.positions[point], found.sizes[point]) for point in chosen]
        patches.append(np.stack(cut) if cut else np.zeros((0, _SIDE, _SIDE, *pictures.shape[3:]), "uint8"))
    return patches


def _cut(picture: np.ndarray, position: np.ndarray, size: float) -> np.ndarray:
    height, width = picture.shape[:2]
    y, x = position + 0.5  # from the centre of the first pixel to its corner
    half = size / 2
    box = (max(x - half, 0), max(y - half, 0), min(x + half, width), min(y + half, height))
    return np.asarray(Image.fromarray(picture).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, box=box))
