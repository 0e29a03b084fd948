"""MicroNet: Li et al., "MicroNet: Improving Image Recognition with Extremely Low FLOPs", ICCV 2021, arXiv:2108.05894.

From the authors' release (github.com/liyunsheng13/micronet, commit ed89b26): every number in M0 to M3, and the block
equations.  Where paper and release differ the release runs: M3's kernels of rows 4, 5 and 10 are 5 x 5 (table 1 says
3), its blocks use Dynamic Shift-Max once, K = 1 applies no ReLU, and the logits pass batch norm and h-swish.
"ReLU" is ReLU6 throughout, except inside Dynamic Shift-Max.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from pumice.models.heads import Head, HeadRow, linear
from pumice.models.rounding import make_divisible
from pumice.models.rows import Row
from pumice.models.spec import NetSpec, Variant
from pumice.nn.conv import ConvNormAct
from pumice.nn.drop_path import DropPath
from pumice.nn.factorised import FactorisedDepthwise
from pumice.nn.shift_max import DynamicShiftMax
from pumice.nn.shuffle import ChannelShuffle

IDENTITY = ((1.0, 1.0), (0.0, 0.0))  # a0, b0 of the K = 2 hyper-functions: they start as x
SHIFTED = ((1.0, 0.5), (0.0, 0.5))  # M3: they start as max(x, (x + x_shifted) / 2)
Start = tuple[tuple[float, ...], tuple[float, ...]]


def shift_max(channels: int, groups: int, reduction: int, start: Start) -> DynamicShiftMax:
    """A hyper-function whose hidden width is channels / reduction, rounded to 4."""
    return DynamicShiftMax(channels, groups, make_divisible(channels // reduction, 4), *start)


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

    h = act(factorised_k,s(x))     C -> 4C, act is Dynamic Shift-Max (K = 2) or ReLU6
    y = act(squeeze_1x1(S(h)))     4C -> O in Gs groups, act is Dynamic Shift-Max (K = 1) or none
    return x + S(y) if s == 1 and C == O else S(y)
    """

    def __init__(self, in_channels: int, row: "Lite") -> None:
        super().__init__()
        c, o, r = in_channels, row.out_channels, row.r
        hidden = 4 * c
        _, y2, y3 = row.y
        self.depthwise = FactorisedDepthwise(c, row.kernel_size, row.stride, 2, 2, row.dilation)
        self.act2 = shift_max(hidden, c, 8 * r, row.start) if y2 else nn.ReLU6()
        self.shuffle2 = ChannelShuffle(c)
        self.mix2 = ChannelShuffle(hidden // 2) if y2 else nn.Identity()
        self.squeeze = ConvNormAct(hidden, o, groups=row.squeeze_groups)
        self.act3 = shift_max(o, row.squeeze_groups, 4 * r, ((1.0,), (0.0,))) if y3 else nn.Identity()
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

    e = act(expand_1x1(x))         C -> R * C in Ge groups, act is Dynamic Shift-Max (K = 2) or ReLU6
    h = act(factorised_k,s(S(e)))  same width, act as above
    y = act(squeeze_1x1(S(h)))     R * C -> O in Gs groups, act is Dynamic Shift-Max (K = 1) or none
    return x + S(y) if s == 1 and C == O else S(y)
    """

    def __init__(self, in_channels: int, row: "Regular") -> None:
        super().__init__()
        c, o, r = in_channels, row.out_channels, row.r
        hidden = row.expand * c
        y1, y2, y3 = row.y
        dynamic = (y1 > 0) + (y2 > 0)
        self.expand = ConvNormAct(c, hidden, groups=row.expand_groups)
        self.act1 = shift_max(hidden, row.expand_groups, 8 * r, row.start) if y1 else nn.ReLU6()
        self.shuffle1 = ChannelShuffle(row.expand_groups)
        self.depthwise = FactorisedDepthwise(hidden, row.kernel_size, row.stride, dilation=row.dilation)
        self.act2 = shift_max(hidden, hidden // row.expand_groups, 8 * r, row.start) if y2 else nn.ReLU6()
        self.mix2 = ChannelShuffle(hidden // (2 * dynamic)) if dynamic else nn.Identity()
        self.squeeze = ConvNormAct(hidden, o, groups=row.squeeze_groups)
        self.act3 = shift_max(o, row.squeeze_groups, 4 * r, ((1.0,), (0.0,))) if y3 else nn.Identity()
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
    """The last row.  (N, C, H, W) -> (N, R * C, H, W): act(expand_1x1(x)), Dynamic Shift-Max (K = 1) or none."""

    def __init__(self, in_channels: int, row: "Last") -> None:
        super().__init__()
        hidden = row.expand * in_channels
        self.expand = ConvNormAct(in_channels, hidden, groups=row.expand_groups)
        y3 = row.y[2]
        self.act3 = shift_max(hidden, row.expand_groups, 8 * row.r, ((1.0,), (0.0,))) if y3 else nn.Identity()

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
class Lite(Row):
    """One lite row, columns in the release's order.  y: hyper-functions after expansion, k x k, squeeze."""

    kernel_size: int
    stride: int
    out_channels: int
    squeeze_groups: int
    y: tuple[int, int, int]
    r: int
    start: Start = IDENTITY

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """LiteBlock."""
        return LiteBlock(in_channels, self)


@dataclass(frozen=True)
class Regular(Row):
    """One regular row, columns in the release's order."""

    kernel_size: int
    stride: int
    expand: int
    out_channels: int
    expand_groups: int
    squeeze_groups: int
    y: tuple[int, int, int]
    r: int
    start: Start = IDENTITY

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """RegularBlock."""
        return RegularBlock(in_channels, self)


@dataclass(frozen=True)
class Last(Row):
    """The last row: an expansion without a depthwise convolution."""

    expand: int
    expand_groups: int
    y: tuple[int, int, int]
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


# fmt: off
M0 = (
    Stem(2, 2),
    #       k  s      out     Gs  y          r
    Lite   (3, 2,      8,      2, (2, 0, 1), 1),
    Lite   (3, 2,     12,      4, (2, 2, 1), 1),
    Lite   (5, 2,     16,      4, (2, 2, 1), 1),
    #       k  s  R  out  Ge  Gs  y          r
    Regular(5, 1, 4,  32,  4,  4, (2, 2, 1), 1),
    Regular(5, 2, 4,  64,  8,  8, (2, 2, 1), 1),
    Regular(3, 1, 4,  96,  8,  8, (2, 2, 1), 2),
    Last   (      4,      12,     (2, 2, 1), 2),
)
M1 = (
    Stem(3, 2),
    Lite   (3, 2,      8,      2, (2, 0, 1), 1),
    Lite   (3, 2,     16,      4, (2, 2, 1), 1),
    Lite   (5, 2,     16,      4, (2, 2, 1), 1),
    Regular(5, 1, 6,  32,  4,  4, (2, 2, 1), 1),
    Regular(5, 2, 6,  64,  8,  8, (2, 2, 1), 1),
    Regular(3, 1, 6,  96,  8,  8, (2, 2, 1), 2),
    Last   (      6,      12,     (2, 2, 1), 2),
)
M2 = (
    Stem(4, 2),
    Lite   (3, 2,     12,      4, (2, 0, 1), 1),
    Lite   (3, 2,     16,      4, (2, 2, 1), 1),
    Lite   (3, 1,     24,      4, (2, 2, 1), 1),
    Regular(5, 2, 6,  32,  6,  4, (2, 2, 1), 1),
    Regular(5, 1, 6,  32,  8,  4, (2, 2, 1), 2),
    Regular(5, 1, 6,  64,  8,  8, (2, 2, 1), 2),
    Regular(5, 2, 6,  96,  8,  8, (2, 2, 1), 2),
    Regular(3, 1, 6, 128, 12,  8, (2, 2, 1), 2),
    Last   (      6,      16,     (2, 2, 1), 2),
)
M3 = (
    Stem(4, 3),
    Lite   (3, 2,     16,      4, (0, 2, 0), 1, SHIFTED),
    Lite   (3, 2,     24,      4, (0, 2, 0), 1, SHIFTED),
    Lite   (3, 1,     24,      4, (0, 2, 0), 1, SHIFTED),
    Regular(5, 2, 6,  32,  6,  4, (0, 2, 0), 1, SHIFTED),
    Regular(5, 1, 6,  32,  8,  4, (0, 2, 0), 2, SHIFTED),
    Regular(5, 1, 6,  64,  8,  8, (0, 2, 0), 2, SHIFTED),
    Regular(5, 1, 6,  80,  8,  8, (0, 2, 0), 2, SHIFTED),
    Regular(5, 1, 6,  80, 10,  8, (0, 2, 0), 2, SHIFTED),
    Regular(5, 2, 6, 120, 10, 10, (0, 2, 0), 2, SHIFTED),
    Regular(5, 1, 6, 120, 12, 10, (0, 2, 0), 2, SHIFTED),
    Regular(3, 1, 6, 144, 12, 12, (0, 2, 0), 2, SHIFTED),
    Last   (      6,      12,     (0, 2, 0), 2),
)
# fmt: on


def m0() -> NetSpec:
    """M0 of the ICCV paper, 4 M multiply-adds."""
    return NetSpec(M0, MicroFc(640, 0.05), init="full_fan_out")


def m1() -> NetSpec:
    """M1 of the ICCV paper, 6 M."""
    return NetSpec(M1, MicroFc(960, 0.05), init="full_fan_out")


def m2() -> NetSpec:
    """M2 of the ICCV paper, 12 M."""
    return NetSpec(M2, MicroFc(1024, 0.1), init="full_fan_out")


def m3() -> NetSpec:
    """M3 of the ICCV paper, 21 M."""
    return NetSpec(M3, MicroFc(1024, 0.1), init="full_fan_out")


NAMING = (
    "M{} here is M{} of the ICCV paper (arXiv:2108.05894, {} M multiply-adds); the first version (arXiv:2011.12289) "
    "calls its net of that cost and accuracy {}, with other layers"
)
COUNTING = "; the published multiply-adds include applying the shift-max, which Pumice reports apart"
VARIANTS = {
    "micronet_m0": Variant(
        m0,
        published="M0 (ICCV)",
        note="M0 here is M0 of the ICCV paper (arXiv:2108.05894, 4 M multiply-adds); the first version "
        "(arXiv:2011.12289) has no net of that cost: its M0 is the 6 M one" + COUNTING,
    ),
    "micronet_m1": Variant(m1, published="M1 (ICCV)", note=NAMING.format(1, 1, 6, "M0") + COUNTING),
    "micronet_m2": Variant(m2, published="M2 (ICCV)", note=NAMING.format(2, 2, 12, "M1") + COUNTING),
    "micronet_m3": Variant(
        m3,
        published="M3 (ICCV)",
        note=NAMING.format(3, 3, 21, "M2")
        + "; the first version's own M3 (44 M) has no released definition"
        + COUNTING,
    ),
}
