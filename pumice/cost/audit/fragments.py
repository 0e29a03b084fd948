"""G3: a network cut into many small pieces runs slower than one of few large ones (ShuffleNetV2, table 3)."""

from collections.abc import Iterator, Sequence

from pumice.cost.audit.chains import function
from pumice.cost.audit.channels import Channels, groups, is_depthwise, pixels, stage
from pumice.cost.audit.finding import Finding, Place
from pumice.cost.audit.proposal import Proposal, grouped_by
from pumice.graph.edit import Bypass, Change, Widen
from pumice.graph.records import Graph, Node

SMALL = 0.005
"""A piece is small when it costs less than this share of the network."""


def proposals(graph: Graph, channels: Channels) -> Iterator[Proposal]:
    """Parallel convolutions of one input made one, and cheap second halves of a map left away."""
    joins = [node for node in graph.nodes if function(node) == "cat" and node.arguments.get("dim", 0) in (1, -3)]
    merged = [(node, changes) for node in joins if (changes := merge(graph, node))]
    words = "compute {n} concatenation{s} of parallel convolutions by one convolution each"
    for where, pairs in grouped_by(merged, lambda pair: stage(graph, pair[0])).items():
        yield Proposal("G3", "merge branches", words, f"at {where}", *_joined(graph, pairs))
    cheap = [(node, changes) for node in joins if (changes := without_copies(graph, channels, node))]
    words = "leave away the depthwise copies in {n} layer{s}, half the width"
    for where, pairs in grouped_by(cheap, lambda pair: stage(graph, pair[0])).items():
        yield Proposal("G3", "drop branch", words, f"at {where}", *_joined(graph, pairs))


def merge(graph: Graph, join: Node) -> tuple[Change, ...]:
    """cat(f(conv1(x)), f(conv2(x)), ...) -> f(conv(x)) of the whole width, with the kernel that multiplies least."""
    branches = [_branch(graph, value) for value in join.inputs]
    convs = [conv for conv, _ in branches if conv is not None]
    if len(convs) < 2 or len(convs) < len(branches) or len({behind for _, behind in branches}) > 1:
        return ()
    if len({conv.inputs[0] for conv in convs}) > 1 or any(groups(conv) > 1 for conv in convs):
        return ()
    # Every kernel makes the same map, so strides agree.
    kept = min(range(len(convs)), key=lambda i: graph.values[convs[i].arguments["weight"].value].elements
               / graph.values[convs[i].outputs[0]].shape[1])  # fmt: skip
    width = graph.values[join.outputs[0]].shape[1]
    return Widen(convs[kept].index, width, 1), Bypass(join.outputs[0], join.inputs[kept])


def without_copies(graph: Graph, channels: Channels, join: Node) -> tuple[Change, ...]:
    """cat(x, f(x)) with f a depthwise convolution -> x: a ghost module that keeps its intrinsic maps alone.

    () where another layer fixes the width of the result; gates on it are narrowed with it.
    """
    if len(join.inputs) != 2:
        return ()
    source, copy = join.inputs
    node = graph.producer(copy)
    if node is not None and node.kind == "activation":
        node = graph.producer(node.inputs[0])
    if node is None or not is_depthwise(graph, node) or node.inputs[0] != source:
        return ()
    makers = channels.of(join.outputs[0]).makers
    if any(pixels(graph, maker) > 1 for maker in makers):
        return ()
    width = graph.values[source].shape[1]
    return Bypass(join.outputs[0], source), *(Widen(maker.index, width, groups(maker)) for maker in makers)


def pieces(graph: Graph, costs: Sequence[float]) -> Finding:
    """How much of the network is in small pieces; nothing to edit as such."""
    working = [node.index for node in graph.nodes if node.kind not in ("view", "create")]
    total = sum(costs)
    small = [index for index in working if costs[index] < SMALL * total]
    share = sum(costs[index] for index in small) / total if total else 0.0
    text = f"{len(small)} of {len(working)} operators cost less than {SMALL:.1%} each, together {share:.0%}"
    figures = {"operators": len(working), "small": len(small), "small_share": share, "parallel": _parallel(graph)}
    return Finding("G3", text, (), figures)


def _parallel(graph: Graph) -> int:
    """Concatenations and additions of two or more results of convolutions that run side by side."""
    return sum(
        sum(_branch(graph, value)[0] is not None for value in node.inputs) > 1
        for node in graph.nodes
        if function(node) in ("cat", "add")
    )


def _branch(graph: Graph, value: int) -> tuple[Node | None, str]:
    """The convolution that makes a value, and the activation between, "" when there is none."""
    node, behind = graph.producer(value), ""
    if node is not None and node.kind == "activation" and len(graph.consumers(value)) == 1:
        behind, node = node.op, graph.producer(node.inputs[0])
    return (node, behind) if node is not None and node.kind == "conv" else (None, behind)


def _joined(
    graph: Graph, pairs: Sequence[tuple[Node, tuple[Change, ...]]]
) -> tuple[tuple[Place, ...], dict[str, float], tuple[tuple[Change, ...], ...]]:
    places = tuple(Place(node.path, {"branches": len(node.inputs)}) for node, _ in pairs)
    figures = {"branches": float(sum(len(node.inputs) for node, _ in pairs))}
    return places, figures, (tuple(change for _, changes in pairs for change in changes),)
