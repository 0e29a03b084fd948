"""What the processes of one run tell each other between steps, through their processors.

A device is not waited for, and a process that has died is noticed even while the others' devices wait for it.
"""

import json
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist


class Together:
    """The processes of a run.  Every one must call the same methods in the same order.

    Args:
        world: how many there are; one agrees with itself at once.
    """

    def __init__(self, world: int = 1) -> None:
        self.world = world
        self._group: Any = dist.new_group(backend="gloo") if world > 1 else None

    def any(self, mine: bool) -> bool:
        """Whether it is so in any process."""
        return self.mean(float(mine)) > 0

    def mean(self, mine: float) -> float:
        """Mean of a number of each process, the same in all; it is infinite or no number if one of them is."""
        if self.world == 1:
            return mine
        total = torch.tensor(mine, dtype=torch.float64)
        dist.all_reduce(total, group=self._group)
        return float(total) / self.world

    def same(self, mine: tuple[int, ...]) -> bool:
        """Whether the numbers are those of all other processes."""
        if self.world == 1:
            return True
        least, most = torch.tensor(mine), torch.tensor(mine)
        dist.all_reduce(least, dist.ReduceOp.MIN, group=self._group)
        dist.all_reduce(most, dist.ReduceOp.MAX, group=self._group)
        return torch.equal(least, most)

    def in_turn(self, mine: Tensor) -> Tensor:
        """Rows of all processes, the first of each, then the second; (n, ...) on the CPU -> (n * world, ...)."""
        if self.world == 1:
            return mine
        every = [torch.empty_like(mine) for _ in range(self.world)]
        dist.all_gather(every, mine.contiguous(), group=self._group)
        return torch.stack(every, 1).flatten(0, 1)

    def everyones(self, mine: list[Any]) -> list[list[Any]]:
        """JSON values of every process, in order of the processes."""
        if self.world == 1:
            return [mine]
        content = torch.frombuffer(bytearray(json.dumps(mine).encode()), dtype=torch.uint8)
        sizes = self.in_turn(torch.tensor([len(content)]))
        padded = torch.zeros(1, int(sizes.max()), dtype=torch.uint8)
        padded[0, : len(content)] = content
        every = self.in_turn(padded)
        return [json.loads(row[:size].numpy().tobytes()) for row, size in zip(every, sizes.tolist(), strict=True)]

    def as_the_first(self, tensors: Iterable[Tensor]) -> None:
        """Give tensors, on whatever device, the values that they have in the first process."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.world > 1:
            dist.barrier(self._group)


def lost(error: RuntimeError) -> bool:
    """Whether torch says that another process is gone or cannot be reached."""
    if isinstance(error, dist.DistError):
        return True
    return any(word in str(error) for word in ("Connection closed by peer", "Connection reset", "gloo", "NCCL"))
