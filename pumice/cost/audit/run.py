"""`audit`: the four guidelines on one network, each broken one with an edit and what it would save."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from torch import nn

from pumice.cost.audit import elementwise, fragments, grouped, unequal
from pumice.cost.audit.channels import Channels
from pumice.cost.audit.finding import Audit, Edit, Finding
from pumice.cost.audit.predict import Costs, estimated, measured, saving
from pumice.cost.audit.proposal import Proposal, grouped_by, text
from pumice.cost.node_times import node_times
from pumice.deploy.network import folded
from pumice.errors import BadInput
from pumice.graph.edit import Change, apply
from pumice.graph.inputs import input_size_of
from pumice.graph.records import Graph
from pumice.graph.trace import model_name, trace
from pumice.progress import track

NOISE = 0.03
"""Edits that save less than this share of the network are put together until they save more than timing's spread."""


@dataclass(frozen=True)
class _Tried:
    """A proposal with the best of its alternatives."""

    proposal: Proposal
    changes: tuple[Change, ...]
    madds: int
    saving: float


def audit(
    model: nn.Module, input_size: tuple[int, int, int] | None = None, *, runtime: str | None = None, threads: int = 1
) -> Audit:
    """Hold the four guidelines against a network as it is deployed, its batch norms folded; the model is left alone.

    input_size: (C, H, W); None takes what the model declares.
    runtime: whose time of every node predicts the savings; None predicts from memory access, without running anything.
    threads: of that runtime.

    Raises:
        BadInput: the network cannot be traced on that input, or the runtime does not tell the time of its operators.
    """
    return audit_graph(*graph_and_costs(model, input_size, runtime=runtime, threads=threads))


def graph_and_costs(
    model: nn.Module, input_size: tuple[int, int, int] | None = None, *, runtime: str | None = None, threads: int = 1
) -> tuple[Graph, Costs]:
    """The graph that `audit` looks at and what its nodes cost."""
    size = input_size or input_size_of(model)
    if len(size) != 3:
        raise BadInput(f"{model_name(model)} reads no images; an audit needs an input of (C, H, W)")
    if runtime is None:
        graph = trace(folded(model, size), size, name=model_name(model))
        return graph, estimated(graph)
    times = node_times(model, size, runtime, threads=threads)
    return times.graph, measured(times)


def audit_graph(graph: Graph, costs: Costs) -> Audit:
    """The same for a graph that is there already, with a cost for each of its nodes."""
    if len(costs.nodes) != len(graph.nodes):
        raise BadInput(f"{len(costs.nodes)} costs do not fit the {len(graph.nodes)} nodes of {graph.name}")
    total = sum(costs.nodes)
    tried = [_best(graph, proposal, costs.nodes) for proposal in track(_proposals(graph), "trying edits")]
    helping = [one for one in tried if isinstance(one, _Tried)]
    findings = [_finding(graph, one, total) for one in _together(graph, helping, costs.nodes, total)]
    findings.sort(key=lambda finding: -finding.saving)
    hopeless = [one for one in tried if isinstance(one, Proposal) and one.figures.get("above", 1.0) > 0]
    findings.append(fragments.pieces(graph, costs.nodes))
    findings += [_without_edit(same) for same in grouped_by(hopeless, lambda one: one.sort).values()]
    return Audit(graph.name, graph.input_size, graph.madds, costs.unit, costs.runtime, total, tuple(findings))


def violations(graph: Graph) -> int:
    """How often the guidelines are broken: every layer once for each sort of edit that would mend it, tried or not."""
    return sum(len({place.layer for place in proposal.places}) for proposal in _proposals(graph))


def _proposals(graph: Graph) -> list[Proposal]:
    channels = Channels(graph)
    return [
        *unequal.proposals(graph, channels),
        *grouped.proposals(graph, channels),
        *fragments.proposals(graph, channels),
        *elementwise.proposals(graph),
    ]


def _best(graph: Graph, proposal: Proposal, costs: Sequence[float]) -> _Tried | Proposal:
    """The alternative that saves most without more multiply-adds; the proposal itself when none helps."""
    found = [tried for changes in proposal.alternatives if (tried := _try(graph, proposal, changes, costs))]
    return max(found, key=lambda tried: tried.saving, default=proposal)


def _try(graph: Graph, proposal: Proposal, changes: tuple[Change, ...], costs: Sequence[float]) -> _Tried | None:
    try:
        edited = apply(graph, changes)
    except BadInput:
        return None
    saved = saving(graph, edited, costs)
    if edited.graph.madds > graph.madds or saved <= 0:
        return None
    return _Tried(proposal, changes, edited.graph.madds, saved)


def _together(graph: Graph, tried: Sequence[_Tried], costs: Sequence[float], total: float) -> Iterator[_Tried]:
    """Each sort of edit everywhere at once, and then its parts: large ones as they are, small ones in bundles."""
    for same in grouped_by(tried, lambda one: one.proposal.sort).values():
        small = [one for one in same if one.saving < NOISE * total]
        bundles = _bundles(small, int(sum(one.saving for one in small) / (NOISE * total))) if small else []
        parts = [[one] for one in same if one not in small] + bundles
        for part in [same, *parts] if len(parts) > 1 else parts:
            joined = _joined(graph, part, costs) if len(part) > 1 else part[0]
            if joined is not None:
                yield joined
            elif part is not same:
                yield from part


def _bundles(small: Sequence[_Tried], count: int) -> list[list[_Tried]]:
    """The largest saving first, each into the bundle that saves least so far; inside, in order of execution."""
    bundles: list[list[_Tried]] = [[] for _ in range(max(1, count))]
    for one in sorted(small, key=lambda one: -one.saving):
        min(bundles, key=lambda bundle: sum(other.saving for other in bundle)).append(one)
    return [[one for one in small if one in bundle] for bundle in bundles if bundle]


def _joined(graph: Graph, small: Sequence[_Tried], costs: Sequence[float]) -> _Tried | None:
    together = _put_together([one.proposal for one in small])
    return _try(graph, together, tuple(change for one in small for change in one.changes), costs)


def _put_together(proposals: Sequence[Proposal]) -> Proposal:
    keys = dict.fromkeys(key for proposal in proposals for key in proposal.figures if key != "above")
    return replace(
        proposals[0],
        where=", ".join(dict.fromkeys(proposal.where for proposal in proposals)).replace(", at ", ", "),
        places=tuple(place for proposal in proposals for place in proposal.places),
        figures={key: sum(proposal.figures.get(key, 0.0) for proposal in proposals) for key in keys},
    )


def _finding(graph: Graph, tried: _Tried, total: float) -> Finding:
    proposal = tried.proposal
    edit = Edit(proposal.sort, proposal.edit_text(graph, tried.changes), tried.changes, graph.madds, tried.madds)
    return Finding(
        guideline=proposal.guideline,
        text=proposal.text,
        places=proposal.places,
        figures=proposal.figures,
        edit=edit,
        saving=tried.saving,
        share=tried.saving / total if total else 0.0,
    )


def _without_edit(proposals: Sequence[Proposal]) -> Finding:
    """Of one sort, where no edit was found that is consistent and saves."""
    proposal = _put_together(proposals)
    facts = {"rebalance": "{n} 1x1 convolution{s} of unequal widths", "regroup": "{n} group convolution{s}"}
    said = text(facts.get(proposal.sort, proposal.words), proposal.where, proposal.places)
    return Finding(proposal.guideline, f"{said}: no edit found that saves", proposal.places, proposal.figures)
