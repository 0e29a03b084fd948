"""A progress bar for anything that may take longer than two seconds.

A terminal gets bars; files and pipes get nothing.  Where PUMICE_PROGRESS is set, as on a device that measures for
another machine, progress is lines instead, which that machine shows, and rich is not needed.
"""

import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

LINES = "PUMICE_PROGRESS"
LINE = "pumice-progress "  # begins such a line
EVERY_S = 0.5


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield the items; on a terminal show a bar on standard error."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    if os.environ.get(LINES):
        of = "" if total is None else f" of {total}"
        for i, item in enumerate(items):
            _tell(f"{description} {i + 1}{of}")
            yield item
        return
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=total)
        for item in items:
            yield item
            bar.advance(task)


def pulse(describe: Callable[[], str]) -> Generator[None, None, None]:
    """Endless rounds.  What is shown changes between them: a thread that redraws it would run on a measured core."""
    if os.environ.get(LINES):
        told = time.perf_counter()
        while True:
            if (now := time.perf_counter()) - told > EVERY_S:
                _tell(describe())
                told = now
            yield
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, auto_refresh=False, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(describe())
        drawn = time.perf_counter()
        while True:
            if (now := time.perf_counter()) - drawn > EVERY_S:
                bar.update(task, description=describe())
                bar.refresh()
                drawn = now
            yield


@contextmanager
def status(description: str) -> Iterator[Callable[[str], None]]:
    """A function that shows, on a terminal, what somebody else is doing now; from any thread."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(description)
        yield lambda text: bar.update(task, description=f"{description}: {text}")


def _tell(text: str) -> None:
    print(LINE + text, file=sys.stderr, flush=True)
