"""Nets that look at their input, choices of channels, and the difference between two nets."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pumice.graph.channels import Group
from pumice.graph.modules import tensors_in


@dataclass(frozen=True)
class Error:
    """relative: the greatest difference by the greatest answer.  spread: how much the answers to two inputs differ."""

    relative: float
    spread: float


def lively(model: nn.Module) -> nn.Module:
    """Random weights and norms, in double precision: a fresh net nearly ignores its input."""
    generator = torch.Generator().manual_seed(0)

    def normal(tensor: Tensor, scale: float) -> None:
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * scale)

    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                nn.init.uniform_(module.weight, 0.5, 1.5, generator)
                nn.init.uniform_(module.running_var, 0.5, 1.5, generator)
                normal(module.bias, 0.3)
                normal(module.running_mean, 0.1)
                continue
            for parameter in module._parameters.values():
                if parameter is not None:
                    # Twice the gain of ReLU, so that differences survive to the end.
                    normal(parameter, (2 / parameter[0].numel()) ** 0.5 if parameter.dim() > 1 else 0.3)
    return model.double().eval()


def half(groups: Sequence[Group], seed: int = 0, share: float = 0.5) -> dict[str, list[int]]:
    """Random channels, half of every cell or another share, of all groups that can be cut."""
    generator = torch.Generator().manual_seed(seed)
    kept = {}
    for group in groups:
        if not group.frozen:
            count = max(1, int(min(map(len, group.cells)) * share))
            chosen = [torch.randperm(len(cell), generator=generator)[:count].tolist() for cell in group.cells]
            kept[group.name] = sorted(cell[i] for cell, own in zip(group.cells, chosen, strict=True) for i in own)
    return kept


def error(one: nn.Module, other: nn.Module, size: tuple[int, ...]) -> Error:
    """How far two nets are apart on two random images."""
    like = next(other.parameters())
    x = 2 * torch.randn((2, *size), generator=torch.Generator().manual_seed(1)).to(like)
    with torch.no_grad():
        a, b = (torch.cat([t.flatten(1) for t in tensors_in(net.eval()(x))], 1) for net in (one, other))
    greatest = b.abs().max().item()
    return Error((a - b).abs().max().item() / greatest, (b[0] - b[1]).abs().max().item() / greatest)
