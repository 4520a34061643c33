"""Class folders of a user's own images: what is read, what is refused, and what is said about it."""

import contextlib
import io
import os
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from joblib.externals import loky
from PIL import Image

from kerascv_course.datasets import ImageDataset, decode, folders, load_image_folder
from kerascv_course.datasets.decode import PixelRule, decode_chunk, decode_files
from kerascv_course.datasets.split import split_validation


def save(file, content=0, mode="RGB", size=(4, 4), **options):
    """Write an image file: of one colour, or of an array."""
    file.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(content) if isinstance(content, np.ndarray) else Image.new(mode, size, content)
    image.save(file, **options)


def write_classes(folder, counts=(5, 5), names=("cat", "dog"), suffix="png"):
    """Write grey images whose value is 100 times the class plus their index."""
    for label, (name, count) in enumerate(zip(names, counts, strict=True)):
        for index in range(count):
            value = 100 * label + index
            save(folder / name / f"{index:03d}.{suffix}", (value, value, value))


def write_splits(folder, train=3, test=2, names=("cat", "dog")):
    for split, count in (("train", train), ("test", test)):
        write_classes(folder / split, (count,) * len(names), names)


def decode_one(file, height=4, width=4, channels=3):
    """Return what an image file becomes."""
    images, faults = decode_files([str(file)], PixelRule(height, width, channels))
    assert faults == {}
    return images[0]


def png(width, height, rows=b""):
    """Return a PNG file with a header of its own."""

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


# Layout, order, split


@pytest.mark.smoke
def test_train_and_test_folders_are_read_in_the_order_of_their_names(tmp_path):
    for split, values in (("train", (30, 10, 20)), ("test", (40, 50))):
        for name, add in (("dog", 100), ("cat", 0)):
            for value in values:
                save(tmp_path / "pets" / split / name / f"{value}.png", (value + add,) * 3)
    data = load_image_folder(tmp_path / "pets", image_size=4)
    assert data.class_names == ("cat", "dog")
    assert data.x_train[:, 0, 0, 0].tolist() == [10, 20, 30, 110, 120, 130]
    assert data.y_train.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.x_test[:, 0, 0, 0].tolist() == [40, 50, 140, 150]
    assert data.y_test.tolist() == [0, 0, 1, 1]
    assert data.y_train.dtype == np.int64
    assert (data.name, data.source) == ("pets", f"the folder {tmp_path / 'pets'}")


@pytest.mark.smoke
@pytest.mark.parametrize("below", ["", "train"])
def test_without_a_test_folder_a_share_of_each_class_is_for_testing(tmp_path, below):
    write_classes(tmp_path / below, (20, 10))
    data = load_image_folder(tmp_path, image_size=4, test_split=0.3)
    assert np.bincount(data.y_train).tolist() == [14, 7]
    assert np.bincount(data.y_test).tolist() == [6, 3]
    values = np.concatenate([data.x_train, data.x_test])[:, 0, 0, 0]
    assert sorted(values.tolist()) == [*range(20), *range(100, 110)]  # each image in one part, once
    np.testing.assert_array_equal(data.x_train[:, 0, 0, 0] >= 100, data.y_train == 1)


