"""Operators over channels, or over numbers: sums, means, maxima, and softmax, which is made of them."""

import math
from functools import reduce
from typing import Any

import numpy as np
from torch import fx

from pumice.native.expression import TABLES, Call, Expression, Planes, Read
from pumice.native.ir import Conv, Linear, Map, Size
from pumice.native.read import Reader, Value

Given = dict[str, Any]


def rows_of(reader: Reader, node: fx.Node, x: Value, dims: Any) -> Planes:
    """(results, planes under each): the dimensions that are reduced at the end."""
    axes = sorted(dim % len(x.shape) for dim in ([dims] if isinstance(dims, int) else dims or range(len(x.shape))))
    if axes[-1] >= x.planes.ndim:
        raise reader.refuse(node, "over these dimensions")
    kept = [axis for axis in range(x.planes.ndim) if axis not in axes]
    return x.planes.transpose([*kept, *axes]).reshape(math.prod(x.planes.shape[axis] for axis in kept), -1)


def summed(reader: Reader, path: str, rows: Planes, size: Size | None, scale: float = 1.0) -> Planes:
    """The sum of each row of planes, times a number: a convolution of single pixels with equal weights."""
    results, count = rows.shape
    out = reader.fresh(results, size or (1, 1))
    planes, bias = np.ascontiguousarray(rows).ravel(), np.zeros(results, np.float32)
    if size is None and results == 1:
        reader.operations.append(Linear(path, planes, out, np.full((1, count), scale, np.float32), bias))
    else:
        weight = np.full((results, count, 1, 1), scale, np.float32)
        reader.operations.append(Conv(path, planes, out, size or (1, 1), size or (1, 1), weight, bias, results))
    return out


def largest(reader: Reader, path: str, rows: Planes, size: Size | None, name: str = "max") -> Planes:
    """The largest (or smallest, "min") of each row of planes, as many at a time as an expression can read."""
    while rows.shape[1] > 1:
        results, count = rows.shape
        # What is missing in the last part is the last plane again.
        parts = np.minimum(np.arange(-(-count // TABLES) * TABLES), count - 1).reshape(-1, TABLES)
        parts = parts[:, :count]
        taken = rows[:, parts]
        value: Expression = reduce(
            lambda a, b: Call(name, (a, b)), (Read(taken[..., k].ravel()) for k in range(parts.shape[1]))
        )
        out = reader.fresh(results * len(parts), size or (1, 1))
        reader.operations.append(Map(path, out, size or (1, 1), value))
        rows = out.reshape(results, -1)
    return rows[:, 0]


def reduced(reader: Reader, node: fx.Node, x: Value, dims: Any, kind: str) -> Value:
    """The sum, the mean, max or min over dimensions that are not pixels, in the shape that torch gives it."""
    rows, path = rows_of(reader, node, x, dims), _path(node)
    if kind in ("sum", "mean"):
        out = summed(reader, path, rows, x.size, 1.0 if kind == "sum" else 1 / rows.shape[1])
    else:
        out = largest(reader, path, rows, x.size, kind)
    shape = node.meta["shape"] or ()
    return Value(out.reshape(shape if x.size is None else shape[:-2]), x.size)


def _extreme(reader: Reader, node: fx.Node, given: Given) -> Any:
    """amax and amin; max and min of a dimension, which give places too."""
    x: Value = given["self"]
    name = _operator(node)
    kind = name[-3:]
    if name.startswith("a"):
        return reduced(reader, node, x, given["dim"], kind)
    if "dim" not in given:
        raise reader.refuse(node, "of the whole tensor")
    out = largest(reader, _path(node), rows_of(reader, node, x, given["dim"]), x.size, kind)
    shape = list(x.planes.shape)
    shape[given["dim"] % len(x.shape)] = 1
    made = out.reshape(shape)
    return (Value(made if given["keepdim"] else made.squeeze(given["dim"] % len(x.shape)), x.size), None)


def _sum(reader: Reader, node: fx.Node, given: Given) -> Value:
    return reduced(reader, node, given["self"], given.get("dim"), "sum")


def _softmax(reader: Reader, node: fx.Node, given: Given) -> Value:
    """e^(x - max) / sum; a logarithm of it is not there."""
    x: Value = given["self"]
    path, size = _path(node), x.size or (1, 1)
    dim = given["dim"] % len(x.shape)
    rows = rows_of(reader, node, x, dim)
    results, count = rows.shape

    def point(name: str, left: Planes, right: Planes) -> Expression:
        return Call(name, (Read(left.ravel()), Read(np.repeat(right, count))))

    def made(value: Expression) -> Planes:
        out = reader.fresh(rows.size, size)
        reader.operations.append(Map(path, out, size, value))
        return out.reshape(results, count)

    powers = made(Call("exp", (point("sub", rows, largest(reader, path, rows, x.size)),)))
    shares = made(point("div", powers, summed(reader, path, powers, x.size)))
    moved = [axis for axis in range(x.planes.ndim) if axis != dim]
    whole = shares.reshape([x.planes.shape[axis] for axis in (*moved, dim)])
    return Value(np.moveaxis(whole, -1, dim), x.size)


def _matmul(reader: Reader, node: fx.Node, given: Given) -> Value:
    """Numbers times a constant matrix (inputs, outputs)."""
    x, matrix = given["self"], given["other" if "other" in given else "mat2"]
    if not isinstance(x, Value) or not isinstance(matrix, np.ndarray) or matrix.ndim != 2:
        raise reader.refuse(node, "of two tensors that depend on the image")
    if x.size is not None or x.planes.size != len(matrix):
        raise reader.refuse(node, "over rows")
    out = reader.fresh(matrix.shape[1], (1, 1))
    weight, bias = np.ascontiguousarray(matrix.T), np.zeros(matrix.shape[1], np.float32)
    reader.operations.append(Linear(_path(node), x.planes.ravel(), out, weight, bias))
    return Value(out.reshape(node.meta["shape"]))


def _path(node: fx.Node) -> str:
    return str(node.meta.get("path", "") or node.name)


def _operator(node: fx.Node) -> str:
    from pumice.graph.rewrites.program import operator_of

    return operator_of(node)


CHANNELS: dict[str, Any] = {
    **dict.fromkeys(("amax", "amin", "max", "min"), _extreme),
    "sum": _sum,
    **dict.fromkeys(("softmax", "_softmax"), _softmax),
    **dict.fromkeys(("matmul", "mm"), _matmul),
}
