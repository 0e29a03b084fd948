"""The widths that each channel group may have, and which of its channels stay.

In MobileNetV3's words (section 4.3) a proposal shrinks an expansion, or a bottleneck in all blocks that share its size.
Both are channel groups: an expansion is private to one block, a bottleneck reaches beyond it.
"""

from collections.abc import Mapping, Sequence
from math import lcm
from typing import Literal

import torch
from torch import nn

from pumice.errors import BadInput
from pumice.graph.channels import Group
from pumice.graph.cut import cut
from pumice.search.kept import best, ordered, parts_of, splits_of

Kind = Literal["expansion", "bottleneck"]


def free(groups: Sequence[Group]) -> tuple[Group, ...]:
    """The groups of which something can go."""
    return tuple(g for g in groups if not g.frozen and smallest(g) > 1)


def smallest(group: Group) -> int:
    """Channels of its smallest cell."""
    return min(len(cell) for cell in group.cells)


def kind_of(group: Group, model: nn.Module) -> Kind:
    """What the paper calls it: by whether all that it touches lies in one module that is no mere chain of others."""
    paths = [use.tensor.split(".")[:-1] for use in group.uses]
    owner: nn.Module = model
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        owner = owner.get_submodule(parts[0])
        if not isinstance(owner, nn.Sequential | nn.ModuleList | nn.ModuleDict):
            return "expansion"
    return "bottleneck"


def narrower(group: Group, round_to: int) -> tuple[int, ...]:
    """The widths below its present one, the widest first.

    Every cell keeps equally many.  They are multiples of `round_to` too where the group has room for two such.
    """
    cells = len(group.cells)
    step = lcm(cells, round_to)
    if group.channels < 2 * step:
        step = cells
    widest = min(group.channels - 1, cells * smallest(group))
    return tuple(range(widest // step * step, 0, -step))


def strongest(group: Group, model: nn.Module, width: int) -> tuple[int, ...]:
    """The channels that stay: in every cell those whose making filters have the largest L2 norm together.

    Others stay in their place where a layer or a part of a split would lose all of its channels.

    Raises:
        BadInput: the group cannot be so narrow.
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    strength = torch.zeros(group.channels, dtype=torch.float64)
    for use in group.uses:
        tensor = tensors[use.tensor].detach()
        tensor = tensor.view(use.seen or tensor.shape)
        if not use.makes or tensor.dim() < 2 or tensor.shape[use.dim] != len(use.channels):
            continue
        squares = tensor.double().cpu().square().transpose(0, use.dim).flatten(1).sum(1)
        channels = torch.tensor(use.channels)
        mine = channels >= 0
        strength.index_add_(0, channels[mine], squares[mine])
    scores = strength.numpy()
    kept = best(
        ordered(group, scores), scores, width // len(group.cells), parts_of(group, splits_of(model), alone=True)
    )
    if kept is None:
        raise BadInput(f"channel group {group.name} cannot keep {width} channels; some layer would have none")
    return tuple(kept)


def chosen(before: Mapping[str, Sequence[int]], group: str, kept: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Channels that stay, in the seed's numbers, after `kept` of those that were left of one group."""
    return {name: tuple(old[i] for i in kept) if name == group else tuple(old) for name, old in before.items()}


def narrowed(net: nn.Module, groups: Mapping[str, Group], name: str, width: int) -> nn.Module:
    """A copy of the net with so many channels of one group, the strongest.

    Raises:
        BadInput: a part of it would be empty.
    """
    return cut(net, tuple(groups.values()), {name: strongest(groups[name], net, width)})


def possible(net: nn.Module, groups: Mapping[str, Group], name: str, width: int) -> bool:
    """Whether a group can be so narrow: a module between layers may be left without a part."""
    if not groups[name].passages:
        return True
    try:
        narrowed(net, groups, name, width)
    except BadInput:
        return False
    return True
