"""Rank correlations against scipy's, an independent implementation."""

import math
import random

import pytest
from scipy import stats

from pumice.cost.rank import kendall, overlapping, ranks, spearman


def series(seed: int, n: int, tied: bool) -> tuple[list[float], list[float]]:
    rng = random.Random(seed)
    x = [float(rng.randint(0, 5)) if tied else rng.random() for _ in range(n)]
    y = [value + (rng.randint(-2, 2) if tied else rng.gauss(0, 0.3)) for value in x]
    return x, y


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("n", [3, 10, 60])
def test_like_scipy(n: int, tied: bool) -> None:
    x, y = series(n, n, tied)
    rho, tau = spearman(x, y), kendall(x, y)
    assert -1 < rho < 1, "a correlation of 1 would hide a wrong denominator"
    assert rho == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert tau == pytest.approx(stats.kendalltau(x, y, variant="b").statistic, abs=1e-12)


def test_order_alone_counts() -> None:
    x = [3.0, 1.0, 2.0]
    assert spearman(x, [math.exp(v) for v in x]) == kendall(x, [v**3 for v in x]) == 1
    assert spearman(x, [-v for v in x]) == kendall(x, [-v for v in x]) == -1


def test_ties_share_ranks() -> None:
    assert ranks([10, 30, 20, 30, 30]) == [1, 4, 2, 4, 4]


def test_nothing_to_rank() -> None:
    assert math.isnan(spearman([1, 1, 1], [1, 2, 3]))
    assert math.isnan(kendall([1, 1, 1], [1, 2, 3]))
    assert math.isnan(spearman([1], [1]))
    assert math.isnan(kendall([], []))
    with pytest.raises(ValueError, match="one length"):
        spearman([1, 2], [1])


def test_skipped_pairs_do_not_count() -> None:
    x, y = [1.0, 2.0, 3.0], [2.0, 1.0, 3.0]
    assert kendall(x, y) == pytest.approx(1 / 3)
    assert kendall(x, y, skip={(0, 1)}) == 1
    assert math.isnan(kendall(x, y, skip={(0, 1), (0, 2), (1, 2)}))


def test_overlapping_intervals() -> None:
    assert overlapping([(1, 2), (2, 3), (2.5, 4), (5, 6)]) == {(0, 1), (1, 2)}
    assert overlapping([(1, 10), (2, 3)]) == {(0, 1)}, "one inside the other"
