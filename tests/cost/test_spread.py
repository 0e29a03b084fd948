"""The interval of the median covers it as often as it says, whatever the distribution."""

import math

import numpy as np
import pytest

from pumice.cost.spread import median_interval, quantile_interval, rank_below


def exact_rank(n: int) -> int:
    """The largest r with P(Binomial(n, 1/2) < r) <= 2.5 %, in whole numbers."""
    rank, below, term = 0, 0, 1
    while 1000 * (below + term) <= 25 * 2**n:
        below += term
        term = term * (n - rank) // (rank + 1)
        rank += 1
    return rank


def test_ranks_are_those_of_the_binomial() -> None:
    for n in (*range(1, 300), *range(300, 5000, 97)):
        assert rank_below(n, 0.5, 0.025) == exact_rank(n), n


def test_known_ranks() -> None:
    """Tables of the sign test: n = 6 -> 1, 10 -> 2, 20 -> 6, 50 -> 18, 100 -> 40."""
    assert [rank_below(n, 0.5, 0.025) for n in (5, 6, 10, 20, 50, 100)] == [0, 1, 2, 6, 18, 40]


@pytest.mark.parametrize("n", [6, 9, 31, 60, 300])
@pytest.mark.parametrize("kind", ["normal", "exponential", "two modes"])
def test_coverage(kind: str, n: int) -> None:
    """1,000 simulated series: at least 93 % of intervals hold the true median, and not all of them do."""
    draw = np.random.default_rng(n)
    if kind == "normal":
        samples, median = draw.normal(3.0, 1.0, (1000, n)), 3.0
    elif kind == "exponential":
        samples, median = draw.exponential(1.0, (1000, n)), math.log(2)
    else:  # One pass in three is preempted: the mean is far from the median.
        base = draw.uniform(1.0, 1.1, (1000, n))
        samples, median = base + 8.0 * (draw.random((1000, n)) < 1 / 3), 1.075
    intervals = [median_interval(row.tolist()) for row in samples]
    covered = np.mean([low <= median <= high for low, high in intervals])
    assert covered >= 0.93
    # An interval that always covers says nothing.
    assert covered <= 0.999
    above = np.mean([median <= high for _, high in intervals])
    assert above >= 0.965


def test_too_few_samples() -> None:
    with pytest.raises(ValueError, match="5 samples"):
        median_interval([1.0] * 5)
    assert median_interval([3.0, 1.0, 2.0, 6.0, 5.0, 4.0]) == (1.0, 6.0)


def test_a_tenth() -> None:
    """35 samples cannot bound the lower tenth from below, 36 can: 0.9^35 is 2.503 %, 0.9^36 is 2.25 %."""
    assert [rank_below(n, 0.1, 0.025) for n in (35, 36)] == [0, 1]
    assert quantile_interval([5.0, 4.0, 3.0], 0.1) == (3.0, 5.0)
    assert quantile_interval([float(i) for i in range(1000)], 0.5) == median_interval([float(i) for i in range(1000)])
    with pytest.raises(ValueError, match="no samples"):
        quantile_interval([], 0.1)


@pytest.mark.parametrize("n", [40, 90, 400])
def test_coverage_of_a_tenth(n: int) -> None:
    samples = np.random.default_rng(n).exponential(1.0, (1000, n))
    intervals = [quantile_interval(row.tolist(), 0.1) for row in samples]
    covered = np.mean([low <= -math.log(0.9) <= high for low, high in intervals])
    assert 0.93 <= covered <= 0.999
