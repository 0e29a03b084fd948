"""MR-ASPP: Li et al., "MicroNet: Towards Image Recognition with Extremely Low FLOPs", 2020, arXiv:2011.12289.

From the paper (the first version): LR-ASPP whose 1 x 1 convolutions are micro-factorised, on features of twice the
size, with spatial attention, merged with the features at 1/8; the backbone ends at 1/16.
Where silent, and chosen here: the widths, the place of the hyper-function and of the attention (after the expansion),
the group numbers (MicroNet's rule), the pool (LR-ASPP's).  The layer to the classes stays whole: 19 has no divisors.
The features are enlarged first: only so do the published multiply-adds fit.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.models.dense.lraspp import WindowPool
from pumice.models.dense.segment import SegmentPlan, classifier, eighth_and_last
from pumice.models.heads import DenseHead
from pumice.models.micronet_widths import groups_for, nearest_divisor
from pumice.models.rounding import make_divisible
from pumice.nn.factorised import FactorisedPointwise
from pumice.nn.initialise import initialise
from pumice.nn.shift_max import DynamicShiftMax
from pumice.nn.spatial_attention import SpatialAttention


class MRASPPHead(DenseHead):
    """low at 1/8, high of C channels at 1/s -> (N, K, H/8, W/8); M is a micro-factorised 1 x 1 convolution, C -> F.

    z = norm(M(up(high)))
    y = shift_max(z) * attention(z) * up(sigmoid(M(pool(high))))          up: bilinear
    return W_high y + b_high + W_low low + b_low
    """

    classifier: nn.ModuleList

    def __init__(
        self, channels: tuple[int, ...], reduction: int, filters: int, expansion: int, num_classes: int
    ) -> None:
        super().__init__()
        low, high = channels
        hidden = make_divisible(high / expansion, 16)
        squeeze, expand = groups_for(hidden, 1, high)
        groups = squeeze, nearest_divisor(math.gcd(hidden, filters), expand)
        self.point = FactorisedPointwise(high, hidden, filters, groups)
        squeezed = make_divisible(filters // 16, 4)
        self.act = DynamicShiftMax(filters, groups[1], squeezed, a0=(1.0, 1.0), b0=(0.0, 0.0))
        self.attention = SpatialAttention(filters)
        self.pool = WindowPool(reduction)
        self.gate = FactorisedPointwise(high, hidden, filters, groups, norm=False)
        initialise(self, "full_fan_out")
        self.widths = (filters, low)
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        """New last convolutions, of the high and of the low map."""
        self.classifier = nn.ModuleList(classifier(width, num_classes) for width in self.widths)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """[low, high] -> (N, K, H/8, W/8)."""
        low, high = maps
        size = low.shape[2:]
        z = self.point(F.interpolate(high, size, mode="bilinear", align_corners=False))
        gate = torch.sigmoid(self.gate(self.pool(high)))
        y = self.act(z) * self.attention(z) * F.interpolate(gate, size, mode="bilinear", align_corners=False)
        of_high, of_low = self.classifier
        return of_high(y) + of_low(low)


@dataclass(frozen=True)
class MRASPPPlan(SegmentPlan):
    """`mraspp:BACKBONE`.

    filters: F; 240 is the width next to LR-ASPP's 256 that the group numbers of every MicroNet divide.
    expansion: R of the factorised convolutions, whose inner width is C / R.
    """

    filters: int = 240
    expansion: int = 6

    def choose(self, reductions: tuple[int, ...]) -> tuple[int, ...]:
        """The last map at an eighth (else the last finer one), and the last of all."""
        return eighth_and_last(reductions)

    def head(
        self, channels: tuple[int, ...], reductions: tuple[int, ...], num_classes: int, drop_rate: float | None
    ) -> DenseHead:
        """MRASPPHead; it has no dropout."""
        return MRASPPHead(channels, reductions[-1], self.filters, self.expansion, num_classes)
