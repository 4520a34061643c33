"""Digits and faces that scikit-learn and scikit-image carry: real images that need no network."""

from typing import Any

import numpy as np
from PIL import Image

from kerascv_course._validation import check_int
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
    names = tuple("0123456789")
    source = "scikit-learn, embedded"
    return _record(grey, labels.astype("int64"), size, 0.2, class_names=names, name="digits", source=source)


def load_faces(image_size: int = 25) -> ImageDataset:
    """Load 100 faces and 100 pieces of background, embedded in scikit-image, as grey images.

    They are a part of the set "Labeled Faces in the Wild" (Huang et al.), cropped and reduced to 25x25 pixels;
    the backgrounds come from the same photographs. Another size is interpolated bilinearly by Pillow, whose
    fixed-point arithmetic gives the same bytes on every platform.

    One image in four of each class is a test image; the split is always the same. With 50 of them one image is
    two points of accuracy.

    Args:
        image_size: Height and width of the images in pixels, from 8 to 512; 25 leaves them as they are.

    Returns:
        150 training and 50 test images of shape `(image_size, image_size, 1)`; label 1 is a face.

    Example:
        >>> load_faces()
        <ImageDataset faces: 150 training and 50 test images of (25, 25, 1), 2 classes (no face, face),
        from scikit-image, embedded>
    """
    size = check_int("load_faces", "image_size", image_size, minimum=8, maximum=512)
    import skimage.data  # takes a moment

    # The faces come first. The values are fractions from 0 to 1, whatever scikit-image's documentation says.
    crops = np.rint(skimage.data.lfw_subset() * 255).astype("uint8")
    labels = np.repeat(np.array([1, 0], "int64"), 100)
    names, source = ("no face", "face"), "scikit-image, embedded"
    return _record(crops, labels, size, 0.25, class_names=names, name="faces", source=source)


def _record(grey: np.ndarray, labels: np.ndarray, size: int, test_split: float, **named: Any) -> ImageDataset:
    """Return the record of grey images in another size, split by seed 0."""
    images = np.empty((len(grey), size, size, 1), dtype="uint8")
    for image, small in zip(images, grey, strict=True):
        image[..., 0] = Image.fromarray(small).resize((size, size), Image.Resampling.BILINEAR)
    train, test = split_indices("load_" + named["name"], "test_split", labels, test_split, seed=0)
    return ImageDataset(images[train], labels[train], images[test], labels[test], **named)
