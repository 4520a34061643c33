"""A fast recipe for CIFAR-10 and sets like it, from top to bottom.

What makes it fast, in the order of what it brings:

* a network whose work is nearly all in convolutions of small maps (`models.build_fastnet`);
* a first layer that is computed instead of trained: filters that make the patches of the images uncorrelated;
* random crops, which are smaller than the images: fewer pixels to compute, and a shift for nothing; and mirror
  images in turn, so that two epochs show each image once from both sides;
* one cycle of the learning rate, with batches large enough to keep the cores busy;
* soft labels.

Crops and mirror images are cut in NumPy while the batch is gathered. As layers of the model they would be a part
of each training step.
"""

import math
import os

import keras
import numpy as np
from keras import layers

from kerascv_course import runtime
from kerascv_course._store import RunFolder
from kerascv_course._validation import check_above, check_choice, check_int, check_pair, input_error
from kerascv_course.datasets import ImageDataset
from kerascv_course.models import build_fastnet
from kerascv_course.training.batches import Batches
from kerascv_course.training.fit import Arrays, Callbacks, fit_batches
from kerascv_course.training.one_cycle import OneCycle

CUT = 4  # pixels: so much smaller than the images are the crops
LABEL_SMOOTHING = 0.1
IMAGES_FOR_STEM = 5000
_FUNCTION = "train_fast"


def train_fast(
    data: ImageDataset | Arrays,
    *,
    size: str = "small",
    epochs: int = 10,
    batch_size: int = 256,
    learning_rate: float = 0.01,
    folder: str | os.PathLike[str] | None = None,
    resume: bool = True,
    callbacks: Callbacks = None,
    seed: int = 0,
    verbose: int | str = "auto",
) -> tuple[keras.Model, keras.callbacks.History]:
    """Train a `build_fastnet` on small colour images, as fast as it goes.

    On CIFAR-10 ten epochs reach 82.0 % (81.6 to 82.3: 3 seeds, 5,000 test images, TensorFlow 2.21), on two
    cores of a Xeon in the time of 26 epochs of LeNet-5; one epoch of half of the images is already better than
    ten of LeNet-5 (`benchmarks/cifar10_recipe.py`). The rate rises and falls once in the number of epochs that is
    asked for: to train longer, start anew with more epochs.

    For a last percent of accuracy average the answers to the image and its mirror image:
    `augmentation.test_time_augmentation(model, images, views="flip")`.

    Args:
        data: The training images, `uint8` or from 0 to 255, with sides of 20 pixels or more, and their labels from
            0; or an `ImageDataset`.
        size: "small", for processors, or "large", for a GPU.
        epochs: How often the training images are seen, at least 1.
        batch_size: Images per step, at least 1. The few that are left over at the end of an epoch are skipped.
        learning_rate: Peak of the cycle, above 0.
        folder: Where the state of the run is kept, as in `fit`, so that it can go on after an interruption.
        resume: Whether to go on with the run in `folder`. False starts anew and overwrites it.
        callbacks: A Keras callback or several.
        seed: Decides the weights, the order of the images, the crops and the mirror images.
        verbose: Keras' own: 0 silent, 1 a progress bar, 2 a line per epoch.

    Returns:
        The trained model, which takes whole images and answers to their middle, and Keras' `History`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If images and labels do not fit, a number is out of range, or `folder` holds another run.
        FloatingPointError: If the loss becomes NaN or infinite.

    Example:
        >>> from kerascv_course.datasets import load
        >>> patches = load("patches").subset(per_class=16)
        >>> model, history = train_fast(patches, epochs=1, batch_size=32, verbose=0)
        >>> model.predict(patches.x_test[:4], verbose=0).shape
        (4, 10)

    Source:
        Jordan: 94 % on CIFAR-10 in 3.29 seconds on a single GPU (2024): the computed first layer, the mirror
        images in turn, the one cycle and the soft labels. Smaller crops in training than in the test: Touvron et
        al., Fixing the train-test resolution discrepancy (2019).
    """
    images, labels = check_pair(_FUNCTION, "data", data)
    check_choice(_FUNCTION, "size", size, ("small", "large"))
    epochs = check_int(_FUNCTION, "epochs", epochs, 1)
    batch_size = min(check_int(_FUNCTION, "batch_size", batch_size, 1), len(images))
    learning_rate = check_above(_FUNCTION, "learning_rate", learning_rate)
    seed = check_int(_FUNCTION, "seed", seed, 0, 2**32 - 1)
    if images.ndim != 4 or min(images.shape[1:3]) < 20 or images.shape[3] != 3:
        raise input_error(_FUNCTION, "data", "colour images (n, height, width, 3) of 20 pixels or more", images)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise input_error(_FUNCTION, "data", "labels (n,) that are integers from 0", labels)

    runtime.seed_everything(seed)
    height, width = images.shape[1] - CUT, images.shape[2] - CUT
    classes = len(data.class_names) if isinstance(data, ImageDataset) else max(2, int(labels.max()) + 1)
    network = build_fastnet(size, input_shape=(height, width, 3), num_classes=classes)
    whiten(network, images[:IMAGES_FOR_STEM])
    batches = Crops(images, np.eye(classes, dtype="float32")[labels], batch_size, seed, (height, width))
    cycle = OneCycle(learning_rate, epochs * len(batches), start=learning_rate / 5, pct_start=0.25)
    network.compile(
        keras.optimizers.Adam(cycle),
        keras.losses.CategoricalCrossentropy(label_smoothing=LABEL_SMOOTHING),
        metrics=["accuracy"],
    )
    store = None if folder is None else RunFolder(_FUNCTION, folder)
    history = fit_batches(
        _FUNCTION,
        network,
        batches,
        None,
        epochs=epochs,
        store=store,
        resume=resume,
        callbacks=callbacks,
        verbose=verbose,
    )
    whole = keras.Input(images.shape[1:], name="image")
    middle = layers.CenterCrop(height, width, name="middle")(whole)
    return keras.Model(whole, network(middle), name="fast"), history


