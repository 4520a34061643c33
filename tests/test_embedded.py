"""The sets that need no network (patches, faces), their copy in `data/`, and loading a set by its name."""

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import skimage
import skimage.data
from PIL import Image

from kerascv_course.datasets import ImageDataset, cifar10, load_faces, registry
from kerascv_course.datasets.patches import _PHOTOGRAPHS, _columns, colour_baseline, load_patches
from kerascv_course.datasets.registry import load, missing

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def patches():
    return load_patches()


@pytest.fixture
def no_cifar10(monkeypatch, tmp_path):
    def no_network(file):
        raise AssertionError("the download was called")

    monkeypatch.delenv("KERASCV_COURSE_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras_home"))
    monkeypatch.setattr(cifar10, "fetch", no_network)


# The patches


@pytest.mark.smoke
def test_patches_are_the_same_bytes_on_every_platform(patches):
    assert patches.x_train.shape == (2000, 32, 32, 3)
    assert patches.x_test.shape == (500, 32, 32, 3)
    digest = hashlib.sha256(patches.x_train.tobytes() + patches.x_test.tobytes()).hexdigest()
    assert digest == "86ffcff30fc6e15293657dc5808f9ef0b05224f0e1d8f0578806c335d7f391d5"


def test_any_ten_patches_in_a_row_have_all_classes(patches):
    for labels in (patches.y_train, patches.y_test):
        assert (np.sort(labels.reshape(-1, 10)) == np.arange(10)).all()


def test_photographs_of_the_patches_lie_in_the_package_folder():
    files = {"cat": "chelsea", "immunohistochemistry": "ihc"}
    folder = Path(skimage.__file__).parent / "data"
    for function in _PHOTOGRAPHS.values():
        with Image.open(folder / f"{files.get(function, function)}.png") as image:
            np.testing.assert_array_equal(np.asarray(image), getattr(skimage.data, function)())


@pytest.mark.parametrize("width", [384, 448, 451, 512, 600])
def test_no_column_is_in_training_and_test_crops(width):
    train, test = ({left + x for left in _columns(width, split) for x in range(32)} for split in ("train", "test"))
    assert min(abs(a - b) for a in train for b in test) > 8
    assert len(train) > 0.5 * width
    assert max(train | test) < width


def test_colour_says_little_about_the_patches_and_texture_much(patches):
    from skimage.feature import local_binary_pattern
    from sklearn.linear_model import LogisticRegression

    colour = colour_baseline(patches)
    assert colour < 0.16  # chance is 0.1

    def codes(images):
        grey = images.astype("uint16").sum(axis=3)
        patterns = [local_binary_pattern(image, 8, 1, "uniform").astype(int).ravel() for image in grey]
        return np.stack([np.bincount(pattern, minlength=10) / 1024 for pattern in patterns])

    model = LogisticRegression(C=1000, max_iter=1000).fit(codes(patches.x_train), patches.y_train)
    assert model.score(codes(patches.x_test), patches.y_test) > 0.45


def test_no_patch_is_in_both_sets_or_flat(patches):
    train, test = ({image.tobytes() for image in images} for images in (patches.x_train, patches.x_test))
    assert (len(train), len(test), len(train & test)) == (2000, 500, 0)
    assert patches.x_train.std(axis=(1, 2)).min() > 8  # the clipped ones are flatter than they were drawn


def test_channels_of_a_patch_are_one_grey_image_in_every_class(patches):
    seen = set()
    for image, label in zip(patches.x_train, patches.y_train, strict=True):
        if image.min() > 0 and image.max() < 255:  # nothing clipped: what is left is rounding
            assert np.corrcoef(image.reshape(-1, 3).T).min() > 0.99
            seen.add(label)
    assert len(seen) == 10


# The baseline


def two_colours(**changes):
    images = np.zeros((8, 4, 4, 3), "uint8")
    images[::2, ..., 0] = 200
    images[1::2, ..., 2] = 200
    fields = {"x_train": images, "y_train": np.arange(8) % 2, "x_test": images, "y_test": np.arange(8) % 2}
    return ImageDataset(**{**fields, **changes}, class_names=("red", "blue"), name="toy", source="a test")


def test_colour_baseline_reads_colour_and_not_the_arrangement_of_pixels():
    assert colour_baseline(two_colours()) == 1
    halves = np.zeros((8, 4, 4, 1), "uint8")
    halves[::2, :2] = 255
    halves[1::2, :, :2] = 255
    assert colour_baseline(two_colours(x_train=halves, x_test=halves)) == 0.5


# The faces


@pytest.mark.smoke
def test_faces_are_split_evenly_and_keep_the_crops_at_their_own_size():
    data = load_faces()
    assert np.bincount(data.y_train).tolist() == [75, 75]
    assert np.bincount(data.y_test).tolist() == [25, 25]
    crops = np.rint(skimage.data.lfw_subset() * 255).astype("uint8")
    assert crops.max() == 255
    faces = np.concatenate([data.x_train[data.y_train == 1], data.x_test[data.y_test == 1]])[..., 0]
    assert sorted(face.tobytes() for face in faces) == sorted(crop.tobytes() for crop in crops[:100])


# By name


@pytest.mark.smoke
def test_fallback_is_used_and_said_where_cifar10_is_not_at_hand(no_cifar10):
    data = load("cifar10", fallback="patches")
    assert data.name == "patches (in place of cifar10, which is not at hand)"
    assert "patches (in place of cifar10" in repr(data)
    assert data.x_train.shape == (2000, 32, 32, 3)
    assert load("cifar10", fallback="digits").subset(5).name.startswith("digits (in place of cifar10, which")


