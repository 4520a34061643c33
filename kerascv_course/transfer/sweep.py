"""Accuracy and trained weights as more and more blocks of a backbone are unfrozen."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import keras

from kerascv_course._models import flat_layers
from kerascv_course._tables import Table
from kerascv_course._validation import check_above, check_choice, check_int, input_error
from kerascv_course.datasets import ImageDataset
from kerascv_course.transfer.blocks import Block, blocks
from kerascv_course.transfer.freezing import train_only, unfreeze
from kerascv_course.transfer.records import Stage
from kerascv_course.transfer.run import Arrays, Run

_FUNCTION = "unfreeze_sweep"


@dataclass(frozen=True)
class SweepRow:
    """What a step of a sweep trained, what it cost and what it gave.

    Attributes:
        unfrozen_blocks: Number of blocks of the backbone that were trained, besides the head.
        blocks: Their names, as in "mixed0..mixed2"; empty where there are none.
        trainable_params: Weights that the step trained.
        frozen_params: Weights that it left alone, batch normalization of the backbone included.
        epochs: Epochs that were trained.
        seconds: Time of the training.
        val_accuracy: Accuracy on the held-out images of the weights with the least loss there; None without any.
        test_accuracy: Accuracy of the same weights on the test images; None without any.
    """

    unfrozen_blocks: int
    blocks: str
    trainable_params: int
    frozen_params: int
    epochs: int
    seconds: float
    val_accuracy: float | None
    test_accuracy: float | None


@dataclass(frozen=True, repr=False)
class SweepResults(Table):
    """What `unfreeze_sweep` returns: a record for each step, and remarks; shown as a table.

    Attributes:
        rows: The steps in their order.
        start: Where the unfrozen blocks begin: "input" or "head".
        notes: Remarks, shown below the table.
    """

    rows: tuple[SweepRow, ...]
    start: str
    notes: tuple[str, ...]

    _columns: ClassVar = {
        "Unfrozen": lambda row: row.blocks or "none",
        "Number": "unfrozen_blocks",
        "Trained": "trainable_params:,",
        "Frozen": "frozen_params:,",
        "Epochs": "epochs",
        "Seconds": "seconds:,.1f",
        "Validation": "val_accuracy:.1%",
        "Test": "test_accuracy:.1%",
    }


def unfreeze_sweep(
    model: keras.Model,
    data: ImageDataset | Arrays,
    *,
    backbone: str | keras.Model | None = None,
    start: str = "input",
    steps: Sequence[int] | None = None,
    epochs: int = 3,
    learning_rate: float = 1e-4,
    batch_size: int = 32,
    validation_split: float = 0.1,
    validation_data: Arrays | None = None,
    test_data: Arrays | None = None,
    augmentation: keras.Layer | None = None,
    seed: int = 0,
    verbose: int = 1,
) -> SweepResults:
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
        backbone: Which part of the model it is, as `fit_stages` takes it; by default the largest model in it.
        start: "input" unfreezes the first blocks, as the course does; "head" the last ones.
        steps: How many blocks are unfrozen at each step, from 0 to all; by default every number.
        epochs: How often each step sees the training images, 1 or more.
        learning_rate: Of the optimizer, above 0: Adam, or what the model is compiled with.
        batch_size: Images per step of the optimizer, 1 or more.
        validation_split: Share of the training images that is held out, from 0 to below 1, every class in its
            proportion. With 0 and no `validation_data` a step ends with its last weights.
        validation_data: Images and labels to hold the training against, in place of a split. An `ImageDataset`
            with a part for validation brings its own.
        test_data: Images and labels whose accuracy is measured after each step; they decide nothing.
        augmentation: A layer that changes training images at random, for example `augmentation.pipeline(...)`.
        seed: Decides the split, the order of the images, the dropout and the augmentation.
        verbose: 1 shows progress bars, 0 is silent.

    Returns:
        A row for each step; it shows itself as a table.

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
        >>> [(row.blocks, row.trainable_params) for row in results.rows]
        [('stem..block_1', 13450)]

    Source: Lorente (unfreezing InceptionV3 block by block).
    """
    check_choice(_FUNCTION, "start", start, ("input", "head"))
    epochs = check_int(_FUNCTION, "epochs", epochs, 1)
    learning_rate = check_above(_FUNCTION, "learning_rate", learning_rate)
    run = Run(
        _FUNCTION,
        model,
        data,
        backbone=backbone,
        batch_size=batch_size,
        validation_split=validation_split,
        validation_data=validation_data,
        test_data=test_data,
        augmentation=augmentation,
        seed=seed,
        verbose=verbose,
    )
    parts, notes = run.parts, run.notes
    counted = _counted_blocks(parts.backbone)
    numbers = _check_steps(steps, len(counted))
    notes.append(
        f"Unfrozen from the {start} on; every step started from the weights that the model had at the call."
    )
    if run.validation is None:
        notes.append("Nothing was held out: each step ended with its last weights.")
    if any(isinstance(layer, keras.layers.BatchNormalization) for layer in flat_layers(parts.backbone)):
        notes.append("Batch normalization of the backbone stayed frozen, with its stored statistics.")
    settings = Stage("all", learning_rate=learning_rate, epochs=epochs)
    before = model.get_weights()
    rows = []
    try:
        for number in numbers:
            unfrozen = counted[:number] if start == "input" else counted[len(counted) - number :]
            model.set_weights(before)
            unfreeze(model)  # the head, whatever was done to it before
            train_only(parts.backbone, {layer for block in unfrozen for layer in block.layers})
            run.goal.compile(model, learning_rate)
            result = vars(run.train_stage(settings)[0])
            names = [block.name for block in unfrozen]
            ends = names if len(names) < 2 else [names[0], names[-1]]
            found = {field.name: result[field.name] for field in fields(SweepRow) if field.name in result}
            rows.append(SweepRow(number, "..".join(ends), **found))
    finally:
        model.set_weights(before)
        unfreeze(model)
        run.goal.compile(model, learning_rate)
    return SweepResults(tuple(rows), start, tuple(notes))


def _counted_blocks(backbone: keras.Model) -> list[Block]:
    """Return the blocks of a backbone that hold weights to train."""
    try:
        found = blocks(backbone)
    except ValueError:
        rule = "a model whose backbone has layers named by blocks, as in 'block3_conv1'"
        raise input_error(_FUNCTION, "model", rule, f"the backbone {backbone.name}") from None
    fixed = keras.layers.BatchNormalization
    return [
        block
        for block in found
        if any(
            layer.count_params() and not isinstance(layer, fixed)
            for name in block.layers
            for layer in flat_layers(backbone.get_layer(name))
        )
    ]


def _check_steps(steps: Any, most: int) -> list[int]:
    rule = f"a list of one or more distinct integers from 0 to {most}, the blocks with weights"
    if steps is None:
        return list(range(most + 1))
    if not isinstance(steps, list | tuple | range):
        raise input_error(_FUNCTION, "steps", rule, steps, error=TypeError)
    numbers = [check_int(_FUNCTION, "steps", step, 0, most) for step in steps]
    if not numbers or len(set(numbers)) < len(numbers):
        raise input_error(_FUNCTION, "steps", rule, steps)
    return numbers
