"""G4: element-wise work is no multiply-add and yet costs time (ShuffleNetV2, section 2 and table 4).

Counted here: activations that runtimes do not compute inside a convolution, gates, dynamic activations, shortcuts, and
channel shuffles and selections, which only move data.
"""

from collections.abc import Iterator

from pumice.cost.audit.chains import (
    Chain,
    activations,
    dynamic_activations,
    gates,
    selections,
    shortcuts,
    shuffles,
)
from pumice.cost.audit.channels import stage
from pumice.cost.audit.finding import Place, Sort
from pumice.cost.audit.proposal import Proposal, grouped_by
from pumice.graph.edit import Bypass, Change, Swap
from pumice.graph.records import Graph

RELU = "aten.relu.default"


def proposals(graph: Graph) -> Iterator[Proposal]:
    """One proposal for each sort of element-wise work in each stage."""
    dropped: tuple[tuple[Sort, str, list[Chain]], ...] = (
        ("drop shuffle", "drop {n} channel shuffle{s}", list(shuffles(graph))),
        (
            "drop selection",
            "take channels as they come in {n} layer{s} instead of reordering them",
            list(selections(graph)),
        ),
        ("drop gate", "drop {n} squeeze-and-excitation gate{s}", list(gates(graph))),
        ("drop shortcut", "drop {n} shortcut{s}", list(shortcuts(graph))),
    )
    for sort, words, chains in dropped:
        yield from _by_stage(graph, sort, words, [(chain, Bypass(chain.result, chain.source)) for chain in chains])
    named = list(activations(graph))
    replaced = [(chain, _rectified(chain)) for _, chain in named]
    names = ", ".join(dict.fromkeys(name for name, _ in named))
    yield from _by_stage(graph, "replace activation", f"replace {{n}} of {names} by ReLU", replaced)
    dynamic = [(chain, _rectified(chain)) for chain in dynamic_activations(graph)]
    words = "replace {n} dynamic activation{s} by ReLU"
    yield from _by_stage(graph, "replace dynamic activation", words, dynamic)


def _rectified(chain: Chain) -> Change:
    return Swap(chain.last.index, RELU, chain.source)


def _by_stage(graph: Graph, sort: Sort, words: str, found: list[tuple[Chain, Change]]) -> Iterator[Proposal]:
    for where, pairs in grouped_by(found, lambda pair: stage(graph, pair[0].last)).items():
        elements = [graph.values[chain.result].elements for chain, _ in pairs]
        yield Proposal(
            guideline="G4",
            sort=sort,
            words=words,
            where=f"at {where}",
            places=tuple(Place(c.path, {"elements": n}) for (c, _), n in zip(pairs, elements, strict=True)),
            figures={"nodes": len({i for chain, _ in pairs for i in chain.nodes}), "elements": sum(elements)},
            alternatives=(tuple(change for _, change in pairs),),
        )
