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
SQUARES = 64 * 1024
"""The same for convolutions in squares: of transformed numbers of a group."""


@dataclass(frozen=True)
class Choice:
    """How a convolution runs.

    numbers: how many it takes at a time, about.
    squares: whether in squares (`emit.winograd`), where that is possible.
    """

    numbers: int
    squares: bool = False


def usual(conv: Conv) -> Choice:
    """A rule of thumb."""
    if conv.pointwise:
        return Choice(PIXELS)
    if squarable(conv) and _cheaper(conv):
        return Choice(SQUARES, squares=True)
    return Choice(PLANE if conv.weight.shape[1] <= 2 else SCRATCH)


def squarable(conv: Conv) -> bool:
    """Whether a convolution can run in squares."""
    plain = conv.stride == (1, 1) and conv.dilation == (1, 1) and conv.made is None
    return plain and conv.weight.shape[2:] == (3, 3)


def _cheaper(conv: Conv) -> bool:
    """Whether squares cost less: vectors of 8 products, and what transforms take beside them, as measured."""
    (height, width), (out, inputs) = conv.out_size, conv.per_group
    down, across = -(-height // 2), -(-width // 2)
    windows = 9 * height * -(-width // 8) * inputs * out
    squares = 16 * -(-down * across // 8) * inputs * out + 70 * down * -(-across // 8) * (inputs + out)
    return 1.1 * squares < windows
