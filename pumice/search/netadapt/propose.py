"""The proposals of a step, and which of them is taken: NetAdapt's algorithm without networks.

Res(next) <= Res(net) - step: every group is a proposal, at the largest width that takes off so much by itself
(Yang et al., ECCV 2018, arXiv:1804.03230, algorithm 1).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from pumice.search.netadapt.settings import Choose

Widths = Mapping[str, int]
Price = Callable[[Sequence[Widths]], Sequence[float]]
"""What networks of these widths cost; many at once, because tables answer many as quickly as one."""

AT_ONCE = 4  # widths of each group that are priced together


@dataclass(frozen=True)
class Proposal:
    """One group at a smaller width.

    cost: of the whole net then.  penalty: what its violations of guidelines count as, in the same unit.
    """

    group: str
    width: int
    cost: float
    penalty: float = 0.0


@dataclass(frozen=True)
class Judged:
    """accuracy, before: of the held-out images after short-term tuning, and before it.  seconds: that it took."""

    proposal: Proposal
    accuracy: float
    before: float
    seconds: float


def proposals(widths: Widths, options: Mapping[str, Sequence[int]], price: Price, limit: float) -> list[Proposal]:
    """For each group its largest width at which the net costs no more than `limit`; groups without one have none.

    Args:
        widths: of every group now.
        options: the widths that each group may have instead, the largest first.
        price: of networks.
        limit: in the price's unit.
    """
    found: dict[str, Proposal] = {}
    ends = [group for group in options if options[group]]
    least = price([{**widths, group: options[group][-1]} for group in ends])
    # A group that does not save enough at its narrowest is not looked into: some prices cost a trace.
    place = {group: 0 for group, cost in zip(ends, least, strict=True) if cost <= limit}
    while waiting := [g for g in place if g not in found and place[g] < len(options[g])]:
        asked = [(g, w) for g in waiting for w in options[g][place[g] : place[g] + AT_ONCE]]
        costs = price([{**widths, group: width} for group, width in asked])
        for (group, width), cost in zip(asked, costs, strict=True):
            if cost <= limit and group not in found:
                found[group] = Proposal(group, width, cost)
        for group in waiting:
            place[group] += AT_ONCE
    return [found[group] for group in options if group in found]


def take(judged: Sequence[Judged], accuracy: float, cost: float, rule: Choose, penalty: float = 0.0) -> Judged:
    """The proposal that the net becomes; of equals the cheaper, then the earlier.

    "accuracy": the most accurate.  "ratio": maximal dAcc / |dCost|, the least accuracy lost for what is saved.

    Args:
        judged: at least one.
        accuracy, cost, penalty: of the net now.
    """
    if rule == "accuracy":
        return max(judged, key=lambda one: (one.accuracy, -one.proposal.cost))

    def ratio(one: Judged) -> float:
        saved = cost + penalty - one.proposal.cost - one.proposal.penalty
        # A penalty that grows by more than is saved leaves nothing to divide by.
        return (one.accuracy - accuracy) / saved if saved > 0 else -inf

    return max(judged, key=lambda one: (ratio(one), -one.proposal.cost))
