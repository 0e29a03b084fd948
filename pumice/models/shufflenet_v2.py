"""ShuffleNetV2: Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", ECCV 2018,
arXiv:1807.11164.

From the paper: every number in WIDTHS and the table below it (table 5).
From the authors' release (github.com/megvii-model/ShuffleNet-Series): the first unit of stage 2 keeps its 24 input
channels, units split even from odd channels at their start, the classifier has no bias, 2.0x has dropout 0.2.
torchvision's layout (half + half in the first unit, shuffle at the end of units, biased classifier) is the same net at
0.5x up to the order of channels and another net above; it is here, as tv_*, because its weights are.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pumice.models.heads import PoolLinear
from pumice.models.rows import Conv, MaxPool, Row
from pumice.models.spec import NetSpec, Variant
from pumice.nn.conv import ConvNormAct
from pumice.nn.shuffle import ChannelShuffle

Layout = Literal["official", "torchvision"]


class SplitUnit(nn.Module):
    """Figure 3c.  (N, C, H, W) -> the same shape.

    a, b = halves(S(x))                            official: S(C / 2) puts even channels first
    y = S(concat(a, 1x1(depthwise_3x3(1x1(b)))))   torchvision: S(2) here instead
    """

    def __init__(self, row: "Unit") -> None:
        super().__init__()
        half, official = row.out_channels // 2, row.layout == "official"
        self.before = ChannelShuffle(half) if official else nn.Identity()
        self.branch = branch(half, half, half, row)
        self.after = nn.Identity() if official else ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        a, b = self.before(x).chunk(2, dim=1)
        return self.after(torch.cat((a, self.branch(b)), dim=1))


class DownUnit(nn.Module):
    """Figure 3d.  (N, C, H, W) -> (N, O, H/2, W/2).

    y = S(concat(1x1(depthwise_3x3,s(x)), 1x1(depthwise_3x3,s(1x1(x)))))    C + (O - C), S in torchvision's layout only
    """

    def __init__(self, in_channels: int, row: "Unit") -> None:
        super().__init__()
        c, o, official = in_channels, row.out_channels, row.layout == "official"
        kept = c if official else o // 2
        self.shortcut = nn.Sequential(
            ConvNormAct(c, c, 3, row.stride, dilation=row.dilation, groups=c), ConvNormAct(c, kept, act="RE")
        )
        self.branch = branch(c, o // 2, o - kept, row)
        self.after = nn.Identity() if official else ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/2, W/2)."""
        return self.after(torch.cat((self.shortcut(x), self.branch(x)), dim=1))


def branch(in_channels: int, hidden: int, out_channels: int, row: "Unit") -> nn.Sequential:
    """1x1, depthwise 3x3 without activation, 1x1."""
    return nn.Sequential(
        ConvNormAct(in_channels, hidden, act="RE"),
        ConvNormAct(hidden, hidden, 3, row.stride, dilation=row.dilation, groups=hidden),
        ConvNormAct(hidden, out_channels, act="RE"),
    )


@dataclass(frozen=True)
class Unit(Row):
    """One unit of a stage; `down` units change the width and, in the published nets, have stride 2."""

    out_channels: int
    stride: int
    down: bool
    layout: Layout

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """DownUnit or SplitUnit."""
        return DownUnit(in_channels, self) if self.down else SplitUnit(self)


WIDTHS = {  # table 5: stages 2, 3, 4, conv5
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}
REPEATS = (4, 8, 4)


def stage(out_channels: int, repeats: int, layout: Layout) -> tuple[Unit, ...]:
    """A strided unit, then repeats - 1 units that split."""
    return Unit(out_channels, 2, True, layout), *[Unit(out_channels, 1, False, layout)] * (repeats - 1)


def widths_at(width: float) -> tuple[int, ...]:
    """The published widths; elsewhere those of 1.0x, scaled and rounded to 4 (our rule, no paper's)."""
    if width in WIDTHS:
        return WIDTHS[width]
    *stages, last = WIDTHS[1.0]
    return (*(max(24, round(c * width / 4) * 4) for c in stages), last)


def shufflenet_v2(width: float = 1.0, layout: Layout = "official") -> NetSpec:
    """Table 5.  layout: "official" or "torchvision"."""
    *stages, last = widths_at(width)
    rows = (
        Conv(3, 24, 2, "RE"),
        MaxPool(3, 2, padding=1),
        *(unit for c, n in zip(stages, REPEATS, strict=True) for unit in stage(c, n, layout)),
        Conv(1, last, 1, "RE"),
    )
    official = layout == "official"
    head = PoolLinear(drop_rate=0.2 if official and width == 2.0 else 0.0, bias=not official)
    return NetSpec(rows, head, init="shufflenet")


TV = "torchvision's layout of the net, not the paper's; take shufflenetv2_{} for the paper's"
VARIANTS = {
    "shufflenetv2_050": Variant(shufflenet_v2, {"width": 0.5}, published="0.5x"),
    "shufflenetv2_100": Variant(shufflenet_v2, {"width": 1.0}, published="1.0x"),
    "shufflenetv2_150": Variant(shufflenet_v2, {"width": 1.5}, published="1.5x"),
    "shufflenetv2_200": Variant(shufflenet_v2, {"width": 2.0}, published="2.0x"),
    "tv_shufflenetv2_050": Variant(
        shufflenet_v2, {"width": 0.5, "layout": "torchvision"}, published="0.5x", note=TV.format("050")
    ),
    "tv_shufflenetv2_100": Variant(
        shufflenet_v2, {"width": 1.0, "layout": "torchvision"}, published="1.0x", note=TV.format("100")
    ),
    "tv_shufflenetv2_150": Variant(
        shufflenet_v2, {"width": 1.5, "layout": "torchvision"}, published="1.5x", note=TV.format("150")
    ),
    "tv_shufflenetv2_200": Variant(
        shufflenet_v2, {"width": 2.0, "layout": "torchvision"}, published="2.0x", note=TV.format("200")
    ),
}
