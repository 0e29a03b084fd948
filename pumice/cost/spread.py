"""How well a quantile is known, without any belief about how times are distributed.

Of n independent samples the number below the true q-quantile is binomial(n, q), whatever their distribution, so a pair
of sorted samples encloses it with known probability (Conover, "Practical Nonparametric Statistics", 3rd ed., 3.2).
"""

import functools
import math
from collections.abc import Sequence


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """The narrowest pair of sorted samples, equally far from both ends, that encloses the median with `confidence`.

    Raises:
        ValueError: there are too few samples for any pair to do so (six are enough for 95 %).
    """
    rank = rank_below(len(values), 0.5, (1 - confidence) / 2)
    if rank < 1:
        raise ValueError(f"{len(values)} samples cannot enclose a median with {confidence:.0%}")
    ordered = sorted(values)
    return ordered[rank - 1], ordered[-rank]


def quantile_interval(values: Sequence[float], q: float, confidence: float = 0.95) -> tuple[float, float]:
    """The pair of sorted samples that encloses the q-quantile, with (1 - confidence) / 2 outside on either side.

    Where there are too few samples for an end (36 for the lower end of a tenth), the outermost sample stands in.

    Raises:
        ValueError: there are no samples.
    """
    if not values:
        raise ValueError("no samples enclose nothing")
    ordered, tail = sorted(values), (1 - confidence) / 2
    low = max(rank_below(len(values), q, tail), 1)
    high = max(rank_below(len(values), 1 - q, tail), 1)
    return ordered[low - 1], ordered[-high]


@functools.cache
def rank_below(n: int, q: float, tail: float) -> int:
    """The largest r for which the r-th smallest of n samples lies above the true q-quantile with at most `tail`.

    That probability is P(Binomial(n, q) < r).  0 when not even the smallest sample will do.
    """
    rank, below, log_term = 0, 0.0, n * math.log(1 - q)  # the first terms of a long series are too small for a float
    while rank < n and below + math.exp(log_term) <= tail:
        below += math.exp(log_term)
        log_term += math.log((n - rank) / (rank + 1) * q / (1 - q))
        rank += 1
    return rank
