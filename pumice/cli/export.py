"""`pumice export`: a network as a file for a runtime."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pumice.cli import show
from pumice.cli.options import Json, Pretrained, read_shape

if TYPE_CHECKING:
    from torch import nn

    from pumice.cost.timing import Timing

MEASURING_S = 4.0
"""How long a compiled network is measured beside ONNX Runtime."""


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
    tune: Annotated[
        str | None, typer.Option(metavar="TIME", help="Of native and c: measure which code is fastest here, for 60s.")
    ] = None,
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
    (.tflite), executorch (.pte), ncnn (a folder), native (.so: Pumice's own engine, compiled here), c (a folder with
    its C), web (a folder with a page that runs in a browser, offline), package (a folder with files, labels and scripts
    that classify pictures without Pumice), auto (native, onnx or openvino: the one that is fastest on this machine).
    """
    from pumice.deploy.formats import FORMATS
    from pumice.errors import BadInput, nearest

    if dynamic not in (None, "batch", "size", "both"):
        raise BadInput(f"--dynamic {dynamic!r} is unknown; choose batch, size or both")
    size = read_shape(input)
    known = [*FORMATS, "package", "web", "auto"]
    if format is not None and format not in known:
        raise BadInput(f"no format {format!r}{nearest(format, known) or '; choose ' + ', '.join(known)}")
    if with_ and format != "package":
        raise BadInput("--with is for --format package; leave it out")

    if tune is not None and format in ("package", "web"):
        raise BadInput("--tune is for --format native or c; leave it out")

    if format == "package":
        from pumice.cli.export_package import export_package

        if dynamic is not None or not check:
            raise BadInput("a package holds checked files of one size; leave --dynamic and --no-check out")
        export_package(source, out, with_, pretrained=pretrained, input_size=size, bake=bake, json=json)
        return
    if format == "auto":
        from pumice.cli.export_auto import export_auto
        from pumice.cost.budget import parse_time

        if dynamic is not None or not check:
            raise BadInput(
                "the fastest of several checked files of one size is kept; leave --dynamic and --no-check out"
            )
        model, manifest = load(source, pretrained)
        tune_s = 0.0 if tune is None else parse_time(tune, "--tune")
        export_auto(model, manifest, out, input_size=size, bake=bake, tune_s=tune_s, json=json)
        return
    times: list[Timing] = []
    if format == "web":
        from pumice.deploy.web import export_web

        if dynamic is not None:
            raise BadInput("a page is of one size; leave --dynamic out")
        if bake:
            raise BadInput("a page normalises pictures itself; leave --bake out")
        model, manifest = (Path(source), None) if source.endswith(".onnx") else load(source, pretrained)
        made = export_web(model, out, manifest=manifest, input_size=size, check=check, archive=runtime_files)
    else:
        from pumice.cost.budget import parse_time
        from pumice.deploy.export import export

        tune_s = 0.0 if tune is None else parse_time(tune, "--tune")
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
            tune_s=tune_s,
        )
        if made.format == "native" and check:
            times = beside(made.path, model)
    if json:
        show.emit({**made.to_json(), "measured": [one.to_json() for one in times]} if times else made.to_json())
        return
    show.facts(
        [
            ("wrote", f"{made.path} ({made.format}, {show.size(made.bytes)})"),
            *(
                (name, f"agrees to {error:.1e}" if name in made.right else f"WRONG by {error:.1e}: will not be chosen")
                for name, error in made.checked.items()
            ),
            *([("speed", faster(*times))] if times else []),
        ]
    )


def beside(file: Path, model: "nn.Module") -> "list[Timing]":
    """A compiled network and the same in ONNX Runtime, in one series; nothing where ONNX Runtime is not installed."""
    from tempfile import TemporaryDirectory

    from pumice.cost.latency import benchmark
    from pumice.deploy.direct import write_network
    from pumice.deploy.network import frozen
    from pumice.deploy.session import installed, open_session

    if not installed("onnxruntime"):
        return []
    with open_session(file) as session:
        size = session.input_size
    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        other = Path(folder, "model.onnx")
        write_network(frozen(model), other, size)
        times = benchmark([file, other], runtime="auto", time_limit_s=MEASURING_S)
    assert isinstance(times, list)
    return times


def faster(native: "Timing", other: "Timing") -> str:
    """Which of the two is faster here, and by how much: the busy one's clock decides by which clock."""
    if native.figure_clock == other.figure_clock:
        ours, theirs = native.figure_ms, other.figure_ms
    else:
        ours, theirs = native.cpu_p10_ms or native.cpu_p50_ms, other.cpu_p10_ms or other.cpu_p50_ms
    busy = ", CPU time on a busy machine" if native.busy or other.busy else ""
    figures = f"{ours:.3g} ms, {other.runtime} {theirs:.3g} ms{busy}"
    if ours <= theirs:
        return f"{theirs / ours:.2f}x as fast as {other.runtime} here ({figures})"
    return f"{other.runtime} is {ours / theirs:.2f}x as fast here ({figures}); --format onnx writes its file"


def load(source: str, pretrained: bool) -> tuple[Any, Any]:
    """The network of a run folder, checkpoint or name (seeded, so that `verify` meets the same), and its manifest."""
    import torch

    from pumice.models.source import load_source

    torch.manual_seed(0)
    return load_source(source, pretrained=pretrained)
