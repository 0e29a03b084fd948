"""R-ASPP, the reduced head of Sandler et al., "MobileNetV2", CVPR 2018, arXiv:1801.04381, section 6.3: of ASPP, the
1 x 1 convolution and the pooled branch alone."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.models.dense.segment import ReducedPlan, classifier
from pumice.models.heads import DenseHead
from pumice.nn.conv import ConvNormAct
from pumice.nn.initialise import initialise


class RASPPHead(DenseHead):
    """x of C channels at 1/s -> (N, K, H/s, W/s); each conv is followed by norm and ReLU.

    y = conv_1x1(concat(conv_1x1(x), up(conv_1x1(mean_hw(x)))))
    return W dropout(y) + b
    """

    def __init__(self, channels: int, filters: int, num_classes: int, drop_rate: float) -> None:
        super().__init__()
        self.point = ConvNormAct(channels, filters, act="RE")
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.pooled = ConvNormAct(channels, filters, act="RE")
        self.merge = ConvNormAct(2 * filters, filters, act="RE")
        self.dropout = nn.Dropout(drop_rate)
        initialise(self, "fan_out")
        self.filters = filters
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        """A new last convolution."""
        self.classifier = classifier(self.filters, num_classes)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """[x] -> (N, K, H/s, W/s)."""
        (x,) = maps
        pooled = F.interpolate(self.pooled(self.pool(x)), x.shape[2:])  # one pixel, so any mode enlarges it
        return self.classifier(self.dropout(self.merge(torch.cat((self.point(x), pooled), dim=1))))


@dataclass(frozen=True)
class RASPPPlan(ReducedPlan):
    """`raspp:BACKBONE`."""

    filters: int = 256

    def head(
        self, channels: tuple[int, ...], reductions: tuple[int, ...], num_classes: int, drop_rate: float | None
    ) -> DenseHead:
        """RASPPHead; dropout is 0.1 as in DeepLab's code."""
        return RASPPHead(channels[-1], self.filters, num_classes, 0.1 if drop_rate is None else drop_rate)
