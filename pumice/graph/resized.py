"""The graph of a network whose channel groups have other widths, by arithmetic instead of another trace.

    sizes = resizable(folded, (3, 224, 224))
    sizes.at({"trunk.0.1.expand.conv": 40}).madds

Every dimension of every value is the sum of a constant and, for each group, a multiple of its width: concatenated maps
add their channels, a flattened map has height x width elements a channel, a shuffle works on width / groups.  So one
trace of a network in which a single group is narrower tells that group's part in all dimensions, and the traces of all
groups, once, tell every combination.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pumice.errors import BadInput
from pumice.graph.channels import Group, channel_groups
from pumice.graph.cut import cut
from pumice.graph.layers import layer_records
from pumice.graph.records import Graph, Layer, Node, Shape, Value
from pumice.graph.trace import trace

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Probe:
    """A trace of the network in which `group` alone is narrower, by `removed` channels."""

    group: str
    removed: int
    graph: Graph


class Resized:
    """A traced network and how its dimensions follow from the widths of its groups.

    graph: the network as it is.
    widths: of its groups, by name.
    unfit: name of a group -> why its widths cannot be followed; it keeps its width.
    """

    def __init__(self, graph: Graph, groups: Sequence[Group], probes: Sequence[Probe]) -> None:
        self.graph = graph
        self.unfit: dict[str, str] = {}
        self._sizes = _sizes(graph)
        self._parts: dict[str, tuple[Numbers, int]] = {}
        for probe in probes:
            if len(probe.graph.nodes) != len(graph.nodes) or any(
                a.op != b.op or a.path != b.path for a, b in zip(graph.nodes, probe.graph.nodes, strict=True)
            ):
                self.unfit[probe.group] = "a narrower net calls other operators"
                continue
            self._parts[probe.group] = (self._sizes - _sizes(probe.graph), probe.removed)
        self.widths = {group.name: group.channels for group in groups if group.name in self._parts}

    def at(self, widths: Mapping[str, int]) -> Graph:
        """The graph at these widths; groups that are not named keep theirs.

        Raises:
            BadInput: a width is not one that the group can have.
        """
        sizes = self._at(widths)
        values = _values(self.graph, sizes)
        nodes = _nodes(self.graph, sizes)
        named = {v.name: v.elements for v in values if v.kind == "parameter" and v.producer < 0}
        return replace(
            self.graph,
            values=values,
            nodes=nodes,
            layers=_layers(self.graph, nodes, values, named),
            params=sum(named[name] for name in self.graph.parameters),
        )

    def _at(self, widths: Mapping[str, int]) -> Numbers:
        sizes = self._sizes.copy()
        for name, width in widths.items():
            if name not in self.widths:
                raise BadInput(f"{self.graph.name} has no channel group {name!r} whose width can change")
            gone = self.widths[name] - width
            if not gone:
                continue
            part, removed = self._parts[name]
            if gone < 0 or width < 1 or (part * gone % removed).any():
                raise BadInput(f"channel group {name} cannot have {width} of its {self.widths[name]} channels")
            sizes -= part * gone // removed
        return sizes


def resizable(model: nn.Module, input_size: Shape, groups: Sequence[Group] | None = None) -> Resized:
    """How the dimensions of a network follow from its widths: one more trace for each free channel group.

    Args:
        model: as it is to be counted; with norms folded, say.
        input_size: (C, H, W).
        groups: of `channel_groups`, if they are known.

    Raises:
        BadInput: it cannot be traced.
    """
    graph = trace(model, input_size)
    groups = channel_groups(graph) if groups is None else groups
    probes = []
    for group in groups:
        least = min(len(cell) for cell in group.cells)
        if group.frozen or least < 2:
            continue
        # One of each cell goes, and what unequal cells have beyond the smallest.
        kept = sorted(channel for cell in group.cells for channel in cell[: least - 1])
        narrow = trace(cut(model, groups, {group.name: kept}), input_size)
        probes.append(Probe(group.name, group.channels - len(kept), narrow))
    return Resized(graph, groups, probes)


def _sizes(graph: Graph) -> Numbers:
    """Every dimension of every value, then the groups of every convolution."""
    dims = [size for value in graph.values for size in value.shape]
    return np.array([*dims, *(int(node.arguments.get("groups", 1)) for node in _convolutions(graph))], dtype=np.int64)


def _convolutions(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if node.kind == "conv"]


def _values(graph: Graph, sizes: Numbers) -> tuple[Value, ...]:
    made: list[Value] = []
    place = 0
    numbers = sizes.tolist()
    grown: dict[int, tuple[int, int]] = {}  # storage -> bytes, for elements before, of its largest value
    for value in graph.values:
        shape = tuple(numbers[place : place + len(value.shape)])
        place += len(value.shape)
        if shape != value.shape:
            elements = value.elements * prod(shape) // prod(value.shape)
            value = replace(value, shape=shape, elements=elements)
        made.append(value)
    for old, new in zip(graph.values, made, strict=True):
        if old.elements > grown.get(old.storage, (0, 0))[1]:
            grown[old.storage] = (old.storage_bytes * new.elements // old.elements, old.elements)
    return tuple(
        value if value.storage_bytes == (size := grown.get(value.storage, (value.storage_bytes, 0))[0])
        else replace(value, storage_bytes=size)
        for value in made
    )  # fmt: skip


def _nodes(graph: Graph, sizes: Numbers) -> tuple[Node, ...]:
    convolutions = _convolutions(graph)
    groups = dict(zip((n.index for n in convolutions), sizes[len(sizes) - len(convolutions) :].tolist(), strict=True))
    return tuple(
        replace(node, arguments={**node.arguments, "groups": groups[node.index]})
        if node.index in groups and groups[node.index] != node.arguments.get("groups", 1)
        else node
        for node in graph.nodes
    )


def _layers(
    graph: Graph, nodes: Sequence[Node], values: Sequence[Value], sizes: Mapping[str, int]
) -> tuple[Layer, ...]:
    """Records anew; the extra terms of modules are in proportion to the elements that they are for, as in `edit`."""
    found = iter(layer_records(nodes, values, (), sizes))
    outputs = {node.path: values[node.outputs[0]].shape for node in nodes if node.outputs}
    made: list[Any] = []
    for layer in graph.layers:
        if layer.op != "extra":
            made.append(next(found))
            continue
        shape = outputs.get(layer.name, layer.output_shape)
        madds = layer.extra_madds * prod(shape) // prod(layer.output_shape)
        made.append(replace(layer, input_shapes=(shape,), output_shape=shape, extra_madds=madds))
    return tuple(made)
