"""How many channels a group may keep, and which stay: the cells of a group lose equally, widths are round."""

import math
from collections.abc import Iterable, Mapping

import numpy as np
from torch import nn

from pumice.graph.channels import Group
from pumice.search.kept import Parts, Scores, best, ordered, parts_of, splits_of

ROOM = 2  # a group keeps multiples of a number that fits into each cell so often


class Menu:
    """What one group may keep.

    counts: channels of each cell that may stay, ascending; the last one is all.
    gains: for each of `counts` the least score among the channels that stay, lower the more stay.
    """

    def __init__(self, group: Group, score: Scores, round_to: int, parts: Parts = frozenset()) -> None:
        self.group = group
        self._order = ordered(group, score)
        shortest, longest = min(map(len, self._order)), max(map(len, self._order))
        step = step_of(shortest, len(self._order), round_to)
        # Of unequal cells all channels may stay, or as many of each as the shortest has.
        counts = [count for count in range(step, shortest + 1, step) if count < longest]
        self._selected = {count: chosen for count in counts if (chosen := best(self._order, score, count, parts))}
        ranked = np.array([np.mean([score[cell[i]] for cell in self._order]) for i in range(shortest)])
        least = np.minimum.accumulate(ranked)
        self.counts = (*self._selected, longest)
        self.gains = (
            *(float(least[count - 1]) for count in self._selected),
            -math.inf if shortest != longest else float(least[-1]),
        )

    def kept(self, choice: int) -> list[int]:
        """The channels that stay at `counts[choice]`, ascending."""
        return list(range(self.group.channels)) if self.whole(choice) else self._selected[self.counts[choice]]

    def whole(self, choice: int) -> bool:
        """Whether nothing is cut."""
        return choice == len(self.counts) - 1

    def share(self, choice: int) -> float:
        """What part of the group stays."""
        return 1.0 if self.whole(choice) else self.counts[choice] * len(self._order) / self.group.channels

    def at_least(self, share: float) -> int:
        """The first choice that keeps this share of the group."""
        return next(i for i in range(len(self.counts)) if self.share(i) >= share - 1e-9 or self.whole(i))

    def at_most(self, share: float) -> int:
        """The last choice that keeps no more than this share of the group; the narrowest where all keep more."""
        return max((i for i in range(len(self.counts)) if self.share(i) <= share + 1e-9), default=0)

    def above(self, threshold: float) -> int:
        """The last choice whose channels all score at least the threshold; the narrowest where none does."""
        return max((i for i, gain in enumerate(self.gains) if gain >= threshold), default=0)


def menus(net: nn.Module, groups: Iterable[Group], scores: Mapping[str, Scores], round_to: int) -> list[Menu]:
    """What each group may keep that is not frozen and has more than one choice."""
    splits = splits_of(net)
    free = [group for group in groups if not group.frozen]
    made = [Menu(group, scores[group.name], round_to, parts_of(group, splits)) for group in free]
    return [menu for menu in made if len(menu.counts) > 1]


def step_of(cell: int, cells: int, round_to: int) -> int:
    """By how many channels a cell may shrink, so that all cells together stay a multiple of `round_to`.

    Where a cell has no room for that, of the half of it, and so on.
    """
    while round_to > 1:
        step = round_to // math.gcd(round_to, cells)
        if step * ROOM <= cell:
            return step
        round_to //= 2
    return 1
