"""Which layers of a backbone are trained, and which are frozen."""

from collections.abc import Collection

import keras

from kerascv_course._models import flat_layers
from kerascv_course._validation import input_error
from kerascv_course.transfer.blocks import layers_of, named_blocks
from kerascv_course.transfer.records import Stage, is_head


def set_trainable(backbone: keras.Model, stage: Stage, batch_norm: str = "inference") -> None:
    """Freeze and unfreeze the layers of a backbone for a stage, as `layer.trainable` loops by hand do.

    A frozen batch normalization layer uses its stored statistics. `base(x, training=False)` does not see to that:
    `fit` of a functional model calls all layers with `training=True` (Keras 3, issue 20285).
    """
    frozen = len(backbone.layers) if is_head(stage) else first_trained("fit_stages", backbone, stage)
    train_only(backbone, {layer.name for layer in backbone.layers[frozen:]}, batch_norm)


def train_only(backbone: keras.Model, names: Collection[str], batch_norm: str = "inference") -> None:
    """Freeze all layers of a backbone but those of these names."""
    unfreeze(backbone)
    for layer in backbone.layers:
        layer.trainable = layer.name in names
        if batch_norm == "inference":
            for inner in flat_layers(layer):
                if isinstance(inner, keras.layers.BatchNormalization):
                    inner.trainable = False


def unfreeze(layer: keras.Layer) -> None:
    """Set a layer and all layers inside it to trainable.

    With TensorFlow `layer.trainable = True` alone changes nothing inside a layer that is trainable already: an
    assignment of the value that is there is skipped.
    """
    for inner in flat_layers(layer):
        inner.trainable = True


def first_trained(function: str, backbone: keras.Model, stage: Stage) -> int:
    """Return the number of the first layer of the backbone that a stage trains."""
    start, names = stage.unfreeze_from, [layer.name for layer in backbone.layers]
    if start is None:
        return 0
    if isinstance(start, str):
        return names.index(layers_of(function, "unfreeze_from", backbone, start)[0])
    if isinstance(start, float):
        return min(round(len(names) * (1 - start)), len(names) - 1)
    named = [block for block in named_blocks(backbone) if block.name != "end"]
    if start > len(named):
        rule = f"at most {len(named)}, the blocks of the backbone"
        if not named:
            rule = f"the name of a layer or a share, as the layers of {backbone.name} are not named by blocks"
        raise input_error(function, "unfreeze_from", rule, start)
    return names.index(named[-start].layers[0])
