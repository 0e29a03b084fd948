"""What an experiment is: nets in columns, what a paper measured of them, and which of them it says is faster."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

Widths = Literal["arm", "gpu", "aligned"]
"""Those that the paper gave to its phone, to its GPU, or the phone's rounded to what runtimes like."""


@dataclass(frozen=True)
class Case:
    """One net: one row of a paper's table, in one column.

    label: what tells it from the other rows of its column ("1:6").
    setting: its numbers ("13, 78").
    build: makes it, with the weights that torch's random state gives.
    paper: what was published of it, by device, in the units of `Experiment.paper`.
    """

    label: str
    setting: str
    build: Callable[[], nn.Module]
    paper: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """The case `fast` takes less than `factor` times as long as the case `slow`.

    per_madd: both times are divided by the multiply-adds of the case, which whole numbers of channels make equal only
        within 7 %.
    saves_ms, saves_madds: what was published of the difference, where it was.
    """

    fast: str
    slow: str
    factor: float = 1.0
    per_madd: bool = False
    saves_ms: float | None = None
    saves_madds: float | None = None

    def __str__(self) -> str:
        unit = " a multiply-add" if self.per_madd else ""
        if self.factor == 1:
            return f"{self.fast} takes less time{unit} than {self.slow}"
        return f"{self.fast} takes less than {self.factor:g} times as long{unit} as {self.slow}"


@dataclass(frozen=True)
class Column:
    """Cases that are compared with each other.

    input_sizes: (C, H, W) of each case, in their order.
    """

    title: str
    cases: tuple[Case, ...]
    input_sizes: tuple[tuple[int, int, int], ...]
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Experiment:
    """One table of a paper, or one of its arguments.

    statement: what is judged, as one sentence.
    source: of the settings and the published figures.
    paper: the published columns, device -> unit; "ms", or a rate such as "images/s".
    columns: the columns with the widths asked for, where the experiment has several.
    """

    name: str
    title: str
    statement: str
    source: str
    paper: Mapping[str, str]
    columns: Callable[[Widths], tuple[Column, ...]]


def against_first(cases: tuple[Case, ...]) -> tuple[Claim, ...]:
    """The first row is faster than each of the others, per multiply-add."""
    first, *others = (case.label for case in cases)
    return tuple(Claim(first, other, per_madd=True) for other in others)
