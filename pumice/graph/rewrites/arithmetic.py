"""Chains of additions and multiplications with constants become at most one of each.

A chain of x + b, x - b, a x, x / a and reshapes is a x + b with tensors a and b; a hard sigmoid before it is a clamp:

    a hardsigmoid(x) + b = clamp(a x / 6, -a / 2, a / 2) + (a / 2 + b)     for one number a > 0

where a / 6 goes into the layer that makes x.  The coefficients of Dynamic Shift-Max are such a chain: six operators on
a few hundred numbers, each of which costs a runtime as much as a small convolution.
"""

import torch
from torch import Tensor, fx

from pumice.graph.rewrites.layers import is_layer, scale_outputs
from pumice.graph.rewrites.program import call, constant, operator_of, settle, shape, tensor

aten = torch.ops.aten

AFFINE = ("add", "sub", "mul", "div")
RESHAPES = ("reshape", "view", "_unsafe_view", "flatten", "unsqueeze", "squeeze")


def merge_arithmetic(gm: fx.GraphModule) -> None:
    """Shorten every chain that can be shortened."""
    seen: set[fx.Node] = set()
    for node in list(gm.graph.nodes):
        if node not in seen and _link(gm, node):
            chain = _chain(gm, node)
            seen.update(chain)
            _shorten(gm, chain)
    settle(gm)


def _link(gm: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node maps one tensor, element by element and in order, by a x + b."""
    op = operator_of(node)
    if op not in AFFINE + RESHAPES or not node.args or not isinstance(node.args[0], fx.Node):
        return False
    sizes = [shape(n) for n in (node, node.args[0])]
    if any(not size for size in sizes) or tensor(gm, node.args[0]) is not None or node.kwargs:
        return False
    inner, outer = sizes[1], sizes[0]
    assert inner is not None
    assert outer is not None
    if op in RESHAPES:
        return inner[0] == outer[0]
    other = node.args[1]
    constant_other = isinstance(other, int | float) or tensor(gm, other) is not None
    return constant_other and inner == outer and len(node.args) == 2


def _chain(gm: fx.GraphModule, first: fx.Node) -> list[fx.Node]:
    chain = [first]
    while len(chain[-1].users) == 1:
        (user,) = chain[-1].users
        if user.args[0] is not chain[-1] or user.all_input_nodes.count(chain[-1]) != 1 or not _link(gm, user):
            break
        chain.append(user)
    while operator_of(chain[-1]) in RESHAPES and len(chain) > 1 and operator_of(chain[-2]) not in AFFINE + RESHAPES:
        chain.pop()
    return chain


def _shorten(gm: fx.GraphModule, chain: list[fx.Node]) -> None:
    source, last = chain[0].args[0], chain[-1]
    assert isinstance(source, fx.Node)
    start, end = shape(source), shape(last)
    assert start is not None
    assert end is not None
    if not any(operator_of(node) in AFFINE for node in chain):
        return
    dtype = next((b.dtype for b in gm.buffers() if b.is_floating_point()), torch.float32)
    b = _run(gm, chain, torch.zeros(start, dtype=torch.float64))[:1]
    a = _run(gm, chain, torch.ones(start, dtype=torch.float64))[:1] - b
    factor, term = _small(a), _small(b)
    layer = None
    if operator_of(source) == "hardsigmoid" and len(source.users) == 1 and factor.numel() == 1 and float(factor) > 0:
        before = source.args[0]
        if is_layer(gm, before) and len(before.users) == 1:  # type: ignore[union-attr]
            layer = before
    if layer is not None:
        term = _small(b + a / 2)
    steps = (bool((factor != 1).any()) and layer is None) + bool((term != 0).any()) + (start != end)
    if steps >= len(chain) and layer is None:
        return
    with gm.graph.inserting_before(last):
        x = source
        if layer is not None:
            assert isinstance(layer, fx.Node)
            half = float(factor) / 2
            width = (shape(layer) or (0, 0))[1]
            scale_outputs(gm, layer, torch.full((width,), half / 3, dtype=torch.float64), torch.zeros(width))
            x = call(gm.graph, aten.hardtanh.default, layer, -half, half, like=source)
        elif (factor != 1).any():
            x = call(gm.graph, aten.mul.Tensor, x, _value(gm, factor, dtype, f"{last.name}_factor"), like=chain[0])
        if (term != 0).any():
            x = call(gm.graph, aten.add.Tensor, x, _value(gm, term, dtype, f"{last.name}_term"), like=chain[0])
        if start != end:
            x = call(gm.graph, aten.reshape.default, x, list(end), like=last)
    last.replace_all_uses_with(x)
    for node in reversed(chain):
        gm.graph.erase_node(node)


def _run(gm: fx.GraphModule, chain: list[fx.Node], value: Tensor) -> Tensor:
    for node in chain:
        rest = [a if (t := tensor(gm, a)) is None else t.double() for a in node.args[1:]]
        value = node.target(value, *rest)  # type: ignore[operator]
    first = chain[0].args[0]
    assert isinstance(first, fx.Node)
    return value.reshape(shape(first) or ())


def _small(value: Tensor) -> Tensor:
    """The same numbers with one element along every dimension in which all are equal."""
    for dim in range(value.dim()):
        first = value.narrow(dim, 0, 1)
        if torch.equal(value, first.expand_as(value)):
            value = first
    return value


def _value(gm: fx.GraphModule, value: Tensor, dtype: torch.dtype, name: str) -> object:
    return float(value) if value.numel() == 1 else constant(gm, value.to(dtype), name)
