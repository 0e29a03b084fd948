"""How each convolution could run: what `tune` measures beside the rule of thumb."""

from collections.abc import Iterable

from pumice.native.emit.source import PLANE, SCRATCH, Choice
from pumice.native.ir import Conv, Operation, Program

NUMBERS = (PLANE, SCRATCH // 2, SCRATCH, 2 * SCRATCH)
"""Gathered at a time: caches of the first level hold 8 to 12 thousand numbers, those of the second 64 to 512."""


def candidates(conv: Conv) -> tuple[Choice, ...]:
    """Choices for a convolution beside the usual one; some of them may come to the same code as that."""
    gathered = tuple(Choice(gather=True, numbers=numbers) for numbers in NUMBERS)
    return (Choice(gather=False), *gathered) if conv.pointwise else gathered


def convolutions(program: Program) -> dict[int, tuple[Choice, ...]]:
    """The candidates of every operation that has some, by its place in the program."""
    return {i: candidates(one) for i, one in _convolutions(program.operations)}


def _convolutions(operations: Iterable[Operation]) -> Iterable[tuple[int, Conv]]:
    return ((i, one) for i, one in enumerate(operations) if isinstance(one, Conv))
