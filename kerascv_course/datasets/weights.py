"""Weights of `keras.applications` backbones: found at hand, or fetched from a mirror or the official host."""

import base64
import functools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kerascv_course._validation import check_int, input_error
from kerascv_course.datasets.bundle import CHECKSUMS, WEIGHT_FOLDER, weights_of
from kerascv_course.datasets.catalogue import ProgressBar, keras_home, mirror_addresses
from kerascv_course.datasets.download import Show, checksum_of
from kerascv_course.datasets.download import download as download_file
from kerascv_course.datasets.web import ask_headers

OFFICIAL_BASE = "https://storage.googleapis.com/tensorflow/keras-applications/"
_IN_DATA, _IN_CACHE = "KERASCV_COURSE_DATA", "Keras' cache"


@dataclass(frozen=True)
class BackboneWeights:
    """A file with the weights of a backbone without its top.

    Attributes:
        path: The file.
        source: Where it is from, without the folders of this machine; completes "from ...".
    """

    path: Path
    source: str


@dataclass(frozen=True)
class _Official:
    """The file that Keras itself would download."""

    folder: str  # at the host
    name: str
    md5: str | None = None  # where Keras' source states it


@dataclass(frozen=True)
class _Offer:
    """What a server says about the file; one checksum is known."""

    address: str
    size: int
    sha256: str | None = None
    md5: str | None = None


_MOBILENET_V2 = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_"  # alpha, image size and top follow
_INCEPTION_V3 = _Official(
    "inception_v3",
    "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
    md5="bcbd6486424b2319ff4ef7d526e38f63",  # as in keras.applications.inception_v3
)


def find_backbone_weights(
    backbone: str, image_size: tuple[int, int], *, download: bool = True, show: Show | None = None
) -> BackboneWeights | None:
    """Find the ImageNet weights of a backbone without its top, for `weights=` in `keras.applications`.

    These are looked into in turn:

    1. The folder in the environment variable `KERASCV_COURSE_DATA` and its sub-folder `models`: first for the
       official file name, then for a file of your own choice that ends in `.h5`, begins with the name of the
       backbone and has "notop" behind it, whatever the case and the punctuation:
       `mobilenet_v2_imagenet_int8_notop.weights.h5` is one for MobileNetV2. Official files for other image sizes
       do not count as such.
    2. Keras' cache, for the official file name.
    3. With `download`: the mirrors that `KERASCV_COURSE_MIRRORS` names, then the official address. The file comes
       into Keras' cache once it is as its checksum says: the one in Keras' source, or else the one in the list of
       the mirror, or what the official host states.

    Official files are known for MobileNetV2 (`alpha=1.0`) and InceptionV3. For every other backbone only a file of
    your own choice is looked for and `download` is without effect; where there is none let Keras download it.

    Args:
        backbone: Name of the function in `keras.applications`, for example "MobileNetV2".
        image_size: Height and width of the images; MobileNetV2 has files for several.
        download: Whether it may be downloaded; without it no connection is made.
        show: Called with the bytes that have arrived and those of the whole file; None for a `ProgressBar`.

    Returns:
        The weights, or `None` where none are at hand and none may or can be downloaded by this function.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `backbone` or `image_size` is no such thing, several files of your own choice fit, the file
            at hand is damaged, or a mirror is no web address.
        FileNotFoundError: If `KERASCV_COURSE_DATA` is no folder.
        ConnectionError: If no address delivered it; says for each why, and how to place the file by hand.
        OSError: If the disk is full or Keras' cache cannot be written.

    Example:
        >>> weights = find_backbone_weights("MobileNetV2", (96, 96))  # doctest: +SKIP
        >>> find_backbone_weights("MobileNetV2", (96, 0))
        Traceback (most recent call last):
            ...
        ValueError: `image_size` of `find_backbone_weights` must be an integer of at least 1. Received: ...
    """
    function = "find_backbone_weights"
    if not isinstance(backbone, str):
        raise input_error(function, "backbone", "a text", backbone, error=TypeError)
    if not re.fullmatch("[A-Za-z][A-Za-z0-9]*", backbone):
        raise input_error(function, "backbone", "a name in `keras.applications`, like 'MobileNetV2'", backbone)
    if not isinstance(image_size, tuple | list) or len(image_size) != 2:
        raise input_error(function, "image_size", "(height, width)", image_size)
    height, width = (check_int(function, "image_size", side, minimum=1) for side in image_size)
    if not isinstance(download, bool):
        raise input_error(function, "download", "True or False", download, error=TypeError)
    official = _official(backbone, height, width)
    found = _in_data_folder(backbone, official)
    if found is None and official is not None:
        path = keras_home() / WEIGHT_FOLDER / official.name
        found = _checked(path, official, _IN_CACHE) if path.is_file() else None
        if found is None and download:
            with ProgressBar(f"Weights of {backbone}") as bar:
                found = _fetch(official, path, show or bar)
    return found


