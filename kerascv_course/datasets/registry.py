"""The data sets by name, with a set that is always at hand in place of one that is not."""

import contextlib
import dataclasses
from collections.abc import Callable

from kerascv_course._validation import check_choice, input_error
from kerascv_course.datasets.cache import DOWNLOADS
from kerascv_course.datasets.cifar10 import CIFAR10, find_cifar10, load_cifar10
from kerascv_course.datasets.embedded import load_digits, load_faces, load_mnist
from kerascv_course.datasets.fetching import RemoteFile, fetch
from kerascv_course.datasets.patches import load_patches
from kerascv_course.datasets.record import ImageDataset
from kerascv_course.datasets.weights import WEIGHTS, find_backbone_weights

FILES: dict[str, RemoteFile] = {"cifar10": CIFAR10, **WEIGHTS}  # by the name that `data fetch` takes
_EMBEDDED: dict[str, Callable[[], ImageDataset]] = {
    "mnist": load_mnist,
    "digits": load_digits,
    "patches": load_patches,
    "faces": load_faces,
}


def load(name: str, *, fallback: str | None = None, download: str | None = None) -> ImageDataset:
    """Load a data set by its name, or one that is always at hand in its place.

    Only CIFAR-10 can fail to be at hand: it is where `find_cifar10` finds it, and otherwise would have to be
    downloaded, which takes seconds to half an hour. A replacement says in its name that it is one, and with it a
    table or the title of a figure that shows the name.

    Args:
        name: "cifar10", or one of the embedded sets "mnist", "digits", "patches", "faces".
        fallback: The embedded set to use where the named one is not at hand; None for none.
        download: What is done where the named one is not at hand: "always" downloads it, "if possible" uses the
            fallback where there is no connection, "never" uses the fallback at once. None is "never"
            with a fallback, and "always" without.

    Returns:
        The record. Where the fallback was used its name is such as "patches (in place of cifar10, which is not
        at hand)".

    Raises:
        ValueError: If a name is unknown, or there is neither the set nor a fallback.
        FileNotFoundError: If `KERASCV_COURSE_DATA` is no folder.
        ConnectionError: If the set must be downloaded and cannot be.

    Example:
        >>> load("digits").name
        'digits'
        >>> load("cifar10", fallback="patches").name  # doctest: +SKIP
        'patches (in place of cifar10, which is not at hand)'
    """
    check_choice("load", "name", name, ("cifar10", *_EMBEDDED))
    check_choice("load", "fallback", fallback, (None, *_EMBEDDED))
    check_choice("load", "download", download, (None, *DOWNLOADS))
    if name != "cifar10":
        return _EMBEDDED[name]()
    download = download or ("never" if fallback else "always")
    at_hand = find_cifar10() is not None
    if download == "if possible" and not at_hand:
        with contextlib.suppress(ConnectionError):
            fetch(CIFAR10, tries=1)
            at_hand = True
    if at_hand or download == "always":
        return load_cifar10()
    if fallback is None:
        raise input_error("load", "download", "'always' where there is no `fallback`", download)
    data = _EMBEDDED[fallback]()
    return dataclasses.replace(data, name=f"{data.name} (in place of {name}, which is not at hand)")


def missing(*names: str) -> dict[str, str]:
    """Return which data files are not at hand, so that a notebook can say beforehand what it will download.

    Args:
        *names: As `kerascv-course data list` shows them, such as "cifar10" and "mobilenet_v2_96".

    Returns:
        Name and title of each that is not at hand.

    Example:
        >>> missing("cifar10")  # doctest: +SKIP
        {'cifar10': 'CIFAR-10, 60,000 photographs of 32x32 pixels in ten classes (170 MB)'}
    """
    for name in names:
        check_choice("missing", "names", name, FILES)
    return {name: FILES[name].title for name in names if not _is_at_hand(name)}


def _is_at_hand(name: str) -> bool:
    if name == "cifar10":
        return find_cifar10() is not None
    backbone, side = ("InceptionV3", 299) if name == "inception_v3" else ("MobileNetV2", int(name.split("_")[-1]))
    return find_backbone_weights(backbone, side, download="never") is not None
