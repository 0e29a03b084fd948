"""Which nodes of an exported graph a layer became: weights are named as in the network or in its rewritten program."""

import re
from collections.abc import Iterable
from typing import Any

from pumice.errors import BadInput

# What a weight may pass through between where it is kept and where it is used.
_MOVES = ("Transpose", "Reshape", "Cast", "Identity", "Unsqueeze", "Squeeze")


def nodes_of(proto: Any, layers: Iterable[str]) -> dict[str, list[str]]:
    """Layer (module path) -> names of the nodes of an ONNX model that compute with its weight.

    Raises:
        BadInput: a layer's weight is not in the graph by its name.
    """
    found: dict[str, list[str]] = {}
    for layer in layers:
        # Programs have no dots in names, and add to names what they did.
        as_written = re.compile(
            rf"{re.escape(layer)}\.weight|_*{re.escape(layer.replace('.', '_'))}_weight(_\d+|_renumbered)*"
        )
        names = [kept.name for kept in proto.graph.initializer if as_written.fullmatch(kept.name)]
        nodes: list[str] = []
        for node in proto.graph.node:  # in the order of the dataflow
            if any(name in names for name in node.input):
                if node.op_type in _MOVES:
                    names.extend(node.output)
                else:
                    nodes.append(node.name)
        if not nodes:
            raise BadInput(f"{layer} is no layer with a weight of its own in the exported network; leave it out")
        found[layer] = nodes
    return found