def test_split_depends_on_the_seed_alone(tmp_path):
    write_classes(tmp_path, (20, 20))
    first, again, other = (load_image_folder(tmp_path, image_size=4, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.x_test, again.x_test)
    assert set(first.x_test[:, 0, 0, 0].tolist()) != set(other.x_test[:, 0, 0, 0].tolist())


def test_order_does_not_depend_on_the_file_system(tmp_path, monkeypatch):
    write_splits(tmp_path)
    expected = load_image_folder(tmp_path, image_size=4)
    monkeypatch.setenv("KERASCV_COURSE_CACHE", f"{tmp_path}_cache")  # decoded again
    scandir = os.scandir

    class Backwards:
        def __init__(self, path):
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(os, "scandir", Backwards)
    data = load_image_folder(tmp_path, image_size=4)
    np.testing.assert_array_equal(data.x_train, expected.x_train)
    assert data.class_names == expected.class_names


def test_a_class_may_be_called_train(tmp_path):
    write_classes(tmp_path, names=("bus", "train"))
    assert load_image_folder(tmp_path, image_size=4).class_names == ("bus", "train")


def test_hidden_and_foreign_files_are_no_fault_and_are_listed(tmp_path):
    write_splits(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "__MACOSX" / "cat").mkdir(parents=True)
    (tmp_path / "readme.md").write_text("hello")
    (tmp_path / "train" / "cat" / "._000.png").write_bytes(b"macOS")
    (tmp_path / "train" / "cat" / "Thumbs.db").write_bytes(b"Windows")
    (tmp_path / "train" / "cat" / ".ipynb_checkpoints").mkdir()
    data = load_image_folder(tmp_path, image_size=4)
    assert len(data.x_train) == 6
    hidden = (".git", "__MACOSX", "train/cat/._000.png", "train/cat/.ipynb_checkpoints")
    expected = {"readme.md": "no image", "train/cat/Thumbs.db": "no image", **dict.fromkeys(hidden, "hidden")}
    assert data.skipped == tuple(f"{file} ({reason})" for file, reason in sorted(expected.items()))


LAYOUTS = {  # the folders of training, validation and test, as they are found in the wild
    "plain": ("train", "val", "test"),
    "capitals": ("TRAIN", "VALID", "TEST"),
    "Kaggle": ("seg_train/seg_train", "", "seg_test/seg_test"),
    "brain tumours": ("Training", "", "Testing"),
    "archive": ("archive/archive/train", "archive/archive/validation", "archive/archive/test"),
    "Keras": ("cats_and_dogs_filtered/train", "cats_and_dogs_filtered/validation", ""),
    "camel": ("TrainImages", "ValidationImages", "TestImages"),
    "sets": ("training_set/training_set", "", "test_set/test_set"),
    "development": ("train", "dev", "eval"),
    "evaluation": ("train", "eval", "test"),
    "numbered": ("train2017", "val2017", ""),
    "one folder": ("photographs/all of them", "", ""),
}


@pytest.mark.smoke
@pytest.mark.parametrize("layout", LAYOUTS)
def test_parts_of_any_usual_name_are_found_and_validation_stays_apart(tmp_path, layout):
    for first, where in enumerate(LAYOUTS[layout]):
        for label, name in enumerate(("cat", "dog")):
            for index in range(5 if where else 0):
                value = 100 * first + 50 * label + index
                save(tmp_path / "set" / where / name / f"{index}.png", (value,) * 3)
    (tmp_path / "set" / "labels.csv").write_text("a,b")
    listed = ("labels.csv (no image)",)
    if layout == "Kaggle":
        save(tmp_path / "set" / "seg_pred" / "seg_pred" / "1.png")
        listed += ("seg_pred (images without classes)",)
    data = load_image_folder(tmp_path / "set", image_size=4)
    _, val, test = LAYOUTS[layout]
    values = [np.sort(x[:, 0, 0, 0]) for x in (data.x_train, data.x_test)]
    train_values = [0, 1, 2, 3, 4, 50, 51, 52, 53, 54]
    if test:
        assert values[0].tolist() == train_values
        assert values[1].tolist() == [200 + value for value in train_values]
    else:
        assert sorted(np.concatenate(values).tolist()) == train_values
        assert len(values[1]) == 2
    if val:
        assert data.x_val[:, 0, 0, 0].tolist() == [100 + value for value in train_values]
        assert data.y_val.tolist() == [0] * 5 + [1] * 5
    assert (data.validation is None) == (not val)
    assert (data.class_names, data.skipped) == (("cat", "dog"), listed)


def test_a_record_with_a_part_for_validation_says_so_and_gives_it_on(tmp_path):
    for part in ("train", "val", "test"):
        write_classes(tmp_path / "pets" / part)
    data = load_image_folder(tmp_path / "pets", image_size=4).subset(2)
    assert repr(data).startswith(
        "<ImageDataset pets (2 per class): 4 training, 10 validation and 10 test images of"
    )
    assert [len(images) for images, _ in data] == [4, 10]
    np.testing.assert_array_equal(data.examples(1, split="val")[0][:, 0, 0, 0], [0, 100])


def test_classes_may_lie_one_folder_deeper(tmp_path):
    for name in ("n01443537", "n01629819"):
        write_classes(tmp_path / "train" / name, (3,), ("images",))
        (tmp_path / "train" / name / f"{name}_boxes.txt").write_text("0 0 1 1")
    data = load_image_folder(tmp_path, image_size=4, test_split=0.4)
    assert data.class_names == ("n01443537", "n01629819")
    assert [text.split(" (")[1] for text in data.skipped] == ["no image)"] * 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="its file names are bytes")
def test_names_that_are_no_text_are_read_and_spelled_out(tmp_path):
    write_classes(tmp_path, names=("dog", "caf\udce9"))
    (tmp_path / "dog" / "\udcff.jpg").write_bytes(b"")
    (tmp_path / "dog" / "two\nlines.txt").write_text("a")
    data = load_image_folder(tmp_path, image_size=4, on_error="skip")
    assert data.class_names == (r"caf\udce9", "dog")
    assert data.skipped == (r"dog/\udcff.jpg (empty)", r"dog/two\nlines.txt (no image)")


def test_a_class_may_be_composed_of_other_letters_in_another_part(tmp_path):
    for part, name in (("train", "caf\u00e9"), ("test", "cafe\u0301")):  # as Linux and macOS write it
        write_classes(tmp_path / part, names=(name, "dog"))
    assert load_image_folder(tmp_path, image_size=4).class_names == ("caf\u00e9", "dog")


# What becomes of an image


@pytest.mark.smoke
def test_image_of_the_right_size_keeps_its_pixels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype="uint8")
    save(tmp_path / "0.png", pixels)
    np.testing.assert_array_equal(decode_one(tmp_path / "0.png", 6, 5), pixels)


@pytest.mark.parametrize("wide", [True, False])
def test_what_juts_out_is_cut_off_on_both_sides(tmp_path, wide):
    pixels = np.full((4, 12, 3), 200, "uint8")
    pixels[:, 4:8] = 50  # the middle third is what a square keeps
    save(tmp_path / "0.png", pixels if wide else pixels.transpose(1, 0, 2).copy())
    np.testing.assert_array_equal(decode_one(tmp_path / "0.png"), np.full((4, 4, 3), 50))


