"""`pumice benchmark`: latency on this machine, or on another."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pumice.cli import show
from pumice.cli.options import Device, Json, On, Trust, check_device, read_counts, read_shape, trusting, words
from pumice.errors import BadInput

if TYPE_CHECKING:
    from pumice.cost.machine import Machine
    from pumice.cost.timing import Timing


def command(
    models: Annotated[list[str], typer.Argument(metavar="NAME_OR_FILE", help="Names, run folders or files.")],
    runtime: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="auto, eager, onnxruntime, openvino, litert, ...; several with commas."),
    ] = None,
    threads: Annotated[str, typer.Option(metavar="N", help="Threads of the runtime; several with commas.")] = "1",
    batch: Annotated[
        str | None, typer.Option(metavar="N", help="Images a pass; several with commas; 1, on cuda 8, by default.")
    ] = None,
    input: Annotated[str | None, typer.Option(metavar="CxHxW", help="Channels, height, width: 3x224x224.")] = None,
    device: Device = "cpu",
    time: Annotated[str | None, typer.Option(metavar="TIME", help="Of the measuring, in all: 30s.")] = None,
    on: On = None,
    trust: Trust = False,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Also in timm's benchmark columns.")] = None,
    page: Annotated[Path | None, typer.Option(metavar="FILE", help="Also as an HTML page with a plot.")] = None,
    json: Json = False,
) -> None:
    """Measure latency, here or elsewhere: all combinations of models, runtimes, threads and batches in one series."""
    from pumice.cost.budget import parse_time

    size = read_shape(input)
    limit = None if time is None else parse_time(time, "--time")
    thread_counts = read_counts(threads, "--threads")
    batches = None if batch is None else read_counts(batch, "--batch")
    if on is not None and device != "cpu":
        raise BadInput("--on measures files on the processor of another machine; leave --device out")
    trusting(trust, *models)
    device = check_device(device)
    if not models:
        raise BadInput("nothing to measure; give names, run folders or files")
    if page is not None:
        from pumice.report.theme import plotly

        plotly()  # whoever lacks it hears so now

    settings: dict[str, Any] = {
        "runtime": words(runtime) or ["auto"],
        "threads": thread_counts,
        "batch": batches,
        "time_limit_s": limit,
    }
    where = None
    if on is None:
        from pumice.cost.latency import benchmark

        timings = benchmark(list(models), size, device=device, **settings)
    else:
        from pumice.cost.remote import device as device_at

        there = device_at(on)
        timings = there.benchmark(models, size, single_stream=True, **settings)
        where = there.machine
    assert isinstance(timings, list)  # because models is one
    keep(timings, where)
    if csv is not None:
        write_csv(timings, csv)
    if page is not None:
        from pumice.report.timings import write_timings_page

        write_timings_page(timings, page)
        typer.echo(f"the page is {page}", err=True)
    if json:
        show.emit([t.to_json() for t in timings])
    else:
        print_timings(timings)


def print_timings(timings: "list[Timing]") -> None:
    """The table for people, with what holds for all its lines below."""
    show.table(
        [
            *("model", "runtime", "?input", "?threads", "?batch", ">p50 ms", ">95 % interval", ">p90 ms", ">CPU ms"),
            *(">CPU p10", "?>stream p90", "?>images/s", "?>samples", "busy"),
        ],
        [
            (
                t.name,
                t.runtime,
                show.shape(t.input_size),
                str(t.threads),
                str(t.batch),
                f"{t.p50_ms:.3f}",
                f"{t.ci95[0]:.3f} to {t.ci95[1]:.3f}",
                f"{t.p90_ms:.3f}",
                f"{t.cpu_p50_ms:.3f}",
                "-" if t.cpu_p10_ms is None else f"{t.cpu_p10_ms:.3f}",
                "-" if t.single_stream_p90_ms is None else f"{t.single_stream_p90_ms:.3f}",
                f"{t.images_per_s:.4g}",
                str(t.repeats),
                "yes" if t.busy else "no",
            )
            for t in timings
        ],
    )
    if not timings:
        typer.echo("nothing was measured on this machine yet; `pumice benchmark NAME --runtime R` does")
        return
    threads, batches = (_listed(getattr(t, name) for t in timings) for name in ("threads", "batch"))
    types, devices = (_listed(getattr(t, name) for t in timings) for name in ("dtype", "device"))
    typer.echo(f"{threads} thread(s), batch {batches}, {types}, {devices}; {timings[0].machine}")
    if any(t.single_stream_p90_ms is not None for t in timings):
        typer.echo("stream p90: one query after the other, with MLPerf's early-stopping margin.")
    busy = [t for t in timings if t.busy]
    if busy:
        typer.echo(f"The machine was busy ({busy[0].busy_why}): compare the lower tenth of CPU time, CPU p10.")


def write_csv(timings: "list[Timing]", file: Path) -> None:
    """In timm's columns."""
    from pumice.cost.timm_csv import to_timm_csv
    from pumice.files import write_text

    write_text(file, to_timm_csv(timings))


def keep(timings: "list[Timing]", where: "Machine | None" = None) -> None:
    """Remember those of published networks, for `pumice list`: under the key it asks for at the published input.

    where: the machine that measured, this one by default.
    """
    from pumice.cost.database import measurement_key, store
    from pumice.models.catalogue import entries
    from pumice.models.manifest import ModelConfig

    nets = {e.name: e for e in entries()}
    for t in timings:
        if t.name in nets:
            model = ModelConfig(t.name, num_classes=nets[t.name].num_classes, in_chans=t.input_size[0])
            key = measurement_key(
                model,
                runtime=t.runtime,
                input_size=t.input_size,
                threads=t.threads,
                batch=t.batch,
                dtype=t.dtype,
                device=t.device,
                where=where,
            )
            store(t, key)


def _listed(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))
