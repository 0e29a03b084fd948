"""The time of every node of a traced graph in a runtime, so that cost can be told layer by layer.

Eager torch is timed operator by operator as it runs.  A file runtime fuses: what a fused operator takes is charged to
the convolution or matrix product in it, and what belongs to no node (changes of layout) is kept apart with the nodes it
stands between.
"""

import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from pumice.cost.pinning import pinned
from pumice.deploy.direct import write_direct
from pumice.deploy.network import folded
from pumice.deploy.op_times import OpTime, op_times
from pumice.graph.ops import kind_of
from pumice.graph.records import Graph
from pumice.graph.trace import trace

PASSES = 30
_NODE = re.compile(r"(?:^|fused )n(\d+)")
_END = re.compile(r"(?:^|_)n(\d+)(?=[/_.:]|$)")


@dataclass(frozen=True)
class Between:
    """Work of the runtime's own, such as a change of layout, behind node `after` and ahead of node `before`."""

    kind: str
    after: int | None
    before: int | None
    ms: float


@dataclass(frozen=True)
class NodeTimes:
    """ms of one pass, a number for each node of the graph; 0 for one that was fused into another.

    between: what belongs to no node.
    """

    runtime: str
    threads: int
    graph: Graph
    ms: tuple[float, ...]
    between: tuple[Between, ...] = ()

    @property
    def other_ms(self) -> float:
        """Of all that belongs to no node."""
        return sum(move.ms for move in self.between)

    @property
    def total_ms(self) -> float:
        """The sum of all; a pass takes longer, by what the runtime spends between its operators."""
        return sum(self.ms) + self.other_ms


def node_times(
    model: nn.Module,
    input_size: tuple[int, int, int],
    runtime: str = "onnxruntime",
    *,
    threads: int = 1,
    batch: int = 1,
    passes: int = PASSES,
) -> NodeTimes:
    """Time the nodes of a network, its norms folded, on this machine.

    Args:
        model: any module; it is not changed.
        input_size: (C, H, W).
        runtime: "eager", "onnxruntime" or "openvino".
        threads: of the runtime; the process is pinned to as many cores.
        batch: images a pass.
        passes: that are timed.

    Raises:
        BadInput: it cannot be traced or written, or the runtime does not tell the time of single operators.
    """
    if runtime == "eager":
        return _eager(model, input_size, threads, batch, passes)
    with tempfile.TemporaryDirectory(prefix="pumice-") as folder:
        path = Path(folder, "network.onnx")
        graph = write_direct(model, path, input_size, batch=batch)
        with pinned(threads):
            return charge(graph, op_times(path, runtime, threads=threads, passes=passes), runtime, threads)


def charge(graph: Graph, ops: Sequence[OpTime], runtime: str, threads: int = 1) -> NodeTimes:
    """Charge the operators that a runtime ran on a graph's direct file to the nodes of the graph."""
    named = _named(graph, ops)
    executed = {index for index in named if index is not None}
    ms = [0.0] * len(graph.nodes)
    between = []
    for position, (op, index) in enumerate(zip(ops, named, strict=True)):
        if index is None:
            ends = _ends(op) or (
                next((n for n in reversed(named[:position]) if n is not None), None),
                next((n for n in named[position:] if n is not None), None),
            )
            between.append(Between(op.kind, *ends, op.ms))
        else:
            ms[_anchor(graph, index, executed)] += op.ms
    return NodeTimes(runtime, threads, graph, tuple(ms), tuple(between))


def _named(graph: Graph, ops: Sequence[OpTime]) -> list[int | None]:
    """For each operator the node that it bears the name of, None for the runtime's own."""
    answer = graph.values[graph.outputs[0]].producer
    matches = [_NODE.match(op.name) for op in ops]
    generated = _generated(graph, {int(match[1]) for match in matches if match})
    named: list[int | None] = []
    for op, match in zip(ops, matches, strict=True):
        if _layout(op):
            named.append(None)
        elif match or op.name.startswith("logits"):  # whatever makes the answer bears the answer's name
            named.append(int(match[1]) if match else answer)
        elif "Convolution" in op.kind:
            # It runs as soon as its kernel is there: behind the view that gives the kernel its shape.
            named.append(generated.get(next((index for index in reversed(named) if index is not None), None)))
        else:
            named.append(_part(graph, named))
    return named


def _generated(graph: Graph, named: set[int]) -> dict[int | None, int]:
    """What makes a kernel -> the convolution with it that no operator bears the name of: OpenVINO renames these."""
    convs = [node for node in graph.nodes if node.kind == "conv" and node.index not in named]
    kernels = {n.index: graph.values[n.inputs[list(n.arguments).index("weight")]] for n in convs}
    return {value.producer: index for index, value in kernels.items() if value.from_input}


def _part(graph: Graph, named: list[int | None]) -> int | None:
    """The node of which a nameless operator is a part: ONNX Runtime takes HardSwish apart behind a product."""
    last = next((index for index in reversed(named) if index is not None), None)
    if last is None or graph.nodes[last].kind == "activation":
        return last
    behind = graph.consumers(graph.nodes[last].outputs[0])
    return next((node.index for node in behind if node.kind == "activation"), None)


def _ends(op: OpTime) -> tuple[int | None, int | None] | None:
    """The nodes that a change of layout stands between, where its name says so, as OpenVINO's do."""
    said = _END.findall(op.name)
    if not said:
        return None
    return (int(said[0]) if len(said) > 1 else None, int(said[-1]))


def _layout(op: OpTime) -> bool:
    return op.kind.startswith("Reorder")


def _anchor(graph: Graph, index: int, executed: set[int]) -> int:
    """The convolution or product that was fused into an operator bearing a later node's name, else the node itself."""
    waiting, seen = [index], set[int]()
    while waiting:
        node = graph.nodes[waiting.pop()]
        if node.kind in ("conv", "matmul"):
            return node.index
        for value in node.inputs:
            producer = graph.producer(value)
            if producer and producer.index not in executed | seen and graph.values[value].from_input:
                seen.add(producer.index)
                waiting.append(producer.index)
    return index


class _Stopwatch(TorchDispatchMode):
    """Times each operator of a pass; `seen` are (operator, ms)."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, float]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        start = time.perf_counter_ns()
        result = func(*args, **(kwargs or {}))
        took = time.perf_counter_ns() - start
        if kind_of(func._schema.name) not in ("ask", "create"):
            self.seen.append((str(func), took / 1e6))
        return result


def _eager(model: nn.Module, input_size: tuple[int, int, int], threads: int, batch: int, passes: int) -> NodeTimes:
    from pumice.deploy.eager import torch_threads

    still = folded(model, input_size)
    graph = trace(still, input_size, batch=batch)
    indices = [node.index for node in graph.nodes if node.kind != "create"]
    image = torch.randn(batch, *input_size)
    series: list[list[float]] = []
    with pinned(threads), torch_threads(threads), torch.no_grad():
        for turn in range(passes + 3):
            watch = _Stopwatch()
            with watch:
                still(image)
            if turn >= 3:
                series.append(_aligned([graph.nodes[i].op for i in indices], watch.seen))
    medians = [statistics.median(times) for times in zip(*series, strict=True)]
    ms = [0.0] * len(graph.nodes)
    for index, took in zip(indices, medians, strict=True):
        ms[index] = took
    return NodeTimes("eager", threads, graph, tuple(ms))


def _aligned(ops: list[str], seen: list[tuple[str, float]]) -> list[float]:
    """The times of the operators that the trace knows; what it does not know stands between them and is left out."""
    waiting = iter(seen)
    return [next((took for name, took in waiting if name == op), 0.0) for op in ops]
