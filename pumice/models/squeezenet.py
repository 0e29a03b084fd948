"""SqueezeNet: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size",
arXiv:1602.07360.

From the paper and the authors' prototxt (github.com/forresti/SqueezeNet): every number in V1_0 and V1_1.  There is no
batch norm anywhere; every max pool rounds up, as Caffe does.  The release of 1.0 pads conv10 by 1, which dilutes the
average with a border of ReLU(bias): here it is an option, off as in torchvision, whose weights fit.
From the paper (section 6): the two bypasses, on the layout of 1.0.  Simple: identity around fire3, 5, 7, 9, whose input
and output are as wide as each other.  Complex: beside it a 1 x 1 convolution around fire2, 4, 6, 8.
Where silent: the 1 x 1 convolution has a bias, as all others here, and no ReLU; nothing follows the sum; the layout of
1.1 takes the same bypasses (its simple one is pytorchcv's squeezeresnet_v1_1).
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from pumice.models.heads import Head, HeadRow
from pumice.models.rows import MaxPool, Row
from pumice.models.spec import NetSpec, Variant
from pumice.nn.drop_path import DropPath

Bypass = Literal["none", "simple", "complex"]


class FireModule(nn.Module):
    """Figure 1.  (N, C, H, W) -> (N, e1 + e3, H, W).

    s = ReLU(squeeze_1x1(x))
    y = concat(ReLU(expand_1x1(s)), ReLU(expand_3x3(s)))
    return y, or x + y with a simple bypass where C == e1 + e3, or conv_1x1(x) + y with a complex one elsewhere
    """

    def __init__(self, in_channels: int, row: "Fire") -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, row.s1, 1)
        self.squeeze_act = nn.ReLU()
        self.expand1x1 = nn.Conv2d(row.s1, row.e1, 1)
        self.expand1x1_act = nn.ReLU()
        self.expand3x3 = nn.Conv2d(row.s1, row.e3, 3, padding=row.dilation, dilation=row.dilation)
        self.expand3x3_act = nn.ReLU()
        beside = shortcut(in_channels, row.e1 + row.e3, row.bypass)
        self.bypass = nn.Identity() if beside is None else beside
        self.drop_path = None if beside is None else DropPath()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, e1 + e3, H, W)."""
        s = self.squeeze_act(self.squeeze(x))
        y = torch.cat((self.expand1x1_act(self.expand1x1(s)), self.expand3x3_act(self.expand3x3(s))), dim=1)
        return y if self.drop_path is None else self.bypass(x) + self.drop_path(y)


def shortcut(in_channels: int, out_channels: int, kind: Bypass) -> nn.Module | None:
    """What stands beside a Fire module, None for nothing."""
    if kind != "none" and in_channels == out_channels:
        return nn.Identity()
    return nn.Conv2d(in_channels, out_channels, 1) if kind == "complex" else None


