"""ONNX straight from the traced graph, in tenths of a second: for measuring, profiling and trying out edits.

torch's exporter takes 3 to 9 s for a network; here each recorded operator becomes the ONNX nodes that the exporter
would have made of it, so that a runtime runs the same kernels.  Nodes and values are called `n{index}` after the
graph's nodes, by which a profile of the runtime finds its way back to the layers.  Shipped files come from `export`.

writer.py       the graph as an ONNX model
layers.py       layers with weights, pooling, reductions, resizing
elementwise.py  element-wise operators and activations
moves.py        views and movement
arguments.py    arguments of operators as ONNX wants them
"""

from pumice.deploy.direct.writer import tensors_of, write_direct, write_graph, write_network

__all__ = ["tensors_of", "write_direct", "write_graph", "write_network"]
