"""G1: at equal multiply-adds a 1 x 1 convolution needs the least memory access when its widths are equal.

MAC = hw (c1 + c2) + c1 c2, and with B = hw c1 c2 multiply-adds MAC >= 2 sqrt(hw B) + B / hw, reached at c1 = c2
(ShuffleNetV2, section 2, G1).
"""

from collections.abc import Iterator
from math import sqrt

from pumice.cost.audit.channels import Channels, Width, groups, is_depthwise, is_pointwise, pixels, stage
from pumice.cost.audit.finding import Place
from pumice.cost.audit.proposal import Proposal, grouped_by
from pumice.graph.edit import Change, Widen
from pumice.graph.records import Graph, Node

WIDER = (1.25, 1.5, 2.0, 2.5)
"""By how much the narrow side is widened, tried in turn."""
MULTIPLE = 8


def access(hw: int, c1: int, c2: int, g: int = 1) -> int:
    """Elements read and written by a 1 x 1 convolution in g groups."""
    return hw * (c1 + c2) + c1 * c2 // g


def lower_bound(hw: int, c1: int, c2: int) -> float:
    """The least that a 1 x 1 convolution of as many multiply-adds over hw pixels needs."""
    b = hw * c1 * c2
    return 2 * sqrt(hw * b) + b / hw


def proposals(graph: Graph, channels: Channels) -> Iterator[Proposal]:
    """A proposal for each trunk, the width between bottlenecks; the other layers of a stage in one without edit."""
    left = [
        n for n in graph.nodes if is_pointwise(graph, n) and groups(n) == 1 and _place(graph, n).figures["above"] > 0
    ]
    for trunk in [width for width in channels if not width.fixed and width.makers]:
        ways = tuple(changes for by in WIDER if (changes := rebalanced(graph, channels, trunk, by)))
        inside = [node for node in left if channels.into(node) is trunk or channels.out_of(node) is trunk]
        if ways and inside:
            left = [node for node in left if node not in inside]
            yield _proposal(graph, inside, stage(graph, trunk.makers[0]), ways)
    for where, nodes in grouped_by(left, lambda node: stage(graph, node)).items():
        yield _proposal(graph, nodes, where, ())


def _proposal(graph: Graph, nodes: list[Node], where: str, ways: tuple[tuple[Change, ...], ...]) -> Proposal:
    places = tuple(_place(graph, node) for node in nodes)
    total, bound = (sum(place.figures[key] for place in places) for key in ("memory_access", "lower_bound"))
    return Proposal(
        guideline="G1",
        sort="rebalance",
        words="make the widths of {n} 1x1 convolution{s} more even at no more multiply-adds",
        where=f"at {where}",
        places=places,
        figures={"memory_access": total, "lower_bound": bound, "above": total / bound - 1},
        alternatives=ways,
    )


def rebalanced(graph: Graph, channels: Channels, trunk: Width, by: float) -> tuple[Change, ...]:
    """The trunk `by` times as wide, the hidden widths between it and itself so much narrower that the network
    multiplies no more; () where that is not possible, or would make the hidden widths the smaller ones.
    """
    hidden = _hidden(graph, channels, trunk)
    if not hidden:
        return ()
    wide = int(trunk.channels * by) // MULTIPLE * MULTIPLE
    scale = wide / trunk.channels
    fixed, sloped, total = 0.0, 0.0, 0
    for node in graph.nodes:
        if node.kind != "conv":
            continue
        madds = _madds(graph, node)
        sides = [channels.out_of(node)] if is_depthwise(graph, node) else [channels.into(node), channels.out_of(node)]
        share = scale ** sum(side is trunk for side in sides)
        narrowed = sum(any(side is one for one in hidden) for side in sides)
        total += madds
        fixed, sloped = (fixed, sloped + madds * share) if narrowed else (fixed + madds * share, sloped)
    narrow = (total - fixed) / sloped
    widths = [int(width.channels * narrow) // MULTIPLE * MULTIPLE for width in hidden]
    if scale <= 1 or narrow >= 1 or min(widths) < wide:
        return ()
    made = [(trunk, wide), *zip(hidden, widths, strict=True)]
    return tuple(Widen(maker.index, size, 1) for width, size in made for maker in width.makers)


def _hidden(graph: Graph, channels: Channels, trunk: Width) -> list[Width]:
    """The wider widths that 1 x 1 convolutions make of the trunk and only 1 x 1 convolutions read (gates apart)."""
    found: dict[int, Width] = {}
    for reader in trunk.readers:
        width = channels.out_of(reader)
        if not (is_pointwise(graph, reader) and groups(reader) == 1) or width.fixed or width is trunk:
            continue
        others = [n for n in (*width.makers, *width.readers) if n is not reader and pixels(graph, n) > 1]
        read = [n for n in others if n in width.readers]
        plain = len(others) == len(read) and all(is_pointwise(graph, n) and groups(n) == 1 for n in read)
        if read and plain and width.channels > trunk.channels:
            found[id(width)] = width
    return list(found.values())


def _place(graph: Graph, node: Node) -> Place:
    hw = pixels(graph, node)
    c1, c2 = (graph.values[i].shape[1] for i in (node.inputs[0], node.outputs[0]))
    found, bound = access(hw, c1, c2), lower_bound(hw, c1, c2)
    above = found / bound - 1 if c1 != c2 else 0.0
    return Place(node.path, {"c1": c1, "c2": c2, "memory_access": found, "lower_bound": bound, "above": above})


def _madds(graph: Graph, node: Node) -> int:
    weight = graph.values[node.arguments["weight"].value]
    return pixels(graph, node) * weight.elements
