"""What stands on ESPNetV2 (Mehta et al., CVPR 2019, arXiv:1811.11431) in dense tasks: a decoder and a detector.

From the authors' code (github.com/sacmehta/EdgeNets): everything; no paper describes either.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.dense.boxes import level, prior_boxes, rows_of, six
from pumice.models.heads import DenseHead
from pumice.nn.conv import ConvNormAct, set_norm
from pumice.nn.initialise import initialise
from pumice.nn.pyramid_pool import PyramidPool, resize

EXTRA = (512, 256, 128)  # channels of the detector's maps after the encoder's last
SHRINK = 5  # a detector's pyramid is a fifth as wide as its result
BOXES = 6  # at each place: two squares, and aspects 2, 1/2, 3, 1/3


def pyramid(in_channels: int, hidden: int, out_channels: int, **scales: Any) -> nn.Sequential:
    """PyramidPool, then a 1 x 1 convolution with norm and PReLU."""
    return nn.Sequential(PyramidPool(in_channels, hidden, **scales), ConvNormAct(hidden, out_channels, act="PR"))


class GatedConv(nn.Module):
    """y = PReLU(norm(conv_3x3(x))) * sigmoid(W mean_hw(x)): (N, C, H, W) -> (N, O, H, W), in gcd(C, O) groups."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        c, o = in_channels, out_channels
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, o, 1, bias=False), nn.Sigmoid())
        self.conv = ConvNormAct(c, o, 3, groups=math.gcd(c, o), act="PR")

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H, W)."""
        gate = self.gate(x)
        return self.conv(x) * gate


class SegmentationHead(DenseHead):
    """Maps f_1 .. f_4 at 1/2 .. 1/16 -> (N, K, H, W); b is the base, q = min(floor(K / 2), b).

    d_4 = pyramid_q(f_4)                                            4b channels
    d_3 = pyramid_q(PReLU(norm(gated(f_3) + up(d_4))))              3b, where gated(f_3) has 4b
    d_2 = pyramid_q(PReLU(norm(gated(f_2) + up(d_3))))              2b
    d_1 = conv_1x1(pool_q(PReLU(norm(gated(f_1) + up(d_2)))))       K
    return up(d_1)

    up is bilinear, twice the size, corner pixels on corner pixels.
    """

    def __init__(self, channels: tuple[int, ...], base: int, num_classes: int) -> None:
        super().__init__()
        c1, c2, c3, self.deepest = channels
        self.base = base
        # The pyramids depend on the classes, so `reset` makes them; their places are taken here, in order.
        self.pyramid4: nn.Module = nn.Identity()
        self.gated3 = GatedConv(c3, 4 * base)
        self.norm3 = nn.BatchNorm2d(4 * base)
        self.act3 = nn.PReLU(4 * base)
        self.pyramid3: nn.Module = nn.Identity()
        self.gated2 = GatedConv(c2, 3 * base)
        self.norm2 = nn.BatchNorm2d(3 * base)
        self.act2 = nn.PReLU(3 * base)
        self.pyramid2: nn.Module = nn.Identity()
        self.gated1 = GatedConv(c1, 2 * base)
        self.norm1 = nn.BatchNorm2d(2 * base)
        self.act1 = nn.PReLU(2 * base)
        self.pyramid1: nn.Module = nn.Identity()
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        """New pyramids, whose width q depends on the classes, and a new last convolution."""
        b, q = self.base, min(num_classes // 2, self.base)
        if q < 1:
            raise BadInput(f"this net needs at least 2 classes, not {num_classes}: its pyramids are half as wide")
        self.pyramid4 = pyramid(self.deepest, q, 4 * b)
        self.pyramid3 = pyramid(4 * b, q, 3 * b)
        self.pyramid2 = pyramid(3 * b, q, 2 * b)
        self.pyramid1 = PyramidPool(2 * b, q)
        self.classifier = nn.Conv2d(q, num_classes, 1)
        for fresh in (self.pyramid4, self.pyramid3, self.pyramid2, self.pyramid1, self.classifier):
            initialise(fresh, "full_fan_out")
            set_norm(fresh, eps=self.norm3.eps, momentum=self.norm3.momentum)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps at 1/2 to 1/16 -> (N, classes, H, W)."""
        f1, f2, f3, f4 = maps
        d4 = self.up(self.pyramid4(f4))
        d3 = self.up(self.pyramid3(self.act3(self.norm3(self.gated3(f3) + d4))))
        d2 = self.up(self.pyramid2(self.act2(self.norm2(self.gated2(f2) + d3))))
        d1 = self.pyramid1(self.act1(self.norm1(self.gated1(f1) + d2)))
        return self.up(self.classifier(d1))


