"""Which values share a width, and which convolutions set it and read it: union-find over the channel dimension."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pumice.cost.audit.chains import shuffles
from pumice.graph.records import Graph, Node

_PASSING = ("elementwise", "activation", "norm", "pool", "reduce", "resize")


@dataclass
class Width:
    """One width of a network.

    makers: convolutions whose outputs have it.  depthwise: those that keep it, a filter a channel.
    readers: convolutions that take it as input.
    fixed: something else depends on it (a concatenation, a split, a linear layer, the output).
    """

    channels: int
    makers: list[Node] = field(default_factory=list)
    depthwise: list[Node] = field(default_factory=list)
    readers: list[Node] = field(default_factory=list)
    fixed: bool = False


class Channels:
    """The widths of a graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._parent = list(range(len(graph.values)))
        passed = set()
        for chain in shuffles(graph):
            self._tie(chain.source, chain.result)
            passed |= set(chain.nodes)
        for node in graph.nodes:
            if is_depthwise(graph, node):
                self._tie(node.inputs[0], node.outputs[0])
            elif node.kind in _PASSING and node.outputs:
                self._pass(node)
        self._widths: dict[int, Width] = {}
        for node in graph.nodes:
            if node.index not in passed:
                self._enter(node)
        for value in (*graph.inputs, *graph.outputs):
            self.of(value).fixed = True

    def of(self, value: int) -> Width:
        """The width of a value."""
        root = self._root(value)
        shape = self._graph.values[value].shape
        return self._widths.setdefault(root, Width(shape[1] if len(shape) > 1 else 0))

    def into(self, conv: Node) -> Width:
        """The width that a convolution reads."""
        return self.of(conv.inputs[0])

    def out_of(self, conv: Node) -> Width:
        """The width that a convolution makes."""
        return self.of(conv.outputs[0])

    def __iter__(self) -> Iterator[Width]:
        return iter(self._widths.values())

    def _enter(self, node: Node) -> None:
        if node.kind == "conv" and not node.arguments.get("transposed", False):
            if is_depthwise(self._graph, node):
                self.of(node.outputs[0]).depthwise.append(node)
            else:
                self.of(node.outputs[0]).makers.append(node)
                self.of(node.inputs[0]).readers.append(node)
        elif node.kind not in _PASSING:
            for value in (*node.inputs, *node.outputs):
                if self._graph.values[value].from_input:
                    self.of(value).fixed = True

    def _pass(self, node: Node) -> None:
        result = self._graph.values[node.outputs[0]]
        for value in node.inputs:
            operand = self._graph.values[value]
            alike = len(operand.shape) > 1 < len(result.shape) and operand.shape[1] == result.shape[1]
            if alike and operand.from_input:
                self._tie(value, result.id)

    def _tie(self, a: int, b: int) -> None:
        self._parent[self._root(a)] = self._root(b)

    def _root(self, value: int) -> int:
        while self._parent[value] != value:
            self._parent[value] = self._parent[self._parent[value]]
            value = self._parent[value]
        return value


def is_depthwise(graph: Graph, node: Node) -> bool:
    """A filter for each channel, as many out as in."""
    if node.kind != "conv":
        return False
    given, made = graph.values[node.inputs[0]].shape[1], graph.values[node.outputs[0]].shape[1]
    return bool(node.arguments.get("groups", 1) == given == made and given > 1)


def is_pointwise(graph: Graph, node: Node) -> bool:
    """A 1 x 1 convolution over a map of more than one pixel."""
    weight = node.ref("weight")
    if node.kind != "conv" or weight is None or node.arguments.get("transposed", False):
        return False
    plain = all(size == 1 for size in graph.values[weight].shape[2:])
    return plain and pixels(graph, node) > 1


def pixels(graph: Graph, node: Node) -> int:
    """h w of the node's result."""
    *_, height, width = (1, 1, *graph.values[node.outputs[0]].shape[2:])
    return height * width


def stage(graph: Graph, node: Node) -> str:
    """The size of the node's result as people name a stage: 28x28."""
    return "x".join(map(str, graph.values[node.outputs[0]].shape[2:4])) or "the end"


def groups(node: Node) -> int:
    """Of a convolution."""
    return int(node.arguments.get("groups", 1))
