"""`pumice data check --task`: boxes, masks, poses."""

from typing import TYPE_CHECKING, Any

import typer

from pumice.cli import show
from pumice.data.check_dense import check_dense
from pumice.errors import CheckFailed

if TYPE_CHECKING:
    from pumice.data.images import Splits

SHOWN = 24  # classes
HEADS = {"detect": "boxes", "segment": "share", "keypoints": "labels"}


def check(splits: "Splits[Any]", task: str, json: bool) -> None:
    """Look, and tell.

    Raises:
        CheckFailed: something would hurt.
    """
    report, leaks = check_dense(splits, task)
    record: dict[str, Any] = report.to_json()
    if json:
        pairs = [{"first": pair.first, "second": pair.second, "bits": pair.bits} for pair in leaks]
        show.emit({"task": task, **record, "leaks": pairs})
    else:
        tell(record, task)
    if not report.ok:
        raise CheckFailed(f"{show.counted(len(report.problems), 'problem')} in {report.source}")


def tell(record: dict[str, Any], task: str) -> None:
    """The summary as tables and sentences."""
    train, val = record["train"], record["val"]
    per_class = ("shares" if task == "segment" else "per_class", HEADS[task])
    more = {"segment": "images_per_class", "detect": "images_per_class", "keypoints": "hidden"}[task]
    names = list(train[per_class[0]])
    rows = [
        (
            name,
            *(_figure(side[per_class[0]][name]) for side in (train, val)),
            *(_figure(side[more][name]) for side in (train, val)),
        )
        for name in names[:SHOWN]
    ]
    second = "hidden" if task == "keypoints" else "images"
    head = [f">{per_class[1]} to learn", ">to judge", f">{second} to learn", ">to judge"]
    show.table(["joint" if task == "keypoints" else "class", *head], rows)
    if len(names) > SHOWN:
        typer.echo(f"... and {len(names) - SHOWN} more; --json gives all")
    typer.echo()
    plain = [key for key in train if not isinstance(train[key], dict)]
    both = [(key, _whole(train[key]), _whole(val[key])) for key in plain]
    show.facts([(key.replace("_", " "), f"{one} to learn from, {other} to judge by") for key, one, other in both])
    typer.echo()
    for sentence in record["problems"]:
        typer.echo(f"✗ {sentence}.")
    for sentence in record["advice"]:
        typer.echo(f"! {sentence}.")
    if record["ok"]:
        typer.echo("✓ nothing that would hurt.")


def _figure(value: float | int) -> str:
    return show.percent(value) if isinstance(value, float) else f"{value:,}"


def _whole(value: Any) -> str:
    """A count, a share, or least, median and greatest."""
    if isinstance(value, list):
        return " / ".join(f"{one:g}" for one in value)
    return _figure(value)
