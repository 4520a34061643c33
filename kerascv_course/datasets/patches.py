"""Small crops of ten real photographs that scikit-image carries: an RGB data set that needs no network."""

import math
import random
from collections.abc import Iterator

import numpy as np

from kerascv_course._validation import input_error
from kerascv_course.datasets.record import ImageDataset

# Class name and the function of `skimage.data`. All ten are PNG files of the wheel: nothing is downloaded, and
# lossless decoding gives the same bytes everywhere.
_PHOTOGRAPHS = {
    **{name: name for name in ("astronaut", "brick", "camera", "cat", "coffee", "coins", "grass", "gravel")},
    "handwriting": "text",
    "tissue": "immunohistochemistry",
}
_SIDE = 32
_TRAIN, _TEST = 200, 50  # crops of each class
_BANDS = 7  # each photograph is cut into so many vertical bands of equal width ...
_TEST_BANDS = (2, 5)  # ... of which these are for testing
_MARGIN = 8  # columns between a training crop and the nearest test band
_APART = 4  # crops of one kind differ by so many pixels at least, in one direction
_FLATTEST = 10  # smallest standard deviation of a crop, grey levels: below it there is little to see but noise
_LUMA = (299, 587, 114)  # thousandths of red, green and blue in grey: ITU-R BT.601


def load_patches() -> ImageDataset:
    """Load 2,500 crops of ten photographs that scikit-image carries: which photograph is it from?

    Each photograph is cut into seven vertical bands, of which the third and the sixth are for testing. Training
    crops keep 8 columns away from them, so that no pixel is in both sets. Crops of one set may overlap;
    one brick looks much like another in either.

    Colour would give the photographs away, of which six are grey: the mean and the standard deviation of the three
    channels alone name the right one for about half of such crops. All ten are therefore made grey, and each crop
    is tinted: each of its three channels is that grey with a mean and a standard deviation drawn at random, like
    an old print under another light. What is left to learn is structure. `colour_baseline` says what colour still
    tells (0.12, where chance is 0.10): print it beside every result. The shape of the histogram tells more: a
    random forest on these six, skewness, kurtosis and channel correlation reaches 0.40. Patterns of neighbouring
    pixels (LBP) reach 0.64, histograms of gradients (HOG) with a linear SVM 0.36.

    The same bytes come out on every platform, as all arithmetic is in whole numbers.

    Returns:
        2,000 training and 500 test images of shape `(32, 32, 3)`, the ten classes in turn.

    Example:
        >>> load_patches()
        <ImageDataset patches: 2000 training and 500 test images of (32, 32, 3), 10 classes (astronaut, brick,
        camera, cat, coffee, coins, grass, gravel, handwriting, tissue), from scikit-image, embedded>
    """
    # scikit-image takes a moment to import, which the readers of other sets need not wait for.
    import skimage.data

    x_train = np.empty((_TRAIN, len(_PHOTOGRAPHS), _SIDE, _SIDE, 3), "uint8")
    x_test = np.empty((_TEST, len(_PHOTOGRAPHS), _SIDE, _SIDE, 3), "uint8")
    for label, function in enumerate(_PHOTOGRAPHS.values()):
        photograph = getattr(skimage.data, function)()
        if photograph.ndim == 3:
            photograph = (photograph @ np.array(_LUMA) + 500) // 1000
        for split, images in (("train", x_train), ("test", x_test)):
            for row, image in enumerate(_crops(photograph, split, len(images), f"{function} {split}")):
                images[row, label] = image
    labels = np.arange(len(_PHOTOGRAPHS), dtype="int64")
    train = x_train.reshape(-1, _SIDE, _SIDE, 3), np.tile(labels, _TRAIN)
    test = x_test.reshape(-1, _SIDE, _SIDE, 3), np.tile(labels, _TEST)
    return ImageDataset(*train, *test, tuple(_PHOTOGRAPHS), "patches", "scikit-image, embedded")


