"""The record in which every data set of this package arrives."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerascv_course._validation import check_choice, check_int, check_labels, check_pixels, input_error

_NAMES_SHOWN = 12
_Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False, repr=False)
class ImageDataset:
    """Images and labels of a training and a test set, with their class names and where they came from.

    The arrays are held as they are given, not copied. A record unpacks as Keras' data sets do:
    `(x_train, y_train), (x_test, y_test) = data`.

    Args:
        x_train: Training images, whole numbers from 0 to 255, held as `uint8`, shape
            `(images, height, width, channels)`.
        y_train: Their labels, from 0 to `num_classes - 1`, `(images,)`, held as `int64`; `(images, 1)`, one-hot
            rows and names of classes become such.
        x_test: Test images, of the same height, width and channels.
        y_test: Their labels.
        class_names: One distinct name per label, in the order of the labels.
        name: The short name of the set, as in "cifar10".
        source: Where the data came from; completes the phrase "from ...".
        skipped: One text for each file that was left out, with the reason.
        x_val: Images for validation, where the set has such a part.
        y_val: Their labels.

    Raises:
        TypeError: If an array holds no numbers, or a string is no string.
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
    x_val: np.ndarray | None = None
    y_val: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check that the fields fit each other."""
        for argument in ("name", "source"):
            value = getattr(self, argument)
            if not isinstance(value, str) or not value:
                raise input_error("ImageDataset", argument, "a string that is not empty", value, error=TypeError)
        names = self.class_names
        if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
            raise input_error("ImageDataset", "class_names", "a tuple of strings", names, error=TypeError)
        if not names or len(set(names)) != len(names):
            raise input_error("ImageDataset", "class_names", "one or more distinct names", names)
        for split in ("train", "test", "val"):
            x, y = f"x_{split}", f"y_{split}"
            if split == "val" and self.x_val is None and self.y_val is None:
                continue
            images = check_pixels("ImageDataset", x, getattr(self, x))
            classes: dict[str, Any] = {"num_classes": len(names), "class_names": names}
            labels = check_labels("ImageDataset", y, getattr(self, y), count=len(images), **classes)
            object.__setattr__(self, x, images)
            object.__setattr__(self, y, labels)
            if images.shape[1:] != self.x_train.shape[1:]:
                rule = f"images of shape {self.input_shape}, as those of `x_train`"
                raise input_error("ImageDataset", x, rule, images)

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
    def validation(self) -> _Pair | None:
        """The `validation_data` of training functions: `(x_val, y_val)`, or `None` where there is no such part."""
        return None if self.x_val is None or self.y_val is None else (self.x_val, self.y_val)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of one image: the `input_shape` of a model."""
        height, width, channels = self.x_train.shape[1:]
        return height, width, channels

    def __iter__(self) -> Iterator[_Pair]:
        """Yield `(x_train, y_train)`, then `(x_test, y_test)`; not what is for validation."""
        yield self.x_train, self.y_train
        yield self.x_test, self.y_test

    def examples(self, n: int = 1, *, split: str = "train") -> _Pair:
        """Return the first `n` images of each class, class by class, and their labels.

        Args:
            n: Images of each class, 1 or more.
            split: "train", "test" or "val": the images to choose from.

        Returns:
            Images, `(n * num_classes, height, width, channels)`, and labels, `(n * num_classes,)`.

        Raises:
            ValueError: If a class has fewer images.

        Example:
            >>> from kerascv_course.datasets import load_digits
            >>> load_digits(image_size=8).examples(2)[1].tolist()
            [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9]
        """
        images, labels = self._pair("examples", split)
        chosen = np.concatenate([places[:n] for places in self._places("examples", "n", n, split)])
        return images[chosen], labels[chosen]

    def head(self, n: int, seed: int = 0, *, split: str = "train") -> _Pair:
        """Draw `n` images at random, each class in its proportion, and return them with their labels.

        Use it in place of `data.x_train[:n]`, which is one class alone where a set is sorted.

        Args:
            n: How many, 1 or more; all, where there are fewer.
            seed: Decides which images these are, and their order; 0 or more.
            split: "train", "test" or "val": the images to draw from.

        Returns:
            Images, `(n, height, width, channels)`, in mixed order, and labels, `(n,)`. The count of a class is at
            most one off its exact share of `n`; no image comes twice.

        Example:
            >>> from kerascv_course.datasets import load_digits
            >>> np.bincount(load_digits(image_size=8).head(100)[1]).tolist()
            [10, 10, 10, 10, 10, 10, 10, 10, 10, 10]
        """
        images, labels = self._pair("head", split)
        n = min(check_int("head", "n", n, minimum=1), len(labels))
        generator = np.random.default_rng(check_int("head", "seed", seed, minimum=0))
        # Shuffled and then sorted by class: n places at equal distances meet each class by its share.
        shuffled = generator.permutation(len(labels))
        by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
        places = (np.arange(n) + generator.random()) * len(labels) / n
        chosen = generator.permutation(by_class[places.astype(int)])
        return images[chosen], labels[chosen]

    def subset(self, per_class: int, seed: int = 0, *, test_per_class: int | None = None) -> "ImageDataset":
        """Return a smaller record with the same number of training images of each class.

        The same seed always picks the same images, in the same shuffled order; of two sizes with one seed the
        smaller set is contained in the larger.

        Args:
            per_class: Training images of each class, 1 or more.
            seed: Seed of the choice and of the order, 0 or more.
            test_per_class: Test images of each class, 1 or more; `None` keeps the test set whole, uncopied. Images
                for validation are kept whole.

        Returns:
            The record; its name says how many images of each class it holds.

        Raises:
            TypeError: If an argument is no integer.
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
        parts = {"x_train": self.x_train[train], "y_train": self.y_train[train]}
        if test_per_class is not None:
            test = self._pick("test", "test_per_class", test_per_class, seed)
            size += f", {test_per_class} for testing"
            parts |= {"x_test": self.x_test[test], "y_test": self.y_test[test]}
        return dataclasses.replace(self, name=f"{self.name} ({size})", **parts)

    def _pair(self, function: str, split: str) -> _Pair:
        pairs = {"train": (self.x_train, self.y_train), "test": (self.x_test, self.y_test)}
        if self.validation is not None:
            pairs["val"] = self.validation
        return pairs[check_choice(function, "split", split, tuple(pairs))]

    def _places(self, function: str, argument: str, count: int, split: str) -> list[np.ndarray]:
        """Return the indices of the images of each class, or raise unless each has so many."""
        labels = getattr(self, f"y_{split}")
        places = [np.flatnonzero(labels == label) for label in range(self.num_classes)]
        fewest = min(range(self.num_classes), key=lambda label: len(places[label]))
        name, most = self.class_names[fewest], len(places[fewest])
        if check_int(function, argument, count, minimum=1) > most:
            kind = {"train": "training", "val": "validation"}.get(split, split)
            rule = f"at most {most}, the number of {kind} images of class {name!r}"
            raise input_error(function, argument, rule, count)
        return places

    def _pick(self, split: str, argument: str, per_class: int, seed: int) -> np.ndarray:
        """Return the shuffled indices of `per_class` images of each class."""
        # One generator per split: asking for fewer test images does not change the training images.
        generator = np.random.default_rng([seed, split == "test"])
        places = self._places("subset", argument, per_class, split)
        return generator.permutation(np.concatenate([generator.permutation(part)[:per_class] for part in places]))

    def __repr__(self) -> str:
        """Return one line: name, counts, shape, classes and source."""
        more = ["..."] if self.num_classes > _NAMES_SHOWN else []
        shown = ", ".join([*self.class_names[:_NAMES_SHOWN], *more])
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        validation = "" if self.x_val is None else f", {len(self.x_val)} validation"
        counts = f"{len(self.x_train)} training{validation} and {len(self.x_test)} test images"
        return (
            f"<ImageDataset {self.name}: {counts} of "
            f"{self.input_shape}, {self.num_classes} classes ({shown}), from {self.source}{skipped}>"
        )