@pytest.mark.parametrize("options", [{}, {"download": "always", "fallback": "patches"}])
def test_without_fallback_or_always_cifar10_is_downloaded(no_cifar10, options):
    with pytest.raises(AssertionError, match="the download was called"):
        load("cifar10", **options)


def no_connection(file, tries):
    assert (file.path, tries) == ("cifar-10-python.tar.gz", 1)  # a student does not wait for five
    raise ConnectionError("no network")


@pytest.mark.smoke
def test_a_download_that_is_only_tried_gives_way_to_the_fallback_without_a_network(no_cifar10, monkeypatch):
    monkeypatch.setattr(registry, "fetch", no_connection)
    data = load("cifar10", fallback="patches", download="if possible")
    assert data.name == "patches (in place of cifar10, which is not at hand)"


def test_a_download_that_succeeds_leaves_the_fallback_alone(no_cifar10, monkeypatch):
    record = two_colours()
    monkeypatch.setattr(registry, "fetch", lambda file, tries: None)
    monkeypatch.setattr(registry, "load_cifar10", lambda: record)
    assert load("cifar10", fallback="patches", download="if possible") is record


def test_what_is_missing_is_named_by_the_name_that_the_command_takes(no_cifar10, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    assert list(missing("cifar10", "mobilenet_v2_96", "inception_v3")) == [
        "cifar10",
        "mobilenet_v2_96",
        "inception_v3",
    ]
    assert "(9 MB)" in missing("mobilenet_v2_96")["mobilenet_v2_96"]
    (tmp_path / "MobileNetV2_notop.h5").touch()  # a file of one's own choice
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(tmp_path))
    monkeypatch.setattr(registry, "find_cifar10", lambda: tmp_path)
    assert list(missing("cifar10", "mobilenet_v2_96", "inception_v3")) == ["inception_v3"]


def test_without_a_fallback_the_way_out_is_to_download_always(no_cifar10, monkeypatch):
    monkeypatch.setattr(registry, "fetch", no_connection)
    for download in ("never", "if possible"):
        with pytest.raises(ValueError, match="`download` of `load` must be 'always' where there is no `fallback`"):
            load("cifar10", download=download)


def test_cifar10_at_hand_is_loaded_and_the_fallback_left_alone(monkeypatch):
    record = two_colours()
    monkeypatch.setattr(registry, "find_cifar10", lambda: Path("anywhere"))
    monkeypatch.setattr(registry, "load_cifar10", lambda: record)
    assert load("cifar10", fallback="patches") is record


@pytest.mark.parametrize("name", ["mnist", "digits", "patches", "faces"])
def test_embedded_sets_are_loaded_by_name_and_never_replaced(no_cifar10, name):
    assert load(name, fallback="faces").name == name


# The copy in `data/`


def test_copy_in_the_repository_is_what_the_script_makes(patches, tmp_path):
    specification = importlib.util.spec_from_file_location("make_patches", DATA / "make_patches.py")
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    script.main(tmp_path / "patches")
    made = sorted(file.relative_to(tmp_path) for file in tmp_path.rglob("*.png"))
    kept = sorted(file.relative_to(DATA) for file in (DATA / "patches").rglob("*.png"))
    assert made == kept
    assert len(kept) == 120
    assert sum((DATA / file).stat().st_size for file in kept) < 500_000
    for file in kept:
        images, labels = getattr(patches, f"x_{file.parts[1]}"), getattr(patches, f"y_{file.parts[1]}")
        crop = images[labels == patches.class_names.index(file.parts[2])][int(file.stem)]
        for folder in (DATA, tmp_path):  # pixels: the bytes of a PNG depend on the version of its compressor
            with Image.open(folder / file) as image:
                np.testing.assert_array_equal(np.asarray(image), crop)


# Bad input


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: load("cifar"),
            ValueError,
            r"`name` of `load` must be 'cifar10', 'mnist', 'digits', 'patches' or 'faces'",
        ),
        (lambda: load(None), ValueError, r"`name` of `load` .*Received: name=None"),
        (lambda: load(["digits"]), ValueError, r"`name` of `load` .*Received: name=\['digits'\]"),
        (
            lambda: load("cifar10", fallback="cifar10"),
            ValueError,
            r"`fallback` of `load` .* None, 'mnist', 'digits', 'pa",
        ),
        (
            lambda: load("cifar10", download=True),
            ValueError,
            r"`download` of `load` must be None, 'always', 'if po",
        ),
        (lambda: missing("cifar"), ValueError, r"`names` of `missing` must be 'cifar10'.*Did you mean 'cifar10'"),
        (lambda: load("digits", fallback="patch"), ValueError, r"`fallback` of `load` .*fallback='patch'"),
        (lambda: colour_baseline("patches"), TypeError, r"`data` of `colour_baseline` must be an ImageDataset"),
        (lambda: colour_baseline(two_colours(y_train=np.zeros(8, int))), ValueError, "at least 2 classes"),
    ],
)
def test_bad_input_is_an_error_that_names_it(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_course_data_that_is_no_folder_is_an_error_and_no_reason_for_the_fallback(monkeypatch, tmp_path):
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(tmp_path / "absent"))
    with pytest.raises(FileNotFoundError, match="KERASCV_COURSE_DATA"):
        load("cifar10", fallback="patches")
