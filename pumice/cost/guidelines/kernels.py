"""3 x 3 against 1 x 1 against 3 x 1 and 1 x 3: multiply-adds of different kernels are not worth the same time.

The argument is ShuffleNetV2's (arXiv:1807.11164, section 2: libraries are made for 3 x 3, which does not take nine
times as long as 1 x 1, and factorised layers had been seen to run slower than what they factorise), the experiment is
ours: four convolutions of as many inputs as outputs, at four places of a usual net, once with equal channels and once
with equal multiply-adds, as far as multiples of 8 channels allow.
"""

from collections.abc import Callable
from functools import partial
from math import sqrt

from torch import nn

from pumice.cost.guidelines.experiment import Case, Claim, Column, Experiment, Widths
from pumice.cost.guidelines.stack import stack

REPEATS = 4
PLACES = ((32, 56), (64, 28), (128, 14), (256, 7))
"""Channels of the 3 x 3 convolution and height of the map."""


def _square(c: int, k: int) -> nn.Module:
    return nn.Conv2d(c, c, k, padding=k // 2, bias=False)


def _factorised(c: int) -> nn.Module:
    """3 x 1, then 1 x 3."""
    vertical = nn.Conv2d(c, c, (3, 1), padding=(1, 0), bias=False)
    return nn.Sequential(vertical, nn.Conv2d(c, c, (1, 3), padding=(0, 1), bias=False))


# Label, block of a width, multiply-adds of a pixel over the square of the width.
KINDS: tuple[tuple[str, Callable[[int], nn.Module], int], ...] = (
    ("3x3", partial(_square, k=3), 9),
    ("1x1", partial(_square, k=1), 1),
    ("3x1 + 1x3", _factorised, 6),
)
EQUAL_CHANNELS = (Claim("3x3", "1x1", factor=9), Claim("3x3", "3x1 + 1x3", factor=1.5))
EQUAL_MADDS = (Claim("3x3", "1x1", per_madd=True), Claim("3x3", "3x1 + 1x3", per_madd=True))


def _column(channels: int, side: int, equal_madds: bool) -> Column:
    widths = [8 * round(channels * sqrt(9 / cost) / 8) if equal_madds else channels for _, _, cost in KINDS]
    cases = tuple(
        Case(label, f"{c}", partial(stack, partial(block, c), REPEATS))
        for (label, block, _), c in zip(KINDS, widths, strict=True)
    )
    title = f"{'equal MAdds' if equal_madds else 'equal channels'}, {channels} at {side}x{side}"
    claims = EQUAL_MADDS if equal_madds else EQUAL_CHANNELS
    return Column(title, cases, tuple((c, side, side) for c in widths), claims)


def _columns(widths: Widths) -> tuple[Column, ...]:
    return tuple(_column(c, side, equal) for equal in (False, True) for c, side in PLACES)


KERNELS = Experiment(
    "kernels",
    "Shapes of kernels",
    "A 3x3 takes less time than its multiply-adds say beside a 1x1 and beside a 3x1 with a 1x3.",
    "ShuffleNetV2, arXiv:1807.11164, section 2 (the argument); settings are ours",
    {},
    _columns,
)
