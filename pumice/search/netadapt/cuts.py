"""Random narrower forms of one network, to fill a lookup table from.

A table of the catalogue knows networks of round widths.  What a cut leaves has odd ones, and operators of its own: a
channel shuffle of which unequal parts are left is an index selection.  A table filled from cuts knows these.
"""

from collections.abc import Iterator

import numpy as np
from torch import nn

from pumice.cost.lut.build import Job
from pumice.errors import BadInput
from pumice.graph.channels import Group, channel_groups
from pumice.graph.cut import cut
from pumice.graph.trace import model_name, trace
from pumice.search.netadapt.widths import free, narrower, strongest

LEAST = 0.15  # of a group's channels, on average over the groups
APART = 0.15  # standard deviation of the groups' shares about the network's
ROUND = (8, 4, 2, 1)  # multiples that widths are drawn from, by turns, as NetAdapt's steps become finer
TRIES = 20


def cuts(network: nn.Module, input_size: tuple[int, int, int], seed: int = 0) -> Iterator[Job]:
    """The network itself, then cuts of it without end: each of one share drawn for all, and every group's about it.

    Args:
        network: of any kind that `cut` takes; it is not changed.
        input_size: (C, H, W).
        seed: of the draws.

    Raises:
        BadInput: the network cannot be traced, or none of its groups can be narrowed.
    """
    groups = channel_groups(trace(network, input_size))
    if not free(groups):
        raise BadInput(f"no channel group of {model_name(network)} can be narrowed, so there are no cuts of it")
    yield model_name(network), lambda: (network, input_size)
    number = 0
    while True:
        yield (
            f"{model_name(network)} cut {number}",
            lambda number=number: (_cut(network, groups, number, seed), input_size),  # type: ignore[misc]
        )
        number += 1


def _cut(network: nn.Module, groups: tuple[Group, ...], number: int, seed: int) -> nn.Module:
    random = np.random.default_rng((seed, number))
    for _ in range(TRIES):
        share = random.uniform(LEAST, 1.0)
        kept = {}
        try:
            for group in free(groups):
                widths = (group.channels, *narrower(group, ROUND[number % len(ROUND)]))
                wanted = np.clip(random.normal(share, APART), 0.0, 1.0) * group.channels
                kept[group.name] = strongest(group, network, min(widths, key=lambda width: abs(width - wanted)))
            return cut(network, groups, kept)
        except BadInput:  # a part of it would be empty
            continue
    raise BadInput(f"{model_name(network)} cannot be cut at random; most of its parts would be empty")
