"""From nodes to layer records: what each operator costs, from its shapes alone.

Multiply-adds: one multiply-accumulate is 1.  A convolution does (output positions) x (weights), a transposed one (input
positions) x (weights), a matrix product m x k x n.  Norm, activation, pooling, bias and data movement do none.

Memory access: elements of operands + weight + result, bias and running statistics left out, as in ShuffleNetV2's
hw(c1 + c2) + c1 c2 (Ma et al., ECCV 2018, arXiv:1807.11164, section 2).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import torch

from pumice.graph.modules import Extra
from pumice.graph.ops import MATRIX_OPERANDS
from pumice.graph.records import Layer, Node, Shape, Value

_FREE = ("view", "create")
_STORED = ("parameter", "buffer")
_STATISTICS = ("bias", "running_mean", "running_var")


def layer_records(
    nodes: Iterable[Node], values: Sequence[Value], extras: Iterable[Extra], sizes: Mapping[str, int]
) -> tuple[Layer, ...]:
    """One record for every node that does work, and one for every declared extra, in order of execution.

    sizes: elements of every parameter by qualified name.
    """
    layers: list[Layer] = []
    seen: set[str] = set()
    waiting = sorted(extras, key=lambda extra: extra.after)
    for node in nodes:
        while waiting and waiting[0].after <= node.index:
            layers.append(_extra(waiting.pop(0)))
        if not works(node):
            continue
        used = {values[i].name for i in node.inputs if values[i].kind == "parameter"} - seen
        seen |= used
        layers.append(_layer(node, values, sum(sizes[name] for name in used)))
    return (*layers, *map(_extra, waiting))


def works(node: Node) -> bool:
    """Whether a node does work, and so has a layer record; records other than extras follow these nodes in order."""
    return node.kind not in _FREE and bool(node.outputs)


def _bytes(value: Value) -> int:
    dtype: torch.dtype = getattr(torch, value.dtype)
    return value.elements * dtype.itemsize


def _extra(extra: Extra) -> Layer:
    return Layer(extra.path, "extra", "extra_madds", (extra.input_shape,), extra.output_shape, extra_madds=extra.madds)


def _layer(node: Node, values: Sequence[Value], params: int) -> Layer:
    operator = node.op.split(".")[1].removesuffix("_")
    unread = _unread(node, operator)
    operands = [values[i] for i in dict.fromkeys(node.inputs) if i not in unread]
    output = values[node.outputs[0]]
    layer = Layer(
        name=node.path,
        op=node.kind,
        function=operator.lstrip("_"),
        input_shapes=tuple(v.shape for v in operands if v.kind not in _STORED),
        output_shape=output.shape,
        params=params,
        memory_access=sum(v.elements for v in operands) + output.elements,
        memory_bytes=sum(map(_bytes, operands)) + _bytes(output),
        weight_bytes=sum(_bytes(v) for v in operands if not v.from_input),
    )
    if node.kind == "conv":
        return _convolution(layer, node, values)
    if node.kind == "matmul":
        return _product(layer, node, values, operator)
    if node.kind == "pool":
        return _pool(layer, node)
    return layer


def _unread(node: Node, operator: str) -> set[int | None]:
    """Operands that memory access leaves out."""
    if node.kind == "conv":
        return {node.ref("bias")}
    if node.kind == "norm":
        return {node.ref(name) for name in _STATISTICS}
    overwritten = operator in ("copy", "fill", "zero")
    added = operator in MATRIX_OPERANDS and "self" not in MATRIX_OPERANDS[operator]
    return {node.ref("self")} if overwritten or added else set()


def _convolution(layer: Layer, node: Node, values: Sequence[Value]) -> Layer:
    weight = values[node.inputs[list(node.arguments).index("weight")]]
    images = values[node.inputs[0]].shape
    transposed = bool(node.arguments.get("transposed", False))
    positions = images if transposed else layer.output_shape
    spatial = len(weight.shape) - 2
    return replace(
        layer,
        op="conv_transpose" if transposed else "conv",
        kernel=weight.shape[2:],
        stride=_each(node, "stride", spatial),
        padding=_each(node, "padding", spatial),
        dilation=_each(node, "dilation", spatial),
        groups=int(node.arguments.get("groups", 1)),
        madds=(positions[0] if len(positions) == spatial + 2 else 1) * prod(positions[-spatial:]) * prod(weight.shape),
    )


def _product(layer: Layer, node: Node, values: Sequence[Value], operator: str) -> Layer:
    if operator not in MATRIX_OPERANDS:
        query, key, value = (values[i].shape for i in node.inputs[:3])
        # softmax(q k^T) v: (.., l, d) (.., s, d) (.., s, e) -> l s d + l s e for every head.
        return replace(layer, madds=prod(query[:-1]) * key[-2] * (query[-1] + value[-1]))
    left, right = (node.ref(name) for name in MATRIX_OPERANDS[operator])
    if left is None or right is None:
        raise AssertionError(f"{node.op} without its matrices")
    shape = values[right].shape
    learned = any(values[i].kind in _STORED for i in (left, right))
    return replace(
        layer,
        op="linear" if learned else "matmul",
        madds=prod(values[left].shape) * (shape[-1] if len(shape) > 1 else 1),
    )


def _pool(layer: Layer, node: Node) -> Layer:
    spatial = len(layer.output_shape) - 2
    kernel = _each(node, "kernel_size", spatial)
    return replace(
        layer,
        kernel=kernel,
        stride=_each(node, "stride", spatial) or kernel,
        padding=_each(node, "padding", spatial),
        dilation=_each(node, "dilation", spatial),
    )


def _each(node: Node, name: str, spatial: int) -> Shape:
    """A window's setting, one number for each spatial dimension; torch lets a single number stand for all."""
    found: Any = node.arguments.get(name, ())
    numbers = found if isinstance(found, tuple) else (found,)
    return tuple(numbers) * spatial if len(numbers) == 1 else tuple(numbers)
