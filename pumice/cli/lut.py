"""`pumice lut`: lookup tables of latency, measured once for a device and then asked in microseconds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pumice.cli import show
from pumice.cli.options import Json, On, Set, Threads, model_options, read_shape

if TYPE_CHECKING:
    from torch import nn

    from pumice.cost.lut.ask import Size
    from pumice.cost.lut.table import Lut, Prediction

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.callback()
def lut() -> None:
    """Lookup tables of latency: `build` one for a device and runtime, `predict` any network from it."""


@app.command()
def build(
    runtime: Annotated[str, typer.Option(metavar="NAME", help="onnxruntime or openvino.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The table, a JSON file.")],
    threads: Threads = 1,
    on: On = None,
    network: Annotated[
        str | None, typer.Option(metavar="RUN_OR_NAME", help="Fill it from cuts of this network alone, for netadapt.")
    ] = None,
    input: Annotated[str | None, typer.Option(metavar="CxHxW", help="Of --network: 3x224x224.")] = None,
    time: Annotated[str, typer.Option(metavar="TIME", help="Of the measuring: 9m.")] = "9m",
    seed: Annotated[int, typer.Option(metavar="N", help="Of the random networks that fill it.")] = 0,
    json: Json = False,
) -> None:
    """Measure a table, here or on a device.

    It is filled from random networks and those of the catalogue, or from one network and random cuts of it.
    """
    from pumice.cost.budget import parse_time
    from pumice.cost.machine import check_threads
    from pumice.deploy.session import require
    from pumice.errors import BadInput
    from pumice.files import check_place

    time_s, size = parse_time(time, "--time"), read_shape(input)
    if size is not None and network is None:
        raise BadInput("--input is the size of --network; give both, or neither")
    check_place(out)  # before minutes of measuring
    if on is None:
        require(runtime)
        check_threads(threads)

    from pumice.cost.lut.build import build as measure
    from pumice.cost.remote import device

    planned = None
    if network is not None:
        from pumice.search.netadapt.cuts import cuts

        planned = cuts(*load(network, size, {}), seed)
    where = None if on is None else device(on)
    table = measure(runtime, threads=threads, on=where, time_s=time_s, seed=seed, networks=planned)
    table.save(out)
    if json:
        show.emit({**about(table), "file": str(out)})
        return
    show.facts(
        [
            ("table", f"{out}, {show.size(out.stat().st_size)}"),
            ("of", described(table)),
            ("filled from", f"{table.networks} networks"),
            ("blocks", f"{len(table.entries):,} in {len(table.regressions)} sorts"),
            ("correction", f"{table.scale:.3f} x sum of the blocks + {table.pass_ms:.3f} ms"),
            ("off by", f"{table.spread:.1%} (standard deviation, on networks that are not in it)"),
        ]
    )


@app.command()
def predict(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names, run folders or checkpoints.")],
    lut: Annotated[Path, typer.Option(metavar="FILE", help="A table of `pumice lut build`.")],
    input: Annotated[str | None, typer.Option(metavar="CxHxW", help="Channels, height, width: 3x224x224.")] = None,
    set: Set = None,
    extend: Annotated[
        bool, typer.Option("--extend", help="First measure here what the table does not hold, and add it to FILE.")
    ] = False,
    json: Json = False,
) -> None:
    """Predict the latency of networks from a table."""
    size, options = read_shape(input), model_options(set)

    from pumice.cost.lut.table import Lut

    table = Lut.load(lut)

    from pumice.cost.lut.ask import blocks_of, extended
    from pumice.progress import track

    models = [(name, *load(name, size, options)) for name in names]
    if extend:
        table = extended(table, models)
        table.save(lut)
    found = [
        (name, where, table.predict(blocks_of(model, where))) for name, model, where in track(models, "predicting")
    ]
    if json:
        show.emit(
            [
                {"name": name, "input_size": list(where), **p.to_json(), "predicted": True, **about(table)}
                for name, where, p in found
            ]
        )
        return
    show.table(
        ["model", "?input", ">ms", ">95 % interval", "?>looked up", "?>blocks"],
        [
            (
                n,
                show.shape(w),
                f"{p.ms:.3f}",
                f"{p.low_ms:.3f} to {p.high_ms:.3f}",
                show.percent(p.known),
                str(p.blocks),
            )
            for n, w, p in found
        ],
    )
    typer.echo(f"Predicted, not measured: {described(table)}")
    for name, _, prediction in found:
        warn(name, prediction)


def load(name: str, size: "Size | None", options: dict[str, Any]) -> "tuple[nn.Module, Size]":
    """The network of a name, run folder or checkpoint, and the (C, H, W) it is asked for."""
    from pumice.graph.inputs import input_size_of
    from pumice.models.create import create_model
    from pumice.models.source import load_source

    if Path(name).exists() or name.endswith(".safetensors"):
        model = load_source(name)[0]
    else:
        model = create_model(name, in_chans=size[0] if size else 3, **options)
    channels, height, width = size or input_size_of(model)
    return model, (channels, height, width)


def warn(name: str, prediction: "Prediction") -> None:
    """Say so when a network has work of which the table knows nothing."""
    if prediction.unknown:
        typer.echo(f"{name} has work that the table has never seen: {', '.join(prediction.unknown)}", err=True)


def described(table: "Lut") -> str:
    """Device, runtime, threads and age in one line."""
    version = f" {table.runtime_version}" if table.runtime_version else ""
    return f"{table.machine}; {table.runtime}{version}, {table.threads} thread(s), {table.built_at[:10]}"


def about(table: "Lut") -> dict[str, object]:
    """What the JSON says of a table."""
    names = ("machine", "machine_key", "runtime", "runtime_version", "threads", "built_at", "networks", "spread")
    return {**{name: getattr(table, name) for name in names}, "entries": len(table.entries)}
