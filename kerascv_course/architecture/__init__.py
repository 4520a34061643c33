"""The arithmetic of convolutional networks, by hand formula and measured on any Keras model.

`conv_output_size` and `receptive_field` are the formulas of the course. `layer_table` reads the graph of a
built model and reports, layer by layer, parameters, multiply-accumulates, activations, memory and receptive
field; it runs no forward pass and leaves the model as it was. `compare_models` and `stage_table` put several
models side by side; `conv_cost` is for layers that nobody has built.
"""

from kerascv_course.architecture.arithmetic import Cost, conv_cost, conv_output_size, receptive_field
from kerascv_course.architecture.comparison import ModelRecord, compare_models, stage_table
from kerascv_course.architecture.graph import layer_table
from kerascv_course.architecture.table import LayerRow, LayerTable

__all__ = [
    "Cost",
    "LayerRow",
    "LayerTable",
    "ModelRecord",
    "compare_models",
    "conv_cost",
    "conv_output_size",
    "layer_table",
    "receptive_field",
    "stage_table",
]
