"""Wall and CPU time of one pass, all contenders interleaved in this process.

How a figure is made.  The process is pinned to as many quiet cores as it uses threads.  Each contender is warmed up
until its time stands still; then rounds follow, each giving every contender one turn, in an order shuffled anew, so
that drift of the machine falls on all alike.  A turn is one untimed pass, which brings the contender's weights back
into the caches and lets the threads of the one before go to sleep, and then a few timed samples.  Rounds go on until
the median of every contender is known closely enough, or time is up.
"""

import gc
import math
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pumice.cost import machine
from pumice.cost.contention import MIN_INTERVAL_S, Shares, Watch, verdict
from pumice.cost.pinning import pinned
from pumice.cost.spread import median_interval
from pumice.cost.timing import Timing
from pumice.errors import BadInput
from pumice.progress import track

if TYPE_CHECKING:
    from torch import nn

    from pumice.deploy.session import Session

    Model = str | Path | nn.Module

PRECISION = 0.02
"""Half-width of the interval of the median, as a share of the median, at which a contender is known well enough."""
MIN_SAMPLES = 30
"""Sought whenever time allows, so that neither p90 nor the interval rests on the outermost samples."""
FEWEST_SAMPLES = 6
"""Of five samples not even the smallest and the largest enclose the median with 95 %: 1 - 2 / 2^5 is 94 %."""
SAMPLES_PER_TURN = 3
WARM_WINDOW = 5
"""Passes in a window of the warm-up; it ends when the medians of two windows in a row are within WARM_CHANGE."""
WARM_CHANGE = 0.03
WARM_LIMIT_S = 1.0
STEPS_PER_SAMPLE = 100
"""A sample lasts at least so many steps of the CPU clock, so that the clock adds 1 % at most."""


@dataclass
class _Contender:
    """One session with its fixed input, and what was seen of it: ms per pass."""

    session: "Session"
    name: str
    image: NDArray[np.float32]
    passes: int = 1
    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def sample(self) -> tuple[float, float]:
        """Wall and CPU ms per pass.  The wall clock is read inside, so that the slower CPU clock costs it nothing."""
        run, image = self.session.run, self.image
        cpu = time.process_time_ns()
        wall = time.perf_counter_ns()
        for _ in range(self.passes):
            run(image)
        wall = time.perf_counter_ns() - wall
        cpu = time.process_time_ns() - cpu
        return wall / self.passes / 1e6, cpu / self.passes / 1e6

    def turn(self, alone: bool) -> None:
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
        """Whether the medians that count are known: on a busy machine the wall time of a processor is not one."""
        if len(self.wall_ms) < MIN_SAMPLES:
            return False
        by_cpu_alone = self.session.device == "cpu" and self.busy(shares)
        for values in (self.cpu_ms,) if by_cpu_alone else (self.cpu_ms, self.wall_ms):
            low, high = median_interval(values)
            if high - low > 2 * precision * statistics.median(values):
                return False
        return True


def time_sessions(
    sessions: "Sequence[Session]",
    names: Sequence[str] | None = None,
    *,
    time_limit_s: float | None = None,
    precision: float = PRECISION,
    seed: int = 0,
) -> list[Timing]:
    """Measure open sessions against each other.

    Args:
        sessions: all with the same number of threads, since they share the cores that the process is pinned to.
        names: one a session; their runtimes by default.
        time_limit_s: of all together, warm-up included; 5 s a session, at most 60, by default.  Every session gets
            its six samples even when that takes longer.
        precision: half-width of the interval of the medians to reach, as a share of the median.
        seed: of the inputs and of the order in each round.

    Returns:
        A Timing a session, in their order.

    Raises:
        BadInput: no session, different numbers of threads, or more threads than cores.
    """
    threads = _common_threads(sessions)
    titles = [session.runtime for session in sessions] if names is None else names
    contenders = [_Contender(s, name, _image(s, seed)) for s, name in zip(sessions, titles, strict=True)]
    limit_s = min(60.0, 5.0 * len(sessions)) if time_limit_s is None else time_limit_s
    deadline = time.perf_counter() + limit_s
    with pinned(threads) as cores, _no_collection():
        step_ms = cpu_clock_step_ms()
        for contender in contenders:
            pass_ms = warm_up(contender.sample, min(WARM_LIMIT_S, limit_s / 4 / len(sessions)))
            contender.passes = passes_per_sample(pass_ms, step_ms, limit_s * 1e3 / 2 / len(sessions))
        watch = Watch(cores)
        _rounds(contenders, watch, deadline, precision, random.Random(seed))
        shares = watch.shares()
    return [_timing(contender, shares, cores or ()) for contender in contenders]


