"""`pumice val`: accuracy of a run or file on images."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pumice.cli import show
from pumice.cli.options import Device, Json, Threads, check_device
from pumice.errors import BadInput

OWN = ("val", "label_column", "streaming", "epoch_images", "val_images")  # of the run's own data


def command(
    model: Annotated[str, typer.Argument(metavar="RUN_OR_FILE", help="A run folder or a file.")],
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="Images; by default those that the run was trained with.")
    ] = None,
    runtime: Annotated[str, typer.Option(metavar="NAME", help="eager, onnxruntime, openvino or auto.")] = "auto",
    threads: Threads = 1,
    device: Device = "cpu",
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Images a pass, where the file allows it.")] = 32,
    json: Json = False,
) -> None:
    """Top-1, top-5, balanced accuracy and confusion on validation images."""
    from pumice.data.changes import changed_classes
    from pumice.train.config import TrainConfig
    from pumice.train.open import open_for

    device = check_device(device)
    config = run_config(model)
    source = data or config.get("data")
    if source is None:
        raise BadInput(f"{model} does not say which data it was trained with; give the folder as second argument")
    kept: dict[str, Any] = {name: config[name] for name in ("seed", "val_fraction", "strict") if name in config}
    if source == config.get("data"):
        kept |= {name: config[name] for name in OWN if name in config}
    splits = open_for(TrainConfig(data=str(source), **kept))
    show.skipped(splits)

    from pumice.deploy.session import open_session
    from pumice.tasks.classify import evaluate

    own = None if runtime != "eager" else batch
    with open_session(model, runtime=runtime, threads=threads, batch=own, device=device) as session:
        manifest = session.manifest
        if manifest is None:
            raise BadInput(f"{model} does not say how images are fed to it; export it with Pumice")
        manifest.needs_classifier("val counts the images whose class is right")
        if manifest.classes and (said := changed_classes(splits.classes, manifest.classes, str(source), model)):
            raise BadInput(said)
        scores = evaluate(session, manifest.preprocess, splits.val, batch)
    if json:
        show.emit({"model": model, "data": str(source), "runtime": session.runtime, **scores.to_json()})
        return
    names = splits.classes
    if len(names) <= 20:
        show.table(
            ["true \\ predicted", *(f">{n}" for n in names)],
            [(name, *(str(n) if n else "." for n in row)) for name, row in zip(names, scores.confusion, strict=True)],
        )
        typer.echo()
    show.facts(
        [
            ("images", f"{scores.count} of {source}"),
            ("top-1", show.percent(scores.top1)),
            ("top-5", show.percent(scores.top5)),
            ("balanced", show.percent(scores.balanced_accuracy)),
            ("loss", f"{scores.loss:.4f}"),
        ]
    )


def run_config(model: str) -> dict[str, Any]:
    """The config of the run that a folder, or the folder around a file, holds; empty if there is none."""
    from pumice.files import read_json

    path = Path(model)
    for folder in (path, path.parent):
        if (folder / "config.json").is_file():
            return read_json(folder / "config.json")
    return {}
