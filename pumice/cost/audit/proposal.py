"""What a guideline hands over: broken at these places, and edits that might mend it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from pumice.cost.audit.finding import Guideline, Place, Sort
from pumice.graph.edit import Change, Widen
from pumice.graph.records import Graph

T = TypeVar("T")


@dataclass(frozen=True)
class Proposal:
    """Edits of one sort in one stage.

    words: what to do with `{n}` things, as "drop {n} channel shuffles".  where: the stage, as "at 28x28".
    alternatives: changes of the graph, each a way to do it; empty where nothing can be done.
    """

    guideline: Guideline
    sort: Sort
    words: str
    where: str
    places: tuple[Place, ...]
    figures: Mapping[str, float] = field(default_factory=dict)
    alternatives: tuple[tuple[Change, ...], ...] = ()

    @property
    def text(self) -> str:
        """One clause for people."""
        return text(self.words, self.where, self.places)

    def edit_text(self, graph: Graph, changes: Iterable[Change]) -> str:
        """The same with the widths that change, and what has to follow."""
        widths = dict.fromkeys(
            (graph.values[graph.nodes[c.node].outputs[0]].shape[1], c.out_channels)
            for c in changes
            if isinstance(c, Widen)
        )
        named = ", ".join(f"{old} to {new} channels" for old, new in widths if old != new)
        return f"{self.text}{f': {named}' if named else ''} (then retrain)"


def text(words: str, where: str, places: Iterable[Place]) -> str:
    """`drop 3 channel shuffles at 28x28, blocks.4 to blocks.6`."""
    layers = list(dict.fromkeys(place.layer or "forward" for place in places))
    span = layers[0] if len(layers) == 1 else f"{layers[0]} to {layers[-1]}"
    plural = words.replace("{n}", str(len(layers))).replace("{s}", "" if len(layers) == 1 else "s")
    return f"{plural} {where}, {span}"


def grouped_by(items: Iterable[T], key: Callable[[T], str]) -> dict[str, list[T]]:
    """The items by key, in order of first appearance."""
    found: dict[str, list[T]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found
