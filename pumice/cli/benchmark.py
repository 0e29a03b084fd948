"""`pumice benchmark`: latency on this machine."""

from typing import TYPE_CHECKING, Annotated

import typer

from pumice.cli import show
from pumice.cli.options import Device, Json, Threads, check_device, read_shape, words
from pumice.errors import BadInput

if TYPE_CHECKING:
    from pumice.cost.timing import Timing


def command(
    models: Annotated[list[str], typer.Argument(metavar="NAME_OR_FILE", help="Names, run folders or files.")],
    runtime: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="eager, onnxruntime, openvino; several with commas; auto by default."),
    ] = None,
    threads: Threads = 1,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Images a pass.")] = 1,
    input: Annotated[str | None, typer.Option(metavar="CxHxW", help="Channels, height, width: 3x224x224.")] = None,
    device: Device = "cpu",
    time: Annotated[str | None, typer.Option(metavar="TIME", help="Of the measuring, in all: 30s.")] = None,
    json: Json = False,
) -> None:
    """Measure latency on this machine: every model in every runtime, interleaved in one process."""
    from pumice.cost.budget import parse_time

    size = read_shape(input)
    limit = None if time is None else parse_time(time, "--time")
    names = words(runtime) or ["auto"]
    device = check_device(device)
    if not models:
        raise BadInput("nothing to measure; give names, run folders or files")

    from pumice.cost.latency import benchmark

    timings = benchmark(
        list(models), size, runtime=names, threads=threads, batch=batch, device=device, time_limit_s=limit
    )
    found = timings if isinstance(timings, list) else [timings]
    keep(found)
    if json:
        show.emit([t.to_json() for t in found])
        return
    show.table(
        ["model", "runtime", "?input", ">p50 ms", ">95 % interval", ">p90 ms", ">CPU ms", "?>samples", "busy"],
        [
            (
                t.name,
                t.runtime,
                show.shape(t.input_size),
                f"{t.p50_ms:.3f}",
                f"{t.ci95[0]:.3f} to {t.ci95[1]:.3f}",
                f"{t.p90_ms:.3f}",
                f"{t.cpu_p50_ms:.3f}",
                str(t.repeats),
                "yes" if t.busy else "no",
            )
            for t in found
        ],
    )
    typer.echo(f"{found[0].threads} thread(s), batch {batch}, {found[0].dtype}, {device}; {found[0].machine}")
    busy = [t for t in found if t.busy]
    if busy:
        typer.echo(f"The machine was busy ({busy[0].busy_why}): compare the CPU times.")


def keep(timings: "list[Timing]") -> None:
    """Remember those of published networks, for `pumice list --max-latency`."""
    from pumice.cost.database import measurement_key, store
    from pumice.models.catalogue import entries
    from pumice.models.manifest import ModelConfig

    names = {e.name for e in entries()}
    for t in timings:
        if t.name in names:
            key = measurement_key(
                ModelConfig(t.name),
                runtime=t.runtime,
                input_size=t.input_size,
                threads=t.threads,
                batch=t.batch,
                dtype=t.dtype,
                device=t.device,
            )
            store(t, key)
