"""Weights of `keras.applications` backbones: which files there are, where they lie, and how they are found."""

import re
import shutil
from pathlib import Path
from typing import NamedTuple

from kerascv_course._validation import check_choice, check_size, input_error
from kerascv_course.datasets.cache import DOWNLOADS, data_folder, placed_whole
from kerascv_course.datasets.fetching import RemoteFile, fetch, find_copies, is_right, search_places

WEIGHT_FOLDER = "models"  # in the data folder, in the downloads folder and in Keras' cache
_IN_DATA = "KERASCV_COURSE_DATA"
_SIDES = (96, 128, 160, 192, 224)  # of the images that there are weights of MobileNetV2 for
_MOBILENET_V2 = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_"  # alpha, image size and top follow


def _official(title: str, folder: str, name: str, checksum: str = "") -> RemoteFile:
    """Return the file that Keras itself would download."""
    address = f"https://storage.googleapis.com/tensorflow/keras-applications/{folder}/{name}"
    path = f"{WEIGHT_FOLDER}/{name}"
    return RemoteFile(f"ImageNet weights without top of {title}", path, (address,), (path,), checksum)


WEIGHTS = {
    **{
        f"mobilenet_v2_{side}": _official(
            f"MobileNetV2 for {side}x{side} pixels (9 MB)", "mobilenet_v2", f"{_MOBILENET_V2}1.0_{side}_no_top.h5"
        )
        for side in _SIDES
    },
    "inception_v3": _official(
        "InceptionV3 (88 MB)",
        "inception_v3",
        "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "md5:bcbd6486424b2319ff4ef7d526e38f63",  # as in keras.applications.inception_v3
    ),
}


class BackboneWeights(NamedTuple):
    """A file with the weights of a backbone without its top.

    Args:
        path: The file.
        source: Where it is from, without the folders of this machine; completes "from ...".
    """

    path: Path
    source: str


def find_backbone_weights(
    backbone: str, image_size: int | tuple[int, int], *, download: str = "always"
) -> BackboneWeights | None:
    """Find the ImageNet weights of a backbone without its top, for `weights=` in `keras.applications`.

    These are looked into in turn:

    1. The folder in the environment variable `KERASCV_COURSE_DATA` and its sub-folder `models`: first for the
       official file name, then for a file of your own choice that ends in `.h5`, begins with the name of the
       backbone and has "notop" behind it, whatever the case and the punctuation:
       `mobilenet_v2_imagenet_int8_notop.weights.h5` is one for MobileNetV2. Official files for other image sizes
       do not count as such.
    2. Keras' cache and the downloads folder, for the official file name.
    3. Unless `download` is "never": the mirrors in `KERASCV_COURSE_MIRRORS`, then the official address. The file
       comes into the downloads folder. Its checksum is the one in Keras' source, else the
       one in the list of the mirror, else the one that the host states; where nobody states one, `source` says
       "unchecked".

    Official files are known for MobileNetV2 (`alpha=1.0`) and InceptionV3. For every other backbone only a file of
    your own choice is looked for and `download` is without effect; where there is none let Keras download it.

    Args:
        backbone: Name of the function in `keras.applications`, for example "MobileNetV2".
        image_size: Height and width of the images in pixels, or one integer; MobileNetV2 has files for several.
        download: "always", "if possible" (None is returned where there is no connection) or "never" (no
            connection is made).

    Returns:
        The weights, or `None` where none are at hand and none may or can be downloaded by this function.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `backbone` or `image_size` is no such thing, several files of your own choice fit, the file
            at hand is damaged, or a mirror is no web address.
        FileNotFoundError: If `KERASCV_COURSE_DATA` is no folder.
        ConnectionError: If no address delivered it; says for each why, and how to place the file by hand.
        OSError: If the disk is full or a folder cannot be written.

    Example:
        >>> weights = find_backbone_weights("MobileNetV2", (96, 96))  # doctest: +SKIP
        >>> find_backbone_weights("MobileNetV2", (96, 0))
        Traceback (most recent call last):
            ...
        ValueError: `image_size` of `find_backbone_weights` must be an integer of at least 1. Received: ...
    """
    function = "find_backbone_weights"
    if not isinstance(backbone, str) or not re.fullmatch("[A-Za-z][A-Za-z0-9]*", backbone):
        error = ValueError if isinstance(backbone, str) else TypeError
        rule = "a name in `keras.applications`, like 'MobileNetV2'"
        raise input_error(function, "backbone", rule, backbone, error=error)
    height, width = check_size(function, "image_size", image_size)
    check_choice(function, "download", download, DOWNLOADS)
    root, file = data_folder(function), _file_for(backbone, height, width)
    copies = find_copies(file) if file else []
    if root and not any(path.is_relative_to(root) for path in copies):
        copies = [*_own_choice(root, backbone), *copies]
    if copies:
        return _at_hand(copies[0], file)
    if file is None or download == "never":
        return None
    try:
        fetched = fetch(file)
    except ConnectionError:
        if download == "if possible":
            return None
        raise
    return BackboneWeights(fetched.path, f"{fetched.source}{'' if fetched.checked else ', unchecked'}")


