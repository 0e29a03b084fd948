"""How a convolution runs, where there is a choice."""

from dataclasses import dataclass

from pumice.native.ir import Conv

SCRATCH = 48 * 1024
"""Numbers that a convolution of windows takes at a time, where one plane does not need more: they should stay in a
second-level cache."""
PLANE = 6 * 1024
"""The same for convolutions that see one plane at a time."""
PIXELS = 2 * 1024
"""The same for convolutions of single pixels: a quarter of a first-level cache, while all tiles of outputs go over
them."""


@dataclass(frozen=True)
class Choice:
    """How a convolution runs.

    numbers: how many it takes at a time, about.
    """

    numbers: int


def usual(conv: Conv) -> Choice:
    """A rule of thumb from cache sizes."""
    if conv.pointwise:
        return Choice(PIXELS)
    return Choice(PLANE if conv.weight.shape[1] <= 2 else SCRATCH)
