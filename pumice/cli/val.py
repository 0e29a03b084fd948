"""`pumice val`: how well a run or file does on images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from pumice.cli import show
from pumice.cli.options import Device, Json, Threads, Trust, check_device, trusting
from pumice.errors import BadInput

if TYPE_CHECKING:
    from pumice.tasks.classify import Scores
    from pumice.tasks.names import TaskName
    from pumice.tasks.task import TaskScores

OWN = ("val", "label_column", "streaming", "epoch_images", "val_images")  # of the run's own data


def command(
    model: Annotated[str, typer.Argument(metavar="RUN_OR_FILE", help="A run folder or a file.")],
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="Images; by default those that the run was trained with.")
    ] = None,
    runtime: Annotated[str, typer.Option(metavar="NAME", help="auto, eager, onnxruntime, openvino...")] = "auto",
    threads: Threads = 1,
    device: Device = "cpu",
    trust: Trust = False,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Images a pass, where the file allows it.")] = 32,
    json: Json = False,
) -> None:
    """Accuracy, average precision, mIoU or keypoints found, on validation images, as the network's task is judged."""
    from pumice.data.changes import changed_classes
    from pumice.tasks.names import CLASSIFY
    from pumice.train.config import TrainConfig
    from pumice.train.open import open_for

    trusting(trust, model)
    device = check_device(device)
    config = run_config(model)
    source = data or config.get("data")
    if source is None:
        raise BadInput(f"{model} does not say which data it was trained with; give the folder as second argument")
    task: TaskName = config.get("task") or task_of_file(model)
    kept: dict[str, Any] = {name: config[name] for name in ("seed", "val_fraction", "strict") if name in config}
    if source == config.get("data"):
        kept |= {name: config[name] for name in OWN if name in config}
    splits = open_for(TrainConfig(data=str(source), task=task, **kept))
    show.skipped(splits)

    from pumice.deploy.session import open_session
    from pumice.tasks import classify, evaluate
    from pumice.tasks.names import task_of

    asked = batch if runtime == "eager" and not _holds_program(model) else None  # a file has its own
    with open_session(model, runtime=runtime, threads=threads, batch=asked, device=device) as session:
        manifest = session.manifest
        if manifest is None:
            raise BadInput(f"{model} does not say how images are fed to it; export it with Pumice")
        manifest.needs(task)
        if manifest.classes and (said := changed_classes(splits.classes, manifest.classes, str(source), model)):
            raise BadInput(said)
        scores: TaskScores = (
            classify.evaluate(session, manifest.preprocess, splits.val, batch)
            if task == CLASSIFY
            else evaluate.evaluate(
                session, task_of(manifest), splits.val, manifest.preprocess, manifest.decode, min(batch, 8)
            )
        )
    if json:
        show.emit({"model": model, "data": str(source), "runtime": session.runtime, "task": task, **scores.to_json()})
    elif isinstance(scores, classify.Scores):
        tell_classes(scores, splits.classes, str(source))
    else:
        tell(scores, str(source))


def tell_classes(scores: "Scores", names: tuple[str, ...], source: str) -> None:
    """Of a classifier: confusion, if it fits, and accuracy."""
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


def tell(scores: "TaskScores", source: str) -> None:
    """Of a dense task: class by class, then the whole."""
    values = scores.to_json()
    rows = values.get("per_class") or []
    if rows:
        figures = [key for key in rows[0] if key != "name"]
        show.table(
            ["class", *(f">{key}" for key in figures)],
            [(row["name"], *(_figure(row[key]) for key in figures)) for row in rows],
        )
        typer.echo()
    whole = {k: v for k, v in values.items() if isinstance(v, float)}
    show.facts(
        [
            ("samples", f"{scores.count} of {source}"),
            ("in short", scores.sentence()),
            *((name, show.percent(value)) for name, value in whole.items()),
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


def task_of_file(model: str) -> "TaskName":
    """The task of a file outside a run; "classify" where it does not say."""
    from pumice.deploy.carried import model_file, read_manifest
    from pumice.tasks.names import CLASSIFY

    if (file := model_file(model)) is not None:
        manifest = read_manifest(file)
    elif Path(model).suffix == ".safetensors":
        from pumice.models.checkpoint import read_manifest as of_weights  # imports torch

        manifest = of_weights(model)
    else:
        manifest = None
    return CLASSIFY if manifest is None else cast("TaskName", manifest.task)


def _holds_program(model: str) -> bool:
    """Whether eager runs a file of it, and not its weights."""
    from pumice.deploy.carried import model_file
    from pumice.deploy.formats import format_of

    file = model_file(model)
    return file is not None and "eager" in format_of(file).runtimes


def _figure(value: float | int | None) -> str:
    return "-" if value is None else show.percent(value) if isinstance(value, float) else f"{value:,}"
