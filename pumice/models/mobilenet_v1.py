"""MobileNetV1: Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
arXiv:1704.04861.

From the paper: every number in UNITS (table 1, whose stride 2 in the very last depthwise line is a misprint: its output
is 7 x 7), the twin of full convolutions (table 4) and the shallow net (table 5).
From the authors' code (TF-slim, nets/mobilenet_v1): ReLU6 where the paper writes ReLU, widths max(int(d * alpha), 8)
without rounding to 8, dropout 0.001, no weight decay on depthwise kernels.
Where they are silent, or here another way: weights start by He's rule where slim draws from N(0, 0.09), and batch norm
averages at 0.99, as MobileNetV3's paper has it, where slim's 0.9997 asks for very many steps.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from pumice.models.heads import PoolLinear
from pumice.models.rows import Conv, Row
from pumice.models.spec import NetSpec, Variant
from pumice.nn.activation import Activation
from pumice.nn.conv import ConvNormAct


class DepthwiseSeparable(nn.Module):
    """Figure 3, right.  (N, C, H, W) -> (N, O, H/s, W/s).

    y = pointwise_1x1(depthwise_3,s(x))    C -> C -> O, each conv-norm-act
    """

    def __init__(self, in_channels: int, row: "Separable") -> None:
        super().__init__()
        c, d = in_channels, row.dilation
        self.depthwise = ConvNormAct(c, c, 3, row.stride, dilation=d, groups=c, act=row.act)
        self.pointwise = ConvNormAct(c, row.out_channels, act=row.act)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        return self.pointwise(self.depthwise(x))


@dataclass(frozen=True)
class Separable(Row):
    """Two lines of table 1: "Conv dw" and the "Conv" after it."""

    out_channels: int
    stride: int
    act: Activation

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """DepthwiseSeparable."""
        return DepthwiseSeparable(in_channels, self)


# fmt: off
STEM = 32
UNITS = (  # table 1
    # out  s
    (  64, 1),
    ( 128, 2), ( 128, 1),
    ( 256, 2), ( 256, 1),
    ( 512, 2), ( 512, 1), ( 512, 1), ( 512, 1), ( 512, 1), ( 512, 1),
    (1024, 2), (1024, 1),
)
# fmt: on
SHALLOW = UNITS[:6] + UNITS[11:]  # without the five units of 14 x 14 x 512


def net(width: float = 1.0, full: bool = False, shallow: bool = False, act: Literal["R6", "RE"] = "R6") -> NetSpec:
    """Table 1.

    full: a 3 x 3 convolution in the place of every separable unit.  shallow: without the five equal units.
    act: ReLU6, or the paper's ReLU (pytorchcv's weights are for it).
    """

    def scaled(channels: int) -> int:
        return max(int(channels * width), 8)

    rows: list[Row] = [Conv(3, scaled(STEM), 2, act)]
    for out, stride in SHALLOW if shallow else UNITS:
        rows.append(Conv(3, scaled(out), stride, act) if full else Separable(scaled(out), stride, act))
    return NetSpec(tuple(rows), PoolLinear(0.001), bn_momentum=0.01)


VARIANTS = {
    "mobilenetv1_100": Variant(net, published="MobileNetV1 1.0"),
    "mobilenetv1_075": Variant(net, {"width": 0.75}, published="MobileNetV1 0.75"),
    "mobilenetv1_050": Variant(net, {"width": 0.5}, published="MobileNetV1 0.5"),
    "mobilenetv1_025": Variant(net, {"width": 0.25}, published="MobileNetV1 0.25"),
    "mobilenetv1_125": Variant(net, {"width": 1.25}, status="optional", note="a width outside the paper, from timm"),
    "mobilenetv1_100_full": Variant(net, {"full": True}, published="Conv MobileNet (full convolutions)"),
    "mobilenetv1_100_shallow": Variant(net, {"shallow": True}, published="Shallow MobileNet"),
}
