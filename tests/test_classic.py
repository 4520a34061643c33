"""Bag of visual words: each step against direct formulas, OpenCV and scikit-image, and as an estimator."""

import os
import pickle
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.utils import estimator_checks

from kerascv_course.classic import (
    BagOfVisualWords,
    Daisy,
    DenseSift,
    Sift,
    encodings,
    histogram_intersection,
)
from kerascv_course.datasets import find_cifar10, load_cifar10, load_digits, load_patches

REAL_DATA = os.environ.get("KERASCV_COURSE_DATA")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def photographs() -> np.ndarray:
    """Return 40 crops of ten photographs, (40, 32, 32, 3)."""
    return load_patches().x_train[:40]


@pytest.fixture(scope="module")
def digits():
    return load_digits().subset(per_class=16, test_per_class=8)


def points(count: int = 60, width: int = 5, groups: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return descriptors in `float64`, and the group of each; the last group has none."""
    random = rng(seed)
    return random.normal(size=(count, width)), random.integers(0, groups - 1, count)


# ----------------------------------------------------------------------------------------------------- descriptors
def sift_by_loops(image: np.ndarray, y: float, x: float, bin_size: float) -> np.ndarray:
    """Return Lowe's descriptor at a point, upright, pixel by pixel: no matrix, no grid."""
    sums = np.zeros((4, 4, 8))
    height, width = image.shape

    def pixel(row: int, column: int) -> float:
        return float(image[min(max(row, 0), height - 1), min(max(column, 0), width - 1)])

    for row in range(height):
        for column in range(width):
            up = pixel(row - 1, column) - pixel(row + 1, column)
            right = pixel(row, column + 1) - pixel(row, column - 1)
            v, u = (row - y) / bin_size, (column - x) / bin_size
            window = np.exp(-(u * u + v * v) / (2 * 2**2))
            direction = (np.arctan2(up, right) / (2 * np.pi) * 8) % 8
            for i in range(4):
                for j in range(4):
                    share = max(0, 1 - abs(v - (i - 1.5))) * max(0, 1 - abs(u - (j - 1.5)))
                    for k in range(8):
                        away = min(abs(direction - k), 8 - abs(direction - k))
                        sums[i, j, k] += np.hypot(up, right) * window * share * max(0, 1 - away)
    vector = sums.ravel() / np.linalg.norm(sums)
    return np.minimum(vector, 0.2)


@pytest.mark.smoke
@pytest.mark.parametrize("bin_size", [2, 2.5])
def test_dense_sift_is_the_formula_summed_pixel_by_pixel(bin_size):
    image = rng().random((16, 13))
    found = DenseSift(step=3, bin_sizes=[bin_size]).describe(image[None])
    assert len(found.descriptors) > 3
    for (y, x), vector in zip(found.positions, found.descriptors, strict=True):
        wanted = sift_by_loops(image, y, x, bin_size)
        np.testing.assert_allclose(vector, np.sqrt(wanted / wanted.sum()), atol=2e-5)


def test_dense_sift_is_opencvs_at_the_same_points():
    cv2 = pytest.importorskip("cv2")
    from scipy.ndimage import gaussian_filter
    from skimage import data

    image = data.camera()[100:165, 200:265]  # a side for which the points of the grid are whole pixels
    # OpenCV smooths every image first, from a standard deviation of 0.5, which it assumes, to 1.6.
    smooth = gaussian_filter(image / 255, np.sqrt(1.6**2 - 0.5**2), mode="mirror")
    found = DenseSift(step=8, bin_sizes=[3]).describe(smooth[None])
    keypoints = [cv2.KeyPoint(float(x), float(y), 2.0, 0.0) for y, x in found.positions]  # 2 pixels: cells of 3
    _, theirs = cv2.SIFT_create().compute(image, keypoints)
    assert len(found.descriptors) == len(theirs) == 49
    similar = [np.corrcoef(a**2, b)[0, 1] for a, b in zip(found.descriptors, theirs, strict=True)]
    assert min(similar) > 0.9999


def test_the_grid_lies_in_the_middle_and_patches_lie_inside():
    found = DenseSift(step=3, bin_sizes=[2, 3]).describe(rng().random((2, 20, 25)))
    for bin_size in (2, 3):
        of_one = found.positions[(found.sizes == 4 * bin_size) & (found.images == 0)]
        low, high = of_one.min(axis=0), of_one.max(axis=0)
        np.testing.assert_allclose(low + high, [19, 24])
        assert (low - 2 * bin_size >= -0.5).all()
        assert set(np.diff(np.unique(of_one[:, 0])).round(9)) == {3}


def test_bytes_and_floats_of_a_picture_have_the_same_descriptors(photographs):
    for descriptor in (DenseSift(color="rgb"), Daisy()):
        bytes_ = descriptor.describe(photographs[:3]).descriptors
        floats = descriptor.describe(photographs[:3] / 255).descriptors
        np.testing.assert_allclose(bytes_, floats, atol=2e-5)


def test_three_channels_are_three_descriptors_side_by_side(photographs):
    together = DenseSift(color="rgb").describe(photographs[:2]).descriptors
    apart = [DenseSift().describe(photographs[:2, ..., channel]).descriptors for channel in range(3)]
    np.testing.assert_array_equal(together, np.hstack(apart))


def test_a_flat_patch_has_no_descriptor():
    image = np.full((1, 32, 32), 0.5)
    assert len(DenseSift().describe(image).descriptors) == 0
    image[0, 20:, 20:] = rng().random((12, 12))
    found = DenseSift(step=4, bin_sizes=[2]).describe(image)
    assert 0 < len(found.descriptors) < 49
    assert (found.positions.max(axis=1) > 14).all()


@pytest.mark.parametrize("engine", ["skimage", "opencv"])
def test_sift_finds_a_blob_where_it_is_and_nothing_in_a_flat_image(engine):
    if engine == "opencv":
        pytest.importorskip("cv2")
    y, x = np.indices((48, 48))
    blob = np.exp(-((y - 20) ** 2 + (x - 30) ** 2) / (2 * 4.0**2))
    found = Sift(engine=engine).describe(np.stack([np.zeros((48, 48)), blob, np.zeros((48, 48))]))
    assert set(found.images) == {1}
    assert np.abs(found.positions - [20, 30]).max(axis=1).min() < 1
    np.testing.assert_allclose(np.linalg.norm(found.descriptors, axis=1), 1, atol=1e-5)


def test_daisy_is_scikit_images():
    from skimage.feature import daisy

    image = rng().random((24, 20)).astype("float32")
    found = Daisy(step=3).describe(image[None])
    wanted = daisy(image, step=3, radius=7)
    np.testing.assert_allclose(found.descriptors, wanted.reshape(-1, 200), rtol=1e-6)
    np.testing.assert_array_equal(found.positions[[0, 1]], [[7, 7], [7, 10]])


# ------------------------------------------------------------------------------------------------------- encodings
@pytest.mark.smoke
def test_histogram_and_vlad_are_their_formulas():
    x, groups = points()
    words = rng(1).normal(size=(7, 5))
    counts, residuals = np.zeros((4, 7)), np.zeros((4, 7, 5))
    for vector, group in zip(x, groups, strict=True):
        nearest = int(np.argmin([np.sum((vector - word) ** 2) for word in words]))
        counts[group, nearest] += 1
        residuals[group, nearest] += vector - words[nearest]
    np.testing.assert_array_equal(encodings.histogram(x, groups, 4, words), counts)
    np.testing.assert_allclose(encodings.vlad(x, groups, 4, words), residuals.reshape(4, -1), atol=1e-12)
    assert not counts[3].any()


@pytest.fixture(scope="module")
def mixture() -> GaussianMixture:
    return GaussianMixture(3, covariance_type="diag", random_state=0).fit(rng(2).normal(size=(200, 5)))


@pytest.mark.smoke
def test_the_fisher_vector_is_its_formula(mixture):
    x, groups = points()
    wanted = np.zeros((4, 2, 3, 5))
    for vector, group in zip(x, groups, strict=True):
        density = [
            w * np.prod(np.exp(-((vector - m) ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v))
            for w, m, v in zip(mixture.weights_, mixture.means_, mixture.covariances_, strict=True)
        ]
        for k, posterior in enumerate(density / np.sum(density)):
            distance = (vector - mixture.means_[k]) / np.sqrt(mixture.covariances_[k])
            wanted[group, 0, k] += posterior * distance / np.sqrt(mixture.weights_[k])
            wanted[group, 1, k] += posterior * (distance**2 - 1) / np.sqrt(2 * mixture.weights_[k])
    np.testing.assert_allclose(encodings.fisher(x, groups, 4, mixture), wanted.reshape(4, -1), atol=1e-9)


def test_the_fisher_vector_is_scikit_images_but_for_a_sign_and_the_weights(mixture):
    from skimage.feature import fisher_vector

    x, _ = points()
    found = encodings.fisher(x, np.zeros(len(x), int), 1, mixture)[0] / len(x)
    theirs = fisher_vector(x, mixture)
    np.testing.assert_allclose(found[:15], theirs[3:18], atol=1e-9)
    np.testing.assert_allclose(found[15:], -theirs[18:], atol=1e-9)


def test_the_fisher_vector_of_the_mixtures_own_points_is_near_zero(mixture):
    x = mixture.sample(100_000)[0]
    found = encodings.fisher(x, np.zeros(len(x), int), 1, mixture) / len(x)
    assert np.abs(found).max() < 0.02  # at the maximum of the likelihood the gradient is 0


# --------------------------------------------------------------------------------------------------------- pyramid
def test_each_level_of_the_pyramid_counts_in_its_own_cells():
    positions = rng().random((200, 2)) * [12, 20] - 0.5
    finest = encodings.cells(positions, 12, 20, 3)
    levels = encodings.pool(np.bincount(finest, minlength=16)[None], 3)
    for level, found in enumerate(levels):
        side = 2**level
        wanted = np.zeros((side, side))
        for y, x in positions:
            wanted[int((y + 0.5) / 12 * side), int((x + 0.5) / 20 * side)] += 1
        np.testing.assert_array_equal(found[0], wanted.ravel())


def test_positions_at_the_border_are_in_the_outer_cells():
    corners = np.array([[-0.5, -0.5], [-0.5, 7.5], [7.5, -0.5], [7.5, 7.5], [9, -3]])
    assert encodings.cells(corners, 8, 8, 2).tolist() == [0, 1, 2, 3, 2]


# ------------------------------------------------------------------------------------------------- whole estimator
def by_loops(bag: BagOfVisualWords, image: np.ndarray) -> np.ndarray:
    """Return the vector of an image with a pyramid of two levels from the fitted words, cell by cell."""
    found = bag.describe(image[None])
    x = found.descriptors.astype("float64")
    if bag.pca:
        x = (x - bag.mean_.astype("float64")) @ bag.components_.T.astype("float64")
    parts = []
    for weight, cell in ((0.5, None), (0.5, (0, 0)), (0.5, (0, 1)), (0.5, (1, 0)), (0.5, (1, 1))):
        inside = np.ones(len(x), bool)
        if cell is not None:
            half = ((found.positions + 0.5) >= np.array(image.shape[:2]) / 2).astype(int)
            inside = (half == cell).all(axis=1)
        chosen = x[inside]
        if bag.encoding == "fisher":
            single = encodings.fisher(chosen, np.zeros(len(chosen), int), 1, bag.mixture_)[0]
            parts.append(weight * single / max(1, len(chosen)))
            continue
        words = bag.words_.astype("float64")
        nearest = np.argmin(((chosen[:, None] - words) ** 2).sum(axis=2), axis=1)
        if bag.encoding == "histogram":
            parts.append(weight * np.bincount(nearest, minlength=len(words)))
        else:
            parts.append(
                weight * np.stack([(chosen[nearest == k] - words[k]).sum(axis=0) for k in range(len(words))])
            )
    vector = np.concatenate([part.ravel() for part in parts])
    if bag.norm == "power":
        vector = np.sign(vector) * np.sqrt(np.abs(vector))
    if bag.norm is not None:
        vector /= np.abs(vector).sum() if bag.norm == "l1" else np.linalg.norm(vector)
    return vector


@pytest.mark.parametrize("norm", ["l1", "l2", "power"])
@pytest.mark.parametrize(("encoding", "pca"), [("histogram", None), ("vlad", 12), ("fisher", 12)])
def test_the_vector_of_an_image_is_its_formula(photographs, encoding, pca, norm):
    bag = BagOfVisualWords(
        DenseSift(step=5), vocabulary=6, encoding=encoding, pyramid_levels=2, norm=norm, pca=pca
    ).fit(photographs)
    found = bag.transform(photographs)
    assert found.dtype == np.float32
    assert found.shape == (40, 5 * 6 * {"histogram": 1, "vlad": 12, "fisher": 24}[encoding])
    for image, vector in zip(photographs[:4], found, strict=False):
        np.testing.assert_allclose(vector, by_loops(bag, image), atol=1e-6)


def test_without_a_norm_the_histogram_counts_all_points(photographs):
    bag = BagOfVisualWords(vocabulary=10, norm=None).fit(photographs)
    found = bag.transform(photographs)
    assert set(found.sum(axis=1)) == {len(bag.describe(photographs[:1]).descriptors)}
    words = bag.nearest_words(bag.describe(photographs[:1]).descriptors)
    np.testing.assert_array_equal(found[0], np.bincount(words, minlength=10))


@pytest.mark.parametrize("descriptor", [DenseSift(step=8), Daisy(step=12)], ids=["threads", "processes"])
def test_blocks_threads_and_processes_change_nothing(descriptor):
    images = rng().integers(0, 256, (130, 32, 32)).astype("uint8")  # three blocks
    bag = BagOfVisualWords(descriptor, vocabulary=8, encoding="vlad").fit(images)
    together = bag.transform(images)
    two = clone(bag).set_params(n_jobs=2).fit(images)
    np.testing.assert_allclose(two.words_, bag.words_, atol=1e-5)
    np.testing.assert_allclose(bag.set_params(n_jobs=2).transform(images), together, atol=1e-6)
    found = bag.describe(images)
    assert found.images.max() == 129
    assert (np.diff(found.images) >= 0).all()
    order = rng(1).permutation(len(images))
    np.testing.assert_allclose(bag.transform(images[order]), together[order], atol=1e-6)
    np.testing.assert_allclose(bag.transform(images[5:6]), together[5:6], atol=1e-6)


@pytest.mark.parametrize("each", [1, 3])
def test_the_words_are_made_of_as_many_descriptors_of_each_image(each):
    powers = 2.0 ** np.arange(
        8
    )  # of an image all 16 descriptors are one number: their mean tells how many there are
    images = (powers[:, None, None, None] * np.ones((1, 4, 4, 1))).astype("float32")
    bag = BagOfVisualWords(lambda x: x, vocabulary=1, pca=1, max_descriptors=8 * each).fit(images)
    assert bag.mean_.tolist() == [powers.mean()]


def test_an_image_without_keypoints_becomes_zero():
    images = np.zeros((3, 48, 48))
    images[1] = np.kron(rng().random((12, 12)), np.ones((4, 4)))
    bag = BagOfVisualWords("sift", vocabulary=2, norm="l1").fit(images)
    np.testing.assert_allclose(bag.transform(images).sum(axis=1), [0, 1, 0], atol=1e-6)
    fisher = BagOfVisualWords("dense_sift", vocabulary=2, encoding="fisher", pyramid_levels=2).fit(images)
    found = fisher.transform(images)
    assert not found[[0, 2]].any()
    assert np.isfinite(found).all()


def test_each_classifier_learns_digits_from_its_vectors(digits):
    bag = BagOfVisualWords(DenseSift(step=4), vocabulary=24, pyramid_levels=2, norm="l1").fit(digits.x_train)
    vectors, held_out = bag.transform(digits.x_train), bag.transform(digits.x_test)
    for classifier in (SVC(), SVC(kernel=histogram_intersection), KNeighborsClassifier(3)):
        assert classifier.fit(vectors, digits.y_train).score(held_out, digits.y_test) > 0.75


def test_cross_validation_and_grid_search_reach_the_options_of_the_descriptor(digits):
    model = make_pipeline(BagOfVisualWords(DenseSift(step=8), vocabulary=8, max_descriptors=2000), SVC())
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    assert cross_val_score(model, digits.x_train, digits.y_train, cv=folds).shape == (2,)
    choices = [
        {"bagofvisualwords__vocabulary": [2]},
        {"bagofvisualwords__vocabulary": [16], "bagofvisualwords__descriptor__bin_sizes": [(3,)]},
    ]
    search = GridSearchCV(model, choices, cv=2, error_score="raise").fit(digits.x_train, digits.y_train)
    assert search.best_params_["bagofvisualwords__vocabulary"] == 16
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()


def test_one_class_is_the_classifiers_affair(digits):
    same = np.zeros(len(digits.x_train))
    with pytest.raises(ValueError, match="number of classes has to be greater than one"):
        make_pipeline(BagOfVisualWords(vocabulary=4), SVC()).fit(digits.x_train, same)


def test_a_callable_may_return_maps_whose_points_lie_evenly(photographs):
    def maps(images: np.ndarray) -> np.ndarray:
        return images.reshape(len(images), 4, 8, 4, 8, 3).mean(axis=(2, 4))

    found = BagOfVisualWords(maps, vocabulary=4, pyramid_levels=3, norm=None).fit_transform(photographs)
    np.testing.assert_array_equal(found[:, :4].sum(axis=1), np.full(40, 16 * 0.25))
    np.testing.assert_array_equal(found[:, 20:].reshape(40, 16, 4).sum(axis=2), np.full((40, 16), 0.5))


def test_images_of_other_kinds_have_the_same_vectors(photographs):
    bag = BagOfVisualWords(DenseSift(step=8), vocabulary=4).fit(photographs)
    expected = bag.transform(photographs[:5])
    for images in (photographs[:5].tolist(), photographs[:5].astype("int64")):
        np.testing.assert_array_equal(bag.transform(images), expected)


# What of scikit-learn's `check_estimator` needs no table of numbers: interface, parameters, tags. The others make
# a table (samples, features), which is no image; what they claim is tested on images below. `check_estimator`
# itself runs the first of these only, because of the tag that says so.
CHECKS = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_mixin_order",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", [BagOfVisualWords, DenseSift, Sift, Daisy])
def test_scikit_learn_finds_its_interface(kind, check):
    if not hasattr(kind, "fit") and check in ("check_estimator_tags_renamed", "check_mixin_order"):
        pytest.skip("a descriptor is not fitted")
    getattr(estimator_checks, check)(kind.__name__, kind())


@pytest.mark.filterwarnings("ignore:Can't test estimator")
def test_check_estimator_passes():
    estimator_checks.check_estimator(BagOfVisualWords())


@pytest.mark.parametrize("encoding", ["histogram", "vlad", "fisher"])
def test_what_scikit_learn_checks_on_tables_holds_for_images(photographs, encoding):
    bag = BagOfVisualWords(DenseSift(step=6), vocabulary=4, encoding=encoding, pca=8)
    with pytest.raises(NotFittedError):
        bag.transform(photographs)
    options = bag.get_params()
    frozen = photographs.copy()
    frozen.setflags(write=False)
    assert bag.fit(frozen, np.zeros(40)) is bag
    assert {name: bag.get_params()[name] for name in options} == options
    before = dict(vars(bag))
    found = bag.transform(frozen)
    assert vars(bag) == before
    np.testing.assert_array_equal(bag.fit(photographs).transform(photographs), found)  # fitted again
    np.testing.assert_array_equal(clone(bag).fit_transform(photographs), found)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(bag)).transform(photographs), found)
    np.testing.assert_allclose(bag.transform(np.asfortranarray(photographs)), found, atol=1e-6)
    np.testing.assert_allclose(bag.transform(photographs[::-1])[::-1], found, atol=1e-6)
    np.testing.assert_allclose(
        np.concatenate([bag.transform(photographs[i : i + 1]) for i in range(8)]), found[:8], atol=1e-6
    )


