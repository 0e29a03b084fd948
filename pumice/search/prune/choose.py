"""The cut of a network that lands just below a number of multiply-adds."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from pumice.search.prune.counts import Counts
from pumice.search.prune.widths import Menu

Ranking = Literal["uniform", "global"]
SPARED = 0.1  # of every group, while the target can be reached so: nothing passes a layer that is almost gone
Choice = tuple[int, ...]


class Chooser:
    """Of one network: its menus and what each choice costs.

    ranking: "uniform" takes the same share from all groups; "global" takes the least important channels wherever they
    are, by scores that are comparable between groups.
    """

    def __init__(self, menus: Sequence[Menu], counts: Counts, ranking: Ranking) -> None:
        self.menus, self.counts, self.ranking = menus, counts, ranking
        self.least = tuple(0 for _ in menus)
        self._known: dict[Choice, int] = {}

    def kept(self, choice: Choice) -> dict[str, list[int]]:
        """Channels that stay, of the groups that lose any."""
        pairs = zip(self.menus, choice, strict=True)
        return {menu.group.name: menu.kept(i) for menu, i in pairs if not menu.whole(i)}

    def madds(self, choice: Choice) -> int:
        """By arithmetic."""
        if choice not in self._known:
            self._known[choice] = self.counts.madds(self.kept(choice))
        return self._known[choice]

    def below(self, allowed: int) -> Choice:
        """The choice with at most so many multiply-adds, as near as rounding allows; the least of all if none has."""
        spared = tuple(menu.at_least(SPARED) for menu in self.menus)
        floor = spared if self.madds(spared) <= allowed else self.least
        levels = self._levels()
        low, high = 0, len(levels)  # levels[low] keeps the target, or nothing does
        while high - low > 1:
            middle = (low + high) // 2
            if self.madds(self._at(levels[middle], floor)) <= allowed:
                low = middle
            else:
                high = middle
        choice = self._at(levels[low], floor)
        return self._filled(choice if self.madds(choice) <= allowed else floor, allowed)

    def _levels(self) -> list[float]:
        """Shares or thresholds, from the least that stays to the most."""
        if self.ranking == "uniform":
            return [float(share) for share in np.linspace(0, 1, 201)]
        found = {gain for menu in self.menus for gain in menu.gains}
        return [float("inf"), *sorted(found, reverse=True)]

    def _at(self, level: float, floor: Choice) -> Choice:
        wanted = (m.at_most(level) if self.ranking == "uniform" else m.above(level) for m in self.menus)
        return tuple(max(pair) for pair in zip(wanted, floor, strict=True))

    def _filled(self, choice: Choice, allowed: int) -> Choice:
        """The same with single steps given back where they fit, the most wanted first."""
        current = list(choice)
        open_ones = set(range(len(current)))
        while open_ones:
            best = max(open_ones, key=lambda i: self._wanted(i, current[i]))
            wider = (*current[:best], current[best] + 1, *current[best + 1 :])
            if self.menus[best].whole(current[best]) or self.madds(wider) > allowed:
                open_ones.remove(best)
            else:
                current = list(wider)
        return tuple(current)

    def _wanted(self, place: int, now: int) -> float:
        """How much the next step of a group is worth: the share that it has lost, or the score of what returns."""
        menu = self.menus[place]
        if menu.whole(now):
            return -float("inf")
        if self.ranking == "global":
            return menu.gains[now + 1]
        return 1 - menu.share(now)
