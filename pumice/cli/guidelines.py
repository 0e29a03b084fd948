"""`pumice guidelines`: the papers' arguments about speed, measured on this machine."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pumice.cli import show
from pumice.cli.options import Device, Json, Threads, check_device, words
from pumice.errors import BadInput


def command(
    experiments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[EXPERIMENT]...", help="g1 g2 g3 g4 (these by default), units, h-swish, tail, stem, kernels."
        ),
    ] = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="onnxruntime, openvino, eager; several with commas; all by default."),
    ] = None,
    threads: Threads = 1,
    batch: Annotated[int | None, typer.Option(metavar="N", min=1, help="Images a pass; 1, and 8 on cuda.")] = None,
    device: Device = "cpu",
    widths: Annotated[
        str | None, typer.Option(metavar="NAME", help="arm (the paper's phone), gpu, aligned; by the device.")
    ] = None,
    time: Annotated[str, typer.Option(metavar="TIME", help="Of the measuring, in all.")] = "5m",
    page: Annotated[Path | None, typer.Option(metavar="FILE", help="Write an HTML page with plots.")] = None,
    json: Json = False,
) -> None:
    """Do ShuffleNetV2's four guidelines hold on this machine?  Its tables, and other papers' arguments, measured."""
    from pumice.cost.budget import parse_time
    from pumice.cost.guidelines.experiments import check_names

    names, limit = check_names(words(experiments)), parse_time(time, "--time")
    if widths not in (None, "arm", "gpu", "aligned"):
        raise BadInput(f"--widths {widths!r} are unknown; choose arm, gpu or aligned")
    if page is not None:
        from pumice.report.theme import plotly

        plotly()  # refused now rather than after minutes
    check_device(device)

    from pumice.cost.guidelines.measure import run

    record = run(
        names,
        runtimes=words(runtime),
        threads=threads,
        batch=batch,
        device=device,
        widths=widths,  # type: ignore[arg-type]  # checked above
        time_limit_s=limit,
        said=_say,
    )
    if page is not None:
        from pumice.report.guidelines import write_guidelines

        write_guidelines(record, page)
    if json:
        show.emit(record)
        return
    from pumice.report.guidelines import WIDTHS

    for one in record["experiments"]:
        _print(one, record)
    typer.echo(
        f"{record['threads']} thread(s), batch {record['batch']}, float32, {record['device']}; widths are "
        f"{WIDTHS[record['widths']]}; {record['machine']}; {record['seconds']:.0f} s"
    )
    if any(verdict["clock"] == "cpu" for one in record["experiments"] for verdict in one["verdicts"]):
        typer.echo("The machine was busy during some columns: those are judged by CPU time.")


def _say(text: str) -> None:
    """What is being measured, on a terminal.  A bar drawn by a thread of its own would run on the measured core."""
    if sys.stderr.isatty():
        typer.echo(text, err=True)


def _print(one: dict[str, Any], record: dict[str, Any]) -> None:
    """One experiment: its statement, its table, the verdict of each runtime."""
    from pumice.report.guidelines import differences, pairs, rows

    typer.echo(f"{one['name']}: {one['title']}.  {one['statement']}  ({one['source']})")
    typer.echo()
    head, body = rows(one, record["runtimes"])
    show.table(["", "case", "?setting", ">MAdds", *(f">{title}" for title in head[4:])], body)
    typer.echo()
    head, body = pairs(one, record["runtimes"])
    show.table([head[0], *(f">{title}" for title in head[1:])], body)
    typer.echo()
    for verdict in one["verdicts"]:
        typer.echo(f"{one['name']} {verdict['sentence']}.")
    for line in differences(one):
        typer.echo(line)
    typer.echo()
