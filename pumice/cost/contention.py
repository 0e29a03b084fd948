"""Was the machine busy with other work during a measurement?

Two kinds of evidence.  On Linux the kernel's own accounts (/proc/stat) of the cores that were measured on, less our
own CPU time, are the time that others took; `steal` is what the hypervisor took.  Everywhere, wall time well above
CPU time in one-thread passes means that we were waiting for a core.
"""

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

STAT = Path("/proc/stat")

FOREIGN_LIMIT = 0.05
"""Share of the pinned cores' time taken by others, from which a measurement counts as busy."""
STEAL_LIMIT = 0.02
"""Share taken by the hypervisor; lower, because it comes in slices that a guest cannot see or avoid."""
RATIO_LIMIT = 1.05
"""p50 wall over p50 CPU time of one-thread passes: above it, over half of all passes had to wait for the core."""
SLACK_TICKS = 2
"""Forgiven per core: each of the two readings may be off by a tick, since the accounts are kept in whole ticks."""
MIN_INTERVAL_S = 1.0
"""Time a series must last for the accounts to say anything: the slack is then 2 % of it, under half the limit."""


@dataclass(frozen=True)
class CoreTimes:
    """Ticks of one core since boot.  busy: running anything, interrupts included, without steal; total: with idle."""

    busy: int
    steal: int
    total: int


@dataclass(frozen=True)
class Shares:
    """What others took of the measured cores over a series, in [0, 1]; None where the system does not say."""

    foreign: float | None
    steal: float | None


def core_times() -> dict[int, CoreTimes]:
    """The kernel's accounts of every core; empty where there are none to read."""
    try:
        lines = STAT.read_text().splitlines()
    except OSError:
        return {}
    times = {}
    for line in lines:
        name, *fields = line.split() or [""]
        if not name.startswith("cpu") or not name[3:].isdigit() or len(fields) < 5:
            continue
        # user nice system idle iowait irq softirq steal; guest time, which may follow, is in user already.
        user, nice, system, idle, iowait, irq, softirq, steal = ([int(f) for f in fields] + [0, 0, 0])[:8]
        busy = user + nice + system + irq + softirq
        times[int(name[3:])] = CoreTimes(busy, steal, busy + idle + iowait + steal)
    return times


class Watch:
    """Of a series on some cores, from now on; `pause` and `resume` when the process works elsewhere in between.

    cores: those the process is pinned to, None when it is not pinned (then nothing is known of others).
    """

    def __init__(self, cores: tuple[int, ...] | None) -> None:
        self.cores = cores or ()
        # The other hardware threads of our cores: work there slows ours down without taking time from our own.
        self.watched = {other for core in self.cores for other in siblings(core)}
        self.seen = _Stretch()
        self.stretches = 0
        self.since: _Reading | None = None
        self.resume()

    def resume(self) -> None:
        """A stretch begins, if none is under way."""
        if self.since is None:
            self.since = _Reading(core_times(), time.process_time(), time.perf_counter())
            self.stretches += 1

    def pause(self) -> None:
        """The stretch ends."""
        self.seen = self._so_far()
        self.since = None

    def shares(self) -> Shares:
        """What others took in all stretches so far, in parts of the pinned cores' time."""
        seen, hertz = self._so_far(), _hertz()
        if not self.cores or not seen.readable:
            return Shares(None, None)
        available = seen.elapsed_s * hertz * len(self.cores)
        # Sandboxes show a /proc/stat that stands still: then it is no evidence.
        if seen.counted < available / 2:
            return Shares(None, None)
        # Errors of whole ticks are as often up as down: over many stretches they add up as their root.
        slack = SLACK_TICKS * len(self.cores) * math.sqrt(self.stretches)
        foreign = seen.busy - seen.own_s * hertz - slack
        return Shares(max(0.0, foreign / available), max(0.0, (seen.steal - slack) / available))

    def _so_far(self) -> "_Stretch":
        if self.since is None:
            return self.seen
        start, end = self.since.cores, core_times()
        own_s, elapsed_s = time.process_time() - self.since.cpu_s, time.perf_counter() - self.since.wall_s
        if not self.watched <= start.keys() & end.keys():
            return _Stretch(readable=False)
        return _Stretch(
            self.seen.readable,
            self.seen.own_s + own_s,
            self.seen.elapsed_s + elapsed_s,
            self.seen.busy + sum(end[core].busy - start[core].busy for core in self.watched),
            self.seen.steal + sum(end[core].steal - start[core].steal for core in self.cores),
            self.seen.counted + sum(end[core].total - start[core].total for core in self.cores),
        )


@dataclass(frozen=True)
class _Reading:
    """All clocks at one moment."""

    cores: dict[int, CoreTimes]
    cpu_s: float
    wall_s: float


@dataclass(frozen=True)
class _Stretch:
    """What the clocks showed: our own CPU time, seconds that passed, and ticks of the watched and the pinned cores."""

    readable: bool = True
    own_s: float = 0.0
    elapsed_s: float = 0.0
    busy: int = 0
    steal: int = 0
    counted: int = 0


def verdict(shares: Shares, *, threads: int, wall_ms: float, cpu_ms: float) -> str:
    """Why a measurement counts as taken on a busy machine, `""` when it does not.

    wall_ms, cpu_ms: p50 of one pass.  Their ratio is judged for one thread only, because threads of one process that
    wait for each other asleep have the same effect.
    """
    if shares.foreign is not None and shares.foreign > FOREIGN_LIMIT:
        return f"other work took {shares.foreign:.0%} of the cores measured on"
    if shares.steal is not None and shares.steal > STEAL_LIMIT:
        return f"the hypervisor took {shares.steal:.0%} of the cores measured on"
    if threads == 1 and wall_ms > RATIO_LIMIT * cpu_ms:
        return f"half of all passes waited for the core: {wall_ms:.3g} ms of wall time for {cpu_ms:.3g} ms of CPU time"
    return ""


def _hertz() -> int:
    """Ticks per second of the accounts."""
    return os.sysconf("SC_CLK_TCK")


def siblings(core: int) -> set[int]:
    """The hardware threads that share the physical core of `core`, itself included."""
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    try:
        return parse_cores(path.read_text()) | {core}
    except (OSError, ValueError):
        return {core}


def parse_cores(text: str) -> set[int]:
    """`"0-2,5"`, as the kernel writes sets of cores -> {0, 1, 2, 5}."""
    cores: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cores.update(range(int(first), int(last or first) + 1))
    return cores
