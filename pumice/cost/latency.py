"""Wall and CPU time of one pass, all contenders interleaved in this process.

How a figure is made.  Each contender is warmed up until its time stands still; then rounds follow, each giving every
contender one turn, in an order shuffled anew, so that drift of the machine falls on all alike.  A turn is one untimed
pass, which brings the contender's weights back into the caches and lets the threads of the one before go to sleep, and
then a few timed samples.  Contenders of as many threads take their turns one after the other, the process pinned to as
many quiet cores, and those cores watched.  Rounds go on until the figure of every contender is known closely enough, or
time is up.  Where asked for, a stream of queries of each ends the series, for the single-stream p90.
"""

import gc
import itertools
import math
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pumice.cost import machine
from pumice.cost.contender import FEWEST_SAMPLES, MIN_SAMPLES, Contender, cpu_clock_step_ms
from pumice.cost.contention import MIN_INTERVAL_S, Watch
from pumice.cost.pinning import pins
from pumice.cost.single_stream import stream, stream_s
from pumice.cost.timing import Timing
from pumice.errors import BadInput
from pumice.progress import pulse, track

if TYPE_CHECKING:
    from torch import nn

    from pumice.deploy.session import Session

    Model = str | Path | nn.Module

PRECISION = 0.02
"""Half-width of the interval of a figure, as a share of the figure, at which a contender is known well enough."""
WARM_LIMIT_S = 1.0
CUDA_BATCH = 8
"""Images a pass on CUDA when nobody says: as on the GPU of ShuffleNetV2 (arXiv:1807.11164, section 1)."""
Say = Callable[[str], None]


@dataclass
class Group:
    """The contenders of one number of threads, the cores that they share, and what others do there."""

    threads: int
    contenders: list[Contender]
    cores: tuple[int, ...]
    watch: Watch


def time_sessions(
    sessions: "Sequence[Session]",
    names: Sequence[str] | None = None,
    *,
    time_limit_s: float | None = None,
    precision: float = PRECISION,
    seed: int = 0,
    single_stream: bool = False,
) -> list[Timing]:
    """Measure open sessions against each other.

    Args:
        sessions: of any numbers of threads.
        names: one a session; their runtimes by default.
        time_limit_s: of all together, warm-up included; 5 s a session, at most 60, by default.  Every session gets
            its six samples even when that takes longer.
        precision: half-width of the interval of the figures to reach, as a share of the figure.
        seed: of the inputs and of the order in each round.
        single_stream: end with a stream of queries of every session of batch 1, for `single_stream_p90_ms`; left out
            where it would take more than half of the session's share of the time.

    Returns:
        A Timing a session, in their order.

    Raises:
        BadInput: no session, or more threads than cores.
    """
    if not sessions:
        raise BadInput("nothing to measure: give at least one model")
    for session in sessions:
        machine.check_threads(session.threads)
    titles = [session.runtime for session in sessions] if names is None else names
    contenders = [Contender(s, name, _image(s, seed)) for s, name in zip(sessions, titles, strict=True)]
    limit_s = min(60.0, 5.0 * len(sessions)) if time_limit_s is None else time_limit_s
    share_s = limit_s / len(sessions)
    deadline = time.perf_counter() + limit_s
    with pins() as move, _no_collection(), _saying() as say:
        step_ms = cpu_clock_step_ms()
        cores = {}
        for contender in contenders:
            say(f"warming up {contender.name}")
            cores[contender.session.threads] = move(contender.session.threads)
            contender.prepare(step_ms, min(WARM_LIMIT_S, share_s / 4), share_s / 2)
        groups = [
            Group(threads, [c for c in contenders if c.session.threads == threads], on or (), Watch(on))
            for threads, on in cores.items()
        ]
        streams = [c for c in contenders if single_stream and c.session.batch == 1 and _affords(c, share_s)]
        deadline -= sum(stream_s(c.pass_ms) for c in streams)
        _rounds(groups, move, deadline, precision, random.Random(seed), say)
        for contender in streams:
            say(f"single stream of {contender.name}")
            move(contender.session.threads)
            contender.stream_ms = stream(contender.query, time.perf_counter, share_s)
    found = {}
    for group in groups:
        shares = group.watch.shares()
        found.update({contender: contender.timing(shares, group.cores) for contender in group.contenders})
    return [found[contender] for contender in contenders]


