"""Bag of visual words: local descriptors, a vocabulary of them, and one vector per image."""

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import normalize
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from kerascv_course._validation import check_choice, check_int, input_error
from kerascv_course.classic import encodings
from kerascv_course.classic.descriptions import Descriptions, describe_with, read_images
from kerascv_course.classic.descriptors import DESCRIPTORS

_FUNCTION = "BagOfVisualWords"
_BLOCK_PIXELS = 50_000  # images are worked at in blocks so small that what is computed in turn stays in the cache
_VOCABULARY_IMAGES = 2000  # so many images, drawn at random, give the descriptors of the vocabulary


class BagOfVisualWords(TransformerMixin, BaseEstimator):
    """Turn images into vectors by what their pieces look like: a transformer of scikit-learn for image arrays.

    Local descriptors are grouped into a vocabulary of visual words; an image is then described by which words it
    has, and where. Put a classifier of scikit-learn behind it: `make_pipeline(BagOfVisualWords(), LinearSVC())`.
    An image without keypoints ("sift" finds none where all is flat) becomes the vector 0.

    Args:
        descriptor: "dense_sift", "sift", "daisy" for `DenseSift()`, `Sift()`, `Daisy()`; one of these objects with
            other options; or a callable that takes images (n, h, w, c) as they came and returns a map of
            descriptors (n, rows, columns, dimensions), such as the output of a convolution.
        vocabulary: Number of visual words, or of components of the Gaussian mixture; 1 or more.
        encoding: "histogram" counts the words; "vlad" sums what the descriptors differ by from their word;
            "fisher" is the gradient of the mixture's log likelihood, per descriptor.
        pyramid_levels: 1 for the image as a whole; 2 for its quarters as well, 3 for its sixteenths, and so on, at
            most 5, each level with its weight (Lazebnik et al.).
        norm: "l1", "l2", "power" (signed square roots, then l2), or None. A vector without any word stays 0.
        pca: Dimensions to which descriptors are reduced first; None leaves them.
        max_descriptors: At most so many, drawn at random, make PCA and vocabulary.
        random_state: Seed of what is drawn.
        n_jobs: Images are worked at by so many threads, or processes where the descriptor is scikit-image's, which
            threads do not speed up; -1 for one per core; None for one.

    Attributes:
        words_: The visual words, `float32`, (words, dimensions); with "fisher" the means of the mixture.
        mixture_: The Gaussian mixture; None where there is none.
        components_, mean_: Of the PCA, (pca, dimensions) and (dimensions,); None where there is none.

    Example:
        >>> from kerascv_course.datasets import load_digits
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.svm import LinearSVC
        >>> data = load_digits().subset(per_class=20, test_per_class=10)
        >>> model = make_pipeline(BagOfVisualWords(vocabulary=32, pyramid_levels=2), LinearSVC())
        >>> bool(model.fit(data.x_train, data.y_train).score(data.x_test, data.y_test) > 0.8)
        True

    Source: Lorente; Csurka et al. (2004), Lazebnik, Schmid and Ponce (2006), Jegou et al. (2010), Perronnin et
    al. (2010).
    """

    def __init__(
        self,
        descriptor: str | BaseEstimator | Callable[[np.ndarray], Any] = "dense_sift",
        *,
        vocabulary: int = 128,
        encoding: str = "histogram",
        pyramid_levels: int = 1,
        norm: str | None = "l2",
        pca: int | None = None,
        max_descriptors: int = 60_000,
        random_state: Any = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.descriptor = descriptor
        self.vocabulary = vocabulary
        self.encoding = encoding
        self.pyramid_levels = pyramid_levels
        self.norm = norm
        self.pca = pca
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, images: np.ndarray, y: Any = None) -> "BagOfVisualWords":
        """Learn the vocabulary, and PCA where it is asked for.

        Args:
            images: Array (n, h, w) or (n, h, w, c) of `uint8`, or of floats, from 0 to 1 unless `descriptor` is a
                callable. Or a list of images of different sizes, (h, w) or (h, w, c).
            y: Not used: a vocabulary knows no classes.

        Returns:
            The estimator itself.

        Raises:
            TypeError: If `images` or an option has the wrong type.
            ValueError: If `images` or an option is not as above, no image has a keypoint, or there are fewer
                descriptors than `vocabulary` or `pca` asks for.
        """
        self._check_options()
        groups = self._read_images(images)
        random = check_random_state(self.random_state)
        sample = self._sample(groups, random)
        components = mean = None
        if self.pca is not None:
            from sklearn.decomposition import PCA

            most = min(sample.shape)
            if self.pca > most:
                rule = f"at most {most}, for {len(sample)} descriptors of {sample.shape[1]} dimensions"
                raise input_error(_FUNCTION, "pca", rule, self.pca)
            found = PCA(self.pca, svd_solver="covariance_eigh").fit(sample)
            components, mean = found.components_.astype("float32"), found.mean_.astype("float32")
            sample = (sample - mean) @ components.T
        if len(sample) < self.vocabulary:
            rule = f"at most {len(sample)}, the number of descriptors that the images have"
            raise input_error(_FUNCTION, "vocabulary", rule, self.vocabulary)
        self.components_, self.mean_ = components, mean
        self.mixture_, words = self._fit_vocabulary(sample, random)
        self.words_ = np.ascontiguousarray(words, "float32")
        return self

    def transform(self, images: np.ndarray) -> np.ndarray:
        """Return one vector per image.

        Args:
            images: As for `fit`; other sizes than those of `fit` will do.

        Returns:
            `float32`, (n, features): the whole image first, then its cells row by row, level by level; in each the
            words one after the other.

        Raises:
            NotFittedError: If `fit` was not called.
            TypeError: If `images` is no array of `uint8` or floats.
            ValueError: If `images` is not as for `fit`, or a callable returns other dimensions than before.
        """
        check_is_fitted(self)
        groups = self._read_images(images)
        return np.concatenate(list(self._each_block(self._encode, groups)))

    def describe(self, images: np.ndarray) -> Descriptions:
        """Return the local descriptors of images, before PCA, with their places; needs no `fit`.

        Args:
            images: As for `fit`. All descriptors are held in memory: a grid of 300 points takes 150 KB an image.

        Raises:
            TypeError: If `images` is no array of `uint8` or floats.
            ValueError: If `images` is not as for `fit`.
        """
        self._check_options()
        groups = self._read_images(images)
        found, start = [], 0
        for part, count in self._each_block(self._describe, groups):
            found.append(part._replace(images=part.images + start))
            start += count
        return Descriptions(*(np.concatenate(column) for column in zip(*found, strict=True)))

    def nearest_words(self, descriptors: np.ndarray) -> np.ndarray:
        """Return which visual word each descriptor is nearest to.

        Args:
            descriptors: Array (points, dimensions), as `describe` gives them.

        Returns:
            Integers from 0, (points,).

        Raises:
            NotFittedError: If `fit` was not called.
        """
        check_is_fitted(self)
        return encodings.nearest_words(self.reduce(descriptors), self.words_)

    def reduce(self, descriptors: np.ndarray) -> np.ndarray:
        """Return descriptors after PCA, as the words are; without `pca` as they are.

        Args:
            descriptors: Array (points, dimensions), as `describe` gives them.

        Returns:
            Array (points, dimensions of `words_`).

        Raises:
            NotFittedError: If `fit` was not called.
            ValueError: If they have other dimensions than those that were fitted.
        """
        check_is_fitted(self)
        width = self.words_.shape[1] if self.components_ is None else self.components_.shape[1]
        if descriptors.ndim != 2 or descriptors.shape[1] != width:
            rule = f"one whose descriptors have {width} dimensions, as those that were fitted"
            raise input_error(_FUNCTION, "descriptor", rule, descriptors)
        return descriptors if self.components_ is None else (descriptors - self.mean_) @ self.components_.T

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that this takes images, not a table."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags

    def _check_options(self) -> None:
        if not callable(self.descriptor) and not hasattr(self.descriptor, "describe"):
            check_choice(_FUNCTION, "descriptor", self.descriptor, DESCRIPTORS)
        check_int(_FUNCTION, "vocabulary", self.vocabulary, 1)
        check_choice(_FUNCTION, "encoding", self.encoding, ("histogram", "vlad", "fisher"))
        check_int(_FUNCTION, "pyramid_levels", self.pyramid_levels, 1, 5)
        check_choice(_FUNCTION, "norm", self.norm, ("l1", "l2", "power", None))
        if self.pca is not None:
            check_int(_FUNCTION, "pca", self.pca, 1)
        check_int(_FUNCTION, "max_descriptors", self.max_descriptors, 1)

    def _read_images(self, images: Any) -> list[np.ndarray]:
        """Return the images in their order, as arrays of images of one size."""
        is_ours = isinstance(self.descriptor, str) or hasattr(self.descriptor, "describe")
        groups = [images]
        if isinstance(images, list | tuple) or getattr(images, "dtype", "") == np.dtype(object):
            groups = [list(group) for _, group in itertools.groupby(images, np.shape)] or groups
        read = [read_images(_FUNCTION, group, channels=(1, 3) if is_ours else None) for group in groups]
        if len({group.shape[3] for group in read}) > 1:
            raise input_error(_FUNCTION, "images", "all grey or all in colour", [group.shape for group in read])
        return read

    def _descriptor(self) -> Any:
        return DESCRIPTORS[self.descriptor]() if isinstance(self.descriptor, str) else self.descriptor

    def _describe(self, images: np.ndarray) -> tuple[Descriptions, int]:
        descriptor = self._descriptor()
        if hasattr(descriptor, "describe"):
            return descriptor.describe(images), len(images)
        return describe_with(_FUNCTION, descriptor, images), len(images)

    def _each_block(self, work: Callable[[np.ndarray], Any], groups: list[np.ndarray]) -> Iterator[Any]:
        """Yield what `work` makes of each block of images, in their order."""
        # The descriptors of all training images of CIFAR-10 at once would take seven gigabytes.
        sizes = [max(1, _BLOCK_PIXELS // (group.shape[1] * group.shape[2])) for group in groups]
        blocks = [
            group[start : start + size]
            for group, size in zip(groups, sizes, strict=True)
            for start in range(0, len(group), size)
        ]
        prefer = getattr(self._descriptor(), "_prefer", "threads")
        # Threads of the linear algebra beside ours would get in their way; alone, on products as small as these,
        # they were measured to double the processor time.
        with threadpool_limits(1, user_api="blas"):
            parallel = Parallel(n_jobs=self.n_jobs, prefer=prefer, return_as="generator")
            yield from parallel(delayed(work)(block) for block in blocks)

    def _sample(self, groups: list[np.ndarray], random: np.random.RandomState) -> np.ndarray:
        """Return at most `max_descriptors` descriptors of images drawn at random."""
        drawn = random.permutation(sum(map(len, groups)))[:_VOCABULARY_IMAGES]
        if len(groups) == 1:
            chosen = [groups[0][drawn]]
        else:
            each = [image[None] for group in groups for image in group]
            chosen = [each[place] for place in drawn]
        share = -(-self.max_descriptors // len(drawn))
        kept = []
        for found, count in self._each_block(self._describe, chosen):
            ends = np.searchsorted(found.images, np.arange(count + 1))
            for begin, end in itertools.pairwise(ends):
                kept.append(found.descriptors[begin + random.permutation(end - begin)[:share]])
        sample = np.concatenate(kept)
        if not len(sample):
            rule = "images of which at least one has a keypoint"
            way_out = "Flat images have none, and small ones few: descriptor='dense_sift' takes a grid instead."
            raise input_error(_FUNCTION, "images", rule, [group.shape for group in groups], way_out)
        return random.permutation(sample)[: self.max_descriptors]

    def _fit_vocabulary(self, sample: np.ndarray, random: np.random.RandomState) -> tuple[Any, np.ndarray]:
        """Return the mixture, or None where there is none, and the words."""
        from sklearn.cluster import MiniBatchKMeans
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        if self.encoding != "fisher":
            words = MiniBatchKMeans(self.vocabulary, batch_size=4096, n_init=1, max_iter=30, random_state=random)
            return None, words.fit(sample).cluster_centers_
        options = {"covariance_type": "diag", "max_iter": 20, "tol": 1e-2, "reg_covar": 1e-5}
        mixture = GaussianMixture(self.vocabulary, random_state=random, **options)
        with warnings.catch_warnings():
            # It need not settle: after 20 steps the classifier behind it gains nothing from more of them.
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(sample.astype("float64"))
        return mixture, mixture.means_

    def _encode(self, images: np.ndarray) -> np.ndarray:
        """Return the vectors of images: the levels of the pyramid side by side, each with its weight."""
        found, count = self._describe(images)
        cells = 4 ** (self.pyramid_levels - 1)
        places = encodings.cells(found.positions, images.shape[1], images.shape[2], self.pyramid_levels)
        groups = found.images * cells + places
        descriptors = self.reduce(found.descriptors)
        if self.encoding == "fisher":
            sums = encodings.fisher(descriptors, groups, count * cells, self.mixture_)
        else:
            encode = encodings.histogram if self.encoding == "histogram" else encodings.vlad
            sums = encode(descriptors, groups, count * cells, self.words_)
        levels = encodings.pool(sums.reshape(count, cells, -1), self.pyramid_levels)
        if self.encoding == "fisher":
            points = np.bincount(groups, minlength=count * cells).reshape(count, cells, 1)
            each = encodings.pool(points, self.pyramid_levels)
            levels = [level / np.maximum(number, 1) for level, number in zip(levels, each, strict=True)]
        weights = encodings.level_weights(self.pyramid_levels)
        weighted = [weight * level.reshape(count, -1) for weight, level in zip(weights, levels, strict=True)]
        return _normalise(np.concatenate(weighted, axis=1).astype("float32"), self.norm)


def _normalise(vectors: np.ndarray, norm: str | None) -> np.ndarray:
    """Return the rows normalised; a row of 0 stays as it is."""
    if norm == "power":
        return normalize(np.sign(vectors) * np.sqrt(np.abs(vectors)))
    return vectors if norm is None else normalize(vectors, norm)
