"""Which channels of a group stay: the best of each cell, and some of every part that a layer or a split cannot lose.

A cell that keeps its share may still leave a layer without inputs, or one side of a split without channels: in
ShuffleNetV2 after a first cut the channels of a cell are no longer spread evenly over both.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pumice.graph.channels import Group
from pumice.nn.shuffle import ChannelSplit

Scores = NDArray[np.float64]
Parts = frozenset[frozenset[int]]


def ordered(group: Group, score: Scores) -> list[list[int]]:
    """The channels of each cell, the highest score first, of equals the first."""
    return [sorted(cell, key=lambda c: (-score[c], c)) for cell in group.cells]


def best(cells: Sequence[Sequence[int]], score: Scores, count: int, parts: Parts = frozenset()) -> list[int] | None:
    """So many channels of each cell, ascending: the best, but at least one of each part; None where there are no such.

    cells: as `ordered` gives them.
    """
    chosen = [set(cell[:count]) for cell in cells]
    for part in parts:
        if part.isdisjoint(set().union(*chosen)):
            added = min(part, key=lambda c: (-score[c], c))
            cell = next(i for i, cell in enumerate(cells) if added in cell)
            for worst in sorted(chosen[cell], key=lambda c: (score[c], -c)):
                others = set().union(*chosen) - {worst}
                if not any(other.isdisjoint(others | {added}) for other in parts if worst in other):
                    chosen[cell] = (chosen[cell] - {worst}) | {added}
                    break
            else:
                return None
    return sorted(set().union(*chosen))


def splits_of(net: nn.Module) -> dict[str, tuple[int, ...]]:
    """Sizes of the parts of every split, by its path."""
    return {path: tuple(module.sizes) for path, module in net.named_modules() if isinstance(module, ChannelSplit)}


def parts_of(group: Group, splits: Mapping[str, Sequence[int]], *, alone: bool = False) -> Parts:
    """Sets of a group's channels of which one must stay: those that a layer reads or makes, those of a split's part.

    alone: no other group is cut, so that what others have there keeps a layer or part alive.
    """
    given = [use.channels for use in group.uses]
    for passage in group.passages:
        places = np.cumsum(splits.get(passage.module, ()))
        given += [tuple(part) for part in np.split(np.array(passage.channels), places[:-1])] if len(places) else []
    if alone:
        given = [channels for channels in given if min(channels, default=-1) >= 0]
    found = {frozenset(int(c) for c in channels if c >= 0) for channels in given}
    found = {part for part in found if 0 < len(part) < group.channels}
    return frozenset(part for part in found if not any(other < part for other in found))
