"""`pumice quantize`: a network as a file of 8-bit integers, where that pays."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pumice.cli import show
from pumice.cli.options import Json, Threads, threads_that_sleep, words
from pumice.cli.val import run_config
from pumice.errors import BadInput

if TYPE_CHECKING:
    from pumice.loop.quantising.attempt import Attempt
    from pumice.loop.quantising.quantize import QuantizeResult


def command(
    model: Annotated[
        str,
        typer.Argument(metavar="RUN_OR_FILE", help="A run folder, a .safetensors checkpoint, or the file of a run."),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="To write: its suffix says the format; without, a folder with any format."),
    ],
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="DATA", help="Images to calibrate and judge by; by default the run's own."),
    ] = None,
    auto: Annotated[
        bool, typer.Option("--auto", help="Try every scheme; write the fastest file that pays, or stay with float32.")
    ] = False,
    scheme: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="That to apply; with --auto those to try, with commas.")
    ] = None,
    max_drop: Annotated[float, typer.Option(metavar="POINTS", help="Of top-1, of 100, that may be lost.")] = 1.0,
    threads: Threads = 1,
    runtime: Annotated[
        str, typer.Option(metavar="NAME", help="The only one that may run the file; auto is any.")
    ] = "auto",
    images: Annotated[int, typer.Option(metavar="N", min=1, help="To calibrate with.")] = 300,
    val_images: Annotated[int, typer.Option(metavar="N", min=1, help="To judge by, at most.")] = 5000,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the draw of images.")] = 0,
    keep_float: Annotated[
        bool, typer.Option("--keep-float", help="With --auto, write the float32 file where it stays.")
    ] = False,
    qat: Annotated[
        bool | None,
        typer.Option(
            "--qat/--no-qat", help="Tune the weights for 8 bits before; --auto does it only where int8 loses too much."
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(metavar="N", min=1, help="Of tuning.")] = 3,
    json: Json = False,
) -> None:
    """Quantise a classifier: one scheme, or with --auto whatever is faster and loses little.

    --auto accepts a file whose time is below that of the best float32 file by more than both 95 % intervals, measured
    side by side in a fresh process, and that loses at most --max-drop points: by the estimate, or with fewer than 2,000
    validation images by the upper end of the paired 95 % interval.  Where there is none, nothing is written.
    """
    source = data or run_config(model).get("data")
    if source is None:
        raise BadInput(f"{model} does not say which data it was trained with; give them as --data DATA")
    threads_that_sleep()
    from pumice.loop.quantising.quantize import quantize

    result = quantize(
        model,
        str(source),
        out,
        auto=auto,
        scheme=words(scheme) or None,
        max_drop=max_drop,
        threads=threads,
        runtime=runtime,
        images=images,
        val_images=val_images,
        seed=seed,
        keep_float=keep_float,
        qat=qat,
        epochs=epochs,
        say=lambda sentence: typer.echo(sentence, err=True),
    )
    for warning in result.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if json:
        show.emit(result.to_json())
    else:
        tell(result)


def tell(result: "QuantizeResult") -> None:
    """What was tried, and what came of it."""
    floats = result.floats
    top1 = show.percent(floats.top1)  # of the network, whatever runs it
    show.table(
        ["file", ">ms", ">95 %", ">x float", ">top-1", ">change of top-1", "verdict", "?why"],
        [
            *(
                (f"{item.name} in {item.runtime}", f"{s.ms:.3g}", f"{s.low:.3g}-{s.high:.3g}", "-", top1, "-", "-", "")
                for item, s in zip(floats.items, floats.speeds, strict=True)
            ),
            *map(_row, result.tried),
        ],
    )
    clock = "wall time" if floats.speeds[0].clock == "wall" else "CPU time, since the machine was busy"
    count = result.settings["val_images"]
    typer.echo(f"\nms: {clock}, {result.settings['threads']} thread(s), batch 1; top-1 of {count:,} images")
    if result.settings["auto"]:
        typer.echo(f"taken is the fastest that is {_RULE.format(result.settings['max_drop'])}")
    for name, why in result.refused.items():
        typer.echo(f"left out: {name}: {why}")
    if result.chosen is None:
        best = floats.items[floats.best]
        kept = f"; wrote {result.out}" if result.out else "; nothing was written"
        typer.echo(f"stay with float32: {best.name} in {best.runtime} at {floats.speeds[floats.best]}{kept}")
    else:
        typer.echo(f"wrote {result.out} ({result.chosen.label}, {show.size(result.chosen.bytes)})")


_RULE = (
    "faster than the best float32 file beyond both 95 % intervals and loses at most {:g} points: by the estimate, with "
    "fewer than 2,000 images by the upper end of the paired interval"
)


def _row(attempt: "Attempt") -> tuple[str, ...]:
    speed, faster, drop = attempt.speed, attempt.times_faster, attempt.drop
    return (
        attempt.label,
        f"{speed.ms:.3g}" if speed else "-",
        f"{speed.low:.3g}-{speed.high:.3g}" if speed else "-",
        f"{faster[0]:.2f}" if faster else "-",
        show.percent(attempt.top1),
        drop.sentence() if drop else "-",
        attempt.status,
        attempt.reason,
    )
