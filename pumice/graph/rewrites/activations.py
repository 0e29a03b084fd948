"""Hard sigmoid and hard swish, however they were spelt, as the one operator that runtimes have for each.

Hard sigmoid is min(max(x + 3, 0), 6) / 6, hard swish x times that.
"""

import math

import torch
from torch import fx

from pumice.graph.rewrites.program import arguments, call, operator_of, settle, shape, tensor

aten = torch.ops.aten


def name_activations(gm: fx.GraphModule) -> None:
    """Turn every spelling of hard sigmoid and of hard swish into one operator."""
    for node in list(gm.graph.nodes):
        for rule in (_hard_sigmoid, _hard_swish, _hard_swish_divided_last):
            source, target = rule(gm, node)
            if source is None:
                continue
            with gm.graph.inserting_before(node):
                new = call(gm.graph, target, source, like=node)
            new.meta["shape"] = shape(node)
            node.replace_all_uses_with(new)
            break
    settle(gm)


def _hard_sigmoid(gm: fx.GraphModule, node: fx.Node) -> tuple[fx.Node | None, object]:
    """relu6(x + 3) / 6, and clamp(x / 6 + 0.5, 0, 1)."""
    inner, factor = _scaled(gm, node)
    if inner is not None and math.isclose(factor, 1 / 6, rel_tol=1e-6) and _clamp(inner) == (0, 6):
        source, offset = _shifted(gm, inner.args[0])
        if source is not None and offset == 3:
            return source, aten.hardsigmoid.default
    if _clamp(node) == (0, 1):
        inner, offset = _shifted(gm, node.args[0])
        source, factor = _scaled(gm, inner)
        if source is not None and offset == 0.5 and math.isclose(factor, 1 / 6, rel_tol=1e-6):
            return source, aten.hardsigmoid.default
    return None, None


def _hard_swish(gm: fx.GraphModule, node: fx.Node) -> tuple[fx.Node | None, object]:
    """x * hardsigmoid(x)."""
    for x, gate in _products(node):
        if operator_of(gate) == "hardsigmoid" and gate.args[0] is x:
            return x, aten.hardswish.default
    return None, None


def _hard_swish_divided_last(gm: fx.GraphModule, node: fx.Node) -> tuple[fx.Node | None, object]:
    """x * relu6(x + 3) / 6."""
    inner, factor = _scaled(gm, node)
    if inner is not None and math.isclose(factor, 1 / 6, rel_tol=1e-6):
        for x, gate in _products(inner):
            if _clamp(gate) == (0, 6) and _shifted(gm, gate.args[0]) == (x, 3):
                return x, aten.hardswish.default
    return None, None


def _products(node: fx.Node) -> list[tuple[fx.Node, fx.Node]]:
    if operator_of(node) != "mul" or not all(isinstance(operand, fx.Node) for operand in node.args[:2]):
        return []
    a, b = node.args[:2]
    return [(a, b), (b, a)]  # type: ignore[list-item]


def _clamp(node: object) -> tuple[float, float] | None:
    """Lower and upper bound of a node that clamps between two numbers."""
    if not isinstance(node, fx.Node):
        return None
    op = operator_of(node)
    given = arguments(node) if op in ("relu6", "hardtanh", "clamp") else {}
    if op == "relu6":
        return 0, 6
    if op == "hardtanh":
        return given["min_val"], given["max_val"]
    if op == "clamp" and all(isinstance(given[key], int | float) for key in ("min", "max")):
        return given["min"], given["max"]
    return None


def _scaled(gm: fx.GraphModule, node: object) -> tuple[fx.Node | None, float]:
    """(x, a) of a x."""
    found, number = _with_number(gm, node, ("mul", "div"))
    if found is None or not isinstance(node, fx.Node) or not number:
        return None, 0
    return found, number if operator_of(node) == "mul" else 1 / number


def _shifted(gm: fx.GraphModule, node: object) -> tuple[fx.Node | None, float]:
    """(x, b) of x + b."""
    return _with_number(gm, node, ("add",))


def _with_number(gm: fx.GraphModule, node: object, ops: tuple[str, ...]) -> tuple[fx.Node | None, float]:
    if not isinstance(node, fx.Node) or operator_of(node) not in ops or len(node.args) < 2:
        return None, 0
    if arguments(node).get("alpha", 1) != 1 or arguments(node).get("rounding_mode") is not None:
        return None, 0
    a, b = node.args[:2]
    pairs = [(a, b)] if operator_of(node) == "div" else [(a, b), (b, a)]
    for x, other in pairs:
        value = tensor(gm, other)
        number = float(value) if value is not None and value.numel() == 1 else other
        if isinstance(x, fx.Node) and tensor(gm, x) is None and isinstance(number, int | float):
            return x, float(number)
    return None, 0
