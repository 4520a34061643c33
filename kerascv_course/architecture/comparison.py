"""Several models side by side: what each costs, and where it changes the resolution."""

import timeit
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, ClassVar

import keras
import numpy as np

from kerascv_course._models import check_linked
from kerascv_course._tables import Layout, Table
from kerascv_course._validation import check_int, check_list, input_error
from kerascv_course.architecture.graph import input_shapes, layer_table
from kerascv_course.architecture.table import LayerRow, LayerTable, field_text

_BYTES = 4  # of a weight or gradient in float32


@dataclass(frozen=True)
class ModelRecord:
    """What a model costs.

    Attributes:
        name: Name of the model.
        params: Weights.
        trainable_params: Those of them that training changes.
        macs: Multiply-accumulates of convolutions and matrix products for one image.
        activation_bytes: Memory of what all layers write for one image, in a forward pass that keeps it.
        training_bytes: Memory of a training step with Adam: the activations of the batch and as much for their
            gradients, the weights, and for each weight that is trained its gradient and two moments.
        depth: Convolutions and dense layers on the longest path from input to output.
        weight_layers: Layers that hold weights, batch normalisation included: "depth" in Keras' own table.
        receptive_field_px: Side of what one value of the last convolution sees, in pixels; None where not known.
        step_ms: Time of the fastest forward pass for one image in milliseconds; None where it was not measured.
    """

    name: str
    params: int
    trainable_params: int
    macs: int
    activation_bytes: int
    training_bytes: int
    depth: int
    weight_layers: int
    receptive_field_px: int | tuple[int, ...] | None
    step_ms: float | None


@dataclass(frozen=True, repr=False)
class ModelComparison(Table):
    """What `compare_models` measured: a row for each model, and remarks; shown as a table."""

    rows: tuple[ModelRecord, ...]
    notes: tuple[str, ...]

    _columns: ClassVar = {
        "Model": "name",
        "Parameters": "params:,",
        "MACs": lambda row: f"{row.macs / 1e6:,.1f} M",
        "Activations": lambda row: f"{row.activation_bytes / 2**20:,.1f} MiB",
        "Training memory": lambda row: f"{row.training_bytes / 2**20:,.0f} MiB",
        "Depth": "depth",
        "Weight layers": "weight_layers",
        "Field": lambda row: field_text(row.receptive_field_px),
        "ms per image": "step_ms:,.1f",
    }


def compare_models(
    models: Sequence[keras.Model], *, input_shape: Sequence[Any] | None = None, batch_size: int = 32, runs: int = 0
) -> ModelComparison:
    """Measure what several models cost.

    All but the time follows from the graph of a model, as in `layer_table`, without computing an image. With
    `runs` each model predicts one image of noise that many times, after two runs that build its program.

    Args:
        models: Built functional or `Sequential` models.
        input_shape: As in `layer_table`, for models that leave sizes open.
        batch_size: Images in the training step whose memory is calculated, 1 or more.
        runs: How often the forward pass is timed; 0 measures no time.

    Returns:
        One row per model, in their order; it shows itself as a table.

    Raises:
        TypeError: If `models` is no list of models, or a number is not whole.
        ValueError: If there is no model, a model is not built or leaves sizes open, or a number is too small.

    Example:
        >>> small = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)], name="small")
        >>> (row,) = compare_models([small]).rows
        >>> row.params, row.macs, row.depth, row.receptive_field_px
        (20, 648, 1, 3)

    Source: Boracchi (table of the applications); Di Stefano (memory for training).
    """
    checked = _check_models("compare_models", models)
    batch_size = check_int("compare_models", "batch_size", batch_size, 1)
    runs = check_int("compare_models", "runs", runs, 0)
    rows = []
    for model in checked:
        table = layer_table(model, input_shape=input_shape)
        maps = [row.receptive_field_px for row in table.rows if row.macs and len(row.output_shape) == 4]
        kept = 2 * batch_size * table.activation_bytes
        rows.append(
            ModelRecord(
                name=model.name,
                params=table.total_params,
                trainable_params=table.trainable_params,
                macs=table.total_macs,
                activation_bytes=table.activation_bytes,
                training_bytes=kept + _BYTES * (table.total_params + 3 * table.trainable_params),
                depth=table.depth,
                weight_layers=sum(row.params > 0 for row in table.rows),
                receptive_field_px=maps[-1] if maps else None,
                step_ms=_step_ms(model, input_shape, runs) if runs else None,
            )
        )
    memory = f"training memory for {batch_size} images with Adam, in float32."
    return ModelComparison(tuple(rows), (f"MACs, activations and ms for one image; {memory}",))


@dataclass(frozen=True)
class StageRecord:
    """What a model does at one resolution.

    Attributes:
        model: Name of the model.
        size_px: Height and width of the maps.
        channels: Channels of the maps with which the stage ends.
        layers: Convolutions of the stage.
    """

    model: str
    size_px: tuple[int, int]
    channels: int
    layers: int


