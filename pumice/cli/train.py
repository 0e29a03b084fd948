"""`pumice train`: train one network on images."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pumice.cli import show
from pumice.cli.options import Json, Pretrained, Set, threads_that_sleep
from pumice.errors import BadInput
from pumice.train.launch import is_first_process, said_by_the_first


@said_by_the_first()
def command(
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="digits, a folder of images by class, hf:NAME or wds:PATTERN.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="A name of `pumice list`, or timm:NAME.")] = None,
    task: Annotated[str, typer.Option(metavar="NAME", help="classify.")] = "classify",
    epochs: Annotated[int | None, typer.Option(metavar="N", min=1, help="How often every image is seen.")] = None,
    img_size: Annotated[int | None, typer.Option(metavar="N", min=8, help="Side of the input, pixels.")] = None,
    batch_size: Annotated[int | None, typer.Option(metavar="N", min=2, help="Images a step.")] = None,
    pretrained: Pretrained = False,
    weights: Annotated[str | None, typer.Option(metavar="FILE", help="Start from this weights file.")] = None,
    freeze: Annotated[str | None, typer.Option(metavar="HOW", help="none, backbone, or for so many epochs.")] = None,
    partner: Annotated[str | None, typer.Option(metavar="NAME", help="Train it beside: full_rank, or a net.")] = None,
    teacher: Annotated[str | None, typer.Option(metavar="MODEL", help="Distil it: a run, a file or a name.")] = None,
    teacher_weights: Annotated[str | None, typer.Option(metavar="FILE", help="Weights of a teacher's name.")] = None,
    teacher_pretrained: Annotated[bool, typer.Option("--teacher-pretrained", help="Published ones.")] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the split, the images' order and the weights.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at an image that cannot be read.")] = False,
    set: Set = None,
    resume: Annotated[Path | None, typer.Option(metavar="DIR", help="Go on with the run in this folder.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Run folder; runs/train-1, -2, ... by default.")
    ] = None,
    json: Json = False,
) -> None:
    """Train one network into a run folder; Ctrl-C leaves a run that `--resume` continues."""
    threads_that_sleep()
    from pumice.train.run import resume as go_on
    from pumice.train.run import train

    if resume is not None:
        if data is not None or model is not None or set:
            raise BadInput("a run is resumed as it was begun; give --resume DIR alone")
        result = go_on(resume)
    else:
        if data is None or model is None:
            raise BadInput("nothing to train; write `pumice train DATA --model NAME`, or --resume DIR")
        if task != "classify":
            raise BadInput(f"--task {task!r} is unknown; choose classify")
        from pumice.recipes.small_data import classify
        from pumice.train.open import open_for

        given = {"epochs": epochs, "img_size": img_size, "batch_size": batch_size, "freeze": frozen(freeze)}
        given |= {"partner": partner, "teacher": teacher, "teacher_weights": teacher_weights}
        given |= {"teacher_pretrained": teacher_pretrained or None}
        changes: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
        recipe = classify(data, model, pretrained=pretrained, weights=weights, seed=seed, strict=strict, **changes)
        check_name(model)
        if partner not in (None, "full_rank"):
            check_name(partner)
        config = recipe.with_overrides(list(set or []))
        splits = open_for(config)
        if is_first_process():
            show.skipped(splits)
        result = train(config, out or show.fresh_folder("train"), splits=splits)
    if not is_first_process():
        return
    if not result.interrupted and not (result.out / "README.md").exists():
        from pumice.report.tables import write_card

        write_card(result.out)
    if json:
        show.emit(
            {
                "out": str(result.out),
                "epochs": result.epochs,
                "best_epoch": result.best_epoch,
                "seconds": result.seconds,
                "interrupted": result.interrupted,
                "val": result.scores.to_json() if result.scores else None,
            }
        )
    elif not result.interrupted:
        typer.echo(result.sentence)
    if result.interrupted:
        raise KeyboardInterrupt(result.sentence)


def frozen(text: str | None) -> Any:
    """A number of epochs, or a word."""
    return int(text) if text is not None and text.isdigit() else text


def check_name(name: str) -> None:
    """Refuse an unknown name at once, before torch is imported."""
    from pumice.models.catalogue import entry

    if ":" not in name:
        entry(name)