def test_scaling_averages_the_pixels_that_fall_together(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (128, 128, 3), dtype="uint8")
    save(tmp_path / "0.png", pixels)
    assert (
        np.abs(decode_one(tmp_path / "0.png", 2, 2).astype(float) - 127.5).max() < 10
    )  # single pixels would be far off


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
def test_narrow_images_are_enlarged(tmp_path, size):
    save(tmp_path / "0.png", (10, 20, 30), size=size)
    np.testing.assert_array_equal(decode_one(tmp_path / "0.png"), np.broadcast_to([10, 20, 30], (4, 4, 3)))


def test_grey_and_palette_images_become_rgb(tmp_path):
    save(tmp_path / "0.png", 77, "L")
    np.testing.assert_array_equal(decode_one(tmp_path / "0.png"), np.full((4, 4, 3), 77))
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 200, 100, 50])
    palette.save(tmp_path / "0.png")
    np.testing.assert_array_equal(decode_one(tmp_path / "0.png"), np.broadcast_to([200, 100, 50], (4, 4, 3)))


def test_black_and_white_images_become_0_and_255(tmp_path):
    save(tmp_path / "0.png", np.eye(4, dtype=bool))
    np.testing.assert_array_equal(decode_one(tmp_path / "0.png")[..., 0], 255 * np.eye(4))


def test_cmyk_is_converted(tmp_path):
    save(tmp_path / "0.jpg", (0, 255, 255, 0), "CMYK", (16, 16), quality=95)  # magenta and yellow give red
    assert np.abs(decode_one(tmp_path / "0.jpg", 16, 16).astype(int) - [255, 0, 0]).max() <= 6


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_keep_their_high_byte(tmp_path, suffix):
    save(tmp_path / f"0.{suffix}", np.array([[0, 255, 256, 40000], [65535, 32768, 1000, 511]] * 2, "uint16"))
    expected = [[0, 0, 1, 156], [255, 128, 3, 1]] * 2
    np.testing.assert_array_equal(decode_one(tmp_path / f"0.{suffix}", channels=1)[..., 0], expected)


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_transparency_is_laid_over_white(tmp_path, suffix):
    pixels = np.zeros((4, 4, 4), "uint8")
    pixels[0, :, :] = (200, 0, 0, 255)
    pixels[1, :, :] = (0, 0, 0, 51)  # a fifth of black over white
    save(tmp_path / f"0.{suffix}", pixels, **({"lossless": True, "exact": True} if suffix == "webp" else {}))
    image = decode_one(tmp_path / f"0.{suffix}")
    assert image[:, 0].tolist() == [[200, 0, 0], [204, 204, 204], [255, 255, 255], [255, 255, 255]]


def test_transparent_colour_of_a_palette_is_white(tmp_path):
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 200, 100, 50])
    palette.save(tmp_path / "0.png", transparency=1)
    np.testing.assert_array_equal(decode_one(tmp_path / "0.png"), np.full((4, 4, 3), 255))


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_exif_orientation_is_undone(tmp_path, suffix):
    # The stored image whose upright form is red above and green below, blue at the left of the top.
    upright = np.zeros((48, 32, 3), "uint8")
    upright[:24, :, 0], upright[24:, :, 1], upright[:24, :16] = 200, 200, (0, 0, 200)
    stored = {  # as TIFF 6.0 defines tag 274: which side of the scene is the 0th row, and which the 0th column
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }
    places = [8, 8, 40, 40], [8, 24, 8, 24]
    for orientation, pixels in stored.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(tmp_path / f"0.{suffix}", np.ascontiguousarray(pixels), exif=exif, quality=95)
        image = decode_one(tmp_path / f"0.{suffix}", 48, 32)
        assert np.abs(image[places].astype(int) - upright[places]).max() <= 12, orientation


@pytest.mark.smoke
def test_images_are_told_by_their_content_whatever_their_names_are(tmp_path):
    formats = {"a.jpg": "PNG", "b.png": "JPEG", "c": "PNG", "d.jfif": "JPEG", "e.ppm": "PPM", "f.img": "BMP"}
    write_splits(tmp_path, train=1)
    for name, kind in formats.items():
        save(tmp_path / "train" / "cat" / name, (40, 40, 40), format=kind)
    (tmp_path / "train" / "cat" / "notes").write_text("hello")
    data = load_image_folder(tmp_path, image_size=4)
    assert data.x_train[data.y_train == 0, 0, 0, 0].tolist() == [0, *[40] * len(formats)]
    assert data.skipped == ("train/cat/notes (no image)",)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_first_image_of_an_animation_counts(tmp_path, suffix):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"0.{suffix}", save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(decode_one(tmp_path / f"0.{suffix}"), np.broadcast_to([255, 0, 0], (4, 4, 3)))


@pytest.mark.smoke
def test_grey_images_have_one_channel(tmp_path):
    write_splits(tmp_path)
    save(tmp_path / "train" / "cat" / "000.png", (255, 0, 0))
    data = load_image_folder(tmp_path, image_size=(4, 6), color_mode="grayscale")
    assert data.input_shape == (4, 6, 1)
    assert data.x_train[0, 0, 0, 0] == 76  # 0.299 of 255: the weight of red


