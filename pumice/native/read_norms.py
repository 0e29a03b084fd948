"""Norms whose statistics are of this image: over channels at each pixel, or over whole planes."""

from typing import Any

import numpy as np
from torch import fx

from pumice.native.expression import Call, Const, Expression, Planes, Read
from pumice.native.ir import Map, Mean, Size
from pumice.native.read import Reader, Value
from pumice.native.read_channels import summed

Given = dict[str, Any]


class _Norm:
    """Writes the operations of one norm."""

    def __init__(self, reader: Reader, node: fx.Node, size: Size) -> None:
        self.reader, self.size = reader, size
        self.path = str(node.meta.get("path", "") or node.name)

    def map(self, value: Expression, shape: tuple[int, ...]) -> Planes:
        out = self.reader.fresh(int(np.prod(shape)), self.size)
        self.reader.operations.append(Map(self.path, out, self.size, value))
        return out.reshape(shape)

    def centred(self, rows: Planes, mean: Planes) -> Planes:
        return self.map(Call("sub", (Read(rows.ravel()), Read(np.repeat(mean, rows.shape[1])))), rows.shape)

    def squares(self, rows: Planes) -> Planes:
        return self.map(Call("mul", (Read(rows.ravel()), Read(rows.ravel()))), rows.shape)

    def whole(self, rows: Planes, variance: Planes, eps: float, weight: Any, bias: Any) -> Planes:
        """rows / sqrt(variance + eps) * weight + bias; weight and bias of each plane, or None."""
        spread = Call("sqrt", (Call("add", (Read(np.repeat(variance, rows.shape[1])), Const(eps))),))
        value: Expression = Call("div", (Read(rows.ravel()), spread))
        if weight is not None:
            value = Call("mul", (value, Const(np.resize(weight, rows.size).astype(np.float32))))
        if bias is not None:
            value = Call("add", (value, Const(np.resize(bias, rows.size).astype(np.float32))))
        return self.map(value, rows.shape)

    def means(self, rows: Planes) -> Planes:
        """Of each row of planes, all pixels."""
        if self.size == (1, 1):
            return summed(self.reader, self.path, rows, None, 1 / rows.shape[1])
        means = self.reader.fresh(rows.size, (1, 1))
        self.reader.operations.append(Mean(self.path, rows.ravel(), means, self.size))
        if rows.shape[1] == 1:
            return means
        return summed(self.reader, self.path, means.reshape(rows.shape), None, 1 / rows.shape[1])


def _layer_norm(reader: Reader, node: fx.Node, given: Given) -> Value:
    """Over the last dimensions, none of which are pixels: at each pixel, or of numbers."""
    x: Value = given["input"]
    dims = len(given["normalized_shape"])
    if x.size is not None and x.behind < dims:
        raise reader.refuse(node, "over rows or columns")
    rows = x.planes.reshape(-1, int(np.prod(given["normalized_shape"])))
    weight, bias = (None if given[key] is None else given[key].ravel() for key in ("weight", "bias"))
    norm, scale = _Norm(reader, node, x.size or (1, 1)), 1 / rows.shape[1]
    centred = norm.centred(rows, summed(reader, norm.path, rows, x.size, scale))
    variance = summed(reader, norm.path, norm.squares(centred), x.size, scale)
    return Value(norm.whole(centred, variance, given["eps"], weight, bias).reshape(x.planes.shape), x.size, x.behind)


def _group_norm(reader: Reader, node: fx.Node, given: Given) -> Value:
    return _over_planes(reader, node, given, given["num_groups"])


def _instance_norm(reader: Reader, node: fx.Node, given: Given) -> Value:
    if not given["use_input_stats"]:
        raise reader.refuse(node, "with statistics of its own")
    return _over_planes(reader, node, given, given["input"].shape[1])


def _over_planes(reader: Reader, node: fx.Node, given: Given, groups: int) -> Value:
    """The same number of channels in each group, all of their pixels together."""
    x: Value = given["input"]
    if x.size is None and x.shape[-2:] != (1, 1) and len(x.shape) > 2:
        raise reader.refuse(node, "of numbers that are not planes")
    rows = x.planes.reshape(groups, -1)
    norm = _Norm(reader, node, x.size or (1, 1))
    centred = norm.centred(rows, norm.means(rows))
    variance = norm.means(norm.squares(centred))
    whole = norm.whole(centred, variance, given["eps"], given["weight"], given["bias"])
    return Value(whole.reshape(x.planes.shape), x.size)


def _length(reader: Reader, node: fx.Node, given: Given) -> Value:
    """The root of the sum of squares over all pixels of a plane."""
    x: Value = given["self"]
    dims = sorted(dim % len(x.shape) for dim in given["dim"] or ())
    ahead = x.planes.ndim - x.behind
    if x.size is None or given["ord"] != 2 or dims != [ahead, ahead + 1]:
        raise reader.refuse(node, "of another order, or over anything but rows and columns")
    norm = _Norm(reader, node, x.size)
    means = norm.means(norm.squares(x.planes.reshape(-1, 1)))
    out = reader.fresh(means.size, (1, 1))
    value = Call("sqrt", (Call("mul", (Read(means.ravel()), Const(float(np.prod(x.size))))),))
    reader.operations.append(Map(norm.path, out, (1, 1), value))
    return Value(out.reshape(node.meta["shape"]))


NORMS = {
    "linalg_vector_norm": _length,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
}
