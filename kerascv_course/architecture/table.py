"""The records of a layer table, and their layout as text and HTML."""

import html
from dataclasses import asdict, dataclass
from typing import Any

from kerascv_course._tables import as_frame, html_line

_LEGEND = (
    "Only convolutions and matrix products count as MACs (multiply-accumulates); FLOPs = 2 × MACs.",
    "MACs, FLOPs, activations and bytes are for one image.",
    "Field: the side in pixels of what one value sees of the input; it may be larger than the image.",
)
_HEADER = (
    "Layer", "Type", "Output shape", "Parameters", "Trainable", "MACs", "FLOPs", "Activations", "Bytes", "Field"
)  # fmt: skip
_LEFT = 3  # the first columns hold text


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
            where they differ; None for inputs that are no images and where it is not known. It is theoretical:
            the region may reach beyond the image, the statistics of normalisation layers are left out, and
            where branches meet that step through the image differently it is the union over all positions.
        call: 1 for the first call of the layer, 2 for the second, ...
        depth: Convolutions and dense layers on the longest path from the input to here, this one included.
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


@dataclass(frozen=True)
class LayerTable:
    """What `layer_table` measured: the rows from input to output, and the name of the model."""

    model_name: str
    rows: tuple[LayerRow, ...]

    @property
    def total_params(self) -> int:
        """Weights of the model, shared ones once."""
        return sum(row.params for row in self.rows)

    @property
    def trainable_params(self) -> int:
        """Weights that training changes."""
        return sum(row.trainable_params for row in self.rows)

    @property
    def depth(self) -> int:
        """Convolutions and dense layers on the longest path: the number in the names VGG16 and ResNet50."""
        return max((row.depth for row in self.rows), default=0)

    @property
    def total_macs(self) -> int:
        """Multiply-accumulates for one image, without those of `unknown_layers`."""
        return sum(row.macs or 0 for row in self.rows)

    @property
    def total_flops(self) -> int:
        """Twice `total_macs`."""
        return 2 * self.total_macs

    @property
    def total_activations(self) -> int:
        """Values that all layers write for one image."""
        return sum(row.activation_values for row in self.rows)

    @property
    def activation_bytes(self) -> int:
        """Memory of these values in bytes."""
        return sum(row.activation_bytes for row in self.rows)

    @property
    def unknown_layers(self) -> tuple[str, ...]:
        """Names of the layers whose MACs are not known."""
        return tuple(dict.fromkeys(row.name for row in self.rows if row.macs is None))

    def to_dict(self) -> list[dict[str, Any]]:
        """Return one dictionary per row, as `pandas.DataFrame` takes them."""
        return [asdict(row) for row in self.rows]

    def to_frame(self) -> Any:
        """Return a `pandas.DataFrame` with one line per row, or raise `ImportError` where pandas is missing."""
        return as_frame(self.to_dict())

    def __str__(self) -> str:
        lines = [_HEADER, *(_cells(row) for row in self.rows), _total_cells(self)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        sides = "<" * _LEFT + ">" * (len(_HEADER) - _LEFT)
        head, *body, total = (
            "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True))
            for line in lines
        )
        rule = "-" * len(head)
        return "\n".join([self.model_name, head, rule, *body, rule, total, *_notes(self)])

    def _repr_html_(self) -> str:
        total = html_line(_total_cells(self), "th", _LEFT)
        head = html_line(_HEADER, "th", _LEFT)
        body = "".join(html_line(_cells(row), "td", _LEFT) for row in self.rows)
        notes = "<br>".join(html.escape(note) for note in _notes(self))
        return (
            f"<table><caption>{html.escape(self.model_name)}</caption><thead>{head}</thead>"
            f"<tbody>{body}</tbody><tfoot>{total}</tfoot></table><p><small>{notes}</small></p>"
        )


def _cells(row: LayerRow) -> tuple[str, ...]:
    field = row.receptive_field_px
    return (
        row.name if row.call == 1 else f"{row.name} (call {row.call})",
        row.layer_type,
        _shape(row.output_shape),
        f"{row.params:,}",
        f"{row.trainable_params:,}",
        *("unknown" if number is None else f"{number:,}" for number in (row.macs, row.flops)),
        f"{row.activation_values:,}",
        f"{row.activation_bytes:,}",
        "-" if field is None else " x ".join(map(str, field)) if isinstance(field, tuple) else str(field),
    )


def _shape(shape: tuple[Any, ...]) -> str:
    """Return the shape without the batch axis, as the courses write it: "28 × 28 × 6"."""
    if any(isinstance(part, tuple) for part in shape):
        return ", ".join(_shape(part) for part in shape)
    return " × ".join(map(str, shape[1:])) or "1"


def _total_cells(table: LayerTable) -> tuple[str, ...]:
    least = "at least " if table.unknown_layers else ""
    products = (f"{least}{number:,}" for number in (table.total_macs, table.total_flops))
    weights = (f"{number:,}" for number in (table.total_params, table.trainable_params))
    values = (f"{number:,}" for number in (table.total_activations, table.activation_bytes))
    return ("Total", "", "", *weights, *products, *values, "")


def _notes(table: LayerTable) -> list[str]:
    if not table.unknown_layers:
        return [*_LEGEND]
    return [*_LEGEND, f"MACs not known, and not in the totals: {', '.join(table.unknown_layers)}."]
