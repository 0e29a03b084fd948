"""Torch loaders over samples of any kind, each of which is a function of seed, epoch and index.

Each loader has a generator of its own for its workers' seeds; by default it would draw from torch's global one.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from pumice.data.order import EpochSampler
from pumice.errors import BadInput


def training_loader(
    data: Dataset[Any],
    batch_size: int,
    *,
    seed: int,
    workers: int = 0,
    pin_memory: bool = False,
    rank: int = 0,
    world: int = 1,
    accumulate: int = 1,
    labels: Sequence[int] | None = None,
    collate: Callable[[list[Any]], Any] | None = None,
) -> DataLoader[Any]:
    """Batches for the keys of an EpochSampler, which is its `sampler`.

    Args:
        data: with a length, read by (epoch, index).
        batch_size: samples of one optimiser step, a multiple of world * accumulate.
        seed: of the order.
        workers: processes that prepare batches; 0 prepares them in this one.
        pin_memory: page-locked batches, for a GPU.
        rank: of this process among `world` processes.
        world: number of processes that share the samples.
        accumulate: batches of a process that make up its part of an optimiser step.
        labels: the class of each sample, to show every class equally often.
        collate: makes a batch of samples; None is torch's way.

    Raises:
        BadInput: fewer samples than the parts of a step.
    """
    count = len(data)  # type: ignore[arg-type]
    part = min(batch_size, count) // (world * accumulate)
    if part < 1:
        raise BadInput(f"{count} training images are too few for a step in {world * accumulate} parts")
    return DataLoader(
        data,
        part,
        sampler=EpochSampler(count, part * accumulate, seed, rank, world, labels),
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        generator=torch.Generator().manual_seed(seed),
    )


def judging_loader(
    data: Dataset[Any],
    batch_size: int,
    *,
    seed: int,
    workers: int = 0,
    pin_memory: bool = False,
    rank: int = 0,
    world: int = 1,
) -> DataLoader[Any]:
    """Batches in order.

    Every process judges as many samples, number n of them the samples n, n + world, ...; at the end they begin again at
    the first ones.  Arguments as above.
    """
    count = len(data)  # type: ignore[arg-type]
    shown = range(rank, -(-count // world) * world, world)
    return DataLoader(
        data,
        batch_size,
        sampler=None if world == 1 else [index % count for index in shown],
        num_workers=workers,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        generator=torch.Generator().manual_seed(seed),
    )
