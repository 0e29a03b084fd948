"""Claims are judged by intervals, on made-up ones."""

from typing import Any

import pytest

from pumice.cost.guidelines.judge import Time, judge, overall, times
from pumice.cost.timing import Timing


def time(low: float, high: float) -> Time:
    return Time((low + high) / 2, low, high, "wall")


@pytest.mark.parametrize(
    ("fast", "slow", "verdict"),
    [
        ((0.99, 1.01), (1.10, 1.12), "holds"),
        ((1.10, 1.12), (0.99, 1.01), "does not hold"),
        ((0.99, 1.01), (1.00, 1.05), "within the spread"),
        ((0.99, 1.01), (1.02, 1.05), "within the spread"),  # apart, but by less than another loading of a file
        ((0.90, 1.30), (1.20, 1.40), "within the spread"),
    ],
)
def test_intervals_decide(fast: tuple[float, float], slow: tuple[float, float], verdict: str) -> None:
    judged = judge(time(*fast), time(*slow))
    assert judged.verdict == verdict
    assert judged.ratio == pytest.approx(sum(slow) / sum(fast))
    assert judged.low == pytest.approx(slow[0] / fast[1])
    assert judged.high == pytest.approx(slow[1] / fast[0])


def test_a_factor_moves_the_threshold() -> None:
    square, point = time(4.99, 5.01), time(0.99, 1.01)
    assert judge(square, point).verdict == "does not hold"
    assert judge(square, point, factor=9).verdict == "holds"
    assert judge(square, point, factor=5).verdict == "within the spread"


def test_work_is_divided_out() -> None:
    """The slow case takes 5 % less time for 10 % fewer multiply-adds: per multiply-add it is slower."""
    judged = judge(time(0.999, 1.001), time(0.949, 0.951), work=1 / 0.9)
    assert judged.verdict == "holds"
    assert judged.ratio == pytest.approx(0.95 / 0.9)


def timing(p50: float, **more: Any) -> Timing:
    fields = {"cpu_p50_ms": 0.9 * p50, "cpu_ci95": (0.8 * p50, p50), "busy": False, "device": "cpu", **more}
    return Timing(
        name="a", runtime="eager", threads=1, batch=1, dtype="float32", input_size=(1, 1, 1), repeats=30,
        passes_per_sample=1, p50_ms=p50, p90_ms=p50, ci95=(0.99 * p50, 1.01 * p50), **fields,
    )  # fmt: skip


def test_one_clock_counts_for_all() -> None:
    quiet = [timing(1.0), timing(2.0)]
    assert times(quiet) == [Time(1.0, 0.99, 1.01, "wall"), Time(2.0, 1.98, 2.02, "wall")]
    mixed = [timing(1.0), timing(2.0, busy=True, cpu_p10_ms=1.5, cpu_p10_ci95=(1.4, 1.6))]
    assert times(mixed) == [Time(0.9, 0.8, 1.0, "cpu"), Time(1.5, 1.4, 1.6, "cpu")]
    on_gpu = [timing(1.0, device="cuda"), timing(2.0, device="cuda", busy=True)]
    assert [one.clock for one in times(on_gpu)] == ["wall", "wall"]


def test_several_comparisons_in_one_word() -> None:
    yes, no, neither = "holds", "does not hold", "within the spread"
    assert overall([yes, yes, neither]) == yes
    assert overall([yes, neither, neither]) == "holds in part"
    assert overall([yes, yes, yes, no]) == "holds in part"
    assert overall([no, neither]) == no
    assert overall([neither, neither]) == neither
