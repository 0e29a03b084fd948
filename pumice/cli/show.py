"""What verbs print: one table for people, JSON for machines."""

import json
import math
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import typer


def emit(value: Any) -> None:
    """JSON on standard output; numbers that JSON cannot hold become null."""
    typer.echo(json.dumps(_finite(value), indent=1, ensure_ascii=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """A table; columns whose name starts with `>` are aligned right, as numbers are."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    view = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        right = column.startswith(">")
        view.add_column(column.removeprefix(">"), justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        view.add_row(*row)
    Console(width=shutil.get_terminal_size((140, 24)).columns, highlight=False, markup=False).print(view)


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Names and values, a line each."""
    from rich.console import Console
    from rich.table import Table

    view = Table.grid(padding=(0, 2))
    view.add_column(no_wrap=True, style="bold")
    view.add_column(overflow="fold")
    for name, value in pairs:
        view.add_row(name, value)
    Console(width=shutil.get_terminal_size((140, 24)).columns, highlight=False, markup=False).print(view)


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
