"""The eight-scene set in the forms in which it is handed around."""

import collections

import numpy as np
import pytest
from PIL import Image

from kerascv_course.datasets.scenes import load_scenes

CLASSES = ("coast", "forest", "highway", "insidecity", "mountain", "opencountry", "street", "tallbuilding")
IN_LORENTES_COPY = (
    "Opencountry",
    "coast",
    "forest",
    "highway",
    "inside_city",
    "mountain",
    "street",
    "tallbuilding",
)
# The counts of the published set: 2,688 images.
PUBLISHED = (360, 328, 260, 308, 374, 410, 292, 356)


def write(file, value=0, size=(4, 4)):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(file)


def write_flat(folder, counts=(10,) * 8):
    """Write files side by side; the grey value of an image is its class times 20."""
    for label, (name, count) in enumerate(zip(CLASSES, counts, strict=True)):
        for index in range(count):
            write(folder / f"{name}_art{index}.png", 20 * label)


@pytest.mark.smoke
def test_class_is_read_from_the_file_name(tmp_path):
    write_flat(tmp_path)
    data = load_scenes(tmp_path, image_size=4)
    assert data.class_names == CLASSES
    assert data.name == "scenes"
    np.testing.assert_array_equal(data.x_train[:, 0, 0, 0], 20 * data.y_train)
    np.testing.assert_array_equal(data.x_test[:, 0, 0, 0], 20 * data.y_test)
    assert np.bincount(data.y_train).tolist() == [7] * 8
    assert np.bincount(data.y_test).tolist() == [3] * 8


@pytest.mark.parametrize(
    ("file", "label"),
    [
        ("coast_art1130.jpg", 0),
        ("Opencountry_fie26.jpg", 5),
        ("inside_city12.jpg", 3),
        ("insidecity_hous32.jpg", 3),
        ("tall building_1.jpg", 7),
        ("street1.jpg", 6),
    ],
)
def test_names_of_every_known_spelling_are_understood(tmp_path, file, label):
    write_flat(tmp_path, (4,) * 8)
    for index in range(16):  # so many that some are in each part
        name, suffix = file.split(".")
        write(tmp_path / f"{name}{index:02d}.{suffix}", 200)
    data = load_scenes(tmp_path, image_size=4)
    labels = np.concatenate([data.y_train, data.y_test])
    images = np.concatenate([data.x_train, data.x_test])
    assert set(labels[images[:, 0, 0, 0] == 200].tolist()) == {label}
    assert (labels == label).sum() == 20


def test_complete_set_splits_into_1881_and_807_and_a_tiny_set_of_400(tmp_path):
    write_flat(tmp_path, PUBLISHED)
    data = load_scenes(tmp_path, image_size=4)
    assert (len(data.x_train), len(data.x_test)) == (1881, 807)
    shares = np.bincount(data.y_test) / PUBLISHED
    np.testing.assert_allclose(shares, 807 / 2688, atol=0.003)
    tiny = data.subset(per_class=50)
    assert collections.Counter(tiny.y_train.tolist()) == dict.fromkeys(range(8), 50)
    assert len(tiny.x_train) == 400
    assert "not by the original lists" in data.source


def test_flat_split_is_always_the_same(tmp_path):
    for index in range(10):
        for label, name in enumerate(CLASSES):
            write(tmp_path / f"{name}_a{index}.png", 10 * label + index)
    first, second = load_scenes(tmp_path, image_size=4), load_scenes(tmp_path, image_size=(4, 5))
    np.testing.assert_array_equal(first.x_test[:, 0, 0, 0], second.x_test[:, 0, 0, 0])
    assert len(set(first.x_test[:, 0, 0, 0].tolist()) & set(first.x_train[:, 0, 0, 0].tolist())) == 0


@pytest.mark.smoke
def test_train_and_test_folders_keep_their_split_and_the_usual_class_order(tmp_path):
    for name in IN_LORENTES_COPY:
        label = CLASSES.index(name.replace("_", "").lower())
        write(tmp_path / "train" / name / "art1.png", 20 * label)
        write(tmp_path / "train" / name / "art2.png", 20 * label)
        write(tmp_path / "test" / name / "art3.png", 20 * label + 1)
    data = load_scenes(tmp_path, image_size=4)
    assert data.class_names == CLASSES
    np.testing.assert_array_equal(data.x_train[:, 0, 0, 0], 20 * data.y_train)
    np.testing.assert_array_equal(data.x_test[:, 0, 0, 0], 20 * data.y_test + 1)
    assert data.class_counts == dict.fromkeys(CLASSES, 2)
    assert data.source.endswith("split by its folders train and test")


def test_class_folders_without_test_are_split_by_the_seed(tmp_path):
    for name in CLASSES:
        for index in range(10):
            write(tmp_path / name / f"{index}.png")
    data = load_scenes(tmp_path, image_size=4)
    assert (len(data.x_train), len(data.x_test)) == (56, 24)
    assert "not by the original lists" in data.source


def test_file_without_a_scene_in_its_name_can_be_skipped(tmp_path):
    write_flat(tmp_path)
    write(tmp_path / "coastal_view.png")
    write(tmp_path / "holiday.png")
    with pytest.raises(ValueError, match=r"2 files at fault: coastal_view\.png \(no scene in its name\); holiday"):
        load_scenes(tmp_path, image_size=4)
    data = load_scenes(tmp_path, image_size=4, on_error="skip")
    assert len(data.x_train) + len(data.x_test) == 80
    assert data.skipped == ("coastal_view.png (no scene in its name)", "holiday.png (no scene in its name)")


def no_streets(folder):
    write_flat(folder)
    for file in folder.glob("street*"):
        file.unlink()


def other_classes(folder):
    for name in ("cat", *CLASSES[1:]):
        write(folder / name / "1.png")


def one_of_a_class(folder):
    write_flat(folder, (10, 1, *(10,) * 6))


def broken_file(folder):
    write_flat(folder)
    (folder / "forest_x1.jpg").write_bytes(b"no image")


@pytest.mark.parametrize(
    ("prepare", "arguments", "error", "message"),
    [
        (lambda folder: None, {}, ValueError, r"named like .*No image of: coast, forest"),
        (no_streets, {}, ValueError, r"No image of: street\."),
        (other_classes, {}, ValueError, r"eight scenes\. Received: .*Missing classes: coast; unknown: cat\."),
        (one_of_a_class, {}, ValueError, r"every class in both parts"),
        (broken_file, {}, ValueError, r"1 file at fault: forest_x1\.jpg \(unreadable"),
        (write_flat, {"image_size": 0}, ValueError, r"`image_size` of `load_scenes` .*image_size=0"),
        (write_flat, {"on_error": "ignore"}, ValueError, r"`on_error` of `load_scenes` .* 'raise' or 'skip'"),
    ],
)
def test_what_is_not_the_eight_scenes_is_an_error(tmp_path, prepare, arguments, error, message):
    prepare(tmp_path)
    with pytest.raises(error, match=message):
        load_scenes(tmp_path, **arguments)


@pytest.mark.parametrize(
    ("path", "error"), [("no/such/folder", FileNotFoundError), (5, TypeError), (__file__, NotADirectoryError)]
)
def test_path_that_is_no_folder_is_an_error(path, error):
    with pytest.raises(error, match=r"`path` of `load_scenes` must be an? (existing )?(folder|path)"):
        load_scenes(path)