def test_large_jpeg_is_close_to_its_full_decoding(tmp_path):
    gradient = np.add.outer(np.arange(600), np.arange(800)).astype(float) / 1400 * 255
    pixels = np.stack([gradient, 255 - gradient, gradient / 2], axis=2).astype("uint8")
    save(tmp_path / "0.jpg", pixels, quality=95)
    square = Image.fromarray(pixels[:, 100:700]).resize((20, 20), Image.Resampling.BOX)
    assert np.abs(decode_one(tmp_path / "0.jpg", 20, 20).astype(int) - np.asarray(square)).max() <= 4


# Files at fault


def truncated(file):
    save(file, np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype="uint8"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def write_bytes(content):
    return lambda file: file.write_bytes(content)


def above(file):
    """Return the folder that holds the whole set."""
    return next(folder for folder in file.parents if folder.name in ("set", "flowers")).parent


def linked(file):
    save(above(file) / "outside.png", (9, 9, 9))
    file.symlink_to(above(file) / "outside.png")


def linked_within(file):
    file.symlink_to(file.parent / "000.png")


def broken_link(file):
    file.symlink_to(file.parent / "nothing.png")


def linked_folder(file):
    save(above(file) / "outside" / "1.png")
    file.symlink_to(above(file) / "outside", target_is_directory=True)


def loop(file):
    file.symlink_to(file.parents[2], target_is_directory=True)


def fifo(file):
    os.mkfifo(file)


def float_pixels(file):
    save(file, np.zeros((4, 4), "float32"))


BOMB = png(10_000, 10_000, bytes(1000))
HOSTILE = {
    "text": ("text.jpg", write_bytes(b"hello"), "unreadable: no JPEG, PNG, BMP, GIF, WEBP, TIFF or PPM"),
    "nothing": ("nothing.png", write_bytes(b""), "empty"),
    "web page": ("page.jpg", write_bytes(b"<html>404 Not Found</html>"), "unreadable: no JPEG"),
    "PostScript": (
        "script.png",
        write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n"),
        "unreadable: no JPEG",
    ),
    "header only": ("head.png", write_bytes(png(4, 4)[:33]), "unreadable: "),
    "truncated PNG": ("cut.png", truncated, "unreadable: image file is truncated"),
    "truncated JPEG": ("cut.jpg", truncated, "unreadable: image file is truncated"),
    "truncated BMP": ("cut.bmp", truncated, "unreadable: image file is truncated"),
    "truncated GIF": ("cut.gif", truncated, "unreadable: image file is truncated"),
    "truncated TIFF": ("cut.tif", truncated, "unreadable: "),
    "truncated WebP": ("cut.webp", truncated, "unreadable: "),
    "100 megapixels": ("bomb.png", write_bytes(BOMB), "huge: more than 50 megapixels"),
    "4 gigapixels": ("bombs.png", write_bytes(png(65_000, 65_000)), "huge: more than 50 megapixels"),
    "phone format": ("x.heic", write_bytes(b"ftypheic"), "unreadable: no JPEG"),
    "32 bits": ("x.tif", float_pixels, "pixels of 32 bits"),
    "link to a file outside": ("link.png", linked, "a link, which is not followed"),
    "link to a file within": ("within.png", linked_within, "a link, which is not followed"),
    "broken link": ("broken.png", broken_link, "a link, which is not followed"),
    "link to a folder outside": ("folder", linked_folder, "a link, which is not followed"),
    "link to a folder above": ("loop", loop, "a link, which is not followed"),
    "pipe": ("pipe.jpg", fifo, "no ordinary file"),
    "folder": ("deeper", lambda file: file.mkdir(), "a folder within a class folder"),
}


def test_every_kind_of_file_at_fault_is_left_out_and_listed_with_its_reason(tmp_path):
    write_splits(tmp_path / "set")
    expected = {}
    for name, prepare, fault in HOSTILE.values():
        with contextlib.suppress(OSError, AttributeError):  # no links or pipes on this system
            prepare(tmp_path / "set" / "train" / "cat" / name)
            expected[f"train/cat/{name}"] = fault
    data = load_image_folder(tmp_path / "set", image_size=4, on_error="skip")
    listed = dict(text.removesuffix(")").split(" (", 1) for text in data.skipped)
    assert listed.keys() == expected.keys()
    assert [name for name in expected if not listed[name].startswith(expected[name])] == []
    assert data.x_train[:, 0, 0, 0].tolist() == [0, 1, 2, 100, 101, 102]
    assert data.y_train.tolist() == [0, 0, 0, 1, 1, 1]
    assert repr(data).endswith(f", {len(expected)} skipped>")
    assert data.subset(1).skipped == data.skipped


def test_a_tree_of_every_oddity_loads_and_says_what_was_left_out(tmp_path):
    top = tmp_path / "flowers" / "archive" / "archive"
    formats = {"jfif": "JPEG", "jpg": "PNG", "webp": "WEBP", "gif": "GIF", "tiff": "TIFF", "ppm": "PPM", "": "PNG"}
    grey = Image.new("L", (9, 6), 90)
    for part in ("Training", "Validation", "Testing"):
        for name in ("rose", "tulip"):
            (top / part / name).mkdir(parents=True)
            for suffix, kind in formats.items():
                grey.convert("RGB").save(top / part / name / f"a.{suffix}".rstrip("."), kind)
            grey.convert("P").save(top / part / name / "palette.bmp")
            grey.convert("RGBA").save(top / part / name / "clear.png")
            Image.new("CMYK", (9, 6), (0, 0, 0, 165)).save(top / part / name / "print.jpeg", quality=95)
            Image.fromarray(np.full((6, 9), 90 * 256 + 7, "uint16")).save(top / part / name / "deep.png")
    rose = top / "Training" / "rose"
    for name, prepare, _ in HOSTILE.values():
        with contextlib.suppress(OSError, AttributeError):  # no links or pipes on this system
            prepare(rose / name)
    expected = {f"Training/rose/{name}": fault for name, _, fault in HOSTILE.values()}
    expected = {name: fault for name, fault in expected.items() if os.path.lexists(top / name)}
    for place, content in {
        "Training/rose/.DS_Store": "hidden",
        "Training/rose/Thumbs.db": "no image",
        "Training/notes.txt": "no image",
        "Testing/tulip/nothing": "no image",
        "labels.csv": "no image",
    }.items():
        (top / place).write_bytes(b"" if place.endswith("nothing") else b"BM of no bitmap")
        expected[place] = content
    (top / "Training" / "daisy").mkdir()
    (top / "Testing" / "daisy").mkdir()
    (top / "Validation" / "daisy").mkdir()
    expected["daisy"] = "a class without an image"
    save(top / "Testing" / "loose.png")
    expected["Testing/loose.png"] = "beside the class folders"
    (top / "docs").mkdir()
    (top / "docs" / "read me.pdf").write_bytes(b"%PDF")
    expected |= {"docs": "a folder without images", "docs/read me.pdf": "no image"}
    (top / "to predict").mkdir()
    grey.save(top / "to predict" / "1.png")
    expected["to predict"] = "images without classes"
    (top.parent / "__MACOSX").mkdir()
    data = load_image_folder(tmp_path / "flowers", image_size=8, on_error="skip")
    listed = dict(text.removesuffix(")").split(" (", 1) for text in data.skipped)
    assert listed.pop("archive/__MACOSX") == "hidden"
    listed = {name.removeprefix("archive/archive/"): reason for name, reason in listed.items()}
    assert listed.keys() == expected.keys()
    assert [name for name in expected if not listed[name].startswith(expected[name])] == []
    assert data.class_names == ("rose", "tulip")
    assert [len(data.x_train), len(data.x_val), len(data.x_test)] == [22] * 3
    for images in (data.x_train, data.x_val, data.x_test):
        assert np.abs(images.astype(int) - 90).max() <= 2


def test_linked_class_folder_is_not_followed(tmp_path):
    write_splits(tmp_path / "set")
    write_classes(tmp_path / "outside")
    try:
        (tmp_path / "set" / "train" / "bird").symlink_to(tmp_path / "outside" / "cat", target_is_directory=True)
    except OSError as error:
        pytest.skip(f"this system does not let a test make a link: {error}")
    with pytest.raises(ValueError, match=r"1 file at fault: train/bird \(a link"):
        load_image_folder(tmp_path / "set", image_size=4)
    assert load_image_folder(tmp_path / "set", image_size=4, on_error="skip").class_names == ("cat", "dog")


def test_the_folder_itself_may_be_a_link(tmp_path):
    write_splits(tmp_path / "set")
    try:
        (tmp_path / "link").symlink_to(tmp_path / "set", target_is_directory=True)
    except OSError as error:
        pytest.skip(f"this system does not let a test make a link: {error}")
    assert len(load_image_folder(tmp_path / "link", image_size=4).x_train) == 6


def test_all_files_at_fault_are_in_one_error(tmp_path):
    write_splits(tmp_path)
    (tmp_path / "train" / "cat" / "a.jpg").write_bytes(b"hello")
    (tmp_path / "test" / "dog" / "b.png").write_bytes(BOMB)
    (tmp_path / "train" / "dog" / "c.heic").write_bytes(b"")
    save(tmp_path / "d.png")
    with pytest.raises(ValueError, match=r"`path` of `load_image_folder` .* 4 files at fault") as raised:
        load_image_folder(tmp_path, image_size=4)
    assert 'on_error="skip"' in str(raised.value)
    for file in ("train/cat/a.jpg", "test/dog/b.png", "train/dog/c.heic", "d.png (beside the class folders)"):
        assert file in str(raised.value)


def test_error_over_many_files_stays_short(tmp_path):
    write_splits(tmp_path)
    for index in range(50):
        (tmp_path / "train" / "cat" / f"x{index}.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"50 files at fault.* and 30 more") as raised:
        load_image_folder(tmp_path, image_size=4)
    assert len(str(raised.value)) < 3000
    assert len(load_image_folder(tmp_path, image_size=4, on_error="skip").skipped) == 50


@pytest.mark.parametrize(
    "pixels", [10_000, 16_000]
)  # of a side; Pillow itself warns of the first, refuses the second
def test_pixels_of_a_decompression_bomb_are_never_allocated(tmp_path, monkeypatch, pixels):
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(png(pixels, pixels, bytes(1000)))

    def load(image):
        raise AssertionError("the pixels were decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    tracemalloc.start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, faults = decode_files([str(bomb)], PixelRule(8, 8, 3))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert faults == {0: "huge: more than 50 megapixels"}
    assert peak < 2**20


def test_folder_of_bombs_is_read_in_little_memory(tmp_path, measured):
    for name in ("cat", "dog"):
        write_classes(tmp_path / "set", names=("cat", "dog"))
        (tmp_path / "set" / name / "bomb.png").write_bytes(BOMB)
        webp = io.BytesIO()
        Image.new("RGBA", (4, 4)).save(webp, "WEBP", lossless=True)
        content = bytearray(webp.getvalue())
        assert content[12:16] == b"VP8L"
        content[21:25] = (16_382 | 16_382 << 14 | 1 << 28).to_bytes(4, "little")  # claims 16,383 pixels a side
        (tmp_path / "set" / name / "bomb.webp").write_bytes(content)
    program = (
        "import sys\n"
        "from kerascv_course.datasets.folders import load_image_folder\n"
        "before = peak()\n"
        "data = load_image_folder(sys.argv[1], image_size=4, on_error='skip')\n"
        "print(len(data.skipped), peak() - before)\n"
    )
    # scikit-learn is loaded within and takes most of it; one of the images would take 300 MB.
    skipped, megabytes = measured(program, str(tmp_path / "set"))
    assert skipped == "4"
    assert float(megabytes) < 250


# Folders that hold no set of images


def nothing(folder):
    folder.mkdir()


def side_by_side(folder):
    save(folder / "1.png")
    save(folder / "2.png")


def side_by_side_in_splits(folder):
    save(folder / "train" / "1.png")
    save(folder / "test" / "2.png")


def no_images(folder):
    (folder / "cat").mkdir(parents=True)
    (folder / "dog").mkdir()
    (folder / "dog" / "notes.txt").write_text("hello")


def one_class(folder):
    write_classes(folder, (3,), ("cat",))


def groups_of_classes(folder):
    write_classes(folder / "animals")
    write_classes(folder / "plants", names=("oak", "rose"))


def empty_class(folder):
    write_splits(folder)
    for split in ("train", "test"):
        (folder / split / "emu").mkdir()


def empty_in_test(folder):
    write_splits(folder)
    for file in (folder / "test" / "dog").iterdir():
        file.unlink()


def different_classes(folder):
    write_splits(folder)
    (folder / "test" / "dog").rename(folder / "test" / "dogs")


def test_only(folder):
    write_classes(folder / "test")


test_only.__test__ = False


def other_beside_train(folder):
    write_classes(folder / "train")
    write_classes(folder / "held_out")


def other_beside_both(folder):
    write_splits(folder)
    write_classes(folder / "more")


def two_for_testing(folder):
    write_splits(folder)
    write_classes(folder / "Testing")


def fewer_classes_to_validate(folder):
    write_splits(folder)
    write_classes(folder / "val", (2,), ("cat",))


def one_image_of_a_class(folder):
    write_classes(folder, (9, 1))


def broken_class(folder):
    write_splits(folder)
    for file in (folder / "test" / "dog").iterdir():
        file.write_bytes(b"")


@pytest.mark.parametrize(
    ("prepare", "on_error", "message"),
    [
        (nothing, "raise", r"images in one sub-folder per class.*There is none\."),
        (
            side_by_side,
            "raise",
            r"one sub-folder per class.*2 files at fault: 1\.png \(beside the class",
        ),
        (side_by_side_in_splits, "raise", r"one sub-folder per class.*2 files at fault: train/1\.png \(beside"),
        (no_images, "raise", r"There is none\."),
        (one_class, "raise", r"two classes or more\..*It has one, cat\."),
        (groups_of_classes, "raise", r"There is none.*animals/cat \(a folder within a class folder\)"),
        (empty_class, "raise", r"can all be used.*1 file at fault: emu \(a class without an image\)"),
        (empty_in_test, "skip", r"an image in each class.*Empty: test/dog\."),
        (different_classes, "skip", r"the same classes.*Missing classes: dog; unknown: dogs\."),
        (test_only, "raise", r"train and test, with train alone, or with class folders.*It holds test\."),
        (other_beside_train, "raise", r"with train alone.*It holds held_out, train\."),
        (other_beside_both, "raise", r"1 file at fault: more \(a folder beside train and test\)"),
        (two_for_testing, "raise", r"1 file at fault: test \(a second folder for test\)"),
        (
            fewer_classes_to_validate,
            "skip",
            r"train and val hold the same classes.*Missing classes: dog; unknown: none",
        ),
        (one_image_of_a_class, "raise", r"`test_split` .*both parts of 10 images.*Class 'dog' has 1 image: give"),
        (broken_class, "skip", r"usable image in each class.*Class 'dog' has none left.*test/dog/000\.png"),
    ],
)
def test_folder_without_a_set_of_images_is_a_specific_error(tmp_path, prepare, on_error, message):
    prepare(tmp_path / "set")
    with pytest.raises(ValueError, match=message) as raised:
        load_image_folder(tmp_path / "set", image_size=4, on_error=on_error)
    assert "of `load_image_folder` must be" in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"path": "no/such"}, FileNotFoundError, r"`path` .* an existing folder\. Received: path='no/such'"),
        ({"path": ""}, FileNotFoundError, r"`path` .* an existing folder\. Received: path=''"),
        ({"path": __file__}, NotADirectoryError, r"`path` .* a folder\. .*Unpack it first"),
        ({"path": None}, TypeError, r"`path` .*Received: path=None"),
        ({"path": b"bytes"}, TypeError, r"`path` .*Received: path=b'bytes'"),
        ({"image_size": 0}, ValueError, r"`image_size` .* from 1 to 4096\. Received: image_size=0"),
        ({"image_size": 32.0}, TypeError, r"`image_size` .* integer.*image_size=32\.0"),
        (
            {"image_size": (32, 32, 3)},
            ValueError,
            r"`image_size` .*\(height, width\).*\(32, 32, 3\)",
        ),
        ({"color_mode": "gray"}, ValueError, r"`color_mode` .*'rgb' or 'grayscale'.*'gray'"),
        ({"test_split": 0}, ValueError, r"`test_split` .*test_split=0"),
        ({"test_split": 1.5}, ValueError, r"`test_split` .* from 0 to 1.*test_split=1\.5"),
        ({"test_split": "a"}, TypeError, r"`test_split` .*test_split='a'"),
        ({"seed": -1}, ValueError, r"`seed` .*seed=-1"),
        ({"on_error": "ignore"}, ValueError, r"`on_error` .*'raise' or 'skip'.*'ignore'"),
    ],
)
def test_argument_out_of_range_is_an_error(tmp_path, arguments, error, message):
    write_classes(tmp_path)
    with pytest.raises(error, match=message) as raised:
        load_image_folder(**{"path": tmp_path, **arguments})
    assert "of `load_image_folder` must be" in str(raised.value)


