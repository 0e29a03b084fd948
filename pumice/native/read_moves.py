"""Operators that move tensors about and compute nothing: done here and now, on arrays of plane numbers."""

import math
from typing import Any

import numpy as np
from torch import fx

from pumice.native.expression import Read
from pumice.native.ir import Collect, Map, Size, Spread
from pumice.native.read import Reader, Value
from pumice.native.read_resamples import cut, repeated

Given = dict[str, Any]
FEW = 2**16
"""Numbers of a tensor that may be turned about one by one."""


def _dim(x: Value, reader: Reader, node: fx.Node, dim: int) -> int:
    """A dimension counted from the front; those of pixels cannot be moved or cut."""
    dim %= len(x.shape)
    if dim >= x.planes.ndim:
        raise reader.refuse(node, "along rows or columns")
    return dim


def reshaped(reader: Reader, node: fx.Node, x: Value, shape: tuple[int, ...]) -> Value:
    """A tensor in another shape: numbers one by one where pixels do not stay together."""
    if x.behind:
        x = as_numbers(reader, str(node.meta.get("path", "")), x)
    if x.size is None:
        return Value(x.planes.reshape(shape))
    if shape[-2:] == x.size and len(shape) > 2:
        return Value(x.planes.reshape(shape[:-2]), x.size)
    if math.prod(x.size) == 1:
        return Value(x.planes.reshape(shape))
    return Value(as_numbers(reader, node.meta.get("path", ""), x).planes.reshape(shape))


def as_numbers(reader: Reader, path: str, x: Value) -> Value:
    """Every pixel as a plane of its own, in the tensor's order."""
    assert x.size is not None
    spread = reader.fresh(x.planes.size * math.prod(x.size), (1, 1))
    reader.operations.append(Spread(path, x.planes.ravel(), spread, x.size))
    ahead, count = x.planes.ndim - x.behind, x.planes.ndim
    order = [*range(ahead), count, count + 1, *range(ahead, count)]
    return Value(spread.reshape(*x.planes.shape, *x.size).transpose(order))


def few_numbers(reader: Reader, node: fx.Node, x: Value) -> Value:
    """The same where it is made to be turned about, so that every pixel has an address in the code."""
    if x.size is None:
        return x
    if x.planes.size * math.prod(x.size) > FEW:
        raise reader.refuse(node, "along rows or columns of so large a tensor")
    return as_numbers(reader, str(node.meta.get("path", "")), x)


def as_image(reader: Reader, node: fx.Node, x: Value) -> Value:
    """Numbers (.., H, W) as planes of H x W; what has pixels, or one pixel, stays."""
    if x.size is not None or len(x.shape) < 3 or x.shape[-2:] == (1, 1):
        return x
    size: Size = (x.shape[-2], x.shape[-1])
    out = reader.fresh(math.prod(x.shape[:-2]), size)
    numbers = np.ascontiguousarray(x.planes).ravel()
    reader.operations.append(Collect(str(node.meta.get("path", "") or node.name), numbers, out, size))
    return Value(out.reshape(x.shape[:-2]), size)


def _reshape(reader: Reader, node: fx.Node, given: Given) -> Value:
    return reshaped(reader, node, given["input" if "input" in given else "self"], tuple(node.meta["shape"]))


def _transpose(reader: Reader, node: fx.Node, given: Given) -> Value:
    x: Value = given["self"]
    order = list(range(len(x.shape)))
    a, b = (dim % len(order) for dim in list(given.values())[1:])
    order[a], order[b] = b, a
    return _permuted(reader, node, x, order)


def _permute(reader: Reader, node: fx.Node, given: Given) -> Value:
    x: Value = given["self"]
    return _permuted(reader, node, x, [dim % len(x.shape) for dim in given["dims"]])