# ------------------------------------------------------------------------------------------------------ bad inputs
IMAGES = np.zeros((2, 32, 32), "uint8")
NOISE = rng().integers(0, 256, (3, 32, 32)).astype("uint8")


@pytest.mark.parametrize(
    ("options", "images", "error", "texts"),
    [
        ({"descriptor": "hog"}, NOISE, ValueError, ["descriptor", "'dense_sift', 'sift' or 'daisy'", "'hog'"]),
        ({"encoding": "bow"}, NOISE, ValueError, ["encoding", "'bow'"]),
        ({"norm": "l3"}, NOISE, ValueError, ["norm", "'l3'"]),
        ({"vocabulary": 0}, NOISE, ValueError, ["vocabulary", "at least 1"]),
        ({"vocabulary": 2.0}, NOISE, TypeError, ["vocabulary", "2.0"]),
        ({"pyramid_levels": 6}, NOISE, ValueError, ["pyramid_levels", "from 1 to 5"]),
        ({"pca": 129}, NOISE, ValueError, ["pca", "at most 128"]),
        ({"max_descriptors": 0}, NOISE, ValueError, ["max_descriptors"]),
        ({"vocabulary": 5000}, NOISE, ValueError, ["vocabulary", "at most 870", "5000"]),
        ({"descriptor": "sift"}, IMAGES, ValueError, ["images", "at least one has a keypoint", "dense_sift"]),
        ({}, IMAGES, ValueError, ["images", "at least one has a keypoint"]),
        ({"descriptor": Sift(engine="vlfeat")}, NOISE, ValueError, ["engine", "Sift", "'vlfeat'"]),
        ({"descriptor": DenseSift(bin_sizes=[9])}, NOISE, ValueError, ["bin_sizes", "32x32", "[9]"]),
        ({"descriptor": DenseSift(bin_sizes=3)}, NOISE, TypeError, ["bin_sizes", "a list"]),
        ({"descriptor": DenseSift(step=0)}, NOISE, ValueError, ["step", "DenseSift"]),
        ({"descriptor": DenseSift(color="hsv")}, NOISE, ValueError, ["color", "'hsv'"]),
        ({"descriptor": Daisy()}, NOISE[:, :14], ValueError, ["images", "Daisy", "14 pixels"]),
        ({}, NOISE.astype("int64") - 1, ValueError, ["images", "uint8, or floats", "from -1 to"]),
        ({}, "photographs", TypeError, ["images"]),
        ({}, NOISE[0], ValueError, ["images", "[None]"]),
        ({}, np.zeros((8, 8, 3), "uint8"), ValueError, ["images", "[None]"]),
        ({}, np.zeros((2, 8, 8, 4), "uint8"), ValueError, ["images", "1 or 3 channels"]),
        ({}, NOISE[:0], ValueError, ["images", "(0, 32, 32)"]),
        ({}, NOISE.astype(float), ValueError, ["images", "floats from 0 to 1", "astype('uint8')"]),
        ({}, NOISE.astype(int) + 1, ValueError, ["images", "uint8, or floats", "to 256"]),
        ({}, NOISE.astype(int) - 1, ValueError, ["images", "uint8, or floats", "from -1"]),
        ({}, NOISE / 255 - 2e-5, ValueError, ["images", "floats from 0 to 1"]),
        ({}, NOISE / 255 + 2e-5, ValueError, ["images", "floats from 0 to 1"]),
        ({}, np.full((2, 32, 32), np.nan), ValueError, ["images", "finite", "nan"]),
        ({"descriptor": lambda x: x}, np.full((2, 8, 8), np.inf), ValueError, ["images", "finite", "inf"]),
        ({"descriptor": lambda x: x[0]}, NOISE, ValueError, ["descriptor", "(3, rows, columns, dimensions)"]),
        ({"descriptor": lambda x: None}, NOISE, TypeError, ["descriptor", "a callable that returns"]),
        ({"descriptor": lambda x: x[..., None] * np.nan}, NOISE, ValueError, ["descriptor"]),
        ({"descriptor": lambda x: x * np.nan}, NOISE, ValueError, ["descriptor", "finite"]),
    ],
)
def test_what_is_wrong_is_named(options, images, error, texts):
    with pytest.raises(error) as caught:
        BagOfVisualWords(**options).fit(images)
    for text in texts:
        assert text in str(caught.value)


