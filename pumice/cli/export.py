"""`pumice export`: a network as a file for a runtime."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pumice.cli import show
from pumice.cli.options import Json, Pretrained, read_shape


def command(
    source: Annotated[
        str, typer.Argument(metavar="RUN_OR_NAME", help="A run folder, a .safetensors checkpoint or a name.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="File to write.")],
    format: Annotated[
        str | None, typer.Option(metavar="NAME", help="One of those below; by default as the suffix says.")
    ] = None,
    pretrained: Pretrained = False,
    input: Annotated[str | None, typer.Option(metavar="CxHxW", help="Channels, height, width: 3x224x224.")] = None,
    dynamic: Annotated[str | None, typer.Option(metavar="WHAT", help="Leave batch, size or both open.")] = None,
    check: Annotated[bool, typer.Option(help="Compare the file with the network.")] = True,
    bake: Annotated[
        bool, typer.Option("--bake", help="Let the file normalise images itself: it reads RGB pixels, uint8.")
    ] = False,
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="NAME", help="Of package: a runtime or format to run in; may be repeated."),
    ] = None,
    runtime_files: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Of web: ONNX Runtime Web from `npm pack`, where npm cannot reach it."),
    ] = None,
    json: Json = False,
) -> None:
    """Write a network as a file of another format, compare it with the network, and keep it only if they agree.

    Formats: onnx (.onnx), openvino (.xml or a folder), pt2 and aoti (.pt2: torch's program, or compiled), litert
    (.tflite), executorch (.pte), ncnn (a folder), web (a folder with a page that runs in a browser, offline), package
    (a folder with files, labels and scripts that classify pictures without Pumice).
    """
    from pumice.deploy.formats import FORMATS
    from pumice.errors import BadInput, nearest

    if dynamic not in (None, "batch", "size", "both"):
        raise BadInput(f"--dynamic {dynamic!r} is unknown; choose batch, size or both")
    size = read_shape(input)
    known = [*FORMATS, "package", "web"]
    if format is not None and format not in known:
        raise BadInput(f"no format {format!r}{nearest(format, known) or '; choose ' + ', '.join(known)}")
    if with_ and format != "package":
        raise BadInput("--with is for --format package; leave it out")

    if format == "package":
        from pumice.cli.export_package import export_package

        if dynamic is not None or not check:
            raise BadInput("a package holds checked files of one size; leave --dynamic and --no-check out")
        export_package(source, out, with_, pretrained=pretrained, input_size=size, bake=bake, json=json)
        return
    if format == "web":
        from pumice.deploy.web import export_web

        if dynamic is not None:
            raise BadInput("a page is of one size; leave --dynamic out")
        if bake:
            raise BadInput("a page normalises pictures itself; leave --bake out")
        model, manifest = (Path(source), None) if source.endswith(".onnx") else load(source, pretrained)
        made = export_web(model, out, manifest=manifest, input_size=size, check=check, archive=runtime_files)
    else:
        from pumice.deploy.export import export

        model, manifest = load(source, pretrained)
        made = export(
            model,
            out,
            format=format,
            manifest=manifest,
            check=check,
            input_size=size,
            dynamic=dynamic,  # type: ignore[arg-type]
            bake=bake,
        )
    if json:
        show.emit(made.to_json())
        return
    show.facts(
        [
            ("wrote", f"{made.path} ({made.format}, {show.size(made.bytes)})"),
            *(
                (name, f"agrees to {error:.1e}" if name in made.right else f"WRONG by {error:.1e}: will not be chosen")
                for name, error in made.checked.items()
            ),
        ]
    )


def load(source: str, pretrained: bool) -> tuple[Any, Any]:
    """The network of a run folder, checkpoint or name, and its manifest."""
    from pumice.models.source import load_source

    return load_source(source, pretrained=pretrained)
