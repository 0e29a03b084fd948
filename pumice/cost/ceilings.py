"""What this machine can do at best, measured: multiply-adds a second, and bytes a second from every level of memory.

Arithmetic: a product of two large float32 matrices, the densest work that a library offers.  Bandwidth: the sum over an
array that fits the level but not the one before it, read again and again inside one call, so that the cost of a call
does not show; with several threads each has an array of its own.  Every figure is the best of short repeats, spread
over a few rounds, and of what was measured before, because nothing can make a machine look faster than it is; how far
the median repeat lies below the best says how steady it was.

Measuring takes about 3 s, a glance under 1 s.  The result is kept in the cache folder, one file for each machine and
number of threads.
"""

import json
import logging
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pumice.cost import machine
from pumice.cost.contention import Watch, verdict
from pumice.cost.pinning import pinned
from pumice.errors import BadInput
from pumice.files import cache_folder, write_json
from pumice.progress import track

SCHEMA = 1
"""Goes up when the way of measuring changes; files of another number are measured anew."""
SIDE = 1024
"""Of the matrices: 1024^3 multiply-adds take a core some 20 ms, far above the cost of a call."""
ROUNDS = 4
GLANCE = 1  # rounds when nobody asked for more than a first idea
SERIES_S = 0.12
"""Of each figure in each round."""
MOST = 100
READ_BYTES = 32 << 20
"""Read by one repeat, at least."""
LARGEST = 512 << 20
TYPICAL_CACHES = {"L1": 32 << 10, "L2": 1 << 20, "L3": 32 << 20}
"""Taken where the system does not say its own."""


@dataclass(frozen=True)
class Level:
    """One level of memory.

    capacity: bytes, of all the measured cores together; None for main memory.
    bytes_per_s: read by all threads together.
    spread: how far the median repeat lies below the best, as a share.
    """

    name: str
    capacity: int | None
    bytes_per_s: float
    spread: float


