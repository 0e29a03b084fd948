"""What a head asks of a backbone, as data: which maps it reads, and of which rows."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from pumice.models.heads import DenseHead
from pumice.models.sides import ANY, Sides
from pumice.models.spec import NetSpec, Task


@dataclass(frozen=True)
class Tap:
    """A map that a head reads: what row number `row` gives, or one from inside it.

    inner: a name that the row's module knows, "expand" or "depthwise" of an inverted residual; "" is its output.
    """

    row: int
    inner: str = ""


@dataclass(frozen=True)
class HeadPlan(ABC):
    """A kind of head; the fields of a subclass are its options, JSON values with defaults.

    task: what it is for.
    input_size, num_classes, output_stride: where the user names none; the last is the backbone's.
    sides: the sizes of input that it takes.
    """

    task: ClassVar[Task]
    input_size: ClassVar[tuple[int, int]]
    num_classes: ClassVar[int]
    output_stride: ClassVar[int] = 32
    sides: ClassVar[Sides] = ANY

    @abstractmethod
    def choose(self, reductions: tuple[int, ...]) -> tuple[int, ...]:
        """Which of a backbone's maps the head reads, finest first.

        reductions: input pixels per pixel of each map that the backbone offers, finest first.

        Raises:
            BadInput: a map that the head needs is not there.
        """

    def taps(self, spec: NetSpec) -> tuple[NetSpec, tuple[Tap, ...]]:
        """The rows to build, shortened or narrowed as the head's paper says, and what is read of them, finest first."""
        reductions = spec.reductions()
        last = len(spec.rows) - 1
        ends = [i for i, r in enumerate(reductions) if i == last or reductions[i + 1] != r]
        chosen = self.choose(tuple(reductions[i] for i in ends))
        return spec, tuple(Tap(ends[i]) for i in chosen)

    def strided(self, spec: NetSpec, output_stride: int) -> NetSpec:
        """The rows of `taps` with strides beyond `output_stride` left out, with dilation in their place."""
        return spec.dilated(output_stride)

    @abstractmethod
    def head(
        self, channels: tuple[int, ...], reductions: tuple[int, ...], num_classes: int, drop_rate: float | None
    ) -> DenseHead:
        """The head on maps of these widths and reductions, with its weights initialised."""


def nearest_map(reductions: tuple[int, ...], wanted: int) -> int:
    """The last map of the reduction wanted, else the last finer one, else the first."""
    fitting = [i for i, r in enumerate(reductions) if r <= wanted]
    return fitting[-1] if fitting else 0
