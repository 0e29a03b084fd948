"""DeepLabV3's head, atrous spatial pyramid pooling: Chen et al., "Rethinking Atrous Convolution for Semantic Image
Segmentation", 2017, arXiv:1706.05587; on MobileNetV2 in table 7 of Sandler et al., CVPR 2018, arXiv:1801.04381."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.dense.segment import ReducedPlan, classifier
from pumice.models.heads import DenseHead
from pumice.nn.conv import ConvNormAct
from pumice.nn.initialise import initialise

RATES = {16: (6, 12, 18), 8: (12, 24, 36), 32: (3, 6, 9)}  # 32 is no paper's: the same pixels of the image


class ASPPHead(DenseHead):
    """x of C channels at 1/s -> (N, K, H/s, W/s); each conv is followed by norm and ReLU.

    y = conv_1x1(concat(conv_1x1(x), conv_3x3 of rates r_1, r_2, r_3 (x), up(conv_1x1(mean_hw(x)))))
    return W dropout(y) + b
    """

    def __init__(self, channels: int, reduction: int, filters: int, num_classes: int, drop_rate: float) -> None:
        super().__init__()
        if reduction not in RATES:
            raise BadInput(f"ASPP has rates for maps at 1/8, 1/16 and 1/32, and this backbone ends at 1/{reduction}")
        self.point = ConvNormAct(channels, filters, act="RE")
        self.atrous = nn.ModuleList(ConvNormAct(channels, filters, 3, dilation=r, act="RE") for r in RATES[reduction])
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.pooled = ConvNormAct(channels, filters, act="RE")
        self.merge = ConvNormAct(5 * filters, filters, act="RE")
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
        parts = [self.point(x), *(conv(x) for conv in self.atrous)]
        parts.append(F.interpolate(self.pooled(self.pool(x)), x.shape[2:]))  # one pixel, so any mode enlarges it
        return self.classifier(self.dropout(self.merge(torch.cat(parts, dim=1))))


@dataclass(frozen=True)
class ASPPPlan(ReducedPlan):
    """`aspp:BACKBONE`, on Pascal VOC as published."""

    filters: int = 256

    input_size: ClassVar[tuple[int, int]] = (513, 513)
    num_classes: ClassVar[int] = 21

    def head(
        self, channels: tuple[int, ...], reductions: tuple[int, ...], num_classes: int, drop_rate: float | None
    ) -> DenseHead:
        """ASPPHead; dropout is 0.1 as in DeepLab's code."""
        rate = 0.1 if drop_rate is None else drop_rate
        return ASPPHead(channels[-1], reductions[-1], self.filters, num_classes, rate)
