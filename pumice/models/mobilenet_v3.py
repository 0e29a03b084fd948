"""MobileNetV3: Howard et al., "Searching for MobileNetV3", ICCV 2019, arXiv:1905.02244.

From the paper (version 5): every number in LARGE and SMALL (tables 1, 2); SE width is hidden / 4 (5.3).
From the authors' code (TF-slim): SE widths round to 8, widths scale by `scaled`, the head (1280 / 1024) does not, the
last convolution of Small has no SE (the paper's table ticks one), minimalistic nets are 3 x 3, ReLU and without SE.
"""

from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from torch import nn

from pumice.errors import BadInput
from pumice.models.depth import deepened
from pumice.models.heads import HeadRow, PoolHiddenLinear, PoolLinear
from pumice.models.rounding import make_divisible
from pumice.models.rows import Conv, Row
from pumice.models.spec import NetSpec, Variant
from pumice.nn.activation import Activation
from pumice.nn.gate import SqueezeExcite
from pumice.nn.inverted_residual import InvertedResidual


@dataclass(frozen=True)
class Bneck(Row):
    """One line of table 1 or 2, columns in the paper's order."""

    kernel_size: int
    hidden: int
    out_channels: int
    se: bool
    act: Activation
    stride: int

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """InvertedResidual, its SE before the projection."""
        return InvertedResidual(
            *(in_channels, self.hidden, self.out_channels, self.kernel_size, self.stride),
            act=self.act,
            se=SqueezeExcite(self.hidden, make_divisible(self.hidden / 4)) if self.se else None,
            dilation=self.dilation,
        )


# fmt: off
Net = tuple[Conv | Bneck, ...]
LARGE: Net = (  # table 1
    #     k  hid  out     SE    NL  s
    Conv (3,       16,              2, "HS"),
    Bneck(3,  16,  16, False, "RE", 1),
    Bneck(3,  64,  24, False, "RE", 2),
    Bneck(3,  72,  24, False, "RE", 1),
    Bneck(5,  72,  40,  True, "RE", 2),
    Bneck(5, 120,  40,  True, "RE", 1),
    Bneck(5, 120,  40,  True, "RE", 1),
    Bneck(3, 240,  80, False, "HS", 2),
    Bneck(3, 200,  80, False, "HS", 1),
    Bneck(3, 184,  80, False, "HS", 1),
    Bneck(3, 184,  80, False, "HS", 1),
    Bneck(3, 480, 112,  True, "HS", 1),
    Bneck(3, 672, 112,  True, "HS", 1),
    Bneck(5, 672, 160,  True, "HS", 2),
    Bneck(5, 960, 160,  True, "HS", 1),
    Bneck(5, 960, 160,  True, "HS", 1),
    Conv (1,      960,              1, "HS"),
)
SMALL: Net = (  # table 2
    Conv (3,       16,              2, "HS"),
    Bneck(3,  16,  16,  True, "RE", 2),
    Bneck(3,  72,  24, False, "RE", 2),
    Bneck(3,  88,  24, False, "RE", 1),
    Bneck(5,  96,  40,  True, "HS", 2),
    Bneck(5, 240,  40,  True, "HS", 1),
    Bneck(5, 240,  40,  True, "HS", 1),
    Bneck(5, 120,  48,  True, "HS", 1),
    Bneck(5, 144,  48,  True, "HS", 1),
    Bneck(5, 288,  96,  True, "HS", 2),
    Bneck(5, 576,  96,  True, "HS", 1),
    Bneck(5, 576,  96,  True, "HS", 1),
    Conv (1,      576,              1, "HS"),
)
# fmt: on


def scaled(rows: Net, width: float) -> Net:
    """TF-slim's width multiplier: outputs scale and round to 8; expansions keep their ratio to the *scaled* input."""
    result: list[Conv | Bneck] = []
    before, after = 0, 0  # input channels at width 1 and now
    for row in rows:
        out = make_divisible(row.out_channels * width)
        if isinstance(row, Bneck):
            result.append(replace(row, hidden=make_divisible(row.hidden / before * after), out_channels=out))
        else:
            result.append(replace(row, out_channels=out))
        before, after = row.out_channels, out
    return tuple(result)


def deeper(rows: Net, depth: float) -> Net:
    """timm's depth multiplier (not in the paper): the repeats of every stage after the stem scale and round up.

    A stage is the rows of one width; its kinds of row (equal but for stride) share the repeats.
    """
    stem, *body = rows
    widths = (stem.out_channels, *(row.out_channels for row in body))
    ratios = [row.hidden / c if isinstance(row, Bneck) else 0.0 for row, c in zip(body, widths, strict=False)]
    result: list[Conv | Bneck] = [stem]
    for _, stage in groupby(zip(body, ratios, strict=True), key=lambda item: (item[0].out_channels, type(item[0]))):
        runs = [list(run) for _, run in groupby(stage, key=lambda item: (item[0].kernel_size, item[1]))]
        for run, n in zip(runs, deepened([len(run) for run in runs], depth), strict=True):
            first, ratio = run[0]
            result.append(first)
            result += [repeated(first, ratio)] * (n - 1)
    return tuple(result)


