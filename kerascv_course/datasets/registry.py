"""The data sets by name, with a set that is always at hand in place of one that is not."""

import dataclasses
from collections.abc import Callable

from kerascv_course._validation import check_choice
from kerascv_course.datasets.cifar10 import find_cifar10, load_cifar10
from kerascv_course.datasets.embedded import load_digits, load_faces, load_mnist
from kerascv_course.datasets.patches import load_patches
from kerascv_course.datasets.record import ImageDataset

_Loader = Callable[[], ImageDataset]
_EMBEDDED: dict[str, _Loader] = {
    "mnist": load_mnist,
    "digits": load_digits,
    "patches": load_patches,
    "faces": load_faces,
}


def load(name: str, *, fallback: str | None = None) -> ImageDataset:
    """Load a data set by its name, or one that is always at hand in its place.

    Only CIFAR-10 can fail to be at hand: it is where `find_cifar10` finds it, and otherwise would have to be
    downloaded, which can take half an hour. With `fallback` nothing is ever downloaded. The record says in its
    name that it is a replacement, so that a table or the title of a figure that shows the name says it too.

    Args:
        name: "cifar10", or one of the embedded sets "mnist", "digits", "patches", "faces".
        fallback: The embedded set to use where the named one is not at hand; `None` to download it then.

    Returns:
        The record. Where the fallback was used its name is such as "patches (in place of cifar10, which is not
        at hand)".

    Raises:
        ValueError: If a name is unknown.
        FileNotFoundError: If `KERASCV_COURSE_DATA` is no folder.
        ConnectionError: If the set is not at hand, there is no `fallback`, and it cannot be downloaded.

    Example:
        >>> load("digits").name
        'digits'
        >>> load("cifar10", fallback="patches").name  # doctest: +SKIP
        'patches (in place of cifar10, which is not at hand)'
    """
    check_choice("load", "name", name, ("cifar10", *_EMBEDDED))
    check_choice("load", "fallback", fallback, (None, *_EMBEDDED))
    if name != "cifar10":
        return _EMBEDDED[name]()
    if fallback is None or find_cifar10() is not None:
        return load_cifar10()
    data = _EMBEDDED[fallback]()
    return dataclasses.replace(data, name=f"{data.name} (in place of {name}, which is not at hand)")
