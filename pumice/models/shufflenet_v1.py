"""ShuffleNetV1: Zhang et al., "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices",
CVPR 2018, arXiv:1707.01083.

From the paper: WIDTHS, REPEATS and the unit (table 1, figure 2); mid = c / 4; the first unit's first 1 x 1 convolution
is not grouped (table 1's caption); widths scale with the net.
From the authors' code (github.com/megvii-model/ShuffleNet-Series): the stems of 0.5x (g = 3, 8), 1.0x, 1.5x and 2.0x,
the order [shortcut, branch], no bias in the classifier, and the shuffle: it follows the depthwise convolution and runs
the other way round, S(mid / g), where the paper's figure draws S(g) before it.  The release runs here.  The nets of
pytorchcv follow the figure, put the branch first and have a biased classifier: `layout`.
Where both are silent: stems and widths of the other small nets, place and ratio of SE, the shallow net's widths.
"""

from dataclasses import dataclass
from math import ceil, lcm
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.heads import PoolLinear
from pumice.models.rows import Conv, MaxPool, Row
from pumice.models.spec import NetSpec, Variant
from pumice.nn.conv import ConvNormAct
from pumice.nn.drop_path import DropPath
from pumice.nn.gate import SqueezeExcite
from pumice.nn.shuffle import ChannelShuffle

Layout = Literal["official", "pytorchcv"]


class AddUnit(nn.Module):
    """Figure 2b.  (N, C, H, W) -> the same shape.

    y = ReLU(x + branch(x))
    """

    def __init__(self, row: "Unit") -> None:
        super().__init__()
        self.branch = branch(row.out_channels, row.out_channels, row)
        self.drop_path = DropPath()
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        return self.act(x + self.drop_path(self.branch(x)))


class ConcatUnit(nn.Module):
    """Figure 2c.  (N, C, H, W) -> (N, O, H/2, W/2).

    y = ReLU(concat(average_pool_3x3,s(x), branch(x)))    C + (O - C); pytorchcv's layout has the branch first
    """

    def __init__(self, in_channels: int, row: "Unit") -> None:
        super().__init__()
        self.branch_first = row.layout == "pytorchcv"
        self.pool = AveragePool(row.stride, row.dilation)
        self.branch = branch(in_channels, row.out_channels - in_channels, row)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/2, W/2)."""
        parts = (self.branch(x), self.pool(x)) if self.branch_first else (self.pool(x), self.branch(x))
        return self.act(torch.cat(parts, dim=1))


class AveragePool(nn.Module):
    """Mean of 3 x 3 pixels that lie `dilation` apart, zeros beyond the border included: (N, C, H, W) ->
    (N, C, ceil(H/s), ceil(W/s)).

    A dense task drops the stride and dilates the window, which torch's own pooling cannot.
    """

    def __init__(self, stride: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.pool = nn.AvgPool2d(3, stride, padding=1) if dilation == 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H/s, W/s)."""
        d, h, w = self.dilation, x.shape[2], x.shape[3]
        if d == 1:
            return self.pool(x)
        x = F.pad(x, (d, d, d, d))
        x = x[:, :, :h] + x[:, :, d : h + d] + x[:, :, 2 * d :]
        return (x[..., :w] + x[..., d : w + d] + x[..., 2 * d :]) / 9


