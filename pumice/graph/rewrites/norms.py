"""Batch norms that `pumice.graph.fold` leaves, because no convolution stands directly before them.

y = s x + t for each channel.  It disappears into the convolutions that alone read it, where they pad nothing (else
they would pad x with -t / s), or into those that make the parts of a concatenation before it.  What stays becomes one
multiplication and one addition, or a depthwise 1 x 1 convolution: runtimes have fast code for that one, and fuse an
activation with it.
"""

import torch
from torch import Tensor, fx

from pumice.graph.rewrites.layers import is_layer, scale_inputs, scale_outputs
from pumice.graph.rewrites.program import arguments, call, constant, operator_of, settle, shape, tensor

aten = torch.ops.aten


def fold_norms(gm: fx.GraphModule) -> None:
    """Fold batch norms into convolutions and linear layers before or behind them, where that is exact."""
    for node, scale, shift in _norms(gm):
        feeder, readers = node.args[0], list(node.users)
        layers = _makers(gm, feeder, node)
        if layers:
            start = 0
            for layer in layers:
                width = (shape(layer) or (0, 0))[1]
                scale_outputs(gm, layer, scale[start : start + width], shift[start : start + width])
                start += width
        elif readers and all(is_layer(gm, r) and r.args[0] is node and _unpadded(r) for r in readers):
            for reader in readers:
                scale_inputs(gm, reader, scale, shift)
        else:
            continue
        node.replace_all_uses_with(feeder)  # type: ignore[arg-type]
        gm.graph.erase_node(node)
    settle(gm)


def multiply_add(gm: fx.GraphModule) -> None:
    """Every batch norm that is left: x * s + t."""
    for node, scale, shift in _norms(gm):
        tail = [1] * (len(shape(node) or ()) - 2)
        with gm.graph.inserting_before(node):
            s = constant(gm, scale.view(1, -1, *tail), f"{node.name}_scale")
            t = constant(gm, shift.view(1, -1, *tail), f"{node.name}_shift")
            product = call(gm.graph, aten.mul.Tensor, node.args[0], s, like=node)
            node.replace_all_uses_with(call(gm.graph, aten.add.Tensor, product, t, like=node))
        gm.graph.erase_node(node)
    settle(gm)


def depthwise_norms(gm: fx.GraphModule) -> None:
    """Every batch norm of a map that is left: a depthwise 1 x 1 convolution."""
    for node, scale, shift in _norms(gm):
        if len(shape(node) or ()) != 4:
            continue
        with gm.graph.inserting_before(node):
            weight = constant(gm, scale.view(-1, 1, 1, 1), f"{node.name}_scale")
            bias = constant(gm, shift, f"{node.name}_shift")
            given = (node.args[0], weight, bias, [1, 1], [0, 0], [1, 1], len(scale))
            node.replace_all_uses_with(call(gm.graph, aten.conv2d.default, *given, like=node))
        gm.graph.erase_node(node)
    settle(gm)


def _norms(gm: fx.GraphModule) -> list[tuple[fx.Node, Tensor, Tensor]]:
    """Batch norms of constant statistics, with s and t."""
    found = []
    for node in list(gm.graph.nodes):
        if operator_of(node) != "batch_norm":
            continue
        given = arguments(node)
        mean, variance = tensor(gm, given["running_mean"]), tensor(gm, given["running_var"])
        if given["training"] or mean is None or variance is None:
            continue
        scale = (variance.double() + given["eps"]).rsqrt()
        weight, bias = tensor(gm, given["weight"]), tensor(gm, given["bias"])
        scale = scale if weight is None else scale * weight.double()
        shift = -mean.double() * scale + (0 if bias is None else bias.double())
        found.append((node, scale.to(mean.dtype), shift.to(mean.dtype)))
    return found


def _makers(gm: fx.GraphModule, value: object, reader: fx.Node) -> list[fx.Node]:
    """The layers that alone make a value for its only reader, in the order of its channels; none if it is not so."""
    if not isinstance(value, fx.Node) or list(value.users) != [reader]:
        return []
    if is_layer(gm, value) and (operator_of(value) != "linear" or len(shape(value) or ()) == 2):
        return [value]
    if operator_of(value) == "cat" and arguments(value)["dim"] == 1:
        parts = [_makers(gm, part, value) for part in value.args[0]]  # type: ignore[union-attr]
        if all(parts) and len({layer for part in parts for layer in part}) == sum(map(len, parts)):
            return [layer for part in parts for layer in part]
    return []


def _unpadded(layer: fx.Node) -> bool:
    given = arguments(layer).get("padding", 0)
    if operator_of(layer) == "linear":
        return len(shape(layer) or ()) == 2
    if isinstance(given, str):
        return given == "valid"
    return not any(given if isinstance(given, list | tuple) else [given])
