"""The parts of a transfer model: what is frozen, whose outputs are computed once, and the head that is trained."""

import itertools
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kerascv_course._digests import config_digest
from kerascv_course._validation import input_error
from kerascv_course.latent.features import computed_features
from kerascv_course.training.batches import Batches


@dataclass
class Parts:
    """A model taken apart around its backbone.

    Attributes:
        model: The whole model.
        backbone: Its layer that is a model.
        head: The layers after the backbone.
        cut: Number of the first layer of the head that has variables: all before it (pooling) belongs to the
            frozen part. None where the head is no chain of layers.
    """

    model: keras.Model
    backbone: keras.Model
    head: list[keras.Layer]
    cut: int | None

    @property
    def extractor(self) -> keras.Model:
        """The part before the cut: from images to features."""
        return keras.Model(self.model.input, self.head[self.cut or 0].input)

    def copy_head(self) -> keras.Model:
        """Return the part after the cut as a model of its own, with the same weights."""
        trained = self.head[self.cut or 0 :]
        copies = [layer.__class__.from_config(layer.get_config()) for layer in trained]
        copy = keras.Sequential([keras.Input(trained[0].input.shape[1:]), *copies])
        copy.set_weights([weight for layer in trained for weight in layer.get_weights()])
        return copy

    def take_head(self, copy: keras.Model) -> None:
        """Put the weights of such a copy into the model."""
        for layer, other in zip(self.head[self.cut or 0 :], copy.layers, strict=True):
            layer.set_weights(other.get_weights())


def split_model(function: str, model: Any) -> Parts:
    """Take a model apart, or raise where it has not exactly one backbone."""
    if not isinstance(model, keras.Model):
        raise input_error(function, "model", "a Keras model", model, error=TypeError)
    inner = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    if len(inner) != 1 or not model.built or len(model.outputs) != 1:
        rule = "a model with the backbone as one of its layers, as `TransferModel` and `base(x)` make them"
        raise input_error(function, "model", rule, f"{model.name}, with {len(inner)} models as layers")
    if len(model.output_shape) != 2:
        raise input_error(function, "model", "a classifier that ends in a vector", model.output_shape)
    place = model.layers.index(inner[0])
    head = model.layers[place + 1 :]
    cut = next((number for number, layer in enumerate(head) if layer.variables), None)
    return Parts(model, inner[0], head, cut if _is_chain(head) else None)


def _is_chain(layers: list[keras.Layer]) -> bool:
    try:
        return all(layer.input is before.output for before, layer in itertools.pairwise(layers))
    except AttributeError:  # a layer that is used in several places
        return False


class ViewBatches(Batches):
    """Batches of features of several views of each image, (views, n, ...): in each epoch one view, at random."""

    def start_epoch(self, epoch: int) -> None:
        """Put the images into the order of that epoch and draw a view of each."""
        super().start_epoch(epoch)
        rng = np.random.default_rng([self.seed or 0, epoch, len(self.x)])
        self.views = rng.integers(len(self.x), size=len(self.order))

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.chosen(index)
        start = index * self.batch_size
        return self.x[self.views[start : start + len(chosen)], chosen], self.y[chosen]


def extract_views(
    extractor: keras.Model,
    augmentation: keras.Layer,
    images: np.ndarray,
    views: int,
    seed: int,
    dtype: str,
    verbose: int,
) -> tuple[np.ndarray, int]:
    """Return the features of several augmented views of all images, (views, images, ...), and how many are new."""
    inputs = keras.Input(images.shape[1:])
    model = keras.Model(inputs, extractor(augmentation(inputs, training=True)))
    states = [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]
    settings = config_digest(augmentation.get_config())
    found, computed = [], 0
    for view in range(views):
        numbers = np.random.SeedSequence([seed, view]).generate_state(len(states)) >> 1
        for state, number in zip(states, numbers, strict=True):
            state.assign(np.array([number, 0]))
        features, count = computed_features(
            model, images, dtype=dtype, cache=True, verbose=verbose, key=f"{settings} {seed} {view}"
        )
        found.append(features)
        computed += count
    return np.stack(found), computed
