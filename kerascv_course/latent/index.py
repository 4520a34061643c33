"""Retrieval: which of many images are nearest to a given one, in the space of the features."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerascv_course._validation import as_array, check_choice, check_features, check_int, check_labels, input_error
from kerascv_course.datasets.cache import placed_whole
from kerascv_course.latent.distances import METRICS
from kerascv_course.latent.nearest import Nearest

_FORMAT = "kerascv_course image index 1"


@dataclass(frozen=True, eq=False)
class Neighbours:
    """What `ImageIndex.query` found, the nearest first.

    Attributes:
        indices: Which images of the index, `int64`, (queries, k).
        distances: How far they are, `float32`, (queries, k).
    """

    indices: np.ndarray
    distances: np.ndarray


class ImageIndex:
    """The images of a collection by their features, for exact search.

    The neighbours are those of the formula in `float64`, of equal distances the smaller index first.

    Args:
        features: Array (images, features) of finite numbers, at most 1e15 in size. They are kept as `float32`, and
            not copied where they are: do not change them afterwards.
        images: The images themselves, (images, ...), for figures; or None.
        labels: Their classes, integers or strings, (images,), for `classify` and `precision_at_k`; or None.
        metric: "l1": mean absolute difference, as on the slide. "l2": Euclidean distance. "cosine": 1 minus the
            cosine of the angle; a vector of zeros is at distance 1 from all.

    Attributes:
        features, images, labels, metric: As above.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the features are not as above, the lengths differ, or the metric is not known.

    Example:
        >>> index = ImageIndex(np.array([[0.0, 0], [0, 3], [4, 4]]), labels=["cat", "cat", "dog"], metric="l2")
        >>> found = index.query(np.array([[0.0, 1]]), k=2)
        >>> found.indices.tolist(), found.distances.tolist()
        ([[0, 1]], [[1.0, 2.0]])
        >>> index.classify(np.array([[5.0, 5]])).tolist()
        ['dog']

    Source: Boracchi (retrieval in the latent space, 1-NN with mean absolute differences).
    """

    def __init__(
        self, features: np.ndarray, images: np.ndarray | None = None, labels: Any = None, *, metric: str = "l1"
    ) -> None:
        function = "ImageIndex"
        check_choice(function, "metric", metric, METRICS)
        self.metric = metric
        self.features = check_features(function, "features", features)
        if images is not None:
            rule = f"an array of as many images as there are features, {len(self.features)}, or None"
            images = as_array(function, "images", images, rule)
            if len(images) != len(self.features):
                raise input_error(function, "images", rule, images)
        self.images = images
        if labels is not None:
            labels = check_labels(function, "labels", labels, count=len(self.features), strings=True)
        self.labels = labels
        self._nearest = Nearest(self.features, metric)

    def __len__(self) -> int:
        return len(self.features)

    def query(self, features: np.ndarray, k: int = 5) -> Neighbours:
        """Find the k nearest images of each query.

        Args:
            features: Those of the queries, (queries, features), as the index has them.
            k: How many neighbours, from 1 to the number of images in the index.

        Returns:
            Their indices and distances. Of equal distances the smaller index comes first.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If the features do not fit those of the index or are not finite, or `k` is out of range.
        """
        return self._query("query", features, k)

    def classify(self, features: np.ndarray, k: int = 1) -> np.ndarray:
        """Give each query the class that most of its k nearest images have.

        Args:
            features: Those of the queries, (queries, features).
            k: How many neighbours vote, from 1 to the number of images in the index.

        Returns:
            The classes, (queries,). Where classes have equally many votes, it is that of the nearest image.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: As for `query`, or if the index has no labels.
        """
        votes = self._labels("classify")[self._query("classify", features, k).indices]
        equal = votes[:, :, None] == votes[:, None, :]  # each neighbour, and those that vote as it does
        chosen = equal.sum(axis=2).argmax(axis=1)  # the first of the largest is the nearest
        return votes[np.arange(len(votes)), chosen]

    def precision_at_k(self, features: np.ndarray, labels: Any, k: int) -> float:
        """Compute which share of the k nearest images has the class of its query, in the mean over the queries.

        A query that is an image of the index itself, by features that are equal but for rounding, is not counted
        as its own neighbour.

        Args:
            features: Those of the queries, (queries, features).
            labels: Their classes, (queries,).
            k: How many neighbours, from 1 to the number of other images in the index.

        Returns:
            The precision at k, from 0 to 1.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: As for `query`, if lengths differ, or if the index has no labels.
        """
        ours = self._labels("precision_at_k")
        k = check_int("ImageIndex.precision_at_k", "k", k, 1, len(self.features) - 1)
        queries = check_features("ImageIndex.precision_at_k", "features", features, width=self.features.shape[1])
        theirs = check_labels("ImageIndex.precision_at_k", "labels", labels, count=len(queries), strings=True)
        if theirs.dtype.kind != ours.dtype.kind or not np.isin(theirs, ours).any():
            rule = f"classes of the index, such as {ours[0].item()!r}"
            raise input_error("ImageIndex.precision_at_k", "labels", rule, f"others, such as {theirs[0].item()!r}")
        found = self._query("precision_at_k", queries, k + 1).indices
        right = ours[found] == theirs[:, None]
        # In another batch a network gives the same image features that differ in the last digits.
        far = np.stack([np.abs(self.features[column] - queries).max(axis=1) for column in found.T], axis=1)
        is_self = far <= 1e-4 * np.abs(queries).max(axis=1, keepdims=True)
        itself = np.where(is_self & right, 2, is_self)  # of several that are equal, one of its own class
        left_out = np.where(is_self.any(axis=1), itself.argmax(axis=1), k)  # else the farthest
        return float(right[np.arange(k + 1) != left_out[:, None]].mean())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index, with images and labels, to a file (`.npz`); an existing one is replaced.

        Raises:
            OSError: If the file cannot be written.
        """
        arrays = {"features": self.features, "images": self.images, "labels": self.labels}
        given = {name: array for name, array in arrays.items() if array is not None}
        with placed_whole(Path(path)) as file:
            # No `allow_pickle=`: NumPy 2.1, which Colab has, takes it for an array.
            np.savez(file, format=_FORMAT, metric=self.metric, **given)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "ImageIndex":
        """Read an index that `save` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file is damaged, or holds something else.
        """
        file = Path(path)
        if not file.is_file():
            raise input_error("ImageIndex.load", "path", "a file", str(path), error=FileNotFoundError)
        try:
            with np.load(file, allow_pickle=False) as content:
                if str(content["format"]) != _FORMAT:
                    raise ValueError("of another format")
                images, labels = content.get("images"), content.get("labels")
                return cls(content["features"], images, labels, metric=str(content["metric"]))
        except Exception as error:  # any byte may be damaged: whatever comes of it is said in one way
            way_out = f"({error}) Make it again with `save`."
            rule = "a file that `ImageIndex.save` wrote, undamaged"
            raise input_error("ImageIndex.load", "path", rule, str(path), way_out) from error

    def _query(self, method: str, features: np.ndarray, k: int) -> Neighbours:
        function = f"ImageIndex.{method}"
        k = check_int(function, "k", k, 1, len(self.features))
        width = self.features.shape[1]
        queries = check_features(function, "features", features, width=width)
        indices, distances = self._nearest.search(queries, k)
        return Neighbours(indices, distances.astype("float32"))

    def _labels(self, method: str) -> np.ndarray:
        if self.labels is None:
            way_out = "Give them when the index is made."
            raise input_error(f"ImageIndex.{method}", "labels", "known to the index", None, way_out)
        return self.labels