def colour_baseline(data: ImageDataset) -> float:
    """Return the test accuracy that is reached without looking at the arrangement of the pixels.

    A logistic regression is fitted on the mean and the standard deviation of each channel, six numbers for an RGB
    image. A model that is not clearly above this figure may have learned the colour and the light of the images.

    Args:
        data: The record. Its training set must hold two classes or more.

    Returns:
        The share of right answers on the test images, from 0 to 1.

    Raises:
        TypeError: If `data` is no `ImageDataset`.
        ValueError: If the training set holds one class only.

    Example:
        >>> red, blue = np.zeros((2, 4, 8, 8, 3), "uint8")
        >>> red[..., 0], blue[..., 2] = 200, 200
        >>> images, labels = np.concatenate([red, blue]), np.repeat([0, 1], 4)
        >>> colour_baseline(ImageDataset(images, labels, images, labels, ("red", "blue"), "colours", "an example"))
        1.0
    """
    if not isinstance(data, ImageDataset):
        raise input_error("colour_baseline", "data", "an ImageDataset", data, error=TypeError)
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cg", max_iter=1000))
    model.fit(_colour_statistics(data.x_train), data.y_train)
    return float(model.score(_colour_statistics(data.x_test), data.y_test))


def _colour_statistics(images: np.ndarray) -> np.ndarray:
    """Return mean and standard deviation of each channel, in blocks: `std` of a large set takes much memory."""
    blocks = [images[start : start + 1000] for start in range(0, len(images), 1000)]
    return np.concatenate([np.hstack([block.mean(axis=(1, 2)), block.std(axis=(1, 2))]) for block in blocks])


def _crops(photograph: np.ndarray, split: str, count: int, seed: str) -> Iterator[np.ndarray]:
    """Yield `count` crops from random places of the bands of a split."""
    height, width = photograph.shape[:2]
    columns = _columns(width, split)
    # Python promises the sequence of `Random.random` for a seed; NumPy reserves the right to improve its own.
    generator = random.Random(seed)
    places: list[tuple[int, int]] = []
    while len(places) < count:
        top = int(generator.random() * (height - _SIDE + 1))
        left = columns[int(generator.random() * len(columns))]
        if any(max(abs(top - other[0]), abs(left - other[1])) < _APART for other in places):
            continue
        crop = photograph[top : top + _SIDE, left : left + _SIDE].astype("int64")
        area, total = crop.size, int(crop.sum())
        # Standard deviation times area, an integer: the root of area * sum(x * x) - sum(x) ** 2.
        spread = math.isqrt(area * int((crop**2).sum()) - total**2)
        if spread < _FLATTEST * area:
            continue
        places.append((top, left))
        yield _relight(area * crop - total, spread, generator)


def _columns(width: int, split: str) -> list[int]:
    """Return the columns at which a crop of this split may begin."""
    bands = [range(width * band // _BANDS, width * (band + 1) // _BANDS) for band in _TEST_BANDS]
    test, places = {column for band in bands for column in band}, range(width - _SIDE + 1)
    if split == "test":
        return [left for left in places if test.issuperset(range(left, left + _SIDE))]
    return [left for left in places if test.isdisjoint(range(left - _MARGIN, left + _SIDE + _MARGIN))]


def _relight(deviation: np.ndarray, spread: int, generator: random.Random) -> np.ndarray:
    """Make three channels of random mean and deviation of a grey crop; both inputs are multiplied by the area."""
    # Moderate contrast: what is clipped at 0 or 255 shifts the statistics, by an amount that the class decides.
    brightness, contrast = 104 + int(generator.random() * 48), 24 + int(generator.random() * 24)
    image = np.empty((*deviation.shape, 3), "uint8")
    for channel in range(3):
        mean = brightness - 24 + int(generator.random() * 49)
        scale = contrast * (70 + int(generator.random() * 61))  # in hundredths of a grey level
        # Rounded division of whole numbers: `//` of twice the fraction plus one.
        rounded = (2 * scale * deviation + 100 * spread) // (200 * spread)
        image[..., channel] = np.clip(mean + rounded, 0, 255)
    return image
