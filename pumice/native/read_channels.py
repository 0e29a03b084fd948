"""Operators over channels, or over numbers: sums, means, maxima, and softmax, which is made of them."""

import math
from typing import Any

import numpy as np
from torch import fx

from pumice.native.expression import TABLES, Call, Const, Expression, Planes, Read
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
        value: Expression = Read(taken[..., 0].ravel())
        for k in range(1, parts.shape[1]):
            value = Call(name, (value, Read(taken[..., k].ravel())))
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


def _conv1d(reader: Reader, node: fx.Node, given: Given) -> Value:
    """Along numbers: each result is a group of its own, which reads the numbers under its window."""
    x, weight, bias = given["input"], given["weight"], given["bias"]
    if not isinstance(x, Value) or not isinstance(weight, np.ndarray) or x.size is not None or len(x.planes) != 1:
        raise reader.refuse(node, "along columns, or whose weights are computed")
    stride, dilation = given["stride"][-1], given["dilation"][-1]
    shape, (outputs, inputs, taps), groups = tuple(node.meta["shape"]), weight.shape, given["groups"]
    padding = given["padding"]
    first = dilation * (taps - 1) // 2 if padding == "same" else 0 if padding == "valid" else padding[-1]
    under = np.arange(shape[2])[:, None] * stride + np.arange(taps) * dilation - first
    inside = (under >= 0) & (under < x.shape[2])
    planes = x.planes[0][:, np.where(inside, under, 0)]  # (inputs, results, taps)
    if not inside.all():
        zero = reader.fresh(1, (1, 1))
        reader.operations.append(Map("zeros", zero, (1, 1), Const(0.0)))
        planes[:, ~inside] = zero
    grouped = planes.reshape(groups, inputs, *planes.shape[1:]).swapaxes(1, 2)  # (groups, results, inputs, taps)
    read = np.repeat(grouped, outputs // groups, 0)
    out, count = reader.fresh(outputs * shape[2], (1, 1)), outputs * shape[2]
    kernel = np.repeat(weight.reshape(outputs, 1, -1), shape[2], 1).reshape(count, -1, 1, 1)
    biases = np.repeat(np.zeros(outputs, np.float32) if bias is None else bias, shape[2])
    reader.operations.append(Conv(_path(node), read.ravel(), out, (1, 1), (1, 1), kernel, biases, count))
    return Value(out.reshape(shape))


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
    "conv1d": _conv1d,
}
