"""How much each channel of a group matters, summed over the tensors that hold it.

l1, l2   norms of its weights: the filter that makes it and the weights that read it (Li et al., "Pruning Filters for
         Efficient ConvNets", ICLR 2017, arXiv:1608.08710, which takes the filter alone)
bn       the scales of its batch norms (Liu et al., "Learning Efficient Convolutional Networks through Network
         Slimming", ICCV 2017, arXiv:1708.06519); l2 in a group that has none
taylor   sum of (w dL/dw)^2: what the loss is expected to change by (Molchanov et al., "Importance Estimation for Neural
         Network Pruning", CVPR 2019, arXiv:1906.10771, equation 8), over a few batches

Each tensor counts alike in l1, l2 and bn, whatever its size; in the end the mean of every group is 1, so that channels
of different groups can be compared.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from pumice.errors import BadInput
from pumice.graph.channels import Group, Use

Importance = Literal["l1", "l2", "bn", "taylor"]
Scores = NDArray[np.float64]


def check_importance(kind: str) -> None:
    """
    Raises:
        BadInput: there is no such importance.
    """
    if kind not in get_args(Importance):
        raise BadInput(f"importance {kind!r} is unknown; choose {', '.join(get_args(Importance))}")


def scores(
    model: nn.Module, groups: Iterable[Group], kind: Importance, squares: Mapping[str, Tensor] | None = None
) -> dict[str, Scores]:
    """Name of a group -> the score of each of its channels.

    squares: for "taylor", (w dL/dw)^2 of every parameter, see `tune.squares`.

    Raises:
        BadInput: "bn" of a network without batch norms.
    """
    tensors = dict(model.named_parameters(remove_duplicate=False))
    scales = {f"{path}.weight" for path, module in model.named_modules() if isinstance(module, _NormBase)}
    if kind == "bn" and not scales & tensors.keys():
        raise BadInput(f"{type(model).__name__} has no batch norms with scales; choose importance l1 or l2")
    found = {}
    for group in groups:
        uses = [use for use in group.uses if use.tensor in tensors]
        if kind == "taylor":
            assert squares is not None
            total = _sum(group, uses, lambda use: squares[use.tensor])
        elif kind == "bn" and any(use.tensor in scales for use in uses):
            held = [use for use in uses if use.tensor in scales]
            total = _sum(group, held, lambda use: tensors[use.tensor].detach().abs(), alike=True)
        else:
            held = [use for use in uses if tensors[use.tensor].ndim > 1] or uses
            if kind == "l1":
                total = _sum(group, held, lambda use: tensors[use.tensor].detach().abs(), alike=True)
            else:
                total = _sum(group, held, lambda use: tensors[use.tensor].detach() ** 2, 2, alike=True)
        mean = total.mean() if total.size else 0.0
        found[group.name] = total / mean if np.isfinite(mean) and mean > 0 else np.ones(group.channels)
    return found


def _sum(
    group: Group, uses: list[Use], values: Callable[[Use], Tensor], power: int = 1, *, alike: bool = False
) -> Scores:
    """Elements of the tensors added up by channel, to the power 1 / power; each of mean 1 if they count alike."""
    total = np.zeros(group.channels)
    for use in uses:
        elements = values(use).double()
        rows = _rows(elements.reshape(use.seen or elements.shape), use.dim, len(use.channels)).cpu().numpy()
        channels = np.asarray(use.channels)
        own = np.bincount(channels[channels >= 0], rows[channels >= 0], group.channels) ** (1 / power)
        total += own / own.mean() if alike and own.mean() > 0 else own
    return total


def _rows(tensor: Tensor, dim: int, count: int) -> Tensor:
    """Elements added up over all dimensions but one; the inputs of a grouped convolution one group after the other."""
    parts = tensor.chunk(count // tensor.shape[dim]) if count > tensor.shape[dim] else (tensor,)
    return torch.cat([part.movedim(dim, 0).reshape(part.shape[dim], -1).sum(1) for part in parts])
