"""The units of ShuffleNetV2: Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design",
ECCV 2018, arXiv:1807.11164.

From the paper: the units (figure 3c, d), residual and SE (appendix), the receptive-field variant (section 4).
From the authors' release: where the shuffle stands, which branch of a strided unit keeps how much, SE's place.
Not published: SE's hidden width, and whether strided units of the receptive-field variant have the extra convolution.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pumice.models.rows import Row
from pumice.nn.activation import Activation
from pumice.nn.conv import ConvNormAct
from pumice.nn.drop_path import DropPath
from pumice.nn.gate import SqueezeExcite
from pumice.nn.shuffle import ChannelShuffle, ChannelSplit

Kind = Literal["plain", "field", "xception"]
Place = Literal["start", "end", "none"]
Gates = Literal["none", "biased", "norm"]


class SplitUnit(nn.Module):
    """Figure 3c.  (N, C, H, W) -> the same shape.

    a, b = split(S(x))                       C - c' and c'; shuffle at the start: S(C / 2) puts even channels first
    y = S(concat(a, branch(b)))              shuffle at the end: S(2) here instead
    y = S(concat(a, ReLU(b + branch(b))))    residual
    """

    def __init__(self, row: "Unit") -> None:
        super().__init__()
        c, active = row.out_channels, row.active
        self.before = ChannelShuffle(c // 2) if row.shuffle == "start" else nn.Identity()
        self.split = ChannelSplit((c - active, active))
        self.branch = branch(active, active, row)
        self.drop_path = DropPath() if row.residual else None
        self.act = nn.ReLU() if row.residual else nn.Identity()
        self.after = ChannelShuffle(2) if row.shuffle == "end" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        a, b = self.split(self.before(x))
        y = self.branch(b)
        if self.drop_path is not None:
            y = self.act(b + self.drop_path(y))
        return self.after(torch.cat((a, y), dim=1))


class DownUnit(nn.Module):
    """Figure 3d.  (N, C, H, W) -> (N, O, H/2, W/2).

    y = S(concat(1x1(depthwise_3x3,s(x)), branch(x)))    C + (O - C), or half + half; S only with the shuffle at the end
    """

    def __init__(self, in_channels: int, row: "Unit") -> None:
        super().__init__()
        c, o, k = in_channels, row.out_channels, row.kernel_size
        kept = o - row.active if row.halves else c
        self.shortcut = nn.Sequential(
            ConvNormAct(c, c, k, row.stride, dilation=row.dilation, groups=c), ConvNormAct(c, kept, act=row.act)
        )
        self.branch = branch(c, o - kept, row)
        self.after = ChannelShuffle(2) if row.shuffle == "end" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/2, W/2)."""
        return self.after(torch.cat((self.shortcut(x), self.branch(x)), dim=1))


def branch(in_channels: int, out_channels: int, row: "Unit") -> nn.Sequential:
    """1x1, depthwise k x k without activation, 1x1, SE: C -> c' -> c' -> out.

    "field" has a depthwise 3 x 3 convolution before all that, "xception" two more of them and one more 1 x 1.
    """
    c, hidden, o, d, act = in_channels, row.active, out_channels, row.dilation, row.act
    layers: list[nn.Module] = []
    if row.kind != "plain":
        layers.append(ConvNormAct(c, c, 3, dilation=d, groups=c))
    layers.append(ConvNormAct(c, hidden, act=act))
    if row.kind == "xception":
        layers += [ConvNormAct(hidden, hidden, 3, dilation=d, groups=hidden), ConvNormAct(hidden, hidden, act=act)]
    layers.append(ConvNormAct(hidden, hidden, row.kernel_size, row.stride, dilation=d, groups=hidden))
    layers.append(ConvNormAct(hidden, o, act="" if row.residual and not row.down else act))
    if row.se == "biased":
        layers.append(SqueezeExcite(o, o, gate="sigmoid"))
    elif row.se == "norm":
        layers.append(SqueezeExcite(o, o // 4, norm=True))
    return nn.Sequential(*layers)


@dataclass(frozen=True)
class Unit(Row):
    """One unit of a stage; `down` units change the width and, in the published nets, have stride 2.

    active: c', the channels of the branch; the other out_channels - c' of a unit that splits pass it by.
    halves: a down unit makes out_channels - c' and c' channels; else it keeps its input's number and adds the rest.
    se: "biased" is SE of full hidden width, "norm" that of ShuffleNetV2+.
    """

    out_channels: int
    active: int
    stride: int
    down: bool
    halves: bool = False
    shuffle: Place = "start"
    kernel_size: int = 3
    act: Activation = "RE"
    kind: Kind = "plain"
    se: Gates = "none"
    residual: bool = False

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """DownUnit or SplitUnit."""
        return DownUnit(in_channels, self) if self.down else SplitUnit(self)
