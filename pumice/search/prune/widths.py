"""How many channels a group may keep, and which stay: the cells of a group lose equally, widths are round."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pumice.graph.channels import Group

Scores = NDArray[np.float64]
ROOM = 2  # a group keeps multiples of a number that fits into each cell so often


@dataclass(frozen=True)
class Menu:
    """What one group may keep.

    counts: channels of each cell that may stay, ascending; the last one is all, where cells are equal.
    gains: for each of `counts` the least score among the channels that stay, lower the more stay.
    """

    group: Group
    order: tuple[tuple[int, ...], ...]
    counts: tuple[int, ...]
    gains: tuple[float, ...]

    def kept(self, choice: int) -> list[int]:
        """The channels that stay at `counts[choice]`, ascending."""
        if self.whole(choice):
            return list(range(self.group.channels))
        return sorted(channel for cell in self.order for channel in cell[: self.counts[choice]])

    def whole(self, choice: int) -> bool:
        """Whether nothing is cut."""
        return choice == len(self.counts) - 1

    def at_least(self, share: float) -> int:
        """The first choice that keeps this share of the group."""
        cells = len(self.order)
        wide = [i for i, count in enumerate(self.counts) if count * cells >= share * self.group.channels - 1e-9]
        return wide[0] if wide else len(self.counts) - 1

    def at_most(self, share: float) -> int:
        """The last choice that keeps no more than this share of the group; the narrowest where all keep more."""
        cells = len(self.order)
        narrow = [i for i, count in enumerate(self.counts) if count * cells <= share * self.group.channels + 1e-9]
        return narrow[-1] if narrow else 0

    def above(self, threshold: float) -> int:
        """The last choice whose channels all score at least the threshold; the narrowest where none does."""
        return max((i for i, gain in enumerate(self.gains) if gain >= threshold), default=0)


def menus(groups: tuple[Group, ...], scores: Mapping[str, Scores], round_to: int) -> list[Menu]:
    """What each group may keep that is not frozen and has more than one choice."""
    made = [_menu(group, scores[group.name], round_to) for group in groups if not group.frozen]
    return [menu for menu in made if len(menu.counts) > 1]


def _menu(group: Group, score: Scores, round_to: int) -> Menu:
    order = tuple(tuple(sorted(cell, key=lambda c: (-score[c], c))) for cell in group.cells)
    shortest, longest = min(map(len, order)), max(map(len, order))
    step = step_of(shortest, len(order), round_to)
    counts = list(range(step, shortest + 1, step))
    if shortest == longest and counts[-1:] == [longest]:
        counts.pop()
    # All channels are a choice of their own: of unequal cells they may stay, or as many of each as the shortest has.
    ranked = np.array([np.mean([score[cell[i]] for cell in order]) for i in range(shortest)])
    least = np.minimum.accumulate(ranked)
    gains = [*(float(least[count - 1]) for count in counts), -math.inf if shortest != longest else float(least[-1])]
    return Menu(group, order, (*counts, longest), tuple(gains))


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
