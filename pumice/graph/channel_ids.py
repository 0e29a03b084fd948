"""Channel ids: a number for each channel that a layer makes, laid over the shape of every value, and tied to others."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor

from pumice.graph.records import Shape

NONE = -1  # the id of what always stays


@dataclass(frozen=True)
class Spread:
    """The ids of a value's elements.  core: int64, size 1 along axes where the id is the same.  shape: the value's."""

    core: Tensor
    shape: Shape

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes along which the ids differ."""
        return tuple(axis for axis, size in enumerate(self.core.shape) if size > 1)

    def full(self) -> Tensor:
        """The ids in the value's shape, without room for what repeats."""
        return self.core.expand(self.shape)

    def along(self, axis: int) -> Tensor | None:
        """The ids along one axis, None if they differ along another."""
        if not self.shape or any(other != axis % len(self.shape) for other in self.axes):
            return None
        return self.core.flatten().expand(self.shape[axis])


def spread(full: Tensor) -> Spread:
    """The spread of ids in a value's shape."""
    core = full
    for axis, size in enumerate(full.shape):
        if size > 1 and (core.stride(axis) == 0 or bool((core == core.narrow(axis, 0, 1)).all())):
            core = core.narrow(axis, 0, 1)
    return Spread(core, tuple(full.shape))


def along(ids: Tensor, axis: int, shape: Shape) -> Spread:
    """Ids along one axis of a value."""
    return spread(ids.reshape([-1 if i == axis else 1 for i in range(len(shape))]).expand(shape))


def nothing(shape: Shape) -> Spread:
    """A value all of which always stays."""
    return Spread(torch.full((1,) * len(shape), NONE), shape)


class Ties:
    """Which ids are the same channel (union-find), and why some may not be cut."""

    def __init__(self) -> None:
        self._parent = np.arange(1 << 14)
        self.count = 0
        self.reasons: dict[int, str] = {}

    def fresh(self, shape: Sequence[int]) -> Tensor:
        """New ids, a different one for each element."""
        first, self.count = self.count, self.count + prod(shape)
        while self.count > len(self._parent):
            self._parent = np.concatenate((self._parent, np.arange(len(self._parent), 2 * len(self._parent))))
        return torch.arange(first, self.count).view(*shape)

    def find(self, ids: Tensor) -> Tensor:
        """One id for each set of tied ones; `NONE` stays."""
        flat = ids.numpy()
        roots = self._parent[flat]
        while True:
            above = self._parent[roots]
            if np.array_equal(above, roots):
                break
            roots = above
        return torch.from_numpy(np.where(flat < 0, NONE, roots))

    def tie(self, one: Tensor, other: Tensor, reason: str) -> None:
        """Tie two arrays of ids element by element; what meets `NONE` is frozen for that reason."""
        pairs = torch.stack((self.find(one).flatten(), self.find(other).flatten()))
        pairs = pairs[:, pairs[0] != pairs[1]]
        lone = (pairs < 0).any(0)
        self.freeze(pairs[:, lone].amax(0), reason)
        for a, b in pairs[:, ~lone].T.tolist():
            low, high = sorted((self._root(a), self._root(b)))
            self._parent[high] = low

    def freeze(self, ids: Tensor, reason: str) -> None:
        """Say that these channels must stay; the first reason counts."""
        for i in ids.unique().tolist():
            if i >= 0:
                self.reasons.setdefault(i, reason)

    def frozen(self) -> dict[int, str]:
        """Reason for each frozen root."""
        found: dict[int, str] = {}
        for i, reason in self.reasons.items():
            found.setdefault(self._root(i), reason)
        return found

    def _root(self, i: int) -> int:
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = int(self._parent[i])
        return i
