"""The measuring loop recovers known times, takes turns fairly, knows when to stop, and leaves the process as it was.

Most tests run on a simulated clock, which only passes and clock readings move: their figures are exact.
"""

import gc
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pumice.cost import contender, contention, latency, machine
from pumice.cost.contender import FEWEST_SAMPLES, MIN_SAMPLES, passes_per_sample, warm_up
from pumice.cost.contention import Shares
from pumice.cost.latency import benchmark, time_sessions
from pumice.errors import BadInput

QUIET = Shares(0.0, 0.0)


class FakeSession:
    """Takes the times it is told to; `log` is shared by contenders to see their order."""

    dtype = "float32"
    batch = 2
    input_size, input_shape = (3, 4, 5), (2, 3, 4, 5)
    pixels = False

    def __init__(self, work: Callable[[], None], name: str = "a", log: list[str] | None = None, **given: Any) -> None:
        self.work, self.name, self.log = work, name, log if log is not None else []
        self.runtime, self.threads, self.device = "eager", 1, "cpu"
        self.__dict__.update(given)
        self.inputs: list[np.ndarray[Any, Any]] = []

    def device_ms(self, x: np.ndarray[Any, Any], passes: int) -> float:
        """On another device: the clock's own time, as its events would give it."""
        start = contender.time.perf_counter()
        for _ in range(passes):
            self.run(x)
        return (contender.time.perf_counter() - start) / passes * 1e3

    def run(self, x: np.ndarray[Any, Any]) -> None:
        self.log.append(self.name)
        if not self.inputs or x is not self.inputs[-1]:
            self.inputs.append(x)
        self.work()