def repeated(row: Conv | Bneck, ratio: float) -> Conv | Bneck:
    """The row as a later one of its stage: no stride, the same expansion ratio over the stage's own width."""
    if isinstance(row, Bneck):
        return replace(row, hidden=round(ratio * row.out_channels), stride=1)
    return replace(row, stride=1)


def ablated(rows: Net, act: Activation, hswish_from: int, se: bool, stem: int) -> Net:
    """The table with the options of `large`; the first block, which does not expand, follows the stem."""
    if stem < 1:
        raise BadInput(f"stem must have at least 1 channel, not {stem}; the paper compares 16 and 32")
    result: list[Conv | Bneck] = []
    for i, row in enumerate(rows):
        if isinstance(row, Bneck):
            kind: Activation = act if row.out_channels >= hswish_from else "RE"
            result.append(replace(row, hidden=stem if i == 1 else row.hidden, se=row.se and se, act=kind))
        else:
            result.append(replace(row, out_channels=stem if i == 0 else row.out_channels, act=act))
    return tuple(result)


def minimalistic(rows: Net) -> Net:
    """3 x 3 kernels, ReLU, no SE."""
    return tuple(
        replace(row, kernel_size=3, se=False, act="RE") if isinstance(row, Bneck) else replace(row, act="RE")
        for row in rows
    )


def _net(rows: Net, head: HeadRow, minimal: bool) -> NetSpec:
    return NetSpec(minimalistic(rows) if minimal else rows, head, bn_momentum=0.01)


def large(
    width: float = 1.0,
    depth: float = 1.0,
    minimal: bool = False,
    act: Literal["HS", "RE"] = "HS",
    hswish_from: int = 80,
    se: bool = True,
    stem: int = 16,
    tail: Literal["efficient", "original"] = "efficient",
) -> NetSpec:
    """V3-Large, with the paper's ablations.

    act: "RE" is ReLU everywhere.  hswish_from: the fewest output channels, in table 1, of a block with h-swish, N of
    "h-swish @N" (table 5: 16, 80, 112); stem and last stage always have it.  se: False leaves every gate out.
    stem: 32 is what 16 with h-swish replaced (section 5.1).  tail: "original" is the last stage before it was made
    efficient (figure 5): another block, 960 -> 320, and a 1 x 1 convolution to 1280, which does not scale, at 7 x 7.
    minimal: ReLU, 3 x 3 kernels and no SE, whatever the others say.
    """
    rows = ablated(LARGE, act, hswish_from, se, stem)
    if tail == "efficient":
        hidden: Activation = "RE" if minimal else act
        return _net(scaled(deeper(rows, depth), width), PoolHiddenLinear(1280, hidden), minimal)
    rows = scaled(deeper((*rows[:-1], Bneck(3, 960, 320, False, act, 1)), depth), width)
    return _net((*rows, Conv(1, 1280, 1, act)), PoolLinear(0.2), minimal)


def small(
    width: float = 1.0,
    depth: float = 1.0,
    minimal: bool = False,
    act: Literal["HS", "RE"] = "HS",
    hswish_from: int = 40,
    se: bool = True,
    stem: int = 16,
) -> NetSpec:
    """V3-Small; the options are those of `large`, whose figure 5 has no counterpart here."""
    rows = scaled(deeper(ablated(SMALL, act, hswish_from, se, stem), depth), width)
    return _net(rows, PoolHiddenLinear(1024, "RE" if minimal else act), minimal)


VARIANTS = {
    "mobilenetv3_large_100": Variant(large, published="V3-Large 1.0"),
    "mobilenetv3_large_075": Variant(large, {"width": 0.75}, published="V3-Large 0.75"),
    "mobilenetv3_large_125": Variant(large, {"width": 1.25}, published="V3-Large 1.25"),
    "mobilenetv3_small_100": Variant(small, published="V3-Small 1.0"),
    "mobilenetv3_small_075": Variant(small, {"width": 0.75}, published="V3-Small 0.75"),
    "mobilenetv3_small_050": Variant(
        small,
        {"width": 0.5},
        note="stem of 8, as TF-slim scales it; timm's net of this name keeps 16 and is another net",
    ),
    "mobilenetv3_small_035": Variant(small, {"width": 0.35}, note="stem of 8, as TF-slim scales it"),
    "mobilenetv3_large_minimal_100": Variant(large, {"minimal": True}, published="V3-Large minimalistic"),
    "mobilenetv3_small_minimal_100": Variant(
        small,
        {"minimal": True},
        published="V3-Small minimalistic",
        note="the published 65 M multiply-adds are a misprint: the published net has 52.3 M",
    ),
    "mobilenetv3_large_150d": Variant(
        large, {"width": 1.5, "depth": 1.2}, status="optional", note="timm's depth and width scaling, not in the paper"
    ),
}