def test_images_that_do_not_fit_into_memory_are_an_error_before_decoding(tmp_path, monkeypatch):
    write_classes(tmp_path)
    monkeypatch.setattr(folders, "_MAX_ARRAY_BYTES", 10 * 4 * 4 * 3 - 1)
    monkeypatch.setattr(folders, "decode_files", None)
    with pytest.raises(ValueError, match=r"`image_size` .*\(4, 4\).*image_dataset_from_directory"):
        load_image_folder(tmp_path, image_size=4)


# The cached arrays


@pytest.mark.smoke
def test_second_load_decodes_nothing_but_the_files_at_fault(tmp_path, monkeypatch):
    write_splits(tmp_path)
    (tmp_path / "train" / "cat" / "x.png").write_bytes(b"hello")
    first = load_image_folder(tmp_path, image_size=4, on_error="skip")
    decoded = []
    monkeypatch.setattr(
        folders, "decode_files", lambda paths, rule: decoded.extend(paths) or decode_files(paths, rule)
    )
    second = load_image_folder(tmp_path, image_size=4, on_error="skip")
    assert [Path(path).name for path in decoded] == ["x.png"]
    np.testing.assert_array_equal(first.x_train, second.x_train)
    assert second.skipped == first.skipped


@pytest.mark.parametrize("change", ["file", "size", "colours", "folder"])
def test_whatever_changes_the_images_makes_the_cached_arrays_obsolete(
    tmp_path, own_cache_folder, monkeypatch, change
):
    write_splits(tmp_path / "a")
    before = load_image_folder(tmp_path / "a", image_size=4)
    place, options = tmp_path / "a", {"image_size": 4}
    if change == "file":
        save(tmp_path / "a" / "train" / "cat" / "000.png", (70, 70, 70))
        os.utime(tmp_path / "a" / "train" / "cat" / "000.png", ns=(1, 1))
    elif change == "size":
        options = {"image_size": 6}
    elif change == "colours":
        options["color_mode"] = "grayscale"
    else:  # same names, sizes and times, other pixels
        write_splits(tmp_path / "b")
        for file in (tmp_path / "a").rglob("*.png"):
            copy = tmp_path / "b" / file.relative_to(tmp_path / "a")
            pixels = 255 - np.asarray(Image.open(file))
            save(copy, pixels)
            os.truncate(copy, max(copy.stat().st_size, file.stat().st_size))
            os.truncate(file, max(copy.stat().st_size, file.stat().st_size))
            os.utime(copy, ns=(1, 1))
            os.utime(file, ns=(1, 1))
        before = load_image_folder(tmp_path / "a", image_size=4)
        place = tmp_path / "b"
    cached = len(list(own_cache_folder.iterdir()))
    data = load_image_folder(place, **options)
    assert len(list(own_cache_folder.iterdir())) == cached + 1  # and the former ones still serve
    monkeypatch.setenv("KERASCV_COURSE_CACHE", f"{tmp_path}_cache")
    fresh = load_image_folder(place, **options)
    np.testing.assert_array_equal(data.x_train, fresh.x_train)
    assert data.x_train.shape != before.x_train.shape or not np.array_equal(data.x_train, before.x_train)


