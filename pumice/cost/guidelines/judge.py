"""Does a claim hold here?  Judged by the intervals of two times that were measured interleaved."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pumice.cost.timing import Timing

Clock = Literal["wall", "cpu"]
Verdict = Literal["holds", "does not hold", "within the spread", "holds in part"]

MARGIN = 0.02
"""Intervals must be so far apart, as a share: the medians of one file loaded four times differ by 1 to 2.4 %."""


@dataclass(frozen=True)
class Time:
    """What counts of a timing: ms per pass, the ends of its 95 % interval, and by which clock."""

    ms: float
    low: float
    high: float
    clock: Clock


@dataclass(frozen=True)
class Judgement:
    """ratio: how many times as long the slow case took; low, high: by the ends of both intervals."""

    verdict: Verdict
    ratio: float
    low: float
    high: float


def times(timings: Sequence[Timing]) -> list[Time]:
    """What counts of timings that are compared: as `Timing.figure_ms`, but of one clock for all.

    Where the machine was busy during any of them, the CPU time of all.
    """
    if not any(timing.figure_clock == "cpu" for timing in timings):
        return [Time(timing.p50_ms, *timing.ci95, "wall") for timing in timings]
    busy = [replace(timing, busy=True) for timing in timings]
    return [Time(timing.figure_ms, *timing.figure_ci, "cpu") for timing in busy]


def judge(fast: Time, slow: Time, *, factor: float = 1.0, work: float = 1.0) -> Judgement:
    """Whether `fast` took less than `factor` times as long as `slow`.

    work: what `fast` has to do over what `slow` has to; the ratio is that of times for the same work.
    """
    ratio, low, high = work * slow.ms / fast.ms, work * slow.low / fast.high, work * slow.high / fast.low
    verdict: Verdict = "within the spread"
    if low * factor > 1 + MARGIN:
        verdict = "holds"
    elif high * factor < 1 / (1 + MARGIN):
        verdict = "does not hold"
    return Judgement(verdict, ratio, low, high)


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """One word for several comparisons.

    "holds" wants half of them to hold and none to fail; with fewer, or with some that fail, it is "holds in part".
    """
    yes, no = verdicts.count("holds"), verdicts.count("does not hold")
    if yes:
        return "holds" if not no and 2 * yes >= len(verdicts) else "holds in part"
    return "does not hold" if no else "within the spread"
