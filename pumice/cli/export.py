"""`pumice export`: a network as a file for a runtime."""

from pathlib import Path
from typing import Annotated

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
    json: Json = False,
) -> None:
    """Write a network as a file of another format, compare it with the network, and keep it only if they agree.

    Formats: onnx (.onnx), openvino (.xml or a folder), pt2 and aoti (.pt2: torch's program, or compiled), litert
    (.tflite), executorch (.pte), ncnn (a folder).
    """
    from pumice.errors import BadInput

    if dynamic not in (None, "batch", "size", "both"):
        raise BadInput(f"--dynamic {dynamic!r} is unknown; choose batch, size or both")
    size = read_shape(input)

    from pumice.deploy.export import export
    from pumice.models.source import load_source

    model, manifest = load_source(source, pretrained=pretrained)
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
