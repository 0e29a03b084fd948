"""How a convolution runs, where there is a choice."""

from dataclasses import dataclass

from pumice.native.ir import Conv
from pumice.native.plan import stride

SCRATCH = 48 * 1024
"""Numbers that a convolution gathers at a time, where one plane does not need more: they should stay in a cache."""
PLANE = 6 * 1024
"""The same for convolutions that see one plane at a time."""
PIXELS = 4 * 1024
"""The same for convolutions of single pixels: in the first-level cache while all tiles of outputs go over them."""
CACHE = 96 * 1024
"""Numbers: three quarters of a small second-level cache."""


@dataclass(frozen=True)
class Choice:
    """How a convolution runs.

    gather: whether its pixels are gathered first, for one that sees single pixels.
    numbers: how many are gathered at a time.
    """

    gather: bool = False
    numbers: int = PIXELS


def usual(conv: Conv) -> Choice:
    """Gathered where a tile's rows, each in a plane of its own, are spread over more than a second-level cache."""
    out, inputs = conv.weight.shape[0] // conv.groups, conv.weight.shape[1]
    wide = inputs * stride(conv.size) > CACHE and out >= 12
    return Choice(gather=wide or inputs * out > 2 * CACHE, numbers=PIXELS)
