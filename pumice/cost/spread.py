"""How well a median is known, without any belief about how times are distributed.

Of n independent samples the number below the true median is binomial(n, 1/2), whatever their distribution, so a pair
of sorted samples encloses it with known probability (Conover, "Practical Nonparametric Statistics", 3rd ed., 3.2).
"""

import functools
import math
from collections.abc import Sequence
from statistics import NormalDist


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """The narrowest pair of sorted samples, equally far from both ends, that encloses the median with `confidence`.

    Raises:
        ValueError: there are too few samples for any pair to do so (six are enough for 95 %).
    """
    rank = median_rank(len(values), confidence)
    if rank < 1:
        raise ValueError(f"{len(values)} samples cannot enclose a median with {confidence:.0%}")
    ordered = sorted(values)
    return ordered[rank - 1], ordered[-rank]


@functools.cache
def median_rank(n: int, confidence: float) -> int:
    """The largest r for which the r-th smallest and r-th largest of n samples enclose the median; 0 when none does.

    The true median lies below the r-th smallest with P(Binomial(n, 1/2) < r), which may be (1 - confidence) / 2.
    """
    tail = (1 - confidence) / 2
    if n >= 1000:  # 2^-n is too small for a float; the normal limit, rounded down, is exact or one rank wider here.
        return math.floor(n / 2 + NormalDist().inv_cdf(tail) * math.sqrt(n) / 2)
    rank, below, term = 0, 0.0, 0.5**n
    while below + term <= tail:
        below += term
        term *= (n - rank) / (rank + 1)
        rank += 1
    return rank
