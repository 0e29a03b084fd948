"""Fill a lookup table: networks are written here, timed where the table is for, and their blocks charged with it.

Probes and networks of the catalogue take turns, so that a table that runs out of time has seen some of every kind.
The target needs neither torch nor onnx: it gets files, and gives back the times of operators and of whole passes.
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from pumice.cost import machine
from pumice.cost.lut.blocks import Block, blocks
from pumice.cost.lut.probes import probe
from pumice.cost.lut.table import Lut, Origin, Sample, make_table
from pumice.cost.node_times import NodeTimes, charge
from pumice.cost.remote.runner import Item, time_items, time_nodes
from pumice.deploy.direct import write_direct
from pumice.deploy.op_times import PROFILED
from pumice.deploy.session import require
from pumice.errors import BadInput
from pumice.graph.records import Graph
from pumice.models.catalogue import Entry, entries
from pumice.models.create import create_model
from pumice.progress import track

if TYPE_CHECKING:
    from pumice.cost.remote.transport import Device
    from pumice.deploy.op_times import OpTime

TIME_S = 540.0
PASSES = 14  # profiled, of each network
A_NETWORK_S = 0.25  # of timing whole passes
GROUP = 8  # networks that travel and are timed together
LARGEST = 800e6  # multiply-adds of a network of the catalogue that takes part
FAMILY = 6  # at most so many networks of a family
PROBES = 5  # for each network of the catalogue
SIDES = range(160, 321)

Job = tuple[str, Callable[[], tuple[nn.Module, tuple[int, int, int]]]]
"""What a network is called, and what makes it and its (C, H, W)."""


def build(
    runtime: str,
    *,
    threads: int = 1,
    on: "Device | None" = None,
    time_s: float = TIME_S,
    seed: int = 0,
    networks: Iterator[Job] | None = None,
) -> Lut:
    """Measure a table of this machine, or of a device.

    Args:
        runtime: "onnxruntime" or "openvino", whose profilers tell the time of single operators.
        threads: of the runtime.
        on: measure there.
        time_s: of measuring, in all; what was measured by then makes the table.
        seed: of the probes and the fits.
        networks: to fill it from; None takes probes and networks of the catalogue.

    Raises:
        BadInput: the runtime is not there or has no profiler that is read, or the time is too short.
    """
    if on is None:
        require(runtime)
        machine.check_threads(threads)
    planned = jobs(seed) if networks is None else networks
    return make_table(measure(planned, runtime, threads, on, time_s), origin(runtime, threads, on), seed=seed)


def origin(runtime: str, threads: int, on: "Device | None") -> Origin:
    """Where and with what a table is measured now."""
    here = machine.this_machine() if on is None else on.machine
    return Origin(
        machine=here.line,
        machine_key=here.key,
        runtime=runtime,
        runtime_version=here.versions.get(runtime),
        threads=threads,
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
        pumice=machine.runtime_version("native"),
    )


def jobs(seed: int = 0) -> Iterator[Job]:
    """Networks to measure, the most telling order first: `PROBES` probes, a network of the catalogue, and so on.

    The catalogue's come family by family in turn; when they are used up, so are the probes.
    """
    number = seed * 1_000_000
    for entry in chosen():
        for _ in range(PROBES):
            yield f"probe {number}", lambda number=number: probe(number)  # type: ignore[misc]
            number += 1
        yield entry.name, lambda entry=entry: (create_model(entry.name), entry.input_size)  # type: ignore[misc]


def chosen() -> list[Entry]:
    """Classifiers of ImageNet, at most `FAMILY` of a family from its smallest to its largest, the families in turn."""
    families: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries():
        if entry.task == "classify" and entry.input_size[1] in SIDES and entry.madds <= LARGEST:
            families[entry.family].append(entry)
    picked = []
    for members in families.values():
        ordered = sorted(members, key=lambda entry: entry.madds)
        step = max(1.0, (len(ordered) - 1) / (FAMILY - 1))
        picked.append([ordered[round(i * step)] for i in range(min(FAMILY, len(ordered)))])
    return [members[i] for i in range(FAMILY) for members in picked if i < len(members)]


@dataclass(frozen=True)
class _Written:
    name: str
    file: Path
    graph: Graph


def measure(
    planned: Iterator[Job], runtime: str, threads: int, on: "Device | None" = None, time_s: float = TIME_S
) -> list[Sample]:
    """Samples of as many of the planned networks as there is time for; those that cannot be run are passed over."""
    if runtime not in PROFILED:
        able = " or ".join(PROFILED)
        raise BadInput(f"runtime {runtime} does not tell the time of single operators; choose {able}")
    deadline = time.perf_counter() + time_s
    samples: list[Sample] = []
    groups = track(_groups(planned), "measuring networks")
    for group in groups:
        samples += _measure(group, runtime, threads, on)
        if time.perf_counter() > deadline:
            break
    return samples


def _groups(planned: Iterator[Job]) -> Iterator[list[Job]]:
    group: list[Job] = []
    for job in planned:
        group.append(job)
        if len(group) == GROUP:
            yield group
            group = []
    if group:
        yield group


def _measure(group: Sequence[Job], runtime: str, threads: int, on: "Device | None") -> list[Sample]:
    with tempfile.TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        written = []
        for i, (name, make) in enumerate(group):
            model, size = make()
            file = Path(folder, f"{i}.onnx")
            try:
                written.append(_Written(name, file, write_direct(model, file, size)))
            except BadInput:  # an operator that is not written directly
                continue
        try:
            return _timed(written, runtime, threads, on)
        except BadInput:
            # One file that the runtime cannot open spoils the whole request: each for itself, then.
            samples = []
            for one in written:
                try:
                    samples += _timed([one], runtime, threads, on)
                except BadInput:
                    continue
            return samples


def _timed(written: Sequence[_Written], runtime: str, threads: int, on: "Device | None") -> list[Sample]:
    items = [Item(str(one.file), one.name, runtime, threads) for one in written]
    nodes, whole = (time_nodes, time_items) if on is None else (on.nodes, on.time)
    ops = nodes(items, passes=PASSES)
    timings = whole(items, time_limit_s=A_NETWORK_S * len(items), together=GROUP)
    return [
        sample(one.name, one.graph, found, timing.figure_ms, runtime, threads)
        for one, found, timing in zip(written, ops, timings, strict=True)
    ]


def sample(name: str, graph: Graph, ops: "Sequence[OpTime]", total_ms: float, runtime: str, threads: int = 1) -> Sample:
    """What the runtime's profiler says of the blocks of a graph, and a whole pass."""
    found = blocks(graph)
    times = charge(graph, ops, runtime, threads)
    runs = tuple(sum(times.ms[node] > 0 for node in block.nodes) for block in found)
    return Sample(name, found, tuple(_charged(found, times)), runs, total_ms)


def _charged(found: Sequence[Block], times: NodeTimes) -> list[float]:
    """ms of each block; a change of layout belongs to the block that wants it, and one back to the block it follows."""
    owner = {node: i for i, block in enumerate(found) for node in block.nodes}
    ms = [sum(times.ms[node] for node in block.nodes) for block in found]
    for move in times.between:
        first, second = (move.after, move.before) if move.kind == "ReorderOutput" else (move.before, move.after)
        for node in (first, second):
            if node is not None and node in owner:
                ms[owner[node]] += move.ms
                break
    return ms
