"""The record in which every data set of this package arrives."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kerascv_course._validation import check_int, input_error

_NAMES_SHOWN = 12


@dataclass(frozen=True, eq=False, repr=False)
class ImageDataset:
    """Images and labels of a training and a test set, with their class names and where they came from.

    The arrays are held as they are given, not copied.

    Args:
        x_train: Training images, `uint8`, shape `(images, height, width, channels)`.
        y_train: Their labels, integers from 0 to `num_classes - 1`, shape `(images,)`.
        x_test: Test images, of the same height, width and channels.
        y_test: Their labels.
        class_names: One distinct name per label, in the order of the labels.
        name: The short name of the set, as in "cifar10".
        source: Where the data came from; completes the phrase "from ...".
        skipped: One text for each file that could not be used and was left out.

    Raises:
        TypeError: If an array is no NumPy array of the dtype above, or a text is no text.
        ValueError: If shapes, lengths or labels do not fit each other.

    Example:
        >>> images, labels = np.zeros((4, 8, 8, 1), "uint8"), np.array([0, 1, 0, 1])
        >>> data = ImageDataset(images, labels, images[:2], labels[:2], ("cat", "dog"), "pets", "an example")
        >>> data
        <ImageDataset pets: 4 training and 2 test images of (8, 8, 1), 2 classes (cat, dog), from an example>
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]
    name: str
    source: str
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the fields fit each other."""
        for argument in ("name", "source"):
            value = getattr(self, argument)
            if not isinstance(value, str) or not value:
                raise input_error("ImageDataset", argument, "a text that is not empty", value, error=TypeError)
        if not isinstance(self.skipped, tuple) or not all(isinstance(file, str) for file in self.skipped):
            raise input_error("ImageDataset", "skipped", "a tuple of texts", self.skipped, error=TypeError)
        names = self.class_names
        if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
            raise input_error("ImageDataset", "class_names", "a tuple of texts", names, error=TypeError)
        if not names or len(set(names)) != len(names):
            raise input_error("ImageDataset", "class_names", "one or more distinct names", names)
        for split in ("train", "test"):
            _check_images(f"x_{split}", getattr(self, f"x_{split}"))
            _check_labels(f"y_{split}", getattr(self, f"y_{split}"), len(getattr(self, f"x_{split}")), len(names))
        if self.x_test.shape[1:] != self.x_train.shape[1:]:
            rule = f"images of shape {self.input_shape}, as those of `x_train`"
            raise input_error("ImageDataset", "x_test", rule, self.x_test)

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def class_counts(self) -> dict[str, int]:
        """The number of training images of each class, by name."""
        counts = np.bincount(self.y_train, minlength=self.num_classes)
        return dict(zip(self.class_names, counts.tolist(), strict=True))

    @property
    def imbalance(self) -> float:
        """Training images of the largest class, divided by those of the smallest: 1 where all are the same."""
        return imbalance(self.class_counts)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of one image: the `input_shape` of a model."""
        height, width, channels = self.x_train.shape[1:]
        return height, width, channels

    def subset(self, per_class: int, seed: int = 0, *, test_per_class: int | None = None) -> "ImageDataset":
        """Return a smaller record with the same number of training images of each class.

        The same seed always picks the same images, in the same shuffled order; of two sizes with one seed the
        smaller set is contained in the larger.

        Args:
            per_class: Training images of each class, 1 or more.
            seed: Seed of the choice and of the order, 0 or more.
            test_per_class: Test images of each class, 1 or more; `None` keeps the test set whole, uncopied.

        Returns:
            The record; its name says how many images of each class it holds.

        Raises:
            TypeError: If an argument is no whole number.
            ValueError: If a class has fewer images than are asked for.

        Example:
            >>> from kerascv_course.datasets import load_digits
            >>> small = load_digits(image_size=8).subset(per_class=20)
            >>> small.name, len(small.x_train), len(small.x_test)
            ('digits (20 per class)', 200, 360)
        """
        seed = check_int("subset", "seed", seed, minimum=0)
        train = self._pick("train", "per_class", per_class, seed)
        size = f"{per_class} per class"
        x_test, y_test = self.x_test, self.y_test
        if test_per_class is not None:
            test = self._pick("test", "test_per_class", test_per_class, seed)
            size += f", {test_per_class} for testing"
            x_test, y_test = x_test[test], y_test[test]
        return ImageDataset(
            x_train=self.x_train[train],
            y_train=self.y_train[train],
            x_test=x_test,
            y_test=y_test,
            class_names=self.class_names,
            name=f"{self.name} ({size})",
            source=self.source,
            skipped=self.skipped,
        )

    def _pick(self, split: str, argument: str, per_class: int, seed: int) -> np.ndarray:
        """Return the shuffled indices of `per_class` images of each class."""
        check_int("subset", argument, per_class, minimum=1)
        labels = getattr(self, f"y_{split}")
        counts = np.bincount(labels, minlength=self.num_classes)
        fewest = int(np.argmin(counts))
        if per_class > counts[fewest]:
            kind = "training" if split == "train" else "test"
            rule = f"at most {counts[fewest]}, the number of {kind} images of class {self.class_names[fewest]!r}"
            raise input_error("subset", argument, rule, per_class)
        # One generator per split: asking for fewer test images does not change the training images.
        generator = np.random.default_rng([seed, split == "test"])
        picked = np.concatenate(
            [
                generator.permutation(np.flatnonzero(labels == label))[:per_class]
                for label in range(self.num_classes)
            ]
        )
        return generator.permutation(picked)

    def __repr__(self) -> str:
        """Return one line: name, counts, shape, classes and source."""
        shown = ", ".join(self.class_names[:_NAMES_SHOWN])
        if self.num_classes > _NAMES_SHOWN:
            shown += ", ..."
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        return (
            f"<ImageDataset {self.name}: {len(self.x_train)} training and {len(self.x_test)} test images of "
            f"{self.input_shape}, {self.num_classes} classes ({shown}), from {self.source}{skipped}>"
        )


def imbalance(counts: Mapping[str, int]) -> float:
    """Return the largest count divided by the smallest; infinite where that is 0.

    Example:
        >>> imbalance({"cat": 30, "dog": 20})
        1.5
    """
    return max(counts.values()) / min(counts.values()) if min(counts.values()) else math.inf


def _check_images(argument: str, images: np.ndarray) -> None:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        way_out = "Values from 0 to 255; a model rescales them itself."
        raise input_error("ImageDataset", argument, "a NumPy array of dtype uint8", images, way_out, TypeError)
    if images.ndim != 4 or images.size == 0:
        rule = "one or more images of shape (images, height, width, channels)"
        way_out = "Grey images need the channel axis too: `images[..., None]`." if images.ndim == 3 else ""
        raise input_error("ImageDataset", argument, rule, images, way_out)


def _check_labels(argument: str, labels: np.ndarray, count: int, num_classes: int) -> None:
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
        rule = "a NumPy array of an integer dtype"
        raise input_error("ImageDataset", argument, rule, labels, error=TypeError)
    if labels.shape != (count,):
        rule = f"one label per image, shape ({count},)"
        way_out = "`labels.reshape(-1)` drops the second axis." if labels.shape == (count, 1) else ""
        raise input_error("ImageDataset", argument, rule, labels, way_out)
    smallest, largest = int(labels.min()), int(labels.max())
    if smallest < 0 or largest >= num_classes:
        rule = f"labels from 0 to {num_classes - 1}, one per class name"
        way_out = f"The labels go from {smallest} to {largest}."
        raise input_error("ImageDataset", argument, rule, labels, way_out)
