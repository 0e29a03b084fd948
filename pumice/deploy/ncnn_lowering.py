"""Functions that ncnn has no layer for, said in functions that it has.

pnnx passes on what it cannot say under the name that it has in torch, and ncnn refuses such a file when it is opened.
While a network is traced within `Lowered`, these are replaced: channels taken by number become one Slice and one
Concat, sizes become numbers, of which pnnx otherwise computes some in the file, and averages are taken as torch does.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.deploy.instead import Instead
from pumice.nn.shuffle import ChannelShuffle


class Lowered(Instead):
    """What runs inside is computed without advanced indexing along one dimension and without sizes as tensors."""

    def __init__(self) -> None:
        super().__init__(_LOWERED)


def for_pnnx(model: nn.Module) -> nn.Module:
    """The network itself, with other modules for those that pnnx reads wrongly or must not know.

    Channel shuffles become torch's own modules: of two in a row pnnx makes reshapes that ncnn cannot run, unless each
    is a module that it knows.  Of a module that it knows, pnnx does not read what is traced within: averages over maps
    become functions.
    """
    for path, module in list(model.named_modules(remove_duplicate=False)):
        if path and isinstance(module, ChannelShuffle) and module.order is None:
            model.set_submodule(path, nn.ChannelShuffle(module.groups))
        if path and type(module) is nn.AdaptiveAvgPool2d:
            model.set_submodule(path, _Pool(module.output_size))
    return model


class _Pool(nn.Module):
    """AdaptiveAvgPool2d under a name that pnnx does not know."""

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, self.output_size)


def take(x: Tensor, dim: int, index: Sequence[int]) -> Tensor:
    """x.index_select(dim, index): cut wherever a run of consecutive numbers starts or ends, and joined in order."""
    starts = [i for i, number in enumerate(index) if i == 0 or number != index[i - 1] + 1]
    runs = [(index[a], index[b - 1] + 1) for a, b in pairwise([*starts, len(index)])]
    cuts = sorted({0, int(x.shape[dim]), *(end for run in runs for end in run)})
    if len(cuts) == 2:
        return torch.cat([x] * len(runs), dim) if len(runs) > 1 else x
    pieces = dict(zip(cuts, x.split([b - a for a, b in pairwise(cuts)], dim), strict=False))
    wanted = [pieces[cut] for start, end in runs for cut in cuts if start <= cut < end]
    return torch.cat(wanted, dim) if len(wanted) > 1 else wanted[0]


def _index_select(x: Tensor, dim: int, index: Tensor) -> Tensor:
    return take(x, dim, index.tolist())


def _getitem(x: Tensor, key: Any) -> Tensor | None:
    """x[:, :, index]: one list of whole numbers, everything else whole."""
    keys = key if isinstance(key, tuple) else (key,)
    *before, last = keys
    if any(not (isinstance(k, slice) and k == slice(None)) for k in before):
        return None
    if not isinstance(last, Tensor) or last.ndim != 1 or last.dtype != torch.int64:
        return None
    length = int(x.shape[len(before)])
    return take(x, len(before), [number % length for number in last.tolist()])


def _view_as(x: Tensor, other: Tensor) -> Tensor:
    return x.reshape([int(side) for side in other.shape])


def _avg_pool2d(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor | None:
    """A last window that reaches over the edge is averaged over the map by torch, over the whole window by ncnn,
    unless it is told to leave padding out."""
    if not ceil_mode or not count_include_pad or padding not in (0, (0, 0), [0, 0]):
        return None
    return F.avg_pool2d(x, kernel_size, stride, padding, ceil_mode, False, divisor_override)


def _shape(x: Tensor) -> torch.Size:
    return torch.Size(int(side) for side in torch.Tensor.size(x))


def _size(x: Tensor, dim: int | None = None) -> torch.Size | int:
    return _shape(x) if dim is None else _shape(x)[dim]


_LOWERED: dict[Any, Callable[..., Any]] = {
    torch.index_select: _index_select,
    Tensor.index_select: _index_select,
    Tensor.__getitem__: _getitem,
    Tensor.view_as: _view_as,
    Tensor.reshape_as: _view_as,
    F.avg_pool2d: _avg_pool2d,
    Tensor.size: _size,
    cast(Any, Tensor).shape.__get__: _shape,
}
