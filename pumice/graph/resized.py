"""The graph of a network with one channel group or several narrower, mostly by arithmetic instead of another trace.

    sizes = Resized(folded, (3, 224, 224), widths_of_each, kept_of)
    sizes.at({"blocks.1.expand.conv": 40}).madds

Every dimension of every value is the sum of a constant and, for each group, a multiple of its width: concatenated maps
add their channels, a flattened map has height x width elements a channel, a gate is as wide as its map.  So a trace of
the network in which a single group is narrower tells that group's part in all dimensions, and a trace for each group
tells every combination.  Where that is not so a network is cut and traced: behind a shuffle it may depend on which
channels stay what their neighbours are worth, and a shuffle of unequal halves calls another operator.
"""

from collections.abc import Callable, Mapping, Sequence
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
class Line:
    """What all dimensions lose when a group loses `removed` channels, whichever these are."""

    gone: Numbers
    removed: int


class Resized:
    """A network and how its dimensions follow from the widths of its groups.

    graph: as it is.
    widths: of the groups that can be narrower, by name.

    Args:
        model: as it is to be counted; with norms folded, say.
        input_size: (C, H, W).
        options: name of a channel group -> the widths that it may have instead; others stay as they are.
        keep: of a group's name and width, which of its channels stay, in ascending order.

    Raises:
        BadInput: the model cannot be traced.
    """

    def __init__(
        self,
        model: nn.Module,
        input_size: Shape,
        options: Mapping[str, Sequence[int]],
        keep: Callable[[str, int], Sequence[int]],
    ) -> None:
        self.graph = trace(model, input_size)
        self._model, self._size, self._keep = model, input_size, keep
        self._groups: dict[str, Group] = {group.name: group for group in channel_groups(self.graph)}
        self.widths = {name: self._groups[name].channels for name, widths in options.items() if widths}
        self._base = _sizes(self.graph)
        self._traced: dict[tuple[str, int], Graph] = {}
        self._first = {name: max(options[name]) for name in self.widths}
        self._known: dict[str, Line | None] = {}

    def at(self, widths: Mapping[str, int]) -> Graph:
        """The graph at these widths; groups that are not named keep theirs.

        Raises:
            BadInput: a width is not one that the group can have; several groups change, one of which is traced.
        """
        for name in widths.keys() - self.widths.keys():
            if name not in self._groups or widths[name] != self._groups[name].channels:
                raise BadInput(f"{self.graph.name} has no channel group {name!r} whose width can change")
        changed = {name: widths[name] for name, now in self.widths.items() if widths.get(name, now) != now}
        if not changed:
            return self.graph
        sizes = self._base.copy()
        for name, width in changed.items():
            line, gone = self._line(name), self.widths[name] - width
            if line is None and len(changed) > 1:
                raise BadInput(f"{self.graph.name} is traced where {name} changes, so that only it can change")
            if line is None:
                return self._trace(name, width)
            if gone < 0 or width < 1 or (line.gone * gone % line.removed).any():
                raise BadInput(f"channel group {name} cannot have {width} of its {self.widths[name]} channels")
            sizes -= line.gone * gone // line.removed
        return _graph(self.graph, sizes)

    def traced(self, name: str) -> bool:
        """Whether narrower networks are traced for a group, one by one."""
        return self._line(name) is None

    def _line(self, name: str) -> Line | None:
        """None where it matters which channels stay, or what runs is not the same."""
        if name not in self._known:
            self._known[name] = self._drawn(name, self._first[name])
        return self._known[name]

    def _drawn(self, name: str, width: int) -> Line | None:
        group = self._groups[name]
        try:
            stays = set(self._keep(name, width))
        except BadInput:  # it cannot be so narrow
            return None
        count = width // len(group.cells)
        # As many others, as far as there are: what goes first, then what stays.
        ordered = [sorted(cell, key=lambda channel: (channel in stays, channel)) for cell in group.cells]
        others = sorted(channel for cell in ordered for channel in cell[:count])
        try:
            one = self._trace(name, width)
            if not _alike(self.graph, one):
                return None
            other = trace(cut(self._model, self._all, {name: others}), self._size)
        except BadInput:
            return None
        same = _alike(one, other) and np.array_equal(_sizes(one), _sizes(other))
        return Line(self._base - _sizes(one), group.channels - width) if same else None

    def _trace(self, name: str, width: int) -> Graph:
        if (name, width) not in self._traced:
            kept = self._keep(name, width)
            self._traced[name, width] = trace(cut(self._model, self._all, {name: kept}), self._size)
        return self._traced[name, width]

    @property
    def _all(self) -> tuple[Group, ...]:
        return tuple(self._groups.values())


def _alike(one: Graph, other: Graph) -> bool:
    """Whether both call the same operators in the same modules."""
    calls = ([(node.op, node.path, node.inputs, node.outputs) for node in graph.nodes] for graph in (one, other))
    return next(calls) == next(calls) and len(one.values) == len(other.values)


def _graph(start: Graph, sizes: Numbers) -> Graph:
    values, nodes = _values(start, sizes), _nodes(start, sizes)
    named = {v.name: v.elements for v in values if v.kind == "parameter" and v.producer < 0}
    return replace(
        start,
        values=values,
        nodes=nodes,
        layers=_layers(start, nodes, values, named),
        params=sum(named[name] for name in start.parameters),
    )


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