def test_a_callable_that_changes_its_width_is_named(photographs):
    bag = BagOfVisualWords(lambda x: x[:, ::8, ::8], vocabulary=3).fit(photographs)
    with pytest.raises(ValueError, match=r"`descriptor` of `BagOfVisualWords`.*3 dimensions"):
        bag.transform(photographs[..., :2])


def test_opencv_that_is_asked_for_and_missing_is_an_import_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=r"kerascv_course\[fast\]"):
        BagOfVisualWords(Sift(engine="opencv")).fit(NOISE)
    assert len(Sift().describe(NOISE).images)  # by scikit-image


# --------------------------------------------------------------------------------------------------------- kernels
@pytest.mark.smoke
def test_histogram_intersection_is_the_sum_of_the_smaller_counts():
    x, y = rng().random((7, 5)), rng(1).random((4, 5))
    wanted = np.array([[sum(min(a, b) for a, b in zip(row, other, strict=True)) for other in y] for row in x])
    np.testing.assert_allclose(histogram_intersection(x, y), wanted, atol=1e-12)
    np.testing.assert_allclose(np.diag(histogram_intersection(x)), x.sum(axis=1))
    counts = np.array([[3, 0, 2], [1, 1, 1]])
    assert histogram_intersection(counts, counts).tolist() == [[5, 2], [2, 3]]


