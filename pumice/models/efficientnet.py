"""EfficientNet-lite: Tan and Le, "EfficientNet", ICML 2019, arXiv:1905.11946, in the lite form of its repository
(github.com/tensorflow/tpu, models/official/efficientnet/lite).

From the repository: no SE, ReLU6 everywhere, and stem, head and the repeats of the first and last stage do not scale.
"""

import math
from dataclasses import dataclass

from torch import Tensor, nn

from pumice.models.heads import PoolLinear
from pumice.models.rounding import make_divisible
from pumice.models.rows import Conv, Row
from pumice.models.spec import NetSpec, Variant
from pumice.nn.conv import ConvNormAct
from pumice.nn.drop_path import DropPath


class LiteConv(nn.Module):
    """MBConv without SE.  (N, C, H, W) -> (N, O, H/s, W/s).

    h = depthwise_k,s(expand_1x1(x))    C -> e * C -> e * C, each conv-norm-ReLU6; no expansion if e == 1
    y = project_1x1(h)                  e * C -> O, no activation
    return x + y if s == 1 and C == O else y
    """

    def __init__(self, in_channels: int, row: "MBConv") -> None:
        super().__init__()
        c, o, k, s = in_channels, row.out_channels, row.kernel_size, row.stride
        hidden = row.expand * c
        self.expand = ConvNormAct(c, hidden, act="R6") if row.expand != 1 else nn.Identity()
        self.depthwise = ConvNormAct(hidden, hidden, k, s, dilation=row.dilation, groups=hidden, act="R6")
        self.project = ConvNormAct(hidden, o)
        self.drop_path = DropPath() if s == 1 and c == o else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        y = self.project(self.depthwise(self.expand(x)))
        return y if self.drop_path is None else x + self.drop_path(y)


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
        """LiteConv."""
        return LiteConv(in_channels, self)


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
