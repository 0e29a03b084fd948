"""Peak memory of activations, by the liveness of storages over one traced forward pass."""

from pumice.graph.records import Graph, Node

_OVERWRITES = ("elementwise", "activation", "norm")


def live_bytes(graph: Graph) -> tuple[int, ...]:
    """Bytes of activations that are alive while each node of the graph runs, for the dtypes traced.

    The rules are those of a runtime with a planned arena:
    a storage lives from the node that first fills it to the last one that reads it; a view has no memory of its own;
    the input of the network counts until its last use and is never overwritten, outputs count until the end;
    an elementwise operator, norm or activation writes over an operand of its own shape that nobody reads afterwards;
    a result that nobody reads (the indices of a max pool) is never written;
    what depends on parameters alone is computed beforehand and, like weights, no activation.
    """
    size = {value.storage: value.storage_bytes for value in graph.values if value.from_input}
    last = _last_uses(graph)
    given = {graph.values[i].storage for i in graph.inputs}
    alive = set(given)
    profile = []
    for node in graph.nodes:
        if node.kind != "view":
            for storage in {graph.values[i].storage for i in node.outputs if graph.values[i].from_input} - alive:
                if storage in last:
                    alive.discard(_overwritten(graph, node, storage, last, given))
                    alive.add(storage)
        profile.append(sum(size[storage] for storage in alive))
        alive = {storage for storage in alive if last[storage] > node.index}
    return tuple(profile)


def peak_activation_bytes(graph: Graph) -> int:
    """The most that `live_bytes` reaches."""
    return max(live_bytes(graph), default=0)


def _last_uses(graph: Graph) -> dict[int, int]:
    """Storage -> index of the last node that reads it; the number of nodes for outputs, -1 for an unread input."""
    values = graph.values
    last = {values[i].storage: -1 for i in graph.inputs}
    for node in graph.nodes:
        if node.kind != "view":
            last |= {values[i].storage: node.index for i in node.inputs if values[i].from_input}
    return last | {values[i].storage: len(graph.nodes) for i in graph.outputs if values[i].from_input}


def _overwritten(graph: Graph, node: Node, result: int, last: dict[int, int], given: set[int]) -> int:
    """The storage that the node's result may take over, -1 if none."""
    if node.kind not in _OVERWRITES:
        return -1
    output = next(graph.values[i] for i in node.outputs if graph.values[i].storage == result)
    operands = {i: graph.values[i] for i in node.inputs if graph.values[i].from_input}
    for operand in operands.values():
        sharing = [other for other in operands.values() if other.storage == operand.storage]
        if (
            len(sharing) == 1
            and operand.storage not in given
            and last[operand.storage] == node.index
            and operand.shape == output.shape
            and operand.storage_bytes == output.storage_bytes
        ):
            return operand.storage
    return -1