class Crops(Batches):
    """Batches of random crops, every other one a mirror image; in the next epoch it is the others."""

    def __init__(self, x: np.ndarray, y: np.ndarray, batch_size: int, seed: int, size: tuple[int, int]) -> None:
        # A view: of each image all its windows, (n, tops, lefts, channels, height, width).
        self.windows = np.lib.stride_tricks.sliding_window_view(x, size, axis=(1, 2))
        self.mirrored_first = np.random.default_rng(seed).random(len(x)) < 0.5
        super().__init__(x, y, batch_size, seed)

    def start_epoch(self, epoch: int) -> None:
        """Choose the order, the places and the sides of that epoch."""
        super().start_epoch(epoch)
        rng = np.random.default_rng([self.seed or 0, epoch, 1])
        self.tops, self.lefts = (rng.integers(0, n, len(self.x)) for n in self.windows.shape[1:3])
        self.mirrored = self.mirrored_first ^ (epoch % 2 == 1)

    def __len__(self) -> int:
        return len(self.indices) // self.batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.chosen(index)
        crops = np.moveaxis(self.windows[chosen, self.tops[chosen], self.lefts[chosen]], 1, -1)
        mirrored = self.mirrored[chosen, None, None, None]
        return np.where(mirrored, crops[:, :, ::-1], crops), self.y[chosen]


def whiten(network: keras.Model, images: np.ndarray) -> None:
    """Set the layer "stem" to filters that make the patches of images uncorrelated, and freeze it.

    The filters are the eigenvectors of the patches' covariance with the largest eigenvalues, divided by their
    roots; half of the layer holds them, and half their negatives, since a GELU keeps little but one sign.
    """
    stem, scale = network.get_layer("stem"), network.get_layer("scale")
    kernel = stem.kernel_size
    scaled = images.astype("float32") * scale.scale + scale.offset
    patches = np.lib.stride_tricks.sliding_window_view(scaled, kernel, axis=(1, 2))[:, ::2, ::2]
    patches = np.moveaxis(patches, 3, -1).reshape(-1, math.prod(kernel) * 3)
    values, vectors = np.linalg.eigh(np.cov(patches, rowvar=False))
    half = stem.filters // 2
    filters = (vectors / np.sqrt(values + 1e-2))[:, ::-1][:, :half].reshape(*kernel, 3, half)
    stem.set_weights([np.concatenate([filters, -filters], axis=-1), np.zeros(2 * half)])
    stem.trainable = False
