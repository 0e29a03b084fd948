"""The order in which an epoch shows a set's images: a function of seed and epoch alone."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b

import torch
from torch import Tensor
from torch.utils.data import Sampler

Key = tuple[int, int]  # epoch, index


class EpochSampler(Sampler[Key]):
    """Keys (epoch, index) in an order shuffled by seed and epoch.

    Lightning calls `set_epoch` before each epoch.  `start_at` resumes in the middle of one; `len` stays that of a whole
    epoch, as Lightning counts a resumed epoch's batches from where it stopped.  Keys that do not fill a batch are left
    out.  Batch number n of all processes together holds the keys that batch n of one process alone would hold.

    With `labels`, the epoch draws as many images as there are, and of every class that has any as many as of another,
    to within one: the images of small classes come again and again, each as often as the others to within one, and
    of large classes some are left out, others in each epoch.

    Args:
        length: of the data set.
        batch_size: of one optimiser step, per process.
        seed: of the shuffling.
        rank: of this process among `world` processes, which share an epoch; each gets every world-th key.
        labels: the class of each image, to balance the classes.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        labels: Sequence[int] | None = None,
    ) -> None:
        self.length, self.batch_size, self.seed = length, batch_size, seed
        self.rank, self.world, self.labels = rank, world, labels
        self.epoch = self.first_batch = 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch that the next iteration yields; its first batch is kept if it is the one of `start_at`."""
        if epoch != self.epoch:
            self.start_at(epoch, 0)

    def start_at(self, epoch: int, batch: int) -> None:
        """Let the next iteration begin at this batch of this epoch."""
        self.epoch, self.first_batch = epoch, batch

    def __len__(self) -> int:
        share = self.length // self.world
        return share // self.batch_size * self.batch_size

    def __iter__(self) -> Iterator[Key]:
        mine = self._order(self.epoch)[self.first_batch * self.batch_size :]
        return iter([(self.epoch, index) for index in mine.tolist()])

    def batch(self, epoch: int, number: int) -> list[int]:
        """Indices of one batch of an epoch, counted from 0."""
        return self._order(epoch)[number * self.batch_size :][: self.batch_size].tolist()

    def _order(self, epoch: int) -> Tensor:
        """Indices of this process in an epoch."""
        generator = torch.Generator().manual_seed(mix(self.seed, epoch, -1))
        if self.labels is None:
            order = torch.randperm(self.length, generator=generator)
        else:
            order = _balanced(torch.tensor(self.labels), generator)
        return order[: len(self) * self.world][self.rank :: self.world]


def mix(seed: int, epoch: int, index: int) -> int:
    """A 63-bit seed that differs for every triple."""
    return int.from_bytes(blake2b(f"{seed}/{epoch}/{index}".encode(), digest_size=8).digest(), "big") >> 1


def _balanced(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Indices, as many as there are labels, of every class equally many to within one."""
    present = labels.unique()
    each, over = divmod(len(labels), len(present))
    drawn = []
    for place, label in enumerate(present[torch.randperm(len(present), generator=generator)]):
        members = (labels == label).nonzero().flatten()
        wanted = each + (place < over)
        rounds = [torch.randperm(len(members), generator=generator) for _ in range(-(-wanted // len(members)))]
        if rounds:
            drawn.append(members[torch.cat(rounds)[:wanted]])
    order = torch.cat(drawn)
    return order[torch.randperm(len(order), generator=generator)]
