"""What networks cost whose groups have other widths, from graphs that are mostly worked out by arithmetic."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any

from pumice.cost.lut.blocks import blocks
from pumice.cost.lut.table import Lut
from pumice.errors import BadInput
from pumice.graph.records import Graph
from pumice.search.netadapt.propose import Widths

At = Callable[[Widths], Graph]
"""The graph of a network with its groups at these widths, norms folded."""


class Prices(ABC):
    """unit: of the numbers ("multiply-adds", "ms", ...)."""

    unit: str

    @abstractmethod
    def of(self, nets: Sequence[Widths], at: At) -> list[float]:
        """What each of these networks costs; infinite where one cannot be."""


class MAdds(Prices):
    """Multiply-adds."""

    unit = "multiply-adds"

    def of(self, nets: Sequence[Widths], at: At) -> list[float]:
        """Exact."""
        return [inf if graph is None else float(graph.madds) for graph in _graphs(nets, at)]


class Table(Prices):
    """Latency that a lookup table predicts.

    All blocks count as in a net with the seed's weights: else what is inferred for a block would depend on which net
    was asked for first, and a search gone on with could take another way.
    """

    unit = "ms"

    def __init__(self, lut: Lut, seed: Graph) -> None:
        self.lut, self.resident = lut, blocks(seed)[0].resident

    def of(self, nets: Sequence[Widths], at: At) -> list[float]:
        """All in one call, so that blocks without an entry are inferred together."""
        graphs = _graphs(nets, at)
        asked = [[replace(b, resident=self.resident) for b in blocks(graph)] for graph in graphs if graph is not None]
        said = iter(self.lut.predict_all(asked))
        return [inf if graph is None else round(next(said).ms, 9) for graph in graphs]


class Called(Prices):
    """Any function of the widths."""

    unit = "cost"

    def __init__(self, function: Callable[[Mapping[str, int]], float]) -> None:
        self.function = function

    def of(self, nets: Sequence[Widths], at: At) -> list[float]:
        """What the function says."""
        return [float(self.function(widths)) for widths in nets]


def _graphs(nets: Sequence[Widths], at: At) -> list[Graph | None]:
    found: list[Graph | None] = []
    for widths in nets:
        try:
            found.append(at(widths))
        except BadInput:  # a split would have an empty part
            found.append(None)
    return found


def violations(graph: Graph) -> int:
    """Places where a network breaks a guideline of ShuffleNetV2 (arXiv:1807.11164), as `audit` finds them."""
    from pumice.cost.audit import elementwise, fragments, grouped, unequal
    from pumice.cost.audit.channels import Channels

    channels = Channels(graph)
    found: list[Any] = [
        *unequal.proposals(graph, channels),
        *grouped.proposals(graph, channels),
        *fragments.proposals(graph, channels),
        *elementwise.proposals(graph),
    ]
    return sum(max(1, len(one.places)) for one in found)
