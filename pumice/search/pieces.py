"""The rows of a space's networks, each looked at once: what one costs at an input does not depend on what is before.

Exact, because a network is its rows one after the other; a search asks for hundreds of thousands of networks that are
made of some hundred different rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import nn

from pumice.graph.records import Graph, Shape
from pumice.graph.trace import trace
from pumice.models.heads import HeadRow
from pumice.models.rows import Row
from pumice.models.spaces.space import Choice, Space
from pumice.models.spec import NetSpec

T = TypeVar("T")
TRIED = 20  # random networks on which it is tried whether rows are chosen one by one


class Pieces(Generic[T]):
    """What `look` says of every row and of the head, in order.

    look: of a module in evaluation mode and its trace.
    in_chans: of the image.
    """

    def __init__(
        self, space: Space, num_classes: int, look: Callable[[nn.Module, Graph], T], in_chans: int = 3
    ) -> None:
        self.space, self.num_classes, self.look, self.in_chans = space, num_classes, look, in_chans
        self._seen: dict[tuple[Row | HeadRow, Shape], tuple[T, Shape]] = {}

    def of(self, choice: Choice) -> list[T]:
        """Of the network of a choice: its rows, then its head."""
        spec, at = self.space.spec(choice), self._image(choice)
        found = []
        parts: tuple[Row | HeadRow, ...] = (*spec.rows, spec.head)
        for part in parts:
            known = self._seen.get((part, at)) or self._look(part, at)
            found.append(known[0])
            at = known[1]
        return found

    def at(self, place: int, row: Row, choice: Choice) -> T:
        """Of another row at that place of a network."""
        shape = self._image(choice)
        for before in self.space.spec(choice).rows[:place]:
            shape = (self._seen.get((before, shape)) or self._look(before, shape))[1]
        return (self._seen.get((row, shape)) or self._look(row, shape))[0]

    def _image(self, choice: Choice) -> Shape:
        return (self.in_chans, *self.space.image_of(choice))

    def _look(self, part: Row | HeadRow, at: Shape) -> tuple[T, Shape]:
        with torch.random.fork_rng(devices=[]):  # fresh weights, which a search must not draw from others' numbers
            module = part.build(at[0], self.num_classes, None) if isinstance(part, HeadRow) else part.build(at[0])
        graph = trace(module.eval(), at)
        after = graph.values[graph.outputs[0]].shape[1:]
        self._seen[part, at] = found = (self.look(module, graph), after)
        return found


@dataclass(frozen=True)
class OneByOne:
    """A space whose positions each choose one row: places[i] is the row of position i, rows[i] its candidates.

    place: None of a position that chooses no row, as those of recipes.
    """

    places: tuple[int | None, ...]
    rows: tuple[tuple[Row, ...], ...]


def one_by_one(space: Space) -> OneByOne | None:
    """How the positions of a space choose rows, None where it is not one row each, of one width and stride."""
    first = (0,) * len(space.positions)
    base = space.spec(first)
    places: list[int | None] = []
    rows: list[tuple[Row, ...]] = []
    for i, position in enumerate(space.positions):
        choices = [(*first[:i], option, *first[i + 1 :]) for option in range(len(position.options))]
        if any(space.image_of(choice) != space.image_of(first) for choice in choices):
            return None
        specs = [space.spec(choice) for choice in choices]
        changed = {place for spec in specs for place in _changed(base, spec)}
        if len(changed) > 1 or None in changed or changed & {*places}:
            return None
        place = next(iter(changed), None)
        places.append(place)
        rows.append(() if place is None else tuple(spec.rows[place] for spec in specs))
        if len({(row.stride, row.width(1)) for row in rows[-1]}) > 1:
            return None
    rng = np.random.default_rng(0)
    for _ in range(TRIED):
        choice = space.random(rng)
        composed = list(base.rows)
        for place, candidates, option in zip(places, rows, choice, strict=True):
            if place is not None:
                composed[place] = candidates[option]
        if space.spec(choice).rows != tuple(composed) or space.image_of(choice) != space.image_of(first):
            return None
    return OneByOne(tuple(places), tuple(rows))


def _changed(base: NetSpec, spec: NetSpec) -> set[int | None]:
    """Where rows differ; None among them where more than rows do."""
    if len(spec.rows) != len(base.rows) or spec.head != base.head:
        return {None}
    return {i for i, (ours, theirs) in enumerate(zip(base.rows, spec.rows, strict=True)) if ours != theirs}