@dataclass(frozen=True)
class Ceilings:
    """The roofs of one machine for float32.

    madds_per_s: multiply-adds a second of all threads together; madds_spread as for `Level`.
    levels: the fastest first, main memory last.
    busy: why these figures may be too low, `""` when the machine did nothing else.
    """

    threads: int
    madds_per_s: float
    madds_spread: float
    levels: tuple[Level, ...]
    busy: str = ""
    machine: str = ""
    torch: str | None = None
    measured_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def level(self, size: float) -> Level:
        """The fastest level that holds `size` bytes; main memory holds everything."""
        return next(level for level in self.levels if level.capacity is None or size <= level.capacity)

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` is the inverse."""
        return {"schema": SCHEMA, **asdict(self), "levels": [asdict(level) for level in self.levels]}

    @classmethod
    def from_json(cls, value: Any) -> "Ceilings":
        """Inverse of `to_json`.

        Raises:
            ValueError: this is no record of ceilings, or one of another version.
        """
        if not isinstance(value, dict) or value.get("schema") != SCHEMA:
            raise ValueError("no ceilings of this version")
        try:
            fields = {key: one for key, one in value.items() if key != "schema"}
            found = cls(**{**fields, "levels": tuple(Level(**level) for level in value["levels"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"ceilings cannot be read: {error}") from error
        if not found.levels or found.levels[-1].capacity is not None:
            raise ValueError("ceilings without main memory")
        return found


def cached(threads: int = 1) -> Ceilings | None:
    """The ceilings that were measured on this machine before, None when there are none."""
    try:
        return Ceilings.from_json(json.loads(_path(threads).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def measure(threads: int = 1, rounds: int = ROUNDS) -> Ceilings:
    """Measure the ceilings and keep them; a cache that cannot be written costs a warning.

    threads: of torch; the process is pinned to as many cores.
    rounds: of short repeats of every figure.

    Raises:
        BadInput: there are fewer cores.
    """
    if not 1 <= threads <= machine.usable_cores():
        raise BadInput(f"{threads} threads cannot run at once here; ask for 1 to {machine.usable_cores()}")
    before = cached(threads)
    found = _measured(threads, rounds)
    if before is not None and before.torch == found.torch:
        found = best(before, found)
    try:
        write_json(_path(threads), found.to_json())
    except (OSError, BadInput) as error:
        logging.getLogger(__name__).warning(f"the ceilings of this machine are not kept: {error}")
    return found


def best(before: Ceilings, now: Ceilings) -> Ceilings:
    """The higher of every figure; busy only if the machine was so both times."""
    levels = {level.name: level for level in before.levels}
    higher = now if now.madds_per_s >= before.madds_per_s else before
    return replace(
        now,
        madds_per_s=higher.madds_per_s,
        madds_spread=higher.madds_spread,
        levels=tuple(
            max(level, levels.get(level.name, level), key=lambda one: one.bytes_per_s) for level in now.levels
        ),
        busy=now.busy if before.busy else "",
    )


def working_sets(caches: dict[str, int], threads: int) -> list[tuple[str, int | None, int]]:
    """(name, capacity, bytes of the array that each thread reads) of each cache and of main memory.

    Cores have L1 and L2 of their own and share the rest.  An array is half of its cache, since the system and the
    other users of a shared one need room too, but twice the cache before, so that it is not read from there.  For main
    memory: four times the last cache, at most 512 MB and an eighth of what there is.
    """
    rows: list[tuple[str, int | None, int]] = []
    before = 0
    for name, size in caches.items():
        own = name in ("L1", "L2")
        wanted = size // 2 if own else size // 2 // threads
        rows.append((name, size * threads if own else size, min(max(wanted, 2 * before), size)))
        before = size
    memory = machine.fingerprint()["memory_bytes"] or 8 * LARGEST
    return [*rows, ("memory", None, min(max(4 * before, READ_BYTES), LARGEST, memory // 8) // threads)]


def _measured(threads: int, rounds: int) -> Ceilings:
    import torch

    from pumice.deploy.eager import torch_threads

    rows = working_sets(machine.cache_levels() or TYPICAL_CACHES, threads)
    wall: list[float] = []
    cpu: list[float] = []
    reads: list[list[float]] = [[] for _ in rows]
    with pinned(threads) as cores, torch_threads(threads), torch.inference_mode():
        watch = Watch(cores)
        product, readers = _product(), [_reader(size, threads) for _, _, size in rows]
        for _ in track(range(rounds), "measuring what this machine can do"):
            _repeat(product, wall, cpu)
            for (read, _), times in zip(readers, reads, strict=True):
                _repeat(read, times, [])
        shares = watch.shares()
    levels = [
        Level(name, capacity, amount / min(times), _spread(times))
        for (name, capacity, _), (_, amount), times in zip(rows, readers, reads, strict=True)
    ]
    wall_ms, cpu_ms = 1e3 * statistics.median(wall), 1e3 * statistics.median(cpu)
    return Ceilings(
        threads=threads,
        madds_per_s=SIDE**3 / min(wall),
        madds_spread=_spread(wall),
        levels=_falling(levels),
        busy=verdict(shares, threads=threads, wall_ms=wall_ms, cpu_ms=cpu_ms),
        machine=machine.describe(),
        torch=machine.runtime_version("eager"),
    )


def _product() -> Callable[[], object]:
    import torch

    left, right, out = (torch.rand(SIDE, SIDE) for _ in range(3))
    return lambda: torch.mm(left, right, out=out)


def _reader(size: int, threads: int) -> tuple[Callable[[], object], int]:
    """A call that reads an array of `size` bytes a thread over and over, and how many bytes it reads in all."""
    import torch

    elements, again = size // 4, max(1, READ_BYTES // size)
    arrays = torch.rand(threads, 1, elements).expand(threads, again, elements)
    out = torch.empty(threads, again)
    return lambda: torch.sum(arrays, -1, out=out), 4 * elements * again * threads


def _repeat(work: Callable[[], object], wall: list[float], cpu: list[float]) -> None:
    """Add the wall and process CPU time of every repeat after the first, s."""
    work()
    start = time.perf_counter()
    for _ in range(MOST):
        cpu_before, before = time.process_time(), time.perf_counter()
        work()
        after = time.perf_counter()
        wall.append(after - before)
        cpu.append(time.process_time() - cpu_before)
        if after - start > SERIES_S:
            return


def _falling(levels: list[Level]) -> tuple[Level, ...]:
    """No level slower than the one behind it: what a disturbed series said of it is then worth less."""
    kept = [levels[-1]]
    for level in reversed(levels[:-1]):
        kept.append(
            level if level.bytes_per_s >= kept[-1].bytes_per_s else replace(level, bytes_per_s=kept[-1].bytes_per_s)
        )
    return tuple(reversed(kept))


def _spread(times: list[float]) -> float:
    return 1 - min(times) / statistics.median(times)


def _path(threads: int) -> Path:
    return cache_folder() / f"ceilings-{machine.machine_key()}-{threads}.json"
