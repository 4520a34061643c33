"""Accuracy and trained weights as more and more blocks of a backbone are unfrozen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from kerascv_course._models import flat_layers
from kerascv_course._validation import check_above, check_choice, check_distinct, check_int
from kerascv_course.datasets import ImageDataset
from kerascv_course.transfer.blocks import Block, blocks_of
from kerascv_course.transfer.freezing import train_only, unfreeze
from kerascv_course.transfer.records import Stage, StageResult, StageResults
from kerascv_course.transfer.run import Arrays, Run

_FUNCTION = "unfreeze_sweep"
_OPTIONS = ["backbone", "batch_size", "validation_split", "validation_data", "test_data", "patience", "callbacks"]
_OPTIONS += ["class_weight", "augmentation", "seed", "verbose"]


@dataclass(frozen=True)
class SweepRow(StageResult):
    """What a step of a sweep trained, what it cost and what it gave; `stage` names its blocks.

    Attributes:
        unfrozen_blocks: Number of blocks of the backbone that were trained, besides the head.
    """

    unfrozen_blocks: int


def unfreeze_sweep(
    model: keras.Model,
    data: ImageDataset | Arrays,
    *,
    start: str = "input",
    steps: Sequence[int] | None = None,
    epochs: int = 3,
    learning_rate: float = 1e-4,
    **options: Any,
) -> StageResults:
    """Measure the accuracy as more and more blocks of the backbone are unfrozen.

    At each step the head and so many blocks of the backbone are trained. All steps start from the weights that the
    model has at the call, so train its head first; they train on the same images in the same order, and end with
    the best weights, those with the least validation loss. Afterwards the model has its weights from before the
    call again, with all layers set to trainable, and is compiled.

    Batch normalization of the backbone stays frozen, with its stored statistics. Blocks without other weights are
    not counted: to unfreeze them changes nothing.

    Args:
        model: A `TransferModel` or another model, as `fit_stages` takes it. The layers of the backbone are named
            by blocks, as `blocks` wants them.
        data: Training images and labels, as `fit_stages` takes them.
        start: "input" unfreezes the first blocks, as the course does; "head" the last ones.
        steps: How many blocks are unfrozen at each step, from 0 to all; by default every number.
        epochs: How often each step sees the training images, 1 or more.
        learning_rate: Of the optimizer, above 0: Adam, or what the model is compiled with.
        **options: `backbone`, `batch_size`, `validation_split`, `validation_data`, `test_data`, `patience`,
            `callbacks`, `class_weight`, `augmentation`, `seed` and `verbose`, as `fit_stages` takes them.

    Returns:
        A `SweepRow` for each step; it shows itself as a table.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the model has no backbone, or one whose layers are not named by blocks, images or labels do
            not fit, or a number is out of range.
        FloatingPointError: If the loss becomes NaN or infinite.

    Example:
        >>> from kerascv_course.datasets import load_digits
        >>> from kerascv_course.transfer import TransferModel
        >>> model = TransferModel("MobileNet", num_classes=10, image_size=32, weights=None)
        >>> digits = load_digits().subset(per_class=4, test_per_class=2)
        >>> results = unfreeze_sweep(model, digits, steps=[2], epochs=1, validation_split=0.3, verbose=0)
        >>> [(row.stage, row.trainable_params) for row in results.rows]
        [('stem..block_1', 13450)]

    Source: Lorente (unfreezing InceptionV3 block by block).
    """
    check_choice(_FUNCTION, "start", start, ("input", "head"))
    epochs = check_int(_FUNCTION, "epochs", epochs, 1)
    learning_rate = check_above(_FUNCTION, "learning_rate", learning_rate)
    for name in options:
        check_choice(_FUNCTION, "options", name, _OPTIONS)
    run = Run(_FUNCTION, model, data, **options)
    parts, notes = run.parts, run.notes
    counted = _counted_blocks(parts.backbone)
    steps = range(len(counted) + 1) if steps is None else steps
    numbers = check_distinct(_FUNCTION, "steps", steps, len(counted), ", the blocks with weights")
    same = "every step started from the weights that the model had at the call"
    notes.append(f"Unfrozen from the {start} on; {same}.")
    settings = Stage("all", learning_rate=learning_rate, epochs=epochs)
    before = model.get_weights()
    rows, histories = [], {}
    try:
        for number in numbers:
            unfrozen = counted[:number] if start == "input" else counted[len(counted) - number :]
            model.set_weights(before)
            unfreeze(model)  # the head, whatever was done to it before
            train_only(parts.backbone, {layer for block in unfrozen for layer in block.layers})
            run.goal.compile(model, learning_rate)
            result, history = run.train_stage(settings)
            names = [block.name for block in unfrozen] or ["none"]
            ends = "..".join(dict.fromkeys([names[0], names[-1]]))
            rows.append(SweepRow(**{**vars(result), "stage": ends}, unfrozen_blocks=number))
            histories[ends] = history
    finally:
        model.set_weights(before)
        unfreeze(model)
        run.goal.compile(model, learning_rate)
    return StageResults(tuple(rows), tuple(notes), histories)


def _counted_blocks(backbone: keras.Model) -> list[Block]:
    """Return the blocks of a backbone that hold weights to train."""

    def is_counted(layer: keras.Layer) -> bool:
        return layer.count_params() and not isinstance(layer, keras.layers.BatchNormalization)

    def layers(block: Block) -> list[keras.Layer]:
        return [inner for name in block.layers for inner in flat_layers(backbone.get_layer(name))]

    found = blocks_of(_FUNCTION, "model", backbone)
    return [block for block in found if any(map(is_counted, layers(block)))]
