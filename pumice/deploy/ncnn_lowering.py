"""Functions that ncnn has no layer for, said in functions that it has.

pnnx passes on what it cannot say under the name that it has in torch, and ncnn refuses such a file when it is opened.
While a network is traced within `Lowered`, these are replaced: channels taken by number become one Slice and one
Concat, and sizes become numbers, of which pnnx otherwise computes some in the file.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pumice.nn.shuffle import ChannelShuffle


class Lowered(TorchFunctionMode):
    """What runs inside is computed without advanced indexing along one dimension and without sizes as tensors."""

    def __torch_function__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """The lowered form of `func` where it has one and it applies, else `func` itself."""
        kwargs = kwargs or {}
        lower = _LOWERED.get(func)
        lowered = None if lower is None else lower(*args, **kwargs)
        return func(*args, **kwargs) if lowered is None else lowered


def with_shuffles(model: nn.Module) -> nn.Module:
    """The network itself, its channel shuffles torch's own modules: of two in a row pnnx makes reshapes that ncnn
    cannot run, unless each is a module that it knows."""
    for path, module in list(model.named_modules(remove_duplicate=False)):
        if path and isinstance(module, ChannelShuffle) and module.order is None:
            model.set_submodule(path, nn.ChannelShuffle(module.groups))
    return model


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
    Tensor.size: _size,
    cast(Any, Tensor).shape.__get__: _shape,
}
