"""Shuffles, gates, activations, dynamic activations and shortcuts, found by what they do in a traced graph.

Nothing here asks for a class of ours: a shuffle is a map that is seen in one more dimension, turned and laid flat
again, whoever wrote it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pumice.graph.records import Graph, Node, Shape

_LAYOUT = ("view", "_unsafe_view", "clone", "transpose", "permute", "reshape", "contiguous")
_POINTWISE = ("elementwise", "activation")
CHEAP = ("relu", "hardtanh", "relu6", "clamp", "clamp_min", "leaky_relu")
"""Activations that runtimes compute inside the convolution before them."""


@dataclass(frozen=True)
class Chain:
    """Nodes that turn the value `source` into `result`; the last of them is `last`."""

    source: int
    result: int
    last: Node
    nodes: tuple[int, ...]

    @property
    def path(self) -> str:
        """The module that ends it."""
        return self.last.path


def function(node: Node) -> str:
    """`aten.relu_.default` -> `relu`."""
    return node.op.split(".")[1].removesuffix("_").lstrip("_")


def shuffles(graph: Graph) -> Iterator[Chain]:
    """Maps (N, C, H, W) seen as (N, g, C / g, H, W), turned and seen as (N, C, H, W) again."""
    for node in graph.nodes:
        if function(node) in ("channel_shuffle", "native_channel_shuffle"):
            yield Chain(node.inputs[0], node.outputs[0], node, (node.index,))
            continue
        source = node.inputs[0] if node.inputs else -1
        if source < 0 or function(node) != "view" or not _grows(_shape(graph, source), _shape(graph, node.outputs[0])):
            continue
        inside, value, turned = [node.index], node.outputs[0], False
        last = node
        while _shape(graph, value) != _shape(graph, source):
            readers = graph.consumers(value)
            if len(readers) != 1 or readers[0].op.split(".")[1] not in _LAYOUT:
                break
            last = readers[0]
            turned |= function(last) in ("transpose", "permute")
            inside.append(last.index)
            value = last.outputs[0]
        if turned and _shape(graph, value) == _shape(graph, source):
            yield Chain(source, value, last, tuple(inside))


def selections(graph: Graph) -> Iterator[Chain]:
    """Channels reordered or chosen by a stored list, as many as there were."""
    for node in graph.nodes:
        if function(node) == "index_select" and not dynamic_path(graph, node.path):
            source, result = node.inputs[0], node.outputs[0]
            if _spatial(graph, source) and _shape(graph, source) == _shape(graph, result):
                yield Chain(source, result, node, (node.index,))


def gates(graph: Graph) -> Iterator[Chain]:
    """Maps multiplied by one number a channel, which the network computes from the image: squeeze-and-excitation."""
    for node in graph.nodes:
        if function(node) != "mul" or len(node.inputs) != 2 or dynamic_path(graph, node.path):
            continue
        for source, gate in (node.inputs, node.inputs[::-1]):
            shape = _shape(graph, gate)
            pooled = len(shape) == 4 and shape[2:] == (1, 1) and graph.values[gate].from_input
            if pooled and _spatial(graph, source) and _shape(graph, node.outputs[0]) == _shape(graph, source):
                yield Chain(source, node.outputs[0], node, (node.index,))


def activations(graph: Graph) -> Iterator[tuple[str, Chain]]:
    """(name, chain) of every activation of a map that is not CHEAP; x f(x), f of x alone, is one too."""
    covered: set[int] = set()
    found: list[tuple[str, Chain]] = []
    for node in graph.nodes:
        if function(node) == "mul" and len(node.inputs) == 2:
            for source, other in (node.inputs, node.inputs[::-1]):
                inside = _function_of(graph, other, source)
                if inside and _spatial(graph, source):
                    covered |= set(inside)
                    name = "x * " + function(graph.nodes[inside[-1]])
                    found.append((name, Chain(source, node.outputs[0], node, (*inside, node.index))))
                    break
    for node in graph.nodes:
        if node.kind == "activation" and node.index not in covered and function(node) not in CHEAP:
            source, result = node.inputs[0], node.outputs[0]
            if _spatial(graph, source) and _shape(graph, source) == _shape(graph, result) and "softmax" not in node.op:
                found.append((function(node), Chain(source, result, node, (node.index,))))
    yield from sorted(found, key=lambda item: item[1].last.index)


def dynamic_activations(graph: Graph) -> Iterator[Chain]:
    """Modules that declare multiply-adds of their own for applying computed coefficients: Dynamic Shift-Max."""
    for path in dict.fromkeys(layer.name for layer in graph.layers if layer.op == "extra"):
        inside = [node for node in graph.nodes if _within(node.path, path)]
        own = {value for node in inside for value in node.outputs}
        entering = [i for node in inside for i in node.inputs if i not in own and graph.values[i].from_input]
        last = inside[-1]
        if len(set(entering)) == 1 and _shape(graph, entering[0]) == _shape(graph, last.outputs[0]):
            yield Chain(entering[0], last.outputs[0], last, tuple(node.index for node in inside))


def dynamic_path(graph: Graph, path: str) -> bool:
    """Whether the module lies in a dynamic activation."""
    return any(layer.op == "extra" and _within(path, layer.name) for layer in graph.layers)


def shortcuts(graph: Graph) -> Iterator[Chain]:
    """Additions of two maps: `source` is the one with more work of its own behind it, the other is the shortcut."""
    for node in graph.nodes:
        if function(node) != "add" or len(node.inputs) != 2 or dynamic_path(graph, node.path):
            continue
        shapes = {_shape(graph, value) for value in (*node.inputs, node.outputs[0])}
        if len(shapes) == 1 and all(_spatial(graph, value) for value in node.inputs):
            first, second = (_ancestors(graph, value) for value in node.inputs)
            source, gone = node.inputs, second - first
            if len(second - first) > len(first - second):
                source, gone = node.inputs[::-1], first - second
            yield Chain(source[0], node.outputs[0], node, (*sorted(gone), node.index))


def _function_of(graph: Graph, value: int, source: int) -> tuple[int, ...]:
    """The nodes that make `value` point by point out of `source` alone, () when there are others."""
    inside: list[int] = []
    while value != source:
        node = graph.producer(value)
        if node is None or node.kind not in _POINTWISE or _shape(graph, value) != _shape(graph, source):
            return ()
        operands = [i for i in node.inputs if graph.values[i].from_input]
        if len(operands) != 1 or len(graph.consumers(value)) != 1:
            return ()
        inside.append(node.index)
        value = operands[0]
    return tuple(reversed(inside))


def _ancestors(graph: Graph, value: int) -> set[int]:
    found: set[int] = set()
    waiting = [value]
    while waiting:
        node = graph.producer(waiting.pop())
        if node is not None and node.index not in found:
            found.add(node.index)
            waiting += node.inputs
    return found


def _within(path: str, module: str) -> bool:
    return path == module or path.startswith(f"{module}.")


def _grows(before: Shape, after: Shape) -> bool:
    return len(before) == 4 and len(after) == 5 and before[2:] == after[3:] and after[1] * after[2] == before[1]


def _spatial(graph: Graph, value: int) -> bool:
    found = graph.values[value]
    return found.from_input and len(found.shape) == 4 and found.shape[2] * found.shape[3] > 1


def _shape(graph: Graph, value: int) -> Shape:
    return graph.values[value].shape
