"""What moves channels and changes no number: shuffles, selections, slices, splits, concatenations."""

import torch
from torch import Tensor, fx

from pumice.graph.rewrites.program import arguments, call, constant, operator_of, settle, shape, tensor

aten = torch.ops.aten

_VIEWS = ("view", "reshape", "_unsafe_view")


def shuffle_of(node: fx.Node) -> tuple[fx.Node, int, list[fx.Node]] | None:
    """(source, groups, the nodes between) where a node ends a channel shuffle: view, transpose, view."""
    if operator_of(node) not in _VIEWS or len(shape(node) or ()) < 3:
        return None
    inside: list[fx.Node] = []
    at = node.args[0]
    while isinstance(at, fx.Node) and operator_of(at) in ("contiguous", "clone") and len(at.users) == 1:
        inside.append(at)
        at = at.args[0]
    if not isinstance(at, fx.Node) or len(at.users) != 1 or not _swaps(at):
        return None
    first = at.args[0]
    if not isinstance(first, fx.Node) or operator_of(first) not in _VIEWS or len(first.users) != 1:
        return None
    source, apart, whole = first.args[0], shape(first), shape(node)
    if not isinstance(source, fx.Node) or apart is None or whole is None or shape(source) != whole:
        return None
    if (apart[0], apart[1] * apart[2], *apart[3:]) != whole:
        return None
    return source, apart[1], [*inside, at, first]


def shuffled(groups: int, channels: int) -> Tensor:
    """For each output channel of a shuffle the input channel that it is."""
    return torch.arange(channels).view(groups, channels // groups).t().flatten()


def selection_of(gm: fx.GraphModule, node: fx.Node) -> tuple[fx.Node, Tensor] | None:
    """(source, index) where a node is source[:, index] with a constant index."""
    op = operator_of(node)
    if op == "index_select" and arguments(node)["dim"] == 1:
        source, index = node.args[0], tensor(gm, arguments(node)["index"])
    elif op == "index":
        source, (*firsts, last) = node.args[0], arguments(node)["indices"]
        index = tensor(gm, last)
        if len(firsts) != 1 or firsts[0] is not None or index is None or index.dtype == torch.bool:
            return None
    else:
        return None
    if not isinstance(source, fx.Node) or index is None or index.dim() != 1 or len(shape(source) or ()) < 2:
        return None
    return source, index % (shape(source) or (0, 1))[1]


def parts_of(node: fx.Node) -> list[tuple[int, int]] | None:
    """First and end channel of the parts that a split or chunk along the channels makes."""
    op = operator_of(node)
    if op not in ("split", "split_with_sizes", "chunk") or arguments(node)["dim"] != 1:
        return None
    channels = (shape(node.args[0]) or (0, 0))[1]  # type: ignore[arg-type]
    given = arguments(node)
    if op == "split_with_sizes":
        sizes = list(given["split_sizes"])
    else:
        each = given["split_size"] if op == "split" else -(-channels // given["chunks"])
        sizes = [min(each, channels - start) for start in range(0, channels, each)]
    ends = torch.tensor(sizes).cumsum(0).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))


def slice_of(node: fx.Node) -> range | None:
    """The channels that a slice along the channels keeps."""
    if operator_of(node) != "slice" or arguments(node)["dim"] != 1:
        return None
    given = arguments(node)
    channels = (shape(node.args[0]) or (0, 0))[1]  # type: ignore[arg-type]
    return range(channels)[slice(given["start"], given["end"], given["step"])]


def select_channels(gm: fx.GraphModule) -> None:
    """Advanced indexing x[:, idx] becomes `index_select`, and successive selections one."""
    for node in list(gm.graph.nodes):
        found = selection_of(gm, node)
        if found is None:
            continue
        source, index = found
        merged = False
        while len(source.users) == 1 and (inner := selection_of(gm, source)) is not None:
            source, index, merged = inner[0], inner[1][index], True
        if merged or operator_of(node) == "index":
            _select(gm, node, source, index)
    settle(gm)


def shuffles_as_selections(gm: fx.GraphModule) -> None:
    """Every shuffle becomes one `index_select`; successive ones merge, with selections too."""
    for node in list(gm.graph.nodes):
        found = shuffle_of(node)
        if found is not None:
            source, groups, _ = found
            _select(gm, node, source, shuffled(groups, (shape(source) or (0, 0))[1]))
    select_channels(gm)


def _select(gm: fx.GraphModule, node: fx.Node, source: fx.Node, index: Tensor) -> None:
    with gm.graph.inserting_before(node):
        new = call(gm.graph, aten.index_select.default, source, 1, constant(gm, index, f"{node.name}_order"), like=node)
    new.meta["shape"] = shape(node)
    node.replace_all_uses_with(new)
    gm.graph.erase_node(node)


def _swaps(node: fx.Node) -> bool:
    """Whether a node exchanges dimensions 1 and 2."""
    op, given = operator_of(node), arguments(node)
    if op == "transpose":
        rank = len(shape(node) or ())
        return {given["dim0"] % rank, given["dim1"] % rank} == {1, 2}
    if op == "permute":
        dims = list(given["dims"])
        return dims == [0, 2, 1, *range(3, len(dims))]
    return False