class Clock:
    """Stands in for the module `time`.  Reading the CPU clock costs `read_us`; its value moves in whole steps."""

    def __init__(self, read_us: float = 0.6, step_us: float = 0.0) -> None:
        self.wall = self.cpu = 10.0
        self.read_us, self.step_us = read_us, step_us

    def perf_counter(self) -> float:
        return self.wall

    def perf_counter_ns(self) -> int:
        return round(self.wall * 1e9)

    def process_time_ns(self) -> int:
        self.take(self.read_us / 1e3)
        step = self.step_us * 1e-6
        return round((self.cpu // step * step if step else self.cpu) * 1e9)

    def process_time(self) -> float:
        return self.cpu

    def take(self, wall_ms: float, cpu_ms: float | None = None) -> None:
        self.wall += wall_ms / 1e3
        self.cpu += (wall_ms if cpu_ms is None else cpu_ms) / 1e3


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    for module in (latency, contender, contention):
        monkeypatch.setattr(module, "time", fake)
    shares(monkeypatch, QUIET)

    @contextmanager
    def nowhere() -> Iterator[Callable[[int], tuple[int, ...]]]:
        yield lambda cores: tuple(range(cores))

    monkeypatch.setattr(latency, "pins", nowhere)
    monkeypatch.setattr(machine, "usable_cores", lambda: 4)
    return fake


def shares(monkeypatch: pytest.MonkeyPatch, seen: Shares) -> None:
    def watch(cores: tuple[int, ...] | None) -> SimpleNamespace:
        return SimpleNamespace(shares=lambda: seen, pause=lambda: None, resume=lambda: None)

    monkeypatch.setattr(latency, "Watch", watch)


def test_known_times_are_recovered(clock: Clock) -> None:
    times = random.Random(1)
    slow = FakeSession(lambda: clock.take(4.0 * times.uniform(0.9, 1.1), 3.9), "slow")
    fast = FakeSession(lambda: clock.take(1.0, 0.98), "fast")
    first, second = time_sessions([slow, fast], ["slow", "fast"])
    assert (first.name, second.name) == ("slow", "fast")
    assert first.p50_ms == pytest.approx(4.0, rel=0.02)
    assert first.p90_ms == pytest.approx(4.0 * 1.08, rel=0.02)
    assert first.ci95[0] < first.p50_ms < first.ci95[1] < 1.025 * first.p50_ms
    assert first.cpu_p50_ms == pytest.approx(3.9, abs=0.001)
    assert second.p50_ms == pytest.approx(1.0, abs=1e-6)
    assert second.cpu_p50_ms == pytest.approx(0.98, abs=0.001)
    assert second.ci95 == pytest.approx((1.0, 1.0), abs=1e-6)
    assert not first.busy
    assert first.bound_ms == (first.ci95[1], "wall")
    assert (first.batch, first.input_size, first.repeats) == (2, (3, 4, 5), second.repeats)


def test_rounds_are_interleaved_and_shuffled(clock: Clock) -> None:
    log: list[str] = []
    # Warm-up stops at once: it is not what is looked at.
    sessions = [FakeSession(lambda: clock.take(1.0), name, log) for name in "abc"]
    timings = time_sessions(sessions, list("abc"), seed=3)
    turn = 1 + contender.SAMPLES_PER_TURN  # one untimed pass first
    rounds = timings[0].repeats // contender.SAMPLES_PER_TURN
    passes = log[-rounds * 3 * turn :]
    turns = [passes[i : i + turn] for i in range(0, len(passes), turn)]
    assert all(len(set(one)) == 1 for one in turns), "a turn belongs to one contender"
    orders = [tuple(one[0] for one in turns[i : i + 3]) for i in range(0, len(turns), 3)]
    assert all(sorted(order) == list("abc") for order in orders), "each has one turn a round"
    assert len(set(orders)) == 6, "all orders occur"
    log.clear()
    time_sessions(sessions, list("abc"), seed=3)
    assert log[-len(passes) :] == passes, "the order is that of the seed"


def test_the_first_pass_after_another_contender_is_not_timed(clock: Clock) -> None:
    """Its weights have left the caches: it takes 5 ms here, and 1 ms when the same session ran just before."""
    last: list[str] = []

    def work(name: str) -> Callable[[], None]:
        def one() -> None:
            clock.take(1.0 if last == [name] else 5.0)
            last[:] = [name]

        return one

    timings = time_sessions([FakeSession(work(name), name) for name in "ab"], ["a", "b"])
    assert [t.p90_ms for t in timings] == pytest.approx([1.0, 1.0], abs=1e-6)


def test_a_lone_contender_wastes_no_pass(clock: Clock) -> None:
    log: list[str] = []
    warm = contender.WARM_WINDOW * 2
    timing = time_sessions([FakeSession(lambda: clock.take(1.0), "a", log)])[0]
    assert len(log) == warm + timing.repeats


def test_stops_as_soon_as_the_median_is_known(clock: Clock) -> None:
    """A steady contender takes the shortest series; a noisy one goes on until its interval is within 2 %."""
    steady = time_sessions([FakeSession(lambda: clock.take(50.0))])[0]
    assert steady.repeats == MIN_SAMPLES
    draw = random.Random(0)
    noisy = time_sessions([FakeSession(lambda: clock.take(10.0 * draw.uniform(0.7, 1.3)))], time_limit_s=60)[0]
    assert noisy.repeats > 5 * MIN_SAMPLES
    assert noisy.ci95[1] - noisy.ci95[0] <= 2 * latency.PRECISION * noisy.p50_ms
    loose = time_sessions([FakeSession(lambda: clock.take(10.0 * draw.uniform(0.7, 1.3)))], precision=0.1)[0]
    assert loose.repeats < noisy.repeats / 2


def test_a_busy_machine_is_not_waited_for(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wall times all over the place would take the whole time limit; only CPU time counts then, and it is steady."""
    draw = random.Random(0)
    session = FakeSession(lambda: clock.take(50.0 * draw.uniform(1.0, 9.0), 50.0))
    assert time_sessions([session], time_limit_s=60)[0].repeats == MIN_SAMPLES
    session.device = "cuda"
    assert time_sessions([session], time_limit_s=60)[0].repeats > 5 * MIN_SAMPLES
    # A processor whose verdict stays quiet is measured until its wall time is known.
    session.device, session.threads = "cpu", 2
    assert time_sessions([session], time_limit_s=60)[0].repeats > 5 * MIN_SAMPLES
    shares(monkeypatch, Shares(0.4, 0.0))
    assert time_sessions([session], time_limit_s=60)[0].repeats == MIN_SAMPLES


def test_a_series_lasts_long_enough_for_a_verdict(clock: Clock) -> None:
    timing = time_sessions([FakeSession(lambda: clock.take(1.0))])[0]
    assert timing.repeats == pytest.approx(1e3 * contention.MIN_INTERVAL_S, rel=0.05)


def test_the_time_limit_holds(clock: Clock) -> None:
    draw = random.Random(0)
    start = clock.wall
    timing = time_sessions([FakeSession(lambda: clock.take(10.0 * draw.uniform(0.2, 1.8)))], time_limit_s=2.0)[0]
    assert 1.9 < clock.wall - start < 2.2
    assert timing.ci95[1] - timing.ci95[0] > 2 * latency.PRECISION * timing.p50_ms, "stopped by time alone"


def test_an_interval_exists_even_when_time_is_short(clock: Clock) -> None:
    timing = time_sessions([FakeSession(lambda: clock.take(900.0))], time_limit_s=1.0)[0]
    assert timing.repeats == FEWEST_SAMPLES
    assert timing.ci95 == pytest.approx((900.0, 900.0))


def test_short_passes_are_timed_together(clock: Clock) -> None:
    """A clock of 10 us steps needs samples of 1 ms, so 50 passes of 0.02 ms."""
    clock.step_us = 10.0
    log: list[str] = []
    short = time_sessions([FakeSession(lambda: clock.take(0.02, 0.015), "a", log)])[0]
    assert short.passes_per_sample == 50
    assert short.p50_ms == pytest.approx(0.02, abs=1e-6)
    assert short.cpu_p50_ms == pytest.approx(0.015, rel=0.02)
    assert len(log) == contender.WARM_WINDOW * 2 + 50 * short.repeats
    long = time_sessions([FakeSession(lambda: clock.take(2.0))])[0]
    assert long.passes_per_sample == 1


def test_passes_per_sample() -> None:
    assert passes_per_sample(pass_ms=2.0, step_ms=0.0006, available_ms=1e4) == 1
    assert passes_per_sample(pass_ms=0.1, step_ms=0.01, available_ms=1e4) == 10
    assert passes_per_sample(pass_ms=0.3, step_ms=0.01, available_ms=1e4) == 4
    # A clock of 16 ms: six samples must fit in the time there is.
    assert passes_per_sample(pass_ms=2.0, step_ms=16.0, available_ms=2400) == 200
    assert passes_per_sample(pass_ms=5000.0, step_ms=16.0, available_ms=2400) == 1
    assert passes_per_sample(pass_ms=0.0, step_ms=0.001, available_ms=1.0) >= 1


def test_warm_up_lasts_until_the_time_stands_still(clock: Clock) -> None:
    passes: list[float] = []

    def settling() -> tuple[float, float]:
        passes.append(1.0 + 4.0 * 0.9 ** len(passes))
        clock.take(passes[-1])
        return passes[-1], passes[-1]

    settled = warm_up(settling, 60.0)
    assert settled == pytest.approx(1.0, rel=0.05)
    assert 30 <= len(passes) <= 60
    passes.clear()
    start = clock.wall
    warm_up(settling, 0.02)
    assert clock.wall - start < 0.03
    assert len(passes) > 1


@pytest.mark.parametrize("step_us", [0.0, 3.0, 16_000.0])
def test_the_step_of_the_clock_is_found(clock: Clock, step_us: float) -> None:
    clock.step_us = step_us
    expected = max(step_us, clock.read_us) / 1e3
    assert contender.cpu_clock_step_ms() == pytest.approx(expected, rel=0.2)


def test_busy_is_bounded_by_cpu_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    shares(monkeypatch, Shares(0.4, 0.0))
    timing = time_sessions([FakeSession(lambda: clock.take(3.0, 2.0))])[0]
    assert timing.busy
    assert "40%" in timing.busy_why
    assert timing.bound_ms == (timing.cpu_ci95[1], "cpu")
    assert timing.bound_ms[0] == pytest.approx(2.0, rel=0.001)


def test_waiting_for_the_core_is_busy_by_the_ratio_alone(clock: Clock) -> None:
    quiet, waiting = time_sessions(
        [FakeSession(lambda: clock.take(2.0, 1.95)), FakeSession(lambda: clock.take(2.0, 1.5))], ["q", "w"]
    )
    assert (quiet.busy, waiting.busy) == (False, True)
    two_threads = time_sessions([FakeSession(lambda: clock.take(2.0, 1.5), threads=2)])[0]
    assert not two_threads.busy


def test_another_device_is_bounded_by_wall_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    session = FakeSession(lambda: clock.take(3.0, 0.5), device="cuda")
    assert not time_sessions([session])[0].busy
    shares(monkeypatch, Shares(0.4, 0.0))
    assert time_sessions([session])[0].bound_ms == (pytest.approx(3.0), "wall")


def test_a_busy_machine_is_figured_by_the_lower_tenth_of_cpu_time(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two passes in three find their caches emptied: the tenth is that of the others, and so is the order."""
    draw = random.Random(0)

    def disturbed(ms: float, worst: float) -> Callable[[], None]:
        return lambda: clock.take(3 * ms, ms * draw.choice((1.0, worst, worst)))

    def one() -> list[Any]:
        return time_sessions([FakeSession(disturbed(2.0, 1.9)), FakeSession(disturbed(3.0, 1.1))], ["a", "b"])

    fast, slow = one()
    assert fast.busy
    assert fast.cpu_p50_ms > slow.cpu_p50_ms, "the median is misled"
    assert (fast.figure_ms, slow.figure_ms) == (pytest.approx(2.0, rel=0.01), pytest.approx(3.0, rel=0.01))
    assert fast.figure_clock == "cpu"
    assert fast.figure_ci[0] <= fast.figure_ms <= fast.figure_ci[1]
    assert fast.images_per_s == pytest.approx(1000.0, rel=0.01)  # two images a pass
    monkeypatch.setattr(contender, "verdict", lambda *_, **__: "")
    quiet = one()[0]
    assert (quiet.figure_ms, quiet.figure_ci, quiet.figure_clock) == (quiet.p50_ms, quiet.ci95, "wall")


def test_different_numbers_of_threads_in_one_series(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each group runs on its own cores, which are watched while it runs and at no other time; rounds interleave all."""
    log: list[str] = []

    @contextmanager
    def moving() -> Iterator[Callable[[int], tuple[int, ...]]]:
        def move(cores: int) -> tuple[int, ...]:
            log.append(f"on {cores}")
            return tuple(range(cores))

        yield move

    def watch(cores: tuple[int, ...]) -> SimpleNamespace:
        name = len(cores)
        return SimpleNamespace(
            shares=lambda: Shares(0.4 if name == 2 else 0.0, 0.0),
            pause=lambda: log.append(f"pause {name}"),
            resume=lambda: log.append(f"watch {name}"),
        )

    monkeypatch.setattr(latency, "pins", moving)
    monkeypatch.setattr(latency, "Watch", watch)
    sessions = [
        FakeSession(lambda: clock.take(5.0), name, log, threads=n) for name, n in (("a", 1), ("b", 2), ("c", 1))
    ]
    one, two, third = time_sessions(sessions, ["a", "b", "c"])
    assert [t.threads for t in (one, two, third)] == [1, 2, 1]
    assert [t.cores for t in (one, two, third)] == [(0,), (0, 1), (0,)]
    assert [t.busy for t in (one, two, third)] == [False, True, False]
    assert one.repeats == two.repeats == third.repeats
    rounds = log[log.index("pause 1") :]
    where, watched, turns = 0, 0, []
    for line in rounds:
        word, _, number = line.partition(" ")
        if word == "on":
            where = int(number)
        elif word in ("watch", "pause"):
            watched = int(number) if word == "watch" else 0
        else:
            assert where == watched == (2 if word == "b" else 1)
            turns.append(word)
    blocks = ["".join(turns[i : i + 12]) for i in range(0, len(turns), 12)]
    assert all(sorted(block) == sorted("aaaabbbbcccc") for block in blocks), "everyone has one turn a round"
    assert {block.index("bbbb") for block in blocks} == {0, 8}, "either group may be first"


def test_single_stream(clock: Clock) -> None:
    """After the series, every session of one image answers queries one after the other; the slow one has no time to."""
    draw = random.Random(0)
    fast = FakeSession(lambda: clock.take(draw.choice([2.0] * 9 + [4.0])), "fast", batch=1)
    slow = FakeSession(lambda: clock.take(100.0), "slow", batch=1)
    many = FakeSession(lambda: clock.take(2.0), "many", batch=4)
    found = time_sessions([fast, slow, many], ["fast", "slow", "many"], time_limit_s=15.0, single_stream=True)
    assert [t.single_stream_p90_ms for t in found] == [pytest.approx(4.0), None, None]
    assert found[0].single_stream_queries == pytest.approx(0.5 / 2.2e-3, rel=0.05)
    assert found[0].mean_ms == pytest.approx(2.2, rel=0.05)
    assert found[0].p50_ms == pytest.approx(2.0, rel=0.01)
    assert time_sessions([fast])[0].single_stream_p90_ms is None, "only where asked for"


def test_inputs_are_fixed(clock: Clock) -> None:
    session = FakeSession(lambda: clock.take(1.0))
    time_sessions([session])
    time_sessions([session])
    first, second = session.inputs
    assert first.shape == (2, 3, 4, 5)
    assert first.dtype == np.float32
    assert np.array_equal(first, second)
    assert 0.7 < first.std() < 1.3


def test_collection_is_off_while_timing_and_back_afterwards(clock: Clock) -> None:
    seen: list[bool] = []

    def work() -> None:
        seen.append(gc.isenabled())
        clock.take(50.0)
        if len(seen) > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        time_sessions([FakeSession(work)])
    assert not any(seen)
    assert gc.isenabled()


def test_json_round_trip(clock: Clock) -> None:
    timing = time_sessions([FakeSession(lambda: clock.take(2.0))], ["net"])[0]
    value = timing.to_json()
    wanted = (
        "name runtime device threads batch dtype input_size repeats p50_ms p90_ms cpu_p50_ms ci95 cpu_ci95 busy "
        "machine runtime_version passes_per_sample bound_ms bound_clock measured_at figure_ms figure_ci figure_clock "
        "mean_ms images_per_s single_stream_p90_ms single_stream_queries cpu_p10_ms cpu_p10_ci95"
    )
    assert set(wanted.split()) <= value.keys()
    assert value["input_size"] == [3, 4, 5]
    assert type(timing).from_json(value) == timing
    with pytest.raises(BadInput):
        type(timing).from_json({"name": "net"})


def test_bad_series_are_refused() -> None:
    def one(threads: int) -> FakeSession:
        return FakeSession(lambda: None, threads=threads)

    for sessions in ([], [one(1), one(10_000)], [one(10_000)], [one(0)]):
        with pytest.raises(BadInput):
            time_sessions(sessions)


def test_real_clocks_and_cores() -> None:
    """Passes that spin for 2 ms of CPU time cost 2 ms of CPU time, however loaded the machine is."""

    def spin(ms: float) -> Callable[[], None]:
        def one() -> None:
            end = time.process_time_ns() + ms * 1e6
            while time.process_time_ns() < end:
                pass

        return one

    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    slow, fast = time_sessions([FakeSession(spin(2.0)), FakeSession(spin(0.5))], ["slow", "fast"], time_limit_s=2.0)
    assert slow.cpu_p50_ms == pytest.approx(2.0, rel=0.02)
    assert fast.cpu_p50_ms == pytest.approx(0.5, rel=0.04)
    assert slow.p50_ms > 0.98 * slow.cpu_p50_ms
    if affinity is not None:
        assert len(slow.cores) == 1
        assert os.sched_getaffinity(0) == affinity


def test_sleeping_passes_take_wall_time_only() -> None:
    """A session that waits 3 ms asleep: wall time shows it, CPU time does not, and the verdict is busy."""
    timing = time_sessions([FakeSession(lambda: time.sleep(0.003))], time_limit_s=0.5)[0]
    assert timing.p50_ms >= 3.0
    assert timing.cpu_p50_ms < 0.5
    assert timing.busy


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system cannot pin a process")
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_affinity_is_restored_when_a_pass_fails(error: type[BaseException]) -> None:
    def fail() -> None:
        raise error

    before = os.sched_getaffinity(0)
    with pytest.raises(error):
        time_sessions([FakeSession(fail)])
    assert os.sched_getaffinity(0) == before


class OpenSession(FakeSession):
    closed = 0

    def __enter__(self) -> "OpenSession":
        return self

    def __exit__(self, *_: object) -> None:
        OpenSession.closed += 1


def test_benchmark_takes_one_or_many(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    from pumice.deploy import session as sessions

    asked: list[tuple[Any, dict[str, Any]]] = []

    def open_session(source: Any, **options: Any) -> OpenSession:
        asked.append((source, options))
        return OpenSession(lambda: clock.take(1.0), runtime=options["runtime"], threads=options["threads"])

    monkeypatch.setattr(sessions, "open_session", open_session)
    monkeypatch.setattr(OpenSession, "closed", 0)
    one = benchmark("a", (3, 32, 32), runtime="onnxruntime", batch=4)
    assert not isinstance(one, list)
    assert (one.name, one.runtime) == ("a", "onnxruntime")
    expected = {"runtime": "onnxruntime", "threads": 1, "batch": 4, "input_size": (3, 32, 32), "device": "cpu"}
    assert asked == [("a", expected)]
    many = benchmark(["a", "b"], runtime=["eager", "openvino"])
    assert isinstance(many, list)
    assert [(t.name, t.runtime) for t in many] == [
        ("a", "eager"),
        ("a", "openvino"),
        ("b", "eager"),
        ("b", "openvino"),
    ]
    for listed in (benchmark(["a"]), benchmark("a", runtime=["eager"])):
        assert isinstance(listed, list)
        assert len(listed) == 1
    assert OpenSession.closed == len(asked) == 7
    with pytest.raises(BadInput, match="nothing to measure"):
        benchmark([])
    with pytest.raises(BadInput, match="threads"):
        benchmark("a", threads=10_000)
    assert len(asked) == 7, "refused before anything was loaded"


def test_benchmark_of_all_combinations(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    from pumice.deploy import session as sessions

    def open_session(source: Any, **options: Any) -> OpenSession:
        return OpenSession(lambda: clock.take(1.0), **options)

    monkeypatch.setattr(sessions, "open_session", open_session)
    size = (3, 4, 5)
    many = benchmark("a", size, runtime="eager", threads=[1, 2], batch=(1, 8))
    assert isinstance(many, list)
    assert [(t.threads, t.batch) for t in many] == [(1, 1), (1, 8), (2, 1), (2, 8)]
    assert [t.single_stream_p90_ms is not None for t in many] == [True, False, True, False]
    on_cuda = benchmark("a", size, device="cuda")
    assert not isinstance(on_cuda, list)
    assert (on_cuda.batch, on_cuda.device, on_cuda.figure_clock) == (8, "cuda", "wall")
    one = benchmark("a", size, device="cuda", batch=1)
    assert not isinstance(one, list)
    assert one.batch == 1


def test_benchmark_of_a_module() -> None:
    """A net with four times the work takes longer, in eager."""
    from torch import nn

    def net(width: int) -> nn.Module:
        layers = [nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 5)).eval()

    small, large = benchmark([net(16), net(64)], (3, 64, 64), time_limit_s=2.0)
    assert small.runtime == "eager"
    assert small.runtime_version
    assert small.name == "Sequential"
    assert large.cpu_p50_ms > 1.5 * small.cpu_p50_ms
