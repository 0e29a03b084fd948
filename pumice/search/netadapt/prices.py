"""What networks cost whose groups have other widths, from one graph whose shapes are worked out again by arithmetic."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pumice.cost.lut.blocks import blocks
from pumice.cost.lut.table import Lut
from pumice.graph.records import Graph
from pumice.graph.resized import Resized
from pumice.search.netadapt.propose import Widths


class Prices(ABC):
    """unit: of the numbers ("multiply-adds", "ms", ...)."""

    unit: str

    @abstractmethod
    def of(self, nets: Sequence[Widths]) -> list[float]:
        """What each of these networks costs."""


class MAdds(Prices):
    """Multiply-adds."""

    unit = "multiply-adds"

    def __init__(self, sizes: Resized) -> None:
        self.sizes = sizes

    def of(self, nets: Sequence[Widths]) -> list[float]:
        """Exact."""
        return [float(self.sizes.at(widths).madds) for widths in nets]


class Table(Prices):
    """Latency that a lookup table predicts.

    All blocks count as in a net with the seed's weights: else what is inferred for a block would depend on which net
    was asked for first, and a search gone on with could take another way.
    """

    unit = "ms"

    def __init__(self, sizes: Resized, lut: Lut) -> None:
        self.sizes, self.lut = sizes, lut
        self.resident = blocks(sizes.graph)[0].resident

    def of(self, nets: Sequence[Widths]) -> list[float]:
        """All in one call, so that blocks without an entry are inferred together."""
        asked = [[replace(b, resident=self.resident) for b in blocks(self.sizes.at(widths))] for widths in nets]
        return [round(said.ms, 9) for said in self.lut.predict_all(asked)]


class Called(Prices):
    """Any function of the widths."""

    unit = "cost"

    def __init__(self, function: Callable[[Mapping[str, int]], float]) -> None:
        self.function = function

    def of(self, nets: Sequence[Widths]) -> list[float]:
        """What the function says."""
        return [float(self.function(widths)) for widths in nets]


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
