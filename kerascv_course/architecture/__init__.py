"""The arithmetic of convolutional networks, by hand formula and measured on any Keras model.

`conv_output_size` and `receptive_field` are the formulas of the course. `layer_table` reads the graph of a
built model and reports, layer by layer, parameters, multiply-accumulates, activations, memory and receptive
field; it runs no forward pass and leaves the model as it was.
"""

from kerascv_course.architecture.arithmetic import conv_output_size, receptive_field
from kerascv_course.architecture.graph import layer_table
from kerascv_course.architecture.table import LayerRow, LayerTable

__all__ = ["LayerRow", "LayerTable", "conv_output_size", "layer_table", "receptive_field"]
