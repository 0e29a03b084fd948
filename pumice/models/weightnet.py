"""WeightNet: Ma et al., "WeightNet: Revisiting the Design Space of Weight Networks", ECCV 2020, arXiv:2007.11823.

From the paper: the operators (`pumice.nn.weight_net`), and that lambda = M / G scales parameters at the same cost.
From the authors' code (github.com/megvii-model/WeightNet): every number in WIDTHS, M = G = 2, the units, biases in the
stem, the last convolution and the classifier, dropout of 2.0x.  Its 1.0x is slimmer than ShuffleNetV2's own and its
2.0x ends with 1024 channels, so that costs stay those of the baselines.
Where both are silent: M and G of the 4x and 8x nets (those nearest the printed sizes), and the whole ResNet-50.

Stem, last convolution and classifier have kernels of their own; all others are made from the image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pumice.models.heads import PoolLinear
from pumice.models.rows import Conv, MaxPool, Row
from pumice.models.shufflenet_v2 import REPEATS, Widths, widths_at
from pumice.models.spec import NetSpec, Variant
from pumice.nn.activation import Activation, activation
from pumice.nn.conv import ConvNormAct
from pumice.nn.drop_path import DropPath
from pumice.nn.shuffle import ChannelShuffle, ChannelSplit
from pumice.nn.weight_net import BlockSqueeze, WeightNetConv, WeightNetDepthwise


class MadeConvNormAct(nn.Module):
    """act(norm(conv(x, kernels(s)))): (N, C, H, W), (N, r, 1, 1) -> (N, O, H', W')."""

    def __init__(self, conv: WeightNetConv, act: Activation = "") -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm2d(conv.shape[0])
        self.act = activation(act)

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        """(N, C, H, W), (N, r, 1, 1) -> (N, O, H', W')."""
        return self.act(self.norm(self.conv(x, s)))


def pointwise(c: int, o: int, squeeze: int, row: "WeightUnit | Bottleneck", act: Activation = "RE") -> MadeConvNormAct:
    """1 x 1, conv-norm-act."""
    return MadeConvNormAct(WeightNetConv(c, o, squeeze=squeeze, m=row.m, g=row.g), act)


def depthwise(c: int, squeeze: int, row: "WeightUnit") -> MadeConvNormAct:
    """3 x 3, conv-norm."""
    conv = WeightNetDepthwise(c, 3, row.stride, squeeze=squeeze, m=row.m, g=row.g, dilation=row.dilation)
    return MadeConvNormAct(conv)


class SplitUnit(nn.Module):
    """ShuffleNetV2's unit.  (N, C, H, W) -> the same shape.

    a, b = halves(S(C / 2)(x)); s = squeeze(b)
    y = concat(a, 1x1(depthwise_3x3(1x1(b, s), s), s))
    """

    def __init__(self, row: "WeightUnit") -> None:
        super().__init__()
        half = row.out_channels // 2
        self.before = ChannelShuffle(half)
        self.split = ChannelSplit((half, half))
        self.squeeze = BlockSqueeze(half)
        self.expand = pointwise(half, half, self.squeeze.width, row)
        self.depthwise = depthwise(half, self.squeeze.width, row)
        self.project = pointwise(half, half, self.squeeze.width, row)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        a, b = self.split(self.before(x))
        s = self.squeeze(b)
        return torch.cat((a, self.project(self.depthwise(self.expand(b, s), s), s)), dim=1)


class DownUnit(nn.Module):
    """(N, C, H, W) -> (N, O, H/2, W/2).

    s = squeeze(x)
    y = 1x1(depthwise_3x3,s(1x1(x, s), s), s)                 C -> O / 2 -> O / 2 -> O - C
    return concat(1x1(depthwise_3x3,s(x, s), s), y)           C -> C -> C
    """

    def __init__(self, in_channels: int, row: "WeightUnit") -> None:
        super().__init__()
        c, o = in_channels, row.out_channels
        self.squeeze = BlockSqueeze(c)
        r = self.squeeze.width
        self.expand = pointwise(c, o // 2, r, row)
        self.depthwise = depthwise(o // 2, r, row)
        self.project = pointwise(o // 2, o - c, r, row)
        self.shortcut_depthwise = depthwise(c, r, row)
        self.shortcut_project = pointwise(c, c, r, row)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/2, W/2)."""
        s = self.squeeze(x)
        y = self.project(self.depthwise(self.expand(x, s), s), s)
        return torch.cat((self.shortcut_project(self.shortcut_depthwise(x, s), s), y), dim=1)