# Worker processes


def photographs(folder, count):
    generator = np.random.default_rng(0)
    for index in range(count):
        size = generator.integers(3, 9, 2)
        save(folder / f"{index:04d}.png", generator.integers(0, 256, (*size, 3), dtype="uint8"))
    (folder / "0007.png").write_bytes(b"hello")
    (folder / f"{count - 1:04d}.png").write_bytes(BOMB)
    return [str(folder / f"{index:04d}.png") for index in range(count)]


@pytest.fixture
def at_once(monkeypatch):
    """A worker process is started after the first file already."""
    monkeypatch.setattr(decode, "_WORTH_S", 0.0)
    monkeypatch.setattr("joblib.cpu_count", lambda: 2)


@pytest.mark.smoke
def test_workers_decode_as_one_process_does(tmp_path, at_once):
    paths = photographs(tmp_path, 300)
    expected, expected_faults = decode_chunk(paths, PixelRule(5, 6, 3))
    images, faults = decode_files(paths, PixelRule(5, 6, 3))
    np.testing.assert_array_equal(images, expected)
    assert faults == expected_faults
    assert list(faults) == [7, 299]


def test_images_of_a_worker_that_dies_are_decoded_in_this_process(tmp_path, at_once, monkeypatch):
    paths = photographs(tmp_path, 300)
    submitted = []

    class Deadly(loky.ProcessPoolExecutor):
        def submit(self, function, *arguments):
            submitted.append(arguments)
            return super().submit(os._exit, 1)

    monkeypatch.setattr(loky, "ProcessPoolExecutor", Deadly)
    images, faults = decode_files(paths, PixelRule(5, 6, 3))
    assert len(submitted) > 10
    np.testing.assert_array_equal(images, decode_chunk(paths, PixelRule(5, 6, 3))[0])
    assert list(faults) == [7, 299]