class ConvHead(Head):
    """Dropout, conv10, ReLU, global average pool: (N, C, H, W) -> (N, classes), never negative."""

    def __init__(self, in_channels: int, num_classes: int, drop_rate: float, padding: int) -> None:
        super().__init__()
        self.num_features, self.padding = in_channels, padding
        self.dropout = nn.Dropout(drop_rate)
        self.reset(num_classes)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)

    def reset(self, num_classes: int) -> None:
        """A new conv10, N(0, 0.01) as in the release."""
        if num_classes == 0:
            self.classifier: nn.Module = nn.Identity()
            self.act: nn.Module = nn.Identity()
            return
        conv = nn.Conv2d(self.num_features, num_classes, 1, padding=self.padding)
        nn.init.normal_(conv.weight, 0.0, 0.01)
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # this convolution has a bias
        self.classifier, self.act = conv, nn.ReLU()

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(N, C, H, W) -> (N, classes)."""
        x = self.dropout(x)
        return self.flatten(self.pool(x if pre_logits else self.act(self.classifier(x))))


@dataclass(frozen=True)
class BiasConv(Row):
    """conv1: biased, without norm or padding."""

    kernel_size: int
    out_channels: int
    stride: int

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """Convolution and ReLU."""
        return nn.Sequential(nn.Conv2d(in_channels, self.out_channels, self.kernel_size, self.stride), nn.ReLU())


@dataclass(frozen=True)
class Fire(Row):
    """s1x1, e1x1, e3x3 of table 1."""

    s1: int
    e1: int
    e3: int
    stride: int = 1
    bypass: Bypass = "none"

    def width(self, in_channels: int) -> int:
        """e1 + e3."""
        return self.e1 + self.e3

    def build(self, in_channels: int) -> nn.Module:
        """FireModule."""
        return FireModule(in_channels, self)


@dataclass(frozen=True)
class Conv10(HeadRow):
    """conv10 and the pool after it."""

    drop_rate: float = 0.5
    padding: int = 0

    def build(self, in_channels: int, num_classes: int, drop_rate: float | None) -> Head:
        """ConvHead."""
        return ConvHead(in_channels, num_classes, self.drop_rate if drop_rate is None else drop_rate, self.padding)


POOL = MaxPool(3, 2, ceil=True)
# fmt: off
V1_0 = (
    BiasConv(7, 96, 2), POOL,
    Fire(16,  64,  64), Fire(16,  64,  64), Fire(32, 128, 128), POOL,
    Fire(32, 128, 128), Fire(48, 192, 192), Fire(48, 192, 192), Fire(64, 256, 256), POOL,
    Fire(64, 256, 256),
)
V1_1 = (
    BiasConv(3, 64, 2), POOL,
    Fire(16,  64,  64), Fire(16,  64,  64), POOL,
    Fire(32, 128, 128), Fire(32, 128, 128), POOL,
    Fire(48, 192, 192), Fire(48, 192, 192), Fire(64, 256, 256), Fire(64, 256, 256),
)
# fmt: on


def bypassed(rows: tuple[Row, ...], kind: Bypass) -> tuple[Row, ...]:
    """Every Fire module with the same kind of bypass."""
    return tuple(replace(row, bypass=kind) if isinstance(row, Fire) else row for row in rows)


def v1_0(conv10_padding: int = 0, bypass: Bypass = "none") -> NetSpec:
    """Table 1.  conv10_padding: 1 is the Caffe release.  bypass: section 6."""
    return NetSpec(bypassed(V1_0, bypass), Conv10(padding=conv10_padding), init="squeezenet")


def v1_1(bypass: Bypass = "none") -> NetSpec:
    """The authors' later net: the same accuracy for 2.4 times fewer multiply-adds."""
    return NetSpec(bypassed(V1_1, bypass), Conv10(), init="squeezenet")


VARIANTS = {
    "squeezenet1_0": Variant(
        v1_0,
        published="SqueezeNet-1.0",
        note="conv10 without padding, as in torchvision; the Caffe release pads it by 1",
    ),
    "squeezenet1_1": Variant(v1_1, published="SqueezeNet-1.1"),
    "squeezenet1_0_bypass": Variant(
        v1_0,
        {"bypass": "simple"},
        published="SqueezeNet-1.0 + simple bypass",
        note="conv10 without padding, as in squeezenet1_0",
    ),
    "squeezenet1_1_bypass": Variant(
        v1_1,
        {"bypass": "simple"},
        status="optional",
        note="not in the paper: its simple bypass on the later layout, as pytorchcv trains it",
    ),
    "squeezenet1_0_complex_bypass": Variant(
        v1_0,
        {"bypass": "complex"},
        published="SqueezeNet-1.0 + complex bypass",
        status="reconstruction",
        note="whether the bypass convolution has a ReLU was never published (here it has none); 6.4 MB of parameters "
        "against the paper's 7.7 MB, which no layout that was tried explains",
    ),
}
