"""Latencies that a lookup table predicts, as records that say so: of networks on a device that is not here.

lut = Lut.load("pi.json")
timing = predict_timing(lut, create_model("mobilenetv2_100"), (3, 224, 224), "mobilenetv2_100")
timing.p50_ms, timing.ci95, timing.predicted      # ms, ms, True
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pumice.cost.lut.table import Lut
from pumice.cost.timing import Timing
from pumice.errors import BadInput

if TYPE_CHECKING:
    from torch import nn

    from pumice.graph.records import Graph
    from pumice.models.catalogue import Entry


def read_table(path: str, runtime: str | None, threads: int | None) -> Lut:
    """The table in a file, when it is of the runtime and threads asked for; None is any.

    Raises:
        BadInput: there is none, it cannot be read, or it is of another runtime or number of threads.
    """
    lut = Lut.load(path)
    if runtime not in (None, lut.runtime):
        raise BadInput(f"{path} is a table of {lut.runtime}, not of {runtime}; leave out the runtime, or give its own")
    if threads not in (None, lut.threads):
        raise BadInput(f"{path} is a table of {lut.threads} thread(s), not of {threads}; give its own number")
    return lut


def predict_timing(lut: Lut, model: "nn.Module", input_size: tuple[int, int, int], name: str) -> Timing:
    """What the table says of one image through a network, its batch norms folded as in an exported file.

    Args:
        model: any network of one image tensor; it is not changed.
        input_size: (C, H, W).

    Raises:
        UnknownOp: it calls an operator whose cost is not known.
        BadInput: it does not run on that input.
    """
    from pumice.deploy.network import folded
    from pumice.graph.trace import trace

    return timing_of(lut, trace(folded(model, input_size), input_size, name=name), name)


def timing_of(lut: Lut, graph: "Graph", name: str) -> Timing:
    """What the table says of a traced network, its norms folded already.

    Raises:
        BadInput: the network does no work.
    """
    from pumice.cost.lut.blocks import blocks

    said = lut.predict(blocks(graph))
    interval = (said.low_ms, said.high_ms)
    channels, height, width = graph.input_size
    return Timing(
        name=name,
        runtime=lut.runtime,
        device="cpu",
        threads=lut.threads,
        batch=1,
        dtype="float32",
        input_size=(channels, height, width),
        repeats=0,
        passes_per_sample=0,
        p50_ms=said.ms,
        p90_ms=said.ms,
        cpu_p50_ms=said.ms,
        ci95=interval,
        cpu_ci95=interval,
        busy=False,
        machine=lut.machine,
        runtime_version=lut.runtime_version,
        predicted=True,
        unknown=said.unknown,
        measured_at="",
    )


def predict_nets(lut: Lut, nets: "Sequence[Entry]") -> tuple[dict[str, Timing], dict[str, str]]:
    """Name -> predicted latency of networks of the catalogue as published; and why others have none."""
    from pumice.models.create import create_model
    from pumice.progress import track

    timings: dict[str, Timing] = {}
    failed: dict[str, str] = {}
    for net in track(nets, "predicting"):
        try:
            timings[net.name] = predict_timing(lut, create_model(net.name), net.input_size, net.name)
        except BadInput as error:
            failed[net.name] = str(error)
    return timings, failed


def guessed(timings: Iterable[Timing]) -> str:
    """A sentence that names the sorts of work no table entry tells anything of, "" where there are none."""
    unknown = sorted({sort for timing in timings for sort in timing.unknown})
    if not unknown:
        return ""
    return f"the table knows nothing of {', '.join(unknown)}: what these take is a guess; build it with such networks"
