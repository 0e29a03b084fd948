"""The early-stopping estimate is that of published MLPerf logs, and a stream is neither too short nor endless."""

import random

import numpy as np
import pytest

from pumice.cost.single_stream import MIN_QUERIES, MIN_STREAM_S, p90_estimate, stream, stream_s


@pytest.mark.parametrize(("queries", "discarded"), [(64, 0), (2048, 172), (2116, 178), (2145, 181), (7469, 685)])
def test_the_estimate_discards_as_many_queries_as_loadgen(queries: int, discarded: int) -> None:
    """From "Would discard N highest latency queries" in summaries of published MLPerf Inference results."""
    latencies = [float(i) for i in range(queries)]
    random.Random(0).shuffle(latencies)
    assert p90_estimate(latencies) == queries - 1 - discarded


def test_sixty_three_queries_are_too_few() -> None:
    assert p90_estimate([1.0] * (MIN_QUERIES - 1)) is None
    assert p90_estimate([]) is None
    assert p90_estimate([1.0] * MIN_QUERIES) == 1.0


def test_the_true_p90_is_above_the_estimate_in_one_run_of_a_hundred() -> None:
    runs = np.random.default_rng(0).exponential(1.0, (2000, 200))
    above = np.mean([(p90_estimate(run.tolist()) or 0) < np.log(10) for run in runs])
    assert 0 < above < 0.015


def at(ms: float, limit_s: float) -> tuple[list[float], float]:
    """A stream of queries of `ms`, and the time it took, on a clock of its own."""
    now = [0.0]

    def query() -> float:
        now[0] += ms / 1e3
        return ms

    return stream(query, lambda: now[0], limit_s), now[0]


def test_a_stream_has_enough_queries_and_lasts_long_enough() -> None:
    slow, took = at(20.0, 10.0)
    assert len(slow) == MIN_QUERIES
    assert took == pytest.approx(stream_s(20.0)) == pytest.approx(1.28)
    fast, took = at(1.0, 10.0)
    assert len(fast) == pytest.approx(MIN_STREAM_S * 1e3, abs=2)
    assert took == pytest.approx(stream_s(1.0), abs=0.002)


def test_a_stream_is_cut_off() -> None:
    cut, took = at(500.0, 2.0)
    assert len(cut) == 4
    assert took == 2.0
    assert p90_estimate(cut) is None