class DetectionHead(DenseHead):
    """SSD's heads on six maps.  Maps f_1 .. f_5 at 1/2 .. 1/32 -> boxes (N, B, 4) and scores (N, B, classes).

    m_6 = conv_1x1(depthwise_3x3,2(f_5)), m_7 the same of m_6, m_8 = ReLU(conv_1x1(mean_hw(m_7)))
    p_6 = pyramid(concat(to(m_7), m_6)), p_5 = pyramid(concat(to(p_6), f_5)), p_4 and p_3 alike
    boxes, scores: a 1 x 1 convolution each of p_3, p_4, p_5, p_6, m_7, m_8

    `to` resizes to the other map.  A place has 6 boxes, whose rows stand together; maps come finest first: B is
    6 (38^2 + 19^2 + 10^2 + 5^2 + 3^2 + 1) = 11,640 at 300 x 300.  Boxes are SSD's offsets (centre / 0.1 and
    log size / 0.2) from priors; class 0 is the background.
    """

    classifier: nn.ModuleList

    def __init__(self, channels: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        *_, c3, c4, c5 = channels
        c6, c7, c8 = EXTRA
        self.widths = (c3, c4, c5, c6, c7, c8)
        self.down6 = nn.Sequential(ConvNormAct(c5, c5, 3, 2, groups=c5, act="PR"), ConvNormAct(c5, c6, act="PR"))
        self.down7 = nn.Sequential(ConvNormAct(c6, c6, 3, 2, groups=c6, act="PR"), ConvNormAct(c6, c7, act="PR"))
        self.down8 = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(c7, c8, 1, bias=False), nn.ReLU())
        self.pyramid6 = pyramid(c6 + c7, c6 // SHRINK, c6, scales=(2.0, 1.0))
        self.pyramid5 = pyramid(c5 + c6, c5 // SHRINK, c5, scales=(2.0, 1.0, 0.5))
        self.pyramid4 = pyramid(c4 + c5, c4 // SHRINK, c4, scales=(2.0, 1.0, 0.5, 0.25))
        self.pyramid3 = pyramid(c3 + c4, c3 // SHRINK, c3, scales=(2.0, 1.0, 0.5, 0.25))
        self.boxes = nn.ModuleList(nn.Conv2d(c, BOXES * 4, 1) for c in self.widths)
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        """New convolutions for the scores."""
        if num_classes < 1:
            raise BadInput(f"a detector needs at least 1 class, not {num_classes}")
        self.classes = num_classes
        self.classifier = nn.ModuleList(nn.Conv2d(c, BOXES * num_classes, 1) for c in self.widths)
        initialise(self.classifier, "squeezenet")

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps at 1/2 to 1/32 -> boxes (N, B, 4), scores (N, B, classes)."""
        *_, f3, f4, f5 = maps
        m6 = self.down6(f5)
        m7 = self.down7(m6)
        m8 = self.down8(m7)
        p6 = self.pyramid6(joined(m7, m6))
        p5 = self.pyramid5(joined(p6, f5))
        p4 = self.pyramid4(joined(p5, f4))
        p3 = self.pyramid3(joined(p4, f3))
        read = (p3, p4, p5, p6, m7, m8)
        return torch.cat((listed(self.boxes, read, 4), listed(self.classifier, read, self.classes)), dim=2)

    def decoding_on(self, maps: Sequence[tuple[int, int]], height: int, width: int) -> dict[str, Any]:
        """The authors' priors, whose middles on the finer four maps are a stride apart, and their thresholds."""
        *_, g3, g4, g5 = maps
        g6 = (math.ceil(g5[0] / 2), math.ceil(g5[1] / 2))
        g7 = (math.ceil(g6[0] / 2), math.ceil(g6[1] / 2))
        grids = (g3, g4, g5, g6, g7, (1, 1))
        steps = [(8 * 2**i / height, 8 * 2**i / width) for i in range(4)]
        sides = list(zip(shares(width, len(grids)), shares(height, len(grids)), strict=True))
        levels = [
            level(grid, six(sides[i], sides[i + 1]), steps[i] if i < len(steps) else None)
            for i, grid in enumerate(grids)
        ]
        return prior_boxes(levels, clip=True, match=0.45, candidates=200)


def shares(side: int, levels: int) -> list[float]:
    """The least box of each level and the greatest of the last, whole pixels, as shares of the side."""
    least, greatest = math.ceil(0.1 * side), math.ceil(1.05 * side)
    return [int(least + (greatest - least) * i / levels) / side for i in range(levels + 1)]


def joined(coarse: Tensor, fine: Tensor) -> Tensor:
    """concat(to(coarse), fine)."""
    return torch.cat((resize(coarse, (fine.shape[2], fine.shape[3])), fine), dim=1)


def listed(convs: nn.ModuleList, maps: tuple[Tensor, ...], values: int) -> Tensor:
    """One convolution a map, then a row for every box: (N, B, values)."""
    return torch.cat([rows_of(conv(m), values) for conv, m in zip(convs, maps, strict=True)], dim=1)
