"""Feature reuse, as in figure 4 of ShuffleNetV2 (Ma et al., ECCV 2018, arXiv:1807.11164, section 3).

DenseNet reuses features by concatenation: how strongly layer l reads what layer s made shows in the weights that join
them (Huang et al., CVPR 2017, arXiv:1608.06993, figure 5).  ShuffleNetV2 passes channels on untouched: of c channels
r^j c, r = 1 - c' / c, pass through j units that each change c' of them.

Both are read off the traced graph: every channel that a layer makes gets a number, and the numbers are sent through the
graph's own splits, concatenations, shuffles and selections.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pumice.graph.records import Graph, Node, Ref

_KEEPING = ("activation", "norm", "pool", "resize")


@dataclass(frozen=True)
class Reading:
    """Layers of one stage that read concatenated maps.

    stage: height x width of those maps.  sources, targets: layers by name, in order of execution.
    strength: (sources, targets), the sum of absolute weights between two layers over the number of channels that the
        target reads of the source; nan where it reads none.
    """

    stage: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    strength: NDArray[np.float64]


@dataclass(frozen=True)
class Passing:
    """Units of one stage that end in a concatenation of the same width.

    passed: (units, units); [i, j] of the channels that unit i hands out unit j still hands out untouched, j >= i.
    """

    stage: str
    channels: int
    units: tuple[str, ...]
    passed: NDArray[np.int64]


def channel_numbers(graph: Graph, tensors: Mapping[str, Tensor]) -> tuple[dict[int, NDArray[np.int64]], list[str]]:
    """({value: the number of each of its channels}, the layer that made each number).

    tensors: buffers by name, for selections by a stored list.  A map that mixes two others (a sum, a product) is new.
    """
    known: dict[int, Tensor] = {}
    makers: list[str] = []

    def new(node: Node | None, value: int) -> Tensor:
        shape = graph.values[value].shape
        first = len(makers)
        makers.extend([node.path if node else "input"] * shape[1])
        return torch.arange(first, len(makers)).view(1, -1, *[1] * (len(shape) - 2)).expand(shape)

    for value in graph.inputs:
        known[value] = new(None, value)
    for node in graph.nodes:
        given = [value for value in dict.fromkeys(node.inputs) if value in known]
        made = [value for value in node.outputs if len(graph.values[value].shape) > 1]
        if not given or not made or not graph.values[node.outputs[0]].from_input:
            continue
        if node.kind in ("view", "move"):
            known.update(_moved(graph, node, known, tensors))
        elif len(given) == 1 and _keeps(graph, node, given[0]):
            numbers = known[given[0]][(slice(None), slice(None), *[slice(0, 1)] * (known[given[0]].dim() - 2))]
            known[made[0]] = numbers.expand(graph.values[made[0]].shape)
        else:
            known.update({value: new(node, value) for value in made})
    maps = {v: t.flatten(2)[0, :, 0] if t.dim() > 2 else t[0] for v, t in known.items() if t.dim() in (2, 4)}
    return {value: numbers.numpy() for value, numbers in maps.items()}, makers


def readings(graph: Graph, tensors: Mapping[str, Tensor]) -> list[Reading]:
    """How strongly layers read each other across concatenations: DenseNet, CondenseNet and whatever else has them.

    tensors: weights and buffers by name, as `pumice.deploy.direct.tensors_of` gives them.
    """
    numbers, makers = channel_numbers(graph, tensors)
    joined = {makers[n] for node in graph.nodes if _joins(node) for n in numbers[node.outputs[0]]}
    stages: dict[str, list[tuple[str, dict[str, float]]]] = {}
    for node in graph.nodes:
        weight = node.ref("weight")
        if node.kind != "conv" or weight is None or graph.values[weight].name not in tensors:
            continue
        strength = _strength(node, tensors[graph.values[weight].name], [makers[n] for n in numbers[node.inputs[0]]])
        if strength.keys() <= joined:
            size = "x".join(map(str, graph.values[node.inputs[0]].shape[2:]))
            stages.setdefault(size, []).append((node.path, strength))
    found = []
    for size, rows in stages.items():
        sources = sorted({source for _, strength in rows for source in strength}, key=makers.index)
        if len(sources) > 1:
            table = [[strength.get(source, np.nan) for _, strength in rows] for source in sources]
            found.append(Reading(size, tuple(sources), tuple(name for name, _ in rows), np.array(table)))
    return found


def passings(graph: Graph, tensors: Mapping[str, Tensor]) -> list[Passing]:
    """How many channels pass untouched from unit to unit, stage by stage."""
    numbers, _ = channel_numbers(graph, tensors)
    stages: dict[tuple[int, ...], list[Node]] = {}
    for node in graph.nodes:
        if _joins(node):
            stages.setdefault(graph.values[node.outputs[0]].shape[1:], []).append(node)
    found = []
    for (channels, *size), units in stages.items():
        sets = [set(numbers[node.outputs[0]].tolist()) for node in units]
        passed = [[len(a & b) if j >= i else 0 for j, b in enumerate(sets)] for i, a in enumerate(sets)]
        if len(units) > 1:
            names = tuple(node.path for node in units)
            found.append(Passing("x".join(map(str, size)), channels, names, np.array(passed)))
    return found


def _joins(node: Node) -> bool:
    return node.op == "aten.cat.default" and node.arguments.get("dim", 0) in (1, -3)


def _keeps(graph: Graph, node: Node, value: int) -> bool:
    """Whether each channel of the result comes of the same channel of the only operand."""
    before, after = graph.values[value].shape, graph.values[node.outputs[0]].shape
    works_alone = node.kind in _KEEPING or (node.kind in ("elementwise", "reduce") and len(node.inputs) == 1)
    return works_alone and len(before) == len(after) and before[1] == after[1]


def _moved(graph: Graph, node: Node, known: Mapping[int, Tensor], tensors: Mapping[str, Tensor]) -> dict[int, Tensor]:
    """The numbers after an operator that only moves them: torch's own operator does the arithmetic."""

    def decode(argument: Any) -> Any:
        if isinstance(argument, Ref):
            name = graph.values[argument.value].name
            return known[argument.value].contiguous() if argument.value in known else tensors[name]
        if isinstance(argument, str) and argument.startswith("torch."):
            return getattr(torch, argument.removeprefix("torch."))
        return [decode(item) for item in argument] if isinstance(argument, tuple) else argument

    package, name, overload = node.op.split(".")
    operator = getattr(getattr(getattr(torch.ops, package), name), overload)
    results = operator(**{key: decode(value) for key, value in node.arguments.items()})
    return dict(zip(node.outputs, results if isinstance(results, list | tuple) else [results], strict=False))


def _strength(node: Node, weight: Tensor, sources: Sequence[str]) -> dict[str, float]:
    """The sum of absolute weights for each source, over the number of its channels."""
    groups = int(node.arguments.get("groups", 1))
    # (O, C / g, ...) -> a number for each input channel, in the order of the groups.
    each = weight.detach().abs().unflatten(0, (groups, -1)).sum(1).flatten(2).sum(2).flatten().tolist()
    totals: dict[str, list[float]] = {}
    for source, size in zip(sources, each, strict=True):
        totals.setdefault(source, []).append(size)
    return {source: sum(sizes) / len(sizes) for source, sizes in totals.items()}
