"""Images that are in two sets: planted copies of real images are found, and different images are not reported."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from kerascv_course.datasets import find_cifar10, load_cifar10, load_digits
from kerascv_course.datasets.near_duplicates import duplicates_across
from kerascv_course.datasets.patches import load_patches

REAL_DATA = os.environ.get("KERASCV_COURSE_DATA")


def shifted(image, down, right):
    return np.pad(image, ((4, 4), (4, 4), (0, 0)), mode="edge")[4 - down :, 4 - right :][:32, :32]


def recompressed(image, quality=75):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


CHANGES = {
    "shifted by one": lambda image: shifted(image, 1, 0),
    "shifted by two": lambda image: shifted(image, -2, 1),
    "shifted by three": lambda image: shifted(image, 3, -3),
    "compressed": lambda image: recompressed(image),
    "flipped": lambda image: image[:, ::-1],
    "brighter": lambda image: np.clip(image * 1.2, 0, 255).astype("uint8"),
    "darker": lambda image: (image * 0.7).astype("uint8"),
    "all together": lambda image: recompressed(shifted(image[:, ::-1] // 2 + 100, 2, 1), 90),
}


@pytest.fixture(scope="module")
def photographs():
    """Forty crops of grass and gravel, without those that overlap an earlier one almost wholly."""
    data = load_patches()
    textures = [data.class_names.index(name) for name in ("grass", "gravel")]
    first, *others = data.x_train[np.isin(data.y_train, textures)]
    picked = [first]
    for image in others:
        if len(picked) < 40 and not duplicates_across(np.array(picked), image[None]):
            picked.append(image)
    return np.array(picked)


@pytest.mark.smoke
@pytest.mark.parametrize("change", CHANGES)
def test_every_changed_copy_is_found_and_nothing_else(photographs, change):
    order = np.random.default_rng(0).permutation(len(photographs))
    copies = np.array([CHANGES[change](photographs[index]) for index in order])
    pairs = duplicates_across(photographs, copies)
    assert [(pair.train, pair.test) for pair in pairs] == [(index, j) for j, index in enumerate(order)]
    assert {pair.kind for pair in pairs} == {"near"}
    assert max(pair.distance for pair in pairs) <= 0.1


def distance_by_definition(one, other):
    """Return 1 minus the correlation of the edges in the middle, the mean of that in grey and in colours."""

    def edges(plane):
        sums = plane[4:28, 4:28].reshape(12, 2, 12, 2).sum(axis=(1, 3))  # pixels two by two
        return [*np.diff(sums, axis=0).ravel(), *np.diff(sums, axis=1).ravel()]

    apart = []
    for planes in (
        lambda image: [image @ np.array([0.299, 0.587, 0.114])],
        lambda image: np.moveaxis(image, 2, 0),
    ):
        first, second = (np.concatenate([edges(plane) for plane in planes(image)]) for image in (one, other))
        apart.append(1 - first @ second / np.linalg.norm(first) / np.linalg.norm(second))
    return np.mean(apart)


def test_the_distance_is_one_less_the_correlation_of_the_edges(photographs):
    train = np.minimum(photographs[:8], 200)
    noise = np.random.default_rng(0).integers(-9, 10, train.shape) * np.array([2, 0, 1])  # of another luma
    pairs = duplicates_across(train, np.clip(train + noise, 0, 249).astype("uint8"))
    assert [(pair.train, pair.test) for pair in pairs] == [(index, index) for index in range(8)]
    noisy = np.clip(train + noise, 0, 249).astype("float64")
    expected = [distance_by_definition(*both) for both in zip(train.astype("float64"), noisy, strict=True)]
    assert [pair.distance for pair in pairs] == pytest.approx(expected, abs=1e-5)


def test_parts_that_are_clipped_in_one_of_both_images_do_not_set_them_apart(photographs):
    light = np.clip((photographs - 128.0) * 1.2 + 168, 0, 255).astype("uint8")
    brighter = CHANGES["brighter"](light)
    assert ((brighter == 255) & (light < 250)).any(axis=3).mean() > 0.1
    pairs = duplicates_across(light, brighter)
    assert [(pair.train, pair.test) for pair in pairs] == [(index, index) for index in range(len(light))]
    assert max(pair.distance for pair in pairs) < 0.05  # 0.068 with the clipped parts


def test_fine_colours_that_jpeg_blurs_set_few_copies_apart(photographs):
    red_or_blue = np.random.default_rng(0).choice([-0.1, 0.1], (len(photographs), 32, 32, 1))
    step = np.array([57, 0, -150]) * red_or_blue  # of one luma: 0.299 * 57 is 0.114 * 150
    colourful = np.clip(photographs * 0.8 + 40 + step, 0, 255).astype("uint8")
    pairs = duplicates_across(colourful, np.array([recompressed(image, 50) for image in colourful]))
    assert all(pair.train == pair.test for pair in pairs)
    assert len(pairs) >= 36  # 38 of 40; 31 where all channels alone are compared


def test_equal_images_are_exact_each_pair_once():
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype="uint8")
    pairs = duplicates_across(images[[0, 1, 2, 1]], images[[3, 1, 4, 0]])
    assert [tuple(pair) for pair in pairs] == [(1, 1, "exact", 0.0), (3, 1, "exact", 0.0), (0, 3, "exact", 0.0)]


def test_images_of_one_colour_are_duplicates_only_where_they_are_equal():
    grey = np.repeat(np.arange(4, dtype="uint8") * 60, 32 * 32).reshape(4, 32, 32, 1)
    assert [tuple(pair)[:3] for pair in duplicates_across(grey[:3], grey[2:])] == [(2, 0, "exact")]


def shapes(count):
    """Return discs and squares of any colour, size and place on white."""
    random, (y, x) = np.random.default_rng(0), np.mgrid[:96, :96]
    images = np.full((count, 96, 96, 3), 255, "uint8")
    for number, image in enumerate(images):
        (right, down), radius = random.integers(35, 61, 2), random.integers(15, 30)
        is_square = (abs(y - down) < radius) & (abs(x - right) < radius)
        is_disc = (y - down) ** 2 + (x - right) ** 2 < radius**2
        image[is_disc if number % 2 else is_square] = random.integers(0, 200, 3)
    return images


def gradients(count):
    """Return pictures that go over from one colour into another, in any direction."""
    random, grid = np.random.default_rng(0), np.mgrid[:32, :32] / 31
    images = []
    for angle in random.uniform(0, 2 * np.pi, count):
        along = np.tensordot([np.sin(angle), np.cos(angle)], grid, 1)[..., None]
        first, last = random.uniform(0, 255, (2, 3))
        images.append(first + (last - first) * (along - along.min()) / np.ptp(along))
    return np.array(images).astype("uint8")


@pytest.mark.parametrize("kind", [shapes, gradients, lambda count: load_digits().head(count)[0]])
def test_simple_pictures_that_look_alike_are_no_copies_of_each_other(kind):
    images = kind(1000)
    near = [pair for pair in duplicates_across(images[:500], images[500:]) if pair.kind == "near"]
    assert len(near) <= 1


def test_blocks_leave_no_pair_out(photographs, monkeypatch):
    whole = duplicates_across(photographs, photographs[:, :, ::-1])
    for name, size in (("_TEST_BLOCK", 7), ("_TRAIN_BLOCK", 9), ("_PAIR_BLOCK", 2)):
        monkeypatch.setattr(f"kerascv_course.datasets.near_duplicates.{name}", size)
    in_blocks = duplicates_across(photographs, photographs[:, :, ::-1])
    assert [pair[:3] for pair in in_blocks] == [pair[:3] for pair in whole]
    assert len(whole) == len(photographs)


def test_larger_images_are_compared_too(photographs):
    large = photographs.repeat(2, axis=1).repeat(2, axis=2)
    pairs = duplicates_across(large, np.roll(large, (4, -2), axis=(1, 2)))
    assert [(pair.train, pair.test) for pair in pairs] == [(index, index) for index in range(len(large))]


def test_separate_bands_of_a_photograph_share_no_crop():
    data = load_patches()
    several = [data.class_names.index(name) for name in ("grass", "gravel", "tissue")]
    train, test = np.isin(data.y_train, several), np.isin(data.y_test, several)
    assert duplicates_across(data.x_train[train], data.x_test[test]) == []


images = np.zeros((2, 32, 32, 3), "uint8")


@pytest.mark.parametrize(
    ("train", "test", "error", "message"),
    [
        (images / 255, images, ValueError, r"`train` of `duplicates_across` .* whole numbers from 0 to 255"),
        (images, None, TypeError, r"`test` of `duplicates_across` .*test=None"),
        (load_digits(image_size=8), images, TypeError, r"`train` .* a batch of images"),
        (images[..., 0], images, ValueError, r"`train` of .*\(images, height, width, channels\).*\(2, 32, 32\)"),
        (images[:0], images, ValueError, r"`train` of `duplicates_across` .* not empty"),
        (images, images[:0], ValueError, r"`test` of `duplicates_across` .* not empty"),
        (images[:, :7], images[:, :7], ValueError, r"`train` of .* at least 8 pixels.*\(2, 7, 32, 3\)"),
        (images, images[..., :1], ValueError, r"`test` of .* shape \(32, 32, 3\), as those of `train`"),
        (images, images[:, :16], ValueError, r"`test` of .* shape \(32, 32, 3\), as those of `train`"),
    ],
)
def test_bad_input_is_an_error_that_names_it(train, test, error, message):
    with pytest.raises(error, match=message):
        duplicates_across(train, test)


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.skipif(not REAL_DATA, reason="KERASCV_COURSE_DATA is not set: no real CIFAR-10 to read")
def test_planted_copies_among_a_thousand_real_images_are_found_and_nothing_else():
    if find_cifar10() is None:
        pytest.skip("KERASCV_COURSE_DATA holds no CIFAR-10")
    pool = load_cifar10().x_train
    pool = pool[np.random.default_rng(0).choice(len(pool), 1000, replace=False)]
    train, test = pool[:500], pool[500:]
    assert duplicates_across(train, test) == []
    for change in CHANGES.values():
        copies = np.array([change(image) for image in train[:100]])
        pairs = duplicates_across(train, np.concatenate([copies, test[:100]]))
        assert all(pair.train == pair.test for pair in pairs)
        assert len(pairs) >= 95  # some of the photographs show little but a plain background