def branch(in_channels: int, out_channels: int, row: "Unit") -> nn.Sequential:
    """SE(gconv_1x1(S(depthwise_3x3,s(ReLU(gconv_1x1(x)))))): C -> c / 4 -> c / 4 -> out, each conv-norm."""
    mid, g = row.out_channels // 4, row.groups
    mixes = row.shuffle and g > 1
    return nn.Sequential(
        ConvNormAct(in_channels, mid, groups=row.first_groups, act="RE"),
        ChannelShuffle(g) if mixes and row.layout == "pytorchcv" else nn.Identity(),
        ConvNormAct(mid, mid, 3, row.stride, dilation=row.dilation, groups=mid),
        ChannelShuffle(mid // g) if mixes and row.layout == "official" else nn.Identity(),
        ConvNormAct(mid, out_channels, groups=g),
        SqueezeExcite(out_channels, max(1, out_channels // 16), gate="sigmoid") if row.se else nn.Identity(),
    )


@dataclass(frozen=True)
class Unit(Row):
    """One unit of a stage; `down` units change the width and, in the published nets, have stride 2.

    first_groups: of the first 1 x 1 convolution.  groups: of the last.
    """

    out_channels: int
    stride: int
    first_groups: int
    groups: int
    down: bool
    se: bool
    shuffle: bool
    layout: Layout

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """ConcatUnit or AddUnit."""
        return ConcatUnit(in_channels, self) if self.down else AddUnit(self)


# fmt: off
WIDTHS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}  # table 1: g -> stage 2 of 1.0x; stages 3 and 4 double it
REPEATS = (4, 8, 4)
STEMS = {  # width -> g -> stem
    0.25: {1: 12, 2: 12, 3: 12, 4: 12, 8:  8},  # inferred: nearest the paper's 13 M
    0.5:  {1: 12, 2: 12, 3: 12, 4: 24, 8: 16},  # the release for 3 and 8; the others inferred
    1.0:  {1: 24, 2: 24, 3: 24, 4: 24, 8: 24},
    1.5:  {1: 24, 2: 24, 3: 24, 4: 24, 8: 24},  # the release, which does not scale it here
    2.0:  {1: 48, 2: 48, 3: 48, 4: 48, 8: 48},
}
# fmt: on


def stem_at(width: float, groups: int, layout: Layout) -> int:
    """The published stems; elsewhere 24 x width rounded to a multiple of 4 and of the groups (our rule, no paper's).

    pytorchcv's nets have 24 x width, rounded down.
    """
    if layout == "pytorchcv":
        return max(1, int(24 * width))
    if width in STEMS:
        return STEMS[width][groups]
    unit = lcm(4, groups)
    return max(unit, round(24 * width / unit) * unit)


def stage2_at(width: float, groups: int) -> int:
    """Stage 2's channels: the nearest multiple of 4g, the lower of two, as grouped convolutions of c and c / 4 need."""
    unit = 4 * groups
    return max(unit, ceil(WIDTHS[groups] * width / unit - 0.5) * unit)


def shufflenet_v1(
    width: float = 1.0,
    groups: int = 3,
    se: bool = False,
    shuffle: bool = True,
    shallow: bool = False,
    layout: Layout = "official",
) -> NetSpec:
    """Table 1.  groups: 1, 2, 3, 4 or 8.  shuffle: False is table 3's net without channel shuffle.

    shallow: half the units in every stage, 3/2 as wide.
    """
    if groups not in WIDTHS:
        raise BadInput(f"ShuffleNetV1 cannot have {groups} groups; choose {', '.join(map(str, WIDTHS))}")
    stem, before = stem_at(width, groups, layout), 0
    stage2 = stage2_at(1.5 * width if shallow else width, groups)
    if stage2 <= stem or (stage2 - stem) % groups:
        raise BadInput(
            f"ShuffleNetV1 cannot have width {width} with {groups} groups: {stem} channels do not grow to {stage2} in "
            "whole groups; choose another width"
        )
    units: list[Row] = []
    for c, n in zip((stage2, 2 * stage2, 4 * stage2), REPEATS, strict=True):
        first = groups if before else 1
        units.append(Unit(c, 2, first, groups, True, se, shuffle, layout))
        units += [Unit(c, 1, groups, groups, False, se, shuffle, layout)] * ((n // 2 if shallow else n) - 1)
        before = c
    rows = (Conv(3, stem, 2, "RE"), MaxPool(3, 2, padding=1), *units)
    return NetSpec(rows, PoolLinear(bias=layout == "pytorchcv"), init="shufflenet")


def _exact(width: float, groups: int) -> Variant:
    return Variant(shufflenet_v1, {"width": width, "groups": groups}, published=f"{width}x g={groups}")


def _inferred(width: float, groups: int, note: str) -> Variant:
    options = {"width": width, "groups": groups}
    return Variant(shufflenet_v1, options, published=f"{width}x g={groups}", status="reconstruction", note=note)


VARIANTS = {
    "shufflenetv1_g1_100": _exact(1.0, 1),
    "shufflenetv1_g2_100": _exact(1.0, 2),
    "shufflenetv1_g3_100": _exact(1.0, 3),
    "shufflenetv1_g4_100": _exact(1.0, 4),
    "shufflenetv1_g8_100": _exact(1.0, 8),
    "shufflenetv1_g3_150": _exact(1.5, 3),
    "shufflenetv1_g8_150": _exact(1.5, 8),
    "shufflenetv1_g3_200": _exact(2.0, 3),
    "shufflenetv1_g8_200": _exact(2.0, 8),
    "shufflenetv1_g3_050": _exact(0.5, 3),
    "shufflenetv1_g8_050": _exact(0.5, 8),
    "shufflenetv1_g1_050": _inferred(0.5, 1, "the stem of 12 is inferred; 1.4 % above the printed 38 M"),
    "shufflenetv1_g2_050": _inferred(
        0.5,
        2,
        "half of 200 cannot be grouped: 96/192/384 and a stem of 12 are our choice; 6.1 % below the printed 38 M",
    ),
    "shufflenetv1_g4_050": _inferred(
        0.5, 4, "half of 272 cannot be grouped: 128/256/512, stem 24 are our choice; 1.6 % above the printed 38 M"
    ),
    "shufflenetv1_g1_025": _inferred(0.25, 1, "the stem of 12 is inferred; 1.2 % above the printed 13 M"),
    "shufflenetv1_g2_025": _inferred(0.25, 2, "48/96/192 and a stem of 12 are inferred; 2.8 % below the printed 13 M"),
    "shufflenetv1_g3_025": _inferred(0.25, 3, "the stem of 12 is inferred; 2.3 % above the printed 13 M"),
    "shufflenetv1_g4_025": _inferred(0.25, 4, "64/128/256 and a stem of 12 are inferred; 5.2 % below the printed 13 M"),
    "shufflenetv1_g8_025": _inferred(0.25, 8, "the stem of 8 is inferred; 4.4 % below the printed 13 M"),
    "shufflenetv1_g3_200_se": Variant(
        shufflenet_v1,
        {"width": 2.0, "groups": 3, "se": True},
        published="2.0x g=3 + SE",
        status="reconstruction",
        note="place and ratio of SE were not published: on the branch, channels / 16; 0.1 % below the printed 527 M",
    ),
    "shufflenetv1_g3_050_shallow": Variant(
        shufflenet_v1,
        {"width": 0.5, "groups": 3, "shallow": True},
        published="0.5x shallow g=3",
        status="optional",
        note="2/4/2 units; the widths 180/360/720 and the stem of 12 are guesses, 4.1 % above the printed 40 M",
    ),
}
