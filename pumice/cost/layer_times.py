"""Measured time of every layer of a profile, in each runtime, with the whole net's own time beside it.

The layers are timed one by one, by the runtime's own profiler or between the operators of torch, and the whole net as
`pumice benchmark` times one.  Both are given, for they differ: looking at each operator takes time, and what passes
between the operators belongs to none of them.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import nn

from pumice.cost.breakdown import breakdown, shuffles
from pumice.cost.count import Profile
from pumice.cost.latency import time_sessions
from pumice.cost.node_times import NodeTimes, node_times
from pumice.cost.timing import Timing
from pumice.deploy.direct import write_direct
from pumice.deploy.session import open_session, require
from pumice.errors import BadInput
from pumice.graph.layers import works
from pumice.graph.records import Layer
from pumice.progress import track


@dataclass(frozen=True)
class LayerTimes:
    """One runtime's times of one net, ms a pass of one image.

    layer_ms: of each layer of the profile, None for one that this runtime does not run: a norm folded into its
        convolution, a term counted apart.  Work that a runtime fused is with the layer it was fused into.
    other_ms: by name, what belongs to no layer: splits and reshapes ("views"), layout changes of the runtime.
    breakdown: all of that by the parts of `pumice.cost.breakdown`.
    net: the whole net, timed without looking at its layers.
    """

    runtime: str
    layer_ms: tuple[float | None, ...]
    other_ms: dict[str, float]
    breakdown: dict[str, float]
    net: Timing

    @property
    def sum_ms(self) -> float:
        """Layers and the rest together."""
        return sum(self.breakdown.values())


def measure_layers(
    model: nn.Module,
    profile: Profile,
    runtimes: Sequence[str] = ("eager", "onnxruntime"),
    *,
    threads: int = 1,
    time_limit_s: float | None = None,
) -> list[LayerTimes]:
    """Time a net and its layers.

    model: the one that `profile` was counted from.
    time_limit_s: of the timing of the whole net, all runtimes together.

    Raises:
        BadInput: a runtime is unknown or not installed, the net takes no images or cannot be written for it, or there
            are fewer cores.
    """
    for runtime in runtimes:
        require(runtime)
    if len(profile.input_size) != 3:
        shape = "x".join(map(str, profile.input_size))
        raise BadInput(f"layers are timed on images, and {profile.name} takes {shape}; give an input of rank 3, CxHxW")
    size = profile.input_size
    with ExitStack() as opened:
        folder = opened.enter_context(TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True))
        # The file that its layers are timed in, so that the two can be compared.
        file = Path(folder, "model.onnx")
        if set(runtimes) != {"eager"}:
            write_direct(model, file, size)
        sessions = [
            opened.enter_context(
                open_session(model if name == "eager" else file, runtime=name, threads=threads, input_size=size)
            )
            for name in runtimes
        ]
        nets = time_sessions(sessions, [profile.name] * len(sessions), time_limit_s=time_limit_s)
    found = []
    for net in track(nets, "timing the layers"):
        times = node_times(model, size, net.runtime, threads=threads)
        found.append(by_layer(profile.layers, times, net))
    return found


def by_layer(layers: Sequence[Layer], times: NodeTimes, net: Timing) -> LayerTimes:
    """Lay the times of nodes beside the layers of a profile.

    The timed graph is the profile's without the norms that were folded; otherwise it runs the same layers in order.
    """
    graph, spent = times.graph, _shuffles_at_their_copies(times)
    ran: Iterator[tuple[Layer, float]] = zip(
        (layer for layer in graph.layers if layer.op != "extra"),
        (spent[node.index] for node in graph.nodes if works(node)),
        strict=True,
    )
    layer_ms: list[float | None] = []
    timed = next(ran, None)
    for layer in layers:
        folded = layer.op == "norm" and (timed is None or (timed[0].op, timed[0].name) != ("norm", layer.name))
        if layer.op == "extra" or folded:
            layer_ms.append(None)
            continue
        if timed is None or timed[0].op != layer.op:
            raise AssertionError(f"{layer.op} {layer.name!r} was counted and not timed")
        layer_ms.append(timed[1])
        timed = next(ran, None)
    own: dict[str, float] = {}
    for move in times.between:
        own[move.kind] = own.get(move.kind, 0.0) + move.ms
    views = sum(spent[node.index] for node in graph.nodes if not works(node))
    return LayerTimes(
        runtime=times.runtime,
        layer_ms=tuple(layer_ms),
        other_ms=own | ({"views": views} if views else {}),
        breakdown=breakdown(graph, times.ms, own),
        net=net,
    )


def _shuffles_at_their_copies(times: NodeTimes) -> list[float]:
    """ms of each node, with the time of a whole channel shuffle at the copy in it, which is its layer.

    Torch copies behind a transpose; a runtime charges that, or a reshape at either end.
    """
    spent = list(times.ms)
    for chain in shuffles(times.graph):
        copy = next((node for node in chain if works(node)), None)
        if copy:
            whole = sum(spent[node.index] for node in chain)
            for node in chain:
                spent[node.index] = whole if node is copy else 0.0
    return spent
