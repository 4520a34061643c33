"""Images that are in both the training and the test set, exactly or in a slightly changed form."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.fft import dct

from kerascv_course._validation import check_pixels, input_error

_SIDE = 32  # images of another size are brought to this one
_WINDOW = 24  # the part that is compared: what is left in the middle where an image is shifted by up to 4 pixels
_MARGIN = (_SIDE - _WINDOW) // 2
_SHIFT = 3
# Every second shift, like the black squares of a chessboard: the others are at most one pixel away from one.
_SHIFTS = [(y, x) for y in range(-_SHIFT, _SHIFT + 1) for x in range(-_SHIFT, _SHIFT + 1) if (y + x) % 2 == 0]
_NEIGHBOURS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
_FREQUENCY = 6  # highest frequency of the description, half periods per window
_ALIKE = 0.75  # pairs whose descriptions correlate less are not looked at more closely
_NEAR = 0.1  # largest distance of a near duplicate
_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601, as in JPEG
_CLIPPED = 250  # JPEG may save a 255 as a little less
_LEAST_KEPT = 0.25  # of the edges: so that no pair is judged by a few
# A pixel is detail where it differs from the mean of its four neighbours by this share of the deviation of all.
_DETAIL = 0.07
_LEAST_DETAIL = 0.3  # share of the pixels: outlines on a plain background, strokes and gradients have less
_FULL_DETAIL = 0.4  # what has less must be nearer
_LEAST_SHARED = 0.2  # of the pixels, those whose detail agrees less those that contradict
_TEST_BLOCK, _TRAIN_BLOCK, _PAIR_BLOCK = 1000, 2000, 1000


class Duplicate(NamedTuple):
    """A training image and a test image that show the same.

    Args:
        train: Index of the training image.
        test: Index of the test image.
        kind: "exact" where all bytes are equal, else "near".
        distance: 0 for an exact copy, else 1 minus the correlation of the edges of both images (mean of the one in
            grey and the one over all channels), up to 0.1.
    """

    train: int
    test: int
    kind: str
    distance: float


def duplicates_across(train: np.ndarray, test: np.ndarray) -> list[Duplicate]:
    """Find the test images that are also in the training set, copied exactly or slightly changed.

    A model can have learned such images by heart: they make its test accuracy too good. Near duplicates are
    those that were shifted by up to 3 pixels (of 32), flipped left to right, saved as JPEG again, or made
    somewhat brighter or darker (0.8 to 1.2 times), or several of these. What is called near is a guess: look at it
    yourself, and remove unseen only exact copies. About 2 of 100 copies of CIFAR-10 images are missed, 5 where
    they were saved at JPEG quality 50, shifted by 3 pixels and made 1.2 times as bright.

    Likeness must lie in the detail. A plain background, a gradient, the outline of a disc or the stroke of a digit
    says little: two discs of one size are no copies. So an image in which less than 30 % of the pixels stand out
    from their neighbours has exact copies alone, and up to 40 % its near ones must be nearer than those of others.

    Each image is described by 34 low frequencies of its middle (a cosine transform of the grey values, each
    frequency weighted by its height, since photographs hold less of the high ones). Descriptions of all training
    images are compared with those of each test image under 25 shifts and both flips, one matrix product each.
    Pairs that correlate are aligned to the pixel, and the differences between neighbouring pixels must then
    correlate by 0.9, in grey and in the mean of grey and all channels; those at pixels that are clipped in one of
    both images do not count. At last the pixels that stand out must be the same ones. The time grows with the
    product of both counts; memory beyond the images themselves stays below about 300 MB.

    Args:
        train: Training images, shape `(images, height, width, channels)`, whole numbers from 0 to 255 (`uint8`),
            sides of at least 8 pixels.
        test: Test images of the same height, width and channels.

    Returns:
        The pairs, ordered by test and training index; empty where the sets stay apart. Every pair of equal images
        is one entry.

    Raises:
        TypeError: If an argument is no array of numbers.
        ValueError: If the shapes are not as above.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype="uint8")
        >>> duplicates_across(images[:4], images[3:])
        [Duplicate(train=3, test=0, kind='exact', distance=0.0)]
    """
    function = "duplicates_across"
    train, test = check_pixels(function, "train", train), check_pixels(function, "test", test)
    if min(train.shape[1:3]) < 8:
        raise input_error(function, "train", "images with sides of at least 8 pixels", train)
    if test.shape[1:] != train.shape[1:]:
        rule = f"images of shape {train.shape[1:]}, as those of `train`"
        raise input_error(function, "test", rule, test)
    found = {pair: Duplicate(*pair, "exact", 0.0) for pair in _equal_pairs(train, test)}
    for i, j, distance in _near_pairs(_resized(train), _resized(test)):
        if (i, j) not in found or distance < found[i, j].distance:
            found[i, j] = Duplicate(i, j, "near", distance)
    return sorted(found.values(), key=lambda pair: (pair.test, pair.train))


def _equal_pairs(train: np.ndarray, test: np.ndarray) -> Iterator[tuple[int, int]]:
    places = defaultdict(list)
    for j, image in enumerate(test):
        places[image.tobytes()].append(j)
    for i, image in enumerate(train):
        for j in places.get(image.tobytes(), ()):
            yield i, j


def _resized(images: np.ndarray) -> np.ndarray:
    if images.shape[1:3] == (_SIDE, _SIDE):
        return images
    resized = np.empty((len(images), _SIDE, _SIDE, images.shape[3]), "uint8")
    for source, target in zip(images, resized, strict=True):
        for channel in range(images.shape[3]):
            plane = Image.fromarray(np.ascontiguousarray(source[..., channel]))
            target[..., channel] = plane.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    return resized


def _near_pairs(train: np.ndarray, test: np.ndarray) -> Iterator[tuple[int, int, float]]:
    """Yield pairs and their distance; a pair that is met under several shifts comes several times."""
    basis, limits, test_limits = _basis(), _limits(train), _limits(test)
    middle = np.concatenate([_describe(part, basis) for part in _blocks(train, _TRAIN_BLOCK)])
    middle *= limits[:, None] > 0
    for test_start in range(0, len(test), _TEST_BLOCK):
        places = slice(test_start, test_start + _TEST_BLOCK)
        block, block_limits = test[places], test_limits[places]
        for flip in (False, True):
            seen = block[:, :, ::-1] if flip else block
            for down, right in _SHIFTS:
                described = _describe(seen, basis, down, right).T * (block_limits > 0)
                for train_start in range(0, len(train), _TRAIN_BLOCK):
                    alike = middle[train_start : train_start + _TRAIN_BLOCK] @ described
                    hits = np.flatnonzero(alike > _ALIKE)
                    for part in _blocks(hits, _PAIR_BLOCK):
                        i, j = np.divmod(part, len(block))
                        distances = _distances(train[train_start + i], seen[j], down, right)
                        allowed = np.minimum(limits[train_start + i], block_limits[j])
                        for k in np.flatnonzero(distances <= allowed):
                            yield train_start + int(i[k]), test_start + int(j[k]), float(distances[k])


def _blocks(array: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (array[start : start + size] for start in range(0, len(array), size))


def _basis() -> np.ndarray:
    """Return the weighted low frequencies of the cosine transform, one per column."""
    waves = dct(np.eye(_WINDOW), norm="ortho")[:, : _FREQUENCY + 1]
    height = np.hypot(*np.indices(2 * [_FREQUENCY + 1]))
    basis = np.einsum("yu,xv,uv->yxuv", waves, waves, height)[..., (height > 0) & (height <= _FREQUENCY)]
    return basis.reshape(_WINDOW**2, -1).astype("float32")


def _window(images: np.ndarray, down: int, right: int) -> np.ndarray:
    top, left = _MARGIN + down, _MARGIN + right
    return images[:, top : top + _WINDOW, left : left + _WINDOW]


def _describe(images: np.ndarray, basis: np.ndarray, down: int = 0, right: int = 0) -> np.ndarray:
    """Return one row of length 1 per image; zeros where the window has one colour."""
    grey = _grey(_window(images, down, right))
    return _unit(grey.reshape(len(images), -1) @ basis)


def _unit(rows: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(norm > 1, rows / np.maximum(norm, 1), 0)  # below 1 there is but rounding noise


def _distances(train: np.ndarray, test: np.ndarray, down: int, right: int) -> np.ndarray:
    """Return the distances of pairs of images, each at the best of five neighbouring shifts."""
    clipped, test_clipped = (np.logical_or.reduce(images >= _CLIPPED, axis=3) for images in (train, test))
    distances = _apart(_grey(train)[..., None], _grey(test)[..., None], clipped, test_clipped, down, right)
    near = np.flatnonzero(distances <= _NEAR)
    pairs = train[near], test[near], clipped[near], test_clipped[near], down, right
    # JPEG blurs fine colours, and paint of another colour is another picture: grey and colours count alike.
    distances[near] = (distances[near] + _apart(*pairs)) / 2
    distances[near[~_share_detail(*pairs)]] = 1
    return distances


def _apart(
    train: np.ndarray, test: np.ndarray, clipped: np.ndarray, test_clipped: np.ndarray, down: int, right: int
) -> np.ndarray:
    """Return 1 minus the correlation of the edges of pairs of images, at the best of five neighbouring shifts."""
    edges, clipped = _edges(_window(train, 0, 0)), _halved(_window(clipped, 0, 0))
    best = np.zeros(len(train), "float32")
    for y, x in _NEIGHBOURS:
        moved = _edges(_window(test, down + y, right + x))
        # What was made brighter ends at 255: where only one of both images does, edges differ and say nothing.
        differ = clipped ^ _halved(_window(test_clipped, down + y, right + x))
        kept = ~_neighbours(differ, np.logical_or)
        kept |= kept.mean(axis=1, keepdims=True) < _LEAST_KEPT
        kept = np.tile(kept, train.shape[3])
        best = np.maximum(best, (_unit(edges * kept) * _unit(moved * kept)).sum(axis=1))
    return np.clip(1 - best, 0, None)


def _share_detail(
    train: np.ndarray, test: np.ndarray, clipped: np.ndarray, test_clipped: np.ndarray, down: int, right: int
) -> np.ndarray:
    """Tell which pairs have the same detail in many places."""
    detail, shared = _detail(_window(_grey(train), 0, 0)), np.zeros(len(train), bool)
    for y, x in _NEIGHBOURS:
        place = down + y, right + x
        moved = _detail(_window(_grey(test), *place))
        kept = ~(_window(clipped, 0, 0) ^ _window(test_clipped, *place))[:, 1:-1, 1:-1]
        agree = (detail * moved * kept).mean(axis=(1, 2)) / np.maximum(kept.mean(axis=(1, 2)), _LEAST_KEPT)
        shared |= agree >= _LEAST_SHARED
    return shared


def _limits(images: np.ndarray) -> np.ndarray:
    """Return how far a near duplicate of each image may be: 0 where it has too little detail to tell."""
    parts = _blocks(images, _TRAIN_BLOCK)
    shares = np.concatenate([(abs(_detail(_grey(part))) == 1).mean(axis=(1, 2)) for part in parts])
    return _NEAR * np.clip((shares - _LEAST_DETAIL) / (_FULL_DETAIL - _LEAST_DETAIL), 0, 1)


def _detail(grey: np.ndarray) -> np.ndarray:
    """Return where pixels stand out from their neighbours: 1 where they are clearly lighter, -1 where darker."""
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    least = np.maximum(_DETAIL * grey.std(axis=(1, 2), keepdims=True), 1)  # below 1 there is but rounding noise
    return np.clip((grey[:, 1:-1, 1:-1] - around / 4) / least, -1, 1)


def _edges(windows: np.ndarray) -> np.ndarray:
    """Return the differences between neighbours, after pixels were added two by two; one row per image."""
    planes = [_halved(windows[..., channel].astype("float32")) for channel in range(windows.shape[3])]
    return np.concatenate([_neighbours(plane, np.subtract) for plane in planes], axis=1)


def _grey(images: np.ndarray) -> np.ndarray:
    """Return the luma, which JPEG keeps best; the mean where there are not three channels."""
    channels = images.shape[3]
    grey = np.zeros(images.shape[:3], "float32")
    # NumPy is many times slower at the sum of a short last axis.
    for channel, weight in enumerate(_LUMA if channels == 3 else [1 / channels] * channels):
        grey += np.float32(weight) * images[..., channel]
    return grey


def _halved(pixels: np.ndarray) -> np.ndarray:
    """Add pixels two by two; of bools that is "any"."""
    rows = pixels[:, ::2] + pixels[:, 1::2]
    return rows[:, :, ::2] + rows[:, :, 1::2]


def _neighbours(pixels: np.ndarray, combine: np.ufunc) -> np.ndarray:
    """Combine each pixel with the one above and the one to the left; one row per image."""
    pairs = combine(pixels[:, 1:], pixels[:, :-1]), combine(pixels[:, :, 1:], pixels[:, :, :-1])
    return np.concatenate([part.reshape(len(pixels), part.shape[1] * part.shape[2]) for part in pairs], axis=1)
