"""`pumice train`: train one network on images."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pumice.cli import show
from pumice.cli.options import Json, Pretrained, Set, known_device, threads_that_sleep
from pumice.errors import BadInput
from pumice.train.launch import is_first_process, said_by_the_first
from pumice.values import read_value

if TYPE_CHECKING:
    from pumice.data.images import Splits
    from pumice.train.config import TrainConfig


@said_by_the_first()
def command(
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="digits, a folder of images, hf:NAME or wds:PATTERN.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="A name of `pumice list`, timm:NAME, or HEAD:BACKBONE.")
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(metavar="NAME", help="small_data, auto (what the network's authors published), or a name of it."),
    ] = "small_data",
    task: Annotated[str | None, typer.Option(metavar="NAME", help="classify, detect, segment or keypoints.")] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", min=1, help="How often every image is seen.")] = None,
    img_size: Annotated[
        str | None, typer.Option(metavar="N", help="Side of the input, pixels, or height and width: 360x480.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(metavar="N", min=2, help="Images a step.")] = None,
    pretrained: Pretrained = False,
    weights: Annotated[str | None, typer.Option(metavar="FILE", help="Start from this weights file.")] = None,
    freeze: Annotated[str | None, typer.Option(metavar="HOW", help="none, backbone, or for so many epochs.")] = None,
    partner: Annotated[str | None, typer.Option(metavar="NAME", help="Train it beside: full_rank, or a net.")] = None,
    teacher: Annotated[str | None, typer.Option(metavar="MODEL", help="Distil it: a run, a file or a name.")] = None,
    teacher_weights: Annotated[str | None, typer.Option(metavar="FILE", help="Weights of a teacher's name.")] = None,
    teacher_pretrained: Annotated[bool, typer.Option("--teacher-pretrained", help="Published ones.")] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the split, the images' order and the weights.")] = 0,
    device: Annotated[str | None, typer.Option(metavar="NAME", help="cpu or cuda; by default what there is.")] = None,
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

    given = {
        "epochs": epochs,
        "img_size": None if img_size is None else read_value(img_size),
        "batch_size": batch_size,
        "freeze": frozen(freeze),
    }
    given |= {"partner": partner, "teacher": teacher, "teacher_weights": teacher_weights, "weights": weights}
    given |= {"teacher_pretrained": teacher_pretrained or None, "pretrained": pretrained or None}
    given |= {"strict": strict or None, "seed": seed or None}
    given |= {"accelerator": device if device is None else known_device(device)}
    changes: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
    if resume is not None:
        if data is not None or model is not None or out is not None or recipe != "small_data" or task or set or changes:
            raise BadInput("a run is resumed as it was begun; give --resume DIR alone")
        result = go_on(resume)
    else:
        if data is None or model is None:
            raise BadInput("nothing to train; write `pumice train DATA --model NAME`, or --resume DIR")
        if partner not in (None, "full_rank"):
            check_name(partner)
        config, splits = configured(recipe, data, model, changes, list(set or []), task)
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


def configured(
    recipe: str, data: str, model: str, changes: dict[str, Any], pairs: list[str], task: str | None = None
) -> tuple["TrainConfig", "Splits"]:
    """The configuration of a recipe for these data, and the data.

    Raises:
        BadInput: an unknown recipe, network or setting, or data that cannot be read.
    """
    from pumice.models.network_file import is_network_file
    from pumice.recipes.names import SMALL_DATA, published_recipe
    from pumice.recipes.scale import scaled, sentence
    from pumice.recipes.small_data import classify
    from pumice.recipes.small_dense import dense
    from pumice.tasks.names import CLASSIFY, task_class, task_of_net
    from pumice.train.config import TrainConfig
    from pumice.train.open import open_for
    from pumice.train.settings import SECTIONS, read_overrides

    fields, options, of_task = read_overrides(pairs)
    if is_network_file(model):
        found = TrainConfig(model=model)
        kept = {"img_size": found.img_size, **({} if found.weights is None else {"weights": found.weights})}
        model, changes = found.model, {**kept, **changes}
        options = {**found.model_options, **options}
    check_name(model)
    wanted = fields.get("task", task) or task_of_net(model)
    if wanted != CLASSIFY:
        task_class(wanted)  # refuses an unknown one
        for_classes = [name for name in (*changes, *fields) if name in SECTIONS["augment"]]
        if for_classes:
            raise BadInput(f"augment.{for_classes[0]} is for task=classify; to {wanted}, set a task.NAME")
    if recipe == SMALL_DATA:
        small = classify(data, model, **changes) if wanted == CLASSIFY else dense(wanted, data, model, **changes)
        config = replace(small.with_overrides(pairs), model_options=options)
    else:
        published = published_recipe(recipe, data, model, wanted)
        if wanted != published.task:
            raise BadInput(f"the recipe {recipe} is to {published.task}, not to {wanted}; name another")
        changes |= fields
        published = replace(published, model_options={**published.model_options, **options})
        published = replace(published, task_options={**published.task_options, **of_task})
        config = replace(published, **changes)
    splits = open_for(config)
    if is_first_process():
        show.skipped(splits)
    if recipe != SMALL_DATA:
        config = scaled(published, changes, splits.train_images)
        if is_first_process():
            typer.echo(sentence(config), err=True)
    return config, splits


def frozen(text: str | None) -> Any:
    """A number of epochs, or a word."""
    return int(text) if text is not None and text.isdigit() else text


def check_name(name: str) -> None:
    """Refuse an unknown name at once, before torch is imported."""
    from pumice.models.catalogue import entry
    from pumice.models.spaces.names import is_space, space_class
    from pumice.tasks.names import LIBRARIES

    *prefixes, own = name.split(":")
    if prefixes and is_space(":".join([prefixes[-1], own])):
        space_class(own)
    if not {*prefixes} & {*LIBRARIES}:
        entry(own)
