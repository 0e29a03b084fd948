"""Multiply-adds and parameters of any cut of a network, by arithmetic over one trace.

A convolution or linear layer does (positions) x (elements of its weight), and the weight loses along each dimension
what its groups lose there; a kernel that is computed (CondConv, WeightNet), what the weight that makes it loses.
Products of two activations (attention) count as they were; so whoever needs the exact number counts the network that
was cut.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import prod

import numpy as np

from pumice.graph.channels import Group, Use
from pumice.graph.layers import works
from pumice.graph.records import Graph, Node, Shape


class Counts:
    """Of one traced network.  Groups that are not named keep everything."""

    def __init__(self, graph: Graph, groups: Iterable[Group]) -> None:
        self._uses: dict[str, dict[tuple[Shape, int], list[tuple[str, Use]]]] = defaultdict(lambda: defaultdict(list))
        self._sizes = {v.name: v.elements for v in graph.values if v.kind == "parameter" and v.name in graph.parameters}
        for group in groups:
            for use in group.uses:
                self._uses[use.tensor][use.seen, use.dim].append((group.name, use))
        counted = [layer for layer in graph.layers if layer.op != "extra"]
        self._madds: dict[str, int] = defaultdict(int)  # by weight, "" for what stays as it is
        for node, layer in zip(filter(works, graph.nodes), counted, strict=True):
            if layer.counted:
                self._madds[_weight(graph, node)] += layer.madds

    def madds(self, kept: Mapping[str, Sequence[int]]) -> int:
        """Multiply-adds, rounded."""
        return round(sum(madds * self._share(name, kept) for name, madds in self._madds.items()))

    def params(self, kept: Mapping[str, Sequence[int]]) -> int:
        """Parameters, rounded."""
        return round(sum(size * self._share(name, kept) for name, size in self._sizes.items()))

    def _share(self, tensor: str, kept: Mapping[str, Sequence[int]]) -> float:
        """What remains of a tensor's elements."""
        return prod(_remaining(uses, kept) for uses in self._uses.get(tensor, {}).values())


def _remaining(uses: list[tuple[str, Use]], kept: Mapping[str, Sequence[int]]) -> float:
    gone = 0
    for name, use in uses:
        if name in kept:
            channels = np.asarray(use.channels)
            gone += int(((channels >= 0) & ~np.isin(channels, np.asarray(kept[name], np.int64))).sum())
    return 1 - gone / len(uses[0][1].channels)


def _weight(graph: Graph, node: Node) -> str:
    """The name of the parameter that a node multiplies by, or that makes a convolution's kernel; "" if none does."""
    named = (graph.values[i] for i in node.inputs)
    found = next((value.name for value in named if value.kind == "parameter" and len(value.shape) > 1), "")
    kernel = node.ref("weight") if node.kind == "conv" else None
    if found or kernel is None:
        return found
    maker = graph.producer(kernel)
    while maker is not None and maker.kind == "view":
        maker = graph.producer(maker.inputs[0])
    return "" if maker is None else _weight(graph, maker)
