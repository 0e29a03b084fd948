"""A traced graph as blocks: the pieces of work that a lookup table knows the time of.

A block is one operator and what runtimes fuse into it: the element-wise operators behind it that nobody else feeds, or
a chain of views and copies (a channel shuffle).  Its key says all that its time depends on: operators, shapes, kernel,
groups, and between which kinds of work it stands, because runtimes change the layout of maps there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from pumice.graph.records import Graph, Node, Shape

_POINTWISE = ("activation", "elementwise", "norm")
_ALONE = ("_prelu_kernel", "_softmax", "native_layer_norm")  # point by point, yet no runtime fuses them
_LAYOUT = ("view", "move")
NEIGHBOURS = ("input", "conv", "depthwise", "matmul", "pointwise", "pool", "layout", "output")
"""What a block may stand between, by how runtimes lay out its maps."""


@dataclass(frozen=True)
class Block:
    """Work of a few nodes.

    kind: of its first operator: "conv", "depthwise", "grouped", "linear", "matmul", "pool", "reduce", "resize",
        "pointwise" or "layout".
    ops: the operators' names in order.
    inputs: shapes of the first operator's activations.  output: shape of the last one's result.
    kernel, stride, dilation: of the first operator, () where there are none.  weights: elements it reads.
    fed_by, feeds: what stands before and behind, of `NEIGHBOURS`, sorted.
    madds: multiply-adds.
    nodes: indices in the graph.  resident: elements of all weights of the network, which decide whether these are still
        in a cache.  No parts of the key.
    """

    kind: str
    ops: tuple[str, ...]
    inputs: tuple[Shape, ...]
    output: Shape
    kernel: Shape
    stride: Shape
    dilation: Shape
    groups: int
    weights: int
    madds: int
    fed_by: tuple[str, ...]
    feeds: tuple[str, ...]
    nodes: tuple[int, ...]
    resident: int

    @property
    def key(self) -> str:
        """One line that is equal for equal work."""
        size = "+".join("x".join(map(str, shape)) for shape in self.inputs)
        window = ",".join("x".join(map(str, part)) for part in (self.kernel, self.stride, self.dilation))
        output = "x".join(map(str, self.output))
        return (
            f"{'.'.join(self.ops)} {size}>{output} {window} g{self.groups} w{self.weights} "
            f"{'.'.join(self.fed_by)}|{'.'.join(self.feeds)}"
        )


def blocks(graph: Graph) -> tuple[Block, ...]:
    """The blocks of a graph in order of their first nodes; nodes that do not depend on the input are no work."""
    members = list(_chains(graph))
    owner = {node.index: number for number, chain in enumerate(members) for node in chain}
    resident = sum(v.elements for v in graph.values if v.kind == "parameter" and v.producer < 0)
    return tuple(_block(graph, chain, members, owner, resident) for chain in members)


def _chains(graph: Graph) -> Iterator[list[Node]]:
    taken: set[int] = set()
    for node in graph.nodes:
        if node.index in taken or not _works(graph, node):
            continue
        chain = [node]
        while (following := _fused(graph, chain)) is not None and following.index not in taken:
            chain.append(following)
        taken |= {member.index for member in chain}
        yield chain


def _works(graph: Graph, node: Node) -> bool:
    return any(graph.values[i].from_input for i in node.outputs) and node.kind != "create"


def _fused(graph: Graph, chain: list[Node]) -> Node | None:
    """The next node of a chain: the only reader of its result, of a kind that runtimes fuse into it."""
    last = chain[-1]
    if len([i for i in last.outputs if graph.consumers(i)]) != 1 or last.outputs[0] in graph.outputs:
        return None
    readers = graph.consumers(last.outputs[0])
    if len(readers) != 1:
        return None
    reader, result = readers[0], graph.values[last.outputs[0]]
    if chain[0].kind in _LAYOUT:
        movable = reader.kind == "view" or reader.op == "aten.clone.default"
        return reader if movable and _plain(last) and len(reader.outputs) == 1 else None
    if chain[0].kind not in ("conv", "matmul", *_POINTWISE) or reader.kind not in _POINTWISE:
        return None
    if graph.values[reader.outputs[0]].shape != result.shape or _name(reader) in _ALONE or _name(last) in _ALONE:
        return None
    # An operand that is made later than this result would end the chain there instead.
    others = [i for i in reader.inputs if i != last.outputs[0] and graph.values[i].from_input]
    ready = all((p := graph.producer(i)) is None or p.index < last.index for i in others)
    return reader if ready else None


def _name(node: Node) -> str:
    return node.op.split(".")[1].removesuffix("_")


def _plain(node: Node) -> bool:
    """Whether it only says how a map is read: a view of one result, or a copy."""
    return (node.kind == "view" and len(node.outputs) == 1) or node.op == "aten.clone.default"


def _block(graph: Graph, chain: list[Node], members: list[list[Node]], owner: dict[int, int], resident: int) -> Block:
    head, last = chain[0], chain[-1]
    values = graph.values
    activations = [i for i in dict.fromkeys(head.inputs) if values[i].from_input]
    sources = [
        producer for node in chain for i in node.inputs if values[i].from_input for producer in [graph.producer(i)]
    ]
    mine = owner[head.index]
    before = {
        "input" if producer is None else _neighbour(graph, members[owner[producer.index]])
        for producer in sources
        if producer is None or (producer.index in owner and owner[producer.index] != mine)
    }
    readers = [reader for node in chain for i in node.outputs for reader in graph.consumers(i)]
    behind = {
        _neighbour(graph, members[owner[reader.index]])
        for reader in readers
        if reader.index in owner and owner[reader.index] != mine
    }
    if any(i in graph.outputs for node in chain for i in node.outputs):
        behind.add("output")
    used = {i for node in chain for i in node.inputs if values[i].kind in ("parameter", "buffer", "constant")}
    arguments = head.arguments
    return Block(
        kind=_kind(graph, head),
        ops=tuple(node.op.split(".")[1].strip("_") for node in chain),
        inputs=tuple(values[i].shape for i in activations),
        output=values[last.outputs[0]].shape,
        kernel=_kernel(graph, head),
        stride=_numbers(arguments.get("stride")),
        dilation=_numbers(arguments.get("dilation")),
        groups=int(arguments.get("groups", 1)) if head.kind == "conv" else 1,
        weights=sum(values[i].elements for i in used),
        madds=_madds(graph, head),
        fed_by=tuple(sorted(before)),
        feeds=tuple(sorted(behind)),
        nodes=tuple(node.index for node in chain),
        resident=resident,
    )


def _neighbour(graph: Graph, chain: list[Node]) -> str:
    kind = _kind(graph, chain[0])
    if kind in ("linear", "matmul"):
        return "matmul"
    if kind in ("pool", "reduce", "resize"):
        return "pool"
    return "conv" if kind == "grouped" else kind


def _kind(graph: Graph, node: Node) -> str:
    if node.kind == "conv":
        groups = int(node.arguments.get("groups", 1))
        if groups == 1:
            return "conv"
        weight = graph.values[node.inputs[list(node.arguments).index("weight")]]
        return "depthwise" if weight.shape[1] == 1 else "grouped"
    if node.kind == "matmul":
        return "linear" if any(graph.values[i].kind in ("parameter", "buffer") for i in node.inputs) else "matmul"
    if node.kind in _POINTWISE:
        return "pointwise"
    return "layout" if node.kind in _LAYOUT else node.kind


def _kernel(graph: Graph, node: Node) -> Shape:
    if node.kind == "conv":
        return graph.values[node.inputs[list(node.arguments).index("weight")]].shape[2:]
    return _numbers(node.arguments.get("kernel_size")) if node.kind == "pool" else ()


def _numbers(value: object) -> Shape:
    return tuple(value) if isinstance(value, tuple) else (value,) if isinstance(value, int) else ()


def _madds(graph: Graph, node: Node) -> int:
    output = graph.values[node.outputs[0]].shape
    if node.kind == "conv":
        weight = graph.values[node.inputs[list(node.arguments).index("weight")]].shape
        transposed = bool(node.arguments.get("transposed", False))
        positions = graph.values[node.inputs[0]].shape if transposed else output
        return positions[0] * prod(positions[2:]) * prod(weight)
    if node.kind == "matmul":
        inner = max(graph.values[i].shape[-1] for i in node.inputs[-2:-1])
        return prod(output) * inner
    return 0
