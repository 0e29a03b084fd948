"""Convolutions and linear layers of a program: their constants, and y = W x + b with W and b changed."""

import torch
from torch import Tensor, fx

from pumice.graph.rewrites.program import arguments, constant, operator_of, tensor

KINDS = ("conv1d", "conv2d", "conv3d", "linear")


def is_layer(gm: fx.GraphModule, node: object) -> bool:
    """Whether a node is a convolution or linear layer whose weight and bias are constants."""
    if not isinstance(node, fx.Node) or operator_of(node) not in KINDS:
        return False
    given = arguments(node)
    biased = given["bias"] is not None
    return tensor(gm, given["weight"]) is not None and (not biased or tensor(gm, given["bias"]) is not None)


def weights(gm: fx.GraphModule, node: fx.Node) -> tuple[Tensor, Tensor | None]:
    """W, (O, I / groups, ...), and b."""
    given = arguments(node)
    weight = tensor(gm, given["weight"])
    assert weight is not None
    return weight, tensor(gm, given["bias"])


def groups(node: fx.Node) -> int:
    """1 for a linear layer."""
    return int(arguments(node).get("groups", 1))


def set_weights(gm: fx.GraphModule, node: fx.Node, weight: Tensor, bias: Tensor | None) -> None:
    """Give a layer other numbers; whoever shares its old ones keeps them."""
    with gm.graph.inserting_before(node):
        new = [
            None if value is None else constant(gm, value, f"{node.name}_{kind}")
            for kind, value in (("weight", weight), ("bias", bias))
        ]
    node.args = (node.args[0], *new, *node.args[3:])
    node.kwargs = {key: value for key, value in node.kwargs.items() if key not in ("weight", "bias")}


def scale_outputs(gm: fx.GraphModule, node: fx.Node, scale: Tensor, shift: Tensor) -> None:
    """y becomes scale y + shift; both (O)."""
    weight, bias = weights(gm, node)
    new = weight.double() * scale.double().view(-1, *[1] * (weight.dim() - 1))
    old = torch.zeros(len(weight), dtype=torch.float64) if bias is None else bias.double()
    set_weights(gm, node, new.to(weight.dtype), (old * scale.double() + shift.double()).to(weight.dtype))


def scale_inputs(gm: fx.GraphModule, node: fx.Node, scale: Tensor, shift: Tensor) -> None:
    """W x + b becomes W (scale x + shift) + b; both (I).  Exact where no padding stands between."""
    weight, bias = weights(gm, node)
    parts = groups(node)
    each = len(weight) // parts
    own = [v.double().view(parts, 1, -1).expand(parts, each, -1).flatten(0, 1) for v in (scale, shift)]
    factor, term = (v.view(*v.shape, *[1] * (weight.dim() - 2)) for v in own)
    wide = weight.double()
    old = torch.zeros(len(weight), dtype=torch.float64) if bias is None else bias.double()
    new = old + (wide * term).flatten(1).sum(1)
    set_weights(gm, node, (wide * factor).to(weight.dtype), new.to(weight.dtype))
