"""The cut: a network without some channels of its groups, and the masked network that it must equal.

    small = cut(model, groups, {"blocks.3.expand.conv": range(72)})

Parameters and buffers are sliced; torch's layers are told their new sizes, and modules that declare
`channel_rule = "pass"` adapt themselves:

    def narrow(self, stays: Tensor, made: Tensor) -> None     which channels stay (bool), of its input and its result

A network that tells widths of its own (`feature_info`) is asked to tell them anew, by its `tell_widths()`.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.graph.channels import Group, Use
from pumice.graph.records import Shape

Kept = Mapping[str, Sequence[int]]


def check_kept(groups: Sequence[Group], kept: Kept) -> None:
    """See that a choice, by group name the channels that stay in ascending order, can be cut.

    Groups that are not named stay whole.

    Raises:
        BadInput: a choice names no group, or breaks one's rule.
    """
    known = {group.name: group for group in groups}
    for name, given in kept.items():
        if name not in known:
            raise BadInput(f"there is no channel group {name}; the groups are {', '.join(known) or 'none'}")
        group, chosen = known[name], list(given)
        if chosen == list(range(group.channels)):
            continue
        if group.frozen:
            raise BadInput(f"channel group {name} cannot be cut ({group.frozen}); leave it out")
        if any(not 0 <= i < group.channels for i in chosen) or sorted(set(chosen)) != chosen:
            raise BadInput(
                f"channel group {name} keeps channels that are not ascending numbers below {group.channels}; "
                "name each channel once, in order"
            )
        counts = {len(set(cell).intersection(chosen)) for cell in group.cells}
        if len(counts) > 1:
            raise BadInput(
                f"channel group {name} keeps {min(counts)} to {max(counts)} channels in its {len(group.cells)} cells; "
                "every cell must keep equally many"
            )
        if counts == {0}:
            raise BadInput(f"channel group {name} keeps no channel; leave at least one in each cell")


def cut(model: nn.Module, groups: Sequence[Group], kept: Kept) -> nn.Module:
    """A copy of the model with only the kept channels; the model stays as it is.

    groups: of the model's trace.  kept: as `check_kept` takes it.

    Raises:
        BadInput: the choice breaks a rule, or leaves a layer without channels.
    """
    check_kept(groups, kept)
    chosen = {name: set(channels) for name, channels in kept.items()}
    small = copy.deepcopy(model)
    slices: dict[tuple[str, Shape], dict[int, list[Tensor]]] = {}
    passages: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for group in groups:
        if len(chosen.get(group.name, range(group.channels))) == group.channels:
            continue
        for use in group.uses:
            stays = _stays(use.channels, chosen[group.name])
            slices.setdefault((use.tensor, use.seen), {}).setdefault(use.dim, []).append(stays)
        for passage in group.passages:
            ends = _stays(passage.channels, chosen[group.name]), _stays(passage.made, chosen[group.name])
            passages.setdefault(passage.module, []).append(ends)
    layers: dict[str, int] = {}
    for (name, seen), dims in slices.items():
        path, _, own = name.rpartition(".")
        old: Tensor = getattr(small.get_submodule(path), own)
        both = {dim: torch.stack(masks).all(0) for dim, masks in dims.items()}
        new, parts = _sliced(old.detach().view(seen or old.shape), both)
        new = new.flatten(0, len(seen) - old.dim()) if seen else new
        if 0 in new.shape:
            raise BadInput(f"{path} would be left without channels; keep more of them")
        layers[path] = max(parts, layers.get(path, 0))
        _replace(small, old, new.clone())
    for path, parts in layers.items():
        _resize(small.get_submodule(path), parts)
    like = next(small.parameters())
    for path, pairs in passages.items():
        adapting: Any = small.get_submodule(path)
        adapting.narrow(*(torch.stack(masks).all(0) for masks in zip(*pairs, strict=True)))
        adapting.to(like.device, like.dtype)
    tell: Any = getattr(small, "tell_widths", None)
    if tell is not None:
        tell()
    return small


def masked(model: nn.Module, groups: Sequence[Group], kept: Kept) -> nn.Module:
    """A copy of the model at full size whose cut channels are zero wherever they are read.

    Weights that read a cut channel are zero, and modules that read their neighbours' channels are given zeros by a
    hook.  It answers what `cut` answers.

    Raises:
        BadInput: the choice breaks a rule.
    """
    check_kept(groups, kept)
    full = copy.deepcopy(model)
    for group in groups:
        chosen = set(kept.get(group.name, range(group.channels)))
        for use in group.uses:
            if use.reads:
                weight = full.get_parameter(use.tensor).detach()
                _zero(weight.view(use.seen or weight.shape), use, _stays(use.channels, chosen))
        for passage in group.passages:
            hidden = _stays(passage.channels, chosen)
            if not bool(hidden.all()):
                full.get_submodule(passage.module).register_forward_pre_hook(_Hide(hidden))
    return full


class _Hide:
    """Forward pre-hook: the channels (axis 1) of the first input that do not stay become zero."""

    def __init__(self, stays: Tensor) -> None:
        self._stays = stays

    def __call__(self, module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x, *others = args
        shape = [-1 if axis == 1 else 1 for axis in range(x.dim())]
        return (x * self._stays.to(x).view(shape), *others)


def _stays(channels: Iterable[int], chosen: set[int]) -> Tensor:
    return torch.tensor([c < 0 or c in chosen for c in channels])


def _sliced(tensor: Tensor, stays: Mapping[int, Tensor]) -> tuple[Tensor, int]:
    """The tensor without what does not stay along each dimension, and of how many groups of rows it is.

    The inputs of a grouped convolution are told for all groups in order: each group of rows picks its own, and a group
    without any is gone.  0 groups: not told so.
    """
    columns = stays.get(1)
    if columns is not None and len(columns) != tensor.shape[1]:
        groups = len(columns) // tensor.shape[1]
        rows = stays.get(0, torch.ones(len(tensor), dtype=torch.bool))
        parts = zip(tensor.chunk(groups), rows.chunk(groups), columns.chunk(groups), strict=True)
        kept = [part[row.to(part.device)][:, column.to(part.device)] for part, row, column in parts if bool(row.any())]
        return torch.cat(kept), len(kept)
    for dim, mask in stays.items():
        tensor = tensor[(slice(None),) * dim + (mask.to(tensor.device),)]
    return tensor, 0


def _zero(weight: Tensor, use: Use, stays: Tensor) -> None:
    gone = ~stays.to(weight.device)
    if len(gone) == weight.shape[use.dim]:
        weight[(slice(None),) * use.dim + (gone,)] = 0
        return
    groups = len(gone) // weight.shape[use.dim]
    for part, own in zip(weight.chunk(groups), gone.chunk(groups), strict=True):
        part[:, own] = 0


def _replace(model: nn.Module, old: Tensor, new: Tensor) -> None:
    """Put a tensor in the place of another, under all of its names."""
    tensor = nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new
    for module in model.modules():
        places: tuple[dict[str, Any], ...] = (module._parameters, module._buffers)
        for own in places:
            for name, value in own.items():
                if value is old:
                    own[name] = tensor


def _resize(module: nn.Module, groups: int) -> None:
    """Tell a layer of torch the sizes that its weights now have; groups: of a grouped convolution, 0 if as before."""
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        if groups:
            module.groups = groups
        elif module.groups == module.in_channels > 1:
            module.groups = module.weight.shape[0] // (module.out_channels // module.groups)
        module.out_channels, module.in_channels = module.weight.shape[0], module.weight.shape[1] * module.groups
    elif isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        if module.groups == module.in_channels > 1:
            module.groups = module.weight.shape[0]
        module.in_channels, module.out_channels = module.weight.shape[0], module.weight.shape[1] * module.groups
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, nn.modules.batchnorm._BatchNorm):
        module.num_features = next(len(t) for t in (module.running_mean, module.weight) if t is not None)
    elif isinstance(module, nn.PReLU):
        module.num_parameters = len(module.weight)
