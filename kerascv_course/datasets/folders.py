"""A user's own images in class folders, as arrays."""

import hashlib
import os
from typing import Any

import numpy as np

from kerascv_course._validation import check_choice, check_size, input_error
from kerascv_course.datasets.cache import cached_arrays
from kerascv_course.datasets.decode import PixelRule, decode_files
from kerascv_course.datasets.listing import Listing, faults_of, list_class_folders, readable
from kerascv_course.datasets.record import ImageDataset
from kerascv_course.datasets.split import split_indices

_MAX_ARRAY_BYTES = 8 * 2**30
_MAX_SIDE = 4096


def load_image_folder(
    path: str | os.PathLike[str],
    *,
    image_size: int | tuple[int, int] = 128,
    color_mode: str = "rgb",
    test_split: float = 0.2,
    seed: int = 0,
    on_error: str = "raise",
) -> ImageDataset:
    """Load the images of class folders, all in one size.

    The folder holds one sub-folder per class, or a folder each for training, testing and perhaps validation, with
    the same class sub-folders in them. Usual names are known, in capitals or not: `train`, `Training`,
    `seg_train`; `test`, `Testing`; `val`, `valid`, `validation`, `dev`, `eval`. A folder that holds one folder
    alone, as archives leave them (archive/archive/train), is gone through. Images for validation stay apart, as
    `x_val` and `y_val`. Without a test folder, a share of each class of the training images becomes the test set.
    Classes and images are ordered by name, character by character (10.png before 2.png).

    JPEG, PNG, BMP, GIF, WebP, TIFF and PPM files are told by their content, whatever their names are. Other files
    (notes.txt, Thumbs.db) and hidden ones are left out. Of an image this is made:

    - Size: scaled bilinearly to cover `image_size`, smaller images enlarged; what juts out is cut off evenly on
      two sides, so that nothing is distorted. An image of the right size keeps its pixels.
    - EXIF orientation: turned upright. Animations and several pages: the first.
    - Grey, palette, CMYK: converted by Pillow's rules; colour profiles are not applied.
    - 16 bits a channel: the high byte. Transparency: laid over white.

    At fault are files that have an image's suffix and cannot be read (also .heic, .avif, .svg and the like); that
    are empty, truncated or huge (over 50 megapixels, refused before they are decoded); links, which are
    never followed, wherever they lead; classes without an image; folders within class folders; images beside class
    folders.

    Decoding uses worker processes where it takes noticeable time. The arrays are kept in the cache folder and read
    from there until a file is added, removed or changed.

    Args:
        path: The folder.
        image_size: Height and width in pixels, 1 to 4096; one number for both, or `(height, width)`.
        color_mode: "rgb" or "grayscale".
        test_split: Share of the images for testing, above 0 and below 1; not used where there is `test`.
        seed: Decides which images these are, 0 to 2**32 - 1; not used where there is `test`.
        on_error: "raise" lists the files at fault in one error; "skip" leaves them out.

    Returns:
        Images of shape `(height, width, 3)`, or `(height, width, 1)` in grey, named as the folder is. `skipped`
        lists all that was left out, with the reason: "cat/notes.txt (no image)".

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
    listing = list_class_folders(function, path)
    return load_listing(listing, rule, test_split=test_split, seed=seed, on_error=on_error)


def pixel_rule(function: str, image_size: int | tuple[int, int], color_mode: str = "rgb") -> PixelRule:
    """Return what every image becomes, or raise where size or colours are none."""
    height, width = check_size(function, "image_size", image_size, _MAX_SIDE)
    check_choice(function, "color_mode", color_mode, ("rgb", "grayscale"))
    return PixelRule(height, width, 3 if color_mode == "rgb" else 1)


def load_listing(
    listing: Listing,
    rule: PixelRule,
    *,
    test_split: float = 0.2,
    seed: int = 0,
    on_error: str = "raise",
    name: str = "",
    source: str = "",
) -> ImageDataset:
    """Decode the listed files and make the record.

    Args:
        listing: The files.
        rule: What every image becomes.
        test_split: Share of the training images for testing, where the listing has no test folder.
        seed: Decides which images these are.
        on_error: "raise" or "skip".
        name: Name of the record; that of the folder, where it is empty.
        source: Its source; the folder, where it is empty.

    Returns:
        The record.

    Raises:
        ValueError: If files are at fault and may not be skipped, a class loses all its images, the split leaves a
            class out of one part, or the images need too much memory.
    """
    check_choice(listing.function, "on_error", on_error, ("raise", "skip"))
    names, counts = listing.class_names, listing.counts

    def split(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return split_indices(listing.function, "test_split", labels, test_split, seed, names)

    if "test" not in counts:  # before the long work: it may not be possible
        split(listing.labels[: counts["train"]])
    needed = len(listing.files) * rule.height * rule.width * rule.channels
    if needed > _MAX_ARRAY_BYTES:
        fits = f"so small that the images fit into {_MAX_ARRAY_BYTES // 2**30} GiB"
        way_out = f"They take {needed / 2**30:.1f} GiB; `keras.utils.image_dataset_from_directory` reads batches."
        raise input_error(listing.function, "image_size", fits, (rule.height, rule.width), way_out)
    images, file_faults = _decoded(listing, rule)
    files = list(listing.files)
    left_out = listing.left_out | {readable(files[index]): fault for index, fault in file_faults.items()}
    if faults_of(left_out) and on_error == "raise":
        way_out = 'Remove or repair them, or pass on_error="skip".'
        raise listing.error("a folder whose images can all be used", way_out, left_out)
    parts: dict[str, Any] = {}
    for part, stop in zip(counts, np.cumsum(list(counts.values())), strict=True):
        places = np.arange(stop - counts[part], stop)
        # Where all can be used, a view of the images, not a copy.
        usable = np.setdiff1d(places, list(file_faults)) if file_faults else slice(places[0], stop)
        if missing := set(range(len(names))) - set(listing.labels[usable].tolist()):
            way_out = f"Class {names[min(missing)]!r} has none left."
            raise listing.error("a folder with a usable image in each class", way_out, left_out)
        parts[part] = usable
    if "test" not in parts:
        usable = np.arange(len(images))[parts["train"]]
        parts["train"], parts["test"] = (usable[part] for part in split(listing.labels[usable]))
    arrays = {f"x_{part}": images[places] for part, places in parts.items()}
    return ImageDataset(
        **arrays,
        **{f"y_{part}": listing.labels[places] for part, places in parts.items()},
        class_names=names,
        name=name or readable(os.path.basename(listing.root)) or "images",
        source=source or f"the folder {listing.shown}",
        skipped=tuple(f"{file} ({reason})" for file, reason in sorted(left_out.items())),
    )


def _decoded(listing: Listing, rule: PixelRule) -> tuple[np.ndarray, dict[int, str]]:
    """Return the images of all files and the faults by index, from the cache folder where it has them."""
    paths = [os.path.join(listing.root, file) for file in listing.files]

    def build() -> dict[str, np.ndarray]:
        images, faults = decode_files(paths, rule)
        return {"images": images, "faulty": np.isin(np.arange(len(paths)), list(faults)).astype("uint8")}

    # "3" is the version of the decoding: another number makes all cached files obsolete.
    parts = [f"3\0{listing.root}\0{rule}", *listing.files, *listing.files.values()]
    digest = hashlib.sha256("\n".join(parts).encode(errors="surrogatepass")).hexdigest()
    shapes = {"images": (len(paths), rule.height, rule.width, rule.channels), "faulty": (len(paths),)}
    arrays = cached_arrays(f"folder-{digest[:32]}", shapes, build)
    # The cached file says which files are at fault; what is wrong with them they tell again.
    faulty = np.flatnonzero(arrays["faulty"]).tolist()
    _, faults = decode_files([paths[index] for index in faulty], rule)
    return arrays["images"], {index: faults.get(place, "unreadable") for place, index in enumerate(faulty)}
