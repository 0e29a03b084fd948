"""How each convolution could run: what `tune` measures beside the rule of thumb."""

from collections.abc import Iterable

from pumice.native.emit.choice import PIXELS, PLANE, SCRATCH, SQUARES, Choice, squarable
from pumice.native.ir import Conv, Operation, Program

SINGLE = (PIXELS // 2, 2 * PIXELS, 4 * PIXELS, 8 * PIXELS)
"""Taken at a time by a convolution of single pixels; first-level caches hold 8 to 12 thousand numbers."""
WINDOWS = (PLANE, SCRATCH // 2, SCRATCH, 2 * SCRATCH)
"""By others; second-level caches hold 64 to 512 thousand."""


def candidates(conv: Conv) -> tuple[Choice, ...]:
    """Choices for a convolution beside the usual one; some of them may come to the same code as that."""
    if conv.pointwise:
        return tuple(Choice(numbers) for numbers in SINGLE)
    squares = tuple(Choice(n, squares=True) for n in (SQUARES // 2, SQUARES, 2 * SQUARES)) if squarable(conv) else ()
    return (*(Choice(numbers) for numbers in WINDOWS), *squares)


def convolutions(program: Program) -> dict[int, tuple[Choice, ...]]:
    """The candidates of every operation that has some, by its place in the program."""
    return {i: candidates(one) for i, one in _convolutions(program.operations)}


def _convolutions(operations: Iterable[Operation]) -> Iterable[tuple[int, Conv]]:
    return ((i, one) for i, one in enumerate(operations) if isinstance(one, Conv))
