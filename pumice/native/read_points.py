"""Operators that work point by point: each is a map of one function."""

import math
from typing import Any

import numpy as np
from torch import fx

from pumice.native.expression import Call, Const, Expression, Read
from pumice.native.ir import Map, Size
from pumice.native.read import Reader, Value
from pumice.native.read_moves import as_image
from pumice.native.read_resamples import repeated

Given = dict[str, Any]
PAIRS = {
    **dict.fromkeys(("add", "add_"), "add"),
    **dict.fromkeys(("sub", "sub_"), "sub"),
    **dict.fromkeys(("mul", "mul_"), "mul"),
    **dict.fromkeys(("div", "div_"), "div"),
    "maximum": "max",
    "minimum": "min",
}
SINGLE = {
    **dict.fromkeys(("relu", "relu_"), "relu"),
    **dict.fromkeys(("hardsigmoid", "hardsigmoid_"), "hardsigmoid"),
    **dict.fromkeys(("hardswish", "hardswish_"), "hardswish"),
    **dict.fromkeys(("sigmoid", "sigmoid_"), "sigmoid"),
    **dict.fromkeys(("silu", "silu_"), "silu"),
    **dict.fromkeys(("neg", "exp", "tanh", "abs"), ""),
}


def _pixels(x: Any) -> Size | None:
    return x.size if isinstance(x, Value) else None


def mapped(reader: Reader, node: fx.Node, operands: tuple[Any, ...], build: Any) -> Value:
    """A map over broadcast operands: values, constants and numbers; `build` makes the expression of theirs."""
    shape = tuple(node.meta["shape"])
    behind = max((x.behind for x in operands if isinstance(x, Value)), default=0)
    if behind:
        operands = tuple(_in_front(reader, node, x, behind, len(shape)) for x in operands)
        cut = len(shape) - behind
        shape = (*shape[: cut - 2], *shape[cut:], *shape[cut - 2 : cut])
    size: Size | None = shape[-2:] if any(_pixels(x) is not None for x in operands) else None
    lead = shape[:-2] if size else shape
    leaves = tuple(_leaf(reader, node, x, lead, size) for x in operands)
    out = reader.fresh(math.prod(lead), size or (1, 1))
    reader.operations.append(Map(str(node.meta.get("path", "") or node.name), out, size or (1, 1), build(*leaves)))
    return Value(out.reshape(lead), size, behind)


def _in_front(reader: Reader, node: fx.Node, x: Any, behind: int, ndim: int) -> Any:
    """An operand of a tensor with channels behind its pixels, as if they were in front."""
    if isinstance(x, Value):
        if x.behind == behind and len(x.shape) == ndim:
            return Value(x.planes, x.size)
        if x.size is not None:
            raise reader.refuse(node, "of channels that lie behind the pixels, and others that do not")
    array = x.planes if isinstance(x, Value) else np.asarray(x)
    if array.size == 1 and not isinstance(x, Value):
        return float(array.reshape(()))
    array = array.reshape((1,) * (ndim - array.ndim) + array.shape)
    cut = ndim - behind
    order = [*range(cut - 2), *range(cut, ndim), cut - 2, cut - 1]
    array = array.transpose(order)
    return Value(array) if isinstance(x, Value) else array


def _leaf(reader: Reader, node: fx.Node, x: Any, lead: tuple[int, ...], size: Size | None) -> Expression:
    if isinstance(x, int | float):
        return Const(float(x))
    if isinstance(x, Value):
        planes = x.planes
        if size is not None and x.size is None:
            # (N, C, 1, 1) beside (N, C, H, W): one number for all pixels.
            planes = planes.reshape((1,) * (2 - planes.ndim) + planes.shape)
            x = as_image(reader, node, Value(planes.reshape((1,) * (3 - planes.ndim) + planes.shape)))
            planes = x.planes if x.size else planes[..., 0, 0]
        if size is not None and x.size is not None and x.size != size:
            planes = repeated(reader, node, x, size).planes
        return Read(np.ascontiguousarray(np.broadcast_to(planes, lead)).ravel())
    array = np.asarray(x, np.float32)
    if array.size == 1:
        return Const(float(array.reshape(())))
    if size is not None:
        if array.ndim < 2 or array.shape[-2:] != (1, 1):
            raise reader.refuse(node, "of a constant that varies along rows or columns")
        array = array[..., 0, 0]
    return Const(np.ascontiguousarray(np.broadcast_to(array, lead)).ravel())


