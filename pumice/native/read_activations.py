"""Activations and powers that are made of simpler functions; gated units."""

import math
from typing import Any

import numpy as np
from torch import fx

from pumice.native.expression import Call, Const, Expression
from pumice.native.read import Reader, Value
from pumice.native.read_points import mapped

Given = dict[str, Any]
SELU = (1.6732632423543772, 1.0507009873554805)
"""Its slope below zero and its scale."""


def _call(name: str, *args: Expression | float) -> Expression:
    return Call(name, tuple(Const(float(one)) if isinstance(one, int | float) else one for one in args))


def _elu(reader: Reader, node: fx.Node, given: Given) -> Value:
    alpha, scale, inside = (float(given.get(key, 1)) for key in ("alpha", "scale", "input_scale"))
    if "selu" in str(node.target):
        alpha, scale = SELU
    elif "celu" in str(node.target):
        inside = 1 / alpha

    def build(x: Expression) -> Expression:
        below = _call("exp", _call("mul", _call("min", x, 0.0), inside))
        whole = _call("add", _call("relu", x), _call("mul", _call("sub", below, 1.0), alpha))
        return whole if scale == 1 else _call("mul", whole, scale)

    return mapped(reader, node, (given["self"],), build)


def _gelu(reader: Reader, node: fx.Node, given: Given) -> Value:
    """x Phi(x), or with tanh, of which (1 + tanh y) / 2 = sigmoid(2 y)."""
    if given["approximate"] == "none":
        return mapped(reader, node, (given["self"],), lambda x: _call("gelu", x))
    by = 2 * math.sqrt(2 / math.pi)

    def build(x: Expression) -> Expression:
        cubic = _call("add", _call("mul", _call("mul", x, x), by * 0.044715), by)
        return _call("mul", x, _call("sigmoid", _call("mul", x, cubic)))

    return mapped(reader, node, (given["self"],), build)


def _mish(reader: Reader, node: fx.Node, given: Given) -> Value:
    return mapped(reader, node, (given["self"],), lambda x: _call("mul", x, _call("tanh", _call("softplus", x))))


def _softplus(reader: Reader, node: fx.Node, given: Given) -> Value:
    """log(1 + e^(beta x)) / beta; beyond its threshold torch leaves out what rounding leaves out here."""
    beta = float(given["beta"])
    if beta * given["threshold"] < 15:
        raise reader.refuse(node, "with so low a threshold")

    def build(x: Expression) -> Expression:
        return _call("softplus", x) if beta == 1 else _call("div", _call("softplus", _call("mul", x, beta)), beta)

    return mapped(reader, node, (given["self"],), build)


def _log_sigmoid(reader: Reader, node: fx.Node, given: Given) -> Value:
    return mapped(reader, node, (given["self"],), lambda x: _call("neg", _call("softplus", _call("neg", x))))


def power(x: Expression, exponent: float) -> Expression | None:
    """x^exponent for multiples of 1 / 4 from -3 to 3: products of x, its root and the root of that."""
    quarters = abs(exponent) * 4
    if not 0 < quarters <= 12 or quarters != int(quarters):
        return None
    whole, rest = divmod(int(quarters), 4)
    root = _call("sqrt", x)
    factors = [x] * whole + [root] * (rest // 2) + [_call("sqrt", root)] * (rest % 2)
    made = factors[0]
    for factor in factors[1:]:
        made = _call("mul", made, factor)
    return made if exponent > 0 else _call("div", 1.0, made)


def _pow(reader: Reader, node: fx.Node, given: Given) -> Value:
    x, exponent = given["self"], given.get("exponent", EXPONENTS.get(str(node.target).split(".")[1]))
    if not isinstance(x, Value) or not isinstance(exponent, int | float) or power(Const(1.0), exponent) is None:
        raise reader.refuse(node, "by such a number")
    return mapped(reader, node, (x,), lambda one: power(one, float(exponent)))


def _glu(reader: Reader, node: fx.Node, given: Given) -> Value:
    x: Value = given["self"]
    dim = given["dim"] % len(x.shape)
    if x.behind or dim >= x.planes.ndim:
        raise reader.refuse(node, "along rows or columns")
    halves = [Value(half, x.size) for half in np.split(x.planes, 2, dim)]
    return mapped(reader, node, tuple(halves), lambda a, b: _call("mul", a, _call("sigmoid", b)))


EXPONENTS = {"sqrt": 0.5, "rsqrt": -0.5, "square": 2.0}
ACTIVATIONS = {
    **dict.fromkeys(("elu", "elu_", "celu", "celu_", "selu", "selu_"), _elu),
    "gelu": _gelu,
    **dict.fromkeys(("mish", "mish_"), _mish),
    "softplus": _softplus,
    "log_sigmoid": _log_sigmoid,
    **dict.fromkeys(("pow", *EXPONENTS), _pow),
    "glu": _glu,
}
