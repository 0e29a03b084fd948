"""`pumice data`: what is in a data set, and what is wrong with it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pumice.cli import show
from pumice.cli.options import Json, Set
from pumice.errors import BadInput, CheckFailed

if TYPE_CHECKING:
    from pumice.data.check import DataReport
    from pumice.data.images import Splits

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.callback()
def data() -> None:
    """Data sets: `check` one before training on it."""


@app.command()
def check(
    data: Annotated[str, typer.Argument(metavar="DATA", help="digits, a folder of images, hf:NAME or wds:PATTERN.")],
    task: Annotated[
        str, typer.Option(metavar="NAME", help="classify, detect (boxes), segment (masks) or keypoints.")
    ] = "classify",
    set: Set = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a page with pictures: check.html.")
    ] = None,
    json: Json = False,
) -> None:
    """Find damaged files, leaks, contradictions, imbalance.

    Looks at every image: can it be read, is it on both sides of the split, in two classes, how large is it.

    Ends with 1 if something would hurt: a damaged file, an image that is learnt from and judged by, equal images
    with different labels, or a class that is judged and never learnt.
    """
    from pumice.data.web import is_web
    from pumice.files import check_place
    from pumice.train.config import TrainConfig
    from pumice.train.open import open_for

    config = TrainConfig(data=data).with_overrides([f"task={task}", *(set or [])])
    if config.streaming or is_web(data):
        raise BadInput(f"{data} is streamed, but every image is looked at here; fetch it first, and give the files")
    if out is not None:
        check_place(out)
    splits = open_for(config)
    if config.task != "classify":
        from pumice.cli import data_dense

        if out is not None:
            raise BadInput(f"there is no page about data to {config.task}; leave --out out")
        data_dense.check(splits, config.task, json)
        return

    from pumice.data.check import check as look

    report = look(splits)
    if out is not None:
        write_page(report, splits, out)
    if json:
        show.emit(report.to_json())
    else:
        tell(report)
    if not report.ok:
        raise CheckFailed(f"{show.counted(len(report.problems), 'problem')} in {report.source}")


def tell(report: "DataReport") -> None:
    """The report as tables and sentences."""
    shown = sorted(report.classes, key=lambda c: c[1])
    if len(shown) > 24:
        typer.echo(f"The 12 smallest and the 12 largest of {len(shown)} classes:")
        shown = [*shown[:12], *shown[-12:]]
    show.table(["class", ">train", ">val"], [(name, str(train), str(val)) for name, train, val in shown])
    typer.echo()
    record = report.to_json()
    sides = {name: report.sizes[name] for name in ("width", "height") if name in report.sizes}
    show.facts(
        [
            ("images", f"{record['images']['train']} to learn from, {record['images']['val']} to judge by"),
            ("balance", f"largest class {report.ratio:.1f} x the smallest; evenness {report.evenness:.3f} of 1"),
            *((name, f"{low:.0f} to {high:.0f} pixels, median {mid:.0f}") for name, (low, mid, high) in sides.items()),
            ("kinds", ", ".join(f"{n} {kind}" for kind, n in (report.formats | report.modes).items())),
        ]
    )
    typer.echo()
    for sentence in report.problems:
        typer.echo(f"✗ {sentence}.")
    for sentence in report.advice:
        typer.echo(f"! {sentence}.")
    if report.ok:
        typer.echo("✓ nothing that would hurt.")


def write_page(report: "DataReport", splits: "Splits", out: Path) -> None:
    """The page, with pictures of every class and of the pairs."""
    from pumice.data.image import data_uri
    from pumice.report.data_check import THUMB, pictured, write_data_check

    named = {
        name: load for part in (splits.train, splits.val) for name, load in zip(part.names, part.loaders, strict=True)
    }
    classes: dict[str, list[str]] = {name: [] for name in splits.classes}
    for label, name in zip(splits.train.labels, splits.train.names, strict=True):
        classes[splits.classes[label]].append(name)
    record = report.to_json() | {"shapes": [list(shape) for shape in report.shapes]}
    wanted = pictured(record, classes)
    pictures = {name: data_uri(named[name](), THUMB, "JPEG") for name in dict.fromkeys(wanted) if name in named}
    write_data_check(record, classes, pictures, out)
