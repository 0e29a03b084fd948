"""The blocks of IGCV1, IGCV2 and IGCV3, and their rows; `igc` has the citations and the tables."""

from dataclasses import dataclass

from torch import Tensor, nn

from pumice.models.rows import Row
from pumice.nn.conv import ConvNormAct
from pumice.nn.drop_path import DropPath
from pumice.nn.interleaved import InterleavedGroupConv
from pumice.nn.inverted_residual import InvertedResidual
from pumice.nn.structured_sparse import StructuredSparseConv, balanced_sizes


class InterleavedUnit(nn.Module):
    """IGCV1's block.  (N, C, H, W) -> (N, O, H/s, W/s): ReLU(norm(P W_d P^T W_p x)), `relu` or not."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        primary: int,
        secondary: int,
        *,
        dilation: int = 1,
        relu: bool = True,
    ) -> None:
        super().__init__()
        self.conv = InterleavedGroupConv(
            *(in_channels, out_channels, 3, stride),
            primary_groups=primary,
            secondary_groups=secondary,
            dilation=dilation,
        )
        self.norm = nn.BatchNorm2d(out_channels)
        self.act = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        return self.act(self.norm(self.conv(x)))


class InterleavedResidual(nn.Module):
    """IGCV1's "+Ident." block.  (N, C, H, W) -> (N, O, H/s, W/s).

    b = x, or norm(conv_1x1,s(x)) in the primary groups where C != O
    y = unit2(unit1_s(x))        unit2 without ReLU
    return ReLU(b + y)
    """

    def __init__(self, in_channels: int, row: "InterleavedPair") -> None:
        super().__init__()
        c, o, s, first = in_channels, row.out_channels, row.stride, row.primary
        self.shortcut = nn.Identity() if c == o else ConvNormAct(c, o, 1, s, groups=first)
        self.unit1 = InterleavedUnit(c, o, s, first, row.secondary1, dilation=row.dilation)
        self.unit2 = InterleavedUnit(o, o, 1, first, row.secondary2, dilation=row.dilation, relu=False)
        self.drop_path = DropPath()
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        return self.act(self.shortcut(x) + self.drop_path(self.unit2(self.unit1(x))))


class SparseUnit(nn.Module):
    """IGCV2's block as we build it.  (N, C, H, W) -> (N, O, H/s, W/s): ReLU(norm(P_L W_L ... P_1 W_1 x)).

    W_1 is depthwise, the groups of the others are as equal as the divisors of C and O allow.
    """

    def __init__(self, in_channels: int, row: "Sparse") -> None:
        super().__init__()
        c, o, layers = in_channels, row.out_channels, row.factors - 1
        self.conv = StructuredSparseConv(
            *(c, o, 3, row.stride),
            sizes=(1, *balanced_sizes(c, layers)),
            out_sizes=(1, *balanced_sizes(o, layers)),
            dilation=row.dilation,
        )
        self.norm = nn.BatchNorm2d(o)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        return self.act(self.norm(self.conv(x)))


@dataclass(frozen=True)
class Interleaved(Row):
    """One block of a plain IGCV1 net.  primary, secondary: groups of its two convolutions."""

    out_channels: int
    stride: int
    primary: int
    secondary: int

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """InterleavedUnit."""
        return InterleavedUnit(
            *(in_channels, self.out_channels, self.stride, self.primary, self.secondary), dilation=self.dilation
        )


@dataclass(frozen=True)
class InterleavedPair(Row):
    """One residual block of IGCV1.  secondary1, secondary2: secondary groups of its two units."""

    out_channels: int
    stride: int
    primary: int
    secondary1: int
    secondary2: int

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """InterleavedResidual."""
        return InterleavedResidual(in_channels, self)


@dataclass(frozen=True)
class Sparse(Row):
    """One block of our IGCV2 net.  factors: L, the depthwise convolution included."""

    out_channels: int
    stride: int
    factors: int

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """SparseUnit."""
        return SparseUnit(in_channels, self)


@dataclass(frozen=True)
class LowRank(Row):
    """One block of IGCV3: an inverted residual whose 1 x 1 convolutions have two groups.

    There is no activation after the expansion, and one permutation, between expansion and depthwise.  repeat: whether
    the block is a later one of its sequence; only those add their input.
    """

    t: int
    out_channels: int
    stride: int
    repeat: bool

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """InvertedResidual, expanding even where t is 1."""
        return InvertedResidual(
            *(in_channels, self.t * in_channels, self.out_channels, 3, self.stride),
            act="R6",
            expand_act="",
            dilation=self.dilation,
            expand=True,
            residual=self.repeat,
            groups=2,
        )