@pytest.mark.parametrize(
    ("x", "y", "error", "text"),
    [
        ([["a"]], None, ValueError, "float"),
        ([1.0], None, ValueError, "2D array"),
        ([[-1.0]], None, ValueError, "Negative values"),
        ([[np.nan]], None, ValueError, "NaN"),
        ([[1.0, 2.0]], [[1.0]], ValueError, "Incompatible dimension"),
    ],
)
def test_what_is_no_histogram_is_named(x, y, error, text):
    with pytest.raises(error) as caught:
        histogram_intersection(x, y)
    assert text in str(caught.value)


# ------------------------------------------------------------------------------------------------------- real data
@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.skipif(not REAL_DATA, reason="KERASCV_COURSE_DATA is not set: no real CIFAR-10 to read")
def test_real_cifar10_is_told_apart_by_visual_words(monkeypatch):
    monkeypatch.setenv("KERASCV_COURSE_DATA", REAL_DATA)
    if find_cifar10() is None:
        pytest.skip("KERASCV_COURSE_DATA holds no CIFAR-10")
    data = load_cifar10().subset(per_class=100, test_per_class=50)
    bag = BagOfVisualWords(vocabulary=16, encoding="vlad", pyramid_levels=2, norm="power", pca=48)
    model = make_pipeline(bag, SVC(kernel="linear")).fit(data.x_train, data.y_train)
    assert (
        model.score(data.x_test, data.y_test) > 0.42
    )  # 0.28 for the nearest training image, with 500 of each class


