"""Faces and other pieces of photographs that scikit-image carries: a two-class set that needs no network."""

import numpy as np
from PIL import Image

from kerascv_course._validation import check_int
from kerascv_course.datasets.record import ImageDataset

_SPLIT_SEED = 0


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

    Raises:
        TypeError: If `image_size` is no whole number.
        ValueError: If `image_size` is out of its range.

    Example:
        >>> load_faces()
        <ImageDataset faces: 150 training and 50 test images of (25, 25, 1), 2 classes (no face, face),
        from scikit-image, embedded>
    """
    size = check_int("load_faces", "image_size", image_size, minimum=8, maximum=512)
    # Both take a moment to import, which the readers of other sets need not wait for.
    import skimage.data
    from sklearn.model_selection import train_test_split

    # The faces come first. The values are fractions from 0 to 1, whatever scikit-image's documentation says.
    crops = np.rint(skimage.data.lfw_subset() * 255).astype("uint8")
    labels = np.repeat(np.array([1, 0], "int64"), 100)
    images = np.empty((len(crops), size, size, 1), dtype="uint8")
    for image, crop in zip(images, crops, strict=True):
        image[..., 0] = Image.fromarray(crop).resize((size, size), Image.Resampling.BILINEAR)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=0.25, stratify=labels, random_state=_SPLIT_SEED
    )
    return ImageDataset(
        x_train=images[train],
        y_train=labels[train],
        x_test=images[test],
        y_test=labels[test],
        class_names=("no face", "face"),
        name="faces",
        source="scikit-image, embedded",
    )
