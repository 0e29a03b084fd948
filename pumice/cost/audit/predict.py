"""What every node costs, and what an edit would save.

A node that keeps its work keeps its cost.  One whose width changed is taken to cost as much more or less as its
multiply-adds or its memory access, whichever leaves more: a saving is promised only where both fall.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pumice.cost.audit.chains import CHEAP, function
from pumice.cost.node_times import NodeTimes
from pumice.graph.edit import Edited
from pumice.graph.records import Graph, Layer, Node


@dataclass(frozen=True)
class Costs:
    """A number for each node of the graph: ms in a runtime, or elements of memory access."""

    unit: Literal["ms", "elements"]
    runtime: str
    nodes: tuple[float, ...]


def estimated(graph: Graph) -> Costs:
    """Memory access, where nobody measured; what runtimes fuse into a convolution costs nothing."""
    layers = working_layers(graph)
    free = {node.index for node in graph.nodes if _fused(graph, node)}
    return Costs(
        "elements",
        "",
        tuple(
            0.0 if n.index in free or n.index not in layers else float(layers[n.index].memory_access)
            for n in graph.nodes
        ),
    )


def measured(times: NodeTimes) -> Costs:
    """The runtime's times; a change of layout is charged to the node beside it that is no convolution, since it asks
    for another layout.
    """
    nodes = list(times.ms)
    for move in times.between:
        ends = [index for index in (move.after, move.before) if index is not None]
        asking = [index for index in ends if times.graph.nodes[index].kind != "conv"]
        if ends:
            nodes[(asking or ends)[0]] += move.ms
    return Costs("ms", times.runtime, tuple(nodes))


def saving(graph: Graph, edited: Edited, costs: Sequence[float]) -> float:
    """The costs before minus the costs expected after the edit."""
    before, after = working_layers(graph), working_layers(edited.graph)
    left = 0.0
    for node, origin in zip(edited.graph.nodes, edited.origin, strict=True):
        old = before.get(origin)
        new = after.get(node.index)
        if old is None or new is None:
            left += costs[origin]
        elif node.op == graph.nodes[origin].op or not _fused(edited.graph, node):
            left += costs[origin] * _growth(old, new)
    return sum(costs) - left


def working_layers(graph: Graph) -> dict[int, Layer]:
    """The layer records by index of their node; views and constants have none."""
    working = [node for node in graph.nodes if node.kind not in ("view", "create") and node.outputs]
    plain = [layer for layer in graph.layers if layer.op != "extra"]
    return {node.index: layer for node, layer in zip(working, plain, strict=True)}


def _growth(old: Layer, new: Layer) -> float:
    access = new.memory_access / old.memory_access if old.memory_access else 1.0
    return max(access, new.madds / old.madds) if old.madds and new.madds else access


def _fused(graph: Graph, node: Node) -> bool:
    """A cheap activation or an addition that runtimes compute inside the convolution before it."""
    if node.kind == "activation" and function(node) in CHEAP:
        source = graph.producer(node.inputs[0])
        alone = len(graph.consumers(node.inputs[0])) == 1
        return source is not None and alone and (source.kind == "conv" or _fused(graph, source))
    if function(node) != "add" or len({graph.values[i].shape for i in (*node.inputs, node.outputs[0])}) > 1:
        return False
    makers = [graph.producer(value) for value in node.inputs if len(graph.consumers(value)) == 1]
    return any(maker is not None and maker.kind == "conv" for maker in makers)
