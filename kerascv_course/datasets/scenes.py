"""The eight scenes of Oliva and Torralba, from where the user has them."""

import os
import re

import numpy as np

from kerascv_course.datasets.folders import load_listing, pixel_rule
from kerascv_course.datasets.listing import Listing, list_class_folders, look_into, open_folder, readable
from kerascv_course.datasets.record import ImageDataset

_CLASS_NAMES = ("coast", "forest", "highway", "insidecity", "mountain", "opencountry", "street", "tallbuilding")
_TEST_SPLIT = 0.3  # of 2,688: 1,881 for training and 807 for testing, as in the original split
_SEED = 0
_NAMED = re.compile(
    r"(coast|forest|highway|inside[_ ]?city|mountain|open[_ ]?country|street|tall[_ ]?building)(?=[_\d])",
    re.IGNORECASE,
)


def load_scenes(
    path: str | os.PathLike[str], *, image_size: int | tuple[int, int] = 256, on_error: str = "raise"
) -> ImageDataset:
    """Load the eight-scene set, from its files side by side or from class folders.

    The set (Oliva and Torralba 2001, "Modeling the shape of the scene"; used by Lorente) holds 2,688 colour
    images of 256x256 pixels: coast, forest, highway, inside city, mountain, open country, street, tall building.
    Two forms are known:

    - All files in one folder, as the authors hand them out; the class is the first part of the name, as in
      "coast_art1130.jpg".
    - Class folders, or `train` and `test` with class folders in them, as in Lorente's copy with 1,881 images for
      training and 807 for testing. Capitals, "_" and blanks in their names do not matter ("Opencountry",
      "inside_city").

    Only `train` and `test` carry the original split. Without them three images in ten of each class are for
    testing: of the complete set that is 1,881 and 807 as well, always the same, but *not the original lists*; the
    record's `source` says which it is. `load_scenes(path).subset(per_class=50)` is the tiny training set of 400.

    How images are read, which files are at fault, and the cached arrays: see `load_image_folder`.

    Args:
        path: The folder.
        image_size: Height and width in pixels, 1 to 4096; one number for both, or `(height, width)`.
        on_error: "raise" lists the files at fault in one error; "skip" leaves them out and lists them in the
            record's `skipped`.

    Returns:
        Images of shape `(height, width, 3)`; the record is named "scenes".

    Raises:
        TypeError: If an argument has the wrong type.
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If `path` is a file.
        ValueError: If an argument is out of range, a class is missing, or files are at fault.

    Example:
        >>> data = load_scenes("spatial_envelope_256x256_static_8outdoorcategories")  # doctest: +SKIP
        >>> tiny = data.subset(per_class=50)  # doctest: +SKIP
    """
    rule = pixel_rule("load_scenes", image_size)
    listing = open_folder("load_scenes", path)
    listing = _from_folders(path) if look_into(listing.root, "", {})[0] else _from_names(listing)
    by = "its folders train and test" if "test" in listing.counts else f"seed {_SEED}, not by the original lists"
    source = f"the folder {listing.shown}, split by {by}"
    return load_listing(
        listing, rule, test_split=_TEST_SPLIT, seed=_SEED, on_error=on_error, name="scenes", source=source
    )


def _from_folders(path: str | os.PathLike[str]) -> Listing:
    """List class folders; their names become those of the classes."""
    listing = list_class_folders("load_scenes", path)
    names = [_plain(name) for name in listing.class_names]
    if sorted(names) != list(_CLASS_NAMES):
        raise listing.differing("a folder of the eight scenes", names, _CLASS_NAMES)
    # "Opencountry" sorts before "coast": by the labels of the record the classes are in their usual order.
    order = np.array([_CLASS_NAMES.index(name) for name in names])
    return listing._replace(class_names=_CLASS_NAMES, labels=order[listing.labels])


def _from_names(listing: Listing) -> Listing:
    """List files side by side, with the class in their names."""
    files = look_into(listing.root, "", listing.left_out)[1]
    named = {file: _plain(match[1]) for file in files if (match := _NAMED.match(file))}
    listing.left_out.update({readable(file): "no scene in its name" for file in files if file not in named})
    if missing := sorted(set(_CLASS_NAMES) - set(named.values())):
        rule = 'a folder of the eight scenes, in class folders or named like "coast_art1130.jpg"'
        raise listing.error(rule, f"No image of: {', '.join(missing)}.")
    return listing._replace(
        class_names=_CLASS_NAMES,
        files={file: files[file] for file in named},
        labels=np.array([_CLASS_NAMES.index(name) for name in named.values()]),
        counts={"train": len(named)},
    )


def _plain(name: str) -> str:
    return re.sub(r"[_ ]", "", name).lower()
