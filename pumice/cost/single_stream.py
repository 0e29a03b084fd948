"""The p90 of one query after the other, by the rule of MLPerf Inference for its single-stream scenario.

Rules: the next query is issued as soon as the last one ended, one image a query, and the figure is the 90th percentile
(Reddi et al., "MLPerf Inference Benchmark", ISCA 2020, arXiv:1911.02549, table 2).  How many queries are enough is
decided by early stopping (the rule since v2.0; loadgen/results.cc and loadgen/early_stopping.cc of
github.com/mlcommons/inference): of n queries, t is the largest number with P(Binomial(n, 1 - p) <= t) <= 1 - c, p = 0.9
and c = 0.99, and the t-th slowest query is the estimate, which the true p90 exceeds in one run out of a hundred at
most.  It takes 64 queries for t to be 1.

Ours differs in one point, so it is no MLPerf result: a submission lasts 600 s at least, and this MIN_STREAM_S.
"""

from collections.abc import Callable, Sequence

from pumice.cost.spread import rank_below

PERCENTILE, CONFIDENCE = 0.9, 0.99
MIN_QUERIES = 64
MIN_STREAM_S = 0.5


def p90_estimate(latencies_ms: Sequence[float]) -> float | None:
    """The early-stopping estimate of the p90; None of fewer than MIN_QUERIES queries."""
    above = rank_below(len(latencies_ms), 1 - PERCENTILE, 1 - CONFIDENCE) - 1
    return sorted(latencies_ms)[-above] if above >= 1 else None


def stream_s(pass_ms: float) -> float:
    """How long a stream of enough queries takes, in seconds."""
    return max(MIN_STREAM_S, MIN_QUERIES * pass_ms / 1e3)


def stream(query: Callable[[], float], clock: Callable[[], float], limit_s: float) -> list[float]:
    """Latencies in ms of queries one after the other: enough of them, for MIN_STREAM_S, cut off at `limit_s`.

    Args:
        query: runs one and gives its latency in ms.
        clock: seconds, such as time.perf_counter.
        limit_s: when to give up on a machine that turned out too slow or busy.
    """
    latencies: list[float] = []
    start = clock()
    while (spent := clock() - start) < limit_s and (len(latencies) < MIN_QUERIES or spent < MIN_STREAM_S):
        latencies.append(query())
    return latencies