class BottleneckUnit(nn.Module):
    """ResNet's bottleneck, stride on its first convolution.  (N, C, H, W) -> (N, O, H/s, W/s).

    s = squeeze(x)
    y = 1x1(3x3(1x1,s(x, s), s), s)                C -> O / 4 -> O / 4 -> O
    return ReLU(shortcut(x) + y)                   static 1 x 1 convolution where the shape changes
    """

    def __init__(self, in_channels: int, row: "Bottleneck") -> None:
        super().__init__()
        c, o, mid, m, g = in_channels, row.out_channels, row.out_channels // 4, row.m, row.g
        self.squeeze = BlockSqueeze(c)
        r = self.squeeze.width
        self.reduce = MadeConvNormAct(WeightNetConv(c, mid, 1, row.stride, squeeze=r, m=m, g=g), "RE")
        self.spatial = MadeConvNormAct(WeightNetConv(mid, mid, 3, squeeze=r, m=m, g=g, dilation=row.dilation), "RE")
        self.expand = pointwise(mid, o, r, row, "")
        self.drop_path = DropPath()
        self.shortcut = ConvNormAct(c, o, 1, row.stride) if row.down else nn.Identity()
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        s = self.squeeze(x)
        y = self.drop_path(self.expand(self.spatial(self.reduce(x, s), s), s))
        return self.act(self.shortcut(x) + y)


@dataclass(frozen=True)
class WeightUnit(Row):
    """One unit of ShuffleNetV2; `down` units change the width and, in the published nets, have stride 2."""

    out_channels: int
    stride: int
    down: bool
    m: int
    g: int

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """DownUnit or SplitUnit."""
        return DownUnit(in_channels, self) if self.down else SplitUnit(self)


@dataclass(frozen=True)
class Bottleneck(Row):
    """One bottleneck of ResNet; `down` units change the width."""

    out_channels: int
    stride: int
    down: bool
    m: int
    g: int

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """BottleneckUnit."""
        return BottleneckUnit(in_channels, self)


# fmt: off
WIDTHS: Widths = {  # stages 2, 3, 4, last convolution
    0.5: ( 48,  96, 192, 1024),
    1.0: (112, 224, 448, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (248, 496, 992, 1024),
}
RESNET50 = (  # He et al., arXiv:1512.03385, table 1
    #  c   n  s
    ( 256, 3, 1),
    ( 512, 4, 2),
    (1024, 6, 2),
    (2048, 3, 2),
)
# fmt: on


def shufflenet_v2(width: float = 1.0, m: int = 2, g: int = 2) -> NetSpec:
    """ShuffleNetV2.  m: sigmoids for every output channel.  g: groups for every output channel; it divides m."""
    *stages, last = widths_at(width, WIDTHS)
    rows: list[Row] = [Conv(3, 24, 2, "RE", bias=True), MaxPool(3, 2, padding=1)]
    for c, n in zip(stages, REPEATS, strict=True):
        rows += [WeightUnit(c, 2, True, m, g), *[WeightUnit(c, 1, False, m, g)] * (n - 1)]
    head = PoolLinear(drop_rate=0.2 if width == 2.0 else 0.0)
    return NetSpec((*rows, Conv(1, last, 1, "RE", bias=True)), head, init="weightnet")


def resnet50(m: int = 2, g: int = 2) -> NetSpec:
    """ResNet-50, all three convolutions of every bottleneck made by WeightNet."""
    rows: list[Row] = [Conv(7, 64, 2, "RE"), MaxPool(3, 2, padding=1)]
    for c, n, s in RESNET50:
        rows += [Bottleneck(c, s, True, m, g), *[Bottleneck(c, 1, False, m, g)] * (n - 1)]
    return NetSpec(tuple(rows), PoolLinear(), init="weightnet")


def _exact(width: float) -> Variant:
    return Variant(shufflenet_v2, {"width": width}, published=f"shufflenetv2_{width}x_weightnet_1x")


def _larger(width: float, m: int, g: int, times: int, printed: str) -> Variant:
    return Variant(
        shufflenet_v2,
        {"width": width, "m": m, "g": g},
        published=f"shufflenetv2_{width}x_weightnet_{times}x",
        status="reconstruction",
        note=f"M and G were not published; {m} and {g} come nearest, {printed}",
    )


VARIANTS = {
    "weightnet_shufflenetv2_050": _exact(0.5),
    "weightnet_shufflenetv2_100": _exact(1.0),
    "weightnet_shufflenetv2_150": _exact(1.5),
    "weightnet_shufflenetv2_200": _exact(2.0),
    "weightnet_shufflenetv2_050_8x": _larger(0.5, 8, 1, 8, "1.3 % above the printed 2.7 M parameters"),
    "weightnet_shufflenetv2_100_4x": _larger(1.0, 8, 2, 4, "0.9 % above the printed 5.1 M parameters"),
    "weightnet_shufflenetv2_150_4x": _larger(1.5, 4, 1, 4, "0.3 % above the printed 9.6 M parameters"),
    "weightnet_shufflenetv2_200_4x": _larger(2.0, 8, 2, 4, "0.9 % above the printed 18.1 M parameters"),
    "weightnet_resnet50": Variant(
        resnet50,
        published="resnet50_weightnet_1x",
        status="optional",
        note="no code and no table: the placement is ours, 4 % below the 31.1 M parameters that are remembered of the "
        "paper, 0.2 % off their 3.89 G",
    ),
}
