"""`pumice predict`: classes of images, or boxes, classes of pixels and joints in them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pumice.cli import show
from pumice.cli.options import Device, Json, Pretrained, Threads, Trust, check_device, trusting


def command(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE", help="Images, folders, patterns, videos, or digits.")
    ],
    model: Annotated[str, typer.Option(metavar="MODEL", help="A run folder, a file or a name.")],
    top_k: Annotated[int, typer.Option(metavar="N", min=1, help="Classes to name.")] = 5,
    pretrained: Pretrained = False,
    runtime: Annotated[str, typer.Option(metavar="NAME", help="auto, eager, onnxruntime, openvino...")] = "auto",
    threads: Threads = 1,
    device: Device = "cpu",
    boxes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where persons are: JSON of a detector, to find joints.")
    ] = None,
    detector: Annotated[str | None, typer.Option(metavar="RUN", help="A detector that finds persons first.")] = None,
    score: Annotated[
        float | None,
        typer.Option(metavar="S", min=0, max=1, help="Tell detections, draw joints that score more; 0.4 and 0.2."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Draw what is found on the pictures there.")] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a CSV file.")] = None,
    trust: Trust = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at an image that cannot be read.")] = False,
    json: Json = False,
) -> None:
    """Classes of images, with probabilities; or what a network of another task finds in them."""
    from pumice.cli.predict_dense import predict_dense, videos_in
    from pumice.data.open import open_images
    from pumice.errors import BadInput

    videos = videos_in(sources)
    images = [image for source in sources if source not in videos for image in open_images(source)]
    trusting(trust, model)
    device = check_device(device)

    from pumice.deploy.predict import predict
    from pumice.deploy.session import open_session

    source: Any = model
    manifest = None
    if pretrained:
        from pumice.models.source import load_source  # imports torch, which a file does without

        source, manifest = load_source(model, pretrained=True)
    with open_session(source, runtime=runtime, threads=threads, device=device, manifest=manifest) as session:
        if session.manifest is not None and session.manifest.task != "classify":
            finder = None if detector is None else open_session(detector, threads=threads)
            predict_dense(
                session,
                images,
                videos,
                boxes=boxes,
                detector=finder,
                score=score,
                out=out,
                csv_file=csv,
                strict=strict,
                json=json,
            )
            return
        if videos or any(option is not None for option in (boxes, detector, score, out)):
            what = "videos" if videos else "--boxes, --detector, --score and --out"
            raise BadInput(f"{what} are for nets to detect, segment or keypoints; {model} names the class of an image")
        found = predict(session, images, top_k, strict=strict)
    if csv is not None:
        write_csv(csv, [(p.name, *(str(v) for pair in p.ranked for v in pair)) for p in found], top_k)
    if json:
        show.emit([p.to_json() for p in found])
    else:
        show.table(
            ["image", "class", ">probability", "then"],
            [
                (
                    p.name,
                    p.label,
                    show.percent(p.probability),
                    "  ".join(f"{c} {100 * q:.1f} %" for c, q in p.ranked[1:]),
                )
                for p in found
                if not p.error
            ],
        )
    bad = [p for p in found if p.error]
    for p in bad:
        typer.echo(f"skipped {p.error}", err=True)
    if bad:
        typer.echo(f"{len(bad)} of {len(found)} images skipped", err=True)
    if len(bad) == len(found):
        raise BadInput("no image could be read")


def write_csv(path: Path, rows: list[tuple[str, ...]], top_k: int) -> None:
    """image, class_1, probability_1, ..."""
    import csv

    from pumice.files import atomic

    width = max((len(row) - 1) // 2 for row in rows) if rows else top_k
    header = ["image", *(name for i in range(1, width + 1) for name in (f"class_{i}", f"probability_{i}"))]
    with atomic(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
