"""Where each plane lies in the one block of memory that a program works in.

Planes are given room when their operation runs and give it back after the last operation that reads them.  The planes
of one operation lie behind one another where there is room, else in several places: addresses are lists anyway.
"""

from bisect import insort
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pumice.native.ir import Program, Size, read_by

LANES = 16
"""Numbers of the widest vector; the last vector of a plane may be written whole, so planes have room for it."""


@dataclass(frozen=True, eq=False)
class Plan:
    """offsets: where each plane begins, in numbers, -1 for the image and for what is never made.
    total: numbers of the whole block.
    """

    offsets: NDArray[np.int64]
    total: int


def stride(size: Size) -> int:
    """Numbers from one plane to the next."""
    height, width = size
    if height * width == 1:
        return 1
    # Rows narrower than a vector are written as whole vectors, from the first to the last.
    numbers = _up((height - 1) * width + max(width, LANES))
    return numbers + LANES if numbers % 64 == 0 else numbers  # powers of two share few places in a cache


def plan(program: Program) -> Plan:
    """Room for every plane."""
    last: dict[int, int] = {}
    for i, operation in enumerate(program.operations):
        for planes in read_by(operation):
            last.update(dict.fromkeys(planes.tolist(), i))
    last.update(dict.fromkeys(program.outputs.tolist(), len(program.operations)))
    offsets = np.full(len(program.sizes), -1, np.int64)
    room = _Room()
    ending: dict[int, list[tuple[int, int]]] = {}
    for i, operation in enumerate(program.operations):
        outputs = operation.outputs.tolist()
        size = program.sizes[outputs[0]]
        step = stride(size)
        if step == 1:  # vectors of numbers stay together
            (start,) = room.take(1, _up(len(outputs) + LANES))
            offsets[operation.outputs] = start + np.arange(len(outputs))
            end = max(last.get(plane, i) for plane in outputs)
            ending.setdefault(end, []).append((start, _up(len(outputs) + LANES)))
        else:
            places = room.take(len(outputs), step)
            offsets[operation.outputs] = places
            for plane, start in zip(outputs, places, strict=True):
                ending.setdefault(last.get(plane, i), []).append((start, step))
        for start, length in ending.pop(i, ()):
            room.give(start, length)
    return Plan(offsets, room.total + 4 * LANES)  # rows are read in whole vectors


class _Room:
    """Free intervals, by where they begin."""

    def __init__(self) -> None:
        self.free: list[tuple[int, int]] = []
        self.total = LANES  # what lies before a plane's first row is read, and not used

    def take(self, count: int, length: int) -> list[int]:
        """Where `count` pieces go: together in the smallest gap that holds them, else in the largest gaps."""
        whole = [(size, start) for start, size in self.free if size >= count * length]
        if whole:
            size, start = min(whole)
            self._cut(start, size, count * length)
            return [start + i * length for i in range(count)]
        found: list[int] = []
        for size, start in sorted(((size, start) for start, size in self.free), reverse=True):
            fits = min(size // length, count - len(found))
            if fits == 0:
                break
            self._cut(start, size, fits * length)
            found += [start + i * length for i in range(fits)]
        missing = count - len(found)
        if missing:
            start = self._end(missing * length)
            found += [start + i * length for i in range(missing)]
        return found

    def _end(self, need: int) -> int:
        """Room at the end, a gap there included."""
        start = self.total
        if self.free and sum(self.free[-1]) == self.total:
            start = self.free.pop()[0]
        self.total = max(self.total, start + need)
        return start

    def _cut(self, start: int, size: int, used: int) -> None:
        self.free.remove((start, size))
        if size > used:
            insort(self.free, (start + used, size - used))

    def give(self, start: int, length: int) -> None:
        """Free again, joined with free neighbours."""
        insort(self.free, (start, length))
        i = self.free.index((start, length))
        if i + 1 < len(self.free) and start + length == self.free[i + 1][0]:
            length += self.free.pop(i + 1)[1]
            self.free[i] = (start, length)
        if i and sum(self.free[i - 1]) == start:
            before = self.free.pop(i - 1)
            self.free[i - 1] = (before[0], before[1] + length)


def _up(numbers: int) -> int:
    return -(-numbers // LANES) * LANES