def test_script_without_a_guard_may_use_workers(tmp_path):
    photographs(tmp_path, 150)
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\n"
        "from pathlib import Path\n"
        "from joblib.externals import loky\n"
        "from kerascv_course.datasets import decode\n"
        "print('started')\n"
        "used, submit = [], loky.ProcessPoolExecutor.submit\n"
        "def noted(*arguments):\n"
        "    used.append(submit(*arguments))\n"
        "    used[-1].result()\n"  # so that the worker does it all
        "    return used[-1]\n"
        "loky.ProcessPoolExecutor.submit, os.cpu_count = noted, lambda: 2\n"
        "decode._WORTH_S = 0.0\n"
        "import joblib; joblib.cpu_count = lambda: 2\n"
        "paths = sorted(str(file) for file in Path(sys.argv[1]).glob('*.png'))\n"
        "images, faults = decode.decode_files(paths, decode.PixelRule(4, 4, 3))\n"
        "print(images.shape, list(faults), len(used) > 10, any(job.cancelled() for job in used))\n"
    )
    run = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(decode.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert run.stdout == "started\n(150, 4, 4, 3) [7, 149] True False\n"


def test_what_a_worker_imports_is_light():
    program = (
        "import sys, kerascv_course.datasets.decode\n"
        "print(sorted({'keras', 'tensorflow', 'sklearn', 'pooch'} & sys.modules.keys()),\n"
        "      sorted(name for name in sys.modules if name.startswith('kerascv_course.')))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[] ['kerascv_course.datasets', 'kerascv_course.datasets.decode']\n"


# Counts in the record


def record(labels, **changes):
    images = np.zeros((len(labels), 2, 2, 1), "uint8")
    return ImageDataset(
        images, np.array(labels), images[:1], np.array([0]), ("a", "b", "c"), "toy", "a test", **changes
    )


@pytest.mark.smoke
def test_record_counts_its_training_images_by_class():
    data = record([0, 1, 1, 2, 1, 1, 2])
    assert data.class_counts == {"a": 1, "b": 4, "c": 2}
    assert record([0, 1, 1]).class_counts == {"a": 1, "b": 2, "c": 0}


# Validation sets


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": "cat"}, TypeError, r"`x` .* an array.*'cat'"),
        ({"y": np.array(3)}, TypeError, r"`y` .* an array"),
        ({"y": np.zeros(9, int)}, ValueError, r"`y` .* as long as `x`, which holds 10 images.*\(9,\)"),
        ({"validation_split": 0.0}, ValueError, r"`validation_split` .*validation_split=0\.0"),
        ({"validation_split": 1.0}, ValueError, r"`validation_split` .*validation_split=1\.0"),
        ({"validation_split": -0.1}, ValueError, r"`validation_split` .*validation_split=-0\.1"),
        ({"validation_split": "half"}, TypeError, r"`validation_split` .*validation_split='half'"),
        ({"seed": 1.5}, TypeError, r"`seed` .*seed=1\.5"),
        ({"seed": 2**32}, ValueError, r"`seed` .*seed=4294967296"),
        ({"y": np.arange(10)}, ValueError, r"`validation_split` .*every class in both parts of 10 images"),
        ({"x": np.zeros((0, 2)), "y": np.zeros(0, int)}, ValueError, r"`validation_split` .*of 0 images"),
    ],
)
def test_split_validation_refuses_bad_input(arguments, error, message):
    with pytest.raises(error, match=message) as raised:
        split_validation(**{"x": np.zeros((10, 2)), "y": np.repeat([0, 1], 5), **arguments})
    assert "of `split_validation` must be" in str(raised.value)


def test_split_validation_refuses_a_share_that_leaves_a_small_class_out():
    labels = np.repeat([0, 7], [98, 2])  # a tenth of two images is none
    with pytest.raises(ValueError, match=r"`validation_split` .*Label 7 has 2 images"):
        split_validation(np.zeros((100, 1)), labels, 0.1)


@pytest.mark.parametrize("form", ["column", "one-hot", "list"])
def test_split_validation_stratifies_labels_of_any_form(form):
    labels = np.repeat([0, 1], [90, 10])
    given = {"column": labels[:, None], "one-hot": np.eye(2)[labels], "list": labels.tolist()}[form]
    for seed in range(5):
        _, (held_out, _) = split_validation(np.arange(100), given, 0.1, seed=seed)
        assert labels[held_out].sum() == 1
