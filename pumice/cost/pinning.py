"""The whole process on a few quiet cores while it is timed.

A runtime makes its threads when a model is loaded, before the timing starts, and on Linux a mask set for the calling
thread leaves those where they were: every thread of the process is moved, and moved back afterwards.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pumice.cost.contention import core_times, siblings

TASKS = Path("/proc/self/task")
# Ten ticks of the usual 100 a second: enough to tell a core that is used a tenth of the time from an idle one.
LOOK_S = 0.1


@contextmanager
def pinned(cores: int) -> Iterator[tuple[int, ...] | None]:
    """Every thread of this process on the `cores` least busy cores it may use; None, and nothing done, off Linux.

    With fewer usable cores than asked for, all of them.  The masks come back at the end, however the block ends;
    threads that were started inside it get the mask of the thread that called.
    """
    with pins() as move:
        yield move(cores)


@contextmanager
def pins() -> Iterator[Callable[[int], tuple[int, ...] | None]]:
    """A function that moves every thread of this process onto so many of the least busy cores, as often as one likes.

    How busy they are is looked at once, so that fewer cores are always among those that more would be.  Everything
    else as for `pinned`.
    """
    if not hasattr(os, "sched_setaffinity") or not TASKS.is_dir():
        yield lambda cores: None
        return
    before = {tid: mask for tid in _threads() if (mask := _mask(tid))}
    home = os.sched_getaffinity(0)
    order = by_quietness(home)

    def move(cores: int) -> tuple[int, ...]:
        chosen = tuple(sorted(order[:cores]))
        for tid in _threads():
            _move(tid, set(chosen))
        return chosen

    try:
        yield move
    finally:
        for tid in _threads():
            _move(tid, before.get(tid, home))


def by_quietness(among: set[int]) -> list[int]:
    """Cores, those first that were least used over the last tenth of a second while this process slept.

    Between equals: the fastest first (processors mix large and small cores), then one per physical core, then the
    lowest number.
    """
    if len(among) < 2:
        return list(among)
    before = core_times()
    time.sleep(LOOK_S)
    after = core_times()
    used = {
        core: (after[core].busy - before[core].busy) / max(after[core].total - before[core].total, 1)
        if core in before and core in after
        else 0.0
        for core in among
    }
    return sorted(
        among, key=lambda core: (round(used[core], 1), -_max_khz(core), sorted(siblings(core)).index(core), core)
    )


def _threads() -> list[int]:
    return [int(name) for name in os.listdir(TASKS)]


def _mask(tid: int) -> set[int] | None:
    try:
        return os.sched_getaffinity(tid)
    except OSError:  # The thread has ended since it was listed.
        return None


def _move(tid: int, mask: set[int]) -> None:
    try:
        os.sched_setaffinity(tid, mask)
    except OSError:  # The thread has ended, or a core was taken offline meanwhile: nothing to mend.
        return


def _max_khz(core: int) -> int:
    path = Path(f"/sys/devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq")
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0
