"""What verbs print: one table for people, JSON for machines."""

import json
import math
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from pumice.data.images import Splits


def emit(value: Any) -> None:
    """JSON on standard output; numbers that JSON cannot hold become null."""
    typer.echo(json.dumps(_finite(value), indent=1, ensure_ascii=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table.

    columns: names.  `>` before a name aligns right, as numbers are; `?` marks a column to leave out, the last one
    first, where the terminal is too narrow for all.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    cells, width = [tuple(row) for row in rows], _width()
    names = [column.lstrip("?>") for column in columns]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    kept = list(range(len(columns)))
    for i in reversed(range(len(columns))):
        if columns[i].startswith("?") and sum(widths[k] + 3 for k in kept) - 3 > width:
            kept.remove(i)
    view = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for i in kept:
        right = ">" in columns[i]
        view.add_column(names[i], justify="right" if right else "left", no_wrap=right or i == 0, overflow="fold")
    for row in cells:
        view.add_row(*(row[i] for i in kept))
    _print(view, width)


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Names and values, a line each."""
    from rich.table import Table

    view = Table.grid(padding=(0, 2))
    view.add_column(no_wrap=True, style="bold")
    view.add_column(overflow="fold")
    for name, value in pairs:
        view.add_row(name, value)
    _print(view, _width())


def _width() -> int:
    """Of the terminal; what goes into a pipe or file is not folded."""
    return shutil.get_terminal_size((1000, 24)).columns


def _print(view: Any, width: int) -> None:
    from rich.console import Console

    console = Console(width=width, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(view)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def skipped(splits: "Splits") -> None:
    """Name and count the files that cannot be used, on standard error."""
    for one in splits.skipped[:10]:
        typer.echo(f"skipped {one.path}: {one.reason}", err=True)
    if splits.skipped:
        total = len(splits.skipped) + splits.train_images + len(splits.val)
        typer.echo(f"{len(splits.skipped)} of {total} files skipped", err=True)


def counted(number: int, one: str) -> str:
    """(1, "image") -> 1 image; (2, "image") -> 2 images."""
    return f"{number} {one}{'s' * (number != 1)}"


def count(value: float | None) -> str:
    """1234567 -> 1.23 M."""
    if value is None:
        return "-"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}" if value / size < 999.5 else f"{value / size:.0f} {unit}"
    return f"{value:g}"


def size(value: float | None) -> str:
    """Bytes -> 1.23 MB (1e6)."""
    return "-" if value is None else count(value).strip() + "B" if value >= 1e3 else f"{value:g} B"


def shape(value: Sequence[int]) -> str:
    """(3, 224, 224) -> 3x224x224."""
    return "x".join(map(str, value))


def percent(value: float | None) -> str:
    """0.5 -> 50.0 %."""
    return "-" if value is None else f"{100 * value:.1f} %"


def fresh_folder(verb: str) -> Path:
    """runs/fit-1, or the first of its kind that is not there."""
    number = 1
    while Path("runs", f"{verb}-{number}").exists():
        number += 1
    return Path("runs", f"{verb}-{number}")
