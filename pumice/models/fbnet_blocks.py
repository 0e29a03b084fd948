"""What the three FBNets share: Wan et al., "FBNetV2", CVPR 2020, arXiv:2004.05565; Dai et al., "FBNetV3", CVPR 2021,
arXiv:2006.02049.

From the authors' code (github.com/facebookresearch/mobile-vision, commit bb8465c): the rounding of widths, the widths
of squeeze-and-excitation, what `skip` and `ir_pool` are, and biases under the stem's norm.
"""

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor, nn

from pumice.models.heads import Head, HeadRow, linear
from pumice.models.rounding import make_divisible
from pumice.models.rows import Conv, Row
from pumice.models.sides import ANY, Sides
from pumice.models.spec import NetSpec
from pumice.nn.activation import Activation
from pumice.nn.conv import ConvNormAct
from pumice.nn.gate import SqueezeExcite
from pumice.nn.inverted_residual import InvertedResidual

SqueezeOf = Literal["", "hidden", "input"]


def rounded(width: float) -> int:
    """The nearest multiple of 8, at least 8 and never under 0.95 of the width."""
    return make_divisible(width, 8, keep=0.95)


class PoolHead(Head):
    """The release's `ir_pool` and its classifier.  (N, C, H, W) -> (N, classes).

    h = h_swish(norm(W1 x))                 1 x 1 convolution, C -> hidden
    logits = W3 dropout(h_swish(W2 mean_hw(h))) + b3     W2: hidden -> features, neither norm nor bias
    """

    def __init__(self, in_channels: int, num_classes: int, hidden: int, features: int, drop_rate: float) -> None:
        super().__init__()
        self.num_features = features
        self.expand = ConvNormAct(in_channels, hidden, act="HS")
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.project = nn.Conv2d(hidden, features, 1, bias=False)
        self.act = nn.Hardswish()
        self.flatten = nn.Flatten(1)
        self.dropout = nn.Dropout(drop_rate)
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        """A new linear layer."""
        self.classifier = linear(self.num_features, num_classes)

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(N, C, H, W) -> (N, classes)."""
        x = self.dropout(self.flatten(self.act(self.project(self.pool(self.expand(x))))))
        return x if pre_logits else self.classifier(x)


@dataclass(frozen=True)
class Pool(HeadRow):
    """The last line of a table of FBNetV2 or V3: `pool`, its width and its expansion; then the classifier."""

    out_channels: int
    expand: float
    drop_rate: float = 0.0

    def build(self, in_channels: int, num_classes: int, drop_rate: float | None) -> Head:
        """PoolHead."""
        rate = self.drop_rate if drop_rate is None else drop_rate
        return PoolHead(in_channels, num_classes, rounded(in_channels * self.expand), self.out_channels, rate)


@dataclass(frozen=True)
class Skip(Row):
    """The candidate `skip`: x itself, or where the shape changes a 1 x 1 convolution, norm and ReLU."""

    out_channels: int
    stride: int = 1

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """nn.Identity or ConvNormAct."""
        if in_channels == self.out_channels and self.stride == 1:
            return nn.Identity()
        return ConvNormAct(in_channels, self.out_channels, 1, self.stride, act="RE")


@dataclass(frozen=True)
class IR(Row):
    """One inverted residual, columns in the order of the release.

    expand: hidden width over input width, before rounding; at 1 there is no first 1 x 1 convolution.
    se: what a quarter of gives the squeezed width: "hidden" (V2), the block's "input" (V3), "" no gate.
    padding: of the k x k convolution while it strides, where the release has another than (k - 1) / 2.
    middle: hidden width over groups of the k x k convolution; 1 is depthwise.
    """

    kernel_size: int
    out_channels: int
    stride: int
    expand: float
    se: SqueezeOf = ""
    act: Activation = "HS"
    padding: int | None = None
    groups: int = 1
    middle: int = 1
    bias: bool = False
    always_expand: bool = False
    starts_at_zero: bool = True

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def hidden(self, in_channels: int) -> int:
        """Width after the expansion."""
        return rounded(in_channels * self.expand)

    def squeeze(self, in_channels: int) -> int:
        """Width inside the gate."""
        return rounded(int(self.hidden(in_channels) * (0.25 / self.expand if self.se == "input" else 0.25)))

    def build(self, in_channels: int) -> nn.Module:
        """InvertedResidual, its SE before the projection."""
        hidden, squeeze = self.hidden(in_channels), self.squeeze(in_channels)
        return InvertedResidual(
            *(in_channels, hidden, self.out_channels, self.kernel_size, self.stride),
            act=self.act,
            se=SqueezeExcite(hidden, squeeze, act=self.act) if self.se else None,
            dilation=self.dilation,
            expand=True if self.always_expand else None,
            groups=self.groups,
            depthwise_groups=hidden // self.middle,
            bias=self.bias,
            padding=None if self.stride == 1 else self.padding,
            starts_at_zero=self.starts_at_zero,
        )


Rows = tuple[Conv | IR | Skip, ...]


def scaled_net(rows: Rows, head: Pool, width: float, sides: Sides = ANY) -> NetSpec:
    """A table of V2 or V3 under the release's width multiplier, which scales every width, the last one too."""
    if width != 1:  # widths of the tables stay as they are, multiples of 8 or not
        rows = tuple(replace(row, out_channels=rounded(int(row.out_channels * width))) for row in rows)
        head = replace(head, out_channels=rounded(int(head.out_channels * width)))
    return NetSpec(rows, head, init="full_fan_out", sides=sides)
