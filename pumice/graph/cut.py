"""The cut: a network without some channels of its groups, and the masked network that it must equal.

    small = cut(model, groups, {"blocks.3.expand.conv": range(72)})

Parameters and buffers are sliced; torch's layers are told their new sizes, and modules that declare
`channel_rule = "pass"` adapt themselves:

    def narrow(self, stays: Tensor, made: Tensor) -> None     which channels stay (bool), of its input and its result
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.graph.channels import Group, Use

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
    slices: dict[str, dict[int, list[Tensor]]] = {}
    passages: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for group in groups:
        if len(chosen.get(group.name, range(group.channels))) == group.channels:
            continue
        for use in group.uses:
            slices.setdefault(use.tensor, {}).setdefault(use.dim, []).append(_stays(use.channels, chosen[group.name]))
        for passage in group.passages:
            ends = tuple(_stays(end, chosen[group.name]) for end in (passage.channels, passage.made))
            passages.setdefault(passage.module, []).append(ends)
    modules: dict[str, nn.Module] = {}
    for name, dims in slices.items():
        path, _, own = name.rpartition(".")
        modules[path] = small.get_submodule(path)
        old: Tensor = getattr(modules[path], own)
        new = old.detach()
        for dim, masks in dims.items():
            new = _sliced(new, dim, torch.stack(masks).all(0), rows=dims.get(0))
        if 0 in new.shape:
            raise BadInput(f"{path} would be left without channels; keep more of them")
        _replace(small, old, new.clone())
    for path, module in modules.items():
        _resize(module, path)
    device = next(small.parameters()).device
    for path, both in passages.items():
        module = small.get_submodule(path)
        narrow: Callable[[Tensor, Tensor], None] = getattr(module, "narrow")
        narrow(*(torch.stack(ends).all(0) for ends in zip(*both, strict=True)))
        module.to(device)
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
                weight = full.get_parameter(use.tensor)
                _zero(weight.detach(), use, _stays(use.channels, chosen))
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


def _sliced(tensor: Tensor, dim: int, stays: Tensor, rows: list[Tensor] | None) -> Tensor:
    """The tensor without what does not stay along `dim`.

    rows: what stays along dimension 0, which is cut first.  A grouped convolution's inputs are told for all groups in
    order; there each group of rows picks its own.
    """
    stays = stays.to(tensor.device)
    if len(stays) == tensor.shape[dim]:
        return tensor[(slice(None),) * dim + (stays,)]
    groups = len(stays) // tensor.shape[dim]
    parts = zip(tensor.chunk(groups), stays.chunk(groups), strict=True)
    return torch.cat([part[:, own] for part, own in parts])


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
        for own in (module._parameters, module._buffers):
            for name, value in own.items():
                if value is old:
                    own[name] = tensor


def _resize(module: nn.Module, path: str) -> None:
    """Tell a layer of torch the sizes that its weights now have."""
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        multiplier = module.out_channels // module.groups
        if module.groups == module.in_channels > 1:
            module.groups = module.weight.shape[0] // multiplier
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
