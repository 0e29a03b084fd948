"""ChannelNets: Gao, Wang and Ji, "ChannelNets: Compact and Efficient Convolutional Neural Networks via Channel-Wise
Convolutions", NeurIPS 2018, arXiv:1809.01330.

From the paper: the layers of v1, v2 and v3, the channel-wise kernels of 4g and 64 weights, and the convolutional
classification layer of v3.
From the authors' code (github.com/HongyangGao/ChannelNets): one norm and ReLU6 for a depthwise and a 1 x 1 convolution
together, none after a channel-wise convolution, a stem without activation, no shortcut around the first group
channel-wise module, widths that all double from the stem's.
Where paper and code differ, the paper runs, whose sizes it alone meets: layers 2, 4 and 6 are not concatenated with
their inputs (option `concat` does it), layer 12 of v2 and v3 slides one kernel along the channels, and v3 classifies
without a further depthwise convolution.  Nobody's multiply-adds are reproduced: 468 M here, 407 M in print.
Where silent: strided convolutions pad evenly; the code's dropout of 0.0001 before every norm is left out.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.heads import Head, HeadRow, PoolLinear
from pumice.models.rows import Conv, Row
from pumice.models.sides import Sides
from pumice.models.spec import NetSpec, Variant
from pumice.nn.channelwise import ConvClassifier, DepthwiseSeparableChannelwise, GroupChannelwiseConv
from pumice.nn.conv import ConvNormAct
from pumice.nn.drop_path import DropPath


class SeparableBlock(nn.Module):
    """A depthwise separable convolution with one norm.  (N, C, H, W) -> (N, O, H/s, W/s).

    y = ReLU6(norm(conv_1x1(depthwise_3x3,s(x))))      1 x 1 in groups
    return concat(x, y) if concat else y               C + O channels
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, groups: int, dilation: int, concat: bool = False
    ) -> None:
        super().__init__()
        c = in_channels
        self.depthwise = nn.Conv2d(c, c, 3, stride, dilation, dilation, groups=c, bias=False)
        self.pointwise = ConvNormAct(c, out_channels, groups=groups, act="R6")
        self.concat = concat

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s), or C + O channels."""
        y = self.pointwise(self.depthwise(x))
        return torch.cat((x, y), dim=1) if self.concat else y


class GroupBlock(nn.Module):
    """The group module, and the group channel-wise module (figure 3).  (N, C, H, W) -> the same shape.

    y = separable(separable(G(x)))     G is a group channel-wise convolution or nothing, 1 x 1 in groups
    return x + y if shortcut else y
    """

    def __init__(self, channels: int, row: "Group") -> None:
        super().__init__()
        self.fuse = GroupChannelwiseConv(row.groups) if row.channelwise else nn.Identity()
        self.block1 = SeparableBlock(channels, channels, 1, row.groups, row.dilation)
        self.block2 = SeparableBlock(channels, channels, 1, row.groups, row.dilation)
        self.drop_path = DropPath() if row.shortcut else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        y = self.block2(self.block1(self.fuse(x)))
        return y if self.drop_path is None else x + self.drop_path(y)


class ConvHead(Head):
    """The convolutional classification layer on a 7 x 7 map.  (N, C, 7, 7) -> (N, classes), classes <= C."""

    def __init__(self, in_channels: int, num_classes: int, drop_rate: float) -> None:
        super().__init__()
        self.num_features = in_channels
        self.dropout = nn.Dropout(drop_rate)
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        """A new layer, N(0, sqrt(2 / weights)).

        Raises:
            BadInput: more classes than channels.
        """
        if num_classes > self.num_features:
            raise BadInput(
                f"a convolutional classification layer on {self.num_features} channels has at most "
                f"{self.num_features} classes, not {num_classes}; take channelnet_v1 or channelnet_v2"
            )
        self.classifier: nn.Module = nn.Identity()
        if num_classes:
            layer = ConvClassifier(self.num_features, num_classes, 7)
            nn.init.normal_(layer.weight, 0.0, (2 / layer.weight.numel()) ** 0.5)
            self.classifier = layer

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(N, C, H, W) -> (N, classes); the mean of every channel without them."""
        x = self.dropout(x)
        return x.mean((2, 3)) if pre_logits or isinstance(self.classifier, nn.Identity) else self.classifier(x)


@dataclass(frozen=True)
class Separable(Row):
    """A depthwise separable convolution; concat: the code's graph keeps its input beside it."""

    out_channels: int
    stride: int
    concat: bool = False

    def width(self, in_channels: int) -> int:
        """out_channels, and in_channels beside them."""
        return self.out_channels + (in_channels if self.concat else 0)

    def build(self, in_channels: int) -> nn.Module:
        """SeparableBlock."""
        return SeparableBlock(in_channels, self.out_channels, self.stride, 1, self.dilation, self.concat)


