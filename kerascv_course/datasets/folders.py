"""A user's own images in class folders: as arrays, or as a pipeline where they do not fit into memory."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerascv_course._validation import check_choice, check_int, input_error
from kerascv_course.datasets.cache import cached_arrays
from kerascv_course.datasets.decode import FORMATS, PixelRule, decode_files, header_fault
from kerascv_course.datasets.listing import Listing, list_class_folders, list_faults
from kerascv_course.datasets.record import ImageDataset, imbalance
from kerascv_course.datasets.split import split_indices

_KERAS_FORMATS = ("JPEG", "PNG", "BMP", "GIF")
_MAX_ARRAY_BYTES = 8 * 2**30
_MAX_SIDE = 4096


def load_image_folder(
    path: str | os.PathLike[str],
    *,
    image_size: int | tuple[int, int] = 128,
    color_mode: str = "rgb",
    test_share: float = 0.2,
    seed: int = 0,
    on_error: str = "raise",
    cache: bool = True,
) -> ImageDataset:
    """Load the images of class folders, all in one size.

    The folder holds one sub-folder per class, or the folders `train` and `test`, each with the same class
    sub-folders. Without `test`, a share of each class becomes the test set. Classes and images are ordered by
    name, character by character (10.png before 2.png), the same on every file system.

    Read are JPEG, PNG, BMP, GIF, WebP and TIFF files with one of their usual suffixes. Other files (notes.txt) and
    hidden ones are left alone. Of an image this is made:

    - Size: scaled bilinearly to cover `image_size`, smaller images enlarged; what juts out is cut off evenly on
      two sides, so that nothing is distorted. An image of the right size keeps its pixels.
    - EXIF orientation: turned upright. Animations and several pages: the first.
    - Grey, palette, CMYK: converted by Pillow's rules; colour profiles are not applied.
    - 16 bits a channel: the high byte. Transparency: laid over white.

    At fault are files that are unreadable or truncated; huge (over 50 megapixels or 200 MB, refused before they
    are decoded); mislabelled (a PNG called .jpg); images of other formats (.heic, .avif, .svg and the like);
    links, which are never followed, wherever they lead; folders within class folders; images beside class folders.

    Decoding uses worker processes where it takes noticeable time. The arrays are kept in the cache folder and read
    from there until a file is added, removed or changed.

    Args:
        path: The folder.
        image_size: Height and width in pixels, 1 to 4096; one number for both, or `(height, width)`.
        color_mode: "rgb" or "grayscale".
        test_share: Share of the images for testing, above 0 and below 1; not used where there is `test`.
        seed: Decides which images these are, 0 to 2**32 - 1; not used where there is `test`.
        on_error: "raise" lists the files at fault in one error; "skip" leaves them out and lists them in the
            record's `skipped`.
        cache: Whether the decoded images are kept in the cache folder.

    Returns:
        Images of shape `(height, width, 3)`, or `(height, width, 1)` in grey, named as the folder is.

    Raises:
        TypeError: If an argument has the wrong type.
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If `path` is a file.
        ValueError: If an argument is out of range, the folders are not as above, a class is empty, files are at
            fault, or the images would need more than 8 GiB.

    Example:
        >>> data = load_image_folder("my_photographs", image_size=96)  # doctest: +SKIP
        >>> data.class_counts  # doctest: +SKIP
        {'cat': 81, 'dog': 120}
    """
    function = "load_image_folder"
    rule = pixel_rule(function, image_size, color_mode)
    check_choice(function, "on_error", on_error, ("raise", "skip"))
    check_cache(function, cache)
    listing = list_class_folders(function, path)
    split = None if listing.train_count is not None else (test_share, seed)
    return load_listing(listing, rule, split=split, on_error=on_error, cache=cache)


@dataclass(frozen=True, eq=False)
class ImagePipeline:
    """Batches of images read from the disk while a model trains, and what is known about them.

    Args:
        train: `tf.data.Dataset` of batches `(images, labels)`; images `float32`, 0 to 255, shuffled each epoch.
        test: The same for testing, in a fixed order.
        class_names: One name per label, in the order of the labels.
        class_counts: Training images of each class.
        test_counts: Test images of each class.
        name: Name of the folder.
        source: Where the data came from; completes the phrase "from ...".
    """

    train: Any
    test: Any
    class_names: tuple[str, ...]
    class_counts: dict[str, int]
    test_counts: dict[str, int]
    name: str
    source: str

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def imbalance(self) -> float:
        """Training images of the largest class, divided by those of the smallest."""
        return imbalance(self.class_counts)


def image_folder_pipeline(
    path: str | os.PathLike[str],
    *,
    image_size: int | tuple[int, int] = 128,
    color_mode: str = "rgb",
    test_share: float = 0.2,
    seed: int = 0,
    batch_size: int = 32,
) -> ImagePipeline:
    """Read the images of class folders batch by batch: for sets that do not fit into memory.

    The folders are those of `load_image_folder`, their images are decoded, scaled and cropped by
    `keras.utils.image_dataset_from_directory`. It cannot skip files and stops in the middle of an epoch at one
    that it cannot read; that is why the headers of all files are checked first. Keras turns no image upright
    by its EXIF data and reads no WebP and TIFF files. Without `test`, it splits at random, not class by class.

    Args:
        path: The folder.
        image_size: Height and width in pixels, 1 to 4096; one number for both, or `(height, width)`.
        color_mode: "rgb" or "grayscale".
        test_share: Share of the images for testing, above 0 and below 1; not used where there is `test`.
        seed: Of the split and of the order, 0 to 2**32 - 1.
        batch_size: Images in a batch, 1 or more.

    Returns:
        The two data sets with class names and counts.

    Raises:
        TypeError: If an argument has the wrong type.
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If `path` is a file.
        ValueError: If an argument is out of range, the folders are not as above, or files are at fault.

    Example:
        >>> pipeline = image_folder_pipeline("my_photographs", image_size=96)  # doctest: +SKIP
        >>> model.fit(pipeline.train, validation_data=pipeline.test)  # doctest: +SKIP
    """
    function = "image_folder_pipeline"
    rule = pixel_rule(function, image_size, color_mode)
    batch_size = check_int(function, "batch_size", batch_size, 1)
    listing = list_class_folders(function, path)
    if listing.train_count is None:
        split_indices(function, "test_share", listing.labels, test_share, seed)  # for its checks
    seed = check_int(function, "seed", seed, 0, 2**32 - 1)
    faults = dict(listing.faults)
    for file in listing.files:
        unread = FORMATS[os.path.splitext(file)[1].lower()] not in _KERAS_FORMATS
        fault = "Keras does not read this format" if unread else header_fault(os.path.join(listing.root, file))
        if fault:
            faults[file] = fault
    if faults:
        raise listing.fault_error(faults, "Remove or repair them.")
    import keras

    def read(folder: str, **options: Any) -> Any:
        return keras.utils.image_dataset_from_directory(
            os.path.join(listing.root, folder),
            class_names=list(listing.class_names),
            color_mode=color_mode,
            batch_size=batch_size,
            image_size=(rule.height, rule.width),
            crop_to_aspect_ratio=True,
            verbose=False,
            **options,
        )

    if listing.train_count is None:
        train, test = read(listing.train_folder, validation_split=test_share, subset="both", seed=seed)
    else:
        train, test = read("train", seed=seed), read("test", shuffle=False)
    read_files = {os.path.relpath(file, listing.root) for file in (*train.file_paths, *test.file_paths)}
    unlisted = sorted(read_files - {os.path.normpath(file) for file in listing.files})
    if unlisted:
        raise listing.fault_error(dict.fromkeys(unlisted, "hidden, but Keras reads it"), "Remove them.")
    counts = [
        _count(listing.class_names, [Path(file).parent.name for file in part.file_paths]) for part in (train, test)
    ]
    return ImagePipeline(
        train=train,
        test=test,
        class_names=listing.class_names,
        class_counts=counts[0],
        test_counts=counts[1],
        name=listing.name,
        source=f"the folder {listing.shown}",
    )


def _count(names: Sequence[str], of_images: Sequence[str]) -> dict[str, int]:
    counts = dict.fromkeys(names, 0)
    for name in of_images:
        counts[name] += 1
    return counts


# From files to the record.


def pixel_rule(function: str, image_size: int | tuple[int, int], color_mode: str = "rgb") -> PixelRule:
    """Return what every image becomes, or raise where size or colours are none."""
    sides = (image_size, image_size) if not isinstance(image_size, tuple | list) else tuple(image_size)
    if len(sides) != 2:
        rule = "one whole number, or (height, width)"
        raise input_error(function, "image_size", rule, image_size, "Leave the channels out.")
    height, width = (check_int(function, "image_size", side, 1, _MAX_SIDE) for side in sides)
    check_choice(function, "color_mode", color_mode, ("rgb", "grayscale"))
    return PixelRule(height, width, 3 if color_mode == "rgb" else 1)


def check_cache(function: str, cache: bool) -> None:
    """Raise `TypeError` unless `cache` is a truth value."""
    if not isinstance(cache, bool):
        raise input_error(function, "cache", "True or False", cache, error=TypeError)


def load_listing(
    listing: Listing,
    rule: PixelRule,
    *,
    split: tuple[float, int] | None,
    on_error: str,
    cache: bool = True,
    name: str = "",
    source: str = "",
) -> ImageDataset:
    """Decode the listed files and make the record.

    Args:
        listing: The files.
        rule: What every image becomes.
        split: Share of the test set and seed, where the listing has no test folder.
        on_error: "raise" or "skip".
        cache: Whether the decoded images are kept in the cache folder.
        name: Name of the record; that of the folder, where it is empty.
        source: Its source; the folder, where it is empty.

    Returns:
        The record.

    Raises:
        ValueError: If files are at fault and may not be skipped, a class loses all its images, the split leaves a
            class out of one part, or the images need too much memory.
    """
    if split:
        split_indices(
            listing.function, "test_share", listing.labels, *split
        )  # before the long work: it may not be possible
    needed = len(listing.files) * rule.image_bytes
    if needed > _MAX_ARRAY_BYTES:
        fits = f"so small that the images fit into {_MAX_ARRAY_BYTES // 2**30} GiB"
        way_out = f"They would take {needed / 2**30:.1f} GiB; `image_folder_pipeline` reads them in batches."
        raise input_error(listing.function, "image_size", fits, (rule.height, rule.width), way_out)
    images, file_faults = _decoded(listing, rule, cache)
    faults = listing.faults | {listing.files[index]: fault for index, fault in file_faults.items()}
    if faults and on_error == "raise":
        raise listing.fault_error(faults, 'Remove or repair them, or pass on_error="skip".')
    usable = np.ones(len(images), bool)
    usable[list(file_faults)] = False
    count = listing.train_count
    if count is None:
        labels = listing.labels[usable]
        _check_classes(listing, labels, faults)
        assert split is not None
        parts = split_indices(listing.function, "test_share", labels, *split)
        train, test = (np.flatnonzero(usable)[part] for part in parts)
    elif file_faults:
        train, test = np.flatnonzero(usable[:count]), count + np.flatnonzero(usable[count:])
    else:
        train, test = slice(count), slice(count, None)  # a view of the images, not a copy
    for part in (train, test):
        _check_classes(listing, listing.labels[part], faults)
    return ImageDataset(
        x_train=images[train],
        y_train=listing.labels[train],
        x_test=images[test],
        y_test=listing.labels[test],
        class_names=listing.class_names,
        name=name or listing.name,
        source=source or f"the folder {listing.shown}",
        skipped=tuple(f"{file} ({fault})" for file, fault in faults.items()),
    )


def _check_classes(listing: Listing, labels: np.ndarray, faults: dict[str, str]) -> None:
    counts = np.bincount(labels, minlength=len(listing.class_names))
    if not counts.all():
        rule = "a folder with a usable image in each class"
        name = listing.class_names[int(np.argmin(counts))]
        way_out = f"Class {name!r} has none left. Skipped: {list_faults(faults)}."
        raise input_error(listing.function, "path", rule, listing.shown, way_out)


def _decoded(listing: Listing, rule: PixelRule, cache: bool) -> tuple[np.ndarray, dict[int, str]]:
    """Return the images of all files and the faults by index, from the cache folder where it has them."""

    def decode(files: Sequence[str]) -> tuple[np.ndarray, dict[int, str]]:
        return decode_files([os.path.join(listing.root, file) for file in files], rule)

    if not cache:
        return decode(listing.files)

    def build() -> dict[str, np.ndarray]:
        images, faults = decode(listing.files)
        usable = np.ones(len(listing.files), "uint8")
        usable[list(faults)] = 0
        return {"images": images, "usable": usable}

    # "1" is the version of the decoding: another number makes all cached files obsolete.
    fingerprint = hashlib.sha256(f"1\0{listing.root}\0{rule}\n".encode(errors="surrogatepass"))
    stamped = zip(listing.files, listing.stamps, strict=True)
    fingerprint.update("".join(f"{file}\0{stamp}\n" for file, stamp in stamped).encode(errors="surrogatepass"))
    count = len(listing.files)
    shapes = {"images": (count, rule.height, rule.width, rule.channels), "usable": (count,)}
    arrays = cached_arrays(f"folder-{fingerprint.hexdigest()[:32]}", shapes, build)
    # The cached file says which files are at fault; what is wrong with them they tell again.
    at_fault = np.flatnonzero(arrays["usable"] == 0).tolist()
    _, faults = decode([listing.files[index] for index in at_fault])
    return arrays["images"], {index: faults.get(place, "unreadable") for place, index in enumerate(at_fault)}
