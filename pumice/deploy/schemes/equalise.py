"""Cross-layer equalisation: the same function, with weights whose channels have even ranges.

M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019 (arXiv:1906.04721),
section 4.1.  Where relu(s x) = s relu(x), channel i between two convolutions can be divided by s_i in the first and
multiplied by it in the second.  With r1, r2 the largest weights of the channel in either, s = sqrt(r1 / r2) gives both
the range sqrt(r1 r2).

The paper replaces ReLU6 by ReLU to have more of such pairs.  That is another function, so it is not done here: pairs
with ReLU6, h-swish or any other activation between them stay as they are.
"""

import copy
from collections import Counter
from collections.abc import Iterator

import torch
from torch import nn

from pumice.graph.records import Graph, Node
from pumice.graph.trace import trace

SWEEPS = 20
SETTLED = 1e-3  # of ln s
# Of one channel, and f(s x) = s f(x) for s > 0.
_THROUGH = {"relu", "relu_", "leaky_relu", "leaky_relu_", "clone", "_adaptive_avg_pool2d", "avg_pool2d", "max_pool2d"}
_THROUGH |= {"max_pool2d_with_indices"}


def equalise(model: nn.Module, input_size: tuple[int, int, int]) -> tuple[nn.Module, int]:
    """A copy whose consecutive convolutions are rescaled, and how many pairs of them there are.

    Args:
        model: float network with its norms folded (`pumice.deploy.network.folded`); a norm between two layers parts
            them.  It is not changed.
        input_size: (C, H, W).

    Raises:
        BadInput: the network cannot be traced.
    """
    even = copy.deepcopy(model).eval()
    modules = dict(even.named_modules())
    pairs = [(modules[a], modules[b]) for a, b in pairs_of(even, input_size)]
    with torch.no_grad():
        for _ in range(SWEEPS):
            moved = [_rescale(a, b) for a, b in pairs if isinstance(a, nn.Conv2d) and isinstance(b, nn.Conv2d)]
            if max(moved, default=0.0) < SETTLED:
                break
    return even, len(pairs)


def pairs_of(model: nn.Module, input_size: tuple[int, int, int]) -> list[tuple[str, str]]:
    """Module paths of the convolutions between which channels can be rescaled.

    Raises:
        BadInput: the network cannot be traced.
    """
    graph = trace(model, input_size)
    plain = {path for path, module in model.named_modules() if _plain(module)}
    owners = Counter(map(id, dict(model.named_modules(remove_duplicate=False)).values()))
    alone = {path for path, module in model.named_modules() if owners[id(module)] == 1 and graph.calls.get(path) == 1}
    uses = Counter(graph.values[i].name for node in graph.nodes for i in node.inputs if graph.values[i].name)
    own = {
        node.index: node.path
        for node in graph.nodes
        if node.path in plain & alone and _weighs(node, graph) and uses[f"{node.path}.weight"] == 1
    }
    linked = ((first.index, second.index) for first, second in _linked(graph))
    return [(own[first], own[second]) for first, second in linked if first in own and second in own]


def _plain(module: nn.Module) -> bool:
    return type(module) is nn.Conv2d and not (module._forward_hooks or module._forward_pre_hooks)


def _weighs(node: Node, graph: Graph) -> bool:
    """Whether it is a convolution with the weight and bias of the module that it runs in."""
    weight, bias = node.ref("weight"), node.ref("bias")
    return (
        node.kind == "conv"
        and weight is not None
        and graph.values[weight].name == f"{node.path}.weight"
        and (bias is None or graph.values[bias].name == f"{node.path}.bias")
    )


def _linked(graph: Graph) -> Iterator[tuple[Node, Node]]:
    """Convolutions and the one that alone reads their result, through operators that pass a scale on."""
    for node in graph.nodes:
        if node.kind != "conv":
            continue
        value = node.outputs[0]
        while True:
            readers = graph.consumers(value)
            if len(readers) != 1 or value in graph.outputs:
                break
            reader = readers[0]
            if reader.kind == "conv" and reader.ref("input") == value:
                yield node, reader
                break
            if reader.op.split(".")[1] not in _THROUGH:
                break
            value = reader.outputs[0]


def _rescale(first: nn.Conv2d, second: nn.Conv2d) -> float:
    """Even one pair out; the largest |ln s|."""
    # (g, O / g, I / g, k, k): input channel i is column i % (I / g) of group i // (I / g).
    columns = second.weight.unflatten(0, (second.groups, -1))
    ahead = first.weight.abs().amax((1, 2, 3)).double()
    behind = columns.abs().amax((1, 3, 4)).flatten().double()
    scale = torch.where((ahead > 0) & (behind > 0), (ahead / behind).sqrt(), torch.ones_like(ahead))
    scale = torch.nan_to_num(scale, nan=1.0, posinf=1.0)
    first.weight.copy_(first.weight.double() / scale.view(-1, 1, 1, 1))
    if first.bias is not None:
        first.bias.copy_(first.bias.double() / scale)
    columns.copy_(columns.double() * scale.view(second.groups, 1, -1, 1, 1))
    return float(scale.log().abs().max())
