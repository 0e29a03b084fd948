"""The proposed edits measured: original and edited networks, interleaved in one process.

Edited layers get random weights where their shape changed; a convolution takes as long whatever its weights are.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor

from pumice.cost.audit.finding import Audit, Finding, Gain
from pumice.cost.latency import time_sessions
from pumice.cost.timing import Timing
from pumice.deploy.direct import write_graph
from pumice.deploy.session import open_session
from pumice.graph.edit import apply
from pumice.graph.records import Graph
from pumice.progress import track

TOP = 3


def measure(
    found: Audit,
    graph: Graph,
    tensors: Mapping[str, Tensor],
    *,
    runtimes: Sequence[str] = ("onnxruntime",),
    top: int = TOP,
    threads: int = 1,
    time_limit_s: float | None = None,
) -> Audit:
    """The same audit with what its first `top` edits gained in each runtime.

    found: of `graph`.  tensors: the weights by name, as `pumice.deploy.direct.tensors_of` gives them.
    time_limit_s: of the measuring; 5 s a file and runtime, at most 60, by default.

    Raises:
        BadInput: the network cannot be written, or a runtime is missing.
    """
    chosen = found.edits[:top]
    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder, ExitStack() as opened:
        graphs = [graph, *(apply(graph, f.edit.changes).graph for f in chosen if f.edit is not None)]
        files = [Path(folder) / f"{i}.onnx" for i in range(len(graphs))]
        for made, file in track(list(zip(graphs, files, strict=True)), "writing edited networks"):
            write_graph(made, tensors, file)
        pairs = [(runtime, file) for runtime in runtimes for file in files]
        sessions = [opened.enter_context(open_session(f, runtime=r, threads=threads)) for r, f in pairs]
        timings = time_sessions(
            sessions, [f"{file.stem} {runtime}" for runtime, file in pairs], time_limit_s=time_limit_s
        )
    rows = [timings[i * len(files) : (i + 1) * len(files)] for i in range(len(runtimes))]
    measured = [
        replace(finding, gains=tuple(gain(row[0], row[i]) for row in rows)) for i, finding in enumerate(chosen, start=1)
    ]
    rest = [finding for finding in found.findings if not any(finding is one for one in chosen)]
    return replace(found, findings=(*measured, *rest))


def gain(before: Timing, after: Timing) -> Gain:
    """Two timings of one run compared: by wall time, or by CPU time when the machine was busy in either."""
    busy = before.busy or after.busy
    old, new = ((t.cpu_p50_ms, t.cpu_ci95) if busy else (t.p50_ms, t.ci95) for t in (before, after))
    return Gain(
        runtime=before.runtime,
        threads=before.threads,
        clock="cpu" if busy else "wall",
        before_ms=old[0],
        after_ms=new[0],
        before_ci95=old[1],
        after_ci95=new[1],
        busy=busy,
    )


def succeeded(findings: Sequence[Finding]) -> tuple[int, int]:
    """How many of the measured edits are faster by more than the spread, and of how many: one a runtime."""
    gains = [gain for finding in findings for gain in finding.gains]
    return sum(gain.faster for gain in gains), len(gains)
