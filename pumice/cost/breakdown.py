"""Where the time of a net goes, in the parts of ShuffleNetV2's figure 2.

Ma et al., "ShuffleNet V2", ECCV 2018, arXiv:1807.11164, section 2.  The parts are told from the traced graph, so they
are the same for every net and every runtime:

    convolution    convolutions, linear layers and other matrix products
    element-wise   activations, norms, and what adds or multiplies maps element by element
    data           concatenations, splits, slices, padding, copies, and the reorders that a runtime adds
    shuffle        whole maps of channels put into another order, or chosen
    other          pooling, reductions, resizing

A shuffle is known by what it does, not by its name: a gather along the channels (index_select, or an index), or a chain
of reshapes and transposes behind which every channel is still whole but not all stand where they stood.  The copy that
such a chain ends in, and the reshapes behind it, belong to it.
"""

from collections.abc import Iterable, Iterator, Mapping
from math import prod

import numpy as np

from pumice.graph.records import Graph, Node

PARTS = ("convolution", "element-wise", "data", "shuffle", "other")

_PART_OF_KIND = {
    "conv": "convolution",
    "matmul": "convolution",
    "norm": "element-wise",
    "activation": "element-wise",
    "elementwise": "element-wise",
    "move": "data",
    "view": "data",
}
_RESHAPES = ("view", "_unsafe_view", "_reshape_alias", "squeeze", "unsqueeze", "alias", "detach")
_TRANSPOSES = ("transpose", "permute")
_VIEWS = (*_RESHAPES, *_TRANSPOSES)
_COPIES = ("clone", "contiguous", "_to_copy")
_GATHERS = ("index_select", "index", "channel_shuffle", "native_channel_shuffle")
# Words in the names of a runtime's own work that tell a change of layout.
_REORDERS = ("reorder", "transpose", "convert", "copy", "memcpy")


def parts(graph: Graph) -> tuple[str, ...]:
    """The part that each node of the graph belongs to."""
    shuffled = {node.index for chain in shuffles(graph) for node in chain}
    return tuple("shuffle" if node.index in shuffled else _PART_OF_KIND.get(node.kind, "other") for node in graph.nodes)


def shuffles(graph: Graph) -> list[tuple[Node, ...]]:
    """The nodes of each shuffle, in order of execution."""
    # A chain with two transposes is found from each of them.
    found = {chain[0].index: tuple(chain) for node in graph.nodes if (chain := _shuffle(node, graph))}
    return list(found.values())


def breakdown(graph: Graph, ms: Iterable[float], other_ms: Mapping[str, float] | None = None) -> dict[str, float]:
    """ms of each of `PARTS`; they add up to all the time given.

    ms: of each node of the graph.
    other_ms: work of the runtime that belongs to no node, by name; changes of layout are data movement.
    """
    spent = dict.fromkeys(PARTS, 0.0)
    for part, time in zip(parts(graph), ms, strict=True):
        spent[part] += time
    for name, time in (other_ms or {}).items():
        spent["data" if any(word in name.lower() for word in _REORDERS) else "other"] += time
    return spent


def _shuffle(node: Node, graph: Graph) -> list[Node]:
    """The whole chain when the node is a gather or transpose that shuffles channels, else nothing."""
    if _name(node) in _GATHERS:
        return [node] if _along_channels(node, graph) else []
    if _name(node) not in _TRANSPOSES:
        return []
    chain = [*reversed([*_before(node, graph)]), node, *_behind(node, graph, _VIEWS)]
    if not _moves_whole_channels(chain, graph):
        return []
    chain += _behind(chain[-1], graph, _COPIES)
    return [*chain, *_behind(chain[-1], graph, _RESHAPES)]


def _along_channels(node: Node, graph: Graph) -> bool:
    values = graph.values
    source = values[node.inputs[0]]
    if len(source.shape) < 3 or not source.from_input:
        return False
    if _name(node) == "index_select":
        return node.arguments["dim"] == 1
    if _name(node) == "index":
        chosen = node.arguments["indices"]
        return len(chosen) > 1 and chosen[0] is None and chosen[1] is not None and not any(chosen[2:])
    return True


def _before(node: Node, graph: Graph) -> Iterator[Node]:
    """The reshapes and transposes that the node's operand was seen through, the last one first."""
    while (maker := graph.producer(node.inputs[0])) is not None and _name(maker) in _VIEWS:
        yield maker
        node = maker


def _behind(node: Node, graph: Graph, names: tuple[str, ...]) -> Iterator[Node]:
    """The chain of operators of these names behind the node, each the only reader of the one before."""
    while len(readers := graph.consumers(node.outputs[0])) == 1 and _name(readers[0]) in names:
        node = readers[0]
        yield node


def _moves_whole_channels(views: list[Node], graph: Graph) -> bool:
    """Whether the source's channels, seen through these views, are whole and in another order."""
    shape = graph.values[views[0].inputs[0]].shape
    # A trace runs one image; what has more along its first axis (the heads of an attention) is no map of channels.
    if len(shape) < 3 or shape[0] != 1:
        return False
    order = np.arange(prod(shape)).reshape(shape)
    for view in views:
        if _name(view) == "transpose":
            order = order.swapaxes(view.arguments["dim0"], view.arguments["dim1"])
        elif _name(view) == "permute":
            order = order.transpose(view.arguments["dims"])
        else:
            order = order.reshape(graph.values[view.outputs[0]].shape)
    channels = order.reshape(-1, prod(shape[2:]))
    whole = bool((np.diff(channels, axis=1) == 1).all())
    return whole and bool((np.diff(channels[:, 0]) < 0).any())


def _name(node: Node) -> str:
    return node.op.split(".")[1].removesuffix("_")