def _permuted(reader: Reader, node: fx.Node, x: Value, order: list[int]) -> Value:
    """Dimensions of planes in any order; rows and columns may change places with them, but not with each other."""
    if x.size is None:
        return Value(x.planes.transpose(order))
    ahead = x.planes.ndim - x.behind
    where = order.index(ahead)  # of the rows
    if order[where + 1 : where + 2] != [ahead + 1]:
        return Value(few_numbers(reader, node, x).planes.transpose(order))
    axes = [axis if axis < ahead else axis - 2 for axis in order if axis not in (ahead, ahead + 1)]
    return Value(x.planes.transpose(axes), x.size, len(axes) - where)


def _cat(reader: Reader, node: fx.Node, given: Given) -> Value:
    parts: list[Value] = given["tensors"]
    if not all(isinstance(part, Value) for part in parts):
        raise reader.refuse(node, "with a constant")
    dim = given["dim"] % len(parts[0].shape)
    if dim >= parts[0].planes.ndim or len({part.size for part in parts}) > 1:
        parts = [few_numbers(reader, node, part) for part in parts]
    return Value(np.concatenate([part.planes for part in parts], dim), parts[0].size)


def _split(reader: Reader, node: fx.Node, given: Given) -> tuple[Value, ...]:
    x: Value = given["self"]
    dim = (given.get("dim") or 0) % len(x.shape)
    have = x.shape[dim]
    if "sections" in given:
        cuts = np.cumsum([len(part) for part in np.array_split(range(have), given["sections"])])[:-1].tolist()
    elif "indices" in given:
        cuts = list(given["indices"])
    elif "chunks" in given:
        step = -(-have // given["chunks"])
        cuts = list(range(step, have, step))
    elif isinstance(sizes := given.get("split_sizes", given.get("split_size")), int):
        cuts = list(range(sizes, have, sizes))
    else:
        assert sizes is not None
        cuts = np.cumsum(sizes)[:-1].tolist()
    if dim >= x.planes.ndim:
        edges = zip([0, *cuts], [*cuts, have], strict=True)
        return tuple(cut(reader, node, x, dim - len(x.shape), slice(*two)) for two in edges)
    return tuple(Value(part, x.size) for part in np.split(x.planes, cuts, dim))


def _getitem(_reader: Reader, node: fx.Node, _given: Given) -> Any:
    source, index = node.args
    assert isinstance(source, fx.Node)
    return _reader.values[source][index]


def _slice(reader: Reader, node: fx.Node, given: Given) -> Value:
    x: Value = given["self"]
    dim, begin, end = given["dim"] % len(x.shape), given["start"] or 0, given["end"]
    if dim >= x.planes.ndim:
        if begin == 0 and (end is None or end >= x.shape[dim]) and given["step"] == 1:
            return x
        return cut(reader, node, x, dim - len(x.shape), slice(begin, end, given["step"]))
    which = [slice(None)] * x.planes.ndim
    which[dim] = slice(begin, end, given["step"])
    return Value(x.planes[tuple(which)], x.size)


def _narrow(reader: Reader, node: fx.Node, given: Given) -> Value:
    x: Value = given["self"]
    dim, which = given["dim"] % len(x.shape), slice(given["start"], given["start"] + given["length"])
    if dim >= x.planes.ndim:
        return cut(reader, node, x, dim - len(x.shape), which)
    return Value(np.take(x.planes, range(which.start, which.stop), dim), x.size)


def _select(reader: Reader, node: fx.Node, given: Given) -> Value:
    x: Value = given["self"]
    return Value(np.take(x.planes, given["index"], _dim(x, reader, node, given["dim"])), x.size)


def _unbind(reader: Reader, node: fx.Node, given: Given) -> tuple[Value, ...]:
    x: Value = given["self"]
    dim = _dim(x, reader, node, given["dim"])
    return tuple(Value(np.take(x.planes, i, dim), x.size) for i in range(x.shape[dim]))


def _stack(reader: Reader, node: fx.Node, given: Given) -> Value:
    parts: list[Value] = given["tensors"]
    dim = given["dim"] % (len(parts[0].shape) + 1)
    if not all(isinstance(part, Value) for part in parts) or dim > parts[0].planes.ndim:
        raise reader.refuse(node, "of these")
    return Value(np.stack([part.planes for part in parts], dim), parts[0].size)


def _index_select(reader: Reader, node: fx.Node, given: Given) -> Value:
    x: Value = given["self"]
    return Value(np.take(x.planes, given["index"], _dim(x, reader, node, given["dim"])), x.size)


def _index(reader: Reader, node: fx.Node, given: Given) -> Value:
    x: Value = given["self"]
    indices = list(given["indices"])
    if len(indices) > x.planes.ndim or not all(i is None or isinstance(i, np.ndarray) for i in indices):
        raise reader.refuse(node, "of rows or columns, or by what was computed")
    where = tuple(slice(None) if i is None else i for i in indices)
    return Value(x.planes[where], x.size)


def _channel_shuffle(_reader: Reader, _node: fx.Node, given: Given) -> Value:
    x: Value = given["self" if "self" in given else "input"]
    images, channels = x.planes.shape
    groups = given["groups"]
    return Value(x.planes.reshape(images, groups, channels // groups).swapaxes(1, 2).reshape(images, channels), x.size)


def _same(_reader: Reader, _node: fx.Node, given: Given) -> Any:
    return given["self" if "self" in given else "input"]


def _to(reader: Reader, node: fx.Node, given: Given) -> Any:
    if (dtype := given.get("dtype")) is not None and not dtype.is_floating_point:
        raise reader.refuse(node, "whole numbers")
    return given["self"]


def _expand(reader: Reader, node: fx.Node, given: Given) -> Value:
    x: Value = given["self"]
    shape = tuple(node.meta["shape"])
    if x.size is None and x.planes.ndim > 2 and x.shape[-2:] == (1, 1) and shape[-2:] != (1, 1):
        return spread_over(reader, node, Value(np.broadcast_to(x.planes, (*shape[:-2], 1, 1))), (shape[-2], shape[-1]))
    if x.size is not None and shape[-2:] != x.size:
        x = repeated(reader, node, x, (shape[-2], shape[-1]))
    return Value(np.broadcast_to(x.planes, shape[: len(shape) - 2] if x.size else shape), x.size)


def spread_over(reader: Reader, node: fx.Node, x: Value, size: Size) -> Value:
    """Images of one pixel (..., 1, 1) as images of a size, each of one number."""
    numbers = x.planes[..., 0, 0]
    planes = reader.fresh(numbers.size, size)
    value = Read(np.ascontiguousarray(numbers).ravel())
    reader.operations.append(Map(str(node.meta.get("path", "") or node.name), planes, size, value))
    return Value(planes.reshape(numbers.shape), size)


MOVES = {
    **dict.fromkeys(
        (
            "reshape",
            "view",
            "flatten",
            "squeeze",
            "unsqueeze",
            "_unsafe_view",
            "unflatten",
            "squeeze_dims",
            "view_as",
            "reshape_as",
        ),
        _reshape,
    ),
    **dict.fromkeys(("transpose", "swapaxes"), _transpose),
    **dict.fromkeys(("cat", "concat", "concatenate"), _cat),
    **dict.fromkeys(("split", "split_with_sizes", "chunk", "tensor_split"), _split),
    **dict.fromkeys(("contiguous", "clone", "dropout", "dropout_", "detach", "detach_", "alias"), _same),
    **dict.fromkeys(("to", "_to_copy"), _to),
    "_assert_tensor_metadata": lambda *_: None,
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), _channel_shuffle),
    "permute": _permute,
    "getitem": _getitem,
    "slice": _slice,
    "narrow": _narrow,
    "select": _select,
    "unbind": _unbind,
    "stack": _stack,
    "index_select": _index_select,
    "index": _index,
    "expand": _expand,
    "expand_as": _expand,
}