def benchmark(
    models: "Model | Sequence[Model]",
    input_size: tuple[int, int, int] | None = None,
    *,
    runtime: str | Sequence[str] = "auto",
    threads: int | Sequence[int] = 1,
    batch: int | Sequence[int] | None = None,
    device: str = "cpu",
    time_limit_s: float | None = None,
    precision: float = PRECISION,
    seed: int = 0,
) -> Timing | list[Timing]:
    """Measure models in runtimes, every combination interleaved with every other.

    Args:
        models: a name, a run folder, a model file or a module; or several.
        input_size: (C, H, W); each model's own by default.
        runtime: of `pumice.deploy.session.RUNTIMES`, or several; "auto" runs a file in the best runtime that reads it
            and anything else eager.
        threads: of the runtime, or several numbers; the process is pinned to as many cores meanwhile.
        batch: images a pass, or several numbers; 1 by default, on CUDA 8.
        device: "cpu", or "cuda" for eager, timed by CUDA events.
        time_limit_s: of the measuring, not of loading and exporting; 5 s a combination, at most 60, by default.
        precision: half-width of the interval of the figures to reach, as a share of the figure.
        seed: of the inputs and of the order in each round.

    Returns:
        One Timing when none of models, runtime, threads and batch is a list; else a list of all combinations, models
        outermost and batches innermost.

    Raises:
        BadInput: a model, runtime, size or device that cannot be measured.
    """
    if batch is None:
        batch = 1 if device == "cpu" else CUDA_BATCH
    given = (models, runtime, threads, batch)
    for count in _several(threads):
        machine.check_threads(count)
    from pumice.deploy.session import open_session

    combinations = list(itertools.product(*map(_several, given)))
    with ExitStack() as opened:
        sessions = [
            opened.enter_context(
                open_session(model, runtime=name, threads=count, batch=images, input_size=input_size, device=device)
            )
            for model, name, count, images in track(combinations, "loading")
        ]
        timings = time_sessions(
            sessions,
            [_title(model) for model, *_ in combinations],
            time_limit_s=time_limit_s,
            precision=precision,
            seed=seed,
            single_stream=True,
        )
    return timings if any(isinstance(one, list | tuple) for one in given) else timings[0]


def _rounds(
    groups: list[Group],
    move: Callable[[int], tuple[int, ...] | None],
    deadline: float,
    precision: float,
    order: random.Random,
    say: Say,
) -> None:
    """Whole rounds until every contender is known, the series is long enough for a verdict, or time is up."""
    contenders = [contender for group in groups for contender in group.contenders]
    alone, several = len(contenders) == 1, len(groups) > 1
    start = time.perf_counter()
    check_at = MIN_SAMPLES
    for group in groups if several else ():
        group.watch.pause()
    while True:
        for group in order.sample(groups, len(groups)):
            if several:
                move(group.threads)
                group.watch.resume()
            for contender in order.sample(group.contenders, len(group.contenders)):
                contender.turn(alone)
            if several:
                group.watch.pause()
        samples = len(contenders[0].wall_ms)
        say(f"measuring {len(contenders)}, {samples} samples each")
        now = time.perf_counter()
        if now >= deadline and samples >= FEWEST_SAMPLES:
            break
        if now - start < MIN_INTERVAL_S * len(groups) or samples < check_at:
            continue
        if all(c.known(precision, shares) for g in groups for shares in [g.watch.shares()] for c in g.contenders):
            break
        # Sorting thousands of samples after every round would cost more than the rounds.
        check_at = math.ceil(1.2 * samples)
    for group in groups:
        group.watch.pause()


@contextmanager
def _saying() -> Iterator[Say]:
    """Shows what is said last."""
    last = ["measuring"]
    beats = pulse(lambda: last[0])

    def say(words: str) -> None:
        last[0] = words
        next(beats)

    with closing(beats):
        yield say


def _affords(contender: Contender, share_s: float) -> bool:
    return stream_s(contender.pass_ms) <= share_s / 2


def _image(session: "Session", seed: int) -> NDArray[Any]:
    """(N, C, H, W) standard normal numbers, as normalised images are; where pixels are read, (N, H, W, C) of them."""
    random = np.random.default_rng(seed)
    if session.pixels:
        return random.integers(0, 256, session.input_shape, dtype=np.uint8)
    return random.standard_normal(session.input_shape, dtype=np.float32)


def _several(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list | tuple) else [given]


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
