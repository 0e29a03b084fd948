"""LR-ASPP: Howard et al., "Searching for MobileNetV3", ICCV 2019, arXiv:1905.02244, section 6.4 and figure 10.

From the paper: the two branches, the pool of 49 x 49 pixels with strides 16 and 20 on a map at 1/16 (figure 10).
From the authors' code (github.com/tensorflow/models, research/deeplab): the low-level map is the *depthwise output* of
the last block at 1/8, wider than what the block gives; the last stage is halved as `segment.halved` says; a block
whose stride is removed keeps rate 1; the gate's convolution has a bias and no norm; at 1/32 the pool has strides 4, 5.
torchvision's `lraspp_mobilenet_v3_large` is another net: it reads the block's 40 channels, pools the whole map, halves
nothing, and dilates the block whose stride it removes (3,221,538 parameters with 21 classes).
Where silent: maps at 1/8, and sizes.  The windows cover 769 pixels of the image at any output stride, the side of the
code's crops; a map that is smaller is pooled whole.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.dense.plan import Tap
from pumice.models.dense.segment import ReducedPlan, classifier, eighth_and_last
from pumice.models.heads import DenseHead
from pumice.models.spec import NetSpec
from pumice.nn.conv import ConvNormAct
from pumice.nn.initialise import initialise
from pumice.nn.inverted_residual import InvertedResidual

Pooling = Literal["paper", "global"]
WINDOW = 769  # pixels of the image: 49 of a map at 1/16
STRIDES = {8: (32, 40), 16: (16, 20), 32: (4, 5)}  # by the map's reduction; those at 1/8 are the same pixels as at 1/16


class WindowPool(nn.Module):
    """Means over windows of WINDOW pixels of the image, cut to the map: (N, C, H, W) -> (N, C, H', W').

    reduction: image pixels per pixel of the map.
    """

    def __init__(self, reduction: int) -> None:
        super().__init__()
        if reduction not in STRIDES:
            raise BadInput(f"LR-ASPP pools maps at 1/8, 1/16 and 1/32, not at 1/{reduction}; choose pooling='global'")
        self.kernel, self.stride = WINDOW // reduction + 1, STRIDES[reduction]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        kernel = (min(self.kernel, x.shape[2]), min(self.kernel, x.shape[3]))
        return F.avg_pool2d(x, kernel, self.stride)


class LRASPPHead(DenseHead):
    """low at 1/8, high at 1/s -> (N, K, H/8, W/8).

    y = ReLU(norm(conv_1x1(high))) * up(sigmoid(conv_1x1(pool(high))))       F channels
    return W_high up(y) + b_high + W_low low + b_low                         up: bilinear
    """

    classifier: nn.ModuleList

    def __init__(
        self, channels: tuple[int, ...], reduction: int, filters: int, pooling: Pooling, num_classes: int
    ) -> None:
        super().__init__()
        low, high = channels
        self.point = ConvNormAct(high, filters, act="RE")
        self.pool = nn.AdaptiveAvgPool2d(1) if pooling == "global" else WindowPool(reduction)
        self.gate = nn.Conv2d(high, filters, 1)
        initialise(self, "fan_out")
        self.widths = (filters, low)
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        """New last convolutions, of the high and of the low map."""
        self.classifier = nn.ModuleList(classifier(width, num_classes) for width in self.widths)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """[low, high] -> (N, K, H/8, W/8)."""
        low, high = maps
        y = self.point(high)
        gate = torch.sigmoid(self.gate(self.pool(high)))
        y = y * F.interpolate(gate, y.shape[2:], mode="bilinear", align_corners=False)
        y = F.interpolate(y, low.shape[2:], mode="bilinear", align_corners=False)
        of_high, of_low = self.classifier
        return of_high(y) + of_low(low)


@dataclass(frozen=True)
class LRASPPPlan(ReducedPlan):
    """`lraspp:BACKBONE`.

    filters: of the head, 128 or 256 in the paper.  pooling: the paper's windows, or the whole map.
    """

    filters: int = 128
    pooling: Pooling = "paper"

    def choose(self, reductions: tuple[int, ...]) -> tuple[int, ...]:
        """The last map at an eighth (else the last finer one), and the last of all."""
        return eighth_and_last(reductions)

    def taps(self, spec: NetSpec) -> tuple[NetSpec, tuple[Tap, ...]]:
        """The depthwise output inside the block of the low map, where the block is an inverted residual."""
        spec, (low, high) = super().taps(spec)
        width = 3
        with torch.device("meta"):
            for row in spec.rows[: low.row]:
                width = row.width(width)
            block = spec.rows[low.row].build(width)
        return spec, (Tap(low.row, "depthwise") if isinstance(block, InvertedResidual) else low, high)

    def head(
        self, channels: tuple[int, ...], reductions: tuple[int, ...], num_classes: int, drop_rate: float | None
    ) -> DenseHead:
        """LRASPPHead; it has no dropout."""
        return LRASPPHead(channels, reductions[-1], self.filters, self.pooling, num_classes)