@dataclass(frozen=True, repr=False)
class StageTable(Table):
    """What `stage_table` found: for each model its stages, from the finest resolution to the coarsest."""

    stages: tuple[tuple[StageRecord, ...], ...]

    @property
    def rows(self) -> tuple[StageRecord, ...]:  # type: ignore[override]
        """The stages of all models."""
        return tuple(stage for stages in self.stages for stage in stages)

    def _layout(self) -> Layout:
        header = [stages[0].model for stages in self.stages]
        columns = ([_stage_text(stage) for stage in stages] for stages in self.stages)
        return Layout(header, list(zip_longest(*columns, fillvalue="")), left=len(header))


def stage_table(models: Sequence[keras.Model], *, input_shape: Sequence[Any] | None = None) -> StageTable:
    """Show where several models change the resolution, side by side.

    A stage is all that is computed at one size of the maps; the first one is the first layer's output. Padding
    with zeros alone makes no stage. As in the tables of the papers, a stage ends with the last maps of its size
    that nothing goes around: the block that makes the maps smaller belongs to the stage that it leads to, with all
    of its layers.

    Args:
        models: Built functional or `Sequential` models, channels last.
        input_shape: As in `layer_table`, for models that leave sizes open.

    Returns:
        The stages of each model; it shows itself as a table with a column for each model.

    Raises:
        TypeError: If `models` is no list of models.
        ValueError: If there is no model, or a model is not built, leaves sizes open or computes no maps.

    Example:
        >>> net = keras.Sequential([keras.Input((8, 8, 3))], name="net")
        >>> net.add(keras.layers.Conv2D(4, 3, padding="same"))
        >>> net.add(keras.layers.MaxPooling2D())
        >>> net.add(keras.layers.Conv2D(6, 1))
        >>> print(stage_table([net]))
        net
        ----------------------
        8 x 8, 4 maps, 1 layer
        4 x 4, 6 maps, 1 layer
    """
    checked = _check_models("stage_table", models)
    return StageTable(tuple(_stages(model, layer_table(model, input_shape=input_shape)) for model in checked))


def _stages(model: keras.Model, table: LayerTable) -> tuple[StageRecord, ...]:
    sizes = {
        place: (row.output_shape[1], row.output_shape[2])
        for place, row in enumerate(table.rows)
        if len(row.output_shape) == 4 and row.layer_type not in ("InputLayer", "ZeroPadding2D")
    }
    if not sizes:
        raise input_error("stage_table", "models", "models that compute maps of an image", model.name)
    last = {sizes[place]: place for place in table.trunk if place in sizes}
    ends = {size: _end_of_block(table, place) for size, place in last.items()}
    at_size: dict[tuple[int, int], list[LayerRow]] = {}
    for place, size in sizes.items():
        is_gate = size == (1, 1) and place not in table.trunk  # of a squeeze-and-excitation block
        if is_gate or place > ends.get(size, place):
            later = {end: other for other, end in ends.items() if end >= place}
            size = later[min(later)] if later else size
        at_size.setdefault(size, []).append(table.rows[place])
    return tuple(
        StageRecord(
            model=model.name,
            size_px=size,
            channels=(table.rows[ends[size]] if size in ends else rows[-1]).output_shape[3],
            layers=sum(bool(row.macs) for row in rows),
        )
        for size, rows in at_size.items()
    )


def _end_of_block(table: LayerTable, place: int) -> int:
    """Return where the block ends that a row is in, if the row only widens the maps of the next one.

    An inverted residual block begins with a 1x1 convolution that widens linear maps for the depthwise one.
    """
    trunk, rows = table.trunk, table.rows
    at = trunk.index(place)
    following = (rows[later].layer_type for later in trunk[at + 1 :])
    if next((kind for kind in following if kind != "ZeroPadding2D"), "") != "DepthwiseConv2D":
        return place
    while at > 1 and not rows[trunk[at]].macs:
        at -= 1
    wide, before = rows[trunk[at]].output_shape, rows[trunk[at - 1]]
    is_linear = before.layer_type in ("BatchNormalization", "Add", "ops.Add")
    is_wider = wide[1:3] == before.output_shape[1:3] and wide[3] > before.output_shape[3]
    return trunk[at - 1] if is_linear and is_wider else place


def _stage_text(stage: StageRecord) -> str:
    layers = f"{stage.layers} layer{'' if stage.layers == 1 else 's'}"
    return f"{stage.size_px[0]} x {stage.size_px[1]}, {stage.channels} maps, {layers}"


def _check_models(function: str, models: Any) -> list[keras.Model]:
    checked = check_list(function, "models", models, "models")
    for model in checked:
        check_linked(function, model, "models")
    return checked


def _step_ms(model: keras.Model, input_shape: Any, runs: int) -> float:
    rng = np.random.default_rng(0)
    shapes = input_shapes("compare_models", model, input_shape)
    images = [rng.random((1, *shape), dtype="float32") for shape in shapes]
    given = images[0] if len(images) == 1 else images
    seconds = timeit.repeat(lambda: model.predict_on_batch(given), number=1, repeat=runs + 2)
    return 1000 * min(seconds[2:])  # the first two build the program; the fastest is disturbed least