def place_copy(source: Path, target: Path) -> None:
    """Copy a file to a place where it appears whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as file, placed_whole(target) as copy:
        shutil.copyfileobj(file, copy)


def find_weights() -> list[Path]:
    """Return the weight files in the folder `KERASCV_COURSE_DATA`, in Keras' cache and in the downloads folder."""
    files = [path for root in search_places().values() for path in sorted((root / WEIGHT_FOLDER).glob("*"))]
    return [path for path in files if path.suffix in (".h5", ".keras") and path.is_file()]


def _file_for(backbone: str, height: int, width: int) -> RemoteFile | None:
    if backbone == "MobileNetV2":
        return WEIGHTS[f"mobilenet_v2_{height if height == width and height in _SIDES else 224}"]
    return WEIGHTS["inception_v3"] if backbone == "InceptionV3" else None


def _at_hand(path: Path, file: RemoteFile | None) -> BackboneWeights:
    """Return what lies at the path, after comparing the official file with its checksum where Keras states one."""
    place = next(name for name, folder in search_places().items() if path.is_relative_to(folder))
    if file and path.name == Path(file.path).name and file.checksum and not is_right(path, file.checksum):
        way_out = f"Delete {path}; the next call looks elsewhere."
        raise ValueError(f"{path.name} in {place} is damaged: its checksum is not {file.checksum}. {way_out}")
    return BackboneWeights(path, f"{path.name}, in {place}")


def _own_choice(root: Path, backbone: str) -> list[Path]:
    """Return the file in the data folder that is named for the backbone; raise where there are several."""
    files = [*sorted((root / WEIGHT_FOLDER).glob("*")), *sorted(root.iterdir())]
    fitting = [path for path in files if path.is_file() and _is_own_choice(path.name, backbone)]
    if len(fitting) > 1:
        names = ", ".join(path.relative_to(root).as_posix() for path in fitting)
        rule = f"a folder with one file of weights without top for {backbone}"
        way_out = f"{names} all fit: keep one of them there."
        raise input_error("find_backbone_weights", _IN_DATA, rule, str(root), way_out)
    return fitting


def _is_own_choice(file_name: str, backbone: str) -> bool:
    """Say whether a file is named for the backbone, and not for one whose name goes on: MobileNet, MobileNetV2."""
    name = file_name.lower()
    found = re.match(r"[\W_]*".join(backbone.lower()) + r"(?![^\W_]|[\W_]*v\d)", name)
    if found is None or not name.endswith(".h5") or file_name.startswith(_MOBILENET_V2):
        return False
    return "notop" in re.sub(r"[\W_]", "", name[found.end() :])
