"""EfficientNet-lite: Tan and Le, "EfficientNet", ICML 2019, arXiv:1905.11946, in the lite form of its repository
(github.com/tensorflow/tpu, models/official/efficientnet/lite).

From the repository: no SE, ReLU6 everywhere, and stem, head and the repeats of the first and last stage do not scale.
"""

import math
from dataclasses import dataclass

from torch import nn

from pumice.models.heads import PoolLinear
from pumice.models.rounding import make_divisible
from pumice.models.rows import Conv, Row
from pumice.models.spec import NetSpec, Variant
from pumice.nn.inverted_residual import InvertedResidual


@dataclass(frozen=True)
class MBConv(Row):
    """One block of table 1."""

    kernel_size: int
    stride: int
    expand: int
    out_channels: int

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """InvertedResidual."""
        return InvertedResidual(
            *(in_channels, self.expand * in_channels, self.out_channels, self.kernel_size, self.stride),
            act="R6",
            dilation=self.dilation,
        )


# fmt: off
B0 = (  # table 1
    # r  k  s  e  out
    ( 1, 3, 1, 1,  16),
    ( 2, 3, 2, 6,  24),
    ( 2, 5, 2, 6,  40),
    ( 3, 3, 2, 6,  80),
    ( 3, 5, 1, 6, 112),
    ( 4, 5, 2, 6, 192),
    ( 1, 3, 1, 6, 320),
)
# fmt: on


def lite(width: float = 1.0, depth: float = 1.0, drop_rate: float = 0.2) -> NetSpec:
    """The lite nets: width and depth scale the stages, not the stem, the head or the first and last stage's repeats."""
    rows: list[Row] = [Conv(3, 32, 2, "R6")]
    for i, (r, k, s, e, out) in enumerate(B0):
        repeats = r if i in (0, len(B0) - 1) else math.ceil(r * depth)
        channels = make_divisible(out * width)
        rows += [MBConv(k, s, e, channels)] + [MBConv(k, 1, e, channels)] * (repeats - 1)
    rows.append(Conv(1, 1280, 1, "R6"))
    return NetSpec(tuple(rows), PoolLinear(drop_rate), bn_momentum=0.01)


VARIANTS = {
    "efficientnet_lite0": Variant(lite, published="EfficientNet-lite0"),
}
