"""`pumice verify`: does a file compute and describe what its checkpoint does?"""

from typing import Annotated

import typer

from pumice.cli import show
from pumice.cli.options import Json, Trust, trusting


def command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A model file, or a folder with one.")],
    against: Annotated[
        str, typer.Option(metavar="RUN", help="The run folder, checkpoint or name that it should equal.")
    ],
    data: Annotated[str | None, typer.Option(metavar="DATA", help="Images to compare on: digits or a folder.")] = None,
    images: Annotated[int, typer.Option(metavar="N", min=1, help="How many.")] = 64,
    runtime: Annotated[
        str, typer.Option(metavar="NAME", help="One runtime, or auto for every one that reads the file.")
    ] = "auto",
    trust: Trust = False,
    layers: Annotated[bool, typer.Option("--layers", help="Compare layer by layer, also where outputs agree.")] = False,
    json: Json = False,
) -> None:
    """Compare outputs on images, preprocessing and classes; ends with 1 when the file is wrong."""
    from pumice.deploy.verify import verify
    from pumice.errors import CheckFailed

    trusting(trust, file)
    found = verify(file, against, data=data, images=images, runtime=runtime, layers=layers)
    if json:
        show.emit(found.to_json())
    else:
        show.table(["", "check", "found"], [("ok" if c.ok else "!!", c.name, c.detail) for c in found.checks])
        typer.echo(
            f"{found.images} images ({found.source}) in {found.runtime}: relative error "
            f"{found.max_relative_error:.1e}, top-1 agreement {show.percent(found.top1_agreement)}"
        )
        if found.layers and (layers or not found.ok):
            rows = [(e.layer, "not in the file" if e.error is None else f"{e.error:.1e}") for e in found.layers]
            show.table(["layer", "relative error"], rows)
        for sentence in found.diagnosis:
            typer.echo(sentence)
    for warning in found.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if not found.ok:
        raise CheckFailed(f"{file} is not what {against} is: {', '.join(c.name for c in found.checks if not c.ok)}")
