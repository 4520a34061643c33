"""The outputs of a network for many images: computed in batches, and kept for the next time."""

from typing import Any

import keras
import numpy as np
from keras import tree

from kerascv_course import runtime
from kerascv_course._fingerprints import Unknowable, fingerprint, warn_unknowable
from kerascv_course._models import check_model_and_images, one_output
from kerascv_course._ranges import told
from kerascv_course._validation import check_choice, check_int, input_error
from kerascv_course.datasets.cache import cached_arrays
from kerascv_course.latent.extractor import feature_extractor


def extract_features(
    model: keras.Model,
    images: Any,
    *,
    layer: str | int | None = None,
    batch_size: int = 128,
    dtype: str = "float32",
    cache: bool = False,
    verbose: int = 1,
) -> np.ndarray:
    """Compute what a model makes of images, batch by batch.

    The images may be larger than the memory (`np.memmap`): only a batch of them is held at a time.

    Args:
        model: A Keras model with one output, subclassed ones included; it is used as in inference.
        images: Array (images, height, width, channels) in the range that the model takes; of a model with several
            inputs a list or dictionary of arrays, as it takes them.
        layer: The layer whose output is wanted, as `feature_extractor` takes it; None for that of the model.
        batch_size: Images in a batch, 1 or more.
        dtype: "float32", or "float16" for half the memory and about three digits.
        cache: Whether to keep the features in the cache folder and to take them from there the next time. They
            are found again by the content of the images, the model's weights and configuration, `dtype`, and
            backend and version of Keras: after any change they are computed again. A damaged file is, too. Those
            of a subclassed model, whose code is not known, are not kept.
        verbose: 1 shows a progress bar, 0 is silent.

    Returns:
        The features, (images, ...), of that `dtype`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the model has several outputs, there is no such layer, or the images are none, do not fit it
            or are not finite.
        OSError: If `cache` is asked for and the cache folder cannot be written.

    Example:
        >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.GlobalAveragePooling2D()])
        >>> extract_features(model, np.ones((5, 8, 8, 1), "uint8"), verbose=0).tolist()
        [[1.0], [1.0], [1.0], [1.0], [1.0]]

    Source: Boracchi (feature extraction network).
    """
    return computed_features(
        model if layer is None else feature_extractor(model, layer),
        images,
        batch_size=batch_size,
        dtype=dtype,
        cache=cache,
        verbose=verbose,
    )[0]


def computed_features(
    model: keras.Model,
    images: Any,
    *,
    batch_size: int = 128,
    dtype: str = "float32",
    cache: bool = False,
    verbose: int = 1,
    function: str = "extract_features",
    key: str = "",
) -> tuple[np.ndarray, int]:
    """Return what `extract_features` does, and how many images went through the model: none from the cache.

    `key` tells apart what neither weights nor configuration tell: the random numbers that the model uses.
    """
    check_choice(function, "dtype", dtype, ("float32", "float16"))
    batch_size = check_int(function, "batch_size", batch_size, 1)
    images = check_model_and_images(function, model, images, several=True)
    count = len(tree.flatten(images)[0])
    is_known = isinstance(model, keras.Sequential | keras.Function) and model.outputs
    shape = (count, *(model.outputs[0].shape[1:] if is_known else (None,)))
    name = ""
    if cache and None not in shape:
        try:
            name = f"features-{fingerprint(model, images, keras.__version__, keras.config.backend(), dtype, key)}"
        except Unknowable as what:
            warn_unknowable(function, what, "The features are computed, and not kept.")
    if not name:
        return _compute(function, model, images, batch_size, dtype, verbose), count
    computed = 0

    def build() -> dict[str, np.ndarray]:
        nonlocal computed
        computed = count
        return {"features": _compute(function, model, images, batch_size, dtype, verbose)}

    return cached_arrays(name, {"features": shape}, build, dtype)["features"], computed


def _compute(
    function: str, model: keras.Model, images: Any, batch_size: int, dtype: str, verbose: int
) -> np.ndarray:
    count = len(tree.flatten(images)[0])
    progress = keras.utils.Progbar(count, verbose=1, unit_name="image") if verbose else None
    features: np.ndarray | None = None
    for start in range(0, count, batch_size):
        batch = tree.map_structure(lambda each, start=start: each[start : start + batch_size], images)
        part = _predict(function, model, batch, min(batch_size, count))
        if features is None:
            features = np.empty((count, *part.shape[1:]), dtype)
        if not np.isfinite(part).all() or (dtype == "float16" and np.abs(part).max() > np.finfo("float16").max):
            way_out = "Use float32." if dtype == "float16" else "The model's weights may be NaN."
            raise input_error(function, "model", f"one with finite {dtype} features", model.name, way_out)
        features[start : start + len(part)] = part
        if progress is not None:
            progress.update(start + len(part))
    assert features is not None
    return features


def _predict(function: str, model: keras.Model, batch: Any, size: int) -> np.ndarray:
    """Return the outputs for a batch, filled up to one size: for another one Keras would trace the model again."""
    count = len(tree.flatten(batch)[0])

    def filled(part: np.ndarray) -> np.ndarray:
        zeros = (size - count, *part.shape[1:])
        return np.concatenate([part, np.zeros(zeros, part.dtype)]) if zeros[0] else part

    with runtime.without_tracing_notes(), told():
        answer = one_output(function, model, model.predict_on_batch(tree.map_structure(filled, batch)))
    return np.asarray(answer)[:count].astype("float32")