def _official(backbone: str, height: int, width: int) -> _Official | None:
    if backbone == "MobileNetV2":
        rows = height if height == width and height in (96, 128, 160, 192, 224) else 224
        return _Official("mobilenet_v2", f"{_MOBILENET_V2}1.0_{rows}_no_top.h5")
    return _INCEPTION_V3 if backbone == "InceptionV3" else None


def _checked(path: Path, official: _Official, place: str) -> BackboneWeights:
    """Return the official file at the path, after comparing it with its checksum where Keras states one."""
    if official.md5 is not None and (md5 := checksum_of(path, "md5")) != official.md5:
        way_out = f"Delete {path}; the next call looks elsewhere."
        raise ValueError(f"{path.name} in {place} is damaged: MD5 {md5} in place of {official.md5}. {way_out}")
    return BackboneWeights(path, f"{path.name}, in {place}")


def _in_data_folder(backbone: str, official: _Official | None) -> BackboneWeights | None:
    setting = os.environ.get("KERASCV_COURSE_DATA")
    if not setting:
        return None
    root = Path(setting).expanduser().absolute()
    function, way_out = "find_backbone_weights", "Correct this environment variable, or unset it."
    if not root.is_dir():
        raise input_error(function, _IN_DATA, "an existing folder", setting, way_out, FileNotFoundError)
    folders = [folder for folder in (root / WEIGHT_FOLDER, root) if folder.is_dir()]
    for folder in folders:
        if official is not None and (folder / official.name).is_file():
            return _checked(folder / official.name, official, _IN_DATA)
    files = [path for folder in folders for path in sorted(folder.iterdir()) if path.is_file()]
    fitting = [path for path in files if _is_own_choice(path.name, backbone)]
    if len(fitting) > 1:
        names = ", ".join(path.relative_to(root).as_posix() for path in fitting)
        rule = f"a folder with one file of weights without top for {backbone}"
        raise input_error(function, _IN_DATA, rule, setting, f"{names} all fit: keep one of them there.")
    return BackboneWeights(fitting[0], f"{fitting[0].name}, in {_IN_DATA}") if fitting else None


def _is_own_choice(file_name: str, backbone: str) -> bool:
    """Say whether a file is named for the backbone, and not for one whose name goes on: MobileNet, MobileNetV2."""
    name = file_name.lower()
    found = re.match(r"[\W_]*".join(backbone.lower()) + r"(?![^\W_]|[\W_]*v\d)", name)
    if found is None or not name.endswith(".h5") or file_name.startswith(_MOBILENET_V2):
        return False
    return "notop" in re.sub(r"[\W_]", "", name[found.end() :])


def _fetch(official: _Official, target: Path, show: Show) -> BackboneWeights:
    places: list[tuple[str, Callable[[], _Offer]]] = [
        (f"the mirror {mirror}", functools.partial(_ask_mirror, mirror, official)) for mirror in mirror_addresses()
    ]
    places.append((str(urlsplit(OFFICIAL_BASE).hostname), functools.partial(_ask_host, official)))
    faults = []
    for source, find_offer in places:
        try:
            offer = find_offer()
            size, sha256, md5 = offer.size, offer.sha256, offer.md5
            path = download_file(
                [offer.address], target, size=size, sha256=sha256, md5=md5, show=show, variable="KERAS_HOME"
            )
        except ConnectionError as error:
            fault = str(error).removeprefix(f"{target.name} could not be downloaded. ")
            faults.append(fault.rstrip("."))
        else:
            return BackboneWeights(path, source)
    raise ConnectionError(
        f"{target.name} could not be downloaded. {'; '.join(faults)}. By hand: get this file on another network "
        f"or from a colleague and put it into {target.parent}, or into the sub-folder {WEIGHT_FOLDER} of the "
        f"folder that the environment variable {_IN_DATA} names."
    )


def _ask_mirror(mirror: str, official: _Official) -> _Offer:
    for weights in weights_of(mirror):
        if weights.file_name == official.name:
            # What Keras says of the file counts for more than what the mirror says.
            sha256 = weights.sha256 if official.md5 is None else None
            return _Offer(weights.address, weights.size, sha256, official.md5)
    raise ConnectionError(f"{mirror}: its {CHECKSUMS} does not list it")


def _ask_host(official: _Official) -> _Offer:
    """Ask for size and MD5, which Google Cloud Storage states in its answer to HEAD."""
    address = f"{OFFICIAL_BASE}{official.folder}/{official.name}"
    headers = ask_headers(address)
    length, stated = headers.get("Content-Length", ""), ",".join(headers.get_all("x-goog-hash", []))
    found = re.search(r"(?:^|[,\s])md5=([A-Za-z0-9+/]{22}==)", stated)
    md5 = base64.b64decode(found[1]).hex() if found else official.md5
    if md5 is None:
        raise ConnectionError(f"{address}: its MD5 is not stated, so what came could not be checked")
    if official.md5 not in (None, md5):
        raise ConnectionError(f"{address}: it has another file, with MD5 {md5} in place of {official.md5}")
    if not length.isdecimal() or not int(length):
        raise ConnectionError(f"{address}: its size is not stated")
    return _Offer(address, int(length), md5=md5)
