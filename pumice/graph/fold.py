"""Folding batch norms into the convolutions and linear layers that feed them, found by the traced dataflow.

In evaluation mode a batch norm is y = s x + t for each channel, with s = gamma / sqrt(var + eps) and t = beta - s mean.
Where x is W u + b and nobody else reads x, y is (s W) u + (s b + t): the same numbers with one layer less.
"""

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pumice.graph.inputs import input_size_of
from pumice.graph.records import Graph, Node, Shape
from pumice.graph.trace import trace

_Transposed = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
_Layer = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear | _Transposed

_RESHAPES = ("view", "_unsafe_view", "squeeze", "unsqueeze")


@dataclass(frozen=True)
class _Fold:
    """`layer` feeds `norm`; `after` are the norm's own children, which run behind it (timm's BatchNormAct2d)."""

    layer: _Layer
    norm: _BatchNorm
    path: str
    eps: float
    after: tuple[nn.Module, ...]


def fold_norms(model: nn.Module, input_size: Shape | None = None) -> nn.Module:
    """A copy in evaluation mode whose batch norms are folded wherever that is exact; a folded one becomes an identity.

    A norm stays when it does not directly follow a convolution or linear layer (pre-activation nets, norms behind a
    concatenation), when the layer's result is used elsewhere as well, when the layer's weight is computed, and when
    layer or norm is shared, called more than once or has hooks.

    input_size: (C, H, W) of the trace that finds the dataflow; None takes what the model declares.

    Raises:
        BadInput: the model cannot be traced on that input.
    """
    size = input_size_of(model) if input_size is None else input_size
    folded = copy.deepcopy(model).eval()
    # Every layer gets a bias for the trace: a forward of the user's own that ignores it cannot take a fold.
    lent = [module for module in folded.modules() if isinstance(module, _Layer) and module.bias is None]
    for layer in lent:
        layer.bias = nn.Parameter(layer.weight.new_zeros(_width(layer)))
    for fold in list(_folds(trace(folded, size), folded)):
        _absorb(fold)
        behind = fold.after[0] if len(fold.after) == 1 else nn.Sequential(*fold.after)
        folded.set_submodule(fold.path, behind if fold.after else nn.Identity())
        lent = [layer for layer in lent if layer is not fold.layer]
    for layer in lent:
        layer.bias = None
    return folded


def _absorb(fold: _Fold) -> None:
    layer, norm = fold.layer, fold.norm
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None or layer.bias is None:
        raise AssertionError(f"{fold.path} is no foldable norm")
    with torch.no_grad():
        scale = (variance.double() + fold.eps).rsqrt()
        if norm.weight is not None:
            scale = scale * norm.weight.double()
        bias = (layer.bias.double() - mean.double()) * scale
        if norm.bias is not None:
            bias = bias + norm.bias.double()
        weight = layer.weight.double()
        if isinstance(layer, _Transposed):
            # (C, O / g, ...): the outputs of group i are columns of rows i C / g ... (i + 1) C / g.
            grouped = weight.unflatten(0, (layer.groups, -1))
            weight = (grouped * scale.view(layer.groups, 1, -1, *[1] * (weight.dim() - 2))).flatten(0, 1)
        else:
            weight = weight * scale.view(-1, *[1] * (weight.dim() - 1))
        layer.weight = nn.Parameter(weight.to(layer.weight.dtype), layer.weight.requires_grad)
        layer.bias = nn.Parameter(bias.to(layer.bias.dtype), layer.weight.requires_grad)


def _folds(graph: Graph, model: nn.Module) -> Iterator[_Fold]:
    modules = dict(model.named_modules())
    places = Counter(map(id, dict(model.named_modules(remove_duplicate=False)).values()))
    uses = Counter(
        graph.values[i].name for node in graph.nodes if node.kind != "view" for i in node.inputs if graph.values[i].name
    )
    for node in graph.nodes:
        norm, source, read = modules.get(node.path), node.ref("input"), node.ref("running_mean")
        if not isinstance(norm, _BatchNorm) or node.kind != "norm" or node.arguments.get("training", False):
            continue
        feeder = None if source is None or read is None else _feeder(source, graph)
        if feeder is None:
            continue
        layer = modules.get(feeder.path)
        owned = _names(node, graph, "weight", "bias", "running_mean", "running_var")
        if (
            isinstance(layer, _Layer)
            and places[id(layer)] == places[id(norm)] == 1
            and not (_hooked(layer) or _hooked(norm))
            and _runs_own_weights(feeder, layer, graph)
            and all(name.rpartition(".")[0] == node.path for name in owned)
            and all(uses[name] == 1 for name in (*owned, f"{feeder.path}.weight", f"{feeder.path}.bias"))
        ):
            after = _children_behind(node, graph)
            if after is not None:
                yield _Fold(
                    layer, norm, node.path, float(node.arguments["eps"]), tuple(modules[path] for path in after)
                )


def _feeder(value: int, graph: Graph) -> Node | None:
    """The node that alone feeds the only reader of a value, seen through reshapes that cancel out."""
    shape = graph.values[value].shape
    while len(graph.consumers(value)) == 1 and value not in graph.outputs:
        node = graph.producer(value)
        if node is None or node.op.split(".")[1] not in _RESHAPES:
            return node if graph.values[value].shape == shape else None
        value = node.inputs[0]
    return None


def _names(node: Node, graph: Graph, *arguments: str) -> list[str]:
    refs = (node.ref(argument) for argument in arguments)
    return [graph.values[ref].name for ref in refs if ref is not None]


def _runs_own_weights(node: Node, layer: _Layer, graph: Graph) -> bool:
    """Whether the node is W u + b with just the layer's own tensors."""
    arguments = ("weight", "bias") if node.kind == "conv" else ("mat2", "self")
    weight = node.ref(arguments[0])
    if node.op.split(".")[1] not in ("convolution", "addmm") or weight is None:
        return False
    whole = tuple(layer.weight.shape) if node.kind == "conv" else tuple(layer.weight.shape[::-1])
    return graph.values[weight].shape == whole and _names(node, graph, *arguments) == [
        f"{node.path}.weight",
        f"{node.path}.bias",
    ]


def _children_behind(norm: Node, graph: Graph) -> list[str] | None:
    """Paths of the norm's children that run in a chain behind it; None when the module does anything else."""
    inside = [node for node in graph.nodes if node.path == norm.path or node.path.startswith(f"{norm.path}.")]
    if inside[0] != norm:
        return None
    chain: list[str] = []
    passed = norm.outputs[0]
    members: list[Node] = []
    for node in inside[1:]:
        child = ".".join(node.path.split(".")[: norm.path.count(".") + 2])
        if node.path == norm.path or (child in chain and child != chain[-1]):
            return None
        if child not in chain:
            if graph.calls.get(child) != 1:
                return None
            if members:
                passed = members[-1].outputs[0]
            chain.append(child)
            members = []
        members.append(node)
        own = {value for member in members for value in member.outputs} | {passed}
        if any(graph.values[i].from_input and i not in own for i in node.inputs):
            return None
    # Nothing but the last result may leave the module.
    leaving = members[-1].outputs[0] if members else passed
    indices = {node.index for node in inside}
    for node in inside:
        for value in node.outputs:
            outside = [consumer for consumer in graph.consumers(value) if consumer.index not in indices]
            if value != leaving and (outside or value in graph.outputs):
                return None
    return chain


def _width(layer: _Layer) -> int:
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def _hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)
