"""What does not depend on the image is computed once, here, instead of at every pass."""

import torch
from torch import Tensor, fx

from pumice.graph.rewrites.program import constant, operator_of, settle, tensor

LARGEST_GROWTH = 4
"""How many times larger than all that it is made of a constant may be: a file is loaded too, not only run."""


def fold_constants(gm: fx.GraphModule) -> None:
    """Replace every operator whose operands are all constants by its result."""
    for node in list(gm.graph.nodes):
        operands = [tensor(gm, operand) for operand in node.all_input_nodes]
        if not operator_of(node) or any(operand is None for operand in operands):
            continue
        values = dict(zip(node.all_input_nodes, operands, strict=True))
        args, kwargs = fx.map_arg((node.args, node.kwargs), lambda n: values[n])  # noqa: B023
        with torch.no_grad():
            result = node.target(*args, **kwargs)
        size = sum(operand.numel() for operand in operands if operand is not None)
        if not isinstance(result, Tensor) or result.numel() > LARGEST_GROWTH * max(size, 256):
            continue
        with gm.graph.inserting_before(node):
            folded = constant(gm, result.contiguous(), f"{node.name}_constant")
        node.replace_all_uses_with(folded)
        gm.graph.erase_node(node)
    settle(gm)