# ---------------------------------------------------------------------------------------------- images of any size
def of_several_sizes(images: np.ndarray) -> list[np.ndarray]:
    """Return the images cut to sizes that alternate."""
    sides = [(32, 32), (32, 32), (20, 28), (24, 18)]
    return [image[: sides[place % 4][0], : sides[place % 4][1]] for place, image in enumerate(images)]


@pytest.mark.parametrize("options", [{"pyramid_levels": 2}, {"encoding": "vlad", "pca": 8, "n_jobs": 2}])
def test_images_of_different_sizes_have_the_vectors_that_each_has_alone(photographs, options):
    images = of_several_sizes(photographs[:8])
    bag = BagOfVisualWords(vocabulary=8, **options).fit(images)
    found = bag.transform(images)
    alone = np.concatenate([bag.transform(image[None]) for image in images])
    np.testing.assert_allclose(found, alone, atol=1e-6)
    in_object_array = np.empty(len(images), object)
    in_object_array[:] = images
    np.testing.assert_array_equal(bag.transform(in_object_array), found)
    described = bag.describe(images)
    assert np.unique(described.images).tolist() == list(range(8))
    for place, image in enumerate(images):
        np.testing.assert_allclose(
            described.descriptors[described.images == place], bag.describe(image[None]).descriptors
        )


