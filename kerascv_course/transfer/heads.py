"""The parts of a transfer model: what is frozen, whose outputs are computed once, and the head that is trained."""

import functools
import itertools
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kerascv_course._models import find_backbone, input_shape, one_output, seeds_of
from kerascv_course._validation import input_error
from kerascv_course.latent.extractor import cut_model
from kerascv_course.training.batches import Batches
from kerascv_course.training.trial import call_once


@dataclass
class Parts:
    """A model taken apart around its backbone.

    Attributes:
        model: The whole model.
        backbone: Its layer that is a model.
        head: The layers after the backbone.
        cut: Number of the first layer of the head that has variables: all before it (pooling) belongs to the
            frozen part. None where the head cannot be trained on features.
        obstacle: Why it cannot, in words.
    """

    model: keras.Model
    backbone: keras.Model
    head: list[keras.Layer]
    cut: int | None
    obstacle: str = ""

    @functools.cached_property
    def extractor(self) -> keras.Model:
        """The part before the cut: from images to features."""
        return cut_model(self.model, (self.head[self.cut or 0].name,), before=True)

    def copy_head(self) -> keras.Model:
        """Return the part after the cut as a model of its own, with the same weights."""
        trained = self._trained()
        shape = self.extractor.output_shape[1:]
        copy = keras.Sequential([keras.Input(shape), *map(_copied, trained)])
        copy.set_weights([weight for layer in trained for weight in layer.get_weights()])
        return copy

    def take_head(self, copy: keras.Model) -> None:
        """Put the weights of such a copy into the model."""
        for layer, other in zip(self._trained(), copy.layers, strict=True):
            layer.set_weights(other.get_weights())

    def _trained(self) -> list[keras.Layer]:
        """Return the layers after the cut, with those of a head that is a `Sequential` of its own one by one."""
        layers: list[keras.Layer] = []
        for layer in self.head[self.cut or 0 :]:
            layers += layer.layers if isinstance(layer, keras.Sequential) else [layer]
        return layers


def _copied(layer: keras.Layer) -> keras.Layer:
    config = layer.get_config()
    if "activation" in config:
        config["activation"] = layer.activation  # a lambda cannot be made from a configuration
    return layer.__class__.from_config(config)


def split_model(function: str, model: Any, image: np.ndarray, backbone: str | keras.Model | None = None) -> Parts:
    """Take a model apart around its largest nested model, or the named one; raise where that is not possible.

    A model that is not built is, by one image, (1, height, width, channels).
    """
    if not getattr(model, "inputs", None):  # a subclassed one may have layers that are not built
        call_once(function, model, "data", image)
    network = find_backbone(function, model, backbone)
    is_linked = bool(getattr(model, "inputs", None))
    input_shape(function, model)
    one_output(function, model, model.outputs if is_linked else ())
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    before: list[keras.Layer] = []
    if network not in layers:  # the layers of the backbone stand one by one in the model
        head = [layer for layer in layers if layer not in network.layers]
    elif is_linked:
        before, head = layers[: layers.index(network)], layers[layers.index(network) + 1 :]
    else:
        head = [layer for layer in layers if layer is not network]
    if not any(layer.weights for layer in head):
        rule = "a model with a head, layers with weights after the backbone"
        raise input_error(function, "model", rule, model.name, 'Add `Dense(classes, "softmax")`.')
    obstacle = _obstacle(model, before, head) if is_linked else "the layers of a subclassed model are not linked"
    cut = next(number for number, layer in enumerate(head) if layer.variables)
    return Parts(model, network, head, None if obstacle else cut, obstacle)


def _obstacle(model: keras.Model, before: list[keras.Layer], head: list[keras.Layer]) -> str:
    """Return why the head cannot be trained on features that are computed once; nothing where it can."""
    if any(layer.trainable_variables for layer in before):
        return "layers before the backbone are trained as well"
    if any(map(seeds_of, before)):
        return "layers before the backbone change the images at random"
    try:
        is_chain = isinstance(model, keras.Sequential) or all(
            layer.input is before.output for before, layer in itertools.pairwise(head)
        )
    except AttributeError:  # a layer that is used in several places
        is_chain = False
    return "" if is_chain else "the layers after the backbone are no plain chain"


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


class InTraining(keras.layers.Layer):
    """Calls a layer as in training, also in `predict`, which overrides a `training=True` in a functional model."""

    def __init__(self, layer: keras.Layer) -> None:
        super().__init__()
        self.layer = layer

    def call(self, images: Any) -> Any:
        """Return what the layer makes of the images in training."""
        return self.layer(images, training=True)

    def get_config(self) -> dict[str, Any]:
        """Return the configuration of the layer."""
        return self.layer.get_config()
