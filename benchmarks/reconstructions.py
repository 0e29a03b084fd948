"""Xception-like and DenseNet-like nets of ShuffleNetV2's Table 8 (arXiv:1807.11164), for benchmarks only.

The paper compares at 40, 140, 300 and 500 M multiply-adds and prints no table of either net.  What is known: both fill
stages 2 to 4 of its Table 5 (4, 8 and 4 units); "Xception-like" is the light variant that the authors had used before,
which ShuffleNetV1 (arXiv:1707.01083, 4.3) describes as its own unit with one group, hence without shuffle; for
"DenseNet-like" the number of channels was adjusted to meet the target.  What is ours: the widths, solved here for the
multiply-adds of the level; transitions that pool, and from stage 3 on halve the width first, as DenseNet-BC has them;
a bottleneck of 4 times the growth.  Nobody's accuracy belongs to these nets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from pumice.cost.count import profile
from pumice.models.convnet import ConvNet
from pumice.models.heads import PoolLinear
from pumice.models.rows import Conv, MaxPool, Row
from pumice.models.shufflenet_v1 import Unit
from pumice.models.spec import NetSpec

REPEATS = (4, 8, 4)
STEM: tuple[Row, ...] = (Conv(3, 24, 2, "RE"), MaxPool(3, 2, padding=1))  # ShuffleNetV2, table 5
BOTTLENECK = 4
INPUT = (3, 224, 224)


def xception_like(channels: float) -> NetSpec:
    """ShuffleNetV1's units with one group; `channels` of stage 2, doubled in stages 3 and 4."""
    units: list[Row] = []
    for doubled, n in enumerate(REPEATS):
        row = Unit(round(channels) * 2**doubled, 2, 1, 1, True, False, False, "official")
        units += [row] + [Unit(row.out_channels, 1, 1, 1, False, False, False, "official")] * (n - 1)
    return NetSpec((*STEM, *units), PoolLinear(bias=False))


class Transition(nn.Module):
    """(N, C, H, W) -> (N, O, H/2, W/2): pool(conv_1x1(ReLU(norm(x)))), or pool(x) where the width stays."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.AvgPool2d(2, 2, ceil_mode=True)]
        if out_channels != in_channels:
            conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
            layers = [nn.BatchNorm2d(in_channels), nn.ReLU(), conv, *layers]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class DenseLayer(nn.Module):
    """(N, C, H, W) -> (N, C + k, H, W): concat(x, conv_3x3(ReLU(norm(conv_1x1(ReLU(norm(x)))))))."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        hidden = BOTTLENECK * growth
        self.branch = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.ReLU(),
            nn.Conv2d(in_channels, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.branch(x)], 1)


@dataclass(frozen=True)
class DenseStage(Row):
    """A transition, then a dense layer for every growth.  halve: the transition halves the width."""

    growths: tuple[int, ...]
    halve: bool
    stride: int = 2

    def width(self, in_channels: int) -> int:
        return self.start(in_channels) + sum(self.growths)

    def start(self, in_channels: int) -> int:
        """Channels after the transition."""
        return in_channels // 2 if self.halve else in_channels

    def build(self, in_channels: int) -> nn.Module:
        width = self.start(in_channels)
        layers: list[nn.Module] = [Transition(in_channels, width)]
        for growth in self.growths:
            layers.append(DenseLayer(width, growth))
            width += growth
        return nn.Sequential(*layers)


def densenet_like(growth: float) -> NetSpec:
    """DenseNet-BC's layers, 4, 8 and 4 of them, then Table 5's last convolution.

    growth: where it is no whole number the layers take turns, so that a stage grows by the nearest whole width: whole
    growths alone meet a level no better than within 7 %.
    """
    stages = []
    for i, n in enumerate(REPEATS):
        growths = tuple(round(growth * (j + 1)) - round(growth * j) for j in range(n))
        stages.append(DenseStage(growths, halve=i > 0))
    return NetSpec((*STEM, *stages, Conv(1, 1024, 1, "RE")), PoolLinear(bias=False))


@dataclass(frozen=True)
class Kind:
    """A net with one free width.  step: of the width.  bounds: between which every level lies."""

    spec: Callable[[float], NetSpec]
    step: float
    bounds: tuple[float, float]


KINDS = {"xception_like": Kind(xception_like, 1, (26, 400)), "densenet_like": Kind(densenet_like, 0.125, (2, 120))}


def madds(spec: NetSpec) -> int:
    """Multiply-adds at 224 pixels."""
    with torch.device("meta"):
        model = ConvNet(spec)
    return profile(model, INPUT).madds


@cache
def solved(kind: str, level_m: int) -> float:
    """The width whose multiply-adds are nearest to `level_m` million: bisection, as they grow with the width."""
    net, target = KINDS[kind], level_m * 1e6
    low, high = (round(bound / net.step) for bound in net.bounds)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if madds(net.spec(middle * net.step)) < target else (low, middle)
    return min((low * net.step, high * net.step), key=lambda width: abs(madds(net.spec(width)) - target))


def reconstruct(kind: str, level_m: int) -> nn.Module:
    """The net of a level with fresh weights: (N, 3, H, W) -> logits (N, 1000)."""
    return ConvNet(KINDS[kind].spec(solved(kind, level_m)))


if __name__ == "__main__":
    for kind, net in KINDS.items():
        for level in (40, 140, 300, 500):
            width = solved(kind, level)
            print(f"{kind:14} {level:4} M: width {width:g}, {madds(net.spec(width)) / 1e6:.2f} M multiply-adds")
