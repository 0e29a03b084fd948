"""ShuffleNetV2 Large and ExLarge, as released beside ShuffleNetV2: Ma et al., "ShuffleNet V2", ECCV 2018,
arXiv:1807.11164.

From the authors' code (github.com/megvii-model/ShuffleNet-Series, ShuffleNetV2.Large and ShuffleNetV2.ExLarge): every
number.  Large has the error that the paper prints for its SE-ShuffleNetV2-164 and is another net than the paper's
table: its 3 x 3 convolutions have 8 groups and an activation, every stage starts with a dense 3 x 3 shortcut.  ExLarge
is in no paper.  The three training heads of the release are left out, and with them 15.6 M and 15.9 M parameters.
Large's batch norms have eps 1e-9, which comes with its weights (`load_weights`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pumice.models.heads import PoolLinear
from pumice.models.rows import Conv, MaxPool, Row
from pumice.models.spec import NetSpec, Variant
from pumice.nn.conv import ConvNormAct
from pumice.nn.drop_path import DropPath
from pumice.nn.gate import SqueezeExcite
from pumice.nn.shuffle import ChannelShuffle, ChannelSplit


class LargeUnit(nn.Module):
    """(N, C, H, W) -> (N, O, H/s, W/s), O = 2h.

    a, b = halves(S(C / 2)(x))                          even channels, odd channels
    a, y = conv_3x3,s(a), branch(b)      first unit     C / 2 -> h each
    y = b + branch(b)                    other units    C = O
    y = ReLU(concat(a, y))
    return ReLU(conv_1x1(y)) if s == 2 else y

    branch(b) = SE(conv_1x1(ReLU(gconv_3x3,s(ReLU(conv_1x1(b))))))    each conv-norm, SE's hidden width h
    """

    def __init__(self, in_channels: int, row: "Large") -> None:
        super().__init__()
        c, h, s, d = in_channels // 2, row.out_channels // 2, row.stride, row.dilation
        self.before = ChannelShuffle(c)
        self.split = ChannelSplit((c, c))
        self.shortcut = ConvNormAct(c, h, 3, s, dilation=d) if row.down else nn.Identity()
        self.branch = nn.Sequential(
            ConvNormAct(c, h, act="RE"),
            ConvNormAct(h, h, 3, s, dilation=d, groups=row.groups, act="RE"),
            ConvNormAct(h, h),
            SqueezeExcite(h, h, gate="sigmoid"),
        )
        self.drop_path = None if row.down else DropPath()
        self.act = nn.ReLU()
        self.mix = ConvNormAct(2 * h, 2 * h, act="RE") if row.mix else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        a, b = self.split(self.before(x))
        a, y = self.shortcut(a), self.branch(b)
        if self.drop_path is not None:
            y = b + self.drop_path(y)
        return self.mix(self.act(torch.cat((a, y), dim=1)))


class ExLargeUnit(nn.Module):
    """(N, C, H, W) -> (N, O, H/s, W/s), h = O / 2.

    a, y = ReLU(conv_3x3,s(x)), branch(x)                    first unit: no split, C -> h each
    a, b = halves(S(C / 2)(x)); y = ReLU(b + branch(b))      other units
    return concat(a, y)

    branch(b) = SE(conv_1x1(depthwise_3x3(ReLU(gconv_3x3,s(ReLU(conv_1x1(b)))))))    O, O, O, h; SE's hidden width h / 4
    """

    def __init__(self, in_channels: int, row: "ExLarge") -> None:
        super().__init__()
        o, s, d = row.out_channels, row.stride, row.dilation
        h = o // 2
        self.down = row.down
        c = in_channels if row.down else h
        self.before = nn.Identity() if row.down else ChannelShuffle(h)
        self.split = nn.Identity() if row.down else ChannelSplit((h, h))
        self.shortcut = ConvNormAct(c, h, 3, s, dilation=d, act="RE") if row.down else nn.Identity()
        self.branch = nn.Sequential(
            ConvNormAct(c, o, act="RE"),
            ConvNormAct(o, o, 3, s, dilation=d, groups=row.groups, act="RE"),
            ConvNormAct(o, o, 3, dilation=d, groups=o),
            ConvNormAct(o, h),
            SqueezeExcite(h, h // 4, gate="sigmoid"),
        )
        self.drop_path = None if row.down else DropPath()
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        a, b = (x, x) if self.down else self.split(self.before(x))
        a, y = self.shortcut(a), self.branch(b)
        if self.drop_path is not None:
            y = self.act(b + self.drop_path(y))
        return torch.cat((a, y), dim=1)


@dataclass(frozen=True)
class Large(Row):
    """One unit; `down` is the first of a stage, `mix` the 1 x 1 convolution behind it."""

    out_channels: int
    stride: int
    groups: int
    down: bool
    mix: bool

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """LargeUnit."""
        return LargeUnit(in_channels, self)


@dataclass(frozen=True)
class ExLarge(Row):
    """One unit; `down` is the first of a stage."""

    out_channels: int
    stride: int
    groups: int
    down: bool

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """ExLargeUnit."""
        return ExLargeUnit(in_channels, self)


# fmt: off
LARGE = (
    #  c   n  s
    ( 256, 10, 1),
    ( 512, 10, 2),
    (1024, 23, 2),
    (2048, 10, 2),
)
LARGE_STEM: tuple[Row, ...] = (
    Conv(3,  64, 2, "RE"),
    Conv(3,  64, 1, "RE"),
    Conv(3, 128, 1, "RE"), MaxPool(3, 2, padding=1),
)
EXLARGE = (
    #  c   n  s
    ( 320,  8, 1),
    ( 640, 16, 2),
    (1280, 36, 2),
    (2560, 10, 2),
)
EXLARGE_STEM: tuple[Row, ...] = (
    Conv(3,  64, 2, "RE"),
    Conv(3, 128, 1, "RE"),
    Conv(3, 256, 1, "RE"), MaxPool(3, 2, padding=1),
)
# fmt: on


def large() -> NetSpec:
    """ShuffleNetV2.Large: a 3 x 3 convolution ends it."""
    rows = list(LARGE_STEM)
    for c, n, s in LARGE:
        rows += [Large(c, s, 8, True, s == 2), *[Large(c, 1, 8, False, False)] * (n - 1)]
    return NetSpec((*rows, Conv(3, 1280, 1, "RE")), PoolLinear(drop_rate=0.2), init="shufflenet")


def exlarge() -> NetSpec:
    """ShuffleNetV2.ExLarge: a 1 x 1 convolution ends every stage."""
    rows = list(EXLARGE_STEM)
    for c, n, s in EXLARGE:
        rows += [ExLarge(c, s, 16, True), *[ExLarge(c, 1, 16, False)] * (n - 1), Conv(1, c, 1, "RE")]
    return NetSpec(tuple(rows), PoolLinear(drop_rate=0.2), init="shufflenet")


VARIANTS = {
    "shufflenetv2_large": Variant(
        large,
        published="SE-ShuffleNetV2-164 (residual)",
        status="optional",
        note="the released net, without its three training heads, which the printed 140.7 M parameters include",
    ),
    "shufflenetv2_exlarge": Variant(
        exlarge,
        published="ShuffleNetV2.ExLarge",
        status="optional",
        note="the released net, without its three training heads; with them it has 271.3 M parameters, not the 254.7 M "
        "printed",
    ),
}
