"""G2: a group convolution needs more memory access than a dense one of as many multiply-adds.

With B = hw c1 c2 / g multiply-adds MAC = hw c1 + B g / c1 + B / hw, which grows with g (ShuffleNetV2, section 2, G2).
"""

from collections.abc import Iterator

from pumice.cost.audit.chains import Chain, shuffles
from pumice.cost.audit.channels import Channels, Width, groups, is_depthwise, is_pointwise, pixels, stage
from pumice.cost.audit.finding import Place
from pumice.cost.audit.proposal import Proposal, grouped_by
from pumice.cost.audit.unequal import access
from pumice.graph.edit import Bypass, Change, Widen
from pumice.graph.records import Graph, Node

NARROWEST = 4


def dense_access(hw: int, c1: int, c2: int, g: int) -> float:
    """Elements read and written by the dense 1 x 1 convolution of c1 inputs and as many multiply-adds."""
    b = hw * c1 * c2 / g
    return hw * c1 + b / c1 + b / hw


def proposals(graph: Graph, channels: Channels) -> Iterator[Proposal]:
    """The group convolutions of a stage, and those between which a width is free made dense at 1 / g of that width."""
    grouped = [n for n in graph.nodes if n.kind == "conv" and groups(n) > 1 and not _a_filter_each(graph, n)]
    turned = list(shuffles(graph))
    taken: set[int] = set()
    for where, nodes in grouped_by(grouped, lambda node: stage(graph, node)).items():
        widths = {id(w): w for n in nodes for w in (channels.out_of(n), channels.into(n))}
        changes: list[Change] = []
        for width in widths.values():
            ends = {n.index for n in (*width.makers, *width.readers)}
            found = () if ends & taken else regrouped(graph, channels, width, turned)
            if found:
                taken |= ends
                changes += found
        places = tuple(_place(graph, node) for node in nodes)
        figures = {key: sum(p.figures.get(key, 0) for p in places) for key in ("memory_access", "dense_memory_access")}
        yield Proposal(
            guideline="G2",
            sort="regroup",
            words="make {n} group convolution{s} dense, the width between them a g-th",
            where=f"at {where}",
            places=places,
            figures=figures,
            alternatives=(tuple(changes),) if changes else (),
        )


def regrouped(graph: Graph, channels: Channels, width: Width, turned: list[Chain]) -> tuple[Change, ...]:
    """A width between group convolutions divided by their groups, they made dense, its shuffles dropped as useless;
    () where the width is not free.

    c -> h in g groups has hw c h / g multiply-adds, as many as c -> h / g without groups; likewise h -> o behind it.
    """
    ends = [*width.makers, *width.readers]
    most = max(map(groups, ends), default=1)
    narrow = width.channels // most
    narrow -= narrow % 4 if narrow > 8 else 0
    if width.fixed or not width.makers or not width.readers or most == 1 or narrow < NARROWEST:
        return ()
    if any(_a_filter_each(graph, node) for node in ends):
        return ()
    makers = [Widen(node.index, narrow, 1) for node in width.makers]
    readers = [Widen(node.index, channels.out_of(node).channels, 1) for node in width.readers]
    dropped = [Bypass(chain.result, chain.source) for chain in turned if channels.of(chain.source) is width]
    return (*makers, *readers, *dropped)


def _a_filter_each(graph: Graph, node: Node) -> bool:
    """Depthwise, with a channel multiplier too."""
    return is_depthwise(graph, node) or (groups(node) > 1 and groups(node) == graph.values[node.inputs[0]].shape[1])


def _place(graph: Graph, node: Node) -> Place:
    g = groups(node)
    c1, c2 = (graph.values[i].shape[1] for i in (node.inputs[0], node.outputs[0]))
    if not is_pointwise(graph, node):
        return Place(node.path, {"groups": g, "c1": c1, "c2": c2})
    hw = pixels(graph, node)
    found, dense = access(hw, c1, c2, g), dense_access(hw, c1, c2, g)
    return Place(node.path, {"groups": g, "c1": c1, "c2": c2, "memory_access": found, "dense_memory_access": dense})
