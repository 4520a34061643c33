"""The records of a layer table, and their layout."""

from dataclasses import dataclass
from typing import Any, ClassVar

from kerascv_course._tables import Layout, Table

_LEGEND = (
    "Only convolutions and matrix products count as MACs (multiply-accumulates); FLOPs = 2 × MACs.",
    "MACs, FLOPs, activations and bytes are for one image.",
    "Field: the side in pixels of what one value sees of the input; it may be larger than the image.",
)


@dataclass(frozen=True)
class LayerRow:
    """One call of one layer.

    Attributes:
        name: Name of the layer; inside a nested model after the name of that model: `"base/conv1"`.
        layer_type: Name of the class; operations of `keras.ops` as `"ops.Add"`.
        output_shape: Shape with the batch axis first; a tuple of shapes for several outputs.
        params: Weights of the layer that no earlier row has counted: a layer called again has none.
        trainable_params: Those of them that training changes.
        macs: Multiply-accumulates of convolutions and matrix products for one image; None where unknown.
        flops: Twice as many; None where unknown.
        activation_values: Values that the layer writes for one image; 0 where it only passes on its input.
        activation_bytes: The same in bytes, in the dtype of the layer's output.
        receptive_field_px: Side of the region of the input that one value sees, in pixels; one number per axis
            where they differ; None for inputs that are no images and where it is not known, as behind layers that
            enlarge their maps. It is theoretical: the region may reach beyond the image, the statistics of
            normalization layers are left out, and where paths meet the largest of their regions counts. After
            global pooling, or a dense layer on flattened maps, it is the whole image.
        call: 1 for the first call of the layer, 2 for the second, ...
        depth: Convolutions and dense layers on the longest path from the input to here, this one included.
        reads: Places in the table of the rows whose output it reads.
        reason: Why the MACs are not known; "" where they are.
    """

    name: str
    layer_type: str
    output_shape: tuple[Any, ...]
    params: int
    trainable_params: int
    macs: int | None
    flops: int | None
    activation_values: int
    activation_bytes: int
    receptive_field_px: int | tuple[int, ...] | None
    call: int = 1
    depth: int = 0
    reads: tuple[int, ...] = ()
    reason: str = ""


def _sum_of(field: str, meaning: str) -> property:
    """Return a property of a table: the sum of a field of its rows, where it is known."""
    return property(lambda table: sum(getattr(row, field) or 0 for row in table.rows), doc=meaning)


@dataclass(frozen=True, repr=False)
class LayerTable(Table):
    """What `layer_table` measured: the rows from input to output, and the name of the model."""

    model_name: str
    rows: tuple[LayerRow, ...]

    _columns: ClassVar = {
        "Layer": lambda row: row.name if row.call == 1 else f"{row.name} (call {row.call})",
        "Type": "layer_type",
        "Output shape": lambda row: _shape(row.output_shape),
        "Parameters": "params:,",
        "Trainable": "trainable_params:,",
        "MACs": lambda row: _count(row.macs),
        "FLOPs": lambda row: _count(row.flops),
        "Activations": "activation_values:,",
        "Bytes": "activation_bytes:,",
        "Field": lambda row: field_text(row.receptive_field_px),
    }

    total_params = _sum_of("params", "Weights of the model, shared ones once.")
    trainable_params = _sum_of("trainable_params", "Weights that training changes.")
    total_macs = _sum_of("macs", "Multiply-accumulates for one image, without those of `unknown_layers`.")
    total_flops = _sum_of("flops", "Twice `total_macs`.")
    total_activations = _sum_of("activation_values", "Values that all layers write for one image.")
    activation_bytes = _sum_of("activation_bytes", "Memory of these values in bytes.")

    @property
    def depth(self) -> int:
        """Convolutions and dense layers on the longest path: the number in the names VGG16 and ResNet50."""
        return max((row.depth for row in self.rows), default=0)

    @property
    def reasons(self) -> dict[str, str]:
        """By the name of each layer whose MACs are not known, why."""
        return {row.name: row.reason for row in self.rows if row.macs is None}

    @property
    def unknown_layers(self) -> tuple[str, ...]:
        """Names of the layers whose MACs are not known."""
        return tuple(self.reasons)

    @property
    def trunk(self) -> tuple[int, ...]:
        """Places of the rows that nothing goes around, on the way to the deepest output."""
        end = max((place for place, row in enumerate(self.rows) if row.depth == self.depth), default=-1)
        last_read: dict[int, int] = {}  # by row, of those that lead to the end
        for place in range(end, -1, -1):
            if place == end or place in last_read:
                for source in self.rows[place].reads:
                    last_read.setdefault(source, place)
        found, awaited = [], 0  # the last row that reads something from further up
        for place in sorted([*last_read, *([end] if self.rows else [])]):
            found += [place] if awaited <= place else []
            awaited = max(awaited, last_read.get(place, place))
        return tuple(found)

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        """What counts, and what is not known."""
        names = ", ".join(f"{name} ({why})" for name, why in self.reasons.items())
        unknown = f"MACs not known, and not in the totals: {names}."
        return (*_LEGEND, unknown) if self.unknown_layers else _LEGEND

    def _layout(self) -> Layout:
        least = "at least " if self.unknown_layers else ""
        products = (f"{least}{number:,}" for number in (self.total_macs, self.total_flops))
        weights = (f"{number:,}" for number in (self.total_params, self.trainable_params))
        values = (f"{number:,}" for number in (self.total_activations, self.activation_bytes))
        total = ("Total", "", "", *weights, *products, *values, "")
        return super()._layout()._replace(left=3, title=self.model_name, total=total)


def field_text(field: int | tuple[int, ...] | None) -> str:
    """Return a receptive field as it stands in a table."""
    return "-" if field is None else " x ".join(map(str, field)) if isinstance(field, tuple) else str(field)


def _count(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"


def _shape(shape: tuple[Any, ...]) -> str:
    """Return the shape without the batch axis, as the courses write it: "28 × 28 × 6"."""
    if any(isinstance(part, tuple) for part in shape):
        return ", ".join(_shape(part) for part in shape)
    return " × ".join(map(str, shape[1:])) or "1"
