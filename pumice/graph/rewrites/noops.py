"""Operators that return their input are dropped."""

import torch
from torch import fx

from pumice.graph.rewrites.program import arguments, operator_of, settle, shape, tensor

aten = torch.ops.aten

ALWAYS = ("dropout", "feature_dropout", "alias", "detach", "detach_", "clone", "contiguous", "lift_fresh_copy")
RESHAPES = ("view", "reshape", "_unsafe_view", "flatten", "expand", "squeeze", "unsqueeze")
NEUTRAL = {"mul": 1, "div": 1, "add": 0, "sub": 0}


def drop_noops(gm: fx.GraphModule) -> None:
    """Drop dropout, copies, views of the same shape, whole slices and selections, x * 1, x + 0, padding by nothing."""
    for node in list(gm.graph.nodes):
        if operator_of(node) in ("view", "_unsafe_view"):
            node.target = aten.reshape.default  # a view needs the memory layout that a dropped copy made
        if _does_nothing(gm, node):
            node.replace_all_uses_with(node.args[0])
            gm.graph.erase_node(node)
    settle(gm)


def _does_nothing(gm: fx.GraphModule, node: fx.Node) -> bool:
    op = operator_of(node)
    if not op or op == "getitem" or not node.args or not isinstance(node.args[0], fx.Node):
        return False
    given = arguments(node)
    if op in ("dropout", "feature_dropout"):
        return not given["train"]
    if op in ALWAYS:
        return True
    if shape(node) is None or shape(node.args[0]) != shape(node):
        return False
    if op in RESHAPES:
        return True
    if op == "slice":
        return given["step"] == 1
    if op == "constant_pad_nd":
        return not any(given["pad"])
    if op == "index_select":
        index = tensor(gm, given["index"])
        return index is not None and torch.equal(index, torch.arange(len(index)))
    if op in NEUTRAL and given.get("alpha", 1) == 1 and given.get("rounding_mode") is None:
        other = tensor(gm, given["other"]) if isinstance(given["other"], fx.Node) else torch.tensor(given["other"])
        return other is not None and bool((other == NEUTRAL[op]).all())
    return False
