"""MicroNets of other widths and group numbers than the published: Li et al., ICCV 2021, arXiv:2108.05894.

From the paper: G = sqrt(C / R).  From the authors' release: two numbers whose product is the width C / R between them.
Where silent: how widths round, and the widths of every ablation, of which the paper says only that they cost the same.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from pumice.errors import BadInput
from pumice.models.micronet_blocks import Last, Lite, Regular, Stem
from pumice.models.rounding import make_divisible

Rows = tuple[Stem | Lite | Regular | Last, ...]
Combination = Literal["none", "low", "both"]


def divisors(value: int) -> list[int]:
    """In rising order."""
    return [d for d in range(1, value + 1) if value % d == 0]


def groups_for(channels: int, expansion: int, before: int = 0) -> tuple[int, int]:
    """(G1, G2) with G1 * G2 = C / R, as near sqrt(C / R) as divisors are; G1 <= G2 where both orders can be.

    channels: C, of the wide maps.  expansion: R.  before: the width that is squeezed, when it is not C; G1 divides it.
    Every pair of M0 to M3 is of this rule.

    >>> groups_for(192, 6), groups_for(480, 6), groups_for(768, 6)
    ((4, 8), (8, 10), (8, 16))
    """
    bottleneck = channels // expansion
    pairs = [(g, bottleneck // g) for g in divisors(math.gcd(bottleneck, before or channels))]
    return min(pairs, key=lambda pair: (max(pair), pair))


def nearest_divisor(value: int, target: float) -> int:
    """The divisor of value that is nearest to target, as a ratio."""
    return min(divisors(value), key=lambda d: abs(math.log(d / target)))


def regrouped(rows: Rows, fixed: int, lambda_: float) -> Rows:
    """The rows with new group numbers: lambda_ times the pairs of `groups_for`, or `fixed` unless that is 0."""
    result: list[Stem | Lite | Regular | Last] = []
    width, target = 0, 1.0  # of the row before: channels, and the group number that its pair leaves to the expansion
    for row in rows:
        hidden = 0 if isinstance(row, Stem) else row.expand * width
        out = row.width(width)
        if isinstance(row, Regular | Last):
            row = replace(row, expand_groups=nearest_divisor(width, target))
        pair = (fixed, fixed) if fixed else groups_for(out, 1, hidden)
        if isinstance(row, Lite | Regular):
            row = replace(row, squeeze_groups=nearest_divisor(math.gcd(hidden, out), lambda_ * pair[0]))
        result.append(row)
        width, target = out, lambda_ * pair[1]
    return tuple(result)


def combined(rows: Rows, lite: Combination, expand: int) -> Rows:
    """Lite rows made regular ("none"), or regular ones lite ("both", the last row stays); both expand by `expand`."""
    result: list[Stem | Lite | Regular | Last] = []
    for row in rows:
        if lite == "none" and isinstance(row, Lite):
            row = Regular(row.kernel_size, row.stride, expand, row.out_channels, 1, 1, row.y, row.r)
        elif lite == "both" and isinstance(row, Regular):
            row = Lite(row.kernel_size, row.stride, row.out_channels, 1, row.y, row.r, expand)
        result.append(row)
    return tuple(result)


def step(channels: int) -> int:
    """Widths below 32 are multiples of 4, others of 8, as the published ones are: our rule, no paper's."""
    return 4 if channels < 32 else 8


def scaled(rows: Rows, width: float) -> Rows:
    """Every width times `width`, rounded to its step; the stem stays even, the last row follows the one before."""
    result: list[Stem | Lite | Regular | Last] = []
    for row in rows:
        if isinstance(row, Stem):
            q = max(1, round(row.q * width))
            row = replace(row, q=q + q * row.e % 2)
        elif not isinstance(row, Last):
            row = replace(row, out_channels=make_divisible(row.out_channels * width, step(row.out_channels)))
        result.append(row)
    return tuple(result)


def madds_of(rows: Rows, hidden: int) -> int:
    """Multiply-adds of the convolutions and of a head with one hidden layer and 1000 classes, at 224 x 224."""
    total, c, side = 0, 3, 224
    for row in rows:
        before, side = side, side // row.stride
        if isinstance(row, Stem):
            total += 3 * row.q * side * (c * before + row.e * side)  # 3 x 1, then 1 x 3
        else:
            wide, full_rank = row.expand * c, row.full_rank != "none"
            if isinstance(row, Regular | Last):
                total += wide * c // (1 if full_rank else row.expand_groups) * before * before
            if (isinstance(row, Regular) and full_rank) or (isinstance(row, Lite) and row.full_rank == "all"):
                total += row.kernel_size**2 * wide * side * side
            elif isinstance(row, Lite | Regular):
                vertical = 2 * c if isinstance(row, Lite) else wide
                total += row.kernel_size * side * (vertical * before + wide * side)
            if isinstance(row, Lite | Regular):
                total += wide * row.out_channels // (1 if full_rank else row.squeeze_groups) * side * side
        c = row.width(c)
    return total + c * hidden + 1000 * hidden


def solved(rows: Rows, grouped: Callable[[Rows], Rows], most: int, hidden: int) -> Rows:
    """The widest rows of at most that many multiply-adds: a common scale, then single widths by 4, from the last.

    Rows of one width stay of one width, so that shortcuts remain.  It ends within 1 % below `most` where steps allow.

    Raises:
        BadInput: the narrowest net costs more.
    """

    def cost(rows: Rows) -> int:
        return madds_of(grouped(rows), hidden)

    low, high = 1 / 64, 64.0
    if cost(scaled(rows, low)) > most:
        raise BadInput(f"no MicroNet of this kind has as few as {most} multiply-adds; give madds a larger number")
    for _ in range(20):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if cost(scaled(rows, middle)) <= most else (low, middle)
    best = scaled(rows, low)
    for _ in range(3):
        for c in sorted({row.out_channels for row in best if isinstance(row, Lite | Regular)}, reverse=True):
            wider = tuple(
                replace(row, out_channels=c + 4) if isinstance(row, Lite | Regular) and row.out_channels == c else row
                for row in best
            )
            if cost(best) < 0.99 * most and cost(best) < cost(wider) <= most:
                best = wider
    return grouped(best)
