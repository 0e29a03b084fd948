"""MicroNet's blocks and rows: Li et al., ICCV 2021, arXiv:2108.05894; their sources are told in `micronet`.

A row's `y` marks the places of hyper-functions; what stands there is `activation`.  The paper's names of the places: A1
after the k x k convolution (second of y), A2 after the squeeze and in the last row (third), A3 after the expansion.
"""

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor, nn

from pumice.models.heads import Head, HeadRow, linear
from pumice.models.rounding import make_divisible
from pumice.models.rows import Row
from pumice.nn.conv import ConvNormAct
from pumice.nn.drop_path import DropPath
from pumice.nn.dynamic_relu import DynamicReLU
from pumice.nn.factorised import FactorisedDepthwise
from pumice.nn.gate import SqueezeExcite
from pumice.nn.shift_max import DynamicShiftMax, Form, StaticShiftMax
from pumice.nn.shuffle import ChannelShuffle

Activation = Literal["shift_max", "static_shift_max", "dynamic_relu", "se", "relu"]
Start = Literal["identity", "shifted"]
FullRank = Literal["none", "regular", "all"]
Y = tuple[int, int, int]


def hyper_function(
    row: "Dynamic", present: int, channels: int, groups: int, reduction: int, unrectified: bool = False
) -> nn.Module:
    """What stands at one place of a block: (N, C, H, W) -> the same shape.

    present: 0 leaves ReLU6, or nothing where `unrectified`.  reduction: of the hidden width, which rounds to 4.
    unrectified: after a squeeze and in the last row: K = 1 and no ReLU, whatever j, k and form say; the paper's own
    parameter counts of other J and K fit only so.
    """
    rectifier = nn.Identity() if unrectified else nn.ReLU6()
    if not present or row.activation == "relu":
        return rectifier
    squeeze = make_divisible(channels // reduction, 4)
    if row.activation == "se":  # the release alone leaves the SE's hidden width unrounded at reduction 4
        return nn.Sequential(SqueezeExcite(channels, channels // 4 if reduction == 4 else squeeze), rectifier)
    j, k = row.j, 1 if unrectified else row.k
    if row.activation == "dynamic_relu":
        return DynamicReLU(channels, squeeze, (1.0, *(k - 1) * (0.0,)))
    relu = False if unrectified else None
    if row.activation == "static_shift_max":  # candidates start apart, as ReLU: nothing random would part them
        a0 = tuple(1 - i / max(1, k - 1) for i in range(k))
        b0, c0 = (k * (0.0,) if copy < j else () for copy in (1, 2))
        return StaticShiftMax(channels, groups, a0, b0, c0, form=row.form, relu=relu)
    own, other = (1.0, 0.0) if row.start == "identity" else (1 / j, 1 / j)  # in the candidates after the first
    a0 = (1.0, *(k - 1) * (own,))
    b0, c0 = ((0.0, *(k - 1) * (other,)) if copy < j else () for copy in (1, 2))
    return DynamicShiftMax(channels, groups, squeeze, a0, b0, c0, form=row.form, relu=relu)


def pointwise(row: "Dynamic", in_channels: int, out_channels: int, groups: int) -> ConvNormAct:
    """A 1 x 1 convolution in groups; in the full-rank partner without them."""
    return ConvNormAct(in_channels, out_channels, groups=groups if row.full_rank == "none" else 1)


class StemBlock(nn.Module):
    """Section 3.4.  (N, C, H, W) -> (N, q * e, H/2, W/2): ReLU6(S(q)(conv_1x3(norm(conv_3x1(x)))))."""

    def __init__(self, in_channels: int, row: "Stem") -> None:
        super().__init__()
        q, s = row.q, row.stride
        self.vertical = ConvNormAct(in_channels, q, (3, 1), (s, 1))
        self.horizontal = ConvNormAct(q, q * row.e, (1, 3), (1, s), groups=q)
        self.shuffle = ChannelShuffle(q)
        self.act = nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, q * e, H/2, W/2)."""
        return self.act(self.shuffle(self.horizontal(self.vertical(x))))


class LiteBlock(nn.Module):
    """Micro-Block-A (figure 4a).  (N, C, H, W) -> (N, O, H/s, W/s).

    h = A1(factorised_k,s(x))      C -> R * C (4C in the release), ReLU6 where A1 is not dynamic
    y = A2(squeeze_1x1(S(h)))      R * C -> O in Gs groups, nothing where A2 is not
    return x + S(y) if s == 1 and C == O else S(y)
    """

    def __init__(self, in_channels: int, row: "Lite") -> None:
        super().__init__()
        c, o, r = in_channels, row.out_channels, row.r
        hidden = row.expand * c
        _, y2, y3 = row.y
        self.depthwise = (
            ConvNormAct(c, hidden, row.kernel_size, row.stride, dilation=row.dilation, groups=c)
            if row.full_rank == "all"
            else FactorisedDepthwise(c, row.kernel_size, row.stride, 2, row.expand // 2, row.dilation)
        )
        self.act2 = hyper_function(row, y2, hidden, c, 8 * r)
        self.shuffle2 = ChannelShuffle(c)
        self.mix2 = ChannelShuffle(hidden // 2) if y2 else nn.Identity()
        self.squeeze = pointwise(row, hidden, o, row.squeeze_groups)
        self.act3 = hyper_function(row, y3, o, row.squeeze_groups, 4 * r, unrectified=True)
        self.shuffle3 = ChannelShuffle(row.squeeze_groups)
        self.mix3 = ChannelShuffle(o // 2) if y3 and o % 2 == 0 else nn.Identity()
        self.drop_path = DropPath() if row.stride == 1 and c == o else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        h = self.mix2(self.shuffle2(self.act2(self.depthwise(x))))
        y = self.mix3(self.shuffle3(self.act3(self.squeeze(h))))
        return y if self.drop_path is None else x + self.drop_path(y)


class RegularBlock(nn.Module):
    """Micro-Block-C, cut as the release cuts it (figure 4c).  (N, C, H, W) -> (N, O, H/s, W/s).

    e = A3(expand_1x1(x))          C -> R * C in Ge groups, ReLU6 where A3 is not dynamic
    h = A1(factorised_k,s(S(e)))   same width, likewise
    y = A2(squeeze_1x1(S(h)))      R * C -> O in Gs groups, nothing where A2 is not
    return x + S(y) if s == 1 and C == O else S(y)
    """

    def __init__(self, in_channels: int, row: "Regular") -> None:
        super().__init__()
        c, o, r, k = in_channels, row.out_channels, row.r, row.kernel_size
        hidden = row.expand * c
        y1, y2, y3 = row.y
        dynamic = (y1 > 0) + (y2 > 0)
        self.expand = pointwise(row, c, hidden, row.expand_groups)
        self.act1 = hyper_function(row, y1, hidden, row.expand_groups, 8 * r)
        self.shuffle1 = ChannelShuffle(row.expand_groups)
        self.depthwise = (
            ConvNormAct(hidden, hidden, k, row.stride, dilation=row.dilation, groups=hidden)
            if row.full_rank != "none"
            else FactorisedDepthwise(hidden, k, row.stride, dilation=row.dilation)
        )
        self.act2 = hyper_function(row, y2, hidden, hidden // row.expand_groups, 8 * r)
        self.mix2 = ChannelShuffle(hidden // (2 * dynamic)) if dynamic else nn.Identity()
        self.squeeze = pointwise(row, hidden, o, row.squeeze_groups)
        self.act3 = hyper_function(row, y3, o, row.squeeze_groups, 4 * r, unrectified=True)
        self.shuffle3 = ChannelShuffle(row.squeeze_groups)
        self.mix3 = ChannelShuffle(o // 2) if y3 else nn.Identity()
        self.drop_path = DropPath() if row.stride == 1 and c == o else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        e = self.shuffle1(self.act1(self.expand(x)))
        h = self.mix2(self.act2(self.depthwise(e)))
        y = self.mix3(self.shuffle3(self.act3(self.squeeze(h))))
        return y if self.drop_path is None else x + self.drop_path(y)


class LastBlock(nn.Module):
    """The last row.  (N, C, H, W) -> (N, R * C, H, W): A2(expand_1x1(x)), nothing where A2 is not dynamic."""

    def __init__(self, in_channels: int, row: "Last") -> None:
        super().__init__()
        hidden = row.expand * in_channels
        self.expand = pointwise(row, in_channels, hidden, row.expand_groups)
        self.act3 = hyper_function(row, row.y[2], hidden, row.expand_groups, 8 * row.r, unrectified=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, R * C, H, W)."""
        return self.act3(self.expand(x))


class MicroHead(Head):
    """Section 3.4.  ReLU6, mean, h-swish, two linear layers each followed by batch norm and h-swish.

    The logits are h-swish outputs too, so they never fall below -0.375: (N, C, H, W) -> (N, classes).
    """

    def __init__(self, in_channels: int, num_classes: int, hidden: int, drop_rate: float) -> None:
        super().__init__()
        self.num_features = hidden
        self.act = nn.ReLU6()
        self.pool_act = nn.Hardswish()
        self.hidden = nn.Linear(in_channels, hidden)
        self.hidden_norm = nn.BatchNorm1d(hidden)
        self.hidden_act = nn.Hardswish()
        self.dropout = nn.Dropout(drop_rate)
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        """A new linear layer with its batch norm; without classes neither they nor the last h-swish remain."""
        self.classifier = linear(self.num_features, num_classes)
        like = self.hidden_norm  # whose eps and momentum may have been set
        self.norm = nn.BatchNorm1d(num_classes, like.eps, like.momentum) if num_classes else nn.Identity()
        self.logits_act = nn.Hardswish() if num_classes else nn.Identity()

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(N, C, H, W) -> (N, classes)."""
        x = self.pool_act(self.act(x).mean((2, 3)))
        x = self.dropout(self.hidden_act(self.hidden_norm(self.hidden(x))))
        return x if pre_logits else self.logits_act(self.norm(self.classifier(x)))


@dataclass(frozen=True)
class Stem(Row):
    """q and e of the stem."""

    q: int
    e: int
    stride: int = 2

    def width(self, in_channels: int) -> int:
        """q * e."""
        return self.q * self.e

    def build(self, in_channels: int) -> nn.Module:
        """StemBlock."""
        return StemBlock(in_channels, self)


@dataclass(frozen=True)
class Dynamic(Row):
    """What the rows with hyper-functions share.

    activation: what stands where y is not 0.  form, j, k: of Shift-Max; k of Dynamic ReLU too.
    start: candidates of Dynamic Shift-Max start as x ("identity"), or from the second on as the mean of the copies.
    full_rank: the partner of mutual learning: plain 1 x 1 convolutions of the same widths in every row, and plain
        k x k depthwise ones in "all" rows, or in "regular" ones only.
    """

    activation: Activation = field(default="shift_max", kw_only=True)
    form: Form = field(default="released", kw_only=True)
    j: int = field(default=2, kw_only=True)
    k: int = field(default=2, kw_only=True)
    start: Start = field(default="identity", kw_only=True)
    full_rank: FullRank = field(default="none", kw_only=True)


@dataclass(frozen=True)
class Lite(Dynamic):
    """One lite row, columns in the release's order.  y: hyper-functions after expansion, k x k, squeeze.

    expand: R; the release has 4.
    """

    kernel_size: int
    stride: int
    out_channels: int
    squeeze_groups: int
    y: Y
    r: int
    expand: int = 4

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """LiteBlock."""
        return LiteBlock(in_channels, self)


@dataclass(frozen=True)
class Regular(Dynamic):
    """One regular row, columns in the release's order."""

    kernel_size: int
    stride: int
    expand: int
    out_channels: int
    expand_groups: int
    squeeze_groups: int
    y: Y
    r: int

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """RegularBlock."""
        return RegularBlock(in_channels, self)


@dataclass(frozen=True)
class Last(Dynamic):
    """The last row: an expansion without a depthwise convolution."""

    expand: int
    expand_groups: int
    y: Y
    r: int
    stride: int = 1

    def width(self, in_channels: int) -> int:
        """expand * in_channels."""
        return self.expand * in_channels

    def build(self, in_channels: int) -> nn.Module:
        """LastBlock."""
        return LastBlock(in_channels, self)


@dataclass(frozen=True)
class MicroFc(HeadRow):
    """Width of the hidden linear layer, dropout before the last one."""

    hidden: int
    drop_rate: float

    def build(self, in_channels: int, num_classes: int, drop_rate: float | None) -> Head:
        """MicroHead."""
        return MicroHead(in_channels, num_classes, self.hidden, self.drop_rate if drop_rate is None else drop_rate)