def test_a_list_of_images_of_one_size_is_their_array(photographs):
    bag = BagOfVisualWords(vocabulary=8)
    np.testing.assert_array_equal(
        bag.fit_transform(list(photographs[:8])), clone(bag).fit_transform(photographs[:8])
    )


def test_images_of_different_sizes_are_cross_validated(photographs):
    images, labels = of_several_sizes(photographs[:8]), np.arange(8) % 2
    model = make_pipeline(BagOfVisualWords(DenseSift(step=8), vocabulary=2), KNeighborsClassifier(1))
    assert cross_val_score(model, images, labels, cv=2).shape == (2,)


@pytest.mark.parametrize(
    ("images", "text"),
    [
        ([np.zeros((20, 20)), np.zeros((20, 20, 3))], "all grey or all in colour"),
        ([np.zeros((20, 20)), np.zeros(20)], "shape \\(n, height, width\\)"),
        ([], "shape \\(n, height, width\\)"),
        ([np.zeros((20, 20)), np.full((24, 20), 2.0)], "floats from 0 to 1"),
    ],
)
def test_a_list_of_what_are_no_images_is_refused(images, text):
    with pytest.raises((ValueError, TypeError), match=rf"`images` of `BagOfVisualWords` must be .*{text}"):
        BagOfVisualWords().fit(images)