def benchmark(
    models: "Model | Sequence[Model]",
    input_size: tuple[int, int, int] | None = None,
    *,
    runtime: str | Sequence[str] = "auto",
    threads: int = 1,
    batch: int = 1,
    device: str = "cpu",
    time_limit_s: float | None = None,
    precision: float = PRECISION,
    seed: int = 0,
) -> Timing | list[Timing]:
    """Measure models in runtimes, every pair interleaved with every other.

    Args:
        models: a name, a run folder, a model file or a module; or several.
        input_size: (C, H, W); each model's own by default.
        runtime: of `pumice.deploy.session.RUNTIMES`, or several; "auto" runs a file in the best runtime that reads it
            and anything else eager.
        threads: of the runtime; the process is pinned to as many cores.
        batch: images a pass.
        device: "cpu", or "cuda" for eager.
        time_limit_s: of the measuring, not of loading and exporting; 5 s a pair, at most 60, by default.
        precision: half-width of the interval of the medians to reach, as a share of the median.
        seed: of the inputs and of the order in each round.

    Returns:
        One Timing for one model and one runtime; a list, models outside and runtimes inside, when either is several.

    Raises:
        BadInput: a model, runtime, size or device that cannot be measured.
    """
    from pumice.deploy.session import open_session

    single = not isinstance(models, list | tuple) and isinstance(runtime, str)
    many: list[Model] = list(models) if isinstance(models, list | tuple) else [models]  # type: ignore[list-item]
    runtimes = [runtime] if isinstance(runtime, str) else list(runtime)
    _check_threads(threads)
    pairs = [(model, name) for model in many for name in runtimes]
    titles = [_title(model) for model, _ in pairs]
    with ExitStack() as opened:
        sessions = [
            opened.enter_context(
                open_session(model, runtime=name, threads=threads, batch=batch, input_size=input_size, device=device)
            )
            for model, name in track(pairs, "loading")
        ]
        timings = time_sessions(sessions, titles, time_limit_s=time_limit_s, precision=precision, seed=seed)
    return timings[0] if single else timings


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


def _rounds(
    contenders: list[_Contender], watch: Watch, deadline: float, precision: float, order: random.Random
) -> None:
    """Whole rounds until every contender is known, the series is long enough for a verdict, or time is up."""
    alone = len(contenders) == 1
    start = time.perf_counter()
    check_at = MIN_SAMPLES
    for _ in _shown(contenders):
        for contender in order.sample(contenders, len(contenders)):
            contender.turn(alone)
        samples = len(contenders[0].wall_ms)
        now = time.perf_counter()
        if now >= deadline and samples >= FEWEST_SAMPLES:
            return
        if now - start < MIN_INTERVAL_S or samples < check_at:
            continue
        shares = watch.shares()
        if all(contender.known(precision, shares) for contender in contenders):
            return
        # Sorting thousands of samples after every round would cost more than the rounds.
        check_at = math.ceil(1.2 * samples)


def _shown(contenders: list[_Contender]) -> Iterator[None]:
    """Endless rounds.  The bar is drawn between them: a thread that redraws it would run on the measured core."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, auto_refresh=False, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("measuring")
        drawn = time.perf_counter()
        while True:
            if (now := time.perf_counter()) - drawn > 0.5:
                bar.update(task, description=f"measuring {len(contenders)}, {len(contenders[0].wall_ms)} samples each")
                bar.refresh()
                drawn = now
            yield


def _timing(contender: _Contender, shares: Shares, cores: tuple[int, ...]) -> Timing:
    session = contender.session
    why = contender.busy(shares)
    return Timing(
        name=contender.name,
        runtime=session.runtime,
        device=session.device,
        threads=session.threads,
        batch=session.batch,
        dtype=session.dtype,
        input_size=session.input_size,
        repeats=len(contender.wall_ms),
        passes_per_sample=contender.passes,
        p50_ms=statistics.median(contender.wall_ms),
        p90_ms=float(np.percentile(contender.wall_ms, 90)),
        cpu_p50_ms=statistics.median(contender.cpu_ms),
        ci95=median_interval(contender.wall_ms),
        cpu_ci95=median_interval(contender.cpu_ms),
        busy=bool(why),
        busy_why=why,
        machine=machine.describe(),
        cores=cores,
        runtime_version=machine.runtime_version(session.runtime),
    )


def _image(session: "Session", seed: int) -> NDArray[np.float32]:
    """(N, C, H, W) standard normal numbers, as normalised images are."""
    shape = (session.batch, *session.input_size)
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def _common_threads(sessions: "Sequence[Session]") -> int:
    if not sessions:
        raise BadInput("nothing to measure: give at least one model")
    threads = {session.threads for session in sessions}
    if len(threads) > 1:
        raise BadInput(f"sessions of {sorted(threads)} threads cannot share pinned cores; measure them one by one")
    _check_threads(max(threads))
    return threads.pop()


def _check_threads(threads: int) -> None:
    usable = machine.usable_cores()
    if not 1 <= threads <= usable:
        raise BadInput(f"{threads} threads cannot run at once on the {usable} cores usable here; ask for 1 to {usable}")


def _title(model: "Model") -> str:
    """What a measurement of a model is called: its name, its file or folder as given, or its class."""
    if isinstance(model, str | os.PathLike):
        return str(model)
    config = getattr(model, "config", None)
    return str(getattr(config, "name", None) or type(model).__name__)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python's garbage collector emptied, and off inside the block: it would stop a pass at random."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