def _pair(reader: Reader, node: fx.Node, given: Given) -> Value:
    name = PAIRS[_operator(node)]
    left, right = given["self"], given["other"]
    if given.get("rounding_mode"):
        raise reader.refuse(node, "with rounding")
    alpha = given.get("alpha", 1)

    def build(a: Expression, b: Expression) -> Expression:
        return Call(name, (a, b if alpha == 1 else Call("mul", (b, Const(float(alpha))))))

    return mapped(reader, node, (left, right), build)


def _single(reader: Reader, node: fx.Node, given: Given) -> Value:
    operator = _operator(node)
    name = SINGLE[operator] or operator
    x = given["self" if "self" in given else "input"]
    return mapped(reader, node, (x,), lambda a: Call(name, (a,)))


def _clamp(reader: Reader, node: fx.Node, given: Given) -> Value:
    low = given["min_val" if "min_val" in given else "min"] if _operator(node) != "relu6" else 0.0
    high = given["max_val" if "max_val" in given else "max"] if _operator(node) != "relu6" else 6.0

    def build(a: Expression) -> Expression:
        if low is not None:
            a = Call("relu", (a,)) if float(low) == 0.0 else Call("max", (a, Const(float(low))))
        return a if high is None else Call("min", (a, Const(float(high))))

    return mapped(reader, node, (given["self" if "self" in given else "input"],), build)


def _leaky(reader: Reader, node: fx.Node, given: Given) -> Value:
    slope = float(given["negative_slope"])

    def build(a: Expression) -> Expression:
        return Call("add", (Call("relu", (a,)), Call("mul", (Call("min", (a, Const(0.0))), Const(slope)))))

    return mapped(reader, node, (given["self"],), build)


def _prelu(reader: Reader, node: fx.Node, given: Given) -> Value:
    x, weight = given["self"], np.asarray(given["weight"], np.float32)
    slope = weight.reshape(-1, *[1] * (len(node.meta["shape"]) - 2)) if weight.size > 1 else float(weight.reshape(()))

    def build(a: Expression, b: Expression) -> Expression:
        return Call("add", (Call("relu", (a,)), Call("mul", (Call("min", (a, Const(0.0))), b))))

    return mapped(reader, node, (x, slope), build)


def _rsub(reader: Reader, node: fx.Node, given: Given) -> Value:
    return mapped(reader, node, (given["other"], given["self"]), lambda a, b: Call("sub", (a, b)))


def _reciprocal(reader: Reader, node: fx.Node, given: Given) -> Value:
    return mapped(reader, node, (1.0, given["self"]), lambda a, b: Call("div", (a, b)))


def _addcmul(reader: Reader, node: fx.Node, given: Given) -> Value:
    """self + value * tensor1 * tensor2"""
    value = Const(float(given["value"]))

    def build(a: Expression, b: Expression, c: Expression) -> Expression:
        product = Call("mul", (b, c))
        return Call("add", (a, product if given["value"] == 1 else Call("mul", (product, value))))

    return mapped(reader, node, (given["self"], given["tensor1"], given["tensor2"]), build)


def _operator(node: fx.Node) -> str:
    from pumice.graph.rewrites.program import operator_of

    return operator_of(node)


POINTS = {
    **dict.fromkeys(PAIRS, _pair),
    **dict.fromkeys(SINGLE, _single),
    **dict.fromkeys(("hardtanh", "hardtanh_", "clamp", "clamp_", "relu6", "clamp_min", "clamp_max"), _clamp),
    **dict.fromkeys(("leaky_relu", "leaky_relu_"), _leaky),
    **dict.fromkeys(("prelu", "_prelu_kernel"), _prelu),
    "rsub": _rsub,
    "addcmul": _addcmul,
    "reciprocal": _reciprocal,
}
