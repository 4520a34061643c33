"""Weights for a backbone where none are at hand: trained on another task, and kept."""

import random
from typing import Any

import keras

from kerascv_course._fingerprints import Unknowable, fingerprint, warn_unknowable
from kerascv_course._store import RunFolder
from kerascv_course._validation import check_above, check_int, input_error
from kerascv_course.datasets import ImageDataset
from kerascv_course.datasets.cache import cache_folder
from kerascv_course.training.batches import Batches
from kerascv_course.training.fit import fit_batches
from kerascv_course.transfer.backbones import Preprocess
from kerascv_course.transfer.freezing import unfreeze
from kerascv_course.transfer.model import TransferModel, backbone_shape, check_preprocess

_FUNCTION = "pretrain"


def pretrain(
    backbone: keras.Model,
    data: ImageDataset,
    *,
    epochs: int,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    preprocess_input: Preprocess | None = None,
    seed: int = 0,
    verbose: int = 1,
) -> keras.Model:
    """Train a backbone on another task, and keep its weights in the cache folder.

    The notebooks use it in the lite profile in place of ImageNet weights, where no weights are at hand.

    Training starts from random weights that `seed` decides, not from those that the backbone has: the result
    depends on the arguments alone. An interrupted call goes on where it stopped, and a finished one is loaded,
    from the cache folder. The temporary head, the mean of each map and a dense layer, is thrown away; no random
    number is taken from the generators that `seed_everything` seeds.

    Batch normalization needs some hundred steps until its stored statistics are those of the images; lower its
    `momentum` (0.9) for a training that is shorter.

    Args:
        backbone: A functional Keras model of one image that ends in maps or in a vector. Its weights are replaced;
            which layers are frozen stays as it is, and plays no part here.
        data: The other task, of two or more classes; its training images are resized to the size that the backbone
            takes.
        epochs: How often its training images are seen, 1 or more.
        batch_size: Images per step, 1 or more.
        learning_rate: Of the optimizer Adam, above 0.
        preprocess_input: What is done to images from 0 to 255 before the backbone; nothing by default.
        seed: Decides the first weights and the order of the images.
        verbose: 1 shows progress bars, 0 is silent.

    Returns:
        `backbone` itself, with its new weights.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the model is no such backbone, a number is out of range, or the images have colours and the
            backbone takes grey ones, or files in the cache folder are damaged.
        FloatingPointError: If the loss becomes NaN or infinite.
        OSError: If the cache folder cannot be written.

    Example:
        >>> from kerascv_course.datasets import load_digits
        >>> inputs = keras.Input((32, 32, 1))
        >>> maps = keras.layers.Conv2D(4, 3, activation="relu", name="block1_conv1")(inputs)
        >>> backbone = keras.Model(inputs, maps)
        >>> digits = load_digits().subset(per_class=4)
        >>> pretrain(backbone, digits, epochs=1, preprocess_input=lambda x: x / 255, verbose=0) is backbone
        True
    """
    shape = backbone_shape(_FUNCTION, backbone)
    if not isinstance(data, ImageDataset):
        raise input_error(_FUNCTION, "data", "an `ImageDataset`", data, error=TypeError)
    if data.num_classes < 2:
        raise input_error(_FUNCTION, "data", "a data set of two or more classes", data)
    if data.input_shape[-1] not in (1, shape[-1]):
        rule = f"images with {' or '.join(map(str, sorted({1, shape[-1]})))} channels, as the backbone wants them"
        raise input_error(_FUNCTION, "data", rule, data)
    height, width = (own or given for own, given in zip(shape[:2], data.input_shape[:2], strict=True))
    epochs = check_int(_FUNCTION, "epochs", epochs, 1)
    batch_size = check_int(_FUNCTION, "batch_size", batch_size, 1)
    learning_rate = check_above(_FUNCTION, "learning_rate", learning_rate)
    check_preprocess(_FUNCTION, preprocess_input)
    seed = check_int(_FUNCTION, "seed", seed, 0, 2**32 - 1)
    state = random.getstate()  # from which Keras takes the seed of every initializer
    try:
        random.seed(seed)
        copy = keras.models.clone_model(backbone)
        unfreeze(copy)
        options: dict[str, Any] = {"image_size": (height, width), "preprocess_input": preprocess_input}
        model = TransferModel(copy, data.num_classes, dropout=0, **options)
    finally:
        random.setstate(state)
    model.compile(keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    batches, store = Batches(data.x_train, data.y_train, batch_size, seed), None
    settings = [keras.__version__, keras.config.backend(), epochs, batch_size, learning_rate, seed]
    try:
        folder = cache_folder() / f"pretrained-{fingerprint(model, batches.digest(), settings)}"
        store = RunFolder(_FUNCTION, folder, "Delete that folder to train anew", "KERASCV_COURSE_CACHE")
    except Unknowable as what:
        warn_unknowable(_FUNCTION, what, "The backbone is trained, and its weights are not kept.")
    fit_batches(_FUNCTION, model, batches, None, epochs=epochs, store=store, verbose=int(bool(verbose)))
    backbone.set_weights(copy.get_weights())
    return backbone