@dataclass(frozen=True)
class Group(Row):
    """A group module, or with `channelwise` a group channel-wise module."""

    groups: int
    channelwise: bool
    shortcut: bool
    stride: int = 1

    def width(self, in_channels: int) -> int:
        """in_channels."""
        return in_channels

    def build(self, in_channels: int) -> nn.Module:
        """GroupBlock."""
        return GroupBlock(in_channels, self)


@dataclass(frozen=True)
class Channelwise(Row):
    """A depthwise separable channel-wise convolution."""

    kernel_size: int
    stride: int = 1

    def width(self, in_channels: int) -> int:
        """in_channels."""
        return in_channels

    def build(self, in_channels: int) -> nn.Module:
        """DepthwiseSeparableChannelwise."""
        return DepthwiseSeparableChannelwise(in_channels, self.kernel_size, dilation=self.dilation)


@dataclass(frozen=True)
class ConvClasses(HeadRow):
    """The convolutional classification layer."""

    drop_rate: float = 0.0

    def build(self, in_channels: int, num_classes: int, drop_rate: float | None) -> Head:
        """ConvHead."""
        return ConvHead(in_channels, num_classes, self.drop_rate if drop_rate is None else drop_rate)


def _rows(width: float, groups: int, concat: bool, channelwise: bool) -> tuple[Row, ...]:
    """The layers of table 1, or the code's graph, whose widths double from the stem's as in the code."""
    c = max(1, round(32 * width))
    if groups < 1 or 16 * c % groups:
        raise BadInput(f"{groups} groups do not divide the {16 * c} channels of this ChannelNet; choose 1, 2, 4 or 8")
    # fmt: off
    return (
        Conv(3, c, 2, ""),
        Separable( 2 * c, 1, concat),
        Separable( 4 * c, 2),
        Separable( 4 * c, 1, concat),
        Separable( 8 * c, 2),
        Separable( 8 * c, 1, concat),
        Separable(16 * c, 2),
        Group(groups, channelwise=False, shortcut=True),
        Group(groups, channelwise=True,  shortcut=False),
        Group(groups, channelwise=True,  shortcut=True),
        Separable(32 * c, 2),
        Channelwise(64) if channelwise else Separable(32 * c, 1),
    )
    # fmt: on


def v1(width: float = 1.0, groups: int = 2, concat: bool = False) -> NetSpec:
    """ChannelNet-v1.  groups: of the six separable convolutions at 14 x 14.  concat: the released code's graph."""
    return NetSpec(_rows(width, groups, concat, channelwise=False), PoolLinear())


def v2(width: float = 1.0, groups: int = 2, concat: bool = False) -> NetSpec:
    """ChannelNet-v2: a channel-wise convolution in place of the last separable one."""
    return NetSpec(_rows(width, groups, concat, channelwise=True), PoolLinear())


def v3(width: float = 1.0, groups: int = 2, concat: bool = False) -> NetSpec:
    """ChannelNet-v3: v2 with the convolutional classification layer, whose kernel covers a 7 x 7 map."""
    return NetSpec(_rows(width, groups, concat, channelwise=True), ConvClasses(), sides=Sides(least=193, most=224))


PLAIN = "the paper's graph, of the reported {} M parameters; {} M multiply-adds here, {} M reported, unexplained"
VARIANTS = {
    "channelnet_v1": Variant(v1, published="channelnet_v1", status="reconstruction", note=PLAIN.format(3.7, 468, 407)),
    "channelnet_v2": Variant(
        v2,
        published="channelnet_v2",
        status="reconstruction",
        note=PLAIN.format(2.7, 420, 361) + "; layer 12 slides one kernel along the channels, which the code does not",
    ),
    "channelnet_v3": Variant(
        v3,
        published="channelnet_v3",
        status="reconstruction",
        note="the paper's graph; 1.63 M parameters and 421 M multiply-adds here, 1.7 M and 360 M reported; the code "
        "has a further 3 x 3 convolution before the classes",
    ),
    "channelnet_v1_075": Variant(
        v1, {"width": 0.75}, published="channelnet_v1_w0.75", status="reconstruction", note="the paper's graph"
    ),
    "channelnet_v1_050": Variant(
        v1, {"width": 0.5}, published="channelnet_v1_w0.5", status="reconstruction", note="the paper's graph"
    ),
    "channelnet_v1_concat": Variant(
        v1,
        {"concat": True},
        published="channelnet_v1",
        note="the graph of the released code, layers 2, 4 and 6 beside their inputs; larger than the published net",
    ),
}
