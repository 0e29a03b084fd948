"""Other work on the measured cores is seen, and a quiet machine is not called busy."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pumice.cost import contention
from pumice.cost.contention import Shares, Watch, core_times, parse_cores, verdict

HERTZ = 100


class FakeMachine:
    """Two cores with a /proc/stat and clocks of its own; nothing of the real machine shows through."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = self.own = 0.0
        # user nice system idle iowait irq softirq steal guest guest_nice
        self.ticks = {0: [500, 3, 70, 9000, 5, 1, 2, 0, 0, 0], 1: [800, 0, 20, 8000, 9, 0, 1, 4, 0, 0]}
        self.write()

    def write(self) -> None:
        rows = [f"cpu{core} {' '.join(map(str, row))}" for core, row in self.ticks.items()]
        self.path.write_text("cpu  1 2 3 4 5 6 7 8 9 10\n" + "\n".join(rows) + "\nintr 5 6\nctxt 1\n")

    def run(self, seconds: float, own: float, others: float = 0.0, steal: float = 0.0, core: int = 0) -> None:
        """Let `core` spend parts of `seconds` on us, on others and under the hypervisor, and idle for the rest."""
        self.now += seconds
        self.own += own * seconds
        row, ticks = self.ticks[core], seconds * HERTZ
        row[0] += round((own + others) * ticks)
        row[7] += round(steal * ticks)
        row[3] += round((1 - own - others - steal) * ticks)
        self.write()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    machine = FakeMachine(tmp_path / "stat")
    monkeypatch.setattr(contention, "STAT", machine.path)
    monkeypatch.setattr(contention, "siblings", lambda core: {core})
    monkeypatch.setattr(contention, "_hertz", lambda: HERTZ)
    monkeypatch.setattr(contention.time, "process_time", lambda: machine.own)
    monkeypatch.setattr(contention.time, "perf_counter", lambda: machine.now)
    return machine


def busy(shares: Shares) -> bool:
    return bool(verdict(shares, threads=1, wall_ms=2.0, cpu_ms=2.0))


def test_reads_the_accounts(fake: FakeMachine) -> None:
    times = core_times()
    assert times[0].busy == 500 + 3 + 70 + 1 + 2
    assert times[0].total == times[0].busy + 9000 + 5
    assert times[1].steal == 4


def test_our_own_work_is_not_foreign(fake: FakeMachine) -> None:
    watch = Watch((0,))
    fake.run(2.0, own=1.0)
    assert watch.shares() == Shares(0.0, 0.0)
    assert not busy(watch.shares())


@pytest.mark.parametrize(("others", "expected"), [(0.02, False), (0.05, False), (0.09, True), (0.5, True)])
def test_others_on_our_core(fake: FakeMachine, others: float, expected: bool) -> None:
    """The share is found to the tick slack, and the verdict changes at the limit of 5 %."""
    watch = Watch((0,))
    fake.run(2.0, own=1 - others, others=others)
    shares = watch.shares()
    assert shares.foreign == pytest.approx(others, abs=0.0101)
    assert busy(shares) is expected


def test_a_tick_or_two_of_error_in_a_short_series_is_forgiven(fake: FakeMachine) -> None:
    watch = Watch((0,))
    fake.run(0.1, own=0.8, others=0.2)
    assert not busy(watch.shares())


def test_others_on_another_core_do_not_count(fake: FakeMachine) -> None:
    watch = Watch((0,))
    fake.run(2.0, own=1.0)
    fake.ticks[1][0] += 200
    fake.write()
    assert not busy(watch.shares())


def test_a_busy_hardware_thread_of_our_core_counts(fake: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contention, "siblings", lambda core: {0, 1})
    watch = Watch((0,))
    fake.run(2.0, own=1.0)
    fake.ticks[1][0] += 150
    fake.write()
    assert watch.shares().foreign == pytest.approx(0.74)
    assert busy(watch.shares())


def test_the_hypervisor(fake: FakeMachine) -> None:
    watch = Watch((0,))
    fake.run(2.0, own=0.95, steal=0.05)
    assert watch.shares().steal == pytest.approx(0.04)
    assert "hypervisor" in verdict(watch.shares(), threads=1, wall_ms=2.0, cpu_ms=2.0)


def test_only_stretches_that_are_watched_count(fake: FakeMachine) -> None:
    """Work of others while the series is paused is not in it; work in its second stretch is."""
    watch = Watch((0,))
    fake.run(2.0, own=1.0)
    watch.pause()
    fake.run(4.0, own=0.1, others=0.9)
    assert watch.shares() == Shares(0.0, 0.0)
    watch.resume()
    fake.run(2.0, own=0.5, others=0.5)
    # Half of the second of two stretches, less the slack of two stretches: 2 sqrt(2) of 400 ticks.
    assert watch.shares().foreign == pytest.approx(0.25 - 0.0071, abs=0.002)
    watch.pause()
    assert watch.shares().foreign == pytest.approx(0.25 - 0.0071, abs=0.002)


@pytest.mark.parametrize("text", ["", "cpu 1 2 3\n", "cpu0 x y\n"])
def test_a_machine_without_accounts_is_judged_by_the_ratio(fake: FakeMachine, text: str) -> None:
    fake.path.write_text(text)
    watch = Watch((0,))
    fake.now += 2.0
    assert watch.shares() == Shares(None, None)
    assert not busy(watch.shares())
    assert "waited" in verdict(watch.shares(), threads=1, wall_ms=2.2, cpu_ms=2.0)
    assert not verdict(watch.shares(), threads=1, wall_ms=2.08, cpu_ms=2.0)
    assert not verdict(watch.shares(), threads=2, wall_ms=2.2, cpu_ms=2.0)


def test_accounts_that_stand_still_are_no_evidence(fake: FakeMachine) -> None:
    watch = Watch((0,))
    fake.now += 2.0
    fake.own += 0.5
    assert watch.shares() == Shares(None, None)


def test_unpinned_is_unknown(fake: FakeMachine) -> None:
    watch = Watch(None)
    fake.run(2.0, own=0.1, others=0.9)
    assert watch.shares() == Shares(None, None)


def test_core_lists() -> None:
    assert parse_cores("0-2,5\n") == {0, 1, 2, 5}
    assert parse_cores("7") == {7}


@pytest.fixture
def one_core() -> Iterator[int]:
    """This process, and those it starts, on one core."""
    if not core_times():
        pytest.skip("this system has no /proc/stat")
    before = os.sched_getaffinity(0)
    core = min(before)
    os.sched_setaffinity(0, {core})
    yield core
    os.sched_setaffinity(0, before)


def test_a_real_spinner_on_our_core_is_seen(one_core: int) -> None:
    spinner = subprocess.Popen([sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE)
    try:
        assert spinner.stdout
        spinner.stdout.readline()  # It has started.
        watch = Watch((one_core,))
        end = time.perf_counter() + contention.MIN_INTERVAL_S
        while time.perf_counter() < end:
            pass
        shares = watch.shares()
    finally:
        spinner.kill()
        spinner.wait()
    assert shares.foreign is not None
    # A fair scheduler gives the spinner half; other load on this machine can only add to it.
    assert shares.foreign > 0.3
    assert busy(shares)
