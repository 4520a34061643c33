"""The page on keras-cv: which of its layers work where. Skips where keras-cv is not installed."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

keras_cv = pytest.importorskip(
    "keras_cv", reason='keras-cv is not installed: pip install "kerascv_course[kerascv]"'
)

PAGE = Path(__file__).parent.parent / "notebooks" / "keras_cv_today.md"
ARGUMENTS = {
    "AugMix": ((0, 255),), "AutoContrast": ((0, 255),), "ChannelShuffle": (3,), "CutMix": (),
    "Equalization": ((0, 255),), "FourierMix": (0.8,), "Grayscale": (3,), "GridMask": (),
    "JitteredResize": ((32, 32), (0.8, 1.2)), "MixUp": (), "Mosaic": (), "Posterization": ((0, 255), 4),
    "RandAugment": ((0, 255),), "RandomAspectRatio": ((0.8, 1.2),), "RandomBrightness": (0.2,),
    "RandomChannelShift": ((0, 255), 0.2), "RandomColorDegeneration": (0.5,),
    "RandomColorJitter": ((0, 255), 0.2, 0.2, 0.2, 0.1), "RandomContrast": ((0, 255), 0.2), "RandomCrop": (24, 24),
    "RandomCropAndResize": ((24, 24), (0.8, 1.0), (0.8, 1.2)), "RandomCutout": (0.3, 0.3), "RandomFlip": (),
    "RandomGaussianBlur": (3, 1.0), "RandomHue": (0.2, (0, 255)), "RandomJpegQuality": ((50, 90),),
    "RandomRotation": (0.1,), "RandomSaturation": (0.3,), "RandomSharpness": (0.3, (0, 255)),
    "RandomShear": (0.2, 0.2), "RandomTranslation": (0.1, 0.1), "RandomZoom": (0.2,), "Resizing": (24, 24),
    "Solarization": ((0, 255),),
}  # fmt: skip
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype("float32")
LABELS = np.eye(8, dtype="float32")


def numpy_dictionary(layer):
    layer({"images": IMAGES.copy(), "labels": LABELS.copy()}, training=True)


def tf_data(layer):
    data = tf.data.Dataset.from_tensor_slices({"images": IMAGES, "labels": LABELS}).batch(8)
    list(data.map(lambda batch: layer(batch, training=True)))


def model(layer):
    inputs = keras.Input((32, 32, 3))
    network = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(layer(inputs)))
    network.compile("sgd", "mse")
    network.fit(IMAGES, np.zeros((8, 3)), verbose=0)


def works(use, name) -> str:
    try:
        use(getattr(keras_cv.layers, name)(*ARGUMENTS[name]))
    except Exception:  # whatever it is: it does not work
        return "no"
    return "yes"


ROWS = re.findall(
    r"^\| `(\w+)` \| (\w+) \| (\w+) \| (\w+) \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_layer_works_where_the_page_says(row):
    name, *stated, replacement = row
    assert [works(use, name) for use in (numpy_dictionary, tf_data, model)] == stated
    for core in re.findall(r"`keras\.layers\.(\w+)`", replacement):
        assert hasattr(keras.layers, core)


def test_the_page_has_every_layer():
    assert {row[0] for row in ROWS} == set(ARGUMENTS)
