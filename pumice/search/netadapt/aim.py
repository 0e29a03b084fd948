"""What the next net may cost, after some were measured: prices and clock are taken for a straight line."""

from collections.abc import Sequence

SLACK = 0.05  # a measured net may be so much quicker than the target
AIM = 0.975  # of the target, for corrections


def goal_between(known: Sequence[tuple[float, float]], target: float) -> float:
    """What the next net may cost, so that it takes a little less than `target` ms.

    On the line between the cheapest measured net above the target and the dearest below it; by proportion to the last
    where there is none below.  Where the clock has them the other way round, a little below the cheaper.

    Args:
        known: (cost, ms) of the nets that were measured, the first of them, the seed, above the target.
    """
    below = [one for one in known if one[1] <= target]
    if not below:
        cost, ms = known[-1]
        return AIM * target * cost / ms
    high, slow = min(one for one in known if one[1] > target)
    low, quick = max(below)
    if high <= low:
        return AIM * high
    return low + (high - low) * max(0.1, (AIM * target - quick) / (slow - quick))
