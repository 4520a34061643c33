"""Real handwritten digits that scikit-learn carries: a data set that needs no network."""

import numpy as np
from PIL import Image

from kerascv_course._validation import check_int
from kerascv_course.datasets.record import ImageDataset

_SPLIT_SEED = 0


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

    Raises:
        TypeError: If `image_size` is no whole number.
        ValueError: If `image_size` is out of its range.

    Example:
        >>> data = load_digits(image_size=32)
        >>> data.x_train.shape, data.x_test.shape
        ((1437, 32, 32, 1), (360, 32, 32, 1))
    """
    size = check_int("load_digits", "image_size", image_size, minimum=8, maximum=512)
    # scikit-learn takes a second to import, which the readers of other sets need not wait for.
    from sklearn.datasets import load_digits as load_scans
    from sklearn.model_selection import train_test_split

    scans, labels = load_scans(return_X_y=True)
    grey = np.rint(scans.reshape(-1, 8, 8) * (255 / 16)).astype("uint8")
    images = np.empty((len(grey), size, size, 1), dtype="uint8")
    for image, scan in zip(images, grey, strict=True):
        image[..., 0] = Image.fromarray(scan).resize((size, size), Image.Resampling.BILINEAR)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=_SPLIT_SEED
    )
    labels = labels.astype("int64")
    return ImageDataset(
        x_train=images[train],
        y_train=labels[train],
        x_test=images[test],
        y_test=labels[test],
        class_names=tuple("0123456789"),
        name="digits",
        source="scikit-learn, embedded",
    )
