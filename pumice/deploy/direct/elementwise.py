"""Element-wise operators and activations as ONNX nodes."""

from typing import TYPE_CHECKING, Any

from pumice.deploy.direct.arguments import float32, refuse
from pumice.graph.records import Node

if TYPE_CHECKING:
    from pumice.deploy.direct.arguments import Emitter
    from pumice.deploy.direct.writer import Writer


def _unary(kind: str, **attributes: Any) -> "Emitter":
    def emit(w: "Writer", node: Node) -> None:
        w.op(node, kind, [w.name(node.inputs[0])], **attributes)

    return emit


def _binary(kind: str, swapped: bool = False) -> "Emitter":
    def emit(w: "Writer", node: Node) -> None:
        a = node.arguments
        left, right = w.number(a["self"]), w.number(a["other"])
        if a.get("alpha", 1) != 1:
            # alpha scales `other`; for rsub, which is other - alpha * self, it scales `self`.
            scaled = w.op(node, "Mul", [left if swapped else right, float32(w, a["alpha"])], last=False)
            left, right = (scaled, right) if swapped else (left, scaled)
        w.op(node, kind, [right, left] if swapped else [left, right])

    return emit


def _divide(w: "Writer", node: Node) -> None:
    if node.arguments.get("rounding_mode") is not None:
        raise refuse(node, "rounds")
    _binary("Div")(w, node)


def _power(w: "Writer", node: Node) -> None:
    w.op(node, "Pow", [w.number(node.arguments["self"]), w.number(node.arguments["exponent"])])


def _clamp(low: str, high: str) -> "Emitter":
    def emit(w: "Writer", node: Node) -> None:
        bounds = [node.arguments.get(name) for name in (low, high)]
        w.op(node, "Clip", [w.name(node.inputs[0]), *("" if b is None else w.number(b) for b in bounds)])

    return emit


def _relu6(w: "Writer", node: Node) -> None:
    w.op(node, "Clip", [w.name(node.inputs[0]), float32(w, 0.0), float32(w, 6.0)])


def _silu(w: "Writer", node: Node) -> None:
    x = w.name(node.inputs[0])
    w.op(node, "Mul", [x, w.op(node, "Sigmoid", [x], last=False)])


def _gelu(w: "Writer", node: Node) -> None:
    w.op(node, "Gelu", [w.name(node.inputs[0])], approximate=str(node.arguments.get("approximate", "none")))


def _prelu(w: "Writer", node: Node) -> None:
    w.op(node, "PRelu", [w.name(node.arguments["self"]), w.name(node.arguments["weight"])])


def _leaky_relu(w: "Writer", node: Node) -> None:
    w.op(node, "LeakyRelu", [w.name(node.inputs[0])], alpha=float(node.arguments.get("negative_slope", 0.01)))


def _softmax(w: "Writer", node: Node) -> None:
    w.op(node, "Softmax", [w.name(node.inputs[0])], axis=int(node.arguments["dim"]))


def _rsqrt(w: "Writer", node: Node) -> None:
    w.op(node, "Reciprocal", [w.op(node, "Sqrt", [w.name(node.inputs[0])], last=False)])


EMITTERS: "dict[str, Emitter]" = {
    "relu": _unary("Relu"),
    "hardswish": _unary("HardSwish"),
    "hardsigmoid": _unary("HardSigmoid", alpha=1 / 6, beta=0.5),
    "sigmoid": _unary("Sigmoid"),
    "tanh": _unary("Tanh"),
    "exp": _unary("Exp"),
    "log": _unary("Log"),
    "sqrt": _unary("Sqrt"),
    "abs": _unary("Abs"),
    "neg": _unary("Neg"),
    "erf": _unary("Erf"),
    "reciprocal": _unary("Reciprocal"),
    "softplus": _unary("Softplus"),
    "mish": _unary("Mish"),
    "elu": _unary("Elu", alpha=1.0),
    "rsqrt": _rsqrt,
    "silu": _silu,
    "gelu": _gelu,
    **dict.fromkeys(("_prelu_kernel", "prelu"), _prelu),
    "leaky_relu": _leaky_relu,
    **dict.fromkeys(("_softmax", "softmax"), _softmax),
    "hardtanh": _clamp("min_val", "max_val"),
    "relu6": _relu6,
    "clamp": _clamp("min", "max"),
    "clamp_min": _clamp("min", ""),
    "clamp_max": _clamp("", "max"),
    "add": _binary("Add"),
    "sub": _binary("Sub"),
    "rsub": _binary("Sub", swapped=True),
    "mul": _binary("Mul"),
    "div": _divide,
    "pow": _power,
    "maximum": _binary("Max"),
    "minimum": _binary("Min"),
}
"""By the operator's schema name without the underscore of its in-place form."""
