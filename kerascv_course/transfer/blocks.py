"""The named blocks of a backbone, and a backbone cut after one of them."""

import re
from dataclasses import dataclass

import keras

from kerascv_course._models import check_linked, check_model
from kerascv_course._validation import input_error

# How the families of `keras.applications`, and this package, begin the names of a block's layers: what the pattern
# captures is the block. Layers in between with other names (padding, additions) belong to the block before.
_PREFIXES = (
    r"(block_\d+|expanded_conv)_",  # MobileNetV2
    r"(expanded_conv(?:_\d+)?)_",  # MobileNetV3
    r"(conv[2-5])_block\d+_",  # ResNet, DenseNet
    r"convnext_\w+?_(stage_\d+)_",
    r"(block\d+)[a-z]?_",  # VGG, EfficientNet, Xception
    r"conv_(?:dw|pw|pad)_(\d+)",  # MobileNet
    r"(stage\d+|row\d+|inception\d[a-z])_",  # the models of this package
)
# The inception networks number their convolutions through; only the layer that ends a block has a name.
_ENDS = (r"(mixed\d+)$", r"(mixed_\d[a-z]|block\d+_\d+)(?:_ac)?$")  # InceptionV3; InceptionResNetV2


@dataclass(frozen=True)
class Block:
    """A run of layers of a backbone.

    Attributes:
        name: Its name, as in "mixed5", "block_13" or "conv4"; "stem" and "end" for what lies before and after.
        layers: The names of its layers, from input to output.
        params: Their weights.
    """

    name: str
    layers: tuple[str, ...]
    params: int


def blocks(backbone: keras.Model) -> tuple[Block, ...]:
    """Return the named blocks of a backbone, from input to output; together they hold all its layers.

    Args:
        backbone: A functional model of `keras.applications` or one whose layers are named as theirs, such as
            "block3_conv1".

    Returns:
        The blocks: "mixed0" to "mixed10" of InceptionV3, "block_1" to "block_16" of MobileNetV2, "conv2" to
        "conv5" of a ResNet, with "stem" and "end" where there are layers before and after them.

    Raises:
        TypeError: If `backbone` is no Keras model.
        ValueError: If its layers have no such names.

    Example:
        >>> backbone = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
        >>> [block.name for block in blocks(backbone)]
        ['stem', 'block1', 'block2', 'block3', 'block4', 'block5']
        >>> blocks(backbone)[1].layers
        ('block1_conv1', 'block1_conv2', 'block1_pool')
    """
    check_model("blocks", backbone, "backbone")
    return blocks_of("blocks", "backbone", backbone)


def blocks_of(function: str, argument: str, backbone: keras.Model) -> tuple[Block, ...]:
    """Return what `blocks` does, on behalf of a public function."""
    found = named_blocks(backbone)
    if not found:
        rule = "a model whose layers, those of its backbone, are named by blocks, as in 'block3_conv1'"
        way_out = "Name a layer, or a share of the layers such as 0.3, in place of a block."
        raise input_error(function, argument, rule, backbone.name, way_out)
    return found


def named_blocks(backbone: keras.Model) -> tuple[Block, ...]:
    """Return what `blocks` does, and none where the layers have no such names."""
    names = [layer.name for layer in backbone.layers]
    groups = _by_ends(names) or _by_prefixes(names)
    return tuple(
        Block(name, tuple(members), sum(backbone.get_layer(layer).count_params() for layer in members))
        for name, members in groups.items()
    )


def truncate(backbone: keras.Model, after: str) -> keras.Model:
    """Cut a backbone after one of its blocks or layers.

    Args:
        backbone: A functional Keras model.
        after: Name of the last block or layer that is kept, as in "mixed5".

    Returns:
        The model from the same input to the output of that block. It shares its layers, and with them the weights,
        with `backbone`. Pooling and a new head are added by `TransferModel(truncate(...), ...)`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the model is not built, or has no block or layer of that name.

    Example:
        >>> backbone = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
        >>> truncate(backbone, after="block2").output_shape
        (None, 8, 8, 128)

    Source: Lorente (removing blocks of InceptionV3).
    """
    check_linked("truncate", backbone, "backbone")
    last = backbone.get_layer(layers_of("truncate", "after", backbone, after)[-1])
    return keras.Model(backbone.inputs[0], last.output, name=f"{backbone.name}_to_{after}")


def layers_of(function: str, argument: str, backbone: keras.Model, name: str) -> tuple[str, ...]:
    """Return the layers of the block of that name, or that layer alone; raise where there is neither."""
    if not isinstance(name, str):
        raise input_error(function, argument, "the name of a block or layer", name, error=TypeError)
    found = {block.name: block.layers for block in named_blocks(backbone)}
    if name in found:
        return found[name]
    if any(layer.name == name for layer in backbone.layers):
        return (name,)
    known = f"Its blocks are {', '.join(found)}." if found else "`layers` of the model lists them by `name`."
    raise input_error(function, argument, f"a block or layer of {backbone.name}", name, known)


def _by_ends(names: list[str]) -> dict[str, list[str]]:
    """Group layers by the layer that ends each block, by the first pattern that finds some."""
    for pattern in _ENDS:
        groups: dict[str, list[str]] = {}
        waiting: list[str] = []
        for name in names:
            waiting.append(name)
            if found := re.match(pattern, name):
                groups.setdefault(found[1], []).extend(waiting)
                waiting = []
        if groups:
            return {**groups, "end": waiting} if waiting else groups
    return {}


def _by_prefixes(names: list[str]) -> dict[str, list[str]]:
    """Group layers by what their names begin with, by the pattern that finds most blocks."""
    finds = [
        [_block_name(match[1]) if (match := re.match(pattern, name)) else None for name in names]
        for pattern in _PREFIXES
    ]
    found = max(finds, key=lambda blocks: len(set(blocks) - {None}))  # a cut network may have one alone
    groups: dict[str, list[str]] = {}
    last = max((place for place, block in enumerate(found) if block), default=-1)
    block = "stem"
    for place, name in enumerate(names if any(found) else ()):
        block = "end" if place > last else found[place] or block
        groups.setdefault(block, []).append(name)
    return groups


def _block_name(text: str) -> str:
    return f"block_{text}" if text.isdecimal() else text
