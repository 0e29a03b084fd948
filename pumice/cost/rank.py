"""Do two measures put the same things in the same order?  Rank correlations, in plain Python.

Spearman's rho and Kendall's tau-b as in Kendall, "Rank Correlation Methods", 4th ed., chapters 2, 3 and 5: ties share
the mean of their ranks in the one and leave the denominator in the other.
"""

import math
from collections.abc import Collection, Sequence
from itertools import combinations
from statistics import fmean

Interval = tuple[float, float]


def ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for i in order[start:end]:
            found[i] = (start + 1 + end) / 2
        start = end
    return found


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's rho in [-1, 1]: the correlation of the ranks; nan where either is constant or has fewer than two.

    Raises:
        ValueError: different lengths.
    """
    _check(x, y)
    if len(x) < 2:
        return math.nan
    a, b = ranks(x), ranks(y)
    mean_a, mean_b = fmean(a), fmean(b)
    both = math.fsum((i - mean_a) * (j - mean_b) for i, j in zip(a, b, strict=True))
    spread = math.fsum((i - mean_a) ** 2 for i in a) * math.fsum((j - mean_b) ** 2 for j in b)
    return both / math.sqrt(spread) if spread else math.nan


def kendall(x: Sequence[float], y: Sequence[float], skip: Collection[tuple[int, int]] = ()) -> float:
    """Kendall's tau-b in [-1, 1]; nan where no counted pair differs in x, or none in y.

    skip: pairs (i, j), i < j, that do not count, `overlapping(intervals)` say.

    Raises:
        ValueError: different lengths.
    """
    _check(x, y)
    left_out = set(skip)
    balance = differ_x = differ_y = 0
    for i, j in combinations(range(len(x)), 2):
        if (i, j) in left_out:
            continue
        dx, dy = _sign(x[i] - x[j]), _sign(y[i] - y[j])
        balance += dx * dy
        differ_x += dx != 0
        differ_y += dy != 0
    return balance / math.sqrt(differ_x * differ_y) if differ_x and differ_y else math.nan


def overlapping(intervals: Sequence[Interval]) -> set[tuple[int, int]]:
    """The pairs (i, j), i < j, whose intervals share a point: nothing says which of the two is less."""
    pairs = combinations(range(len(intervals)), 2)
    return {(i, j) for i, j in pairs if intervals[i][0] <= intervals[j][1] and intervals[j][0] <= intervals[i][1]}


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _check(x: Sequence[float], y: Sequence[float]) -> None:
    if len(x) != len(y):
        raise ValueError(f"rank correlations compare lists of one length, not of {len(x)} and {len(y)}")
