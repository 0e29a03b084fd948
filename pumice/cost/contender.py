"""One session that is timed: its warm-up, its samples, and whether they are enough."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from pumice.cost import machine
from pumice.cost.contention import Shares, verdict
from pumice.cost.single_stream import p90_estimate
from pumice.cost.spread import median_interval, quantile_interval
from pumice.cost.timing import Timing

if TYPE_CHECKING:
    from pumice.deploy.session import Session

MIN_SAMPLES = 36
"""Sought whenever time allows: the fewest whose smallest bounds the lower tenth from below (0.9^36 < 2.5 %)."""
FEWEST_SAMPLES = 6
"""Of five samples not even the smallest and the largest enclose the median with 95 %: 1 - 2 / 2^5 is 94 %."""
SAMPLES_PER_TURN = 3
LOW = 0.1
"""The quantile of CPU time that is the figure on a busy machine; why, says `Timing.figure_ms`."""
WARM_WINDOW = 5
"""Passes in a window of the warm-up; it ends when the medians of two windows in a row are within WARM_CHANGE."""
WARM_CHANGE = 0.03
STEPS_PER_SAMPLE = 100
"""A sample lasts at least so many steps of the CPU clock, so that the clock adds 1 % at most."""


class OnDevice(Protocol):
    """A session on another device than the processor."""

    def device_ms(self, x: NDArray[np.float32], passes: int) -> float:
        """ms per pass by the device's own clock, input and output staying there."""


@dataclass(eq=False)
class Contender:
    """One session with its fixed input, and what was seen of it: ms per pass."""

    session: "Session"
    name: str
    image: NDArray[Any]
    passes: int = 1
    pass_ms: float = 0.0
    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    stream_ms: list[float] = field(default_factory=list)

    def sample(self) -> tuple[float, float]:
        """Wall and CPU ms per pass.  The wall clock is read inside, so that the slower CPU clock costs it nothing."""
        run, image = self.session.run, self.image
        cpu = time.process_time_ns()
        if self.session.device == "cpu":
            wall = time.perf_counter_ns()
            for _ in range(self.passes):
                run(image)
            wall_ms = (time.perf_counter_ns() - wall) / self.passes / 1e6
        else:
            wall_ms = cast(OnDevice, self.session).device_ms(image, self.passes)
        cpu = time.process_time_ns() - cpu
        return wall_ms, cpu / self.passes / 1e6

    def query(self) -> float:
        """Wall ms of one pass."""
        wall = time.perf_counter_ns()
        self.session.run(self.image)
        return (time.perf_counter_ns() - wall) / 1e6

    def prepare(self, step_ms: float, warm_s: float, sampling_s: float) -> None:
        """Warm up, for `warm_s` at most, and settle how many passes make a sample."""
        self.pass_ms = warm_up(self.sample, warm_s)
        self.passes = passes_per_sample(self.pass_ms, step_ms, sampling_s * 1e3)

    def turn(self, alone: bool) -> None:
        """A few samples, after an untimed pass unless nobody else ran in between."""
        if not alone:
            self.session.run(self.image)
        for _ in range(SAMPLES_PER_TURN):
            wall, cpu = self.sample()
            self.wall_ms.append(wall)
            self.cpu_ms.append(cpu)

    def busy(self, shares: Shares) -> str:
        """Why its figures count as taken on a busy machine, `""` when they do not."""
        wall, cpu = statistics.median(self.wall_ms), statistics.median(self.cpu_ms)
        threads = self.session.threads if self.session.device == "cpu" else 0
        return verdict(shares, threads=threads, wall_ms=wall, cpu_ms=cpu)

    def known(self, precision: float, shares: Shares) -> bool:
        """Whether the figures that count are known: on a busy machine the wall time of a processor is not one."""
        if len(self.wall_ms) < MIN_SAMPLES:
            return False
        if self.session.device == "cpu" and self.busy(shares):
            counting = [(self.cpu_ms, 0.5), (self.cpu_ms, LOW)]
        else:
            counting = [(self.cpu_ms, 0.5), (self.wall_ms, 0.5)]
        for values, q in counting:
            low, high = quantile_interval(values, q)
            if high - low > 2 * precision * _quantile(values, q):
                return False
        return True

    def timing(self, shares: Shares, cores: tuple[int, ...]) -> Timing:
        """Everything that was seen of it."""
        session = self.session
        why = self.busy(shares)
        return Timing(
            name=self.name,
            runtime=session.runtime,
            device=session.device,
            threads=session.threads,
            batch=session.batch,
            dtype=session.dtype,
            input_size=session.input_size,
            repeats=len(self.wall_ms),
            passes_per_sample=self.passes,
            p50_ms=statistics.median(self.wall_ms),
            p90_ms=_quantile(self.wall_ms, 0.9),
            mean_ms=statistics.fmean(self.wall_ms),
            cpu_p50_ms=statistics.median(self.cpu_ms),
            cpu_p10_ms=_quantile(self.cpu_ms, LOW),
            ci95=median_interval(self.wall_ms),
            cpu_ci95=median_interval(self.cpu_ms),
            cpu_p10_ci95=quantile_interval(self.cpu_ms, LOW),
            single_stream_p90_ms=p90_estimate(self.stream_ms),
            single_stream_queries=len(self.stream_ms),
            busy=bool(why),
            busy_why=why,
            machine=machine.describe(),
            cores=cores,
            runtime_version=machine.runtime_version(session.runtime),
        )


def warm_up(sample: Callable[[], tuple[float, float]], limit_s: float) -> float:
    """Run until the medians of two windows in a row agree, or `limit_s` is over; the last median wall time, ms."""
    deadline = time.perf_counter() + limit_s
    before = 0.0
    while True:
        window: list[float] = []
        while len(window) < WARM_WINDOW and (not window or time.perf_counter() < deadline):
            window.append(sample()[0])
        now = statistics.median(window)
        if abs(now - before) <= WARM_CHANGE * before or time.perf_counter() >= deadline:
            return now
        before = now


def passes_per_sample(pass_ms: float, step_ms: float, available_ms: float) -> int:
    """How many passes make one sample, so that it lasts STEPS_PER_SAMPLE steps of the CPU clock.

    Clocks of 16 ms steps would make that 1.6 s; it is cut down so that FEWEST_SAMPLES samples take no longer than
    `available_ms`.
    """
    wanted = math.ceil(STEPS_PER_SAMPLE * step_ms / max(pass_ms, 1e-6))
    affordable = int(available_ms / FEWEST_SAMPLES / max(pass_ms, 1e-6))
    return max(1, min(wanted, affordable))


def cpu_clock_step_ms() -> float:
    """The smallest difference that two readings of the CPU clock showed: its resolution or the cost of reading it."""
    steps: list[int] = []
    end = time.perf_counter() + 0.05
    while len(steps) < 20 and time.perf_counter() < end:
        first = time.process_time_ns()
        while (now := time.process_time_ns()) == first and time.perf_counter() < end:
            pass
        if now > first:
            steps.append(now - first)
    # No step in 50 ms: it is at least that long.
    return min(steps) / 1e6 if steps else 50.0


def _quantile(values: list[float], q: float) -> float:
    return float(np.quantile(values, q))
